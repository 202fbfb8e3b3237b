//! Expressions as bytes, and back.
//!
//! A list of steps, inputs before what reads them, so that a chain of any length is written without recursion
//! and what steps share is written once. What only the host knows (its functions, its files, graphs of other
//! collections) lies beside the steps as blobs, which the host writes and reads; so do frames in memory.
//!
//! The reader makes the same expressions: each step carries its digest, and one that comes to another digest
//! is an error, not another result.

mod exchange;
mod node;
mod source;

use std::io::Read;
use std::sync::Arc;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use weft_data::{CodecError, LayerRef, WorkRef};
use weft_graph::Key;
use weft_io::ByteSource;

use crate::expr::{Expr, Schema, Tasks};
use node::Form;

pub use exchange::{ByForm, ExchangeForm};
pub use source::{FileForm, MemoryForm, SourceForm};

/// Changes with every change of the form.
const VERSION: u8 = 1;

/// Why an expression cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum PortableError {
    #[error(
        "{step} cannot be sent to another process: {reason}. Pickle by itself what it uses, or make it there: in the \
         function, instead of around it"
    )]
    Host { step: String, reason: String },
    #[error("{step} cannot be sent to another process: {reason}")]
    Native { step: String, reason: String },
    #[error("an expression that was written as bytes is damaged: {0}")]
    Damaged(String),
    #[error(
        "an expression was written as bytes by another version of weft ({found}; this one reads {VERSION})"
    )]
    Version { found: u8 },
    #[error(
        "the step {name} comes to another expression in this process than in the one that sent it: do both have the \
         same version of weft?"
    )]
    Differs { name: String },
    #[error("{0}")]
    Codec(#[from] CodecError),
}

type Result<T> = std::result::Result<T, PortableError>;

pub(crate) fn damaged(what: impl std::fmt::Display) -> PortableError {
    PortableError::Damaged(what.to_string())
}

/// What only the host can write. An error says why.
pub trait HostWriter {
    fn work(&mut self, work: &WorkRef) -> std::result::Result<Vec<u8>, String>;

    fn file(&mut self, file: &dyn ByteSource) -> std::result::Result<Vec<u8>, String>;

    /// `None`: the tasks travel by themselves.
    fn tasks(&mut self, tasks: &Tasks) -> std::result::Result<Option<Vec<u8>>, String>;

    /// Whether frames in memory are written too; else whoever runs a task hands over its partition
    /// (`weft_data::Work::parcel`).
    fn with_data(&self) -> bool;
}

/// What only the host can read.
pub trait HostReader {
    fn work(&mut self, bytes: &[u8]) -> std::result::Result<WorkRef, String>;

    fn file(&mut self, bytes: &[u8]) -> std::result::Result<Arc<dyn ByteSource>, String>;

    /// The layers in the order in which they were.
    fn tasks(&mut self, bytes: &[u8]) -> std::result::Result<Vec<LayerRef>, String>;
}

/// Expressions as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub steps: Vec<u8>,
    pub blobs: Vec<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Recipe {
    steps: Vec<Step>,
    /// Numbers of steps, and what their layers are called.
    outputs: Vec<(u32, Key)>,
}

#[derive(Serialize, Deserialize)]
struct Step {
    form: Form,
    inputs: Vec<u32>,
    schema: Schema,
    npartitions: u32,
    digest: u128,
}

/// Where steps write what does not belong to them alone.
pub struct Writer<'a> {
    host: &'a mut dyn HostWriter,
    blobs: Vec<Vec<u8>>,
    /// Blobs by digest: what steps have in common is written once.
    known: HashMap<u128, u32>,
}

impl Writer<'_> {
    pub(crate) fn blob(&mut self, bytes: Vec<u8>) -> u32 {
        let digest = xxhash_rust::xxh3::xxh3_128(&bytes);
        *self.known.entry(digest).or_insert_with(|| {
            self.blobs.push(bytes);
            self.blobs.len() as u32 - 1
        })
    }
}

pub struct Reader<'a> {
    host: &'a mut dyn HostReader,
    blobs: &'a [&'a [u8]],
}

impl<'a> Reader<'a> {
    pub(crate) fn blob(&self, number: u32) -> Result<&'a [u8]> {
        self.blobs.get(number as usize).copied().ok_or_else(|| damaged("a blob is missing"))
    }
}

/// Writes expressions, and what each is called.
pub fn write(exprs: &[(Expr, Key)], host: &mut dyn HostWriter) -> Result<Written> {
    let mut writer = Writer { host, blobs: Vec::new(), known: HashMap::new() };
    let mut numbers: HashMap<u128, u32> = HashMap::new();
    let mut steps = Vec::new();
    let mut pending: Vec<(Expr, bool)> = exprs.iter().rev().map(|(expr, _)| (expr.clone(), false)).collect();
    while let Some((expr, ready)) = pending.pop() {
        if numbers.contains_key(&expr.digest()) {
            continue;
        }
        let inputs = expr.node().inputs();
        if !ready {
            pending.push((expr, true));
            pending.extend(inputs.into_iter().rev().map(|input| (input, false)));
            continue;
        }
        numbers.insert(expr.digest(), steps.len() as u32);
        steps.push(Step {
            form: Form::of(expr.node(), &expr.name(), &mut writer)?,
            inputs: inputs.iter().map(|input| numbers[&input.digest()]).collect(),
            schema: expr.schema().clone(),
            npartitions: expr.npartitions(),
            digest: expr.digest(),
        });
    }
    let outputs = exprs.iter().map(|(expr, name)| (numbers[&expr.digest()], name.clone())).collect();
    let mut bytes = vec![VERSION];
    bytes.extend(postcard::to_stdvec(&Recipe { steps, outputs }).map_err(damaged)?);
    Ok(Written { steps: bytes, blobs: writer.blobs })
}

/// What [`write`] wrote.
pub fn read(steps: &[u8], blobs: &[&[u8]], host: &mut dyn HostReader) -> Result<Vec<(Expr, Key)>> {
    let recipe: Recipe = match steps.split_first() {
        Some((&VERSION, rest)) => postcard::from_bytes(rest).map_err(damaged)?,
        Some((&found, _)) => return Err(PortableError::Version { found }),
        None => return Err(damaged("there is nothing")),
    };
    let mut reader = Reader { host, blobs };
    let mut made: Vec<Expr> = Vec::with_capacity(recipe.steps.len());
    let find = |made: &[Expr], number: u32| {
        made.get(number as usize).cloned().ok_or_else(|| damaged("a step is missing"))
    };
    for step in recipe.steps {
        let inputs = step.inputs.iter().map(|&number| find(&made, number)).collect::<Result<Vec<_>>>()?;
        let node = step.form.node(inputs, &mut reader)?;
        let expr = Expr::new(node, step.schema, step.npartitions);
        if expr.digest() != step.digest {
            return Err(PortableError::Differs { name: expr.name() });
        }
        made.push(expr);
    }
    recipe.outputs.into_iter().map(|(number, name)| Ok((find(&made, number)?, name))).collect()
}

impl Written {
    /// All of it, one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        let parts = || std::iter::once(&self.steps).chain(&self.blobs);
        let mut bytes = Vec::with_capacity(parts().map(|part| part.len() + 8).sum());
        for part in parts() {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// The parts of [`Written::to_bytes`]: the steps, then the blobs.
pub fn parts(mut bytes: &[u8]) -> Result<Vec<&[u8]>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let mut length = [0; 8];
        bytes.read_exact(&mut length).map_err(damaged)?;
        let length = usize::try_from(u64::from_le_bytes(length)).map_err(damaged)?;
        let (part, rest) = bytes.split_at_checked(length).ok_or_else(|| damaged("it breaks off"))?;
        found.push(part);
        bytes = rest;
    }
    Ok(found)
}
