//! Where bytes come from.

use std::any::Any;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::IoError;

/// Bytes with an address: a local file, an object in a store, a file-like of the host language.
///
/// Reads may come from many threads at once.
pub trait ByteSource: Send + Sync + fmt::Debug {
    /// What messages and the path column call it.
    fn path(&self) -> &str;

    /// Its length in bytes, as stored (compressed).
    fn len(&self) -> Result<u64, IoError>;

    fn is_empty(&self) -> Result<bool, IoError> {
        Ok(self.len()? == 0)
    }

    /// Opens it for a sequence of reads.
    fn open(&self) -> Result<Box<dyn ReadAt>, IoError>;

    /// Whether reading calls into the host language.
    fn needs_host(&self) -> bool {
        false
    }

    /// Where it is, if it is a file that every process of this machine can open.
    fn local_path(&self) -> Option<&Path> {
        None
    }

    /// For the host, which knows its own.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }

    /// Whether a read costs little more than a copy: then the head of every file is looked at while planning.
    fn is_near(&self) -> bool {
        false
    }
}

/// One opened source.
pub trait ReadAt: Send {
    /// Fills `buffer` from `offset` on; fewer bytes than asked for mean the end.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, IoError>;
}

/// A file of this machine.
#[derive(Debug, Clone)]
pub struct LocalFile {
    path: PathBuf,
    text: String,
}

impl LocalFile {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = path.to_string_lossy().into_owned();
        LocalFile { path, text }
    }

    fn failed(&self, error: &io::Error) -> IoError {
        match error.kind() {
            io::ErrorKind::NotFound => IoError::NotFound { path: self.text.clone(), planned: false },
            _ => IoError::Read { path: self.text.clone(), reason: error.to_string() },
        }
    }
}

impl ByteSource for LocalFile {
    fn path(&self) -> &str {
        &self.text
    }

    fn len(&self) -> Result<u64, IoError> {
        let metadata = std::fs::metadata(&self.path).map_err(|error| self.failed(&error))?;
        if metadata.is_dir() {
            return Err(IoError::Read { path: self.text.clone(), reason: "it is a directory".into() });
        }
        Ok(metadata.len())
    }

    fn open(&self) -> Result<Box<dyn ReadAt>, IoError> {
        let file = File::open(&self.path).map_err(|error| self.failed(&error))?;
        Ok(Box::new(OpenFile { file, source: self.clone() }))
    }

    fn local_path(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn is_near(&self) -> bool {
        true
    }
}

struct OpenFile {
    file: File,
    source: LocalFile,
}

impl ReadAt for OpenFile {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, IoError> {
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.source.failed(&error)),
            }
        }
        Ok(done)
    }
}

/// Bytes that are in memory already.
#[derive(Debug, Clone)]
pub struct MemorySource {
    name: String,
    bytes: Arc<[u8]>,
}

impl MemorySource {
    pub fn new(name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        MemorySource { name: name.into(), bytes: bytes.into() }
    }
}

impl ByteSource for MemorySource {
    fn path(&self) -> &str {
        &self.name
    }

    fn len(&self) -> Result<u64, IoError> {
        Ok(self.bytes.len() as u64)
    }

    fn open(&self) -> Result<Box<dyn ReadAt>, IoError> {
        Ok(Box::new(OpenMemory(self.bytes.clone())))
    }

    fn is_near(&self) -> bool {
        true
    }
}

struct OpenMemory(Arc<[u8]>);

impl ReadAt for OpenMemory {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, IoError> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        let n = buffer.len().min(self.0.len() - start);
        buffer[..n].copy_from_slice(&self.0[start..start + n]);
        Ok(n)
    }
}
