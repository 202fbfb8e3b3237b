//! Reductions as trees of layers: a first step on each block, layers that merge while there is much to merge,
//! and a last one that makes the result.

use weft_data::{LayerRef, WorkRef};
use weft_graph::{Axis, Key, Read, Rule};

use crate::error::ArrayError;
use crate::expr::Expr;
use crate::origin::Parts;

type Result<T> = std::result::Result<T, ArrayError>;

/// Partial results that are merged at once along an axis, and those that are merged in one task in all.
const FAN_IN: u32 = 8;
const MERGED: u32 = 64;

/// A reduction of the blocks of an expression's input.
pub(crate) struct Tree<'a> {
    pub expr: &'a Expr,
    pub reduced: &'a [bool],
    pub keepdims: bool,
    /// What the layers below the last are called.
    pub word: &'a str,
    pub digest: u128,
}

impl Tree<'_> {
    fn keep(&self) -> Vec<bool> {
        self.reduced.iter().map(|gone| self.keepdims || !gone).collect()
    }

    fn grid(&self) -> Vec<u32> {
        self.expr.inputs()[0].chunks().numblocks()
    }

    /// Blocks that become one.
    fn many(&self, grid: &[u32]) -> u32 {
        grid.iter().zip(self.reduced).filter(|(_, gone)| **gone).map(|(n, _)| *n).fold(1, u32::saturating_mul)
    }

    /// Whether nothing has to be merged.
    pub fn is_one_step(&self) -> bool {
        self.many(&self.grid()) == 1
    }

    /// The layer whose first step is the last.
    pub fn only(
        &self,
        inputs: Vec<LayerRef>,
        reads: Vec<Read>,
        first: impl Fn(Option<Vec<bool>>) -> WorkRef,
        parts: &mut Parts,
    ) -> Result<LayerRef> {
        let keep = self.keep();
        // A vanished axis had one block, at position 0; the rest keeps its order.
        let shape = self.grid().iter().zip(&keep).filter(|(_, keep)| **keep).map(|(n, _)| *n).collect();
        let reads = if self.keepdims { reads } else { squeeze(reads, &keep) };
        let name = Key::Str(self.expr.name().clone());
        parts.last(name, inputs, Rule::Grid { shape, reads }, first(Some(keep)))
    }

    /// The layers of partial results, of which the last step merges the newest.
    pub fn partials(
        &self,
        inputs: Vec<LayerRef>,
        reads: Vec<Read>,
        first: impl Fn(Option<Vec<bool>>) -> WorkRef,
        merge: impl Fn(Option<Vec<bool>>) -> WorkRef,
        parts: &mut Parts,
    ) -> Result<()> {
        let (word, digest) = (self.word, self.digest);
        let mut grid = self.grid();
        let name = Key::from(format!("{word}-first-{digest:032x}"));
        let mut below = parts.step(name, inputs, Rule::Grid { shape: grid.clone(), reads }, first(None))?;
        let mut level = 0;
        while self.many(&grid) > MERGED {
            let axes = self.reduced.iter().enumerate().map(|(i, &gone)| match gone {
                true => Axis::Group { own: i as u32, size: FAN_IN },
                false => along(i as u32),
            });
            let axes = axes.collect();
            for (n, &gone) in grid.iter_mut().zip(self.reduced) {
                *n = if gone { n.div_ceil(FAN_IN) } else { *n };
            }
            let rule = Rule::Grid { shape: grid.clone(), reads: vec![Read { input: 0, axes }] };
            let name = Key::from(format!("{word}-merge-{level}-{digest:032x}"));
            below = parts.step(name, vec![below], rule, merge(None))?;
            level += 1;
        }
        Ok(())
    }

    /// The layer that merges the partial results, which the newest of `parts` makes.
    pub fn last(&self, merge: impl Fn(Option<Vec<bool>>) -> WorkRef, parts: &mut Parts) -> Result<LayerRef> {
        let below = parts.layers().last().cloned().into_iter().collect();
        let keep = self.keep();
        let mut next = 0;
        let axes = self.reduced.iter().zip(&keep).map(|(&gone, &kept)| {
            let at = next;
            next += kept as u32;
            if gone { Axis::All } else { along(at) }
        });
        let reads = vec![Read { input: 0, axes: axes.collect() }];
        let rule = Rule::Grid { shape: self.expr.chunks().numblocks(), reads };
        parts.last(Key::Str(self.expr.name().clone()), below, rule, merge(Some(keep)))
    }
}

pub(crate) fn along(own: u32) -> Axis {
    Axis::Along { own, offset: 0 }
}

/// Reads of a grid whose axes without `keep` (one position each) are gone.
fn squeeze(reads: Vec<Read>, keep: &[bool]) -> Vec<Read> {
    let number = |own: u32| keep[..own as usize].iter().filter(|kept| **kept).count() as u32;
    let axis = |axis: Axis| match axis {
        Axis::Along { own, .. } if !keep[own as usize] => Axis::At(0),
        Axis::Along { own, offset } => Axis::Along { own: number(own), offset },
        other => other,
    };
    reads.into_iter().map(|read| Read { axes: read.axes.into_iter().map(axis).collect(), ..read }).collect()
}
