//! Bags: layers of partitions, whatever their number, and the functions that make them.
//!
//! A bag's layer is a grid with one [`BagWork`]: a Python callable that gets the partition (as a list or an iterator)
//! and whatever else it reads. [`fuse::fuse_bags`] puts the steps of layers that only hand partitions on
//! into one work; between them iterators pass, so that an element goes through all steps before
//! the next one is made.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use ahash::AHashMap;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use weft_data::{LayerRef, TaskError, Value, Work, WorkRef};
use weft_graph::{Axis, Key, Layer, Read, Rule};

use crate::graph::{Graph, LayerView, graph_from_py};
use crate::key::key_from_py;
use crate::spec::Node;
use crate::task::PyTask;

mod columns;
mod fuse;
mod json;
mod portable;
mod records;
mod shards;
mod text;
mod work;

pub(crate) use portable::{read as read_portable, work_from_py, work_to_py, write as write_portable};
pub(crate) use work::{BagWork, bag_work};
use work::{Call, Slot, Step};

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

/// A layer of one task that only holds `object`.
#[pyfunction]
fn bag_constant(name: &Bound<'_, PyAny>, object: Py<PyAny>) -> PyResult<LayerView> {
    let work = PyTask { node: Node::Const(object), label: "constant".into(), annotations: None };
    let rule = Rule::Single { reads: vec![] };
    Ok(LayerView {
        layer: Arc::new(Layer { name: key_from_py(name)?, inputs: vec![], rule, work: Arc::new(work) }),
    })
}

/// What the layers of a graph call: for each the number of its tasks and, if it is a bag's, its callables in order.
///
/// None stands for the callables of any other layer.
#[pyfunction]
fn bag_calls<'py>(
    py: Python<'py>,
    graph: &Bound<'py, PyAny>,
) -> PyResult<Vec<(usize, Option<Vec<Bound<'py, PyAny>>>)>> {
    let graph = graph_from_py(graph)?;
    let calls = |layer: &LayerRef| {
        let steps = bag_work(layer).map(|work| &work.steps);
        let alias = layer.work.is_alias(0).then(Vec::new);
        let calls = steps.map(|steps| steps.iter().map(|step| step.call.func.bind(py).clone()).collect());
        (layer.len(), calls.or(alias))
    };
    Ok(crate::graph::all_layers(graph.layers()).iter().map(calls).collect())
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
    module.add_function(wrap_pyfunction!(fuse::fuse_bags, module)?)?;
    module.add_function(wrap_pyfunction!(bag_group, module)?)?;
    module.add_function(wrap_pyfunction!(shards::bag_scatter, module)?)?;
    module.add_class::<shards::BagShards>()?;
    module.add_function(wrap_pyfunction!(shards::bag_gather, module)?)?;
    module.add_function(wrap_pyfunction!(bag_calls, module)?)?;
    columns::register(module)?;
    json::register(module)?;
    text::register(module)
}
