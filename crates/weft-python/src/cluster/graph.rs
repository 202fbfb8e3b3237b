//! Layers on their way to the scheduler.
//!
//! Each layer becomes one `LayerSpec`. Functions, and the works of whole layers, become blobs that are named
//! by their digest; a task's arguments become its payload.

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use bytes::Bytes;
use pyo3::exceptions::PyNotImplementedError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use weft_array::{Expr, Op};
use weft_data::{LayerRef, Value, WorkRef};
use weft_frame::Lowered;
use weft_graph::{Key, Layer, Rule};
use weft_scheduler::message::{Blob, Digest, Graph, LayerSpec, LayerWork, Payloads, TaskOptions};
use xxhash_rust::xxh3::xxh3_128;

use super::future::{future_key, future_ref};
use super::program::{ARRAYS, BAG, FRAMES, FUNCTION};
use super::{node, pickle};
use crate::array_portable;
use crate::bag::{bag_work, work_to_py};
use crate::frame_portable::{lowered, payload, recipe_to_bytes};
use crate::graph::{all_layers, annotations_of, python_node};
use crate::spec::Node;
use crate::task::{error_to_py, value_to_py};
use weft_cluster::FutureRef;

/// A task without a blob.
const ALONE: u32 = u32::MAX;

/// A graph under construction.
#[derive(Default)]
pub(super) struct Builder {
    pub(super) graph: Graph,
    pub(super) blobs: Vec<Blob>,
    positions: AHashMap<Digest, u32>,
    functions: AHashMap<usize, u32>,
    /// Keeps the objects in `functions` where they are.
    held: Vec<Py<PyAny>>,
    /// The blob of the expressions that native layers were lowered from, and the number of each layer in its table.
    recipe: Option<(u32, AHashMap<*const Layer<WorkRef>, u32>)>,
    /// The blobs of what layers of frames were lowered from.
    lowered: Vec<(Arc<Lowered>, u32)>,
    /// Futures that the graph reads: they must live until it is sent.
    pub(super) reads: Vec<Arc<FutureRef>>,
}

impl Builder {
    pub(super) fn new(options: TaskOptions) -> Builder {
        Builder { graph: Graph { options: vec![options], ..Graph::default() }, ..Builder::default() }
    }

    pub(super) fn blob(&mut self, bytes: Vec<u8>) -> u32 {
        let digest = Digest(xxh3_128(&bytes));
        if let Some(&position) = self.positions.get(&digest) {
            return position;
        }
        let position = self.graph.digests.len() as u32;
        self.graph.digests.push(digest);
        self.blobs.push(Blob { digest, bytes: bytes.into() });
        self.positions.insert(digest, position);
        position
    }

    /// A blob that was made before.
    pub(super) fn adopt(&mut self, blob: &Blob) -> u32 {
        *self.positions.entry(blob.digest).or_insert_with(|| {
            self.graph.digests.push(blob.digest);
            self.blobs.push(blob.clone());
            self.graph.digests.len() as u32 - 1
        })
    }

    /// The blob of a function, pickled once for each graph.
    pub(super) fn function(&mut self, function: &Bound<'_, PyAny>) -> PyResult<u32> {
        let address = function.as_ptr() as usize;
        if let Some(&position) = self.functions.get(&address) {
            return Ok(position);
        }
        let position = self.blob(function_bytes(function)?);
        self.functions.insert(address, position);
        self.held.push(function.clone().unbind());
        Ok(position)
    }

    /// A layer of keys that the scheduler knows already.
    pub(super) fn known(&mut self, keys: Vec<Key>) -> u32 {
        let starts = vec![0; keys.len() + 1];
        let name = Key::from("known");
        let rule = Rule::Explicit { keys: keys.into(), starts, reads: vec![] };
        self.push(LayerSpec { name, inputs: vec![], rule, work: LayerWork::Known, options: 0 })
    }

    pub(super) fn push(&mut self, layer: LayerSpec) -> u32 {
        self.graph.layers.push(layer);
        self.graph.layers.len() as u32 - 1
    }

    /// All layers below `tops`; returns where each is.
    pub(super) fn layers(
        &mut self,
        py: Python<'_>,
        tops: &[LayerRef],
    ) -> PyResult<AHashMap<*const Layer<WorkRef>, u32>> {
        let mut places = AHashMap::new();
        self.cook(py, tops)?;
        for layer in all_layers(tops) {
            let place = self.layer(py, &layer, &places)?;
            places.insert(Arc::as_ptr(&layer), place);
        }
        Ok(places)
    }

    fn layer(
        &mut self,
        py: Python<'_>,
        layer: &LayerRef,
        places: &AHashMap<*const Layer<WorkRef>, u32>,
    ) -> PyResult<u32> {
        let mut inputs: Vec<u32> = layer.inputs.iter().map(|input| places[&Arc::as_ptr(input)]).collect();
        let mut rule = layer.rule.clone();
        let work = if let Some(work) = bag_work(layer) {
            LayerWork::Shared { blob: self.work(BAG, &work_to_py(py, work)?)? }
        } else if python_node(layer, 0).is_some() {
            self.tasks(py, layer, &mut rule, &mut inputs)?
        } else if let Some((blob, number)) = self.cooked(layer) {
            let payloads = Payloads::from_slices((0..layer.len()).map(|_| number.to_le_bytes()));
            LayerWork::Each { blobs: vec![blob], payloads }
        } else if let Some(recipe) = layer.work.origin().and_then(|origin| lowered(origin.recipe)) {
            self.frames(py, layer, recipe)?
        } else if layer.work.is_alias(0) {
            let mut payload = Vec::new();
            node::write(py, &Node::Input(0), &mut payload)?;
            let payloads = Payloads::from_slices((0..layer.len()).map(|_| &payload));
            LayerWork::Each { blobs: vec![ALONE], payloads }
        } else if let Some(blocks) = blocks_at_hand(layer) {
            let (mut bytes, mut ends) = (Vec::new(), Vec::new());
            for block in blocks {
                node::write_object(&value_to_py(py, block)?, &mut bytes)?;
                ends.push(u32::try_from(bytes.len()).map_err(|_| too_large(&layer.name))?);
            }
            let payloads = Payloads { bytes: Bytes::from(bytes), ends };
            LayerWork::Each { blobs: vec![ALONE], payloads }
        } else {
            return Err(PyNotImplementedError::new_err(format!(
                "the layer {} ({}) cannot be sent to another process yet",
                layer.name,
                layer.work.name()
            )));
        };
        let options = self.options_of(py, layer)?;
        Ok(self.push(LayerSpec { name: layer.name.clone(), inputs, rule, work, options }))
    }

    /// Where the options are that the layer's annotations ask for, beside those of the whole graph.
    fn options_of(&mut self, py: Python<'_>, layer: &LayerRef) -> PyResult<u32> {
        let Some(annotations) = annotations_of(layer) else { return Ok(0) };
        let options = annotated(annotations.bind(py), &self.graph.options[0])?;
        let known = self.graph.options.iter().position(|other| *other == options);
        let position = known.unwrap_or_else(|| {
            self.graph.options.push(options);
            self.graph.options.len() - 1
        });
        u32::try_from(position).map_err(|_| too_large(&layer.name))
    }

    /// Layers of arrays travel as the expressions that they were lowered from, once for the whole graph, and a
    /// table that says which layer of which expression each is.
    fn cook(&mut self, py: Python<'_>, tops: &[LayerRef]) -> PyResult<()> {
        let (mut exprs, mut covered) = (Vec::new(), AHashSet::new());
        let (mut table, mut numbers) = (Vec::new(), AHashMap::new());
        // What is above comes first, and covers what is below.
        for layer in all_layers(tops).iter().rev() {
            let Some((expr, part)) = weft_array::part(layer) else { continue };
            if is_elsewhere(expr) {
                continue;
            }
            numbers.insert(Arc::as_ptr(layer), numbers.len() as u32);
            table.extend(expr.digest().to_le_bytes());
            table.extend(part.to_le_bytes());
            if covered.contains(&expr.digest()) {
                continue;
            }
            exprs.push(expr.clone());
            let mut pending = vec![expr];
            while let Some(expr) = pending.pop() {
                if covered.insert(expr.digest()) {
                    pending.extend(expr.inputs());
                }
            }
        }
        if exprs.is_empty() {
            return Ok(());
        }
        let steps = array_portable::write(py, &exprs, &is_elsewhere)?;
        let recipe = (steps, PyBytes::new(py, &table)).into_pyobject(py)?;
        let blob = self.work(ARRAYS, &recipe)?;
        self.recipe = Some((blob, numbers));
        Ok(())
    }

    /// Layers of frames travel as what they were lowered from, once for all of them; partitions in memory go with
    /// the tasks that read them.
    fn frames(&mut self, py: Python<'_>, layer: &LayerRef, recipe: Arc<Lowered>) -> PyResult<LayerWork> {
        let blob = match self.lowered.iter().find(|(known, _)| Arc::ptr_eq(known, &recipe)) {
            Some((_, blob)) => *blob,
            None => {
                let mut bytes = vec![FRAMES];
                bytes.extend(recipe_to_bytes(py, &recipe)?);
                let blob = self.blob(bytes);
                self.lowered.push((recipe, blob));
                blob
            }
        };
        let number = layer.work.origin().map_or(0, |origin| origin.number);
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(layer.len()));
        for index in 0..layer.len() as u32 {
            let parcel = layer.work.parcel(index).map_err(|error| error_to_py(py, &error))?;
            bytes.extend(payload(py, number, parcel.as_ref())?);
            ends.push(u32::try_from(bytes.len()).map_err(|_| too_large(&layer.name))?);
        }
        Ok(LayerWork::Each { blobs: vec![blob], payloads: Payloads { bytes: Bytes::from(bytes), ends } })
    }

    fn cooked(&self, layer: &LayerRef) -> Option<(u32, u32)> {
        let (blob, numbers) = self.recipe.as_ref()?;
        Some((*blob, *numbers.get(&Arc::as_ptr(layer))?))
    }

    fn work(&mut self, kind: u8, work: &Bound<'_, PyAny>) -> PyResult<u32> {
        let mut bytes = vec![kind];
        pickle::to_bytes(&pickle::dumps(work)?, &mut bytes);
        Ok(self.blob(bytes))
    }

    /// Tasks of Python: each has a function and arguments. Futures among them become inputs.
    fn tasks(
        &mut self,
        py: Python<'_>,
        layer: &LayerRef,
        rule: &mut Rule,
        inputs: &mut Vec<u32>,
    ) -> PyResult<LayerWork> {
        let n = layer.len() as u32;
        let (mut blobs, mut bytes, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        let mut known: Vec<Key> = Vec::new();
        let mut extra: Vec<(u32, u32)> = Vec::new();
        let mut own = 0;
        for index in 0..n {
            let Some(node) = python_node(layer, index) else { continue };
            let mut count = 0;
            layer.reads(index, |_, _| count += 1);
            let mut future = |object: &Bound<'_, PyAny>| -> PyResult<Option<u32>> {
                let Some(key) = future_key(object)? else { return Ok(None) };
                self.reads.extend(future_ref(object)?);
                if key == layer.key(index) {
                    own += 1;
                }
                known.push(key);
                extra.push((index, known.len() as u32 - 1));
                count += 1;
                Ok(Some(count - 1))
            };
            let rewritten = if has_future(py, node)? { with_futures(py, node, &mut future)? } else { None };
            let node = rewritten.as_ref().unwrap_or(node);
            match node {
                Node::Call(call) if call.func.is_const() => {
                    let Node::Const(function) = &call.func else { continue };
                    blobs.push(self.function(function.bind(py))?);
                    node::write_arguments(py, &call.args, &call.kwargs, &mut bytes)?;
                }
                node => {
                    blobs.push(ALONE);
                    node::write(py, node, &mut bytes)?;
                }
            }
            ends.push(u32::try_from(bytes.len()).map_err(|_| too_large(&layer.name))?);
        }
        if own == n && n > 0 {
            return Ok(LayerWork::Known);
        }
        if !known.is_empty() {
            let from = inputs.len() as u32;
            inputs.push(self.known(known));
            add_reads(rule, from, &extra);
        }
        Ok(LayerWork::Each { blobs, payloads: Payloads { bytes: Bytes::from(bytes), ends } })
    }
}

/// Whether a worker gets an expression's blocks one by one, instead of what makes them: those of tasks that are not
/// an array's, and large ones that are at hand.
fn is_elsewhere(expr: &Expr) -> bool {
    // Payloads hold up to 4 GB.
    const LARGE: std::ops::Range<usize> = 1 << 16..3 << 30;
    match expr.op() {
        Op::Tasks(_) => true,
        Op::Blocks(blocks) => {
            let nbytes = blocks.iter().map(|block| match block {
                Value::Array(array) => array.nbytes(),
                other => other.nbytes(),
            });
            LARGE.contains(&nbytes.sum())
        }
        _ => false,
    }
}

fn blocks_at_hand(layer: &LayerRef) -> Option<&[Value]> {
    match weft_array::origin(layer)?.op() {
        Op::Blocks(blocks) => Some(blocks),
        _ => None,
    }
}

/// A function as a blob.
pub(super) fn function_bytes(function: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let mut bytes = vec![FUNCTION];
    pickle::to_bytes(&pickle::dumps(function)?, &mut bytes);
    Ok(bytes)
}

fn too_large(name: &Key) -> PyErr {
    pyo3::exceptions::PyValueError::new_err(format!(
        "the arguments of the tasks of {name} take more than 4 GB: scatter large ones first and pass the futures"
    ))
}

/// Lets tasks of a rule read tasks of the input `from` too, after all others: (task, task of the input).
fn add_reads(rule: &mut Rule, from: u32, extra: &[(u32, u32)]) {
    match rule {
        Rule::Single { reads } => reads.extend(extra.iter().map(|&(_, task)| (from, task))),
        Rule::Explicit { starts, reads, .. } => {
            let mut extra = extra.iter().peekable();
            let mut all = Vec::with_capacity(reads.len() + extra.len());
            let mut begins = vec![0];
            for (index, bounds) in starts.windows(2).enumerate() {
                all.extend_from_slice(&reads[bounds[0] as usize..bounds[1] as usize]);
                while let Some(&(_, task)) = extra.next_if(|(reader, _)| *reader as usize == index) {
                    all.push((from, task));
                }
                begins.push(all.len() as u32);
            }
            (*starts, *reads) = (begins, all);
        }
        // Python's own tasks come as one of the two.
        Rule::Grid { .. } | Rule::Table { .. } => {}
    }
}

fn has_future(py: Python<'_>, node: &Node) -> PyResult<bool> {
    Ok(match node {
        Node::Const(object) => future_key(object.bind(py))?.is_some(),
        Node::Call(call) => {
            for node in call.args.iter().chain(call.kwargs.iter().map(|(_, node)| node)) {
                if has_future(py, node)? {
                    return Ok(true);
                }
            }
            false
        }
        _ => false,
    })
}

/// The node with futures replaced by inputs; `None`: it has none.
fn with_futures(
    py: Python<'_>,
    node: &Node,
    future: &mut dyn FnMut(&Bound<'_, PyAny>) -> PyResult<Option<u32>>,
) -> PyResult<Option<Node>> {
    Ok(match node {
        Node::Const(object) => future(object.bind(py))?.map(Node::Input),
        Node::Call(call) if call.args.iter().any(Node::is_const) || !call.kwargs.is_empty() => {
            let mut changed = false;
            let mut replace = |arg: &Node| -> PyResult<Node> {
                if let Some(new) = with_futures(py, arg, future)? {
                    changed = true;
                    return Ok(new);
                }
                Ok(arg.share(py))
            };
            let args = call.args.iter().map(&mut replace).collect::<PyResult<Vec<_>>>()?;
            let kwargs = call
                .kwargs
                .iter()
                .map(|(name, value)| Ok((name.clone_ref(py), replace(value)?)))
                .collect::<PyResult<Vec<_>>>()?;
            if !changed {
                return Ok(None);
            }
            Some(Node::call(call.func.share(py), args, kwargs))
        }
        _ => None,
    })
}

/// `base` with what annotations say. Those that are none of ours (or functions of keys) are left to whoever made them.
fn annotated(annotations: &Bound<'_, PyAny>, base: &TaskOptions) -> PyResult<TaskOptions> {
    let mut options = base.clone();
    let Ok(annotations) = annotations.cast::<PyDict>() else { return Ok(options) };
    let find = |name: &str| -> PyResult<Option<Bound<'_, PyAny>>> {
        Ok(annotations.get_item(name)?.filter(|value| !value.is_none() && !value.is_callable()))
    };
    if let Some(priority) = find("priority")? {
        options.priority = priority.extract()?;
    }
    if let Some(retries) = find("retries")? {
        options.retries = retries.extract()?;
    }
    if let Some(workers) = find("workers")? {
        let names: Vec<String> = match workers.cast::<PyString>() {
            Ok(one) => vec![one.extract()?],
            Err(_) => match workers.try_iter() {
                Ok(all) => all.map(|name| Ok(name?.str()?.to_string())).collect::<PyResult<_>>()?,
                Err(_) => vec![workers.str()?.to_string()],
            },
        };
        options.workers = names.into_iter().map(Into::into).collect();
    }
    if let Some(allow) = find("allow_other_workers")? {
        options.allow_other_workers = allow.is_truthy()?;
    }
    if let Some(resources) = find("resources")? {
        let amounts = resources.cast::<PyDict>()?.iter();
        options.resources = amounts
            .map(|(name, amount)| Ok((name.extract::<String>()?.into(), amount.extract()?)))
            .collect::<PyResult<_>>()?;
    }
    Ok(options)
}
