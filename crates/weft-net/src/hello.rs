//! Both sides prove that they know the cluster's token, without sending it.
//!
//! ```text
//! server -> caller   "weft" version, nonce s
//! caller -> server   "weft" version, nonce c, proof("caller", s, c)
//! server -> caller   proof("server", s, c)
//! ```
//!
//! A proof is a BLAKE3 hash keyed by the token. Nonces are fresh, so what was recorded from one connection
//! opens no other. Fixed sizes, no serde: this is all that strangers can reach.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{NetError, Stream, Tls};

/// Most that a stranger can make us hold.
pub const LIMIT: usize = 72;

/// How long a stranger may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Goes up with every change of the messages.
const VERSION: u32 = 1;
const MAGIC: [u8; 4] = *b"weft";

/// What the processes of one cluster know and nobody else, and what they show on connections by TLS.
#[derive(Clone)]
pub struct Token {
    secret: [u8; 32],
    tls: Option<Tls>,
}

/// Not its value: logs are read by others.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    pub fn random() -> Result<Token, NetError> {
        let mut bytes = [0; 32];
        fill(&mut bytes)?;
        Ok(Token { secret: bytes, tls: None })
    }

    /// Any secret text, for instance a file's contents. The empty text is the token of clusters that
    /// need none, because only this machine reaches them.
    pub fn from_secret(secret: &str) -> Token {
        let secret = blake3::derive_key("weft cluster token 1", secret.trim().as_bytes());
        Token { secret, tls: None }
    }

    /// The same, with certificates for `tls://` addresses.
    pub fn with_tls(self, tls: Option<Tls>) -> Token {
        Token { tls, ..self }
    }

    pub(crate) fn tls(&self) -> Result<&Tls, NetError> {
        self.tls.as_ref().ok_or_else(|| NetError::Tls("a tls:// address needs certificates".into()))
    }

    fn proof(&self, side: &[u8], server: &[u8; 32], caller: &[u8; 32]) -> blake3::Hash {
        blake3::Hasher::new_keyed(&self.secret).update(side).update(server).update(caller).finalize()
    }
}

fn fill(bytes: &mut [u8]) -> Result<(), NetError> {
    getrandom::fill(bytes).map_err(|error| NetError::Io(std::sync::Arc::new(error.into())))
}

fn opening(nonce: &[u8; 32]) -> [u8; 40] {
    let mut bytes = [0; 40];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
    bytes[8..].copy_from_slice(nonce);
    bytes
}

fn read_opening(bytes: &[u8; 40]) -> Result<[u8; 32], NetError> {
    let [m0, m1, m2, m3, v0, v1, v2, v3, nonce @ ..] = bytes;
    if [*m0, *m1, *m2, *m3] != MAGIC {
        return Err(NetError::Refused("the other side is not weft".into()));
    }
    let version = u32::from_le_bytes([*v0, *v1, *v2, *v3]);
    if version != VERSION {
        return Err(NetError::Refused(format!(
            "the other side speaks version {version} of weft's protocol, this one {VERSION}: install the same \
             version of weft on both"
        )));
    }
    Ok(*nonce)
}

/// Encrypts the stream, if its address says so. Part of the patience that a stranger is shown.
pub(crate) async fn secure(stream: Stream, token: &Token, server: bool) -> Result<Stream, NetError> {
    let Stream::Plain(stream) = stream else { return Ok(stream) };
    let tls = token.tls()?.clone();
    in_time(async {
        let secured = if server { tls.accept(stream).await } else { tls.call(stream).await };
        secured.map(|stream| Stream::Tls(Box::new(stream)))
    })
    .await
}

/// The server's side. Nothing of the stream may be used before it succeeds.
pub(crate) async fn accept(stream: &mut Stream, token: &Token) -> Result<(), NetError> {
    in_time(async {
        let mut server = [0; 32];
        fill(&mut server)?;
        stream.write_all(&opening(&server)).await?;
        stream.flush().await?;
        let (mut first, mut proof) = ([0; 40], [0; 32]);
        stream.read_exact(&mut first).await?;
        let caller = read_opening(&first)?;
        stream.read_exact(&mut proof).await?;
        // `blake3::Hash` compares in constant time.
        if token.proof(b"caller", &server, &caller) != blake3::Hash::from(proof) {
            return Err(NetError::Token);
        }
        stream.write_all(token.proof(b"server", &server, &caller).as_bytes()).await?;
        stream.flush().await?;
        Ok(())
    })
    .await
}

/// The caller's side.
pub(crate) async fn call(stream: &mut Stream, token: &Token) -> Result<(), NetError> {
    in_time(async {
        let mut first = [0; 40];
        stream.read_exact(&mut first).await?;
        let server = read_opening(&first)?;
        let mut caller = [0; 32];
        fill(&mut caller)?;
        stream.write_all(&opening(&caller)).await?;
        stream.write_all(token.proof(b"caller", &server, &caller).as_bytes()).await?;
        stream.flush().await?;
        let mut proof = [0; 32];
        stream.read_exact(&mut proof).await.map_err(|error| match error.kind() {
            // It hung up on our proof.
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset => NetError::Token,
            _ => error.into(),
        })?;
        if token.proof(b"server", &server, &caller) != blake3::Hash::from(proof) {
            return Err(NetError::Token);
        }
        Ok(())
    })
    .await
}

async fn in_time<T>(hello: impl Future<Output = Result<T, NetError>>) -> Result<T, NetError> {
    let late = || NetError::Refused("the other side did not introduce itself in time".into());
    tokio::time::timeout(PATIENCE, hello).await.unwrap_or_else(|_| Err(late()))
}
