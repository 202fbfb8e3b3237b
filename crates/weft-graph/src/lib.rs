//! Task graphs: keys, layers, and the algorithms over them.
//!
//! A graph is described by [`Layer`]s (rules that expand to tasks) and run as a [`Dag`] (the
//! tasks themselves, as integers). Everything expensive works on the `Dag`: a compressed sparse
//! row table of dependencies in which a task is a [`TaskId`]. What a task *does* is opaque here:
//! a layer carries a work `W` that this crate never looks into.
//!
//! | step | function |
//! | --- | --- |
//! | tasks that some outputs need, from layers | [`expand`] |
//! | the same, from a [`Dag`] | [`cull`] |
//! | one task for each key | [`share_equal_keys`] |
//! | does it end? | [`find_cycle`], [`topological_order`] |
//! | which tasks could be one | [`fuse`] |
//! | what runs first | [`order`], measured by [`Pressure`] |
//! | what it looks like | [`picture`] |
//!
//! ```
//! use weft_graph::{Axis, Key, Layer, Pressure, Read, Rule, expand, order};
//!
//! // x is a 4 × 4 grid of blocks, y = f(x, xᵀ), and z reduces y along its first axis.
//! let name = Key::from;
//! let x = Layer::new(name("x"), vec![], Rule::Grid { shape: vec![4, 4], reads: vec![] }, ())?;
//! let along = |own| Axis::Along { own, offset: 0 };
//! let straight = Read { input: 0, axes: vec![along(0), along(1)] };
//! let transposed = Read { input: 0, axes: vec![along(1), along(0)] };
//! let rule = Rule::Grid { shape: vec![4, 4], reads: vec![straight, transposed] };
//! let y = Layer::new(name("y"), vec![x], rule, ())?;
//! let rule = Rule::Grid { shape: vec![4], reads: vec![Read { input: 0, axes: vec![Axis::All, along(0)] }] };
//! let z = Layer::new(name("z"), vec![y], rule, ())?;
//!
//! // Column 2 of z needs 4 blocks of y, and those need 7 of x.
//! let tasks = expand(&[(z, 2)]);
//! assert_eq!(tasks.dag.len(), 1 + 4 + 7);
//! assert_eq!(tasks.key(tasks.outputs[0]).to_string(), "('z', 2)");
//!
//! let priorities = order(&tasks.dag)?;
//! assert!(Pressure::of(&tasks.dag, &priorities).peak() <= 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate does no I/O, reads no clock, spawns nothing, and knows no Python and no Arrow.

mod cull;
mod cycle;
mod dag;
mod expand;
mod fuse;
mod key;
mod layer;
mod order;
pub mod picture;
mod pressure;
mod share;
mod walk;

pub use cull::{Culled, cull};
pub use cycle::{Cycle, find_cycle, topological_order};
pub use dag::{Dag, DagBuilder, TaskId};
pub use expand::{Expanded, Origin, expand};
pub use fuse::{Fused, fuse};
pub use key::Key;
pub use layer::{Axis, Layer, LayerError, LayerRef, Read, Rule};
pub use order::order;
pub use pressure::Pressure;
pub use share::share_equal_keys;
