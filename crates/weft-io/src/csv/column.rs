//! One column of a batch: from the fields of a piece of a file to an Arrow array.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{ArrayRef, BooleanArray, LargeStringArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use weft_data::{DType, TimeUnit};

use super::datetime::{self, Layout};
use super::infer::{DEFAULT_MISSING, Truths};
use super::number::{self, Integer, NumberSyntax};
use super::options::{CsvOptions, Encoding};
use super::rows::{QUOTED, Rows, Syntax, unquote};

/// Datetimes keep this for a missing value.
pub(crate) const NAT: i64 = i64::MIN;

/// The words that mean a missing value in one column.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    words: HashSet<Vec<u8>>,
    /// Bit `n`: some word has `n` bytes. Words of 63 bytes and more share a bit.
    lengths: u64,
}

impl Missing {
    pub(crate) fn new(options: &CsvOptions, column: &str) -> Self {
        let mut words = HashSet::new();
        if options.na_filter {
            if options.keep_default_na {
                words.extend(DEFAULT_MISSING.iter().map(|word| word.as_bytes().to_vec()));
            }
            let own = options.na_values_of.get(column).into_iter().flatten();
            words.extend(options.na_values.iter().chain(own).map(|word| word.as_bytes().to_vec()));
        }
        let lengths = words.iter().fold(0, |bits, word| bits | 1 << word.len().min(63));
        Missing { words, lengths }
    }

    #[inline(always)]
    pub(crate) fn contains(&self, text: &[u8]) -> bool {
        self.lengths >> text.len().min(63) & 1 == 1 && self.words.contains(text)
    }
}

/// What a column's fields are parsed by.
#[derive(Clone, Debug)]
pub(crate) struct Format {
    pub missing: Missing,
    pub numbers: NumberSyntax,
    pub truths: Arc<Truths>,
    pub layout: Option<Layout>,
    pub latin1: bool,
    /// Numbers are plain digits with a point: the short parsers apply.
    pub plain_numbers: bool,
}

impl Format {
    pub(crate) fn new(
        options: &CsvOptions,
        column: &str,
        truths: Arc<Truths>,
        layout: Option<Layout>,
    ) -> Self {
        let missing = Missing::new(options, column);
        // A number may be declared to be missing: then the words come first.
        let numeric_words = missing.words.iter().any(|word| {
            word.first().is_some_and(|b| b.is_ascii_digit() || *b == b'-')
                && !DEFAULT_MISSING.iter().any(|default| default.as_bytes() == word.as_slice())
        });
        Format {
            missing,
            numbers: NumberSyntax::new(options),
            truths,
            layout,
            latin1: options.encoding == Encoding::Latin1,
            plain_numbers: options.decimal == b'.' && !numeric_words,
        }
    }
}

/// Why a field does not fit its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// A missing value, in a column that has no room for it.
    Missing,
    /// A number, but not of this dtype.
    Fraction,
    /// Anything else.
    Other,
}

/// The first field that does not fit, by row of the piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rejected {
    pub row: usize,
    pub misfit: Misfit,
}

/// The values of one column of a batch under construction.
#[derive(Debug)]
pub(crate) struct Builder {
    values: Values,
    /// Present or not, for the dtypes that have validity.
    validity: Vec<bool>,
    gaps: bool,
}

#[derive(Debug)]
enum Values {
    Int64(Vec<i64>),
    UInt64(Vec<u64>),
    Float64(Vec<f64>),
    Bool(Vec<bool>),
    Text { offsets: Vec<i64>, bytes: Vec<u8> },
}

impl Builder {
    pub(crate) fn new(dtype: &DType) -> Self {
        let base = match dtype {
            DType::Nullable(inner) => inner,
            dtype => dtype,
        };
        let values = match base {
            DType::Bool => Values::Bool(Vec::new()),
            DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => Values::UInt64(Vec::new()),
            DType::Float32 | DType::Float64 => Values::Float64(Vec::new()),
            DType::Str => Values::Text { offsets: vec![0], bytes: Vec::new() },
            _ => Values::Int64(Vec::new()),
        };
        Builder { values, validity: Vec::new(), gaps: false }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.values {
            Values::Int64(values) => values.len(),
            Values::UInt64(values) => values.len(),
            Values::Float64(values) => values.len(),
            Values::Bool(values) => values.len(),
            Values::Text { offsets, .. } => offsets.len() - 1,
        }
    }

    /// Integers become floats: nothing of a column of `i64` so far is lost that pandas would keep.
    pub(crate) fn make_floats(&mut self) {
        if let Values::Int64(values) = &self.values {
            self.values = Values::Float64(values.iter().map(|&value| value as f64).collect());
        }
    }

    fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Int64(values) => values.truncate(rows),
            Values::UInt64(values) => values.truncate(rows),
            Values::Float64(values) => values.truncate(rows),
            Values::Bool(values) => values.truncate(rows),
            Values::Text { offsets, bytes } => {
                offsets.truncate(rows + 1);
                bytes.truncate(offsets.last().map_or(0, |&end| end as usize));
            }
        }
        self.validity.truncate(rows);
    }

    /// Appends field `column` of all `rows`, or nothing at all if one does not fit.
    pub(crate) fn append(
        &mut self,
        fields: &Fields<'_>,
        dtype: &DType,
        format: &Format,
    ) -> Result<(), Rejected> {
        let before = self.len();
        let result = self.append_each(fields, dtype, format);
        if result.is_err() {
            self.truncate(before);
        }
        result
    }

    fn append_each(&mut self, fields: &Fields<'_>, dtype: &DType, format: &Format) -> Result<(), Rejected> {
        let Format { missing, numbers, truths, .. } = format;
        let nullable = matches!(dtype, DType::Nullable(_));
        let Builder { values, validity, gaps } = self;
        match values {
            Values::Int64(out) => match dtype {
                DType::Datetime { unit, .. } => {
                    let per_second = unit.per_second();
                    let layout = format.layout.unwrap_or(Layout::ISO_SECONDS);
                    let fast = layout == Layout::ISO_SECONDS && *unit == TimeUnit::Micro;
                    let mut day = datetime::Day::default();
                    fields.each(out, |text, _| {
                        if let Some(value) = fast.then(|| day.iso_seconds(text)).flatten() {
                            return Ok(value);
                        }
                        match layout.parse(text, per_second) {
                            Some(value) => Ok(value),
                            None if missing.contains(text) || is_nat(text) => Ok(NAT),
                            None => Err(Misfit::Other),
                        }
                    })
                }
                _ => {
                    let (low, high) = integer_range(dtype);
                    fields.each(out, |text, rest| {
                        let value = match number::short_integer(text, rest).filter(|_| format.plain_numbers) {
                            Some(value) => value,
                            None if missing.contains(text) => {
                                if !nullable {
                                    return Err(Misfit::Missing);
                                }
                                *gaps = true;
                                validity.push(false);
                                return Ok(0);
                            }
                            None => match number::integer(text, *numbers) {
                                Integer::Small(value) => value,
                                // Floats that are whole numbers are integers to the nullable dtype.
                                Integer::No => match number::float(text, *numbers) {
                                    Some(float) if nullable && float.fract() == 0.0 && float.abs() < 9e15 => {
                                        float as i64
                                    }
                                    Some(_) => return Err(Misfit::Fraction),
                                    None => return Err(Misfit::Other),
                                },
                                _ => return Err(Misfit::Other),
                            },
                        };
                        if value < low || value > high {
                            return Err(Misfit::Fraction);
                        }
                        if nullable {
                            validity.push(true);
                        }
                        Ok(value)
                    })
                }
            },
            Values::UInt64(out) => {
                let high = integer_range(dtype).1 as u64;
                let high = if *dtype == DType::UInt64 { u64::MAX } else { high };
                fields.each(out, |text, _| {
                    if missing.contains(text) {
                        return Err(Misfit::Missing);
                    }
                    match number::integer(text, *numbers) {
                        Integer::Small(value) if value >= 0 && value as u64 <= high => Ok(value as u64),
                        Integer::Large(value) if value <= high => Ok(value),
                        Integer::No if number::float(text, *numbers).is_none() => Err(Misfit::Other),
                        _ => Err(Misfit::Fraction),
                    }
                })
            }
            Values::Float64(out) => fields.each(out, |text, rest| {
                let value = match number::short_float(text, rest).filter(|_| format.plain_numbers) {
                    Some(value) => value,
                    None if missing.contains(text) => {
                        if nullable {
                            *gaps = true;
                            validity.push(false);
                            return Ok(0.0);
                        }
                        return Ok(f64::NAN);
                    }
                    None => number::float(text, *numbers).ok_or(Misfit::Other)?,
                };
                if nullable {
                    validity.push(true);
                }
                Ok(value)
            }),
            Values::Bool(out) => fields.each(out, |text, _| {
                if missing.contains(text) {
                    if !nullable {
                        return Err(Misfit::Missing);
                    }
                    *gaps = true;
                    validity.push(false);
                    return Ok(false);
                }
                let value = match truths.parse(text) {
                    Some(value) => value,
                    None if nullable && matches!(text, b"1" | b"1.0") => true,
                    None if nullable && matches!(text, b"0" | b"0.0") => false,
                    None => return Err(Misfit::Other),
                };
                if nullable {
                    validity.push(true);
                }
                Ok(value)
            }),
            Values::Text { offsets, bytes } => fields.visit(|text| {
                let absent = missing.contains(text);
                *gaps |= absent;
                validity.push(!absent);
                if !absent {
                    if format.latin1 {
                        for &byte in text {
                            bytes.extend_from_slice((byte as char).encode_utf8(&mut [0; 2]).as_bytes());
                        }
                    } else {
                        bytes.extend_from_slice(text);
                    }
                }
                offsets.push(bytes.len() as i64);
                Ok(())
            }),
        }
    }

    /// The array of all values so far; the builder is empty again. `Err`: row of the first text that is not UTF-8.
    pub(crate) fn finish(&mut self, dtype: &DType) -> Result<ArrayRef, BadText> {
        let gaps = std::mem::take(&mut self.gaps);
        let validity = std::mem::take(&mut self.validity);
        let nulls = gaps.then(|| NullBuffer::new(BooleanBuffer::from(validity)));
        let base = match dtype {
            DType::Nullable(inner) => inner,
            dtype => dtype,
        };
        Ok(match &mut self.values {
            Values::Int64(values) => {
                let values = std::mem::take(values);
                match base {
                    DType::Int8 => narrow::<Int8Type, _>(values, nulls, |v| v as i8),
                    DType::Int16 => narrow::<Int16Type, _>(values, nulls, |v| v as i16),
                    DType::Int32 => narrow::<Int32Type, _>(values, nulls, |v| v as i32),
                    _ => primitive::<Int64Type>(values, nulls),
                }
            }
            Values::UInt64(values) => {
                let values = std::mem::take(values);
                match base {
                    DType::UInt8 => narrow::<UInt8Type, _>(values, nulls, |v| v as u8),
                    DType::UInt16 => narrow::<UInt16Type, _>(values, nulls, |v| v as u16),
                    DType::UInt32 => narrow::<UInt32Type, _>(values, nulls, |v| v as u32),
                    _ => primitive::<UInt64Type>(values, nulls),
                }
            }
            Values::Float64(values) => {
                let values = std::mem::take(values);
                match base {
                    DType::Float32 => narrow::<Float32Type, _>(values, nulls, |v| v as f32),
                    _ => primitive::<Float64Type>(values, nulls),
                }
            }
            Values::Bool(values) => {
                Arc::new(BooleanArray::new(BooleanBuffer::from(std::mem::take(values)), nulls))
            }
            Values::Text { offsets, bytes } => {
                let offsets = std::mem::replace(offsets, vec![0]);
                let bytes = std::mem::take(bytes);
                if let Some(bad) = bad_text(&offsets, &bytes) {
                    return Err(bad);
                }
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                // SAFETY: the offsets grow and end at the length of `bytes`, `bad_text` found every value to be UTF-8,
                // and `nulls`, pushed together with the offsets, has one bit for each value.
                let array =
                    unsafe { LargeStringArray::new_unchecked(offsets, Buffer::from_vec(bytes), nulls) };
                Arc::new(array)
            }
        })
    }
}

/// A text that is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadText {
    pub row: usize,
    pub byte: u8,
}

fn bad_text(offsets: &[i64], bytes: &[u8]) -> Option<BadText> {
    let whole = match std::str::from_utf8(bytes) {
        // Valid as a whole, it may still be cut inside a character.
        Ok(text) if text.is_ascii() => return None,
        Ok(text) => offsets.iter().all(|&offset| text.is_char_boundary(offset as usize)),
        Err(_) => false,
    };
    if whole {
        return None;
    }
    offsets.windows(2).enumerate().find_map(|(row, ends)| {
        let value = &bytes[ends[0] as usize..ends[1] as usize];
        let error = std::str::from_utf8(value).err()?;
        Some(BadText { row, byte: value[error.valid_up_to()] })
    })
}

fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls))
}

fn narrow<T: ArrowPrimitiveType, W: Copy>(
    values: Vec<W>,
    nulls: Option<NullBuffer>,
    convert: impl Fn(W) -> T::Native,
) -> ArrayRef {
    primitive::<T>(values.into_iter().map(convert).collect(), nulls)
}

fn integer_range(dtype: &DType) -> (i64, i64) {
    match dtype {
        DType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DType::UInt8 => (0, u8::MAX.into()),
        DType::UInt16 => (0, u16::MAX.into()),
        DType::UInt32 => (0, u32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

/// The words for a missing time that `to_datetime` knows beside those of `read_csv`.
pub(crate) fn is_nat(text: &[u8]) -> bool {
    matches!(text, b"NaT" | b"nat" | b"NAT" | b"NaN" | b"nan" | b"NAN" | b"")
}

/// The fields of one column in one piece of a file.
pub(crate) struct Fields<'a> {
    pub bytes: &'a [u8],
    pub rows: &'a Rows,
    pub syntax: &'a Syntax,
    /// Position of the column in the file.
    pub column: usize,
    /// Its fields may end in a `\r` that belongs to the line break.
    pub trim: bool,
}

impl Fields<'_> {
    #[inline(always)]
    fn each<T>(
        &self,
        out: &mut Vec<T>,
        mut parse: impl FnMut(&[u8], &[u8]) -> Result<T, Misfit>,
    ) -> Result<(), Rejected> {
        out.reserve(self.rows.starts.len());
        self.visit_in_place(|text, rest| {
            out.push(parse(text, rest)?);
            Ok(())
        })
    }

    /// The text of one row's field.
    pub(crate) fn text(&self, row: usize) -> Vec<u8> {
        let mut text = Vec::new();
        let mut at = 0;
        // The closure fails to end the walk.
        let _ = self.visit(|field| {
            if at == row {
                text.extend_from_slice(field);
                return Err(Misfit::Other);
            }
            at += 1;
            Ok(())
        });
        text
    }

    pub(crate) fn visit(&self, mut visit: impl FnMut(&[u8]) -> Result<(), Misfit>) -> Result<(), Rejected> {
        self.visit_in_place(|text, _| visit(text))
    }

    /// Calls `visit` with the text of each row's field, and with that text and all that lies behind it.
    #[inline(always)]
    fn visit_in_place(
        &self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Misfit>,
    ) -> Result<(), Rejected> {
        let mut scratch = Vec::new();
        let marks = self.rows.marks.as_slice();
        for (row, &start) in self.rows.starts.iter().enumerate() {
            let at = start as usize + self.column;
            let from = (marks[at] & !QUOTED) as usize + 1;
            let mark = marks[at + 1];
            let to = (mark & !QUOTED) as usize;
            // The mark of an absent field lies before its beginning or beyond the bytes.
            let rest = self.bytes.get(from..).unwrap_or_default();
            let mut text = rest.get(..to.wrapping_sub(from)).unwrap_or_default();
            let result = if mark & QUOTED == 0 {
                if self.trim && text.last() == Some(&b'\r') {
                    text = &text[..text.len() - 1];
                }
                visit(text, rest)
            } else {
                unquote(self.syntax, text, &mut scratch);
                visit(&scratch, &scratch)
            };
            if let Err(misfit) = result {
                return Err(Rejected { row, misfit });
            }
        }
        Ok(())
    }
}
