//! Writing a value as bytes that depend on its type and content alone.
//!
//! Each value is a tag, then its content, self-delimiting. What needs care:
//!
//! * **Order.** The items of sets and dicts are sorted by digest, so that neither insertion order nor hash seed shows.
//! * **Size.** A node whose content is longer than [`INLINE_BYTES`] is replaced by the digest of that content. The rule
//!   looks at the content alone, so equal values still give equal bytes; and it makes long nodes worth remembering:
//!   a node met again is written as its digest without a second walk. Shared nodes cost once.
//! * **Cycles.** A node that is being written is written again as the distance up to it. The digest of a node from
//!   which such a reference escapes holds only while the node above is open; such digests are kept apart, and
//!   forgotten when the topmost node of the cycle closes.
//! * **Lifetime.** Nodes are remembered by address, so each remembered object is kept alive until the walk ends.

use std::sync::atomic::{AtomicBool, Ordering};

use ahash::AHashMap;
use pyo3::exceptions::PyRecursionError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyComplex, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyMemoryView, PySet, PyString,
    PyTuple, PyType,
};
use pyo3::{ffi, intern};
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_128;

use super::buffer;

/// Content up to this long is written in place.
const INLINE_BYTES: usize = 64;
/// How deep values may nest: deeper than Python code could recurse over them, and within half a megabyte of stack.
const MAX_DEPTH: usize = 500;

/// Set once a user registers a normalizer for a type that is written here.
pub(super) static OVERRIDDEN: AtomicBool = AtomicBool::new(false);

/// The first byte of every value. Numbers are part of the tokens: never change one.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Tag {
    None = 1,
    False = 2,
    True = 3,
    Int = 4,
    BigInt = 5,
    Float = 6,
    Complex = 7,
    Str = 8,
    Surrogates = 9,
    Bytes = 10,
    ByteArray = 11,
    MemoryView = 12,
    Tuple = 13,
    List = 14,
    Dict = 15,
    MappingProxy = 16,
    Set = 17,
    FrozenSet = 18,
    Slice = 19,
    Range = 20,
    Ellipsis = 21,
    NotImplemented = 22,
    Type = 23,
    Reduced = 24,
    Described = 25,
    Opaque = 26,
    Digest = 27,
    Up = 28,
    InCycle = 29,
    Keywords = 30,
}

/// How the objects of one exact type are written.
#[derive(Clone, Copy)]
enum Kind {
    None,
    Bool,
    Int,
    Float,
    Complex,
    Str,
    Bytes,
    ByteArray,
    MemoryView,
    Tuple,
    List,
    Dict,
    MappingProxy,
    Set,
    FrozenSet,
    Slice,
    Range,
    Ellipsis,
    NotImplemented,
    Type,
    /// By what `__reduce_ex__` says: small immutable values of the standard library.
    Reduce,
}

/// Types and functions that the walk needs, looked up once.
struct Known {
    /// By the address of the type. They live as long as the interpreter: builtins, or kept in `_alive`.
    kinds: AHashMap<usize, Kind>,
    /// `weft.tokenize._overrides`: builtin type to the user's normalizer.
    overrides: Py<PyDict>,
    /// `weft.tokenize._describe`: any other object to a description made of builtins.
    describe: Py<PyAny>,
    _alive: Vec<Py<PyAny>>,
}

static KNOWN: PyOnceLock<Known> = PyOnceLock::new();

fn known(py: Python<'_>) -> PyResult<&Known> {
    KNOWN.get_or_try_init(py, || {
        let mut kinds = AHashMap::new();
        let mut alive = Vec::new();
        let mut add = |ty: Bound<'_, PyAny>, kind| {
            kinds.insert(ty.as_ptr() as usize, kind);
            alive.push(ty.unbind());
        };
        let builtins = py.import("builtins")?;
        for (name, kind) in [
            ("bool", Kind::Bool),
            ("int", Kind::Int),
            ("float", Kind::Float),
            ("complex", Kind::Complex),
            ("str", Kind::Str),
            ("bytes", Kind::Bytes),
            ("bytearray", Kind::ByteArray),
            ("memoryview", Kind::MemoryView),
            ("tuple", Kind::Tuple),
            ("list", Kind::List),
            ("dict", Kind::Dict),
            ("set", Kind::Set),
            ("frozenset", Kind::FrozenSet),
            ("slice", Kind::Slice),
            ("range", Kind::Range),
            ("type", Kind::Type),
        ] {
            add(builtins.getattr(name)?, kind);
        }
        let types = py.import("types")?;
        for (name, kind) in [
            ("NoneType", Kind::None),
            ("EllipsisType", Kind::Ellipsis),
            ("NotImplementedType", Kind::NotImplemented),
            ("MappingProxyType", Kind::MappingProxy),
        ] {
            add(types.getattr(name)?, kind);
        }
        for (module, names) in [
            ("datetime", &["date", "time", "datetime", "timedelta", "timezone"][..]),
            ("decimal", &["Decimal"]),
            ("fractions", &["Fraction"]),
            ("uuid", &["UUID"]),
            ("pathlib", &["PurePosixPath", "PureWindowsPath", "PosixPath", "WindowsPath"]),
        ] {
            let module = py.import(module)?;
            for name in names {
                add(module.getattr(*name)?, Kind::Reduce);
            }
        }
        let face = py.import("weft.tokenize")?;
        Ok(Known {
            kinds,
            overrides: face.getattr("_overrides")?.cast_into::<PyDict>()?.unbind(),
            describe: face.getattr("_describe")?.unbind(),
            _alive: alive,
        })
    })
}

/// A node that was written and whose digest holds inside the cycle that is still open.
struct InCycle {
    address: usize,
    digest: u128,
    top: usize,
}

pub(super) struct Walker<'py> {
    py: Python<'py>,
    out: Vec<u8>,
    /// Addresses of the nodes that are being written, outermost first.
    open: SmallVec<[usize; 16]>,
    /// The outermost position in `open` that a reference from the current node's content points to.
    top: usize,
    closed: AHashMap<usize, u128>,
    in_cycle: Vec<InCycle>,
    alive: Vec<Bound<'py, PyAny>>,
}

impl<'py> Walker<'py> {
    pub(super) fn new(py: Python<'py>) -> Self {
        Walker {
            py,
            out: Vec::with_capacity(256),
            open: SmallVec::new(),
            top: usize::MAX,
            closed: AHashMap::new(),
            in_cycle: Vec::new(),
            alive: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> u128 {
        xxh3_128(&self.out)
    }

    pub(super) fn call(
        &mut self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        for arg in args.iter() {
            self.walk(&arg)?;
        }
        match kwargs {
            Some(kwargs) if !kwargs.is_empty() => {
                self.tag(Tag::Keywords);
                self.items(kwargs.as_any())
            }
            _ => Ok(()),
        }
    }

    fn walk(&mut self, object: &Bound<'py, PyAny>) -> PyResult<()> {
        let known = known(self.py)?;
        let ty = object.get_type_ptr();
        let Some(&kind) = known.kinds.get(&(ty as usize)) else {
            return self.foreign(object, known);
        };
        if OVERRIDDEN.load(Ordering::Acquire) {
            let normalizer = known.overrides.bind(self.py).get_item(object.get_type())?;
            if let Some(normalizer) = normalizer {
                return self.described(object, || normalizer.call1((object,)));
            }
        }
        match kind {
            Kind::None => self.tag(Tag::None),
            Kind::Ellipsis => self.tag(Tag::Ellipsis),
            Kind::NotImplemented => self.tag(Tag::NotImplemented),
            Kind::Bool => {
                let yes = object.cast::<PyBool>()?.is_true();
                self.tag(if yes { Tag::True } else { Tag::False });
            }
            Kind::Int => self.int(object.cast()?)?,
            Kind::Float => {
                self.tag(Tag::Float);
                self.float(object.cast::<PyFloat>()?.value());
            }
            Kind::Complex => {
                let number = object.cast::<PyComplex>()?;
                self.tag(Tag::Complex);
                self.float(number.real());
                self.float(number.imag());
            }
            Kind::Str => self.str(object.cast()?)?,
            Kind::Bytes => {
                self.tag(Tag::Bytes);
                self.blob(object.cast::<PyBytes>()?.as_bytes());
            }
            Kind::ByteArray => self.buffer(Tag::ByteArray, object)?,
            Kind::MemoryView => self.memory_view(object.cast()?)?,
            Kind::Tuple => {
                let tuple = object.cast::<PyTuple>()?;
                self.node(object, Tag::Tuple, |walker| {
                    walker.len(tuple.len());
                    tuple.iter().try_for_each(|item| walker.walk(&item))
                })?;
            }
            Kind::List => {
                let list = object.cast::<PyList>()?;
                self.node(object, Tag::List, |walker| {
                    walker.len(list.len());
                    list.iter().try_for_each(|item| walker.walk(&item))
                })?;
            }
            Kind::Dict => self.node(object, Tag::Dict, |walker| walker.items(object))?,
            Kind::MappingProxy => {
                self.node(object, Tag::MappingProxy, |walker| walker.items(object))?;
            }
            Kind::Set => self.node(object, Tag::Set, |walker| walker.members(object))?,
            Kind::FrozenSet => self.node(object, Tag::FrozenSet, |walker| walker.members(object))?,
            Kind::Slice => {
                self.node(object, Tag::Slice, |walker| {
                    for part in
                        [intern!(walker.py, "start"), intern!(walker.py, "stop"), intern!(walker.py, "step")]
                    {
                        walker.walk(&object.getattr(part)?)?;
                    }
                    Ok(())
                })?;
            }
            Kind::Range => {
                self.tag(Tag::Range);
                for part in [intern!(self.py, "start"), intern!(self.py, "stop"), intern!(self.py, "step")] {
                    self.walk(&object.getattr(part)?)?;
                }
            }
            Kind::Type => self.class(object, known)?,
            Kind::Reduce => {
                self.node(object, Tag::Reduced, |walker| {
                    let parts = object.call_method1(intern!(walker.py, "__reduce_ex__"), (4,))?;
                    walker.walk(&parts)
                })?;
            }
        }
        Ok(())
    }

    fn tag(&mut self, tag: Tag) {
        self.out.push(tag as u8);
    }

    fn len(&mut self, len: usize) {
        self.out.extend_from_slice(&(len as u64).to_le_bytes());
    }

    /// Bytes after their number; by digest where they are many.
    fn blob(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        if bytes.len() > INLINE_BYTES {
            self.digest(xxh3_128(bytes));
        } else {
            self.out.extend_from_slice(bytes);
        }
    }

    fn digest(&mut self, digest: u128) {
        self.out.extend_from_slice(&digest.to_le_bytes());
    }

    /// All NaNs are one; the zeros are two, as their results can differ.
    fn float(&mut self, value: f64) {
        let value = if value.is_nan() { f64::NAN } else { value };
        self.out.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    #[inline(never)]
    fn int(&mut self, value: &Bound<'py, PyInt>) -> PyResult<()> {
        let mut overflow = 0;
        // SAFETY: `value` is an int, and `overflow` is where the call may say that it does not fit.
        let small = unsafe { ffi::PyLong_AsLongLongAndOverflow(value.as_ptr(), &mut overflow) };
        if overflow == 0 {
            self.tag(Tag::Int);
            self.out.extend_from_slice(&small.to_le_bytes());
            return Ok(());
        }
        let text = value.call_method1(intern!(self.py, "__format__"), ("x",))?;
        self.tag(Tag::BigInt);
        self.blob(text.cast::<PyString>()?.to_str()?.as_bytes());
        Ok(())
    }

    #[inline(never)]
    fn str(&mut self, text: &Bound<'py, PyString>) -> PyResult<()> {
        if let Ok(utf8) = text.to_str() {
            self.tag(Tag::Str);
            self.blob(utf8.as_bytes());
            return Ok(());
        }
        let bytes = text.call_method1(intern!(self.py, "encode"), ("utf-8", "surrogatepass"))?;
        self.tag(Tag::Surrogates);
        self.blob(bytes.cast::<PyBytes>()?.as_bytes());
        Ok(())
    }

    #[inline(never)]
    fn buffer(&mut self, tag: Tag, object: &Bound<'py, PyAny>) -> PyResult<()> {
        self.tag(tag);
        self.digest(buffer::digest(object)?);
        Ok(())
    }

    #[inline(never)]
    fn memory_view(&mut self, view: &Bound<'py, PyMemoryView>) -> PyResult<()> {
        self.tag(Tag::MemoryView);
        self.walk(&view.getattr(intern!(self.py, "format"))?)?;
        self.walk(&view.getattr(intern!(self.py, "shape"))?)?;
        let digest = if view.getattr(intern!(self.py, "c_contiguous"))?.is_truthy()? {
            buffer::digest(view)?
        } else {
            buffer::digest(&view.call_method0(intern!(self.py, "tobytes"))?)?
        };
        self.digest(digest);
        Ok(())
    }

    /// A class by its name where that is enough to find it, else by what it is made of.
    #[inline(never)]
    fn class(&mut self, class: &Bound<'py, PyAny>, known: &Known) -> PyResult<()> {
        let ty = class.cast::<PyType>()?;
        // SAFETY: `ty` is a type object, and we are attached.
        let flags = unsafe { ffi::PyType_GetFlags(ty.as_ptr() as *mut ffi::PyTypeObject) };
        if flags & ffi::Py_TPFLAGS_HEAPTYPE as std::ffi::c_ulong != 0 {
            return self.foreign(class, known);
        }
        // A type compiled into an extension has one name in every process.
        self.tag(Tag::Type);
        let module = class.getattr(intern!(self.py, "__module__"))?;
        self.walk(&module)?;
        self.str(&ty.qualname()?)
    }

    fn foreign(&mut self, object: &Bound<'py, PyAny>, known: &Known) -> PyResult<()> {
        let py = self.py;
        self.described(object, || known.describe.bind(py).call1((object,)))
    }

    /// An object by a description of it that Python code gives.
    fn described(
        &mut self,
        object: &Bound<'py, PyAny>,
        describe: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        self.node(object, Tag::Described, |walker| {
            let description = describe()?;
            if !description.is(object) {
                return walker.walk(&description);
            }
            // The normalizer says that the object stands for itself: what it shows is what it is.
            walker.tag(Tag::Opaque);
            walker.walk(object.get_type().as_any())?;
            walker.str(&object.repr()?)
        })
    }

    /// Writes a value that holds others, once (see the head of this file).
    // Not inlined, as what it calls: one level of nesting may take little of a thread's stack.
    #[inline(never)]
    fn node(
        &mut self,
        object: &Bound<'py, PyAny>,
        tag: Tag,
        content: impl FnOnce(&mut Self) -> PyResult<()>,
    ) -> PyResult<()> {
        let address = object.as_ptr() as usize;
        let depth = self.open.len();
        if let Some(position) = self.open.iter().rposition(|&a| a == address) {
            self.top = self.top.min(position);
            self.tag(Tag::Up);
            self.len(depth - position);
            return Ok(());
        }
        if !self.closed.is_empty()
            && let Some(&digest) = self.closed.get(&address)
        {
            self.tag(Tag::Digest);
            self.digest(digest);
            return Ok(());
        }
        if let Some(node) = self.in_cycle.iter().rfind(|node| node.address == address) {
            let (digest, top) = (node.digest, node.top);
            self.top = self.top.min(top);
            self.tag(Tag::InCycle);
            self.digest(digest);
            return Ok(());
        }
        if depth == MAX_DEPTH {
            return Err(PyRecursionError::new_err(format!(
                "cannot tokenize: the value nests more than {MAX_DEPTH} levels deep; give its parts \
                 a __dask_tokenize__ method, or flatten it"
            )));
        }

        let start = self.out.len();
        let cycles = self.in_cycle.len();
        let top_outside = std::mem::replace(&mut self.top, usize::MAX);
        self.open.push(address);
        self.tag(tag);
        let written = content(self);
        self.open.pop();
        written?;

        let escapes = self.top < depth;
        if self.out.len() - start > INLINE_BYTES {
            let digest = xxh3_128(&self.out[start..]);
            self.out.truncate(start);
            self.tag(Tag::Digest);
            self.digest(digest);
            if escapes {
                let top = self.top;
                self.in_cycle.push(InCycle { address, digest, top });
            } else {
                self.closed.insert(address, digest);
            }
            self.alive.push(object.clone());
        }
        if escapes {
            self.top = self.top.min(top_outside);
        } else {
            self.in_cycle.truncate(cycles);
            self.top = top_outside;
        }
        Ok(())
    }

    /// The digest of a value, which leaves no trace in what is written.
    fn digest_of(&mut self, object: &Bound<'py, PyAny>) -> PyResult<u128> {
        let start = self.out.len();
        self.walk(object)?;
        let digest = xxh3_128(&self.out[start..]);
        self.out.truncate(start);
        Ok(digest)
    }

    /// The items of a mapping, in the order of their keys' digests.
    #[inline(never)]
    fn items(&mut self, mapping: &Bound<'py, PyAny>) -> PyResult<()> {
        // A list of its own: a normalizer may run code that changes the mapping.
        let items = match mapping.cast::<PyDict>() {
            Ok(dict) => dict.items(),
            Err(_) => {
                let items = mapping.call_method0(intern!(self.py, "items"))?;
                PyList::new(self.py, items.try_iter()?.collect::<PyResult<Vec<_>>>()?)?
            }
        };
        let mut sorted = Vec::with_capacity(items.len());
        for item in items.iter() {
            let item = item.cast_into::<PyTuple>()?;
            let digest = self.digest_of(&item.get_item(0)?)?;
            sorted.push((digest, item.get_item(1)?));
        }
        sorted.sort_unstable_by_key(|(digest, _)| *digest);
        self.len(sorted.len());
        for (digest, value) in &sorted {
            self.digest(*digest);
            self.walk(value)?;
        }
        Ok(())
    }

    /// The members of a set, in the order of their digests.
    #[inline(never)]
    fn members(&mut self, set: &Bound<'py, PyAny>) -> PyResult<()> {
        // A tuple of its own, for the same reason.
        let members: Vec<Bound<'py, PyAny>> = if let Ok(set) = set.cast::<PyFrozenSet>() {
            set.iter().collect()
        } else {
            let list = self.py.get_type::<PyList>().call1((set.cast::<PySet>()?,))?;
            list.cast::<PyList>()?.iter().collect()
        };
        let mut digests =
            members.iter().map(|member| self.digest_of(member)).collect::<PyResult<Vec<u128>>>()?;
        digests.sort_unstable();
        self.len(digests.len());
        for digest in digests {
            self.digest(digest);
        }
        Ok(())
    }
}
