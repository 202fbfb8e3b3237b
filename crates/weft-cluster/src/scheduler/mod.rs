//! The scheduler's server: sockets around the state machine.
//!
//! One task owns the state machine. Connections have a task each, which hands over all messages of a frame
//! at once; the owner takes everything that waits, then writes what came out. So load makes
//! batches larger and the cost of each message smaller.

mod shown;

use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use tokio::sync::{mpsc, oneshot};
use weft_net::{Address, Listener, NetError, Open, Sender, Stream, Token};
use weft_scheduler::message::{ClientId, FromClient, FromWorker, ToClient, ToWorker, WorkerId};
use weft_scheduler::{Action, Config, Event, Scheduler};

use crate::clock::Clock;
use crate::{ClusterError, FromScheduler, Reactor, ToScheduler};
use shown::{Feed, Page};

pub use shown::{DashboardOptions, bind_dashboard};

/// Events taken before the answers are written.
const BATCH: usize = 1024;
/// How often the state machine hears that time has passed, while nothing else happens.
const TICK: Duration = Duration::from_millis(100);
/// How long after a worker's connection is gone its nanny may take to say why.
const CAUSE_WITHIN: Duration = Duration::from_millis(1000);
/// How long a client whose connection is gone may take to come back to its futures.
const CLIENT_GRACE: Duration = Duration::from_millis(3000);

#[derive(Debug)]
pub struct SchedulerOptions {
    /// Where to listen.
    pub addresses: Vec<Address>,
    pub token: Token,
    pub config: Config,
    pub dashboard: Option<DashboardOptions>,
    /// After this long without a word a worker is given up; `None`: never.
    pub worker_ttl: Option<Duration>,
}

/// A scheduler in this process.
#[derive(Debug)]
pub struct SchedulerServer {
    reactor: Reactor,
    addresses: Vec<Address>,
    inbox: mpsc::UnboundedSender<Inbox>,
    page: Option<Page>,
}

type Peer = Sender<FromScheduler>;

/// What the owner of the state machine hears.
enum Inbox {
    Opened {
        connection: u32,
        peer: Peer,
    },
    /// Somebody who is none of us called.
    Stranger(NetError),
    Messages {
        connection: u32,
        messages: Vec<ToScheduler>,
    },
    Closed {
        connection: u32,
        reason: NetError,
    },
    /// A nanny's word on a process of hers that has ended.
    Exited {
        nanny: Arc<str>,
        pid: u32,
        cause: Arc<str>,
        expected: bool,
    },
    /// Time to stop waiting for a nanny.
    Overdue {
        worker: WorkerId,
    },
    /// … for a client that was lost for the so-manieth time.
    GraceOver {
        client: ClientId,
        times: u64,
    },
    /// For the dashboard.
    Look(oneshot::Sender<weft_dashboard::State>),
    LookAt(String, oneshot::Sender<Option<weft_dashboard::Task>>),
    /// What there is to do, and to hold.
    Load(oneshot::Sender<(u64, u64, u64)>),
    /// Whether there are clients, or tasks of theirs.
    Busy(oneshot::Sender<bool>),
    Warnings(oneshot::Sender<Vec<Arc<str>>>),
    Stop(oneshot::Sender<()>),
}

impl SchedulerServer {
    pub fn start(options: SchedulerOptions) -> Result<SchedulerServer, ClusterError> {
        let reactor = Reactor::start("weft-scheduler")?;
        let (inbox, events) = mpsc::unbounded_channel();
        let to_owner = inbox.clone();
        let board = weft_dashboard::Board::new();
        let feed = options.dashboard.is_some().then(|| Feed::new(board.clone()));
        let addresses = reactor.run(async move {
            let mut addresses = Vec::new();
            for address in &options.addresses {
                let listener = Listener::bind(address).await?;
                addresses.push(listener.address().clone());
                tokio::spawn(accept(listener, options.token.clone(), to_owner.clone()));
            }
            let shown = addresses.last().map(Address::to_string).unwrap_or_default();
            let owner = Owner::new(options.config, to_owner, feed, shown, options.worker_ttl);
            tokio::spawn(owner.run(events));
            Ok::<_, NetError>(addresses)
        })??;
        let page = options.dashboard.map(|options| Page::start(options, board, inbox.clone())).transpose()?;
        Ok(SchedulerServer { reactor, addresses, inbox, page })
    }

    /// Where it listens, in the order of the options.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Tells why a worker's process has ended. `expected`: it was asked to go.
    pub fn worker_exited(&self, nanny: &str, pid: u32, cause: &str, expected: bool) {
        // A scheduler that has stopped does not care.
        let _ = self.inbox.send(Inbox::Exited { nanny: nanny.into(), pid, cause: cause.into(), expected });
    }

    /// Tasks that run or could run, the nanoseconds that they will take on one thread, and the bytes of all results.
    pub fn load(&self) -> (u64, u64, u64) {
        let (tx, rx) = oneshot::channel();
        match self.inbox.send(Inbox::Load(tx)) {
            Ok(()) => rx.blocking_recv().unwrap_or_default(),
            Err(_) => (0, 0, 0),
        }
    }

    /// Whether there are clients, or tasks of theirs.
    pub fn is_busy(&self) -> bool {
        let (tx, rx) = oneshot::channel();
        self.inbox.send(Inbox::Busy(tx)).is_ok() && rx.blocking_recv().unwrap_or(false)
    }

    /// What users should hear, once.
    pub fn warnings(&self) -> Vec<Arc<str>> {
        let (tx, rx) = oneshot::channel();
        match self.inbox.send(Inbox::Warnings(tx)) {
            Ok(()) => rx.blocking_recv().unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// Asks all workers to exit, then closes all connections.
    pub fn close(&self) {
        let (tx, rx) = oneshot::channel();
        if self.inbox.send(Inbox::Stop(tx)).is_ok() {
            // An error means that the owner is gone: closed already.
            let _ = rx.blocking_recv();
        }
        if let Some(page) = &self.page {
            page.close();
        }
        self.reactor.close();
    }
}

/// Takes calls, and lets each introduce itself on a task of its own.
async fn accept(listener: Listener, token: Token, inbox: mpsc::UnboundedSender<Inbox>) {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    loop {
        match listener.accept().await {
            Ok(stream) => {
                let connection = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                tokio::spawn(serve(stream, token.clone(), connection, inbox.clone()));
            }
            // Out of file descriptors, say: others may close theirs.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        if inbox.is_closed() {
            return;
        }
    }
}

async fn serve(stream: Stream, token: Token, connection: u32, inbox: mpsc::UnboundedSender<Inbox>) {
    // Strangers are hung up on without a word.
    let open = match Open::accept(stream, &token).await {
        Ok(open) => open,
        Err(reason) => return drop(inbox.send(Inbox::Stranger(reason))),
    };
    let (peer, mut messages) = open.start::<FromScheduler, ToScheduler>();
    if inbox.send(Inbox::Opened { connection, peer }).is_err() {
        return;
    }
    let reason = loop {
        match messages.recv_many().await {
            Ok(batch) => {
                let messages = batch.into_iter().map(|received| received.message).collect();
                if inbox.send(Inbox::Messages { connection, messages }).is_err() {
                    return;
                }
            }
            Err(reason) => break reason,
        }
    };
    // The owner may be gone first.
    let _ = inbox.send(Inbox::Closed { connection, reason });
}

enum Role {
    Unknown,
    Client(ClientId),
    Worker(WorkerId),
}

struct Connection {
    peer: Peer,
    role: Role,
}

struct Owner {
    machine: Scheduler,
    clock: Clock,
    feed: Option<Feed>,
    /// Where clients of other machines find it.
    address: String,
    worker_ttl: Option<Duration>,
    looked_for_silent_ns: u64,
    inbox: mpsc::UnboundedSender<Inbox>,
    connections: AHashMap<u32, Connection>,
    clients: AHashMap<ClientId, Peer>,
    /// Clients by name, with their connection or in their grace period.
    known: AHashMap<Arc<str>, ClientId>,
    /// Clients whose connection is gone: their name, and a number for the occasion.
    away: AHashMap<ClientId, (Arc<str>, u64)>,
    losses: u64,
    workers: AHashMap<WorkerId, Worker>,
    /// Workers whose connection is gone, until their nanny has said why.
    lost: AHashMap<WorkerId, (ProcessId, Arc<str>)>,
    /// Processes that have ended before their connection.
    exited: AHashMap<ProcessId, (Arc<str>, bool)>,
    warnings: Vec<Arc<str>>,
    next_worker: u32,
    next_client: u32,
    closing: bool,
}

/// A nanny, and the process among hers.
type ProcessId = (Arc<str>, u32);

struct Worker {
    peer: Peer,
    connection: u32,
    name: Arc<str>,
    process: ProcessId,
}

impl Worker {
    fn has_nanny(&self) -> bool {
        !self.process.0.is_empty()
    }
}

impl Owner {
    fn new(
        config: Config,
        inbox: mpsc::UnboundedSender<Inbox>,
        feed: Option<Feed>,
        address: String,
        worker_ttl: Option<Duration>,
    ) -> Owner {
        Owner {
            machine: Scheduler::new(config),
            clock: Clock::start(),
            feed,
            address,
            worker_ttl,
            looked_for_silent_ns: 0,
            inbox,
            connections: AHashMap::new(),
            clients: AHashMap::new(),
            known: AHashMap::new(),
            away: AHashMap::new(),
            losses: 0,
            workers: AHashMap::new(),
            lost: AHashMap::new(),
            exited: AHashMap::new(),
            warnings: Vec::new(),
            next_worker: 0,
            next_client: 0,
            closing: false,
        }
    }

    fn now(&self) -> u64 {
        self.clock.now_ns()
    }

    async fn run(mut self, mut events: mpsc::UnboundedReceiver<Inbox>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                n = events.recv_many(&mut batch, BATCH) => if n == 0 { return },
                _ = tick.tick() => {
                    self.handle(Event::Tick);
                    self.give_up_silent();
                }
            }
            let mut stop = None;
            for event in batch.drain(..) {
                match event {
                    Inbox::Stop(done) => stop = Some(done),
                    event => self.take(event),
                }
            }
            self.carry_out();
            if let Some(done) = stop {
                self.stop(&mut events).await;
                // Whoever asked may have given up.
                let _ = done.send(());
                return;
            }
        }
    }

    fn handle(&mut self, event: Event) {
        let now = self.now();
        self.machine.handle(event, now);
    }

    fn take(&mut self, event: Inbox) {
        match event {
            Inbox::Opened { connection, peer } => {
                self.connections.insert(connection, Connection { peer, role: Role::Unknown });
            }
            Inbox::Stranger(reason) => self.warn(format!("refused a connection: {reason}").into()),
            Inbox::Messages { connection, messages } => {
                for message in messages {
                    self.message(connection, message);
                }
            }
            Inbox::Closed { connection, reason } => self.closed(connection, &reason),
            Inbox::Exited { nanny, pid, cause, expected } => {
                let process = (nanny, pid);
                let gone = self.lost.iter().find(|(_, (lost, _))| *lost == process);
                let gone = gone.map(|(&worker, _)| worker);
                match gone {
                    Some(worker) => {
                        self.lost.remove(&worker);
                        self.worker_lost(worker, cause, expected);
                    }
                    None => self.exited_first(process, cause, expected),
                }
            }
            Inbox::Overdue { worker } => {
                if let Some((_, cause)) = self.lost.remove(&worker) {
                    self.worker_lost(worker, cause, false);
                }
            }
            Inbox::GraceOver { client, times } => {
                if self.away.get(&client).is_some_and(|(_, last)| *last == times)
                    && let Some((name, _)) = self.away.remove(&client)
                {
                    self.log("info", name.clone(), "is gone".into());
                    self.known.remove(&name);
                    self.handle(Event::ClientLost { client });
                }
            }
            Inbox::Look(to) => drop(to.send(shown::state(&self.machine, self.address.clone(), &self.clock))),
            Inbox::LookAt(key, to) => drop(to.send(shown::task(&self.machine, &key))),
            Inbox::Load(to) => drop(to.send(self.machine.load())),
            Inbox::Busy(to) => drop(to.send(!self.clients.is_empty() || self.machine.usage().tasks > 0)),
            Inbox::Warnings(to) => drop(to.send(std::mem::take(&mut self.warnings))),
            Inbox::Stop(_) => {}
        }
    }

    fn message(&mut self, connection: u32, message: ToScheduler) {
        let Some(known) = self.connections.get_mut(&connection) else { return };
        match (&known.role, message) {
            (&Role::Client(client), ToScheduler::Client(message)) => {
                if matches!(message, FromClient::Goodbye) {
                    self.known.retain(|_, known| *known != client);
                }
                self.handle(Event::Client { client, message });
            }
            (&Role::Worker(worker), ToScheduler::Worker(message)) => {
                if let (Some(feed), Some(known)) = (&mut self.feed, self.workers.get(&worker)) {
                    feed.ended(&self.machine, worker, &known.name, &message);
                }
                self.handle(Event::Worker { worker, message });
            }
            (Role::Unknown, ToScheduler::Client(FromClient::Hello(hello))) => {
                // A client that comes back keeps its number; an older connection of its is over.
                let client = *self.known.entry(hello.name.clone()).or_insert_with(|| {
                    self.next_client += 1;
                    ClientId(self.next_client)
                });
                known.role = Role::Client(client);
                let peer = known.peer.clone();
                let others = |id: &u32, c: &Connection| {
                    *id == connection || !matches!(c.role, Role::Client(other) if other == client)
                };
                self.connections.retain(|id, c| others(id, c));
                self.away.remove(&client);
                self.clients.insert(client, peer);
                self.log("info", hello.name.clone(), "connected".into());
                self.handle(Event::Client { client, message: FromClient::Hello(hello) });
            }
            (Role::Unknown, ToScheduler::Worker(FromWorker::Hello(hello))) => {
                self.next_worker += 1;
                let worker = WorkerId(self.next_worker);
                known.role = Role::Worker(worker);
                let (peer, process) = (known.peer.clone(), (hello.nanny.clone(), hello.pid));
                let name = hello.name.clone();
                self.workers.insert(worker, Worker { peer, connection, name: name.clone(), process });
                self.log(
                    "info",
                    name,
                    format!("joined from {} with {} threads", hello.address, hello.nthreads),
                );
                self.handle(Event::Worker { worker, message: FromWorker::Hello(hello) });
                self.came_back(worker);
            }
            // A nanny's call is this one message.
            (Role::Unknown, ToScheduler::Exited { nanny, pid, cause, expected }) => {
                self.take(Inbox::Exited { nanny, pid, cause, expected });
            }
            // Not of our protocol: hang up.
            _ => self.closed(connection, &NetError::Refused("a message out of place".into())),
        }
    }

    fn closed(&mut self, connection: u32, reason: &NetError) {
        let Some(Connection { role, .. }) = self.connections.remove(&connection) else { return };
        match role {
            Role::Unknown => {}
            Role::Client(client) => {
                if self.clients.remove(&client).is_none() {
                    return;
                }
                let name =
                    self.known.iter().find(|(_, known)| **known == client).map(|(name, _)| name.clone());
                match name {
                    // It has said goodbye.
                    None => self.handle(Event::ClientLost { client }),
                    Some(name) => {
                        self.losses += 1;
                        let times = self.losses;
                        self.away.insert(client, (name, times));
                        let inbox = self.inbox.clone();
                        tokio::spawn(async move {
                            tokio::time::sleep(CLIENT_GRACE).await;
                            // The owner may be gone by then.
                            let _ = inbox.send(Inbox::GraceOver { client, times });
                        });
                    }
                }
            }
            Role::Worker(worker) => {
                let Some(gone) = self.workers.remove(&worker) else { return };
                if let Some((cause, expected)) = self.exited.remove(&gone.process) {
                    self.worker_lost(worker, cause, expected);
                } else if gone.has_nanny() && !self.closing {
                    self.lost.insert(worker, (gone.process, reason.to_string().into()));
                    let inbox = self.inbox.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(CAUSE_WITHIN).await;
                        // The owner may be gone by then.
                        let _ = inbox.send(Inbox::Overdue { worker });
                    });
                } else {
                    let cause = reason.to_string().into();
                    self.worker_lost(worker, cause, self.closing);
                }
            }
        }
    }

    /// A worker whose connection was cut and made again is a new one, which holds the results of the old one: that
    /// is over now, and nobody is to blame.
    fn came_back(&mut self, worker: WorkerId) {
        let Some(new) = self.workers.get(&worker) else { return };
        let process = new.process.clone();
        let (has_nanny, same) = (new.has_nanny(), |other: &ProcessId| *other == process);
        let lost = self.lost.iter().filter(|(_, (other, _))| same(other)).map(|(&old, _)| old);
        // Without a nanny a process may have many workers, all under one number.
        let open = self.workers.iter().filter(|(old, w)| has_nanny && **old != worker && same(&w.process));
        let old: Vec<(WorkerId, Option<u32>)> =
            lost.map(|old| (old, None)).chain(open.map(|(&old, w)| (old, Some(w.connection)))).collect();
        for (old, connection) in old {
            self.lost.remove(&old);
            self.workers.remove(&old);
            if let Some(connection) = connection {
                self.connections.remove(&connection);
            }
            self.worker_lost(old, "its connection was cut, and made again".into(), true);
        }
    }

    /// A nanny's word that comes before the connection's end: it is kept for that, if there is such a connection.
    fn exited_first(&mut self, process: ProcessId, cause: Arc<str>, expected: bool) {
        if self.workers.values().any(|worker| worker.process == process) {
            self.exited.insert(process, (cause, expected));
        }
    }

    fn worker_lost(&mut self, worker: WorkerId, cause: Arc<str>, expected: bool) {
        if let Some(feed) = &mut self.feed {
            feed.forget(worker);
        }
        if let Some(who) = self.machine.last_words(worker) {
            if expected {
                self.log("info", "scheduler".into(), format!("{who}, is gone: {cause}"));
            } else {
                self.warn(format!("{who}, is lost: {cause}").into());
            }
        }
        self.handle(Event::WorkerLost { worker, cause, executing: None, expected });
    }

    /// Hangs up on workers that have said nothing for too long. Those that only stood still connect again, with what
    /// they hold.
    fn give_up_silent(&mut self) {
        let (Some(ttl), now) = (self.worker_ttl, self.now()) else { return };
        let ttl_ns = ttl.as_nanos() as u64;
        // Also a scheduler that stood still itself gives its workers time to be heard.
        let since = now.saturating_sub(std::mem::replace(&mut self.looked_for_silent_ns, now));
        if since > ttl_ns / 2 {
            return;
        }
        for worker in self.machine.silent(now.saturating_sub(ttl_ns)) {
            let Some(gone) = self.workers.remove(&worker) else { continue };
            self.connections.remove(&gone.connection);
            self.worker_lost(
                worker,
                format!("it has not been heard of for {} s", ttl.as_secs_f64()).into(),
                false,
            );
        }
    }

    fn log(&self, level: &'static str, from: Arc<str>, text: String) {
        if let Some(feed) = &self.feed {
            feed.line(self.now(), level, from, text.into());
        }
    }

    fn warn(&mut self, text: Arc<str>) {
        /// Nobody may ever ask for them.
        const KEPT: usize = 1000;
        self.log("warning", "scheduler".into(), text.to_string());
        if self.warnings.len() < KEPT {
            self.warnings.push(text);
        }
    }

    /// Writes what the state machine says. A peer that is gone will be reported by its own task.
    fn carry_out(&mut self) {
        let mut actions = Vec::new();
        self.machine.drain(&mut actions);
        for action in actions {
            match action {
                Action::Worker { worker, message } => {
                    if let Some(known) = self.workers.get(&worker) {
                        let _ = known.peer.send(FromScheduler::Worker(message));
                    }
                }
                Action::Client { client, message } => {
                    if let Some(peer) = self.clients.get(&client) {
                        let _ = peer.send(FromScheduler::Client(message));
                    }
                }
                Action::RestartWorkers => {
                    for known in self.workers.values() {
                        let message = ToWorker::Close { reason: RESTART.into() };
                        let _ = known.peer.send(FromScheduler::Worker(message));
                    }
                }
                Action::Disconnect { worker, reason } => {
                    self.warn(format!("closed the connection of {worker:?}: {reason}").into());
                    if let Some(known) = self.workers.remove(&worker) {
                        self.connections.retain(|_, c| !matches!(c.role, Role::Worker(w) if w == worker));
                        let _ = known.peer.send(FromScheduler::Worker(ToWorker::Close { reason }));
                    }
                }
                Action::DisconnectClient { client, reason } => {
                    self.warn(format!("closed the connection of {client:?}: {reason}").into());
                    self.connections.retain(|_, c| !matches!(c.role, Role::Client(k) if k == client));
                    self.known.retain(|_, known| *known != client);
                    self.clients.remove(&client);
                }
                Action::Warn { message } => self.warn(message),
            }
        }
    }

    /// Says goodbye to all workers and waits until their connections are gone.
    async fn stop(&mut self, events: &mut mpsc::UnboundedReceiver<Inbox>) {
        self.closing = true;
        for peer in self.clients.values() {
            let message = ToClient::Close { reason: "the cluster was closed".into() };
            let _ = peer.send(FromScheduler::Client(message));
        }
        for known in self.workers.values() {
            let message = ToWorker::Close { reason: "the cluster was closed".into() };
            // If it is gone, there is nothing to close.
            let _ = known.peer.send(FromScheduler::Worker(message));
        }
        let patience = tokio::time::sleep(Duration::from_secs(2));
        tokio::pin!(patience);
        while !self.workers.is_empty() {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.take(event),
                    None => return,
                },
                () = &mut patience => return,
            }
        }
    }
}

/// What nannies start a worker again after.
pub(crate) const RESTART: &str = "restart";
