//! The names of tasks as users see them.

use std::fmt;
use std::sync::Arc;

/// A task's name: text, a number, bytes, or a tuple of those, as in Dask.
///
/// Keys exist at the borders (the face, messages, errors, pictures). Algorithms use
/// [`TaskId`](crate::TaskId).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    Str(Arc<str>),
    Int(i64),
    /// A float, by its bits: keys are compared for identity, never computed with.
    Float(u64),
    Bytes(Arc<[u8]>),
    Tuple(Arc<[Key]>),
}

impl Key {
    /// The text of a text key.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Key::Str(text) => Some(text),
            _ => None,
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
