//! One clock for all processes: time since the Unix epoch that never goes back.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Reads the system's clock once and counts from there: what the scheduler hears from workers on this machine (and on
/// others whose clocks are set) lies on one axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    base_ns: u64,
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { base_ns: since.as_nanos() as u64, started: Instant::now() }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.base_ns + self.started.elapsed().as_nanos() as u64
    }

    pub(crate) fn started_ns(&self) -> u64 {
        self.base_ns
    }
}

pub(crate) fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}
