//! The dtype that pandas would give a column.

use std::collections::HashSet;

use weft_data::{DType, TimeUnit};

use super::column::Missing;
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
#[derive(Clone, Debug, Default)]
pub(crate) struct Inference {
    pub rows: u64,
    missing: u64,
    integers: bool,
    negative: bool,
    large: bool,
    overflow: bool,
    floats: bool,
    truths: bool,
    text: bool,
    first_text: Option<String>,
    dates: Dates,
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
        self.observe_date(text);
        match number::integer(text, numbers) {
            Integer::Small(value) => {
                self.integers = true;
                self.negative |= value < 0;
            }
            Integer::Large(_) => {
                self.integers = true;
                self.large = true;
            }
            Integer::Overflow => {
                self.integers = true;
                self.overflow = true;
            }
            Integer::No if number::float(text, numbers).is_some() => self.floats = true,
            Integer::No if truths.parse(text).is_some() => self.truths = true,
            Integer::No => self.text = true,
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
        let numbers = self.integers || self.floats;
        if self.text || (self.truths && numbers) {
            return Inferred::Known(DType::Str);
        }
        if self.truths {
            return if gaps {
                Inferred::Objects("truth values and missing values")
            } else {
                Inferred::Known(DType::Bool)
            };
        }
        if self.floats {
            return Inferred::Known(DType::Float64);
        }
        if self.overflow {
            return Inferred::Objects("integers beyond 64 bits");
        }
        // As pandas: what needs 64 unsigned bits has room neither for a sign nor for a gap.
        Inferred::Known(match (self.large, self.negative || gaps, gaps) {
            (true, true, _) => DType::Str,
            (true, false, _) => DType::UInt64,
            (false, _, true) => DType::Float64,
            (false, _, false) => DType::Int64,
        })
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
