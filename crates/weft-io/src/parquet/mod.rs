//! Parquet files: what is in them, cut into partitions of row groups, read column by column.
//!
//! [`ParquetFiles::open`] reads the footers. The caller decides what each column is to be (a pandas
//! dtype for an Arrow type is a question that the host answers) and plans a [`ParquetSource`], whose
//! partitions are runs of row groups. [`ParquetSource::scan`] decodes only the columns asked for and
//! skips row groups whose statistics say that no row can pass the predicates.

mod chunks;
mod convert;
mod files;
mod plan;
mod prune;
mod recipe;
mod scan;

pub use files::{ParquetColumn, ParquetFiles};
pub use plan::{ParquetField, ParquetIndex, ParquetSource, Split};
pub use prune::{Comparison, Limit, Predicate};
pub use recipe::{ParquetRecipe, PlannedParquet};
