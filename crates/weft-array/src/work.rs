//! What the tasks of lowered expressions do.

use std::any::Any;
use std::io::{Read, Write};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use weft_data::{CodecError, Decode, ErrorKind, NdArray, Object, Shape, Strides, TaskError, Value, Work};

use crate::chunks::{Chunks, position};
use crate::fuse::{Fused, Operand};
use crate::kernel::arg::{self, Arg, Best};
use crate::kernel::reduce::{self, Partial, Spec};
use crate::kernel::{self, Count, Instr, Num, Program, Slot, Source, Ufunc, View};
use crate::select::Selection;

/// A block at hand.
#[derive(Debug)]
pub struct Given(pub Arc<[Value]>);

impl Work for Given {
    fn name(&self) -> &str {
        "array"
    }

    fn run(&self, index: u32, _inputs: &mut [Value]) -> Result<Value, TaskError> {
        let missing = || TaskError::native(ErrorKind::Runtime, "the blocks of an array are not here");
        self.0.get(index as usize).cloned().ok_or_else(missing)
    }
}

/// A block under another name.
#[derive(Debug)]
pub struct Alias;

impl Work for Alias {
    fn name(&self) -> &str {
        "block"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        Ok(inputs[0].clone())
    }

    fn is_alias(&self, _index: u32) -> bool {
        true
    }
}

/// The block of an array that a value is.
pub(crate) fn block(value: &Value) -> Result<Arc<NdArray>, TaskError> {
    match value {
        Value::Array(array) => Ok(array.clone()),
        Value::Object(object) => object.to_array(),
        _ => Err(TaskError::native(ErrorKind::Type, "expected a block of an array")),
    }
}

/// A fused program over blocks.
#[derive(Debug)]
pub struct Pass {
    program: Program,
    sources: Vec<Feed>,
    chunks: Chunks,
    grid: Vec<u32>,
}

/// How an operand of the program comes about.
#[derive(Debug)]
enum Feed {
    /// The next block that the task reads; its axis `i` lies along `axes[i]` of the result.
    Block { axes: Vec<usize>, num: Num },
    /// `starts`: the number of elements before each block.
    Iota { num: Num, count: Count, axis: usize, starts: Vec<usize> },
}

impl Pass {
    pub(crate) fn new(fused: &Fused, chunks: &Chunks) -> Pass {
        let sources = fused.operands.iter().zip(&fused.program.inputs).map(|(operand, &num)| match operand {
            Operand::Blocks { axes, .. } => Feed::Block { axes: axes.clone(), num },
            &Operand::Iota { num, count, axis } => {
                let sizes = chunks.axes()[axis].sizes();
                let starts = sizes
                    .iter()
                    .scan(0, |at, size| Some(std::mem::replace(at, *at + size.unwrap_or(0))))
                    .collect();
                Feed::Iota { num, count, axis, starts }
            }
        });
        Pass {
            program: fused.program.clone(),
            sources: sources.collect(),
            grid: chunks.numblocks(),
            chunks: chunks.clone(),
        }
    }

    /// The shape of block `index` and the operands as seen along it.
    fn load(&self, index: u32, inputs: &[Value]) -> Result<(Shape, Vec<Source>), TaskError> {
        let position = position(index, &self.grid);
        let declared = self.chunks.block_shape(&position);
        let mut shape: Vec<Option<usize>> = vec![None; declared.len()];
        let mut blocks = inputs.iter();
        let mut loaded = Vec::with_capacity(self.sources.len());
        for feed in &self.sources {
            let Feed::Block { axes, num } = feed else {
                loaded.push(None);
                continue;
            };
            let missing = || TaskError::native(ErrorKind::Runtime, "a task got too few blocks");
            let block = block(blocks.next().ok_or_else(missing)?)?;
            if block.ndim() != axes.len() {
                return Err(TaskError::native(
                    ErrorKind::Value,
                    format!("a block of shape {:?} was promised to have {} axes", block.shape(), axes.len()),
                ));
            }
            for (&axis, &n) in axes.iter().zip(block.shape()) {
                match shape[axis] {
                    _ if n == 1 => {}
                    None => shape[axis] = Some(n),
                    Some(known) if known == n => {}
                    Some(known) => {
                        return Err(TaskError::native(
                            ErrorKind::Value,
                            format!(
                                "operands could not be broadcast together: blocks at {position:?} have {known} and {n} \
                                 elements along axis {axis}"
                            ),
                        ));
                    }
                }
            }
            loaded.push(Some(as_number(block, *num)?));
        }
        // Where operands have one element, so has the result, unless it was promised more.
        let shape: Shape = shape.iter().zip(&declared).map(|(n, d)| n.or(*d).unwrap_or(1)).collect();
        let sources = self.sources.iter().zip(loaded).map(|(feed, block)| match (feed, block) {
            (Feed::Block { axes, .. }, Some(block)) => {
                let mut strides: Strides = smallvec::smallvec![0; shape.len()];
                for (i, &axis) in axes.iter().enumerate() {
                    if block.shape()[i] != 1 {
                        strides[axis] = block.strides()[i];
                    }
                }
                Source::View(View { array: NdArray::clone(&block), strides })
            }
            (Feed::Iota { num, count, axis, starts }, _) => {
                let before = starts[position[*axis] as usize];
                Source::Iota { num: *num, count: count.part(before as i64, 1), axis: *axis }
            }
            // Blocks were loaded for all feeds that are blocks.
            (Feed::Block { num, .. }, None) => Source::Iota { num: *num, count: Count::default(), axis: 0 },
        });
        let sources = sources.collect();
        Ok((shape, sources))
    }
}

/// A block of the element type that its expression promised: what a function gave may be another.
pub(crate) fn as_number(block: Arc<NdArray>, num: Num) -> Result<Arc<NdArray>, TaskError> {
    match Num::from_dtype(block.dtype()) {
        Some(have) if have == num => Ok(block),
        Some(have) => {
            let args = [Slot::Input(0), Slot::Const(0), Slot::Const(0)];
            let instr = Instr::new(Ufunc::Cast, have, num, args);
            let program = Program::new(vec![have], vec![instr], Slot::Value(0), num);
            let view = View { array: NdArray::clone(&block), strides: block.strides().into() };
            Ok(Arc::new(kernel::elementwise(block.shape(), &[Source::View(view)], &program)))
        }
        None => Err(TaskError::native(
            ErrorKind::Type,
            format!(
                "a block is of dtype {}, but {} was promised; give the right dtype or meta",
                block.dtype(),
                num.dtype()
            ),
        )),
    }
}

/// Elementwise steps as one.
#[derive(Debug)]
pub struct Elementwise {
    pub name: String,
    pub pass: Pass,
}

impl Work for Elementwise {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_cheap(&self) -> bool {
        true
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let (shape, sources) = self.pass.load(index, inputs)?;
        let program = &self.pass.program;
        // One number everywhere needs one number's memory.
        if let Slot::Const(bits) = program.out {
            return Ok(Value::Array(Arc::new(everywhere(bits, program.num, &shape))));
        }
        Ok(Value::Array(Arc::new(kernel::elementwise(&shape, &sources, program))))
    }
}

/// A block whose elements are all the same one.
fn everywhere(bits: u64, num: Num, shape: &[usize]) -> NdArray {
    let dtype = num.dtype();
    let memory = arrow_buffer::Buffer::from(&bits.to_le_bytes()[..]);
    let strides: Strides = smallvec::smallvec![0; shape.len()];
    match NdArray::new(memory, 0, dtype.clone(), shape, &strides) {
        Ok(array) => array,
        // Strides of zero stay in the memory of one element.
        Err(_) => NdArray::zeros(dtype, shape),
    }
}

/// What blocks have become on the way to a reduction's result.
#[derive(Debug)]
struct Reduced(Partial);

impl Object for Reduced {
    fn nbytes(&self) -> usize {
        self.0.nbytes()
    }

    fn encode(&self, sink: &mut (dyn Write + Send)) -> Result<(), CodecError> {
        write(&self.0, sink)
    }

    fn decoder(&self) -> Decode {
        decode_reduced
    }

    fn wire_name(&self) -> Option<&'static str> {
        Some(REDUCED)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What other processes call what is between the first step of a reduction and the last.
const REDUCED: &str = "array-reduced";
const FOUND: &str = "array-found";

/// How to read a partial result that another process wrote, by its name.
pub fn decoder(name: &[u8]) -> Option<Decode> {
    match name {
        _ if name == REDUCED.as_bytes() => Some(decode_reduced),
        _ if name == FOUND.as_bytes() => Some(decode_found),
        _ => None,
    }
}

fn write(content: &impl Serialize, sink: &mut (dyn Write + Send)) -> Result<(), CodecError> {
    let bytes = postcard::to_stdvec(content).map_err(|e| CodecError::Codec(e.to_string()))?;
    Ok(sink.write_all(&bytes)?)
}

fn read<T: DeserializeOwned>(source: &mut (dyn Read + Send)) -> Result<T, CodecError> {
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes)?;
    postcard::from_bytes(&bytes).map_err(|e| CodecError::Codec(e.to_string()))
}

fn decode_reduced(source: &mut (dyn Read + Send)) -> Result<Arc<dyn Object>, CodecError> {
    Ok(Arc::new(Reduced(read(source)?)))
}

fn decode_found(source: &mut (dyn Read + Send)) -> Result<Arc<dyn Object>, CodecError> {
    Ok(Arc::new(Found(read(source)?)))
}

fn partial(value: &Value) -> Result<&Partial, TaskError> {
    match value {
        Value::Object(object) => object.as_any().downcast_ref::<Reduced>().map(|reduced| &reduced.0),
        _ => None,
    }
    .ok_or_else(|| TaskError::native(ErrorKind::Runtime, "expected a partial result of a reduction"))
}

/// The first step of a reduction, with the elementwise steps before it; and the last, if `finish`.
#[derive(Debug)]
pub struct First {
    pub name: String,
    pub pass: Pass,
    pub spec: Spec,
    pub reduced: Vec<bool>,
    /// Which axes the result keeps.
    pub finish: Option<Vec<bool>>,
}

impl Work for First {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let (shape, sources) = self.pass.load(index, inputs)?;
        let partial = reduce::first(self.spec, &shape, &self.reduced, &sources, &self.pass.program);
        match &self.finish {
            None => Ok(Value::Object(Arc::new(Reduced(partial)))),
            Some(keep) => finish(self.spec, &partial, keep, false),
        }
    }
}

fn finish(spec: Spec, partial: &Partial, keep: &[bool], spread: bool) -> Result<Value, TaskError> {
    let name = if spec.reduction == kernel::reduce::Reduction::Min { "minimum" } else { "maximum" };
    match reduce::finish(spec, partial, keep, spread) {
        Some(array) => Ok(Value::Array(Arc::new(array))),
        None => Err(TaskError::native(
            ErrorKind::Value,
            format!("zero-size array to reduction operation {name} which has no identity"),
        )),
    }
}

/// Merges partial results; and gives the result, if `finish`.
#[derive(Debug)]
pub struct Merge {
    pub name: String,
    /// Of the partial results.
    pub spec: Spec,
    /// What is wanted of them, and the axes that the result keeps.
    pub finish: Option<(Spec, Vec<bool>)>,
}

impl Work for Merge {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let partials = inputs.iter().map(partial).collect::<Result<Vec<_>, _>>()?;
        let differ = || TaskError::native(ErrorKind::Value, "blocks of one row differ in their extents");
        let merged = reduce::merge(self.spec, &partials).ok_or_else(differ)?;
        match &self.finish {
            None => Ok(Value::Object(Arc::new(Reduced(merged)))),
            Some((wanted, keep)) => finish(*wanted, &merged, keep, wanted.reduction != self.spec.reduction),
        }
    }
}

/// Blocks made of pieces of blocks.
#[derive(Debug)]
pub struct Select {
    pub name: String,
    pub selection: Arc<Selection>,
    pub grid: Vec<u32>,
    /// The blocks that it reads stay in memory whatever happens: a view keeps nothing alive.
    pub stay: bool,
}

impl Work for Select {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let blocks = inputs.iter().map(block).collect::<Result<Vec<_>, _>>()?;
        let made = self.selection.assemble(&position(index, &self.grid), &blocks, self.stay)?;
        Ok(Value::Array(Arc::new(made)))
    }
}

/// The first step of a search for the smallest or largest elements; and the last, if `finish`.
#[derive(Debug)]
pub struct ArgFirst {
    name: String,
    pass: Pass,
    arg: Arg,
    /// The number of elements before each block, axis by axis.
    starts: Vec<Vec<usize>>,
    whole: Vec<usize>,
    finish: Option<Vec<bool>>,
}

impl ArgFirst {
    pub(crate) fn new(
        name: String,
        pass: Pass,
        arg: Arg,
        chunks: &Chunks,
        finish: Option<Vec<bool>>,
    ) -> Self {
        let starts = chunks.axes().iter().map(|axis| {
            let sizes = axis.sizes().iter().map(|size| size.unwrap_or(0));
            sizes.scan(0, |at, n| Some(std::mem::replace(at, *at + n))).collect()
        });
        let whole = chunks.shape().into_iter().map(|n| n.unwrap_or(0)).collect();
        ArgFirst { name, pass, arg, starts: starts.collect(), whole, finish }
    }
}

impl Work for ArgFirst {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let (shape, sources) = self.pass.load(index, inputs)?;
        let block = match (&sources[..], self.pass.program.out) {
            // As it lies.
            ([Source::View(view)], Slot::Input(0)) if view.array.shape() == &shape[..] => view.array.clone(),
            _ => kernel::elementwise(&shape, &sources, &self.pass.program),
        };
        let position = position(index, &self.pass.grid);
        let origin: Vec<usize> =
            self.starts.iter().zip(&position).map(|(starts, &i)| starts[i as usize]).collect();
        let best = arg::first(self.arg, &block, &origin, &self.whole);
        match &self.finish {
            None => Ok(Value::Object(Arc::new(Found(best)))),
            Some(keep) => places(self.arg, &best, keep),
        }
    }
}

/// What a search has found so far.
#[derive(Debug)]
struct Found(Best);

impl Object for Found {
    fn nbytes(&self) -> usize {
        self.0.nbytes()
    }

    fn encode(&self, sink: &mut (dyn Write + Send)) -> Result<(), CodecError> {
        write(&self.0, sink)
    }

    fn decoder(&self) -> Decode {
        decode_found
    }

    fn wire_name(&self) -> Option<&'static str> {
        Some(FOUND)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn places(arg: Arg, best: &Best, keep: &[bool]) -> Result<Value, TaskError> {
    match arg::finish(best, keep) {
        Some(array) => Ok(Value::Array(Arc::new(array))),
        None if arg.skip_nan => Err(TaskError::native(ErrorKind::Value, "All-NaN slice encountered")),
        None => {
            let name = if arg.least { "argmin" } else { "argmax" };
            Err(TaskError::native(ErrorKind::Value, format!("attempt to get {name} of an empty sequence")))
        }
    }
}

/// Merges what searches have found; and gives the places, if `finish`.
#[derive(Debug)]
pub struct ArgMerge {
    pub name: String,
    pub arg: Arg,
    pub finish: Option<Vec<bool>>,
}

impl Work for ArgMerge {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        let found = inputs.iter().map(|value| match value {
            Value::Object(object) => object.as_any().downcast_ref::<Found>().map(|found| &found.0),
            _ => None,
        });
        let differ = || TaskError::native(ErrorKind::Value, "blocks of one row differ in their extents");
        let found = found.collect::<Option<Vec<_>>>().ok_or_else(differ)?;
        let merged = arg::merge(self.arg, &found).ok_or_else(differ)?;
        match &self.finish {
            None => Ok(Value::Object(Arc::new(Found(merged)))),
            Some(keep) => places(self.arg, &merged, keep),
        }
    }
}
