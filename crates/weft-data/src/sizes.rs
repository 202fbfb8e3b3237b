//! What a value costs, buffer by buffer.

use arrow_array::Array;
use arrow_buffer::Buffer;
use arrow_data::ArrayData;

use crate::{Frame, NdArray, ipc};

/// An allocation that values may share: where it is and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Allocation {
    pub(crate) address: usize,
    pub(crate) nbytes: usize,
}

/// The distinct allocations below a frame: what is shared between its columns counts once.
pub(crate) fn allocations(frame: &Frame) -> Vec<Allocation> {
    let mut found = Vec::new();
    for array in ipc::arrays(frame) {
        collect(&array.to_data(), &mut found);
    }
    found.sort_unstable();
    found.dedup_by_key(|a| a.address);
    found
}

/// The memory below a block. What is borrowed costs nothing: its owner keeps it anyway.
pub(crate) fn array_allocation(array: &NdArray) -> Allocation {
    let memory = array.memory();
    let nbytes = if array.borrow().is_some() { 0 } else { memory.capacity() };
    Allocation { address: memory.data_ptr().as_ptr() as usize, nbytes }
}

pub(crate) fn frame_nbytes(frame: &Frame) -> usize {
    allocations(frame).iter().map(|a| a.nbytes).sum()
}

fn collect(data: &ArrayData, found: &mut Vec<Allocation>) {
    let mut add = |buffer: &Buffer| {
        found.push(Allocation { address: buffer.data_ptr().as_ptr() as usize, nbytes: buffer.capacity() })
    };
    data.buffers().iter().for_each(&mut add);
    if let Some(nulls) = data.nulls() {
        add(nulls.buffer());
    }
    data.child_data().iter().for_each(|child| collect(child, found));
}
