//! The dashboard of a cluster that does not exist, for whoever works on the page:
//! `cargo run --release -p weft-dashboard --example made_up`.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::sync::watch;
use weft_dashboard::{Answer, Board, Kind, Line, Prefix, Run, Source, State, Step, Task, Worker, serve};

const WORKERS: usize = 4;
const THREADS: u32 = 2;
const NAMES: [&str; 4] = ["random_sample", "add", "sum-partial", "sum-aggregate"];

struct MadeUp {
    began_ms: f64,
}

fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}

impl Source for MadeUp {
    fn state(&self) -> Answer<'_, State> {
        Box::pin(async {
            let elapsed_s = (now_ms() - self.began_ms) / 1000.0;
            let done = (elapsed_s * 40.0) as u64;
            let workers = (0..WORKERS).map(|i| Worker {
                name: format!("worker-{i}").into(),
                address: format!("tcp://127.0.0.1:4000{i}").into(),
                pid: 1000 + i as u32,
                nthreads: THREADS,
                status: if i == 3 { "paused" } else { "running" }.into(),
                memory_limit: 4_000_000_000,
                memory: (2.0e9 + 1.0e9 * (elapsed_s / 3.0 + i as f64).sin()) as u64,
                managed: 900_000_000,
                spilled: 300_000_000 * i as u64,
                cpu_percent: 150.0 + 40.0 * (elapsed_s + i as f64).sin() as f32,
                bandwidth_bytes_per_s: 3e7 * (1.0 + (elapsed_s / 2.0).sin()),
                processing: 3 + i as u32 * 2,
                in_memory: 40,
                occupancy_s: 1.5,
                silent_s: 0.2,
                ..Worker::default()
            });
            let prefixes = NAMES.iter().enumerate().map(|(i, name)| Prefix {
                name: (*name).into(),
                waiting: 400_u64.saturating_sub(done),
                processing: 8,
                memory: done.min(200) / (i as u64 + 1),
                released: done.min(400) / 2,
                erred: u64::from(i == 1) * 3,
                seconds: elapsed_s,
                nbytes: 8_000_000 * done,
                ..Prefix::default()
            });
            State {
                id: "Scheduler-made-up".into(),
                address: "tcp://127.0.0.1:8786".into(),
                version: env!("CARGO_PKG_VERSION").into(),
                now_ms: now_ms(),
                started_ms: self.began_ms,
                clients: vec!["Client-1".into()],
                workers: workers.collect(),
                prefixes: prefixes.collect(),
            }
        })
    }

    fn task(&self, key: String) -> Answer<'_, Option<Task>> {
        let step = |from: &str, to: &str| Step {
            at_ms: now_ms(),
            from: from.into(),
            to: to.into(),
            cause: "made up".into(),
            worker: Some("worker-1".into()),
        };
        Box::pin(async move {
            Some(Task {
                key,
                name: "add".into(),
                state: "erred".into(),
                dependencies: vec!["('random_sample', 0, 1)".into(), "('random_sample', 1, 0)".into()],
                failure: Some(
                    "Traceback (most recent call last):\n  File \"job.py\", line 3, in add\nValueError: no"
                        .into(),
                ),
                story: vec![step("waiting", "processing"), step("processing", "erred")],
                ..Task::default()
            })
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8787").await?;
    println!("http://{}/status", listener.local_addr()?);
    let board = Board::new();
    let (_stop, stopped) = watch::channel(false);
    let feed = board.clone();
    tokio::spawn(async move {
        let mut turn = 0_usize;
        loop {
            tokio::time::sleep(Duration::from_millis(150)).await;
            turn += 1;
            let end = now_ms();
            feed.runs((0..WORKERS * THREADS as usize).map(|lane| {
                let at = turn * 7 + lane * 3;
                Run {
                    worker: format!("worker-{}", lane / THREADS as usize).into(),
                    thread: (lane % THREADS as usize) as u32,
                    name: NAMES[at % NAMES.len()].into(),
                    key: format!("{}-{at}", NAMES[at % NAMES.len()]).into(),
                    kind: match at % 11 {
                        0 => Kind::Transfer,
                        1 => Kind::Disk,
                        2 if turn.is_multiple_of(5) => Kind::Erred,
                        _ => Kind::Compute,
                    },
                    start_ms: end - 30.0 - (at % 9) as f64 * 12.0,
                    stop_ms: end,
                    count: 1,
                    nbytes: 8_000_000,
                }
            }));
            if turn.is_multiple_of(20) {
                feed.line(Line {
                    at_ms: end,
                    level: "warning",
                    from: "worker-3".into(),
                    text: "paused: 3.3 GB of 4.0 GB are used".into(),
                });
            }
        }
    });
    serve(listener, Arc::new(MadeUp { began_ms: now_ms() }), board, None, stopped).await
}
