//! What simulated tasks do, and what should come of it.

use std::collections::BTreeMap;

use weft_graph::Key;
use weft_scheduler::message::Bytes;

use crate::random::mix;

/// A task's payload.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WorkSpec {
    pub salt: u64,
    pub duration_us: u64,
    pub nbytes: u64,
    pub always_fails: bool,
    /// Fails now and then; its layer has retries.
    pub fails_sometimes: bool,
    pub secedes: bool,
    pub reschedules: bool,
    /// Takes its worker with it.
    pub kills: bool,
}

impl WorkSpec {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(25);
        for number in [self.salt, self.duration_us, self.nbytes] {
            bytes.extend(number.to_le_bytes());
        }
        let flags = [self.always_fails, self.fails_sometimes, self.secedes, self.reschedules, self.kills];
        bytes.push(flags.iter().enumerate().map(|(i, &flag)| u8::from(flag) << i).sum());
        bytes
    }

    pub fn decode(bytes: &Bytes) -> Self {
        let number = |at: usize| {
            let mut number = [0; 8];
            if let Some(slice) = bytes.get(at..at + 8) {
                number.copy_from_slice(slice);
            }
            u64::from_le_bytes(number)
        };
        let flags = bytes.get(24).copied().unwrap_or(0);
        WorkSpec {
            salt: number(0),
            duration_us: number(8),
            nbytes: number(16),
            always_fails: flags & 1 != 0,
            fails_sometimes: flags & 2 != 0,
            secedes: flags & 4 != 0,
            reschedules: flags & 8 != 0,
            kills: flags & 16 != 0,
        }
    }

    pub fn value(&self, inputs: impl Iterator<Item = u64>) -> u64 {
        inputs.fold(mix(self.salt), |value, input| mix(value ^ input.rotate_left(7)))
    }
}

/// What is true of all tasks that any client has sent, whatever the cluster does.
#[derive(Debug, Default)]
pub struct Model {
    tasks: BTreeMap<Key, (WorkSpec, Vec<Key>)>,
    known: BTreeMap<Key, Option<u64>>,
}

impl Model {
    pub fn add(&mut self, key: Key, spec: WorkSpec, inputs: Vec<Key>) {
        self.tasks.insert(key, (spec, inputs));
    }

    /// The value of a task, or `None` if it or something below it fails. Tasks come after their inputs.
    pub fn value(&mut self, key: &Key) -> Option<u64> {
        let mut stack = vec![key.clone()];
        while let Some(top) = stack.last().cloned() {
            if self.known.contains_key(&top) {
                stack.pop();
                continue;
            }
            let (spec, inputs) = self.tasks.get(&top)?.clone();
            let unknown: Vec<Key> =
                inputs.iter().filter(|key| !self.known.contains_key(key)).cloned().collect();
            if unknown.is_empty() {
                let values: Option<Vec<u64>> =
                    inputs.iter().map(|key| self.known.get(key).copied().flatten()).collect();
                let fails = spec.always_fails || spec.kills;
                let value = values.filter(|_| !fails).map(|values| spec.value(values.into_iter()));
                self.known.insert(top, value);
                stack.pop();
            } else {
                stack.extend(unknown);
            }
        }
        self.known.get(key).copied().flatten()
    }
}
