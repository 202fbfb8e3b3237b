//! The cluster's processes: what surrounds the state machines of `weft-scheduler` and `weft-worker`.
//!
//! | part | does |
//! | --- | --- |
//! | [`SchedulerServer`] | accepts clients and workers, feeds the scheduler's state machine, writes what it says |
//! | [`WorkerServer`] | keeps results, runs tasks on threads that the host made, serves peers |
//! | [`Client`] | sends graphs, follows futures, gathers results |
//! | [`Nanny`] | starts a worker's process and says why it died |
//!
//! Each server has one thread of its own for its sockets ([`Reactor`]), which never holds the host
//! language's lock and never runs a task. What only the host can do (reading a function, writing an
//! object, running a task) it does behind [`Host`] and [`Program`].

mod client;
mod clock;
mod error;
mod host;
mod nanny;
mod peers;
mod reactor;
mod scheduler;
mod value;
mod wire;
mod worker;

pub use client::{Answered, Client, FutureRef, Status, Watch};
pub use error::{ClusterError, describe};
pub use host::{Host, Program, Task};
pub use nanny::{Bounds, Exit, Nanny, report_exit};
pub use reactor::Reactor;
pub use scheduler::{DashboardOptions, SchedulerOptions, SchedulerServer, bind_dashboard};
pub use value::{Encoded, Packed};
pub use weft_dashboard::Secret;
pub use wire::{Call, FromPeer, FromScheduler, ToPeer, ToScheduler};
pub use worker::{MemoryThresholds, Place, WorkerOptions, WorkerServer};
