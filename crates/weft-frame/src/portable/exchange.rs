//! Steps that move rows between partitions, without their inputs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weft_data::DType;
use weft_graph::Key;

use super::{Result, damaged};
use crate::exchange::{Exchange, KeyRef};
use crate::expr::Expr;
use crate::join::JoinSpec;
use crate::sort::SortBy;
use crate::{join, relabel, shuffle, sort};

/// Everything about an [`Exchange`] but its inputs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ExchangeForm {
    Join(JoinSpec),
    Shuffle { by: ByForm, npartitions: u32, keep_index: bool },
    Sort { keys: Vec<SortBy>, keep_index: bool },
    SetIndex { label: Key, name: Option<Key>, drop: bool },
    Boundaries { keys: Vec<SortBy>, dtypes: Vec<DType>, n: u32, ends: bool },
    ResetIndex { levels: Vec<(Key, DType)> },
    Hold,
}

/// [`By`](crate::By) without its boundaries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ByForm {
    Hash(Vec<(KeyRef, Option<DType>)>),
    Range(Vec<SortBy>),
    Number(KeyRef),
}

impl ExchangeForm {
    pub(super) fn restore(self, inputs: Vec<Expr>) -> Result<Arc<dyn Exchange>> {
        let count = || damaged("a step has other inputs than it needs");
        let one = |inputs: Vec<Expr>| <[Expr; 1]>::try_from(inputs).map(|[input]| input).map_err(|_| count());
        let two = |inputs: Vec<Expr>| <[Expr; 2]>::try_from(inputs).map_err(|_| count());
        Ok(match self {
            ExchangeForm::Join(spec) => {
                let [left, right] = two(inputs)?;
                join::restore(left, right, spec)
            }
            ExchangeForm::Shuffle { by, npartitions, keep_index } => {
                let (input, by) = match by {
                    ByForm::Hash(keys) => (one(inputs)?, shuffle::By::Hash(keys)),
                    ByForm::Number(key) => (one(inputs)?, shuffle::By::Number(key)),
                    ByForm::Range(keys) => {
                        let [input, boundaries] = two(inputs)?;
                        (input, shuffle::By::Range { keys, boundaries })
                    }
                };
                shuffle::restore(input, by, npartitions, keep_index)
            }
            ExchangeForm::Sort { keys, keep_index } => sort::restore_rows(one(inputs)?, keys, keep_index),
            ExchangeForm::SetIndex { label, name, drop } => {
                sort::restore_index(one(inputs)?, label, name, drop)
            }
            ExchangeForm::Boundaries { keys, dtypes, n, ends } => {
                sort::restore_boundaries(one(inputs)?, keys, dtypes, n, ends)
            }
            ExchangeForm::ResetIndex { levels } => relabel::restore_reset(one(inputs)?, levels),
            ExchangeForm::Hold => relabel::restore_hold(one(inputs)?),
        })
    }
}
