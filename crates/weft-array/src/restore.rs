//! Expressions taken apart and put together again, for those who send or save them; and promises about
//! extents that nobody could know when an expression was made.

use std::sync::Arc;

use crate::chunks::Chunks;
use crate::error::ArrayError;
use crate::expr::{Expr, Meta, Op};

type Result<T> = std::result::Result<T, ArrayError>;

impl Expr {
    /// The expression that `op`, `inputs` and the rest were taken from: it has the same name and digest.
    pub fn restore(op: Op, inputs: Vec<Expr>, meta: Meta, digest: u128, name: &str) -> Result<Expr> {
        if meta.chunks.count().is_none() {
            return ArrayError::invalid("an array of more blocks than a graph can hold");
        }
        Ok(Expr::assembled(op, inputs, meta, digest, Arc::from(name)))
    }

    /// The same blocks under the same name, which turned out to be of these extents.
    pub fn with_chunks(&self, chunks: Chunks) -> Result<Expr> {
        if chunks.numblocks() != self.chunks().numblocks() {
            return ArrayError::invalid(format!(
                "chunks {chunks:?} cannot be the extents of {:?} blocks",
                self.chunks().numblocks()
            ));
        }
        let meta = Meta { chunks, ..self.meta() };
        self.again(meta)
    }

    /// The same expression, whose blocks are of this dtype and kind.
    pub fn with_dtype(&self, dtype: &str, plain: bool) -> Result<Expr> {
        let meta = Meta { dtype: dtype.into(), plain, ..self.meta() };
        self.again(meta)
    }

    fn again(&self, meta: Meta) -> Result<Expr> {
        // The digest stands for what only the first word says, such as the token of blocks.
        let word = format!("{:032x}", self.digest());
        Expr::new(self.op().clone(), self.inputs().to_vec(), meta, &word, Some(self.name()))
    }
}
