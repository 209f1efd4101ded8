//! What a server other than Millpond's wants to be sent: where, under which headers, and what stands around the entries
//! of a batch. Pure.

use std::{fmt, iter, sync::Arc};

use ureq::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use crate::{BuildError, address};

const JSON: &str = "application/json";

/// How a [`Shipper`](crate::Shipper) hands its entries to a server: to which address, with which headers, in which form.
///
/// By default a body is a JSON array of the entries.
#[derive(Clone)]
#[must_use = "an envelope does nothing until `Builder::build_shipper`"]
pub struct Envelope {
    url: String,
    headers: Vec<(String, String)>,
    prefix: String,
    suffix: String,
    drops_refused: bool,
    on_failure: Option<OnFailure>,
}

pub(crate) type OnFailure = Arc<dyn Fn(&Failure<'_>) + Send + Sync>;

/// An attempt to deliver a batch that failed, or a refusal of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure<'a> {
    /// The HTTP status; `None` if there was no answer.
    pub status: Option<u16>,
    /// What went wrong, in words.
    pub message: &'a str,
    /// The beginning of the answer's body; empty if there was none.
    pub body: &'a str,
    /// How many entries it is about.
    pub records: u64,
    /// Which attempt of this batch it was, from 1. The halves of a batch that was cut up begin anew.
    pub attempt: u32,
    /// Whether the entries are given up.
    pub dropped: bool,
}

impl Envelope {
    /// Entries are posted to this address, `http://` or `https://`, as a JSON array.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: Vec::new(),
            prefix: "[".to_owned(),
            suffix: "]".to_owned(),
            drops_refused: false,
            on_failure: None,
        }
    }

    /// A header of every request, such as one with a key. `Content-Type` is `application/json` unless it is set so.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// What stands in a body in front of the first entry and behind the last one; `[` and `]` by default. Between two of
    /// them is a comma.
    pub fn around(mut self, prefix: impl Into<String>, suffix: impl Into<String>) -> Self {
        (self.prefix, self.suffix) = (prefix.into(), suffix.into());
        self
    }

    /// Drops a batch whose key or address is refused (401, 403, 404, 405, 410, a redirect). By default it is kept, and
    /// tried now and then, and at each flush, whether that has been put right.
    pub fn drop_refused(mut self) -> Self {
        self.drops_refused = true;
        self
    }

    /// Calls `report` after each attempt that failed, before anybody who waits in a flush is told. It is called in the
    /// thread that sends, which waits for it; it may ship and flush (without waiting), and its panics cost nothing.
    pub fn on_failure(mut self, report: impl Fn(&Failure<'_>) + Send + Sync + 'static) -> Self {
        self.on_failure = Some(Arc::new(report));
        self
    }

    /// What the directory of a spool is called whose entries go into such envelopes; unlike those of clients' spools.
    pub(crate) fn name(&self) -> String {
        const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const FNV_PRIME: u64 = 0x100_0000_01b3;
        // FNV-1a: the same in every version, and what falls together by chance is not to be feared of so few.
        let parts = [&self.url, "\n", &self.prefix, "\n", &self.suffix];
        let hash = parts
            .iter()
            .flat_map(|part| part.bytes())
            .fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
        format!("shipper-{hash:016x}")
    }

    /// # Errors
    /// The address is none, or a header can't be sent.
    pub(crate) fn seal(self) -> Result<Sealed, BuildError> {
        let url = address::foreign(&self.url)
            .ok_or_else(|| BuildError::Url(address::without_key(&self.url)))?;
        let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
        for (name, value) in &self.headers {
            headers.push(read_header(name, value).ok_or_else(|| BuildError::Header(name.clone()))?);
        }
        Ok(Sealed {
            url,
            headers,
            prefix: self.prefix,
            suffix: self.suffix,
            drops_refused: self.drops_refused,
            on_failure: self.on_failure,
        })
    }
}

/// A name and a value, if a header may have them.
pub(crate) fn read_header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, HeaderValue::from_str(value).ok()?))
}

impl fmt::Debug for Envelope {
    /// Without the headers, of which one is the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("url", &address::without_key(&self.url))
            .finish_non_exhaustive()
    }
}

/// An envelope that was found to be right.
#[derive(Clone)]
pub(crate) struct Sealed {
    pub(crate) url: Uri,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    prefix: String,
    suffix: String,
    pub(crate) drops_refused: bool,
    pub(crate) on_failure: Option<OnFailure>,
}

impl Sealed {
    /// The headers of a request, after which come more of its own, the last one of a name in place of the others. One
    /// that `has_body` has a content type.
    pub(crate) fn headers(
        &self,
        more: Vec<(HeaderName, HeaderValue)>,
        has_body: bool,
    ) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if has_body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        }
        for (name, value) in self.headers.iter().cloned().chain(more) {
            headers.insert(name, value);
        }
        headers
    }

    /// The body of a batch, in pieces: the newline that ends an entry is a comma, or what stands behind the last one.
    pub(crate) fn body<'a>(
        &'a self,
        parts: impl Iterator<Item = &'a [u8]>,
    ) -> impl Iterator<Item = &'a [u8]> {
        let lines = parts.flat_map(|part| part.split_inclusive(|&byte| byte == b'\n'));
        let entries = lines.enumerate().flat_map(|(place, line)| {
            let separator: &[u8] = if place == 0 { b"" } else { b"," };
            [separator, line.strip_suffix(b"\n").unwrap_or(line)]
        });
        iter::once(self.prefix.as_bytes()).chain(entries).chain(iter::once(self.suffix.as_bytes()))
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("url", &self.url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(envelope: Envelope) -> String {
        envelope.seal().unwrap_err().to_string()
    }

    #[test]
    fn a_body_is_an_array_of_the_entries_wherever_their_parts_are_cut() {
        let sealed = Envelope::new("http://h/x").around("{\"logs\":[", "]}").seal().unwrap();
        let parts: [&[u8]; 2] = [b"{\"a\":1}\n2\n", b"\"c\"\n"];
        let body: Vec<u8> = sealed.body(parts.into_iter()).flatten().copied().collect();
        assert_eq!(String::from_utf8(body).unwrap(), "{\"logs\":[{\"a\":1},2,\"c\"]}");
    }

    #[test]
    fn an_address_or_a_header_that_can_not_be_sent_is_refused_without_its_secret() {
        let shown = "build client: `…@h/x` is no address, expected http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH";
        assert_eq!(refused(Envelope::new("https://secret@h/x")), shown);
        for url in ["", "h/x", "ftp://h/x", "http://", "http://h:99999/x", "/x"] {
            assert!(refused(Envelope::new(url)).contains("is no address"), "{url}");
        }
        let shown = "build client: the header `x-key` has a character that no header can carry";
        assert_eq!(refused(Envelope::new("http://h").header("x-key", "sec\nret")), shown);
        assert!(refused(Envelope::new("http://h").header("x key", "a")).contains("`x key`"));
    }

    #[test]
    fn the_content_type_is_json_unless_another_is_set() {
        let of = |envelope: Envelope, has_body| {
            let headers = envelope.seal().unwrap().headers(Vec::new(), has_body);
            headers.get("content-type").map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(of(Envelope::new("http://h"), true).as_deref(), Some("application/json"));
        assert_eq!(of(Envelope::new("http://h"), false), None);
        let other = || Envelope::new("http://h").header("Content-Type", "x/y");
        assert_eq!(of(other(), true).as_deref(), Some("x/y"));
        assert_eq!(of(other(), false).as_deref(), Some("x/y"));
    }
}
