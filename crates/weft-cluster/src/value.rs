//! Values as bytes, on their way between processes.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// A value as bytes: a small head, and buffers as they lay in memory. Only the host knows what they mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The host's word for how to read it.
    pub form: u8,
    pub head: Bytes,
    pub buffers: Vec<Bytes>,
}

impl Encoded {
    pub fn nbytes(&self) -> usize {
        self.head.len() + self.buffers.iter().map(Bytes::len).sum::<usize>()
    }
}

/// What is said about each of several values in a message; their bytes follow as its buffers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Packed {
    forms: Vec<u8>,
    /// Length of each head; the heads lie one after the other in the first buffer.
    heads: Vec<u32>,
    /// Number of each value's own buffers.
    counts: Vec<u32>,
}

/// Several values as one table and the buffers that go with it.
pub fn pack<'a>(values: impl IntoIterator<Item = &'a Encoded>) -> (Packed, Vec<Bytes>) {
    let (mut packed, mut heads, mut buffers) = (Packed::default(), BytesMut::new(), vec![Bytes::new()]);
    for value in values {
        packed.forms.push(value.form);
        packed.heads.push(value.head.len() as u32);
        packed.counts.push(value.buffers.len() as u32);
        heads.extend_from_slice(&value.head);
        buffers.extend(value.buffers.iter().cloned());
    }
    buffers[0] = heads.freeze();
    (packed, buffers)
}

/// The values that [`pack`] packed; `None`: table and buffers do not fit.
pub fn unpack(packed: &Packed, buffers: Vec<Bytes>) -> Option<Vec<Encoded>> {
    let mut buffers = buffers.into_iter();
    let mut heads = buffers.next()?;
    let n = packed.forms.len();
    if packed.heads.len() != n || packed.counts.len() != n {
        return None;
    }
    let mut values = Vec::with_capacity(n);
    for ((&form, &head), &count) in packed.forms.iter().zip(&packed.heads).zip(&packed.counts) {
        if head as usize > heads.len() || count as usize > buffers.len() {
            return None;
        }
        let head = heads.split_to(head as usize);
        values.push(Encoded { form, head, buffers: buffers.by_ref().take(count as usize).collect() });
    }
    (heads.is_empty() && buffers.len() == 0).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_being_packed() {
        let values: Vec<Encoded> = (0..5u8)
            .map(|i| Encoded {
                form: i,
                head: vec![i; i as usize].into(),
                buffers: (0..i % 3).map(|j| vec![j; 10].into()).collect(),
            })
            .collect();
        let (packed, buffers) = pack(&values);
        assert_eq!(unpack(&packed, buffers.clone()), Some(values));
        assert_eq!(unpack(&packed, buffers[..1].to_vec()), None);
        assert_eq!(unpack(&packed, vec![]), None);
    }
}
