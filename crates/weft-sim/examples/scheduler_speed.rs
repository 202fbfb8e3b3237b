//! How many tasks a second the scheduler alone handles, and what it holds for each.
//!
//! ```text
//! cargo run --release -p weft-sim --example scheduler_speed -- [array|map|layers] [tasks] [workers] [threads]
//! ```
//!
//! Workers are a few lines here: they run what they are sent by priority, in virtual time, say what they copied and what
//! they finished. Only the scheduler's own time is measured: planning, taking the graph in, handling messages,
//! making messages.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use weft_graph::{Axis, Key, Read, Rule};
use weft_scheduler::message::{
    ClientHello, ClientId, Digest, Finished, FromClient, FromWorker, FutureId, Graph, LayerSpec, LayerWork,
    TaskId, TaskOptions, ToClient, ToWorker, Want, WorkerHello, WorkerId, WorkerStatus,
};
use weft_scheduler::{Action, Config, Event, Plan, Scheduler};

/// Processor time of this process: other work on the machine does not count.
fn cpu() -> Duration {
    // SAFETY: the structure is plain numbers, and the call only writes to it.
    unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

/// Counts what is allocated.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn layer(name: &str, inputs: Vec<u32>, rule: Rule) -> LayerSpec {
    LayerSpec { name: Key::from(name), inputs, rule, work: LayerWork::Shared { blob: 0 }, options: 0 }
}

fn along(own: u32) -> Axis {
    Axis::Along { own, offset: 0 }
}

/// `(x + x.T).sum()`: blocks, a transposition, a tree.
fn array(tasks: usize) -> Vec<LayerSpec> {
    let n = ((tasks as f64 / 2.34).sqrt() as u32).max(2);
    let x = layer("x", vec![], Rule::Grid { shape: vec![n, n], reads: vec![] });
    let straight = Read { input: 0, axes: vec![along(0), along(1)] };
    let turned = Read { input: 0, axes: vec![along(1), along(0)] };
    let y = layer("y", vec![0], Rule::Grid { shape: vec![n, n], reads: vec![straight, turned] });
    let mut layers = vec![x, y];
    let mut side = n;
    while side > 1 {
        let next = side.div_ceil(2);
        let group = |own| Axis::Group { own, size: 2 };
        let reads = vec![Read { input: 0, axes: vec![group(0), group(1)] }];
        let below = layers.len() as u32 - 1;
        let name = format!("sum-{next}");
        layers.push(layer(&name, vec![below], Rule::Grid { shape: vec![next, next], reads }));
        side = next;
    }
    layers
}

/// `client.map`: nothing but roots, each with a future.
fn map(tasks: usize) -> Vec<LayerSpec> {
    vec![layer("inc", vec![], Rule::Grid { shape: vec![tasks as u32], reads: vec![] })]
}

/// Four elementwise steps on blocks.
fn layers(tasks: usize) -> Vec<LayerSpec> {
    let n = (tasks / 4) as u32;
    let one = || vec![Read { input: 0, axes: vec![along(0)] }];
    let mut all = vec![layer("a", vec![], Rule::Grid { shape: vec![n], reads: vec![] })];
    for (i, name) in ["b", "c", "d"].into_iter().enumerate() {
        all.push(layer(name, vec![i as u32], Rule::Grid { shape: vec![n], reads: one() }));
    }
    all
}

/// What a worker does with what it is sent.
#[derive(Default)]
struct SmallWorker {
    ready: BinaryHeap<Reverse<(weft_scheduler::message::Priority, TaskId, u32)>>,
    running: HashMap<TaskId, u32>,
    here: HashSet<TaskId>,
    freed: HashSet<TaskId>,
    threads: usize,
    copied: Vec<TaskId>,
    answers: Vec<(TaskId, u32, bool)>,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let kind = args.first().map_or("array", String::as_str);
    let tasks: usize = args.get(1).map_or(1_000_000, |n| n.parse().expect("a number of tasks"));
    let n_workers: u32 = args.get(2).map_or(1000, |n| n.parse().expect("a number of workers"));
    let threads: u32 = args.get(3).map_or(1, |n| n.parse().expect("a number of threads"));
    let specs = match kind {
        "map" => map(tasks),
        "layers" => layers(tasks),
        _ => array(tasks),
    };
    let last = specs.last().unwrap();
    let outputs = match &last.rule {
        Rule::Grid { shape, .. } => shape.iter().product::<u32>(),
        _ => 1,
    };
    let layer = specs.len() as u32 - 1;
    let wants = (0..outputs).map(|index| Want { future: FutureId(u64::from(index)), layer, index }).collect();
    let blob = weft_scheduler::message::Blob { digest: Digest(1), bytes: vec![0; 100].into() };
    let graph = Graph {
        blobs: vec![blob],
        digests: vec![Digest(1)],
        layers: specs,
        options: vec![TaskOptions::default()],
        wants,
        order: None,
        same_generation: false,
    };

    let mut scheduler = Scheduler::new(Config::default());
    let mut workers: Vec<SmallWorker> = Vec::new();
    for w in 0..n_workers {
        let hello = WorkerHello {
            name: format!("worker-{w}").into(),
            address: format!("tcp://10.0.{}.{}:40000", w / 250, w % 250).into(),
            host: format!("10.0.{}.{}", w / 250, w % 250).into(),
            nanny: "".into(),
            pid: w,
            nthreads: threads,
            memory_limit: 0,
            resources: vec![],
            held: vec![],
            status: WorkerStatus::Running,
        };
        scheduler.handle(Event::Worker { worker: WorkerId(w), message: FromWorker::Hello(hello) }, 0);
        workers.push(SmallWorker { threads: threads as usize, ..SmallWorker::default() });
    }
    let client = ClientId(0);
    let hello = ClientHello { name: "client".into(), last_epoch: None };
    scheduler.handle(Event::Client { client, message: FromClient::Hello(hello) }, 0);
    let mut actions = Vec::new();
    scheduler.drain(&mut actions);
    actions.clear();

    let before = LIVE.load(Relaxed);
    let start = cpu();
    let plan = Plan::new(graph).expect("the graph is good");
    let planned = cpu() - start;
    let n = plan.n_tasks();
    let planned_nbytes = LIVE.load(Relaxed) - before;
    let start = cpu();
    scheduler.handle_plan(client, plan, 0);
    let inserted = cpu() - start;
    let inserted_nbytes = LIVE.load(Relaxed) - before;

    let mut handling = Duration::ZERO;
    let mut timers: BinaryHeap<Reverse<(u64, u32, TaskId)>> = BinaryHeap::new();
    let (mut now, mut done, mut messages, mut rounds) = (0u64, 0usize, 0usize, 0usize);
    let mut highest = 0usize;
    let mut tables = 0;
    let start_all = Instant::now();
    let mut events: Vec<Event> = Vec::new();
    while done < outputs as usize {
        let start = cpu();
        for event in events.drain(..) {
            scheduler.handle(event, now);
        }
        scheduler.drain(&mut actions);
        handling += cpu() - start;
        rounds += 1;
        for action in actions.drain(..) {
            messages += 1;
            match action {
                Action::Worker { worker, message } => {
                    let w = worker.0;
                    let worker = &mut workers[w as usize];
                    match message {
                        ToWorker::Compute(compute) => {
                            for (task, inputs) in compute.iter() {
                                for input in inputs {
                                    if !input.workers.is_empty() && worker.here.insert(input.task) {
                                        worker.copied.push(input.task);
                                    }
                                }
                                worker.freed.remove(&task.task);
                                worker.ready.push(Reverse((task.priority, task.task, task.run)));
                            }
                        }
                        ToWorker::Free { tasks } => {
                            for task in tasks {
                                worker.here.remove(&task);
                            }
                        }
                        ToWorker::Steal { tasks } => {
                            for (task, run) in tasks {
                                let free =
                                    !worker.running.contains_key(&task) && !worker.here.contains(&task);
                                if free {
                                    worker.freed.insert(task);
                                }
                                worker.answers.push((task, run, free));
                            }
                        }
                        _ => {}
                    }
                    let message = |message| Event::Worker { worker: WorkerId(w), message };
                    if !worker.copied.is_empty() {
                        let tasks = std::mem::take(&mut worker.copied);
                        events.push(message(FromWorker::Replicated { tasks }));
                    }
                    if !worker.answers.is_empty() {
                        let tasks = std::mem::take(&mut worker.answers);
                        events.push(message(FromWorker::Steal { tasks }));
                    }
                    begin(&mut workers[w as usize], w, now, &mut timers);
                }
                Action::Client { message: ToClient::Done { futures, .. }, .. } => done += futures.len(),
                Action::Client { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        if done >= outputs as usize {
            break;
        }
        // Everything that ends within the next 100 µs is read together.
        let Some(&Reverse((first, _, _))) = timers.peek() else {
            if events.is_empty() {
                now += 100_000_000;
                events.push(Event::Tick);
            }
            continue;
        };
        now = first + 100_000;
        let mut ended: HashMap<u32, Vec<Finished>> = HashMap::new();
        let mut order = Vec::new();
        while let Some(&Reverse((at, w, task))) = timers.peek()
            && at <= now
        {
            timers.pop();
            let worker = &mut workers[w as usize];
            let run = worker.running.remove(&task).expect("it ran");
            worker.here.insert(task);
            let (started_ns, stopped_ns) = (at - 2_000_000, at);
            let finished =
                Finished { task, run, nbytes: 8_000_000, started_ns, stopped_ns, type_name: "".into() };
            let list = ended.entry(w).or_default();
            if list.is_empty() {
                order.push(w);
            }
            list.push(finished);
        }
        for w in order {
            let message = FromWorker::Finished(ended.remove(&w).unwrap());
            events.push(Event::Worker { worker: WorkerId(w), message });
            begin(&mut workers[w as usize], w, now, &mut timers);
        }
        let usage = scheduler.usage();
        highest = highest.max(usage.replicas);
        tables = tables.max(usage.nbytes);
    }
    let total = planned + inserted + handling;
    let each = |d: Duration| d.as_nanos() as f64 / n as f64;
    println!("{kind}: {n} tasks, {n_workers} workers of {threads} threads, {outputs} futures");
    println!("  plan    {planned:>10.2?}  {:>6.0} ns a task", each(planned));
    println!("  insert  {inserted:>10.2?}  {:>6.0} ns a task", each(inserted));
    println!(
        "  handle  {handling:>10.2?}  {:>6.0} ns a task, {messages} messages in {rounds} rounds",
        each(handling)
    );
    println!(
        "  all     {total:>10.2?}  {:>6.0} ns a task: {:.2} million tasks a second",
        each(total),
        1e3 / each(total)
    );
    println!("  without planning: {:.2} million tasks a second", 1e3 / each(inserted + handling));
    println!(
        "  memory: {:.0} bytes a task after planning, {:.0} after insertion, {:.0} in tables at most while running; {highest} copies",
        planned_nbytes as f64 / n as f64,
        inserted_nbytes as f64 / n as f64,
        tables as f64 / n as f64,
    );
    println!(
        "  virtual time {:.1} s, real time of the simulation {:.1?}",
        now as f64 / 1e9,
        start_all.elapsed()
    );
    println!("  peak of the whole process: {:.0} MB", PEAK.load(Relaxed) as f64 / 1e6);
}

fn begin(worker: &mut SmallWorker, w: u32, now: u64, timers: &mut BinaryHeap<Reverse<(u64, u32, TaskId)>>) {
    while worker.running.len() < worker.threads {
        let Some(Reverse((_, task, run))) = worker.ready.pop() else { return };
        if worker.freed.remove(&task) {
            continue;
        }
        worker.running.insert(task, run);
        timers.push(Reverse((now + 2_000_000, w, task)));
    }
}
