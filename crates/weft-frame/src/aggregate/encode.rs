//! Dense codes for the values of one key column: 0, 1, 2, … in order of first appearance.

use std::sync::Arc;

use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, LargeStringArray};
use arrow_buffer::OffsetBuffer;
use hashbrown::{HashMap, HashTable};
use weft_data::DType;

use crate::dtype::promote;
use crate::error::ExprError;
use crate::kernel::{NAT, Number, Vector, float_bits, with_number};

type Result<T> = std::result::Result<T, ExprError>;

/// The code of a missing value that is to be dropped.
pub const NONE: u32 = u32::MAX;

/// Widest range of integers that gets a table instead of a hash map whatever their number; others must fill a
/// sixteenth of it.
const DENSE: i64 = 1 << 18;

#[derive(Debug)]
pub struct Encoder {
    pub dtype: DType,
    /// Missing values get a code of their own.
    keep_missing: bool,
    missing: Option<u32>,
    count: u32,
    values: Values,
}

#[derive(Debug)]
enum Values {
    /// Everything stored as integers. By code; a missing value's place holds 0.
    Int {
        by_code: Vec<i64>,
        index: IntIndex,
    },
    Float {
        by_code: Vec<f64>,
        index: HashMap<u64, u32, ahash::RandomState>,
    },
    Text {
        /// Ends of the texts in `bytes`, by code.
        ends: Vec<usize>,
        bytes: Vec<u8>,
        /// Texts of few bytes, which are their own hash table's keys.
        short: HashMap<(u64, u64), u32, ahash::RandomState>,
        /// The others.
        index: HashTable<u32>,
        hasher: ahash::RandomState,
    },
}

#[derive(Debug)]
enum IntIndex {
    /// Codes of `low`, `low + 1`, …
    Dense {
        low: i64,
        codes: Vec<u32>,
    },
    Hashed(HashMap<i64, u32, ahash::RandomState>),
}

impl Encoder {
    pub fn new(dtype: DType, keep_missing: bool) -> Self {
        let values = match &dtype {
            DType::Str => Values::Text {
                ends: Vec::new(),
                bytes: Vec::new(),
                short: HashMap::default(),
                index: HashTable::new(),
                hasher: ahash::RandomState::default(),
            },
            dtype if dtype.is_float() => Values::Float { by_code: Vec::new(), index: HashMap::default() },
            _ => Values::Int { by_code: Vec::new(), index: IntIndex::Dense { low: 0, codes: Vec::new() } },
        };
        Encoder { dtype, keep_missing, missing: None, count: 0, values }
    }

    /// Number of codes given so far.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    fn missing_code(&mut self) -> u32 {
        if !self.keep_missing {
            return NONE;
        }
        if let Some(code) = self.missing {
            return code;
        }
        match &mut self.values {
            Values::Int { by_code, .. } => by_code.push(0),
            Values::Float { by_code, .. } => by_code.push(f64::NAN),
            Values::Text { ends, bytes, .. } => ends.push(bytes.len()),
        }
        let code = self.count;
        self.count += 1;
        self.missing = Some(code);
        code
    }

    /// The codes of a batch.
    pub fn encode(&mut self, vector: &Vector, codes: &mut Vec<u32>) -> Result<()> {
        codes.clear();
        codes.reserve(vector.len());
        self.meet(&vector.dtype)?;
        match &self.values {
            Values::Int { .. } => {
                let marked = matches!(vector.dtype, DType::Arrow(_)) && vector.values.null_count() > 0;
                let has_missing =
                    marked || matches!(vector.dtype, DType::Datetime { .. } | DType::Timedelta(_));
                let values = integers(vector)?;
                self.encode_integers(&values, has_missing, codes);
            }
            Values::Float { .. } => {
                let values = vector.cast::<Float64Type>()?;
                for &value in values.iter() {
                    let code = if value.is_nan() { self.missing_code() } else { self.float_code(value) };
                    codes.push(code);
                }
            }
            Values::Text { .. } if vector.is_coded() => self.encode_coded(vector, codes)?,
            Values::Text { .. } => {
                let texts = vector.strings()?;
                for row in 0..texts.len() {
                    let code = if texts.is_null(row) {
                        self.missing_code()
                    } else {
                        self.text_code(texts.value(row))
                    };
                    codes.push(code);
                }
            }
        }
        Ok(())
    }

    /// Each value of the dictionary once.
    fn encode_coded(&mut self, vector: &Vector, codes: &mut Vec<u32>) -> Result<()> {
        let Some((values, rows)) = vector.codes()? else { return Ok(()) };
        let texts = values.strings()?;
        // A value that no row has must not become a group.
        let mut own: Vec<Option<u32>> = vec![None; texts.len()];
        for row in rows {
            let code = match own[row as usize] {
                Some(code) => code,
                None => {
                    let at = row as usize;
                    let code =
                        if texts.is_null(at) { self.missing_code() } else { self.text_code(texts.value(at)) };
                    *own[at].insert(code)
                }
            };
            codes.push(code);
        }
        Ok(())
    }

    /// Widens the key's dtype to hold values of another.
    fn meet(&mut self, dtype: &DType) -> Result<()> {
        if *dtype == self.dtype {
            return Ok(());
        }
        let common = promote(&self.dtype, dtype)
            .ok_or_else(|| ExprError::Unsupported(format!("a key of {} and {dtype}", self.dtype)))?;
        if let (true, Values::Int { by_code, .. }) = (common.is_float(), &self.values) {
            let floats: Vec<f64> = match self.dtype {
                DType::UInt64 => by_code.iter().map(|&v| v as u64 as f64).collect(),
                _ => by_code.iter().map(|&v| v as f64).collect(),
            };
            let index: HashMap<u64, u32, ahash::RandomState> =
                floats.iter().enumerate().map(|(code, &v)| (float_bits(v), code as u32)).collect();
            if index.len() != floats.len() {
                return Err(ExprError::Invalid(
                    "an integer key above 2**53 met missing values: as floats two keys become one; \
                     give the column's dtype as 'Int64'"
                        .into(),
                ));
            }
            self.values = Values::Float { by_code: floats, index };
        }
        if let (DType::Datetime { .. } | DType::Timedelta(_), true) = (&common, common != self.dtype) {
            return ExprError::unsupported(format!("a key of {} and {dtype}", self.dtype));
        }
        self.dtype = common;
        Ok(())
    }

    fn encode_integers(&mut self, values: &[i64], has_missing: bool, codes: &mut Vec<u32>) {
        let Encoder { keep_missing, missing, count, values: Values::Int { by_code, index }, .. } = self
        else {
            return;
        };
        let first_missing = *missing;
        let present = |v: &&i64| !has_missing || **v != NAT;
        if let IntIndex::Dense { low, codes: table } = index {
            let range = values
                .iter()
                .filter(present)
                .fold((i64::MAX, i64::MIN), |(low, high), &v| (low.min(v), high.max(v)));
            let most = DENSE.max(16 * (by_code.len() + values.len()) as i64);
            if range.0 <= range.1 && !make_room(low, table, range, most) {
                let hashed =
                    by_code.iter().enumerate().filter(|(code, _)| Some(*code as u32) != first_missing);
                *index = IntIndex::Hashed(hashed.map(|(code, &v)| (v, code as u32)).collect());
            }
        }
        // Also a missing value gets its code where it first appears.
        let mut missing_code = |by_code: &mut Vec<i64>, count: &mut u32| match *missing {
            _ if !*keep_missing => NONE,
            Some(code) => code,
            None => {
                by_code.push(0);
                *count += 1;
                *missing.insert(*count - 1)
            }
        };
        match index {
            IntIndex::Dense { low, codes: table } => {
                for &value in values {
                    if has_missing && value == NAT {
                        codes.push(missing_code(by_code, count));
                        continue;
                    }
                    let code = &mut table[value.wrapping_sub(*low) as usize];
                    if *code == NONE {
                        *code = *count;
                        *count += 1;
                        by_code.push(value);
                    }
                    codes.push(*code);
                }
            }
            IntIndex::Hashed(map) => {
                for &value in values {
                    if has_missing && value == NAT {
                        codes.push(missing_code(by_code, count));
                        continue;
                    }
                    let code = *map.entry(value).or_insert_with(|| {
                        by_code.push(value);
                        *count += 1;
                        *count - 1
                    });
                    codes.push(code);
                }
            }
        }
    }

    fn float_code(&mut self, value: f64) -> u32 {
        let Values::Float { by_code, index } = &mut self.values else { return NONE };
        let count = &mut self.count;
        *index.entry(float_bits(value)).or_insert_with(|| {
            by_code.push(value);
            *count += 1;
            *count - 1
        })
    }

    fn text_code(&mut self, text: &str) -> u32 {
        let Values::Text { ends, bytes, short, index, hasher } = &mut self.values else { return NONE };
        if let Some(packed) = packed(text) {
            let count = &mut self.count;
            return *short.entry(packed).or_insert_with(|| {
                bytes.extend_from_slice(text.as_bytes());
                ends.push(bytes.len());
                *count += 1;
                *count - 1
            });
        }
        let at = |ends: &[usize], code: u32| {
            let code = code as usize;
            (if code == 0 { 0 } else { ends[code - 1] })..ends[code]
        };
        let missing = self.missing;
        let same = |&code: &u32| Some(code) != missing && &bytes[at(ends, code)] == text.as_bytes();
        let hash = hasher.hash_one(text.as_bytes());
        if let Some(&code) = index.find(hash, same) {
            return code;
        }
        bytes.extend_from_slice(text.as_bytes());
        ends.push(bytes.len());
        let code = self.count;
        self.count += 1;
        index.insert_unique(hash, code, |&code| hasher.hash_one(&bytes[at(ends, code)]));
        code
    }

    /// The values of some codes.
    pub fn decode(&self, codes: &[u32]) -> Result<Vector> {
        let is_missing = |code: u32| self.missing == Some(code);
        Ok(match &self.values {
            Values::Int { by_code, .. } => {
                let value = |code: u32| by_code[code as usize];
                match &self.dtype {
                    DType::Bool => Vector::from_bools(codes.iter().map(|&c| value(c) != 0).collect()),
                    dtype @ (DType::Datetime { .. } | DType::Timedelta(_)) => {
                        let values = codes.iter().map(|&c| if is_missing(c) { NAT } else { value(c) });
                        Vector::from_vec::<Int64Type>(dtype.clone(), values.collect())
                    }
                    DType::Arrow(kind) => {
                        let values = codes.iter().map(|&c| (!is_missing(c)).then(|| value(c)));
                        Vector::new(self.dtype.clone(), crate::kernel::arrow::from_integers(*kind, values)?)
                    }
                    dtype => with_number!(dtype, T => {
                        let values = codes.iter().map(|&c| Number::from_i64(value(c))).collect();
                        Vector::from_vec::<T>(dtype.clone(), values)
                    }, other => return ExprError::unsupported(format!("a key of {other}"))),
                }
            }
            Values::Float { by_code, .. } => {
                let values = codes.iter().map(|&c| by_code[c as usize]);
                match self.dtype {
                    DType::Float32 => {
                        Vector::from_vec::<Float32Type>(DType::Float32, values.map(|v| v as f32).collect())
                    }
                    _ => Vector::from_vec::<Float64Type>(DType::Float64, values.collect()),
                }
            }
            Values::Text { ends, bytes, .. } => {
                let mut offsets = Vec::with_capacity(codes.len() + 1);
                let mut data = Vec::with_capacity(codes.len() * bytes.len() / ends.len().max(1));
                offsets.push(0);
                for &code in codes {
                    let start = if code == 0 { 0 } else { ends[code as usize - 1] };
                    data.extend_from_slice(&bytes[start..ends[code as usize]]);
                    offsets.push(data.len() as i64);
                }
                let valid = self.missing.map(|_| codes.iter().map(|&code| !is_missing(code)).collect());
                let texts = LargeStringArray::try_new(OffsetBuffer::new(offsets.into()), data.into(), valid);
                Vector::new(DType::Str, Arc::new(texts.map_err(|e| ExprError::Invalid(e.to_string()))?))
            }
        })
    }

    /// For each code, its place in ascending order of the values, missing last.
    pub fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.count).filter(|&code| Some(code) != self.missing).collect();
        match &self.values {
            Values::Int { by_code, .. } if self.dtype == DType::UInt64 => {
                order.sort_unstable_by_key(|&code| by_code[code as usize] as u64);
            }
            Values::Int { by_code, .. } => order.sort_unstable_by_key(|&code| by_code[code as usize]),
            Values::Float { by_code, .. } => {
                order.sort_unstable_by(|&a, &b| by_code[a as usize].total_cmp(&by_code[b as usize]));
            }
            Values::Text { ends, bytes, .. } => {
                let text = |code: u32| {
                    let start = if code == 0 { 0 } else { ends[code as usize - 1] };
                    &bytes[start..ends[code as usize]]
                };
                order.sort_unstable_by(|&a, &b| text(a).cmp(text(b)));
            }
        }
        let mut ranks = vec![u32::MAX; self.len()];
        for (rank, code) in order.into_iter().enumerate() {
            ranks[code as usize] = rank as u32;
        }
        ranks
    }
}

/// A text of up to 15 bytes, and its length.
#[inline]
fn packed(text: &str) -> Option<(u64, u64)> {
    let text = text.as_bytes();
    if text.len() > 15 {
        return None;
    }
    let mut bytes = [0; 16];
    bytes[..text.len()].copy_from_slice(text);
    bytes[15] = text.len() as u8;
    let packed = u128::from_le_bytes(bytes);
    Some((packed as u64, (packed >> 64) as u64))
}

/// Makes the table cover `range`; false if that would be too wide.
fn make_room(low: &mut i64, table: &mut Vec<u32>, range: (i64, i64), most: i64) -> bool {
    let (mut from, mut to) = range;
    if !table.is_empty() {
        from = from.min(*low);
        to = to.max(*low + table.len() as i64 - 1);
    }
    match to.checked_sub(from) {
        Some(width) if width < most => {}
        _ => return false,
    }
    if table.is_empty() {
        *low = from;
    } else if from < *low {
        let shift = (*low - from) as usize;
        table.splice(0..0, std::iter::repeat_n(NONE, shift));
        *low = from;
    }
    let width = (to - from + 1) as usize;
    if table.len() < width {
        table.resize(width, NONE);
    }
    true
}

/// Integers, bools and times as int64 (uint64 by its bits).
pub(crate) fn integers(vector: &Vector) -> Result<std::borrow::Cow<'_, [i64]>> {
    match &vector.dtype {
        DType::Datetime { .. } | DType::Timedelta(_) => Ok(vector.slice::<Int64Type>()?.into()),
        DType::Arrow(_) => crate::kernel::arrow::to_integers(vector).map(Into::into),
        _ => vector.cast::<Int64Type>(),
    }
}
