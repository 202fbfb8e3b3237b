//! `Graph`: what `__dask_graph__()` of a weft collection returns.

use std::sync::{Arc, OnceLock};

use ahash::{AHashMap, AHashSet};
use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PySet, PyTuple};
use weft_data::{LayerRef, WorkRef};
use weft_graph::{Expanded, Key, Layer, Rule, find_cycle, share_equal_keys};

use crate::bag::bag_work;
use crate::key::{key_from_py, key_to_py, try_key};
use crate::spec::{Node, graph_value};
use crate::task::{PyTask, PyTasks};

/// A lazy, read-only mapping from keys to tasks over a set of layers and all that they read.
///
/// It costs nothing to make: tasks are expanded when someone looks at them.
#[pyclass(name = "Graph", module = "weft._weft", frozen, mapping, weakref)]
pub(crate) struct Graph {
    layers: Vec<LayerRef>,
    index: OnceLock<Index>,
}

/// Every layer below a graph's own, and where its keys are.
struct Index {
    /// Inputs before the layers that read them.
    layers: Vec<LayerRef>,
    names: AHashMap<Key, u32>,
    /// Tasks of explicit layers, whose keys follow no rule.
    explicit: AHashMap<Key, (u32, u32)>,
}

impl Graph {
    pub(crate) fn new(layers: Vec<LayerRef>) -> Self {
        Graph { layers, index: OnceLock::new() }
    }

    pub(crate) fn layers(&self) -> &[LayerRef] {
        &self.layers
    }

    /// The tasks that `keys` need. Raises `KeyError` for a key that the graph does not have.
    pub(crate) fn expand(&self, keys: &[Key]) -> PyResult<Expanded<WorkRef>> {
        let outputs = keys
            .iter()
            .map(|key| {
                self.find(key).ok_or_else(|| PyKeyError::new_err(format!("{key} is not in the graph")))
            })
            .collect::<PyResult<Vec<_>>>()?;
        let tasks = share_equal_keys(weft_graph::expand(&outputs));
        // Layers cannot wait for each other in a circle; tasks within one, or joined by key, can.
        if tasks.layers.iter().any(|layer| matches!(layer.rule, Rule::Explicit { .. }))
            && let Some(cycle) = find_cycle(&tasks.dag)
        {
            let names: Vec<String> =
                cycle.iter().chain(cycle.first()).map(|&task| tasks.key(task).to_string()).collect();
            return Err(PyRuntimeError::new_err(format!(
                "Cycle detected in the graph: {}. Each of these tasks waits for the next.",
                names.join(" -> ")
            )));
        }
        Ok(tasks)
    }

    /// The layer that has the task `key`, and the task's number in it.
    pub(crate) fn find(&self, key: &Key) -> Option<(LayerRef, u32)> {
        // What is asked for is nearly always at the top; the index walks the whole graph.
        const FEW: usize = 8;
        let few = if self.layers.len() <= FEW { &self.layers[..] } else { &[] };
        let top = few.iter().find_map(|layer| {
            let name = key.collection();
            if (layer.name == *key || layer.name == *name) && !matches!(layer.rule, Rule::Explicit { .. }) {
                Some((layer.clone(), position(layer, key)?))
            } else {
                None
            }
        });
        if top.is_some() {
            return top;
        }
        let index = self.index();
        if let Some(&(layer, task)) = index.explicit.get(key) {
            return Some((index.layers[layer as usize].clone(), task));
        }
        let layer = index.names.get(key).or_else(|| match key {
            Key::Tuple(parts) => index.names.get(parts.first()?),
            _ => None,
        })?;
        let layer = &index.layers[*layer as usize];
        Some((layer.clone(), position(layer, key)?))
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let layers = all_layers(&self.layers);
            let mut names = AHashMap::with_capacity(layers.len());
            let mut explicit = AHashMap::new();
            for (i, layer) in layers.iter().enumerate() {
                match &layer.rule {
                    Rule::Explicit { keys, .. } => {
                        for (task, key) in keys.iter().enumerate() {
                            explicit.insert(key.clone(), (i as u32, task as u32));
                        }
                    }
                    _ => {
                        names.insert(layer.name.clone(), i as u32);
                    }
                }
            }
            Index { layers, names, explicit }
        })
    }

    /// The Python form of one task.
    fn node<'py>(&self, py: Python<'py>, layer: &LayerRef, index: u32) -> PyResult<Bound<'py, PyAny>> {
        let key = key_to_py(py, &layer.key(index))?;
        let inputs = input_keys(layer, index);
        let input = |position: u32| key_to_py(py, &inputs[position as usize]);
        if let Some(work) = bag_work(layer) {
            return work.to_task(py, key, index, &inputs);
        }
        match python_node(layer, index) {
            Some(node) => node.to_task(py, key, &input),
            None => {
                let refs = (0..inputs.len() as u32).map(input).collect::<PyResult<Vec<_>>>()?;
                let call = crate::native::NativeCall::new(layer.clone(), index);
                let (name, refs) = (layer.work.name(), PyList::new(py, refs)?);
                py.import("weft._task_spec")?.call_method1("native_task", (key, name, index, refs, call))
            }
        }
    }
}

/// What a task does, if Python does it.
pub(crate) fn python_node(layer: &Layer<WorkRef>, index: u32) -> Option<&Node> {
    let work = layer.work.as_any()?;
    if let Some(task) = work.downcast_ref::<PyTask>() {
        return Some(&task.node);
    }
    work.downcast_ref::<PyTasks>().map(|tasks| &tasks.nodes[index as usize])
}

pub(crate) fn input_keys(layer: &LayerRef, index: u32) -> Vec<Key> {
    let mut keys = Vec::new();
    layer.reads(index, |input, task| {
        keys.push(match input {
            u32::MAX => layer.key(task),
            input => layer.inputs[input as usize].key(task),
        });
    });
    keys
}

/// Where `key` is in a layer whose name it bears.
fn position(layer: &Layer<WorkRef>, key: &Key) -> Option<u32> {
    match &layer.rule {
        Rule::Single { .. } => (layer.name == *key).then_some(0),
        Rule::Explicit { keys, .. } => keys.iter().position(|k| k == key).map(|i| i as u32),
        Rule::Grid { shape, .. } | Rule::Table { shape, .. } => {
            let Key::Tuple(parts) = key else { return None };
            if parts.len() != shape.len() + 1 || parts[0] != layer.name {
                return None;
            }
            let mut index = 0u32;
            for (part, &n) in parts[1..].iter().zip(shape) {
                match part {
                    Key::Int(i) if (0..n as i64).contains(i) => index = index * n + *i as u32,
                    _ => return None,
                }
            }
            Some(index)
        }
    }
}

/// `tops` and every layer below them, each once, inputs first.
pub(crate) fn all_layers(tops: &[LayerRef]) -> Vec<LayerRef> {
    all_layers_above(tops, |_| false)
}

/// `all_layers`, without those below the layers that `ends` holds for.
pub(crate) fn all_layers_above(tops: &[LayerRef], ends: impl Fn(&LayerRef) -> bool) -> Vec<LayerRef> {
    let mut seen = AHashSet::new();
    let mut order = Vec::new();
    // Depth first on a stack of our own: chains are a million layers long.
    let mut stack: Vec<(LayerRef, usize)> = Vec::new();
    for top in tops {
        if seen.insert(Arc::as_ptr(top)) {
            stack.push((top.clone(), 0));
        }
        while let Some((layer, next)) = stack.last_mut() {
            match layer.inputs.get(*next) {
                Some(input) if !ends(layer) => {
                    *next += 1;
                    if seen.insert(Arc::as_ptr(input)) {
                        let input = input.clone();
                        stack.push((input, 0));
                    }
                }
                _ => order.extend(stack.pop().map(|(layer, _)| layer)),
            }
        }
    }
    order
}

/// A graph from what a user or a foreign collection gives: a `Graph`, a mapping of keys to tasks, or
/// a graph of layers (`.layers`) that may hold layers of ours.
pub(crate) fn graph_from_py(object: &Bound<'_, PyAny>) -> PyResult<Graph> {
    if let Ok(graph) = object.cast::<Graph>() {
        return Ok(Graph::new(graph.get().layers.clone()));
    }
    let mut native = Vec::new();
    let mut mappings = Vec::new();
    match object.getattr_opt(intern!(object.py(), "layers"))? {
        Some(layers) if !object.is_instance_of::<PyDict>() => {
            for layer in layers.call_method0("values")?.try_iter()? {
                sort_out(layer?, &mut native, &mut mappings)?;
            }
        }
        _ => sort_out(object.clone(), &mut native, &mut mappings)?,
    }
    if let Some(layer) = explicit_layer(&mappings, &native)? {
        // Later layers win where keys repeat, and the mapping's tasks are the newer ones.
        native.push(layer);
    }
    Ok(Graph::new(native))
}

fn sort_out<'py>(
    object: Bound<'py, PyAny>,
    native: &mut Vec<LayerRef>,
    mappings: &mut Vec<Bound<'py, PyMapping>>,
) -> PyResult<()> {
    if let Ok(view) = object.cast::<LayerView>() {
        native.push(view.get().layer.clone());
    } else if let Ok(graph) = object.cast::<Graph>() {
        native.extend(graph.get().layers.iter().cloned());
    } else {
        mappings.push(object.cast_into::<PyMapping>().map_err(|error| {
            PyTypeError::new_err(format!(
                "expected a graph (a mapping of keys to tasks), got {}",
                error.into_inner().get_type()
            ))
        })?);
    }
    Ok(())
}

/// `weft._task_spec.Results`, the mapping whose values are no tasks.
fn results_class<'py>(mappings: &[Bound<'py, PyMapping>]) -> PyResult<Option<Bound<'py, PyAny>>> {
    match mappings.first() {
        Some(mapping) => Ok(Some(mapping.py().import("weft._task_spec")?.getattr("Results")?)),
        None => Ok(None),
    }
}

/// One explicit layer of all tasks in `mappings`, which may read tasks of `native` layers.
fn explicit_layer(mappings: &[Bound<'_, PyMapping>], native: &[LayerRef]) -> PyResult<Option<LayerRef>> {
    let mut keys: Vec<Key> = Vec::new();
    let mut numbers: AHashMap<Key, u32> = AHashMap::new();
    let mut values = Vec::new();
    let results = results_class(mappings)?;
    for mapping in mappings {
        let finished = results.as_ref().map_or(Ok(false), |class| mapping.is_instance(class))?;
        for item in mapping.items()?.iter() {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            let key = key_from_py(&key)?;
            match numbers.get(&key) {
                Some(&number) => values[number as usize] = (value, finished),
                None => {
                    numbers.insert(key.clone(), keys.len() as u32);
                    keys.push(key);
                    values.push((value, finished));
                }
            }
        }
    }
    if keys.is_empty() {
        return Ok(None);
    }
    let below = Graph::new(native.to_vec());
    let known = |key: &Key| numbers.contains_key(key) || (!native.is_empty() && below.find(key).is_some());
    let mut inputs: Vec<LayerRef> = Vec::new();
    let mut input_numbers: AHashMap<*const Layer<WorkRef>, u32> = AHashMap::new();
    let mut starts = vec![0u32];
    let mut reads = Vec::new();
    let mut nodes = Vec::with_capacity(keys.len());
    let mut read_keys = Vec::new();
    for (number, (value, finished)) in values.iter().enumerate() {
        read_keys.clear();
        let mut node = match finished {
            true => Node::Const(value.clone().unbind()),
            false => graph_value(value, &known, &mut read_keys)?,
        };
        if let (Node::Input(0), [only]) = (&node, &read_keys[..])
            && *only == keys[number]
        {
            // A value that equals its own key is that value.
            node = Node::Const(value.clone().unbind());
            read_keys.clear();
        }
        for key in &read_keys {
            reads.push(match numbers.get(key) {
                Some(&task) => (u32::MAX, task),
                None => {
                    let (layer, task) = below.find(key).ok_or_else(|| {
                        PyKeyError::new_err(format!(
                            "the task {} reads {key}, which is not in the graph",
                            keys[number]
                        ))
                    })?;
                    let input = *input_numbers.entry(Arc::as_ptr(&layer)).or_insert_with(|| {
                        inputs.push(layer);
                        inputs.len() as u32 - 1
                    });
                    (input, task)
                }
            });
        }
        starts.push(reads.len() as u32);
        nodes.push(node);
    }
    let work: WorkRef = Arc::new(PyTasks { nodes, label: "graph".into(), annotations: None });
    let name = keys[0].collection().clone();
    Ok(Some(Arc::new(Layer {
        name,
        inputs,
        rule: Rule::Explicit { keys: keys.into(), starts, reads },
        work,
    })))
}

#[pymethods]
impl Graph {
    /// A graph from a mapping of keys to tasks, a graph of layers, or another graph.
    #[new]
    fn py_new(graph: &Bound<'_, PyAny>) -> PyResult<Self> {
        graph_from_py(graph)
    }

    /// One graph of several.
    #[staticmethod]
    fn merge(graphs: Vec<Bound<'_, PyAny>>) -> PyResult<Self> {
        let mut layers = Vec::new();
        for graph in &graphs {
            layers.extend(graph_from_py(graph)?.layers);
        }
        Ok(Graph::new(layers))
    }

    /// `graph` and the tasks in `mapping`, which may read it.
    #[staticmethod]
    fn extend(graph: &Bound<'_, PyAny>, mapping: &Bound<'_, PyMapping>) -> PyResult<Self> {
        let mut layers = graph_from_py(graph)?.layers;
        let top = explicit_layer(std::slice::from_ref(mapping), &layers)?;
        layers.extend(top);
        Ok(Graph::new(layers))
    }

    /// What `keys` need; keys that the graph does not have are left out.
    ///
    /// Tasks of rules come by the layer. A graph of explicit tasks alone loses the others.
    fn cull(slf: &Bound<'_, Self>, keys: Vec<Bound<'_, PyAny>>) -> PyResult<Self> {
        let py = slf.py();
        let graph = slf.get();
        let mut layers: Vec<LayerRef> = Vec::new();
        let mut outputs = Vec::new();
        for key in keys {
            if let Some((layer, task)) = graph.find(&key_from_py(&key)?) {
                if !layers.iter().any(|known| Arc::ptr_eq(known, &layer)) {
                    layers.push(layer.clone());
                }
                outputs.push((layer, task));
            }
        }
        let all_explicit =
            |layers: &[LayerRef]| layers.iter().all(|l| matches!(l.rule, Rule::Explicit { .. }));
        if layers.is_empty() || !all_explicit(&graph.index().layers) {
            return Ok(Graph::new(layers));
        }
        let needed = weft_graph::expand(&outputs);
        if needed.dag.len() == graph.index().explicit.len() {
            return Ok(Graph::new(layers));
        }
        let tasks = PyDict::new(py);
        for task in needed.dag.tasks() {
            let key = key_to_py(py, &needed.key(task))?;
            let node = graph.__getitem__(py, &key)?;
            tasks.set_item(key, node)?;
        }
        Ok(Graph::new(explicit_layer(&[tasks.into_mapping()], &[])?.into_iter().collect()))
    }

    /// The layers of the given names and all that they read.
    ///
    /// Raises `KeyError` for a name that no layer has.
    fn cull_layers(&self, layers: &Bound<'_, PyAny>) -> PyResult<Self> {
        let index = self.index();
        let mut kept: Vec<LayerRef> = Vec::new();
        for name in layers.try_iter()? {
            let name = key_from_py(&name?)?;
            // Tasks that were listed one by one may stand for several names.
            let has = |layer: &LayerRef| match &layer.rule {
                Rule::Explicit { keys, .. } => keys.iter().any(|key| *key.collection() == name),
                _ => layer.name == name,
            };
            let found: Vec<_> = index.layers.iter().filter(|layer| has(layer)).collect();
            if found.is_empty() {
                return Err(PyKeyError::new_err(format!("{name} is not a layer of the graph")));
            }
            for layer in found {
                if !kept.iter().any(|known| Arc::ptr_eq(known, layer)) {
                    kept.push(layer.clone());
                }
            }
        }
        Ok(Graph::new(kept))
    }

    fn __len__(&self) -> usize {
        let index = self.index();
        if index.explicit.is_empty() && index.names.len() == index.layers.len() {
            return index.layers.iter().map(|layer| layer.len()).sum();
        }
        self.distinct_keys().len()
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(try_key(key)?.is_some_and(|key| self.find(&key).is_some()))
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match try_key(key)?.and_then(|key| self.find(&key)) {
            Some((layer, index)) => self.node(py, &layer, index),
            None => Err(PyKeyError::new_err(key.clone().unbind())),
        }
    }

    #[pyo3(signature = (key, default=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match try_key(key)?.and_then(|key| self.find(&key)) {
            Some((layer, index)) => self.node(py, &layer, index).map(Some),
            None => Ok(default),
        }
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.key_list(py)?.try_iter()?.into_any())
    }

    fn keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        view(slf, "KeysView")
    }

    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        view(slf, "ValuesView")
    }

    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        view(slf, "ItemsView")
    }

    fn copy(&self) -> Self {
        Graph::new(self.layers.clone())
    }

    /// The tasks as a dict.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tasks = PyDict::new(py);
        for key in self.key_list(py)?.iter() {
            let task = self.__getitem__(py, &key)?;
            tasks.set_item(key, task)?;
        }
        Ok(tasks)
    }

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        if slf.is(other) {
            return Ok(true);
        }
        let py = slf.py();
        match other.cast::<PyMapping>() {
            Ok(other) => {
                let theirs = py.import("builtins")?.getattr("dict")?.call1((other,))?;
                slf.get().to_dict(py)?.eq(theirs)
            }
            Err(_) => Ok(false),
        }
    }

    /// Draws the graph with one node for each layer; see `weft.dot.visualize_layers`.
    #[pyo3(signature = (*args, **kwargs))]
    fn visualize<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let draw = slf.py().import("weft.dot")?.getattr("visualize_layers")?;
        let graph = PyTuple::new(slf.py(), [slf])?;
        draw.call(graph.as_sequence().concat(args.as_sequence())?.to_tuple()?, kwargs)
    }

    fn __repr__(&self) -> String {
        format!("<weft graph: {} tasks in {} layers>", self.__len__(), self.index().layers.len())
    }

    /// All keys, inputs before what reads them.
    pub(crate) fn key_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(
            py,
            self.distinct_keys().iter().map(|key| key_to_py(py, key)).collect::<PyResult<Vec<_>>>()?,
        )
    }

    /// The layers by name, inputs first.
    #[getter(layers)]
    fn py_layers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let layers = PyDict::new(py);
        for layer in &self.index().layers {
            layers.set_item(key_to_py(py, &layer.name)?, LayerView { layer: layer.clone() })?;
        }
        Ok(layers)
    }

    /// For each layer's name, the names of the layers that it reads.
    #[getter]
    fn dependencies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dependencies = PyDict::new(py);
        for layer in &self.index().layers {
            let names = PySet::empty(py)?;
            for input in &layer.inputs {
                names.add(key_to_py(py, &input.name)?)?;
            }
            dependencies.set_item(key_to_py(py, &layer.name)?, names)?;
        }
        Ok(dependencies)
    }

    /// For each layer's name, the names of the layers that read it.
    #[getter]
    fn dependents<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("weft.core")?.call_method1("reverse_dict", (self.dependencies(py)?,))
    }

    /// For each key, the keys that its task reads.
    fn get_all_dependencies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dependencies = PyDict::new(py);
        for key in self.key_list(py)?.iter() {
            let reads = self.dependencies_of(py, &key)?;
            dependencies.set_item(key, reads)?;
        }
        Ok(dependencies)
    }

    /// Keys that the task `key` reads.
    fn dependencies_of<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PySet>> {
        let Some((layer, index)) = try_key(key)?.and_then(|key| self.find(&key)) else {
            return Err(PyKeyError::new_err(key.clone().unbind()));
        };
        let keys = input_keys(&layer, index);
        let keys = keys.iter().map(|key| key_to_py(py, key)).collect::<PyResult<Vec<_>>>()?;
        PySet::new(py, keys)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (layers, tops) = crate::portable::write(py, &self.layers)?;
        let args = PyTuple::new(py, [layers.into_any(), tops.into_any()])?;
        Ok((py.import("weft._weft")?.getattr("graph_from_portable")?, args))
    }
}

impl Graph {
    fn distinct_keys(&self) -> Vec<Key> {
        let mut seen = AHashSet::new();
        let mut keys = Vec::new();
        for layer in &self.index().layers {
            for task in 0..layer.len() as u32 {
                let key = layer.key(task);
                if seen.insert(key.clone()) {
                    keys.push(key);
                }
            }
        }
        keys
    }
}

fn view<'py>(graph: &Bound<'py, Graph>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    graph.py().import("collections.abc")?.getattr(name)?.call1((graph,))
}

/// What the user said about the tasks of a layer.
pub(crate) fn annotations_of(layer: &LayerRef) -> Option<&Py<PyAny>> {
    let work = layer.work.as_any()?;
    let annotations = if let Some(task) = work.downcast_ref::<PyTask>() {
        &task.annotations
    } else if let Some(work) = bag_work(layer) {
        work.annotations()
    } else {
        &work.downcast_ref::<PyTasks>()?.annotations
    };
    annotations.as_ref()
}

/// One layer of a graph, as a handle: `Graph.layers` shows these.
#[pyclass(name = "LayerView", module = "weft._weft", frozen, mapping, weakref)]
pub(crate) struct LayerView {
    pub(crate) layer: LayerRef,
}

#[pymethods]
impl LayerView {
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        key_to_py(py, &self.layer.name)
    }

    #[getter]
    fn annotations(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        annotations_of(&self.layer).map(|a| a.clone_ref(py))
    }

    /// Names of the layers that this one reads.
    #[getter]
    fn input_names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let names = self.layer.inputs.iter().map(|l| key_to_py(py, &l.name)).collect::<PyResult<Vec<_>>>()?;
        PyTuple::new(py, names)
    }

    fn keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("collections.abc")?.getattr("KeysView")?.call1((slf,))
    }

    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("collections.abc")?.getattr("ValuesView")?.call1((slf,))
    }

    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("collections.abc")?.getattr("ItemsView")?.call1((slf,))
    }

    fn get_output_keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PySet>> {
        PySet::new(py, self.__iter__(py)?.try_iter()?.collect::<PyResult<Vec<_>>>()?)
    }

    fn is_materialized(&self) -> bool {
        !matches!(self.layer.rule, Rule::Grid { .. } | Rule::Table { .. })
    }

    fn __len__(&self) -> usize {
        self.layer.len()
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(try_key(key)?.is_some_and(|key| position(&self.layer, &key).is_some()))
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match try_key(key)?.and_then(|key| position(&self.layer, &key)) {
            Some(index) => Graph::new(vec![]).node(py, &self.layer, index),
            None => Err(PyKeyError::new_err(key.clone().unbind())),
        }
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let keys = PyList::empty(py);
        for task in 0..self.layer.len() as u32 {
            keys.append(key_to_py(py, &self.layer.key(task))?)?;
        }
        Ok(keys.try_iter()?.into_any())
    }

    fn __repr__(&self) -> String {
        format!("<weft layer {}: {} tasks>", self.layer.name, self.layer.len())
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Graph>()?;
    module.add_class::<LayerView>()
}
