//! The same array in other blocks.
//!
//! Blocks of the result are put together from parts of old ones. That is one task a block, and right as long as
//! the old ones fit into memory all at once. Where they do not, an old block is cut first, into the parts that go to
//! different new ones (*shards*), and let go; shards wait for their new block in the store, which moves those to
//! disk that are needed last. So nothing larger than a block is ever read twice or read back whole.

use std::sync::Arc;

use weft_data::{LayerRef, TaskError, Value, Work, WorkRef};
use weft_graph::{Key, Rule};

use crate::build::each;
use crate::chunks::{AxisChunks, Chunks, position};
use crate::error::ArrayError;
use crate::expr::{Expr, Op};
use crate::origin::Parts;
use crate::plan::{self, Bounds, Sizes};
use crate::select::{Pick, Run, SelectAxis, Selection};
use crate::work::block;

type Result<T> = std::result::Result<T, ArrayError>;

/// What the names of shards start with.
const SHARD: &str = "shard";

impl Expr {
    /// The same elements in other blocks, in one step. All extents must be known.
    pub fn rechunk(&self, chunks: Chunks) -> Result<Expr> {
        self.recut(chunks, "rechunk")
    }

    fn recut(&self, chunks: Chunks, word: &str) -> Result<Expr> {
        if chunks == *self.chunks() {
            return Ok(self.clone());
        }
        if chunks.ndim() != self.chunks().ndim() {
            return ArrayError::invalid(format!("chunks {chunks:?} for {} axes", self.chunks().ndim()));
        }
        let mut axes = Vec::with_capacity(chunks.ndim());
        for (axis, (old, new)) in self.chunks().axes().iter().zip(chunks.axes()).enumerate() {
            axes.push(SelectAxis::From { axis, blocks: recut(old, new)? });
        }
        let selection = Selection { axes, fixed: vec![] };
        Expr::select(vec![self.clone()], selection, chunks, word)
    }

    /// The same elements in other blocks, in as many steps as keep pieces and blocks within bounds. With `shards`
    /// blocks that are computed are let go before the first block of a step is made; blocks at hand stay anyway.
    pub fn rechunk_in_steps(&self, chunks: Chunks, bounds: Bounds, shards: bool) -> Result<Expr> {
        // What has been rechunked before need not go through the blocks it has now.
        let mut source = self;
        while let (Op::Select(selection), [input]) = (source.op(), source.inputs())
            && matches!(source.word(), "rechunk" | SHARD)
            && selection.inner_axes().eq(0..input.chunks().ndim())
            && input.chunks().shape() == source.chunks().shape()
        {
            source = input;
        }
        let known =
            |chunks: &Chunks| chunks.axes().iter().map(AxisChunks::known_sizes).collect::<Option<Vec<_>>>();
        let (Some(mut old), Some(new)) = (known(source.chunks()), known(&chunks)) else {
            return self.rechunk(chunks);
        };
        if old.len() != new.len() || source.chunks().shape() != chunks.shape() {
            return self.rechunk(chunks);
        }
        let mut made = source.clone();
        for step in plan::plan(&old, &new, bounds) {
            if shards && !matches!(made.op(), Op::Blocks(_)) {
                let cut = plan::refine(&old, &step);
                // Where blocks are only joined, or only cut, each is read by few tasks or by one after the other.
                if cut != old && cut != step {
                    made = made.recut(to_chunks(&cut), SHARD)?;
                }
            }
            made = made.rechunk(to_chunks(&step))?;
            old = step;
        }
        made.rechunk(chunks)
    }

    /// Whether its blocks are shards: each of one block of its input, and to be made as soon as that is there.
    pub(crate) fn is_shards(&self) -> bool {
        let Op::Select(selection) = self.op() else { return false };
        let single = |axis: &SelectAxis| match axis {
            SelectAxis::From { blocks, .. } => blocks.iter().all(|runs| runs.len() == 1),
            _ => false,
        };
        self.word() == SHARD && self.inputs().len() == 1 && selection.axes.iter().all(single)
    }
}

fn to_chunks(axes: &[Sizes]) -> Chunks {
    Chunks::new(axes.iter().map(|sizes| AxisChunks::known(sizes.iter().copied())).collect::<Vec<_>>())
}

/// For each new block, the parts of old ones that it is made of.
fn recut(old: &AxisChunks, new: &AxisChunks) -> Result<Vec<Vec<Run>>> {
    if old == new {
        return Ok(each(old));
    }
    let (Some(from), Some(to)) = (old.known_sizes(), new.known_sizes()) else {
        return ArrayError::invalid(format!(
            "chunks {old:?} cannot be cut into {new:?}: extents are unknown"
        ));
    };
    if old.total() != new.total() {
        return ArrayError::invalid(format!("chunks {old:?} and {new:?} differ in their sum"));
    }
    let mut blocks = Vec::with_capacity(to.len());
    let (mut block, mut used) = (0, 0);
    for size in to {
        let mut runs = Vec::new();
        let mut missing = size;
        while missing > 0 {
            while used == from[block] {
                block += 1;
                used = 0;
            }
            let n = missing.min(from[block] - used);
            let pick = if n == from[block] { Pick::All } else { Pick::Range { start: used, step: 1, n } };
            runs.push(Run { input: 0, block: block as u32, pick });
            used += n;
            missing -= n;
        }
        if runs.is_empty() {
            let at = block.min(from.len() - 1) as u32;
            runs.push(Run { input: 0, block: at, pick: Pick::Range { start: 0, step: 1, n: 0 } });
        }
        blocks.push(runs);
    }
    Ok(blocks)
}

/// The layer of blocks that are made of `shards`, which `below` makes; `rule` says which block reads which shards.
///
/// Between the two is a task for each old block that reads its shards and gives nothing, and one that waits for all
/// of those. They exist for the order of tasks: an engine that runs towards the first block would else cut one shard
/// out of each old block before the second of any, and hold all old blocks until the last.
pub(crate) fn gather(
    expr: &Expr,
    shards: &Expr,
    below: LayerRef,
    rule: Rule,
    selection: &Arc<Selection>,
    parts: &mut Parts,
) -> Result<LayerRef> {
    let (Op::Select(cut), [source]) = (shards.op(), shards.inputs()) else {
        return ArrayError::invalid("shards of nothing");
    };
    let Rule::Table { shape, starts, reads } = rule else { return ArrayError::invalid("shards by no table") };
    let digest = expr.digest();
    // The shards of each old block.
    let (grid, old) = (shards.chunks().numblocks(), source.chunks().numblocks());
    let mut of = vec![Vec::new(); old.iter().product::<u32>() as usize];
    for index in 0..shards.chunks().count().unwrap_or(0) {
        cut.pieces(&position(index, &grid), old.len(), |_, block, _| {
            of[block.iter().zip(&old).fold(0, |sum, (&i, &n)| sum * n + i) as usize].push((0, index));
        });
    }
    let mut ends = vec![0];
    ends.extend(of.iter().scan(0, |end, shards| {
        *end += shards.len() as u32;
        Some(*end)
    }));
    let table = Rule::Table { shape: old.clone(), starts: ends.into(), reads: of.concat().into() };
    let sent = parts.step(Key::from(format!("sent-{digest:032x}")), vec![below.clone()], table, nothing())?;
    let all = Rule::Grid {
        shape: vec![1],
        reads: vec![weft_graph::Read { input: 0, axes: vec![weft_graph::Axis::All; old.len()] }],
    };
    let all = parts.step(Key::from(format!("all-sent-{digest:032x}")), vec![sent], all, nothing())?;
    // Each new block waits for that, too.
    let mut more = Vec::with_capacity(reads.len() + starts.len());
    for pair in starts.windows(2) {
        more.push((1, 0));
        more.extend_from_slice(&reads[pair[0] as usize..pair[1] as usize]);
    }
    let starts: Vec<u32> = starts.iter().zip(0..).map(|(start, more)| start + more).collect();
    let rule = Rule::Table { shape: shape.clone(), starts: starts.into(), reads: more.into() };
    let work = Gather { name: expr.word().to_owned(), selection: selection.clone(), grid: shape };
    parts.last(Key::Str(expr.name().clone()), vec![below, all], rule, Arc::new(work))
}

fn nothing() -> WorkRef {
    Arc::new(Sent)
}

/// Says that what it reads has been made.
#[derive(Debug)]
struct Sent;

impl Work for Sent {
    fn name(&self) -> &str {
        "sent"
    }

    fn run(&self, _index: u32, _inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        Ok(Value::Bytes([].into()))
    }
}

/// A block of its shards.
#[derive(Debug)]
struct Gather {
    name: String,
    selection: Arc<Selection>,
    grid: Vec<u32>,
}

impl Work for Gather {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        // The first says that all shards have been made.
        let blocks = inputs.iter().skip(1).map(block).collect::<std::result::Result<Vec<_>, _>>()?;
        let made = self.selection.assemble(&position(index, &self.grid), &blocks, false)?;
        Ok(Value::Array(Arc::new(made)))
    }
}
