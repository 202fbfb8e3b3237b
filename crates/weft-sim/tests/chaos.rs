//! Random clusters from seeds. A failure prints its seed; `SEED=n` replays it alone with a log; `FIRST_SEED=n SEEDS=m`
//! tries others.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use weft_sim::{Fate, Options, Trouble, World};

fn run(options: Options) {
    let seed = options.seed;
    let mut world = World::new(options.clone());
    let log = std::env::var("SEED").is_ok();
    if log {
        world.log = Some(Vec::new());
    }
    if let Err(problem) = world.run() {
        for line in world.log.iter().flatten() {
            println!("{line}");
        }
        panic!("seed {seed}: {problem}\n{:?}", options.trouble);
    }
}

fn seeds(n: u64, options: impl Fn(u64) -> Options) {
    match std::env::var("SEED") {
        Ok(seed) => run(options(seed.parse().unwrap())),
        Err(_) => {
            // More of them, elsewhere, on request.
            let number = |name, default| std::env::var(name).map_or(default, |n| n.parse().unwrap());
            let first: u64 = number("FIRST_SEED", 0);
            (first..first + number("SEEDS", n)).for_each(|seed| run(options(seed)));
        }
    }
}

#[test]
fn calm_clusters_compute_what_is_asked() {
    seeds(150, |seed| Options { seed, ..Options::default() });
}

#[test]
fn deaths_lose_nothing() {
    let trouble = Trouble { deaths: 40, ..Trouble::default() };
    seeds(200, |seed| Options { seed, trouble, ..Options::default() });
}

#[test]
fn broken_connections_lose_nothing() {
    let trouble = Trouble { breaks: 40, client_breaks: 20, ..Trouble::default() };
    seeds(200, |seed| Options { seed, trouble, ..Options::default() });
}

#[test]
fn partitions_pauses_and_busy_peers_delay_and_do_no_more() {
    let trouble = Trouble { partitions: 50, pauses: 40, busy: 10, ..Trouble::default() };
    seeds(200, |seed| Options { seed, trouble, ..Options::default() });
}

#[test]
fn workers_retire_without_losing_results() {
    let trouble = Trouble { retirements: 30, ..Trouble::default() };
    seeds(150, |seed| Options { seed, n_workers: 6, trouble, ..Options::default() });
}

#[test]
fn a_scheduler_that_restarts_gets_its_state_back() {
    let trouble = Trouble { restarts: 10, ..Trouble::default() };
    seeds(150, |seed| Options { seed, trouble, ..Options::default() });
}

#[test]
fn all_at_once() {
    let trouble = Trouble {
        deaths: 15,
        breaks: 15,
        partitions: 20,
        pauses: 15,
        retirements: 10,
        restarts: 3,
        client_breaks: 10,
        busy: 5,
    };
    seeds(300, |seed| Options {
        seed,
        n_workers: 5,
        n_clients: 3,
        n_steps: 12,
        trouble,
        ..Options::default()
    });
}

#[test]
fn larger_clusters_with_larger_graphs() {
    let trouble = Trouble { deaths: 20, breaks: 10, partitions: 20, busy: 5, ..Trouble::default() };
    seeds(4, |seed| Options {
        seed,
        n_workers: 24,
        max_threads: 5,
        n_clients: 4,
        n_steps: 10,
        max_tasks: 150,
        max_nbytes: 8 << 20,
        trouble,
        ..Options::default()
    });
}

/// A failing seed replays.
#[test]
fn equal_seeds_give_equal_runs() {
    let trouble = Trouble { deaths: 20, breaks: 10, restarts: 3, retirements: 10, ..Trouble::default() };
    for seed in 0..20 {
        let run = || {
            let mut world = World::new(Options { seed, trouble, ..Options::default() });
            world.run().unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
            (world.n_events, world.now, world.n_executed(), world.random.number())
        };
        assert_eq!(run(), run(), "seed {seed}");
    }
}

/// What the simulation never reaches it does not test.
#[test]
fn every_change_of_state_comes_up() {
    let trouble = Trouble {
        deaths: 15,
        breaks: 15,
        partitions: 20,
        pauses: 15,
        retirements: 10,
        restarts: 3,
        client_breaks: 10,
        busy: 5,
    };
    let mut causes = std::collections::BTreeMap::new();
    let (mut done, mut erred, mut cancelled) = (0, 0, 0);
    for seed in 0..60 {
        let mut options =
            Options { seed, n_workers: 5, n_clients: 3, n_steps: 12, trouble, ..Options::default() };
        options.config.story_len = 1_000_000;
        let mut world = World::new(options);
        world.settle().unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        for (cause, n) in world.scheduler.causes() {
            *causes.entry(cause).or_insert(0) += n;
        }
        for future in world.clients.iter().flat_map(|client| client.futures.values()) {
            match future.fate {
                Fate::Done { .. } => done += 1,
                Fate::Erred { .. } => erred += 1,
                Fate::Cancelled => cancelled += 1,
                Fate::Pending => unreachable!(),
            }
        }
    }
    println!("{done} done, {erred} failed, {cancelled} cancelled; {causes:#?}");
    assert!(done > 1000 && erred > 50 && cancelled > 50);
    // "its worker had gone" is for callers that race; the scheduler itself never meets it.
    assert!(causes.len() >= 17, "{causes:#?}");
}

/// Losing the scheduler does not lose the results: nothing that workers hold is computed again.
#[test]
fn results_survive_the_scheduler() {
    for seed in 0..40 {
        let mut world = World::new(Options { seed, failing: 0, ..Options::default() });
        world.settle().unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        let executed = world.n_executed();
        world.restart_scheduler();
        world.settle().unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        assert_eq!(world.n_executed(), executed, "seed {seed}");
    }
}
