//! What a task calls and with what, as bytes.
//!
//! A node is a tag and what belongs to it. Scalars are written as they are, everything else that is
//! constant as a pickle.

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::pickle::{self, damaged, take};
use super::value::{BYTES, FLOAT, INT, STR, scalar, scalar_to_py};
use crate::spec::Node;

/// Tags after those of scalars.
const PICKLED: u8 = 32;
const INPUT: u8 = 33;
const LIST: u8 = 34;
const TUPLE: u8 = 35;
const SET: u8 = 36;
const DICT: u8 = 37;
const CALL: u8 = 38;

fn put_length(n: usize, bytes: &mut Vec<u8>) {
    // LEB128: lengths are mostly below 128.
    let mut n = n;
    while n >= 128 {
        bytes.push((n % 128) as u8 | 128);
        n /= 128;
    }
    bytes.push(n as u8);
}

fn take_byte(bytes: &mut Bytes) -> PyResult<u8> {
    take(bytes, 1).map(|one| one[0])
}

fn take_length(bytes: &mut Bytes) -> PyResult<usize> {
    let (mut n, mut shift) = (0usize, 0);
    loop {
        let byte = take_byte(bytes)?;
        n |= ((byte % 128) as usize).checked_shl(shift).ok_or_else(damaged)?;
        if byte < 128 {
            return Ok(n);
        }
        shift += 7;
    }
}

/// Writes a constant.
pub(super) fn write_object(object: &Bound<'_, PyAny>, bytes: &mut Vec<u8>) -> PyResult<()> {
    let start = bytes.len();
    bytes.push(0);
    match scalar(object, bytes) {
        Some(form) => {
            bytes[start] = form;
            if matches!(form, STR | BYTES) {
                // The length goes before the text.
                let text = bytes.split_off(start + 1);
                put_length(text.len(), bytes);
                bytes.extend(text);
            }
        }
        None => {
            bytes.truncate(start);
            bytes.push(PICKLED);
            pickle::to_bytes(&pickle::dumps(object)?, bytes);
        }
    }
    Ok(())
}

pub(super) fn write(py: Python<'_>, node: &Node, bytes: &mut Vec<u8>) -> PyResult<()> {
    let all = |tag: u8, items: &[Node], bytes: &mut Vec<u8>| {
        bytes.push(tag);
        put_length(items.len(), bytes);
        items.iter().try_for_each(|item| write(py, item, bytes))
    };
    match node {
        Node::Const(object) => write_object(object.bind(py), bytes),
        Node::Input(position) => {
            bytes.push(INPUT);
            put_length(*position as usize, bytes);
            Ok(())
        }
        Node::List(items) => all(LIST, items, bytes),
        Node::Tuple(items) => all(TUPLE, items, bytes),
        Node::Set(items) => all(SET, items, bytes),
        Node::Dict(items) => {
            bytes.push(DICT);
            put_length(items.len(), bytes);
            items.iter().try_for_each(|(key, value)| {
                write(py, key, bytes)?;
                write(py, value, bytes)
            })
        }
        Node::Call(call) => {
            bytes.push(CALL);
            write(py, &call.func, bytes)?;
            write_arguments(py, &call.args, &call.kwargs, bytes)
        }
    }
}

/// Writes what a function is called with.
pub(super) fn write_arguments(
    py: Python<'_>,
    args: &[Node],
    kwargs: &[(Py<PyString>, Node)],
    bytes: &mut Vec<u8>,
) -> PyResult<()> {
    put_length(args.len(), bytes);
    args.iter().try_for_each(|arg| write(py, arg, bytes))?;
    put_length(kwargs.len(), bytes);
    kwargs.iter().try_for_each(|(name, value)| {
        let name = name.bind(py).to_cow()?;
        put_length(name.len(), bytes);
        bytes.extend_from_slice(name.as_bytes());
        write(py, value, bytes)
    })
}

pub(super) fn read(py: Python<'_>, bytes: &mut Bytes) -> PyResult<Node> {
    let tag = take_byte(bytes)?;
    let all = |bytes: &mut Bytes| -> PyResult<Box<[Node]>> {
        let n = take_length(bytes)?;
        (0..n).map(|_| read(py, bytes)).collect()
    };
    Ok(match tag {
        PICKLED => Node::Const(pickle::from_bytes(py, bytes)?.unbind()),
        INPUT => Node::Input(u32::try_from(take_length(bytes)?).map_err(|_| damaged())?),
        LIST => Node::List(all(bytes)?),
        TUPLE => Node::Tuple(all(bytes)?),
        SET => Node::Set(all(bytes)?),
        DICT => {
            let n = take_length(bytes)?;
            Node::Dict((0..n).map(|_| Ok((read(py, bytes)?, read(py, bytes)?))).collect::<PyResult<_>>()?)
        }
        CALL => {
            let func = read(py, bytes)?;
            let (args, kwargs) = read_arguments(py, bytes)?;
            Node::call(func, args, kwargs)
        }
        form => {
            let length = match form {
                INT | FLOAT => 8,
                STR | BYTES => take_length(bytes)?,
                _ => 0,
            };
            let content = take(bytes, length)?;
            Node::Const(scalar_to_py(py, form, &content)?.ok_or_else(damaged)?.unbind())
        }
    })
}

/// Positional and keyword arguments.
pub(super) type Arguments = (Vec<Node>, Vec<(Py<PyString>, Node)>);

/// What [`write_arguments`] wrote.
pub(super) fn read_arguments(py: Python<'_>, bytes: &mut Bytes) -> PyResult<Arguments> {
    let n = take_length(bytes)?;
    let args = (0..n).map(|_| read(py, bytes)).collect::<PyResult<_>>()?;
    let n = take_length(bytes)?;
    let kwargs = (0..n)
        .map(|_| {
            let length = take_length(bytes)?;
            let name = take(bytes, length)?;
            let name = PyString::new(py, std::str::from_utf8(&name).map_err(|_| damaged())?);
            Ok((name.unbind(), read(py, bytes)?))
        })
        .collect::<PyResult<_>>()?;
    Ok((args, kwargs))
}
