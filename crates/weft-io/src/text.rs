//! Text in pieces of whole lines.
//!
//! A partition of text is a list of pieces of files. [`TextReader`] reads them one after the other and
//! hands out strings of about a megabyte that end where a line does, so that memory stays bounded
//! whatever the size of the files. A piece that is cut out of a file begins after the first line
//! break at or after its offset, and ends with the first at or after its end: neighbours fit.

use std::collections::VecDeque;
use std::sync::Arc;

use memchr::{memchr, memrchr};

use crate::compress::Stream;
use crate::{ByteSource, Compression, IoError, LocalFile};

/// How much is read at a time.
const CHUNK: usize = 1 << 20;

/// A whole file, or a run of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPiece {
    pub path: String,
    pub compression: Compression,
    pub offset: u64,
    /// `None`: the whole file.
    pub length: Option<u64>,
}

/// Why there is no more text.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[error(transparent)]
    Io(#[from] IoError),
    /// These bytes are no UTF-8; `before` says how many lines of the piece came before them.
    #[error("{path}: not UTF-8")]
    NotUtf8 { path: String, before: u64, bytes: Vec<u8> },
}

/// The text of pieces of files, in chunks of whole lines.
pub struct TextReader {
    pieces: VecDeque<TextPiece>,
    /// Whether all usual line breaks become `\n`.
    universal: bool,
    open: Option<Open>,
}

struct Open {
    path: String,
    stream: Stream,
    /// Read, but the line goes on.
    rest: Vec<u8>,
    /// Where in the file `rest` begins.
    position: u64,
    /// The first line break at or after this ends the piece.
    limit: Option<u64>,
    /// Whether the line that the piece begins within is still to be skipped.
    skip: bool,
    lines: u64,
}

impl TextReader {
    pub fn new(pieces: impl IntoIterator<Item = TextPiece>, universal: bool) -> Self {
        TextReader { pieces: pieces.into_iter().collect(), universal, open: None }
    }

    /// The next lines; `None`: that was all.
    pub fn read(&mut self) -> Result<Option<String>, TextError> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(piece) = self.pieces.pop_front() else { return Ok(None) };
                self.open = Some(Open::new(piece)?);
                continue;
            };
            let Some(mut bytes) = open.read()? else {
                self.open = None;
                continue;
            };
            if bytes.is_empty() {
                continue;
            }
            if self.universal && memchr(b'\r', &bytes).is_some() {
                bytes = with_newlines(&bytes);
            }
            let before = open.lines;
            return match String::from_utf8(bytes) {
                Ok(text) => {
                    open.lines += memchr::memchr_iter(b'\n', text.as_bytes()).count() as u64;
                    Ok(Some(text))
                }
                Err(error) => {
                    Err(TextError::NotUtf8 { path: open.path.clone(), before, bytes: error.into_bytes() })
                }
            };
        }
    }
}

impl Open {
    fn new(piece: TextPiece) -> Result<Self, IoError> {
        let source: Arc<dyn ByteSource> = Arc::new(LocalFile::new(&piece.path));
        // A directory opens, and fails when it is read: this says what it is.
        source.len()?;
        let stream = Stream::open(&source, piece.compression, piece.offset)?;
        Ok(Open {
            path: piece.path,
            stream,
            rest: Vec::new(),
            position: piece.offset,
            limit: piece.length.map(|length| piece.offset + length),
            skip: piece.offset > 0,
            lines: 0,
        })
    }

    /// More whole lines; `None` at the end of the piece.
    fn read(&mut self) -> Result<Option<Vec<u8>>, IoError> {
        loop {
            if self.limit.is_some_and(|limit| !self.skip && self.position > limit) {
                return Ok(None);
            }
            let known = self.rest.len();
            self.rest.resize(known + CHUNK, 0);
            let n = self.stream.read(&mut self.rest[known..])?;
            self.rest.truncate(known + n);
            let at_end = n < CHUNK;
            if self.skip {
                match memchr(b'\n', &self.rest[known..]) {
                    Some(at) => {
                        self.rest.drain(..=known + at);
                        self.position += (known + at) as u64 + 1;
                        self.skip = false;
                        if self.limit.is_some_and(|limit| self.position > limit) {
                            return Ok(None);
                        }
                    }
                    None if at_end => return Ok(None),
                    None => {
                        self.position += self.rest.len() as u64;
                        self.rest.clear();
                        continue;
                    }
                }
            }
            if let Some(limit) = self.limit {
                let from = usize::try_from(limit.saturating_sub(self.position)).unwrap_or(usize::MAX);
                if let Some(at) = self.rest.get(from..).and_then(|tail| memchr(b'\n', tail)) {
                    self.rest.truncate(from + at + 1);
                    self.position = u64::MAX;
                    return Ok(Some(std::mem::take(&mut self.rest)));
                }
            }
            if at_end {
                let last = std::mem::take(&mut self.rest);
                // What comes next finds the end of the file again.
                self.position += last.len() as u64;
                return Ok((!last.is_empty()).then_some(last));
            }
            if let Some(at) = memrchr(b'\n', &self.rest) {
                let tail = self.rest.split_off(at + 1);
                self.position += self.rest.len() as u64;
                return Ok(Some(std::mem::replace(&mut self.rest, tail)));
            }
        }
    }
}

/// `\r\n` and `\r` as `\n`.
fn with_newlines(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for at in memchr::memchr_iter(b'\r', bytes) {
        out.extend_from_slice(&bytes[from..at]);
        if bytes.get(at + 1) != Some(&b'\n') {
            out.push(b'\n');
        }
        from = at + 1;
    }
    out.extend_from_slice(&bytes[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &std::path::Path, pieces: &[(u64, Option<u64>)], universal: bool) -> Vec<String> {
        let piece = |&(offset, length): &(u64, Option<u64>)| TextPiece {
            path: path.to_string_lossy().into_owned(),
            compression: Compression::None,
            offset,
            length,
        };
        pieces
            .iter()
            .map(|p| {
                let mut reader = TextReader::new([piece(p)], universal);
                let mut text = String::new();
                while let Some(more) = reader.read().unwrap() {
                    text += &more;
                }
                text
            })
            .collect()
    }

    #[test]
    fn pieces_of_any_size_hold_every_line_once() {
        let path = std::env::temp_dir().join(format!("weft-text-{}", std::process::id()));
        for text in ["", "\n", "a", "a\n", "one\n\nthree\nfour", "ab\ncdefgh\ni\n\n\nj\n"] {
            std::fs::write(&path, text).unwrap();
            for size in 1..=text.len().max(1) as u64 {
                let cuts: Vec<_> =
                    (0..text.len() as u64).step_by(size as usize).map(|o| (o, Some(size))).collect();
                let found = read(&path, &cuts, true);
                assert_eq!(found.concat(), text, "in pieces of {size}");
                let whole: Vec<_> = found.iter().filter(|piece| !piece.is_empty()).collect();
                for piece in &whole[..whole.len().saturating_sub(1)] {
                    assert!(piece.ends_with('\n'));
                }
            }
            assert_eq!(read(&path, &[(0, None)], true), [text]);
        }
        std::fs::write(&path, "a\r\nb\rc\n\r").unwrap();
        assert_eq!(read(&path, &[(0, None)], true), ["a\nb\nc\n\n"]);
        assert_eq!(read(&path, &[(0, None)], false), ["a\r\nb\rc\n\r"]);
        let long = format!("{}\n{}", "x".repeat(CHUNK + 7), "y\n".repeat(CHUNK));
        std::fs::write(&path, &long).unwrap();
        assert_eq!(read(&path, &[(0, None)], true), [long.as_str()]);
        let half = long.len() as u64 / 2;
        assert_eq!(read(&path, &[(0, Some(half)), (half, Some(half))], true).concat(), long);
        std::fs::remove_file(&path).unwrap();
    }
}
