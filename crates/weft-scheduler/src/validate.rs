//! Everything that must hold between events. Linear in all tables: for tests and simulations.

use ahash::{AHashMap, AHashSet};

use crate::links::NIL;
use crate::scheduler::Scheduler;
use crate::task::State;

macro_rules! check {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}

impl Scheduler {
    /// What is wrong with the scheduler's tables, if anything is.
    pub fn validate(&self) -> Result<(), String> {
        let mut queued = 0;
        let mut edges = 0;
        let mut of_layer: AHashMap<u32, u32> = AHashMap::new();
        for slot in self.tasks.slots() {
            let task = &self.tasks[slot];
            let key = self.key(slot);
            let state = task.state;
            *of_layer.entry(task.layer).or_default() += 1;
            check!(self.find(&key) == Some(slot), "{key}: its key does not lead to it");
            let (mut missing, mut waiters) = (0, 0);
            for read in self.deps.rights(task.deps) {
                edges += 1;
                check!(self.tasks[read].occupied, "{key} reads a task that has been forgotten");
                missing += u32::from(self.tasks[read].state != State::Memory);
                check!(
                    !state.is_pending() || self.tasks[read].state != State::Released,
                    "{key} is {} and reads {}, which is released",
                    state.name(),
                    self.key(read)
                );
                check!(
                    !state.is_pending() || self.tasks[read].state != State::Erred,
                    "{key} is {} and reads {}, which has failed",
                    state.name(),
                    self.key(read)
                );
            }
            for reader in self.deps.lefts(task.dependents) {
                check!(self.tasks[reader].occupied, "{key} is read by a task that has been forgotten");
                waiters += u32::from(self.tasks[reader].state.is_pending());
            }
            check!(task.waiters == waiters, "{key}: {} waiters, of which {waiters} wait", task.waiters);
            if state.is_pending() {
                check!(task.waiting == missing, "{key}: waits for {}, misses {missing}", task.waiting);
                check!(state == State::Waiting || missing == 0, "{key} is {} without inputs", state.name());
                check!(task.is_needed(), "{key} is {} and not needed", state.name());
                check!(
                    state != State::Waiting || missing > 0 || self.ready.contains(&slot),
                    "{key} waits for nothing"
                );
            }
            let replicas = self.replicas.rights(task.replicas).count();
            check!(
                (state == State::Memory) == (replicas > 0),
                "{key} is {} with {replicas} replicas",
                state.name()
            );
            check!(state != State::Memory || task.is_needed(), "{key} is held and not needed");
            check!(
                (state == State::Erred) == self.failures.contains_key(&slot),
                "{key}: a failure without state"
            );
            check!(
                task.is_needed() || task.dependents != NIL,
                "{key} is {} and should have been forgotten",
                state.name()
            );
            if state == State::Released {
                check!(!task.is_needed(), "{key} is released and needed");
            }
            queued += usize::from(state == State::Queued);
            match state {
                State::Processing => {
                    let Some(worker) = self.worker(task.worker) else {
                        return Err(format!("{key} is on a worker that is gone"));
                    };
                    let there = worker.processing.get(task.position as usize) == Some(&slot);
                    check!(there, "{key} is not where it says that it is");
                }
                State::Unrunnable => {
                    let there = self.unrunnable.get(task.position as usize) == Some(&slot);
                    check!(there, "{key} is not among the unrunnable");
                }
                _ => {
                    check!(task.worker == NIL, "{key} is {} and has a worker", state.name());
                    check!(!self.steals.contains_key(&slot), "{key} is {} and being stolen", state.name());
                }
            }
        }
        check!(edges == self.deps.len(), "{} edges, {edges} of them of tasks", self.deps.len());
        check!(queued == self.queue.len(), "{} in the queue, {queued} queued", self.queue.len());
        check!(self.tasks.len() == self.index.len(), "{} tasks, {} keys", self.tasks.len(), self.index.len());
        check!(
            of_layer.len() == self.layers.len(),
            "{} layers, {} in use",
            self.layers.len(),
            of_layer.len()
        );
        for (&layer, &tasks) in &of_layer {
            let counted = self.layers.get(layer).tasks;
            check!(
                counted == tasks,
                "layer {}: {counted} tasks, {tasks} there",
                self.layers.get(layer).layer.name
            );
        }
        self.validate_workers()?;
        self.validate_wants()
    }

    fn validate_workers(&self) -> Result<(), String> {
        let (mut replicas, mut threads, mut in_flight) = (0, 0, 0);
        for (w, entry) in self.workers.iter().enumerate() {
            let Some(entry) = entry.as_deref() else { continue };
            let name = &entry.hello.name;
            threads += u64::from(entry.nthreads());
            in_flight += entry.in_flight_us;
            let occupancy: u64 =
                entry.processing.iter().map(|&slot| u64::from(self.tasks[slot].estimate_us)).sum();
            check!(
                occupancy == entry.occupancy_us,
                "{name}: occupancy {}, really {occupancy}",
                entry.occupancy_us
            );
            let long = entry.processing.iter().filter(|&&slot| self.tasks[slot].long_running).count();
            check!(long == entry.long_running as usize, "{name}: {} long, really {long}", entry.long_running);
            for (position, &slot) in entry.processing.iter().enumerate() {
                let task = &self.tasks[slot];
                let there = task.occupied && task.worker as usize == w && task.position as usize == position;
                check!(there && task.state == State::Processing, "{name} processes what is elsewhere");
            }
            let held: Vec<u32> = self.replicas.lefts(entry.replicas).collect();
            let nbytes: u64 = held.iter().map(|&slot| self.tasks[slot].nbytes).sum();
            check!(nbytes == entry.nbytes, "{name}: {} bytes, really {nbytes}", entry.nbytes);
            check!(held.len() == entry.n_replicas as usize, "{name}: replicas are miscounted");
            let distinct: AHashSet<u32> = held.iter().copied().collect();
            check!(distinct.len() == held.len(), "{name} holds something twice");
            replicas += held.len();
            for (list, position, what) in [
                (&self.running, entry.position_running, "running"),
                (&self.open, entry.position_open, "open"),
            ] {
                let listed = list.contains(&(w as u32));
                check!(listed == (position != NIL), "{name}: wrong about being {what}");
                check!(
                    !listed || list[position as usize] as usize == w,
                    "{name}: wrong place among the {what}"
                );
            }
        }
        check!(replicas == self.replicas.len(), "{} replicas, {replicas} held", self.replicas.len());
        check!(threads == self.total_threads, "{} threads, really {threads}", self.total_threads);
        let to_nobody: i64 = self
            .steals
            .values()
            .filter(|steal| self.worker(steal.thief).is_none())
            .map(|steal| i64::from(steal.estimate_us))
            .sum();
        check!(in_flight == -to_nobody, "{in_flight} µs of steals are in flight");
        let gone = |&&w: &&u32| self.worker(w).is_none();
        check!(self.running.iter().find(gone).is_none(), "a running worker is gone");
        check!(self.open.iter().find(gone).is_none(), "an open worker is gone");
        Ok(())
    }

    fn validate_wants(&self) -> Result<(), String> {
        let mut wants = 0;
        for client in self.clients.values() {
            check!(
                self.wants.links_of_right(client.wants).count() == client.futures.len(),
                "client {}: its futures and its wants differ",
                client.name
            );
            for (&future, &link) in &client.futures {
                wants += 1;
                check!(
                    self.want_futures[link as usize] == future,
                    "client {}: a future lost its want",
                    client.name
                );
                check!(
                    self.tasks[self.wants.left(link)].occupied,
                    "client {}: wants what is gone",
                    client.name
                );
            }
        }
        check!(wants == self.wants.len(), "{} wants, {wants} of clients", self.wants.len());
        Ok(())
    }
}
