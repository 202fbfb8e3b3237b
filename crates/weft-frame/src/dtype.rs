//! Which dtype an operation gives, as NumPy 2 and pandas 3 have it, and which have a kernel.

use weft_data::{ArrowType, DType, TimeUnit};

use crate::error::ExprError;
use crate::kernel::{BinaryOp, DtField, Op, UnaryOp, is_text};
use crate::scalar::{Literal, Scalar};

/// What a kernel's argument is known to be.
#[derive(Clone, Debug)]
pub enum ArgType<'a> {
    Series(&'a DType),
    Literal(&'a Literal),
}

fn bits(dtype: &DType) -> u32 {
    match dtype {
        DType::Bool => 1,
        DType::Int8 | DType::UInt8 => 8,
        DType::Int16 | DType::UInt16 => 16,
        DType::Int32 | DType::UInt32 | DType::Float32 => 32,
        _ => 64,
    }
}

fn signed(bits: u32) -> DType {
    match bits {
        8 => DType::Int8,
        16 => DType::Int16,
        32 => DType::Int32,
        _ => DType::Int64,
    }
}

/// NumPy's promotion of two columns' dtypes (numbers and bools).
pub fn promote(left: &DType, right: &DType) -> Option<DType> {
    if left == right {
        return Some(left.clone());
    }
    Some(match (left, right) {
        (DType::Bool, other) | (other, DType::Bool) if other.is_number() => other.clone(),
        (a, b) if a.is_float() && b.is_float() => DType::Float64,
        (f, i) | (i, f) if f.is_float() && i.is_integer() => {
            if *f == DType::Float32 && bits(i) <= 16 {
                DType::Float32
            } else {
                DType::Float64
            }
        }
        (a, b) if a.is_signed() && b.is_signed() || a.is_unsigned() && b.is_unsigned() => {
            if bits(a) >= bits(b) { a.clone() } else { b.clone() }
        }
        (s, u) | (u, s) if s.is_signed() && u.is_unsigned() => {
            if bits(s) > bits(u) {
                s.clone()
            } else if bits(u) < 64 {
                signed(bits(u) * 2)
            } else {
                DType::Float64
            }
        }
        (DType::Datetime { unit: a, zone: za }, DType::Datetime { unit: b, zone: zb }) if za == zb => {
            DType::Datetime { unit: finer(*a, *b), zone: za.clone() }
        }
        (DType::Timedelta(a), DType::Timedelta(b)) => DType::Timedelta(finer(*a, *b)),
        _ => return None,
    })
}

pub fn finer(left: TimeUnit, right: TimeUnit) -> TimeUnit {
    if left.per_second() >= right.per_second() { left } else { right }
}

/// Range of an integer dtype.
pub fn integer_range(dtype: &DType) -> Option<(i128, i128)> {
    Some(match dtype {
        DType::Int8 => (i8::MIN as i128, i8::MAX as i128),
        DType::Int16 => (i16::MIN as i128, i16::MAX as i128),
        DType::Int32 => (i32::MIN as i128, i32::MAX as i128),
        DType::Int64 => (i64::MIN as i128, i64::MAX as i128),
        DType::UInt8 => (0, u8::MAX as i128),
        DType::UInt16 => (0, u16::MAX as i128),
        DType::UInt32 => (0, u32::MAX as i128),
        DType::UInt64 => (0, u64::MAX as i128),
        _ => return None,
    })
}

/// The dtype a literal takes beside a column of `column`.
pub fn literal_dtype(literal: &Literal, column: &DType) -> Result<DType, ExprError> {
    if let Some(dtype) = &literal.dtype {
        return Ok(dtype.clone());
    }
    Ok(match &literal.value {
        Scalar::Missing => match column {
            DType::Datetime { .. } | DType::Timedelta(_) | DType::Str => column.clone(),
            other if other.is_float() => other.clone(),
            _ => DType::Float64,
        },
        Scalar::Bool(_) => DType::Bool,
        Scalar::Int(value) => return weak_integer(*value as i128, column),
        Scalar::UInt(value) => return weak_integer(*value as i128, column),
        Scalar::Float(_) => {
            if column.is_float() {
                column.clone()
            } else {
                DType::Float64
            }
        }
        Scalar::Str(_) => DType::Str,
        Scalar::Datetime { unit, zone, .. } => DType::Datetime { unit: *unit, zone: zone.clone() },
        Scalar::Timedelta { unit, .. } => DType::Timedelta(*unit),
        Scalar::Date(_) => DType::Arrow(ArrowType::Date),
        Scalar::Decimal { precision, scale, .. } => {
            DType::Arrow(ArrowType::Decimal { precision: *precision, scale: *scale })
        }
    })
}

fn weak_integer(value: i128, column: &DType) -> Result<DType, ExprError> {
    match integer_range(column) {
        Some((low, high)) if (low..=high).contains(&value) => Ok(column.clone()),
        Some(_) => ExprError::unsupported(format!("{value} does not fit {column}")),
        None if column.is_float() => Ok(column.clone()),
        None if value <= i64::MAX as i128 => Ok(DType::Int64),
        None => Ok(DType::UInt64),
    }
}

/// The dtype that `op` gives, or that it has no kernel for these.
pub fn result(op: &Op, args: &[ArgType<'_>]) -> Result<DType, ExprError> {
    let column = args
        .iter()
        .find_map(|arg| match arg {
            ArgType::Series(dtype) => Some((*dtype).clone()),
            ArgType::Literal(_) => None,
        })
        .ok_or_else(|| ExprError::Invalid(format!("{} needs a column", op.name())))?;
    if let (Op::Fill, [_, ArgType::Literal(literal)]) = (op, args) {
        return match &literal.value {
            Scalar::Bool(_) => Ok(DType::Bool),
            Scalar::Int(_) => Ok(DType::Int64),
            Scalar::Float(_) => Ok(DType::Float64),
            Scalar::Str(_) => Ok(DType::Str),
            other => ExprError::unsupported(format!("a column of {other}")),
        };
    }
    if args.iter().any(|arg| matches!(arg, ArgType::Series(DType::Nullable(_)))) {
        return ExprError::unsupported(format!("{} of a nullable dtype", op.name()));
    }
    if args.iter().any(|arg| matches!(arg, ArgType::Series(DType::Arrow(_)))) {
        return crate::kernel::arrow::result(op, args);
    }
    let of = |arg: &ArgType<'_>| match arg {
        ArgType::Series(dtype) => Ok((*dtype).clone()),
        ArgType::Literal(literal) => literal_dtype(literal, &column),
    };
    let refuse = || ExprError::unsupported(format!("{} of {column}", op.name()));
    match op {
        Op::Unary(UnaryOp::IsNa | UnaryOp::NotNa) => Ok(DType::Bool),
        Op::Unary(UnaryOp::Invert) if column == DType::Bool || column.is_integer() => Ok(column),
        Op::Unary(UnaryOp::Neg | UnaryOp::Pos | UnaryOp::Abs) if column.is_number() => Ok(column),
        Op::Unary(UnaryOp::Neg | UnaryOp::Pos | UnaryOp::Abs) if matches!(column, DType::Timedelta(_)) => {
            Ok(column)
        }
        Op::Unary(_) => refuse(),
        Op::Round(_) if column.is_float() => Ok(column),
        Op::Round(decimals) if column.is_integer() && *decimals >= 0 => Ok(column),
        Op::Round(_) => refuse(),
        Op::Dt(field) => dt(*field, &column),
        Op::Text(op) if column == DType::Str => Ok(op.result()),
        Op::Text(_) => refuse(),
        Op::Binary(op) => {
            let (left, right) = (of(&args[0])?, of(&args[1])?);
            if let (BinaryOp::Pow, ArgType::Literal(literal)) = (op, &args[1])
                && left.is_integer()
                && !matches!(literal.value, Scalar::Float(_) | Scalar::Int(0..))
            {
                return ExprError::unsupported("an integer column to a negative power");
            }
            binary(*op, &left, &right)
        }
        Op::FillNa => {
            let value = match &args[1] {
                ArgType::Series(_) => return ExprError::unsupported("fillna by a Series"),
                ArgType::Literal(literal) => &literal.value,
            };
            match (&column, value) {
                (_, Scalar::Missing) => refuse(),
                // Nothing is missing there.
                (dtype, _) if dtype.is_integer() || *dtype == DType::Bool => Ok(column),
                (DType::Float64, Scalar::Int(_) | Scalar::Float(_)) => Ok(column),
                (DType::Float32, Scalar::Int(_) | Scalar::Float(_)) => {
                    if fits_f32(value) {
                        Ok(column)
                    } else {
                        refuse()
                    }
                }
                (DType::Str, Scalar::Str(_)) => Ok(column),
                (DType::Datetime { .. } | DType::Timedelta(_), _) if of(&args[1])? == column => Ok(column),
                _ => refuse(),
            }
        }
        Op::Astype(to) => {
            let numeric = |dtype: &DType| dtype.is_number() || *dtype == DType::Bool;
            // A float that is missing or too large has no integer: pandas then raises.
            let text = column == DType::Str && is_text(to);
            if *to == column || text || numeric(&column) && numeric(to) { Ok(to.clone()) } else { refuse() }
        }
        Op::IsIn(values) => {
            let fits = |value: &Scalar| match value {
                Scalar::Missing => !column.is_integer() && column != DType::Bool,
                Scalar::Bool(_) => column == DType::Bool,
                Scalar::Int(_) => column.is_number(),
                Scalar::Float(value) => {
                    column.is_float() || column.is_integer() && value.fract() == 0.0 && value.abs() < 9e15
                }
                Scalar::UInt(_) => false,
                Scalar::Str(_) => column == DType::Str,
                Scalar::Datetime { unit, zone, .. } => {
                    column == DType::Datetime { unit: *unit, zone: zone.clone() }
                }
                Scalar::Timedelta { unit, .. } => column == DType::Timedelta(*unit),
                Scalar::Date(_) | Scalar::Decimal { .. } => false,
            };
            if values.iter().all(fits) { Ok(DType::Bool) } else { refuse() }
        }
        Op::Where => choose(args),
        Op::Fill => refuse(),
        Op::ClipLower | Op::ClipUpper => {
            let bound = of(&args[1])?;
            match (&column, &args[1]) {
                (_, ArgType::Literal(Literal { value: Scalar::Missing, .. })) => refuse(),
                (dtype, _) if dtype.is_number() && bound == *dtype => Ok(column),
                _ => refuse(),
            }
        }
    }
}

fn fits_f32(value: &Scalar) -> bool {
    match value {
        Scalar::Int(value) => (*value as f32) as f64 == *value as f64,
        Scalar::Float(value) => (*value as f32) as f64 == *value,
        _ => false,
    }
}

/// `where(condition, a, b)`, where one of the two may be a literal.
fn choose(args: &[ArgType<'_>]) -> Result<DType, ExprError> {
    let dtype = match (&args[1], &args[2]) {
        (ArgType::Series(a), ArgType::Series(b)) if a == b => (*a).clone(),
        (ArgType::Series(column), ArgType::Literal(literal))
        | (ArgType::Literal(literal), ArgType::Series(column)) => {
            let given = literal_dtype(literal, column)?;
            match &literal.value {
                // Missing turns integers into floats, as pandas does.
                Scalar::Missing if column.is_integer() => DType::Float64,
                Scalar::Missing if **column == DType::Bool => {
                    return ExprError::unsupported("a bool column with missing values");
                }
                _ if given == **column => given,
                Scalar::Int(value) if column.is_float() && value.abs() < 1 << 24 => (*column).clone(),
                _ => return ExprError::unsupported(format!("where: {given} into {column}")),
            }
        }
        _ => return ExprError::unsupported("where with these arguments"),
    };
    match &args[0] {
        ArgType::Series(DType::Bool) => Ok(dtype),
        _ => ExprError::unsupported("where needs a bool condition"),
    }
}

fn dt(field: DtField, column: &DType) -> Result<DType, ExprError> {
    match (field, column) {
        (DtField::TotalSeconds, DType::Timedelta(_)) => Ok(DType::Float64),
        (DtField::TotalSeconds, _) | (_, DType::Timedelta(_)) => {
            ExprError::unsupported(format!("dt.{} of {column}", field.name()))
        }
        (_, DType::Datetime { zone, .. }) if zone.as_deref().is_none_or(|zone| zone == "UTC") => {
            Ok(match field {
                DtField::Normalize => column.clone(),
                field if field.is_flag() => DType::Bool,
                _ => DType::Int32,
            })
        }
        _ => ExprError::unsupported(format!("dt.{} of {column}", field.name())),
    }
}

fn binary(op: BinaryOp, left: &DType, right: &DType) -> Result<DType, ExprError> {
    use BinaryOp::*;
    let refuse = || ExprError::unsupported(format!("{left} {} {right}", op.symbol()));
    let is_plain = |dtype: &DType| dtype.is_number() || *dtype == DType::Bool;
    if op.is_logical() {
        return match (left, right) {
            (DType::Bool, DType::Bool) => Ok(DType::Bool),
            (a, b) if a == b && a.is_integer() => Ok(a.clone()),
            _ => refuse(),
        };
    }
    if op.is_comparison() {
        return match (left, right) {
            // uint64 beside int64 compares as floats in NumPy only since it has no better: leave it.
            (a, b) if is_plain(a) && is_plain(b) => match promote(a, b) {
                Some(DType::Float64) if a.is_integer() && b.is_integer() => refuse(),
                Some(_) => Ok(DType::Bool),
                None => refuse(),
            },
            (DType::Str, DType::Str) => Ok(DType::Bool),
            (DType::Datetime { zone: a, .. }, DType::Datetime { zone: b, .. })
                if a.is_some() == b.is_some() =>
            {
                Ok(DType::Bool)
            }
            (DType::Timedelta(_), DType::Timedelta(_)) => Ok(DType::Bool),
            _ => refuse(),
        };
    }
    match (left, right) {
        (DType::Bool, DType::Bool) => refuse(),
        (a, b) if is_plain(a) && is_plain(b) => {
            let common = promote(a, b);
            match (op, common) {
                (TrueDiv, Some(dtype)) if dtype.is_integer() => Ok(DType::Float64),
                // Whether an integer to a power is defined depends on the values.
                (Pow, Some(dtype)) if dtype.is_integer() && b.is_signed() && a == b => Ok(dtype),
                (Pow, Some(dtype)) if dtype.is_integer() => refuse(),
                (_, Some(dtype)) => Ok(dtype),
                (_, None) => refuse(),
            }
        }
        (DType::Datetime { unit: a, zone }, DType::Timedelta(b)) if matches!(op, Add | Sub) => {
            Ok(DType::Datetime { unit: finer(*a, *b), zone: zone.clone() })
        }
        (DType::Timedelta(a), DType::Datetime { unit: b, zone }) if op == Add => {
            Ok(DType::Datetime { unit: finer(*a, *b), zone: zone.clone() })
        }
        (DType::Datetime { unit: a, zone: za }, DType::Datetime { unit: b, zone: zb })
            if op == Sub && za.is_some() == zb.is_some() =>
        {
            Ok(DType::Timedelta(finer(*a, *b)))
        }
        (DType::Timedelta(a), DType::Timedelta(b)) if matches!(op, Add | Sub) => {
            Ok(DType::Timedelta(finer(*a, *b)))
        }
        (DType::Timedelta(_), DType::Timedelta(_)) if op == TrueDiv => Ok(DType::Float64),
        _ => refuse(),
    }
}
