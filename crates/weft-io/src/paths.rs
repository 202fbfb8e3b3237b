//! Names of files from what users write: `~`, `*`, `?`, `[…]`, `**`.

use std::path::{Path, PathBuf};

use crate::IoError;

/// The local files that `pattern` names: itself, or, sorted, those that match its wildcards.
pub fn expand_paths(pattern: &str) -> Result<Vec<String>, IoError> {
    let pattern = pattern.strip_prefix("file://").unwrap_or(pattern);
    let pattern = match (pattern.strip_prefix("~"), std::env::var("HOME")) {
        (Some(rest), Ok(home)) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
        _ => pattern.to_string(),
    };
    if !pattern.contains(['*', '?', '[']) {
        return Ok(vec![pattern]);
    }
    let mut found = Vec::new();
    let (start, relative) = match pattern.strip_prefix('/') {
        Some(rest) => (PathBuf::from("/"), rest),
        None => (PathBuf::new(), pattern.as_str()),
    };
    let parts: Vec<&str> = relative.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    walk(&start, &parts, &mut found);
    found.sort();
    found.dedup();
    if found.is_empty() {
        return Err(IoError::NoFiles { pattern });
    }
    Ok(found)
}

fn walk(directory: &Path, parts: &[&str], found: &mut Vec<String>) {
    let Some((&part, rest)) = parts.split_first() else { return };
    if part == "**" {
        // Zero directories, or any number of them.
        if rest.is_empty() {
            walk(directory, &["*"], found);
        } else {
            walk(directory, rest, found);
        }
        for entry in entries(directory) {
            if entry.is_dir() {
                walk(&entry, parts, found);
            }
        }
        return;
    }
    if !part.contains(['*', '?', '[']) {
        let next = directory.join(part);
        if rest.is_empty() {
            if next.is_file() {
                found.push(next.to_string_lossy().into_owned());
            }
        } else {
            walk(&next, rest, found);
        }
        return;
    }
    for entry in entries(directory) {
        let Some(name) = entry.file_name().and_then(|name| name.to_str()) else { continue };
        // As in a shell, a wildcard does not mean hidden files.
        if !matches(part.as_bytes(), name.as_bytes()) || (name.starts_with('.') && !part.starts_with('.')) {
            continue;
        }
        if !rest.is_empty() {
            walk(&entry, rest, found);
        } else if entry.is_file() {
            found.push(entry.to_string_lossy().into_owned());
        }
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let here = directory.as_os_str().is_empty();
    let listing = std::fs::read_dir(if here { Path::new(".") } else { directory });
    let names = listing.into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.map(|name| directory.join(name)).collect()
}

/// Whether `name` matches the shell pattern `pattern`, which has no `/`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Where to go back to when the text after the last `*` does not match.
    let mut retry: Option<(usize, usize)> = None;
    let (mut p, mut n) = (0, 0);
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p, n));
            p += 1;
        } else if let Some(next) = one(pattern, p, name[n]) {
            p = next;
            n += 1;
        } else if let Some((star, from)) = retry {
            p = star + 1;
            n = from + 1;
            retry = Some((star, n));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// The place in the pattern after the element at `p`, if that matches `byte`.
fn one(pattern: &[u8], p: usize, byte: u8) -> Option<usize> {
    match *pattern.get(p)? {
        b'?' => Some(p + 1),
        b'[' => {
            let negated = matches!(pattern.get(p + 1), Some(b'!' | b'^'));
            let first = p + 1 + usize::from(negated);
            // A `]` that comes first is meant literally.
            let Some(close) = (first + 1..pattern.len()).find(|&i| pattern[i] == b']') else {
                return (byte == b'[').then_some(p + 1);
            };
            let set = &pattern[first..close];
            let mut i = 0;
            let mut hit = false;
            while i < set.len() {
                if i + 2 < set.len() && set[i + 1] == b'-' {
                    hit |= (set[i]..=set[i + 2]).contains(&byte);
                    i += 3;
                } else {
                    hit |= set[i] == byte;
                    i += 1;
                }
            }
            (hit != negated).then_some(close + 1)
        }
        literal => (literal == byte).then_some(p + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn shell_patterns() {
        let cases = [
            ("*.csv", "a.csv", true),
            ("*.csv", "a.csv.gz", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("part-?.csv", "part-1.csv", true),
            ("part-?.csv", "part-12.csv", false),
            ("[0-9]x", "7x", true),
            ("[!0-9]x", "7x", false),
            ("[abc", "[abc", true),
            ("*", "", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
