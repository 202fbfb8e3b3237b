//! Group numbers for rows by one or several keys.

use hashbrown::HashMap;
use weft_data::DType;

use super::encode::{Encoder, NONE};
use crate::error::ExprError;
use crate::kernel::Vector;

type Result<T> = std::result::Result<T, ExprError>;

/// Numbers groups 0, 1, 2, … in order of first appearance. Each key is encoded alone; a group of several
/// keys is a chain of pairs (group of the keys before, code of this key).
#[derive(Debug)]
pub struct Grouper {
    encoders: Vec<Encoder>,
    /// For each key after the first: pairs, and the numbers they got.
    chains: Vec<Chain>,
    scratch: Vec<u32>,
}

#[derive(Debug, Default)]
struct Chain {
    pairs: Vec<(u32, u32)>,
    index: HashMap<(u32, u32), u32, ahash::RandomState>,
}

impl Grouper {
    pub fn new(dtypes: &[DType], keep_missing: bool) -> Self {
        let encoders: Vec<Encoder> =
            dtypes.iter().map(|dtype| Encoder::new(dtype.clone(), keep_missing)).collect();
        let chains = encoders.iter().skip(1).map(|_| Chain::default()).collect();
        Grouper { encoders, chains, scratch: Vec::new() }
    }

    /// Number of groups so far.
    pub fn len(&self) -> usize {
        match self.chains.last() {
            Some(chain) => chain.pairs.len(),
            None => self.encoders.first().map_or(0, Encoder::len),
        }
    }

    /// The group of each row; [`NONE`] where a key is missing and such rows are dropped.
    pub fn group(&mut self, keys: &[Vector], groups: &mut Vec<u32>) -> Result<()> {
        self.encoders[0].encode(&keys[0], groups)?;
        for (level, chain) in self.chains.iter_mut().enumerate() {
            self.encoders[level + 1].encode(&keys[level + 1], &mut self.scratch)?;
            for (group, &code) in groups.iter_mut().zip(&self.scratch) {
                if *group == NONE || code == NONE {
                    *group = NONE;
                    continue;
                }
                let pair = (*group, code);
                *group = *chain.index.entry(pair).or_insert_with(|| {
                    chain.pairs.push(pair);
                    chain.pairs.len() as u32 - 1
                });
            }
        }
        Ok(())
    }

    /// For each key, the codes of `groups`.
    fn codes(&self, groups: &[u32]) -> Vec<Vec<u32>> {
        let mut current = groups.to_vec();
        let mut levels = Vec::with_capacity(self.encoders.len());
        for chain in self.chains.iter().rev() {
            levels.push(current.iter().map(|&group| chain.pairs[group as usize].1).collect());
            current.iter_mut().for_each(|group| *group = chain.pairs[*group as usize].0);
        }
        levels.push(current);
        levels.reverse();
        levels
    }

    /// The keys of `groups`, a vector for each key.
    pub fn keys(&self, groups: &[u32]) -> Result<Vec<Vector>> {
        self.codes(groups).iter().zip(&self.encoders).map(|(codes, encoder)| encoder.decode(codes)).collect()
    }

    /// All groups in order of their keys, missing last.
    pub fn sorted(&self) -> Vec<u32> {
        let mut groups: Vec<u32> = (0..self.len() as u32).collect();
        let levels: Vec<Vec<u32>> = self
            .codes(&groups)
            .into_iter()
            .zip(&self.encoders)
            .map(|(codes, encoder)| {
                let ranks = encoder.ranks();
                codes.into_iter().map(|code| ranks[code as usize]).collect()
            })
            .collect();
        groups.sort_unstable_by(|&a, &b| {
            let rank = |group: u32| levels.iter().map(move |ranks| ranks[group as usize]);
            rank(a).cmp(rank(b))
        });
        groups
    }
}
