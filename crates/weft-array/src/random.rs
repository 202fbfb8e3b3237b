//! Uniform random numbers, block by block: the very streams of NumPy's `Generator(PCG64(SeedSequence(…)))`.
//!
//! A block's generator is seeded from the array's entropy and the block's number alone, so blocks come in any
//! order and on any thread. PCG64 is a linear congruence of 128 bits, whose steps wait for each other; several lanes, each
//! some steps ahead of the last, give the same numbers without waiting.

use std::mem::MaybeUninit;

use weft_data::{ErrorKind, NdArray, NdType, TaskError, Value, Work, memory};

use crate::chunks::{Chunks, position};

const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;
/// Numbers that are made at once.
const LANES: usize = 4;

/// Where the streams of an array's blocks come from, in the words of NumPy's `SeedSequence`.
#[derive(Clone, Debug, PartialEq)]
pub struct Seeds {
    /// Entropy and spawn key as words of 32 bits.
    pub words: Vec<u32>,
    /// Block `i` has the spawn key that ends with `first + i`.
    pub first: u64,
}

/// Numbers in `low .. low + range`, a block for each task.
#[derive(Clone, Debug)]
pub struct Uniform {
    pub seeds: Seeds,
    pub low: f64,
    pub range: f64,
    pub chunks: Chunks,
}

impl Work for Uniform {
    fn name(&self) -> &str {
        "random"
    }

    fn is_cheap(&self) -> bool {
        true
    }

    fn run(&self, index: u32, _inputs: &mut [Value]) -> Result<Value, TaskError> {
        let shape: Option<Vec<usize>> =
            self.chunks.block_shape(&position(index, &self.chunks.numblocks())).into_iter().collect();
        let unknown = || TaskError::native(ErrorKind::Value, "random numbers need known chunks");
        let shape = shape.ok_or_else(unknown)?;
        let n: usize = shape.iter().product();
        let mut memory = memory::Block::new(n * size_of::<f64>());
        let start = memory.as_mut_ptr().cast::<MaybeUninit<f64>>();
        // SAFETY: room for `n` numbers, aligned for them, which nobody else sees yet.
        let numbers = unsafe { std::slice::from_raw_parts_mut(start, n) };
        let (low, range) = (self.low, self.range);
        Pcg64::seeded(&self.seeds, index).fill(numbers, |bits| {
            const UNIT: f64 = 1.0 / (1u64 << 53) as f64;
            low + range * ((bits >> 11) as f64 * UNIT)
        });
        // SAFETY: `fill` has written all of them.
        let memory = unsafe { memory.filled() };
        NdArray::contiguous(memory, NdType::Float64, &shape)
            .map(|block| Value::Array(std::sync::Arc::new(block)))
            .map_err(|error| TaskError::native(ErrorKind::Runtime, error.to_string()))
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

impl Seeds {
    /// Four words of 64 bits for block `index`: the hash that `SeedSequence.generate_state` is.
    fn state(&self, index: u32) -> [u64; 4] {
        const POOL: usize = 4;
        let mut entropy = self.words.clone();
        let key = self.first + index as u64;
        entropy.push(key as u32);
        if key > u32::MAX as u64 {
            entropy.push((key >> 32) as u32);
        }
        let mut constant = 0x43B0_D7E5u32;
        let mut hashed = |word: u32| {
            let word = word ^ constant;
            constant = constant.wrapping_mul(0x931E_8875);
            let word = word.wrapping_mul(constant);
            word ^ (word >> 16)
        };
        let mix = |x: u32, y: u32| {
            let mixed = x.wrapping_mul(0xCA01_F9DD).wrapping_sub(y.wrapping_mul(0x4973_F715));
            mixed ^ (mixed >> 16)
        };
        let mut pool = [0u32; POOL];
        for (i, cell) in pool.iter_mut().enumerate() {
            *cell = hashed(entropy.get(i).copied().unwrap_or(0));
        }
        for from in 0..POOL {
            for to in (0..POOL).filter(|&to| to != from) {
                pool[to] = mix(pool[to], hashed(pool[from]));
            }
        }
        for &word in entropy.iter().skip(POOL) {
            for cell in &mut pool {
                *cell = mix(*cell, hashed(word));
            }
        }
        let mut constant = 0x8B51_F9DDu32;
        let mut halves = [0u32; 8];
        for (i, half) in halves.iter_mut().enumerate() {
            let word = pool[i % POOL] ^ constant;
            constant = constant.wrapping_mul(0x58F3_8DED);
            let word = word.wrapping_mul(constant);
            *half = word ^ (word >> 16);
        }
        std::array::from_fn(|i| halves[2 * i] as u64 | (halves[2 * i + 1] as u64) << 32)
    }
}

struct Pcg64 {
    state: u128,
    increment: u128,
}

impl Pcg64 {
    fn seeded(seeds: &Seeds, index: u32) -> Pcg64 {
        let [a, b, c, d] = seeds.state(index);
        let start = (a as u128) << 64 | b as u128;
        let increment = ((c as u128) << 64 | d as u128) << 1 | 1;
        // One step from zero, the seed added, and another step.
        let state = step(increment.wrapping_add(start), MULTIPLIER, increment);
        Pcg64 { state, increment }
    }

    /// Writes what `number` makes of the stream's bits into every place.
    fn fill(&mut self, places: &mut [MaybeUninit<f64>], number: impl Fn(u64) -> f64) {
        // `LANES` steps at once are one step with these.
        let (mut multiplier, mut increment) = (1u128, 0u128);
        for _ in 0..LANES {
            multiplier = multiplier.wrapping_mul(MULTIPLIER);
            increment = step(increment, MULTIPLIER, self.increment);
        }
        let mut lanes = [0u128; LANES];
        for lane in &mut lanes {
            self.state = step(self.state, MULTIPLIER, self.increment);
            *lane = self.state;
        }
        let (rows, rest) = places.as_chunks_mut::<LANES>();
        for row in rows {
            for (place, lane) in row.iter_mut().zip(&mut lanes) {
                place.write(number(output(*lane)));
                *lane = step(*lane, multiplier, increment);
            }
        }
        for (place, &lane) in rest.iter_mut().zip(&lanes) {
            place.write(number(output(lane)));
        }
    }
}

#[inline(always)]
fn step(state: u128, multiplier: u128, increment: u128) -> u128 {
    state.wrapping_mul(multiplier).wrapping_add(increment)
}

#[inline(always)]
fn output(state: u128) -> u64 {
    ((state >> 64) as u64 ^ state as u64).rotate_right((state >> 122) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.random.PCG64(numpy.random.SeedSequence(7).spawn(3)[2]).random_raw(6)`.
    #[test]
    fn streams_are_numpys() {
        let seeds = Seeds { words: vec![7, 0, 0, 0], first: 0 };
        let mut numbers = [MaybeUninit::uninit(); 6];
        Pcg64::seeded(&seeds, 2).fill(&mut numbers, |bits| bits as f64);
        // SAFETY: all were written.
        let numbers = numbers.map(|n| unsafe { n.assume_init() });
        assert_eq!(numbers, WANT);
    }

    const WANT: [f64; 6] = [
        11659158256815307285u64 as f64,
        8979474222016441428u64 as f64,
        632058844048246702u64 as f64,
        12509314781568160963u64 as f64,
        11858596155409437219u64 as f64,
        1268041939107478734u64 as f64,
    ];
}
