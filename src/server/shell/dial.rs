//! Keeping a link up from the end that dials: try for ever, less and less often, with jitter so
//! that a herd that restarts does not dial in step.

use std::sync::Arc;

use futures_lite::future::or;
use tokio::time::{Instant, timeout};

use super::neighbours::Peer;
use super::peer::{self, Dialled, serve_dialled};
use super::{ServeError, Shared, unless};
use crate::journal::{CloseReason, EventKind};
use crate::net::Net;
use crate::node::NeighbourId;
use crate::protocol::peer::{OLDEST_VERSION, VERSION, is_unspoken, namesake};

pub(super) async fn keep_dialling<N: Net>(
    shared: Arc<Shared<N>>,
    neighbour: NeighbourId,
    peer: Arc<Peer>,
) -> Result<(), ServeError> {
    let timing = shared.timing();
    let mut stopping = std::pin::pin!(or(shared.links_stopping(), peer.left()));
    let mut pause = timing.redial_least;
    let mut version = VERSION;
    loop {
        let connect = timeout(
            timing.connect_deadline,
            shared.net.dial(&peer.name, &peer.address),
        );
        let Some(connected) = unless(&mut stopping, connect).await else {
            return Ok(());
        };
        let since = Instant::now();
        let mut most = timing.redial_most;
        match connected {
            // A session sees for itself that it is to end, and says what it still has to say.
            Ok(Ok(connection)) => {
                let dialled = Dialled {
                    neighbour,
                    peer: &peer,
                    version,
                };
                let spoken = std::mem::replace(&mut version, VERSION);
                match serve_dialled(&shared, connection, dialled).await {
                    CloseReason::Refused(reason) if is_unspoken(&reason, spoken) => {
                        // It is there and waits for nothing but older words.
                        version = OLDEST_VERSION;
                        continue;
                    }
                    CloseReason::Refused(reason) if namesake(&reason).is_some() => {
                        // Somebody has to come and end one of the two.
                        most *= NAMESAKE_WAITS;
                        pause = most;
                    }
                    _ => {}
                }
            }
            Ok(Err(error)) => failed(&shared, &peer, (&error).into()),
            Err(_) => failed(&shared, &peer, CloseReason::Silent),
        }
        if since.elapsed() > timing.redial_most {
            pause = timing.redial_least;
        }
        let rest = tokio::time::sleep(shared.jitter(pause));
        if unless(&mut stopping, or(peer.wants_to_be_dialled(), rest))
            .await
            .is_none()
        {
            return Ok(());
        }
        pause = (pause * 2).min(most);
    }
}

/// A server whose name another one has, too, waits this many times the longest pause before it dials again: 30 s by
/// default.
const NAMESAKE_WAITS: u32 = 15;

/// A server that has just started asks a neighbour by which it is dialled to do so now: that one may have been in vain for a while, and
/// waits long by now. Whoever has not started yet, or speaks only version 1, dials by itself.
pub(super) async fn ask_to_be_dialled<N: Net>(
    shared: Arc<Shared<N>>,
    neighbour: NeighbourId,
    peer: Arc<Peer>,
) -> Result<(), ServeError> {
    let timing = shared.timing();
    let asking = async {
        // Where all begin at the same time, this is needless.
        tokio::time::sleep(timing.redial_least / 2).await;
        if shared.state().node.is_up(neighbour) {
            return;
        }
        let dial = shared.net.dial(&peer.name, &peer.address);
        if let Ok(Ok(connection)) = timeout(timing.connect_deadline, dial).await {
            peer::ask_to_be_dialled(&shared, connection, &peer).await;
        }
    };
    // Whether the request was sent or there is no time for it any more.
    let _ = unless(or(shared.links_stopping(), peer.left()), asking).await;
    Ok(())
}

fn failed<N: Net>(shared: &Shared<N>, peer: &Peer, why: CloseReason) {
    let to = Arc::clone(&peer.name);
    shared
        .journal
        .record(None, EventKind::ConnectFailed { to, why });
}
