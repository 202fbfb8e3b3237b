//! Rechunking in several steps, where one step would read too many pieces or make too large blocks.
//!
//! Going from blocks of rows to blocks of columns in one step, every new block reads a piece of every old one:
//! pieces grow with the product of the numbers of blocks. A step in between to squarer blocks reads as many
//! pieces as the sum, for one more copy of the data. So the plan alternates: split towards the goal as
//! far as the number of pieces allows, then join as far as the size of a block allows.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The sizes of the blocks along one axis.
pub type Sizes = Vec<usize>;

/// Bounds of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many times more pieces than blocks, old and new, one step may read.
    pub threshold: usize,
    /// Elements of a block between steps; larger old or new blocks raise it.
    pub elements: usize,
    /// Pieces of so many elements on the average are moved in one step, however many they are: a piece costs
    /// less than a second copy of its elements.
    pub piece: usize,
}

/// The chunks after each step, the last being `new`. Chunks have no axis without blocks.
pub fn plan(old: &[Sizes], new: &[Sizes], bounds: Bounds) -> Vec<Vec<Sizes>> {
    if new.len() <= 1 || new.iter().any(Vec::is_empty) {
        return vec![new.to_vec()];
    }
    let limit = bounds.elements.max(largest(old)).max(largest(new));
    let enough = bounds.threshold.saturating_mul(count(old).saturating_add(count(new)));
    let elements = new.iter().fold(1usize, |n, axis| n.saturating_mul(axis.iter().sum()));
    let mut steps = Vec::new();
    let mut current = old.to_vec();
    let mut first = true;
    loop {
        let pieces = pieces(&current, new);
        if pieces < enough || elements / pieces.max(1) >= bounds.piece {
            break;
        }
        let split = if first {
            current.clone()
        } else {
            split(&current, new, pieces.saturating_mul(bounds.threshold))
        };
        let (joined, at_limit) = join(&split, new, limit);
        if (joined == current && !first) || joined == new {
            break;
        }
        if joined != current {
            steps.push(joined.clone());
        }
        current = joined;
        if !at_limit {
            break;
        }
        first = false;
    }
    steps.push(new.to_vec());
    steps
}

fn count(chunks: &[Sizes]) -> usize {
    chunks.iter().fold(1, |n, axis| n.saturating_mul(axis.len()))
}

fn widest(axis: &[usize]) -> usize {
    axis.iter().copied().max().unwrap_or(0)
}

fn largest(chunks: &[Sizes]) -> usize {
    chunks.iter().fold(1, |n, axis| n.saturating_mul(widest(axis)))
}

/// Pieces that a step from `old` to `new` moves.
pub fn pieces(old: &[Sizes], new: &[Sizes]) -> usize {
    let along = |(old, new): (&Sizes, &Sizes)| if old == new { old.len() } else { edges(old, new).len() };
    old.iter().zip(new).map(along).fold(1, usize::saturating_mul)
}

/// Where blocks of either end.
fn edges(old: &[usize], new: &[usize]) -> Vec<usize> {
    let ends = |axis: &[usize]| -> Vec<usize> {
        axis.iter()
            .scan(0, |at, n| {
                *at += n;
                Some(*at)
            })
            .collect()
    };
    let mut all = ends(old);
    all.extend(ends(new));
    all.sort_unstable();
    all.dedup();
    all
}

/// The largest blocks that are each part of one block of `old` and of one of `new`.
pub fn refine(old: &[Sizes], new: &[Sizes]) -> Vec<Sizes> {
    let along = |(old, new): (&Sizes, &Sizes)| {
        if old == new {
            return old.clone();
        }
        let mut start = 0;
        edges(old, new).into_iter().map(|end| end - std::mem::replace(&mut start, end)).collect()
    };
    old.iter().zip(new).map(along).collect()
}

/// Joins blocks towards `new`, axis by axis, while no block grows beyond `limit` elements; and whether one would
/// have.
pub fn join(old: &[Sizes], new: &[Sizes], limit: usize) -> (Vec<Sizes>, bool) {
    // Axes along which blocks become fewer, those first that save most pieces for what blocks grow by.
    let worth = |axis: usize| {
        let fewer = new[axis].len() as f64 / old[axis].len() as f64;
        let wider = widest(&new[axis]) as f64 / widest(&old[axis]).max(1) as f64;
        match wider {
            0.0 => 0.0,
            1.0 => fewer.ln() / (1.0 + 1e-9f64).ln(),
            _ => fewer.ln() / wider.ln(),
        }
    };
    let mut axes: Vec<usize> = (0..old.len()).filter(|&axis| new[axis].len() <= old[axis].len()).collect();
    axes.sort_by(|&a, &b| worth(a).total_cmp(&worth(b)));
    let mut size = largest(old);
    let (mut chunks, mut at_limit) = (old.to_vec(), false);
    for axis in axes {
        let (was, becomes) = (widest(&old[axis]).max(1), widest(&new[axis]));
        // Exact in 128 bits.
        let scaled =
            |n: usize, by: usize, over: usize| (n as u128 * by as u128 / over.max(1) as u128) as usize;
        let all = scaled(size, becomes, was);
        if all <= limit {
            chunks[axis] = new[axis].clone();
            size = all;
            continue;
        }
        at_limit = true;
        let narrow = divide(&new[axis], scaled(limit, was, size).max(1));
        if narrow.len() <= old[axis].len() {
            size = scaled(size, widest(&narrow), was);
            chunks[axis] = narrow;
        }
    }
    (chunks, at_limit)
}

/// Splits blocks towards `new`, axis by axis, while the pieces of a step to `new` stay below `most`.
pub fn split(old: &[Sizes], new: &[Sizes], most: usize) -> Vec<Sizes> {
    let mut chunks = old.to_vec();
    for axis in 0..old.len() {
        let pieces = pieces(&chunks, new);
        if pieces > most {
            break;
        }
        if old[axis].len() > new[axis].len() {
            continue;
        }
        let number = (old[axis].len() as u128 * most as u128 / pieces.max(1) as u128) as usize;
        let merged = merge(&new[axis], number.max(1));
        if merged.len() >= old[axis].len() && widest(&merged) <= widest(&old[axis]) {
            chunks[axis] = merged;
        }
    }
    chunks
}

/// Divides blocks into as few as are at most `width` wide, of nearly one size.
pub fn divide(sizes: &[usize], width: usize) -> Sizes {
    let mut divided = Vec::with_capacity(sizes.len());
    for &size in sizes {
        let (parts, mut left) = (size.div_ceil(width.max(1)), size);
        for part in 0..parts {
            let own = left / (parts - part);
            divided.push(own);
            left -= own;
        }
    }
    divided
}

/// Joins neighbours, the smallest first, until there are at most `number` blocks.
pub fn merge(sizes: &[usize], number: usize) -> Sizes {
    let number = number.max(1);
    if sizes.len() <= number {
        return sizes.to_vec();
    }
    if let Some(&width) = sizes.first()
        && width > 0
        && sizes.iter().all(|&size| size == width)
    {
        // Whole multiples of the one width, the larger ones first.
        let total = width * sizes.len();
        let base = total / number / width * width;
        let larger = (total - number * base) / width;
        return (0..number).map(|i| if i < larger { base + width } else { base }).collect();
    }
    let n = sizes.len();
    let mut sizes: Vec<Option<usize>> = sizes.iter().copied().map(Some).collect();
    let mut heap: BinaryHeap<Reverse<(usize, usize, usize)>> =
        (1..n).map(|i| Reverse((sizes[i - 1].unwrap_or(0) + sizes[i].unwrap_or(0), i - 1, i))).collect();
    let mut left = n - number;
    while left > 0 {
        let Some(Reverse((width, i, mut j))) = heap.pop() else { break };
        let Some(own) = sizes[i] else { continue };
        // What this pair was before its neighbour went into another.
        while j < n && sizes[j].is_none() {
            j += 1;
        }
        let Some(Some(theirs)) = sizes.get(j).copied() else { continue };
        if own + theirs != width {
            heap.push(Reverse((own + theirs, i, j)));
            continue;
        }
        sizes[i] = None;
        sizes[j] = Some(width);
        left -= 1;
    }
    sizes.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_to_columns_go_through_squarer_blocks() {
        let old = vec![vec![1; 1000], vec![1000]];
        let new = vec![vec![1000], vec![1; 1000]];
        let steps = plan(&old, &new, Bounds { threshold: 4, elements: 10_000, piece: usize::MAX });
        assert!(steps.len() > 1 && steps.last() == Some(&new));
        let (mut current, mut moved) = (old.clone(), 0);
        for step in steps {
            assert!(largest(&step) <= 10_000);
            moved += pieces(&current, &step);
            current = step;
        }
        assert!(moved < pieces(&old, &new) / 5, "{moved}");
    }

    #[test]
    fn small_changes_are_one_step() {
        let (old, new) = (vec![vec![2; 5], vec![10]], vec![vec![5; 2], vec![5; 2]]);
        assert_eq!(plan(&old, &new, Bounds { threshold: 4, elements: 1, piece: usize::MAX }), vec![new]);
    }

    #[test]
    fn large_pieces_go_in_one_step() {
        let (old, new) = (vec![vec![100; 10], vec![1000]], vec![vec![1000], vec![100; 10]]);
        let bounds = |piece| Bounds { threshold: 4, elements: 1, piece };
        assert_eq!(plan(&old, &new, bounds(10_000)), vec![new.clone()]);
        assert_eq!(plan(&old, &new, bounds(10_001)).len(), 2);
    }

    #[test]
    fn refined_blocks_are_parts_of_both() {
        let (old, new) = (vec![vec![3, 0, 3], vec![4]], vec![vec![2, 4], vec![4]]);
        assert_eq!(refine(&old, &new), vec![vec![2, 1, 3], vec![4]]);
    }

    #[test]
    fn blocks_divide_and_merge() {
        assert_eq!(divide(&[5, 2], 3), [2, 3, 2]);
        assert_eq!(merge(&[1, 1, 5], 2), [2, 5]);
        assert_eq!(merge(&[10; 4], 3), [20, 10, 10]);
        assert_eq!(merge(&[3, 1, 2, 0, 4], 1), [10]);
    }
}
