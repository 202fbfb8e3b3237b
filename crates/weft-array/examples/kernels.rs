//! Times kernels in nanoseconds for each element, on as many threads as told:
//! `cargo run --release -p weft-array --example kernels -- 4`.
//!
//! Blocks are of 1000 x 1000 numbers, and there are enough of them that they come from memory, not
//! from cache.

use std::time::Instant;

use weft_array::kernel::reduce::{self, Reduction, Spec};
use weft_array::kernel::{Count, Instr, Num, Program, Slot, Source, Ufunc, View, elementwise};
use weft_data::{NdArray, NdType};

const SIDE: usize = 1000;
const BLOCKS: usize = 64;

fn blocks() -> Vec<NdArray> {
    let mut state = 1u64;
    (0..BLOCKS)
        .filter_map(|_| {
            let numbers: Vec<f64> = (0..SIDE * SIDE)
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 11) as f64 / (1u64 << 53) as f64
                })
                .collect();
            let numbers = arrow_buffer::Buffer::from_vec(numbers);
            let block = NdArray::contiguous(numbers, NdType::Float64, &[SIDE, SIDE]).ok()?;
            // Into memory as kernels make it.
            Some(elementwise(&[SIDE, SIDE], &[view(&block)], &pass()))
        })
        .collect()
}

fn pass() -> Program {
    Program::new(vec![Num::F64], vec![], Slot::Input(0), Num::F64)
}

fn view(array: &NdArray) -> Source {
    Source::View(View { array: array.clone(), strides: array.strides().into() })
}

fn turned(array: &NdArray) -> Source {
    view(&array.transpose(&[1, 0]))
}

fn instr(op: Ufunc, a: Slot, b: Slot) -> Instr {
    Instr::new(op, Num::F64, Num::F64, [a, b, Slot::Const(0)])
}

fn number(x: f64) -> Slot {
    Slot::Const(x.to_bits())
}

/// Seconds that this thread has had a core, so that other programs do not count.
fn busy() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is there to be written.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn time(name: &str, run: impl Fn(usize) + Sync) {
    if let Some(only) = std::env::args().nth(2)
        && !name.contains(&only)
    {
        return;
    }
    let threads = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1);
    let (mut best, mut least) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..5 {
        let start = Instant::now();
        let busy: f64 = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|thread| {
                    let run = &run;
                    scope.spawn(move || {
                        let before = busy();
                        (thread..BLOCKS).step_by(threads).for_each(run);
                        busy() - before
                    })
                })
                .collect();
            workers.into_iter().filter_map(|worker| worker.join().ok()).sum()
        });
        best = best.min(start.elapsed().as_secs_f64());
        least = least.min(busy);
    }
    let elements = (BLOCKS * SIDE * SIDE) as f64;
    println!("{name:28} {:7.3} ns of a core {:7.1} GB/s", least * 1e9 / elements, elements * 8e-9 / best);
}

fn main() {
    let blocks = blocks();
    let shape = [SIDE, SIDE];
    let x = Slot::Input(0);
    let pass = pass();
    let chain = Program::new(
        vec![Num::F64],
        vec![
            instr(Ufunc::Multiply, x, number(2.0)),
            instr(Ufunc::Add, Slot::Value(0), number(1.0)),
            instr(Ufunc::Square, Slot::Value(1), Slot::Const(0)),
            instr(Ufunc::Subtract, Slot::Value(2), x),
            instr(Ufunc::Divide, Slot::Value(3), number(3.0)),
        ],
        Slot::Value(4),
        Num::F64,
    );
    let add = Program::new(
        vec![Num::F64, Num::F64],
        vec![instr(Ufunc::Add, Slot::Input(0), Slot::Input(1))],
        Slot::Value(0),
        Num::F64,
    );
    let first = |reduction, skip_nan, reduced: [bool; 2], program: &Program, sources: &[Source]| {
        let output = match reduction {
            Reduction::CountNonzero => Num::I64,
            _ => Num::F64,
        };
        let spec = Spec { reduction, skip_nan, input: Num::F64, output, ddof: 0 };
        std::hint::black_box(reduce::first(spec, &shape, &reduced, sources, program));
    };
    let all = [true, true];
    time("sum", |i| first(Reduction::Sum, false, all, &pass, &[view(&blocks[i])]));
    time("sum, axis 0", |i| first(Reduction::Sum, false, [true, false], &pass, &[view(&blocks[i])]));
    time("sum, axis 1", |i| first(Reduction::Sum, false, [false, true], &pass, &[view(&blocks[i])]));
    time("max", |i| first(Reduction::Max, false, all, &pass, &[view(&blocks[i])]));
    time("max, axis 0", |i| first(Reduction::Max, false, [true, false], &pass, &[view(&blocks[i])]));
    time("var", |i| first(Reduction::Var, false, all, &pass, &[view(&blocks[i])]));
    time("var, axis 0", |i| first(Reduction::Var, false, [true, false], &pass, &[view(&blocks[i])]));
    time("nansum", |i| first(Reduction::Sum, true, all, &pass, &[view(&blocks[i])]));
    time("prod", |i| first(Reduction::Prod, false, all, &pass, &[view(&blocks[i])]));
    time("chain, mean", |i| first(Reduction::Mean, false, all, &chain, &[view(&blocks[i])]));
    time("x + x.T, sum", |i| {
        let other = &blocks[(i + 3) % BLOCKS];
        first(Reduction::Sum, false, all, &add, &[view(&blocks[i]), turned(other)]);
    });
    let count = Count { start: 3.0, step: 1.0, int_start: 3, int_step: 1, first: 0, stride: 1 };
    let iota = |num| Source::Iota { num, count, axis: 1 };
    time("arange chain, mean", |_| first(Reduction::Mean, false, all, &chain, &[iota(Num::F64)]));
    let make = |program: &Program, sources: &[Source]| {
        std::hint::black_box(elementwise(&shape, sources, program));
    };
    time("chain", |i| make(&chain, &[view(&blocks[i])]));
    time("transpose", |i| make(&pass, &[turned(&blocks[i])]));
    for op in [Ufunc::Exp, Ufunc::Log, Ufunc::Sin, Ufunc::Sqrt, Ufunc::Tanh] {
        let program =
            Program::new(vec![Num::F64], vec![instr(op, x, Slot::Const(0))], Slot::Value(0), Num::F64);
        time(op.name(), |i| make(&program, &[view(&blocks[i])]));
    }
}
