//! What an aggregation remembers of each group.
//!
//! A state is fed batches, gives partial columns, is fed the partial columns of others, and at last gives
//! the answer. Its dtype widens when a batch needs it.

use std::sync::Arc;

use arrow_array::types::{Decimal128Type, Float32Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, LargeStringArray};
use weft_data::{ArrowType, DType};

use super::Func;
use super::encode::integers;
use super::numeric::{Compensated, Moments, sum_of};
use crate::dtype::promote;
use crate::error::ExprError;
use crate::kernel::{NAT, Number, Vector, with_number};

type Result<T> = std::result::Result<T, ExprError>;

/// The groups of a batch's rows.
#[derive(Clone, Copy, Debug)]
pub struct Groups<'a> {
    /// A group for each row; `None`: all rows are group 0.
    pub ids: Option<&'a [u32]>,
    /// Number of groups so far.
    pub count: usize,
    pub rows: usize,
}

impl Groups<'_> {
    /// Calls `f(group, value)` for each row.
    #[inline]
    fn each<T: Copy>(&self, values: &[T], mut f: impl FnMut(usize, T)) {
        match self.ids {
            Some(ids) => ids.iter().zip(values).for_each(|(&group, &value)| f(group as usize, value)),
            None => values.iter().for_each(|&value| f(0, value)),
        }
    }
}

#[derive(Debug)]
pub struct State {
    func: Func,
    /// Of the input.
    dtype: DType,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    Count(Vec<i64>),
    Int(Vec<i64>),
    UInt(Vec<u64>),
    /// Sums of decimals.
    Wide(Vec<i128>),
    Float(Vec<Compensated>),
    Product(Vec<f64>),
    Mean {
        sums: Vec<Compensated>,
        counts: Vec<i64>,
    },
    Moments(Vec<Moments>),
    Flag(Vec<bool>),
    /// One value of each group.
    Pick {
        values: Picked,
        seen: Vec<bool>,
    },
}

#[derive(Debug)]
enum Picked {
    Int(Vec<i64>),
    UInt(Vec<u64>),
    Float(Vec<f64>),
    Wide(Vec<i128>),
    Text(Vec<Box<str>>),
}

impl State {
    pub fn new(func: Func, dtype: DType) -> Self {
        let memory = match func {
            Func::Size | Func::Count | Func::NUnique { .. } | Func::Median => Memory::Count(Vec::new()),
            Func::Mean => Memory::Mean { sums: Vec::new(), counts: Vec::new() },
            Func::Var { .. } | Func::Std { .. } => Memory::Moments(Vec::new()),
            Func::Any | Func::All => Memory::Flag(Vec::new()),
            Func::Min | Func::Max | Func::First | Func::Last => Memory::Pick {
                values: match &dtype {
                    DType::Str => Picked::Text(Vec::new()),
                    dtype if dtype.is_float() => Picked::Float(Vec::new()),
                    dtype if dtype.is_unsigned() => Picked::UInt(Vec::new()),
                    DType::Arrow(ArrowType::Decimal { .. }) => Picked::Wide(Vec::new()),
                    _ => Picked::Int(Vec::new()),
                },
                seen: Vec::new(),
            },
            Func::Sum | Func::Prod => match &dtype {
                DType::Arrow(_) => Memory::Wide(Vec::new()),
                dtype if dtype.is_unsigned() => Memory::UInt(Vec::new()),
                dtype if dtype.is_float() && func == Func::Sum => Memory::Float(Vec::new()),
                dtype if dtype.is_float() => Memory::Product(Vec::new()),
                _ => Memory::Int(Vec::new()),
            },
        };
        State { func, dtype, memory }
    }

    /// Columns of a partial result.
    pub fn width(&self) -> usize {
        match self.memory {
            Memory::Mean { .. } | Memory::Pick { .. } => 2,
            Memory::Moments(_) => 3,
            _ => 1,
        }
    }

    /// Makes room for `count` groups.
    fn grow(&mut self, count: usize) {
        let one = (self.func == Func::Prod) as i64;
        match &mut self.memory {
            Memory::Count(counts) => counts.resize(count, 0),
            Memory::Int(sums) => sums.resize(count, one),
            Memory::UInt(sums) => sums.resize(count, one as u64),
            Memory::Wide(sums) => sums.resize(count, 0),
            Memory::Float(sums) => sums.resize(count, Compensated::default()),
            Memory::Product(products) => products.resize(count, 1.0),
            Memory::Mean { sums, counts } => {
                sums.resize(count, Compensated::default());
                counts.resize(count, 0);
            }
            Memory::Moments(moments) => moments.resize(count, Moments::default()),
            Memory::Flag(flags) => flags.resize(count, self.func == Func::All),
            Memory::Pick { values, seen } => {
                match values {
                    Picked::Int(values) => values.resize(count, 0),
                    Picked::UInt(values) => values.resize(count, 0),
                    Picked::Float(values) => values.resize(count, f64::NAN),
                    Picked::Wide(values) => values.resize(count, 0),
                    Picked::Text(values) => values.resize(count, "".into()),
                }
                seen.resize(count, false);
            }
        }
    }

    /// Widens the state to hold what `dtype` needs beside what it has.
    fn meet(&mut self, dtype: &DType) -> Result<()> {
        let is_decimal = |dtype: &DType| matches!(dtype, DType::Arrow(ArrowType::Decimal { .. }));
        // Sums have more digits than what they are sums of.
        if *dtype == self.dtype || is_decimal(dtype) && is_decimal(&self.dtype) {
            return Ok(());
        }
        let common = promote(&self.dtype, dtype).ok_or_else(|| {
            ExprError::Unsupported(format!("{} of a column of {} and {dtype}", self.func.name(), self.dtype))
        })?;
        if let (DType::Datetime { .. } | DType::Timedelta(_), true) = (&common, common != self.dtype) {
            return ExprError::unsupported(format!("{} of {} and {dtype}", self.func.name(), self.dtype));
        }
        let floats = |values: &[f64]| -> Memory {
            if self.func == Func::Prod {
                Memory::Product(values.to_vec())
            } else {
                Memory::Float(values.iter().map(|&v| Compensated::from(v)).collect())
            }
        };
        let widened = match &mut self.memory {
            Memory::Int(sums) if common.is_float() => {
                Some(floats(&sums.iter().map(|&v| v as f64).collect::<Vec<_>>()))
            }
            Memory::UInt(sums) if common.is_float() => {
                Some(floats(&sums.iter().map(|&v| v as f64).collect::<Vec<_>>()))
            }
            Memory::UInt(sums) if common.is_signed() => {
                Some(Memory::Int(sums.iter().map(|&v| v as i64).collect()))
            }
            Memory::Int(sums) if common.is_unsigned() => {
                Some(Memory::UInt(sums.iter().map(|&v| v as u64).collect()))
            }
            Memory::Pick { values, .. } => {
                let wider = match values {
                    Picked::Int(values) if common.is_float() => {
                        Some(Picked::Float(values.iter().map(|&v| v as f64).collect()))
                    }
                    Picked::UInt(values) if common.is_float() => {
                        Some(Picked::Float(values.iter().map(|&v| v as f64).collect()))
                    }
                    Picked::UInt(values) if common.is_signed() => {
                        Some(Picked::Int(values.iter().map(|&v| v as i64).collect()))
                    }
                    Picked::Int(values) if common.is_unsigned() => {
                        Some(Picked::UInt(values.iter().map(|&v| v as u64).collect()))
                    }
                    _ => None,
                };
                if let Some(wider) = wider {
                    *values = wider;
                }
                None
            }
            _ => None,
        };
        if let Some(memory) = widened {
            self.memory = memory;
        }
        self.dtype = common;
        Ok(())
    }

    /// Takes in a batch; `input` is `None` for the number of rows.
    pub fn update(&mut self, input: Option<&Vector>, groups: Groups<'_>) -> Result<()> {
        if let Some(vector) = input
            && !vector.is_empty()
        {
            self.meet(&vector.dtype)?;
        }
        self.grow(groups.count);
        let Some(vector) = input.filter(|_| self.func != Func::Size) else {
            if let Memory::Count(counts) = &mut self.memory {
                match groups.ids {
                    Some(ids) => ids.iter().for_each(|&group| counts[group as usize] += 1),
                    None => counts[0] += groups.rows as i64,
                }
            }
            return Ok(());
        };
        let func = self.func;
        match &mut self.memory {
            Memory::Count(counts) => match vector.missing()? {
                None => match groups.ids {
                    Some(ids) => ids.iter().for_each(|&group| counts[group as usize] += 1),
                    None => counts[0] += groups.rows as i64,
                },
                Some(missing) => match groups.ids {
                    Some(ids) => {
                        for (row, &group) in ids.iter().enumerate() {
                            counts[group as usize] += !missing.value(row) as i64;
                        }
                    }
                    None => counts[0] += (groups.rows - missing.count_set_bits()) as i64,
                },
            },
            Memory::Int(sums) if func == Func::Prod => {
                groups.each(&vector.cast::<Int64Type>()?, |g, v| sums[g] = sums[g].wrapping_mul(v));
            }
            Memory::Int(sums) => {
                groups.each(&vector.cast::<Int64Type>()?, |g, v| sums[g] = sums[g].wrapping_add(v));
            }
            Memory::UInt(sums) if func == Func::Prod => {
                groups.each(&vector.cast::<UInt64Type>()?, |g, v| sums[g] = sums[g].wrapping_mul(v));
            }
            Memory::UInt(sums) => {
                groups.each(&vector.cast::<UInt64Type>()?, |g, v| sums[g] = sums[g].wrapping_add(v));
            }
            Memory::Wide(sums) => {
                let nulls = vector.values.nulls();
                for (row, &value) in vector.slice::<Decimal128Type>()?.iter().enumerate() {
                    if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                        let group = groups.ids.map_or(0, |ids| ids[row] as usize);
                        sums[group] = sums[group].wrapping_add(value);
                    }
                }
            }
            Memory::Float(sums) => {
                let values = vector.cast::<Float64Type>()?;
                match groups.ids {
                    None => sums[0].add(sum_of(&values).0),
                    Some(_) => groups.each(&values, |g, v| {
                        if !v.is_nan() {
                            sums[g].add(v);
                        }
                    }),
                }
            }
            Memory::Product(products) => groups.each(&vector.cast::<Float64Type>()?, |g, v| {
                if !v.is_nan() {
                    products[g] *= v;
                }
            }),
            Memory::Mean { sums, counts } => {
                let values = vector.cast::<Float64Type>()?;
                match groups.ids {
                    None => {
                        let (sum, count) = sum_of(&values);
                        sums[0].add(sum);
                        counts[0] += count as i64;
                    }
                    Some(_) => groups.each(&values, |g, v| {
                        if !v.is_nan() {
                            sums[g].add(v);
                            counts[g] += 1;
                        }
                    }),
                }
            }
            Memory::Moments(moments) => {
                let values = vector.cast::<Float64Type>()?;
                match groups.ids {
                    None => moments[0].merge(Moments::of(&values)),
                    Some(_) => groups.each(&values, |g, v| {
                        if !v.is_nan() {
                            moments[g].add(v);
                        }
                    }),
                }
            }
            // NaN is skipped: it neither makes `any` true nor `all` false.
            Memory::Flag(flags) => {
                let all = func == Func::All;
                groups.each(&vector.cast::<Float64Type>()?, |g, v| {
                    if !v.is_nan() && (v != 0.0) != all {
                        flags[g] = !all;
                    }
                });
            }
            Memory::Pick { values, seen } => match values {
                Picked::Wide(best) => {
                    let nulls = vector.values.nulls();
                    for (row, &value) in vector.slice::<Decimal128Type>()?.iter().enumerate() {
                        let group = groups.ids.map_or(0, |ids| ids[row] as usize);
                        let valid = nulls.is_none_or(|nulls| nulls.is_valid(row));
                        if valid && wins(func, seen[group], value, best[group]) {
                            best[group] = value;
                            seen[group] = true;
                        }
                    }
                }
                Picked::Text(best) => {
                    let vector = vector.plain()?;
                    let texts = vector.strings()?;
                    for row in 0..texts.len() {
                        if texts.is_null(row) {
                            continue;
                        }
                        let group = groups.ids.map_or(0, |ids| ids[row] as usize);
                        let text = texts.value(row);
                        if wins(func, seen[group], text, &*best[group]) {
                            best[group] = text.into();
                            seen[group] = true;
                        }
                    }
                }
                Picked::Float(best) => groups.each(&vector.cast::<Float64Type>()?, |g, v| {
                    if !v.is_nan() && wins(func, seen[g], v, best[g]) {
                        best[g] = v;
                        seen[g] = true;
                    }
                }),
                Picked::UInt(best) => groups.each(&vector.cast::<UInt64Type>()?, |g, v| {
                    if wins(func, seen[g], v, best[g]) {
                        best[g] = v;
                        seen[g] = true;
                    }
                }),
                Picked::Int(best) => {
                    let is_time = matches!(
                        vector.dtype,
                        DType::Datetime { .. } | DType::Timedelta(_) | DType::Arrow(_)
                    );
                    groups.each(&integers(vector)?, |g, v| {
                        if !(is_time && v == NAT) && wins(func, seen[g], v, best[g]) {
                            best[g] = v;
                            seen[g] = true;
                        }
                    });
                }
            },
        }
        Ok(())
    }

    /// What others merge: [`State::width`] columns with a row for each group.
    pub fn partial(&mut self, count: usize) -> Result<Vec<Vector>> {
        self.grow(count);
        let ints = |values: &[i64]| Vector::from_vec::<Int64Type>(DType::Int64, values.to_vec());
        let floats = |values: Vec<f64>| Vector::from_vec::<Float64Type>(DType::Float64, values);
        Ok(match &self.memory {
            Memory::Count(counts) => vec![ints(counts)],
            Memory::Int(sums) => vec![ints(sums)],
            Memory::UInt(sums) => vec![Vector::from_vec::<UInt64Type>(DType::UInt64, sums.clone())],
            Memory::Wide(sums) => {
                let valid = vec![true; sums.len()];
                let digits = match self.dtype {
                    DType::Arrow(ArrowType::Decimal { scale, .. }) => (38, scale),
                    _ => (38, 0),
                };
                vec![decimals(sums, &valid, digits)?]
            }
            Memory::Float(sums) => {
                let values = sums.iter().map(Compensated::value).collect();
                vec![narrow(floats(values), &self.dtype)]
            }
            Memory::Product(products) => vec![narrow(floats(products.clone()), &self.dtype)],
            Memory::Mean { sums, counts } => {
                vec![floats(sums.iter().map(Compensated::value).collect()), ints(counts)]
            }
            Memory::Moments(moments) => vec![
                ints(&moments.iter().map(|m| m.count).collect::<Vec<_>>()),
                floats(moments.iter().map(|m| m.mean).collect()),
                floats(moments.iter().map(|m| m.squares).collect()),
            ],
            Memory::Flag(flags) => vec![Vector::from_bools(flags.iter().copied().collect())],
            Memory::Pick { values, seen } => {
                vec![picked(values, seen, &self.dtype)?, Vector::from_bools(seen.iter().copied().collect())]
            }
        })
    }

    /// Takes in another's partial columns, whose row `i` belongs to `groups.ids[i]`.
    pub fn merge(&mut self, columns: &[Vector], groups: Groups<'_>) -> Result<()> {
        let first = &columns[0];
        if matches!(self.memory, Memory::Int(_) | Memory::UInt(_) | Memory::Float(_) | Memory::Product(_))
            && !first.is_empty()
        {
            self.meet(&first.dtype)?;
        }
        self.grow(groups.count);
        match &mut self.memory {
            Memory::Count(counts) => groups.each(first.slice::<Int64Type>()?, |g, v| counts[g] += v),
            Memory::Mean { sums, counts } => {
                groups.each(first.slice::<Float64Type>()?, |g, v| sums[g].add(v));
                groups.each(columns[1].slice::<Int64Type>()?, |g, v| counts[g] += v);
            }
            Memory::Moments(moments) => {
                let counts = first.slice::<Int64Type>()?;
                let means = columns[1].slice::<Float64Type>()?;
                let squares = columns[2].slice::<Float64Type>()?;
                for row in 0..counts.len() {
                    let group = groups.ids.map_or(0, |ids| ids[row] as usize);
                    let (count, mean, squares) = (counts[row], means[row], squares[row]);
                    moments[group].merge(Moments { count, mean, squares });
                }
            }
            Memory::Pick { .. } => {
                // Values that were never seen must not compete.
                let seen = columns[1].bools()?;
                let rows: Vec<u32> =
                    (0..first.len() as u32).filter(|&row| seen.value(row as usize)).collect();
                let values = crate::kernel::take(first, &rows)?;
                let ids: Option<Vec<u32>> =
                    groups.ids.map(|ids| rows.iter().map(|&row| ids[row as usize]).collect());
                let groups = Groups { ids: ids.as_deref(), rows: rows.len(), ..groups };
                return self.update(Some(&values), groups);
            }
            // A sum that is NaN (infinities of both signs) must stay NaN.
            Memory::Float(sums) => groups.each(&first.cast::<Float64Type>()?, |g, v| sums[g].add(v)),
            Memory::Product(products) => groups.each(&first.cast::<Float64Type>()?, |g, v| products[g] *= v),
            _ => return self.update(Some(first), groups),
        }
        Ok(())
    }

    /// The answer for each of `count` groups.
    pub fn finish(&mut self, count: usize) -> Result<Vector> {
        self.grow(count);
        let floats = |values: Vec<f64>| Vector::from_vec::<Float64Type>(DType::Float64, values);
        Ok(match (&self.memory, self.func) {
            (Memory::Mean { sums, counts }, _) => {
                let means = sums.iter().zip(counts).map(|(sum, &n)| sum.value() / n as f64).collect();
                narrow(floats(means), &self.dtype)
            }
            (Memory::Moments(moments), Func::Var { ddof }) => {
                narrow(floats(moments.iter().map(|m| m.variance(ddof)).collect()), &self.dtype)
            }
            (Memory::Moments(moments), Func::Std { ddof }) => {
                narrow(floats(moments.iter().map(|m| m.variance(ddof).sqrt()).collect()), &self.dtype)
            }
            // No integer says "missing".
            (Memory::Pick { values, seen }, _) if !self.dtype.is_float() && seen.contains(&false) => {
                match values {
                    Picked::Int(_) | Picked::UInt(_)
                        if self.dtype.is_integer() || self.dtype == DType::Bool =>
                    {
                        floats(vec![f64::NAN; count])
                    }
                    values => picked(values, seen, &self.dtype)?,
                }
            }
            _ => self.partial(count)?.swap_remove(0),
        })
    }
}

/// Whether `new` replaces `old`.
fn wins<T: PartialOrd>(func: Func, seen: bool, new: T, old: T) -> bool {
    match func {
        _ if !seen => true,
        Func::Min => new < old,
        Func::Max => new > old,
        Func::Last => true,
        _ => false,
    }
}

/// float32 columns have float32 results.
fn narrow(vector: Vector, dtype: &DType) -> Vector {
    match (dtype, vector.slice::<Float64Type>()) {
        (DType::Float32, Ok(values)) => {
            Vector::from_vec::<Float32Type>(DType::Float32, values.iter().map(|&v| v as f32).collect())
        }
        _ => vector,
    }
}

fn picked(values: &Picked, seen: &[bool], dtype: &DType) -> Result<Vector> {
    Ok(match values {
        Picked::Text(texts) => {
            let texts: LargeStringArray =
                texts.iter().zip(seen).map(|(text, &seen)| seen.then_some(&**text)).collect();
            Vector::new(DType::Str, Arc::new(texts))
        }
        Picked::Float(values) => {
            narrow(Vector::from_vec::<Float64Type>(DType::Float64, values.clone()), dtype)
        }
        Picked::UInt(values) => numbers(values.iter().copied(), dtype)?,
        Picked::Wide(values) => match dtype {
            DType::Arrow(ArrowType::Decimal { precision, scale }) => {
                decimals(values, seen, (*precision, *scale))?
            }
            other => return ExprError::unsupported(format!("a value of {other}")),
        },
        Picked::Int(values) => match dtype {
            DType::Arrow(kind) => {
                let values = values.iter().zip(seen).map(|(&v, &seen)| seen.then_some(v));
                Vector::new(dtype.clone(), crate::kernel::arrow::from_integers(*kind, values)?)
            }
            DType::Datetime { .. } | DType::Timedelta(_) => {
                let values = values.iter().zip(seen).map(|(&v, &seen)| if seen { v } else { NAT }).collect();
                Vector::from_vec::<Int64Type>(dtype.clone(), values)
            }
            DType::Bool => Vector::from_bools(values.iter().map(|&v| v != 0).collect()),
            dtype => numbers(values.iter().copied(), dtype)?,
        },
    })
}

fn decimals(values: &[i128], valid: &[bool], (precision, scale): (u8, i8)) -> Result<Vector> {
    let values = values.iter().zip(valid).map(|(&value, &valid)| valid.then_some(value));
    let array = values.collect::<arrow_array::Decimal128Array>();
    let array =
        array.with_precision_and_scale(precision, scale).map_err(|e| ExprError::Invalid(e.to_string()))?;
    Ok(Vector::new(DType::Arrow(ArrowType::Decimal { precision, scale }), Arc::new(array)))
}

fn numbers<N: Number>(values: impl Iterator<Item = N>, dtype: &DType) -> Result<Vector> {
    with_number!(dtype, T => Ok(Vector::from_vec::<T>(dtype.clone(), values.map(Number::to).collect())),
        other => ExprError::unsupported(format!("a value of {other}")))
}
