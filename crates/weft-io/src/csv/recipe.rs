//! Plans on their way to other processes.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::blocks::{Block, Start};
use super::column::Format;
use super::datetime::Layout;
use super::infer::Truths;
use super::options::{CsvOptions, Field};
use super::plan::{Column, CsvSource, Plan};
use super::rows::Syntax;
use crate::ByteSource;

/// A [`CsvSource`] without its files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CsvRecipe {
    options: CsvOptions,
    sizes: Vec<u64>,
    blocks: Vec<Block>,
    /// Position, layout of dates, whether the dtype was given.
    columns: Vec<(usize, Option<Layout>, bool)>,
    schema: Vec<Field>,
    width: usize,
    header: Option<Vec<String>>,
    heads: Vec<Option<u64>>,
}

impl CsvSource {
    /// What another process needs to read the same partitions, beside the files.
    pub fn recipe(&self) -> CsvRecipe {
        let plan = &self.inner;
        CsvRecipe {
            options: plan.options.clone(),
            sizes: plan.sizes.clone(),
            blocks: plan.blocks.clone(),
            columns: plan.columns.iter().map(|c| (c.position, c.format.layout, c.given)).collect(),
            schema: plan.schema.clone(),
            width: plan.width,
            header: plan.header.clone(),
            heads: plan.heads.iter().map(|head| head.get().copied()).collect(),
        }
    }

    /// Where its bytes come from.
    pub fn files(&self) -> &[Arc<dyn ByteSource>] {
        &self.inner.files
    }

    /// The source that `recipe` was made of, over the same files; nothing is read. `None`: they do not fit.
    pub fn restore(recipe: CsvRecipe, files: Vec<Arc<dyn ByteSource>>) -> Option<CsvSource> {
        let CsvRecipe { options, sizes, blocks, columns, schema, width, header, heads } = recipe;
        let n = files.len();
        let fits = sizes.len() == n
            && heads.len() == n
            && columns.len() == schema.len()
            && blocks.iter().all(|block| block.file < n);
        if !fits {
            return None;
        }
        let truths = Arc::new(Truths::new(&options));
        let columns = columns.into_iter().zip(&schema).map(|((position, layout, given), field)| {
            let format = Format::new(&options, &field.name, truths.clone(), layout);
            Column { position, format, given }
        });
        let columns = columns.collect();
        let heads = heads.into_iter().map(|head| {
            let known = OnceLock::new();
            // It was empty.
            head.map(|head| known.set(head));
            known
        });
        let plan = Plan {
            syntax: Syntax::new(&options),
            paths: files.iter().map(|file| file.path().to_string()).collect(),
            starts: std::iter::repeat_with(Start::default).take(blocks.len()).collect(),
            heads: heads.collect(),
            alone: true,
            options,
            files,
            sizes,
            blocks,
            columns,
            schema,
            width,
            header,
            truths,
        };
        Some(CsvSource { inner: Arc::new(plan) })
    }
}
