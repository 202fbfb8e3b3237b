//! How fast a CSV file is read on one core: MB/s, beside what reading and searching the same bytes costs.
//!
//! ```text
//! cargo run --release -p weft-io --example csv_scan -- FILE.csv [COLUMN ...]
//! ```

use std::hint::black_box;
use std::io::Read;
use std::ops::ControlFlow;
use std::time::Instant;

use weft_io::{ColumnRef, CsvOptions, CsvSource};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: csv_scan FILE.csv [COLUMN ...]")?;
    let names: Vec<String> = arguments.collect();
    let megabytes = std::fs::metadata(&path)?.len() as f64 / 1e6;

    // A column of text that is a date by its name is read as one.
    let head = CsvSource::plan(&[&path], CsvOptions::default())?;
    let dates = head.schema().iter().filter(|field| field.name.ends_with("datetime"));
    let parse_dates = dates.map(|field| ColumnRef::Name(field.name.clone())).collect();
    let source = CsvSource::plan(&[&path], CsvOptions { parse_dates, ..CsvOptions::default() })?;
    let schema = source.schema();
    let all: Vec<usize> = (0..schema.len()).collect();
    let chosen: Vec<usize> = match names.is_empty() {
        true => all.clone(),
        false => all.iter().copied().filter(|&i| names.contains(&schema[i].name)).collect(),
    };

    let scan = |columns: &[usize]| -> Result<usize, weft_io::IoError> {
        let mut rows = 0;
        for partition in 0..source.partitions() {
            source.scan(partition, columns, &mut |batch| {
                rows += batch.rows();
                black_box(&batch);
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(rows)
    };
    let rows = scan(&[])?;
    println!("{path}: {megabytes:.0} MB, {rows} rows, {} columns", schema.len());
    let read = || -> std::io::Result<Vec<u8>> {
        let mut buffer = vec![0; 1 << 20];
        let mut file = std::fs::File::open(&path)?;
        while file.read(&mut buffer)? > 0 {
            black_box(&buffer);
        }
        Ok(buffer)
    };
    let report = |label: &str, work: &mut dyn FnMut() -> Result<(), Box<dyn std::error::Error>>| {
        // The best of several: the machine does other things too.
        let mut best = f64::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            work()?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!("  {label:<40} {:>7.0} MB/s", megabytes / best);
        Ok::<(), Box<dyn std::error::Error>>(())
    };
    report("read() into a buffer", &mut || {
        read()?;
        Ok(())
    })?;
    let bytes = std::fs::read(&path)?;
    report("memchr for line breaks, in memory", &mut || {
        black_box(memchr::memchr_iter(b'\n', &bytes).count());
        Ok(())
    })?;
    report("rows and fields, no column", &mut || {
        scan(&[])?;
        Ok(())
    })?;
    for &column in &chosen {
        report(&format!("{} {:?}", schema[column].name, schema[column].dtype), &mut || {
            scan(&[column])?;
            Ok(())
        })?;
    }
    report(&format!("{} columns", chosen.len()), &mut || {
        scan(&chosen)?;
        Ok(())
    })?;
    Ok(())
}
