//! Where rows and fields begin and end.
//!
//! [`Rows::split`] turns the bytes of a piece of a file into positions. Each row has `width + 1` of them in
//! `marks`: the position before its first byte, then the end of each field; a field therefore begins one after
//! the mark before its own. A mark with [`QUOTED`] set ends a field whose text is not simply its bytes.

use super::marks::Marks;
use super::options::CsvOptions;

/// Set in the mark of a field that must be unquoted or unescaped.
pub(crate) const QUOTED: u32 = 1 << 31;

/// What makes fields and rows.
#[derive(Clone, Debug)]
pub(crate) struct Syntax {
    pub delimiter: u8,
    pub quote: Option<u8>,
    pub escape: Option<u8>,
    pub doublequote: bool,
    pub comment: Option<u8>,
    pub terminator: Option<u8>,
    pub skip_blank_lines: bool,
    pub skip_initial_space: bool,
}

impl Syntax {
    pub(crate) fn new(options: &CsvOptions) -> Self {
        Syntax {
            delimiter: options.delimiter,
            quote: options.quotechar,
            escape: options.escapechar,
            doublequote: options.doublequote,
            comment: options.comment,
            terminator: options.lineterminator.filter(|&byte| byte != b'\n'),
            skip_blank_lines: options.skip_blank_lines,
            skip_initial_space: options.skipinitialspace,
        }
    }

    /// Rows are made of separators, quotes and line breaks alone.
    fn is_regular(&self) -> bool {
        self.escape.is_none()
            && self.comment.is_none()
            && self.terminator.is_none()
            && !self.skip_initial_space
            && self.quote != Some(self.delimiter)
    }

    /// The length of the line break at `at`; 0 if there is none.
    /// `None`: more bytes are needed to know.
    fn line_break(&self, bytes: &[u8], at: usize, eof: bool) -> Option<usize> {
        match (self.terminator, bytes[at]) {
            (Some(terminator), byte) => Some(usize::from(byte == terminator)),
            (None, b'\n') => Some(1),
            (None, b'\r') => match bytes.get(at + 1) {
                Some(b'\n') => Some(2),
                None if !eof => None,
                _ => Some(1),
            },
            _ => Some(0),
        }
    }
}

impl Syntax {
    /// Where the line after the first break in `bytes[from..]` begins.
    pub(crate) fn next_line(&self, bytes: &[u8], mut from: usize, eof: bool) -> Option<usize> {
        while from < bytes.len() {
            match self.line_break(bytes, from, eof)? {
                0 => from += 1,
                n => return Some(from + n),
            }
        }
        None
    }

    /// Where the next line begins if `bytes` begin inside quotes.
    pub(crate) fn close(&self, bytes: &[u8], eof: bool) -> Option<usize> {
        let closed = after_quotes(self, self.quote?, bytes, 0, eof)?;
        // The rest of the row may have quoted fields too: read it as a row of its own.
        let rest = Syntax { skip_blank_lines: false, ..self.clone() };
        match split_row(&rest, bytes, closed, eof, &mut Vec::new()) {
            Line::Row { next, .. } => Some(next),
            _ => None,
        }
    }

    /// Whether the quotes of a row stand only around its fields.
    pub(crate) fn well_quoted(&self, bytes: &[u8], start: usize, ends: &[u32]) -> bool {
        let Some(quote) = self.quote else { return true };
        let mut from = start;
        ends.iter().all(|&mark| {
            let to = (mark & !QUOTED) as usize;
            let field = &bytes[from..to];
            from = to + 1;
            match field.first() {
                Some(first) if *first == quote => field.len() > 1 && field[field.len() - 1] == quote,
                _ => memchr::memchr(quote, field).is_none(),
            }
        })
    }
}

/// What was found in one stretch of bytes that begins at a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A row that ends before `next`.
    Row { next: usize, fields: usize },
    /// Nothing: a blank line or a comment.
    Blank { next: usize },
    /// The bytes end before the row does.
    Partial { in_quotes: bool },
}

/// Splits the row at `start`, pushing the end of each field. The general way, byte by byte.
pub(crate) fn split_row(syntax: &Syntax, bytes: &[u8], start: usize, eof: bool, ends: &mut Vec<u32>) -> Line {
    let before = ends.len();
    let partial = |ends: &mut Vec<u32>, in_quotes| {
        ends.truncate(before);
        Line::Partial { in_quotes }
    };
    let mut at = start;
    if syntax.skip_blank_lines {
        while at < bytes.len() && matches!(bytes[at], b' ' | b'\t') && bytes[at] != syntax.delimiter {
            at += 1;
        }
        if at == bytes.len() {
            return if eof { Line::Blank { next: at } } else { partial(ends, false) };
        }
        match syntax.line_break(bytes, at, eof) {
            None => return partial(ends, false),
            Some(0) => at = start,
            Some(n) => return Line::Blank { next: at + n },
        }
    }
    if syntax.comment.is_some_and(|comment| bytes.get(at) == Some(&comment)) {
        return match rest_of_line(syntax, bytes, at, eof) {
            Some(next) => Line::Blank { next },
            None => partial(ends, false),
        };
    }
    // One field a turn.
    loop {
        let mut changed = false;
        if syntax.skip_initial_space {
            while bytes.get(at) == Some(&b' ') && syntax.delimiter != b' ' {
                at += 1;
                changed = true;
            }
        }
        if let Some(quote) = syntax.quote.filter(|quote| bytes.get(at) == Some(quote)) {
            changed = true;
            at += 1;
            match after_quotes(syntax, quote, bytes, at, eof) {
                Some(next) => at = next,
                None => return partial(ends, true),
            }
        }
        loop {
            let Some(&byte) = bytes.get(at) else {
                if !eof {
                    return partial(ends, false);
                }
                push(ends, at, changed);
                return Line::Row { next: at, fields: ends.len() - before };
            };
            if byte == syntax.delimiter {
                push(ends, at, changed);
                at += 1;
                break;
            }
            if Some(byte) == syntax.escape {
                if at + 1 == bytes.len() && !eof {
                    return partial(ends, false);
                }
                changed = true;
                at = (at + 2).min(bytes.len());
                continue;
            }
            if Some(byte) == syntax.comment {
                push(ends, at, changed);
                return match rest_of_line(syntax, bytes, at, eof) {
                    Some(next) => Line::Row { next, fields: ends.len() - before },
                    None => partial(ends, false),
                };
            }
            match syntax.line_break(bytes, at, eof) {
                Some(0) => at += 1,
                None => return partial(ends, false),
                Some(n) => {
                    push(ends, at, changed);
                    return Line::Row { next: at + n, fields: ends.len() - before };
                }
            }
        }
    }
}

fn push(ends: &mut Vec<u32>, at: usize, changed: bool) {
    ends.push(at as u32 | if changed { QUOTED } else { 0 });
}

/// The position after the closing quote; `at` is after the opening one.
fn after_quotes(syntax: &Syntax, quote: u8, bytes: &[u8], mut at: usize, eof: bool) -> Option<usize> {
    loop {
        at += match syntax.escape {
            None => memchr::memchr(quote, &bytes[at..])?,
            Some(escape) => memchr::memchr2(quote, escape, &bytes[at..])?,
        };
        // pandas looks for the escape character first.
        if Some(bytes[at]) == syntax.escape {
            bytes.get(at + 1)?;
            at += 2;
        } else if !syntax.doublequote {
            return Some(at + 1);
        } else {
            match bytes.get(at + 1) {
                None if !eof => return None,
                Some(&next) if next == quote => at += 2,
                _ => return Some(at + 1),
            }
        }
    }
}

fn rest_of_line(syntax: &Syntax, bytes: &[u8], mut at: usize, eof: bool) -> Option<usize> {
    while at < bytes.len() {
        match syntax.line_break(bytes, at, eof)? {
            0 => at += 1,
            n => return Some(at + n),
        }
    }
    eof.then_some(at)
}

/// The text of a field whose mark has [`QUOTED`] set.
pub(crate) fn unquote(syntax: &Syntax, mut raw: &[u8], text: &mut Vec<u8>) {
    text.clear();
    if syntax.skip_initial_space {
        while let Some((b' ', rest)) = raw.split_first() {
            raw = rest;
        }
    }
    let mut quoted = syntax.quote.is_some() && raw.first().copied() == syntax.quote;
    let mut at = usize::from(quoted);
    while let Some(&byte) = raw.get(at) {
        at += 1;
        if Some(byte) == syntax.escape {
            text.extend(raw.get(at));
            at += 1;
        } else if quoted && Some(byte) == syntax.quote {
            if syntax.doublequote && raw.get(at) == Some(&byte) {
                text.push(byte);
                at += 1;
            } else {
                quoted = false;
            }
        } else {
            text.push(byte);
        }
    }
}

/// The rows of one piece of a file.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Positions; see the head of this module.
    pub marks: Vec<u32>,
    /// Where in `marks` each row begins.
    pub starts: Vec<u32>,
    found: Marks,
    /// The fields of one row.
    ends: Vec<u32>,
}

/// Why a piece could not be split.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SplitError {
    TooMany { at: usize, expected: usize, saw: usize },
    OpenQuote { at: usize },
}

impl SplitError {
    /// pandas' words for it; `line` is counted from 1.
    pub(crate) fn describe(&self, line: u64) -> String {
        match self {
            SplitError::TooMany { expected, saw, .. } => {
                format!("C error: Expected {expected} fields in line {line}, saw {saw}")
            }
            // These rows pandas counts from 0.
            SplitError::OpenQuote { .. } => {
                format!("C error: EOF inside string starting at row {}", line - 1)
            }
        }
    }
}

impl Rows {
    /// Splits `bytes[from..]` into rows of `width` fields until the bytes or `limit` (a position that no row
    /// may begin after) are reached. Returns where the next row begins. With `surplus`, fields beyond `width` are left out, not an error.
    /// `from` is at least 1, so that there is a position before it.
    #[allow(clippy::too_many_arguments, reason = "a row's surroundings")]
    pub(crate) fn split(
        &mut self,
        syntax: &Syntax,
        bytes: &[u8],
        from: usize,
        limit: usize,
        width: usize,
        eof: bool,
        surplus: bool,
    ) -> Result<usize, SplitError> {
        self.marks.clear();
        self.starts.clear();
        if !syntax.is_regular() {
            return self.split_generally(syntax, bytes, from, limit, width, eof, surplus);
        }
        // A little further than the last row may begin, so that it is mostly whole.
        let to = bytes.len().min(limit.saturating_add(1 << 10));
        // What is found goes into `marks` as it is: a row of the right width is then a place in that list.
        std::mem::swap(&mut self.marks, &mut self.found.ends);
        self.found.ends.clear();
        self.found.ends.push(from as u32 - 1);
        self.found.find(bytes, from, to, syntax.delimiter, syntax.quote);
        std::mem::swap(&mut self.marks, &mut self.found.ends);
        let count = self.marks.len();
        self.found.breaks.push(u32::MAX);
        self.found.odd.push(u32::MAX);
        let (mut mark, mut line_break, mut odd) = (0, 0, 0);
        let mut at = from;
        while at < bytes.len() && at <= limit {
            if mark + width < count && self.marks[mark] as usize + 1 == at {
                let end = self.marks[mark + width];
                let blank = width == 1 && matches!(bytes[at], b' ' | b'\t' | b'\n' | b'\r');
                if self.found.breaks[line_break] == end && self.found.odd[odd] > end && !blank {
                    self.starts.push(mark as u32);
                    mark += width;
                    line_break += 1;
                    at = end as usize + 1;
                    continue;
                }
            }
            at = match self.general(syntax, bytes, at, width, eof, surplus)? {
                Some(next) => next,
                None => break,
            };
            while mark < count && (self.marks[mark] as usize) + 1 < at {
                mark += 1;
            }
            while (self.found.breaks[line_break] as usize) < at {
                line_break += 1;
            }
            while (self.found.odd[odd] as usize) < at {
                odd += 1;
            }
        }
        Ok(at)
    }

    #[allow(clippy::too_many_arguments, reason = "those of `split`")]
    fn split_generally(
        &mut self,
        syntax: &Syntax,
        bytes: &[u8],
        mut at: usize,
        limit: usize,
        width: usize,
        eof: bool,
        surplus: bool,
    ) -> Result<usize, SplitError> {
        while at < bytes.len() && at <= limit {
            at = match self.general(syntax, bytes, at, width, eof, surplus)? {
                Some(next) => next,
                None => break,
            };
        }
        Ok(at)
    }

    fn general(
        &mut self,
        syntax: &Syntax,
        bytes: &[u8],
        at: usize,
        width: usize,
        eof: bool,
        surplus: bool,
    ) -> Result<Option<usize>, SplitError> {
        self.ends.clear();
        match split_row(syntax, bytes, at, eof, &mut self.ends) {
            Line::Blank { next } => Ok(Some(next)),
            Line::Partial { in_quotes: true } if eof => Err(SplitError::OpenQuote { at }),
            Line::Partial { .. } => Ok(None),
            Line::Row { next, fields } => {
                if fields > width && !surplus {
                    return Err(SplitError::TooMany { at, expected: width, saw: fields });
                }
                self.starts.push(self.marks.len() as u32);
                self.marks.push(at as u32 - 1);
                self.marks.extend_from_slice(&self.ends[..fields.min(width)]);
                let last = self.marks[self.marks.len() - 1] & !QUOTED;
                self.marks.extend((fields..width).map(|field| last + 1 + (field - fields) as u32));
                Ok(Some(next))
            }
        }
    }
}
