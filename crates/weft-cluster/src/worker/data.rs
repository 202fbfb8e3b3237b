//! The results that a worker holds.

use std::any::Any;
use std::io::{Read, Write};
use std::sync::Arc;

use ahash::AHashMap;
use bytes::Bytes;
use parking_lot::Mutex;
use weft_data::{
    CodecError, DataError, Decode, ErrorKind, NEVER, Object, Store, StoreStats, TaskError, Ticket, Value,
};
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
    /// As `Encoded`, in the store's care.
    Unread(Arc<Ticket>),
    /// Its worker cannot write it for others, and why: whoever reads it fails for that reason.
    Broken(Arc<str>),
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

    /// Results that came from a peer, until somebody reads them.
    pub(super) fn receive(&self, values: Vec<Encoded>) -> Vec<Stored> {
        let stored = values.into_iter().map(|encoded| match encoded.nbytes() < SMALL_BYTES {
            true => Stored::Encoded(encoded),
            false => {
                let value = Value::Object(Arc::new(Unread(encoded)));
                Stored::Unread(Arc::new(self.store.put(value, NEVER, "a fetched result".into())))
            }
        });
        let stored = stored.collect();
        // If the disk is full, whoever keeps a result of its own says so.
        let _ = self.store.make_room();
        stored
    }

    /// The value of a result. Inside the host's lock.
    pub(super) fn read(&self, host: &dyn Host, task: TaskId, stored: Stored) -> Result<Value, TaskError> {
        match stored {
            Stored::Small(value) => Ok(value),
            Stored::Kept(ticket) => ticket.get().map_err(TaskError::from),
            stored @ (Stored::Encoded(_) | Stored::Unread(_)) => {
                let encoded = encoded(&stored)?;
                let value = host.decode(&encoded)?;
                // The next reader finds it read; scalars are cheaper as bytes.
                if encoded.nbytes() >= 64 {
                    let (read, _) = self.keep(host, value.clone(), "a fetched result".into())?;
                    let mut results = self.results.lock();
                    if let Some(known @ (Stored::Encoded(_) | Stored::Unread(_))) = results.get_mut(&task) {
                        *known = read;
                    }
                }
                Ok(value)
            }
            Stored::Broken(reason) => Err(TaskError::native(ErrorKind::Type, reason.to_string())),
            Stored::Program(_) => Err(TaskError::native(ErrorKind::Runtime, "a program is no result")),
        }
    }
}

/// A result that came from a peer, as it came.
#[derive(Debug)]
struct Unread(Encoded);

/// The bytes of what was not read yet.
pub(super) fn encoded(stored: &Stored) -> Result<Encoded, TaskError> {
    let none = || TaskError::native(ErrorKind::Runtime, "not a result from a peer");
    match stored {
        Stored::Encoded(encoded) => Ok(encoded.clone()),
        Stored::Unread(ticket) => match ticket.get()? {
            Value::Object(object) => {
                object.as_any().downcast_ref::<Unread>().map(|unread| unread.0.clone()).ok_or_else(none)
            }
            _ => Err(none()),
        },
        _ => Err(none()),
    }
}

impl Object for Unread {
    fn nbytes(&self) -> usize {
        self.0.nbytes()
    }

    fn encode(&self, sink: &mut (dyn Write + Send)) -> Result<(), CodecError> {
        let Encoded { form, head, buffers } = &self.0;
        sink.write_all(&[*form])?;
        sink.write_all(&(buffers.len() as u64).to_le_bytes())?;
        for part in std::iter::once(head).chain(buffers) {
            sink.write_all(&(part.len() as u64).to_le_bytes())?;
            sink.write_all(part)?;
        }
        Ok(())
    }

    fn decoder(&self) -> Decode {
        |source: &mut (dyn Read + Send)| {
            let mut form = [0; 1];
            source.read_exact(&mut form)?;
            let count = number(source)?;
            let head = part(source)?;
            let buffers = (0..count).map(|_| part(source)).collect::<Result<_, CodecError>>()?;
            Ok(Arc::new(Unread(Encoded { form: form[0], head, buffers })))
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn number(source: &mut (dyn Read + Send)) -> Result<u64, CodecError> {
    let mut bytes = [0; 8];
    source.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn part(source: &mut (dyn Read + Send)) -> Result<Bytes, CodecError> {
    let length = number(source)?;
    let mut bytes = Vec::with_capacity(length as usize);
    source.take(length).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == length {
        true => Ok(bytes.into()),
        false => Err(CodecError::Codec("a file of a fetched result breaks off".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_fetched_survives_the_disk() {
        let encoded = Encoded {
            form: 7,
            head: vec![1, 2, 3].into(),
            buffers: vec![vec![9; 100_000].into(), Bytes::new(), vec![5; 10].into()],
        };
        let data = Data::new(Store::new(1 << 10, std::env::temp_dir()));
        let stored = data.receive(vec![encoded.clone()]);
        let Stored::Unread(ticket) = &stored[0] else { panic!("it is large") };
        assert!(!ticket.is_in_memory());
        assert_eq!(super::encoded(&stored[0]).unwrap(), encoded);
        data.close();
    }
}
