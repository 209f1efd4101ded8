//! `jsonl`: one JSON object a line. A line that is no JSON costs only itself.

use millpond_record::{Body, BodyFormat};

use crate::{
    lines::lines,
    output::{BodyError, Output},
};

pub(crate) fn read(text: &str, output: &mut Output<'_>) -> Result<(), BodyError> {
    for (number, line) in lines(text) {
        // A line that holds nothing but a byte order mark is a blank one.
        let body = Body::new(line, BodyFormat::JsonLines, output.observed());
        for item in body.into_iter().flatten() {
            let (record, json) = item?;
            output.decoded(Some(number), record, json)?;
        }
    }
    if output.is_empty() { Err(millpond_record::BodyError::Empty.into()) } else { Ok(()) }
}
