//! Bags: layers of partitions, whatever their number, and the joining of steps into one pass.
//!
//! A bag's layer is a grid with one [`BagWork`]: a Python callable that gets the partition (as a list or an iterator)
//! and whatever else it reads. [`fuse_bags`] puts the steps of layers that only hand partitions on
//! into one work; between them iterators pass, so that an element goes through all steps before
//! the next one is made.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyTuple};
use weft_data::{Lane, LayerRef, TaskError, Value, Work, WorkRef};
use weft_graph::{Axis, Key, Layer, Read, Rule};

use crate::graph::{Graph, LayerView, all_layers, graph_from_py};
use crate::key::{key_from_py, key_to_py};
use crate::spec::Node;
use crate::task::{PyTask, PyValue, host_error, value_to_py};

mod columns;
mod json;
mod portable;
mod records;
mod text;

pub(crate) use portable::{read as read_portable, write as write_portable};

/// What one argument of a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    /// The task's number; or this one, where a single partition was asked for.
    Index(Option<u32>),
    /// The one task that read `n` gives.
    One(u32),
    /// All tasks that read `n` gives, as a list.
    Many(u32),
    /// What an earlier step of the same task gave; used once.
    Step(u32),
}

/// A Python callable, and whether what it gives may be an iterator.
struct Call {
    func: Py<PyAny>,
    lazy: bool,
}

#[derive(Clone)]
struct Step {
    call: Arc<Call>,
    slots: Vec<Slot>,
}

/// The steps of one pass over a partition.
pub(crate) struct BagWork {
    steps: Vec<Step>,
    /// How many reads the layer's rule has. Each gives one task, except for `many`.
    reads: u32,
    many: Option<u32>,
    label: Arc<str>,
    annotations: Option<Py<PyAny>>,
}

/// `weft.bag._steps.finish`: makes a result that can be read again and again.
fn finish(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static FINISH: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FINISH.import(py, "weft.bag._steps", "finish")
}

impl BagWork {
    /// Where among a task's `total` inputs those of read `read` are.
    fn range(&self, read: u32, total: usize) -> std::ops::Range<usize> {
        let read = read as usize;
        // Inputs of the one read that gives any number of tasks.
        let extra = |_: u32| (total + 1).saturating_sub(self.reads as usize);
        match self.many.map(|many| (many as usize, extra(many))) {
            Some((many, n)) if read == many => read..read + n,
            Some((many, n)) if read > many => read - 1 + n..read + n,
            _ => read..read + 1,
        }
    }

    fn call<'py>(&self, py: Python<'py>, index: u32, inputs: &[Value]) -> PyResult<Bound<'py, PyAny>> {
        let short = || PyValueError::new_err(format!("{} got too few partitions", self.label));
        let mut results: Vec<Option<Bound<'py, PyAny>>> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let mut args = Vec::with_capacity(step.slots.len());
            for slot in &step.slots {
                args.push(match *slot {
                    Slot::Index(fixed) => fixed.unwrap_or(index).into_pyobject(py)?.into_any(),
                    Slot::One(read) => {
                        let at = self.range(read, inputs.len()).start;
                        value_to_py(py, inputs.get(at).ok_or_else(short)?)?
                    }
                    Slot::Many(read) => {
                        let values = inputs.get(self.range(read, inputs.len())).ok_or_else(short)?;
                        let values =
                            values.iter().map(|v| value_to_py(py, v)).collect::<PyResult<Vec<_>>>()?;
                        PyList::new(py, values)?.into_any()
                    }
                    Slot::Step(step) => {
                        results.get_mut(step as usize).and_then(Option::take).ok_or_else(short)?
                    }
                });
            }
            results.push(Some(step.call.func.bind(py).call1(PyTuple::new(py, args)?)?));
        }
        let result = results.pop().flatten().ok_or_else(short)?;
        match self.steps.last() {
            Some(step) if step.call.lazy => finish(py)?.call1((result,)),
            _ => Ok(result),
        }
    }

    /// One task as users of graphs see it: calls within calls, on references to `inputs`.
    pub(crate) fn to_task<'py>(
        &self,
        py: Python<'py>,
        key: Bound<'py, PyAny>,
        index: u32,
        inputs: &[Key],
    ) -> PyResult<Bound<'py, PyAny>> {
        let spec = py.import("weft._task_spec")?;
        let task = spec.getattr("Task")?;
        let refer = |key: &Key| spec.getattr("TaskRef")?.call1((key_to_py(py, key)?,));
        let mut results: Vec<Bound<'py, PyAny>> = Vec::new();
        let last = self.steps.len().saturating_sub(1);
        for (i, step) in self.steps.iter().enumerate() {
            let lazy = step.call.lazy && i == last;
            let none = py.None().into_bound(py);
            let mut args =
                vec![if i == last && !lazy { key.clone() } else { none }, step.call.func.bind(py).clone()];
            for slot in &step.slots {
                args.push(match *slot {
                    Slot::Index(fixed) => fixed.unwrap_or(index).into_pyobject(py)?.into_any(),
                    Slot::One(read) => refer(&inputs[self.range(read, inputs.len()).start])?,
                    Slot::Many(read) => {
                        let keys = &inputs[self.range(read, inputs.len())];
                        let refs = keys.iter().map(refer).collect::<PyResult<Vec<_>>>()?;
                        spec.getattr("List")?.call1(PyTuple::new(py, refs)?)?
                    }
                    Slot::Step(step) => results[step as usize].clone(),
                });
            }
            let call = task.call1(PyTuple::new(py, args)?)?;
            results.push(if lazy { task.call1((key.clone(), finish(py)?, call))? } else { call });
        }
        results.pop().ok_or_else(|| PyValueError::new_err("a bag's task has no steps"))
    }

    pub(crate) fn annotations(&self) -> &Option<Py<PyAny>> {
        &self.annotations
    }
}

impl fmt::Debug for BagWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BagWork({}, {} steps)", self.label, self.steps.len())
    }
}

impl Work for BagWork {
    fn lane(&self) -> Lane {
        Lane::Host
    }

    fn name(&self) -> &str {
        &self.label
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        Python::attach(|py| {
            self.call(py, index, inputs).map(|object| PyValue::value(object.unbind())).map_err(host_error)
        })
    }
}

pub(crate) fn bag_work(layer: &Layer<WorkRef>) -> Option<&BagWork> {
    layer.work.as_any()?.downcast_ref()
}

fn invalid(error: impl fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

const SAME: Axis = Axis::Along { own: 0, offset: 0 };

/// A bag's layer: `npartitions` tasks, each `func` of what it reads; without `npartitions` a single
/// task whose key is `name`.
///
/// `inputs` lists what `func` gets: ``"index"``; ``(layer, "same")``, the partition of the task's number;
/// ``(layer, "at", i)``; ``(layer, "group", k)`` and ``(layer, "all")``, lists, of which there may be one.
/// `lazy`: `func` may give an iterator.
#[pyfunction]
#[pyo3(signature = (name, npartitions, func, inputs, *, label, lazy=true))]
fn bag_layer(
    name: &Bound<'_, PyAny>,
    npartitions: Option<u32>,
    func: Py<PyAny>,
    inputs: Vec<Bound<'_, PyAny>>,
    label: &str,
    lazy: bool,
) -> PyResult<LayerView> {
    let py = name.py();
    let mut layers = Vec::new();
    let mut reads = Vec::new();
    let mut slots = Vec::new();
    let mut many = None;
    for input in &inputs {
        let Ok(input) = input.cast::<PyTuple>() else {
            slots.push(Slot::Index(None));
            continue;
        };
        let layer = input.get_item(0)?.cast::<LayerView>()?.get().layer.clone();
        let kind = input.get_item(1)?.extract::<String>()?;
        let number = || input.get_item(2)?.extract::<u32>();
        let axis = match kind.as_str() {
            "same" => Some(SAME),
            "at" => Some(Axis::At(number()?)),
            "group" => Some(Axis::Group { own: 0, size: number()? }),
            "all" => Some(Axis::All),
            _ => return Err(invalid(format!("unknown way to read a layer: {kind}"))),
        };
        let read = reads.len() as u32;
        if matches!(kind.as_str(), "group" | "all") {
            slots.push(Slot::Many(read));
            many = Some(read);
        } else {
            slots.push(Slot::One(read));
        }
        // A layer of a single task has no axes to be placed on.
        let axes = if layer.grid().is_empty() { vec![] } else { axis.into_iter().collect() };
        reads.push(Read { input: layers.len() as u32, axes });
        layers.push(layer);
    }
    let work = BagWork {
        steps: vec![Step { call: Arc::new(Call { func, lazy }), slots }],
        reads: reads.len() as u32,
        many,
        label: label.into(),
        annotations: crate::delayed::current_annotations(py)?,
    };
    let rule = match npartitions {
        Some(n) => Rule::Grid { shape: vec![n], reads },
        None => Rule::Single { reads: single_reads(&layers, &reads) },
    };
    let layer = Layer::new(key_from_py(name)?, layers, rule, Arc::new(work) as WorkRef).map_err(invalid)?;
    Ok(LayerView { layer })
}

/// What the one task of a grid of one would read.
fn single_reads(layers: &[LayerRef], reads: &[Read]) -> Vec<(u32, u32)> {
    let mut single = Vec::new();
    for read in reads {
        match read.axes.first() {
            None => single.push((read.input, 0)),
            Some(Axis::At(i)) => single.push((read.input, *i)),
            Some(_) => single.extend((0..layers[read.input as usize].len() as u32).map(|i| (read.input, i))),
        }
    }
    single
}

/// A layer whose tasks follow no rule: task `i` is `func` of a list of the tasks `reads[i]`,
/// (layer, number) each, or with `spread` of those tasks as arguments; with `indexed` its number comes first.
/// The layer 2³² - 1 is this one.
#[pyfunction]
#[pyo3(signature = (name, layers, reads, func, *, label, lazy=true, spread=false, indexed=false))]
#[allow(clippy::too_many_arguments, reason = "keywords of a Python call")]
fn bag_explicit(
    name: &Bound<'_, PyAny>,
    layers: Vec<PyRef<'_, LayerView>>,
    reads: Vec<Vec<(u32, u32)>>,
    func: Py<PyAny>,
    label: &str,
    lazy: bool,
    spread: bool,
    indexed: bool,
) -> PyResult<LayerView> {
    let py = name.py();
    let arity = if spread { reads.first().map_or(0, Vec::len) as u32 } else { 1 };
    let mut slots: Vec<Slot> = indexed.then_some(Slot::Index(None)).into_iter().collect();
    match spread {
        true => slots.extend((0..arity).map(Slot::One)),
        false => slots.push(Slot::Many(0)),
    }
    let work = BagWork {
        steps: vec![Step { call: Arc::new(Call { func, lazy }), slots }],
        reads: arity,
        many: (!spread).then_some(0),
        label: label.into(),
        annotations: crate::delayed::current_annotations(py)?,
    };
    let layer = explicit(key_from_py(name)?, layers.iter().map(|l| l.layer.clone()).collect(), &reads, work)?;
    Ok(LayerView { layer })
}

fn explicit(
    name: Key,
    layers: Vec<LayerRef>,
    reads: &[Vec<(u32, u32)>],
    work: impl Work + 'static,
) -> PyResult<LayerRef> {
    let mut starts = vec![0];
    let mut flat = Vec::new();
    for reads in reads {
        flat.extend_from_slice(reads);
        starts.push(flat.len() as u32);
    }
    // Only tasks with keys of their own may read from their own layer.
    let rule = if flat.iter().any(|&(input, _)| input == u32::MAX) {
        let key = |i: usize| Key::Tuple(vec![name.clone(), Key::Int(i as i64)].into());
        Rule::Explicit { keys: (0..reads.len()).map(key).collect(), starts, reads: flat }
    } else {
        Rule::Table { shape: vec![reads.len() as u32], starts: starts.into(), reads: flat.into() }
    };
    Layer::new(name, layers, rule, Arc::new(work) as WorkRef).map_err(invalid)
}

/// Layers, and tasks of theirs as (layer, number).
type Found = (Vec<LayerView>, Vec<(u32, u32)>);

/// The layers and tasks of `keys` in `graph`: layers, and (layer, number) for each key.
#[pyfunction]
fn bag_find(graph: &Bound<'_, PyAny>, keys: Vec<Bound<'_, PyAny>>) -> PyResult<Found> {
    let graph = graph_from_py(graph)?;
    let mut layers: Vec<LayerRef> = Vec::new();
    let mut numbers = AHashMap::new();
    let mut found = Vec::with_capacity(keys.len());
    for key in &keys {
        let (layer, task) =
            graph.find(&key_from_py(key)?).ok_or_else(|| PyKeyError::new_err(key.clone().unbind()))?;
        let number = *numbers.entry(Arc::as_ptr(&layer)).or_insert_with(|| {
            layers.push(layer);
            layers.len() as u32 - 1
        });
        found.push((number, task));
    }
    Ok((layers.into_iter().map(|layer| LayerView { layer }).collect(), found))
}

/// The layer whose task `i` is the partition `(name, i)` of `graph`.
#[pyfunction]
fn bag_base(graph: &Bound<'_, PyAny>, name: &Bound<'_, PyAny>, npartitions: u32) -> PyResult<LayerView> {
    let graph = graph_from_py(graph)?;
    let name = key_from_py(name)?;
    let key = |i: u32| Key::Tuple(vec![name.clone(), Key::Int(i as i64)].into());
    let find = |i: u32| {
        graph
            .find(&key(i))
            .ok_or_else(|| PyKeyError::new_err(format!("{} is not in the bag's graph", key(i))))
    };
    if npartitions == 0 {
        let layer = Layer::new(
            name,
            vec![],
            Rule::Grid { shape: vec![0], reads: vec![] },
            Arc::new(Alias) as WorkRef,
        );
        return Ok(LayerView { layer: layer.map_err(invalid)? });
    }
    let (first, _) = find(0)?;
    let is_grid = matches!(
        &first.rule,
        Rule::Grid { shape, .. } | Rule::Table { shape, .. } if shape[..] == [npartitions]
    );
    if is_grid && first.name == name {
        return Ok(LayerView { layer: first });
    }
    let tasks = (0..npartitions).map(find).collect::<PyResult<Vec<_>>>()?;
    let in_order = tasks.iter().enumerate().all(|(i, (layer, task))| {
        Arc::ptr_eq(layer, &first) && *task as usize == i && !layer.grid().is_empty()
    });
    if in_order && tasks.len() == first.len() {
        return Ok(LayerView { layer: first });
    }
    let mut layers: Vec<LayerRef> = Vec::new();
    let mut numbers = AHashMap::new();
    let mut reads = Vec::with_capacity(tasks.len());
    for (layer, task) in tasks {
        let number = *numbers.entry(Arc::as_ptr(&layer)).or_insert_with(|| {
            layers.push(layer);
            layers.len() as u32 - 1
        });
        reads.push(vec![(number, task)]);
    }
    // Under another name: with the same keys its tasks would be taken for those that they read.
    let name = Key::from(format!("partitions-{name}"));
    Ok(LayerView { layer: explicit(name, layers, &reads, Alias)? })
}

/// Hands its input on.
#[derive(Debug)]
struct Alias;

impl Work for Alias {
    fn name(&self) -> &str {
        "alias"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        Ok(inputs[0].clone())
    }

    fn is_alias(&self, _index: u32) -> bool {
        true
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// A graph of these layers.
#[pyfunction]
fn bag_graph(layers: Vec<PyRef<'_, LayerView>>) -> Graph {
    Graph::new(layers.iter().map(|view| view.layer.clone()).collect())
}

/// The same graph with layers that only hand partitions on joined to the layers that read them.
///
/// Layers that hold one of `keys` stay, and so do those that several others read.
#[pyfunction]
fn fuse_bags(graph: &Bound<'_, PyAny>, keys: Vec<Bound<'_, PyAny>>) -> PyResult<Graph> {
    let graph = graph_from_py(graph)?;
    let mut kept: AHashSet<*const Layer<WorkRef>> = AHashSet::new();
    let mut tops: Vec<LayerRef> = Vec::new();
    let mut last: Option<(Key, LayerRef)> = None;
    for key in &keys {
        let key = key_from_py(key)?;
        // Partitions of one grid come in a row, and finding each anew is what takes the time.
        if let Some((name, layer)) = &last
            && key.collection() == name
            && matches!(layer.rule, Rule::Grid { .. } | Rule::Table { .. })
        {
            continue;
        }
        if let Some((layer, _)) = graph.find(&key) {
            if kept.insert(Arc::as_ptr(&layer)) {
                tops.push(layer.clone());
            }
            last = Some((key.collection().clone(), layer));
        }
    }
    if tops.is_empty() {
        return Ok(Graph::new(graph.layers().to_vec()));
    }
    let layers = all_layers(&tops);
    let mut readers: AHashMap<*const Layer<WorkRef>, u32> = AHashMap::new();
    for layer in &layers {
        let mut count = |input: u32| {
            if let Some(input) = layer.inputs.get(input as usize) {
                *readers.entry(Arc::as_ptr(input)).or_insert(0) += 1;
            }
        };
        match &layer.rule {
            Rule::Grid { reads, .. } => reads.iter().for_each(|read| count(read.input)),
            _ => (0..layer.inputs.len() as u32).for_each(|input| {
                count(input);
                count(input);
            }),
        }
    }
    let mut renewed: AHashMap<*const Layer<WorkRef>, LayerRef> = AHashMap::new();
    for layer in &layers {
        let inputs: Vec<LayerRef> = layer.inputs.iter().map(|l| renewed[&Arc::as_ptr(l)].clone()).collect();
        let alone: Vec<bool> = layer
            .inputs
            .iter()
            .map(|l| readers.get(&Arc::as_ptr(l)) == Some(&1) && !kept.contains(&Arc::as_ptr(l)))
            .collect();
        let new = join(layer, &inputs, &alone).map_err(invalid)?.unwrap_or_else(|| {
            if inputs.iter().zip(&layer.inputs).all(|(new, old)| Arc::ptr_eq(new, old)) {
                layer.clone()
            } else {
                let (name, rule, work) = (layer.name.clone(), layer.rule.clone(), layer.work.clone());
                Arc::new(Layer { name, inputs, rule, work })
            }
        });
        renewed.insert(Arc::as_ptr(layer), new);
    }
    Ok(Graph::new(tops.iter().map(|top| renewed[&Arc::as_ptr(top)].clone()).collect()))
}

/// `layer` with the steps of those inputs in it that can be; `None` if there are none.
fn join(
    layer: &LayerRef,
    inputs: &[LayerRef],
    alone: &[bool],
) -> Result<Option<LayerRef>, weft_graph::LayerError> {
    let (Some(work), Rule::Grid { shape, reads }) = (bag_work(layer), &layer.rule) else { return Ok(None) };
    let ([n], [step]) = (&shape[..], &work.steps[..]) else { return Ok(None) };
    let mut joined = false;
    let mut new = BagWork {
        steps: Vec::new(),
        reads: 0,
        many: None,
        label: work.label.clone(),
        annotations: Python::attach(|py| work.annotations.as_ref().map(|a| a.clone_ref(py))),
    };
    let mut new_inputs: Vec<LayerRef> = Vec::new();
    let mut new_reads: Vec<Read> = Vec::new();
    let mut slots = Vec::with_capacity(step.slots.len());
    for &slot in &step.slots {
        let (Slot::One(read) | Slot::Many(read)) = slot else {
            slots.push(slot);
            continue;
        };
        let read = &reads[read as usize];
        let input = &inputs[read.input as usize];
        let place = alone[read.input as usize].then(|| place(read, *n)).flatten();
        let inner = match (place, bag_work(input), &input.rule) {
            // Hints hold for the tasks that they were given to.
            (Some(_), Some(inner), _) if inner.annotations.is_some() || work.annotations.is_some() => None,
            (Some(place), Some(inner), Rule::Grid { reads, shape }) => {
                let whole = place == SAME && shape[..] == [*n];
                movable(inner, reads, whole, new.many).then_some((place, inner, reads))
            }
            _ => None,
        };
        let Some((place, inner, inner_reads)) = inner else {
            if matches!(slot, Slot::Many(_)) {
                // Only one read of a task may give any number of inputs.
                if new.many.is_some() {
                    return Ok(None);
                }
                new.many = Some(new_reads.len() as u32);
                slots.push(Slot::Many(new_reads.len() as u32));
            } else {
                slots.push(Slot::One(new_reads.len() as u32));
            }
            new_reads.push(Read { input: new_inputs.len() as u32, axes: read.axes.clone() });
            new_inputs.push(input.clone());
            continue;
        };
        joined = true;
        let (steps, reads) = (new.steps.len() as u32, new_reads.len() as u32);
        for inner_step in &inner.steps {
            let moved = inner_step.slots.iter().map(|&slot| match (slot, place) {
                (Slot::Index(None), Axis::At(i)) => Slot::Index(Some(i)),
                (Slot::Index(fixed), _) => Slot::Index(fixed),
                (Slot::One(read), _) => Slot::One(read + reads),
                (Slot::Many(read), _) => Slot::Many(read + reads),
                (Slot::Step(step), _) => Slot::Step(step + steps),
            });
            new.steps.push(Step { call: inner_step.call.clone(), slots: moved.collect() });
        }
        if let Some(many) = inner.many {
            new.many = Some(many + reads);
        }
        for read in inner_reads {
            let axes = read.axes.iter().map(|&axis| if axis == SAME { place } else { axis }).collect();
            new_reads.push(Read { input: new_inputs.len() as u32, axes });
            new_inputs.push(input.inputs[read.input as usize].clone());
        }
        slots.push(Slot::Step(new.steps.len() as u32 - 1));
    }
    if !joined {
        return Ok(None);
    }
    new.steps.push(Step { call: step.call.clone(), slots });
    new.reads = new_reads.len() as u32;
    let rule = Rule::Grid { shape: shape.clone(), reads: new_reads };
    Layer::new(layer.name.clone(), new_inputs, rule, Arc::new(new) as WorkRef).map(Some)
}

/// Which partition of its input a task of a line of `n` reads, if it is one that follows a rule.
fn place(read: &Read, n: u32) -> Option<Axis> {
    match read.axes[..] {
        [SAME] => Some(SAME),
        [Axis::At(i)] if n == 1 => Some(Axis::At(i)),
        _ => None,
    }
}

/// Whether the tasks of `inner` can be done by the tasks that read them, one each: all of them (`whole`) or some.
fn movable(inner: &BagWork, reads: &[Read], whole: bool, many: Option<u32>) -> bool {
    // Two lists of any length could not be told apart among a task's inputs.
    if inner.many.is_some() && (many.is_some() || !whole) {
        return false;
    }
    reads.iter().all(|read| match read.axes[..] {
        [] | [SAME] | [Axis::At(_)] => true,
        [Axis::Group { .. } | Axis::All] => whole,
        _ => false,
    })
}

/// A layer of one task that only holds `object`.
#[pyfunction]
fn bag_constant(name: &Bound<'_, PyAny>, object: Py<PyAny>) -> PyResult<LayerView> {
    let work = PyTask { node: Node::Const(object), label: "constant".into(), annotations: None };
    let rule = Rule::Single { reads: vec![] };
    Ok(LayerView {
        layer: Arc::new(Layer { name: key_from_py(name)?, inputs: vec![], rule, work: Arc::new(work) }),
    })
}

/// Appends each of `elements` to the list that `groups` has for the key at the same place in `keys`.
#[pyfunction]
fn bag_group<'py>(
    keys: &Bound<'py, PyList>,
    elements: &Bound<'py, PyList>,
    groups: &Bound<'py, PyDict>,
) -> PyResult<()> {
    for (key, element) in keys.iter().zip(elements.iter()) {
        match groups.get_item(&key)? {
            Some(group) => group.cast::<PyList>()?.append(element)?,
            None => groups.set_item(key, PyList::new(groups.py(), [element])?)?,
        }
    }
    Ok(())
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(bag_layer, module)?)?;
    module.add_function(wrap_pyfunction!(bag_explicit, module)?)?;
    module.add_function(wrap_pyfunction!(bag_find, module)?)?;
    module.add_function(wrap_pyfunction!(bag_base, module)?)?;
    module.add_function(wrap_pyfunction!(bag_graph, module)?)?;
    module.add_function(wrap_pyfunction!(bag_constant, module)?)?;
    module.add_function(wrap_pyfunction!(fuse_bags, module)?)?;
    module.add_function(wrap_pyfunction!(bag_group, module)?)?;
    columns::register(module)?;
    json::register(module)?;
    text::register(module)
}
