//! The expression: an immutable, shared, hashed description of an array.

use std::fmt;
use std::sync::Arc;

use weft_data::{Hasher, LayerRef, NdArray, Value, WorkRef};
use weft_graph::{Axis, Key};

use crate::chunks::Chunks;
use crate::error::ArrayError;
use crate::kernel::arg::Arg;
use crate::kernel::reduce::Spec;
use crate::kernel::scan::Scan;
use crate::kernel::{Bits, Count, Num, Ufunc};
use crate::select::Selection;

type Result<T> = std::result::Result<T, ArrayError>;

/// An expression. Cloning shares; equality is equality of content.
#[derive(Clone)]
pub struct Expr(Arc<Inner>);

struct Inner {
    op: Op,
    inputs: Vec<Expr>,
    chunks: Chunks,
    /// NumPy's name of the dtype, for people and for kernels that know it.
    dtype: Arc<str>,
    /// Blocks are plain arrays of the host: kernels can read them.
    plain: bool,
    digest: u128,
    name: Arc<str>,
}

/// What an expression does with its inputs.
#[derive(Clone, Debug)]
pub enum Op {
    /// Blocks at hand, row by row.
    Blocks(Arc<[Value]>),
    /// Tasks of a graph that somebody else made.
    Tasks(Tasks),
    /// A step of the host on blocks.
    Host(HostStep),
    /// The same blocks under another name.
    Rename,
    /// One number everywhere: costs no memory.
    Fill {
        num: Num,
        bits: Bits,
    },
    /// Numbers that are counted along one axis.
    Iota(Count),
    Elementwise(Step),
    /// Axis `i` of the result is axis `order[i]` of the input.
    Transpose(Vec<usize>),
    Reduce {
        spec: Spec,
        reduced: Vec<bool>,
        keepdims: bool,
        /// Its partial results are those of a variance, which others of the same array read too.
        shared: bool,
    },
    /// Where the smallest or largest elements are.
    Arg {
        arg: Arg,
        keepdims: bool,
    },
    /// Running sums or products.
    Scan(Scan),
    Select(Arc<Selection>),
}

/// An elementwise function of operands that are aligned block by block, or broadcast.
#[derive(Clone, Debug)]
pub struct Step {
    pub op: Ufunc,
    /// What it computes with.
    pub num: Num,
    pub to: Num,
    pub args: Vec<StepArg>,
}

#[derive(Clone, Copy, Debug)]
pub enum StepArg {
    /// An input of the expression.
    Input(u32),
    /// A number of the type that the step computes with.
    Const(Bits),
}

/// Blocks that tasks of other layers make.
#[derive(Clone, Debug)]
pub struct Tasks {
    /// The graph that holds them.
    pub graph: Vec<LayerRef>,
    /// The task of each block, row by row.
    pub blocks: Arc<[(LayerRef, u32)]>,
}

/// A step of the host language: the fallback, and how the host brings in its own data.
#[derive(Clone, Debug)]
pub struct HostStep {
    /// Identifies function and arguments; the inputs are hashed by themselves.
    pub token: u128,
    /// Makes block `i` from what it reads.
    pub work: WorkRef,
    pub reads: HostReads,
    /// The step is a fallback for an operation, not a source of data or the user's own function.
    pub fallback: bool,
}

/// Which blocks of the inputs a block is made of.
#[derive(Clone, Debug)]
pub enum HostReads {
    /// For each operand, the input and how the block's position gives positions in it.
    Grid(Vec<(u32, Vec<Axis>)>),
    /// Block `i` reads `reads[starts[i]..starts[i + 1]]`: (input, block of it).
    Explicit { starts: Arc<[u32]>, reads: Arc<[(u32, u32)]> },
}

/// What an array looks like.
#[derive(Clone, Debug)]
pub struct Meta {
    pub chunks: Chunks,
    pub dtype: Arc<str>,
    pub plain: bool,
}

impl Expr {
    /// `word` starts the name; `exact` is the whole name, if somebody insists.
    pub(crate) fn new(
        op: Op,
        inputs: Vec<Expr>,
        meta: Meta,
        word: &str,
        exact: Option<&str>,
    ) -> Result<Expr> {
        let Meta { chunks, dtype, plain } = meta;
        if chunks.count().is_none_or(|n| n == u32::MAX) {
            return ArrayError::invalid(format!(
                "an array of {:?} blocks has more blocks than a graph can hold; use larger chunks",
                chunks.numblocks()
            ));
        }
        let mut hasher = Hasher::new(word);
        op.hash(&mut hasher);
        hasher.number(inputs.len() as u64);
        for input in &inputs {
            hasher.digest(input.digest());
        }
        chunks.feed(&mut hasher);
        hasher.text(&dtype).number(plain as u64).text(exact.unwrap_or(""));
        let digest = hasher.finish();
        let name = exact.map_or_else(|| format!("{word}-{digest:032x}").into(), Arc::from);
        Ok(Expr::assembled(op, inputs, Meta { chunks, dtype, plain }, digest, name))
    }

    pub(crate) fn assembled(op: Op, inputs: Vec<Expr>, meta: Meta, digest: u128, name: Arc<str>) -> Expr {
        let Meta { chunks, dtype, plain } = meta;
        Expr(Arc::new(Inner { op, inputs, chunks, dtype, plain, digest, name }))
    }

    /// Blocks at hand. `token` identifies them.
    pub fn blocks(blocks: Vec<Value>, token: u128, meta: Meta, name: &str, exact: bool) -> Result<Expr> {
        if meta.chunks.count() != Some(blocks.len() as u32) {
            return ArrayError::invalid(format!(
                "{} blocks were given for chunks {:?}, which are {:?} blocks",
                blocks.len(),
                meta.chunks,
                meta.chunks.numblocks()
            ));
        }
        let word = format!("{token:032x}");
        let exact = if exact { name.to_owned() } else { format!("{name}-{word}") };
        Expr::new(Op::Blocks(blocks.into()), vec![], meta, &word, Some(&exact))
    }

    /// One array in memory, cut into blocks that share it.
    pub fn buffer(array: &NdArray, token: u128, meta: Meta, name: &str, exact: bool) -> Result<Expr> {
        let chunks = &meta.chunks;
        let sizes: Option<Vec<Vec<usize>>> = chunks.axes().iter().map(|axis| axis.known_sizes()).collect();
        let totals: Vec<usize> = chunks.shape().into_iter().flatten().collect();
        let Some(sizes) = sizes.filter(|_| totals == array.shape()) else {
            return ArrayError::invalid(format!(
                "chunks {chunks:?} do not cut an array of shape {:?}",
                array.shape()
            ));
        };
        let starts: Vec<Vec<usize>> = sizes
            .iter()
            .map(|sizes| sizes.iter().scan(0, |at, &n| Some(std::mem::replace(at, *at + n))).collect())
            .collect();
        let blocks = (0..chunks.count().unwrap_or(0)).map(|block| {
            let at = chunks.position(block);
            let cuts: Vec<(usize, isize, usize)> = at
                .iter()
                .enumerate()
                .map(|(axis, &i)| (starts[axis][i as usize], 1, sizes[axis][i as usize]))
                .collect();
            let block = array.cut(&cuts).map_err(|error| ArrayError::Invalid(error.to_string()))?;
            Ok(Value::Array(Arc::new(block)))
        });
        let blocks = blocks.collect::<Result<Vec<_>>>()?;
        Expr::blocks(blocks, token, meta, name, exact)
    }

    /// The same array under another name.
    pub fn rename(&self, name: &str) -> Result<Expr> {
        let (op, inputs) = match self.op() {
            // Its blocks have keys of somebody else's.
            Op::Tasks(_) => (Op::Rename, vec![self.clone()]),
            op => (op.clone(), self.inputs().to_vec()),
        };
        Expr::new(op, inputs, self.meta(), "rename", Some(name))
    }

    /// Blocks that tasks of a graph make.
    pub fn tasks(tasks: Tasks, token: u128, meta: Meta, name: &str) -> Result<Expr> {
        Expr::new(Op::Tasks(tasks), vec![], meta, &format!("{token:032x}"), Some(name))
    }

    /// A step of the host.
    pub fn host(
        step: HostStep,
        inputs: Vec<Expr>,
        meta: Meta,
        word: &str,
        exact: Option<&str>,
    ) -> Result<Expr> {
        Expr::new(Op::Host(step), inputs, meta, word, exact)
    }

    pub fn op(&self) -> &Op {
        &self.0.op
    }

    pub fn inputs(&self) -> &[Expr] {
        &self.0.inputs
    }

    pub fn chunks(&self) -> &Chunks {
        &self.0.chunks
    }

    pub fn dtype(&self) -> &Arc<str> {
        &self.0.dtype
    }

    pub fn is_plain(&self) -> bool {
        self.0.plain
    }

    pub fn meta(&self) -> Meta {
        Meta { chunks: self.0.chunks.clone(), dtype: self.0.dtype.clone(), plain: self.0.plain }
    }

    /// The element type, if kernels can read the blocks.
    pub fn num(&self) -> Option<Num> {
        if self.0.plain { Num::from_name(&self.0.dtype) } else { None }
    }

    /// Content hash.
    pub fn digest(&self) -> u128 {
        self.0.digest
    }

    /// What the keys of its blocks start with.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// The key of block `index`.
    pub fn key(&self, index: u32) -> Key {
        let mut parts = vec![Key::Str(self.0.name.clone())];
        parts.extend(self.0.chunks.position(index).into_iter().map(|i| Key::Int(i as i64)));
        Key::Tuple(parts.into())
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({}, {}, {:?})", self.name(), self.dtype(), self.chunks())
    }
}

/// A long chain of expressions must not overflow the stack when it is dropped.
impl Drop for Inner {
    fn drop(&mut self) {
        let mut pending = std::mem::take(&mut self.inputs);
        while let Some(Expr(inner)) = pending.pop() {
            if let Some(mut inner) = Arc::into_inner(inner) {
                pending.append(&mut inner.inputs);
            }
        }
    }
}

impl Op {
    fn hash(&self, h: &mut Hasher) {
        match self {
            // The token is in the word.
            Op::Blocks(_) => {
                h.text("blocks");
            }
            Op::Tasks(_) => {
                h.text("tasks");
            }
            Op::Rename => {
                h.text("rename");
            }
            Op::Fill { bits, .. } => {
                h.text("fill").number(*bits);
            }
            Op::Iota(count) => {
                h.text("iota").number(count.start.to_bits()).number(count.step.to_bits());
                for number in [count.int_start, count.int_step, count.first, count.stride] {
                    h.number(number as u64);
                }
            }
            Op::Elementwise(step) => {
                h.text("elementwise").text(step.op.name());
                h.text(step.num.dtype().name()).text(step.to.dtype().name()).number(step.args.len() as u64);
                for arg in &step.args {
                    match arg {
                        StepArg::Input(i) => h.number(0).number(*i as u64),
                        StepArg::Const(bits) => h.number(1).number(*bits),
                    };
                }
            }
            Op::Transpose(order) => {
                h.text("transpose");
                for &axis in order {
                    h.number(axis as u64);
                }
            }
            Op::Reduce { spec, reduced, keepdims, shared } => {
                h.text("reduce").text(spec.reduction.name()).number(spec.skip_nan as u64);
                h.text(spec.output.dtype().name()).number(spec.ddof as u64).number(*keepdims as u64);
                for &gone in reduced {
                    h.number(gone as u64);
                }
                if *shared {
                    h.text("shared");
                }
            }
            Op::Arg { arg, keepdims } => {
                h.text("arg").number(arg.least as u64).number(arg.skip_nan as u64).number(*keepdims as u64);
                h.number(arg.axis.map_or(u64::MAX, |axis| axis as u64));
            }
            Op::Scan(scan) => {
                h.text("scan")
                    .number(scan.product as u64)
                    .number(scan.skip_nan as u64)
                    .number(scan.axis as u64);
            }
            Op::Select(selection) => {
                h.text("select");
                selection.feed(h);
            }
            Op::Host(step) => {
                h.text("host").digest(step.token);
                step.reads.hash(h);
            }
        }
    }
}

impl HostReads {
    fn hash(&self, h: &mut Hasher) {
        match self {
            HostReads::Grid(operands) => {
                h.number(0).number(operands.len() as u64);
                for (input, axes) in operands {
                    h.number(*input as u64).number(axes.len() as u64);
                    for axis in axes {
                        match *axis {
                            Axis::Along { own, offset } => {
                                h.number(0).number(own as u64).number(offset as u64)
                            }
                            Axis::Group { own, size } => h.number(1).number(own as u64).number(size as u64),
                            Axis::All => h.number(2),
                            Axis::At(i) => h.number(3).number(i as u64),
                        };
                    }
                }
            }
            HostReads::Explicit { starts, reads } => {
                h.number(1).number(starts.len() as u64);
                for &start in starts.iter() {
                    h.number(start as u64);
                }
                for &(input, block) in reads.iter() {
                    h.number((input as u64) << 32 | block as u64);
                }
            }
        }
    }
}
