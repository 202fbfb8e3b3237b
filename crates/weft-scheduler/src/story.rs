//! What happened to tasks lately: a ring of steps of 24 bytes.

use std::collections::BTreeMap;

use crate::message::Nanos;
use crate::task::State;

/// What makes a task change its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Cause {
    Needed,
    NotNeeded,
    Ready,
    Placed,
    Finished,
    CopyFound,
    Held,
    Failed,
    Retry,
    TriedAgain,
    Rescheduled,
    Stolen,
    WorkerLost,
    WorkerGone,
    InputLost,
    Lost,
    NoWorker,
    WorkersChanged,
    Computable,
}

impl Cause {
    pub fn text(self) -> &'static str {
        match self {
            Cause::Needed => "somebody needs it",
            Cause::NotNeeded => "nobody needs it",
            Cause::Ready => "its inputs are there",
            Cause::Placed => "sent to a worker",
            Cause::Finished => "finished",
            Cause::CopyFound => "a worker turned out to have a copy",
            Cause::Held => "a worker came with it, or a client put it there",
            Cause::Failed => "failed",
            Cause::Retry => "failed, and has tries left",
            Cause::TriedAgain => "a client asked to try again",
            Cause::Rescheduled => "it asked to run elsewhere",
            Cause::Stolen => "taken from a busy worker",
            Cause::WorkerLost => "its worker was lost",
            Cause::WorkerGone => "its worker had gone",
            Cause::InputLost => "an input was lost",
            Cause::Lost => "the last copy was lost",
            Cause::NoWorker => "no worker may run it",
            Cause::WorkersChanged => "workers have changed",
            Cause::Computable => "a graph says how to compute it",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub at_ns: Nanos,
    pub slot: u32,
    pub generation: u32,
    pub worker: u32,
    pub from: State,
    pub to: State,
    pub cause: Cause,
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

    pub fn add(&mut self, step: Step) {
        if self.steps.len() < self.max {
            self.steps.push(step);
        } else if self.max > 0 {
            self.steps[self.next] = step;
            self.next += 1;
            if self.next == self.max {
                self.next = 0;
            }
        }
    }

    /// The steps of one task, oldest first.
    pub fn of(&self, slot: u32, generation: u32) -> impl Iterator<Item = &Step> {
        let (newer, older) = self.steps.split_at(self.next);
        older.iter().chain(newer).filter(move |step| step.slot == slot && step.generation == generation)
    }

    /// How often each cause comes up.
    pub fn causes(&self) -> BTreeMap<&'static str, usize> {
        let mut causes = BTreeMap::new();
        for step in &self.steps {
            *causes.entry(step.cause.text()).or_insert(0) += 1;
        }
        causes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_last_steps_in_order() {
        assert_eq!(size_of::<Step>(), 24);
        let mut story = Story::new(3);
        for at_ns in 0..5 {
            let (from, to, cause) = (State::Released, State::Waiting, Cause::Needed);
            story.add(Step { at_ns, slot: at_ns as u32 % 2, generation: 0, worker: 0, from, to, cause });
        }
        assert_eq!(story.of(0, 0).map(|step| step.at_ns).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(story.of(1, 0).map(|step| step.at_ns).collect::<Vec<_>>(), [3]);
        assert_eq!(story.causes().values().sum::<usize>(), 3);
    }
}
