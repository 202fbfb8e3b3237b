//! Tasks of native layers as Python callables: for those who take tasks out of a graph and call them themselves.

use bytes::Bytes;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use weft_data::{LayerRef, Value};

use crate::array::{ArrayExpr, raise};
use crate::cluster::pickle;
use crate::cluster::value::{decode, encode, frame};
use crate::frame_portable::{layers_of, lowered, payload_parts, task_state};
use crate::task::{PyValue, error_to_py, value_to_py};

/// A value on its way between two native tasks that has no form in Python.
#[pyclass(frozen, name = "NativeValue", module = "weft._weft")]
struct NativeValue(Value);

/// One task of a native layer. Call it with the values of the tasks that it reads, in order.
#[pyclass(frozen, name = "NativeCall", module = "weft._weft")]
pub(crate) struct NativeCall {
    layer: LayerRef,
    index: u32,
    /// What came with the task from another process.
    parcel: Option<Value>,
}

impl NativeCall {
    pub(crate) fn new(layer: LayerRef, index: u32) -> NativeCall {
        NativeCall { layer, index, parcel: None }
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
        let mut inputs: Vec<Value> = args.iter().map(value).chain(self.parcel.clone()).collect();
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
            // A frame's layer has a name of its own.
            Some((expr, part)) => format!("{:032x}-{part}-{}", expr.digest(), self.index),
            None => format!("{}-{}", self.layer.name, self.index),
        }
    }

    /// Whether it pickles: tasks of arrays and frames do.
    #[getter]
    fn portable(&self) -> bool {
        let frames = || self.layer.work.origin().is_some_and(|origin| lowered(origin.recipe).is_some());
        weft_array::part(&self.layer).is_some() || frames()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        if let Some(state) = task_state(py, &self.layer, self.index)? {
            return Ok((py.import("weft._weft")?.getattr("native_frame_call")?, state));
        }
        let Some((expr, part)) = weft_array::part(&self.layer) else {
            return Err(PyTypeError::new_err(format!(
                "a step of {} cannot be pickled by itself",
                self.layer.name
            )));
        };
        let make = py.import("weft._weft")?.getattr("native_call")?;
        Ok((make, (ArrayExpr::from(expr.clone()), part, self.index).into_pyobject(py)?))
    }
}

/// Task `index` of layer `part` of those that an array was lowered to.
#[pyfunction]
fn native_call(expr: &Bound<'_, ArrayExpr>, part: usize, index: u32) -> PyResult<NativeCall> {
    let expr = &expr.get().expr;
    let parts = weft_array::parts(std::slice::from_ref(expr)).map_err(raise)?;
    let layer = parts.get(&expr.digest()).and_then(|layers| layers.get(part)).cloned();
    match layer.filter(|layer| (index as usize) < layer.len()) {
        Some(layer) => Ok(NativeCall { layer, index, parcel: None }),
        None => Err(PyTypeError::new_err(format!("{} has no task {index} of step {part}", expr.name()))),
    }
}

/// A task of a frame's layer, of a recipe, a payload and its number.
#[pyfunction]
fn native_frame_call(py: Python<'_>, recipe: &[u8], payload: &[u8], index: u32) -> PyResult<NativeCall> {
    let layers = layers_of(py, recipe)?;
    let damaged = || PyValueError::new_err("a pickled task of a frame is damaged");
    let (number, parcel) = payload_parts(&Bytes::copy_from_slice(payload)).ok_or_else(damaged)?;
    let layer = layers.get(number as usize).filter(|layer| (index as usize) < layer.len());
    let layer = layer.ok_or_else(damaged)?.clone();
    let parcel = parcel.map(|parcel| frame(&parcel).map(Value::Frame)).transpose()?;
    Ok(NativeCall { layer, index, parcel })
}

#[pymethods]
impl NativeValue {
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (u8, Bound<'py, PyBytes>))> {
        let encoded = encode(py, &self.0).map_err(|error| PyTypeError::new_err(error.to_string()))?;
        let mut bytes = Vec::new();
        pickle::to_bytes(&encoded, &mut bytes);
        let make = py.import("weft._weft")?.getattr("native_value")?;
        Ok((make, (encoded.form, PyBytes::new(py, &bytes))))
    }
}

/// What `NativeValue.__reduce__` wrote.
#[pyfunction]
fn native_value(py: Python<'_>, form: u8, bytes: &[u8]) -> PyResult<NativeValue> {
    let encoded = pickle::encoded_from_bytes(form, &mut Bytes::copy_from_slice(bytes))?;
    decode(py, &encoded).map(NativeValue).map_err(|error| error_to_py(py, &error))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeCall>()?;
    module.add_class::<NativeValue>()?;
    module.add_function(wrap_pyfunction!(native_frame_call, module)?)?;
    module.add_function(wrap_pyfunction!(native_value, module)?)?;
    module.add_function(wrap_pyfunction!(native_call, module)?)
}
