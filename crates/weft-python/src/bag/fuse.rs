//! The joining of steps into one pass.

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use pyo3::prelude::*;
use weft_data::{LayerRef, WorkRef};
use weft_graph::{Axis, Key, Layer, Read, Rule};

use super::work::{BagWork, Slot, Step, bag_work};
use super::{SAME, invalid};
use crate::graph::{Graph, all_layers, graph_from_py};
use crate::key::key_from_py;

/// The same graph with layers that only hand partitions on joined to the layers that read them.
///
/// Layers that hold one of `keys` stay, and so do those that several others read.
#[pyfunction]
pub(super) fn fuse_bags(graph: &Bound<'_, PyAny>, keys: Vec<Bound<'_, PyAny>>) -> PyResult<Graph> {
    let graph = graph_from_py(graph)?;
    let mut kept: AHashSet<*const Layer<WorkRef>> = AHashSet::new();
    let mut tops: Vec<LayerRef> = Vec::new();
    let mut last: Option<(Key, LayerRef)> = None;
    for key in &keys {
        let key = key_from_py(key)?;
        // Partitions of one grid come in a row, and finding each anew is what takes the time.
        if let Some((name, layer)) = &last
            && key.collection() == name
            && matches!(layer.rule, Rule::Grid { .. } | Rule::Table { .. })
        {
            continue;
        }
        if let Some((layer, _)) = graph.find(&key) {
            if kept.insert(Arc::as_ptr(&layer)) {
                tops.push(layer.clone());
            }
            last = Some((key.collection().clone(), layer));
        }
    }
    if tops.is_empty() {
        return Ok(Graph::new(graph.layers().to_vec()));
    }
    let layers = all_layers(&tops);
    let mut readers: AHashMap<*const Layer<WorkRef>, u32> = AHashMap::new();
    for layer in &layers {
        let mut count = |input: u32| {
            if let Some(input) = layer.inputs.get(input as usize) {
                *readers.entry(Arc::as_ptr(input)).or_insert(0) += 1;
            }
        };
        match &layer.rule {
            Rule::Grid { reads, .. } => reads.iter().for_each(|read| count(read.input)),
            _ => (0..layer.inputs.len() as u32).for_each(|input| {
                count(input);
                count(input);
            }),
        }
    }
    let mut renewed: AHashMap<*const Layer<WorkRef>, LayerRef> = AHashMap::new();
    for layer in &layers {
        let inputs: Vec<LayerRef> = layer.inputs.iter().map(|l| renewed[&Arc::as_ptr(l)].clone()).collect();
        let alone: Vec<bool> = layer
            .inputs
            .iter()
            .map(|l| readers.get(&Arc::as_ptr(l)) == Some(&1) && !kept.contains(&Arc::as_ptr(l)))
            .collect();
        let new = join(layer, &inputs, &alone).map_err(invalid)?.unwrap_or_else(|| {
            if inputs.iter().zip(&layer.inputs).all(|(new, old)| Arc::ptr_eq(new, old)) {
                layer.clone()
            } else {
                let (name, rule, work) = (layer.name.clone(), layer.rule.clone(), layer.work.clone());
                Arc::new(Layer { name, inputs, rule, work })
            }
        });
        renewed.insert(Arc::as_ptr(layer), new);
    }
    Ok(Graph::new(tops.iter().map(|top| renewed[&Arc::as_ptr(top)].clone()).collect()))
}

/// `layer` with the steps of those inputs in it that can be; `None` if there are none.
fn join(
    layer: &LayerRef,
    inputs: &[LayerRef],
    alone: &[bool],
) -> Result<Option<LayerRef>, weft_graph::LayerError> {
    let (Some(work), Rule::Grid { shape, reads }) = (bag_work(layer), &layer.rule) else { return Ok(None) };
    let ([n], [step]) = (&shape[..], &work.steps[..]) else { return Ok(None) };
    let mut joined = false;
    let mut new = BagWork {
        steps: Vec::new(),
        reads: 0,
        many: None,
        label: work.label.clone(),
        annotations: Python::attach(|py| work.annotations.as_ref().map(|a| a.clone_ref(py))),
    };
    let mut new_inputs: Vec<LayerRef> = Vec::new();
    let mut new_reads: Vec<Read> = Vec::new();
    let mut slots = Vec::with_capacity(step.slots.len());
    for &slot in &step.slots {
        let (Slot::One(read) | Slot::Many(read)) = slot else {
            slots.push(slot);
            continue;
        };
        let read = &reads[read as usize];
        let input = &inputs[read.input as usize];
        let place = alone[read.input as usize].then(|| place(read, *n)).flatten();
        let inner = match (place, bag_work(input), &input.rule) {
            // Hints hold for the tasks that they were given to.
            (Some(_), Some(inner), _) if inner.annotations.is_some() || work.annotations.is_some() => None,
            (Some(place), Some(inner), Rule::Grid { reads, shape }) => {
                let whole = place == SAME && shape[..] == [*n];
                movable(inner, reads, whole, new.many).then_some((place, inner, reads))
            }
            _ => None,
        };
        let Some((place, inner, inner_reads)) = inner else {
            if matches!(slot, Slot::Many(_)) {
                // Only one read of a task may give any number of inputs.
                if new.many.is_some() {
                    return Ok(None);
                }
                new.many = Some(new_reads.len() as u32);
                slots.push(Slot::Many(new_reads.len() as u32));
            } else {
                slots.push(Slot::One(new_reads.len() as u32));
            }
            new_reads.push(Read { input: new_inputs.len() as u32, axes: read.axes.clone() });
            new_inputs.push(input.clone());
            continue;
        };
        joined = true;
        let (steps, reads) = (new.steps.len() as u32, new_reads.len() as u32);
        for inner_step in &inner.steps {
            let moved = inner_step.slots.iter().map(|&slot| match (slot, place) {
                (Slot::Index(None), Axis::At(i)) => Slot::Index(Some(i)),
                (Slot::Index(fixed), _) => Slot::Index(fixed),
                (Slot::One(read), _) => Slot::One(read + reads),
                (Slot::Many(read), _) => Slot::Many(read + reads),
                (Slot::Step(step), _) => Slot::Step(step + steps),
            });
            new.steps.push(Step { call: inner_step.call.clone(), slots: moved.collect() });
        }
        if let Some(many) = inner.many {
            new.many = Some(many + reads);
        }
        for read in inner_reads {
            let axes = read.axes.iter().map(|&axis| if axis == SAME { place } else { axis }).collect();
            new_reads.push(Read { input: new_inputs.len() as u32, axes });
            new_inputs.push(input.inputs[read.input as usize].clone());
        }
        slots.push(Slot::Step(new.steps.len() as u32 - 1));
    }
    if !joined {
        return Ok(None);
    }
    new.steps.push(Step { call: step.call.clone(), slots });
    new.reads = new_reads.len() as u32;
    let rule = Rule::Grid { shape: shape.clone(), reads: new_reads };
    Layer::new(layer.name.clone(), new_inputs, rule, Arc::new(new) as WorkRef).map(Some)
}

/// Which partition of its input a task of a line of `n` reads, if it is one that follows a rule.
fn place(read: &Read, n: u32) -> Option<Axis> {
    match read.axes[..] {
        [SAME] => Some(SAME),
        [Axis::At(i)] if n == 1 => Some(Axis::At(i)),
        _ => None,
    }
}

/// Whether the tasks of `inner` can be done by the tasks that read them, one each: all of them (`whole`) or some.
fn movable(inner: &BagWork, reads: &[Read], whole: bool, many: Option<u32>) -> bool {
    // Two lists of any length could not be told apart among a task's inputs.
    if inner.many.is_some() && (many.is_some() || !whole) {
        return false;
    }
    reads.iter().all(|read| match read.axes[..] {
        [] | [SAME] | [Axis::At(_)] => true,
        [Axis::Group { .. } | Axis::All] => whole,
        _ => false,
    })
}
