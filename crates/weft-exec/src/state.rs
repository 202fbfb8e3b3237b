//! What changes while a run runs: a plain state machine under the run's lock.
//!
//! Nothing in here calls the host, waits, or drops a value: what is to be dropped is handed out.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use smallvec::SmallVec;
use weft_data::{Store, TaskError, Ticket, Value};
use weft_graph::TaskId;

use crate::plan::{Kind, Plan};
use crate::{Event, Stop};

/// Where a result waits for its readers.
#[derive(Debug, Default)]
pub(crate) enum Slot {
    #[default]
    Empty,
    /// Too small to be worth accounting for.
    Small(Value),
    Stored {
        ticket: Arc<Ticket>,
        nbytes: usize,
    },
}

/// An input of a task about to run, to be fetched outside the lock.
#[derive(Debug)]
pub(crate) enum Input {
    Value(Value),
    Get(Arc<Ticket>),
    /// The same for its last reader, who gets it for himself.
    Take(Arc<Ticket>),
    /// Cannot happen: a task runs once all its inputs have, and a result stays until its last reader
    /// has ended. Turned into an error where it would be read.
    Missing,
}

/// A task that a thread has taken on.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) task: TaskId,
    pub(crate) inputs: SmallVec<[Input; 4]>,
    /// Bytes of its inputs, without the small ones.
    pub(crate) nbytes: usize,
    /// Whether memory is freed when it ends.
    pub(crate) frees: bool,
    /// Whether it reads large results that others will read too.
    pub(crate) shares: bool,
}

/// What is on its way out; dropped by whoever called, after the lock: the host's destructors may run any code.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    slots: SmallVec<[Slot; 4]>,
    /// Why a run failed that was over already.
    #[expect(dead_code, reason = "only to be dropped later")]
    unheard: Option<Stop>,
}

/// Places in the order of tasks, the first on top.
type Heap = BinaryHeap<Reverse<u32>>;

#[derive(Debug)]
pub(crate) struct State {
    slots: Vec<Slot>,
    /// Inputs that each task still waits for, and readers that each result still waits for.
    waiting: Vec<u32>,
    unread: Vec<u32>,
    host: Heap,
    native: Heap,
    /// With manual admission: ready tasks that nobody has admitted.
    held: Heap,
    /// Tasks under way. Changed under the lock; read without it by a pool that has let the run go.
    pub(crate) running: Arc<AtomicUsize>,
    /// Running tasks that free memory when they end.
    freeing: usize,
    /// Ready tasks were passed over because memory is tight; until some task ends.
    withheld: bool,
    pub(crate) left: usize,
    pub(crate) stop: Option<Stop>,
    pub(crate) over: bool,
    pub(crate) events: Vec<Event>,
    /// A thread is on its way into the host's lock for this run.
    pub(crate) entering: bool,
    /// Threads that were called and have not arrived; threads that wait on this run alone.
    pub(crate) waking: usize,
    pub(crate) bound_idle: usize,
    concurrency: usize,
    manual: bool,
}

/// When memory is tight, the best of so many ready tasks is started.
const LOOK_AHEAD: usize = 8;

impl State {
    pub(crate) fn new(plan: &Plan, concurrency: usize, manual: bool) -> State {
        let n = plan.places.len();
        let mut state = State {
            slots: Vec::new(),
            waiting: vec![0; n],
            unread: vec![0; n],
            host: Heap::new(),
            native: Heap::new(),
            held: Heap::new(),
            running: Arc::default(),
            freeing: 0,
            withheld: false,
            left: plan.len,
            stop: None,
            over: plan.len == 0,
            events: Vec::new(),
            entering: false,
            waking: 0,
            bound_idle: 0,
            concurrency: concurrency.max(1),
            manual,
        };
        state.slots.resize_with(n, Slot::default);
        for task in plan.in_order() {
            state.waiting[task.index()] = plan.inputs(task).len() as u32;
            state.unread[task.index()] = plan.readers(task).len() as u32;
        }
        // The caller reads the outputs, as often as it asked for them.
        for output in &plan.outputs {
            state.unread[output.index()] += 1;
        }
        for task in plan.in_order() {
            if state.waiting[task.index()] == 0 {
                state.push_ready(plan, task);
            }
        }
        state
    }

    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    fn push_ready(&mut self, plan: &Plan, task: TaskId) {
        if self.manual {
            self.held.push(Reverse(plan.place(task)));
        } else {
            self.push_runnable(plan, task);
        }
    }

    fn push_runnable(&mut self, plan: &Plan, task: TaskId) {
        match plan.kind(task) {
            Kind::Native => self.native.push(Reverse(plan.place(task))),
            _ => self.host.push(Reverse(plan.place(task))),
        }
    }

    /// With manual admission: takes the first ready task off the list.
    pub(crate) fn admit(&mut self, plan: &Plan) -> Option<TaskId> {
        if self.over {
            return None;
        }
        self.held.pop().map(|Reverse(place)| plan.at(place))
    }

    /// Makes an admitted task runnable.
    pub(crate) fn start(&mut self, plan: &Plan, task: TaskId) {
        if !self.over {
            self.push_runnable(plan, task);
        }
    }

    /// Where the next task would run; `None` if this thread can do nothing now.
    ///
    /// A host task needs the host's lock, for which one thread at a time queues: more would only
    /// stand there. Whoever gets in calls the next.
    pub(crate) fn next_kind(&self) -> Option<Kind> {
        if self.over || self.withheld || self.running() >= self.concurrency {
            return None;
        }
        let host = if self.entering { None } else { self.host.peek() };
        match (host, self.native.peek()) {
            (None, None) => None,
            (Some(_), None) => Some(Kind::Host),
            (None, Some(_)) => Some(Kind::Native),
            // Reverse: the greater one is first in the order.
            (Some(host), Some(native)) => Some(if host > native { Kind::Host } else { Kind::Native }),
        }
    }

    /// Takes on the next task of `kind`, if it is the next at all.
    pub(crate) fn take(&mut self, plan: &Plan, kind: Kind, store: &Store) -> Option<Job> {
        if self.next_kind()? != kind {
            return None;
        }
        // One task of each run goes on whatever happens, so that the run comes to an end.
        if self.running() > 0 && store.is_strained() {
            self.withheld = true;
            return None;
        }
        let place = if store.is_tight() { self.pop_freeing(plan, kind)? } else { self.heap(kind).pop()?.0 };
        let task = plan.at(place);
        let (mut frees, mut shares, mut total) = (false, false, 0);
        let inputs = plan.inputs(task).iter().map(|input| {
            let i = input.index();
            let last = self.unread[i] == 1;
            match &mut self.slots[i] {
                Slot::Small(value) if !last => Input::Value(value.clone()),
                Slot::Stored { ticket, nbytes } if !last => {
                    total += *nbytes;
                    shares = true;
                    Input::Get(ticket.clone())
                }
                Slot::Stored { ticket, nbytes } => {
                    total += *nbytes;
                    frees = true;
                    Input::Take(ticket.clone())
                }
                slot => match mem::take(slot) {
                    Slot::Small(value) => Input::Value(value),
                    _ => Input::Missing,
                },
            }
        });
        let inputs = inputs.collect();
        self.running.fetch_add(1, Ordering::Relaxed);
        self.freeing += usize::from(frees);
        Some(Job { task, inputs, nbytes: total, frees, shares })
    }

    fn heap(&mut self, kind: Kind) -> &mut Heap {
        match kind {
            Kind::Native => &mut self.native,
            _ => &mut self.host,
        }
    }

    /// When memory is tight: of the next few, the task that frees most. A task that frees nothing
    /// waits while one that does is running.
    fn pop_freeing(&mut self, plan: &Plan, kind: Kind) -> Option<u32> {
        let mut candidates: SmallVec<[u32; LOOK_AHEAD]> = SmallVec::new();
        while candidates.len() < LOOK_AHEAD {
            match self.heap(kind).pop() {
                Some(Reverse(place)) => candidates.push(place),
                None => break,
            }
        }
        let freed = |place: u32| -> usize {
            let bytes = |input: &TaskId| match &self.slots[input.index()] {
                Slot::Stored { nbytes, .. } if self.unread[input.index()] == 1 => *nbytes,
                _ => 0,
            };
            plan.inputs(plan.at(place)).iter().map(bytes).sum()
        };
        // Of equals the first in the order, which is the last that max_by_key sees in reverse.
        let (best, freed) =
            candidates.iter().enumerate().rev().map(|(i, &place)| (i, freed(place))).max_by_key(|c| c.1)?;
        let chosen = (freed > 0 || self.freeing == 0).then(|| candidates.remove(best));
        self.withheld = chosen.is_none();
        self.heap(kind).extend(candidates.into_iter().map(Reverse));
        chosen
    }

    /// A task has ended: keeps its result, releases what nobody needs any more, and finds what is
    /// ready now.
    pub(crate) fn finish(
        &mut self,
        plan: &Plan,
        task: TaskId,
        frees: bool,
        result: Result<Slot, TaskError>,
    ) -> Garbage {
        self.running.fetch_sub(1, Ordering::Relaxed);
        self.freeing -= usize::from(frees);
        self.withheld = false;
        let mut garbage = Garbage::default();
        match result {
            Ok(slot) if self.over => {
                garbage.slots.push(slot);
                return garbage;
            }
            Ok(slot) => self.slots[task.index()] = slot,
            Err(error) => return self.end(Stop::Failed { task, error }),
        }
        for input in plan.inputs(task) {
            let i = input.index();
            self.unread[i] -= 1;
            if self.unread[i] == 0 {
                garbage.slots.push(mem::take(&mut self.slots[i]));
            }
        }
        for &reader in plan.readers(task) {
            let waiting = &mut self.waiting[reader.index()];
            *waiting -= 1;
            if *waiting == 0 {
                self.push_ready(plan, reader);
            }
        }
        self.left -= 1;
        if self.left == 0 {
            self.over = true;
        }
        garbage
    }

    /// Ends the run: no task starts after this, and all results are let go.
    pub(crate) fn end(&mut self, stop: Stop) -> Garbage {
        if self.over {
            return Garbage { unheard: Some(stop), ..Garbage::default() };
        }
        self.over = true;
        self.stop = Some(stop);
        self.host.clear();
        self.native.clear();
        self.held.clear();
        Garbage { slots: mem::take(&mut self.slots).into(), unheard: None }
    }

    /// Gives an output away; the last time it is asked for, for good.
    pub(crate) fn output(&mut self, task: TaskId) -> Slot {
        let i = task.index();
        self.unread[i] -= 1;
        match &mut self.slots[i] {
            slot if self.unread[i] == 0 => mem::take(slot),
            Slot::Small(value) => Slot::Small(value.clone()),
            Slot::Stored { ticket, nbytes } => Slot::Stored { ticket: ticket.clone(), nbytes: *nbytes },
            Slot::Empty => Slot::Empty,
        }
    }

    /// Tickets of the results that `task` has read and others will read still, with the place of the
    /// next reader.
    pub(crate) fn next_readers(&self, plan: &Plan, task: TaskId) -> SmallVec<[(Arc<Ticket>, u64); 2]> {
        let mut found = SmallVec::new();
        if self.over {
            return found;
        }
        for input in plan.inputs(task) {
            if let Slot::Stored { ticket, .. } = &self.slots[input.index()] {
                // Readers run about in order, so those that are left are mostly the last ones.
                let readers = plan.readers(*input);
                let done = readers.len().saturating_sub(self.unread[input.index()] as usize);
                let need = readers.get(done).map_or(weft_data::NEVER, |&r| u64::from(plan.place(r)));
                found.push((ticket.clone(), need));
            }
        }
        found
    }
}
