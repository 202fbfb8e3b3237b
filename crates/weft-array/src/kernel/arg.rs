//! Where the smallest and largest elements are.
//!
//! Of equal ones the first in C order counts, and a NaN counts as smaller and larger than all numbers,
//! unless it counts as missing: NumPy's rules.

use serde::{Deserialize, Serialize};
use weft_data::{NdArray, NdType};

use super::number::with_element;
use super::{Bits, Element, Num};

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arg {
    /// The smallest element, or the largest.
    pub least: bool,
    /// NaN counts as missing.
    pub skip_nan: bool,
    /// Along which axis; `None`: in the whole array, counted in C order.
    pub axis: Option<usize>,
    pub num: Num,
}

/// The best of each cell so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Best {
    bits: Vec<Bits>,
    /// Place along the axis or in the array; `NONE`: no element has come.
    at: Vec<u64>,
    shape: Vec<usize>,
}

const NONE: u64 = u64::MAX;

impl Best {
    pub fn nbytes(&self) -> usize {
        16 * self.at.len()
    }
}

/// Looks through a block in C order, whose first element is at `origin` of an array of shape `whole`.
pub fn first(arg: Arg, block: &NdArray, origin: &[usize], whole: &[usize]) -> Best {
    let block = block.to_contiguous();
    with_element!(arg.num, T => search::<T>(arg, &block, origin, whole))
}

fn search<T: Element>(arg: Arg, block: &NdArray, origin: &[usize], whole: &[usize]) -> Best {
    let shape = block.shape();
    // SAFETY: contiguous elements of `T`, as many as the shape says.
    let values = unsafe { std::slice::from_raw_parts(block.as_ptr().cast::<T>(), block.len()) };
    let Some(axis) = arg.axis else {
        let best = along(arg, values).map(|i| (values[i].to_bits(), place(i, shape, origin, whole)));
        let (bits, at) = best.unwrap_or((0, NONE));
        return Best { bits: vec![bits], at: vec![at], shape: vec![1; shape.len()] };
    };
    let n = shape[axis];
    let inner: usize = shape[axis + 1..].iter().product();
    let start = origin[axis] as u64;
    let cells: usize = shape.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, &n)| n).product();
    let (mut bits, mut at) = (vec![0; cells], vec![NONE; cells]);
    if n > 0 && inner == 1 {
        for ((bits, at), line) in bits.iter_mut().zip(&mut at).zip(values.chunks_exact(n)) {
            if let Some(i) = along(arg, line) {
                (*bits, *at) = (line[i].to_bits(), start + i as u64);
            }
        }
    } else if n > 0 && inner > 0 {
        for (slab, cells) in values.chunks_exact(n * inner).zip((0..cells).step_by(inner)) {
            for (i, row) in slab.chunks_exact(inner).enumerate() {
                let cells = bits[cells..].iter_mut().zip(&mut at[cells..]);
                for (&x, (bits, at)) in row.iter().zip(cells) {
                    if !(arg.skip_nan && x.is_nan()) && (*at == NONE || arg.beats(x, T::from_bits(*bits))) {
                        (*bits, *at) = (x.to_bits(), start + i as u64);
                    }
                }
            }
        }
    }
    let mut shape = shape.to_vec();
    shape[axis] = 1;
    Best { bits, at, shape }
}

impl Arg {
    /// Whether `x` takes the place of `best`, which came before it.
    #[inline(always)]
    fn beats<T: Element>(self, x: T, best: T) -> bool {
        let better = if self.least { x < best } else { x > best };
        better || (x.is_nan() && !best.is_nan())
    }
}

/// The first of the best in a line.
fn along<T: Element>(arg: Arg, line: &[T]) -> Option<usize> {
    // Piece by piece, so that most pieces need only a look that has no memory of places.
    const PIECE: usize = 1024;
    let mut best: Option<usize> = None;
    for (number, piece) in line.chunks(PIECE).enumerate() {
        let from = number * PIECE;
        if let Some(known) = best {
            let known = line[known];
            if known.is_nan() {
                return best;
            }
            let better = piece.iter().fold(false, |any, &x| {
                any | (if arg.least { x < known } else { x > known }) | (x.is_nan() & !arg.skip_nan)
            });
            if !better {
                continue;
            }
        }
        for (i, &x) in piece.iter().enumerate() {
            if arg.skip_nan && x.is_nan() {
                continue;
            }
            if best.is_none_or(|best| arg.beats(x, line[best])) {
                best = Some(from + i);
            }
        }
    }
    best
}

/// Element `i` of a block, as a place in the whole array.
fn place(i: usize, shape: &[usize], origin: &[usize], whole: &[usize]) -> u64 {
    let (mut rest, mut place, mut step) = (i, 0, 1);
    for ((&n, &start), &all) in shape.iter().zip(origin).zip(whole).rev() {
        place += (start + rest % n) * step;
        rest /= n;
        step *= all;
    }
    place as u64
}

/// The best of all; `None`: cells differ.
pub fn merge(arg: Arg, all: &[&Best]) -> Option<Best> {
    let (first, rest) = all.split_first()?;
    let mut merged = (*first).clone();
    for other in rest {
        if other.shape != merged.shape {
            return None;
        }
        for i in 0..merged.at.len() {
            let (bits, at) = (other.bits[i], other.at[i]);
            let wins = if at == NONE {
                false
            } else if merged.at[i] == NONE {
                true
            } else {
                with_element!(arg.num, T => {
                    let (x, best) = (<T as Element>::from_bits(bits), <T as Element>::from_bits(merged.bits[i]));
                    // Of equals the first.
                    arg.beats(x, best) || (!arg.beats(best, x) && at < merged.at[i])
                })
            };
            if wins {
                (merged.bits[i], merged.at[i]) = (bits, at);
            }
        }
    }
    Some(merged)
}

/// The places; `None`: a cell has seen no element that counts.
pub fn finish(best: &Best, keep: &[bool]) -> Option<NdArray> {
    if best.at.contains(&NONE) {
        return None;
    }
    let shape: Vec<usize> = best.shape.iter().zip(keep).filter(|(_, keep)| **keep).map(|(&n, _)| n).collect();
    NdArray::contiguous(arrow_buffer::Buffer::from_vec(best.at.clone()), NdType::Int64, &shape).ok()
}
