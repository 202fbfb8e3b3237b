//! A block of an array: shared memory, and how elements lie in it.
//!
//! The memory is ours or borrowed from the host (a NumPy array that stays alive as long as anybody
//! looks at it). Views share it: cutting and transposing copy nothing. Strides are in bytes, may be
//! zero (broadcasting) or negative, and always stay inside the memory: [`NdArray::new`] checks.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use arrow_buffer::{Buffer, MutableBuffer};
use smallvec::SmallVec;

use crate::{CodecError, memory};

/// What the elements of a block are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NdType {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float32,
    Float64,
    /// Elements that only the host computes with (complex, datetimes, text): bytes that can be
    /// moved. `name` is the host's name for them.
    Opaque {
        name: Arc<str>,
        nbytes: usize,
    },
}

impl NdType {
    pub const NUMBERS: [NdType; 11] = [
        NdType::Bool,
        NdType::Int8,
        NdType::Int16,
        NdType::Int32,
        NdType::Int64,
        NdType::UInt8,
        NdType::UInt16,
        NdType::UInt32,
        NdType::UInt64,
        NdType::Float32,
        NdType::Float64,
    ];

    /// NumPy's name: `float64`.
    pub fn name(&self) -> &str {
        match self {
            NdType::Bool => "bool",
            NdType::Int8 => "int8",
            NdType::Int16 => "int16",
            NdType::Int32 => "int32",
            NdType::Int64 => "int64",
            NdType::UInt8 => "uint8",
            NdType::UInt16 => "uint16",
            NdType::UInt32 => "uint32",
            NdType::UInt64 => "uint64",
            NdType::Float32 => "float32",
            NdType::Float64 => "float64",
            NdType::Opaque { name, .. } => name,
        }
    }

    /// The type that kernels know by this name.
    pub fn from_name(name: &str) -> Option<NdType> {
        Self::NUMBERS.into_iter().find(|number| number.name() == name)
    }

    /// Bytes of an element.
    pub fn nbytes(&self) -> usize {
        match self {
            NdType::Bool | NdType::Int8 | NdType::UInt8 => 1,
            NdType::Int16 | NdType::UInt16 => 2,
            NdType::Int32 | NdType::UInt32 | NdType::Float32 => 4,
            NdType::Int64 | NdType::UInt64 | NdType::Float64 => 8,
            NdType::Opaque { nbytes, .. } => *nbytes,
        }
    }

    /// Whether kernels can compute with it.
    pub fn is_number(&self) -> bool {
        !matches!(self, NdType::Opaque { .. })
    }

    pub fn is_float(&self) -> bool {
        matches!(self, NdType::Float32 | NdType::Float64)
    }

    pub fn is_signed(&self) -> bool {
        matches!(self, NdType::Int8 | NdType::Int16 | NdType::Int32 | NdType::Int64)
    }

    pub fn is_unsigned(&self) -> bool {
        matches!(self, NdType::UInt8 | NdType::UInt16 | NdType::UInt32 | NdType::UInt64)
    }
}

impl fmt::Display for NdType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

pub type Shape = SmallVec<[usize; 4]>;
pub type Strides = SmallVec<[isize; 4]>;

/// A block of an array. Cloning shares the memory.
#[derive(Clone)]
pub struct NdArray {
    memory: Buffer,
    /// Where the first element is, in bytes.
    offset: usize,
    dtype: NdType,
    shape: Shape,
    strides: Strides,
    /// Somebody else owns the memory: letting it go frees nothing. Says whether it may be written.
    borrowed: Option<Borrow>,
}

/// How the owner lends its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Borrow {
    ReadOnly,
    Writable,
}

/// Strides that leave the memory, or a shape that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an array of shape {shape:?} and strides {strides:?} at byte {offset} leaves its {nbytes} bytes")]
pub struct OutOfMemory {
    shape: Vec<usize>,
    strides: Vec<isize>,
    offset: usize,
    nbytes: usize,
}

impl NdArray {
    /// Elements in `memory`, after a check that they all lie in it.
    pub fn new(
        memory: Buffer,
        offset: usize,
        dtype: NdType,
        shape: &[usize],
        strides: &[isize],
    ) -> Result<NdArray, OutOfMemory> {
        let array =
            NdArray { memory, offset, dtype, shape: shape.into(), strides: strides.into(), borrowed: None };
        if array.shape.len() == array.strides.len() && array.fits() {
            Ok(array)
        } else {
            Err(OutOfMemory {
                shape: shape.to_vec(),
                strides: strides.to_vec(),
                offset,
                nbytes: array.memory.len(),
            })
        }
    }

    /// Elements in C order that fill `memory`.
    pub fn contiguous(
        memory: impl Into<Buffer>,
        dtype: NdType,
        shape: &[usize],
    ) -> Result<NdArray, OutOfMemory> {
        let strides = c_strides(shape, dtype.nbytes());
        NdArray::new(memory.into(), 0, dtype, shape, &strides)
    }

    /// Elements whose bytes are all zero: 0, `false`, 0.0.
    pub fn zeros(dtype: NdType, shape: &[usize]) -> NdArray {
        let nbytes = shape.iter().product::<usize>() * dtype.nbytes();
        let strides = c_strides(shape, dtype.nbytes());
        NdArray {
            memory: MutableBuffer::from_len_zeroed(nbytes).into(),
            offset: 0,
            dtype,
            shape: shape.into(),
            strides,
            borrowed: None,
        }
    }

    /// The same, in memory that somebody else owns.
    pub fn borrowed(mut self, borrow: Borrow) -> NdArray {
        self.borrowed = Some(borrow);
        self
    }

    pub fn borrow(&self) -> Option<Borrow> {
        self.borrowed
    }

    fn fits(&self) -> bool {
        if self.shape.contains(&0) {
            return true;
        }
        let (mut low, mut high) = (self.offset as i128, self.offset as i128 + self.dtype.nbytes() as i128);
        for (&n, &stride) in self.shape.iter().zip(&self.strides) {
            let reach = (n as i128 - 1) * stride as i128;
            if reach < 0 { low += reach } else { high += reach }
        }
        low >= 0 && high <= self.memory.len() as i128
    }

    pub fn dtype(&self) -> &NdType {
        &self.dtype
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Bytes from one element to the next along each axis.
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    pub fn memory(&self) -> &Buffer {
        &self.memory
    }

    pub fn offset(&self) -> usize {
        self.offset
    }

    pub fn ndim(&self) -> usize {
        self.shape.len()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the elements that it shows; broadcast ones count each time.
    pub fn nbytes(&self) -> usize {
        self.len() * self.dtype.nbytes()
    }

    /// The first element. Valid for reads along shape and strides as long as `self` lives; of an
    /// empty array it must not be read.
    pub fn as_ptr(&self) -> *const u8 {
        if self.offset > self.memory.len() {
            return self.memory.as_ptr();
        }
        // SAFETY: the offset is inside the memory, or one past its end.
        unsafe { self.memory.as_ptr().add(self.offset) }
    }

    /// Whether elements lie in C order without gaps.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = self.dtype.nbytes() as isize;
        for (&n, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if n == 0 {
                return true;
            }
            if n > 1 && stride != expected {
                return false;
            }
            expected *= n as isize;
        }
        true
    }

    /// The bytes of a contiguous array.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        let nbytes = self.nbytes();
        if nbytes == 0 {
            return Some(&[]);
        }
        self.is_contiguous().then(|| &self.memory[self.offset..self.offset + nbytes])
    }

    /// The same elements under another shape and other strides, after a check that they lie in memory.
    pub fn view(&self, offset: usize, shape: &[usize], strides: &[isize]) -> Result<NdArray, OutOfMemory> {
        let view = NdArray::new(self.memory.clone(), offset, self.dtype.clone(), shape, strides)?;
        Ok(NdArray { borrowed: self.borrowed, ..view })
    }

    /// Elements `start, start + step, …` (`n` of them) along each axis. A bug if they are not there, which
    /// debug builds catch.
    pub fn cut(&self, cuts: &[(usize, isize, usize)]) -> Result<NdArray, OutOfMemory> {
        let mut offset = self.offset as isize;
        let mut shape = Shape::new();
        let mut strides = Strides::new();
        for (&(start, step, n), &stride) in cuts.iter().zip(&self.strides) {
            if n > 0 {
                offset += start as isize * stride;
            }
            shape.push(n);
            strides.push(stride * step);
        }
        self.view(offset as usize, &shape, &strides)
    }

    /// Axis `i` of the result is axis `axes[i]` of this.
    pub fn transpose(&self, axes: &[usize]) -> NdArray {
        NdArray {
            shape: axes.iter().map(|&axis| self.shape[axis]).collect(),
            strides: axes.iter().map(|&axis| self.strides[axis]).collect(),
            ..self.clone()
        }
    }

    /// The same elements in C order without gaps; itself if they are.
    pub fn to_contiguous(&self) -> NdArray {
        if self.is_contiguous() {
            return self.clone();
        }
        let mut block = memory::Block::new(self.nbytes());
        let (start, mut at) = (block.as_mut_ptr(), 0);
        self.runs(|bytes| {
            // SAFETY: the runs are all bytes of the elements, for which the block has room.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.add(at), bytes.len()) };
            at += bytes.len();
        });
        debug_assert_eq!(at, self.nbytes());
        NdArray {
            // SAFETY: all bytes have been written.
            memory: unsafe { block.filled() },
            offset: 0,
            dtype: self.dtype.clone(),
            shape: self.shape.clone(),
            strides: c_strides(&self.shape, self.dtype.nbytes()),
            borrowed: None,
        }
    }

    /// The bytes of all elements in C order, in runs as long as they lie together.
    fn runs(&self, mut visit: impl FnMut(&[u8])) {
        if self.is_empty() {
            return;
        }
        // The innermost axes that lie together are one run.
        let mut run = self.dtype.nbytes();
        let mut outer = self.shape.len();
        while outer > 0 && (self.shape[outer - 1] == 1 || self.strides[outer - 1] == run as isize) {
            outer -= 1;
            run *= self.shape[outer];
        }
        let mut at: Shape = smallvec::smallvec![0; outer];
        let mut offset = self.offset as isize;
        loop {
            visit(&self.memory[offset as usize..offset as usize + run]);
            let mut axis = outer;
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                at[axis] += 1;
                offset += self.strides[axis];
                if at[axis] < self.shape[axis] {
                    break;
                }
                offset -= self.strides[axis] * self.shape[axis] as isize;
                at[axis] = 0;
            }
        }
    }

    /// Writes the elements in C order.
    pub(crate) fn encode(&self, sink: &mut (dyn Write + Send)) -> Result<(), CodecError> {
        if let Some(bytes) = self.as_bytes() {
            sink.write_all(bytes)?;
            return Ok(());
        }
        let mut result = Ok(());
        self.runs(|bytes| {
            if result.is_ok() {
                result = sink.write_all(bytes);
            }
        });
        Ok(result?)
    }

    /// Reads what [`NdArray::encode`] wrote.
    pub(crate) fn decode(
        dtype: NdType,
        shape: &[usize],
        source: &mut (dyn Read + Send),
    ) -> Result<NdArray, CodecError> {
        let nbytes = shape.iter().product::<usize>() * dtype.nbytes();
        let mut block = memory::Block::new(nbytes);
        source.read_exact(block.zeroed())?;
        // SAFETY: zeroed, and then written.
        let memory = unsafe { block.filled() };
        NdArray::contiguous(memory, dtype, shape).map_err(|e| CodecError::Codec(e.to_string()))
    }
}

/// By dtype, shape and elements.
impl fmt::Debug for NdArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NdArray({}, {:?}, strides {:?})", self.dtype, &self.shape[..], &self.strides[..])
    }
}

/// Strides of C order without gaps.
pub fn c_strides(shape: &[usize], nbytes: usize) -> Strides {
    let mut strides: Strides = smallvec::smallvec![0; shape.len()];
    let mut step = nbytes as isize;
    for (stride, &n) in strides.iter_mut().zip(shape).rev() {
        *stride = step;
        step *= n.max(1) as isize;
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(shape: &[usize]) -> NdArray {
        let n = shape.iter().product::<usize>() as i32;
        NdArray::contiguous(Buffer::from_iter(0..n), NdType::Int32, shape).unwrap()
    }

    fn values(array: &NdArray) -> Vec<i32> {
        let flat = array.to_contiguous();
        flat.as_bytes().unwrap().chunks(4).map(|b| i32::from_ne_bytes(b.try_into().unwrap())).collect()
    }

    #[test]
    fn views_share_memory_and_show_the_right_elements() {
        let x = numbers(&[2, 3]);
        let t = x.transpose(&[1, 0]);
        assert_eq!(t.shape(), [3, 2]);
        assert_eq!(values(&t), [0, 3, 1, 4, 2, 5]);
        let cut = x.cut(&[(1, 1, 1), (2, -2, 2)]).unwrap();
        assert_eq!(values(&cut), [5, 3]);
        assert_eq!(cut.memory().as_ptr(), x.memory().as_ptr());
        let wide = x.view(0, &[2, 2, 3], &[0, 12, 4]).unwrap();
        assert_eq!(values(&wide), [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_leaves_the_memory_is_refused() {
        let x = numbers(&[4]);
        assert!(x.view(4, &[4], &[4]).is_err());
        assert!(x.view(0, &[2], &[-4]).is_err());
        assert!(x.view(12, &[4], &[-4]).is_ok());
        assert!(x.view(0, &[0, 9], &[400, 4]).is_ok());
        assert!(NdArray::contiguous(vec![0u8; 3], NdType::Int32, &[1]).is_err());
    }

    #[test]
    fn elements_survive_the_disk_in_c_order() {
        let x = numbers(&[3, 4]).transpose(&[1, 0]);
        let mut bytes = Vec::new();
        x.encode(&mut bytes).unwrap();
        let back = NdArray::decode(NdType::Int32, x.shape(), &mut bytes.as_slice()).unwrap();
        assert_eq!(values(&back), values(&x));
        bytes.pop();
        assert!(NdArray::decode(NdType::Int32, x.shape(), &mut bytes.as_slice()).is_err());
    }
}
