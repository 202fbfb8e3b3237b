//! What layers were lowered from: whoever sends a graph elsewhere sends the recipe, and lowers it there.
//!
//! A recipe makes the same layers wherever it is lowered, so a layer is known by its number among them.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use weft_graph::Layer;

use crate::{Lane, LayerRef, TaskError, Value, Work, WorkRef};

/// Expressions that come to the same layers in every process.
pub trait Recipe: Any + Send + Sync + fmt::Debug {
    fn as_any(&self) -> &dyn Any;
}

/// Where a layer comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    pub recipe: &'a Arc<dyn Recipe>,
    /// Which of the recipe's layers it is.
    pub number: u32,
}

/// A layer's work that remembers where it comes from.
#[derive(Debug)]
struct Made {
    work: WorkRef,
    recipe: Arc<dyn Recipe>,
    number: u32,
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

    fn origin(&self) -> Option<Origin<'_>> {
        Some(Origin { recipe: &self.recipe, number: self.number })
    }

    fn parcel(&self, index: u32) -> Result<Option<Value>, TaskError> {
        self.work.parcel(index)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        self.work.as_any()
    }
}

/// Layers that remember that they come from `recipe`.
#[derive(Debug)]
pub struct Remembered {
    /// In the place of those given.
    pub tops: Vec<LayerRef>,
    /// All of the recipe's, by number.
    pub layers: Vec<LayerRef>,
}

/// `tops` and all layers below them, numbered inputs first, down to the layers that are not the recipe's own:
/// `foreign`, which stay as they are.
pub fn remember(tops: &[LayerRef], foreign: &[LayerRef], recipe: &Arc<dyn Recipe>) -> Remembered {
    let foreign: HashSet<*const Layer<WorkRef>> = foreign.iter().map(Arc::as_ptr).collect();
    let mut done: HashMap<*const Layer<WorkRef>, LayerRef> = HashMap::new();
    let mut layers = Vec::new();
    // Depth first on a stack of our own: chains are long.
    let mut stack: Vec<(LayerRef, bool)> = tops.iter().rev().map(|top| (top.clone(), false)).collect();
    while let Some((layer, ready)) = stack.pop() {
        if done.contains_key(&Arc::as_ptr(&layer)) {
            continue;
        }
        if foreign.contains(&Arc::as_ptr(&layer)) {
            done.insert(Arc::as_ptr(&layer), layer.clone());
        } else if ready {
            let work = Made { work: layer.work.clone(), recipe: recipe.clone(), number: layers.len() as u32 };
            // Whatever is below was done before.
            let inputs =
                layer.inputs.iter().filter_map(|input| done.get(&Arc::as_ptr(input)).cloned()).collect();
            let (name, rule) = (layer.name.clone(), layer.rule.clone());
            let made = Arc::new(Layer { name, inputs, rule, work: Arc::new(work) as WorkRef });
            layers.push(made.clone());
            done.insert(Arc::as_ptr(&layer), made);
        } else {
            let inputs = layer.inputs.iter().rev().map(|input| (input.clone(), false)).collect::<Vec<_>>();
            stack.push((layer, true));
            stack.extend(inputs);
        }
    }
    let tops = tops.iter().filter_map(|top| done.get(&Arc::as_ptr(top)).cloned()).collect();
    Remembered { tops, layers }
}
