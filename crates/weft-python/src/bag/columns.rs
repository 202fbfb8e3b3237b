//! Lines of JSON as frames.

use std::sync::Arc;

use ahash::AHashSet;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use weft_data::{Column, DType, Frame, Index};
use weft_graph::Key;
use weft_io::json::{Floats, Kinds, Lines, Unusual, Values};

use super::json::JsonLoads;
use crate::arrow::PyFrame;

fn column(name: &str, values: Values) -> Column {
    let (dtype, values) = match values {
        Values::Int(values) => (DType::Int64, values),
        Values::Float(values) => (DType::Float64, values),
        Values::Bool(values) => (DType::Bool, values),
        Values::Str(values) => (DType::Str, values),
    };
    Column { label: Key::Str(name.into()), dtype, values }
}

fn frame(columns: Vec<Column>, rows: usize) -> Frame {
    Frame::new(columns, Index::Range { start: 0, step: 1 }, rows)
}

/// A double that pandas would turn into an integer, were all of its column like it.
fn whole(value: f64) -> bool {
    value.fract() == 0.0 && value.abs() < 9e18
}

/// What pandas' reader makes of some columns, and the text of the others.
struct Parts {
    names: Vec<String>,
    frame: Frame,
    rest: Vec<(usize, Vec<u8>)>,
}

fn parts(text: &str, raw: &AHashSet<String>) -> Result<Parts, Unusual> {
    let lines = Lines::scan(text, None, true)?;
    let names: Vec<String> = lines.names().map(str::to_owned).collect();
    let (mut columns, mut rest) = (Vec::new(), Vec::new());
    for (number, name) in names.iter().enumerate() {
        let may_be_numbers = lines.kinds(number).has_text() && !lines.is_text(number);
        let values = match raw.contains(name) || may_be_numbers {
            true => None,
            false => lines.column(number, Floats::Fast),
        };
        match values {
            Some(values) => columns.push(column(name, integers_if_whole(values))),
            None => rest.push((number, alone(&lines, number))),
        }
    }
    Ok(Parts { frame: frame(columns, lines.rows()), names, rest })
}

/// pandas makes integers of floats that all are.
fn integers_if_whole(values: Values) -> Values {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float64Type;

    let Values::Float(array) = &values else { return values };
    let floats = array.as_primitive::<Float64Type>().values();
    if !floats.iter().all(|&value| whole(value)) {
        return values;
    }
    Values::Int(Arc::new(floats.iter().map(|&value| value as i64).collect::<arrow_array::Int64Array>()))
}

/// One column as lines of JSON.
fn alone(lines: &Lines<'_>, column: usize) -> Vec<u8> {
    let key = lines.key(column);
    let mut out = Vec::new();
    for text in lines.texts(column) {
        match text {
            Some(text) => {
                out.extend_from_slice(b"{\"");
                out.extend_from_slice(key);
                out.extend_from_slice(b"\":");
                out.extend_from_slice(text.as_bytes());
                out.extend_from_slice(b"}\n");
            }
            None => out.extend_from_slice(b"{}\n"),
        }
    }
    out
}

/// Names, a frame of the columns that were read, and by number the others as lines of JSON.
type Read<'py> = (Vec<String>, PyFrame, Vec<(usize, Bound<'py, PyBytes>)>);

/// Lines of JSON objects as `pandas.read_json` reads them: the names of the columns, a frame of those that have an exact
/// form, and for each other its number and its lines with nothing else in them, as are those called `raw`. `None`: pandas
/// should read all of it.
#[pyfunction]
fn json_frame<'py>(py: Python<'py>, data: &Bound<'py, PyBytes>, raw: Vec<String>) -> Option<Read<'py>> {
    let raw: AHashSet<String> = raw.into_iter().collect();
    let bytes = data.as_bytes();
    let parts = py.detach(|| parts(std::str::from_utf8(bytes).ok()?, &raw).ok())?;
    let rest = parts.rest.into_iter().map(|(number, text)| (number, PyBytes::new(py, &text))).collect();
    Some((parts.names, PyFrame { frame: Arc::new(parts.frame) }, rest))
}

/// What a bag's lines are as a dataframe: the typed columns, and the text of those that stay objects.
pub(super) struct Table {
    frame: Frame,
    objects: Vec<(String, Vec<Option<String>>)>,
}

/// The columns `names` of lines of JSON, if their values are what `dtypes` promise: then `DataFrame(…).astype(…)`
/// of the objects gives the same.
pub(super) fn table(text: &str, names: &[String], dtypes: &[String]) -> Option<Table> {
    let lines = Lines::scan(text, Some(names), false).ok()?;
    let (mut columns, mut objects) = (Vec::new(), Vec::new());
    for (number, (name, dtype)) in names.iter().zip(dtypes).enumerate() {
        if dtype == "object" {
            let nested = lines.kinds(number);
            if nested != Kinds::NESTED && nested != Kinds::NESTED | Kinds::MISSING {
                return None;
            }
            objects.push((name.clone(), lines.texts(number).map(|text| text.map(str::to_owned)).collect()));
            continue;
        }
        let column = column(name, lines.column(number, Floats::Nearest)?);
        match (column.dtype.to_string() == *dtype, &column.dtype, dtype.as_str()) {
            (true, ..) => columns.push(column),
            (false, DType::Int64, "float64") => {
                use arrow_array::cast::AsArray;
                let whole = column.values.as_primitive::<arrow_array::types::Int64Type>().values();
                let values: arrow_array::Float64Array = whole.iter().map(|&value| value as f64).collect();
                columns.push(Column { dtype: DType::Float64, values: Arc::new(values), ..column });
            }
            _ => return None,
        }
    }
    Some(Table { frame: frame(columns, lines.rows()), objects })
}

impl Table {
    /// The frame, and the objects by the name of their column; ``nan`` where there are none.
    pub(super) fn into_py<'py>(
        self,
        py: Python<'py>,
        loads: &JsonLoads,
    ) -> PyResult<(PyFrame, Bound<'py, PyDict>)> {
        let objects = PyDict::new(py);
        for (name, texts) in self.objects {
            let list = PyList::empty(py);
            for text in texts {
                match text {
                    Some(text) => list.append(loads.parse(py, &text)?)?,
                    None => list.append(f64::NAN)?,
                }
            }
            objects.set_item(name, list)?;
        }
        Ok((PyFrame { frame: Arc::new(self.frame) }, objects))
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(json_frame, module)?)
}
