//! CSV files as a source of frame expressions, and what their columns turned out to be.
//!
//! A column whose dtype changes in the middle of the data is promoted on a thread that belongs to
//! nobody's call. It is noted here, once for each column and set of files, and said by the thread that
//! takes the results (`take_promotions`).

use std::collections::HashSet;
use std::ops::ControlFlow;

use parking_lot::Mutex;
use pyo3::prelude::*;
use weft_data::TaskError;
use weft_frame::{Expr, Field, Sink, Source};
use weft_io::{CsvSource, Promotion};
use xxhash_rust::xxh3::xxh3_128;

use crate::csv::PyCsvSource;
use crate::frame::{FrameExpr, wrap};

#[derive(Debug, Default)]
struct Promotions {
    /// Digest of a table and position of a column.
    told: Option<HashSet<(u128, usize)>>,
    pending: Vec<Promotion>,
}

static PROMOTIONS: Mutex<Promotions> = Mutex::new(Promotions { told: None, pending: Vec::new() });

#[derive(Debug)]
struct CsvTable {
    source: CsvSource,
    fields: Vec<Field>,
    digest: u128,
}

impl Source for CsvTable {
    fn name(&self) -> &str {
        "read_csv"
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
        let promotions = self.source.scan(partition as usize, columns, &mut |batch| {
            Ok(if sink(batch)? { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if !promotions.is_empty() {
            let mut known = PROMOTIONS.lock();
            for promotion in promotions {
                if known.told.get_or_insert_default().insert((self.digest, promotion.column)) {
                    known.pending.push(promotion);
                }
            }
        }
        Ok(())
    }
}

/// The expression of a planned reading; `token` identifies files and options.
#[pyfunction]
fn frame_csv(source: &PyCsvSource, token: &str) -> PyResult<FrameExpr> {
    let source = source.source.clone();
    let fields = source.schema().iter();
    let fields = fields.map(|f| Field { label: f.label.clone(), dtype: Some(f.dtype.clone()) }).collect();
    let table = CsvTable { source, fields, digest: xxh3_128(token.as_bytes()) };
    wrap(Ok(Expr::source(std::sync::Arc::new(table))))
}

/// (column, path, partition, from, to) of columns that were promoted and that nobody has spoken of.
#[pyfunction]
fn take_promotions() -> Vec<(String, String, usize, String, String)> {
    let pending = std::mem::take(&mut PROMOTIONS.lock().pending);
    let told = |p: Promotion| (p.name, p.path, p.partition, p.from.to_string(), p.to.to_string());
    pending.into_iter().map(told).collect()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(frame_csv, module)?)?;
    module.add_function(wrap_pyfunction!(take_promotions, module)?)
}
