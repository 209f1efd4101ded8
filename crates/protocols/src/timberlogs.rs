//! Timberlogs: what its clients send.

use millpond_wire::Format;

use crate::output::{BodyError, Output};

pub(crate) fn read(_format: Format, text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    crate::json::read(text, output)
}
