//! Keys in a form in which comparing is cheap.
//!
//! A number becomes 64 bits whose order is the order wanted: direction and the place of missing
//! values are in the bits. Text stays text.

use std::cmp::Ordering;

use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, LargeStringArray};
use weft_data::{ArrowType, DType, Frame};

use super::SortBy;
use crate::error::ExprError;
use crate::kernel::{NAT, Vector, to_dtype};

type Result<T> = std::result::Result<T, ExprError>;

#[derive(Debug)]
enum SortColumn {
    Bits(Vec<u64>),
    Text { values: LargeStringArray, ascending: bool, missing_first: bool },
}

/// The keys of some rows.
#[derive(Debug)]
pub(crate) struct SortKeys {
    vectors: Vec<Vector>,
    columns: Vec<SortColumn>,
    rows: usize,
}

impl SortKeys {
    pub fn of(keys: &[SortBy], frame: &Frame) -> Result<SortKeys> {
        let vectors = keys.iter().map(|by| by.key.values(frame)).collect::<Result<Vec<_>>>()?;
        SortKeys::new(keys, vectors, frame.rows())
    }

    /// The keys in the columns of `frame`, in their order, and in a form that compares with `own`,
    /// which is changed if the dtypes are not the same.
    pub fn of_columns(keys: &[SortBy], frame: &Frame, own: &mut SortKeys) -> Result<SortKeys> {
        let mut vectors = Vec::with_capacity(keys.len());
        let mut changed = false;
        for (column, own) in frame.columns.iter().zip(&mut own.vectors) {
            let vector = Vector::new(column.dtype.clone(), column.values.clone());
            let common = crate::dtype::promote(&vector.dtype, &own.dtype).ok_or_else(|| {
                ExprError::Unsupported(format!("boundaries of {} for keys of {}", vector.dtype, own.dtype))
            })?;
            if own.dtype != common {
                *own = to_dtype(own, &common)?;
                changed = true;
            }
            vectors.push(to_dtype(&vector, &common)?);
        }
        if changed {
            *own = SortKeys::new(keys, std::mem::take(&mut own.vectors), own.rows)?;
        }
        SortKeys::new(keys, vectors, frame.rows())
    }

    pub fn new(keys: &[SortBy], vectors: Vec<Vector>, rows: usize) -> Result<SortKeys> {
        if keys.len() != vectors.len() {
            return Err(ExprError::Invalid(format!("{} columns for {} keys", vectors.len(), keys.len())));
        }
        let columns = keys.iter().zip(&vectors).map(|(by, v)| column(by, v)).collect::<Result<_>>()?;
        Ok(SortKeys { vectors, columns, rows })
    }

    pub fn vectors(&self) -> &[Vector] {
        &self.vectors
    }

    fn compare(&self, row: usize, other: &SortKeys, other_row: usize) -> Ordering {
        for (own, other) in self.columns.iter().zip(&other.columns) {
            let order = match (own, other) {
                (SortColumn::Bits(a), SortColumn::Bits(b)) => a[row].cmp(&b[other_row]),
                (
                    SortColumn::Text { values, ascending, missing_first },
                    SortColumn::Text { values: b, .. },
                ) => match (values.is_null(row), b.is_null(other_row)) {
                    (true, true) => Ordering::Equal,
                    (true, false) if *missing_first => Ordering::Less,
                    (true, false) => Ordering::Greater,
                    (false, true) if *missing_first => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    (false, false) if *ascending => values.value(row).cmp(b.value(other_row)),
                    (false, false) => b.value(other_row).cmp(values.value(row)),
                },
                // Both sides were made of one dtype.
                _ => Ordering::Equal,
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }

    pub fn compare_rows(&self, a: u32, b: u32) -> Ordering {
        self.compare(a as usize, self, b as usize)
    }

    /// The rows in order; equal ones stay in order.
    pub fn order(&self) -> Vec<u32> {
        if let [SortColumn::Bits(bits)] = &self.columns[..] {
            if bits.is_sorted() {
                return (0..self.rows as u32).collect();
            }
            let mut pairs: Vec<(u64, u32)> =
                bits.iter().enumerate().map(|(row, &bits)| (bits, row as u32)).collect();
            pairs.sort_unstable();
            return pairs.into_iter().map(|(_, row)| row).collect();
        }
        let mut rows: Vec<u32> = (0..self.rows as u32).collect();
        rows.sort_by(|&a, &b| self.compare(a as usize, self, b as usize));
        rows
    }

    /// How many of these keys, which are in order, come before row `row` of `other` or equal it.
    pub fn upper_bound(&self, other: &SortKeys, row: usize) -> u32 {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = (low + high) / 2;
            match self.compare(middle, other, row) {
                Ordering::Greater => high = middle,
                _ => low = middle + 1,
            }
        }
        low as u32
    }

    /// [`upper_bound`](Self::upper_bound) of every row of `other`.
    pub fn places(&self, other: &SortKeys) -> Vec<u32> {
        match (&self.columns[..], &other.columns[..]) {
            ([SortColumn::Bits(bounds)], [SortColumn::Bits(bits)]) => {
                bits.iter().map(|key| bounds.partition_point(|bound| bound <= key) as u32).collect()
            }
            _ => (0..other.rows).map(|row| self.upper_bound(other, row)).collect(),
        }
    }

    /// Whether a row's first key is missing.
    pub fn missing(&self, row: usize) -> bool {
        let Some(vector) = self.vectors.first() else { return false };
        match &vector.dtype {
            DType::Float32 | DType::Float64 | DType::Datetime { .. } | DType::Timedelta(_) => {
                match &self.columns[0] {
                    SortColumn::Bits(bits) => bits[row] == 0 || bits[row] == u64::MAX,
                    SortColumn::Text { .. } => false,
                }
            }
            _ => vector.values.is_null(row),
        }
    }
}

fn column(by: &SortBy, vector: &Vector) -> Result<SortColumn> {
    let SortBy { ascending, missing_first, .. } = *by;
    let turn = |bits: u64| if ascending { bits } else { !bits };
    let missing = if missing_first { 0 } else { u64::MAX };
    Ok(SortColumn::Bits(match &vector.dtype {
        DType::Str => {
            return Ok(SortColumn::Text { values: vector.strings()?.clone(), ascending, missing_first });
        }
        // Neither 0 nor all ones is the image of a number.
        DType::Float32 | DType::Float64 => {
            let bits = |value: f64| {
                let bits = (value + 0.0).to_bits();
                if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
            };
            let values = vector.cast::<Float64Type>()?;
            values.iter().map(|&v| if v.is_nan() { missing } else { turn(bits(v)) }).collect()
        }
        // NaT would be 0; the others are moved so that all ones is free too.
        DType::Datetime { .. } | DType::Timedelta(_) => {
            let image = |value: i64| {
                let bits = (value as u64) ^ (1 << 63);
                if ascending == missing_first { bits } else { bits - 1 }
            };
            let values = vector.slice::<Int64Type>()?;
            values.iter().map(|&v| if v == NAT { missing } else { turn(image(v)) }).collect()
        }
        DType::UInt64 => vector.slice::<UInt64Type>()?.iter().map(|&v| turn(v)).collect(),
        DType::Arrow(kind @ (ArrowType::Date | ArrowType::Bool | ArrowType::Int64)) => {
            if *kind == ArrowType::Int64 && vector.values.null_count() > 0 {
                return ExprError::unsupported("keys of int64[pyarrow] with missing values");
            }
            let values = crate::kernel::arrow::to_integers(vector)?;
            let image = |value: i64| turn((value as u64) ^ (1 << 63));
            let is_missing = |value: i64| *kind != ArrowType::Int64 && value == NAT;
            values.iter().map(|&v| if is_missing(v) { missing } else { image(v) }).collect()
        }
        DType::Nullable(_) | DType::Arrow(_) => {
            return ExprError::unsupported(format!("keys of {}", vector.dtype));
        }
        _ => vector.cast::<Int64Type>()?.iter().map(|&v| turn((v as u64) ^ (1 << 63))).collect(),
    }))
}
