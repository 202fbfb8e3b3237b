//! Fetching results from the workers that hold them.

use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use tokio::task::JoinSet;
use weft_scheduler::message::{Answer, PeerRequest, Question, TaskId};

use super::{Answered, Client, FutureRef, Inner, Status};
use crate::{ClusterError, Encoded, FromPeer, ToPeer, value};

/// How much one answer may hold.
const FETCH_BYTES: u64 = 256 << 20;

type Results = Vec<Result<Encoded, ClusterError>>;

/// What one worker is asked for: places among the results, and tasks.
type Wanted = Vec<(usize, TaskId)>;

impl Client {
    /// Fetches the results of futures once they are done; `ready` gets them in that order. A result that
    /// is lost on the way is waited for again.
    pub fn gather(&self, futures: Vec<Arc<FutureRef>>, ready: impl FnOnce(Results) + Send + 'static) {
        let client = self.clone();
        self.0.reactor.handle().spawn(async move { ready(client.collect(futures).await) });
    }

    async fn collect(&self, futures: Vec<Arc<FutureRef>>) -> Results {
        let inner = &self.0;
        let mut results: Vec<Option<Result<Encoded, ClusterError>>> = futures.iter().map(|_| None).collect();
        let mut missing: Vec<usize> = (0..futures.len()).collect();
        while !missing.is_empty() {
            let changed = inner.notify.notified();
            let mut by_worker: AHashMap<Arc<str>, Wanted> = AHashMap::new();
            let mut waits = false;
            for &i in &missing {
                let key = || futures[i].key().clone();
                match futures[i].status() {
                    Status::Pending => waits = true,
                    Status::Erred { failure } => {
                        results[i] = Some(Err(ClusterError::Failed { key: key(), failure }));
                    }
                    Status::Cancelled { reason } => {
                        results[i] = Some(Err(ClusterError::Cancelled { key: key(), reason }));
                    }
                    Status::Done { task, worker, .. } => match inner.addresses.lock().get(&worker) {
                        Some(address) => by_worker.entry(address.clone()).or_default().push((i, task)),
                        None => waits = true,
                    },
                }
            }
            let mut failed = Vec::new();
            self.fetch_all(by_worker, &futures, &mut results, &mut failed).await;
            if !failed.is_empty() {
                self.fetch_elsewhere(failed, &futures, &mut results).await;
            }
            let before = missing.len();
            missing.retain(|&i| results[i].is_none());
            if !missing.is_empty() && (waits || missing.len() == before) {
                // Woken by the scheduler's word; the time is for workers that went without one.
                let _ = tokio::time::timeout(Duration::from_millis(200), changed).await;
            }
        }
        results.into_iter().flatten().collect()
    }

    /// Asks all workers at once. `failed`: what was not to be had, and from whom.
    async fn fetch_all(
        &self,
        by_worker: AHashMap<Arc<str>, Wanted>,
        futures: &[Arc<FutureRef>],
        results: &mut [Option<Result<Encoded, ClusterError>>],
        failed: &mut Vec<(usize, Arc<str>)>,
    ) {
        let mut fetches = JoinSet::new();
        for (address, wanted) in by_worker {
            let inner = self.0.clone();
            fetches.spawn(async move { (address.clone(), fetch(&inner, &address, wanted).await) });
        }
        while let Some(fetched) = fetches.join_next().await {
            let Ok((address, (got, missed))) = fetched else { continue };
            for (i, result) in got {
                results[i] = Some(result.map_err(|reason| ClusterError::Fetch {
                    key: futures[i].key().clone(),
                    reason: reason.to_string(),
                }));
            }
            failed.extend(missed.into_iter().map(|i| (i, address.clone())));
        }
    }

    /// Asks the scheduler who else has what could not be fetched.
    async fn fetch_elsewhere(
        &self,
        failed: Vec<(usize, Arc<str>)>,
        futures: &[Arc<FutureRef>],
        results: &mut [Option<Result<Encoded, ClusterError>>],
    ) {
        let ids = failed.iter().map(|&(i, _)| futures[i].id()).collect();
        let client = self.clone();
        let Ok(request) = client.ask(Question::Locate { futures: ids }, None) else { return };
        // Waiting for an answer blocks; it is short, and this path is rare.
        let answer = tokio::task::spawn_blocking(move || {
            let until = std::time::Instant::now() + Duration::from_secs(5);
            loop {
                match client.answer(request, Duration::from_millis(50)) {
                    Ok(None) if std::time::Instant::now() < until => {}
                    other => return other,
                }
            }
        });
        let Ok(Ok(Some(Answered::Answer(Answer::Holders(holders))))) = answer.await else { return };
        let mut by_worker: AHashMap<Arc<str>, Wanted> = AHashMap::new();
        for ((i, from), holder) in failed.into_iter().zip(holders) {
            let other = holder.workers.iter().find(|peer| peer.address != from);
            if let (Some(task), Some(peer)) = (holder.task, other) {
                by_worker.entry(peer.address.clone()).or_default().push((i, task));
            }
        }
        self.fetch_all(by_worker, futures, results, &mut Vec::new()).await;
    }
}

/// Everything that one worker can give, in as many answers as it takes.
async fn fetch(
    inner: &Inner,
    address: &Arc<str>,
    mut wanted: Wanted,
) -> (Vec<(usize, Result<Encoded, Arc<str>>)>, Vec<usize>) {
    let (mut got, mut missed) = (Vec::with_capacity(wanted.len()), Vec::new());
    let epoch = inner.welcome.lock().as_ref().map(|w| w.epoch).unwrap_or_default();
    while !wanted.is_empty() {
        let tasks = wanted.iter().map(|&(_, task)| task).collect();
        let message = |request| {
            (ToPeer::Peer(PeerRequest::Fetch { request, epoch, tasks, max_nbytes: FETCH_BYTES }), Vec::new())
        };
        let Ok(received) = inner.peers.request(address, message).await else { break };
        match received.message {
            FromPeer::Data { tasks, absent, broken, values, .. } => {
                let Some(values) = value::unpack(&values, received.buffers) else { break };
                let before = wanted.len();
                // Answers come in the order of asking, with gaps.
                let mut answers = tasks.into_iter().zip(values).peekable();
                wanted.retain(|&(i, task)| {
                    if answers.peek().is_some_and(|(answered, _)| *answered == task) {
                        got.extend(answers.next().map(|(_, value)| (i, Ok(value))));
                        return false;
                    }
                    if let Some((_, reason)) = broken.iter().find(|(broken, _)| *broken == task) {
                        got.push((i, Err(reason.clone())));
                        return false;
                    }
                    if absent.contains(&task) {
                        missed.push(i);
                        return false;
                    }
                    true
                });
                if wanted.len() == before {
                    break;
                }
            }
            FromPeer::Busy { .. } => tokio::time::sleep(Duration::from_millis(15)).await,
            FromPeer::Returned { .. } => break,
        }
    }
    missed.extend(wanted.into_iter().map(|(i, _)| i));
    (got, missed)
}
