//! A simulated client: it makes graphs at random, holds futures, and lets them go.

use std::collections::BTreeMap;
use std::sync::Arc;

use weft_graph::{Axis, Key, Read, Rule};
use weft_scheduler::message::{
    Blob, Bytes, ClientId, Digest, Failure, FromClient, FutureId, Graph, LayerSpec, LayerWork, Payloads,
    TaskId, TaskOptions, ToClient, Want, WorkerId,
};

use crate::random::Random;
use crate::work::{Model, WorkSpec};

#[derive(Debug)]
pub struct Client {
    pub id: ClientId,
    pub futures: BTreeMap<FutureId, Future>,
    /// Everything that was sent, to be sent again to a scheduler that restarted.
    pub graphs: Vec<Graph>,
    pub next_future: u64,
    pub next_name: u64,
    /// Blobs that the scheduler may be expected to have.
    pub sent: Vec<Digest>,
    pub answers: u64,
    pub asked: u64,
}

#[derive(Clone, Debug)]
pub struct Future {
    pub key: Key,
    pub fate: Fate,
}

#[derive(Clone, Debug)]
pub enum Fate {
    Pending,
    Done { task: TaskId, worker: WorkerId },
    Erred { origin: Key, failure: Arc<Failure> },
    Cancelled,
}

/// How a client makes graphs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taste {
    pub max_tasks: u64,
    pub max_duration_us: u64,
    pub max_nbytes: u64,
    /// In percent.
    pub failing: u64,
    pub restricted: u64,
    pub n_places: u64,
}

pub(crate) fn blob(n: u128) -> Blob {
    Blob { digest: Digest(n), bytes: Bytes::from(n.to_le_bytes().to_vec()) }
}

impl Client {
    pub fn new(id: ClientId) -> Self {
        Client {
            id,
            futures: BTreeMap::new(),
            graphs: Vec::new(),
            next_future: 0,
            next_name: 0,
            sent: Vec::new(),
            answers: 0,
            asked: 0,
        }
    }

    pub fn new_future(&mut self, key: Key) -> FutureId {
        self.next_future += 1;
        let future = FutureId(self.next_future);
        self.futures.insert(future, Future { key, fate: Fate::Pending });
        future
    }

    fn name(&mut self, kind: &str) -> Key {
        self.next_name += 1;
        Key::from(format!("{kind}-{}x{}", self.id.0, self.next_name))
    }

    /// A random graph that may read results that this client holds.
    pub(crate) fn graph(&mut self, random: &mut Random, model: &mut Model, taste: &Taste) -> Graph {
        let mut graph = Graph::default();
        graph.options.push(TaskOptions::default());
        let retries =
            TaskOptions { retries: 100, priority: random.below(3) as i32 - 1, ..TaskOptions::default() };
        graph.options.push(retries);
        let place = format!("w{}", random.below(taste.n_places));
        let allow_other_workers = random.chance(50);
        let workers = vec![place.as_str().into()];
        graph.options.push(TaskOptions {
            workers,
            allow_other_workers,
            retries: 100,
            ..TaskOptions::default()
        });
        let resources = vec![("GPU".into(), 1.0)];
        graph.options.push(TaskOptions { resources, retries: 100, ..TaskOptions::default() });
        graph.digests = (0..2).map(|_| Digest(u128::from(random.below(4)))).collect();
        for digest in graph.digests.clone() {
            // Sometimes it believes that the scheduler has it still.
            if !self.sent.contains(&digest) || random.chance(30) {
                graph.blobs.push(blob(digest.0));
                self.sent.push(digest);
            }
        }
        // Keys of each layer's tasks.
        let mut keys: Vec<Vec<Key>> = Vec::new();
        let held: Vec<Key> = self
            .futures
            .values()
            .filter(|future| !matches!(future.fate, Fate::Cancelled))
            .map(|future| future.key.clone())
            .collect();
        if !held.is_empty() && random.chance(60) {
            let known: Vec<Key> =
                (0..1 + random.below(3)).filter_map(|_| random.pick(&held).cloned()).collect();
            let n = known.len();
            let rule = Rule::Explicit { keys: known.clone().into(), starts: vec![0; n + 1], reads: vec![] };
            let name = self.name("known");
            graph.layers.push(LayerSpec { name, inputs: vec![], rule, work: LayerWork::Known, options: 0 });
            keys.push(known);
        }
        for _ in 0..1 + random.below(4) {
            self.layer(&mut graph, &mut keys, random, model, taste);
        }
        for (l, keys) in keys.iter().enumerate() {
            if matches!(graph.layers[l].work, LayerWork::Known) {
                continue;
            }
            let last = l + 1 == graph.layers.len();
            for (i, key) in keys.iter().enumerate() {
                if random.chance(if last { 70 } else { 15 }) {
                    let future = self.new_future(key.clone());
                    graph.wants.push(Want { future, layer: l as u32, index: i as u32 });
                }
            }
        }
        graph
    }

    fn layer(
        &mut self,
        graph: &mut Graph,
        keys: &mut Vec<Vec<Key>>,
        random: &mut Random,
        model: &mut Model,
        taste: &Taste,
    ) {
        let l = graph.layers.len() as u32;
        let grids: Vec<(u32, Vec<u32>)> = graph
            .layers
            .iter()
            .enumerate()
            .filter_map(|(i, layer)| match &layer.rule {
                Rule::Grid { shape, .. } if shape.len() == 2 => Some((i as u32, shape.clone())),
                _ => None,
            })
            .collect();
        let (name, rule, inputs) = if random.chance(50) {
            let name = self.name("grid");
            let along = |own| Axis::Along { own, offset: 0 };
            match random.pick(&grids).cloned() {
                Some((input, shape)) if random.chance(75) => {
                    let axes = match random.below(3) {
                        0 => vec![along(0), along(1)],
                        1 if shape[0] == shape[1] => vec![along(1), along(0)],
                        _ => vec![Axis::All, along(1)],
                    };
                    let reads =
                        vec![Read { input: 0, axes: vec![along(0), along(1)] }, Read { input: 0, axes }];
                    (name, Rule::Grid { shape, reads }, vec![input])
                }
                _ => {
                    let side = 1 + random.below(taste.max_tasks.isqrt().max(1)) as u32;
                    let other = 1 + random.below(taste.max_tasks.isqrt().max(1)) as u32;
                    let shape = if random.chance(50) { vec![side, side] } else { vec![side, other] };
                    (name, Rule::Grid { shape, reads: vec![] }, vec![])
                }
            }
        } else {
            let name = self.name("list");
            let n = 1 + random.below(taste.max_tasks) as u32;
            let own: Vec<Key> = (0..n).map(|_| self.name("item")).collect();
            let inputs: Vec<u32> = (0..l).collect();
            let (mut starts, mut reads) = (vec![0], Vec::new());
            for i in 0..n {
                for _ in 0..random.below(4) {
                    let from = random.below(u64::from(l) + 1) as u32;
                    if from < l {
                        reads.push((from, random.below(keys[from as usize].len() as u64) as u32));
                    } else if i > 0 {
                        reads.push((u32::MAX, random.below(u64::from(i)) as u32));
                    }
                }
                starts.push(reads.len() as u32);
            }
            (name, Rule::Explicit { keys: own.into(), starts, reads }, inputs)
        };
        // The layers' own code says who reads what; the cluster's is tested against it.
        let shape: Vec<weft_graph::LayerRef<()>> = self.plain_layers(graph, &name, &rule, &inputs);
        let Some(layer) = shape.last() else { return };
        let mut own = Vec::new();
        let mut payloads = Vec::new();
        let failing = random.chance(taste.failing);
        for i in 0..layer.len() as u32 {
            let spec = WorkSpec {
                salt: random.number(),
                duration_us: random.below(taste.max_duration_us) + 1,
                nbytes: random.below(taste.max_nbytes) + 1,
                always_fails: failing && random.chance(5),
                fails_sometimes: random.chance(5),
                secedes: random.chance(3),
                reschedules: random.chance(2),
                kills: false,
            };
            let key = layer.key(i);
            let mut read = Vec::new();
            layer.reads(i, |input, task| {
                let key =
                    if input == u32::MAX { layer.key(task) } else { layer.inputs[input as usize].key(task) };
                read.push(key);
            });
            model.add(key.clone(), spec, read);
            own.push(key);
            payloads.push(spec.encode());
        }
        let blobs = match random.below(3) {
            0 => vec![u32::MAX],
            1 => vec![random.below(2) as u32],
            _ => (0..own.len()).map(|_| random.below(2) as u32).collect(),
        };
        let options = if random.chance(taste.restricted) { 2 + random.below(2) as u32 } else { 1 };
        let work = LayerWork::Each { blobs, payloads: Payloads::from_slices(payloads) };
        graph.layers.push(LayerSpec { name, inputs, rule, work, options });
        keys.push(own);
    }

    fn plain_layers(
        &self,
        graph: &Graph,
        name: &Key,
        rule: &Rule,
        inputs: &[u32],
    ) -> Vec<weft_graph::LayerRef<()>> {
        let mut layers: Vec<weft_graph::LayerRef<()>> = Vec::new();
        let specs = graph.layers.iter().map(|layer| (&layer.name, &layer.rule, &layer.inputs[..]));
        for (name, rule, inputs) in specs.chain([(name, rule, inputs)]) {
            let inputs = inputs.iter().map(|&input| layers[input as usize].clone()).collect();
            match weft_graph::Layer::new(name.clone(), inputs, rule.clone(), ()) {
                Ok(layer) => layers.push(layer),
                Err(problem) => unreachable!("the simulation made a bad graph: {problem}"),
            }
        }
        layers
    }

    /// The scheduler is a new one: what its predecessor said of tasks means nothing.
    pub(crate) fn forget_places(&mut self) {
        for future in self.futures.values_mut() {
            if matches!(future.fate, Fate::Done { .. }) {
                future.fate = Fate::Pending;
            }
        }
    }

    /// What is said to a scheduler that knows nothing: all graphs again, with futures for those that are gone
    /// too, because later graphs read their results.
    pub(crate) fn say_again(&mut self) -> Vec<FromClient> {
        let mut messages = Vec::new();
        let mut passing = Vec::new();
        self.sent.clear();
        for graph in self.graphs.clone() {
            let mut graph = graph;
            graph.blobs = graph.digests.iter().map(|digest| blob(digest.0)).collect();
            for want in &mut graph.wants {
                let held = self.futures.get(&want.future).is_some_and(|f| !matches!(f.fate, Fate::Cancelled));
                if !held {
                    self.next_future += 1;
                    want.future = FutureId(self.next_future);
                    passing.push(want.future);
                }
            }
            messages.push(FromClient::Graph(graph));
        }
        let held = self.futures.iter().filter(|(_, future)| !matches!(future.fate, Fate::Cancelled));
        messages
            .push(FromClient::Want { futures: held.map(|(&id, future)| (id, future.key.clone())).collect() });
        messages.push(FromClient::Release { futures: passing });
        messages
    }

    pub(crate) fn hear(&mut self, message: ToClient) -> Option<FromClient> {
        let mut set = |future: FutureId, fate: Fate| {
            if let Some(future) = self.futures.get_mut(&future) {
                future.fate = fate;
            }
        };
        match message {
            ToClient::Done { futures, .. } => {
                for done in futures {
                    set(done.future, Fate::Done { task: done.task, worker: done.worker });
                }
            }
            ToClient::Erred { futures, key, failure } => {
                for future in futures {
                    set(future, Fate::Erred { origin: key.clone(), failure: failure.clone() });
                }
            }
            ToClient::Cancelled { futures, .. } | ToClient::Refused { futures, .. } => {
                for future in futures {
                    set(future, Fate::Cancelled);
                }
            }
            ToClient::Lost { futures } | ToClient::Retried { futures } => {
                for future in futures {
                    set(future, Fate::Pending);
                }
            }
            ToClient::NeedBlobs { digests } => {
                return Some(FromClient::Blobs {
                    blobs: digests.iter().map(|digest| blob(digest.0)).collect(),
                });
            }
            ToClient::Answer { .. } => self.answers += 1,
            ToClient::Welcome(_)
            | ToClient::Coordinate { .. }
            | ToClient::Topic { .. }
            | ToClient::Close { .. } => {}
        }
        None
    }
}
