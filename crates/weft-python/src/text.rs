//! Methods of text by name, for `FrameExpr.text`.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use weft_frame::{PadSide, TextOp};

use crate::frame::unsupported;

/// One of the arguments. Raises `NotImplementedError` if it is of another kind.
fn argument<'py, T: FromPyObjectOwned<'py>>(args: &Bound<'py, PyTuple>, at: usize) -> PyResult<T> {
    args.get_item(at)?.extract().map_err(|_| unsupported("arguments of another kind"))
}

/// The operation that a method of `.str` is. Raises `NotImplementedError` if it has no kernel.
pub(crate) fn operation(method: &str, args: &Bound<'_, PyTuple>) -> PyResult<TextOp> {
    let texts = || -> PyResult<Vec<String>> {
        match args.get_item(0)?.extract::<String>() {
            Ok(text) => Ok(vec![text]),
            Err(_) => args.get_item(0)?.extract().map_err(|_| unsupported("texts of another kind")),
        }
    };
    Ok(match (method, args.len()) {
        ("startswith", 1) => TextOp::StartsWith(texts()?),
        ("endswith", 1) => TextOp::EndsWith(texts()?),
        ("contains", 2) => {
            let pattern: String =
                args.get_item(0)?.extract().map_err(|_| unsupported("a compiled pattern"))?;
            let op = TextOp::contains(&pattern, args.get_item(1)?.is_truthy()?);
            op.ok_or_else(|| unsupported(format!("the pattern {pattern}")))?
        }
        ("slice", 2) => TextOp::Slice { start: argument(args, 0)?, stop: argument(args, 1)? },
        ("len", 0) => TextOp::Len,
        ("upper", 0) => TextOp::Upper,
        ("lower", 0) => TextOp::Lower,
        ("capitalize", 0) => TextOp::Capitalize,
        ("strip" | "lstrip" | "rstrip", 1) => TextOp::Strip {
            left: method != "rstrip",
            right: method != "lstrip",
            characters: argument(args, 0)?,
        },
        ("replace", 3) => {
            TextOp::Replace { from: argument(args, 0)?, to: argument(args, 1)?, most: argument(args, 2)? }
        }
        ("pad", 3) => {
            let side = match argument::<String>(args, 1)?.as_str() {
                "left" => PadSide::Left,
                "right" => PadSide::Right,
                _ => PadSide::Both,
            };
            TextOp::Pad { width: argument(args, 0)?, side, fill: argument(args, 2)? }
        }
        ("get", 1) => TextOp::Get(argument(args, 0)?),
        ("removeprefix", 1) => TextOp::RemovePrefix(argument(args, 0)?),
        ("removesuffix", 1) => TextOp::RemoveSuffix(argument(args, 0)?),
        _ => return Err(unsupported(format!("str.{method}"))),
    })
}
