//! What the tasks of lowered expressions do.

use std::any::Any;
use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use weft_data::{CodecError, Decode, ErrorKind, Frame, Kind, Object, TaskError, Value, Work};

use crate::aggregate::{Aggregator, Spec};
use crate::codec;
use crate::error::ExprError;
use crate::expr::Node;
use crate::plan::{Limit, Plan, Sink};
use crate::scalar::Literal;
use crate::stage::{Output, Pass, scalar};

/// Rows of a frame in memory that are processed together: they stay in cache.
const BATCH: usize = 1 << 15;

/// What the sinks of a stage give for one partition.
#[derive(Debug)]
pub(crate) struct Bundle(pub Vec<Output>);

impl Object for Bundle {
    fn nbytes(&self) -> usize {
        self.0.iter().flatten().map(|frame| Value::Frame(frame.clone()).nbytes()).sum()
    }

    fn encode(&self, sink: &mut (dyn Write + Send)) -> Result<(), CodecError> {
        codec::write_number(sink, self.0.len() as u64)?;
        for output in &self.0 {
            codec::write_number(sink, output.len() as u64)?;
            output.iter().try_for_each(|frame| codec::write_frame(sink, frame))?;
        }
        Ok(())
    }

    fn decoder(&self) -> Decode {
        decode_bundle
    }

    fn wire_name(&self) -> Option<&'static str> {
        Some(BUNDLE)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What other processes call a [`Bundle`].
pub(crate) const BUNDLE: &str = "frame-bundle";

pub(crate) fn decode_bundle(source: &mut (dyn Read + Send)) -> Result<Arc<dyn Object>, CodecError> {
    let outputs = (0..codec::read_number(source)?).map(|_| {
        let frames = codec::read_number(source)?;
        (0..frames).map(|_| Ok(Arc::new(codec::read_frame(source)?))).collect()
    });
    Ok(Arc::new(Bundle(outputs.collect::<Result<_, CodecError>>()?)))
}

pub(crate) fn bundle(value: &Value) -> Result<&Bundle, TaskError> {
    match value {
        Value::Object(object) => object.as_any().downcast_ref(),
        _ => None,
    }
    .ok_or_else(|| TaskError::native(ErrorKind::Runtime, "expected partial results of a frame"))
}

fn frame(value: &Value) -> Result<&Arc<Frame>, TaskError> {
    match value {
        Value::Frame(frame) => Ok(frame),
        _ => Err(TaskError::native(ErrorKind::Type, "expected a partition that lives in Rust")),
    }
}

fn object(value: &Value) -> Result<Arc<dyn Object>, TaskError> {
    match value {
        Value::Object(object) => Ok(object.clone()),
        _ => Err(TaskError::native(ErrorKind::Runtime, "expected a table for looking up")),
    }
}

/// One pass over a partition for all sinks of a plan.
pub struct StageWork {
    plan: Plan,
    /// The partition of the base that each task reads.
    which: Vec<u32>,
    columns: Vec<usize>,
    title: String,
}

impl StageWork {
    /// `plan` is scheduled.
    pub fn new(plan: Plan, which: Vec<u32>) -> Self {
        let columns = plan.columns();
        let mut title = plan.base.node().tag().to_owned();
        for sink in &plan.sinks {
            if let Sink::Aggregate { spec, .. } = sink {
                let word = match (&spec.finish, spec.aggs.first()) {
                    (crate::expr::Finish::Counts { .. }, _) => "value_counts",
                    (_, Some((_, func, _))) => func.name(),
                    _ => "groups",
                };
                title = format!("{title}-{word}");
            }
        }
        StageWork { plan, which, columns, title }
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn len(&self) -> u32 {
        self.which.len() as u32
    }

    fn locate(&self, error: TaskError, partition: u32) -> TaskError {
        match error {
            TaskError::Native { kind, message } => {
                let base = self.plan.base.node().tag();
                TaskError::Native { kind, message: format!("{message} (in partition {partition} of {base})") }
            }
            host => host,
        }
    }

    fn pass(&self, partition: u32, inputs: &[Value]) -> Result<Vec<Output>, TaskError> {
        let from_source = match self.plan.base.node() {
            Node::Source(source) => Some(source),
            _ => None,
        };
        let apart = from_source.is_some_and(|source| source.is_apart());
        let (inputs, parcel) = inputs.split_at(inputs.len().saturating_sub(apart as usize));
        let (rows, beside) = inputs.split_at(from_source.is_none() as usize);
        let (params, tables) = beside.split_at(self.plan.params.len());
        let tables: Result<Vec<Arc<dyn Object>>, TaskError> = tables.iter().map(object).collect();
        let params: Result<Vec<Literal>, TaskError> =
            params.iter().map(|value| scalar(frame(value)?)).collect();
        let mut pass = Pass::new(&self.plan, self.columns.clone(), params?, tables?);
        match (from_source, rows) {
            (Some(_), _) if apart => match parcel {
                [value] => self.feed(&mut pass, frame(value)?)?,
                _ => return Err(ExprError::Invalid("a task came without its partition".into()).into()),
            },
            (Some(source), _) => {
                let (bounds, with_index) = (self.plan.bounds(), self.plan.spaces[0].index);
                source.scan_where(partition, &self.columns, &bounds, with_index, &mut |batch| {
                    Ok(pass.batch(&batch)?)
                })?;
            }
            (None, [value]) => self.feed(&mut pass, frame(value)?)?,
            _ => return Err(ExprError::Invalid("a stage without rows".into()).into()),
        }
        Ok(pass.finish()?)
    }

    /// The columns of a partition in memory that the pass reads.
    fn partition(&self, partition: u32) -> Result<Option<Arc<Frame>>, ExprError> {
        let Node::Source(source) = self.plan.base.node() else { return Ok(None) };
        let Some(batches) = source.in_memory(partition) else { return Ok(None) };
        let picked = |batch: &Arc<Frame>| {
            let columns = self.columns.iter().map(|&column| batch.columns[column].clone()).collect();
            // Labels that nobody looks at are not sent.
            let index = match self.plan.spaces[0].index {
                true => batch.index.clone(),
                false => weft_data::Index::Range { start: 0, step: 1 },
            };
            Arc::new(Frame::new(columns, index, batch.rows()))
        };
        crate::exchange::concat(&batches.iter().map(picked).collect::<Vec<_>>()).map(Arc::new).map(Some)
    }

    fn feed(&self, pass: &mut Pass<'_>, frame: &Frame) -> Result<(), TaskError> {
        // Rows that are only passed on need not be cut and put together again.
        let keeps_rows = self.plan.sinks.iter().any(|sink| {
            matches!(sink, Sink::Append { limit: Limit::All, .. }) && self.plan.tables.is_empty()
        });
        if keeps_rows || frame.rows() <= BATCH {
            pass.batch(frame)?;
            return Ok(());
        }
        let mut from = 0;
        while from < frame.rows() {
            let rows = BATCH.min(frame.rows() - from);
            if !pass.batch(&slice(frame, from, rows))? {
                break;
            }
            from += rows;
        }
        Ok(())
    }
}

fn slice(frame: &Frame, from: usize, rows: usize) -> Frame {
    use weft_data::{Column, Index};
    let cut = |column: &Column| Column { values: column.values.slice(from, rows), ..column.clone() };
    let index = match &frame.index {
        Index::Range { start, step } => Index::Range { start: start + from as i64 * step, step: *step },
        Index::Columns(levels) => {
            Index::Columns(levels.iter().map(|(name, level)| (name.clone(), cut(level))).collect())
        }
    };
    Frame::new(frame.columns.iter().map(cut).collect(), index, rows)
}

impl fmt::Debug for StageWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StageWork({}, {} sinks)", self.title, self.plan.sinks.len())
    }
}

impl Work for StageWork {
    fn name(&self) -> &str {
        &self.title
    }

    fn parcel(&self, index: u32) -> Result<Option<Value>, TaskError> {
        Ok(self.partition(self.which[index as usize])?.map(Value::Frame))
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let partition = self.which[index as usize];
        let mut outputs = self.pass(partition, inputs).map_err(|error| self.locate(error, partition))?;
        match &self.plan.sinks[..] {
            [Sink::Append { .. }] => Ok(Value::Frame(outputs.swap_remove(0).swap_remove(0))),
            _ => Ok(Value::Object(Arc::new(Bundle(outputs)))),
        }
    }
}

/// The rows that one sink of a stage kept.
#[derive(Debug)]
pub struct Extract {
    pub sink: usize,
}

impl Work for Extract {
    fn name(&self) -> &str {
        "getitem"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        Ok(Value::Frame(bundle(&inputs[0])?.0[self.sink][0].clone()))
    }
}

/// Merges partial aggregations into one.
pub struct Combine {
    pub name: String,
    pub spec: Arc<Spec>,
    /// Which output of the bundles to merge.
    pub part: usize,
}

fn merged(spec: &Arc<Spec>, part: usize, inputs: &[Value]) -> Result<Aggregator, TaskError> {
    let mut aggregator = Aggregator::new(spec.clone());
    for input in inputs {
        aggregator.merge(&bundle(input)?.0[part])?;
    }
    Ok(aggregator)
}

impl fmt::Debug for Combine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Work for Combine {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let partials = merged(&self.spec, self.part, inputs)?.partials()?;
        let partials = partials.into_iter().map(Arc::new).collect();
        Ok(Value::Object(Arc::new(Bundle(vec![partials]))))
    }
}

/// Merges the last partial aggregations and gives the result.
pub struct Finished {
    pub name: String,
    pub spec: Arc<Spec>,
    pub part: usize,
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Work for Finished {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        Ok(Value::Frame(Arc::new(merged(&self.spec, self.part, inputs)?.finish()?)))
    }
}

/// The first rows of several frames as one.
#[derive(Debug)]
pub struct Join {
    /// Which output of bundles; `None`: the inputs are frames.
    pub sink: Option<usize>,
    pub limit: usize,
}

impl Work for Join {
    fn name(&self) -> &str {
        "head"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let frames: Result<Vec<Arc<Frame>>, TaskError> = inputs
            .iter()
            .map(|input| match self.sink {
                Some(sink) => Ok(bundle(input)?.0[sink][0].clone()),
                None => frame(input).cloned(),
            })
            .collect();
        let frames = frames?;
        let kind = frames.first().map_or(Kind::Table, |frame| frame.kind);
        let joined = crate::stage::join(&frames, self.limit)?;
        Ok(Value::Frame(Arc::new(joined.with_kind(kind))))
    }
}

/// A partition under another name.
#[derive(Debug)]
pub struct Alias;

impl Work for Alias {
    fn name(&self) -> &str {
        "partition"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        Ok(inputs[0].clone())
    }

    fn is_alias(&self, _index: u32) -> bool {
        true
    }
}
