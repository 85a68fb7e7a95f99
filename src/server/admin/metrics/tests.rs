use super::*;

/// Whether the server counts as rejected after a connection `with` another end closed so.
fn is_unwilling_after(with: PeerRole, why: CloseReason) -> bool {
    let metrics = Metrics::new(Timestamp::from_nanos(0), ["B".into()]);
    let conn = ConnId(1);
    let end = match with {
        PeerRole::Server(_) => End::Dialler,
        PeerRole::Client | PeerRole::Peer => End::Acceptor,
    };
    for what in [
        EventKind::Opened { conn, end, with },
        EventKind::Closed { conn, why },
    ] {
        metrics.count(&what, || Timestamp::from_nanos(0));
    }
    metrics.saw_unwilling()
}

#[test]
fn nobody_who_reaches_the_port_can_keep_a_server_from_being_ready() {
    let stranger = || PeerRole::Peer;
    for why in [
        CloseReason::Refused("HELLO must come first".into()),
        CloseReason::Refused("that is no proof of this herd's secret".into()),
        CloseReason::Refused("Z is no neighbour of A".into()),
        CloseReason::NoHello,
    ] {
        assert!(!is_unwilling_after(stranger(), why.clone()), "{why}");
    }
}

#[test]
fn a_neighbour_that_was_dialled_and_does_not_want_this_server_keeps_it_from_being_ready() {
    let neighbour = || PeerRole::Server("B".into());
    for why in [
        CloseReason::Refused("that is no proof of this herd's secret".into()),
        CloseReason::Ended,
    ] {
        assert!(is_unwilling_after(neighbour(), why.clone()), "{why}");
    }
    for why in [CloseReason::Stopping, CloseReason::Left] {
        assert!(!is_unwilling_after(neighbour(), why.clone()), "{why}");
    }
}
