//! Threads that serve many runs.
//!
//! A pool makes no threads: the host makes them, because only threads of its own making can call it
//! cheaply, and each calls [`Pool::serve`] and stays. [`Pool::register`] says how many are missing.
//!
//! An idle thread sits in a seat of its own; whoever calls it puts the run into the seat. Thus
//! a call wakes exactly one thread, and the run knows that exactly one is on its way.
//!
//! **No call is lost.** A run makes tasks ready under its own lock, then looks at `idle`. A thread
//! that finds nothing first counts itself into `idle`, then looks into every run, under each
//! run's lock. Whichever of the two takes the run's lock second sees what the other has done.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex};

use crate::{Gate, Run};

/// A set of threads that serve the runs registered with it. Cloning shares.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Threads that may stay when there is nothing to do.
    keep: AtomicUsize,
    /// Threads without work, counted before they look for some.
    idle: AtomicUsize,
    runs: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order of their next turn.
    runs: VecDeque<Entry>,
    /// Tasks under way in runs that have ended: their threads are lost until those end.
    ended: Vec<Arc<AtomicUsize>>,
    seats: Vec<Arc<Seat>>,
    threads: usize,
    /// Promised by [`Pool::register`]'s caller and not here yet.
    starting: usize,
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    run: Run,
    wanted: usize,
}

#[derive(Debug, Default)]
struct Seat {
    order: Mutex<Option<Order>>,
    called: Condvar,
}

#[derive(Debug)]
enum Order {
    Serve(Run),
    Leave,
}

/// A run's way back to its pool.
#[derive(Debug)]
pub(crate) struct WeakPool(Weak<Shared>);

impl Pool {
    /// A pool of which `keep` threads stay when there is nothing to do.
    pub fn new(keep: usize) -> Pool {
        Pool(Arc::new(Shared {
            keep: AtomicUsize::new(keep),
            idle: AtomicUsize::new(0),
            runs: AtomicUsize::new(0),
            state: Mutex::default(),
        }))
    }

    /// Lets the pool's threads serve `run`, and returns how many more threads must now be made to
    /// call [`Pool::serve`]. `wanted` is how many the run could use; 0 if its caller serves it.
    ///
    /// Every run gets its own: somebody who computes from a second thread does not wait for the
    /// long tasks of the first.
    pub fn register(&self, run: &Run, wanted: usize) -> usize {
        // A run is registered once; its second pool would never be asked.
        let _ = run.0.pool.set(WeakPool(Arc::downgrade(&self.0)));
        let missing = {
            let mut state = self.0.state.lock();
            let wanted = wanted.min(run.len());
            state.runs.push_back(Entry { run: run.clone(), wanted });
            self.0.runs.store(state.runs.len(), Ordering::Relaxed);
            let needed = state.wanted() + state.lost();
            let missing = needed.saturating_sub(state.threads + state.starting);
            state.starting += missing;
            missing
        };
        run.rouse();
        missing
    }

    /// Takes back a promise of [`Pool::register`]: `count` threads could not be made.
    pub fn not_started(&self, count: usize) {
        let mut state = self.0.state.lock();
        state.starting = state.starting.saturating_sub(count);
    }

    /// Threads in the pool and on their way to it.
    pub fn threads(&self) -> usize {
        let state = self.0.state.lock();
        state.threads + state.starting
    }

    /// Threads that hang in a task of a run that is over.
    pub fn lost(&self) -> usize {
        self.0.state.lock().lost()
    }

    /// Stops serving `run`, which is over or will be served by nobody else.
    pub fn forget(&self, run: &Run) {
        let mut state = self.0.state.lock();
        let found = state.runs.iter().position(|entry| Arc::ptr_eq(&entry.run.0, &run.0));
        // The caller holds the run too, so this drop frees nothing under the lock.
        let _entry = found.and_then(|i| state.runs.remove(i));
        self.0.runs.store(state.runs.len(), Ordering::Relaxed);
        if run.running() > 0 {
            state.ended.push(run.running_counter());
        }
        state.dismiss_surplus(&self.0);
    }

    /// Sends all threads away: the idle ones now, the others when their tasks end.
    pub fn close(&self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        state.threads -= state.seats.len();
        for seat in state.seats.drain(..) {
            seat.give(Order::Leave);
        }
        self.0.idle.store(0, Ordering::SeqCst);
    }

    pub fn is_closed(&self) -> bool {
        self.0.state.lock().closed
    }

    /// Serves the pool's runs from this thread until it is sent away.
    pub fn serve(&self, gate: &mut dyn Gate) {
        {
            let mut state = self.0.state.lock();
            state.starting = state.starting.saturating_sub(1);
            state.threads += 1;
        }
        let seat = Arc::new(Seat::default());
        loop {
            match self.find(&seat) {
                Find::Run(run) => {
                    run.work(gate, false);
                    run.leave(gate);
                }
                Find::Wait => match seat.wait() {
                    Order::Serve(run) => {
                        run.work(gate, true);
                        run.leave(gate);
                    }
                    Order::Leave => return,
                },
                Find::Leave => return,
            }
        }
    }

    /// The next run that has something to do.
    fn find(&self, seat: &Arc<Seat>) -> Find {
        let mut state = self.0.state.lock();
        // A thread is counted out where it is decided that it goes.
        if state.closed {
            state.threads -= 1;
            return Find::Leave;
        }
        // Before looking: see the module's head.
        self.0.idle.fetch_add(1, Ordering::SeqCst);
        let found = state.runs.iter().position(|entry| entry.run.wants());
        if let Some(entry) = found.and_then(|i| state.runs.remove(i)) {
            self.0.idle.fetch_sub(1, Ordering::SeqCst);
            let run = entry.run.clone();
            state.runs.push_back(entry);
            return Find::Run(run);
        }
        if state.has_surplus(&self.0) {
            self.0.idle.fetch_sub(1, Ordering::SeqCst);
            state.threads -= 1;
            return Find::Leave;
        }
        state.seats.push(seat.clone());
        Find::Wait
    }
}

enum Find {
    Run(Run),
    Wait,
    Leave,
}

impl State {
    fn wanted(&self) -> usize {
        self.runs.iter().map(|entry| entry.wanted).sum()
    }

    fn lost(&mut self) -> usize {
        let mut lost = 0;
        self.ended.retain(|running| {
            let running = running.load(Ordering::Relaxed);
            lost += running;
            running > 0
        });
        lost
    }

    fn has_surplus(&mut self, shared: &Shared) -> bool {
        let lost = self.lost();
        self.threads > shared.keep.load(Ordering::Relaxed).max(self.wanted()) + lost
    }

    /// Sends away idle threads that nobody needs any more.
    fn dismiss_surplus(&mut self, shared: &Shared) {
        let lost = self.lost();
        let stay = shared.keep.load(Ordering::Relaxed).max(self.wanted()) + lost;
        let surplus = self.threads.saturating_sub(stay).min(self.seats.len());
        for _ in 0..surplus {
            if let Some(seat) = self.seats.pop() {
                shared.idle.fetch_sub(1, Ordering::SeqCst);
                self.threads -= 1;
                seat.give(Order::Leave);
            }
        }
    }
}

impl Seat {
    fn give(&self, order: Order) {
        *self.order.lock() = Some(order);
        self.called.notify_one();
    }

    fn wait(&self) -> Order {
        let mut order = self.order.lock();
        loop {
            if let Some(order) = order.take() {
                return order;
            }
            self.called.wait(&mut order);
        }
    }
}

impl WeakPool {
    /// Whether other runs wait for the same threads.
    pub(crate) fn is_shared(&self) -> bool {
        self.0.upgrade().is_some_and(|shared| shared.runs.load(Ordering::Relaxed) > 1)
    }

    /// Whether a call may find somebody.
    pub(crate) fn has_idle(&self) -> bool {
        self.0.upgrade().is_some_and(|shared| shared.idle.load(Ordering::SeqCst) > 0)
    }

    /// Calls an idle thread to `run`; false if there is none.
    pub(crate) fn call(&self, run: &Run) -> bool {
        let Some(shared) = self.0.upgrade() else { return false };
        let mut state = shared.state.lock();
        let Some(seat) = state.seats.pop() else { return false };
        shared.idle.fetch_sub(1, Ordering::SeqCst);
        seat.give(Order::Serve(run.clone()));
        true
    }
}
