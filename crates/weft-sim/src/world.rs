//! The queue of timed events, the network, and trouble.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use weft_scheduler::message::{
    ClientHello, ClientId, Epoch, Failure, FromClient, FromWorker, FutureId, Key, Memory, Question,
    RequestId, TaskId, ToClient, ToWorker, WorkerHello, WorkerId, WorkerStatus,
};
use weft_scheduler::{Action, Config, Event, Scheduler};
use weft_worker::{ExecutionId, FetchId, Origin, Outcome, Worker};

use crate::client::{Client, Fate, Taste};
use crate::process::{Job, Process, Stored};
use crate::random::Random;
use crate::work::{Model, WorkSpec};

const MS: u64 = 1_000_000;

/// How a simulated cluster is made and used.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    pub n_workers: usize,
    pub max_threads: u32,
    pub n_clients: u32,
    /// What each client does before it waits for everything.
    pub n_steps: u32,
    pub max_tasks: u64,
    pub max_duration_us: u64,
    pub max_nbytes: u64,
    /// Chance in percent that tasks of a layer may fail, or are restricted to workers.
    pub failing: u64,
    pub restricted: u64,
    pub latency_us: u64,
    pub bandwidth_bytes_per_s: f64,
    pub trouble: Trouble,
    pub config: Config,
}

/// Chances in percent that each kind of trouble comes up, once for each step of a client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// A worker dies; another one comes for it.
    pub deaths: u64,
    /// A worker's connection to the scheduler breaks; it connects again.
    pub breaks: u64,
    /// Two workers cannot reach each other for a while.
    pub partitions: u64,
    pub pauses: u64,
    pub retirements: u64,
    /// The scheduler is started anew.
    pub restarts: u64,
    pub client_breaks: u64,
    /// Replies of busy peers.
    pub busy: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 0,
            n_workers: 4,
            max_threads: 3,
            n_clients: 2,
            n_steps: 8,
            max_tasks: 20,
            max_duration_us: 20_000,
            max_nbytes: 1 << 20,
            failing: 20,
            restricted: 10,
            latency_us: 300,
            bandwidth_bytes_per_s: 100e6,
            trouble: Trouble::default(),
            config: Config { allowed_failures: 1_000_000, story_len: 10_000, ..Config::default() },
        }
    }
}

#[derive(Debug)]
enum Next {
    ToScheduler {
        connection: WorkerId,
        message: FromWorker,
    },
    ToWorker {
        connection: WorkerId,
        message: ToWorker,
    },
    FromClient {
        client: usize,
        connection: u64,
        message: FromClient,
    },
    ToClient {
        client: usize,
        connection: u64,
        message: ToClient,
    },
    Connected {
        process: usize,
    },
    Disconnected {
        process: usize,
        connection: WorkerId,
    },
    WorkerLost {
        connection: WorkerId,
        epoch: Epoch,
    },
    ClientConnected {
        client: usize,
    },
    Asked {
        process: usize,
        fetch: FetchId,
        peer: WorkerId,
        tasks: Vec<TaskId>,
        max_nbytes: u64,
        epoch: Epoch,
    },
    Fetched {
        process: usize,
        fetch: FetchId,
        reply: Reply,
    },
    Executed {
        process: usize,
        execution: ExecutionId,
    },
    Seceded {
        process: usize,
        execution: ExecutionId,
    },
    WorkerTick {
        process: usize,
    },
    Heartbeat {
        process: usize,
    },
    SchedulerTick,
    Spawn {
        place: usize,
    },
    Pressure {
        process: usize,
        paused: bool,
    },
    Heal {
        pair: (usize, usize),
    },
    Step {
        client: usize,
    },
}

#[derive(Debug)]
enum Reply {
    Data { arrived: Vec<(TaskId, Stored)>, absent: Vec<TaskId> },
    Busy,
    Failed,
}

#[derive(Debug)]
struct Timed {
    at: u64,
    turn: u64,
    next: Next,
}

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.turn) == (other.at, other.turn)
    }
}
impl Eq for Timed {}
impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.turn).cmp(&(other.at, other.turn))
    }
}

/// A connection of a worker to the scheduler. The last times keep each direction in order.
#[derive(Debug)]
struct Connection {
    process: usize,
    open: bool,
    last_up: u64,
    last_down: u64,
}

/// The whole cluster.
#[derive(Debug)]
pub struct World {
    pub options: Options,
    pub now: u64,
    pub random: Random,
    pub scheduler: Scheduler,
    pub model: Model,
    pub clients: Vec<Client>,
    epoch: u64,
    queue: BinaryHeap<Reverse<Timed>>,
    turn: u64,
    processes: Vec<Process>,
    connections: Vec<Connection>,
    /// Number of each client's connection, and the last times of its directions.
    lines: Vec<(u64, u64, u64)>,
    steps_left: Vec<u32>,
    partitions: BTreeSet<(usize, usize)>,
    scheduler_wakes_at: Option<u64>,
    /// No more trouble: everything must come to its end.
    calm: bool,
    pub n_events: u64,
    n_executed: u64,
    /// What has happened, for whoever looks for a mistake.
    pub log: Option<Vec<String>>,
}

impl World {
    pub fn new(options: Options) -> Self {
        let config = Config { seed: options.seed, epoch: Epoch(1), ..options.config.clone() };
        let mut world = World {
            now: 0,
            random: Random::new(options.seed),
            scheduler: Scheduler::new(config),
            model: Model::default(),
            clients: Vec::new(),
            epoch: 1,
            queue: BinaryHeap::new(),
            turn: 0,
            processes: Vec::new(),
            connections: Vec::new(),
            lines: Vec::new(),
            steps_left: Vec::new(),
            partitions: BTreeSet::new(),
            scheduler_wakes_at: None,
            calm: false,
            n_events: 0,
            n_executed: 0,
            log: None,
            options,
        };
        for place in 0..world.options.n_workers {
            let after = world.random.below(5 * MS);
            world.at(after, Next::Spawn { place });
        }
        for client in 0..world.options.n_clients {
            world.clients.push(Client::new(ClientId(client)));
            world.lines.push((0, 0, 0));
            world.steps_left.push(world.options.n_steps);
            let after = world.random.below(5 * MS);
            world.at(after, Next::ClientConnected { client: client as usize });
            let after = 6 * MS + world.random.below(20 * MS);
            world.at(after, Next::Step { client: client as usize });
        }
        world
    }

    fn at(&mut self, after: u64, next: Next) {
        self.turn += 1;
        self.queue.push(Reverse(Timed { at: self.now + after, turn: self.turn, next }));
    }

    fn latency(&mut self) -> u64 {
        1000 * self.options.latency_us / 2 + self.random.below(1000 * self.options.latency_us + 1)
    }

    /// Lets everything happen until every client has done its steps and has an answer for each of its futures,
    /// and checks the answers; then lets all futures go and checks that nothing is left.
    pub fn run(&mut self) -> Result<(), String> {
        self.settle()?;
        self.let_go()
    }

    /// The first half of [`World::run`].
    pub fn settle(&mut self) -> Result<(), String> {
        self.until("all futures are settled", |world| {
            world.calm
                && world.clients.iter().all(|client| {
                    client.futures.values().all(|future| match future.fate {
                        Fate::Pending => false,
                        // A client may not have heard yet that it was lost.
                        Fate::Done { task, .. } => world.stored(task).is_some(),
                        Fate::Erred { .. } | Fate::Cancelled => true,
                    })
                })
        })?;
        self.check_answers()
    }

    fn let_go(&mut self) -> Result<(), String> {
        for client in 0..self.clients.len() {
            let futures: Vec<FutureId> = self.clients[client].futures.keys().copied().collect();
            self.clients[client].futures.clear();
            self.send_up(client, FromClient::Release { futures });
        }
        self.until("everything is forgotten", |world| {
            let usage = world.scheduler.usage();
            usage.tasks == 0
                && world.processes.iter().all(|p| !p.alive || p.machine.is_empty() && p.store.is_empty())
        })?;
        let usage = self.scheduler.usage();
        let left = usage.tasks
            + usage.edges
            + usage.replicas
            + usage.wants
            + usage.layers
            + usage.blobs
            + usage.keys;
        if left + usage.queued + usage.failures > 0 {
            return Err(format!("something is left: {usage:?}"));
        }
        Ok(())
    }

    /// Lets things happen until `done`.
    fn until(&mut self, what: &str, done: impl Fn(&World) -> bool) -> Result<(), String> {
        let (limit, deadline) = (self.n_events + 3_000_000, self.now + 3_600_000 * MS);
        while !done(self) {
            if !self.calm && self.steps_left.iter().all(|&left| left == 0) {
                self.calm_down();
            }
            let Some(Reverse(timed)) = self.queue.pop() else {
                return Err(format!("nothing more happens, but not: {what}\n{}", self.picture()));
            };
            self.now = timed.at;
            self.n_events += 1;
            if self.n_events > limit || self.now > deadline {
                return Err(format!("it goes on for ever, but not: {what}\n{}", self.picture()));
            }
            if let Some(log) = &mut self.log {
                log.push(format!("{:>12} {:?}", self.now, timed.next));
            }
            self.happen(timed.next)?;
        }
        Ok(())
    }

    /// What is not settled, for error messages.
    fn picture(&mut self) -> String {
        let mut lines = Vec::new();
        for client in &self.clients {
            for (id, future) in &client.futures {
                if matches!(future.fate, Fate::Pending) {
                    lines.push(format!("{:?} waits for {id:?} {}", client.id, future.key));
                }
            }
        }
        lines.truncate(10);
        lines.push(format!("{:?}", self.scheduler.usage()));
        for (p, process) in self.processes.iter().enumerate().filter(|(_, p)| p.alive) {
            lines.push(format!(
                "process {p} (w{}) {:?} paused {} store {:?} executing {}: {:?}",
                process.place,
                process.connection,
                process.paused,
                process.store.keys().take(10).collect::<Vec<_>>(),
                process.executing.len(),
                process.machine
            ));
        }
        lines.join("\n")
    }

    /// How many tasks have been run to their end.
    pub fn n_executed(&self) -> u64 {
        self.n_executed
    }

    fn stored(&self, task: TaskId) -> Option<Stored> {
        let current = |process: &&Process| process.alive && process.epoch == Epoch(self.epoch);
        self.processes.iter().filter(current).find_map(|process| process.store.get(&task).copied())
    }

    fn check_answers(&mut self) -> Result<(), String> {
        for c in 0..self.clients.len() {
            for (id, future) in self.clients[c].futures.clone() {
                let key = future.key;
                let expected = self.model.value(&key);
                match future.fate {
                    Fate::Pending | Fate::Cancelled => {}
                    Fate::Done { task, .. } => {
                        let Some(stored) = self.stored(task) else {
                            return Err(format!("{id:?} {key} is nowhere"));
                        };
                        if Some(stored.value) != expected {
                            return Err(format!("{key}: expected {expected:?}, got {}", stored.value));
                        }
                    }
                    Fate::Erred { failure, .. } => {
                        let right = match &*failure {
                            Failure::Raised { .. } | Failure::KilledWorker { .. } => expected.is_none(),
                            // Its task was released before the graph that reads it arrived.
                            Failure::UnknownInput { .. } => true,
                            Failure::Unreachable { .. } => self.options.trouble.partitions > 0,
                            Failure::Lost { .. } | Failure::Cancelled { .. } => false,
                        };
                        if !right {
                            return Err(format!("{key} failed: {failure:?}, expected {expected:?}"));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The last step has been done: heal everything and wait.
    fn calm_down(&mut self) {
        self.calm = true;
        self.partitions.clear();
        for process in 0..self.processes.len() {
            if self.processes[process].alive {
                self.at(MS, Next::Pressure { process, paused: false });
            }
        }
    }

    fn happen(&mut self, next: Next) -> Result<(), String> {
        match next {
            Next::ToScheduler { connection, message } => {
                if self.connections[connection.0 as usize].open {
                    self.scheduler_handles(Event::Worker { worker: connection, message })?;
                }
            }
            Next::ToWorker { connection, message } => {
                let Connection { process, open, .. } = self.connections[connection.0 as usize];
                if open && self.processes[process].alive {
                    self.worker_handles(process, weft_worker::Event::Scheduler(message))?;
                }
            }
            Next::FromClient { client, connection, message } => {
                if self.lines[client].0 == connection {
                    let event = Event::Client { client: self.clients[client].id, message };
                    self.scheduler_handles(event)?;
                }
            }
            Next::ToClient { client, connection, message } => {
                if self.lines[client].0 == connection
                    && let Some(answer) = self.clients[client].hear(message)
                {
                    self.send_up(client, answer);
                }
            }
            Next::Connected { process } => self.connect(process)?,
            Next::Disconnected { process, connection } => {
                if self.processes[process].alive && self.processes[process].connection == Some(connection) {
                    self.processes[process].connection = None;
                    self.worker_handles(process, weft_worker::Event::Disconnected)?;
                    let after = MS + self.random.below(500 * MS);
                    self.at(after, Next::Connected { process });
                }
            }
            Next::WorkerLost { connection, epoch } => {
                if epoch == Epoch(self.epoch) {
                    let (cause, executing) = ("connection lost".into(), None);
                    let event = Event::WorkerLost { worker: connection, cause, executing, expected: false };
                    self.scheduler_handles(event)?;
                }
            }
            Next::ClientConnected { client } => self.connect_client(client),
            Next::Asked { process, fetch, peer, tasks, max_nbytes, epoch } => {
                self.asked(process, fetch, peer, &tasks, max_nbytes, epoch);
            }
            Next::Fetched { process, fetch, reply } => self.fetched(process, fetch, reply)?,
            Next::Executed { process, execution } => self.executed(process, execution)?,
            Next::Seceded { process, execution } => {
                if self.processes[process].alive && self.processes[process].executing.contains_key(&execution)
                {
                    self.worker_handles(process, weft_worker::Event::Seceded { execution, ran_ns: MS })?;
                }
            }
            Next::WorkerTick { process } => {
                self.processes[process].wake_ns = None;
                if self.processes[process].alive {
                    self.worker_handles(process, weft_worker::Event::Tick)?;
                }
            }
            Next::Heartbeat { process } => {
                if self.processes[process].alive {
                    let (memory, cpu_percent, bandwidth_bytes_per_s) = (Memory::default(), 0.0, 0.0);
                    let event = weft_worker::Event::Heartbeat { memory, cpu_percent, bandwidth_bytes_per_s };
                    self.worker_handles(process, event)?;
                }
            }
            Next::SchedulerTick => {
                self.scheduler_wakes_at = None;
                self.scheduler_handles(Event::Tick)?;
            }
            Next::Spawn { place } => self.spawn(place)?,
            Next::Pressure { process, paused } => {
                if self.processes[process].alive && (!self.calm || !paused) {
                    self.processes[process].paused = paused;
                    self.worker_handles(process, weft_worker::Event::MemoryPressure { paused })?;
                }
            }
            Next::Heal { pair } => {
                self.partitions.remove(&pair);
            }
            Next::Step { client } => self.step(client)?,
        }
        Ok(())
    }

    // ---- the scheduler ------------------------------------------------------------------------------------------

    fn scheduler_handles(&mut self, event: Event) -> Result<(), String> {
        self.scheduler.handle(event, self.now);
        self.scheduler.validate().map_err(|problem| format!("scheduler at {} ns: {problem}", self.now))?;
        let mut actions = Vec::new();
        // Shells take actions after a batch of events.
        if self.random.chance(80) {
            self.scheduler.drain(&mut actions);
        }
        for action in actions {
            match action {
                Action::Worker { worker, message } => {
                    let latency = self.latency();
                    let connection = &mut self.connections[worker.0 as usize];
                    connection.last_down = connection.last_down.max(self.now + latency);
                    let after = connection.last_down - self.now;
                    self.at(after, Next::ToWorker { connection: worker, message });
                }
                Action::Client { client, message } => {
                    let latency = self.latency();
                    let client = client.0 as usize;
                    let line = &mut self.lines[client];
                    line.2 = line.2.max(self.now + latency);
                    let (connection, after) = (line.0, line.2 - self.now);
                    self.at(after, Next::ToClient { client, connection, message });
                }
                Action::RestartWorkers | Action::Warn { .. } => {}
                Action::Disconnect { reason, .. } | Action::DisconnectClient { reason, .. } => {
                    return Err(format!("the scheduler closes a connection: {reason}"));
                }
            }
        }
        let wake = self
            .scheduler
            .next_wake_ns()
            .unwrap_or(self.now + 100 * MS)
            .clamp(self.now + MS, self.now + 100 * MS);
        if self.scheduler_wakes_at.is_none_or(|at| wake < at) {
            self.scheduler_wakes_at = Some(wake);
            self.at(wake - self.now, Next::SchedulerTick);
        }
        Ok(())
    }

    /// The scheduler loses everything; workers and clients connect to a new one.
    pub fn restart_scheduler(&mut self) {
        self.epoch += 1;
        let config = Config {
            seed: self.options.seed ^ self.epoch,
            epoch: Epoch(self.epoch),
            ..self.options.config.clone()
        };
        self.scheduler = Scheduler::new(config);
        for connection in 0..self.connections.len() {
            self.break_connection(WorkerId(connection as u32));
        }
        for client in 0..self.clients.len() {
            self.lines[client].0 += 1;
            self.clients[client].forget_places();
            let after = MS + self.random.below(300 * MS);
            self.at(after, Next::ClientConnected { client });
        }
    }

    // ---- workers ------------------------------------------------------------------------------------------------

    fn spawn(&mut self, place: usize) -> Result<(), String> {
        let process = self.processes.len();
        let gpu = place.is_multiple_of(3).then(|| (Arc::from("GPU"), 1.0));
        let hello = WorkerHello {
            name: format!("w{place}").into(),
            address: format!("sim://{process}").into(),
            host: "sim".into(),
            nanny: "".into(),
            pid: process as u32,
            nthreads: 1 + (place as u32 * 7 + 1) % self.options.max_threads,
            memory_limit: 0,
            resources: gpu.into_iter().collect(),
            held: vec![],
            status: WorkerStatus::Running,
        };
        let mut config = weft_worker::Config::new(hello);
        config.max_fetches = 1 + self.random.below(10) as usize;
        config.max_fetch_nbytes = 1 << (10 + self.random.below(12));
        let slowness = if self.random.chance(15) { 10 } else { 1 };
        self.processes.push(Process {
            machine: Worker::new(config),
            place,
            alive: true,
            connection: None,
            epoch: Epoch(0),
            store: BTreeMap::new(),
            blobs: BTreeSet::new(),
            executing: BTreeMap::new(),
            loose: BTreeMap::new(),
            results: BTreeMap::new(),
            slowness,
            paused: false,
            wake_ns: None,
        });
        self.connect(process)
    }

    fn connect(&mut self, process: usize) -> Result<(), String> {
        if !self.processes[process].alive || self.processes[process].connection.is_some() {
            return Ok(());
        }
        let id = WorkerId(self.connections.len() as u32);
        self.connections.push(Connection { process, open: true, last_up: self.now, last_down: self.now });
        self.processes[process].connection = Some(id);
        self.worker_handles(process, weft_worker::Event::Connected)
    }

    /// Both ends notice, at different times.
    fn break_connection(&mut self, connection: WorkerId) {
        let Connection { process, open, .. } = self.connections[connection.0 as usize];
        if !open {
            return;
        }
        self.connections[connection.0 as usize].open = false;
        let after = self.random.below(300 * MS);
        self.at(after, Next::WorkerLost { connection, epoch: Epoch(self.epoch) });
        let after = self.random.below(300 * MS);
        self.at(after, Next::Disconnected { process, connection });
    }

    fn kill(&mut self, process: usize) {
        if !std::mem::replace(&mut self.processes[process].alive, false) {
            return;
        }
        if let Some(connection) = self.processes[process].connection {
            self.break_connection(connection);
        }
        self.processes[process].store.clear();
        let place = self.processes[process].place;
        let after = 10 * MS + self.random.below(500 * MS);
        self.at(after, Next::Spawn { place });
    }

    fn worker_handles(&mut self, p: usize, event: weft_worker::Event) -> Result<(), String> {
        self.processes[p].machine.handle(event, self.now);
        self.processes[p]
            .machine
            .validate()
            .map_err(|problem| format!("process {p} at {} ns: {problem}", self.now))?;
        let mut actions = Vec::new();
        self.processes[p].machine.drain(&mut actions);
        for action in actions {
            self.worker_does(p, action)?;
        }
        self.processes[p].loose.clear();
        self.processes[p].results.clear();
        let process = &self.processes[p];
        if process.alive && process.machine.n_results() != process.store.len() {
            let (results, stored) = (process.machine.n_results(), process.store.len());
            return Err(format!("process {p} at {} ns: {results} results, {stored} stored", self.now));
        }
        if let Some(wake) = process.machine.next_wake_ns()
            && process.wake_ns.is_none_or(|at| wake < at)
        {
            self.processes[p].wake_ns = Some(wake);
            self.at(wake.saturating_sub(self.now), Next::WorkerTick { process: p });
        }
        Ok(())
    }

    fn worker_does(&mut self, p: usize, action: weft_worker::Action) -> Result<(), String> {
        use weft_worker::Action as Do;
        match action {
            Do::Scheduler(message) => {
                if let Some(connection) = self.processes[p].connection {
                    let latency = self.latency();
                    let line = &mut self.connections[connection.0 as usize];
                    line.last_up = line.last_up.max(self.now + latency);
                    let after = line.last_up - self.now;
                    self.at(after, Next::ToScheduler { connection, message });
                }
            }
            Do::Address { .. } | Do::Cancel { .. } | Do::Rejoin { .. } => {}
            Do::Renamed { epoch, tasks, .. } => {
                let mut old = std::mem::take(&mut self.processes[p].store);
                for (was, is) in tasks {
                    let Some(stored) = old.remove(&was) else {
                        return Err(format!("process {p}: {was:?} was announced and is not there"));
                    };
                    self.processes[p].store.insert(is, stored);
                }
                self.processes[p].epoch = epoch;
            }
            Do::Store { blobs } => self.processes[p].blobs.extend(blobs.iter().map(|blob| blob.digest)),
            Do::Forget { digests } => {
                for digest in digests {
                    self.processes[p].blobs.remove(&digest);
                }
            }
            Do::Fetch { fetch, peer, tasks, max_nbytes } => {
                let latency = self.latency();
                let epoch = self.processes[p].epoch;
                self.at(latency, Next::Asked { process: p, fetch, peer, tasks, max_nbytes, epoch });
            }
            Do::Execute(execute) => {
                let spec = WorkSpec::decode(&execute.payload);
                let process = &mut self.processes[p];
                let inputs: Option<Vec<u64>> =
                    execute.inputs.iter().map(|task| Some(process.store.get(task)?.value)).collect();
                let Some(inputs) = inputs else {
                    return Err(format!("process {p}: {} runs without its inputs", execute.key));
                };
                let missing_blob = execute.blob.filter(|blob| !process.blobs.contains(blob));
                let job = Job { spec, inputs, started_ns: self.now, missing_blob };
                process.executing.insert(execute.execution, job);
                let takes = spec.duration_us * 1000 * process.slowness;
                if spec.secedes {
                    self.at(takes / 2, Next::Seceded { process: p, execution: execute.execution });
                }
                self.at(takes, Next::Executed { process: p, execution: execute.execution });
            }
            Do::Put { task, from } => {
                let process = &mut self.processes[p];
                let value = match from {
                    Origin::Execution(execution) => process.results.remove(&execution),
                    Origin::Fetch(fetch) => process.loose.remove(&(fetch, task)),
                };
                let Some(value) = value else { return Err(format!("process {p}: no value for {task:?}")) };
                process.store.insert(task, value);
            }
            Do::Drop { tasks } => {
                for task in tasks {
                    if self.processes[p].store.remove(&task).is_none() {
                        return Err(format!("process {p}: {task:?} is dropped and not there"));
                    }
                }
            }
            Do::Close { .. } => self.kill(p),
        }
        Ok(())
    }

    fn executed(&mut self, p: usize, execution: ExecutionId) -> Result<(), String> {
        if !self.processes[p].alive {
            return Ok(());
        }
        let Some(job) = self.processes[p].executing.remove(&execution) else { return Ok(()) };
        if job.spec.kills {
            self.kill(p);
            return Ok(());
        }
        self.n_executed += 1;
        let chance = self.random.below(100);
        let failure = || Failure::Raised { exception: vec![].into(), text: "no luck".into() };
        let outcome = if let Some(digest) = job.missing_blob {
            Outcome::BlobMissing { digest }
        } else if job.spec.reschedules && chance < 30 {
            Outcome::Reschedule
        } else if job.spec.always_fails || (job.spec.fails_sometimes && chance < 50) {
            Outcome::Erred(failure())
        } else {
            let value = job.spec.value(job.inputs.iter().copied());
            let nbytes = job.spec.nbytes;
            self.processes[p].results.insert(execution, Stored { value, nbytes });
            Outcome::Finished { nbytes, type_name: "int".into() }
        };
        let (started_ns, stopped_ns) = (job.started_ns, self.now);
        self.worker_handles(p, weft_worker::Event::Executed { execution, outcome, started_ns, stopped_ns })
    }

    fn asked(
        &mut self,
        p: usize,
        fetch: FetchId,
        peer: WorkerId,
        tasks: &[TaskId],
        max_nbytes: u64,
        epoch: Epoch,
    ) {
        let server = self.connections[peer.0 as usize].process;
        let pair = (p.min(server), p.max(server));
        let process = &self.processes[server];
        let mut nbytes = 0;
        let reply = if !process.alive || self.partitions.contains(&pair) {
            Reply::Failed
        } else if process.epoch != epoch || self.random.chance(self.options.trouble.busy) {
            Reply::Busy
        } else {
            let (mut arrived, mut absent) = (Vec::new(), Vec::new());
            for &task in tasks {
                match process.store.get(&task) {
                    None => absent.push(task),
                    Some(stored) if arrived.is_empty() || nbytes + stored.nbytes <= max_nbytes => {
                        nbytes += stored.nbytes;
                        arrived.push((task, *stored));
                    }
                    Some(_) => {}
                }
            }
            Reply::Data { arrived, absent }
        };
        let after = self.latency() + (nbytes as f64 / self.options.bandwidth_bytes_per_s * 1e9) as u64;
        self.at(after, Next::Fetched { process: p, fetch, reply });
    }

    fn fetched(&mut self, p: usize, fetch: FetchId, reply: Reply) -> Result<(), String> {
        if !self.processes[p].alive {
            return Ok(());
        }
        let event = match reply {
            Reply::Busy => weft_worker::Event::FetchBusy { fetch },
            Reply::Failed => weft_worker::Event::FetchFailed { fetch },
            Reply::Data { arrived, absent } => {
                let sizes = arrived.iter().map(|(task, stored)| (*task, stored.nbytes)).collect();
                self.processes[p].loose =
                    arrived.into_iter().map(|(task, stored)| ((fetch, task), stored)).collect();
                weft_worker::Event::Fetched { fetch, arrived: sizes, absent }
            }
        };
        self.worker_handles(p, event)
    }

    // ---- clients ------------------------------------------------------------------------------------------------

    fn send_up(&mut self, client: usize, message: FromClient) {
        let latency = self.latency();
        let line = &mut self.lines[client];
        line.1 = line.1.max(self.now + latency);
        let (connection, after) = (line.0, line.1 - self.now);
        self.at(after, Next::FromClient { client, connection, message });
    }

    fn connect_client(&mut self, client: usize) {
        let name = format!("client-{client}").into();
        self.lines[client].0 += 1;
        let last_epoch =
            (!self.clients[client].graphs.is_empty()).then_some(Epoch(self.epoch.saturating_sub(1)));
        self.send_up(client, FromClient::Hello(ClientHello { name, last_epoch }));
        for message in self.clients[client].say_again() {
            self.send_up(client, message);
        }
        self.send_up(client, FromClient::Resumed);
    }

    fn step(&mut self, client: usize) -> Result<(), String> {
        if self.steps_left[client] == 0 {
            return Ok(());
        }
        self.steps_left[client] -= 1;
        let after = self.random.below(60 * MS);
        self.at(after, Next::Step { client });
        self.trouble(client)?;
        let held: Vec<FutureId> = self.clients[client].futures.keys().copied().collect();
        let some = |random: &mut Random| -> Vec<FutureId> {
            held.iter().copied().filter(|_| random.chance(30)).collect()
        };
        match self.random.below(14) {
            0 | 1 => {
                let futures = some(&mut self.random);
                for future in &futures {
                    self.clients[client].futures.remove(future);
                }
                self.send_up(client, FromClient::Release { futures });
            }
            2 => {
                let futures: Vec<FutureId> = some(&mut self.random).into_iter().take(2).collect();
                let force = self.random.chance(30);
                self.send_up(client, FromClient::Cancel { futures, force, reason: "changed my mind".into() });
            }
            3 => {
                let futures = some(&mut self.random);
                self.send_up(client, FromClient::Retry { futures });
            }
            4 => {
                let others: Vec<Key> =
                    self.clients.iter().flat_map(|c| c.futures.values().map(|f| f.key.clone())).collect();
                if let Some(key) = self.random.pick(&others).cloned() {
                    let future = self.clients[client].new_future(key.clone());
                    self.send_up(client, FromClient::Want { futures: vec![(future, key)] });
                }
            }
            5 => {
                let keys: Vec<Key> = self.clients[client].futures.values().map(|f| f.key.clone()).collect();
                let request = self.request(client);
                let message = match self.random.below(3) {
                    0 => FromClient::Replicate {
                        request,
                        keys,
                        copies: self.random.below(3) as u32,
                        workers: vec![],
                    },
                    1 => FromClient::Rebalance { request, keys: vec![], workers: vec![] },
                    _ => FromClient::Ask { request, question: Question::Story { keys } },
                };
                self.send_up(client, message);
            }
            6 => {
                let futures = some(&mut self.random);
                self.send_up(client, FromClient::Detach { futures });
            }
            _ => {
                let taste = Taste {
                    max_tasks: self.options.max_tasks,
                    max_duration_us: self.options.max_duration_us,
                    max_nbytes: self.options.max_nbytes,
                    failing: self.options.failing,
                    restricted: self.options.restricted,
                    n_places: self.options.n_workers as u64,
                };
                let graph = self.clients[client].graph(&mut self.random, &mut self.model, &taste);
                self.clients[client].graphs.push(graph.clone());
                self.send_up(client, FromClient::Graph(graph));
            }
        }
        Ok(())
    }

    fn request(&mut self, client: usize) -> RequestId {
        self.clients[client].asked += 1;
        RequestId(self.clients[client].asked)
    }

    fn trouble(&mut self, client: usize) -> Result<(), String> {
        let trouble = self.options.trouble;
        let alive: Vec<usize> = (0..self.processes.len()).filter(|&p| self.processes[p].alive).collect();
        if self.random.chance(trouble.deaths)
            && let Some(&process) = self.random.pick(&alive)
        {
            self.kill(process);
        }
        if self.random.chance(trouble.breaks)
            && let Some(&process) = self.random.pick(&alive)
            && let Some(connection) = self.processes[process].connection
        {
            self.break_connection(connection);
        }
        if self.random.chance(trouble.partitions)
            && let (Some(&a), Some(&b)) = (self.random.pick(&alive), self.random.pick(&alive))
        {
            let pair = (a.min(b), a.max(b));
            self.partitions.insert(pair);
            let after = self.random.below(1000 * MS);
            self.at(after, Next::Heal { pair });
        }
        if self.random.chance(trouble.pauses)
            && let Some(&process) = self.random.pick(&alive)
        {
            let paused = !self.processes[process].paused;
            self.at(0, Next::Pressure { process, paused });
            self.at(MS, Next::Heartbeat { process });
        }
        if self.random.chance(trouble.retirements)
            && let Some(&process) = self.random.pick(&alive)
        {
            if self.random.chance(50) {
                let request = self.request(client);
                let workers = vec![format!("sim://{process}").into()];
                self.send_up(client, FromClient::RetireWorkers { request, workers, close: true });
            } else {
                self.worker_handles(process, weft_worker::Event::Leave { reason: "SIGTERM".into() })?;
            }
        }
        if self.random.chance(trouble.restarts) {
            self.restart_scheduler();
        }
        if self.random.chance(trouble.client_breaks) {
            self.lines[client].0 += 1;
            let after = self.random.below(300 * MS);
            self.at(after, Next::ClientConnected { client });
        }
        Ok(())
    }
}
