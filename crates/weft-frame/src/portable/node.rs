//! Nodes without the expressions that they are made of.

use serde::{Deserialize, Serialize};
use weft_data::Kind;
use weft_graph::Key;

use super::{ExchangeForm, PortableError, Reader, Result, SourceForm, Writer, damaged};
use crate::aggregate::Func;
use crate::expr::{Agg, Arg, Expr, Finish, HostInput, HostReads, HostStep, Node, Tasks};
use crate::join::{How, Probe, ProbeColumn};
use crate::kernel::Op;
use crate::scalar::Literal;

/// A node; its inputs stand beside it, in the order of [`Node::inputs`].
#[derive(Serialize, Deserialize)]
pub(super) enum Form {
    Source(SourceForm),
    Host(HostForm),
    Project { labels: Vec<Key> },
    Column { label: Key },
    Assign { labels: Vec<Key> },
    Table { labels: Vec<Key> },
    Rename { labels: Vec<Key>, kind: Kind },
    Elementwise { op: Op, args: Vec<ArgForm> },
    Filter,
    Aggregate(AggregateForm),
    Head { n: u64, partitions: u32 },
    Tail { n: u64 },
    Partitions { which: Vec<u32> },
    Concat,
    Exchange(ExchangeForm),
    Probe { how: How, row_keys: Vec<Key>, table_keys: Vec<Key>, columns: Vec<ProbeColumn> },
}

#[derive(Serialize, Deserialize)]
pub(super) enum ArgForm {
    Series,
    Literal(Literal),
    Broadcast,
}

#[derive(Serialize, Deserialize)]
pub(super) struct HostForm {
    name: String,
    token: u128,
    /// Numbers of blobs.
    work: u32,
    bridge: Option<u32>,
    reads: Vec<HostReads>,
    tasks: Option<TasksForm>,
    fallback: bool,
}

#[derive(Serialize, Deserialize)]
struct TasksForm {
    /// `None`: they travel by themselves.
    blob: Option<u32>,
    reads: Vec<(u32, u32)>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct AggregateForm {
    keys: Vec<Option<Key>>,
    /// Label, function, whether it has an input.
    aggs: Vec<(Key, Func, bool)>,
    dropna: bool,
    sort: bool,
    finish: Finish,
}

fn labels_of(columns: &[(Key, Expr)]) -> Vec<Key> {
    columns.iter().map(|(label, _)| label.clone()).collect()
}

impl Form {
    /// `name` is what the expression is called.
    pub fn of(node: &Node, name: &str, writer: &mut Writer<'_>) -> Result<Form> {
        Ok(match node {
            Node::Source(source) => Form::Source(source.form(writer)?),
            Node::Host(step) => Form::Host(HostForm::of(step, name, writer)?),
            Node::Project { labels, .. } => Form::Project { labels: labels.clone() },
            Node::Column { label, .. } => Form::Column { label: label.clone() },
            Node::Assign { columns, .. } => Form::Assign { labels: labels_of(columns) },
            Node::Table { columns } => Form::Table { labels: labels_of(columns) },
            Node::Rename { labels, kind, .. } => Form::Rename { labels: labels.clone(), kind: *kind },
            Node::Elementwise { op, args } => {
                let form = |arg: &Arg| match arg {
                    Arg::Series(_) => ArgForm::Series,
                    Arg::Literal(literal) => ArgForm::Literal(literal.clone()),
                    Arg::Broadcast(_) => ArgForm::Broadcast,
                };
                Form::Elementwise { op: op.clone(), args: args.iter().map(form).collect() }
            }
            Node::Filter { .. } => Form::Filter,
            Node::Aggregate { keys, aggs, dropna, sort, finish, .. } => {
                let agg = |agg: &Agg| (agg.label.clone(), agg.func, agg.input.is_some());
                Form::Aggregate(AggregateForm {
                    keys: keys.iter().map(|(name, _)| name.clone()).collect(),
                    aggs: aggs.iter().map(agg).collect(),
                    dropna: *dropna,
                    sort: *sort,
                    finish: finish.clone(),
                })
            }
            Node::Head { n, partitions, .. } => Form::Head { n: *n as u64, partitions: *partitions },
            Node::Tail { n, .. } => Form::Tail { n: *n as u64 },
            Node::Partitions { which, .. } => Form::Partitions { which: which.clone() },
            Node::Concat { .. } => Form::Concat,
            Node::Exchange(step) => Form::Exchange(step.form()),
            Node::Probe(probe) => Form::Probe {
                how: probe.how,
                row_keys: probe.row_keys.clone(),
                table_keys: probe.table_keys.clone(),
                columns: probe.columns.clone(),
            },
        })
    }

    pub fn node(self, inputs: Vec<Expr>, reader: &mut Reader<'_>) -> Result<Node> {
        if let Form::Exchange(form) = self {
            return form.restore(inputs).map(Node::Exchange);
        }
        let mut inputs = inputs.into_iter();
        let mut next = || inputs.next().ok_or_else(|| damaged("a step lacks an input"));
        let node = match self {
            Form::Source(form) => Node::Source(form.restore(reader)?),
            Form::Host(form) => {
                let exprs = form.reads.iter().map(|_| next()).collect::<Result<Vec<_>>>()?;
                Node::Host(form.step(exprs, reader)?)
            }
            Form::Project { labels } => Node::Project { input: next()?, labels },
            Form::Column { label } => Node::Column { input: next()?, label },
            Form::Assign { labels } => {
                let columns = labels.into_iter().map(|label| Ok((label, next()?))).collect::<Result<_>>()?;
                Node::Assign { columns, input: next()? }
            }
            Form::Table { labels } => {
                let columns = labels.into_iter().map(|label| Ok((label, next()?)));
                Node::Table { columns: columns.collect::<Result<_>>()? }
            }
            Form::Rename { labels, kind } => Node::Rename { input: next()?, labels, kind },
            Form::Elementwise { op, args } => {
                let arg = |form: ArgForm| {
                    Ok(match form {
                        ArgForm::Series => Arg::Series(next()?),
                        ArgForm::Literal(literal) => Arg::Literal(literal),
                        ArgForm::Broadcast => Arg::Broadcast(next()?),
                    })
                };
                Node::Elementwise { op, args: args.into_iter().map(arg).collect::<Result<_>>()? }
            }
            Form::Filter => Node::Filter { input: next()?, mask: next()? },
            Form::Aggregate(AggregateForm { keys, aggs, dropna, sort, finish }) => {
                let input = next()?;
                let keys = keys.into_iter().map(|name| Ok((name, next()?))).collect::<Result<_>>()?;
                let agg = |(label, func, has): (Key, Func, bool)| {
                    Ok(Agg { label, func, input: has.then(&mut next).transpose()? })
                };
                let aggs = aggs.into_iter().map(agg).collect::<Result<_>>()?;
                Node::Aggregate { input, keys, aggs, dropna, sort, finish }
            }
            Form::Head { n, partitions } => Node::Head { input: next()?, n: n as usize, partitions },
            Form::Tail { n } => Node::Tail { input: next()?, n: n as usize },
            Form::Partitions { which } => Node::Partitions { input: next()?, which },
            Form::Concat => {
                let first = next()?;
                Node::Concat { inputs: std::iter::once(first).chain(inputs.by_ref()).collect() }
            }
            Form::Probe { how, row_keys, table_keys, columns } => {
                let (rows, table) = (next()?, next()?);
                Node::Probe(Probe { rows, table, how, row_keys, table_keys, columns })
            }
            // Handled above.
            Form::Exchange(_) => return Err(damaged("a step of another kind")),
        };
        match inputs.next() {
            None => Ok(node),
            Some(_) => Err(damaged("a step has too many inputs")),
        }
    }
}

impl HostForm {
    fn of(step: &HostStep, name: &str, writer: &mut Writer<'_>) -> Result<HostForm> {
        let failed = |reason: String| PortableError::Host { step: name.to_owned(), reason };
        let work = writer.host.work(&step.work).map_err(failed)?;
        let bridge = step.bridge.as_ref().map(|work| writer.host.work(work)).transpose().map_err(failed)?;
        let tasks = match &step.tasks {
            None => None,
            Some(tasks) => Some((writer.host.tasks(tasks).map_err(failed)?, tasks.reads.to_vec())),
        };
        Ok(HostForm {
            name: step.name.clone(),
            token: step.token,
            work: writer.blob(work),
            bridge: bridge.map(|bytes| writer.blob(bytes)),
            reads: step.inputs.iter().map(|input| input.reads.clone()).collect(),
            tasks: tasks.map(|(bytes, reads)| TasksForm { blob: bytes.map(|b| writer.blob(b)), reads }),
            fallback: step.fallback,
        })
    }

    fn step(self, exprs: Vec<Expr>, reader: &mut Reader<'_>) -> Result<HostStep> {
        let failed = |name: &str| {
            let name = name.to_owned();
            move |reason: String| damaged(format!("{name}: {reason}"))
        };
        let work = reader.host.work(reader.blob(self.work)?).map_err(failed(&self.name))?;
        let bridge = match self.bridge {
            None => None,
            Some(number) => Some(reader.host.work(reader.blob(number)?).map_err(failed(&self.name))?),
        };
        let tasks = match self.tasks {
            None => None,
            Some(TasksForm { blob, reads }) => {
                let layers = match blob {
                    None => Vec::new(),
                    Some(number) => reader.host.tasks(reader.blob(number)?).map_err(failed(&self.name))?,
                };
                Some(Tasks { layers, reads: reads.into() })
            }
        };
        let inputs = exprs.into_iter().zip(self.reads).map(|(expr, reads)| HostInput { expr, reads });
        Ok(HostStep {
            inputs: inputs.collect(),
            name: self.name,
            token: self.token,
            work,
            bridge,
            tasks,
            fallback: self.fallback,
        })
    }
}
