//! Where the formats put what they found: fills in the defaults, decodes, counts, and hands on.

use millpond_record::{
    Decoded, LogRecord, Rejection, Timestamp, decode,
    json::Reader,
    limits::{BODY_BYTES_MAX, RECORD_BYTES_MAX},
};

use crate::Defaults;

/// Most entries of a body whose answer names each of them. No record of such a system is written in fewer than 32 bytes.
pub const ENTRIES_MAX: usize = BODY_BYTES_MAX / 32;

/// What stands at one place of a body.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Its place among the entries of the body, from 0.
    pub index: usize,
    /// The line on which it begins, from 1, where the format has lines.
    pub line: Option<usize>,
    /// The member that is at fault, as the sender wrote it, where it is known and the entry is no record.
    pub field: Option<&'static str>,
    /// The record, or why it is none.
    pub decoded: Decoded<'a>,
    /// The text that the record was decoded from; of no use when it is none.
    pub json: &'a str,
}

/// The body as a whole can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is JSON, or should be.
    #[error(transparent)]
    Json(#[from] millpond_record::BodyError),
    /// There is nothing in it.
    #[error("the body is empty, expected {0}")]
    Empty(&'static str),
    /// Its head does not say what it must.
    #[error("{0}")]
    Head(String),
    /// What a format and the defaults add to each record makes them too large together.
    #[error(
        "the records of the body are more than {BODY_BYTES_MAX} bytes as JSON together, expected fewer in one body"
    )]
    TooLarge,
    /// There are more entries than there can be records.
    #[error("the body has more than {ENTRIES_MAX} entries, expected fewer in one body")]
    TooMany,
}

/// Why an entry is not taken: the member at fault, as the sender wrote it, and what is wrong with it.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) field: &'static str,
    pub(crate) reason: String,
}

/// What a record must be besides a record, told from it and from its text.
type Rule = dyn Fn(&LogRecord<'_>, &str) -> Result<(), Fault>;

pub(crate) struct Output<'a> {
    defaults: &'a Defaults,
    rule: Option<Box<Rule>>,
    observed: Timestamp,
    take: &'a mut dyn FnMut(Entry<'_>),
    index: usize,
    /// Bytes of all texts so far. A body of two-byte lines would else become records of a hundred times its size.
    bytes: usize,
}

impl<'a> Output<'a> {
    pub(crate) fn new(
        defaults: &'a Defaults,
        observed: Timestamp,
        take: &'a mut dyn FnMut(Entry<'_>),
    ) -> Self {
        Self { defaults, rule: None, observed, take, index: 0, bytes: 0 }
    }

    /// Holds every record to a rule from here on.
    pub(crate) fn hold_to(
        &mut self,
        rule: impl Fn(&LogRecord<'_>, &str) -> Result<(), Fault> + 'static,
    ) {
        self.rule = Some(Box::new(rule));
    }

    /// When the body arrived.
    pub(crate) fn observed(&self) -> Timestamp {
        self.observed
    }

    /// The place of the next entry.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.index == 0
    }

    /// Takes the text of a record.
    pub(crate) fn record(&mut self, line: Option<usize>, json: &str) -> Result<(), BodyError> {
        let filled = self.defaults.fill(json);
        let json = filled.as_deref().unwrap_or(json);
        let decoded = decoded(json, self.observed);
        match (&decoded, &self.rule) {
            (Decoded::Record(record), Some(rule)) => match rule(record, json) {
                Ok(()) => self.hand_on(line, None, decoded, json),
                Err(fault) => self.refused(line, fault, json),
            },
            _ => self.hand_on(line, None, decoded, json),
        }
    }

    /// Takes the text of a record that is not to be one. What it took to write counts like that of a record: a small
    /// entry may make a large text, of what all entries share.
    pub(crate) fn refused(
        &mut self,
        line: Option<usize>,
        Fault { field, reason }: Fault,
        json: &str,
    ) -> Result<(), BodyError> {
        self.hand_on(line, Some(field), Decoded::Rejected(Rejection(reason)), json)
    }

    /// Takes a record that was decoded already, and its text.
    pub(crate) fn decoded(
        &mut self,
        line: Option<usize>,
        record: Decoded<'_>,
        json: &str,
    ) -> Result<(), BodyError> {
        match record {
            Decoded::Record(_) if !self.defaults.is_empty() => self.record(line, json),
            decoded => self.hand_on(line, None, decoded, json),
        }
    }

    /// Whether an entry of so many bytes may be a record; if not, it is rejected before anything is made of it.
    pub(crate) fn fits(&mut self, line: Option<usize>, bytes: usize) -> Result<bool, BodyError> {
        if bytes <= RECORD_BYTES_MAX {
            return Ok(true);
        }
        let reason = format!("record is {bytes} bytes, expected at most {RECORD_BYTES_MAX}");
        self.rejected(line, reason).map(|()| false)
    }

    /// Takes what is no record.
    pub(crate) fn rejected(
        &mut self,
        line: Option<usize>,
        reason: impl Into<String>,
    ) -> Result<(), BodyError> {
        self.hand_on(line, None, Decoded::Rejected(Rejection(reason.into())), "")
    }

    /// Takes what is no record because of one of its members.
    pub(crate) fn rejected_for(
        &mut self,
        line: Option<usize>,
        field: &'static str,
        reason: impl Into<String>,
    ) -> Result<(), BodyError> {
        self.hand_on(line, Some(field), Decoded::Rejected(Rejection(reason.into())), "")
    }

    fn hand_on(
        &mut self,
        line: Option<usize>,
        field: Option<&'static str>,
        decoded: Decoded<'_>,
        json: &str,
    ) -> Result<(), BodyError> {
        self.bytes = self.bytes.saturating_add(json.len());
        if self.bytes > BODY_BYTES_MAX {
            return Err(BodyError::TooLarge);
        }
        (self.take)(Entry { index: self.index, line, field, decoded, json });
        self.index += 1;
        Ok(())
    }
}

fn decoded(json: &str, observed: Timestamp) -> Decoded<'_> {
    decode(&mut Reader::new(json), observed)
        .unwrap_or_else(|error| Decoded::Rejected(Rejection(error.to_string())))
}
