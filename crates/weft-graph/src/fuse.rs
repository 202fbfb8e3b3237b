//! Joining chains of tasks that only hand a value on.
//!
//! ```text
//!     d          [c d]
//!     |            |
//!     c      →     |
//!    / \          / \
//!   a   b        a   b
//! ```
//!
//! A task and its only reader become one if the reader reads nothing else: no parallelism is
//! lost, no result lives longer, and one task less is scheduled.

use crate::{Dag, DagBuilder, TaskId};

/// A graph whose tasks are groups of the tasks of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fused {
    /// Dependencies between groups. Position `i` of a group is the `i`-th input of its first
    /// member; every other member has one input, the result of the member before it.
    pub dag: Dag,
    /// Which group each task has gone to.
    pub group_of: Vec<TaskId>,
    /// Members of group `g`: `members[starts[g]..starts[g + 1]]`, in the order in which they run.
    starts: Vec<u32>,
    members: Vec<TaskId>,
}

impl Fused {
    /// Number of groups.
    pub fn len(&self) -> usize {
        self.dag.len()
    }

    pub fn is_empty(&self) -> bool {
        self.dag.is_empty()
    }

    /// The tasks of a group in the order in which they run. The last one's result is the group's.
    pub fn members(&self, group: TaskId) -> &[TaskId] {
        let g = group.index();
        &self.members[self.starts[g] as usize..self.starts[g + 1] as usize]
    }
}

/// Fuses linear chains.
///
/// `outputs` keep their own result: a chain may end in one but not run through it.
/// `may_fuse(task, reader)` can veto each join. The graph must have no cycle; groups are numbered
/// by their last members.
pub fn fuse(dag: &Dag, outputs: &[TaskId], mut may_fuse: impl FnMut(TaskId, TaskId) -> bool) -> Fused {
    let mut readers = vec![0u32; dag.len()];
    for task in dag.tasks() {
        for dependency in dag.dependencies(task) {
            readers[dependency.index()] = readers[dependency.index()].saturating_add(1);
        }
    }
    for output in outputs {
        readers[output.index()] = u32::MAX;
    }
    // The task that hands its value to this one and to nobody else.
    let mut before: Vec<Option<TaskId>> = vec![None; dag.len()];
    let mut is_last = vec![true; dag.len()];
    for task in dag.tasks() {
        if let &[dependency] = dag.dependencies(task)
            && readers[dependency.index()] == 1
            && dependency != task
            && may_fuse(dependency, task)
        {
            before[task.index()] = Some(dependency);
            is_last[dependency.index()] = false;
        }
    }

    let mut group_of = vec![TaskId(0); dag.len()];
    let mut starts = vec![0u32];
    let mut members: Vec<TaskId> = Vec::with_capacity(dag.len());
    for last in dag.tasks().filter(|task| is_last[task.index()]) {
        let from = members.len();
        let group = TaskId(starts.len() as u32 - 1);
        let mut next = Some(last);
        while let Some(task) = next {
            group_of[task.index()] = group;
            members.push(task);
            next = before[task.index()];
        }
        members[from..].reverse();
        starts.push(members.len() as u32);
    }
    let mut builder = DagBuilder::with_capacity(starts.len(), dag.edges());
    for &from in &starts[..starts.len() - 1] {
        let first = members[from as usize];
        builder.push(dag.dependencies(first).iter().map(|dependency| group_of[dependency.index()]));
    }
    Fused { dag: builder.finish(), group_of, starts, members }
}
