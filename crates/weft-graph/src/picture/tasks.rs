//! From tasks to a picture: a circle for each call, a box for each result.

use ahash::AHashMap;

use super::{ColorMap, Direction, Edge, Node, Picture, Shape, groups};
use crate::{Cycle, Dag, Expanded, Key, Pressure, TaskId, order, topological_order};

/// Attributes of a node under their names in Graphviz; `label` and `shape` too.
pub type Attributes = Vec<(String, String)>;

/// Graphs with more tasks than this are drawn as groups of tasks unless told otherwise.
const LIMIT: usize = 1500;

/// What a task is, to someone who looks at the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A call.
    Function,
    /// A value that is there from the start.
    Data,
    /// Another name of a result.
    Alias,
}

/// What colours stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The place of each task in the static order.
    Order,
    /// How long its result is held, in tasks.
    Age,
    /// How many results it lets go.
    Freed,
    /// How many more results are held at the end of its life than at the start.
    MemoryIncreases,
    /// How many fewer.
    MemoryDecreases,
    /// How many results are held when it runs; for results, when they are let go.
    MemoryPressure,
    /// How many tasks the longest chain through it has.
    CriticalPath,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub direction: Direction,
    /// Leave out the boxes of results that a call makes.
    pub collapse_outputs: bool,
    /// Label boxes with their whole keys.
    pub verbose: bool,
    pub measure: Option<Measure>,
    /// Labels say the place in the order too.
    pub with_order: bool,
    pub color_map: ColorMap,
    /// The value that gets the last colour; without it, the largest.
    pub most: Option<f64>,
    pub function_attributes: AHashMap<Key, Attributes>,
    pub data_attributes: AHashMap<Key, Attributes>,
    pub graph_attributes: Attributes,
    pub node_attributes: Attributes,
    pub edge_attributes: Attributes,
    /// More tasks than this are drawn as groups.
    pub limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            direction: Direction::Up,
            collapse_outputs: false,
            verbose: false,
            measure: None,
            with_order: false,
            color_map: ColorMap::default(),
            most: None,
            function_attributes: AHashMap::new(),
            data_attributes: AHashMap::new(),
            graph_attributes: Vec::new(),
            node_attributes: Vec::new(),
            edge_attributes: Vec::new(),
            limit: LIMIT,
        }
    }
}

/// A graph as pictures see it.
pub trait TaskView {
    fn dag(&self) -> &Dag;
    fn key(&self, task: TaskId) -> Key;
    fn role(&self, task: TaskId) -> Role;
    /// A number that the tasks of one layer share, and the layer's extents, if it is a grid.
    fn grid(&self, task: TaskId) -> Option<(u32, Vec<u32>)>;
}

/// Expanded layers, and what each of their tasks is.
impl<W, F: Fn(TaskId) -> Role> TaskView for (&Expanded<W>, F) {
    fn dag(&self) -> &Dag {
        &self.0.dag
    }

    fn key(&self, task: TaskId) -> Key {
        self.0.key(task)
    }

    fn role(&self, task: TaskId) -> Role {
        self.1(task)
    }

    fn grid(&self, task: TaskId) -> Option<(u32, Vec<u32>)> {
        let layer = self.0.origins[task.index()].layer;
        match &self.0.layers[layer as usize].rule {
            crate::Rule::Grid { shape, .. } | crate::Rule::Table { shape, .. } => {
                Some((layer, shape.clone()))
            }
            _ => None,
        }
    }
}

/// Values that colours and labels show.
pub(super) struct Values {
    pub functions: Vec<f64>,
    pub data: Vec<f64>,
    pub order: Vec<u32>,
    most: f64,
}

impl Values {
    fn of(dag: &Dag, measure: Measure, most: Option<f64>) -> Result<Values, Cycle> {
        let order = order(dag)?;
        let numbers = |list: &[u32]| list.iter().map(|&n| n as f64).collect::<Vec<f64>>();
        let (functions, data) = match measure {
            Measure::Order => (numbers(&order), numbers(&order)),
            Measure::CriticalPath => {
                let longest = numbers(&longest_chains(dag)?);
                (longest.clone(), longest)
            }
            _ => {
                let pressure = Pressure::of(dag, &order);
                let both = |list: &[u32]| (numbers(list), numbers(list));
                let difference = |a: &[u32], b: &[u32]| {
                    let list: Vec<u32> = a.iter().zip(b).map(|(a, b)| a.saturating_sub(*b)).collect();
                    both(&list)
                };
                match measure {
                    Measure::Age => both(&pressure.age),
                    Measure::Freed => both(&pressure.freed),
                    Measure::MemoryIncreases => difference(&pressure.when_released, &pressure.when_run),
                    Measure::MemoryDecreases => difference(&pressure.when_run, &pressure.when_released),
                    _ => (numbers(&pressure.when_run), numbers(&pressure.when_released)),
                }
            }
        };
        let largest = functions.iter().chain(&data).copied().fold(1.0, f64::max);
        Ok(Values { functions, data, order, most: most.filter(|&m| m > 0.0).unwrap_or(largest) })
    }

    pub fn color(&self, value: f64, options: &Options) -> String {
        options.color_map.hex(value / self.most)
    }

    fn label(&self, task: TaskId, options: &Options) -> String {
        let value = self.functions[task.index()];
        if options.with_order { format!("{}-{value}", self.order[task.index()]) } else { value.to_string() }
    }
}

/// For each task, how many tasks the longest chain through it has.
fn longest_chains(dag: &Dag) -> Result<Vec<u32>, Cycle> {
    let topological = topological_order(dag)?;
    let mut above = vec![1u32; dag.len()];
    for &task in &topological {
        let longest = dag.dependencies(task).iter().map(|d| above[d.index()]).max();
        above[task.index()] = longest.unwrap_or(0) + 1;
    }
    let mut below = vec![0u32; dag.len()];
    for &task in topological.iter().rev() {
        for dependency in dag.dependencies(task) {
            below[dependency.index()] = below[dependency.index()].max(below[task.index()] + 1);
        }
    }
    Ok(above.iter().zip(&below).map(|(a, b)| a + b).collect())
}

/// The picture of a graph: of its tasks, or of groups of them if there are too many.
///
/// Fails only if colours need the order of a graph with a circle.
pub fn picture_of(view: &impl TaskView, options: &Options) -> Result<Picture, Cycle> {
    let values = options.measure.map(|measure| Values::of(view.dag(), measure, options.most)).transpose()?;
    let mut picture = Picture {
        direction: options.direction,
        graph_attributes: options.graph_attributes.clone(),
        node_attributes: options.node_attributes.clone(),
        edge_attributes: options.edge_attributes.clone(),
        ..Picture::default()
    };
    if view.dag().len() > options.limit {
        groups::draw(view, options, values.as_ref(), &mut picture);
    } else {
        draw_tasks(view, options, values.as_ref(), &mut picture);
    }
    Ok(picture)
}

fn draw_tasks(view: &impl TaskView, options: &Options, values: Option<&Values>, picture: &mut Picture) {
    let dag = view.dag();
    // The node that stands for each task's result, and the one that its inputs lead to.
    let mut result = vec![0u32; dag.len()];
    let mut entry = vec![0u32; dag.len()];
    let push = |node: Node, picture: &mut Picture| {
        picture.nodes.push(node);
        picture.nodes.len() as u32 - 1
    };
    let touched = if options.collapse_outputs { touched(dag) } else { Vec::new() };
    for task in dag.tasks() {
        let key = view.key(task);
        let name = key.to_string();
        let role = view.role(task);
        let is_function = role == Role::Function;
        if is_function {
            let mut node = Node::new(format!("{name} call"), key.prefix(), Shape::Ellipse);
            if let Some(values) = values {
                let color = values.color(values.functions[task.index()], options);
                node.attributes.push(("color".to_owned(), color));
                node.label = values.label(task, options);
            }
            node.attributes.push(("tooltip".to_owned(), name.clone()));
            apply(&mut node, options.function_attributes.get(&key));
            entry[task.index()] = push(node, picture);
            result[task.index()] = entry[task.index()];
        }
        let shown = match options.collapse_outputs {
            true => !is_function && touched[task.index()],
            false => true,
        };
        if shown {
            let label = if options.verbose { verbose_label(&key) } else { box_label(&key) };
            let mut node = Node::new(name.clone(), label, Shape::Box);
            if let Some(values) = values {
                let color = values.color(values.data[task.index()], options);
                node.attributes.push(("color".to_owned(), color));
            }
            apply(&mut node, options.data_attributes.get(&key));
            result[task.index()] = push(node, picture);
            if is_function {
                picture.edges.push(Edge { from: entry[task.index()], to: result[task.index()] });
            } else {
                entry[task.index()] = result[task.index()];
            }
        }
    }
    let mut seen: Vec<TaskId> = Vec::new();
    for task in dag.tasks() {
        seen.clear();
        for &dependency in dag.dependencies(task) {
            if !seen.contains(&dependency) {
                seen.push(dependency);
                picture.edges.push(Edge { from: result[dependency.index()], to: entry[task.index()] });
            }
        }
    }
}

/// Tasks that an edge leads to or from.
fn touched(dag: &Dag) -> Vec<bool> {
    let mut touched = vec![false; dag.len()];
    for task in dag.tasks() {
        for dependency in dag.dependencies(task) {
            touched[dependency.index()] = true;
            touched[task.index()] = true;
        }
    }
    touched
}

fn apply(node: &mut Node, attributes: Option<&Attributes>) {
    for (name, value) in attributes.into_iter().flatten() {
        match name.as_str() {
            "label" => node.label.clone_from(value),
            "shape" => {
                node.shape = Shape::from_name(value);
                node.attributes.push((name.clone(), value.clone()));
            }
            _ => {
                node.attributes.retain(|(n, _)| n != name);
                node.attributes.push((name.clone(), value.clone()));
            }
        }
    }
}

/// Which block of its collection a result is; nothing for a result that stands alone.
fn box_label(key: &Key) -> String {
    match key {
        Key::Tuple(parts) if parts.len() == 2 => plain(&parts[1]),
        Key::Tuple(parts) if parts.len() > 2 => Key::Tuple(parts[1..].into()).to_string(),
        _ => String::new(),
    }
}

fn verbose_label(key: &Key) -> String {
    match key {
        Key::Tuple(_) => box_label(key),
        _ => plain(key),
    }
}

/// A key without the quotes of text.
fn plain(key: &Key) -> String {
    key.as_str().map_or_else(|| key.to_string(), str::to_owned)
}
