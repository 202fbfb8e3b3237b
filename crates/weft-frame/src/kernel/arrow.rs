//! Operations on columns of Arrow's own dtypes (`date32[day][pyarrow]`, `decimal128(15, 2)[pyarrow]`), with
//! pandas' rules for them: what is missing stays missing, also in comparisons, and logic is Kleene's.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal64Type, Decimal128Type, Float64Type, Int64Type};
use arrow_array::{Array, BooleanArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use weft_data::{ArrowType, DType};

use super::arithmetic::zip;
use super::vector::{NAT, Operand, Vector, View};
use super::{BinaryOp, DtField, Op, UnaryOp};
use crate::dtype::ArgType;
use crate::error::ExprError;
use crate::scalar::{Literal, Scalar};

type Result<T> = std::result::Result<T, ExprError>;

const BOOL: DType = DType::Arrow(ArrowType::Bool);
const INT: DType = DType::Arrow(ArrowType::Int64);
const DOUBLE: DType = DType::Arrow(ArrowType::Double);
/// Digits that a decimal of 128 bits holds.
const DIGITS: i32 = 38;

fn decimal(precision: i32, scale: i32) -> Option<ArrowType> {
    let fits = (1..=DIGITS).contains(&precision) && (0..=DIGITS).contains(&scale);
    fits.then_some(ArrowType::Decimal { precision: precision as u8, scale: scale as i8 })
}

/// What an argument is, as Arrow sees it.
fn kind(arg: &ArgType<'_>) -> Option<ArrowType> {
    match arg {
        ArgType::Series(DType::Arrow(kind)) => Some(*kind),
        ArgType::Series(DType::Bool) => Some(ArrowType::Bool),
        ArgType::Series(_) => None,
        ArgType::Literal(literal) => literal_kind(literal),
    }
}

fn literal_kind(literal: &Literal) -> Option<ArrowType> {
    match &literal.value {
        Scalar::Bool(_) => Some(ArrowType::Bool),
        Scalar::Int(_) => Some(ArrowType::Int64),
        Scalar::Float(_) => Some(ArrowType::Double),
        Scalar::Date(_) => Some(ArrowType::Date),
        Scalar::Decimal { precision, scale, .. } => {
            Some(ArrowType::Decimal { precision: *precision, scale: *scale })
        }
        _ => None,
    }
}

/// As [`crate::dtype::result`], for operations with at least one column of an Arrow dtype.
pub(crate) fn result(op: &Op, args: &[ArgType<'_>]) -> Result<DType> {
    let column = match &args[0] {
        ArgType::Series(dtype) => Some((*dtype).clone()),
        ArgType::Literal(_) => None,
    };
    let refuse = || {
        let shown = column.as_ref().map_or_else(|| "a literal".to_owned(), DType::to_string);
        ExprError::unsupported(format!("{} of {shown}", op.name()))
    };
    let own = match &column {
        Some(DType::Arrow(kind)) => Some(*kind),
        _ => None,
    };
    match op {
        Op::Unary(UnaryOp::IsNa | UnaryOp::NotNa) => Ok(DType::Bool),
        Op::Unary(UnaryOp::Invert) if own == Some(ArrowType::Bool) => Ok(BOOL),
        Op::Dt(field) if own == Some(ArrowType::Date) && of_date(*field) => Ok(INT),
        Op::Astype(to) => match (own, to) {
            (Some(ArrowType::Decimal { .. } | ArrowType::Int64 | ArrowType::Double), DType::Float64) => {
                Ok(to.clone())
            }
            (Some(ArrowType::Int64), DType::Int64 | DType::Int32) => Ok(to.clone()),
            (Some(ArrowType::Date), DType::Datetime { zone: None, .. }) => Ok(to.clone()),
            (Some(kind), DType::Arrow(same)) if kind == *same => Ok(to.clone()),
            _ => refuse(),
        },
        Op::IsIn(values) if own == Some(ArrowType::Date) => {
            match values.iter().all(|value| matches!(value, Scalar::Date(_))) {
                true => Ok(DType::Bool),
                false => refuse(),
            }
        }
        Op::Binary(op) => match (kind(&args[0]), kind(&args[1])) {
            (Some(left), Some(right)) => match binary(*op, left, right) {
                Some(kind) => Ok(DType::Arrow(kind)),
                None => ExprError::unsupported(format!("{left}[pyarrow] {} {right}", op.symbol())),
            },
            _ => refuse(),
        },
        _ => refuse(),
    }
}

fn of_date(field: DtField) -> bool {
    use DtField::*;
    matches!(field, Year | Month | Day | Quarter | DayOfWeek | DayOfYear)
}

fn binary(op: BinaryOp, left: ArrowType, right: ArrowType) -> Option<ArrowType> {
    use ArrowType::*;
    let is_number = |kind: ArrowType| matches!(kind, Int64 | Double | Decimal { .. });
    if op.is_logical() {
        return (left == Bool && right == Bool).then_some(Bool);
    }
    if op.is_comparison() {
        let comparable = left == Date && right == Date || is_number(left) && is_number(right);
        return comparable.then_some(Bool);
    }
    if !matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul) {
        return None;
    }
    // An integer beside a decimal is a decimal of 19 digits.
    let digits = |kind: ArrowType| match kind {
        Decimal { precision, scale } => Some((precision as i32, scale as i32)),
        Int64 => Some((19, 0)),
        _ => None,
    };
    match (left, right) {
        (Int64, Int64) => None,
        (Double, other) | (other, Double) if is_number(other) => Some(Double),
        _ => {
            let ((p, s), (q, t)) = (digits(left)?, digits(right)?);
            match op {
                BinaryOp::Mul => decimal(p + q + 1, s + t),
                _ => decimal((p - s).max(q - t) + s.max(t) + 1, s.max(t)),
            }
        }
    }
}

/// Runs an operation that [`result`] allows.
pub(super) fn run(op: &Op, args: &[Operand<'_>], rows: usize) -> Result<Vector> {
    match (op, args) {
        (Op::Unary(op @ (UnaryOp::IsNa | UnaryOp::NotNa)), [Operand::Vector(vector)]) => {
            super::shape::is_missing(vector, *op == UnaryOp::IsNa)
        }
        (Op::Unary(UnaryOp::Invert), [Operand::Vector(vector)]) => {
            let bits = booleans(vector)?;
            Ok(bools(!bits.values(), bits.nulls().cloned()))
        }
        (Op::Dt(field), [Operand::Vector(vector)]) => date_field(*field, vector),
        (Op::Astype(to), [Operand::Vector(vector)]) => convert(vector, to),
        (Op::IsIn(values), [Operand::Vector(vector)]) => {
            let wanted: Vec<i32> = values
                .iter()
                .filter_map(|value| if let Scalar::Date(days) = value { Some(*days) } else { None })
                .collect();
            let days = dates(vector)?;
            let found = |row| days.is_valid(row) && wanted.contains(&days.value(row));
            Ok(Vector::from_bools(BooleanBuffer::collect_bool(days.len(), found)))
        }
        (Op::Binary(op), &[left, right]) if op.is_logical() => logical(*op, left, right, rows),
        (Op::Binary(op), &[left, right]) => numeric(*op, left, right, rows),
        _ => ExprError::unsupported(format!("{} of Arrow columns", op.name())),
    }
}

fn mismatch(vector: &Vector) -> ExprError {
    ExprError::Invalid(format!("a {} column holds {}", vector.dtype, vector.values.data_type()))
}

fn dates(vector: &Vector) -> Result<&PrimitiveArray<Date32Type>> {
    vector.values.as_primitive_opt::<Date32Type>().ok_or_else(|| mismatch(vector))
}

fn booleans(vector: &Vector) -> Result<&BooleanArray> {
    vector.values.as_boolean_opt().ok_or_else(|| mismatch(vector))
}

fn bools(values: BooleanBuffer, nulls: Option<NullBuffer>) -> Vector {
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
    Vector::new(BOOL, Arc::new(BooleanArray::new(values, nulls)))
}

fn date_field(field: DtField, vector: &Vector) -> Result<Vector> {
    let days = dates(vector)?;
    let values: Vec<i64> =
        days.values().iter().map(|&day| super::datetime::of_day(field, day as i64)).collect();
    Ok(Vector::new(INT, Arc::new(PrimitiveArray::<Int64Type>::new(values.into(), days.nulls().cloned()))))
}

fn convert(vector: &Vector, to: &DType) -> Result<Vector> {
    if vector.dtype == *to {
        return Ok(vector.clone());
    }
    let nulls = vector.values.nulls().filter(|nulls| nulls.null_count() > 0);
    match (&vector.dtype, to) {
        (_, DType::Float64) => {
            let mut values = as_floats(vector)?;
            if let Some(nulls) = nulls {
                let missing = values.iter_mut().zip(nulls.iter()).filter(|(_, valid)| !valid);
                missing.for_each(|(value, _)| *value = f64::NAN);
            }
            Ok(Vector::from_vec::<Float64Type>(DType::Float64, values))
        }
        (DType::Arrow(ArrowType::Date), DType::Datetime { unit, .. }) => {
            let days = dates(vector)?;
            let per = unit.per_second() * 86_400;
            let values = days.iter().map(|day| day.map_or(Some(NAT), |day| (day as i64).checked_mul(per)));
            let values: Option<Vec<i64>> = values.collect();
            let values = values.ok_or_else(|| ExprError::Invalid(format!("a date out of range for {to}")))?;
            Ok(Vector::from_vec::<Int64Type>(to.clone(), values))
        }
        (_, DType::Int64 | DType::Int32) => {
            if nulls.is_some() {
                return Err(ExprError::Invalid("cannot convert NA to integer".into()));
            }
            let own = vector.values.as_primitive_opt::<Int64Type>().ok_or_else(|| mismatch(vector))?;
            super::to_dtype(&Vector::from_vec::<Int64Type>(DType::Int64, own.values().to_vec()), to)
        }
        (from, to) => ExprError::unsupported(format!("{from} as {to}")),
    }
}

/// A decimal as a double, with Arrow's rounding: one multiplication if the digits are an exact double, else
/// the whole part and the fraction are converted apart.
pub(crate) fn decimal_to_f64(value: i128, scale: i8) -> f64 {
    let digits = value.unsigned_abs();
    let real = if scale <= 0 || digits <= 1 << 53 {
        scaled_down(digits, scale)
    } else {
        let one = 10u128.checked_pow(scale as u32).unwrap_or(u128::MAX);
        scaled_down(digits / one, 0) + scaled_down(digits % one, scale)
    };
    if value < 0 { -real } else { real }
}

fn scaled_down(digits: u128, scale: i8) -> f64 {
    let real = (digits >> 64) as u64 as f64 * 18_446_744_073_709_551_616.0 + digits as u64 as f64;
    match TENTHS.get(scale.max(0) as usize) {
        Some(factor) => real * factor,
        None => real * 10f64.powi(-(scale as i32)),
    }
}

const TENTHS: [f64; 39] = [
    1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15,
    1e-16, 1e-17, 1e-18, 1e-19, 1e-20, 1e-21, 1e-22, 1e-23, 1e-24, 1e-25, 1e-26, 1e-27, 1e-28, 1e-29, 1e-30,
    1e-31, 1e-32, 1e-33, 1e-34, 1e-35, 1e-36, 1e-37, 1e-38,
];

/// Decimals of 64 bits as float64, missing ones as NaN.
pub(super) fn narrow_to_floats(vector: &Vector) -> Result<Vector> {
    let own = vector.values.as_primitive_opt::<Decimal64Type>().ok_or_else(|| mismatch(vector))?;
    let scale = own.scale();
    let factor = TENTHS.get(scale.max(0) as usize).copied().filter(|_| scale >= 0);
    let one = |value: i64| match factor {
        Some(factor) if value.unsigned_abs() <= 1 << 53 => value as f64 * factor,
        _ => decimal_to_f64(value.into(), scale),
    };
    let mut values: Vec<f64> = own.values().iter().map(|&value| one(value)).collect();
    if let Some(nulls) = own.nulls().filter(|nulls| nulls.null_count() > 0) {
        let missing = values.iter_mut().zip(nulls).filter(|(_, valid)| !valid);
        missing.for_each(|(value, _)| *value = f64::NAN);
    }
    Ok(Vector::from_vec::<Float64Type>(DType::Float64, values))
}

fn as_floats(vector: &Vector) -> Result<Vec<f64>> {
    Ok(match &vector.dtype {
        DType::Arrow(ArrowType::Decimal { scale, .. }) => {
            let own = vector.values.as_primitive_opt::<Decimal128Type>().ok_or_else(|| mismatch(vector))?;
            let factor = TENTHS.get((*scale).max(0) as usize).copied().filter(|_| *scale >= 0);
            let one = |value: i128| {
                let small = value as i64;
                match factor {
                    // Nearly all: an exact double, multiplied once.
                    Some(factor) if small as i128 == value && small.unsigned_abs() <= 1 << 53 => {
                        small as f64 * factor
                    }
                    _ => decimal_to_f64(value, *scale),
                }
            };
            own.values().iter().map(|&value| one(value)).collect()
        }
        DType::Arrow(ArrowType::Int64) => {
            let own = vector.values.as_primitive_opt::<Int64Type>().ok_or_else(|| mismatch(vector))?;
            own.values().iter().map(|&value| value as f64).collect()
        }
        _ => {
            let own = vector.values.as_primitive_opt::<Float64Type>().ok_or_else(|| mismatch(vector))?;
            own.values().to_vec()
        }
    })
}

fn logical(op: BinaryOp, left: Operand<'_>, right: Operand<'_>, rows: usize) -> Result<Vector> {
    // (is true, is false)
    let sides = |operand: Operand<'_>| -> Result<(BooleanBuffer, BooleanBuffer)> {
        Ok(match operand {
            Operand::Vector(vector) => {
                let own = booleans(vector)?;
                match own.nulls() {
                    None => (own.values().clone(), !own.values()),
                    Some(nulls) => (own.values() & nulls.inner(), &!own.values() & nulls.inner()),
                }
            }
            Operand::Literal(Literal { value: Scalar::Bool(value), .. }) => {
                let (all, none) = (BooleanBuffer::new_set(rows), BooleanBuffer::new_unset(rows));
                if *value { (all, none) } else { (none, all) }
            }
            Operand::Literal(literal) => {
                return ExprError::unsupported(format!("{} beside bools", literal.value));
            }
        })
    };
    let ((yes, no), (other_yes, other_no)) = (sides(left)?, sides(right)?);
    let (yes, no) = match op {
        BinaryOp::And => (&yes & &other_yes, &no | &other_no),
        BinaryOp::Or => (&yes | &other_yes, &no & &other_no),
        _ => (&(&yes & &other_no) | &(&no & &other_yes), &(&yes & &other_yes) | &(&no & &other_no)),
    };
    let valid = &yes | &no;
    Ok(bools(yes, Some(NullBuffer::new(valid))))
}

/// Comparison or arithmetic.
fn numeric(op: BinaryOp, left: Operand<'_>, right: Operand<'_>, rows: usize) -> Result<Vector> {
    let of = |operand: Operand<'_>| match operand {
        Operand::Vector(vector) => kind(&ArgType::Series(&vector.dtype)),
        Operand::Literal(literal) => literal_kind(literal),
    };
    let refuse = || ExprError::Unsupported(format!("{} of these Arrow columns", op.name()));
    let (a, b) = (of(left).ok_or_else(refuse)?, of(right).ok_or_else(refuse)?);
    let given = binary(op, a, b).ok_or_else(refuse)?;
    let valid = |operand: Operand<'_>| match operand {
        Operand::Vector(vector) => vector.values.nulls().cloned(),
        Operand::Literal(_) => None,
    };
    let nulls = NullBuffer::union(valid(left).as_ref(), valid(right).as_ref());
    let is_double = a == ArrowType::Double || b == ArrowType::Double;
    if op.is_comparison() {
        let bits = match (a, b) {
            (ArrowType::Date, _) => compare(op, days(left)?, days(right)?, rows),
            _ if is_double => compare(op, floats(left)?, floats(right)?, rows),
            _ => {
                let scale = scale_of(a).max(scale_of(b));
                compare(op, scaled(left, a, scale)?, scaled(right, b, scale)?, rows)
            }
        };
        return Ok(bools(bits, nulls));
    }
    if is_double {
        let (left, right) = (floats(left)?, floats(right)?);
        let values = match op {
            BinaryOp::Add => zip(left, right, rows, |a, b| a + b),
            BinaryOp::Sub => zip(left, right, rows, |a, b| a - b),
            _ => zip(left, right, rows, |a, b| a * b),
        };
        return Ok(Vector::new(DOUBLE, Arc::new(PrimitiveArray::<Float64Type>::new(values.into(), nulls))));
    }
    let ArrowType::Decimal { precision, scale } = given else { return Err(refuse()) };
    // The precision of the result holds every digit: nothing overflows.
    let values = match op {
        BinaryOp::Mul => {
            let (left, right) = (scaled(left, a, scale_of(a))?, scaled(right, b, scale_of(b))?);
            zip(left, right, rows, i128::wrapping_mul)
        }
        _ => {
            let (left, right) = (scaled(left, a, scale)?, scaled(right, b, scale)?);
            zip(left, right, rows, if op == BinaryOp::Add { i128::wrapping_add } else { i128::wrapping_sub })
        }
    };
    let array = PrimitiveArray::<Decimal128Type>::new(values.into(), nulls);
    let array =
        array.with_precision_and_scale(precision, scale).map_err(|e| ExprError::Invalid(e.to_string()))?;
    Ok(Vector::new(DType::Arrow(given), Arc::new(array)))
}

fn scale_of(kind: ArrowType) -> i8 {
    match kind {
        ArrowType::Decimal { scale, .. } => scale,
        _ => 0,
    }
}

fn compare<N: Copy + PartialOrd>(
    op: BinaryOp,
    left: View<'_, N>,
    right: View<'_, N>,
    rows: usize,
) -> BooleanBuffer {
    use super::compare::pairs;
    match op {
        BinaryOp::Eq => pairs(left, right, rows, |a, b| a == b),
        BinaryOp::Ne => pairs(left, right, rows, |a, b| a != b),
        BinaryOp::Lt => pairs(left, right, rows, |a, b| a < b),
        BinaryOp::Le => pairs(left, right, rows, |a, b| a <= b),
        BinaryOp::Gt => pairs(left, right, rows, |a, b| a > b),
        _ => pairs(left, right, rows, |a, b| a >= b),
    }
}

fn days<'a>(operand: Operand<'a>) -> Result<View<'a, i32>> {
    match operand {
        Operand::Vector(vector) => Ok(View::Many((&dates(vector)?.values()[..]).into())),
        Operand::Literal(Literal { value: Scalar::Date(days), .. }) => Ok(View::One(*days)),
        Operand::Literal(literal) => ExprError::unsupported(format!("{} as a date", literal.value)),
    }
}

fn floats<'a>(operand: Operand<'a>) -> Result<View<'a, f64>> {
    match operand {
        Operand::Vector(vector) => Ok(View::Many(as_floats(vector)?.into())),
        Operand::Literal(Literal { value: Scalar::Decimal { value, scale, .. }, .. }) => {
            Ok(View::One(decimal_to_f64(*value, *scale)))
        }
        Operand::Literal(literal) => Ok(View::One(literal.value.number()?)),
    }
}

/// Numbers as multiples of `10**-scale`.
fn scaled<'a>(operand: Operand<'a>, kind: ArrowType, scale: i8) -> Result<View<'a, i128>> {
    let factor = 10i128.checked_pow((scale - scale_of(kind)) as u32);
    let factor = factor.ok_or_else(|| ExprError::Unsupported("decimals of too many digits".into()))?;
    match operand {
        Operand::Vector(vector) => {
            if let Some(own) = vector.values.as_primitive_opt::<Decimal128Type>() {
                return Ok(match factor {
                    1 => View::Many((&own.values()[..]).into()),
                    _ => View::Many(
                        own.values().iter().map(|&v| v.wrapping_mul(factor)).collect::<Vec<_>>().into(),
                    ),
                });
            }
            let own = vector.values.as_primitive_opt::<Int64Type>().ok_or_else(|| mismatch(vector))?;
            Ok(View::Many(own.values().iter().map(|&v| v as i128 * factor).collect::<Vec<_>>().into()))
        }
        Operand::Literal(literal) => match &literal.value {
            Scalar::Int(value) => Ok(View::One(*value as i128 * factor)),
            Scalar::Decimal { value, .. } => Ok(View::One(value.wrapping_mul(factor))),
            other => ExprError::unsupported(format!("{other} as a decimal")),
        },
    }
}

/// Dates, integers and bools as integers, [`NAT`] where missing.
pub(crate) fn to_integers(vector: &Vector) -> Result<Vec<i64>> {
    let values: Vec<i64> = match &vector.dtype {
        DType::Arrow(ArrowType::Date) => dates(vector)?.values().iter().map(|&day| day as i64).collect(),
        DType::Arrow(ArrowType::Bool) => booleans(vector)?.values().iter().map(|bit| bit as i64).collect(),
        DType::Arrow(ArrowType::Int64) => {
            vector.values.as_primitive_opt::<Int64Type>().ok_or_else(|| mismatch(vector))?.values().to_vec()
        }
        other => return ExprError::unsupported(format!("{other} as integers")),
    };
    let Some(nulls) = vector.values.nulls().filter(|nulls| nulls.null_count() > 0) else { return Ok(values) };
    Ok(values.into_iter().zip(nulls.iter()).map(|(value, valid)| if valid { value } else { NAT }).collect())
}

/// Inverse of [`to_integers`].
pub(crate) fn from_integers(
    kind: ArrowType,
    values: impl Iterator<Item = Option<i64>>,
) -> Result<arrow_array::ArrayRef> {
    Ok(match kind {
        ArrowType::Date => {
            Arc::new(values.map(|day| day.map(|day| day as i32)).collect::<PrimitiveArray<Date32Type>>())
        }
        ArrowType::Bool => Arc::new(values.map(|bit| bit.map(|bit| bit != 0)).collect::<BooleanArray>()),
        ArrowType::Int64 => Arc::new(values.collect::<PrimitiveArray<Int64Type>>()),
        other => return ExprError::unsupported(format!("{other}[pyarrow] from integers")),
    })
}
