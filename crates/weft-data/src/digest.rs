//! Content hashes: the deterministic names of expressions.

use weft_graph::Key;
use xxhash_rust::xxh3::Xxh3;

use crate::DType;

/// Feeds a 128-bit hash. Everything is written with its length or a tag, so that two different
/// contents never feed the same bytes.
pub struct Hasher(Xxh3);

impl Hasher {
    pub fn new(tag: &str) -> Self {
        let mut hasher = Hasher(Xxh3::new());
        hasher.text(tag);
        hasher
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    pub fn digest(&mut self, digest: u128) -> &mut Self {
        self.0.update(&digest.to_le_bytes());
        self
    }

    pub fn key(&mut self, key: &Key) -> &mut Self {
        match key {
            Key::Str(text) => self.number(0).text(text),
            Key::Int(n) => self.number(1).number(*n as u64),
            Key::Float(bits) => self.number(2).number(*bits),
            Key::Bytes(bytes) => self.number(3).bytes(bytes),
            Key::Tuple(parts) => {
                self.number(4).number(parts.len() as u64);
                for part in parts.iter() {
                    self.key(part);
                }
                self
            }
        }
    }

    pub fn dtype(&mut self, dtype: &DType) -> &mut Self {
        self.text(&dtype.to_string())
    }

    pub fn finish(&self) -> u128 {
        self.0.digest128()
    }
}
