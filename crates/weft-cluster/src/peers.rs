//! Connections to workers that hold results: one to each, made when needed, shared by all requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::AHashMap;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use weft_net::{Address, NetError, Open, Received, Sender, Token, connect};
use weft_scheduler::message::RequestId;

use crate::{FromPeer, ToPeer};

type Waiting = Arc<Mutex<Option<AHashMap<RequestId, oneshot::Sender<Received<FromPeer>>>>>>;

/// All that goes on between this process and the workers it fetches from. Cloning shares.
#[derive(Clone, Debug)]
pub(crate) struct Peers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    token: Token,
    next: AtomicU64,
    connections: tokio::sync::Mutex<AHashMap<Arc<str>, Connection>>,
}

#[derive(Clone, Debug)]
struct Connection {
    tx: Sender<ToPeer>,
    /// `None` once the connection is gone.
    waiting: Waiting,
}

impl Peers {
    pub(crate) fn new(token: Token) -> Peers {
        Peers(Arc::new(Inner { token, next: AtomicU64::new(0), connections: Default::default() }))
    }

    /// Sends a request and waits for its answer. An error means that the peer is gone, or its connection.
    pub(crate) async fn request(
        &self,
        address: &Arc<str>,
        message: impl FnOnce(RequestId) -> (ToPeer, Vec<Bytes>),
    ) -> Result<Received<FromPeer>, NetError> {
        let request = RequestId(self.0.next.fetch_add(1, Ordering::Relaxed));
        let (tx, rx) = oneshot::channel();
        let connection = self.connection(address).await?;
        match connection.waiting.lock().as_mut() {
            Some(waiting) => drop(waiting.insert(request, tx)),
            None => return Err(NetError::Closed),
        }
        let (message, buffers) = message(request);
        connection.tx.send_with(message, buffers)?;
        rx.await.map_err(|_| NetError::Closed)
    }

    async fn connection(&self, address: &Arc<str>) -> Result<Connection, NetError> {
        // Held while the connection is made: others who want the same peer wait for it.
        let mut connections = self.0.connections.lock().await;
        if let Some(known) = connections.get(address)
            && known.waiting.lock().is_some()
        {
            return Ok(known.clone());
        }
        let parsed: Address = address.parse()?;
        let (tx, mut rx) =
            Open::call(connect(&parsed).await?, &self.0.token).await?.start::<ToPeer, FromPeer>();
        let waiting: Waiting = Arc::new(Mutex::new(Some(AHashMap::new())));
        let answers = waiting.clone();
        tokio::spawn(async move {
            while let Ok(received) = rx.recv().await {
                let request = received.message.request();
                let asked = answers.lock().as_mut().and_then(|waiting| waiting.remove(&request));
                if let Some(asked) = asked {
                    // Whoever asked may have given up.
                    let _ = asked.send(received);
                }
            }
            // Drops the senders: whoever waits hears that the peer is gone.
            answers.lock().take();
        });
        let connection = Connection { tx, waiting };
        connections.insert(address.clone(), connection.clone());
        Ok(connection)
    }
}
