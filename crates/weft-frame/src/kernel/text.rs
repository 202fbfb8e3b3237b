//! Methods of text. Positions and lengths count characters, as in Python.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, LargeStringArray};
use arrow_buffer::{BooleanBuffer, OffsetBuffer};
use weft_data::{DType, Hasher};

use super::letters;
use super::vector::Vector;
use crate::error::ExprError;

type Result<T> = std::result::Result<T, ExprError>;

/// An operation on each text; what is missing is False for tests, else stays missing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TextOp {
    StartsWith(Vec<String>),
    EndsWith(Vec<String>),
    /// Pieces that follow each other in one line, whatever lies between them.
    Contains(Vec<String>),
    /// Characters `start..stop`.
    Slice {
        start: Option<i64>,
        stop: Option<i64>,
    },
    Len,
    /// Without characters at either end, by default white space.
    Strip {
        left: bool,
        right: bool,
        characters: Option<String>,
    },
    Upper,
    Lower,
    /// The first letter a capital, the others small.
    Capitalize,
    /// Another text for one that occurs, at most so often.
    Replace {
        from: String,
        to: String,
        most: Option<usize>,
    },
    /// At least so many characters.
    Pad {
        width: usize,
        side: PadSide,
        fill: char,
    },
    /// The character at a position; missing if there is none.
    Get(i64),
    RemovePrefix(String),
    RemoveSuffix(String),
}

/// Where a text is filled up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PadSide {
    Left,
    Right,
    Both,
}

impl TextOp {
    /// A name for each, for lists of what is native.
    pub const NAMES: [&str; 16] = [
        "startswith",
        "endswith",
        "contains",
        "slice",
        "len",
        "strip",
        "lstrip",
        "rstrip",
        "upper",
        "lower",
        "capitalize",
        "replace",
        "pad",
        "get",
        "removeprefix",
        "removesuffix",
    ];

    pub fn name(&self) -> &'static str {
        match self {
            TextOp::StartsWith(_) => "str.startswith",
            TextOp::EndsWith(_) => "str.endswith",
            TextOp::Contains(_) => "str.contains",
            TextOp::Slice { .. } => "str.slice",
            TextOp::Len => "str.len",
            TextOp::Strip { right: false, .. } => "str.lstrip",
            TextOp::Strip { left: false, .. } => "str.rstrip",
            TextOp::Strip { .. } => "str.strip",
            TextOp::Upper => "str.upper",
            TextOp::Lower => "str.lower",
            TextOp::Capitalize => "str.capitalize",
            TextOp::Replace { .. } => "str.replace",
            TextOp::Pad { .. } => "str.pad",
            TextOp::Get(_) => "str.get",
            TextOp::RemovePrefix(_) => "str.removeprefix",
            TextOp::RemoveSuffix(_) => "str.removesuffix",
        }
    }

    pub(crate) fn hash(&self, h: &mut Hasher) {
        h.text(self.name());
        match self {
            TextOp::StartsWith(texts) | TextOp::EndsWith(texts) | TextOp::Contains(texts) => {
                h.number(texts.len() as u64);
                texts.iter().for_each(|text| {
                    h.text(text);
                });
            }
            TextOp::Slice { start, stop } => {
                h.text(&format!("{start:?} {stop:?}"));
            }
            TextOp::Strip { characters, .. } => {
                h.text(&format!("{characters:?}"));
            }
            TextOp::Replace { from, to, most } => {
                h.text(from).text(to).text(&format!("{most:?}"));
            }
            TextOp::Pad { width, side, fill } => {
                h.text(&format!("{width} {side:?} {fill:?}"));
            }
            TextOp::Get(at) => {
                h.text(&at.to_string());
            }
            TextOp::RemovePrefix(text) | TextOp::RemoveSuffix(text) => {
                h.text(text);
            }
            TextOp::Len | TextOp::Upper | TextOp::Lower | TextOp::Capitalize => {}
        }
    }

    pub(crate) fn result(&self) -> DType {
        match self {
            TextOp::StartsWith(_) | TextOp::EndsWith(_) | TextOp::Contains(_) => DType::Bool,
            TextOp::Len => DType::Int64,
            _ => DType::Str,
        }
    }

    /// What a regular expression looks for, if it is nothing but text and `.*`.
    pub fn contains(pattern: &str, regex: bool) -> Option<TextOp> {
        if !regex {
            return Some(TextOp::Contains(vec![pattern.to_owned()]));
        }
        let pieces: Vec<String> = pattern.split(".*").map(str::to_owned).collect();
        let special = |c: char| r"\.^$*+?{}[]|()".contains(c);
        (!pieces.iter().any(|piece| piece.contains(special))).then_some(TextOp::Contains(pieces))
    }
}

pub(super) fn run(op: &TextOp, vector: &Vector) -> Result<Vector> {
    let texts = vector.strings()?;
    let test = |f: &dyn Fn(&str) -> bool| {
        let bits = BooleanBuffer::collect_bool(texts.len(), |row| texts.is_valid(row) && f(texts.value(row)));
        Ok(Vector::from_bools(bits))
    };
    let part = |f: &dyn Fn(&str) -> Option<&str>| {
        let parts = texts.iter().map(|text| text.and_then(f));
        Ok(Vector::new(DType::Str, Arc::new(parts.collect::<LargeStringArray>())))
    };
    match op {
        TextOp::StartsWith(starts) => {
            test(&|text| starts.iter().any(|start| text.starts_with(start.as_str())))
        }
        TextOp::EndsWith(ends) => test(&|text| ends.iter().any(|end| text.ends_with(end.as_str()))),
        TextOp::Contains(pieces) => {
            let finders: Vec<memchr::memmem::Finder<'_>> =
                pieces.iter().map(|piece| memchr::memmem::Finder::new(piece.as_bytes())).collect();
            match &finders[..] {
                [one] => test(&|text| one.find(text.as_bytes()).is_some()),
                all => test(&|text| text.split('\n').any(|line| follows(all, line.as_bytes()))),
            }
        }
        TextOp::Slice { start, stop } => part(&|text| Some(slice(text, *start, *stop))),
        TextOp::Len if texts.null_count() > 0 => {
            let lengths = texts.iter().map(|text| text.map_or(f64::NAN, |text| text.chars().count() as f64));
            Ok(Vector::from_vec::<Float64Type>(DType::Float64, lengths.collect()))
        }
        TextOp::Len => {
            let lengths = texts.iter().flatten().map(|text| text.chars().count() as i64);
            Ok(Vector::from_vec::<Int64Type>(DType::Int64, lengths.collect()))
        }
        TextOp::Strip { left, right, characters } => {
            let goes = |c: char| match characters {
                Some(characters) => characters.contains(c),
                None => is_space(c),
            };
            part(&|text| {
                let text = if *left { text.trim_start_matches(goes) } else { text };
                Some(if *right { text.trim_end_matches(goes) } else { text })
            })
        }
        TextOp::Get(at) => {
            part(&|text| match slice(text, Some(*at), at.checked_add(1).filter(|&end| end != 0)) {
                // Before the first character there is none, though a slice would begin there.
                _ if *at < 0 && text.chars().count() < at.unsigned_abs() as usize => None,
                "" => None,
                one => Some(one),
            })
        }
        TextOp::RemovePrefix(prefix) => {
            part(&|text| Some(text.strip_prefix(prefix.as_str()).unwrap_or(text)))
        }
        TextOp::RemoveSuffix(suffix) => {
            part(&|text| Some(text.strip_suffix(suffix.as_str()).unwrap_or(text)))
        }
        TextOp::Upper => write(texts, |text, out| out.extend(text.chars().map(letters::upper))),
        TextOp::Lower => write(texts, |text, out| out.extend(text.chars().map(letters::lower))),
        TextOp::Capitalize => write(texts, |text, out| {
            let mut rest = text.chars();
            out.extend(rest.next().map(letters::upper));
            out.extend(rest.map(letters::lower));
        }),
        TextOp::Replace { from, to, most } => {
            let finder = memchr::memmem::Finder::new(from.as_bytes());
            write(texts, |text, out| {
                let mut done = 0;
                for at in finder.find_iter(text.as_bytes()).take(most.unwrap_or(usize::MAX)) {
                    out.push_str(&text[done..at]);
                    out.push_str(to);
                    done = at + from.len();
                }
                out.push_str(&text[done..]);
            })
        }
        TextOp::Pad { width, side, fill } => write(texts, |text, out| {
            let lacking = width.saturating_sub(text.chars().count());
            let before = match side {
                PadSide::Left => lacking,
                PadSide::Right => 0,
                // As Python centres: what is odd goes where the width's own parity says.
                PadSide::Both => lacking / 2 + (lacking & width & 1),
            };
            out.extend(std::iter::repeat_n(*fill, before));
            out.push_str(text);
            out.extend(std::iter::repeat_n(*fill, lacking - before));
        }),
    }
}

/// The texts that `f` appends, one for each text that is not missing.
fn write(texts: &LargeStringArray, f: impl Fn(&str, &mut String)) -> Result<Vector> {
    let mut out = String::with_capacity(texts.value_data().len());
    let mut ends = Vec::with_capacity(texts.len() + 1);
    ends.push(0i64);
    for text in texts {
        if let Some(text) = text {
            f(text, &mut out);
        }
        ends.push(out.len() as i64);
    }
    let offsets = OffsetBuffer::new(ends.into());
    let values = LargeStringArray::try_new(offsets, out.into_bytes().into(), texts.nulls().cloned());
    let values = values.map_err(|error| ExprError::Invalid(error.to_string()))?;
    Ok(Vector::new(DType::Str, Arc::new(values)))
}

/// What Python calls white space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

fn follows(pieces: &[memchr::memmem::Finder<'_>], mut line: &[u8]) -> bool {
    for piece in pieces {
        match piece.find(line) {
            Some(at) => line = &line[at + piece.needle().len()..],
            None => return false,
        }
    }
    true
}

fn slice(text: &str, start: Option<i64>, stop: Option<i64>) -> &str {
    if text.is_ascii() {
        let n = text.len() as i64;
        let (from, to) = (place(start.unwrap_or(0), n), place(stop.unwrap_or(n), n));
        return if from < to { &text[from..to] } else { "" };
    }
    let n = text.chars().count() as i64;
    let (from, to) = (place(start.unwrap_or(0), n), place(stop.unwrap_or(n), n));
    if from >= to {
        return "";
    }
    let byte = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
    &text[byte(from)..byte(to)]
}

/// Where a position of Python's lies, negative ones counted from the end.
fn place(at: i64, n: i64) -> usize {
    (if at < 0 { (at + n).max(0) } else { at.min(n) }) as usize
}
