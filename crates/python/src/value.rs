//! Python values -> JSON text.
//!
//! Runs in the thread that logs, and nowhere else. Whatever a value does (raises from `__repr__`, contains itself,
//! nests without end, is a gigabyte long), it costs at most itself: something is written in its place and the
//! record goes on. No object of the caller is changed. The one thing let through is an exception that is no
//! `Exception`: Ctrl-C and `sys.exit` in a signal handler belong to the program, not to a value.

use millpond_record::json::{write_f64, write_i64, write_string, write_u64};
use pyo3::{
    exceptions::PyException,
    intern,
    prelude::*,
    types::{
        PyBool, PyBytes, PyDict, PyFloat, PyInt, PyIterator, PyList, PyMapping, PyString, PyTuple,
    },
};

use crate::{
    exception,
    kind::{self, Kind},
    limits::{ESCAPE_FACTOR_MAX, VALUE_DEPTH_MAX},
};

/// Written in place of what a limit leaves out.
const TOO_DEEP: &str = "<nested too deep>";
const CYCLE: &str = "<cycle>";
const TOO_LARGE: &str = "<record too large>";

/// Writes values into the text of one record.
pub(crate) struct Writer<'a> {
    pub(crate) out: &'a mut String,
    /// Length of `out` from which on values are left out.
    end: usize,
    /// Addresses of the containers that are open around the next value.
    open: Vec<usize>,
}

impl<'a> Writer<'a> {
    /// A writer with room for so many bytes more.
    pub(crate) fn new(out: &'a mut String, room: usize) -> Self {
        let end = out.len().saturating_add(room);
        Self { out, end, open: Vec::new() }
    }

    /// Whether the record has room for more.
    pub(crate) fn full(&self) -> bool {
        self.out.len() >= self.end
    }

    /// How deep the next value is.
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Writes one value. Fails only with an exception that is no `Exception`; the text is then of no use.
    pub(crate) fn value(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.full() {
            write_string(self.out, TOO_LARGE);
            return Ok(());
        }
        let start = self.out.len();
        match self.exact(value) {
            Ok(()) => Ok(()),
            Err(error) => {
                guard(value.py(), error)?;
                self.out.truncate(start);
                self.unprintable(value);
                Ok(())
            }
        }
    }

    /// The types that nearly every value has, told by one comparison each.
    fn exact(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(text) = value.cast_exact::<PyString>() {
            return self.string(text);
        }
        if let Ok(integer) = value.cast_exact::<PyInt>() {
            return self.integer(integer);
        }
        if value.is_none() {
            self.out.push_str("null");
            return Ok(());
        }
        if let Ok(boolean) = value.cast_exact::<PyBool>() {
            self.out.push_str(if boolean.is_true() { "true" } else { "false" });
            return Ok(());
        }
        if let Ok(float) = value.cast_exact::<PyFloat>() {
            write_f64(self.out, float.value());
            return Ok(());
        }
        if let Ok(dict) = value.cast_exact::<PyDict>() {
            return self.nested(value, |writer| writer.dict(dict));
        }
        if let Ok(list) = value.cast_exact::<PyList>() {
            return self.nested(value, |writer| writer.array(list.iter().map(Ok)));
        }
        if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            return self.nested(value, |writer| writer.array(tuple.iter().map(Ok)));
        }
        self.by_kind(value, kind::of(value))
    }

    fn by_kind(&mut self, value: &Bound<'_, PyAny>, kind: Kind) -> PyResult<()> {
        let py = value.py();
        match kind {
            Kind::String => self.string(value.cast::<PyString>()?),
            Kind::Integer => self.integer(value.cast::<PyInt>()?),
            Kind::Float => {
                write_f64(self.out, value.cast::<PyFloat>()?.value());
                Ok(())
            }
            Kind::Dict => self.nested(value, |writer| writer.dict(value.cast::<PyDict>()?)),
            Kind::List | Kind::Tuple | Kind::Iterable => {
                self.nested(value, |writer| writer.array(PyIterator::from_object(value)?))
            }
            Kind::NamedTuple => self.nested(value, |writer| {
                let names = kind::field_names(value)?;
                let values = value.cast::<PyTuple>()?;
                writer.members(names.iter().zip(values.iter()).map(Ok))
            }),
            Kind::Mapping => self.nested(value, |writer| {
                let items = value.cast::<PyMapping>()?.items()?;
                writer.members(items.iter().map(|item| item.extract()))
            }),
            Kind::Dataclass => self.nested(value, |writer| {
                let dataclasses = py.import(intern!(py, "dataclasses"))?;
                let fields = dataclasses.call_method1(intern!(py, "fields"), (value,))?;
                writer.members(PyIterator::from_object(&fields)?.map(|field| {
                    let name = field?.getattr(intern!(py, "name"))?;
                    let member = value.getattr(name.cast::<PyString>()?)?;
                    Ok((name, member))
                }))
            }),
            Kind::Enum => {
                self.nested(value, |writer| writer.value(&value.getattr(intern!(py, "value"))?))
            }
            Kind::Time => {
                let text = value.call_method0(intern!(py, "isoformat"))?;
                self.string(text.cast::<PyString>()?)
            }
            Kind::Bytes => self.bytes(value),
            Kind::Exception => self.nested(value, |writer| exception::write(writer, value)),
            Kind::Text => self.string(&value.str()?),
        }
    }

    /// Writes a container, unless it is open already or the limit of depth is reached.
    fn nested(
        &mut self,
        value: &Bound<'_, PyAny>,
        write: impl FnOnce(&mut Self) -> PyResult<()>,
    ) -> PyResult<()> {
        let address = value.as_ptr() as usize;
        if self.open.len() >= VALUE_DEPTH_MAX {
            write_string(self.out, TOO_DEEP);
            return Ok(());
        }
        if self.open.contains(&address) {
            write_string(self.out, CYCLE);
            return Ok(());
        }
        self.open.push(address);
        let depth = self.open.len();
        let result = write(self);
        // What was left open inside by an error closes with it.
        self.open.truncate(depth.saturating_sub(1));
        result
    }

    /// A copy is walked: a value's `__str__`, or another thread while that runs, may change the dict.
    fn dict(&mut self, dict: &Bound<'_, PyDict>) -> PyResult<()> {
        if dict.is_empty() {
            self.out.push_str("{}");
            return Ok(());
        }
        let copy = dict.copy()?;
        self.members(copy.iter().map(Ok))
    }

    fn members<'py>(
        &mut self,
        members: impl Iterator<Item = PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)>>,
    ) -> PyResult<()> {
        self.out.push('{');
        for (place, member) in members.enumerate() {
            let (key, value) = member?;
            if place > 0 {
                self.out.push(',');
            }
            if self.full() {
                self.out.push_str("\"…\":");
                write_string(self.out, TOO_LARGE);
                break;
            }
            self.key(&key)?;
            self.value(&value)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn array<'py>(
        &mut self,
        elements: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
    ) -> PyResult<()> {
        self.out.push('[');
        for (place, element) in elements.enumerate() {
            if place > 0 {
                self.out.push(',');
            }
            let full = self.full();
            self.value(&element?)?;
            if full {
                break;
            }
        }
        self.out.push(']');
        Ok(())
    }

    /// Writes a key of any type, and the colon.
    pub(crate) fn key(&mut self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        match key.cast_exact::<PyString>() {
            Ok(key) => self.string(key)?,
            Err(_) => write_string(self.out, &text(key)?),
        }
        self.out.push(':');
        Ok(())
    }

    pub(crate) fn string(&mut self, text: &Bound<'_, PyString>) -> PyResult<()> {
        with_text(text, |text| {
            self.text(text);
            Ok(())
        })
    }

    /// Writes a string, cut where the record is full.
    pub(crate) fn text(&mut self, text: &str) {
        let room = self.end.saturating_sub(self.out.len());
        if text.len().saturating_mul(ESCAPE_FACTOR_MAX) <= room {
            return write_string(self.out, text);
        }
        let escaped = escaped_len(text);
        if escaped <= room {
            return write_string(self.out, text);
        }
        let kept = if escaped == text.len() + 2 { room } else { room / ESCAPE_FACTOR_MAX };
        let kept = text.get(..text.floor_char_boundary(kept)).unwrap_or_default();
        write_string(self.out, &format!("{kept}… ({} bytes)", text.len()));
    }

    /// All digits. Above 4,300 of them Python refuses to write decimal ones (CVE-2020-10735): hexadecimal then, in
    /// a string.
    fn integer(&mut self, integer: &Bound<'_, PyInt>) -> PyResult<()> {
        if let Ok(number) = integer.extract::<i64>() {
            write_i64(self.out, number);
            return Ok(());
        }
        if let Ok(number) = integer.extract::<u64>() {
            write_u64(self.out, number);
            return Ok(());
        }
        let py = integer.py();
        let class = py.get_type::<PyInt>();
        // Not the method of a subclass: `IntFlag` and the like write a name.
        match class.call_method1(intern!(py, "__repr__"), (integer,)) {
            Ok(digits) => {
                let digits = digits.cast::<PyString>()?.encode_utf8()?;
                self.out.push_str(&String::from_utf8_lossy(digits.as_bytes()));
            }
            Err(_) => {
                let digits = class.call_method1(intern!(py, "__format__"), (integer, "#x"))?;
                self.string(digits.cast::<PyString>()?)?;
            }
        }
        Ok(())
    }

    /// Text if it is text, otherwise as Python would show it.
    fn bytes(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        let bytes = match value.cast::<PyBytes>() {
            Ok(bytes) => bytes.clone(),
            Err(_) => py.get_type::<PyBytes>().call1((value,))?.cast_into::<PyBytes>()?,
        };
        match std::str::from_utf8(bytes.as_bytes()) {
            Ok(text) => self.text(text),
            Err(_) => self.string(&bytes.repr()?)?,
        }
        Ok(())
    }

    fn unprintable(&mut self, value: &Bound<'_, PyAny>) {
        write_string(self.out, &unprintable(value));
    }
}

/// Drops an `Exception`; hands on what is none.
pub(crate) fn guard(py: Python<'_>, error: PyErr) -> PyResult<()> {
    if error.is_instance_of::<PyException>(py) { Ok(()) } else { Err(error) }
}

/// What `str()` says, or what `repr()` says, or at least the name of the type.
pub(crate) fn text(value: &Bound<'_, PyAny>) -> PyResult<String> {
    for attempt in [PyAnyMethods::str, PyAnyMethods::repr] {
        match attempt(value).and_then(|text| utf8(&text)) {
            Ok(text) => return Ok(text),
            Err(error) => guard(value.py(), error)?,
        }
    }
    Ok(unprintable(value))
}

fn unprintable(value: &Bound<'_, PyAny>) -> String {
    format!("<unprintable {}>", kind::type_name(value))
}

/// The text of a string, each lone surrogate replaced.
pub(crate) fn utf8(text: &Bound<'_, PyString>) -> PyResult<String> {
    with_text(text, |text| Ok(text.to_owned()))
}

/// Lends the text of a string, each lone surrogate replaced.
pub(crate) fn with_text<R>(
    text: &Bound<'_, PyString>,
    work: impl FnOnce(&str) -> PyResult<R>,
) -> PyResult<R> {
    match text.encode_utf8() {
        Ok(encoded) => match std::str::from_utf8(encoded.as_bytes()) {
            Ok(text) => work(text),
            Err(_) => work(&String::from_utf8_lossy(encoded.as_bytes())),
        },
        Err(_) => work(&without_surrogates(text)?),
    }
}

/// How long a string is as JSON, at most.
pub(crate) fn escaped_len(text: &str) -> usize {
    let escaped =
        text.bytes().filter(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\').count();
    text.len() + 2 + escaped * (ESCAPE_FACTOR_MAX - 1)
}

fn without_surrogates(text: &Bound<'_, PyString>) -> PyResult<String> {
    let py = text.py();
    let encoded = text.call_method1(intern!(py, "encode"), ("utf-16-le", "surrogatepass"))?;
    let encoded = encoded.cast_into::<PyBytes>()?;
    let (units, _) = encoded.as_bytes().as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    Ok(char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{FFFD}')).collect())
}
