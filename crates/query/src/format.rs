//! [`Query`] and [`Filter`] -> text that reads back as the same tree, if the tree was read from text and what is written
//! is no longer than a query may be.

use std::fmt::{self, Display as _};

use millpond_record::TextAttribute;

use crate::{
    Comparison, Condition, Field, Filter, Function, Group, Query, SortBy, SortKey, Stats,
    StatsColumn, Test,
    parse::{is_name, starts_name},
};

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.filter.fmt(f)?;
        match &self.stats {
            // Only `top` leaves out what is missing, and it says its order and its limit itself.
            Some(stats) if stats.without_missing => {
                f.write_str(" | top ")?;
                if let Some(limit) = self.limit {
                    write!(f, "{limit} ")?;
                }
                return list(f, &stats.by);
            }
            Some(stats) => write!(f, " | stats {stats}")?,
            None => {}
        }
        if !self.sort.is_empty() {
            f.write_str(" | sort ")?;
            let keys: Vec<_> = self.sort.iter().map(|key| Key(key, self.stats.as_ref())).collect();
            list(f, &keys)?;
        }
        if let Some(limit) = self.limit {
            write!(f, " | limit {limit}")?;
        }
        if !self.fields.is_empty() {
            f.write_str(" | fields ")?;
            list(f, &self.fields)?;
        }
        Ok(())
    }
}

fn list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

impl fmt::Display for Stats {
    /// What stands behind `stats`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, &self.functions)?;
        if !self.by.is_empty() {
            f.write_str(" by ")?;
            list(f, &self.by)?;
        }
        Ok(())
    }
}

impl fmt::Display for StatsColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Call(&self.function).fmt(f)?;
        if *self == Self::from(self.function.clone()) {
            return Ok(());
        }
        write!(f, " as {}", Name(&self.name))
    }
}

/// A function as it is written, which is the name of its column but for quotes.
struct Call<'a>(&'a Function);

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.field() {
            Some(field) => write!(f, "{}({field})", self.0.name()),
            None => write!(f, "{}()", self.0.name()),
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => field.fmt(f),
            Self::Bin(interval) => write!(f, "bin({interval})"),
        }
    }
}

/// A key of an order, and the statistics whose columns it may name.
struct Key<'a>(&'a SortKey, Option<&'a Stats>);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(SortKey { by, descending }, stats) = self;
        f.write_str(if *descending { "-" } else { "" })?;
        let place = match by {
            SortBy::Field(field) => return field.fmt(f),
            SortBy::Column(place) => *place,
        };
        let Some(stats) = stats else { return Ok(()) };
        let name = stats.column_names().get(place).cloned().unwrap_or_default();
        let column = place.checked_sub(stats.by.len()).and_then(|n| stats.functions.get(n));
        match column {
            Some(column) if !is_plain(&name) && *column == column.function.clone().into() => {
                Call(&column.function).fmt(f)
            }
            _ => Name(&name).fmt(f),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::And(parts) => joined(f, parts, " ", grouped),
            // What is joined by AND needs no parentheses here: a query must not get deeper by being written.
            Self::Or(parts) => joined(f, parts, " OR ", |f, part| match part {
                Self::And(_) => part.fmt(f),
                _ => grouped(f, part),
            }),
            Self::Not(part) => {
                f.write_str("-")?;
                grouped(f, part)
            }
            Self::Is(condition) => condition.fmt(f),
        }
    }
}

fn joined(
    f: &mut fmt::Formatter<'_>,
    parts: &[Filter],
    between: &str,
    write: impl Fn(&mut fmt::Formatter<'_>, &Filter) -> fmt::Result,
) -> fmt::Result {
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            f.write_str(between)?;
        }
        write(f, part)?;
    }
    Ok(())
}

/// In parentheses if the part is joined from others.
fn grouped(f: &mut fmt::Formatter<'_>, part: &Filter) -> fmt::Result {
    match part {
        Filter::And(_) | Filter::Or(_) => write!(f, "({part})"),
        _ => part.fmt(f),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field != Field::Words {
            write!(f, "{}:", self.field)?;
        }
        // These are searched by their words unless a sign says otherwise.
        let by_words = matches!(self.field, Field::Text(TextAttribute::Message) | Field::Fields);
        match &self.test {
            Test::Words { text, prefix } => {
                write!(f, "{}{}", Quoted(text), if *prefix { "*" } else { "" })
            }
            Test::Compare(Comparison::Equal, text) if by_words => write!(f, "={}", Quoted(text)),
            Test::Compare(comparison, text) => write!(f, "{}{}", comparison.sign(), Quoted(text)),
            Test::Level(comparison, level) => write!(f, "{}{level}", comparison.sign()),
            Test::Pattern(pattern) => {
                f.write_str(if by_words { "=" } else { "" })?;
                for (place, piece) in pattern.pieces.iter().enumerate() {
                    if place > 0 {
                        f.write_str("*")?;
                    }
                    if !piece.is_empty() {
                        write!(f, "{}", Quoted(piece))?;
                    }
                }
                Ok(())
            }
            Test::Regex(pattern) => Slashed(pattern).fmt(f),
            Test::Exists => f.write_str("*"),
        }
    }
}

impl fmt::Display for Field {
    /// The field's name as a query has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            // Not even in quotes is `12` in `12:30` a field.
            Self::Path(path) if !starts_name(&name) => Name(&format!("fields.{path}")).fmt(f),
            _ => Name(&name).fmt(f),
        }
    }
}

/// A name, in quotes if it needs them.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_plain(self.0) { f.write_str(self.0) } else { quote(f, self.0) }
    }
}

fn is_plain(name: &str) -> bool {
    starts_name(name) && name.chars().all(is_name)
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = !self.0.is_empty()
            && self.0.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
        if plain && !matches!(self.0, "OR" | "AND" | "NOT") {
            return f.write_str(self.0);
        }
        quote(f, self.0)
    }
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A regular expression with a backslash before each slash.
struct Slashed<'a>(&'a str);

impl fmt::Display for Slashed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/")?;
        let mut escaped = false;
        for character in self.0.chars() {
            if character == '/' && !escaped {
                f.write_str("\\")?;
            }
            write!(f, "{character}")?;
            escaped = character == '\\' && !escaped;
        }
        f.write_str("/")
    }
}
