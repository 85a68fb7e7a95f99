//! Whether records only ever get newer, and whether each one is what its client sent.

use std::cmp::Ordering;
use std::sync::Arc;

use super::stores::{Accepted, Stores, accepted};
use super::{Finding, Run, shown};
use crate::journal::{Actor, Event, EventKind, Ignored, RecordText, Source};
use crate::protocol::client::ClientLine;
use crate::protocol::peer::{PeerLine, Update};

pub(super) fn never_back_in_time(run: &Run<'_>) -> Vec<Finding> {
    let mut stores = Stores::default();
    let mut found = Vec::new();
    for event in run.events {
        let server = event.who.name();
        let before = accepted(event)
            .and_then(|Accepted { record, .. }| stores.get(server, &record.client.0));
        if let Some(before) = before
            && let (Some(old), Some(new)) = (record_of(before), record_of(event))
            && order(new, old) == Ordering::Less
        {
            let (old, new) = (shown(&old.text()), shown(&new.text()));
            let what = format!("{server} goes back from {old} to {new}");
            found.push(Finding::new(what, [before, event]));
        }
        found.extend(turned_away(&stores, event));
        stores.learn(event);
    }
    found
}

/// What is wrong with ignoring an update: the record that is held does not justify the server's
/// reason.
fn turned_away(stores: &Stores<'_>, event: &Event) -> Option<Finding> {
    let (EventKind::Ignored { record, why, .. }, server) = (&event.what, event.who.name()) else {
        return None;
    };
    let before = stores.get(server, &record.client.0);
    let held = before.and_then(record_of);
    let right = match (why, held) {
        (Ignored::Expired, _) => true,
        (Ignored::Known, Some(held)) => held == record,
        (Ignored::Older, Some(held)) => order(record, held) == Ordering::Less,
        (Ignored::Tied, Some(held)) => {
            number(&record.time.0) == number(&held.time.0) && order(record, held) == Ordering::Less
        }
        (Ignored::Known | Ignored::Older | Ignored::Tied, None) => false,
    };
    let new = shown(&record.text());
    let what = match held {
        Some(held) => format!("{server} has {} and turns away {new}", shown(&held.text())),
        None => format!("{server} has nothing of the client and turns away {new}"),
    };
    (!right).then(|| Finding::new(what, before.into_iter().chain([event])))
}

fn record_of(event: &Event) -> Option<&RecordText<'static>> {
    Some(accepted(event)?.record)
}

/// Which of two records of a client is newer (greater). This does not use the servers' own code,
/// which may be wrong: the later time; then the greater bytes of location and of time; then the
/// smaller skew; then the greater origin.
pub(super) fn order(a: &RecordText<'_>, b: &RecordText<'_>) -> Ordering {
    (number(&a.time.0).cmp(&number(&b.time.0)))
        .then_with(|| a.location.0.cmp(&b.location.0))
        .then_with(|| a.time.0.cmp(&b.time.0))
        .then_with(|| number(&b.skew.0).cmp(&number(&a.skew.0)))
        .then_with(|| a.origin.0.cmp(&b.origin.0))
}

/// A decimal number with up to nine digits of fraction, in billionths.
pub(super) fn number(text: &[u8]) -> i128 {
    let (is_negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut parts = text.split(|&byte| byte == b'.');
    let whole = parts.next().unwrap_or_default().iter();
    let fraction = parts.next().unwrap_or_default().iter();
    let digits = whole.chain(fraction.chain(&[b'0'; 9]).take(9));
    let number = digits.fold(0_i128, |number, digit| {
        (number.saturating_mul(10)).saturating_add(i128::from(digit.saturating_sub(b'0')))
    });
    if is_negative { -number } else { number }
}

/// Checks each step of a record's path by itself. A server that accepts a record has it from its
/// own client or word for word from a neighbour's line, and a server writes only what it accepted
/// before: so each record leads back to its client, cause by cause.
pub(super) fn nothing_invented(run: &Run<'_>) -> Vec<Finding> {
    let mut stores = Stores::default();
    let mut found = Vec::new();
    for event in run.events {
        if let Some(accepted) = accepted(event) {
            found.extend(Step { run, event }.taken_in(&stores, &accepted));
        }
        if let Some((to, update)) = stores.sent(event) {
            found.extend(Step { run, event }.passed_on(&stores, to, &update));
        }
        stores.learn(event);
    }
    found
}

/// The step of a record to a server, or from it to a neighbour.
struct Step<'a> {
    run: &'a Run<'a>,
    event: &'a Event,
}

impl Step<'_> {
    fn server(&self) -> &str {
        self.event.who.name()
    }

    fn taken_in(&self, stores: &Stores<'_>, accepted: &Accepted<'_>) -> Option<Finding> {
        let cause = self.run.cause_of(self.event);
        let heard = cause.filter(|cause| cause.who == self.event.who);
        let wrong = match accepted.from {
            Source::Client => self.heard_from_client(stores, accepted, heard),
            Source::Server(from) => self.heard_from_neighbour(stores, accepted, from, heard),
        };
        let (server, record) = (self.server(), shown(&accepted.record.text()));
        let events = cause.into_iter().chain([self.event]);
        wrong.map(|wrong| Finding::new(format!("{server} takes in {record}, {wrong}"), events))
    }

    fn heard_from_client(
        &self,
        stores: &Stores<'_>,
        accepted: &Accepted<'_>,
        heard: Option<&Event>,
    ) -> Option<String> {
        let said = heard.is_some_and(|heard| match &heard.what {
            EventKind::LineIn { conn, line } => {
                stores.peer(self.server(), *conn).is_none() && is_iamat(&line.0, accepted.record)
            }
            _ => false,
        });
        let is_origin = *accepted.record.origin.0 == *self.server().as_bytes();
        match (said, is_origin, accepted.hops) {
            (false, ..) => Some("which no client sent".to_owned()),
            (_, false, _) => Some("as if another server had heard it".to_owned()),
            (_, _, 1..) => Some(format!("{} hops away from its origin", accepted.hops)),
            (true, true, 0) => None,
        }
    }

    fn heard_from_neighbour(
        &self,
        stores: &Stores<'_>,
        accepted: &Accepted<'_>,
        from: &Arc<str>,
        heard: Option<&Event>,
    ) -> Option<String> {
        let Some((heard, EventKind::LineIn { conn, line })) =
            heard.map(|heard| (heard, &heard.what))
        else {
            return Some("which nobody sent to it".to_owned());
        };
        if stores.peer(self.server(), *conn) != Some(from) {
            return Some(format!("which {from} did not tell it"));
        }
        let says_so = match PeerLine::parse(&line.0) {
            Ok(PeerLine::At(said)) => {
                said.record.text() == accepted.record.text() && said.hops == accepted.hops
            }
            _ => false,
        };
        if !says_so {
            return Some(format!("but {from} sent `{}`", shown(&line.0)));
        }
        let was_sent = self.run.cause_of(heard).is_some_and(|sent| {
            let is_sender = matches!(&sent.who, Actor::Server(sender) if sender == from);
            is_sender && matches!(&sent.what, EventKind::LineOut { conn: by, line: out } if by == conn && out == line)
        });
        (!was_sent).then(|| format!("which {from} never sent"))
    }

    fn passed_on(&self, stores: &Stores<'_>, to: &str, sent: &Update) -> Option<Finding> {
        let server = self.server();
        let said = shown(sent.record.text());
        let Some(held) = stores.get(server, sent.record.id()) else {
            let what = format!("{server} sends {said} to {to} without holding it");
            return Some(Finding::new(what, [self.event]));
        };
        let accepted = accepted(held)?;
        let what = if accepted.record.text() != sent.record.text() {
            let held = shown(&accepted.record.text());
            format!("{server} holds {held} and sends {said} to {to}")
        } else if accepted.hops.saturating_add(1) != sent.hops {
            let (had, told) = (accepted.hops, sent.hops);
            format!("{server} holds {said} with hops {had} and sends it to {to} with hops {told}")
        } else {
            return None;
        };
        Some(Finding::new(what, [held, self.event]))
    }
}

fn is_iamat(line: &[u8], record: &RecordText<'_>) -> bool {
    match ClientLine::parse(line) {
        Ok(ClientLine::Iamat { id, location, time }) => {
            *id == *record.client.0
                && *location.text() == *record.location.0
                && *time.text == *record.time.0
        }
        _ => false,
    }
}
