//! What there is to read: columns, dtypes, partitions.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use weft_data::{DType, Lane};
use weft_graph::Key;

use super::blocks::{Block, Start, cut};
use super::column::{Fields, Format};
use super::header::{Head, read_head, unique_names};
use super::infer::{Inference, Inferred, Truths};
use super::options::{ColumnRef, CsvOptions, Field, Header, UseCols};
use super::rows::{Line, Rows, SplitError, Syntax, split_row};
use crate::compress::Stream;
use crate::{ByteSource, Compression, IoError, LocalFile, expand_paths};

/// CSV files with the same columns, cut into partitions.
#[derive(Clone, Debug)]
pub struct CsvSource {
    pub(crate) inner: Arc<Plan>,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub options: CsvOptions,
    pub syntax: Syntax,
    pub files: Vec<Arc<dyn ByteSource>>,
    pub paths: Vec<String>,
    pub sizes: Vec<u64>,
    pub blocks: Vec<Block>,
    pub columns: Vec<Column>,
    pub schema: Vec<Field>,
    /// Fields in a row of the file.
    pub width: usize,
    /// The header row's names, as they stand in the first file.
    pub header: Option<Vec<String>>,
    pub truths: Arc<Truths>,
    /// Where the data of each file begin, once somebody looked.
    pub heads: Vec<OnceLock<u64>>,
    /// Where the rows of each partition begin, as far as known.
    pub starts: Vec<Start>,
    /// Other partitions may be read in other processes, which write down nothing here.
    pub alone: bool,
}

/// A column of the result, as it is read.
#[derive(Debug)]
pub(crate) struct Column {
    /// Position in the file's rows.
    pub position: usize,
    pub format: Format,
    /// The user chose the dtype: a value that does not fit is an error.
    pub given: bool,
}

impl CsvSource {
    /// Plans the reading of local files; each of `paths` may have wildcards.
    ///
    /// # Errors
    /// [`IoError::Unsupported`] when only pandas reads this as pandas would; otherwise what is wrong with the
    /// options or the head of the files.
    pub fn plan<P: AsRef<str>>(paths: &[P], options: CsvOptions) -> Result<CsvSource, IoError> {
        let mut files: Vec<Arc<dyn ByteSource>> = Vec::new();
        for pattern in paths {
            for path in expand_paths(pattern.as_ref())? {
                files.push(Arc::new(LocalFile::new(path)));
            }
        }
        Self::plan_sources(files, options)
    }

    /// Plans the reading of any sources.
    pub fn plan_sources(files: Vec<Arc<dyn ByteSource>>, options: CsvOptions) -> Result<CsvSource, IoError> {
        options.check()?;
        let Some(first) = files.first() else {
            return Err(IoError::NoFiles { pattern: "an empty list of paths".into() });
        };
        let syntax = Syntax::new(&options);
        let paths: Vec<String> = files.iter().map(|file| file.path().to_string()).collect();
        let mut sizes = Vec::with_capacity(files.len());
        let mut blocks = Vec::new();
        for (i, file) in files.iter().enumerate() {
            let size = file.len()?;
            let packed = options.compression.resolve(file.path()) != Compression::None;
            // Dask leaves out files without a byte, unless they are all there is.
            if size > 0 || files.len() == 1 {
                blocks.extend(cut(i, size, options.blocksize.filter(|_| !packed)));
            }
            sizes.push(size);
        }
        let sample = Sample::read(first, &options, &syntax)?;
        let names = sample.names(&options)?;
        let width = names.len();
        let truths = Arc::new(Truths::new(&options));
        let selected = select(&names, options.usecols.as_ref())?;
        let dated = dated(&names, &selected, &options.parse_dates)?;
        let inferred = sample.infer(&options, &syntax, &names, &truths)?;
        let mut columns = Vec::with_capacity(selected.len());
        let mut schema = Vec::with_capacity(selected.len());
        for &position in &selected {
            let name = &names[position];
            let inference = &inferred[position];
            let given = options.dtype.get(name).or(options.dtype_all.as_ref());
            let mut layout = None;
            let dtype = if dated.contains(&position) {
                let reason = || format!("the dates of column {name:?} are in a layout that needs pandas");
                let (dtype, found) =
                    inference.date().ok_or_else(|| IoError::Unsupported { reason: reason() })?;
                layout = Some(found);
                dtype
            } else if let Some(given) = given {
                given.clone()
            } else {
                match inference.dtype() {
                    Inferred::Known(DType::Int64 | DType::UInt64) if options.assume_missing => DType::Float64,
                    Inferred::Known(dtype) => dtype,
                    Inferred::Objects(why) => {
                        let reason =
                            format!("column {name:?} has {why}, which pandas keeps as Python objects");
                        return Err(IoError::Unsupported { reason });
                    }
                }
            };
            let format = Format::new(&options, name, truths.clone(), layout);
            columns.push(Column { position, format, given: given.is_some() && layout.is_none() });
            let numbered = options.names.is_none() && options.header == Header::None;
            let label = if numbered { Key::Int(position as i64) } else { Key::from(name.as_str()) };
            schema.push(Field { name: name.clone(), label, dtype });
        }
        let (count, partitions) = (files.len(), blocks.len());
        let plan = Plan {
            syntax,
            paths,
            sizes,
            blocks,
            columns,
            schema,
            width,
            header: sample.head.names.clone(),
            heads: std::iter::repeat_with(OnceLock::new).take(count).collect(),
            starts: std::iter::repeat_with(Start::default).take(partitions).collect(),
            alone: false,
            truths,
            options,
            files,
        };
        for file in 1..plan.files.len() {
            if plan.files[file].is_near() && plan.sizes[file] > 0 {
                plan.data_start(file)?;
            }
        }
        Ok(CsvSource { inner: Arc::new(plan) })
    }

    /// The columns, in order.
    pub fn schema(&self) -> &[Field] {
        &self.inner.schema
    }

    pub fn partitions(&self) -> usize {
        self.inner.blocks.len()
    }

    /// The bytes of each partition.
    pub fn blocks(&self) -> &[Block] {
        &self.inner.blocks
    }

    pub fn paths(&self) -> &[String] {
        &self.inner.paths
    }

    /// Where its partitions are read: on the host's lane if a source belongs to the host language.
    pub fn lane(&self) -> Lane {
        if self.inner.files.iter().any(|file| file.needs_host()) { Lane::Host } else { Lane::Native }
    }

    pub fn options(&self) -> &CsvOptions {
        &self.inner.options
    }
}

impl Plan {
    /// Reads the head of a file, as much as that takes.
    pub(crate) fn head(&self, file: usize) -> Result<Head, IoError> {
        let mut stream = Stream::open(&self.files[file], self.options.compression, 0)?;
        let mut bytes = Vec::new();
        loop {
            let eof = fill(&mut stream, &mut bytes, 1 << 16)?;
            if let Some(head) = read_head(&self.paths[file], &self.options, &self.syntax, &bytes, eof)? {
                return Ok(head);
            }
        }
    }

    /// Where the data of a file begin, after a check that its header is that of the first.
    pub(crate) fn data_start(&self, file: usize) -> Result<u64, IoError> {
        if let Some(&start) = self.heads[file].get() {
            return Ok(start);
        }
        let head = self.head(file)?;
        if let (Some(expected), Some(found)) = (&self.header, &head.names)
            && expected != found
        {
            return Err(IoError::HeaderMismatch {
                path: self.paths[file].clone(),
                first: self.paths[0].clone(),
                difference: difference(expected, found),
            });
        }
        Ok(*self.heads[file].get_or_init(|| head.data as u64))
    }
}

fn difference(expected: &[String], found: &[String]) -> String {
    let without =
        |a: &[String], b: &[String]| a.iter().filter(|name| !b.contains(name)).cloned().collect::<Vec<_>>();
    let (missing, extra) = (without(expected, found), without(found, expected));
    match (missing.is_empty(), extra.is_empty()) {
        (true, true) => format!("the columns are in another order ({found:?}, expected {expected:?})"),
        (false, true) => format!("it lacks the columns {missing:?}"),
        (true, false) => format!("it has the columns {extra:?} too"),
        (false, false) => format!("it lacks the columns {missing:?} and has {extra:?} instead"),
    }
}

/// Reads up to `count` more bytes; whether that was the end.
fn fill(stream: &mut Stream, bytes: &mut Vec<u8>, count: usize) -> Result<bool, IoError> {
    let before = bytes.len();
    bytes.resize(before + count, 0);
    let n = stream.read(&mut bytes[before..])?;
    bytes.truncate(before + n);
    Ok(n < count)
}

/// The head of the first file.
struct Sample {
    path: String,
    bytes: Vec<u8>,
    head: Head,
    /// Fields in the longest of the first rows.
    data_width: usize,
    /// The bytes are the whole file.
    whole: bool,
}

impl Sample {
    fn read(source: &Arc<dyn ByteSource>, options: &CsvOptions, syntax: &Syntax) -> Result<Sample, IoError> {
        let mut stream = Stream::open(source, options.compression, 0)?;
        let mut bytes = Vec::new();
        let path = source.path().to_string();
        loop {
            let eof = fill(&mut stream, &mut bytes, options.sample.max(64))?;
            let Some(head) = read_head(&path, options, syntax, &bytes, eof)? else { continue };
            // At least one row of data, if there is one.
            let mut at = head.data;
            let mut ends = Vec::new();
            let first = loop {
                if at >= bytes.len() {
                    break eof.then_some(0);
                }
                ends.clear();
                match split_row(syntax, &bytes, at, eof, &mut ends) {
                    Line::Blank { next } => at = next,
                    Line::Row { fields, .. } => break Some(fields),
                    Line::Partial { .. } => break eof.then_some(0),
                }
            };
            if let Some(data_width) = first {
                // Positions in the marks are those in the bytes, and a row never begins at 0.
                bytes.insert(0, b'\n');
                let head = Head { data: head.data + 1, ..head };
                return Ok(Sample { path, bytes, head, data_width, whole: eof });
            }
        }
    }

    fn names(&self, options: &CsvOptions) -> Result<Vec<String>, IoError> {
        let found = self.head.names.as_deref();
        let width = found.map_or(self.data_width, <[String]>::len);
        if width == 0 && options.names.is_none() {
            return Err(IoError::Empty { path: self.path.clone() });
        }
        let names = match (&options.names, found) {
            (Some(names), _) => names.clone(),
            (None, Some(found)) => unique_names(found),
            (None, None) => (0..width).map(|i| i.to_string()).collect(),
        };
        if found.is_some_and(|found| found.len() < names.len()) {
            return Err(IoError::Unsupported { reason: "more names than columns".into() });
        }
        if names.iter().collect::<HashSet<_>>().len() < names.len() {
            return Err(IoError::Options("Duplicate names are not allowed.".into()));
        }
        if self.data_width > names.len() {
            let reason = format!(
                "rows of {} have {} fields for {} names, so that pandas makes the first an index",
                self.path,
                self.data_width,
                names.len()
            );
            return Err(IoError::Unsupported { reason });
        }
        Ok(names)
    }

    /// Looks at every field of the sample's whole rows.
    fn infer(
        &self,
        options: &CsvOptions,
        syntax: &Syntax,
        names: &[String],
        truths: &Arc<Truths>,
    ) -> Result<Vec<Inference>, IoError> {
        let mut rows = Rows::default();
        let bytes = &self.bytes;
        let split = |rows: &mut Rows, eof| {
            rows.split(syntax, bytes, self.head.data, usize::MAX, names.len(), eof, options.usecols.is_some())
        };
        // A bad row is reported by whoever reads its partition, unless there is no other.
        if let Err(error) = split(&mut rows, self.whole)
            && rows.starts.is_empty()
        {
            let at = match error {
                SplitError::TooMany { at, .. } | SplitError::OpenQuote { at } => at,
            };
            let line = 1 + memchr::memchr_iter(b'\n', &bytes[1..at]).count() as u64;
            return Err(IoError::Tokenize {
                path: self.path.clone(),
                partition: 0,
                what: error.describe(line),
            });
        }
        if let Some(count) = options.sample_rows {
            rows.starts.truncate(count);
        }
        let mut inferred = vec![Inference::default(); names.len()];
        for (column, inference) in inferred.iter_mut().enumerate() {
            let format = Format::new(options, &names[column], truths.clone(), None);
            let trim = column + 1 == names.len() && syntax.terminator.is_none();
            let fields = Fields { bytes, rows: &rows, syntax, column, trim };
            // `observe` accepts every field.
            let _ = fields.visit(|text| {
                inference.observe(text, &format.missing, format.numbers, truths);
                Ok(())
            });
        }
        Ok(inferred)
    }
}

/// The columns to keep, by position, in the order of the file as in pandas.
fn select(names: &[String], usecols: Option<&UseCols>) -> Result<Vec<usize>, IoError> {
    match usecols {
        None => Ok((0..names.len()).collect()),
        Some(UseCols::Names(wanted)) => {
            let absent: Vec<&String> = wanted.iter().filter(|name| !names.contains(name)).collect();
            if !absent.is_empty() {
                let list: Vec<String> = absent.iter().map(|name| format!("'{name}'")).collect();
                return Err(IoError::Options(format!(
                    "Usecols do not match columns, columns expected but not found: [{}]",
                    list.join(", ")
                )));
            }
            Ok((0..names.len()).filter(|&i| wanted.contains(&names[i])).collect())
        }
        Some(UseCols::Positions(wanted)) => {
            if let Some(beyond) = wanted.iter().find(|&&position| position >= names.len()) {
                return Err(IoError::Options(format!(
                    "Usecols do not match columns, columns expected but not found: [{beyond}]"
                )));
            }
            Ok((0..names.len()).filter(|i| wanted.contains(i)).collect())
        }
    }
}

/// The columns of dates, by position in the file.
fn dated(names: &[String], selected: &[usize], columns: &[ColumnRef]) -> Result<HashSet<usize>, IoError> {
    let missing =
        |column: String| IoError::Options(format!("Missing column provided to 'parse_dates': {column}"));
    columns
        .iter()
        .map(|column| match column {
            ColumnRef::Name(name) => selected
                .iter()
                .copied()
                .find(|&position| names[position] == *name)
                .ok_or_else(|| missing(format!("'{name}'"))),
            ColumnRef::Position(i) => selected.get(*i).copied().ok_or_else(|| missing(i.to_string())),
        })
        .collect()
}
