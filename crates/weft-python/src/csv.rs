//! `CsvSource`: CSV files as planned and read in Rust, for Python.
//!
//! Options come as a dict with pandas' keywords. What the reader cannot do as pandas does raises
//! `NotImplementedError`, and the face then calls pandas.

use std::sync::Arc;

use pyo3::exceptions::{
    PyFileNotFoundError, PyNotImplementedError, PyOSError, PyTypeError, PyUnicodeDecodeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyList, PyString};
use weft_data::DType;
use weft_io::{
    ByteSource, ColumnRef, Compression, CsvOptions, CsvSource, DtypeMismatch, Encoding, Header, IoError,
    LocalFile, Promotion, UseCols, ValueErrorKind, expand_paths,
};

use crate::arrow::{PyFrame, label_to_py};
use crate::task::{error_to_py, host_error};

/// A column whose dtype changed as it was read: label, planned dtype, dtype found.
type Promoted<'py> = (Bound<'py, PyAny>, String, String);

/// CSV files with the same columns, cut into partitions.
///
/// ``paths`` are local, and may have wildcards, unless ``filesystem`` (of fsspec) is given.
#[pyclass(frozen, name = "CsvSource", module = "weft._weft")]
#[derive(Debug)]
pub(crate) struct PyCsvSource {
    pub(crate) source: CsvSource,
}

#[pymethods]
impl PyCsvSource {
    #[new]
    #[pyo3(signature = (paths, options = None, filesystem = None))]
    fn new(
        py: Python<'_>,
        paths: Vec<String>,
        options: Option<&Bound<'_, PyDict>>,
        filesystem: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let options = match options {
            Some(options) => options_from_py(options)?,
            None => CsvOptions::default(),
        };
        let mut files: Vec<Arc<dyn ByteSource>> = Vec::new();
        match filesystem {
            Some(filesystem) => {
                for path in paths {
                    files.push(Arc::new(RemoteFile { path, filesystem: filesystem.clone_ref(py) }));
                }
            }
            None => {
                for path in paths {
                    for path in expand_paths(&path).map_err(|error| io_error(py, error))? {
                        files.push(Arc::new(LocalFile::new(path)));
                    }
                }
            }
        }
        let source =
            py.detach(|| CsvSource::plan_sources(files, options)).map_err(|error| io_error(py, error))?;
        Ok(PyCsvSource { source })
    }

    /// (label, dtype) of each column.
    #[getter]
    fn schema<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyAny>, String)>> {
        let fields = self.source.schema().iter();
        fields.map(|field| Ok((label_to_py(py, &field.label)?, field.dtype.to_string()))).collect()
    }

    #[getter]
    fn npartitions(&self) -> usize {
        self.source.partitions()
    }

    #[getter]
    fn paths(&self) -> Vec<String> {
        self.source.paths().to_vec()
    }

    /// (path, start, end) of each partition; ``end`` is ``None`` for the end of the file.
    #[getter]
    fn blocks(&self) -> Vec<(String, u64, Option<u64>)> {
        let paths = self.source.paths();
        self.source.blocks().iter().map(|block| (paths[block.file].clone(), block.start, block.end)).collect()
    }

    /// One partition as a frame, and what was promoted: (label, from, to).
    #[pyo3(signature = (partition, columns = None))]
    fn read<'py>(
        &self,
        py: Python<'py>,
        partition: usize,
        columns: Option<Vec<usize>>,
    ) -> PyResult<(PyFrame, Vec<Promoted<'py>>)> {
        let count = self.source.schema().len();
        if partition >= self.source.partitions() {
            let message = format!("partition {partition} of {}", self.source.partitions());
            return Err(pyo3::exceptions::PyIndexError::new_err(message));
        }
        let columns = columns.unwrap_or_else(|| (0..count).collect());
        if let Some(beyond) = columns.iter().find(|&&column| column >= count) {
            return Err(pyo3::exceptions::PyIndexError::new_err(format!("column {beyond} of {count}")));
        }
        let result = py.detach(|| self.source.read(partition, &columns));
        let (frame, promotions) = result.map_err(|error| io_error(py, error))?;
        let told = |promotion: Promotion| {
            let label = label_to_py(py, &self.source.schema()[promotion.column].label)?;
            Ok((label, promotion.from.to_string(), promotion.to.to_string()))
        };
        let promotions = promotions.into_iter().map(told).collect::<PyResult<_>>()?;
        Ok((PyFrame { frame: Arc::new(frame) }, promotions))
    }

    fn __repr__(&self) -> String {
        format!(
            "<weft.CsvSource {} files, {} partitions, {} columns>",
            self.source.paths().len(),
            self.source.partitions(),
            self.source.schema().len()
        )
    }
}

/// The exception that pandas or Python would raise.
pub(crate) fn io_error(py: Python<'_>, error: IoError) -> PyErr {
    let message = error.to_string();
    let pandas = |name: &str, message: String| match py.import("pandas.errors").and_then(|m| m.getattr(name))
    {
        Ok(class) => PyErr::from_value(match class.call1((message,)) {
            Ok(value) => value,
            Err(error) => return error,
        }),
        Err(_) => PyValueError::new_err(message),
    };
    match error {
        IoError::Column { .. } => PyValueError::new_err(message),
        IoError::NotFound { .. } => PyFileNotFoundError::new_err(message),
        IoError::NoFiles { .. }
        | IoError::Read { .. }
        | IoError::Changed { .. }
        | IoError::Parquet { .. }
        | IoError::Truncated { .. } => PyOSError::new_err(message),
        IoError::Empty { .. } => pandas("EmptyDataError", message),
        IoError::Tokenize { .. } => pandas("ParserError", message),
        IoError::Encoding { encoding, byte, .. } => {
            PyUnicodeDecodeError::new_err((encoding, PyBytes::new(py, &[byte]).unbind(), 0, 1, message))
        }
        IoError::Value { kind: ValueErrorKind::Type, .. } => PyTypeError::new_err(message),
        IoError::HeaderMismatch { .. }
        | IoError::Value { .. }
        | IoError::Mismatch(_)
        | IoError::Options(_) => PyValueError::new_err(message),
        IoError::Unsupported { reason } => PyNotImplementedError::new_err(reason),
        IoError::Sink(error) => error_to_py(py, &error),
    }
}

/// A file of an fsspec file system.
pub(crate) struct RemoteFile {
    path: String,
    filesystem: Py<PyAny>,
}

impl std::fmt::Debug for RemoteFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RemoteFile({})", self.path)
    }
}

impl RemoteFile {
    /// What makes it in another process.
    pub(crate) fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok((&self.path, &self.filesystem).into_pyobject(py)?.into_any())
    }

    pub(crate) fn from_state(state: &Bound<'_, PyAny>) -> PyResult<RemoteFile> {
        let (path, filesystem) = state.extract()?;
        Ok(RemoteFile { path, filesystem })
    }
}

fn python_failed(error: PyErr) -> IoError {
    IoError::Sink(host_error(error))
}

impl ByteSource for RemoteFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> Result<u64, IoError> {
        Python::attach(|py| {
            let info = self.filesystem.bind(py).call_method1("info", (&self.path,))?;
            info.get_item("size")?.extract::<Option<u64>>()
        })
        .map_err(python_failed)?
        .ok_or_else(|| IoError::Unsupported { reason: format!("the length of {} is unknown", self.path) })
    }

    fn open(&self) -> Result<Box<dyn weft_io::ReadAt>, IoError> {
        let file = Python::attach(|py| {
            let file = self.filesystem.bind(py).call_method1("open", (&self.path, "rb"))?;
            Ok(file.unbind())
        });
        Ok(Box::new(OpenRemote { file: file.map_err(python_failed)? }))
    }

    fn needs_host(&self) -> bool {
        true
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

struct OpenRemote {
    file: Py<PyAny>,
}

impl weft_io::ReadAt for OpenRemote {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, IoError> {
        Python::attach(|py| {
            let file = self.file.bind(py);
            file.call_method1("seek", (offset,))?;
            let mut done = 0;
            while done < buffer.len() {
                let bytes = file.call_method1("read", (buffer.len() - done,))?;
                let bytes: &[u8] = bytes.extract()?;
                if bytes.is_empty() {
                    break;
                }
                let n = bytes.len().min(buffer.len() - done);
                buffer[done..done + n].copy_from_slice(&bytes[..n]);
                done += n;
            }
            Ok(done)
        })
        .map_err(python_failed)
    }
}

impl Drop for OpenRemote {
    fn drop(&mut self) {
        // Nothing was written: a failure to close loses nothing.
        Python::attach(|py| drop(self.file.bind(py).call_method0("close")));
    }
}

fn unsupported(what: String) -> PyErr {
    PyNotImplementedError::new_err(what)
}

fn options_from_py(options: &Bound<'_, PyDict>) -> PyResult<CsvOptions> {
    let mut out = CsvOptions::default();
    for (keyword, value) in options.iter() {
        let keyword: String = keyword.extract()?;
        set_option(&mut out, &keyword, &value)?;
    }
    Ok(out)
}

fn set_option(out: &mut CsvOptions, keyword: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    // `None` is the default of every keyword for which it does not mean something.
    if value.is_none() && !matches!(keyword, "header" | "blocksize" | "quotechar" | "compression") {
        return Ok(());
    }
    let refuse =
        || unsupported(format!("{keyword}={}", value.repr().map_or_else(|_| "?".into(), |r| r.to_string())));
    match keyword {
        "sep" | "delimiter" => out.delimiter = byte(value).ok_or_else(refuse)?,
        "quotechar" => out.quotechar = Some(byte(value).ok_or_else(refuse)?),
        // QUOTE_MINIMAL, QUOTE_ALL and QUOTE_NONE differ only in the last when reading.
        "quoting" => match value.extract::<i64>()? {
            0 | 1 => {}
            3 => out.quotechar = None,
            _ => return Err(refuse()),
        },
        "escapechar" => out.escapechar = Some(byte(value).ok_or_else(refuse)?),
        "doublequote" => out.doublequote = value.extract()?,
        "header" => {
            out.header = if value.is_none() {
                Header::None
            } else if value.cast::<PyString>().is_ok_and(|text| text == "infer") {
                Header::Infer
            } else if value.is_exact_instance_of::<PyBool>() {
                return Err(refuse());
            } else {
                Header::Row(value.extract().map_err(|_| refuse())?)
            }
        }
        "names" => {
            out.names = Some(value.try_iter()?.map(|name| text(&name?, &refuse)).collect::<PyResult<_>>()?)
        }
        "usecols" => {
            let items = value.try_iter().map_err(|_| refuse())?.collect::<PyResult<Vec<_>>>()?;
            out.usecols = if let Ok(names) =
                items.iter().map(|item| item.extract()).collect::<PyResult<Vec<String>>>()
            {
                Some(UseCols::Names(names))
            } else {
                let positions = items.iter().map(|item| item.extract().map_err(|_| refuse()));
                Some(UseCols::Positions(positions.collect::<PyResult<_>>()?))
            }
        }
        "dtype" => match value.cast::<PyDict>() {
            Ok(dtypes) => {
                for (name, dtype) in dtypes.iter() {
                    out.dtype.insert(text(&name, &refuse)?, dtype_from_py(&dtype)?);
                }
            }
            Err(_) => out.dtype_all = Some(dtype_from_py(value)?),
        },
        "parse_dates" => {
            if let Ok(flag) = value.cast::<PyBool>() {
                // True means the index, of which there is none.
                return if flag.is_true() { Err(refuse()) } else { Ok(()) };
            }
            let list = value.cast::<PyList>().map_err(|_| refuse())?;
            for item in list.iter() {
                out.parse_dates.push(match item.extract::<String>() {
                    Ok(name) => ColumnRef::Name(name),
                    Err(_) => ColumnRef::Position(item.extract().map_err(|_| refuse())?),
                });
            }
        }
        "na_values" => match value.cast::<PyDict>() {
            // Words for one column take the place of the default ones there, unlike those for all.
            Ok(_) => return Err(refuse()),
            Err(_) => out.na_values = words(value, &refuse)?,
        },
        "keep_default_na" => out.keep_default_na = value.extract()?,
        "na_filter" => out.na_filter = value.extract()?,
        "true_values" => out.true_values = words(value, &refuse)?,
        "false_values" => out.false_values = words(value, &refuse)?,
        "thousands" => out.thousands = Some(byte(value).ok_or_else(refuse)?),
        "decimal" => out.decimal = byte(value).ok_or_else(refuse)?,
        "comment" => out.comment = Some(byte(value).ok_or_else(refuse)?),
        "lineterminator" => {
            out.lineterminator = match value.extract::<String>()?.as_str() {
                "\n" => Some(b'\n'),
                _ => Some(byte(value).ok_or_else(refuse)?),
            }
        }
        "skiprows" => out.skiprows = value.extract().map_err(|_| refuse())?,
        "skip_blank_lines" => out.skip_blank_lines = value.extract()?,
        "skipinitialspace" => out.skipinitialspace = value.extract()?,
        "encoding" => {
            let name = value.extract::<String>()?.to_ascii_lowercase().replace('_', "-");
            out.encoding = match name.as_str() {
                "utf-8" | "utf8" | "utf-8-sig" | "ascii" => Encoding::Utf8,
                "latin-1" | "latin1" | "iso-8859-1" => Encoding::Latin1,
                _ => return Err(refuse()),
            }
        }
        "assume_missing" => out.assume_missing = value.extract()?,
        "blocksize" => out.blocksize = value.extract()?,
        "sample" => out.sample = value.extract()?,
        "sample_rows" => out.sample_rows = Some(value.extract()?),
        "include_path_column" => {
            out.include_path_column = match value.cast::<PyBool>() {
                Ok(flag) if !flag.is_true() => None,
                Ok(_) => Some("path".into()),
                Err(_) => Some(value.extract()?),
            }
        }
        "dtype_mismatch" => {
            out.dtype_mismatch = match value.extract::<String>()?.as_str() {
                "promote" => DtypeMismatch::Promote,
                "raise" => DtypeMismatch::Raise,
                other => {
                    let message = format!("dtype-mismatch is 'promote' or 'raise', not {other:?}");
                    return Err(PyValueError::new_err(message));
                }
            }
        }
        "compression" => {
            out.compression = match value.extract::<Option<String>>().map_err(|_| refuse())?.as_deref() {
                None => Compression::None,
                Some("infer") => Compression::Infer,
                Some("gzip" | "gz") => Compression::Gzip,
                Some("bz2") => Compression::Bzip2,
                Some("xz") => Compression::Xz,
                Some("zstd") => Compression::Zstd,
                Some(_) => return Err(refuse()),
            }
        }
        // What these change is not the result.
        "low_memory" | "memory_map" | "cache_dates" => {}
        "engine" if value.extract::<String>().is_ok_and(|name| name == "c") => {}
        "on_bad_lines" if value.extract::<String>().is_ok_and(|name| name == "error") => {}
        "encoding_errors" if value.extract::<String>().is_ok_and(|name| name == "strict") => {}
        "dayfirst" | "index_col" if value.extract::<bool>().is_ok_and(|flag| !flag) => {}
        _ => return Err(refuse()),
    }
    Ok(())
}

/// One ASCII character.
fn byte(value: &Bound<'_, PyAny>) -> Option<u8> {
    let text: String = value.extract().ok()?;
    match text.as_bytes() {
        [byte] => Some(*byte),
        _ => None,
    }
}

fn text(value: &Bound<'_, PyAny>, refuse: &dyn Fn() -> PyErr) -> PyResult<String> {
    value.extract().map_err(|_| refuse())
}

/// One word or several; numbers, which pandas also compares as numbers, are refused.
fn words(value: &Bound<'_, PyAny>, refuse: &dyn Fn() -> PyErr) -> PyResult<Vec<String>> {
    let words = match value.extract::<String>() {
        Ok(word) => vec![word],
        Err(_) => {
            let items = value.try_iter().map_err(|_| refuse())?;
            items.map(|item| text(&item?, refuse)).collect::<PyResult<_>>()?
        }
    };
    if words.iter().any(|word: &String| word.trim().parse::<f64>().is_ok_and(f64::is_finite)) {
        return Err(refuse());
    }
    Ok(words)
}

fn dtype_from_py(dtype: &Bound<'_, PyAny>) -> PyResult<DType> {
    let types = dtype.py().import("pandas.api.types")?;
    let name = types.call_method1("pandas_dtype", (dtype,))?.str()?.to_string();
    DType::from_name(&name).ok_or_else(|| unsupported(format!("dtype={name}")))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyCsvSource>()
}
