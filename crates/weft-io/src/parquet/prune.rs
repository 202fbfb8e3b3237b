//! Row groups that no row of can pass a predicate.

use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Eq,
    Lt,
    Le,
    Gt,
    Ge,
}

/// A value as the file stores it: days for dates, units of the column for times.
#[derive(Clone, Debug, PartialEq)]
pub enum Limit {
    Int(i64),
    Float(f64),
    Text(String),
}

/// `column comparison limit`: rows for which it is false or missing are not wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate {
    /// Position among the source's fields.
    pub column: usize,
    pub comparison: Comparison,
    pub limit: Limit,
}

/// Whether statistics leave room for rows that pass.
pub(super) fn may_pass(group: &RowGroupMetaData, leaf: usize, predicate: &Predicate) -> bool {
    // Unsigned numbers have statistics in an order of their own.
    let descriptor = group.column(leaf).column_descr();
    if descriptor.converted_type().to_string().starts_with("UINT") {
        return true;
    }
    let Some(statistics) = group.column(leaf).statistics() else { return true };
    let comparison = predicate.comparison;
    match (statistics, &predicate.limit) {
        (Statistics::Int32(s), Limit::Int(limit)) => {
            overlaps(s.min_opt().map(|&v| v as i64), s.max_opt().map(|&v| v as i64), comparison, *limit)
        }
        (Statistics::Int64(s), Limit::Int(limit)) => {
            overlaps(s.min_opt().copied(), s.max_opt().copied(), comparison, *limit)
        }
        (Statistics::Double(s), Limit::Float(limit)) => {
            overlaps(s.min_opt().copied(), s.max_opt().copied(), comparison, *limit)
        }
        (Statistics::ByteArray(s), Limit::Text(limit)) => {
            // Cut-off statistics are still bounds.
            let (min, max) = (s.min_opt().map(|v| v.data()), s.max_opt().map(|v| v.data()));
            overlaps(min, max, comparison, limit.as_bytes())
        }
        _ => true,
    }
}

fn overlaps<T: PartialOrd>(min: Option<T>, max: Option<T>, comparison: Comparison, limit: T) -> bool {
    let above = |max: &T| match comparison {
        Comparison::Gt => *max > limit,
        Comparison::Ge | Comparison::Eq => *max >= limit,
        _ => true,
    };
    let below = |min: &T| match comparison {
        Comparison::Lt => *min < limit,
        Comparison::Le | Comparison::Eq => *min <= limit,
        _ => true,
    };
    max.as_ref().is_none_or(above) && min.as_ref().is_none_or(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_kept_if_a_value_in_it_could_pass() {
        let kept = |comparison, limit| overlaps(Some(10), Some(20), comparison, limit);
        assert!(kept(Comparison::Eq, 10) && kept(Comparison::Eq, 20) && !kept(Comparison::Eq, 21));
        assert!(!kept(Comparison::Lt, 10) && kept(Comparison::Le, 10));
        assert!(!kept(Comparison::Gt, 20) && kept(Comparison::Ge, 20));
        assert!(overlaps(None, None, Comparison::Gt, 20));
    }
}
