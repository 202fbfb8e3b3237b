//! The worker's server: sockets, results and threads around the state machine.
//!
//! The state machine sits behind one lock. Sockets feed it from the [`Reactor`]; a thread that has run a
//! task feeds it too, and takes the next one at once, so a stream of small tasks needs no other thread.
//! What it says to the scheduler waits in an outbox until the thread runs out of tasks or a
//! millisecond has passed: a thousand small results are one message.
//!
//! Nothing under the lock waits for the host's lock: values are dropped, read and written elsewhere.

mod data;
mod memory;
mod serve;
mod threads;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ahash::AHashMap;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;
use weft_data::Store;
use weft_net::{Address, Listener, NetError, Open, Receiver, Sender, Token, connect};
use weft_scheduler::message::{
    Digest, Epoch, Finished, FromWorker, PeerRequest, TaskId, ToWorker, WorkerHello, WorkerId, WorkerStatus,
};
use weft_worker::{Action, Config, Event, FetchId, Origin, Worker};

use crate::clock::Clock;
use crate::peers::Peers;
use crate::{ClusterError, FromPeer, FromScheduler, Host, Program, Reactor, ToPeer, ToScheduler, value};
use data::{Data, Stored};
pub use memory::MemoryThresholds;
use threads::{Job, Queue};

pub use threads::Place;

/// How long the outbox may wait while tasks run.
const FLUSH: Duration = Duration::from_millis(1);

pub struct WorkerOptions {
    pub name: String,
    pub scheduler: Address,
    pub listen: Address,
    /// Where others find it, if that is another address than it listens on; port 0: the same port.
    pub contact: Option<Address>,
    pub token: Token,
    pub nthreads: u32,
    /// In bytes; 0: none.
    pub memory_limit: u64,
    pub thresholds: MemoryThresholds,
    pub resources: Vec<(Arc<str>, f64)>,
    /// Not empty: a nanny tells the scheduler how this process ends.
    pub nanny: String,
    /// Where results go that memory has no room for.
    pub spill: PathBuf,
    /// How long to look for a scheduler whose connection is lost, before giving up.
    pub reconnect: Duration,
    pub host: Arc<dyn Host>,
}

/// A worker in this process. Cloning shares.
#[derive(Clone)]
pub struct WorkerServer(Arc<Shared>);

struct Shared {
    host: Arc<dyn Host>,
    machine: Mutex<Machine>,
    clock: Clock,
    /// Who and where this worker is.
    hello: WorkerHello,
    reactor: Reactor,
    flush: Notify,
    queue: Queue,
    data: Data,
    peers: Peers,
    addresses: Mutex<AHashMap<WorkerId, Arc<str>>>,
    blobs: Mutex<AHashMap<Digest, Bytes>>,
    programs: Mutex<AHashMap<Option<Digest>, Arc<dyn Program>>>,
    epoch: AtomicU64,
    /// An errand that makes room is on its way.
    spilling: AtomicBool,
    /// Bytes that peers have sent.
    received: AtomicU64,
    closed: Mutex<Option<Arc<str>>>,
    closing: Condvar,
}

/// Values that came with an event. The state machine says which of them to keep.
enum Values {
    None,
    Executed(Stored),
    Fetched(AHashMap<TaskId, Stored>),
}

struct Machine {
    worker: Worker,
    /// While there is a connection.
    scheduler: Option<Sender<ToScheduler>>,
    outbox: Vec<FromWorker>,
    /// Room for what the state machine says.
    actions: Vec<Action>,
    flushed: Instant,
}

impl WorkerServer {
    /// Connects to the scheduler and listens for peers. Tasks run once threads have come to
    /// [`WorkerServer::serve`].
    pub fn start(options: WorkerOptions) -> Result<WorkerServer, ClusterError> {
        let reactor = Reactor::start("weft-worker")?;
        let listen = options.listen.clone();
        let listener = reactor.run(async move { Listener::bind(&listen).await })??;
        let (address, token) = (options.scheduler.clone(), options.token.clone());
        let open = reactor.run(async move { Open::call(connect(&address).await?, &token).await })??;
        let reachable = match (options.contact, listener.address()) {
            (Some(Address::Tcp(host, 0)), Address::Tcp(_, port)) => Address::Tcp(host, *port),
            (Some(Address::Tls(host, 0)), Address::Tls(_, port)) => Address::Tls(host, *port),
            (Some(contact), _) => contact,
            (None, listening) => listening.clone(),
        };
        let host = match &reachable {
            Address::Tcp(host, _) | Address::Tls(host, _) => host.clone(),
            _ => "127.0.0.1".to_owned(),
        };
        let hello = WorkerHello {
            name: options.name.into(),
            address: reachable.to_string().into(),
            host: host.into(),
            nanny: options.nanny.into(),
            pid: std::process::id(),
            nthreads: options.nthreads,
            memory_limit: options.memory_limit,
            resources: options.resources,
            held: Vec::new(),
            status: WorkerStatus::Running,
        };
        let config = Config::new(hello.clone());
        let limit = options.thresholds.store_limit(options.memory_limit);
        let shared = Arc::new(Shared {
            host: options.host,
            machine: Mutex::new(Machine {
                worker: Worker::new(config),
                scheduler: None,
                outbox: Vec::new(),
                actions: Vec::new(),
                flushed: Instant::now(),
            }),
            clock: Clock::start(),
            hello,
            reactor: reactor.clone(),
            flush: Notify::new(),
            queue: Queue::new(options.nthreads as usize),
            data: Data::new(Store::new(limit, options.spill)),
            peers: Peers::new(options.token.clone()),
            addresses: Mutex::default(),
            blobs: Mutex::default(),
            programs: Mutex::default(),
            epoch: AtomicU64::new(0),
            spilling: AtomicBool::new(false),
            received: AtomicU64::new(0),
            closed: Mutex::new(None),
            closing: Condvar::new(),
        });
        let token = options.token;
        let link = Link { address: options.scheduler, token: token.clone(), patience: options.reconnect };
        reactor.handle().spawn(talk(shared.clone(), open, link));
        reactor.handle().spawn(serve::accept(shared.clone(), listener, token));
        reactor.handle().spawn(flush(shared.clone()));
        reactor.handle().spawn(memory::heartbeat(shared.clone(), options.thresholds));
        Ok(WorkerServer(shared))
    }

    pub fn address(&self) -> &Arc<str> {
        &self.0.hello.address
    }

    pub fn name(&self) -> &Arc<str> {
        &self.0.hello.name
    }

    pub fn nthreads(&self) -> u32 {
        self.0.hello.nthreads
    }

    /// Waits until the worker was told to go; why, or `None` if it has not been told yet.
    pub fn wait_closed(&self, at_most: Duration) -> Option<Arc<str>> {
        let mut closed = self.0.closed.lock();
        if closed.is_none() {
            self.0.closing.wait_for(&mut closed, at_most);
        }
        closed.clone()
    }

    /// Stops: threads leave when their tasks have ended, connections close, spilled files go.
    pub fn close(&self, reason: &str) {
        self.0.close(reason.into());
        self.0.reactor.close();
        self.0.data.close();
    }

    /// Ends this process when its standard input closes, which is when whoever started it is gone: without the
    /// host, which may be stuck. Removes spilled results, the socket and `cleanup`.
    pub fn exit_with_input(&self, cleanup: Vec<PathBuf>) {
        let shared = self.0.clone();
        std::thread::spawn(move || {
            let mut input = std::io::stdin().lock();
            // An error is as good as an end.
            let _ = std::io::copy(&mut input, &mut std::io::sink());
            shared.data.forget();
            if let Ok(Address::Unix(path)) = shared.hello.address.parse() {
                let _ = std::fs::remove_file(path);
            }
            for path in cleanup {
                remove_with_siblings(&path);
            }
            // SAFETY: ends the process without running anything more of it.
            unsafe { libc::_exit(1) }
        });
    }

    /// Asks the scheduler to take over what this worker holds and to let it go.
    pub fn leave(&self, reason: &str) {
        self.0.feed(Event::Leave { reason: reason.into() }, Values::None, true);
    }
}

/// Removes a directory that others may be removing at the same time: who finds an entry gone that it has just listed
/// fails, and so may all of them.
fn remove_with_siblings(path: &Path) {
    const TRIES: u32 = 100;
    for _ in 0..TRIES {
        if std::fs::remove_dir_all(path).is_ok() || !path.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Shared {
    fn now(&self) -> u64 {
        self.clock.now_ns()
    }

    fn close(&self, reason: Arc<str>) {
        self.closed.lock().get_or_insert(reason);
        self.closing.notify_all();
        self.queue.close();
    }

    /// Tells the state machine what has happened, and does what it says. `flush`: send at once.
    fn feed(self: &Arc<Self>, event: Event, values: Values, flush: bool) {
        self.feed_all([event], values, flush);
    }

    fn feed_all(self: &Arc<Self>, events: impl IntoIterator<Item = Event>, mut values: Values, flush: bool) {
        let mut garbage = Vec::new();
        let mut machine = self.machine.lock();
        let now = self.now();
        for event in events {
            machine.worker.handle(event, now);
        }
        let before = machine.outbox.len();
        let mut actions = std::mem::take(&mut machine.actions);
        machine.worker.drain(&mut actions);
        for action in actions.drain(..) {
            self.carry_out(action, &mut values, &mut machine.outbox, &mut garbage);
        }
        machine.actions = actions;
        if flush || machine.flushed.elapsed() > FLUSH {
            self.send(&mut machine);
        } else if before == 0 && !machine.outbox.is_empty() {
            self.flush.notify_one();
        }
        drop(machine);
        match values {
            Values::None => {}
            Values::Executed(value) => garbage.push(value),
            Values::Fetched(values) => garbage.extend(values.into_values()),
        }
        // Values may run the host's code when they go.
        self.queue.discard(garbage);
    }

    /// Sends what waits in the outbox.
    fn send(&self, machine: &mut Machine) {
        machine.flushed = Instant::now();
        let Some(scheduler) = &machine.scheduler else {
            // What concerns a connection that is gone.
            return machine.outbox.clear();
        };
        let mut finished: Vec<Finished> = Vec::new();
        for message in machine.outbox.drain(..) {
            // If the connection is gone, its own task says so.
            match message {
                FromWorker::Finished(more) => finished.extend(more),
                other => {
                    if !finished.is_empty() {
                        let _ = scheduler
                            .send(ToScheduler::Worker(FromWorker::Finished(std::mem::take(&mut finished))));
                    }
                    let _ = scheduler.send(ToScheduler::Worker(other));
                }
            }
        }
        if !finished.is_empty() {
            let _ = scheduler.send(ToScheduler::Worker(FromWorker::Finished(finished)));
        }
    }

    fn carry_out(
        self: &Arc<Self>,
        action: Action,
        values: &mut Values,
        outbox: &mut Vec<FromWorker>,
        garbage: &mut Vec<Stored>,
    ) {
        match action {
            Action::Scheduler(message) => outbox.push(message),
            Action::Address { worker, address } => drop(self.addresses.lock().insert(worker, address)),
            Action::Renamed { epoch, tasks, .. } => {
                self.epoch.store(epoch.0, Ordering::Release);
                garbage.extend(self.data.rename(&tasks));
            }
            Action::Store { blobs } => {
                let mut known = self.blobs.lock();
                known.extend(blobs.into_iter().map(|blob| (blob.digest, blob.bytes)));
            }
            Action::Forget { digests } => {
                let (mut blobs, mut programs) = (self.blobs.lock(), self.programs.lock());
                for digest in digests {
                    blobs.remove(&digest);
                    if let Some(program) = programs.remove(&Some(digest)) {
                        garbage.push(Stored::Program(program));
                    }
                }
            }
            Action::Fetch { fetch, peer, tasks, max_nbytes } => {
                let address = self.addresses.lock().get(&peer).cloned();
                let shared = self.clone();
                self.reactor.handle().spawn(async move {
                    let (event, values) = shared.fetch(fetch, address, tasks, max_nbytes).await;
                    shared.feed(event, values, true);
                });
            }
            Action::Execute(execute) => {
                let inputs = execute.inputs.iter().map(|&input| self.data.peek(input)).collect();
                self.queue.push(Job { execute, inputs });
            }
            Action::Rejoin { execution } => self.queue.rejoined(execution),
            // A Python function cannot be told.
            Action::Cancel { .. } => {}
            Action::Put { task, from } => {
                let value = match (from, &mut *values) {
                    (Origin::Execution(_), values @ Values::Executed(_)) => {
                        match std::mem::replace(values, Values::None) {
                            Values::Executed(value) => Some(value),
                            _ => None,
                        }
                    }
                    (Origin::Fetch(_), Values::Fetched(values)) => values.remove(&task),
                    _ => None,
                };
                if let Some(value) = value {
                    garbage.extend(self.data.insert(task, value));
                }
            }
            Action::Drop { tasks } => {
                for task in tasks {
                    garbage.extend(self.data.remove(task));
                }
            }
            Action::Close { reason } => self.close(reason),
        }
    }

    /// Results from a peer, in the store's care if they are large: what waits here for its readers may have to
    /// leave memory. `None`: this process ends.
    async fn receive(self: &Arc<Self>, values: Vec<crate::Encoded>, nbytes: usize) -> Option<Vec<Stored>> {
        const LARGE: usize = 1 << 20;
        if nbytes < LARGE {
            return Some(values.into_iter().map(Stored::Encoded).collect());
        }
        let shared = self.clone();
        // Making room may write to disk.
        tokio::task::spawn_blocking(move || shared.data.receive(values)).await.ok()
    }

    /// Asks a peer for results.
    async fn fetch(
        self: &Arc<Self>,
        fetch: FetchId,
        address: Option<Arc<str>>,
        tasks: Vec<TaskId>,
        max_nbytes: u64,
    ) -> (Event, Values) {
        let failed = (Event::FetchFailed { fetch }, Values::None);
        let Some(address) = address else { return failed };
        let epoch = Epoch(self.epoch.load(Ordering::Acquire));
        let message =
            |request| (ToPeer::Peer(PeerRequest::Fetch { request, epoch, tasks, max_nbytes }), Vec::new());
        let Ok(received) = self.peers.request(&address, message).await else { return failed };
        match received.message {
            FromPeer::Data { tasks, absent, broken, values, .. } => {
                let Some(values) = value::unpack(&values, received.buffers) else { return failed };
                let nbytes: usize = values.iter().map(crate::Encoded::nbytes).sum();
                self.received.fetch_add(nbytes as u64, Ordering::Relaxed);
                let mut arrived: Vec<(TaskId, u64)> =
                    tasks.iter().zip(&values).map(|(&task, v)| (task, v.nbytes() as u64)).collect();
                let Some(values) = self.receive(values, nbytes).await else { return failed };
                let mut values: AHashMap<TaskId, Stored> = tasks.into_iter().zip(values).collect();
                // To make it again elsewhere would not help: whoever reads it is told why it did not come.
                for (task, reason) in broken {
                    arrived.push((task, 0));
                    values.insert(task, Stored::Broken(reason));
                }
                (Event::Fetched { fetch, arrived, absent }, Values::Fetched(values))
            }
            FromPeer::Busy { .. } => (Event::FetchBusy { fetch }, Values::None),
            FromPeer::Returned { .. } => failed,
        }
    }
}

/// How to get to the scheduler again.
struct Link {
    address: Address,
    token: Token,
    patience: Duration,
}

impl Link {
    /// A new connection; `Err`: there is none to be had.
    async fn again(&self, lost: &NetError) -> Result<Open, Arc<str>> {
        let until = Instant::now() + self.patience;
        let mut pause = Duration::from_millis(20);
        while Instant::now() < until {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
            let call = async { Open::call(connect(&self.address).await?, &self.token).await };
            match call.await {
                Ok(open) => return Ok(open),
                // Another cluster has this address now.
                Err(error @ NetError::Token) => return Err(format!("lost the scheduler: {error}").into()),
                Err(_) => {}
            }
        }
        Err(format!("lost the scheduler: {lost}").into())
    }
}

/// Talks with the scheduler, and connects again when the connection is gone. Without a scheduler this worker goes too.
async fn talk(shared: Arc<Shared>, mut open: Open, link: Link) {
    loop {
        let (tx, mut rx) = open.start::<ToScheduler, FromScheduler>();
        shared.machine.lock().scheduler = Some(tx);
        shared.feed(Event::Connected, Values::None, true);
        let Some(lost) = listen(&shared, &mut rx).await else { return };
        // Dropping the sender closes our half.
        shared.machine.lock().scheduler = None;
        shared.feed(Event::Disconnected, Values::None, true);
        match link.again(&lost).await {
            Ok(again) => open = again,
            Err(reason) => return shared.close(reason),
        }
    }
}

/// Does what the scheduler says until the connection is gone; why it is, or `None`: the worker is to go.
async fn listen(shared: &Arc<Shared>, rx: &mut Receiver<FromScheduler>) -> Option<NetError> {
    loop {
        let batch = match rx.recv_many().await {
            Ok(batch) => batch,
            Err(reason) => return Some(reason),
        };
        let mut events = Vec::with_capacity(batch.len());
        for received in batch {
            match received.message {
                FromScheduler::Worker(message) => events.push(Event::Scheduler(message)),
                FromScheduler::Client(_) => {
                    shared.close("the scheduler takes this worker for a client".into());
                    return None;
                }
            }
        }
        let closes = events.iter().any(|e| matches!(e, Event::Scheduler(ToWorker::Close { .. })));
        shared.feed_all(events, Values::None, true);
        if closes {
            return None;
        }
    }
}

/// Sends what threads have left in the outbox while they run their next task.
async fn flush(shared: Arc<Shared>) {
    loop {
        shared.flush.notified().await;
        tokio::time::sleep(FLUSH).await;
        let mut machine = shared.machine.lock();
        if !machine.outbox.is_empty() {
            shared.send(&mut machine);
        }
    }
}
