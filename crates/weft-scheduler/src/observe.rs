//! What people are shown: read by the shell when somebody looks, never by the state machine.

use std::sync::Arc;

use crate::message::{Key, Nanos, StoryLine, TaskId, TaskInfo, WorkerId, WorkerInfo};
use crate::scheduler::{KEEPER, Scheduler};
use crate::task::State;

/// How many tasks with one name are in each state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixCount {
    pub name: Arc<str>,
    pub waiting: u64,
    pub queued: u64,
    pub processing: u64,
    pub memory: u64,
    /// Done and let go, since there were last none of this name.
    pub released: u64,
    pub erred: u64,
    /// Bytes held, and time spent so far.
    pub nbytes: u64,
    pub total_ns: Nanos,
}

impl Scheduler {
    /// Tasks by name and state: one pass over the table.
    pub fn prefix_counts(&self) -> Vec<PrefixCount> {
        let new = |prefix: &crate::layers::Prefix| PrefixCount {
            name: prefix.name.clone(),
            total_ns: prefix.total_ns,
            ..PrefixCount::default()
        };
        let mut counts: Vec<PrefixCount> = self.prefixes.iter().map(new).collect();
        for slot in self.tasks.slots() {
            let task = &self.tasks[slot];
            let count = &mut counts[task.prefix as usize];
            match task.state {
                State::Released => {}
                State::Waiting => count.waiting += 1,
                State::Queued | State::Unrunnable => count.queued += 1,
                State::Processing => count.processing += 1,
                State::Memory => {
                    count.memory += 1;
                    count.nbytes += task.nbytes;
                }
                State::Erred => count.erred += 1,
            }
        }
        let alive = self.prefixes.iter().map(|prefix| prefix.live > 0);
        for (count, prefix) in counts.iter_mut().zip(self.prefixes.iter()) {
            count.released = (prefix.finished - prefix.finished_before).saturating_sub(count.memory);
        }
        counts.into_iter().zip(alive).filter_map(|(count, alive)| alive.then_some(count)).collect()
    }

    /// Names of the connected clients.
    pub fn client_names(&self) -> Vec<Arc<str>> {
        let clients = self.clients.iter().filter(|(id, _)| **id != KEEPER);
        let mut names: Vec<Arc<str>> = clients.map(|(_, client)| client.name.clone()).collect();
        names.sort_unstable();
        names
    }

    pub fn workers(&self) -> Vec<WorkerInfo> {
        self.worker_infos()
    }

    /// Name and key of a task, and how the worker is called that processes it.
    pub fn about(&self, task: TaskId) -> Option<(Arc<str>, Key)> {
        let slot = self.tasks.find(task)?;
        Some((self.prefixes.get(self.tasks[slot].prefix).name.clone(), self.key(slot)))
    }

    /// A task by its key as people write it, and what has happened to it.
    pub fn inspect(&self, text: &str) -> Option<(TaskInfo, Vec<StoryLine>)> {
        // Keys that are texts are found at once; others by looking at all.
        let known = self.find(&Key::from(text));
        let slot = known.or_else(|| self.tasks.slots().find(|&slot| self.key(slot).to_string() == text))?;
        let info = self.task_info(slot);
        let story = self.stories(std::slice::from_ref(&info.key));
        Some((info, story))
    }

    /// Tasks that run or could run, how long they will take on one thread as far as is known, and the bytes of all
    /// results: what the size of a cluster follows from.
    pub fn load(&self) -> (u64, Nanos, u64) {
        let (mut tasks, mut us, mut nbytes) = (0, 0, 0);
        for entry in self.workers.iter().flatten() {
            tasks += entry.processing.len() as u64;
            us += entry.occupancy_us;
            nbytes += entry.nbytes;
        }
        let unknown_us = self.config.unknown_duration_ns / 1000;
        for slot in self.tasks.slots() {
            let task = &self.tasks[slot];
            if matches!(task.state, State::Queued | State::Unrunnable) {
                tasks += 1;
                us += self.prefixes.get(task.prefix).duration_us.map_or(unknown_us, u64::from);
            }
        }
        (tasks, us * 1000, nbytes)
    }

    /// Workers that have said nothing since `before`.
    pub fn silent(&self, before: Nanos) -> Vec<WorkerId> {
        let entries = self.workers.iter().enumerate();
        let silent = entries.filter_map(|(w, entry)| Some((w, entry.as_deref()?)));
        silent.filter(|(_, e)| e.last_seen_ns < before).map(|(w, _)| WorkerId(w as u32)).collect()
    }

    /// How a worker is called, and what it ran when it last said so, for a line about its end.
    pub fn last_words(&self, worker: WorkerId) -> Option<String> {
        let entry = self.worker(worker.0)?;
        let running: Vec<String> = entry
            .heartbeat
            .executing
            .iter()
            .filter_map(|&task| Some(self.key(self.tasks.find(task)?).to_string()))
            .collect();
        let (name, address, pid) = (&entry.hello.name, &entry.hello.address, entry.hello.pid);
        let tasks = match running.as_slice() {
            [] => "no task that took long".to_owned(),
            [one, two, three, more @ ..] if !more.is_empty() => {
                format!("{one}, {two}, {three} and {} more", more.len())
            }
            few => few.join(", "),
        };
        Some(format!("worker {name} ({address}, pid {pid}), which last ran {tasks}"))
    }
}
