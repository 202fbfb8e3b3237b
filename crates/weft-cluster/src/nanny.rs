//! A worker's process: started, watched, and explained when it ends.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::ClusterError;

/// How a process has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    pub pid: u32,
    /// In words: `was killed by signal 9 (SIGKILL)`.
    pub cause: String,
    /// Exit code 0.
    pub clean: bool,
}

/// A child process. It holds a pipe to this process as its standard input and is to end when that
/// closes, which the system does for us if we are killed. Cloning shares.
#[derive(Clone, Debug)]
pub struct Nanny(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    child: Child,
    exit: Option<Exit>,
}

impl Nanny {
    /// Starts `program` with `arguments` and these changes to the environment.
    pub fn spawn(
        program: &str,
        arguments: &[String],
        environment: &[(String, String)],
    ) -> Result<Nanny, ClusterError> {
        let failed =
            |error: io::Error| ClusterError::Start { what: "a worker process", reason: error.to_string() };
        let child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        Ok(Nanny(Arc::new(Mutex::new(State { child, exit: None }))))
    }

    pub fn pid(&self) -> u32 {
        self.0.lock().child.id()
    }

    /// Waits for the process to end; `None`: it has not yet.
    pub fn wait(&self, at_most: Duration) -> Option<Exit> {
        let until = Instant::now() + at_most;
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(exit) = self.poll() {
                return Some(exit);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    fn poll(&self) -> Option<Exit> {
        let mut state = self.0.lock();
        if state.exit.is_none() {
            let pid = state.child.id();
            state.exit = match state.child.try_wait() {
                Ok(None) => None,
                Ok(Some(status)) => Some(Exit { pid, cause: cause(status), clean: status.success() }),
                Err(error) => Some(Exit { pid, cause: format!("cannot be watched: {error}"), clean: false }),
            };
        }
        state.exit.clone()
    }

    /// Closes the pipe: the process is to end by itself.
    pub fn let_go(&self) {
        self.0.lock().child.stdin.take();
    }

    /// Ends the process now.
    pub fn kill(&self) {
        let mut state = self.0.lock();
        if state.exit.is_none() {
            // It may have ended by itself a moment ago.
            let _ = state.child.kill();
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if self.exit.is_none() {
            // As above; and a killed child is reaped at once.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn cause(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => {
            let hint = if signal == 9 { ", perhaps by the system because memory ran out" } else { "" };
            format!("was killed by signal {signal} ({}){hint}", name(signal))
        }
        (None, None) => "ended".to_owned(),
    }
}

fn name(signal: i32) -> &'static str {
    match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGTERM => "SIGTERM",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_process_is_explained() {
        let run = |script: &str| Nanny::spawn("sh", &["-c".into(), script.into()], &[]).unwrap();
        let wait = |nanny: Nanny| nanny.wait(Duration::from_secs(60)).unwrap();
        assert_eq!(wait(run("exit 3")).cause, "exited with code 3");
        assert!(wait(run("exit 0")).clean);
        assert!(wait(run("kill -9 $$")).cause.starts_with("was killed by signal 9 (SIGKILL)"));
        // One that waits for its input ends when it is let go.
        let waiting = run("read line");
        assert_eq!(waiting.wait(Duration::ZERO), None);
        waiting.let_go();
        assert_eq!(wait(waiting).cause, "exited with code 1");
    }
}
