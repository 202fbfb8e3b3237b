//! Walks blocks tile by tile and runs a program on each tile.

use smallvec::SmallVec;
use weft_data::{NdArray, NdType, memory};

use super::ops::{self, Raw};
use super::{Num, Program, Slot, gather};

/// Elements of a register: large enough that starting a loop costs nothing, small enough for
/// several registers in cache.
const TILE: usize = 512;
/// Rows and columns of a tile of operands that lie across each other.
const ROWS: usize = 64;
const COLUMNS: usize = 64;
const REGISTER: usize = ROWS * COLUMNS;
const _: () = assert!(4 * TILE <= REGISTER);

/// An operand as seen along the axes of the result.
#[derive(Clone, Debug)]
pub enum Source {
    View(View),
    /// Numbers that are counted along `axis`.
    Iota {
        num: Num,
        count: Count,
        axis: usize,
    },
}

/// The number at place `i` is `start + step * (first + stride * i)`: a part of a count has the very numbers of
/// the whole. Floats count in `f64`, integers wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    pub start: f64,
    pub step: f64,
    pub int_start: i64,
    pub int_step: i64,
    pub first: i64,
    pub stride: i64,
}

impl Count {
    /// The count from place `first` on, of which every `stride`th is seen.
    pub fn part(self, first: i64, stride: i64) -> Count {
        let place = self.stride.wrapping_mul(first);
        Count { first: self.first.wrapping_add(place), stride: self.stride.wrapping_mul(stride), ..self }
    }
}

/// Elements in memory, with a stride in bytes for each axis of the result (0: the same along it).
#[derive(Clone, Debug)]
pub struct View {
    pub array: NdArray,
    pub strides: SmallVec<[isize; 4]>,
}

impl Source {
    fn num(&self) -> Num {
        match self {
            // A view is made of numbers: whoever makes it has looked.
            Source::View(view) => Num::from_dtype(view.array.dtype()).unwrap_or(Num::U8),
            Source::Iota { num, .. } => *num,
        }
    }

    fn strides(&self, ndim: usize) -> SmallVec<[isize; 4]> {
        match self {
            Source::View(view) => view.strides.clone(),
            Source::Iota { axis, .. } => (0..ndim).map(|i| (i == *axis) as isize).collect(),
        }
    }
}

/// A tile of the result and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Tile {
    pub rows: usize,
    pub columns: usize,
    /// Where its first element goes, and how far the next row and the next column are.
    pub at: usize,
    pub row: usize,
    pub column: usize,
}

impl Tile {
    /// Number of elements; never none.
    pub fn size(&self) -> usize {
        self.rows * self.columns
    }

    /// Whether its elements lie together where they go.
    fn is_contiguous(&self) -> bool {
        self.column == 1 && (self.rows == 1 || self.row == self.columns)
    }
}

/// Elements of a tile, row by row.
#[derive(Clone, Copy, Debug)]
pub enum Elements {
    Ptr(*const u8),
    Bits(u64),
}

/// One axis of the walk: its extent, the stride of each source, and of the target in elements.
#[derive(Clone, Debug)]
struct Axis {
    n: usize,
    sources: SmallVec<[isize; 4]>,
    target: usize,
}

/// Axes of extent one left out, and axes that continue each other in all operands made one.
fn collapse(shape: &[usize], sources: &[SmallVec<[isize; 4]>], target: &[usize]) -> Vec<Axis> {
    let mut axes: Vec<Axis> = Vec::with_capacity(shape.len());
    for (i, &n) in shape.iter().enumerate() {
        if n == 1 {
            continue;
        }
        let axis = Axis { n, sources: sources.iter().map(|s| s[i]).collect(), target: target[i] };
        if let Some(outer) = axes.last_mut() {
            let continues = outer.sources.iter().zip(&axis.sources).all(|(&o, &i)| o == i * n as isize);
            if continues && outer.target == axis.target * n {
                *outer = Axis { n: outer.n * n, ..axis };
                continue;
            }
        }
        axes.push(axis);
    }
    while axes.len() < 2 {
        axes.insert(0, Axis { n: 1, sources: sources.iter().map(|_| 0).collect(), target: 0 });
    }
    axes
}

/// Runs `program` over the tiles of `shape`. `target` says how many elements lie between neighbours
/// along each axis where the results go. `place` may give the memory where a whole tile shall be
/// written (its elements lie together there); `take` gets each tile's results.
///
/// The caller sees to it that sources have the element types of the program's inputs and elements
/// everywhere in `shape`.
pub fn tiles(
    shape: &[usize],
    sources: &[Source],
    program: &Program,
    target: &[usize],
    place: &mut dyn FnMut(&Tile) -> Option<*mut u8>,
    take: &mut dyn FnMut(&Tile, Elements),
) {
    if shape.contains(&0) {
        return;
    }
    debug_assert_eq!(sources.len(), program.inputs.len());
    let strides: Vec<_> = sources.iter().map(|source| source.strides(shape.len())).collect();
    let axes = collapse(shape, &strides, target);
    let (outer, inner) = axes.split_at(axes.len() - 2);
    let (rows, columns) = (&inner[0], &inner[1]);
    let across = sources.iter().enumerate().any(|(i, source)| {
        let unit = source.num().nbytes() as isize;
        matches!(source, Source::View(_)) && rows.sources[i].abs() == unit && columns.sources[i].abs() > unit
    });
    // What is only read needs no register.
    let most = if program.instrs.is_empty() { 4 * TILE } else { TILE };
    let tile_columns = columns.n.min(if across { COLUMNS } else { most });
    let tile_rows = rows.n.min(if across { ROWS } else { (most / tile_columns).max(1) });
    let mut registers = Registers::new(sources.len() + program.nregisters as usize);
    let mut position: SmallVec<[usize; 4]> = SmallVec::from_elem(0, outer.len());
    let mut offsets: SmallVec<[isize; 4]> = SmallVec::from_elem(0, sources.len());
    let mut at = 0;
    loop {
        let mut row = 0;
        while row < rows.n {
            let height = tile_rows.min(rows.n - row);
            let mut column = 0;
            while column < columns.n {
                let width = tile_columns.min(columns.n - column);
                let next = across.then(|| tile_columns.min(columns.n - column - width));
                let tile = Tile {
                    rows: height,
                    columns: width,
                    at: at + row * rows.target + column * columns.target,
                    row: rows.target,
                    column: columns.target,
                };
                let here = |i: usize| {
                    offsets[i] + row as isize * rows.sources[i] + column as isize * columns.sources[i]
                };
                let loaded: SmallVec<[Raw; 4]> = sources
                    .iter()
                    .enumerate()
                    .map(|(i, source)| {
                        let steps = (rows.sources[i], columns.sources[i]);
                        load(source, here(i), &tile, steps, next, registers.get(i))
                    })
                    .collect();
                let placed = if tile.is_contiguous() { place(&tile) } else { None };
                let result = execute(program, &loaded, &tile, placed, &mut registers, sources.len());
                take(&tile, result);
                column += width;
            }
            row += height;
        }
        let mut axis = outer.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            let Axis { n, sources: steps, target } = &outer[axis];
            position[axis] += 1;
            at += target;
            offsets.iter_mut().zip(steps).for_each(|(offset, step)| *offset += step);
            if position[axis] < *n {
                break;
            }
            position[axis] = 0;
            at -= target * n;
            offsets.iter_mut().zip(steps).for_each(|(offset, step)| *offset -= step * *n as isize);
        }
    }
}

fn execute(
    program: &Program,
    inputs: &[Raw],
    tile: &Tile,
    placed: Option<*mut u8>,
    registers: &mut Registers,
    first: usize,
) -> Elements {
    let mut register = |i: u16| registers.get(first + program.registers[i as usize] as usize);
    for (i, instr) in program.instrs.iter().enumerate() {
        let mut raw = |slot| match slot {
            Slot::Input(i) => inputs[i as usize],
            Slot::Value(v) => Raw::Ptr(register(v)),
            Slot::Const(bits) => Raw::Bits(bits),
        };
        let args = instr.args.map(&mut raw);
        let other = instr.then.map_or(Raw::Bits(0), |then| raw(then.other));
        let out = match placed {
            Some(out) if program.out == Slot::Value(i as u16) => out,
            _ => register(i as u16),
        };
        // SAFETY: inputs are pointers to a tile of the program's input types (`load`), registers
        // hold a tile of any type, a placed tile is the caller's promise; no instruction writes to a register
        // that it reads (`Program::new`).
        unsafe { ops::run(instr, args, other, out, tile.size()) };
    }
    let raw = match program.out {
        Slot::Input(i) => inputs[i as usize],
        Slot::Const(bits) => Raw::Bits(bits),
        Slot::Value(v) => Raw::Ptr(placed.unwrap_or_else(|| register(v))),
    };
    match raw {
        Raw::Ptr(ptr) => Elements::Ptr(ptr),
        Raw::Bits(bits) => Elements::Bits(bits),
    }
}

/// Memory for tiles, aligned for every element type.
struct Registers(Vec<u64>);

impl Registers {
    fn new(n: usize) -> Registers {
        Registers(vec![0; n * REGISTER])
    }

    fn get(&mut self, i: usize) -> *mut u8 {
        self.0[i * REGISTER..(i + 1) * REGISTER].as_mut_ptr().cast()
    }
}

/// A tile of an operand: where it is if its elements lie together, else gathered into `register`. `next` is
/// the number of columns of the tile that comes after it in the same rows, if it is worth asking for them now.
fn load(
    source: &Source,
    offset: isize,
    tile: &Tile,
    steps: (isize, isize),
    next: Option<usize>,
    register: *mut u8,
) -> Raw {
    match source {
        Source::View(view) => {
            // SAFETY: the walk stays inside the view's shape, whose elements are all in memory.
            let from = unsafe { view.array.as_ptr().offset(offset) };
            let unit = view.array.dtype().nbytes() as isize;
            let whole = tile.rows == 1 || steps.0 == tile.columns as isize * unit;
            if whole && (steps.1 == unit || tile.columns == 1) {
                return Raw::Ptr(from);
            }
            if let Some(columns) = next {
                gather::announce(from, tile, steps, columns, unit);
            }
            // SAFETY: as above; a register holds a tile of any type.
            unsafe {
                match unit {
                    1 => gather::gather::<u8>(from, tile, steps, register),
                    2 => gather::gather::<u16>(from, tile, steps, register),
                    4 => gather::gather::<u32>(from, tile, steps, register),
                    _ => gather::gather::<u64>(from, tile, steps, register),
                }
            }
            Raw::Ptr(register)
        }
        Source::Iota { num, count, .. } => {
            for r in 0..tile.rows {
                let place = offset + r as isize * steps.0;
                // SAFETY: a register holds a tile of any type.
                let line = unsafe { register.add(r * tile.columns * num.nbytes()) };
                let line = gather::Line { to: line, n: tile.columns };
                let count = count.part(place as i64, steps.1 as i64);
                match num {
                    // SAFETY: as above.
                    Num::F32 | Num::F64 => unsafe { line.count_floats(*num, count) },
                    // SAFETY: as above.
                    _ => unsafe { line.count_integers(*num, count) },
                }
            }
            Raw::Ptr(register)
        }
    }
}

/// What `program` gives over `shape`, in C order.
pub fn elementwise(shape: &[usize], sources: &[Source], program: &Program) -> NdArray {
    let dtype = program.num.dtype();
    let unit = dtype.nbytes();
    let n: usize = shape.iter().product();
    let mut memory = memory::Block::new(n * unit);
    let base = memory.as_mut_ptr();
    let target: SmallVec<[usize; 4]> =
        weft_data::c_strides(shape, 1).into_iter().map(|stride| stride as usize).collect();
    tiles(
        shape,
        sources,
        program,
        &target,
        // SAFETY: a tile's place is inside the `n` elements of the memory.
        &mut |tile| Some(unsafe { base.add(tile.at * unit) }),
        // SAFETY: as above; `elements` are a tile.
        &mut |tile, elements| unsafe { store(tile, elements, base, unit) },
    );
    // SAFETY: the tiles cover the shape, so all elements have been written.
    whole(unsafe { memory.filled() }, dtype, shape)
}

fn whole(memory: arrow_buffer::Buffer, dtype: NdType, shape: &[usize]) -> NdArray {
    match NdArray::contiguous(memory, dtype.clone(), shape) {
        Ok(array) => array,
        // The memory has been made for this shape.
        Err(_) => NdArray::zeros(dtype, shape),
    }
}

/// # Safety
/// `base` has room for every element of the tile; `elements` are the tile's, of `unit` bytes.
unsafe fn store(tile: &Tile, elements: Elements, base: *mut u8, unit: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        match elements {
            Elements::Ptr(from) => {
                if tile.is_contiguous() {
                    let to = base.add(tile.at * unit);
                    // What was computed in its place is there already.
                    if !std::ptr::eq(from, to) {
                        std::ptr::copy_nonoverlapping(from, to, tile.size() * unit);
                    }
                    return;
                }
                for r in 0..tile.rows {
                    let line = from.add(r * tile.columns * unit);
                    for (c, step) in (0..tile.columns).map(|c| (c, c * tile.column)) {
                        let to = base.add((tile.at + r * tile.row + step) * unit);
                        if tile.column == 1 {
                            std::ptr::copy_nonoverlapping(line, to, tile.columns * unit);
                            break;
                        }
                        std::ptr::copy_nonoverlapping(line.add(c * unit), to, unit);
                    }
                }
            }
            Elements::Bits(bits) => {
                let bytes = bits.to_le_bytes();
                for r in 0..tile.rows {
                    for c in 0..tile.columns {
                        let to = base.add((tile.at + r * tile.row + c * tile.column) * unit);
                        std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, unit);
                    }
                }
            }
        }
    }
}
