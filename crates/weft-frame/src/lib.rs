//! Frame expressions, their optimizer, and kernels with pandas' semantics.
//!
//! An [`Expr`] says what a table, a Series or a scalar is made of. It is immutable, shared, and
//! named by a hash of its content, so equal expressions are one expression. [`lower`] turns
//! expressions into layers of tasks. All outputs that hang on the same rows share one pass:
//! a stage reads its source batch by batch, computes registers while the batch is in cache, and
//! appends to frames or feeds aggregations.
//!
//! What has no native kernel is an [`ExprError::Unsupported`] when the expression is *built*: the
//! host then makes a step of its own from it ([`Expr::host`]), which costs a partition, never a
//! collect.

mod aggregate;
mod build;
mod codec;
mod csv;
mod dtype;
mod error;
mod exchange;
mod explain;
mod expr;
mod join;
pub mod kernel;
mod lower;
mod optimize;
mod origin;
mod parquet;
mod parts;
pub mod plan;
pub mod portable;
mod relabel;
mod scalar;
mod shuffle;
mod sort;
mod source;
mod stage;
mod work;

pub use aggregate::Func;
pub use codec::{frame_from_bytes, frame_to_bytes};
pub use csv::CsvTable;
pub use error::ExprError;
pub use exchange::{Exchange, KeyRef};
pub use expr::{Agg, Arg, Expr, Field, Finish, HostInput, HostReads, HostStep, Node, Schema, Tasks};
pub use kernel::{BinaryOp, DtField, Op, PadSide, TextOp, UnaryOp};

pub use join::{How, JoinColumn, JoinSpec, Probe, ProbeColumn, Side};
pub use lower::lower;
pub use optimize::Columns;
pub use origin::{Lowered, fingerprint, works};
pub use parquet::ParquetTable;
pub use scalar::{Literal, Scalar};
pub use shuffle::By;
pub use sort::SortBy;
pub use source::{Bound, MemorySource, Sink, Source};

/// How to read a partial result on its way between processes, by the name that it goes by.
pub fn decoder(name: &[u8]) -> Option<weft_data::Decode> {
    match name {
        _ if name == work::BUNDLE.as_bytes() => Some(work::decode_bundle),
        _ if name == join::table::LOOK_UP.as_bytes() => Some(join::table::decode_look_up),
        _ => None,
    }
}

/// The hash that identifies a text, for tokens made by the host.
pub fn digest(text: &str) -> u128 {
    weft_data::Hasher::new("token").text(text).finish()
}
