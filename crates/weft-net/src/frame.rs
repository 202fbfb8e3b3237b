//! Frames: a head and the buffers that travel beside it.
//!
//! ```text
//! u32 length of the head | u32 number of buffers | u64 length of each buffer … | head | buffers …
//! ```
//!
//! All numbers are little-endian. [`Limits`] are checked before anything is allocated, and memory for what
//! passes them grows as bytes arrive: a lying length costs its sender as much as it costs us.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::NetError;

/// What a peer may send in one frame.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub head_bytes: u32,
    pub buffers: u32,
    /// Of all buffers together.
    pub buffer_bytes: u64,
}

impl Limits {
    /// For peers that have proved the token.
    pub const TRUSTED: Limits = Limits { head_bytes: 1 << 30, buffers: 1 << 20, buffer_bytes: 1 << 40 };
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub head: Bytes,
    pub buffers: Vec<Bytes>,
}

/// Memory is taken in steps of at least this size, then doubled.
const STEP_BYTES: usize = 64 * 1024;

/// Reads the next frame. `Err(Closed)` if the stream ends before it begins.
pub async fn read(stream: &mut (impl AsyncRead + Unpin), limits: &Limits) -> Result<Frame, NetError> {
    let mut start = [0u8; 8];
    match stream.read(&mut start[..1]).await? {
        0 => return Err(NetError::Closed),
        _ => stream.read_exact(&mut start[1..]).await?,
    };
    let [a, b, c, d, e, f, g, h] = start;
    let head_bytes = u32::from_le_bytes([a, b, c, d]);
    let count = u32::from_le_bytes([e, f, g, h]);
    if head_bytes > limits.head_bytes {
        return Err(NetError::Refused(format!(
            "a head of {head_bytes} bytes; at most {}",
            limits.head_bytes
        )));
    }
    if count > limits.buffers {
        return Err(NetError::Refused(format!("{count} buffers; at most {}", limits.buffers)));
    }
    let lengths = read_bytes(stream, count as u64 * 8).await?;
    let mut left = limits.buffer_bytes;
    let mut sizes = Vec::with_capacity(lengths.len() / 8);
    for length in lengths.chunks_exact(8) {
        // Chunks of eight bytes are eight bytes.
        let size = length.try_into().map_or(u64::MAX, u64::from_le_bytes);
        left = left.checked_sub(size).ok_or_else(|| {
            NetError::Refused(format!("buffers of more than {} bytes", limits.buffer_bytes))
        })?;
        sizes.push(size);
    }
    let head = read_bytes(stream, head_bytes as u64).await?;
    let mut buffers = Vec::with_capacity(sizes.len());
    for size in sizes {
        buffers.push(read_bytes(stream, size).await?);
    }
    Ok(Frame { head, buffers })
}

/// Exactly `length` bytes, in memory that grows as they come.
async fn read_bytes(stream: &mut (impl AsyncRead + Unpin), length: u64) -> Result<Bytes, NetError> {
    let length =
        usize::try_from(length).map_err(|_| NetError::Refused(format!("a buffer of {length} bytes")))?;
    let mut bytes = BytesMut::new();
    while bytes.len() < length {
        let room = (length - bytes.len()).min(bytes.len().max(STEP_BYTES));
        bytes.reserve(room);
        let mut limited = (&mut *stream).take((length - bytes.len()).min(room) as u64);
        if limited.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
    }
    Ok(bytes.freeze())
}

/// Writes one frame; the caller flushes.
pub async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    head: &[u8],
    buffers: &[Bytes],
) -> Result<(), NetError> {
    let too_long = |_| NetError::Encode(format!("a head of {} bytes is too long", head.len()));
    let mut start =
        Vec::with_capacity(8 + 8 * buffers.len() + if head.len() < STEP_BYTES { head.len() } else { 0 });
    start.extend_from_slice(&u32::try_from(head.len()).map_err(too_long)?.to_le_bytes());
    start.extend_from_slice(&u32::try_from(buffers.len()).map_err(too_long)?.to_le_bytes());
    for buffer in buffers {
        start.extend_from_slice(&(buffer.len() as u64).to_le_bytes());
    }
    if head.len() < STEP_BYTES {
        start.extend_from_slice(head);
        stream.write_all(&start).await?;
    } else {
        stream.write_all(&start).await?;
        stream.write_all(head).await?;
    }
    for buffer in buffers {
        stream.write_all(buffer).await?;
    }
    Ok(())
}
