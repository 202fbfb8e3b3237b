//! Reading one partition.

use std::ops::ControlFlow;

use weft_data::{Column as FrameColumn, DType, Frame, Index, TaskError};

use super::column::{Builder, Fields, Misfit, Rejected};
use super::mismatch;
use super::number::{self, Integer};
use super::options::{DtypeMismatch, Promotion};
use super::plan::{CsvSource, Plan};
use super::rows::{Line, Rows, split_row};
use crate::compress::Stream;
use crate::{IoError, ValueErrorKind};

/// Bytes in one read of a file at hand: few enough to be in cache still when they are parsed.
const READ: usize = 1 << 18;
/// Bytes in one read from far away, where each costs a round trip.
const FAR_READ: usize = 1 << 22;
/// Bytes to split into rows at a time; their positions and values stay in the nearer cache.
const WINDOW: usize = 1 << 17;
/// Rows in a batch, at least, unless the partition ends.
const BATCH_ROWS: usize = 1 << 14;
/// Up to this offset a partition's first row is found by reading the file from its head.
const NEAR: u64 = 1 << 20;

/// Some rows of a file, split.
pub(crate) struct Piece<'a> {
    pub bytes: &'a [u8],
    pub rows: &'a Rows,
    /// Position in the file of `bytes[0]`.
    pub offset: u64,
}

impl CsvSource {
    /// Reads `partition` and hands its rows to `sink` in batches of some 10⁴, with the columns `columns` (positions
    /// in [`schema`](CsvSource::schema), in that order). Each batch's index goes on where the one before it ended;
    /// the first begins at 0. A partition without rows gives one empty batch. The sink ends the reading early with
    /// `Break`.
    ///
    /// Returns the columns that were promoted: from some batch on they have the dtype `to`.
    pub fn scan(
        &self,
        partition: usize,
        columns: &[usize],
        sink: &mut dyn FnMut(Frame) -> Result<ControlFlow<()>, TaskError>,
    ) -> Result<Vec<Promotion>, IoError> {
        self.scan_batches(partition, columns, BATCH_ROWS, sink)
    }

    /// Reads a whole partition as one frame; a promoted column has one dtype throughout.
    pub fn read(&self, partition: usize, columns: &[usize]) -> Result<(Frame, Vec<Promotion>), IoError> {
        let mut whole = None;
        let promotions = self.scan_batches(partition, columns, usize::MAX, &mut |frame| {
            whole = Some(frame);
            Ok(ControlFlow::Continue(()))
        })?;
        let empty = || Frame::new(Vec::new(), Index::Range { start: 0, step: 1 }, 0);
        Ok((whole.unwrap_or_else(empty), promotions))
    }

    fn scan_batches(
        &self,
        partition: usize,
        columns: &[usize],
        batch_rows: usize,
        sink: &mut dyn FnMut(Frame) -> Result<ControlFlow<()>, TaskError>,
    ) -> Result<Vec<Promotion>, IoError> {
        let plan = &*self.inner;
        let mut scan = Scan {
            plan,
            partition,
            path: &plan.paths[plan.blocks[partition].file],
            columns,
            dtypes: columns.iter().map(|&column| plan.schema[column].dtype.clone()).collect(),
            builders: columns.iter().map(|&column| Builder::new(&plan.schema[column].dtype)).collect(),
            promotions: Vec::new(),
            pending: 0,
            done: 0,
            sent: false,
        };
        let flow = pieces(plan, partition, &mut |piece| {
            scan.take(piece)?;
            if scan.pending >= batch_rows { scan.send(sink) } else { Ok(ControlFlow::Continue(())) }
        })?;
        if flow.is_continue() && (scan.pending > 0 || !scan.sent) {
            let _ = scan.send(sink)?;
        }
        Ok(scan.promotions)
    }
}

struct Scan<'a> {
    plan: &'a Plan,
    partition: usize,
    path: &'a str,
    columns: &'a [usize],
    /// As in the schema, until a promotion.
    dtypes: Vec<DType>,
    builders: Vec<Builder>,
    promotions: Vec<Promotion>,
    /// Rows in the builders.
    pending: usize,
    /// Rows in batches already sent.
    done: usize,
    sent: bool,
}

impl Scan<'_> {
    fn take(&mut self, piece: &Piece<'_>) -> Result<(), IoError> {
        for i in 0..self.columns.len() {
            let fields = piece.fields(self.plan, self.columns[i]);
            let format = &self.plan.columns[self.columns[i]].format;
            if let Err(rejected) = self.builders[i].append(&fields, &self.dtypes[i], format) {
                self.reject(i, &fields, rejected)?;
                if let Err(again) = self.builders[i].append(&fields, &self.dtypes[i], format) {
                    return Err(self.failure(i, &fields, again));
                }
            }
        }
        self.pending += piece.rows.starts.len();
        Ok(())
    }

    /// Promotes column `i`, or says why it cannot be.
    fn reject(&mut self, i: usize, fields: &Fields<'_>, rejected: Rejected) -> Result<(), IoError> {
        let schema = self.columns[i];
        let promotable = self.dtypes[i] == DType::Int64
            && matches!(rejected.misfit, Misfit::Missing | Misfit::Fraction)
            && self.plan.options.dtype_mismatch == DtypeMismatch::Promote
            && !self.plan.columns[schema].given;
        if !promotable {
            return Err(self.failure(i, fields, rejected));
        }
        self.builders[i].make_floats();
        let from = std::mem::replace(&mut self.dtypes[i], DType::Float64);
        self.promotions.push(Promotion {
            path: self.path.to_string(),
            partition: self.partition,
            column: schema,
            name: self.plan.schema[schema].name.clone(),
            from,
            to: DType::Float64,
        });
        Ok(())
    }

    fn failure(&self, i: usize, fields: &Fields<'_>, rejected: Rejected) -> IoError {
        let schema = self.columns[i];
        let column = &self.plan.columns[schema];
        if !column.given {
            return mismatch::diagnose(self.plan, self.partition);
        }
        let dtype = &self.dtypes[i];
        let raw = fields.text(rejected.row);
        let text = String::from_utf8_lossy(&raw);
        let (message, kind) = describe(dtype, rejected.misfit, &text, column.position, |text| {
            number::integer(text, column.format.numbers) != Integer::No
        });
        IoError::Value {
            path: self.path.to_string(),
            partition: self.partition,
            column: self.plan.schema[schema].name.clone(),
            expected: dtype.to_string(),
            message,
            kind,
        }
    }

    fn send(
        &mut self,
        sink: &mut dyn FnMut(Frame) -> Result<ControlFlow<()>, TaskError>,
    ) -> Result<ControlFlow<()>, IoError> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (i, &schema) in self.columns.iter().enumerate() {
            let name = &self.plan.schema[schema].name;
            let values = self.builders[i].finish(&self.dtypes[i]).map_err(|bad| IoError::Encoding {
                path: self.path.to_string(),
                line: mismatch::line_of_row(self.plan, self.partition, self.done + bad.row),
                column: name.clone(),
                encoding: "utf-8",
                byte: bad.byte,
            })?;
            columns.push(FrameColumn {
                label: self.plan.schema[schema].label.clone(),
                dtype: self.dtypes[i].clone(),
                values,
            });
            self.builders[i] = Builder::new(&self.dtypes[i]);
        }
        let rows = std::mem::take(&mut self.pending);
        let index = Index::Range { start: self.done as i64, step: 1 };
        self.done += rows;
        self.sent = true;
        sink(Frame::new(columns, index, rows)).map_err(IoError::Sink)
    }
}

/// pandas' words for a value that does not have the dtype that the user gave.
fn describe(
    dtype: &DType,
    misfit: Misfit,
    text: &str,
    position: usize,
    is_integer: impl Fn(&[u8]) -> bool,
) -> (String, ValueErrorKind) {
    let name = dtype.to_string();
    let value = |message: String| (message, ValueErrorKind::Value);
    let unsafe_cast = |found: &str| {
        value(format!(
            "cannot safely convert passed user dtype of {name} for {found} dtyped data in column {position}"
        ))
    };
    match (dtype, misfit) {
        (DType::Nullable(inner), _) if **inner == DType::Bool => {
            value(format!("{text} cannot be cast to bool"))
        }
        (DType::Nullable(inner), Misfit::Fraction) if **inner == DType::Int64 => {
            ("cannot safely cast non-equivalent object to int64".into(), ValueErrorKind::Type)
        }
        (DType::Nullable(_), _) => value(format!("Unable to parse string {text:?}")),
        (DType::Bool, Misfit::Missing) => value(format!("Bool column has NA values in column {position}")),
        (DType::Bool, _) if is_integer(text.as_bytes()) => unsafe_cast("int64"),
        (DType::Bool, _) => unsafe_cast("object"),
        (DType::Float32 | DType::Float64, _) => value(format!("could not convert string to float: '{text}'")),
        (_, Misfit::Missing) => value(format!("Integer column has NA values in column {position}")),
        (_, Misfit::Fraction) if is_integer(text.as_bytes()) => unsafe_cast("int64"),
        (_, Misfit::Fraction) => unsafe_cast("float64"),
        _ => value(format!("invalid literal for int() with base 10: '{text}'")),
    }
}

impl<'a> Piece<'a> {
    pub(crate) fn fields(&self, plan: &'a Plan, schema: usize) -> Fields<'a> {
        let column = plan.columns[schema].position;
        Fields {
            bytes: self.bytes,
            rows: self.rows,
            syntax: &plan.syntax,
            column,
            trim: column + 1 == plan.width && plan.syntax.terminator.is_none(),
        }
    }
}

/// Where the planned bytes of a file end: nothing is read beyond them, so that a file that grows meanwhile is read as
/// it was. Compressed files end where they end.
struct Input {
    stream: Stream,
    position: u64,
    size: Option<u64>,
    expected: u64,
}

impl Input {
    fn open(plan: &Plan, file: usize, position: u64) -> Result<Input, IoError> {
        let source = &plan.files[file];
        let planned = |error: IoError| match error {
            IoError::NotFound { path, .. } => IoError::NotFound { path, planned: true },
            other => other,
        };
        let stream = Stream::open(source, plan.options.compression, position).map_err(planned)?;
        let size = stream.is_plain().then_some(plan.sizes[file]);
        Ok(Input { stream, position, size, expected: plan.sizes[file] })
    }

    /// Appends up to `count` bytes; whether the file ends there.
    fn fill(&mut self, path: &str, bytes: &mut Vec<u8>, count: usize) -> Result<bool, IoError> {
        let left = self.size.map_or(u64::MAX, |size| size.saturating_sub(self.position));
        let count = count.min(usize::try_from(left).unwrap_or(usize::MAX));
        let before = bytes.len();
        bytes.resize(before + count, 0);
        let n = self.stream.read(&mut bytes[before..])?;
        bytes.truncate(before + n);
        self.position += n as u64;
        if n < count && self.size.is_some() {
            let path = path.to_string();
            return Err(IoError::Changed { path, expected: self.expected, found: self.position });
        }
        Ok(self.size.map_or(n < count, |size| self.position >= size))
    }
}

/// Calls `each` for all rows of a partition, piece by piece, in bounded memory.
pub(crate) fn pieces(
    plan: &Plan,
    partition: usize,
    each: &mut dyn FnMut(&Piece<'_>) -> Result<ControlFlow<()>, IoError>,
) -> Result<ControlFlow<()>, IoError> {
    let block = plan.blocks[partition];
    let path = &plan.paths[block.file];
    let end = block.end.unwrap_or(u64::MAX);
    let begin = first_row(plan, partition)?;
    if begin > end || plan.sizes[block.file] == 0 {
        // A row of an earlier block covers this one.
        prove_next(plan, partition, begin)?;
        return Ok(ControlFlow::Continue(()));
    }
    let mut input = Input::open(plan, block.file, begin)?;
    // Rows never begin at position 0 of the buffer: the mark before the first one needs a place.
    let mut buffer = vec![b'\n'];
    let mut offset = begin.wrapping_sub(1);
    let mut rows = Rows::default();
    let read = if plan.files[block.file].is_near() { READ } else { FAR_READ };
    let mut want = read;
    loop {
        // Not much further than the partition goes.
        let ahead = end.saturating_sub(input.position).saturating_add(1 << 14);
        let count = if want > read { want } else { want.min(usize::try_from(ahead).unwrap_or(want)) };
        let eof = input.fill(path, &mut buffer, count)?;
        let limit = usize::try_from(end.wrapping_sub(offset)).unwrap_or(usize::MAX);
        let limit = if block.end.is_none() { usize::MAX } else { limit };
        let mut at = 1;
        loop {
            let window = limit.min(at + WINDOW);
            let next = rows
                .split(&plan.syntax, &buffer, at, window, plan.width, eof, plan.options.usecols.is_some())
                .map_err(|error| mismatch::tokenize_error(plan, partition, offset, &error))?;
            if !rows.starts.is_empty() {
                let piece = Piece { bytes: &buffer, rows: &rows, offset };
                if each(&piece)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            let stuck = next == at;
            at = next;
            if stuck || at > limit || at >= buffer.len() {
                break;
            }
        }
        let row = offset.wrapping_add(at as u64);
        if row > end {
            prove_next(plan, partition, row)?;
            return Ok(ControlFlow::Continue(()));
        }
        if eof && at >= buffer.len() {
            return Ok(ControlFlow::Continue(()));
        }
        // A row that is longer than the buffer needs a longer one.
        want = if at == 1 { (2 * read).max(buffer.len()) } else { read };
        if buffer.len() >= 1 << 30 {
            let what = format!("C error: a row of more than 1 GiB at byte {row}; is a quote left open?");
            return Err(IoError::Tokenize { path: path.clone(), partition, what });
        }
        let rest = at - 1;
        buffer.copy_within(rest.., 0);
        buffer.truncate(buffer.len() - rest);
        offset = offset.wrapping_add(rest as u64);
    }
}

/// Writes down where the next partition of the same file begins.
fn prove_next(plan: &Plan, partition: usize, row: u64) -> Result<(), IoError> {
    let next = plan.starts.get(partition + 1).filter(|_| plan.blocks[partition].end.is_some());
    let Some(next) = next else { return Ok(()) };
    if !next.prove(row) || (plan.alone && guesses(plan, partition + 1) && cut_of(plan, partition + 1)? != row)
    {
        return Err(wrong_cut(plan, partition + 1));
    }
    Ok(())
}

/// Whether [`cut_of`] may be wrong.
fn guesses(plan: &Plan, partition: usize) -> bool {
    plan.syntax.quote.is_some() && plan.blocks[partition].start > NEAR
}

/// Where somebody who has not read what is before it finds the first row of a partition.
fn cut_of(plan: &Plan, partition: usize) -> Result<u64, IoError> {
    let block = plan.blocks[partition];
    let data = plan.data_start(block.file)?;
    match plan.syntax.quote {
        _ if block.start < data || block.start == 0 => Ok(data),
        Some(_) if block.start <= NEAR => exact_row(plan, block.file, data, block.start),
        Some(quote) => match guess_row(plan, block.file, block.start, quote)? {
            Some(position) => Ok(position),
            None => exact_row(plan, block.file, data, block.start),
        },
        None => next_line(plan, block.file, block.start),
    }
}

fn wrong_cut(plan: &Plan, partition: usize) -> IoError {
    let block = plan.blocks[partition];
    IoError::Read {
        path: plan.paths[block.file].clone(),
        reason: format!(
            "partition {partition} begins at byte {} inside a quoted field, and was read as if it did not; \
             read this file whole with blocksize=None",
            block.start
        ),
    }
}

/// Where the first row of a partition begins in its file.
fn first_row(plan: &Plan, partition: usize) -> Result<u64, IoError> {
    let block = plan.blocks[partition];
    let data = plan.data_start(block.file)?;
    if block.start < data || block.start == 0 {
        return Ok(data);
    }
    if let Some(position) = plan.starts[partition].proven() {
        return Ok(position);
    }
    let position = cut_of(plan, partition)?;
    if plan.starts[partition].assume(position) { Ok(position) } else { Err(wrong_cut(plan, partition)) }
}

/// The first row that begins after `offset`, by reading all rows from `from` on.
fn exact_row(plan: &Plan, file: usize, from: u64, offset: u64) -> Result<u64, IoError> {
    let mut input = Input::open(plan, file, from)?;
    let mut buffer = Vec::new();
    let mut base = from;
    let mut want = READ;
    let mut ends = Vec::new();
    loop {
        let eof = input.fill(&plan.paths[file], &mut buffer, want)?;
        let mut at = 0;
        while base + at as u64 <= offset && at < buffer.len() {
            ends.clear();
            match split_row(&plan.syntax, &buffer, at, eof, &mut ends) {
                Line::Row { next, .. } | Line::Blank { next } => at = next,
                Line::Partial { .. } => break,
            }
        }
        // At the end of the file a row that breaks off is nobody's beginning.
        if base + at as u64 > offset {
            return Ok(base + at as u64);
        }
        if eof {
            return Ok(input.position.max(offset + 1));
        }
        want = if at == 0 { want * 2 } else { READ };
        buffer.drain(..at);
        base += at as u64;
    }
}

/// The first line break at or after `offset`, and what follows it.
fn next_line(plan: &Plan, file: usize, offset: u64) -> Result<u64, IoError> {
    let mut input = Input::open(plan, file, offset)?;
    let mut buffer = Vec::new();
    loop {
        let from = buffer.len().saturating_sub(1);
        let eof = input.fill(&plan.paths[file], &mut buffer, 1 << 16)?;
        match plan.syntax.next_line(&buffer, from, eof) {
            Some(next) => return Ok(offset + next as u64),
            None if eof => return Ok(offset + buffer.len() as u64 + 1),
            None => {}
        }
    }
}

/// [`exact_row`] from the bytes nearby: if just one of "inside quotes" and "outside" makes rows of the right width of
/// them, that is it. `None`: cannot tell.
fn guess_row(plan: &Plan, file: usize, offset: u64, quote: u8) -> Result<Option<u64>, IoError> {
    let mut input = Input::open(plan, file, offset)?;
    let mut buffer = Vec::new();
    let eof = input.fill(&plan.paths[file], &mut buffer, 1 << 17)?;
    let outside = plan.syntax.next_line(&buffer, 0, eof);
    let Some(first) = memchr::memchr(quote, &buffer) else {
        return Ok(outside.map(|next| offset + next as u64));
    };
    let outside = outside.filter(|&next| plausible(plan, &buffer, next, eof));
    // Inside: the next line break counts only after the quote that closes.
    let inside = plan.syntax.close(&buffer, eof).filter(|_| first < buffer.len());
    let inside = inside.filter(|&next| plausible(plan, &buffer, next, eof));
    Ok(match (outside, inside) {
        (Some(next), None) | (None, Some(next)) => Some(offset + next as u64),
        _ => None,
    })
}

/// Whether `bytes[at..]` are rows of the right width with quotes where they belong.
fn plausible(plan: &Plan, bytes: &[u8], mut at: usize, eof: bool) -> bool {
    let mut ends = Vec::new();
    let mut seen = 0;
    while at < bytes.len() {
        ends.clear();
        match split_row(&plan.syntax, bytes, at, eof, &mut ends) {
            Line::Blank { next } => at = next,
            Line::Row { next, fields } => {
                if fields != plan.width || !plan.syntax.well_quoted(bytes, at, &ends) {
                    return false;
                }
                seen += 1;
                at = next;
            }
            Line::Partial { in_quotes } => return seen > 0 && !(eof && in_quotes),
        }
    }
    seen > 0
}
