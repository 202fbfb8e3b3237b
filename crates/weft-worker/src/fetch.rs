//! Data: bringing inputs here.
//!
//! A result that is wanted stands in the queue of one peer that has it. A peer is asked by one fetch at a
//! time, for its most urgent results together; all fetches together stay within a number and a size. A peer that does
//! not have a result, or cannot be reached, is struck off the result's sources; when none is left the
//! scheduler is told whom we asked in vain, and answers with new sources or takes the work back.

use std::collections::BTreeSet;

use weft_scheduler::message::{FromWorker, Nanos, Priority, Source, TaskId, WorkerId};

use crate::entry::{Data, Stage};
use crate::event::{Action, FetchId, Origin};
use crate::machine::Worker;

/// What is to be asked of one peer.
#[derive(Debug, Default)]
pub(crate) struct PeerQueue {
    pub tasks: BTreeSet<(Priority, TaskId)>,
    pub fetch: Option<FetchId>,
    pub busy_until_ns: Nanos,
}

#[derive(Debug)]
pub(crate) struct Fetch {
    pub peer: WorkerId,
    pub tasks: Vec<TaskId>,
    pub nbytes: u64,
}

impl Worker {
    /// An input, or a copy that was ordered, is to come here.
    pub(crate) fn want(&mut self, source: &Source<'_>, priority: Priority) {
        let me = self.me;
        let Some(entry) = self.entries.get_mut(&source.task) else { return };
        entry.nbytes = source.nbytes;
        let first = entry.data == Data::No || entry.data == Data::Missing;
        if first {
            entry.absent.clear();
            entry.unreachable.clear();
            entry.sources.clear();
        }
        for &worker in source.workers {
            if worker != me && !entry.sources.contains(&worker) {
                entry.sources.push(worker);
            }
        }
        if first {
            entry.priority = priority;
            self.choose_source(source.task);
        } else if priority < entry.priority {
            let old = std::mem::replace(&mut entry.priority, priority);
            if let Data::Wanted(peer) = entry.data
                && let Some(queue) = self.peers.get_mut(&peer)
            {
                queue.tasks.remove(&(old, source.task));
                queue.tasks.insert((priority, source.task));
            }
        }
    }

    /// Puts a wanted result into the shortest queue of those who have it; if nobody is left, the
    /// scheduler is told.
    fn choose_source(&mut self, task: TaskId) {
        let now = self.now;
        let Some(entry) = self.entries.get_mut(&task) else { return };
        let peers = &self.peers;
        let length = |worker: &WorkerId| {
            peers.get(worker).map_or((false, 0), |queue| {
                (queue.busy_until_ns > now, queue.tasks.len() + 4 * usize::from(queue.fetch.is_some()))
            })
        };
        // Workers that want the same results start at different sources.
        let turn = self.me.0 as usize % entry.sources.len().max(1);
        entry.sources.rotate_left(turn);
        match entry.sources.iter().copied().min_by_key(length) {
            Some(peer) => {
                entry.data = Data::Wanted(peer);
                let place = (entry.priority, task);
                self.peers.entry(peer).or_default().tasks.insert(place);
            }
            None => {
                entry.data = Data::Missing;
                let mut absent = std::mem::take(&mut entry.absent);
                let unreachable = std::mem::take(&mut entry.unreachable);
                if absent.is_empty() && unreachable.is_empty() {
                    // We were told that it is here.
                    absent.push(self.me);
                }
                self.say(FromWorker::FetchFailed { task, absent, unreachable });
            }
        }
    }

    /// Data that should be here is not. Whoever reads it waits again.
    pub(crate) fn input_gone(&mut self, task: TaskId) {
        let Some(entry) = self.entries.get_mut(&task) else { return };
        entry.data = Data::No;
        entry.sources.clear();
        let readers = entry.readers.clone();
        for reader in readers {
            let Some(work) = self.entries.get_mut(&reader).and_then(|entry| entry.work.as_mut()) else {
                continue;
            };
            // What runs has taken hold of it already.
            if !matches!(work.stage, Stage::Executing(_)) {
                work.stage = Stage::Waiting;
                work.missing += 1;
            } else if let Some(entry) = self.entries.get_mut(&task) {
                entry.readers.retain(|&other| other != reader);
            }
        }
        if self.entries.get(&task).is_some_and(|entry| entry.is_wanted()) {
            self.choose_source(task);
        } else {
            self.forget_if_idle(task);
        }
    }

    /// Nobody here needs it any more. What is under way comes in vain.
    pub(crate) fn stop_wanting(&mut self, task: TaskId) {
        let Some(entry) = self.entries.get_mut(&task) else { return };
        match entry.data {
            Data::Wanted(peer) => {
                let place = (entry.priority, task);
                entry.data = Data::No;
                if let Some(queue) = self.peers.get_mut(&peer) {
                    queue.tasks.remove(&place);
                }
            }
            Data::Flight(_) | Data::Missing => entry.data = Data::No,
            Data::No | Data::Here => {}
        }
        self.forget_if_idle(task);
    }

    /// Asks peers that are free, those with the most urgent wishes first.
    pub(crate) fn start_fetches(&mut self) {
        if self.paused {
            return;
        }
        while self.fetches.len() < self.config.max_fetches {
            let free = |(_, queue): &(&WorkerId, &PeerQueue)| {
                queue.fetch.is_none() && !queue.tasks.is_empty() && queue.busy_until_ns <= self.now
            };
            let first =
                self.peers.iter().filter(free).min_by_key(|(worker, queue)| (queue.tasks.first(), **worker));
            let Some((&peer, _)) = first else { return };
            if !self.fetches.is_empty() && self.incoming_nbytes >= self.config.max_incoming_nbytes {
                return;
            }
            self.start_fetch(peer);
        }
    }

    fn start_fetch(&mut self, peer: WorkerId) {
        let Some(queue) = self.peers.get_mut(&peer) else { return };
        let fetch = FetchId(self.next_fetch);
        self.next_fetch += 1;
        let (mut tasks, mut nbytes) = (Vec::new(), 0u64);
        while let Some(&(priority, task)) = queue.tasks.first() {
            let size = self.entries.get(&task).map_or(0, |entry| entry.nbytes);
            if !tasks.is_empty() && nbytes.saturating_add(size) > self.config.max_fetch_nbytes {
                break;
            }
            queue.tasks.remove(&(priority, task));
            if let Some(entry) = self.entries.get_mut(&task) {
                entry.data = Data::Flight(fetch);
                nbytes = nbytes.saturating_add(size);
                tasks.push(task);
            }
        }
        queue.fetch = Some(fetch);
        self.incoming_nbytes += nbytes;
        self.fetches.insert(fetch, Fetch { peer, tasks: tasks.clone(), nbytes });
        let max_nbytes = self.config.max_fetch_nbytes;
        self.actions.push(Action::Fetch { fetch, peer, tasks, max_nbytes });
    }

    fn end_fetch(&mut self, fetch: FetchId) -> Option<Fetch> {
        let ended = self.fetches.remove(&fetch)?;
        self.incoming_nbytes -= ended.nbytes;
        if let Some(queue) = self.peers.get_mut(&ended.peer) {
            queue.fetch = None;
            if queue.tasks.is_empty() && queue.busy_until_ns <= self.now {
                self.peers.remove(&ended.peer);
            }
        }
        Some(ended)
    }

    fn is_in_flight(&self, task: TaskId, fetch: FetchId) -> bool {
        self.entries.get(&task).is_some_and(|entry| entry.data == Data::Flight(fetch))
    }

    pub(crate) fn fetched(&mut self, fetch: FetchId, arrived: &[(TaskId, u64)], absent: &[TaskId]) {
        let Some(ended) = self.end_fetch(fetch) else { return };
        for &(task, nbytes) in arrived {
            if !self.is_in_flight(task, fetch) {
                continue;
            }
            self.put(task, Origin::Fetch(fetch));
            // What was to be computed here has come: no need to.
            let work = self.entries.get(&task).and_then(|entry| entry.work.as_ref());
            let assigned = work.map(|work| work.run);
            self.data_arrived(task, nbytes);
            self.remove_work(task);
            if let Some(run) = assigned {
                self.finish(task, run, nbytes, 0, 0, "".into());
            } else {
                self.replicated.push(task);
            }
        }
        for &task in absent {
            if self.is_in_flight(task, fetch) {
                self.strike_off(task, ended.peer, false);
            }
        }
        for task in ended.tasks {
            if self.is_in_flight(task, fetch) {
                self.choose_source(task);
            }
        }
    }

    fn strike_off(&mut self, task: TaskId, peer: WorkerId, unreachable: bool) {
        let Some(entry) = self.entries.get_mut(&task) else { return };
        entry.sources.retain(|&source| source != peer);
        if unreachable {
            entry.unreachable.push(peer)
        } else {
            entry.absent.push(peer)
        }
        self.choose_source(task);
    }

    pub(crate) fn fetch_busy(&mut self, fetch: FetchId) {
        let Some(ended) = self.end_fetch(fetch) else { return };
        self.peers.entry(ended.peer).or_default().busy_until_ns = self.now + self.config.busy_retry_ns;
        for task in ended.tasks {
            if self.is_in_flight(task, fetch) {
                self.choose_source(task);
            }
        }
    }

    pub(crate) fn fetch_failed(&mut self, fetch: FetchId) {
        let Some(ended) = self.end_fetch(fetch) else { return };
        // It may be back soon; others first.
        self.peers.entry(ended.peer).or_default().busy_until_ns = self.now + self.config.busy_retry_ns;
        for task in ended.tasks {
            if self.is_in_flight(task, fetch) {
                self.strike_off(task, ended.peer, true);
            }
        }
    }

    /// A value has come: by a fetch or because it was computed.
    pub(crate) fn data_arrived(&mut self, task: TaskId, nbytes: u64) {
        let entry = self.entries.entry(task).or_default();
        let was = std::mem::replace(&mut entry.data, Data::Here);
        entry.nbytes = nbytes;
        entry.ordered = false;
        entry.sources.clear();
        entry.absent.clear();
        entry.unreachable.clear();
        if let Data::Wanted(peer) = was {
            let place = (entry.priority, task);
            if let Some(queue) = self.peers.get_mut(&peer) {
                queue.tasks.remove(&place);
            }
        }
        if was == Data::Here {
            return;
        }
        let Some(entry) = self.entries.get(&task) else { return };
        for reader in entry.readers.clone() {
            if let Some(work) = self.entries.get_mut(&reader).and_then(|entry| entry.work.as_mut()) {
                work.missing = work.missing.saturating_sub(1);
                if work.missing == 0 && work.stage == Stage::Waiting {
                    self.make_ready(reader);
                }
            }
        }
    }
}
