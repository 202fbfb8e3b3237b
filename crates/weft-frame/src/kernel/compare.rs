//! Comparisons and logic: what is missing compares unequal to everything.

use arrow_array::Array;
use arrow_array::types::ArrowPrimitiveType;
use arrow_buffer::BooleanBuffer;
use weft_data::DType;

use super::BinaryOp;
use super::arithmetic::{Arith, time_view, zip};
use super::vector::{NAT, Operand, Vector, View, with_number};
use crate::dtype::{finer, promote};
use crate::error::ExprError;
use crate::scalar::Scalar;

type Result<T> = std::result::Result<T, ExprError>;

pub(super) fn compare(op: BinaryOp, left: Operand<'_>, right: Operand<'_>, rows: usize) -> Result<Vector> {
    let column = match (left, right) {
        (Operand::Vector(vector), _) | (_, Operand::Vector(vector)) => vector.dtype.clone(),
        _ => return ExprError::unsupported("a comparison of scalars"),
    };
    let (a, b) = (left.dtype(&column)?, right.dtype(&column)?);
    let bits = match (&a, &b) {
        (DType::Str, DType::Str) => strings(op, left, right, rows)?,
        (DType::Datetime { unit: a, .. }, DType::Datetime { unit: b, .. })
        | (DType::Timedelta(a), DType::Timedelta(b)) => {
            let unit = finer(*a, *b);
            let (left, right) = (time_view(left, unit)?, time_view(right, unit)?);
            // NaT is the smallest integer: only `<` and `==` would see it wrongly.
            match op {
                BinaryOp::Eq => pairs(left, right, rows, |a, b| a == b && a != NAT),
                BinaryOp::Ne => pairs(left, right, rows, |a, b| a != b || a == NAT),
                BinaryOp::Lt => pairs(left, right, rows, |a, b| a < b && a != NAT),
                BinaryOp::Le => pairs(left, right, rows, |a, b| a <= b && a != NAT),
                BinaryOp::Gt => pairs(left, right, rows, |a, b| a > b && b != NAT),
                _ => pairs(left, right, rows, |a, b| a >= b && b != NAT),
            }
        }
        (DType::Bool, DType::Bool) => numbers::<arrow_array::types::UInt8Type>(op, left, right, rows)?,
        _ => {
            let common =
                promote(&a, &b).ok_or_else(|| ExprError::Unsupported(format!("{a} {} {b}", op.symbol())))?;
            with_number!(&common, T => numbers::<T>(op, left, right, rows)?,
                other => return ExprError::unsupported(format!("{} of {other}", op.name())))
        }
    };
    Ok(Vector::from_bools(bits))
}

fn numbers<T>(op: BinaryOp, left: Operand<'_>, right: Operand<'_>, rows: usize) -> Result<BooleanBuffer>
where
    T: ArrowPrimitiveType,
    T::Native: super::vector::Number,
{
    let (left, right) = (left.view::<T>()?, right.view::<T>()?);
    Ok(match op {
        BinaryOp::Eq => pairs(left, right, rows, |a, b| a == b),
        BinaryOp::Ne => pairs(left, right, rows, |a, b| a != b),
        BinaryOp::Lt => pairs(left, right, rows, |a, b| a < b),
        BinaryOp::Le => pairs(left, right, rows, |a, b| a <= b),
        BinaryOp::Gt => pairs(left, right, rows, |a, b| a > b),
        _ => pairs(left, right, rows, |a, b| a >= b),
    })
}

pub(super) fn pairs<N: Copy>(
    left: View<'_, N>,
    right: View<'_, N>,
    rows: usize,
    f: impl Fn(N, N) -> bool,
) -> BooleanBuffer {
    match (left, right) {
        (View::Many(a), View::Many(b)) => {
            let b = &b[..a.len()];
            BooleanBuffer::collect_bool(a.len(), |i| f(a[i], b[i]))
        }
        (View::Many(a), View::One(b)) => BooleanBuffer::collect_bool(a.len(), |i| f(a[i], b)),
        (View::One(a), View::Many(b)) => BooleanBuffer::collect_bool(b.len(), |i| f(a, b[i])),
        (View::One(a), View::One(b)) => BooleanBuffer::collect_bool(rows, |_| f(a, b)),
    }
}

fn strings(op: BinaryOp, left: Operand<'_>, right: Operand<'_>, rows: usize) -> Result<BooleanBuffer> {
    enum Texts<'a> {
        Many(&'a arrow_array::LargeStringArray),
        One(Option<&'a str>),
    }
    impl Texts<'_> {
        fn get(&self, row: usize) -> Option<&str> {
            match self {
                Texts::Many(array) => array.is_valid(row).then(|| array.value(row)),
                Texts::One(text) => *text,
            }
        }
    }
    fn texts(operand: Operand<'_>) -> Result<Texts<'_>> {
        match operand {
            Operand::Vector(vector) => Ok(Texts::Many(vector.strings()?)),
            Operand::Literal(literal) => match &literal.value {
                Scalar::Str(text) => Ok(Texts::One(Some(text))),
                Scalar::Missing => Ok(Texts::One(None)),
                other => ExprError::unsupported(format!("{other} as text")),
            },
        }
    }
    let (left, right) = (texts(left)?, texts(right)?);
    let test = |f: fn(&str, &str) -> bool, missing: bool| {
        BooleanBuffer::collect_bool(rows, |i| match (left.get(i), right.get(i)) {
            (Some(a), Some(b)) => f(a, b),
            _ => missing,
        })
    };
    Ok(match op {
        BinaryOp::Eq => test(|a, b| a == b, false),
        BinaryOp::Ne => test(|a, b| a != b, true),
        BinaryOp::Lt => test(|a, b| a < b, false),
        BinaryOp::Le => test(|a, b| a <= b, false),
        BinaryOp::Gt => test(|a, b| a > b, false),
        _ => test(|a, b| a >= b, false),
    })
}

/// `&`, `|`, `^` of bools or of integers of one dtype.
pub(super) fn logical(op: BinaryOp, left: Operand<'_>, right: Operand<'_>, rows: usize) -> Result<Vector> {
    let column = match (left, right) {
        (Operand::Vector(vector), _) | (_, Operand::Vector(vector)) => vector.dtype.clone(),
        _ => return ExprError::unsupported("logic of scalars"),
    };
    if column == DType::Bool {
        let bits = |operand: Operand<'_>| -> Result<BooleanBuffer> {
            match operand {
                Operand::Vector(vector) => Ok(vector.bools()?.clone()),
                Operand::Literal(literal) => match literal.value {
                    Scalar::Bool(true) => Ok(BooleanBuffer::new_set(rows)),
                    Scalar::Bool(false) => Ok(BooleanBuffer::new_unset(rows)),
                    ref other => ExprError::unsupported(format!("{other} beside bools")),
                },
            }
        };
        let (left, right) = (bits(left)?, bits(right)?);
        return Ok(Vector::from_bools(match op {
            BinaryOp::And => &left & &right,
            BinaryOp::Or => &left | &right,
            _ => &left ^ &right,
        }));
    }
    with_number!(&column, T => {
        let (left, right) = (left.view::<T>()?, right.view::<T>()?);
        let values = match op {
            BinaryOp::And => zip(left, right, rows, Arith::and),
            BinaryOp::Or => zip(left, right, rows, Arith::or),
            _ => zip(left, right, rows, Arith::xor),
        };
        Ok(Vector::from_vec::<T>(column.clone(), values))
    }, other => ExprError::unsupported(format!("{} of {other}", op.name())))
}
