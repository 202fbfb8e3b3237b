//! Tasks that could run, by priority, until a worker has room.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::message::Priority;
use crate::task::{State, Tasks};

/// A heap with lazy removal: a task that leaves the queue before its turn changes its state, and its entry is
/// passed over.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<(Priority, u32)>>,
    /// Tasks that are in state [`State::Queued`].
    len: usize,
}

impl Queue {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn nbytes(&self) -> usize {
        self.heap.capacity() * size_of::<Reverse<(Priority, u32)>>()
    }

    pub fn push(&mut self, slot: u32, tasks: &mut Tasks) {
        tasks[slot].state = State::Queued;
        self.len += 1;
        self.heap.push(Reverse((tasks[slot].priority, slot)));
    }

    /// The task leaves the queue otherwise; the caller changes its state.
    pub fn forget(&mut self, tasks: &Tasks) {
        self.len -= 1;
        // Entries that are passed over must not outnumber the others for ever.
        if self.heap.len() > 1024 && self.heap.len() > 4 * self.len {
            self.heap.retain(|&Reverse((priority, slot))| is_queued(tasks, priority, slot));
        }
    }

    /// Takes out the first task; its state is the caller's to change.
    pub fn pop(&mut self, tasks: &Tasks) -> Option<u32> {
        while let Some(Reverse((priority, slot))) = self.heap.pop() {
            if is_queued(tasks, priority, slot) {
                self.len -= 1;
                return Some(slot);
            }
        }
        // An empty heap gives its memory back once it has been large.
        if self.heap.capacity() > 1 << 16 {
            self.heap = BinaryHeap::new();
        }
        None
    }
}

fn is_queued(tasks: &Tasks, priority: Priority, slot: u32) -> bool {
    let task = &tasks[slot];
    task.occupied && task.state == State::Queued && task.priority == priority
}
