//! The expression: an immutable, shared, hashed description of a table, a Series or a scalar.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

use weft_data::{DType, Kind, LayerRef, WorkRef};
use weft_graph::Key;

use crate::aggregate::Func;
use crate::exchange::Exchange;
use crate::join::Probe;
use crate::kernel::Op;
use crate::scalar::Literal;
use crate::source::Source;
use weft_data::Hasher;

/// A column as an expression promises it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    pub label: Key,
    /// `None`: values that only the host can hold.
    pub dtype: Option<DType>,
}

/// What a partition looks like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    pub fields: Vec<Field>,
    pub kind: Kind,
}

/// An expression. Cloning shares; equality is equality of content.
#[derive(Clone)]
pub struct Expr(Arc<Inner>);

struct Inner {
    node: Node,
    schema: Schema,
    npartitions: u32,
    digest: u128,
    /// Names the rows: expressions of one space are aligned row by row.
    space: u128,
}

/// What an expression is. Children of one node are of one row space unless it says otherwise.
#[derive(Clone)]
pub enum Node {
    Source(Arc<dyn Source>),
    /// A step of the host language on each partition.
    Host(HostStep),
    Project {
        input: Expr,
        labels: Vec<Key>,
    },
    /// One column as a Series.
    Column {
        input: Expr,
        label: Key,
    },
    Assign {
        input: Expr,
        columns: Vec<(Key, Expr)>,
    },
    /// A table made of Series.
    Table {
        columns: Vec<(Key, Expr)>,
    },
    /// The same values under other labels (a Series: another name, or none).
    Rename {
        input: Expr,
        labels: Vec<Key>,
        kind: Kind,
    },
    Elementwise {
        op: Op,
        args: Vec<Arg>,
    },
    Filter {
        input: Expr,
        mask: Expr,
    },
    Aggregate {
        /// Gives the rows; keys and inputs of `aggs` are Series of its space.
        input: Expr,
        /// Index name and values.
        keys: Vec<(Option<Key>, Expr)>,
        aggs: Vec<Agg>,
        dropna: bool,
        /// Groups in order of their keys; otherwise in order of first appearance.
        sort: bool,
        finish: Finish,
    },
    /// The first `n` rows of the first `partitions` partitions, as one partition.
    Head {
        input: Expr,
        n: usize,
        partitions: u32,
    },
    /// The last `n` rows of the last partition.
    Tail {
        input: Expr,
        n: usize,
    },
    /// Some partitions, in this order.
    Partitions {
        input: Expr,
        which: Vec<u32>,
    },
    /// The partitions of several tables with the same columns, one after the other.
    Concat {
        inputs: Vec<Expr>,
    },
    /// Rows that move between partitions.
    Exchange(Arc<dyn Exchange>),
    /// Rows looked up in another table; the optimizer makes it of joins.
    Probe(Probe),
}

/// A step of the host language: the fallback, and how the host brings in its own data.
#[derive(Clone, Debug)]
pub struct HostStep {
    /// What keys start with and pictures show.
    pub name: String,
    /// Identifies function and arguments; the inputs are hashed by themselves.
    pub token: u128,
    /// Makes partition `i` from the inputs' partitions.
    pub work: WorkRef,
    /// Makes a [`Frame`](weft_data::Frame) from what `work` returns; `None`: native steps cannot follow.
    pub bridge: Option<WorkRef>,
    pub inputs: Vec<HostInput>,
    /// Tasks of a graph of other collections: call `i` gets the value of the `i`-th. Then there are
    /// no `inputs`.
    pub tasks: Option<Tasks>,
    /// The step is a fallback for an operation, not a source of data.
    pub fallback: bool,
}

/// Tasks of layers that are no frame's.
#[derive(Clone, Debug)]
pub struct Tasks {
    pub layers: Vec<LayerRef>,
    /// For each partition the layer and the number of a task in it.
    pub reads: Arc<[(u32, u32)]>,
}

#[derive(Clone, Debug)]
pub struct HostInput {
    pub expr: Expr,
    pub reads: HostReads,
}

/// Which partitions of an input a task of a host step gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostReads {
    /// Its own.
    Aligned,
    /// All of them, in order.
    All,
    /// Task `i` gets the partitions `lists[i]`, in this order (repartitioning, windows). Only for
    /// the one input of a step.
    Listed(Arc<[Vec<u32>]>),
}

#[derive(Clone, Debug)]
pub enum Arg {
    Series(Expr),
    Literal(Literal),
    /// A scalar expression of any space, the same for all rows.
    Broadcast(Expr),
}

/// One aggregated column.
#[derive(Clone, Debug)]
pub struct Agg {
    pub label: Key,
    pub func: Func,
    /// The Series; none for [`Func::Size`].
    pub input: Option<Expr>,
}

/// What becomes of the groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Finish {
    /// A row for each group, the keys as index.
    Groups { kind: Kind },
    /// `value_counts`: a Series, ordered by count unless `sort` is off.
    Counts { sort: bool, ascending: bool, normalize: bool },
    /// No keys, one aggregation: its value.
    Scalar,
    /// No keys: a Series of the values, indexed by column label.
    Columns,
}

impl Expr {
    pub(crate) fn new(node: Node, schema: Schema, npartitions: u32) -> Expr {
        let digest = match node {
            // Groups in several partitions are another thing than the same groups in one.
            Node::Aggregate { .. } if npartitions > 1 => {
                Hasher::new("split").digest(node.digest()).number(npartitions as u64).finish()
            }
            _ => node.digest(),
        };
        let space = node.space().unwrap_or(digest);
        Expr(Arc::new(Inner { node, schema, npartitions, digest, space }))
    }

    pub fn node(&self) -> &Node {
        &self.0.node
    }

    pub fn schema(&self) -> &Schema {
        &self.0.schema
    }

    pub fn npartitions(&self) -> u32 {
        self.0.npartitions
    }

    /// Content hash.
    pub fn digest(&self) -> u128 {
        self.0.digest
    }

    /// Expressions with the same row space are aligned row by row.
    pub fn space(&self) -> u128 {
        self.0.space
    }

    /// The sources that it reads.
    pub fn sources(&self) -> Vec<Arc<dyn Source>> {
        let mut seen = std::collections::HashSet::new();
        let mut found = Vec::new();
        let mut pending = vec![self.clone()];
        while let Some(expr) = pending.pop() {
            if seen.insert(expr.digest()) {
                if let Node::Source(source) = expr.node() {
                    found.push(source.clone());
                }
                pending.extend(expr.node().inputs());
            }
        }
        found
    }

    /// Number of rows, if the sources know theirs and nothing selects among them.
    pub fn known_rows(&self) -> Option<usize> {
        (0..self.npartitions()).map(|i| self.rows(i)).sum()
    }

    fn rows(&self, partition: u32) -> Option<usize> {
        match self.node() {
            Node::Source(source) => source.rows(partition),
            Node::Project { input, .. }
            | Node::Column { input, .. }
            | Node::Assign { input, .. }
            | Node::Rename { input, .. } => input.rows(partition),
            Node::Table { columns } => columns.first()?.1.rows(partition),
            Node::Elementwise { args, .. } => args.iter().find_map(|arg| match arg {
                Arg::Series(series) => Some(series.rows(partition)),
                _ => None,
            })?,
            Node::Partitions { input, which } => input.rows(*which.get(partition as usize)?),
            Node::Concat { inputs } => {
                let mut at = partition;
                for input in inputs {
                    match at.checked_sub(input.npartitions()) {
                        Some(rest) => at = rest,
                        None => return input.rows(at),
                    }
                }
                None
            }
            _ => None,
        }
    }

    /// The deterministic name that its keys start with: `read_csv-<hash>`.
    pub fn name(&self) -> String {
        format!("{}-{:032x}", self.0.node.tag(), self.0.digest)
    }
}

impl Node {
    /// A word for the operation.
    pub fn tag(&self) -> &str {
        match self {
            Node::Source(source) => source.name(),
            Node::Host(step) => &step.name,
            Node::Project { .. } | Node::Column { .. } | Node::Filter { .. } => "getitem",
            Node::Assign { .. } => "assign",
            Node::Table { .. } => "table",
            Node::Rename { .. } => "rename",
            Node::Elementwise { op, .. } => op.name(),
            Node::Aggregate { finish: Finish::Counts { .. }, .. } => "value_counts",
            Node::Aggregate { keys, .. } if !keys.is_empty() => "groupby",
            Node::Aggregate { aggs, .. } => aggs.first().map_or("aggregate", |agg| agg.func.name()),
            Node::Head { .. } => "head",
            Node::Tail { .. } => "tail",
            Node::Partitions { .. } => "partitions",
            Node::Concat { .. } => "concat",
            Node::Exchange(step) => step.tag(),
            Node::Probe(_) => "merge",
        }
    }

    /// The expressions that it is made of.
    pub fn inputs(&self) -> Vec<Expr> {
        match self {
            Node::Source(_) => Vec::new(),
            Node::Host(step) => step.inputs.iter().map(|input| input.expr.clone()).collect(),
            Node::Project { input, .. }
            | Node::Column { input, .. }
            | Node::Rename { input, .. }
            | Node::Head { input, .. }
            | Node::Tail { input, .. }
            | Node::Partitions { input, .. } => vec![input.clone()],
            Node::Assign { input, columns } => {
                columns.iter().map(|(_, series)| series.clone()).chain([input.clone()]).collect()
            }
            Node::Table { columns } => columns.iter().map(|(_, series)| series.clone()).collect(),
            Node::Elementwise { args, .. } => args
                .iter()
                .filter_map(|arg| match arg {
                    Arg::Series(expr) | Arg::Broadcast(expr) => Some(expr.clone()),
                    Arg::Literal(_) => None,
                })
                .collect(),
            Node::Filter { input, mask } => vec![input.clone(), mask.clone()],
            Node::Aggregate { input, keys, aggs, .. } => [input.clone()]
                .into_iter()
                .chain(keys.iter().map(|(_, key)| key.clone()))
                .chain(aggs.iter().filter_map(|agg| agg.input.clone()))
                .collect(),
            Node::Concat { inputs } => inputs.clone(),
            Node::Exchange(step) => step.inputs(),
            Node::Probe(probe) => vec![probe.rows.clone(), probe.table.clone()],
        }
    }

    /// The row space that this node passes on; `None`: it makes rows of its own.
    fn space(&self) -> Option<u128> {
        match self {
            Node::Project { input, .. }
            | Node::Column { input, .. }
            | Node::Assign { input, .. }
            | Node::Rename { input, .. } => Some(input.space()),
            Node::Table { columns } => columns.first().map(|(_, series)| series.space()),
            Node::Elementwise { args, .. } => args.iter().find_map(|arg| match arg {
                Arg::Series(series) => Some(series.space()),
                _ => None,
            }),
            Node::Filter { input, mask } => {
                Some(Hasher::new("rows").digest(input.space()).digest(mask.digest()).finish())
            }
            _ => None,
        }
    }

    fn digest(&self) -> u128 {
        let mut h = Hasher::new(self.tag());
        match self {
            Node::Source(source) => {
                h.text("source").digest(source.digest());
            }
            Node::Host(step) => {
                h.text("host").digest(step.token).number(step.inputs.len() as u64);
                for input in &step.inputs {
                    h.digest(input.expr.digest()).number((input.reads == HostReads::All) as u64);
                    if let HostReads::Listed(lists) = &input.reads {
                        for list in lists.iter() {
                            h.number(list.len() as u64);
                            list.iter().for_each(|&i| {
                                h.number(i as u64);
                            });
                        }
                    }
                }
            }
            Node::Project { input, labels } => {
                h.text("project").digest(input.digest()).number(labels.len() as u64);
                for label in labels {
                    h.key(label);
                }
            }
            Node::Column { input, label } => {
                h.text("column").digest(input.digest()).key(label);
            }
            Node::Assign { input, columns } => {
                h.text("assign").digest(input.digest()).number(columns.len() as u64);
                for (label, series) in columns {
                    h.key(label).digest(series.digest());
                }
            }
            Node::Table { columns } => {
                h.text("table").number(columns.len() as u64);
                for (label, series) in columns {
                    h.key(label).digest(series.digest());
                }
            }
            Node::Rename { input, labels, kind } => {
                h.text("rename").digest(input.digest()).number(labels.len() as u64);
                h.number(matches!(kind, Kind::Series { named: true }) as u64);
                for label in labels {
                    h.key(label);
                }
            }
            Node::Elementwise { op, args } => {
                h.text("elementwise");
                op.hash(&mut h);
                h.number(args.len() as u64);
                for arg in args {
                    match arg {
                        Arg::Series(series) => {
                            h.number(0).digest(series.digest());
                        }
                        Arg::Literal(literal) => {
                            h.number(1);
                            literal.value.hash(&mut h);
                            match &literal.dtype {
                                Some(dtype) => h.dtype(dtype),
                                None => h.text(""),
                            };
                        }
                        Arg::Broadcast(scalar) => {
                            h.number(2).digest(scalar.digest());
                        }
                    }
                }
            }
            Node::Filter { input, mask } => {
                h.text("filter").digest(input.digest()).digest(mask.digest());
            }
            Node::Aggregate { input, keys, aggs, dropna, sort, finish } => {
                h.text("aggregate").digest(input.space()).number(keys.len() as u64);
                for (name, key) in keys {
                    match name {
                        Some(name) => h.number(1).key(name),
                        None => h.number(0),
                    };
                    h.digest(key.digest());
                }
                h.number(aggs.len() as u64);
                for agg in aggs {
                    h.key(&agg.label).text(&format!("{:?}", agg.func));
                    h.digest(agg.input.as_ref().map_or(0, Expr::digest));
                }
                h.number(*dropna as u64).number(*sort as u64).text(&format!("{finish:?}"));
            }
            Node::Head { input, n, partitions } => {
                h.text("head").digest(input.digest()).number(*n as u64).number(*partitions as u64);
            }
            Node::Tail { input, n } => {
                h.text("tail").digest(input.digest()).number(*n as u64);
            }
            Node::Partitions { input, which } => {
                h.text("partitions").digest(input.digest()).number(which.len() as u64);
                for &i in which {
                    h.number(i as u64);
                }
            }
            Node::Concat { inputs } => {
                h.text("concat").number(inputs.len() as u64);
                for input in inputs {
                    h.digest(input.digest());
                }
            }
            Node::Probe(probe) => probe.hash(&mut h),
            Node::Exchange(step) => {
                h.text("exchange").digest(step.token());
                for input in step.inputs() {
                    h.digest(input.digest());
                }
            }
        }
        h.finish()
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for Expr {}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({})", self.name())
    }
}

impl Schema {
    /// Where `label` is, if exactly one column has it.
    pub fn position(&self, label: &Key) -> Option<usize> {
        let mut found = self.fields.iter().enumerate().filter(|(_, field)| &field.label == label);
        match (found.next(), found.next()) {
            (Some((i, _)), None) => Some(i),
            _ => None,
        }
    }

    pub fn labels(&self) -> String {
        let labels: Vec<String> = self.fields.iter().map(|field| field.label.to_string()).collect();
        format!("[{}]", labels.join(", "))
    }
}
