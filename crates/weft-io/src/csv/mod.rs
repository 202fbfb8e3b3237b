//! CSV, with pandas' rules and Dask's partitions.
//!
//! Reading has three steps, each a module: [`rows`] finds where rows and fields begin and end,
//! [`column`] parses one column of a piece of the file after the other (so that the branch predictor
//! sees one kind of value at a time), and [`scan`] moves through a partition piece by piece. [`plan`]
//! decides the columns, dtypes and partitions before anything is read in full.
//!
//! Invariants:
//! - A row belongs to the partition in which the line break before it lies, so that every row is
//!   in exactly one partition whatever the block size.
//! - Fields of columns that nobody asked for are never parsed.

mod blocks;
mod column;
mod datetime;
mod header;
mod infer;
mod marks;
mod mismatch;
mod number;
mod options;
mod plan;
mod recipe;
mod rows;
mod scan;

pub use blocks::Block;
pub use options::{ColumnRef, CsvOptions, DtypeMismatch, Encoding, Field, Header, Promotion, UseCols};
pub use plan::CsvSource;
pub use recipe::CsvRecipe;
