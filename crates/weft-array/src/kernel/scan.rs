//! Running sums and products.

use weft_data::{NdArray, memory};

use super::number::with_element;
use super::{Element, Num};

/// What runs along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scan {
    /// A product instead of a sum.
    pub product: bool,
    /// NaN counts as if it were not there.
    pub skip_nan: bool,
    pub axis: usize,
    /// Of the elements and of the result.
    pub num: Num,
}

trait Running: Element {
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn one() -> Self;
}

macro_rules! running {
    ($($T:ty: $plus:expr, $times:expr;)*) => { $(
        impl Running for $T {
            #[inline(always)]
            fn plus(self, other: $T) -> $T { $plus(self, other) }
            #[inline(always)]
            fn times(self, other: $T) -> $T { $times(self, other) }
            #[inline(always)]
            fn one() -> $T { 1 as $T }
        }
    )* };
}
running! {
    i8: i8::wrapping_add, i8::wrapping_mul; i16: i16::wrapping_add, i16::wrapping_mul;
    i32: i32::wrapping_add, i32::wrapping_mul; i64: i64::wrapping_add, i64::wrapping_mul;
    u8: u8::wrapping_add, u8::wrapping_mul; u16: u16::wrapping_add, u16::wrapping_mul;
    u32: u32::wrapping_add, u32::wrapping_mul; u64: u64::wrapping_add, u64::wrapping_mul;
    f32: |a, b| a + b, |a, b| a * b; f64: |a, b| a + b, |a, b| a * b;
}

/// Sums or products of a block's elements and all before them along the axis, `carry` being what has come before
/// the block: of its shape but one long along the axis. `None`: it is of another shape.
pub fn scan(spec: Scan, block: &NdArray, carry: Option<&NdArray>) -> Option<NdArray> {
    let block = block.to_contiguous();
    let carry = carry.map(NdArray::to_contiguous);
    if let Some(carry) = &carry {
        let fits = carry.ndim() == block.ndim()
            && carry.dtype() == block.dtype()
            && (0..block.ndim())
                .all(|i| carry.shape()[i] == if i == spec.axis { 1 } else { block.shape()[i] });
        if !fits {
            return None;
        }
    }
    with_element!(spec.num, T => run::<T>(spec, &block, carry.as_ref()))
}

fn run<T: Running>(spec: Scan, block: &NdArray, carry: Option<&NdArray>) -> Option<NdArray> {
    let shape = block.shape();
    let (n, inner) = (shape[spec.axis], shape[spec.axis + 1..].iter().product::<usize>());
    // SAFETY: contiguous elements of `T`, as many as the shape says.
    let values = unsafe { std::slice::from_raw_parts(block.as_ptr().cast::<T>(), block.len()) };
    let before: Option<&[T]> = carry
        // SAFETY: as above.
        .map(|carry| unsafe { std::slice::from_raw_parts(carry.as_ptr().cast::<T>(), carry.len()) });
    let mut memory = memory::Block::new(size_of_val(values));
    let nothing = if spec.product { T::one() } else { T::ZERO };
    let value = |x: T| if spec.skip_nan && x.is_nan() { nothing } else { x };
    let fold = |a: T, x: T| if spec.product { a.times(value(x)) } else { a.plus(value(x)) };
    if !values.is_empty() {
        let out = memory.as_mut_ptr().cast::<T>();
        for outer in 0..values.len() / (n * inner) {
            let slab = outer * n * inner;
            for i in 0..inner {
                // SAFETY: the memory has room for as many elements as there are values.
                let first = slab + i;
                let start = match before {
                    Some(before) => fold(before[outer * inner + i], values[first]),
                    None => value(values[first]),
                };
                // SAFETY: as above.
                unsafe { out.add(first).write(start) };
            }
            for (i, &x) in values[slab..slab + n * inner].iter().enumerate().skip(inner) {
                let at = slab + i;
                // SAFETY: as above; the element before along the axis has been written.
                unsafe { out.add(at).write(fold(out.add(at - inner).read(), x)) };
            }
        }
    }
    // SAFETY: every element has been written: the first along the axis, then all that follow.
    NdArray::contiguous(unsafe { memory.filled() }, block.dtype().clone(), shape).ok()
}

/// What comes before a block, from what came before the one before it, and that one's total.
pub fn carry(spec: Scan, before: &NdArray, total: &NdArray) -> Option<NdArray> {
    // A running sum of one element.
    scan(spec, total, Some(before))
}
