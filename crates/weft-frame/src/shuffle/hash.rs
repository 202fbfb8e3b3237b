//! The partition of each row by a hash of its keys.
//!
//! Numbers that are equal hash alike whatever their dtype, so that `1` and `1.0` meet; missing
//! values of all dtypes hash alike too. The hash has no seed: partitions are the same in every
//! process.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, UInt64Type};
use weft_data::{ArrowType, DType};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::ExprError;
use crate::kernel::{NAT, Vector, to_dtype};

type Result<T> = std::result::Result<T, ExprError>;

const MISSING: u64 = 0x6d69_7373_696e_6721;

/// The partition, below `npartitions`, of each row.
pub(crate) fn partitions(keys: &[(Vector, Option<DType>)], npartitions: u32) -> Result<Vec<u32>> {
    let rows = keys.first().map_or(0, |(vector, _)| vector.len());
    let mut hashes = vec![0u64; rows];
    for (vector, dtype) in keys {
        match dtype {
            Some(dtype) => add(&to_dtype(vector, dtype)?, &mut hashes)?,
            None => add(vector, &mut hashes)?,
        }
    }
    // The high bits decide, by multiplication instead of division.
    Ok(hashes.into_iter().map(|hash| (((hash >> 32) * npartitions as u64) >> 32) as u32).collect())
}

/// Mixes two hashes; not symmetric.
fn mix(seed: u64, value: u64) -> u64 {
    let product = (seed.rotate_left(23) ^ value ^ 0x9e37_79b9_7f4a_7c15) as u128 * 0xa076_1d64_78bd_642f_u128;
    (product as u64) ^ (product >> 64) as u64
}

fn float(value: f64) -> u64 {
    if value.is_nan() {
        MISSING
    } else if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value)
        && value.fract() == 0.0
    {
        value as i64 as u64
    } else if (9_223_372_036_854_775_808.0..18_446_744_073_709_551_616.0).contains(&value) {
        value as u64
    } else {
        value.to_bits()
    }
}

/// Equal for equal numbers of whatever scale, integers among them.
fn decimal(mut value: i128, mut scale: i8) -> u64 {
    while scale > 0 && value % 10 == 0 {
        (value, scale) = (value / 10, scale - 1);
    }
    match i64::try_from(value) {
        Ok(whole) if scale == 0 => whole as u64,
        _ => xxh3_64(&value.to_le_bytes()) ^ scale as u64,
    }
}

fn other_array(vector: &Vector) -> ExprError {
    ExprError::Invalid(format!("{} held as {}", vector.dtype, vector.values.data_type()))
}

fn add(vector: &Vector, hashes: &mut [u64]) -> Result<()> {
    let (nullable, inner) = match &vector.dtype {
        DType::Nullable(inner) => (true, (**inner).clone()),
        other => (false, other.clone()),
    };
    let nulls = vector.values.nulls().filter(|_| nullable);
    let value = |row: usize, value: u64| match nulls {
        Some(nulls) if nulls.is_null(row) => MISSING,
        _ => value,
    };
    let plain = Vector::new(inner.clone(), vector.values.clone());
    match inner {
        DType::Str => {
            let texts = plain.strings()?;
            for (row, hash) in hashes.iter_mut().enumerate() {
                let own = match texts.is_null(row) {
                    true => MISSING,
                    false => xxh3_64(texts.value(row).as_bytes()),
                };
                *hash = mix(*hash, own);
            }
        }
        DType::Arrow(ArrowType::Double) => {
            let values = plain.values.as_primitive_opt::<Float64Type>().ok_or_else(|| other_array(&plain))?;
            for (hash, own) in hashes.iter_mut().zip(values) {
                *hash = mix(*hash, own.map_or(MISSING, float));
            }
        }
        DType::Arrow(ArrowType::Decimal { scale, .. }) => {
            let values =
                plain.values.as_primitive_opt::<Decimal128Type>().ok_or_else(|| other_array(&plain))?;
            for (hash, own) in hashes.iter_mut().zip(values) {
                *hash = mix(*hash, own.map_or(MISSING, |own| decimal(own, scale)));
            }
        }
        DType::Arrow(_) => {
            for (hash, own) in hashes.iter_mut().zip(crate::kernel::arrow::to_integers(&plain)?) {
                *hash = mix(*hash, if own == NAT { MISSING } else { own as u64 });
            }
        }
        DType::Datetime { .. } | DType::Timedelta(_) => {
            for (hash, &own) in hashes.iter_mut().zip(plain.slice::<Int64Type>()?) {
                *hash = mix(*hash, if own == NAT { MISSING } else { own as u64 });
            }
        }
        DType::Float32 | DType::Float64 => {
            let values = plain.cast::<Float64Type>()?;
            for (row, (hash, &own)) in hashes.iter_mut().zip(values.iter()).enumerate() {
                *hash = mix(*hash, value(row, float(own)));
            }
        }
        DType::UInt64 => {
            for (row, (hash, &own)) in hashes.iter_mut().zip(plain.slice::<UInt64Type>()?).enumerate() {
                *hash = mix(*hash, value(row, own));
            }
        }
        _ => {
            let values = plain.cast::<Int64Type>()?;
            for (row, (hash, &own)) in hashes.iter_mut().zip(values.iter()).enumerate() {
                *hash = mix(*hash, value(row, own as u64));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::types::{Float32Type, Int8Type, Int32Type};
    use proptest::prelude::*;

    fn one(vector: Vector) -> u32 {
        partitions(&[(vector, None)], 1 << 20).unwrap()[0]
    }

    proptest! {
        #[test]
        fn equal_numbers_meet(value in -100i8..100) {
            let places = [
                one(Vector::from_vec::<Int8Type>(DType::Int8, vec![value])),
                one(Vector::from_vec::<Int32Type>(DType::Int32, vec![value as i32])),
                one(Vector::from_vec::<Int64Type>(DType::Int64, vec![value as i64])),
                one(Vector::from_vec::<Float32Type>(DType::Float32, vec![value as f32])),
                one(Vector::from_vec::<Float64Type>(DType::Float64, vec![value as f64])),
            ];
            prop_assert!(places.iter().all(|place| *place == places[0]));
        }

        #[test]
        fn partitions_are_in_range_and_even(n in 1u32..50) {
            let keys = Vector::from_vec::<Int64Type>(DType::Int64, (0..20_000).collect());
            let mut counts = vec![0u32; n as usize];
            for place in partitions(&[(keys, None)], n).unwrap() {
                counts[place as usize] += 1;
            }
            let even = 20_000 / n;
            prop_assert!(counts.iter().all(|&count| count > even / 2 && count < even * 2), "{:?}", counts);
        }
    }

    #[test]
    fn both_zeros_are_one_key_and_so_are_all_nans() {
        let floats = |value: f64| one(Vector::from_vec::<Float64Type>(DType::Float64, vec![value]));
        assert_eq!(floats(0.0), floats(-0.0));
        assert_eq!(floats(f64::NAN), floats(-f64::NAN));
    }
}
