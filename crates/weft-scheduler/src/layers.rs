//! What tasks are made of: layers, blobs, prefixes, and the index from keys to tasks.
//!
//! A task's key, its work and its options are not stored with it: its layer gives them. A layer lives as long
//! as one of its tasks is known, a blob as long as one of the layers that name it.

use std::sync::Arc;

use ahash::{AHashMap, RandomState};
use bytes::Bytes;
use hashbrown::HashTable;
use hashbrown::hash_table::{Entry, VacantEntry};
use weft_graph::{Key, LayerRef};

use crate::message::{Blob, Digest, Nanos, TaskOptions};
use crate::plan::{Spec, Work};
use crate::task::Tasks;

#[derive(Debug)]
pub(crate) struct LayerEntry {
    pub layer: LayerRef<Spec>,
    /// Tasks that are known.
    pub tasks: u32,
    /// How many it had when it came: whether it is large enough to be spread.
    pub size: u32,
    pub options: Arc<TaskOptions>,
    /// The options, if they differ from the default.
    pub special: Option<Arc<TaskOptions>>,
    /// Whether options restrict where its tasks run.
    pub restricted: bool,
    /// Of layers whose keys start with the layer's name.
    pub prefix: Option<u32>,
    name_hash: u64,
}

/// Layers with known tasks.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    entries: Vec<Option<LayerEntry>>,
    free: Vec<u32>,
    pub blobs: Blobs,
}

impl Layers {
    pub fn insert(&mut self, layer: LayerRef<Spec>) -> u32 {
        let options = layer.work.options.clone();
        self.blobs.hold(&layer.work.work);
        let special = (*options != TaskOptions::default()).then(|| options.clone());
        let restricted = !options.workers.is_empty() || !options.resources.is_empty();
        let name_hash = seeded().hash_one(&layer.name);
        let entry =
            LayerEntry { layer, tasks: 0, size: 0, options, special, restricted, prefix: None, name_hash };
        match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = Some(entry);
                at
            }
            None => {
                self.entries.push(Some(entry));
                self.entries.len() as u32 - 1
            }
        }
    }

    /// The entry of a layer that has tasks.
    #[allow(clippy::expect_used)]
    pub fn get(&self, at: u32) -> &LayerEntry {
        // Only tasks and plans under way name layers, and both are counted in `tasks`.
        self.entries[at as usize].as_ref().expect("a layer lives as long as its tasks")
    }

    #[allow(clippy::expect_used)]
    pub fn get_mut(&mut self, at: u32) -> &mut LayerEntry {
        self.entries[at as usize].as_mut().expect("a layer lives as long as its tasks")
    }

    /// One task less. Gives the digests of blobs that nothing names any more.
    pub fn forget_task(&mut self, at: u32) -> Vec<Digest> {
        let entry = self.get_mut(at);
        entry.tasks -= 1;
        if entry.tasks > 0 { Vec::new() } else { self.remove(at) }
    }

    /// Takes out a layer if it has no tasks.
    pub fn remove_unused(&mut self, at: u32) -> Vec<Digest> {
        if self.get(at).tasks == 0 { self.remove(at) } else { Vec::new() }
    }

    fn remove(&mut self, at: u32) -> Vec<Digest> {
        self.free.push(at);
        match self.entries[at as usize].take() {
            Some(entry) => self.blobs.release(&entry.layer.work.work),
            None => Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub fn key(&self, layer: u32, index: u32) -> Key {
        self.get(layer).layer.key(index)
    }

    /// The work of a task as it is sent: its blob and its payload.
    pub fn work(&self, layer: u32, index: u32) -> (Option<Digest>, Bytes) {
        match &self.get(layer).layer.work.work {
            Work::Known => (None, Bytes::new()),
            Work::Shared { blob } => (Some(*blob), Bytes::new()),
            Work::Each { blobs, payloads } => {
                let blob = blobs.get(index as usize).or(blobs.first()).copied().flatten();
                (blob, payloads.get(index))
            }
        }
    }

    /// Whether a lost result can be computed again.
    pub fn is_computable(&self, layer: u32) -> bool {
        !matches!(self.get(layer).layer.work.work, Work::Known)
    }
}

#[derive(Debug)]
struct BlobEntry {
    /// `None` until a client has sent it.
    bytes: Option<Bytes>,
    /// Layers that name it.
    layers: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Blobs {
    entries: AHashMap<Digest, BlobEntry>,
}

impl Blobs {
    /// Takes in what a client has sent. It stays if a layer names it before [`Blobs::sweep`].
    pub fn add(&mut self, blob: Blob) {
        let entry = self.entries.entry(blob.digest).or_insert(BlobEntry { bytes: None, layers: 0 });
        entry.bytes = Some(blob.bytes);
    }

    pub fn bytes(&self, digest: Digest) -> Option<&Bytes> {
        self.entries.get(&digest)?.bytes.as_ref()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Drops what was sent and not named.
    pub fn sweep(&mut self, digests: impl IntoIterator<Item = Digest>) {
        for digest in digests {
            if self.entries.get(&digest).is_some_and(|entry| entry.layers == 0) {
                self.entries.remove(&digest);
            }
        }
    }

    fn hold(&mut self, work: &Work) {
        each_blob(work, |digest| {
            self.entries.entry(digest).or_insert(BlobEntry { bytes: None, layers: 0 }).layers += 1;
        });
    }

    fn release(&mut self, work: &Work) -> Vec<Digest> {
        let mut gone = Vec::new();
        each_blob(work, |digest| {
            if let Some(entry) = self.entries.get_mut(&digest) {
                entry.layers -= 1;
                if entry.layers == 0 {
                    self.entries.remove(&digest);
                    gone.push(digest);
                }
            }
        });
        gone
    }
}

/// Each blob that a work names, once for each run of tasks that name it.
fn each_blob(work: &Work, mut visit: impl FnMut(Digest)) {
    match work {
        Work::Known => {}
        Work::Shared { blob } => visit(*blob),
        Work::Each { blobs, .. } => {
            let mut last = None;
            for blob in blobs.iter().flatten() {
                if last != Some(*blob) {
                    visit(*blob);
                    last = Some(*blob);
                }
            }
        }
    }
}

/// Tasks by key.
#[derive(Debug, Default)]
pub(crate) struct Index {
    table: HashTable<u32>,
    state: Fixed,
}

/// The same hashes in each run: the order of events decides everything.
#[derive(Debug)]
struct Fixed(RandomState);

impl Default for Fixed {
    fn default() -> Self {
        Fixed(seeded())
    }
}

fn seeded() -> RandomState {
    RandomState::with_seeds(1, 2, 3, 4)
}

impl Index {
    pub fn nbytes(&self) -> usize {
        self.table.allocation_size()
    }

    pub fn reserve(&mut self, additional: usize, tasks: &Tasks, layers: &Layers) {
        let Index { table, state } = self;
        table.reserve(additional, |&slot| hash_task(&state.0, tasks, layers, slot));
    }

    pub fn find(&self, key: &Key, tasks: &Tasks, layers: &Layers) -> Option<u32> {
        let hash = hash_key(&self.state.0, key);
        self.table
            .find(hash, |&slot| {
                let task = &tasks[slot];
                key_is(&layers.get(task.layer).layer, task.index, key)
            })
            .copied()
    }

    /// The task that has the key of task `index` of the layer at `at`; if there is none, its place.
    pub fn find_or_place(
        &mut self,
        at: u32,
        index: u32,
        tasks: &Tasks,
        layers: &Layers,
    ) -> Result<u32, VacantEntry<'_, u32>> {
        let Index { table, state } = self;
        let ours = layers.get(at);
        let layer = &ours.layer;
        let hash = hash_of(&state.0, ours, index);
        let same_key = |&slot: &u32| {
            let task = &tasks[slot];
            let other = &layers.get(task.layer).layer;
            let same = Arc::ptr_eq(other, layer);
            // Within a grid, different positions are different keys; a list may say a key twice.
            let by_position = same && !matches!(layer.rule, weft_graph::Rule::Explicit { .. });
            match by_position || (same && task.index == index) {
                true => task.index == index,
                false => key_is(other, task.index, &layer.key(index)),
            }
        };
        match table.entry(hash, same_key, |&slot| hash_task(&state.0, tasks, layers, slot)) {
            Entry::Occupied(entry) => Ok(*entry.get()),
            Entry::Vacant(place) => Err(place),
        }
    }

    pub fn insert(&mut self, slot: u32, tasks: &Tasks, layers: &Layers) {
        let Index { table, state } = self;
        let hash = hash_task(&state.0, tasks, layers, slot);
        table.insert_unique(hash, slot, |&slot| hash_task(&state.0, tasks, layers, slot));
    }

    pub fn remove(&mut self, slot: u32, tasks: &Tasks, layers: &Layers) {
        let hash = hash_task(&self.state.0, tasks, layers, slot);
        if let Ok(entry) = self.table.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }
}

fn hash_task(state: &RandomState, tasks: &Tasks, layers: &Layers, slot: u32) -> u64 {
    let task = &tasks[slot];
    hash_of(state, layers.get(task.layer), task.index)
}

/// The hash of a key, equal to that of the same key made by the rule of a grid: that of the first part, then mixed
/// with each position.
fn hash_key(state: &RandomState, key: &Key) -> u64 {
    match key {
        Key::Tuple(parts) if !parts.is_empty() => {
            let name = state.hash_one(&parts[0]);
            parts[1..].iter().fold(name, |hash, part| match part {
                Key::Int(n) => mix(hash, *n),
                other => mix(hash, state.hash_one(other) as i64),
            })
        }
        other => state.hash_one(other),
    }
}

fn mix(hash: u64, n: i64) -> u64 {
    let product = u128::from(hash ^ n as u64 ^ 0x9e37_79b9_7f4a_7c15) * 0xd1b5_4a32_d192_ed03;
    (product as u64) ^ (product >> 64) as u64
}

fn hash_of(state: &RandomState, entry: &LayerEntry, index: u32) -> u64 {
    use weft_graph::Rule;
    match &entry.layer.rule {
        Rule::Single { .. } => hash_key(state, &entry.layer.name),
        Rule::Explicit { keys, .. } => hash_key(state, &keys[index as usize]),
        Rule::Grid { shape, .. } | Rule::Table { shape, .. } => {
            let mut hash = entry.name_hash;
            each_position(shape, index, |n| hash = mix(hash, n));
            hash
        }
    }
}

/// The positions of task `index` along the axes of its grid, outermost first.
fn each_position(shape: &[u32], index: u32, mut visit: impl FnMut(i64)) {
    let mut stride: u64 = shape.iter().map(|&n| u64::from(n)).product();
    let mut rest = u64::from(index);
    for &n in shape {
        stride /= u64::from(n.max(1));
        visit((rest / stride) as i64);
        rest %= stride;
    }
}

/// Whether `key` is the key of task `index` of a layer, without making that key.
fn key_is(layer: &LayerRef<Spec>, index: u32, key: &Key) -> bool {
    use weft_graph::Rule;
    match &layer.rule {
        Rule::Single { .. } => layer.name == *key,
        Rule::Explicit { keys, .. } => keys[index as usize] == *key,
        Rule::Grid { shape, .. } | Rule::Table { shape, .. } => match key {
            Key::Tuple(parts) if parts.len() == shape.len() + 1 && parts[0] == layer.name => {
                let mut parts = parts[1..].iter();
                let mut same = true;
                each_position(shape, index, |n| same &= parts.next() == Some(&Key::Int(n)));
                same
            }
            _ => false,
        },
    }
}

/// What is known of tasks that have the same prefix.
#[derive(Debug)]
pub(crate) struct Prefix {
    pub name: Arc<str>,
    /// Mean duration; `None` until one has run.
    pub duration_us: Option<u32>,
    pub nbytes: f64,
    pub finished: u64,
    /// Time spent in its tasks.
    pub total_ns: u64,
    /// Tasks in the table, and how many had finished when there were none last: what is newer belongs to these.
    pub live: u32,
    pub finished_before: u64,
    pub type_name: Arc<str>,
}

const MAX_PREFIXES: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    entries: Vec<Prefix>,
    by_name: AHashMap<Arc<str>, u32>,
}

impl Prefixes {
    pub fn of(&mut self, name: &str) -> u32 {
        if let Some(&at) = self.by_name.get(name) {
            return at;
        }
        // Users may name tasks as they like; what is remembered of names must not grow for ever.
        let name: Arc<str> = if self.entries.len() < MAX_PREFIXES { name.into() } else { "Other".into() };
        if let Some(&at) = self.by_name.get(&name) {
            return at;
        }
        let at = self.entries.len() as u32;
        self.by_name.insert(name.clone(), at);
        self.entries.push(Prefix {
            name,
            duration_us: None,
            nbytes: 0.0,
            finished: 0,
            total_ns: 0,
            live: 0,
            finished_before: 0,
            type_name: "".into(),
        });
        at
    }

    pub fn get(&self, at: u32) -> &Prefix {
        &self.entries[at as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Prefix> {
        self.entries.iter()
    }

    /// A task of this prefix came into the table.
    pub fn came(&mut self, at: u32) {
        let prefix = &mut self.entries[at as usize];
        if prefix.live == 0 {
            prefix.finished_before = prefix.finished;
        }
        prefix.live += 1;
    }

    /// … or left it.
    pub fn went(&mut self, at: u32) {
        let prefix = &mut self.entries[at as usize];
        prefix.live = prefix.live.saturating_sub(1);
    }

    /// Takes a run into account; true if it is the first of its prefix.
    pub fn finished(&mut self, at: u32, duration_ns: Nanos, nbytes: u64, type_name: &Arc<str>) -> bool {
        let prefix = &mut self.entries[at as usize];
        // At least something: whoever sends by estimates must come to an end.
        let us = u32::try_from(duration_ns / 1000).unwrap_or(u32::MAX).max(1);
        prefix.finished += 1;
        prefix.total_ns += duration_ns;
        // A plain mean first, then one that follows what changes.
        let weight = prefix.finished.min(16) as f64;
        prefix.nbytes += (nbytes as f64 - prefix.nbytes) / weight;
        if !type_name.is_empty() && prefix.type_name != *type_name {
            prefix.type_name = type_name.clone();
        }
        let first = prefix.duration_us.is_none();
        let mean = f64::from(prefix.duration_us.unwrap_or(us));
        prefix.duration_us = Some((mean + (f64::from(us) - mean) / weight) as u32);
        first
    }
}
