//! What a Python task computes: its arguments, parsed once into a compact tree.
//!
//! A [`Node`] holds constants as they are and says where a task's inputs go; running it rebuilds
//! just the containers that hold an input. Two readers make nodes: [`delayed_value`] for the arguments
//! of delayed calls, in which collections stand for themselves, and [`graph_value`] for the
//! values of graphs written as mappings, in which keys stand for tasks.

use std::sync::Arc;

use pyo3::exceptions::PyRecursionError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PySlice, PyString, PyTuple, PyType,
};
use weft_data::{LayerRef, Value};
use weft_graph::Key;

use crate::key::try_key;
use crate::task::value_to_py;

/// Containers nested deeper than this are refused: nodes are walked recursively.
const MAX_DEPTH: u32 = 500;

pub(crate) enum Node {
    Const(Py<PyAny>),
    /// The task's input at this position.
    Input(u32),
    List(Box<[Node]>),
    Tuple(Box<[Node]>),
    Set(Box<[Node]>),
    Dict(Box<[(Node, Node)]>),
    Call(Box<Call>),
}

pub(crate) struct Call {
    pub(crate) func: Node,
    pub(crate) args: Box<[Node]>,
    pub(crate) kwargs: Box<[(Py<PyString>, Node)]>,
}

impl Node {
    pub(crate) fn call(func: Node, args: Vec<Node>, kwargs: Vec<(Py<PyString>, Node)>) -> Node {
        Node::Call(Box::new(Call { func, args: args.into(), kwargs: kwargs.into() }))
    }

    /// The same node again; constants are shared.
    pub(crate) fn share(&self, py: Python<'_>) -> Node {
        let all = |items: &[Node]| -> Box<[Node]> { items.iter().map(|item| item.share(py)).collect() };
        match self {
            Node::Const(object) => Node::Const(object.clone_ref(py)),
            Node::Input(position) => Node::Input(*position),
            Node::List(items) => Node::List(all(items)),
            Node::Tuple(items) => Node::Tuple(all(items)),
            Node::Set(items) => Node::Set(all(items)),
            Node::Dict(items) => {
                Node::Dict(items.iter().map(|(key, value)| (key.share(py), value.share(py))).collect())
            }
            Node::Call(call) => Node::Call(Box::new(Call {
                func: call.func.share(py),
                args: all(&call.args),
                kwargs: call.kwargs.iter().map(|(n, value)| (n.clone_ref(py), value.share(py))).collect(),
            })),
        }
    }

    pub(crate) fn is_const(&self) -> bool {
        matches!(self, Node::Const(_))
    }

    /// The object that this node stands for, given its task's inputs.
    pub(crate) fn eval<'py>(&self, py: Python<'py>, inputs: &[Value]) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self {
            Node::Const(object) => object.bind(py).clone(),
            Node::Input(position) => value_to_py(py, &inputs[*position as usize])?,
            Node::List(items) => {
                let list = PyList::empty(py);
                for item in items {
                    list.append(item.eval(py, inputs)?)?;
                }
                list.into_any()
            }
            Node::Tuple(items) => eval_all(py, items, inputs)?.into_any(),
            Node::Set(items) => {
                let set = PySet::empty(py)?;
                for item in items {
                    set.add(item.eval(py, inputs)?)?;
                }
                set.into_any()
            }
            Node::Dict(items) => {
                let dict = PyDict::new(py);
                for (key, value) in items {
                    dict.set_item(key.eval(py, inputs)?, value.eval(py, inputs)?)?;
                }
                dict.into_any()
            }
            Node::Call(call) => {
                let func = call.func.eval(py, inputs)?;
                let args = eval_all(py, &call.args, inputs)?;
                if call.kwargs.is_empty() {
                    func.call1(args)?
                } else {
                    let kwargs = PyDict::new(py);
                    for (name, value) in &call.kwargs {
                        kwargs.set_item(name, value.eval(py, inputs)?)?;
                    }
                    func.call(args, Some(&kwargs))?
                }
            }
        })
    }

    /// The Python form of this node (`weft._task_spec`), whose inputs have these keys.
    pub(crate) fn to_py<'py>(
        &self,
        py: Python<'py>,
        input: &dyn Fn(u32) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let all = |items: &[Node]| -> PyResult<Bound<'py, PyTuple>> {
            PyTuple::new(py, items.iter().map(|n| n.to_py(py, input)).collect::<PyResult<Vec<_>>>()?)
        };
        match self {
            Node::Const(object) => Ok(object.bind(py).clone()),
            Node::Input(position) => Kind::TaskRef.class(py)?.call1((input(*position)?,)),
            Node::List(items) => Kind::List.class(py)?.call1(all(items)?),
            Node::Tuple(items) => Kind::Tuple.class(py)?.call1(all(items)?),
            Node::Set(items) => Kind::Set.class(py)?.call1(all(items)?),
            Node::Dict(items) => {
                let pairs = PyList::empty(py);
                for (key, value) in items {
                    pairs.append(PyList::new(py, [key.to_py(py, input)?, value.to_py(py, input)?])?)?;
                }
                Kind::Dict.class(py)?.call1((pairs,))
            }
            Node::Call(_) => self.to_task(py, py.None().into_bound(py), input),
        }
    }

    /// The same as a `GraphNode` that has a key.
    pub(crate) fn to_task<'py>(
        &self,
        py: Python<'py>,
        key: Bound<'py, PyAny>,
        input: &dyn Fn(u32) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Node::Const(object) => Kind::DataNode.class(py)?.call1((key, object)),
            Node::Input(position) => Kind::Alias.class(py)?.call1((key, input(*position)?)),
            Node::Call(call) => {
                let mut args = vec![key];
                // A function that is itself a task's result is called through `apply`.
                match &call.func {
                    Node::Const(func) => args.push(func.bind(py).clone()),
                    other => {
                        args.push(py.import("weft._task_spec")?.getattr("call_with")?);
                        args.push(other.to_py(py, input)?);
                    }
                }
                for item in &call.args {
                    args.push(item.to_py(py, input)?);
                }
                let kwargs = PyDict::new(py);
                for (name, value) in &call.kwargs {
                    kwargs.set_item(name, value.to_py(py, input)?)?;
                }
                Kind::Task.class(py)?.call(PyTuple::new(py, args)?, Some(&kwargs))
            }
            container => {
                let node = container.to_py(py, input)?;
                node.setattr(intern!(py, "key"), key)?;
                Ok(node)
            }
        }
    }
}

fn eval_all<'py>(py: Python<'py>, items: &[Node], inputs: &[Value]) -> PyResult<Bound<'py, PyTuple>> {
    if let [item] = items {
        return PyTuple::new(py, [item.eval(py, inputs)?]);
    }
    let values =
        items.iter().map(|n| n.eval(py, inputs)).collect::<PyResult<smallvec::SmallVec<[_; 6]>>>()?;
    PyTuple::new(py, values)
}

/// Classes of `weft._task_spec` that graphs are written in.
#[derive(Clone, Copy)]
enum Kind {
    GraphNode,
    TaskRef,
    Alias,
    DataNode,
    Task,
    List,
    Tuple,
    Set,
    Dict,
}

impl Kind {
    fn class<'py>(self, py: Python<'py>) -> PyResult<&'py Bound<'py, PyType>> {
        static CLASSES: [PyOnceLock<Py<PyType>>; 9] = [const { PyOnceLock::new() }; 9];
        let name = match self {
            Kind::GraphNode => "GraphNode",
            Kind::TaskRef => "TaskRef",
            Kind::Alias => "Alias",
            Kind::DataNode => "DataNode",
            Kind::Task => "Task",
            Kind::List => "List",
            Kind::Tuple => "Tuple",
            Kind::Set => "Set",
            Kind::Dict => "Dict",
        };
        CLASSES[self as usize].import(py, "weft._task_spec", name)
    }
}

/// The tasks that a node under construction reads, in input order.
#[derive(Default)]
pub(crate) struct Reads {
    pub(crate) inputs: Vec<LayerRef>,
    pub(crate) reads: Vec<(u32, u32)>,
}

impl Reads {
    pub(crate) fn push(&mut self, layer: LayerRef, index: u32) -> Node {
        let position = self.reads.len() as u32;
        // Arguments often repeat a layer right away (the partitions of one collection).
        match self.inputs.last() {
            Some(last) if Arc::ptr_eq(last, &layer) => {}
            _ => self.inputs.push(layer),
        }
        self.reads.push((self.inputs.len() as u32 - 1, index));
        Node::Input(position)
    }
}

/// How a reader treats what is not a plain container.
trait Reader {
    /// The node for a leaf, or `None`: a constant.
    fn leaf(&mut self, object: &Bound<'_, PyAny>, depth: u32) -> PyResult<Option<Node>>;

    /// A tuple, if it means something else than a tuple.
    fn tuple(&mut self, _object: &Bound<'_, PyTuple>, _depth: u32) -> PyResult<Option<Node>> {
        Ok(None)
    }

    /// Whether dataclasses, slices, iterators and dicts are looked into.
    fn opens_all(&self) -> bool {
        true
    }
}

fn constant(object: &Bound<'_, PyAny>) -> Node {
    Node::Const(object.clone().unbind())
}

fn read(reader: &mut dyn Reader, object: &Bound<'_, PyAny>, depth: u32) -> PyResult<Node> {
    if depth > MAX_DEPTH {
        return Err(PyRecursionError::new_err(format!(
            "a task's arguments nest more than {MAX_DEPTH} containers"
        )));
    }
    if let Some(node) = reader.leaf(object, depth)? {
        return Ok(node);
    }
    if object.is_none()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyBytes>()
    {
        return Ok(constant(object));
    }
    let depth = depth + 1;
    if let Ok(list) = object.cast_exact::<PyList>() {
        return Ok(match read_all(reader, list.iter(), depth)? {
            Some(items) => Node::List(items),
            None => constant(object),
        });
    }
    if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        if let Some(node) = reader.tuple(tuple, depth)? {
            return Ok(node);
        }
        return Ok(match read_all(reader, tuple.iter(), depth)? {
            Some(items) => Node::Tuple(items),
            None => constant(object),
        });
    }
    if let Ok(set) = object.cast_exact::<PySet>() {
        return Ok(match read_all(reader, set.iter(), depth)? {
            Some(items) => Node::Set(items),
            None => constant(object),
        });
    }
    if let Ok(set) = object.cast_exact::<PyFrozenSet>() {
        return Ok(match read_all(reader, set.iter(), depth)? {
            Some(items) => Node::call(constant(object.get_type().as_any()), vec![Node::List(items)], vec![]),
            None => constant(object),
        });
    }
    if !reader.opens_all() {
        return Ok(constant(object));
    }
    if let Ok(dict) = object.cast_exact::<PyDict>() {
        let mut plain = true;
        let mut items = Vec::with_capacity(dict.len());
        for (key, value) in dict.iter() {
            let (key, value) = (read(reader, &key, depth)?, read(reader, &value, depth)?);
            plain &= key.is_const() && value.is_const();
            items.push((key, value));
        }
        return Ok(if plain { constant(object) } else { Node::Dict(items.into()) });
    }
    if let Ok(slice) = object.cast::<PySlice>() {
        let py = object.py();
        let mut parts = Vec::with_capacity(3);
        for name in [intern!(py, "start"), intern!(py, "stop"), intern!(py, "step")] {
            parts.push(read(reader, &slice.getattr(name)?, depth)?);
        }
        return Ok(if parts.iter().all(Node::is_const) {
            constant(object)
        } else {
            Node::call(constant(object.get_type().as_any()), parts, vec![])
        });
    }
    read_record(reader, object, depth)
}

/// Reads items; `None` if all of them are constants.
fn read_all<'py>(
    reader: &mut dyn Reader,
    items: impl ExactSizeIterator<Item = Bound<'py, PyAny>>,
    depth: u32,
) -> PyResult<Option<Box<[Node]>>> {
    let mut plain = true;
    let mut nodes = Vec::with_capacity(items.len());
    for item in items {
        let node = read(reader, &item, depth)?;
        plain &= node.is_const();
        nodes.push(node);
    }
    Ok(if plain { None } else { Some(nodes.into()) })
}

/// Iterators over built-in containers, named tuples and dataclass instances.
fn read_record(reader: &mut dyn Reader, object: &Bound<'_, PyAny>, depth: u32) -> PyResult<Node> {
    let py = object.py();
    if let Some(opened) = open_iterator(object)? {
        return read(reader, &opened, depth);
    }
    let class = object.get_type();
    if let Ok(tuple) = object.cast::<PyTuple>() {
        if class.hasattr(intern!(py, "_fields"))? {
            return match read_all(reader, tuple.iter(), depth)? {
                Some(items) => Ok(Node::call(constant(class.as_any()), items.into_vec(), vec![])),
                None => Ok(constant(object)),
            };
        }
        return Ok(constant(object));
    }
    if object.is_instance_of::<PyType>() || !class.hasattr(intern!(py, "__dataclass_fields__"))? {
        return Ok(constant(object));
    }
    let mut fields = Vec::new();
    for field in py.import("dataclasses")?.call_method1("fields", (object,))?.try_iter()? {
        let name = field?.getattr(intern!(py, "name"))?.cast_into::<PyString>()?;
        // A field with `init=False` may never have been set.
        if let Some(value) = object.getattr_opt(&name)? {
            fields.push((name.unbind(), read(reader, &value, depth)?));
        }
    }
    if fields.iter().all(|(_, value)| value.is_const()) {
        return Ok(constant(object));
    }
    py.import("weft._task_spec")?.call_method1("check_dataclass", (object,))?;
    Ok(Node::call(constant(class.as_any()), vec![], fields))
}

/// A container with what is left in an iterator over a list, tuple or set.
fn open_iterator<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static TYPES: PyOnceLock<[Py<PyAny>; 3]> = PyOnceLock::new();
    let py = object.py();
    let types = TYPES.get_or_try_init(py, || -> PyResult<_> {
        let kind =
            |c: Bound<'_, PyAny>| -> PyResult<Py<PyAny>> { Ok(c.try_iter()?.get_type().into_any().unbind()) };
        Ok([
            kind(PyList::empty(py).into_any())?,
            kind(PyTuple::empty(py).into_any())?,
            kind(PySet::empty(py)?.into_any())?,
        ])
    })?;
    let class = object.get_type();
    let builtins = ["list", "tuple", "set"];
    for (kind, name) in types.iter().zip(builtins) {
        if class.is(kind) {
            return Ok(Some(py.import("builtins")?.getattr(name)?.call1((object,))?));
        }
    }
    Ok(None)
}

/// The node for an argument of a delayed call; collections in it become inputs.
pub(crate) fn delayed_value(object: &Bound<'_, PyAny>, reads: &mut Reads) -> PyResult<Node> {
    read(&mut DelayedReader { reads }, object, 0)
}

struct DelayedReader<'a> {
    reads: &'a mut Reads,
}

impl Reader for DelayedReader<'_> {
    fn leaf(&mut self, object: &Bound<'_, PyAny>, _depth: u32) -> PyResult<Option<Node>> {
        if let Ok(delayed) = object.cast::<crate::delayed::Delayed>() {
            let (layer, index) = delayed.get().task(object.py())?;
            return Ok(Some(self.reads.push(layer, index)));
        }
        if is_builtin(object) || !is_collection(object)? {
            return Ok(None);
        }
        let py = object.py();
        let finalized = py.import("weft.delayed")?.call_method1("finalize", (object,))?;
        let finalized = finalized.cast::<crate::delayed::Delayed>()?;
        let (layer, index) = finalized.get().task(py)?;
        Ok(Some(self.reads.push(layer, index)))
    }
}

/// The node for an argument of a call that a client submits. `future` gives the input that a future is; `None`: it is
/// none.
pub(crate) fn submitted_value(
    object: &Bound<'_, PyAny>,
    future: &mut dyn FnMut(&Bound<'_, PyAny>) -> PyResult<Option<u32>>,
) -> PyResult<Node> {
    read(&mut SubmitReader { future }, object, 0)
}

struct SubmitReader<'a> {
    future: &'a mut dyn FnMut(&Bound<'_, PyAny>) -> PyResult<Option<u32>>,
}

impl Reader for SubmitReader<'_> {
    fn leaf(&mut self, object: &Bound<'_, PyAny>, _depth: u32) -> PyResult<Option<Node>> {
        if is_builtin(object) { Ok(None) } else { Ok((self.future)(object)?.map(Node::Input)) }
    }
}

/// Exactly one of the types that nearly all arguments have, none of them a collection.
fn is_builtin(object: &Bound<'_, PyAny>) -> bool {
    object.is_none()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyList>()
        || object.is_exact_instance_of::<PyTuple>()
        || object.is_exact_instance_of::<PyDict>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyBytes>()
        || object.is_exact_instance_of::<PySet>()
}

/// Whether `object` implements the collection protocol and has a graph.
pub(crate) fn is_collection(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    if object.is_instance_of::<PyType>() {
        return Ok(false);
    }
    let py = object.py();
    let Some(graph) = object.getattr_opt(intern!(py, "__dask_graph__"))? else { return Ok(false) };
    if !graph.is_callable() {
        return Ok(false);
    }
    // Ours always have a graph, and making it may mean to plan a whole query.
    let module = object.get_type().getattr(intern!(py, "__module__"))?;
    if module.cast::<PyString>().is_ok_and(|name| name.to_cow().is_ok_and(|name| name.starts_with("weft."))) {
        return Ok(true);
    }
    Ok(!graph.call0()?.is_none())
}

/// The node for a value of a graph written as a mapping. `keys` receives the keys it reads, in
/// input order; `known` says which keys the graph has.
pub(crate) fn graph_value(
    object: &Bound<'_, PyAny>,
    known: &dyn Fn(&Key) -> bool,
    keys: &mut Vec<Key>,
) -> PyResult<Node> {
    read(&mut LegacyReader { known, keys }, object, 0)
}

/// Graphs in Dask's older notation: tuples that start with a callable are calls, and text, numbers
/// and tuples that are keys stand for tasks.
struct LegacyReader<'a> {
    known: &'a dyn Fn(&Key) -> bool,
    keys: &'a mut Vec<Key>,
}

impl LegacyReader<'_> {
    fn reference(&mut self, key: Key) -> Node {
        self.keys.push(key);
        Node::Input(self.keys.len() as u32 - 1)
    }
}

impl Reader for LegacyReader<'_> {
    fn leaf(&mut self, object: &Bound<'_, PyAny>, depth: u32) -> PyResult<Option<Node>> {
        if object.is_instance_of::<PyString>()
            || object.is_instance_of::<PyInt>()
            || object.is_instance_of::<PyFloat>()
        {
            return Ok(match try_key(object) {
                Ok(Some(key)) if (self.known)(&key) => Some(self.reference(key)),
                _ => None,
            });
        }
        if is_builtin(object) {
            return Ok(None);
        }
        spec_node(object, self.keys, depth)
    }

    fn tuple(&mut self, object: &Bound<'_, PyTuple>, depth: u32) -> PyResult<Option<Node>> {
        if let Ok(func) = object.get_item(0)
            && func.is_callable()
        {
            let mut args = Vec::with_capacity(object.len() - 1);
            for arg in object.iter().skip(1) {
                args.push(if arg.is_exact_instance_of::<PyDict>() {
                    read(&mut SpecReader { keys: self.keys }, &arg, depth)?
                } else {
                    read(self, &arg, depth)?
                });
            }
            return Ok(Some(Node::call(constant(&func), args, vec![])));
        }
        Ok(match try_key(object) {
            Ok(Some(key)) if (self.known)(&key) => Some(self.reference(key)),
            _ => None,
        })
    }

    fn opens_all(&self) -> bool {
        false
    }
}

/// Inside `weft._task_spec` objects only such objects stand for tasks.
struct SpecReader<'a> {
    keys: &'a mut Vec<Key>,
}

impl Reader for SpecReader<'_> {
    fn leaf(&mut self, object: &Bound<'_, PyAny>, depth: u32) -> PyResult<Option<Node>> {
        if is_builtin(object) { Ok(None) } else { spec_node(object, self.keys, depth) }
    }
}

fn spec_node(object: &Bound<'_, PyAny>, keys: &mut Vec<Key>, depth: u32) -> PyResult<Option<Node>> {
    let py = object.py();
    let is = |kind: Kind| -> PyResult<bool> { object.is_instance(kind.class(py)?) };
    let reference = |name: &str, keys: &mut Vec<Key>| -> PyResult<Option<Node>> {
        keys.push(crate::key::key_from_py(&object.getattr(name)?)?);
        Ok(Some(Node::Input(keys.len() as u32 - 1)))
    };
    if is(Kind::TaskRef)? {
        return reference("key", keys);
    }
    if !is(Kind::GraphNode)? {
        return Ok(None);
    }
    if is(Kind::Alias)? {
        return reference("target", keys);
    }
    if is(Kind::DataNode)? {
        return Ok(Some(constant(&object.getattr("value")?)));
    }
    let mut reader = SpecReader { keys };
    let args = object.getattr("args")?.cast_into::<PyTuple>()?;
    let mut nodes = Vec::with_capacity(args.len());
    for arg in args.iter() {
        nodes.push(read(&mut reader, &arg, depth)?);
    }
    if is(Kind::Dict)? {
        let mut nodes = nodes.into_iter();
        let mut pairs = Vec::new();
        while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
            pairs.push((key, value));
        }
        return Ok(Some(Node::Dict(pairs.into())));
    }
    if is(Kind::List)? {
        return Ok(Some(Node::List(nodes.into())));
    }
    if is(Kind::Tuple)? {
        return Ok(Some(Node::Tuple(nodes.into())));
    }
    if is(Kind::Set)? {
        return Ok(Some(Node::Set(nodes.into())));
    }
    let mut kwargs = Vec::new();
    for (name, value) in object.getattr("kwargs")?.cast_into::<PyDict>()?.iter() {
        kwargs.push((name.cast_into::<PyString>()?.unbind(), read(&mut reader, &value, depth)?));
    }
    Ok(Some(Node::call(constant(&object.getattr("func")?), nodes, kwargs)))
}

/// Tags of the portable form, in the order of [`Node`]'s variants.
const CONST: u8 = 0;
const INPUT: u8 = 1;
const LIST: u8 = 2;
const TUPLE: u8 = 3;
const SET: u8 = 4;
const DICT: u8 = 5;
const CALL: u8 = 6;

impl Node {
    /// The node as tagged tuples, which say exactly what it is.
    pub(crate) fn to_portable<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let all = |items: &[Node]| -> PyResult<Bound<'py, PyTuple>> {
            PyTuple::new(py, items.iter().map(|n| n.to_portable(py)).collect::<PyResult<Vec<_>>>()?)
        };
        Ok(match self {
            Node::Const(object) => (CONST, object).into_pyobject(py)?,
            Node::Input(position) => (INPUT, position).into_pyobject(py)?,
            Node::List(items) => (LIST, all(items)?).into_pyobject(py)?,
            Node::Tuple(items) => (TUPLE, all(items)?).into_pyobject(py)?,
            Node::Set(items) => (SET, all(items)?).into_pyobject(py)?,
            Node::Dict(items) => {
                let (keys, values): (Vec<_>, Vec<_>) = items
                    .iter()
                    .map(|(key, value)| Ok((key.to_portable(py)?, value.to_portable(py)?)))
                    .collect::<PyResult<Vec<_>>>()?
                    .into_iter()
                    .unzip();
                (DICT, (PyTuple::new(py, keys)?, PyTuple::new(py, values)?)).into_pyobject(py)?
            }
            Node::Call(call) => {
                let names = PyTuple::new(py, call.kwargs.iter().map(|(name, _)| name))?;
                let named =
                    call.kwargs.iter().map(|(_, n)| n.to_portable(py)).collect::<PyResult<Vec<_>>>()?;
                let parts = (call.func.to_portable(py)?, all(&call.args)?, names, PyTuple::new(py, named)?);
                (CALL, parts).into_pyobject(py)?
            }
        }
        .into_any())
    }
}

/// The node that [`Node::to_portable`] wrote.
pub(crate) fn portable_value(object: &Bound<'_, PyAny>) -> PyResult<Node> {
    let all = |items: &Bound<'_, PyAny>| -> PyResult<Vec<Node>> {
        items.try_iter()?.map(|item| portable_value(&item?)).collect()
    };
    let (tag, content): (u8, Bound<'_, PyAny>) = object.extract()?;
    Ok(match tag {
        CONST => Node::Const(content.unbind()),
        INPUT => Node::Input(content.extract()?),
        LIST => Node::List(all(&content)?.into()),
        TUPLE => Node::Tuple(all(&content)?.into()),
        SET => Node::Set(all(&content)?.into()),
        DICT => {
            let (keys, values): (Bound<'_, PyAny>, Bound<'_, PyAny>) = content.extract()?;
            Node::Dict(all(&keys)?.into_iter().zip(all(&values)?).collect())
        }
        CALL => {
            type Parts<'py> =
                (Bound<'py, PyAny>, Bound<'py, PyAny>, Vec<Bound<'py, PyString>>, Bound<'py, PyAny>);
            let (func, args, names, named): Parts<'_> = content.extract()?;
            let kwargs = names.into_iter().map(Bound::unbind).zip(all(&named)?).collect();
            Node::call(portable_value(&func)?, all(&args)?, kwargs)
        }
        tag => {
            return Err(pyo3::exceptions::PyValueError::new_err(format!(
                "{tag} is no tag of a pickled task"
            )));
        }
    })
}
