//! Decides what an answer means for the batch that it answers. Pure: no clock, no socket.

use std::time::{Duration, SystemTime};

use millpond_record::json::{Reader, SyntaxError};

/// What came back for a batch.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// The `Retry-After` header.
    pub retry_after: Option<&'a str>,
    /// The body.
    pub body: &'a str,
}

/// What to do with the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is on the server's disk, as far as its records were any.
    Delivered {
        /// Records that were stored.
        accepted: u64,
        /// Records that the server would never store.
        rejected: u64,
    },
    /// Not now. The same batch with the same key may be sent again.
    Retry {
        /// The server's wish; without one it is for the sender to say when.
        after: Option<Duration>,
    },
    /// Sending the same again will not help.
    Refused(Refusal),
}

/// Why a batch was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// 413: fewer records may pass.
    #[error("the batch is too large")]
    TooLarge,
    /// 400, 422 and what has no name here: the batch is at fault.
    #[error("the batch is not understood")]
    BadRequest,
    /// 415: another compression may pass.
    #[error("the compression is not supported")]
    UnsupportedEncoding,
    /// 401: the key is missing or wrong.
    #[error("the key is missing or wrong")]
    Unauthorized,
    /// 403: the key may not do this.
    #[error("the key may not ingest")]
    Forbidden,
    /// 404, 405 and redirects, which are not followed: this is no address of a Millpond server.
    #[error("the address is not that of a Millpond server")]
    WrongAddress,
}

impl Refusal {
    /// Whether the sender's settings are at fault rather than the batch: it may be sent again once someone has
    /// corrected them, here or on the server.
    #[must_use]
    pub const fn is_settings(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Forbidden | Self::WrongAddress)
    }
}

impl Verdict {
    /// The meaning of an answer. `now` is the time at which it came; a `Retry-After` that is a date counts from it.
    #[must_use]
    pub fn of(answer: &Answer<'_>, now: SystemTime) -> Self {
        match answer.status {
            // A success that doesn't say how many records it took comes from something in between, and has stored
            // nothing.
            200..=299 => match receipt(answer.body) {
                Ok(Some((accepted, rejected))) => Self::Delivered { accepted, rejected },
                _ => Self::Retry { after: None },
            },
            408 | 425 | 429 => Self::Retry { after: answer.delay(now) },
            413 => Self::Refused(Refusal::TooLarge),
            415 => Self::Refused(Refusal::UnsupportedEncoding),
            401 => Self::Refused(Refusal::Unauthorized),
            403 => Self::Refused(Refusal::Forbidden),
            300..=399 | 404 | 405 | 410 => Self::Refused(Refusal::WrongAddress),
            400..=499 => Self::Refused(Refusal::BadRequest),
            _ => Self::Retry { after: answer.delay(now) },
        }
    }

    /// The meaning of an answer of any server to a batch of so many entries: every success has taken all of them, but
    /// for those that it lists as `rejected`, and who wants to be asked later may say so in the body as well.
    #[must_use]
    pub fn of_any(answer: &Answer<'_>, entries: u64, now: SystemTime) -> Self {
        match answer.status {
            200..=299 => {
                let listed = member(answer.body, "rejected", |reader| {
                    reader.require(b'[', "`[`")?;
                    elements(reader)
                });
                let rejected = listed.unwrap_or_default().min(entries);
                Self::Delivered { accepted: entries - rejected, rejected }
            }
            _ => match Self::of(answer, now) {
                Self::Retry { after: None } => Self::Retry { after: answer.delay_in_body() },
                verdict => verdict,
            },
        }
    }
}

impl Answer<'_> {
    /// RFC 9110, 10.2.3: seconds, or a date. Some servers send fractions of a second.
    fn delay(&self, now: SystemTime) -> Option<Duration> {
        let text = self.retry_after?.trim();
        if let Ok(seconds) = text.parse() {
            return Duration::try_from_secs_f64(seconds).ok();
        }
        let at = httpdate::parse_http_date(text).ok()?;
        Some(at.duration_since(now).unwrap_or_default())
    }

    /// The seconds of `{"retryAfter":60}`.
    fn delay_in_body(&self) -> Option<Duration> {
        let seconds = member(self.body, "retryAfter", |reader| reader.number().map(str::parse))?;
        Duration::try_from_secs_f64(seconds.ok()?).ok()
    }
}

/// Reads one member of the object that the text is; `None` if it is none, or has none of that name.
fn member<'a, T>(
    text: &'a str,
    name: &str,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, SyntaxError>,
) -> Option<T> {
    let mut reader = Reader::new(text);
    reader.require(b'{', "`{`").ok()?;
    while reader.key().ok()? != name {
        reader.skip_value().ok()?;
        reader.require(b',', "`,`").ok()?;
    }
    read(&mut reader).ok()
}

/// Accepted and rejected records of `{"accepted":2,"rejected":[…],"rejected_count":0,…}`; `None` if the object
/// doesn't say.
fn receipt(body: &str) -> Result<Option<(u64, u64)>, SyntaxError> {
    let mut reader = Reader::new(body);
    let (mut accepted, mut listed, mut counted) = (None, 0, None);
    reader.require(b'{', "`{`")?;
    if reader.take(b'}') {
        return Ok(None);
    }
    loop {
        match reader.key()?.as_ref() {
            "accepted" if reader.peek() != Some(b'[') => accepted = reader.number()?.parse().ok(),
            "rejected_count" => counted = reader.number()?.parse().ok(),
            "rejected" if reader.take(b'[') => listed = elements(&mut reader)?,
            _ => reader.skip_value()?,
        }
        if !reader.take(b',') {
            reader.require(b'}', "`,` or `}`")?;
            return Ok(accepted.map(|accepted| (accepted, counted.unwrap_or(listed))));
        }
    }
}

/// Counts the elements of the array that the reader stands in.
fn elements(reader: &mut Reader<'_>) -> Result<u64, SyntaxError> {
    let mut count = 0;
    if reader.take(b']') {
        return Ok(count);
    }
    loop {
        reader.skip_value()?;
        count += 1;
        if !reader.take(b',') {
            reader.require(b']', "`,` or `]`")?;
            return Ok(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000_000);

    fn verdict(status: u16, retry_after: Option<&str>, body: &str) -> Verdict {
        Verdict::of(&Answer { status, retry_after, body }, SystemTime::UNIX_EPOCH + NOW)
    }

    #[test]
    fn a_success_says_how_many_records_were_stored_and_rejected() {
        for (body, accepted, rejected) in [
            (r#"{"accepted":2,"rejected":[],"duplicate":false}"#, 2, 0),
            (
                r#"{ "accepted": 2, "rejected": [ {"index":1,"reason":"]"}, {"index":5,"reason":"x"} ] }"#,
                2,
                2,
            ),
            (
                r#"{"rejected":[{"index":0}],"rejected_count":700,"accepted":0,"later":{"k":[1]}}"#,
                0,
                700,
            ),
        ] {
            assert_eq!(
                verdict(200, None, body),
                Verdict::Delivered { accepted, rejected },
                "{body}"
            );
        }
    }

    #[test]
    fn a_success_without_a_receipt_has_stored_nothing() {
        for body in [
            "",
            "ok",
            "{}",
            "<html>",
            r#"{"accepted":"#,
            r#"{"accepted":null}"#,
            r#"{"accepted":[1]}"#,
            "[]",
        ] {
            assert_eq!(verdict(200, None, body), Verdict::Retry { after: None }, "{body}");
        }
    }

    #[test]
    fn a_server_in_trouble_is_asked_again_when_it_wishes() {
        for status in [408, 425, 429, 500, 502, 503, 504, 507] {
            assert_eq!(verdict(status, None, ""), Verdict::Retry { after: None });
            assert_eq!(
                verdict(status, Some(" 7 "), ""),
                Verdict::Retry { after: Some(Duration::from_secs(7)) }
            );
        }
        assert_eq!(
            verdict(503, Some("Sun, 09 Sep 2001 01:47:00 GMT"), ""),
            Verdict::Retry { after: Some(Duration::from_secs(20)) }
        );
        assert_eq!(
            verdict(503, Some("Sun, 09 Sep 2001 01:46:00 GMT"), ""),
            Verdict::Retry { after: Some(Duration::ZERO) }
        );
        let half = Duration::from_millis(1_500);
        assert_eq!(verdict(503, Some("1.5"), ""), Verdict::Retry { after: Some(half) });
        for nonsense in ["soon", "-1", "inf", "NaN", ""] {
            assert_eq!(verdict(503, Some(nonsense), ""), Verdict::Retry { after: None });
        }
    }

    #[test]
    fn every_refusal_has_its_reason() {
        for (status, refusal, is_settings) in [
            (400, Refusal::BadRequest, false),
            (401, Refusal::Unauthorized, true),
            (403, Refusal::Forbidden, true),
            (404, Refusal::WrongAddress, true),
            (307, Refusal::WrongAddress, true),
            (413, Refusal::TooLarge, false),
            (415, Refusal::UnsupportedEncoding, false),
            (422, Refusal::BadRequest, false),
            (499, Refusal::BadRequest, false),
        ] {
            assert_eq!(verdict(status, Some("9"), ""), Verdict::Refused(refusal), "{status}");
            assert_eq!(refusal.is_settings(), is_settings, "{status}");
        }
    }

    fn of_any(status: u16, retry_after: Option<&str>, body: &str) -> Verdict {
        let answer = Answer { status, retry_after, body };
        Verdict::of_any(&answer, 3, SystemTime::UNIX_EPOCH + NOW)
    }

    #[test]
    fn any_success_of_any_server_takes_all_but_what_it_lists_as_rejected() {
        for (status, body, rejected) in [
            (200, "", 0),
            (202, "<html>", 0),
            (204, "", 0),
            (201, "[1]", 0),
            (200, r#"{"received":3}"#, 0),
            (200, r#"{"rejected":2}"#, 0),
            (200, r#"{"received":2, "rejected":[{"index":0,"reason":"]"}]}"#, 1),
            (200, r#"{"rejected":[1,2,3,4,5]}"#, 3),
            (200, r#"{"rejected":[1,2"#, 0),
        ] {
            let delivered = Verdict::Delivered { accepted: 3 - rejected, rejected };
            assert_eq!(of_any(status, None, body), delivered, "{body}");
        }
    }

    #[test]
    fn any_server_says_in_the_header_or_in_the_body_when_it_wants_to_be_asked_again() {
        let after = |seconds| Verdict::Retry { after: Some(Duration::from_secs_f64(seconds)) };
        let body = r#"{"error":"x","retryAfter":60.5,"more":1}"#;
        assert_eq!(of_any(429, None, body), after(60.5));
        assert_eq!(of_any(503, Some("7"), body), after(7.0));
        for nothing in ["", "[]", "{}", r#"{"retryAfter":-1}"#, r#"{"retryAfter":"60"}"#] {
            assert_eq!(of_any(429, None, nothing), Verdict::Retry { after: None }, "{nothing}");
        }
        assert_eq!(of_any(400, None, body), Verdict::Refused(Refusal::BadRequest));
    }

    proptest! {
        #[test]
        fn whatever_is_answered_has_a_verdict_and_only_a_success_delivers(
            status in any::<u16>(),
            retry_after in proptest::option::of(".{0,40}"),
            body in r#"(\{|\}|\[|\]|,|:|"accepted"|"rejected"|"rejected_count"|"retryAfter"|[0-9]{1,25}|null|\PC){0,20}"#,
        ) {
            let verdict = verdict(status, retry_after.as_deref(), &body);
            let delivers = |verdict| matches!(verdict, Verdict::Delivered { .. });
            prop_assert!(!delivers(verdict) || (200..300).contains(&status));
            let of_any = of_any(status, retry_after.as_deref(), &body);
            prop_assert_eq!(delivers(of_any), (200..300).contains(&status));
        }
    }
}
