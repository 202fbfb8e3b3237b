//! Steps on JSON objects that need some fields of each, not the objects.
//!
//! `weft.bag._programs` turns Python functions that only look at fields, compare and add into expressions. Where an
//! expression has no answer for a line, the object is made and the function itself is called.

use std::borrow::Cow;

use ahash::AHashMap;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple};
use weft_io::Counts;
use weft_io::json::{Expr, Op, Record, Scalar};

use super::json::JsonLoads;

/// A function as an expression, and itself.
pub(super) struct Function {
    expr: Expr,
    func: Py<PyAny>,
}

/// What is kept of a stream of objects, and what is made of it.
#[derive(Default)]
pub(super) struct Records {
    fields: Vec<Box<[u8]>>,
    /// With what their functions have to give.
    filters: Vec<(Function, bool)>,
    pub(super) projection: Option<Function>,
}

/// What became of a line.
pub(super) enum Found<'py> {
    Dropped,
    Element(Bound<'py, PyAny>),
}

fn expr(program: &Bound<'_, PyAny>, fields: &mut Vec<Box<[u8]>>) -> PyResult<Expr> {
    let program = program.cast::<PyTuple>()?;
    let inner = |i: usize, fields: &mut Vec<_>| expr(&program.get_item(i)?, fields).map(Box::new);
    let op = match program.get_item(0)?.extract::<String>()?.as_str() {
        "total" => return Ok(Expr::Total),
        "const" => return Ok(Expr::Const(constant(&program.get_item(1)?)?)),
        "not" => return Ok(Expr::Not(inner(1, fields)?)),
        "item" => {
            let key: Box<[u8]> = program.get_item(2)?.extract::<String>()?.into_bytes().into();
            let of = program.get_item(1)?;
            if of.cast::<PyTuple>()?.get_item(0)?.extract::<String>()? != "element" {
                return Ok(Expr::Item(Box::new(expr(&of, fields)?), key));
            }
            let known = fields.iter().position(|field| *field == key);
            return Ok(Expr::Field(known.unwrap_or_else(|| {
                fields.push(key);
                fields.len() - 1
            })));
        }
        "+" => Op::Add,
        "-" => Op::Sub,
        "*" => Op::Mul,
        "==" => Op::Eq,
        "!=" => Op::Ne,
        "<" => Op::Lt,
        "<=" => Op::Le,
        ">" => Op::Gt,
        ">=" => Op::Ge,
        other => return Err(PyValueError::new_err(format!("unknown operation {other:?}"))),
    };
    Ok(Expr::Op(op, inner(1, fields)?, inner(2, fields)?))
}

fn constant(value: &Bound<'_, PyAny>) -> PyResult<Scalar<'static>> {
    Ok(if value.is_none() {
        Scalar::Null
    } else if let Ok(value) = value.cast_exact::<PyBool>() {
        Scalar::Bool(value.is_true())
    } else if value.is_exact_instance_of::<PyInt>() {
        Scalar::Int(value.extract()?)
    } else if value.is_exact_instance_of::<PyFloat>() {
        Scalar::Float(value.extract()?)
    } else {
        Scalar::Str(Cow::Owned(value.extract()?))
    })
}

fn scalar_to_py<'py>(py: Python<'py>, value: Scalar<'_>) -> Bound<'py, PyAny> {
    match value {
        Scalar::Null => py.None().into_bound(py),
        Scalar::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
        Scalar::Int(value) => PyInt::new(py, value).into_any(),
        Scalar::Float(value) => PyFloat::new(py, value).into_any(),
        Scalar::Str(text) => PyString::new(py, &text).into_any(),
    }
}

/// Not for Rust: the partition is to be read again, by Python.
pub(super) struct Ask;

impl Records {
    /// Keeps only objects for which a function gives something that is true, or with `keep` false, is not.
    pub(super) fn filter(&mut self, program: &Bound<'_, PyAny>, func: Py<PyAny>, keep: bool) -> PyResult<()> {
        let expr = expr(program, &mut self.fields)?;
        self.filters.push((Function { expr, func }, keep));
        Ok(())
    }

    pub(super) fn project(&mut self, program: &Bound<'_, PyAny>, func: Py<PyAny>) -> PyResult<()> {
        let expr = expr(program, &mut self.fields)?;
        self.projection = Some(Function { expr, func });
        Ok(())
    }

    pub(super) fn is_plain(&self) -> bool {
        self.filters.is_empty() && self.projection.is_none()
    }

    /// The element of a line, or that it has none.
    pub(super) fn element<'py>(&self, py: Python<'py>, line: &str, json: &JsonLoads) -> PyResult<Found<'py>> {
        let plain = self.is_plain();
        let mut record = Record::default();
        if !plain && record.scan(line, &self.fields).is_ok() {
            match self.keeps(&record) {
                Some(false) => return Ok(Found::Dropped),
                Some(true) => match &self.projection {
                    None => return json.parse(py, line).map(Found::Element),
                    Some(projection) => {
                        if let Some(value) = record.eval(&projection.expr, None) {
                            return Ok(Found::Element(scalar_to_py(py, value)));
                        }
                    }
                },
                None => {}
            }
        }
        let object = json.parse(py, line)?;
        for (filter, keep) in &self.filters {
            if filter.func.bind(py).call1((&object,))?.is_truthy()? != *keep {
                return Ok(Found::Dropped);
            }
        }
        match &self.projection {
            Some(projection) => Ok(Found::Element(projection.func.bind(py).call1((object,))?)),
            None => Ok(Found::Element(object)),
        }
    }

    fn keeps(&self, record: &Record<'_>) -> Option<bool> {
        for (filter, keep) in &self.filters {
            if record.truth(&filter.expr)? != *keep {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Whether a line has an element.
    pub(super) fn has_element(&self, line: &str) -> Result<bool, Ask> {
        let mut record = Record::default();
        record.scan(line, &self.fields).map_err(|_| Ask)?;
        let keeps = self.keeps(&record).ok_or(Ask)?;
        match &self.projection {
            // It may be an error.
            Some(projection) if keeps => record.eval(&projection.expr, None).map(|_| true).ok_or(Ask),
            _ => Ok(keeps),
        }
    }

    /// Counts the element of a line, which has to be text.
    pub(super) fn count(&self, line: &str, counts: &mut Counts) -> Result<(), Ask> {
        let mut record = Record::default();
        record.scan(line, &self.fields).map_err(|_| Ask)?;
        if self.keeps(&record).ok_or(Ask)? {
            let projection = self.projection.as_ref().ok_or(Ask)?;
            match record.eval(&projection.expr, None) {
                Some(Scalar::Str(text)) => counts.add(&text),
                _ => return Err(Ask),
            }
        }
        Ok(())
    }
}

/// Totals of groups of objects.
pub(super) struct Fold {
    key: Expr,
    binop: Expr,
    initial: Scalar<'static>,
    numbers: AHashMap<Box<str>, usize>,
    totals: Vec<Scalar<'static>>,
}

impl Fold {
    /// `records` are to look for the fields that the fold needs.
    pub(super) fn new(
        records: &mut Records,
        key: &Bound<'_, PyAny>,
        binop: &Bound<'_, PyAny>,
        initial: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        Ok(Fold {
            key: expr(key, &mut records.fields)?,
            binop: expr(binop, &mut records.fields)?,
            initial: constant(initial)?,
            numbers: AHashMap::new(),
            totals: Vec::new(),
        })
    }

    pub(super) fn add(&mut self, line: &str, records: &Records) -> Result<(), Ask> {
        let mut record = Record::default();
        record.scan(line, &records.fields).map_err(|_| Ask)?;
        if !records.keeps(&record).ok_or(Ask)? {
            return Ok(());
        }
        let Some(Scalar::Str(key)) = record.eval(&self.key, None) else { return Err(Ask) };
        let number = match self.numbers.get(&*key) {
            Some(&number) => number,
            None => {
                self.numbers.insert(key.into(), self.totals.len());
                self.totals.push(self.initial.clone());
                self.totals.len() - 1
            }
        };
        let total = record.eval(&self.binop, Some(&self.totals[number])).ok_or(Ask)?.into_owned();
        self.totals[number] = total;
        Ok(())
    }

    /// Totals by key, in the order in which the keys first occurred.
    pub(super) fn into_py(self, py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
        let mut keys: Vec<_> = self.numbers.into_iter().collect();
        keys.sort_unstable_by_key(|entry| entry.1);
        let totals = PyDict::new(py);
        for ((key, _), total) in keys.into_iter().zip(self.totals) {
            totals.set_item(PyString::new(py, &key), scalar_to_py(py, total))?;
        }
        Ok(totals)
    }
}
