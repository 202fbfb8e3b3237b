//! What `nunique` and `median` keep of the rows of each group.

use arrow_array::types::Float64Type;
use hashbrown::HashSet;
use weft_data::DType;

use super::encode::{Encoder, NONE};
use crate::error::ExprError;
use crate::kernel::Vector;

type Result<T> = std::result::Result<T, ExprError>;

/// Values beside the state of an aggregation.
#[derive(Debug)]
pub enum Kept {
    Distinct(Box<Distinct>),
    Values(Values),
}

impl Kept {
    /// Takes in values; `groups`: the group of each, `None`: all are of group 0.
    pub fn update(&mut self, groups: Option<&[u32]>, values: &Vector) -> Result<()> {
        match self {
            Kept::Distinct(distinct) => distinct.update(groups, values),
            Kept::Values(kept) => kept.update(groups, values),
        }
    }

    /// The groups of all values, and the values.
    pub fn pairs(&self) -> Result<(Vec<u32>, Vector)> {
        match self {
            Kept::Distinct(distinct) => distinct.pairs(),
            Kept::Values(kept) => Ok((
                kept.groups.clone(),
                Vector::from_vec::<Float64Type>(DType::Float64, kept.values.clone()),
            )),
        }
    }
}

/// Pairs of a group's number and a value, each once.
#[derive(Debug)]
pub struct Distinct {
    values: Encoder,
    pairs: Vec<(u32, u32)>,
    /// The first pair of each group, and after each pair the next one: a group's first few values are found
    /// there, near to each other if its rows are.
    first: Vec<u32>,
    next: Vec<u32>,
    /// The pairs of groups with many values, but for their first few.
    known: HashSet<u64, ahash::RandomState>,
    codes: Vec<u32>,
}

/// Longest chain.
const FEW: usize = 8;

impl Distinct {
    /// `keep_missing`: a missing value is a value, too.
    pub fn new(dtype: DType, keep_missing: bool) -> Self {
        Distinct {
            values: Encoder::new(dtype, keep_missing),
            pairs: Vec::new(),
            first: Vec::new(),
            next: Vec::new(),
            known: HashSet::default(),
            codes: Vec::new(),
        }
    }

    fn update(&mut self, groups: Option<&[u32]>, values: &Vector) -> Result<()> {
        let mut codes = std::mem::take(&mut self.codes);
        self.values.encode(values, &mut codes)?;
        for (row, &code) in codes.iter().enumerate() {
            let group = groups.map_or(0, |groups| groups[row]);
            if code != NONE && group != NONE {
                self.insert(group, code);
            }
        }
        self.codes = codes;
        Ok(())
    }

    #[inline]
    fn insert(&mut self, group: u32, code: u32) {
        if self.first.len() <= group as usize {
            self.first.resize(group as usize + 1, NONE);
        }
        let mut at = self.first[group as usize];
        let (mut last, mut length) = (NONE, 0);
        while at != NONE {
            if self.pairs[at as usize].1 == code {
                return;
            }
            (last, at, length) = (at, self.next[at as usize], length + 1);
        }
        let own = self.pairs.len() as u32;
        if length == FEW {
            if !self.known.insert((group as u64) << 32 | code as u64) {
                return;
            }
        } else if last == NONE {
            self.first[group as usize] = own;
        } else {
            self.next[last as usize] = own;
        }
        self.pairs.push((group, code));
        self.next.push(NONE);
    }

    /// Number of different values of each of `count` groups.
    pub fn counts(&self, count: usize) -> Vec<i64> {
        let mut counts = vec![0; count];
        self.pairs.iter().for_each(|&(group, _)| counts[group as usize] += 1);
        counts
    }

    fn pairs(&self) -> Result<(Vec<u32>, Vector)> {
        let (groups, codes): (Vec<u32>, Vec<u32>) = self.pairs.iter().copied().unzip();
        Ok((groups, self.values.decode(&codes)?))
    }
}

/// All values that are not missing.
#[derive(Debug, Default)]
pub struct Values {
    groups: Vec<u32>,
    values: Vec<f64>,
}

impl Values {
    fn update(&mut self, groups: Option<&[u32]>, values: &Vector) -> Result<()> {
        for (row, &value) in values.cast::<Float64Type>()?.iter().enumerate() {
            let group = groups.map_or(0, |groups| groups[row]);
            if !value.is_nan() && group != NONE {
                self.groups.push(group);
                self.values.push(value);
            }
        }
        Ok(())
    }

    /// The median of each of `count` groups.
    pub fn medians(&self, count: usize) -> Vec<f64> {
        let mut starts = vec![0usize; count + 1];
        self.groups.iter().for_each(|&group| starts[group as usize + 1] += 1);
        for group in 0..count {
            starts[group + 1] += starts[group];
        }
        let mut next = starts.clone();
        let mut sorted = vec![0.0; self.values.len()];
        for (&group, &value) in self.groups.iter().zip(&self.values) {
            sorted[next[group as usize]] = value;
            next[group as usize] += 1;
        }
        let median = |group: usize| {
            let own = &mut sorted[starts[group]..starts[group + 1]];
            if own.is_empty() {
                return f64::NAN;
            }
            let half = own.len() / 2;
            let even = own.len().is_multiple_of(2);
            let (below, &mut upper, _) = own.select_nth_unstable_by(half, f64::total_cmp);
            match below.iter().copied().max_by(f64::total_cmp) {
                Some(lower) if even => (lower + upper) / 2.0,
                _ => upper,
            }
        };
        (0..count).map(median).collect()
    }
}
