//! The local engine: runs an expanded graph on the threads of this process.
//!
//! A [`Run`] is one computation: tasks, their order, and what is left to do. It owns no
//! threads. A thread serves it with [`Run::serve`], which returns when the run is over; so the same
//! engine runs on the caller's thread (`sync`), on threads that the user brought, on a worker thread
//! that waits for a nested computation, and on the threads of a [`Pool`], which go from run to
//! run. Tasks of the host language run only while the thread holds the host's lock, which the engine
//! takes and gives back through a [`Gate`]. No Python here.
//!
//! ```
//! # use std::{sync::Arc, time::Duration};
//! # use weft_data::{TaskError, Value, Work, WorkRef};
//! # use weft_graph::{Axis, Key, Layer, Read, Rule, expand};
//! use weft_exec::{NoGate, Pool, Run, RunOptions};
//!
//! #[derive(Debug)]
//! struct Length;
//! impl Work for Length {
//!     fn name(&self) -> &str {
//!         "length"
//!     }
//!     fn run(&self, index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
//!         let read: usize = inputs.iter().map(Value::nbytes).sum();
//!         Ok(Value::Bytes(vec![0; read + index as usize].into()))
//!     }
//! }
//! let leaves = Layer::new(Key::from("x"), vec![], Rule::Grid { shape: vec![4], reads: vec![] }, Arc::new(Length) as WorkRef)?;
//! let rule = Rule::Grid { shape: vec![1], reads: vec![Read { input: 0, axes: vec![Axis::All] }] };
//! let total = Layer::new(Key::from("sum"), vec![leaves], rule, Arc::new(Length) as WorkRef)?;
//!
//! let run = Run::new(Arc::new(expand(&[(total, 0)])), RunOptions::new(2))?;
//! let pool = Pool::new(2);
//! let threads: Vec<_> = (0..pool.register(&run, 2))
//!     .map(|_| std::thread::spawn({ let pool = pool.clone(); move || pool.serve(&mut NoGate) }))
//!     .collect();
//! while !run.wait(Duration::from_secs(1)) {}
//! assert_eq!(run.outputs().unwrap()[0].nbytes(), 0 + 1 + 2 + 3);
//! # pool.forget(&run); pool.close(); threads.into_iter().for_each(|t| t.join().unwrap());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Why it is correct
//!
//! **A task runs once, after its inputs, with their values.** All that changes is in one `State` under
//! one lock. `waiting` counts a task's unfinished inputs; it becomes ready when the last of them
//! ends, which happens once. It leaves the heap when a thread takes it. `unread` counts a result's
//! unfinished readers and the caller's own reading; the result goes when that reaches zero, so
//! neither before its last reader has it nor after.
//!
//! **It ends.** A run without cycles (checked before it starts) always has a ready or a running task
//! until nothing is left. If a task is ready and may start, a thread that is awake will look: the one that
//! made it ready looks next, and calls another when there is more than it takes; each that comes
//! calls the next ([`Pool`] argues that no call is lost). Tasks that are held back because memory is
//! tight wait for a running task, which ends.
//!
//! **Nested runs cannot deadlock.** A task that computes serves the run it waits for with its own
//! thread, and that run alone. So what is on top of a thread's stack is always something that what is
//! below waits for; waiting follows nesting, which is finite.
//!
//! **Nothing foreign happens under a lock.** Tasks, sizes, spilling and the dropping of values may run
//! the host's code, which may come back to this engine: they all happen with no lock held. Locks are taken
//! in one order: pool, then run. Under the host's lock a thread takes the run's lock but never waits
//! for another thread, so the two cannot block each other.
//!
//! # What a task costs
//!
//! One lock, one heap operation in and one out, and a counter for each edge. A thread goes into the host's
//! lock for a batch of tasks, and goes in *before* it takes a task, so that no task waits with a thread that
//! waits for the lock. One thread at a time queues for it; whoever gets in calls the next. So
//! tiny tasks are run by the thread that is inside, and tasks that leave the lock (I/O, NumPy) run
//! on all threads.

mod gate;
mod plan;
mod pool;
mod run;
mod state;

pub use gate::{Gate, Host, Inside, NoGate};
pub use plan::PlanError;
pub use pool::Pool;
pub use run::{Event, Run, RunOptions, Stop};
