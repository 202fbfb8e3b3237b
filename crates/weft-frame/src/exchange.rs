//! Steps that read other partitions than their own: shuffles, joins, sorts.
//!
//! To the rest of the expression tree such a step is a source of rows. It says what it reads and
//! how its layers are built over the layers of what it reads; how many layers that takes is its own
//! affair.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

use arrow_array::{Int64Array, UInt32Array};
use weft_data::{Column, ErrorKind, Frame, Index, LayerRef, TaskError, Value, Work};
use weft_graph::{Axis, Key, Layer, Read, Rule};

use crate::error::ExprError;
use crate::expr::{Expr, Node, Schema};
use crate::kernel::Vector;
use crate::optimize::Columns;
use crate::portable::ExchangeForm;

type Result<T> = std::result::Result<T, ExprError>;

/// A step that moves rows between partitions.
pub trait Exchange: Send + Sync + fmt::Debug {
    /// What keys start with and pictures show.
    fn tag(&self) -> &str;

    /// What it reads.
    fn inputs(&self) -> Vec<Expr>;

    /// Identifies everything but the inputs.
    fn token(&self) -> u128;

    /// For other processes: everything but the inputs.
    fn form(&self) -> ExchangeForm;

    /// For `explain()`.
    fn describe(&self) -> String;

    /// Columns of each input that are needed for these columns of the result.
    fn wants(&self, _need: &Columns) -> Vec<Columns> {
        self.inputs().iter().map(|_| Columns::All).collect()
    }

    /// The same step on other inputs, which have at least the columns that it [`wants`](Exchange::wants).
    /// `ordered`: somebody looks at the order of rows within partitions.
    fn with_inputs(&self, inputs: Vec<Expr>, need: &Columns, ordered: bool) -> Result<Expr>;

    /// The input, if all the step does is to put its partitions together in one.
    fn gathers(&self) -> Option<Expr> {
        None
    }

    /// A guess from above.
    fn estimated_rows(&self) -> Option<usize> {
        self.inputs().first()?.estimated_rows()
    }

    /// The layer called `name` whose tasks are the partitions, over the layers of the inputs,
    /// whose values are frames.
    fn layer(&self, name: &Key, inputs: Vec<LayerRef>) -> LayerRef;
}

impl Expr {
    pub(crate) fn exchange(step: impl Exchange + 'static, schema: Schema, npartitions: u32) -> Result<Expr> {
        for input in step.inputs() {
            input.check_native()?;
        }
        Ok(Expr::new(Node::Exchange(Arc::new(step)), schema, npartitions))
    }
}

/// Values by which rows are placed: a column, or a level of the index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum KeyRef {
    Column(Key),
    Index(usize),
}

impl KeyRef {
    pub(crate) fn hash(&self, hasher: &mut weft_data::Hasher) {
        match self {
            KeyRef::Column(label) => hasher.number(0).key(label),
            KeyRef::Index(level) => hasher.number(1).number(*level as u64),
        };
    }

    /// The values in `frame`.
    pub(crate) fn values(&self, frame: &Frame) -> Result<Vector> {
        match self {
            KeyRef::Column(label) => match frame.column(label) {
                Some(column) => Ok(Vector::new(column.dtype.clone(), column.values.clone())),
                None => {
                    let have: Vec<String> = frame.columns.iter().map(|c| c.label.to_string()).collect();
                    Err(ExprError::NoColumn { label: label.clone(), have: have.join(", ") })
                }
            },
            KeyRef::Index(level) => match &frame.index {
                Index::Range { start, step } if *level == 0 => {
                    let labels: Int64Array =
                        (0..frame.rows() as i64).map(|row| Some(start + row * step)).collect();
                    Ok(Vector::new(weft_data::DType::Int64, Arc::new(labels)))
                }
                Index::Columns(levels) if *level < levels.len() => {
                    let column = &levels[*level].1;
                    Ok(Vector::new(column.dtype.clone(), column.values.clone()))
                }
                _ => Err(ExprError::Invalid(format!("the index has no level {level}"))),
            },
        }
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyRef::Column(label) => match label.as_str() {
                Some(text) => f.write_str(text),
                None => write!(f, "{label}"),
            },
            KeyRef::Index(_) => f.write_str("the index"),
        }
    }
}

pub(crate) fn names<'a>(keys: impl IntoIterator<Item = &'a KeyRef>) -> String {
    keys.into_iter().map(KeyRef::to_string).collect::<Vec<_>>().join(", ")
}

pub(crate) fn frame(value: &Value) -> std::result::Result<&Arc<Frame>, TaskError> {
    match value {
        Value::Frame(frame) => Ok(frame),
        _ => Err(TaskError::native(ErrorKind::Type, "expected a partition that lives in Rust")),
    }
}

pub(crate) fn layer(name: Key, inputs: Vec<LayerRef>, rule: Rule, work: impl Work + 'static) -> LayerRef {
    Arc::new(Layer { name, inputs, rule, work: Arc::new(work) })
}

/// Task `i` reads partition `i` of each input; of inputs with one partition, that one.
pub(crate) fn aligned(name: Key, inputs: Vec<LayerRef>, n: u32, work: impl Work + 'static) -> LayerRef {
    let reads = (0..inputs.len())
        .map(|i| {
            let own = inputs[i].len() as u32 == n;
            let axis = if own { Axis::Along { own: 0, offset: 0 } } else { Axis::At(0) };
            Read { input: i as u32, axes: vec![axis] }
        })
        .collect();
    layer(name, inputs, Rule::Grid { shape: vec![n], reads }, work)
}

pub(crate) fn take_column(column: &Column, rows: &UInt32Array) -> Result<Column> {
    let values = arrow_select::take::take(column.values.as_ref(), rows, None)
        .map_err(|error| ExprError::Invalid(error.to_string()))?;
    Ok(Column { values, ..column.clone() })
}

/// Rows of a frame in another order; with a range as index unless it is to be kept.
pub(crate) fn take_rows(frame: &Frame, rows: &UInt32Array, keep_index: bool) -> Result<Frame> {
    let columns = frame.columns.iter().map(|column| take_column(column, rows)).collect::<Result<_>>()?;
    let index = match &frame.index {
        _ if !keep_index => Index::Range { start: 0, step: 1 },
        Index::Range { start, step } => {
            let labels: Int64Array =
                rows.values().iter().map(|&row| Some(start + row as i64 * step)).collect();
            let column = Column {
                label: crate::build::unnamed(),
                dtype: weft_data::DType::Int64,
                values: Arc::new(labels),
            };
            Index::Columns(vec![(None, column)])
        }
        Index::Columns(levels) => Index::Columns(
            levels
                .iter()
                .map(|(name, level)| Ok((name.clone(), take_column(level, rows)?)))
                .collect::<Result<_>>()?,
        ),
    };
    Ok(Frame::new(columns, index, rows.len()).with_kind(frame.kind))
}

/// [`take_rows`] that lets go of each column when it has been taken from.
pub(crate) fn take_rows_owned(frame: Arc<Frame>, rows: &UInt32Array, keep_index: bool) -> Result<Frame> {
    let mut frame = Arc::unwrap_or_clone(frame);
    let columns = std::mem::take(&mut frame.columns);
    let columns = columns.into_iter().map(|column| take_column(&column, rows)).collect::<Result<_>>()?;
    let taken = take_rows(&frame, rows, keep_index)?;
    Ok(Frame::new(columns, taken.index, rows.len()).with_kind(taken.kind))
}

/// Frames that look the same, one below the other.
pub(crate) fn concat(frames: &[Arc<Frame>]) -> Result<Frame> {
    concat_owned(frames.to_vec())
}

/// [`concat`] that lets go of each column when it has been copied.
pub(crate) fn concat_owned(frames: Vec<Arc<Frame>>) -> Result<Frame> {
    let kind = frames.first().map_or(weft_data::Kind::Table, |frame| frame.kind);
    match <[Arc<Frame>; 1]>::try_from(frames) {
        Ok([one]) => Ok(Arc::unwrap_or_clone(one)),
        Err(frames) => Ok(crate::stage::join_owned(frames, usize::MAX)?.with_kind(kind)),
    }
}

/// The frame that an input is, taken out of the inputs: what nobody else reads can be let go in parts.
pub(crate) fn owned_frame(value: &mut Value) -> std::result::Result<Arc<Frame>, TaskError> {
    frame(value)?;
    match std::mem::replace(value, Value::Bytes(Arc::new([]))) {
        Value::Frame(frame) => Ok(frame),
        other => {
            *value = other;
            frame(value).cloned()
        }
    }
}
