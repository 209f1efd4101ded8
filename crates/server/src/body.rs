//! Reads a request body: its size, its time, its compression.

use std::{borrow::Cow, io::Read};

use axum::{
    body::Body,
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_LENGTH},
    },
};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use millpond_record::limits::BODY_BYTES_MAX;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::{
    error::ApiError,
    limits::{BODIES_BYTES_MAX, BODY_BYTES_UNKNOWN, BODY_TIME_MAX, BODY_WAIT},
};

/// How a body is compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// The budget of bytes that all bodies share.
pub(crate) fn budget() -> Semaphore {
    Semaphore::new(BODIES_BYTES_MAX)
}

/// Waits for a share of the budget that fits the body.
pub(crate) async fn reserve<'a>(
    budget: &'a Semaphore,
    headers: &HeaderMap,
) -> Result<SemaphorePermit<'a>, ApiError> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let share = length.unwrap_or(BODY_BYTES_UNKNOWN);
    if share > BODY_BYTES_MAX {
        return Err(too_large(BODY_BYTES_MAX));
    }
    let share = u32::try_from(share).unwrap_or(u32::MAX);
    match timeout(BODY_WAIT, budget.acquire_many(share)).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(ApiError::overloaded("too many bodies are being stored")),
    }
}

/// Reads the body as it was sent, at most so many bytes.
pub(crate) async fn read(body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    match timeout(BODY_TIME_MAX, axum::body::to_bytes(body, bytes_max)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let too_long = std::error::Error::source(&error)
                .is_some_and(|source| source.to_string().contains("length limit"));
            Err(if too_long {
                too_large(bytes_max)
            } else {
                ApiError::body(format!("the body could not be read: {error}"))
            })
        }
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            "the body did not arrive in time",
        )),
    }
}

fn too_large(bytes_max: usize) -> ApiError {
    ApiError::too_large(format!(
        "the body is too large, expected at most {bytes_max} bytes after decompression"
    ))
}

/// The compression that the headers name.
pub(crate) fn encoding(headers: &HeaderMap) -> Result<Encoding, ApiError> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(Encoding::Identity) };
    match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Encoding::Identity),
        "gzip" | "x-gzip" => Ok(Encoding::Gzip),
        "zstd" => Ok(Encoding::Zstd),
        other => {
            let message =
                format!("unknown Content-Encoding `{other}`, expected gzip, zstd or none");
            Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", message))
        }
    }
}

/// Decompresses a body, at most to the size that a body may have.
pub(crate) fn decompress(body: &[u8], encoding: Encoding) -> Result<Cow<'_, [u8]>, ApiError> {
    match encoding {
        Encoding::Identity => Ok(Cow::Borrowed(body)),
        Encoding::Gzip => capped(MultiGzDecoder::new(body), "gzip"),
        Encoding::Zstd => capped(
            zstd::stream::read::Decoder::new(body).map_err(|error| broken("zstd", &error))?,
            "zstd",
        ),
    }
}

fn capped<'a>(decoder: impl Read, name: &str) -> Result<Cow<'a, [u8]>, ApiError> {
    let mut content = Vec::new();
    // One byte more than allowed tells "too large" from "just right".
    decoder
        .take(BODY_BYTES_MAX as u64 + 1)
        .read_to_end(&mut content)
        .map_err(|error| broken(name, &error))?;
    if content.len() > BODY_BYTES_MAX {
        Err(too_large(BODY_BYTES_MAX))
    } else {
        Ok(Cow::Owned(content))
    }
}

fn broken(name: &str, error: &std::io::Error) -> ApiError {
    ApiError::body(format!("the body is no whole {name} stream: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decompression_bomb_is_refused_at_the_limit() {
        let zeros = vec![b' '; BODY_BYTES_MAX + 1];
        let bomb = zstd::bulk::compress(&zeros, 3).unwrap();
        assert!(bomb.len() < 100_000);
        let error = decompress(&bomb, Encoding::Zstd).unwrap_err();
        assert!(format!("{error:?}").contains("body_too_large"));
        let largest = zstd::bulk::compress(&zeros[1..], 3).unwrap();
        assert_eq!(decompress(&largest, Encoding::Zstd).unwrap().len(), BODY_BYTES_MAX);
    }

    #[test]
    fn a_broken_stream_is_refused() {
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let error = decompress(b"no such stream", encoding).unwrap_err();
            assert!(format!("{error:?}").contains("invalid_body"));
        }
    }
}
