//! Rewriting expressions before they are lowered.
//!
//! Within a pass nothing needs rewriting ([`plan`](crate::plan)); between passes two things are worth it.
//! Steps that move rows move only the columns that somebody looks at later; and a join one of whose sides is
//! put together in one partition becomes a [`Probe`](crate::join::Probe), which is part of the other side's pass.
//!
//! First each expression learns, from what reads it, which columns are needed and whether the order of
//! its rows is looked at; then all are rebuilt, inputs first. What several expressions share is rebuilt once, with
//! the columns that any of them needs.

use hashbrown::{HashMap, HashSet};
use weft_graph::Key;

use crate::aggregate::Func;
use crate::error::ExprError;
use crate::exchange::KeyRef;
use crate::expr::{Agg, Arg, Expr, Finish, Node, Schema};

type Result<T> = std::result::Result<T, ExprError>;

/// Columns of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Columns {
    All,
    Some(HashSet<Key>),
}

impl Columns {
    pub(crate) fn none() -> Columns {
        Columns::Some(HashSet::new())
    }

    pub(crate) fn of_keys(keys: &[KeyRef]) -> Columns {
        let mut own = Columns::none();
        keys.iter().for_each(|key| own.add_key(key));
        own
    }

    pub(crate) fn has(&self, label: &Key) -> bool {
        match self {
            Columns::All => true,
            Columns::Some(labels) => labels.contains(label),
        }
    }

    pub(crate) fn add(&mut self, label: &Key) {
        if let Columns::Some(labels) = self {
            labels.insert(label.clone());
        }
    }

    pub(crate) fn add_key(&mut self, key: &KeyRef) {
        if let KeyRef::Column(label) = key {
            self.add(label);
        }
    }

    fn merge(&mut self, other: &Columns) {
        match (&mut *self, other) {
            (Columns::All, _) => {}
            (_, Columns::All) => *self = Columns::All,
            (Columns::Some(own), Columns::Some(other)) => own.extend(other.iter().cloned()),
        }
    }
}

/// What the readers of an expression look at.
#[derive(Clone, Debug)]
struct Need {
    columns: Columns,
    ordered: bool,
}

impl Need {
    fn all() -> Need {
        Need { columns: Columns::All, ordered: true }
    }

    fn with(&self, columns: Columns) -> Need {
        Need { columns, ordered: self.ordered }
    }
}

/// Expressions that give the same, for less.
pub(crate) fn optimize(exprs: &[Expr]) -> Result<Vec<Expr>> {
    let mut order = Vec::new();
    let mut seen = HashSet::new();
    for expr in exprs {
        visit(expr, &mut seen, &mut order);
    }
    if !order.iter().any(|expr| matches!(expr.node(), Node::Exchange(_))) {
        return Ok(exprs.to_vec());
    }
    let mut needs: HashMap<u128, Need> = exprs.iter().map(|expr| (expr.digest(), Need::all())).collect();
    // Readers before what they read.
    for expr in order.iter().rev() {
        let own = needs.get(&expr.digest()).cloned().unwrap_or_else(Need::all);
        for (input, need) in wanted(expr, &own) {
            match needs.entry(input.digest()) {
                hashbrown::hash_map::Entry::Vacant(entry) => {
                    entry.insert(need);
                }
                hashbrown::hash_map::Entry::Occupied(mut entry) => {
                    let known = entry.get_mut();
                    known.columns.merge(&need.columns);
                    known.ordered |= need.ordered;
                }
            }
        }
    }
    let held = held(&order);
    let mut done: HashMap<u128, Expr> = HashMap::new();
    for expr in &order {
        // Nobody needs it: a column that is assigned and never read.
        let Some(need) = needs.get(&expr.digest()) else { continue };
        let mut rebuilt = rebuild(expr, need, &done)?;
        if held.contains(&expr.digest()) && matches!(rebuilt.node(), Node::Probe(_)) {
            rebuilt = rebuilt.hold()?;
        }
        done.insert(expr.digest(), rebuilt);
    }
    exprs.iter().map(|expr| made(&done, expr)).collect()
}

/// Joins whose rows two passes read of which one waits for the other: `df.merge(df.groupby(…).mean())`. They
/// would be made twice.
fn held(order: &[Expr]) -> HashSet<u128> {
    // The joins that each expression is made of.
    let mut below: HashMap<u128, HashSet<u128>> = HashMap::new();
    let mut held = HashSet::new();
    for expr in order {
        let inputs = expr.node().inputs();
        let is_join = matches!(expr.node(), Node::Exchange(step) if step.tag() == "merge");
        if let (true, [left, right]) = (is_join, &inputs[..])
            && let (Some(left), Some(right)) = (below.get(&left.digest()), below.get(&right.digest()))
        {
            let common: Vec<u128> = left.intersection(right).copied().collect();
            // Those that no other one is made of.
            let inner: HashSet<u128> = common
                .iter()
                .flat_map(|join| below.get(join).into_iter().flatten().filter(move |other| *other != join))
                .copied()
                .collect();
            held.extend(common.iter().filter(|join| !inner.contains(*join)));
        }
        let mut own: HashSet<u128> =
            inputs.iter().filter_map(|input| below.get(&input.digest())).flatten().copied().collect();
        if is_join {
            own.insert(expr.digest());
        }
        below.insert(expr.digest(), own);
    }
    held
}

/// Inputs before what reads them.
fn visit(expr: &Expr, seen: &mut HashSet<u128>, order: &mut Vec<Expr>) {
    let mut pending = vec![(expr.clone(), false)];
    while let Some((expr, ready)) = pending.pop() {
        if ready {
            order.push(expr);
        } else if seen.insert(expr.digest()) {
            pending.push((expr.clone(), true));
            pending.extend(expr.node().inputs().into_iter().map(|input| (input, false)));
        }
    }
}

/// What an expression needs of each of its inputs.
fn wanted(expr: &Expr, own: &Need) -> Vec<(Expr, Need)> {
    let columns = |labels: &mut dyn Iterator<Item = &Key>| Columns::Some(labels.cloned().collect());
    let needed = |label: &Key| own.columns.has(label);
    match expr.node() {
        Node::Source(_) => Vec::new(),
        Node::Host(step) => step.inputs.iter().map(|input| (input.expr.clone(), Need::all())).collect(),
        Node::Project { input, labels } => {
            vec![(input.clone(), own.with(columns(&mut labels.iter().filter(|label| needed(label)))))]
        }
        Node::Column { input, label } => vec![(input.clone(), own.with(columns(&mut [label].into_iter())))],
        Node::Assign { input, columns: assigned } => {
            let mut rest = own.columns.clone();
            if let Columns::All = rest {
                rest = columns(&mut input.schema().fields.iter().map(|field| &field.label));
            }
            if let Columns::Some(labels) = &mut rest {
                assigned.iter().for_each(|(label, _)| {
                    labels.remove(label);
                });
            }
            let series = assigned.iter().filter(|(label, _)| needed(label));
            let mut wanted: Vec<(Expr, Need)> =
                series.map(|(_, series)| (series.clone(), own.with(Columns::All))).collect();
            wanted.push((input.clone(), own.with(rest)));
            wanted
        }
        Node::Table { columns } => {
            let series = kept(columns, &own.columns);
            series.into_iter().map(|(_, series)| (series, own.with(Columns::All))).collect()
        }
        Node::Rename { input, labels, .. } => {
            let pairs = labels.iter().zip(&input.schema().fields);
            let mut old = pairs.filter(|(label, _)| needed(label)).map(|(_, field)| &field.label);
            vec![(input.clone(), own.with(columns(&mut old)))]
        }
        Node::Elementwise { args, .. } => args
            .iter()
            .filter_map(|arg| match arg {
                Arg::Series(series) => Some((series.clone(), own.with(Columns::All))),
                Arg::Broadcast(scalar) => Some((scalar.clone(), Need::all())),
                Arg::Literal(_) => None,
            })
            .collect(),
        Node::Filter { input, mask } => {
            vec![(input.clone(), own.clone()), (mask.clone(), own.with(Columns::All))]
        }
        Node::Aggregate { input, keys, aggs, sort, finish, .. } => {
            let by_row = aggs.iter().any(|agg| matches!(agg.func, Func::First | Func::Last));
            let ordered = by_row || !keys.is_empty() && (!sort || matches!(finish, Finish::Counts { .. }));
            let need = |columns| Need { columns, ordered };
            let mut wanted = vec![(input.clone(), need(Columns::none()))];
            wanted.extend(keys.iter().map(|(_, key)| (key.clone(), need(Columns::All))));
            wanted.extend(
                aggs.iter().filter_map(|agg| agg.input.clone()).map(|input| (input, need(Columns::All))),
            );
            wanted
        }
        Node::Head { input, .. } | Node::Tail { input, .. } => {
            vec![(input.clone(), Need { columns: own.columns.clone(), ordered: true })]
        }
        Node::Partitions { input, .. } => vec![(input.clone(), own.clone())],
        Node::Concat { inputs } => inputs.iter().map(|input| (input.clone(), own.clone())).collect(),
        Node::Exchange(step) => {
            let wants = step.wants(&own.columns);
            let inputs = step.inputs().into_iter().zip(wants);
            inputs.map(|(input, columns)| (input, Need { columns, ordered: true })).collect()
        }
        // Only made here.
        Node::Probe(probe) => [&probe.rows, &probe.table].map(|input| (input.clone(), Need::all())).to_vec(),
    }
}

/// The columns of a table of Series that are needed; at least one, which says what the rows are.
fn kept(columns: &[(Key, Expr)], need: &Columns) -> Vec<(Key, Expr)> {
    let kept: Vec<_> = columns.iter().filter(|(label, _)| need.has(label)).cloned().collect();
    if kept.is_empty() { columns.iter().take(1).cloned().collect() } else { kept }
}

fn made(done: &HashMap<u128, Expr>, expr: &Expr) -> Result<Expr> {
    done.get(&expr.digest())
        .cloned()
        .ok_or_else(|| ExprError::Invalid(format!("{} was not rebuilt", expr.name())))
}

/// A table with no more columns than needed.
fn narrowed(expr: Expr, need: &Columns) -> Result<Expr> {
    let fields = &expr.schema().fields;
    let labels: Vec<Key> =
        fields.iter().filter(|field| need.has(&field.label)).map(|field| field.label.clone()).collect();
    if labels.len() == fields.len() || expr.schema().kind != weft_data::Kind::Table {
        return Ok(expr);
    }
    expr.project(labels)
}

fn rebuild(expr: &Expr, need: &Need, done: &HashMap<u128, Expr>) -> Result<Expr> {
    let made = |expr: &Expr| made(done, expr);
    let series = |columns: &[(Key, Expr)]| -> Result<Vec<(Key, Expr)>> {
        columns.iter().map(|(label, series)| Ok((label.clone(), made(series)?))).collect()
    };
    Ok(match expr.node() {
        Node::Source(_) | Node::Probe(_) => expr.clone(),
        Node::Host(step) => {
            let mut step = step.clone();
            for input in &mut step.inputs {
                input.expr = made(&input.expr)?;
            }
            Expr::new(Node::Host(step), expr.schema().clone(), expr.npartitions())
        }
        Node::Project { input, labels } => {
            let labels = labels.iter().filter(|label| need.columns.has(label)).cloned().collect();
            made(input)?.project(labels)?
        }
        Node::Column { input, label } => made(input)?.column(label.clone())?,
        Node::Assign { input, columns } => {
            let columns: Vec<_> =
                columns.iter().filter(|(label, _)| need.columns.has(label)).cloned().collect();
            made(input)?.assign(series(&columns)?)?
        }
        Node::Table { columns } => Expr::table(series(&kept(columns, &need.columns))?)?,
        Node::Rename { input, labels, kind } => {
            let new = made(input)?;
            let old = &input.schema().fields;
            let mut fields = new.schema().fields.clone();
            for field in &mut fields {
                if let Some(at) = old.iter().position(|own| own.label == field.label) {
                    field.label = labels[at].clone();
                }
            }
            let labels = fields.iter().map(|field| field.label.clone()).collect();
            let npartitions = new.npartitions();
            let node = Node::Rename { input: new, labels, kind: *kind };
            Expr::new(node, Schema { fields, kind: *kind }, npartitions)
        }
        Node::Elementwise { op, args } => {
            let args = args
                .iter()
                .map(|arg| {
                    Ok(match arg {
                        Arg::Series(series) => Arg::Series(made(series)?),
                        Arg::Broadcast(scalar) => Arg::Broadcast(made(scalar)?),
                        Arg::Literal(literal) => Arg::Literal(literal.clone()),
                    })
                })
                .collect::<Result<_>>()?;
            let node = Node::Elementwise { op: op.clone(), args };
            Expr::new(node, expr.schema().clone(), expr.npartitions())
        }
        Node::Filter { input, mask } => made(input)?.filter(&made(mask)?)?,
        Node::Aggregate { input, keys, aggs, dropna, sort, finish } => {
            let keys =
                keys.iter().map(|(name, key)| Ok((name.clone(), made(key)?))).collect::<Result<_>>()?;
            let aggs = aggs
                .iter()
                .map(|agg| {
                    let input = agg.input.as_ref().map(made).transpose()?;
                    Ok(Agg { label: agg.label.clone(), func: agg.func, input })
                })
                .collect::<Result<_>>()?;
            let (dropna, sort, finish) = (*dropna, *sort, finish.clone());
            let node = Node::Aggregate { input: made(input)?, keys, aggs, dropna, sort, finish };
            Expr::new(node, expr.schema().clone(), expr.npartitions())
        }
        Node::Head { input, n, partitions } => made(input)?.head(*n, *partitions)?,
        Node::Tail { input, n } => made(input)?.tail(*n)?,
        Node::Partitions { input, which } => made(input)?.partitions(which.clone())?,
        Node::Concat { inputs } => {
            let inputs = inputs.iter().map(|input| narrowed(made(input)?, &need.columns));
            Expr::concat(inputs.collect::<Result<_>>()?)?
        }
        Node::Exchange(step) => {
            let inputs = step.inputs().into_iter().zip(step.wants(&need.columns));
            let inputs = inputs.map(|(input, columns)| narrowed(made(&input)?, &columns));
            step.with_inputs(inputs.collect::<Result<_>>()?, &need.columns, need.ordered)?
        }
    })
}

/// The share of rows that a mask is thought to leave, in quarters of quarters.
fn selectivity(mask: &Expr) -> f64 {
    use crate::kernel::{BinaryOp, Op, UnaryOp};
    let Node::Elementwise { op, args } = mask.node() else { return 0.5 };
    let side = |i: usize| match args.get(i) {
        Some(Arg::Series(series)) => selectivity(series),
        _ => 1.0,
    };
    match op {
        Op::Binary(BinaryOp::And) => side(0) * side(1),
        Op::Binary(BinaryOp::Or) => (side(0) + side(1)).min(1.0),
        Op::Binary(BinaryOp::Eq) => 0.1,
        Op::Binary(BinaryOp::Ne) => 0.9,
        Op::Binary(op) if op.is_comparison() => 0.4,
        Op::IsIn(_) => 0.2,
        Op::Unary(UnaryOp::Invert) => 1.0 - side(0),
        Op::Text(_) => 0.2,
        _ => 0.5,
    }
}

impl Expr {
    /// How many rows there may be, by a guess: filters and semi-joins leave some of them.
    pub fn expected_rows(&self) -> Option<f64> {
        match self.node() {
            Node::Filter { input, mask } => Some(input.expected_rows()? * selectivity(mask)),
            Node::Project { input, .. }
            | Node::Column { input, .. }
            | Node::Assign { input, .. }
            | Node::Rename { input, .. } => input.expected_rows(),
            Node::Table { columns } => columns.first()?.1.expected_rows(),
            // Of the rows of one side, as many find a match as the other side has left of its own.
            Node::Exchange(step) if step.tag() == "merge" => {
                let inputs = step.inputs();
                let own = step.estimated_rows()? as f64;
                let share = |input: &Expr| -> Option<f64> {
                    Some(input.expected_rows()? / (input.estimated_rows()?.max(1) as f64))
                };
                Some(own * inputs.iter().map(share).product::<Option<f64>>()?)
            }
            Node::Exchange(step) if step.inputs().len() == 1 => step.inputs()[0].expected_rows(),
            _ => self.estimated_rows().map(|rows| rows as f64),
        }
    }

    /// How many rows there are at most, by a guess from what the sources know.
    pub fn estimated_rows(&self) -> Option<usize> {
        match self.node() {
            Node::Source(source) => (0..source.npartitions()).map(|i| source.rows(i)).sum(),
            Node::Host(step) => step.inputs.iter().map(|input| input.expr.estimated_rows()).max().flatten(),
            Node::Project { input, .. }
            | Node::Column { input, .. }
            | Node::Assign { input, .. }
            | Node::Rename { input, .. }
            | Node::Filter { input, .. }
            | Node::Partitions { input, .. } => input.estimated_rows(),
            Node::Table { columns } => columns.first()?.1.estimated_rows(),
            Node::Elementwise { args, .. } => args.iter().find_map(|arg| match arg {
                Arg::Series(series) => Some(series.estimated_rows()),
                _ => None,
            })?,
            Node::Aggregate { keys, .. } if keys.is_empty() => Some(1),
            Node::Aggregate { input, .. } => input.estimated_rows(),
            Node::Head { n, .. } | Node::Tail { n, .. } => Some(*n),
            Node::Concat { inputs } => inputs.iter().map(Expr::estimated_rows).sum(),
            Node::Exchange(step) => step.estimated_rows(),
            Node::Probe(probe) => probe.rows.estimated_rows(),
        }
    }
}
