//! What happened to tasks lately: a ring of steps.

use crate::message::Nanos;
use crate::task::State;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub at_ns: Nanos,
    pub slot: u32,
    pub generation: u32,
    pub from: State,
    pub to: State,
    pub worker: u32,
    pub cause: &'static str,
}

#[derive(Debug)]
pub(crate) struct Story {
    steps: Vec<Step>,
    /// Where the next step goes once the ring is full.
    next: usize,
    max: usize,
}

impl Story {
    pub fn new(max: usize) -> Self {
        Story { steps: Vec::new(), next: 0, max }
    }

    #[allow(clippy::too_many_arguments)]
    pub fn add(
        &mut self,
        at_ns: Nanos,
        slot: u32,
        generation: u32,
        from: State,
        to: State,
        cause: &'static str,
        worker: u32,
    ) {
        let step = Step { at_ns, slot, generation, from, to, worker, cause };
        if self.steps.len() < self.max {
            self.steps.push(step);
        } else if self.max > 0 {
            self.steps[self.next] = step;
            self.next = (self.next + 1) % self.max;
        }
    }

    /// The steps of one task, oldest first.
    pub fn of(&self, slot: u32, generation: u32) -> impl Iterator<Item = &Step> {
        let (newer, older) = self.steps.split_at(self.next);
        older.iter().chain(newer).filter(move |step| step.slot == slot && step.generation == generation)
    }
}
