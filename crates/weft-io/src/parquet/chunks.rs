//! The bytes of a row group's columns, read in one go.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Whole column chunks of one file, by offset: pages are cut out of them without a copy.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    length: u64,
    /// Ascending by offset.
    parts: Arc<[(u64, Bytes)]>,
}

impl Chunks {
    /// Reads `ranges` (offset, length) of a file of `length` bytes.
    pub fn read(file: &File, length: u64, mut ranges: Vec<(u64, u64)>) -> std::io::Result<Chunks> {
        ranges.sort_unstable();
        let mut parts = Vec::with_capacity(ranges.len());
        for (offset, size) in ranges {
            let mut buffer = vec![0; size as usize];
            file.read_exact_at(&mut buffer, offset)?;
            parts.push((offset, Bytes::from(buffer)));
        }
        Ok(Chunks { length, parts: parts.into() })
    }

    fn from(&self, start: u64) -> Result<Bytes> {
        let at = self.parts.partition_point(|(offset, _)| *offset <= start);
        match at.checked_sub(1).map(|at| &self.parts[at]) {
            Some((offset, bytes)) if start - offset <= bytes.len() as u64 => {
                Ok(bytes.slice((start - offset) as usize..))
            }
            _ => Err(ParquetError::EOF(format!("no column has byte {start}"))),
        }
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Chunks {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.from(start)?;
        match bytes.len() >= length {
            true => Ok(bytes.slice(..length)),
            false => Err(ParquetError::EOF(format!("{length} bytes at {start} leave their column"))),
        }
    }
}
