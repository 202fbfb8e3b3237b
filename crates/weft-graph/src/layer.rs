//! Layers: rules that expand to tasks.
//!
//! A layer is a name, the layers it reads, a rule that says which of their tasks each of its own
//! tasks reads, and a work `W` that says what to do. It costs a few hundred bytes whatever its
//! number of tasks. Layers hold their inputs by reference count, so a layer *is* the graph below
//! it, graphs share what they have in common, and nothing is ever merged or copied.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Key;

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
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Rule {
    /// One task, whose key is the layer's name; it reads these tasks (input layer, task in it).
    Single { reads: Vec<(u32, u32)> },
    /// Tasks with keys of their own; task `i` reads `reads[starts[i]..starts[i + 1]]`, where the
    /// input layer `u32::MAX` means this layer itself.
    Explicit { keys: Arc<[Key]>, starts: Vec<u32>, reads: Vec<(u32, u32)> },
    /// A grid of tasks with keys `(name, i, j, …)`, numbered row by row.
    Grid { shape: Vec<u32>, reads: Vec<Read> },
    /// A grid of tasks whose reads follow no rule: task `i` reads `reads[starts[i]..starts[i + 1]]`
    /// (an index with an array, blocks cut anew).
    Table { shape: Vec<u32>, starts: Arc<[u32]>, reads: Arc<[(u32, u32)]> },
}

/// The tasks of one input layer that a task of a grid reads: one [`Axis`] for each axis of the
/// input's grid.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Read {
    pub input: u32,
    pub axes: Vec<Axis>,
}

/// How a task's position in its own grid gives positions along one axis of an input's grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// A rule that does not fit the layers it reads. Says which layer, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer {layer}: {problem}")]
pub struct LayerError {
    pub layer: Key,
    pub problem: String,
}

impl<W> Layer<W> {
    /// A layer whose rule has been checked against its inputs, so that it can be expanded.
    pub fn new(name: Key, inputs: Vec<LayerRef<W>>, rule: Rule, work: W) -> Result<LayerRef<W>, LayerError> {
        let layer = Layer { name, inputs, rule, work };
        match layer.problem() {
            None => Ok(Arc::new(layer)),
            Some(problem) => Err(LayerError { layer: layer.name.clone(), problem }),
        }
    }

    /// What is wrong with the rule. Linear in the reads that the rule lists, whatever the number
    /// of tasks. Whether tasks of one explicit layer wait for each other in a circle is asked of
    /// the expanded graph.
    fn problem(&self) -> Option<String> {
        let check_read = |&(input, task): &(u32, u32)| {
            let tasks = match self.inputs.get(input as usize) {
                Some(layer) => layer.len(),
                None if input == u32::MAX => self.len(),
                None => return Some(format!("it reads input {input} of {}", self.inputs.len())),
            };
            (task as usize >= tasks).then(|| format!("it reads task {task} of {tasks} of input {input}"))
        };
        match &self.rule {
            Rule::Single { reads } if reads.iter().any(|&(input, _)| input == u32::MAX) => {
                Some("its task reads itself".to_owned())
            }
            Rule::Single { reads } => reads.iter().find_map(check_read),
            Rule::Explicit { keys, starts, reads } => {
                if keys.len() >= u32::MAX as usize {
                    Some(format!("{} tasks are more than a layer can hold", keys.len()))
                } else if starts.len() != keys.len() + 1
                    || starts.first() != Some(&0)
                    || starts.last().copied() != u32::try_from(reads.len()).ok()
                    || starts.windows(2).any(|w| w[0] > w[1])
                {
                    Some(format!("its {} reads are not divided among its {} keys", reads.len(), keys.len()))
                } else {
                    reads.iter().find_map(check_read)
                }
            }
            Rule::Table { shape, starts, reads } => {
                let tasks = shape.iter().try_fold(1u32, |product, &n| product.checked_mul(n));
                if tasks.is_none_or(|n| n == u32::MAX || starts.len() != n as usize + 1)
                    || starts.first() != Some(&0)
                    || starts.last().copied() != u32::try_from(reads.len()).ok()
                    || starts.windows(2).any(|w| w[0] > w[1])
                {
                    Some(format!(
                        "its {} reads are not divided among the tasks of a grid of {shape:?}",
                        reads.len()
                    ))
                } else if reads.iter().any(|&(input, _)| input == u32::MAX) {
                    Some("a task of a grid reads its own layer".to_owned())
                } else {
                    reads.iter().find_map(check_read)
                }
            }
            Rule::Grid { shape, reads } => {
                let tasks = shape.iter().try_fold(1u32, |product, &n| product.checked_mul(n));
                if tasks.is_none_or(|n| n == u32::MAX) {
                    return Some(format!("a grid of {shape:?} has more tasks than a layer can hold"));
                }
                reads.iter().find_map(|read| match self.inputs.get(read.input as usize) {
                    None => Some(format!("it reads input {} of {}", read.input, self.inputs.len())),
                    Some(input) => read.problem(shape, &input.grid()),
                })
            }
        }
    }

    /// Number of tasks.
    pub fn len(&self) -> usize {
        match &self.rule {
            Rule::Single { .. } => 1,
            Rule::Explicit { keys, .. } => keys.len(),
            Rule::Grid { shape, .. } | Rule::Table { shape, .. } => {
                shape.iter().map(|&n| n as usize).product()
            }
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
            Rule::Grid { shape, .. } | Rule::Table { shape, .. } => {
                let mut stride: u64 = shape.iter().map(|&n| u64::from(n)).product();
                let mut rest = u64::from(index);
                let positions = shape.iter().map(|&n| {
                    stride /= u64::from(n.max(1));
                    let position = rest / stride;
                    rest %= stride;
                    Key::Int(position as i64)
                });
                // The length is known, so this allocates once.
                Key::Tuple(std::iter::once(self.name.clone()).chain(positions).collect())
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
            Rule::Table { starts, reads, .. } => {
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
                    read.expand(&input.grid(), &position, |task| visit(read.input, task));
                }
            }
        }
    }

    /// Extent of the layer along each axis of its grid; a layer without a grid is a line of tasks.
    pub fn grid(&self) -> smallvec::SmallVec<[u32; 4]> {
        match &self.rule {
            Rule::Single { .. } => smallvec::SmallVec::new(),
            Rule::Explicit { keys, .. } => smallvec::smallvec![keys.len() as u32],
            Rule::Grid { shape, .. } | Rule::Table { shape, .. } => shape.iter().copied().collect(),
        }
    }
}

impl Read {
    /// What is wrong with reading an input of extents `theirs` from a grid of extents `ours`.
    fn problem(&self, ours: &[u32], theirs: &[u32]) -> Option<String> {
        let input = self.input;
        if self.axes.len() != theirs.len() {
            let (rules, axes) = (self.axes.len(), theirs.len());
            return Some(format!("it gives {rules} positions for the {axes} axes of input {input}"));
        }
        for (axis, (rule, &n)) in self.axes.iter().zip(theirs).enumerate() {
            let at = format!("axis {axis} of input {input}, which has {n} positions");
            let own_extent = match *rule {
                Axis::All => continue,
                Axis::At(i) if i < n => continue,
                Axis::At(i) => return Some(format!("it reads position {i} along {at}")),
                Axis::Along { own, .. } | Axis::Group { own, .. } => match ours.get(own as usize) {
                    Some(&extent) => extent,
                    None => return Some(format!("it follows its axis {own} of {} along {at}", ours.len())),
                },
            };
            match *rule {
                // Neighbours may be missing at the border; the task itself may not.
                Axis::Along { offset: 0, .. } if own_extent > n => {
                    return Some(format!("it reads {own_extent} positions along {at}"));
                }
                Axis::Group { size, .. } if own_extent != n.div_ceil(size.max(1)) || size == 0 => {
                    return Some(format!("it reads {own_extent} groups of {size} along {at}"));
                }
                _ => {}
            }
        }
        None
    }

    pub(crate) fn expand(&self, extent: &[u32], position: &[u32], mut visit: impl FnMut(u32)) {
        let mut ranges = smallvec::SmallVec::<[(u32, u32); 4]>::new();
        for (axis, &n) in self.axes.iter().zip(extent) {
            let (from, to) = match *axis {
                Axis::All => (0, n),
                Axis::At(i) => (i, i + 1),
                Axis::Group { own, size } => {
                    let from = position[own as usize].saturating_mul(size);
                    (from.min(n), from.saturating_add(size).min(n))
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
            visit(at.iter().zip(extent).fold(0, |sum, (&i, &n)| sum * n + i));
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
