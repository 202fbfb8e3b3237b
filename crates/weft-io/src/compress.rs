//! Compressed files, read as a stream.

use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::sync::Arc;

use crate::source::ReadAt;
use crate::{ByteSource, IoError};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Compression {
    /// By the extension of each file.
    #[default]
    Infer,
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

impl Compression {
    /// The format of one file; `None` for plain bytes.
    pub fn resolve(self, path: &str) -> Compression {
        if self != Compression::Infer {
            return self;
        }
        match path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).as_deref() {
            Some("gz") => Compression::Gzip,
            Some("bz2") => Compression::Bzip2,
            Some("xz") => Compression::Xz,
            Some("zst") => Compression::Zstd,
            _ => Compression::None,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Bzip2 => "bzip2",
            Compression::Xz => "xz",
            Compression::Zstd => "zstd",
            Compression::Infer | Compression::None => "plain",
        }
    }
}

/// The bytes of a source in order, decompressed.
pub(crate) struct Stream {
    path: String,
    compression: Compression,
    reader: Reader,
    /// Decompressed bytes so far.
    position: u64,
}

enum Reader {
    Plain(Box<dyn ReadAt>),
    Decoder(Box<dyn Read + Send>),
}

impl Stream {
    /// Opens `source` at `offset` of its decompressed bytes, which compressed files must read to get there.
    pub(crate) fn open(
        source: &Arc<dyn ByteSource>,
        compression: Compression,
        offset: u64,
    ) -> Result<Self, IoError> {
        let compression = compression.resolve(source.path());
        let plain = source.open()?;
        let raw = || io::BufReader::with_capacity(1 << 18, Sequential { inner: source.open(), offset: 0 });
        let failed =
            |error: io::Error| IoError::Read { path: source.path().into(), reason: error.to_string() };
        let reader = match compression {
            Compression::None | Compression::Infer => Reader::Plain(plain),
            Compression::Gzip => Reader::Decoder(Box::new(flate2::bufread::MultiGzDecoder::new(raw()))),
            Compression::Bzip2 => Reader::Decoder(Box::new(bzip2::bufread::MultiBzDecoder::new(raw()))),
            Compression::Xz => {
                Reader::Decoder(Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(raw())))
            }
            Compression::Zstd => {
                Reader::Decoder(Box::new(zstd::stream::read::Decoder::with_buffer(raw()).map_err(failed)?))
            }
        };
        let path = source.path().to_string();
        let mut stream = Stream { path, compression, reader, position: 0 };
        if stream.is_plain() {
            stream.position = offset;
        } else {
            stream.skip(offset)?;
        }
        Ok(stream)
    }

    fn skip(&mut self, mut count: u64) -> Result<(), IoError> {
        let mut buffer = [0; 1 << 12];
        while count > 0 {
            let part = count.min(buffer.len() as u64) as usize;
            let n = self.read(&mut buffer[..part])?;
            if n == 0 {
                break;
            }
            count -= n as u64;
        }
        Ok(())
    }

    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.reader, Reader::Plain(_))
    }

    /// Fills `buffer`; fewer bytes than asked for mean the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, IoError> {
        let done = match &mut self.reader {
            Reader::Plain(file) => file.read_at(self.position, buffer)?,
            Reader::Decoder(decoder) => {
                let mut done = 0;
                while done < buffer.len() {
                    match decoder.read(&mut buffer[done..]) {
                        Ok(0) => break,
                        Ok(n) => done += n,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => {
                            return Err(IoError::Truncated {
                                path: self.path.clone(),
                                format: self.compression.label(),
                                read: self.position + done as u64,
                                reason: error.to_string(),
                            });
                        }
                    }
                }
                done
            }
        };
        self.position += done as u64;
        Ok(done)
    }
}

/// The compressed bytes in order.
struct Sequential {
    inner: Result<Box<dyn ReadAt>, IoError>,
    offset: u64,
}

impl Read for Sequential {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let file = self.inner.as_mut().map_err(|error| io::Error::other(error.to_string()))?;
        let n = file.read_at(self.offset, buffer).map_err(|error| io::Error::other(error.to_string()))?;
        self.offset += n as u64;
        Ok(n)
    }
}
