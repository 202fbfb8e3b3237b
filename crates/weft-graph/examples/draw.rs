//! Draws a graph given as text, one task a line: its name, a colon, and what it reads.
//!
//! ```text
//! cargo run --release -p weft-graph --example draw -- picture.svg BT < graph.txt
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::io::Read;

use weft_graph::picture::{Direction, Format, Measure, Options, Role, picture_of};
use weft_graph::{Key, Layer, Rule, expand};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("name the file to write")?;
    let direction = arguments.next().and_then(|name| Direction::from_rankdir(&name)).unwrap_or_default();
    let flags: Vec<String> = arguments.collect();
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let lines: Vec<(&str, Vec<&str>)> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, reads)| (name.trim(), reads.split_whitespace().collect()))
        .collect();
    let number: HashMap<&str, u32> =
        lines.iter().enumerate().map(|(i, (name, _))| (*name, i as u32)).collect();

    let mut starts = vec![0];
    let mut reads = Vec::new();
    for (name, inputs) in &lines {
        for input in inputs {
            let task =
                number.get(input).ok_or_else(|| format!("{name} reads {input}, which is not there"))?;
            reads.push((u32::MAX, *task));
        }
        starts.push(reads.len() as u32);
    }
    let keys = lines.iter().map(|(name, _)| Key::from(*name)).collect();
    let layer = Layer::new(Key::from("tasks"), vec![], Rule::Explicit { keys, starts, reads }, ())?;
    let outputs: Vec<_> = (0..layer.len() as u32).map(|task| (layer.clone(), task)).collect();
    let tasks = expand(&outputs);
    let options = Options {
        direction,
        collapse_outputs: flags.iter().any(|flag| flag == "collapse"),
        measure: flags.iter().any(|flag| flag == "order").then_some(Measure::Order),
        ..Options::default()
    };
    let picture = picture_of(&(&tasks, |_| Role::Function), &options)?;
    let format = match file.rsplit('.').next() {
        Some("svg") => Format::Svg,
        Some("png") => Format::Png,
        Some("pdf") => Format::Pdf,
        _ => Format::Dot,
    };
    std::fs::write(file, picture.render(format)?)?;
    Ok(())
}
