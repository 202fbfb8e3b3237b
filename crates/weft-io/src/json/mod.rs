//! JSON text: lines of objects straight into columns, and fields of objects without the objects.
//!
//! [`Cursor`] walks over values without building anything; an [`Expr`] is a small function of one object that needs
//! only some of its fields. [`Lines::scan`] records where each field
//! of each line is and what kinds of values a column has; [`Lines::column`] then makes an Arrow array of
//! those that have an exact one. What is not plain JSON is left to whoever asked: nothing here decides
//! what an error is.

mod columns;
mod cursor;
mod program;

pub use columns::{Floats, Kinds, Lines, Values};
pub use cursor::{Cursor, Token, Unusual, unescape};
pub use program::{Expr, Op, Record, Scalar};
