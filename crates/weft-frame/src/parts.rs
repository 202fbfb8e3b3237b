//! Merging partial aggregations of many groups: in parts, side by side.
//!
//! ```text
//! partial[i]   the groups of input partition i
//! part[r]      reads all partials; merges and sorts the groups that belong to part r
//! result       the parts, one below the other, in order
//! ```
//!
//! A group belongs to a part by its key: by range if there is one key, so that the parts follow each other;
//! else by a hash. All parts see the same partials, so each finds out alone where the ranges end. Few
//! groups are all merged by part 0.

use std::fmt;
use std::sync::Arc;

use arrow_array::UInt32Array;
use weft_data::{DType, ErrorKind, Frame, Index, Kind, TaskError, Value, Work};

use crate::aggregate::{Aggregator, Spec};
use crate::error::ExprError;
use crate::exchange::{KeyRef, concat, frame, take_rows};
use crate::expr::Finish;
use crate::kernel::{self, Vector};
use crate::shuffle::partitions;
use crate::sort::{SortBy, SortKeys};
use crate::work::bundle;

type Result<T> = std::result::Result<T, ExprError>;

/// Parts that merge side by side.
pub const PARTS: u32 = 8;

/// Groups that are too few to be worth it.
const FEW: usize = 1 << 15;

/// Keys that are looked at to cut ranges.
const SAMPLE: usize = 1 << 12;

/// Whether the groups of an aggregation can be merged in parts: their order must not depend on what came first.
pub fn splits(spec: &Spec) -> bool {
    !spec.keys.is_empty() && spec.sort && matches!(spec.finish, Finish::Groups { .. })
}

/// Merges the groups of one part.
pub struct Part {
    pub name: String,
    pub spec: Arc<Spec>,
    /// Which output of the bundles to merge.
    pub sink: usize,
    pub parts: u32,
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
        let partials = inputs
            .iter()
            .map(|input| Ok(&bundle(input)?.0[self.sink][..]))
            .collect::<std::result::Result<Vec<&[Arc<Frame>]>, TaskError>>()?;
        let merged = self.merge(&partials, index)?;
        Ok(Value::Frame(Arc::new(merged.finish()?)))
    }
}

impl Part {
    fn merge(&self, partials: &[&[Arc<Frame>]], index: u32) -> Result<Aggregator> {
        let mut merged = Aggregator::new(self.spec.clone());
        let groups: usize = partials.iter().filter_map(|frames| frames.first()).map(|main| main.rows()).sum();
        if groups <= FEW {
            if index == 0 {
                partials.iter().try_for_each(|frames| merged.merge(frames))?;
            }
            return Ok(merged);
        }
        let cuts = match self.spec.keys.len() {
            1 => Some(Cuts::new(partials, self.parts)?),
            _ => None,
        };
        for frames in partials {
            let own = frames
                .iter()
                .map(|frame| {
                    let places = match &cuts {
                        Some(cuts) => cuts.places(frame)?,
                        None => by_hash(frame, self.spec.keys.len(), self.parts)?,
                    };
                    rows_of(frame, &places, index)
                })
                .collect::<Result<Vec<_>>>()?;
            merged.merge(&own)?;
        }
        Ok(merged)
    }
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

/// Where one key's ranges end.
struct Cuts {
    by: Vec<SortBy>,
    /// The first keys of all parts but the first.
    bounds: Frame,
}

impl Cuts {
    fn new(partials: &[&[Arc<Frame>]], parts: u32) -> Result<Cuts> {
        let by = vec![SortBy { key: KeyRef::Index(0), ascending: true, missing_first: false }];
        let keys = partials.iter().filter_map(|frames| frames.first()).map(|main| {
            let step = (main.rows() * partials.len() / SAMPLE).max(1);
            let rows: Vec<u32> = (0..main.rows() as u32).step_by(step).collect();
            kernel::take(&key(main), &rows)
        });
        let sample = kernel::concat(&keys.collect::<Result<Vec<_>>>()?)?;
        let rows = sample.len();
        let order = SortKeys::new(&by, vec![sample.clone()], rows)?.order();
        let cut = |part: u32| order[(part as usize * rows) / parts as usize];
        let cuts: Vec<u32> = (1..parts).map(cut).collect();
        let bounds = kernel::take(&sample, &cuts)?.into_column(crate::build::unnamed());
        let n = cuts.len();
        Ok(Cuts { by, bounds: Frame::new(vec![bounds], Index::Range { start: 0, step: 1 }, n) })
    }

    fn places(&self, frame: &Frame) -> Result<Vec<u32>> {
        let mut own = SortKeys::new(&self.by, vec![key(frame)], frame.rows())?;
        let bounds = SortKeys::of_columns(&self.by, &self.bounds, &mut own)?;
        Ok((0..frame.rows()).map(|row| bounds.upper_bound(&own, row)).collect())
    }
}

fn key(frame: &Frame) -> Vector {
    Vector::new(frame.columns[0].dtype.clone(), frame.columns[0].values.clone())
}

/// The parts as one frame, in order of their keys.
#[derive(Debug)]
pub struct Whole {
    pub keys: usize,
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
                    1 => whole,
                    _ => self.sorted(&whole)?,
                }
            }
        };
        Ok(Value::Frame(Arc::new(whole.with_kind(self.kind))))
    }
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
