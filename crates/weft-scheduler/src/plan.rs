//! From a client's graph to tasks in order: checked, expanded, culled, with priorities.
//!
//! Planning is a function of the graph alone. It is by far the longest step for a large graph, so shells may
//! plan on another thread and give the scheduler the result.

use std::sync::Arc;

use weft_graph::{Expanded, Layer, LayerRef, Rule, expand, order};

use crate::message::{Blob, Digest, FutureId, Graph, LayerWork, TaskOptions};

/// What a layer's tasks do, as far as the scheduler cares.
#[derive(Debug)]
pub(crate) struct Spec {
    pub work: Work,
    pub options: Arc<TaskOptions>,
}

#[derive(Debug)]
pub(crate) enum Work {
    /// Tasks that exist already, or data that was put on workers: nothing can compute them.
    Known,
    Shared {
        blob: Digest,
    },
    Each {
        blobs: Vec<Option<Digest>>,
        payloads: crate::message::Payloads,
    },
}

/// A graph that is ready to be run.
#[derive(Debug)]
pub struct Plan {
    pub(crate) blobs: Vec<Blob>,
    pub(crate) digests: Vec<Digest>,
    pub(crate) expanded: Expanded<Spec>,
    pub(crate) order: Vec<u32>,
    /// For each expanded layer: do its tasks read so little that they can run anywhere?
    pub(crate) rootish: Vec<bool>,
    /// For each output of `expanded`.
    pub(crate) futures: Vec<FutureId>,
    pub(crate) same_generation: bool,
}

/// A graph that cannot be run at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadGraph(String);

fn bad<T>(problem: impl Into<String>) -> Result<T, BadGraph> {
    Err(BadGraph(problem.into()))
}

/// Reading fewer tasks than this does not tie a task to a place.
const FEW: u64 = 5;

impl Plan {
    /// Checks everything about the graph, which comes from outside. Near-linear in its tasks.
    pub fn new(graph: Graph) -> Result<Plan, BadGraph> {
        let options: Vec<Arc<TaskOptions>> = match graph.options.is_empty() {
            true => vec![Arc::default()],
            false => graph.options.into_iter().map(Arc::new).collect(),
        };
        let mut layers: Vec<LayerRef<Spec>> = Vec::with_capacity(graph.layers.len());
        for layer in graph.layers {
            let Some(options) = options.get(layer.options as usize) else {
                return bad(format!("layer {}: options {} of {}", layer.name, layer.options, options.len()));
            };
            let mut inputs = Vec::with_capacity(layer.inputs.len());
            for &input in &layer.inputs {
                match layers.get(input as usize) {
                    Some(input) => inputs.push(input.clone()),
                    None => {
                        return bad(format!(
                            "layer {}: reads layer {input}, which is not before it",
                            layer.name
                        ));
                    }
                }
            }
            let work = work(layer.work, &graph.digests)
                .map_err(|p| BadGraph(format!("layer {}: {p}", layer.name)))?;
            let spec = Spec { work, options: options.clone() };
            let layer =
                Layer::new(layer.name, inputs, layer.rule, spec).map_err(|e| BadGraph(e.to_string()))?;
            if let Work::Each { payloads, blobs } = &layer.work.work
                && (payloads.len() != layer.len() || (blobs.len() != layer.len() && blobs.len() != 1))
            {
                let (p, n) = (payloads.len(), layer.len());
                return bad(format!("layer {}: {p} payloads for {n} tasks", layer.name));
            }
            if matches!(layer.work.work, Work::Known) && !reads_nothing(&layer) {
                return bad(format!("layer {}: tasks that are known already read others", layer.name));
            }
            layers.push(layer);
        }
        let mut outputs = Vec::with_capacity(graph.wants.len());
        for want in &graph.wants {
            match layers.get(want.layer as usize) {
                Some(layer) if (want.index as usize) < layer.len() => {
                    outputs.push((layer.clone(), want.index))
                }
                _ => return bad(format!("there is no task {} in layer {}", want.index, want.layer)),
            }
        }
        let expanded = expand(&outputs);
        let order = match graph.order {
            None => order(&expanded.dag).map_err(|cycle| BadGraph(cycle.to_string()))?,
            Some(places) => given_order(&expanded, &layers, &places)?,
        };
        let rootish = rootish(&expanded);
        Ok(Plan {
            blobs: graph.blobs,
            digests: graph.digests,
            rootish,
            expanded,
            order,
            futures: graph.wants.iter().map(|want| want.future).collect(),
            same_generation: graph.same_generation,
        })
    }

    pub fn n_tasks(&self) -> usize {
        self.expanded.origins.len()
    }
}

fn reads_nothing(layer: &Layer<Spec>) -> bool {
    layer.inputs.is_empty()
        && match &layer.rule {
            Rule::Single { reads } | Rule::Explicit { reads, .. } => reads.is_empty(),
            Rule::Table { reads, .. } => reads.is_empty(),
            Rule::Grid { reads, .. } => reads.is_empty(),
        }
}

fn work(work: LayerWork, digests: &[Digest]) -> Result<Work, String> {
    let digest = |blob: u32| match digests.get(blob as usize) {
        Some(&digest) => Ok(digest),
        None => Err(format!("it names blob {blob} of {}", digests.len())),
    };
    Ok(match work {
        LayerWork::Known => Work::Known,
        LayerWork::Shared { blob } => Work::Shared { blob: digest(blob)? },
        LayerWork::Each { payloads, .. } if !payloads.is_valid() => {
            return Err("its payloads do not fill their buffer".to_owned());
        }
        LayerWork::Each { blobs, payloads } => {
            let blob = |&blob: &u32| if blob == u32::MAX { Ok(None) } else { digest(blob).map(Some) };
            Work::Each { blobs: blobs.iter().map(blob).collect::<Result<_, _>>()?, payloads }
        }
    })
}

/// The client's own places; ties and cycles are checked, because everything rests on an order that respects
/// dependencies being possible.
fn given_order(
    expanded: &Expanded<Spec>,
    layers: &[LayerRef<Spec>],
    places: &[Vec<u32>],
) -> Result<Vec<u32>, BadGraph> {
    if let Err(cycle) = weft_graph::topological_order(&expanded.dag) {
        return bad(cycle.to_string());
    }
    if places.len() != layers.len() || places.iter().zip(layers).any(|(p, layer)| p.len() != layer.len()) {
        return bad("the places given do not fit the graph's layers");
    }
    let of_layer: Vec<&Vec<u32>> = expanded
        .layers
        .iter()
        .map(|layer| {
            let at = layers.iter().position(|other| Arc::ptr_eq(layer, other)).unwrap_or(0);
            &places[at]
        })
        .collect();
    Ok(expanded.origins.iter().map(|origin| of_layer[origin.layer as usize][origin.index as usize]).collect())
}

fn rootish(expanded: &Expanded<Spec>) -> Vec<bool> {
    let mut sizes = vec![0u64; expanded.layers.len()];
    for origin in &expanded.origins {
        sizes[origin.layer as usize] += 1;
    }
    let number: ahash::AHashMap<*const Layer<Spec>, usize> =
        expanded.layers.iter().enumerate().map(|(i, layer)| (Arc::as_ptr(layer), i)).collect();
    let size_of = |layer: &LayerRef<Spec>| number.get(&Arc::as_ptr(layer)).map_or(0, |&i| sizes[i]);
    let reads_itself = |layer: &Layer<Spec>| match &layer.rule {
        Rule::Explicit { reads, .. } => reads.iter().any(|&(input, _)| input == u32::MAX),
        _ => false,
    };
    let few =
        |layer: &LayerRef<Spec>| !reads_itself(layer) && layer.inputs.iter().map(size_of).sum::<u64>() < FEW;
    expanded.layers.iter().map(few).collect()
}
