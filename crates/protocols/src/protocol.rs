//! The ways in which a body may be written.

use millpond_wire::Format;

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
}

impl Protocol {
    /// Whether entries are JSON objects.
    #[must_use]
    pub fn is_json(self) -> bool {
        match self {
            Self::Format(format) | Self::Timberlogs(format) => {
                matches!(format, Format::Json | Format::Jsonl | Format::Obl)
            }
            Self::LogiScout | Self::Streamlogia | Self::StreamlogiaBulk => true,
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
