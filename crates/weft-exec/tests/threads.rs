//! Many threads, many runs, nesting, random graphs: the same answers as one thread.

mod common;

use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::*;
use parking_lot::{Condvar, Mutex};
use proptest::prelude::*;
use weft_data::{ErrorKind, Lane, Store, TaskError, Value};
use weft_exec::{NoGate, Run, RunOptions, Stop};

fn mix(index: u32, inputs: &[u64]) -> u64 {
    inputs.iter().fold(u64::from(index).wrapping_mul(0x9E37_79B9_7F4A_7C15), |h, &x| {
        (h.rotate_left(7) ^ x).wrapping_mul(0xBF58_476D_1CE4_E5B9)
    })
}

/// A random graph: each task reads some with higher numbers; with a size for each result.
fn random_graph() -> impl Strategy<Value = (Vec<Vec<u32>>, Vec<usize>)> {
    (1usize..120).prop_flat_map(|n| {
        let edges = prop::collection::vec(prop::collection::vec(any::<u32>(), 0..5), n);
        let sizes = prop::collection::vec(prop_oneof![3 => Just(8usize), 1 => 4096usize..20_000], n);
        (edges, sizes).prop_map(move |(edges, sizes)| {
            let edges = edges
                .into_iter()
                .enumerate()
                .map(|(i, targets)| {
                    let above = (n - 1 - i) as u32;
                    targets.into_iter().filter(|_| above > 0).map(|t| i as u32 + 1 + t % above).collect()
                })
                .collect();
            (edges, sizes)
        })
    })
}

fn expected(dependencies: &[Vec<u32>]) -> Vec<u64> {
    let mut values = vec![0; dependencies.len()];
    for i in (0..dependencies.len()).rev() {
        let inputs: Vec<u64> = dependencies[i].iter().map(|&d| values[d as usize]).collect();
        values[i] = mix(i as u32, &inputs);
    }
    values
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn threads_and_spilling_change_nothing(
        (dependencies, sizes) in random_graph(),
        threads in 1usize..9,
        limit in prop_oneof![Just(usize::MAX), 0usize..100_000],
        host in any::<bool>(),
    ) {
        let base = tempfile::tempdir().unwrap();
        let store = Store::new(limit, base.path());
        let right = expected(&dependencies);
        let ran: Arc<Vec<AtomicUsize>> = Arc::new((0..dependencies.len()).map(|_| AtomicUsize::new(0)).collect());
        let count = ran.clone();
        let mut call = Call::new(move |index, inputs| {
            count[index as usize].fetch_add(1, Ordering::SeqCst);
            let inputs: Vec<u64> = inputs.iter().map(read).collect();
            let mut bytes = vec![0; sizes[index as usize]];
            bytes[..8].copy_from_slice(&mix(index, &inputs).to_le_bytes());
            Ok(Value::Bytes(bytes.into()))
        });
        if host {
            call.lane = |_| Lane::Host;
        }
        let outputs: Vec<u32> = (0..dependencies.len() as u32).step_by(7).collect();
        let crew = Crew::new(threads);
        let options = RunOptions { store: store.clone(), ..RunOptions::new(threads) };
        let values = crew.run(graph(&dependencies, &outputs, call), options).unwrap();
        for (output, value) in outputs.iter().zip(&values) {
            prop_assert_eq!(read(value), right[*output as usize]);
        }
        prop_assert!(ran.iter().all(|n| n.load(Ordering::SeqCst) <= 1));
        drop(values);
        // Its threads may still be letting inputs go.
        drop(crew);
        prop_assert_eq!(store.stats().used, 0);
    }
}

#[test]
fn many_callers_share_a_pool() {
    let crew = Crew::new(4);
    let dependencies: Vec<Vec<u32>> =
        (0..2000u32).map(|i| (1..4).map(|k| i * 3 + k).filter(|&c| c < 2000).collect()).collect();
    let right = expected(&dependencies)[0];
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let mut call = Call::new(|index, inputs: &mut [Value]| {
                        Ok(number(mix(index, &inputs.iter().map(read).collect::<Vec<_>>())))
                    });
                    call.lane = |_| Lane::Host;
                    let values = crew.run(graph(&dependencies, &[0], call), RunOptions::new(2)).unwrap();
                    assert_eq!(read(&values[0]), right);
                }
            });
        }
    });
}

#[test]
fn nested_runs_do_not_deadlock_even_on_one_thread() {
    fn nested(crew: &'static Crew, depth: u32) -> u64 {
        let dependencies = vec![vec![1, 2, 3], vec![], vec![], vec![]];
        let call = Call::new(move |index, inputs| {
            Ok(match (index, depth) {
                (0, _) => number(inputs.iter().map(read).sum()),
                (_, 0) => number(1),
                _ => number(nested(crew, depth - 1)),
            })
        });
        let run = Run::new(graph(&dependencies, &[0], call), RunOptions::new(4)).unwrap();
        crew.pool.register(&run, 0);
        run.serve(&mut NoGate);
        let answer = read(&run.outputs().unwrap()[0]);
        crew.pool.forget(&run);
        answer
    }
    for threads in [1, 3] {
        // The tasks need it for as long as threads run, which is until the test ends.
        let crew: &'static Crew = Box::leak(Box::new(Crew::new(threads)));
        let call = Call::new(move |index, inputs| {
            Ok(number(if index == 0 { inputs.iter().map(read).sum() } else { nested(crew, 3) }))
        });
        let dependencies = vec![vec![1, 2, 3, 4], vec![], vec![], vec![], vec![]];
        let values = crew.run(graph(&dependencies, &[0], call), RunOptions::new(threads)).unwrap();
        assert_eq!(read(&values[0]), 4 * 81);
        crew.pool.close();
    }
}

#[test]
fn as_many_tasks_run_at_once_as_were_asked_for_and_no_more() {
    const AT_ONCE: usize = 3;
    for lane in [|_| Lane::Host, |_| Lane::Native] {
        let crew = Crew::new(8);
        let barrier = Arc::new(Barrier::new(AT_ONCE));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, peak) = (now.clone(), most.clone());
        let mut call = Call::new(move |_, _| {
            peak.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Hangs unless three are here at the same time.
            barrier.wait();
            count.fetch_sub(1, Ordering::SeqCst);
            Ok(number(0))
        });
        call.lane = lane;
        let dependencies = vec![vec![]; 4 * AT_ONCE];
        let outputs: Vec<u32> = (0..4 * AT_ONCE as u32).collect();
        // Threads to spare.
        let idle = Run::new(
            graph(&vec![vec![]; 8], &outputs[..8], Call::new(|_, _| Ok(number(0)))),
            RunOptions::new(8),
        );
        crew.start(&idle.unwrap(), 8);
        crew.run(graph(&dependencies, &outputs, call), RunOptions::new(AT_ONCE)).unwrap();
        assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
    }
}

#[test]
fn an_error_returns_while_other_tasks_hang_and_their_threads_are_replaced() {
    let crew = Crew::new(2);
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (hanging, barrier) = (gate.clone(), Arc::new(Barrier::new(2)));
    let call = Call::new(move |index, _| {
        barrier.wait();
        if index == 1 {
            return Err(TaskError::native(ErrorKind::Value, "no luck"));
        }
        hanging.1.wait_while(&mut hanging.0.lock(), |open| !*open);
        Ok(number(0))
    });
    let stop = crew.run(graph(&[vec![], vec![]], &[0, 1], call), RunOptions::new(2)).unwrap_err();
    assert!(matches!(stop, Stop::Failed { error, .. } if error.to_string() == "no luck"));
    assert_eq!(crew.pool.lost(), 1);

    // Two tasks that need each other: only with two threads.
    let barrier = Barrier::new(2);
    let call = Call::new(move |_, _| {
        barrier.wait();
        Ok(number(7))
    });
    let values = crew.run(graph(&[vec![], vec![]], &[0, 1], call), RunOptions::new(2)).unwrap();
    assert_eq!(values.iter().map(read).sum::<u64>(), 14);

    *gate.0.lock() = true;
    gate.1.notify_all();
}

#[test]
fn cancelling_a_run_cancels_what_its_tasks_wait_for() {
    let crew: &'static Crew = Box::leak(Box::new(Crew::new(2)));
    let gate = Arc::new((Mutex::new(0), Condvar::new()));
    let reached = gate.clone();
    let outcome = Arc::new(Mutex::new(None));
    let told = outcome.clone();
    let call = Call::new(move |_, _| {
        let reached = reached.clone();
        let inner = Call::new(move |_, _| {
            let mut stage = reached.0.lock();
            *stage = 1;
            reached.1.notify_all();
            reached.1.wait_while(&mut stage, |stage| *stage < 2);
            Ok(number(0))
        });
        // The second task must never start.
        let run = Run::new(graph(&[vec![1], vec![]], &[0], inner), RunOptions::new(1)).unwrap();
        run.serve(&mut NoGate);
        *told.lock() = Some(run.outputs());
        Ok(number(0))
    });
    let run = Run::new(graph(&[vec![]], &[0], call), RunOptions::new(1)).unwrap();
    crew.start(&run, 1);
    gate.1.wait_while(&mut gate.0.lock(), |stage| *stage < 1);
    run.cancel();
    assert!(run.wait(Duration::ZERO));
    assert!(matches!(run.outputs(), Err(Stop::Cancelled)));
    *gate.0.lock() = 2;
    gate.1.notify_all();
    while run.running() > 0 {
        std::thread::yield_now();
    }
    assert!(matches!(outcome.lock().take(), Some(Err(Stop::Cancelled))));
    crew.pool.forget(&run);
    crew.pool.close();
}

#[test]
fn surplus_threads_leave() {
    let crew = Crew::new(2);
    let outputs: Vec<u32> = (0..16).collect();
    let barrier = Barrier::new(16);
    let call = Call::new(move |_, _| {
        barrier.wait();
        Ok(number(0))
    });
    crew.run(graph(&vec![vec![]; 16], &outputs, call), RunOptions::new(16)).unwrap();
    while crew.pool.threads() > 2 {
        std::thread::yield_now();
    }
    // And what is left still works.
    let values =
        crew.run(graph(&[vec![]], &[0], Call::new(|_, _| Ok(number(5)))), RunOptions::new(2)).unwrap();
    assert_eq!(read(&values[0]), 5);
}
