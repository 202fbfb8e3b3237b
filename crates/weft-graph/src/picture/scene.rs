//! A picture as plain geometry: shapes, lines and words at their places.

use super::layout::{Layout, layout};
use super::style::{Color, attribute};
use super::{Direction, Node, Picture, Shape, font};

const MARGIN: f32 = 8.0;
const FONT_SIZE: f32 = 13.0;
const CAPTION_SIZE: f32 = 12.0;
/// Arrow heads: length, and half of the width at the back.
const HEAD: (f32, f32) = (8.0, 3.2);

type Point = (f32, f32);

pub(super) struct Scene {
    pub size: (f32, f32),
    pub background: Color,
    /// In the order in which they are drawn.
    pub items: Vec<Item>,
}

pub(super) enum Item {
    Shape {
        outline: Outline,
        fill: Color,
        line: Color,
        width: f32,
        dashed: bool,
        title: String,
    },
    /// A line of cubic curves: start, then (control, control, end) for each.
    Curve {
        start: Point,
        curves: Vec<[Point; 3]>,
        line: Color,
        width: f32,
        dashed: bool,
    },
    Triangle {
        points: [Point; 3],
        fill: Color,
    },
    /// Centred at `at`, which is the middle of the capitals.
    Text {
        at: Point,
        text: String,
        size: f32,
        color: Color,
    },
}

pub(super) enum Outline {
    Rectangle { center: Point, half: Point, round: f32 },
    Ellipse { center: Point, half: Point },
    Polygon(Vec<Point>),
}

/// What a node's attributes come to.
struct Look {
    line: Color,
    fill: Color,
    text: Color,
    width: f32,
    dashed: bool,
    size: f32,
    half: Point,
}

impl Scene {
    pub fn of(picture: &Picture) -> Scene {
        let looks: Vec<Look> = picture.nodes.iter().map(|node| look(picture, node)).collect();
        let sideways = matches!(picture.direction, Direction::Left | Direction::Right);
        let size = |look: &Look| {
            let (w, h) = (2.0 * look.half.0 + look.width, 2.0 * look.half.1 + look.width);
            if sideways { (h, w) } else { (w, h) }
        };
        let sizes: Vec<Point> = looks.iter().map(size).collect();
        let layout = layout(&sizes, &picture.edges);
        let turn = Turn::new(picture.direction, &layout);

        let mut scene = Scene { size: turn.size, background: background(picture), items: Vec::new() };
        let style = EdgeStyle::of(picture);
        for (e, edge) in picture.edges.iter().enumerate() {
            let end = |node: u32| {
                let (node, look) = (&picture.nodes[node as usize], &looks[node as usize]);
                (node.shape, look.half, look.width / 2.0)
            };
            let center = |node: u32| turn.point(layout.centers[node as usize]);
            let bends: Vec<Point> = layout.bends[e].iter().map(|&p| turn.point(p)).collect();
            let from = (center(edge.from), end(edge.from));
            let to = (center(edge.to), end(edge.to));
            draw_edge(from, &bends, to, turn.forward, &style, &mut scene.items);
        }
        for (i, node) in picture.nodes.iter().enumerate() {
            draw_node(node, &looks[i], turn.point(layout.centers[i]), &mut scene.items);
        }
        if let Some(caption) = &picture.caption {
            let width = font::width(caption, CAPTION_SIZE) + 2.0 * MARGIN;
            if width > scene.size.0 {
                let shift = (width - scene.size.0) / 2.0;
                scene.items.iter_mut().for_each(|item| item.shift(shift));
                scene.size.0 = width;
            }
            let at = (scene.size.0 / 2.0, scene.size.1 + CAPTION_SIZE / 2.0);
            let color = Color(90, 90, 90, 255);
            scene.items.push(Item::Text { at, text: caption.clone(), size: CAPTION_SIZE, color });
            scene.size.1 += CAPTION_SIZE * font::LINE + MARGIN;
        }
        scene
    }
}

/// From the layout, which goes downwards from the origin, to the picture.
struct Turn {
    direction: Direction,
    /// With margins.
    size: Point,
    /// Where arrows lead.
    forward: Point,
}

impl Turn {
    fn new(direction: Direction, layout: &Layout) -> Turn {
        let (w, h) = (layout.size.0 + 2.0 * MARGIN, layout.size.1 + 2.0 * MARGIN);
        let (size, forward) = match direction {
            Direction::Down => ((w, h), (0.0, 1.0)),
            Direction::Up => ((w, h), (0.0, -1.0)),
            Direction::Right => ((h, w), (1.0, 0.0)),
            Direction::Left => ((h, w), (-1.0, 0.0)),
        };
        Turn { direction, size, forward }
    }

    fn point(&self, (x, y): Point) -> Point {
        let (x, y) = (x + MARGIN, y + MARGIN);
        match self.direction {
            Direction::Down => (x, y),
            Direction::Up => (x, self.size.1 - y),
            Direction::Right => (y, x),
            Direction::Left => (self.size.0 - y, x),
        }
    }
}

fn background(picture: &Picture) -> Color {
    let name = attribute(&picture.graph_attributes, &[], "bgcolor");
    name.and_then(Color::parse).unwrap_or(Color::WHITE)
}

fn look(picture: &Picture, node: &Node) -> Look {
    let get = |name| attribute(&node.attributes, &picture.node_attributes, name);
    let color = |name| get(name).and_then(Color::parse);
    let number = |name| get(name).and_then(|text| text.parse::<f32>().ok()).filter(|n| n.is_finite());
    let style = get("style").unwrap_or("");
    let line = color("color").unwrap_or(Color::BLACK);
    // Graphviz fills only nodes whose style says so; here it is enough to name a fill.
    let fill = match color("fillcolor") {
        Some(fill) => fill,
        None if style.contains("filled") => color("color").unwrap_or(Color(211, 211, 211, 255)),
        None => Color::NONE,
    };
    let size = number("fontsize").unwrap_or(FONT_SIZE).clamp(1.0, 200.0);
    let lines = node.label.split('\n');
    let text_width = lines.clone().map(|line| font::width(line, size)).fold(0.0, f32::max);
    let text_height = (lines.count() - 1) as f32 * size * font::LINE + size * font::CAPITAL;
    let (w, h) = if node.label.is_empty() { (0.0, 0.0) } else { (text_width, text_height) };
    let half = match node.shape {
        Shape::Box => ((w / 2.0 + 8.0).max(15.0), (h / 2.0 + 7.0).max(12.0)),
        Shape::Plain => (w / 2.0 + 2.0, h / 2.0 + 2.0),
        Shape::Diamond => (w * 0.75 + 16.0, h * 0.75 + 14.0),
        Shape::Circle => {
            let r = ((w / 2.0).hypot(h / 2.0) + 5.0).max(15.0);
            (r, r)
        }
        Shape::Ellipse => {
            // Round around short labels, flat around long ones.
            let (rx, ry) = ((w / 2.0 + 4.0) * 1.1, (h / 2.0 + 4.0) * 1.5);
            let ry = ry.max(15.0);
            (rx.max(ry), ry.max(rx.min(22.0)))
        }
    };
    let half = (
        half.0.max(number("width").map_or(0.0, |w| w * 36.0)),
        half.1.max(number("height").map_or(0.0, |h| h * 36.0)),
    );
    Look {
        line,
        fill,
        text: color("fontcolor").unwrap_or(Color::BLACK),
        width: number("penwidth").unwrap_or(1.0).clamp(0.0, 40.0),
        dashed: style.contains("dashed") || style.contains("dotted"),
        size,
        half,
    }
}

fn draw_node(node: &Node, look: &Look, center: Point, items: &mut Vec<Item>) {
    let half = look.half;
    let outline = match node.shape {
        Shape::Plain => None,
        Shape::Box => Some(Outline::Rectangle { center, half, round: 2.5 }),
        Shape::Circle | Shape::Ellipse => Some(Outline::Ellipse { center, half }),
        Shape::Diamond => {
            let (x, y) = center;
            Some(Outline::Polygon(vec![(x - half.0, y), (x, y - half.1), (x + half.0, y), (x, y + half.1)]))
        }
    };
    if let Some(outline) = outline {
        let title = attribute(&node.attributes, &[], "tooltip").unwrap_or(&node.id).to_owned();
        let Look { fill, line, width, dashed, .. } = *look;
        items.push(Item::Shape { outline, fill, line, width, dashed, title });
    }
    let lines: Vec<&str> = node.label.split('\n').collect();
    let step = look.size * font::LINE;
    let first = center.1 - step * (lines.len() - 1) as f32 / 2.0;
    for (i, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let at = (center.0, first + step * i as f32);
        items.push(Item::Text { at, text: (*line).to_owned(), size: look.size, color: look.text });
    }
}

struct EdgeStyle {
    line: Color,
    width: f32,
    dashed: bool,
    head: f32,
}

impl EdgeStyle {
    fn of(picture: &Picture) -> EdgeStyle {
        let get = |name| attribute(&picture.edge_attributes, &[], name);
        let number = |name| get(name).and_then(|text| text.parse::<f32>().ok()).filter(|n| n.is_finite());
        let style = get("style").unwrap_or("");
        EdgeStyle {
            line: get("color").and_then(Color::parse).unwrap_or(Color(64, 64, 64, 255)),
            width: number("penwidth").unwrap_or(1.0).clamp(0.0, 40.0),
            dashed: style.contains("dashed") || style.contains("dotted"),
            head: if get("dir") == Some("none") || get("arrowhead") == Some("none") {
                0.0
            } else {
                number("arrowsize").unwrap_or(1.0).clamp(0.0, 10.0)
            },
        }
    }
}

type End = (Point, (Shape, Point, f32));

/// A smooth line from node to node through its bends, with an arrow head.
fn draw_edge(from: End, bends: &[Point], to: End, forward: Point, style: &EdgeStyle, items: &mut Vec<Item>) {
    // Leave towards the next point, but never flat: flat lines run into the neighbours.
    let first = *bends.first().unwrap_or(&to.0);
    let last = *bends.last().unwrap_or(&from.0);
    let leave = steep(unit(from.0, first), forward);
    let arrive = steep(unit(last, to.0), forward);
    let start = on_border(from, leave);
    let tip = on_border(to, (-arrive.0, -arrive.1));
    let (length, back) = (HEAD.0 * style.head, HEAD.1 * style.head);
    let end = (tip.0 - arrive.0 * length, tip.1 - arrive.1 * length);

    let mut points = vec![start];
    points.extend_from_slice(bends);
    points.push(end);
    let mut directions = vec![leave];
    for i in 1..points.len() - 1 {
        directions.push(steep(unit(points[i - 1], points[i + 1]), forward));
    }
    directions.push(arrive);
    let curves = (1..points.len())
        .map(|i| {
            let (a, b) = (points[i - 1], points[i]);
            let (u, v) = (directions[i - 1], directions[i]);
            let along = |d: Point| (d.0 * forward.0 + d.1 * forward.1).abs();
            // Controls stay between the two ends, or flat edges would swing over the ranks.
            let (length, rise) = ((b.0 - a.0).hypot(b.1 - a.1), along((b.0 - a.0, b.1 - a.1)));
            let reach = |d: Point| (length * 0.32).min(rise * 0.55 / along(d).max(0.1));
            let (p, q) = (reach(u), reach(v));
            [(a.0 + u.0 * p, a.1 + u.1 * p), (b.0 - v.0 * q, b.1 - v.1 * q), b]
        })
        .collect();
    let EdgeStyle { line, width, dashed, .. } = *style;
    items.push(Item::Curve { start, curves, line, width, dashed });
    if length > 0.0 {
        let side = (-arrive.1 * back, arrive.0 * back);
        let points = [tip, (end.0 + side.0, end.1 + side.1), (end.0 - side.0, end.1 - side.1)];
        items.push(Item::Triangle { points, fill: line });
    }
}

fn unit(a: Point, b: Point) -> Point {
    let length = (b.0 - a.0).hypot(b.1 - a.1).max(1e-3);
    ((b.0 - a.0) / length, (b.1 - a.1) / length)
}

/// Halfway between a direction and the one in which ranks follow each other.
fn steep(direction: Point, forward: Point) -> Point {
    // An edge that leads back keeps its sense.
    let along = direction.0 * forward.0 + direction.1 * forward.1;
    let sign = if along < 0.0 { -1.0 } else { 1.0 };
    unit((0.0, 0.0), (direction.0 + 0.5 * sign * forward.0, direction.1 + 0.5 * sign * forward.1))
}

/// Where a ray from the middle of a node leaves it.
fn on_border((center, (shape, half, line)): End, direction: Point) -> Point {
    let (hx, hy) = (half.0 + line, half.1 + line);
    let (dx, dy) = (direction.0.abs().max(1e-4), direction.1.abs().max(1e-4));
    let reach = match shape {
        Shape::Circle | Shape::Ellipse => 1.0 / (dx / hx).hypot(dy / hy),
        Shape::Diamond => 1.0 / (dx / hx + dy / hy),
        Shape::Box | Shape::Plain => (hx / dx).min(hy / dy),
    };
    (center.0 + direction.0 * reach, center.1 + direction.1 * reach)
}

impl Item {
    /// Moves to the right.
    fn shift(&mut self, by: f32) {
        let shift = |point: &mut Point| point.0 += by;
        match self {
            Item::Shape {
                outline: Outline::Rectangle { center, .. } | Outline::Ellipse { center, .. },
                ..
            } => {
                shift(center);
            }
            Item::Shape { outline: Outline::Polygon(points), .. } => points.iter_mut().for_each(shift),
            Item::Curve { start, curves, .. } => {
                shift(start);
                curves.iter_mut().flatten().for_each(shift);
            }
            Item::Triangle { points, .. } => points.iter_mut().for_each(shift),
            Item::Text { at, .. } => shift(at),
        }
    }
}
