//! The decoder against bytes that nobody means well: from a seed, for a moment in the tests, and for as long as
//! `WEFT_FUZZ_SECONDS` says by hand (`WEFT_FUZZ_SECONDS=3600 cargo test --release -p weft-net fuzz`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::connection::{Received, decode, encode};
use crate::frame::{self, Frame, Limits};

/// All that messages are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Message {
    Nothing,
    Text(Arc<str>),
    Bytes { digest: u128, bytes: Bytes },
    Tables { tasks: Vec<(u64, u32, bool)>, names: Vec<Option<String>>, map: BTreeMap<u32, f64> },
    Nested(Vec<Message>),
}

/// A small generator: a failure is found again by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

fn message(random: &mut Random, depth: usize) -> Message {
    match random.below(if depth == 0 { 4 } else { 5 }) {
        0 => Message::Nothing,
        1 => Message::Text("é".repeat(random.below(20)).into()),
        2 => {
            let n = random.below(100);
            Message::Bytes { digest: u128::from(random.next()), bytes: random.bytes(n).into() }
        }
        3 => Message::Tables {
            tasks: (0..random.below(9)).map(|i| (random.next(), i as u32, i % 2 == 0)).collect(),
            names: (0..random.below(5)).map(|i| (i % 2 == 0).then(|| i.to_string())).collect(),
            map: (0..random.below(5)).map(|i| (i as u32, 0.5)).collect(),
        },
        _ => Message::Nested((0..random.below(4)).map(|_| message(random, depth - 1)).collect()),
    }
}

/// A frame as a peer writes it, and what is in it.
fn written(random: &mut Random) -> (Vec<u8>, Vec<Message>) {
    let (mut head, mut buffers, mut messages) = (BytesMut::new(), Vec::new(), Vec::new());
    for _ in 0..random.below(4) {
        let said = message(random, 3);
        let with = random.below(3);
        encode(&said, with, &mut head).unwrap();
        for _ in 0..with {
            let n = random.below(300);
            buffers.push(Bytes::from(random.bytes(n)));
        }
        messages.push(said);
    }
    let mut bytes = Vec::new();
    run(frame::write(&mut bytes, &head, &buffers)).unwrap();
    (bytes, messages)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..1 + random.below(4) {
        let n = bytes.len();
        match random.below(5) {
            _ if n == 0 => bytes.push(0),
            0 => bytes[random.below(n)] ^= 1 << random.below(8),
            1 => bytes[random.below(n)] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            2 => bytes.truncate(random.below(n)),
            3 => {
                let at = random.below(n);
                let more = random.below(20);
                let more = random.bytes(more);
                bytes.splice(at..at, more);
            }
            _ => {
                // A length of four bytes, as large as can be.
                let at = random.below(n);
                bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = 0xff);
            }
        }
    }
}

/// Reads all frames of a stream; nothing may panic, and nothing may be larger than what came.
fn read(bytes: &[u8]) -> Result<VecDeque<Received<Message>>, crate::NetError> {
    let mut stream = bytes;
    let mut found = VecDeque::new();
    run(async {
        loop {
            match frame::read(&mut stream, &Limits::TRUSTED).await {
                Ok(frame) => {
                    let Frame { head, buffers } = &frame;
                    assert!(head.len() + buffers.iter().map(Bytes::len).sum::<usize>() <= bytes.len());
                    decode(frame, &mut found)?;
                }
                Err(crate::NetError::Closed) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    })?;
    Ok(found)
}

#[test]
fn fuzz_the_decoder() {
    let seconds = std::env::var("WEFT_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let until = Instant::now() + Duration::from_secs(seconds);
    let seed = std::env::var("WEFT_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut random = Random(seed);
    let (mut cases, mut refused) = (0_u64, 0_u64);
    // However slow the machine is, some cases are tried.
    while cases < 500 || Instant::now() < until {
        cases += 1;
        let (mut bytes, messages) = written(&mut random);
        let read_back: Vec<Message> = read(&bytes).unwrap().into_iter().map(|r| r.message).collect();
        assert_eq!(read_back, messages);
        damage(&mut random, &mut bytes);
        refused += u64::from(read(&bytes).is_err());
        let n = random.below(200);
        refused += u64::from(read(&random.bytes(n)).is_err());
    }
    assert!(refused > cases, "{refused} of {cases}");
}
