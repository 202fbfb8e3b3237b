//! Groups on their way from one process to another.
//!
//! [`BagShards`] writes what is made of Python's own types in a form that is read several times as fast as a pickle:
//! nothing is looked up by identity but texts that are shared, such as the keys of dicts. Pickle writes
//! whatever might be one object in two places, which it keeps one, and whatever is of another type.

use ahash::AHashMap;
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyIterator, PyList, PyString, PyTuple};
use xxhash_rust::xxh3::xxh3_64;

const NONE: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT: u8 = 4;
const STR: u8 = 5;
/// A text that will be referred to, and a reference to one by its number.
const SHARED: u8 = 6;
const REFERENCE: u8 = 7;
const BYTES: u8 = 8;
const TUPLE: u8 = 9;
const LIST: u8 = 10;
const DICT: u8 = 11;
/// The next object that pickle wrote.
const FOREIGN: u8 = 12;

/// Containers within containers beyond this are left to pickle.
const DEPTH: u32 = 64;
/// References to an object that nobody but its container has, while it is looked at: the container's, and ours.
const ALONE: isize = 2;

fn references(object: &Bound<'_, PyAny>) -> isize {
    // SAFETY: the object is alive, and this thread is attached to the interpreter.
    unsafe { pyo3::ffi::Py_REFCNT(object.as_ptr()) }
}

/// A number that equal keys share, in every process for text, numbers and tuples of them.
fn bucket_hash(key: &Bound<'_, PyAny>) -> PyResult<u64> {
    if let Ok(text) = key.cast_exact::<PyString>() {
        return Ok(match text.to_cow() {
            Ok(text) => xxh3_64(text.as_bytes()),
            // Lone surrogates.
            Err(_) => text.len()? as u64,
        });
    }
    if let Ok(bytes) = key.cast_exact::<PyBytes>() {
        return Ok(xxh3_64(bytes.as_bytes()));
    }
    if key.is_none() {
        return Ok(0x9E37_79B9);
    }
    if let Ok(items) = key.cast_exact::<PyTuple>() {
        return items.iter().try_fold(items.len() as u64, |total, item| {
            Ok(total.wrapping_mul(1_000_003) ^ bucket_hash(&item)?)
        });
    }
    // Python's hashes of numbers are the same everywhere, and equal numbers of different types share theirs. Other objects
    // know best what they equal.
    let hash = key.hash()? as u64;
    // Numbers in steps of the number of buckets must not all go to one of them.
    Ok(hash ^ (hash >> 15))
}

/// The groups (key: elements) of each of `n` new partitions.
#[pyfunction]
pub(super) fn bag_scatter<'py>(groups: &Bound<'py, PyDict>, n: u32) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let buckets: Vec<_> = (0..n).map(|_| PyDict::new(groups.py())).collect();
    for (key, members) in groups.iter() {
        buckets[bucket(&key, n, None)? as usize].set_item(key, members)?;
    }
    Ok(buckets)
}

/// Which of `n` new partitions a key's group goes to, by `hash` of the key or by our own.
fn bucket(key: &Bound<'_, PyAny>, n: u32, hash: Option<&Bound<'_, PyAny>>) -> PyResult<u32> {
    let Some(hash) = hash else { return Ok((bucket_hash(key)? % n as u64) as u32) };
    let number = hash.call1((key,))?;
    match number.extract::<i64>() {
        Ok(number) => Ok((number ^ (number >> 15)).rem_euclid(n as i64) as u32),
        // As long as it likes.
        Err(_) => number.call_method1("__mod__", (n,))?.extract(),
    }
}

/// Elements of one new partition, each after the number of its key; a key that is new follows its number.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    /// By address, and kept, so that no other text can come to lie there.
    texts: AHashMap<usize, (u64, Py<PyString>)>,
    /// What pickle writes, in order.
    foreign: Vec<Py<PyAny>>,
    keys: u32,
}

impl Writer {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn text(&mut self, text: &Bound<'_, PyString>) -> bool {
        let shared = references(text) > ALONE;
        if shared {
            let address = text.as_ptr() as usize;
            if let Some(&(known, _)) = self.texts.get(&address) {
                self.bytes.push(REFERENCE);
                self.number(known);
                return true;
            }
            self.texts.insert(address, (self.texts.len() as u64, text.clone().unbind()));
            self.bytes.push(SHARED);
        } else {
            self.bytes.push(STR);
        }
        let Ok(content) = text.to_cow() else { return false };
        self.number(content.len() as u64);
        self.bytes.extend_from_slice(content.as_bytes());
        true
    }

    /// Writes an object, or a note that pickle does.
    fn object(&mut self, object: &Bound<'_, PyAny>) -> PyResult<()> {
        let (length, texts) = (self.bytes.len(), self.texts.len());
        if !self.write(object, 0)? {
            self.bytes.truncate(length);
            if self.texts.len() > texts {
                self.texts.retain(|_, (number, _)| (*number as usize) < texts);
            }
            self.bytes.push(FOREIGN);
            self.foreign.push(object.clone().unbind());
        }
        Ok(())
    }

    /// False: this is for pickle.
    fn write(&mut self, object: &Bound<'_, PyAny>, depth: u32) -> PyResult<bool> {
        if let Ok(number) = object.cast_exact::<PyInt>() {
            let Ok(number) = number.extract::<i64>() else { return Ok(false) };
            self.bytes.push(INT);
            self.number((number.wrapping_shl(1) ^ (number >> 63)) as u64);
            return Ok(true);
        }
        if let Ok(text) = object.cast_exact::<PyString>() {
            return Ok(self.text(text));
        }
        if let Ok(number) = object.cast_exact::<PyFloat>() {
            self.bytes.push(FLOAT);
            self.bytes.extend_from_slice(&number.value().to_bits().to_le_bytes());
            return Ok(true);
        }
        if object.is_none() {
            self.bytes.push(NONE);
            return Ok(true);
        }
        if let Ok(truth) = object.cast_exact::<PyBool>() {
            self.bytes.push(if truth.is_true() { TRUE } else { FALSE });
            return Ok(true);
        }
        if let Ok(content) = object.cast_exact::<PyBytes>() {
            self.bytes.push(BYTES);
            self.number(content.as_bytes().len() as u64);
            self.bytes.extend_from_slice(content.as_bytes());
            return Ok(true);
        }
        if depth == DEPTH {
            return Ok(false);
        }
        if let Ok(items) = object.cast_exact::<PyTuple>() {
            self.bytes.push(TUPLE);
            self.number(items.len() as u64);
            for item in items.iter_borrowed() {
                // Here the reference that we look through is the tuple's own.
                if !self.write(&item.to_owned(), depth + 1)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        // Of a container that may change, a second owner would see a copy change no more.
        if references(object) > ALONE {
            return Ok(false);
        }
        if let Ok(items) = object.cast_exact::<PyList>() {
            self.bytes.push(LIST);
            self.number(items.len() as u64);
            for item in items.iter() {
                if !self.write(&item, depth + 1)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        if let Ok(items) = object.cast_exact::<PyDict>() {
            self.bytes.push(DICT);
            self.number(items.len() as u64);
            for (key, value) in items.iter() {
                if !self.write(&key, depth + 1)? || !self.write(&value, depth + 1)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        Ok(false)
    }
}

/// Elements of one partition on their way to `n` new ones, as bytes.
///
/// They are written as they come, while they are in the processor's cache, and can be dropped at once.
#[pyclass(module = "weft._weft", frozen)]
pub(super) struct BagShards {
    n: u32,
    hash: Option<Py<PyAny>>,
    state: Mutex<Option<State>>,
}

struct State {
    /// Of each key its new partition and its number there, as one number.
    keys: Py<PyDict>,
    writers: Vec<Writer>,
}

impl State {
    fn new(py: Python<'_>, n: u32) -> State {
        State { keys: PyDict::new(py).unbind(), writers: (0..n).map(|_| Writer::default()).collect() }
    }

    fn add(
        &mut self,
        keys: &Bound<'_, PyList>,
        elements: &Bound<'_, PyList>,
        hash: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let n = self.writers.len() as u64;
        let known = self.keys.bind(keys.py()).clone();
        for (key, element) in keys.iter().zip(elements.iter()) {
            let writer = match known.get_item(&key)? {
                Some(number) => {
                    let number: u64 = number.extract()?;
                    let writer = &mut self.writers[(number % n) as usize];
                    writer.number(number / n);
                    writer
                }
                None => {
                    let place = bucket(&key, n as u32, hash)?;
                    let writer = &mut self.writers[place as usize];
                    known.set_item(&key, place as u64 + n * writer.keys as u64)?;
                    writer.number(writer.keys as u64);
                    writer.keys += 1;
                    writer.object(&key)?;
                    writer
                }
            };
            writer.object(&element)?;
        }
        Ok(())
    }
}

#[pymethods]
impl BagShards {
    #[new]
    fn new(py: Python<'_>, n: u32, hash: Option<Py<PyAny>>) -> PyResult<BagShards> {
        if n == 0 {
            return Err(PyValueError::new_err("groups need at least one partition"));
        }
        Ok(BagShards { n, hash, state: Mutex::new(Some(State::new(py, n))) })
    }

    /// Writes elements, given the key of each. Returns how many bytes wait.
    fn add(&self, keys: &Bound<'_, PyList>, elements: &Bound<'_, PyList>) -> PyResult<usize> {
        // Keys' own code runs meanwhile: the lock is not held.
        let py = keys.py();
        let taken = self.state.lock().take();
        let mut state = taken.ok_or_else(|| PyValueError::new_err("these shards are in use, or failed"))?;
        state.add(keys, elements, self.hash.as_ref().map(|hash| hash.bind(py)))?;
        let waiting = state.writers.iter().map(|writer| writer.bytes.len()).sum();
        *self.state.lock() = Some(state);
        Ok(waiting)
    }

    /// What was written, for each new partition; nothing waits then. `dumps` writes lists of what only pickle can.
    fn take<'py>(&self, py: Python<'py>, dumps: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let taken = self.state.lock().replace(State::new(py, self.n));
        let state = taken.ok_or_else(|| PyValueError::new_err("these shards are in use, or failed"))?;
        let finish = |writer: Writer| {
            if writer.bytes.is_empty() {
                return Ok(PyBytes::new(py, b""));
            }
            let foreign = match writer.foreign.is_empty() {
                true => PyBytes::new(py, b""),
                false => dumps.call1((PyList::new(py, writer.foreign)?,))?.cast_into::<PyBytes>()?,
            };
            let mut head = Writer::default();
            head.number(foreign.as_bytes().len() as u64);
            let parts = [&head.bytes[..], foreign.as_bytes(), &writer.bytes];
            let length = parts.iter().map(|part| part.len()).sum();
            PyBytes::new_with(py, length, |mut rest| {
                for part in parts {
                    let (here, after) = rest.split_at_mut(part.len());
                    here.copy_from_slice(part);
                    rest = after;
                }
                Ok(())
            })
        };
        state.writers.into_iter().map(finish).collect()
    }
}

struct Reader<'a, 'py> {
    py: Python<'py>,
    bytes: &'a [u8],
    texts: Vec<Bound<'py, PyString>>,
    foreign: Option<Bound<'py, PyIterator>>,
}

fn damaged() -> PyErr {
    PyValueError::new_err("groups that were written to disk are damaged")
}

impl<'a, 'py> Reader<'a, 'py> {
    fn byte(&mut self) -> PyResult<u8> {
        let (&first, rest) = self.bytes.split_first().ok_or_else(damaged)?;
        self.bytes = rest;
        Ok(first)
    }

    fn number(&mut self) -> PyResult<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= ((byte & 0x7F) as u64) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(damaged())
    }

    /// A length of something each of whose parts takes a byte at least.
    fn length(&mut self) -> PyResult<usize> {
        let length = self.number()?;
        if length > self.bytes.len() as u64 { Err(damaged()) } else { Ok(length as usize) }
    }

    fn slice(&mut self) -> PyResult<&'a [u8]> {
        let length = self.length()?;
        let (slice, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        Ok(slice)
    }

    fn text(&mut self) -> PyResult<Bound<'py, PyString>> {
        let py = self.py;
        let text = std::str::from_utf8(self.slice()?).map_err(|_| damaged())?;
        Ok(PyString::new(py, text))
    }

    fn read(&mut self, depth: u32) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        let tag = self.byte()?;
        if depth > DEPTH {
            return Err(damaged());
        }
        Ok(match tag {
            NONE => py.None().into_bound(py),
            FALSE => PyBool::new(py, false).to_owned().into_any(),
            TRUE => PyBool::new(py, true).to_owned().into_any(),
            INT => {
                let number = self.number()?;
                PyInt::new(py, (number >> 1) as i64 ^ -((number & 1) as i64)).into_any()
            }
            FLOAT => {
                let (bits, rest) = self.bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
                let bits = u64::from_le_bytes(*bits);
                self.bytes = rest;
                PyFloat::new(py, f64::from_bits(bits)).into_any()
            }
            STR => self.text()?.into_any(),
            SHARED => {
                let text = self.text()?;
                self.texts.push(text.clone());
                text.into_any()
            }
            REFERENCE => {
                let number = self.number()?;
                self.texts.get(number as usize).ok_or_else(damaged)?.clone().into_any()
            }
            BYTES => PyBytes::new(py, self.slice()?).into_any(),
            TUPLE => {
                let length = self.length()?;
                if length == 2 {
                    let (first, second) = (self.read(depth + 1)?, self.read(depth + 1)?);
                    return Ok(PyTuple::new(py, [first, second])?.into_any());
                }
                let items = (0..length).map(|_| self.read(depth + 1)).collect::<PyResult<Vec<_>>>()?;
                PyTuple::new(py, items)?.into_any()
            }
            LIST => {
                let length = self.length()?;
                let items = (0..length).map(|_| self.read(depth + 1)).collect::<PyResult<Vec<_>>>()?;
                PyList::new(py, items)?.into_any()
            }
            DICT => {
                let dict = PyDict::new(py);
                for _ in 0..self.length()? {
                    let key = self.read(depth + 1)?;
                    dict.set_item(key, self.read(depth + 1)?)?;
                }
                dict.into_any()
            }
            FOREIGN => self.foreign.as_mut().and_then(Iterator::next).ok_or_else(damaged)??,
            _ => return Err(damaged()),
        })
    }
}

/// Groups, as pairs of a key and a list, from what [`BagShards`] wrote for one new partition, in that order.
#[pyfunction]
pub(super) fn bag_gather<'py>(
    parts: &Bound<'py, PyAny>,
    loads: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let py = parts.py();
    let groups = PyDict::new(py);
    for part in parts.try_iter()? {
        let part = part?.cast_into::<PyBytes>()?;
        let mut reader = Reader { py, bytes: part.as_bytes(), texts: Vec::new(), foreign: None };
        if reader.bytes.is_empty() {
            continue;
        }
        let pickled = reader.slice()?;
        if !pickled.is_empty() {
            let objects = loads.call1((PyBytes::new(py, pickled),))?;
            reader.foreign = Some(objects.try_iter()?);
        }
        let mut lists: Vec<Bound<'py, PyList>> = Vec::new();
        while !reader.bytes.is_empty() {
            let number = reader.number()? as usize;
            if number == lists.len() {
                let key = reader.read(0)?;
                lists.push(match groups.get_item(&key)? {
                    Some(list) => list.cast_into()?,
                    None => {
                        let list = PyList::empty(py);
                        groups.set_item(key, &list)?;
                        list
                    }
                });
            }
            let element = reader.read(0)?;
            lists.get(number).ok_or_else(damaged)?.append(element)?;
        }
    }
    Ok(groups.items())
}
