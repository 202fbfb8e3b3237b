//! From layers to tasks.

use std::sync::Arc;

use ahash::AHashMap;

use crate::{Dag, DagBuilder, Key, Layer, LayerRef, TaskId};

/// Where an expanded task comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Index into [`Expanded::layers`].
    pub layer: u32,
    /// The task's number in its layer.
    pub index: u32,
}

/// Tasks that some outputs need, and nothing else: expansion culls.
#[derive(Debug)]
pub struct Expanded<W> {
    pub layers: Vec<LayerRef<W>>,
    pub origins: Vec<Origin>,
    pub dag: Dag,
    /// One for each output asked for, in that order.
    pub outputs: Vec<TaskId>,
}

impl<W> Expanded<W> {
    pub fn key(&self, task: TaskId) -> Key {
        let origin = self.origins[task.index()];
        self.layers[origin.layer as usize].key(origin.index)
    }

    pub fn work(&self, task: TaskId) -> (&W, u32) {
        let origin = self.origins[task.index()];
        (&self.layers[origin.layer as usize].work, origin.index)
    }
}

/// Expands the tasks that `outputs` (layer, task in it) need. Linear in their number.
///
/// Tasks are numbered in the order in which they are seen, from the outputs down. Layers made by
/// [`Layer::new`] cannot make this fail; an output that its layer does not have panics, as an
/// index out of range does.
pub fn expand<W>(outputs: &[(LayerRef<W>, u32)]) -> Expanded<W> {
    let mut table = Table { layers: Vec::new(), ids: AHashMap::new(), seen: Vec::new(), origins: Vec::new() };
    let mut roots = Vec::with_capacity(outputs.len());
    for (layer, index) in outputs {
        let layer = table.layer(layer);
        roots.push(table.task(layer, *index));
    }
    let mut builder = DagBuilder::with_capacity(outputs.len(), outputs.len());
    let mut reads: Vec<(u32, u32)> = Vec::new();
    let mut next = 0;
    while let Some(&Origin { layer, index }) = table.origins.get(next) {
        next += 1;
        reads.clear();
        table.layers[layer as usize].reads(index, |input, task| reads.push((input, task)));
        builder.push(reads.iter().map(|&(input, task)| {
            let from = if input == u32::MAX { layer } else { table.input(layer, input) };
            table.task(from, task)
        }));
    }
    Expanded { layers: table.layers, origins: table.origins, dag: builder.finish(), outputs: roots }
}

/// Numbers given to layers and tasks so far.
struct Table<W> {
    layers: Vec<LayerRef<W>>,
    ids: AHashMap<*const Layer<W>, u32>,
    seen: Vec<Seen>,
    origins: Vec<Origin>,
}

/// What is known of one layer.
struct Seen {
    /// One more than the number of each of its tasks; 0 if the task has none yet. Zeros, because
    /// memory that starts as zeros costs nothing until it is touched.
    numbers: Vec<u32>,
    /// One more than the number of each of its inputs, so that a read does not hash.
    inputs: Vec<u32>,
}

impl<W> Table<W> {
    fn layer(&mut self, layer: &LayerRef<W>) -> u32 {
        *self.ids.entry(Arc::as_ptr(layer)).or_insert_with(|| {
            self.layers.push(layer.clone());
            self.seen.push(Seen { numbers: vec![0; layer.len()], inputs: vec![0; layer.inputs.len()] });
            self.layers.len() as u32 - 1
        })
    }

    fn input(&mut self, layer: u32, input: u32) -> u32 {
        let known = self.seen[layer as usize].inputs[input as usize];
        if known > 0 {
            return known - 1;
        }
        let from = self.layers[layer as usize].inputs[input as usize].clone();
        let id = self.layer(&from);
        self.seen[layer as usize].inputs[input as usize] = id + 1;
        id
    }

    fn task(&mut self, layer: u32, index: u32) -> TaskId {
        let number = &mut self.seen[layer as usize].numbers[index as usize];
        if *number == 0 {
            self.origins.push(Origin { layer, index });
            *number = self.origins.len() as u32;
        }
        TaskId(*number - 1)
    }
}
