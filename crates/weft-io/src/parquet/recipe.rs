//! Plans on their way to other processes. Footers do not travel: whoever reads a file reads its own.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::files::ParquetFiles;
use super::plan::{ParquetField, ParquetIndex, ParquetSource, Piece, Plan};
use super::prune::Predicate;
use super::scan::Receive;
use crate::IoError;

/// A [`ParquetSource`] without the footers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParquetRecipe {
    /// Path and length.
    files: Vec<(String, u64)>,
    fields: Vec<ParquetField>,
    index: ParquetIndex,
    partitions: Vec<Piece>,
}

/// Other processes may work in another directory.
fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.to_string_lossy().into_owned())
}

impl ParquetSource {
    /// What another process needs to read the same partitions.
    pub fn recipe(&self) -> ParquetRecipe {
        let plan = &self.plan;
        ParquetRecipe {
            files: plan.files.files.iter().map(|file| (absolute(&file.path), file.length)).collect(),
            fields: plan.fields.clone(),
            index: plan.index.clone(),
            partitions: plan.partitions.clone(),
        }
    }
}

/// A source planned in another process. Nothing is read until a partition is.
#[derive(Debug)]
pub struct PlannedParquet {
    recipe: ParquetRecipe,
    /// Each file, once it was opened.
    files: Vec<OnceLock<ParquetSource>>,
    /// Which of its file's partitions each is.
    places: Vec<usize>,
}

impl PlannedParquet {
    /// `None`: the recipe makes no sense.
    pub fn new(recipe: ParquetRecipe) -> Option<PlannedParquet> {
        let n = recipe.files.len();
        let mut counts = vec![0; n];
        let mut places = Vec::with_capacity(recipe.partitions.len());
        for piece in &recipe.partitions {
            let count = counts.get_mut(piece.file)?;
            places.push(*count);
            *count += 1;
        }
        Some(PlannedParquet {
            recipe,
            files: std::iter::repeat_with(OnceLock::new).take(n).collect(),
            places,
        })
    }

    pub fn recipe(&self) -> &ParquetRecipe {
        &self.recipe
    }

    pub fn fields(&self) -> &[ParquetField] {
        &self.recipe.fields
    }

    pub fn partitions(&self) -> usize {
        self.recipe.partitions.len()
    }

    /// Number of rows of a partition.
    pub fn rows(&self, partition: usize) -> usize {
        self.recipe.partitions[partition].rows
    }

    /// As [`ParquetSource::scan`].
    ///
    /// # Errors
    /// [`IoError::Changed`] if the file is not the one that was planned.
    pub fn scan(
        &self,
        partition: usize,
        columns: &[usize],
        predicates: &[Predicate],
        with_index: bool,
        receive: &mut Receive<'_>,
    ) -> Result<(), IoError> {
        let source = self.file(self.recipe.partitions[partition].file)?;
        source.scan(self.places[partition], columns, predicates, with_index, receive)
    }

    fn file(&self, file: usize) -> Result<&ParquetSource, IoError> {
        if let Some(source) = self.files[file].get() {
            return Ok(source);
        }
        let (path, length) = &self.recipe.files[file];
        let files = ParquetFiles::open(vec![path.clone()])?;
        let one = &files.files[0];
        let pieces = self.recipe.partitions.iter().filter(|piece| piece.file == file);
        let partitions: Vec<Piece> = pieces.map(|piece| Piece { file: 0, ..piece.clone() }).collect();
        let groups = one.metadata.num_row_groups();
        let rows = |piece: &Piece| -> usize {
            piece.groups.iter().map(|&group| one.metadata.row_group(group).num_rows() as usize).sum()
        };
        let same = one.length == *length
            && partitions
                .iter()
                .all(|piece| piece.groups.iter().all(|&group| group < groups) && rows(piece) == piece.rows);
        if !same {
            return Err(IoError::Changed { path: path.clone(), expected: *length, found: one.length });
        }
        let (fields, index) = (self.recipe.fields.clone(), self.recipe.index.clone());
        let source = ParquetSource { plan: Arc::new(Plan { files, fields, index, partitions }) };
        Ok(self.files[file].get_or_init(|| source))
    }
}
