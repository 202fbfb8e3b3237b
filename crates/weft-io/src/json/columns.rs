//! Lines of JSON objects as columns.

use std::sync::Arc;

use ahash::AHashMap;
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, LargeStringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use memchr::memchr;

use super::cursor::{Cursor, Token, Unusual, unescape};

/// Which kinds of values a column has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(pub u8);

impl Kinds {
    pub const INT: Kinds = Kinds(1);
    pub const FLOAT: Kinds = Kinds(2);
    pub const BOOL: Kinds = Kinds(4);
    pub const STR: Kinds = Kinds(8);
    pub const NULL: Kinds = Kinds(16);
    pub const NESTED: Kinds = Kinds(32);
    /// Objects without this key.
    pub const MISSING: Kinds = Kinds(64);
    /// Integers of more than 18 digits.
    pub const BIG: Kinds = Kinds(128);

    const NUMBER: Kinds = Kinds(1 | 2);
    const GAP: Kinds = Kinds(16 | 64);

    /// Whether there is text.
    pub fn has_text(self) -> bool {
        self.any(Kinds::STR)
    }

    /// Whether there are no other kinds than these.
    fn only(self, others: Kinds) -> bool {
        self.0 & !others.0 == 0
    }

    fn any(self, others: Kinds) -> bool {
        self.0 & others.0 != 0
    }
}

impl std::ops::BitOr for Kinds {
    type Output = Kinds;

    fn bitor(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
}

/// How numbers with a fraction are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floats {
    /// To the nearest double, as Python does.
    Nearest,
    /// As pandas' reader does unless told otherwise: digits before and after the point are added up as
    /// doubles, of the latter at most fifteen.
    Fast,
}

/// Where a value is in the text; of no length: there is none.
#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    length: u32,
}

struct Field {
    name: String,
    /// Between the quotes, as it was first written.
    key: Box<[u8]>,
    spans: Vec<Span>,
    kinds: u8,
}

/// The fields of all lines of a text.
pub struct Lines<'a> {
    text: &'a str,
    fields: Vec<Field>,
    rows: usize,
}

/// A column's values as an array.
#[derive(Clone, Debug)]
pub enum Values {
    Int(ArrayRef),
    Float(ArrayRef),
    Bool(ArrayRef),
    Str(ArrayRef),
}

impl<'a> Lines<'a> {
    /// Finds the fields of each line of `text`, those called `wanted` or all. With `blank`, empty lines are skipped.
    pub fn scan(text: &'a str, wanted: Option<&[String]>, blank: bool) -> Result<Self, Unusual> {
        if u32::try_from(text.len()).is_err() {
            return Err(Unusual);
        }
        let mut lines = Lines { text, fields: Vec::new(), rows: 0 };
        let mut known: AHashMap<Box<[u8]>, Option<usize>> = AHashMap::new();
        for name in wanted.unwrap_or_default() {
            known.insert(name.as_bytes().into(), Some(lines.field(name.clone(), name.as_bytes())));
        }
        // Which column each place of the line before had.
        let mut places: Vec<Option<usize>> = Vec::new();
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n);
            let mut cursor = Cursor { bytes: &bytes[..end], at };
            at = end + 1;
            cursor.skip();
            if cursor.at == end {
                if blank {
                    continue;
                }
                return Err(Unusual);
            }
            lines.record(&mut cursor, wanted.is_none(), &mut known, &mut places)?;
            cursor.skip();
            if cursor.at != end {
                return Err(Unusual);
            }
            lines.rows += 1;
        }
        for field in &mut lines.fields {
            if field.spans.len() < lines.rows {
                field.spans.resize(lines.rows, Span::default());
                field.kinds |= Kinds::MISSING.0;
            }
        }
        Ok(lines)
    }

    fn field(&mut self, name: String, key: &[u8]) -> usize {
        self.fields.push(Field { name, key: key.into(), spans: Vec::new(), kinds: 0 });
        self.fields.len() - 1
    }

    fn record(
        &mut self,
        cursor: &mut Cursor<'a>,
        all: bool,
        known: &mut AHashMap<Box<[u8]>, Option<usize>>,
        places: &mut Vec<Option<usize>>,
    ) -> Result<(), Unusual> {
        cursor.expect(b'{')?;
        let mut place = 0;
        let mut more = true;
        while more {
            let Some(key) = cursor.key()? else { break };
            let column = match places.get(place) {
                // Lines are alike: the key is most likely the one that stood here before.
                Some(&Some(column)) if *self.fields[column].key == *key => Some(column),
                _ => {
                    let column = self.find(key, all, known)?;
                    places.resize(places.len().max(place + 1), None);
                    places[place] = column;
                    column
                }
            };
            place += 1;
            let start = cursor.at;
            let token = cursor.value()?;
            if let Some(column) = column {
                let field = &mut self.fields[column];
                if field.spans.len() != self.rows {
                    if field.spans.len() > self.rows {
                        return Err(Unusual); // the key occurs twice
                    }
                    field.spans.resize(self.rows, Span::default());
                    field.kinds |= Kinds::MISSING.0;
                }
                let length = cursor.at - start;
                field.kinds |= match token {
                    Token::Int if length > 18 => Kinds::BIG.0,
                    Token::Int => Kinds::INT.0,
                    Token::Float => Kinds::FLOAT.0,
                    Token::True | Token::False => Kinds::BOOL.0,
                    Token::Str => Kinds::STR.0,
                    Token::Null => Kinds::NULL.0,
                    Token::Nested => Kinds::NESTED.0,
                };
                field.spans.push(Span { start: start as u32, length: length as u32 });
            }
            more = cursor.more()?;
        }
        Ok(())
    }

    /// The column of a key as it is written. `None`: not wanted.
    fn find(
        &mut self,
        key: &[u8],
        all: bool,
        known: &mut AHashMap<Box<[u8]>, Option<usize>>,
    ) -> Result<Option<usize>, Unusual> {
        if let Some(&column) = known.get(key) {
            return Ok(column);
        }
        let mut name = Vec::new();
        unescape(key, &mut name)?;
        let name = String::from_utf8(name).map_err(|_| Unusual)?;
        let column = match self.fields.iter().position(|field| field.name == name) {
            Some(column) => Some(column),
            None if all => Some(self.field(name, key)),
            None => None,
        };
        known.insert(key.into(), column);
        Ok(column)
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns' names, in the order in which they first occurred, or were wanted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    pub fn kinds(&self, column: usize) -> Kinds {
        Kinds(self.fields[column].kinds)
    }

    /// The text of each value of a column; `None` where there is none.
    pub fn texts(&self, column: usize) -> impl Iterator<Item = Option<&'a str>> {
        let text = self.text;
        self.fields[column].spans.iter().map(move |span| {
            (span.length > 0).then(|| &text[span.start as usize..(span.start + span.length) as usize])
        })
    }

    /// A column's key as it is written, between its quotes.
    pub fn key(&self, column: usize) -> &[u8] {
        &self.fields[column].key
    }

    /// Whether pandas, which turns text into numbers where all of it can be, leaves this column alone for sure: some
    /// text begins as no number does.
    pub fn is_text(&self, column: usize) -> bool {
        self.texts(column).flatten().any(|text| {
            text.starts_with('"')
                && match text.as_bytes()[1..].iter().find(|b| !matches!(b, b' ' | b'\t')) {
                    Some(b'"') | None => true,
                    Some(&b) => {
                        b.is_ascii_graphic()
                            && !matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'\\')
                            && !b"iInN".contains(&b)
                    }
                }
        })
    }

    /// A column as an array. `None`: its values have no exact one.
    pub fn column(&self, column: usize, floats: Floats) -> Option<Values> {
        let kinds = self.kinds(column);
        if kinds == Kinds::INT {
            let values: Option<Vec<i64>> = self.texts(column).map(|text| text?.parse().ok()).collect();
            return Some(Values::Int(Arc::new(Int64Array::from(values?))));
        }
        if kinds == Kinds::BOOL {
            let values: Vec<bool> = self.texts(column).map(|text| text == Some("true")).collect();
            return Some(Values::Bool(Arc::new(BooleanArray::from(values))));
        }
        if kinds.any(Kinds::NUMBER) && kinds.only(Kinds::NUMBER | Kinds::GAP) {
            let values: Option<Vec<f64>> = self
                .texts(column)
                .map(|text| match text {
                    None | Some("null") => Some(f64::NAN),
                    Some(text) => number(text, floats),
                })
                .collect();
            return Some(Values::Float(Arc::new(Float64Array::from(values?))));
        }
        if kinds.any(Kinds::STR) && kinds.only(Kinds::STR | Kinds::GAP) {
            return self.strings(column).map(Values::Str);
        }
        None
    }

    fn strings(&self, column: usize) -> Option<ArrayRef> {
        let total: usize = self.fields[column].spans.iter().map(|span| span.length as usize).sum();
        let mut bytes = Vec::with_capacity(total);
        let mut offsets = Vec::with_capacity(self.rows + 1);
        offsets.push(0);
        let mut valid = Vec::with_capacity(self.rows);
        for text in self.texts(column) {
            let text = text.filter(|text| text.starts_with('"'));
            valid.push(text.is_some());
            if let Some(text) = text {
                let inside = &text.as_bytes()[1..text.len() - 1];
                unescape(inside, &mut bytes).ok()?;
            }
            offsets.push(bytes.len() as i64);
        }
        let gaps = Kinds(self.fields[column].kinds).any(Kinds::GAP);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let nulls = gaps.then(|| NullBuffer::from(valid));
        let array = LargeStringArray::try_new(offsets, Buffer::from_vec(bytes), nulls).ok()?;
        Some(Arc::new(array))
    }
}

fn number(text: &str, floats: Floats) -> Option<f64> {
    match floats {
        Floats::Nearest => text.parse().ok(),
        Floats::Fast => fast(text.as_bytes()),
    }
}

/// Negative powers of ten.
const FRACTION: [f64; 16] =
    [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15];

/// See [`Floats::Fast`]. `None`: more digits before the point than an integer holds.
fn fast(text: &[u8]) -> Option<f64> {
    let (sign, mut rest) = match text {
        [b'-', rest @ ..] => (-1.0, rest),
        rest => (1.0, rest),
    };
    let digits = |rest: &[u8]| rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(rest);
    if whole > 18 {
        return None;
    }
    let value = rest[..whole].iter().fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    rest = &rest[whole..];
    let (mut fraction, mut places) = (0.0, 0);
    if let [b'.', after @ ..] = rest {
        let all = digits(after);
        places = all.min(15);
        fraction = after[..places].iter().fold(0.0, |value, digit| value * 10.0 + f64::from(digit - b'0'));
        rest = &after[all..];
    }
    let mantissa = (value as f64 + fraction * FRACTION[places]) * sign;
    let [_, exponent @ ..] = rest else { return Some(mantissa) };
    let (sign, digits) = match exponent {
        [b'-', digits @ ..] => (-1.0, digits),
        [b'+', digits @ ..] => (1.0, digits),
        digits => (1.0, digits),
    };
    let exponent = digits.iter().fold(0.0, |value, digit| value * 10.0 + f64::from(digit - b'0'));
    Some(mantissa * 10f64.powf(exponent * sign))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type};

    #[test]
    fn columns_of_lines() {
        let text = concat!(
            r#"{"a": 1, "b": "x", "c": {"d": "}"}, "t": true}"#,
            "\n  ",
            r#"{"b":"y\u00e9\n", "a":-2,"c":[1,[2]],"t":false,"late":1.5}"#,
            "\n",
            r#"{"\u0061": 3, "b": null, "c": {}, "t": true}"#
        );
        let lines = Lines::scan(text, None, false).unwrap();
        assert_eq!(lines.rows(), 3);
        assert_eq!(lines.names().collect::<Vec<_>>(), ["a", "b", "c", "t", "late"]);
        let Some(Values::Int(a)) = lines.column(0, Floats::Nearest) else { panic!() };
        assert_eq!(a.as_primitive::<Int64Type>().values()[..], [1, -2, 3]);
        let Some(Values::Str(b)) = lines.column(1, Floats::Nearest) else { panic!() };
        assert_eq!(b.as_string::<i64>().iter().collect::<Vec<_>>(), [Some("x"), Some("yé\n"), None]);
        assert_eq!(lines.kinds(2), Kinds::NESTED);
        assert!(lines.column(2, Floats::Nearest).is_none());
        assert_eq!(lines.texts(2).collect::<Vec<_>>(), [Some(r#"{"d": "}"}"#), Some("[1,[2]]"), Some("{}")]);
        let Some(Values::Bool(t)) = lines.column(3, Floats::Nearest) else { panic!() };
        assert_eq!(t.as_boolean().true_count(), 2);
        let Some(Values::Float(late)) = lines.column(4, Floats::Nearest) else { panic!() };
        let late = late.as_primitive::<Float64Type>();
        assert!(late.value(0).is_nan() && late.value(1) == 1.5 && late.null_count() == 0);
        let wanted = ["t".to_owned(), "none".to_owned()];
        let lines = Lines::scan(text, Some(&wanted), false).unwrap();
        assert_eq!(lines.names().collect::<Vec<_>>(), ["t", "none"]);
        assert_eq!(lines.kinds(1), Kinds::MISSING);
    }

    #[test]
    fn what_is_unusual() {
        for text in [
            "[1]",
            "{\"a\": 01}",
            "{\"a\": 1,}",
            "{\"a\": 1} x",
            "{\"a\" 1}",
            "{\"a\": 1",
            "{\"a\": NaN}",
            "{\"a\": \"\t\"}",
            "{\"a\": 1, \"a\": 2}",
            "{\"a\": 1, \"\\u0061\": 2}",
            "{\"a\": \"\\",
            "{\"a\": \"\\x\"}",
            "{\"a\": \"\\u12g4\"}",
            "{\"a\": [1,,2]}",
            "{\"a\": [1}]}",
            "{\"a\": [1,]}",
            "{\"a\": {\"b\": 1,}}",
        ] {
            assert!(Lines::scan(text, None, false).is_err(), "{text}");
        }
        assert!(Lines::scan("{}\n\n{}", None, false).is_err());
        assert_eq!(Lines::scan("{}\n\n{}\n", None, true).unwrap().rows(), 2);
    }

    #[test]
    fn text_that_may_be_numbers() {
        for (values, sure) in [
            ("\"1\"", false),
            ("\" nan\"", false),
            ("\"x\"", true),
            ("\"\"", true),
            ("\"\\u0031\"", false),
            ("\"٣\"", false),
        ] {
            let text = format!("{{\"a\": {values}}}");
            assert_eq!(Lines::scan(&text, None, false).unwrap().is_text(0), sure, "{values}");
        }
    }
}
