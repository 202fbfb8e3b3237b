//! Positions along the ranks, after Brandes and Köpf.
//!
//! Each vertex is aligned with a median neighbour where that is possible without crossing; runs of
//! aligned vertices form straight columns that are pushed together. This is done four times, from the
//! upper and the lower rank and from the left and the right, and the middle of the four is taken.

use super::Ranks;

pub(super) fn positions(graph: &Ranks) -> Vec<f32> {
    let n = graph.down.len();
    let mut all: Vec<Vec<f32>> = Vec::with_capacity(4);
    for downwards in [true, false] {
        for from_left in [true, false] {
            all.push(one_way(graph, downwards, from_left));
        }
    }
    // Shift all to the narrowest, by the side from which they were pushed together.
    let extent = |x: &[f32]| {
        let left = (0..n).map(|v| x[v] - graph.half[v]).fold(f32::INFINITY, f32::min);
        let right = (0..n).map(|v| x[v] + graph.half[v]).fold(f32::NEG_INFINITY, f32::max);
        (left, right)
    };
    let extents: Vec<(f32, f32)> = all.iter().map(|x| extent(x)).collect();
    let narrowest = extents.iter().copied().min_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
    let (left, right) = narrowest.unwrap_or((0.0, 0.0));
    for (i, x) in all.iter_mut().enumerate() {
        let shift = if i % 2 == 0 { left - extents[i].0 } else { right - extents[i].1 };
        x.iter_mut().for_each(|at| *at += shift);
    }
    let mut x: Vec<f32> = (0..n)
        .map(|v| {
            let mut four = [all[0][v], all[1][v], all[2][v], all[3][v]];
            four.sort_by(f32::total_cmp);
            (four[1] + four[2]) / 2.0
        })
        .collect();
    // Medians keep the order of neighbours, but rounding may not keep their distance.
    let mut leftmost = f32::INFINITY;
    for row in &graph.rows {
        let mut edge = f32::NEG_INFINITY;
        for &v in row {
            let v = v as usize;
            x[v] = x[v].max(edge + graph.half[v]);
            edge = x[v] + graph.half[v];
            leftmost = leftmost.min(x[v] - graph.half[v]);
        }
    }
    x.iter_mut().for_each(|at| *at -= leftmost);
    x
}

/// One of the four: ranks are visited downwards or upwards, and rows from the left or the right.
fn one_way(graph: &Ranks, downwards: bool, from_left: bool) -> Vec<f32> {
    let n = graph.down.len();
    let mut rows = graph.rows.clone();
    if !downwards {
        rows.reverse();
    }
    if !from_left {
        rows.iter_mut().for_each(|row| row.reverse());
    }
    let upper = if downwards { &graph.up } else { &graph.down };
    let mut place = vec![0usize; n];
    for row in &rows {
        row.iter().enumerate().for_each(|(i, &v)| place[v as usize] = i);
    }
    // Columns: each vertex points to the first vertex of its column.
    let mut root: Vec<u32> = (0..n as u32).collect();
    let mut has_next = vec![false; n];
    for pair in rows.windows(2) {
        let inner = inner_spans(graph, upper, &place, &pair[0], &pair[1]);
        let mut limit: Option<usize> = None;
        for &v in &pair[1] {
            let mut near: Vec<u32> = upper[v as usize].clone();
            near.sort_unstable_by_key(|&w| place[w as usize]);
            near.dedup();
            if near.is_empty() {
                continue;
            }
            let middle = (near.len() - 1) as f32 / 2.0;
            for m in [middle.floor() as usize, middle.ceil() as usize] {
                let w = near[m];
                let at = place[w as usize];
                let is_inner = graph.is_bend[v as usize] && graph.is_bend[w as usize];
                let free = limit.is_none_or(|limit| at > limit) && !has_next[w as usize];
                if free && root[v as usize] == v && (is_inner || !crosses(&inner, place[v as usize], at)) {
                    root[v as usize] = root[w as usize];
                    has_next[w as usize] = true;
                    limit = Some(at);
                }
            }
        }
    }
    let x = compact(graph, &rows, &root);
    if from_left { x } else { x.into_iter().map(|at| -at).collect() }
}

/// Edges between two bends, as (lower place, upper place), from left to right: long edges stay
/// straight, others give way.
fn inner_spans(
    graph: &Ranks,
    upper: &[Vec<u32>],
    place: &[usize],
    above: &[u32],
    below: &[u32],
) -> Vec<(usize, usize)> {
    debug_assert!(!above.is_empty());
    let bends = below.iter().filter(|&&v| graph.is_bend[v as usize]);
    bends
        .filter_map(|&v| {
            let &w = upper[v as usize].first()?;
            graph.is_bend[w as usize].then(|| (place[v as usize], place[w as usize]))
        })
        .collect()
}

/// Whether an edge between these places crosses an inner one. Only its neighbours can tell, if
/// inner edges do not cross each other; where they do, the order was poor anyway.
fn crosses(inner: &[(usize, usize)], lower: usize, upper: usize) -> bool {
    let next = inner.partition_point(|&(v, _)| v < lower);
    let left = next.checked_sub(1).map(|i| inner[i]);
    left.is_some_and(|(_, w)| w > upper) || inner.get(next).is_some_and(|&(_, w)| w < upper)
}

/// Pushes columns as far to the left as they go, then back to the right where there is room.
fn compact(graph: &Ranks, rows: &[Vec<u32>], root: &[u32]) -> Vec<f32> {
    let n = root.len();
    // From column to column: how far apart their middles must be.
    let mut right: Vec<Vec<(u32, f32)>> = vec![Vec::new(); n];
    let mut waiting = vec![0u32; n];
    for row in rows {
        for pair in row.windows(2) {
            let (a, b) = (root[pair[0] as usize], root[pair[1] as usize]);
            let apart = graph.half[pair[0] as usize] + graph.half[pair[1] as usize];
            right[a as usize].push((b, apart));
            waiting[b as usize] += 1;
        }
    }
    let mut x = vec![0f32; n];
    let mut order: Vec<u32> =
        (0..n as u32).filter(|&v| root[v as usize] == v && waiting[v as usize] == 0).collect();
    let mut next = 0;
    while let Some(&column) = order.get(next) {
        next += 1;
        for &(other, apart) in &right[column as usize] {
            let o = other as usize;
            x[o] = x[o].max(x[column as usize] + apart);
            waiting[o] -= 1;
            if waiting[o] == 0 {
                order.push(other);
            }
        }
    }
    for &column in order.iter().rev() {
        let room = right[column as usize].iter().map(|&(other, apart)| x[other as usize] - apart);
        let room = room.fold(f32::INFINITY, f32::min);
        if room.is_finite() && room > x[column as usize] {
            x[column as usize] = room;
        }
    }
    (0..n).map(|v| x[root[v] as usize]).collect()
}
