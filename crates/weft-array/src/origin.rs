//! Which expression a layer was lowered from: whoever sends a graph elsewhere sends the expressions, and lowers
//! them there.
//!
//! Most expressions become one layer; reductions and running sums become several, of which the last makes
//! the blocks. Which layers an expression becomes depends on nothing but the expression, so that an expression
//! and a number name the same layer in all processes.

use std::any::Any;
use std::sync::Arc;

use weft_data::{Lane, LayerRef, TaskError, Value, Work, WorkRef};
use weft_graph::{Key, Layer, Rule};

use crate::error::ArrayError;
use crate::expr::Expr;

/// A layer's work, the expression that it was lowered from, and which of its layers it is.
#[derive(Debug)]
struct Made {
    work: WorkRef,
    expr: Expr,
    part: u32,
    /// Its tasks are the expression's blocks.
    last: bool,
}

impl Work for Made {
    fn lane(&self) -> Lane {
        self.work.lane()
    }

    fn name(&self) -> &str {
        self.work.name()
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        self.work.run(index, inputs)
    }

    fn is_alias(&self, index: u32) -> bool {
        self.work.is_alias(index)
    }

    fn is_cheap(&self) -> bool {
        self.work.is_cheap()
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

fn made(layer: &LayerRef) -> Option<&Made> {
    layer.work.as_any()?.downcast_ref::<Made>()
}

/// The expression whose blocks a layer's tasks make, if it was lowered from one.
pub fn origin(layer: &LayerRef) -> Option<&Expr> {
    made(layer).filter(|made| made.last).map(|made| &made.expr)
}

/// The expression that a layer was lowered from, and which of the expression's layers it is.
pub fn part(layer: &LayerRef) -> Option<(&Expr, u32)> {
    made(layer).map(|made| (&made.expr, made.part))
}

/// The layers of one expression, while they are made.
pub(crate) struct Parts {
    expr: Expr,
    layers: Vec<LayerRef>,
}

impl Parts {
    pub fn of(expr: &Expr) -> Parts {
        Parts { expr: expr.clone(), layers: Vec::new() }
    }

    /// A layer on the way to the blocks.
    pub fn step(
        &mut self,
        name: Key,
        inputs: Vec<LayerRef>,
        rule: Rule,
        work: WorkRef,
    ) -> Result<LayerRef, ArrayError> {
        self.push(name, inputs, rule, work, false)
    }

    /// The layer whose tasks are the blocks.
    pub fn last(
        &mut self,
        name: Key,
        inputs: Vec<LayerRef>,
        rule: Rule,
        work: WorkRef,
    ) -> Result<LayerRef, ArrayError> {
        self.push(name, inputs, rule, work, true)
    }

    fn push(
        &mut self,
        name: Key,
        inputs: Vec<LayerRef>,
        rule: Rule,
        work: WorkRef,
        last: bool,
    ) -> Result<LayerRef, ArrayError> {
        let part = self.layers.len() as u32;
        let work = Arc::new(Made { work, expr: self.expr.clone(), part, last });
        let layer =
            Layer::new(name, inputs, rule, work).map_err(|error| ArrayError::Invalid(error.to_string()))?;
        self.layers.push(layer.clone());
        Ok(layer)
    }

    /// Layers that another expression has made count as if they were made again.
    pub fn share(&mut self, layers: &[LayerRef]) {
        self.layers.extend_from_slice(layers);
    }

    pub fn layers(&self) -> &[LayerRef] {
        &self.layers
    }

    pub fn finish(self) -> Vec<LayerRef> {
        self.layers
    }
}
