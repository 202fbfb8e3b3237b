//! What two processes promise each other, and what a stranger cannot do.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weft_net::frame::{self, Frame, Limits};
use weft_net::{Address, Listener, NetError, Open, Receiver, Sender, Token, connect};

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

type Ends = (Sender<Vec<u64>>, Receiver<Vec<u64>>);

async fn pair(address: &Address) -> (Ends, Ends) {
    let token = Token::from_secret("secret");
    let listener = Listener::bind(address).await.unwrap();
    let (served, called) = tokio::join!(
        async { Open::accept(listener.accept().await.unwrap(), &token).await.unwrap() },
        async { Open::call(connect(listener.address()).await.unwrap(), &token).await.unwrap() },
    );
    (served.start(), called.start())
}

#[test]
fn messages_and_buffers_arrive_in_order_over_every_transport() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    for address in
        [Address::InProcess(String::new()), Address::Unix(path.clone()), Address::Tcp("127.0.0.1".into(), 0)]
    {
        run(async {
            let ((tx, mut answers), (back, mut rx)) = pair(&address).await;
            for i in 0..10_000u64 {
                let buffers = if i % 1000 == 0 { vec![Bytes::from(vec![i as u8; 300_000])] } else { vec![] };
                tx.send_with(vec![i; (i % 5) as usize], buffers).unwrap();
            }
            for i in 0..10_000u64 {
                let got = rx.recv().await.unwrap();
                assert_eq!(got.message, vec![i; (i % 5) as usize]);
                assert_eq!(got.buffers.len(), (i % 1000 == 0) as usize);
                assert!(got.buffers.iter().all(|b| b.len() == 300_000 && b[7] == i as u8));
            }
            back.send(vec![1]).unwrap();
            assert_eq!(answers.recv().await.unwrap().message, [1]);
            // What was sent before the sender goes still arrives, then the end.
            tx.send(vec![7]).unwrap();
            drop(tx);
            assert_eq!(rx.recv().await.unwrap().message, [7]);
            assert!(matches!(rx.recv().await, Err(NetError::Closed)));
        });
    }
    assert!(!path.exists());
}

#[test]
fn a_wrong_token_and_a_stranger_are_refused() {
    run(async {
        let listener = Listener::bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (right, wrong) = (Token::from_secret("a"), Token::from_secret("b"));
        let (served, called) =
            tokio::join!(async { Open::accept(listener.accept().await.unwrap(), &right).await }, async {
                Open::call(connect(listener.address()).await.unwrap(), &wrong).await
            },);
        assert!(matches!(served, Err(NetError::Token)));
        assert!(matches!(called, Err(NetError::Token)));
        let mut stranger = connect(listener.address()).await.unwrap();
        let (served, ()) =
            tokio::join!(async { Open::accept(listener.accept().await.unwrap(), &right).await }, async {
                stranger
                    .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")
                    .await
                    .unwrap();
            });
        assert!(matches!(served, Err(NetError::Refused(_))), "{served:?}");
    });
}

/// Whoever records all that a caller says cannot open a connection with it.
#[test]
fn what_was_recorded_opens_nothing() {
    run(async {
        let listener = Listener::bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
        let token = Token::from_secret("a");
        // A man in the middle who passes everything on.
        let middle = Listener::bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (served, called, recorded) = tokio::join!(
            async { Open::accept(listener.accept().await.unwrap(), &token).await },
            async { Open::call(connect(middle.address()).await.unwrap(), &token).await },
            async {
                let mut caller = middle.accept().await.unwrap();
                let mut server = connect(listener.address()).await.unwrap();
                let (mut opening, mut said, mut proof) = ([0; 40], [0; 72], [0; 32]);
                server.read_exact(&mut opening).await.unwrap();
                caller.write_all(&opening).await.unwrap();
                caller.read_exact(&mut said).await.unwrap();
                server.write_all(&said).await.unwrap();
                server.read_exact(&mut proof).await.unwrap();
                caller.write_all(&proof).await.unwrap();
                said
            },
        );
        assert!(served.is_ok() && called.is_ok());
        let mut replay = connect(listener.address()).await.unwrap();
        let (served, _) = tokio::join!(
            async { Open::accept(listener.accept().await.unwrap(), &token).await },
            replay.write_all(&recorded)
        );
        assert!(matches!(served, Err(NetError::Token)));
    });
}

#[test]
fn lengths_beyond_the_limits_are_refused_before_anything_is_allocated() {
    let limits = Limits { head_bytes: 1000, buffers: 10, buffer_bytes: 1 << 20 };
    let frame = |head: u32, buffers: u32, lengths: &[u64]| {
        let mut bytes = [head.to_le_bytes(), buffers.to_le_bytes()].concat();
        lengths.iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        bytes
    };
    for bytes in [
        frame(u32::MAX, 0, &[]),
        frame(1001, 0, &[]),
        frame(0, u32::MAX, &[]),
        frame(0, 2, &[1 << 19, (1 << 19) + 1]),
        frame(0, 2, &[u64::MAX, u64::MAX]),
    ] {
        let refused = run(frame::read(&mut &bytes[..], &limits));
        assert!(matches!(refused, Err(NetError::Refused(_))), "{refused:?}");
    }
    // Below the limits a lie costs no memory either: this one promises a terabyte.
    let lie = frame(0, 1, &[1 << 40]);
    assert!(matches!(run(frame::read(&mut &lie[..], &Limits::TRUSTED)), Err(NetError::Io(_))));
}

/// A peer of ours that has lost its mind: messages of another type end the connection with an error.
#[test]
fn foreign_messages_end_the_connection() {
    run(async {
        let token = Token::random().unwrap();
        let listener = Listener::bind(&"inproc://".parse().unwrap()).await.unwrap();
        let (served, called) = tokio::join!(
            async { Open::accept(listener.accept().await.unwrap(), &token).await.unwrap() },
            async { Open::call(connect(listener.address()).await.unwrap(), &token).await.unwrap() },
        );
        let (tx, _rx) = called.start::<u64, ()>();
        let (_tx, mut rx) = served.start::<(), String>();
        tx.send(u64::MAX).unwrap();
        assert!(matches!(rx.recv().await, Err(NetError::Refused(_))));
    });
}

proptest! {
    #[test]
    fn frames_survive_the_trip(
        head in prop::collection::vec(any::<u8>(), 0..200_000),
        buffers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100_000), 0..4),
    ) {
        let buffers: Vec<Bytes> = buffers.into_iter().map(Bytes::from).collect();
        let mut bytes = Vec::new();
        run(frame::write(&mut bytes, &head, &buffers)).unwrap();
        let read = run(frame::read(&mut &bytes[..], &Limits::TRUSTED)).unwrap();
        prop_assert_eq!(read, Frame { head: head.into(), buffers });
    }

    #[test]
    fn random_bytes_end_in_an_error_or_a_frame(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let mut rest = &bytes[..];
        while let Ok(frame) = run(frame::read(&mut rest, &Limits::TRUSTED)) {
            prop_assert!(frame.head.len() <= bytes.len());
        }
    }

    #[test]
    fn a_frame_cut_short_is_an_error(head in prop::collection::vec(any::<u8>(), 1..100), cut in 1usize..100) {
        let mut bytes = Vec::new();
        run(frame::write(&mut bytes, &head, &[])).unwrap();
        bytes.truncate(bytes.len().saturating_sub(cut).max(1));
        prop_assert!(run(frame::read(&mut &bytes[..], &Limits::TRUSTED)).is_err());
    }
}
