//! Joins of two tables, partition by partition.
//!
//! The partitions must belong together: shuffled by the same keys, cut at the same boundaries, or
//! one side a single partition that every partition of the other meets.

mod probe;
mod rows;
pub(crate) mod table;
mod work;

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use weft_data::{DType, Kind, LayerRef};
use weft_graph::Key;

use crate::error::ExprError;
use crate::exchange::{Exchange, KeyRef, aligned, names};
use crate::expr::{Expr, Field, Schema};
use crate::optimize::Columns;
use crate::portable::ExchangeForm;
use weft_data::Hasher;

pub use probe::{Probe, ProbeColumn};
pub(crate) use work::take_or_missing;

type Result<T> = std::result::Result<T, ExprError>;

/// Which rows a join keeps. Missing keys match missing keys, as in pandas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    Inner,
    Left,
    Right,
    Outer,
    /// Rows of the left table that have a match, once.
    LeftSemi,
    /// Rows of the left table that have none.
    LeftAnti,
}

impl How {
    pub fn from_name(name: &str) -> Option<How> {
        Some(match name {
            "inner" => How::Inner,
            "left" => How::Left,
            "right" => How::Right,
            "outer" => How::Outer,
            "leftsemi" => How::LeftSemi,
            "leftanti" => How::LeftAnti,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            How::Inner => "inner",
            How::Left => "left",
            How::Right => "right",
            How::Outer => "outer",
            How::LeftSemi => "leftsemi",
            How::LeftAnti => "leftanti",
        }
    }

    /// Whether columns of the left (right) table can get missing values.
    fn lacks(self, side: Side) -> bool {
        match side {
            Side::Left => matches!(self, How::Right | How::Outer),
            Side::Right => matches!(self, How::Left | How::Outer),
            Side::Key(_) => false,
        }
    }
}

/// Where a column of the result comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    Left,
    Right,
    /// From both: the key of this number, from the left where there is a left row.
    Key(usize),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JoinColumn {
    pub label: Key,
    pub side: Side,
    /// What the column is called in its table.
    pub source: Key,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JoinSpec {
    pub how: How,
    /// As many for both sides, and of the same dtypes.
    pub left: Vec<KeyRef>,
    pub right: Vec<KeyRef>,
    pub columns: Vec<JoinColumn>,
    /// The keys are the result's index, under this name; else it is a range.
    pub index: Option<Option<Key>>,
}

#[derive(Debug)]
struct Join {
    left: Expr,
    right: Expr,
    spec: JoinSpec,
}

impl Expr {
    /// Joins the partitions of two tables, one by one.
    pub fn join(left: &Expr, right: &Expr, spec: JoinSpec) -> Result<Expr> {
        let n = left.npartitions().max(right.npartitions());
        for (own, other, lacks) in [(left, Side::Right, "right"), (right, Side::Left, "left")] {
            let repeated = own.npartitions() == 1 && n > 1;
            // A row without a match would come out once for each partition of the other side.
            let once = match other {
                Side::Right => matches!(spec.how, How::Inner | How::Right),
                _ => !matches!(spec.how, How::Right | How::Outer),
            };
            if own.npartitions() != n && !(repeated && once) {
                return Err(ExprError::Invalid(format!(
                    "a {} join of {} and {} partitions: {} partitions are needed on the {lacks} side",
                    spec.how.name(),
                    left.npartitions(),
                    right.npartitions(),
                    n
                )));
            }
        }
        let mut fields = Vec::with_capacity(spec.columns.len());
        for column in &spec.columns {
            let table = if column.side == Side::Right { right } else { left };
            let dtype = dtype_of(table, &column.source)?;
            if *dtype == DType::Bool && spec.how.lacks(column.side) {
                return ExprError::unsupported(format!("missing values in the bool column {}", column.label));
            }
            fields.push(Field { label: column.label.clone(), dtype: Some(dtype.clone()) });
        }
        for (left_key, right_key) in spec.left.iter().zip(&spec.right) {
            let of = |table: &Expr, key: &KeyRef| match key {
                KeyRef::Column(label) => dtype_of(table, label).cloned().map(Some),
                KeyRef::Index(_) => Ok(None),
            };
            let (a, b) = (of(left, left_key)?, of(right, right_key)?);
            if [&a, &b].iter().any(|d| matches!(d, Some(DType::Nullable(_) | DType::Arrow(_)))) {
                return ExprError::unsupported("keys of a nullable dtype");
            }
            if let (Some(a), Some(b)) = (a, b)
                && a != b
            {
                return ExprError::unsupported(format!("keys of {a} and {b}"));
            }
        }
        let step = Join { left: left.clone(), right: right.clone(), spec };
        Expr::exchange(step, Schema { fields, kind: Kind::Table }, n)
    }
}

/// A join that was checked in another process.
pub(crate) fn restore(left: Expr, right: Expr, spec: JoinSpec) -> Arc<dyn Exchange> {
    Arc::new(Join { left, right, spec })
}

fn dtype_of<'a>(table: &'a Expr, label: &Key) -> Result<&'a DType> {
    match table.schema().position(label) {
        Some(at) => match &table.schema().fields[at].dtype {
            Some(dtype) => Ok(dtype),
            None => ExprError::unsupported(format!("column {label} holds what only the host can hold")),
        },
        None => Err(ExprError::NoColumn { label: label.clone(), have: table.schema().labels() }),
    }
}

/// A side that has one partition; what is only put together for the join, in its own partitions.
fn gathered(side: &Expr) -> Option<Expr> {
    match side.node() {
        _ if side.npartitions() != 1 => None,
        crate::expr::Node::Exchange(step) => Some(step.gathers().unwrap_or_else(|| side.clone())),
        _ => Some(side.clone()),
    }
}

impl Join {
    /// If only the existence of matches counts: of a table that is much larger than the rows to look up, those keys that
    /// any of them has. All partitions find them side by side, and few are left to be put together.
    fn reduced(&self, rows: &Expr, table: &Expr) -> Option<Expr> {
        let larger = table.npartitions() > 1 && 4.0 * rows.expected_rows()? < table.expected_rows()?;
        if !larger || !matches!(self.spec.how, How::LeftSemi | How::LeftAnti) {
            return None;
        }
        let row_keys = probe::labels(&self.spec.right)?;
        let table_keys = probe::labels(&self.spec.left)?;
        let columns = row_keys.iter().map(|key| ProbeColumn {
            label: key.clone(),
            source: key.clone(),
            from_table: false,
        });
        let columns = columns.collect();
        let own = table.project(row_keys.clone()).ok()?;
        let schema = own.schema().clone();
        let keys = rows.project(table_keys.clone()).ok()?;
        let probe = Probe { rows: own, table: keys, how: How::LeftSemi, row_keys, table_keys, columns };
        Some(probe.expr(schema))
    }
}

impl Exchange for Join {
    fn tag(&self) -> &str {
        "merge"
    }

    fn inputs(&self) -> Vec<Expr> {
        vec![self.left.clone(), self.right.clone()]
    }

    fn token(&self) -> u128 {
        let mut h = Hasher::new("merge");
        h.text(self.spec.how.name()).number(self.spec.left.len() as u64);
        self.spec.left.iter().chain(&self.spec.right).for_each(|key| key.hash(&mut h));
        h.number(self.spec.columns.len() as u64);
        for column in &self.spec.columns {
            h.key(&column.label).key(&column.source);
            h.number(match column.side {
                Side::Left => 0,
                Side::Right => 1,
                Side::Key(i) => 2 + i as u64,
            });
        }
        match &self.spec.index {
            None => h.number(0),
            Some(None) => h.number(1),
            Some(Some(name)) => h.number(2).key(name),
        };
        h.finish()
    }

    fn form(&self) -> ExchangeForm {
        ExchangeForm::Join(self.spec.clone())
    }

    fn describe(&self) -> String {
        format!("merge {} on {}", self.spec.how.name(), names(&self.spec.left))
    }

    fn wants(&self, need: &Columns) -> Vec<Columns> {
        let mut left = Columns::of_keys(&self.spec.left);
        let mut right = Columns::of_keys(&self.spec.right);
        for column in self.spec.columns.iter().filter(|column| need.has(&column.label)) {
            match column.side {
                Side::Left => left.add(&column.source),
                Side::Right => right.add(&column.source),
                Side::Key(_) => {}
            }
        }
        vec![left, right]
    }

    fn with_inputs(&self, inputs: Vec<Expr>, need: &Columns, ordered: bool) -> Result<Expr> {
        let [left, right] = &inputs[..] else {
            return Err(ExprError::Invalid("a join of other than two tables".into()));
        };
        let mut spec = self.spec.clone();
        spec.columns.retain(|column| need.has(&column.label));
        let joined = Expr::join(left, right, spec.clone())?;
        let (left_one, right_one) = (gathered(left), gathered(right));
        let right_one = right_one.map(|table| self.reduced(left, &table).unwrap_or(table));
        let probe = right_one.and_then(|table| Probe::of(left, &table, &spec, false));
        // Looked up from the right, rows come in the order of the right side.
        let smaller = || left.expected_rows() < right.expected_rows();
        let turned = match left_one {
            Some(table) if !ordered && (right.npartitions() > 1 || smaller()) => {
                Probe::of(&table, right, &spec, true)
            }
            _ => None,
        };
        match turned.or(probe) {
            Some(probe) => Ok(probe.expr(joined.schema().clone())),
            None => Ok(joined),
        }
    }

    fn estimated_rows(&self) -> Option<usize> {
        let (left, right) = (self.left.estimated_rows(), self.right.estimated_rows());
        match self.spec.how {
            How::Left | How::LeftSemi | How::LeftAnti => left,
            How::Right => right,
            // As if one side's keys were unique.
            How::Inner | How::Outer => Some(left?.max(right?)),
        }
    }

    fn layer(&self, name: &Key, inputs: Vec<LayerRef>) -> LayerRef {
        let n = self.left.npartitions().max(self.right.npartitions());
        aligned(name.clone(), inputs, n, work::Merge { spec: self.spec.clone() })
    }
}
