//! What goes into the scheduler and what comes out of it.

use std::sync::Arc;

use crate::message::{ClientId, Epoch, FromClient, FromWorker, Nanos, TaskId, ToClient, ToWorker, WorkerId};

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A worker's message. The first of a new [`WorkerId`] (which the shell counts up, for each
    /// connection) is `Hello`; it is answered by `Welcome`.
    Worker { worker: WorkerId, message: FromWorker },
    /// A worker's connection is gone, or it has been silent too long.
    WorkerLost {
        worker: WorkerId,
        /// What is known: `connection reset`, `killed by signal 9 at 3.9 GiB`, …
        cause: Arc<str>,
        /// What it was running, if somebody knows; otherwise what it may have been running is suspected.
        executing: Option<Vec<TaskId>>,
        /// Asked to go, or closed with the cluster: no task is blamed.
        expected: bool,
    },
    /// A client's message; the first of a new [`ClientId`] is `Hello`. A client that connects again
    /// within its grace period keeps its number and says `Hello` again.
    Client { client: ClientId, message: FromClient },
    /// A client's grace period is over.
    ClientLost { client: ClientId },
    /// Time has passed. Sent at the latest when `Scheduler::next_wake_ns` says, and at
    /// least every 100 ms while there are tasks: work stealing, leases, timeouts.
    Tick,
}

/// Something to be done by the shell. All actions to one receiver must be carried out in order.
#[derive(Debug)]
pub enum Action {
    Worker {
        worker: WorkerId,
        message: ToWorker,
    },
    Client {
        client: ClientId,
        message: ToClient,
    },
    /// All tasks have been forgotten because a client said so: the nannies restart the workers.
    RestartWorkers,
    /// Close this worker's connection: it broke the protocol.
    Disconnect {
        worker: WorkerId,
        reason: Arc<str>,
    },
    /// Close this client's connection: it broke the protocol.
    DisconnectClient {
        client: ClientId,
        reason: Arc<str>,
    },
    /// For the shell's log, at a level that users see.
    Warn {
        message: Arc<str>,
    },
}

/// What can be set. The shell fills it from the configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub epoch: Epoch,
    /// Ties and samples are decided by a generator with this seed, so equal events give equal actions.
    pub seed: u64,
    /// `distributed.scheduler.allowed-failures`: deaths of workers that a task may see.
    pub allowed_failures: u32,
    /// `distributed.scheduler.worker-saturation`: how many tasks that only make data a worker gets for each of its threads
    /// before others finish. Infinite: no limit.
    pub worker_saturation: f64,
    /// Workers get at least this much work that is known to be short, so that they need not wait for
    /// the next message.
    pub prefetch_ns: Nanos,
    /// … as long as the results that are expected of it stay below this.
    pub prefetch_nbytes: u64,
    pub work_stealing: bool,
    /// `distributed.scheduler.unknown-task-duration`, for prefixes that have not run yet.
    pub unknown_duration_ns: Nanos,
    /// `distributed.scheduler.bandwidth`: what a transfer is assumed to reach.
    pub bandwidth_bytes_per_s: f64,
    /// What each transfer is assumed to cost beside its bytes.
    pub latency_ns: Nanos,
    /// `distributed.scheduler.transition-log-length`: steps kept for stories.
    pub story_len: usize,
    /// After a restart of the scheduler, how long workers are waited for.
    pub recovery_ns: Nanos,
    /// `distributed.scheduler.no-workers-timeout`: tasks that no worker can run fail after this.
    pub no_workers_timeout_ns: Option<Nanos>,
    /// `distributed.scheduler.locks.lease-timeout`: semaphore leases that are not renewed end.
    pub lease_timeout_ns: Nanos,
    /// `distributed.scheduler.active-memory-manager`: drop needless copies this often.
    pub reduce_replicas_ns: Option<Nanos>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            epoch: Epoch(1),
            seed: 0,
            allowed_failures: 3,
            worker_saturation: 1.1,
            prefetch_ns: 10_000_000,
            prefetch_nbytes: 32 << 20,
            work_stealing: true,
            unknown_duration_ns: 500_000_000,
            bandwidth_bytes_per_s: 100e6,
            latency_ns: 1_000_000,
            story_len: 100_000,
            recovery_ns: 5_000_000_000,
            no_workers_timeout_ns: None,
            lease_timeout_ns: 30_000_000_000,
            reduce_replicas_ns: Some(2_000_000_000),
        }
    }
}
