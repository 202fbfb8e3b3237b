//! Parquet files as a source.

use std::ops::ControlFlow;
use std::sync::Arc;

use weft_data::{ArrowType, DType, TaskError};
use weft_io::{Comparison, Limit, ParquetIndex, ParquetRecipe, ParquetSource, PlannedParquet, Predicate};

use crate::expr::{Expr, Field};
use crate::kernel::BinaryOp;
use crate::portable::{PortableError, SourceForm, Writer};
use crate::scalar::Scalar;
use crate::source::{Bound, Sink, Source};
use weft_data::Hasher;

/// Planned here, or in another process.
#[derive(Debug)]
enum Rows {
    Here(ParquetSource),
    There(PlannedParquet),
}

/// A planned Parquet source as a table.
#[derive(Debug)]
pub struct ParquetTable {
    source: Rows,
    digest: u128,
    fields: Vec<Field>,
}

impl ParquetTable {
    /// `token` identifies what paths and columns do not: the files' times of change.
    pub fn new(source: ParquetSource, token: &str) -> Arc<Self> {
        let mut h = Hasher::new("parquet");
        h.text(token);
        for (path, groups) in source.pieces() {
            h.text(path).number(groups.len() as u64);
            groups.iter().for_each(|&group| {
                h.number(group as u64);
            });
        }
        for field in source.fields() {
            h.key(&field.label).text(&field.name).dtype(&field.dtype);
        }
        match source.index() {
            ParquetIndex::Range { start, step } => {
                h.number(*start as u64).number(*step as u64);
            }
            ParquetIndex::Columns(levels) => {
                for (name, field) in levels {
                    h.text(&format!("{name:?}")).text(&field.name).dtype(&field.dtype);
                }
            }
        }
        let fields = fields(source.fields());
        Arc::new(ParquetTable { digest: h.finish(), fields, source: Rows::Here(source) })
    }

    /// A source that was planned in another process; `None`: the plan makes no sense.
    pub(crate) fn restore(recipe: ParquetRecipe, digest: u128) -> Option<Arc<Self>> {
        let source = PlannedParquet::new(recipe)?;
        let fields = fields(source.fields());
        Some(Arc::new(ParquetTable { digest, fields, source: Rows::There(source) }))
    }

    pub fn expr(self: &Arc<Self>) -> Expr {
        Expr::source(self.clone())
    }

    /// A condition in the terms of the file, if its statistics can tell.
    fn predicate(&self, bound: &Bound<'_>) -> Option<Predicate> {
        let comparison = match bound.op {
            BinaryOp::Eq => Comparison::Eq,
            BinaryOp::Lt => Comparison::Lt,
            BinaryOp::Le => Comparison::Le,
            BinaryOp::Gt => Comparison::Gt,
            BinaryOp::Ge => Comparison::Ge,
            _ => return None,
        };
        let limit = match (self.fields[bound.column].dtype.as_ref()?, bound.value) {
            (DType::Arrow(ArrowType::Date), Scalar::Date(days)) => Limit::Int(*days as i64),
            (dtype, Scalar::Int(value)) if dtype.is_signed() => Limit::Int(*value),
            (DType::Float64, Scalar::Float(value)) => Limit::Float(*value),
            (DType::Float64, Scalar::Int(value)) => Limit::Float(*value as f64),
            (DType::Str, Scalar::Str(text)) => Limit::Text(text.to_string()),
            (DType::Datetime { unit, .. }, Scalar::Datetime { value, unit: own, .. })
                if unit.per_second() >= own.per_second() =>
            {
                Limit::Int(value.checked_mul(unit.per_second() / own.per_second())?)
            }
            _ => return None,
        };
        Some(Predicate { column: bound.column, comparison, limit })
    }
}

fn fields(fields: &[weft_io::ParquetField]) -> Vec<Field> {
    let field = |field: &weft_io::ParquetField| Field {
        label: field.label.clone(),
        dtype: Some(field.dtype.clone()),
    };
    fields.iter().map(field).collect()
}

impl Source for ParquetTable {
    fn name(&self) -> &str {
        "read_parquet"
    }

    fn digest(&self) -> u128 {
        self.digest
    }

    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn npartitions(&self) -> u32 {
        match &self.source {
            Rows::Here(source) => source.partitions() as u32,
            Rows::There(source) => source.partitions() as u32,
        }
    }

    fn scan(&self, partition: u32, columns: &[usize], sink: &mut Sink<'_>) -> Result<(), TaskError> {
        self.scan_where(partition, columns, &[], true, sink)
    }

    fn scan_where(
        &self,
        partition: u32,
        columns: &[usize],
        bounds: &[Bound<'_>],
        with_index: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(), TaskError> {
        let predicates: Vec<Predicate> = bounds.iter().filter_map(|bound| self.predicate(bound)).collect();
        let partition = partition as usize;
        let receive =
            &mut |batch| Ok(if sink(batch)? { ControlFlow::Continue(()) } else { ControlFlow::Break(()) });
        match &self.source {
            Rows::Here(source) => source.scan(partition, columns, &predicates, with_index, receive)?,
            Rows::There(source) => source.scan(partition, columns, &predicates, with_index, receive)?,
        }
        Ok(())
    }

    fn rows(&self, partition: u32) -> Option<usize> {
        Some(match &self.source {
            Rows::Here(source) => source.rows(partition as usize),
            Rows::There(source) => source.rows(partition as usize),
        })
    }

    fn form(&self, _writer: &mut Writer<'_>) -> Result<SourceForm, PortableError> {
        let recipe = match &self.source {
            Rows::Here(source) => source.recipe(),
            Rows::There(source) => source.recipe().clone(),
        };
        Ok(SourceForm::Parquet { digest: self.digest, recipe })
    }
}
