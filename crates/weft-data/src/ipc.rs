//! Frames on disk: Arrow's IPC stream, which is the buffers as they lie in memory.
//!
//! Only the arrays travel. What is small about a frame (labels, dtypes, the kind of index) stays in
//! memory as a [`Shell`], so that nothing about pandas has to be squeezed into Arrow's metadata.

use std::io::{Read, Write};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_empty_array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Field, Schema};

use crate::{CodecError, Column, Frame, Index};

/// A frame without its values.
#[derive(Debug)]
pub(crate) struct Shell {
    frame: Frame,
    rows: usize,
}

/// The arrays of a frame: its columns, then the columns of its index.
pub(crate) fn arrays(frame: &Frame) -> impl Iterator<Item = &ArrayRef> {
    let index: &[_] = match &frame.index {
        Index::Range { .. } => &[],
        Index::Columns(columns) => columns,
    };
    frame.columns.iter().map(|c| &c.values).chain(index.iter().map(|(_, c)| &c.values))
}

/// The same frame around other arrays, given in the order of [`arrays`].
fn rebuild(frame: &Frame, mut arrays: impl Iterator<Item = ArrayRef>, rows: usize) -> Option<Frame> {
    let mut with = |column: &Column| {
        Some(Column { label: column.label.clone(), dtype: column.dtype.clone(), values: arrays.next()? })
    };
    let columns = frame.columns.iter().map(&mut with).collect::<Option<Vec<_>>>()?;
    let index = match &frame.index {
        Index::Range { start, step } => Index::Range { start: *start, step: *step },
        Index::Columns(labels) => Index::Columns(
            labels
                .iter()
                .map(|(name, column)| Some((name.clone(), with(column)?)))
                .collect::<Option<Vec<_>>>()?,
        ),
    };
    Some(Frame::new(columns, index, rows).with_kind(frame.kind))
}

/// Writes the arrays of `frame` and returns what has to be remembered to read them.
pub(crate) fn write(frame: &Frame, sink: &mut (dyn Write + Send)) -> Result<Shell, CodecError> {
    let fields: Vec<Field> = arrays(frame)
        .enumerate()
        .map(|(i, a)| Field::new(i.to_string(), a.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(frame.rows()));
    let batch = RecordBatch::try_new_with_options(schema.clone(), arrays(frame).cloned().collect(), &options)
        .map_err(from_arrow)?;
    let mut writer = StreamWriter::try_new(sink, &schema).map_err(from_arrow)?;
    writer.write(&batch).map_err(from_arrow)?;
    writer.finish().map_err(from_arrow)?;
    let empty = arrays(frame).map(|a| new_empty_array(a.data_type()));
    let shell = rebuild(frame, empty, 0).ok_or_else(|| CodecError::Codec("a column is missing".into()))?;
    Ok(Shell { frame: shell, rows: frame.rows() })
}

/// Reads the frame that `shell` was made from.
pub(crate) fn read(shell: &Shell, source: &mut (dyn Read + Send)) -> Result<Frame, CodecError> {
    let mut reader = StreamReader::try_new(source, None).map_err(from_arrow)?;
    let batch = reader
        .next()
        .ok_or_else(|| CodecError::Codec("the file holds no record batch".into()))?
        .map_err(from_arrow)?;
    if batch.num_rows() != shell.rows {
        return Err(CodecError::Codec(format!("{} rows instead of {}", batch.num_rows(), shell.rows)));
    }
    rebuild(&shell.frame, batch.columns().iter().cloned(), shell.rows)
        .ok_or_else(|| CodecError::Codec("a column is missing".into()))
}

fn from_arrow(error: ArrowError) -> CodecError {
    match error {
        ArrowError::IoError(_, error) => CodecError::Io(error),
        other => CodecError::Codec(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use arrow_array::{Float64Array, Int64Array, LargeStringArray};
    use weft_graph::Key;

    fn frame() -> Frame {
        let column = |label: &str, dtype, values: ArrayRef| Column { label: Key::from(label), dtype, values };
        let index = column("i", DType::Int64, Arc::new(Int64Array::from(vec![7, 8, 9])));
        Frame::new(
            vec![
                column("x", DType::Float64, Arc::new(Float64Array::from(vec![1.0, f64::NAN, 3.0]))),
                column("s", DType::Str, Arc::new(LargeStringArray::from(vec![Some("a"), None, Some("ccc")]))),
            ],
            Index::Columns(vec![(None, index)]),
            3,
        )
    }

    #[test]
    fn a_frame_survives_the_trip() {
        let before = frame();
        let mut bytes = Vec::new();
        let shell = write(&before, &mut bytes).unwrap();
        let after = read(&shell, &mut bytes.as_slice()).unwrap();
        assert_eq!(after.rows(), 3);
        for (a, b) in arrays(&before).zip(arrays(&after)) {
            // By data, because NaN is not equal to itself.
            assert_eq!(format!("{a:?}"), format!("{b:?}"));
        }
        assert_eq!(after.columns[1].label, Key::from("s"));
        assert_eq!(after.columns[1].dtype, DType::Str);
    }

    #[test]
    fn a_slice_takes_only_its_own_bytes() {
        let long: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100_000));
        let column = Column { label: Key::from("x"), dtype: DType::Int64, values: long.slice(50_000, 10) };
        let mut bytes = Vec::new();
        let shell =
            write(&Frame::new(vec![column], Index::Range { start: 0, step: 1 }, 10), &mut bytes).unwrap();
        assert!(bytes.len() < 4096, "{} bytes", bytes.len());
        assert_eq!(read(&shell, &mut bytes.as_slice()).unwrap().rows(), 10);
    }

    #[test]
    fn rows_without_columns_are_kept() {
        let before = Frame::new(vec![], Index::Range { start: 0, step: 1 }, 5);
        let mut bytes = Vec::new();
        let shell = write(&before, &mut bytes).unwrap();
        assert_eq!(read(&shell, &mut bytes.as_slice()).unwrap().rows(), 5);
    }

    #[test]
    fn damage_is_an_error() {
        let mut bytes = Vec::new();
        let shell = write(&frame(), &mut bytes).unwrap();
        bytes.truncate(bytes.len() / 2);
        assert!(read(&shell, &mut bytes.as_slice()).is_err());
    }
}
