//! A join in which each partition of one side looks its rows up in the whole other side, as part of the pass
//! over those rows: nothing is put together between the steps before the join and those after it.

use serde::{Deserialize, Serialize};
use weft_data::Hasher;
use weft_graph::Key;

use super::{How, JoinSpec, Side};
use crate::exchange::KeyRef;
use crate::expr::{Expr, Node, Schema};

/// Which rows there are, and what they are looked up in.
#[derive(Clone, Debug)]
pub struct Probe {
    pub rows: Expr,
    /// All partitions of it are read once.
    pub table: Expr,
    /// Inner, Left, LeftSemi or LeftAnti.
    pub how: How,
    pub row_keys: Vec<Key>,
    pub table_keys: Vec<Key>,
    pub columns: Vec<ProbeColumn>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProbeColumn {
    pub label: Key,
    pub source: Key,
    pub from_table: bool,
}

/// The columns that keys are, if all of them are columns.
pub(super) fn labels(keys: &[KeyRef]) -> Option<Vec<Key>> {
    let label = |key: &KeyRef| match key {
        KeyRef::Column(label) => Some(label.clone()),
        KeyRef::Index(_) => None,
    };
    keys.iter().map(label).collect()
}

impl Probe {
    /// The join as a probe of `left`'s rows, or, if `swap`, of `right`'s; `None`: it needs something else.
    pub(crate) fn of(left: &Expr, right: &Expr, spec: &JoinSpec, swap: bool) -> Option<Probe> {
        let allowed = match spec.how {
            How::Inner => true,
            How::Left | How::LeftSemi | How::LeftAnti => !swap,
            How::Right | How::Outer => false,
        };
        if !allowed || spec.index.is_some() {
            return None;
        }
        let (left_keys, right_keys) = (labels(&spec.left)?, labels(&spec.right)?);
        let columns = spec
            .columns
            .iter()
            .map(|column| {
                let (source, from_table) = match column.side {
                    Side::Left => (column.source.clone(), swap),
                    Side::Right => (column.source.clone(), !swap),
                    Side::Key(i) if swap => (right_keys[i].clone(), false),
                    Side::Key(i) => (left_keys[i].clone(), false),
                };
                ProbeColumn { label: column.label.clone(), source, from_table }
            })
            .collect();
        let sides = [(left.clone(), left_keys), (right.clone(), right_keys)];
        let [(rows, row_keys), (table, table_keys)] = match (swap, sides) {
            (false, sides) => sides,
            (true, [left, right]) => [right, left],
        };
        Some(Probe { rows, table, how: spec.how, row_keys, table_keys, columns })
    }

    pub(crate) fn expr(self, schema: Schema) -> Expr {
        let npartitions = self.rows.npartitions();
        Expr::new(Node::Probe(self), schema, npartitions)
    }

    /// Columns that come from the table, in order.
    pub(crate) fn taken(&self) -> Vec<Key> {
        self.columns.iter().filter(|column| column.from_table).map(|column| column.source.clone()).collect()
    }

    /// Whether only the existence of matches counts.
    pub(crate) fn only_keys(&self) -> bool {
        matches!(self.how, How::LeftSemi | How::LeftAnti)
    }

    pub(crate) fn hash(&self, h: &mut Hasher) {
        h.text("probe").text(self.how.name()).digest(self.rows.digest()).digest(self.table.digest());
        h.number(self.row_keys.len() as u64);
        self.row_keys.iter().chain(&self.table_keys).for_each(|key| {
            h.key(key);
        });
        for column in &self.columns {
            h.key(&column.label).key(&column.source).number(column.from_table as u64);
        }
    }

    /// Identifies the [`LookUp`](super::table::LookUp) that it needs.
    pub(crate) fn table_digest(&self) -> u128 {
        let mut h = Hasher::new("merge-table");
        h.digest(self.table.digest()).number(self.table_keys.len() as u64).number(self.only_keys() as u64);
        self.table_keys.iter().chain(&self.taken()).for_each(|key| {
            h.key(key);
        });
        h.finish()
    }

    pub(crate) fn describe(&self) -> String {
        let keys: Vec<String> = self
            .row_keys
            .iter()
            .map(|key| key.as_str().map_or_else(|| key.to_string(), str::to_owned))
            .collect();
        format!("merge {} on {}, looked up", self.how.name(), keys.join(", "))
    }
}
