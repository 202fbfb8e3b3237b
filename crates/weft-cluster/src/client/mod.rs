//! A client: futures, and what the scheduler says about them.
//!
//! Futures are entries of one table; whoever holds one holds a [`FutureRef`], and when the last of them goes
//! the scheduler is told. The socket's thread writes what has happened into entries and wakes who waits.
//!
//! A connection that is lost is made again (`link`): the client says what it wants once more, from the graphs that
//! it has kept for its futures (`sent`), to the same scheduler or to one that knows nothing.

mod gather;
mod link;
mod sent;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ahash::AHashMap;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;
use weft_net::{Address, Open, Sender, Token, connect};
use weft_scheduler::message::{
    Answer, Blob, ClientHello, ClientWelcome, CoordinateAnswer, CoordinateOp, Digest, FromClient, FutureId,
    Graph, Key, Question, RequestId, ToClient, WorkerId,
};

use crate::peers::Peers;
use crate::{Call, ClusterError, Encoded, FromPeer, FromScheduler, Reactor, ToPeer, ToScheduler, value};
use sent::Sent;
use table::{Entry, Table};

pub use table::{FutureRef, Status, Watch};

/// Blobs up to this size are kept, in case the scheduler has forgotten them; larger ones are sent each time.
const KEPT_BLOB_BYTES: usize = 1 << 20;

/// A connection to a scheduler. Cloning shares.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    name: Arc<str>,
    reactor: Reactor,
    /// While there is a connection.
    tx: Mutex<Option<Sender<ToScheduler>>>,
    /// What was said while there was none.
    later: Mutex<Vec<FromClient>>,
    sent: Mutex<Sent>,
    table: Mutex<Table>,
    /// Counts changes of the table.
    version: Mutex<u64>,
    changed: Condvar,
    notify: Notify,
    next_request: AtomicU64,
    answers: Mutex<AHashMap<RequestId, Reply>>,
    answered: Condvar,
    peers: Peers,
    addresses: Mutex<AHashMap<WorkerId, Arc<str>>>,
    blobs: Mutex<AHashMap<Digest, Bytes>>,
    /// Messages on topics, until somebody here reads them.
    topics: Mutex<AHashMap<Arc<str>, Vec<Bytes>>>,
    /// Futures that are gone, until the scheduler is told.
    released: Mutex<Vec<FutureId>>,
    release: Notify,
    closed: Mutex<Option<Arc<str>>>,
    welcome: Mutex<Option<ClientWelcome>>,
}

/// An answer of the scheduler's, once it is there.
#[derive(Debug)]
enum Reply {
    Waiting(Option<(Arc<Watch>, u64)>),
    Answer(Answer),
    Coordinate(CoordinateAnswer),
    /// The connection was lost before the answer came.
    Lost,
}

/// What the scheduler has answered.
#[derive(Debug)]
pub enum Answered {
    Answer(Answer),
    Coordinate(CoordinateAnswer),
}

impl Client {
    pub fn connect(
        address: &Address,
        token: Token,
        name: &str,
        within: Duration,
    ) -> Result<Client, ClusterError> {
        let reactor = Reactor::start("weft-client")?;
        let link = link::Link { address: address.clone(), token: token.clone(), patience: within };
        let (to, with) = (address.clone(), token.clone());
        let (tx, rx) = reactor.run(async move {
            let open = async { Open::call(connect(&to).await?, &with).await };
            let open = tokio::time::timeout(within, open).await.map_err(|_| ClusterError::TimedOut)??;
            Ok::<_, ClusterError>(open.start::<ToScheduler, FromScheduler>())
        })??;
        let inner = Arc::new(Inner {
            name: name.into(),
            reactor: reactor.clone(),
            tx: Mutex::new(Some(tx)),
            later: Mutex::default(),
            sent: Mutex::default(),
            table: Mutex::default(),
            version: Mutex::new(0),
            changed: Condvar::new(),
            notify: Notify::new(),
            next_request: AtomicU64::new(1),
            answers: Mutex::default(),
            answered: Condvar::new(),
            peers: Peers::new(token),
            addresses: Mutex::default(),
            blobs: Mutex::default(),
            topics: Mutex::default(),
            released: Mutex::default(),
            release: Notify::new(),
            closed: Mutex::new(None),
            welcome: Mutex::new(None),
        });
        inner.send(FromClient::Hello(ClientHello { name: name.into(), last_epoch: None }))?;
        reactor.handle().spawn(link::talk(Arc::downgrade(&inner), rx, link));
        reactor.handle().spawn(release(Arc::downgrade(&inner)));
        let client = Client(inner);
        let until = Instant::now() + within;
        while client.0.welcome.lock().is_none() {
            if let Some(reason) = client.closed() {
                return Err(ClusterError::Closed(reason));
            }
            if Instant::now() > until {
                return Err(ClusterError::TimedOut);
            }
            client.wait_for_change(Duration::from_millis(20), client.version());
        }
        Ok(client)
    }

    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Why the connection is gone.
    pub fn closed(&self) -> Option<Arc<str>> {
        self.0.closed.lock().clone()
    }

    /// The future for a key, and whether it is a new one, whose task the scheduler must still be told.
    pub fn future(&self, key: Key) -> (Arc<FutureRef>, bool) {
        Table::future(&self.0, key)
    }

    pub fn send(&self, message: FromClient) -> Result<(), ClusterError> {
        self.0.send(message)
    }

    /// Sends a graph for `futures`. `blobs` are all that it names; those that the scheduler has are left out. `reads` are
    /// the futures whose results it reads.
    pub fn submit(
        &self,
        mut graph: Graph,
        blobs: Vec<Blob>,
        futures: &[Arc<FutureRef>],
        reads: &[Arc<FutureRef>],
    ) -> Result<(), ClusterError> {
        self.0.sent.lock().add(&graph, &blobs, futures, reads);
        let mut known = self.0.blobs.lock();
        for blob in blobs {
            let large = blob.bytes.len() > KEPT_BLOB_BYTES;
            if large || known.insert(blob.digest, blob.bytes.clone()).is_none() {
                graph.blobs.push(blob);
            }
        }
        drop(known);
        // Or the scheduler might hand out, for a task of this graph, the result of one whose future is gone.
        self.0.send_released()?;
        self.0.send(FromClient::Graph(graph))
    }

    pub fn version(&self) -> u64 {
        *self.0.version.lock()
    }

    /// Waits until something has changed since `version`, or time is up.
    pub fn wait_for_change(&self, at_most: Duration, version: u64) -> u64 {
        let mut now = self.0.version.lock();
        if *now == version {
            self.0.changed.wait_for(&mut now, at_most);
        }
        *now
    }

    /// Asks the scheduler. The answer is fetched with [`Client::answer`]; `watch` hears `token` when it is there.
    pub fn ask(
        &self,
        question: Question,
        watch: Option<(Arc<Watch>, u64)>,
    ) -> Result<RequestId, ClusterError> {
        self.request(watch, |request| FromClient::Ask { request, question })
    }

    pub fn coordinate(
        &self,
        op: CoordinateOp,
        watch: Option<(Arc<Watch>, u64)>,
    ) -> Result<RequestId, ClusterError> {
        self.request(watch, |request| FromClient::Coordinate { request, op })
    }

    /// Sends a request that is answered.
    pub fn request(
        &self,
        watch: Option<(Arc<Watch>, u64)>,
        message: impl FnOnce(RequestId) -> FromClient,
    ) -> Result<RequestId, ClusterError> {
        let request = RequestId(self.0.next_request.fetch_add(1, Ordering::Relaxed));
        self.0.answers.lock().insert(request, Reply::Waiting(watch));
        self.0.send(message(request))?;
        Ok(request)
    }

    /// Waits for an answer; `None`: not yet.
    pub fn answer(&self, request: RequestId, at_most: Duration) -> Result<Option<Answered>, ClusterError> {
        let mut answers = self.0.answers.lock();
        for wait in [true, false] {
            match answers.remove(&request) {
                Some(Reply::Answer(answer)) => return Ok(Some(Answered::Answer(answer))),
                Some(Reply::Coordinate(answer)) => return Ok(Some(Answered::Coordinate(answer))),
                Some(Reply::Lost) => {
                    let reason = "the connection was lost before the answer came";
                    return Err(ClusterError::Closed(reason.into()));
                }
                Some(waiting) => drop(answers.insert(request, waiting)),
                None => {}
            }
            if let Some(reason) = self.closed() {
                return Err(ClusterError::Closed(reason));
            }
            if wait {
                self.0.answered.wait_for(&mut answers, at_most);
            }
        }
        Ok(None)
    }

    /// Calls a function on a worker; `done` gets what it returned, or (`Err`) raised.
    pub fn call(
        &self,
        address: Arc<str>,
        function: Encoded,
        actor: bool,
        done: impl FnOnce(Result<Result<Encoded, Encoded>, ClusterError>) + Send + 'static,
    ) {
        let inner = self.0.clone();
        self.0.reactor.handle().spawn(async move {
            let message = |request| {
                let (function, buffers) = value::pack([&function]);
                (ToPeer::Call(Call { request, function, actor }), buffers)
            };
            let answer = inner.peers.request(&address, message).await;
            let broken = || ClusterError::Refused(format!("the worker {address} gave no answer of ours"));
            done(match answer {
                Err(error) => Err(error.into()),
                Ok(received) => match received.message {
                    FromPeer::Returned { raised, value, .. } => {
                        match value::unpack(&value, received.buffers).and_then(|mut v| v.pop()) {
                            Some(value) => Ok(if raised { Err(value) } else { Ok(value) }),
                            None => Err(broken()),
                        }
                    }
                    _ => Err(broken()),
                },
            });
        });
    }

    /// Messages on a topic since the last call.
    pub fn topic(&self, topic: &Arc<str>) -> Vec<Bytes> {
        self.0.topics.lock().remove(topic).unwrap_or_default()
    }

    /// Says goodbye and closes the connection. Futures are released.
    pub fn close(&self) {
        // If it is gone, there is nobody to say goodbye to.
        let _ = self.0.send(FromClient::Goodbye);
        self.0.close("the client was closed".into());
        self.0.reactor.run(async { tokio::task::yield_now().await }).ok();
        self.0.reactor.close();
    }
}

impl Inner {
    fn send(&self, message: FromClient) -> Result<(), ClusterError> {
        if let Some(reason) = &*self.closed.lock() {
            return Err(ClusterError::Closed(reason.clone()));
        }
        let tx = self.tx.lock();
        match &*tx {
            Some(tx) => Ok(tx.send(ToScheduler::Client(message))?),
            None => {
                match message {
                    // Said again from what was kept, or meaningless on another connection.
                    FromClient::Graph(_) | FromClient::Release { .. } | FromClient::Goodbye => {}
                    message => self.later.lock().push(message),
                }
                Ok(())
            }
        }
    }

    /// Tells the scheduler which futures are gone. False: none.
    fn send_released(&self) -> Result<bool, ClusterError> {
        let mut released = self.released.lock();
        if released.is_empty() {
            return Ok(false);
        }
        let futures = std::mem::take(&mut *released);
        // Under the lock: who finds none is sure that all were sent.
        self.send(FromClient::Release { futures })?;
        Ok(true)
    }

    fn bump(&self) {
        *self.version.lock() += 1;
        self.changed.notify_all();
        self.notify.notify_waiters();
    }

    fn close(&self, reason: Arc<str>) {
        let mut closed = self.closed.lock();
        if closed.is_some() {
            return;
        }
        *closed = Some(reason.clone());
        drop(closed);
        let open = self.table.lock().all();
        for entry in open {
            entry.set(Status::Cancelled { reason: reason.clone() });
        }
        self.answered.notify_all();
        let waiting = std::mem::take(&mut *self.answers.lock());
        for reply in waiting.into_values() {
            if let Reply::Waiting(Some((watch, token))) = reply {
                watch.push(token);
            }
        }
        self.bump();
    }

    fn take(&self, message: ToClient) {
        let entry = |future: FutureId| self.table.lock().get(future);
        match message {
            ToClient::Welcome(welcome) => *self.welcome.lock() = Some(welcome),
            ToClient::NeedBlobs { digests } => {
                let known = self.blobs.lock();
                let blobs = digests
                    .into_iter()
                    .filter_map(|digest| Some(Blob { digest, bytes: known.get(&digest)?.clone() }))
                    .collect();
                drop(known);
                // If the connection is gone, its own task says so.
                let _ = self.send(FromClient::Blobs { blobs });
            }
            ToClient::Refused { futures, reason } => {
                for entry in futures.into_iter().filter_map(entry) {
                    entry.set(Status::Cancelled { reason: reason.clone() });
                }
            }
            ToClient::Done { peers, futures } => {
                self.addresses.lock().extend(peers.into_iter().map(|p| (p.worker, p.address)));
                let table = self.table.lock();
                let done: Vec<(Arc<Entry>, Status)> = futures
                    .into_iter()
                    .filter_map(|done| {
                        let status =
                            Status::Done { task: done.task, worker: done.worker, nbytes: done.nbytes };
                        Some((table.get(done.future)?, status))
                    })
                    .collect();
                drop(table);
                for (entry, status) in done {
                    entry.set(status);
                }
            }
            ToClient::Erred { futures, failure, .. } => {
                for entry in futures.into_iter().filter_map(entry) {
                    entry.set(Status::Erred { failure: failure.clone() });
                }
            }
            ToClient::Cancelled { futures, reason } => {
                for entry in futures.into_iter().filter_map(entry) {
                    entry.set(Status::Cancelled { reason: reason.clone() });
                }
            }
            ToClient::Lost { futures } | ToClient::Retried { futures } => {
                for entry in futures.into_iter().filter_map(entry) {
                    entry.set(Status::Pending);
                }
            }
            ToClient::Answer { request, answer } => self.answered(request, Reply::Answer(answer)),
            ToClient::Coordinate { request, answer } => {
                self.answered(request, Reply::Coordinate(answer));
            }
            ToClient::Topic { topic, message } => {
                self.topics.lock().entry(topic).or_default().push(message);
            }
            ToClient::Close { reason } => self.close(reason),
        }
    }

    fn answered(&self, request: RequestId, reply: Reply) {
        let old = self.answers.lock().insert(request, reply);
        if let Some(Reply::Waiting(Some((watch, token)))) = old {
            watch.push(token);
        }
        self.answered.notify_all();
    }
}

/// Tells the scheduler which futures are gone: all that went at one time in one message.
async fn release(client: std::sync::Weak<Inner>) {
    loop {
        let Some(inner) = client.upgrade() else { return };
        // If the connection is gone, so are the futures.
        if inner.send_released().unwrap_or(false) {
            continue;
        }
        inner.release.notified().await;
    }
}
