//! Selections that leave blocks whole: other numbers for the same blocks, and new axes.

use std::sync::Arc;

use crate::build::each;
use crate::chunks::{AxisChunks, Chunks};
use crate::error::ArrayError;
use crate::expr::{Expr, Meta, Op};
use crate::select::{Pick, Run, SelectAxis, Selection};

type Result<T> = std::result::Result<T, ArrayError>;

impl Selection {
    /// Every block of the result is a block of an input: nobody has to look into it.
    pub fn is_whole(&self) -> bool {
        self.fixed.is_empty()
            && self.axes.iter().all(|axis| match axis {
                SelectAxis::From { blocks, .. } => {
                    blocks.iter().all(|runs| matches!(&runs[..], [Run { pick: Pick::All, .. }]))
                }
                SelectAxis::New | SelectAxis::Stack => false,
            })
            // In the order of the input's axes, as a transposition is not.
            && self.axes.iter().enumerate().all(|(i, axis)| matches!(axis, SelectAxis::From { axis, .. } if *axis == i))
    }
}

impl Expr {
    /// New axes of extent one, at the places `at` of the result.
    pub fn expand(&self, at: &[usize]) -> Result<Expr> {
        let ndim = self.chunks().ndim() + at.len();
        if at.iter().any(|&i| i >= ndim) {
            return ArrayError::invalid(format!("there are no places {at:?} among {ndim} axes"));
        }
        let one = AxisChunks::known([1]);
        let mut old = 0;
        let mut made = Vec::with_capacity(ndim);
        let mut axes = Vec::with_capacity(ndim);
        for i in 0..ndim {
            if at.contains(&i) {
                made.push(one.clone());
                axes.push(SelectAxis::New);
                continue;
            }
            let Some(chunks) = self.chunks().axes().get(old) else {
                return ArrayError::invalid(format!("{at:?} names an axis twice"));
            };
            made.push(chunks.clone());
            axes.push(SelectAxis::From { axis: old, blocks: each(chunks) });
            old += 1;
        }
        let selection = Selection { axes, fixed: vec![] };
        Expr::select(vec![self.clone()], selection, Chunks::new(made), "getitem")
    }

    /// Some of the blocks: `chosen[axis]` are their positions along each axis.
    pub fn some_blocks(&self, chosen: &[Vec<u32>]) -> Result<Expr> {
        let chunks = self.chunks();
        if chosen.len() != chunks.ndim() {
            return ArrayError::invalid(format!("{} lists for {} axes", chosen.len(), chunks.ndim()));
        }
        let mut made = Vec::with_capacity(chosen.len());
        let mut axes = Vec::with_capacity(chosen.len());
        for (axis, (old, keep)) in chunks.axes().iter().zip(chosen).enumerate() {
            let size = |&block: &u32| {
                old.sizes().get(block as usize).copied().ok_or_else(|| {
                    ArrayError::Index(format!("there is no block {block} of {} along axis {axis}", old.len()))
                })
            };
            made.push(AxisChunks::new(keep.iter().map(size).collect::<Result<Vec<_>>>()?));
            let whole = |&block: &u32| vec![Run { input: 0, block, pick: Pick::All }];
            axes.push(SelectAxis::From { axis, blocks: keep.iter().map(whole).collect() });
        }
        let selection = Selection { axes, fixed: vec![] };
        let meta = Meta { chunks: Chunks::new(made), ..self.meta() };
        Expr::new(Op::Select(Arc::new(selection)), vec![self.clone()], meta, "blocks", None)
    }
}
