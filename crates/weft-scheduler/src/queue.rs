//! Tasks that could run, by priority, until a worker has room.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::message::Priority;
use crate::task::{State, Tasks};

/// Sorted runs and a heap, with lazy removal: a task that leaves the queue before its turn changes its state,
/// and its entry is passed over.
///
/// A graph that makes many tasks ready at once makes a run, which is sorted once and then read from its end.
/// Single tasks go to the heap.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Each sorted so that its first task stands last.
    runs: Vec<Vec<Entry>>,
    heap: BinaryHeap<Reverse<Entry>>,
    /// Pushed since the last pop.
    fresh: Vec<Entry>,
    /// Tasks that are in state [`State::Queued`].
    len: usize,
}

type Entry = (Priority, u32);

/// So many tasks at once make a run.
const LONG: usize = 256;
const MAX_RUNS: usize = 8;

impl Queue {
    pub fn len(&self) -> usize {
        self.len
    }

    fn entries(&self) -> usize {
        self.runs.iter().map(Vec::len).sum::<usize>() + self.heap.len() + self.fresh.len()
    }

    pub fn nbytes(&self) -> usize {
        let entries = self.runs.iter().map(Vec::capacity).sum::<usize>() + self.heap.capacity();
        (entries + self.fresh.capacity()) * size_of::<Entry>()
    }

    pub fn push(&mut self, slot: u32, tasks: &mut Tasks) {
        tasks[slot].state = State::Queued;
        self.len += 1;
        self.fresh.push((tasks[slot].priority, slot));
    }

    /// The task leaves the queue otherwise; the caller changes its state.
    pub fn forget(&mut self, tasks: &Tasks) {
        self.len -= 1;
        // Entries that are passed over must not outnumber the others for ever.
        let entries = self.entries();
        if entries > 1024 && entries > 4 * self.len {
            self.heap.retain(|&Reverse(entry)| is_queued(tasks, entry));
            self.fresh.retain(|&entry| is_queued(tasks, entry));
            for run in &mut self.runs {
                run.retain(|&entry| is_queued(tasks, entry));
                run.shrink_to_fit();
            }
            self.runs.retain(|run| !run.is_empty());
        }
    }

    fn sort_fresh(&mut self) {
        if self.fresh.len() < LONG {
            self.heap.extend(self.fresh.drain(..).map(Reverse));
            return;
        }
        let mut run = std::mem::take(&mut self.fresh);
        run.sort_by(|a, b| b.cmp(a));
        self.runs.push(run);
        if self.runs.len() > MAX_RUNS {
            // Sorting what is made of sorted runs only merges them.
            let mut all = self.runs.concat();
            all.sort_by(|a, b| b.cmp(a));
            self.runs = vec![all];
        }
    }

    /// Takes out the first task; its state is the caller's to change.
    pub fn pop(&mut self, tasks: &Tasks) -> Option<u32> {
        if !self.fresh.is_empty() {
            self.sort_fresh();
        }
        loop {
            let mut first = self.heap.peek().map(|&Reverse(entry)| entry);
            let mut from = None;
            for (i, run) in self.runs.iter().enumerate() {
                if let Some(&entry) = run.last()
                    && first.is_none_or(|first| entry < first)
                {
                    (first, from) = (Some(entry), Some(i));
                }
            }
            let entry = first?;
            match from {
                None => {
                    self.heap.pop();
                }
                Some(i) => {
                    self.runs[i].pop();
                    if self.runs[i].is_empty() {
                        self.runs.swap_remove(i);
                    }
                }
            }
            if is_queued(tasks, entry) {
                self.len -= 1;
                return Some(entry.1);
            }
        }
    }
}

fn is_queued(tasks: &Tasks, (priority, slot): Entry) -> bool {
    let task = &tasks[slot];
    task.occupied && task.state == State::Queued && task.priority == priority
}
