//! Steps on whole partitions: row labels as columns, and rows that are kept for several passes.

use std::sync::Arc;

use weft_data::{Column, DType, Frame, Hasher, Index, Kind, LayerRef, TaskError, Value, Work};
use weft_graph::Key;

use crate::error::ExprError;
use crate::exchange::{Exchange, KeyRef, aligned, frame};
use crate::expr::{Expr, Field, Schema};
use crate::optimize::Columns;
use crate::portable::ExchangeForm;

type Result<T> = std::result::Result<T, ExprError>;

impl Expr {
    /// The labels as columns of these names and dtypes, before the others; each partition counts from zero.
    /// Without `levels` the labels are dropped.
    pub fn reset_index(&self, levels: Vec<(Key, DType)>) -> Result<Expr> {
        let mut fields: Vec<Field> = levels
            .iter()
            .map(|(label, dtype)| Field { label: label.clone(), dtype: Some(dtype.clone()) })
            .collect();
        fields.extend(self.schema().fields.iter().cloned());
        let kind = match (self.schema().kind, levels.is_empty()) {
            (kind, true) => kind,
            (Kind::Table | Kind::Series { named: true }, false) => Kind::Table,
            _ => return ExprError::unsupported("reset_index of a Series without a name"),
        };
        let labels = fields.iter().map(|field| &field.label).collect::<std::collections::HashSet<_>>();
        if labels.len() < fields.len() {
            return Err(ExprError::Unsupported("a label that is a column already".into()));
        }
        let step = ResetIndex { input: self.clone(), levels };
        Expr::exchange(step, Schema { fields, kind }, self.npartitions())
    }
}

/// Steps that were checked in another process.
pub(crate) fn restore_reset(input: Expr, levels: Vec<(Key, DType)>) -> Arc<dyn Exchange> {
    Arc::new(ResetIndex { input, levels })
}

pub(crate) fn restore_hold(input: Expr) -> Arc<dyn Exchange> {
    Arc::new(Hold { input })
}

#[derive(Debug)]
struct ResetIndex {
    input: Expr,
    levels: Vec<(Key, DType)>,
}

impl Exchange for ResetIndex {
    fn tag(&self) -> &str {
        "reset_index"
    }

    fn inputs(&self) -> Vec<Expr> {
        vec![self.input.clone()]
    }

    fn token(&self) -> u128 {
        let mut h = Hasher::new("reset_index");
        for (label, dtype) in &self.levels {
            h.key(label).dtype(dtype);
        }
        h.finish()
    }

    fn form(&self) -> ExchangeForm {
        ExchangeForm::ResetIndex { levels: self.levels.clone() }
    }

    fn describe(&self) -> String {
        "index to columns".to_owned()
    }

    fn wants(&self, need: &Columns) -> Vec<Columns> {
        // A Series must stay one.
        vec![if self.input.schema().kind == Kind::Table { need.clone() } else { Columns::All }]
    }

    fn with_inputs(&self, inputs: Vec<Expr>, _need: &Columns, _ordered: bool) -> Result<Expr> {
        inputs[0].reset_index(self.levels.clone())
    }

    fn layer(&self, name: &Key, inputs: Vec<LayerRef>) -> LayerRef {
        let kind = self.input.schema().kind;
        let work = Reset { labels: self.levels.iter().map(|(label, _)| label.clone()).collect(), kind };
        aligned(name.clone(), inputs, self.input.npartitions(), work)
    }
}

#[derive(Debug)]
struct Reset {
    labels: Vec<Key>,
    kind: Kind,
}

impl Work for Reset {
    fn name(&self) -> &str {
        "reset_index"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        let input = frame(&inputs[0])?;
        let mut columns = Vec::with_capacity(self.labels.len() + input.columns.len());
        for (level, label) in self.labels.iter().enumerate() {
            let vector = KeyRef::Index(level).values(input)?;
            columns.push(Column { label: label.clone(), dtype: vector.dtype, values: vector.values });
        }
        columns.extend(input.columns.iter().cloned());
        let kind = if self.labels.is_empty() { self.kind } else { Kind::Table };
        let index = Index::Range { start: 0, step: 1 };
        Ok(Value::Frame(Arc::new(Frame::new(columns, index, input.rows()).with_kind(kind))))
    }
}

impl Expr {
    /// The same rows, made once for all passes that read them.
    pub(crate) fn hold(&self) -> Result<Expr> {
        Expr::exchange(Hold { input: self.clone() }, self.schema().clone(), self.npartitions())
    }
}

#[derive(Debug)]
struct Hold {
    input: Expr,
}

impl Exchange for Hold {
    fn tag(&self) -> &str {
        "hold"
    }

    fn inputs(&self) -> Vec<Expr> {
        vec![self.input.clone()]
    }

    fn token(&self) -> u128 {
        Hasher::new("hold").finish()
    }

    fn form(&self) -> ExchangeForm {
        ExchangeForm::Hold
    }

    fn describe(&self) -> String {
        "rows kept for several passes".to_owned()
    }

    fn wants(&self, need: &Columns) -> Vec<Columns> {
        vec![need.clone()]
    }

    fn with_inputs(&self, inputs: Vec<Expr>, _need: &Columns, _ordered: bool) -> Result<Expr> {
        inputs[0].hold()
    }

    fn layer(&self, name: &Key, inputs: Vec<LayerRef>) -> LayerRef {
        aligned(name.clone(), inputs, self.input.npartitions(), Held)
    }
}

#[derive(Debug)]
struct Held;

impl Work for Held {
    fn name(&self) -> &str {
        "hold"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        Ok(inputs[0].clone())
    }

    fn is_alias(&self, _index: u32) -> bool {
        true
    }
}
