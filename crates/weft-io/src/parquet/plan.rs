//! Which columns are read as what, and which row groups are one partition.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use arrow_schema::DataType;
use weft_data::DType;
use weft_graph::Key;

use super::convert;
use super::files::ParquetFiles;
use crate::IoError;

/// A column, and what it is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParquetField {
    pub label: Key,
    /// What the files call it.
    pub name: String,
    pub dtype: DType,
}

/// The row labels of partitions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ParquetIndex {
    /// `start, start + step, …` in each file that is read whole; else from 0.
    Range { start: i64, step: i64 },
    /// Columns, each under a name or none.
    Columns(Vec<(Option<Key>, ParquetField)>),
}

/// How row groups become partitions. A partition never spans files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    Files,
    /// So many row groups of a file.
    Groups(usize),
    /// Row groups of a file, at least one, as long as they have no more bytes than this when unpacked.
    Bytes(u64),
}

/// Parquet files as columns and partitions.
#[derive(Clone, Debug)]
pub struct ParquetSource {
    pub(super) plan: Arc<Plan>,
}

#[derive(Debug)]
pub(super) struct Plan {
    pub files: ParquetFiles,
    pub fields: Vec<ParquetField>,
    pub index: ParquetIndex,
    pub partitions: Vec<Piece>,
}

/// Row groups of one file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Piece {
    pub file: usize,
    pub groups: Vec<usize>,
    pub rows: usize,
    pub whole: bool,
}

impl ParquetSource {
    /// # Errors
    /// [`IoError::Unsupported`] if a column cannot be read as its dtype; [`IoError::Column`] if a file lacks a
    /// column, or has it with another type than the first file.
    pub fn plan(
        files: ParquetFiles,
        fields: Vec<ParquetField>,
        index: ParquetIndex,
        split: Split,
    ) -> Result<ParquetSource, IoError> {
        let labels: &[_] = match &index {
            ParquetIndex::Range { .. } => &[],
            ParquetIndex::Columns(levels) => levels,
        };
        for field in fields.iter().chain(labels.iter().map(|(_, field)| field)) {
            check(&files, field)?;
        }
        let mut partitions = Vec::new();
        for (i, file) in files.files.iter().enumerate() {
            let groups = file.metadata.row_groups();
            let all = groups.len();
            let piece = |from: usize, to: usize| Piece {
                file: i,
                groups: (from..to).collect(),
                rows: groups[from..to].iter().map(|group| group.num_rows() as usize).sum(),
                whole: to - from == all,
            };
            let (mut from, mut bytes) = (0, 0);
            for (at, group) in groups.iter().enumerate() {
                let own = group.total_byte_size().max(0) as u64;
                let full = match split {
                    Split::Files => false,
                    Split::Groups(n) => at - from >= n.max(1),
                    Split::Bytes(most) => bytes + own > most,
                };
                if full && at > from {
                    partitions.push(piece(from, at));
                    (from, bytes) = (at, 0);
                }
                bytes += own;
            }
            // A file without row groups is an empty partition.
            if from < all || all == 0 {
                partitions.push(piece(from, all));
            }
        }
        Ok(ParquetSource { plan: Arc::new(Plan { files, fields, index, partitions }) })
    }

    pub fn fields(&self) -> &[ParquetField] {
        &self.plan.fields
    }

    pub fn index(&self) -> &ParquetIndex {
        &self.plan.index
    }

    pub fn partitions(&self) -> usize {
        self.plan.partitions.len()
    }

    /// Number of rows of a partition.
    pub fn rows(&self, partition: usize) -> usize {
        self.plan.partitions[partition].rows
    }

    /// Path and row groups of each partition.
    pub fn pieces(&self) -> impl Iterator<Item = (&str, &[usize])> {
        let files = &self.plan.files.files;
        self.plan.partitions.iter().map(|piece| (files[piece.file].path.as_str(), &piece.groups[..]))
    }
}

fn check(files: &ParquetFiles, field: &ParquetField) -> Result<(), IoError> {
    let mut expected: Option<&DataType> = None;
    for file in files.files.iter() {
        let column = |found: String, expected: String| IoError::Column {
            path: file.path.clone(),
            column: field.name.clone(),
            expected,
            found,
        };
        let found =
            file.schema.field_with_name(&field.name).ok().filter(|_| file.leaf(&field.name).is_some());
        let Some(found) = found else {
            let names: Vec<&str> = file.schema.fields().iter().map(|field| field.name().as_str()).collect();
            return Err(column(
                format!("columns {}", names.join(", ")),
                format!("a column of {}", field.dtype),
            ));
        };
        let kind = found.data_type();
        match expected {
            Some(expected) if expected != kind => {
                return Err(column(kind.to_string(), expected.to_string()));
            }
            _ => expected = Some(kind),
        }
        if !convert::reads(kind, &field.dtype) {
            let reason = format!("column {} of {}: {kind} as {}", field.name, file.path, field.dtype);
            return Err(IoError::Unsupported { reason });
        }
    }
    Ok(())
}
