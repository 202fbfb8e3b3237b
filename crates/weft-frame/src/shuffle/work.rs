//! What the tasks of a shuffle do.

use std::sync::Arc;

use arrow_array::UInt32Array;
use arrow_array::types::{Int64Type, UInt32Type};
use weft_data::{Column, DType, Frame, Index, TaskError, Value, Work};
use weft_graph::Key;

use super::{By, partitions};
use crate::error::ExprError;
use crate::exchange::{concat_owned, frame, take_rows};
use crate::kernel::Vector;
use crate::sort::SortKeys;

/// The rows of a partition in order of where they go, with where they go.
///
/// A frame of two columns, so that the store can move it to disk like any other.
#[derive(Debug)]
pub(super) struct Route {
    pub by: By,
    pub npartitions: u32,
}

impl Route {
    fn places(&self, input: &Frame, boundaries: Option<&Frame>) -> Result<Vec<u32>, ExprError> {
        match &self.by {
            By::Hash(keys) => {
                let keys = keys
                    .iter()
                    .map(|(key, dtype)| Ok((key.values(input)?, dtype.clone())))
                    .collect::<Result<Vec<_>, ExprError>>()?;
                partitions(&keys, self.npartitions)
            }
            By::Range { keys, .. } => {
                let Some(boundaries) = boundaries else {
                    return Err(ExprError::Invalid("a shuffle by range without boundaries".into()));
                };
                let mut own = SortKeys::of(keys, input)?;
                let bounds = SortKeys::of_columns(keys, boundaries, &mut own)?;
                // A key that equals a boundary starts the partition after it.
                let last = self.npartitions - 1;
                Ok(bounds.places(&own).into_iter().map(|place| place.min(last)).collect())
            }
            By::Number(key) => {
                let vector = key.values(input)?;
                let last = self.npartitions as i64 - 1;
                Ok(vector.cast::<Int64Type>()?.iter().map(|&place| place.clamp(0, last) as u32).collect())
            }
        }
    }
}

impl Work for Route {
    fn name(&self) -> &str {
        "shuffle-route"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let input = frame(&inputs[0])?;
        let boundaries = inputs.get(1).map(frame).transpose()?;
        let places = self.places(input, boundaries.map(|frame| &**frame))?;
        let mut starts = vec![0u32; self.npartitions as usize + 1];
        places.iter().for_each(|&place| starts[place as usize + 1] += 1);
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut rows = vec![0u32; places.len()];
        let mut sorted = vec![0u32; places.len()];
        for (row, &place) in places.iter().enumerate() {
            let at = &mut starts[place as usize];
            rows[*at as usize] = row as u32;
            sorted[*at as usize] = place;
            *at += 1;
        }
        let n = rows.len();
        let column = |label: i64, values: Vec<u32>| Column {
            label: Key::Int(label),
            dtype: DType::UInt32,
            values: Arc::new(UInt32Array::from(values)),
        };
        let columns = vec![column(0, rows), column(1, sorted)];
        Ok(Value::Frame(Arc::new(Frame::new(columns, Index::Range { start: 0, step: 1 }, n))))
    }
}

/// The rows of one input partition that go to one output partition.
#[derive(Debug)]
pub(super) struct Shard {
    pub npartitions: u32,
    pub keep_index: bool,
}

impl Work for Shard {
    fn name(&self) -> &str {
        "shuffle-shard"
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let (input, route) = (frame(&inputs[0])?, frame(&inputs[1])?);
        let place = index % self.npartitions;
        let column = |i: usize| Vector::new(DType::UInt32, route.columns[i].values.clone());
        let (rows, places) = (column(0), column(1));
        let places = places.slice::<UInt32Type>()?;
        let from = places.partition_point(|&p| p < place);
        let to = places.partition_point(|&p| p <= place);
        let rows = UInt32Array::from(rows.slice::<UInt32Type>()?[from..to].to_vec());
        Ok(Value::Frame(Arc::new(take_rows(input, &rows, self.keep_index)?)))
    }
}

/// Tells that all shards of an input are made.
#[derive(Debug)]
pub(crate) struct Sent;

impl Work for Sent {
    fn name(&self) -> &str {
        "shuffle-sent"
    }

    fn run(&self, _index: u32, _inputs: &mut [Value]) -> Result<Value, TaskError> {
        Ok(Value::Bytes(Arc::new([])))
    }
}

/// The shards of one output partition, in order of the inputs.
#[derive(Debug)]
pub(super) struct Gather {
    pub keep_index: bool,
}

impl Work for Gather {
    fn name(&self) -> &str {
        "shuffle"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let shards: Vec<Arc<Frame>> = inputs
            .iter_mut()
            .filter_map(|value| match std::mem::replace(value, Value::Bytes(Arc::new([]))) {
                Value::Frame(shard) => Some(shard),
                _ => None,
            })
            .collect();
        let mut gathered = concat_owned(shards)?;
        if !self.keep_index {
            gathered.index = Index::Range { start: 0, step: 1 };
        }
        Ok(Value::Frame(Arc::new(gathered)))
    }
}
