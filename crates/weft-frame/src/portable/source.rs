//! Sources: files travel as what was planned, frames in memory as themselves.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weft_io::{ByteSource, CsvRecipe, CsvSource, LocalFile, ParquetRecipe};

use super::{PortableError, Reader, Result, Writer, damaged};
use crate::codec;
use crate::csv::CsvTable;
use crate::expr::Field;
use crate::parquet::ParquetTable;
use crate::source::{MemorySource, Source};

/// What a [`Source`] is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum SourceForm {
    Csv { name: String, digest: u128, recipe: Box<CsvRecipe>, files: Vec<FileForm> },
    Parquet { digest: u128, recipe: ParquetRecipe },
    Memory(MemoryForm),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FileForm {
    Local(String),
    /// The number of a blob of the host's.
    Host(u32),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemoryForm {
    pub(crate) name: String,
    pub(crate) digest: u128,
    pub(crate) fields: Vec<Field>,
    /// Rows of each partition.
    pub(crate) rows: Vec<u64>,
    /// The blob of each partition: its number of batches, and they; none, if tasks get their partitions.
    pub(crate) blobs: Option<Vec<u32>>,
}

impl FileForm {
    pub(crate) fn of(file: &dyn ByteSource, writer: &mut Writer<'_>) -> Result<FileForm> {
        if let Some(path) = file.local_path() {
            return Ok(FileForm::Local(absolute(path)));
        }
        let bytes = writer.host.file(file).map_err(|reason| {
            let step = format!("the file {}", file.path());
            PortableError::Host { step, reason }
        })?;
        Ok(FileForm::Host(writer.blob(bytes)))
    }
}

/// Other processes may work in another directory.
pub(crate) fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

impl MemoryForm {
    pub(crate) fn of(source: &MemorySource, writer: &mut Writer<'_>) -> Result<MemoryForm> {
        let n = source.npartitions();
        let rows = (0..n).map(|i| source.rows(i).unwrap_or(0) as u64).collect();
        let blobs = match (writer.host.with_data(), source.batches()) {
            (false, _) => None,
            (true, None) => {
                let reason = "its partitions are in another process".to_owned();
                return Err(PortableError::Native { step: source.name().to_owned(), reason });
            }
            (true, Some(partitions)) => {
                let mut numbers = Vec::with_capacity(partitions.len());
                for batches in partitions {
                    let mut bytes = Vec::new();
                    codec::write_number(&mut bytes, batches.len() as u64)?;
                    batches.iter().try_for_each(|batch| codec::write_frame(&mut bytes, batch))?;
                    numbers.push(writer.blob(bytes));
                }
                Some(numbers)
            }
        };
        Ok(MemoryForm {
            name: source.name().to_owned(),
            digest: source.digest(),
            fields: source.fields().to_vec(),
            rows,
            blobs,
        })
    }
}

impl SourceForm {
    pub(super) fn restore(self, reader: &mut Reader<'_>) -> Result<Arc<dyn Source>> {
        match self {
            SourceForm::Csv { name, digest, recipe, files } => {
                let mut opened: Vec<Arc<dyn ByteSource>> = Vec::with_capacity(files.len());
                for file in files {
                    opened.push(match file {
                        FileForm::Local(path) => Arc::new(LocalFile::new(path)),
                        FileForm::Host(number) => reader.host.file(reader.blob(number)?).map_err(damaged)?,
                    });
                }
                let source = CsvSource::restore(*recipe, opened);
                let source = source.ok_or_else(|| damaged("a plan of other files"))?;
                Ok(CsvTable::restore(source, name, digest))
            }
            SourceForm::Parquet { digest, recipe } => {
                let table = ParquetTable::restore(recipe, digest);
                Ok(table.ok_or_else(|| damaged("a plan of other files"))?)
            }
            SourceForm::Memory(form) => {
                let Some(blobs) = form.blobs else {
                    let rows = form.rows.iter().map(|&rows| rows as usize).collect();
                    return Ok(Arc::new(MemorySource::apart(form.name, form.digest, form.fields, rows)));
                };
                let mut partitions = Vec::with_capacity(blobs.len());
                for number in blobs {
                    let mut bytes = reader.blob(number)?;
                    let count = codec::read_number(&mut bytes)?;
                    let batches = (0..count).map(|_| Ok(Arc::new(codec::read_frame(&mut bytes)?)));
                    partitions.push(batches.collect::<Result<Vec<_>>>()?);
                }
                Ok(Arc::new(MemorySource::new(&form.name, form.digest, form.fields, partitions)))
            }
        }
    }
}
