//! Which rows of a unit pass a filter.
//!
//! Each condition is asked only about the rows that the cheaper ones before it let through. What decides is, in this
//! order: the templates of messages and the dictionaries of strings, where each value is looked at once however many
//! rows have it; the filters of pages; and only then the texts of the rows that are left.

use std::{cmp::Reverse, sync::Arc};

use arrow::{
    array::{Array, AsArray, BooleanBufferBuilder, StringArray},
    buffer::BooleanBuffer,
    datatypes::{TimestampNanosecondType, UInt8Type, UInt32Type},
};
use millpond_query::{Comparison, Field, Test};
use millpond_record::{
    TextAttribute, Timestamp,
    json::{Object, Scalar},
};

use crate::{
    QueryError,
    asked::Asked,
    bitmap::{containing, is_few, none, places, rows_where, scatter},
    columns::Column,
    filters::value_key,
    matches::{Node, Tester},
    members::{Contested, leads_to},
    schema::place,
    segment::FILTERED,
    shred::{FieldColumn, Kind},
    template::{MARK, shown},
    unit::{Reading, Unit, add},
};

/// A unit that is asked for the rows that pass.
pub(crate) struct Selector<'a> {
    pub(crate) unit: &'a Unit,
    pub(crate) reading: &'a Reading,
}

/// Rows whose `fields` are put together at once: a few megabytes.
const FIELDS_ROWS: usize = 8192;

type Selected = Result<BooleanBuffer, QueryError>;

impl Selector<'_> {
    /// The rows of `within` that pass.
    pub(crate) fn select(&self, node: &Node, within: BooleanBuffer) -> Selected {
        Ok(match node {
            Node::All => within,
            Node::And(parts) => {
                let mut parts: Vec<&Node> = parts.iter().collect();
                parts.sort_by_key(|part| cost(part));
                let mut left = within;
                for part in parts {
                    if left.count_set_bits() == 0 {
                        break;
                    }
                    left = self.select(part, left)?;
                }
                left
            }
            Node::Or(parts) => {
                let mut any = BooleanBuffer::new_unset(within.len());
                for part in parts {
                    // What passes already need not be asked about again.
                    let left = &within & &!&any;
                    any = &any | &self.select(part, left)?;
                }
                any
            }
            Node::Not(part) => &within & &!&self.select(part, within.clone())?,
            Node::Is(tester) => self.condition(tester, within)?,
        })
    }

    fn condition(&self, tester: &Tester, within: BooleanBuffer) -> Selected {
        if within.count_set_bits() == 0 {
            return Ok(within);
        }
        match &tester.field {
            Field::Time => {
                let column = self.unit.column(place::TIME)?;
                let Column::Other(times) = &*column else { return Ok(none(&within)) };
                let times = times.as_primitive::<TimestampNanosecondType>().values();
                Ok(rows_where(&within, |row| {
                    let time = times.get(row).copied().unwrap_or_default();
                    tester.matches_time(Timestamp::from_nanos(time))
                }))
            }
            Field::Level => self.severity(&within, |number| tester.matches_level(number)),
            Field::SeverityNumber => {
                self.severity(&within, |number| tester.matches_number(number.into()))
            }
            Field::StepIndex => {
                let column = self.unit.column(place::STEP_INDEX)?;
                let Column::Other(steps) = &*column else { return Ok(none(&within)) };
                let steps = steps.as_primitive::<UInt32Type>();
                Ok(rows_where(&within, |row| {
                    steps.is_valid(row) && tester.matches_number(steps.value(row))
                }))
            }
            Field::Tags => self.tags(tester, &within),
            Field::Words | Field::Text(TextAttribute::Message) => self.message(tester, within),
            Field::Text(attribute) => self.attribute(*attribute, tester, within),
            Field::Template => self.template(tester, &within),
            Field::Exception(path) => self.objects(place::EXCEPTION, path, tester, within),
            Field::Path(path) => self.path(path, tester, within),
            Field::Fields => self.fields(tester, &within),
        }
    }

    /// The rows with a value in `fields` that passes. They are put together again, some rows at a time.
    fn fields(&self, tester: &Tester, within: &BooleanBuffer) -> Selected {
        if self.unit.layout().fields.is_empty() && self.unit.is_empty(place::FIELDS) {
            return Ok(none(within));
        }
        let rows = places(within);
        add(&self.reading.rows, rows.len());
        let mut passing = BooleanBufferBuilder::new(rows.len());
        for rows in rows.chunks(FIELDS_ROWS) {
            let read = self.unit.read(&[place::FIELDS], Some(rows))?;
            let texts = read.column(0).as_string::<i32>().iter();
            texts.for_each(|text| {
                let object = Object::from_normalised(text.unwrap_or_default());
                passing.append(tester.matches_any(&object));
            });
        }
        Ok(scatter(within.len(), &rows, &passing.finish()))
    }

    fn severity(&self, within: &BooleanBuffer, passes: impl Fn(u8) -> bool) -> Selected {
        let column = self.unit.column(place::SEVERITY_NUMBER)?;
        let Column::Other(numbers) = &*column else { return Ok(none(within)) };
        let numbers = numbers.as_primitive::<UInt8Type>().values();
        let table: Vec<bool> = (0..=u8::MAX).map(passes).collect();
        let rows = BooleanBuffer::collect_bool(within.len(), |row| {
            numbers
                .get(row)
                .and_then(|&number| table.get(usize::from(number)))
                .copied()
                .unwrap_or_default()
        });
        Ok(&rows & within)
    }

    fn tags(&self, tester: &Tester, within: &BooleanBuffer) -> Selected {
        if self.unit.is_empty(place::TAGS) {
            return Ok(none(within));
        }
        let column = self.unit.column(place::TAGS)?;
        let Column::Other(lists) = &*column else { return Ok(none(within)) };
        let lists = lists.as_list::<i32>();
        Ok(rows_where(within, |row| {
            lists.is_valid(row)
                && lists
                    .value(row)
                    .as_string::<i32>()
                    .iter()
                    .flatten()
                    .any(|tag| tester.matches_text(tag))
        }))
    }

    /// A text attribute; where a record does not have it, the member of `fields` with its name.
    fn attribute(
        &self,
        attribute: TextAttribute,
        tester: &Tester,
        within: BooleanBuffer,
    ) -> Selected {
        let place = place::TEXTS + attribute as usize;
        let always = attribute == TextAttribute::Service;
        if always || self.unit.is_full(place) {
            return self.strings(place, tester, within);
        }
        if self.unit.is_empty(place) {
            return self.path(attribute.name(), tester, within);
        }
        let without = &within & &!&self.unit.column(place)?.valid();
        let here = self.strings(place, tester, within)?;
        Ok(&here | &self.path(attribute.name(), tester, without)?)
    }

    /// The rows whose string in a column passes.
    fn strings(&self, place: usize, tester: &Tester, within: BooleanBuffer) -> Selected {
        if self.unit.is_empty(place) {
            return Ok(none(&within));
        }
        let mut within = within;
        if let (Test::Compare(Comparison::Equal, text), true) = (&tester.test, is_filtered(place)) {
            within = self.on_pages(within, &[value_key(text)])?;
        }
        self.texts(place, within, |column, within| {
            if let Column::Dictionary(dictionary) = column {
                return dictionary.rows(|value| tester.matches_text(value), within);
            }
            if let (Column::Text(strings), false) =
                (column, is_few(within.count_set_bits(), within.len()))
            {
                if let Some(finder) = tester.finder() {
                    return &containing(strings, finder) & within;
                }
                if let Some(words) = tester.words() {
                    return &containing(strings, words) & within;
                }
            }
            rows_where(within, |row| column.text(row).is_some_and(|text| tester.matches_text(text)))
        })
    }

    /// Asks about a column of texts: as a whole, or only of a few rows.
    fn texts(
        &self,
        place: usize,
        within: BooleanBuffer,
        ask: impl Fn(&Column, &BooleanBuffer) -> BooleanBuffer,
    ) -> Selected {
        let count = within.count_set_bits();
        if count == 0 {
            return Ok(within);
        }
        if !is_few(count, within.len()) || self.unit.cached(place).is_some() {
            add(&self.reading.rows, within.len());
            return Ok(ask(&*self.unit.column(place)?, &within));
        }
        add(&self.reading.rows, count);
        let rows: Vec<u32> = places(&within);
        let column = self.unit.column_at(place, &rows)?;
        let passing = ask(&column, &BooleanBuffer::new_set(rows.len()));
        Ok(scatter(within.len(), &rows, &passing))
    }

    /// The rows of `within` on pages that may hold all of some keys.
    fn on_pages(&self, within: BooleanBuffer, keys: &[u64]) -> Selected {
        if keys.is_empty() || within.count_set_bits() == 0 {
            return Ok(within);
        }
        let Some(filters) = self.unit.filters()? else { return Ok(within) };
        let mut skipped = 0;
        let mut may_hold = |page: usize| {
            let start = (page * filters.rows).min(within.len());
            let rows = filters.rows.min(within.len() - start);
            let asked = within.slice(start, rows).count_set_bits() > 0;
            let held = asked && filters.may_hold(page, keys);
            skipped += usize::from(asked && !held);
            held
        };
        let pages: Vec<bool> = (0..filters.len()).map(&mut may_hold).collect();
        add(&self.reading.pages_skipped, skipped);
        let mut held = BooleanBufferBuilder::new(within.len());
        for held_on_page in pages {
            let rows = filters.rows.min(within.len().saturating_sub(held.len()));
            held.append_n(rows, held_on_page);
        }
        held.append_n(within.len().saturating_sub(held.len()), true);
        Ok(&held.finish() & &within)
    }

    fn message(&self, tester: &Tester, within: BooleanBuffer) -> Selected {
        let Some(words) = tester.words() else {
            return self.strings(place::MESSAGE, tester, within);
        };
        let templates = match self.unit.layout().template {
            Some(place) => Some(self.unit.column(place)?),
            None => None,
        };
        let (Some(Column::Dictionary(templates)), Test::Words { text, prefix }) =
            (templates.as_deref(), &tester.test)
        else {
            return self.strings(place::MESSAGE, tester, within);
        };
        if text.contains(MARK) {
            return self.strings(place::MESSAGE, tester, within);
        }
        let asked = match tester.asked.get() {
            Some(asked) => Arc::clone(asked),
            None => {
                let made = Arc::new(Asked::new(text, *prefix)?);
                Arc::clone(tester.asked.get_or_init(|| made))
            }
        };
        // Whatever its template, a message has the words with digits; a page that has none of them need not be asked.
        let within = self.on_pages(within, &asked.variable_keys)?;
        if within.count_set_bits() == 0 {
            return Ok(within);
        }
        let verdicts = asked.verdicts(templates, words);
        let yes = templates.rows_of(&verdicts.yes, &within);
        let perhaps = templates.rows_of(&verdicts.perhaps, &within);
        let unknown = templates.rows_of(&verdicts.unknown, &within);
        let unknown = self.on_pages(unknown, &asked.keys)?;
        let looked = self.strings(place::MESSAGE, tester, &perhaps | &unknown)?;
        Ok(&yes | &looked)
    }

    fn template(&self, tester: &Tester, within: &BooleanBuffer) -> Selected {
        if let Some(place) = self.unit.layout().template
            && let Column::Dictionary(templates) = &*self.unit.column(place)?
        {
            let known = templates.rows(|template| tester.matches_text(&shown(template)), within);
            let missing = templates.missing();
            let unknown = rows_where(within, |row| templates.codes.get(row) == Some(&missing));
            return Ok(&known | &self.templates_of(tester, unknown)?);
        }
        self.templates_of(tester, within.clone())
    }

    fn templates_of(&self, tester: &Tester, within: BooleanBuffer) -> Selected {
        self.texts(place::MESSAGE, within, |column, within| {
            rows_where(within, |row| {
                column
                    .text(row)
                    .is_some_and(|text| tester.matches_text(&crate::template::template(text)))
            })
        })
    }

    /// The rows whose member of `fields` passes: of each record the one that [`Object::get`] finds.
    fn path(&self, path: &str, tester: &Tester, within: BooleanBuffer) -> Selected {
        let mut found = none(&within);
        let mut left = within;
        if let Some(contested) = Contested::of(self.unit, path, &left)? {
            let (rows, texts) = (&contested.rows, contested.texts());
            let all = BooleanBuffer::new_set(rows.len());
            add(&self.reading.rows, rows.len());
            found = scatter(left.len(), rows, &having(texts, path, tester, &all));
            left = &left & &!&scatter(left.len(), rows, &all);
        }
        for (column, place) in columns_of(self.unit, path) {
            if self.unit.is_empty(place) {
                continue;
            }
            found = &found | &self.member(column, place, tester, left.clone())?;
            if self.unit.is_full(place) {
                return Ok(found);
            }
            left = &left & &!&self.unit.column(place)?.valid();
        }
        if rest_may_have(self.unit, path) {
            found = &found | &self.objects(place::FIELDS, path, tester, left)?;
        }
        Ok(found)
    }

    fn member(
        &self,
        field: &FieldColumn,
        place: usize,
        tester: &Tester,
        within: BooleanBuffer,
    ) -> Selected {
        if field.kind == Kind::String {
            return self.strings(place, tester, within);
        }
        let column = self.unit.column(place)?;
        Ok(match &*column {
            Column::Int(array) => {
                let values = array.values();
                let passes = tester.int_test();
                let rows = BooleanBuffer::collect_bool(within.len(), |row| {
                    values.get(row).is_some_and(|&value| passes.holds(value))
                });
                &(&rows & &column.valid()) & &within
            }
            Column::Float(array) => {
                let mut text = zmij::Buffer::new();
                let compared = tester.compared_float();
                rows_where(&within, |row| {
                    array.is_valid(row)
                        && match compared {
                            Some((comparison, wanted)) => array
                                .value(row)
                                .partial_cmp(&wanted)
                                .is_some_and(|order| comparison.holds(order)),
                            None => tester.matches(&Scalar::Number(text.format(array.value(row)))),
                        }
                })
            }
            Column::Bool(array) => {
                let table = [false, true].map(|value| tester.matches(&Scalar::Bool(value)));
                let [no, yes] = table;
                rows_where(&within, |row| {
                    array.is_valid(row) && if array.value(row) { yes } else { no }
                })
            }
            _ => none(&within),
        })
    }

    /// The rows with an object in which the member passes.
    fn objects(
        &self,
        place: usize,
        path: &str,
        tester: &Tester,
        within: BooleanBuffer,
    ) -> Selected {
        if self.unit.is_empty(place) {
            return Ok(none(&within));
        }
        self.texts(place, within, |column, within| {
            rows_where(within, |row| column.text(row).is_some_and(|text| has(text, path, tester)))
        })
    }
}

/// The columns of a unit that hold the member with this path, the one that goes before the others first.
pub(crate) fn columns_of<'a>(unit: &'a Unit, path: &str) -> Vec<(&'a FieldColumn, usize)> {
    let fields = unit.layout().fields.iter().filter(|(column, _)| column.dotted() == path);
    let mut fields: Vec<_> = fields.map(|(column, place)| (column, *place)).collect();
    fields.sort_by_key(|(column, _)| -> Vec<Reverse<usize>> {
        column.path.iter().map(|key| Reverse(key.len())).collect()
    });
    fields
}

/// Whether what is in no column may have a member with this path.
pub(crate) fn rest_may_have(unit: &Unit, path: &str) -> bool {
    if unit.is_empty(place::FIELDS) {
        return false;
    }
    let keys = unit.layout().rest_keys.as_ref();
    keys.is_none_or(|keys| keys.iter().any(|key| leads_to(key, path)))
}

/// Whether an object has a member that passes.
fn has(object: &str, path: &str, tester: &Tester) -> bool {
    Object::from_normalised(object).get(path).is_some_and(|value| tester.matches(&value))
}

fn having(
    objects: &StringArray,
    path: &str,
    tester: &Tester,
    within: &BooleanBuffer,
) -> BooleanBuffer {
    rows_where(within, |row| objects.is_valid(row) && has(objects.value(row), path, tester))
}

fn is_filtered(place: usize) -> bool {
    FILTERED.iter().any(|&attribute| place::TEXTS + attribute as usize == place)
}

/// How much work a condition is, cheapest first.
fn cost(node: &Node) -> u32 {
    match node {
        Node::All => 0,
        Node::Is(tester) => match (&tester.field, &tester.test) {
            (Field::Level | Field::SeverityNumber | Field::Time, _) => 1,
            (Field::Text(TextAttribute::Message), _) if tester.words().is_none() => 9,
            (Field::Words | Field::Text(TextAttribute::Message), _) => 4,
            (Field::Text(attribute), Test::Compare(Comparison::Equal, _))
                if FILTERED.contains(attribute) =>
            {
                2
            }
            (Field::Text(_) | Field::StepIndex, _) => 3,
            (Field::Path(_) | Field::Tags | Field::Template, _) => 5,
            (Field::Exception(_), _) => 9,
            (Field::Fields, _) => 12,
        },
        Node::Not(part) => cost(part) + 1,
        Node::And(parts) => parts.iter().map(cost).min().unwrap_or_default() + 1,
        Node::Or(parts) => parts.iter().map(cost).max().unwrap_or_default() + 1,
    }
}
