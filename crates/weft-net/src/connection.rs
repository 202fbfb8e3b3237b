//! Messages over a stream, many to a frame.

use std::collections::VecDeque;
use std::marker::PhantomData;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncWriteExt, BufReader, ReadHalf, WriteHalf, split};
use tokio::sync::mpsc;

use crate::frame::{self, Limits};
use crate::{NetError, Stream, Token, hello};

/// A frame is sent when its head has grown to this size, even if more messages wait.
const HEAD_BYTES: usize = 256 * 1024;
/// Messages looked at together.
const BATCH: usize = 4096;
const READ_BYTES: usize = 128 * 1024;

/// A stream whose two ends trust each other.
#[derive(Debug)]
pub struct Open(Stream);

impl Open {
    /// The server's side of the introduction.
    pub async fn accept(stream: Stream, token: &Token) -> Result<Open, NetError> {
        let mut stream = hello::secure(stream, token, true).await?;
        hello::accept(&mut stream, token).await?;
        Ok(Open(stream))
    }

    /// The caller's side of the introduction.
    pub async fn call(stream: Stream, token: &Token) -> Result<Open, NetError> {
        let mut stream = hello::secure(stream, token, false).await?;
        hello::call(&mut stream, token).await?;
        Ok(Open(stream))
    }

    /// Messages in both directions. Ends when either side is dropped or the stream breaks.
    ///
    /// Must be called on a tokio runtime.
    pub fn start<Out, In>(self) -> (Sender<Out>, Receiver<In>)
    where
        Out: Serialize + Send + 'static,
        In: DeserializeOwned,
    {
        let (read, write) = split(self.0);
        let (tx, rx) = mpsc::unbounded_channel();
        tokio::spawn(write_all(write, rx));
        let read = BufReader::with_capacity(READ_BYTES, read);
        (Sender { queue: tx }, Receiver { read, waiting: VecDeque::new(), message: PhantomData })
    }
}

/// The writing end. Cloning shares; the stream's writing half closes with the last clone, after what was
/// sent has gone.
#[derive(Debug)]
pub struct Sender<T> {
    queue: mpsc::UnboundedSender<(T, Vec<Bytes>)>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { queue: self.queue.clone() }
    }
}

impl<T> Sender<T> {
    /// Queues a message; never blocks.
    pub fn send(&self, message: T) -> Result<(), NetError> {
        self.send_with(message, Vec::new())
    }

    /// Queues a message with buffers that travel beside it, uncopied.
    pub fn send_with(&self, message: T, buffers: Vec<Bytes>) -> Result<(), NetError> {
        self.queue.send((message, buffers)).map_err(|_| NetError::Closed)
    }

    /// Waits until the connection is gone.
    pub async fn closed(&self) {
        self.queue.closed().await;
    }
}

/// A message and the buffers that came with it.
#[derive(Clone, Debug)]
pub struct Received<T> {
    pub message: T,
    pub buffers: Vec<Bytes>,
}

/// The reading end.
#[derive(Debug)]
pub struct Receiver<T> {
    read: BufReader<ReadHalf<Stream>>,
    waiting: VecDeque<Received<T>>,
    message: PhantomData<T>,
}

impl<T: DeserializeOwned> Receiver<T> {
    /// The next message. Not to be dropped half-way and called again.
    pub async fn recv(&mut self) -> Result<Received<T>, NetError> {
        loop {
            if let Some(next) = self.waiting.pop_front() {
                return Ok(next);
            }
            let frame = frame::read(&mut self.read, &Limits::TRUSTED).await?;
            decode(frame, &mut self.waiting)?;
        }
    }

    /// All messages that have arrived, at least one.
    pub async fn recv_many(&mut self) -> Result<Vec<Received<T>>, NetError> {
        let first = self.recv().await?;
        let mut all = Vec::with_capacity(1 + self.waiting.len());
        all.push(first);
        all.extend(self.waiting.drain(..));
        Ok(all)
    }
}

/// The messages of a frame: for each the number of its buffers, then itself.
pub(crate) fn decode<T: DeserializeOwned>(
    frame: frame::Frame,
    into: &mut VecDeque<Received<T>>,
) -> Result<(), NetError> {
    let refused = |error: postcard::Error| NetError::Refused(format!("no message of ours: {error}"));
    let mut rest = &frame.head[..];
    let mut buffers = frame.buffers.into_iter();
    while !rest.is_empty() {
        let (count, tail): (u32, _) = postcard::take_from_bytes(rest).map_err(refused)?;
        let (message, tail) = postcard::take_from_bytes(tail).map_err(refused)?;
        rest = tail;
        if count as usize > buffers.len() {
            return Err(NetError::Refused(format!("a message with {count} buffers, {} came", buffers.len())));
        }
        into.push_back(Received { message, buffers: buffers.by_ref().take(count as usize).collect() });
    }
    match buffers.len() {
        0 => Ok(()),
        left => Err(NetError::Refused(format!("{left} buffers that belong to no message"))),
    }
}

/// Lets postcard write to the end of a buffer.
struct Append<'a>(&'a mut BytesMut);

impl postcard::ser_flavors::Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.put_u8(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

pub(crate) fn encode<T: Serialize>(message: &T, buffers: usize, head: &mut BytesMut) -> Result<(), NetError> {
    let write = |head: &mut BytesMut| {
        postcard::serialize_with_flavor(&(buffers as u32), Append(head))?;
        postcard::serialize_with_flavor(message, Append(head))
    };
    write(head).map_err(|error| NetError::Encode(error.to_string()))
}

/// Writes what is queued until nobody can queue any more, or the stream breaks.
async fn write_all<T: Serialize>(
    mut stream: WriteHalf<Stream>,
    mut queue: mpsc::UnboundedReceiver<(T, Vec<Bytes>)>,
) {
    let mut batch = Vec::new();
    let (mut head, mut buffers) = (BytesMut::new(), Vec::new());
    'open: while queue.recv_many(&mut batch, BATCH).await > 0 {
        for (message, with) in batch.drain(..) {
            if encode(&message, with.len(), &mut head).is_err() {
                break 'open;
            }
            buffers.extend(with);
            if head.len() >= HEAD_BYTES {
                if frame::write(&mut stream, &head, &buffers).await.is_err() {
                    break 'open;
                }
                head.clear();
                buffers.clear();
            }
        }
        if !head.is_empty() && frame::write(&mut stream, &head, &buffers).await.is_err() {
            break;
        }
        head.clear();
        buffers.clear();
        if queue.is_empty() && stream.flush().await.is_err() {
            break;
        }
    }
    // The reading half learns from the stream why it broke.
    let _ = stream.shutdown().await;
}
