//! Reductions of a program's results: the first step on a block, merging, and the end.
//!
//! Sums of floats are kept in `f64`, tile by tile: within a tile in parallel lanes, between tiles with a
//! carried error, so that they are at least as accurate as NumPy's pairwise sums. Variances are
//! merged from tiles' means and squares around them, never from squares of the data.

use serde::{Deserialize, Serialize};
use weft_data::NdArray;

use super::number::with_element;
use super::{Bits, Element, Elements, Num, Program, Slot, Source, Tile, least, most, tiles};

/// How elements become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    Sum,
    Prod,
    Min,
    Max,
    Any,
    All,
    CountNonzero,
    Mean,
    /// The mean square distance from the mean; `ddof` is taken off the count.
    Var,
    Std,
}

impl Reduction {
    /// All of them.
    pub const ALL: [Reduction; 10] = [
        Reduction::Sum,
        Reduction::Prod,
        Reduction::Min,
        Reduction::Max,
        Reduction::Any,
        Reduction::All,
        Reduction::CountNonzero,
        Reduction::Mean,
        Reduction::Var,
        Reduction::Std,
    ];

    pub fn from_name(name: &str) -> Option<Reduction> {
        Self::ALL.into_iter().find(|reduction| reduction.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Reduction::Sum => "sum",
            Reduction::Prod => "prod",
            Reduction::Min => "min",
            Reduction::Max => "max",
            Reduction::Any => "any",
            Reduction::All => "all",
            Reduction::CountNonzero => "count_nonzero",
            Reduction::Mean => "mean",
            Reduction::Var => "var",
            Reduction::Std => "std",
        }
    }
}

/// A reduction, what it reduces, and what it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    pub reduction: Reduction,
    /// NaN counts as missing.
    pub skip_nan: bool,
    pub input: Num,
    pub output: Num,
    pub ddof: i64,
}

/// What a cell knows of the elements it has seen. Which fields mean something is the reduction's matter.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Cell {
    /// Elements seen; those that are NaN only if they count.
    n: u64,
    /// Sum or product of floats; for variances the mean.
    value: f64,
    /// What the sum's rounding has lost so far; for variances the squares around the mean.
    rest: f64,
    /// Sum or product of integers, or the bits of a minimum or maximum; a truth.
    bits: Bits,
}

/// What some elements of each cell have become.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Partial {
    cells: Vec<Cell>,
    /// Of the cells.
    shape: Vec<usize>,
}

impl Partial {
    pub fn nbytes(&self) -> usize {
        self.cells.len() * size_of::<Cell>()
    }
}

/// Reduces what `program` gives over `shape` along the axes with `reduced`, which keep extent one.
pub fn first(
    spec: Spec,
    shape: &[usize],
    reduced: &[bool],
    sources: &[Source],
    program: &Program,
) -> Partial {
    let cell_shape: Vec<usize> =
        shape.iter().zip(reduced).map(|(&n, &gone)| if gone { 1 } else { n }).collect();
    let target: Vec<usize> = weft_data::c_strides(&cell_shape, 1)
        .iter()
        .zip(reduced)
        .map(|(&stride, &gone)| if gone { 0 } else { stride as usize })
        .collect();
    let mut cells = vec![Cell::start(spec); cell_shape.iter().product()];
    let each: usize = shape.iter().zip(reduced).filter(|(_, gone)| **gone).map(|(&n, _)| n).product();
    if let Slot::Const(bits) = program.out {
        // The same everywhere: nobody has to look at each.
        let cell =
            with_element!(spec.input, T => Cell::uniform(spec, <T as Element>::from_bits(bits), each as u64));
        cells.fill(cell);
        return Partial { cells, shape: cell_shape };
    }
    let mut columns = Columns::default();
    tiles(shape, sources, program, &target, &mut |_| None, &mut |tile, elements| {
        with_element!(spec.input, T => {
            let constant;
            let values: &[T] = match elements {
                // SAFETY: the program gives a tile of its result's type.
                Elements::Ptr(ptr) => unsafe { std::slice::from_raw_parts(ptr.cast::<T>(), tile.size()) },
                Elements::Bits(bits) => {
                    constant = vec![<T as Element>::from_bits(bits); tile.size()];
                    &constant
                }
            };
            take(spec, tile, values, &mut cells, &mut columns);
        })
    });
    columns.finish(spec, each as u64, &mut cells);
    Partial { cells, shape: cell_shape }
}

fn take<T: Element>(spec: Spec, tile: &Tile, values: &[T], cells: &mut [Cell], columns: &mut Columns) {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { take_wide(spec, tile, values, cells, columns) };
    }
    take_tile(spec, tile, values, cells, columns);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn take_wide<T: Element>(spec: Spec, tile: &Tile, values: &[T], cells: &mut [Cell], columns: &mut Columns) {
    take_tile(spec, tile, values, cells, columns);
}

#[inline(always)]
fn take_tile<T: Element>(spec: Spec, tile: &Tile, values: &[T], cells: &mut [Cell], columns: &mut Columns) {
    if tile.column == 0 {
        if tile.row == 0 {
            cells[tile.at].take(spec, values);
        } else {
            for (r, row) in values.chunks_exact(tile.columns).enumerate() {
                cells[tile.at + r * tile.row].take(spec, row);
            }
        }
        return;
    }
    if tile.column == 1 && Columns::take_kind(spec) {
        if tile.row == 0 {
            columns.take(spec, values, tile.columns, tile.at, cells.len());
        } else {
            for (r, row) in values.chunks_exact(tile.columns).enumerate() {
                columns.take(spec, row, tile.columns, tile.at + r * tile.row, cells.len());
            }
        }
        return;
    }
    for (r, row) in values.chunks_exact(tile.columns).enumerate() {
        for (c, value) in row.iter().enumerate() {
            cells[tile.at + r * tile.row + c * tile.column].take_one(spec, *value);
        }
    }
}

/// Cells that lie side by side and take one element each at a time, as when rows are added up: kept field by
/// field, so that processors work on several at once.
#[derive(Default)]
struct Columns {
    /// Elements that a cell has seen, told at the first cell of those that come together. Empty until the
    /// first row comes.
    n: Vec<u64>,
    /// Sums, or means.
    value: Vec<f64>,
    /// Squares around the mean.
    rest: Vec<f64>,
    /// Sums of integers, or memory for minima and maxima of the element type.
    bits: Vec<u64>,
}

impl Columns {
    fn take_kind(spec: Spec) -> bool {
        use Reduction::*;
        !spec.skip_nan && matches!(spec.reduction, Sum | Mean | Var | Std | Min | Max)
    }

    /// Takes rows of `width` elements for the cells from `from` on, of `cells` in all.
    #[inline(always)]
    fn take<T: Element>(&mut self, spec: Spec, rows: &[T], width: usize, from: usize, cells: usize) {
        let spread = matches!(spec.reduction, Reduction::Var | Reduction::Std);
        let extreme = matches!(spec.reduction, Reduction::Min | Reduction::Max);
        let integers = spec.reduction == Reduction::Sum && !T::NUM.is_float();
        if self.n.is_empty() {
            self.n = vec![0; cells];
            if integers || extreme {
                self.bits = vec![0; cells];
            } else {
                self.value = vec![0.0; cells];
            }
            if spread {
                self.rest = vec![0.0; cells];
            }
        }
        let to = from + width;
        let before = self.n[from];
        self.n[from] = before + (rows.len() / width) as u64;
        if extreme {
            // SAFETY: `bits` has eight bytes for each cell, more than an element of any type.
            let all = unsafe { std::slice::from_raw_parts_mut(self.bits.as_mut_ptr().cast::<T>(), cells) };
            let best = &mut all[from..to];
            if before == 0 {
                best.copy_from_slice(&rows[..width]);
            }
            if spec.reduction == Reduction::Min {
                fold_rows(best, rows, width, |x| x, least);
            } else {
                fold_rows(best, rows, width, |x| x, most);
            }
        } else if spread {
            let (mean, rest) = (&mut self.value[from..to], &mut self.rest[from..to]);
            for (r, row) in rows.chunks_exact(width).enumerate() {
                let share = 1.0 / (before + r as u64 + 1) as f64;
                for ((mean, rest), x) in mean.iter_mut().zip(rest.iter_mut()).zip(row) {
                    let x = x.to_f64();
                    let delta = x - *mean;
                    *mean += delta * share;
                    *rest += delta * (x - *mean);
                }
            }
        } else if integers {
            fold_rows(&mut self.bits[from..to], rows, width, widen, u64::wrapping_add);
        } else {
            fold_rows(&mut self.value[from..to], rows, width, T::to_f64, |a, b| a + b);
        }
    }

    /// `each`: how many elements every cell has seen.
    fn finish(&self, spec: Spec, each: u64, cells: &mut [Cell]) {
        if self.n.is_empty() {
            return;
        }
        let extreme = matches!(spec.reduction, Reduction::Min | Reduction::Max);
        for (i, cell) in cells.iter_mut().enumerate() {
            let bits = if extreme {
                with_element!(spec.input, T => {
                    // SAFETY: as where they were written.
                    let best = unsafe { self.bits.as_ptr().cast::<T>().add(i).read() };
                    Element::to_bits(best)
                })
            } else {
                self.bits.get(i).copied().unwrap_or(0)
            };
            let value = self.value.get(i).copied().unwrap_or(0.0);
            let rest = self.rest.get(i).copied().unwrap_or(0.0);
            cell.merge(spec, &Cell { n: each, value, rest, bits });
        }
    }
}

/// Folds rows into one.
#[inline(always)]
fn fold_rows<T: Copy, S: Copy>(
    into: &mut [S],
    rows: &[T],
    width: usize,
    start: impl Fn(T) -> S,
    f: impl Fn(S, S) -> S,
) {
    // Pieces of one length are what compilers make one instruction of.
    const SOME: usize = 16;
    for row in rows.chunks_exact(width) {
        let (groups, left) = into.as_chunks_mut::<SOME>();
        let (some, last) = row.as_chunks::<SOME>();
        for (group, some) in groups.iter_mut().zip(some) {
            for i in 0..SOME {
                group[i] = f(group[i], start(some[i]));
            }
        }
        left.iter_mut().zip(last).for_each(|(into, &x)| *into = f(*into, start(x)));
    }
}

impl Cell {
    fn start(spec: Spec) -> Cell {
        let one = match spec.reduction {
            Reduction::Prod => 1.0,
            _ => 0.0,
        };
        let bits = matches!(spec.reduction, Reduction::Prod | Reduction::All) as u64;
        Cell { n: 0, value: one, rest: 0.0, bits }
    }

    /// Adds to a sum, and keeps what the sum's rounding loses.
    #[inline(always)]
    fn add(&mut self, x: f64) {
        let sum = self.value + x;
        let part = sum - self.value;
        let lost = (self.value - (sum - part)) + (x - part);
        // Of infinite sums nothing is lost that could be told.
        if lost.is_finite() {
            self.rest += lost;
        }
        self.value = sum;
    }

    #[inline(always)]
    fn take_one<T: Element>(&mut self, spec: Spec, x: T) {
        if spec.skip_nan && x.is_nan() {
            return;
        }
        self.n += 1;
        match spec.reduction {
            Reduction::Sum if T::NUM.is_float() => self.add(x.to_f64()),
            Reduction::Mean => self.add(x.to_f64()),
            Reduction::Sum => self.bits = self.bits.wrapping_add(widen(x)),
            Reduction::Prod if T::NUM.is_float() => self.value *= x.to_f64(),
            Reduction::Prod => self.bits = self.bits.wrapping_mul(widen(x)),
            Reduction::Min | Reduction::Max => self.pick(spec, x),
            Reduction::Any => self.bits |= (x != T::ZERO) as u64,
            Reduction::All => self.bits &= (x != T::ZERO) as u64,
            Reduction::CountNonzero => self.bits += (x != T::ZERO) as u64,
            Reduction::Var | Reduction::Std => {
                let x = x.to_f64();
                let delta = x - self.value;
                self.value += delta / self.n as f64;
                self.rest += delta * (x - self.value);
            }
        }
    }

    #[inline(always)]
    fn pick<T: Element>(&mut self, spec: Spec, x: T) {
        let best = if self.n <= 1 {
            x
        } else if spec.reduction == Reduction::Min {
            least(T::from_bits(self.bits), x)
        } else {
            most(T::from_bits(self.bits), x)
        };
        self.bits = best.to_bits();
    }

    /// What `n` elements `x` make of an empty cell.
    fn uniform<T: Element>(spec: Spec, x: T, n: u64) -> Cell {
        let mut cell = Cell::start(spec);
        if n == 0 || (spec.skip_nan && x.is_nan()) {
            return cell;
        }
        cell.take_one(spec, x);
        cell.n = n;
        match spec.reduction {
            Reduction::Sum if !T::NUM.is_float() => cell.bits = cell.bits.wrapping_mul(n),
            Reduction::Sum | Reduction::Mean => cell.value *= n as f64,
            Reduction::Prod if T::NUM.is_float() => cell.value = cell.value.powf(n as f64),
            Reduction::Prod => {
                let (mut power, mut left, mut all) = (cell.bits, n, 1u64);
                while left > 0 {
                    if left % 2 == 1 {
                        all = all.wrapping_mul(power);
                    }
                    power = power.wrapping_mul(power);
                    left /= 2;
                }
                cell.bits = all;
            }
            Reduction::CountNonzero => cell.bits *= n,
            // The first element says all.
            _ => {}
        }
        cell
    }

    /// Many elements for one cell.
    #[inline(always)]
    fn take<T: Element>(&mut self, spec: Spec, values: &[T]) {
        if spec.skip_nan && T::NUM.is_float() {
            let missing = lanes(values, |x| x.is_nan() as u8 as f64) as u64;
            if missing > 0 {
                return self.take_some(spec, values, values.len() as u64 - missing);
            }
        }
        let n = values.len() as u64;
        match spec.reduction {
            Reduction::Mean => self.add(lanes(values, |x| x.to_f64())),
            Reduction::Sum if T::NUM.is_float() => self.add(lanes(values, |x| x.to_f64())),
            Reduction::Sum => {
                let sum = values.iter().fold(0u64, |sum, &x| sum.wrapping_add(widen(x)));
                self.bits = self.bits.wrapping_add(sum);
            }
            Reduction::CountNonzero => {
                self.bits += values.iter().map(|&x| (x != T::ZERO) as u64).sum::<u64>();
            }
            // Piece by piece, since a loop that may end at each element cannot look at several at once.
            Reduction::Any => {
                let any = |piece: &[T]| piece.iter().fold(false, |any, &x| any | (x != T::ZERO));
                self.bits |= values.chunks(128).any(any) as u64;
            }
            Reduction::All => {
                let all = |piece: &[T]| piece.iter().fold(true, |all, &x| all & (x != T::ZERO));
                self.bits &= values.chunks(128).all(all) as u64;
            }
            Reduction::Min | Reduction::Max => {
                let Some(&start) = values.first() else { return };
                let best = if spec.reduction == Reduction::Min {
                    extreme(values, start, least)
                } else {
                    extreme(values, start, most)
                };
                self.n += 1;
                self.pick(spec, best);
                self.n += n - 1;
                return;
            }
            Reduction::Var | Reduction::Std => {
                if n == 0 {
                    return;
                }
                let mean = lanes(values, |x| x.to_f64()) / n as f64;
                let squares = lanes(values, |x| {
                    let delta = x.to_f64() - mean;
                    delta * delta
                });
                self.merge(spec, &Cell { n, value: mean, rest: squares, bits: 0 });
                return;
            }
            Reduction::Prod if T::NUM.is_float() => {
                self.value *= in_lanes(values, 1.0, |x| x.to_f64(), |a, b| a * b);
            }
            Reduction::Prod => {
                let product = values.iter().fold(1u64, |product, &x| product.wrapping_mul(widen(x)));
                self.bits = self.bits.wrapping_mul(product);
            }
        }
        self.n += n;
    }

    /// Many floats for one cell, of which `n` are not NaN and count.
    #[inline(always)]
    fn take_some<T: Element>(&mut self, spec: Spec, values: &[T], n: u64) {
        if n == 0 {
            return;
        }
        let or = |x: T, other: f64| if x.is_nan() { other } else { x.to_f64() };
        match spec.reduction {
            Reduction::Sum | Reduction::Mean => self.add(lanes(values, |x| or(x, 0.0))),
            Reduction::Prod => self.value *= in_lanes(values, 1.0, |x| or(x, 1.0), |a, b| a * b),
            Reduction::Var | Reduction::Std => {
                let mean = lanes(values, |x| or(x, 0.0)) / n as f64;
                let squares = lanes(values, |x| {
                    let delta = or(x, mean) - mean;
                    delta * delta
                });
                return self.merge(spec, &Cell { n, value: mean, rest: squares, bits: 0 });
            }
            _ => return values.iter().for_each(|&x| self.take_one(spec, x)),
        }
        self.n += n;
    }

    /// The elements of another cell.
    fn merge(&mut self, spec: Spec, other: &Cell) {
        let before = self.n;
        self.n += other.n;
        if other.n == 0 {
            return;
        }
        match spec.reduction {
            Reduction::Sum if !spec.input.is_float() => self.bits = self.bits.wrapping_add(other.bits),
            Reduction::Sum | Reduction::Mean => {
                self.add(other.value);
                self.rest += other.rest;
            }
            Reduction::Prod if spec.input.is_float() => self.value *= other.value,
            Reduction::Prod => self.bits = self.bits.wrapping_mul(other.bits),
            Reduction::Min | Reduction::Max if before == 0 => self.bits = other.bits,
            Reduction::Min | Reduction::Max => with_element!(spec.input, T => {
                self.pick(spec, <T as Element>::from_bits(other.bits))
            }),
            Reduction::Any => self.bits |= other.bits,
            Reduction::All => self.bits &= other.bits,
            Reduction::CountNonzero => self.bits += other.bits,
            Reduction::Var | Reduction::Std => {
                let (n, m) = (before as f64, other.n as f64);
                let delta = other.value - self.value;
                self.value += delta * m / (n + m);
                self.rest += other.rest + delta * delta * n * m / (n + m);
                if before == 0 {
                    self.value = other.value;
                    self.rest = other.rest;
                }
            }
        }
    }

    /// The result's bits.
    fn finish(&self, spec: Spec, spread: bool) -> Bits {
        let float = match spec.reduction {
            Reduction::Any | Reduction::All => return self.bits,
            Reduction::CountNonzero => return integer(self.bits, spec.output),
            Reduction::Min | Reduction::Max if self.n == 0 => f64::NAN,
            Reduction::Min | Reduction::Max => return self.bits,
            Reduction::Sum | Reduction::Prod if !spec.input.is_float() => {
                return integer(self.bits, spec.output);
            }
            Reduction::Sum => self.value + self.rest,
            Reduction::Prod => self.value,
            Reduction::Mean if spread && self.n > 0 => self.value,
            Reduction::Mean => (self.value + self.rest) / self.n as f64,
            Reduction::Var | Reduction::Std => {
                let left = self.n as i64 - spec.ddof;
                let var = if self.n == 0 || (spec.skip_nan && left <= 0) {
                    f64::NAN
                } else {
                    self.rest / left.max(0) as f64
                };
                if spec.reduction == Reduction::Std { var.sqrt() } else { var }
            }
        };
        match spec.output {
            Num::F32 => (float as f32).to_bits() as u64,
            _ => float.to_bits(),
        }
    }
}

/// An integer sum as an element of `num`.
fn integer(bits: Bits, num: Num) -> Bits {
    match num {
        Num::F64 => (bits as i64 as f64).to_bits(),
        Num::F32 => (bits as i64 as f32).to_bits() as u64,
        Num::Bool => (bits != 0) as u64,
        _ => bits,
    }
}

/// An integer in 64 bits, by its sign.
#[inline(always)]
fn widen<T: Element>(x: T) -> u64 {
    match T::NUM {
        Num::I8 => x.to_bits() as u8 as i8 as i64 as u64,
        Num::I16 => x.to_bits() as u16 as i16 as i64 as u64,
        Num::I32 => x.to_bits() as u32 as i32 as i64 as u64,
        _ => x.to_bits(),
    }
}

/// A sum in sixteen lanes: parallel, and with an error that grows with the sixteenth of the length.
#[inline(always)]
fn lanes<T: Copy>(values: &[T], f: impl Fn(T) -> f64) -> f64 {
    in_lanes(values, 0.0, f, |a, b| a + b)
}

/// `fold` of `f` of all values, in sixteen lanes that start with what changes nothing.
#[inline(always)]
fn in_lanes<T: Copy>(
    values: &[T],
    nothing: f64,
    f: impl Fn(T) -> f64,
    fold: impl Fn(f64, f64) -> f64,
) -> f64 {
    const LANES: usize = 16;
    let mut all = [nothing; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &x) in all.iter_mut().zip(chunk) {
            *lane = fold(*lane, f(x));
        }
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            all[i] = fold(all[i], all[i + width]);
        }
    }
    rest.iter().fold(all[0], |a, &x| fold(a, f(x)))
}

#[inline(always)]
fn extreme<T: Element>(values: &[T], start: T, f: impl Fn(T, T) -> T) -> T {
    const LANES: usize = 16;
    let mut best = [start; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (best, &x) in best.iter_mut().zip(chunk) {
            *best = f(*best, x);
        }
    }
    let all = best.iter().fold(start, |a, &b| f(a, b));
    rest.iter().fold(all, |a, &b| f(a, b))
}

/// Partial results with cells of the same shapes as one; their elements lie one after the other.
pub fn merge(spec: Spec, partials: &[&Partial]) -> Option<Partial> {
    let (first, rest) = partials.split_first()?;
    let mut merged = (*first).clone();
    for partial in rest {
        if partial.shape != merged.shape {
            return None;
        }
        for (cell, other) in merged.cells.iter_mut().zip(&partial.cells) {
            cell.merge(spec, other);
        }
    }
    Some(merged)
}

/// The results; `None`: a minimum or maximum of nothing. `partial` may be that of a variance where a mean is
/// wanted, if `spread`.
pub fn finish(spec: Spec, partial: &Partial, keep: &[bool], spread: bool) -> Option<NdArray> {
    let extreme = matches!(spec.reduction, Reduction::Min | Reduction::Max);
    if extreme && !spec.skip_nan && partial.cells.iter().any(|cell| cell.n == 0) {
        return None;
    }
    let unit = spec.output.nbytes();
    let mut bytes = Vec::with_capacity(partial.cells.len() * unit);
    for cell in &partial.cells {
        bytes.extend_from_slice(&cell.finish(spec, spread).to_le_bytes()[..unit]);
    }
    let shape: Vec<usize> =
        partial.shape.iter().zip(keep).filter(|(_, keep)| **keep).map(|(&n, _)| n).collect();
    NdArray::contiguous(arrow_buffer::MutableBuffer::from(bytes), spec.output.dtype(), &shape).ok()
}
