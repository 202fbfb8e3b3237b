//! Pictures of graphs, drawn with nothing but this crate.
//!
//! ```text
//! tasks ─► Picture ─► Layout ─► Scene ─► SVG, PNG, PDF
//!             └────► DOT
//! ```
//!
//! A [`Picture`] says what is to be seen: nodes, edges, and their attributes under the names that
//! Graphviz gives them. The layout puts nodes on ranks and edges between them; the scene is
//! plain geometry, which each format writes down in its own way. No fonts are needed: SVG and PDF
//! name Helvetica, whose measures are known here, and PNG draws letters of the same widths with
//! strokes of our own.
//!
//! ```
//! use weft_graph::picture::{Edge, Format, Node, Picture, Shape};
//! let mut picture = Picture::default();
//! picture.nodes.push(Node::new("a", "load", Shape::Ellipse));
//! picture.nodes.push(Node::new("b", "", Shape::Box));
//! picture.edges.push(Edge { from: 0, to: 1 });
//! let svg = picture.render(Format::Svg)?;
//! assert!(svg.starts_with(b"<svg"));
//! # Ok::<(), weft_graph::picture::PictureError>(())
//! ```

mod dot;
mod font;
mod groups;
mod layout;
mod pdf;
mod png;
mod scene;
mod style;
mod svg;
mod tasks;

pub use style::ColorMap;
pub use tasks::{Attributes, Measure, Options, Role, TaskView, picture_of};

/// What is to be seen.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    pub direction: Direction,
    /// A line of text under the picture.
    pub caption: Option<String>,
    /// Attributes of the graph, and of every node and edge that does not say otherwise.
    pub graph_attributes: Vec<(String, String)>,
    pub node_attributes: Vec<(String, String)>,
    pub edge_attributes: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Unique in the picture.
    pub id: String,
    pub label: String,
    pub shape: Shape,
    /// Attributes under the names of Graphviz: `color`, `fillcolor`, `fontcolor`, `penwidth`, ….
    pub attributes: Vec<(String, String)>,
}

/// An arrow between nodes, by their positions in [`Picture::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Edge {
    pub from: u32,
    pub to: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    #[default]
    Box,
    /// A circle around a short label, wider around a long one.
    Ellipse,
    Circle,
    Diamond,
    /// The label alone.
    Plain,
}

/// Where the arrows lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    #[default]
    Up,
    Down,
    Right,
    Left,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Dot,
    Svg,
    Png,
    Pdf,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum PictureError {
    #[error("the picture could not be drawn in {width} by {height} pixels: {reason}")]
    Png { width: u32, height: u32, reason: String },
    #[error("the picture could not be compressed: {0}")]
    Pdf(String),
}

impl Node {
    pub fn new(id: impl Into<String>, label: impl Into<String>, shape: Shape) -> Self {
        Node { id: id.into(), label: label.into(), shape, attributes: Vec::new() }
    }
}

impl Picture {
    /// The picture as a file of `format`.
    pub fn render(&self, format: Format) -> Result<Vec<u8>, PictureError> {
        match format {
            Format::Dot => Ok(dot::write(self).into_bytes()),
            Format::Svg => Ok(svg::write(&scene::Scene::of(self)).into_bytes()),
            Format::Png => png::write(&scene::Scene::of(self)),
            Format::Pdf => pdf::write(&scene::Scene::of(self)),
        }
    }
}

impl Shape {
    /// By its name in Graphviz; shapes that are not drawn here become the nearest that is.
    pub fn from_name(name: &str) -> Shape {
        match name {
            "circle" | "doublecircle" => Shape::Circle,
            "ellipse" | "oval" => Shape::Ellipse,
            "diamond" => Shape::Diamond,
            "none" | "plain" | "plaintext" => Shape::Plain,
            _ => Shape::Box,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Shape::Box => "box",
            Shape::Ellipse => "ellipse",
            Shape::Circle => "circle",
            Shape::Diamond => "diamond",
            Shape::Plain => "plaintext",
        }
    }
}

impl Direction {
    /// By Graphviz's `rankdir`: `BT`, `TB`, `LR` or `RL`.
    pub fn from_rankdir(name: &str) -> Option<Direction> {
        match name.to_ascii_uppercase().as_str() {
            "BT" => Some(Direction::Up),
            "TB" => Some(Direction::Down),
            "LR" => Some(Direction::Right),
            "RL" => Some(Direction::Left),
            _ => None,
        }
    }

    pub fn rankdir(self) -> &'static str {
        match self {
            Direction::Up => "BT",
            Direction::Down => "TB",
            Direction::Right => "LR",
            Direction::Left => "RL",
        }
    }
}
