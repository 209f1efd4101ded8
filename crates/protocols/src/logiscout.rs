//! LogiScout: the payloads that its clients send, one for each request that was served.

use crate::output::{BodyError, Output};

pub(crate) fn read(text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    crate::json::read(text, output)
}
