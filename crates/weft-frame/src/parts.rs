//! Merging partial aggregations of many groups: in parts, side by side.
//!
//! ```text
//! partial[i]    the groups of input partition i
//! sample[i]     some of its keys
//! cut           reads the samples: where each part begins
//! route[i]      the groups of partial i, a piece for each part
//! piece[i, r]   one of them
//! sent[i]       nothing; reads piece[i, *]
//! part[r]       merges and sorts piece[*, r]; waits for all of sent
//! result        the parts, one below the other, in order
//! ```
//!
//! A group belongs to a part by its key: by range if there is one key, so that the parts follow each other;
//! else by a hash. Few groups all belong to part 0. Groups that stay in order of first appearance take along where
//! that was: the partial, and the row of it. A result in several partitions has these for parts.
//!
//! No task holds more than one partial or one part, and what waits is pieces, which the store moves to disk; `sent`
//! is there for the order of tasks, as in a shuffle.

use std::fmt;
use std::sync::Arc;

use arrow_array::UInt32Array;
use arrow_array::types::{Float64Type, Int64Type};
use weft_data::{Column, DType, ErrorKind, Frame, Index, Kind, LayerRef, TaskError, Value, Work};
use weft_graph::{Axis, Key, Read, Rule};

use crate::aggregate::{Aggregator, Spec};
use crate::error::ExprError;
use crate::exchange::{KeyRef, aligned, concat_owned, frame, layer, owned_frame, take_rows, take_rows_owned};
use crate::expr::Finish;
use crate::kernel::{self, Vector};
use crate::shuffle::{Sent, partitions};
use crate::sort::{SortBy, SortKeys};
use crate::work::{Bundle, bundle};

type Result<T> = std::result::Result<T, ExprError>;

/// Parts that merge side by side, of a few partials.
const PARTS: u32 = 8;

/// Parts of any number of partials: pieces are as many as parts times partials.
const MOST_PARTS: u32 = 64;

/// Groups that are too few to be worth it.
const FEW: usize = 1 << 15;

/// Keys of each partial that are looked at to cut ranges.
const SAMPLE: usize = 1 << 9;

/// Whether the groups of an aggregation can be merged in parts.
pub fn splits(spec: &Spec) -> bool {
    !spec.keys.is_empty() && matches!(spec.finish, Finish::Groups { .. })
}

/// The number of parts that `n` partials are merged in: about half a partition's rows each, however many there are.
fn count(n: u32) -> u32 {
    (n / 2).clamp(PARTS, MOST_PARTS)
}

/// The layers from partials to a result of one partition, called `name`.
pub fn merged(
    name: Key,
    partials: LayerRef,
    sink: usize,
    spec: Arc<Spec>,
    tag: &str,
    kind: Kind,
) -> LayerRef {
    let (n, keys, sort) = (partials.len() as u32, spec.keys.len(), spec.sort);
    let parts = count(n);
    let work = Route { sink, keys, parts, by_range: sort && keys == 1, placed: !sort };
    let route = by_bounds(&name, partials, work, FEW);
    let work = Part { name: format!("{tag}-part"), spec, placed: !sort };
    let merged = pieces(&name, derived(&name, "part"), route, parts, work);
    let rule = Rule::Grid { shape: vec![1], reads: vec![Read { input: 0, axes: vec![Axis::All] }] };
    layer(name, vec![merged], rule, Whole { keys, sort, kind })
}

/// The layers from partials to a result of `parts` partitions, called `name`; in order if there is one key, by which
/// the result is to be sorted.
pub fn split(
    name: Key,
    partials: LayerRef,
    sink: usize,
    spec: Arc<Spec>,
    tag: String,
    parts: u32,
) -> LayerRef {
    let by_range = spec.sort && spec.keys.len() == 1 && sortable(&spec.keys[0].1);
    let work = Route { sink, keys: spec.keys.len(), parts, by_range, placed: false };
    let route = match by_range {
        true => by_bounds(&name, partials, work, 0),
        false => {
            let n = partials.len() as u32;
            aligned(derived(&name, "route"), vec![partials], n, work)
        }
    };
    pieces(&name, name.clone(), route, parts, Part { name: tag, spec, placed: false })
}

fn sortable(dtype: &DType) -> bool {
    crate::sort::check_key(dtype).is_ok()
}

/// Routes by the ranges in which a sample of the keys of all partials lies; no more than `few` groups stay together.
fn by_bounds(name: &Key, partials: LayerRef, work: Route, few: usize) -> LayerRef {
    let n = partials.len() as u32;
    let sample = Sample { sink: work.sink };
    let samples = aligned(derived(name, "sample"), vec![partials.clone()], n, sample);
    let reads = vec![Read { input: 0, axes: vec![Axis::All] }];
    let cut = Cut { by_range: work.by_range, parts: work.parts, few };
    let cut = layer(derived(name, "cut"), vec![samples], Rule::Grid { shape: vec![1], reads }, cut);
    let reads = vec![
        Read { input: 0, axes: vec![Axis::Along { own: 0, offset: 0 }] },
        Read { input: 1, axes: vec![Axis::At(0)] },
    ];
    layer(derived(name, "route"), vec![partials, cut], Rule::Grid { shape: vec![n], reads }, work)
}

/// The layer `last` of `parts` tasks, each of which merges its pieces of all routes.
fn pieces(name: &Key, last: Key, route: LayerRef, parts: u32, work: Part) -> LayerRef {
    let (n, row) = (route.len() as u32, Axis::Along { own: 0, offset: 0 });
    let reads = vec![Read { input: 0, axes: vec![row] }];
    let rule = Rule::Grid { shape: vec![n, parts], reads };
    let pieces = layer(derived(name, "piece"), vec![route], rule, Piece { parts });
    let reads = vec![Read { input: 0, axes: vec![row, Axis::All] }];
    let sent = layer(derived(name, "sent"), vec![pieces.clone()], Rule::Grid { shape: vec![n], reads }, Sent);
    let reads = vec![Read { input: 0, axes: vec![Axis::All, row] }, Read { input: 1, axes: vec![Axis::All] }];
    layer(last, vec![pieces, sent], Rule::Grid { shape: vec![parts], reads }, work)
}

fn derived(name: &Key, part: &str) -> Key {
    match name {
        Key::Str(text) => Key::from(format!("{text}-{part}")),
        other => Key::from(format!("{other}-{part}")),
    }
}

/// Some keys of a partial, and how many groups each stands for.
#[derive(Debug)]
struct Sample {
    /// Which output of the bundles to merge.
    sink: usize,
}

impl Work for Sample {
    fn name(&self) -> &str {
        "groupby-sample"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        let partial = &bundle(&inputs[0])?.0[self.sink][0];
        let step = partial.rows().div_ceil(SAMPLE).max(1);
        let rows: Vec<u32> = (0..partial.rows() as u32).step_by(step).collect();
        let keys = kernel::take(&key(partial), &rows)?;
        let weight = partial.rows() as f64 / rows.len().max(1) as f64;
        let weights = Vector::from_vec::<Float64Type>(DType::Float64, vec![weight; rows.len()]);
        let columns = vec![keys.into_column(Key::Int(0)), weights.into_column(Key::Int(1))];
        let range = Index::Range { start: 0, step: 1 };
        Ok(Value::Frame(Arc::new(Frame::new(columns, range, rows.len()))))
    }
}

/// Where the parts begin: the first keys of all but the first, or no rows if there is only one.
#[derive(Debug)]
struct Cut {
    by_range: bool,
    parts: u32,
    few: usize,
}

impl Work for Cut {
    fn name(&self) -> &str {
        "groupby-cut"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        let samples =
            inputs.iter().map(|input| frame(input).cloned()).collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(Value::Frame(Arc::new(self.bounds(&samples)?)))
    }
}

impl Cut {
    fn bounds(&self, samples: &[Arc<Frame>]) -> Result<Frame> {
        let keys = kernel::concat(&samples.iter().map(|sample| key(sample)).collect::<Vec<_>>())?;
        let mut weights = Vec::with_capacity(keys.len());
        for sample in samples {
            let column = KeyRef::Column(Key::Int(1)).values(sample)?;
            weights.extend_from_slice(column.slice::<Float64Type>()?);
        }
        let total: f64 = weights.iter().sum();
        let mut cuts = Vec::new();
        if total > self.few as f64 {
            let order = match self.by_range {
                true => SortKeys::new(&by_key(), vec![keys.clone()], keys.len())?.order(),
                // Groups are placed by a hash; that there are bounds tells that they are many.
                false => (0..keys.len() as u32).collect(),
            };
            let mut passed = 0.0;
            for row in order {
                passed += weights[row as usize];
                while cuts.len() + 1 < self.parts as usize
                    && passed > total * (cuts.len() + 1) as f64 / self.parts as f64
                {
                    cuts.push(row);
                }
            }
        }
        let bounds = kernel::take(&keys, &cuts)?.into_column(crate::build::unnamed());
        Ok(Frame::new(vec![bounds], Index::Range { start: 0, step: 1 }, cuts.len()))
    }
}

fn by_key() -> Vec<SortBy> {
    vec![SortBy { key: KeyRef::Index(0), ascending: true, missing_first: false }]
}

/// The groups of one partial, a piece for each part: by the bounds that it reads, or else by a hash.
#[derive(Debug)]
struct Route {
    sink: usize,
    keys: usize,
    parts: u32,
    /// Else by hash.
    by_range: bool,
    /// Whether a piece begins with the rows of its groups in the partial.
    placed: bool,
}

impl Work for Route {
    fn name(&self) -> &str {
        "groupby-route"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        let partial = bundle(&inputs[0])?.0[self.sink].clone();
        let bounds = inputs.get(1).map(frame).transpose()?;
        Ok(Value::Object(Arc::new(Bundle(self.pieces(partial, bounds.map(|bounds| &**bounds))?))))
    }
}

impl Route {
    fn pieces(&self, partial: Vec<Arc<Frame>>, bounds: Option<&Frame>) -> Result<Vec<Vec<Arc<Frame>>>> {
        if bounds.is_some_and(|bounds| bounds.rows() == 0) {
            let rows = partial.first().map_or(0, |main| main.rows() as i64);
            let places = self.placed.then(|| places_of(0..rows));
            return Ok(vec![places.into_iter().chain(partial).collect()]);
        }
        let mut pieces = vec![Vec::new(); self.parts as usize];
        for frame in &partial {
            let places = match bounds {
                Some(bounds) if self.by_range => {
                    let by = by_key();
                    let mut own = SortKeys::new(&by, vec![key(frame)], frame.rows())?;
                    SortKeys::of_columns(&by, bounds, &mut own)?.places(&own)
                }
                _ => by_hash(frame, self.keys, self.parts)?,
            };
            let mut rows = vec![Vec::new(); self.parts as usize];
            places.iter().enumerate().for_each(|(row, &place)| rows[place as usize].push(row as u32));
            if self.placed && pieces[0].is_empty() {
                for (piece, rows) in pieces.iter_mut().zip(&rows) {
                    piece.push(places_of(rows.iter().map(|&row| row as i64)));
                }
            }
            for (piece, rows) in pieces.iter_mut().zip(rows) {
                // A partial whose keys lie together belongs to one part as it is.
                piece.push(match rows.len() == frame.rows() {
                    true => frame.clone(),
                    false => Arc::new(take_rows(frame, &UInt32Array::from(rows), false)?),
                });
            }
        }
        Ok(pieces)
    }
}

/// One piece of a route, by itself: the route is let go once all of its pieces are.
#[derive(Debug)]
struct Piece {
    parts: u32,
}

impl Work for Piece {
    fn name(&self) -> &str {
        "groupby-piece"
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        let pieces = &bundle(&inputs[0])?.0;
        Ok(match pieces.get((index % self.parts) as usize).map(Vec::as_slice) {
            Some([one]) => Value::Frame(one.clone()),
            Some(several) => Value::Object(Arc::new(Bundle(vec![several.to_vec()]))),
            None => Value::Bytes(Arc::new([])),
        })
    }
}

/// Merges the groups of one part.
struct Part {
    name: String,
    spec: Arc<Spec>,
    /// Whether pieces begin with places; the last column of the result then says where groups appeared first.
    placed: bool,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Work for Part {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        let mut merged = Aggregator::new(self.spec.clone());
        let mut places = Vec::new();
        for (partial, input) in inputs.iter_mut().enumerate() {
            // Let go as soon as it is merged.
            match std::mem::replace(input, Value::Bytes(Arc::new([]))) {
                Value::Frame(piece) => merged.merge(&[piece])?,
                Value::Object(several) => {
                    let several = Value::Object(several);
                    for piece in &bundle(&several)?.0 {
                        match piece.split_first() {
                            Some((rows, piece)) if self.placed => {
                                merged.merge(piece)?;
                                note_new(&mut places, merged.merged(), rows, partial)?;
                            }
                            _ => merged.merge(piece)?,
                        }
                    }
                }
                _ => {}
            }
        }
        let mut whole = merged.finish()?;
        if self.placed {
            whole.kind = Kind::Table;
            whole.columns.push(place_column(places));
        }
        Ok(Value::Frame(Arc::new(whole)))
    }
}

/// Where groups that had not been met before are in a partial. `groups`: the group of each of its rows.
fn note_new(places: &mut Vec<i64>, groups: &[u32], rows: &Frame, partial: usize) -> Result<()> {
    let rows = Vector::new(DType::Int64, rows.columns[0].values.clone());
    for (&group, &row) in groups.iter().zip(rows.slice::<Int64Type>()?) {
        if group as usize == places.len() {
            places.push((partial as i64) << 32 | row);
        }
    }
    Ok(())
}

fn place_column(places: Vec<i64>) -> Column {
    Vector::from_vec::<Int64Type>(DType::Int64, places).into_column(crate::build::unnamed())
}

fn places_of(rows: impl Iterator<Item = i64>) -> Arc<Frame> {
    let places: Vec<i64> = rows.collect();
    let count = places.len();
    Arc::new(Frame::new(vec![place_column(places)], Index::Range { start: 0, step: 1 }, count))
}

fn by_hash(frame: &Frame, keys: usize, parts: u32) -> Result<Vec<u32>> {
    let keys: Vec<(Vector, Option<DType>)> = frame.columns[..keys]
        .iter()
        .map(|column| (Vector::new(column.dtype.clone(), column.values.clone()), None))
        .collect();
    partitions(&keys, parts)
}

fn key(frame: &Frame) -> Vector {
    Vector::new(frame.columns[0].dtype.clone(), frame.columns[0].values.clone())
}

/// The parts as one frame, in order of their keys.
#[derive(Debug)]
struct Whole {
    keys: usize,
    /// Else the last column says where groups appeared first.
    sort: bool,
    kind: Kind,
}

impl Work for Whole {
    fn name(&self) -> &str {
        "groupby"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        let mut frames = inputs
            .iter_mut()
            .map(owned_frame)
            .collect::<std::result::Result<Vec<Arc<Frame>>, TaskError>>()?;
        let first = frames.first().cloned();
        frames.retain(|frame| frame.rows() > 0);
        let whole = match (frames.len(), first) {
            (0, Some(first)) => Arc::unwrap_or_clone(first),
            (0, None) => return Err(TaskError::native(ErrorKind::Runtime, "a result without parts")),
            (several, first) => {
                drop(first);
                let whole = concat_owned(frames)?;
                match self.keys {
                    _ if several == 1 => whole,
                    _ if !self.sort => by_place(whole)?,
                    1 => whole,
                    _ => self.sorted(whole)?,
                }
            }
        };
        let mut whole = whole;
        if !self.sort {
            whole.columns.pop();
        }
        Ok(Value::Frame(Arc::new(whole.with_kind(self.kind))))
    }
}

/// Groups in order of first appearance.
fn by_place(whole: Frame) -> Result<Frame> {
    let Some(last) = whole.columns.last() else { return Ok(whole) };
    let places = Vector::new(DType::Int64, last.values.clone());
    let places = places.slice::<Int64Type>()?;
    let mut order: Vec<u32> = (0..places.len() as u32).collect();
    // Stable, because that sort finds the runs that the parts are.
    order.sort_by_key(|&row| places[row as usize]);
    take_rows_owned(Arc::new(whole), &UInt32Array::from(order), true)
}

impl Whole {
    /// Parts that are in order each, in order together.
    fn sorted(&self, whole: Frame) -> Result<Frame> {
        let by: Vec<SortBy> = (0..self.keys)
            .map(|level| SortBy { key: KeyRef::Index(level), ascending: true, missing_first: false })
            .collect();
        let order = SortKeys::of(&by, &whole)?.order();
        take_rows_owned(Arc::new(whole), &UInt32Array::from(order), true)
    }
}
