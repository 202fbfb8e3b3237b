//! The cutting of files into partitions.

use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

/// The bytes from which a partition takes its rows.
///
/// A row belongs to the block in which the line break before it lies; the first row of a file to
/// the first block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Position of the file in [`CsvSource::paths`](super::CsvSource::paths).
    pub file: usize,
    pub start: u64,
    /// `None`: to the end, wherever that is (compressed files).
    pub end: Option<u64>,
}

/// Cuts a file of `size` bytes, as Dask does: as many blocks as whole block sizes fit, all of
/// about the same length.
pub(crate) fn cut(file: usize, size: u64, blocksize: Option<u64>) -> Vec<Block> {
    let Some(blocksize) = blocksize.filter(|&bytes| bytes < size) else {
        return vec![Block { file, start: 0, end: None }];
    };
    let count = size / blocksize;
    let bound = |i: u64| (u128::from(size) * u128::from(i) / u128::from(count)) as u64;
    (0..count).map(|i| Block { file, start: bound(i), end: (i + 1 < count).then(|| bound(i + 1)) }).collect()
}

/// Where the rows of a partition begin, as two sides see it.
///
/// Whoever reads a partition in a file with quotes may have to guess whether it begins inside them. Whoever reads the
/// partition before it finds out. Each writes down what it found and then looks at the other's word, so
/// that a wrong guess never goes unnoticed.
#[derive(Debug)]
pub(crate) struct Start {
    assumed: AtomicU64,
    proven: AtomicU64,
}

const UNKNOWN: u64 = u64::MAX;

impl Default for Start {
    fn default() -> Self {
        Start { assumed: AtomicU64::new(UNKNOWN), proven: AtomicU64::new(UNKNOWN) }
    }
}

impl Start {
    pub(crate) fn proven(&self) -> Option<u64> {
        Some(self.proven.load(SeqCst)).filter(|&position| position != UNKNOWN)
    }

    /// Whether the other side agrees, as far as it has spoken.
    pub(crate) fn assume(&self, position: u64) -> bool {
        self.assumed.store(position, SeqCst);
        self.proven().is_none_or(|proven| proven == position)
    }

    pub(crate) fn prove(&self, position: u64) -> bool {
        self.proven.store(position, SeqCst);
        let assumed = self.assumed.load(SeqCst);
        assumed == UNKNOWN || assumed == position
    }
}

#[cfg(test)]
mod tests {
    use super::cut;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_cover_the_file_once(size in 1u64..100_000, blocksize in 1u64..100_000) {
            let blocks = cut(3, size, Some(blocksize));
            prop_assert_eq!(blocks.len() as u64, (size / blocksize).max(1));
            prop_assert_eq!(blocks[0].start, 0);
            for pair in blocks.windows(2) {
                prop_assert_eq!(pair[0].end, Some(pair[1].start));
                prop_assert!(pair[0].start < pair[1].start);
            }
            prop_assert_eq!(blocks[blocks.len() - 1].end, None);
        }
    }
}
