//! Byte streams between processes, or within one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsStream;

use crate::{Address, NetError};

/// Bytes on their way within one process.
const IN_PROCESS_BYTES: usize = 1 << 20;

/// A connection, whatever carries it.
#[derive(Debug)]
pub enum Stream {
    InProcess(DuplexStream),
    Unix(UnixStream),
    Tcp(TcpStream),
    /// To or from a `tls://` address, before anything was said.
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

macro_rules! delegate {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::InProcess($stream) => $call,
            Stream::Unix($stream) => $call,
            Stream::Tcp($stream) | Stream::Plain($stream) => $call,
            Stream::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        delegate!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        delegate!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        delegate!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        delegate!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

type Callers = mpsc::UnboundedSender<DuplexStream>;
static IN_PROCESS: LazyLock<Mutex<HashMap<String, Callers>>> = LazyLock::new(Mutex::default);

fn in_process() -> std::sync::MutexGuard<'static, HashMap<String, Callers>> {
    // The table is whole after every statement that changes it.
    IN_PROCESS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes calls until it is dropped, which frees the address.
#[derive(Debug)]
pub struct Listener {
    address: Address,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    InProcess(tokio::sync::Mutex<mpsc::UnboundedReceiver<DuplexStream>>),
    Unix(UnixListener),
    Tcp(TcpListener),
    Tls(TcpListener),
}

impl Listener {
    pub async fn bind(address: &Address) -> Result<Listener, NetError> {
        let failed = |error: std::io::Error| NetError::Transport {
            what: "listen on",
            address: address.to_string(),
            error: Arc::new(error),
        };
        let (address, inner) = match address {
            Address::InProcess(name) => {
                static NEXT: AtomicU64 = AtomicU64::new(0);
                let name = match name.as_str() {
                    "" => format!("{}/{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)),
                    name => name.to_owned(),
                };
                let (tx, rx) = mpsc::unbounded_channel();
                let mut table = in_process();
                if table.contains_key(&name) {
                    return Err(failed(std::io::ErrorKind::AddrInUse.into()));
                }
                table.insert(name.clone(), tx);
                (Address::InProcess(name), Inner::InProcess(rx.into()))
            }
            Address::Unix(path) => (address.clone(), Inner::Unix(UnixListener::bind(path).map_err(failed)?)),
            Address::Tcp(host, port) => {
                let listener = TcpListener::bind((host.as_str(), *port)).await.map_err(failed)?;
                let bound = listener.local_addr().map_err(failed)?;
                (Address::Tcp(host.clone(), bound.port()), Inner::Tcp(listener))
            }
            Address::Tls(host, port) => {
                let listener = TcpListener::bind((host.as_str(), *port)).await.map_err(failed)?;
                let bound = listener.local_addr().map_err(failed)?;
                (Address::Tls(host.clone(), bound.port()), Inner::Tls(listener))
            }
        };
        Ok(Listener { address, inner })
    }

    /// Where it listens, with the port that was free.
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub async fn accept(&self) -> Result<Stream, NetError> {
        match &self.inner {
            Inner::InProcess(calls) => {
                calls.lock().await.recv().await.map(Stream::InProcess).ok_or(NetError::Closed)
            }
            Inner::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
            Inner::Tcp(listener) | Inner::Tls(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(match &self.inner {
                    Inner::Tls(_) => Stream::Plain(stream),
                    _ => Stream::Tcp(stream),
                })
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        match &self.address {
            Address::InProcess(name) => drop(in_process().remove(name)),
            // Somebody may have removed it before us.
            Address::Unix(path) => drop(std::fs::remove_file(path)),
            Address::Tcp(..) | Address::Tls(..) => {}
        }
    }
}

/// Calls a server.
pub async fn connect(address: &Address) -> Result<Stream, NetError> {
    let failed = |error: std::io::Error| NetError::Transport {
        what: "connect to",
        address: address.to_string(),
        error: Arc::new(error),
    };
    match address {
        Address::InProcess(name) => {
            let (ours, theirs) = tokio::io::duplex(IN_PROCESS_BYTES);
            let refused = || failed(std::io::ErrorKind::ConnectionRefused.into());
            let callers = in_process().get(name).cloned().ok_or_else(refused)?;
            callers.send(theirs).map_err(|_| refused())?;
            Ok(Stream::InProcess(ours))
        }
        Address::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await.map_err(failed)?)),
        Address::Tcp(host, port) | Address::Tls(host, port) => {
            // A server that listens everywhere is here as well.
            let everywhere = matches!(host.parse(), Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
            let stream = if everywhere {
                TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, *port))).await
            } else {
                TcpStream::connect((host.as_str(), *port)).await
            }
            .map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            Ok(match address {
                Address::Tls(..) => Stream::Plain(stream),
                _ => Stream::Tcp(stream),
            })
        }
    }
}
