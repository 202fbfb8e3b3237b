//! Copies: made because a client asked, moved to even out memory or because a worker goes, and dropped
//! when there are more than anybody needs.
//!
//! A *transfer* is a copy that a worker has been told to make. It ends when the worker says that it has it or
//! cannot get it, or is gone. A request of a client is answered when its transfers have ended.

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};

use crate::links::NIL;
use crate::message::{Answer, Key, RequestId, Source, TaskId, ToClient, ToWorker, WorkerStatus};
use crate::scheduler::Scheduler;
use crate::task::State;

/// Slots that one round looks at for needless copies.
const LOOK_AT: u32 = 20_000;
/// Transfers under way to one worker that is told to make copies for one that retires.
const MAX_MOVES: usize = 1000;

#[derive(Debug, Default)]
pub(crate) struct Transfers {
    pending: AHashMap<(TaskId, u32), Transfer>,
    requests: AHashMap<u64, Request>,
    next_request: u64,
    retiring: Vec<Retiring>,
    /// Tasks that a client wants more than one copy of.
    pinned: AHashSet<TaskId>,
    last_reduction_ns: u64,
    next_slot: u32,
}

#[derive(Debug)]
struct Transfer {
    /// The copy to be dropped once the new one is there.
    drop_from: Option<u32>,
    request: Option<u64>,
}

#[derive(Debug)]
struct Request {
    client: u32,
    id: RequestId,
    left: usize,
    failed: usize,
    workers: Vec<Arc<str>>,
}

#[derive(Debug)]
struct Retiring {
    worker: u32,
    close: bool,
    closed: bool,
    request: Option<u64>,
    reason: Arc<str>,
}

impl Scheduler {
    fn start_transfer(&mut self, slot: u32, to: u32, drop_from: Option<u32>, request: Option<u64>) {
        let id = self.tasks.id(slot);
        if self.transfers.pending.contains_key(&(id, to)) {
            return;
        }
        self.transfers.pending.insert((id, to), Transfer { drop_from, request });
        if let Some(request) = request.and_then(|request| self.transfers.requests.get_mut(&request)) {
            request.left += 1;
        }
        self.send_sources(to, slot, true);
    }

    /// Tells a worker who has a result.
    pub(crate) fn send_sources(&mut self, worker: u32, slot: u32, replicate: bool) {
        let key = self.key(slot);
        let holders: Vec<_> = self.holders(slot).into_iter().filter(|w| w.0 != worker).collect();
        let mut peers = Vec::new();
        for holder in &holders {
            if self.worker_mut(worker).is_some_and(|entry| entry.knows.insert(holder.0)) {
                peers.extend(self.peer(holder.0));
            }
        }
        let source = Source { task: self.tasks.id(slot), nbytes: self.tasks[slot].nbytes, workers: &holders };
        if let Some(outbox) = self.tell(worker) {
            outbox.sources(replicate, key, source, peers);
        }
    }

    /// A worker has a copy, or will never have it.
    pub(crate) fn transfer_ended(&mut self, id: TaskId, worker: u32, there: bool) {
        let Some(transfer) = self.transfers.pending.remove(&(id, worker)) else { return };
        if there
            && let Some(from) = transfer.drop_from
            && let Some(slot) = self.tasks.find(id)
            && self.replica(slot, worker).is_some()
        {
            self.drop_replica(slot, from);
        }
        if let Some(request) = transfer.request {
            self.request_step(request, there);
        }
    }

    fn request_step(&mut self, at: u64, well: bool) {
        let Some(request) = self.transfers.requests.get_mut(&at) else { return };
        request.left = request.left.saturating_sub(1);
        request.failed += usize::from(!well);
        if request.left == 0
            && let Some(request) = self.transfers.requests.remove(&at)
        {
            let answer = match request.failed {
                0 => Answer::Ok { workers: request.workers },
                n => Answer::Failed { reason: format!("{n} results could not be copied").into() },
            };
            self.answer(request.client, request.id, answer);
        }
    }

    pub(crate) fn answer(&mut self, client: u32, request: RequestId, answer: Answer) {
        if let Some(outbox) = self.tell_client(client) {
            outbox.send(ToClient::Answer { request, answer });
        }
    }

    /// Drops a copy that is not the only one. It counts as gone from now on; the worker may object.
    fn drop_replica(&mut self, slot: u32, worker: u32) {
        let head = self.tasks[slot].replicas;
        if head == NIL || self.replicas.next_of_left(head) == NIL {
            return;
        }
        let Some(link) = self.replica(slot, worker) else { return };
        self.remove_replica(link);
        let id = self.tasks.id(slot);
        if let Some(outbox) = self.tell(worker) {
            outbox.drop_replica(id);
        }
    }

    /// Tells the only holder of a result its key. Who fetched it as an input was not told, and could not
    /// say what it holds to a scheduler that restarts.
    pub(crate) fn tell_last_holder(&mut self, slot: u32) {
        let head = self.tasks[slot].replicas;
        if head != NIL && self.replicas.next_of_left(head) == NIL {
            let holder = self.replicas.right(head);
            self.send_sources(holder, slot, true);
        }
    }

    pub(crate) fn forget_transfers_to(&mut self, worker: u32) {
        let mut gone: Vec<TaskId> =
            self.transfers.pending.keys().filter(|(_, to)| *to == worker).map(|(id, _)| *id).collect();
        gone.sort_unstable();
        for id in gone {
            self.transfer_ended(id, worker, false);
        }
        for retiring in std::mem::take(&mut self.transfers.retiring) {
            if retiring.worker != worker {
                self.transfers.retiring.push(retiring);
            } else if let Some(request) = retiring.request
                && !retiring.closed
            {
                self.request_step(request, true);
            }
        }
    }

    fn open_request(&mut self, client: u32, id: RequestId, workers: Vec<Arc<str>>) -> u64 {
        self.transfers.next_request += 1;
        // One step is kept back, so that it is not answered before all its transfers have started.
        let request = Request { client, id, left: 1, failed: 0, workers };
        self.transfers.requests.insert(self.transfers.next_request, request);
        self.transfers.next_request
    }

    fn addresses(&self, workers: &[u32]) -> Vec<Arc<str>> {
        workers.iter().filter_map(|&w| Some(self.worker(w)?.hello.address.clone())).collect()
    }

    pub(crate) fn replicate(
        &mut self,
        client: u32,
        id: RequestId,
        keys: &[Key],
        copies: u32,
        names: &[Arc<str>],
    ) {
        let mut targets = self.workers_called(names);
        targets.retain(|&w| self.worker(w).is_some_and(|entry| entry.position_running != NIL));
        let request = self.open_request(client, id, self.addresses(&targets));
        for key in keys {
            let Some(slot) = self.find(key).filter(|&slot| self.tasks[slot].state == State::Memory) else {
                continue;
            };
            let wanted = if copies == 0 { targets.len() } else { (copies as usize).min(targets.len()) };
            let have = targets.iter().filter(|&&w| self.replica(slot, w).is_some()).count();
            let mut others: Vec<u32> =
                targets.iter().copied().filter(|&w| self.replica(slot, w).is_none()).collect();
            others.sort_by_key(|&w| (self.worker(w).map_or(0, |entry| entry.nbytes), w));
            if wanted > 1 {
                let id = self.tasks.id(slot);
                self.transfers.pinned.insert(id);
            }
            for to in others.into_iter().take(wanted.saturating_sub(have)) {
                self.start_transfer(slot, to, None, Some(request));
            }
        }
        self.request_step(request, true);
    }

    pub(crate) fn rebalance(&mut self, client: u32, id: RequestId, keys: &[Key], names: &[Arc<str>]) {
        let mut workers = self.workers_called(names);
        workers.retain(|&w| self.worker(w).is_some_and(|entry| entry.position_running != NIL));
        let request = self.open_request(client, id, self.addresses(&workers));
        let only: Option<AHashSet<u32>> =
            (!keys.is_empty()).then(|| keys.iter().filter_map(|key| self.find(key)).collect());
        let mut nbytes: Vec<(u64, u32)> =
            workers.iter().filter_map(|&w| Some((self.worker(w)?.nbytes, w))).collect();
        let mean = nbytes.iter().map(|(n, _)| n).sum::<u64>() / nbytes.len().max(1) as u64;
        nbytes.sort_unstable();
        for from in (0..nbytes.len()).rev() {
            let (mut has, sender) = nbytes[from];
            let Some(head) = self.worker(sender).map(|entry| entry.replicas) else { continue };
            let slots: Vec<u32> = self.replicas.lefts(head).collect();
            for slot in slots {
                let size = self.tasks[slot].nbytes;
                if has <= mean + mean / 20 {
                    break;
                }
                if only.as_ref().is_some_and(|only| !only.contains(&slot)) || size == 0 || self.is_actor(slot)
                {
                    continue;
                }
                let Some(to) = (0..from).min_by_key(|&i| nbytes[i]) else { break };
                // Only if the two are nearer to each other afterwards.
                if nbytes[to].0 + size >= has || self.replica(slot, nbytes[to].1).is_some() {
                    continue;
                }
                nbytes[to].0 += size;
                has -= size;
                self.start_transfer(slot, nbytes[to].1, Some(sender), Some(request));
            }
            nbytes[from].0 = has;
        }
        self.request_step(request, true);
    }

    pub(crate) fn retire_workers(&mut self, client: u32, id: RequestId, names: &[Arc<str>], close: bool) {
        let workers = if names.is_empty() { Vec::new() } else { self.workers_called(names) };
        let request = self.open_request(client, id, self.addresses(&workers));
        for worker in workers {
            if self.begin_retirement(worker, close, Some(request), "retired".into())
                && let Some(request) = self.transfers.requests.get_mut(&request)
            {
                request.left += 1;
            }
        }
        self.request_step(request, true);
        self.retirement_on_time();
    }

    /// A worker goes of its own accord.
    pub(crate) fn retire(&mut self, worker: u32, reason: Option<Arc<str>>) {
        self.begin_retirement(worker, true, None, reason.unwrap_or_else(|| "retired".into()));
        self.retirement_on_time();
    }

    fn begin_retirement(&mut self, worker: u32, close: bool, request: Option<u64>, reason: Arc<str>) -> bool {
        if self.worker(worker).is_none_or(|entry| entry.status == WorkerStatus::Retiring) {
            return false;
        }
        self.set_status(worker, WorkerStatus::Retiring);
        if let Some(outbox) = self.tell(worker) {
            outbox.send(ToWorker::Retire);
        }
        // What has not started runs elsewhere.
        let waiting = self.worker(worker).map(|entry| entry.processing.clone()).unwrap_or_default();
        for slot in waiting {
            if !self.steals.contains_key(&slot) && !self.tasks[slot].long_running {
                self.ask_back(slot, worker);
            }
        }
        self.transfers.retiring.push(Retiring { worker, close, closed: false, request, reason });
        true
    }

    fn retirement_on_time(&mut self) {
        let mut retiring = std::mem::take(&mut self.transfers.retiring);
        for entry in retiring.iter_mut().filter(|entry| !entry.closed) {
            if self.hand_over(entry.worker) {
                entry.closed = true;
                if entry.close {
                    let reason = entry.reason.clone();
                    if let Some(outbox) = self.tell(entry.worker) {
                        outbox.send(ToWorker::Close { reason });
                    }
                }
                if let Some(request) = entry.request {
                    self.request_step(request, true);
                }
            }
        }
        retiring.append(&mut self.transfers.retiring);
        self.transfers.retiring = retiring;
    }

    pub(crate) fn is_actor(&self, slot: u32) -> bool {
        self.layers.get(self.tasks[slot].layer).options.actor
    }

    /// Moves on with the handing over of a worker's results; true when there is nothing left of it.
    fn hand_over(&mut self, worker: u32) -> bool {
        let Some(entry) = self.worker(worker) else { return true };
        let mut done = entry.processing.is_empty();
        let slots: Vec<u32> = self.replicas.lefts(entry.replicas).take(MAX_MOVES).collect();
        for slot in slots {
            if self.is_actor(slot) {
                // It cannot move, and goes with its worker.
                continue;
            }
            let elsewhere = self
                .replicas
                .rights(self.tasks[slot].replicas)
                .any(|w| self.worker(w).is_some_and(|entry| entry.status != WorkerStatus::Retiring));
            if elsewhere {
                self.drop_replica(slot, worker);
                self.tell_last_holder(slot);
                continue;
            }
            done = false;
            let id = self.tasks.id(slot);
            // The lightest, but not always the same one.
            let sample: Vec<u32> = match self.running.len() {
                0 => Vec::new(),
                n if n <= 8 => self.running.clone(),
                n => {
                    let places: [usize; 8] = std::array::from_fn(|_| (self.random() >> 8) as usize % n);
                    places.iter().map(|&at| self.running[at]).collect()
                }
            };
            let under_way = self.transfers.pending.keys().any(|(task, _)| *task == id);
            let lightest = sample.into_iter().min_by_key(|&w| (self.worker(w).map_or(0, |e| e.nbytes), w));
            if let Some(to) = lightest
                && !under_way
            {
                self.start_transfer(slot, to, Some(worker), None);
            }
        }
        done
    }

    pub(crate) fn transfers_on_time(&mut self) {
        if !self.transfers.retiring.is_empty() {
            self.retirement_on_time();
        }
        if let Some(interval) = self.config.reduce_replicas_ns
            && self.now >= self.transfers.last_reduction_ns + interval
        {
            self.transfers.last_reduction_ns = self.now;
            self.reduce_replicas();
        }
    }

    /// Copies that were made for readers which have ended are dropped; the fullest workers first.
    fn reduce_replicas(&mut self) {
        let end = self.tasks.end();
        for _ in 0..LOOK_AT.min(end) {
            let slot = self.transfers.next_slot % end;
            self.transfers.next_slot = slot + 1;
            let task = &self.tasks[slot];
            if !task.occupied || task.state != State::Memory || task.waiters > 0 {
                continue;
            }
            let id = self.tasks.id(slot);
            if self.transfers.pinned.contains(&id) {
                continue;
            }
            let mut holders: Vec<u32> = self.replicas.rights(task.replicas).collect();
            if holders.len() < 2 || self.transfers.pending.keys().any(|(task, _)| *task == id) {
                continue;
            }
            holders.sort_by_key(|&w| {
                self.worker(w).map_or((true, 0, w), |e| (e.position_running == NIL, e.nbytes, w))
            });
            for worker in holders.into_iter().skip(1) {
                self.drop_replica(slot, worker);
            }
            self.tell_last_holder(slot);
        }
        let tasks = &self.tasks;
        self.transfers.pinned.retain(|&id| tasks.find(id).is_some());
    }
}
