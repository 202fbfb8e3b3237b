//! From expressions to layers of tasks.
//!
//! An expression that is asked for, or that a step reads block by block, becomes a layer.
//! Elementwise steps and transpositions between such expressions disappear into the programs of those
//! that read them.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use weft_data::{LayerRef, WorkRef};
use weft_graph::{Axis, Key, Layer, Read, Rule};

use crate::chunks::{Chunks, position};
use crate::error::ArrayError;
use crate::expr::{Expr, HostReads, Op};
use crate::fuse::{Fused, Operand, fuse};
use crate::kernel::reduce::{Reduction, Spec};
use crate::optimize::optimize;
use crate::select::{SelectAxis, Selection};
use crate::work::{Alias, Elementwise, First, Given, Merge, Pass, Select};

type Result<T> = std::result::Result<T, ArrayError>;

/// Partial results that are merged at once along an axis, and those that are merged in one task in all.
const FAN_IN: u32 = 8;
const MERGED: u32 = 64;

/// What makes an expression's blocks.
#[derive(Clone, Debug)]
pub enum Lowered {
    /// A layer whose tasks are the blocks.
    Layer(LayerRef),
    /// Tasks of somebody else's graph: the graph, and the task of each block.
    Tasks { graph: Vec<LayerRef>, blocks: Arc<[(LayerRef, u32)]> },
}

impl Lowered {
    /// The layers that a graph has to hold.
    pub fn layers(&self) -> Vec<LayerRef> {
        match self {
            Lowered::Layer(layer) => vec![layer.clone()],
            Lowered::Tasks { graph, .. } => graph.clone(),
        }
    }
}

/// For each expression, what makes its blocks. Expressions share what they have in common.
pub fn lower(exprs: &[Expr]) -> Result<Vec<Lowered>> {
    let exprs = &optimize(exprs)?[..];
    let lowering = Lowering::of(exprs)?;
    exprs.iter().map(|expr| lowering.lowered(expr)).collect()
}

/// The layer whose tasks are the blocks of one expression, even where they are other names of tasks.
pub fn layer_of(expr: &Expr) -> Result<LayerRef> {
    Lowering::of(std::slice::from_ref(expr))?.layer(expr)
}

/// What has to be known before an expression's layer is made.
enum Plan {
    Fused(Fused),
    /// Of the input of a reduction.
    Reduce(Fused),
    Plain,
}

impl Plan {
    fn of(expr: &Expr) -> Result<Plan> {
        Ok(match expr.op() {
            Op::Fill { .. } | Op::Iota(_) | Op::Elementwise(_) => Plan::Fused(fuse(expr)?),
            Op::Reduce { .. } => Plan::Reduce(fuse(&expr.inputs()[0])?),
            _ => Plan::Plain,
        })
    }

    /// The expressions whose layers it reads.
    fn reads(&self, expr: &Expr) -> Vec<Expr> {
        match self {
            Plan::Fused(fused) | Plan::Reduce(fused) => fused.blocks().cloned().collect(),
            Plan::Plain => expr.inputs().to_vec(),
        }
    }
}

impl Fused {
    fn blocks(&self) -> impl Iterator<Item = &Expr> {
        self.operands.iter().filter_map(|operand| match operand {
            Operand::Blocks { expr, .. } => Some(expr),
            Operand::Iota { .. } => None,
        })
    }
}

#[derive(Default)]
struct Lowering {
    layers: HashMap<u128, LayerRef, ahash::RandomState>,
    spreads: Spreads,
    /// The partial results of reductions that have them in common.
    partials: HashMap<Reduced, LayerRef, ahash::RandomState>,
}

/// What is reduced, along which axes, and whether without NaN.
type Reduced = (u128, Vec<bool>, bool);

/// Variances and means of the same: they share one pass over it.
#[derive(Default)]
struct Spreads(HashMap<Reduced, u32, ahash::RandomState>);

impl Spreads {
    fn of(exprs: &[Expr]) -> Spreads {
        // Each reduction is seen once; the bits say which of mean, variance and deviation there are.
        let mut found = Spreads::default();
        let mut seen = HashSet::<u128, ahash::RandomState>::default();
        let mut pending = exprs.to_vec();
        while let Some(expr) = pending.pop() {
            if !seen.insert(expr.digest()) {
                continue;
            }
            if let Op::Reduce { spec, reduced, .. } = expr.op() {
                let bit = match spec.reduction {
                    Reduction::Mean => 1,
                    Reduction::Var => 2,
                    Reduction::Std => 4,
                    _ => 0,
                };
                let key = (expr.inputs()[0].digest(), reduced.clone(), spec.skip_nan);
                *found.0.entry(key).or_default() |= bit;
            }
            pending.extend_from_slice(expr.inputs());
        }
        found.0.retain(|_, bits| *bits != 1 && bits.count_ones() > 1);
        found
    }
}

impl Lowering {
    fn of(exprs: &[Expr]) -> Result<Lowering> {
        let mut lowering = Lowering { spreads: Spreads::of(exprs), ..Lowering::default() };
        // On a stack of our own: chains of steps are long.
        let mut pending: Vec<(Expr, Option<Plan>)> =
            exprs.iter().rev().map(|expr| (expr.clone(), None)).collect();
        while let Some((expr, plan)) = pending.pop() {
            if lowering.layers.contains_key(&expr.digest()) {
                continue;
            }
            match plan {
                Some(plan) => {
                    let layer = crate::origin::remember(lowering.build(&expr, &plan)?, &expr);
                    lowering.layers.insert(expr.digest(), layer);
                }
                None => {
                    let plan = Plan::of(&expr)?;
                    let below = plan.reads(&expr);
                    pending.push((expr, Some(plan)));
                    pending.extend(below.into_iter().rev().map(|expr| (expr, None)));
                }
            }
        }
        Ok(lowering)
    }

    fn lowered(&self, expr: &Expr) -> Result<Lowered> {
        match expr.op() {
            Op::Tasks(tasks) => {
                Ok(Lowered::Tasks { graph: tasks.graph.clone(), blocks: tasks.blocks.clone() })
            }
            _ => self.layer(expr).map(Lowered::Layer),
        }
    }

    /// The layer of an expression that has been made, for what reads its blocks.
    fn layer(&self, expr: &Expr) -> Result<LayerRef> {
        let missing = || ArrayError::Invalid(format!("{} has not been lowered", expr.name()));
        self.layers.get(&expr.digest()).cloned().ok_or_else(missing)
    }

    fn inputs(&self, expr: &Expr) -> Result<Vec<LayerRef>> {
        expr.inputs().iter().map(|input| self.layer(input)).collect()
    }

    fn build(&mut self, expr: &Expr, plan: &Plan) -> Result<LayerRef> {
        let shape = expr.chunks().numblocks();
        let name = Key::Str(expr.name().clone());
        match (expr.op(), plan) {
            (_, Plan::Fused(fused)) => {
                let (inputs, reads) = self.reads(fused, &shape)?;
                let work = Elementwise { name: title(expr, fused), pass: Pass::new(fused, expr.chunks()) };
                layer(name, inputs, Rule::Grid { shape, reads }, Arc::new(work))
            }
            (Op::Reduce { spec, reduced, keepdims }, Plan::Reduce(fused)) => {
                self.reduce(expr, *spec, reduced, *keepdims, fused)
            }
            (Op::Blocks(blocks), _) => {
                layer(name, vec![], Rule::Grid { shape, reads: vec![] }, Arc::new(Given(blocks.clone())))
            }
            (Op::Tasks(tasks), _) => alias_tasks(expr, &tasks.blocks),
            (Op::Rename, _) => {
                let axes = (0..shape.len() as u32).map(along).collect();
                let reads = vec![Read { input: 0, axes }];
                layer(name, self.inputs(expr)?, Rule::Grid { shape, reads }, Arc::new(Alias))
            }
            (Op::Transpose(order), _) => {
                let mut axes = vec![Axis::All; order.len()];
                for (own, &from) in order.iter().enumerate() {
                    axes[from] = along(own as u32);
                }
                let selection = Selection {
                    axes: order
                        .iter()
                        .map(|&axis| {
                            let blocks = crate::build::each(&expr.inputs()[0].chunks().axes()[axis]);
                            SelectAxis::From { axis, blocks }
                        })
                        .collect(),
                    fixed: vec![],
                };
                let work = Select {
                    name: "transpose".to_owned(),
                    selection: Arc::new(selection),
                    grid: shape.clone(),
                };
                let reads = vec![Read { input: 0, axes }];
                layer(name, self.inputs(expr)?, Rule::Grid { shape, reads }, Arc::new(work))
            }
            (Op::Select(selection), _) => {
                let rule = select_rule(expr, selection);
                if selection.is_whole() {
                    return layer(name, self.inputs(expr)?, rule, Arc::new(Alias));
                }
                let work = Select { name: expr.word().to_owned(), selection: selection.clone(), grid: shape };
                layer(name, self.inputs(expr)?, rule, Arc::new(work))
            }
            (Op::Host(step), _) => {
                let rule = match &step.reads {
                    HostReads::Grid(operands) => {
                        let reads =
                            operands.iter().map(|(input, axes)| Read { input: *input, axes: axes.clone() });
                        Rule::Grid { shape, reads: reads.collect() }
                    }
                    HostReads::Explicit { starts, reads } => {
                        Rule::Table { shape, starts: starts.clone(), reads: reads.clone() }
                    }
                };
                layer(name, self.inputs(expr)?, rule, step.work.clone())
            }
            _ => ArrayError::invalid(format!("{} has no plan", expr.name())),
        }
    }

    /// The layers that a program's operands are in, and how a grid of `shape` reads them.
    fn reads(&self, fused: &Fused, shape: &[u32]) -> Result<(Vec<LayerRef>, Vec<Read>)> {
        let (mut inputs, mut reads) = (Vec::<LayerRef>::new(), Vec::new());
        for operand in &fused.operands {
            let Operand::Blocks { expr, axes } = operand else { continue };
            let layer = self.layer(expr)?;
            let input = inputs.iter().position(|known| Arc::ptr_eq(known, &layer)).unwrap_or_else(|| {
                inputs.push(layer);
                inputs.len() - 1
            });
            let axes = axes.iter().zip(expr.chunks().numblocks()).map(|(&axis, theirs)| {
                if theirs == 1 && shape[axis] != 1 { Axis::At(0) } else { along(axis as u32) }
            });
            reads.push(Read { input: input as u32, axes: axes.collect() });
        }
        Ok((inputs, reads))
    }

    /// A layer of first steps, layers that merge while there is much to merge, and the last.
    fn reduce(
        &mut self,
        expr: &Expr,
        spec: Spec,
        reduced: &[bool],
        keepdims: bool,
        fused: &Fused,
    ) -> Result<LayerRef> {
        let chunks: &Chunks = expr.inputs()[0].chunks();
        let mut grid = chunks.numblocks();
        let (inputs, reads) = self.reads(fused, &grid)?;
        let keep: Vec<bool> = reduced.iter().map(|gone| keepdims || !gone).collect();
        let many = |grid: &[u32]| -> u32 {
            grid.iter().zip(reduced).filter(|(_, gone)| **gone).map(|(n, _)| *n).fold(1, u32::saturating_mul)
        };
        let own = |grid: &[u32]| -> Vec<u32> {
            grid.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(n, _)| *n).collect()
        };
        let word = expr.word();
        let key = (expr.inputs()[0].digest(), reduced.to_vec(), spec.skip_nan);
        let shared = self.spreads.0.contains_key(&key)
            && matches!(spec.reduction, Reduction::Mean | Reduction::Var | Reduction::Std);
        let wanted = spec;
        let spec = if shared { Spec { reduction: Reduction::Var, ddof: 0, ..spec } } else { spec };
        let word = if shared { "spread" } else { word };
        // What the layers on the way are called.
        let digest = if shared {
            let mut hasher = weft_data::Hasher::new("spread");
            hasher.digest(key.0).number(key.2 as u64);
            reduced.iter().for_each(|&gone| {
                hasher.number(gone as u64);
            });
            hasher.finish()
        } else {
            expr.digest()
        };
        if let Some(below) = self.partials.get(&key).filter(|_| shared) {
            return finishing(expr, below.clone(), spec, wanted, reduced, keep);
        }
        let last = many(&grid) == 1 && !shared;
        let title = if fused.steps > 0 { format!("fused-{word}") } else { word.to_owned() };
        let first = First {
            name: title,
            pass: Pass::new(fused, chunks),
            spec,
            reduced: reduced.to_vec(),
            finish: last.then(|| keep.clone()),
        };
        // A vanished axis had one block, at position 0; the rest keeps its order.
        let (first_name, shape) = match last {
            true => (Key::Str(expr.name().clone()), own(&grid)),
            false => (Key::from(format!("{word}-first-{digest:032x}")), grid.clone()),
        };
        let reads = match last && !keepdims {
            false => reads,
            true => squeeze(reads, &keep),
        };
        let mut below = layer(first_name, inputs, Rule::Grid { shape, reads }, Arc::new(first))?;
        if last {
            return Ok(below);
        }
        let mut level = 0;
        while many(&grid) > MERGED {
            let axes = reduced.iter().enumerate().map(|(i, &gone)| match gone {
                true => Axis::Group { own: i as u32, size: FAN_IN },
                false => along(i as u32),
            });
            let axes = axes.collect();
            for (n, &gone) in grid.iter_mut().zip(reduced) {
                *n = if gone { n.div_ceil(FAN_IN) } else { *n };
            }
            let work = Merge { name: format!("{word}-merge"), spec, finish: None };
            let rule = Rule::Grid { shape: grid.clone(), reads: vec![Read { input: 0, axes }] };
            let name = Key::from(format!("{word}-merge-{level}-{digest:032x}"));
            below = layer(name, vec![below], rule, Arc::new(work))?;
            level += 1;
        }
        if shared {
            self.partials.insert(key, below.clone());
        }
        finishing(expr, below, spec, wanted, reduced, keep)
    }
}

/// The layer that merges the last partial results of `spec`, in `below`, and makes what is `wanted` of them.
fn finishing(
    expr: &Expr,
    below: LayerRef,
    spec: Spec,
    wanted: Spec,
    reduced: &[bool],
    keep: Vec<bool>,
) -> Result<LayerRef> {
    let mut next = 0;
    let axes = reduced.iter().zip(&keep).map(|(&gone, &kept)| {
        let at = next;
        next += kept as u32;
        if gone { Axis::All } else { along(at) }
    });
    let reads = vec![Read { input: 0, axes: axes.collect() }];
    let work = Merge { name: expr.word().to_owned(), spec, finish: Some((wanted, keep)) };
    let rule = Rule::Grid { shape: expr.chunks().numblocks(), reads };
    layer(Key::Str(expr.name().clone()), vec![below], rule, Arc::new(work))
}

fn along(own: u32) -> Axis {
    Axis::Along { own, offset: 0 }
}

/// Reads of a grid whose axes without `keep` (one position each) are gone.
fn squeeze(reads: Vec<Read>, keep: &[bool]) -> Vec<Read> {
    let number = |own: u32| keep[..own as usize].iter().filter(|kept| **kept).count() as u32;
    let axis = |axis: Axis| match axis {
        Axis::Along { own, .. } if !keep[own as usize] => Axis::At(0),
        Axis::Along { own, offset } => Axis::Along { own: number(own), offset },
        other => other,
    };
    reads.into_iter().map(|read| Read { axes: read.axes.into_iter().map(axis).collect(), ..read }).collect()
}

/// What a layer of fused steps is called in pictures and profiles.
fn title(expr: &Expr, fused: &Fused) -> String {
    if fused.steps > 1 { format!("fused-{}", expr.word()) } else { expr.word().to_owned() }
}

/// The blocks that each block of a selection reads.
fn select_rule(expr: &Expr, selection: &Selection) -> Rule {
    let shape = expr.chunks().numblocks();
    let grids: Vec<Vec<u32>> = expr.inputs().iter().map(|input| input.chunks().numblocks()).collect();
    let ndim = grids.first().map_or(0, Vec::len);
    let count = expr.chunks().count().unwrap_or(0);
    let mut starts = Vec::with_capacity(count as usize + 1);
    let mut reads = Vec::with_capacity(count as usize);
    starts.push(0);
    for index in 0..count {
        selection.pieces(&position(index, &shape), ndim, |input, block, _| {
            let grid = &grids[input as usize];
            reads.push((input, block.iter().zip(grid).fold(0, |sum, (&i, &n)| sum * n + i)));
        });
        starts.push(reads.len() as u32);
    }
    Rule::Table { shape, starts: starts.into(), reads: reads.into() }
}

/// Other graphs' tasks as one grid, for what reads them.
fn alias_tasks(expr: &Expr, blocks: &[(LayerRef, u32)]) -> Result<LayerRef> {
    let mut inputs: Vec<LayerRef> = Vec::new();
    let mut numbers = HashMap::<*const Layer<WorkRef>, u32, ahash::RandomState>::default();
    let mut reads = Vec::with_capacity(blocks.len());
    for (layer, task) in blocks {
        let number = *numbers.entry(Arc::as_ptr(layer)).or_insert_with(|| {
            inputs.push(layer.clone());
            inputs.len() as u32 - 1
        });
        reads.push((number, *task));
    }
    // Named apart from the tasks, which may have the very keys that the blocks would have.
    let name = Key::from(format!("blocks-{:032x}", expr.digest()));
    let shape = expr.chunks().numblocks();
    let starts = (0..=blocks.len() as u32).collect();
    layer(name, inputs, Rule::Table { shape, starts, reads: reads.into() }, Arc::new(Alias))
}

fn layer(name: Key, inputs: Vec<LayerRef>, rule: Rule, work: WorkRef) -> Result<LayerRef> {
    Layer::new(name, inputs, rule, work).map_err(|e| ArrayError::Invalid(e.to_string()))
}
