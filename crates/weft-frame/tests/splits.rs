//! The answer does not depend on how the rows are cut into partitions and batches.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::Arc;

use proptest::prelude::*;
use weft_data::{Frame, Index, Kind};
use weft_frame::kernel::Vector;
use weft_frame::{Agg, BinaryOp, Expr, Field, Func, MemorySource};
use weft_graph::Key;

use arrow_array::types::{Float64Type, Int64Type};
use weft_data::{Column, DType};

type Row = (i64, f64);

fn column(label: &str, vector: Vector) -> Column {
    Column { label: Key::from(label), dtype: vector.dtype, values: vector.values }
}

fn batch(rows: &[Row], start: usize) -> Arc<Frame> {
    let keys = Vector::from_vec::<Int64Type>(DType::Int64, rows.iter().map(|row| row.0).collect());
    let values = Vector::from_vec::<Float64Type>(DType::Float64, rows.iter().map(|row| row.1).collect());
    let index = Index::Range { start: start as i64, step: 1 };
    Arc::new(Frame::new(vec![column("k", keys), column("x", values)], index, rows.len()))
}

fn table(rows: &[Row], cuts: &[usize]) -> Expr {
    let fields = [("k", DType::Int64), ("x", DType::Float64)]
        .map(|(label, dtype)| Field { label: Key::from(label), dtype: Some(dtype) });
    let mut edges: Vec<usize> = cuts.iter().map(|cut| cut % (rows.len() + 1)).collect();
    edges.extend([0, rows.len()]);
    edges.sort_unstable();
    let partitions = edges.windows(2).map(|pair| vec![batch(&rows[pair[0]..pair[1]], pair[0])]).collect();
    Expr::source(Arc::new(MemorySource::new("memory", 1, fields.to_vec(), partitions)))
}

/// Keys, counts and sums of the rows with a positive value, by a plain loop.
fn oracle(rows: &[Row]) -> Vec<(i64, i64, f64)> {
    let mut groups = std::collections::BTreeMap::<i64, (i64, f64)>::new();
    for &(key, value) in rows.iter().filter(|row| row.1 > 0.0) {
        let group = groups.entry(key).or_default();
        group.0 += 1;
        group.1 += value;
    }
    groups.into_iter().map(|(key, (count, sum))| (key, count, sum)).collect()
}

fn ints(column: &Column) -> Vec<i64> {
    Vector::new(column.dtype.clone(), column.values.clone()).slice::<Int64Type>().unwrap().to_vec()
}

proptest! {
    #[test]
    fn groups_of_filtered_rows_are_those_of_a_plain_loop(
        // Halves add up exactly in any order.
        rows in prop::collection::vec((-300_000i64..300_000).prop_map(|n| (n % 7 * (n % 3 * 99_999 + 1), n as f64 / 2.0)), 0..60),
        cuts in prop::collection::vec(0usize..60, 0..20),
    ) {
        let table = table(&rows, &cuts);
        let positive = Expr::binary(BinaryOp::Gt, table.column("x").unwrap(), 0.0).unwrap();
        let kept = table.filter(&positive).unwrap();
        let x = kept.column("x").unwrap();
        let aggs = vec![
            Agg { label: "n".into(), func: Func::Count, input: Some(x.clone()) },
            Agg { label: "sum".into(), func: Func::Sum, input: Some(x.clone()) },
        ];
        let keys = vec![(Some("k".into()), kept.column("k").unwrap())];
        let groups = kept.groupby(keys, aggs, true, true, Kind::Table, 1).unwrap();
        let total = x.reduce(Func::Sum).unwrap();
        let results = common::compute(&[groups, total, kept]).unwrap();

        let expected = oracle(&rows);
        let frame = &results[0][0];
        let Index::Columns(levels) = &frame.index else { panic!("groups are labelled by their keys") };
        prop_assert_eq!(ints(&levels[0].1), expected.iter().map(|g| g.0).collect::<Vec<_>>());
        prop_assert_eq!(ints(&frame.columns[0]), expected.iter().map(|g| g.1).collect::<Vec<_>>());
        let sums = Vector::new(DType::Float64, frame.columns[1].values.clone());
        prop_assert_eq!(sums.slice::<Float64Type>().unwrap(), expected.iter().map(|g| g.2).collect::<Vec<_>>());
        let total = Vector::new(DType::Float64, results[1][0].columns[0].values.clone());
        prop_assert_eq!(total.slice::<Float64Type>().unwrap()[0], expected.iter().map(|g| g.2).sum::<f64>());
        let kept: usize = results[2].iter().map(|frame| frame.rows()).sum();
        prop_assert_eq!(kept as i64, expected.iter().map(|g| g.1).sum::<i64>());
    }
}
