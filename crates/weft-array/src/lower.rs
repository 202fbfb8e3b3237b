//! From expressions to layers of tasks.

use std::sync::Arc;

use hashbrown::HashMap;
use weft_data::{LayerRef, WorkRef};
use weft_graph::{Axis, Key, Layer, Read, Rule};

use crate::error::ArrayError;
use crate::expr::{Expr, HostReads, Op};
use crate::work::{Alias, Given};

type Result<T> = std::result::Result<T, ArrayError>;

/// What makes an expression's blocks.
#[derive(Clone, Debug)]
pub enum Lowered {
    /// A layer whose tasks are the blocks.
    Layer(LayerRef),
    /// Tasks of somebody else's graph: the graph, and the task of each block.
    Tasks { graph: Vec<LayerRef>, blocks: Arc<[(LayerRef, u32)]> },
}

impl Lowered {
    /// The layers that a graph has to hold.
    pub fn layers(&self) -> Vec<LayerRef> {
        match self {
            Lowered::Layer(layer) => vec![layer.clone()],
            Lowered::Tasks { graph, .. } => graph.clone(),
        }
    }
}

/// For each expression, what makes its blocks. Expressions share what they have in common.
pub fn lower(exprs: &[Expr]) -> Result<Vec<Lowered>> {
    let mut lowering = Lowering::default();
    for expr in Expr::below(exprs) {
        lowering.make(&expr)?;
    }
    exprs.iter().map(|expr| lowering.lowered(expr)).collect()
}

#[derive(Default)]
struct Lowering {
    layers: HashMap<u128, LayerRef, ahash::RandomState>,
}

impl Lowering {
    fn lowered(&self, expr: &Expr) -> Result<Lowered> {
        match expr.op() {
            Op::Tasks(tasks) => {
                Ok(Lowered::Tasks { graph: tasks.graph.clone(), blocks: tasks.blocks.clone() })
            }
            _ => self.layer(expr).map(Lowered::Layer),
        }
    }

    /// The layer of an expression that has been made, for what reads its blocks.
    fn layer(&self, expr: &Expr) -> Result<LayerRef> {
        let missing = || ArrayError::Invalid(format!("{} has not been lowered", expr.name()));
        self.layers.get(&expr.digest()).cloned().ok_or_else(missing)
    }

    fn make(&mut self, expr: &Expr) -> Result<()> {
        let layer = self.build(expr)?;
        self.layers.insert(expr.digest(), layer);
        Ok(())
    }

    fn build(&mut self, expr: &Expr) -> Result<LayerRef> {
        let inputs: Vec<LayerRef> =
            expr.inputs().iter().map(|input| self.layer(input)).collect::<Result<_>>()?;
        let shape = expr.chunks().numblocks();
        let name = Key::Str(expr.name().clone());
        match expr.op() {
            Op::Blocks(blocks) => {
                layer(name, vec![], Rule::Grid { shape, reads: vec![] }, Arc::new(Given(blocks.clone())))
            }
            Op::Tasks(tasks) => self.tasks(expr, &tasks.blocks),
            Op::Rename => {
                let axes = (0..shape.len() as u32).map(|own| Axis::Along { own, offset: 0 }).collect();
                let reads = vec![Read { input: 0, axes }];
                layer(name, inputs, Rule::Grid { shape, reads }, Arc::new(Alias))
            }
            Op::Host(step) => {
                let rule = match &step.reads {
                    HostReads::Grid(operands) => {
                        let reads = operands
                            .iter()
                            .map(|(input, axes)| Read { input: *input, axes: axes.clone() })
                            .collect();
                        Rule::Grid { shape, reads }
                    }
                    HostReads::Explicit { starts, reads } => {
                        Rule::Table { shape, starts: starts.clone(), reads: reads.clone() }
                    }
                };
                layer(name, inputs, rule, step.work.clone())
            }
        }
    }

    /// Other graphs' tasks as one grid, for what reads them.
    fn tasks(&mut self, expr: &Expr, blocks: &[(LayerRef, u32)]) -> Result<LayerRef> {
        let mut inputs: Vec<LayerRef> = Vec::new();
        let mut numbers = HashMap::<*const Layer<WorkRef>, u32, ahash::RandomState>::default();
        let mut reads = Vec::with_capacity(blocks.len());
        for (layer, task) in blocks {
            let number = *numbers.entry(Arc::as_ptr(layer)).or_insert_with(|| {
                inputs.push(layer.clone());
                inputs.len() as u32 - 1
            });
            reads.push((number, *task));
        }
        // Named apart from the tasks, which may have the very keys that the blocks would have.
        let name = Key::from(format!("blocks-{:032x}", expr.digest()));
        let shape = expr.chunks().numblocks();
        let starts = (0..=blocks.len() as u32).collect();
        layer(name, inputs, Rule::Table { shape, starts, reads: reads.into() }, Arc::new(Alias))
    }
}

fn layer(name: Key, inputs: Vec<LayerRef>, rule: Rule, work: WorkRef) -> Result<LayerRef> {
    Layer::new(name, inputs, rule, work).map_err(|e| ArrayError::Invalid(e.to_string()))
}
