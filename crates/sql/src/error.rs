//! Why a statement has no answer, in words for the person who wrote it.

use std::fmt;

use datafusion::{
    arrow::error::ArrowError, error::DataFusionError, sql::sqlparser::parser::ParserError,
};
use millpond_store::QueryError;

use crate::limits::DEPTH_MAX;

/// A statement has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// The statement is wrong, or asks for what is not offered.
    #[error("{message}{}", Shown(.position))]
    Invalid {
        /// What is wrong, and what was expected.
        message: String,
        /// Where, if that is known.
        position: Option<Position>,
    },
    /// Queries need more memory than they may have; a narrower one, or the same one later, may do.
    #[error(
        "SQL queries need more memory than the {limit_bytes} bytes that they may have together, expected a narrower \
         time range or filter, fewer groups, or a `LIMIT` beside `ORDER BY`"
    )]
    OutOfMemory {
        /// What SQL queries may have together.
        limit_bytes: usize,
    },
    /// It took longer than it may.
    #[error(
        "the query took longer than {milliseconds} ms, expected a narrower time range or filter"
    )]
    Timeout {
        /// How long it was allowed to run.
        milliseconds: u128,
    },
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] QueryError),
    /// A fault of ours.
    #[error("run the statement: {0}")]
    Internal(String),
}

/// A place in a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: u64,
    /// Character in the line, from 1.
    pub column: u64,
}

struct Shown<'a>(&'a Option<Position>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Position { line, column }) => write!(f, " at line {line}, column {column}"),
            None => Ok(()),
        }
    }
}

impl SqlError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), position: None }
    }

    /// What the parser says; it writes the place at the end of its sentence.
    pub(crate) fn syntax(error: &ParserError) -> Self {
        let text = match error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
            ParserError::RecursionLimitExceeded => {
                return Self::invalid(format!(
                    "nested too deeply, expected at most {DEPTH_MAX} levels"
                ));
            }
        };
        let placed = text.rsplit_once(" at Line: ").and_then(|(message, place)| {
            let (line, column) = place.split_once(", Column: ")?;
            let position =
                Position { line: line.parse().ok()?, column: column.trim().parse().ok()? };
            Some((message, position))
        });
        match placed {
            Some((message, position)) => {
                Self::Invalid { message: message.to_owned(), position: Some(position) }
            }
            None => Self::invalid(text.clone()),
        }
    }

    /// What planning or running says. `limit_bytes` is what statements may have of memory.
    pub(crate) fn from_datafusion(error: DataFusionError, limit_bytes: usize) -> Self {
        let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
        let position = span
            .map(|span| Position { line: span.start.line, column: span.start.column })
            .filter(|position| position.line > 0);
        Self::innermost(error, position, limit_bytes)
    }

    fn innermost(error: DataFusionError, position: Option<Position>, limit_bytes: usize) -> Self {
        use DataFusionError as E;
        match error {
            E::Context(_, inner) | E::Diagnostic(_, inner) => {
                Self::innermost(*inner, position, limit_bytes)
            }
            E::Collection(errors) => match errors.into_iter().next() {
                Some(first) => Self::innermost(first, position, limit_bytes),
                None => Self::Internal("failed without an error".to_owned()),
            },
            E::ResourcesExhausted(_) => Self::OutOfMemory { limit_bytes },
            E::External(inner) => match inner.downcast::<QueryError>() {
                Ok(error) => Self::Store(*error),
                // What a function complains of, such as a regular expression.
                Err(other) => Self::Invalid { message: other.to_string(), position },
            },
            E::ArrowError(inner, _) => match *inner {
                ArrowError::ExternalError(inner) => match inner.downcast::<DataFusionError>() {
                    Ok(error) => Self::innermost(*error, position, limit_bytes),
                    Err(other) => Self::Invalid { message: other.to_string(), position },
                },
                ArrowError::MemoryError(_) => Self::OutOfMemory { limit_bytes },
                other => Self::Invalid { message: other.to_string(), position },
            },
            E::Shared(inner) => match inner.as_ref() {
                E::ResourcesExhausted(_) => Self::OutOfMemory { limit_bytes },
                other => Self::Internal(other.strip_backtrace()),
            },
            E::SQL(error, _) => Self::syntax(&error),
            error @ (E::Plan(_)
            | E::SchemaError(..)
            | E::NotImplemented(_)
            | E::Execution(_)
            | E::Configuration(_)) => {
                Self::Invalid { message: error.message().into_owned(), position }
            }
            other => Self::Internal(other.strip_backtrace()),
        }
    }
}
