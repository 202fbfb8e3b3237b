//! The scheduler: its tables, and what happens to an event.

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};

use crate::coordinate::Coordination;
use crate::event::{Action, Config, Event};
use crate::layers::{Index, Layers, Prefixes};
use crate::links::{Links, NIL};
use crate::message::{
    ClientId, Failure, FromClient, FromWorker, FutureId, Key, Nanos, Peer, TaskId, ToClient, ToWorker,
    WorkerHello, WorkerId, WorkerStatus, WorkerWelcome,
};
use crate::plan::Plan;
use crate::queue::Queue;
use crate::replicate::Transfers;
use crate::steal::Steal;
use crate::story::{Cause, Step, Story};
use crate::task::{State, Tasks};
use crate::worker::{Client, Later, Worker};

/// The cluster's scheduler. See the crate's documentation for how it is driven.
#[derive(Debug)]
pub struct Scheduler {
    pub(crate) config: Config,
    pub(crate) now: Nanos,
    pub(crate) started_ns: Option<Nanos>,

    pub(crate) tasks: Tasks,
    pub(crate) index: Index,
    pub(crate) layers: Layers,
    pub(crate) prefixes: Prefixes,
    /// Reader to what it reads; a task's reads in the order in which its work wants them.
    pub(crate) deps: Links,
    /// Task to workers that hold its result.
    pub(crate) replicas: Links,
    /// Task to clients that want it, and the future of each such link.
    pub(crate) wants: Links,
    pub(crate) want_futures: Vec<FutureId>,
    pub(crate) failures: AHashMap<u32, Failed>,
    /// How often a task's result could not be fetched although somebody should have it.
    pub(crate) trouble: AHashMap<u32, u32>,

    /// By [`WorkerId`]; `None` once gone.
    pub(crate) workers: Vec<Option<Box<Worker>>>,
    /// Workers that may be given tasks, and those of them that have room.
    pub(crate) running: Vec<u32>,
    pub(crate) open: Vec<u32>,
    pub(crate) total_threads: u64,
    /// Workers by name, address and host.
    pub(crate) called: AHashMap<Arc<str>, Vec<u32>>,
    pub(crate) clients: AHashMap<u32, Client>,

    pub(crate) queue: Queue,
    pub(crate) unrunnable: Vec<u32>,
    /// Since when, if there is a limit to it.
    pub(crate) unrunnable_since: AHashMap<TaskId, Nanos>,
    /// Worklists of [`Scheduler::settle`].
    pub(crate) needed: Vec<u32>,
    pub(crate) loose: Vec<u32>,
    pub(crate) ready: Vec<u32>,

    pub(crate) steals: AHashMap<u32, Steal>,
    pub(crate) last_balance_ns: Nanos,
    pub(crate) transfers: Transfers,
    pub(crate) coordination: Coordination,
    /// When something in `coordination` times out next.
    pub(crate) coordination_wake_ns: Option<Nanos>,
    /// Wants of nobody in particular: detached futures, data sets, items in queues.
    pub(crate) next_kept: u64,
    pub(crate) generation: u32,
    pub(crate) paused: bool,
    /// Until when nothing is run, because workers may come back with results.
    pub(crate) recovering_until: Option<Nanos>,
    /// Results of which only workers spoke so far.
    pub(crate) orphans: Vec<FutureId>,

    pub(crate) workers_to_tell: Vec<u32>,
    pub(crate) clients_to_tell: Vec<u32>,
    pub(crate) other_actions: Vec<Action>,
    pub(crate) story: Story,
    pub(crate) random: u64,
    /// Mean size of results of tasks that only make data.
    pub(crate) root_nbytes: f64,
    /// Where the walk over open workers is, and how many more neighbours its worker gets.
    pub(crate) cursor: usize,
    pub(crate) run: (u32, u32),
    pub(crate) scratch: Scratch,
}

/// Why a task failed, and which task it was that failed first.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub failure: Arc<Failure>,
    pub origin: Key,
}

/// Buffers that are used again and again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub candidates: Vec<crate::place::Candidate>,
    pub workers: Vec<WorkerId>,
}

/// Tasks beyond its threads that are suspected if a worker dies: some may have waited for inputs.
const SUSPECTS_BESIDE: usize = 2;

/// The client for wants of nobody in particular.
pub(crate) const KEEPER: u32 = u32::MAX;

impl Scheduler {
    pub fn new(config: Config) -> Self {
        let coordination = Coordination::new(config.lease_timeout_ns);
        let mut clients = AHashMap::new();
        clients.insert(KEEPER, Client::new("".into()));
        Scheduler {
            story: Story::new(config.story_len),
            random: config.seed ^ 0x9e37_79b9_7f4a_7c15,
            config,
            now: 0,
            started_ns: None,
            tasks: Tasks::default(),
            index: Index::default(),
            layers: Layers::default(),
            prefixes: Prefixes::default(),
            deps: Links::default(),
            replicas: Links::default(),
            wants: Links::default(),
            want_futures: Vec::new(),
            failures: AHashMap::new(),
            trouble: AHashMap::new(),
            workers: Vec::new(),
            running: Vec::new(),
            open: Vec::new(),
            total_threads: 0,
            called: AHashMap::new(),
            clients,
            queue: Queue::default(),
            unrunnable: Vec::new(),
            unrunnable_since: AHashMap::new(),
            needed: Vec::new(),
            loose: Vec::new(),
            ready: Vec::new(),
            steals: AHashMap::new(),
            last_balance_ns: 0,
            transfers: Transfers::default(),
            coordination,
            coordination_wake_ns: None,
            next_kept: 0,
            generation: 0,
            paused: false,
            recovering_until: None,
            orphans: Vec::new(),
            workers_to_tell: Vec::new(),
            clients_to_tell: Vec::new(),
            other_actions: Vec::new(),
            root_nbytes: 0.0,
            cursor: 0,
            run: (NIL, 0),
            scratch: Scratch::default(),
        }
    }

    /// Takes in an event. What is to be done about it waits for [`Scheduler::drain`].
    pub fn handle(&mut self, event: Event, now: Nanos) {
        self.now = self.now.max(now);
        self.started_ns.get_or_insert(now);
        match event {
            Event::Worker { worker, message } => self.heard_worker(worker, message),
            Event::WorkerLost { worker, cause, executing, expected } => {
                self.worker_lost(worker.0, &cause, executing.as_deref(), expected);
            }
            Event::Client { client, message } => self.heard_client(client, message),
            Event::ClientLost { client } => self.client_lost(client),
            Event::Tick => {}
        }
        self.settle();
        if self.on_time() {
            self.settle();
        }
    }

    /// Takes in a graph that was planned elsewhere.
    pub fn handle_plan(&mut self, client: ClientId, plan: Plan, now: Nanos) {
        self.now = self.now.max(now);
        self.started_ns.get_or_insert(now);
        match self.clients.get_mut(&client.0) {
            None => {}
            Some(Client { parked: Some(parked), .. }) => parked.later.push_back(Later::Plan(plan)),
            Some(_) => self.graph(client, plan),
        }
        self.settle();
        if self.on_time() {
            self.settle();
        }
    }

    /// Everything that is to be done because of the events since the last time.
    pub fn drain(&mut self, actions: &mut Vec<Action>) {
        let mut told = std::mem::take(&mut self.workers_to_tell);
        for worker in told.drain(..) {
            if let Some(entry) = self.workers[worker as usize].as_mut() {
                let messages = entry.outbox.take();
                actions.extend(
                    messages.into_iter().map(|message| Action::Worker { worker: WorkerId(worker), message }),
                );
            }
        }
        self.workers_to_tell = told;
        let mut told = std::mem::take(&mut self.clients_to_tell);
        for client in told.drain(..) {
            if let Some(entry) = self.clients.get_mut(&client) {
                let messages = entry.outbox.take();
                actions.extend(
                    messages.into_iter().map(|message| Action::Client { client: ClientId(client), message }),
                );
            }
        }
        self.clients_to_tell = told;
        actions.append(&mut self.other_actions);
    }

    /// When the next [`Event::Tick`] is due at the latest.
    pub fn next_wake_ns(&self) -> Option<Nanos> {
        let balance = (!self.running.is_empty() && self.tasks.len() > 0)
            .then_some(self.last_balance_ns + crate::steal::INTERVAL_NS);
        [balance, self.recovering_until, self.coordination_wake_ns].into_iter().flatten().min()
    }

    /// Does what is due; true if anything was. Tables are settled before.
    fn on_time(&mut self) -> bool {
        let mut due = self.coordination_on_time();
        if self.recovering_until.is_some_and(|until| until <= self.now) {
            self.end_recovery();
            due = true;
        }
        if self.now >= self.last_balance_ns + crate::steal::INTERVAL_NS {
            self.last_balance_ns = self.now;
            self.balance();
            self.transfers_on_time();
            self.unrunnable_on_time();
            due = true;
        }
        due
    }

    pub(crate) fn worker(&self, worker: u32) -> Option<&Worker> {
        self.workers.get(worker as usize)?.as_deref()
    }

    pub(crate) fn worker_mut(&mut self, worker: u32) -> Option<&mut Worker> {
        self.workers.get_mut(worker as usize)?.as_deref_mut()
    }

    pub(crate) fn key(&self, slot: u32) -> Key {
        let task = &self.tasks[slot];
        self.layers.key(task.layer, task.index)
    }

    pub(crate) fn find(&self, key: &Key) -> Option<u32> {
        self.index.find(key, &self.tasks, &self.layers)
    }

    /// The worker's outbox, to be emptied at the next drain.
    pub(crate) fn tell(&mut self, worker: u32) -> Option<&mut crate::outbox::WorkerOutbox> {
        let entry = self.workers.get_mut(worker as usize)?.as_deref_mut()?;
        if !entry.outbox.listed {
            entry.outbox.listed = true;
            self.workers_to_tell.push(worker);
        }
        Some(&mut entry.outbox)
    }

    pub(crate) fn tell_client(&mut self, client: u32) -> Option<&mut crate::outbox::ClientOutbox> {
        if client == KEEPER {
            return None;
        }
        let entry = self.clients.get_mut(&client)?;
        if !entry.outbox.listed {
            entry.outbox.listed = true;
            self.clients_to_tell.push(client);
        }
        Some(&mut entry.outbox)
    }

    pub(crate) fn peer(&self, worker: u32) -> Option<Peer> {
        Some(Peer { worker: WorkerId(worker), address: self.worker(worker)?.hello.address.clone() })
    }

    /// A small generator (xorshift): ties and samples.
    pub(crate) fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn heard_worker(&mut self, worker: WorkerId, message: FromWorker) {
        let w = worker.0;
        if let FromWorker::Hello(hello) = message {
            return self.worker_hello(w, hello);
        }
        let now = self.now;
        let Some(entry) = self.worker_mut(w) else {
            // A worker that we gave up: what it still says means nothing.
            return;
        };
        entry.last_seen_ns = now;
        match message {
            FromWorker::Hello(_) => {}
            FromWorker::Heartbeat(heartbeat) => *entry.heartbeat = heartbeat,
            FromWorker::Finished(finished) => {
                for task in finished {
                    self.finished(w, task);
                }
            }
            FromWorker::Erred { task, run, failure, started_ns, stopped_ns } => {
                self.erred(w, task, run, failure, stopped_ns.saturating_sub(started_ns));
            }
            FromWorker::Reschedule { task, run } => self.reschedule(w, task, run),
            FromWorker::LongRunning { task, run, ran_ns } => self.long_running(w, task, run, ran_ns),
            FromWorker::Replicated { tasks } | FromWorker::Kept { tasks } => {
                for task in tasks {
                    self.replicated(w, task);
                }
            }
            FromWorker::FetchFailed { task, absent, unreachable } => {
                self.fetch_failed(w, task, &absent, &unreachable);
            }
            // It was counted as gone when we asked.
            FromWorker::Dropped { .. } => {}
            FromWorker::Steal { tasks } => {
                for (task, run, given) in tasks {
                    self.steal_answered(w, task, run, given);
                }
            }
            FromWorker::NeedBlobs { digests } => self.need_blobs(w, &digests),
            FromWorker::Status(status) => self.set_status(w, status),
            FromWorker::Leave { reason } => self.retire(w, Some(reason)),
        }
    }

    fn worker_hello(&mut self, w: u32, hello: WorkerHello) {
        while self.workers.len() <= w as usize {
            self.workers.push(None);
        }
        if self.workers[w as usize].is_some() {
            let reason: Arc<str> = "it said hello twice".into();
            self.other_actions.push(Action::Disconnect { worker: WorkerId(w), reason });
            return;
        }
        let names = [hello.name.clone(), hello.address.clone(), hello.host.clone()];
        for (i, name) in names.iter().enumerate() {
            if !names[..i].contains(name) {
                self.called.entry(name.clone()).or_default().push(w);
            }
        }
        let status = hello.status;
        let mut hello = hello;
        let held = std::mem::take(&mut hello.held);
        self.total_threads += u64::from(hello.nthreads.max(1));
        self.workers[w as usize] = Some(Box::new(Worker::new(hello, self.now)));
        if let Some(entry) = self.worker_mut(w) {
            entry.status = WorkerStatus::Paused;
        }
        self.set_status(w, status);
        let keys: Vec<_> = held.into_iter().map(|held| (held.key, held.nbytes)).collect();
        let tasks = self.adopt(w, &keys);
        let welcome = WorkerWelcome { epoch: self.config.epoch, worker: WorkerId(w), held: tasks };
        if let Some(outbox) = self.tell(w) {
            // Before anything that adopting has made us say.
            let said = outbox.take();
            outbox.listed = true;
            outbox.send(ToWorker::Welcome(welcome));
            for message in said {
                outbox.send(message);
            }
        }
        self.retry_unrunnable();
    }

    pub(crate) fn set_status(&mut self, w: u32, status: WorkerStatus) {
        let Some(entry) = self.worker_mut(w) else { return };
        if entry.status == WorkerStatus::Retiring || entry.status == status {
            return;
        }
        entry.status = status;
        let position = entry.position_running;
        if status == WorkerStatus::Running {
            let at = self.running.len() as u32;
            self.running.push(w);
            if let Some(entry) = self.worker_mut(w) {
                entry.position_running = at;
            }
            self.update_open(w);
            self.retry_unrunnable();
        } else if position != NIL {
            self.leave_running(w);
        }
    }

    fn leave_running(&mut self, w: u32) {
        let Some(entry) = self.worker_mut(w) else { return };
        let at = std::mem::replace(&mut entry.position_running, NIL);
        if at == NIL {
            return;
        }
        self.running.swap_remove(at as usize);
        if let Some(&moved) = self.running.get(at as usize)
            && let Some(entry) = self.worker_mut(moved)
        {
            entry.position_running = at;
        }
        self.update_open(w);
    }

    fn worker_lost(&mut self, w: u32, cause: &Arc<str>, executing: Option<&[TaskId]>, expected: bool) {
        if self.worker(w).is_none() {
            return;
        }
        self.leave_running(w);
        self.forget_transfers_to(w);
        let Some(entry) = self.workers[w as usize].as_mut() else { return };
        let processing = std::mem::take(&mut entry.processing);
        let address = entry.hello.address.clone();
        self.total_threads -= u64::from(entry.nthreads());
        for name in [entry.hello.name.clone(), entry.hello.address.clone(), entry.hello.host.clone()] {
            if let Some(called) = self.called.get_mut(&name) {
                called.retain(|&other| other != w);
                if called.is_empty() {
                    self.called.remove(&name);
                }
            }
        }
        let suspects = self.suspects(w, &processing, executing);
        // It is gone: nothing is said to it any more, and nothing is taken from its lists.
        let Some(entry) = self.workers[w as usize].take() else { return };
        for slot in processing {
            self.unassign_lost(slot);
            let suspect = !expected && suspects.contains(&slot);
            let (at_ns, generation) = (self.now, self.tasks[slot].generation);
            let (from, to, why) = (State::Processing, State::Waiting, Cause::WorkerLost);
            self.story.add(Step { at_ns, slot, generation, worker: w, from, to, cause: why });
            if suspect {
                self.tasks[slot].suspicious = self.tasks[slot].suspicious.saturating_add(1);
                let deaths = u32::from(self.tasks[slot].suspicious);
                if deaths > self.config.allowed_failures {
                    let (last_worker, cause) = (address.clone(), cause.clone());
                    self.fail(slot, Arc::new(Failure::KilledWorker { deaths, last_worker, cause }));
                }
            }
        }
        let mut at = entry.replicas;
        while at != NIL {
            let next = self.replicas.next_of_right(at);
            let removed = self.replicas.remove(at);
            if let Some(head) = removed.left_head {
                self.tasks[removed.left].replicas = head;
            }
            if self.tasks[removed.left].replicas == NIL {
                self.lost(removed.left, &address);
            } else {
                self.tell_last_holder(removed.left);
            }
            at = next;
        }
        self.clear_steals_to(w);
    }

    /// Which tasks may have been running when a worker died. If nobody says: those that its last heartbeat
    /// named, those that left its threads, and the first in the order in which workers run them. Many more were
    /// sent ahead, and must not be blamed each time.
    fn suspects(&self, w: u32, processing: &[u32], executing: Option<&[TaskId]>) -> AHashSet<u32> {
        let find = |tasks: &[TaskId]| -> AHashSet<u32> {
            tasks.iter().filter_map(|&task| self.tasks.find(task)).collect()
        };
        if let Some(executing) = executing {
            return find(executing);
        }
        let Some(entry) = self.worker(w) else { return AHashSet::new() };
        let mut suspects = find(&entry.heartbeat.executing);
        suspects.extend(processing.iter().filter(|&&slot| self.tasks[slot].long_running));
        let mut first = processing.to_vec();
        first.sort_unstable_by_key(|&slot| (self.tasks[slot].priority, slot));
        suspects.extend(first.into_iter().take(entry.nthreads() as usize + SUSPECTS_BESIDE));
        suspects
    }

    pub(crate) fn heard_client(&mut self, client: ClientId, message: FromClient) {
        if let FromClient::Hello(hello) = message {
            return self.client_hello(client, hello);
        }
        let Some(entry) = self.clients.get_mut(&client.0).filter(|_| client.0 != KEEPER) else { return };
        if let Some(parked) = &mut entry.parked
            && !matches!(message, FromClient::Blobs { .. } | FromClient::Goodbye)
        {
            return parked.later.push_back(Later::Message(message));
        }
        match message {
            FromClient::Hello(_) => {}
            FromClient::Graph(graph) => {
                let futures: Vec<FutureId> = graph.wants.iter().map(|want| want.future).collect();
                match Plan::new(graph) {
                    Ok(plan) => self.graph(client, plan),
                    Err(problem) => self.refuse(client, futures, problem.to_string()),
                }
            }
            FromClient::Blobs { blobs } => self.blobs_arrived(blobs),
            FromClient::Want { futures } => {
                for (future, key) in futures {
                    self.want_key(client.0, future, &key);
                }
            }
            FromClient::Resumed => self.resumed(client.0),
            FromClient::Release { futures } => {
                for future in futures {
                    self.unwant(client.0, future);
                }
            }
            FromClient::Cancel { futures, force, reason } => self.cancel(client.0, &futures, force, &reason),
            FromClient::Retry { futures } => self.retry(client.0, &futures),
            FromClient::Detach { futures } => self.detach(client.0, &futures),
            FromClient::Scattered { data } => self.scattered(client.0, data),
            FromClient::Replicate { request, keys, copies, workers } => {
                self.replicate(client.0, request, &keys, copies, &workers);
            }
            FromClient::Rebalance { request, keys, workers } => {
                self.rebalance(client.0, request, &keys, &workers)
            }
            FromClient::RetireWorkers { request, workers, close } => {
                self.retire_workers(client.0, request, &workers, close);
            }
            FromClient::Restart { request } => self.restart(client.0, request),
            FromClient::Pause { paused } => self.paused = paused,
            FromClient::Ask { request, question } => self.ask(client.0, request, question),
            FromClient::Coordinate { request, op } => self.coordinate(client.0, request, op),
            FromClient::Goodbye => self.client_lost(client),
        }
    }

    pub(crate) fn refuse(&mut self, client: ClientId, futures: Vec<FutureId>, reason: String) {
        if let Some(outbox) = self.tell_client(client.0) {
            outbox.send(ToClient::Refused { futures, reason: reason.into() });
        }
    }
}
