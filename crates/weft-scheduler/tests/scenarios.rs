//! One thing at a time: what the scheduler says when this or that happens.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use weft_graph::{Key, Rule};
use weft_scheduler::message::{
    Answer, Assigned, ClientHello, ClientId, Failure, Finished, FromClient, FromWorker, FutureId, Graph,
    LayerSpec, LayerWork, Payloads, Question, RequestId, Scattered, TaskId, TaskOptions, ToClient, ToWorker,
    Want, WorkerHello, WorkerId, WorkerStatus,
};
use weft_scheduler::{Action, Config, Event, Scheduler};

const MS: u64 = 1_000_000;

struct Cluster {
    scheduler: Scheduler,
    now: u64,
    next_future: u64,
    /// What was said since the last look.
    to_workers: Vec<(u32, ToWorker)>,
    to_clients: Vec<(u32, ToClient)>,
}

impl Cluster {
    fn new(config: Config) -> Self {
        let (to_workers, to_clients) = (Vec::new(), Vec::new());
        let mut cluster =
            Cluster { scheduler: Scheduler::new(config), now: 0, next_future: 0, to_workers, to_clients };
        for client in 0..2 {
            let hello = ClientHello { name: format!("client-{client}").into(), last_epoch: None };
            cluster.client(client, FromClient::Hello(hello));
        }
        cluster
    }

    fn with_workers(n: u32, nthreads: u32) -> Self {
        let mut cluster = Cluster::new(Config::default());
        for w in 0..n {
            cluster.join(w, nthreads, &[]);
        }
        cluster.hear();
        cluster
    }

    fn join(&mut self, w: u32, nthreads: u32, resources: &[(&str, f64)]) {
        let hello = WorkerHello {
            name: format!("w{w}").into(),
            address: format!("sim://{w}").into(),
            host: "sim".into(),
            nanny: "".into(),
            pid: w,
            nthreads,
            memory_limit: 0,
            resources: resources.iter().map(|(name, n)| (Arc::from(*name), *n)).collect(),
            held: vec![],
            status: WorkerStatus::Running,
        };
        self.worker(w, FromWorker::Hello(hello));
    }

    fn handle(&mut self, event: Event) {
        self.scheduler.handle(event, self.now);
        self.scheduler.validate().unwrap();
        let mut actions = Vec::new();
        self.scheduler.drain(&mut actions);
        for action in actions {
            match action {
                Action::Worker { worker, message } => self.to_workers.push((worker.0, message)),
                Action::Client { client, message } => self.to_clients.push((client.0, message)),
                _ => {}
            }
        }
    }

    fn worker(&mut self, w: u32, message: FromWorker) {
        self.handle(Event::Worker { worker: WorkerId(w), message });
    }

    fn client(&mut self, c: u32, message: FromClient) {
        self.handle(Event::Client { client: ClientId(c), message });
    }

    fn lose(&mut self, w: u32, executing: Option<Vec<TaskId>>) {
        let cause = "killed by signal 9".into();
        self.handle(Event::WorkerLost { worker: WorkerId(w), cause, executing, expected: false });
    }

    fn hear(&mut self) -> (Vec<(u32, ToWorker)>, Vec<(u32, ToClient)>) {
        (std::mem::take(&mut self.to_workers), std::mem::take(&mut self.to_clients))
    }

    /// What workers were told to run since the last look.
    fn assigned(&mut self) -> Vec<(u32, Assigned)> {
        let computes = self.hear().0.into_iter().filter_map(|(w, message)| match message {
            ToWorker::Compute(compute) => Some((w, compute.tasks)),
            _ => None,
        });
        computes.flat_map(|(w, tasks)| tasks.into_iter().map(move |task| (w, task))).collect()
    }

    /// Sends tasks by name, each with the names that it reads; all are wanted by client 0. Gives their futures.
    fn submit(&mut self, tasks: &[(&str, &[&str])], options: TaskOptions) -> Vec<FutureId> {
        let keys: Vec<Key> = tasks.iter().map(|(name, _)| Key::from(*name)).collect();
        let known: Vec<Key> = tasks
            .iter()
            .flat_map(|(_, reads)| reads.iter().map(|&read| Key::from(read)))
            .filter(|key| !keys.contains(key))
            .collect();
        let (mut starts, mut reads) = (vec![0], Vec::new());
        for (_, names) in tasks {
            for name in *names {
                let key = Key::from(*name);
                let place = |list: &[Key]| list.iter().position(|other| *other == key).map(|i| i as u32);
                reads.push(match place(&keys) {
                    Some(own) => (u32::MAX, own),
                    None => (0, place(&known).unwrap()),
                });
            }
            starts.push(reads.len() as u32);
        }
        let n = known.len();
        let rule = Rule::Explicit { keys: known.into(), starts: vec![0; n + 1], reads: vec![] };
        let known =
            LayerSpec { name: "known".into(), inputs: vec![], rule, work: LayerWork::Known, options: 0 };
        let payloads = Payloads::from_slices(tasks.iter().map(|(name, _)| name));
        let work = LayerWork::Each { blobs: vec![u32::MAX], payloads };
        let rule = Rule::Explicit { keys: keys.into(), starts, reads };
        let layer = LayerSpec { name: "tasks".into(), inputs: vec![0], rule, work, options: 1 };
        let mut futures = Vec::new();
        let wants = (0..tasks.len() as u32).map(|index| {
            self.next_future += 1;
            futures.push(FutureId(self.next_future));
            Want { future: FutureId(self.next_future), layer: 1, index }
        });
        let graph = Graph {
            wants: wants.collect(),
            layers: vec![known, layer],
            options: vec![TaskOptions::default(), options],
            ..Graph::default()
        };
        self.client(0, FromClient::Graph(graph));
        futures
    }

    fn finish(&mut self, (w, task): &(u32, Assigned), ms: u64) {
        self.now += ms * MS;
        let (started_ns, stopped_ns) = (self.now - ms * MS, self.now);
        let (task, run) = (task.task, task.run);
        let finished = Finished { task, run, nbytes: 100, started_ns, stopped_ns, type_name: "int".into() };
        self.worker(*w, FromWorker::Finished(vec![finished]));
    }

    fn fail(&mut self, (w, task): &(u32, Assigned)) {
        let failure = Failure::Raised { exception: vec![1].into(), text: "no".into() };
        let (task, run) = (task.task, task.run);
        self.worker(*w, FromWorker::Erred { task, run, failure, started_ns: 0, stopped_ns: 1 });
    }

    fn ask(&mut self, question: Question) -> Answer {
        self.hear();
        self.client(1, FromClient::Ask { request: RequestId(1), question });
        match self.hear().1.pop() {
            Some((1, ToClient::Answer { answer, .. })) => answer,
            other => panic!("{other:?}"),
        }
    }
}

fn failures(said: &[(u32, ToClient)]) -> Vec<(FutureId, Arc<Failure>)> {
    let erred = said.iter().filter_map(|(_, message)| match message {
        ToClient::Erred { futures, failure, .. } => Some(futures.iter().map(|&f| (f, failure.clone()))),
        _ => None,
    });
    erred.flatten().collect()
}

#[test]
fn a_task_that_kills_its_workers_fails_with_the_cause() {
    let mut c = Cluster::with_workers(6, 1);
    let futures = c.submit(&[("bad", &[]), ("innocent", &[]), ("reader", &["bad"])], TaskOptions::default());
    let mut running = c.assigned();
    for death in 1..=4 {
        let at = running.iter().position(|(_, task)| task.key == Key::from("bad")).unwrap();
        let (w, bad) = running.remove(at);
        // Who shares its worker is not blamed if it is known what was executing.
        c.lose(w, Some(vec![bad.task]));
        if death < 4 {
            running.extend(c.assigned());
        }
    }
    let (_, said) = c.hear();
    let failed = failures(&said);
    assert_eq!(failed.iter().map(|(future, _)| *future).collect::<Vec<_>>(), [futures[0], futures[2]]);
    for (_, failure) in failed {
        let Failure::KilledWorker { deaths: 4, cause, .. } = &*failure else { panic!("{failure:?}") };
        assert_eq!(&**cause, "killed by signal 9");
    }
}

#[test]
fn failed_tasks_are_tried_again_as_often_as_asked() {
    let mut c = Cluster::with_workers(1, 1);
    let futures = c.submit(&[("t", &[])], TaskOptions { retries: 2, ..TaskOptions::default() });
    for _ in 0..2 {
        let running = c.assigned();
        c.fail(&running[0]);
        assert!(failures(&c.to_clients).is_empty());
    }
    let running = c.assigned();
    assert_eq!(running[0].1.run, 3);
    c.fail(&running[0]);
    assert_eq!(failures(&c.hear().1).len(), 1);
    // And once more when a client says so.
    c.client(0, FromClient::Retry { futures });
    let running = c.assigned();
    c.finish(&running[0], 1);
    assert!(matches!(&c.hear().1[..], [(0, ToClient::Done { .. })]));
}

#[test]
fn urgent_tasks_come_first() {
    let mut c = Cluster::with_workers(1, 1);
    c.submit(&[("first", &[]), ("second", &[])], TaskOptions::default());
    c.submit(&[("a", &[]), ("b", &[]), ("c", &[])], TaskOptions::default());
    c.submit(&[("urgent", &[])], TaskOptions { priority: 10, ..TaskOptions::default() });
    let mut order = Vec::new();
    let mut running = c.assigned();
    while let Some(task) = (!running.is_empty()).then(|| running.remove(0)) {
        order.push(task.1.key.to_string());
        c.finish(&task, 500);
        running.extend(c.assigned());
    }
    // The first two had been sent before the urgent one came.
    assert_eq!(order, ["'first'", "'second'", "'urgent'", "'a'", "'b'", "'c'"]);
}

#[test]
fn tasks_that_only_make_data_wait_for_room() {
    let mut c = Cluster::with_workers(2, 2);
    let names: Vec<String> = (0..100).map(|i| format!("load-{i}")).collect();
    let tasks: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
    c.submit(&tasks, TaskOptions::default());
    let running = c.assigned();
    // Saturation 1.1 rounds two threads up to three tasks.
    assert_eq!(running.len(), 6);
    // They turn out to take long: one goes, one comes.
    c.finish(&running[0], 1000);
    assert_eq!(c.assigned().len(), 1);
}

#[test]
fn short_tasks_are_sent_ahead() {
    let mut c = Cluster::with_workers(1, 1);
    let names: Vec<String> = (0..10_000).map(|i| format!("tiny-{i}")).collect();
    let tasks: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
    c.submit(&tasks, TaskOptions::default());
    let running = c.assigned();
    assert_eq!(running.len(), 2);
    c.now += MS;
    let (task, run) = (running[0].1.task, running[0].1.run);
    let (started_ns, stopped_ns) = (0, 50_000);
    let finished = Finished { task, run, nbytes: 8, started_ns, stopped_ns, type_name: "int".into() };
    c.worker(0, FromWorker::Finished(vec![finished]));
    // 10 ms of work at 50 µs each.
    assert_eq!(c.assigned().len() + 1, 200);
}

#[test]
fn work_goes_where_its_data_is() {
    let mut c = Cluster::with_workers(8, 1);
    let data = |future, name: &str, nbytes, worker| Scattered {
        future: FutureId(future),
        key: name.into(),
        nbytes,
        workers: vec![WorkerId(worker)],
    };
    c.client(
        1,
        FromClient::Scattered { data: vec![data(1, "small", 1000, 3), data(2, "large", 1 << 30, 5)] },
    );
    c.submit(&[("both", &["small", "large"])], TaskOptions::default());
    let (said, _) = c.hear();
    let [(5, ToWorker::Compute(compute))] = &said[..] else { panic!("{said:?}") };
    let sources: Vec<Vec<WorkerId>> =
        compute.iter().next().unwrap().1.iter().map(|s| s.workers.to_vec()).collect();
    assert_eq!(
        sources,
        [vec![WorkerId(3)], vec![]],
        "the small one is to be fetched, the large one is there"
    );
    assert_eq!(compute.peers.len(), 1);
}

#[test]
fn restrictions_hold() {
    let mut c = Cluster::with_workers(2, 1);
    let only = |name: &str, allow_other_workers| TaskOptions {
        workers: vec![name.into()],
        allow_other_workers,
        ..TaskOptions::default()
    };
    c.submit(&[("a", &[])], only("w1", false));
    assert_eq!(c.assigned()[0].0, 1);
    c.submit(&[("b", &[])], only("sim://0", false));
    assert_eq!(c.assigned()[0].0, 0);
    c.submit(&[("c", &[])], only("w2", false));
    assert!(c.assigned().is_empty(), "w2 is not there");
    c.submit(&[("d", &[])], only("w2", true));
    assert_eq!(c.assigned().len(), 1);
    c.submit(&[("e", &[])], TaskOptions { resources: vec![("GPU".into(), 2.0)], ..TaskOptions::default() });
    assert!(c.assigned().is_empty());
    c.join(2, 1, &[("GPU", 1.0)]);
    assert_eq!(
        c.assigned().iter().map(|(w, t)| (*w, t.key.to_string())).collect::<Vec<_>>(),
        [(2, "'c'".into())]
    );
    c.join(3, 1, &[("GPU", 4.0)]);
    assert_eq!(c.assigned()[0].0, 3);
}

#[test]
fn results_go_when_nobody_needs_them() {
    let mut c = Cluster::with_workers(1, 1);
    let futures = c.submit(&[("a", &[]), ("b", &["a"])], TaskOptions::default());
    c.client(0, FromClient::Release { futures: vec![futures[0]] });
    let running = c.assigned();
    c.finish(&running[0], 1);
    let b = c.assigned();
    c.finish(&b[0], 1);
    let freed = c.hear().0;
    assert!(
        matches!(&freed[..], [(0, ToWorker::Free { tasks })] if *tasks == [running[0].1.task]),
        "{freed:?}"
    );
    // b's recipe stays: if it is lost it is made again, with a.
    assert_eq!(c.scheduler.usage().tasks, 2);
    c.join(1, 1, &[]);
    c.hear();
    c.lose(0, None);
    let (said, heard) = c.hear();
    assert!(matches!(&heard[..], [(0, ToClient::Lost { .. })]), "{heard:?}");
    let [(1, ToWorker::Compute(compute))] = &said[..] else { panic!("{said:?}") };
    assert_eq!(compute.tasks[0].key, Key::from("a"));
    c.client(0, FromClient::Release { futures });
    assert_eq!(c.scheduler.usage().tasks, 0);
}

#[test]
fn scattered_data_that_is_lost_is_said_to_be() {
    let mut c = Cluster::with_workers(2, 1);
    let data =
        vec![Scattered { future: FutureId(1), key: "d".into(), nbytes: 9, workers: vec![WorkerId(0)] }];
    c.client(1, FromClient::Scattered { data });
    c.submit(&[("r", &["d"])], TaskOptions::default());
    c.lose(0, None);
    let failed = failures(&c.hear().1);
    assert_eq!(failed.len(), 2);
    assert!(failed.iter().all(|(_, failure)| matches!(&**failure, Failure::Lost { .. })));
}

#[test]
fn cancelling_takes_what_depends_with_it() {
    let mut c = Cluster::with_workers(1, 1);
    let futures = c.submit(&[("a", &[]), ("b", &["a"]), ("c", &["b"])], TaskOptions::default());
    c.client(1, FromClient::Want { futures: vec![(FutureId(1), "b".into())] });
    c.hear();
    c.client(0, FromClient::Cancel { futures: vec![futures[0]], force: false, reason: "why".into() });
    let (said, heard) = c.hear();
    // Client 1 wants b, and a is read by it: a goes on, without a future.
    assert!(said.is_empty());
    let cancelled = |heard: &[(u32, ToClient)]| -> usize {
        let count =
            |m: &ToClient| if let ToClient::Cancelled { futures, .. } = m { futures.len() } else { 0 };
        heard.iter().map(|(_, message)| count(message)).sum()
    };
    assert_eq!(cancelled(&heard), 2, "c can still be computed");
    assert_eq!(c.scheduler.usage().tasks, 3);
    c.client(1, FromClient::Cancel { futures: vec![FutureId(1)], force: true, reason: "why".into() });
    let (said, heard) = c.hear();
    assert!(matches!(&said[..], [(0, ToWorker::Free { .. })]), "{said:?}");
    assert_eq!(cancelled(&heard), 2, "b, and what client 0 wants of it");
    assert_eq!(c.scheduler.usage().tasks, 0);
}

#[test]
fn idle_workers_take_over_what_waits_elsewhere() {
    let mut c = Cluster::with_workers(1, 1);
    let data =
        vec![Scattered { future: FutureId(1), key: "d".into(), nbytes: 9, workers: vec![WorkerId(0)] }];
    c.client(1, FromClient::Scattered { data });
    // One task a layer: each goes to its data at once, so all wait at the only worker.
    for i in 0..10 {
        c.submit(&[(format!("t-{i}").as_str(), &["d"])], TaskOptions::default());
    }
    assert_eq!(c.assigned().len(), 10);
    c.join(1, 1, &[]);
    c.now += 200 * MS;
    c.handle(Event::Tick);
    let (said, _) = c.hear();
    let steals: Vec<(TaskId, u32)> = said
        .iter()
        .flat_map(|(w, message)| match message {
            ToWorker::Steal { tasks } if *w == 0 => tasks.clone(),
            _ => vec![],
        })
        .collect();
    assert!(!steals.is_empty());
    let (task, run) = steals[0];
    // It has started: it stays.
    c.worker(0, FromWorker::Steal { tasks: vec![(task, run, false)] });
    assert!(c.assigned().is_empty());
    c.now += 200 * MS;
    c.handle(Event::Tick);
    let (task, run) = c
        .to_workers
        .iter()
        .find_map(|(_, message)| match message {
            ToWorker::Steal { tasks } => Some(tasks[0]),
            _ => None,
        })
        .unwrap_or(steals[0]);
    c.hear();
    c.worker(0, FromWorker::Steal { tasks: vec![(task, run, true)] });
    let moved = c.assigned();
    assert_eq!(moved.iter().map(|(w, t)| (*w, t.task, t.run)).collect::<Vec<_>>(), [(1, task, run + 1)]);
}

#[test]
fn stories_say_what_happened() {
    let mut c = Cluster::with_workers(1, 1);
    c.submit(&[("t", &[])], TaskOptions::default());
    let running = c.assigned();
    c.finish(&running[0], 3);
    let Answer::Story(lines) = c.ask(Question::Story { keys: vec!["t".into()] }) else { panic!() };
    let steps: Vec<String> = lines.iter().map(|line| format!("{} → {}", line.from, line.to)).collect();
    assert_eq!(
        steps,
        ["released → waiting", "waiting → queued", "queued → processing", "processing → memory"]
    );
    let Answer::Tasks(tasks) = c.ask(Question::Tasks { keys: vec![] }) else { panic!() };
    assert_eq!((&*tasks[0].state, tasks[0].nbytes), ("memory", Some(100)));
    let Answer::Workers(workers) = c.ask(Question::Workers) else { panic!() };
    assert_eq!((workers[0].in_memory, workers[0].nbytes, workers[0].processing), (1, 100, 0));
}

#[test]
fn copies_are_made_evened_out_and_dropped() {
    let mut c = Cluster::with_workers(2, 1);
    let data = |future: u64| Scattered {
        future: FutureId(future),
        key: format!("d-{future}").as_str().into(),
        nbytes: 100,
        workers: vec![WorkerId(0)],
    };
    c.client(1, FromClient::Scattered { data: (0..4).map(data).collect() });
    c.hear();
    c.client(1, FromClient::Rebalance { request: RequestId(1), keys: vec![], workers: vec![] });
    let (said, heard) = c.hear();
    assert!(heard.is_empty(), "not before the copies are there");
    let [(1, ToWorker::Replicate(sources))] = &said[..] else { panic!("{said:?}") };
    let tasks: Vec<TaskId> = sources.iter().map(|(_, source)| source.task).collect();
    assert_eq!(tasks.len(), 2);
    c.worker(1, FromWorker::Replicated { tasks: tasks.clone() });
    let (said, heard) = c.hear();
    assert!(
        said.iter().any(|(w, m)| *w == 0 && matches!(m, ToWorker::DropReplicas { tasks: t } if t.len() == 2))
    );
    assert!(matches!(&heard[..], [(1, ToClient::Answer { answer: Answer::Ok { .. }, .. })]), "{heard:?}");
    // The worker keeps one after all.
    c.worker(0, FromWorker::Kept { tasks: vec![tasks[0]] });
    assert_eq!(c.scheduler.usage().replicas, 5);
    c.hear();
    // Nobody needs two.
    c.now += 3000 * MS;
    c.handle(Event::Tick);
    assert_eq!(c.scheduler.usage().replicas, 4);
}

#[test]
fn workers_hand_over_before_they_go() {
    let mut c = Cluster::with_workers(2, 1);
    let data =
        vec![Scattered { future: FutureId(1), key: "d".into(), nbytes: 9, workers: vec![WorkerId(0)] }];
    c.client(1, FromClient::Scattered { data });
    c.hear();
    let workers = vec!["w0".into()];
    c.client(1, FromClient::RetireWorkers { request: RequestId(1), workers, close: true });
    let (said, heard) = c.hear();
    assert!(heard.is_empty());
    assert!(said.iter().any(|(w, message)| *w == 0 && matches!(message, ToWorker::Retire)));
    let task = said.iter().find_map(|(w, message)| match message {
        ToWorker::Replicate(sources) if *w == 1 => sources.iter().next().map(|(_, source)| source.task),
        _ => None,
    });
    c.worker(1, FromWorker::Replicated { tasks: vec![task.unwrap()] });
    c.now += 200 * MS;
    c.handle(Event::Tick);
    let (said, heard) = c.hear();
    assert!(said.iter().any(|(w, message)| *w == 0 && matches!(message, ToWorker::Close { .. })), "{said:?}");
    assert!(matches!(&heard[..], [(1, ToClient::Answer { answer: Answer::Ok { .. }, .. })]));
    c.lose(0, None);
    assert_eq!(c.scheduler.usage().replicas, 1);
}

#[test]
fn graphs_that_make_no_sense_are_refused() {
    let mut c = Cluster::with_workers(1, 1);
    let bad = |rule| {
        let work = LayerWork::Each { blobs: vec![u32::MAX], payloads: Payloads::from_slices(["", ""]) };
        let layer = LayerSpec { name: "l".into(), inputs: vec![], rule, work, options: 0 };
        let wants = vec![Want { future: FutureId(1), layer: 0, index: 0 }];
        FromClient::Graph(Graph { layers: vec![layer], wants, ..Graph::default() })
    };
    let keys: Arc<[Key]> = [Key::from("a"), Key::from("b")].into();
    let circle = Rule::Explicit {
        keys: keys.clone(),
        starts: vec![0, 1, 2],
        reads: vec![(u32::MAX, 1), (u32::MAX, 0)],
    };
    let elsewhere = Rule::Explicit { keys: keys.clone(), starts: vec![0, 1, 1], reads: vec![(3, 0)] };
    let short = Rule::Explicit { keys: keys[..1].into(), starts: vec![0, 0], reads: vec![] };
    for rule in [circle, elsewhere, short] {
        c.hear();
        c.client(0, bad(rule));
        let heard = c.hear().1;
        assert!(matches!(&heard[..], [(0, ToClient::Refused { .. })]), "{heard:?}");
    }
    assert_eq!(c.scheduler.usage().tasks, 0);
}

#[test]
fn what_stale_workers_say_is_ignored() {
    let mut c = Cluster::with_workers(2, 1);
    let futures = c.submit(&[("t", &[])], TaskOptions::default());
    let old = c.assigned();
    c.lose(old[0].0, None);
    let new = c.assigned();
    assert_ne!(new[0].0, old[0].0);
    c.finish(&old[0], 1);
    assert!(c.hear().1.is_empty());
    c.client(0, FromClient::Release { futures });
    c.finish(&new[0], 1);
    c.worker(new[0].0, FromWorker::Replicated { tasks: vec![new[0].1.task] });
    assert_eq!(c.scheduler.usage().tasks, 0);
}

#[test]
fn what_no_worker_may_run_fails_in_time_if_asked() {
    let timeout = 5000 * MS;
    let mut c = Cluster::new(Config { no_workers_timeout_ns: Some(timeout), ..Config::default() });
    c.join(0, 1, &[]);
    c.submit(&[("t", &[])], TaskOptions { workers: vec!["nobody".into()], ..TaskOptions::default() });
    c.now += timeout / 2;
    // Workers that come and may not run it do not begin the wait anew.
    c.join(1, 1, &[]);
    c.now += timeout / 2;
    c.handle(Event::Tick);
    assert_eq!(failures(&c.hear().1).len(), 1);
}

#[test]
fn actors_stay_and_are_not_made_twice() {
    let mut c = Cluster::with_workers(2, 1);
    c.submit(&[("a", &[])], TaskOptions { actor: true, ..TaskOptions::default() });
    let running = c.assigned();
    c.finish(&running[0], 1);
    c.hear();
    c.client(1, FromClient::Rebalance { request: RequestId(1), keys: vec![], workers: vec![] });
    assert!(c.hear().0.is_empty());
    c.lose(running[0].0, None);
    let (said, heard) = c.hear();
    assert!(said.is_empty());
    assert!(matches!(&*failures(&heard)[0].1, Failure::Lost { .. }));
}

#[test]
fn a_restart_forgets_everything() {
    let mut c = Cluster::with_workers(2, 1);
    c.submit(&[("a", &[]), ("b", &["a"]), ("x", &[])], TaskOptions::default());
    let running = c.assigned();
    c.finish(&running[0], 1);
    c.hear();
    c.client(1, FromClient::Restart { request: RequestId(1) });
    let (_, heard) = c.hear();
    let cancelled: usize = heard
        .iter()
        .map(|(_, message)| if let ToClient::Cancelled { futures, .. } = message { futures.len() } else { 0 })
        .sum();
    assert_eq!(cancelled, 3);
    assert_eq!(c.scheduler.usage().tasks, 0);
}

#[test]
fn a_graph_waits_for_its_functions_and_what_follows_waits_for_it() {
    use weft_scheduler::message::{Blob, Digest};
    let mut c = Cluster::with_workers(1, 1);
    let rule = Rule::Single { reads: vec![] };
    let work = LayerWork::Shared { blob: 0 };
    let layer = LayerSpec { name: "t".into(), inputs: vec![], rule, work, options: 0 };
    let want = Want { future: FutureId(7), layer: 0, index: 0 };
    let graph =
        Graph { digests: vec![Digest(5)], layers: vec![layer], wants: vec![want], ..Graph::default() };
    c.client(0, FromClient::Graph(graph));
    assert!(matches!(&c.hear().1[..], [(0, ToClient::NeedBlobs { digests })] if *digests == [Digest(5)]));
    // Said while the graph waits: heard after it.
    c.client(0, FromClient::Want { futures: vec![(FutureId(8), "t".into())] });
    c.client(0, FromClient::Release { futures: vec![FutureId(7)] });
    assert_eq!(c.scheduler.usage().tasks, 0);
    let blob = Blob { digest: Digest(5), bytes: b"function".to_vec().into() };
    c.client(0, FromClient::Blobs { blobs: vec![blob.clone()] });
    let (said, _) = c.hear();
    let [(0, ToWorker::Compute(compute))] = &said[..] else { panic!("{said:?}") };
    assert_eq!(compute.blobs, [blob]);
    assert_eq!((c.scheduler.usage().wants, c.scheduler.usage().blobs), (1, 1));
    c.client(0, FromClient::Release { futures: vec![FutureId(8)] });
    assert_eq!((c.scheduler.usage().tasks, c.scheduler.usage().blobs), (0, 0));
    let (said, _) = c.hear();
    assert!(said.iter().any(|(_, message)| matches!(message, ToWorker::ForgetBlobs { .. })), "{said:?}");
}
