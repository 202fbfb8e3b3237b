//! Work: from ready to ended.

use std::cmp::Reverse;
use std::sync::Arc;

use weft_scheduler::message::{Digest, FromWorker, Nanos, TaskId, TaskOptions};

use crate::entry::{Data, Stage};
use crate::event::{Action, Execute, ExecutionId, Origin, Outcome};
use crate::machine::Worker;

/// Something on a thread, or that has left the pool of threads.
#[derive(Debug)]
pub(crate) struct Running {
    pub task: TaskId,
    pub run: u32,
    /// Nobody waits for its result.
    pub cancelled: bool,
    pub has_thread: bool,
    pub seceded: bool,
    pub options: Option<Arc<TaskOptions>>,
}

impl Worker {
    pub(crate) fn make_ready(&mut self, task: TaskId) {
        let Some(work) = self.entries.get_mut(&task).and_then(|entry| entry.work.as_mut()) else { return };
        work.stage = Stage::Ready;
        self.ready.push(Reverse((work.priority, task, work.run)));
    }

    /// Puts ready tasks on free threads, the most urgent first.
    pub(crate) fn start_work(&mut self) {
        while self.threads_used < self.config.hello.nthreads.max(1) {
            if let Some(execution) = self.rejoining.pop_first() {
                if let Some(run) = self.running.get_mut(&execution) {
                    run.has_thread = true;
                    self.threads_used += 1;
                    self.actions.push(Action::Rejoin { execution });
                }
                continue;
            }
            if self.paused {
                return;
            }
            let Some(Reverse((priority, task, run))) = self.ready.pop() else { return };
            let current = self.entries.get(&task).and_then(|entry| entry.work.as_ref());
            let Some(work) = current.filter(|work| work.run == run && work.stage == Stage::Ready) else {
                continue;
            };
            if !self.has_resources(work.options.as_deref()) {
                self.blocked.push((priority, task, run));
                continue;
            }
            self.execute(task);
        }
    }

    fn has_resources(&self, options: Option<&TaskOptions>) -> bool {
        options.is_none_or(|options| {
            options.resources.iter().all(|(name, amount)| {
                let free =
                    self.resources.iter().find(|(other, _)| other == name).map_or(0.0, |(_, free)| *free);
                // What it has in all was checked by the scheduler; a rounding error must not stop everything.
                free + 1e-9 >= *amount
            })
        })
    }

    fn use_resources(&mut self, options: Option<&TaskOptions>, sign: f64) {
        for (name, amount) in options.iter().flat_map(|options| &options.resources) {
            if let Some((_, free)) = self.resources.iter_mut().find(|(other, _)| other == name) {
                *free -= sign * amount;
            }
        }
    }

    fn execute(&mut self, task: TaskId) {
        let execution = ExecutionId(self.next_execution);
        let Some(entry) = self.entries.get_mut(&task) else { return };
        let (Some(key), Some(work)) = (entry.key.clone(), entry.work.as_mut()) else { return };
        self.next_execution += 1;
        work.stage = Stage::Executing(execution);
        let options = work.options.clone();
        let (run, inputs) = (work.run, work.inputs.clone());
        let (blob, index, payload) = (work.blob, work.index, work.payload.clone());
        self.use_resources(options.as_deref(), 1.0);
        self.threads_used += 1;
        let (cancelled, has_thread, seceded) = (false, true, false);
        let running = Running { task, run, cancelled, has_thread, seceded, options: options.clone() };
        self.running.insert(execution, running);
        let execute = Execute { execution, task, run, key, blob, index, payload, inputs, options };
        self.actions.push(Action::Execute(Box::new(execute)));
    }

    pub(crate) fn seceded(&mut self, execution: ExecutionId, ran_ns: Nanos) {
        let Some(run) = self.running.get_mut(&execution) else { return };
        if std::mem::take(&mut run.has_thread) {
            self.threads_used -= 1;
        }
        if !std::mem::replace(&mut run.seceded, true) && !run.cancelled {
            let (task, run) = (run.task, run.run);
            self.say(FromWorker::LongRunning { task, run, ran_ns });
        }
    }

    pub(crate) fn executed(
        &mut self,
        execution: ExecutionId,
        outcome: Outcome,
        started_ns: Nanos,
        stopped_ns: Nanos,
    ) {
        let Some(running) = self.running.remove(&execution) else { return };
        self.rejoining.remove(&execution);
        if running.has_thread {
            self.threads_used -= 1;
        }
        self.use_resources(running.options.as_deref(), -1.0);
        for entry in self.blocked.drain(..) {
            self.ready.push(Reverse(entry));
        }
        if running.cancelled {
            return;
        }
        let (task, run) = (running.task, running.run);
        match outcome {
            Outcome::Finished { nbytes, type_name } => {
                self.put(task, Origin::Execution(execution));
                // The data first: an entry without work and data would be forgotten, with its key.
                self.data_arrived(task, nbytes);
                self.remove_work(task);
                self.finish(task, run, nbytes, started_ns, stopped_ns, type_name);
            }
            Outcome::Erred(failure) => {
                self.remove_work(task);
                self.say(FromWorker::Erred { task, run, failure, started_ns, stopped_ns });
            }
            Outcome::Reschedule => {
                self.remove_work(task);
                self.say(FromWorker::Reschedule { task, run });
            }
            Outcome::InputLost { input } => {
                let is_here = self.entries.get(&input).is_some_and(|entry| entry.data == Data::Here);
                if let Some(work) = self.entries.get_mut(&task).and_then(|entry| entry.work.as_mut()) {
                    work.stage = Stage::Waiting;
                }
                if is_here {
                    self.input_gone(input);
                } else if !self.is_missing(task) {
                    self.make_ready(task);
                }
            }
            Outcome::BlobMissing { digest } => {
                if let Some(work) = self.entries.get_mut(&task).and_then(|entry| entry.work.as_mut()) {
                    work.stage = Stage::Waiting;
                }
                let waiting = self.awaiting_blobs.entry(digest).or_default();
                let first = waiting.is_empty();
                waiting.push(task);
                if first {
                    self.say(FromWorker::NeedBlobs { digests: vec![digest] });
                }
            }
        }
    }

    fn is_missing(&self, task: TaskId) -> bool {
        self.entries.get(&task).and_then(|entry| entry.work.as_ref()).is_some_and(|work| work.missing > 0)
    }

    pub(crate) fn blobs_arrived(&mut self, digests: &[Digest]) {
        for digest in digests {
            for task in self.awaiting_blobs.remove(digest).unwrap_or_default() {
                let work = self.entries.get(&task).and_then(|entry| entry.work.as_ref());
                if work.is_some_and(|work| work.stage == Stage::Waiting && work.missing == 0) {
                    self.make_ready(task);
                }
            }
        }
    }

    /// Takes a task's work away; what runs goes on, and its result is thrown away.
    pub(crate) fn remove_work(&mut self, task: TaskId) {
        let Some(work) = self.entries.get_mut(&task).and_then(|entry| entry.work.take()) else { return };
        if let Stage::Executing(execution) = work.stage
            && let Some(run) = self.running.get_mut(&execution)
        {
            run.cancelled = true;
            self.actions.push(Action::Cancel { execution });
        }
        for input in work.inputs {
            if let Some(entry) = self.entries.get_mut(&input) {
                entry.readers.retain(|&reader| reader != task);
                if !entry.is_wanted() {
                    self.stop_wanting(input);
                }
            }
        }
        self.forget_if_idle(task);
    }

    /// Gives a task up if it has not started.
    pub(crate) fn give_up(&mut self, task: TaskId, run: u32) -> bool {
        let work = self.entries.get(&task).and_then(|entry| entry.work.as_ref());
        let free = work.is_some_and(|work| work.run == run && !matches!(work.stage, Stage::Executing(_)));
        if free {
            self.remove_work(task);
        }
        free
    }
}
