//! RFC 5424 behind its version: `TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG]`.

use std::collections::HashMap;

use millpond_record::{
    TextAttribute,
    json::{ObjectBuilder, write_string},
    limits::FIELDS_MAX,
};

use super::{is_said, set, set_field};
use crate::{draft::Draft, time::leading_time};

pub(super) fn read(header: &str, draft: &mut Draft) -> Result<(), String> {
    let mut rest = header;
    let timestamp = word(&mut rest, "TIMESTAMP")?;
    if is_said(timestamp) {
        let time = leading_time(timestamp).filter(|(_, behind)| behind.is_empty());
        let (time, _) = time.ok_or_else(|| {
            format!("TIMESTAMP is `{}`, expected RFC 3339 or `-`", shown(timestamp))
        })?;
        draft.time(time);
    }
    set(draft, TextAttribute::Host, word(&mut rest, "HOSTNAME")?);
    set(draft, TextAttribute::Service, word(&mut rest, "APP-NAME")?);
    set_field(draft, "proc_id", word(&mut rest, "PROCID")?);
    set_field(draft, "msg_id", word(&mut rest, "MSGID")?);
    let mut data = StructuredData { rest, parameters: 0 };
    if let Some(elements) = data.read()? {
        draft.field("structured_data").push_str(&elements);
    }
    let message = match data.rest.strip_prefix(' ') {
        Some(message) => message.strip_prefix('\u{feff}').unwrap_or(message),
        None if data.rest.is_empty() => "",
        None => return Err(data.error("a space and the message behind the structured data")),
    };
    draft.text(TextAttribute::Message, message);
    Ok(())
}

/// The next word of a header and the space behind it.
fn word<'a>(rest: &mut &'a str, name: &str) -> Result<&'a str, String> {
    let (word, behind) = rest.split_once(' ').ok_or_else(|| {
        format!(
            "line ends in {name}, expected TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA"
        )
    })?;
    *rest = behind;
    Ok(word)
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

struct StructuredData<'a> {
    rest: &'a str,
    parameters: usize,
}

impl<'a> StructuredData<'a> {
    /// All elements as one JSON object of objects; `None` for `-`.
    fn read(&mut self) -> Result<Option<String>, String> {
        if self.take('-') {
            return Ok(None);
        }
        let mut elements = ObjectBuilder::default();
        while self.take('[') {
            let id = self.name("an SD-ID")?;
            let parameters = self.parameters()?;
            elements.key(id).push_str(&parameters);
        }
        if elements.is_empty() {
            return Err(self.error("`-` or structured data in brackets"));
        }
        Ok(Some(elements.finish().as_str().to_owned()))
    }

    /// The parameters of an element, its closing bracket included. A name may occur more than once; it then has an
    /// array of values.
    fn parameters(&mut self) -> Result<String, String> {
        let mut found: Vec<(&str, Vec<String>)> = Vec::new();
        let mut places = HashMap::new();
        while self.take(' ') {
            let name = self.name("the name of a parameter")?;
            self.require('=')?;
            let value = self.value()?;
            self.parameters += 1;
            if self.parameters > FIELDS_MAX {
                return Err(format!("structured data has more parameters than {FIELDS_MAX}"));
            }
            let place = *places.entry(name).or_insert(found.len());
            match found.get_mut(place) {
                Some((_, values)) => values.push(value),
                None => found.push((name, vec![value])),
            }
        }
        self.require(']')?;
        let mut object = ObjectBuilder::default();
        for (name, values) in found {
            let out = object.key(name);
            if let [value] = values.as_slice() {
                write_string(out, value);
                continue;
            }
            for (place, value) in values.iter().enumerate() {
                out.push(if place == 0 { '[' } else { ',' });
                write_string(out, value);
            }
            out.push(']');
        }
        Ok(object.finish().as_str().to_owned())
    }

    fn name(&mut self, expected: &str) -> Result<&'a str, String> {
        let end = self.rest.find(['=', ' ', ']', '"']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        if name.is_empty() {
            return Err(self.error(expected));
        }
        self.rest = rest;
        Ok(name)
    }

    /// A value in its quotes. A backslash escapes `"`, `\` and `]`; before anything else it is itself.
    fn value(&mut self) -> Result<String, String> {
        self.require('"')?;
        let mut value = String::new();
        loop {
            let end = self
                .rest
                .find(['"', '\\'])
                .ok_or_else(|| self.error("the end of a value, `\"`"))?;
            let (plain, rest) = self.rest.split_at_checked(end).unwrap_or_default();
            value.push_str(plain);
            self.rest = rest;
            if self.take('"') {
                return Ok(value);
            }
            self.take('\\');
            match self.rest.chars().next().filter(|next| matches!(next, '"' | '\\' | ']')) {
                Some(escaped) => {
                    self.take(escaped);
                    value.push(escaped);
                }
                None => value.push('\\'),
            }
        }
    }

    fn take(&mut self, character: char) -> bool {
        let rest = self.rest.strip_prefix(character);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn require(&mut self, character: char) -> Result<(), String> {
        if self.take(character) { Ok(()) } else { Err(self.error(&format!("`{character}`"))) }
    }

    fn error(&self, expected: &str) -> String {
        let found = match shown(self.rest) {
            rest if rest.is_empty() => "the end of the line".to_owned(),
            rest => format!("`{rest}`"),
        };
        format!("structured data: expected {expected}, found {found}")
    }
}
