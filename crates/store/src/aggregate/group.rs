//! The groups of the selected rows of one unit.

use std::sync::Arc;

use arrow::{
    array::{Array, AsArray},
    datatypes::{TimestampNanosecondType, UInt8Type},
};
use hashbrown::HashMap;
use millpond_query::{Field, Group, Interval};
use millpond_record::{Level, Timestamp};
use twox_hash::XxHash3_128;

use super::state::HashesMap;
use crate::{
    QueryError,
    columns::{Column, Shared, hash},
    schema::place,
    template::shown,
    unit::Unit,
    values::{Part, RowList, Value, Values, level, tags},
};

/// Combinations of codes up to this number are told apart by a table, others by a map.
const TABLE_MAX: usize = 1 << 18;

/// The groups of some rows of a unit, numbered from 0.
pub(crate) struct Groups {
    pub(crate) rows: RowList,
    /// The group of each place of the list.
    pub(crate) of_row: Vec<u32>,
    /// How many rows each group has.
    pub(crate) counts: Vec<u64>,
    dimensions: Vec<Dimension>,
    /// For each group its codes, one a dimension; with one dimension the group is the code.
    codes: Vec<u32>,
    without_missing: bool,
}

/// One group-by of a unit.
struct Dimension {
    /// The code of each place of the list.
    codes: Vec<u32>,
    /// The hash of each code's value.
    hashes: Vec<u128>,
    source: Source,
}

/// Where the value of a code is read when it is needed: most groups of a unit are known from another.
enum Source {
    /// Codes of a dictionary, whose values may be templates; the last code is what is missing.
    Dictionary { column: Shared, templates: bool },
    /// For each code the first row that had it, as its place in the list.
    Read { parts: Vec<Part>, first: Vec<u32> },
    /// The values themselves.
    Made(Vec<Option<Value>>),
}

/// The hash of what is missing.
const MISSING: u128 = 1;

impl Groups {
    pub(crate) fn new(
        unit: &Unit,
        by: &[Group],
        rows: RowList,
        without_missing: bool,
    ) -> Result<Self, QueryError> {
        let mut rows = rows;
        let mut tag = None;
        if by.contains(&Group::Field(Field::Tags)) {
            let tags = tags(unit, &rows)?;
            let listed = tags.iter().map(|&(at, _)| u32::try_from(rows.row(at)));
            rows = RowList::Some(listed.map(|row| row.unwrap_or(u32::MAX)).collect());
            tag = Some(Dimension::of_tags(&tags));
        }
        let mut dimensions = Vec::new();
        for group in by {
            dimensions.push(match group {
                Group::Bin(interval) => Dimension::of_times(unit, &rows, *interval)?,
                Group::Field(Field::Tags) => match tag.take() {
                    Some(dimension) => dimension,
                    None => continue,
                },
                Group::Field(field) => Dimension::of_field(unit, &rows, field)?,
            });
        }
        let mut groups = Self {
            of_row: Vec::new(),
            counts: Vec::new(),
            codes: Vec::new(),
            without_missing,
            rows,
            dimensions,
        };
        groups.number();
        Ok(groups)
    }

    /// Numbers the groups.
    fn number(&mut self) {
        match self.dimensions.as_mut_slice() {
            [] => {
                self.of_row = vec![0; self.rows.len()];
                self.counts = vec![self.rows.len() as u64];
            }
            [only] => {
                let mut counts = vec![0; only.hashes.len()];
                for &code in &only.codes {
                    if let Some(count) = counts.get_mut(code as usize) {
                        *count += 1;
                    }
                }
                self.of_row = std::mem::take(&mut only.codes);
                self.counts = counts;
            }
            _ => self.number_combinations(),
        }
    }

    fn number_combinations(&mut self) {
        let sizes: Vec<usize> =
            self.dimensions.iter().map(|dimension| dimension.hashes.len()).collect();
        let product = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        let mut table =
            vec![u32::MAX; product.filter(|&product| product <= TABLE_MAX).unwrap_or_default()];
        let mut map: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut codes = vec![0; sizes.len()];
        for at in 0..self.rows.len() {
            let mut place: usize = 0;
            for ((code, dimension), size) in codes.iter_mut().zip(&self.dimensions).zip(&sizes) {
                *code = dimension.codes.get(at).copied().unwrap_or_default();
                // Means nothing if there are too many combinations for a table.
                place = place.wrapping_mul(*size).wrapping_add(*code as usize);
            }
            let next = u32::try_from(self.counts.len()).unwrap_or(u32::MAX);
            let group = match table.get_mut(place) {
                Some(slot) if *slot != u32::MAX => *slot,
                Some(slot) => {
                    *slot = next;
                    next
                }
                None => *map.entry_ref(codes.as_slice()).or_insert(next),
            };
            if group == next {
                self.counts.push(0);
                self.codes.extend_from_slice(&codes);
            }
            if let Some(count) = self.counts.get_mut(group as usize) {
                *count += 1;
            }
            self.of_row.push(group);
        }
    }

    /// The dimensions, each with the code that the group has in it.
    fn codes(&self, group: u32) -> impl Iterator<Item = (&Dimension, u32)> {
        let width = self.dimensions.len();
        let start = group as usize * width;
        let codes = self.codes.get(start..start + width).filter(|_| width > 1);
        let code = move |place: usize| codes.and_then(|codes| codes.get(place)).copied();
        self.dimensions
            .iter()
            .enumerate()
            .map(move |(place, dimension)| (dimension, code(place).unwrap_or(group)))
    }

    pub(crate) fn is_left_out(&self, group: u32) -> bool {
        self.without_missing
            && self.codes(group).any(|(dimension, code)| dimension.hash(code) == MISSING)
    }

    /// The hash of a group's values.
    pub(crate) fn hash(&self, group: u32) -> u128 {
        if let [only] = self.dimensions.as_slice() {
            return only.hash(group);
        }
        let hashes = self.codes(group).map(|(dimension, code)| dimension.hash(code).to_le_bytes());
        XxHash3_128::oneshot(&hashes.flatten().collect::<Vec<u8>>())
    }

    /// The group's values, one a dimension.
    pub(crate) fn key(&self, group: u32) -> impl Iterator<Item = Option<Value>> {
        self.codes(group).map(|(dimension, code)| dimension.value(code, &self.rows))
    }
}

impl Dimension {
    fn hash(&self, code: u32) -> u128 {
        self.hashes.get(code as usize).copied().unwrap_or(MISSING)
    }

    fn value(&self, code: u32, rows: &RowList) -> Option<Value> {
        let code = code as usize;
        match &self.source {
            Source::Dictionary { column, templates } => {
                let Column::Dictionary(dictionary) = &**column else { return None };
                let text =
                    (code < dictionary.values.len()).then(|| dictionary.values.value(code))?;
                Some(Value::Text(if *templates { shown(text).into() } else { text.into() }))
            }
            Source::Read { parts, first } => {
                let at = *first.get(code)? as usize;
                parts.iter().find_map(|part| part.value(at, rows.row(at)))
            }
            Source::Made(values) => values.get(code).cloned().flatten(),
        }
    }

    fn of_tags(tags: &[(usize, Option<String>)]) -> Self {
        let mut known: HashesMap<u32> = HashesMap::default();
        let (mut codes, mut hashes, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (_, tag) in tags {
            let hash = tag.as_deref().map_or(MISSING, hash);
            let next = small(hashes.len());
            let code = *known.entry(hash).or_insert(next);
            if code == next {
                hashes.push(hash);
                values.push(tag.as_deref().map(|tag| Value::Text(tag.into())));
            }
            codes.push(code);
        }
        Self { codes, hashes, source: Source::Made(values) }
    }

    fn of_times(unit: &Unit, rows: &RowList, interval: Interval) -> Result<Self, QueryError> {
        let times = unit.column(place::TIME)?;
        let mut known: HashMap<i64, u32> = HashMap::new();
        let mut codes = Vec::with_capacity(rows.len());
        let (mut hashes, mut values) = (Vec::new(), Vec::new());
        // Neighbours are mostly in one bucket.
        let (mut start, mut end, mut code) = (i64::MAX, i64::MIN, 0);
        let Column::Other(times) = &*times else { return Err(QueryError::Read("no times".into())) };
        let times = times.as_primitive::<TimestampNanosecondType>().values();
        for at in 0..rows.len() {
            let time = times.get(rows.row(at)).copied().unwrap_or_default();
            if time < start || time >= end {
                start = interval.floor(Timestamp::from_nanos(time)).nanos();
                end = start.saturating_add(interval.nanos());
                let next = small(hashes.len());
                code = *known.entry(start).or_insert(next);
                if code == next {
                    hashes.push(XxHash3_128::oneshot(&start.to_le_bytes()));
                    values.push(Some(Value::Time(start)));
                }
            }
            codes.push(code);
        }
        Ok(Self { codes, hashes, source: Source::Made(values) })
    }

    fn of_field(unit: &Unit, rows: &RowList, field: &Field) -> Result<Self, QueryError> {
        if *field == Field::Level {
            return Self::of_levels(unit, rows);
        }
        let values = Values::new(unit, field, rows)?;
        match values.single() {
            Some(Part::Column(column)) if matches!(&**column, Column::Dictionary(_)) => {
                Ok(Self::of_dictionary(column, false, rows))
            }
            Some(Part::Templates(column)) if matches!(&**column, Column::Dictionary(_)) => {
                Ok(Self::of_dictionary(column, true, rows))
            }
            _ => Ok(Self::of_read(values, rows.len())),
        }
    }

    fn of_dictionary(column: &Shared, templates: bool, rows: &RowList) -> Self {
        let source = Source::Dictionary { column: Arc::clone(column), templates };
        let Column::Dictionary(dictionary) = &**column else {
            return Self { codes: Vec::new(), hashes: Vec::new(), source };
        };
        let missing = dictionary.missing();
        let codes = match rows {
            RowList::All(_) => dictionary.codes.clone(),
            RowList::Some(rows) => {
                let codes = rows.iter().map(|&row| dictionary.codes.get(row as usize).copied());
                codes.map(|code| code.unwrap_or(missing)).collect()
            }
        };
        let mut hashes = if templates {
            let texts = dictionary.values.iter().map(Option::unwrap_or_default);
            texts.map(|text| hash(&shown(text))).collect()
        } else {
            dictionary.hashes().to_vec()
        };
        hashes.push(MISSING);
        Self { codes, hashes, source }
    }

    /// Codes for values that are read row by row.
    fn of_read(values: Values<'_>, len: usize) -> Self {
        let mut known: HashesMap<u32> = HashesMap::default();
        let mut codes = Vec::with_capacity(len);
        let (mut hashes, mut first) = (Vec::new(), Vec::new());
        for at in 0..len {
            let hash = values.hash(at).unwrap_or(MISSING);
            let next = small(hashes.len());
            let code = *known.entry(hash).or_insert(next);
            if code == next {
                hashes.push(hash);
                first.push(small(at));
            }
            codes.push(code);
        }
        Self { codes, hashes, source: Source::Read { parts: values.parts, first } }
    }

    fn of_levels(unit: &Unit, rows: &RowList) -> Result<Self, QueryError> {
        let column = unit.column(place::SEVERITY_NUMBER)?;
        let Column::Other(array) = &*column else {
            return Err(QueryError::Read("no levels".into()));
        };
        let numbers = array.as_primitive::<UInt8Type>().values();
        let table: Vec<u32> = (0..=u8::MAX).map(|number| level(number) as u32).collect();
        let codes = (0..rows.len()).map(|at| {
            let number = numbers.get(rows.row(at)).copied().unwrap_or_default();
            table.get(usize::from(number)).copied().unwrap_or_default()
        });
        let levels = Level::ALL.into_iter();
        Ok(Self {
            codes: codes.collect(),
            hashes: levels.clone().map(|level| hash(level.name())).collect(),
            source: Source::Made(levels.map(|level| Some(Value::Level(level))).collect()),
        })
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
