//! JSON text: lines of objects straight into columns, and fields of objects without the objects.
//!
//! [`Cursor`] walks over values without building anything. [`Lines::scan`] records where each field
//! of each line is and what kinds of values a column has; [`Lines::column`] then makes an Arrow array of
//! those that have an exact one. What is not plain JSON is left to whoever asked: nothing here decides
//! what an error is.

mod columns;
mod cursor;

pub use columns::{Floats, Kinds, Lines, Values};
pub use cursor::{Cursor, Token, Unusual, unescape};
