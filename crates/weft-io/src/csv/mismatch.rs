//! What to say when a partition is not what the plan expected. Slow on purpose: it reads again.

use std::ops::ControlFlow;

use weft_data::DType;

use super::infer::{Inference, Inferred};
use super::plan::Plan;
use super::rows::SplitError;
use super::scan::pieces;
use crate::compress::Stream;
use crate::{ColumnMismatch, IoError, Mismatch};

/// Looks at every column of the partition, so that the user hears of all of them at once.
pub(crate) fn diagnose(plan: &Plan, partition: usize) -> IoError {
    let mut inferred = vec![Inference::default(); plan.schema.len()];
    let result = pieces(plan, partition, &mut |piece| {
        for (schema, inference) in inferred.iter_mut().enumerate() {
            let format = &plan.columns[schema].format;
            // `observe` accepts every field.
            let _ = piece.fields(plan, schema).visit(|text| {
                inference.observe(text, &format.missing, format.numbers, &plan.truths);
                Ok(())
            });
        }
        Ok(ControlFlow::Continue(()))
    });
    if let Err(error) = result {
        return error;
    }
    let path = plan.paths[plan.blocks[partition].file].clone();
    let mut mismatch = Mismatch { path, partition, columns: Vec::new(), dates: Vec::new() };
    for (schema, inference) in inferred.iter().enumerate() {
        let column = &plan.columns[schema];
        if column.given {
            continue;
        }
        let name = plan.schema[schema].name.clone();
        if let Some(layout) = column.format.layout {
            let same = inference
                .date()
                .is_some_and(|(dtype, found)| found == layout && (dtype == plan.schema[schema].dtype));
            if !same && !inference.all_missing() {
                mismatch.dates.push(name);
            }
            continue;
        }
        if let Some((found, error)) = conflict(inference, &plan.schema[schema].dtype) {
            let expected = plan.schema[schema].dtype.to_string();
            mismatch.columns.push(ColumnMismatch { name, found, expected, error });
        }
    }
    mismatch.columns.sort_by(|a, b| a.name.cmp(&b.name));
    mismatch.dates.sort();
    IoError::Mismatch(Box::new(mismatch))
}

/// What the data are and why they cannot be `expected`; `None` if they can.
fn conflict(inference: &Inference, expected: &DType) -> Option<(String, Option<String>)> {
    let text = || inference.first_text().unwrap_or_default().to_string();
    let (found, name) = match inference.dtype() {
        Inferred::Known(dtype) => (Some(dtype.clone()), dtype.to_string()),
        Inferred::Objects(_) => (None, "object".to_string()),
    };
    if found.as_ref() == Some(expected) || inference.rows == 0 {
        return None;
    }
    match (expected, &found) {
        (DType::Str, _) => None,
        (DType::Float64, Some(DType::Int64 | DType::UInt64)) => None,
        (DType::Int64 | DType::UInt64, Some(DType::Float64)) => Some((name, None)),
        (DType::Float64, Some(DType::Str)) => {
            Some((name, Some(format!("ValueError(\"could not convert string to float: '{}'\")", text()))))
        }
        (DType::Int64 | DType::UInt64, Some(DType::Str)) => Some((
            name,
            Some(format!("ValueError(\"invalid literal for int() with base 10: '{}'\")", text())),
        )),
        (expected, _) => Some((
            name.clone(),
            Some(format!("ValueError('{name} does not become {expected} without loss')")),
        )),
    }
}

/// A malformed row, with its line in the file.
pub(crate) fn tokenize_error(plan: &Plan, partition: usize, offset: u64, error: &SplitError) -> IoError {
    let file = plan.blocks[partition].file;
    let path = plan.paths[file].clone();
    let at = match *error {
        SplitError::TooMany { at, .. } | SplitError::OpenQuote { at } => at,
    };
    let what = error.describe(line_of_byte(plan, file, offset.wrapping_add(at as u64)));
    IoError::Tokenize { path, partition, what }
}

/// The number, from 1, of the line that has byte `position` of a file. Errors end the counting.
fn line_of_byte(plan: &Plan, file: usize, position: u64) -> u64 {
    let Ok(mut stream) = Stream::open(&plan.files[file], plan.options.compression, 0) else { return 0 };
    let mut buffer = vec![0; 1 << 18];
    let mut left = position;
    let mut lines = 1_u64;
    while left > 0 {
        let Ok(n) = stream.read(&mut buffer) else { break };
        let n = (n as u64).min(left) as usize;
        if n == 0 {
            break;
        }
        lines += memchr::memchr_iter(b'\n', &buffer[..n]).count() as u64;
        left -= n as u64;
    }
    lines
}

/// The line in the file of row `row` of a partition.
pub(crate) fn line_of_row(plan: &Plan, partition: usize, row: usize) -> u64 {
    let mut left = row;
    let mut position = 0;
    let _ = pieces(plan, partition, &mut |piece| {
        if let Some(&start) = piece.rows.starts.get(left) {
            let at = (piece.rows.marks[start as usize] as u64).wrapping_add(1);
            position = piece.offset.wrapping_add(at);
            return Ok(ControlFlow::Break(()));
        }
        left -= piece.rows.starts.len();
        Ok(ControlFlow::Continue(()))
    });
    line_of_byte(plan, plan.blocks[partition].file, position)
}
