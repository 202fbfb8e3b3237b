//! Which expression a layer was lowered from: whoever sends a graph elsewhere sends the expression, and lowers
//! it there.

use std::any::Any;
use std::sync::Arc;

use weft_data::{Lane, LayerRef, TaskError, Value, Work, WorkRef};

use crate::expr::Expr;

/// A layer's work, and the expression whose blocks it makes.
#[derive(Debug)]
struct Made {
    work: WorkRef,
    expr: Expr,
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

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// The expression whose blocks a layer's tasks make, if it was lowered from one.
pub fn origin(layer: &LayerRef) -> Option<&Expr> {
    Some(&layer.work.as_any()?.downcast_ref::<Made>()?.expr)
}

/// The layer, which remembers that it makes the blocks of `expr`.
pub(crate) fn remember(mut layer: LayerRef, expr: &Expr) -> LayerRef {
    // A layer that somebody else holds has a memory of its own.
    if let Some(layer) = Arc::get_mut(&mut layer) {
        layer.work = Arc::new(Made { work: layer.work.clone(), expr: expr.clone() });
    }
    layer
}
