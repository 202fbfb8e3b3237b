//! Answers to questions of clients.

use std::sync::Arc;

use crate::links::NIL;
use crate::message::{
    Answer, Holders, Key, Nanos, Peer, Question, RequestId, StoryLine, TaskInfo, WorkerId, WorkerInfo,
};
use crate::scheduler::Scheduler;
use crate::task::State;

/// What the scheduler holds, in bytes and numbers, for tests and benchmarks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub tasks: usize,
    pub edges: usize,
    pub replicas: usize,
    pub wants: usize,
    pub layers: usize,
    pub blobs: usize,
    pub keys: usize,
    pub queued: usize,
    pub failures: usize,
    /// Everything that grows with the number of tasks.
    pub nbytes: usize,
}

impl Scheduler {
    pub fn usage(&self) -> Usage {
        Usage {
            tasks: self.tasks.len(),
            edges: self.deps.len(),
            replicas: self.replicas.len(),
            wants: self.wants.len(),
            layers: self.layers.len(),
            blobs: self.layers.blobs.len(),
            keys: self.index.len(),
            queued: self.queue.len(),
            failures: self.failures.len(),
            nbytes: self.tasks.nbytes()
                + self.deps.nbytes()
                + self.replicas.nbytes()
                + self.wants.nbytes()
                + self.want_futures.capacity() * 8
                + self.queue.nbytes()
                + self.index.nbytes()
                + self.workers.iter().flatten().map(|worker| worker.processing.capacity() * 4).sum::<usize>()
                + self.clients.values().map(|client| client.futures.capacity() * 16).sum::<usize>(),
        }
    }

    /// How often each cause of a change of state comes up among the steps that are remembered.
    pub fn causes(&self) -> std::collections::BTreeMap<&'static str, usize> {
        self.story.causes()
    }

    pub(crate) fn ask(&mut self, client: u32, request: RequestId, question: Question) {
        let answer = match question {
            Question::WhoHas { keys } => Answer::Holders(self.who_has(client, &keys)),
            Question::Locate { futures } => Answer::Holders(
                futures
                    .into_iter()
                    .map(|future| match self.future(client, future) {
                        Some(slot) => self.holders_of(slot),
                        None => Holders { key: Key::Int(future.0 as i64), task: None, workers: vec![] },
                    })
                    .collect(),
            ),
            Question::HasWhat { workers } => Answer::HasWhat(self.by_worker(&workers, |s, w| {
                s.worker(w).map_or(vec![], |entry| s.replicas.lefts(entry.replicas).collect())
            })),
            Question::Processing { workers } => Answer::Processing(
                self.by_worker(&workers, |s, w| s.worker(w).map_or(vec![], |entry| entry.processing.clone())),
            ),
            Question::Workers => Answer::Workers(self.worker_infos()),
            Question::Nbytes { keys } => {
                let slots = self.chosen(&keys);
                let size = |&slot: &u32| (self.key(slot), self.tasks[slot].nbytes);
                let in_memory = |&slot: &u32| self.tasks[slot].state == State::Memory;
                Answer::Nbytes(slots.iter().filter(|slot| in_memory(slot)).map(size).collect())
            }
            Question::Tasks { keys } => {
                Answer::Tasks(self.chosen(&keys).into_iter().map(|slot| self.task_info(slot)).collect())
            }
            Question::Story { keys } => Answer::Story(self.stories(&keys)),
            Question::Place { nbytes, workers } => self.place_data(&nbytes, &workers),
        };
        self.answer(client, request, answer);
    }

    fn chosen(&self, keys: &[Key]) -> Vec<u32> {
        match keys.is_empty() {
            true => self.tasks.slots().collect(),
            false => keys.iter().filter_map(|key| self.find(key)).collect(),
        }
    }

    fn who_has(&self, _client: u32, keys: &[Key]) -> Vec<Holders> {
        if keys.is_empty() {
            let in_memory = |&slot: &u32| self.tasks[slot].state == State::Memory;
            return self.tasks.slots().filter(in_memory).map(|slot| self.holders_of(slot)).collect();
        }
        keys.iter()
            .map(|key| match self.find(key) {
                Some(slot) => self.holders_of(slot),
                None => Holders { key: key.clone(), task: None, workers: vec![] },
            })
            .collect()
    }

    fn holders_of(&self, slot: u32) -> Holders {
        let workers: Vec<Peer> =
            self.replicas.rights(self.tasks[slot].replicas).filter_map(|w| self.peer(w)).collect();
        Holders { key: self.key(slot), task: Some(self.tasks.id(slot)), workers }
    }

    fn by_worker(
        &self,
        names: &[Arc<str>],
        slots: impl Fn(&Scheduler, u32) -> Vec<u32>,
    ) -> Vec<(Arc<str>, Vec<Key>)> {
        self.workers_called(names)
            .into_iter()
            .filter_map(|w| {
                let address = self.worker(w)?.hello.address.clone();
                Some((address, slots(self, w).into_iter().map(|slot| self.key(slot)).collect()))
            })
            .collect()
    }

    pub(crate) fn worker_infos(&self) -> Vec<WorkerInfo> {
        let info = |(w, entry): (usize, &Option<Box<crate::worker::Worker>>)| {
            let entry = entry.as_deref()?;
            Some(WorkerInfo {
                worker: WorkerId(w as u32),
                name: entry.hello.name.clone(),
                address: entry.hello.address.clone(),
                host: entry.hello.host.clone(),
                nanny: entry.hello.nanny.clone(),
                pid: entry.hello.pid,
                nthreads: entry.hello.nthreads,
                memory_limit: entry.hello.memory_limit,
                resources: entry.hello.resources.clone(),
                status: entry.status,
                processing: entry.processing.len() as u32,
                in_memory: entry.n_replicas,
                nbytes: entry.nbytes,
                occupancy_ns: entry.occupancy_us as Nanos * 1000,
                memory: entry.heartbeat.memory,
                cpu_percent: entry.heartbeat.cpu_percent,
                bandwidth_bytes_per_s: entry.heartbeat.bandwidth_bytes_per_s,
                last_seen_ns: entry.last_seen_ns,
            })
        };
        self.workers.iter().enumerate().filter_map(info).collect()
    }

    pub(crate) fn task_info(&self, slot: u32) -> TaskInfo {
        let task = &self.tasks[slot];
        let keys = |slots: Vec<u32>| slots.into_iter().map(|slot| self.key(slot)).collect();
        TaskInfo {
            key: self.key(slot),
            state: task.state.name().into(),
            prefix: self.prefixes.get(task.prefix).name.clone(),
            priority: task.priority,
            nbytes: (task.state == State::Memory).then_some(task.nbytes),
            processing_on: (task.state == State::Processing).then_some(WorkerId(task.worker)),
            holders: self.holders(slot),
            dependencies: keys(self.deps.rights(task.deps).collect()),
            dependents: keys(self.deps.lefts(task.dependents).collect()),
            retries: u32::from(task.tries),
            suspicious: u32::from(task.suspicious),
            failure: self.failures.get(&slot).map(|failed| failed.failure.clone()),
        }
    }

    pub(crate) fn stories(&self, keys: &[Key]) -> Vec<StoryLine> {
        let mut lines = Vec::new();
        for key in keys {
            let Some(slot) = self.find(key) else { continue };
            for step in self.story.of(slot, self.tasks[slot].generation) {
                lines.push(StoryLine {
                    key: key.clone(),
                    at_ns: step.at_ns,
                    from: step.from.name().into(),
                    to: step.to.name().into(),
                    cause: step.cause.text().into(),
                    worker: (step.worker != NIL).then_some(WorkerId(step.worker)),
                });
            }
        }
        lines.sort_by_key(|line| line.at_ns);
        lines
    }

    /// Spreads data over workers, the lightest first, in proportion to their threads.
    fn place_data(&self, sizes: &[u64], names: &[Arc<str>]) -> Answer {
        let mut workers = self.workers_called(names);
        workers.retain(|&w| self.worker(w).is_some_and(|entry| entry.position_running != NIL));
        let mut load: Vec<(u64, u32, u64)> = workers
            .iter()
            .filter_map(|&w| {
                self.worker(w).map(|e| (e.nbytes / u64::from(e.nthreads()), w, u64::from(e.nthreads())))
            })
            .collect();
        if load.is_empty() {
            return Answer::Failed { reason: "there are no workers to put data on".into() };
        }
        let mut chosen = Vec::with_capacity(sizes.len());
        for &size in sizes {
            if let Some(lightest) = load.iter_mut().min_by_key(|(n, w, _)| (*n, *w)) {
                lightest.0 += size.max(1).div_ceil(lightest.2);
                chosen.push(WorkerId(lightest.1));
            }
        }
        let peers = workers.iter().filter_map(|&w| self.peer(w)).collect();
        Answer::Place { peers, workers: chosen }
    }
}
