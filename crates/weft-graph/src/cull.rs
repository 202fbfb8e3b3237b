//! Leaving out what nobody asked for.

use crate::{Dag, DagBuilder, TaskId};

/// The part of a graph that some outputs need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Culled {
    pub dag: Dag,
    /// For each task that is left, which one it was.
    pub kept: Vec<TaskId>,
    /// The outputs asked for, in that order, by their new numbers.
    pub outputs: Vec<TaskId>,
}

/// Keeps the tasks that `outputs` need, in the order of their old numbers.
///
/// Graphs made of layers are culled as they are [expanded](crate::expand); this is for graphs that
/// exist as a [`Dag`] already.
pub fn cull(dag: &Dag, outputs: &[TaskId]) -> Culled {
    let mut needed = vec![false; dag.len()];
    let mut pending: Vec<TaskId> = Vec::with_capacity(outputs.len());
    let mut visit = |task: TaskId, pending: &mut Vec<TaskId>| {
        if !std::mem::replace(&mut needed[task.index()], true) {
            pending.push(task);
        }
    };
    outputs.iter().for_each(|&task| visit(task, &mut pending));
    while let Some(task) = pending.pop() {
        dag.dependencies(task).iter().for_each(|&dependency| visit(dependency, &mut pending));
    }

    let kept: Vec<TaskId> = dag.tasks().filter(|task| needed[task.index()]).collect();
    let mut new_id = vec![TaskId(u32::MAX); dag.len()];
    for (new, old) in kept.iter().enumerate() {
        new_id[old.index()] = TaskId(new as u32);
    }
    let mut builder = DagBuilder::with_capacity(kept.len(), dag.edges());
    for &old in &kept {
        builder.push(dag.dependencies(old).iter().map(|dependency| new_id[dependency.index()]));
    }
    Culled { dag: builder.finish(), outputs: outputs.iter().map(|task| new_id[task.index()]).collect(), kept }
}
