//! What a worker does for peers and clients: it hands out results, and calls functions.

use std::sync::Arc;

use weft_data::Value;
use weft_net::{Listener, Open, Sender, Stream, Token};
use weft_scheduler::message::{Key, PeerRequest, RequestId, TaskId};

use super::Shared;
use super::data::{self, Stored};
use crate::{Encoded, FromPeer, ToPeer, value};

type Peer = Sender<FromPeer>;

/// Something that a thread of the host's must do, because it needs the host's lock or takes long.
pub(super) enum Errand {
    Fetch {
        request: RequestId,
        tasks: Vec<TaskId>,
        max_nbytes: u64,
        to: Peer,
    },
    /// Have no more than this much in memory.
    Spill {
        limit: usize,
    },
    Call {
        request: RequestId,
        function: Encoded,
        to: Peer,
    },
}

pub(super) async fn accept(shared: Arc<Shared>, listener: Listener, token: Token) {
    loop {
        match listener.accept().await {
            Ok(stream) => drop(tokio::spawn(serve(shared.clone(), stream, token.clone()))),
            // Out of file descriptors, say: others may close theirs.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}

async fn serve(shared: Arc<Shared>, stream: Stream, token: Token) {
    // Strangers are hung up on without a word.
    let Ok(open) = Open::accept(stream, &token).await else { return };
    let (to, mut requests) = open.start::<FromPeer, ToPeer>();
    while let Ok(received) = requests.recv().await {
        match received.message {
            ToPeer::Peer(PeerRequest::Fetch { request, tasks, max_nbytes, .. }) => {
                if let Some(reply) = shared.at_hand(request, &tasks) {
                    let (message, buffers) = reply;
                    // If it is gone, nobody waits.
                    let _ = to.send_with(message, buffers);
                } else {
                    shared.queue.errand(Errand::Fetch { request, tasks, max_nbytes, to: to.clone() });
                }
            }
            ToPeer::Peer(PeerRequest::Act { request, .. }) => drop(to.send(FromPeer::Busy { request })),
            ToPeer::Call(call) => {
                let function = value::unpack(&call.function, received.buffers).and_then(|mut f| f.pop());
                // No function: not of our protocol.
                let Some(function) = function else { return };
                let errand = Errand::Call { request: call.request, function, to: to.clone() };
                if call.actor { shared.queue.actor_call(errand) } else { shared.queue.errand(errand) }
            }
        }
    }
}

impl Shared {
    /// The answer to a fetch, if everything asked for is bytes already.
    fn at_hand(&self, request: RequestId, tasks: &[TaskId]) -> Option<(FromPeer, Vec<bytes::Bytes>)> {
        let (mut found, mut values, mut absent) = (Vec::with_capacity(tasks.len()), Vec::new(), Vec::new());
        for &task in tasks {
            match self.data.peek(task) {
                Some(Stored::Encoded(encoded)) => {
                    found.push(task);
                    values.push(encoded);
                }
                None => absent.push(task),
                Some(_) => return None,
            }
        }
        let (packed, buffers) = value::pack(&values);
        Some((FromPeer::Data { request, tasks: found, absent, broken: vec![], values: packed }, buffers))
    }

    fn encode(&self, task: TaskId) -> Option<Result<Encoded, Arc<str>>> {
        let value: Value = match self.data.peek(task)? {
            stored @ (Stored::Encoded(_) | Stored::Unread(_)) => return data::encoded(&stored).ok().map(Ok),
            Stored::Small(value) => value,
            Stored::Kept(ticket) => match ticket.get() {
                Ok(value) => value,
                Err(_) => return None,
            },
            Stored::Broken(reason) => return Some(Err(reason)),
            Stored::Program(_) => return None,
        };
        Some(self.host.encode(&value).map_err(|error| {
            let key = self.machine.lock().worker.key(task).map_or("a task".to_owned(), Key::to_string);
            format!("the result of {key} cannot be sent to another process: {error}").into()
        }))
    }
}

impl Errand {
    /// Inside the host's lock.
    pub(super) fn run(self, shared: &Arc<Shared>) {
        match self {
            Errand::Fetch { request, tasks, max_nbytes, to } => {
                let (mut found, mut values) = (Vec::new(), Vec::new());
                let (mut absent, mut broken, mut nbytes) = (Vec::new(), Vec::new(), 0);
                for task in tasks {
                    if nbytes > max_nbytes {
                        break;
                    }
                    match shared.encode(task) {
                        None => absent.push(task),
                        Some(Err(reason)) => broken.push((task, reason)),
                        Some(Ok(encoded)) => {
                            nbytes += encoded.nbytes() as u64;
                            found.push(task);
                            values.push(encoded);
                        }
                    }
                }
                let (packed, buffers) = value::pack(&values);
                let message = FromPeer::Data { request, tasks: found, absent, broken, values: packed };
                // If it is gone, nobody waits.
                let _ = to.send_with(message, buffers);
            }
            Errand::Spill { limit } => {
                // A full disk: results stay in memory, and whoever makes the next one hears of it.
                drop(shared.data.fit_into(limit));
                shared.spilling.store(false, std::sync::atomic::Ordering::Release);
            }
            Errand::Call { request, function, to } => {
                let (raised, returned) = match shared.host.call(&function) {
                    Ok(value) => (false, value),
                    Err(error) => (true, error),
                };
                let (packed, buffers) = value::pack([&returned]);
                let _ = to.send_with(FromPeer::Returned { request, raised, value: packed }, buffers);
            }
        }
    }
}
