//! The part of a query behind its filter: what is made of the records, and how the answer is shown.

use super::{ParseError, Parser, starts_name};
use crate::{
    FIELDS_MAX, FUNCTIONS_MAX, Field, Filter, Function, GROUPS_MAX, Group, Query, ROWS_MAX,
    SORT_KEYS_MAX, SortBy, SortKey, Stats, StatsColumn, TOP_ROWS,
};

const FIELD: &str = "a field (a name that does not start with a letter is quoted)";
const FUNCTION: &str = "a function: count, count_distinct, sum, avg, min, max, median, p50, p95, p99.9 or another \
                        percentile, rate";
const MORE: &str = "`,`, `|` or the end";

impl Parser<'_> {
    /// Reads the pipes up to the end.
    pub(super) fn pipes(&mut self, filter: Filter) -> Result<Query, ParseError> {
        let mut query = Query::from(filter);
        while self.take('|') {
            self.peek();
            let start = self.at;
            let name = self.bare_name();
            if let Some(expected) = misplaced(name, &query) {
                return Err(self.error_since(start, expected));
            }
            let expected = match name {
                "stats" => self.stats(&mut query)?,
                "top" => self.top(&mut query)?,
                "sort" => self.sort(&mut query)?,
                "fields" => self.fields(&mut query)?,
                "limit" => self.limit(&mut query)?,
                _ => {
                    self.at = start;
                    return Err(self.error("a pipe: `stats`, `top`, `sort`, `fields` or `limit`"));
                }
            };
            if !matches!(self.peek(), None | Some('|')) {
                return Err(self.error(expected));
            }
        }
        Ok(query)
    }

    /// Reads `FUNCTION [as NAME], … [by GROUP, …]`. Tells what may follow, as all pipes do.
    fn stats(&mut self, query: &mut Query) -> Result<&'static str, ParseError> {
        let mut names = Vec::new();
        let functions = self.listed(FUNCTIONS_MAX, "functions", |parser| {
            let start = parser.start();
            let function = parser.function()?;
            let mut column = StatsColumn::from(function);
            if parser.keyword("as") {
                column.name = parser.name()?;
                if column.name.is_empty() {
                    return Err(parser.error("a name for the column"));
                }
            }
            parser.unique(&mut names, &column.name, start)?;
            Ok(column)
        })?;
        let grouped = self.keyword("by");
        let by = if grouped {
            self.listed(GROUPS_MAX, "groups", |parser| {
                let start = parser.start();
                let group = parser.group_key()?;
                parser.unique(&mut names, &group.name(), start)?;
                Ok(group)
            })?
        } else {
            Vec::new()
        };
        query.stats = Some(Stats { functions, by, without_missing: false });
        Ok(if grouped { MORE } else { "`,`, `as`, `by`, `|` or the end" })
    }

    /// Reads `[N] FIELD, …`: the most frequent values.
    fn top(&mut self, query: &mut Query) -> Result<&'static str, ParseError> {
        let counted = self.peek().is_some_and(|next| next.is_ascii_digit());
        let rows = if counted { self.row_count()? } else { TOP_ROWS };
        let count = StatsColumn::from(Function::Count);
        let mut names = vec![count.name.clone()];
        let by = self.listed(GROUPS_MAX, "fields", |parser| {
            let start = parser.start();
            let group = Group::Field(parser.field()?);
            parser.unique(&mut names, &group.name(), start)?;
            Ok(group)
        })?;
        let values = (0..by.len()).map(|column| (column, false));
        let keys = std::iter::once((by.len(), true)).chain(values);
        query.sort = keys
            .map(|(column, descending)| SortKey { by: SortBy::Column(column), descending })
            .collect();
        query.stats = Some(Stats { functions: vec![count], by, without_missing: true });
        query.limit = Some(rows);
        Ok(MORE)
    }

    /// Reads `[-]KEY, …`.
    fn sort(&mut self, query: &mut Query) -> Result<&'static str, ParseError> {
        let mut keys: Vec<SortKey> = Vec::new();
        let stats = query.stats.as_ref();
        query.sort = self.listed(SORT_KEYS_MAX, "keys", |parser| {
            let descending = parser.take('-');
            let start = parser.start();
            let by = match stats {
                Some(stats) => SortBy::Column(parser.column(stats)?),
                None => SortBy::Field(parser.field()?),
            };
            if keys.iter().any(|key| key.by == by) {
                return Err(parser.error_since(start, "a key that is not there yet"));
            }
            let key = SortKey { by, descending };
            keys.push(key.clone());
            Ok(key)
        })?;
        Ok(MORE)
    }

    /// Reads `FIELD, …`.
    fn fields(&mut self, query: &mut Query) -> Result<&'static str, ParseError> {
        let mut names = Vec::new();
        query.fields = self.listed(FIELDS_MAX, "fields", |parser| {
            let start = parser.start();
            let field = parser.field()?;
            parser.unique(&mut names, &field.name(), start)?;
            Ok(field)
        })?;
        Ok(MORE)
    }

    /// Reads `N`.
    fn limit(&mut self, query: &mut Query) -> Result<&'static str, ParseError> {
        query.limit = Some(self.row_count()?);
        Ok("`|` or the end")
    }

    /// Skips white space and tells where the next thing starts.
    fn start(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// Reads one or more, with commas between them.
    fn listed<T>(
        &mut self,
        max: usize,
        what: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut items = vec![item(self)?];
        while self.take(',') {
            if items.len() == max {
                return Err(self.error(format!("at most {max} {what}")));
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Adds the name of a column, which no other may have.
    fn unique(&self, names: &mut Vec<String>, name: &str, start: usize) -> Result<(), ParseError> {
        if names.iter().any(|other| other == name) {
            let expected = format!("no second column `{name}` (`as` renames a function's)");
            return Err(self.error_since(start, expected));
        }
        names.push(name.to_owned());
        Ok(())
    }

    fn row_count(&mut self) -> Result<usize, ParseError> {
        let start = self.start();
        let number = self.bare_name().parse().ok();
        number.filter(|number| (1..=ROWS_MAX).contains(number)).ok_or_else(|| {
            self.at = start;
            self.error(format!("a whole number from 1 to {ROWS_MAX}"))
        })
    }

    fn field(&mut self) -> Result<Field, ParseError> {
        let start = self.start();
        let quoted = self.rest().starts_with('"');
        let name = self.name()?;
        let field = Field::named(&name);
        if field == Field::Fields {
            return Err(self.error_since(start, "one of the fields, by its name"));
        }
        // A member of `fields` without a name could not be told from no field at all.
        if !(quoted || starts_name(&name)) || field == Field::Path(String::new()) {
            self.at = start;
            return Err(self.error(FIELD));
        }
        Ok(field)
    }

    fn group_key(&mut self) -> Result<Group, ParseError> {
        let start = self.start();
        let bin = self.bare_name() == "bin" && self.rest().starts_with('(');
        if !bin {
            self.at = start;
            return Ok(Group::Field(self.field()?));
        }
        self.at += 1;
        let start = self.start();
        let interval = self.bare_name().parse();
        let interval = interval.map_err(|_| {
            self.at = start;
            self.error("the width of a bin, such as 30s, 5m, 1h or 1d")
        })?;
        self.closing()?;
        Ok(Group::Bin(interval))
    }

    fn closing(&mut self) -> Result<(), ParseError> {
        if self.take(')') { Ok(()) } else { Err(self.error("`)`")) }
    }

    /// Reads `FUNCTION(FIELD)`. `count` and `rate` may go without a field and without parentheses.
    fn function(&mut self) -> Result<Function, ParseError> {
        let start = self.start();
        let name = self.bare_name();
        let alone = match name {
            "count" => Some(Function::Count),
            "rate" => Some(Function::Rate),
            _ => None,
        };
        let of_field = of_field(name);
        if alone.is_none() && of_field.is_none() {
            self.at = start;
            return Err(self.error(FUNCTION));
        }
        let open = self.rest().starts_with('(');
        self.at += usize::from(open);
        if let Some(function) = alone
            && (!open || self.peek() == Some(')'))
        {
            self.at += usize::from(open);
            return Ok(function);
        }
        let Some(of_field) = of_field else { return Err(self.error("`)`")) };
        if !open {
            return Err(self.error(format!("`(` and a field, as in `{name}(duration_ms)`")));
        }
        let function = of_field(self.field()?);
        self.closing()?;
        Ok(function)
    }

    /// Reads the name of a column, or its function; tells its place.
    fn column(&mut self, stats: &Stats) -> Result<usize, ParseError> {
        let start = self.start();
        let names = stats.column_names();
        let name = self.name()?;
        let place = if self.rest().starts_with('(') {
            self.at = start;
            let function = self.function()?;
            let same = |column: &&StatsColumn| column.function == function;
            // Of two columns with the same function, the one that has no name of its own.
            let unnamed = StatsColumn::from(function.clone());
            let column = stats.functions.iter().find(|column| **column == unnamed);
            let column = column.or_else(|| stats.functions.iter().find(same));
            column.and_then(|column| names.iter().position(|name| *name == column.name))
        } else {
            let named = |wanted: &str| names.iter().position(|name| name == wanted);
            named(&name).or_else(|| named(&Field::named(&name).name()))
        };
        place.ok_or_else(|| {
            let listed: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            let expected = format!("a column of the statistics: {}", listed.join(", "));
            if self.at == start { self.error(expected) } else { self.error_since(start, expected) }
        })
    }
}

/// What is expected if the pipe may not stand behind those that the query has already.
fn misplaced(name: &str, query: &Query) -> Option<&'static str> {
    let ranked = query.stats.as_ref().is_some_and(|stats| stats.without_missing);
    match name {
        "stats" | "top" if query.stats.is_some() => Some("one `stats` or `top`, not a second"),
        "stats" | "top"
            if !query.sort.is_empty() || !query.fields.is_empty() || query.limit.is_some() =>
        {
            Some("`stats` and `top` in front of `sort`, `fields` and `limit`")
        }
        "sort" | "limit" if ranked => Some("nothing behind `top`, which sorts and limits itself"),
        "sort" if !query.sort.is_empty() => Some("one `sort`, with commas between its keys"),
        "sort" if query.limit.is_some() => Some("`sort` in front of `limit`"),
        "fields" if query.stats.is_some() => {
            Some("no `fields` here: `stats` and `top` name their columns themselves")
        }
        "fields" if !query.fields.is_empty() => Some("one `fields`, with commas between its names"),
        "limit" if query.limit.is_some() => Some("one `limit`, not a second"),
        _ => None,
    }
}

/// The function of a field with this name.
fn of_field(name: &str) -> Option<Box<dyn FnOnce(Field) -> Function>> {
    Some(match name {
        "count" => Box::new(Function::CountOf),
        "count_distinct" => Box::new(Function::CountDistinct),
        "sum" => Box::new(Function::Sum),
        "avg" => Box::new(Function::Avg),
        "min" => Box::new(Function::Min),
        "max" => Box::new(Function::Max),
        "median" => Box::new(|field| Function::Percentile(5_000, field)),
        _ => {
            let hundredths = percentile(name)?;
            Box::new(move |field| Function::Percentile(hundredths, field))
        }
    })
}

/// `p95`, `p99.9`: hundredths of a percent.
fn percentile(name: &str) -> Option<u16> {
    let digits = name.strip_prefix('p')?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let decimal = |text: &str, length: usize| {
        (1..=length).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !decimal(whole, 3) || !decimal(part, 2) {
        return None;
    }
    let hundredths =
        whole.parse::<u32>().ok()? * 100 + format!("{part:0<2}").parse::<u32>().ok()?;
    u16::try_from(hundredths).ok().filter(|&hundredths| hundredths <= 10_000)
}
