//! Graphs of Python tasks as plain Python objects, for pickling.
//!
//! Layers are written as a list, inputs before what reads them: a chain of any length pickles
//! without recursion, and what layers share is written once.

use std::sync::Arc;

use ahash::AHashMap;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use weft_data::{LayerRef, WorkRef};
use weft_frame::Lowered;
use weft_graph::{Key, Layer, Rule};

use crate::array::{ArrayExpr, raise};
use crate::frame_portable::{FrameLayers, lowered};
use crate::graph::{Graph, all_layers_above};
use crate::key::{key_from_py, key_to_py};
use crate::spec::{Node, portable_value};
use crate::task::{PyTask, PyTasks};

/// A layer as Python objects: keys (`None`: its name is its only key), the numbers of its inputs, where its
/// tasks' reads start, the reads, the nodes.
type Portable<'py> = (
    Bound<'py, PyAny>,
    Option<Vec<Bound<'py, PyAny>>>,
    Vec<u32>,
    Vec<u32>,
    Vec<(u32, u32)>,
    Vec<Bound<'py, PyAny>>,
    String,
    Option<Bound<'py, PyAny>>,
);

/// The layers below `tops`, and which of them `tops` are.
pub(crate) fn write<'py>(
    py: Python<'py>,
    tops: &[LayerRef],
) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyTuple>)> {
    // What was lowered from an expression travels as that expression, with all below it.
    let layers =
        all_layers_above(tops, |layer| weft_array::origin(layer).is_some() || frames_of(layer).is_some());
    let numbers: AHashMap<*const Layer<WorkRef>, u32> =
        layers.iter().enumerate().map(|(i, layer)| (Arc::as_ptr(layer), i as u32)).collect();
    let written = PyList::empty(py);
    // One handle for each recipe: pickle then writes it once.
    let mut recipes: Vec<(Arc<Lowered>, Bound<'py, FrameLayers>)> = Vec::new();
    for layer in &layers {
        if let Some((recipe, number)) = frames_of(layer) {
            let known = recipes.iter().find(|(known, _)| Arc::ptr_eq(known, &recipe));
            let handle = match known {
                Some((_, handle)) => handle.clone(),
                None => {
                    let handle = Bound::new(py, FrameLayers::new(recipe.clone()))?;
                    recipes.push((recipe, handle.clone()));
                    handle
                }
            };
            written.append((handle, number))?;
            continue;
        }
        match (weft_array::origin(layer), crate::bag::write_portable(py, layer, &numbers)?) {
            (Some(expr), _) => written.append(ArrayExpr::from(expr.clone()))?,
            (None, Some(bag)) => written.append(bag)?,
            (None, None) => written.append(write_layer(py, layer, &numbers)?)?,
        }
    }
    let tops = PyTuple::new(py, tops.iter().map(|layer| numbers[&Arc::as_ptr(layer)]))?;
    Ok((written, tops))
}

/// The recipe of a frame's layer, and its number there.
fn frames_of(layer: &LayerRef) -> Option<(Arc<Lowered>, u32)> {
    let origin = layer.work.origin()?;
    Some((lowered(origin.recipe)?, origin.number))
}

fn write_layer<'py>(
    py: Python<'py>,
    layer: &LayerRef,
    numbers: &AHashMap<*const Layer<WorkRef>, u32>,
) -> PyResult<Portable<'py>> {
    let node = |node: &Node| node.to_portable(py);
    let name = key_to_py(py, &layer.name)?;
    let inputs = layer.inputs.iter().map(|input| numbers[&Arc::as_ptr(input)]).collect();
    let work = layer.work.as_any();
    let annotations = |a: &Option<Py<PyAny>>| a.as_ref().map(|a| a.bind(py).clone());
    if let Rule::Single { reads } = &layer.rule
        && let Some(task) = work.and_then(|work| work.downcast_ref::<PyTask>())
    {
        let nodes = vec![node(&task.node)?];
        let label = task.label.to_string();
        return Ok((name, None, inputs, vec![], reads.clone(), nodes, label, annotations(&task.annotations)));
    }
    if let Rule::Explicit { keys, starts, reads } = &layer.rule
        && let Some(tasks) = work.and_then(|work| work.downcast_ref::<PyTasks>())
    {
        let keys = keys.iter().map(|key| key_to_py(py, key)).collect::<PyResult<Vec<_>>>()?;
        let nodes = tasks.nodes.iter().map(node).collect::<PyResult<Vec<_>>>()?;
        let label = tasks.label.to_string();
        let annotations = annotations(&tasks.annotations);
        return Ok((name, Some(keys), inputs, starts.clone(), reads.clone(), nodes, label, annotations));
    }
    Err(PyTypeError::new_err(format!(
        "the layer {} is native and cannot be pickled as a graph: pickle the collection that it belongs to",
        layer.name
    )))
}

/// The graph that `Graph.__reduce__` wrote.
#[pyfunction]
fn graph_from_portable(layers: &Bound<'_, PyList>, tops: Vec<usize>) -> PyResult<Graph> {
    let mut read: Vec<LayerRef> = Vec::with_capacity(layers.len());
    for layer in layers.iter() {
        if let Ok((handle, number)) = layer.extract::<(PyRef<'_, FrameLayers>, u32)>() {
            read.push(handle.layer(number)?);
            continue;
        }
        let layer = match layer.cast::<ArrayExpr>() {
            Ok(expr) => weft_array::layer_of(&expr.get().expr).map_err(raise)?,
            Err(_) => match crate::bag::read_portable(&layer, &read)? {
                Some(bag) => bag,
                None => read_layer(layer.extract()?, &read)?,
            },
        };
        read.push(layer);
    }
    let damaged = || PyValueError::new_err("the pickled graph is damaged: a layer is missing");
    let tops = tops.iter().map(|&top| read.get(top).cloned().ok_or_else(damaged)).collect::<PyResult<_>>()?;
    Ok(Graph::new(tops))
}

fn read_layer(layer: Portable<'_>, read: &[LayerRef]) -> PyResult<LayerRef> {
    let (name, keys, inputs, starts, reads, nodes, label, annotations) = layer;
    let damaged = || PyValueError::new_err("the pickled graph is damaged: a layer is missing");
    let inputs = inputs
        .iter()
        .map(|&input| read.get(input as usize).cloned().ok_or_else(damaged))
        .collect::<PyResult<Vec<_>>>()?;
    let mut nodes = nodes.iter().map(portable_value).collect::<PyResult<Vec<_>>>()?;
    let annotations = annotations.map(Bound::unbind);
    let label: Arc<str> = label.into();
    let (rule, work): (Rule, WorkRef) = match keys {
        None => {
            let node = nodes.pop().ok_or_else(damaged)?;
            (Rule::Single { reads }, Arc::new(PyTask { node, label, annotations }))
        }
        Some(keys) => {
            let keys: Vec<Key> = keys.iter().map(key_from_py).collect::<PyResult<_>>()?;
            if nodes.len() != keys.len() {
                return Err(damaged());
            }
            let rule = Rule::Explicit { keys: keys.into(), starts, reads };
            (rule, Arc::new(PyTasks { nodes, label, annotations }))
        }
    };
    Layer::new(key_from_py(&name)?, inputs, rule, work).map_err(|e| PyValueError::new_err(e.to_string()))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(graph_from_portable, module)?)
}
