//! Threads that the host made, and the tasks they run.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use weft_data::{ErrorKind, Lane, TaskError, Value};
use weft_exec::{Gate, Inside};
use weft_worker::{Event, Execute, ExecutionId, Outcome};

use super::data::Stored;
use super::serve::Errand;
use super::{Shared, Values, WorkerServer};
use crate::{Program, Task};

/// How long a thread stays inside the host's lock: long against the cost of leaving, short against what
/// people notice.
const QUANTUM: Duration = Duration::from_millis(5);

/// A task, and the inputs that it was promised; `None`: one that has vanished.
pub(super) struct Job {
    pub(super) execute: Box<Execute>,
    pub(super) inputs: Vec<Option<Stored>>,
}

/// Tasks for threads, errands for the threads that run no tasks, and values to be dropped.
pub(super) struct Queue {
    state: Mutex<State>,
    jobs: Condvar,
    errands: Condvar,
    actors: Condvar,
    rejoin: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    errands: VecDeque<Errand>,
    /// Calls to actors have threads of their own: a method may wait for whatever it likes.
    actor_calls: VecDeque<Errand>,
    garbage: Vec<Stored>,
    /// Threads that serve tasks, without those that have seceded.
    threads: usize,
    wanted: usize,
    rejoined: Vec<ExecutionId>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(wanted: usize) -> Queue {
        Queue {
            state: Mutex::new(State { wanted, ..State::default() }),
            jobs: Condvar::new(),
            errands: Condvar::new(),
            actors: Condvar::new(),
            rejoin: Condvar::new(),
        }
    }

    pub(super) fn push(&self, job: Job) {
        self.state.lock().jobs.push_back(job);
        self.jobs.notify_one();
    }

    pub(super) fn errand(&self, errand: Errand) {
        self.state.lock().errands.push_back(errand);
        self.errands.notify_one();
    }

    pub(super) fn actor_call(&self, errand: Errand) {
        self.state.lock().actor_calls.push_back(errand);
        self.actors.notify_one();
    }

    /// Values whose end may run the host's code: a thread of the host's drops them.
    pub(super) fn discard(&self, garbage: Vec<Stored>) {
        let matters = garbage.iter().any(|stored| !matches!(stored, Stored::Encoded(_)));
        if matters {
            self.state.lock().garbage.extend(garbage);
            self.errands.notify_one();
        }
    }

    pub(super) fn rejoined(&self, execution: ExecutionId) {
        self.state.lock().rejoined.push(execution);
        self.rejoin.notify_all();
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.jobs.notify_all();
        self.errands.notify_all();
        self.actors.notify_all();
        self.rejoin.notify_all();
    }

    /// Waits until there is a task; false: this thread is to leave.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        loop {
            if state.closed || state.threads > state.wanted {
                state.threads -= 1;
                return false;
            }
            if !state.jobs.is_empty() {
                return true;
            }
            self.jobs.wait(&mut state);
        }
    }

    fn take(&self) -> Option<Job> {
        let mut state = self.state.lock();
        if state.closed || state.threads > state.wanted { None } else { state.jobs.pop_front() }
    }
}

thread_local! {
    /// Whether the task that runs here has left the pool, and its thread with it.
    static SECEDED: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// What a thread that runs a task knows about it.
#[derive(Clone)]
pub struct Place {
    worker: WorkerServer,
    pub task: Arc<Task>,
    execution: ExecutionId,
    started: Instant,
}

impl Place {
    /// The task that this thread runs.
    pub fn current() -> Option<Place> {
        PLACE.with_borrow(Clone::clone)
    }

    pub fn worker(&self) -> &WorkerServer {
        &self.worker
    }

    /// Leaves the pool: the task goes on running, and another thread may take the place, for which the
    /// host must make one that calls [`WorkerServer::serve`].
    /// False: it has left already.
    pub fn secede(&self) -> bool {
        if SECEDED.replace(true) {
            return false;
        }
        let shared = &self.worker.0;
        shared.queue.state.lock().threads -= 1;
        let ran_ns = self.started.elapsed().as_nanos() as u64;
        shared.feed(Event::Seceded { execution: self.execution, ran_ns }, Values::None, true);
        true
    }

    /// Waits for a place among the threads again. The thread that took its place leaves.
    pub fn rejoin(&self) {
        if !SECEDED.get() {
            return;
        }
        let shared = &self.worker.0;
        shared.feed(Event::Rejoin { execution: self.execution }, Values::None, true);
        let mut state = shared.queue.state.lock();
        loop {
            if let Some(at) = state.rejoined.iter().position(|at| *at == self.execution) {
                state.rejoined.swap_remove(at);
                state.threads += 1;
                break;
            }
            if state.closed {
                break;
            }
            shared.queue.rejoin.wait(&mut state);
        }
        SECEDED.set(false);
        drop(state);
        shared.queue.jobs.notify_all();
    }
}

impl WorkerServer {
    /// Runs tasks from this thread until the worker closes or has threads to spare.
    pub fn serve(&self, gate: &mut dyn Gate) {
        self.0.queue.state.lock().threads += 1;
        while self.0.queue.wait() {
            gate.inside(&None, &mut |inside| {
                let entered = Instant::now();
                while let Some(job) = self.0.queue.take() {
                    self.execute(job, inside);
                    if entered.elapsed() > QUANTUM {
                        break;
                    }
                }
            });
        }
    }

    /// Runs errands (writing results for peers, functions of clients) from this thread until the worker closes.
    pub fn serve_errands(&self, gate: &mut dyn Gate) {
        let queue = &self.0.queue;
        loop {
            let (errands, garbage) = {
                let mut state = queue.state.lock();
                while state.errands.is_empty() && state.garbage.is_empty() && !state.closed {
                    queue.errands.wait(&mut state);
                }
                if state.closed && state.errands.is_empty() {
                    return;
                }
                (state.errands.pop_front(), std::mem::take(&mut state.garbage))
            };
            let mut work = Some((errands, garbage));
            gate.inside(&None, &mut |_| {
                if let Some((errand, garbage)) = work.take() {
                    drop(garbage);
                    if let Some(errand) = errand {
                        errand.run(&self.0);
                    }
                }
            });
        }
    }

    /// Runs calls to actors from this thread until the worker closes.
    pub fn serve_actors(&self, gate: &mut dyn Gate) {
        let queue = &self.0.queue;
        loop {
            let mut next = {
                let mut state = queue.state.lock();
                while state.actor_calls.is_empty() && !state.closed {
                    queue.actors.wait(&mut state);
                }
                if state.closed {
                    return;
                }
                state.actor_calls.pop_front()
            };
            gate.inside(&None, &mut |_| {
                if let Some(errand) = next.take() {
                    errand.run(&self.0);
                }
            });
        }
    }

    fn execute(&self, job: Job, inside: &mut dyn Inside) {
        let started = Instant::now();
        let started_ns = self.0.now();
        let execution = job.execute.execution;
        let done = self.0.run(job, inside, |task| {
            PLACE.replace(Some(Place { worker: self.clone(), task, execution, started }))
        });
        PLACE.replace(None);
        if SECEDED.replace(false) {
            // One too many, unless somebody has left meanwhile.
            self.0.queue.state.lock().threads += 1;
        }
        let (outcome, values) = match done {
            Done::Value(stored, nbytes, type_name) => {
                (Outcome::Finished { nbytes, type_name }, Values::Executed(stored))
            }
            Done::Not(outcome) => (outcome, Values::None),
        };
        let event = Event::Executed { execution, outcome, started_ns, stopped_ns: self.0.now() };
        // After a long task somebody waits; after a short one the next may follow at once.
        self.0.feed(event, values, started.elapsed() > super::FLUSH);
        if self.0.queue.state.lock().jobs.is_empty() {
            let mut machine = self.0.machine.lock();
            self.0.send(&mut machine);
        }
    }
}

/// How a task ended here.
enum Done {
    Value(Stored, u64, Arc<str>),
    Not(Outcome),
}

impl Shared {
    fn run(
        self: &Arc<Self>,
        job: Job,
        inside: &mut dyn Inside,
        enter: impl FnOnce(Arc<Task>) -> Option<Place>,
    ) -> Done {
        let Job { execute, inputs: stored } = job;
        let program = match self.program(&execute) {
            Ok(Some(program)) => program,
            Ok(None) => {
                // A task without a blob always has a program.
                let missing = execute.blob.map(|digest| Outcome::BlobMissing { digest });
                return Done::Not(missing.unwrap_or(Outcome::Reschedule));
            }
            Err(error) => return Done::Not(self.erred(&error)),
        };
        let mut inputs: Vec<Value> = Vec::with_capacity(stored.len());
        for (&input, stored) in execute.inputs.iter().zip(stored) {
            let Some(stored) = stored else { return Done::Not(Outcome::InputLost { input }) };
            let spilled = matches!(stored, Stored::Kept(_) | Stored::Unread(_));
            match self.data.read(&*self.host, input, stored) {
                Ok(value) => inputs.push(value),
                // A file that cannot be read back: the result must be made again.
                Err(_) if spilled => {
                    self.data.remove(input);
                    return Done::Not(Outcome::InputLost { input });
                }
                Err(error) => return Done::Not(self.erred(&error)),
            }
        }
        let Execute { task, run, key, index, payload, options, .. } = *execute;
        let task = Arc::new(Task { task, run, key, index, payload, options });
        enter(task.clone());
        let mut result = None;
        let mut call = || {
            let run = catch_unwind(AssertUnwindSafe(|| program.run(&task, &mut inputs)));
            result = Some(run.unwrap_or_else(|panic| {
                let message = format!("a kernel panicked: {}", said(&*panic));
                Err(TaskError::native(ErrorKind::Runtime, message))
            }));
        };
        match program.lane(&task) {
            Lane::Host => call(),
            Lane::Native => inside.outside(&mut call),
        }
        let kept = match result {
            Some(Ok(value)) => {
                let type_name = self.host.type_name(&value);
                // Errors about files on disk name it by what it does.
                let what = task.key.prefix().into();
                self.data.keep(&*self.host, value, what).map(|(stored, n)| Done::Value(stored, n, type_name))
            }
            Some(Err(error)) => return Done::Not(self.erred(&error)),
            // `outside` calls what it is given.
            None => return Done::Not(Outcome::Reschedule),
        };
        kept.unwrap_or_else(|error| Done::Not(self.erred(&error.into())))
    }

    fn erred(&self, error: &TaskError) -> Outcome {
        match self.host.failure(error) {
            Some(failure) => Outcome::Erred(failure),
            None => Outcome::Reschedule,
        }
    }

    /// The program that a task names; `None`: its blob is missing.
    fn program(&self, job: &Execute) -> Result<Option<Arc<dyn Program>>, TaskError> {
        if let Some(program) = self.programs.lock().get(&job.blob) {
            return Ok(Some(program.clone()));
        }
        let blob = match job.blob {
            None => None,
            Some(digest) => match self.blobs.lock().get(&digest).cloned() {
                Some(blob) => Some(blob),
                None => return Ok(None),
            },
        };
        let program = self.host.program(blob.as_ref())?;
        self.programs.lock().insert(job.blob, program.clone());
        Ok(Some(program))
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
