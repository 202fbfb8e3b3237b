//! PNG: the scene painted pixel by pixel.

use tiny_skia::{
    FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, StrokeDash, Transform,
};

use super::PictureError;
use super::font::{self, Stroke as GlyphStroke};
use super::scene::{Item, Outline, Scene};
use super::style::Color;

/// Pixels for each unit, so that text is crisp; less where the picture would not fit.
const SCALE: f32 = 2.0;
const LONGEST: f32 = 30_000.0;
const MOST_PIXELS: f32 = 60e6;
/// Thickness of letters, in parts of the font size.
const PEN: f32 = 0.078;

pub(super) fn write(scene: &Scene) -> Result<Vec<u8>, PictureError> {
    let (w, h) = scene.size;
    let scale = SCALE.min(LONGEST / w.max(h)).min((MOST_PIXELS / (w * h)).sqrt());
    let (width, height) = ((w * scale).ceil().max(1.0) as u32, (h * scale).ceil().max(1.0) as u32);
    let error = |reason: &str| PictureError::Png { width, height, reason: reason.to_owned() };
    let mut pixels = Pixmap::new(width, height).ok_or_else(|| error("too large"))?;
    if scene.background.is_visible() {
        pixels.fill(tiny_skia::Color::from_rgba8(
            scene.background.0,
            scene.background.1,
            scene.background.2,
            scene.background.3,
        ));
    }
    let mut painter = Painter { pixels, transform: Transform::from_scale(scale, scale) };
    scene.items.iter().for_each(|item| painter.item(item));
    let pixels = painter.pixels;
    // Opaque, so colours are not mixed with their opacity; three bytes a pixel are enough.
    let opaque = scene.background.3 == 255;
    let data: Vec<u8> = if opaque {
        pixels.pixels().iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect()
    } else {
        let straight = pixels.pixels().iter().map(|p| p.demultiply());
        straight.flat_map(|p| [p.red(), p.green(), p.blue(), p.alpha()]).collect()
    };
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(if opaque { png::ColorType::Rgb } else { png::ColorType::Rgba });
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&data)?;
        writer.finish()
    });
    written.map_err(|e| error(&e.to_string()))?;
    Ok(out)
}

struct Painter {
    pixels: Pixmap,
    transform: Transform,
}

impl Painter {
    fn item(&mut self, item: &Item) {
        match item {
            Item::Shape { outline, fill, line, width, dashed, .. } => {
                if let Some(path) = outline_path(outline) {
                    self.fill(&path, *fill);
                    self.stroke(&path, *line, *width, *dashed);
                }
            }
            Item::Curve { start, curves, line, width, dashed } => {
                let mut builder = PathBuilder::new();
                builder.move_to(start.0, start.1);
                for [a, b, c] in curves {
                    builder.cubic_to(a.0, a.1, b.0, b.1, c.0, c.1);
                }
                if let Some(path) = builder.finish() {
                    self.stroke(&path, *line, *width, *dashed);
                }
            }
            Item::Triangle { points: [a, b, c], fill } => {
                let mut builder = PathBuilder::new();
                builder.move_to(a.0, a.1);
                builder.line_to(b.0, b.1);
                builder.line_to(c.0, c.1);
                builder.close();
                if let Some(path) = builder.finish() {
                    self.fill(&path, *fill);
                }
            }
            Item::Text { at, text, size, color } => {
                let left = at.0 - font::width(text, *size) / 2.0;
                let base = at.1 + size * font::CAPITAL / 2.0;
                if let Some(path) = text_path(text, left, base, *size) {
                    self.stroke(&path, *color, size * PEN, false);
                }
            }
        }
    }

    fn fill(&mut self, path: &Path, color: Color) {
        if color.is_visible() {
            self.pixels.fill_path(path, &paint(color), FillRule::Winding, self.transform, None);
        }
    }

    fn stroke(&mut self, path: &Path, color: Color, width: f32, dashed: bool) {
        if color.is_visible() && width > 0.0 {
            let stroke = Stroke {
                width,
                line_cap: LineCap::Round,
                line_join: LineJoin::Round,
                dash: if dashed { StrokeDash::new(vec![5.0, 3.0], 0.0) } else { None },
                ..Stroke::default()
            };
            self.pixels.stroke_path(path, &paint(color), &stroke, self.transform, None);
        }
    }
}

fn paint(color: Color) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(color.0, color.1, color.2, color.3);
    paint.anti_alias = true;
    paint
}

fn outline_path(outline: &Outline) -> Option<Path> {
    match outline {
        Outline::Rectangle { center: (x, y), half: (hx, hy), .. } => {
            Some(PathBuilder::from_rect(Rect::from_ltrb(x - hx, y - hy, x + hx, y + hy)?))
        }
        Outline::Ellipse { center: (x, y), half: (hx, hy) } => {
            PathBuilder::from_oval(Rect::from_ltrb(x - hx, y - hy, x + hx, y + hy)?)
        }
        Outline::Polygon(points) => {
            let mut builder = PathBuilder::new();
            for (i, &(x, y)) in points.iter().enumerate() {
                if i == 0 { builder.move_to(x, y) } else { builder.line_to(x, y) }
            }
            builder.close();
            builder.finish()
        }
    }
}

/// The strokes of a line of text, from `left` on along `base`.
fn text_path(text: &str, left: f32, base: f32, size: f32) -> Option<Path> {
    let mut builder = PathBuilder::new();
    let mut pen = left;
    for c in text.chars() {
        let at = |(x, y): (f32, f32)| (pen + x / 100.0 * size, base - y / 100.0 * size);
        for stroke in font::strokes(c) {
            let points = match stroke {
                GlyphStroke::Line(points) => points,
                GlyphStroke::Arc { center, radii, angles } => {
                    let steps = ((angles.1 - angles.0) / 12.0).ceil().max(2.0) as usize;
                    let angle =
                        |i: usize| (angles.0 + (angles.1 - angles.0) * i as f32 / steps as f32).to_radians();
                    (0..=steps)
                        .map(|i| (center.0 + radii.0 * angle(i).cos(), center.1 + radii.1 * angle(i).sin()))
                        .collect()
                }
            };
            for (i, point) in points.into_iter().map(at).enumerate() {
                if i == 0 { builder.move_to(point.0, point.1) } else { builder.line_to(point.0, point.1) }
            }
        }
        pen += font::advance(c) * size;
    }
    builder.finish()
}
