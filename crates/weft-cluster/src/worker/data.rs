//! The results that a worker holds.

use std::sync::Arc;

use ahash::AHashMap;
use parking_lot::Mutex;
use weft_data::{DataError, ErrorKind, NEVER, Store, StoreStats, TaskError, Ticket, Value};
use weft_scheduler::message::TaskId;

use crate::{Encoded, Host, Program};

/// Results smaller than this stay out of the store: accounting for them would cost more than
/// making them.
const SMALL_BYTES: usize = 4096;

/// A result, in one of its forms.
#[derive(Clone)]
pub(super) enum Stored {
    /// Came from a peer and was not read yet, or is so small that bytes are cheaper than an object.
    Encoded(Encoded),
    Small(Value),
    Kept(Arc<Ticket>),
    /// Not a result: a program on its way out.
    Program(#[allow(dead_code)] Arc<dyn Program>),
}

pub(super) struct Data {
    results: Mutex<AHashMap<TaskId, Stored>>,
    store: Store,
}

impl Data {
    pub(super) fn new(store: Store) -> Data {
        Data { results: Mutex::default(), store }
    }

    /// Returns what was there before.
    pub(super) fn insert(&self, task: TaskId, stored: Stored) -> Option<Stored> {
        self.results.lock().insert(task, stored)
    }

    pub(super) fn remove(&self, task: TaskId) -> Option<Stored> {
        self.results.lock().remove(&task)
    }

    pub(super) fn peek(&self, task: TaskId) -> Option<Stored> {
        self.results.lock().get(&task).cloned()
    }

    /// All at once: a new name may be another's old one. Returns what has no new name.
    pub(super) fn rename(&self, tasks: &[(TaskId, TaskId)]) -> Vec<Stored> {
        let mut results = self.results.lock();
        let moved = tasks.iter().filter_map(|(old, new)| Some((*new, results.remove(old)?))).collect();
        std::mem::replace(&mut *results, moved).into_values().collect()
    }

    /// Lowers or raises what may be in memory; inside the host's lock, because it may write results to disk.
    pub(super) fn fit_into(&self, limit: usize) -> Result<(), DataError> {
        self.store.set_limit(limit);
        self.store.make_room()
    }

    pub(super) fn set_limit(&self, limit: usize) {
        self.store.set_limit(limit);
    }

    pub(super) fn stats(&self) -> StoreStats {
        self.store.stats()
    }

    /// Removes what is on disk, at the end of the process.
    pub(super) fn forget(&self) {
        self.store.close();
    }

    pub(super) fn close(&self) {
        let results = std::mem::take(&mut *self.results.lock());
        drop(results);
        self.store.close();
    }

    /// Keeps a value under the budget. Inside the host's lock.
    pub(super) fn keep(
        &self,
        host: &dyn Host,
        value: Value,
        what: Arc<str>,
    ) -> Result<(Stored, u64), DataError> {
        if let Some(encoded) = host.small(&value) {
            let nbytes = encoded.nbytes() as u64;
            return Ok((Stored::Encoded(encoded), nbytes));
        }
        let nbytes = value.nbytes();
        if nbytes < SMALL_BYTES {
            return Ok((Stored::Small(value), nbytes as u64));
        }
        let ticket = self.store.put(value, NEVER, what);
        self.store.make_room()?;
        Ok((Stored::Kept(Arc::new(ticket)), nbytes as u64))
    }

    /// The value of a result. Inside the host's lock.
    pub(super) fn read(&self, host: &dyn Host, task: TaskId, stored: Stored) -> Result<Value, TaskError> {
        match stored {
            Stored::Small(value) => Ok(value),
            Stored::Kept(ticket) => ticket.get().map_err(TaskError::from),
            Stored::Encoded(encoded) => {
                let value = host.decode(&encoded)?;
                // The next reader finds it read; scalars are cheaper as bytes.
                if encoded.nbytes() >= 64 {
                    let (read, _) = self.keep(host, value.clone(), "a fetched result".into())?;
                    let mut results = self.results.lock();
                    if let Some(known @ Stored::Encoded(_)) = results.get_mut(&task) {
                        *known = read;
                    }
                }
                Ok(value)
            }
            Stored::Program(_) => Err(TaskError::native(ErrorKind::Runtime, "a program is no result")),
        }
    }
}
