//! The syntax tree of a query's filter.

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
    /// The step in a flow.
    StepIndex,
    /// Any of the tags.
    Tags,
    /// A member of `fields` by its dotted path.
    Path(String),
}

impl Field {
    /// The field with this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "time" => Self::Time,
            "level" => Self::Level,
            "step_index" => Self::StepIndex,
            "tags" | "tag" => Self::Tags,
            _ => TextAttribute::named(name).map_or_else(
                || Self::Path(name.strip_prefix("fields.").unwrap_or(name).to_owned()),
                Self::Text,
            ),
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
    /// The value starts with this text.
    Prefix(String),
    /// There is a value.
    Exists,
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
