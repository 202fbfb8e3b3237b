//! A table that rows of another are looked up in: built once, read by all partitions.

use std::any::Any;
use std::io::{Read, Write};
use std::sync::Arc;

use arrow_array::Array;
use arrow_array::types::Float64Type;
use hashbrown::HashTable;
use weft_data::{CodecError, DType, Decode, Frame, Object};
use weft_graph::Key;

use super::rows::Listed;
use crate::aggregate::{NONE, integers};
use crate::codec;
use crate::error::ExprError;
use crate::exchange::KeyRef;
use crate::kernel::{Vector, float_bits};

type Result<T> = std::result::Result<T, ExprError>;

/// Rows by key, and the columns that a join takes from them.
#[derive(Debug)]
pub(crate) struct LookUp {
    /// What it is made of, and made of again after it was on disk.
    table: Arc<Frame>,
    build: Build,
    columns: Vec<Vector>,
    keys: Keys,
    /// The rows of each key; `None`: key `i` is that of row `i`.
    rows: Option<Listed>,
    nbytes: usize,
}

/// What a batch of keys finds.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    /// The row of the batch.
    pub rows: Vec<u32>,
    /// The row of the table; [`NONE`] where there is none.
    pub found: Vec<u32>,
}

impl LookUp {
    pub fn new(table: Arc<Frame>, build: Build) -> Result<LookUp> {
        let of = |labels: &[Key]| -> Result<Vec<Vector>> {
            labels.iter().map(|label| KeyRef::Column(label.clone()).values(&table)).collect()
        };
        let (values, columns) = (of(&build.keys)?, of(&build.columns)?);
        let mut ids = Vec::new();
        let keys = Keys::new(&values, table.rows(), &mut ids)?;
        let unique = build.only_keys || keys.len() == table.rows();
        let rows = (!unique).then(|| Listed::new(&ids, keys.len()));
        let nbytes = table.nbytes() + keys.nbytes() + if unique { 0 } else { ids.len() * 8 };
        Ok(LookUp { table, build, columns, keys, rows, nbytes })
    }

    pub fn columns(&self) -> &[Vector] {
        &self.columns
    }

    /// Which rows have a match.
    pub fn contains(&self, keys: &[Vector], rows: usize) -> Result<arrow_buffer::BooleanBuffer> {
        let ids = self.keys.find(keys, rows)?;
        Ok(arrow_buffer::BooleanBuffer::collect_bool(rows, |row| ids[row] != NONE))
    }

    /// All pairs, in order of the batch's rows and then of the table's; `keep`: rows without a match too.
    pub fn matches(&self, keys: &[Vector], rows: usize, keep: bool) -> Result<Matches> {
        let ids = self.keys.find(keys, rows)?;
        let mut matches = Matches::default();
        matches.rows.reserve(rows);
        matches.found.reserve(rows);
        for (row, &id) in ids.iter().enumerate() {
            if id == NONE {
                if keep {
                    matches.rows.push(row as u32);
                    matches.found.push(NONE);
                }
                continue;
            }
            match &self.rows {
                None => {
                    matches.rows.push(row as u32);
                    matches.found.push(id);
                }
                Some(listed) => {
                    let all = listed.of(id);
                    matches.rows.extend(std::iter::repeat_n(row as u32, all.len()));
                    matches.found.extend_from_slice(all);
                }
            }
        }
        Ok(matches)
    }
}

/// The ids of keys, in order of first appearance.
#[derive(Debug)]
struct Keys {
    levels: Vec<Level>,
    /// Ids of combinations of the levels' codes, if there are several levels.
    pairs: Vec<Numbers>,
}

/// The codes of one key column.
#[derive(Debug)]
enum Level {
    Int(Numbers),
    Float(Numbers),
    Text { texts: Vec<Box<str>>, index: HashTable<u32>, hasher: ahash::RandomState, missing: Option<u32> },
}

impl Keys {
    fn new(values: &[Vector], rows: usize, ids: &mut Vec<u32>) -> Result<Keys> {
        let mut keys = Keys { levels: Vec::new(), pairs: Vec::new() };
        for vector in values {
            let mut codes = Vec::new();
            let level = Level::new(vector, &mut codes)?;
            if keys.levels.is_empty() {
                *ids = codes;
            } else {
                let pairs: Vec<i64> = ids.iter().zip(&codes).map(|(&id, &code)| pair(id, code)).collect();
                keys.pairs.push(Numbers::new(&pairs, ids));
            }
            keys.levels.push(level);
        }
        debug_assert!(ids.len() == rows);
        Ok(keys)
    }

    fn len(&self) -> usize {
        match (self.pairs.last(), self.levels.first()) {
            (Some(pairs), _) => pairs.count as usize,
            (None, Some(level)) => level.len(),
            (None, None) => 0,
        }
    }

    fn nbytes(&self) -> usize {
        let numbers = self.pairs.iter().map(Numbers::nbytes).sum::<usize>();
        numbers + self.levels.iter().map(Level::nbytes).sum::<usize>()
    }

    fn find(&self, keys: &[Vector], rows: usize) -> Result<Vec<u32>> {
        let mut ids = vec![NONE; rows];
        for (i, (level, vector)) in self.levels.iter().zip(keys).enumerate() {
            let codes = level.find(vector)?;
            if i == 0 {
                ids = codes;
                continue;
            }
            let pairs = &self.pairs[i - 1];
            for (id, code) in ids.iter_mut().zip(codes) {
                *id = if *id == NONE || code == NONE { NONE } else { pairs.get(pair(*id, code)) };
            }
        }
        Ok(ids)
    }
}

fn pair(id: u32, code: u32) -> i64 {
    ((id as u64) << 32 | code as u64) as i64
}

impl Level {
    fn new(vector: &Vector, codes: &mut Vec<u32>) -> Result<Level> {
        let vector = &vector.plain()?;
        Ok(match &vector.dtype {
            DType::Str => {
                let (mut own, mut index) = (Vec::<Box<str>>::new(), HashTable::new());
                let hasher = ahash::RandomState::default();
                let mut missing = None;
                let array = vector.strings()?;
                for row in 0..array.len() {
                    if array.is_null(row) {
                        let code = *missing.get_or_insert(own.len() as u32);
                        if code as usize == own.len() {
                            own.push("".into());
                        }
                        codes.push(code);
                        continue;
                    }
                    let text = array.value(row);
                    let hash = hasher.hash_one(text);
                    let same = |&code: &u32| Some(code) != missing && &*own[code as usize] == text;
                    let code = match index.find(hash, same) {
                        Some(&code) => code,
                        None => {
                            own.push(text.into());
                            let code = own.len() as u32 - 1;
                            index.insert_unique(hash, code, |&code| hasher.hash_one(&*own[code as usize]));
                            code
                        }
                    };
                    codes.push(code);
                }
                Level::Text { texts: own, index, hasher, missing }
            }
            dtype if dtype.is_float() => Level::Float(Numbers::new(&bits(vector)?, codes)),
            _ => Level::Int(Numbers::new(&integers(vector)?, codes)),
        })
    }

    fn len(&self) -> usize {
        match self {
            Level::Int(numbers) | Level::Float(numbers) => numbers.count as usize,
            Level::Text { texts, .. } => texts.len(),
        }
    }

    fn nbytes(&self) -> usize {
        match self {
            Level::Int(numbers) | Level::Float(numbers) => numbers.nbytes(),
            Level::Text { texts, .. } => texts.iter().map(|text| text.len() + 32).sum(),
        }
    }

    fn find(&self, vector: &Vector) -> Result<Vec<u32>> {
        Ok(match self {
            Level::Int(numbers) => {
                // A column may have been promoted where it met missing values.
                if vector.dtype.is_float() {
                    let values = vector.cast::<Float64Type>()?;
                    let whole = |v: f64| v.fract() == 0.0 && v.abs() < 9e18;
                    return Ok(values
                        .iter()
                        .map(|&v| if whole(v) { numbers.get(v as i64) } else { NONE })
                        .collect());
                }
                integers(vector)?.iter().map(|&value| numbers.get(value)).collect()
            }
            Level::Float(numbers) => bits(vector)?.iter().map(|&value| numbers.get(value)).collect(),
            Level::Text { texts, index, hasher, missing } => {
                let code = |text: Option<&str>| match text {
                    None => missing.unwrap_or(NONE),
                    Some(text) => {
                        let same = |&code: &u32| Some(code) != *missing && &*texts[code as usize] == text;
                        index.find(hasher.hash_one(text), same).copied().unwrap_or(NONE)
                    }
                };
                if let Some((values, rows)) = vector.codes()? {
                    let array = values.strings()?;
                    let own: Vec<u32> = array.iter().map(code).collect();
                    return Ok(rows.into_iter().map(|row| own[row as usize]).collect());
                }
                vector.strings()?.iter().map(code).collect()
            }
        })
    }
}

fn bits(vector: &Vector) -> Result<Vec<i64>> {
    Ok(vector.cast::<Float64Type>()?.iter().map(|&value| float_bits(value) as i64).collect())
}

/// Codes 0, 1, 2, … of integers in order of first appearance.
#[derive(Debug)]
struct Numbers {
    count: u32,
    index: NumberIndex,
}

#[derive(Debug)]
enum NumberIndex {
    /// The codes of `low`, `low + 1`, …: keys that lie together are found together.
    Dense { low: i64, codes: Vec<u32> },
    /// Open addressing; as many slots as a power of two.
    Hashed { keys: Vec<i64>, codes: Vec<u32>, shift: u32 },
}

impl Numbers {
    fn new(values: &[i64], codes: &mut Vec<u32>) -> Numbers {
        codes.clear();
        codes.reserve(values.len());
        let low = values.iter().copied().min().unwrap_or(0);
        let high = values.iter().copied().max().unwrap_or(0);
        let width = high.checked_sub(low).and_then(|width| usize::try_from(width).ok());
        let mut count = 0;
        if let Some(width) = width.filter(|&width| width < 8 * values.len() + 1024) {
            let mut table = vec![NONE; width + 1];
            for &value in values {
                let code = &mut table[(value - low) as usize];
                if *code == NONE {
                    *code = count;
                    count += 1;
                }
                codes.push(*code);
            }
            return Numbers { count, index: NumberIndex::Dense { low, codes: table } };
        }
        let slots = (values.len() * 2).next_power_of_two().max(16);
        let shift = 64 - slots.trailing_zeros();
        let (mut keys, mut table) = (vec![0i64; slots], vec![NONE; slots]);
        for &value in values {
            let mut at = slot(value, shift);
            while table[at] != NONE && keys[at] != value {
                at = (at + 1) & (slots - 1);
            }
            if table[at] == NONE {
                (keys[at], table[at]) = (value, count);
                count += 1;
            }
            codes.push(table[at]);
        }
        Numbers { count, index: NumberIndex::Hashed { keys, codes: table, shift } }
    }

    #[inline]
    fn get(&self, value: i64) -> u32 {
        match &self.index {
            NumberIndex::Dense { low, codes } => {
                codes.get(value.wrapping_sub(*low) as u64 as usize).copied().unwrap_or(NONE)
            }
            NumberIndex::Hashed { keys, codes, shift } => {
                let mut at = slot(value, *shift);
                loop {
                    if codes[at] == NONE || keys[at] == value {
                        return codes[at];
                    }
                    at = (at + 1) & (codes.len() - 1);
                }
            }
        }
    }

    fn nbytes(&self) -> usize {
        match &self.index {
            NumberIndex::Dense { codes, .. } => codes.len() * 4,
            NumberIndex::Hashed { codes, .. } => codes.len() * 12,
        }
    }
}

#[inline]
fn slot(value: i64, shift: u32) -> usize {
    let mixed = (value as u64 ^ (value as u64 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> shift) as usize
}

impl Object for LookUp {
    fn nbytes(&self) -> usize {
        self.nbytes
    }

    fn encode(&self, sink: &mut (dyn Write + Send)) -> std::result::Result<(), CodecError> {
        codec::write_keys(sink, &self.build.keys)?;
        codec::write_keys(sink, &self.build.columns)?;
        codec::write_number(sink, self.build.only_keys as u64)?;
        codec::write_frame(sink, &self.table)
    }

    fn decoder(&self) -> Decode {
        decode_look_up
    }

    fn wire_name(&self) -> Option<&'static str> {
        Some(LOOK_UP)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What other processes call a [`LookUp`].
pub(crate) const LOOK_UP: &str = "frame-look-up";

pub(crate) fn decode_look_up(
    source: &mut (dyn Read + Send),
) -> std::result::Result<Arc<dyn Object>, CodecError> {
    let (keys, columns) = (codec::read_keys(source)?, codec::read_keys(source)?);
    let only_keys = codec::read_number(source)? != 0;
    let table = Arc::new(codec::read_frame(source)?);
    let built = LookUp::new(table, Build { keys, columns, only_keys });
    Ok(Arc::new(built.map_err(|error| std::io::Error::other(error.to_string()))?))
}

/// Reads all partitions of a table and makes a [`LookUp`] of them.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    pub keys: Vec<Key>,
    pub columns: Vec<Key>,
    /// Nobody will ask for rows.
    pub only_keys: bool,
}

impl weft_data::Work for Build {
    fn name(&self) -> &str {
        "merge-table"
    }

    fn run(
        &self,
        _index: u32,
        inputs: &mut [weft_data::Value],
    ) -> std::result::Result<weft_data::Value, weft_data::TaskError> {
        let frames = inputs
            .iter()
            .map(|input| crate::exchange::frame(input).cloned())
            .collect::<std::result::Result<Vec<Arc<Frame>>, _>>()?;
        let table = Arc::new(crate::exchange::concat(&frames)?);
        let found = LookUp::new(table, self.clone())?;
        Ok(weft_data::Value::Object(Arc::new(found)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::types::Int64Type;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_finds_its_code(values in prop::collection::vec(prop_oneof![-5i64..5, any::<i64>()], 1..200)) {
            let mut codes = Vec::new();
            let numbers = Numbers::new(&values, &mut codes);
            let mut first: Vec<i64> = Vec::new();
            for (&value, &code) in values.iter().zip(&codes) {
                if !first.contains(&value) {
                    first.push(value);
                }
                prop_assert_eq!(first[code as usize], value);
                prop_assert_eq!(numbers.get(value), code);
            }
            for other in [i64::MIN, i64::MAX, 0, 17] {
                prop_assert_eq!(numbers.get(other) == NONE, !values.contains(&other));
            }
        }

        #[test]
        fn matches_are_the_pairs_of_equal_keys(
            table in prop::collection::vec((0i64..6, 0i64..3), 0..30),
            batch in prop::collection::vec((0i64..6, 0i64..3), 0..30),
        ) {
            let vectors = |rows: &[(i64, i64)]| vec![
                Vector::from_vec::<Int64Type>(DType::Int64, rows.iter().map(|r| r.0).collect()),
                Vector::from_vec::<Int64Type>(DType::Int64, rows.iter().map(|r| r.1).collect()),
            ];
            let columns = vectors(&table).into_iter().enumerate();
            let columns = columns.map(|(i, vector)| vector.into_column(Key::Int(i as i64))).collect();
            let frame = Frame::new(columns, weft_data::Index::Range { start: 0, step: 1 }, table.len());
            let build = Build { keys: vec![Key::Int(0), Key::Int(1)], columns: Vec::new(), only_keys: false };
            let found = LookUp::new(Arc::new(frame), build).unwrap();
            let matches = found.matches(&vectors(&batch), batch.len(), false).unwrap();
            let mut expected = Vec::new();
            for (i, row) in batch.iter().enumerate() {
                expected.extend(table.iter().enumerate().filter(|(_, own)| *own == row).map(|(j, _)| (i as u32, j as u32)));
            }
            let pairs: Vec<(u32, u32)> = matches.rows.into_iter().zip(matches.found).collect();
            prop_assert_eq!(pairs, expected);
        }
    }
}
