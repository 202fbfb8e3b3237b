//! The connection of a client, made again when it is lost.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use weft_net::{Address, NetError, Open, Receiver, Sender, Token, connect};
use weft_scheduler::message::{ClientHello, FromClient, ToClient};

use super::{Inner, Reply, Status};
use crate::{FromScheduler, ToScheduler};

/// How to get to the scheduler again, and how long to try.
pub(super) struct Link {
    pub(super) address: Address,
    pub(super) token: Token,
    pub(super) patience: Duration,
}

type Ends = (Sender<ToScheduler>, Receiver<FromScheduler>);

impl Link {
    async fn again(&self) -> Option<Ends> {
        let until = Instant::now() + self.patience;
        let mut pause = Duration::from_millis(20);
        while Instant::now() < until {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
            let call = async { Open::call(connect(&self.address).await?, &self.token).await };
            match call.await {
                Ok(open) => return Some(open.start()),
                // Another cluster has this address now.
                Err(NetError::Token) => return None,
                Err(_) => {}
            }
        }
        None
    }
}

/// Takes what the scheduler says until the client is gone, or no scheduler is to be had.
pub(super) async fn talk(client: Weak<Inner>, mut rx: Receiver<FromScheduler>, link: Link) {
    loop {
        let reason = listen(&client, &mut rx).await;
        let Some(inner) = client.upgrade() else { return };
        if inner.closed.lock().is_some() {
            return;
        }
        inner.disconnected();
        drop(inner);
        let again = link.again().await;
        let Some(inner) = client.upgrade() else { return };
        let Some((tx, again)) = again else {
            return inner.close(format!("lost the scheduler: {reason}").into());
        };
        rx = again;
        let before = inner.welcome.lock().take().map(|welcome| welcome.epoch);
        let hello = FromClient::Hello(ClientHello { name: inner.name.clone(), last_epoch: before });
        // If this connection is lost too, listening says so.
        let _ = tx.send(ToScheduler::Client(hello));
        let welcome = match rx.recv().await {
            Ok(received) => received.message,
            Err(_) => continue,
        };
        let FromScheduler::Client(ToClient::Welcome(welcome)) = welcome else {
            return inner.close("the scheduler did not answer a hello".into());
        };
        let same = before == Some(welcome.epoch);
        *inner.welcome.lock() = Some(welcome);
        inner.resume(tx, same);
    }
}

async fn listen(client: &Weak<Inner>, rx: &mut Receiver<FromScheduler>) -> Arc<str> {
    loop {
        match rx.recv_many().await {
            Ok(batch) => {
                let Some(client) = client.upgrade() else { return "the client is gone".into() };
                for received in batch {
                    if let FromScheduler::Client(message) = received.message {
                        client.take(message);
                    }
                }
                client.bump();
            }
            Err(reason) => return reason.to_string().into(),
        }
    }
}

impl Inner {
    fn disconnected(&self) {
        self.tx.lock().take();
        // Who waits for an answer must ask again: it may be on its way, or never come.
        let mut answers = self.answers.lock();
        for reply in answers.values_mut() {
            if let Reply::Waiting(watch) = reply {
                if let Some((watch, token)) = watch.take() {
                    watch.push(token);
                }
                *reply = Reply::Lost;
            }
        }
        drop(answers);
        self.answered.notify_all();
    }

    /// Says again what this client wants. `same`: it is the scheduler that knew it.
    fn resume(&self, tx: Sender<ToScheduler>, same: bool) {
        let mut tx_slot = self.tx.lock();
        let mut table = self.table.lock();
        if !same {
            // Where results are is said anew, under other numbers.
            for entry in table.all() {
                entry.forget_place();
            }
            self.blobs.lock().clear();
        }
        let (graphs, made_up) = self.sent.lock().again(&mut table);
        let futures = table.keys();
        drop(table);
        let say = |message| drop(tx.send(ToScheduler::Client(message)));
        graphs.into_iter().for_each(say);
        say(FromClient::Want { futures });
        say(FromClient::Resumed);
        say(FromClient::Release { futures: made_up });
        std::mem::take(&mut *self.later.lock()).into_iter().for_each(say);
        *tx_slot = Some(tx);
        drop(tx_slot);
        self.bump();
    }
}

impl super::table::Entry {
    /// A result is somewhere, but not known where.
    fn forget_place(&self) {
        self.reset_if(|status| matches!(status, Status::Done { .. }));
    }
}
