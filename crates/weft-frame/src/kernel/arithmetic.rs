//! Arithmetic of numbers and times, with NumPy's rules for zero, sign and overflow.

use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use weft_data::DType;

use super::vector::{NAT, Number, Operand, Vector, View, to_dtype, with_number};
use super::{BinaryOp, UnaryOp};
use crate::dtype::{finer, promote};
use crate::error::ExprError;
use crate::scalar::{Literal, Scalar};

type Result<T> = std::result::Result<T, ExprError>;

/// `left op right` for an arithmetic operator.
pub(super) fn arithmetic(op: BinaryOp, left: Operand<'_>, right: Operand<'_>, rows: usize) -> Result<Vector> {
    let column = match (left, right) {
        (Operand::Vector(vector), _) | (_, Operand::Vector(vector)) => vector.dtype.clone(),
        _ => return ExprError::unsupported("arithmetic of scalars"),
    };
    let (a, b) = (left.dtype(&column)?, right.dtype(&column)?);
    if let (DType::Datetime { .. } | DType::Timedelta(_), _)
    | (_, DType::Datetime { .. } | DType::Timedelta(_)) = (&a, &b)
    {
        return times(op, left, &a, right, &b, rows);
    }
    let common = promote(&a, &b).ok_or_else(|| ExprError::Unsupported(format!("{a} {} {b}", op.symbol())))?;
    if op == BinaryOp::TrueDiv && common.is_integer() {
        let values =
            zip::<f64, f64>(left.view::<Float64Type>()?, right.view::<Float64Type>()?, rows, |a, b| a / b);
        return Ok(Vector::from_vec::<Float64Type>(DType::Float64, values));
    }
    // pandas mends the remainder by zero only where the divisor is an integer, not a bool.
    let mends = op == BinaryOp::FloorDiv || op == BinaryOp::Mod && b != DType::Bool;
    let mut mended = mends && common.is_integer() && has_zero(&right)?;
    if op == BinaryOp::FloorDiv && common == DType::Float32 && has_zero(&right)? {
        // The mended quotient is float64, also of float32; what is missing needs no mending.
        let (left, right) = (left.view::<Float32Type>()?, right.view::<Float32Type>()?);
        mended = zip(left, right, rows, |a, b| b == 0.0 && !a.is_nan()).contains(&true);
    }
    if mended {
        return divide_by_zero(op, left, right, &common, rows);
    }
    with_number!(&common, T => {
        let (left, right) = (left.view::<T>()?, right.view::<T>()?);
        let values = match op {
            BinaryOp::Add => zip(left, right, rows, Arith::add),
            BinaryOp::Sub => zip(left, right, rows, Arith::sub),
            BinaryOp::Mul => zip(left, right, rows, Arith::mul),
            BinaryOp::TrueDiv => zip(left, right, rows, Arith::div),
            BinaryOp::FloorDiv => zip(left, right, rows, Arith::floor_div),
            BinaryOp::Mod => zip(left, right, rows, Arith::modulo),
            BinaryOp::Pow => {
                let negative = match &right {
                    View::One(exponent) => Arith::is_negative_integer(*exponent),
                    View::Many(exponents) => exponents.iter().any(|&e| Arith::is_negative_integer(e)),
                };
                if negative {
                    return Err(ExprError::Invalid(
                        "Integers to negative integer powers are not allowed.".into(),
                    ));
                }
                zip(left, right, rows, Arith::pow)
            }
            other => return ExprError::unsupported(format!("{} as arithmetic", other.name())),
        };
        Ok(Vector::from_vec::<T>(common.clone(), values))
    }, other => ExprError::unsupported(format!("{} of {other}", op.name())))
}

/// Applies `f` row by row.
pub(super) fn zip<N: Copy, R>(
    left: View<'_, N>,
    right: View<'_, N>,
    rows: usize,
    f: impl Fn(N, N) -> R,
) -> Vec<R> {
    match (left, right) {
        (View::Many(a), View::Many(b)) => a.iter().zip(b.iter()).map(|(&a, &b)| f(a, b)).collect(),
        (View::Many(a), View::One(b)) => a.iter().map(|&a| f(a, b)).collect(),
        (View::One(a), View::Many(b)) => b.iter().map(|&b| f(a, b)).collect(),
        (View::One(a), View::One(b)) => (0..rows).map(|_| f(a, b)).collect(),
    }
}

fn has_zero(divisor: &Operand<'_>) -> Result<bool> {
    Ok(match divisor {
        Operand::Literal(literal) => literal.value.number::<f64>()? == 0.0,
        Operand::Vector(vector) => match &vector.dtype {
            DType::Bool => vector.bools()?.has_false(),
            dtype => {
                with_number!(dtype, T => vector.slice::<T>()?.contains(&Default::default()), _other => false)
            }
        },
    })
}

/// Integers by zero become floats: pandas gives infinities and NaN where NumPy gives 0.
fn divide_by_zero(
    op: BinaryOp,
    left: Operand<'_>,
    right: Operand<'_>,
    common: &DType,
    rows: usize,
) -> Result<Vector> {
    with_number!(common, T => {
        let values = zip(left.view::<T>()?, right.view::<T>()?, rows, |a, b| {
            if b == Default::default() {
                let (a, b): (f64, f64) = (Number::to(a), Number::to(b));
                if op == BinaryOp::Mod { f64::NAN } else { a / b }
            } else if op == BinaryOp::Mod {
                Number::to(Arith::modulo(a, b))
            } else {
                Number::to(Arith::floor_div(a, b))
            }
        });
        Ok(Vector::from_vec::<Float64Type>(DType::Float64, values))
    }, other => ExprError::unsupported(format!("{} of {other}", op.name())))
}

fn times(
    op: BinaryOp,
    left: Operand<'_>,
    a: &DType,
    right: Operand<'_>,
    b: &DType,
    rows: usize,
) -> Result<Vector> {
    let unit_of = |dtype: &DType| match dtype {
        DType::Datetime { unit, .. } | DType::Timedelta(unit) => Ok(*unit),
        other => ExprError::unsupported(format!("{} of a time and {other}", op.name())),
    };
    let unit = finer(unit_of(a)?, unit_of(b)?);
    let dtype = match (a, b) {
        (DType::Datetime { .. }, DType::Datetime { .. }) => DType::Timedelta(unit),
        (DType::Datetime { zone, .. }, _) | (_, DType::Datetime { zone, .. }) => {
            DType::Datetime { unit, zone: zone.clone() }
        }
        _ => DType::Timedelta(unit),
    };
    let (left, right) = (time_view(left, unit)?, time_view(right, unit)?);
    if op == BinaryOp::TrueDiv {
        let values =
            zip(left, right, rows, |a, b| if a == NAT || b == NAT { f64::NAN } else { a as f64 / b as f64 });
        return Ok(Vector::from_vec::<Float64Type>(DType::Float64, values));
    }
    let sign = if op == BinaryOp::Sub { -1 } else { 1 };
    let mut overflow = false;
    let cell = std::cell::Cell::from_mut(&mut overflow);
    let values = zip(left, right, rows, |a: i64, b: i64| {
        if a == NAT || b == NAT {
            return NAT;
        }
        let sum = if sign < 0 { a.checked_sub(b) } else { a.checked_add(b) };
        sum.unwrap_or_else(|| {
            cell.set(true);
            NAT
        })
    });
    if overflow {
        return Err(ExprError::Invalid("Overflow in int64 addition of times".into()));
    }
    Ok(Vector::from_vec::<Int64Type>(dtype, values))
}

/// Times in another unit.
pub(super) fn time_view<'a>(operand: Operand<'a>, unit: weft_data::TimeUnit) -> Result<View<'a, i64>> {
    let literal = match operand {
        Operand::Vector(vector) => {
            let dtype = match &vector.dtype {
                DType::Datetime { zone, .. } => DType::Datetime { unit, zone: zone.clone() },
                _ => DType::Timedelta(unit),
            };
            if dtype == vector.dtype {
                return Ok(View::Many(vector.slice::<Int64Type>()?.into()));
            }
            let scaled = to_dtype(vector, &dtype)?;
            return Ok(View::Many(scaled.slice::<Int64Type>()?.to_vec().into()));
        }
        Operand::Literal(Literal { value, .. }) => value,
    };
    match literal {
        Scalar::Missing => Ok(View::One(NAT)),
        Scalar::Datetime { value, unit: own, .. } | Scalar::Timedelta { value, unit: own } => {
            let factor = unit.per_second() / own.per_second();
            match value.checked_mul(factor) {
                Some(value) => Ok(View::One(value)),
                None => Err(ExprError::Invalid(format!("{literal} is out of range in {}", unit.name()))),
            }
        }
        other => ExprError::unsupported(format!("{other} as a time")),
    }
}

/// `-x`, `+x`, `abs(x)`.
pub(super) fn unary(op: UnaryOp, vector: &Vector) -> Result<Vector> {
    if let DType::Timedelta(_) = vector.dtype {
        let values = vector.slice::<Int64Type>()?;
        // NaT is its own negative.
        let values = match op {
            UnaryOp::Neg => values.iter().map(|v| v.wrapping_neg()).collect(),
            UnaryOp::Abs => values.iter().map(|v| v.wrapping_abs()).collect(),
            _ => return Ok(vector.clone()),
        };
        return Ok(Vector::from_vec::<Int64Type>(vector.dtype.clone(), values));
    }
    with_number!(&vector.dtype, T => {
        let values = vector.slice::<T>()?;
        let values = match op {
            UnaryOp::Neg => values.iter().map(|&v| Arith::neg(v)).collect(),
            UnaryOp::Abs => values.iter().map(|&v| Arith::abs(v)).collect(),
            UnaryOp::Invert => values.iter().map(|&v| Arith::invert(v)).collect(),
            _ => return Ok(vector.clone()),
        };
        Ok(Vector::from_vec::<T>(vector.dtype.clone(), values))
    }, other => ExprError::unsupported(format!("{} of {other}", op.name())))
}

/// Arithmetic as NumPy does it: integers wrap, division floors.
pub(super) trait Arith: Number {
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn floor_div(self, other: Self) -> Self;
    fn modulo(self, other: Self) -> Self;
    fn pow(self, other: Self) -> Self;
    fn neg(self) -> Self;
    fn abs(self) -> Self;
    fn invert(self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn is_negative_integer(self) -> bool;
}

macro_rules! integers {
    ($($native:ty, $abs:ident, $negative:expr);*) => {$(
        impl Arith for $native {
            fn add(self, other: Self) -> Self { self.wrapping_add(other) }
            fn sub(self, other: Self) -> Self { self.wrapping_sub(other) }
            fn mul(self, other: Self) -> Self { self.wrapping_mul(other) }
            fn div(self, other: Self) -> Self { if other == 0 { 0 } else { self.wrapping_div(other) } }
            #[allow(unused_comparisons)]
            fn floor_div(self, other: Self) -> Self {
                if other == 0 { return 0; }
                let quotient = self.wrapping_div(other);
                let exact = self.wrapping_rem(other) == 0;
                if !exact && ((self < 0) != (other < 0)) { quotient.wrapping_sub(1) } else { quotient }
            }
            #[allow(unused_comparisons)]
            fn modulo(self, other: Self) -> Self {
                if other == 0 { return 0; }
                let rest = self.wrapping_rem(other);
                if rest != 0 && ((rest < 0) != (other < 0)) { rest.wrapping_add(other) } else { rest }
            }
            fn pow(self, mut exponent: Self) -> Self {
                let (mut base, mut result): (Self, Self) = (self, 1);
                while exponent > 0 {
                    if exponent & 1 == 1 { result = result.wrapping_mul(base); }
                    base = base.wrapping_mul(base);
                    exponent >>= 1;
                }
                result
            }
            fn neg(self) -> Self { self.wrapping_neg() }
            fn abs(self) -> Self { $abs(self) }
            fn invert(self) -> Self { !self }
            fn and(self, other: Self) -> Self { self & other }
            fn or(self, other: Self) -> Self { self | other }
            fn xor(self, other: Self) -> Self { self ^ other }
            fn is_negative_integer(self) -> bool { $negative(self) }
        }
    )*};
}

fn same<T>(value: T) -> T {
    value
}

fn never<T>(_: T) -> bool {
    false
}

fn abs8(value: i8) -> i8 {
    value.wrapping_abs()
}
fn abs16(value: i16) -> i16 {
    value.wrapping_abs()
}
fn abs32(value: i32) -> i32 {
    value.wrapping_abs()
}
fn abs64(value: i64) -> i64 {
    value.wrapping_abs()
}

integers!(i8, abs8, |v: i8| v < 0; i16, abs16, |v: i16| v < 0; i32, abs32, |v: i32| v < 0;
          i64, abs64, |v: i64| v < 0; u8, same, never; u16, same, never; u32, same, never; u64, same, never);

macro_rules! floats {
    ($($native:ty),*) => {$(
        impl Arith for $native {
            fn add(self, other: Self) -> Self { self + other }
            fn sub(self, other: Self) -> Self { self - other }
            fn mul(self, other: Self) -> Self { self * other }
            fn div(self, other: Self) -> Self { self / other }
            fn floor_div(self, other: Self) -> Self {
                if other == 0.0 { return self / other; }
                let rest = self % other;
                let mut quotient = (self - rest) / other;
                if rest != 0.0 && ((other < 0.0) != (rest < 0.0)) { quotient -= 1.0; }
                if quotient == 0.0 { return (0.0 as $native).copysign(self / other); }
                let floor = quotient.floor();
                // The division above may have rounded below a whole number.
                if quotient - floor > 0.5 { floor + 1.0 } else { floor }
            }
            fn modulo(self, other: Self) -> Self {
                let rest = self % other;
                if rest == 0.0 { return (0.0 as $native).copysign(other); }
                if (other < 0.0) != (rest < 0.0) { rest + other } else { rest }
            }
            fn pow(self, other: Self) -> Self { self.powf(other) }
            fn neg(self) -> Self { -self }
            fn abs(self) -> Self { <$native>::abs(self) }
            fn invert(self) -> Self { self }
            fn and(self, _: Self) -> Self { self }
            fn or(self, _: Self) -> Self { self }
            fn xor(self, _: Self) -> Self { self }
            fn is_negative_integer(self) -> bool { false }
        }
    )*};
}

floats!(f32, f64);
