//! Removes records whose time to live is over.

use std::sync::Arc;
use std::time::Duration;

use super::{ServeError, Shared, Tuning, unless};
use crate::net::Net;

/// How often expired records are removed.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// The number of records that are removed before other tasks get the lock.
const FORGET_AT_ONCE: usize = 256;

/// Removes expired records while the server runs, if there is a time to live.
pub(super) async fn forget<N: Net>(shared: Arc<Shared<N>>) -> Result<(), ServeError> {
    let mut tuning = shared.tuning.clone();
    let mut stopping = std::pin::pin!(shared.links_stopping());
    loop {
        let limited = async {
            let limited = |tuning: &Tuning| tuning.limits.keep.time_to_live.is_some();
            if tuning.wait_for(limited).await.is_err() {
                // No handle is left that could set a time to live.
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(FORGET_EVERY).await;
        };
        if unless(&mut stopping, limited).await.is_none() {
            return Ok(());
        }
        let now = shared.net.now();
        let journal = &*shared.journal;
        while shared.state().node.expire(now, FORGET_AT_ONCE, journal) == FORGET_AT_ONCE {
            tokio::task::yield_now().await;
        }
    }
}
