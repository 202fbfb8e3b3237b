//! Methods of text. Positions and lengths count characters, as in Python.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, LargeStringArray};
use arrow_buffer::BooleanBuffer;
use weft_data::{DType, Hasher};

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
    Strip,
}

impl TextOp {
    /// A name for each, for lists of what is native.
    pub const NAMES: [&str; 6] = ["startswith", "endswith", "contains", "slice", "len", "strip"];

    pub fn name(&self) -> &'static str {
        match self {
            TextOp::StartsWith(_) => "str.startswith",
            TextOp::EndsWith(_) => "str.endswith",
            TextOp::Contains(_) => "str.contains",
            TextOp::Slice { .. } => "str.slice",
            TextOp::Len => "str.len",
            TextOp::Strip => "str.strip",
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
            _ => {}
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
    let map = |f: &dyn Fn(&str) -> String| {
        let values: LargeStringArray = texts.iter().map(|text| text.map(f)).collect();
        Ok(Vector::new(DType::Str, Arc::new(values)))
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
        TextOp::Slice { start, stop } => {
            let values: LargeStringArray =
                texts.iter().map(|text| text.map(|text| slice(text, *start, *stop))).collect();
            Ok(Vector::new(DType::Str, Arc::new(values)))
        }
        TextOp::Len if texts.null_count() > 0 => {
            let lengths = texts.iter().map(|text| text.map_or(f64::NAN, |text| text.chars().count() as f64));
            Ok(Vector::from_vec::<Float64Type>(DType::Float64, lengths.collect()))
        }
        TextOp::Len => {
            let lengths = texts.iter().flatten().map(|text| text.chars().count() as i64);
            Ok(Vector::from_vec::<Int64Type>(DType::Int64, lengths.collect()))
        }
        // What Python calls white space.
        TextOp::Strip => map(&|text| text.trim_matches(is_space).to_owned()),
    }
}

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
