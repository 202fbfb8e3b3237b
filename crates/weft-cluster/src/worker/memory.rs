//! What a worker measures of itself, and what it does about it.
//!
//! | part of the limit | of | then |
//! | --- | --- | --- |
//! | `target` | results in memory | the store writes some to disk |
//! | `spill` | the process | results go to disk until the process is below `target` |
//! | `pause` | the process | no task is started |
//! | terminate | the process | its nanny ends it (see [`crate::Nanny`]) |
//!
//! What the process uses beside its results (*unmanaged*: modules, what tasks hold while they run, leaks) cannot be
//! written to disk, so results make room for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use weft_scheduler::message::Memory;
use weft_worker::Event;

use super::serve::Errand;
use super::{Shared, Values};
use crate::nanny::resident_bytes;

const HEARTBEAT: Duration = Duration::from_millis(500);
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Parts of the memory limit; 0: never.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryThresholds {
    pub target: f64,
    pub spill: f64,
    pub pause: f64,
}

impl Default for MemoryThresholds {
    fn default() -> Self {
        MemoryThresholds { target: 0.6, spill: 0.7, pause: 0.8 }
    }
}

impl MemoryThresholds {
    /// How much of `memory_limit` results may take.
    pub(super) fn store_limit(&self, memory_limit: u64) -> usize {
        match (memory_limit, self.target) {
            (0, _) => usize::MAX,
            (_, none) if none <= 0.0 => usize::MAX,
            (limit, target) => (limit as f64 * target) as usize,
        }
    }
}

/// Measures, says so, and keeps the process within its limit.
pub(super) async fn heartbeat(shared: Arc<Shared>, thresholds: MemoryThresholds) {
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last = Measured::now(&shared);
    let mut said: Option<Instant> = None;
    let mut paused = false;
    loop {
        tick.tick().await;
        let process = resident_bytes(std::process::id());
        let limit = shared.hello.memory_limit;
        if limit > 0 {
            let part = process as f64 / limit as f64;
            shared.fit(thresholds, process);
            // Some slack, so that it does not flicker.
            let now = match paused {
                true => thresholds.pause > 0.0 && part > thresholds.pause - 0.02,
                false => thresholds.pause > 0.0 && part > thresholds.pause,
            };
            if now != paused {
                paused = now;
                shared.feed(Event::MemoryPressure { paused }, Values::None, true);
            }
        }
        if said.is_none_or(|at| at.elapsed() >= HEARTBEAT) {
            said = Some(Instant::now());
            let stats = shared.data.stats();
            let memory = Memory { process, managed: stats.used as u64, spilled: stats.on_disk_bytes as u64 };
            let measured = Measured::now(&shared);
            let event = Event::Heartbeat {
                memory,
                cpu_percent: measured.cpu_percent_since(&last),
                bandwidth_bytes_per_s: measured.bytes_per_s_since(&last),
            };
            last = measured;
            shared.feed_all([event, Event::Tick], Values::None, true);
        }
    }
}

impl Shared {
    /// Lets results make room for what else the process uses.
    fn fit(&self, thresholds: MemoryThresholds, process: u64) {
        let may = thresholds.store_limit(self.hello.memory_limit);
        if thresholds.spill <= 0.0 || may == usize::MAX {
            return;
        }
        let part = process as f64 / self.hello.memory_limit as f64;
        let stats = self.data.stats();
        if part > thresholds.spill {
            let excess = usize::try_from(process).unwrap_or(usize::MAX).saturating_sub(may);
            let limit = stats.used.saturating_sub(excess);
            if stats.used > 0 && limit < stats.limit && !self.spilling.swap(true, Ordering::AcqRel) {
                self.queue.errand(Errand::Spill { limit });
            }
        } else if part < thresholds.target && stats.limit < may {
            self.data.set_limit(may);
        }
    }
}

/// Counters at one time.
struct Measured {
    at: Instant,
    cpu_s: f64,
    received: u64,
}

impl Measured {
    fn now(shared: &Shared) -> Measured {
        // SAFETY: the structure is plain numbers, which the call fills.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_SELF, &mut usage);
            usage
        };
        let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        Measured {
            at: Instant::now(),
            cpu_s: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            received: shared.received.load(Ordering::Relaxed),
        }
    }

    fn seconds_since(&self, before: &Measured) -> f64 {
        (self.at - before.at).as_secs_f64().max(1e-3)
    }

    fn cpu_percent_since(&self, before: &Measured) -> f32 {
        (100.0 * (self.cpu_s - before.cpu_s) / self.seconds_since(before)) as f32
    }

    fn bytes_per_s_since(&self, before: &Measured) -> f64 {
        self.received.saturating_sub(before.received) as f64 / self.seconds_since(before)
    }
}
