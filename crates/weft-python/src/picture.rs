//! Order and pictures of graphs, for `weft.order` and `weft.dot`.

use std::collections::HashMap;

use ahash::AHashMap;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use weft_data::WorkRef;
use weft_graph::picture::{
    Attributes, ColorMap, Direction, Format, Measure, Options, Picture, Role, TaskView, picture_of,
};
use weft_graph::{Cycle, Dag, DagBuilder, Expanded, Key, Pressure, TaskId, order, share_equal_keys};

use crate::graph::{Graph, all_layers, graph_from_py, python_node};
use crate::key::{key_from_py, key_to_py};
use crate::spec::Node;

/// The graph whose task `i` reads the tasks `dependencies[i]`.
fn dag_from(dependencies: Vec<Vec<u32>>) -> Dag {
    let mut builder = DagBuilder::with_capacity(dependencies.len(), dependencies.len());
    for list in dependencies {
        builder.push(list.into_iter().map(TaskId));
    }
    builder.finish()
}

/// The tasks that `keys` need, or all tasks of the graph.
fn expand(graph: &Graph, keys: Option<Vec<Key>>) -> PyResult<Expanded<WorkRef>> {
    if let Some(keys) = keys {
        return graph.expand(&keys);
    }
    let mut outputs = Vec::new();
    for layer in all_layers(graph.layers()).into_iter().rev() {
        outputs.extend((0..layer.len() as u32).map(|task| (layer.clone(), task)));
    }
    Ok(share_equal_keys(weft_graph::expand(&outputs)))
}

fn cycle_error(cycle: &Cycle, name: impl Fn(TaskId) -> String) -> PyErr {
    let mut names: Vec<String> = cycle.0.iter().map(|&task| name(task)).collect();
    names.extend(names.first().cloned());
    PyRuntimeError::new_err(format!(
        "Cycle detected between the following keys:\n  -> {}",
        names.join("\n  -> ")
    ))
}

/// The place of each key of a graph in the static order.
#[pyfunction]
fn order_graph<'py>(graph: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let py = graph.py();
    let graph = graph_from_py(graph)?;
    let tasks = expand(&graph, None)?;
    let priorities = py.detach(|| order(&tasks.dag));
    let priorities = priorities.map_err(|cycle| cycle_error(&cycle, |task| tasks.key(task).to_string()))?;
    let out = PyDict::new(py);
    for task in tasks.dag.tasks() {
        out.set_item(key_to_py(py, &tasks.key(task))?, priorities[task.index()])?;
    }
    Ok(out)
}

/// The place of each task in the static order, for tasks given by the numbers of those they read.
#[pyfunction]
fn order_dependencies(py: Python<'_>, dependencies: Vec<Vec<u32>>, names: Vec<String>) -> PyResult<Vec<u32>> {
    check_numbers(&dependencies)?;
    let result = py.detach(|| order(&dag_from(dependencies)));
    result.map_err(|cycle| cycle_error(&cycle, |task| names.get(task.index()).cloned().unwrap_or_default()))
}

/// `when_run`, `when_released`, `age` and `freed` of each task under an order.
#[pyfunction]
fn pressure_of(py: Python<'_>, dependencies: Vec<Vec<u32>>, priorities: Vec<u32>) -> PyResult<[Vec<u32>; 4]> {
    check_numbers(&dependencies)?;
    let mut places = priorities.clone();
    places.sort_unstable();
    if !places.into_iter().eq(0..dependencies.len() as u32) {
        return Err(PyValueError::new_err("an order gives each task a place of its own, from 0 on"));
    }
    let before = |reader: usize, task: &u32| priorities[*task as usize] < priorities[reader];
    if !dependencies.iter().enumerate().all(|(reader, list)| list.iter().all(|task| before(reader, task))) {
        return Err(PyValueError::new_err("the order runs a task before one that it depends on"));
    }
    let pressure = py.detach(|| Pressure::of(&dag_from(dependencies), &priorities));
    Ok([pressure.when_run, pressure.when_released, pressure.age, pressure.freed])
}

fn check_numbers(dependencies: &[Vec<u32>]) -> PyResult<()> {
    let n = dependencies.len() as u32;
    match dependencies.iter().flatten().find(|&&task| task >= n) {
        Some(task) => Err(PyValueError::new_err(format!("there is no task {task}: there are {n}"))),
        None => Ok(()),
    }
}

/// What `weft.dot` passes on, checked there.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Request<'py> {
    rankdir: String,
    color: Option<String>,
    /// A name, or colours.
    cmap: Vec<String>,
    maxval: Option<f64>,
    collapse_outputs: bool,
    verbose: bool,
    graph_attr: Attributes,
    node_attr: Attributes,
    edge_attr: Attributes,
    data_attributes: HashMap<KeyArgument, Attributes>,
    function_attributes: HashMap<KeyArgument, Attributes>,
    keys: Option<Vec<Bound<'py, PyAny>>>,
    limit: Option<usize>,
}

/// A key that Python gave.
#[derive(PartialEq, Eq, Hash)]
struct KeyArgument(Key);

impl<'py> FromPyObject<'_, 'py> for KeyArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        key_from_py(&object).map(KeyArgument)
    }
}

impl Request<'_> {
    fn options(self) -> PyResult<Options> {
        let direction = Direction::from_rankdir(&self.rankdir).ok_or_else(|| {
            PyValueError::new_err(format!("rankdir is one of BT, TB, LR and RL, not {:?}", self.rankdir))
        })?;
        let color_map = match &self.cmap[..] {
            [name] => ColorMap::from_name(name),
            colors => ColorMap::from_colors(colors.iter().map(String::as_str)),
        };
        let color_map = color_map.ok_or_else(|| {
            PyValueError::new_err(format!("{:?} is not a colour map", self.cmap.join(", ")))
        })?;
        let (with_order, measure) = match self.color.as_deref() {
            Some("order") => (false, Some("order")),
            Some(name) => (name.starts_with("order-"), Some(name.trim_start_matches("order-"))),
            None => (false, None),
        };
        let measure = match measure {
            None => None,
            Some("order") => Some(Measure::Order),
            Some("age" | "ages") => Some(Measure::Age),
            Some("freed") => Some(Measure::Freed),
            Some("memoryincreases") => Some(Measure::MemoryIncreases),
            Some("memorydecreases") => Some(Measure::MemoryDecreases),
            Some("memorypressure") => Some(Measure::MemoryPressure),
            Some("critical" | "cpath") => Some(Measure::CriticalPath),
            Some(other) => return Err(PyValueError::new_err(format!("Unknown value color={other:?}"))),
        };
        let by_key = |map: HashMap<KeyArgument, Attributes>| -> AHashMap<Key, Attributes> {
            map.into_iter().map(|(key, attributes)| (key.0, attributes)).collect()
        };
        let mut options = Options {
            direction,
            collapse_outputs: self.collapse_outputs,
            verbose: self.verbose,
            measure,
            with_order,
            color_map,
            most: self.maxval,
            function_attributes: by_key(self.function_attributes),
            data_attributes: by_key(self.data_attributes),
            graph_attributes: self.graph_attr,
            node_attributes: self.node_attr,
            edge_attributes: self.edge_attr,
            ..Options::default()
        };
        if let Some(limit) = self.limit {
            options.limit = limit;
        }
        Ok(options)
    }
}

/// Tasks with what Python knows about them.
struct View {
    tasks: Expanded<WorkRef>,
    roles: Vec<Role>,
}

impl View {
    fn new(tasks: Expanded<WorkRef>) -> View {
        let role = |task: TaskId| {
            let origin = tasks.origins[task.index()];
            match python_node(&tasks.layers[origin.layer as usize], origin.index) {
                Some(Node::Const(_)) => Role::Data,
                Some(Node::Input(_)) => Role::Alias,
                _ => Role::Function,
            }
        };
        let roles = tasks.dag.tasks().map(role).collect();
        View { tasks, roles }
    }

    fn picture(&self, options: &Options) -> Result<Picture, Cycle> {
        let role = |task: TaskId| self.roles[task.index()];
        picture_of(&(&self.tasks, role), options)
    }
}

fn picture(graph: &Bound<'_, PyAny>, mut request: Request<'_>) -> PyResult<Picture> {
    let keys = request.keys.take().map(|keys| keys.iter().map(key_from_py).collect::<PyResult<Vec<_>>>());
    let view = View::new(expand(&graph_from_py(graph)?, keys.transpose()?)?);
    let options = request.options()?;
    let picture = graph.py().detach(|| view.picture(&options));
    picture.map_err(|cycle| cycle_error(&cycle, |task| (&view.tasks, |_| Role::Data).key(task).to_string()))
}

/// A picture of a graph, as the content of a file.
#[pyfunction]
fn draw<'py>(
    graph: &Bound<'py, PyAny>,
    format: &str,
    request: Request<'py>,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = graph.py();
    let format = match format {
        "dot" => Format::Dot,
        "svg" => Format::Svg,
        "png" => Format::Png,
        "pdf" => Format::Pdf,
        _ => return Err(PyValueError::new_err(format!("{format:?} is not one of dot, pdf, png and svg"))),
    };
    let picture = picture(graph, request)?;
    let bytes = py.detach(|| picture.render(format)).map_err(|e| PyRuntimeError::new_err(e.to_string()))?;
    Ok(PyBytes::new(py, &bytes))
}

/// A node as Python sees it: name, label, shape, other attributes.
type Element<'py> = (String, String, &'static str, Bound<'py, PyDict>);

/// An edge as Python sees it: the names of its ends.
type Edge = (String, String);

/// The nodes and edges of the picture of a graph, for other programs to draw: `(name, label, shape,
/// attributes)` and `(name, name)`.
#[pyfunction]
fn elements<'py>(
    graph: &Bound<'py, PyAny>,
    request: Request<'py>,
) -> PyResult<(Bound<'py, PyList>, Vec<Edge>)> {
    let py = graph.py();
    let picture = picture(graph, request)?;
    let nodes = PyList::empty(py);
    for node in &picture.nodes {
        let attributes = PyDict::new(py);
        for (name, value) in node.attributes.iter().filter(|(name, _)| name != "tooltip") {
            attributes.set_item(name, value)?;
        }
        let element: Element<'py> = (node.id.clone(), node.label.clone(), node.shape.name(), attributes);
        nodes.append(element)?;
    }
    let id = |node: u32| picture.nodes[node as usize].id.clone();
    Ok((nodes, picture.edges.iter().map(|edge| (id(edge.from), id(edge.to))).collect()))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(order_graph, module)?)?;
    module.add_function(wrap_pyfunction!(order_dependencies, module)?)?;
    module.add_function(wrap_pyfunction!(pressure_of, module)?)?;
    module.add_function(wrap_pyfunction!(draw, module)?)?;
    module.add_function(wrap_pyfunction!(elements, module)?)
}
