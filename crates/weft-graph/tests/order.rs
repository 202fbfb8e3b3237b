//! What the static order does with the shapes that people's graphs have: how many results are held
//! at once, and which branches are finished before others are begun.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use weft_graph::{Dag, Pressure, TaskId, order};

/// A graph from lines like `reader: read read`; names on the right alone are tasks too. Tasks are
/// numbered in the order in which they are first named.
struct Named {
    names: Vec<String>,
    dag: Dag,
    places: Vec<u32>,
}

impl Named {
    fn new(text: &str) -> Named {
        let mut names: Vec<String> = Vec::new();
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut lists: Vec<Vec<u32>> = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (task, reads) = line.split_once(':').unwrap_or((line, ""));
            let mut number = |name: &str| {
                *numbers.entry(name.to_owned()).or_insert_with(|| {
                    names.push(name.to_owned());
                    lists.push(Vec::new());
                    names.len() as u32 - 1
                })
            };
            let task = number(task.trim());
            let reads: Vec<u32> = reads.split_whitespace().map(&mut number).collect();
            lists[task as usize] = reads;
        }
        let dag: Dag = lists.into_iter().collect();
        let places = order(&dag).unwrap();
        Named { names, dag, places }
    }

    fn place(&self, name: &str) -> u32 {
        self.places[self.names.iter().position(|n| n == name).unwrap()]
    }

    fn sequence(&self) -> Vec<&str> {
        let mut tasks: Vec<usize> = (0..self.names.len()).collect();
        tasks.sort_unstable_by_key(|&i| self.places[i]);
        tasks.into_iter().map(|i| self.names[i].as_str()).collect()
    }

    fn peak(&self) -> u32 {
        peak(&self.dag)
    }
}

fn peak(dag: &Dag) -> u32 {
    Pressure::of(dag, &order(dag).unwrap()).peak()
}

fn lines(lines: impl IntoIterator<Item = String>) -> Named {
    Named::new(&lines.into_iter().collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_tree_holds_one_partial_result_a_level() {
    // 4^5 leaves: at most 3 finished siblings on each of 5 levels, and the last 4 leaves' one more.
    let mut text = Vec::new();
    let mut width = 1024;
    for level in 0..5 {
        width /= 4;
        let leaves = |i: u32| (0..4).map(|k| format!("t{level}-{} ", 4 * i + k)).collect::<String>();
        text.extend((0..width).map(|i| format!("t{}-{i}: {}", level + 1, leaves(i))));
    }
    assert_eq!(lines(text).peak(), 5 * 3 + 1);
}

#[test]
fn uneven_trees_begin_with_the_demanding_branch() {
    // Holding the deep branch's one result while the shallow one runs is cheaper than the reverse.
    let graph = Named::new("top: shallow deep\nshallow: s\ndeep: l r\nl: a b\nr: c d");
    assert!(graph.place("deep") < graph.place("s"));
    assert_eq!(graph.peak(), 3);
}

#[test]
fn chains_run_through_one_after_the_other() {
    let n = 50;
    let graph = lines((0..n).flat_map(|i| (1..10).map(move |j| format!("c{i}-{j}: c{i}-{}", j - 1))));
    assert_eq!(graph.peak(), 1);
    for i in 0..n {
        assert_eq!(graph.place(&format!("c{i}-9")), graph.place(&format!("c{i}-0")) + 9);
    }
}

#[test]
fn groups_stay_together_whatever_their_names() {
    for (first, second) in [("a0 a1", "a2 a3"), ("a0 a2", "a1 a3")] {
        let graph = Named::new(&format!("a0\na1\na2\na3\nx: {first}\ny: {second}"));
        assert_eq!(graph.peak(), 2);
    }
}

#[test]
fn a_fold_closes_its_first_steps_before_it_splits_the_source_further() {
    let graph = Named::new("a0: b0\na1: a0 b1\na2: a1 b2\na3: a2 b3\nb0: c\nb1: c\nb2: c\nb3: c");
    assert_eq!(graph.peak(), 3);
    assert!(graph.place("a1") < graph.place("b2"));
}

#[test]
fn a_side_branch_that_ends_runs_while_its_source_is_there() {
    // d reads c1 and is done; only then does the other input of a begin, or it came before.
    let graph = Named::new("a1: a2\na2: a3\na3: b1 c1\nb1: b2\nc1: c2\nc2: c3\nd: c1");
    assert!(graph.place("d") < graph.place("b1") || graph.place("b1") < graph.place("c3"));
    assert_eq!(graph.peak(), 2);
}

#[test]
fn sections_that_touch_are_finished_one_by_one() {
    let graph = Named::new("b: a c\nd: c e\ntop: d bb\nbb: cc\ndd: cc");
    assert!(graph.peak() <= 3);
}

#[test]
fn parents_of_a_reduction_finish_before_the_next_is_begun() {
    let graph = Named::new("a3\na2: a3\na1: a2\nb3\nb2: b3 a2\nb1: b2\nc3\nc2: c3 b2\nc1: c2");
    assert!(graph.peak() <= 2);
    let sequence = graph.sequence();
    let at = |name: &str| sequence.iter().position(|&n| n == name).unwrap();
    assert!(at("a1") < at("b2") + 2 && at("b1") < at("c2") + 2, "{sequence:?}");
}

#[test]
fn neighbours_are_swept_in_a_front_as_narrow_as_the_stencil() {
    for n in [10, 100, 1000] {
        let graph = lines((1..n - 1).map(|i| format!("y{i}: x{} x{i} x{}", i - 1, i + 1)));
        assert_eq!(graph.peak(), 3);
    }
}

#[test]
fn two_stencils_in_a_row_are_swept_together() {
    let n = 200;
    let first = (1..n - 1).map(|i| format!("y{i}: x{} x{i} x{}", i - 1, i + 1));
    let second = (2..n - 2).map(|i| format!("z{i}: y{} y{i} y{}", i - 1, i + 1));
    assert!(lines(first.chain(second)).peak() <= 7);
}

#[test]
fn windows_are_found_by_structure_and_not_by_name() {
    // Windows over 0 2 4 7 9 6 5 1 8 3, whatever the numbers suggest.
    let path = [2, 0, 7, 4, 9, 6, 5, 1, 8, 3];
    let window =
        |i: usize| path[i.saturating_sub(2)..=i].iter().map(|n| format!("a{n} ")).collect::<String>();
    let sources = (0..10).map(|i| format!("a{i}"));
    let graph = lines(sources.chain((0..10).map(|i| format!("b{}: {}", (7 * i + 5) % 10, window(i)))));
    assert_eq!(graph.peak(), 3);
}

#[test]
fn overlapping_blocks_finish_one_side_before_the_other_is_loaded() {
    let graph = Named::new(
        "b1: c1 c2\nb3: c2 c3 c4\nb5: c4 c5\nc1: d1\nc2: d1 d2 d3\nc3: d3\nc4: d3 d4 d5\nc5: d5\nd1: e1\nd3: e3\nd5: e5",
    );
    assert!(graph.place("b1") < graph.place("e5") || graph.place("b5") < graph.place("e1"));
}

#[test]
fn a_task_that_waits_for_all_does_not_tear_halves_apart() {
    // Windows a0 a1, a1 a2 and a3 a4, a4 a5, all stored; the store waits for the four.
    let graph = Named::new("s: b0 b2 b1 b3\nb0: a0 a1\nb1: a1 a2\nb2: a3 a4\nb3: a4 a5");
    let right = ["a3", "a4", "a5"].map(|name| graph.place(name));
    let left = ["a0", "a1", "a2"].map(|name| graph.place(name));
    assert!(left.iter().max() < right.iter().min() || right.iter().max() < left.iter().min());
    // Three windows, and the two sources of the last.
    assert_eq!(graph.peak(), 5);
}

#[test]
fn pairs_of_a_transposition_meet() {
    // Each block waits for its mirror image: two blocks, never a row of them.
    let n = 12;
    let pairs = (0..n).flat_map(|i| (0..n).map(move |j| format!("y{i}-{j}: x{i}-{j} x{j}-{i}")));
    assert!(lines(pairs).peak() <= 2);
}

#[test]
fn exchanges_within_blocks_stay_within_blocks() {
    // 10 blocks of 4 rows that become 4 columns each: no more than one block is under way.
    let piece = |b: u32| (0..4).flat_map(move |i| (0..4).map(move |j| format!("p{b}-{i}-{j}: row{b}-{i}")));
    let column = |b: u32| {
        let pieces = move |j: u32| (0..4).map(|i| format!("p{b}-{i}-{j} ")).collect::<String>();
        (0..4).map(move |j| format!("column{b}-{j}: {}", pieces(j)))
    };
    assert!(lines((0..10).flat_map(|b| piece(b).chain(column(b)))).peak() <= 8);
}

#[test]
fn several_statistics_share_each_load() {
    // Of 64 loads with two reductions each, no more are held than the reductions' own trees need.
    let mut text = Vec::new();
    for kind in ["sum", "max"] {
        text.extend((0..64).map(|i| format!("{kind}0-{i}: load{i}")));
        for (level, width) in [(1, 16), (2, 4), (3, 1)] {
            let reads =
                |i: u32| (0..4).map(|k| format!("{kind}{}-{} ", level - 1, 4 * i + k)).collect::<String>();
            text.extend((0..width).map(|i| format!("{kind}{level}-{i}: {}", reads(i))));
        }
    }
    assert!(lines(text).peak() <= 2 * (3 * 3 + 1) + 1);
}

#[test]
fn one_source_read_by_all_does_not_hide_what_is_near() {
    let mut text: Vec<String> = (0..256).map(|i| format!("leaf{i}: file")).collect();
    text.extend(
        (0..64).map(|i| {
            format!("sum{i}: {}", (0..4).map(|k| format!("leaf{} ", 4 * i + k)).collect::<String>())
        }),
    );
    assert_eq!(lines(text).peak(), 1 + 4);
}

#[test]
fn a_running_total_drops_each_load() {
    let n = 100;
    let step = |i: u32| match i {
        0 => vec!["sum0: load0".to_owned(), "out0: load0 sum0".to_owned()],
        _ => vec![format!("sum{i}: sum{} load{i}", i - 1), format!("out{i}: load{i} sum{i}")],
    };
    assert!(lines((0..n).flat_map(step)).peak() <= 2);
}

#[test]
fn models_that_share_batches_take_turns() {
    let text = (0..5).flat_map(|m| {
        (0..40).map(move |b| match b {
            0 => format!("fit{m}-0: batch0"),
            _ => format!("fit{m}-{b}: fit{m}-{} batch{b}", b - 1),
        })
    });
    // A batch and a state for each model; not all batches, and not all states of one model.
    assert!(lines(text).peak() <= 5 + 1);
}

#[test]
fn priorities_are_places() {
    let graph = Named::new("c: b\nb: a\na");
    assert_eq!(graph.sequence(), ["a", "b", "c"]);
    assert_eq!(graph.dag.dependencies(TaskId(0)), [TaskId(1)]);
}
