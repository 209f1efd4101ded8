//! A place in a trace, as [W3C Trace Context] writes it. Knows nothing of records, scopes or headers.
//!
//! [W3C Trace Context]: https://www.w3.org/TR/trace-context/

use std::{
    fmt,
    num::{NonZeroU64, NonZeroU128},
};

use crate::random;

/// The id of a trace: 32 lower-case hex digits, not all of them zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(NonZeroU128);

/// The id of a span: 16 lower-case hex digits, not all of them zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(NonZeroU64);

/// A span of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span in it.
    pub span_id: SpanId,
    /// Whether the caller may have recorded the trace.
    pub sampled: bool,
}

impl TraceId {
    /// A random one.
    #[must_use]
    pub fn generate() -> Self {
        // Once in 2^128 times all of them are zero, which no trace may be.
        Self::from_bytes(random::bytes()).unwrap_or(Self(NonZeroU128::MIN))
    }

    /// From its bytes, the most significant first; `None` if all are zero.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        NonZeroU128::new(u128::from_be_bytes(bytes)).map(Self)
    }

    /// From 32 lower-case hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = hex_digits(text, 32)?;
        NonZeroU128::new(u128::from_str_radix(digits, 16).ok()?).map(Self)
    }
}

impl SpanId {
    /// A random one.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_bytes(random::bytes()).unwrap_or(Self(NonZeroU64::MIN))
    }

    /// From its bytes, the most significant first; `None` if all are zero.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        NonZeroU64::new(u64::from_be_bytes(bytes)).map(Self)
    }

    /// From 16 lower-case hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = hex_digits(text, 16)?;
        NonZeroU64::new(u64::from_str_radix(digits, 16).ok()?).map(Self)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({self})")
    }
}

impl TraceContext {
    /// The first span of a new trace, sampled.
    #[must_use]
    pub fn generate() -> Self {
        Self { trace_id: TraceId::generate(), span_id: SpanId::generate(), sampled: true }
    }

    /// A new span of the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: SpanId::generate(), ..*self }
    }

    /// Reads the value of a `traceparent` header; `None` if it is none that the specification allows.
    ///
    /// A version that is newer than ours is read as far as ours goes, as the specification wants it.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.splitn(5, '-');
        let (version, trace_id, span_id, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let version = u8::from_str_radix(hex_digits(version, 2)?, 16).ok()?;
        let more = parts.next().is_some();
        if version == 0xff || (version == 0 && more) {
            return None;
        }
        let flags = u8::from_str_radix(hex_digits(flags, 2)?, 16).ok()?;
        Some(Self {
            trace_id: TraceId::parse(trace_id)?,
            span_id: SpanId::parse(span_id)?,
            sampled: flags & 1 == 1,
        })
    }

    /// The value of a `traceparent` header, version 00.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let Self { trace_id, span_id, sampled } = self;
        format!("00-{trace_id}-{span_id}-{:02x}", u8::from(*sampled))
    }
}

/// The text, if it is so many lower-case hex digits.
fn hex_digits(text: &str, count: usize) -> Option<&str> {
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (text.len() == count && digits).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let trace = TraceContext::parse(TRACEPARENT).unwrap();
        assert_eq!(trace.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.span_id.to_string(), "00f067aa0ba902b7");
        assert!(trace.sampled);
        assert_eq!(trace.traceparent(), TRACEPARENT);
    }

    #[test]
    fn flags_beyond_sampled_are_not_looked_at() {
        for (flags, sampled) in [("00", false), ("02", false), ("03", true), ("ff", true)] {
            let header = TRACEPARENT.replace("-01", &format!("-{flags}"));
            assert_eq!(TraceContext::parse(&header).unwrap().sampled, sampled, "{flags}");
        }
    }

    #[test]
    fn a_newer_version_may_say_more() {
        for header in [
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-will-come",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(header), TraceContext::parse(TRACEPARENT));
        }
    }

    #[test]
    fn what_the_specification_forbids_is_no_traceparent() {
        for header in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-+1",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(header), None, "{header}");
        }
    }

    #[test]
    fn a_child_is_a_new_span_of_the_same_trace() {
        let parent = TraceContext { sampled: false, ..TraceContext::generate() };
        let child = parent.child();
        assert_eq!((child.trace_id, child.sampled), (parent.trace_id, false));
        assert_ne!(child.span_id, parent.span_id);
        assert_ne!(TraceContext::generate().trace_id, parent.trace_id);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(trace in 1_u128.., span in 1_u64.., sampled: bool) {
            let context = TraceContext {
                trace_id: TraceId::from_bytes(trace.to_be_bytes()).unwrap(),
                span_id: SpanId::from_bytes(span.to_be_bytes()).unwrap(),
                sampled,
            };
            prop_assert_eq!(context.traceparent().len(), 55);
            prop_assert_eq!(TraceContext::parse(&context.traceparent()), Some(context));
        }

        #[test]
        fn whatever_is_read_is_written_with_the_same_ids(header in "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[a-z]{0,3})?") {
            let read = TraceContext::parse(&header);
            let forbidden = header.starts_with("ff") || header.starts_with("00") && header.len() > 55;
            prop_assert_eq!(read.is_none(), forbidden);
            if let Some(context) = read {
                let written = context.traceparent();
                prop_assert_eq!(written.get(3..52), header.get(3..52));
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(header in ".*") {
            prop_assert_eq!(TraceContext::parse(&header), None);
        }
    }
}
