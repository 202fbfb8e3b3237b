//! Work on the rows of one partition.

use std::sync::Arc;

use arrow_array::UInt32Array;
use weft_data::{Frame, Index, TaskError, Value, Work};
use weft_graph::Key;

use super::{SortBy, SortKeys};
use crate::error::ExprError;
use crate::exchange::{KeyRef, frame, owned_frame, take_rows_owned};

/// Rows in order of keys.
#[derive(Debug)]
pub(super) struct Sort {
    pub keys: Vec<SortBy>,
    pub keep_index: bool,
}

impl Work for Sort {
    fn name(&self) -> &str {
        "sort"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let input = owned_frame(&mut inputs[0])?;
        let order = SortKeys::of(&self.keys, &input)?.order();
        let rows = UInt32Array::from(order);
        Ok(Value::Frame(Arc::new(take_rows_owned(input, &rows, self.keep_index)?)))
    }
}

/// A column as index.
#[derive(Debug)]
pub(super) struct Label {
    pub label: Key,
    pub name: Option<Key>,
    pub drop: bool,
}

impl Work for Label {
    fn name(&self) -> &str {
        "set_index"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let input = frame(&inputs[0])?;
        let Some(column) = input.column(&self.label).cloned() else {
            // The error that names the columns.
            KeyRef::Column(self.label.clone()).values(input)?;
            return Err(ExprError::Invalid("a column vanished".into()).into());
        };
        let mut columns = input.columns.clone();
        if self.drop {
            columns.retain(|column| column.label != self.label);
        }
        let index = Index::Columns(vec![(self.name.clone(), column)]);
        Ok(Value::Frame(Arc::new(Frame::new(columns, index, input.rows()))))
    }
}
