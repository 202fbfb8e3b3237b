//! Fields of datetimes (proleptic Gregorian calendar, UTC).

use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_buffer::BooleanBuffer;
use weft_data::{DType, TimeUnit};

use super::DtField;
use super::vector::{NAT, Vector};
use crate::error::ExprError;

type Result<T> = std::result::Result<T, ExprError>;

pub(super) fn field(field: DtField, vector: &Vector) -> Result<Vector> {
    let unit = match &vector.dtype {
        DType::Datetime { unit, .. } => *unit,
        DType::Timedelta(unit) if field == DtField::TotalSeconds => {
            let per = unit.per_second() as f64;
            let seconds = vector.slice::<Int64Type>()?.iter();
            let seconds = seconds.map(|&v| if v == NAT { f64::NAN } else { v as f64 / per }).collect();
            return Ok(Vector::from_vec::<Float64Type>(DType::Float64, seconds));
        }
        other => return ExprError::unsupported(format!("dt.{} of {other}", field.name())),
    };
    // The unit as a constant turns divisions into multiplications.
    match unit {
        TimeUnit::Second => with_unit::<1>(field, vector),
        TimeUnit::Milli => with_unit::<1_000>(field, vector),
        TimeUnit::Micro => with_unit::<1_000_000>(field, vector),
        TimeUnit::Nano => with_unit::<1_000_000_000>(field, vector),
    }
}

fn with_unit<const PER: i64>(field: DtField, vector: &Vector) -> Result<Vector> {
    let values = vector.slice::<Int64Type>()?;
    let day = |v: i64| v.div_euclid(86_400 * PER);
    let number = |f: &dyn Fn(i64) -> i64| Ok(numbers(values, f));
    match field {
        DtField::Hour => Ok(numbers(values, |v| v.rem_euclid(86_400 * PER) / (3_600 * PER))),
        DtField::Minute => Ok(numbers(values, |v| v.rem_euclid(3_600 * PER) / (60 * PER))),
        DtField::Second => Ok(numbers(values, |v| v.rem_euclid(60 * PER) / PER)),
        DtField::Microsecond => number(&|v| {
            let rest = v.rem_euclid(PER);
            if PER >= 1_000_000 { rest / (PER / 1_000_000).max(1) } else { rest * (1_000_000 / PER) }
        }),
        DtField::Nanosecond => number(&|v| if PER == 1_000_000_000 { v.rem_euclid(1_000) } else { 0 }),
        DtField::DayOfWeek => Ok(numbers(values, |v| (day(v) + 3).rem_euclid(7))),
        DtField::Year => Ok(numbers(values, |v| civil(day(v)).0)),
        DtField::Month => Ok(numbers(values, |v| civil(day(v)).1)),
        DtField::Day => Ok(numbers(values, |v| civil(day(v)).2)),
        DtField::Quarter => Ok(numbers(values, |v| (civil(day(v)).1 - 1) / 3 + 1)),
        DtField::DayOfYear => number(&|v| {
            let (year, ..) = civil(day(v));
            day(v) - days(year, 1, 1) + 1
        }),
        DtField::DaysInMonth => number(&|v| {
            let (year, month, _) = civil(day(v));
            month_length(year, month)
        }),
        DtField::Normalize => {
            let midnights =
                values.iter().map(|&v| if v == NAT { NAT } else { day(v) * (86_400 * PER) }).collect();
            Ok(Vector::from_vec::<Int64Type>(vector.dtype.clone(), midnights))
        }
        flag => {
            let bits = BooleanBuffer::collect_bool(values.len(), |i| {
                values[i] != NAT && {
                    let (year, month, of_month) = civil(day(values[i]));
                    let is_last = of_month == month_length(year, month);
                    match flag {
                        DtField::IsLeapYear => is_leap(year),
                        DtField::IsMonthStart => of_month == 1,
                        DtField::IsMonthEnd => is_last,
                        DtField::IsQuarterStart => of_month == 1 && month % 3 == 1,
                        DtField::IsQuarterEnd => is_last && month % 3 == 0,
                        DtField::IsYearStart => of_month == 1 && month == 1,
                        _ => is_last && month == 12,
                    }
                }
            });
            Ok(Vector::from_bools(bits))
        }
    }
}

/// A field of a date, given as a day counted from 1970-01-01.
pub(super) fn of_day(field: DtField, day: i64) -> i64 {
    let (year, month, of_month) = civil(day);
    match field {
        DtField::Year => year,
        DtField::Month => month,
        DtField::Day => of_month,
        DtField::Quarter => (month - 1) / 3 + 1,
        DtField::DayOfWeek => (day + 3).rem_euclid(7),
        _ => day - days(year, 1, 1) + 1,
    }
}

/// int32, or float64 where a NaT makes a NaN necessary.
fn numbers(values: &[i64], f: impl Fn(i64) -> i64) -> Vector {
    let numbers: Vec<i32> = values.iter().map(|&v| f(v) as i32).collect();
    if !values.contains(&NAT) {
        return Vector::from_vec::<Int32Type>(DType::Int32, numbers);
    }
    let with_gaps =
        values.iter().zip(numbers).map(|(&v, n)| if v == NAT { f64::NAN } else { n as f64 }).collect();
    Vector::from_vec::<Float64Type>(DType::Float64, with_gaps)
}

/// Year, month and day of a day counted from 1970-01-01. Years start in March here, so that the
/// leap day is the last one; 400 years are 146,097 days.
fn civil(day: i64) -> (i64, i64, i64) {
    // 1970-01-01 is day 719,468 after 0000-03-01.
    let day = day.wrapping_add(719_468);
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + (month <= 2) as i64, month, of_month)
}

/// Inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - (month <= 2) as i64;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = (month + 9) % 12;
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + is_leap(year) as i64,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_and_days_are_inverse_and_ordered() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(-1), (1969, 12, 31));
        assert_eq!(days(2000, 2, 29), 11_016);
        let mut before = civil(-800_000);
        for day in -799_999..800_000 {
            let date = civil(day);
            assert_eq!(days(date.0, date.1, date.2), day);
            assert!(date > before && date.2 <= month_length(date.0, date.1));
            before = date;
        }
    }
}
