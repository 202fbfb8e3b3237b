//! Upper and lower case as pandas has it for text in Arrow's layout: each letter becomes one letter.
//!
//! Where a letter's full form is several (`ß` to `SS`), the one letter that stands for them is taken, if
//! there is one.

/// The capital of a letter, or the letter itself.
pub(super) fn upper(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_uppercase();
    }
    let mut full = c.to_uppercase();
    match (full.next(), full.next()) {
        (Some(one), None) => one,
        _ => several(c),
    }
}

/// The small form of a letter, or the letter itself.
pub(super) fn lower(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let mut full = c.to_lowercase();
    match (full.next(), full.next()) {
        (Some(one), None) => one,
        // The only such letter is `İ`.
        (first, _) => first.unwrap_or(c),
    }
}

/// The one capital of a letter whose full form has several letters.
fn several(c: char) -> char {
    let code = c as u32;
    let capital = match code {
        0xdf => 0x1e9e,
        // Greek vowels with a small iota below.
        0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7 => code + 8,
        0x1fb3 | 0x1fc3 | 0x1ff3 => code + 9,
        _ => code,
    };
    char::from_u32(capital).unwrap_or(c)
}
