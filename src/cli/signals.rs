//! When a user or the system wants this process to end.

use std::io;

use futures_lite::future::or;
use tokio::io::AsyncReadExt as _;

/// The signals that ask to end.
pub(super) struct Signals {
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
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one's name.
    pub(super) async fn next(&mut self) -> &'static str {
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
        Ok(Self {})
    }

    pub(super) async fn next(&mut self) -> &'static str {
        // Without a handler there is no such signal to wait for.
        let waited = tokio::signal::ctrl_c().await;
        if waited.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}

/// Completes when standard input ends. What is in it is nobody's business.
pub(super) async fn end_of_input() {
    let mut stdin = tokio::io::stdin();
    let mut bytes = [0; 64];
    while matches!(stdin.read(&mut bytes).await, Ok(1..)) {}
}
