//! The names of tasks as users see them.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// A task's name: text, a number, bytes, or a tuple of those, as in Dask.
///
/// Keys exist at the borders (the face, messages, errors, pictures). Algorithms use
/// [`TaskId`](crate::TaskId).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Key {
    Str(Arc<str>),
    Int(i64),
    /// A float, by its bits: keys are compared for identity, never computed with.
    Float(u64),
    Bytes(Arc<[u8]>),
    Tuple(Arc<[Key]>),
}

/// A key as it is read.
#[derive(Deserialize)]
#[serde(rename = "Key")]
enum Raw {
    Str(Arc<str>),
    Int(i64),
    Float(u64),
    Bytes(Arc<[u8]>),
    Tuple(Vec<Key>),
}

thread_local! {
    /// How many tuples are open around the key that this thread reads.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Tuples may be nested only so deep: whoever sends more must not overflow the reader's stack.
impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        let depth = DEPTH.get();
        // The innermost key is no tuple.
        if depth > Key::MAX_DEPTH {
            let limit = Key::MAX_DEPTH;
            return Err(D::Error::custom(format!("a key of tuples nested more than {limit} deep")));
        }
        DEPTH.set(depth + 1);
        let raw = Raw::deserialize(deserializer);
        DEPTH.set(depth);
        Ok(match raw? {
            Raw::Str(text) => Key::Str(text),
            Raw::Int(number) => Key::Int(number),
            Raw::Float(bits) => Key::Float(bits),
            Raw::Bytes(bytes) => Key::Bytes(bytes),
            Raw::Tuple(parts) => Key::Tuple(parts.into()),
        })
    }
}

impl Key {
    /// How deep tuples may be nested in each other.
    pub const MAX_DEPTH: u32 = 100;

    /// The text of a text key.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Key::Str(text) => Some(text),
            _ => None,
        }
    }

    /// What the task does, as far as its name says so: the name without the token that makes it
    /// unique.
    ///
    /// ```
    /// use weft_graph::Key;
    /// assert_eq!(Key::from("read-csv-4f1d3c0a").prefix(), "read-csv");
    /// assert_eq!(Key::Tuple([Key::from("sum-2"), Key::Int(0)].into()).prefix(), "sum");
    /// ```
    pub fn prefix(&self) -> String {
        match self {
            Key::Str(text) => text_prefix(text),
            Key::Bytes(bytes) => text_prefix(&String::from_utf8_lossy(bytes)),
            Key::Tuple(parts) => parts.first().map_or_else(|| "Other".to_owned(), Key::prefix),
            Key::Int(_) | Key::Float(_) => "Other".to_owned(),
        }
    }

    /// The name that tasks of one collection share: a tuple's first element, else the key itself.
    pub fn collection(&self) -> &Key {
        match self {
            Key::Tuple(parts) if !parts.is_empty() => parts[0].collection(),
            _ => self,
        }
    }
}

fn text_prefix(text: &str) -> String {
    let mut words = text.split('-');
    let first = words.next().unwrap_or("");
    let mut prefix = match first.chars().next() {
        None => return "Other".to_owned(),
        Some(c) if c.is_alphabetic() => first.to_owned(),
        Some(_) => {
            let quoting = |c: char| "_'()\"".contains(c);
            first.split(',').next().unwrap_or("").trim_matches(quoting).to_owned()
        }
    };
    for word in words {
        // Eight letters that are all hexadecimal digits are a token, not a word.
        let token = word.len() == 8 && word.chars().all(|c| matches!(c, 'a'..='f'));
        if word.is_empty() || token || !word.chars().all(char::is_alphabetic) {
            break;
        }
        prefix.push('-');
        prefix.push_str(word);
    }
    if prefix.len() == 32 && prefix.chars().all(|c| matches!(c, 'a'..='f' | '0'..='9')) {
        return "data".to_owned();
    }
    if let Some(object) = prefix.strip_prefix('<') {
        // The repr of an object: the last part of its type's name.
        let name = object.trim_end_matches('>').split_whitespace().next().unwrap_or("");
        return name.rsplit('.').next().unwrap_or("").to_owned();
    }
    if prefix.is_empty() { "Other".to_owned() } else { prefix }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Key::Str(text.into())
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Key::Str(text.into())
    }
}

/// As Python prints the same key, because that is what users search their logs for.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Str(text) => write!(f, "'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
            Key::Int(n) => write!(f, "{n}"),
            Key::Float(bits) => write!(f, "{:?}", f64::from_bits(*bits)),
            Key::Bytes(bytes) => write!(f, "b'{}'", bytes.escape_ascii()),
            Key::Tuple(parts) => {
                f.write_str("(")?;
                for (i, part) in parts.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{part}")?;
                }
                f.write_str(if parts.len() == 1 { ",)" } else { ")" })
            }
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
