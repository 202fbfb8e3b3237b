//! A worker's process: started, watched, and explained when it ends.
//!
//! Whoever waits for the end also watches: a process that takes more memory than it may, or that was stopped and
//! not continued, is killed, and the cause says so.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use weft_net::{Address, Open, Token, connect};

use crate::{ClusterError, FromScheduler, Reactor, ToScheduler};

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

/// What a process may do before it is killed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// Resident bytes; 0: as many as it likes.
    pub memory_bytes: u64,
    /// Of how many that is the part that ends a process, for the message.
    pub memory_limit: u64,
    /// How long it may stand still after a SIGSTOP; zero: for ever.
    pub stopped: Duration,
}

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(40);

#[derive(Debug)]
struct State {
    child: Child,
    exit: Option<Exit>,
    bounds: Bounds,
    /// Why we killed it.
    verdict: Option<String>,
    looked: Instant,
    stopped_since: Option<Instant>,
    /// Memory when last looked at, and the most that was seen.
    memory: u64,
    peak: u64,
}

impl Nanny {
    /// Starts `program` with `arguments` and these changes to the environment.
    ///
    /// Bounds are kept by whoever calls [`Nanny::wait`].
    pub fn spawn(
        program: &str,
        arguments: &[String],
        environment: &[(String, String)],
        bounds: Bounds,
    ) -> Result<Nanny, ClusterError> {
        let failed =
            |error: io::Error| ClusterError::Start { what: "a worker process", reason: error.to_string() };
        let child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        Ok(Nanny(Arc::new(Mutex::new(State {
            child,
            exit: None,
            bounds,
            verdict: None,
            looked: Instant::now(),
            stopped_since: None,
            memory: 0,
            peak: 0,
        }))))
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
                Ok(Some(status)) => {
                    let clean = status.success();
                    Some(Exit { pid, cause: state.explain(status), clean })
                }
                Err(error) => Some(Exit { pid, cause: format!("cannot be watched: {error}"), clean: false }),
            };
        }
        if state.exit.is_none() && state.looked.elapsed() >= LOOK {
            state.look();
        }
        state.exit.clone()
    }

    /// Resident memory when it was last looked at.
    pub fn memory(&self) -> u64 {
        self.0.lock().memory
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

/// Tells a scheduler elsewhere how a process of this nanny has ended: one call with one message.
pub fn report_exit(
    scheduler: &Address,
    token: &Token,
    nanny: &str,
    exit: (u32, &str, bool),
    within: Duration,
) -> Result<(), ClusterError> {
    let reactor = Reactor::start("weft-nanny")?;
    let (pid, cause, expected) = exit;
    let message = ToScheduler::Exited { nanny: nanny.into(), pid, cause: cause.into(), expected };
    let (scheduler, token) = (scheduler.clone(), token.clone());
    reactor.run(async move {
        let call = async {
            let open = Open::call(connect(&scheduler).await?, &token).await?;
            let (tx, mut rx) = open.start::<ToScheduler, FromScheduler>();
            tx.send(message)?;
            drop(tx);
            // The scheduler hangs up when it has heard us hang up.
            drop(rx.recv().await);
            Ok(())
        };
        tokio::time::timeout(within, call).await.map_err(|_| ClusterError::TimedOut)?
    })?
}

impl State {
    /// Measures, and kills what is out of bounds.
    fn look(&mut self) {
        self.looked = Instant::now();
        let pid = self.child.id();
        self.memory = resident_bytes(pid);
        self.peak = self.peak.max(self.memory);
        if self.verdict.is_some() {
            return;
        }
        let Bounds { memory_bytes, memory_limit, stopped } = self.bounds;
        if memory_bytes > 0 && self.memory > memory_bytes {
            let (used, may) = (in_words(self.memory), in_words(memory_limit));
            self.end(format!(
                "was ended by its nanny because it used {used} of the {may} of memory that it may use; give the \
                 worker a larger memory_limit, or its tasks smaller parts"
            ));
        } else if !stopped.is_zero() && is_stopped(pid) {
            let since = *self.stopped_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= stopped {
                let seconds = stopped.as_secs_f64();
                self.end(format!(
                    "was ended by its nanny because it had stood still for {seconds} s (SIGSTOP)"
                ));
            }
        } else {
            self.stopped_since = None;
        }
    }

    fn end(&mut self, verdict: String) {
        self.verdict = Some(verdict);
        // It may have ended by itself a moment ago.
        let _ = self.child.kill();
    }

    fn explain(&mut self, status: ExitStatus) -> String {
        if let (Some(verdict), Some(libc::SIGKILL)) = (&self.verdict, status.signal()) {
            return verdict.clone();
        }
        let cause = cause(status);
        if status.success() || self.peak == 0 {
            return cause;
        }
        let limit = match self.bounds.memory_limit {
            0 => String::new(),
            limit => format!(" of {}", in_words(limit)),
        };
        format!("{cause}; it last used {}{limit} of memory", in_words(self.memory))
    }
}

/// Resident memory of a process; 0 where the system does not tell.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    let pages = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages: u64 = pages.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    pages * 4096
}

/// Whether a signal has stopped the process.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name is in parentheses, and may be anything.
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()) == Some("T")
}

/// A size as people say it.
pub(crate) fn in_words(nbytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut size, mut unit) = (nbytes as f64, 0);
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{nbytes} B") } else { format!("{size:.2} {}", UNITS[unit]) }
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
        let run =
            |script: &str| Nanny::spawn("sh", &["-c".into(), script.into()], &[], Bounds::default()).unwrap();
        let wait = |nanny: Nanny| nanny.wait(Duration::from_secs(60)).unwrap();
        assert!(wait(run("exit 3")).cause.starts_with("exited with code 3"));
        assert!(wait(run("exit 0")).clean);
        assert!(wait(run("kill -9 $$")).cause.starts_with("was killed by signal 9 (SIGKILL)"));
        // One that waits for its input ends when it is let go.
        let waiting = run("read line");
        assert_eq!(waiting.wait(Duration::ZERO), None);
        waiting.let_go();
        assert!(wait(waiting).cause.starts_with("exited with code 1"));
    }

    #[test]
    fn a_process_out_of_bounds_is_ended() {
        let run =
            |script: &str, bounds| Nanny::spawn("sh", &["-c".into(), script.into()], &[], bounds).unwrap();
        let wait = |nanny: Nanny| nanny.wait(Duration::from_secs(60)).unwrap();
        let memory = Bounds { memory_bytes: 1 << 20, memory_limit: 2 << 20, ..Bounds::default() };
        let greedy = wait(run("x=x; while :; do x=$x$x; done", memory));
        assert!(greedy.cause.contains("of the 2.00 MiB"), "{}", greedy.cause);
        let still = Bounds { stopped: Duration::from_millis(50), ..Bounds::default() };
        let stopped = wait(run("kill -STOP $$; read line", still));
        assert!(stopped.cause.contains("stood still"), "{}", stopped.cause);
    }
}
