//! What kernels work on: a batch of one column, or one value for all its rows.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, DecimalType, Float32Type, Float64Type, Int64Type,
    UInt64Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, LargeStringArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, ScalarBuffer};
use weft_data::{ArrowType, DType};

use crate::error::ExprError;
use crate::scalar::{Literal, Scalar};

/// Runs `$body` with `$T` bound to the Arrow type of a number dtype.
macro_rules! with_number {
    ($dtype:expr, $T:ident => $body:expr, $other:ident => $otherwise:expr) => {
        match $dtype {
            weft_data::DType::Int8 => {
                type $T = arrow_array::types::Int8Type;
                $body
            }
            weft_data::DType::Int16 => {
                type $T = arrow_array::types::Int16Type;
                $body
            }
            weft_data::DType::Int32 => {
                type $T = arrow_array::types::Int32Type;
                $body
            }
            weft_data::DType::Int64 => {
                type $T = arrow_array::types::Int64Type;
                $body
            }
            weft_data::DType::UInt8 => {
                type $T = arrow_array::types::UInt8Type;
                $body
            }
            weft_data::DType::UInt16 => {
                type $T = arrow_array::types::UInt16Type;
                $body
            }
            weft_data::DType::UInt32 => {
                type $T = arrow_array::types::UInt32Type;
                $body
            }
            weft_data::DType::UInt64 => {
                type $T = arrow_array::types::UInt64Type;
                $body
            }
            weft_data::DType::Float32 => {
                type $T = arrow_array::types::Float32Type;
                $body
            }
            weft_data::DType::Float64 => {
                type $T = arrow_array::types::Float64Type;
                $body
            }
            $other => $otherwise,
        }
    };
}
pub(crate) use with_number;

/// NaT, the missing datetime and timedelta.
pub const NAT: i64 = i64::MIN;

/// Values of one column.
#[derive(Clone, Debug)]
pub struct Vector {
    pub dtype: DType,
    pub values: ArrayRef,
}

/// An argument of a kernel.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a> {
    Vector(&'a Vector),
    Literal(&'a Literal),
}

impl Vector {
    pub fn new(dtype: DType, values: ArrayRef) -> Self {
        Vector { dtype, values }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn from_vec<T: ArrowPrimitiveType>(dtype: DType, values: Vec<T::Native>) -> Self {
        let array = PrimitiveArray::<T>::new(ScalarBuffer::from(values), None);
        Vector { dtype, values: Arc::new(array) }
    }

    pub fn from_bools(values: BooleanBuffer) -> Self {
        Vector { dtype: DType::Bool, values: Arc::new(BooleanArray::new(values, None)) }
    }

    /// The values, if this is their physical type.
    pub fn slice<T: ArrowPrimitiveType>(&self) -> Result<&[T::Native], ExprError> {
        match self.values.as_any().downcast_ref::<PrimitiveArray<T>>() {
            Some(array) => Ok(array.values()),
            None => Err(self.mismatch()),
        }
    }

    pub fn bools(&self) -> Result<&BooleanBuffer, ExprError> {
        match self.values.as_any().downcast_ref::<BooleanArray>() {
            Some(array) => Ok(array.values()),
            None => Err(self.mismatch()),
        }
    }

    pub fn strings(&self) -> Result<&LargeStringArray, ExprError> {
        match self.values.as_any().downcast_ref::<LargeStringArray>() {
            Some(array) => Ok(array),
            None => Err(self.mismatch()),
        }
    }

    fn mismatch(&self) -> ExprError {
        ExprError::Invalid(format!("a {} column holds {}", self.dtype, self.values.data_type()))
    }

    /// The values as numbers of another type.
    pub fn cast<T>(&self) -> Result<Cow<'_, [T::Native]>, ExprError>
    where
        T: ArrowPrimitiveType,
        T::Native: Number,
    {
        if let Some(array) = self.values.as_any().downcast_ref::<PrimitiveArray<T>>() {
            return Ok(Cow::Borrowed(array.values()));
        }
        if let Some(array) = self.values.as_any().downcast_ref::<BooleanArray>() {
            let one = |bit: bool| T::Native::from_i64(bit as i64);
            return Ok(Cow::Owned(array.values().iter().map(one).collect()));
        }
        with_number!(&self.dtype, S => {
            let values = self.slice::<S>()?;
            Ok(Cow::Owned(values.iter().map(|&v| T::Native::from_number(v)).collect()))
        }, other => Err(ExprError::Unsupported(format!("{other} as a number"))))
    }

    /// Which values are missing; `None`: none can be.
    pub fn missing(&self) -> Result<Option<BooleanBuffer>, ExprError> {
        Ok(match &self.dtype {
            DType::Float64 => {
                let values = self.slice::<Float64Type>()?;
                Some(BooleanBuffer::collect_bool(values.len(), |i| values[i].is_nan()))
            }
            DType::Float32 => {
                let values = self.slice::<Float32Type>()?;
                Some(BooleanBuffer::collect_bool(values.len(), |i| values[i].is_nan()))
            }
            DType::Datetime { .. } | DType::Timedelta(_) => {
                let values = self.slice::<Int64Type>()?;
                Some(BooleanBuffer::collect_bool(values.len(), |i| values[i] == NAT))
            }
            _ => self.values.nulls().filter(|nulls| nulls.null_count() > 0).map(|nulls| !nulls.inner()),
        })
    }

    /// The value of a row.
    pub fn get(&self, row: usize) -> Result<Scalar, ExprError> {
        if self.values.is_null(row) {
            return Ok(Scalar::Missing);
        }
        Ok(match &self.dtype {
            DType::Bool | DType::Arrow(ArrowType::Bool) => Scalar::Bool(self.bools()?.value(row)),
            DType::Arrow(ArrowType::Double) => Scalar::Float(self.slice::<Float64Type>()?[row]),
            DType::Arrow(ArrowType::Int64) => Scalar::Int(self.slice::<Int64Type>()?[row]),
            DType::Arrow(ArrowType::Date) => Scalar::Date(self.slice::<Date32Type>()?[row]),
            DType::Arrow(ArrowType::Decimal { precision, scale }) => {
                let value = self.slice::<Decimal128Type>()?[row];
                Scalar::Decimal { value, precision: *precision, scale: *scale }
            }
            DType::Str => Scalar::Str(self.strings()?.value(row).into()),
            DType::UInt64 => Scalar::UInt(self.slice::<UInt64Type>()?[row]),
            DType::Datetime { unit, zone } => match self.slice::<Int64Type>()?[row] {
                NAT => Scalar::Missing,
                value => Scalar::Datetime { value, unit: *unit, zone: zone.clone() },
            },
            DType::Timedelta(unit) => match self.slice::<Int64Type>()?[row] {
                NAT => Scalar::Missing,
                value => Scalar::Timedelta { value, unit: *unit },
            },
            dtype if dtype.is_float() => match self.cast::<Float64Type>()?[row] {
                value if value.is_nan() => Scalar::Missing,
                value => Scalar::Float(value),
            },
            _ => Scalar::Int(self.cast::<Int64Type>()?[row]),
        })
    }
}

/// A number type that others convert to as NumPy's `astype` does.
pub trait Number: Copy + PartialOrd + Default + Send + Sync + 'static {
    fn from_i64(value: i64) -> Self;
    fn from_u64(value: u64) -> Self;
    fn from_f64(value: f64) -> Self;
    fn from_f32(value: f32) -> Self;
    fn to<T: Number>(self) -> T;

    fn from_number<S: Number>(value: S) -> Self {
        value.to()
    }
}

macro_rules! number {
    ($($native:ty: $through:ident as $wide:ty),*) => {$(
        impl Number for $native {
            fn from_i64(value: i64) -> Self { value as $native }
            fn from_u64(value: u64) -> Self { value as $native }
            fn from_f64(value: f64) -> Self { value as $native }
            fn from_f32(value: f32) -> Self { value as $native }
            fn to<T: Number>(self) -> T { T::$through(self as $wide) }
        }
    )*};
}

number!(i8: from_i64 as i64, i16: from_i64 as i64, i32: from_i64 as i64, i64: from_i64 as i64,
        u8: from_u64 as u64, u16: from_u64 as u64, u32: from_u64 as u64, u64: from_u64 as u64,
        f32: from_f32 as f32, f64: from_f64 as f64);

impl Scalar {
    /// The value as a number; missing is NaN.
    pub(crate) fn number<T: Number>(&self) -> Result<T, ExprError> {
        Ok(match self {
            Scalar::Bool(value) => T::from_i64(*value as i64),
            Scalar::Int(value) => T::from_i64(*value),
            Scalar::UInt(value) => T::from_u64(*value),
            Scalar::Float(value) => T::from_f64(*value),
            Scalar::Missing => T::from_f64(f64::NAN),
            other => return ExprError::unsupported(format!("{other} as a number")),
        })
    }
}

/// Numbers of one type, one for each row or one for all.
pub enum View<'a, N: Clone> {
    Many(Cow<'a, [N]>),
    One(N),
}

impl<'a> Operand<'a> {
    /// The dtype beside a column of `column`.
    pub fn dtype(&self, column: &DType) -> Result<DType, ExprError> {
        match self {
            Operand::Vector(vector) => Ok(vector.dtype.clone()),
            Operand::Literal(literal) => crate::dtype::literal_dtype(literal, column),
        }
    }

    pub fn view<T>(&self) -> Result<View<'a, T::Native>, ExprError>
    where
        T: ArrowPrimitiveType,
        T::Native: Number,
    {
        Ok(match self {
            Operand::Vector(vector) => View::Many(vector.cast::<T>()?),
            Operand::Literal(literal) => View::One(literal.value.number()?),
        })
    }
}

/// The array of `rows` values equal to `literal`.
pub fn repeat(literal: &Literal, dtype: &DType, rows: usize) -> Result<Vector, ExprError> {
    match (dtype, &literal.value) {
        (DType::Bool, Scalar::Bool(value)) => Ok(Vector::from_bools(if *value {
            BooleanBuffer::new_set(rows)
        } else {
            BooleanBuffer::new_unset(rows)
        })),
        (DType::Str, Scalar::Str(text)) => {
            let array = LargeStringArray::from_iter_values(std::iter::repeat_n(text, rows));
            Ok(Vector::new(DType::Str, Arc::new(array)))
        }
        (DType::Str, Scalar::Missing) => {
            Ok(Vector::new(DType::Str, Arc::new(LargeStringArray::new_null(rows))))
        }
        (
            DType::Datetime { .. } | DType::Timedelta(_),
            Scalar::Datetime { value, .. } | Scalar::Timedelta { value, .. },
        ) => Ok(Vector::from_vec::<Int64Type>(dtype.clone(), vec![*value; rows])),
        (DType::Datetime { .. } | DType::Timedelta(_), Scalar::Missing) => {
            Ok(Vector::from_vec::<Int64Type>(dtype.clone(), vec![NAT; rows]))
        }
        (dtype, value) => with_number!(dtype, T => {
            Ok(Vector::from_vec::<T>(dtype.clone(), vec![value.number()?; rows]))
        }, other => ExprError::unsupported(format!("{value} as {other}"))),
    }
}

/// The column of `rows` rows of `dtype` without any value: what an empty partition holds.
pub fn empty(dtype: &DType) -> Vector {
    let values: ArrayRef = match dtype {
        DType::Bool => Arc::new(BooleanArray::new(BooleanBuffer::new_unset(0), None)),
        DType::Str => Arc::new(LargeStringArray::new_null(0)),
        DType::Nullable(inner) => empty(inner).values,
        DType::Arrow(ArrowType::Bool) => Arc::new(BooleanArray::new(BooleanBuffer::new_unset(0), None)),
        DType::Arrow(ArrowType::Double) => Arc::new(PrimitiveArray::<Float64Type>::new_null(0)),
        DType::Arrow(ArrowType::Date) => Arc::new(PrimitiveArray::<Date32Type>::new_null(0)),
        DType::Arrow(ArrowType::Decimal { precision, scale }) => {
            arrow_array::new_empty_array(&Decimal128Type::TYPE_CONSTRUCTOR(*precision, *scale))
        }
        DType::Datetime { .. } | DType::Timedelta(_) => Arc::new(PrimitiveArray::<Int64Type>::new_null(0)),
        other => with_number!(other, T => Arc::new(PrimitiveArray::<T>::new_null(0)),
            _other => Arc::new(PrimitiveArray::<Int64Type>::new_null(0))),
    };
    Vector::new(dtype.clone(), values)
}

/// Vectors one after the other, promoted to a common dtype.
pub fn concat(vectors: &[Vector]) -> Result<Vector, ExprError> {
    let Some(first) = vectors.first() else {
        return Err(ExprError::Invalid("nothing to concatenate".into()));
    };
    let mut common = first.dtype.clone();
    // An empty batch has no say in the dtype.
    let mut decided = !first.is_empty();
    for vector in &vectors[1..] {
        if vector.dtype == common || vector.is_empty() {
            decided |= !vector.is_empty();
            continue;
        }
        common = if decided {
            crate::dtype::promote(&common, &vector.dtype)
                .ok_or_else(|| ExprError::Unsupported(format!("a column of {common} and {}", vector.dtype)))?
        } else {
            vector.dtype.clone()
        };
        decided = true;
    }
    let parts: Result<Vec<ArrayRef>, ExprError> = vectors
        .iter()
        .filter(|vector| !vector.is_empty())
        .map(|vector| Ok(to_dtype(vector, &common)?.values))
        .collect();
    let parts = parts?;
    match &parts[..] {
        [] => Ok(empty(&common)),
        [one] => Ok(Vector::new(common, one.clone())),
        _ => {
            let parts: Vec<&dyn Array> = parts.iter().map(|part| part.as_ref()).collect();
            let joined =
                arrow_select::concat::concat(&parts).map_err(|e| ExprError::Invalid(e.to_string()))?;
            Ok(Vector::new(common, joined))
        }
    }
}

/// The same values in a dtype that they promote to.
pub fn to_dtype(vector: &Vector, dtype: &DType) -> Result<Vector, ExprError> {
    if vector.dtype == *dtype {
        return Ok(vector.clone());
    }
    match (&vector.dtype, dtype) {
        (DType::Datetime { unit: from, .. }, DType::Datetime { unit: to, .. })
        | (DType::Timedelta(from), DType::Timedelta(to)) => {
            let factor = to.per_second() / from.per_second();
            let values = vector.slice::<Int64Type>()?;
            let scaled: Option<Vec<i64>> =
                values.iter().map(|&v| if v == NAT { Some(NAT) } else { v.checked_mul(factor) }).collect();
            let scaled =
                scaled.ok_or_else(|| ExprError::Invalid(format!("a time out of range for {dtype}")))?;
            Ok(Vector::from_vec::<Int64Type>(dtype.clone(), scaled))
        }
        _ => with_number!(dtype, T => {
            Ok(Vector::from_vec::<T>(dtype.clone(), vector.cast::<T>()?.into_owned()))
        }, other => ExprError::unsupported(format!("{} as {other}", vector.dtype))),
    }
}

impl Vector {
    pub(crate) fn into_column(self, label: weft_graph::Key) -> weft_data::Column {
        weft_data::Column { label, dtype: self.dtype, values: self.values }
    }
}
