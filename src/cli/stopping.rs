//! The end of a server's process: on a signal, gracefully, and at its limit at the latest.
//!
//! This runs on a thread and runtime of its own. Under a flood the server's own timers and tasks,
//! which would receive a signal, are late.

use std::future::pending;
use std::io;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures_lite::future::or;
use tokio::runtime;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Exit;
use super::notify::Manager;
use super::signals::{Signals, end_of_input, orphaned};
use crate::herd::Name;
use crate::log::Logs;
use crate::units::format_duration;

/// How long each log may take to write its queue when the limit is reached; a tenth of the limit if
/// that is less.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How a server's process ends.
pub(super) struct Stopping {
    pub(super) server: Name,
    /// The id of the process that supervises this one, if one does. The server stops when that
    /// process ends, or when standard input does.
    pub(super) supervised: Option<u32>,
    /// The maximum time from the signal to the end of the process.
    pub(super) limit: Duration,
    pub(super) manager: Arc<Manager>,
}

/// The handles by which the rest of the process takes part in stopping.
pub(super) struct EndHandles {
    /// Becomes `true` at the first signal.
    pub(super) stop: watch::Receiver<bool>,
    /// The logs to flush if the process is ended before it has stopped.
    pub(super) logs: Arc<OnceLock<Weak<Logs>>>,
}

impl Stopping {
    /// Starts the thread. From here on signals no longer end the process by themselves.
    pub(super) fn watch(self) -> io::Result<EndHandles> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let signals = {
            let _inside = runtime.enter();
            Signals::new()?
        };
        let (tell, stop) = watch::channel(false);
        let logs = Arc::default();
        let told = EndHandles {
            stop,
            logs: Arc::clone(&logs),
        };
        let watching = async move {
            let why = self.outlasted(signals, &tell).await;
            self.end(&why, logs.get().and_then(Weak::upgrade).as_deref());
        };
        std::thread::Builder::new()
            .name("stopping".to_owned())
            .spawn(move || runtime.block_on(watching))?;
        Ok(told)
    }

    /// Tells the server to stop gracefully on a signal, or when the supervisor ends. Completes with
    /// the reason to kill the process, when a second signal arrives or the stop limit passes first.
    async fn outlasted(&self, mut signals: Signals, tell: &watch::Sender<bool>) -> String {
        let input = async {
            let Some(parent) = self.supervised else {
                return pending().await;
            };
            let input = async {
                end_of_input().await;
                "the end of standard input"
            };
            let supervisor = async {
                orphaned(parent).await;
                "the end of its supervisor"
            };
            or(input, supervisor).await
        };
        let reason = or(signals.next(), input).await;
        tracing::info!(server = &*self.server, "stopping: {reason}");
        self.manager.stopping();
        tell.send_replace(true);
        // The last log lines must be written within the limit, too.
        let patience = self.limit.saturating_sub(2 * self.last_words());
        match timeout(patience, signals.next()).await {
            Ok(signal) => format!("ended at once: {signal} while stopping"),
            Err(_) => format!(
                "ended in the midst of stopping, which took longer than {} allows",
                format_duration(self.limit)
            ),
        }
    }

    fn last_words(&self) -> Duration {
        LAST_WORDS.min(self.limit / 10)
    }

    /// Ends the process, whatever its other threads do.
    fn end(&self, why: &str, logs: Option<&Logs>) -> ! {
        tracing::error!(server = &*self.server, "{why}");
        if let Some(logs) = logs {
            logs.finish(self.last_words());
        }
        std::process::exit(Exit::Failed as i32)
    }
}
