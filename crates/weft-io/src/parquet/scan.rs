//! Reading a partition: row group by row group, batch by batch.

use std::fs::File;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::Array;
use arrow_schema::{DataType, Field, Fields, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Encoding, Type};
use parquet::file::metadata::ColumnChunkMetaData;
use weft_data::{Column, DType, Frame, Index, TaskError};

use super::chunks::Chunks;
use super::convert;
use super::files::OneFile;
use super::plan::{ParquetField, ParquetIndex, ParquetSource, Piece};
use super::prune::{Predicate, may_pass};
use crate::IoError;

/// Rows of a batch: few enough that some columns stay in cache.
const BATCH: usize = 1 << 14;

/// Takes one batch; says whether it wants more.
pub type Receive<'a> = dyn FnMut(Frame) -> Result<ControlFlow<()>, TaskError> + 'a;

impl ParquetSource {
    /// Streams a partition: the columns asked for, in that order, with their row labels. Row groups without
    /// rows that pass all `predicates` may be left out; what is given is not filtered further.
    pub fn scan(
        &self,
        partition: usize,
        columns: &[usize],
        predicates: &[Predicate],
        with_index: bool,
        receive: &mut Receive<'_>,
    ) -> Result<(), IoError> {
        let plan = &self.plan;
        let piece = &plan.partitions[partition];
        let file = &plan.files.files[piece.file];
        let labels: &[_] = match &plan.index {
            ParquetIndex::Columns(levels) if with_index => levels,
            _ => &[],
        };
        let mut fields: Vec<&ParquetField> = columns.iter().map(|&i| &plan.fields[i]).collect();
        fields.extend(labels.iter().map(|(_, field)| field));
        let leaves: Vec<usize> = fields.iter().filter_map(|field| file.leaf(&field.name)).collect();
        if leaves.len() != fields.len() {
            return Err(corrupt(file, "a column that was planned is not there"));
        }
        let mut start = 0;
        let mut given = false;
        let handle = match leaves.is_empty() {
            true => None,
            false => Some(self.open(file)?),
        };
        for &group in &piece.groups {
            let metadata = file.metadata.row_group(group);
            let rows = metadata.num_rows() as usize;
            let passes = predicates.iter().all(|predicate| {
                let leaf = file.leaf(&plan.fields[predicate.column].name);
                leaf.is_none_or(|leaf| may_pass(metadata, leaf, predicate))
            });
            if passes && rows > 0 {
                given = true;
                let flow = match &handle {
                    // Only the number of rows is wanted.
                    None => receive(Frame::new(Vec::new(), range(piece, &plan.index, start), rows))
                        .map_err(IoError::Sink)?,
                    Some(handle) => {
                        let group = Group { file, handle, group, fields: &fields, leaves: &leaves };
                        group.read(|arrays, offset, rows| {
                            let (values, levels) = split(arrays, columns.len());
                            let index = match labels.is_empty() {
                                true => range(piece, &plan.index, start + offset),
                                false => Index::Columns(
                                    labels.iter().map(|(name, _)| name.clone()).zip(levels).collect(),
                                ),
                            };
                            receive(Frame::new(values, index, rows)).map_err(IoError::Sink)
                        })?
                    }
                };
                if flow.is_break() {
                    return Ok(());
                }
            }
            start += rows;
        }
        if !given {
            // An empty batch tells the dtypes.
            let empty = fields.iter().map(|field| empty(field)).collect();
            let (values, levels) = split(empty, columns.len());
            let index = match labels.is_empty() {
                true => range(piece, &plan.index, 0),
                false => Index::Columns(labels.iter().map(|(name, _)| name.clone()).zip(levels).collect()),
            };
            let _ = receive(Frame::new(values, index, 0)).map_err(IoError::Sink)?;
        }
        Ok(())
    }

    fn open(&self, file: &OneFile) -> Result<File, IoError> {
        let handle = File::open(&file.path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => IoError::NotFound { path: file.path.clone(), planned: true },
            _ => IoError::Read { path: file.path.clone(), reason: error.to_string() },
        })?;
        let found = handle.metadata().map_or(0, |metadata| metadata.len());
        match found == file.length {
            true => Ok(handle),
            false => Err(IoError::Changed { path: file.path.clone(), expected: file.length, found }),
        }
    }
}

fn split(mut columns: Vec<Column>, at: usize) -> (Vec<Column>, Vec<Column>) {
    let rest = columns.split_off(at);
    (columns, rest)
}

fn range(piece: &Piece, index: &ParquetIndex, rows: usize) -> Index {
    match index {
        ParquetIndex::Range { start, step } if piece.whole => {
            Index::Range { start: start + rows as i64 * step, step: *step }
        }
        _ => Index::Range { start: rows as i64, step: 1 },
    }
}

fn corrupt(file: &OneFile, error: impl std::fmt::Display) -> IoError {
    IoError::Parquet { path: file.path.clone(), reason: error.to_string() }
}

/// A column without rows.
fn empty(field: &ParquetField) -> Column {
    use arrow_schema::DataType as A;
    use weft_data::ArrowType;
    fn stored(dtype: &DType) -> A {
        match dtype {
            DType::Bool | DType::Arrow(ArrowType::Bool) => A::Boolean,
            DType::Int8 => A::Int8,
            DType::Int16 => A::Int16,
            DType::Int32 => A::Int32,
            DType::UInt8 => A::UInt8,
            DType::UInt16 => A::UInt16,
            DType::UInt32 => A::UInt32,
            DType::UInt64 => A::UInt64,
            DType::Float32 => A::Float32,
            DType::Float64 | DType::Arrow(ArrowType::Double) => A::Float64,
            DType::Str => A::LargeUtf8,
            DType::Nullable(inner) => stored(inner),
            DType::Arrow(ArrowType::Date) => A::Date32,
            DType::Arrow(ArrowType::Decimal { precision, scale }) => A::Decimal128(*precision, *scale),
            DType::Int64 | DType::Datetime { .. } | DType::Timedelta(_) | DType::Arrow(ArrowType::Int64) => {
                A::Int64
            }
        }
    }
    let values = arrow_array::new_empty_array(&stored(&field.dtype));
    Column { label: field.label.clone(), dtype: field.dtype.clone(), values }
}

/// The columns of one row group.
struct Group<'a> {
    file: &'a OneFile,
    handle: &'a File,
    group: usize,
    fields: &'a [&'a ParquetField],
    leaves: &'a [usize],
}

impl Group<'_> {
    fn read(
        &self,
        mut visit: impl FnMut(Vec<Column>, usize, usize) -> Result<ControlFlow<()>, IoError>,
    ) -> Result<ControlFlow<()>, IoError> {
        let file = self.file;
        let metadata = file.metadata.row_group(self.group);
        let ranges = self.leaves.iter().map(|&leaf| metadata.column(leaf).byte_range()).collect();
        let chunks = Chunks::read(self.handle, file.length, ranges)
            .map_err(|error| IoError::Read { path: file.path.clone(), reason: error.to_string() })?;
        let options = ArrowReaderOptions::new().with_schema(Arc::new(self.schema()));
        let loaded = ArrowReaderMetadata::try_new(file.metadata.clone(), options)
            .map_err(|error| corrupt(file, error))?;
        let mask =
            ProjectionMask::leaves(file.metadata.file_metadata().schema_descr(), self.leaves.iter().copied());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, loaded)
            .with_row_groups(vec![self.group])
            .with_projection(mask)
            .with_batch_size(BATCH)
            .build()
            .map_err(|error| corrupt(file, error))?;
        let mut done = 0;
        for batch in reader {
            let batch = batch.map_err(|error| corrupt(file, error))?;
            let columns = self.fields.iter().map(|field| {
                let array = batch.column_by_name(&field.name);
                let found = array.and_then(|array| convert::column(array, &field.dtype));
                match found {
                    Some((dtype, values)) => Ok(Column { label: field.label.clone(), dtype, values }),
                    None => Err(IoError::Column {
                        path: file.path.clone(),
                        column: field.name.clone(),
                        expected: field.dtype.to_string(),
                        found: array.map_or_else(
                            || "no such column".to_owned(),
                            |array| {
                                format!("{} with {} missing values", array.data_type(), array.null_count())
                            },
                        ),
                    }),
                }
            });
            let flow = visit(columns.collect::<Result<_, _>>()?, done, batch.num_rows())?;
            if flow.is_break() {
                return Ok(flow);
            }
            done += batch.num_rows();
        }
        Ok(ControlFlow::Continue(()))
    }

    /// What to decode columns to: text stays codes into a dictionary where the file has it so, and decimals stay
    /// integers of 64 bits.
    fn schema(&self) -> Schema {
        let metadata = self.file.metadata.row_group(self.group);
        let fields = self.file.schema.fields().iter().map(|field| {
            let text = DataType::LargeUtf8;
            let kind = match field.data_type() {
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                    let leaf = self.file.leaf(field.name());
                    match leaf.is_some_and(|leaf| is_coded(metadata.column(leaf))) {
                        true => DataType::Dictionary(Box::new(DataType::Int32), Box::new(text)),
                        false => text,
                    }
                }
                DataType::Decimal128(precision, scale) => {
                    let physical =
                        self.file.leaf(field.name()).map(|leaf| metadata.column(leaf).column_type());
                    match physical {
                        Some(Type::INT64) => DataType::Decimal64(*precision, *scale),
                        _ => field.data_type().clone(),
                    }
                }
                other => other.clone(),
            };
            Arc::new(Field::new(field.name(), kind, field.is_nullable()))
        });
        Schema::new(fields.collect::<Fields>())
    }
}

/// Whether all data pages hold codes into one dictionary.
fn is_coded(chunk: &ColumnChunkMetaData) -> bool {
    if chunk.dictionary_page_offset().is_none() {
        return false;
    }
    chunk.page_encoding_stats_mask().is_some_and(|mask| {
        mask.is_only(Encoding::RLE_DICTIONARY) || mask.is_only(Encoding::PLAIN_DICTIONARY)
    })
}
