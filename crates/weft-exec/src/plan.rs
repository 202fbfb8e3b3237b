//! What is fixed about a run before its first task starts.

use std::sync::Arc;

use weft_data::{Lane, WorkRef};
use weft_graph::{Cycle, Dag, DagBuilder, Expanded, Key, TaskId, order};

/// A graph that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("the graph has a cycle, so none of these tasks can start: {}", path(.0))]
    Cycle(Vec<Key>),
}

/// A cycle as people write it: from a task to what it reads, back to the first.
fn path(keys: &[Key]) -> String {
    /// Longer cycles show their beginning and their end.
    const SHOWN: usize = 12;
    let mut parts: Vec<String> = keys.iter().map(Key::to_string).collect();
    if parts.len() > SHOWN {
        let hidden = parts.len() - SHOWN;
        parts.splice(SHOWN / 2..SHOWN / 2 + hidden, [format!("… {hidden} more …")]);
    }
    parts.extend(keys.first().map(Key::to_string));
    parts.join(" -> ")
}

/// The tables of a run. Aliases are gone from them: their readers read what they stand for.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) tasks: Arc<Expanded<WorkRef>>,
    /// Dependencies without aliases, if the graph has any.
    inputs: Option<Dag>,
    readers: Readers,
    /// Place of each task in the order, and the task at each place.
    pub(crate) places: Vec<u32>,
    at: Vec<TaskId>,
    kinds: Vec<Kind>,
    pub(crate) outputs: Vec<TaskId>,
    /// How many tasks there are to run.
    pub(crate) len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Host,
    Native,
    /// Stands for another task; never runs.
    Alias,
}

/// Who reads each task, by their places in the order; a task that reads another twice is there twice.
#[derive(Debug)]
struct Readers {
    starts: Vec<u32>,
    targets: Vec<TaskId>,
}

impl Plan {
    pub(crate) fn new(tasks: Arc<Expanded<WorkRef>>) -> Result<Plan, PlanError> {
        let places = order(&tasks.dag).map_err(|Cycle(circle)| {
            PlanError::Cycle(circle.into_iter().map(|task| tasks.key(task)).collect())
        })?;
        let mut at = vec![TaskId(0); places.len()];
        for task in tasks.dag.tasks() {
            at[places[task.index()] as usize] = task;
        }
        let kinds: Vec<Kind> = tasks
            .dag
            .tasks()
            .map(|task| {
                let (work, index) = tasks.work(task);
                if tasks.dag.dependencies(task).len() == 1 && work.is_alias(index) {
                    return Kind::Alias;
                }
                match work.lane() {
                    Lane::Host => Kind::Host,
                    Lane::Native => Kind::Native,
                }
            })
            .collect();
        let len = kinds.iter().filter(|kind| **kind != Kind::Alias).count();
        let mut outputs = tasks.outputs.clone();
        let inputs = (len < kinds.len()).then(|| {
            let real = resolve(&tasks.dag, &kinds, &at);
            outputs.iter_mut().for_each(|output| *output = real[output.index()]);
            without_aliases(&tasks.dag, &kinds, &real)
        });
        let readers = Readers::new(inputs.as_ref().unwrap_or(&tasks.dag), &at);
        Ok(Plan { tasks, inputs, readers, places, at, kinds, outputs, len })
    }

    pub(crate) fn inputs(&self, task: TaskId) -> &[TaskId] {
        self.inputs.as_ref().unwrap_or(&self.tasks.dag).dependencies(task)
    }

    pub(crate) fn readers(&self, task: TaskId) -> &[TaskId] {
        let i = task.index();
        &self.readers.targets[self.readers.starts[i] as usize..self.readers.starts[i + 1] as usize]
    }

    pub(crate) fn place(&self, task: TaskId) -> u32 {
        self.places[task.index()]
    }

    pub(crate) fn at(&self, place: u32) -> TaskId {
        self.at[place as usize]
    }

    pub(crate) fn kind(&self, task: TaskId) -> Kind {
        self.kinds[task.index()]
    }

    /// Tasks to run, first to last.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = TaskId> + '_ {
        self.at.iter().copied().filter(|&task| self.kind(task) != Kind::Alias)
    }
}

/// What each task stands for: itself, unless it is an alias.
fn resolve(dag: &Dag, kinds: &[Kind], at: &[TaskId]) -> Vec<TaskId> {
    let mut real: Vec<TaskId> = dag.tasks().collect();
    // In order, so that an alias of an alias finds its target resolved.
    for &task in at {
        if kinds[task.index()] == Kind::Alias {
            real[task.index()] = real[dag.dependencies(task)[0].index()];
        }
    }
    real
}

fn without_aliases(dag: &Dag, kinds: &[Kind], real: &[TaskId]) -> Dag {
    let mut builder = DagBuilder::with_capacity(dag.len(), dag.edges());
    for task in dag.tasks() {
        let dependencies = match kinds[task.index()] {
            Kind::Alias => &[],
            _ => dag.dependencies(task),
        };
        builder.push(dependencies.iter().map(|dependency| real[dependency.index()]));
    }
    builder.finish()
}

impl Readers {
    fn new(inputs: &Dag, at: &[TaskId]) -> Readers {
        let mut starts = vec![0u32; inputs.len() + 1];
        for task in inputs.tasks() {
            for input in inputs.dependencies(task) {
                starts[input.index() + 1] += 1;
            }
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut cursor = starts.clone();
        let mut targets = vec![TaskId(0); inputs.edges()];
        for &task in at {
            for input in inputs.dependencies(task) {
                let slot = &mut cursor[input.index()];
                targets[*slot as usize] = task;
                *slot += 1;
            }
        }
        Readers { starts, targets }
    }
}
