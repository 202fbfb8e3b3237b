//! What can go wrong while reading, said with the file, the line and the column.

use std::fmt;

use weft_data::{ErrorKind, TaskError};

/// A file could not be found, read or understood.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IoError {
    #[error("{pattern} resolved to no files")]
    NoFiles { pattern: String },
    #[error("{path} does not exist{}", if *.planned { ": it was there when the reading was planned" } else { "" })]
    NotFound { path: String, planned: bool },
    #[error("cannot read {path}: {reason}")]
    Read { path: String, reason: String },
    #[error("{path} changed after the reading was planned: expected {expected} bytes, found {found}")]
    Changed { path: String, expected: u64, found: u64 },
    #[error("{path} is not whole: its {format} stream breaks off after {read} decompressed bytes ({reason})")]
    Truncated { path: String, format: &'static str, read: u64, reason: String },
    /// pandas' `EmptyDataError`.
    #[error("No columns to parse from file {path}")]
    Empty { path: String },
    /// pandas' `ParserError`.
    #[error("Error tokenizing data. {what} ({path}, partition {partition})")]
    Tokenize { path: String, partition: usize, what: String },
    #[error("{path}, line {line}, column {column:?}: not valid {encoding}: byte 0x{byte:02x}")]
    Encoding { path: String, line: u64, column: String, encoding: &'static str, byte: u8 },
    #[error("{path}: its header differs from that of {first}: {difference}")]
    HeaderMismatch { path: String, first: String, difference: String },
    /// A value does not have the dtype that the user asked for.
    #[error("{message} (column {column:?}, expected {expected}, {path}, partition {partition})")]
    Value {
        path: String,
        partition: usize,
        column: String,
        expected: String,
        message: String,
        kind: ValueErrorKind,
    },
    #[error("{path} cannot be read as Parquet: {reason}")]
    Parquet { path: String, reason: String },
    #[error("{path}, column {column}: expected {expected}, found {found}")]
    Column { path: String, column: String, expected: String, found: String },
    #[error(transparent)]
    Mismatch(Box<Mismatch>),
    /// The options are wrong, whatever the data.
    #[error("{0}")]
    Options(String),
    /// Correct, but not for this reader: the caller should use pandas.
    #[error("not read natively: {reason}")]
    Unsupported { reason: String },
    /// The receiver of the batches failed.
    #[error(transparent)]
    Sink(TaskError),
}

/// Which exception pandas raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueErrorKind {
    Value,
    Type,
}

impl From<IoError> for TaskError {
    fn from(error: IoError) -> Self {
        let kind = match &error {
            IoError::Sink(inner) => return inner.clone(),
            IoError::NotFound { .. } => ErrorKind::NotFound,
            IoError::NoFiles { .. }
            | IoError::Read { .. }
            | IoError::Changed { .. }
            | IoError::Parquet { .. }
            | IoError::Truncated { .. } => ErrorKind::File,
            IoError::Value { kind: ValueErrorKind::Type, .. } => ErrorKind::Type,
            IoError::Unsupported { .. } => ErrorKind::Runtime,
            _ => ErrorKind::Value,
        };
        TaskError::native(kind, error.to_string())
    }
}

/// Columns whose data in one partition have another dtype than the plan says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    pub path: String,
    pub partition: usize,
    /// Sorted by name.
    pub columns: Vec<ColumnMismatch>,
    /// Columns that were to be dates and are not.
    pub dates: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMismatch {
    pub name: String,
    pub found: String,
    pub expected: String,
    /// What converting the values says, if it fails for a reason other than fractions or gaps.
    pub error: Option<String>,
}

impl std::error::Error for Mismatch {}

/// The report that Dask's users know, with both remedies, and where it happened.
impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mismatched dtypes found in `pd.read_csv`/`pd.read_table`.\n\n")?;
        if !self.columns.is_empty() {
            self.write_columns(f)?;
        }
        if !self.columns.is_empty() && !self.dates.is_empty() {
            write!(f, "\n\n{}\n\n", "-".repeat(61))?;
        }
        if !self.dates.is_empty() {
            let also = if self.columns.is_empty() { " " } else { " also " };
            write!(f, "The following columns{also}failed to properly parse as dates:\n\n")?;
            let lines: Vec<String> = self.dates.iter().map(|name| format!("- {name}")).collect();
            write!(
                f,
                "{}\n\nThis is usually due to an invalid value in that column. To\ndiagnose and fix it's \
                 recommended to drop these columns from the\n`parse_dates` keyword, and manually convert them \
                 to dates later\nusing `dd.to_datetime`.",
                lines.join("\n")
            )?;
        }
        write!(f, "\n\nThis happened in {}, partition {}.", self.path, self.partition)
    }
}

impl Mismatch {
    fn write_columns(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["Column", "Found", "Expected"].map(String::from);
        let rows: Vec<[String; 3]> =
            self.columns.iter().map(|c| [c.name.clone(), c.found.clone(), c.expected.clone()]).collect();
        let mut widths = [0; 3];
        for row in rows.iter().chain([&header]) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let rule = format!("+-{}-+", widths.map(|w| "-".repeat(w)).join("-+-"));
        let line = |cells: &[String; 3]| {
            let padded: Vec<String> =
                cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            format!("| {} |", padded.join(" | "))
        };
        writeln!(f, "{rule}\n{}\n{rule}", line(&header))?;
        for row in &rows {
            writeln!(f, "{}", line(row))?;
        }
        write!(f, "{rule}\n\n")?;
        let errors: Vec<String> = self
            .columns
            .iter()
            .filter_map(|c| c.error.as_ref().map(|error| format!("- {}\n  {error}", c.name)))
            .collect();
        if !errors.is_empty() {
            write!(
                f,
                "The following columns also raised exceptions on conversion:\n\n{}\n\n",
                errors.join("\n")
            )?;
        }
        let found: Vec<String> =
            self.columns.iter().map(|c| format!("'{}': '{}'", c.name, c.found)).collect();
        write!(
            f,
            "Usually this is due to dask's dtype inference failing, and\n*may* be fixed by specifying dtypes \
             manually by adding:\n\ndtype={{{}}}\n\nto the call to `read_csv`/`read_table`.",
            found.join(",\n       ")
        )?;
        if errors.is_empty() {
            f.write_str(
                "\n\nAlternatively, provide `assume_missing=True` to interpret\nall unspecified integer columns \
                 as floats.",
            )?;
        }
        Ok(())
    }
}
