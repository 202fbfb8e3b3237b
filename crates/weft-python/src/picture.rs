//! Order and pictures of graphs, for `weft.order` and `weft.dot`.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use weft_graph::{Dag, DagBuilder, Pressure, TaskId, order};

/// The graph whose task `i` reads the tasks `dependencies[i]`.
fn dag_from(dependencies: Vec<Vec<u32>>) -> Dag {
    let mut builder = DagBuilder::with_capacity(dependencies.len(), dependencies.len());
    for list in dependencies {
        builder.push(list.into_iter().map(TaskId));
    }
    builder.finish()
}

/// The place of each task in the static order. A cycle raises `RuntimeError` whose argument is the
/// list of its tasks.
#[pyfunction]
fn order_dependencies(py: Python<'_>, dependencies: Vec<Vec<u32>>) -> PyResult<Vec<u32>> {
    let result = py.detach(|| order(&dag_from(dependencies)));
    result.map_err(|cycle| {
        let tasks: Vec<u32> = cycle.0.iter().map(|task| task.0).collect();
        PyRuntimeError::new_err(tasks)
    })
}

/// `when_run`, `when_released`, `age` and `freed` of each task under an order.
#[pyfunction]
fn pressure_of(
    py: Python<'_>,
    dependencies: Vec<Vec<u32>>,
    priorities: Vec<u32>,
) -> (Vec<u32>, Vec<u32>, Vec<u32>, Vec<u32>) {
    let pressure = py.detach(|| Pressure::of(&dag_from(dependencies), &priorities));
    (pressure.when_run, pressure.when_released, pressure.age, pressure.freed)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(order_dependencies, module)?)?;
    module.add_function(wrap_pyfunction!(pressure_of, module)?)
}
