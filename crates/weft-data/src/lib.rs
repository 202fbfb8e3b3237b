//! Values, what tasks do with them, and where they are kept.
//!
//! A [`Value`] is what a task returns: a frame, a block of an array, bytes, or an object of the host language that
//! only the host understands. [`Work`] is what the tasks of one layer do. The [`Store`] keeps values
//! within a memory budget: it spills what is needed last to disk and reads it back when asked.
//!
//! No Python here: an object of the host is an [`Object`], which knows its size and how to
//! become bytes and back.

mod allocator;
mod array;
mod digest;
mod error;
mod frame;
mod ipc;
pub mod memory;
mod origin;
mod sizes;
mod spill;
mod store;
mod value;
mod work;

pub use array::{Borrow, NdArray, NdType, OutOfMemory, Shape, Strides, c_strides};
pub use digest::Hasher;
pub use error::{CodecError, DataError, ErrorKind, TaskError};
pub use frame::{ArrowType, Column, DType, Frame, Index, Kind, TimeUnit};
pub use origin::{Origin, Recipe, Remembered, remember};
pub use store::{Again, NEVER, Reservation, Store, StoreStats, Ticket};
pub use value::{Decode, Object, Value};
pub use work::{Lane, LayerRef, Work, WorkRef};
