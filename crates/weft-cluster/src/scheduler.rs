//! The scheduler's server: sockets around the state machine.
//!
//! One task owns the state machine. Connections have a task each, which hands over all messages of a frame
//! at once; the owner takes everything that waits, then writes what came out. So load makes
//! batches larger and the cost of each message smaller.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::AHashMap;
use tokio::sync::{mpsc, oneshot};
use weft_net::{Address, Listener, NetError, Open, Sender, Stream, Token};
use weft_scheduler::message::{ClientId, FromClient, FromWorker, ToWorker, WorkerId};
use weft_scheduler::{Action, Config, Event, Scheduler};

use crate::{ClusterError, FromScheduler, Reactor, ToScheduler};

/// Events taken before the answers are written.
const BATCH: usize = 1024;
/// How often the state machine hears that time has passed, while nothing else happens.
const TICK: Duration = Duration::from_millis(100);
/// How long after a worker's connection is gone its nanny may take to say why.
const CAUSE_WITHIN: Duration = Duration::from_millis(1000);

#[derive(Clone, Debug)]
pub struct SchedulerOptions {
    /// Where to listen.
    pub addresses: Vec<Address>,
    pub token: Token,
    pub config: Config,
}

/// A scheduler in this process.
#[derive(Debug)]
pub struct SchedulerServer {
    reactor: Reactor,
    addresses: Vec<Address>,
    inbox: mpsc::UnboundedSender<Inbox>,
}

type Peer = Sender<FromScheduler>;

/// What the owner of the state machine hears.
enum Inbox {
    Opened {
        connection: u32,
        peer: Peer,
    },
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
        pid: u32,
        cause: Arc<str>,
        expected: bool,
    },
    /// Time to stop waiting for a nanny.
    Overdue {
        worker: WorkerId,
    },
    Warnings(oneshot::Sender<Vec<Arc<str>>>),
    Stop(oneshot::Sender<()>),
}

impl SchedulerServer {
    pub fn start(options: SchedulerOptions) -> Result<SchedulerServer, ClusterError> {
        let reactor = Reactor::start("weft-scheduler")?;
        let (inbox, events) = mpsc::unbounded_channel();
        let to_owner = inbox.clone();
        let addresses = reactor.run(async move {
            let mut addresses = Vec::new();
            for address in &options.addresses {
                let listener = Listener::bind(address).await?;
                addresses.push(listener.address().clone());
                tokio::spawn(accept(listener, options.token.clone(), to_owner.clone()));
            }
            tokio::spawn(Owner::new(options.config, to_owner).run(events));
            Ok::<_, NetError>(addresses)
        })??;
        Ok(SchedulerServer { reactor, addresses, inbox })
    }

    /// Where it listens, in the order of the options.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Tells why a worker's process has ended. `expected`: it was asked to go.
    pub fn worker_exited(&self, pid: u32, cause: &str, expected: bool) {
        // A scheduler that has stopped does not care.
        let _ = self.inbox.send(Inbox::Exited { pid, cause: cause.into(), expected });
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
    let Ok(open) = Open::accept(stream, &token).await else { return };
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
    started: Instant,
    inbox: mpsc::UnboundedSender<Inbox>,
    connections: AHashMap<u32, Connection>,
    clients: AHashMap<ClientId, Peer>,
    workers: AHashMap<WorkerId, Worker>,
    /// Workers whose connection is gone, until their nanny has said why.
    lost: AHashMap<WorkerId, (u32, Arc<str>)>,
    /// Processes that have ended before their connection.
    exited: AHashMap<u32, (Arc<str>, bool)>,
    warnings: Vec<Arc<str>>,
    next_worker: u32,
    next_client: u32,
    closing: bool,
}

struct Worker {
    peer: Peer,
    pid: u32,
    has_nanny: bool,
}

impl Owner {
    fn new(config: Config, inbox: mpsc::UnboundedSender<Inbox>) -> Owner {
        Owner {
            machine: Scheduler::new(config),
            started: Instant::now(),
            inbox,
            connections: AHashMap::new(),
            clients: AHashMap::new(),
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
        self.started.elapsed().as_nanos() as u64
    }

    async fn run(mut self, mut events: mpsc::UnboundedReceiver<Inbox>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                n = events.recv_many(&mut batch, BATCH) => if n == 0 { return },
                _ = tick.tick() => self.handle(Event::Tick),
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
            Inbox::Messages { connection, messages } => {
                for message in messages {
                    self.message(connection, message);
                }
            }
            Inbox::Closed { connection, reason } => self.closed(connection, &reason),
            Inbox::Exited { pid, cause, expected } => {
                let gone = self.lost.iter().find(|(_, (lost, _))| *lost == pid).map(|(&worker, _)| worker);
                match gone {
                    Some(worker) => {
                        self.lost.remove(&worker);
                        self.handle(Event::WorkerLost { worker, cause, executing: None, expected });
                    }
                    None => drop(self.exited.insert(pid, (cause, expected))),
                }
            }
            Inbox::Overdue { worker } => {
                if let Some((_, cause)) = self.lost.remove(&worker) {
                    self.handle(Event::WorkerLost { worker, cause, executing: None, expected: false });
                }
            }
            Inbox::Warnings(to) => drop(to.send(std::mem::take(&mut self.warnings))),
            Inbox::Stop(_) => {}
        }
    }

    fn message(&mut self, connection: u32, message: ToScheduler) {
        let Some(known) = self.connections.get_mut(&connection) else { return };
        match (&known.role, message) {
            (&Role::Client(client), ToScheduler::Client(message)) => {
                self.handle(Event::Client { client, message });
            }
            (&Role::Worker(worker), ToScheduler::Worker(message)) => {
                self.handle(Event::Worker { worker, message });
            }
            (Role::Unknown, ToScheduler::Client(message @ FromClient::Hello(_))) => {
                self.next_client += 1;
                let client = ClientId(self.next_client);
                known.role = Role::Client(client);
                self.clients.insert(client, known.peer.clone());
                self.handle(Event::Client { client, message });
            }
            (Role::Unknown, ToScheduler::Worker(FromWorker::Hello(hello))) => {
                self.next_worker += 1;
                let worker = WorkerId(self.next_worker);
                known.role = Role::Worker(worker);
                let has_nanny = !hello.nanny.is_empty();
                self.workers.insert(worker, Worker { peer: known.peer.clone(), pid: hello.pid, has_nanny });
                self.handle(Event::Worker { worker, message: FromWorker::Hello(hello) });
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
                if self.clients.remove(&client).is_some() {
                    self.handle(Event::ClientLost { client });
                }
            }
            Role::Worker(worker) => {
                let Some(gone) = self.workers.remove(&worker) else { return };
                if let Some((cause, expected)) = self.exited.remove(&gone.pid) {
                    self.handle(Event::WorkerLost { worker, cause, executing: None, expected });
                } else if gone.has_nanny && !self.closing {
                    self.lost.insert(worker, (gone.pid, reason.to_string().into()));
                    let inbox = self.inbox.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(CAUSE_WITHIN).await;
                        // The owner may be gone by then.
                        let _ = inbox.send(Inbox::Overdue { worker });
                    });
                } else {
                    let cause = reason.to_string().into();
                    self.handle(Event::WorkerLost { worker, cause, executing: None, expected: self.closing });
                }
            }
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
                    self.warnings.push(format!("closed the connection of {worker:?}: {reason}").into());
                    if let Some(known) = self.workers.remove(&worker) {
                        self.connections.retain(|_, c| !matches!(c.role, Role::Worker(w) if w == worker));
                        let _ = known.peer.send(FromScheduler::Worker(ToWorker::Close { reason }));
                    }
                }
                Action::DisconnectClient { client, reason } => {
                    self.warnings.push(format!("closed the connection of {client:?}: {reason}").into());
                    self.connections.retain(|_, c| !matches!(c.role, Role::Client(k) if k == client));
                    self.clients.remove(&client);
                }
                Action::Warn { message } => self.warnings.push(message),
            }
        }
    }

    /// Says goodbye to all workers and waits until their connections are gone.
    async fn stop(&mut self, events: &mut mpsc::UnboundedReceiver<Inbox>) {
        self.closing = true;
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
