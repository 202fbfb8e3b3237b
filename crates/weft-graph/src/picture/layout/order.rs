//! The order of nodes on each rank, with few crossings between ranks.

use super::Ranks;

/// Sweeps down and up; more does not help.
const SWEEPS: usize = 12;
/// Above so many edges, fewer sweeps have to do.
const MANY: usize = 20_000;

/// Rows filled by walking from the last rank up, so that what belongs together stands together.
pub(super) fn initial(height: usize, rank: &[u32], graph: &Ranks) -> Vec<Vec<u32>> {
    let mut rows = vec![Vec::new(); height];
    let mut seen = vec![false; rank.len()];
    let mut ends: Vec<u32> = (0..rank.len() as u32).filter(|&v| graph.down[v as usize].is_empty()).collect();
    ends.extend(0..rank.len() as u32);
    for end in ends {
        let mut stack = vec![end];
        while let Some(v) = stack.pop() {
            if !std::mem::replace(&mut seen[v as usize], true) {
                rows[rank[v as usize] as usize].push(v);
                stack.extend(graph.up[v as usize].iter().rev().filter(|&&w| !seen[w as usize]));
            }
        }
    }
    rows
}

/// Puts each vertex at the mean of its neighbours, rank by rank, down and up, and keeps the best.
pub(super) fn reduce_crossings(graph: &mut Ranks) {
    let mut place = vec![0f32; graph.down.len()];
    let edges: usize = graph.down.iter().map(Vec::len).sum();
    let mut best = graph.rows.clone();
    let mut fewest = crossings(&graph.rows, &graph.down);
    let sweeps = if edges > MANY { SWEEPS / 4 } else { SWEEPS };
    for sweep in 0..sweeps {
        if fewest == 0 {
            break;
        }
        let height = graph.rows.len();
        let downwards = sweep % 2 == 0;
        let ranks: Vec<usize> = if downwards { (0..height).collect() } else { (0..height).rev().collect() };
        for r in ranks {
            let neighbours = if downwards { &graph.up } else { &graph.down };
            let row = &mut graph.rows[r];
            let mut keys: Vec<(f32, u32)> = row
                .iter()
                .enumerate()
                .map(|(i, &v)| {
                    let near = &neighbours[v as usize];
                    let sum: f32 = near.iter().map(|&w| place[w as usize]).sum();
                    (if near.is_empty() { i as f32 } else { sum / near.len() as f32 }, v)
                })
                .collect();
            // Equal means keep their order; every other round they swap it, which gets out of ruts.
            if sweep % 4 >= 2 {
                keys.reverse();
            }
            keys.sort_by(|a, b| a.0.total_cmp(&b.0));
            for (i, &(_, v)) in keys.iter().enumerate() {
                row[i] = v;
                place[v as usize] = i as f32;
            }
        }
        let now = crossings(&graph.rows, &graph.down);
        if now < fewest {
            fewest = now;
            best.clone_from(&graph.rows);
        }
    }
    graph.rows = best;
}

/// Pairs of edges that cross, counted as inversions.
fn crossings(rows: &[Vec<u32>], down: &[Vec<u32>]) -> u64 {
    let mut place = vec![0u32; down.len()];
    let mut total = 0;
    let mut ends: Vec<u32> = Vec::new();
    for pair in rows.windows(2) {
        for (i, &v) in pair[1].iter().enumerate() {
            place[v as usize] = i as u32;
        }
        // A tree of counts (Fenwick) over the places of the lower rank.
        let mut counts = vec![0u64; pair[1].len() + 1];
        let mut seen = 0u64;
        for &v in &pair[0] {
            ends.clear();
            ends.extend(down[v as usize].iter().map(|&w| place[w as usize]));
            ends.sort_unstable();
            for &end in &ends {
                let mut i = end as usize + 1;
                let mut not_right = 0;
                while i > 0 {
                    not_right += counts[i];
                    i &= i - 1;
                }
                total += seen - not_right;
            }
            for &end in &ends {
                let mut i = end as usize + 1;
                while i < counts.len() {
                    counts[i] += 1;
                    i += i & i.wrapping_neg();
                }
                seen += 1;
            }
        }
    }
    total
}
