//! What has happened lately: a fixed number of runs and of lines.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::{Line, Run};

/// What is kept.
const RUNS: usize = 50_000;
const LINES: usize = 1_000;
/// Runs with the same name on the same thread that follow each other this closely are one, until it
/// has grown this long: a page cannot show ten thousand rectangles a second.
const GAP_MS: f64 = 0.5;
const LONGEST_MS: f64 = 10.0;

/// Cloning shares.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Recent>>);

#[derive(Debug, Default)]
struct Recent {
    runs: Tail<Run>,
    lines: Tail<Line>,
}

impl Board {
    pub fn new() -> Board {
        Board::default()
    }

    /// Runs that have ended, each thread's in order.
    pub fn runs(&self, runs: impl IntoIterator<Item = Run>) {
        let mut recent = self.0.lock();
        for run in runs {
            if !recent.runs.items.back_mut().is_some_and(|last| join(last, &run)) {
                recent.runs.push(run, RUNS);
            }
        }
    }

    pub fn line(&self, line: Line) {
        self.0.lock().lines.push(line, LINES);
    }

    /// Runs from number `from` on, at most the last `limit`, and the number of the next. The last one
    /// may still grow; it is not told before the next has come or `all` is asked for.
    pub(crate) fn runs_since(&self, from: u64, limit: usize, all: bool) -> (Vec<Run>, u64) {
        let recent = self.0.lock();
        recent.runs.since(from, limit, usize::from(!all))
    }

    pub(crate) fn lines_since(&self, from: u64) -> (Vec<Line>, u64) {
        self.0.lock().lines.since(from, LINES, 0)
    }
}

/// Makes `run` part of `last`, if they belong together.
fn join(last: &mut Run, run: &Run) -> bool {
    let gap = run.start_ms - last.stop_ms;
    let follows = (-GAP_MS..GAP_MS).contains(&gap) && run.stop_ms - last.start_ms < LONGEST_MS;
    let alike = last.kind == run.kind
        && last.thread == run.thread
        && last.name == run.name
        && last.worker == run.worker;
    if follows && alike {
        last.stop_ms = last.stop_ms.max(run.stop_ms);
        last.key = run.key.clone();
        last.count += run.count;
        last.nbytes += run.nbytes;
    }
    follows && alike
}

/// The last items of an endless list, numbered from its beginning.
#[derive(Debug)]
struct Tail<T> {
    items: VecDeque<T>,
    /// The number of the first one that is still here.
    first: u64,
}

impl<T> Default for Tail<T> {
    fn default() -> Self {
        Tail { items: VecDeque::new(), first: 0 }
    }
}

impl<T: Clone> Tail<T> {
    fn push(&mut self, item: T, limit: usize) {
        self.items.push_back(item);
        if self.items.len() > limit {
            self.items.pop_front();
            self.first += 1;
        }
    }

    fn since(&self, from: u64, limit: usize, hold_back: usize) -> (Vec<T>, u64) {
        let end = self.items.len().saturating_sub(hold_back);
        let start = usize::try_from(from.saturating_sub(self.first)).unwrap_or(end).min(end);
        let start = start.max(end.saturating_sub(limit));
        (self.items.range(start..end).cloned().collect(), self.first + end as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    fn run(name: &str, start_ms: f64, stop_ms: f64) -> Run {
        Run {
            worker: "w".into(),
            thread: 0,
            name: name.into(),
            key: name.into(),
            kind: Kind::Compute,
            start_ms,
            stop_ms,
            count: 1,
            nbytes: 8,
        }
    }

    #[test]
    fn short_neighbours_are_one_run() {
        let board = Board::new();
        board.runs((0..100).map(|i| run("inc", f64::from(i) * 0.2, f64::from(i) * 0.2 + 0.19)));
        let (runs, _) = board.runs_since(0, 1000, true);
        assert_eq!(runs.iter().map(|run| run.count).sum::<u32>(), 100);
        assert!(runs.len() <= 3, "{}", runs.len());
        assert!(runs.iter().all(|run| run.stop_ms - run.start_ms <= LONGEST_MS));
    }

    #[test]
    fn what_differs_stays_apart() {
        let board = Board::new();
        let mut erred = run("a", 2.0, 3.0);
        erred.kind = Kind::Erred;
        board.runs([run("a", 0.0, 1.0), run("b", 1.0, 2.0), erred, run("a", 50.0, 51.0)]);
        assert_eq!(board.runs_since(0, 1000, true).0.len(), 4);
    }

    #[test]
    fn a_reader_sees_each_run_once_and_the_growing_one_last() {
        let board = Board::new();
        board.runs([run("a", 0.0, 1.0), run("b", 1.0, 2.0)]);
        let (first, next) = board.runs_since(0, 1000, false);
        assert_eq!((first.len(), next), (1, 1));
        board.runs([run("c", 2.0, 3.0)]);
        let (second, next) = board.runs_since(next, 1000, true);
        assert_eq!(second.iter().map(|run| &*run.name).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(board.runs_since(next, 1000, true).0, []);
    }

    #[test]
    fn its_size_is_fixed() {
        let board = Board::new();
        board.runs((0..RUNS + 10).map(|i| run(["a", "b"][i % 2], i as f64, i as f64 + 1.0)));
        let (runs, next) = board.runs_since(0, usize::MAX, true);
        assert_eq!((runs.len(), next), (RUNS, RUNS as u64 + 10));
        assert_eq!(board.runs_since(0, 5, true).0.len(), 5);
    }
}
