//! Boundaries between partitions, from a sample.

use std::sync::Arc;

use arrow_array::types::Float64Type;
use arrow_array::{Float64Array, UInt32Array};
use weft_data::{Column, DType, Frame, Index, TaskError, Value, Work};
use weft_graph::Key;

use super::{SortBy, SortKeys};
use crate::exchange::{KeyRef, concat, frame, take_column, take_rows};
use crate::kernel::Vector;

/// Rows that are looked at in each partition: enough for boundaries that are off by a few percent of a
/// partition, few enough to be sorted in no time.
const SAMPLE: usize = 4096;

/// Some keys of a partition and how many rows each stands for, the smallest and the largest among them.
#[derive(Debug)]
pub(super) struct Sample {
    pub keys: Vec<SortBy>,
}

impl Work for Sample {
    fn name(&self) -> &str {
        "sample"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let input = frame(&inputs[0])?;
        let keys = SortKeys::of(&self.keys, input)?;
        let present: Vec<u32> =
            (0..input.rows()).filter(|&row| !keys.missing(row)).map(|row| row as u32).collect();
        let n = present.len();
        let taken = n.min(SAMPLE);
        // One row of each stretch, not always the same one: data often has a period.
        let mut rows: Vec<u32> = (0..taken)
            .map(|i| {
                let (from, to) = (i * n / taken, (i + 1) * n / taken);
                let jump = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
                present[from + jump as usize % (to - from)]
            })
            .collect();
        let mut weights = vec![n as f64 / taken.max(1) as f64; taken];
        let least = present.iter().copied().min_by(|&a, &b| keys.compare_rows(a, b));
        let most = present.iter().copied().max_by(|&a, &b| keys.compare_rows(a, b));
        for end in [least, most].into_iter().flatten() {
            rows.push(end);
            weights.push(0.0);
        }
        let rows = UInt32Array::from(rows);
        let mut columns = Vec::with_capacity(self.keys.len() + 1);
        for (i, vector) in keys.vectors().iter().enumerate() {
            let column = vector.clone().into_column(Key::Int(i as i64));
            columns.push(take_column(&column, &rows)?);
        }
        columns.push(Column {
            label: Key::Int(-1),
            dtype: DType::Float64,
            values: Arc::new(Float64Array::from(weights)),
        });
        Ok(Value::Frame(Arc::new(Frame::new(
            columns,
            Index::Range { start: 0, step: 1 },
            rows.values().len(),
        ))))
    }
}

/// The boundaries of `n` partitions.
#[derive(Debug)]
pub(super) struct Cut {
    pub keys: Vec<SortBy>,
    pub n: u32,
    pub ends: bool,
}

impl Work for Cut {
    fn name(&self) -> &str {
        "boundaries"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let samples = inputs.iter().map(|value| frame(value).cloned()).collect::<Result<Vec<_>, _>>()?;
        let samples = concat(&samples)?;
        let keys: Vec<SortBy> = (self.keys.iter().enumerate())
            .map(|(i, by)| SortBy { key: KeyRef::Column(Key::Int(i as i64)), ..by.clone() })
            .collect();
        let order = SortKeys::of(&keys, &samples)?.order();
        let weights = KeyRef::Column(Key::Int(-1)).values(&samples)?;
        let weights = Vector::slice::<Float64Type>(&weights)?;
        let total: f64 = weights.iter().sum();
        let mut rows = Vec::with_capacity(self.n as usize + 1);
        if self.ends {
            rows.extend(order.first());
        }
        let mut passed = 0.0;
        let mut next = 1;
        for &row in &order {
            passed += weights[row as usize];
            while next < self.n && passed > total * next as f64 / self.n as f64 {
                rows.push(row);
                next += 1;
            }
        }
        if self.ends {
            rows.extend(order.last());
        }
        let mut cut = take_rows(&samples, &UInt32Array::from(rows), false)?;
        cut.columns.pop();
        Ok(Value::Frame(Arc::new(cut)))
    }
}
