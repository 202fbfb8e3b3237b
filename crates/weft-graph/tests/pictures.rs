//! Pictures as files: every letter can be drawn, every format is whole, large graphs stay legible.

#![allow(clippy::unwrap_used)]

use weft_graph::picture::{
    Direction, Edge, Format, Measure, Node, Options, Picture, Role, Shape, picture_of,
};
use weft_graph::{Axis, Expanded, Key, Layer, Read, Rule, expand};

fn one_node(label: &str) -> Picture {
    Picture { nodes: vec![Node::new("n", label, Shape::Box)], ..Picture::default() }
}

fn size_of(png: &[u8]) -> (u32, u32) {
    let number = |at: usize| u32::from_be_bytes([png[at], png[at + 1], png[at + 2], png[at + 3]]);
    (number(16), number(20))
}

fn ink(picture: &Picture) -> usize {
    let data = picture.render(Format::Png).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(data)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    pixels.iter().filter(|&&byte| byte < 128).count()
}

#[test]
fn every_character_leaves_ink() {
    let empty = Picture { nodes: vec![Node::new("n", " ", Shape::Plain)], ..Picture::default() };
    assert_eq!(ink(&empty), 0);
    for c in ('!'..='~').chain(['é', '→']) {
        let picture = Picture { nodes: vec![Node::new("n", c, Shape::Plain)], ..Picture::default() };
        assert!(ink(&picture) > 5, "{c:?} is invisible");
    }
}

#[test]
fn text_is_escaped_for_each_format() {
    let picture = one_node("<a & \"b\"> (c\\) é →\u{7}");
    let svg = String::from_utf8(picture.render(Format::Svg).unwrap()).unwrap();
    assert!(svg.contains("&lt;a &amp; &quot;b&quot;&gt; (c\\) é → <"));
    let dot = String::from_utf8(picture.render(Format::Dot).unwrap()).unwrap();
    assert!(dot.contains(r#"label="<a & \"b\"> (c\\) é →"#));
    assert!(picture.render(Format::Pdf).unwrap().starts_with(b"%PDF"));
}

#[test]
fn wide_pictures_shrink_instead_of_failing() {
    let nodes = (0..3000).map(|i| Node::new(i.to_string(), "a rather long label", Shape::Ellipse));
    let mut picture = Picture { nodes: nodes.collect(), ..Picture::default() };
    picture.edges = (1..3000).map(|from| Edge { from, to: 0 }).collect();
    let (width, height) = size_of(&picture.render(Format::Png).unwrap());
    assert!(width <= 30_001 && height <= 30_001);
}

#[test]
fn attributes_that_make_no_sense_do_no_harm() {
    let mut picture = one_node("x");
    for value in ["nan", "-1", "inf", "1e30", "#12", "no colour", ""] {
        let names = ["color", "fillcolor", "fontcolor", "penwidth", "fontsize", "width", "height", "style"];
        picture.nodes[0].attributes = names.map(|name| (name.to_owned(), value.to_owned())).to_vec();
        picture.edge_attributes = picture.nodes[0].attributes.clone();
        for format in [Format::Svg, Format::Pdf, Format::Dot] {
            picture.render(format).unwrap();
        }
    }
}

/// Elementwise, transposed and reduced: as an array program makes it.
fn array(n: u32) -> Expanded<()> {
    let along = |own| Axis::Along { own, offset: 0 };
    let grid = |name: &str, shape: &[u32], inputs, reads| {
        Layer::new(Key::from(name), inputs, Rule::Grid { shape: shape.to_vec(), reads }, ()).unwrap()
    };
    let x = grid("x-0123456789abcdef", &[n, n], vec![], vec![]);
    let reads = vec![
        Read { input: 0, axes: vec![along(0), along(1)] },
        Read { input: 0, axes: vec![along(1), along(0)] },
    ];
    let y = grid("add", &[n, n], vec![x], reads);
    let z = grid("sum", &[n], vec![y], vec![Read { input: 0, axes: vec![along(0), Axis::All] }]);
    expand(&(0..n).map(|i| (z.clone(), i)).collect::<Vec<_>>())
}

#[test]
fn tasks_are_circles_and_results_are_boxes() {
    let tasks = array(2);
    let picture = picture_of(&(&tasks, |_| Role::Function), &Options::default()).unwrap();
    let count = |shape| picture.nodes.iter().filter(|node| node.shape == shape).count();
    assert_eq!((count(Shape::Ellipse), count(Shape::Box)), (10, 10));
    let mut labels: Vec<&str> = picture.nodes.iter().map(|node| node.label.as_str()).collect();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels, ["(0, 0)", "(0, 1)", "(1, 0)", "(1, 1)", "0", "1", "add", "sum", "x"]);
    assert_eq!(picture.edges.len(), 10 + tasks.dag.edges() - 2); // two blocks on the diagonal read one block twice
}

#[test]
fn large_graphs_become_groups() {
    let tasks = array(100);
    let options =
        Options { measure: Some(Measure::Order), direction: Direction::Right, ..Options::default() };
    let picture = picture_of(&(&tasks, |_| Role::Function), &options).unwrap();
    let mut labels: Vec<&str> = picture.nodes.iter().map(|node| node.label.as_str()).collect();
    labels.sort_unstable();
    assert_eq!(labels, ["add\n100 x 100 = 10,000 tasks", "sum\n100 tasks", "x\n100 x 100 = 10,000 tasks"]);
    assert_eq!(picture.edges.len(), 2);
    assert_eq!(picture.caption.as_deref(), Some("20,100 tasks, shown as 3 groups"));
    let all = Options { limit: usize::MAX, ..Options::default() };
    assert_eq!(picture_of(&(&tasks, |_| Role::Function), &all).unwrap().nodes.len(), 2 * 20_100);
}

#[test]
fn groups_of_tasks_that_read_each_other_are_drawn() {
    // a0 → b0 → a1 → b1 → …: each kind reads the other.
    let n = 4000u32;
    let keys = (0..n).map(|i| Key::from(format!("{}-{i}", if i % 2 == 0 { "a" } else { "b" }))).collect();
    let reads: Vec<(u32, u32)> = (1..n).map(|i| (u32::MAX, i - 1)).collect();
    let starts = std::iter::once(0).chain(0..n).collect();
    let layer = Layer::new(Key::from("chain"), vec![], Rule::Explicit { keys, starts, reads }, ()).unwrap();
    let tasks = expand(&[(layer, n - 1)]);
    let picture = picture_of(&(&tasks, |_| Role::Function), &Options::default()).unwrap();
    let mut labels: Vec<&str> = picture.nodes.iter().map(|node| node.label.as_str()).collect();
    labels.sort_unstable();
    assert_eq!(labels, ["a\n2,000 tasks in 3,999 steps", "b\n2,000 tasks in 3,999 steps"]);
    assert_eq!(picture.edges.len(), 2);
    picture.render(Format::Svg).unwrap();
}
