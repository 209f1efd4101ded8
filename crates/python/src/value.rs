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
        PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyIterator, PyList, PySlice,
        PyString, PyTuple,
    },
};

use crate::{
    array,
    ending::is_plain,
    exception,
    kind::{self, Kind},
    limits::{ESCAPE_FACTOR_MAX, INTEGER_BITS_MAX, VALUE_DEPTH_MAX, VALUES_BYTES_MAX},
    object,
    written::Written,
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
    /// Written in place of these.
    too_large: &'static str,
    depth_max: usize,
    /// Addresses of the containers that are open around the next value.
    open: Vec<usize>,
}

impl<'a> Writer<'a> {
    /// A writer with room for so many bytes more.
    pub(crate) fn new(out: &'a mut String, room: usize) -> Self {
        let end = out.len().saturating_add(room);
        Self { out, end, too_large: TOO_LARGE, depth_max: VALUE_DEPTH_MAX, open: Vec::new() }
    }

    /// Writes something that may take only so many bytes and levels.
    pub(crate) fn limited<R>(
        &mut self,
        bytes: usize,
        levels: usize,
        write: impl FnOnce(&mut Self) -> R,
    ) -> R {
        let before = (self.end, self.too_large, self.depth_max);
        let end = self.out.len().saturating_add(bytes);
        if end < self.end {
            (self.end, self.too_large) = (end, "…");
        }
        self.depth_max = self.depth_max.min(self.open.len().saturating_add(levels));
        let result = write(self);
        (self.end, self.too_large, self.depth_max) = before;
        result
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
            write_string(self.out, self.too_large);
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
            return self.nested(value, |writer| writer.array(list.iter()));
        }
        if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            return self.nested(value, |writer| writer.array(tuple.iter()));
        }
        if let Ok(written) = value.cast_exact::<Written>() {
            self.written(&written.get().json);
            return Ok(());
        }
        if is_plain() {
            self.unprintable(value);
            return Ok(());
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
            Kind::Dict => self.nested(value, |writer| {
                let items = kind::snapshot(value, intern!(py, "items"))?;
                writer.members(py, items.iter().map(|item| item.extract()))
            }),
            Kind::List => self.nested(value, |writer| writer.array(value.cast::<PyList>()?.iter())),
            Kind::Tuple => {
                self.nested(value, |writer| writer.array(value.cast::<PyTuple>()?.iter()))
            }
            Kind::Elements => self.nested(value, |writer| {
                let elements = kind::snapshot(value, intern!(py, "__iter__"))?;
                writer.array(elements.iter())
            }),
            // Not a list of them, which may have no end.
            Kind::Mapping => self.nested(value, |writer| {
                let items = PyIterator::from_object(&value.call_method0(intern!(py, "items"))?)?;
                writer.members(py, items.map(|item| item?.extract()))
            }),
            Kind::NamedTuple => self.nested(value, |writer| object::named_tuple(writer, value)),
            Kind::Dataclass | Kind::Attrs | Kind::Pydantic => {
                self.nested(value, |writer| object::write(writer, value, kind))
            }
            Kind::Row => self.nested(value, |writer| object::row(writer, value)),
            Kind::Array | Kind::Column | Kind::Table | Kind::Remote => {
                self.nested(value, |writer| array::write(writer, value, kind))
            }
            Kind::Enum => {
                self.nested(value, |writer| writer.value(&value.getattr(intern!(py, "value"))?))
            }
            Kind::Exception => self.nested(value, |writer| exception::write_value(writer, value)),
            _ => self.text_of(value, kind),
        }
    }

    /// The kinds that are one text or number.
    fn text_of(&mut self, value: &Bound<'_, PyAny>, kind: Kind) -> PyResult<()> {
        let py = value.py();
        match kind {
            Kind::Time => {
                let text = value.call_method0(intern!(py, "isoformat"))?;
                self.string(text.cast::<PyString>()?)
            }
            Kind::Bytes => self.bytes(value),
            Kind::MemoryView => self.memory_view(value),
            Kind::Scalar => {
                let item = value.call_method0(intern!(py, "item"))?;
                // A number that Python has none for is its own item.
                if kind::of(&item) == Kind::Scalar {
                    return self.string(&value.str()?);
                }
                self.nested(value, |writer| writer.value(&item))
            }
            Kind::Missing => {
                self.out.push_str("null");
                Ok(())
            }
            Kind::Generator => {
                let name = text(&value.getattr(intern!(py, "__qualname__"))?)?;
                self.text(&format!("<{} {name}>", kind::type_name(value)));
                Ok(())
            }
            Kind::Lazy => {
                let name = object::lazy(value)?;
                self.text(&name);
                Ok(())
            }
            Kind::Proxy => self.string(&value.repr()?),
            _ => self.string(&value.str()?),
        }
    }

    /// Writes what was written before, all or nothing of it.
    fn written(&mut self, json: &str) {
        if json.len() <= self.end.saturating_sub(self.out.len()) {
            self.out.push_str(json);
        } else {
            write_string(self.out, self.too_large);
        }
    }

    /// Writes a container, unless it is open already or the limit of depth is reached.
    fn nested(
        &mut self,
        value: &Bound<'_, PyAny>,
        write: impl FnOnce(&mut Self) -> PyResult<()>,
    ) -> PyResult<()> {
        let address = value.as_ptr() as usize;
        if self.open.len() >= self.depth_max {
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
    pub(crate) fn dict(&mut self, dict: &Bound<'_, PyDict>) -> PyResult<()> {
        if dict.is_empty() {
            self.out.push_str("{}");
            return Ok(());
        }
        let copy = dict.copy()?;
        self.members(dict.py(), copy.iter().map(Ok))
    }

    /// A source that fails on the way ends there: what was written stays.
    pub(crate) fn members<'py>(
        &mut self,
        py: Python<'py>,
        members: impl Iterator<Item = PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)>>,
    ) -> PyResult<()> {
        self.out.push('{');
        for (place, member) in members.enumerate() {
            if place > 0 {
                self.out.push(',');
            }
            let (key, value) = match member {
                Ok(member) => member,
                Err(error) => {
                    self.out.push_str("\"…\":");
                    self.interrupted(error, py)?;
                    break;
                }
            };
            if self.full() {
                self.out.push_str("\"…\":");
                write_string(self.out, self.too_large);
                break;
            }
            self.key(&key)?;
            self.value(&value)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn array<'py>(&mut self, elements: impl Iterator<Item = Bound<'py, PyAny>>) -> PyResult<()> {
        self.out.push('[');
        for (place, element) in elements.enumerate() {
            if place > 0 {
                self.out.push(',');
            }
            let full = self.full();
            self.value(&element)?;
            if full {
                break;
            }
        }
        self.out.push(']');
        Ok(())
    }

    /// Says in place of the rest why there is none.
    fn interrupted(&mut self, error: PyErr, py: Python<'_>) -> PyResult<()> {
        let name = kind::type_name(error.value(py));
        guard(py, error)?;
        self.text(&format!("<ended by {name}>"));
        Ok(())
    }

    /// Writes a key of any type, and the colon. Bytes are the text that they are, so that a secret is known by its
    /// name.
    pub(crate) fn key(&mut self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(key) = key.cast::<PyString>() {
            self.string(key)?;
        } else if let Ok(key) = key.cast::<PyBytes>()
            && std::str::from_utf8(key.as_bytes()).is_ok()
        {
            self.bytes(key)?;
        } else {
            let key = text(key)?;
            self.text(&key);
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
        self.cut(text, text.len());
    }

    /// Writes as much of a text as fits, and how long all of it is.
    fn cut(&mut self, text: &str, bytes: usize) {
        let room = self.end.saturating_sub(self.out.len());
        let is_plain = escaped_len(text) == text.len() + 2;
        let kept = if is_plain { room } else { room / ESCAPE_FACTOR_MAX };
        let kept = text.get(..text.floor_char_boundary(kept)).unwrap_or_default();
        write_string(self.out, &format!("{kept}… ({bytes} bytes)"));
    }

    /// All digits: as a number if it has 128 bits or fewer, otherwise as text. From 4,300 digits on in hexadecimal:
    /// decimal ones take Python ever longer, and it may refuse (CVE-2020-10735).
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
        // Not the methods of a subclass: `IntFlag` and the like write a name.
        let class = py.get_type::<PyInt>();
        let bits: usize = class.call_method1(intern!(py, "bit_length"), (integer,))?.extract()?;
        if bits > VALUES_BYTES_MAX * 4 {
            self.text(&format!("<integer of {bits} bits>"));
            return Ok(());
        }
        let format = if bits > INTEGER_BITS_MAX { "#x" } else { "d" };
        let digits = class.call_method1(intern!(py, "__format__"), (integer, format))?;
        with_text(digits.cast::<PyString>()?, |digits| {
            // Beyond 64 bits a number would be a float to nearly everybody who reads it.
            self.text(digits);
            Ok(())
        })
    }

    /// Text if it is text, otherwise as Python would show it. Only what may be written is looked at.
    fn bytes(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let room = self.end.saturating_sub(self.out.len());
        if let Ok(bytes) = value.cast::<PyBytes>() {
            let all = bytes.as_bytes();
            return self.binary(value.py(), all.get(..room).unwrap_or(all), all.len());
        }
        // Its bytes may change at any time.
        let all = value.cast::<PyByteArray>()?;
        let py = value.py();
        let part = all.as_any().get_item(PySlice::new(py, 0, isize::try_from(room)?, 1))?;
        self.binary(py, &part.cast::<PyByteArray>()?.to_vec(), all.len())
    }

    fn memory_view(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        let bytes: usize = value.getattr(intern!(py, "nbytes"))?.extract()?;
        if bytes > VALUES_BYTES_MAX {
            self.text(&format!("<memoryview of {bytes} bytes>"));
            return Ok(());
        }
        let copy = value.call_method0(intern!(py, "tobytes"))?;
        self.bytes(&copy)
    }

    /// The beginning of so many bytes.
    fn binary(&mut self, py: Python<'_>, head: &[u8], bytes: usize) -> PyResult<()> {
        let is_whole = head.len() == bytes;
        let text = match std::str::from_utf8(head) {
            Ok(text) => text,
            // A character that was cut in two.
            Err(error) if error.error_len().is_none() && !is_whole => {
                let valid = head.get(..error.valid_up_to()).unwrap_or_default();
                std::str::from_utf8(valid).unwrap_or_default()
            }
            Err(_) => &utf8(&PyBytes::new(py, head).repr()?)?,
        };
        if is_whole {
            self.text(text);
        } else {
            self.cut(text, bytes);
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
    if is_plain() && !value.is_exact_instance_of::<PyString>() {
        return Ok(unprintable(value));
    }
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
