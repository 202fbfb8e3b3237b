//! Chunk algebra, array expressions and their optimizer, fused kernels.
//!
//! An [`Expr`] says what an array is made of, block by block. It is immutable, shared, and named by
//! a hash of its content, so equal expressions are one expression. [`lower`] turns expressions
//! into layers whose tasks are blocks.
//!
//! How an array is cut is a [`Chunks`]: the extents of its blocks along each axis. An extent may be
//! unknown until the block has been computed; the algebra says where that matters.
//!
//! What has no kernel here is a step of the host on blocks ([`HostStep`]): it costs a block, never
//! the whole array.

mod build;
mod chunks;
mod compose;
mod error;
mod explain;
mod expr;
mod fuse;
pub mod kernel;
mod lower;
mod optimize;
mod origin;
pub mod plan;
mod random;
mod rechunk;
mod regrid;
mod restore;
mod running;
mod select;
mod tree;
mod work;

pub use build::Operand;
pub use chunks::{AxisChunks, Chunks, Size};
pub use error::ArrayError;
pub use expr::{Expr, HostReads, HostStep, Meta, Op, Step, StepArg, Tasks};
pub use lower::{Lowered, layer_of, lower, parts};
pub use optimize::optimize;
pub use origin::{origin, part};
pub use random::{Seeds, Uniform};
pub use select::{Pick, Run, SelectAxis, Selection};
pub use work::decoder;

/// The hash that identifies a text, for tokens made by the host.
pub fn digest(text: &str) -> u128 {
    weft_data::Hasher::new("token").text(text).finish()
}
