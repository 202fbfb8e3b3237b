//! Sorting: rows within a partition, and the boundaries by which a shuffle puts partitions in order.

mod boundaries;
mod keys;
mod rows;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weft_data::{ArrowType, DType, Kind, LayerRef};
use weft_graph::{Axis, Key, Read, Rule};

use crate::error::ExprError;
use crate::exchange::{Exchange, KeyRef, aligned, layer, names};
use crate::expr::{Expr, Field, Schema};
use crate::optimize::Columns;
use crate::portable::ExchangeForm;
use weft_data::Hasher;

pub(crate) use keys::SortKeys;

type Result<T> = std::result::Result<T, ExprError>;

/// One of the keys of a sort.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SortBy {
    pub key: KeyRef,
    pub ascending: bool,
    /// Missing values come first, whatever the direction; else last.
    pub missing_first: bool,
}

pub(crate) fn hash(keys: &[SortBy], h: &mut Hasher) {
    h.number(keys.len() as u64);
    for by in keys {
        by.key.hash(h);
        h.number(by.ascending as u64).number(by.missing_first as u64);
    }
}

/// Whether rows can be put in order of keys of this dtype.
pub(crate) fn check_key(dtype: &DType) -> Result<()> {
    match dtype {
        DType::Nullable(_) | DType::Arrow(ArrowType::Double | ArrowType::Decimal { .. }) => {
            ExprError::unsupported(format!("keys of {dtype}"))
        }
        _ => Ok(()),
    }
}

impl Expr {
    /// The rows of each partition in order of keys; rows with equal keys stay in order.
    pub fn sort_rows(&self, keys: Vec<SortBy>, keep_index: bool) -> Result<Expr> {
        let schema = self.schema().clone();
        self.check_keys(&keys)?;
        Expr::exchange(SortRows { input: self.clone(), keys, keep_index }, schema, self.npartitions())
    }

    /// A column as the row labels; `drop`: and no longer as a column.
    pub fn set_index(&self, label: Key, name: Option<Key>, drop: bool) -> Result<Expr> {
        let mut schema = self.schema().clone();
        let Some(at) = schema.position(&label) else {
            return Err(ExprError::NoColumn { label, have: schema.labels() });
        };
        if drop {
            schema.fields.remove(at);
        }
        if schema.kind != Kind::Table {
            return ExprError::unsupported("set_index of a Series");
        }
        Expr::exchange(SetIndex { input: self.clone(), label, name, drop }, schema, self.npartitions())
    }

    /// Keys that cut the rows into `n` parts of about the same size, found from a sample: a table of one
    /// partition with a column for each key, called 0, 1, …, in order of the keys. `ends`: with the
    /// smallest and the largest key, so `n + 1` rows; else the `n - 1` inner ones. No rows if
    /// no row has a key.
    pub fn boundaries(&self, keys: Vec<SortBy>, dtypes: Vec<DType>, n: u32, ends: bool) -> Result<Expr> {
        self.check_keys(&keys)?;
        dtypes.iter().try_for_each(check_key)?;
        let fields = dtypes
            .iter()
            .enumerate()
            .map(|(i, dtype)| Field { label: Key::Int(i as i64), dtype: Some(dtype.clone()) })
            .collect();
        let step = Boundaries { input: self.clone(), keys, dtypes: dtypes.clone(), n, ends };
        Expr::exchange(step, Schema { fields, kind: Kind::Table }, 1)
    }

    fn check_keys(&self, keys: &[SortBy]) -> Result<()> {
        for by in keys {
            if let KeyRef::Column(label) = &by.key {
                match self.schema().fields.iter().find(|field| &field.label == label) {
                    Some(Field { dtype: Some(dtype), .. }) => check_key(dtype)?,
                    Some(_) => return ExprError::unsupported(format!("keys in column {label}")),
                    None => {
                        let have = self.schema().labels();
                        return Err(ExprError::NoColumn { label: label.clone(), have });
                    }
                }
            }
        }
        Ok(())
    }
}

/// Steps that were checked in another process.
pub(crate) fn restore_rows(input: Expr, keys: Vec<SortBy>, keep_index: bool) -> Arc<dyn Exchange> {
    Arc::new(SortRows { input, keys, keep_index })
}

pub(crate) fn restore_index(input: Expr, label: Key, name: Option<Key>, drop: bool) -> Arc<dyn Exchange> {
    Arc::new(SetIndex { input, label, name, drop })
}

pub(crate) fn restore_boundaries(
    input: Expr,
    keys: Vec<SortBy>,
    dtypes: Vec<DType>,
    n: u32,
    ends: bool,
) -> Arc<dyn Exchange> {
    Arc::new(Boundaries { input, keys, dtypes, n, ends })
}

#[derive(Debug)]
struct SortRows {
    input: Expr,
    keys: Vec<SortBy>,
    keep_index: bool,
}

impl Exchange for SortRows {
    fn tag(&self) -> &str {
        "sort"
    }

    fn inputs(&self) -> Vec<Expr> {
        vec![self.input.clone()]
    }

    fn token(&self) -> u128 {
        let mut h = Hasher::new("sort");
        hash(&self.keys, &mut h);
        h.number(self.keep_index as u64).finish()
    }

    fn form(&self) -> ExchangeForm {
        ExchangeForm::Sort { keys: self.keys.clone(), keep_index: self.keep_index }
    }

    fn describe(&self) -> String {
        format!("sort by {}", names(self.keys.iter().map(|by| &by.key)))
    }

    fn wants(&self, need: &Columns) -> Vec<Columns> {
        let mut own = need.clone();
        self.keys.iter().for_each(|by| own.add_key(&by.key));
        vec![own]
    }

    fn with_inputs(&self, inputs: Vec<Expr>, _need: &Columns, _ordered: bool) -> Result<Expr> {
        inputs[0].sort_rows(self.keys.clone(), self.keep_index)
    }

    fn layer(&self, name: &Key, inputs: Vec<LayerRef>) -> LayerRef {
        let work = rows::Sort { keys: self.keys.clone(), keep_index: self.keep_index };
        aligned(name.clone(), inputs, self.input.npartitions(), work)
    }
}

#[derive(Debug)]
struct SetIndex {
    input: Expr,
    label: Key,
    name: Option<Key>,
    drop: bool,
}

impl Exchange for SetIndex {
    fn tag(&self) -> &str {
        "set_index"
    }

    fn inputs(&self) -> Vec<Expr> {
        vec![self.input.clone()]
    }

    fn token(&self) -> u128 {
        let mut h = Hasher::new("set_index");
        h.key(&self.label).number(self.drop as u64);
        if let Some(name) = &self.name {
            h.key(name);
        }
        h.finish()
    }

    fn form(&self) -> ExchangeForm {
        let (label, name) = (self.label.clone(), self.name.clone());
        ExchangeForm::SetIndex { label, name, drop: self.drop }
    }

    fn describe(&self) -> String {
        format!("index from {}", KeyRef::Column(self.label.clone()))
    }

    fn wants(&self, need: &Columns) -> Vec<Columns> {
        let mut own = need.clone();
        own.add(&self.label);
        vec![own]
    }

    fn with_inputs(&self, inputs: Vec<Expr>, _need: &Columns, _ordered: bool) -> Result<Expr> {
        inputs[0].set_index(self.label.clone(), self.name.clone(), self.drop)
    }

    fn layer(&self, name: &Key, inputs: Vec<LayerRef>) -> LayerRef {
        let work = rows::Label { label: self.label.clone(), name: self.name.clone(), drop: self.drop };
        aligned(name.clone(), inputs, self.input.npartitions(), work)
    }
}

#[derive(Debug)]
struct Boundaries {
    input: Expr,
    keys: Vec<SortBy>,
    dtypes: Vec<DType>,
    n: u32,
    ends: bool,
}

impl Exchange for Boundaries {
    fn tag(&self) -> &str {
        "boundaries"
    }

    fn inputs(&self) -> Vec<Expr> {
        vec![self.input.clone()]
    }

    fn token(&self) -> u128 {
        let mut h = Hasher::new("boundaries");
        hash(&self.keys, &mut h);
        h.number(self.n as u64).number(self.ends as u64).finish()
    }

    fn form(&self) -> ExchangeForm {
        let (keys, dtypes) = (self.keys.clone(), self.dtypes.clone());
        ExchangeForm::Boundaries { keys, dtypes, n: self.n, ends: self.ends }
    }

    fn describe(&self) -> String {
        format!("boundaries of {}", names(self.keys.iter().map(|by| &by.key)))
    }

    fn wants(&self, _need: &Columns) -> Vec<Columns> {
        let mut own = Columns::none();
        self.keys.iter().for_each(|by| own.add_key(&by.key));
        vec![own]
    }

    fn with_inputs(&self, inputs: Vec<Expr>, _need: &Columns, _ordered: bool) -> Result<Expr> {
        let dtypes = self.dtypes.clone();
        inputs[0].boundaries(self.keys.clone(), dtypes, self.n, self.ends)
    }

    fn estimated_rows(&self) -> Option<usize> {
        Some(self.n as usize + 1)
    }

    fn layer(&self, name: &Key, inputs: Vec<LayerRef>) -> LayerRef {
        let sample = match name {
            Key::Str(text) => Key::from(format!("sample-{text}")),
            other => Key::from(format!("sample-{other}")),
        };
        let work = boundaries::Sample { keys: self.keys.clone() };
        let samples = aligned(sample, inputs, self.input.npartitions(), work);
        let work = boundaries::Cut { keys: self.keys.clone(), n: self.n, ends: self.ends };
        let reads = vec![Read { input: 0, axes: vec![Axis::All] }];
        layer(name.clone(), vec![samples], Rule::Grid { shape: vec![1], reads }, work)
    }
}
