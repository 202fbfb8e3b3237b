//! Footers: schemas, row groups, statistics.

use std::fs::File;
use std::sync::Arc;

use arrow_schema::{DataType, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Compression;
use parquet::file::metadata::ParquetMetaData;

use crate::IoError;

/// Files with the same columns, their footers read.
#[derive(Clone, Debug)]
pub struct ParquetFiles {
    pub(super) files: Arc<[OneFile]>,
}

#[derive(Debug)]
pub(super) struct OneFile {
    pub path: String,
    pub length: u64,
    pub metadata: Arc<ParquetMetaData>,
    /// What the Parquet types are in Arrow, whatever a writer noted in the metadata.
    pub schema: Schema,
}

/// A column of the first file.
#[derive(Clone, Debug)]
pub struct ParquetColumn {
    pub name: String,
    pub kind: DataType,
    /// Missing values in all files; `None`: a file does not say.
    pub missing: Option<u64>,
}

fn failed(path: &str, error: impl std::fmt::Display) -> IoError {
    IoError::Parquet { path: path.to_owned(), reason: error.to_string() }
}

impl ParquetFiles {
    /// Reads the footers of local files.
    ///
    /// # Errors
    /// [`IoError::Unsupported`] if a file is compressed in a way that is not read here; else what is wrong
    /// with the file.
    pub fn open(paths: Vec<String>) -> Result<ParquetFiles, IoError> {
        let files = paths.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
        match files.is_empty() {
            true => Err(IoError::NoFiles { pattern: "an empty list of paths".into() }),
            false => Ok(ParquetFiles { files: files.into() }),
        }
    }

    /// The top-level columns, in the order of the first file.
    pub fn columns(&self) -> Vec<ParquetColumn> {
        let fields = self.files[0].schema.fields();
        let column = |field: &arrow_schema::FieldRef| ParquetColumn {
            name: field.name().clone(),
            kind: field.data_type().clone(),
            missing: self.files.iter().map(|file| file.missing(field.name())).sum(),
        };
        fields.iter().map(column).collect()
    }

    /// Bytes of all row groups when unpacked.
    pub fn nbytes(&self) -> u64 {
        let groups = self.files.iter().flat_map(|file| file.metadata.row_groups());
        groups.map(|group| group.total_byte_size().max(0) as u64).sum()
    }

    /// Number of rows of all files.
    pub fn rows(&self) -> usize {
        self.files.iter().map(|file| file.metadata.file_metadata().num_rows() as usize).sum()
    }
}

impl OneFile {
    /// The leaf column called `name`, if it is a top-level column without parts.
    pub fn leaf(&self, name: &str) -> Option<usize> {
        let descriptor = self.metadata.file_metadata().schema_descr();
        (0..descriptor.num_columns()).find(|&leaf| {
            let parts = descriptor.column(leaf).path().parts().to_vec();
            matches!(&parts[..], [own] if own == name)
        })
    }

    fn missing(&self, name: &str) -> Option<u64> {
        let leaf = self.leaf(name)?;
        let descriptor = self.metadata.file_metadata().schema_descr();
        if descriptor.column(leaf).max_def_level() == 0 {
            return Some(0);
        }
        let groups = self.metadata.row_groups().iter();
        groups.map(|group| group.column(leaf).statistics()?.null_count_opt()).sum()
    }
}

fn open(path: String) -> Result<OneFile, IoError> {
    let file = File::open(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => IoError::NotFound { path: path.clone(), planned: false },
        _ => IoError::Read { path: path.clone(), reason: error.to_string() },
    })?;
    let length = file.metadata().map_err(|error| failed(&path, error))?.len();
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let loaded = ArrowReaderMetadata::load(&file, options).map_err(|error| failed(&path, error))?;
    let metadata = loaded.metadata().clone();
    for group in metadata.row_groups() {
        if let Some(column) = group.columns().iter().find(|column| !is_known(column.compression())) {
            let reason = format!("{path} is compressed with {}", column.compression());
            return Err(IoError::Unsupported { reason });
        }
    }
    Ok(OneFile { path, length, schema: loaded.schema().as_ref().clone(), metadata })
}

fn is_known(compression: Compression) -> bool {
    matches!(
        compression,
        Compression::UNCOMPRESSED
            | Compression::SNAPPY
            | Compression::GZIP(_)
            | Compression::ZSTD(_)
            | Compression::LZ4
            | Compression::LZ4_RAW
    )
}
