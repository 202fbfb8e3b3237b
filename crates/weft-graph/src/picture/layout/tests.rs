//! What a layout promises: nothing overlaps, everything is inside, arrows go down, and simple graphs
//! look as anyone would draw them.

use proptest::prelude::*;

use super::{GAP, layout};
use crate::picture::Edge;

fn graphs(acyclic: bool) -> impl Strategy<Value = (Vec<(f32, f32)>, Vec<Edge>)> {
    (1usize..40).prop_flat_map(move |n| {
        let sizes = prop::collection::vec((4f32..120.0, 4f32..60.0), n);
        let edges = prop::collection::vec((0..n as u32, 0..n as u32), 0..2 * n).prop_map(move |pairs| {
            let edges = pairs.into_iter().map(|(a, b)| match acyclic {
                true => Edge { from: a.min(b), to: a.max(b) },
                false => Edge { from: a, to: b },
            });
            edges.filter(|edge| edge.from != edge.to).collect::<Vec<_>>()
        });
        (sizes, edges)
    })
}

proptest! {
    #[test]
    fn nodes_keep_their_distance_and_stay_inside((sizes, edges) in graphs(false)) {
        let layout = layout(&sizes, &edges);
        let half = |i: usize| (sizes[i].0 / 2.0, sizes[i].1 / 2.0);
        for (i, &(x, y)) in layout.centers.iter().enumerate() {
            let (hx, hy) = half(i);
            prop_assert!(x - hx >= -0.1 && x + hx <= layout.size.0 + 0.1);
            prop_assert!(y - hy >= -0.1 && y + hy <= layout.size.1 + 0.1);
            for (j, &(u, v)) in layout.centers.iter().enumerate().skip(i + 1) {
                let (kx, ky) = half(j);
                let beside = (x - u).abs() >= hx + kx + GAP - 0.1;
                let above = (y - v).abs() >= hy + ky + GAP - 0.1;
                prop_assert!(beside || above, "{i} at {:?} and {j} at {:?}", (x, y), (u, v));
            }
        }
        for bend in layout.bends.iter().flatten() {
            prop_assert!(bend.0 >= -0.1 && bend.0 <= layout.size.0 + 0.1);
            prop_assert!(bend.1 >= -0.1 && bend.1 <= layout.size.1 + 0.1);
        }
    }

    #[test]
    fn arrows_go_down_and_bends_avoid_nodes((sizes, edges) in graphs(true)) {
        let layout = layout(&sizes, &edges);
        for (edge, bends) in edges.iter().zip(&layout.bends) {
            let (from, to) = (layout.centers[edge.from as usize], layout.centers[edge.to as usize]);
            let mut y = from.1;
            for bend in bends.iter().chain([&to]) {
                prop_assert!(bend.1 > y);
                y = bend.1;
            }
            for bend in bends {
                for (i, center) in layout.centers.iter().enumerate() {
                    let inside = (bend.0 - center.0).abs() < sizes[i].0 / 2.0
                        && (bend.1 - center.1).abs() < sizes[i].1 / 2.0;
                    prop_assert!(!inside);
                }
            }
        }
    }
}

fn edges(pairs: &[(u32, u32)]) -> Vec<Edge> {
    pairs.iter().map(|&(from, to)| Edge { from, to }).collect()
}

#[test]
fn a_reader_stands_in_the_middle_of_what_it_reads() {
    let sizes = [(30.0, 20.0); 5];
    let layout = layout(&sizes, &edges(&[(0, 4), (1, 4), (2, 4), (3, 4)]));
    let x: Vec<f32> = layout.centers.iter().map(|c| c.0).collect();
    assert!((x[4] - (x[0] + x[3]) / 2.0).abs() < 0.5, "{x:?}");
    assert!(x.windows(2).take(3).all(|w| (w[1] - w[0] - 30.0 - GAP).abs() < 0.5), "{x:?}");
}

#[test]
fn a_chain_is_straight() {
    let sizes = [(30.0, 20.0), (80.0, 20.0), (10.0, 20.0)];
    let layout = layout(&sizes, &edges(&[(0, 1), (1, 2)]));
    assert!(layout.centers.iter().all(|c| (c.0 - layout.centers[0].0).abs() < 0.5));
}

#[test]
fn a_tree_has_no_crossings() {
    // Leaves 0..8, given in an order that says nothing; 8..12, 12..14 and 14 join pairs.
    let leaves = [5, 0, 3, 6, 1, 7, 2, 4];
    let mut pairs: Vec<(u32, u32)> =
        leaves.iter().enumerate().map(|(i, &leaf)| (leaf, 8 + i as u32 / 2)).collect();
    pairs.extend([(8, 12), (9, 12), (10, 13), (11, 13), (12, 14), (13, 14)]);
    let edges = edges(&pairs);
    let layout = layout(&[(20.0, 20.0); 15], &edges);
    let at = |node: u32| layout.centers[node as usize];
    for a in &edges {
        for b in &edges {
            let same_rank = at(a.from).1 == at(b.from).1;
            let swapped = (at(a.from).0 - at(b.from).0) * (at(a.to).0 - at(b.to).0) < -0.1;
            assert!(!(same_rank && swapped), "{a:?} crosses {b:?}");
        }
    }
}

#[test]
fn parts_that_do_not_touch_are_packed_in_rows() {
    let sizes = vec![(50.0, 30.0); 400];
    let layout = layout(&sizes, &[]);
    assert!(layout.size.0 < 6.0 * layout.size.1 && layout.size.1 < 6.0 * layout.size.0, "{:?}", layout.size);
}
