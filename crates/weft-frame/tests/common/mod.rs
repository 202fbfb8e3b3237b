//! Runs lowered expressions on this thread, and frames to test with.

use std::sync::Arc;

use weft_data::{Frame, TaskError, Value};
use weft_frame::{Expr, lower};
use weft_graph::expand;

/// The partitions of each expression, all from one lowering.
pub fn compute(exprs: &[Expr]) -> Result<Vec<Vec<Arc<Frame>>>, TaskError> {
    let layers = lower(exprs)?;
    let outputs: Vec<_> =
        layers.iter().flat_map(|layer| (0..layer.len() as u32).map(move |i| (layer.clone(), i))).collect();
    let graph = expand(&outputs);
    let mut values: Vec<Option<Value>> = vec![None; graph.dag.len()];
    let mut stack: Vec<_> = graph.outputs.clone();
    while let Some(&task) = stack.last() {
        let dependencies = graph.dag.dependencies(task);
        let open: Vec<_> = dependencies.iter().filter(|d| values[d.index()].is_none()).copied().collect();
        if values[task.index()].is_none() {
            if !open.is_empty() {
                stack.extend(open);
                continue;
            }
            let mut inputs: Vec<Value> =
                dependencies.iter().map(|d| values[d.index()].clone().unwrap()).collect();
            let (work, index) = graph.work(task);
            values[task.index()] = Some(work.run(index, &mut inputs)?);
        }
        stack.pop();
    }
    let mut outputs = graph.outputs.iter().map(|task| match values[task.index()].clone() {
        Some(Value::Frame(frame)) => frame,
        other => panic!("expected a frame, found {other:?}"),
    });
    Ok(layers.iter().map(|layer| outputs.by_ref().take(layer.len()).collect()).collect())
}
