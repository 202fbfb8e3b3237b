//! Frame expressions between processes: what only Python can write of them, and handles that pickle.
//!
//! The expressions themselves are written in Rust (`weft_frame::portable`); each function, file or graph of
//! another collection that they hold is pickled here, by itself, so that an error says which step holds what cannot
//! be pickled.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use weft_data::{LayerRef, Recipe, Value, WorkRef};
use weft_frame::portable::{self, HostReader, HostWriter, PortableError, Written};
use weft_frame::{Expr, Lowered, Tasks, fingerprint};
use weft_graph::Key;
use weft_io::ByteSource;

use crate::cluster::pickle;
use crate::csv::RemoteFile;
use crate::frame::{FrameExpr, raise};
use crate::graph::Graph;
use crate::host;

/// Writes what expressions hold of Python.
struct PyWriter<'py> {
    py: Python<'py>,
    /// Whether tasks of other collections and frames in memory are written too.
    whole: bool,
    /// Why the last thing could not be pickled.
    cause: Option<PyErr>,
}

impl PyWriter<'_> {
    fn said(&mut self, written: PyResult<Vec<u8>>) -> Result<Vec<u8>, String> {
        written.map_err(|error| {
            let reason = error.to_string();
            self.cause = Some(error);
            reason
        })
    }
}

impl HostWriter for PyWriter<'_> {
    fn work(&mut self, work: &WorkRef) -> Result<Vec<u8>, String> {
        let written = host::work_to_bytes(self.py, work);
        self.said(written)
    }

    fn file(&mut self, file: &dyn ByteSource) -> Result<Vec<u8>, String> {
        let Some(file) = file.as_any().and_then(|file| file.downcast_ref::<RemoteFile>()) else {
            return Err("only Python's file systems travel".to_owned());
        };
        let written = file.state(self.py).and_then(|state| pickled(&state));
        self.said(written)
    }

    fn tasks(&mut self, tasks: &Tasks) -> Result<Option<Vec<u8>>, String> {
        if !self.whole {
            return Ok(None);
        }
        let graph = Bound::new(self.py, Graph::new(tasks.layers.clone()));
        let written = graph.and_then(|graph| pickled(graph.as_any()));
        self.said(written).map(Some)
    }

    fn with_data(&self) -> bool {
        self.whole
    }
}

/// Reads what [`PyWriter`] wrote.
struct PyReader<'py>(Python<'py>);

impl HostReader for PyReader<'_> {
    fn work(&mut self, bytes: &[u8]) -> Result<WorkRef, String> {
        host::work_from_bytes(self.0, bytes).map_err(|error| error.to_string())
    }

    fn file(&mut self, bytes: &[u8]) -> Result<Arc<dyn ByteSource>, String> {
        let read = || -> PyResult<Arc<dyn ByteSource>> {
            Ok(Arc::new(RemoteFile::from_state(&unpickled(self.0, bytes)?)?))
        };
        read().map_err(|error| error.to_string())
    }

    fn tasks(&mut self, bytes: &[u8]) -> Result<Vec<LayerRef>, String> {
        let read = || -> PyResult<Vec<LayerRef>> {
            let graph = unpickled(self.0, bytes)?;
            Ok(graph.cast::<Graph>()?.get().layers().to_vec())
        };
        read().map_err(|error| error.to_string())
    }
}

/// An object as one piece of bytes.
pub(crate) fn pickled(object: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let mut bytes = Vec::new();
    pickle::to_bytes(&pickle::dumps(object)?, &mut bytes);
    Ok(bytes)
}

pub(crate) fn unpickled<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    pickle::from_bytes(py, &mut Bytes::copy_from_slice(bytes))
}

fn portable_error(py: Python<'_>, error: &PortableError, cause: Option<PyErr>) -> PyErr {
    let raised = match error {
        PortableError::Host { .. } | PortableError::Native { .. } => PyTypeError::new_err(error.to_string()),
        _ => PyValueError::new_err(error.to_string()),
    };
    raised.set_cause(py, cause);
    raised
}

fn writing(
    py: Python<'_>,
    whole: bool,
    write: impl FnOnce(&mut PyWriter<'_>) -> Result<Written, PortableError>,
) -> PyResult<Written> {
    let mut writer = PyWriter { py, whole, cause: None };
    write(&mut writer).map_err(|error| portable_error(py, &error, writer.cause.take()))
}

type Parts<'py> = (Bound<'py, PyBytes>, Bound<'py, PyList>);

fn parts_to_py<'py>(py: Python<'py>, written: &Written) -> PyResult<Parts<'py>> {
    let blobs = PyList::new(py, written.blobs.iter().map(|blob| PyBytes::new(py, blob)))?;
    Ok((PyBytes::new(py, &written.steps), blobs))
}

/// What `FrameExpr.__reduce__` gives.
pub(crate) fn reduce<'py>(py: Python<'py>, expr: &Expr) -> PyResult<(Bound<'py, PyAny>, Parts<'py>)> {
    let named = [(expr.clone(), Key::from(expr.name()))];
    let written = writing(py, true, |writer| portable::write(&named, writer))?;
    Ok((py.import("weft._weft")?.getattr("frame_from_portable")?, parts_to_py(py, &written)?))
}

/// The expression that `FrameExpr.__reduce__` wrote.
#[pyfunction]
fn frame_from_portable(py: Python<'_>, steps: &[u8], blobs: Vec<Bound<'_, PyBytes>>) -> PyResult<FrameExpr> {
    let blobs: Vec<&[u8]> = blobs.iter().map(|blob| blob.as_bytes()).collect();
    let read = portable::read(steps, &blobs, &mut PyReader(py));
    let expr = read.map_err(|error| portable_error(py, &error, None))?.pop();
    let (expr, _) = expr.ok_or_else(|| PyValueError::new_err("a pickle without an expression"))?;
    Ok(FrameExpr { expr })
}

/// Expressions that were lowered together; the layers of graphs that come from them pickle as this and a number.
#[pyclass(frozen, name = "FrameLayers", module = "weft._weft")]
pub(crate) struct FrameLayers {
    recipe: Arc<Lowered>,
    layers: OnceLock<Vec<LayerRef>>,
}

/// The frames' recipe, if it is one.
pub(crate) fn lowered(recipe: &Arc<dyn Recipe>) -> Option<Arc<Lowered>> {
    let recipe: Arc<dyn std::any::Any + Send + Sync> = recipe.clone();
    recipe.downcast().ok()
}

impl FrameLayers {
    pub(crate) fn new(recipe: Arc<Lowered>) -> FrameLayers {
        FrameLayers { recipe, layers: OnceLock::new() }
    }

    pub(crate) fn layer(&self, number: u32) -> PyResult<LayerRef> {
        if self.layers.get().is_none() {
            let layers = self.recipe.all().map_err(raise)?;
            // Another thread may have been faster, with the same.
            let _ = self.layers.set(layers);
        }
        let layer = self.layers.get().and_then(|layers| layers.get(number as usize)).cloned();
        layer.ok_or_else(|| PyValueError::new_err(format!("a graph of frames has no layer {number}")))
    }
}

#[pymethods]
impl FrameLayers {
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Parts<'py>)> {
        let written = writing(py, true, |writer| self.recipe.write(writer))?;
        Ok((py.import("weft._weft")?.getattr("frame_layers_from_portable")?, parts_to_py(py, &written)?))
    }
}

#[pyfunction]
fn frame_layers_from_portable(
    py: Python<'_>,
    steps: &[u8],
    blobs: Vec<Bound<'_, PyBytes>>,
) -> PyResult<FrameLayers> {
    let blobs: Vec<&[u8]> = blobs.iter().map(|blob| blob.as_bytes()).collect();
    let recipe = Lowered::read(steps, &blobs, &mut PyReader(py));
    Ok(FrameLayers::new(recipe.map_err(|error| portable_error(py, &error, None))?))
}

/// A recipe for workers, without what tasks bring along: a check of what it must come to, and its parts.
pub(crate) fn recipe_to_bytes(py: Python<'_>, recipe: &Arc<Lowered>) -> PyResult<Vec<u8>> {
    let layers = recipe.all().map_err(raise)?;
    let mut bytes = fingerprint(&layers).to_le_bytes().to_vec();
    bytes.extend(writing(py, false, |writer| recipe.write(writer))?.to_bytes());
    Ok(bytes)
}

/// The layers of a recipe that [`recipe_to_bytes`] wrote, lowered here.
pub(crate) fn layers_from_bytes(py: Python<'_>, bytes: &[u8]) -> PyResult<Vec<LayerRef>> {
    let failed = |error: PortableError| portable_error(py, &error, None);
    let damaged = || failed(PortableError::Damaged("it breaks off".to_owned()));
    let (expected, rest) = bytes.split_first_chunk::<16>().ok_or_else(damaged)?;
    let parts = portable::parts(rest).map_err(failed)?;
    let (steps, blobs) = parts.split_first().ok_or_else(damaged)?;
    let recipe = Lowered::read(steps, blobs, &mut PyReader(py)).map_err(failed)?;
    let layers = recipe.all().map_err(raise)?;
    if fingerprint(&layers) != u128::from_le_bytes(*expected) {
        let name = layers.first().map_or_else(String::new, |layer| layer.name.to_string());
        return Err(failed(PortableError::Differs { name }));
    }
    Ok(layers)
}

/// Recipes that this process has read lately: tasks of one graph come one by one.
static KNOWN: Mutex<Vec<(u128, Vec<LayerRef>)>> = Mutex::new(Vec::new());

/// As [`layers_from_bytes`], for recipes that come again and again.
pub(crate) fn layers_of(py: Python<'_>, bytes: &[u8]) -> PyResult<Vec<LayerRef>> {
    const MANY: usize = 8;
    let digest = xxhash_rust::xxh3::xxh3_128(bytes);
    if let Some((_, layers)) = KNOWN.lock().iter().find(|(known, _)| *known == digest) {
        return Ok(layers.clone());
    }
    let layers = layers_from_bytes(py, bytes)?;
    let mut known = KNOWN.lock();
    let old = if known.len() >= MANY { Some(known.remove(0)) } else { None };
    known.push((digest, layers.clone()));
    drop(known);
    // Dropping functions may run their owners' code.
    drop(old);
    Ok(layers)
}

/// A task's payload: which layer it is of, and the partition in memory that it brings along.
pub(crate) fn payload(py: Python<'_>, number: u32, parcel: Option<&Value>) -> PyResult<Vec<u8>> {
    let mut bytes = number.to_le_bytes().to_vec();
    if let Some(value) = parcel {
        let encoded = crate::cluster::value::encode(py, value);
        let encoded = encoded.map_err(|error| PyTypeError::new_err(error.to_string()))?;
        bytes.push(encoded.form);
        pickle::to_bytes(&encoded, &mut bytes);
    }
    Ok(bytes)
}

/// What [`payload`] wrote; `None`: something else.
pub(crate) fn payload_parts(payload: &Bytes) -> Option<(u32, Option<weft_cluster::Encoded>)> {
    let (number, rest) = payload.split_first_chunk::<4>()?;
    let number = u32::from_le_bytes(*number);
    let Some(&form) = rest.first() else { return Some((number, None)) };
    let encoded = pickle::encoded_from_bytes(form, &mut payload.slice(5..)).ok()?;
    Some((number, Some(encoded)))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<FrameLayers>()?;
    module.add_function(wrap_pyfunction!(frame_from_portable, module)?)?;
    module.add_function(wrap_pyfunction!(frame_layers_from_portable, module)?)
}

/// What pickles a task of a frame's layer: its recipe, number, index, and what it brings along.
pub(crate) fn task_state<'py>(
    py: Python<'py>,
    layer: &LayerRef,
    index: u32,
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let Some(origin) = layer.work.origin() else { return Ok(None) };
    let Some(recipe) = lowered(origin.recipe) else { return Ok(None) };
    let parcel = layer.work.parcel(index).map_err(|error| crate::task::error_to_py(py, &error))?;
    let bytes = PyBytes::new(py, &recipe_to_bytes(py, &recipe)?);
    let payload = PyBytes::new(py, &payload(py, origin.number, parcel.as_ref())?);
    Ok(Some((bytes, payload, index).into_pyobject(py)?))
}
