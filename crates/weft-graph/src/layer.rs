//! Layers: rules that expand to tasks.
//!
//! A layer is a name, the layers it reads, a rule that says which of their tasks each of its own
//! tasks reads, and a work `W` that says what to do. It costs a few hundred bytes whatever its
//! number of tasks. Layers hold their inputs by reference count, so a layer *is* the graph below
//! it, graphs share what they have in common, and nothing is ever merged or copied.

use std::sync::Arc;

use ahash::AHashMap;

use crate::{Dag, DagBuilder, Key, TaskId};

pub type LayerRef<W> = Arc<Layer<W>>;

/// A family of tasks that do the same work on different inputs.
#[derive(Debug)]
pub struct Layer<W> {
    /// What the keys of its tasks start with.
    pub name: Key,
    pub inputs: Vec<LayerRef<W>>,
    pub rule: Rule,
    pub work: W,
}

/// Which tasks of its inputs each task of a layer reads.
#[derive(Debug, Clone)]
pub enum Rule {
    /// One task, whose key is the layer's name; it reads these tasks (input layer, task in it).
    Single { reads: Vec<(u32, u32)> },
    /// Tasks with keys of their own; task `i` reads `reads[starts[i]..starts[i + 1]]`, where the
    /// input layer `u32::MAX` means this layer itself.
    Explicit { keys: Arc<[Key]>, starts: Vec<u32>, reads: Vec<(u32, u32)> },
    /// A grid of tasks with keys `(name, i, j, …)`, numbered row by row.
    Grid { shape: Vec<u32>, reads: Vec<Read> },
}

/// The tasks of one input layer that a task of a grid reads: one [`Axis`] for each axis of the
/// input's grid.
#[derive(Debug, Clone)]
pub struct Read {
    pub input: u32,
    pub axes: Vec<Axis>,
}

/// How a task's position in its own grid gives positions along one axis of an input's grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// The same position as along `own` axis (elementwise, transposition), moved by `offset`
    /// (stencils; positions outside the input's grid are left out).
    Along { own: u32, offset: i32 },
    /// A run of `size` positions starting at `size` times the position along `own` (tree reduction).
    Group { own: u32, size: u32 },
    /// Every position (contraction, full reduction).
    All,
    /// One fixed position (broadcasting, slicing).
    At(u32),
}

impl<W> Layer<W> {
    /// Number of tasks.
    pub fn len(&self) -> usize {
        match &self.rule {
            Rule::Single { .. } => 1,
            Rule::Explicit { keys, .. } => keys.len(),
            Rule::Grid { shape, .. } => shape.iter().map(|&n| n as usize).product(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key of task `index`.
    pub fn key(&self, index: u32) -> Key {
        match &self.rule {
            Rule::Single { .. } => self.name.clone(),
            Rule::Explicit { keys, .. } => keys[index as usize].clone(),
            Rule::Grid { shape, .. } => {
                let mut parts = vec![Key::Int(0); shape.len() + 1];
                parts[0] = self.name.clone();
                let mut rest = index;
                for (axis, &n) in shape.iter().enumerate().rev() {
                    parts[axis + 1] = Key::Int((rest % n) as i64);
                    rest /= n;
                }
                Key::Tuple(parts.into())
            }
        }
    }

    /// Calls `visit(input layer, task in it)` for each task that task `index` reads, in input
    /// order; the input layer `u32::MAX` is this layer.
    pub fn reads(&self, index: u32, mut visit: impl FnMut(u32, u32)) {
        match &self.rule {
            Rule::Single { reads } => reads.iter().for_each(|&(l, t)| visit(l, t)),
            Rule::Explicit { starts, reads, .. } => {
                let i = index as usize;
                reads[starts[i] as usize..starts[i + 1] as usize].iter().for_each(|&(l, t)| visit(l, t));
            }
            Rule::Grid { shape, reads } => {
                let mut position = smallvec::SmallVec::<[u32; 4]>::from_elem(0, shape.len());
                let mut rest = index;
                for (axis, &n) in shape.iter().enumerate().rev() {
                    position[axis] = rest % n;
                    rest /= n;
                }
                for read in reads {
                    let input = &self.inputs[read.input as usize];
                    read.expand(input.grid(), &position, |task| visit(read.input, task));
                }
            }
        }
    }

    /// Extent of the layer along each axis of its grid; a layer without a grid is a line of tasks.
    pub fn grid(&self) -> smallvec::SmallVec<[u32; 4]> {
        match &self.rule {
            Rule::Single { .. } => smallvec::SmallVec::new(),
            Rule::Explicit { keys, .. } => smallvec::smallvec![keys.len() as u32],
            Rule::Grid { shape, .. } => shape.iter().copied().collect(),
        }
    }
}

impl Read {
    fn expand(&self, extent: smallvec::SmallVec<[u32; 4]>, position: &[u32], mut visit: impl FnMut(u32)) {
        let mut ranges = smallvec::SmallVec::<[(u32, u32); 4]>::new();
        for (axis, &n) in self.axes.iter().zip(&extent) {
            let (from, to) = match *axis {
                Axis::All => (0, n),
                Axis::At(i) => (i, i + 1),
                Axis::Group { own, size } => {
                    let from = position[own as usize] * size;
                    (from.min(n), (from + size).min(n))
                }
                Axis::Along { own, offset } => {
                    let at = position[own as usize] as i64 + offset as i64;
                    if at < 0 || at >= n as i64 { (0, 0) } else { (at as u32, at as u32 + 1) }
                }
            };
            if from >= to {
                return;
            }
            ranges.push((from, to));
        }
        let mut at: smallvec::SmallVec<[u32; 4]> = ranges.iter().map(|r| r.0).collect();
        loop {
            visit(at.iter().zip(&extent).fold(0, |sum, (&i, &n)| sum * n + i));
            let mut axis = at.len();
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                at[axis] += 1;
                if at[axis] < ranges[axis].1 {
                    break;
                }
                at[axis] = ranges[axis].0;
            }
        }
    }
}

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
pub fn expand<W>(outputs: &[(LayerRef<W>, u32)]) -> Expanded<W> {
    // Task numbers are handed out when a task is first seen; `pending` is the walk's frontier.
    let mut layers: Vec<LayerRef<W>> = Vec::new();
    let mut layer_ids: AHashMap<*const Layer<W>, u32> = AHashMap::new();
    let mut numbers: Vec<Numbers> = Vec::new();
    let mut origins: Vec<Origin> = Vec::new();

    let mut layer_id = |layer: &LayerRef<W>, layers: &mut Vec<LayerRef<W>>, numbers: &mut Vec<Numbers>| {
        *layer_ids.entry(Arc::as_ptr(layer)).or_insert_with(|| {
            layers.push(layer.clone());
            numbers.push(Numbers::new(layer.len()));
            layers.len() as u32 - 1
        })
    };
    let task_id = |layer: u32, index: u32, numbers: &mut Vec<Numbers>, origins: &mut Vec<Origin>| {
        numbers[layer as usize].get_or_insert(index, || {
            origins.push(Origin { layer, index });
            origins.len() as u32 - 1
        })
    };

    let mut roots = Vec::with_capacity(outputs.len());
    for (layer, index) in outputs {
        let layer = layer_id(layer, &mut layers, &mut numbers);
        roots.push(TaskId(task_id(layer, *index, &mut numbers, &mut origins)));
    }
    let mut builder = DagBuilder::with_capacity(origins.len(), origins.len());
    let mut reads: Vec<(u32, u32)> = Vec::new();
    let mut next = 0;
    while next < origins.len() {
        let Origin { layer, index } = origins[next];
        next += 1;
        let current = layers[layer as usize].clone();
        reads.clear();
        current.reads(index, |input, task| reads.push((input, task)));
        builder.push(reads.iter().map(|&(input, task)| {
            let from = match input {
                u32::MAX => layer,
                input => layer_id(&current.inputs[input as usize], &mut layers, &mut numbers),
            };
            TaskId(task_id(from, task, &mut numbers, &mut origins))
        }));
    }
    Expanded { layers, origins, dag: builder.finish(), outputs: roots }
}

/// Numbers given to the tasks of one layer so far.
#[derive(Debug)]
enum Numbers {
    One(Option<u32>),
    /// `u32::MAX`: not seen.
    Many(Vec<u32>),
}

impl Numbers {
    fn new(len: usize) -> Self {
        if len == 1 { Numbers::One(None) } else { Numbers::Many(vec![u32::MAX; len]) }
    }

    fn get_or_insert(&mut self, index: u32, number: impl FnOnce() -> u32) -> u32 {
        match self {
            Numbers::One(slot) => *slot.get_or_insert_with(number),
            Numbers::Many(slots) => {
                let slot = &mut slots[index as usize];
                if *slot == u32::MAX {
                    *slot = number();
                }
                *slot
            }
        }
    }
}

/// A long chain of layers must not overflow the stack when it is dropped.
impl<W> Drop for Layer<W> {
    fn drop(&mut self) {
        let mut pending = std::mem::take(&mut self.inputs);
        while let Some(layer) = pending.pop() {
            if let Some(mut layer) = Arc::into_inner(layer) {
                pending.append(&mut layer.inputs);
            }
        }
    }
}
