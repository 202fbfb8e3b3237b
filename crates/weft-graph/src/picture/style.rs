//! Colours and the other things that attributes say.

/// Red, green, blue and opacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Color(pub u8, pub u8, pub u8, pub u8);

impl Color {
    pub const BLACK: Color = Color(0, 0, 0, 255);
    pub const WHITE: Color = Color(255, 255, 255, 255);
    pub const NONE: Color = Color(0, 0, 0, 0);

    pub fn is_visible(self) -> bool {
        self.3 > 0
    }

    /// `#rgb`, `#rrggbb`, `#rrggbbaa`, a shade like `gray80`, or a name.
    pub fn parse(text: &str) -> Option<Color> {
        let text = text.trim().to_ascii_lowercase();
        if let Some(hex) = text.strip_prefix('#') {
            let digits: Vec<u8> =
                hex.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
            let pair = |i: usize| digits[2 * i] * 16 + digits[2 * i + 1];
            return match digits.len() {
                3 => Some(Color(digits[0] * 17, digits[1] * 17, digits[2] * 17, 255)),
                6 => Some(Color(pair(0), pair(1), pair(2), 255)),
                8 => Some(Color(pair(0), pair(1), pair(2), pair(3))),
                _ => None,
            };
        }
        let shade = text.strip_prefix("gray").or_else(|| text.strip_prefix("grey"));
        if let Some(percent) = shade.and_then(|digits| digits.parse::<u32>().ok())
            && percent <= 100
        {
            let level = (percent * 255 / 100) as u8;
            return Some(Color(level, level, level, 255));
        }
        NAMES.iter().find(|(name, _)| *name == text).map(|&(_, rgb)| {
            let alpha = if text == "transparent" || text == "none" { 0 } else { 255 };
            Color((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8, alpha)
        })
    }

    pub fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// The colours that people name.
const NAMES: [(&str, u32); 58] = [
    ("aqua", 0x00ffff),
    ("aquamarine", 0x7fffd4),
    ("azure", 0xf0ffff),
    ("beige", 0xf5f5dc),
    ("black", 0x000000),
    ("blue", 0x0000ff),
    ("brown", 0xa52a2a),
    ("coral", 0xff7f50),
    ("cornflowerblue", 0x6495ed),
    ("crimson", 0xdc143c),
    ("cyan", 0x00ffff),
    ("darkblue", 0x00008b),
    ("darkgreen", 0x006400),
    ("darkorange", 0xff8c00),
    ("darkred", 0x8b0000),
    ("deepskyblue", 0x00bfff),
    ("dodgerblue", 0x1e90ff),
    ("firebrick", 0xb22222),
    ("forestgreen", 0x228b22),
    ("fuchsia", 0xff00ff),
    ("gold", 0xffd700),
    ("gray", 0x808080),
    ("grey", 0x808080),
    ("green", 0x008000),
    ("indigo", 0x4b0082),
    ("ivory", 0xfffff0),
    ("khaki", 0xf0e68c),
    ("lavender", 0xe6e6fa),
    ("lightblue", 0xadd8e6),
    ("lightgray", 0xd3d3d3),
    ("lightgreen", 0x90ee90),
    ("lightgrey", 0xd3d3d3),
    ("lightpink", 0xffb6c1),
    ("lightyellow", 0xffffe0),
    ("lime", 0x00ff00),
    ("magenta", 0xff00ff),
    ("maroon", 0x800000),
    ("navy", 0x000080),
    ("none", 0xffffff),
    ("olive", 0x808000),
    ("orange", 0xffa500),
    ("orchid", 0xda70d6),
    ("pink", 0xffc0cb),
    ("plum", 0xdda0dd),
    ("purple", 0x800080),
    ("red", 0xff0000),
    ("royalblue", 0x4169e1),
    ("salmon", 0xfa8072),
    ("skyblue", 0x87ceeb),
    ("steelblue", 0x4682b4),
    ("tan", 0xd2b48c),
    ("teal", 0x008080),
    ("tomato", 0xff6347),
    ("transparent", 0xffffff),
    ("turquoise", 0x40e0d0),
    ("violet", 0xee82ee),
    ("white", 0xffffff),
    ("yellow", 0xffff00),
];

/// Colours for numbers from 0 to 1: stops at equal distances, mixed between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColorMap {
    stops: Vec<Color>,
}

impl Default for ColorMap {
    fn default() -> Self {
        ColorMap::of(&PLASMA)
    }
}

const PLASMA: [u32; 10] =
    [0x0d0887, 0x46039f, 0x7201a8, 0x9c179e, 0xbd3786, 0xd8576b, 0xed7953, 0xfb9f3a, 0xfdca26, 0xf0f921];
const VIRIDIS: [u32; 10] =
    [0x440154, 0x482878, 0x3e4989, 0x31688e, 0x26828e, 0x1f9e89, 0x35b779, 0x6ece58, 0xb5de2b, 0xfde725];
const REDS: [u32; 9] =
    [0xfff5f0, 0xfee0d2, 0xfcbba1, 0xfc9272, 0xfb6a4a, 0xef3b2c, 0xcb181d, 0xa50f15, 0x67000d];

impl ColorMap {
    fn of(stops: &[u32]) -> ColorMap {
        let color = |&rgb: &u32| Color((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8, 255);
        ColorMap { stops: stops.iter().map(color).collect() }
    }

    pub fn from_name(name: &str) -> Option<ColorMap> {
        match name.to_ascii_lowercase().as_str() {
            "plasma" => Some(ColorMap::of(&PLASMA)),
            "viridis" => Some(ColorMap::of(&VIRIDIS)),
            "reds" => Some(ColorMap::of(&REDS)),
            _ => None,
        }
    }

    /// From colours as attributes name them; `None` if there is none, or one is not known.
    pub fn from_colors<'a>(colors: impl IntoIterator<Item = &'a str>) -> Option<ColorMap> {
        let stops: Vec<Color> = colors.into_iter().map(Color::parse).collect::<Option<_>>()?;
        if stops.is_empty() { None } else { Some(ColorMap { stops }) }
    }

    /// The colour of `value`, as `#rrggbb`.
    pub fn hex(&self, value: f64) -> String {
        let at = value.clamp(0.0, 1.0) * (self.stops.len() - 1) as f64;
        let (low, part) = (at as usize, at.fract());
        let (a, b) = (self.stops[low], self.stops[(low + 1).min(self.stops.len() - 1)]);
        let mix = |a: u8, b: u8| (a as f64 * (1.0 - part) + b as f64 * part).round() as u8;
        Color(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2), 255).hex()
    }
}

/// Looks an attribute up: the element's own first, then what holds for all.
pub(super) fn attribute<'a>(
    own: &'a [(String, String)],
    all: &'a [(String, String)],
    name: &str,
) -> Option<&'a str> {
    let find =
        |list: &'a [(String, String)]| list.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    find(own).or_else(|| find(all))
}
