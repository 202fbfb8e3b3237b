//! Which worker runs a task.
//!
//! - A task that only makes data (`rootish`) can run anywhere. It waits in the queue until a worker
//!   has *room*, so that such tasks do not run ahead of what consumes their results. Neighbours in the order
//!   go to the same worker while there are many.
//! - Any other task goes, as soon as it is ready, to the worker where it is expected to start first: the wait for a
//!   thread, and the time to bring what is not there. Candidates are the holders of its inputs and
//!   a few workers with room.
//! - A task with restrictions goes to the worker where it starts first among those that may run it.

use crate::links::NIL;
use crate::message::{Assigned, Source, WorkerId};
use crate::scheduler::Scheduler;
use crate::story::Cause;
use crate::task::State;

/// Of the holders of one input, so many are candidates.
const HOLDERS_PER_INPUT: usize = 8;
const MAX_CANDIDATES: usize = 20;
/// So many sources of an input are named to a worker.
const MAX_SOURCES: usize = 6;
/// Above this part of its memory limit a worker that is busy gets no more tasks that only make data.
const FULL: f64 = 0.6;
/// A layer is spread over all workers if it has this many tasks for each thread.
const SPREAD: u64 = 2;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    worker: u32,
    /// Inputs that it holds.
    held: u64,
    held_nbytes: u64,
}

impl Scheduler {
    /// Whether the task waits for room rather than for its inputs' place.
    fn is_spread(&self, slot: u32) -> bool {
        let task = &self.tasks[slot];
        if !task.rootish {
            return false;
        }
        task.deps == NIL || u64::from(self.layers.get(task.layer).size) >= SPREAD * self.total_threads
    }

    pub(crate) fn place_ready(&mut self) {
        let mut ready = std::mem::take(&mut self.ready);
        if ready.len() > 1 {
            ready.sort_unstable_by_key(|&slot| (self.tasks[slot].priority, slot));
        }
        for slot in ready.drain(..) {
            let task = &mut self.tasks[slot];
            task.listed = false;
            if task.occupied && task.state == State::Waiting && task.waiting == 0 {
                if task.is_needed() {
                    self.place(slot);
                } else {
                    self.loose.push(slot);
                }
            }
        }
        if self.ready.is_empty() {
            self.ready = ready;
        }
    }

    fn place(&mut self, slot: u32) {
        let layer = self.layers.get(self.tasks[slot].layer);
        let hold = self.paused || self.recovering_until.is_some();
        if layer.restricted && !hold {
            match self.place_restricted(slot) {
                Some(worker) => self.assign(slot, worker),
                None => self.set_unrunnable(slot),
            }
        } else if hold || self.is_spread(slot) || self.running.is_empty() {
            self.step(slot, State::Queued, Cause::Ready, NIL);
            self.queue.push(slot, &mut self.tasks);
        } else {
            let worker = self.nearest(slot);
            self.assign(slot, worker);
        }
    }

    fn set_unrunnable(&mut self, slot: u32) {
        self.step(slot, State::Unrunnable, Cause::NoWorker, NIL);
        self.tasks[slot].position = self.unrunnable.len() as u32;
        self.unrunnable.push(slot);
        if self.config.no_workers_timeout_ns.is_some() {
            self.unrunnable_since.entry(self.tasks.id(slot)).or_insert(self.now);
        }
    }

    /// Workers have changed: what could not run may run now.
    pub(crate) fn retry_unrunnable(&mut self) {
        for slot in std::mem::take(&mut self.unrunnable) {
            self.tasks[slot].position = NIL;
            self.put_back(slot, Cause::WorkersChanged);
        }
    }

    pub(crate) fn unrunnable_on_time(&mut self) {
        let Some(timeout) = self.config.no_workers_timeout_ns else { return };
        let (tasks, now) = (&self.tasks, self.now);
        let mut late = Vec::new();
        self.unrunnable_since.retain(|&id, since| {
            let slot = tasks.find(id).filter(|&slot| tasks[slot].state == State::Unrunnable);
            late.extend(slot.filter(|_| *since + timeout <= now));
            slot.is_some()
        });
        late.sort_unstable();
        for slot in late {
            let reason = "no worker that may run it has come in time".into();
            self.fail(slot, std::sync::Arc::new(crate::message::Failure::Cancelled { reason }));
        }
    }

    /// Workers with these names, addresses or hosts; all if none are given.
    pub(crate) fn workers_called(&self, names: &[std::sync::Arc<str>]) -> Vec<u32> {
        let mut found: Vec<u32> = match names.is_empty() {
            true => (0..self.workers.len() as u32).filter(|&w| self.worker(w).is_some()).collect(),
            false => names.iter().filter_map(|name| self.called.get(name)).flatten().copied().collect(),
        };
        found.sort_unstable();
        found.dedup();
        found
    }

    fn place_restricted(&mut self, slot: u32) -> Option<u32> {
        let options = self.layers.get(self.tasks[slot].layer).options.clone();
        let may = |w: &u32| {
            self.worker(*w)
                .is_some_and(|entry| entry.position_running != NIL && entry.has_resources(&options.resources))
        };
        let mut eligible: Vec<u32> = match options.workers.is_empty() {
            true => self.running.iter().copied().filter(may).collect(),
            false => self.workers_called(&options.workers).into_iter().filter(may).collect(),
        };
        if eligible.is_empty() && options.allow_other_workers {
            eligible = self.running.iter().copied().filter(may).collect();
        }
        self.scratch.candidates.clear();
        self.scratch.candidates.extend(eligible.into_iter().map(|worker| Candidate {
            worker,
            held: 0,
            held_nbytes: 0,
        }));
        self.best_candidate(slot)
    }

    pub(crate) fn may_run(&self, slot: u32, worker: u32) -> bool {
        let layer = self.layers.get(self.tasks[slot].layer);
        let Some(entry) = self.worker(worker) else { return false };
        !layer.restricted
            || (entry.has_resources(&layer.options.resources)
                && (layer.options.workers.is_empty()
                    || layer.options.allow_other_workers
                    || layer.options.workers.iter().any(|name| entry.is_called(name))))
    }

    /// Where an unrestricted task starts first. There are running workers.
    fn nearest(&mut self, slot: u32) -> u32 {
        self.scratch.candidates.clear();
        let mut at = self.tasks[slot].deps;
        while at != NIL && self.scratch.candidates.len() < MAX_CANDIDATES {
            let read = self.deps.right(at);
            let mut replica = self.tasks[read].replicas;
            for _ in 0..HOLDERS_PER_INPUT {
                if replica == NIL {
                    break;
                }
                self.add_candidate(self.replicas.right(replica));
                replica = self.replicas.next_of_left(replica);
            }
            at = self.deps.next_of_left(at);
        }
        for _ in 0..2 {
            if let Some(&worker) = self.open.get(self.cursor) {
                self.add_candidate(worker);
                self.cursor += 1;
            } else {
                self.cursor = 0;
            }
        }
        if self.scratch.candidates.is_empty() {
            for _ in 0..4 {
                let at = (self.random() >> 8) as usize % self.running.len();
                self.add_candidate(self.running[at]);
            }
        }
        match self.best_candidate(slot) {
            Some(worker) => worker,
            None => self.running[0],
        }
    }

    fn add_candidate(&mut self, worker: u32) {
        let running = self.worker(worker).is_some_and(|entry| entry.position_running != NIL);
        if running && !self.scratch.candidates.iter().any(|c| c.worker == worker) {
            self.scratch.candidates.push(Candidate { worker, held: 0, held_nbytes: 0 });
        }
    }

    /// The candidate that can start first; among equals the one with the least to keep.
    fn best_candidate(&mut self, slot: u32) -> Option<u32> {
        let mut candidates = std::mem::take(&mut self.scratch.candidates);
        let chosen = if candidates.len() < 2 {
            candidates.first().map(|c| c.worker)
        } else {
            let (mut reads, mut nbytes) = (0u64, 0u64);
            let mut at = self.tasks[slot].deps;
            while at != NIL {
                let input = &self.tasks[self.deps.right(at)];
                reads += 1;
                nbytes += input.nbytes;
                for worker in self.replicas.rights(input.replicas) {
                    if let Some(candidate) = candidates.iter_mut().find(|c| c.worker == worker) {
                        candidate.held += 1;
                        candidate.held_nbytes += input.nbytes;
                    }
                }
                at = self.deps.next_of_left(at);
            }
            let cost = |c: &Candidate| {
                let entry = self.worker(c.worker)?;
                let bring = self.transfer_us(reads - c.held, nbytes - c.held_nbytes);
                Some((entry.delay_us() + bring, entry.nbytes, c.worker))
            };
            candidates.iter().filter_map(cost).min().map(|(_, _, worker)| worker)
        };
        candidates.clear();
        self.scratch.candidates = candidates;
        chosen
    }

    /// How long it takes to bring so many results of so many bytes together.
    pub(crate) fn transfer_us(&self, results: u64, nbytes: u64) -> u64 {
        if results == 0 {
            return 0;
        }
        // Results of one peer come together; after a few, latencies overlap.
        let latency = self.config.latency_ns / 1000 * results.min(4);
        latency + (nbytes as f64 / self.config.bandwidth_bytes_per_s * 1e6) as u64
    }

    /// Sends queued tasks to workers with room.
    pub(crate) fn fill(&mut self) {
        if self.paused || self.recovering_until.is_some() {
            return;
        }
        while !self.open.is_empty() {
            let Some(slot) = self.queue.pop(&self.tasks) else { break };
            if self.layers.get(self.tasks[slot].layer).restricted {
                match self.place_restricted(slot) {
                    Some(worker) => self.assign(slot, worker),
                    None => self.set_unrunnable(slot),
                }
            } else if self.is_spread(slot) {
                let worker = self.next_open();
                self.assign(slot, worker);
            } else {
                let worker = self.nearest(slot);
                self.assign(slot, worker);
            }
        }
    }

    /// A worker with room: the same for a run of neighbours, then the next. There is one.
    fn next_open(&mut self) -> u32 {
        let (worker, left) = self.run;
        if left > 0 && self.worker(worker).is_some_and(|entry| entry.position_open != NIL) {
            self.run.1 -= 1;
            return worker;
        }
        if self.cursor >= self.open.len() {
            self.cursor = 0;
        }
        let worker = self.open[self.cursor];
        self.cursor += 1;
        let threads = self.worker(worker).map_or(1, |entry| u64::from(entry.nthreads()));
        let share = self.queue.len() as u64 / self.total_threads.max(1);
        self.run = (worker, share.clamp(1, threads) as u32 - 1);
        worker
    }

    /// Whether a worker can take another task that only makes data.
    fn has_room(&self, worker: u32) -> bool {
        let Some(entry) = self.worker(worker) else { return false };
        if entry.position_running == NIL {
            return false;
        }
        let (load, threads) = (entry.load(), entry.nthreads());
        if load == 0 {
            return true;
        }
        let limit = entry.memory_limit as f64;
        if limit > 0.0 && entry.nbytes as f64 > FULL * limit {
            return false;
        }
        f64::from(load) < (self.config.worker_saturation * f64::from(threads)).ceil()
            || (entry.occupancy_us < self.config.prefetch_ns / 1000 * u64::from(threads)
                && f64::from(load) * self.root_nbytes < self.config.prefetch_nbytes as f64)
    }

    /// Puts a worker on the list of those with room, or takes it off.
    pub(crate) fn update_open(&mut self, worker: u32) {
        let room = self.has_room(worker);
        let at = self.open.len() as u32;
        let Some(entry) = self.worker_mut(worker) else { return };
        let position = entry.position_open;
        if room == (position != NIL) {
            return;
        }
        if room {
            entry.position_open = at;
            self.open.push(worker);
        } else {
            entry.position_open = NIL;
            self.open.swap_remove(position as usize);
            if let Some(&moved) = self.open.get(position as usize)
                && let Some(entry) = self.worker_mut(moved)
            {
                entry.position_open = position;
            }
        }
    }

    /// Sends a ready task to a worker.
    pub(crate) fn assign(&mut self, slot: u32, worker: u32) {
        self.step(slot, State::Processing, Cause::Placed, worker);
        let estimate = self.estimate_us(slot);
        let id = self.tasks.id(slot);
        let known = self.prefixes.get(self.tasks[slot].prefix).duration_us;
        if self.tell(worker).is_none() {
            return self.put_back(slot, Cause::WorkerGone);
        }
        let Some(entry) = self.workers[worker as usize].as_deref_mut() else { return };
        let task = &mut self.tasks[slot];
        task.run += 1;
        task.worker = worker;
        task.position = entry.processing.len() as u32;
        task.estimate_us = estimate;
        entry.processing.push(slot);
        entry.occupancy_us += u64::from(estimate);

        let task = *task;
        let mut sources = std::mem::take(&mut self.scratch.workers);
        let mut n_inputs = 0;
        let mut at = task.deps;
        while at != NIL {
            let read = self.deps.right(at);
            sources.clear();
            self.sources_of(read, worker, &mut sources);
            self.introduce(worker, &sources);
            let source =
                Source { task: self.tasks.id(read), nbytes: self.tasks[read].nbytes, workers: &sources };
            if let Some(entry) = self.workers[worker as usize].as_deref_mut() {
                entry.outbox.input(source);
            }
            n_inputs += 1;
            at = self.deps.next_of_left(at);
        }
        self.scratch.workers = sources;
        let (blob, payload) = self.layers.work(task.layer, task.index);
        self.send_blob(worker, blob);
        let assigned = Assigned {
            task: id,
            run: task.run,
            key: self.key(slot),
            priority: task.priority,
            estimate_ns: u64::from(known.unwrap_or(0)) * 1000,
            blob,
            index: task.index,
            payload,
            n_inputs,
            options: self.layers.get(task.layer).special.clone(),
        };
        if let Some(entry) = self.workers[worker as usize].as_deref_mut() {
            entry.outbox.assign(assigned);
        }
        self.update_open(worker);
    }

    fn estimate_us(&self, slot: u32) -> u32 {
        let known = self.prefixes.get(self.tasks[slot].prefix).duration_us;
        known.unwrap_or((self.config.unknown_duration_ns / 1000) as u32)
    }

    /// Who has it; nobody is named if the worker itself does.
    pub(crate) fn sources_of(&self, slot: u32, worker: u32, sources: &mut Vec<WorkerId>) {
        for holder in self.replicas.rights(self.tasks[slot].replicas) {
            if holder == worker {
                sources.clear();
                return;
            }
            if sources.len() < MAX_SOURCES {
                sources.push(WorkerId(holder));
            }
        }
    }

    /// Tells a worker the addresses of peers that it has not heard of.
    fn introduce(&mut self, worker: u32, peers: &[WorkerId]) {
        for peer in peers {
            let new = self.worker_mut(worker).is_some_and(|entry| entry.knows.insert(peer.0));
            if new
                && let Some(peer) = self.peer(peer.0)
                && let Some(entry) = self.worker_mut(worker)
            {
                entry.outbox.compute().peers.push(peer);
            }
        }
    }

    fn send_blob(&mut self, worker: u32, blob: Option<crate::message::Digest>) {
        let Some(digest) = blob else { return };
        let Some(entry) = self.workers[worker as usize].as_deref_mut() else { return };
        if entry.blobs.insert(digest)
            && let Some(bytes) = self.layers.blobs.bytes(digest)
        {
            entry.outbox.compute().blobs.push(crate::message::Blob { digest, bytes: bytes.clone() });
        }
    }
}
