//! The local engine: runs an expanded graph on the threads of this process.
//!
//! A [`Run`] is one computation: tasks, their priorities, and what is left to do. It owns no
//! threads. A thread serves it by calling [`Run::work`], which returns when nothing is left for
//! that thread; so the same engine runs on the caller's thread (`sync`), on a pool of our own,
//! on a pool that the user brought, and on a worker thread that waits for a nested computation.
//!
//! Tasks of the host language run only while the thread holds the host's lock, which the engine
//! takes and gives back through a [`Gate`]. No Python here.

mod run;

pub use run::{Event, Gate, NoGate, Run, RunOptions, Stop};
