//! What the tasks of lowered expressions do.

use std::sync::Arc;

use weft_data::{TaskError, Value, Work};

/// A block at hand.
#[derive(Debug)]
pub struct Given(pub Arc<[Value]>);

impl Work for Given {
    fn name(&self) -> &str {
        "array"
    }

    fn run(&self, index: u32, _inputs: &mut [Value]) -> Result<Value, TaskError> {
        Ok(self.0[index as usize].clone())
    }
}

/// A block under another name.
#[derive(Debug)]
pub struct Alias;

impl Work for Alias {
    fn name(&self) -> &str {
        "block"
    }

    fn run(&self, _index: u32, inputs: &mut [Value]) -> Result<Value, TaskError> {
        Ok(inputs[0].clone())
    }

    fn is_alias(&self, _index: u32) -> bool {
        true
    }
}
