//! Tasks of several layers that have the same key are one task.

use ahash::{AHashMap, AHashSet};

use crate::{DagBuilder, Expanded, Key, Origin, Rule, TaskId};

/// Joins tasks with equal keys: each key is left with one task, which all readers of that key read.
///
/// Graphs made apart may hold the same task twice (a pure call made twice, a collection and its
/// persisted form). Of several the one with the fewest inputs stays, because a value that is
/// there already beats its recomputation; then the first seen. Linear; costs one look at each
/// layer's name where names differ.
pub fn share_equal_keys<W>(expanded: Expanded<W>) -> Expanded<W> {
    if !keys_may_repeat(&expanded) {
        return expanded;
    }
    let mut chosen: AHashMap<Key, TaskId> = AHashMap::with_capacity(expanded.dag.len());
    let mut repeats = false;
    for task in expanded.dag.tasks() {
        chosen
            .entry(expanded.key(task))
            .and_modify(|best| {
                repeats = true;
                if expanded.dag.dependencies(task).len() < expanded.dag.dependencies(*best).len() {
                    *best = task;
                }
            })
            .or_insert(task);
    }
    if !repeats {
        return expanded;
    }
    let keep: Vec<TaskId> = expanded.dag.tasks().map(|task| chosen[&expanded.key(task)]).collect();

    // Numbered again from the outputs down: what only a dropped task read is dropped with it.
    let mut numbers = vec![u32::MAX; expanded.dag.len()];
    let mut kept: Vec<TaskId> = Vec::new();
    let mut number = |task: TaskId, kept: &mut Vec<TaskId>| {
        let task = keep[task.index()];
        let slot = &mut numbers[task.index()];
        if *slot == u32::MAX {
            *slot = kept.len() as u32;
            kept.push(task);
        }
        TaskId(*slot)
    };
    let outputs = expanded.outputs.iter().map(|&task| number(task, &mut kept)).collect();
    let mut builder = DagBuilder::with_capacity(expanded.dag.len(), expanded.dag.edges());
    let mut origins: Vec<Origin> = Vec::new();
    let mut next = 0;
    while let Some(&task) = kept.get(next) {
        next += 1;
        origins.push(expanded.origins[task.index()]);
        builder.push(expanded.dag.dependencies(task).iter().map(|&read| number(read, &mut kept)));
    }
    Expanded { layers: expanded.layers, origins, dag: builder.finish(), outputs }
}

/// Cheap and never wrong about "no": layers whose names differ cannot share keys, unless keys
/// are free to choose.
fn keys_may_repeat<W>(expanded: &Expanded<W>) -> bool {
    if expanded.layers.len() < 2 {
        return false;
    }
    let mut names = AHashSet::with_capacity(expanded.layers.len());
    expanded
        .layers
        .iter()
        .any(|layer| matches!(layer.rule, Rule::Explicit { .. }) || !names.insert(layer.name.collection()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layer, LayerRef, expand};

    fn single(name: &str, inputs: &[&LayerRef<u8>], work: u8) -> LayerRef<u8> {
        let reads = (0..inputs.len() as u32).map(|i| (i, 0)).collect();
        let inputs = inputs.iter().map(|&i| i.clone()).collect();
        Layer::new(Key::from(name), inputs, Rule::Single { reads }, work).unwrap()
    }

    #[test]
    fn equal_keys_become_one_task() {
        let left = single("a", &[], 1);
        let right = single("a", &[], 2);
        let sum = single("sum", &[&left, &right], 0);
        let shared = share_equal_keys(expand(&[(sum, 0), (right, 0)]));
        assert_eq!(shared.dag.len(), 2);
        let sum = shared.outputs[0];
        assert_eq!(shared.dag.dependencies(sum), [shared.outputs[1], shared.outputs[1]]);
    }

    #[test]
    fn data_beats_its_recomputation() {
        let source = single("source", &[], 0);
        let computed = single("a", &[&source], 1);
        let persisted = single("a", &[], 2);
        let top = single("top", &[&computed, &persisted], 0);
        let shared = share_equal_keys(expand(&[(top, 0)]));
        assert_eq!(shared.dag.len(), 2, "the source of the dropped task goes too");
        let a = shared.dag.dependencies(shared.outputs[0])[0];
        assert_eq!(*shared.work(a).0, 2);
    }

    #[test]
    fn different_keys_stay() {
        let a = single("a", &[], 0);
        let b = single("b", &[&a], 0);
        let before = expand(&[(b, 0)]);
        assert_eq!(share_equal_keys(before).dag.len(), 2);
    }
}
