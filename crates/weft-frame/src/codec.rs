//! Frames as bytes that say everything about them, for objects that are made of frames and have to leave memory.

use std::io::{Error, Read, Write};
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_buffer::Buffer;
use arrow_ipc::reader::{StreamDecoder, StreamReader};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{Field, Schema};
use weft_data::{CodecError, Column, DType, Frame, Index, Kind};
use weft_graph::Key;

type Result<T> = std::result::Result<T, CodecError>;

fn damaged(what: impl std::fmt::Display) -> CodecError {
    Error::other(format!("a frame on disk is damaged: {what}")).into()
}

pub(crate) fn write_number(sink: &mut (dyn Write + Send), number: u64) -> Result<()> {
    Ok(sink.write_all(&number.to_le_bytes())?)
}

pub(crate) fn read_number(source: &mut (dyn Read + Send)) -> Result<u64> {
    let mut bytes = [0; 8];
    source.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn write_bytes(sink: &mut (dyn Write + Send), bytes: &[u8]) -> Result<()> {
    write_number(sink, bytes.len() as u64)?;
    Ok(sink.write_all(bytes)?)
}

fn read_bytes(source: &mut (dyn Read + Send)) -> Result<Vec<u8>> {
    let length = read_number(source)?;
    let mut bytes = Vec::new();
    // A length that is wrong allocates no more than there is to read.
    source.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(damaged("it breaks off")) }
}

fn read_text(source: &mut (dyn Read + Send)) -> Result<String> {
    String::from_utf8(read_bytes(source)?).map_err(damaged)
}

pub(crate) fn write_key(sink: &mut (dyn Write + Send), key: &Key) -> Result<()> {
    match key {
        Key::Str(text) => {
            write_number(sink, 0)?;
            write_bytes(sink, text.as_bytes())
        }
        Key::Int(number) => {
            write_number(sink, 1)?;
            write_number(sink, *number as u64)
        }
        Key::Float(bits) => {
            write_number(sink, 2)?;
            write_number(sink, *bits)
        }
        Key::Bytes(bytes) => {
            write_number(sink, 3)?;
            write_bytes(sink, bytes)
        }
        Key::Tuple(parts) => {
            write_number(sink, 4)?;
            write_number(sink, parts.len() as u64)?;
            parts.iter().try_for_each(|part| write_key(sink, part))
        }
    }
}

pub(crate) fn read_key(source: &mut (dyn Read + Send)) -> Result<Key> {
    read_key_within(source, Key::MAX_DEPTH)
}

fn read_key_within(source: &mut (dyn Read + Send), depth: u32) -> Result<Key> {
    Ok(match read_number(source)? {
        0 => Key::from(read_text(source)?),
        1 => Key::Int(read_number(source)? as i64),
        2 => Key::Float(read_number(source)?),
        3 => Key::Bytes(read_bytes(source)?.into()),
        4 => {
            let count = read_number(source)?;
            let Some(depth) = depth.checked_sub(1) else { return Err(damaged("a label nested too deeply")) };
            let parts = (0..count).map(|_| read_key_within(source, depth));
            Key::Tuple(parts.collect::<Result<Vec<_>>>()?.into())
        }
        tag => return Err(damaged(format!("a label of kind {tag}"))),
    })
}

/// Writes the keys of a list.
pub(crate) fn write_keys(sink: &mut (dyn Write + Send), keys: &[Key]) -> Result<()> {
    write_number(sink, keys.len() as u64)?;
    keys.iter().try_for_each(|key| write_key(sink, key))
}

pub(crate) fn read_keys(source: &mut (dyn Read + Send)) -> Result<Vec<Key>> {
    let count = read_number(source)?;
    (0..count).map(|_| read_key(source)).collect()
}

/// The columns of a frame, then those of its index.
fn columns(frame: &Frame) -> Vec<&Column> {
    let mut columns: Vec<&Column> = frame.columns.iter().collect();
    if let Index::Columns(levels) = &frame.index {
        columns.extend(levels.iter().map(|(_, column)| column));
    }
    columns
}

/// A frame as bytes: what it is, and its values as they lie in memory.
pub fn frame_to_bytes(frame: &Frame) -> Result<(Vec<u8>, Vec<u8>)> {
    let (mut head, mut values) = (Vec::new(), Vec::with_capacity(frame.nbytes() + 4096));
    write_head(&mut head, frame)?;
    write_values(&mut values, frame)?;
    Ok((head, values))
}

/// The frame that [`frame_to_bytes`] wrote; its columns share the memory of `values`.
pub fn frame_from_bytes(mut head: &[u8], values: bytes::Bytes) -> Result<Frame> {
    let head = read_head(&mut head)?;
    let mut values = Buffer::from(values);
    let mut decoder = StreamDecoder::new();
    let mut found = None;
    while !values.is_empty() {
        match decoder.decode(&mut values).map_err(damaged)? {
            Some(batch) if found.is_none() => found = Some(batch),
            Some(_) => return Err(damaged("more values than announced")),
            None => {}
        }
    }
    decoder.finish().map_err(damaged)?;
    head.frame(&found.ok_or_else(|| damaged("no values"))?)
}

pub(crate) fn write_frame(sink: &mut (dyn Write + Send), frame: &Frame) -> Result<()> {
    write_head(sink, frame)?;
    write_values(sink, frame)
}

fn write_head(sink: &mut (dyn Write + Send), frame: &Frame) -> Result<()> {
    write_number(sink, frame.rows() as u64)?;
    write_number(
        sink,
        match frame.kind {
            Kind::Table => 0,
            Kind::Series { named: true } => 1,
            Kind::Series { named: false } => 2,
            Kind::Scalar => 3,
        },
    )?;
    match &frame.index {
        Index::Range { start, step } => {
            write_number(sink, 0)?;
            write_number(sink, *start as u64)?;
            write_number(sink, *step as u64)?;
        }
        Index::Columns(levels) => {
            write_number(sink, 1 + levels.len() as u64)?;
            for (name, _) in levels {
                write_number(sink, name.is_some() as u64)?;
                name.iter().try_for_each(|name| write_key(sink, name))?;
            }
        }
    }
    write_number(sink, frame.columns.len() as u64)?;
    for column in columns(frame) {
        write_key(sink, &column.label)?;
        write_bytes(sink, column.dtype.to_string().as_bytes())?;
    }
    Ok(())
}

fn write_values(sink: &mut (dyn Write + Send), frame: &Frame) -> Result<()> {
    let columns = columns(frame);
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(i, column)| Field::new(i.to_string(), column.values.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(frame.rows()));
    let arrays = columns.iter().map(|column| column.values.clone()).collect();
    let batch = RecordBatch::try_new_with_options(schema.clone(), arrays, &options).map_err(damaged)?;
    let mut writer = StreamWriter::try_new(sink, &schema).map_err(damaged)?;
    writer.write(&batch).map_err(damaged)?;
    writer.finish().map_err(damaged)
}

/// What is written about a frame before its values.
struct Head {
    rows: usize,
    kind: Kind,
    range: Option<Index>,
    names: Vec<Option<Key>>,
    /// How many columns are the frame's own; the others are its index.
    own: usize,
    described: Vec<(Key, DType)>,
}

fn read_head(source: &mut (dyn Read + Send)) -> Result<Head> {
    let rows = read_number(source)? as usize;
    let kind = match read_number(source)? {
        0 => Kind::Table,
        1 => Kind::Series { named: true },
        2 => Kind::Series { named: false },
        3 => Kind::Scalar,
        tag => return Err(damaged(format!("the kind {tag}"))),
    };
    let (range, names) = match read_number(source)? {
        0 => {
            let (start, step) = (read_number(source)? as i64, read_number(source)? as i64);
            (Some(Index::Range { start, step }), Vec::new())
        }
        levels => {
            let name = |_| match read_number(source)? {
                0 => Ok(None),
                _ => read_key(source).map(Some),
            };
            (None, (1..levels).map(name).collect::<Result<Vec<_>>>()?)
        }
    };
    let own = read_number(source)? as usize;
    let mut described = Vec::new();
    for _ in 0..own + names.len() {
        let label = read_key(source)?;
        let dtype = read_text(source)?;
        let dtype = DType::from_name(&dtype).ok_or_else(|| damaged(format!("the dtype {dtype}")))?;
        described.push((label, dtype));
    }
    Ok(Head { rows, kind, range, names, own, described })
}

impl Head {
    fn frame(self, batch: &RecordBatch) -> Result<Frame> {
        let Head { rows, kind, range, names, own, described } = self;
        if batch.num_rows() != rows || batch.num_columns() != described.len() || own > described.len() {
            return Err(damaged("other values than announced"));
        }
        let mut columns: Vec<Column> = described
            .into_iter()
            .zip(batch.columns())
            .map(|((label, dtype), values)| Column { label, dtype, values: values.clone() })
            .collect();
        let levels = columns.split_off(own);
        let index = range.unwrap_or_else(|| Index::Columns(names.into_iter().zip(levels).collect()));
        Ok(Frame::new(columns, index, rows).with_kind(kind))
    }
}

pub(crate) fn read_frame(source: &mut (dyn Read + Send)) -> Result<Frame> {
    let head = read_head(source)?;
    let mut reader = StreamReader::try_new(&mut *source, None).map_err(damaged)?;
    let batch = reader.next().ok_or_else(|| damaged("no values"))?.map_err(damaged)?;
    // Also the mark of the end is read.
    if reader.next().is_some() {
        return Err(damaged("other values than announced"));
    }
    head.frame(&batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int64Array, LargeStringArray};

    #[test]
    fn frames_follow_each_other_on_disk() {
        let column = |label: Key, dtype, values| Column { label, dtype, values };
        let texts: arrow_array::ArrayRef = Arc::new(LargeStringArray::from(vec![Some("a"), None]));
        let numbers: arrow_array::ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let label = Key::Tuple([Key::from("a"), Key::Int(3)].into());
        let level = column(Key::from("i"), DType::Int64, numbers.clone());
        let first = Frame::new(
            vec![column(label.clone(), DType::Str, texts)],
            Index::Columns(vec![(None, level)]),
            2,
        );
        let second = Frame::new(Vec::new(), Index::Range { start: 5, step: -1 }, 7);
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &first).unwrap();
        write_frame(&mut bytes, &second).unwrap();
        let (head, values) = frame_to_bytes(&first).unwrap();
        let back = frame_from_bytes(&head, values.clone().into()).unwrap();
        assert_eq!((back.rows(), &back.columns[0].label, &back.columns[0].dtype), (2, &label, &DType::Str));
        assert_eq!(back.columns[0].values.as_ref(), first.columns[0].values.as_ref());
        assert!(frame_from_bytes(&head, values[..values.len() / 2].to_vec().into()).is_err());
        let mut source = bytes.as_slice();
        let back = read_frame(&mut source).unwrap();
        assert_eq!((back.rows(), &back.columns[0].label, &back.columns[0].dtype), (2, &label, &DType::Str));
        assert_eq!(back.columns[0].values.as_ref(), first.columns[0].values.as_ref());
        let back = read_frame(&mut source).unwrap();
        assert!(matches!((back.rows(), &back.index), (7, Index::Range { start: 5, step: -1 })));
        assert!(source.is_empty());
        assert!(read_frame(&mut &bytes[..bytes.len() / 3]).is_err());
    }
}
