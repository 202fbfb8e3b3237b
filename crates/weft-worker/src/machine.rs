//! The worker: its tables, and what happens to an event.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use ahash::AHashMap;
use weft_scheduler::message::{
    Assigned, Compute, Digest, Finished, FromWorker, Heartbeat, Held, Key, Nanos, Peer, Priority, Source,
    Sources, TaskId, ToWorker, WorkerId, WorkerStatus, WorkerWelcome,
};

use crate::entry::{Data, Entry, Stage, Work};
use crate::event::{Action, Config, Event, ExecutionId, FetchId};
use crate::fetch::{Fetch, PeerQueue};
use crate::run::Running;

/// The cluster's worker. See the crate's documentation for how it is driven.
#[derive(Debug)]
pub struct Worker {
    pub(crate) config: Config,
    pub(crate) now: Nanos,
    pub(crate) connection: Connection,
    pub(crate) me: WorkerId,
    pub(crate) entries: AHashMap<TaskId, Entry>,

    pub(crate) peers: BTreeMap<WorkerId, PeerQueue>,
    pub(crate) fetches: AHashMap<FetchId, Fetch>,
    pub(crate) incoming_nbytes: u64,
    pub(crate) next_fetch: u64,

    pub(crate) ready: BinaryHeap<Reverse<(Priority, TaskId, u32)>>,
    /// Ready tasks that wait for resources.
    pub(crate) blocked: Vec<(Priority, TaskId, u32)>,
    pub(crate) running: BTreeMap<ExecutionId, Running>,
    /// Executions that hold a thread.
    pub(crate) threads_used: u32,
    pub(crate) rejoining: BTreeSet<ExecutionId>,
    pub(crate) resources: Vec<(Arc<str>, f64)>,
    pub(crate) next_execution: u64,
    pub(crate) awaiting_blobs: BTreeMap<Digest, Vec<TaskId>>,

    pub(crate) paused: bool,
    /// The scheduler of this connection has told us to hand over.
    pub(crate) retiring: bool,
    /// We want to go, whoever is told.
    leaving: Option<Arc<str>>,
    pub(crate) actions: Vec<Action>,
    /// What is said in one message when the actions are taken.
    pub(crate) finished: Vec<Finished>,
    pub(crate) replicated: Vec<TaskId>,
    pub(crate) dropped: Vec<TaskId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    No,
    /// Hello was said; these results were announced (in `Worker::announced`).
    Greeting,
    Stands,
}

impl Worker {
    pub fn new(config: Config) -> Self {
        Worker {
            resources: config.hello.resources.clone(),
            paused: config.hello.status == WorkerStatus::Paused,
            config,
            now: 0,
            connection: Connection::No,
            me: WorkerId(u32::MAX),
            entries: AHashMap::new(),
            peers: BTreeMap::new(),
            fetches: AHashMap::new(),
            incoming_nbytes: 0,
            next_fetch: 0,
            ready: BinaryHeap::new(),
            blocked: Vec::new(),
            running: BTreeMap::new(),
            threads_used: 0,
            rejoining: BTreeSet::new(),
            next_execution: 0,
            awaiting_blobs: BTreeMap::new(),
            retiring: false,
            leaving: None,
            actions: Vec::new(),
            finished: Vec::new(),
            replicated: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// What a result that was computed here, or ordered, is called.
    pub fn key(&self, task: TaskId) -> Option<&Key> {
        self.entries.get(&task)?.key.as_ref()
    }

    /// Takes in an event. What is to be done about it waits for [`Worker::drain`].
    pub fn handle(&mut self, event: Event, now: Nanos) {
        self.now = self.now.max(now);
        match event {
            Event::Connected => self.connected(),
            Event::Disconnected => self.disconnected(),
            Event::Scheduler(message) => self.heard_scheduler(message),
            Event::Fetched { fetch, arrived, absent } => self.fetched(fetch, &arrived, &absent),
            Event::FetchBusy { fetch } => self.fetch_busy(fetch),
            Event::FetchFailed { fetch } => self.fetch_failed(fetch),
            Event::Executed { execution, outcome, started_ns, stopped_ns } => {
                self.executed(execution, outcome, started_ns, stopped_ns);
            }
            Event::Seceded { execution, ran_ns } => self.seceded(execution, ran_ns),
            Event::Rejoin { execution } => {
                if self.running.contains_key(&execution) {
                    self.rejoining.insert(execution);
                }
            }
            Event::MemoryPressure { paused } => self.set_paused(paused),
            Event::Leave { reason } => {
                self.leaving = Some(reason.clone());
                self.say(FromWorker::Leave { reason });
            }
            Event::Heartbeat { memory, cpu_percent, bandwidth_bytes_per_s } => {
                let executing =
                    self.running.values().filter(|run| !run.cancelled).map(|run| run.task).collect();
                let stages = |wanted: Stage| {
                    let works = self.entries.values().filter_map(|entry| entry.work.as_ref());
                    works.filter(|work| work.stage == wanted).count() as u32
                };
                self.say(FromWorker::Heartbeat(Heartbeat {
                    memory,
                    executing,
                    ready: stages(Stage::Ready),
                    waiting: stages(Stage::Waiting),
                    fetching: self.fetches.len() as u32,
                    cpu_percent,
                    bandwidth_bytes_per_s,
                }));
            }
            Event::Tick => {}
        }
        self.start_fetches();
        self.start_work();
    }

    /// Everything that is to be done because of the events since the last time.
    pub fn drain(&mut self, actions: &mut Vec<Action>) {
        self.flush();
        actions.append(&mut self.actions);
    }

    /// Says what was gathered, so that what is said next comes after it.
    fn flush(&mut self) {
        if !self.replicated.is_empty() {
            let tasks = std::mem::take(&mut self.replicated);
            self.actions.push(Action::Scheduler(FromWorker::Replicated { tasks }));
        }
        if !self.finished.is_empty() {
            let finished = std::mem::take(&mut self.finished);
            self.actions.push(Action::Scheduler(FromWorker::Finished(finished)));
        }
        if !self.dropped.is_empty() {
            let tasks = std::mem::take(&mut self.dropped);
            self.actions.push(Action::Drop { tasks });
        }
    }

    /// Stores a value, after what is to be dropped: that may be an older value of the same task.
    pub(crate) fn put(&mut self, task: TaskId, from: crate::event::Origin) {
        if !self.dropped.is_empty() {
            let tasks = std::mem::take(&mut self.dropped);
            self.actions.push(Action::Drop { tasks });
        }
        self.actions.push(Action::Put { task, from });
    }

    pub(crate) fn say(&mut self, message: FromWorker) {
        if self.connection == Connection::Stands {
            self.flush();
            self.actions.push(Action::Scheduler(message));
        }
    }

    /// When the next [`Event::Tick`] is due at the latest.
    pub fn next_wake_ns(&self) -> Option<Nanos> {
        let busy =
            |peer: &PeerQueue| (!peer.tasks.is_empty() && peer.fetch.is_none()).then_some(peer.busy_until_ns);
        self.peers.values().filter_map(busy).filter(|&until| until > self.now).min()
    }

    /// Results that are here, for the shell's accounts.
    pub fn n_results(&self) -> usize {
        self.entries.values().filter(|entry| entry.data == Data::Here).count()
    }

    /// Whether nothing is here and nothing goes on.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.running.is_empty() && self.fetches.is_empty()
    }

    fn connected(&mut self) {
        // What we fetched has no key here; who made it holds it still, or it is made again.
        let mut gone: Vec<TaskId> = Vec::new();
        self.entries.retain(|&task, entry| {
            let stays = entry.data == Data::Here && entry.key.is_some();
            if entry.data == Data::Here && !stays {
                gone.push(task);
            }
            stays
        });
        gone.sort_unstable();
        self.dropped.extend(gone);
        let mut hello = self.config.hello.clone();
        hello.held = self
            .announced()
            .into_iter()
            .filter_map(|task| {
                let entry = self.entries.get(&task)?;
                Some(Held { key: entry.key.clone()?, nbytes: entry.nbytes })
            })
            .collect();
        hello.status = if self.paused { WorkerStatus::Paused } else { WorkerStatus::Running };
        self.connection = Connection::Stands;
        self.say(FromWorker::Hello(hello));
        self.connection = Connection::Greeting;
    }

    /// What was said to be held, in the order in which it was said.
    fn announced(&self) -> Vec<TaskId> {
        let mut tasks: Vec<TaskId> = self.entries.keys().copied().collect();
        tasks.sort_unstable();
        tasks
    }

    fn disconnected(&mut self) {
        self.connection = Connection::No;
        self.retiring = false;
        self.finished.clear();
        self.replicated.clear();
        for (&execution, run) in &mut self.running {
            if !run.cancelled {
                run.cancelled = true;
                self.actions.push(Action::Cancel { execution });
            }
        }
        for entry in self.entries.values_mut() {
            entry.work = None;
            entry.readers.clear();
            entry.ordered = false;
            if entry.data != Data::Here {
                entry.data = Data::No;
            }
        }
        self.entries.retain(|_, entry| entry.data == Data::Here);
        self.ready.clear();
        self.blocked.clear();
        self.awaiting_blobs.clear();
        self.peers.clear();
        self.fetches.clear();
        self.incoming_nbytes = 0;
    }

    fn heard_scheduler(&mut self, message: ToWorker) {
        if let ToWorker::Welcome(welcome) = message {
            return self.welcome(welcome);
        }
        if self.connection != Connection::Stands {
            return;
        }
        match message {
            ToWorker::Welcome(_) => {}
            ToWorker::Compute(compute) => self.compute(compute),
            ToWorker::Replicate(sources) => self.told_sources(sources, true),
            ToWorker::Sources(sources) => self.told_sources(sources, false),
            ToWorker::Free { tasks } => {
                for task in tasks {
                    self.free(task);
                }
            }
            ToWorker::DropReplicas { tasks } => self.drop_replicas(tasks),
            ToWorker::Steal { tasks } => {
                let answers =
                    tasks.into_iter().map(|(task, run)| (task, run, self.give_up(task, run))).collect();
                self.say(FromWorker::Steal { tasks: answers });
            }
            ToWorker::Blobs { blobs } => {
                let digests: Vec<Digest> = blobs.iter().map(|blob| blob.digest).collect();
                self.actions.push(Action::Store { blobs });
                self.blobs_arrived(&digests);
            }
            ToWorker::ForgetBlobs { digests } => self.actions.push(Action::Forget { digests }),
            ToWorker::Retire => {
                self.retiring = true;
                self.say(FromWorker::Status(WorkerStatus::Retiring));
            }
            ToWorker::Close { reason } => self.actions.push(Action::Close { reason }),
        }
    }

    fn welcome(&mut self, welcome: WorkerWelcome) {
        if self.connection != Connection::Greeting {
            return;
        }
        self.me = welcome.worker;
        self.connection = Connection::Stands;
        let renamed: Vec<(TaskId, TaskId)> = self.announced().into_iter().zip(welcome.held).collect();
        let mut old = std::mem::take(&mut self.entries);
        for &(was, is) in &renamed {
            if let Some(entry) = old.remove(&was) {
                self.entries.insert(is, entry);
            }
        }
        self.flush();
        let (epoch, worker) = (welcome.epoch, welcome.worker);
        self.actions.push(Action::Renamed { epoch, worker, tasks: renamed });
        if let Some(reason) = self.leaving.clone() {
            self.say(FromWorker::Leave { reason });
        }
    }

    pub(crate) fn introduced(&mut self, peers: Vec<Peer>) {
        let address = |peer: Peer| Action::Address { worker: peer.worker, address: peer.address };
        self.actions.extend(peers.into_iter().map(address));
    }

    fn compute(&mut self, mut compute: Compute) {
        self.introduced(std::mem::take(&mut compute.peers));
        if !compute.blobs.is_empty() {
            self.actions.push(Action::Store { blobs: std::mem::take(&mut compute.blobs) });
        }
        for (assigned, inputs) in compute.iter() {
            self.assigned(assigned, &inputs);
        }
    }

    fn assigned(&mut self, assigned: &Assigned, inputs: &[Source<'_>]) {
        let task = assigned.task;
        let entry = self.entries.entry(task).or_default();
        entry.key = Some(assigned.key.clone());
        if entry.data == Data::Here {
            // A copy came before the order to compute it.
            return self.finish(task, assigned.run, entry_nbytes(&self.entries, task), 0, 0, "".into());
        }
        if entry.work.is_some() {
            // The order before this one was taken back; that message is behind us, so this cannot be.
            self.remove_work(task);
        }
        let work = Work {
            run: assigned.run,
            stage: Stage::Waiting,
            missing: 0,
            priority: assigned.priority,
            blob: assigned.blob,
            index: assigned.index,
            payload: assigned.payload.clone(),
            inputs: inputs.iter().map(|input| input.task).collect(),
            options: assigned.options.clone(),
        };
        let mut missing = 0;
        for input in inputs {
            let entry = self.entries.entry(input.task).or_default();
            if entry.readers.last() == Some(&task) {
                continue;
            }
            entry.readers.push(task);
            if entry.data != Data::Here {
                missing += 1;
                self.want(input, assigned.priority);
            }
        }
        if let Some(entry) = self.entries.get_mut(&task) {
            entry.work = Some(Box::new(Work { missing, ..work }));
        }
        if missing == 0 {
            self.make_ready(task);
        }
    }

    /// The result is here, and the scheduler is to know.
    pub(crate) fn finish(
        &mut self,
        task: TaskId,
        run: u32,
        nbytes: u64,
        started_ns: Nanos,
        stopped_ns: Nanos,
        type_name: Arc<str>,
    ) {
        if self.connection == Connection::Stands {
            self.finished.push(Finished { task, run, nbytes, started_ns, stopped_ns, type_name });
        }
    }

    /// The scheduler does not count on this task here any more.
    fn free(&mut self, task: TaskId) {
        self.remove_work(task);
        let Some(entry) = self.entries.get_mut(&task) else { return };
        entry.ordered = false;
        if entry.data == Data::Here {
            entry.data = Data::No;
            self.dropped.push(task);
        }
        if entry.readers.is_empty() {
            self.stop_wanting(task);
        } else if entry.data == Data::No {
            // Somebody here reads it all the same: ask where it is now.
            self.input_gone(task);
        }
    }

    fn told_sources(&mut self, mut sources: Sources, order: bool) {
        self.introduced(std::mem::take(&mut sources.peers));
        for (key, source) in sources.iter() {
            let entry = self.entries.entry(source.task).or_default();
            entry.key = Some(key.clone());
            if entry.data == Data::Here {
                if order {
                    self.replicated.push(source.task);
                }
                continue;
            }
            entry.ordered |= order;
            if entry.is_wanted() {
                let priority = entry.priority;
                self.want(&source, priority);
            } else {
                self.forget_if_idle(source.task);
            }
        }
    }

    fn drop_replicas(&mut self, tasks: Vec<TaskId>) {
        let (mut dropped, mut kept) = (Vec::new(), Vec::new());
        for task in tasks {
            match self.entries.get_mut(&task) {
                Some(entry) if entry.data == Data::Here && !entry.readers.is_empty() => kept.push(task),
                Some(entry) if entry.data == Data::Here => {
                    entry.data = Data::No;
                    self.dropped.push(task);
                    self.forget_if_idle(task);
                    dropped.push(task);
                }
                _ => dropped.push(task),
            }
        }
        if !kept.is_empty() {
            self.say(FromWorker::Kept { tasks: kept });
        }
        if !dropped.is_empty() {
            self.say(FromWorker::Dropped { tasks: dropped });
        }
    }

    fn set_paused(&mut self, paused: bool) {
        if self.paused == paused {
            return;
        }
        self.paused = paused;
        if !self.retiring {
            self.say(FromWorker::Status(if paused { WorkerStatus::Paused } else { WorkerStatus::Running }));
        }
    }

    /// Removes what is known of a task if nothing is.
    pub(crate) fn forget_if_idle(&mut self, task: TaskId) {
        if let Some(entry) = self.entries.get(&task)
            && entry.data == Data::No
            && entry.work.is_none()
            && !entry.is_wanted()
        {
            self.entries.remove(&task);
        }
    }
}

fn entry_nbytes(entries: &AHashMap<TaskId, Entry>, task: TaskId) -> u64 {
    entries.get(&task).map_or(0, |entry| entry.nbytes)
}
