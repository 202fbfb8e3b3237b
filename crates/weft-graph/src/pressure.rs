//! What an order costs: how many results are held, and for how long, if tasks ran one at a time.

use crate::{Dag, TaskId};

/// Measures of an order, one value a task.
///
/// A result is held from when its task has run until its last reader has; results that nobody
/// reads are the user's and do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Results held when the task starts.
    pub when_run: Vec<u32>,
    /// Results held when the task's own result is let go (for a result that nobody reads: when
    /// it was made).
    pub when_released: Vec<u32>,
    /// Tasks that ran from this one until its result was let go.
    pub age: Vec<u32>,
    /// Results that running the task let go.
    pub freed: Vec<u32>,
}

impl Pressure {
    /// Simulates `priorities`, a permutation of `0..dag.len()` in which each task comes after what
    /// it reads.
    pub fn of(dag: &Dag, priorities: &[u32]) -> Pressure {
        let n = dag.len();
        let mut at = vec![TaskId(0); n];
        for task in dag.tasks() {
            at[priorities[task.index()] as usize] = task;
        }
        let mut left = vec![0u32; n];
        for task in dag.tasks() {
            for dependency in dag.dependencies(task) {
                left[dependency.index()] += 1;
            }
        }
        let read: Vec<bool> = left.iter().map(|&readers| readers > 0).collect();
        let mut out =
            Pressure { when_run: vec![0; n], when_released: vec![0; n], age: vec![0; n], freed: vec![0; n] };
        let mut held = 0u32;
        for (step, &task) in at.iter().enumerate() {
            let t = task.index();
            out.when_run[t] = held;
            for dependency in dag.dependencies(task) {
                let d = dependency.index();
                left[d] -= 1;
                if left[d] == 0 {
                    out.age[d] = step as u32 - priorities[d];
                    out.when_released[d] = held;
                    out.freed[t] += 1;
                }
            }
            if !read[t] {
                out.when_released[t] = held;
            }
            held = held + read[t] as u32 - out.freed[t];
        }
        out
    }

    /// The most results held when a task starts.
    pub fn peak(&self) -> u32 {
        self.when_run.iter().copied().max().unwrap_or(0)
    }
}
