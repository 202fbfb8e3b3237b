//! How processes of a cluster talk: frames, transports, authentication.
//!
//! A **message** is any type that serde knows, together with **buffers** that travel beside it as
//! they lie in memory. Messages are written in `postcard`; all that wait to be sent when the socket
//! is free go as one **frame** ([`frame`]), so a thousand small messages cost one system call.
//! Streams come from a [`Listener`] or [`connect`]: in this process, over a Unix socket, over TCP, or over TCP with TLS
//! 1.3 ([`Tls`]). Before the first message both sides prove that they know the cluster's [`Token`] ([`hello`]).
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use weft_net::{Address, Listener, Open, Token, connect};
//!
//! let token = Token::random()?;
//! let listener = Listener::bind(&"inproc://".parse::<Address>()?).await?;
//! let address = listener.address().clone();
//! let (served, called) = tokio::join!(
//!     async { Open::accept(listener.accept().await?, &token).await },
//!     async { Open::call(connect(&address).await?, &token).await },
//! );
//! let (_tx, mut rx) = served?.start::<(), String>();
//! let (tx, _rx) = called?.start::<String, ()>();
//! tx.send("hello".to_string())?;
//! assert_eq!(rx.recv().await?.message, "hello");
//! # Ok::<(), weft_net::NetError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Bounds
//!
//! A peer that has not proved the token can make us hold [`hello::LIMIT`] bytes. After that, lengths
//! above the [`frame::Limits`] are refused before anything is allocated, and below them memory grows only
//! as fast as bytes arrive.

mod address;
mod connection;
mod error;
pub mod frame;
#[cfg(test)]
mod fuzz;
pub mod hello;
mod tls;
mod transport;

pub use address::Address;
pub use connection::{Open, Received, Receiver, Sender};
pub use error::NetError;
pub use hello::Token;
pub use tls::{Tls, temporary_certificates};
pub use transport::{Listener, Stream, connect};
