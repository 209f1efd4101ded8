//! `json`: the shapes that `millpond_record::Body` reads.

use millpond_record::{Body, BodyFormat};

use crate::output::{BodyError, Output};

pub(crate) fn read(text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    for item in Body::new(text, BodyFormat::Json, output.observed())? {
        let (record, json) = item?;
        output.decoded(None, record, json)?;
    }
    Ok(())
}
