//! What a lowering is made of, so that another process can do it again.

use std::any::Any;
use std::sync::Arc;

use weft_data::{LayerRef, Recipe, WorkRef, remember};
use weft_graph::Key;

use crate::error::ExprError;
use crate::expr::{Expr, Node};
use crate::portable::{self, HostReader, HostWriter, PortableError, Written};
use weft_data::Hasher;

/// Expressions that were lowered together: optimized, with the names of what the user has in hand.
#[derive(Debug)]
pub struct Lowered {
    pub(crate) exprs: Vec<(Expr, Key)>,
}

impl Recipe for Lowered {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Lowered {
    /// A layer for each expression, and all of them by number.
    pub(crate) fn layers(self: &Arc<Self>) -> Result<weft_data::Remembered, ExprError> {
        let tops = crate::lower::lower_plain(&self.exprs)?;
        let recipe: Arc<dyn Recipe> = self.clone();
        Ok(remember(&tops, &self.foreign(), &recipe))
    }

    /// Layers of other collections among those below.
    fn foreign(&self) -> Vec<LayerRef> {
        let mut seen = hashbrown::HashSet::new();
        let mut found = Vec::new();
        let mut pending: Vec<Expr> = self.exprs.iter().map(|(expr, _)| expr.clone()).collect();
        while let Some(expr) = pending.pop() {
            if !seen.insert(expr.digest()) {
                continue;
            }
            if let Node::Host(step) = expr.node()
                && let Some(tasks) = &step.tasks
            {
                found.extend(tasks.layers.iter().cloned());
            }
            pending.extend(expr.node().inputs());
        }
        found
    }

    /// The recipe as bytes, for [`Lowered::read`].
    pub fn write(&self, host: &mut dyn HostWriter) -> Result<Written, PortableError> {
        portable::write(&self.exprs, host)
    }

    pub fn read(
        steps: &[u8],
        blobs: &[&[u8]],
        host: &mut dyn HostReader,
    ) -> Result<Arc<Lowered>, PortableError> {
        Ok(Arc::new(Lowered { exprs: portable::read(steps, blobs, host)? }))
    }

    /// All its layers, by number.
    pub fn all(self: &Arc<Self>) -> Result<Vec<LayerRef>, ExprError> {
        Ok(self.layers()?.layers)
    }
}

/// What the tasks of a recipe's layers do, by number.
pub fn works(layers: &[LayerRef]) -> Vec<WorkRef> {
    layers.iter().map(|layer| layer.work.clone()).collect()
}

/// Identifies layers by their names, in order: two processes that have lowered the same compare it.
pub fn fingerprint(layers: &[LayerRef]) -> u128 {
    let mut h = Hasher::new("layers");
    for layer in layers {
        h.key(&layer.name).text(layer.work.name()).number(layer.len() as u64);
    }
    h.finish()
}
