//! What the dashboard shows of a scheduler: tasks as they end, and the state when somebody asks.

use std::net::TcpListener;
use std::sync::Arc;

use ahash::AHashMap;
use tokio::sync::{mpsc, oneshot, watch};
use weft_dashboard::{Answer, Board, Kind, Line, Prefix, Run, Secret, Source, State, Step, Task, Worker};
use weft_scheduler::Scheduler;
use weft_scheduler::message::{FromWorker, Nanos, TaskId, WorkerId, WorkerStatus};

use super::Inbox;
use crate::clock::{Clock, ms};
use crate::{ClusterError, Reactor, describe};

/// Where the dashboard listens, and what a browser beyond this machine must know.
#[derive(Debug)]
pub struct DashboardOptions {
    pub listener: TcpListener,
    pub secret: Option<Secret>,
}

/// Tries `port`, then those after it, then any. The second value: whether it is the first.
pub fn bind_dashboard(host: &str, port: u16) -> std::io::Result<(TcpListener, bool)> {
    const TRIES: u16 = 64;
    match TcpListener::bind((host, port)) {
        Ok(listener) => return Ok((listener, true)),
        // Another dashboard has it. Anything else (no such interface) other ports do not help against.
        Err(error) if error.kind() != std::io::ErrorKind::AddrInUse => return Err(error),
        Err(_) => {}
    }
    let near = (1..TRIES).filter_map(|step| port.checked_add(step));
    let free = near.chain([0]).find_map(|port| TcpListener::bind((host, port)).ok());
    free.map(|listener| (listener, false)).ok_or_else(|| std::io::ErrorKind::AddrInUse.into())
}

/// The HTTP server, on a thread of its own: a page that many look at does not slow the scheduler down.
#[derive(Debug)]
pub(super) struct Page {
    reactor: Reactor,
    stop: watch::Sender<bool>,
}

impl Page {
    pub(super) fn start(
        options: DashboardOptions,
        board: Board,
        inbox: mpsc::UnboundedSender<Inbox>,
    ) -> Result<Page, ClusterError> {
        let failed =
            |error: std::io::Error| ClusterError::Start { what: "the dashboard", reason: error.to_string() };
        options.listener.set_nonblocking(true).map_err(failed)?;
        let reactor = Reactor::start("weft-dashboard")?;
        let (stop, stopped) = watch::channel(false);
        reactor
            .run(async move {
                let listener = tokio::net::TcpListener::from_std(options.listener)?;
                let source: Arc<dyn Source> = Arc::new(Window(inbox));
                tokio::spawn(weft_dashboard::serve(listener, source, board, options.secret, stopped));
                Ok(())
            })?
            .map_err(failed)?;
        Ok(Page { reactor, stop })
    }

    pub(super) fn close(&self) {
        self.stop.send_replace(true);
        self.reactor.close();
    }
}

/// Asks the owner of the state machine on behalf of browsers.
struct Window(mpsc::UnboundedSender<Inbox>);

impl Source for Window {
    fn state(&self) -> Answer<'_, State> {
        Box::pin(async {
            let (tx, rx) = oneshot::channel();
            // A scheduler that is closing answers nothing: the page sees an empty cluster and then none.
            let _ = self.0.send(Inbox::Look(tx));
            rx.await.unwrap_or_default()
        })
    }

    fn task(&self, key: String) -> Answer<'_, Option<Task>> {
        Box::pin(async {
            let (tx, rx) = oneshot::channel();
            let _ = self.0.send(Inbox::LookAt(key, tx));
            rx.await.ok().flatten()
        })
    }
}

/// What goes to the board.
pub(super) struct Feed {
    board: Board,
    /// By worker, until when each of its threads is known to have been busy. Workers do not say which thread ran a task;
    /// tasks that overlap have run on different ones.
    lanes: AHashMap<WorkerId, Vec<Nanos>>,
}

impl Feed {
    pub(super) fn new(board: Board) -> Feed {
        Feed { board, lanes: AHashMap::new() }
    }

    pub(super) fn line(&self, now: Nanos, level: &'static str, from: Arc<str>, text: Arc<str>) {
        self.board.line(Line { at_ms: ms(now), level, from, text });
    }

    pub(super) fn forget(&mut self, worker: WorkerId) {
        self.lanes.remove(&worker);
    }

    /// Tasks that have ended, before the state machine hears of it and may forget them.
    pub(super) fn ended(
        &mut self,
        machine: &Scheduler,
        worker: WorkerId,
        name: &Arc<str>,
        message: &FromWorker,
    ) {
        match message {
            FromWorker::Finished(finished) => {
                let runs = finished.iter().filter_map(|f| {
                    self.run(
                        machine,
                        worker,
                        name,
                        f.task,
                        (f.started_ns, f.stopped_ns),
                        f.nbytes,
                        Kind::Compute,
                    )
                });
                let runs: Vec<Run> = runs.collect();
                self.board.runs(runs);
            }
            FromWorker::Erred { task, started_ns, stopped_ns, failure, .. } => {
                let run = self.run(machine, worker, name, *task, (*started_ns, *stopped_ns), 0, Kind::Erred);
                if let Some(run) = &run {
                    let text = describe(failure);
                    let last = text.trim_end().lines().next_back().unwrap_or_default();
                    self.line(*stopped_ns, "error", name.clone(), format!("{}: {last}", run.key).into());
                }
                self.board.runs(run);
            }
            _ => {}
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one record, from two kinds of messages")]
    fn run(
        &mut self,
        machine: &Scheduler,
        worker: WorkerId,
        name: &Arc<str>,
        task: TaskId,
        (start, stop): (Nanos, Nanos),
        nbytes: u64,
        kind: Kind,
    ) -> Option<Run> {
        // A result that was there already took no time.
        if stop <= start {
            return None;
        }
        let (prefix, key) = machine.about(task)?;
        let lanes = self.lanes.entry(worker).or_default();
        let free = lanes.iter().position(|&busy| busy <= start);
        let thread = free.unwrap_or_else(|| {
            lanes.push(0);
            lanes.len() - 1
        });
        lanes[thread] = stop;
        Some(Run {
            worker: name.clone(),
            thread: thread as u32,
            name: prefix,
            key: as_text(&key).into(),
            kind,
            start_ms: ms(start),
            stop_ms: ms(stop),
            count: 1,
            nbytes,
        })
    }
}

/// A key as the page and its addresses show it.
fn as_text(key: &weft_graph::Key) -> String {
    match key {
        weft_graph::Key::Str(text) => text.to_string(),
        key => key.to_string(),
    }
}

pub(super) fn state(machine: &Scheduler, address: String, clock: &Clock) -> State {
    let now = clock.now_ns();
    let workers = machine.workers().into_iter().map(|w| Worker {
        name: w.name,
        address: w.address,
        host: w.host,
        pid: w.pid,
        nthreads: w.nthreads,
        status: match w.status {
            WorkerStatus::Running => "running",
            WorkerStatus::Paused => "paused",
            WorkerStatus::Retiring => "retiring",
        }
        .into(),
        memory_limit: w.memory_limit,
        memory: w.memory.process,
        managed: w.memory.managed,
        spilled: w.memory.spilled,
        cpu_percent: w.cpu_percent,
        bandwidth_bytes_per_s: w.bandwidth_bytes_per_s,
        processing: w.processing,
        in_memory: w.in_memory,
        occupancy_s: w.occupancy_ns as f64 / 1e9,
        silent_s: now.saturating_sub(w.last_seen_ns) as f64 / 1e9,
    });
    let prefixes = machine.prefix_counts().into_iter().map(|p| Prefix {
        name: p.name,
        waiting: p.waiting,
        queued: p.queued,
        processing: p.processing,
        memory: p.memory,
        released: p.released,
        erred: p.erred,
        seconds: p.total_ns as f64 / 1e9,
        nbytes: p.nbytes,
    });
    State {
        id: format!("scheduler-{}", clock.started_ns()),
        address,
        version: env!("CARGO_PKG_VERSION").into(),
        now_ms: ms(now),
        started_ms: ms(clock.started_ns()),
        clients: machine.client_names().iter().map(ToString::to_string).collect(),
        workers: workers.collect(),
        prefixes: prefixes.collect(),
    }
}

pub(super) fn task(machine: &Scheduler, key: &str) -> Option<Task> {
    let (info, story) = machine.inspect(key)?;
    let names: AHashMap<WorkerId, Arc<str>> =
        machine.workers().into_iter().map(|w| (w.worker, w.name)).collect();
    let name = |worker: &WorkerId| names.get(worker).cloned();
    let texts = |keys: &[weft_graph::Key]| keys.iter().map(as_text).collect();
    Some(Task {
        key: as_text(&info.key),
        name: info.prefix,
        state: info.state,
        nbytes: info.nbytes,
        workers: info.holders.iter().chain(&info.processing_on).filter_map(name).collect(),
        dependencies: texts(&info.dependencies),
        dependents: texts(&info.dependents),
        retries: info.retries,
        suspicious: info.suspicious,
        failure: info.failure.map(|failure| describe(&failure)),
        story: story
            .into_iter()
            .map(|line| Step {
                at_ms: ms(line.at_ns),
                from: line.from,
                to: line.to,
                cause: line.cause,
                worker: line.worker.as_ref().and_then(name),
            })
            .collect(),
    })
}
