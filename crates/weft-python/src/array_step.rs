//! Steps of Python on blocks, and how a block's position says which blocks it is made of.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use weft_data::{Lane, TaskError, Value, Work};
use weft_graph::Axis;

use crate::task::{PyValue, host_error, value_to_py};

/// An argument of a step's function.
pub(crate) enum Argument {
    /// The next block that the task reads.
    Block,
    /// The next blocks, as nested lists: one level for each axis that the task reads more than one
    /// position of.
    Blocks(Vec<Extent>),
    Constant(Py<PyAny>),
}

/// How many positions a task reads along one axis of an operand.
pub(crate) enum Extent {
    All(u32),
    Group { own: u32, size: u32, of: u32 },
}

/// `function(*arguments)`, with the block's position first if `numbered`.
pub(crate) struct PyStep {
    pub(crate) function: Py<PyAny>,
    pub(crate) name: String,
    /// `None`: all blocks that the task reads, one after the other.
    pub(crate) arguments: Option<Vec<Argument>>,
    pub(crate) grid: Vec<u32>,
    pub(crate) numbered: bool,
}

impl fmt::Debug for PyStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PyStep({})", self.name)
    }
}

impl PyStep {
    fn position(&self, index: u32) -> Vec<u32> {
        let mut rest = index;
        let mut position = vec![0; self.grid.len()];
        for (at, &n) in position.iter_mut().zip(&self.grid).rev() {
            *at = rest % n;
            rest /= n;
        }
        position
    }

    fn call<'py>(&self, py: Python<'py>, index: u32, inputs: &mut [Value]) -> PyResult<Bound<'py, PyAny>> {
        let position = self.position(index);
        let mut args = Vec::with_capacity(inputs.len() + 1);
        if self.numbered {
            args.push(PyTuple::new(py, &position)?.into_any());
        }
        let mut blocks = inputs.iter_mut().map(|input| {
            // Taken out, so that memory that nobody else looks at goes with the object.
            let value = std::mem::replace(input, Value::Bytes(Arc::new([])));
            value_to_py(py, &value)
        });
        let mut next = || {
            let missing = || PyValueError::new_err(format!("{} got too few blocks", self.name));
            blocks.next().unwrap_or_else(|| Err(missing()))
        };
        match &self.arguments {
            None => {
                for block in blocks {
                    args.push(block?);
                }
            }
            Some(arguments) => {
                for argument in arguments {
                    args.push(match argument {
                        Argument::Block => next()?,
                        Argument::Blocks(extents) => {
                            let counts: Vec<u32> = extents
                                .iter()
                                .map(|extent| match *extent {
                                    Extent::All(n) => n,
                                    Extent::Group { own, size, of } => {
                                        size.min(of.saturating_sub(position[own as usize] * size))
                                    }
                                })
                                .collect();
                            nested(py, &counts, &mut next)?
                        }
                        Argument::Constant(object) => object.bind(py).clone(),
                    });
                }
            }
        }
        self.function.bind(py).call1(PyTuple::new(py, args)?)
    }
}

pub(crate) fn nested<'py>(
    py: Python<'py>,
    counts: &[u32],
    next: &mut dyn FnMut() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let Some((&n, inner)) = counts.split_first() else { return next() };
    let list = PyList::empty(py);
    for _ in 0..n {
        list.append(nested(py, inner, next)?)?;
    }
    Ok(list.into_any())
}

impl Work for PyStep {
    fn lane(&self) -> Lane {
        Lane::Host
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn is_cheap(&self) -> bool {
        Python::attach(|py| {
            let cheap = self.function.bind(py).getattr_opt(pyo3::intern!(py, "_is_cheap"));
            cheap.ok().flatten().is_some_and(|cheap| cheap.is_truthy().unwrap_or(false))
        })
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        Python::attach(|py| self.call(py, index, inputs).map(|block| PyValue::value(block.unbind())))
            .map_err(host_error)
    }
}

/// How a block's position gives positions along an axis of an operand: an int (the output axis), None
/// (all), ``("at", i)``, ``("group", axis, size)``, ``("along", axis, offset)``.
pub(crate) fn axis_rule(rule: &Bound<'_, PyAny>, of: u32, grid: &[u32]) -> PyResult<Axis> {
    let known = |own: u32| match grid.get(own as usize) {
        Some(&n) => Ok(n),
        None => {
            Err(PyValueError::new_err(format!("there is no axis {own} among {} output axes", grid.len())))
        }
    };
    if rule.is_none() {
        return Ok(Axis::All);
    }
    if let Ok(own) = rule.extract::<u32>() {
        let n = known(own)?;
        return match of {
            1 if n != 1 => Ok(Axis::At(0)),
            _ if of == n => Ok(Axis::Along { own, offset: 0 }),
            _ => Err(PyValueError::new_err(format!(
                "an operand has {of} blocks along an axis on which the result has {n}"
            ))),
        };
    }
    let parts = rule.cast::<PyTuple>()?;
    let kind: String = parts.get_item(0)?.extract()?;
    let number = |i: usize| parts.get_item(i)?.extract::<u32>();
    match kind.as_str() {
        "at" => Ok(Axis::At(number(1)?)),
        "group" => Ok(Axis::Group { own: number(1)?, size: number(2)? }),
        "along" => Ok(Axis::Along { own: number(1)?, offset: parts.get_item(2)?.extract()? }),
        other => Err(PyValueError::new_err(format!("an axis is 'at', 'group' or 'along', not {other:?}"))),
    }
}
