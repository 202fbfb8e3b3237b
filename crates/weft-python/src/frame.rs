//! `FrameExpr`: the handle that Python's collections hold beside their pandas meta.
//!
//! Every method either gives a new handle or raises `NotImplementedError`, which says that there
//! is no native kernel with exactly pandas' result: the face then makes a host step of it.

use pyo3::exceptions::{PyKeyError, PyNotImplementedError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyString};
use weft_data::{DType, Kind, LayerRef, TimeUnit};
use weft_frame::{
    Agg, Arg, BinaryOp, CsvTable, DtField, Expr, ExprError, Func, Literal, Node, Op, Scalar, UnaryOp, lower,
};
use weft_graph::Key;

use crate::arrow::{self, label_to_py};
use crate::csv::PyCsvSource;
use crate::graph::Graph;
use crate::key::key_to_py;
use crate::text;

/// A column that needed another dtype than planned: path, partition, label, planned dtype, dtype found.
type Promoted<'py> = (String, usize, Bound<'py, PyAny>, String, String);

/// An expression over tables: immutable, shared, named by its content.
///
/// Two handles are equal when they describe the same thing. Operations that have no native kernel
/// raise ``NotImplementedError``.
#[pyclass(frozen, name = "FrameExpr", module = "weft._weft")]
#[derive(Debug)]
pub(crate) struct FrameExpr {
    pub(crate) expr: Expr,
}

pub(crate) fn raise(error: ExprError) -> PyErr {
    match error {
        ExprError::Unsupported(what) => PyNotImplementedError::new_err(what),
        ExprError::NoColumn { .. } => PyKeyError::new_err(error.to_string()),
        ExprError::Invalid(message) => PyValueError::new_err(message),
    }
}

pub(crate) fn wrap(expr: Result<Expr, ExprError>) -> PyResult<FrameExpr> {
    expr.map(|expr| FrameExpr { expr }).map_err(raise)
}

pub(crate) fn unsupported(what: impl Into<String>) -> PyErr {
    PyNotImplementedError::new_err(what.into())
}

/// A column label. Raises `NotImplementedError` for labels that frames cannot have.
pub(crate) fn label_from_py(object: &Bound<'_, PyAny>) -> PyResult<Key> {
    arrow::label_from_py(object).map_err(|error| unsupported(error.to_string()))
}

fn optional_label(object: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Key>> {
    object.map(label_from_py).transpose()
}

fn dtype_from_name(name: &str) -> PyResult<DType> {
    DType::from_name(name).ok_or_else(|| unsupported(format!("the dtype {name}")))
}

/// A value that the user wrote: Python and NumPy scalars, `Timestamp`, `Timedelta`, None, NaN, NaT.
fn literal_from_py(object: &Bound<'_, PyAny>) -> PyResult<Literal> {
    if object.is_none() {
        return Ok(Literal::weak(Scalar::Missing));
    }
    if let Ok(value) = object.cast_exact::<PyBool>() {
        return Ok(Literal::weak(Scalar::Bool(value.is_true())));
    }
    if object.is_exact_instance_of::<PyInt>() {
        return integer_from_py(object).map(Literal::weak);
    }
    if let Ok(value) = object.cast_exact::<PyFloat>() {
        return Ok(Literal::weak(float_scalar(value.value())));
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Literal::weak(Scalar::Str(text.to_cow()?.as_ref().into())));
    }
    let class = object.get_type();
    let name = class.name()?.to_string();
    match name.as_str() {
        "Timestamp" => {
            let unit = time_unit(object)?;
            let zone = match object.getattr("tz")? {
                zone if zone.is_none() => None,
                zone => Some(zone.str()?.to_cow()?.as_ref().into()),
            };
            let value = object.getattr("_value")?.extract()?;
            return Ok(Literal::weak(Scalar::Datetime { value, unit, zone }));
        }
        "Timedelta" => {
            let value = object.getattr("_value")?.extract()?;
            return Ok(Literal::weak(Scalar::Timedelta { value, unit: time_unit(object)? }));
        }
        "date" => {
            let days: i64 = object.call_method0("toordinal")?.extract()?;
            // Day 719,163 of year 1 is 1970-01-01.
            let days = i32::try_from(days - 719_163).map_err(|_| unsupported("a date out of range"))?;
            return Ok(Literal::weak(Scalar::Date(days)));
        }
        "Decimal" => return decimal_from_py(object).map(Literal::weak),
        "NaTType" | "NAType" => return Ok(Literal::weak(Scalar::Missing)),
        _ => {}
    }
    // pandas makes Python numbers of NumPy's: they do not take part in promotion.
    if let Ok(dtype) = object.getattr("dtype") {
        let name = dtype.str()?.to_string();
        let item = || object.call_method0("item");
        match DType::from_name(&name) {
            Some(DType::Bool) => return Ok(Literal::weak(Scalar::Bool(item()?.extract()?))),
            Some(dtype) if dtype.is_float() => return Ok(Literal::weak(float_scalar(item()?.extract()?))),
            Some(dtype) if dtype.is_integer() => return Ok(Literal::weak(integer_from_py(&item()?)?)),
            _ => return Err(unsupported(format!("a NumPy scalar of {name}"))),
        }
    }
    Err(unsupported(format!("a {name} as value")))
}

/// A `decimal.Decimal`, as pyarrow sees it: with the digits that it is written with.
fn decimal_from_py(object: &Bound<'_, PyAny>) -> PyResult<Scalar> {
    let parts = object.call_method0("as_tuple")?;
    let (sign, digits, exponent): (u8, Vec<u8>, i32) =
        parts.extract().map_err(|_| unsupported("a decimal that is not finite"))?;
    if !(-38..=0).contains(&exponent) || digits.len() > 38 {
        return Err(unsupported("a decimal of this size"));
    }
    let value = digits.iter().fold(0i128, |value, &digit| value * 10 + digit as i128);
    let value = if sign == 1 { -value } else { value };
    let precision = (digits.len() as i32).max(-exponent) as u8;
    Ok(Scalar::Decimal { value, precision, scale: -exponent as i8 })
}

fn float_scalar(value: f64) -> Scalar {
    if value.is_nan() { Scalar::Missing } else { Scalar::Float(value) }
}

fn integer_from_py(object: &Bound<'_, PyAny>) -> PyResult<Scalar> {
    if let Ok(value) = object.extract::<i64>() {
        return Ok(Scalar::Int(value));
    }
    match object.extract::<u64>() {
        Ok(value) => Ok(Scalar::UInt(value)),
        Err(_) => Err(unsupported("an integer of more than 64 bits")),
    }
}

fn time_unit(object: &Bound<'_, PyAny>) -> PyResult<TimeUnit> {
    let unit: String = object.getattr("unit")?.extract()?;
    TimeUnit::from_name(&unit).ok_or_else(|| unsupported(format!("the time unit {unit}")))
}

fn arg_from_py(object: &Bound<'_, PyAny>) -> PyResult<Arg> {
    if let Ok(handle) = object.cast::<FrameExpr>() {
        return Ok(Arg::from(&handle.get().expr));
    }
    literal_from_py(object).map(Arg::Literal)
}

fn func_from_py(name: &str, ddof: Option<i64>, dropna: Option<bool>) -> PyResult<Func> {
    let func = Func::from_name(name).ok_or_else(|| unsupported(format!("the aggregation {name}")))?;
    Ok(match func {
        Func::Var { ddof: default } => Func::Var { ddof: ddof.unwrap_or(default) },
        Func::Std { ddof: default } => Func::Std { ddof: ddof.unwrap_or(default) },
        Func::NUnique { dropna: default } => Func::NUnique { dropna: dropna.unwrap_or(default) },
        other => other,
    })
}

/// `"table"`, `"series"` or `"unnamed"` (a Series without a name).
pub(crate) fn kind_from_name(name: &str) -> PyResult<Kind> {
    match name {
        "table" => Ok(Kind::Table),
        "series" => Ok(Kind::Series { named: true }),
        "unnamed" => Ok(Kind::Series { named: false }),
        "scalar" => Ok(Kind::Scalar),
        other => Err(PyValueError::new_err(format!(
            "kind is 'table', 'series', 'unnamed' or 'scalar', not {other:?}"
        ))),
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Table => "table",
        Kind::Series { named: true } => "series",
        Kind::Series { named: false } => "unnamed",
        Kind::Scalar => "scalar",
    }
}

/// Lowers several expressions together, so that they share the passes over what they have in
/// common. Gives their graph, and for each expression the list of its keys.
#[pyfunction]
fn lower_many<'py>(
    py: Python<'py>,
    exprs: Vec<PyRef<'py, FrameExpr>>,
) -> PyResult<(Graph, Vec<Bound<'py, PyList>>)> {
    let exprs: Vec<Expr> = exprs.iter().map(|handle| handle.expr.clone()).collect();
    let layers = lower(&exprs).map_err(raise)?;
    let keys = layers.iter().map(|layer| layer_keys(py, layer)).collect::<PyResult<_>>()?;
    Ok((Graph::new(layers), keys))
}

fn layer_keys<'py>(py: Python<'py>, layer: &LayerRef) -> PyResult<Bound<'py, PyList>> {
    let keys = PyList::empty(py);
    for index in 0..layer.len() as u32 {
        keys.append(key_to_py(py, &layer.key(index))?)?;
    }
    Ok(keys)
}

#[pymethods]
impl FrameExpr {
    /// The rows of a planned CSV source. `token` identifies what paths and schema do not: the
    /// options, and the files' times of change.
    #[staticmethod]
    #[pyo3(signature = (source, token, name="read_csv"))]
    fn csv(source: &PyCsvSource, token: &str, name: &str) -> Self {
        FrameExpr { expr: CsvTable::new(source.source.clone(), name, token).expr() }
    }

    /// The rows of a planned Parquet source. `token` identifies what paths and columns do not.
    #[staticmethod]
    fn parquet(source: &crate::parquet::PyParquetSource, token: &str) -> Self {
        FrameExpr { expr: weft_frame::ParquetTable::new(source.source.clone(), token).expr() }
    }

    /// Number of rows, if no partition must be read to know it.
    fn known_rows(&self) -> Option<usize> {
        self.expr.known_rows()
    }

    /// Columns of CSV sources below that needed another dtype than planned, since the last call:
    /// ``[(path, partition, label, from, to), …]``.
    fn take_promotions<'py>(&self, py: Python<'py>) -> PyResult<Vec<Promoted<'py>>> {
        let mut found = Vec::new();
        for source in self.expr.sources() {
            for (promotion, label) in source.take_promotions() {
                let label = label_to_py(py, &label)?;
                let (from, to) = (promotion.from.to_string(), promotion.to.to_string());
                found.push((promotion.path, promotion.partition, label, from, to));
            }
        }
        Ok(found)
    }

    /// The graph that makes it, with a task for each partition.
    fn graph(&self) -> PyResult<Graph> {
        Ok(Graph::new(lower(std::slice::from_ref(&self.expr)).map_err(raise)?))
    }

    /// The keys of its partitions.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let keys = PyList::empty(py);
        for i in 0..self.expr.npartitions() {
            keys.append((self.expr.name(), i))?;
        }
        Ok(keys)
    }

    /// ``"native"``, ``"fallback"`` or ``"host"`` (data that Python brings in): the step that makes it.
    #[getter]
    fn lane(&self) -> &'static str {
        match self.expr.node() {
            Node::Host(step) if step.fallback => "fallback",
            Node::Host(_) => "host",
            _ => "native",
        }
    }

    /// The deterministic name that its keys start with.
    #[getter]
    fn name(&self) -> String {
        self.expr.name()
    }

    #[getter]
    fn npartitions(&self) -> u32 {
        self.expr.npartitions()
    }

    /// ``(label, dtype name)`` of each column; the dtype is None for what only pandas can hold.
    #[getter]
    fn schema<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for field in &self.expr.schema().fields {
            let dtype = field.dtype.as_ref().map(|dtype| dtype.to_string());
            list.append((label_to_py(py, &field.label)?, dtype))?;
        }
        Ok(list)
    }

    /// ``"table"``, ``"series"``, ``"unnamed"`` (a Series without a name) or ``"scalar"``.
    #[getter]
    fn kind(&self) -> &'static str {
        kind_name(self.expr.schema().kind)
    }

    /// Equal for handles whose rows are the same, one by one.
    #[getter]
    fn space(&self) -> String {
        format!("{:032x}", self.expr.space())
    }

    /// The steps as indented text, each marked native or fallback.
    fn explain(&self) -> String {
        self.expr.explain()
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, pyo3::types::PyBytes>, Bound<'py, PyList>))> {
        crate::frame_portable::reduce(py, &self.expr)
    }

    fn __repr__(&self) -> String {
        format!("FrameExpr({}, npartitions={})", self.expr.name(), self.expr.npartitions())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<FrameExpr>().is_ok_and(|other| other.get().expr == self.expr)
    }

    fn __hash__(&self) -> u64 {
        self.expr.digest() as u64
    }

    /// A table of some columns, in the order given.
    fn project(&self, labels: Vec<Bound<'_, PyAny>>) -> PyResult<Self> {
        wrap(self.expr.project(labels.iter().map(label_from_py).collect::<PyResult<_>>()?))
    }

    /// One column as a Series.
    fn column(&self, label: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(self.expr.column(label_from_py(label)?))
    }

    /// Adds or replaces columns: ``[(label, FrameExpr of a Series), …]``.
    fn assign(&self, columns: Vec<(Bound<'_, PyAny>, PyRef<'_, FrameExpr>)>) -> PyResult<Self> {
        wrap(self.expr.assign(series_list(columns)?))
    }

    /// A table of Series of the same rows: ``[(label, FrameExpr), …]``.
    #[staticmethod]
    fn table(columns: Vec<(Bound<'_, PyAny>, PyRef<'_, FrameExpr>)>) -> PyResult<Self> {
        wrap(Expr::table(series_list(columns)?))
    }

    /// New labels for all columns of a table.
    fn rename(&self, labels: Vec<Bound<'_, PyAny>>) -> PyResult<Self> {
        wrap(self.expr.rename(labels.iter().map(label_from_py).collect::<PyResult<_>>()?))
    }

    /// A Series under another name, or none.
    fn rename_series(&self, name: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        wrap(self.expr.rename_series(optional_label(name.as_ref())?))
    }

    /// A Series as a table of one column.
    #[pyo3(signature = (name=None))]
    fn to_frame(&self, name: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        wrap(self.expr.to_frame(optional_label(name.as_ref())?))
    }

    /// ``neg``, ``pos``, ``invert``, ``abs``, ``isna`` or ``notna``.
    fn unary(&self, op: &str) -> PyResult<Self> {
        let op = UnaryOp::from_name(op).ok_or_else(|| unsupported(format!("the operation {op}")))?;
        wrap(self.expr.unary(op))
    }

    /// An operator by its name in Python's `operator` (``add``, ``truediv``, ``lt``, ``and``, …) with a
    /// handle or a value; `reverse`: the other one stands on the left.
    #[pyo3(signature = (op, other, reverse=false))]
    fn binary(&self, op: &str, other: &Bound<'_, PyAny>, reverse: bool) -> PyResult<Self> {
        let op = BinaryOp::from_name(op.trim_matches('_'))
            .ok_or_else(|| unsupported(format!("the operation {op}")))?;
        let (own, other) = (Arg::from(&self.expr), arg_from_py(other)?);
        wrap(if reverse { Expr::binary(op, other, own) } else { Expr::binary(op, own, other) })
    }

    /// A field of a datetime Series: ``hour``, ``dayofweek``, ….
    fn dt(&self, field: &str) -> PyResult<Self> {
        let field = DtField::from_name(field).ok_or_else(|| unsupported(format!("dt.{field}")))?;
        wrap(self.expr.dt(field))
    }

    /// A method of text: ``startswith``, ``endswith`` (a text or several), ``contains`` (a pattern, and whether
    /// it is a regular expression), ``slice`` (start, stop), ``replace`` (a text, another, how often at most),
    /// ``pad`` (width, side, character), ``strip`` (characters or None), ``len``, ``upper`` and others.
    #[pyo3(signature = (method, *args))]
    fn text(&self, method: &str, args: &Bound<'_, pyo3::types::PyTuple>) -> PyResult<Self> {
        let op = text::operation(method, args)?;
        wrap(Expr::elementwise(Op::Text(op), vec![Arg::from(&self.expr)]))
    }

    /// The row labels as columns of these names and dtypes; with none they are dropped.
    fn reset_index(&self, levels: Vec<(Bound<'_, PyAny>, String)>) -> PyResult<Self> {
        let levels = levels
            .iter()
            .map(|(label, dtype)| Ok((label_from_py(label)?, dtype_from_name(dtype)?)))
            .collect::<PyResult<_>>()?;
        wrap(self.expr.reset_index(levels))
    }

    /// How many rows there are at most, and how many are expected, as guesses; None if nothing is known.
    fn estimated_rows(&self) -> Option<(usize, f64)> {
        Some((self.expr.estimated_rows()?, self.expr.expected_rows()?))
    }

    fn fillna(&self, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(self.expr.fillna(literal_from_py(value)?))
    }

    /// A Series of one value for each row.
    fn filled(&self, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(self.expr.filled(literal_from_py(value)?))
    }

    /// Another dtype, by pandas' name.
    fn astype(&self, dtype: &str) -> PyResult<Self> {
        wrap(self.expr.astype(dtype_from_name(dtype)?))
    }

    fn isin(&self, values: Vec<Bound<'_, PyAny>>) -> PyResult<Self> {
        let values = values.iter().map(|value| literal_from_py(value).map(|literal| literal.value));
        wrap(self.expr.isin(values.collect::<PyResult<_>>()?))
    }

    #[pyo3(signature = (decimals=0))]
    fn round(&self, decimals: i32) -> PyResult<Self> {
        wrap(self.expr.round(decimals))
    }

    /// Whether values lie between two others; `inclusive`: both, neither, left or right.
    #[pyo3(signature = (left, right, inclusive="both"))]
    fn between(&self, left: &Bound<'_, PyAny>, right: &Bound<'_, PyAny>, inclusive: &str) -> PyResult<Self> {
        let (above, below) = match inclusive {
            "both" => (BinaryOp::Ge, BinaryOp::Le),
            "left" => (BinaryOp::Ge, BinaryOp::Lt),
            "right" => (BinaryOp::Gt, BinaryOp::Le),
            "neither" => (BinaryOp::Gt, BinaryOp::Lt),
            _ => {
                return Err(PyValueError::new_err(
                    "Inclusive has to be either string of 'both','left', 'right', or 'neither'.",
                ));
            }
        };
        let above = Expr::binary(above, &self.expr, arg_from_py(left)?).map_err(raise)?;
        let below = Expr::binary(below, &self.expr, arg_from_py(right)?).map_err(raise)?;
        wrap(Expr::binary(BinaryOp::And, above, below))
    }

    #[pyo3(signature = (lower=None, upper=None))]
    fn clip(&self, lower: Option<Bound<'_, PyAny>>, upper: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        let lower = lower.as_ref().map(literal_from_py).transpose()?;
        let upper = upper.as_ref().map(literal_from_py).transpose()?;
        wrap(self.expr.clip(lower, upper))
    }

    /// Own values where `condition` holds, else `other` (missing by default).
    #[pyo3(name = "where", signature = (condition, other=None))]
    fn where_(&self, condition: &FrameExpr, other: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        let other = match &other {
            Some(other) => arg_from_py(other)?,
            None => Arg::Literal(Literal::weak(Scalar::Missing)),
        };
        wrap(self.expr.where_(&condition.expr, other))
    }

    /// `other` where `condition` holds, else own values.
    #[pyo3(signature = (condition, other=None))]
    fn mask(&self, condition: &FrameExpr, other: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        let other = match &other {
            Some(other) => arg_from_py(other)?,
            None => Arg::Literal(Literal::weak(Scalar::Missing)),
        };
        wrap(Expr::elementwise(Op::Where, vec![(&condition.expr).into(), other, (&self.expr).into()]))
    }

    /// The rows where a bool Series of the same rows is True.
    fn filter(&self, mask: &FrameExpr) -> PyResult<Self> {
        wrap(self.expr.filter(&mask.expr))
    }

    /// A Series to a scalar, a table to a Series with one value for each column:
    /// ``size count sum prod mean min max var std any all nunique``.
    #[pyo3(signature = (func, *, ddof=None, dropna=None))]
    fn reduce(&self, func: &str, ddof: Option<i64>, dropna: Option<bool>) -> PyResult<Self> {
        wrap(self.expr.reduce(func_from_py(func, ddof, dropna)?))
    }

    /// Number of rows, as a scalar.
    fn len(&self) -> PyResult<Self> {
        wrap(self.expr.len())
    }

    /// Aggregates groups of rows.
    ///
    /// `keys` is ``[(index name or None, FrameExpr of a Series), …]``; `aggs` is
    /// ``[(label, func, FrameExpr of a Series or None, {"ddof": …} or None), …]``; `kind` says what the
    /// result is: ``"table"``, ``"series"`` or ``"unnamed"`` (as ``groupby(...).size()``).
    #[pyo3(signature = (keys, aggs, *, dropna=true, sort=true, kind="table", split_out=1))]
    #[allow(clippy::type_complexity, reason = "the shape of the Python call, extracted in one place")]
    fn groupby(
        &self,
        keys: Vec<(Option<Bound<'_, PyAny>>, PyRef<'_, FrameExpr>)>,
        aggs: Vec<(
            Bound<'_, PyAny>,
            String,
            Option<PyRef<'_, FrameExpr>>,
            Option<std::collections::HashMap<String, i64>>,
        )>,
        dropna: bool,
        sort: bool,
        kind: &str,
        split_out: u32,
    ) -> PyResult<Self> {
        let keys = keys
            .iter()
            .map(|(name, key)| Ok((optional_label(name.as_ref())?, key.expr.clone())))
            .collect::<PyResult<Vec<_>>>()?;
        let aggs = aggs
            .iter()
            .map(|(label, func, input, options)| {
                let option = |name: &str| options.as_ref().and_then(|options| options.get(name).copied());
                let func = func_from_py(func, option("ddof"), option("dropna").map(|flag| flag != 0))?;
                let input = input.as_ref().map(|input| input.expr.clone());
                Ok(Agg { label: label_from_py(label)?, func, input })
            })
            .collect::<PyResult<Vec<_>>>()?;
        wrap(self.expr.groupby(keys, aggs, dropna, sort, kind_from_name(kind)?, split_out))
    }

    /// How often each value of a Series occurs.
    #[pyo3(signature = (*, sort=true, ascending=false, dropna=true, normalize=false))]
    fn value_counts(&self, sort: bool, ascending: bool, dropna: bool, normalize: bool) -> PyResult<Self> {
        wrap(self.expr.value_counts(sort, ascending, dropna, normalize))
    }

    /// The first `n` rows of the first `npartitions` partitions (-1: of all), as one partition.
    #[pyo3(signature = (n=5, npartitions=1))]
    fn head(&self, n: usize, npartitions: i64) -> PyResult<Self> {
        let partitions = u32::try_from(npartitions).unwrap_or(u32::MAX);
        wrap(self.expr.head(n, partitions))
    }

    /// The last `n` rows of the last partition.
    #[pyo3(signature = (n=5))]
    fn tail(&self, n: usize) -> PyResult<Self> {
        wrap(self.expr.tail(n))
    }

    /// Some partitions, in this order.
    fn partitions(&self, which: Vec<u32>) -> PyResult<Self> {
        wrap(self.expr.partitions(which))
    }

    /// The partitions of several tables or Series that look the same, one after the other.
    #[staticmethod]
    fn concat(inputs: Vec<PyRef<'_, FrameExpr>>) -> PyResult<Self> {
        wrap(Expr::concat(inputs.iter().map(|input| input.expr.clone()).collect()))
    }
}

/// The names of all kernels: operations row by row (``row.add``), reductions and aggregations of groups
/// (``agg.sum``), joins (``join.left``).
#[pyfunction]
fn frame_kernels() -> Vec<String> {
    let mut names: Vec<String> =
        weft_frame::kernel::names().into_iter().map(|name| format!("row.{name}")).collect();
    names.extend(Func::NAMES.iter().map(|name| format!("agg.{name}")));
    let hows = ["inner", "left", "right", "outer", "leftsemi", "leftanti"];
    names.extend(
        hows.iter().filter(|how| weft_frame::How::from_name(how).is_some()).map(|how| format!("join.{how}")),
    );
    names
}

fn series_list(columns: Vec<(Bound<'_, PyAny>, PyRef<'_, FrameExpr>)>) -> PyResult<Vec<(Key, Expr)>> {
    columns.iter().map(|(label, series)| Ok((label_from_py(label)?, series.expr.clone()))).collect()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<FrameExpr>()?;
    module.add_function(wrap_pyfunction!(frame_kernels, module)?)?;
    module.add_function(wrap_pyfunction!(lower_many, module)?)
}
