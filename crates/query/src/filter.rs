//! The syntax tree of a query's filter.

use std::borrow::Cow;

use millpond_record::{Level, TextAttribute};

/// Which records a query selects.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Every record.
    All,
    /// Records that satisfy each part. At least two parts.
    And(Vec<Filter>),
    /// Records that satisfy one part or more. At least two parts.
    Or(Vec<Filter>),
    /// Records that don't satisfy the part.
    Not(Box<Filter>),
    /// Records whose field passes the test.
    Is(Condition),
}

impl Filter {
    /// Both filters; [`Filter::All`] adds nothing.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, filter) | (filter, Self::All) => filter,
            (Self::And(mut parts), Self::And(more)) => {
                parts.extend(more);
                Self::And(parts)
            }
            (Self::And(mut parts), part) => {
                parts.push(part);
                Self::And(parts)
            }
            (first, second) => Self::And(vec![first, second]),
        }
    }

    /// All conditions, in their order.
    #[must_use]
    pub fn conditions(&self) -> Vec<&Condition> {
        match self {
            Self::All => Vec::new(),
            Self::Is(condition) => vec![condition],
            Self::Not(part) => part.conditions(),
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::conditions).collect(),
        }
    }

    /// A record attribute has exactly this value.
    #[must_use]
    pub fn equals(attribute: TextAttribute, value: impl Into<String>) -> Self {
        Self::Is(Condition {
            field: Field::Text(attribute),
            test: Test::Compare(Comparison::Equal, value.into()),
        })
    }
}

/// One test of one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The field.
    pub field: Field,
    /// What must hold for it.
    pub test: Test,
}

/// What a condition looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// No field was named: the words of the message.
    Words,
    /// The event time; the text of its tests is a time.
    Time,
    /// The level, ordered by severity; the text of its tests is a level.
    Level,
    /// A text attribute of the record; where a record does not have it, the member of `fields` of that name.
    Text(TextAttribute),
    /// The OpenTelemetry severity number, 1 to 24.
    SeverityNumber,
    /// The step in a flow.
    StepIndex,
    /// Any of the tags.
    Tags,
    /// The message with a mark in the place of each word that has a digit in it: what messages of one kind share.
    Template,
    /// A member of the exception by its dotted path.
    Exception(String),
    /// A member of `fields` by its dotted path.
    Path(String),
    /// Any value in `fields`, at whatever depth, that is no object or array itself.
    Fields,
}

impl Field {
    /// The field with this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "time" => Self::Time,
            "level" => Self::Level,
            "severity_number" => Self::SeverityNumber,
            "step_index" => Self::StepIndex,
            "tags" | "tag" => Self::Tags,
            "template" => Self::Template,
            "fields" => Self::Fields,
            _ => Self::text(name)
                .or_else(|| {
                    name.strip_prefix("exception.").map(|path| Self::Exception(path.to_owned()))
                })
                .unwrap_or_else(|| Self::path(name)),
        }
    }

    fn text(name: &str) -> Option<Self> {
        TextAttribute::named(name).map(Self::Text)
    }

    fn path(name: &str) -> Self {
        Self::Path(name.strip_prefix("fields.").unwrap_or(name).to_owned())
    }

    /// The name under which the field is asked for.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Words => Cow::Borrowed(TextAttribute::Message.name()),
            Self::Time => Cow::Borrowed("time"),
            Self::Level => Cow::Borrowed("level"),
            Self::Text(attribute) => Cow::Borrowed(attribute.name()),
            Self::SeverityNumber => Cow::Borrowed("severity_number"),
            Self::StepIndex => Cow::Borrowed("step_index"),
            Self::Tags => Cow::Borrowed("tags"),
            Self::Template => Cow::Borrowed("template"),
            Self::Fields => Cow::Borrowed("fields"),
            Self::Exception(path) => Cow::Owned(format!("exception.{path}")),
            // A member of `fields` that has the name of an attribute is asked for by its whole name.
            Self::Path(path) if Self::named(path) == *self => Cow::Borrowed(path),
            Self::Path(path) => Cow::Owned(format!("fields.{path}")),
        }
    }
}

/// A test of a field's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The words of the text stand in the value one after the other; the last may be the start of a longer word.
    Words {
        /// Text with at least one word in it.
        text: String,
        /// Whether the last word may go on.
        prefix: bool,
    },
    /// The value compares so with this text.
    Compare(Comparison, String),
    /// The level compares so with this one; a more serious level is greater.
    Level(Comparison, Level),
    /// The value has this form.
    Pattern(Pattern),
    /// The value contains a match of this regular expression (the syntax of the crate `regex`).
    Regex(String),
    /// There is a value.
    Exists,
}

/// Texts with anything between them: `u_1*`, `*.png`, `*timeout*`, `GET */orders`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What must stand in the value, in this order: the first at its start and the last at its end, both of which may
    /// be empty. At least two; none between them is empty, and not all are.
    pub pieces: Vec<String>,
}

impl Pattern {
    /// Values that start with a text.
    #[must_use]
    pub fn prefix(text: impl Into<String>) -> Self {
        Self { pieces: vec![text.into(), String::new()] }
    }

    /// Whether the value has this form.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let Some((first, rest)) = self.pieces.split_first() else { return false };
        let Some((last, between)) = rest.split_last() else { return false };
        let Some(mut left) = value.strip_prefix(first.as_str()) else { return false };
        for piece in between {
            // The first place that fits leaves the most for what comes behind.
            match left.find(piece.as_str()) {
                Some(at) => left = left.get(at + piece.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        left.ends_with(last.as_str())
    }
}

/// How a value compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`, or no sign.
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// The sign as it is written; nothing for equality.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Equal => "",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// Whether `ordering`, of the value to the text of the query, satisfies the comparison.
    #[must_use]
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}
