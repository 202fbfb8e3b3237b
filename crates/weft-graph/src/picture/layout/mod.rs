//! Where things go: a layered drawing in the manner of Sugiyama, Tagawa and Toda.
//!
//! 1. [`rank`]: each node gets a rank, arrows lead to higher ranks.
//! 2. Long edges get a bend on each rank that they pass, so that they find their way between nodes.
//! 3. [`order`]: nodes of a rank are put in an order with few crossings.
//! 4. [`place`]: nodes get positions along their rank: straight where possible, balanced elsewhere.
//!
//! Parts that do not touch are laid out one by one and packed side by side in rows.
//! Everything here goes downwards from rank to rank; turning it is left to the scene.

mod order;
mod place;
mod rank;
#[cfg(test)]
mod tests;

use super::Edge;

/// Space between neighbours on a rank, for nodes and for bends.
const GAP: f32 = 14.0;
const BEND_GAP: f32 = 7.0;
/// Space between ranks: at least, and at most where edges go far aside.
const RANK_GAP: f32 = 34.0;
const RANK_GAP_MOST: f32 = 240.0;
/// Space between parts.
const PART_GAP: f32 = 24.0;
/// Where rows of parts are broken, unless there is too much to show in that width.
const ROW: f32 = 1400.0;
/// With more bends than this, long edges go straight instead.
const MOST_BENDS: usize = 40_000;

pub(super) struct Layout {
    pub size: (f32, f32),
    /// Centre of each node.
    pub centers: Vec<(f32, f32)>,
    /// For each edge, the points that it passes between its ends: for each rank that it crosses,
    /// where it enters and where it leaves.
    pub bends: Vec<Vec<(f32, f32)>>,
}

/// Nodes and bends of one part, on their ranks.
pub(super) struct Ranks {
    /// Vertices from left to right, for each rank.
    pub rows: Vec<Vec<u32>>,
    /// Vertices on the next rank and on the rank before.
    pub down: Vec<Vec<u32>>,
    pub up: Vec<Vec<u32>>,
    /// Half of the width that each vertex takes, with the space around it.
    pub half: Vec<f32>,
    pub is_bend: Vec<bool>,
}

pub(super) fn layout(sizes: &[(f32, f32)], edges: &[Edge]) -> Layout {
    let n = sizes.len();
    let mut out =
        Layout { size: (0.0, 0.0), centers: vec![(0.0, 0.0); n], bends: vec![Vec::new(); edges.len()] };
    let ranks = rank::ranks(n, edges);
    let parts = parts(n, edges);
    let total: f32 = parts.iter().map(|part| part_area(part, sizes)).sum();
    let row_width = ROW.max((total * 2.5).sqrt());
    let mut edges_of: Vec<Vec<u32>> = vec![Vec::new(); parts.len()];
    let mut part_of = vec![0u32; n];
    for (p, part) in parts.iter().enumerate() {
        part.iter().for_each(|&node| part_of[node as usize] = p as u32);
    }
    for (e, edge) in edges.iter().enumerate() {
        edges_of[part_of[edge.from as usize] as usize].push(e as u32);
    }
    let (mut x, mut y, mut row_height) = (0.0f32, 0.0f32, 0.0f32);
    for (part, own_edges) in parts.iter().zip(&edges_of) {
        let (width, height) = lay_out_part(part, own_edges, sizes, edges, &ranks, &mut out);
        if x > 0.0 && x + width > row_width {
            (x, y, row_height) = (0.0, y + row_height + PART_GAP, 0.0);
        }
        let shift = |point: &mut (f32, f32)| *point = (point.0 + x, point.1 + y);
        part.iter().for_each(|&node| shift(&mut out.centers[node as usize]));
        own_edges.iter().for_each(|&e| out.bends[e as usize].iter_mut().for_each(shift));
        out.size = (out.size.0.max(x + width), out.size.1.max(y + height));
        x += width + PART_GAP;
        row_height = row_height.max(height);
    }
    out
}

fn part_area(part: &[u32], sizes: &[(f32, f32)]) -> f32 {
    let nodes = part.iter().map(|&node| sizes[node as usize]);
    nodes.map(|(w, h)| (w + GAP) * (h + RANK_GAP)).sum()
}

/// Nodes that hang together, in the order of their first nodes.
fn parts(n: usize, edges: &[Edge]) -> Vec<Vec<u32>> {
    let mut parent: Vec<u32> = (0..n as u32).collect();
    fn find(parent: &mut [u32], mut node: u32) -> u32 {
        while parent[node as usize] != node {
            parent[node as usize] = parent[parent[node as usize] as usize];
            node = parent[node as usize];
        }
        node
    }
    for edge in edges {
        let (a, b) = (find(&mut parent, edge.from), find(&mut parent, edge.to));
        parent[a.max(b) as usize] = a.min(b);
    }
    let mut number = vec![u32::MAX; n];
    let mut parts: Vec<Vec<u32>> = Vec::new();
    for node in 0..n as u32 {
        let root = find(&mut parent, node) as usize;
        if number[root] == u32::MAX {
            number[root] = parts.len() as u32;
            parts.push(Vec::new());
        }
        parts[number[root] as usize].push(node);
    }
    parts
}

/// Lays out one part from the origin on, and says how much room it takes.
fn lay_out_part(
    part: &[u32],
    own_edges: &[u32],
    sizes: &[(f32, f32)],
    edges: &[Edge],
    ranks: &[u32],
    out: &mut Layout,
) -> (f32, f32) {
    let lowest = part.iter().map(|&node| ranks[node as usize]).min().unwrap_or(0);
    let mut local = ahash::AHashMap::with_capacity(part.len());
    let mut rank: Vec<u32> = Vec::with_capacity(part.len());
    let mut graph = Ranks { rows: vec![], down: vec![], up: vec![], half: vec![], is_bend: vec![] };
    let mut vertex = |rank_of: u32, half: f32, is_bend: bool, graph: &mut Ranks| {
        rank.push(rank_of);
        graph.down.push(Vec::new());
        graph.up.push(Vec::new());
        graph.half.push(half);
        graph.is_bend.push(is_bend);
        rank.len() as u32 - 1
    };
    for &node in part {
        let half = (sizes[node as usize].0 + GAP) / 2.0;
        local.insert(node, vertex(ranks[node as usize] - lowest, half, false, &mut graph));
    }
    // Bends, for each edge that has them, from its upper end down.
    let span =
        |e: &u32| ranks[edges[*e as usize].from as usize].abs_diff(ranks[edges[*e as usize].to as usize]);
    let bent = own_edges.iter().map(|e| span(e) as usize).sum::<usize>() <= MOST_BENDS + own_edges.len();
    let mut chains: Vec<(u32, Vec<u32>)> = Vec::new();
    for &e in own_edges {
        let (mut from, mut to) = (edges[e as usize].from, edges[e as usize].to);
        if ranks[from as usize] > ranks[to as usize] {
            // Against the stream, as in groups that read each other; laid out the other way round.
            (from, to) = (to, from);
        }
        let (top, bottom) = (ranks[from as usize] - lowest, ranks[to as usize] - lowest);
        if top == bottom || (!bent && bottom > top + 1) {
            continue;
        }
        let mut above = local[&from];
        let mut chain = Vec::new();
        for between in top + 1..bottom {
            let bend = vertex(between, BEND_GAP / 2.0, true, &mut graph);
            graph.down[above as usize].push(bend);
            graph.up[bend as usize].push(above);
            chain.push(bend);
            above = bend;
        }
        graph.down[above as usize].push(local[&to]);
        graph.up[local[&to] as usize].push(above);
        if !chain.is_empty() {
            chains.push((e, chain));
        }
    }
    let height = rank.iter().max().map_or(0, |&r| r as usize + 1);
    graph.rows = order::initial(height, &rank, &graph);
    order::reduce_crossings(&mut graph);
    let x = place::positions(&graph);

    // Down the ranks: each as high as its highest node, gaps as wide as the edges in them need.
    let mut tallest = vec![0f32; height];
    for &node in part {
        let r = (ranks[node as usize] - lowest) as usize;
        tallest[r] = tallest[r].max(sizes[node as usize].1);
    }
    let mut far = vec![0f32; height];
    for v in 0..rank.len() {
        for &w in &graph.down[v] {
            let r = rank[v] as usize;
            far[r] = far[r].max((x[v] - x[w as usize]).abs());
        }
    }
    let mut top = vec![0f32; height + 1];
    for r in 0..height {
        let gap = if r + 1 < height { (RANK_GAP + 0.1 * far[r]).min(RANK_GAP_MOST) } else { 0.0 };
        top[r + 1] = top[r] + tallest[r] + gap;
    }
    for (i, &node) in part.iter().enumerate() {
        let r = rank[i] as usize;
        out.centers[node as usize] = (x[i], top[r] + tallest[r] / 2.0);
    }
    for (e, mut chain) in chains {
        if ranks[edges[e as usize].from as usize] > ranks[edges[e as usize].to as usize] {
            chain.reverse();
        }
        out.bends[e as usize] = chain
            .iter()
            .map(|&v| {
                (x[v as usize], top[rank[v as usize] as usize] + tallest[rank[v as usize] as usize] / 2.0)
            })
            .collect();
    }
    let width = (0..rank.len()).map(|v| x[v] + graph.half[v]).fold(0.0, f32::max);
    (width, top[height])
}
