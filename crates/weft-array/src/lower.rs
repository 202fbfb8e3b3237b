//! From expressions to layers of tasks.
//!
//! An expression that is asked for, or that a step reads block by block, becomes a layer.
//! Elementwise steps and transpositions between such expressions disappear into the programs of those
//! that read them.

use std::sync::Arc;

use hashbrown::HashMap;
use weft_data::{LayerRef, WorkRef};
use weft_graph::{Axis, Key, Layer, Read, Rule};

use crate::chunks::position;
use crate::error::ArrayError;
use crate::expr::{Expr, HostReads, Op};
use crate::fuse::{Fused, Operand, fuse};
use crate::kernel::arg::Arg;
use crate::kernel::reduce::{Reduction, Spec};
use crate::optimize::optimize;
use crate::origin::Parts;
use crate::rechunk;
use crate::running::running;
use crate::select::{SelectAxis, Selection};
use crate::tree::{Tree, along};
use crate::work::{Alias, ArgFirst, ArgMerge, Elementwise, First, Given, Merge, Pass, Select};

type Result<T> = std::result::Result<T, ArrayError>;

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

/// The layers of each expression and of all below them, by digest: those that [`crate::part`] counts. The
/// expressions are those that layers were lowered from, as they are.
pub fn parts(exprs: &[Expr]) -> Result<HashMap<u128, Vec<LayerRef>, ahash::RandomState>> {
    Lowering::of(exprs).map(|lowering| lowering.parts)
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
            Op::Reduce { .. } | Op::Arg { .. } => Plan::Reduce(fuse(&expr.inputs()[0])?),
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
    parts: HashMap<u128, Vec<LayerRef>, ahash::RandomState>,
    /// The partial results of reductions that have them in common.
    partials: HashMap<Reduced, Vec<LayerRef>, ahash::RandomState>,
}

/// What is reduced, along which axes, and whether without NaN.
type Reduced = (u128, Vec<bool>, bool);

impl Lowering {
    fn of(exprs: &[Expr]) -> Result<Lowering> {
        let mut lowering = Lowering::default();
        // On a stack of our own: chains of steps are long.
        let mut pending: Vec<(Expr, Option<Plan>)> =
            exprs.iter().rev().map(|expr| (expr.clone(), None)).collect();
        while let Some((expr, plan)) = pending.pop() {
            if lowering.layers.contains_key(&expr.digest()) {
                continue;
            }
            match plan {
                Some(plan) => {
                    let mut parts = Parts::of(&expr);
                    let layer = lowering.build(&expr, &plan, &mut parts)?;
                    lowering.layers.insert(expr.digest(), layer);
                    lowering.parts.insert(expr.digest(), parts.finish());
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

    fn build(&mut self, expr: &Expr, plan: &Plan, parts: &mut Parts) -> Result<LayerRef> {
        let shape = expr.chunks().numblocks();
        let name = Key::Str(expr.name().clone());
        match (expr.op(), plan) {
            (_, Plan::Fused(fused)) => {
                let (inputs, reads) = self.reads(fused, &shape)?;
                let work = Elementwise { name: title(expr, fused), pass: Pass::new(fused, expr.chunks()) };
                parts.last(name, inputs, Rule::Grid { shape, reads }, Arc::new(work))
            }
            (Op::Reduce { .. }, Plan::Reduce(fused)) => self.reduce(expr, fused, parts),
            (Op::Arg { arg, keepdims }, Plan::Reduce(fused)) => self.arg(expr, *arg, *keepdims, fused, parts),
            (Op::Scan(scan), _) => running(expr, *scan, self.inputs(expr)?, parts),
            (Op::Blocks(blocks), _) => {
                parts.last(name, vec![], Rule::Grid { shape, reads: vec![] }, Arc::new(Given(blocks.clone())))
            }
            (Op::Tasks(tasks), _) => alias_tasks(expr, &tasks.blocks, parts),
            (Op::Rename, _) => {
                let axes = (0..shape.len() as u32).map(along).collect();
                let reads = vec![Read { input: 0, axes }];
                parts.last(name, self.inputs(expr)?, Rule::Grid { shape, reads }, Arc::new(Alias))
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
                    stay: true,
                };
                let reads = vec![Read { input: 0, axes }];
                parts.last(name, self.inputs(expr)?, Rule::Grid { shape, reads }, Arc::new(work))
            }
            (Op::Select(selection), _) => {
                let rule = select_rule(expr, selection);
                if selection.is_whole() {
                    return parts.last(name, self.inputs(expr)?, rule, Arc::new(Alias));
                }
                if let [shards] = expr.inputs()
                    && shards.is_shards()
                {
                    return rechunk::gather(expr, shards, self.layer(shards)?, rule, selection, parts);
                }
                let work = Select {
                    name: expr.word().to_owned(),
                    selection: selection.clone(),
                    grid: shape,
                    stay: expr.inputs().iter().all(|input| matches!(input.op(), Op::Blocks(_))),
                };
                parts.last(name, self.inputs(expr)?, rule, Arc::new(work))
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
                parts.last(name, self.inputs(expr)?, rule, step.work.clone())
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
    fn reduce(&mut self, expr: &Expr, fused: &Fused, parts: &mut Parts) -> Result<LayerRef> {
        let &Op::Reduce { spec: wanted, ref reduced, keepdims, shared } = expr.op() else {
            return ArrayError::invalid(format!("{} is no reduction", expr.name()));
        };
        let input = &expr.inputs()[0];
        let key = (input.digest(), reduced.to_vec(), wanted.skip_nan);
        let spec = if shared { Spec { reduction: Reduction::Var, ddof: 0, ..wanted } } else { wanted };
        // What the layers on the way are called.
        let (word, digest) = if shared {
            let mut hasher = weft_data::Hasher::new("spread");
            hasher.digest(key.0).number(key.2 as u64);
            reduced.iter().for_each(|&gone| {
                hasher.number(gone as u64);
            });
            ("spread", hasher.finish())
        } else {
            (expr.word(), expr.digest())
        };
        let tree = Tree { expr, reduced, keepdims, word, digest };
        let first = |finish| -> WorkRef {
            let pass = Pass::new(fused, input.chunks());
            let name = if fused.steps > 0 { format!("fused-{word}") } else { word.to_owned() };
            Arc::new(First { name, pass, spec, reduced: reduced.to_vec(), finish })
        };
        let merge = |finish: Option<Vec<bool>>| -> WorkRef {
            let name = if finish.is_some() { expr.word().to_owned() } else { format!("{word}-merge") };
            Arc::new(Merge { name, spec, finish: finish.map(|keep| (wanted, keep)) })
        };
        if let Some(below) = self.partials.get(&key).filter(|_| shared) {
            parts.share(below);
        } else {
            let (inputs, reads) = self.reads(fused, &input.chunks().numblocks())?;
            if tree.is_one_step() && !shared {
                return tree.only(inputs, reads, first, parts);
            }
            tree.partials(inputs, reads, first, merge, parts)?;
            if shared {
                self.partials.insert(key, parts.layers().to_vec());
            }
        }
        tree.last(merge, parts)
    }

    /// As [`Lowering::reduce`].
    fn arg(
        &mut self,
        expr: &Expr,
        arg: Arg,
        keepdims: bool,
        fused: &Fused,
        parts: &mut Parts,
    ) -> Result<LayerRef> {
        let chunks = expr.inputs()[0].chunks();
        let reduced: Vec<bool> =
            (0..chunks.ndim()).map(|axis| arg.axis.is_none_or(|own| own == axis)).collect();
        let word = expr.word();
        let tree = Tree { expr, reduced: &reduced, keepdims, word, digest: expr.digest() };
        let first = |finish| -> WorkRef {
            Arc::new(ArgFirst::new(word.to_owned(), Pass::new(fused, chunks), arg, chunks, finish))
        };
        let merge = |finish| -> WorkRef { Arc::new(ArgMerge { name: word.to_owned(), arg, finish }) };
        let (inputs, reads) = self.reads(fused, &chunks.numblocks())?;
        if tree.is_one_step() {
            return tree.only(inputs, reads, first, parts);
        }
        tree.partials(inputs, reads, first, merge, parts)?;
        tree.last(merge, parts)
    }
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
fn alias_tasks(expr: &Expr, blocks: &[(LayerRef, u32)], parts: &mut Parts) -> Result<LayerRef> {
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
    parts.last(name, inputs, Rule::Table { shape, starts, reads: reads.into() }, Arc::new(Alias))
}
