//! Messages on their way out, batched.
//!
//! One event often says "free this, run that" to the same worker many times over. Written one by one
//! those would be many small messages, so they are gathered in one *segment*: first all that is to be
//! freed, then all that is to be run. That changes the order, and may: a task is only freed before it is run in the
//! same segment because whoever frees a task that the open segment asks to run closes that segment first
//! ([`WorkerOutbox::free_assigned`]).

use std::sync::Arc;

use crate::message::{
    Assigned, Compute, Done, Failure, FutureId, Input, Key, Peer, Source, Sources, TaskId, ToClient, ToWorker,
};

#[derive(Debug, Default)]
pub(crate) struct WorkerOutbox {
    closed: Vec<ToWorker>,
    free: Vec<TaskId>,
    compute: Compute,
    steal: Vec<(TaskId, u32)>,
    /// Whether the worker is on the list of those with something to say to.
    pub listed: bool,
}

impl WorkerOutbox {
    /// Frees a result.
    pub fn free(&mut self, task: TaskId) {
        self.free.push(task);
    }

    /// Frees a task that the worker was asked to run, maybe just now.
    pub fn free_assigned(&mut self, task: TaskId) {
        self.close();
        self.free.push(task);
    }

    pub fn compute(&mut self) -> &mut Compute {
        &mut self.compute
    }

    pub fn assign(&mut self, task: Assigned) {
        self.compute.tasks.push(task);
    }

    pub fn input(&mut self, source: Source<'_>) {
        push_source(&mut self.compute.inputs, &mut self.compute.sources, source);
    }

    pub fn steal(&mut self, task: TaskId, run: u32) {
        self.steal.push((task, run));
    }

    pub fn drop_replica(&mut self, task: TaskId) {
        self.close();
        match self.closed.last_mut() {
            Some(ToWorker::DropReplicas { tasks }) => tasks.push(task),
            _ => self.closed.push(ToWorker::DropReplicas { tasks: vec![task] }),
        }
    }

    /// Anything else, after all that was said before.
    pub fn send(&mut self, message: ToWorker) {
        self.close();
        self.closed.push(message);
    }

    pub fn sources(&mut self, replicate: bool, key: Key, source: Source<'_>, peers: Vec<Peer>) {
        self.close();
        let matching = match self.closed.last_mut() {
            Some(ToWorker::Replicate(last)) if replicate => Some(last),
            Some(ToWorker::Sources(last)) if !replicate => Some(last),
            _ => None,
        };
        let mut fresh = Sources::default();
        let table = match matching {
            Some(last) => last,
            None => &mut fresh,
        };
        table.peers.extend(peers);
        table.keys.push(key);
        push_source(&mut table.inputs, &mut table.sources, source);
        if !fresh.keys.is_empty() {
            self.closed.push(if replicate { ToWorker::Replicate(fresh) } else { ToWorker::Sources(fresh) });
        }
    }

    fn close(&mut self) {
        if !self.free.is_empty() {
            self.closed.push(ToWorker::Free { tasks: std::mem::take(&mut self.free) });
        }
        if !self.compute.tasks.is_empty() {
            self.closed.push(ToWorker::Compute(std::mem::take(&mut self.compute)));
        }
        if !self.steal.is_empty() {
            self.closed.push(ToWorker::Steal { tasks: std::mem::take(&mut self.steal) });
        }
    }

    pub fn take(&mut self) -> Vec<ToWorker> {
        self.close();
        self.listed = false;
        std::mem::take(&mut self.closed)
    }
}

fn push_source(inputs: &mut Vec<Input>, sources: &mut Vec<crate::message::WorkerId>, source: Source<'_>) {
    inputs.push(Input { task: source.task, nbytes: source.nbytes, n_sources: source.workers.len() as u32 });
    sources.extend_from_slice(source.workers);
}

#[derive(Debug, Default)]
pub(crate) struct ClientOutbox {
    messages: Vec<ToClient>,
    pub listed: bool,
}

impl ClientOutbox {
    pub fn send(&mut self, message: ToClient) {
        self.messages.push(message);
    }

    pub fn done(&mut self, done: Done, peer: Option<Peer>) {
        if let Some(ToClient::Done { peers, futures }) = self.messages.last_mut() {
            peers.extend(peer);
            futures.push(done);
        } else {
            self.messages.push(ToClient::Done { peers: peer.into_iter().collect(), futures: vec![done] });
        }
    }

    pub fn erred(&mut self, future: FutureId, key: &Key, failure: &Arc<Failure>) {
        if let Some(ToClient::Erred { futures, failure: last, .. }) = self.messages.last_mut()
            && Arc::ptr_eq(last, failure)
        {
            futures.push(future);
        } else {
            let (futures, key, failure) = (vec![future], key.clone(), failure.clone());
            self.messages.push(ToClient::Erred { futures, key, failure });
        }
    }

    pub fn lost(&mut self, future: FutureId) {
        if let Some(ToClient::Lost { futures }) = self.messages.last_mut() {
            futures.push(future);
        } else {
            self.messages.push(ToClient::Lost { futures: vec![future] });
        }
    }

    pub fn retried(&mut self, future: FutureId) {
        if let Some(ToClient::Retried { futures }) = self.messages.last_mut() {
            futures.push(future);
        } else {
            self.messages.push(ToClient::Retried { futures: vec![future] });
        }
    }

    pub fn cancelled(&mut self, future: FutureId, why: &Arc<str>) {
        if let Some(ToClient::Cancelled { futures, reason }) = self.messages.last_mut()
            && reason == why
        {
            futures.push(future);
        } else {
            self.messages.push(ToClient::Cancelled { futures: vec![future], reason: why.clone() });
        }
    }

    pub fn take(&mut self) -> Vec<ToClient> {
        self.listed = false;
        std::mem::take(&mut self.messages)
    }
}
