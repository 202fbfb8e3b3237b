//! Tasks of native layers as Python callables: for those who take tasks out of a graph and call them themselves.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use weft_data::{LayerRef, Value};

use crate::array::{ArrayExpr, raise};
use crate::task::{PyValue, error_to_py, value_to_py};

/// A value on its way between two native tasks that has no form in Python.
#[pyclass(frozen, name = "NativeValue", module = "weft._weft")]
struct NativeValue(Value);

/// One task of a native layer. Call it with the values of the tasks that it reads, in order.
#[pyclass(frozen, name = "NativeCall", module = "weft._weft")]
pub(crate) struct NativeCall {
    layer: LayerRef,
    index: u32,
}

impl NativeCall {
    pub(crate) fn new(layer: LayerRef, index: u32) -> NativeCall {
        NativeCall { layer, index }
    }
}

#[pymethods]
impl NativeCall {
    #[pyo3(signature = (*args))]
    fn __call__<'py>(&self, py: Python<'py>, args: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let value = |arg: Bound<'py, PyAny>| match arg.cast::<NativeValue>() {
            Ok(native) => native.get().0.clone(),
            Err(_) => PyValue::value(arg.unbind()),
        };
        let mut inputs: Vec<Value> = args.iter().map(value).collect();
        let made = py.detach(|| self.layer.work.run(self.index, &mut inputs));
        let made = made.map_err(|error| error_to_py(py, &error))?;
        match value_to_py(py, &made) {
            Ok(object) => Ok(object),
            Err(_) => Ok(Bound::new(py, NativeValue(made))?.into_any()),
        }
    }

    /// What identifies the task.
    #[getter]
    fn token(&self) -> String {
        match weft_array::part(&self.layer) {
            Some((expr, part)) => format!("{:032x}-{part}-{}", expr.digest(), self.index),
            None => format!("{}-{}", self.layer.name, self.index),
        }
    }

    /// Whether it pickles: tasks of arrays do.
    #[getter]
    fn portable(&self) -> bool {
        weft_array::part(&self.layer).is_some()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (ArrayExpr, u32, u32))> {
        let Some((expr, part)) = weft_array::part(&self.layer) else {
            return Err(PyTypeError::new_err(format!(
                "a step of {} cannot be pickled by itself",
                self.layer.name
            )));
        };
        let make = py.import("weft._weft")?.getattr("native_call")?;
        Ok((make, (ArrayExpr::from(expr.clone()), part, self.index)))
    }
}

/// Task `index` of layer `part` of those that an array was lowered to.
#[pyfunction]
fn native_call(expr: &Bound<'_, ArrayExpr>, part: usize, index: u32) -> PyResult<NativeCall> {
    let expr = &expr.get().expr;
    let parts = weft_array::parts(std::slice::from_ref(expr)).map_err(raise)?;
    let layer = parts.get(&expr.digest()).and_then(|layers| layers.get(part)).cloned();
    match layer.filter(|layer| (index as usize) < layer.len()) {
        Some(layer) => Ok(NativeCall { layer, index }),
        None => Err(PyTypeError::new_err(format!("{} has no task {index} of step {part}", expr.name()))),
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeCall>()?;
    module.add_function(wrap_pyfunction!(native_call, module)?)
}
