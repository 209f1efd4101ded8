//! The ways in which a body may be written.

use millpond_wire::Format;

use crate::otlp;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// One of the formats, with our names. LogTide's clients write JSON that needs no other reading.
    Format(Format),
    /// One of the formats, with Timberlogs' names and rules.
    Timberlogs(Format),
    /// The payloads of LogiScout's clients.
    LogiScout,
    /// The entries of Streamlogia's clients.
    Streamlogia,
    /// The records of Streamlogia's collectors.
    StreamlogiaBulk,
    /// OpenTelemetry's.
    Otlp(otlp::Encoding),
}

impl Protocol {
    /// All ways.
    pub const ALL: [Self; 17] = [
        Self::Format(Format::Json),
        Self::Format(Format::Jsonl),
        Self::Format(Format::Syslog),
        Self::Format(Format::Text),
        Self::Format(Format::Csv),
        Self::Format(Format::Obl),
        Self::Timberlogs(Format::Json),
        Self::Timberlogs(Format::Jsonl),
        Self::Timberlogs(Format::Syslog),
        Self::Timberlogs(Format::Text),
        Self::Timberlogs(Format::Csv),
        Self::Timberlogs(Format::Obl),
        Self::LogiScout,
        Self::Streamlogia,
        Self::StreamlogiaBulk,
        Self::Otlp(otlp::Encoding::Protobuf),
        Self::Otlp(otlp::Encoding::Json),
    ];

    /// Whether this byte may end, or begin, what becomes a value of its own in memory: none does without one of these.
    #[must_use]
    pub fn counts(self, byte: u8) -> bool {
        match self {
            Self::Format(Format::Syslog | Format::Text | Format::Csv)
            | Self::Timberlogs(Format::Syslog | Format::Text | Format::Csv) => byte == b'\n',
            // The keys of messages within messages: fields 1, 2, 5 and 6.
            Self::Otlp(otlp::Encoding::Protobuf) => matches!(byte, 0x0a | 0x12 | 0x2a | 0x32),
            _ => byte == b'}',
        }
    }

    /// Whether records are decoded from the body itself, so that they are no larger than it.
    #[must_use]
    pub fn is_verbatim(self) -> bool {
        matches!(self, Self::Format(Format::Json | Format::Jsonl))
    }
}

impl From<Format> for Protocol {
    fn from(format: Format) -> Self {
        Self::Format(format)
    }
}
