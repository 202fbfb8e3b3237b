//! Running sums and products as layers: each block's total, what comes before each block, and the blocks.
//!
//! Totals are made side by side; only adding them up goes one after the other, and costs next to nothing. A
//! block is let go as soon as its total and what comes before it are known.

use std::sync::Arc;

use weft_data::{LayerRef, NdArray, TaskError, Value, Work};
use weft_graph::{Axis, Key, Read, Rule};

use crate::chunks::position;
use crate::error::ArrayError;
use crate::expr::Expr;
use crate::fuse::fuse;
use crate::kernel::reduce::{Reduction, Spec};
use crate::kernel::scan::{self, Scan};
use crate::origin::Parts;
use crate::tree::along;
use crate::work::{First, Pass, block};

type Result<T> = std::result::Result<T, ArrayError>;

pub(crate) fn running(expr: &Expr, spec: Scan, inputs: Vec<LayerRef>, parts: &mut Parts) -> Result<LayerRef> {
    let input = &expr.inputs()[0];
    let grid = input.chunks().numblocks();
    let name = Key::Str(expr.name().clone());
    let digest = expr.digest();
    let along_all: Vec<Axis> = (0..grid.len() as u32).map(along).collect();
    let reads = vec![Read { input: 0, axes: along_all }];
    let of = grid[spec.axis];
    if of <= 1 {
        let work = Running { scan: spec, grid: grid.clone() };
        return parts.last(name, inputs, Rule::Grid { shape: grid, reads }, Arc::new(work));
    }
    // Totals keep the axis, with one element for each block.
    let mut reduced = vec![false; grid.len()];
    reduced[spec.axis] = true;
    let reduction = if spec.product { Reduction::Prod } else { Reduction::Sum };
    let total = Spec { reduction, skip_nan: spec.skip_nan, input: spec.num, output: spec.num, ddof: 0 };
    let only_blocks = fuse(&Expr::passing(input)?)?;
    let first = First {
        name: "total".to_owned(),
        pass: Pass::new(&only_blocks, input.chunks()),
        spec: total,
        reduced,
        finish: Some(vec![true; grid.len()]),
    };
    let totals = parts.step(
        Key::from(format!("{}-total-{digest:032x}", expr.word())),
        inputs.clone(),
        Rule::Grid { shape: grid.clone(), reads },
        Arc::new(first),
    )?;
    // What comes before block `k + 1` of a line is what comes before block `k` and its total.
    let lines = grid.iter().product::<u32>() / of;
    let inner: u32 = grid[spec.axis + 1..].iter().product();
    let number = |line: u32, k: u32| (line / inner * of + k) * inner + line % inner;
    let word = Key::from(format!("{}-before-{digest:032x}", expr.word()));
    let (mut keys, mut starts, mut reads) = (Vec::new(), vec![0], Vec::new());
    for line in 0..lines {
        for k in 0..of - 1 {
            let task = keys.len() as u32;
            keys.push(Key::Tuple(vec![word.clone(), Key::Int(line as i64), Key::Int(k as i64)].into()));
            if k > 0 {
                reads.push((u32::MAX, task - 1));
            }
            reads.push((0, number(line, k)));
            starts.push(reads.len() as u32);
        }
    }
    let rule = Rule::Explicit { keys: keys.into(), starts, reads };
    let before = parts.step(word, vec![totals], rule, Arc::new(Before(spec)))?;
    let (mut starts, mut reads) = (vec![0], Vec::new());
    for index in 0..grid.iter().product::<u32>() {
        reads.push((0, index));
        let k = position(index, &grid)[spec.axis];
        if k > 0 {
            let line = index / (of * inner) * inner + index % inner;
            reads.push((1, line * (of - 1) + k - 1));
        }
        starts.push(reads.len() as u32);
    }
    let rule = Rule::Table { shape: grid.clone(), starts: starts.into(), reads: reads.into() };
    let inputs = vec![inputs[0].clone(), before];
    parts.last(name, inputs, rule, Arc::new(Running { scan: spec, grid }))
}

fn differ() -> TaskError {
    TaskError::native(weft_data::ErrorKind::Value, "blocks of one row differ in their extents")
}

/// What comes before the next block.
#[derive(Debug)]
struct Before(Scan);

impl Work for Before {
    fn name(&self) -> &str {
        "before"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        match inputs {
            [total] => Ok(total.clone()),
            [before, total] => {
                let (before, total) = (block(before)?, block(total)?);
                scan::carry(self.0, &before, &total).map(value).ok_or_else(differ)
            }
            _ => Err(differ()),
        }
    }
}

fn value(array: NdArray) -> Value {
    Value::Array(Arc::new(array))
}

/// The running sums or products of a block.
#[derive(Debug)]
struct Running {
    scan: Scan,
    grid: Vec<u32>,
}

impl Work for Running {
    fn name(&self) -> &str {
        if self.scan.product { "cumprod" } else { "cumsum" }
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        debug_assert!(index < self.grid.iter().product());
        let own = crate::work::as_number(block(&inputs[0])?, self.scan.num)?;
        let before = inputs.get(1).map(block).transpose()?;
        scan::scan(self.scan, &own, before.as_deref()).map(value).ok_or_else(differ)
    }
}
