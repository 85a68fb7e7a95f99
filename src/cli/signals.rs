//! When a user or the system wants this process to end.

use std::io;
use std::time::Duration;

use futures_lite::future::or;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

/// Signals that come within this time of one are that one: a supervisor may signal a process and then its group.
const TOGETHER: Duration = Duration::from_secs(1);

/// From here on a file that has grown to the limit of this process (`ulimit -f`) is an error like a full disk, and no longer
/// a signal that ends the process.
pub(super) fn survive_full_files() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        // A handler stays when the runtime by which it was set is gone. Without one the process is what it was before.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        if let Ok(runtime) = runtime {
            let _inside = runtime.enter();
            let kind = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
            let _ = signal(kind);
        }
    }
}

/// The signals that ask to end.
pub(super) struct Signals {
    /// When the last one came that counted.
    last: Option<Instant>,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// From here on they no longer end the process by themselves.
    pub(super) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            last: None,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn come(&mut self) -> &'static str {
        let terminate = async {
            self.terminate.recv().await;
            "SIGTERM"
        };
        let interrupt = async {
            self.interrupt.recv().await;
            "SIGINT"
        };
        or(terminate, interrupt).await
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { last: None })
    }

    async fn come(&mut self) -> &'static str {
        // Without a handler there is no such signal to wait for.
        let waited = tokio::signal::ctrl_c().await;
        if waited.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}

impl Signals {
    /// The name of the next one that counts.
    pub(super) async fn next(&mut self) -> &'static str {
        loop {
            let name = self.come().await;
            if self.last.is_none_or(|last| last.elapsed() >= TOGETHER) {
                self.last = Some(Instant::now());
                return name;
            }
        }
    }
}

/// When the settings are to be read again: SIGHUP. In a terminal that means that the terminal is gone, and ends the process.
pub(super) struct Reloads {
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Reloads {
    #[cfg(unix)]
    pub(super) fn new() -> io::Result<Self> {
        use std::io::IsTerminal as _;
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = if io::stdin().is_terminal() {
            None
        } else {
            Some(signal(SignalKind::hangup())?)
        };
        Ok(Self { hangup })
    }

    #[cfg(not(unix))]
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Completes with the next one.
    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(hangup) = &mut self.hangup
            && hangup.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// How often a process looks whether its parent is still there.
const LOOK: Duration = Duration::from_millis(100);

/// Completes when the parent of this process is another one than `parent`, which has ended then. Unlike the end of
/// standard input nobody can hold that up: any process that has the other end of the pipe keeps it open.
pub(super) async fn orphaned(parent: u32) {
    #[cfg(unix)]
    while std::os::unix::process::parent_id() == parent {
        tokio::time::sleep(LOOK).await;
    }
    #[cfg(not(unix))]
    {
        let _ = (parent, LOOK);
        std::future::pending::<()>().await;
    }
}

/// Completes when standard input ends. What is in it is nobody's business.
pub(super) async fn end_of_input() {
    let mut stdin = tokio::io::stdin();
    let mut bytes = [0; 64];
    while matches!(stdin.read(&mut bytes).await, Ok(1..)) {}
}
