//! Rewrites that make less work of the same array.
//!
//! A selection goes down to where its elements come from: through elementwise steps, transpositions,
//! reductions and other selections, so that what nobody looks at is never made. A rechunk below a
//! reduction that does not care about it goes away. The result has the same blocks under the same name.
//!
//! Each rewrite looks at a step and its inputs only, and moves a selection down by one step or
//! removes a step; so rewriting ends.

use hashbrown::{HashMap, HashSet};

use crate::chunks::{AxisChunks, Chunks};
use crate::compose::compose;
use crate::error::ArrayError;
use crate::expr::{Expr, Meta, Op, Step};
use crate::kernel::reduce::{Reduction, Spec};
use crate::select::{Pick, Run, SelectAxis, Selection};

type Result<T> = std::result::Result<T, ArrayError>;

/// The same arrays, of fewer or smaller steps.
pub fn optimize(exprs: &[Expr]) -> Result<Vec<Expr>> {
    let mut memo = HashMap::<u128, Expr, ahash::RandomState>::default();
    // On a stack of our own: chains of steps are long.
    let mut pending: Vec<Task> = exprs.iter().rev().cloned().map(Task::Visit).collect();
    while let Some(task) = pending.pop() {
        match task {
            Task::Visit(expr) if memo.contains_key(&expr.digest()) => {}
            Task::Visit(expr) => match rewrite(&expr)? {
                Some(better) => {
                    pending.push(Task::Same(expr, better.clone()));
                    pending.push(Task::Visit(better));
                }
                None => {
                    let below: Vec<Task> = expr.inputs().iter().rev().cloned().map(Task::Visit).collect();
                    pending.push(Task::Rebuild(expr));
                    pending.extend(below);
                }
            },
            Task::Same(expr, better) => {
                let better = memo.get(&better.digest()).cloned().unwrap_or(better);
                memo.insert(expr.digest(), better);
            }
            Task::Rebuild(expr) => {
                let inputs: Vec<Expr> = expr
                    .inputs()
                    .iter()
                    .map(|input| memo.get(&input.digest()).unwrap_or(input).clone())
                    .collect();
                let rebuilt = if inputs == expr.inputs() {
                    expr.clone()
                } else {
                    Expr::new(expr.op().clone(), inputs, expr.meta(), expr.word(), None)?
                };
                memo.insert(expr.digest(), rebuilt);
            }
        }
    }
    let better: Vec<Expr> =
        exprs.iter().map(|expr| memo.get(&expr.digest()).unwrap_or(expr).clone()).collect();
    exprs
        .iter()
        .zip(share_spreads(better)?)
        .map(|(expr, better)| match better {
            better if better != *expr => match better.op() {
                // Made once, whoever else asks for it.
                Op::Host(_) | Op::Blocks(_) | Op::Tasks(_) | Op::Rename => {
                    Expr::new(Op::Rename, vec![better.clone()], expr.meta(), "rename", Some(expr.name()))
                }
                _ => better.rename(expr.name()),
            },
            _ => Ok(expr.clone()),
        })
        .collect()
}

/// Means, variances and deviations of the same take one pass over it.
fn share_spreads(exprs: Vec<Expr>) -> Result<Vec<Expr>> {
    type Reduced = (u128, Vec<bool>, bool);
    // Inputs first, each expression once; the bits say which of mean, variance and deviation there are.
    let mut order: Vec<Expr> = Vec::new();
    let mut kinds = HashMap::<Reduced, u32, ahash::RandomState>::default();
    let mut seen = HashSet::<u128, ahash::RandomState>::default();
    let mut pending: Vec<(Expr, bool)> = exprs.iter().map(|expr| (expr.clone(), false)).collect();
    while let Some((expr, ready)) = pending.pop() {
        if ready {
            order.push(expr);
        } else if seen.insert(expr.digest()) {
            if let Some((key, bit)) = spread(&expr) {
                *kinds.entry(key).or_default() |= bit;
            }
            pending.push((expr.clone(), true));
            pending.extend(expr.inputs().iter().map(|input| (input.clone(), false)));
        }
    }
    kinds.retain(|_, bits| bits.count_ones() > 1);
    if kinds.is_empty() {
        return Ok(exprs);
    }
    let mut memo = HashMap::<u128, Expr, ahash::RandomState>::default();
    for expr in &order {
        let inputs: Vec<Expr> =
            expr.inputs().iter().map(|input| memo.get(&input.digest()).unwrap_or(input).clone()).collect();
        let mut op = expr.op().clone();
        if let (Op::Reduce { shared, .. }, Some((key, _))) = (&mut op, spread(expr)) {
            *shared = kinds.contains_key(&key);
        }
        if inputs != expr.inputs() || matches!(op, Op::Reduce { shared: true, .. }) {
            let new = Expr::new(op, inputs, expr.meta(), expr.word(), None)?;
            memo.insert(expr.digest(), new);
        }
    }
    Ok(exprs.into_iter().map(|expr| memo.get(&expr.digest()).cloned().unwrap_or(expr)).collect())
}

/// What a mean, a variance or a deviation is of, and a bit that says which of them it is.
fn spread(expr: &Expr) -> Option<((u128, Vec<bool>, bool), u32)> {
    let Op::Reduce { spec, reduced, .. } = expr.op() else { return None };
    let bit = match spec.reduction {
        Reduction::Mean => 1,
        Reduction::Var => 2,
        Reduction::Std => 4,
        _ => return None,
    };
    Some(((expr.inputs()[0].digest(), reduced.clone(), spec.skip_nan), bit))
}

enum Task {
    Visit(Expr),
    /// The first is whatever the second has become.
    Same(Expr, Expr),
    /// Its inputs have been visited.
    Rebuild(Expr),
}

/// `expr` with one step less on top, or a selection one step lower; `None`: there is nothing to gain.
fn rewrite(expr: &Expr) -> Result<Option<Expr>> {
    match expr.op() {
        Op::Transpose(order) => turned(expr, order),
        Op::Select(selection) => match expr.inputs() {
            [input] => selected(expr, selection, input),
            _ => Ok(None),
        },
        Op::Reduce { spec, reduced, keepdims, .. } => reduced_anyhow(expr, *spec, reduced, *keepdims),
        _ => Ok(None),
    }
}

fn like(expr: &Expr, op: Op, inputs: Vec<Expr>) -> Result<Option<Expr>> {
    Expr::new(op, inputs, expr.meta(), expr.word(), None).map(Some)
}

/// A transposition of what is the same everywhere, of another one, or of a selection.
fn turned(expr: &Expr, order: &[usize]) -> Result<Option<Expr>> {
    let input = &expr.inputs()[0];
    if order.iter().copied().eq(0..order.len()) {
        return Ok(Some(input.clone()));
    }
    match input.op() {
        Op::Fill { .. } => like(expr, input.op().clone(), vec![]),
        Op::Transpose(inner) => {
            let order = order.iter().map(|&axis| inner[axis]).collect();
            like(expr, Op::Transpose(order), input.inputs().to_vec())
        }
        Op::Select(selection) => {
            let axes = order.iter().map(|&axis| selection.axes[axis].clone()).collect();
            let selection = Selection { axes, fixed: selection.fixed.clone() };
            like(expr, Op::Select(selection.into()), input.inputs().to_vec())
        }
        _ => Ok(None),
    }
}

fn selected(expr: &Expr, selection: &Selection, input: &Expr) -> Result<Option<Expr>> {
    match input.op() {
        Op::Fill { .. } => like(expr, input.op().clone(), vec![]),
        Op::Iota(count) => match progression(selection, input.chunks()) {
            Some((first, stride)) => like(expr, Op::Iota(count.part(first, stride)), vec![]),
            None => Ok(None),
        },
        Op::Transpose(order) => {
            let axes = selection.axes.iter().map(|axis| match axis {
                SelectAxis::From { axis, blocks } => {
                    SelectAxis::From { axis: order[*axis], blocks: blocks.clone() }
                }
                other => other.clone(),
            });
            let fixed = selection.fixed.iter().map(|&(axis, block, i)| (order[axis], block, i)).collect();
            let selection = Selection { axes: axes.collect(), fixed };
            like(expr, Op::Select(selection.into()), input.inputs().to_vec())
        }
        Op::Select(inner) if !(is_rechunk(expr, selection) && is_rechunk(input, inner)) => {
            match compose(selection, inner, input)? {
                Some(selection) => like(expr, Op::Select(selection.into()), input.inputs().to_vec()),
                None => Ok(None),
            }
        }
        Op::Elementwise(step) if is_less(expr, input) => below_elementwise(expr, selection, input, step),
        Op::Reduce { reduced, keepdims: false, .. } => below_reduction(expr, selection, input, reduced),
        _ => Ok(None),
    }
}

/// Whether it has fewer elements.
fn is_less(expr: &Expr, input: &Expr) -> bool {
    let size =
        |expr: &Expr| expr.chunks().shape().into_iter().try_fold(1usize, |size, n| size.checked_mul(n?));
    matches!((size(expr), size(input)), (Some(less), Some(more)) if less < more)
}

/// Whether a selection only cuts its one input anew.
fn is_rechunk(expr: &Expr, selection: &Selection) -> bool {
    let [input] = expr.inputs() else { return false };
    let kept = |(i, axis): (usize, &SelectAxis)| matches!(axis, SelectAxis::From { axis, .. } if *axis == i);
    selection.fixed.is_empty()
        && expr.chunks().shape() == input.chunks().shape()
        && selection.axes.iter().enumerate().all(kept)
}

/// The places that a selection of a single axis picks, as a first one and a stride.
fn progression(selection: &Selection, chunks: &Chunks) -> Option<(i64, i64)> {
    let [SelectAxis::From { blocks, .. }] = &selection.axes[..] else { return None };
    let sizes = chunks.axes()[0].known_sizes()?;
    let starts: Vec<i64> =
        sizes.iter().scan(0i64, |at, &n| Some(std::mem::replace(at, *at + n as i64))).collect();
    let (mut first, mut stride, mut next) = (None, None, 0);
    for run in blocks.iter().flatten() {
        let start = starts[run.block as usize];
        let (from, step, n) = match &run.pick {
            Pick::All => (start, 1, sizes[run.block as usize]),
            Pick::Range { start: from, step, n } => (start + *from as i64, *step as i64, *n),
            Pick::At(_) => return None,
        };
        if n == 0 {
            continue;
        }
        match (first, stride) {
            (None, _) => first = Some(from),
            (Some(first), None) => stride = Some(from - first),
            _ => {}
        }
        if n > 1 {
            match stride {
                None => stride = Some(step),
                Some(stride) if stride == step => {}
                Some(_) => return None,
            }
        }
        if next != 0
            && stride.is_some_and(|stride| first != Some(from) && from != next_place(first, stride, next))
        {
            return None;
        }
        next += n as i64;
    }
    Some((first.unwrap_or(0), stride.unwrap_or(1)))
}

fn next_place(first: Option<i64>, stride: i64, n: i64) -> i64 {
    first.unwrap_or(0) + stride * n
}

/// The selection of each operand, in the axes of the result.
fn below_elementwise(expr: &Expr, selection: &Selection, input: &Expr, step: &Step) -> Result<Option<Expr>> {
    let ndim = input.chunks().ndim();
    let mut operands = Vec::with_capacity(input.inputs().len());
    for operand in input.inputs() {
        let theirs = operand.chunks();
        let skip = ndim - theirs.ndim();
        // Along an axis on which it has one element, which is there for all.
        let is_one = |axis: usize| {
            theirs.axes()[axis - skip].sizes() == [Some(1)]
                && input.chunks().axes()[axis].sizes() != [Some(1)]
        };
        let one = AxisChunks::known([1]);
        let (mut axes, mut chunks) = (Vec::new(), Vec::new());
        for (axis, made) in selection.axes.iter().zip(expr.chunks().axes()) {
            let (axis, made) = match axis {
                SelectAxis::From { axis, .. } if *axis < skip => (SelectAxis::New, one.clone()),
                SelectAxis::From { axis, .. } if is_one(*axis) => {
                    let all = Run { input: 0, block: 0, pick: Pick::All };
                    (SelectAxis::From { axis: axis - skip, blocks: vec![vec![all]] }, one.clone())
                }
                SelectAxis::From { axis, blocks } => {
                    (SelectAxis::From { axis: axis - skip, blocks: blocks.clone() }, made.clone())
                }
                other => (other.clone(), made.clone()),
            };
            axes.push(axis);
            chunks.push(made);
        }
        let fixed = selection.fixed.iter().filter(|(axis, ..)| *axis >= skip).map(|&(axis, block, i)| {
            if is_one(axis) { (axis - skip, 0, 0) } else { (axis - skip, block, i) }
        });
        let selection = Selection { axes, fixed: fixed.collect() };
        let meta = Meta { chunks: Chunks::new(chunks), ..operand.meta() };
        operands.push(Expr::new(
            Op::Select(selection.into()),
            vec![operand.clone()],
            meta,
            expr.word(),
            None,
        )?);
    }
    like(expr, Op::Elementwise(step.clone()), operands)
}

/// The selection of what is reduced, along the axes that stay.
fn below_reduction(
    expr: &Expr,
    selection: &Selection,
    input: &Expr,
    reduced: &[bool],
) -> Result<Option<Expr>> {
    let kept: Vec<usize> = (0..reduced.len()).filter(|&axis| !reduced[axis]).collect();
    // The axes that stay must stay in order.
    let mut last = None;
    for axis in &selection.axes {
        match axis {
            SelectAxis::From { axis, .. } if last.is_none_or(|last| last < *axis) => last = Some(*axis),
            _ => return Ok(None),
        }
    }
    if !is_less(expr, input) {
        return Ok(None);
    }
    let below = &input.inputs()[0];
    let (mut axes, mut chunks, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for (axis, &is_gone) in reduced.iter().enumerate() {
        if is_gone {
            let own = &below.chunks().axes()[axis];
            axes.push(SelectAxis::From { axis, blocks: crate::build::each(own) });
            chunks.push(own.clone());
            gone.push(true);
            continue;
        }
        let found = selection.axes.iter().zip(expr.chunks().axes()).find_map(|(theirs, made)| match theirs {
            SelectAxis::From { axis: theirs, blocks } if kept[*theirs] == axis => Some((blocks, made)),
            _ => None,
        });
        if let Some((blocks, made)) = found {
            axes.push(SelectAxis::From { axis, blocks: blocks.clone() });
            chunks.push(made.clone());
            gone.push(false);
        }
    }
    let fixed = selection.fixed.iter().map(|&(axis, block, i)| (kept[axis], block, i)).collect();
    let selection = Selection { axes, fixed };
    let meta = Meta { chunks: Chunks::new(chunks), ..below.meta() };
    let part = Expr::new(Op::Select(selection.into()), vec![below.clone()], meta, expr.word(), None)?;
    match input.op() {
        Op::Reduce { spec, .. } => {
            like(input, Op::Reduce { spec: *spec, reduced: gone, keepdims: false, shared: false }, vec![part])
                .and_then(|made| match made {
                    Some(made) => {
                        Expr::new(made.op().clone(), made.inputs().to_vec(), expr.meta(), input.word(), None)
                            .map(Some)
                    }
                    None => Ok(None),
                })
        }
        _ => Ok(None),
    }
}

/// A reduction of a rechunked array reads the array, if the axes that stay are cut alike.
fn reduced_anyhow(expr: &Expr, spec: Spec, reduced: &[bool], keepdims: bool) -> Result<Option<Expr>> {
    let input = &expr.inputs()[0];
    let Op::Select(selection) = input.op() else { return Ok(None) };
    if !is_rechunk(input, selection) {
        return Ok(None);
    }
    let below = &input.inputs()[0];
    let pairs = below.chunks().axes().iter().zip(input.chunks().axes());
    if below.num().is_none() || !pairs.zip(reduced).all(|((old, new), gone)| *gone || old == new) {
        return Ok(None);
    }
    like(expr, Op::Reduce { spec, reduced: reduced.to_vec(), keepdims, shared: false }, vec![below.clone()])
}
