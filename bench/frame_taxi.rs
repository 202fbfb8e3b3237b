//! The taxi job without Python: reads CSV files, keeps paid trips with a distance, counts them by hour and
//! averages the tip's share of the fare by zone. One pass, both answers.
//!
//! `cargo run --release -p weft-frame --example frame_taxi -- THREADS FILE…`

use std::sync::Arc;
use std::time::Instant;

use weft_data::{Kind, Value};
use weft_exec::{NoGate, Run, RunOptions};
use weft_frame::{Agg, BinaryOp, CsvTable, DtField, Expr, Func, lower};
use weft_graph::expand;
use weft_io::{ColumnRef, CsvOptions, CsvSource};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let threads: usize = args.next().ok_or("give a number of threads and files")?.parse()?;
    let files: Vec<String> = args.collect();
    for _ in 0..3 {
        let began = Instant::now();
        let rows = job(threads, &files)?;
        println!("{:.3} s, {rows:?} groups", began.elapsed().as_secs_f64());
    }
    Ok(())
}

fn job(threads: usize, files: &[String]) -> Result<Vec<usize>, Box<dyn std::error::Error>> {
    let options = CsvOptions {
        blocksize: Some(64_000_000),
        parse_dates: vec![ColumnRef::Name("tpep_pickup_datetime".into())],
        ..CsvOptions::default()
    };
    let trips = CsvTable::new(CsvSource::plan(files, options)?, "read_csv", "bench").expr();
    let paid = Expr::binary(BinaryOp::Gt, trips.column("fare_amount")?, 0)?;
    let moved = Expr::binary(BinaryOp::Gt, trips.column("trip_distance")?, 0)?;
    let trips = trips.filter(&Expr::binary(BinaryOp::And, paid, moved)?)?;
    let hour = trips.column("tpep_pickup_datetime")?.dt(DtField::Hour)?;
    let share = Expr::binary(BinaryOp::TrueDiv, trips.column("tip_amount")?, trips.column("fare_amount")?)?;
    let trips = trips.assign(vec![("hour".into(), hour), ("tip_share".into(), share)])?;
    let by_hour = trips.groupby(
        vec![(Some("hour".into()), trips.column("hour")?)],
        vec![Agg { label: "size".into(), func: Func::Size, input: None }],
        true,
        true,
        Kind::Series { named: false },
        1,
    )?;
    let by_zone = trips.groupby(
        vec![(Some("PULocationID".into()), trips.column("PULocationID")?)],
        vec![Agg { label: "tip_share".into(), func: Func::Mean, input: Some(trips.column("tip_share")?) }],
        true,
        true,
        Kind::Series { named: true },
        1,
    )?;
    let layers = lower(&[by_hour, by_zone])?;
    let outputs: Vec<_> = layers.iter().map(|layer| (layer.clone(), 0)).collect();
    let run = Run::new(Arc::new(expand(&outputs)), RunOptions::new(threads))?;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| run.serve(&mut NoGate));
        }
    });
    let values = run.outputs().map_err(|stop| format!("{stop:?}"))?;
    let rows = values.iter().map(|value| match value {
        Value::Frame(frame) => frame.rows(),
        _ => 0,
    });
    Ok(rows.collect())
}
