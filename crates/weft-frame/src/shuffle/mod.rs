//! Moves rows to the partitions where they belong, by hash or by range.
//!
//! Three layers, in all `n × m + 2 n + m` tasks for `n` input and `m` output partitions:
//!
//! ```text
//! route[i]     the rows of input i in order of their new partition (numbers, no data)
//! shard[i, j]  the rows of input i that go to partition j, in memory of their own
//! sent[i]      nothing; reads shard[i, *]
//! gather[j]    shard[*, j], one below the other; waits for all of sent
//! ```
//!
//! `sent` exists for the order of tasks: without it an engine that runs towards the first output cuts
//! one shard out of each input before it cuts the second, and holds every input until the last
//! output. With it, an input is let go as soon as its shards are made, and what waits is shards,
//! which the store moves to disk one by one when memory is short.
//!
//! Rows keep their order: by input partition, and within it as they were.

mod hash;
mod work;

use std::sync::Arc;

use weft_data::{DType, LayerRef};
use weft_graph::{Axis, Key, Read, Rule};

use crate::error::ExprError;
use crate::exchange::{Exchange, KeyRef, layer, names};
use crate::expr::Expr;
use crate::optimize::Columns;
use crate::portable::{ByForm, ExchangeForm};
use crate::sort::SortBy;
use weft_data::Hasher;

pub(crate) use hash::partitions;
pub(crate) use work::Sent;

type Result<T> = std::result::Result<T, ExprError>;

/// Where rows go.
#[derive(Clone, Debug)]
pub enum By {
    /// Equal keys to the same partition. A dtype says as what a key is hashed, when it meets keys of
    /// another dtype elsewhere.
    Hash(Vec<(KeyRef, Option<DType>)>),
    /// In ascending order of partitions, by boundaries: an expression of one partition whose rows are
    /// the first keys of all partitions but the first.
    Range { keys: Vec<SortBy>, boundaries: Expr },
    /// To the partition that a column names.
    Number(KeyRef),
}

#[derive(Debug)]
struct Shuffle {
    input: Expr,
    by: By,
    npartitions: u32,
    keep_index: bool,
}

/// A shuffle that was checked in another process.
pub(crate) fn restore(input: Expr, by: By, npartitions: u32, keep_index: bool) -> Arc<dyn Exchange> {
    Arc::new(Shuffle { input, by, npartitions, keep_index })
}

impl Expr {
    /// The same rows in `npartitions` partitions; `keep_index`: with their labels, else each partition
    /// counts from zero.
    pub fn shuffle(&self, by: By, npartitions: u32, keep_index: bool) -> Result<Expr> {
        if npartitions == 0 {
            return Err(ExprError::Invalid("npartitions must be at least 1, got 0".into()));
        }
        let schema = self.schema().clone();
        Expr::exchange(Shuffle { input: self.clone(), by, npartitions, keep_index }, schema, npartitions)
    }
}

impl Exchange for Shuffle {
    fn tag(&self) -> &str {
        "shuffle"
    }

    fn inputs(&self) -> Vec<Expr> {
        match &self.by {
            By::Range { boundaries, .. } => vec![self.input.clone(), boundaries.clone()],
            _ => vec![self.input.clone()],
        }
    }

    fn token(&self) -> u128 {
        let mut h = Hasher::new("shuffle");
        h.number(self.npartitions as u64).number(self.keep_index as u64);
        match &self.by {
            By::Hash(keys) => {
                h.text("hash").number(keys.len() as u64);
                for (key, dtype) in keys {
                    key.hash(&mut h);
                    match dtype {
                        Some(dtype) => h.dtype(dtype),
                        None => h.text(""),
                    };
                }
            }
            By::Range { keys, .. } => {
                h.text("range");
                crate::sort::hash(keys, &mut h);
            }
            By::Number(key) => {
                h.text("number");
                key.hash(&mut h);
            }
        }
        h.finish()
    }

    fn form(&self) -> ExchangeForm {
        let by = match &self.by {
            By::Hash(keys) => ByForm::Hash(keys.clone()),
            By::Range { keys, .. } => ByForm::Range(keys.clone()),
            By::Number(key) => ByForm::Number(key.clone()),
        };
        ExchangeForm::Shuffle { by, npartitions: self.npartitions, keep_index: self.keep_index }
    }

    fn describe(&self) -> String {
        match &self.by {
            By::Hash(keys) => format!("shuffle by hash of {}", names(keys.iter().map(|(key, _)| key))),
            By::Range { keys, .. } => {
                format!("shuffle by range of {}", names(keys.iter().map(|by| &by.key)))
            }
            By::Number(key) => format!("shuffle by number in {key}"),
        }
    }

    fn wants(&self, need: &Columns) -> Vec<Columns> {
        let mut own = need.clone();
        match &self.by {
            By::Hash(keys) => keys.iter().for_each(|(key, _)| own.add_key(key)),
            By::Range { keys, .. } => keys.iter().for_each(|by| own.add_key(&by.key)),
            By::Number(key) => own.add_key(key),
        }
        match &self.by {
            By::Range { .. } => vec![own, Columns::All],
            _ => vec![own],
        }
    }

    fn with_inputs(&self, mut inputs: Vec<Expr>, _need: &Columns, _ordered: bool) -> Result<Expr> {
        let by = match (&self.by, inputs.len()) {
            (By::Range { keys, .. }, 2) => By::Range { keys: keys.clone(), boundaries: inputs.remove(1) },
            (by, _) => by.clone(),
        };
        inputs[0].shuffle(by, self.npartitions, self.keep_index)
    }

    fn gathers(&self) -> Option<Expr> {
        let is_hash = matches!(self.by, By::Hash(_));
        (self.npartitions == 1 && is_hash).then(|| self.input.clone())
    }

    fn layer(&self, name: &Key, inputs: Vec<LayerRef>) -> LayerRef {
        let named = |part: &str| match name {
            Key::Str(text) => Key::from(format!("{part}-{text}")),
            other => Key::from(format!("{part}-{other}")),
        };
        let own = Axis::Along { own: 0, offset: 0 };
        let n = inputs[0].len() as u32;
        let m = self.npartitions;
        let mut reads = vec![Read { input: 0, axes: vec![own] }];
        if inputs.len() > 1 {
            reads.push(Read { input: 1, axes: vec![Axis::At(0)] });
        }
        let input = inputs[0].clone();
        let work = work::Route { by: self.by.clone(), npartitions: m };
        let route = layer(named("route"), inputs, Rule::Grid { shape: vec![n], reads }, work);
        let reads = vec![Read { input: 0, axes: vec![own] }, Read { input: 1, axes: vec![own] }];
        let work = work::Shard { npartitions: m, keep_index: self.keep_index };
        let shards = layer(named("shard"), vec![input, route], Rule::Grid { shape: vec![n, m], reads }, work);
        let reads = vec![Read { input: 0, axes: vec![own, Axis::All] }];
        let rule = Rule::Grid { shape: vec![n], reads };
        let sent = layer(named("sent"), vec![shards.clone()], rule, work::Sent);
        let reads =
            vec![Read { input: 0, axes: vec![Axis::All, own] }, Read { input: 1, axes: vec![Axis::All] }];
        let work = work::Gather { keep_index: self.keep_index };
        layer(name.clone(), vec![shards, sent], Rule::Grid { shape: vec![m], reads }, work)
    }
}
