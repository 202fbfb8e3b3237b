//! An expression as a tree of text, for people.

use std::fmt::Write;

use weft_data::Lane;

use crate::expr::{Expr, Op, StepArg};
use crate::kernel::Num;

impl Expr {
    /// One line for each step, inputs indented below it. Each step is marked `native`, `fallback` (the
    /// host on each block) or `host` (data and functions that the host brings in).
    pub fn explain(&self) -> String {
        let mut text = String::new();
        let mut pending = vec![(self.clone(), 0)];
        let mut seen = hashbrown::HashSet::<u128, ahash::RandomState>::default();
        while let Some((expr, depth)) = pending.pop() {
            let again = !seen.insert(expr.digest()) && !expr.inputs().is_empty();
            expr.line(depth, again, &mut text);
            if !again {
                pending.extend(expr.inputs().iter().rev().map(|input| (input.clone(), depth + 1)));
            }
        }
        text
    }

    /// Who makes the blocks.
    pub fn lane(&self) -> &'static str {
        match self.op() {
            Op::Host(step) if step.work.lane() == Lane::Native => "native",
            Op::Host(step) if step.fallback => "fallback",
            Op::Host(_) | Op::Tasks(_) => "host",
            _ => "native",
        }
    }

    fn line(&self, depth: usize, again: bool, text: &mut String) {
        let pad = "  ".repeat(depth);
        let what = self.describe();
        let n = self.chunks().count().unwrap_or(u32::MAX);
        let shape: Vec<String> =
            self.chunks().shape().iter().map(|n| n.map_or("nan".into(), |n| n.to_string())).collect();
        let shape = match &shape[..] {
            [one] => format!("({one},)"),
            several => format!("({})", several.join(", ")),
        };
        let plural = if n == 1 { "" } else { "s" };
        let again = if again { ", see above" } else { "" };
        let (lane, dtype) = (self.lane(), self.dtype());
        let _ = writeln!(text, "{pad}{what} [{lane}, {dtype} {shape}, {n} block{plural}{again}]");
    }

    /// What its name starts with.
    pub(crate) fn word(&self) -> &str {
        self.name().split('-').next().unwrap_or("")
    }

    /// Elementwise steps as one formula, down to `depth`.
    fn formula(&self, depth: usize) -> String {
        let Op::Elementwise(step) = self.op() else { return self.word().to_owned() };
        if depth == 0 {
            return "…".to_owned();
        }
        let args: Vec<String> = step
            .args
            .iter()
            .map(|arg| match arg {
                StepArg::Input(i) => self.inputs()[*i as usize].formula(depth - 1),
                StepArg::Const(bits) => match step.num {
                    Num::F64 => f64::from_bits(*bits).to_string(),
                    Num::F32 => f32::from_bits(*bits as u32).to_string(),
                    _ => (*bits as i64).to_string(),
                },
            })
            .collect();
        format!("{}({})", step.op.name(), args.join(", "))
    }

    fn describe(&self) -> String {
        match self.op() {
            Op::Blocks(_) => "array".to_owned(),
            Op::Tasks(_) => format!("tasks {}", self.name()),
            Op::Fill { .. } | Op::Iota(_) | Op::Transpose(_) | Op::Select(_) => self.word().to_owned(),
            Op::Elementwise(_) => self.formula(4),
            Op::Reduce { spec, reduced, .. } => {
                let axes: Vec<String> =
                    (0..reduced.len()).filter(|&i| reduced[i]).map(|i| i.to_string()).collect();
                let nan = if spec.skip_nan { "nan" } else { "" };
                format!("{nan}{} over axes {}", spec.reduction.name(), axes.join(", "))
            }
            Op::Arg { arg, .. } => match arg.axis {
                Some(axis) => format!("{} along axis {axis}", self.word()),
                None => self.word().to_owned(),
            },
            Op::Scan(scan) => format!("{} along axis {}", self.word(), scan.axis),
            Op::Rename => "rename".to_owned(),
            Op::Host(step) => step.work.name().to_owned(),
        }
    }
}
