//! Layers of bags as plain Python objects, for pickling.

use std::sync::Arc;

use ahash::AHashMap;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use weft_data::{LayerRef, WorkRef};
use weft_graph::{Axis, Key, Layer, Read, Rule};

use super::{Alias, BagWork, Call, Slot, Step, bag_work, invalid};
use crate::key::{key_from_py, key_to_py};

/// What the first item of such a layer is: no key is an ellipsis.
fn marker(py: Python<'_>) -> Bound<'_, PyAny> {
    py.Ellipsis().into_bound(py)
}

/// An axis, or a slot, as two numbers.
type Pair = (u8, Option<u32>);
type Reads = Vec<(u32, u32)>;
type Steps<'py> = Vec<(Bound<'py, PyAny>, bool, Vec<Pair>)>;

/// Marker, name, shape, reads of a grid, keys, starts, reads of explicit tasks.
type PortableRule<'py> =
    (Bound<'py, PyAny>, Option<u32>, Vec<(u32, Vec<Pair>)>, Option<Vec<Bound<'py, PyAny>>>, Vec<u32>, Reads);
/// Marker, rule, numbers of the inputs, steps, number of reads, which of them is a list, label, annotations.
type PortableBag<'py> = (
    Bound<'py, PyAny>,
    PortableRule<'py>,
    Vec<u32>,
    Steps<'py>,
    u32,
    Option<u32>,
    String,
    Option<Bound<'py, PyAny>>,
);

fn slot_pair(slot: Slot) -> Pair {
    match slot {
        Slot::Index(fixed) => (0, fixed),
        Slot::One(n) => (1, Some(n)),
        Slot::Many(n) => (2, Some(n)),
        Slot::Step(n) => (3, Some(n)),
    }
}

fn pair_slot(pair: Pair) -> PyResult<Slot> {
    Ok(match pair {
        (0, fixed) => Slot::Index(fixed),
        (1, Some(n)) => Slot::One(n),
        (2, Some(n)) => Slot::Many(n),
        (3, Some(n)) => Slot::Step(n),
        _ => return Err(damaged()),
    })
}

fn axis_pair(axis: Axis) -> Pair {
    match axis {
        Axis::Along { .. } => (0, None),
        Axis::Group { size, .. } => (1, Some(size)),
        Axis::All => (2, None),
        Axis::At(i) => (3, Some(i)),
    }
}

fn pair_axis(pair: Pair) -> PyResult<Axis> {
    Ok(match pair {
        (0, None) => super::SAME,
        (1, Some(size)) => Axis::Group { own: 0, size },
        (2, None) => Axis::All,
        (3, Some(i)) => Axis::At(i),
        _ => return Err(damaged()),
    })
}

fn damaged() -> PyErr {
    PyValueError::new_err("the pickled graph is damaged: a bag's layer makes no sense")
}

/// A bag's layer as Python objects; `None`: it is another one.
pub(crate) fn write<'py>(
    py: Python<'py>,
    layer: &LayerRef,
    numbers: &AHashMap<*const Layer<WorkRef>, u32>,
) -> PyResult<Option<PortableBag<'py>>> {
    let work = bag_work(layer);
    if work.is_none() && !layer.work.as_any().is_some_and(|work| work.is::<Alias>()) {
        return Ok(None);
    }
    let name = key_to_py(py, &layer.name)?;
    let rule = match &layer.rule {
        Rule::Grid { shape, reads } => {
            let reads = reads
                .iter()
                .map(|read| (read.input, read.axes.iter().map(|&axis| axis_pair(axis)).collect()))
                .collect();
            (name, shape.first().copied(), reads, None, vec![], vec![])
        }
        Rule::Table { shape, starts, reads } => {
            (name, shape.first().copied(), vec![], None, starts.to_vec(), reads.to_vec())
        }
        Rule::Single { reads } => (name, None, vec![], None, vec![], reads.clone()),
        Rule::Explicit { keys, starts, reads } => {
            let keys = keys.iter().map(|key| key_to_py(py, key)).collect::<PyResult<Vec<_>>>()?;
            (name, None, vec![], Some(keys), starts.clone(), reads.clone())
        }
    };
    let inputs = layer.inputs.iter().map(|input| numbers[&Arc::as_ptr(input)]).collect();
    let Some(work) = work else {
        return Ok(Some((marker(py), rule, inputs, vec![], 0, None, "alias".into(), None)));
    };
    let steps = work
        .steps
        .iter()
        .map(|step| {
            let slots = step.slots.iter().map(|&slot| slot_pair(slot)).collect();
            (step.call.func.bind(py).clone(), step.call.lazy, slots)
        })
        .collect();
    let annotations = work.annotations.as_ref().map(|a| a.bind(py).clone());
    Ok(Some((marker(py), rule, inputs, steps, work.reads, work.many, work.label.to_string(), annotations)))
}

/// The layer that [`write`] wrote; `None`: it is another one.
pub(crate) fn read(layer: &Bound<'_, PyAny>, known: &[LayerRef]) -> PyResult<Option<LayerRef>> {
    let py = layer.py();
    if !layer.cast::<PyTuple>()?.get_item(0)?.is(marker(py)) {
        return Ok(None);
    }
    let (_, rule, inputs, steps, reads, many, label, annotations): PortableBag<'_> = layer.extract()?;
    let (name, shape, grid_reads, keys, starts, task_reads) = rule;
    let inputs = inputs
        .iter()
        .map(|&input| known.get(input as usize).cloned().ok_or_else(damaged))
        .collect::<PyResult<Vec<_>>>()?;
    let rule = match (shape, keys) {
        (Some(n), _) if !starts.is_empty() => {
            Rule::Table { shape: vec![n], starts: starts.into(), reads: task_reads.into() }
        }
        (Some(n), _) => {
            let reads = grid_reads
                .into_iter()
                .map(|(input, axes)| {
                    Ok(Read { input, axes: axes.into_iter().map(pair_axis).collect::<PyResult<_>>()? })
                })
                .collect::<PyResult<_>>()?;
            Rule::Grid { shape: vec![n], reads }
        }
        (None, None) => Rule::Single { reads: task_reads },
        (None, Some(keys)) => {
            let keys: Vec<Key> = keys.iter().map(key_from_py).collect::<PyResult<_>>()?;
            Rule::Explicit { keys: keys.into(), starts, reads: task_reads }
        }
    };
    let work: WorkRef = if steps.is_empty() {
        Arc::new(Alias)
    } else {
        let steps = steps
            .into_iter()
            .map(|(func, lazy, slots)| {
                let slots = slots.into_iter().map(pair_slot).collect::<PyResult<_>>()?;
                Ok(Step { call: Arc::new(Call { func: func.unbind(), lazy }), slots })
            })
            .collect::<PyResult<_>>()?;
        let annotations = annotations.map(Bound::unbind);
        Arc::new(BagWork { steps, reads, many, label: label.into(), annotations })
    };
    Layer::new(key_from_py(&name)?, inputs, rule, work).map(Some).map_err(invalid)
}

/// A layer's work without the layer: steps, number of reads, which of them is a list, label.
type PortableWork<'py> = (Steps<'py>, u32, Option<u32>, String);

/// The work of a bag's layer as Python objects, for another process.
pub(crate) fn work_to_py<'py>(py: Python<'py>, work: &BagWork) -> PyResult<Bound<'py, PyAny>> {
    let steps: Steps<'_> = work
        .steps
        .iter()
        .map(|step| {
            let slots = step.slots.iter().map(|&slot| slot_pair(slot)).collect();
            (step.call.func.bind(py).clone(), step.call.lazy, slots)
        })
        .collect();
    Ok((steps, work.reads, work.many, work.label.to_string()).into_pyobject(py)?.into_any())
}

/// The work that [`work_to_py`] wrote.
pub(crate) fn work_from_py(work: &Bound<'_, PyAny>) -> PyResult<WorkRef> {
    let (steps, reads, many, label): PortableWork<'_> = work.extract()?;
    let steps = steps
        .into_iter()
        .map(|(func, lazy, slots)| {
            let slots = slots.into_iter().map(pair_slot).collect::<PyResult<_>>()?;
            Ok(Step { call: Arc::new(Call { func: func.unbind(), lazy }), slots })
        })
        .collect::<PyResult<_>>()?;
    Ok(Arc::new(BagWork { steps, reads, many, label: label.into(), annotations: None }))
}
