//! Streamlogia: what its clients and collectors send, and records as it shows them.

use crate::output::{BodyError, Output};

pub(crate) fn read(text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    crate::json::read(text, output)
}

pub(crate) fn read_bulk(text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    crate::json::read(text, output)
}
