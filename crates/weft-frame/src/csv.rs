//! CSV files as a source.

use std::ops::ControlFlow;
use std::sync::Arc;

use parking_lot::Mutex;
use weft_data::TaskError;
use weft_graph::Key;
use weft_io::{CsvSource, Promotion};

use crate::expr::{Expr, Field};
use crate::portable::{FileForm, PortableError, SourceForm, Writer};
use crate::source::{Sink, Source};
use weft_data::Hasher;

/// A planned CSV source as a table, and what reading it found out.
#[derive(Debug)]
pub struct CsvTable {
    source: CsvSource,
    name: String,
    digest: u128,
    fields: Vec<Field>,
    promotions: Mutex<Vec<Promotion>>,
}

impl CsvTable {
    /// `name` is what keys start with; `token` identifies what the paths and the schema do not: the
    /// options, and the files' times of change.
    pub fn new(source: CsvSource, name: &str, token: &str) -> Arc<Self> {
        let mut h = Hasher::new("csv");
        h.text(token);
        for path in source.paths() {
            h.text(path);
        }
        for block in source.blocks() {
            h.number(block.file as u64).number(block.start).number(block.end.unwrap_or(u64::MAX));
        }
        let fields = fields(&source);
        for field in &fields {
            h.key(&field.label).text(&format!("{:?}", field.dtype));
        }
        let promotions = Mutex::new(Vec::new());
        Arc::new(CsvTable { source, name: name.to_owned(), digest: h.finish(), fields, promotions })
    }

    /// A source that was planned in another process.
    pub(crate) fn restore(source: CsvSource, name: String, digest: u128) -> Arc<Self> {
        let fields = fields(&source);
        Arc::new(CsvTable { source, name, digest, fields, promotions: Mutex::default() })
    }

    pub fn expr(self: &Arc<Self>) -> Expr {
        Expr::source(self.clone())
    }
}

fn fields(source: &CsvSource) -> Vec<Field> {
    let field =
        |field: &weft_io::Field| Field { label: field.label.clone(), dtype: Some(field.dtype.clone()) };
    source.schema().iter().map(field).collect()
}

impl Source for CsvTable {
    fn name(&self) -> &str {
        &self.name
    }

    fn digest(&self) -> u128 {
        self.digest
    }

    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn npartitions(&self) -> u32 {
        self.source.partitions() as u32
    }

    fn scan(&self, partition: u32, columns: &[usize], sink: &mut Sink<'_>) -> Result<(), TaskError> {
        let promoted = self.source.scan(partition as usize, columns, &mut |batch| {
            Ok(if sink(batch)? { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if !promoted.is_empty() {
            self.promotions.lock().extend(promoted);
        }
        Ok(())
    }

    fn form(&self, writer: &mut Writer<'_>) -> Result<SourceForm, PortableError> {
        let files = self.source.files().iter().map(|file| FileForm::of(&**file, writer));
        let files = files.collect::<Result<_, _>>()?;
        let (name, digest) = (self.name.clone(), self.digest);
        Ok(SourceForm::Csv { name, digest, recipe: Box::new(self.source.recipe()), files })
    }

    fn take_promotions(&self) -> Vec<(Promotion, Key)> {
        let label = |promotion: &Promotion| self.fields[promotion.column].label.clone();
        std::mem::take(&mut *self.promotions.lock()).into_iter().map(|p| (p.clone(), label(&p))).collect()
    }
}
