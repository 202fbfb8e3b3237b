//! What the tasks of a join do.

use std::sync::Arc;

use arrow_array::UInt32Array;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use weft_data::{Column, DType, Frame, Index, TaskError, Value, Work};

use super::rows::{Pairs, pairs};
use super::{How, JoinSpec, Side};
use crate::aggregate::NONE;
use crate::error::ExprError;
use crate::exchange::{KeyRef, frame, take_rows};
use crate::kernel::{NAT, Number, Vector, concat, with_number};

type Result<T> = std::result::Result<T, ExprError>;

#[derive(Debug)]
pub(super) struct Merge {
    pub spec: JoinSpec,
}

impl Work for Merge {
    fn name(&self) -> &str {
        "merge"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        let (left, right) = (frame(&inputs[0])?, frame(&inputs[1])?);
        Ok(Value::Frame(Arc::new(merge(&self.spec, left, right)?)))
    }
}

fn keys(refs: &[KeyRef], table: &Frame) -> Result<Vec<Vector>> {
    refs.iter().map(|key| key.values(table)).collect()
}

fn merge(spec: &JoinSpec, left: &Frame, right: &Frame) -> Result<Frame> {
    let (left_keys, right_keys) = (keys(&spec.left, left)?, keys(&spec.right, right)?);
    let found = pairs(spec.how, &left_keys, &right_keys)?;
    if matches!(spec.how, How::LeftSemi | How::LeftAnti) {
        let mut kept = take_rows(left, &UInt32Array::from(found.left), spec.index.is_some())?;
        let columns = std::mem::take(&mut kept.columns);
        kept.columns = spec
            .columns
            .iter()
            .filter_map(|wanted| {
                let column = columns.iter().find(|column| column.label == wanted.source)?;
                Some(Column { label: wanted.label.clone(), ..column.clone() })
            })
            .collect();
        return Ok(kept);
    }
    let rows = found.left.len();
    let sides = [Rows::new(found.left.clone()), Rows::new(found.right.clone())];
    let column = |table: &Frame, label| {
        let column = KeyRef::Column(label).values(table)?;
        Ok::<Vector, ExprError>(column)
    };
    let mut columns = Vec::with_capacity(spec.columns.len());
    for wanted in &spec.columns {
        let vector = match wanted.side {
            Side::Left => sides[0].take(&column(left, wanted.source.clone())?)?,
            Side::Right => sides[1].take(&column(right, wanted.source.clone())?)?,
            Side::Key(i) => either(&left_keys[i], &right_keys[i], &found)?,
        };
        columns.push(vector.into_column(wanted.label.clone()));
    }
    let index = match &spec.index {
        None => Index::Range { start: 0, step: 1 },
        Some(name) => {
            let labels = either(&left_keys[0], &right_keys[0], &found)?;
            Index::Columns(vec![(name.clone(), labels.into_column(crate::build::unnamed()))])
        }
    };
    Ok(Frame::new(columns, index, rows))
}

/// The key of each pair.
fn either(left: &Vector, right: &Vector, pairs: &Pairs) -> Result<Vector> {
    if !pairs.left.contains(&NONE) {
        return plain(left, &UInt32Array::from(pairs.left.clone()));
    }
    let both = concat(&[left.clone(), right.clone()])?;
    let rows = pairs.left.iter().zip(&pairs.right);
    let rows = rows.map(|(&l, &r)| if l == NONE { left.len() as u32 + r } else { l }).collect::<Vec<_>>();
    plain(&both, &UInt32Array::from(rows))
}

fn plain(vector: &Vector, rows: &UInt32Array) -> Result<Vector> {
    let values = arrow_select::take::take(vector.values.as_ref(), rows, None)
        .map_err(|error| ExprError::Invalid(error.to_string()))?;
    Ok(Vector::new(vector.dtype.clone(), values))
}

/// Rows of one side, some of them missing.
struct Rows {
    rows: Vec<u32>,
    array: Option<UInt32Array>,
}

impl Rows {
    fn new(rows: Vec<u32>) -> Self {
        let array = (!rows.contains(&NONE)).then(|| UInt32Array::from(rows.clone()));
        Rows { rows, array }
    }

    fn take(&self, vector: &Vector) -> Result<Vector> {
        match &self.array {
            Some(rows) => plain(vector, rows),
            None => take_or_missing(vector, &self.rows),
        }
    }
}

/// The values of some rows; where there is no row ([`NONE`]), what pandas has for missing in that dtype, which
/// makes floats of integers.
pub(crate) fn take_or_missing(vector: &Vector, rows: &[u32]) -> Result<Vector> {
    if !rows.contains(&NONE) {
        return plain(vector, &UInt32Array::from(rows.to_vec()));
    }
    let holes = || -> UInt32Array { rows.iter().map(|&row| (row != NONE).then_some(row)).collect() };
    match &vector.dtype {
        DType::Str | DType::Nullable(_) | DType::Arrow(_) => plain(vector, &holes()),
        DType::Datetime { .. } | DType::Timedelta(_) => {
            let values = vector.slice::<Int64Type>()?;
            let values = rows.iter().map(|&row| if row == NONE { NAT } else { values[row as usize] });
            Ok(Vector::from_vec::<Int64Type>(vector.dtype.clone(), values.collect()))
        }
        DType::Float32 => {
            let values = vector.slice::<Float32Type>()?;
            let values = rows.iter().map(|&row| if row == NONE { f32::NAN } else { values[row as usize] });
            Ok(Vector::from_vec::<Float32Type>(DType::Float32, values.collect()))
        }
        dtype => with_number!(dtype, T => {
            let values = vector.slice::<T>()?;
            let values = rows.iter().map(|&row| match row {
                NONE => f64::NAN,
                row => values[row as usize].to::<f64>(),
            });
            Ok(Vector::from_vec::<Float64Type>(DType::Float64, values.collect()))
        }, other => ExprError::unsupported(format!("missing values in a column of {other}"))),
    }
}
