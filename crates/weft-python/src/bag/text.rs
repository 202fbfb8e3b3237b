//! Lines of text files that stay Rust's until Python asks for them.
//!
//! A [`TextStream`] is an iterator. Steps that it knows (`str` methods without arguments, `split`, flattening,
//! `json.loads`) are added to it; what they give is made when it is read, without text between the steps. Counting
//! does not make Python objects for what was counted before, and lets other threads run.

use std::sync::{Mutex, MutexGuard};

use pyo3::exceptions::{PyEOFError, PyUnicodeDecodeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use weft_io::{Compression, Counts, IoError, TextError, TextPiece, TextReader, is_space, next_word};

use super::columns::table;
use super::json::JsonLoads;
use super::records::{Ask, Fold, Found, Records};
use crate::arrow::PyFrame;

/// What is done to a text. Whitespace is Python's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Strip,
    Lstrip,
    Rstrip,
    /// On ASCII; the rest is Python's business.
    Lower,
    Upper,
}

/// What elements are made of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Line,
    /// A list of words.
    Lists,
    Word,
    Json,
}

struct State {
    reader: TextReader,
    /// What the reader reads, and how: it may be read again from its start.
    pieces: Vec<TextPiece>,
    universal: bool,
    started: bool,
    shape: Shape,
    /// On lines, then on words.
    line_methods: Vec<Method>,
    word_methods: Vec<Method>,
    chunk: String,
    /// Where in the chunk the next line begins, or the next word, up to `line_end`.
    at: usize,
    line_end: usize,
    /// On the objects of lines of JSON.
    records: Records,
}

/// See the module.
#[pyclass(module = "weft._weft", frozen)]
pub(crate) struct TextStream {
    state: Mutex<Option<State>>,
    json: JsonLoads,
}

impl Method {
    fn find(name: &str) -> Option<Method> {
        Some(match name {
            "strip" => Method::Strip,
            "lstrip" => Method::Lstrip,
            "rstrip" => Method::Rstrip,
            "lower" => Method::Lower,
            "upper" => Method::Upper,
            _ => return None,
        })
    }
}

/// Applies the methods; `buffer` holds the text if it has to change.
fn apply<'a>(methods: &[Method], mut text: &'a str, buffer: &'a mut String) -> PyResult<&'a str> {
    let cases: Vec<Method> =
        methods.iter().copied().filter(|m| matches!(m, Method::Lower | Method::Upper)).collect();
    for method in methods {
        text = match method {
            Method::Strip => text.trim_matches(is_space),
            Method::Lstrip => text.trim_start_matches(is_space),
            Method::Rstrip => text.trim_end_matches(is_space),
            Method::Lower | Method::Upper => text,
        };
    }
    // Changing case makes no whitespace, so that it may come last.
    let Some(&last) = cases.last() else { return Ok(text) };
    if text.is_ascii() {
        buffer.clear();
        buffer.push_str(text);
        match last {
            Method::Upper => buffer.make_ascii_uppercase(),
            _ => buffer.make_ascii_lowercase(),
        }
        return Ok(buffer);
    }
    *buffer = Python::attach(|py| {
        let mut text = PyString::new(py, text).into_any();
        for case in cases {
            text = text.call_method0(if case == Method::Upper { "upper" } else { "lower" })?;
        }
        text.extract()
    })?;
    Ok(buffer)
}

impl State {
    /// Reads on if the chunk is used up. `false`: that was all.
    fn fill(&mut self) -> Result<bool, TextError> {
        while self.at >= self.chunk.len() && self.at >= self.line_end {
            self.started = true;
            match self.reader.read()? {
                Some(chunk) => self.chunk = chunk,
                None => {
                    self.chunk = String::new();
                    (self.at, self.line_end) = (0, 0);
                    return Ok(false);
                }
            }
            (self.at, self.line_end) = (0, 0);
        }
        Ok(true)
    }

    /// The next line, with its line break.
    fn line(&mut self) -> Result<Option<(usize, usize)>, TextError> {
        if !self.fill()? {
            return Ok(None);
        }
        let start = self.at;
        let rest = &self.chunk.as_bytes()[start..];
        let end = memchr::memchr(b'\n', rest).map_or(self.chunk.len(), |at| start + at + 1);
        self.at = end;
        self.line_end = end;
        Ok(Some((start, end)))
    }

    /// The next word.
    fn word(&mut self) -> Result<Option<(usize, usize)>, TextError> {
        loop {
            // Words do not depend on where lines end: a chunk is split as a whole.
            if !self.fill()? {
                return Ok(None);
            }
            let Some((start, end)) = next_word(&self.chunk, self.at) else {
                self.at = self.chunk.len();
                self.line_end = self.at;
                continue;
            };
            self.at = end;
            return Ok(Some((start, end)));
        }
    }
}

fn counts_to_py(py: Python<'_>, counts: Counts) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    for (text, n) in counts.finish() {
        dict.set_item(PyString::new(py, &text), n)?;
    }
    Ok(dict)
}

/// Calls `each` with every line of pieces of files; stops where it cannot go on.
fn every_line(
    pieces: Vec<TextPiece>,
    universal: bool,
    mut each: impl FnMut(&str) -> Result<(), Ask>,
) -> Result<Result<(), Ask>, TextError> {
    let mut reader = TextReader::new(pieces, universal);
    while let Some(chunk) = reader.read()? {
        let mut rest = chunk.as_str();
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |at| at + 1);
            if let Err(ask) = each(&rest[..end]) {
                return Ok(Err(ask));
            }
            rest = &rest[end..];
        }
    }
    Ok(Ok(()))
}

impl State {
    /// How often each text that is left occurs. The inner error is a method's.
    fn counts(&mut self) -> Result<Result<Counts, PyErr>, TextError> {
        let mut counts = Counts::default();
        let mut methods = self.line_methods.clone();
        if self.shape == Shape::Word {
            // Methods on lines are the same on their words, which have no whitespace to strip.
            methods.append(&mut self.word_methods.clone());
            methods.retain(|method| matches!(method, Method::Lower | Method::Upper));
            while self.fill()? {
                let mut rest = self.chunk.split_off(self.at);
                (self.chunk, self.at, self.line_end) = (String::new(), 0, 0);
                match methods.last() {
                    Some(_) if !rest.is_ascii() => {
                        if let Err(error) = count_words(&rest, &methods, &mut counts) {
                            return Ok(Err(error));
                        }
                        continue;
                    }
                    Some(Method::Upper) => rest.make_ascii_uppercase(),
                    Some(_) => rest.make_ascii_lowercase(),
                    None => {}
                }
                counts.add_words(&rest);
            }
            return Ok(Ok(counts));
        }
        let mut buffer = String::new();
        while let Some((start, end)) = self.line()? {
            match apply(&methods, &self.chunk[start..end], &mut buffer) {
                Ok(text) => counts.add(text),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(counts))
    }
}

/// Counts words with methods that Python has to be asked about for some.
fn count_words(text: &str, methods: &[Method], counts: &mut Counts) -> PyResult<()> {
    let (mut at, mut buffer) = (0, String::new());
    while let Some((start, end)) = next_word(text, at) {
        let word = apply(methods, &text[start..end], &mut buffer)?;
        // A character may have become several, but none of them whitespace.
        counts.add(word);
        at = end;
    }
    Ok(())
}

fn raise(py: Python<'_>, error: TextError) -> PyErr {
    match error {
        TextError::Io(IoError::Truncated { ref path, .. }) => {
            // Which exception it is depends on the format, and on what is wrong: Python's reader says.
            match py.import("weft.bag.text").and_then(|text| text.call_method1("read_through", (path,))) {
                Err(natural) => natural,
                Ok(_) => PyEOFError::new_err(error.to_string()),
            }
        }
        TextError::Io(IoError::Read { ref path, .. } | IoError::NotFound { ref path, .. }) => {
            // What Python says of it has the number of the system's error.
            let open = py.import("builtins").and_then(|b| b.getattr("open"));
            match open.and_then(|open| open.call1((path, "rb"))?.call_method0("close")) {
                Err(natural) => natural,
                Ok(_) => pyo3::exceptions::PyOSError::new_err(error.to_string()),
            }
        }
        TextError::Io(error) => crate::csv::io_error(py, error),
        TextError::NotUtf8 { path, before, bytes } => not_utf8(py, &path, before, &bytes),
    }
}

/// Python's own error, which also says in which file and line.
fn not_utf8(py: Python<'_>, path: &str, before: u64, bytes: &[u8]) -> PyErr {
    let natural = match PyBytes::new(py, bytes).call_method1("decode", ("utf-8",)) {
        Err(error) => error,
        Ok(_) => return PyUnicodeDecodeError::new_err(format!("{path} is not UTF-8")),
    };
    let rewritten = || -> PyResult<PyErr> {
        let value = natural.value(py);
        let start: usize = value.getattr("start")?.extract()?;
        let line = before + 1 + memchr::memchr_iter(b'\n', &bytes[..start.min(bytes.len())]).count() as u64;
        let reason: String = value.getattr("reason")?.extract()?;
        let reason = format!("{reason} (in {path}, line {line} of what was read)");
        let args =
            (value.getattr("encoding")?, value.getattr("object")?, start, value.getattr("end")?, reason);
        Ok(PyErr::from_value(value.get_type().call1(args)?))
    };
    rewritten().unwrap_or(natural)
}

impl TextStream {
    /// Never waits: who holds the stream may be waiting for the interpreter.
    fn state(&self) -> PyResult<MutexGuard<'_, Option<State>>> {
        self.state.try_lock().map_err(|_| PyValueError::new_err("text stream already executing"))
    }

    fn list<'py>(py: Python<'py>, state: &mut State, line: (usize, usize)) -> PyResult<Bound<'py, PyList>> {
        let (mut first, mut second) = (String::new(), String::new());
        let line = apply(&state.line_methods, &state.chunk[line.0..line.1], &mut first)?;
        let words = PyList::empty(py);
        for word in line.split(is_space).filter(|word| !word.is_empty()) {
            words.append(apply(&state.word_methods, word, &mut second)?)?;
        }
        Ok(words)
    }

    fn next<'py>(&self, py: Python<'py>, state: &mut State) -> PyResult<Option<Bound<'py, PyAny>>> {
        if state.shape == Shape::Json {
            while let Some((start, end)) = state.line().map_err(|error| raise(py, error))? {
                match state.records.element(py, &state.chunk[start..end], &self.json)? {
                    Found::Dropped => {}
                    Found::Element(element) => return Ok(Some(element)),
                }
            }
            return Ok(None);
        }
        let mut buffer = String::new();
        let found = match state.shape {
            Shape::Word => state.word(),
            _ => state.line(),
        };
        let Some((start, end)) = found.map_err(|error| raise(py, error))? else { return Ok(None) };
        Ok(Some(match state.shape {
            Shape::Line => {
                let text = apply(&state.line_methods, &state.chunk[start..end], &mut buffer)?;
                PyString::new(py, text).into_any()
            }
            Shape::Word => {
                // Methods on lines are the same on their words.
                let mut first = String::new();
                let word = apply(&state.line_methods, &state.chunk[start..end], &mut first)?;
                PyString::new(py, apply(&state.word_methods, word, &mut buffer)?).into_any()
            }
            Shape::Lists => Self::list(py, state, (start, end))?.into_any(),
            // Was dealt with above.
            Shape::Json => self.json.parse(py, &state.chunk[start..end])?,
        }))
    }

    /// A stream of the same text with another step; this one is then empty.
    fn step(&self, change: impl FnOnce(&mut State) -> bool) -> PyResult<Option<TextStream>> {
        let mut guard = self.state()?;
        let Some(state) = guard.as_mut() else { return Ok(None) };
        if !change(state) {
            return Ok(None);
        }
        Ok(Some(TextStream { state: Mutex::new(guard.take()), json: JsonLoads::default() }))
    }
}

#[pymethods]
impl TextStream {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.state()?.as_mut() {
            Some(state) => self.next(py, state),
            None => Ok(None),
        }
    }

    /// Whether nothing is left. Reads on, but takes nothing. `None`: that takes looking at elements.
    fn is_empty(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        let mut guard = self.state()?;
        let Some(state) = guard.as_mut() else { return Ok(Some(true)) };
        if !state.records.is_plain() {
            return Ok(None);
        }
        state.fill().map(|more| Some(!more)).map_err(|error| raise(py, error))
    }

    /// The same text with the method `name` of `str` on each element; `None`: not natively.
    fn method(&self, name: &str) -> PyResult<Option<TextStream>> {
        self.step(|state| {
            match (state.shape, name) {
                (Shape::Line, "split") => state.shape = Shape::Lists,
                (Shape::Line, _) => match Method::find(name) {
                    Some(method) => state.line_methods.push(method),
                    None => return false,
                },
                (Shape::Word, _) => match Method::find(name) {
                    Some(method) => state.word_methods.push(method),
                    None => return false,
                },
                _ => return false,
            }
            true
        })
    }

    /// The words, if elements are lists of words; else `None`.
    fn flatten(&self) -> PyResult<Option<TextStream>> {
        self.step(|state| {
            let lists = state.shape == Shape::Lists;
            if lists {
                state.shape = Shape::Word;
            }
            lists
        })
    }

    /// What `json.loads` makes of each line; `None`: elements are no lines.
    fn json(&self) -> PyResult<Option<TextStream>> {
        self.step(|state| {
            let lines = state.shape == Shape::Line && state.line_methods.is_empty();
            if lines {
                state.shape = Shape::Json;
            }
            lines
        })
    }

    /// The objects that a function is true of, or with `keep` false, is not; `program` says what it computes. `None`: not
    /// natively.
    fn filter(
        &self,
        program: &Bound<'_, PyAny>,
        func: Py<PyAny>,
        keep: bool,
    ) -> PyResult<Option<TextStream>> {
        let mut failed = Ok(());
        let stream = self.step(|state| {
            let objects = state.shape == Shape::Json && state.records.projection.is_none();
            if objects {
                failed = state.records.filter(program, func, keep);
            }
            objects
        });
        failed.and(stream)
    }

    /// What a function makes of each object; `program` says what it computes. `None`: not natively.
    fn project(&self, program: &Bound<'_, PyAny>, func: Py<PyAny>) -> PyResult<Option<TextStream>> {
        let mut failed = Ok(());
        let stream = self.step(|state| {
            let objects = state.shape == Shape::Json && state.records.projection.is_none();
            if objects {
                failed = state.records.project(program, func);
            }
            objects
        });
        failed.and(stream)
    }

    /// Totals of objects by key, of which `key` and `binop` say what they compute; `None`: not natively, the stream is as
    /// before.
    fn foldby<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        binop: &Bound<'py, PyAny>,
        initial: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let mut guard = self.state()?;
        let Some(state) = guard.as_mut() else { return Ok(None) };
        if state.shape != Shape::Json || state.records.projection.is_some() || state.started {
            return Ok(None);
        }
        let mut fold = Fold::new(&mut state.records, key, binop, initial)?;
        let (records, pieces, universal) = (&state.records, state.pieces.clone(), state.universal);
        let done = py.detach(|| every_line(pieces, universal, |line| fold.add(line, records)));
        match done.map_err(|error| raise(py, error))? {
            Ok(()) => fold.into_py(py).map(Some),
            Err(Ask) => Ok(None),
        }
    }

    /// The objects of lines of JSON as a frame of the columns `names`, and a dict of those columns that stay Python's.
    /// `None`: not of these `dtypes` exactly; the stream is then as before.
    fn frame<'py>(
        &self,
        py: Python<'py>,
        names: Vec<String>,
        dtypes: Vec<String>,
    ) -> PyResult<Option<(PyFrame, Bound<'py, PyDict>)>> {
        let mut guard = self.state()?;
        let Some(state) = guard.as_mut() else { return Ok(None) };
        if state.shape != Shape::Json || !state.records.is_plain() || state.started {
            return Ok(None);
        }
        let (pieces, universal) = (state.pieces.clone(), state.universal);
        drop(guard);
        let found = py.detach(|| {
            let mut reader = TextReader::new(pieces, universal);
            let mut text = String::new();
            while let Some(chunk) = reader.read()? {
                text.push_str(&chunk);
            }
            Ok(table(&text, &names, &dtypes))
        });
        found.map_err(|error| raise(py, error))?.map(|table| table.into_py(py, &self.json)).transpose()
    }

    /// How many elements are left; `None`: count them.
    fn count(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        let mut guard = self.state()?;
        if let Some(state) = guard.as_mut().filter(|state| state.shape == Shape::Json) {
            if state.started {
                return Ok(None);
            }
            let mut n = 0;
            let (records, pieces, universal) = (&state.records, state.pieces.clone(), state.universal);
            let done = py.detach(|| {
                every_line(pieces, universal, |line| {
                    n += u64::from(records.has_element(line)?);
                    Ok(())
                })
            });
            return Ok(done.map_err(|error| raise(py, error))?.is_ok().then_some(n));
        }
        let Some(mut state) = guard.take() else { return Ok(Some(0)) };
        drop(guard);
        let counted = py.detach(move || {
            let mut n = 0;
            if state.shape == Shape::Word {
                while state.word()?.is_some() {
                    n += 1;
                }
            } else {
                while state.line()?.is_some() {
                    n += 1;
                }
            }
            Ok(Some(n))
        });
        counted.map_err(|error| raise(py, error))
    }

    /// How often each text occurs, in the order of their first; `None`: elements are no texts.
    fn frequencies<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let mut guard = self.state()?;
        if let Some(state) = guard.as_mut().filter(|state| matches!(state.shape, Shape::Lists | Shape::Json))
        {
            if state.shape == Shape::Lists || state.records.projection.is_none() || state.started {
                return Ok(None);
            }
            let mut counts = Counts::default();
            let (records, pieces, universal) = (&state.records, state.pieces.clone(), state.universal);
            let done = py.detach(|| every_line(pieces, universal, |line| records.count(line, &mut counts)));
            return match done.map_err(|error| raise(py, error))? {
                Ok(()) => counts_to_py(py, counts).map(Some),
                Err(Ask) => Ok(None),
            };
        }
        let Some(mut state) = guard.take() else { return Ok(Some(PyDict::new(py))) };
        drop(guard);
        let counted: Result<Result<Counts, PyErr>, TextError> = py.detach(move || state.counts());
        counts_to_py(py, counted.map_err(|error| raise(py, error))??).map(Some)
    }
}

/// The lines of pieces of local files, ``[(path, compression, offset, length or None), …]``, as UTF-8; `universal`:
/// all usual line breaks become ``"\n"``. `None`: a compression that Rust does not read.
#[pyfunction]
fn text_stream(
    pieces: Vec<(String, Option<String>, u64, Option<u64>)>,
    universal: bool,
) -> Option<TextStream> {
    let mut native = Vec::with_capacity(pieces.len());
    for (path, compression, offset, length) in pieces {
        let compression = match compression.as_deref() {
            None => Compression::None,
            Some("gzip") => Compression::Gzip,
            Some("bz2") => Compression::Bzip2,
            Some("xz") => Compression::Xz,
            Some("zstd") => Compression::Zstd,
            Some(_) => return None,
        };
        native.push(TextPiece { path, compression, offset, length });
    }
    let state = State {
        reader: TextReader::new(native.clone(), universal),
        pieces: native,
        universal,
        started: false,
        shape: Shape::Line,
        line_methods: Vec::new(),
        word_methods: Vec::new(),
        chunk: String::new(),
        at: 0,
        line_end: 0,
        records: Records::default(),
    };
    Some(TextStream { state: Mutex::new(Some(state)), json: JsonLoads::default() })
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<TextStream>()?;
    module.add_function(wrap_pyfunction!(text_stream, module)?)
}
