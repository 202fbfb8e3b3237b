//! Group numbers for rows by one or several keys.

use hashbrown::HashTable;
use weft_data::DType;

use super::encode::{Encoder, NONE};
use crate::error::ExprError;
use crate::kernel::Vector;

type Result<T> = std::result::Result<T, ExprError>;

/// Numbers groups 0, 1, 2, … in order of first appearance. Each key is encoded alone; a group of several keys is
/// a row of codes.
#[derive(Debug)]
pub struct Grouper {
    encoders: Vec<Encoder>,
    /// The codes of each group, if there are several keys: as many for each as there are keys.
    rows: Vec<u32>,
    index: Index,
    /// Codes of a batch, by key.
    scratch: Vec<Vec<u32>>,
}

/// Finds the group of a row of codes.
#[derive(Debug)]
enum Index {
    /// As long as there are few possible rows: the group of each, [`NONE`] if there is none yet. A row's place is
    /// made of its codes, each in as many bits as its key needs so far.
    Table { bits: Vec<u32>, groups: Vec<u32> },
    /// Hash and group.
    Hashed(HashTable<(u32, u32)>),
}

/// Most bits of a place in a table.
const TABLE_BITS: u32 = 16;

#[inline]
fn mix(hash: u64, code: u32) -> u64 {
    let product = (hash ^ code as u64) as u128 * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835_u128;
    (product >> 64) as u64 ^ product as u64
}

/// What hashbrown wants: good bits at both ends.
#[inline]
fn spread(hash: u32) -> u64 {
    (hash as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Grouper {
    pub fn new(dtypes: &[DType], keep_missing: bool) -> Self {
        let encoders: Vec<Encoder> =
            dtypes.iter().map(|dtype| Encoder::new(dtype.clone(), keep_missing)).collect();
        let index = Index::Table { bits: vec![0; encoders.len()], groups: vec![NONE] };
        Grouper { scratch: vec![Vec::new(); encoders.len()], encoders, rows: Vec::new(), index }
    }

    /// Number of groups so far.
    pub fn len(&self) -> usize {
        match self.encoders.len() {
            0 => 0,
            1 => self.encoders[0].len(),
            keys => self.rows.len() / keys,
        }
    }

    /// The group of each row; [`NONE`] where a key is missing and such rows are dropped.
    pub fn group(&mut self, keys: &[Vector], groups: &mut Vec<u32>) -> Result<()> {
        if self.encoders.len() == 1 {
            return self.encoders[0].encode(&keys[0], groups);
        }
        let mut codes = std::mem::take(&mut self.scratch);
        for ((encoder, key), codes) in self.encoders.iter_mut().zip(keys).zip(&mut codes) {
            encoder.encode(key, codes)?;
        }
        let rows = codes.first().map_or(0, Vec::len);
        groups.clear();
        groups.resize(rows, 0);
        self.make_room();
        match &mut self.index {
            Index::Table { bits, groups: table } => {
                let mut lost = false;
                for (codes, bits) in codes.iter().zip(&*bits) {
                    for (place, &code) in groups.iter_mut().zip(codes) {
                        lost |= code == NONE;
                        *place = *place << bits | code & ((1 << bits) - 1);
                    }
                }
                let mut count = (self.rows.len() / codes.len()) as u32;
                for (row, group) in groups.iter_mut().enumerate() {
                    if lost && codes.iter().any(|codes| codes[row] == NONE) {
                        *group = NONE;
                        continue;
                    }
                    let found = &mut table[*group as usize];
                    if *found == NONE {
                        *found = count;
                        count += 1;
                        self.rows.extend(codes.iter().map(|codes| codes[row]));
                    }
                    *group = *found;
                }
            }
            Index::Hashed(table) => {
                let width = codes.len();
                let hashes = hashes(&codes, rows);
                for (row, (group, &hash)) in groups.iter_mut().zip(&hashes).enumerate() {
                    if codes.iter().any(|codes| codes[row] == NONE) {
                        *group = NONE;
                        continue;
                    }
                    let same = |&(other, number): &(u32, u32)| {
                        let own = &self.rows[number as usize * width..][..width];
                        other == hash && own.iter().zip(&codes).all(|(own, codes)| *own == codes[row])
                    };
                    if let Some(&(_, number)) = table.find(spread(hash), same) {
                        *group = number;
                        continue;
                    }
                    *group = (self.rows.len() / width) as u32;
                    self.rows.extend(codes.iter().map(|codes| codes[row]));
                    table.insert_unique(spread(hash), (hash, *group), |&(hash, _)| spread(hash));
                }
            }
        }
        self.scratch = codes;
        Ok(())
    }

    /// Makes the index fit for all codes that there are.
    fn make_room(&mut self) {
        let Index::Table { bits, groups } = &mut self.index else { return };
        let needed: Vec<u32> = self
            .encoders
            .iter()
            .map(|encoder| encoder.len().max(1).next_power_of_two().trailing_zeros())
            .collect();
        if needed.iter().zip(&*bits).all(|(needed, bits)| needed <= bits) {
            return;
        }
        let width = needed.len();
        if needed.iter().sum::<u32>() <= TABLE_BITS {
            *groups = vec![NONE; 1 << needed.iter().sum::<u32>()];
            for (number, row) in self.rows.chunks_exact(width).enumerate() {
                let place = row.iter().zip(&needed).fold(0, |place, (code, bits)| place << bits | code);
                groups[place as usize] = number as u32;
            }
            *bits = needed;
            return;
        }
        let mut table = HashTable::with_capacity(2 * self.rows.len() / width);
        for (number, row) in self.rows.chunks_exact(width).enumerate() {
            let hash = row.iter().fold(0, |hash, &code| mix(hash, code)) as u32;
            table.insert_unique(spread(hash), (hash, number as u32), |&(hash, _)| spread(hash));
        }
        self.index = Index::Hashed(table);
    }

    /// For each key, the codes of `groups`.
    fn codes(&self, groups: &[u32]) -> Vec<Vec<u32>> {
        let width = self.encoders.len();
        if width == 1 {
            return vec![groups.to_vec()];
        }
        let level =
            |at: usize| groups.iter().map(move |&group| self.rows[group as usize * width + at]).collect();
        (0..width).map(level).collect()
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

fn hashes(codes: &[Vec<u32>], rows: usize) -> Vec<u32> {
    let mut hashes = vec![0u64; rows];
    for codes in codes {
        hashes.iter_mut().zip(codes).for_each(|(hash, &code)| *hash = mix(*hash, code));
    }
    hashes.into_iter().map(|hash| hash as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::types::Int64Type;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn groups_are_numbered_by_first_appearance_whatever_the_index(
            batches in prop::collection::vec(
                prop::collection::vec((0i64..400, 0i64..30, 0i64..60), 0..60), 1..6),
        ) {
            let mut grouper = Grouper::new(&[DType::Int64, DType::Int64, DType::Int64], false);
            let mut known: Vec<(i64, i64, i64)> = Vec::new();
            let mut groups = Vec::new();
            for batch in &batches {
                let key = |of: fn(&(i64, i64, i64)) -> i64| {
                    Vector::from_vec::<Int64Type>(DType::Int64, batch.iter().map(of).collect())
                };
                grouper.group(&[key(|r| r.0), key(|r| r.1), key(|r| r.2)], &mut groups).unwrap();
                for (row, &group) in batch.iter().zip(&groups) {
                    if !known.contains(row) {
                        known.push(*row);
                    }
                    prop_assert_eq!(known[group as usize], *row);
                }
            }
            prop_assert_eq!(grouper.len(), known.len());
        }
    }
}
