//! Cycles, and the order that exists when there are none.

use crate::{Dag, TaskId};

/// Tasks that wait for each other: each reads the next, and the last reads the first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} tasks depend on each other in a circle", .0.len())]
pub struct Cycle(pub Vec<TaskId>);

/// Tasks in an order in which each stands after all that it reads.
///
/// A depth-first walk from the first task on, so tasks of one branch stand together. Linear, and
/// with its stack on the heap: the length of a chain does not matter.
pub fn topological_order(dag: &Dag) -> Result<Vec<TaskId>, Cycle> {
    const NEW: u8 = 0;
    const OPEN: u8 = 1;
    const DONE: u8 = 2;

    let mut state = vec![NEW; dag.len()];
    let mut order = Vec::with_capacity(dag.len());
    // A task on the way down, and which of its dependencies comes next.
    let mut path: Vec<(TaskId, u32)> = Vec::new();
    for start in dag.tasks() {
        if state[start.index()] != NEW {
            continue;
        }
        state[start.index()] = OPEN;
        path.push((start, 0));
        while let Some((task, next)) = path.last_mut() {
            let Some(&dependency) = dag.dependencies(*task).get(*next as usize) else {
                state[task.index()] = DONE;
                order.push(*task);
                path.pop();
                continue;
            };
            *next += 1;
            match state[dependency.index()] {
                NEW => {
                    state[dependency.index()] = OPEN;
                    path.push((dependency, 0));
                }
                OPEN => {
                    // What is open is on the path, and the path from there on is the circle.
                    let from = path.iter().position(|&(task, _)| task == dependency).unwrap_or(0);
                    return Err(Cycle(path[from..].iter().map(|&(task, _)| task).collect()));
                }
                _ => {}
            }
        }
    }
    Ok(order)
}

/// A cycle of the graph, if it has one: each task of it reads the next, and the last the first.
pub fn find_cycle(dag: &Dag) -> Option<Vec<TaskId>> {
    topological_order(dag).err().map(|cycle| cycle.0)
}
