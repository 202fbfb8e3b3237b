//! Work stealing: tasks move from workers where they would wait to workers that have nothing to do.
//!
//! A task is only moved if it then starts earlier, with what it costs to bring its inputs. The worker
//! that has it is asked for it, because it may have started: what it answers decides. Until then the task
//! stays where it is, and its estimate is counted at the thief, so that one idle worker is not given
//! everything.

use crate::links::NIL;
use crate::message::{Nanos, TaskId};
use crate::scheduler::Scheduler;
use crate::story::Cause;
use crate::task::State;

pub(crate) const INTERVAL_NS: Nanos = 100_000_000;
/// Of a victim's tasks, so many are looked at for each thief.
const LOOK_AT: usize = 16;
const MAX_STEALS_PER_ROUND: usize = 10_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Steal {
    pub thief: u32,
    pub victim: u32,
    pub estimate_us: u32,
}

impl Scheduler {
    /// One round over all workers.
    pub(crate) fn balance(&mut self) {
        if !self.config.work_stealing || self.running.len() < 2 {
            return;
        }
        let load = |w: u32| self.worker(w).map_or(0, |entry| entry.load() as usize);
        let idle = |&w: &u32| {
            self.worker(w)
                .is_some_and(|entry| entry.load() < entry.nthreads() && entry.delay_us() < INTERVAL_NS / 1000)
        };
        let mut thieves: Vec<u32> = self.running.iter().copied().filter(idle).collect();
        if thieves.is_empty() {
            return;
        }
        thieves.sort_unstable_by_key(|&w| (load(w), w));
        let busy = |w: u32| self.worker(w).filter(|entry| entry.load() > entry.nthreads());
        let mut victims: Vec<(u64, u32)> = (0..self.workers.len() as u32)
            .filter_map(|w| busy(w).map(|entry| (entry.delay_us(), w)))
            .collect();
        victims.sort_unstable_by_key(|&(delay, w)| (std::cmp::Reverse(delay), w));
        let mut left = MAX_STEALS_PER_ROUND;
        let mut first = 0;
        for thief in thieves {
            let mut at = first;
            while at < victims.len() && left > 0 {
                let victim = victims[at].1;
                let taken = self.rob(victim, thief);
                left -= taken.min(left);
                let Some(entry) = self.worker(thief) else { break };
                if taken == 0 {
                    at += 1;
                    // Nothing to be had for the first thief is rarely something for the next.
                    if at > first + 8 {
                        break;
                    }
                } else if entry.delay_us() >= INTERVAL_NS / 1000 {
                    break;
                }
            }
            while first < victims.len()
                && self.worker(victims[first].1).is_none_or(|e| e.load() <= e.nthreads())
            {
                first += 1;
            }
        }
    }

    /// Asks `victim` for tasks that would start earlier at `thief`. Gives their number.
    fn rob(&mut self, victim: u32, thief: u32) -> usize {
        let mut taken = 0;
        let n = self.worker(victim).map_or(0, |entry| entry.processing.len());
        for i in 0..n.min(LOOK_AT) {
            let (Some(from), Some(to)) = (self.worker(victim), self.worker(thief)) else { break };
            let slot = from.processing[n - 1 - i];
            let task = &self.tasks[slot];
            if task.long_running
                || self.steals.contains_key(&slot)
                || !self.may_run(slot, thief)
                || self.layers.get(task.layer).options.actor
            {
                continue;
            }
            let (mut results, mut nbytes) = (0, 0);
            let mut at = task.deps;
            while at != NIL {
                let input = &self.tasks[self.deps.right(at)];
                if !self.replicas.rights(input.replicas).any(|w| w == thief) {
                    results += 1;
                    nbytes += input.nbytes;
                }
                at = self.deps.next_of_left(at);
            }
            let estimate = u64::from(task.estimate_us);
            let there = to.delay_us() + self.transfer_us(results, nbytes) + 2 * self.config.latency_ns / 1000;
            let here = from.delay_us().saturating_sub(estimate / u64::from(from.nthreads()));
            if there + estimate / 10 >= here {
                continue;
            }
            let (run, id) = (task.run, self.tasks.id(slot));
            let estimate_us = task.estimate_us;
            self.steals.insert(slot, Steal { thief, victim, estimate_us });
            self.move_in_flight(victim, thief, i64::from(estimate_us));
            if let Some(outbox) = self.tell(victim) {
                outbox.steal(id, run);
            }
            taken += 1;
            if self.worker(thief).is_none_or(|entry| entry.delay_us() >= INTERVAL_NS / 1000) {
                break;
            }
        }
        taken
    }

    /// Asks a worker for a task that is to run elsewhere, wherever that will be.
    pub(crate) fn ask_back(&mut self, slot: u32, victim: u32) {
        let (run, id) = (self.tasks[slot].run, self.tasks.id(slot));
        self.steals.insert(slot, Steal { thief: NIL, victim, estimate_us: 0 });
        if let Some(outbox) = self.tell(victim) {
            outbox.steal(id, run);
        }
    }

    fn move_in_flight(&mut self, from: u32, to: u32, us: i64) {
        if let Some(entry) = self.worker_mut(from) {
            entry.in_flight_us -= us;
        }
        if let Some(entry) = self.worker_mut(to) {
            entry.in_flight_us += us;
        }
    }

    /// The task leaves its worker otherwise, or the question has been answered.
    pub(crate) fn forget_steal(&mut self, slot: u32) -> Option<Steal> {
        if self.steals.is_empty() {
            return None;
        }
        let steal = self.steals.remove(&slot)?;
        self.move_in_flight(steal.thief, steal.victim, i64::from(steal.estimate_us));
        Some(steal)
    }

    /// A worker is gone: what was to be stolen for it goes elsewhere when the answer comes.
    pub(crate) fn clear_steals_to(&mut self, thief: u32) {
        for steal in self.steals.values_mut().filter(|steal| steal.thief == thief) {
            steal.thief = NIL;
        }
    }

    /// What a victim says.
    pub(crate) fn steal_answered(&mut self, victim: u32, id: TaskId, run: u32, given: bool) {
        let Some(slot) = self.tasks.find(id) else { return };
        let task = self.tasks[slot];
        if task.state != State::Processing || task.worker != victim || task.run != run {
            return;
        }
        let steal = self.forget_steal(slot);
        if !given {
            return;
        }
        self.unassign(slot);
        let thief = steal.map(|steal| steal.thief).filter(|&thief| {
            self.worker(thief).is_some_and(|entry| entry.position_running != NIL) && self.may_run(slot, thief)
        });
        self.step(slot, State::Waiting, Cause::Stolen, victim);
        match thief {
            Some(thief) => self.assign(slot, thief),
            None => self.list_ready(slot),
        }
    }
}
