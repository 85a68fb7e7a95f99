//! What the admin listener knows of a server.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::disk::not_ready;
use super::{KeptEvents, Metrics, TokenSlot, ready};
use crate::herd::Name;
use crate::log::{Queue, Quota};
use crate::net::secure::Certificates;
use crate::places::Counts;
use crate::server::Handle;

/// Everything that the admin listener reports about a server.
pub struct Admin {
    /// The herd's name.
    pub herd: Name,
    /// The server's name in the herd.
    pub name: Name,
    /// When the server began.
    pub began: Instant,
    /// The server that runs.
    pub server: Handle,
    /// The counts of its events.
    pub metrics: Arc<Metrics>,
    /// The counts of look-ups by outcome.
    pub look_ups: Arc<Counts>,
    /// The queues of its logs, each with the log's name.
    pub logs: Vec<(&'static str, Arc<Queue>)>,
    /// The limits on its log lines; it counts lines that were left out.
    pub quota: Arc<Quota>,
    /// The certificates that the server loaded from files.
    pub certificates: watch::Receiver<Certificates>,
    /// When the grace ends: from then on the server can be ready without all neighbours.
    pub grace_ends: Instant,
    /// The token that a request must show to change anything.
    pub token: TokenSlot,
    /// Its last events, if they are kept for a harness that runs it.
    pub kept: Option<Arc<KeptEvents>>,
}

impl Admin {
    /// Waits until a harness has the last events, if they are kept for one.
    pub async fn until_fetched(&self) {
        if let Some(kept) = &self.kept {
            kept.until_fetched().await;
        }
    }

    /// Whether the server is ready now; an error gives the reasons, one per line.
    pub fn readiness(&self) -> Result<(), Vec<String>> {
        if self.metrics.has_namesake() && !self.server.is_stopping() {
            return Err(vec![
                "another server has this one's name: the log says which".to_owned(),
            ]);
        }
        let grace_is_over = Instant::now() >= self.grace_ends;
        ready(
            &self.metrics.links(),
            self.metrics.saw_unwilling(),
            grace_is_over,
            self.server.is_stopping(),
            self.server.shut().as_ref(),
        )?;
        not_ready(self.server.disk()).map_or(Ok(()), |why| Err(vec![why]))
    }
}
