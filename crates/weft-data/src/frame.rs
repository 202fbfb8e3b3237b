//! A partition of a dataframe: Arrow columns that remember their pandas dtype.
//!
//! Floats keep NaN as their missing value, as pandas' NumPy dtypes do, and have no validity
//! buffer; so have integers, booleans and datetimes (NaT is `i64::MIN`). Strings and the nullable
//! dtypes use validity. Numeric columns therefore cross to pandas and back without a copy and
//! without a second notion of missing.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use weft_graph::Key;

/// The pandas dtype of a column. The Arrow array holds the values; this says what they mean.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float32,
    Float64,
    /// `datetime64[unit]` or, with a zone, `datetime64[unit, tz]`; stored as UTC in an Int64 array.
    Datetime {
        unit: TimeUnit,
        zone: Option<Arc<str>>,
    },
    Timedelta(TimeUnit),
    /// pandas 3 `str`: LargeUtf8 with validity, missing shown as NaN.
    Str,
    /// A nullable pandas dtype (`Int64`, `boolean`, `Float64`): validity tells what is missing.
    Nullable(Box<DType>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    Second,
    Milli,
    Micro,
    Nano,
}

#[derive(Clone, Debug)]
pub struct Column {
    /// pandas allows any label; text is the usual one.
    pub label: Key,
    pub dtype: DType,
    pub values: ArrayRef,
}

/// The row labels of a frame.
#[derive(Clone, Debug)]
pub enum Index {
    /// `start, start + step, …`: costs nothing.
    Range { start: i64, step: i64 },
    /// One column (several: a MultiIndex), whose labels are the index names; `None`: unnamed.
    Columns(Vec<(Option<Key>, Column)>),
}

#[derive(Clone, Debug)]
pub struct Frame {
    pub columns: Vec<Column>,
    pub index: Index,
    rows: usize,
}

impl Frame {
    /// # Panics
    /// Never; columns of unequal length are a bug that debug builds catch.
    pub fn new(columns: Vec<Column>, index: Index, rows: usize) -> Self {
        debug_assert!(columns.iter().all(|c| c.values.len() == rows));
        Frame { columns, index, rows }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn column(&self, label: &Key) -> Option<&Column> {
        self.columns.iter().find(|c| &c.label == label)
    }

    pub fn nbytes(&self) -> usize {
        let index = match &self.index {
            Index::Range { .. } => 0,
            Index::Columns(columns) => columns.iter().map(|(_, c)| c.values.get_array_memory_size()).sum(),
        };
        self.columns.iter().map(|c| c.values.get_array_memory_size()).sum::<usize>() + index
    }
}
