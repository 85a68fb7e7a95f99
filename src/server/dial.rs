//! Keeping a link up from the end that dials: try for ever, less and less often, with jitter so
//! that a herd that restarts does not dial in step.

use std::sync::Arc;

use futures_lite::future::or;
use tokio::time::{Instant, timeout};

use super::neighbours::Peer;
use super::peer::serve_dialled;
use super::{ServeError, Shared, unless};
use crate::journal::{What, Why};
use crate::net::Net;
use crate::node::NeighbourId;

pub(super) async fn keep_dialling<N: Net>(
    shared: Arc<Shared<N>>,
    neighbour: NeighbourId,
    peer: Arc<Peer>,
) -> Result<(), ServeError> {
    let timing = shared.timing();
    let mut stopping = std::pin::pin!(or(shared.links_stopping(), peer.left()));
    let mut pause = timing.redial_least;
    loop {
        let connect = timeout(
            timing.connect_deadline,
            shared.net.dial(&peer.name, &peer.address),
        );
        let Some(connected) = unless(&mut stopping, connect).await else {
            return Ok(());
        };
        let since = Instant::now();
        match connected {
            // A session sees for itself that it is to end, and says what it still has to say.
            Ok(Ok(connection)) => serve_dialled(&shared, connection, neighbour, &peer).await,
            Ok(Err(error)) => failed(&shared, &peer, (&error).into()),
            Err(_) => failed(&shared, &peer, Why::Silent),
        }
        if since.elapsed() > timing.redial_most {
            pause = timing.redial_least;
        }
        let rest = tokio::time::sleep(shared.jitter(pause));
        if unless(&mut stopping, rest).await.is_none() {
            return Ok(());
        }
        pause = (pause * 2).min(timing.redial_most);
    }
}

fn failed<N: Net>(shared: &Shared<N>, peer: &Peer, why: Why) {
    let to = Arc::clone(&peer.name);
    shared.journal.record(None, What::ConnectFailed { to, why });
}
