//! What the scheduler knows of workers and clients.

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};

use crate::links::NIL;
use crate::message::{Digest, FromClient, FutureId, Heartbeat, Nanos, WorkerHello, WorkerStatus};
use crate::outbox::{ClientOutbox, WorkerOutbox};
use crate::plan::Plan;

#[derive(Debug)]
pub(crate) struct Worker {
    /// Boxed, as the heartbeat is: what is read for each task should lie together.
    pub hello: Box<WorkerHello>,
    pub nthreads: u32,
    pub memory_limit: u64,
    pub status: WorkerStatus,
    /// Tasks that it was sent and that it has not ended, in no order; a task knows its position.
    pub processing: Vec<u32>,
    /// How many of them have left the pool of threads.
    pub long_running: u32,
    /// Head of its list in `Scheduler::replicas`.
    pub replicas: u32,
    pub n_replicas: u32,
    /// Of its replicas.
    pub nbytes: u64,
    /// Sum of the estimates of what it processes.
    pub occupancy_us: u64,
    /// Estimates that move with tasks that are being stolen: to it (positive) or from it.
    pub in_flight_us: i64,
    pub position_running: u32,
    pub position_open: u32,
    /// Peers whose address it has been told.
    pub knows: BitSet,
    pub blobs: AHashSet<Digest>,
    pub heartbeat: Box<Heartbeat>,
    pub last_seen_ns: Nanos,
    pub outbox: WorkerOutbox,
}

impl Worker {
    pub fn new(hello: WorkerHello, now: Nanos) -> Self {
        Worker {
            status: hello.status,
            nthreads: hello.nthreads.max(1),
            memory_limit: hello.memory_limit,
            hello: Box::new(hello),
            processing: Vec::new(),
            long_running: 0,
            replicas: NIL,
            n_replicas: 0,
            nbytes: 0,
            occupancy_us: 0,
            in_flight_us: 0,
            position_running: NIL,
            position_open: NIL,
            knows: BitSet::default(),
            blobs: AHashSet::new(),
            heartbeat: Box::default(),
            last_seen_ns: now,
            outbox: WorkerOutbox::default(),
        }
    }

    pub fn nthreads(&self) -> u32 {
        self.nthreads
    }

    /// Tasks that want its threads.
    pub fn load(&self) -> u32 {
        self.processing.len() as u32 - self.long_running
    }

    /// How long a task that is sent now waits for a thread.
    pub fn delay_us(&self) -> u64 {
        let us = (self.occupancy_us as i64 + self.in_flight_us).max(0) as u64;
        us / u64::from(self.nthreads())
    }

    /// Whether this name, address or host means it.
    pub fn is_called(&self, name: &str) -> bool {
        *self.hello.name == *name || *self.hello.address == *name || *self.hello.host == *name
    }

    pub fn has_resources(&self, wanted: &[(Arc<str>, f64)]) -> bool {
        wanted.iter().all(|(name, amount)| {
            self.hello.resources.iter().any(|(other, supply)| other == name && supply >= amount)
        })
    }
}

#[derive(Debug)]
pub(crate) struct Client {
    pub name: Arc<str>,
    /// The link in `Scheduler::wants` of each future.
    pub futures: AHashMap<FutureId, u32>,
    /// Head of its list in `Scheduler::wants`.
    pub wants: u32,
    pub knows: BitSet,
    /// Futures of its last connection that it has not named in this one.
    pub stale: AHashSet<FutureId>,
    /// A graph that waits for blobs, and what the client has said since: a stream stays in order.
    pub parked: Option<Parked>,
    pub outbox: ClientOutbox,
}

#[derive(Debug)]
pub(crate) struct Parked {
    pub plan: Plan,
    pub missing: AHashSet<Digest>,
    pub later: VecDeque<Later>,
}

#[derive(Debug)]
pub(crate) enum Later {
    Message(FromClient),
    Plan(Plan),
}

impl Client {
    pub fn new(name: Arc<str>) -> Self {
        Client {
            name,
            futures: AHashMap::new(),
            wants: NIL,
            knows: BitSet::default(),
            stale: AHashSet::new(),
            parked: None,
            outbox: ClientOutbox::default(),
        }
    }
}

/// A set of small integers.
#[derive(Debug, Default)]
pub(crate) struct BitSet(Vec<u64>);

impl BitSet {
    /// True if it was not there.
    pub fn insert(&mut self, n: u32) -> bool {
        let (word, bit) = (n as usize / 64, 1u64 << (n % 64));
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }
}
