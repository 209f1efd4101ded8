//! Reads a request body: its size, its pace, its compression. Every byte is covered by the budget before it is kept.

use std::io::Read;

use axum::{
    body::Body,
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_LENGTH},
    },
};
use flate2::bufread::MultiGzDecoder;
use futures::StreamExt;
use tokio::{
    runtime::Handle,
    time::{Duration, Instant, timeout_at},
};

use crate::{
    budget::{BodyShare, Budget},
    error::ApiError,
    limits::{BODY_PAUSE_MAX, BODY_RATE_MIN, BODY_STEP_BYTES, CONNECTION_BUFFER_BYTES},
};

/// How a body is compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// A body and its share of the budget.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    share: BodyShare,
}

impl Received {
    fn empty(budget: &Budget) -> Self {
        Self { bytes: Vec::new(), share: budget.body() }
    }

    /// Covers so many bytes, in steps so that it need not ask often, and what the connection buffers beside them.
    async fn cover(&mut self, size: usize, length: Option<usize>) -> Result<(), ApiError> {
        let step = size.next_multiple_of(BODY_STEP_BYTES).min(2 * size);
        let expected = length.unwrap_or(usize::MAX).max(size);
        self.share.cover(step.min(expected) + CONNECTION_BUFFER_BYTES).await
    }

    /// Makes room for bytes that are expected, without touching it: what never comes takes no memory.
    fn expect(&mut self, bytes: usize) -> Result<(), ApiError> {
        let missing = bytes.saturating_sub(self.bytes.len());
        let reserved = self.bytes.try_reserve_exact(missing);
        reserved.map_err(|_| ApiError::overloaded("there is no memory for the body"))
    }
}

/// Reads the body as it was sent, at most so many bytes.
pub(crate) async fn read(
    body: Body,
    headers: &HeaderMap,
    budget: &Budget,
    bytes_max: usize,
) -> Result<Received, ApiError> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length: Option<usize> = length;
    if length.is_some_and(|length| length > bytes_max) {
        return Err(too_large(bytes_max));
    }
    let mut received = Received::empty(budget);
    let expected = length.unwrap_or_default();
    received.share.expect(expected).await?;
    received.cover(expected.min(BODY_STEP_BYTES), length).await?;
    let mut body = body.into_data_stream();
    let mut deadline = Instant::now() + BODY_PAUSE_MAX;
    while let Some(part) = timeout_at(deadline, body.next()).await.map_err(|_| too_slow())? {
        let part =
            part.map_err(|error| ApiError::body(format!("the body could not be read: {error}")))?;
        let size = received.bytes.len() + part.len();
        if size > bytes_max {
            return Err(too_large(bytes_max));
        }
        let asked = Instant::now();
        received.cover(size, length).await?;
        received.expect(expected)?;
        received.bytes.extend_from_slice(&part);
        // While it waited for us it could not send.
        deadline = (deadline + asked.elapsed() + time_for(part.len()))
            .min(Instant::now() + BODY_PAUSE_MAX);
    }
    Ok(received)
}

/// How long so many bytes may take.
fn time_for(bytes: usize) -> Duration {
    Duration::from_micros(bytes as u64 * 1_000_000 / BODY_RATE_MIN)
}

fn too_slow() -> ApiError {
    let message = format!(
        "the body did not arrive in time, expected at least {BODY_RATE_MIN} bytes a second and no pause of {} s",
        BODY_PAUSE_MAX.as_secs()
    );
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message)
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

/// Decompresses a body, at most to the size that a body may have. Blocks, also for its share of the budget.
pub(crate) fn decompress(
    mut body: Received,
    encoding: Encoding,
    budget: &Budget,
) -> Result<Received, ApiError> {
    match encoding {
        Encoding::Identity => Ok(body),
        Encoding::Gzip => {
            let declared = gzip_size(&body.bytes);
            capped(MultiGzDecoder::new(&*body.bytes), "gzip", declared, &mut body.share, budget)
        }
        Encoding::Zstd => {
            let declared = zstd::zstd_safe::get_frame_content_size(&body.bytes).ok().flatten();
            let decoder = zstd::stream::read::Decoder::with_buffer(&*body.bytes)
                .map_err(|error| broken("zstd", &error))?;
            capped(decoder, "zstd", declared.unwrap_or_default(), &mut body.share, budget)
        }
    }
}

/// What the last bytes of a gzip stream say about its size; a hint, nobody holds it to that.
fn gzip_size(body: &[u8]) -> u64 {
    body.last_chunk().map_or(0, |&size| u64::from(u32::from_le_bytes(size)))
}

fn capped(
    mut decoder: impl Read,
    name: &str,
    declared: u64,
    compressed: &mut BodyShare,
    budget: &Budget,
) -> Result<Received, ApiError> {
    // Both are there at the same time: what together never fits must not be told to come back.
    let beside = budget.bodies_bytes().saturating_sub(compressed.bytes());
    let bytes_max = budget.body_bytes_max().min(beside);
    let mut content = Received::empty(budget);
    content.share.succeed(compressed);
    let declared = usize::try_from(declared).unwrap_or(usize::MAX).min(bytes_max);
    Handle::current().block_on(content.share.expect(declared))?;
    content.expect(declared)?;
    loop {
        let size = content.bytes.len();
        Handle::current().block_on(content.share.cover((size + BODY_STEP_BYTES).min(bytes_max)))?;
        // One byte more than allowed tells "too large" from "just right".
        let step = BODY_STEP_BYTES.min(bytes_max - size + 1) as u64;
        let read = decoder.by_ref().take(step).read_to_end(&mut content.bytes);
        if read.map_err(|error| broken(name, &error))? == 0 {
            return Ok(content);
        }
        if content.bytes.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
    }
}

fn broken(name: &str, error: &std::io::Error) -> ApiError {
    ApiError::body(format!("the body is no whole {name} stream: {error}"))
}

#[cfg(test)]
mod tests {
    use millpond_record::limits::BODY_BYTES_MAX;

    use super::*;
    use crate::{limits::MEMORY_BYTES, memory::Shares};

    fn budget() -> Budget {
        Budget::new(Shares::of(MEMORY_BYTES))
    }

    async fn decompressed(bytes: Vec<u8>, encoding: Encoding) -> Result<Vec<u8>, ApiError> {
        let budget = budget();
        let body = Received { bytes, share: budget.body() };
        let decompressing =
            tokio::task::spawn_blocking(move || decompress(body, encoding, &budget));
        decompressing.await.unwrap().map(|body| body.bytes)
    }

    #[tokio::test]
    async fn a_decompression_bomb_is_refused_at_the_limit() {
        let zeros = vec![b' '; BODY_BYTES_MAX + 1];
        let bomb = zstd::bulk::compress(&zeros, 3).unwrap();
        assert!(bomb.len() < 100_000);
        let error = decompressed(bomb, Encoding::Zstd).await.unwrap_err();
        assert!(format!("{error:?}").contains("body_too_large"));
        let largest = zstd::bulk::compress(&zeros[1..], 3).unwrap();
        assert_eq!(decompressed(largest, Encoding::Zstd).await.unwrap().len(), BODY_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_broken_stream_is_refused() {
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let error = decompressed(b"no such stream".to_vec(), encoding).await.unwrap_err();
            assert!(format!("{error:?}").contains("invalid_body"));
        }
    }

    /// A body that sends a part each so many seconds.
    fn dripping(parts: usize, part: &'static [u8], pause: Duration) -> Body {
        let drops = futures::stream::iter(0..parts).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, std::io::Error>(part)
        });
        Body::from_stream(drops)
    }

    async fn received(body: Body) -> Result<usize, ApiError> {
        let budget = budget();
        let received = read(body, &HeaderMap::new(), &budget, 1 << 20).await;
        let size = received.map(|received| received.bytes.len());
        assert_eq!(budget.held().0, 0);
        size
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up_and_a_slow_one_is_not() {
        let error = received(dripping(1000, b"x", Duration::from_secs(1))).await.unwrap_err();
        assert!(format!("{error:?}").contains("body_too_slow"));
        static SECOND: [u8; BODY_RATE_MIN as usize] = [b'x'; BODY_RATE_MIN as usize];
        let slow = received(dripping(60, &SECOND, Duration::from_secs(1))).await;
        assert_eq!(slow.unwrap(), 60 * SECOND.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_began_fast_may_not_pause_longer_for_that() {
        static FAST: [u8; 1 << 19] = [b'x'; 1 << 19];
        let parts = [(0, &FAST[..]), (BODY_PAUSE_MAX.as_secs() + 1, &FAST[..])];
        let body = futures::stream::iter(parts).then(|(pause, part)| async move {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            Ok::<_, std::io::Error>(part)
        });
        let error = received(Body::from_stream(body)).await.unwrap_err();
        assert!(format!("{error:?}").contains("body_too_slow"));
    }

    #[tokio::test]
    async fn a_body_without_a_length_is_refused_when_it_passes_the_limit() {
        static PART: [u8; 1 << 19] = [b'x'; 1 << 19];
        let error = received(dripping(3, &PART, Duration::ZERO)).await.unwrap_err();
        assert!(format!("{error:?}").contains("body_too_large"));
    }
}
