//! Single values: literals in expressions.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use weft_data::{DType, TimeUnit};

use weft_data::Hasher;

/// One value of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Scalar {
    /// None, NaN, NaT or `pd.NA`.
    Missing,
    Bool(bool),
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    Float(f64),
    Str(Arc<str>),
    Datetime {
        value: i64,
        unit: TimeUnit,
        zone: Option<Arc<str>>,
    },
    Timedelta {
        value: i64,
        unit: TimeUnit,
    },
    /// Days since 1970.
    Date(i32),
    /// `value / 10**scale`, written with `precision` digits.
    Decimal {
        value: i128,
        precision: u8,
        scale: i8,
    },
}

/// A value that the user wrote. Without a dtype it is a Python number, which takes the dtype of
/// the column it meets; with one it is a NumPy scalar, which promotes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Literal {
    pub value: Scalar,
    pub dtype: Option<DType>,
}

impl Literal {
    pub fn weak(value: Scalar) -> Self {
        Literal { value, dtype: None }
    }
}

impl From<i64> for Literal {
    fn from(value: i64) -> Self {
        Literal::weak(Scalar::Int(value))
    }
}

impl From<f64> for Literal {
    fn from(value: f64) -> Self {
        Literal::weak(Scalar::Float(value))
    }
}

impl From<bool> for Literal {
    fn from(value: bool) -> Self {
        Literal::weak(Scalar::Bool(value))
    }
}

impl From<&str> for Literal {
    fn from(value: &str) -> Self {
        Literal::weak(Scalar::Str(value.into()))
    }
}

impl Scalar {
    pub(crate) fn hash(&self, hasher: &mut Hasher) {
        match self {
            Scalar::Missing => hasher.number(0),
            Scalar::Bool(value) => hasher.number(1).number(*value as u64),
            Scalar::Int(value) => hasher.number(2).number(*value as u64),
            Scalar::UInt(value) => hasher.number(3).number(*value),
            Scalar::Float(value) => hasher.number(4).number(value.to_bits()),
            Scalar::Str(value) => hasher.number(5).text(value),
            Scalar::Datetime { value, unit, zone } => {
                hasher.number(6).number(*value as u64).text(unit.name());
                hasher.text(zone.as_deref().unwrap_or(""))
            }
            Scalar::Timedelta { value, unit } => hasher.number(7).number(*value as u64).text(unit.name()),
            Scalar::Date(days) => hasher.number(8).number(*days as u64),
            Scalar::Decimal { value, precision, scale } => {
                hasher.number(9).digest(*value as u128).number(*precision as u64).number(*scale as u64)
            }
        };
    }
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scalar::Missing => f.write_str("missing"),
            Scalar::Bool(value) => f.write_str(if *value { "True" } else { "False" }),
            Scalar::Int(value) => write!(f, "{value}"),
            Scalar::UInt(value) => write!(f, "{value}"),
            Scalar::Float(value) => write!(f, "{value:?}"),
            Scalar::Str(value) => write!(f, "{value:?}"),
            Scalar::Datetime { value, unit, .. } => write!(f, "datetime({value}{})", unit.name()),
            Scalar::Timedelta { value, unit } => write!(f, "timedelta({value}{})", unit.name()),
            Scalar::Date(days) => write!(f, "date({days})"),
            Scalar::Decimal { value, scale, .. } => write!(f, "decimal({value}e-{scale})"),
        }
    }
}
