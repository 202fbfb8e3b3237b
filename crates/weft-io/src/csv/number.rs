//! Numbers and truth values from text, exactly as pandas' C parser reads them.

use super::options::CsvOptions;

/// How numbers are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumberSyntax {
    pub decimal: u8,
    pub thousands: Option<u8>,
}

impl NumberSyntax {
    pub(crate) fn new(options: &CsvOptions) -> Self {
        NumberSyntax { decimal: options.decimal, thousands: options.thousands }
    }
}

/// What C's `isspace` accepts.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn trim_start(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|&&byte| is_space(byte)).count()..]
}

fn trim(text: &[u8]) -> &[u8] {
    let text = trim_start(text);
    &text[..text.len() - text.iter().rev().take_while(|&&byte| is_space(byte)).count()]
}

/// Whether pandas takes `text` for something negative.
pub(crate) fn has_minus(text: &[u8]) -> bool {
    trim_start(text).first() == Some(&b'-')
}

/// An integer in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Integer {
    Small(i64),
    /// Above `i64::MAX`.
    Large(u64),
    /// All digits, yet in neither type.
    Overflow,
    No,
}

pub(crate) fn integer(text: &[u8], syntax: NumberSyntax) -> Integer {
    let text = trim(text);
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    if !digits.first().is_some_and(u8::is_ascii_digit) {
        return Integer::No;
    }
    let mut magnitude = Some(0u64);
    for &byte in digits {
        if byte.is_ascii_digit() {
            magnitude = magnitude
                .and_then(|value| value.checked_mul(10))
                .and_then(|value| value.checked_add(u64::from(byte - b'0')));
        } else if Some(byte) != syntax.thousands {
            return Integer::No;
        }
    }
    match (magnitude, negative) {
        (Some(value), false) => i64::try_from(value).map_or(Integer::Large(value), Integer::Small),
        (Some(value), true) if value <= 1 << 63 => Integer::Small((value as i64).wrapping_neg()),
        _ => Integer::Overflow,
    }
}

/// Text of 1 to 8 bytes, right-aligned: its last byte is the highest, and zeros fill the low end.
///
/// `rest` begins with `text` and goes on to the end of the buffer, so that eight bytes can be loaded at once.
#[inline(always)]
fn word(text: &[u8], rest: &[u8]) -> Option<u64> {
    let head: [u8; 8] = rest.get(..8)?.try_into().ok()?;
    let unused = 8usize.wrapping_sub(text.len());
    (unused < 8).then(|| u64::from_le_bytes(head) << (8 * unused))
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Splits off a leading minus, and fills up to eight with zero digits.
#[inline(always)]
fn digits(word: u64, length: usize) -> (bool, u64) {
    let first = 8 * (8 - length);
    let negative = (word >> first) & 0xff == u64::from(b'-');
    // The places below the first byte are free, and so is that of the minus.
    let free = ((1u64 << first) - 1) | if negative { 0xff << first } else { 0 };
    (negative, word & !free | (ONES * u64::from(b'0')) & free)
}

/// The value of eight digits; `None` if they are not all digits.
#[inline(always)]
fn eight_digits(word: u64) -> Option<u64> {
    let values = word.wrapping_sub(ONES * u64::from(b'0'));
    // A byte below '0' borrows into its top bit; one above '9' is carried into it.
    if (values | word.wrapping_add(ONES * (0x7f - u64::from(b'9')))) & (ONES * 0x80) != 0 {
        return None;
    }
    // Pairs, then fours, then all eight.
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff)
}

/// An `i64` in plain digits with an optional minus: nearly every integer there is. `None` asks for [`integer`].
#[inline(always)]
pub(crate) fn short_integer(text: &[u8], rest: &[u8]) -> Option<i64> {
    let Some(word) = word(text, rest) else { return medium_integer(text) };
    let (negative, word) = digits(word, text.len());
    if negative && text.len() == 1 {
        return None;
    }
    let value = eight_digits(word)? as i64;
    Some(if negative { -value } else { value })
}

fn medium_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let mut value = 0i64;
    let mut bad = 0u8;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        bad |= u8::from(digit > 9);
        value = value * 10 + i64::from(digit);
    }
    if bad != 0 {
        return None;
    }
    Some(if negative { -value } else { value })
}

/// Powers of ten that a double holds exactly enough for pandas' own parser: 1e0 to 1e308.
fn power_of_ten(exponent: usize) -> f64 {
    static POWERS: std::sync::LazyLock<Vec<f64>> = std::sync::LazyLock::new(|| {
        (0..=308).map(|e| format!("1e{e}").parse().unwrap_or(f64::NAN)).collect()
    });
    POWERS[exponent]
}

/// 10^0 … 10^22: exact in a double.
const EXACT: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// A float of at most 15 digits, a `.` or none, no exponent: exact in integer arithmetic, and then one correctly
/// rounded division, so that all parsers agree on it. `None` asks for [`float`].
#[inline(always)]
pub(crate) fn short_float(text: &[u8], rest: &[u8]) -> Option<f64> {
    let Some(word) = word(text, rest) else { return medium_float(text) };
    let (negative, word) = digits(word, text.len());
    // The lowest byte that is a point, if any: the bit trick is exact for the lowest one.
    let points = word ^ (ONES * u64::from(b'.'));
    let point = points.wrapping_sub(ONES) & !points & (ONES * 0x80);
    let (word, scale) = if point == 0 {
        (word, 0)
    } else {
        // Close the gap that the point leaves, from below.
        let at = point.trailing_zeros() - 7;
        let below = (1u64 << at) - 1;
        let above = (u64::MAX << at) << 8;
        ((word & below) << 8 | (word & above) | u64::from(b'0'), 7 - at as usize / 8)
    };
    let marks = usize::from(negative) + usize::from(point != 0);
    if text.len() == marks {
        return None;
    }
    let value = eight_digits(word)? as f64 / EXACT[scale];
    Some(if negative { -value } else { value })
}

fn medium_float(text: &[u8]) -> Option<f64> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if rest.is_empty() || rest.len() > 16 {
        return None;
    }
    let mut mantissa = 0u64;
    // The number of bytes after the point, once there is one.
    let mut point = usize::MAX;
    for (i, &byte) in rest.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa * 10 + u64::from(digit);
        } else if byte == b'.' && point == usize::MAX {
            point = rest.len() - 1 - i;
        } else {
            return None;
        }
    }
    let digits = rest.len() - usize::from(point != usize::MAX);
    if digits == 0 || digits > 15 {
        return None;
    }
    let scale = if point == usize::MAX { 0 } else { point };
    let value = mantissa as f64 / EXACT[scale];
    Some(if negative { -value } else { value })
}

/// Any float that pandas accepts, infinities included.
pub(crate) fn float(text: &[u8], syntax: NumberSyntax) -> Option<f64> {
    let number = if syntax.thousands.is_some() { grouped(text, syntax) } else { exact(text, syntax.decimal) };
    number.or_else(|| infinity(text))
}

/// A float whose digits may be grouped. For these alone pandas has a parser that does not always round correctly: 17
/// digits as an integer, then one multiplication or division by a power of ten.
fn grouped(text: &[u8], syntax: NumberSyntax) -> Option<f64> {
    const MAX_DIGITS: usize = 17;
    let text = trim_start(text);
    let (negative, mut rest) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let mut mantissa = 0u64;
    let mut any = false;
    let mut digits = 0; // significant ones: leading zeros do not count
    let mut exponent = 0i64;
    while let Some((&byte, tail)) = rest.split_first().filter(|(byte, _)| byte.is_ascii_digit()) {
        any = true;
        if digits < MAX_DIGITS {
            mantissa = mantissa * 10 + u64::from(byte - b'0');
            digits += usize::from(mantissa != 0);
        } else {
            exponent += 1;
        }
        rest = tail;
        if syntax.thousands.is_some() && rest.first().copied() == syntax.thousands {
            rest = &rest[1..];
        }
    }
    if rest.first() == Some(&syntax.decimal) {
        rest = &rest[1..];
        while let Some((&byte, tail)) = rest.split_first().filter(|(byte, _)| byte.is_ascii_digit()) {
            any = true;
            if digits < MAX_DIGITS {
                mantissa = mantissa * 10 + u64::from(byte - b'0');
                digits += usize::from(mantissa != 0);
                exponent -= 1;
            }
            rest = tail;
        }
    }
    if !any {
        return None;
    }
    if matches!(rest.first(), Some(b'e' | b'E')) {
        let (power, tail) = c_long(&rest[1..])?;
        exponent = exponent.checked_add(power).unwrap_or(power);
        rest = tail;
    }
    if !trim_start(rest).is_empty() {
        return None;
    }
    let number = mantissa as f64;
    let number = match exponent {
        309.. => {
            if mantissa == 0 {
                0.0
            } else {
                f64::INFINITY
            }
        }
        1..=308 => number * power_of_ten(exponent as usize),
        -308..=0 => number / power_of_ten(-exponent as usize),
        -616..=-309 => number / power_of_ten((-308 - exponent) as usize) / power_of_ten(308),
        _ => 0.0,
    };
    Some(if negative { -number } else { number })
}

/// What C's `strtol` takes from the head of `text`, and the rest; saturates.
fn c_long(text: &[u8]) -> Option<(i64, &[u8])> {
    let text = trim_start(text);
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let value = digits[..count]
        .iter()
        .fold(0i64, |value, &byte| value.saturating_mul(10).saturating_add(i64::from(byte - b'0')));
    Some((if negative { -value } else { value }, &digits[count..]))
}

/// Correct rounding.
fn exact(text: &[u8], decimal: u8) -> Option<f64> {
    let text = trim(text);
    let known =
        |&byte: &u8| byte.is_ascii_digit() || byte == decimal || matches!(byte, b'+' | b'-' | b'e' | b'E');
    // The standard library also knows words, which pandas spells differently.
    if !text.first().is_some_and(|byte| !matches!(byte, b'e' | b'E')) || !text.iter().all(known) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    if decimal == b'.' { text.parse().ok() } else { text.replace(decimal as char, ".").parse().ok() }
}

fn infinity(text: &[u8]) -> Option<f64> {
    let (sign, word) = match text.split_first()? {
        (b'-', rest) => (-1.0, rest),
        (b'+', rest) => (1.0, rest),
        _ => (1.0, text),
    };
    let known = word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"infinity");
    known.then_some(sign * f64::INFINITY)
}

/// `True`, `FALSE`, …
pub(crate) fn truth(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if text.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: NumberSyntax = NumberSyntax { decimal: b'.', thousands: None };

    /// What a short parser makes of `text` in a buffer with something behind it.
    fn with_rest<T>(text: &str, parse: impl Fn(&[u8], &[u8]) -> Option<T>) -> [Option<T>; 2] {
        let long = format!("{text},12.5,abc\n");
        [parse(text.as_bytes(), text.as_bytes()), parse(text.as_bytes(), long.as_bytes())]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

        #[test]
        fn short_parsers_say_what_the_general_ones_say(text in "-?[0-9.]{0,17}|[-+0-9.e/:x]{0,9}|-?[0-9]{0,5}\\.[0-9]{0,5}") {
            for value in with_rest(&text, short_integer).into_iter().flatten() {
                prop_assert_eq!(integer(text.as_bytes(), PLAIN), Integer::Small(value));
            }
            for value in with_rest(&text, short_float).into_iter().flatten() {
                let exact: f64 = text.parse().unwrap();
                prop_assert_eq!(value.to_bits(), exact.to_bits());
            }
        }
    }

    #[test]
    fn ordinary_numbers_take_the_short_way() {
        for text in ["0", "-7", "12345678", "-1234567", "9007199254740"] {
            assert_eq!(with_rest(text, short_integer), [text.parse().ok(); 2], "{text}");
        }
        for text in ["0.0", "-3.5", "14.47", "123456.7", ".5", "5.", "-73.98123456"] {
            assert_eq!(with_rest(text, short_float), [text.parse().ok(); 2], "{text}");
        }
        for text in ["", "-", ".", "-.", "+", "1e5", "1..2", "--1", "1-", "NaN", " 1"] {
            assert_eq!(with_rest(text, short_float), [None; 2], "{text}");
        }
    }
}
