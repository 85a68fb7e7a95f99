//! Keeping a link up from the end that dials: try for ever, less and less often, with jitter so
//! that a herd that restarts does not dial in step.

use std::sync::Arc;

use tokio::time::{Instant, timeout};

use super::{ServeError, Shared, peer, unless};
use crate::journal::{What, Why};
use crate::net::Net;
use crate::node::NeighbourId;

pub(super) async fn keep_dialling<N: Net>(
    shared: Arc<Shared<N>>,
    neighbour: NeighbourId,
) -> Result<(), ServeError> {
    let timing = shared.timing();
    let address = &shared.config.addresses[neighbour.0];
    let name = &shared.config.node.neighbours[neighbour.0].name;
    let mut stopping = std::pin::pin!(shared.links_stopping());
    let mut pause = timing.redial_least;
    loop {
        let connect = timeout(timing.connect_deadline, shared.net.dial(name, address));
        let Some(connected) = unless(&mut stopping, connect).await else {
            return Ok(());
        };
        let since = Instant::now();
        match connected {
            // A session sees for itself that the server stops, and says what it still has to say.
            Ok(Ok(connection)) => peer::serve_dialled(&shared, connection, neighbour).await,
            Ok(Err(error)) => failed(&shared, neighbour, (&error).into()),
            Err(_) => failed(&shared, neighbour, Why::Silent),
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

fn failed<N: Net>(shared: &Shared<N>, neighbour: NeighbourId, why: Why) {
    let to = shared.config.node.neighbours[neighbour.0].name.clone();
    shared.journal.record(None, What::ConnectFailed { to, why });
}
