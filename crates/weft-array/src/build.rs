//! Building expressions: what each operation makes of chunks and dtypes.

use std::sync::Arc;

use crate::chunks::{AxisChunks, Chunks};
use crate::error::ArrayError;
use crate::expr::{Expr, Meta, Op, Step, StepArg};
use crate::kernel::arg::Arg;
use crate::kernel::reduce::{Reduction, Spec};
use crate::kernel::scan::Scan;
use crate::kernel::{Count, Num, Scalar, Ufunc};
use crate::select::{Pick, Run, SelectAxis, Selection};

type Result<T> = std::result::Result<T, ArrayError>;

/// An operand of an elementwise function.
#[derive(Clone, Debug)]
pub enum Operand {
    Array(Expr),
    Scalar(Scalar),
}

fn plain(chunks: Chunks, num: Num) -> Meta {
    Meta { chunks, dtype: num.dtype().name().into(), plain: true }
}

impl Expr {
    /// One number everywhere.
    pub fn fill(value: Scalar, num: Num, chunks: Chunks, word: &str) -> Result<Expr> {
        let Some(bits) = value.bits(num) else {
            return ArrayError::unsupported(format!("{value:?} as {}", num.dtype()));
        };
        if chunks.shape().iter().any(Option::is_none) {
            return ArrayError::invalid("an array of one number needs known chunks");
        }
        Expr::new(Op::Fill { num, bits }, vec![], plain(chunks, num), word, None)
    }

    /// `start + step * i` along one axis.
    pub fn iota(start: Scalar, step: Scalar, num: Num, chunks: AxisChunks, word: &str) -> Result<Expr> {
        let float = |x: Scalar| match x {
            Scalar::Float(x) => x,
            Scalar::Int(n) => n as f64,
            Scalar::Bool(b) => b as u8 as f64,
        };
        let int = |x: Scalar| match x {
            Scalar::Int(n) => i64::try_from(n).ok(),
            Scalar::Bool(b) => Some(b as i64),
            Scalar::Float(_) => None,
        };
        if num == Num::Bool || chunks.total().is_none() {
            return ArrayError::unsupported("counting in bools, or without known chunks");
        }
        let (int_start, int_step) = match (int(start), int(step)) {
            (Some(start), Some(step)) => (start, step),
            _ if num.is_float() => (0, 0),
            _ => return ArrayError::unsupported("counting integers in steps of floats"),
        };
        let (start, step) = (float(start), float(step));
        let op = Op::Iota(Count { start, step, int_start, int_step, first: 0, stride: 1 });
        Expr::new(op, vec![], plain(Chunks::new([chunks]), num), word, None)
    }

    /// `op` of operands that are cut alike (or have one element along an axis), computed with `num`.
    pub fn elementwise(op: Ufunc, operands: Vec<Operand>, num: Num, to: Num) -> Result<Expr> {
        if operands.len() != op.arity() {
            return ArrayError::invalid(format!(
                "{} takes {} operands, not {}",
                op.name(),
                op.arity(),
                operands.len()
            ));
        }
        let gives = if op == Ufunc::Cast { Some(to) } else { op.result(num) };
        let Some(gives) = gives else {
            return ArrayError::unsupported(format!("{} of {}", op.name(), num.dtype()));
        };
        if gives != to {
            return ArrayError::unsupported(format!(
                "{} of {} gives {}",
                op.name(),
                num.dtype(),
                gives.dtype()
            ));
        }
        let mut inputs: Vec<Expr> = Vec::new();
        let mut args = Vec::with_capacity(operands.len());
        for (i, operand) in operands.into_iter().enumerate() {
            match operand {
                Operand::Scalar(scalar) => {
                    let wanted = if op == Ufunc::Where && i == 0 { Num::Bool } else { num };
                    let Some(bits) = scalar.bits(wanted) else {
                        return ArrayError::unsupported(format!("{scalar:?} as {}", wanted.dtype()));
                    };
                    args.push(StepArg::Const(bits));
                }
                Operand::Array(expr) => {
                    if expr.num().is_none() {
                        return ArrayError::unsupported(format!(
                            "blocks of {} ({})",
                            expr.name(),
                            expr.dtype()
                        ));
                    }
                    let known = inputs.iter().position(|input| *input == expr).unwrap_or_else(|| {
                        inputs.push(expr);
                        inputs.len() - 1
                    });
                    args.push(StepArg::Input(known as u32));
                }
            }
        }
        let chunks = broadcast(&inputs)?;
        if op == Ufunc::Power && num.is_signed() {
            // NumPy refuses negative exponents of integers, which only the host can say of an array.
            match args[1] {
                StepArg::Const(bits) if num.signed(bits) >= 0 => {}
                _ => {
                    return ArrayError::unsupported("integers to the power of integers that may be negative");
                }
            }
        }
        let step = match (op, args.get(1)) {
            (Ufunc::Power, Some(StepArg::Const(2))) if !num.is_float() => {
                Step { op: Ufunc::Square, num, to, args: vec![args[0]] }
            }
            // As NumPy: small powers are products and roots.
            (Ufunc::Power, Some(StepArg::Const(bits))) if num.is_float() => {
                let exponent =
                    if num == Num::F64 { f64::from_bits(*bits) } else { f32::from_bits(*bits as u32) as f64 };
                let simple = match exponent {
                    2.0 => Some(Ufunc::Square),
                    1.0 => Some(Ufunc::Positive),
                    0.5 => Some(Ufunc::Sqrt),
                    -1.0 => Some(Ufunc::Reciprocal),
                    _ => None,
                };
                match simple {
                    Some(op) => Step { op, num, to, args: vec![args[0]] },
                    None => Step { op, num, to, args },
                }
            }
            _ => Step { op, num, to, args },
        };
        Expr::new(Op::Elementwise(step), inputs, plain(chunks, to), op.name(), None)
    }

    /// Axis `i` of the result is axis `order[i]`.
    pub fn transpose(&self, order: Vec<usize>) -> Result<Expr> {
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..self.chunks().ndim()) {
            return ArrayError::invalid(format!("{order:?} is no order of {} axes", self.chunks().ndim()));
        }
        let axes: Vec<AxisChunks> = order.iter().map(|&axis| self.chunks().axes()[axis].clone()).collect();
        let meta = Meta { chunks: Chunks::new(axes), ..self.meta() };
        if !self.is_plain() {
            return ArrayError::unsupported("blocks that are no NumPy arrays");
        }
        Expr::new(Op::Transpose(order), vec![self.clone()], meta, "transpose", None)
    }

    /// Reduces along `axes`. `output` is the result's element type, as NumPy says.
    pub fn reduce(
        &self,
        reduction: Reduction,
        axes: &[usize],
        keepdims: bool,
        output: Num,
        skip_nan: bool,
        ddof: i64,
    ) -> Result<Expr> {
        let Some(input) = self.num() else {
            return ArrayError::unsupported(format!("blocks of {}", self.dtype()));
        };
        let fits = match reduction {
            Reduction::Any | Reduction::All => output == Num::Bool,
            Reduction::Min | Reduction::Max => output == input,
            Reduction::Mean | Reduction::Var | Reduction::Std => output.is_float(),
            Reduction::CountNonzero => matches!(output, Num::I64 | Num::U64),
            Reduction::Sum | Reduction::Prod => output.is_float() == input.is_float() && output != Num::Bool,
        };
        if !fits {
            return ArrayError::unsupported(format!(
                "{} of {} as {}",
                reduction.name(),
                input.dtype(),
                output.dtype()
            ));
        }
        let mut reduced = vec![false; self.chunks().ndim()];
        for &axis in axes {
            match reduced.get_mut(axis) {
                Some(gone) => *gone = true,
                None => {
                    return ArrayError::invalid(format!("there is no axis {axis} among {}", reduced.len()));
                }
            }
        }
        let one = AxisChunks::known([1]);
        let kept =
            self.chunks().axes().iter().zip(&reduced).filter_map(|(axis, &gone)| match (gone, keepdims) {
                (false, _) => Some(axis.clone()),
                (true, true) => Some(one.clone()),
                (true, false) => None,
            });
        let chunks = Chunks::new(kept.collect::<Vec<_>>());
        let spec = Spec { reduction, skip_nan: skip_nan && input.is_float(), input, output, ddof };
        let word = if skip_nan { format!("nan{}", reduction.name()) } else { reduction.name().to_owned() };
        let op = Op::Reduce { spec, reduced, keepdims, shared: false };
        Expr::new(op, vec![self.clone()], plain(chunks, output), &word, None)
    }

    /// Where the smallest (`least`) or largest elements are, along `axis` or in the whole array. Extents must be known.
    pub fn arg(&self, least: bool, axis: Option<usize>, keepdims: bool, skip_nan: bool) -> Result<Expr> {
        let Some(num) = self.num() else {
            return ArrayError::unsupported(format!("blocks of {}", self.dtype()));
        };
        let chunks = self.chunks();
        if chunks.shape().iter().any(Option::is_none) {
            return ArrayError::unsupported("places in blocks of unknown extents");
        }
        if axis.is_some_and(|axis| axis >= chunks.ndim()) {
            return ArrayError::invalid(format!("there is no axis {axis:?} among {}", chunks.ndim()));
        }
        let one = AxisChunks::known([1]);
        let kept = chunks.axes().iter().enumerate().filter_map(|(i, own)| {
            let gone = axis.is_none_or(|axis| axis == i);
            if gone { keepdims.then(|| one.clone()) } else { Some(own.clone()) }
        });
        let chunks = Chunks::new(kept.collect::<Vec<_>>());
        let arg = Arg { least, skip_nan: skip_nan && num.is_float(), axis, num };
        let word = match (skip_nan, least) {
            (false, true) => "argmin",
            (false, false) => "argmax",
            (true, true) => "nanargmin",
            (true, false) => "nanargmax",
        };
        Expr::new(Op::Arg { arg, keepdims }, vec![self.clone()], plain(chunks, Num::I64), word, None)
    }

    /// Running sums, or products, along an axis, of the element type `output`.
    pub fn scan(&self, product: bool, axis: usize, output: Num, skip_nan: bool) -> Result<Expr> {
        let Some(num) = self.num() else {
            return ArrayError::unsupported(format!("blocks of {}", self.dtype()));
        };
        if axis >= self.chunks().ndim() {
            return ArrayError::invalid(format!("there is no axis {axis} among {}", self.chunks().ndim()));
        }
        if output == Num::Bool || (num.is_float() && !output.is_float()) {
            return ArrayError::unsupported(format!("running sums of {} as {}", num.dtype(), output.dtype()));
        }
        let input = match num == output {
            true => self.clone(),
            false => Expr::elementwise(Ufunc::Cast, vec![Operand::Array(self.clone())], num, output)?,
        };
        let scan = Scan { product, skip_nan: skip_nan && num.is_float(), axis, num: output };
        let word = if product { "cumprod" } else { "cumsum" };
        let meta = plain(self.chunks().clone(), output);
        Expr::new(Op::Scan(scan), vec![input], meta, word, None)
    }

    /// The blocks of an expression, as somebody else's that do not fuse.
    pub(crate) fn passing(input: &Expr) -> Result<Expr> {
        Expr::new(Op::Rename, vec![input.clone()], input.meta(), "blocks", None)
    }

    /// Blocks made of pieces of blocks.
    pub fn select(inputs: Vec<Expr>, selection: Selection, chunks: Chunks, word: &str) -> Result<Expr> {
        let Some(first) = inputs.first() else { return ArrayError::invalid("a selection of nothing") };
        if !inputs.iter().all(Expr::is_plain) && !selection.is_whole() {
            return ArrayError::unsupported("blocks that are no NumPy arrays");
        }
        if let Some(other) = inputs.iter().find(|input| input.dtype() != first.dtype()) {
            return ArrayError::unsupported(format!(
                "blocks of {} and {} in one array",
                first.dtype(),
                other.dtype()
            ));
        }
        let ndim = first.chunks().ndim();
        let mut seen = vec![false; ndim];
        let mut claim = |axis: usize| match seen.get_mut(axis) {
            Some(seen) if !*seen => {
                *seen = true;
                Ok(())
            }
            _ => ArrayError::invalid(format!("axis {axis} of {ndim} is selected twice, or not there")),
        };
        if selection.axes.len() != chunks.ndim() {
            return ArrayError::invalid("a selection and its chunks differ in their axes");
        }
        for (axis, made) in selection.axes.iter().zip(chunks.axes()) {
            let blocks = match axis {
                SelectAxis::New => 1,
                SelectAxis::Stack => inputs.len(),
                SelectAxis::From { axis, blocks } => {
                    claim(*axis)?;
                    for run in blocks.iter().flatten() {
                        let there = inputs
                            .get(run.input as usize)
                            .and_then(|input| input.chunks().axes().get(*axis))
                            .is_some_and(|theirs| (run.block as usize) < theirs.len());
                        if !there {
                            return ArrayError::invalid(format!(
                                "there is no block {} along axis {axis}",
                                run.block
                            ));
                        }
                    }
                    if blocks.iter().any(Vec::is_empty) {
                        return ArrayError::invalid("a block of no pieces");
                    }
                    blocks.len()
                }
            };
            if blocks != made.len() {
                return ArrayError::invalid(format!("{blocks} blocks are selected for chunks {made:?}"));
            }
        }
        for &(axis, block, _) in &selection.fixed {
            claim(axis)?;
            if block as usize >= first.chunks().axes()[axis].len() {
                return ArrayError::invalid(format!("there is no block {block} along axis {axis}"));
            }
        }
        if seen.contains(&false) {
            return ArrayError::invalid("a selection leaves an axis out");
        }
        let plain = inputs.iter().all(Expr::is_plain);
        let meta = Meta { chunks, plain, ..first.meta() };
        Expr::new(Op::Select(Arc::new(selection)), inputs, meta, word, None)
    }

    /// Arrays that are cut alike, one after the other along an axis.
    pub fn concatenate(inputs: Vec<Expr>, axis: usize) -> Result<Expr> {
        let Some(first) = inputs.first() else { return ArrayError::invalid("nothing to concatenate") };
        let chunks = first.chunks().clone();
        let mut sizes = Vec::new();
        let mut runs = Vec::new();
        for (number, input) in inputs.iter().enumerate() {
            let theirs = input.chunks();
            let alike = theirs.ndim() == chunks.ndim()
                && axis < theirs.ndim()
                && (0..theirs.ndim()).all(|i| i == axis || theirs.axes()[i] == chunks.axes()[i]);
            if !alike {
                return ArrayError::invalid(format!(
                    "chunks {chunks:?} and {theirs:?} differ beside axis {axis}"
                ));
            }
            for (block, &size) in theirs.axes()[axis].sizes().iter().enumerate() {
                sizes.push(size);
                runs.push(vec![Run { input: number as u32, block: block as u32, pick: Pick::All }]);
            }
        }
        let mut made: Vec<AxisChunks> = chunks.axes().to_vec();
        made[axis] = AxisChunks::new(sizes);
        let axes = (0..chunks.ndim())
            .map(|i| match i == axis {
                true => SelectAxis::From { axis: i, blocks: runs.clone() },
                false => SelectAxis::From { axis: i, blocks: each(&chunks.axes()[i]) },
            })
            .collect();
        Expr::select(inputs, Selection { axes, fixed: vec![] }, Chunks::new(made), "concatenate")
    }

    /// Arrays that are cut alike, side by side along a new axis.
    pub fn stack(inputs: Vec<Expr>, axis: usize) -> Result<Expr> {
        let Some(first) = inputs.first() else { return ArrayError::invalid("nothing to stack") };
        let chunks = first.chunks().clone();
        if inputs.iter().any(|input| *input.chunks() != chunks) || axis > chunks.ndim() {
            return ArrayError::invalid("stacked arrays must be cut alike");
        }
        let mut axes: Vec<SelectAxis> = (0..chunks.ndim())
            .map(|i| SelectAxis::From { axis: i, blocks: each(&chunks.axes()[i]) })
            .collect();
        axes.insert(axis, SelectAxis::Stack);
        let mut made: Vec<AxisChunks> = chunks.axes().to_vec();
        made.insert(axis, AxisChunks::known(vec![1; inputs.len()]));
        Expr::select(inputs, Selection { axes, fixed: vec![] }, Chunks::new(made), "stack")
    }
}

/// Every block as it is.
pub(crate) fn each(axis: &AxisChunks) -> Vec<Vec<Run>> {
    (0..axis.len() as u32).map(|block| vec![Run { input: 0, block, pick: Pick::All }]).collect()
}

/// The chunks of operands, aligned at their last axes.
fn broadcast(inputs: &[Expr]) -> Result<Chunks> {
    let Some(ndim) = inputs.iter().map(|input| input.chunks().ndim()).max() else {
        return ArrayError::invalid("an elementwise function needs an array among its operands");
    };
    let mut axes: Vec<Option<AxisChunks>> = vec![None; ndim];
    for input in inputs {
        let skip = ndim - input.chunks().ndim();
        for (axis, theirs) in axes[skip..].iter_mut().zip(input.chunks().axes()) {
            let single = |chunks: &AxisChunks| chunks.sizes() == [Some(1)];
            match axis {
                None => *axis = Some(theirs.clone()),
                Some(known) if known.is(theirs) || *known == *theirs || single(theirs) => {}
                Some(known) if single(known) => *axis = Some(theirs.clone()),
                // The same blocks, but for what is not known yet.
                Some(known) if known.len() == theirs.len() && compatible(known, theirs) => {}
                Some(known) => {
                    return ArrayError::invalid(format!(
                        "chunks {known:?} and {theirs:?} do not fit together"
                    ));
                }
            }
        }
    }
    Ok(Chunks::new(axes.into_iter().flatten().collect::<Vec<_>>()))
}

fn compatible(a: &AxisChunks, b: &AxisChunks) -> bool {
    a.sizes().iter().zip(b.sizes()).all(|(a, b)| a == b || a.is_none() || b.is_none())
}
