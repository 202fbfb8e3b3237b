//! Graphs that were sent, for as long as a future of theirs lives: a scheduler that has lost them is told again.

use std::sync::{Arc, Weak};

use weft_scheduler::message::{Blob, FromClient, FutureId, Graph};

use super::table::{FutureRef, Table};

/// Graphs with more in them than this are not kept: their results are where workers hold them, or gone.
const KEPT_BYTES: usize = 64 << 20;

/// A graph, all that it names, and the graphs whose results it reads.
#[derive(Debug)]
pub(super) struct SentGraph {
    graph: Graph,
    blobs: Vec<Blob>,
    parents: Vec<Arc<SentGraph>>,
}

impl Drop for SentGraph {
    /// A chain of graphs may be long: it goes link by link, and not by recursion.
    fn drop(&mut self) {
        let mut links = std::mem::take(&mut self.parents);
        while let Some(link) = links.pop() {
            if let Some(mut graph) = Arc::into_inner(link) {
                links.append(&mut graph.parents);
            }
        }
    }
}

/// What was sent, in order.
#[derive(Debug, Default)]
pub(super) struct Sent {
    graphs: Vec<Weak<SentGraph>>,
    /// When to look for those that have gone.
    sweep_at: usize,
}

impl Sent {
    /// Remembers a graph for its futures. `blobs` are all that it names, `reads` what it reads of earlier ones.
    pub(super) fn add(
        &mut self,
        graph: &Graph,
        blobs: &[Blob],
        futures: &[Arc<FutureRef>],
        reads: &[Arc<FutureRef>],
    ) {
        let payloads: usize = graph.layers.iter().map(|layer| layer.work.nbytes()).sum();
        if payloads + blobs.iter().map(|blob| blob.bytes.len()).sum::<usize>() > KEPT_BYTES {
            return;
        }
        let mut parents: Vec<Arc<SentGraph>> = reads.iter().filter_map(|f| f.graph()).collect();
        parents.sort_unstable_by_key(Arc::as_ptr);
        parents.dedup_by_key(|parent| Arc::as_ptr(parent));
        let (graph, blobs) = (graph.clone(), blobs.to_vec());
        let sent = Arc::new(SentGraph { graph, blobs, parents });
        for future in futures {
            future.set_graph(&sent);
        }
        self.graphs.push(Arc::downgrade(&sent));
        if self.graphs.len() > self.sweep_at {
            self.graphs.retain(|graph| graph.strong_count() > 0);
            self.sweep_at = 64 + 2 * self.graphs.len();
        }
    }

    /// Everything that a scheduler must hear to know what this client wants, and the futures that were made up for
    /// it: they are to be released.
    pub(super) fn again(&mut self, table: &mut Table) -> (Vec<FromClient>, Vec<FutureId>) {
        let (mut messages, mut made_up) = (Vec::new(), Vec::new());
        self.graphs.retain(|graph| graph.strong_count() > 0);
        for sent in self.graphs.iter().filter_map(Weak::upgrade) {
            let mut graph = sent.graph.clone();
            graph.blobs = sent.blobs.clone();
            let alive = |want: &weft_scheduler::message::Want| table.get(want.future).is_some();
            if graph.wants.iter().any(alive) {
                graph.wants.retain(alive);
            } else {
                // Only others read it.
                for want in &mut graph.wants {
                    want.future = table.next_id();
                    made_up.push(want.future);
                }
            }
            messages.push(FromClient::Graph(graph));
        }
        (messages, made_up)
    }
}
