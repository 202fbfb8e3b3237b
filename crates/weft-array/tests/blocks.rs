//! Random expressions over random layouts and cuts, against loops over whole arrays.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use proptest::prelude::*;
use weft_array::kernel::reduce::Reduction;
use weft_array::kernel::{Num, Scalar, Ufunc};
use weft_array::plan::Bounds;
use weft_array::{AxisChunks, Chunks, Expr, Lowered, Meta, Operand, lower};
use weft_data::{LayerRef, NdArray, NdType, Value};

/// A whole array in C order.
#[derive(Clone, Debug, PartialEq)]
struct Whole {
    shape: Vec<usize>,
    values: Vec<f64>,
}

fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![vec![]], |all, &n| {
        all.iter().flat_map(|at| (0..n).map(|i| [&at[..], &[i]].concat()).collect::<Vec<_>>()).collect()
    })
}

fn build(shape: Vec<usize>, f: impl Fn(&[usize]) -> f64) -> Whole {
    let values = indices(&shape).iter().map(|at| f(at)).collect();
    Whole { shape, values }
}

impl Whole {
    fn at(&self, at: &[usize]) -> f64 {
        self.values[at.iter().zip(&self.shape).fold(0, |sum, (&i, &n)| sum * n + i)]
    }

    fn block(&self, start: &[usize], shape: &[usize]) -> NdArray {
        let part = build(shape.to_vec(), |at| {
            self.at(&at.iter().zip(start).map(|(a, b)| a + b).collect::<Vec<_>>())
        });
        NdArray::contiguous(arrow_buffer::Buffer::from_vec(part.values), NdType::Float64, shape).unwrap()
    }
}

fn starts(axis: &AxisChunks) -> Vec<usize> {
    axis.sizes().iter().scan(0, |at, n| Some(std::mem::replace(at, *at + n.unwrap()))).collect()
}

/// An expression over blocks of `whole`, each laid out backwards if `turned`, as another layout.
fn source(whole: &Whole, chunks: &Chunks, turned: bool, token: u128) -> Expr {
    let count = chunks.count().unwrap();
    let blocks = (0..count).map(|i| {
        let position = chunks.position(i);
        let shape: Vec<usize> = chunks.block_shape(&position).into_iter().map(Option::unwrap).collect();
        let start: Vec<usize> =
            position.iter().zip(chunks.axes()).map(|(&i, axis)| starts(axis)[i as usize]).collect();
        let mut block = whole.block(&start, &shape);
        if turned {
            let order: Vec<usize> = (0..shape.len()).rev().collect();
            block = block.transpose(&order).to_contiguous().transpose(&order);
        }
        Value::Array(Arc::new(block))
    });
    let meta = Meta { chunks: chunks.clone(), dtype: "float64".into(), plain: true };
    Expr::blocks(blocks.collect(), token, meta, "x", false).unwrap()
}

/// Runs a layer's task and what it reads.
fn run(layer: &LayerRef, task: u32) -> Value {
    let mut reads = Vec::new();
    layer.reads(task, |input, task| reads.push((input, task)));
    let mut inputs: Vec<Value> =
        reads.iter().map(|&(input, task)| run(&layer.inputs[input as usize], task)).collect();
    layer.work.run(task, &mut inputs).unwrap()
}

fn collect(expr: &Expr) -> Whole {
    let Lowered::Layer(layer) = lower(std::slice::from_ref(expr)).unwrap().remove(0) else {
        panic!("these expressions are layers of their own")
    };
    let chunks = expr.chunks();
    let shape: Vec<usize> = chunks.shape().into_iter().map(Option::unwrap).collect();
    let mut whole = Whole { values: vec![f64::MAX; shape.iter().product()], shape };
    assert_eq!(layer.len() as u32, chunks.count().unwrap());
    for task in 0..layer.len() as u32 {
        let position = chunks.position(task);
        let Value::Array(block) = run(&layer, task) else { panic!("no array") };
        let expected: Vec<usize> = chunks.block_shape(&position).into_iter().map(Option::unwrap).collect();
        assert_eq!(block.shape(), expected);
        let flat = block.to_contiguous();
        let values = flat.as_bytes().unwrap().chunks(8).map(|b| f64::from_ne_bytes(b.try_into().unwrap()));
        for (at, value) in indices(block.shape()).iter().zip(values) {
            let at = at
                .iter()
                .zip(chunks.axes())
                .zip(&position)
                .map(|((a, axis), &i)| a + starts(axis)[i as usize]);
            let flat = at.zip(&whole.shape).fold(0, |sum, (i, &n)| sum * n + i);
            whole.values[flat] = value;
        }
    }
    whole
}

fn cuts(n: usize) -> impl Strategy<Value = AxisChunks> {
    proptest::collection::vec(0..=n, 0..3).prop_map(move |mut edges| {
        edges.extend([0, n]);
        edges.sort_unstable();
        AxisChunks::known(edges.windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>())
    })
}

/// A shape, two ways to cut it, and numbers.
fn arrays() -> impl Strategy<Value = (Whole, Chunks, Chunks, bool)> {
    proptest::collection::vec(1usize..80, 1..=3)
        .prop_filter("small", |shape| shape.iter().product::<usize>() < 6000)
        .prop_flat_map(|shape| {
            let cut = || shape.iter().map(|&n| cuts(n)).collect::<Vec<_>>().prop_map(Chunks::new);
            let n = shape.iter().product::<usize>();
            // Whole numbers, so that sums are exact in every order.
            let values = proptest::collection::vec((-50i32..50).prop_map(f64::from), n);
            let whole = (Just(shape.clone()), values).prop_map(|(shape, values)| Whole { shape, values });
            (whole, cut(), cut(), any::<bool>())
        })
}

fn binary(op: Ufunc, a: Operand, b: Operand) -> Operand {
    Operand::Array(Expr::elementwise(op, vec![a, b], Num::F64, Num::F64).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn programs_and_reductions((x, chunks, _, turned) in arrays(), axis in 0usize..3) {
        let e = Operand::Array(source(&x, &chunks, turned, 1));
        let number = |v| Operand::Scalar(Scalar::Float(v));
        let chain = binary(Ufunc::Subtract, binary(Ufunc::Multiply, e.clone(), number(3.0)), e);
        let Operand::Array(chain) = binary(Ufunc::Power, chain, number(2.0)) else { unreachable!() };
        let made = build(x.shape.clone(), |at| (x.at(at) * 3.0 - x.at(at)).powi(2));
        prop_assert_eq!(collect(&chain), made.clone());

        let axis = axis % x.shape.len();
        let sum = chain.reduce(Reduction::Sum, &[axis], true, Num::F64, false, 0).unwrap();
        let mut shape = x.shape.clone();
        shape[axis] = 1;
        let along = |at: &[usize]| (0..x.shape[axis]).map(|i| {
            let mut at = at.to_vec();
            at[axis] = i;
            made.at(&at)
        }).collect::<Vec<f64>>();
        prop_assert_eq!(collect(&sum), build(shape.clone(), |at| along(at).iter().sum()));
        let max = chain.reduce(Reduction::Max, &[axis], true, Num::F64, false, 0).unwrap();
        prop_assert_eq!(collect(&max), build(shape, |at| along(at).into_iter().fold(f64::MIN, f64::max)));
        let all: Vec<usize> = (0..x.shape.len()).collect();
        let total = chain.reduce(Reduction::Sum, &all, false, Num::F64, false, 0).unwrap();
        prop_assert_eq!(collect(&total).values, vec![made.values.iter().sum::<f64>()]);
    }

    #[test]
    fn new_blocks_and_transposed_operands((x, chunks, others, turned) in arrays()) {
        let e = source(&x, &chunks, turned, 1);
        let again = e.rechunk(others.clone()).unwrap();
        prop_assert_eq!(collect(&again), x.clone());
        // By shards, with and without steps in between.
        let computed = binary(Ufunc::Add, Operand::Array(e.clone()), Operand::Scalar(Scalar::Float(0.0)));
        let Operand::Array(computed) = computed else { unreachable!() };
        for (threshold, piece) in [(4, usize::MAX), (1, 1)] {
            let bounds = Bounds { threshold, elements: 1, piece };
            let again = computed.rechunk_in_steps(others.clone(), bounds, true).unwrap();
            prop_assert_eq!(collect(&again), x.clone());
        }

        let order: Vec<usize> = (0..x.shape.len()).rev().collect();
        let moved = e.transpose(order).unwrap();
        let shape: Vec<usize> = x.shape.iter().rev().copied().collect();
        let back = |at: &[usize]| at.iter().rev().copied().collect::<Vec<_>>();
        prop_assert_eq!(collect(&moved), build(shape.clone(), |at| x.at(&back(at))));
        let doubled = Expr::elementwise(
            Ufunc::Add,
            vec![Operand::Array(moved.clone()), Operand::Array(moved.clone())],
            Num::F64,
            Num::F64,
        ).unwrap();
        prop_assert_eq!(collect(&doubled), build(shape, |at| 2.0 * x.at(&back(at))));

        let joined = Expr::concatenate(vec![e.clone(), e.clone()], 0).unwrap();
        let mut shape = x.shape.clone();
        shape[0] *= 2;
        let expected = build(shape, |at| x.at(&[&[at[0] % x.shape[0]], &at[1..]].concat()));
        prop_assert_eq!(collect(&joined), expected);
    }
}

#[test]
fn a_block_is_let_go_once_its_shards_are_cut() {
    let rows = Chunks::new([AxisChunks::known(vec![1; 40]), AxisChunks::known([40])]);
    let columns = Chunks::new([AxisChunks::known([40]), AxisChunks::known(vec![1; 40])]);
    let zeros = Operand::Array(source(&build(vec![40, 40], |_| 0.0), &rows, false, 1));
    let Operand::Array(computed) = binary(Ufunc::Add, zeros.clone(), zeros) else { unreachable!() };
    let bounds = Bounds { threshold: 4, elements: 1, piece: 1 };
    let again = computed.rechunk_in_steps(columns, bounds, true).unwrap();
    let Lowered::Layer(layer) = lower(&[again]).unwrap().remove(0) else { panic!("no layer") };
    let outputs: Vec<(LayerRef, u32)> = (0..40).map(|task| (layer.clone(), task)).collect();
    let tasks = weft_graph::expand(&outputs);
    let places = weft_graph::order(&tasks.dag).unwrap();
    let mut in_order: Vec<weft_graph::TaskId> = tasks.dag.tasks().collect();
    in_order.sort_by_key(|task| places[task.index()]);
    // Blocks that some shard still has to be cut out of, as tasks run one after the other.
    let (mut left, mut held, mut most) = (std::collections::HashMap::new(), 0, 0);
    for task in in_order {
        let name = tasks.key(task).to_string();
        if name.contains("shard-") {
            let block = tasks.dag.dependencies(task)[0];
            let missing: &mut usize = left.get_mut(&block).unwrap();
            *missing -= 1;
            held -= usize::from(*missing == 0);
        } else if name.contains("add-") {
            left.insert(task, 40);
            held += 1;
            most = most.max(held);
        }
    }
    assert_eq!((left.len(), held, most), (40, 0, 1));
}

#[test]
fn a_million_blocks_are_a_few_layers() {
    let chunks = Chunks::new([AxisChunks::known(vec![10; 1000]), AxisChunks::known(vec![10; 1000])]);
    let ones = Expr::fill(Scalar::Int(1), Num::F64, chunks, "ones").unwrap();
    let number = |v| Operand::Scalar(Scalar::Float(v));
    let Operand::Array(mut sum) = binary(Ufunc::Add, Operand::Array(ones), number(1.0)) else {
        unreachable!()
    };
    // A chain longer than any program, and deeper than any stack.
    for _ in 0..20_000 {
        let Operand::Array(next) = binary(Ufunc::Add, Operand::Array(sum), number(1.0)) else {
            unreachable!()
        };
        sum = next;
    }
    let Lowered::Layer(layer) = lower(&[sum]).unwrap().remove(0) else { panic!("a layer") };
    assert_eq!(layer.len(), 1_000_000);
    let (mut depth, mut below) = (0, Some(layer));
    while let Some(layer) = below {
        depth += 1;
        below = layer.inputs.first().cloned();
    }
    assert!(depth < 20_000 / 40, "{depth} layers");
}
