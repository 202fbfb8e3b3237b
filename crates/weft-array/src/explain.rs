//! An expression as a tree of text, for people.

use std::fmt::Write;

use crate::expr::{Expr, Op};

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

    fn describe(&self) -> String {
        match self.op() {
            Op::Blocks(_) => "array".to_owned(),
            Op::Tasks(_) => format!("tasks {}", self.name()),
            Op::Rename => "rename".to_owned(),
            Op::Host(step) => step.work.name().to_owned(),
        }
    }
}
