//! The reader as its users see it: any table, in any layout, cut into blocks of any size.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, LargeStringArray};
use proptest::prelude::*;
use weft_data::{DType, Frame};
use weft_io::{ByteSource, CsvOptions, CsvSource, DtypeMismatch, IoError, MemorySource, Promotion};

fn plan(text: &[u8], options: CsvOptions) -> Result<CsvSource, IoError> {
    let file: Arc<dyn ByteSource> = Arc::new(MemorySource::new("memory.csv", text.to_vec()));
    CsvSource::plan_sources(vec![file], options)
}

/// All batches of all partitions, and what was promoted.
fn read(source: &CsvSource) -> Result<(Vec<Frame>, Vec<Promotion>), IoError> {
    let columns: Vec<usize> = (0..source.schema().len()).collect();
    let (mut frames, mut promotions) = (Vec::new(), Vec::new());
    for partition in 0..source.partitions() {
        promotions.extend(source.scan(partition, &columns, &mut |frame| {
            frames.push(frame);
            Ok(ControlFlow::Continue(()))
        })?);
    }
    Ok((frames, promotions))
}

/// Column `i` of all frames as text, missing values as `None`.
fn texts(frames: &[Frame], i: usize) -> Vec<Option<String>> {
    frames
        .iter()
        .flat_map(|frame| {
            let values = frame.columns[i].values.as_any().downcast_ref::<LargeStringArray>().unwrap();
            values.iter().map(|value| value.map(str::to_string)).collect::<Vec<_>>()
        })
        .collect()
}

fn floats(frames: &[Frame], i: usize) -> Vec<f64> {
    frames
        .iter()
        .flat_map(|frame| {
            let column = &frame.columns[i];
            match column.dtype {
                DType::Int64 => column
                    .values
                    .as_primitive::<Int64Type>()
                    .values()
                    .iter()
                    .map(|&v| v as f64)
                    .collect::<Vec<_>>(),
                _ => column.values.as_primitive::<Float64Type>().values().to_vec(),
            }
        })
        .collect()
}

fn all_text() -> CsvOptions {
    CsvOptions { dtype_all: Some(DType::Str), na_filter: false, ..CsvOptions::default() }
}

#[derive(Clone, Debug)]
struct Layout {
    line_break: &'static str,
    delimiter: char,
    quote_all: bool,
    final_break: bool,
    blank_lines: bool,
    mark: bool,
}

fn layout() -> impl Strategy<Value = Layout> {
    let breaks = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    let delimiters = prop_oneof![Just(','), Just(';'), Just('\t'), Just('|')];
    (breaks, delimiters, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(line_break, delimiter, quote_all, final_break, blank_lines, mark)| Layout {
            line_break,
            delimiter,
            quote_all,
            final_break,
            blank_lines,
            mark,
        },
    )
}

fn write(rows: &[Vec<String>], layout: &Layout) -> Vec<u8> {
    let mut text = String::new();
    if layout.mark {
        text.push('\u{feff}');
    }
    for (i, row) in rows.iter().enumerate() {
        let fields: Vec<String> = row
            .iter()
            .map(|field| {
                let special = field.contains([layout.delimiter, '"', '\n', '\r']);
                // A row of nothing would be a blank line.
                let blank = row.len() == 1 && field.trim_matches([' ', '\t']).is_empty();
                if layout.quote_all || special || blank {
                    format!("\"{}\"", field.replace('"', "\"\""))
                } else {
                    field.clone()
                }
            })
            .collect();
        text.push_str(&fields.join(&layout.delimiter.to_string()));
        if layout.final_break || i + 1 < rows.len() {
            text.push_str(layout.line_break);
        }
        if layout.blank_lines && i % 2 == 0 && i + 1 < rows.len() {
            text.push_str(layout.line_break);
        }
    }
    text.into_bytes()
}

fn table() -> impl Strategy<Value = Vec<Vec<String>>> {
    let field = prop_oneof![
        3 => "[a-z0-9.]{0,6}",
        1 => "[a-z,;\"\n\r\t| é\\\\]{0,6}",
        1 => Just("\n\n".to_string()),
        1 => Just(" ".to_string()),
    ];
    (1usize..5, 1usize..20).prop_flat_map(move |(width, height)| {
        prop::collection::vec(prop::collection::vec(field.clone(), width), height)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read_whatever_the_blocks(
        rows in table(), layout in layout(), blocksize in 1u64..200,
    ) {
        let width = rows.first().map_or(1, Vec::len);
        let mut lines = vec![(0..width).map(|i| format!("c{i}")).collect::<Vec<_>>()];
        lines.extend(rows.iter().cloned());
        let text = write(&lines, &layout);
        for blocksize in [None, Some(blocksize), Some(1)] {
            let options = CsvOptions { delimiter: layout.delimiter as u8, blocksize, ..all_text() };
            let source = plan(&text, options).unwrap();
            let (frames, _) = read(&source).unwrap();
            for i in 0..width {
                let expected: Vec<Option<String>> = rows.iter().map(|row| Some(row[i].clone())).collect();
                prop_assert_eq!(texts(&frames, i), expected);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(
            prop_oneof![4 => prop::sample::select(b",\"\n\r\\ ab1.-e#".to_vec()), 1 => any::<u8>()], 0..300),
        blocksize in 1u64..100, escape: bool, comment: bool, given: bool,
    ) {
        let options = CsvOptions {
            blocksize: Some(blocksize),
            escapechar: escape.then_some(b'\\'),
            comment: comment.then_some(b'#'),
            dtype_all: given.then_some(DType::Str),
            ..CsvOptions::default()
        };
        if let Ok(source) = plan(&bytes, options) {
            let _ = read(&source);
        }
    }
}

fn late_gap() -> String {
    let mut text = String::from("a,b\n");
    for i in 0..50_000 {
        text.push_str(&format!("{i},x\n"));
    }
    text + ",x\n2.5,x\n"
}

#[test]
fn integers_that_meet_a_gap_become_floats_and_that_is_said() {
    let options = CsvOptions { sample: 1000, blocksize: None, ..CsvOptions::default() };
    let source = plan(late_gap().as_bytes(), options).unwrap();
    assert_eq!(source.schema()[0].dtype, DType::Int64);
    let (frames, promotions) = read(&source).unwrap();
    assert_eq!(promotions.len(), 1);
    assert_eq!((promotions[0].column, &promotions[0].to), (0, &DType::Float64));
    let values = floats(&frames, 0);
    assert_eq!(values.len(), 50_002);
    assert!(values[50_000].is_nan());
    assert_eq!(values[50_001], 2.5);
}

#[test]
fn a_mismatch_is_an_error_when_asked_for() {
    let options = CsvOptions {
        sample: 1000,
        blocksize: None,
        dtype_mismatch: DtypeMismatch::Raise,
        ..CsvOptions::default()
    };
    let error = read(&plan(late_gap().as_bytes(), options).unwrap()).unwrap_err();
    let IoError::Mismatch(mismatch) = error else { panic!("{error}") };
    assert_eq!(mismatch.columns.len(), 1);
    let column = &mismatch.columns[0];
    assert_eq!(
        (column.name.as_str(), column.found.as_str(), column.expected.as_str()),
        ("a", "float64", "int64")
    );
    let message = mismatch.to_string();
    assert!(
        message.contains("dtype={'a': 'float64'}") && message.contains("assume_missing=True"),
        "{message}"
    );
}

#[test]
fn a_row_with_too_many_fields_is_named_by_line_in_any_block() {
    let mut text = String::from("a,b\n");
    for i in 0..2000 {
        text.push_str(if i == 1500 { "1,2,3\n" } else { "1,2\n" });
    }
    for blocksize in [None, Some(1000)] {
        let options = CsvOptions { blocksize, ..CsvOptions::default() };
        let error = read(&plan(text.as_bytes(), options).unwrap()).unwrap_err().to_string();
        assert!(error.contains("Expected 2 fields in line 1502, saw 3"), "{error}");
        assert!(error.contains("memory.csv"), "{error}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_named_by_line_and_column() {
    let mut text = b"a,b\n".to_vec();
    for i in 0..300 {
        text.extend_from_slice(if i == 200 { b"x\xff,1\n" } else { b"x,1\n" });
    }
    let options = CsvOptions { blocksize: Some(500), ..CsvOptions::default() };
    let error = read(&plan(&text, options).unwrap()).unwrap_err().to_string();
    assert!(error.contains("memory.csv, line 202, column \"a\""), "{error}");
    assert!(error.contains("0xff"), "{error}");
}

/// Rows with line breaks in quotes, beyond what is read from the head to find where a partition begins.
fn long_file(fields: &[String]) -> (Vec<u8>, Vec<Option<String>>) {
    let mut text = String::from("a,b\n");
    let mut expected = Vec::new();
    for field in fields {
        text.push_str(&format!("1,\"{}\"\n", field.replace('"', "\"\"")));
        expected.push(Some(field.clone()));
    }
    (text.into_bytes(), expected)
}

#[test]
fn blocks_that_begin_inside_quotes_far_into_a_file_are_cut_right() {
    // Lines in quotes that do not look like rows, and some that do.
    let fields: Vec<String> =
        (0..60_000).map(|i| format!("line {i}\n\"x\"\n3,4\nlast of {}", i * 7)).collect();
    let (text, expected) = long_file(&fields);
    assert!(text.len() > 2_000_000);
    let options = CsvOptions { blocksize: Some(50_021), ..all_text() };
    let source = plan(&text, options).unwrap();
    let (frames, _) = read(&source).unwrap();
    assert_eq!(texts(&frames, 1), expected);
}

#[test]
fn a_cut_that_cannot_be_seen_is_an_error_and_never_a_wrong_answer() {
    // For 400 kB nothing but lines that look like rows, all within one pair of quotes.
    let mut fields: Vec<String> = (0..60_000).map(|i| format!("{i} and so on, and so on")).collect();
    fields[55_000] = "5,6\n".repeat(100_000);
    let (text, expected) = long_file(&fields);
    let options = CsvOptions { blocksize: Some(100_003), ..all_text() };
    let source = plan(&text, options.clone()).unwrap();
    let (frames, _) = read(&source).unwrap();
    assert!(texts(&frames, 1) == expected);
    // In another order, and so by guessing: the last partition, then the one that finds out.
    let source = plan(&text, options).unwrap();
    let mut errors = Vec::new();
    for partition in (0..source.partitions()).rev() {
        let result = source.scan(partition, &[1], &mut |_| Ok(ControlFlow::Continue(())));
        errors.extend(result.err().map(|error| error.to_string()));
    }
    assert!(errors.iter().any(|error| error.contains("blocksize=None")), "{errors:?}");
}

#[test]
fn the_sink_ends_the_reading() {
    let text = "a\n".to_string() + &"1\n".repeat(1_000_000);
    let source = plan(text.as_bytes(), CsvOptions { blocksize: None, ..CsvOptions::default() }).unwrap();
    let mut batches = 0;
    source
        .scan(0, &[0], &mut |_| {
            batches += 1;
            Ok(ControlFlow::Break(()))
        })
        .unwrap();
    assert_eq!(batches, 1);
}

#[test]
fn batches_follow_one_another_in_the_index() {
    let text = "a\n".to_string() + &"1\n".repeat(100_000);
    let source = plan(text.as_bytes(), CsvOptions { blocksize: None, ..CsvOptions::default() }).unwrap();
    let mut next = 0;
    source
        .scan(0, &[0], &mut |frame| {
            let weft_data::Index::Range { start, step: 1 } = frame.index else { panic!("{:?}", frame.index) };
            assert_eq!(start, next);
            next += frame.rows() as i64;
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!(next, 100_000);
}
