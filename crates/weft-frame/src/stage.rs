//! One pass over a partition: computes a plan's registers batch by batch and feeds its sinks.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, UInt32Array};
use arrow_select::filter::{FilterBuilder, FilterPredicate};
use weft_data::{Column, DType, Frame, Index, Kind, Object, TaskError};
use weft_graph::Key;

use crate::aggregate::Aggregator;
use crate::error::ExprError;
use crate::join::table::{LookUp, Matches};
use crate::join::{self, How};
use crate::kernel::{self, Operand, Vector};
use crate::plan::{Derive, Limit, Plan, PlanArg, PlanNode, Sink};
use crate::scalar::Literal;

type Result<T> = std::result::Result<T, ExprError>;

/// What a sink gives for one partition: rows as one frame, or partial aggregations.
pub type Output = Vec<Arc<Frame>>;

/// The state of a pass.
pub struct Pass<'a> {
    plan: &'a Plan,
    /// The columns that batches bring, by position in the base's schema.
    columns: Vec<usize>,
    params: Vec<Literal>,
    tables: Vec<Arc<dyn Object>>,
    /// Rows that each space has had so far.
    passed: Vec<usize>,
    sinks: Vec<SinkState>,
    /// Values of nodes, for each space; emptied after each batch.
    registers: Vec<Vec<Option<Vector>>>,
}

enum SinkState {
    Append(Rows),
    Aggregate(Box<Aggregator>),
}

/// Rows on their way into one frame.
#[derive(Default)]
struct Rows {
    columns: Vec<Vec<Vector>>,
    labels: Vec<Labels>,
    /// Rows in each batch.
    sizes: Vec<usize>,
    rows: usize,
}

/// The index of a batch in some space.
#[derive(Clone)]
enum Labels {
    Range { start: i64, step: i64 },
    Columns(Vec<(Option<Key>, Key, Vector)>),
}

impl<'a> Pass<'a> {
    /// `tables` hold the [`LookUp`]s of the plan's tables.
    pub fn new(
        plan: &'a Plan,
        columns: Vec<usize>,
        params: Vec<Literal>,
        tables: Vec<Arc<dyn Object>>,
    ) -> Self {
        let sinks = plan
            .sinks
            .iter()
            .map(|sink| match sink {
                Sink::Append { columns, .. } => {
                    SinkState::Append(Rows { columns: vec![Vec::new(); columns.len()], ..Rows::default() })
                }
                Sink::Aggregate { spec, .. } => SinkState::Aggregate(Box::new(Aggregator::new(spec.clone()))),
            })
            .collect();
        let registers = vec![vec![None; plan.nodes.len()]; plan.spaces.len()];
        let passed = vec![0; plan.spaces.len()];
        Pass { plan, columns, params, tables, passed, sinks, registers }
    }

    /// Takes a batch. Returns whether more rows are wanted.
    pub fn batch(&mut self, batch: &Frame) -> Result<bool> {
        let plan = self.plan;
        let mut rows = vec![0; plan.spaces.len()];
        let mut labels: Vec<Option<Labels>> = vec![None; plan.spaces.len()];
        for (s, space) in plan.spaces.iter().enumerate() {
            let moved = match &space.parent {
                None => {
                    rows[s] = batch.rows();
                    labels[s] = space.index.then(|| labels_of(&batch.index));
                    None
                }
                Some((parent, Derive::Probe { table, keys, how })) => {
                    let keys: Result<Vec<Vector>> =
                        keys.iter().map(|&id| self.register(*parent, id).cloned()).collect();
                    let moved = look_up(self.look_up(*table)?, &keys?, rows[*parent], *how)?;
                    rows[s] = moved.rows(rows[*parent]);
                    let start = self.passed[s] as i64;
                    labels[s] = space.index.then_some(Labels::Range { start, step: 1 });
                    self.passed[s] += rows[s];
                    Some((*parent, moved))
                }
                Some((parent, Derive::Filter(mask))) => {
                    let parent = *parent;
                    let mask = self.register(parent, *mask)?;
                    // What is missing in a mask does not pass.
                    let bits = match mask.values.nulls() {
                        Some(nulls) => mask.bools()? & nulls.inner(),
                        None => mask.bools()?.clone(),
                    };
                    let mask = BooleanArray::new(bits, None);
                    let predicate = FilterBuilder::new(&mask).optimize().build();
                    rows[s] = predicate.count();
                    if let (true, Some(own)) = (space.index, &labels[parent]) {
                        labels[s] = Some(own.filter(&mask, &predicate)?);
                    }
                    Some((parent, Moved::Filtered(predicate)))
                }
            };
            for &id in &space.needed {
                let value = match &plan.nodes[id] {
                    PlanNode::Joined { space, column } if *space == s => match &moved {
                        Some((_, Moved::Matched { found, .. })) => {
                            let table = self.table_of(s)?;
                            join::take_or_missing(&table.columns()[*column], found)?
                        }
                        _ => return Err(ExprError::Invalid("a column of a table without matches".into())),
                    },
                    PlanNode::Input(_) | PlanNode::Joined { .. } if moved.is_some() => match &moved {
                        Some((parent, moved)) => moved.apply(self.register(*parent, id)?)?,
                        None => return Err(ExprError::Invalid("rows without a parent".into())),
                    },
                    PlanNode::Joined { .. } => {
                        return Err(ExprError::Invalid("a column of a join before it".into()));
                    }
                    PlanNode::Input(column) => self.input(batch, *column)?,
                    PlanNode::Op { op, args } => {
                        let args: Result<Vec<Operand<'_>>> = args
                            .iter()
                            .map(|arg| {
                                Ok(match arg {
                                    PlanArg::Node(id) => Operand::Vector(self.register(s, *id)?),
                                    PlanArg::Literal(literal) => Operand::Literal(literal),
                                    PlanArg::Param(param) => Operand::Literal(&self.params[*param]),
                                })
                            })
                            .collect();
                        kernel::run(op, &args?, rows[s])?
                    }
                };
                self.registers[s][id] = Some(value);
            }
        }
        let mut more = false;
        for (i, sink) in plan.sinks.iter().enumerate() {
            more |= self.feed(i, sink, &rows, &labels)?;
        }
        for registers in &mut self.registers {
            registers.iter_mut().for_each(|register| *register = None);
        }
        Ok(more)
    }

    fn register(&self, space: usize, id: usize) -> Result<&Vector> {
        // The schedule computes every node before its first use.
        self.registers[space][id]
            .as_ref()
            .ok_or_else(|| ExprError::Invalid("a value was used before it was computed".into()))
    }

    fn look_up(&self, table: usize) -> Result<&LookUp> {
        let object: Option<&LookUp> =
            self.tables.get(table).and_then(|object| object.as_any().downcast_ref());
        object.ok_or_else(|| ExprError::Invalid("a table for looking up is missing".into()))
    }

    /// The table that space `s` is looked up in.
    fn table_of(&self, s: usize) -> Result<&LookUp> {
        match &self.plan.spaces[s].parent {
            Some((_, Derive::Probe { table, .. })) => self.look_up(*table),
            _ => Err(ExprError::Invalid("a space without a table".into())),
        }
    }

    fn input(&self, batch: &Frame, column: usize) -> Result<Vector> {
        let label = &self.plan.base.schema().fields[column].label;
        let at = self.columns.binary_search(&column).ok();
        let column = match at.and_then(|at| batch.columns.get(at)) {
            Some(column) if &column.label == label => column,
            _ => batch.column(label).ok_or_else(|| ExprError::NoColumn {
                label: label.clone(),
                have: format!("{:?}", batch.columns.iter().map(|c| &c.label).collect::<Vec<_>>()),
            })?,
        };
        Ok(Vector::new(column.dtype.clone(), column.values.clone()))
    }

    fn feed(&mut self, i: usize, sink: &Sink, rows: &[usize], labels: &[Option<Labels>]) -> Result<bool> {
        let value = |space: usize, id: usize| -> Result<Vector> {
            self.registers[space][id]
                .clone()
                .ok_or_else(|| ExprError::Invalid("a value was used before it was computed".into()))
        };
        match (sink, &mut self.sinks[i]) {
            (Sink::Aggregate { space, keys, inputs, .. }, SinkState::Aggregate(state)) => {
                if rows[*space] > 0 {
                    let keys: Result<Vec<Vector>> = keys.iter().map(|&id| value(*space, id)).collect();
                    let input = |id: usize| match value(*space, id)? {
                        narrow if narrow.is_narrow() => narrow.plain(),
                        other => Ok(other),
                    };
                    let inputs: Result<Vec<Option<Vector>>> =
                        inputs.iter().map(|id| id.map(input).transpose()).collect();
                    state.update(&keys?, &inputs?, rows[*space])?;
                }
                Ok(true)
            }
            (Sink::Append { space, columns, limit, .. }, SinkState::Append(kept)) => {
                let labels = labels[*space].clone().unwrap_or(Labels::Range { start: 0, step: 1 });
                // What leaves the pass is spelled out.
                let values: Result<Vec<Vector>> =
                    columns.iter().map(|&(_, id, _)| value(*space, id)?.plain()).collect();
                Ok(kept.push(values?, labels, rows[*space], *limit))
            }
            _ => Err(ExprError::Invalid("a sink without its state".into())),
        }
    }

    /// What each sink holds in the end.
    pub fn finish(self) -> Result<Vec<Output>> {
        let plan = self.plan;
        self.sinks
            .into_iter()
            .zip(&plan.sinks)
            .map(|(state, sink)| match (state, sink) {
                (SinkState::Append(rows), Sink::Append { columns, kind, .. }) => {
                    Ok(vec![Arc::new(rows.finish(columns, *kind)?)])
                }
                (SinkState::Aggregate(mut state), _) => {
                    Ok(state.partials()?.into_iter().map(Arc::new).collect())
                }
                _ => Err(ExprError::Invalid("a sink without its state".into())),
            })
            .collect()
    }
}

/// How the rows of a batch get into a space.
enum Moved {
    Filtered(FilterPredicate),
    /// `rows`: of the parent; `None`: all of them, once, in order. `found`: of the table.
    Matched {
        rows: Option<UInt32Array>,
        found: Vec<u32>,
    },
}

impl Moved {
    fn rows(&self, parent: usize) -> usize {
        match self {
            Moved::Filtered(predicate) => predicate.count(),
            Moved::Matched { rows, .. } => rows.as_ref().map_or(parent, UInt32Array::len),
        }
    }

    fn apply(&self, vector: &Vector) -> Result<Vector> {
        match self {
            Moved::Filtered(predicate) => filtered(vector, predicate),
            Moved::Matched { rows: None, .. } => Ok(vector.clone()),
            Moved::Matched { rows: Some(rows), .. } => {
                let values = arrow_select::take::take(vector.values.as_ref(), rows, None)
                    .map_err(|error| ExprError::Invalid(error.to_string()))?;
                Ok(Vector::new(vector.dtype.clone(), values))
            }
        }
    }
}

fn look_up(table: &LookUp, keys: &[Vector], rows: usize, how: How) -> Result<Moved> {
    if matches!(how, How::LeftSemi | How::LeftAnti) {
        let found = table.contains(keys, rows)?;
        let mask = BooleanArray::new(if how == How::LeftSemi { found } else { !&found }, None);
        return Ok(Moved::Filtered(FilterBuilder::new(&mask).optimize().build()));
    }
    let Matches { rows: own, found } = table.matches(keys, rows, how == How::Left)?;
    let all = own.len() == rows && own.iter().enumerate().all(|(i, &row)| i as u32 == row);
    Ok(Moved::Matched { rows: (!all).then(|| UInt32Array::from(own)), found })
}

fn filtered(vector: &Vector, predicate: &FilterPredicate) -> Result<Vector> {
    // A column that keeps all its rows is shared.
    if predicate.count() == vector.len() {
        return Ok(vector.clone());
    }
    let values =
        predicate.filter(vector.values.as_ref()).map_err(|error| ExprError::Invalid(error.to_string()))?;
    Ok(Vector::new(vector.dtype.clone(), values))
}

fn labels_of(index: &Index) -> Labels {
    match index {
        Index::Range { start, step } => Labels::Range { start: *start, step: *step },
        Index::Columns(levels) => Labels::Columns(
            levels
                .iter()
                .map(|(name, column)| {
                    let vector = Vector::new(column.dtype.clone(), column.values.clone());
                    (name.clone(), column.label.clone(), vector)
                })
                .collect(),
        ),
    }
}

impl Labels {
    fn filter(&self, mask: &BooleanArray, predicate: &FilterPredicate) -> Result<Labels> {
        match self {
            Labels::Range { start, step } => {
                if predicate.count() == mask.len() {
                    return Ok(self.clone());
                }
                let labels: Int64Array =
                    mask.values().set_indices().map(|row| start + row as i64 * step).collect();
                let vector = Vector::new(DType::Int64, Arc::new(labels) as ArrayRef);
                Ok(Labels::Columns(vec![(None, crate::build::unnamed(), vector)]))
            }
            Labels::Columns(levels) => levels
                .iter()
                .map(|(name, label, vector)| Ok((name.clone(), label.clone(), filtered(vector, predicate)?)))
                .collect::<Result<_>>()
                .map(Labels::Columns),
        }
    }

    fn slice(&self, from: usize, rows: usize) -> Labels {
        match self {
            Labels::Range { start, step } => Labels::Range { start: start + from as i64 * step, step: *step },
            Labels::Columns(levels) => Labels::Columns(
                levels
                    .iter()
                    .map(|(name, label, vector)| {
                        let values = vector.values.slice(from, rows);
                        (name.clone(), label.clone(), Vector::new(vector.dtype.clone(), values))
                    })
                    .collect(),
            ),
        }
    }

    /// As columns, for `rows` rows.
    fn levels(&self, rows: usize) -> Vec<(Option<Key>, Key, Vector)> {
        match self {
            Labels::Columns(levels) => levels.clone(),
            Labels::Range { start, step } => {
                let labels: Int64Array = (0..rows as i64).map(|row| Some(start + row * step)).collect();
                let vector = Vector::new(DType::Int64, Arc::new(labels) as ArrayRef);
                vec![(None, crate::build::unnamed(), vector)]
            }
        }
    }
}

impl Rows {
    /// Adds a batch; false once the limit is reached.
    fn push(&mut self, values: Vec<Vector>, labels: Labels, rows: usize, limit: Limit) -> bool {
        let take = match limit {
            Limit::First(n) => rows.min(n - self.rows.min(n)),
            _ => rows,
        };
        // An empty batch tells the dtypes; of the others, only those that bring rows are kept.
        if take > 0 || self.sizes.is_empty() {
            for (kept, vector) in self.columns.iter_mut().zip(values) {
                let vector = match take == rows {
                    true => vector,
                    // Copied, so that a few rows do not keep the whole batch alive.
                    false => Vector::new(vector.dtype, vector.values.slice(0, take)),
                };
                kept.push(vector);
            }
            self.labels.push(labels.slice(0, take));
            self.sizes.push(take);
            self.rows += take;
        }
        match limit {
            Limit::All => true,
            Limit::First(n) => self.rows < n,
            Limit::Last(n) => {
                while self.sizes.len() > 1 && self.rows - self.sizes[0] >= n {
                    self.rows -= self.sizes.remove(0);
                    self.labels.remove(0);
                    self.columns.iter_mut().for_each(|column| drop(column.remove(0)));
                }
                let surplus = self.rows.saturating_sub(n);
                if surplus > 0 {
                    let rest = self.sizes[0] - surplus;
                    self.labels[0] = self.labels[0].slice(surplus, rest);
                    for column in &mut self.columns {
                        column[0].values = column[0].values.slice(surplus, rest);
                    }
                    self.sizes[0] = rest;
                    self.rows = n;
                }
                true
            }
        }
    }

    fn finish(mut self, columns: &[(Key, usize, DType)], kind: Kind) -> Result<Frame> {
        let mut joined = Vec::with_capacity(columns.len());
        // The batches of a column are let go before the next column is made.
        for (vectors, (label, _, dtype)) in std::mem::take(&mut self.columns).into_iter().zip(columns) {
            let vector = match vectors.is_empty() {
                true => kernel::empty(dtype),
                false => kernel::concat(&vectors).map_err(|error| name_column(error, label))?,
            };
            // Without rows, the promised dtype holds.
            let vector =
                if vector.is_empty() && vector.dtype != *dtype { kernel::empty(dtype) } else { vector };
            joined.push(vector.into_column(label.clone()));
        }
        Ok(Frame::new(joined, self.index()?, self.rows).with_kind(kind))
    }

    fn index(&self) -> Result<Index> {
        let filled: Vec<(&Labels, usize)> =
            self.labels.iter().zip(self.sizes.iter().copied()).filter(|(_, rows)| *rows > 0).collect();
        let Some((first, _)) = filled.first().copied().or(self.labels.first().map(|labels| (labels, 0)))
        else {
            return Ok(Index::Range { start: 0, step: 1 });
        };
        // Ranges that continue each other stay a range.
        if let Labels::Range { start, step } = first {
            let mut next = *start;
            let continues = filled.iter().all(|(labels, rows)| match labels {
                Labels::Range { start, step: own } if *start == next && own == step => {
                    next += *rows as i64 * step;
                    true
                }
                _ => false,
            });
            if continues {
                return Ok(Index::Range { start: *start, step: *step });
            }
        }
        let batches: Vec<_> = match filled.is_empty() {
            true => vec![first.levels(0)],
            false => filled.iter().map(|(labels, rows)| labels.levels(*rows)).collect(),
        };
        let mut levels = Vec::with_capacity(batches[0].len());
        for (i, (name, label, _)) in batches[0].iter().enumerate() {
            let parts: Vec<Vector> = batches.iter().map(|levels| levels[i].2.clone()).collect();
            let column: Column = kernel::concat(&parts)?.into_column(label.clone());
            levels.push((name.clone(), column));
        }
        Ok(Index::Columns(levels))
    }
}

fn name_column(error: ExprError, label: &Key) -> ExprError {
    match error {
        ExprError::Unsupported(what) => ExprError::Unsupported(format!("column {label}: {what}")),
        ExprError::Invalid(what) => ExprError::Invalid(format!("column {label}: {what}")),
        other => other,
    }
}

/// The one value of a scalar's frame.
pub fn scalar(frame: &Frame) -> std::result::Result<Literal, TaskError> {
    let Some(column) = frame.columns.first().filter(|_| frame.rows() == 1) else {
        return Err(ExprError::Invalid("expected one value".into()).into());
    };
    let vector = Vector::new(column.dtype.clone(), column.values.clone());
    Ok(Literal { value: vector.get(0)?, dtype: Some(column.dtype.clone()) })
}

/// The first `limit` rows of frames with the same columns.
pub fn join(frames: &[Arc<Frame>], limit: usize) -> Result<Frame> {
    join_owned(frames.to_vec(), limit)
}

/// [`join`], which lets go of the frames' columns as it goes.
pub fn join_owned(frames: Vec<Arc<Frame>>, limit: usize) -> Result<Frame> {
    let Some(first) = frames.first() else {
        return Err(ExprError::Invalid("nothing to join".into()));
    };
    let columns: Vec<(Key, usize, DType)> =
        first.columns.iter().enumerate().map(|(i, c)| (c.label.clone(), i, c.dtype.clone())).collect();
    let mut rows = Rows { columns: vec![Vec::new(); columns.len()], ..Rows::default() };
    for frame in frames {
        let values = frame.columns.iter().map(|c| Vector::new(c.dtype.clone(), c.values.clone())).collect();
        if !rows.push(values, labels_of(&frame.index), frame.rows(), Limit::First(limit)) {
            break;
        }
    }
    rows.finish(&columns, Kind::Table)
}
