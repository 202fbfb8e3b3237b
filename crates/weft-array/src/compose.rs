//! A selection of a selection is a selection.

use crate::chunks::AxisChunks;
use crate::error::ArrayError;
use crate::expr::Expr;
use crate::select::{Pick, Run, SelectAxis, Selection};

type Result<T> = std::result::Result<T, ArrayError>;

/// What `outer` picks of `made`, which is what `inner` picks of its inputs; `None`: it cannot be said without
/// looking at blocks, or is not worth it.
pub(crate) fn compose(outer: &Selection, inner: &Selection, made: &Expr) -> Result<Option<Selection>> {
    let inputs = made.inputs();
    let mut axes = Vec::with_capacity(outer.axes.len());
    let mut fixed = inner.fixed.clone();
    for axis in &outer.axes {
        let SelectAxis::From { axis, blocks } = axis else {
            axes.push(axis.clone());
            continue;
        };
        match &inner.axes[*axis] {
            // Picked once, it is a new axis still.
            SelectAxis::New => {
                let whole = |runs: &Vec<Run>| {
                    matches!(&runs[..], [Run { pick: Pick::All | Pick::Range { n: 1, .. }, .. }])
                };
                match &blocks[..] {
                    [runs] if whole(runs) => axes.push(SelectAxis::New),
                    _ => return Ok(None),
                }
            }
            SelectAxis::Stack => return Ok(None),
            SelectAxis::From { axis: below, blocks: pieces } => {
                let theirs: Vec<&AxisChunks> =
                    inputs.iter().map(|input| &input.chunks().axes()[*below]).collect();
                let mut composed = Vec::with_capacity(blocks.len());
                for runs in blocks {
                    let mut all = Vec::new();
                    for run in runs {
                        match picked(&pieces[run.block as usize], &theirs, &run.pick) {
                            Some(part) => all.extend(part),
                            None => return Ok(None),
                        }
                    }
                    composed.push(all);
                }
                axes.push(SelectAxis::From { axis: *below, blocks: composed });
            }
        }
    }
    for &(axis, block, i) in &outer.fixed {
        match &inner.axes[axis] {
            SelectAxis::New => {}
            SelectAxis::Stack => return Ok(None),
            SelectAxis::From { axis: below, blocks } => {
                let theirs: Vec<&AxisChunks> =
                    inputs.iter().map(|input| &input.chunks().axes()[*below]).collect();
                let one = Pick::Range { start: i, step: 1, n: 1 };
                match picked(&blocks[block as usize], &theirs, &one).as_deref() {
                    // A vanishing axis cannot say which input it is of.
                    Some([Run { input: 0, block, pick: Pick::Range { start, .. } }]) if inputs.len() == 1 => {
                        fixed.push((*below, *block, *start));
                    }
                    Some([Run { input: 0, block, pick: Pick::At(at) }]) if inputs.len() == 1 => {
                        fixed.push((*below, *block, at[0]));
                    }
                    Some([Run { input: 0, block, pick: Pick::All }]) if inputs.len() == 1 => {
                        fixed.push((*below, *block, 0));
                    }
                    _ => return Ok(None),
                }
            }
        }
    }
    Ok(Some(Selection { axes, fixed }))
}

/// What `pick` takes of the elements of `runs`, laid one after the other.
fn picked(runs: &[Run], theirs: &[&AxisChunks], pick: &Pick) -> Option<Vec<Run>> {
    if *pick == Pick::All {
        return Some(runs.to_vec());
    }
    let sizes = runs
        .iter()
        .map(|run| match &run.pick {
            Pick::All => theirs[run.input as usize].sizes()[run.block as usize],
            Pick::Range { n, .. } => Some(*n),
            Pick::At(at) => Some(at.len()),
        })
        .collect::<Option<Vec<usize>>>()?;
    let starts: Vec<usize> = sizes.iter().scan(0, |at, &n| Some(std::mem::replace(at, *at + n))).collect();
    let mut found = Vec::new();
    match pick {
        Pick::All => {}
        Pick::Range { n: 0, .. } => found.push(part(runs.first()?, 0, 1, 0)),
        Pick::Range { start, step, n } => {
            let (mut at, mut left) = (*start as isize, *n);
            let mut number = locate(&starts, &sizes, *start)?;
            while left > 0 {
                let (low, high) = (starts[number] as isize, (starts[number] + sizes[number]) as isize);
                if at >= low && at < high {
                    // As many as fit into this run.
                    let fit = if *step > 0 {
                        (high - at + step - 1) / step
                    } else if *step < 0 {
                        (at - low) / -step + 1
                    } else {
                        left as isize
                    };
                    let count = left.min(fit as usize);
                    found.push(part(&runs[number], (at - low) as usize, *step, count));
                    at += step * count as isize;
                    left -= count;
                } else if at < low {
                    number = number.checked_sub(1)?;
                } else {
                    number += 1;
                    if number == runs.len() {
                        return None;
                    }
                }
            }
        }
        Pick::At(list) => {
            if list.is_empty() {
                found.push(part(runs.first()?, 0, 1, 0));
            }
            let mut from = 0;
            while from < list.len() {
                let number = locate(&starts, &sizes, list[from])?;
                let inside = |&&i: &&usize| i >= starts[number] && i < starts[number] + sizes[number];
                let n = list[from..].iter().take_while(inside).count();
                let local = list[from..from + n].iter().map(|i| i - starts[number]);
                let run = &runs[number];
                let at: Vec<usize> = match &run.pick {
                    Pick::All => local.collect(),
                    Pick::Range { start, step, .. } => {
                        local.map(|i| (*start as isize + step * i as isize) as usize).collect()
                    }
                    Pick::At(theirs) => local.map(|i| theirs[i]).collect(),
                };
                found.push(Run { pick: Pick::At(at.into()), ..run.clone() });
                from += n;
            }
        }
    }
    Some(found)
}

/// The run that element `at` is in.
fn locate(starts: &[usize], sizes: &[usize], at: usize) -> Option<usize> {
    // Of several that start there, the last one is not empty.
    let number = starts.partition_point(|&start| start <= at).checked_sub(1)?;
    (at < starts[number] + sizes[number]).then_some(number)
}

/// `n` elements of a run: `first`, `first + step`, ….
fn part(run: &Run, first: usize, step: isize, n: usize) -> Run {
    let pick = match &run.pick {
        Pick::All => Pick::Range { start: first, step, n },
        Pick::Range { start, step: theirs, .. } => Pick::Range {
            start: if n == 0 { 0 } else { (*start as isize + theirs * first as isize) as usize },
            step: theirs * step,
            n,
        },
        Pick::At(at) => Pick::At((0..n as isize).map(|i| at[(first as isize + step * i) as usize]).collect()),
    };
    Run { pick, ..run.clone() }
}
