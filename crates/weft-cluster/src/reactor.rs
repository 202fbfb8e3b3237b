//! The thread that a server's sockets live on.

use std::future::Future;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

use crate::ClusterError;

/// A tokio runtime on a thread of its own. Cloning shares; it ends with [`Reactor::close`] or with
/// the last clone.
#[derive(Clone, Debug)]
pub struct Reactor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    handle: Handle,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Reactor {
    pub fn start(name: &str) -> Result<Reactor, ClusterError> {
        let failed = |error: std::io::Error| ClusterError::Start {
            what: "a thread for sockets",
            reason: error.to_string(),
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, mut stopped) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // An error means that the sender is gone: the same as a call to stop.
                runtime.block_on(async { drop(stopped.wait_for(|stop| *stop).await) });
            })
            .map_err(failed)?;
        Ok(Reactor(Arc::new(Inner { handle, stop, thread: Mutex::new(Some(thread)) })))
    }

    pub fn handle(&self) -> &Handle {
        &self.0.handle
    }

    /// Runs a future on the thread and waits for it; not to be called from it.
    pub fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ClusterError> {
        let (tx, rx) = std::sync::mpsc::sync_channel(1);
        self.0.handle.spawn(async move { drop(tx.send(future.await)) });
        rx.recv().map_err(|_| ClusterError::Closed("this end was closed".into()))
    }

    /// Ends all its tasks and its thread.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        self.stop.send_replace(true);
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            // It only ends early if a task of ours panicked; the others have ended with it.
            let _ = thread.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
