//! Elementwise steps that hang together as one program.

use hashbrown::HashMap;

use crate::error::ArrayError;
use crate::expr::{Expr, Op, StepArg};
use crate::kernel::{self, Count, Instr, Num, Program, Slot, Ufunc};

type Result<T> = std::result::Result<T, ArrayError>;

/// Instructions of one program: beyond, a step's result is written to memory. It also bounds how
/// deep expressions are walked.
const LIMIT: usize = 48;

/// A program and where its operands come from.
#[derive(Clone, Debug)]
pub(crate) struct Fused {
    pub program: Program,
    pub operands: Vec<Operand>,
    /// Steps that went into it.
    pub steps: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// Blocks of an expression, whose axis `i` lies along axis `axes[i]` of the result.
    Blocks { expr: Expr, axes: Vec<usize> },
    /// Numbers counted along an axis of the result.
    Iota { num: Num, count: Count, axis: usize },
}

/// The program that computes `root`, or passes its blocks on if it is none of the steps that fuse.
pub(crate) fn fuse(root: &Expr) -> Result<Fused> {
    let mut builder = Builder { root: root.clone(), ..Builder::default_for(root) };
    let axes: Vec<usize> = (0..root.chunks().ndim()).collect();
    let (out, num) = builder.value(root, &axes)?;
    let Builder { inputs, instrs, operands, steps, .. } = builder;
    Ok(Fused { program: Program::new(inputs, instrs, out, num), operands, steps })
}

struct Builder {
    root: Expr,
    inputs: Vec<Num>,
    operands: Vec<Operand>,
    instrs: Vec<Instr>,
    known: HashMap<(u128, Vec<usize>), (Slot, Num), ahash::RandomState>,
    values: HashMap<Instr, u16, ahash::RandomState>,
    steps: usize,
}

impl Builder {
    fn default_for(root: &Expr) -> Builder {
        Builder {
            root: root.clone(),
            inputs: Vec::new(),
            operands: Vec::new(),
            instrs: Vec::new(),
            known: HashMap::default(),
            values: HashMap::default(),
            steps: 0,
        }
    }

    /// `expr`, whose axis `i` lies along axis `axes[i]` of the root.
    fn value(&mut self, expr: &Expr, axes: &[usize]) -> Result<(Slot, Num)> {
        let key = (expr.digest(), axes.to_vec());
        if let Some(&known) = self.known.get(&key) {
            return Ok(known);
        }
        let found = self.make(expr, axes)?;
        self.known.insert(key, found);
        Ok(found)
    }

    fn make(&mut self, expr: &Expr, axes: &[usize]) -> Result<(Slot, Num)> {
        let num = expr.num().ok_or_else(|| {
            ArrayError::Unsupported(format!("{} is of dtype {}", expr.name(), expr.dtype()))
        })?;
        match expr.op() {
            Op::Fill { bits, .. } => return Ok((Slot::Const(*bits), num)),
            Op::Iota(count) => {
                // A single number is the same all along the axis that it is broadcast over.
                let single = expr.chunks().axes().first().is_some_and(|axis| axis.total() == Some(1));
                let count = if single { count.part(0, 0) } else { *count };
                return Ok(self.operand(Operand::Iota { num, count, axis: axes[0] }, num));
            }
            Op::Elementwise(step) if self.steps < LIMIT && self.is_aligned(expr, axes) => {
                self.steps += 1;
                let ndim = expr.chunks().ndim();
                let mut args = [Slot::Const(0); 3];
                for (i, arg) in step.args.iter().enumerate() {
                    // The first operand of `where` is a truth.
                    let wanted = if step.op == Ufunc::Where && i == 0 { Num::Bool } else { step.num };
                    args[i] = match arg {
                        StepArg::Const(bits) => Slot::Const(*bits),
                        StepArg::Input(input) => {
                            let input = &expr.inputs()[*input as usize];
                            let skip = ndim - input.chunks().ndim();
                            let (slot, have) = self.value(input, &axes[skip..])?;
                            self.cast(slot, have, wanted)?
                        }
                    };
                }
                if step.op == Ufunc::Cast && step.num == step.to {
                    return Ok((args[0], num));
                }
                return Ok((self.push(Instr::new(step.op, step.num, step.to, args)), num));
            }
            Op::Transpose(order) if self.steps < LIMIT => {
                self.steps += 1;
                let mut theirs = vec![0; axes.len()];
                for (i, &from) in order.iter().enumerate() {
                    theirs[from] = axes[i];
                }
                return self.value(&expr.inputs()[0], &theirs);
            }
            _ => {}
        }
        Ok(self.operand(Operand::Blocks { expr: expr.clone(), axes: axes.to_vec() }, num))
    }

    /// Whether its blocks are as large as the root's: a smaller one is computed once, not again for
    /// each row that it is added to.
    fn is_aligned(&self, expr: &Expr, axes: &[usize]) -> bool {
        let root = self.root.chunks().axes();
        axes.len() == root.len()
            && expr.chunks().axes().iter().zip(axes).all(|(own, &axis)| *own == root[axis])
    }

    fn operand(&mut self, operand: Operand, num: Num) -> (Slot, Num) {
        self.operands.push(operand);
        self.inputs.push(num);
        (Slot::Input(self.inputs.len() as u16 - 1), num)
    }

    fn push(&mut self, instr: Instr) -> Slot {
        if let Some(bits) = kernel::fold(&instr) {
            return Slot::Const(bits);
        }
        let next = self.instrs.len() as u16;
        let value = *self.values.entry(instr).or_insert(next);
        if value == next {
            self.instrs.push(instr);
        }
        Slot::Value(value)
    }

    fn cast(&mut self, slot: Slot, from: Num, to: Num) -> Result<Slot> {
        if from == to {
            return Ok(slot);
        }
        let args = [slot, Slot::Const(0), Slot::Const(0)];
        Ok(self.push(Instr::new(Ufunc::Cast, from, to, args)))
    }
}
