//! SVG: shapes and text as such, so that it can be searched, scaled and styled.

use std::fmt::Write;

use super::font;
use super::scene::{Item, Outline, Scene};
use super::style::Color;

pub(super) fn write(scene: &Scene) -> String {
    let (w, h) = scene.size;
    // Writing to a String cannot fail.
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w:.0}\" height=\"{h:.0}\" viewBox=\"0 0 {w:.1} {h:.1}\" \
         font-family=\"Helvetica, Arial, 'Liberation Sans', sans-serif\" text-anchor=\"middle\">"
    );
    if scene.background.is_visible() {
        let _ = writeln!(out, "<rect width=\"100%\" height=\"100%\" {}/>", fill(scene.background));
    }
    for item in &scene.items {
        match item {
            Item::Shape { outline, fill: inside, line, width, dashed, title } => {
                let paint = format!("{} {}", fill(*inside), stroke(*line, *width, *dashed));
                let title = format!("<title>{}</title>", escape(title));
                let _ = match outline {
                    Outline::Rectangle { center: (x, y), half: (hx, hy), round } => writeln!(
                        out,
                        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{round}\" {paint}>{title}</rect>",
                        x - hx,
                        y - hy,
                        2.0 * hx,
                        2.0 * hy
                    ),
                    Outline::Ellipse { center: (x, y), half: (hx, hy) } => writeln!(
                        out,
                        "<ellipse cx=\"{x:.1}\" cy=\"{y:.1}\" rx=\"{hx:.1}\" ry=\"{hy:.1}\" {paint}>{title}</ellipse>"
                    ),
                    Outline::Polygon(points) => {
                        let points: Vec<String> =
                            points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
                        writeln!(out, "<polygon points=\"{}\" {paint}>{title}</polygon>", points.join(" "))
                    }
                };
            }
            Item::Curve { start, curves, line, width, dashed } => {
                let _ = write!(out, "<path d=\"M{:.1} {:.1}", start.0, start.1);
                for [a, b, c] in curves {
                    let _ = write!(out, "C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}", a.0, a.1, b.0, b.1, c.0, c.1);
                }
                let _ = writeln!(out, "\" fill=\"none\" {}/>", stroke(*line, *width, *dashed));
            }
            Item::Triangle { points: [a, b, c], fill: inside } => {
                let _ = writeln!(
                    out,
                    "<path d=\"M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}Z\" {}/>",
                    a.0,
                    a.1,
                    b.0,
                    b.1,
                    c.0,
                    c.1,
                    fill(*inside)
                );
            }
            Item::Text { at, text, size, color } => {
                let y = at.1 + size * font::CAPITAL / 2.0;
                let _ = writeln!(
                    out,
                    "<text x=\"{:.1}\" y=\"{y:.1}\" font-size=\"{size}\" {}>{}</text>",
                    at.0,
                    fill(*color),
                    escape(text)
                );
            }
        }
    }
    out.push_str("</svg>\n");
    out
}

fn fill(color: Color) -> String {
    match color.3 {
        0 => "fill=\"none\"".to_owned(),
        255 => format!("fill=\"{}\"", color.hex()),
        alpha => format!("fill=\"{}\" fill-opacity=\"{:.2}\"", color.hex(), alpha as f32 / 255.0),
    }
}

fn stroke(color: Color, width: f32, dashed: bool) -> String {
    if !color.is_visible() || width == 0.0 {
        return String::new();
    }
    let dashes = if dashed { " stroke-dasharray=\"5 3\"" } else { "" };
    let alpha = if color.3 < 255 {
        format!(" stroke-opacity=\"{:.2}\"", color.3 as f32 / 255.0)
    } else {
        String::new()
    };
    format!("stroke=\"{}\" stroke-width=\"{width}\"{alpha}{dashes}", color.hex())
}

/// Text for XML, without the control characters that XML cannot hold.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            '\u{fffe}' | '\u{ffff}' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
