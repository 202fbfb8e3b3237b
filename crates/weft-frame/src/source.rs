//! Where rows come from.

use std::fmt;
use std::sync::Arc;

use weft_data::{ErrorKind, Frame, TaskError};
use weft_graph::Key;
use weft_io::Promotion;

use crate::expr::Field;
use crate::kernel::BinaryOp;
use crate::portable::{MemoryForm, PortableError, SourceForm, Writer};
use crate::scalar::Scalar;

/// Takes one batch of rows, with the columns asked for in the order asked for. Returns whether
/// it wants more.
pub type Sink<'a> = dyn FnMut(Frame) -> Result<bool, TaskError> + 'a;

/// A condition that rows must meet to be looked at: `column op value`.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// Position among the source's fields.
    pub column: usize,
    pub op: BinaryOp,
    pub value: &'a Scalar,
}

/// A table on disk or in memory, in partitions that can be read alone.
pub trait Source: Send + Sync + fmt::Debug {
    /// What its keys start with: `read_csv`.
    fn name(&self) -> &str;

    /// Content hash: what it reads and how.
    fn digest(&self) -> u128;

    /// Every column, with the dtype that its batches have unless they meet data that needs more.
    fn fields(&self) -> &[Field];

    fn npartitions(&self) -> u32;

    /// Streams partition `partition` in batches that stay in cache, `columns` only (indices into
    /// [`Source::fields`]). The frames' index is a range from 0 over the whole partition, or
    /// columns. A column's dtype may differ between batches.
    fn scan(&self, partition: u32, columns: &[usize], sink: &mut Sink<'_>) -> Result<(), TaskError>;

    /// As [`Source::scan`]; rows that fail one of `bounds` may be left out, and so may the row labels
    /// unless `with_index`.
    fn scan_where(
        &self,
        partition: u32,
        columns: &[usize],
        _bounds: &[Bound<'_>],
        _with_index: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(), TaskError> {
        self.scan(partition, columns, sink)
    }

    /// Columns that needed another dtype than promised, with their labels, since the last call.
    fn take_promotions(&self) -> Vec<(Promotion, Key)> {
        Vec::new()
    }

    /// For other processes.
    fn form(&self, writer: &mut Writer<'_>) -> Result<SourceForm, PortableError>;

    /// The batches of a partition, if they are in memory.
    fn in_memory(&self, _partition: u32) -> Option<&[Arc<Frame>]> {
        None
    }

    /// Whether tasks get their partitions from whoever runs them, because they are in no file that a scan
    /// could read.
    fn is_apart(&self) -> bool {
        false
    }

    /// Number of rows of a partition, if it is known without reading.
    fn rows(&self, _partition: u32) -> Option<usize> {
        None
    }
}

/// Frames in memory, one for each partition; each holds all fields in order.
#[derive(Debug)]
pub struct MemorySource {
    name: String,
    digest: u128,
    fields: Vec<Field>,
    /// Rows of each partition.
    rows: Vec<usize>,
    /// Batches of each partition; `None`: they are elsewhere.
    partitions: Option<Vec<Vec<Arc<Frame>>>>,
}

impl MemorySource {
    /// `digest` identifies the content.
    pub fn new(name: &str, digest: u128, fields: Vec<Field>, partitions: Vec<Vec<Arc<Frame>>>) -> Self {
        let rows = partitions.iter().map(|batches| batches.iter().map(|batch| batch.rows()).sum()).collect();
        MemorySource { name: name.to_owned(), digest, fields, rows, partitions: Some(partitions) }
    }

    /// A source whose frames are in another process.
    pub(crate) fn apart(name: String, digest: u128, fields: Vec<Field>, rows: Vec<usize>) -> Self {
        MemorySource { name, digest, fields, rows, partitions: None }
    }

    pub(crate) fn batches(&self) -> Option<&[Vec<Arc<Frame>>]> {
        self.partitions.as_deref()
    }
}

impl Source for MemorySource {
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
        self.rows.len() as u32
    }

    fn scan(&self, partition: u32, columns: &[usize], sink: &mut Sink<'_>) -> Result<(), TaskError> {
        let Some(batches) = self.in_memory(partition) else {
            let message = format!("partition {partition} of {} is in another process", self.name);
            return Err(TaskError::native(ErrorKind::Runtime, message));
        };
        for batch in batches {
            let picked = columns.iter().map(|&c| batch.columns[c].clone()).collect();
            if !sink(Frame::new(picked, batch.index.clone(), batch.rows()))? {
                break;
            }
        }
        Ok(())
    }

    fn rows(&self, partition: u32) -> Option<usize> {
        self.rows.get(partition as usize).copied()
    }

    fn form(&self, writer: &mut Writer<'_>) -> Result<SourceForm, PortableError> {
        MemoryForm::of(self, writer).map(SourceForm::Memory)
    }

    fn in_memory(&self, partition: u32) -> Option<&[Arc<Frame>]> {
        self.partitions.as_ref()?.get(partition as usize).map(Vec::as_slice)
    }

    fn is_apart(&self) -> bool {
        self.partitions.is_none()
    }
}
