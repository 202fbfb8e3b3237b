//! Arrow arrays as columns of pandas dtypes.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, Decimal64Array, Int64Array, LargeStringArray, PrimitiveArray};
use arrow_buffer::ScalarBuffer;
use arrow_schema::DataType;
use weft_data::{ArrowType, DType, TimeUnit};

/// How a missing time is stored.
const NAT: i64 = i64::MIN;

/// Whether a column of `kind` can become one of `dtype`.
pub(super) fn reads(kind: &DataType, dtype: &DType) -> bool {
    match (kind, dtype) {
        (_, DType::Nullable(inner)) => plain(kind).as_ref() == Some(&**inner),
        // Integers with missing values are floats.
        (kind, DType::Float64) if kind.is_integer() => true,
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, DType::Str) => true,
        (DataType::Timestamp(unit, _), DType::Datetime { unit: own, .. }) => unit_of(unit) == *own,
        (DataType::Date32, DType::Arrow(ArrowType::Date)) => true,
        (DataType::Decimal128(p, s), DType::Arrow(ArrowType::Decimal { precision, scale })) => {
            p == precision && s == scale
        }
        (kind, dtype) => plain(kind).as_ref() == Some(dtype),
    }
}

fn plain(kind: &DataType) -> Option<DType> {
    Some(match kind {
        DataType::Boolean => DType::Bool,
        DataType::Int8 => DType::Int8,
        DataType::Int16 => DType::Int16,
        DataType::Int32 => DType::Int32,
        DataType::Int64 => DType::Int64,
        DataType::UInt8 => DType::UInt8,
        DataType::UInt16 => DType::UInt16,
        DataType::UInt32 => DType::UInt32,
        DataType::UInt64 => DType::UInt64,
        DataType::Float32 => DType::Float32,
        DataType::Float64 => DType::Float64,
        _ => return None,
    })
}

fn unit_of(unit: &arrow_schema::TimeUnit) -> TimeUnit {
    match unit {
        arrow_schema::TimeUnit::Second => TimeUnit::Second,
        arrow_schema::TimeUnit::Millisecond => TimeUnit::Milli,
        arrow_schema::TimeUnit::Microsecond => TimeUnit::Micro,
        arrow_schema::TimeUnit::Nanosecond => TimeUnit::Nano,
    }
}

/// The values as `dtype` stores them, and the dtype that they have: integers with missing values are
/// floats whatever was expected. `None`: there is no such form.
pub(super) fn column(array: &ArrayRef, dtype: &DType) -> Option<(DType, ArrayRef)> {
    let values: ArrayRef = match dtype {
        DType::Arrow(ArrowType::Decimal { .. }) if array.as_any().is::<Decimal64Array>() => array.clone(),
        DType::Arrow(ArrowType::Decimal { precision, scale }) => {
            let decimals = array.as_primitive_opt::<Decimal128Type>()?.clone();
            Arc::new(decimals.with_precision_and_scale(*precision, *scale).ok()?)
        }
        DType::Arrow(_) | DType::Nullable(_) => array.clone(),
        DType::Str => text(array)?,
        DType::Datetime { .. } => Arc::new(times(array)?),
        DType::Bool => match array.null_count() {
            0 => without_nulls(array),
            _ => return None,
        },
        DType::Float32 => Arc::new(filled::<Float32Type>(array, f32::NAN)?),
        DType::Float64 if array.data_type() == &DataType::Float64 => {
            Arc::new(filled::<Float64Type>(array, f64::NAN)?)
        }
        DType::Float64 => Arc::new(floats(array)?),
        _ if array.null_count() > 0 => return Some((DType::Float64, Arc::new(floats(array)?))),
        _ => without_nulls(array),
    };
    Some((dtype.clone(), values))
}

/// An array without missing values may still carry a bitmap that says so.
fn without_nulls(array: &ArrayRef) -> ArrayRef {
    if array.nulls().is_none() {
        return array.clone();
    }
    let data = array.to_data().into_builder().nulls(None);
    // Dropping a bitmap without a missing value keeps the array valid.
    data.build().map_or_else(|_| array.clone(), arrow_array::make_array)
}

fn filled<T: ArrowPrimitiveType>(array: &ArrayRef, missing: T::Native) -> Option<PrimitiveArray<T>> {
    let own = array.as_primitive_opt::<T>()?;
    Some(match own.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => PrimitiveArray::new(own.values().clone(), None),
        Some(nulls) => {
            let values = own.values().iter().zip(nulls.iter());
            let values = values.map(|(&value, valid)| if valid { value } else { missing });
            PrimitiveArray::new(values.collect::<Vec<_>>().into(), None)
        }
    })
}

fn times(array: &ArrayRef) -> Option<Int64Array> {
    fn raw<T: ArrowPrimitiveType<Native = i64>>(array: &ArrayRef) -> Option<ScalarBuffer<i64>> {
        Some(filled::<T>(array, NAT)?.values().clone())
    }
    let values = match array.data_type() {
        DataType::Timestamp(arrow_schema::TimeUnit::Second, _) => raw::<TimestampSecondType>(array),
        DataType::Timestamp(arrow_schema::TimeUnit::Millisecond, _) => raw::<TimestampMillisecondType>(array),
        DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, _) => raw::<TimestampMicrosecondType>(array),
        DataType::Timestamp(arrow_schema::TimeUnit::Nanosecond, _) => raw::<TimestampNanosecondType>(array),
        _ => None,
    }?;
    Some(Int64Array::new(values, None))
}

/// Integers as floats, missing ones as NaN.
fn floats(array: &ArrayRef) -> Option<PrimitiveArray<Float64Type>> {
    macro_rules! from {
        ($($kind:pat => $type:ty),*) => {
            match array.data_type() {
                $($kind => {
                    let own = array.as_primitive_opt::<$type>()?;
                    own.iter().map(|value| value.map_or(f64::NAN, |value| value as f64)).collect::<Vec<f64>>()
                })*
                _ => return None,
            }
        };
    }
    let values = from!(DataType::Int8 => Int8Type, DataType::Int16 => Int16Type, DataType::Int32 => Int32Type,
        DataType::Int64 => Int64Type, DataType::UInt8 => UInt8Type, DataType::UInt16 => UInt16Type,
        DataType::UInt32 => UInt32Type, DataType::UInt64 => UInt64Type);
    Some(PrimitiveArray::new(values.into(), None))
}

/// Text as it was read: large strings, or codes into a dictionary of them.
fn text(array: &ArrayRef) -> Option<ArrayRef> {
    if let Some(codes) = array.as_any_dictionary_opt() {
        let is_text = codes.values().as_any().is::<LargeStringArray>();
        return is_text.then(|| array.clone());
    }
    array.as_any().is::<LargeStringArray>().then(|| array.clone())
}
