//! Locks, semaphores, events, queues, variables, topics and data sets, as clients see them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use weft_scheduler::message::{
    ClientHello, ClientId, CoordinateAnswer as Answer, CoordinateOp as Op, FromClient, FromWorker, FutureId,
    Item, Key, RequestId, Scattered, ToClient, WorkerHello, WorkerId, WorkerStatus,
};
use weft_scheduler::{Action, Config, Event, Scheduler};

const S: u64 = 1_000_000_000;

/// A scheduler with three clients. Answers are (client, request, answer).
struct Table {
    scheduler: Scheduler,
    now: u64,
    requests: u64,
    topics: Vec<(u32, Vec<u8>)>,
}

impl Table {
    fn new() -> Self {
        let mut table =
            Table { scheduler: Scheduler::new(Config::default()), now: 0, requests: 0, topics: Vec::new() };
        for client in 0..3 {
            let hello = ClientHello { name: format!("client-{client}").into(), last_epoch: None };
            table.say(client, FromClient::Hello(hello));
        }
        table
    }

    fn say(&mut self, client: u32, message: FromClient) -> Vec<(u32, u64, Answer)> {
        self.handle(Event::Client { client: ClientId(client), message })
    }

    fn handle(&mut self, event: Event) -> Vec<(u32, u64, Answer)> {
        self.scheduler.handle(event, self.now);
        self.scheduler.validate().unwrap();
        let mut actions = Vec::new();
        self.scheduler.drain(&mut actions);
        let mut answers = Vec::new();
        for action in actions {
            match action {
                Action::Client { client, message: ToClient::Coordinate { request, answer } } => {
                    answers.push((client.0, request.0, answer));
                }
                Action::Client { client, message: ToClient::Topic { message, .. } } => {
                    self.topics.push((client.0, message.to_vec()));
                }
                _ => {}
            }
        }
        answers
    }

    /// Asks, and gives the number of the request with the answers that come of it.
    fn ask(&mut self, client: u32, op: Op) -> (u64, Vec<(u32, u64, Answer)>) {
        self.requests += 1;
        let request = RequestId(self.requests);
        (self.requests, self.say(client, FromClient::Coordinate { request, op }))
    }

    /// Asks for what is answered at once.
    fn now(&mut self, client: u32, op: Op) -> Answer {
        let (request, answers) = self.ask(client, op);
        let mine = answers.into_iter().find(|(_, id, _)| *id == request);
        mine.map(|(_, _, answer)| answer).unwrap_or_else(|| panic!("no answer"))
    }

    fn after(&mut self, ns: u64) -> Vec<(u32, u64, Answer)> {
        self.now += ns;
        self.handle(Event::Tick)
    }

    fn gone(&mut self, client: u32) -> Vec<(u32, u64, Answer)> {
        self.handle(Event::ClientLost { client: ClientId(client) })
    }
}

fn lock(names: &[&str], holder: &str, timeout_ns: Option<u64>) -> Op {
    let names = names.iter().map(|&name| name.into()).collect();
    Op::Lock { names, at_least: None, holder: holder.into(), timeout_ns }
}

fn unlock(names: &[&str], holder: &str) -> Op {
    Op::Unlock { names: names.iter().map(|&name| name.into()).collect(), holder: holder.into() }
}

fn locked(names: &[&str]) -> Answer {
    Answer::Locked(names.iter().map(|&name| name.into()).collect())
}

#[test]
fn locks_go_round_in_the_order_of_asking() {
    let mut t = Table::new();
    assert_eq!(t.now(0, lock(&["a"], "x", None)), locked(&["a"]));
    let (second, answers) = t.ask(1, lock(&["a"], "y", None));
    assert!(answers.is_empty());
    let (third, _) = t.ask(2, lock(&["a"], "z", None));
    assert_eq!(t.now(0, Op::IsLocked { name: "a".into() }), Answer::Is(true));
    assert!(matches!(t.now(1, unlock(&["a"], "y")), Answer::Refused(_)), "only the holder unlocks");
    let (_, answers) = t.ask(0, unlock(&["a"], "x"));
    assert!(answers.contains(&(1, second, locked(&["a"]))));
    // The holder dies: the lock goes on.
    assert_eq!(t.gone(1), [(2, third, locked(&["a"]))]);
    assert_eq!(t.now(2, unlock(&["a"], "z")), Answer::Ok);
    assert_eq!(t.now(0, Op::IsLocked { name: "a".into() }), Answer::Is(false));
}

#[test]
fn waiting_ends_in_time() {
    let mut t = Table::new();
    t.now(0, lock(&["a"], "x", None));
    assert_eq!(t.now(1, lock(&["a"], "y", Some(0))), Answer::TimedOut);
    let (request, _) = t.ask(1, lock(&["a"], "y", Some(S)));
    assert!(t.after(S / 2).is_empty());
    assert_eq!(t.scheduler.next_wake_ns(), Some(S));
    assert_eq!(t.after(S / 2), [(1, request, Answer::TimedOut)]);
}

#[test]
fn who_wants_many_locks_is_not_passed_by() {
    let mut t = Table::new();
    t.now(0, lock(&["a"], "x", None));
    let (both, _) = t.ask(1, lock(&["a", "b"], "y", None));
    let (late, answers) = t.ask(2, lock(&["b"], "z", None));
    assert!(answers.is_empty(), "b is free, but spoken for");
    let (_, answers) = t.ask(0, unlock(&["a"], "x"));
    assert!(answers.contains(&(1, both, locked(&["a", "b"]))));
    let (_, answers) = t.ask(1, unlock(&["a", "b"], "y"));
    assert!(answers.contains(&(2, late, locked(&["b"]))));
    let any = Op::Lock {
        names: vec!["a".into(), "b".into()],
        at_least: Some(1),
        holder: "w".into(),
        timeout_ns: None,
    };
    assert_eq!(t.now(0, any), locked(&["a"]));
}

#[test]
fn semaphores_have_leases() {
    let mut t = Table::new();
    let name: Arc<str> = "s".into();
    let acquire =
        |lease: &str| Op::SemaphoreAcquire { name: "s".into(), lease: lease.into(), timeout_ns: None };
    assert!(matches!(t.now(0, acquire("0")), Answer::Refused(_)), "not open yet");
    assert_eq!(t.now(0, Op::SemaphoreOpen { name: name.clone(), leases: 2 }), Answer::Ok);
    assert!(matches!(t.now(1, Op::SemaphoreOpen { name: name.clone(), leases: 3 }), Answer::Refused(_)));
    assert_eq!(t.now(0, acquire("1")), Answer::Ok);
    assert_eq!(t.now(0, acquire("2")), Answer::Ok);
    let (third, answers) = t.ask(1, acquire("3"));
    assert!(answers.is_empty());
    assert_eq!(t.now(0, Op::SemaphoreCount { name: name.clone() }), Answer::Count(2));
    // Lease 1 is renewed, lease 2 is not.
    t.after(20 * S);
    let renew = |leases: &[&str]| Op::SemaphoreRenew {
        name: "s".into(),
        leases: leases.iter().map(|&lease| lease.into()).collect(),
    };
    assert_eq!(t.now(0, renew(&["1"])), Answer::Is(true));
    assert_eq!(t.after(15 * S), [(1, third, Answer::Ok)]);
    assert_eq!(t.now(0, renew(&["1", "2"])), Answer::Is(false), "lease 2 has ended");
    let release = |lease: &str| Op::SemaphoreRelease { name: "s".into(), lease: lease.into() };
    assert_eq!(t.now(0, release("2")), Answer::Is(false));
    let (fourth, _) = t.ask(2, acquire("4"));
    assert_eq!(t.gone(1), [(2, fourth, Answer::Ok)]);
    assert_eq!(t.now(0, release("1")), Answer::Is(true));
    assert_eq!(t.now(0, Op::SemaphoreCount { name }), Answer::Count(1));
}

#[test]
fn events_are_flags() {
    let mut t = Table::new();
    let name: Arc<str> = "e".into();
    let wait = |timeout_ns| Op::EventWait { name: "e".into(), timeout_ns };
    let (one, _) = t.ask(0, wait(None));
    let (two, _) = t.ask(1, wait(Some(S)));
    assert_eq!(t.after(2 * S), [(1, two, Answer::TimedOut)]);
    let (_, answers) = t.ask(2, Op::EventSet { name: name.clone() });
    assert!(answers.contains(&(0, one, Answer::Ok)));
    assert_eq!(t.now(1, wait(None)), Answer::Ok);
    assert_eq!(t.now(1, Op::EventClear { name: name.clone() }), Answer::Ok);
    assert_eq!(t.now(1, Op::EventIsSet { name }), Answer::Is(false));
}

fn data(text: &str) -> Item {
    Item::Data(text.as_bytes().to_vec().into())
}

#[test]
fn queues_hold_what_fits_and_serve_in_order() {
    let mut t = Table::new();
    let put = |text: &str| Op::QueuePut { name: "q".into(), item: data(text), timeout_ns: None };
    let get = |batch| Op::QueueGet { name: "q".into(), batch, timeout_ns: None };
    assert!(matches!(t.now(0, put("0")), Answer::Refused(_)));
    t.now(0, Op::QueueOpen { name: "q".into(), max_len: 2 });
    assert_eq!(t.now(0, put("1")), Answer::Ok);
    assert_eq!(t.now(0, put("2")), Answer::Ok);
    let (third, answers) = t.ask(1, put("3"));
    assert!(answers.is_empty());
    let (_, answers) = t.ask(2, get(None));
    assert_eq!(answers.iter().find(|a| a.0 == 2).unwrap().2, Answer::Items(vec![data("1")]));
    assert!(answers.contains(&(1, third, Answer::Ok)));
    assert_eq!(t.now(2, get(Some(10))), Answer::Items(vec![data("2"), data("3")]));
    let (waiting, answers) = t.ask(2, get(None));
    assert!(answers.is_empty());
    let (_, answers) = t.ask(0, put("4"));
    assert!(answers.contains(&(2, waiting, Answer::Items(vec![data("4")]))));
    let (waiting, _) = t.ask(2, get(None));
    let (_, answers) = t.ask(0, Op::QueueClose { name: "q".into() });
    assert!(answers.iter().any(|(_, id, answer)| *id == waiting && matches!(answer, Answer::Refused(_))));
}

#[test]
fn topics_reach_those_who_listen() {
    let mut t = Table::new();
    t.now(0, Op::Subscribe { topic: "t".into() });
    t.now(1, Op::Subscribe { topic: "t".into() });
    assert_eq!(
        t.now(2, Op::Publish { topic: "t".into(), message: b"hello".to_vec().into() }),
        Answer::Count(2)
    );
    assert_eq!(t.topics, [(0, b"hello".to_vec()), (1, b"hello".to_vec())]);
    t.gone(1);
    assert_eq!(t.now(2, Op::Subscribers { topic: "t".into() }), Answer::Count(1));
}

/// A table with a worker and one scattered result `k`, held by client 0 as future 1.
fn with_data() -> (Table, Key) {
    let mut t = Table::new();
    let hello = WorkerHello {
        name: "w".into(),
        address: "sim://0".into(),
        host: "sim".into(),
        nanny: "".into(),
        pid: 1,
        nthreads: 1,
        memory_limit: 0,
        resources: vec![],
        held: vec![],
        status: WorkerStatus::Running,
    };
    t.handle(Event::Worker { worker: WorkerId(0), message: FromWorker::Hello(hello) });
    let key = Key::from("k");
    let data =
        vec![Scattered { future: FutureId(1), key: key.clone(), nbytes: 8, workers: vec![WorkerId(0)] }];
    t.say(0, FromClient::Scattered { data });
    (t, key)
}

#[test]
fn futures_in_queues_and_variables_stay_wanted() {
    let (mut t, key) = with_data();
    t.now(0, Op::QueueOpen { name: "q".into(), max_len: 0 });
    let put = Op::QueuePut { name: "q".into(), item: Item::Future(key.clone()), timeout_ns: None };
    assert_eq!(t.now(0, put), Answer::Ok);
    t.say(0, FromClient::Release { futures: vec![FutureId(1)] });
    assert_eq!(t.scheduler.usage().tasks, 1);
    let get = Op::QueueGet { name: "q".into(), batch: None, timeout_ns: None };
    assert_eq!(t.now(1, get), Answer::Items(vec![Item::Future(key.clone())]));
    // Its new owner has time to say that it wants it.
    t.after(S);
    t.say(1, FromClient::Want { futures: vec![(FutureId(7), key.clone())] });
    t.after(100 * S);
    assert_eq!(t.scheduler.usage().tasks, 1);
    assert_eq!(t.now(1, Op::VariableSet { name: "v".into(), item: Item::Future(key.clone()) }), Answer::Ok);
    t.gone(1);
    let get = Op::VariableGet { name: "v".into(), timeout_ns: None };
    assert_eq!(t.now(2, get), Answer::Items(vec![Item::Future(key)]));
    t.now(2, Op::VariableSet { name: "v".into(), item: data("else") });
    t.after(100 * S);
    assert_eq!(t.scheduler.usage().tasks, 0, "nobody took it up");
}

#[test]
fn data_sets_outlive_their_clients() {
    let (mut t, key) = with_data();
    let name: weft_scheduler::message::Bytes = b"name".to_vec().into();
    let publish = |overwrite| Op::DatasetPublish {
        name: b"name".to_vec().into(),
        keys: vec![Key::from("k")],
        data: b"how".to_vec().into(),
        overwrite,
    };
    assert_eq!(t.now(0, publish(false)), Answer::Ok);
    assert!(matches!(t.now(0, publish(false)), Answer::Refused(_)));
    assert_eq!(t.now(0, publish(true)), Answer::Ok);
    t.gone(0);
    assert_eq!(t.now(1, Op::DatasetList), Answer::Names(vec![name.clone()]));
    let there = Answer::Dataset { keys: vec![key], data: b"how".to_vec().into() };
    assert_eq!(t.now(1, Op::DatasetGet { name: name.clone() }), there);
    assert_eq!(t.now(1, Op::DatasetUnpublish { name }), Answer::Ok);
    assert_eq!(t.scheduler.usage().tasks, 1, "handed over");
    t.after(100 * S);
    assert_eq!(t.scheduler.usage().tasks, 0);
}
