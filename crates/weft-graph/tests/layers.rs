//! Layers: what their rules mean, what is refused, and that expansion culls.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use weft_graph::{Axis, Key, Layer, LayerRef, Read, Rule, expand, find_cycle};

fn grid(name: &str, shape: &[u32], inputs: Vec<LayerRef<()>>, reads: Vec<Read>) -> LayerRef<()> {
    Layer::new(Key::from(name), inputs, Rule::Grid { shape: shape.to_vec(), reads }, ()).unwrap()
}

fn along(own: u32) -> Axis {
    Axis::Along { own, offset: 0 }
}

/// Keys with the keys they read, in order.
fn keys_of(outputs: &[(LayerRef<()>, u32)]) -> BTreeMap<String, Vec<String>> {
    let tasks = expand(outputs);
    let name = |task| tasks.key(task).to_string();
    tasks
        .dag
        .tasks()
        .map(|t| (name(t), tasks.dag.dependencies(t).iter().map(|&d| name(d)).collect()))
        .collect()
}

#[test]
fn axes_mean_what_they_say() {
    let x = grid("x", &[2, 3], vec![], vec![]);
    let read = |axes| vec![Read { input: 0, axes }];
    let of = |layer: &LayerRef<()>, i| keys_of(&[(layer.clone(), i)])[&layer.key(i).to_string()].clone();

    let t = grid("t", &[3, 2], vec![x.clone()], read(vec![along(1), along(0)]));
    assert_eq!(of(&t, 5), ["('x', 1, 2)"]);
    let sum = grid("s", &[2], vec![x.clone()], read(vec![along(0), Axis::All]));
    assert_eq!(of(&sum, 1), ["('x', 1, 0)", "('x', 1, 1)", "('x', 1, 2)"]);
    let tree = grid("g", &[1, 2], vec![x.clone()], {
        let group = |own| Axis::Group { own, size: 2 };
        read(vec![group(0), group(1)])
    });
    assert_eq!(of(&tree, 0), ["('x', 0, 0)", "('x', 0, 1)", "('x', 1, 0)", "('x', 1, 1)"]);
    assert_eq!(of(&tree, 1), ["('x', 0, 2)", "('x', 1, 2)"]);
    let slice = grid("c", &[2], vec![x.clone()], read(vec![along(0), Axis::At(1)]));
    assert_eq!(of(&slice, 1), ["('x', 1, 1)"]);
    let neighbours =
        [-1, 0, 1].map(|offset| Read { input: 0, axes: vec![along(0), Axis::Along { own: 1, offset }] });
    let stencil = grid("n", &[2, 3], vec![x], neighbours.to_vec());
    assert_eq!(of(&stencil, 3), ["('x', 1, 0)", "('x', 1, 1)"]);
    assert_eq!(of(&stencil, 4), ["('x', 1, 0)", "('x', 1, 1)", "('x', 1, 2)"]);
}

#[test]
fn rules_that_do_not_fit_are_refused_by_name() {
    let x = grid("x", &[2, 3], vec![], vec![]);
    let refuse = |shape: &[u32], reads: Vec<Read>| {
        let rule = Rule::Grid { shape: shape.to_vec(), reads };
        Layer::new(Key::from("y"), vec![x.clone()], rule, ()).unwrap_err().to_string()
    };
    let read = |axes| vec![Read { input: 0, axes }];
    assert_eq!(
        refuse(&[2], read(vec![along(0)])),
        "layer 'y': it gives 1 positions for the 2 axes of input 0"
    );
    assert_eq!(
        refuse(&[3, 3], read(vec![along(0), along(1)])),
        "layer 'y': it reads 3 positions along axis 0 of input 0, which has 2 positions"
    );
    assert_eq!(
        refuse(&[2], read(vec![along(0), Axis::At(3)])),
        "layer 'y': it reads position 3 along axis 1 of input 0, which has 3 positions"
    );
    assert_eq!(
        refuse(&[2], read(vec![along(1), Axis::All])),
        "layer 'y': it follows its axis 1 of 1 along axis 0 of input 0, which has 2 positions"
    );
    for (extent, size) in [(1, 2), (3, 2), (2, 0)] {
        let message = refuse(&[extent], read(vec![Axis::All, Axis::Group { own: 0, size }]));
        assert!(message.contains(&format!("{extent} groups of {size} along axis 1")), "{message}");
    }
    assert_eq!(refuse(&[2], vec![Read { input: 1, axes: vec![] }]), "layer 'y': it reads input 1 of 1");
    assert!(refuse(&[70_000, 70_000], vec![]).contains("more tasks than a layer can hold"));

    let explicit = |starts: Vec<u32>, reads: Vec<(u32, u32)>| {
        let keys: Arc<[Key]> = vec![Key::from("a"), Key::from("b")].into();
        Layer::new(Key::from("e"), vec![x.clone()], Rule::Explicit { keys, starts, reads }, ())
    };
    assert!(explicit(vec![0, 1, 2], vec![(0, 5), (u32::MAX, 0)]).is_ok());
    assert!(explicit(vec![0, 1, 2], vec![(0, 6), (u32::MAX, 0)]).is_err());
    assert!(explicit(vec![0, 1, 2], vec![(0, 5), (u32::MAX, 2)]).is_err());
    assert!(explicit(vec![0, 1], vec![(0, 5)]).is_err());
    assert!(explicit(vec![0, 2, 1], vec![(0, 5)]).is_err());
    let single = |reads| Layer::new(Key::from("s"), vec![x.clone()], Rule::Single { reads }, ());
    assert!(single(vec![(0, 5)]).is_ok());
    assert_eq!(single(vec![(u32::MAX, 0)]).unwrap_err().to_string(), "layer 's': its task reads itself");
    assert!(single(vec![(1, 0)]).is_err());
}

#[test]
fn a_circle_inside_an_explicit_layer_is_found_after_expansion() {
    let keys: Arc<[Key]> = ["a", "b", "c"].map(Key::from).to_vec().into();
    let reads = vec![(u32::MAX, 1), (u32::MAX, 2), (u32::MAX, 1)];
    let layer =
        Layer::new(Key::from("e"), vec![], Rule::Explicit { keys, starts: vec![0, 1, 2, 3], reads }, ())
            .unwrap();
    let tasks = expand(&[(layer, 0)]);
    let cycle = find_cycle(&tasks.dag).unwrap();
    let mut names: Vec<String> = cycle.iter().map(|&t| tasks.key(t).to_string()).collect();
    names.sort();
    assert_eq!(names, ["'b'", "'c'"]);
}

#[test]
fn a_long_chain_of_layers_is_expanded_and_dropped() {
    let mut layer = Layer::new(Key::Int(0), vec![], Rule::Single { reads: vec![] }, ()).unwrap();
    for i in 1..1_000_000 {
        layer = Layer::new(Key::Int(i), vec![layer], Rule::Single { reads: vec![(0, 0)] }, ()).unwrap();
    }
    let tasks = expand(&[(layer, 0)]);
    assert_eq!(tasks.dag.len(), 1_000_000);
    assert_eq!(tasks.layers.len(), 1_000_000);
    drop(tasks);
}

#[test]
fn layers_that_no_output_needs_are_left_out() {
    let x = grid("x", &[4], vec![], vec![]);
    let unused = grid("u", &[4], vec![], vec![]);
    let reads = vec![Read { input: 0, axes: vec![along(0)] }];
    let y = grid("y", &[4], vec![x, unused], reads);
    let tasks = expand(&[(y.clone(), 2), (y.clone(), 0), (y, 2)]);
    assert_eq!(tasks.dag.len(), 4);
    assert_eq!(tasks.layers.len(), 2);
    assert_eq!(tasks.outputs[0], tasks.outputs[2]);
    assert_eq!(tasks.key(tasks.outputs[1]).to_string(), "('y', 0)");
}

#[derive(Debug, Clone)]
enum Rest {
    Whole,
    Part(u32),
    Like { own: u32, offset: i32 },
}

proptest! {
    /// A grid's reads, spelled out position by position.
    #[test]
    fn grids_read_what_their_axes_select(
        theirs in prop::collection::vec(1u32..5, 1..4),
        ours in prop::collection::vec(1u32..5, 0..4),
        picks in prop::collection::vec((0u8..3, any::<prop::sample::Index>(), -2i32..3), 3),
    ) {
        let rules: Vec<Rest> = theirs.iter().zip(&picks).map(|(&n, (kind, index, offset))| match kind {
            0 => Rest::Whole,
            1 => Rest::Part(index.index(n as usize) as u32),
            _ if ours.is_empty() => Rest::Whole,
            _ => Rest::Like { own: index.index(ours.len()) as u32, offset: *offset },
        }).collect();
        let axes = rules.iter().map(|rule| match *rule {
            Rest::Whole => Axis::All,
            Rest::Part(i) => Axis::At(i),
            Rest::Like { own, offset } => Axis::Along { own, offset },
        });
        let x = grid("x", &theirs, vec![], vec![]);
        let rule = Rule::Grid { shape: ours.clone(), reads: vec![Read { input: 0, axes: axes.collect() }] };
        let fits = rules.iter().zip(&theirs).all(|(rule, &n)| match *rule {
            Rest::Like { own, offset: 0 } => ours[own as usize] <= n,
            _ => true,
        });
        let y = Layer::new(Key::from("y"), vec![x.clone()], rule, ());
        prop_assert_eq!(y.is_ok(), fits);
        let Ok(y) = y else { return Ok(()) };
        let position = |mut index: u32, shape: &[u32]| {
            let mut at = vec![0; shape.len()];
            for (axis, &n) in shape.iter().enumerate().rev() {
                at[axis] = index % n;
                index /= n;
            }
            at
        };
        for index in 0..y.len() as u32 {
            let here = position(index, &ours);
            let mut expected = BTreeSet::new();
            for other in 0..x.len() as u32 {
                let there = position(other, &theirs);
                let selected = rules.iter().zip(&there).all(|(rule, &at)| match *rule {
                    Rest::Whole => true,
                    Rest::Part(i) => at == i,
                    Rest::Like { own, offset } => here[own as usize] as i32 + offset == at as i32,
                });
                if selected {
                    expected.insert(other);
                }
            }
            let mut got = Vec::new();
            y.reads(index, |_, task| got.push(task));
            // Row by row, each once.
            prop_assert!(got.iter().copied().eq(expected));
        }
    }
}
