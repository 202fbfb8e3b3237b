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
        match weft_array::origin(&self.layer) {
            Some(expr) => format!("{:032x}-{}", expr.digest(), self.index),
            None => format!("{}-{}", self.layer.name, self.index),
        }
    }

    /// Whether it pickles: tasks that make blocks of arrays do.
    #[getter]
    fn portable(&self) -> bool {
        weft_array::origin(&self.layer).is_some()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (ArrayExpr, u32))> {
        let Some(expr) = weft_array::origin(&self.layer) else {
            return Err(PyTypeError::new_err(format!(
                "a step of {} cannot be pickled by itself",
                self.layer.name
            )));
        };
        let make = py.import("weft._weft")?.getattr("native_call")?;
        Ok((make, (ArrayExpr::from(expr.clone()), self.index)))
    }
}

/// The task that makes block `index` of an array.
#[pyfunction]
fn native_call(expr: &Bound<'_, ArrayExpr>, index: u32) -> PyResult<NativeCall> {
    let layer = weft_array::layer_of(&expr.get().expr).map_err(raise)?;
    match (index as usize) < layer.len() {
        true => Ok(NativeCall { layer, index }),
        false => Err(PyTypeError::new_err(format!("{} has no block {index}", layer.name))),
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeCall>()?;
    module.add_function(wrap_pyfunction!(native_call, module)?)
}
