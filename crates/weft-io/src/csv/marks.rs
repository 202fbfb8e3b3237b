//! The positions of separators and line breaks, 64 bytes at a time.

/// Positions in a stretch of bytes, each list in order.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Separators and `\n`.
    pub ends: Vec<u32>,
    /// `\n`.
    pub breaks: Vec<u32>,
    /// Quotes, and `\r` without `\n` after it: the rows that have them need the general way.
    pub odd: Vec<u32>,
}

/// One bit a byte.
struct Masks {
    delimiter: u64,
    line_break: u64,
    quote: u64,
    carriage: u64,
}

impl Marks {
    /// Finds what is in `bytes[from..to]`, replacing what was found before, but for `ends`, which grows.
    pub(crate) fn find(&mut self, bytes: &[u8], from: usize, to: usize, delimiter: u8, quote: Option<u8>) {
        self.breaks.clear();
        self.odd.clear();
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("popcnt")
        {
            // SAFETY: the processor has what the function needs.
            unsafe { self.find_avx2(bytes, from, to, delimiter, quote) };
            return;
        }
        self.find_with(bytes, from, to, |block| portable(block, delimiter, quote));
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,popcnt")]
    fn find_avx2(&mut self, bytes: &[u8], from: usize, to: usize, delimiter: u8, quote: Option<u8>) {
        use std::arch::x86_64::{
            __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8,
        };
        let needle = |byte: u8| _mm256_set1_epi8(byte as i8);
        let (delimiters, breaks, carriages) = (needle(delimiter), needle(b'\n'), needle(b'\r'));
        let (quotes, quoting) = (needle(quote.unwrap_or(0)), if quote.is_some() { u64::MAX } else { 0 });
        self.find_with(bytes, from, to, |block| {
            let pointer = block.as_ptr().cast::<__m256i>();
            // SAFETY: the block has 64 bytes, and these loads need no alignment.
            let (low, high) = unsafe { (_mm256_loadu_si256(pointer), _mm256_loadu_si256(pointer.add(1))) };
            let mask = |needle: __m256i| {
                let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, needle)) as u32;
                let high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, needle)) as u32;
                u64::from(low) | u64::from(high) << 32
            };
            Masks {
                delimiter: mask(delimiters),
                line_break: mask(breaks),
                quote: mask(quotes) & quoting,
                carriage: mask(carriages),
            }
        });
    }

    #[inline(always)]
    fn find_with(&mut self, bytes: &[u8], from: usize, to: usize, masks: impl Fn(&[u8; 64]) -> Masks) {
        // Whether the byte before the block is a `\r`.
        let mut carriage = false;
        let mut at = from;
        while at < to {
            let mut tail = [0; 64];
            let (block, valid) =
                match bytes.get(at..at + 64).and_then(|block| <&[u8; 64]>::try_from(block).ok()) {
                    Some(block) if at + 64 <= to => (block, u64::MAX),
                    _ => {
                        tail[..to - at].copy_from_slice(&bytes[at..to]);
                        (&tail, u64::MAX >> (64 - (to - at)))
                    }
                };
            let Masks { delimiter, line_break, quote, carriage: carriages } = masks(block);
            let (delimiter, line_break) = (delimiter & valid, line_break & valid);
            if carriage && line_break & 1 == 0 {
                self.odd.push(at as u32 - 1);
            }
            push_bits::<8>(&mut self.ends, delimiter | line_break, at);
            push_bits::<2>(&mut self.breaks, line_break, at);
            // The last byte's follower is in the next block.
            let lone = carriages & !(line_break >> 1) & !(1 << 63);
            if (quote | lone) & valid != 0 {
                push_bits::<8>(&mut self.odd, (quote | lone) & valid, at);
            }
            carriage = carriages >> 63 == 1;
            at += 64;
        }
        if carriage {
            self.odd.push(at as u32 - 1);
        }
    }
}

/// Appends the positions of the bits that are set. `STEP` is about as many as there mostly are.
#[inline(always)]
fn push_bits<const STEP: usize>(positions: &mut Vec<u32>, mut bits: u64, base: usize) {
    let count = bits.count_ones() as usize;
    let length = positions.len();
    if positions.capacity() - length < 64 {
        positions.reserve(64.max(length));
    }
    // Some at a time, needed or not: how many there are varies from block to block, and a loop over each would be
    // predicted wrongly each time. Volatile writes keep the compiler from gathering them in a vector first, which is slower.
    // SAFETY: there is room for 64 more, and `STEP` divides that, so that no write is beyond it; the first `count` are
    // written before the length says so.
    unsafe {
        let out = positions.as_mut_ptr().add(length);
        let mut done = 0;
        loop {
            for i in done..done + STEP {
                out.add(i).write_volatile((base as u32).wrapping_add(bits.trailing_zeros()));
                bits &= bits.wrapping_sub(1);
            }
            done += STEP;
            if done >= count {
                break;
            }
        }
        positions.set_len(length + count);
    }
}

/// Without vector instructions of a known kind; compilers make some of it.
fn portable(block: &[u8; 64], delimiter: u8, quote: Option<u8>) -> Masks {
    let mask = |byte: u8| block.iter().enumerate().fold(0, |bits, (i, &b)| bits | u64::from(b == byte) << i);
    Masks {
        delimiter: mask(delimiter),
        line_break: mask(b'\n'),
        quote: quote.map_or(0, mask),
        carriage: mask(b'\r'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_plain_loop_finds(
            bytes in prop::collection::vec(prop::sample::select(b",\n\r\"ab\0".to_vec()), 0..300),
            from in 0usize..70, quoting: bool,
        ) {
            let from = from.min(bytes.len());
            let to = bytes.len();
            let quote = quoting.then_some(b'"');
            let positions = |keep: &dyn Fn(usize) -> bool| (from..to).filter(|&i| keep(i)).map(|i| i as u32).collect::<Vec<_>>();
            let breaks = positions(&|i| bytes[i] == b'\n');
            let ends = positions(&|i| bytes[i] == b',' || bytes[i] == b'\n');
            let mut odd = positions(&|i| {
                Some(bytes[i]) == quote || (bytes[i] == b'\r' && bytes.get(i + 1) != Some(&b'\n'))
            });
            let mut fast = Marks::default();
            fast.find(&bytes, from, to, b',', quote);
            let mut plain = Marks::default();
            plain.find_with(&bytes, from, to, |block| portable(block, b',', quote));
            for mut found in [fast, plain] {
                found.odd.sort_unstable();
                odd.sort_unstable();
                prop_assert_eq!(&found.ends, &ends);
                prop_assert_eq!(&found.breaks, &breaks);
                prop_assert_eq!(&found.odd, &odd);
            }
        }
    }
}
