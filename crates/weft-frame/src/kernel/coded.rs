//! Columns as readers bring them. Codes into a dictionary: an operation looks at each different value once.
//! Decimals of 64 bits: what makes floats of them needs no more.
//!
//! They live within a pass only. Whatever leaves it is spelled out.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type};
use arrow_array::{Array, ArrayRef, Decimal64Array, LargeStringArray};
use weft_data::DType;

use super::vector::{Operand, Vector};
use super::{Op, run as run_plain};
use crate::error::ExprError;

type Result<T> = std::result::Result<T, ExprError>;

fn failed(error: impl std::fmt::Display) -> ExprError {
    ExprError::Invalid(error.to_string())
}

impl Vector {
    /// Whether the values are codes into a dictionary.
    pub fn is_coded(&self) -> bool {
        self.dtype == DType::Str && self.values.as_any_dictionary_opt().is_some()
    }

    /// Whether the values are decimals in 64 bits, as readers bring those of few digits.
    pub fn is_narrow(&self) -> bool {
        self.values.as_any().is::<Decimal64Array>()
    }

    /// The values themselves.
    pub fn plain(&self) -> Result<Vector> {
        if let Some(narrow) = self.values.as_any().downcast_ref::<Decimal64Array>() {
            let wide = narrow.unary::<_, Decimal128Type>(i128::from);
            let wide = wide.with_precision_and_scale(narrow.precision(), narrow.scale()).map_err(failed)?;
            return Ok(Vector::new(self.dtype.clone(), Arc::new(wide)));
        }
        let Some(codes) = self.values.as_any_dictionary_opt() else { return Ok(self.clone()) };
        let values = arrow_select::take::take(codes.values(), codes.keys(), None).map_err(failed)?;
        Ok(Vector::new(self.dtype.clone(), values))
    }

    /// The dictionary as a column, with the code of each row; a missing value has the code after the last, and
    /// the dictionary then ends with a missing value.
    pub(crate) fn codes(&self) -> Result<Option<(Vector, Vec<u32>)>> {
        let Some(coded) = self.values.as_dictionary_opt::<Int32Type>() else { return Ok(None) };
        let keys = coded.keys();
        let count = coded.values().len() as u32;
        if keys.null_count() == 0 {
            let rows = keys.values().iter().map(|&key| key as u32).collect();
            return Ok(Some((Vector::new(self.dtype.clone(), coded.values().clone()), rows)));
        }
        let rows = keys.iter().map(|key| key.map_or(count, |key| key as u32)).collect();
        let missing: ArrayRef = Arc::new(LargeStringArray::new_null(1));
        let values =
            arrow_select::concat::concat(&[coded.values().as_ref(), missing.as_ref()]).map_err(failed)?;
        Ok(Some((Vector::new(self.dtype.clone(), values), rows)))
    }
}

/// Runs an operation some of whose arguments are coded.
pub(super) fn run(op: &Op, args: &[Operand<'_>], rows: usize) -> Result<Vector> {
    if let (Op::Astype(DType::Float64), [Operand::Vector(vector)]) = (op, args)
        && vector.is_narrow()
    {
        return super::arrow::narrow_to_floats(vector);
    }
    let vectors = args.iter().filter(|arg| matches!(arg, Operand::Vector(_))).count();
    if let (1, Some(at)) = (vectors, args.iter().position(|arg| matches!(arg, Operand::Vector(_))))
        && let Operand::Vector(vector) = args[at]
        && let Some((values, codes)) = vector.codes()?
        && values.len() < codes.len()
    {
        let mut args = args.to_vec();
        args[at] = Operand::Vector(&values);
        let answers = run_plain(op, &args, values.len())?;
        return super::take(&answers, &codes);
    }
    let plain: Vec<Option<Vector>> = args
        .iter()
        .map(|arg| match arg {
            Operand::Vector(vector) if vector.is_coded() || vector.is_narrow() => vector.plain().map(Some),
            _ => Ok(None),
        })
        .collect::<Result<_>>()?;
    let args: Vec<Operand<'_>> =
        args.iter().zip(&plain).map(|(arg, plain)| plain.as_ref().map_or(*arg, Operand::Vector)).collect();
    run_plain(op, &args, rows)
}
