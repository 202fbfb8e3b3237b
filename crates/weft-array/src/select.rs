//! Blocks made of pieces of other blocks: slicing, rechunking, concatenation, stacking, transposition.
//!
//! Along each axis of the result, each block is a list of runs, and a run is a part of one block of
//! an input. A block's pieces are all combinations of its axes' runs. So a plan is as long as the axes are,
//! not as the grid is.

use std::sync::Arc;

use weft_data::{Hasher, NdArray, Shape, memory};

use crate::error::ArrayError;

type Result<T> = std::result::Result<T, ArrayError>;

/// Where blocks come from.
#[derive(Clone, Debug)]
pub struct Selection {
    /// For each axis of the result.
    pub axes: Vec<SelectAxis>,
    /// Axes of the inputs that vanish: (axis, block, element in it).
    pub fixed: Vec<(usize, u32, usize)>,
}

#[derive(Clone, Debug)]
pub enum SelectAxis {
    /// An axis of extent one that the inputs do not have.
    New,
    /// One position for each input, which has no such axis.
    Stack,
    /// Along this axis of the inputs, for each block its runs, one after the other.
    From { axis: usize, blocks: Vec<Vec<Run>> },
}

/// Part of a block, along one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub input: u32,
    pub block: u32,
    pub pick: Pick,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Pick {
    All,
    /// `n` elements: `start`, `start + step`, …
    Range {
        start: usize,
        step: isize,
        n: usize,
    },
    /// These elements.
    At(Arc<[usize]>),
}

impl Selection {
    pub(crate) fn feed(&self, h: &mut Hasher) {
        h.number(self.axes.len() as u64);
        for axis in &self.axes {
            match axis {
                SelectAxis::New => {
                    h.number(0);
                }
                SelectAxis::Stack => {
                    h.number(1);
                }
                SelectAxis::From { axis, blocks } => {
                    h.number(2).number(*axis as u64).number(blocks.len() as u64);
                    for runs in blocks {
                        h.number(runs.len() as u64);
                        for run in runs {
                            h.number((run.input as u64) << 32 | run.block as u64);
                            match &run.pick {
                                Pick::All => {
                                    h.number(0);
                                }
                                Pick::Range { start, step, n } => {
                                    h.number(1).number(*start as u64).number(*step as u64).number(*n as u64);
                                }
                                Pick::At(at) => {
                                    h.number(2).number(at.len() as u64);
                                    at.iter().for_each(|&i| {
                                        h.number(i as u64);
                                    });
                                }
                            }
                        }
                    }
                }
            }
        }
        h.number(self.fixed.len() as u64);
        for &(axis, block, i) in &self.fixed {
            h.number(axis as u64).number(block as u64).number(i as u64);
        }
    }

    /// The axes of the inputs that its own come from, in order; an end that is none stands for an axis that comes
    /// from none.
    pub(crate) fn inner_axes(&self) -> impl Iterator<Item = usize> + '_ {
        self.axes.iter().map(|axis| match axis {
            SelectAxis::From { axis, .. } => *axis,
            _ => usize::MAX,
        })
    }

    /// The runs of the block at `position`, axis by axis; `None`: the axis is none of the inputs'.
    pub fn runs(&self, position: &[u32]) -> Vec<Option<&[Run]>> {
        self.axes
            .iter()
            .zip(position)
            .map(|(axis, &i)| match axis {
                SelectAxis::From { blocks, .. } => Some(&blocks[i as usize][..]),
                _ => None,
            })
            .collect()
    }

    /// Calls `visit(input, block position in it, the runs, by axis of the result)` for each piece of
    /// the block at `position`, row by row.
    pub fn pieces<'a>(
        &'a self,
        position: &[u32],
        ndim: usize,
        mut visit: impl FnMut(u32, &[u32], &[Option<(usize, &'a Run)>]),
    ) {
        let runs = self.runs(position);
        let counts: Vec<usize> = runs.iter().map(|runs| runs.map_or(1, <[Run]>::len)).collect();
        if counts.contains(&0) {
            return;
        }
        let mut at = vec![0usize; counts.len()];
        let mut block = vec![0u32; ndim];
        for &(axis, i, _) in &self.fixed {
            block[axis] = i;
        }
        loop {
            let mut input = 0;
            let mut chosen: Vec<Option<(usize, &Run)>> = Vec::with_capacity(at.len());
            for (i, axis) in self.axes.iter().enumerate() {
                match (axis, runs[i]) {
                    (SelectAxis::From { axis, .. }, Some(runs)) => {
                        let run = &runs[at[i]];
                        block[*axis] = run.block;
                        input += run.input;
                        chosen.push(Some((at[i], run)));
                    }
                    (SelectAxis::Stack, _) => {
                        input += position[i];
                        chosen.push(None);
                    }
                    _ => chosen.push(None),
                }
            }
            visit(input, &block, &chosen);
            let mut axis = at.len();
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                at[axis] += 1;
                if at[axis] < counts[axis] {
                    break;
                }
                at[axis] = 0;
            }
        }
    }

    /// The block at `position`, of the pieces' blocks in the order of [`Selection::pieces`]. `stay`: these are kept
    /// in memory by somebody else.
    pub(crate) fn assemble(&self, position: &[u32], inputs: &[Arc<NdArray>], stay: bool) -> Result<NdArray> {
        let broken = |error: weft_data::OutOfMemory| ArrayError::Invalid(error.to_string());
        let Some(first) = inputs.first() else {
            return ArrayError::invalid("a block of no pieces");
        };
        let ndim = first.ndim();
        let mut pieces: Vec<(Vec<usize>, NdArray)> = Vec::with_capacity(inputs.len());
        let mut next = inputs.iter();
        let mut failure = None;
        self.pieces(position, ndim, |_, _, chosen| {
            let Some(input) = next.next() else { return };
            match self.piece(input, chosen) {
                Ok(piece) => {
                    let at = chosen.iter().map(|run| run.map_or(0, |(at, _)| at)).collect();
                    pieces.push((at, piece));
                }
                Err(error) => failure = Some(error),
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        if let [(_, only)] = &pieces[..] {
            // A small view must not keep a large block alive.
            let small = !stay && only.nbytes() * 2 <= only.memory().capacity();
            return Ok(if small { only.to_contiguous() } else { only.clone() });
        }
        // Where each run starts along each axis: pieces tell, since extents may have been unknown.
        let mut extents: Vec<Vec<usize>> =
            self.runs(position).iter().map(|runs| vec![0; runs.map_or(1, <[Run]>::len)]).collect();
        for (at, piece) in &pieces {
            for (axis, &i) in at.iter().enumerate() {
                extents[axis][i] = piece.shape()[axis];
            }
        }
        let shape: Shape = extents.iter().map(|sizes| sizes.iter().sum()).collect();
        let nbytes = shape.iter().product::<usize>() * first.dtype().nbytes();
        let mut whole = memory::Block::new(nbytes);
        let base = whole.as_mut_ptr();
        let strides = weft_data::c_strides(&shape, first.dtype().nbytes());
        for (at, piece) in &pieces {
            let mut offset = 0;
            for (axis, &i) in at.iter().enumerate() {
                offset += extents[axis][..i].iter().sum::<usize>() as isize * strides[axis];
                if piece.shape()[axis] != extents[axis][i] {
                    return ArrayError::invalid("blocks of one row differ in their extents");
                }
            }
            if piece.dtype() != first.dtype() {
                return ArrayError::invalid(format!(
                    "blocks of {} and {} in one array",
                    piece.dtype(),
                    first.dtype()
                ));
            }
            // SAFETY: the piece's place, of its shape, is inside the whole; sizes were compared above.
            unsafe { copy(piece, base.offset(offset), &strides, nbytes >= memory::BEYOND_CACHES) };
        }
        // SAFETY: the pieces fill the whole.
        NdArray::contiguous(unsafe { whole.filled() }, first.dtype().clone(), &shape).map_err(broken)
    }

    /// What of a block goes into the result, with the result's axes.
    fn piece(&self, block: &NdArray, chosen: &[Option<(usize, &Run)>]) -> Result<NdArray> {
        let broken = |error: weft_data::OutOfMemory| ArrayError::Invalid(error.to_string());
        let mut cuts: Vec<(usize, isize, usize)> = block.shape().iter().map(|&n| (0, 1, n)).collect();
        let mut listed: Vec<(usize, &Arc<[usize]>)> = Vec::new();
        let outside = |axis: usize| {
            ArrayError::Index(format!(
                "an index is outside a block of shape {:?} along axis {axis}",
                block.shape()
            ))
        };
        for &(axis, _, i) in &self.fixed {
            if i >= block.shape()[axis] {
                return Err(outside(axis));
            }
            cuts[axis] = (i, 1, 1);
        }
        for (i, axis) in self.axes.iter().enumerate() {
            if let (SelectAxis::From { axis, .. }, Some((_, run))) = (axis, chosen[i]) {
                match &run.pick {
                    Pick::All => {}
                    Pick::Range { start, step, n } => {
                        let last = *start as isize + step * (*n as isize - 1).max(0);
                        let extent = block.shape()[*axis];
                        if *n > 0 && (*start >= extent || last < 0 || last >= extent as isize) {
                            return Err(outside(*axis));
                        }
                        cuts[*axis] = (*start, *step, *n);
                    }
                    Pick::At(at) => {
                        if at.iter().any(|&at| at >= block.shape()[*axis]) {
                            return Err(outside(*axis));
                        }
                        listed.push((*axis, at));
                    }
                }
            }
        }
        let mut cut = block.cut(&cuts).map_err(broken)?;
        for (axis, at) in listed {
            cut = take(&cut, axis, at).map_err(broken)?;
        }
        let mut shape = Shape::new();
        let mut strides = weft_data::Strides::new();
        for axis in &self.axes {
            match axis {
                SelectAxis::From { axis, .. } => {
                    shape.push(cut.shape()[*axis]);
                    strides.push(cut.strides()[*axis]);
                }
                _ => {
                    shape.push(1);
                    strides.push(0);
                }
            }
        }
        cut.view(cut.offset(), &shape, &strides).map_err(broken)
    }
}

/// The elements `at` along an axis.
fn take(block: &NdArray, axis: usize, at: &[usize]) -> std::result::Result<NdArray, weft_data::OutOfMemory> {
    let mut shape: Shape = block.shape().into();
    shape[axis] = at.len();
    let nbytes = shape.iter().product::<usize>() * block.dtype().nbytes();
    let mut memory = memory::Block::new(nbytes);
    let strides = weft_data::c_strides(&shape, block.dtype().nbytes());
    let mut cuts: Vec<(usize, isize, usize)> = block.shape().iter().map(|&n| (0, 1, n)).collect();
    for (i, &from) in at.iter().enumerate() {
        cuts[axis] = (from, 1, 1);
        let line = block.cut(&cuts)?;
        // SAFETY: position `i` along the axis is inside the memory, with room for the line.
        unsafe { copy(&line, memory.as_mut_ptr().offset(i as isize * strides[axis]), &strides, false) };
    }
    // SAFETY: all lines have been written.
    NdArray::contiguous(unsafe { memory.filled() }, block.dtype().clone(), &shape)
}

/// Copies all elements of `from` to `to`, whose strides in bytes are given; past the caches, if nobody will look
/// at them soon.
///
/// # Safety
/// There is room for every element of the shape of `from` at `to`.
unsafe fn copy(from: &NdArray, to: *mut u8, strides: &[isize], past: bool) {
    if from.is_empty() {
        return;
    }
    let unit = from.dtype().nbytes();
    // The innermost axes that lie together in both are one run.
    let (mut run, mut outer) = (unit, from.ndim());
    while outer > 0
        && (from.shape()[outer - 1] == 1
            || (from.strides()[outer - 1] == run as isize && strides[outer - 1] == run as isize))
    {
        outer -= 1;
        run *= from.shape()[outer];
    }
    let mut at: Shape = smallvec::smallvec![0; outer];
    let (mut source, mut target) = (0isize, 0isize);
    loop {
        // SAFETY: inside the shape on both sides.
        unsafe {
            let (from, to) = (from.as_ptr().offset(source), to.offset(target));
            if past && run >= 1024 {
                memory::copy_past_caches(from, to, run);
            } else {
                std::ptr::copy_nonoverlapping(from, to, run);
            }
        }
        let mut axis = outer;
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            at[axis] += 1;
            source += from.strides()[axis];
            target += strides[axis];
            if at[axis] < from.shape()[axis] {
                break;
            }
            let n = from.shape()[axis] as isize;
            source -= from.strides()[axis] * n;
            target -= strides[axis] * n;
            at[axis] = 0;
        }
    }
}
