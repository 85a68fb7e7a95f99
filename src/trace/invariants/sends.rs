//! Whether a flood costs no more messages than the links allow.

use std::collections::{BTreeMap, BTreeSet};

use super::stores::{Stores, accepted};
use super::{Finding, Run, shown};
use crate::journal::{ConnId, Event, EventKind, Source};
use crate::protocol::peer::PeerLine;
use crate::trace::state::LinkState;

/// The sends of an update over each link, by the update's generation.
type ByLink<'a> = BTreeMap<(ConnId, u32), Vec<&'a Event>>;

/// Over each link, in each direction, the same update is sent at most once while the link is up,
/// and never back to the neighbour that sent it. Records that a neighbour requested by set
/// reconciliation do not count. A server that stops before a link is synchronised sends all that its
/// own clients told it once more, since it can't know what the neighbour holds.
pub(super) fn sends_bounded(run: &Run<'_>) -> Vec<Finding> {
    let mut stores = Stores::default();
    let mut sent: BTreeMap<(&str, Vec<u8>), ByLink<'_>> = BTreeMap::new();
    let mut stopping: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for event in run.events {
        stores.learn(event);
        match event.what {
            // What comes back after its time was over is news again.
            EventKind::Expired { ref record } => {
                sent.remove(&(event.who.name(), record.text())).is_some()
            }
            EventKind::Stopping | EventKind::Upgraded { .. } => stopping.insert(event.who.name()),
            EventKind::Started { .. } => stopping.remove(event.who.name()),
            _ => false,
        };
        let (Some((to, update)), EventKind::LineOut { conn, .. }) =
            (stores.sent(event), &event.what)
        else {
            continue;
        };
        if was_asked_for(run, event, *conn) {
            continue;
        }
        let (server, text) = (event.who.name(), update.record.text());
        let said = || shown(text);
        // A client that was forgotten may say word for word what it said before.
        let leaves = stopping.contains(server)
            && stores.link_state(server, to) != Some(LinkState::Synchronised);
        let generation = update.record.generation();
        let links = sent.entry((server, text.to_vec())).or_default();
        let before = links.entry((*conn, generation)).or_default();
        let most = if leaves { 2 } else { 1 };
        if let Some(last) = before.last()
            && before.len() >= most
        {
            let what = format!("{server} sends {} to {to} again over the same link", said());
            found.push(Finding::new(what, [*last, event]));
        }
        before.push(event);
        if let Some(held) = stores.get(server, update.record.id())
            && came_from(held, to, text)
            && !leaves
        {
            let what = format!("{server} sends {} back to {to}, where it came from", said());
            found.push(Finding::new(what, [held, event]));
        }
    }
    found
}

fn came_from(held: &Event, neighbour: &str, text: &[u8]) -> bool {
    accepted(held).is_some_and(|accepted| {
        matches!(accepted.from, Source::Server(from) if **from == *neighbour)
            && accepted.record.text() == text
    })
}

/// Whether `sent` answers a line of the set reconciliation that came by the same link.
pub(super) fn was_asked_for(run: &Run<'_>, sent: &Event, conn: ConnId) -> bool {
    let Some(cause) = run.cause_of(sent).filter(|cause| cause.who == sent.who) else {
        return false;
    };
    match &cause.what {
        EventKind::LineIn { conn: by, line } if *by == conn => matches!(
            PeerLine::parse(&line.0),
            Ok(PeerLine::Digest { .. } | PeerLine::List { .. } | PeerLine::Want { .. })
        ),
        _ => false,
    }
}
