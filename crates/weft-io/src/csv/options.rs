//! What the user asked for, with pandas' defaults.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;

use weft_data::DType;
use weft_graph::Key;

use crate::{Compression, IoError};

/// The options of `read_csv` that this reader carries out itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CsvOptions {
    pub delimiter: u8,
    /// `None`: quotes are ordinary characters.
    pub quotechar: Option<u8>,
    pub escapechar: Option<u8>,
    pub doublequote: bool,
    pub header: Header,
    pub names: Option<Vec<String>>,
    pub usecols: Option<UseCols>,
    /// For all columns that `dtype` does not name.
    pub dtype_all: Option<DType>,
    pub dtype: HashMap<String, DType>,
    pub parse_dates: Vec<ColumnRef>,
    pub na_values: Vec<String>,
    /// More missing values, for single columns.
    pub na_values_of: HashMap<String, Vec<String>>,
    pub keep_default_na: bool,
    pub na_filter: bool,
    pub true_values: Vec<String>,
    pub false_values: Vec<String>,
    pub thousands: Option<u8>,
    pub decimal: u8,
    pub comment: Option<u8>,
    /// Lines at the head of each file to leave out.
    pub skiprows: usize,
    pub skip_blank_lines: bool,
    pub skipinitialspace: bool,
    pub encoding: Encoding,
    /// `None`: `\n`, `\r\n` and `\r`, as they come.
    pub lineterminator: Option<u8>,
    /// Integer columns without a given dtype become floats.
    pub assume_missing: bool,
    /// Bytes in a partition; `None`: one partition for each file.
    pub blocksize: Option<u64>,
    /// Bytes at the head of the first file from which dtypes are inferred.
    pub sample: usize,
    /// Infer from no more than this many rows of the sample.
    pub sample_rows: Option<usize>,
    pub dtype_mismatch: DtypeMismatch,
    /// Text columns have the dtype `str` (the only one that this reader has for text).
    pub convert_string: bool,
    /// A column with the file's path.
    pub include_path_column: Option<String>,
    pub compression: Compression,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions {
            delimiter: b',',
            quotechar: Some(b'"'),
            escapechar: None,
            doublequote: true,
            header: Header::Infer,
            names: None,
            usecols: None,
            dtype_all: None,
            dtype: HashMap::new(),
            parse_dates: Vec::new(),
            na_values: Vec::new(),
            na_values_of: HashMap::new(),
            keep_default_na: true,
            na_filter: true,
            true_values: Vec::new(),
            false_values: Vec::new(),
            thousands: None,
            decimal: b'.',
            comment: None,
            skiprows: 0,
            skip_blank_lines: true,
            skipinitialspace: false,
            encoding: Encoding::Utf8,
            lineterminator: None,
            assume_missing: false,
            blocksize: Some(64_000_000),
            sample: 256_000,
            sample_rows: None,
            dtype_mismatch: DtypeMismatch::Promote,
            convert_string: true,
            include_path_column: None,
            compression: Compression::Infer,
        }
    }
}

/// Where the column names are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Header {
    /// The first row, unless `names` are given.
    Infer,
    /// This row, counted after skipped and blank lines.
    Row(usize),
    None,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UseCols {
    Names(Vec<String>),
    Positions(Vec<usize>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColumnRef {
    Name(String),
    Position(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// With or without a byte order mark.
    Utf8,
    Latin1,
}

/// What to do when data do not have the dtype that the sample showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DtypeMismatch {
    /// Integers that meet gaps or fractions become floats; everything else is an error.
    Promote,
    Raise,
}

/// A column of the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    /// The name, or without any the column's number.
    pub label: Key,
    pub dtype: DType,
}

/// A column that turned out to need another dtype than the plan says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    pub path: String,
    pub partition: usize,
    /// Position in the schema.
    pub column: usize,
    pub name: String,
    pub from: DType,
    pub to: DType,
}

impl CsvOptions {
    /// Why these options need pandas, if they do.
    pub fn native_reason(&self) -> Option<String> {
        if self.include_path_column.is_some() {
            return Some("the path column is categorical".into());
        }
        if !self.convert_string {
            return Some("text as Python objects was asked for".into());
        }
        let structural =
            [Some(self.delimiter), self.quotechar, self.escapechar, self.comment, self.lineterminator];
        if structural.iter().flatten().any(|byte| !byte.is_ascii()) {
            return Some("a separator, quote, escape, comment or line break that is not ASCII".into());
        }
        if self.delimiter == b'\n' || self.delimiter == b'\r' {
            return Some("a line break as separator".into());
        }
        if self.lineterminator.is_some_and(|byte| byte == b'\r') {
            return Some("a carriage return as lineterminator".into());
        }
        self.dtype.values().chain(&self.dtype_all).find_map(|dtype| match dtype {
            DType::Datetime { .. } | DType::Timedelta(_) => {
                Some("times as dtype= (pandas wants parse_dates)".to_string())
            }
            DType::Nullable(inner) if !matches!(**inner, DType::Bool | DType::Int64 | DType::Float64) => {
                Some("a nullable dtype other than Int64, Float64, boolean".to_string())
            }
            _ => None,
        })
    }

    pub(crate) fn check(&self) -> Result<(), IoError> {
        if let Some(reason) = self.native_reason() {
            return Err(IoError::Unsupported { reason });
        }
        if self.blocksize == Some(0) {
            return Err(IoError::Options("blocksize must be at least 1 byte, or None".into()));
        }
        Ok(())
    }
}
