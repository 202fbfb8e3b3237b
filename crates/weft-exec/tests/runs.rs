//! Runs on the caller's thread: what is observable of the engine's promises.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::*;
use parking_lot::Mutex;
use weft_data::{ErrorKind, Store, TaskError, Value};
use weft_exec::{Event, NoGate, PlanError, Run, RunOptions, Stop};

fn sequential(run: &Run) {
    run.serve(&mut NoGate);
}

#[test]
fn one_thread_runs_in_the_static_order() {
    // A tree of sums: depth first, leaves only when their sum is next.
    let dependencies = vec![vec![1, 2], vec![3, 4], vec![5, 6], vec![], vec![], vec![], vec![]];
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = order.clone();
    let tasks = graph(
        &dependencies,
        &[0],
        Call::new(move |index, inputs| {
            seen.lock().push(index);
            Ok(number(1 + inputs.iter().map(read).sum::<u64>()))
        }),
    );
    let run = Run::new(tasks.clone(), RunOptions::new(1)).unwrap();
    sequential(&run);
    assert_eq!(read(&run.outputs().unwrap()[0]), 7);
    let expected: Vec<u32> = run.in_order().iter().map(|t| tasks.work(*t).1).collect();
    assert_eq!(*order.lock(), expected);
}

#[test]
fn results_go_as_soon_as_nobody_needs_them() {
    // A chain of 50: at most the input and the output of one step are alive.
    let alive = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));

    #[derive(Debug)]
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    impl weft_data::Object for Counted {
        fn nbytes(&self) -> usize {
            8
        }
        fn encode(&self, _: &mut (dyn std::io::Write + Send)) -> Result<(), weft_data::CodecError> {
            Ok(())
        }
        fn decoder(&self) -> weft_data::Decode {
            |_| Err(weft_data::CodecError::Codec("no".into()))
        }
        fn as_any(&self) -> &dyn std::any::Any {
            self
        }
    }

    let dependencies: Vec<Vec<u32>> = (0..50).map(|i| if i == 49 { vec![] } else { vec![i + 1] }).collect();
    let (counter, peak) = (alive.clone(), most.clone());
    let tasks = graph(
        &dependencies,
        &[0],
        Call::new(move |_, _| {
            let now = counter.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(now, Ordering::SeqCst);
            Ok(Value::Object(Arc::new(Counted(counter.clone()))))
        }),
    );
    let run = Run::new(tasks, RunOptions::new(1)).unwrap();
    sequential(&run);
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert_eq!(alive.load(Ordering::SeqCst), 1);
    drop(run.outputs().unwrap());
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn the_first_error_stops_the_run() {
    let ran = Arc::new(AtomicUsize::new(0));
    let count = ran.clone();
    // 0 reads 1, 2, …; 1 fails.
    let mut dependencies = vec![(1..100).collect::<Vec<u32>>()];
    dependencies.extend((1..100).map(|_| vec![]));
    let tasks = graph(
        &dependencies,
        &[0],
        Call::new(move |index, _| {
            count.fetch_add(1, Ordering::SeqCst);
            if index == 1 { Err(TaskError::native(ErrorKind::Value, "no luck")) } else { Ok(number(0)) }
        }),
    );
    let run = Run::new(tasks.clone(), RunOptions::new(1)).unwrap();
    sequential(&run);
    match run.outputs() {
        Err(Stop::Failed { task, error }) => {
            assert_eq!(tasks.key(task).to_string(), "'t1'");
            assert_eq!(error.to_string(), "no luck");
        }
        other => panic!("{other:?}"),
    }
    let place = run.in_order().iter().position(|t| tasks.work(*t).1 == 1).unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), place + 1);
}

#[test]
fn a_panic_is_an_error_that_names_the_task() {
    let tasks = graph(&[vec![]], &[0], Call::new(|_, _| panic!("out of cheese")));
    let run = Run::new(tasks, RunOptions::new(1)).unwrap();
    sequential(&run);
    let Err(Stop::Failed { error, .. }) = run.outputs() else { panic!() };
    let message = error.to_string();
    assert!(message.contains("'t0'") && message.contains("out of cheese"), "{message}");
}

#[test]
fn a_cycle_is_named_before_anything_runs() {
    let tasks = graph(&[vec![1], vec![2], vec![1]], &[0], Call::new(|_, _| Ok(number(0))));
    let error = Run::new(tasks, RunOptions::new(1)).unwrap_err();
    let PlanError::Cycle(keys) = &error;
    assert_eq!(keys.len(), 2);
    let message = error.to_string();
    assert!(
        message.contains("'t1' -> 't2' -> 't1'") || message.contains("'t2' -> 't1' -> 't2'"),
        "{message}"
    );
}

#[test]
fn aliases_never_run_and_cost_nothing() {
    // 0 reads aliases 1 and 2; 2 is an alias of 1, which is an alias of 3.
    let ran = Arc::new(Mutex::new(Vec::new()));
    let seen = ran.clone();
    let mut call = Call::new(move |index, inputs| {
        seen.lock().push(index);
        Ok(number(10 + inputs.iter().map(read).sum::<u64>()))
    });
    call.alias = |index| index == 1 || index == 2;
    let tasks = graph(&[vec![1, 2], vec![3], vec![1], vec![]], &[0, 2, 1], call);
    let run = Run::new(tasks, RunOptions::new(1)).unwrap();
    assert_eq!(run.len(), 2);
    sequential(&run);
    assert_eq!(*ran.lock(), [3, 0]);
    assert_eq!(run.outputs().unwrap().iter().map(read).collect::<Vec<_>>(), [30, 10, 10]);
}

#[test]
fn an_output_asked_for_twice_is_there_twice() {
    let tasks = graph(&[vec![1], vec![]], &[1, 0, 1], Call::new(|index, _| Ok(number(u64::from(index)))));
    let run = Run::new(tasks, RunOptions::new(1)).unwrap();
    sequential(&run);
    assert_eq!(run.outputs().unwrap().iter().map(read).collect::<Vec<_>>(), [1, 0, 1]);
}

#[test]
fn the_last_reader_gets_the_value_for_itself() {
    let tasks = graph(
        &[vec![1], vec![2], vec![]],
        &[0],
        Call::new(|index, inputs| {
            if let [Value::Bytes(input)] = inputs {
                assert!(Arc::get_mut(input).is_some());
            }
            // Both ways of keeping a result: small and in the store.
            Ok(Value::Bytes(vec![0; if index == 2 { 8 } else { 100_000 }].into()))
        }),
    );
    let run = Run::new(tasks, RunOptions::new(1)).unwrap();
    sequential(&run);
    assert!(run.outputs().is_ok());
}

#[test]
fn events_tell_the_story_in_order() {
    let tasks = graph(&[vec![1], vec![]], &[0], Call::new(|index, _| Ok(number(u64::from(index)))));
    let run = Run::new(tasks.clone(), RunOptions { events: true, ..RunOptions::new(1) }).unwrap();
    sequential(&run);
    let story: Vec<String> = run
        .events()
        .iter()
        .map(|event| match event {
            Event::Started { task, .. } => format!("start {}", tasks.key(*task)),
            Event::Finished { task, value, .. } => {
                format!("{} = {}", tasks.key(*task), read(value.as_ref().unwrap()))
            }
            Event::Failed { task, .. } => format!("{} failed", tasks.key(*task)),
        })
        .collect();
    assert_eq!(story, ["start 't1'", "'t1' = 1", "start 't0'", "'t0' = 0"]);
}

#[test]
fn with_manual_admission_nothing_runs_unasked() {
    let tasks =
        graph(&[vec![1, 2], vec![], vec![]], &[0], Call::new(|index, _| Ok(number(u64::from(index)))));
    let run = Run::new(tasks, RunOptions { events: true, manual: true, ..RunOptions::new(2) }).unwrap();
    run.work_ready(&mut NoGate);
    assert!(run.events().is_empty());
    let mut admitted = Vec::new();
    while !run.is_over() {
        let task = run.admit().unwrap();
        admitted.push(task);
        run.start(task);
        run.work_ready(&mut NoGate);
        assert_eq!(run.events().len(), 2);
    }
    assert_eq!(admitted, run.in_order());
}

#[test]
fn a_cancelled_run_starts_nothing() {
    let tasks = graph(&[vec![]], &[0], Call::new(|_, _| panic!("started")));
    let run = Run::new(tasks, RunOptions::new(1)).unwrap();
    run.cancel();
    sequential(&run);
    assert!(matches!(run.outputs(), Err(Stop::Cancelled)));
}

#[test]
fn a_run_larger_than_its_budget_spills_and_is_right() {
    const N: u32 = 40;
    const BYTES: usize = 100_000;
    let base = tempfile::tempdir().unwrap();
    let store = Store::new(5 * BYTES, base.path());
    // 0 reads all; all are alive at once.
    let mut dependencies = vec![(1..N).collect::<Vec<u32>>()];
    dependencies.extend((1..N).map(|_| vec![]));
    let within = store.clone();
    let tasks = graph(
        &dependencies,
        &[0],
        Call::new(move |index, inputs| {
            if index == 0 {
                return Ok(number(inputs.iter().map(read).sum()));
            }
            assert!(within.stats().used <= 5 * BYTES);
            let mut bytes = vec![0; BYTES];
            bytes[..8].copy_from_slice(&u64::from(index).to_le_bytes());
            Ok(Value::Bytes(bytes.into()))
        }),
    );
    let run = Run::new(tasks, RunOptions { store: store.clone(), ..RunOptions::new(1) }).unwrap();
    sequential(&run);
    assert_eq!(read(&run.outputs().unwrap()[0]), u64::from(N * (N - 1) / 2));
    let stats = store.stats();
    assert!(stats.spilled >= 34 && stats.read_back == stats.spilled, "{stats:?}");
    assert_eq!((stats.used, stats.on_disk), (0, 0));
}

#[test]
fn a_full_disk_ends_the_run_with_the_reason() {
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("not-a-directory");
    std::fs::write(&file, b"").unwrap();
    let store = Store::new(1000, &file);
    let tasks = graph(
        &[vec![1, 2], vec![], vec![]],
        &[0],
        Call::new(|_, _| Ok(Value::Bytes(vec![0; 10_000].into()))),
    );
    let run = Run::new(tasks, RunOptions { store, ..RunOptions::new(1) }).unwrap();
    sequential(&run);
    let Err(Stop::Failed { error: TaskError::Native { kind, message }, .. }) = run.outputs() else {
        panic!()
    };
    assert_eq!(kind, ErrorKind::Memory);
    assert!(message.contains("memory.limit"), "{message}");
}
