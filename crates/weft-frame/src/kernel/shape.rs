//! Kernels that test, replace or convert values one by one.

use std::sync::Arc;

use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, BooleanArray, LargeStringArray};
use arrow_buffer::BooleanBuffer;
use weft_data::DType;

use super::vector::{NAT, Number, Operand, Vector, repeat, to_dtype, with_number};
use crate::error::ExprError;
use crate::scalar::{Literal, Scalar};

type Result<T> = std::result::Result<T, ExprError>;

pub(super) fn is_missing(vector: &Vector, answer: bool) -> Result<Vector> {
    let bits = match (vector.missing()?, answer) {
        (Some(missing), true) => missing,
        (Some(missing), false) => !&missing,
        (None, true) => BooleanBuffer::new_unset(vector.len()),
        (None, false) => BooleanBuffer::new_set(vector.len()),
    };
    Ok(Vector::from_bools(bits))
}

pub(super) fn fill_missing(vector: &Vector, value: &Literal) -> Result<Vector> {
    let Some(missing) = vector.missing()?.filter(BooleanBuffer::has_true) else {
        return Ok(vector.clone());
    };
    let filler = repeat(value, &vector.dtype, 1)?;
    pick(&missing, &filler, vector)
}

/// Rows of `yes` where `condition`, else of `no`; a vector of length one stands for all rows.
fn pick(condition: &BooleanBuffer, yes: &Vector, no: &Vector) -> Result<Vector> {
    let scalar = |vector: &Vector| -> Box<dyn arrow_array::Datum> {
        if vector.len() == 1 && condition.len() != 1 {
            Box::new(arrow_array::Scalar::new(vector.values.clone()))
        } else {
            Box::new(vector.values.clone())
        }
    };
    let mask = BooleanArray::new(condition.clone(), None);
    let values = arrow_select::zip::zip(&mask, &*scalar(yes), &*scalar(no))
        .map_err(|error| ExprError::Invalid(error.to_string()))?;
    Ok(Vector::new(no.dtype.clone(), values))
}

pub(super) fn choose(condition: &Vector, yes: Operand<'_>, no: Operand<'_>) -> Result<Vector> {
    let column = match (yes, no) {
        (Operand::Vector(vector), _) | (_, Operand::Vector(vector)) => vector.dtype.clone(),
        _ => return ExprError::unsupported("where of scalars"),
    };
    let missing = matches!(
        (yes, no),
        (Operand::Literal(Literal { value: Scalar::Missing, .. }), _)
            | (_, Operand::Literal(Literal { value: Scalar::Missing, .. }))
    );
    let (yes_dtype, no_dtype) = match (yes, no) {
        (Operand::Vector(a), Operand::Vector(b)) => (a.dtype.clone(), b.dtype.clone()),
        _ => (column.clone(), column.clone()),
    };
    let mut common = crate::dtype::promote(&yes_dtype, &no_dtype)
        .ok_or_else(|| ExprError::Unsupported(format!("where of {yes_dtype} and {no_dtype}")))?;
    let condition = condition.bools()?;
    // pandas makes room for missing values only where it puts some.
    if missing && common.is_integer() {
        let literal_is_no = matches!(no, Operand::Literal(_));
        let needed = if literal_is_no { condition.has_false() } else { condition.has_true() };
        if let (false, (Operand::Vector(vector), _) | (_, Operand::Vector(vector))) = (needed, (yes, no)) {
            return Ok(vector.clone());
        }
        common = DType::Float64;
    }
    let vector = |operand: Operand<'_>| match operand {
        Operand::Vector(vector) => to_dtype(vector, &common),
        Operand::Literal(literal) => repeat(literal, &common, 1),
    };
    let (yes, no) = (vector(yes)?, vector(no)?);
    pick(condition, &yes, &no)
}

pub(super) fn clip(vector: &Vector, bound: &Literal, lower: bool) -> Result<Vector> {
    with_number!(&vector.dtype, T => {
        let bound = bound.value.number()?;
        let values = vector.slice::<T>()?.iter();
        // NaN compares false with everything and stays.
        let values = values.map(|&v| if lower && v < bound || !lower && v > bound { bound } else { v }).collect();
        Ok(Vector::from_vec::<T>(vector.dtype.clone(), values))
    }, other => ExprError::unsupported(format!("clip of {other}")))
}

/// Rounds half to even, as NumPy does.
pub(super) fn round(vector: &Vector, decimals: i32) -> Result<Vector> {
    macro_rules! round_as {
        ($T:ty, $native:ty) => {{
            let scale = (10.0 as $native).powi(decimals.abs());
            let values = vector.slice::<$T>()?.iter();
            let values = match decimals {
                0 => values.map(|v| v.round_ties_even()).collect(),
                1.. => values.map(|v| (v * scale).round_ties_even() / scale).collect(),
                _ => values.map(|v| (v / scale).round_ties_even() * scale).collect(),
            };
            Ok(Vector::from_vec::<$T>(vector.dtype.clone(), values))
        }};
    }
    match vector.dtype {
        DType::Float64 => round_as!(Float64Type, f64),
        DType::Float32 => round_as!(Float32Type, f32),
        _ => Ok(vector.clone()),
    }
}

pub(super) fn convert(vector: &Vector, dtype: &DType) -> Result<Vector> {
    if vector.dtype == *dtype {
        return Ok(vector.clone());
    }
    if vector.dtype == DType::Str && is_text(dtype) {
        return Ok(Vector::new(dtype.clone(), vector.values.clone()));
    }
    if *dtype == DType::Bool {
        return with_number!(&vector.dtype, T => {
            let (values, zero) = (vector.slice::<T>()?, Default::default());
            Ok(Vector::from_bools(BooleanBuffer::collect_bool(values.len(), |i| values[i] != zero)))
        }, other => ExprError::unsupported(format!("{other} as bool")));
    }
    if vector.dtype.is_float() && dtype.is_integer() {
        let values = vector.cast::<Float64Type>()?;
        if values.iter().any(|v| !v.is_finite()) {
            return Err(ExprError::Invalid("Cannot convert non-finite values (NA or inf) to integer".into()));
        }
        // Beyond the range NumPy gives whatever the processor gives: the smallest integer.
        const LIMIT: f64 = 9_223_372_036_854_775_808.0;
        if *dtype == DType::Int64 && values.iter().any(|v| *v >= LIMIT) {
            let values = values.iter().map(|&v| if v >= LIMIT { i64::MIN } else { v as i64 }).collect();
            return Ok(Vector::from_vec::<Int64Type>(DType::Int64, values));
        }
        if *dtype != DType::Int64 {
            // Through int64, so that the value wraps as an integer's would.
            let wide = values.iter().map(|&v| v as i64).collect();
            return to_dtype(&Vector::from_vec::<Int64Type>(DType::Int64, wide), dtype);
        }
    }
    to_dtype(vector, dtype)
}

/// Whether a dtype is text that knows what is missing in one of pandas' two ways.
pub(crate) fn is_text(dtype: &DType) -> bool {
    match dtype {
        DType::Nullable(inner) => **inner == DType::Str,
        other => *other == DType::Str,
    }
}

pub(super) fn is_in(vector: &Vector, set: &[Scalar]) -> Result<Vector> {
    let rows = vector.len();
    let has_missing = set.contains(&Scalar::Missing);
    let bits = match &vector.dtype {
        DType::Str => {
            let texts: hashbrown::HashSet<&str, ahash::RandomState> = set
                .iter()
                .filter_map(|value| match value {
                    Scalar::Str(text) => Some(&**text),
                    _ => None,
                })
                .collect();
            let array: &LargeStringArray = vector.strings()?;
            BooleanBuffer::collect_bool(rows, |i| {
                if array.is_null(i) { has_missing } else { texts.contains(array.value(i)) }
            })
        }
        DType::Bool => {
            let bools = vector.bools()?;
            let (yes, no) = (set.contains(&Scalar::Bool(true)), set.contains(&Scalar::Bool(false)));
            BooleanBuffer::collect_bool(rows, |i| if bools.value(i) { yes } else { no })
        }
        DType::Datetime { .. } | DType::Timedelta(_) => {
            let members: hashbrown::HashSet<i64, ahash::RandomState> = set
                .iter()
                .filter_map(|value| match value {
                    Scalar::Datetime { value, .. } | Scalar::Timedelta { value, .. } => Some(*value),
                    _ => None,
                })
                .collect();
            let values = vector.slice::<Int64Type>()?;
            BooleanBuffer::collect_bool(rows, |i| match values[i] {
                NAT => has_missing,
                value => members.contains(&value),
            })
        }
        dtype if dtype.is_float() => {
            let members: Result<Vec<f64>> = set.iter().map(Scalar::number).collect();
            let members: hashbrown::HashSet<u64, ahash::RandomState> =
                members?.into_iter().map(float_bits).collect();
            let values = vector.cast::<Float64Type>()?;
            BooleanBuffer::collect_bool(rows, |i| members.contains(&float_bits(values[i])))
        }
        _ => {
            let members: Result<hashbrown::HashSet<i64, ahash::RandomState>> =
                set.iter().map(Scalar::number).collect();
            let members = members?;
            with_number!(&vector.dtype, T => {
                let values = vector.slice::<T>()?;
                BooleanBuffer::collect_bool(rows, |i| members.contains(&values[i].to::<i64>()))
            }, other => return ExprError::unsupported(format!("isin of {other}")))
        }
    };
    Ok(Vector::from_bools(bits))
}

/// Equal floats have equal bits: one NaN, one zero.
pub(crate) fn float_bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() }
}

/// Keeps the selected rows.
pub fn filter(vector: &Vector, mask: &BooleanArray) -> Result<Vector> {
    let values = arrow_select::filter::filter(vector.values.as_ref(), mask)
        .map_err(|error| ExprError::Invalid(error.to_string()))?;
    Ok(Vector::new(vector.dtype.clone(), values))
}

/// Rows in another order.
pub fn take(vector: &Vector, rows: &[u32]) -> Result<Vector> {
    let rows = arrow_array::UInt32Array::from(rows.to_vec());
    let values = arrow_select::take::take(vector.values.as_ref(), &rows, None)
        .map_err(|error| ExprError::Invalid(error.to_string()))?;
    Ok(Vector::new(vector.dtype.clone(), Arc::clone(&values)))
}
