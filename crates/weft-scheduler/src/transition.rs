//! Changes of a task's state.
//!
//! Everything rests on two counts: a pending task knows how many of its reads are not in memory
//! (`waiting`), and every task knows how many reads of it are by pending tasks (`waiters`). An event changes states
//! directly and puts what may follow on worklists; [`Scheduler::settle`] empties them, so nothing here
//! recurses however deep the graph is:
//!
//! - `needed`: released tasks that somebody may need now;
//! - `loose`: tasks that nobody may need any more;
//! - `ready`: waiting tasks whose inputs may all be in memory.
//!
//! Entries are hints: what they say is checked when their turn comes.
//!
//! **What a worker is told and what it says.** Whenever the scheduler drops an assignment or a replica it says so to the
//! worker in the same step, so a message about a run that is not the current one is about something that the worker will
//! have dropped by the time it reads on: such messages are ignored. (Stealing is the exception: the worker drops
//! the task itself, and says so.)

use std::sync::Arc;

use crate::links::NIL;
use crate::message::{Done, Failure, Finished, Nanos, TaskId, WorkerId};
use crate::scheduler::{Failed, Scheduler};
use crate::story::{Cause, Step};
use crate::task::State;

/// How often a result may turn out to be out of reach before its readers fail.
const MAX_TROUBLE: u32 = 20;
/// How often a worker is told again to try a source that it could not reach.
const TRIES_PER_LOSS: u32 = 3;

impl Scheduler {
    /// Follows up until nothing is left to follow.
    pub(crate) fn settle(&mut self) {
        loop {
            loop {
                if let Some(slot) = self.needed.pop() {
                    self.pursue(slot);
                } else if let Some(slot) = self.loose.pop() {
                    self.let_go(slot);
                } else {
                    break;
                }
            }
            self.place_ready();
            if self.needed.is_empty() && self.loose.is_empty() && self.ready.is_empty() {
                break;
            }
        }
        self.fill();
    }

    pub(crate) fn step(&mut self, slot: u32, to: State, cause: Cause, worker: u32) {
        let task = &mut self.tasks[slot];
        let from = std::mem::replace(&mut task.state, to);
        let (at_ns, generation) = (self.now, task.generation);
        self.story.add(Step { at_ns, slot, generation, worker, from, to, cause });
    }

    /// A released task that is needed starts to wait for its inputs.
    fn pursue(&mut self, slot: u32) {
        let task = self.tasks[slot];
        if !task.occupied || task.state != State::Released || !task.is_needed() {
            return;
        }
        if !self.layers.is_computable(task.layer) {
            return self.fail_known(slot);
        }
        self.step(slot, State::Waiting, Cause::Needed, NIL);
        let mut waiting = 0;
        let mut failed = NIL;
        let mut at = task.deps;
        while at != NIL {
            let read = self.deps.right(at);
            let input = &mut self.tasks[read];
            input.waiters += 1;
            match input.state {
                State::Memory => {}
                State::Erred => failed = read,
                State::Released => {
                    waiting += 1;
                    self.needed.push(read);
                }
                _ => waiting += 1,
            }
            at = self.deps.next_of_left(at);
        }
        self.tasks[slot].waiting = waiting;
        if failed != NIL {
            let why = self.failures.get(&failed).cloned();
            if let Some(why) = why {
                self.fail_like(slot, &why);
            }
        } else if waiting == 0 {
            self.list_ready(slot);
        }
    }

    /// Data that nothing can compute is needed and not there.
    fn fail_known(&mut self, slot: u32) {
        let key = self.key(slot);
        let failure = match self.tasks[slot].nbytes {
            0 => Failure::UnknownInput { key },
            _ => Failure::Lost { last_worker: "".into() },
        };
        self.fail(slot, Arc::new(failure));
    }

    pub(crate) fn list_ready(&mut self, slot: u32) {
        let task = &mut self.tasks[slot];
        if !task.listed {
            task.listed = true;
            self.ready.push(slot);
        }
    }

    /// A task that nobody needs is released, and forgotten if nothing reads it.
    fn let_go(&mut self, slot: u32) {
        let task = &self.tasks[slot];
        if !task.occupied || task.is_needed() {
            return;
        }
        match task.state {
            State::Released => {}
            State::Waiting | State::Queued | State::Unrunnable | State::Processing => {
                self.withdraw(slot);
                self.step(slot, State::Released, Cause::NotNeeded, NIL);
                self.release_inputs(slot);
            }
            State::Memory => {
                self.free_replicas(slot);
                self.step(slot, State::Released, Cause::NotNeeded, NIL);
            }
            State::Erred => {
                self.failures.remove(&slot);
                self.step(slot, State::Released, Cause::NotNeeded, NIL);
            }
        }
        if self.tasks[slot].dependents == NIL {
            self.forget(slot);
        }
    }

    fn forget(&mut self, slot: u32) {
        let mut at = self.tasks[slot].deps;
        while at != NIL {
            let next = self.deps.next_of_left(at);
            let removed = self.deps.remove(at);
            if let Some(head) = removed.right_head {
                self.tasks[removed.right].dependents = head;
                if head == NIL {
                    self.loose.push(removed.right);
                }
            }
            at = next;
        }
        self.trouble.remove(&slot);
        self.index.remove(slot, &self.tasks, &self.layers);
        let layer = self.tasks[slot].layer;
        self.prefixes.went(self.tasks[slot].prefix);
        self.tasks.remove(slot);
        let gone = self.layers.forget_task(layer);
        if !gone.is_empty() {
            self.forget_blobs(&gone);
        }
    }

    /// A pending task does no longer need its inputs.
    fn release_inputs(&mut self, slot: u32) {
        let mut at = self.tasks[slot].deps;
        while at != NIL {
            let read = self.deps.right(at);
            let input = &mut self.tasks[read];
            input.waiters -= 1;
            if !input.is_needed() {
                self.loose.push(read);
            }
            at = self.deps.next_of_left(at);
        }
    }

    /// Takes a pending task from whatever list it is on; its worker is told to forget it.
    pub(crate) fn withdraw(&mut self, slot: u32) {
        match self.tasks[slot].state {
            State::Queued => {
                self.tasks[slot].state = State::Waiting;
                self.queue.forget(&self.tasks);
            }
            State::Unrunnable => {
                let at = self.tasks[slot].position;
                self.unrunnable.swap_remove(at as usize);
                if let Some(&moved) = self.unrunnable.get(at as usize) {
                    self.tasks[moved].position = at;
                }
                self.tasks[slot].position = NIL;
            }
            State::Processing => {
                let (worker, id) = (self.tasks[slot].worker, self.tasks.id(slot));
                self.unassign(slot);
                if let Some(outbox) = self.tell(worker) {
                    outbox.free_assigned(id);
                }
            }
            _ => {}
        }
    }

    /// Takes a processing task from its worker's list. The state is the caller's to change.
    pub(crate) fn unassign(&mut self, slot: u32) {
        self.forget_steal(slot);
        let task = &mut self.tasks[slot];
        let (worker, at) = (task.worker, task.position);
        let long_running = std::mem::take(&mut task.long_running);
        let estimate = u64::from(std::mem::take(&mut task.estimate_us));
        (task.worker, task.position) = (NIL, NIL);
        let Some(entry) = self.workers[worker as usize].as_deref_mut() else { return };
        entry.processing.swap_remove(at as usize);
        if let Some(&moved) = entry.processing.get(at as usize) {
            self.tasks[moved].position = at;
        }
        entry.occupancy_us -= estimate;
        entry.long_running -= u32::from(long_running);
        self.update_open(worker);
    }

    /// The same when the worker is gone with all its lists.
    pub(crate) fn unassign_lost(&mut self, slot: u32) {
        self.forget_steal(slot);
        let task = &mut self.tasks[slot];
        task.long_running = false;
        task.estimate_us = 0;
        (task.worker, task.position) = (NIL, NIL);
        task.state = State::Waiting;
        self.list_ready(slot);
    }

    /// A task is sent back to wait for another place to run.
    pub(crate) fn put_back(&mut self, slot: u32, cause: Cause) {
        self.step(slot, State::Waiting, cause, NIL);
        self.list_ready(slot);
    }

    pub(crate) fn add_replica(&mut self, slot: u32, worker: u32) {
        let Some(entry) = self.workers[worker as usize].as_deref_mut() else { return };
        let task = &mut self.tasks[slot];
        let link = self.replicas.add(slot, task.replicas, worker, entry.replicas);
        task.replicas = link;
        entry.replicas = link;
        entry.n_replicas += 1;
        entry.nbytes += task.nbytes;
    }

    pub(crate) fn remove_replica(&mut self, link: u32) {
        let removed = self.replicas.remove(link);
        if let Some(head) = removed.left_head {
            self.tasks[removed.left].replicas = head;
        }
        let nbytes = self.tasks[removed.left].nbytes;
        if let Some(entry) = self.workers[removed.right as usize].as_deref_mut() {
            if let Some(head) = removed.right_head {
                entry.replicas = head;
            }
            entry.n_replicas -= 1;
            entry.nbytes -= nbytes;
        }
    }

    /// The link of a task's replica on a worker.
    pub(crate) fn replica(&self, slot: u32, worker: u32) -> Option<u32> {
        self.replicas.links_of_left(self.tasks[slot].replicas).find(|&at| self.replicas.right(at) == worker)
    }

    fn free_replicas(&mut self, slot: u32) {
        let id = self.tasks.id(slot);
        let mut at = self.tasks[slot].replicas;
        while at != NIL {
            let next = self.replicas.next_of_left(at);
            let worker = self.replicas.right(at);
            self.remove_replica(at);
            if let Some(outbox) = self.tell(worker) {
                outbox.free(id);
            }
            at = next;
        }
    }

    /// The result is on a worker. Clients hear of it, readers may run, inputs may go.
    pub(crate) fn arrived(&mut self, slot: u32, worker: u32, nbytes: u64, cause: Cause) {
        let pending = self.tasks[slot].state.is_pending();
        if self.tasks[slot].state == State::Erred {
            self.failures.remove(&slot);
        }
        self.step(slot, State::Memory, cause, worker);
        self.tasks[slot].nbytes = nbytes;
        self.add_replica(slot, worker);
        if pending {
            self.release_inputs(slot);
        }
        let mut at = self.tasks[slot].dependents;
        while at != NIL {
            let reader = self.deps.left(at);
            let task = &mut self.tasks[reader];
            if task.state == State::Waiting {
                task.waiting -= 1;
                if task.waiting == 0 {
                    self.list_ready(reader);
                }
            }
            at = self.deps.next_of_right(at);
        }
        self.announce(slot);
        if !self.tasks[slot].is_needed() {
            self.loose.push(slot);
        }
    }

    /// Tells all clients that want a task how it stands.
    pub(crate) fn announce(&mut self, slot: u32) {
        let mut at = self.tasks[slot].wants;
        while at != NIL {
            let next = self.wants.next_of_left(at);
            self.announce_to(slot, at);
            at = next;
        }
    }

    pub(crate) fn announce_to(&mut self, slot: u32, want: u32) {
        let (client, future) = (self.wants.right(want), self.want_futures[want as usize]);
        let task = self.tasks.id(slot);
        match self.tasks[slot].state {
            State::Memory => {
                let worker = self.replicas.right(self.tasks[slot].replicas);
                let new = self.clients.get_mut(&client).is_some_and(|client| client.knows.insert(worker));
                let peer = if new { self.peer(worker) } else { None };
                let nbytes = self.tasks[slot].nbytes;
                if let Some(outbox) = self.tell_client(client) {
                    outbox.done(Done { future, task, worker: WorkerId(worker), nbytes }, peer);
                }
                self.detached_done(client, future);
            }
            State::Erred => {
                if let Some(failed) = self.failures.get(&slot).cloned()
                    && let Some(outbox) = self.tell_client(client)
                {
                    outbox.erred(future, &failed.origin, &failed.failure);
                }
                self.detached_done(client, future);
            }
            _ => {}
        }
    }

    /// The last replica is gone.
    pub(crate) fn lost(&mut self, slot: u32, last_worker: &Arc<str>) {
        if self.tasks[slot].state != State::Memory {
            return;
        }
        self.step(slot, State::Released, Cause::Lost, NIL);
        let mut at = self.tasks[slot].dependents;
        while at != NIL {
            let next = self.deps.next_of_right(at);
            let reader = self.deps.left(at);
            if self.tasks[reader].state.is_pending() {
                if self.tasks[reader].state != State::Waiting {
                    self.withdraw(reader);
                    self.step(reader, State::Waiting, Cause::InputLost, NIL);
                }
                self.tasks[reader].waiting += 1;
            }
            at = next;
        }
        if !self.tasks[slot].is_needed() {
            self.loose.push(slot);
        } else if self.can_be_computed_again(slot) {
            let wants: Vec<(u32, u32)> = self
                .wants
                .links_of_left(self.tasks[slot].wants)
                .map(|at| (self.wants.right(at), at))
                .collect();
            for (client, want) in wants {
                let future = self.want_futures[want as usize];
                if let Some(outbox) = self.tell_client(client) {
                    outbox.lost(future);
                }
            }
            self.needed.push(slot);
        } else {
            self.fail(slot, Arc::new(Failure::Lost { last_worker: last_worker.clone() }));
        }
    }

    fn can_be_computed_again(&self, slot: u32) -> bool {
        let layer = self.tasks[slot].layer;
        self.layers.is_computable(layer) && !self.layers.get(layer).options.actor
    }

    /// The task itself failed.
    pub(crate) fn fail(&mut self, slot: u32, failure: Arc<Failure>) {
        let origin = self.key(slot);
        self.fail_like(slot, &Failed { failure, origin });
    }

    /// The task fails, and whatever waits for it.
    fn fail_like(&mut self, slot: u32, why: &Failed) {
        let mut failing = vec![slot];
        while let Some(slot) = failing.pop() {
            let state = self.tasks[slot].state;
            if state == State::Erred {
                continue;
            }
            if state.is_pending() {
                self.withdraw(slot);
                self.release_inputs(slot);
            }
            self.step(slot, State::Erred, Cause::Failed, NIL);
            self.failures.insert(slot, why.clone());
            let readers = self.deps.lefts(self.tasks[slot].dependents);
            failing.extend(readers.filter(|&reader| self.tasks[reader].state.is_pending()));
            self.announce(slot);
            if !self.tasks[slot].is_needed() {
                self.loose.push(slot);
            }
        }
    }

    /// The current run of a task, if the worker speaks of it.
    fn current(&self, worker: u32, task: TaskId, run: u32) -> Option<u32> {
        let slot = self.tasks.find(task)?;
        let entry = &self.tasks[slot];
        (entry.state == State::Processing && entry.worker == worker && entry.run == run).then_some(slot)
    }

    pub(crate) fn finished(&mut self, worker: u32, finished: Finished) {
        let Some(slot) = self.current(worker, finished.task, finished.run) else { return };
        let duration = finished.stopped_ns.saturating_sub(finished.started_ns);
        let (prefix, rootish) = (self.tasks[slot].prefix, self.tasks[slot].rootish);
        // A result that was there already (fetched before it was to be computed) says nothing about durations.
        if duration > 0 && self.prefixes.finished(prefix, duration, finished.nbytes, &finished.type_name) {
            self.duration_known(prefix);
        }
        if rootish {
            self.root_nbytes += (finished.nbytes as f64 - self.root_nbytes) / 16.0;
        }
        self.unassign(slot);
        self.tasks[slot].tries = 0;
        self.arrived(slot, worker, finished.nbytes, Cause::Finished);
    }

    /// The first run of a prefix has ended: what was guessed for the others is corrected.
    fn duration_known(&mut self, prefix: u32) {
        let known = self.prefixes.get(prefix).duration_us.unwrap_or(0);
        for w in 0..self.workers.len() {
            let Some(entry) = self.workers[w].as_deref_mut() else { continue };
            for &slot in &entry.processing {
                let task = &mut self.tasks[slot];
                if task.prefix == prefix && !task.long_running {
                    entry.occupancy_us = entry.occupancy_us - u64::from(task.estimate_us) + u64::from(known);
                    task.estimate_us = known;
                }
            }
            self.update_open(w as u32);
        }
    }

    pub(crate) fn erred(&mut self, worker: u32, task: TaskId, run: u32, failure: Failure, _ran_ns: Nanos) {
        let Some(slot) = self.current(worker, task, run) else { return };
        self.unassign(slot);
        let task = &mut self.tasks[slot];
        task.tries = task.tries.saturating_add(1);
        let retries = self.layers.get(task.layer).options.retries;
        if u32::from(task.tries) <= retries {
            self.put_back(slot, Cause::Retry);
        } else {
            // Out of its worker's list already: nothing is to be told to the worker.
            self.step(slot, State::Waiting, Cause::Failed, worker);
            self.fail(slot, Arc::new(failure));
        }
    }

    pub(crate) fn reschedule(&mut self, worker: u32, task: TaskId, run: u32) {
        if let Some(slot) = self.current(worker, task, run) {
            self.unassign(slot);
            self.put_back(slot, Cause::Rescheduled);
        }
    }

    pub(crate) fn long_running(&mut self, worker: u32, task: TaskId, run: u32, ran_ns: Nanos) {
        let Some(slot) = self.current(worker, task, run) else { return };
        if self.tasks[slot].long_running {
            return;
        }
        let type_name = Arc::from("");
        let nbytes = self.prefixes.get(self.tasks[slot].prefix).nbytes as u64;
        if self.prefixes.finished(self.tasks[slot].prefix, ran_ns, nbytes, &type_name) {
            self.duration_known(self.tasks[slot].prefix);
        }
        let task = &mut self.tasks[slot];
        task.long_running = true;
        let estimate = std::mem::take(&mut task.estimate_us);
        if let Some(entry) = self.worker_mut(worker) {
            entry.long_running += 1;
            entry.occupancy_us -= u64::from(estimate);
        }
        self.update_open(worker);
    }

    /// A worker has a copy that it fetched.
    pub(crate) fn replicated(&mut self, worker: u32, task: TaskId) {
        let Some(slot) = self.tasks.find(task) else {
            self.transfer_ended(task, worker, false);
            if let Some(outbox) = self.tell(worker) {
                outbox.free(task);
            }
            return;
        };
        let entry = &self.tasks[slot];
        match entry.state {
            State::Memory => {
                if self.replica(slot, worker).is_none() {
                    self.add_replica(slot, worker);
                }
            }
            // It will find out that it has it when it reads what we sent, and say so.
            State::Processing if entry.worker == worker => {}
            _ if entry.is_needed() && entry.state != State::Erred => {
                self.withdraw(slot);
                let nbytes = self.tasks[slot].nbytes;
                self.arrived(slot, worker, nbytes, Cause::CopyFound);
            }
            _ => {
                if let Some(outbox) = self.tell(worker) {
                    outbox.free(task);
                }
            }
        }
        self.transfer_ended(task, worker, true);
    }

    /// A worker could not get an input from anybody whom it was told of.
    pub(crate) fn fetch_failed(
        &mut self,
        worker: u32,
        task: TaskId,
        absent: &[WorkerId],
        unreachable: &[WorkerId],
    ) {
        let Some(slot) = self.tasks.find(task) else {
            self.transfer_ended(task, worker, false);
            if let Some(outbox) = self.tell(worker) {
                outbox.free(task);
            }
            return;
        };
        let trouble = self.trouble.entry(slot).or_insert(0);
        *trouble += 1;
        let trouble = *trouble;
        let mut gone: Vec<u32> = absent.iter().map(|worker| worker.0).collect();
        if trouble.is_multiple_of(TRIES_PER_LOSS) {
            gone.extend(unreachable.iter().map(|worker| worker.0));
        }
        let mut last: Arc<str> = "".into();
        for w in gone {
            if let Some(link) = self.replica(slot, w) {
                self.remove_replica(link);
                if let Some(entry) = self.worker(w) {
                    last = entry.hello.address.clone();
                }
                if w != worker
                    && let Some(outbox) = self.tell(w)
                {
                    outbox.free(task);
                }
            }
        }
        if self.tasks[slot].state == State::Memory && self.tasks[slot].replicas == NIL {
            self.lost(slot, &last);
        }
        if trouble > MAX_TROUBLE && self.tasks[slot].is_needed() && self.tasks[slot].state != State::Memory {
            let failure = Failure::Unreachable { input: self.key(slot), tries: trouble };
            return self.fail(slot, Arc::new(failure));
        }
        let entry = &self.tasks[slot];
        if entry.state == State::Memory {
            self.send_sources(worker, slot, false);
        } else if entry.state != State::Processing || entry.worker != worker {
            // It is being computed again, if at all: whoever waited for it there has been called back.
            self.transfer_ended(task, worker, false);
            if let Some(outbox) = self.tell(worker) {
                outbox.free(task);
            }
        }
    }
}
