//! Which rows of two tables meet, in pandas' order.
//!
//! Keys get numbers, the same for equal keys of both sides. The rows of one side are listed by
//! number (counting sort); the other side walks through its rows and looks its matches up.

use weft_data::DType;

use super::How;
use crate::aggregate::{Grouper, NONE};
use crate::error::ExprError;
use crate::exchange::KeyRef;
use crate::kernel::Vector;
use crate::sort::{SortBy, SortKeys};

type Result<T> = std::result::Result<T, ExprError>;

/// Pairs of a left and a right row; [`NONE`] where a side has no row.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub left: Vec<u32>,
    pub right: Vec<u32>,
}

/// The rows that have each number.
#[derive(Debug)]
pub(super) struct Listed {
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl Listed {
    pub fn new(numbers: &[u32], count: usize) -> Self {
        let mut starts = vec![0u32; count + 1];
        numbers.iter().for_each(|&number| starts[number as usize + 1] += 1);
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut rows = vec![0u32; numbers.len()];
        for (row, &number) in numbers.iter().enumerate() {
            let at = &mut next[number as usize];
            rows[*at as usize] = row as u32;
            *at += 1;
        }
        Listed { starts, rows }
    }

    pub fn of(&self, number: u32) -> &[u32] {
        match self.starts.get(number as usize..number as usize + 2) {
            Some(bounds) => &self.rows[bounds[0] as usize..bounds[1] as usize],
            // A number that only the other side has.
            None => &[],
        }
    }
}

/// The numbers in order of their keys; missing times come first, other missing keys last, as pandas has it.
fn sorted(grouper: &Grouper) -> Result<Vec<u32>> {
    let numbers: Vec<u32> = (0..grouper.len() as u32).collect();
    let keys = grouper.keys(&numbers)?;
    let by: Vec<SortBy> = keys
        .iter()
        .enumerate()
        .map(|(level, key)| SortBy {
            key: KeyRef::Index(level),
            ascending: true,
            missing_first: matches!(key.dtype, DType::Datetime { .. } | DType::Timedelta(_)),
        })
        .collect();
    Ok(SortKeys::new(&by, keys, numbers.len())?.order())
}

pub(super) fn pairs(how: How, left: &[Vector], right: &[Vector]) -> Result<Pairs> {
    if how == How::Right {
        let Pairs { left, right } = pairs(How::Left, right, left)?;
        return Ok(Pairs { left: right, right: left });
    }
    let dtypes: Vec<DType> = right.iter().map(|key| key.dtype.clone()).collect();
    let mut grouper = Grouper::new(&dtypes, true);
    let (mut left_numbers, mut right_numbers) = (Vec::new(), Vec::new());
    grouper.group(right, &mut right_numbers)?;
    let known = grouper.len();
    grouper.group(left, &mut left_numbers)?;
    let listed = Listed::new(&right_numbers, known);
    let mut pairs = Pairs::default();
    pairs.left.reserve(left_numbers.len());
    match how {
        How::Inner | How::Left => {
            pairs.right.reserve(left_numbers.len());
            for (row, &number) in left_numbers.iter().enumerate() {
                let matches = listed.of(number);
                if matches.is_empty() && how == How::Left {
                    pairs.left.push(row as u32);
                    pairs.right.push(NONE);
                }
                for &other in matches {
                    pairs.left.push(row as u32);
                    pairs.right.push(other);
                }
            }
        }
        How::LeftSemi | How::LeftAnti => {
            let wanted = how == How::LeftSemi;
            let rows = left_numbers.iter().enumerate();
            let rows = rows.filter(|&(_, &number)| listed.of(number).is_empty() != wanted);
            pairs.left.extend(rows.map(|(row, _)| row as u32));
        }
        _ => {
            let own = Listed::new(&left_numbers, grouper.len());
            for number in sorted(&grouper)? {
                match (own.of(number), listed.of(number)) {
                    ([], others) => {
                        pairs.left.extend(others.iter().map(|_| NONE));
                        pairs.right.extend(others);
                    }
                    (rows, []) => {
                        pairs.left.extend(rows);
                        pairs.right.extend(rows.iter().map(|_| NONE));
                    }
                    (rows, others) => {
                        for &row in rows {
                            pairs.left.extend(others.iter().map(|_| row));
                            pairs.right.extend(others);
                        }
                    }
                }
            }
        }
    }
    Ok(pairs)
}
