//! One thing at a time: what a worker does when this or that happens.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use weft_scheduler::message::{
    Assigned, Compute, Epoch, Failure, FromWorker, Held, Input, Key, Priority, TaskId, TaskOptions, ToWorker,
    WorkerHello, WorkerId, WorkerStatus, WorkerWelcome,
};
use weft_worker::{Action, Config, Event, Execute, ExecutionId, FetchId, Outcome, Worker};

struct Bench {
    worker: Worker,
    now: u64,
}

impl Bench {
    fn new(nthreads: u32) -> Self {
        let hello = WorkerHello {
            name: "w".into(),
            address: "sim://w".into(),
            host: "sim".into(),
            nanny: "".into(),
            pid: 1,
            nthreads,
            memory_limit: 0,
            resources: vec![("GPU".into(), 1.0)],
            held: vec![],
            status: WorkerStatus::Running,
        };
        let mut bench = Bench { worker: Worker::new(Config::new(hello)), now: 0 };
        bench.connect(1, &[]);
        bench
    }

    /// Connects; what was announced gets these identifiers.
    fn connect(&mut self, epoch: u64, ids: &[u64]) -> Vec<Held> {
        let said = self.event(Event::Connected);
        let Some(Action::Scheduler(FromWorker::Hello(hello))) = said.last() else { panic!("{said:?}") };
        let held = hello.held.clone();
        let ids = ids.iter().map(|&id| TaskId(id)).collect();
        self.told(ToWorker::Welcome(WorkerWelcome { epoch: Epoch(epoch), worker: WorkerId(9), held: ids }));
        held
    }

    fn event(&mut self, event: Event) -> Vec<Action> {
        self.worker.handle(event, self.now);
        self.worker.validate().unwrap();
        let mut actions = Vec::new();
        self.worker.drain(&mut actions);
        actions
    }

    fn told(&mut self, message: ToWorker) -> Vec<Action> {
        self.event(Event::Scheduler(message))
    }

    /// Asks for a task of this number and place in the order; inputs have a size and sources.
    fn compute(
        &mut self,
        task: u64,
        order: u32,
        inputs: &[(u64, u64, &[u32])],
        options: TaskOptions,
    ) -> Vec<Action> {
        let assigned = Assigned {
            task: TaskId(task),
            run: 1,
            key: Key::Int(task as i64),
            priority: Priority { order, ..Priority::default() },
            estimate_ns: 0,
            blob: None,
            index: 0,
            payload: vec![].into(),
            n_inputs: inputs.len() as u32,
            options: Some(options.into()),
        };
        let mut compute = Compute { tasks: vec![assigned], ..Compute::default() };
        for (task, nbytes, sources) in inputs {
            compute.inputs.push(Input {
                task: TaskId(*task),
                nbytes: *nbytes,
                n_sources: sources.len() as u32,
            });
            compute.sources.extend(sources.iter().map(|&w| WorkerId(w)));
        }
        assert!(compute.is_valid());
        self.told(ToWorker::Compute(compute))
    }

    fn done(&mut self, execution: ExecutionId, outcome: Outcome) -> Vec<Action> {
        self.event(Event::Executed { execution, outcome, started_ns: 0, stopped_ns: 1000 })
    }
}

fn plain() -> TaskOptions {
    TaskOptions::default()
}

fn finished() -> Outcome {
    Outcome::Finished { nbytes: 8, type_name: "int".into() }
}

fn executed<'a>(actions: &'a [Action]) -> Vec<&'a Execute> {
    let execute = |action: &'a Action| match action {
        Action::Execute(execute) => Some(&**execute),
        _ => None,
    };
    actions.iter().filter_map(execute).collect()
}

fn fetches(actions: &[Action]) -> Vec<(FetchId, u32, Vec<u64>)> {
    let fetch = |action: &Action| match action {
        Action::Fetch { fetch, peer, tasks, .. } => {
            Some((*fetch, peer.0, tasks.iter().map(|t| t.0).collect()))
        }
        _ => None,
    };
    actions.iter().filter_map(fetch).collect()
}

#[test]
fn the_most_urgent_runs_first_on_each_thread() {
    let mut b = Bench::new(1);
    let first = executed(&b.compute(1, 5, &[], plain()))[0].execution;
    b.compute(2, 9, &[], plain());
    b.compute(3, 1, &[], plain());
    let next = b.done(first, finished());
    assert_eq!(executed(&next)[0].task, TaskId(3));
    assert!(
        next.iter()
            .any(|a| matches!(a, Action::Scheduler(FromWorker::Finished(f)) if f[0].task == TaskId(1)))
    );
}

#[test]
fn inputs_come_from_whoever_has_them() {
    let mut b = Bench::new(1);
    let said = b.compute(1, 0, &[(10, 100, &[3, 4]), (11, 100, &[3, 4]), (10, 100, &[3, 4])], plain());
    let asked = fetches(&said);
    // Both peers are asked at the same time, for one result each.
    assert_eq!(asked.len(), 2);
    let (fetch, peer, tasks) = &asked[0];
    let said = b.event(Event::Fetched { fetch: *fetch, arrived: vec![], absent: vec![TaskId(tasks[0])] });
    assert!(fetches(&said).is_empty(), "the other peer is busy with the other result");
    let (other, _, theirs) = &asked[1];
    let said =
        b.event(Event::Fetched { fetch: *other, arrived: vec![(TaskId(theirs[0]), 100)], absent: vec![] });
    let again = fetches(&said);
    assert_eq!(again.len(), 1);
    assert_ne!(again[0].1, *peer);
    let said = b.event(Event::FetchFailed { fetch: again[0].0 });
    let [Action::Scheduler(FromWorker::FetchFailed { task, absent, unreachable })] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!((task.0, absent.len(), unreachable.len()), (tasks[0], 1, 1));
}

#[test]
fn a_busy_peer_is_left_alone_for_a_while() {
    let mut b = Bench::new(1);
    let said = b.compute(1, 0, &[(10, 100, &[3])], plain());
    let said = b.event(Event::FetchBusy { fetch: fetches(&said)[0].0 });
    assert!(said.is_empty());
    b.now = b.worker.next_wake_ns().unwrap();
    assert_eq!(fetches(&b.event(Event::Tick)).len(), 1);
}

#[test]
fn what_has_started_is_not_given_up() {
    let mut b = Bench::new(1);
    b.compute(1, 0, &[], plain());
    b.compute(2, 1, &[], plain());
    b.compute(3, 2, &[(10, 100, &[3])], plain());
    let said = b.told(ToWorker::Steal {
        tasks: vec![(TaskId(1), 1), (TaskId(2), 1), (TaskId(3), 1), (TaskId(2), 1)],
    });
    let Some(Action::Scheduler(FromWorker::Steal { tasks })) = said.last() else { panic!("{said:?}") };
    assert_eq!(tasks.iter().map(|(_, _, given)| *given).collect::<Vec<_>>(), [false, true, true, false]);
}

#[test]
fn a_freed_task_runs_on_for_nothing() {
    let mut b = Bench::new(1);
    let run = executed(&b.compute(1, 0, &[], plain()))[0].execution;
    let freed = b.told(ToWorker::Free { tasks: vec![TaskId(1)] });
    assert!(matches!(freed[..], [Action::Cancel { .. }]));
    // Its thread is not free before it ends.
    assert!(executed(&b.compute(2, 0, &[], plain())).is_empty());
    let said = b.done(run, finished());
    assert!(!said.iter().any(|a| matches!(a, Action::Put { .. } | Action::Scheduler(_))), "{said:?}");
    assert_eq!(executed(&said)[0].task, TaskId(2));
}

#[test]
fn who_secedes_gives_up_its_thread_and_may_come_back() {
    let mut b = Bench::new(1);
    let first = executed(&b.compute(1, 0, &[], plain()))[0].execution;
    b.compute(2, 0, &[], plain());
    let said = b.event(Event::Seceded { execution: first, ran_ns: 5 });
    let second = executed(&said)[0].execution;
    assert!(said.iter().any(|a| matches!(a, Action::Scheduler(FromWorker::LongRunning { .. }))));
    assert!(b.event(Event::Rejoin { execution: first }).is_empty());
    b.compute(3, 0, &[], plain());
    let said = b.done(second, finished());
    assert!(said.iter().any(|a| matches!(a, Action::Rejoin { .. })), "before anything new");
    assert!(executed(&said).is_empty());
    assert_eq!(executed(&b.done(first, finished()))[0].task, TaskId(3));
}

#[test]
fn resources_and_memory_hold_tasks_back() {
    let mut b = Bench::new(4);
    let gpu = || TaskOptions { resources: vec![("GPU".into(), 1.0)], ..TaskOptions::default() };
    let first = executed(&b.compute(1, 0, &[], gpu()))[0].execution;
    assert!(executed(&b.compute(2, 0, &[], gpu())).is_empty());
    assert_eq!(executed(&b.compute(3, 5, &[], plain())).len(), 1, "others may pass");
    let said = b.event(Event::MemoryPressure { paused: true });
    assert!(matches!(said[..], [Action::Scheduler(FromWorker::Status(WorkerStatus::Paused))]));
    assert!(executed(&b.done(first, finished())).is_empty());
    assert_eq!(executed(&b.event(Event::MemoryPressure { paused: false }))[0].task, TaskId(2));
}

#[test]
fn results_keep_their_keys_over_a_new_connection() {
    let mut b = Bench::new(2);
    let run = executed(&b.compute(1, 0, &[], plain()))[0].execution;
    b.done(run, finished());
    let running = executed(&b.compute(2, 0, &[], plain()))[0].execution;
    let lost = b.event(Event::Disconnected);
    assert!(matches!(lost[..], [Action::Cancel { .. }]));
    let held = b.connect(2, &[2]);
    assert_eq!(held, [Held { key: Key::Int(1), nbytes: 8 }]);
    // What ran for the old scheduler ends; the number 2 means something else now.
    let said = b.done(running, finished());
    assert!(said.is_empty(), "{said:?}");
    assert_eq!(b.worker.n_results(), 1);
    assert!(matches!(&b.told(ToWorker::Free { tasks: vec![TaskId(2)] })[..], [Action::Drop { .. }]));
    assert!(b.worker.is_empty());
}

#[test]
fn copies_that_are_read_are_kept() {
    let mut b = Bench::new(1);
    let said = b.compute(1, 0, &[(10, 100, &[3]), (11, 100, &[4])], plain());
    let (fetch, _, tasks) = fetches(&said)[0].clone();
    b.event(Event::Fetched { fetch, arrived: vec![(TaskId(tasks[0]), 100)], absent: vec![] });
    let said = b.told(ToWorker::DropReplicas { tasks: vec![TaskId(tasks[0])] });
    assert!(matches!(&said[..], [Action::Scheduler(FromWorker::Kept { .. })]), "{said:?}");
    b.told(ToWorker::Free { tasks: vec![TaskId(1)] });
    let said = b.told(ToWorker::DropReplicas { tasks: vec![TaskId(tasks[0])] });
    assert!(said.iter().any(|a| matches!(a, Action::Drop { .. })));
    assert_eq!(b.worker.n_results(), 0);
}

#[test]
fn failures_and_lost_inputs_are_reported() {
    let mut b = Bench::new(1);
    let said = b.compute(1, 0, &[(10, 100, &[3])], plain());
    let fetch = fetches(&said)[0].0;
    let said = b.event(Event::Fetched { fetch, arrived: vec![(TaskId(10), 100)], absent: vec![] });
    assert!(said.iter().any(|a| matches!(a, Action::Put { .. })));
    let run = executed(&said)[0].execution;
    let said = b.done(run, Outcome::InputLost { input: TaskId(10) });
    let Some(Action::Scheduler(FromWorker::FetchFailed { task, absent, .. })) = said.last() else {
        panic!("{said:?}")
    };
    assert_eq!((*task, &absent[..]), (TaskId(10), &[WorkerId(9)][..]));
    let run = executed(&b.compute(2, 0, &[], plain()))[0].execution;
    let failure = Failure::Raised { exception: vec![].into(), text: "no".into() };
    let said = b.done(run, Outcome::Erred(failure));
    assert!(matches!(&said[..], [Action::Scheduler(FromWorker::Erred { .. })]), "{said:?}");
}
