//! `ParquetFiles` and `ParquetSource`: Parquet read in Rust, for Python.
//!
//! Python asks what the files hold, decides with pandas what each column becomes, and plans a source. What
//! the reader has no exact form for raises `NotImplementedError`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use weft_data::DType;
use weft_graph::Key;
use weft_io::{ParquetField, ParquetFiles, ParquetIndex, ParquetSource, Split};

use crate::arrow::label_from_py;
use crate::csv::io_error;
use crate::frame::unsupported;

/// Local Parquet files with the same columns, their footers read.
#[pyclass(frozen, name = "ParquetFiles", module = "weft._weft")]
#[derive(Debug)]
pub(crate) struct PyParquetFiles {
    files: ParquetFiles,
}

/// Label, name in the files, dtype.
type PyField<'py> = (Bound<'py, PyAny>, String, String);

/// `(start, step)` of a range, or the levels: a name or None, and the field.
#[derive(FromPyObject)]
enum PyIndex<'py> {
    Range((i64, i64)),
    Columns(Vec<(Option<Bound<'py, PyAny>>, PyField<'py>)>),
}

#[pymethods]
impl PyParquetFiles {
    #[new]
    fn new(py: Python<'_>, paths: Vec<String>) -> PyResult<Self> {
        let files = py.detach(|| ParquetFiles::open(paths)).map_err(|error| io_error(py, error))?;
        Ok(PyParquetFiles { files })
    }

    /// For each column of the first file: name, Arrow type, number of missing values in all files
    /// (None: a file does not say).
    #[getter]
    fn columns(&self) -> Vec<(String, String, Option<u64>)> {
        let columns = self.files.columns().into_iter();
        columns.map(|column| (column.name, column.kind.to_string(), column.missing)).collect()
    }

    /// Bytes of all row groups when unpacked.
    #[getter]
    fn nbytes(&self) -> u64 {
        self.files.nbytes()
    }

    /// Number of rows of all files.
    fn __len__(&self) -> usize {
        self.files.rows()
    }

    /// A source of these columns; `split` is ``("files", 0)``, ``("groups", n)`` or ``("bytes", n)``.
    fn plan(
        &self,
        py: Python<'_>,
        fields: Vec<PyField<'_>>,
        index: PyIndex<'_>,
        split: (String, u64),
    ) -> PyResult<PyParquetSource> {
        let fields = fields.into_iter().map(field_from_py).collect::<PyResult<_>>()?;
        let index = match index {
            PyIndex::Range((start, step)) => ParquetIndex::Range { start, step },
            PyIndex::Columns(levels) => {
                let level = |(name, field): (Option<Bound<'_, PyAny>>, PyField<'_>)| {
                    let name = name.map(|name| label_from_py(&name)).transpose()?;
                    Ok::<(Option<Key>, ParquetField), PyErr>((name, field_from_py(field)?))
                };
                ParquetIndex::Columns(levels.into_iter().map(level).collect::<PyResult<_>>()?)
            }
        };
        let split = match (split.0.as_str(), split.1) {
            ("files", _) => Split::Files,
            ("groups", n) => Split::Groups(n as usize),
            ("bytes", n) => Split::Bytes(n),
            (other, _) => {
                return Err(PyValueError::new_err(format!(
                    "split is by 'files', 'groups' or 'bytes', not {other:?}"
                )));
            }
        };
        let source = ParquetSource::plan(self.files.clone(), fields, index, split);
        Ok(PyParquetSource { source: source.map_err(|error| io_error(py, error))? })
    }
}

fn field_from_py((label, name, dtype): PyField<'_>) -> PyResult<ParquetField> {
    let dtype = DType::from_name(&dtype).ok_or_else(|| unsupported(format!("the dtype {dtype}")))?;
    Ok(ParquetField { label: label_from_py(&label)?, name, dtype })
}

/// Parquet files as columns and partitions.
#[pyclass(frozen, name = "ParquetSource", module = "weft._weft")]
#[derive(Debug)]
pub(crate) struct PyParquetSource {
    pub(crate) source: ParquetSource,
}

#[pymethods]
impl PyParquetSource {
    #[getter]
    fn npartitions(&self) -> usize {
        self.source.partitions()
    }

    /// Path and row groups of each partition.
    #[getter]
    fn pieces(&self) -> Vec<(String, Vec<usize>)> {
        self.source.pieces().map(|(path, groups)| (path.to_owned(), groups.to_vec())).collect()
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyParquetFiles>()?;
    module.add_class::<PyParquetSource>()
}
