//! The dtype that pandas would give a column.

use std::collections::HashSet;

use weft_data::{DType, TimeUnit};

use super::column::{Missing, is_nat};
use super::datetime::Layout;
use super::number::{self, Integer, NumberSyntax};
use super::options::CsvOptions;

/// The words that mean a missing value, in every pandas since 2.0.
pub(crate) const DEFAULT_MISSING: [&str; 19] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
    "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// True and false in one column's words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Truths {
    yes: HashSet<Vec<u8>>,
    no: HashSet<Vec<u8>>,
}

impl Truths {
    pub(crate) fn new(options: &CsvOptions) -> Self {
        let set = |words: &[String]| words.iter().map(|word| word.as_bytes().to_vec()).collect();
        Truths { yes: set(&options.true_values), no: set(&options.false_values) }
    }

    pub(crate) fn parse(&self, text: &[u8]) -> Option<bool> {
        if self.yes.contains(text) {
            Some(true)
        } else if self.no.contains(text) {
            Some(false)
        } else {
            number::truth(text)
        }
    }
}

/// What the values of a column have been so far.
///
/// pandas tries one dtype after the other, each until the first value that does not fit, and how the integers failed
/// decides what is tried next. So the order of values matters once they are beyond 64 bits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inference {
    pub rows: u64,
    missing: u64,
    /// How reading them as `i64` ends.
    signed: Pass,
    /// How reading them as `u64` ends, which leaves minus signs for later.
    unsigned: Pass,
    /// Until there: a minus sign, a value above `i64::MAX`.
    minus: bool,
    large: bool,
    integers: bool,
    floats: bool,
    truths: bool,
    text: bool,
    first_text: Option<String>,
    dates: Dates,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pass {
    #[default]
    Fits,
    NotInteger,
    Overflow,
}

#[derive(Clone, Debug, Default)]
enum Dates {
    /// Nothing but missing values yet.
    #[default]
    Unknown,
    Layout {
        layout: Layout,
        fine: bool,
    },
    No,
}

/// The dtype of a column, or why it has none here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Inferred {
    Known(DType),
    /// pandas has Python objects in such a column.
    Objects(&'static str),
}

impl Inference {
    pub(crate) fn observe(&mut self, text: &[u8], missing: &Missing, numbers: NumberSyntax, truths: &Truths) {
        self.rows += 1;
        if missing.contains(text) {
            self.missing += 1;
            return;
        }
        if !is_nat(text) {
            self.observe_date(text);
        }
        let integer = number::integer(text, numbers);
        if self.signed == Pass::Fits {
            self.signed = match integer {
                Integer::Small(_) => Pass::Fits,
                Integer::Large(_) | Integer::Overflow => Pass::Overflow,
                Integer::No => Pass::NotInteger,
            };
        }
        if self.unsigned == Pass::Fits {
            if number::has_minus(text) {
                self.minus = true;
            } else {
                self.large |= matches!(integer, Integer::Large(_));
                self.unsigned = match integer {
                    Integer::Small(_) | Integer::Large(_) => Pass::Fits,
                    Integer::Overflow => Pass::Overflow,
                    Integer::No => Pass::NotInteger,
                };
            }
        }
        match integer {
            Integer::No if number::float(text, numbers).is_some() => self.floats = true,
            Integer::No if truths.parse(text).is_some() => self.truths = true,
            Integer::No => self.text = true,
            _ => self.integers = true,
        }
        if self.first_text.is_none() && (self.text || self.truths) {
            self.first_text = Some(String::from_utf8_lossy(text).into_owned());
        }
    }

    fn observe_date(&mut self, text: &[u8]) {
        match &mut self.dates {
            Dates::Unknown => {
                self.dates = match Layout::guess(text) {
                    Some(layout) => Dates::Layout { layout, fine: layout.fraction_digits(text) > 6 },
                    None => Dates::No,
                }
            }
            Dates::Layout { layout, fine } => {
                if layout.parse(text, 1_000_000_000).is_none() && layout.parse(text, 1).is_none() {
                    self.dates = Dates::No;
                } else {
                    *fine |= layout.fraction_digits(text) > 6;
                }
            }
            Dates::No => {}
        }
    }

    pub(crate) fn first_text(&self) -> Option<&str> {
        self.first_text.as_deref()
    }

    pub(crate) fn all_missing(&self) -> bool {
        self.missing == self.rows
    }

    pub(crate) fn dtype(&self) -> Inferred {
        if self.rows == 0 {
            return Inferred::Objects("no rows");
        }
        let gaps = self.missing > 0;
        if self.all_missing() {
            return Inferred::Known(DType::Float64);
        }
        let dtype = match (self.signed, self.unsigned) {
            (Pass::Fits, _) if gaps => DType::Float64,
            (Pass::Fits, _) => DType::Int64,
            (Pass::NotInteger, _) | (_, Pass::NotInteger) => return self.not_integers(gaps),
            // pandas then also forgets which values were missing.
            _ if gaps => return Inferred::Objects("integers beyond 64 bits, and missing values"),
            (_, Pass::Fits) if self.large && self.minus => DType::Str,
            (_, Pass::Fits) if !self.minus => DType::UInt64,
            _ if self.floats || self.truths || self.text => DType::Str,
            _ => return Inferred::Objects("integers beyond 64 bits"),
        };
        Inferred::Known(dtype)
    }

    fn not_integers(&self, gaps: bool) -> Inferred {
        let numbers = self.integers || self.floats;
        match (self.text, self.truths) {
            (false, false) => Inferred::Known(DType::Float64),
            (false, true) if numbers => Inferred::Known(DType::Str),
            (false, true) if gaps => Inferred::Objects("truth values and missing values"),
            (false, true) => Inferred::Known(DType::Bool),
            (true, _) => Inferred::Known(DType::Str),
        }
    }

    /// The dtype and layout of a column of dates; `None` if it is none, or in a layout that is not known here.
    pub(crate) fn date(&self) -> Option<(DType, Layout)> {
        match self.dates {
            Dates::Layout { layout, fine } => {
                let unit = if fine { TimeUnit::Nano } else { TimeUnit::Micro };
                Some((DType::Datetime { unit, zone: None }, layout))
            }
            _ => None,
        }
    }
}
