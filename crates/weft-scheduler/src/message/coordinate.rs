//! Locks, events, queues, variables and topics: state that clients and tasks share through the scheduler.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Key, Nanos};

/// What a client asks. Names are the user's; whatever holds something is named by `holder`, unique to one lock object,
/// so that two objects in one client do not unlock each other.
///
/// Who waits gets its [`CoordinateAnswer`] when its turn comes, in the order of asking, or
/// [`CoordinateAnswer::TimedOut`] when `timeout_ns` has passed (`None`: never; `Some(0)`: at once).
/// What a client holds is given back when the client is gone. Semaphore leases also end when they are not
/// renewed in time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CoordinateOp {
    /// Takes all `names` together, or (`at_least`) any so many of them. `Lock` is one name.
    Lock {
        names: Vec<Arc<str>>,
        at_least: Option<u32>,
        holder: Arc<str>,
        timeout_ns: Option<Nanos>,
    },
    Unlock {
        names: Vec<Arc<str>>,
        holder: Arc<str>,
    },
    IsLocked {
        name: Arc<str>,
    },
    /// The first to name it says how many leases it has.
    SemaphoreOpen {
        name: Arc<str>,
        leases: u32,
    },
    SemaphoreAcquire {
        name: Arc<str>,
        lease: Arc<str>,
        timeout_ns: Option<Nanos>,
    },
    SemaphoreRenew {
        name: Arc<str>,
        leases: Vec<Arc<str>>,
    },
    SemaphoreRelease {
        name: Arc<str>,
        lease: Arc<str>,
    },
    /// How many are out.
    SemaphoreCount {
        name: Arc<str>,
    },
    SemaphoreClose {
        name: Arc<str>,
    },
    EventWait {
        name: Arc<str>,
        timeout_ns: Option<Nanos>,
    },
    EventSet {
        name: Arc<str>,
    },
    EventClear {
        name: Arc<str>,
    },
    EventIsSet {
        name: Arc<str>,
    },
    /// 0: no limit.
    QueueOpen {
        name: Arc<str>,
        max_len: u64,
    },
    QueuePut {
        name: Arc<str>,
        item: Item,
        timeout_ns: Option<Nanos>,
    },
    /// At least 1 and at most `batch` items (`None`: exactly one).
    QueueGet {
        name: Arc<str>,
        batch: Option<u64>,
        timeout_ns: Option<Nanos>,
    },
    QueueLen {
        name: Arc<str>,
    },
    QueueClose {
        name: Arc<str>,
    },
    VariableSet {
        name: Arc<str>,
        item: Item,
    },
    VariableGet {
        name: Arc<str>,
        timeout_ns: Option<Nanos>,
    },
    VariableDelete {
        name: Arc<str>,
    },
    Publish {
        topic: Arc<str>,
        message: Bytes,
    },
    Subscribe {
        topic: Arc<str>,
    },
    Unsubscribe {
        topic: Arc<str>,
    },
    Subscribers {
        topic: Arc<str>,
    },
    /// Named datasets: keys that stay wanted, and what the client needs to make a collection of them.
    DatasetPublish {
        name: Bytes,
        keys: Vec<Key>,
        data: Bytes,
        overwrite: bool,
    },
    DatasetGet {
        name: Bytes,
    },
    DatasetUnpublish {
        name: Bytes,
    },
    DatasetList,
}

/// What queues and variables hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Item {
    Data(Bytes),
    /// A future: its task stays wanted while the item is held.
    Future(Key),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CoordinateAnswer {
    Ok,
    /// Yes or no (`IsLocked`, `EventIsSet`, `SemaphoreRelease`: whether it was held).
    Is(bool),
    Count(u64),
    /// The names that were locked.
    Locked(Vec<Arc<str>>),
    Items(Vec<Item>),
    Dataset {
        keys: Vec<Key>,
        data: Bytes,
    },
    Names(Vec<Bytes>),
    TimedOut,
    /// What was asked makes no sense: unlocking what is not held, a queue that does not exist.
    Refused(Arc<str>),
}
