//! Constructors of expressions: they check, infer schemas, and refuse what has no kernel.

use std::sync::Arc;

use weft_data::{ArrowType, DType, Kind};
use weft_graph::Key;

use crate::aggregate::Func;
use crate::dtype::{self, ArgType};
use crate::error::ExprError;
use crate::expr::{Agg, Arg, Expr, Field, Finish, HostReads, HostStep, Node, Schema};
use crate::kernel::{BinaryOp, DtField, Op, UnaryOp};
use crate::scalar::{Literal, Scalar};
use crate::source::Source;

type Result<T> = std::result::Result<T, ExprError>;

/// The label that an unnamed Series has as a column.
pub(crate) fn unnamed() -> Key {
    Key::Int(0)
}

impl From<Literal> for Arg {
    fn from(literal: Literal) -> Self {
        Arg::Literal(literal)
    }
}

impl From<&Expr> for Arg {
    /// A scalar expression is the same for all rows.
    fn from(expr: &Expr) -> Self {
        match expr.schema().kind {
            Kind::Scalar => Arg::Broadcast(expr.clone()),
            _ => Arg::Series(expr.clone()),
        }
    }
}

impl From<Expr> for Arg {
    fn from(expr: Expr) -> Self {
        Arg::from(&expr)
    }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Arg::Literal(value.into())
    }
}

impl From<i32> for Arg {
    fn from(value: i32) -> Self {
        Arg::Literal((value as i64).into())
    }
}

impl From<f64> for Arg {
    fn from(value: f64) -> Self {
        Arg::Literal(value.into())
    }
}

impl Expr {
    pub fn source(source: Arc<dyn Source>) -> Expr {
        let schema = Schema { fields: source.fields().to_vec(), kind: Kind::Table };
        let npartitions = source.npartitions();
        Expr::new(Node::Source(source), schema, npartitions)
    }

    /// A step of the host language that makes `npartitions` partitions that look like `schema`.
    pub fn host(step: HostStep, schema: Schema, npartitions: u32) -> Result<Expr> {
        if let Some(tasks) = &step.tasks
            && (tasks.reads.len() != npartitions as usize || !step.inputs.is_empty())
        {
            return Err(ExprError::Invalid(format!(
                "{} makes {npartitions} partitions from {} tasks and {} tables",
                step.name,
                tasks.reads.len(),
                step.inputs.len()
            )));
        }
        for input in &step.inputs {
            let n = input.expr.npartitions();
            if input.reads == HostReads::Aligned && n != npartitions && n != 1 {
                return Err(ExprError::Invalid(format!(
                    "{} makes {npartitions} partitions from {n}: aligned inputs need as many, or one",
                    step.name
                )));
            }
            if let HostReads::Listed(lists) = &input.reads {
                let beyond = lists.iter().flatten().find(|&&i| i >= n);
                if step.inputs.len() != 1 || lists.len() != npartitions as usize || beyond.is_some() {
                    return Err(ExprError::Invalid(format!(
                        "{} makes {npartitions} partitions from {} inputs with {} lists of {n} partitions",
                        step.name,
                        step.inputs.len(),
                        lists.len()
                    )));
                }
            }
        }
        Ok(Expr::new(Node::Host(step), schema, npartitions))
    }

    fn derive(&self, node: Node, fields: Vec<Field>, kind: Kind) -> Expr {
        Expr::new(node, Schema { fields, kind }, self.npartitions())
    }

    /// Whether native steps can work on its partitions.
    pub(crate) fn check_native(&self) -> Result<()> {
        if let Some(field) = self.schema().fields.iter().find(|field| field.dtype.is_none()) {
            return ExprError::unsupported(format!(
                "column {} holds what only the host can hold",
                field.label
            ));
        }
        match self.node() {
            Node::Host(step) if step.bridge.is_none() => {
                ExprError::unsupported(format!("native steps after {}", step.name))
            }
            Node::Concat { inputs } => inputs.iter().try_for_each(Expr::check_native),
            Node::Partitions { input, .. } => input.check_native(),
            _ => Ok(()),
        }
    }

    fn field(&self, label: &Key) -> Result<&Field> {
        match self.schema().position(label) {
            Some(i) => Ok(&self.schema().fields[i]),
            None if self.schema().fields.iter().any(|field| &field.label == label) => {
                ExprError::unsupported(format!("several columns are called {label}"))
            }
            None => Err(ExprError::NoColumn { label: label.clone(), have: self.schema().labels() }),
        }
    }

    /// The dtype of a Series.
    pub fn dtype(&self) -> Result<&DType> {
        match (&self.schema().kind, &self.schema().fields[..]) {
            (Kind::Series { .. } | Kind::Scalar, [Field { dtype: Some(dtype), .. }]) => Ok(dtype),
            (Kind::Table, _) => Err(ExprError::Invalid("expected a Series, found a table".into())),
            _ => ExprError::unsupported("a column that only the host can hold"),
        }
    }

    /// The Series' name.
    pub fn series_name(&self) -> Option<&Key> {
        match self.schema().kind {
            Kind::Series { named: true } => Some(&self.schema().fields[0].label),
            _ => None,
        }
    }

    pub fn project(&self, labels: Vec<Key>) -> Result<Expr> {
        self.check_native()?;
        let fields: Result<Vec<Field>> = labels.iter().map(|label| self.field(label).cloned()).collect();
        Ok(self.derive(Node::Project { input: self.clone(), labels }, fields?, Kind::Table))
    }

    pub fn column(&self, label: impl Into<Key>) -> Result<Expr> {
        let label = label.into();
        self.check_native()?;
        let field = self.field(&label)?.clone();
        let node = Node::Column { input: self.clone(), label };
        Ok(self.derive(node, vec![field], Kind::Series { named: true }))
    }

    /// Adds or replaces columns.
    pub fn assign(&self, columns: Vec<(Key, Expr)>) -> Result<Expr> {
        self.check_native()?;
        let mut fields = self.schema().fields.clone();
        for (label, series) in &columns {
            self.check_rows(series)?;
            let field = Field { label: label.clone(), dtype: Some(series.dtype()?.clone()) };
            match self.schema().position(label).or(fields.iter().position(|f| &f.label == label)) {
                Some(i) => fields[i] = field,
                None => fields.push(field),
            }
        }
        Ok(self.derive(Node::Assign { input: self.clone(), columns }, fields, Kind::Table))
    }

    /// A table made of Series of one row space.
    pub fn table(columns: Vec<(Key, Expr)>) -> Result<Expr> {
        let Some((_, first)) = columns.first() else {
            return ExprError::unsupported("a table without columns");
        };
        let first = first.clone();
        let mut fields = Vec::with_capacity(columns.len());
        for (label, series) in &columns {
            first.check_rows(series)?;
            fields.push(Field { label: label.clone(), dtype: Some(series.dtype()?.clone()) });
        }
        Ok(first.derive(Node::Table { columns }, fields, Kind::Table))
    }

    /// New labels for all columns of a table.
    pub fn rename(&self, labels: Vec<Key>) -> Result<Expr> {
        self.check_native()?;
        if labels.len() != self.schema().fields.len() {
            return Err(ExprError::Invalid(format!(
                "Length mismatch: Expected axis has {} elements, new values have {} elements",
                self.schema().fields.len(),
                labels.len()
            )));
        }
        let fields = labels
            .iter()
            .zip(&self.schema().fields)
            .map(|(label, field)| Field { label: label.clone(), dtype: field.dtype.clone() })
            .collect();
        let kind = self.schema().kind;
        Ok(self.derive(Node::Rename { input: self.clone(), labels, kind }, fields, kind))
    }

    /// The Series under another name, or none.
    pub fn rename_series(&self, name: Option<Key>) -> Result<Expr> {
        self.check_native()?;
        let kind = Kind::Series { named: name.is_some() };
        let label = name.unwrap_or_else(unnamed);
        let fields = vec![Field { label: label.clone(), dtype: Some(self.dtype()?.clone()) }];
        let node = Node::Rename { input: self.clone(), labels: vec![label], kind };
        Ok(self.derive(node, fields, kind))
    }

    /// A Series as a table of one column; with `name`, under that label.
    pub fn to_frame(&self, name: Option<Key>) -> Result<Expr> {
        let label = name.or_else(|| self.series_name().cloned()).unwrap_or_else(unnamed);
        Expr::table(vec![(label, self.clone())])
    }

    fn check_rows(&self, other: &Expr) -> Result<()> {
        if self.space() == other.space() {
            return Ok(());
        }
        ExprError::unsupported("operands whose rows are not known to be the same")
    }

    /// Applies an operation row by row; on a table, column by column.
    pub fn elementwise(op: Op, args: Vec<Arg>) -> Result<Expr> {
        if args.iter().any(|arg| matches!(arg, Arg::Series(e) if e.schema().kind == Kind::Table)) {
            return Self::columnwise(op, args);
        }
        let mut rows: Option<&Expr> = None;
        let mut name: Option<Option<&Key>> = None;
        let mut types = Vec::with_capacity(args.len());
        for arg in &args {
            match arg {
                Arg::Series(series) => {
                    series.check_native()?;
                    match rows {
                        Some(first) => first.check_rows(series)?,
                        None => rows = Some(series),
                    }
                    // Two Series of one name keep it.
                    name = Some(match name {
                        Some(name) if name != series.series_name() => None,
                        _ => series.series_name(),
                    });
                    types.push(ArgType::Series(series.dtype()?));
                }
                Arg::Broadcast(scalar) => types.push(ArgType::Series(scalar.dtype()?)),
                Arg::Literal(literal) => types.push(ArgType::Literal(literal)),
            }
        }
        let Some(rows) = rows.cloned() else {
            return ExprError::unsupported("an operation on scalars alone");
        };
        // The values come from the first argument; the others only shape them.
        if !matches!(op, Op::Binary(_)) {
            let values = if op == Op::Where { &args[1..] } else { &args[..1] };
            let series = values.iter().find_map(|arg| match arg {
                Arg::Series(series) => Some(series),
                _ => None,
            });
            name = series.map(Expr::series_name).or(name);
        }
        let dtype = dtype::result(&op, &types)?;
        let name = name.flatten().cloned();
        let kind = Kind::Series { named: name.is_some() };
        let fields = vec![Field { label: name.unwrap_or_else(unnamed), dtype: Some(dtype) }];
        Ok(rows.derive(Node::Elementwise { op, args }, fields, kind))
    }

    fn columnwise(op: Op, args: Vec<Arg>) -> Result<Expr> {
        let mut labels: Option<Vec<Key>> = None;
        for arg in &args {
            if let Arg::Series(table) = arg {
                if table.schema().kind != Kind::Table {
                    return ExprError::unsupported(format!("{} of a table and a Series", op.name()));
                }
                let own: Vec<Key> = table.schema().fields.iter().map(|f| f.label.clone()).collect();
                if labels.get_or_insert_with(|| own.clone()) != &own {
                    return ExprError::unsupported(format!("{} of tables with different columns", op.name()));
                }
            }
        }
        let columns: Result<Vec<(Key, Expr)>> = labels
            .unwrap_or_default()
            .into_iter()
            .map(|label| {
                let picked: Result<Vec<Arg>> = args
                    .iter()
                    .map(|arg| match arg {
                        Arg::Series(table) => Ok(Arg::Series(table.column(label.clone())?)),
                        other => Ok(other.clone()),
                    })
                    .collect();
                Ok((label, Expr::elementwise(op.clone(), picked?)?))
            })
            .collect();
        Expr::table(columns?)
    }

    pub fn unary(&self, op: UnaryOp) -> Result<Expr> {
        Expr::elementwise(Op::Unary(op), vec![Arg::Series(self.clone())])
    }

    pub fn binary(op: BinaryOp, left: impl Into<Arg>, right: impl Into<Arg>) -> Result<Expr> {
        Expr::elementwise(Op::Binary(op), vec![left.into(), right.into()])
    }

    pub fn dt(&self, field: DtField) -> Result<Expr> {
        Expr::elementwise(Op::Dt(field), vec![Arg::Series(self.clone())])
    }

    pub fn fillna(&self, value: Literal) -> Result<Expr> {
        Expr::elementwise(Op::FillNa, vec![self.into(), Arg::Literal(value)])
    }

    pub fn astype(&self, dtype: DType) -> Result<Expr> {
        Expr::elementwise(Op::Astype(dtype), vec![self.into()])
    }

    /// A Series of one value for each row of this table or Series.
    pub fn filled(&self, value: Literal) -> Result<Expr> {
        let rows = match self.schema().kind {
            Kind::Table => match self.schema().fields.first() {
                Some(field) => self.column(field.label.clone())?,
                None => return ExprError::unsupported("a value for a table without columns"),
            },
            _ => self.clone(),
        };
        Expr::elementwise(Op::Fill, vec![rows.into(), Arg::Literal(value)])
    }

    pub fn isin(&self, values: Vec<Scalar>) -> Result<Expr> {
        Expr::elementwise(Op::IsIn(values.into()), vec![self.into()])
    }

    pub fn round(&self, decimals: i32) -> Result<Expr> {
        Expr::elementwise(Op::Round(decimals), vec![self.into()])
    }

    /// Values within bounds; a missing value stays missing.
    pub fn clip(&self, lower: Option<Literal>, upper: Option<Literal>) -> Result<Expr> {
        let mut result = self.clone();
        if let Some(lower) = lower {
            result = Expr::elementwise(Op::ClipLower, vec![(&result).into(), lower.into()])?;
        }
        if let Some(upper) = upper {
            result = Expr::elementwise(Op::ClipUpper, vec![(&result).into(), upper.into()])?;
        }
        Ok(result)
    }

    /// Own values where `condition` holds, else `other`.
    pub fn where_(&self, condition: &Expr, other: impl Into<Arg>) -> Result<Expr> {
        Expr::elementwise(Op::Where, vec![condition.into(), self.into(), other.into()])
    }

    pub fn filter(&self, mask: &Expr) -> Result<Expr> {
        self.check_native()?;
        self.check_rows(mask)?;
        let is_bool = matches!(mask.dtype()?, DType::Bool | DType::Arrow(ArrowType::Bool));
        if !matches!(mask.schema().kind, Kind::Series { .. }) || !is_bool {
            return ExprError::unsupported("a mask that is not a bool Series");
        }
        let schema = self.schema().clone();
        Ok(self.derive(Node::Filter { input: self.clone(), mask: mask.clone() }, schema.fields, schema.kind))
    }

    /// Groups the rows of a table or Series by Series of its row space. The result has one
    /// partition, with the keys as index, or `split_out`, each with groups of its own.
    pub fn groupby(
        &self,
        keys: Vec<(Option<Key>, Expr)>,
        aggs: Vec<Agg>,
        dropna: bool,
        sort: bool,
        kind: Kind,
        split_out: u32,
    ) -> Result<Expr> {
        self.check_native()?;
        if keys.is_empty() {
            return Err(ExprError::Invalid("No group keys passed!".into()));
        }
        for (_, key) in &keys {
            self.check_rows(key)?;
            check_group_key(key.dtype()?)?;
        }
        if kind != Kind::Table && aggs.len() != 1 {
            return Err(ExprError::Invalid("a Series has one column".into()));
        }
        let mut fields = Vec::with_capacity(aggs.len());
        for agg in &aggs {
            fields.push(Field { label: agg.label.clone(), dtype: Some(self.agg_dtype(agg, true)?) });
        }
        let finish = Finish::Groups { kind };
        let node = Node::Aggregate { input: self.clone(), keys, aggs, dropna, sort, finish };
        Ok(Expr::new(node, Schema { fields, kind }, split_out.max(1)))
    }

    fn agg_dtype(&self, agg: &Agg, grouped: bool) -> Result<DType> {
        match &agg.input {
            None if agg.func == Func::Size => Ok(DType::Int64),
            None => Err(ExprError::Invalid(format!("{} needs a column", agg.func.name()))),
            Some(series) => {
                self.check_rows(series)?;
                agg.func.result(series.dtype()?, grouped)
            }
        }
    }

    /// A Series to a scalar, a table to a Series of one value for each column.
    pub fn reduce(&self, func: Func) -> Result<Expr> {
        self.check_native()?;
        let own = Agg { label: unnamed(), func, input: None };
        let (aggs, finish) = match self.schema().kind {
            Kind::Table if func != Func::Size => {
                let mut aggs = Vec::new();
                for field in &self.schema().fields {
                    let input = Some(self.column(field.label.clone())?);
                    aggs.push(Agg { label: field.label.clone(), func, input });
                }
                let labels = || self.schema().fields.iter().map(|field| &field.label);
                let (texts, numbers) = (|l: &Key| l.as_str().is_some(), |l: &Key| matches!(l, Key::Int(_)));
                if !labels().all(texts) && !labels().all(numbers) {
                    return ExprError::unsupported("an index of mixed labels");
                }
                (aggs, Finish::Columns)
            }
            _ if func == Func::Size => (vec![own], Finish::Scalar),
            _ => (vec![Agg { input: Some(self.clone()), ..own }], Finish::Scalar),
        };
        let mut common: Option<DType> = None;
        for agg in &aggs {
            let dtype = self.agg_dtype(agg, false)?;
            common = Some(match common {
                None => dtype,
                Some(DType::Bool) if dtype != DType::Bool => {
                    return ExprError::unsupported("a result of bools and numbers");
                }
                Some(other) if other != DType::Bool && dtype == DType::Bool => {
                    return ExprError::unsupported("a result of bools and numbers");
                }
                Some(other) => match dtype::promote(&other, &dtype) {
                    Some(dtype) => dtype,
                    None => return ExprError::unsupported("a result of mixed dtypes"),
                },
            });
        }
        let kind = if finish == Finish::Scalar { Kind::Scalar } else { Kind::Series { named: false } };
        let Some(dtype) = common else { return ExprError::unsupported("a table without columns") };
        let fields = vec![Field { label: unnamed(), dtype: Some(dtype) }];
        let (keys, input) = (Vec::new(), self.clone());
        let node = Node::Aggregate { input, keys, aggs, dropna: true, sort: false, finish };
        Ok(Expr::new(node, Schema { fields, kind }, 1))
    }

    /// Number of rows.
    pub fn len(&self) -> Result<Expr> {
        self.reduce(Func::Size)
    }

    /// How often each value of a Series occurs.
    pub fn value_counts(&self, sort: bool, ascending: bool, dropna: bool, normalize: bool) -> Result<Expr> {
        self.check_native()?;
        if let DType::Nullable(_) | DType::Arrow(_) = self.dtype()? {
            return ExprError::unsupported("value_counts of a nullable dtype");
        }
        let (label, dtype) = if normalize { ("proportion", DType::Float64) } else { ("count", DType::Int64) };
        let label = Key::from(label);
        let aggs = vec![Agg { label: label.clone(), func: Func::Size, input: None }];
        let keys = vec![(self.series_name().cloned(), self.clone())];
        let finish = Finish::Counts { sort, ascending, normalize };
        let node = Node::Aggregate { input: self.clone(), keys, aggs, dropna, sort: false, finish };
        let fields = vec![Field { label, dtype: Some(dtype) }];
        Ok(Expr::new(node, Schema { fields, kind: Kind::Series { named: true } }, 1))
    }

    /// The first `n` rows of the first `partitions` partitions.
    pub fn head(&self, n: usize, partitions: u32) -> Result<Expr> {
        self.check_native()?;
        let partitions = partitions.min(self.npartitions());
        Ok(Expr::new(Node::Head { input: self.clone(), n, partitions }, self.schema().clone(), 1))
    }

    /// The last `n` rows of the last partition.
    pub fn tail(&self, n: usize) -> Result<Expr> {
        self.check_native()?;
        Ok(Expr::new(Node::Tail { input: self.clone(), n }, self.schema().clone(), 1))
    }

    pub fn partitions(&self, which: Vec<u32>) -> Result<Expr> {
        if let Some(out) = which.iter().find(|&&i| i >= self.npartitions()) {
            return Err(ExprError::Invalid(format!(
                "there is no partition {out}: there are {}",
                self.npartitions()
            )));
        }
        let n = which.len() as u32;
        Ok(Expr::new(Node::Partitions { input: self.clone(), which }, self.schema().clone(), n))
    }

    /// The partitions of several tables or Series that look the same.
    pub fn concat(inputs: Vec<Expr>) -> Result<Expr> {
        let Some(first) = inputs.first() else {
            return Err(ExprError::Invalid("No objects to concatenate".into()));
        };
        if inputs.iter().any(|input| input.schema() != first.schema()) {
            return ExprError::unsupported("concat of tables with different columns");
        }
        let n = inputs.iter().map(Expr::npartitions).sum();
        let schema = first.schema().clone();
        Ok(Expr::new(Node::Concat { inputs }, schema, n))
    }
}

fn check_group_key(dtype: &DType) -> Result<()> {
    match dtype {
        DType::Nullable(_) | DType::Arrow(ArrowType::Double | ArrowType::Decimal { .. }) => {
            ExprError::unsupported(format!("a key of {dtype}"))
        }
        _ => Ok(()),
    }
}
