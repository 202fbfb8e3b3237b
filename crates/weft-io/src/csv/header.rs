//! The head of a file: skipped lines, byte order mark, column names.

use super::options::{CsvOptions, Encoding, Header};
use super::rows::{Line, QUOTED, Syntax, split_row, unquote};
use crate::IoError;

/// What the head of a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Names as they stand in the file, empty ones too; `None` without a header row.
    pub names: Option<Vec<String>>,
    /// The byte after the header row, where data begin.
    pub data: usize,
}

/// Reads the head of a file from its first bytes. `Ok(None)`: more of them are needed.
pub(crate) fn read_head(
    path: &str,
    options: &CsvOptions,
    syntax: &Syntax,
    bytes: &[u8],
    eof: bool,
) -> Result<Option<Head>, IoError> {
    let mut at = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut ends = Vec::new();
    // Skipped lines count whether blank or not.
    let plain = Syntax { skip_blank_lines: false, comment: None, ..syntax.clone() };
    for _ in 0..options.skiprows {
        if at >= bytes.len() {
            return if eof { Err(IoError::Empty { path: path.into() }) } else { Ok(None) };
        }
        match split_row(&plain, bytes, at, eof, &mut ends) {
            Line::Row { next, .. } | Line::Blank { next } => at = next,
            Line::Partial { .. } => return Ok(None),
        }
    }
    let wanted = match (options.header, &options.names) {
        (Header::None, _) | (Header::Infer, Some(_)) => return Ok(Some(Head { names: None, data: at })),
        (Header::Infer, None) => 0,
        (Header::Row(row), _) => row,
    };
    let mut row = 0;
    loop {
        if at >= bytes.len() {
            return if eof { Err(IoError::Empty { path: path.into() }) } else { Ok(None) };
        }
        ends.clear();
        match split_row(syntax, bytes, at, eof, &mut ends) {
            Line::Blank { next } => at = next,
            Line::Row { next, .. } if row < wanted => {
                row += 1;
                at = next;
            }
            Line::Row { next, .. } => {
                let names = fields(syntax, bytes, at, &ends, |name| text(path, options, name))?;
                return Ok(Some(Head { names: Some(names), data: next }));
            }
            Line::Partial { in_quotes } if eof => {
                let what = if in_quotes { "EOF inside string" } else { "the header breaks off" };
                let what = format!("C error: {what} starting at row {row}");
                return Err(IoError::Tokenize { path: path.into(), partition: 0, what });
            }
            Line::Partial { .. } => return Ok(None),
        }
    }
}

fn fields<T>(
    syntax: &Syntax,
    bytes: &[u8],
    start: usize,
    ends: &[u32],
    mut each: impl FnMut(&[u8]) -> Result<T, IoError>,
) -> Result<Vec<T>, IoError> {
    let mut from = start;
    let mut scratch = Vec::new();
    ends.iter()
        .map(|&mark| {
            let to = (mark & !QUOTED) as usize;
            let raw = &bytes[from..to];
            from = to + 1;
            if mark & QUOTED == 0 {
                each(raw)
            } else {
                unquote(syntax, raw, &mut scratch);
                each(&scratch)
            }
        })
        .collect()
}

fn text(path: &str, options: &CsvOptions, name: &[u8]) -> Result<String, IoError> {
    if options.encoding == Encoding::Latin1 {
        return Ok(name.iter().map(|&byte| byte as char).collect());
    }
    std::str::from_utf8(name).map(str::to_string).map_err(|error| IoError::Encoding {
        path: path.into(),
        line: 1,
        column: String::from_utf8_lossy(name).into_owned(),
        encoding: "utf-8",
        byte: name[error.valid_up_to()],
    })
}

/// Names for all columns: blank ones become `Unnamed: i`, repeated ones get `.1`, `.2`, … as in pandas.
pub(crate) fn unique_names(names: &[String]) -> Vec<String> {
    let named: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(i, name)| if name.is_empty() { format!("Unnamed: {i}") } else { name.clone() })
        .collect();
    let mut taken: std::collections::HashSet<String> = named.iter().cloned().collect();
    let mut seen: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    named
        .iter()
        .map(|name| {
            let count = seen.entry(name).or_insert(0);
            if *count == 0 {
                *count = 1;
                return name.clone();
            }
            let mut candidate = format!("{name}.{count}");
            while taken.contains(&candidate) {
                *count += 1;
                candidate = format!("{name}.{count}");
            }
            *count += 1;
            taken.insert(candidate.clone());
            candidate
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::unique_names;

    #[test]
    fn names_are_made_unique() {
        let names = |list: &[&str]| unique_names(&list.iter().map(|s| s.to_string()).collect::<Vec<_>>());
        assert_eq!(names(&["a", "a", "b", "a"]), ["a", "a.1", "b", "a.2"]);
        assert_eq!(names(&["a", "", ""]), ["a", "Unnamed: 1", "Unnamed: 2"]);
        assert_eq!(names(&["a", "a.1", "a"]), ["a", "a.1", "a.2"]);
    }
}
