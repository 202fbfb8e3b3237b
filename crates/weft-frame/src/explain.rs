//! An expression as a tree of text, for people.

use std::fmt::Write;

use crate::expr::{Arg, Expr, HostReads, Node};
use crate::kernel::Op;

impl Expr {
    /// One line for each step, inputs indented below it; each step is marked `native` or
    /// `fallback` (a function of the host on each partition), and `gathers` if one task holds all rows of what it reads.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        step(self, 0, &mut text);
        text
    }
}

fn step(expr: &Expr, depth: usize, text: &mut String) {
    let pad = "  ".repeat(depth);
    let mark = match expr.node() {
        Node::Host(step) if step.fallback => "fallback",
        Node::Host(_) => "host",
        _ => "native",
    };
    let n = expr.npartitions();
    let plural = if n == 1 { "" } else { "s" };
    let gathers = if gathers(expr) { ", gathers" } else { "" };
    let _ = writeln!(text, "{pad}{} [{mark}, {n} partition{plural}{gathers}]", describe(expr));
    match expr.node() {
        Node::Source(_) => {}
        Node::Host(host) => host.inputs.iter().for_each(|input| step(&input.expr, depth + 1, text)),
        Node::Table { columns } => step(&columns[0].1, depth + 1, text),
        Node::Elementwise { args, .. } => {
            for arg in args {
                if let Arg::Series(input) | Arg::Broadcast(input) = arg {
                    step(input, depth + 1, text);
                }
            }
        }
        Node::Concat { inputs } => inputs.iter().for_each(|input| step(input, depth + 1, text)),
        Node::Probe(probe) => {
            [&probe.rows, &probe.table].iter().for_each(|input| step(input, depth + 1, text));
        }
        Node::Exchange(exchange) => {
            exchange.inputs().iter().for_each(|input| step(input, depth + 1, text));
        }
        Node::Project { input, .. }
        | Node::Column { input, .. }
        | Node::Assign { input, .. }
        | Node::Rename { input, .. }
        | Node::Filter { input, .. }
        | Node::Aggregate { input, .. }
        | Node::Head { input, .. }
        | Node::Tail { input, .. }
        | Node::Partitions { input, .. } => step(input, depth + 1, text),
    }
}

/// Whether one task holds all rows of an input that has several partitions: a step of the host that reads them all. By
/// convention, what a step named `…-chunk` makes of a partition is small beside it.
fn gathers(expr: &Expr) -> bool {
    let Node::Host(step) = expr.node() else { return false };
    step.inputs.iter().any(|input| {
        let small = match input.expr.node() {
            Node::Host(input) => input.name.ends_with("-chunk"),
            Node::Aggregate { .. } | Node::Head { .. } | Node::Tail { .. } => true,
            _ => false,
        };
        matches!(input.reads, HostReads::All) && input.expr.npartitions() > 1 && !small
    })
}

fn describe(expr: &Expr) -> String {
    match expr.node() {
        Node::Source(source) => format!("{} {}", source.name(), expr.schema().labels()),
        Node::Host(step) => step.name.clone(),
        Node::Project { .. } => format!("project {}", expr.schema().labels()),
        Node::Column { label, .. } => format!("column {label}"),
        Node::Assign { columns, .. } => {
            let parts: Vec<String> =
                columns.iter().map(|(label, series)| format!("{label} = {}", formula(series))).collect();
            format!("assign {}", parts.join(", "))
        }
        Node::Table { columns } => {
            let parts: Vec<String> =
                columns.iter().map(|(label, series)| format!("{label} = {}", formula(series))).collect();
            format!("table {}", parts.join(", "))
        }
        Node::Rename { .. } => format!("rename to {}", expr.schema().labels()),
        Node::Elementwise { .. } => formula(expr),
        Node::Filter { mask, .. } => format!("filter {}", formula(mask)),
        Node::Aggregate { keys, aggs, .. } => {
            let mut text = expr.node().tag().to_owned();
            if !keys.is_empty() {
                let keys: Vec<String> = keys.iter().map(|(_, key)| formula(key)).collect();
                let _ = write!(text, " by {}", keys.join(", "));
            }
            let aggs: Vec<String> = aggs
                .iter()
                .map(|agg| {
                    let input = agg.input.as_ref().map(formula).unwrap_or_default();
                    format!("{}({input})", agg.func.name())
                })
                .collect();
            format!("{text}: {}", aggs.join(", "))
        }
        Node::Head { n, partitions, .. } => format!("head {n} of {partitions} partitions"),
        Node::Tail { n, .. } => format!("tail {n}"),
        Node::Partitions { which, .. } => format!("partitions {which:?}"),
        Node::Concat { .. } => "concat".to_owned(),
        Node::Exchange(step) => step.describe(),
        Node::Probe(probe) => probe.describe(),
    }
}

/// A Series as a formula over columns.
pub(crate) fn formula(expr: &Expr) -> String {
    match expr.node() {
        Node::Column { label, .. } => label.as_str().map_or_else(|| label.to_string(), str::to_owned),
        Node::Elementwise { op, args } => {
            let args: Vec<String> = args
                .iter()
                .map(|arg| match arg {
                    Arg::Series(series) => formula(series),
                    Arg::Broadcast(scalar) => format!("<{}>", scalar.node().tag()),
                    Arg::Literal(literal) => literal.value.to_string(),
                })
                .collect();
            match op {
                Op::Binary(op) => format!("({} {} {})", args[0], op.symbol(), args[1]),
                other => format!("{}({})", other.name(), args.join(", ")),
            }
        }
        Node::Rename { input, .. } | Node::Filter { input, .. } => formula(input),
        _ => expr.node().tag().to_owned(),
    }
}
