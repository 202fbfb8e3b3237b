//! PDF, one page as large as the picture, with the Helvetica that every reader has.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::scene::{Item, Outline, Scene};
use super::style::Color;
use super::{PictureError, font};

/// Control points of an ellipse stand this far along its tangents.
const KAPPA: f32 = 0.552_285;
/// Readers refuse pages longer than this.
const LONGEST: f32 = 14_000.0;

pub(super) fn write(scene: &Scene) -> Result<Vec<u8>, PictureError> {
    let scale = (LONGEST / scene.size.0.max(scene.size.1)).min(1.0);
    let content = Page { out: String::new(), height: scene.size.1 }.content(scene, scale);
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let packed = encoder.write_all(content.as_bytes()).and_then(|()| encoder.finish());
    let packed = packed.map_err(|error| PictureError::Pdf(error.to_string()))?;

    let (w, h) = (scene.size.0 * scale, scene.size.1 * scale);
    let stream_head = format!("<< /Length {} /Filter /FlateDecode >>\nstream\n", packed.len());
    let objects: [Vec<u8>; 5] = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {w:.2} {h:.2}] \
             /Resources << /Font << /F1 4 0 R >> >> /Contents 5 0 R >>"
        )
        .into_bytes(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
        [stream_head.as_bytes(), &packed, b"\nendstream"].concat(),
    ];
    // The second line tells programs that look at it that the file is not text.
    let mut out = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut offsets = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        out.extend_from_slice(format!("{} 0 obj\n", i + 1).as_bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    let table = out.len();
    out.extend_from_slice(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).as_bytes());
    for offset in offsets {
        out.extend_from_slice(format!("{offset:010} 00000 n \n").as_bytes());
    }
    let size = objects.len() + 1;
    out.extend_from_slice(
        format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n").as_bytes(),
    );
    Ok(out)
}

struct Page {
    out: String,
    height: f32,
}

impl Page {
    fn content(mut self, scene: &Scene, scale: f32) -> String {
        self.op(format_args!("{scale:.4} 0 0 {scale:.4} 0 0 cm"));
        if scene.background.is_visible() {
            self.fill_color(scene.background);
            self.op(format_args!("0 0 {:.2} {:.2} re f", scene.size.0, scene.size.1));
        }
        for item in &scene.items {
            match item {
                Item::Shape { outline, fill, line, width, dashed, .. } => {
                    self.fill_color(*fill);
                    self.line(*line, *width, *dashed);
                    self.outline(outline);
                    let stroked = line.is_visible() && *width > 0.0;
                    self.op(format_args!(
                        "{}",
                        match (fill.is_visible(), stroked) {
                            (true, true) => "B",
                            (true, false) => "f",
                            (false, true) => "S",
                            (false, false) => "n",
                        }
                    ));
                }
                Item::Curve { start, curves, line, width, dashed } => {
                    self.line(*line, *width, *dashed);
                    self.move_to(*start);
                    curves.iter().for_each(|curve| self.curve(*curve));
                    self.op(format_args!("{}", if line.is_visible() { "S" } else { "n" }));
                }
                Item::Triangle { points: [a, b, c], fill } => {
                    self.fill_color(*fill);
                    self.move_to(*a);
                    self.line_to(*b);
                    self.line_to(*c);
                    self.op(format_args!("{}", if fill.is_visible() { "f" } else { "n" }));
                }
                Item::Text { at, text, size, color } => {
                    self.fill_color(*color);
                    let x = at.0 - font::width(text, *size) / 2.0;
                    let y = self.height - at.1 - size * font::CAPITAL / 2.0;
                    self.op(format_args!("BT /F1 {size} Tf {x:.2} {y:.2} Td ({}) Tj ET", string(text)));
                }
            }
        }
        self.out
    }

    fn op(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = std::fmt::Write::write_fmt(&mut self.out, text);
        self.out.push('\n');
    }

    fn fill_color(&mut self, color: Color) {
        let part = |byte: u8| byte as f32 / 255.0;
        self.op(format_args!("{:.3} {:.3} {:.3} rg", part(color.0), part(color.1), part(color.2)));
    }

    fn line(&mut self, color: Color, width: f32, dashed: bool) {
        let part = |byte: u8| byte as f32 / 255.0;
        self.op(format_args!("{:.3} {:.3} {:.3} RG {width} w", part(color.0), part(color.1), part(color.2)));
        self.op(format_args!("{} 0 d", if dashed { "[5 3]" } else { "[]" }));
    }

    fn move_to(&mut self, (x, y): (f32, f32)) {
        let y = self.height - y;
        self.op(format_args!("{x:.2} {y:.2} m"));
    }

    fn line_to(&mut self, (x, y): (f32, f32)) {
        let y = self.height - y;
        self.op(format_args!("{x:.2} {y:.2} l"));
    }

    fn curve(&mut self, [a, b, c]: [(f32, f32); 3]) {
        let h = self.height;
        self.op(format_args!(
            "{:.2} {:.2} {:.2} {:.2} {:.2} {:.2} c",
            a.0,
            h - a.1,
            b.0,
            h - b.1,
            c.0,
            h - c.1
        ));
    }

    fn outline(&mut self, outline: &Outline) {
        match outline {
            Outline::Rectangle { center: (x, y), half: (hx, hy), .. } => {
                let bottom = self.height - y - hy;
                self.op(format_args!("{:.2} {bottom:.2} {:.2} {:.2} re", x - hx, 2.0 * hx, 2.0 * hy));
            }
            Outline::Polygon(points) => {
                for (i, &point) in points.iter().enumerate() {
                    if i == 0 { self.move_to(point) } else { self.line_to(point) }
                }
                self.op(format_args!("h"));
            }
            Outline::Ellipse { center: (x, y), half: (hx, hy) } => {
                let (kx, ky) = (hx * KAPPA, hy * KAPPA);
                self.move_to((x + hx, *y));
                self.curve([(x + hx, y + ky), (x + kx, y + hy), (*x, y + hy)]);
                self.curve([(x - kx, y + hy), (x - hx, y + ky), (x - hx, *y)]);
                self.curve([(x - hx, y - ky), (x - kx, y - hy), (*x, y - hy)]);
                self.curve([(x + kx, y - hy), (x + hx, y - ky), (x + hx, *y)]);
                self.op(format_args!("h"));
            }
        }
    }
}

/// Text in the Latin alphabet that the font has, as a string of the format.
fn string(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '(' | ')' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            '\u{a0}'..='\u{ff}' => out.push_str(&format!("\\{:03o}", c as u32)),
            _ => out.push('?'),
        }
    }
    out
}
