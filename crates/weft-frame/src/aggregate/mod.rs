//! Aggregations: what they are called, what they give.

use serde::{Deserialize, Serialize};
use weft_data::{ArrowType, DType};

use crate::error::ExprError;

mod aggregator;
mod distinct;
mod encode;
mod group;
mod numeric;
mod state;

pub use aggregator::{Aggregator, Spec};
pub(crate) use encode::{NONE, integers};
pub(crate) use group::Grouper;

/// An aggregation of a column. Missing values are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Func {
    /// Number of rows.
    Size,
    /// Number of values that are not missing.
    Count,
    Sum,
    Prod,
    Mean,
    Min,
    Max,
    First,
    Last,
    Var {
        ddof: i64,
    },
    Std {
        ddof: i64,
    },
    Any,
    All,
    /// Number of different values.
    NUnique {
        dropna: bool,
    },
    /// The middle one of the values, or the mean of the two in the middle.
    Median,
}

impl Func {
    pub fn name(self) -> &'static str {
        match self {
            Func::Size => "size",
            Func::Count => "count",
            Func::Sum => "sum",
            Func::Prod => "prod",
            Func::Mean => "mean",
            Func::Min => "min",
            Func::Max => "max",
            Func::First => "first",
            Func::Last => "last",
            Func::Var { .. } => "var",
            Func::Std { .. } => "std",
            Func::Any => "any",
            Func::All => "all",
            Func::NUnique { .. } => "nunique",
            Func::Median => "median",
        }
    }

    /// The names of all aggregations, for tests that must not miss one.
    pub const NAMES: [&str; 15] = [
        "size", "count", "sum", "prod", "mean", "min", "max", "first", "last", "var", "std", "any", "all",
        "nunique", "median",
    ];

    /// With pandas' default parameters.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "size" => Func::Size,
            "count" => Func::Count,
            "sum" => Func::Sum,
            "prod" => Func::Prod,
            "mean" => Func::Mean,
            "min" => Func::Min,
            "max" => Func::Max,
            "first" => Func::First,
            "last" => Func::Last,
            "var" => Func::Var { ddof: 1 },
            "std" => Func::Std { ddof: 1 },
            "any" => Func::Any,
            "all" => Func::All,
            "nunique" => Func::NUnique { dropna: true },
            "median" => Func::Median,
            _ => return None,
        })
    }

    fn of_arrow(self, kind: ArrowType, grouped: bool) -> Option<DType> {
        match (self, kind) {
            (Func::Count, _) if grouped => Some(DType::Arrow(ArrowType::Int64)),
            (Func::Size | Func::Count, _) => Some(DType::Int64),
            (Func::NUnique { .. }, ArrowType::Date | ArrowType::Int64) => Some(DType::Int64),
            (Func::Min | Func::Max, ArrowType::Date) => Some(DType::Arrow(kind)),
            (Func::Min | Func::Max, ArrowType::Decimal { .. }) if !grouped => Some(DType::Arrow(kind)),
            // The sum of nothing is 0 in groups, and missing alone.
            (Func::Sum, ArrowType::Decimal { scale, .. }) if grouped => {
                Some(DType::Arrow(ArrowType::Decimal { precision: 38, scale }))
            }
            _ => None,
        }
    }

    /// The dtype of the result for a column of `dtype`; `grouped`: one value for each group.
    pub fn result(self, dtype: &DType, grouped: bool) -> Result<DType, ExprError> {
        let refuse = || ExprError::unsupported(format!("{} of {dtype}", self.name()));
        if matches!(dtype, DType::Nullable(_)) {
            return refuse();
        }
        if let DType::Arrow(kind) = dtype {
            return self.of_arrow(*kind, grouped).map_or_else(refuse, Ok);
        }
        let plain = dtype.is_number() || *dtype == DType::Bool;
        match self {
            Func::Size | Func::Count | Func::NUnique { .. } => Ok(DType::Int64),
            Func::Sum | Func::Prod => match dtype {
                DType::Bool => Ok(DType::Int64),
                // Sums of narrow integers in groups are narrow unless they overflow.
                dtype if grouped && dtype.is_integer() && !matches!(dtype, DType::Int64 | DType::UInt64) => {
                    refuse()
                }
                dtype if dtype.is_signed() => Ok(DType::Int64),
                dtype if dtype.is_unsigned() => Ok(DType::UInt64),
                dtype if dtype.is_float() => Ok(dtype.clone()),
                _ => refuse(),
            },
            // In groups the values decide between float32 and float64.
            Func::Mean if *dtype == DType::Float32 && grouped => refuse(),
            Func::Mean if *dtype == DType::Float32 => Ok(DType::Float32),
            Func::Mean if plain => Ok(DType::Float64),
            Func::Var { .. } | Func::Std { .. } if *dtype == DType::Float32 => Ok(DType::Float32),
            Func::Var { .. } | Func::Std { .. } if plain => Ok(DType::Float64),
            // Alone it is a matter of sorting, and of float32 it is float32.
            Func::Median if grouped && plain && *dtype != DType::Float32 && *dtype != DType::Bool => {
                Ok(DType::Float64)
            }
            Func::Min | Func::Max => Ok(dtype.clone()),
            Func::First | Func::Last if grouped => Ok(dtype.clone()),
            Func::Any | Func::All if plain => Ok(DType::Bool),
            _ => refuse(),
        }
    }
}
