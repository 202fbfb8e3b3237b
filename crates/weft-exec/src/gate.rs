//! The host language's lock, as a worker thread sees it.

use std::any::Any;
use std::sync::Arc;

/// What the host attached to a run (its context variables, say); the engine hands it to the gate and
/// never looks inside.
pub type Host = Option<Arc<dyn Any + Send + Sync>>;

/// The way into the host's lock.
///
/// A thread serves a run from outside the lock and goes in for a batch of host tasks, because
/// going in costs more than a small task.
pub trait Gate {
    /// Takes the lock, calls `batch` once, gives the lock back.
    fn inside(&mut self, host: &Host, batch: &mut dyn FnMut(&mut dyn Inside));

    /// What the host calls this thread; goes into [`Event`](crate::Event)s.
    fn thread(&self) -> u64 {
        0
    }

    /// Asked outside, after each batch and each native task; `true` cancels the run (the user pressed Ctrl-C).
    fn interrupted(&mut self) -> bool {
        false
    }
}

/// A thread that holds the lock.
pub trait Inside {
    /// Gives the lock back for as long as `work` takes.
    fn outside(&mut self, work: &mut (dyn FnMut() + Send));

    /// Asked between two tasks; `false` ends the batch, and the next begins afresh.
    fn proceed(&mut self) -> bool {
        true
    }
}

/// For engines without a host language.
#[derive(Debug, Default)]
pub struct NoGate;

impl Gate for NoGate {
    fn inside(&mut self, _: &Host, batch: &mut dyn FnMut(&mut dyn Inside)) {
        batch(self);
    }
}

impl Inside for NoGate {
    fn outside(&mut self, work: &mut (dyn FnMut() + Send)) {
        work();
    }
}
