//! Tasks as integers, dependencies as one flat table.

/// A task of an expanded graph: an index into every per-task table of that graph.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TaskId(pub u32);

impl TaskId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The dependencies of every task, in compressed sparse row form: 4 bytes a task and 4 an edge.
///
/// Dependencies keep the order in which they were given (and duplicates): position `i` is a
/// task's `i`-th input. The table may hold cycles until [`find_cycle`](crate) has said otherwise.
#[derive(Clone, Debug, Default)]
pub struct Dag {
    starts: Vec<u32>,
    targets: Vec<TaskId>,
}

impl Dag {
    /// Number of tasks.
    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn edges(&self) -> usize {
        self.targets.len()
    }

    pub fn tasks(&self) -> impl ExactSizeIterator<Item = TaskId> + use<> {
        (0..self.len() as u32).map(TaskId)
    }

    /// What `task` reads, in input order.
    pub fn dependencies(&self, task: TaskId) -> &[TaskId] {
        let i = task.index();
        &self.targets[self.starts[i] as usize..self.starts[i + 1] as usize]
    }

    /// The same edges turned round: `reversed().dependencies(t)` are the tasks that read `t`,
    /// in ascending order.
    pub fn reversed(&self) -> Dag {
        let n = self.len();
        let mut starts = vec![0u32; n + 1];
        for target in &self.targets {
            starts[target.index() + 1] += 1;
        }
        for i in 0..n {
            starts[i + 1] += starts[i];
        }
        let mut cursor = starts.clone();
        let mut targets = vec![TaskId(0); self.targets.len()];
        for task in self.tasks() {
            for dependency in self.dependencies(task) {
                let slot = &mut cursor[dependency.index()];
                targets[*slot as usize] = task;
                *slot += 1;
            }
        }
        Dag { starts, targets }
    }
}

/// Builds a [`Dag`] one task after the other, in [`TaskId`] order.
#[derive(Debug)]
pub struct DagBuilder {
    dag: Dag,
}

impl Default for DagBuilder {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl DagBuilder {
    pub fn with_capacity(tasks: usize, edges: usize) -> Self {
        let mut starts = Vec::with_capacity(tasks + 1);
        starts.push(0);
        DagBuilder { dag: Dag { starts, targets: Vec::with_capacity(edges) } }
    }

    /// Adds the next task. Its dependencies may have higher numbers than itself.
    pub fn push(&mut self, dependencies: impl IntoIterator<Item = TaskId>) -> TaskId {
        let id = TaskId(self.dag.len() as u32);
        self.dag.targets.extend(dependencies);
        self.dag.starts.push(self.dag.targets.len() as u32);
        id
    }

    pub fn finish(self) -> Dag {
        self.dag
    }
}
