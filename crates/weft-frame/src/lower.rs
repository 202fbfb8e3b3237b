//! From expressions to layers of tasks.
//!
//! Outputs that read the same rows become sinks of one stage layer with a task for each partition of
//! their base. Rows that a stage keeps are a layer as they are; partial aggregations are merged in a tree.

use std::sync::Arc;

use hashbrown::HashMap;
use weft_data::{LayerRef, WorkRef};
use weft_graph::{Axis, Key, Layer, Read, Rule};

use crate::error::ExprError;
use crate::expr::{Expr, HostReads, Node};
use crate::join::Probe;
use crate::join::table::Build;
use crate::optimize::optimize;
use crate::origin::Lowered;
use crate::parts;
use crate::plan::{self, Beside, Limit, Plan};
use crate::work::{Alias, Combine, Extract, Finished, Join, StageWork};
use weft_data::Hasher;

type Result<T> = std::result::Result<T, ExprError>;

/// Partial results that one task merges.
const FAN_IN: u32 = 8;

/// A layer for each expression: its tasks are the partitions, in order, and its name is the
/// expression's. Expressions share the passes over what they have in common.
pub fn lower(exprs: &[Expr]) -> Result<Vec<LayerRef>> {
    // Keys are those of what the user has in hand.
    let names = exprs.iter().map(|expr| Key::from(expr.name()));
    let exprs = optimize(exprs)?.into_iter().zip(names).collect();
    Ok(Arc::new(Lowered { exprs }).layers()?.tops)
}

/// The layers of optimized expressions under the names given. Equal expressions come to equal layers, in every
/// process.
pub(crate) fn lower_plain(exprs: &[(Expr, Key)]) -> Result<Vec<LayerRef>> {
    let mut lowering = Lowering::default();
    for (expr, name) in exprs {
        lowering.request(expr)?;
        lowering.names.entry(expr.digest()).or_insert_with(|| name.clone());
    }
    exprs
        .iter()
        .map(|(expr, name)| {
            let (layer, name) = (lowering.layer(expr)?, name.clone());
            Ok(match layer.name == name {
                true => layer,
                // Two expressions that come to the same.
                false => {
                    let reads = (0..layer.len() as u32).map(|task| (0, task)).collect();
                    alias(name, vec![layer], reads)
                }
            })
        })
        .collect()
}

#[derive(Default)]
struct Lowering {
    requests: HashMap<u128, Request, ahash::RandomState>,
    stages: Vec<Stage>,
    stage_ids: HashMap<u128, usize, ahash::RandomState>,
    layers: HashMap<u128, LayerRef, ahash::RandomState>,
    bridges: HashMap<u128, LayerRef, ahash::RandomState>,
    /// Tables for looking up.
    tables: HashMap<u128, LayerRef, ahash::RandomState>,
    /// What layers are called whose expressions were rewritten.
    names: HashMap<u128, Key, ahash::RandomState>,
}

/// How an expression is made.
#[derive(Clone, Copy)]
enum Request {
    /// By a sink of a stage.
    Sink { stage: usize, sink: usize },
    /// From layers of its inputs.
    Own,
}

struct Stage {
    plan: Option<Plan>,
    which: Which,
    /// Filled when the first of its expressions is made: no sink comes after that.
    layer: Option<LayerRef>,
    sinks: usize,
}

/// The partitions of the base that a stage reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    First(u32),
    Last,
}

impl Lowering {
    fn request(&mut self, expr: &Expr) -> Result<()> {
        let mut pending = vec![expr.clone()];
        while let Some(expr) = pending.pop() {
            if self.requests.contains_key(&expr.digest()) {
                continue;
            }
            let request = self.classify(&expr, &mut pending)?;
            self.requests.insert(expr.digest(), request);
        }
        Ok(())
    }

    fn classify(&mut self, expr: &Expr, pending: &mut Vec<Expr>) -> Result<Request> {
        match expr.node() {
            Node::Host(step) => {
                pending.extend(step.inputs.iter().map(|input| input.expr.clone()));
                Ok(Request::Own)
            }
            Node::Partitions { input, .. } => {
                pending.push(input.clone());
                Ok(Request::Own)
            }
            Node::Concat { inputs } => {
                pending.extend(inputs.iter().cloned());
                Ok(Request::Own)
            }
            Node::Exchange(step) => {
                pending.extend(step.inputs());
                Ok(Request::Own)
            }
            Node::Aggregate { input, keys, aggs, .. } => {
                let mut beside = Beside::default();
                plan::beside(input, &mut beside);
                keys.iter().for_each(|(_, key)| plan::beside(key, &mut beside));
                aggs.iter().filter_map(|agg| agg.input.as_ref()).for_each(|e| plan::beside(e, &mut beside));
                self.sink(plan::base(input), beside, Which::All, pending, |plan| plan.aggregate(expr))
            }
            Node::Head { input, n, partitions } => {
                let mut beside = Beside::default();
                plan::beside(input, &mut beside);
                let limit = Limit::First(*n);
                self.sink(plan::base(input), beside, Which::First(*partitions), pending, |plan| {
                    plan.append(input, limit)
                })
            }
            Node::Tail { input, n } => {
                let mut beside = Beside::default();
                plan::beside(input, &mut beside);
                let limit = Limit::Last(*n);
                self.sink(plan::base(input), beside, Which::Last, pending, |plan| plan.append(input, limit))
            }
            _ => {
                let mut beside = Beside::default();
                plan::beside(expr, &mut beside);
                self.sink(plan::base(expr), beside, Which::All, pending, |plan| plan.append(expr, Limit::All))
            }
        }
    }

    /// Adds a sink to the stage that reads these partitions of `base` and knows these scalars.
    fn sink(
        &mut self,
        base: &Expr,
        mut beside: Beside,
        which: Which,
        pending: &mut Vec<Expr>,
        add: impl FnOnce(&mut Plan) -> Result<usize>,
    ) -> Result<Request> {
        if !matches!(base.node(), Node::Source(_)) {
            pending.push(base.clone());
        }
        pending.extend(beside.params.iter().cloned());
        for table in &beside.tables {
            if let Node::Probe(probe) = table.node() {
                pending.push(probe.table.clone());
            }
        }
        beside.params.sort_by_key(Expr::digest);
        beside.tables.sort_by_key(Expr::digest);
        let mut h = Hasher::new("stage");
        h.digest(base.digest());
        match which {
            Which::All => h.number(0),
            Which::First(n) => h.number(1).number(n as u64),
            Which::Last => h.number(2),
        };
        for expr in beside.params.iter().chain(&beside.tables) {
            h.digest(expr.digest());
        }
        let stage = *self.stage_ids.entry(h.finish()).or_insert_with(|| {
            let plan = Some(Plan::new(base.clone(), beside));
            self.stages.push(Stage { plan, which, layer: None, sinks: 0 });
            self.stages.len() - 1
        });
        let Some(plan) = &mut self.stages[stage].plan else {
            return Err(ExprError::Invalid("a stage was closed too early".into()));
        };
        let sink = add(plan)?;
        self.stages[stage].sinks = sink + 1;
        Ok(Request::Sink { stage, sink })
    }

    fn layer(&mut self, expr: &Expr) -> Result<LayerRef> {
        if let Some(layer) = self.layers.get(&expr.digest()) {
            return Ok(layer.clone());
        }
        let name = self.names.get(&expr.digest()).cloned().unwrap_or_else(|| Key::from(expr.name()));
        let request = self.requests.get(&expr.digest()).copied();
        let layer = match request {
            Some(Request::Sink { stage, sink }) => self.sink_layer(expr, name, stage, sink)?,
            Some(Request::Own) => self.own_layer(expr, name)?,
            None => return Err(ExprError::Invalid(format!("{} was not asked for", expr.name()))),
        };
        self.layers.insert(expr.digest(), layer.clone());
        Ok(layer)
    }

    fn own_layer(&mut self, expr: &Expr, name: Key) -> Result<LayerRef> {
        match expr.node() {
            Node::Host(step) => {
                let n = expr.npartitions();
                if let Some(tasks) = &step.tasks {
                    let starts = (0..=n).collect();
                    let rule = Rule::Table { shape: vec![n], starts, reads: tasks.reads.clone() };
                    return Ok(layer(name, tasks.layers.clone(), rule, step.work.clone()));
                }
                let (mut inputs, mut reads) = (Vec::new(), Vec::new());
                for (i, input) in step.inputs.iter().enumerate() {
                    inputs.push(self.layer(&input.expr)?);
                    let axis = match &input.reads {
                        HostReads::Listed(lists) => {
                            let keys = partition_keys(&name, lists.len());
                            let mut starts = vec![0];
                            let mut reads = Vec::new();
                            for list in lists.iter() {
                                reads.extend(list.iter().map(|&task| (0, task)));
                                starts.push(reads.len() as u32);
                            }
                            let rule = Rule::Explicit { keys, starts, reads };
                            return Ok(layer(name, inputs, rule, step.work.clone()));
                        }
                        HostReads::All => Axis::All,
                        HostReads::Aligned if input.expr.npartitions() == n => {
                            Axis::Along { own: 0, offset: 0 }
                        }
                        HostReads::Aligned => Axis::At(0),
                    };
                    reads.push(Read { input: i as u32, axes: vec![axis] });
                }
                Ok(layer(name, inputs, Rule::Grid { shape: vec![n], reads }, step.work.clone()))
            }
            Node::Partitions { input, which } => {
                let input = self.layer(input)?;
                Ok(alias(name, vec![input], which.iter().map(|&i| (0, i)).collect()))
            }
            Node::Concat { inputs } => {
                let mut reads = Vec::new();
                let mut layers = Vec::new();
                for (i, input) in inputs.iter().enumerate() {
                    layers.push(self.layer(input)?);
                    reads.extend((0..input.npartitions()).map(|task| (i as u32, task)));
                }
                Ok(alias(name, layers, reads))
            }
            Node::Exchange(step) => {
                let inputs = step.inputs().iter().map(|input| self.frames(input)).collect::<Result<_>>()?;
                Ok(step.layer(&name, inputs))
            }
            _ => Err(ExprError::Invalid(format!("{} has no layer of its own", expr.name()))),
        }
    }

    fn sink_layer(&mut self, expr: &Expr, name: Key, stage: usize, sink: usize) -> Result<LayerRef> {
        let own = self.stage_layer(stage, &name)?;
        let alone = self.stages[stage].sinks == 1;
        match expr.node() {
            Node::Aggregate { keys, aggs, dropna, sort, finish, .. } => {
                let spec = Arc::new(plan::spec(keys, aggs, *dropna, *sort, finish)?);
                let tag = expr.node().tag().to_owned();
                let n = own.len() as u32;
                let split = expr.npartitions();
                if split > 1 {
                    return Ok(parts::split(name, own, sink, spec, tag, split));
                }
                if n > 1 && parts::splits(&spec) {
                    return Ok(parts::merged(name, own, sink, spec, &tag, expr.schema().kind));
                }
                let (mut part, mut current, mut depth) = (sink, own, 0);
                while current.len() as u32 > FAN_IN {
                    let n = (current.len() as u32).div_ceil(FAN_IN);
                    let work = Combine { name: format!("{tag}-combine"), spec: spec.clone(), part };
                    let name = Key::from(format!("{}-combine-{depth}", expr.name()));
                    let axes = vec![Axis::Group { own: 0, size: FAN_IN }];
                    let rule = Rule::Grid { shape: vec![n], reads: vec![Read { input: 0, axes }] };
                    current = layer(name, vec![current], rule, Arc::new(work));
                    (part, depth) = (0, depth + 1);
                }
                let work = Finished { name: tag, spec, part };
                Ok(gather(name, current, Arc::new(work)))
            }
            Node::Head { n, .. } if own.len() > 1 => {
                let work = Join { sink: (!alone).then_some(sink), limit: *n };
                Ok(gather(name, own, Arc::new(work)))
            }
            // The stage's layer already has the expression's name.
            _ if alone => Ok(own),
            _ => {
                let axes = vec![Axis::Along { own: 0, offset: 0 }];
                let rule = Rule::Grid { shape: vec![own.len() as u32], reads: vec![Read { input: 0, axes }] };
                Ok(layer(name, vec![own], rule, Arc::new(Extract { sink })))
            }
        }
    }

    fn stage_layer(&mut self, stage: usize, output: &Key) -> Result<LayerRef> {
        if let Some(layer) = &self.stages[stage].layer {
            return Ok(layer.clone());
        }
        let Some(mut plan) = self.stages[stage].plan.take() else {
            return Err(ExprError::Invalid("a stage reads itself".into()));
        };
        plan.schedule();
        let n = plan.base.npartitions();
        let which: Vec<u32> = match self.stages[stage].which {
            Which::All => (0..n).collect(),
            Which::First(count) => (0..n.min(count)).collect(),
            Which::Last => (n.saturating_sub(1)..n).collect(),
        };
        let (mut inputs, mut reads) = (Vec::new(), Vec::new());
        let base = plan.base.clone();
        let from_source = matches!(base.node(), Node::Source(_));
        if !from_source {
            inputs.push(self.frames(&base)?);
            // `which` starts at 0 but for the last partition.
            let offset = which.first().map_or(0, |&first| first as i32);
            reads.push(Read { input: 0, axes: vec![Axis::Along { own: 0, offset }] });
        }
        for param in &plan.params.clone() {
            inputs.push(self.frames(param)?);
            reads.push(Read { input: inputs.len() as u32 - 1, axes: vec![Axis::At(0)] });
        }
        for table in &plan.tables.clone() {
            if let Node::Probe(probe) = table.node() {
                inputs.push(self.table(probe)?);
                reads.push(Read { input: inputs.len() as u32 - 1, axes: vec![Axis::At(0)] });
            }
        }
        // One sink of rows: the stage's tasks are the partitions themselves.
        let is_rows = plan.sinks.len() == 1
            && matches!(plan.sinks[0], plan::Sink::Append { .. })
            && !(which.len() > 1 && matches!(self.stages[stage].which, Which::First(_)));
        let work = StageWork::new(plan, which);
        let name = if is_rows {
            output.clone()
        } else {
            let mut h = Hasher::new("fused");
            h.key(output).number(stage as u64);
            Key::from(format!("{}-{:032x}", work.title(), h.finish()))
        };
        let rule = Rule::Grid { shape: vec![work.len()], reads };
        let built = layer(name, inputs, rule, Arc::new(work));
        self.stages[stage].layer = Some(built.clone());
        Ok(built)
    }

    /// The one task that makes the table of a join.
    fn table(&mut self, probe: &Probe) -> Result<LayerRef> {
        let digest = probe.table_digest();
        if let Some(layer) = self.tables.get(&digest) {
            return Ok(layer.clone());
        }
        let rows = self.frames(&probe.table)?;
        let work =
            Build { keys: probe.table_keys.clone(), columns: probe.taken(), only_keys: probe.only_keys() };
        let built = gather(Key::from(format!("merge-table-{digest:032x}")), rows, Arc::new(work));
        self.tables.insert(digest, built.clone());
        Ok(built)
    }

    /// The layer of `expr` with partitions that native steps can read.
    fn frames(&mut self, expr: &Expr) -> Result<LayerRef> {
        let own = self.layer(expr)?;
        let source = match expr.node() {
            Node::Partitions { input, .. } => plan::base(input),
            Node::Concat { inputs } => match inputs.first() {
                Some(first) => first,
                None => expr,
            },
            _ => expr,
        };
        let Node::Host(step) = source.node() else { return Ok(own) };
        let Some(bridge) = &step.bridge else {
            return ExprError::unsupported(format!("native steps after {}", step.name));
        };
        if let Some(layer) = self.bridges.get(&expr.digest()) {
            return Ok(layer.clone());
        }
        let axes = vec![Axis::Along { own: 0, offset: 0 }];
        let rule = Rule::Grid { shape: vec![own.len() as u32], reads: vec![Read { input: 0, axes }] };
        let name = Key::from(format!("to-frame-{:032x}", expr.digest()));
        let bridged = layer(name, vec![own], rule, bridge.clone());
        self.bridges.insert(expr.digest(), bridged.clone());
        Ok(bridged)
    }
}

fn layer(name: Key, inputs: Vec<LayerRef>, rule: Rule, work: WorkRef) -> LayerRef {
    Arc::new(Layer { name, inputs, rule, work })
}

/// One task that reads everything.
fn gather(name: Key, input: LayerRef, work: WorkRef) -> LayerRef {
    let reads = vec![Read { input: 0, axes: vec![Axis::All] }];
    layer(name, vec![input], Rule::Grid { shape: vec![1], reads }, work)
}

fn alias(name: Key, inputs: Vec<LayerRef>, reads: Vec<(u32, u32)>) -> LayerRef {
    let keys = partition_keys(&name, reads.len());
    let starts = (0..=reads.len() as u32).collect();
    layer(name, inputs, Rule::Explicit { keys, starts, reads }, Arc::new(Alias))
}

fn partition_keys(name: &Key, n: usize) -> Arc<[Key]> {
    (0..n).map(|i| Key::Tuple([name.clone(), Key::Int(i as i64)].into())).collect()
}
