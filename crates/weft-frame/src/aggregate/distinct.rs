//! The different values of each group, for `nunique`.

use hashbrown::HashSet;
use weft_data::DType;

use super::encode::{Encoder, NONE};
use crate::error::ExprError;
use crate::kernel::Vector;

type Result<T> = std::result::Result<T, ExprError>;

/// Pairs of a group's number and a value, each once.
#[derive(Debug)]
pub struct Distinct {
    values: Encoder,
    pairs: Vec<(u32, u32)>,
    known: HashSet<u64, ahash::RandomState>,
    codes: Vec<u32>,
}

impl Distinct {
    /// `keep_missing`: a missing value is a value, too.
    pub fn new(dtype: DType, keep_missing: bool) -> Self {
        Distinct {
            values: Encoder::new(dtype, keep_missing),
            pairs: Vec::new(),
            known: HashSet::default(),
            codes: Vec::new(),
        }
    }

    /// Takes in values; `groups`: the group of each, `None`: all are of group 0.
    pub fn update(&mut self, groups: Option<&[u32]>, values: &Vector) -> Result<()> {
        let mut codes = std::mem::take(&mut self.codes);
        self.values.encode(values, &mut codes)?;
        for (row, &code) in codes.iter().enumerate() {
            let group = groups.map_or(0, |groups| groups[row]);
            if code != NONE && group != NONE && self.known.insert((group as u64) << 32 | code as u64) {
                self.pairs.push((group, code));
            }
        }
        self.codes = codes;
        Ok(())
    }

    /// Number of different values of each of `count` groups.
    pub fn counts(&self, count: usize) -> Vec<i64> {
        let mut counts = vec![0; count];
        self.pairs.iter().for_each(|&(group, _)| counts[group as usize] += 1);
        counts
    }

    /// The groups of all pairs, and their values.
    pub fn pairs(&self) -> Result<(Vec<u32>, Vector)> {
        let (groups, codes): (Vec<u32>, Vec<u32>) = self.pairs.iter().copied().unzip();
        Ok((groups, self.values.decode(&codes)?))
    }
}
