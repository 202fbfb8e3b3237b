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
    /// As long as there are few possible pairs: the number of each, [`NONE`] if it has none yet, in rows of
    /// `width` codes.
    table: Vec<u32>,
    width: usize,
}

/// Most possible pairs for which there is a table.
const TABLE: usize = 1 << 16;

impl Chain {
    /// Makes the table cover `groups` times `codes` pairs; false if they are too many, and then for good.
    fn cover(&mut self, groups: usize, codes: usize) -> bool {
        if groups * codes > TABLE {
            if self.width > 0 || self.index.is_empty() {
                let numbered = self.pairs.iter().enumerate();
                self.index.extend(numbered.map(|(number, &pair)| (pair, number as u32)));
                (self.table, self.width) = (Vec::new(), 0);
            }
            return false;
        }
        if self.pairs.len() > self.table.len() && self.width == 0 && !self.index.is_empty() {
            return false;
        }
        if codes > self.width {
            self.width = codes.next_power_of_two();
            self.table = vec![NONE; groups * self.width];
            for (number, &(group, code)) in self.pairs.iter().enumerate() {
                self.table[group as usize * self.width + code as usize] = number as u32;
            }
        } else if self.table.len() < groups * self.width {
            self.table.resize(groups * self.width, NONE);
        }
        true
    }
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
        let mut count = self.encoders[0].len();
        for (level, chain) in self.chains.iter_mut().enumerate() {
            let encoder = &mut self.encoders[level + 1];
            encoder.encode(&keys[level + 1], &mut self.scratch)?;
            if chain.cover(count, encoder.len()) {
                for (group, &code) in groups.iter_mut().zip(&self.scratch) {
                    if *group == NONE || code == NONE {
                        *group = NONE;
                        continue;
                    }
                    let number = &mut chain.table[*group as usize * chain.width + code as usize];
                    if *number == NONE {
                        *number = chain.pairs.len() as u32;
                        chain.pairs.push((*group, code));
                    }
                    *group = *number;
                }
                count = chain.pairs.len();
                continue;
            }
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
            count = chain.pairs.len();
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
