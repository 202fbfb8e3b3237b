//! Builds, expands and orders an array-like graph of more than a million tasks, and prints how
//! long each step took and how much memory the process needed.
//!
//! `cargo run --release -p weft-graph --example graph_million [blocks along an axis]`

use std::error::Error;
use std::time::Instant;

use weft_graph::picture::{Format, Options, Role, picture_of};
use weft_graph::{Axis, Key, Layer, LayerRef, Pressure, Read, Rule, expand, order};

fn along(own: u32) -> Axis {
    Axis::Along { own, offset: 0 }
}

fn grid(
    name: &str,
    shape: &[u32],
    inputs: &[(&LayerRef<()>, Vec<Axis>)],
) -> Result<LayerRef<()>, Box<dyn Error>> {
    let reads = inputs.iter().enumerate();
    let reads = reads.map(|(i, (_, axes))| Read { input: i as u32, axes: axes.clone() }).collect();
    let layers = inputs.iter().map(|&(layer, _)| layer.clone()).collect();
    Ok(Layer::new(Key::from(name), layers, Rule::Grid { shape: shape.to_vec(), reads }, ())?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let n: u32 = std::env::args().nth(1).map_or(Ok(600), |text| text.parse())?;
    let start = Instant::now();
    // (x + 1) * (x + 1).T, summed block by block in a tree.
    let x = grid("x", &[n, n], &[])?;
    let y = grid("y", &[n, n], &[(&x, vec![along(0), along(1)])])?;
    let z = grid("z", &[n, n], &[(&y, vec![along(0), along(1)]), (&y, vec![along(1), along(0)])])?;
    let group = |own| Axis::Group { own, size: 4 };
    let mut sum = z;
    let mut extent = n;
    while extent > 1 {
        extent = extent.div_ceil(4);
        sum = grid(&format!("sum-{extent}"), &[extent, extent], &[(&sum, vec![group(0), group(1)])])?;
    }
    let built = start.elapsed();

    let tasks = expand(&[(sum, 0)]);
    let expanded = start.elapsed();
    let priorities = order(&tasks.dag)?;
    let ordered = start.elapsed();
    let memory = peak_memory_mib();
    println!("{} tasks, {} edges", tasks.dag.len(), tasks.dag.edges());
    println!("build  {:.4} s", built.as_secs_f64());
    println!("expand {:.4} s", (expanded - built).as_secs_f64());
    println!("order  {:.4} s", (ordered - expanded).as_secs_f64());
    println!("total  {:.4} s", ordered.as_secs_f64());
    match memory {
        Some(mib) => println!("peak memory {mib} MiB"),
        None => println!("peak memory unknown"),
    }
    let start = Instant::now();
    let picture = picture_of(&(&tasks, |_| Role::Function), &Options::default())?.render(Format::Svg)?;
    println!("picture of its groups: {:.4} s, {} bytes", start.elapsed().as_secs_f64(), picture.len());
    println!("results held at once: {}", Pressure::of(&tasks.dag, &priorities).peak());
    Ok(())
}

/// The most memory that this process ever held, where the system says so.
fn peak_memory_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}
