//! The futures of a client.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use ahash::AHashMap;
use parking_lot::{Condvar, Mutex};
use weft_scheduler::message::{Failure, FutureId, Key, TaskId, WorkerId};

use super::Inner;
use super::sent::SentGraph;

/// What is known about a future.
#[derive(Clone, Debug)]
pub enum Status {
    Pending,
    /// The result exists; `worker` has it.
    Done {
        task: TaskId,
        worker: WorkerId,
        nbytes: u64,
    },
    Erred {
        failure: Arc<Failure>,
    },
    Cancelled {
        reason: Arc<str>,
    },
}

impl Status {
    pub fn is_pending(&self) -> bool {
        matches!(self, Status::Pending)
    }
}

/// A queue of what has happened: whoever waits for several things gives each a token and looks here.
#[derive(Debug, Default)]
pub struct Watch {
    tokens: Mutex<(VecDeque<u64>, bool)>,
    pushed: Condvar,
}

impl Watch {
    pub fn new() -> Arc<Watch> {
        Arc::default()
    }

    pub fn push(&self, token: u64) {
        self.tokens.lock().0.push_back(token);
        self.pushed.notify_all();
    }

    /// All tokens since the last call; waits for the first one. `None`: closed, and nothing is left.
    pub fn pop(&self, at_most: Duration) -> Option<Vec<u64>> {
        let mut state = self.tokens.lock();
        if state.0.is_empty() && !state.1 {
            self.pushed.wait_for(&mut state, at_most);
        }
        if state.0.is_empty() && state.1 { None } else { Some(state.0.drain(..).collect()) }
    }

    pub fn close(&self) {
        self.tokens.lock().1 = true;
        self.pushed.notify_all();
    }
}

pub(super) struct Entry {
    state: Mutex<(Status, Vec<(Arc<Watch>, u64)>)>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({:?})", self.state.lock().0)
    }
}

impl Entry {
    pub(super) fn set(&self, status: Status) {
        let mut state = self.state.lock();
        if matches!(state.0, Status::Cancelled { .. }) {
            return;
        }
        let over = !status.is_pending();
        state.0 = status;
        if over {
            for (watch, token) in state.1.drain(..) {
                watch.push(token);
            }
        }
    }
}

impl Entry {
    pub(super) fn reset_if(&self, which: impl Fn(&Status) -> bool) {
        let mut state = self.state.lock();
        if which(&state.0) {
            state.0 = Status::Pending;
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Table {
    next: u64,
    entries: AHashMap<FutureId, Arc<Entry>>,
    by_key: AHashMap<Key, Weak<FutureRef>>,
}

/// A hold on a future. When the last one goes, the scheduler is told that nobody here wants the result.
#[derive(Debug)]
pub struct FutureRef {
    client: Weak<Inner>,
    id: FutureId,
    key: Key,
    entry: Arc<Entry>,
    /// The graph that makes it, if it was sent by this client.
    graph: OnceLock<Arc<SentGraph>>,
}

impl Table {
    pub(super) fn get(&self, future: FutureId) -> Option<Arc<Entry>> {
        self.entries.get(&future).cloned()
    }

    pub(super) fn next_id(&mut self) -> FutureId {
        self.next += 1;
        FutureId(self.next)
    }

    /// Futures and their keys, without those that were cancelled.
    pub(super) fn keys(&self) -> Vec<(FutureId, Key)> {
        let alive = self.by_key.values().filter_map(Weak::upgrade);
        let wanted = alive.filter(|future| !matches!(future.status(), Status::Cancelled { .. }));
        // The end of a future takes the table's lock: the caller's is held, so these must not be the last.
        let futures: Vec<Arc<FutureRef>> = wanted.collect();
        let keys = futures.iter().map(|future| (future.id, future.key.clone())).collect();
        for future in futures {
            if let Some(last) = Arc::into_inner(future) {
                // It went meanwhile: its end is told by another thread.
                std::thread::spawn(move || drop(last));
            }
        }
        keys
    }

    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.entries.values().cloned().collect()
    }

    /// The future for `key`: the one that is held already, unless it was cancelled, or a new one.
    pub(super) fn future(client: &Arc<Inner>, key: Key) -> (Arc<FutureRef>, bool) {
        let mut table = client.table.lock();
        if let Some(known) = table.by_key.get(&key).and_then(Weak::upgrade) {
            if !matches!(known.status(), Status::Cancelled { .. }) {
                return (known, false);
            }
            // Its end takes the table's lock.
            drop(table);
            drop(known);
            table = client.table.lock();
        }
        table.next += 1;
        let id = FutureId(table.next);
        let entry = Arc::new(Entry { state: Mutex::new((Status::Pending, Vec::new())) });
        table.entries.insert(id, entry.clone());
        let future = Arc::new(FutureRef {
            client: Arc::downgrade(client),
            id,
            key: key.clone(),
            entry,
            graph: OnceLock::new(),
        });
        table.by_key.insert(key, Arc::downgrade(&future));
        (future, true)
    }
}

impl FutureRef {
    pub fn id(&self) -> FutureId {
        self.id
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    pub fn status(&self) -> Status {
        self.entry.state.lock().0.clone()
    }

    pub(super) fn set_graph(&self, graph: &Arc<SentGraph>) {
        // A future is sent once.
        let _ = self.graph.set(graph.clone());
    }

    pub(super) fn graph(&self) -> Option<Arc<SentGraph>> {
        self.graph.get().cloned()
    }

    pub fn is_pending(&self) -> bool {
        self.entry.state.lock().0.is_pending()
    }

    /// Lets `watch` hear `token` once the future is not pending, which may be at once.
    pub fn watch(&self, watch: &Arc<Watch>, token: u64) {
        let mut state = self.entry.state.lock();
        if state.0.is_pending() {
            state.1.push((watch.clone(), token));
        } else {
            watch.push(token);
        }
    }

    /// What the scheduler will say soon, for those here who ask before: pending again, or cancelled.
    pub fn expect(&self, status: Status) {
        self.entry.set(status);
    }
}

impl Drop for FutureRef {
    fn drop(&mut self) {
        let Some(client) = self.client.upgrade() else { return };
        let mut table = client.table.lock();
        table.entries.remove(&self.id);
        // A younger future may have taken the key over.
        if table.by_key.get(&self.key).is_some_and(|known| known.strong_count() == 0) {
            table.by_key.remove(&self.key);
        }
        drop(table);
        client.released.lock().push(self.id);
        client.release.notify_one();
    }
}
