//! One computation on the threads of this process.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use smallvec::SmallVec;
use weft_data::{Again, DataError, ErrorKind, NEVER, Store, TaskError, Value, WorkRef};
use weft_graph::{Expanded, TaskId};

use crate::plan::{Kind, Plan};
use crate::pool::WeakPool;
use crate::state::{Garbage, Input, Job, Slot, State};
use crate::{Gate, Host, Inside, PlanError};

/// Results smaller than this stay out of the store: accounting for them would cost more than
/// running the task that made them.
const SMALL_BYTES: usize = 4096;

/// Tasks that read at least so much have room kept for what they make: as much again, which is what most tasks on
/// chunks and partitions make at most. A task that reads nothing is expected to make what the largest such one made.
const RESERVED_BYTES: usize = 1 << 16;

/// How long a thread stays inside the host's lock, or with one run while others wait: long
/// against the cost of leaving, short against what people notice.
const QUANTUM: Duration = Duration::from_millis(5);

#[derive(Clone, Debug)]
pub struct RunOptions {
    /// At most this many tasks of the run are under way at a time.
    pub concurrency: usize,
    /// Record [`Event`]s.
    pub events: bool,
    /// Ready tasks wait for [`Run::admit`] and [`Run::start`], so that somebody can do something
    /// before each.
    pub manual: bool,
    /// Where results wait.
    pub store: Store,
    /// Handed to the gate with each batch of host tasks.
    pub host: Host,
}

impl RunOptions {
    pub fn new(concurrency: usize) -> RunOptions {
        RunOptions { concurrency, events: false, manual: false, store: Store::unlimited(), host: None }
    }
}

/// What happened to a task, in order; for progress bars, profilers and callbacks.
#[derive(Clone, Debug)]
pub enum Event {
    Started { task: TaskId, thread: u64, seconds: f64 },
    Finished { task: TaskId, thread: u64, seconds: f64, value: Option<Value>, nbytes: usize },
    Failed { task: TaskId, thread: u64, seconds: f64 },
}

/// Why a run ended without an answer.
#[derive(Clone, Debug)]
pub enum Stop {
    /// A task failed; no task starts after that.
    Failed {
        task: TaskId,
        error: TaskError,
    },
    Cancelled,
}

/// One computation. Cheap to share between threads.
#[derive(Clone, Debug)]
pub struct Run(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    plan: Plan,
    options: RunOptions,
    began: Instant,
    state: Mutex<State>,
    /// Wakes threads that serve this run alone.
    ready: Condvar,
    /// Wakes whoever waits for the end, or for events.
    news: Condvar,
    /// Bytes of the largest result of a task that reads nothing.
    largest_root: AtomicUsize,
    /// The pool that helps, if any.
    pub(crate) pool: OnceLock<WeakPool>,
    /// Runs that tasks of this run wait for: they end with it.
    children: Mutex<Vec<Weak<Shared>>>,
}

thread_local! {
    /// The runs that this thread serves, the innermost last.
    static SERVING: RefCell<Vec<Run>> = const { RefCell::new(Vec::new()) };
}

impl Run {
    /// Prepares a run: checks that it can end, orders the tasks, and queues those that depend on
    /// nothing.
    ///
    /// A run prepared by a task is *nested* in the run of that task and is cancelled with it.
    pub fn new(tasks: Arc<Expanded<WorkRef>>, options: RunOptions) -> Result<Run, PlanError> {
        let plan = Plan::new(tasks)?;
        if Run::current().is_none() {
            options.store.begin();
        }
        let state = State::new(&plan, options.concurrency, options.manual);
        let run = Run(Arc::new(Shared {
            plan,
            options,
            began: Instant::now(),
            state: Mutex::new(state),
            ready: Condvar::new(),
            news: Condvar::new(),
            largest_root: AtomicUsize::new(0),
            pool: OnceLock::new(),
            children: Mutex::default(),
        }));
        if let Some(parent) = Run::current() {
            parent.adopt(&run);
        }
        Ok(run)
    }

    /// The run whose task this thread is running.
    pub fn current() -> Option<Run> {
        SERVING.with_borrow(|serving| serving.last().cloned())
    }

    /// In the child of a fork: this thread serves nothing. What it served is left as it is, with the
    /// locks that other threads held at that moment.
    pub fn forget_serving() {
        std::mem::forget(SERVING.take());
    }

    fn adopt(&self, child: &Run) {
        let mut children = self.0.children.lock();
        children.retain(|c| c.strong_count() > 0);
        children.push(Arc::downgrade(&child.0));
        drop(children);
        // Cancelled between the child's making and now: nobody else would tell it.
        if self.is_over() {
            child.cancel();
        }
    }

    /// Number of tasks to run.
    pub fn len(&self) -> usize {
        self.0.plan.len
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn tasks(&self) -> &Arc<Expanded<WorkRef>> {
        &self.0.plan.tasks
    }

    /// Tasks to run, first to last in the static order; aliases are not among them.
    pub fn in_order(&self) -> Vec<TaskId> {
        self.0.plan.in_order().collect()
    }

    /// What `task` reads, with aliases replaced by what they stand for.
    pub fn inputs(&self, task: TaskId) -> &[TaskId] {
        self.0.plan.inputs(task)
    }

    pub fn concurrency(&self) -> usize {
        self.0.options.concurrency.max(1)
    }

    /// How many tasks are under way.
    pub fn running(&self) -> usize {
        self.0.state.lock().running()
    }

    /// Number of tasks that have not ended.
    pub fn left(&self) -> usize {
        self.0.state.lock().left
    }

    /// `running` as a number that goes on counting while the run itself is let go.
    pub(crate) fn running_counter(&self) -> Arc<AtomicUsize> {
        self.0.state.lock().running.clone()
    }

    pub fn is_over(&self) -> bool {
        self.0.state.lock().over
    }

    /// Whether one more thread would find something to do.
    pub(crate) fn wants(&self) -> bool {
        self.0.state.lock().next_kind().is_some()
    }

    /// Serves the run from this thread until it is over. The thread sleeps while others run what is
    /// left.
    pub fn serve(&self, gate: &mut dyn Gate) {
        loop {
            self.work(gate, false);
            let mut state = self.0.state.lock();
            if state.over {
                return;
            }
            if state.next_kind().is_none() {
                state.bound_idle += 1;
                self.0.ready.wait(&mut state);
                // Whoever called has counted this thread out of the idle and into the waking.
                state.waking = state.waking.saturating_sub(1);
            }
        }
    }

    /// Serves the run from this thread for as long as there is something to do now.
    pub fn work_ready(&self, gate: &mut dyn Gate) {
        self.work(gate, false);
    }

    /// Serves the run from this thread for as long as there is something to do now, and for a
    /// while only if other runs wait for threads. `called`: because [`Run::call`] asked for it.
    pub(crate) fn work(&self, gate: &mut dyn Gate, called: bool) {
        let _serving = Serving::new(self);
        let thread = gate.thread();
        let until = Instant::now() + QUANTUM;
        if called {
            let mut state = self.0.state.lock();
            state.waking = state.waking.saturating_sub(1);
        }
        loop {
            let mut state = self.0.state.lock();
            match state.next_kind() {
                None => return,
                Some(Kind::Native) => {
                    let job = state.take(&self.0.plan, Kind::Native, &self.0.options.store);
                    let call = self.wants_call(&mut state);
                    drop(state);
                    self.call(call);
                    if let Some(job) = job {
                        self.run_job(job, thread, &mut |work| work());
                    }
                }
                Some(_) => {
                    state.entering = true;
                    drop(state);
                    gate.inside(&self.0.options.host, &mut |inside| self.batch(inside, thread));
                    // Normally the batch has done this; a gate that failed has not run it.
                    self.0.state.lock().entering = false;
                }
            }
            if gate.interrupted() {
                self.cancel();
                return;
            }
            if self.0.pool.get().is_some_and(WeakPool::is_shared) && Instant::now() > until {
                // Other runs get their turn; who stays behind hears that there is work here.
                let call = self.wants_call(&mut self.0.state.lock());
                self.call(call);
                return;
            }
        }
    }

    /// Lets go of the run. Whoever is the last to do so frees the objects of its tasks, and does it inside: the host
    /// keeps a list, behind a lock, of what was let go outside, and a process that is forked meanwhile
    /// would find that lock taken for ever.
    pub(crate) fn leave(self, gate: &mut dyn Gate) {
        let host = self.0.options.host.clone();
        if let Some(shared) = Arc::into_inner(self.0) {
            let mut shared = Some(shared);
            gate.inside(&host, &mut |_| drop(shared.take()));
        }
    }

    /// Host tasks one after the other, while the thread is inside.
    fn batch(&self, inside: &mut dyn Inside, thread: u64) {
        let until = Instant::now() + QUANTUM;
        self.0.state.lock().entering = false;
        loop {
            let mut state = self.0.state.lock();
            let job = state.take(&self.0.plan, Kind::Host, &self.0.options.store);
            let call = self.wants_call(&mut state);
            drop(state);
            self.call(call);
            let Some(job) = job else { return };
            self.run_job(job, thread, &mut |work| inside.outside(work));
            if !inside.proceed() || Instant::now() > until {
                return;
            }
        }
    }

    /// Runs one task and books its result. `outside` runs something without the host's lock.
    fn run_job(&self, job: Job, thread: u64, outside: &mut dyn FnMut(&mut (dyn FnMut() + Send))) {
        let shared = &*self.0;
        let Job { task, frees, shares, nbytes, inputs: sources } = job;
        let is_root = sources.is_empty();
        let expected = if is_root { shared.largest_root.load(Ordering::Relaxed) } else { nbytes };
        let reservation = (expected >= RESERVED_BYTES).then(|| shared.options.store.reserve(expected));
        if reservation.is_some() && shared.options.store.is_full() {
            self.make_room(task, outside);
        }
        let events = shared.options.events;
        if events {
            self.record(Event::Started { task, thread, seconds: self.seconds() });
        }
        let mut inputs = SmallVec::<[Value; 4]>::with_capacity(sources.len());
        let result = fetch(sources, &mut inputs, outside).and_then(|()| {
            let (work, index) = shared.plan.tasks.work(task);
            catch_unwind(AssertUnwindSafe(|| work.run(index, &mut inputs)))
                .unwrap_or_else(|panic| Err(self.panicked(task, &*panic)))
        });
        drop(inputs);
        drop(reservation);
        let result = result.map(|value| {
            let nbytes = value.nbytes();
            if is_root {
                shared.largest_root.fetch_max(nbytes, Ordering::Relaxed);
            }
            let event = events.then(|| Event::Finished {
                task,
                thread,
                seconds: self.seconds(),
                value: Some(value.clone()),
                nbytes,
            });
            (self.keep(task, value, nbytes), event)
        });
        let stored = matches!(&result, Ok((Slot::Stored { .. }, _)));
        let (result, event) = match result {
            Ok((slot, event)) => (Ok(slot), event),
            Err(error) => {
                let event = events.then(|| Event::Failed { task, thread, seconds: self.seconds() });
                (Err(error), event)
            }
        };
        let mut state = shared.state.lock();
        state.events.extend(event);
        let garbage = state.finish(&shared.plan, task, frees, result);
        let moved = if shares { state.next_readers(&shared.plan, task) } else { SmallVec::new() };
        let over = state.over;
        drop(state);
        drop(garbage);
        for (ticket, need) in moved {
            ticket.set_need(need);
        }
        if over {
            self.announce_end();
        } else if events {
            shared.news.notify_all();
        }
        if stored {
            shared.options.store.measure();
            if shared.options.store.is_full() {
                self.make_room(task, outside);
            }
        }
    }

    /// Spills until the rest fits; if that fails, the run ends with the reason.
    fn make_room(&self, task: TaskId, outside: &mut dyn FnMut(&mut (dyn FnMut() + Send))) {
        let mut result = Ok(());
        outside(&mut || result = self.0.options.store.make_room());
        if let Err(error) = result {
            self.end(Stop::Failed { task, error: error.into() });
        }
    }

    fn keep(&self, task: TaskId, value: Value, nbytes: usize) -> Slot {
        if nbytes < SMALL_BYTES {
            return Slot::Small(value);
        }
        let plan = &self.0.plan;
        let need = plan.readers(task).first().map_or(NEVER, |&reader| u64::from(plan.place(reader)));
        let what: Arc<str> = plan.tasks.key(task).to_string().into();
        let store = &self.0.options.store;
        let (work, index) = plan.tasks.work(task);
        let cheap = store.limit() != usize::MAX && plan.inputs(task).is_empty() && work.is_cheap();
        let again = cheap.then(|| -> Again {
            let work = work.clone();
            Arc::new(move || work.run(index, &mut []))
        });
        Slot::Stored { ticket: Arc::new(store.put_cheap(value, need, what, again)), nbytes }
    }

    fn panicked(&self, task: TaskId, panic: &(dyn Any + Send)) -> TaskError {
        let reason = panic
            .downcast_ref::<&str>()
            .map(|text| text.to_string())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no reason given".into());
        let key = self.0.plan.tasks.key(task);
        TaskError::native(
            ErrorKind::Runtime,
            format!("the task {key} panicked: {reason}. This is a bug in weft; please report it"),
        )
    }

    fn seconds(&self) -> f64 {
        self.0.began.elapsed().as_secs_f64()
    }

    fn record(&self, event: Event) {
        self.0.state.lock().events.push(event);
    }

    /// Whether another thread is worth calling, and can be; if so it counts as on its way.
    fn wants_call(&self, state: &mut State) -> Option<Callee> {
        // One at a time: whoever arrives calls the next. So tiny tasks wake nobody in vain.
        if state.waking > 0 || state.next_kind().is_none() {
            return None;
        }
        if state.bound_idle > 0 {
            state.bound_idle -= 1;
            state.waking += 1;
            return Some(Callee::Bound);
        }
        if self.0.pool.get().is_some_and(WeakPool::has_idle) {
            state.waking += 1;
            return Some(Callee::Pool);
        }
        None
    }

    fn call(&self, mut callee: Option<Callee>) {
        while let Some(called) = callee {
            match called {
                Callee::Bound => {
                    self.0.ready.notify_one();
                    return;
                }
                Callee::Pool if self.0.pool.get().is_some_and(|pool| pool.call(self)) => return,
                // Another run was faster. Somebody may have refrained from calling because we were
                // about to, so look again.
                Callee::Pool => {
                    let mut state = self.0.state.lock();
                    state.waking = state.waking.saturating_sub(1);
                    callee = self.wants_call(&mut state);
                }
            }
        }
    }

    /// Calls a first thread.
    pub(crate) fn rouse(&self) {
        let call = self.wants_call(&mut self.0.state.lock());
        self.call(call);
    }

    fn announce_end(&self) {
        self.0.ready.notify_all();
        self.0.news.notify_all();
        let children = std::mem::take(&mut *self.0.children.lock());
        for child in children.iter().filter_map(Weak::upgrade) {
            Run(child).cancel();
        }
    }

    fn end(&self, stop: Stop) {
        let garbage: Garbage = self.0.state.lock().end(stop);
        self.announce_end();
        drop(garbage);
    }

    /// Waits until the run is over or `timeout` has passed; true if it is over.
    pub fn wait(&self, timeout: Duration) -> bool {
        let mut state = self.0.state.lock();
        if !state.over {
            self.0.news.wait_while_for(&mut state, |state| !state.over, timeout);
        }
        state.over
    }

    /// Waits until the run is over, there are events, or `timeout` has passed; true if it is over.
    pub fn wait_for_events(&self, timeout: Duration) -> bool {
        let mut state = self.0.state.lock();
        if !state.over && state.events.is_empty() {
            self.0.news.wait_while_for(&mut state, |state| !state.over && state.events.is_empty(), timeout);
        }
        state.over
    }

    /// Events since the last call, in the order in which they happened.
    pub fn events(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.state.lock().events)
    }

    /// With manual admission: takes the first ready task off the list.
    pub fn admit(&self) -> Option<TaskId> {
        self.0.state.lock().admit(&self.0.plan)
    }

    /// With manual admission: lets an admitted task run.
    pub fn start(&self, task: TaskId) {
        let call = {
            let mut state = self.0.state.lock();
            state.start(&self.0.plan, task);
            self.wants_call(&mut state)
        };
        self.call(call);
    }

    /// No task starts after this; those that are running finish unobserved.
    pub fn cancel(&self) {
        self.end(Stop::Cancelled);
    }

    /// The outputs, once the run is over. They are handed over: a second call has nothing to give.
    pub fn outputs(&self) -> Result<Vec<Value>, Stop> {
        let slots: Vec<(TaskId, Slot)> = {
            let mut state = self.0.state.lock();
            // Handed over too: the host's exception may hold, in its traceback, what holds this run.
            if let Some(stop) = state.stop.take() {
                state.stop = Some(Stop::Cancelled);
                return Err(stop);
            }
            if !state.over {
                return Err(Stop::Cancelled);
            }
            state.stop = Some(Stop::Cancelled);
            self.0.plan.outputs.iter().map(|&task| (task, state.output(task))).collect()
        };
        let failed = |task, error: DataError| Stop::Failed { task, error: error.into() };
        slots
            .into_iter()
            .map(|(task, slot)| match slot {
                Slot::Small(value) => Ok(value),
                // The same output asked for twice is one value.
                Slot::Stored { ticket, .. } => ticket.get().map_err(|error| failed(task, error)),
                Slot::Empty => Err(Stop::Cancelled),
            })
            .collect()
    }
}

enum Callee {
    Bound,
    Pool,
}

/// Gets the inputs of a task; what is on disk without the host's lock.
fn fetch(
    from: SmallVec<[Input; 4]>,
    to: &mut SmallVec<[Value; 4]>,
    outside: &mut dyn FnMut(&mut (dyn FnMut() + Send)),
) -> Result<(), TaskError> {
    for input in from {
        to.push(match input {
            Input::Value(value) => value,
            Input::Get(ticket) if ticket.is_in_memory() => ticket.get()?,
            Input::Take(ticket) if ticket.is_in_memory() => ticket.take()?,
            Input::Get(ticket) => {
                let mut value = None;
                outside(&mut || value = Some(ticket.get()));
                value.unwrap_or_else(|| ticket.get())?
            }
            Input::Take(ticket) => {
                let mut value = None;
                outside(&mut || value = Some(ticket.take()));
                value.unwrap_or_else(|| ticket.take())?
            }
            Input::Missing => {
                return Err(TaskError::native(
                    ErrorKind::Runtime,
                    "an input was released before it was read",
                ));
            }
        });
    }
    Ok(())
}

/// Marks a run as the one this thread serves.
struct Serving;

impl Serving {
    fn new(run: &Run) -> Serving {
        SERVING.with_borrow_mut(|serving| serving.push(run.clone()));
        Serving
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The run is dropped after the borrow ends: its values may run the host's code.
        let _run = SERVING.with_borrow_mut(|serving| serving.pop());
    }
}
