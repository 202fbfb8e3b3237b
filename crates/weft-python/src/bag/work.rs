//! What a task of a bag does: Python callables, one after the other, with iterators between them.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyTuple};
use weft_data::{Lane, TaskError, Value, Work, WorkRef};
use weft_graph::{Key, Layer};

use crate::key::key_to_py;
use crate::task::{PyValue, host_error, value_to_py};

/// What one argument of a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The task's number; or this one, where a single partition was asked for.
    Index(Option<u32>),
    /// The one task that read `n` gives.
    One(u32),
    /// All tasks that read `n` gives, as a list.
    Many(u32),
    /// What an earlier step of the same task gave; used once.
    Step(u32),
}

/// A Python callable, and whether what it gives may be an iterator.
pub(super) struct Call {
    pub(super) func: Py<PyAny>,
    pub(super) lazy: bool,
}

#[derive(Clone)]
pub(super) struct Step {
    pub(super) call: Arc<Call>,
    pub(super) slots: Vec<Slot>,
}

/// The steps of one pass over a partition.
pub(crate) struct BagWork {
    pub(super) steps: Vec<Step>,
    /// How many reads the layer's rule has. Each gives one task, except for `many`.
    pub(super) reads: u32,
    pub(super) many: Option<u32>,
    pub(super) label: Arc<str>,
    pub(super) annotations: Option<Py<PyAny>>,
}

/// `weft.bag._steps.finish`: makes a result that can be read again and again.
pub(super) fn finish(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static FINISH: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FINISH.import(py, "weft.bag._steps", "finish")
}

impl BagWork {
    /// Where among a task's `total` inputs those of read `read` are.
    pub(super) fn range(&self, read: u32, total: usize) -> std::ops::Range<usize> {
        let read = read as usize;
        // Inputs of the one read that gives any number of tasks.
        let extra = |_: u32| (total + 1).saturating_sub(self.reads as usize);
        match self.many.map(|many| (many as usize, extra(many))) {
            Some((many, n)) if read == many => read..read + n,
            Some((many, n)) if read > many => read - 1 + n..read + n,
            _ => read..read + 1,
        }
    }

    fn call<'py>(&self, py: Python<'py>, index: u32, inputs: &[Value]) -> PyResult<Bound<'py, PyAny>> {
        let short = || PyValueError::new_err(format!("{} got too few partitions", self.label));
        let mut results: Vec<Option<Bound<'py, PyAny>>> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let mut args = Vec::with_capacity(step.slots.len());
            for slot in &step.slots {
                args.push(match *slot {
                    Slot::Index(fixed) => fixed.unwrap_or(index).into_pyobject(py)?.into_any(),
                    Slot::One(read) => {
                        let at = self.range(read, inputs.len()).start;
                        value_to_py(py, inputs.get(at).ok_or_else(short)?)?
                    }
                    Slot::Many(read) => {
                        let values = inputs.get(self.range(read, inputs.len())).ok_or_else(short)?;
                        let values =
                            values.iter().map(|v| value_to_py(py, v)).collect::<PyResult<Vec<_>>>()?;
                        PyList::new(py, values)?.into_any()
                    }
                    Slot::Step(step) => {
                        results.get_mut(step as usize).and_then(Option::take).ok_or_else(short)?
                    }
                });
            }
            results.push(Some(step.call.func.bind(py).call1(PyTuple::new(py, args)?)?));
        }
        let result = results.pop().flatten().ok_or_else(short)?;
        match self.steps.last() {
            Some(step) if step.call.lazy => finish(py)?.call1((result,)),
            _ => Ok(result),
        }
    }

    /// One task as users of graphs see it: calls within calls, on references to `inputs`.
    pub(crate) fn to_task<'py>(
        &self,
        py: Python<'py>,
        key: Bound<'py, PyAny>,
        index: u32,
        inputs: &[Key],
    ) -> PyResult<Bound<'py, PyAny>> {
        let spec = py.import("weft._task_spec")?;
        let task = spec.getattr("Task")?;
        let refer = |key: &Key| spec.getattr("TaskRef")?.call1((key_to_py(py, key)?,));
        let mut results: Vec<Bound<'py, PyAny>> = Vec::new();
        let last = self.steps.len().saturating_sub(1);
        for (i, step) in self.steps.iter().enumerate() {
            let lazy = step.call.lazy && i == last;
            let none = py.None().into_bound(py);
            let mut args =
                vec![if i == last && !lazy { key.clone() } else { none }, step.call.func.bind(py).clone()];
            for slot in &step.slots {
                args.push(match *slot {
                    Slot::Index(fixed) => fixed.unwrap_or(index).into_pyobject(py)?.into_any(),
                    Slot::One(read) => refer(&inputs[self.range(read, inputs.len()).start])?,
                    Slot::Many(read) => {
                        let keys = &inputs[self.range(read, inputs.len())];
                        let refs = keys.iter().map(refer).collect::<PyResult<Vec<_>>>()?;
                        spec.getattr("List")?.call1(PyTuple::new(py, refs)?)?
                    }
                    Slot::Step(step) => results[step as usize].clone(),
                });
            }
            let call = task.call1(PyTuple::new(py, args)?)?;
            results.push(if lazy { task.call1((key.clone(), finish(py)?, call))? } else { call });
        }
        results.pop().ok_or_else(|| PyValueError::new_err("a bag's task has no steps"))
    }

    pub(crate) fn annotations(&self) -> &Option<Py<PyAny>> {
        &self.annotations
    }
}

impl fmt::Debug for BagWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BagWork({}, {} steps)", self.label, self.steps.len())
    }
}

impl Work for BagWork {
    fn lane(&self) -> Lane {
        Lane::Host
    }

    fn name(&self) -> &str {
        &self.label
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        Python::attach(|py| {
            self.call(py, index, inputs).map(|object| PyValue::value(object.unbind())).map_err(host_error)
        })
    }
}

pub(crate) fn bag_work(layer: &Layer<WorkRef>) -> Option<&BagWork> {
    layer.work.as_any()?.downcast_ref()
}
