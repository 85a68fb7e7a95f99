//! Keeps a link up from the end that dials. It redials for ever with exponential back-off, and with
//! jitter so that a restarted herd does not dial in step.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::or;
use tokio::time::{Instant, timeout};

use super::neighbours::Peer;
use super::peer::{self, Dialled, serve_dialled};
use super::{ServeError, Shared, unless};
use crate::journal::{CloseReason, EventKind};
use crate::net::Net;
use crate::node::NeighbourId;
use crate::node::mistakes::Mistake;
use crate::protocol::peer::{OLDEST_VERSION, is_unspoken, namesake};

pub(super) async fn keep_dialling<N: Net>(
    shared: Arc<Shared<N>>,
    neighbour: NeighbourId,
    peer: Arc<Peer>,
) -> Result<(), ServeError> {
    let timing = shared.timing();
    let mut stopping = std::pin::pin!(or(shared.links_stopping(), peer.left()));
    let mut pause = timing.redial_least;
    let speaks = shared.config.node.speaks;
    let mut version = speaks;
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
            // The session itself notices the stop, and writes its remaining lines.
            Ok(Ok(connection)) => {
                let dialled = Dialled {
                    neighbour,
                    peer: &peer,
                    version,
                };
                let spoken = std::mem::replace(&mut version, speaks);
                match serve_dialled(&shared, connection, dialled).await {
                    CloseReason::Refused(reason) if is_unspoken(&reason, spoken) => {
                        // The neighbour is reachable and speaks only the older version, so there is
                        // no pause.
                        version = OLDEST_VERSION;
                        continue;
                    }
                    CloseReason::Refused(reason) if namesake(&reason).is_some() => {
                        // An operator has to end one of the two servers.
                        most *= NAMESAKE_WAITS;
                        pause = most;
                    }
                    _ => {}
                }
            }
            Ok(Err(error)) => failed(&shared, &peer, (&error).into()),
            Err(_) => failed(&shared, &peer, CloseReason::Silent),
        }
        let makes = |mistake| shared.config.mistake.makes(mistake);
        if since.elapsed() > timing.redial_most && !makes(Mistake::KeepsBackingOff) {
            pause = timing.redial_least;
        }
        let rest = tokio::time::sleep(shared.jitter(pause));
        if unless(&mut stopping, or(peer.wants_to_be_dialled(), rest))
            .await
            .is_none()
        {
            return Ok(());
        }
        if makes(Mistake::BacksOffForEver) {
            most = LONGEST;
        }
        pause = (pause * 2).min(most);
    }
}

/// The limit on the pause that a server with `Mistake::BacksOffForEver` reaches.
const LONGEST: Duration = Duration::from_hours(1);

/// A server whose name another server also uses waits this many times the longest pause before it
/// redials, so 30 s by default.
const NAMESAKE_WAITS: u32 = 15;

/// Sends a neighbour that dials this server a request to do so now, because after failed attempts
/// it may be in a long pause. A neighbour that starts later, or speaks only version 1, dials by
/// itself.
///
/// It is asked again after this server has refused a connection while their link is down. Who was
/// refused proved nothing, so it may be a stranger or this neighbour; the neighbour's own answer
/// tells whether it rejects this server.
pub(super) async fn ask_to_be_dialled<N: Net>(
    shared: Arc<Shared<N>>,
    neighbour: NeighbourId,
    peer: Arc<Peer>,
) -> Result<(), ServeError> {
    if shared.config.node.speaks == OLDEST_VERSION {
        // There was no `DIAL` in it.
        return Ok(());
    }
    let timing = shared.timing();
    let mut stopping = std::pin::pin!(or(shared.links_stopping(), peer.left()));
    // If all servers start at the same time, the link is usually up by then.
    let start = tokio::time::sleep(timing.redial_least / 2);
    if unless(&mut stopping, start).await.is_none() {
        return Ok(());
    }
    loop {
        let is_up = shared.state().node.is_up(neighbour);
        if !is_up && !shared.config.mistake.makes(Mistake::NeverAsksToBeDialled) {
            let dial = shared.net.dial(&peer.name, &peer.address);
            let dial = timeout(timing.connect_deadline, dial);
            match unless(&mut stopping, dial).await {
                None => return Ok(()),
                // The conversation itself notices when it must end, since its connection was
                // recorded and must be recorded as closed.
                Some(Ok(Ok(connection))) => {
                    peer::ask_to_be_dialled(&shared, connection, &peer).await;
                }
                Some(_) => {}
            }
        }
        let since = Instant::now();
        let pause = async {
            peer.may_be_refused().await;
            // Strangers must not make this server dial more often than a server that dials.
            tokio::time::sleep_until(since + shared.timing().redial_most).await;
        };
        if unless(&mut stopping, pause).await.is_none() {
            return Ok(());
        }
    }
}

fn failed<N: Net>(shared: &Shared<N>, peer: &Peer, why: CloseReason) {
    let to = Arc::clone(&peer.name);
    shared
        .journal
        .record(None, EventKind::ConnectFailed { to, why });
}
