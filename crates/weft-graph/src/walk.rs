//! One way to walk a graph from its sources to its outputs; see [`order`](crate::order).

use std::collections::VecDeque;

use crate::{Dag, TaskId};

/// Where the next goal comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goals {
    /// The next output, whole.
    Outputs,
    /// A reader of the newest result that is held: depth first.
    Newest,
    /// Of the readers of the newest few results that are held, the one that takes least to finish:
    /// several reductions of the same inputs then go up side by side.
    Nearest,
    /// A reader of the oldest result that is held: sweeps over stencils in a narrow front.
    Oldest,
}

/// What runs beside the way to the goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Nothing, and branches are taken as they come: the plain depth-first walk, which is the
    /// best that some tangled graphs allow.
    Nothing,
    /// Ready tasks that cost nothing.
    Free,
    /// Also ready tasks that complete a reducer.
    Closing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strategy {
    pub goals: Goals,
    pub beside: Beside,
}

/// What a walk held: at most, and summed over its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cost {
    pub peak: u32,
    pub total: u64,
}

/// What does not change from walk to walk.
pub(crate) struct Tables<'a> {
    dag: &'a Dag,
    readers: &'a Dag,
    /// How many results it takes to make each task's, if nothing were shared: the Sethi–Ullman
    /// number.
    need: Vec<u32>,
}

impl<'a> Tables<'a> {
    pub fn new(dag: &'a Dag, readers: &'a Dag, topological: &[TaskId]) -> Self {
        let mut need = vec![1u32; dag.len()];
        let mut inputs: Vec<u32> = Vec::new();
        for &task in topological {
            inputs.clear();
            inputs.extend(dag.dependencies(task).iter().map(|d| need[d.index()]));
            if inputs.len() > 1 {
                inputs.sort_unstable_by(|a, b| b.cmp(a));
            }
            let most = inputs.iter().enumerate().map(|(held, &n)| n.saturating_add(held as u32)).max();
            need[task.index()] = most.unwrap_or(1);
        }
        Tables { dag, readers, need }
    }
}

/// Progress of a task in the walk at hand.
#[derive(Clone, Copy)]
struct Progress {
    /// Dependencies that have not run.
    missing: u32,
    /// Readers that have not run.
    left: u32,
    done: bool,
}

pub(crate) struct Walk<'a> {
    tables: Tables<'a>,
    progress: Vec<Progress>,
    /// The tasks in the order of this walk.
    pub sequence: Vec<TaskId>,
    held: u32,
    cost: Cost,
    /// Tasks to finish, the innermost last.
    stack: Vec<TaskId>,
    /// Ready tasks that cost nothing.
    free: Vec<TaskId>,
    /// Ready tasks that are not free, to be looked at for closing.
    ready: Vec<TaskId>,
    /// Results that may still be held, in the order in which they were made.
    recent: VecDeque<TaskId>,
    /// Held results that so many tasks read that they say nothing about what is near.
    broad: Vec<TaskId>,
    /// Where to go on looking for unfinished readers of a task with many of them.
    cursor: Vec<u32>,
    scratch: Vec<TaskId>,
}

/// A result with more unfinished readers than this is used for finding goals last.
const BROAD: u32 = 16;
/// At most this many unfinished readers are compared when a goal is chosen.
const COMPARED: usize = 16;
/// From so many held results the nearest reader is looked for.
const NEAR: usize = 12;
/// How far a chain is followed to see whether it completes a reducer.
const CHAIN: usize = 16;

impl<'a> Walk<'a> {
    pub fn new(tables: Tables<'a>) -> Self {
        let mut walk = Walk {
            progress: Vec::with_capacity(tables.dag.len()),
            cursor: vec![0; tables.dag.len()],
            sequence: Vec::with_capacity(tables.dag.len()),
            tables,
            held: 0,
            cost: Cost { peak: 0, total: 0 },
            stack: Vec::new(),
            free: Vec::new(),
            ready: Vec::new(),
            recent: VecDeque::new(),
            broad: Vec::new(),
            scratch: Vec::new(),
        };
        for task in walk.tables.dag.tasks() {
            let fresh = walk.fresh(task);
            walk.progress.push(fresh);
        }
        walk
    }

    fn fresh(&self, task: TaskId) -> Progress {
        Progress {
            missing: self.tables.dag.dependencies(task).len() as u32,
            left: self.tables.readers.dependencies(task).len() as u32,
            done: false,
        }
    }

    pub fn is_done(&self, task: TaskId) -> bool {
        self.progress[task.index()].done
    }

    /// Makes these tasks, a whole part of the graph, as if never walked.
    pub fn forget(&mut self, tasks: &[TaskId]) {
        for &task in tasks {
            self.progress[task.index()] = self.fresh(task);
            self.cursor[task.index()] = 0;
        }
    }

    /// Marks these tasks, a whole part of the graph, as walked.
    pub fn finish(&mut self, tasks: &[TaskId]) {
        for &task in tasks {
            self.progress[task.index()] = Progress { missing: 0, left: 0, done: true };
        }
    }

    /// Walks from `outputs` on until nothing is held and all of them are done. `None` if more than
    /// `limit` results would be held at a time.
    pub fn run(&mut self, strategy: Strategy, outputs: &[TaskId], limit: u32) -> Option<Cost> {
        self.sequence.clear();
        self.recent.clear();
        self.broad.clear();
        self.stack.clear();
        self.free.clear();
        self.ready.clear();
        self.held = 0;
        self.cost = Cost { peak: 0, total: 0 };
        for &output in outputs {
            if self.is_done(output) {
                continue;
            }
            let first = if strategy.goals == Goals::Outputs { output } else { self.first_source(output) };
            let mut goal = Some(first);
            while let Some(task) = goal {
                self.complete(task, strategy.beside);
                if self.cost.peak > limit {
                    return None;
                }
                goal = self.next_goal(strategy.goals);
            }
        }
        Some(self.cost)
    }

    /// The task without dependencies that a walk to `output` would run first.
    fn first_source(&self, output: TaskId) -> TaskId {
        let mut task = output;
        let mut most = self.most_demanding(task);
        while let Some(next) = most {
            task = next;
            most = self.most_demanding(task);
        }
        task
    }

    fn most_demanding(&self, task: TaskId) -> Option<TaskId> {
        let missing = self.tables.dag.dependencies(task).iter().copied().filter(|&d| !self.is_done(d));
        // Of equals, the first.
        missing.rev().max_by_key(|d| self.tables.need[d.index()])
    }

    /// Runs what `goal` misses, and then `goal`.
    fn complete(&mut self, goal: TaskId, beside: Beside) {
        self.stack.push(goal);
        while let Some(&task) = self.stack.last() {
            if self.is_done(task) {
                self.stack.pop();
            } else if self.progress[task.index()].missing == 0 {
                self.stack.pop();
                self.take(task, beside);
            } else {
                // The most demanding on top; of equals, the first.
                let progress = &self.progress;
                let need = &self.tables.need;
                let missing = self.tables.dag.dependencies(task).iter().copied();
                self.scratch.clear();
                self.scratch.extend(missing.filter(|d| !progress[d.index()].done));
                self.scratch.reverse();
                let all_alike = beside == Beside::Nothing
                    || self.scratch.windows(2).all(|w| need[w[0].index()] == need[w[1].index()]);
                if !all_alike {
                    self.scratch.sort_by_key(|d| need[d.index()]);
                }
                self.stack.append(&mut self.scratch);
            }
        }
    }

    /// Runs `task`, and what may run beside it.
    fn take(&mut self, task: TaskId, beside: Beside) {
        self.emit(task);
        if beside == Beside::Nothing {
            self.free.clear();
            self.ready.clear();
            return;
        }
        loop {
            if let Some(task) = self.free.pop() {
                if !self.is_done(task) {
                    self.emit(task);
                }
            } else if let Some(task) = self.ready.pop() {
                if beside == Beside::Closing && !self.is_done(task) {
                    self.close(task);
                }
            } else {
                return;
            }
        }
    }

    /// Runs one task, and notes what became free or ready.
    fn emit(&mut self, task: TaskId) {
        self.cost.peak = self.cost.peak.max(self.held);
        self.cost.total += self.held as u64;
        self.sequence.push(task);
        let (dag, readers) = (self.tables.dag, self.tables.readers);
        let own = &mut self.progress[task.index()];
        own.done = true;
        if own.left > 0 {
            self.held += 1;
            self.recent.push_back(task);
        }
        for &dependency in dag.dependencies(task) {
            let progress = &mut self.progress[dependency.index()];
            progress.left -= 1;
            match progress.left {
                0 => self.held -= 1,
                1 => {
                    // One reader is left: if it is ready, it lets this result go.
                    let mut rest = readers.dependencies(dependency).iter().copied();
                    let last = rest.find(|&r| !self.progress[r.index()].done);
                    if let Some(last) = last
                        && self.progress[last.index()].missing == 0
                    {
                        self.free.push(last);
                    }
                }
                _ => {}
            }
        }
        // In reverse, so that the first reader is taken first.
        for &reader in readers.dependencies(task).iter().rev() {
            let progress = &mut self.progress[reader.index()];
            progress.missing -= 1;
            if progress.missing == 0 {
                let nobody_waits = progress.left == 0;
                let frees = || dag.dependencies(reader).iter().any(|d| self.progress[d.index()].left == 1);
                if nobody_waits || frees() {
                    self.free.push(reader);
                } else {
                    self.ready.push(reader);
                }
            }
        }
    }

    /// Runs the chain from `first`, which is ready, if it ends in a task that then has all it needs
    /// and lets go more than the chain holds.
    fn close(&mut self, first: TaskId) {
        let mut last = first;
        for _ in 0..CHAIN {
            let &[reader] = self.tables.readers.dependencies(last) else { return };
            if self.progress[reader.index()].missing != 1 {
                return;
            }
            let inputs = self.tables.dag.dependencies(reader);
            let freed = inputs.iter().filter(|d| self.progress[d.index()].left == 1).count();
            if freed >= 2 {
                // From here on, everything up to `reader` is free.
                self.emit(first);
                return;
            }
            last = reader;
        }
    }

    /// The next task to finish, near what is held; `None` if nothing is held or if goals are
    /// outputs.
    fn next_goal(&mut self, goals: Goals) -> Option<TaskId> {
        if goals == Goals::Nearest
            && let Some(goal) = self.nearest_goal()
        {
            return Some(goal);
        }
        loop {
            let task = match goals {
                Goals::Outputs => return None,
                Goals::Newest | Goals::Nearest => self.recent.pop_back(),
                Goals::Oldest => self.recent.pop_front(),
            };
            let Some(task) = task else { break };
            let left = self.progress[task.index()].left;
            if left > BROAD {
                self.broad.push(task);
            } else if left > 0 {
                match goals {
                    Goals::Newest | Goals::Nearest => self.recent.push_back(task),
                    _ => self.recent.push_front(task),
                }
                return self.nearest_reader(task);
            }
        }
        while let Some(&task) = self.broad.last() {
            if self.progress[task.index()].left > 0 {
                return self.nearest_reader(task);
            }
            self.broad.pop();
        }
        None
    }

    /// The cheapest task to finish among the readers of the newest held results.
    fn nearest_goal(&mut self) -> Option<TaskId> {
        let mut best: Option<(u32, TaskId)> = None;
        let mut looked_at = 0;
        let mut i = self.recent.len();
        while i > 0 && looked_at < NEAR {
            i -= 1;
            let task = self.recent[i];
            let left = self.progress[task.index()].left;
            if left == 0 || left > BROAD {
                // What was let go, or will be looked at later, must not be passed again and again.
                self.recent.remove(i);
                if left > 0 {
                    self.broad.push(task);
                }
                continue;
            }
            looked_at += 1;
            if let Some(reader) = self.nearest_reader(task) {
                let takes = self.takes(reader);
                if best.is_none_or(|(least, _)| takes < least) {
                    best = Some((takes, reader));
                }
            }
        }
        best.map(|(_, reader)| reader)
    }

    /// How many results it takes to make what `task` misses.
    fn takes(&self, task: TaskId) -> u32 {
        let missing = self.tables.dag.dependencies(task).iter().take(COMPARED).filter(|&&d| !self.is_done(d));
        missing.fold(0, |sum, d| sum.saturating_add(self.tables.need[d.index()]))
    }

    /// Of the unfinished readers of `task`, the one that misses least; of equals, the first.
    fn nearest_reader(&mut self, task: TaskId) -> Option<TaskId> {
        let readers = self.tables.readers.dependencies(task);
        let cursor = &mut self.cursor[task.index()];
        while readers.get(*cursor as usize).is_some_and(|r| self.progress[r.index()].done) {
            *cursor += 1;
        }
        let rest = readers[*cursor as usize..].iter().copied();
        rest.take(4 * COMPARED)
            .filter(|r| !self.progress[r.index()].done)
            .take(COMPARED)
            .min_by_key(|r| self.progress[r.index()].missing)
    }
}
