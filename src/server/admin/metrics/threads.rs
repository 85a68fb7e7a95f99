use std::sync::Arc;

use shuttle::future::block_on;

use super::Metrics;
use crate::journal::{CloseReason, ConnId, End, EventKind, PeerRole};
use crate::protocol::time::Timestamp;
use crate::sync::{check, thread};

fn started() -> Timestamp {
    Timestamp::EPOCH
}

fn count(metrics: &Metrics, what: &EventKind<'_>) {
    metrics.count(what, started);
}

/// The events of a link, from a connection to its end.
fn link(metrics: &Metrics, peer: &str, conn: ConnId) {
    let peer: crate::herd::Name = peer.into();
    let (end, with) = (End::Dialler, PeerRole::Server(Arc::clone(&peer)));
    count(metrics, &EventKind::Opened { conn, end, with });
    count(
        metrics,
        &EventKind::LinkUp {
            peer: Arc::clone(&peer),
            conn,
        },
    );
    let why = CloseReason::Ended;
    count(
        metrics,
        &EventKind::LinkDown {
            peer,
            why: why.clone(),
        },
    );
    count(metrics, &EventKind::Closed { conn, why });
}

#[test]
fn nothing_is_counted_twice_or_not_at_all() {
    check(1000, || {
        let names = ["Riley", "Juzang"];
        let metrics = Arc::new(Metrics::new(started(), names.map(Into::into)));
        let linking = [0, 1].map(|conn| {
            let metrics = Arc::clone(&metrics);
            thread::spawn(move || link(&metrics, names[conn], ConnId(conn as u64)))
        });
        // A scrape at any moment sees no more ends than beginnings.
        assert!(metrics.with_servers.open() <= 2);
        for linking in linking {
            linking.join().expect("no panic");
        }
        assert_eq!(metrics.with_servers.opened.get(), 2);
        assert_eq!(metrics.with_servers.open(), 0);
        assert!(!metrics.saw_unwilling(), "each connection became a link");
        assert!(metrics.servers().is_empty());
        for (_, link) in metrics.link_counts() {
            assert_eq!((link.ups.get(), link.downs.get()), (1, 1));
        }
    });
}

#[test]
fn whoever_is_notified_of_a_link_sees_it() {
    check(2000, || {
        let metrics = Arc::new(Metrics::new(started(), ["Riley".into()]));
        let mut changes = metrics.changes();
        let linking = {
            let metrics = Arc::clone(&metrics);
            thread::spawn(move || {
                let (peer, conn) = ("Riley".into(), ConnId(0));
                count(&metrics, &EventKind::LinkUp { peer, conn });
            })
        };
        block_on(async {
            while !metrics.links().iter().all(|link| link.up) {
                changes.changed().await.expect("the metrics are there");
            }
        });
        linking.join().expect("no panic");
    });
}
