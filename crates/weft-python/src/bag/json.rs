//! `json.loads`, giving the same objects faster.
//!
//! What is not plain (errors, integers beyond 64 bits, halves of surrogate pairs, deep nesting) is left to `json.loads`
//! itself, so that values and exceptions are its own.

use std::sync::Mutex;

use ahash::AHashMap;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};

/// Deeper than this is left to `json.loads`.
const MAX_DEPTH: u32 = 200;
/// Keys that are kept, and how long they may be.
const MAX_KEYS: usize = 2048;
const MAX_KEY: usize = 64;

/// `json.loads` of one text, as a callable that remembers keys of objects.
#[pyclass(module = "weft._weft", frozen)]
#[derive(Default)]
pub(crate) struct JsonLoads {
    keys: Mutex<AHashMap<Box<[u8]>, Py<PyString>>>,
}

/// Left to `json.loads`.
struct Unusual;

type Parsed<'py> = Result<Bound<'py, PyAny>, Unusual>;

struct Parser<'a, 'py> {
    py: Python<'py>,
    bytes: &'a [u8],
    at: usize,
    keys: &'a mut AHashMap<Box<[u8]>, Py<PyString>>,
    /// Text with its escapes undone.
    buffer: Vec<u8>,
}

impl<'py> Parser<'_, 'py> {
    fn skip(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Result<u8, Unusual> {
        self.bytes.get(self.at).copied().ok_or(Unusual)
    }

    fn literal(&mut self, text: &[u8]) -> Result<(), Unusual> {
        if !self.bytes[self.at..].starts_with(text) {
            return Err(Unusual);
        }
        self.at += text.len();
        Ok(())
    }

    fn value(&mut self, depth: u32) -> Parsed<'py> {
        if depth > MAX_DEPTH {
            return Err(Unusual);
        }
        match self.peek()? {
            b'"' => {
                self.at += 1;
                let (start, end, plain) = self.string()?;
                let bytes = if plain { &self.bytes[start..end] } else { &self.buffer[..] };
                Ok(text(self.py, bytes)?.into_any())
            }
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b't' => self.literal(b"true").map(|()| PyBool::new(self.py, true).to_owned().into_any()),
            b'f' => self.literal(b"false").map(|()| PyBool::new(self.py, false).to_owned().into_any()),
            b'n' => self.literal(b"null").map(|()| self.py.None().into_bound(self.py)),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: u32) -> Parsed<'py> {
        self.at += 1;
        let object = PyDict::new(self.py);
        self.skip();
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(object.into_any());
        }
        loop {
            if self.peek()? != b'"' {
                return Err(Unusual);
            }
            self.at += 1;
            let key = self.key()?;
            self.skip();
            if self.peek()? != b':' {
                return Err(Unusual);
            }
            self.at += 1;
            self.skip();
            let value = self.value(depth)?;
            object.set_item(key, value).map_err(|_| Unusual)?;
            self.skip();
            let next = self.peek()?;
            self.at += 1;
            match next {
                b',' => self.skip(),
                b'}' => return Ok(object.into_any()),
                _ => return Err(Unusual),
            }
        }
    }

    fn array(&mut self, depth: u32) -> Parsed<'py> {
        self.at += 1;
        let array = PyList::empty(self.py);
        self.skip();
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(array.into_any());
        }
        loop {
            array.append(self.value(depth)?).map_err(|_| Unusual)?;
            self.skip();
            let next = self.peek()?;
            self.at += 1;
            match next {
                b',' => self.skip(),
                b']' => return Ok(array.into_any()),
                _ => return Err(Unusual),
            }
        }
    }

    fn key(&mut self) -> Result<Bound<'py, PyString>, Unusual> {
        let (start, end, plain) = self.string()?;
        let bytes = if plain { &self.bytes[start..end] } else { &self.buffer[..] };
        if let Some(key) = self.keys.get(bytes) {
            return Ok(key.bind(self.py).clone());
        }
        let key = text(self.py, bytes)?;
        if bytes.len() <= MAX_KEY && self.keys.len() < MAX_KEYS {
            self.keys.insert(bytes.into(), key.clone().unbind());
        }
        Ok(key)
    }

    /// A string, after its quote: where it is, if it has no escapes, else it is in the buffer.
    fn string(&mut self) -> Result<(usize, usize, bool), Unusual> {
        let start = self.at;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok((start, self.at - 1, true));
                }
                b'\\' => break,
                // Control characters are errors.
                0..=0x1f => return Err(Unusual),
                _ => self.at += 1,
            }
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(&self.bytes[start..self.at]);
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Ok((0, 0, false)),
                b'\\' => {
                    let escape = self.peek()?;
                    self.at += 1;
                    self.buffer.push(match escape {
                        b'"' | b'\\' | b'/' => escape,
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'u' => {
                            self.unicode()?;
                            continue;
                        }
                        _ => return Err(Unusual),
                    });
                }
                0..=0x1f => return Err(Unusual),
                byte => self.buffer.push(byte),
            }
        }
    }

    fn hex(&mut self) -> Result<u32, Unusual> {
        let digits = self.bytes.get(self.at..self.at + 4).ok_or(Unusual)?;
        self.at += 4;
        digits
            .iter()
            .try_fold(0, |value, &digit| Some(value * 16 + (digit as char).to_digit(16)?))
            .ok_or(Unusual)
    }

    fn unicode(&mut self) -> Result<(), Unusual> {
        let mut code = self.hex()?;
        if (0xd800..0xdc00).contains(&code) {
            self.literal(b"\\u")?;
            let low = self.hex()?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(Unusual);
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        let c = char::from_u32(code).ok_or(Unusual)?;
        self.buffer.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn digits(&mut self) -> Result<usize, Unusual> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        if self.at == start { Err(Unusual) } else { Ok(self.at - start) }
    }

    fn number(&mut self) -> Parsed<'py> {
        let start = self.at;
        if self.peek()? == b'-' {
            self.at += 1;
        }
        let zero = self.peek()? == b'0';
        if self.digits()? > 1 && zero {
            return Err(Unusual);
        }
        let mut whole = true;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
            whole = false;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
            whole = false;
        }
        let digits = std::str::from_utf8(&self.bytes[start..self.at]).map_err(|_| Unusual)?;
        if whole {
            let value: i64 = digits.parse().map_err(|_| Unusual)?;
            return Ok(PyInt::new(self.py, value).into_any());
        }
        let value: f64 = digits.parse().map_err(|_| Unusual)?;
        Ok(PyFloat::new(self.py, value).into_any())
    }
}

fn text<'py>(py: Python<'py>, bytes: &[u8]) -> Result<Bound<'py, PyString>, Unusual> {
    // The input was text, and was cut at ASCII characters.
    std::str::from_utf8(bytes).map(|text| PyString::new(py, text)).map_err(|_| Unusual)
}

impl JsonLoads {
    pub(super) fn parse<'py>(&self, py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
        match self.usual(py, text) {
            Ok(value) => Ok(value),
            Err(Unusual) => loads(py)?.call1((text,)),
        }
    }

    fn usual<'py>(&self, py: Python<'py>, text: &str) -> Parsed<'py> {
        // Another thread that holds the keys may be waiting for the interpreter.
        let mut fresh = AHashMap::new();
        let mut guard = self.keys.try_lock().ok();
        let keys = guard.as_deref_mut().unwrap_or(&mut fresh);
        let mut parser = Parser { py, bytes: text.as_bytes(), at: 0, keys, buffer: Vec::new() };
        parser.skip();
        let value = parser.value(0)?;
        parser.skip();
        if parser.at == text.len() { Ok(value) } else { Err(Unusual) }
    }
}

fn loads(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    LOADS.import(py, "json", "loads")
}

#[pymethods]
impl JsonLoads {
    #[new]
    fn new() -> Self {
        JsonLoads::default()
    }

    fn __call__<'py>(&self, py: Python<'py>, text: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(string) = text.cast_exact::<PyString>()
            && let Ok(string) = string.to_str()
            && let Ok(value) = self.usual(py, string)
        {
            return Ok(value);
        }
        loads(py)?.call1((text,))
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<JsonLoads>()
}
