//! Dates and times in fixed layouts.
//!
//! pandas guesses one layout from the first value of a column and then holds all values to it. So does this
//! module; layouts that it does not know are left to pandas.

use serde::{Deserialize, Serialize};
/// The layout of the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    date: DateOrder,
    /// Between the parts of the date; 0 for none.
    separator: u8,
    time: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum DateOrder {
    YearMonthDay,
    MonthDayYear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Time {
    /// Between date and time: a space or `T`.
    separator: u8,
    seconds: bool,
    fraction: bool,
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar.
#[inline(always)]
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March put the leap day last.
    let shifted = year - i64::from(month <= 2);
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn date(year: i64, month: i64, day: i64) -> Option<i64> {
    let valid = year >= 1 && (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
    valid.then(|| days(year, month, day))
}

/// Takes `least` to `most` digits off the head of `text`.
#[inline(always)]
fn number(text: &mut &[u8], least: usize, most: usize) -> Option<i64> {
    let mut value = 0;
    let mut count = 0;
    while let Some(digit) = text.get(count).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit <= 9)
        && count < most
    {
        value = value * 10 + i64::from(digit);
        count += 1;
    }
    *text = &text[count..];
    (count >= least).then_some(value)
}

/// Takes one byte off the head of `text`, if it is `byte`.
#[inline(always)]
fn literal(text: &mut &[u8], byte: u8) -> Option<()> {
    let (first, rest) = text.split_first()?;
    *text = rest;
    (*first == byte).then_some(())
}

impl Layout {
    pub(crate) const ISO_SECONDS: Layout = Layout {
        date: DateOrder::YearMonthDay,
        separator: b'-',
        time: Some(Time { separator: b' ', seconds: true, fraction: false }),
    };

    /// The layout of `text`, if it is one of those that are known.
    pub(crate) fn guess(text: &[u8]) -> Option<Layout> {
        let dates = [
            (DateOrder::YearMonthDay, b'-', 10),
            (DateOrder::YearMonthDay, b'/', 10),
            (DateOrder::YearMonthDay, 0, 8),
            (DateOrder::MonthDayYear, b'/', 10),
            (DateOrder::MonthDayYear, b'-', 10),
        ];
        for (date, separator, length) in dates {
            let plain = Layout { date, separator, time: None };
            if text.len() < length || plain.parse(&text[..length], 1).is_none() {
                continue;
            }
            let rest = &text[length..];
            if rest.is_empty() {
                return Some(plain);
            }
            let time = Time { separator: rest[0], seconds: rest.len() > 6, fraction: rest.len() > 9 };
            let layout = Layout { time: Some(time), ..plain };
            // The first value is to have its leading zeros, or pandas guesses nothing.
            let known =
                matches!(rest[0], b' ' | b'T') && separator != 0 && matches!(rest.len(), 6 | 9 | 11..);
            return (known && layout.parse(text, 1).is_some()).then_some(layout);
        }
        None
    }

    /// `text` as a count of `per_second` since 1970. Digits finer than that are not taken. As for pandas, whose layouts
    /// are those of `strptime`, all parts but the year may lack their leading zero where something separates them.
    pub(crate) fn parse(&self, mut text: &[u8], per_second: i64) -> Option<i64> {
        let text = &mut text;
        let least = if self.separator == 0 { 2 } else { 1 };
        let gap =
            |text: &mut &[u8]| if self.separator == 0 { Some(()) } else { literal(text, self.separator) };
        let day = match self.date {
            DateOrder::YearMonthDay => {
                let year = number(text, 4, 4)?;
                gap(text)?;
                let month = number(text, least, 2)?;
                gap(text)?;
                date(year, month, number(text, least, 2)?)?
            }
            DateOrder::MonthDayYear => {
                let month = number(text, least, 2)?;
                gap(text)?;
                let day = number(text, least, 2)?;
                gap(text)?;
                date(number(text, 4, 4)?, month, day)?
            }
        };
        let (mut seconds, mut fraction) = (day * 86_400, 0);
        if let Some(time) = self.time {
            literal(text, time.separator)?;
            let hour = number(text, 1, 2)?;
            literal(text, b':')?;
            let minute = number(text, 1, 2)?;
            let mut second = 0;
            if time.seconds {
                literal(text, b':')?;
                second = number(text, 1, 2)?;
            }
            if hour > 23 || minute > 59 || second > 59 {
                return None;
            }
            seconds += hour * 3600 + minute * 60 + second;
            if time.fraction {
                literal(text, b'.')?;
                let digits = text.len() as u32;
                let nanos = number(text, 1, 9)? * 10_i64.pow(9_u32.checked_sub(digits)?);
                let unit = 1_000_000_000 / per_second;
                if per_second > 1 && nanos % unit != 0 {
                    return None;
                }
                fraction = nanos / unit;
            }
        }
        if !text.is_empty() {
            return None;
        }
        seconds.checked_mul(per_second)?.checked_add(fraction)
    }

    /// Digits after the second in `text`.
    pub(crate) fn fraction_digits(&self, text: &[u8]) -> usize {
        match self.time {
            Some(Time { fraction: true, .. }) => {
                text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count()
            }
            _ => 0,
        }
    }
}

/// A day as text and in microseconds since 1970: times in files mostly come in order, many to a day.
#[derive(Clone, Debug, Default)]
pub(crate) struct Day {
    text: [u8; 10],
    micros: i64,
}

impl Day {
    /// `YYYY-MM-DD HH:MM:SS` in microseconds. `None` asks for [`Layout::parse`].
    #[inline(always)]
    pub(crate) fn iso_seconds(&mut self, text: &[u8]) -> Option<i64> {
        let text: &[u8; 19] = text.try_into().ok()?;
        let digit = |i: usize| i64::from(text[i].wrapping_sub(b'0'));
        let two = |i: usize| digit(i) * 10 + digit(i + 1);
        if text[..10] != self.text {
            let mut bad = (text[4] != b'-') | (text[7] != b'-');
            for i in [0, 1, 2, 3, 5, 6, 8, 9] {
                bad |= text[i].wrapping_sub(b'0') > 9;
            }
            let (year, month, day) = (two(0) * 100 + two(2), two(5), two(8));
            if bad {
                return None;
            }
            self.micros = date(year, month, day)? * 86_400_000_000;
            self.text.copy_from_slice(&text[..10]);
        }
        // " HH:MM:S": digits and separators in one comparison each.
        let head = u64::from_le_bytes([
            text[10], text[11], text[12], text[13], text[14], text[15], text[16], text[17],
        ]);
        let separators = u64::from_le_bytes([b' ', 0, 0, b':', 0, 0, b':', 0]);
        let places = u64::from_le_bytes([0xff, 0, 0, 0xff, 0, 0, 0xff, 0]);
        let numbers = (head & !places) | (0x3030_3030_3030_3030 & places);
        let not_digits = (numbers.wrapping_sub(0x3030_3030_3030_3030)
            | numbers.wrapping_add(0x4646_4646_4646_4646))
            & 0x8080_8080_8080_8080;
        let (hour, minute, second) = (two(11), two(14), two(17));
        let bad = (head & places != separators)
            | (not_digits != 0)
            | (text[18].wrapping_sub(b'0') > 9)
            | (hour > 23)
            | (minute > 59)
            | (second > 59);
        if bad {
            return None;
        }
        Some(self.micros + (hour * 3600 + minute * 60 + second) * 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 2, 29), 11_016);
        assert_eq!(days(1, 1, 1), -719_162);
        assert_eq!(days(9999, 12, 31), 2_932_896);
    }

    #[test]
    fn layouts() {
        let cases = [
            ("2018-04-01 12:34:56", 1_522_586_096_000_000),
            ("2018-04-01T12:34:56", 1_522_586_096_000_000),
            ("2018-04-01 12:34", 1_522_586_040_000_000),
            ("2018-04-01", 1_522_540_800_000_000),
            ("2018/04/01", 1_522_540_800_000_000),
            ("20180401", 1_522_540_800_000_000),
            ("04/01/2018", 1_522_540_800_000_000),
            ("2018-04-01 12:34:56.5", 1_522_586_096_500_000),
            ("2018-04-01 12:34:56.000007", 1_522_586_096_000_007),
        ];
        for (text, expected) in cases {
            let layout = Layout::guess(text.as_bytes());
            assert_eq!(layout.and_then(|l| l.parse(text.as_bytes(), 1_000_000)), Some(expected), "{text}");
        }
        for text in [
            "2018-02-29",
            "2018-13-01",
            "foo",
            "",
            "2018-04-01 24:00:00",
            "2018-04-01 1:02:03",
            "2018-04-01Z",
        ] {
            assert_eq!(Layout::guess(text.as_bytes()), None, "{text}");
        }
        let mut day = Day::default();
        for iso in
            ["2018-04-01 12:34:56", "2018-04-01 23:59:59", "1900-02-28 00:00:00", "2018-02-29 00:00:00"]
        {
            assert_eq!(
                day.iso_seconds(iso.as_bytes()),
                Layout::ISO_SECONDS.parse(iso.as_bytes(), 1_000_000),
                "{iso}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn the_short_way_reads_whole_times(
            text in "(2018|0000|1999)-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-6][0-9]:[0-6][0-9]",
        ) {
            let mut day = Day::default();
            // Twice: the second time knows the day.
            for _ in 0..2 {
                let expected = Layout::ISO_SECONDS.parse(text.as_bytes(), 1_000_000);
                proptest::prop_assert_eq!(day.iso_seconds(text.as_bytes()), expected);
            }
        }

        #[test]
        fn the_short_way_reads_nothing_else(text in "[-0-9: ]{19}|2018-01-01[ T:][0-9: -]{8}") {
            let short = Day::default().iso_seconds(text.as_bytes());
            proptest::prop_assert!(short.is_none() || short == Layout::ISO_SECONDS.parse(text.as_bytes(), 1_000_000));
        }
    }
}
