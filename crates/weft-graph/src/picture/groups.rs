//! Large graphs: one node for all tasks that do the same.

use ahash::{AHashMap, AHashSet};

use super::tasks::{Options, TaskView, Values};
use super::{Edge, Node, Picture, Shape};
use crate::{Dag, topological_order};

/// Tasks of the same kind are told apart by how deep they are if that makes no more groups than
/// this.
const LEGIBLE: usize = 60;
/// Kinds beyond this many are put together, the smallest first.
const MOST_KINDS: usize = 200;

struct Group {
    label: String,
    tasks: u64,
    extents: Option<Vec<u32>>,
    shallowest: u32,
    deepest: u32,
    sum: f64,
}

pub(super) fn draw(view: &impl TaskView, options: &Options, values: Option<&Values>, picture: &mut Picture) {
    let dag = view.dag();
    let depth = depths(dag);
    let mut groups: Vec<Group> = Vec::new();
    let group_of = assign(view, &depth, &mut groups);
    for task in dag.tasks() {
        let group = &mut groups[group_of[task.index()] as usize];
        group.tasks += 1;
        group.shallowest = group.shallowest.min(depth[task.index()]);
        group.deepest = group.deepest.max(depth[task.index()]);
        group.sum += values.map_or(0.0, |values| values.functions[task.index()]);
    }
    for (i, group) in groups.iter().enumerate() {
        let mut node = Node::new(format!("group {i}"), group.text(), Shape::Box);
        node.attributes.push(("tooltip".to_owned(), group.label.clone()));
        if let Some(values) = values {
            let color = values.color(group.sum / group.tasks.max(1) as f64, options);
            node.attributes.push(("color".to_owned(), color));
            node.attributes.push(("penwidth".to_owned(), "2".to_owned()));
        }
        picture.nodes.push(node);
    }
    let mut seen: AHashSet<(u32, u32)> = AHashSet::new();
    for task in dag.tasks() {
        let to = group_of[task.index()];
        for dependency in dag.dependencies(task) {
            let from = group_of[dependency.index()];
            if from != to && seen.insert((from, to)) {
                picture.edges.push(Edge { from, to });
            }
        }
    }
    picture.caption = Some(format!(
        "{} tasks, shown as {} groups",
        with_commas(dag.len() as u64),
        with_commas(groups.len() as u64)
    ));
}

/// The number of tasks on the longest chain below each task; 0 where circles leave it open.
fn depths(dag: &Dag) -> Vec<u32> {
    let mut depth = vec![0u32; dag.len()];
    if let Ok(order) = topological_order(dag) {
        for task in order {
            let below = dag.dependencies(task).iter().map(|d| depth[d.index()] + 1);
            depth[task.index()] = below.max().unwrap_or(0);
        }
    }
    depth
}

/// The group of each task: its layer if that is a grid, else what its key says it does.
fn assign(view: &impl TaskView, depth: &[u32], groups: &mut Vec<Group>) -> Vec<u32> {
    let dag = view.dag();
    let mut kinds: Vec<(String, Option<Vec<u32>>)> = Vec::new();
    let mut by_layer: AHashMap<u32, u32> = AHashMap::new();
    let mut by_name: AHashMap<String, u32> = AHashMap::new();
    let mut kind_of: Vec<u32> = Vec::with_capacity(dag.len());
    for task in dag.tasks() {
        let kind = match view.grid(task) {
            Some((layer, extents)) => *by_layer.entry(layer).or_insert_with(|| {
                kinds.push((view.key(task).prefix(), Some(extents)));
                kinds.len() as u32 - 1
            }),
            None => {
                let name = view.key(task).prefix();
                *by_name.entry(name).or_insert_with_key(|name| {
                    kinds.push((name.clone(), None));
                    kinds.len() as u32 - 1
                })
            }
        };
        kind_of.push(kind);
    }
    let new = |label: String, extents: Option<Vec<u32>>| Group {
        label,
        tasks: 0,
        extents,
        shallowest: u32::MAX,
        deepest: 0,
        sum: 0.0,
    };

    // The same thing done at several depths, as in a reduction by a tree, is shown step by step.
    let mut steps: AHashMap<(u32, u32), u32> = AHashMap::new();
    let by_step: Option<Vec<u32>> = dag
        .tasks()
        .map(|task| {
            let kind = kind_of[task.index()];
            let step = if kinds[kind as usize].1.is_some() { 0 } else { depth[task.index()] };
            let next = steps.len() as u32;
            let group = *steps.entry((kind, step)).or_insert(next);
            (steps.len() <= LEGIBLE).then_some(group)
        })
        .collect();
    if let Some(by_step) = by_step {
        let mut keys: Vec<((u32, u32), u32)> = steps.into_iter().collect();
        keys.sort_unstable_by_key(|&(_, group)| group);
        groups.extend(keys.into_iter().map(|((kind, _), _)| {
            let (label, extents) = kinds[kind as usize].clone();
            new(label, extents)
        }));
        return by_step;
    }

    let mut sizes: Vec<(u64, u32)> = (0..kinds.len() as u32).map(|kind| (0, kind)).collect();
    kind_of.iter().for_each(|&kind| sizes[kind as usize].0 += 1);
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let mut group_of_kind = vec![0u32; kinds.len()];
    for (i, &(_, kind)) in sizes.iter().enumerate() {
        if i < MOST_KINDS {
            let (label, extents) = kinds[kind as usize].clone();
            groups.push(new(label, extents));
        } else if i == MOST_KINDS {
            groups.push(new(format!("{} other kinds", with_commas((kinds.len() - i) as u64)), None));
        }
        group_of_kind[kind as usize] = groups.len() as u32 - 1;
    }
    kind_of.iter().map(|&kind| group_of_kind[kind as usize]).collect()
}

impl Group {
    fn text(&self) -> String {
        let tasks = with_commas(self.tasks);
        let noun = if self.tasks == 1 { "task" } else { "tasks" };
        let whole = self.extents.as_ref().filter(|extents| {
            extents.len() > 1 && extents.iter().map(|&n| n as u64).product::<u64>() == self.tasks
        });
        let count = match whole {
            Some(extents) => {
                let extents: Vec<String> = extents.iter().map(|&n| with_commas(n as u64)).collect();
                format!("{} = {tasks} {noun}", extents.join(" x "))
            }
            None if self.extents.is_none() && self.deepest > self.shallowest => {
                let steps = with_commas((self.deepest - self.shallowest) as u64 + 1);
                format!("{tasks} {noun} in {steps} steps")
            }
            None => format!("{tasks} {noun}"),
        };
        format!("{}\n{count}", self.label)
    }
}

fn with_commas(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
