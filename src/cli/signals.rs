//! Signals by which a user or the system ends this process or reloads its settings.

use std::io;
use std::time::Duration;

use futures_lite::future::or;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

/// Signals within this time of another count as the same, since a supervisor may signal a process
/// and then its group.
const TOGETHER: Duration = Duration::from_secs(1);

/// Makes a file that reaches this process's size limit (`ulimit -f`) an error like a full disk, and
/// not a signal that ends the process.
pub(super) fn survive_full_files() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        // The handler outlives the runtime that sets it. If it cannot be set, the process keeps the
        // default behaviour.
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

/// The signals that request the end.
pub(super) struct Signals {
    /// The time of the last signal that counted.
    last: Option<Instant>,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// From here on these signals no longer end the process by themselves.
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
        // Without a handler such a signal cannot be awaited.
        let waited = tokio::signal::ctrl_c().await;
        if waited.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}

impl Signals {
    /// Waits for the next signal that counts, and returns its name.
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

/// Requests to reload the settings: SIGHUP. A process with a terminal keeps the default instead,
/// since there SIGHUP means that the terminal is gone, and ends the process.
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

    /// Completes at the next request.
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

/// The interval at which a process checks whether its parent still runs.
const LOOK: Duration = Duration::from_millis(100);

/// Completes when this process has another parent than `parent`, which has ended then. The end of
/// standard input is no sure sign: any process that holds the other end of the pipe keeps it open.
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

/// Completes when standard input ends. Its content is ignored.
pub(super) async fn end_of_input() {
    let mut stdin = tokio::io::stdin();
    let mut bytes = [0; 64];
    while matches!(stdin.read(&mut bytes).await, Ok(1..)) {}
}
