//! Words of text, and how often each occurs.
//!
//! Words are what Python's `str.split()` gives: runs of characters that are not whitespace. Most
//! words are short; [`Counts`] keeps those of up to sixteen bytes within its table, so that a word
//! that was seen before is found with one look at one line of cache.

use ahash::{AHashMap, RandomState};

const SPACE: u8 = 1;
const WIDE: u8 = 2;

/// What a byte of UTF-8 begins or is: whitespace of ASCII (to which Python counts the separators
/// 0x1c to 0x1f), a part of a character beyond ASCII, or anything else.
static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'\t'..=b'\r' | 0x1c..=0x1f | b' ' => SPACE,
            0x80.. => WIDE,
            _ => 0,
        };
        byte += 1;
    }
    class
};

/// `str.isspace` of one character.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// The next word at or after byte `at` of `text`: its first byte, and the first after it.
#[inline]
pub fn next_word(text: &str, at: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let start = run(text, at, true);
    if start == bytes.len() {
        return None;
    }
    Some((start, run(text, start, false)))
}

/// Where, from `at` on, whitespace (or what is not) ends.
#[inline]
fn run(text: &str, mut at: usize, space: bool) -> usize {
    let bytes = text.as_bytes();
    while let Some(&byte) = bytes.get(at) {
        let class = CLASS[byte as usize];
        if class == WIDE {
            // `at` is where a character begins: all before it were skipped whole.
            let Some(c) = text[at..].chars().next() else { break };
            if is_space(c) != space {
                break;
            }
            at += c.len_utf8();
        } else if (class == SPACE) != space {
            break;
        } else {
            at += 1;
        }
    }
    at
}

/// Up to so many bytes a word is kept in the table itself.
const SHORT: usize = 16;

#[derive(Clone, Copy, Default)]
struct Slot {
    low: u64,
    high: u64,
    count: u64,
    /// Length of the word in the low byte, above it when it came first. 0: the slot is free.
    tag: u64,
}

/// How often texts occurred, and in which order they first did.
pub struct Counts {
    slots: Vec<Slot>,
    used: usize,
    long: AHashMap<Box<str>, (u64, u64)>,
    hasher: RandomState,
    seen: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Counts {
            slots: vec![Slot::default(); 1 << 12],
            used: 0,
            long: AHashMap::new(),
            hasher: RandomState::new(),
            seen: 0,
        }
    }
}

/// A short text as two numbers.
#[inline]
fn packed(text: &[u8]) -> (u64, u64) {
    let mut bytes = [0; SHORT];
    bytes[..text.len()].copy_from_slice(text);
    numbers(bytes)
}

#[inline]
fn numbers(bytes: [u8; SHORT]) -> (u64, u64) {
    let all = u128::from_le_bytes(bytes);
    (all as u64, (all >> 64) as u64)
}

impl Counts {
    /// Counts one text.
    pub fn add(&mut self, text: &str) {
        if text.len() > SHORT || text.is_empty() {
            return self.add_long(text);
        }
        let (low, high) = packed(text.as_bytes());
        self.add_short(low, high, text.len());
    }

    /// Counts the text from byte `start` to `end` of `bytes`, which go on for sixteen bytes more: that saves copying
    /// a number of bytes that is known only now.
    #[inline]
    fn add_at(&mut self, text: &str, start: usize, end: usize) {
        let length = end - start;
        let window = text.as_bytes().get(start..start + SHORT).and_then(|w| <[u8; SHORT]>::try_from(w).ok());
        match window {
            Some(window) if length <= SHORT => {
                let keep = u128::MAX >> (128 - 8 * length);
                let all = u128::from_le_bytes(window) & keep;
                self.add_short(all as u64, (all >> 64) as u64, length);
            }
            _ => self.add(&text[start..end]),
        }
    }

    #[inline]
    fn add_short(&mut self, low: u64, high: u64, length: usize) {
        let mask = self.slots.len() - 1;
        let mut at = self.hasher.hash_one((low, high)) as usize & mask;
        loop {
            let slot = &mut self.slots[at];
            if slot.low == low && slot.high == high && slot.tag as u8 == length as u8 {
                slot.count += 1;
                return;
            }
            if slot.tag == 0 {
                *slot = Slot { low, high, count: 1, tag: self.seen << 8 | length as u64 };
                self.seen += 1;
                self.used += 1;
                if self.used * 2 > mask {
                    self.grow();
                }
                return;
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let slots = vec![Slot::default(); self.slots.len() * 4];
        let mask = slots.len() - 1;
        for slot in std::mem::replace(&mut self.slots, slots) {
            if slot.tag == 0 {
                continue;
            }
            let mut at = self.hasher.hash_one((slot.low, slot.high)) as usize & mask;
            while self.slots[at].tag != 0 {
                at = (at + 1) & mask;
            }
            self.slots[at] = slot;
        }
    }

    fn add_long(&mut self, text: &str) {
        if let Some((count, _)) = self.long.get_mut(text) {
            *count += 1;
            return;
        }
        self.long.insert(text.into(), (1, self.seen));
        self.seen += 1;
    }

    /// Counts the words of a text.
    pub fn add_words(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        loop {
            // As `next_word`, but without leaving the loop for what is plain ASCII.
            while bytes.get(at).is_some_and(|&b| CLASS[b as usize] == SPACE) {
                at += 1;
            }
            let start = at;
            while bytes.get(at).is_some_and(|&b| CLASS[b as usize] == 0) {
                at += 1;
            }
            if bytes.get(at).is_some_and(|&b| CLASS[b as usize] == WIDE) {
                let Some((start, end)) = next_word(text, start) else { return };
                self.add_at(text, start, end);
                at = end;
            } else if at == start {
                return;
            } else {
                self.add_at(text, start, at);
            }
        }
    }

    /// Each text with its count, in the order in which they first occurred.
    pub fn finish(self) -> Vec<(Box<str>, u64)> {
        let mut all: Vec<(u64, Box<str>, u64)> =
            self.long.into_iter().map(|(text, (count, first))| (first, text, count)).collect();
        for slot in self.slots.iter().filter(|slot| slot.tag != 0) {
            let bytes = ((slot.high as u128) << 64 | slot.low as u128).to_le_bytes();
            // What was put in was text.
            let text = String::from_utf8_lossy(&bytes[..usize::from(slot.tag as u8)]);
            all.push((slot.tag >> 8, text.into(), slot.count));
        }
        all.sort_unstable_by_key(|entry| entry.0);
        all.into_iter().map(|(_, text, count)| (text, count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_and_counts_are_those_of_split(
            text in "([a-c]{1,3}| |\\n|\\x1c|é|ß|\u{a0}|\u{3000}|[a-b]{15,18}|\\x00){0,60}"
        ) {
            let mut expected: Vec<(Box<str>, u64)> = Vec::new();
            for word in text.split(is_space).filter(|word| !word.is_empty()) {
                match expected.iter_mut().find(|(known, _)| &**known == word) {
                    Some((_, count)) => *count += 1,
                    None => expected.push((word.into(), 1)),
                }
            }
            let mut counts = Counts::default();
            counts.add_words(&text);
            prop_assert_eq!(counts.finish(), expected.clone());

            let mut counts = Counts::default();
            let mut at = 0;
            while let Some((start, end)) = next_word(&text, at) {
                counts.add(&text[start..end]);
                at = end;
            }
            prop_assert_eq!(counts.finish(), expected);
        }
    }

    #[test]
    fn many_words() {
        let mut counts = Counts::default();
        for round in 0..2 {
            for i in 0..20_000 {
                counts.add(&format!("{i:x}{}", if i % 3 == 0 { "-a-rather-long-word" } else { "" }));
            }
            counts.add(if round == 0 { "" } else { "last" });
        }
        let all = counts.finish();
        assert_eq!(all.len(), 20_002);
        assert_eq!(all[0], ("0-a-rather-long-word".into(), 2));
        assert_eq!(all[20_000], ("".into(), 1));
        assert_eq!(all[20_001], ("last".into(), 1));
    }
}
