//! Server-sent events: bytes in, events out. Pure.
//!
//! As the WHATWG says (HTML, 9.2.6): lines end with LF, CR or CRLF, an empty line ends an event, and what was not ended
//! was not sent.

use std::{collections::VecDeque, mem, time::Duration};

/// What came between two empty lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Where the stream stands behind this event.
    pub(super) id: Option<String>,
    /// The lines of data; `None` for an event that has none, and for one whose type is not ours to read.
    pub(super) data: Option<String>,
    /// How long to wait before the next connection.
    pub(super) retry: Option<Duration>,
}

/// An event that is larger than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {0} bytes")]
pub(super) struct TooLarge(usize);

/// What is read of an event that has not ended yet.
#[derive(Debug)]
pub(super) struct Parser {
    bytes_max: usize,
    line: Vec<u8>,
    /// No line has ended yet: a byte order mark may stand in front of this one.
    first_line: bool,
    /// A carriage return ended the last line; a line feed behind it belongs to it.
    after_return: bool,
    event: Event,
    data: Option<Vec<u8>>,
    takes_all_types: bool,
    /// The event is of a type that is not ours to read.
    foreign: bool,
}

impl Parser {
    /// Refuses events of more than `bytes_max` bytes. The data of events of another type than `message` counts only if
    /// all types do.
    pub(super) fn new(bytes_max: usize, takes_all_types: bool) -> Self {
        Self {
            bytes_max,
            takes_all_types,
            line: Vec::new(),
            first_line: true,
            after_return: false,
            event: Event::default(),
            data: None,
            foreign: false,
        }
    }

    /// Reads on; events that end in `bytes` go to `events`.
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), TooLarge> {
        loop {
            if self.after_return && !bytes.is_empty() {
                self.after_return = false;
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
                return self.extend(bytes);
            };
            let (line, rest) = bytes.split_at(end);
            self.extend(line)?;
            self.end_line(events);
            self.after_return = rest.first() == Some(&b'\r');
            bytes = rest.get(1..).unwrap_or_default();
        }
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        let bytes_held = self.line.len() + self.data.as_ref().map_or(0, Vec::len);
        if bytes_held + bytes.len() > self.bytes_max {
            return Err(TooLarge(self.bytes_max));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, events: &mut VecDeque<Event>) {
        let taken = mem::take(&mut self.line);
        let mut line = taken.as_slice();
        if mem::take(&mut self.first_line) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            self.end_event(events);
        } else {
            self.field(line);
        }
        // The buffer is good for the next line.
        self.line = taken;
        self.line.clear();
    }

    fn field(&mut self, line: &[u8]) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            },
            b"id" if !value.contains(&0) => self.event.id = Some(text(value)),
            b"event" => {
                self.foreign = !self.takes_all_types && !matches!(value, b"" | b"message");
            }
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.event.retry = text(value).parse().ok().map(Duration::from_millis);
            }
            // A comment has no name.
            _ => {}
        }
    }

    fn end_event(&mut self, events: &mut VecDeque<Event>) {
        let mut event = mem::take(&mut self.event);
        let data = self.data.take();
        if !mem::take(&mut self.foreign) {
            event.data = data.map(|data| text(&data));
        }
        if event != Event::default() {
            events.push_back(event);
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: Option<&str>, data: Option<&str>) -> Event {
        Event { id: id.map(str::to_owned), data: data.map(str::to_owned), retry: None }
    }

    fn parsed(pieces: &[&[u8]]) -> Vec<Event> {
        let mut parser = Parser::new(1000, false);
        let mut events = VecDeque::new();
        for piece in pieces {
            parser.push(piece, &mut events).unwrap();
        }
        events.into()
    }

    #[test]
    fn a_stream_reads_the_same_wherever_it_is_cut_and_however_its_lines_end() {
        let stream = "\u{feff}id: 41\n: connected\n\nid: 42\ndata: {\"a\":\n: between\ndata:\"ü\"}\n\nretry: 250\n\nid:43\ndata\n\nevent: other\nid: 44\ndata: no\n\n:\n\nid: 45\ndata: cut";
        let expected = [
            event(Some("41"), None),
            event(Some("42"), Some("{\"a\":\n\"ü\"}")),
            Event { retry: Some(Duration::from_millis(250)), ..Event::default() },
            event(Some("43"), Some("")),
            event(Some("44"), None),
        ];
        for line_end in ["\n", "\r", "\r\n"] {
            let bytes = stream.replace('\n', line_end).into_bytes();
            for place in 0..=bytes.len() {
                let (first, second) = bytes.split_at(place);
                assert_eq!(parsed(&[first, second]), expected, "{line_end:?}, cut at {place}");
                assert_eq!(parsed(&[first, b"", second]), expected, "{line_end:?}, at {place}");
            }
            let bytes_alone: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(parsed(&bytes_alone), expected, "{line_end:?}, byte by byte");
        }
    }

    #[test]
    fn where_all_types_count_an_event_with_a_type_has_its_data() {
        let mut events = VecDeque::new();
        Parser::new(100, true).push(b"event: log\ndata: x\n\n", &mut events).unwrap();
        assert_eq!(events, [event(None, Some("x"))]);
    }

    #[test]
    fn line_ends_may_be_mixed() {
        assert_eq!(parsed(&[b"data: a\r\ndata: b\n\r"]), [event(None, Some("a\nb"))]);
        assert_eq!(
            parsed(&[b"data: a\r\rdata: b\n\n"]),
            [event(None, Some("a")), event(None, Some("b"))]
        );
    }

    #[test]
    fn what_is_no_field_changes_nothing() {
        for noise in ["id: 4\0 2", "retry: soon", "retry: -1", "date: x", " data: x", "DATA: x"] {
            assert_eq!(parsed(&[noise.as_bytes(), b"\n\n"]), [], "{noise:?}");
        }
        assert_eq!(parsed(&[b"data:  x\n\n"]), [event(None, Some(" x"))]);
        assert_eq!(parsed(&[b"id\n\n"]), [event(Some(""), None)]);
        assert_eq!(parsed(&[b"data: \xff\n\n"]), [event(None, Some("\u{fffd}"))]);
        // Only at the very beginning is it a byte order mark.
        assert_eq!(parsed(&[b"\n\xef\xbb\xbfdata: x\n\n"]), []);
    }

    #[test]
    fn an_event_may_be_as_large_as_the_limit_in_one_line_or_in_many() {
        let mut events = VecDeque::new();
        let mut parser = Parser::new(10, false);
        parser.push(b"data:12345\n\ndata:\ndata:1234\n\n", &mut events).unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(parser.push(b"data:123456", &mut events), Err(TooLarge(10)));
        let mut parser = Parser::new(10, false);
        assert_eq!(parser.push(b"data:12\ndata:12\ndata:1", &mut events), Err(TooLarge(10)));
    }
}
