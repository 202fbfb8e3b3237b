//! Everything that must hold between events: for tests and simulations.

use crate::entry::{Data, Stage};
use crate::machine::Worker;

macro_rules! check {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}

impl Worker {
    /// What is wrong with the worker's tables, if anything is.
    pub fn validate(&self) -> Result<(), String> {
        for (&task, entry) in &self.entries {
            check!(
                entry.data != Data::No || entry.work.is_some() || entry.is_wanted(),
                "{task:?} is known for nothing"
            );
            match entry.data {
                Data::No => check!(!entry.is_wanted(), "{task:?} is wanted and not looked for"),
                Data::Wanted(peer) => {
                    let there =
                        self.peers.get(&peer).is_some_and(|q| q.tasks.contains(&(entry.priority, task)));
                    check!(there, "{task:?} is not in the queue of {peer:?}");
                }
                Data::Flight(fetch) => {
                    let there = self.fetches.get(&fetch).is_some_and(|f| f.tasks.contains(&task));
                    check!(there, "{task:?} is not in {fetch:?}");
                }
                Data::Missing => {}
                Data::Here => {
                    check!(entry.work.is_none(), "{task:?} is here and to be computed");
                    check!(!entry.ordered, "{task:?} is here and still ordered");
                }
            }
            check!(
                entry.data == Data::Here || entry.data == Data::No || entry.is_wanted(),
                "{task:?}: not wanted"
            );
            for reader in &entry.readers {
                let work = self.entries.get(reader).and_then(|entry| entry.work.as_ref());
                check!(
                    work.is_some_and(|w| w.inputs.contains(&task)),
                    "{task:?} is read by {reader:?}, which is not"
                );
            }
            let Some(work) = &entry.work else { continue };
            check!(entry.key.is_some(), "{task:?} has work and no key");
            let mut inputs = work.inputs.clone();
            inputs.sort_unstable();
            inputs.dedup();
            let here = |input| self.entries.get(input).is_some_and(|entry| entry.data == Data::Here);
            let missing = inputs.iter().filter(|input| !here(input)).count();
            match work.stage {
                Stage::Executing(execution) => {
                    let run = self.running.get(&execution);
                    let right =
                        run.is_some_and(|run| run.task == task && run.run == work.run && !run.cancelled);
                    check!(right, "{task:?} executes as {execution:?}, which does not");
                }
                stage => {
                    check!(
                        work.missing as usize == missing,
                        "{task:?}: {} missing, really {missing}",
                        work.missing
                    );
                    for input in &inputs {
                        let reads = self.entries.get(input).is_some_and(|e| e.readers.contains(&task));
                        check!(reads, "{task:?} waits for {input:?} without its knowing");
                    }
                    let blob = work.blob.is_some_and(|b| {
                        self.awaiting_blobs.get(&b).is_some_and(|tasks| tasks.contains(&task))
                    });
                    check!(
                        (stage == Stage::Ready) == (missing == 0) || blob,
                        "{task:?} is {stage:?} with {missing} missing"
                    );
                }
            }
        }
        let threads = self.running.values().filter(|run| run.has_thread).count();
        check!(threads == self.threads_used as usize, "{} threads used, really {threads}", self.threads_used);
        check!(threads <= self.config.hello.nthreads.max(1) as usize, "more threads are used than there are");
        let nbytes: u64 = self.fetches.values().map(|fetch| fetch.nbytes).sum();
        check!(nbytes == self.incoming_nbytes, "{} bytes come, really {nbytes}", self.incoming_nbytes);
        for (peer, queue) in &self.peers {
            for (_, task) in &queue.tasks {
                let there = self.entries.get(task).is_some_and(|entry| entry.data == Data::Wanted(*peer));
                check!(there, "{task:?} is in the queue of {peer:?} for nothing");
            }
        }
        Ok(())
    }
}
