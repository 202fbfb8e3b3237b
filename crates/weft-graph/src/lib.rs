//! Task graphs: keys, layers, and the algorithms over them.
//!
//! A graph is described by [`Layer`]s (rules that expand to tasks) and run as a [`Dag`] (the
//! tasks themselves, as integers). Everything expensive works on the `Dag`: a compressed sparse
//! row table of dependencies in which a task is a [`TaskId`]. What a task *does* is opaque here:
//! a layer carries a work `W` that this crate never looks into.
//!
//! This crate does no I/O, reads no clock, spawns nothing, and knows no Python and no Arrow.

mod dag;
mod key;
mod layer;

pub use dag::{Dag, DagBuilder, TaskId};
pub use key::Key;
pub use layer::{Axis, Expanded, Layer, LayerRef, Origin, Read, Rule, expand};
