//! Kernels: fused elementwise programs, run tile by tile, and reductions of what they give.
//!
//! A tile is a few thousand elements that stay in cache: every instruction runs over the tile before
//! the next tile is touched, so nothing between the operands and the result is ever written to
//! memory. Operands that lie together are read where they are; others (strided, transposed,
//! broadcast) are gathered into a register first.

pub mod arg;
mod gather;
mod number;
mod ops;
mod pairs;
mod program;
pub mod reduce;
pub mod scan;
mod tile;
mod ufunc;

pub use number::{Bits, Element, Num, Scalar};
pub use ops::{fold, least, most};
pub use pairs::Then;
pub use program::{Instr, Program, Slot};
pub use tile::{Count, Elements, Source, Tile, View, elementwise, tiles};
pub use ufunc::Ufunc;
