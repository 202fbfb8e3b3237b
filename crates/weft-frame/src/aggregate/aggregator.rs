//! Groups and their states: fed batches, merged with others, finished.

use std::sync::Arc;

use arrow_array::LargeStringArray;
use arrow_array::types::{Float64Type, Int64Type};
use weft_data::{ArrowType, Column, DType, Frame, Index, Kind};
use weft_graph::Key;

use super::Func;
use super::distinct::{Distinct, Kept, Values};
use super::encode::NONE;
use super::group::Grouper;
use super::state::{Groups, State};
use crate::error::ExprError;
use crate::expr::Finish;
use crate::kernel::{self, Vector};

type Result<T> = std::result::Result<T, ExprError>;

/// What to aggregate, without the data.
#[derive(Clone, Debug)]
pub struct Spec {
    pub keys: Vec<(Option<Key>, DType)>,
    /// Label, function, and dtype of the input.
    pub aggs: Vec<(Key, Func, DType)>,
    pub dropna: bool,
    pub sort: bool,
    pub finish: Finish,
}

#[derive(Debug)]
pub struct Aggregator {
    spec: Arc<Spec>,
    /// None: all rows are one group, which exists even without rows.
    grouper: Option<Grouper>,
    states: Vec<State>,
    /// For each `nunique` and `median`: pairs of group and value.
    kept: Vec<Option<Kept>>,
    ids: Vec<u32>,
}

impl Aggregator {
    pub fn new(spec: Arc<Spec>) -> Self {
        let dtypes: Vec<DType> = spec.keys.iter().map(|(_, dtype)| dtype.clone()).collect();
        let grouper = (!dtypes.is_empty()).then(|| Grouper::new(&dtypes, !spec.dropna));
        let states = spec.aggs.iter().map(|(_, func, dtype)| State::new(*func, dtype.clone())).collect();
        let kept = spec
            .aggs
            .iter()
            .map(|(_, func, dtype)| match func {
                Func::NUnique { dropna } => {
                    Some(Kept::Distinct(Box::new(Distinct::new(dtype.clone(), !dropna))))
                }
                Func::Median => Some(Kept::Values(Values::default())),
                _ => None,
            })
            .collect();
        Aggregator { spec, grouper, states, kept, ids: Vec::new() }
    }

    fn groups(&self) -> usize {
        self.grouper.as_ref().map_or(1, Grouper::len)
    }

    /// Takes in a batch: key columns, and for each aggregation its input.
    pub fn update(&mut self, keys: &[Vector], inputs: &[Option<Vector>], rows: usize) -> Result<()> {
        let mut ids = std::mem::take(&mut self.ids);
        let result = self.update_with(keys, inputs, rows, &mut ids);
        self.ids = ids;
        result
    }

    fn update_with(
        &mut self,
        keys: &[Vector],
        inputs: &[Option<Vector>],
        rows: usize,
        ids: &mut Vec<u32>,
    ) -> Result<()> {
        if let Some(grouper) = &mut self.grouper {
            grouper.group(keys, ids)?;
            if ids.contains(&NONE) {
                let kept: Vec<u32> = (0..rows as u32).filter(|&row| ids[row as usize] != NONE).collect();
                let inputs: Result<Vec<Option<Vector>>> = inputs
                    .iter()
                    .map(|input| input.as_ref().map(|input| kernel::take(input, &kept)).transpose())
                    .collect();
                ids.retain(|&id| id != NONE);
                return self.feed(&inputs?, kept.len(), Some(ids));
            }
            return self.feed(inputs, rows, Some(ids));
        }
        self.feed(inputs, rows, None)
    }

    fn feed(&mut self, inputs: &[Option<Vector>], rows: usize, ids: Option<&[u32]>) -> Result<()> {
        let groups = Groups { ids, count: self.groups(), rows };
        for ((state, kept), input) in self.states.iter_mut().zip(&mut self.kept).zip(inputs) {
            match (kept, input) {
                (Some(kept), Some(input)) => kept.update(ids, input)?,
                _ => state.update(input.as_ref(), groups)?,
            }
        }
        Ok(())
    }

    /// What another aggregator of the same kind can [`merge`](Self::merge): groups with their
    /// states, and the values kept for each `nunique` and `median`.
    pub fn partials(&mut self) -> Result<Vec<Frame>> {
        let count = self.groups();
        let all: Vec<u32> = (0..count as u32).collect();
        let mut columns = match &self.grouper {
            Some(grouper) => grouper.keys(&all)?,
            None => Vec::new(),
        };
        for state in &mut self.states {
            columns.extend(state.partial(count)?);
        }
        let mut frames = vec![frame(columns, count)];
        for kept in self.kept.iter().flatten() {
            let (groups, values) = kept.pairs()?;
            let mut columns = match &self.grouper {
                Some(grouper) => grouper.keys(&groups)?,
                None => Vec::new(),
            };
            columns.push(values);
            frames.push(frame(columns, groups.len()));
        }
        Ok(frames)
    }

    /// The group of each row of what was merged last.
    pub fn merged(&self) -> &[u32] {
        &self.ids
    }

    /// Takes in what [`partials`](Self::partials) gave.
    pub fn merge(&mut self, partials: &[Arc<Frame>]) -> Result<()> {
        let Some((main, rest)) = partials.split_first() else {
            return Err(ExprError::Invalid("a partial result without a frame".into()));
        };
        let columns = vectors(main);
        let (keys, mut columns) = columns.split_at(self.spec.keys.len());
        let mut ids = std::mem::take(&mut self.ids);
        if let Some(grouper) = &mut self.grouper {
            grouper.group(keys, &mut ids)?;
        }
        let groups =
            Groups { ids: self.grouper.is_some().then_some(&ids), count: self.groups(), rows: main.rows() };
        for state in &mut self.states {
            let (own, others) = columns.split_at(state.width());
            columns = others;
            state.merge(own, groups)?;
        }
        self.ids = ids;
        let mut ids = Vec::new();
        for (kept, partial) in self.kept.iter_mut().flatten().zip(rest) {
            let columns = vectors(partial);
            let (keys, values) = columns.split_at(self.spec.keys.len());
            if let Some(grouper) = &mut self.grouper {
                grouper.group(keys, &mut ids)?;
            }
            kept.update(self.grouper.is_some().then_some(&ids), &values[0])?;
        }
        Ok(())
    }

    /// The result.
    pub fn finish(mut self) -> Result<Frame> {
        let count = self.groups();
        let mut columns = Vec::with_capacity(self.states.len());
        for i in 0..self.states.len() {
            columns.push(match (&self.kept[i], self.spec.aggs[i].1) {
                (Some(Kept::Distinct(distinct)), _) => {
                    Vector::from_vec::<Int64Type>(DType::Int64, distinct.counts(count))
                }
                (Some(Kept::Values(kept)), _) => {
                    Vector::from_vec::<Float64Type>(DType::Float64, kept.medians(count))
                }
                (_, func) => {
                    let vector = self.states[i].finish(count)?;
                    match self.spec.aggs[i].2 {
                        // What pandas counts in groups of an Arrow column has an Arrow dtype too.
                        DType::Arrow(_) if func == Func::Count && self.grouper.is_some() => {
                            Vector::new(DType::Arrow(ArrowType::Int64), vector.values)
                        }
                        _ => vector,
                    }
                }
            });
        }
        let spec = self.spec.clone();
        match spec.finish {
            Finish::Scalar => {
                let values = columns.swap_remove(0).into_column(spec.aggs[0].0.clone());
                Ok(Frame::new(vec![values], range(), 1).with_kind(Kind::Scalar))
            }
            Finish::Columns => self.one_row(columns),
            Finish::Groups { kind } => {
                let order = match &self.grouper {
                    Some(grouper) if spec.sort => grouper.sorted(),
                    _ => (0..count as u32).collect(),
                };
                Ok(self.rows(columns, &order)?.with_kind(kind))
            }
            Finish::Counts { sort, ascending, normalize } => {
                let counts = columns[0].slice::<Int64Type>()?.to_vec();
                let mut order: Vec<u32> = (0..count as u32).collect();
                if sort {
                    // Stable: equal counts stay in order of first appearance.
                    order.sort_by_key(|&group| {
                        let n = counts[group as usize];
                        if ascending { n } else { -n }
                    });
                }
                if normalize {
                    let total = counts.iter().sum::<i64>() as f64;
                    let shares = counts.iter().map(|&n| n as f64 / total).collect();
                    columns[0] = Vector::from_vec::<Float64Type>(DType::Float64, shares);
                }
                Ok(self.rows(columns, &order)?.with_kind(Kind::Series { named: true }))
            }
        }
    }

    fn rows(&self, columns: Vec<Vector>, order: &[u32]) -> Result<Frame> {
        let keys = match &self.grouper {
            Some(grouper) => grouper.keys(order)?,
            None => Vec::new(),
        };
        let index = keys
            .into_iter()
            .zip(&self.spec.keys)
            .map(|(key, (name, _))| {
                let label = name.clone().unwrap_or_else(crate::build::unnamed);
                (name.clone(), key.into_column(label))
            })
            .collect();
        let columns: Result<Vec<Column>> = columns
            .iter()
            .zip(&self.spec.aggs)
            .map(|(column, (label, ..))| Ok(kernel::take(column, order)?.into_column(label.clone())))
            .collect();
        Ok(Frame::new(columns?, Index::Columns(index), order.len()))
    }

    /// One value of each column as a Series indexed by column label.
    fn one_row(&self, columns: Vec<Vector>) -> Result<Frame> {
        let values = kernel::concat(&columns)?;
        let labels: Vec<&Key> = self.spec.aggs.iter().map(|(label, ..)| label).collect();
        let index = if labels.iter().all(|label| matches!(label, Key::Int(_))) {
            let numbers = labels.iter().map(|label| if let Key::Int(n) = label { *n } else { 0 });
            Vector::from_vec::<Int64Type>(DType::Int64, numbers.collect())
        } else {
            let texts: LargeStringArray = labels.iter().map(|label| label.as_str()).collect();
            Vector::new(DType::Str, Arc::new(texts))
        };
        let rows = values.len();
        let index = Index::Columns(vec![(None, index.into_column(crate::build::unnamed()))]);
        let column = values.into_column(crate::build::unnamed());
        Ok(Frame::new(vec![column], index, rows).with_kind(Kind::Series { named: false }))
    }
}

fn range() -> Index {
    Index::Range { start: 0, step: 1 }
}

/// A frame of columns that are known by position.
fn frame(columns: Vec<Vector>, rows: usize) -> Frame {
    let columns =
        columns.into_iter().enumerate().map(|(i, column)| column.into_column(Key::Int(i as i64))).collect();
    Frame::new(columns, range(), rows)
}

fn vectors(frame: &Frame) -> Vec<Vector> {
    frame.columns.iter().map(|column| Vector::new(column.dtype.clone(), column.values.clone())).collect()
}
