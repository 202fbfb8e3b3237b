//! A partition of a dataframe: Arrow columns that remember their pandas dtype.
//!
//! Floats keep NaN as their missing value, as pandas' NumPy dtypes do, and have no validity
//! buffer; so have integers, booleans and datetimes (NaT is `i64::MIN`). Strings and the nullable
//! dtypes use validity. Numeric columns therefore cross to pandas and back without a copy and
//! without a second notion of missing.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use weft_graph::Key;

/// The pandas dtype of a column. The Arrow array holds the values; this says what they mean.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// A nullable pandas dtype (`Int64`, `boolean`, `Float64`, `string`): validity tells what is missing.
    Nullable(Box<DType>),
    /// A `pandas.ArrowDtype`: the Arrow type itself, with validity.
    Arrow(ArrowType),
}

/// The Arrow types that frames hold as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ArrowType {
    Bool,
    Int64,
    Double,
    /// Days since 1970, in 32 bits.
    Date,
    /// 128 bits.
    Decimal {
        precision: u8,
        scale: i8,
    },
}

impl ArrowType {
    /// The type that pandas calls `name[pyarrow]`.
    fn from_name(name: &str) -> Option<ArrowType> {
        Some(match name {
            "bool" => ArrowType::Bool,
            "int64" => ArrowType::Int64,
            "double" => ArrowType::Double,
            "date32[day]" => ArrowType::Date,
            other => {
                let inside = other.strip_prefix("decimal128(")?.strip_suffix(')')?;
                let (precision, scale) = inside.split_once(',')?;
                let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
                ArrowType::Decimal { precision, scale }
            }
        })
    }
}

impl fmt::Display for ArrowType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArrowType::Bool => f.write_str("bool"),
            ArrowType::Int64 => f.write_str("int64"),
            ArrowType::Double => f.write_str("double"),
            ArrowType::Date => f.write_str("date32[day]"),
            ArrowType::Decimal { precision, scale } => write!(f, "decimal128({precision}, {scale})"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TimeUnit {
    Second,
    Milli,
    Micro,
    Nano,
}

impl TimeUnit {
    pub fn per_second(self) -> i64 {
        match self {
            TimeUnit::Second => 1,
            TimeUnit::Milli => 1_000,
            TimeUnit::Micro => 1_000_000,
            TimeUnit::Nano => 1_000_000_000,
        }
    }

    /// pandas' abbreviation: `s`, `ms`, `us`, `ns`.
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::Second => "s",
            TimeUnit::Milli => "ms",
            TimeUnit::Micro => "us",
            TimeUnit::Nano => "ns",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "s" => TimeUnit::Second,
            "ms" => TimeUnit::Milli,
            "us" => TimeUnit::Micro,
            "ns" => TimeUnit::Nano,
            _ => return None,
        })
    }
}

/// As pandas prints the dtype: `int64`, `datetime64[us, UTC]`, `str`, `Int64`.
impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            DType::Bool => "bool",
            DType::Int8 => "int8",
            DType::Int16 => "int16",
            DType::Int32 => "int32",
            DType::Int64 => "int64",
            DType::UInt8 => "uint8",
            DType::UInt16 => "uint16",
            DType::UInt32 => "uint32",
            DType::UInt64 => "uint64",
            DType::Float32 => "float32",
            DType::Float64 => "float64",
            DType::Str => "str",
            DType::Datetime { unit, zone: None } => return write!(f, "datetime64[{}]", unit.name()),
            DType::Datetime { unit, zone: Some(zone) } => {
                return write!(f, "datetime64[{}, {zone}]", unit.name());
            }
            DType::Timedelta(unit) => return write!(f, "timedelta64[{}]", unit.name()),
            DType::Arrow(kind) => return write!(f, "{kind}[pyarrow]"),
            DType::Nullable(inner) => match **inner {
                DType::Bool => "boolean",
                DType::Int8 => "Int8",
                DType::Int16 => "Int16",
                DType::Int32 => "Int32",
                DType::Int64 => "Int64",
                DType::UInt8 => "UInt8",
                DType::UInt16 => "UInt16",
                DType::UInt32 => "UInt32",
                DType::UInt64 => "UInt64",
                DType::Float32 => "Float32",
                DType::Float64 => "Float64",
                DType::Str => "string",
                ref other => return write!(f, "nullable[{other}]"),
            },
        };
        f.write_str(name)
    }
}

impl DType {
    /// The dtype that pandas calls `name`, if frames can hold it.
    pub fn from_name(name: &str) -> Option<DType> {
        const PLAIN: [DType; 12] = [
            DType::Bool,
            DType::Int8,
            DType::Int16,
            DType::Int32,
            DType::Int64,
            DType::UInt8,
            DType::UInt16,
            DType::UInt32,
            DType::UInt64,
            DType::Float32,
            DType::Float64,
            DType::Str,
        ];
        for dtype in PLAIN {
            if dtype.to_string() == name {
                return Some(dtype);
            }
            let nullable = DType::Nullable(Box::new(dtype));
            if nullable.to_string() == name {
                return Some(nullable);
            }
        }
        if let Some(arrow) = name.strip_suffix("[pyarrow]") {
            return ArrowType::from_name(arrow).map(DType::Arrow);
        }
        if let Some(inside) = name.strip_prefix("datetime64[").and_then(|rest| rest.strip_suffix(']')) {
            let (unit, zone) = match inside.split_once(',') {
                Some((unit, zone)) => (unit, Some(zone.trim().into())),
                None => (inside, None),
            };
            return Some(DType::Datetime { unit: TimeUnit::from_name(unit)?, zone });
        }
        let unit = name.strip_prefix("timedelta64[")?.strip_suffix(']')?;
        Some(DType::Timedelta(TimeUnit::from_name(unit)?))
    }

    pub fn is_float(&self) -> bool {
        matches!(self, DType::Float32 | DType::Float64)
    }

    pub fn is_signed(&self) -> bool {
        matches!(self, DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64)
    }

    pub fn is_unsigned(&self) -> bool {
        matches!(self, DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64)
    }

    pub fn is_integer(&self) -> bool {
        self.is_signed() || self.is_unsigned()
    }

    /// An integer or a float: what arithmetic works on (a bool is not a number here).
    pub fn is_number(&self) -> bool {
        self.is_integer() || self.is_float()
    }
}

/// What the host language makes of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A DataFrame.
    #[default]
    Table,
    /// A Series: one column, whose label is the Series' name if `named` (else its name is None).
    Series { named: bool },
    /// One value: one column with one row.
    Scalar,
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
    pub kind: Kind,
    rows: usize,
}

impl Frame {
    /// # Panics
    /// Never; columns of unequal length are a bug that debug builds catch.
    pub fn new(columns: Vec<Column>, index: Index, rows: usize) -> Self {
        debug_assert!(columns.iter().all(|c| c.values.len() == rows));
        Frame { columns, index, kind: Kind::Table, rows }
    }

    /// The same data, to be seen as a Series or a scalar.
    pub fn with_kind(mut self, kind: Kind) -> Self {
        debug_assert!(kind == Kind::Table || self.columns.len() == 1);
        self.kind = kind;
        self
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
