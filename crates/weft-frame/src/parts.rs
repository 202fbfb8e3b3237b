//! Merging partial aggregations of many groups: in parts, side by side.
//!
//! ```text
//! partial[i]   the groups of input partition i
//! cut          looks at some keys of all partials: where each part begins
//! route[i]     the groups of partial i, a piece for each part
//! part[r]      merges and sorts piece r of all routes
//! result       the parts, one below the other, in order
//! ```
//!
//! A group belongs to a part by its key: by range if there is one key to sort by, so that the parts follow each
//! other; else by a hash. Few groups all belong to part 0. Groups that stay in order of first appearance take
//! along where that was: the partial, and the row of it.

use std::fmt;
use std::sync::Arc;

use arrow_array::UInt32Array;
use arrow_array::types::Int64Type;
use weft_data::{Column, DType, ErrorKind, Frame, Index, Kind, TaskError, Value, Work};

use crate::aggregate::{Aggregator, Spec};
use crate::error::ExprError;
use crate::exchange::{KeyRef, concat, frame, take_rows};
use crate::expr::Finish;
use crate::kernel::{self, Vector};
use crate::shuffle::partitions;
use crate::sort::{SortBy, SortKeys};
use crate::work::{Bundle, bundle};

type Result<T> = std::result::Result<T, ExprError>;

/// Parts that merge side by side.
pub const PARTS: u32 = 8;

/// Groups that are too few to be worth it.
const FEW: usize = 1 << 15;

/// Keys that are looked at to cut ranges.
const SAMPLE: usize = 1 << 12;

/// Whether the groups of an aggregation can be merged in parts.
pub fn splits(spec: &Spec) -> bool {
    !spec.keys.is_empty() && matches!(spec.finish, Finish::Groups { .. })
}

/// Where the parts begin: the first keys of all but the first, or no rows if there is only one.
#[derive(Debug)]
pub struct Cut {
    /// Which output of the bundles to merge.
    pub sink: usize,
    pub parts: u32,
}

impl Work for Cut {
    fn name(&self) -> &str {
        "groupby-cut"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        let partials = inputs
            .iter()
            .map(|input| Ok(&*bundle(input)?.0[self.sink][0]))
            .collect::<std::result::Result<Vec<&Frame>, TaskError>>()?;
        Ok(Value::Frame(Arc::new(self.bounds(&partials)?)))
    }
}

impl Cut {
    fn bounds(&self, partials: &[&Frame]) -> Result<Frame> {
        let groups: usize = partials.iter().map(|main| main.rows()).sum();
        let step = (groups / SAMPLE).max(1);
        let keys = partials.iter().map(|main| {
            let rows: Vec<u32> = (0..main.rows() as u32).step_by(step).collect();
            kernel::take(&key(main), &rows)
        });
        let sample = kernel::concat(&keys.collect::<Result<Vec<_>>>()?)?;
        let order = SortKeys::new(&by_key(), vec![sample.clone()], sample.len())?.order();
        let parts = if groups <= FEW { 1 } else { self.parts as usize };
        let cuts: Vec<u32> = (1..parts).map(|part| order[part * order.len() / parts]).collect();
        let bounds = kernel::take(&sample, &cuts)?.into_column(crate::build::unnamed());
        Ok(Frame::new(vec![bounds], Index::Range { start: 0, step: 1 }, cuts.len()))
    }
}

fn by_key() -> Vec<SortBy> {
    vec![SortBy { key: KeyRef::Index(0), ascending: true, missing_first: false }]
}

/// The groups of one partial, a piece for each part.
#[derive(Debug)]
pub struct Route {
    pub sink: usize,
    pub keys: usize,
    /// Whether groups are sorted by key; else a piece begins with their rows in the partial.
    pub sort: bool,
    pub parts: u32,
}

impl Work for Route {
    fn name(&self) -> &str {
        "groupby-route"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        let partial = bundle(&inputs[0])?.0[self.sink].clone();
        let bounds = frame(&inputs[1])?;
        Ok(Value::Object(Arc::new(Bundle(self.pieces(partial, bounds)?))))
    }
}

impl Route {
    fn pieces(&self, partial: Vec<Arc<Frame>>, bounds: &Frame) -> Result<Vec<Vec<Arc<Frame>>>> {
        if bounds.rows() == 0 {
            let rows = partial.first().map_or(0, |main| main.rows() as i64);
            let places = (!self.sort).then(|| places_of(0..rows));
            return Ok(vec![places.into_iter().chain(partial).collect()]);
        }
        let mut pieces = vec![Vec::new(); self.parts as usize];
        for frame in &partial {
            let places = match self.keys {
                1 if self.sort => {
                    let by = by_key();
                    let mut own = SortKeys::new(&by, vec![key(frame)], frame.rows())?;
                    SortKeys::of_columns(&by, bounds, &mut own)?.places(&own)
                }
                keys => by_hash(frame, keys, self.parts)?,
            };
            let mut rows = vec![Vec::new(); self.parts as usize];
            places.iter().enumerate().for_each(|(row, &place)| rows[place as usize].push(row as u32));
            if !self.sort && pieces[0].is_empty() {
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

/// Merges the groups of one part.
pub struct Part {
    pub name: String,
    pub spec: Arc<Spec>,
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

    fn run(&self, index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        let mut merged = Aggregator::new(self.spec.clone());
        let mut places = Vec::new();
        for (partial, input) in inputs.iter().enumerate() {
            let Some(piece) = bundle(input)?.0.get(index as usize) else { continue };
            match piece.split_first() {
                Some((rows, piece)) if !self.spec.sort => {
                    merged.merge(piece)?;
                    note_new(&mut places, merged.merged(), rows, partial)?;
                }
                _ => merged.merge(piece)?,
            }
        }
        let mut whole = merged.finish()?;
        if !self.spec.sort {
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

fn rows_of(frame: &Frame, places: &[u32], part: u32) -> Result<Arc<Frame>> {
    let rows = places.iter().enumerate().filter(|(_, place)| **place == part);
    let rows: UInt32Array = rows.map(|(row, _)| Some(row as u32)).collect();
    Ok(Arc::new(take_rows(frame, &rows, false)?))
}

fn key(frame: &Frame) -> Vector {
    Vector::new(frame.columns[0].dtype.clone(), frame.columns[0].values.clone())
}

/// The parts as one frame, in order of their keys.
#[derive(Debug)]
pub struct Whole {
    pub keys: usize,
    /// Else the last column says where groups appeared first.
    pub sort: bool,
    pub kind: Kind,
}

impl Work for Whole {
    fn name(&self) -> &str {
        "groupby"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        let frames = inputs
            .iter()
            .map(|input| frame(input).cloned())
            .collect::<std::result::Result<Vec<Arc<Frame>>, TaskError>>()?;
        let filled = frames.iter().filter(|frame| frame.rows() > 0).cloned().collect::<Vec<_>>();
        let whole = match &filled[..] {
            [] => match frames.first() {
                Some(first) => (**first).clone(),
                None => return Err(TaskError::native(ErrorKind::Runtime, "a result without parts")),
            },
            [one] => (**one).clone(),
            _ => {
                let whole = concat(&filled)?;
                match self.keys {
                    _ if !self.sort => by_place(&whole)?,
                    1 => whole,
                    _ => self.sorted(&whole)?,
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
fn by_place(whole: &Frame) -> Result<Frame> {
    let Some(last) = whole.columns.last() else { return Ok(whole.clone()) };
    let places = Vector::new(DType::Int64, last.values.clone());
    let places = places.slice::<Int64Type>()?;
    let mut order: Vec<u32> = (0..places.len() as u32).collect();
    // Stable, because that sort finds the runs that the parts are.
    order.sort_by_key(|&row| places[row as usize]);
    take_rows(whole, &UInt32Array::from(order), true)
}

impl Whole {
    /// Parts that are in order each, in order together.
    fn sorted(&self, whole: &Frame) -> Result<Frame> {
        let by: Vec<SortBy> = (0..self.keys)
            .map(|level| SortBy { key: KeyRef::Index(level), ascending: true, missing_first: false })
            .collect();
        let order = SortKeys::of(&by, whole)?.order();
        take_rows(whole, &UInt32Array::from(order), true)
    }
}

/// The groups of partial `i` that belong to partition `r` of a result in several partitions.
#[derive(Debug)]
pub struct Slice {
    pub sink: usize,
    pub keys: usize,
    pub parts: u32,
}

impl Work for Slice {
    fn name(&self) -> &str {
        "groupby-slice"
    }

    fn run(&self, index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        let partial = bundle(&inputs[0])?.0[self.sink][0].clone();
        let places = by_hash(&partial, self.keys, self.parts)?;
        Ok(Value::Frame(rows_of(&partial, &places, index % self.parts)?))
    }
}

/// Merges the slices of one partition of the result.
pub struct Merged {
    pub name: String,
    pub spec: Arc<Spec>,
    pub slices: usize,
}

impl fmt::Debug for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Work for Merged {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> std::result::Result<Value, TaskError> {
        let mut merged = Aggregator::new(self.spec.clone());
        for input in &inputs[..self.slices] {
            merged.merge(std::slice::from_ref(frame(input)?))?;
        }
        Ok(Value::Frame(Arc::new(merged.finish()?)))
    }
}
