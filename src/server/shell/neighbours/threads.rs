use std::sync::Arc;

use shuttle::future::block_on;

use super::Peer;
use crate::herd::Address;
use crate::sync::{check, thread};

fn peer() -> Arc<Peer> {
    Peer::new(
        "Riley".into(),
        Address::parse("riley:1").expect("an address"),
    )
}

#[test]
fn whoever_waits_for_a_neighbour_to_leave_is_woken_and_sees_why() {
    check(4000, || {
        let peer = peer();
        let wait = |peer: &Arc<Peer>| {
            let peer = Arc::clone(peer);
            thread::spawn(move || {
                block_on(peer.left());
                assert_eq!(peer.why_left().as_deref(), Some("gone"));
            })
        };
        let waiting = [wait(&peer), wait(&peer)];
        peer.leave("gone".to_owned());
        for waiting in waiting {
            waiting.join().expect("no panic");
        }
    });
}

#[test]
fn a_request_to_be_dialled_is_stored_until_somebody_waits_for_it() {
    check(1000, || {
        let peer = peer();
        let dialler = {
            let peer = Arc::clone(&peer);
            thread::spawn(move || block_on(peer.wants_to_be_dialled()))
        };
        peer.dial_now();
        dialler.join().expect("no panic");
    });
}
