//! Byte sources and readers: files, compression, blocks that end at line breaks, CSV, Parquet.
//!
//! A [`ByteSource`] is anything with a length that can be read at an offset: a local file, or
//! whatever a host language plugs in. [`CsvSource::plan`] looks at the head of the first file and at
//! the size of each, and says what columns and partitions there are; [`CsvSource::scan`] reads one
//! partition piece by piece and hands out batches that stay in cache.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::ops::ControlFlow;
//! use weft_io::{CsvOptions, CsvSource};
//! # let directory = std::env::temp_dir().join(format!("weft-io-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&directory)?;
//! # let path = directory.join("a.csv");
//! std::fs::write(&path, "zone,fare\n7,12.5\n9,3.25\n")?;
//! let source = CsvSource::plan(&[path.to_string_lossy()], CsvOptions::default())?;
//! let mut rows = 0;
//! source.scan(0, &[1], &mut |batch| {
//!     rows += batch.rows();
//!     Ok(ControlFlow::Continue(()))
//! })?;
//! assert_eq!((source.partitions(), rows), (1, 2));
//! # std::fs::remove_dir_all(&directory)?;
//! # Ok(())
//! # }
//! ```

mod compress;
mod csv;
mod error;
pub mod json;
mod parquet;
mod paths;
mod source;
mod text;
mod words;

pub use compress::Compression;
pub use csv::{
    Block, ColumnRef, CsvOptions, CsvRecipe, CsvSource, DtypeMismatch, Encoding, Field, Header, Promotion,
    UseCols,
};
pub use error::{ColumnMismatch, IoError, Mismatch, ValueErrorKind};
pub use parquet::{
    Comparison, Limit, ParquetColumn, ParquetField, ParquetFiles, ParquetIndex, ParquetRecipe, ParquetSource,
    PlannedParquet, Predicate, Split,
};
pub use paths::expand_paths;
pub use source::{ByteSource, LocalFile, MemorySource, ReadAt};
pub use text::{TextError, TextPiece, TextReader};
pub use words::{Counts, is_space, next_word};
