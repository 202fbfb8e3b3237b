//! Elementwise kernels with pandas' semantics over Arrow arrays.
//!
//! Kernels are typed by the batch they get, not by the expression: a column that was promoted in
//! one block is float64 there and int64 elsewhere.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use weft_data::DType;

use crate::error::ExprError;
use crate::scalar::Scalar;
use weft_data::Hasher;

mod arithmetic;
pub(crate) mod arrow;
mod coded;
mod compare;
mod datetime;
mod letters;
mod shape;
mod text;
mod vector;

pub use shape::{filter, take};
pub(crate) use shape::{float_bits, is_text};
pub use text::{PadSide, TextOp};
pub(crate) use vector::with_number;
pub use vector::{NAT, Number, Operand, Vector, concat, empty, repeat, to_dtype};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UnaryOp {
    Neg,
    Pos,
    Invert,
    Abs,
    IsNa,
    NotNa,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    TrueDiv,
    FloorDiv,
    Mod,
    Pow,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
    Xor,
}

/// A field of a datetime column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DtField {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Microsecond,
    Nanosecond,
    DayOfWeek,
    DayOfYear,
    Quarter,
    DaysInMonth,
    IsLeapYear,
    IsMonthStart,
    IsMonthEnd,
    IsQuarterStart,
    IsQuarterEnd,
    IsYearStart,
    IsYearEnd,
    /// Midnight of the same day, a datetime.
    Normalize,
    /// Seconds of a timedelta, a float.
    TotalSeconds,
}

/// An operation on each row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    Unary(UnaryOp),
    Binary(BinaryOp),
    Dt(DtField),
    /// args: column, value for missing ones.
    FillNa,
    Astype(DType),
    IsIn(Arc<[Scalar]>),
    /// args: condition, value where true, value where false (missing for `Series.where`).
    Where,
    /// One value for each row. args: any column of these rows, value. The column is not looked at.
    Fill,
    /// args: column, lowest value; missing stays missing.
    ClipLower,
    /// args: column, highest value.
    ClipUpper,
    /// To this many decimals.
    Round(i32),
    Text(TextOp),
}

impl UnaryOp {
    pub const ALL: [UnaryOp; 6] =
        [UnaryOp::Neg, UnaryOp::Pos, UnaryOp::Invert, UnaryOp::Abs, UnaryOp::IsNa, UnaryOp::NotNa];

    pub fn name(self) -> &'static str {
        match self {
            UnaryOp::Neg => "neg",
            UnaryOp::Pos => "pos",
            UnaryOp::Invert => "invert",
            UnaryOp::Abs => "abs",
            UnaryOp::IsNa => "isna",
            UnaryOp::NotNa => "notna",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.name() == name)
    }
}

impl BinaryOp {
    pub const ALL: [BinaryOp; 16] = [
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::TrueDiv,
        BinaryOp::FloorDiv,
        BinaryOp::Mod,
        BinaryOp::Pow,
        BinaryOp::Eq,
        BinaryOp::Ne,
        BinaryOp::Lt,
        BinaryOp::Le,
        BinaryOp::Gt,
        BinaryOp::Ge,
        BinaryOp::And,
        BinaryOp::Or,
        BinaryOp::Xor,
    ];

    /// As Python's `operator` module calls it, without underscores.
    pub fn name(self) -> &'static str {
        match self {
            BinaryOp::Add => "add",
            BinaryOp::Sub => "sub",
            BinaryOp::Mul => "mul",
            BinaryOp::TrueDiv => "truediv",
            BinaryOp::FloorDiv => "floordiv",
            BinaryOp::Mod => "mod",
            BinaryOp::Pow => "pow",
            BinaryOp::Eq => "eq",
            BinaryOp::Ne => "ne",
            BinaryOp::Lt => "lt",
            BinaryOp::Le => "le",
            BinaryOp::Gt => "gt",
            BinaryOp::Ge => "ge",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Xor => "xor",
        }
    }

    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::TrueDiv => "/",
            BinaryOp::FloorDiv => "//",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "**",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::And => "&",
            BinaryOp::Or => "|",
            BinaryOp::Xor => "^",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.name() == name)
    }

    pub fn is_comparison(self) -> bool {
        use BinaryOp::*;
        matches!(self, Eq | Ne | Lt | Le | Gt | Ge)
    }

    pub fn is_logical(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Xor)
    }

    /// The comparison with its sides swapped.
    pub fn mirrored(self) -> Self {
        match self {
            BinaryOp::Lt => BinaryOp::Gt,
            BinaryOp::Le => BinaryOp::Ge,
            BinaryOp::Gt => BinaryOp::Lt,
            BinaryOp::Ge => BinaryOp::Le,
            other => other,
        }
    }
}

impl DtField {
    pub const ALL: [DtField; 21] = [
        DtField::Year,
        DtField::Month,
        DtField::Day,
        DtField::Hour,
        DtField::Minute,
        DtField::Second,
        DtField::Microsecond,
        DtField::Nanosecond,
        DtField::DayOfWeek,
        DtField::DayOfYear,
        DtField::Quarter,
        DtField::DaysInMonth,
        DtField::IsLeapYear,
        DtField::IsMonthStart,
        DtField::IsMonthEnd,
        DtField::IsQuarterStart,
        DtField::IsQuarterEnd,
        DtField::IsYearStart,
        DtField::IsYearEnd,
        DtField::Normalize,
        DtField::TotalSeconds,
    ];

    pub fn name(self) -> &'static str {
        match self {
            DtField::Year => "year",
            DtField::Month => "month",
            DtField::Day => "day",
            DtField::Hour => "hour",
            DtField::Minute => "minute",
            DtField::Second => "second",
            DtField::Microsecond => "microsecond",
            DtField::Nanosecond => "nanosecond",
            DtField::DayOfWeek => "dayofweek",
            DtField::DayOfYear => "dayofyear",
            DtField::Quarter => "quarter",
            DtField::DaysInMonth => "days_in_month",
            DtField::IsLeapYear => "is_leap_year",
            DtField::IsMonthStart => "is_month_start",
            DtField::IsMonthEnd => "is_month_end",
            DtField::IsQuarterStart => "is_quarter_start",
            DtField::IsQuarterEnd => "is_quarter_end",
            DtField::IsYearStart => "is_year_start",
            DtField::IsYearEnd => "is_year_end",
            DtField::Normalize => "normalize",
            DtField::TotalSeconds => "total_seconds",
        }
    }

    /// pandas has aliases for some.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = match name {
            "weekday" | "day_of_week" => "dayofweek",
            "day_of_year" => "dayofyear",
            "daysinmonth" => "days_in_month",
            other => other,
        };
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    pub fn is_flag(self) -> bool {
        self.name().starts_with("is_")
    }
}

impl Op {
    pub fn name(&self) -> &'static str {
        match self {
            Op::Unary(op) => op.name(),
            Op::Binary(op) => op.name(),
            Op::Dt(field) => field.name(),
            Op::FillNa => "fillna",
            Op::Astype(_) => "astype",
            Op::IsIn(_) => "isin",
            Op::Where => "where",
            Op::Fill => "fill",
            Op::ClipLower | Op::ClipUpper => "clip",
            Op::Round(_) => "round",
            Op::Text(op) => op.name(),
        }
    }

    pub(crate) fn hash(&self, hasher: &mut Hasher) {
        match self {
            Op::Unary(op) => hasher.text("unary").text(op.name()),
            Op::Binary(op) => hasher.text("binary").text(op.name()),
            Op::Dt(field) => hasher.text("dt").text(field.name()),
            Op::FillNa => hasher.text("fillna"),
            Op::Astype(dtype) => hasher.text("astype").dtype(dtype),
            Op::IsIn(values) => {
                hasher.text("isin").number(values.len() as u64);
                values.iter().for_each(|value| value.hash(hasher));
                hasher
            }
            Op::Where => hasher.text("where"),
            Op::Fill => hasher.text("fill"),
            Op::ClipLower => hasher.text("clip_lower"),
            Op::ClipUpper => hasher.text("clip_upper"),
            Op::Round(decimals) => hasher.text("round").number(*decimals as u64),
            Op::Text(op) => {
                op.hash(hasher);
                hasher
            }
        };
    }
}

/// The names of all kernels, for tests that must not miss one.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = UnaryOp::ALL.iter().map(|op| op.name().to_owned()).collect();
    names.extend(BinaryOp::ALL.iter().map(|op| op.name().to_owned()));
    names.extend(DtField::ALL.iter().map(|field| format!("dt.{}", field.name())));
    names.extend(TextOp::NAMES.iter().map(|name| format!("str.{name}")));
    let others = [
        Op::FillNa,
        Op::Astype(DType::Bool),
        Op::IsIn([].into()),
        Op::Where,
        Op::Fill,
        Op::ClipLower,
        Op::Round(0),
    ];
    names.extend(others.iter().map(|op| op.name().to_owned()));
    names
}

/// Runs an operation on a batch of `rows` rows.
pub fn run(op: &Op, args: &[Operand<'_>], rows: usize) -> Result<Vector, ExprError> {
    if let (Op::Fill, [.., Operand::Literal(literal)]) = (op, args) {
        let dtype = match &literal.value {
            Scalar::Bool(_) => DType::Bool,
            Scalar::Float(_) => DType::Float64,
            Scalar::Str(_) => DType::Str,
            _ => DType::Int64,
        };
        return repeat(literal, &dtype, rows);
    }
    let is_read = |arg: &Operand<'_>| matches!(arg, Operand::Vector(v) if v.is_coded() || v.is_narrow());
    if args.iter().any(is_read) {
        return coded::run(op, args, rows);
    }
    if args.iter().any(|arg| matches!(arg, Operand::Vector(Vector { dtype: DType::Arrow(_), .. }))) {
        return arrow::run(op, args, rows);
    }
    match (op, args) {
        (Op::Binary(op), &[left, right]) if op.is_comparison() => compare::compare(*op, left, right, rows),
        (Op::Binary(op), &[left, right]) if op.is_logical() => compare::logical(*op, left, right, rows),
        (Op::Binary(op), &[left, right]) => arithmetic::arithmetic(*op, left, right, rows),
        (Op::Unary(UnaryOp::IsNa), [Operand::Vector(vector)]) => shape::is_missing(vector, true),
        (Op::Unary(UnaryOp::NotNa), [Operand::Vector(vector)]) => shape::is_missing(vector, false),
        (Op::Unary(UnaryOp::Invert), [Operand::Vector(vector)]) if vector.dtype == DType::Bool => {
            let bits = vector.bools()?;
            Ok(Vector::from_bools(!bits))
        }
        (Op::Unary(op), [Operand::Vector(vector)]) => arithmetic::unary(*op, vector),
        (Op::Dt(field), [Operand::Vector(vector)]) => datetime::field(*field, vector),
        (Op::FillNa, [Operand::Vector(vector), Operand::Literal(value)]) => {
            shape::fill_missing(vector, value)
        }
        (Op::Astype(dtype), [Operand::Vector(vector)]) => shape::convert(vector, dtype),
        (Op::IsIn(values), [Operand::Vector(vector)]) => shape::is_in(vector, values),
        (Op::Where, &[Operand::Vector(condition), yes, no]) => shape::choose(condition, yes, no),
        (Op::ClipLower, [Operand::Vector(vector), Operand::Literal(bound)]) => {
            shape::clip(vector, bound, true)
        }
        (Op::ClipUpper, [Operand::Vector(vector), Operand::Literal(bound)]) => {
            shape::clip(vector, bound, false)
        }
        (Op::Round(decimals), [Operand::Vector(vector)]) => shape::round(vector, *decimals),
        (Op::Text(op), [Operand::Vector(vector)]) => text::run(op, vector),
        _ => ExprError::unsupported(format!("{} of these arguments", op.name())),
    }
}
