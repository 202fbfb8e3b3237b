//! The table of tasks: one record of fixed size each, and what is rarely there in maps beside it.

use crate::links::NIL;
use crate::message::{Priority, TaskId};

/// Where a task stands.
///
/// ```text
///                  ┌──────────────────────── recall, loss ─────────────────────┐
///                  ▼                                                           │
///   Released ─▶ Waiting ─▶ (Queued | Unrunnable) ─▶ Processing ─▶ Memory ──────┤
///      ▲           │               │                    │  └────▶ Erred        │
///      └───────────┴───────────────┴────────────────────┴──────────────────────┘
///                            nobody needs it any more
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Known, without a result; nobody needs one now.
    Released,
    /// Needed; `waiting` of its inputs are not in memory.
    Waiting,
    /// Could run, but no worker has room.
    Queued,
    /// Could run, but no worker may run it.
    Unrunnable,
    /// Sent to `worker`.
    Processing,
    /// At least one worker holds the result.
    Memory,
    /// Failed, or something that it reads did. `Scheduler::failures` says why.
    Erred,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Released => "released",
            State::Waiting => "waiting",
            State::Queued => "queued",
            State::Unrunnable => "no-worker",
            State::Processing => "processing",
            State::Memory => "memory",
            State::Erred => "erred",
        }
    }

    /// Whether a task in this state needs its inputs.
    pub fn is_pending(self) -> bool {
        matches!(self, State::Waiting | State::Queued | State::Unrunnable | State::Processing)
    }
}

/// One task: 80 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub state: State,
    /// Reads nothing, or only a few tasks that many others of its layer read too: it can run anywhere.
    pub rootish: bool,
    /// It told us that it left its worker's pool of threads.
    pub long_running: bool,
    /// Deaths of workers that it may have caused.
    pub suspicious: u8,
    /// How often it has failed and been tried again.
    pub tries: u16,
    /// Whether it stands in this slot at all.
    pub occupied: bool,
    /// On `Scheduler::ready`, to be placed.
    pub listed: bool,
    /// Reads (with multiplicity) whose task is not in memory. Kept while the task is pending.
    pub waiting: u32,
    /// Reads of this task by pending tasks (with multiplicity).
    pub waiters: u32,
    /// Heads of its lists in `Scheduler::{deps, deps, replicas, wants}`.
    pub deps: u32,
    pub dependents: u32,
    pub replicas: u32,
    pub wants: u32,
    pub priority: Priority,
    /// Where it is processing, and its position in that worker's list; or its position among the unrunnable.
    pub worker: u32,
    pub position: u32,
    /// What it adds to its worker's occupancy.
    pub estimate_us: u32,
    pub run: u32,
    /// Which task of which layer it is.
    pub layer: u32,
    pub index: u32,
    pub prefix: u32,
    /// Counts the tasks that have stood in this slot.
    pub generation: u32,
    /// Size of the result, once known.
    pub nbytes: u64,
}

impl Task {
    pub fn new(layer: u32, index: u32, prefix: u32, priority: Priority) -> Self {
        Task {
            state: State::Released,
            rootish: false,
            long_running: false,
            suspicious: 0,
            tries: 0,
            occupied: true,
            listed: false,
            waiting: 0,
            waiters: 0,
            deps: NIL,
            dependents: NIL,
            replicas: NIL,
            wants: NIL,
            priority,
            worker: NIL,
            position: NIL,
            estimate_us: 0,
            run: 0,
            layer,
            index,
            prefix,
            generation: 0,
            nbytes: 0,
        }
    }

    /// Whether anybody needs its result.
    pub fn is_needed(&self) -> bool {
        self.wants != NIL || self.waiters > 0
    }
}

/// Tasks by slot. Slots are used again; [`TaskId`]s are not.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    slots: Vec<Task>,
    free: Vec<u32>,
}

impl Tasks {
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Makes room for many tasks, exactly; for few the table grows as usual.
    pub fn reserve(&mut self, additional: usize) {
        let missing = additional.saturating_sub(self.free.len());
        if missing > self.slots.len() / 4 {
            self.slots.reserve_exact(missing);
        }
    }

    pub fn nbytes(&self) -> usize {
        self.slots.capacity() * size_of::<Task>() + self.free.capacity() * size_of::<u32>()
    }

    pub fn insert(&mut self, task: Task) -> u32 {
        match self.free.pop() {
            Some(slot) => {
                let generation = self.slots[slot as usize].generation;
                self.slots[slot as usize] = Task { generation, ..task };
                slot
            }
            None => {
                self.slots.push(task);
                self.slots.len() as u32 - 1
            }
        }
    }

    pub fn remove(&mut self, slot: u32) {
        let task = &mut self.slots[slot as usize];
        task.occupied = false;
        task.generation = task.generation.wrapping_add(1);
        self.free.push(slot);
    }

    pub fn id(&self, slot: u32) -> TaskId {
        TaskId((u64::from(self.slots[slot as usize].generation) << 32) | u64::from(slot))
    }

    /// The slot of a task that has not been forgotten.
    pub fn find(&self, id: TaskId) -> Option<u32> {
        let (slot, generation) = (id.0 as u32, (id.0 >> 32) as u32);
        let task = self.slots.get(slot as usize)?;
        (task.occupied && task.generation == generation).then_some(slot)
    }

    /// One more than the highest slot.
    pub fn end(&self) -> u32 {
        self.slots.len() as u32
    }

    pub fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.slots.len() as u32).filter(|&slot| self.slots[slot as usize].occupied)
    }
}

impl std::ops::Index<u32> for Tasks {
    type Output = Task;
    fn index(&self, slot: u32) -> &Task {
        &self.slots[slot as usize]
    }
}

impl std::ops::IndexMut<u32> for Tasks {
    fn index_mut(&mut self, slot: u32) -> &mut Task {
        &mut self.slots[slot as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_small() {
        assert!(size_of::<Task>() <= 88);
    }

    #[test]
    fn identifiers_are_not_used_again() {
        let mut tasks = Tasks::default();
        let slot = tasks.insert(Task::new(0, 0, 0, Priority::default()));
        let id = tasks.id(slot);
        assert_eq!(tasks.find(id), Some(slot));
        tasks.remove(slot);
        assert_eq!(tasks.find(id), None);
        assert_eq!(tasks.insert(Task::new(0, 1, 0, Priority::default())), slot);
        assert_eq!(tasks.find(id), None);
        assert_ne!(tasks.id(slot), id);
        assert_eq!(tasks.len(), 1);
    }
}
