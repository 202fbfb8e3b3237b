//! Brings elements that do not lie together into a register: rows, columns, and numbers that are
//! counted.

use super::{Count, Element, Num, Tile};

/// Asks for the memory of the tile after `tile` in the same rows, `columns` wide, before it is needed.
/// Tiles of operands that lie across each other are many short lines, which processors do not foresee.
pub(super) fn announce(
    from: *const u8,
    tile: &Tile,
    (row, column): (isize, isize),
    columns: usize,
    unit: isize,
) {
    let from = from.wrapping_offset(tile.columns as isize * column);
    // Lines are what lies together, along rows or along columns.
    let (lines, step, n) = if row.abs() == unit && column.abs() != unit {
        (columns, column, tile.rows)
    } else if column.abs() == unit {
        (tile.rows, row, columns)
    } else {
        return;
    };
    let backwards = if row == -unit || column == -unit { (n as isize - 1) * unit } else { 0 };
    for line in 0..lines {
        let start = from.wrapping_offset(line as isize * step - backwards);
        let mut at = 0;
        while at < n * unit as usize {
            prefetch(start.wrapping_add(at));
            at += 64;
        }
    }
}

#[inline(always)]
fn prefetch(_at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint: nothing is read, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(_at.cast());
    }
}

/// # Safety
/// Every element of the tile is at `from` plus its steps; `to` has room for the tile.
pub(super) unsafe fn gather<T: Copy>(
    from: *const u8,
    tile: &Tile,
    (row, column): (isize, isize),
    to: *mut u8,
) {
    let unit = size_of::<T>() as isize;
    let to = to.cast::<T>();
    // SAFETY: as the caller promises.
    unsafe {
        let element =
            |r: usize, c: usize| from.offset(r as isize * row + c as isize * column).cast::<T>().read();
        if column == unit {
            for r in 0..tile.rows {
                let line = from.offset(r as isize * row).cast::<T>();
                std::ptr::copy_nonoverlapping(line, to.add(r * tile.columns), tile.columns);
            }
        } else if column == 0 {
            for r in 0..tile.rows {
                std::slice::from_raw_parts_mut(to.add(r * tile.columns), tile.columns).fill(element(r, 0));
            }
        } else if row == unit {
            turn(from, tile, column, to);
        } else {
            for r in 0..tile.rows {
                for c in 0..tile.columns {
                    to.add(r * tile.columns + c).write(element(r, c));
                }
            }
        }
    }
}

/// A tile whose columns lie together, `step` bytes from one to the next.
///
/// # Safety
/// That of [`gather`].
unsafe fn turn<T: Copy>(from: *const u8, tile: &Tile, step: isize, to: *mut T) {
    let (mut rows, mut columns) = (0, 0);
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        let side = match size_of::<T>() {
            8 => 4,
            4 => 8,
            _ => usize::MAX,
        };
        if tile.rows >= side && tile.columns >= side {
            (rows, columns) = (tile.rows / side * side, tile.columns / side * side);
            // SAFETY: the processor has AVX2; squares are inside the tile.
            unsafe {
                match side {
                    4 => squares::of_four(from, rows, columns, step, to.cast(), tile.columns),
                    _ => squares::of_eight(from, rows, columns, step, to.cast(), tile.columns),
                }
            }
        }
    }
    // SAFETY: as the caller promises.
    unsafe {
        // What no square covers: to the right of them, and below.
        for c in 0..tile.columns {
            let line = from.offset(c as isize * step).cast::<T>();
            for r in if c < columns { rows } else { 0 }..tile.rows {
                to.add(r * tile.columns + c).write(line.add(r).read());
            }
        }
    }
}

/// Transpositions of squares in the processor's registers.
#[cfg(target_arch = "x86_64")]
mod squares {
    use std::arch::x86_64::*;

    /// 4 x 4 elements of 8 bytes at a time.
    ///
    /// # Safety
    /// `columns` lines of `rows` elements are at `from`, `step` bytes apart; `to` has room for `rows` lines of
    /// `width` elements, of which `columns` are written. Both are multiples of 4.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn of_four(
        from: *const u8,
        rows: usize,
        columns: usize,
        step: isize,
        to: *mut f64,
        width: usize,
    ) {
        // SAFETY: as the caller promises.
        unsafe {
            for c in (0..columns).step_by(4) {
                let line = |i: isize| from.offset((c as isize + i) * step).cast::<f64>();
                let (p, q, s, t) = (line(0), line(1), line(2), line(3));
                for r in (0..rows).step_by(4) {
                    let (a, b) = (_mm256_loadu_pd(p.add(r)), _mm256_loadu_pd(q.add(r)));
                    let (c_, d) = (_mm256_loadu_pd(s.add(r)), _mm256_loadu_pd(t.add(r)));
                    let (ab0, ab1) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
                    let (cd0, cd1) = (_mm256_unpacklo_pd(c_, d), _mm256_unpackhi_pd(c_, d));
                    let out = to.add(r * width + c);
                    _mm256_storeu_pd(out, _mm256_permute2f128_pd::<0x20>(ab0, cd0));
                    _mm256_storeu_pd(out.add(width), _mm256_permute2f128_pd::<0x20>(ab1, cd1));
                    _mm256_storeu_pd(out.add(2 * width), _mm256_permute2f128_pd::<0x31>(ab0, cd0));
                    _mm256_storeu_pd(out.add(3 * width), _mm256_permute2f128_pd::<0x31>(ab1, cd1));
                }
            }
        }
    }

    /// 8 x 8 elements of 4 bytes at a time.
    ///
    /// # Safety
    /// As of [`of_four`], with multiples of 8.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn of_eight(
        from: *const u8,
        rows: usize,
        columns: usize,
        step: isize,
        to: *mut f32,
        width: usize,
    ) {
        // SAFETY: as the caller promises.
        unsafe {
            for c in (0..columns).step_by(8) {
                for r in (0..rows).step_by(8) {
                    let load =
                        |i: isize| _mm256_loadu_ps(from.offset((c as isize + i) * step).cast::<f32>().add(r));
                    let pair = |i| {
                        let (a, b) = (load(i), load(i + 1));
                        (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b))
                    };
                    let quad = |i| {
                        let ((a, b), (c, d)) = (pair(i), pair(i + 2));
                        [
                            _mm256_shuffle_ps::<0x44>(a, c),
                            _mm256_shuffle_ps::<0xee>(a, c),
                            _mm256_shuffle_ps::<0x44>(b, d),
                            _mm256_shuffle_ps::<0xee>(b, d),
                        ]
                    };
                    let (low, high) = (quad(0), quad(4));
                    let out = to.add(r * width + c);
                    for i in 0..4 {
                        _mm256_storeu_ps(out.add(i * width), _mm256_permute2f128_ps::<0x20>(low[i], high[i]));
                        _mm256_storeu_ps(
                            out.add((i + 4) * width),
                            _mm256_permute2f128_ps::<0x31>(low[i], high[i]),
                        );
                    }
                }
            }
        }
    }
}

/// `n` elements of a register that count.
pub(super) struct Line {
    pub to: *mut u8,
    pub n: usize,
}

impl Line {
    /// # Safety
    /// `to` has room for `n` elements of `num`, a float.
    pub(super) unsafe fn count_floats(self, num: Num, count: Count) {
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2; the rest is the caller's promise.
            return unsafe { self.count_floats_wide(num, count) };
        }
        // SAFETY: as the caller promises.
        unsafe { self.count_floats_plain(num, count) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    unsafe fn count_floats_wide(self, num: Num, count: Count) {
        // SAFETY: as the caller promises.
        unsafe { self.count_floats_plain(num, count) }
    }

    #[inline(always)]
    unsafe fn count_floats_plain(self, num: Num, count: Count) {
        // A register's length fits `i32`, which processors convert eight at a time; positions fit `f64`.
        let (first, stride) = (count.first as f64, count.stride as f64);
        let value = |i: usize| count.start + count.step * (first + stride * f64::from(i as i32));
        // SAFETY: as the caller promises.
        unsafe {
            if num == Num::F64 {
                let line = std::slice::from_raw_parts_mut(self.to.cast::<f64>(), self.n);
                line.iter_mut().enumerate().for_each(|(i, x)| *x = value(i));
            } else {
                let line = std::slice::from_raw_parts_mut(self.to.cast::<f32>(), self.n);
                line.iter_mut().enumerate().for_each(|(i, x)| *x = value(i) as f32);
            }
        }
    }

    /// # Safety
    /// `to` has room for `n` elements of `num`, an integer.
    pub(super) unsafe fn count_integers(self, num: Num, count: Count) {
        let first = count.int_start.wrapping_add(count.int_step.wrapping_mul(count.first));
        let step = count.int_step.wrapping_mul(count.stride);
        super::number::with_element!(num, T => {
            // SAFETY: as the caller promises.
            let line = unsafe { std::slice::from_raw_parts_mut(self.to.cast::<T>(), self.n) };
            let mut value = first;
            for x in line {
                *x = <T as Element>::from_bits(value as u64);
                value = value.wrapping_add(step);
            }
        });
    }
}
