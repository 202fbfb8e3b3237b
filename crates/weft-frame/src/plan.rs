//! From expressions to one pass over rows.
//!
//! No rewriting rules: everything that is computed row by row is written down as an operation on the
//! columns of the *base* (the expression that makes the rows), in one hash-consed list of nodes. That
//! alone makes a projection (columns that no node reads are never asked for), moves filters before the
//! assignments that they do not need, and computes equal subexpressions once, across all outputs of a stage.
//!
//! Rows are selected in [`Space`]s: the base's own rows, and below it those that a filter leaves.
//! A node is computed in the spaces where somebody needs it, on the rows that are left there.

use std::sync::Arc;

use hashbrown::HashMap;
use weft_data::{DType, Kind};
use weft_graph::Key;

use crate::aggregate::Spec;
use crate::error::ExprError;
use crate::expr::{Arg, Expr, Node};
use crate::join::{How, Probe};
use crate::kernel::{BinaryOp, Op};
use crate::scalar::Literal;
use crate::source::Bound;
use weft_data::Hasher;

type Result<T> = std::result::Result<T, ExprError>;

/// Position of a node in [`Plan::nodes`]; arguments come before what uses them.
pub type NodeId = usize;

#[derive(Debug)]
pub enum PlanNode {
    /// Column of the base, by its position in the base's schema.
    Input(usize),
    /// A column that a join took from its table, which is born in the join's space.
    Joined {
        space: usize,
        column: usize,
    },
    Op {
        op: Op,
        args: Vec<PlanArg>,
    },
}

#[derive(Debug)]
pub enum PlanArg {
    Node(NodeId),
    Literal(Literal),
    /// A scalar computed elsewhere: position in [`Plan::params`].
    Param(usize),
}

/// Rows that are processed together.
#[derive(Debug)]
pub struct Space {
    /// The space whose rows it is made of, and how; `None`: the base's own rows.
    pub parent: Option<(usize, Derive)>,
    /// Nodes to compute here, in order. Inputs are among them.
    pub needed: Vec<NodeId>,
    /// Whether somebody below needs the rows' labels.
    pub index: bool,
}

/// How the rows of a space come from those of another.
#[derive(Debug)]
pub enum Derive {
    /// Those where a mask is true.
    Filter(NodeId),
    /// Each as often as it has matches in a table, given by its position in [`Plan::tables`].
    Probe { table: usize, keys: Vec<NodeId>, how: How },
}

/// What becomes of the rows of a space.
#[derive(Debug)]
pub enum Sink {
    Append { space: usize, columns: Vec<(Key, NodeId, DType)>, kind: Kind, limit: Limit },
    Aggregate { space: usize, keys: Vec<NodeId>, inputs: Vec<Option<NodeId>>, spec: Arc<Spec> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    All,
    First(usize),
    Last(usize),
}

/// A pass over the rows of one base that feeds all its sinks.
#[derive(Debug)]
pub struct Plan {
    pub base: Expr,
    pub nodes: Vec<PlanNode>,
    pub params: Vec<Expr>,
    /// Probes whose tables the pass looks things up in.
    pub tables: Vec<Expr>,
    pub spaces: Vec<Space>,
    pub sinks: Vec<Sink>,
    node_ids: HashMap<u128, NodeId, ahash::RandomState>,
    /// Where expressions went, by digest.
    series: HashMap<u128, NodeId, ahash::RandomState>,
    space_ids: HashMap<u128, usize, ahash::RandomState>,
}

/// The expression that makes the rows of `expr`: row-by-row steps and filters taken off.
pub fn base(expr: &Expr) -> &Expr {
    let mut current = expr;
    loop {
        current = match current.node() {
            Node::Project { input, .. }
            | Node::Column { input, .. }
            | Node::Assign { input, .. }
            | Node::Rename { input, .. }
            | Node::Filter { input, .. } => input,
            Node::Probe(probe) => &probe.rows,
            Node::Table { columns } => match columns.first() {
                Some((_, series)) => series,
                None => return current,
            },
            Node::Elementwise { args, .. } => match rows_of(args) {
                Some(series) => series,
                None => return current,
            },
            _ => return current,
        };
    }
}

fn rows_of(args: &[Arg]) -> Option<&Expr> {
    args.iter().find_map(|arg| match arg {
        Arg::Series(series) => Some(series),
        _ => None,
    })
}

/// What a pass needs beside the rows of its base.
#[derive(Debug, Default)]
pub struct Beside {
    /// Scalars.
    pub params: Vec<Expr>,
    /// Probes.
    pub tables: Vec<Expr>,
}

/// What the row-by-row steps of `expr` need.
pub fn beside(expr: &Expr, found: &mut Beside) {
    let mut seen = HashMap::<u128, (), ahash::RandomState>::default();
    let stop = base(expr).digest();
    let mut pending = vec![expr.clone()];
    while let Some(expr) = pending.pop() {
        if expr.digest() == stop || seen.insert(expr.digest(), ()).is_some() {
            continue;
        }
        match expr.node() {
            Node::Project { input, .. } | Node::Column { input, .. } | Node::Rename { input, .. } => {
                pending.push(input.clone());
            }
            Node::Assign { input, columns } => {
                pending.push(input.clone());
                pending.extend(columns.iter().map(|(_, series)| series.clone()));
            }
            Node::Filter { input, mask } => pending.extend([input.clone(), mask.clone()]),
            Node::Probe(probe) => {
                if !found.tables.contains(&expr) {
                    found.tables.push(expr.clone());
                }
                pending.push(probe.rows.clone());
            }
            Node::Table { columns } => pending.extend(columns.iter().map(|(_, series)| series.clone())),
            Node::Elementwise { args, .. } => {
                for arg in args {
                    match arg {
                        Arg::Series(series) => pending.push(series.clone()),
                        Arg::Broadcast(scalar) if !found.params.contains(scalar) => {
                            found.params.push(scalar.clone());
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

impl Plan {
    pub fn new(base: Expr, beside: Beside) -> Self {
        let Beside { params, tables } = beside;
        let mut space_ids = HashMap::default();
        space_ids.insert(base.space(), 0);
        Plan {
            base,
            nodes: Vec::new(),
            params,
            tables,
            spaces: vec![Space { parent: None, needed: Vec::new(), index: false }],
            sinks: Vec::new(),
            node_ids: HashMap::default(),
            series: HashMap::default(),
            space_ids,
        }
    }

    /// Keeps the rows of `expr`; gives the sink's position.
    pub fn append(&mut self, expr: &Expr, limit: Limit) -> Result<usize> {
        let space = self.space(expr)?;
        let mut columns = Vec::with_capacity(expr.schema().fields.len());
        for (i, field) in expr.schema().fields.iter().enumerate() {
            let dtype = field.dtype.clone().ok_or_else(|| {
                ExprError::Unsupported(format!("column {} holds what only the host can hold", field.label))
            })?;
            columns.push((field.label.clone(), self.column(expr, i)?, dtype));
        }
        self.sinks.push(Sink::Append { space, columns, kind: expr.schema().kind, limit });
        Ok(self.sinks.len() - 1)
    }

    /// Aggregates the rows of `input`; gives the sink's position.
    pub fn aggregate(&mut self, expr: &Expr) -> Result<usize> {
        let Node::Aggregate { input, keys, aggs, dropna, sort, finish } = expr.node() else {
            return Err(ExprError::Invalid("not an aggregation".into()));
        };
        let space = self.space(input)?;
        let spec = Arc::new(spec(keys, aggs, *dropna, *sort, finish)?);
        let keys = keys.iter().map(|(_, key)| self.column(key, 0)).collect::<Result<_>>()?;
        let inputs = aggs
            .iter()
            .map(|agg| agg.input.as_ref().map(|input| self.column(input, 0)).transpose())
            .collect::<Result<_>>()?;
        self.sinks.push(Sink::Aggregate { space, keys, inputs, spec });
        Ok(self.sinks.len() - 1)
    }

    /// The space of `expr`'s rows.
    fn space(&mut self, expr: &Expr) -> Result<usize> {
        if let Some(&space) = self.space_ids.get(&expr.space()) {
            return Ok(space);
        }
        let (input, mask) = match expr.node() {
            Node::Filter { input, mask } => (input, mask),
            Node::Project { input, .. }
            | Node::Column { input, .. }
            | Node::Assign { input, .. }
            | Node::Rename { input, .. } => return self.space(input),
            Node::Table { columns } if !columns.is_empty() => return self.space(&columns[0].1),
            Node::Elementwise { args, .. } if rows_of(args).is_some() => {
                return match rows_of(args) {
                    Some(series) => self.space(series),
                    None => Err(ExprError::Invalid("an operation without rows".into())),
                };
            }
            Node::Probe(probe) => return self.probe(expr, probe),
            _ => return Err(ExprError::Invalid(format!("{} is not of these rows", expr.name()))),
        };
        let parent = self.space(input)?;
        let derive = Derive::Filter(self.column(mask, 0)?);
        self.spaces.push(Space { parent: Some((parent, derive)), needed: Vec::new(), index: false });
        self.space_ids.insert(expr.space(), self.spaces.len() - 1);
        Ok(self.spaces.len() - 1)
    }

    fn probe(&mut self, expr: &Expr, probe: &Probe) -> Result<usize> {
        let parent = self.space(&probe.rows)?;
        let keys = probe
            .row_keys
            .iter()
            .map(|key| self.column(&probe.rows, position(&probe.rows, key)?))
            .collect::<Result<_>>()?;
        let table = self.tables.iter().position(|table| table == expr);
        let table = table.ok_or_else(|| ExprError::Invalid(format!("{} was not asked for", expr.name())))?;
        let derive = Derive::Probe { table, keys, how: probe.how };
        self.spaces.push(Space { parent: Some((parent, derive)), needed: Vec::new(), index: false });
        self.space_ids.insert(expr.space(), self.spaces.len() - 1);
        Ok(self.spaces.len() - 1)
    }

    /// The node of column `i` of a table, or of a Series (`i` is 0).
    fn column(&mut self, expr: &Expr, i: usize) -> Result<NodeId> {
        // A filter changes rows, not formulas.
        let mut current = expr;
        let mut at = i;
        loop {
            if current.digest() == self.base.digest() {
                return Ok(self.node(PlanNode::Input(at)));
            }
            let label = &current.schema().fields[at].label;
            current = match current.node() {
                Node::Filter { input, .. } | Node::Rename { input, .. } => input,
                Node::Project { input, .. } | Node::Column { input, .. } => {
                    at = position(input, label)?;
                    input
                }
                Node::Assign { input, columns } => {
                    // A label that is given twice: the last one counts.
                    match columns.iter().rev().find(|(assigned, _)| assigned == label) {
                        Some((_, series)) => {
                            at = 0;
                            series
                        }
                        None => input,
                    }
                }
                Node::Table { columns } => {
                    let series = &columns[at].1;
                    at = 0;
                    series
                }
                Node::Elementwise { op, args } => return self.elementwise(current, op, args),
                Node::Probe(probe) => {
                    let wanted = &probe.columns[at];
                    if wanted.from_table {
                        let column = probe.columns[..at].iter().filter(|column| column.from_table).count();
                        let space = self.space(current)?;
                        return Ok(self.node(PlanNode::Joined { space, column }));
                    }
                    at = position(&probe.rows, &wanted.source)?;
                    &probe.rows
                }
                _ => return Err(ExprError::Invalid(format!("{} is not of these rows", current.name()))),
            };
        }
    }

    fn elementwise(&mut self, expr: &Expr, op: &Op, args: &[Arg]) -> Result<NodeId> {
        if let Some(&id) = self.series.get(&expr.digest()) {
            return Ok(id);
        }
        let args = args
            .iter()
            // The column only says which rows there are.
            .filter(|arg| *op != Op::Fill || matches!(arg, Arg::Literal(_)))
            .map(|arg| {
                Ok(match arg {
                    Arg::Series(series) => PlanArg::Node(self.column(series, 0)?),
                    Arg::Literal(literal) => PlanArg::Literal(literal.clone()),
                    Arg::Broadcast(scalar) => {
                        let found = self.params.iter().position(|param| param == scalar);
                        PlanArg::Param(found.ok_or_else(|| {
                            ExprError::Invalid(format!("{} was not asked for", scalar.name()))
                        })?)
                    }
                })
            })
            .collect::<Result<_>>()?;
        let id = self.node(PlanNode::Op { op: op.clone(), args });
        self.series.insert(expr.digest(), id);
        Ok(id)
    }

    /// Adds a node, or finds its equal.
    fn node(&mut self, node: PlanNode) -> NodeId {
        let mut h = Hasher::new("node");
        match &node {
            PlanNode::Input(column) => {
                h.number(0).number(*column as u64);
            }
            PlanNode::Joined { space, column } => {
                h.number(2).number(*space as u64).number(*column as u64);
            }
            PlanNode::Op { op, args } => {
                h.number(1);
                op.hash(&mut h);
                for arg in args {
                    match arg {
                        PlanArg::Node(id) => {
                            h.number(0).number(*id as u64);
                        }
                        PlanArg::Literal(literal) => {
                            h.number(1).text(&format!("{:?}", literal.dtype));
                            literal.value.hash(&mut h);
                        }
                        PlanArg::Param(param) => {
                            h.number(2).number(*param as u64);
                        }
                    }
                }
            }
        }
        *self.node_ids.entry(h.finish()).or_insert_with(|| {
            self.nodes.push(node);
            self.nodes.len() - 1
        })
    }

    /// Decides what is computed in which space. Call once, after the last sink.
    pub fn schedule(&mut self) {
        let mut wanted = vec![vec![false; self.nodes.len()]; self.spaces.len()];
        for sink in &self.sinks {
            match sink {
                Sink::Append { space, columns, .. } => {
                    columns.iter().for_each(|&(_, id, _)| wanted[*space][id] = true);
                    self.spaces[*space].index = true;
                }
                Sink::Aggregate { space, keys, inputs, .. } => {
                    keys.iter().chain(inputs.iter().flatten()).for_each(|&id| wanted[*space][id] = true);
                }
            }
        }
        // Spaces come after their parents: from the last to the first, wishes move up.
        for space in (0..self.spaces.len()).rev() {
            for id in (0..self.nodes.len()).rev() {
                if let (true, PlanNode::Op { args, .. }) = (wanted[space][id], &self.nodes[id]) {
                    for arg in args {
                        if let PlanArg::Node(arg) = arg {
                            wanted[space][*arg] = true;
                        }
                    }
                }
            }
            if let Some((parent, derive)) = &self.spaces[space].parent {
                let parent = *parent;
                match derive {
                    Derive::Filter(mask) => wanted[parent][*mask] = true,
                    Derive::Probe { keys, .. } => keys.iter().for_each(|&key| wanted[parent][key] = true),
                }
                for (id, node) in self.nodes.iter().enumerate() {
                    let moves = match node {
                        PlanNode::Input(_) => true,
                        PlanNode::Joined { space: born, .. } => *born != space,
                        PlanNode::Op { .. } => false,
                    };
                    if wanted[space][id] && moves {
                        wanted[parent][id] = true;
                    }
                }
                // The rows of a join are numbered anew.
                let passes_on = matches!(derive, Derive::Filter(_));
                self.spaces[parent].index |= self.spaces[space].index && passes_on;
            }
            self.spaces[space].needed = (0..self.nodes.len()).filter(|&id| wanted[space][id]).collect();
        }
    }

    /// Conditions that every row must meet that any sink gets to see.
    pub fn bounds(&self) -> Vec<Bound<'_>> {
        let mut found = Vec::new();
        let mut current = 0;
        loop {
            let fed = self.sinks.iter().any(|sink| match sink {
                Sink::Append { space, .. } | Sink::Aggregate { space, .. } => *space == current,
            });
            let mut below = self.spaces.iter().enumerate().filter_map(|(child, space)| match &space.parent {
                Some((parent, derive)) if *parent == current => Some((child, derive)),
                _ => None,
            });
            match (below.next(), below.next()) {
                (Some((child, derive)), None) if !fed => {
                    if let Derive::Filter(mask) = derive {
                        self.conditions(*mask, &mut found);
                    }
                    current = child;
                }
                _ => return found,
            }
        }
    }

    /// What must hold where node `mask` is true, as far as it is about one column of the base.
    fn conditions<'a>(&'a self, mask: NodeId, found: &mut Vec<Bound<'a>>) {
        let PlanNode::Op { op: Op::Binary(op), args } = &self.nodes[mask] else { return };
        let column = |id: NodeId| match self.nodes[id] {
            PlanNode::Input(column) => Some(column),
            _ => None,
        };
        match (op, &args[..]) {
            (BinaryOp::And, [PlanArg::Node(left), PlanArg::Node(right)]) => {
                self.conditions(*left, found);
                self.conditions(*right, found);
            }
            (op, [PlanArg::Node(id), PlanArg::Literal(literal)]) if op.is_comparison() => {
                let bound = |column| Bound { column, op: *op, value: &literal.value };
                found.extend(column(*id).map(bound));
            }
            (op, [PlanArg::Literal(literal), PlanArg::Node(id)]) if op.is_comparison() => {
                let bound = |column| Bound { column, op: op.mirrored(), value: &literal.value };
                found.extend(column(*id).map(bound));
            }
            _ => {}
        }
    }

    /// Columns of the base that are read, in ascending order.
    pub fn columns(&self) -> Vec<usize> {
        let mut columns: Vec<usize> = self.spaces[0]
            .needed
            .iter()
            .filter_map(|&id| match self.nodes[id] {
                PlanNode::Input(column) => Some(column),
                _ => None,
            })
            .collect();
        columns.sort_unstable();
        columns
    }
}

pub(crate) fn spec(
    keys: &[(Option<Key>, Expr)],
    aggs: &[crate::expr::Agg],
    dropna: bool,
    sort: bool,
    finish: &crate::expr::Finish,
) -> Result<Spec> {
    let keys =
        keys.iter().map(|(name, key)| Ok((name.clone(), key.dtype()?.clone()))).collect::<Result<_>>()?;
    let aggs = aggs
        .iter()
        .map(|agg| {
            let dtype = match &agg.input {
                Some(input) => input.dtype()?.clone(),
                None => DType::Int64,
            };
            Ok((agg.label.clone(), agg.func, dtype))
        })
        .collect::<Result<_>>()?;
    Ok(Spec { keys, aggs, dropna, sort, finish: finish.clone() })
}

fn position(table: &Expr, label: &Key) -> Result<usize> {
    table
        .schema()
        .position(label)
        .ok_or_else(|| ExprError::NoColumn { label: label.clone(), have: table.schema().labels() })
}
