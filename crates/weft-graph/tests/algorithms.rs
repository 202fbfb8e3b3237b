//! What cycle detection, order, fuse and cull promise, on generated graphs.

use proptest::prelude::*;
use weft_graph::{Dag, Pressure, TaskId, cull, find_cycle, fuse, order, topological_order};

/// Dependencies on lower numbers only, then renumbered at random, so that numbers say nothing.
fn acyclic() -> impl Strategy<Value = Dag> {
    let lists = prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..60);
    (lists, any::<u64>()).prop_map(|(lists, seed)| {
        let n = lists.len();
        let mut label: Vec<u32> = (0..n as u32).collect();
        let mut state = seed | 1;
        for i in (1..n).rev() {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            label.swap(i, (state >> 33) as usize % (i + 1));
        }
        let mut out = vec![Vec::new(); n];
        for (task, reads) in lists.iter().enumerate().skip(1) {
            out[label[task] as usize] = reads.iter().map(|r| label[r.index(task)]).collect();
        }
        out.into_iter().collect()
    })
}

/// Any edges at all.
fn any_graph() -> impl Strategy<Value = Dag> {
    (1usize..25).prop_flat_map(|n| {
        prop::collection::vec(prop::collection::vec(0..n as u32, 0..3), n)
            .prop_map(|lists| lists.into_iter().collect())
    })
}

/// Whether tasks can be taken away one by one, each without dependencies when it goes.
fn ends(dag: &Dag) -> bool {
    let mut gone = vec![false; dag.len()];
    for _ in dag.tasks() {
        let ready =
            dag.tasks().find(|&t| !gone[t.index()] && dag.dependencies(t).iter().all(|d| gone[d.index()]));
        match ready {
            Some(task) => gone[task.index()] = true,
            None => break,
        }
    }
    gone.into_iter().all(|gone| gone)
}

fn assert_runs(dag: &Dag, priorities: &[u32]) {
    let mut places = priorities.to_vec();
    places.sort_unstable();
    assert!(places.into_iter().eq(0..dag.len() as u32), "priorities are not a permutation");
    for task in dag.tasks() {
        for dependency in dag.dependencies(task) {
            assert!(priorities[dependency.index()] < priorities[task.index()]);
        }
    }
}

proptest! {
    #[test]
    fn order_is_topological(dag in acyclic()) {
        assert_runs(&dag, &order(&dag).unwrap());
    }

    #[test]
    fn order_is_deterministic(dag in acyclic()) {
        prop_assert_eq!(order(&dag).unwrap(), order(&dag).unwrap());
    }

    #[test]
    fn order_holds_no_more_than_a_plain_depth_first_walk(dag in acyclic()) {
        let dag = once(&dag);
        let ours = Pressure::of(&dag, &order(&dag).unwrap()).peak();
        let theirs = Pressure::of(&dag, &depth_first(&dag)).peak();
        prop_assert!(ours <= theirs, "{ours} > {theirs}");
    }

    #[test]
    fn a_cycle_is_found_if_there_is_one_and_it_is_one(dag in any_graph()) {
        let cycle = find_cycle(&dag);
        prop_assert_eq!(cycle.is_none(), ends(&dag));
        prop_assert_eq!(order(&dag).is_ok(), cycle.is_none());
        if let Some(cycle) = cycle {
            for (i, &task) in cycle.iter().enumerate() {
                let next = cycle[(i + 1) % cycle.len()];
                prop_assert!(dag.dependencies(task).contains(&next));
            }
            let mut unique = cycle.clone();
            unique.sort_unstable();
            unique.dedup();
            prop_assert_eq!(unique.len(), cycle.len());
        }
    }

    #[test]
    fn reversing_twice_sorts_the_readers(dag in acyclic()) {
        let twice = dag.reversed().reversed();
        for task in dag.tasks() {
            let mut expected = dag.dependencies(task).to_vec();
            expected.sort_unstable();
            prop_assert_eq!(twice.dependencies(task), expected);
        }
    }

    #[test]
    fn cull_keeps_exactly_the_ancestors(dag in acyclic(), picks in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let outputs: Vec<TaskId> = picks.iter().map(|p| TaskId(p.index(dag.len()) as u32)).collect();
        let culled = cull(&dag, &outputs);
        let mut needed = vec![false; dag.len()];
        outputs.iter().for_each(|o| needed[o.index()] = true);
        for &task in topological_order(&dag).unwrap().iter().rev() {
            if needed[task.index()] {
                dag.dependencies(task).iter().for_each(|d| needed[d.index()] = true);
            }
        }
        let expected: Vec<TaskId> = dag.tasks().filter(|t| needed[t.index()]).collect();
        prop_assert_eq!(&culled.kept, &expected);
        for task in culled.dag.tasks() {
            let back: Vec<TaskId> = culled.dag.dependencies(task).iter().map(|d| culled.kept[d.index()]).collect();
            prop_assert_eq!(&back, dag.dependencies(culled.kept[task.index()]));
        }
        let back: Vec<TaskId> = culled.outputs.iter().map(|o| culled.kept[o.index()]).collect();
        prop_assert_eq!(back, outputs);
    }

    #[test]
    fn fused_groups_are_chains_and_give_the_same_graph(
        dag in acyclic(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        veto in any::<u32>(),
    ) {
        let outputs: Vec<TaskId> = picks.iter().map(|p| TaskId(p.index(dag.len()) as u32)).collect();
        let allowed = |t: TaskId, r: TaskId| (veto >> ((t.0 * 7 + r.0) % 32)) & 1 == 0;
        let fused = fuse(&dag, &outputs, allowed);
        let readers = dag.reversed();
        let mut seen = vec![0; dag.len()];
        for group in fused.dag.tasks() {
            let members = fused.members(group);
            for pair in members.windows(2) {
                prop_assert_eq!(dag.dependencies(pair[1]), &pair[..1]);
                prop_assert_eq!(readers.dependencies(pair[0]), &pair[1..]);
                prop_assert!(allowed(pair[0], pair[1]));
                prop_assert!(!outputs.contains(&pair[0]));
            }
            for &member in members {
                seen[member.index()] += 1;
                prop_assert_eq!(fused.group_of[member.index()], group);
            }
            let inputs: Vec<TaskId> = dag.dependencies(members[0]).iter().map(|d| fused.group_of[d.index()]).collect();
            prop_assert_eq!(fused.dag.dependencies(group), inputs);
        }
        prop_assert!(seen.iter().all(|&n| n == 1));
        // Nothing that could have been joined is left apart.
        for task in dag.tasks() {
            if let &[dependency] = dag.dependencies(task)
                && readers.dependencies(dependency) == [task]
                && !outputs.contains(&dependency)
                && allowed(dependency, task)
            {
                prop_assert_eq!(fused.group_of[task.index()], fused.group_of[dependency.index()]);
            }
        }
        prop_assert!(find_cycle(&fused.dag).is_none());
    }

    #[test]
    fn pressure_counts_what_is_held(dag in acyclic()) {
        let dag = once(&dag);
        let priorities = order(&dag).unwrap();
        let pressure = Pressure::of(&dag, &priorities);
        let readers = dag.reversed();
        for task in dag.tasks() {
            // A result is held when it has been made, and some reader has not run.
            let now = priorities[task.index()];
            let held = dag.tasks().filter(|t| {
                priorities[t.index()] < now
                    && readers.dependencies(*t).iter().any(|r| priorities[r.index()] >= now)
            });
            prop_assert_eq!(pressure.when_run[task.index()] as usize, held.count());
        }
        let read = dag.tasks().filter(|&t| !readers.dependencies(t).is_empty()).count();
        prop_assert_eq!(pressure.freed.iter().sum::<u32>() as usize, read);
    }
}

/// From each output in turn down to what it reads, in input order.
fn depth_first(dag: &Dag) -> Vec<u32> {
    fn visit(dag: &Dag, task: TaskId, places: &mut Vec<u32>, next: &mut u32) {
        if places[task.index()] == u32::MAX {
            dag.dependencies(task).iter().for_each(|&d| visit(dag, d, places, next));
            places[task.index()] = *next;
            *next += 1;
        }
    }
    let mut places = vec![u32::MAX; dag.len()];
    let mut next = 0;
    let readers = dag.reversed();
    for output in dag.tasks().filter(|&t| readers.dependencies(t).is_empty()) {
        visit(dag, output, &mut places, &mut next);
    }
    places
}

/// Each task reads each dependency once: what "freed by" means is then plain.
fn once(dag: &Dag) -> Dag {
    let lists = dag.tasks().map(|task| {
        let mut list: Vec<u32> = dag.dependencies(task).iter().map(|d| d.0).collect();
        list.sort_unstable();
        list.dedup();
        list
    });
    lists.collect()
}

#[test]
fn a_chain_of_a_million_tasks_overflows_no_stack() {
    let n = 1_000_000u32;
    // From the end to the start, so that the walk down is as deep as it can be.
    let dag: Dag = (0..n).map(|i| (i + 1 < n).then_some(i + 1)).collect();
    let priorities = order(&dag).unwrap();
    assert!((0..n).rev().eq(priorities));
    assert_eq!(fuse(&dag, &[TaskId(0)], |_, _| true).len(), 1);
    assert_eq!(cull(&dag, &[TaskId(0)]).dag.len(), n as usize);
    let ring: Dag = (0..n).map(|i| [(i + 1) % n]).collect();
    assert_eq!(find_cycle(&ring).map(|cycle| cycle.len()), Some(n as usize));
}

#[test]
fn a_task_that_reads_itself_is_a_cycle_of_one() {
    let dag: Dag = [vec![], vec![0, 1]].into_iter().collect();
    assert_eq!(find_cycle(&dag), Some(vec![TaskId(1)]));
    assert_eq!(order(&dag).unwrap_err().0, [TaskId(1)]);
}

#[test]
fn an_empty_graph_has_an_empty_order() {
    assert_eq!(order(&Dag::default()), Ok(vec![]));
    assert!(cull(&Dag::default(), &[]).dag.is_empty());
    assert!(fuse(&Dag::default(), &[], |_, _| true).is_empty());
}

#[test]
fn a_task_that_reads_another_twice_is_not_joined_with_it() {
    let dag: Dag = [vec![], vec![0, 0]].into_iter().collect();
    assert_eq!(fuse(&dag, &[TaskId(1)], |_, _| true).len(), 2);
}

/// Work must grow with the graph, not faster: a task that everything reads, and one that reads
/// everything, are where that goes wrong.
#[test]
fn stars_of_a_hundred_thousand_are_ordered() {
    let n = 100_000u32;
    let fan_out: Dag = std::iter::once(vec![]).chain((0..n).map(|_| vec![0])).collect();
    assert_runs(&fan_out, &order(&fan_out).unwrap());
    let fan_in: Dag = std::iter::once((1..=n).collect::<Vec<_>>()).chain((0..n).map(|_| vec![])).collect();
    assert_runs(&fan_in, &order(&fan_in).unwrap());
    // Pairs that read one shared task and one of their own, then one reader of all.
    let mut lists = vec![vec![]];
    for i in 0..n {
        lists.push(vec![]);
        lists.push(vec![0, 2 * i + 1]);
    }
    lists.push((0..n).map(|i| 2 * i + 2).collect());
    let shared: Dag = lists.into_iter().collect();
    assert_runs(&shared, &order(&shared).unwrap());
}
