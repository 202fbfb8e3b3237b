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
/// task's `i`-th input. The table may hold cycles until
/// [`topological_order`](crate::topological_order) or [`find_cycle`](crate::find_cycle) has said
/// otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

    pub fn tasks(&self) -> impl DoubleEndedIterator<Item = TaskId> + ExactSizeIterator + use<> {
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

    /// The graph in which each task reads each of its dependencies once, at the position where it
    /// read it first; `None` if this graph is like that already.
    pub(crate) fn deduplicated(&self, reversed: &Dag) -> Option<Dag> {
        // Readers are listed in ascending order, so a task that reads twice stands beside itself.
        let doubled =
            reversed.tasks().any(|task| reversed.dependencies(task).windows(2).any(|w| w[0] == w[1]));
        if !doubled {
            return None;
        }
        let mut last_reader = vec![u32::MAX; self.len()];
        let mut builder = DagBuilder::with_capacity(self.len(), self.edges());
        for task in self.tasks() {
            let fresh = self.dependencies(task).iter().copied();
            builder.push(fresh.filter(|dependency| {
                std::mem::replace(&mut last_reader[dependency.index()], task.0) != task.0
            }));
        }
        Some(builder.finish())
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

/// From lists of dependencies, in task order.
impl<I: IntoIterator<Item = u32>> FromIterator<I> for Dag {
    fn from_iter<T: IntoIterator<Item = I>>(lists: T) -> Self {
        let mut builder = DagBuilder::default();
        for dependencies in lists {
            builder.push(dependencies.into_iter().map(TaskId));
        }
        builder.finish()
    }
}
