//! A static order that lets results go as soon as it can.
//!
//! When several tasks are ready, which one runs first decides how many results are alive at once:
//!
//! ```text
//!        t            run a b → r, c d → s, t     at most 3 results held
//!      /   \          run a b c d → r s → t       at most 4, and one more for each leaf added
//!     r     s
//!    / \   / \
//!   a   b c   d
//! ```
//!
//! The best order is hard to find (it is register allocation), but the graphs that people make
//! from arrays, frames and functions are mostly trees, grids and stencils, glued together. So:
//!
//! 1. **Walk towards goals.** A goal is a task to finish. The walk goes down to what it misses,
//!    the most demanding branch first (as Sethi and Ullman number registers), and comes back up.
//! 2. **Take what is free.** A ready task that lets go at least as much as it makes, or that nobody
//!    waits for, runs at once. So chains run through, and a last reader runs beside the one
//!    before it.
//! 3. **Close what is nearly closed** (some walks): a ready task also runs if a chain from it ends
//!    in a task that has everything else it needs, and that lets more go than the chain holds.
//! 4. **Choose the next goal near what is held.** Walks differ in this: towards whole outputs,
//!    or to a reader of the newest result, or of the oldest, or to whatever is nearest.
//!
//! No one walk is best for all graphs, but a walk is linear and counts what it holds as it goes. So
//! each connected part of the graph is walked in a few ways, a walk stops as soon as it holds
//! more than the best before it, and the best is kept.

use crate::walk::{Beside, Goals, Strategy, Tables, Walk};
use crate::{Cycle, Dag, TaskId, topological_order};

/// The walk that finds out what belongs to a part, and is the one to beat.
const FIRST: Strategy = Strategy { goals: Goals::Newest, beside: Beside::Free };

/// The walks that are tried after it, the most often successful first.
const OTHERS: [Strategy; 8] = [
    Strategy { goals: Goals::Outputs, beside: Beside::Free },
    Strategy { goals: Goals::Nearest, beside: Beside::Free },
    Strategy { goals: Goals::Nearest, beside: Beside::Closing },
    Strategy { goals: Goals::Oldest, beside: Beside::Free },
    Strategy { goals: Goals::Newest, beside: Beside::Closing },
    Strategy { goals: Goals::Oldest, beside: Beside::Closing },
    Strategy { goals: Goals::Outputs, beside: Beside::Closing },
    Strategy { goals: Goals::Outputs, beside: Beside::Nothing },
];

/// Parts larger than this are walked in the first few ways only, to keep planning quick.
const LARGE: usize = 1 << 18;
const OTHERS_FOR_LARGE: usize = 2;

/// The place of each task in the order: lower runs first, and all are different.
///
/// Running by these places one at a time respects dependencies. An engine with many threads
/// starts the ready task with the lowest place.
///
/// Near-linear in tasks and edges.
///
/// ```
/// use weft_graph::{Dag, order};
/// // Two chains: 0 ← 1 and 2 ← 3. One runs through before the other starts.
/// let dag: Dag = [vec![], vec![0], vec![], vec![2]].into_iter().collect();
/// assert_eq!(order(&dag)?, [0, 1, 2, 3]);
/// # Ok::<(), weft_graph::Cycle>(())
/// ```
pub fn order(dag: &Dag) -> Result<Vec<u32>, Cycle> {
    let topological = topological_order(dag)?;
    let mut readers = dag.reversed();
    let deduplicated = dag.deduplicated(&readers);
    if let Some(dag) = &deduplicated {
        readers = dag.reversed();
    }
    let dag = deduplicated.as_ref().unwrap_or(dag);
    let tables = Tables::new(dag, &readers, &topological);
    drop(topological);

    let mut walk = Walk::new(tables);
    let mut best: Vec<TaskId> = Vec::new();
    let mut sequence: Vec<TaskId> = Vec::with_capacity(dag.len());
    let mut outputs: Vec<TaskId> = Vec::new();
    for start in dag.tasks() {
        if !readers.dependencies(start).is_empty() || walk.is_done(start) {
            continue;
        }
        let Some(mut cost) = walk.run(FIRST, &[start], u32::MAX) else { continue };
        std::mem::swap(&mut best, &mut walk.sequence);
        let floor = best.iter().map(|&t| dag.dependencies(t).len() as u32).max().unwrap_or(0);
        outputs.clear();
        outputs.extend(best.iter().filter(|&&t| readers.dependencies(t).is_empty()));
        outputs.sort_unstable();
        let tries = if best.len() > LARGE { OTHERS_FOR_LARGE } else { OTHERS.len() };
        for strategy in &OTHERS[..tries] {
            // All that a task reads is held when it starts, whatever the order.
            if cost.peak <= floor {
                break;
            }
            walk.forget(&best);
            if let Some(other) = walk.run(*strategy, &outputs, cost.peak)
                && other < cost
            {
                cost = other;
                std::mem::swap(&mut best, &mut walk.sequence);
            }
        }
        // An abandoned walk leaves marks; what counts now is that this part is done.
        walk.finish(&best);
        sequence.extend_from_slice(&best);
    }

    let mut priorities = vec![0u32; dag.len()];
    for (place, task) in sequence.iter().enumerate() {
        priorities[task.index()] = place as u32;
    }
    Ok(priorities)
}
