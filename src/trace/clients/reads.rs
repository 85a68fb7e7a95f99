//! Whether a server run ever tells less of a client than it has told before.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::exchanges::{Exchange, Exchanges, Moment};
use super::lines::{Line, Told, is_whole_refusal};
use super::{Accusation, shown};
use crate::journal::{ConnId, Event};

/// After a server has answered an IAMAT, whatever WHATSAT it is sent in the same run is answered by
/// that record or a newer one; in later runs, too, where the answer waited for a disk.
pub(in crate::trace) fn read_your_writes(events: &[Event]) -> Vec<Accusation> {
    let exchanges = Exchanges::of(events);
    look(
        &exchanges,
        |exchange| exchange.memory,
        |line| matches!(line, Line::Report(_)),
    )
}

/// After a server has answered a WHATSAT, whatever WHATSAT about the same client it is sent in the
/// same run is answered by that record or a newer one.
pub(in crate::trace) fn monotonic_reads(events: &[Event]) -> Vec<Accusation> {
    let exchanges = Exchanges::of(events);
    look(
        &exchanges,
        |exchange| exchange.run,
        |line| matches!(line, Line::Query(_)),
    )
}

/// The newest of what was told, and by which exchange.
type Floor<'a> = (Told<'a>, usize);

/// What was told so far, and must not be told less.
///
/// Two answers on different connections may overtake each other, so an answer counts for the lines
/// that are sent after it arrived. The lines of one connection are decided in their order.
#[derive(Default)]
struct Floors<'a> {
    by_span: BTreeMap<(&'a str, u32, &'a [u8]), Floor<'a>>,
    by_conn: BTreeMap<(ConnId, &'a [u8]), Floor<'a>>,
}

impl<'a> Floors<'a> {
    fn raise(&mut self, exchange: &Exchange<'a>, span: u32, told: Told<'a>, number: usize) {
        let id = told.place.id;
        let keep = |floor: &mut Floor<'a>| {
            if told.order(&floor.0) == Ordering::Greater {
                *floor = (told, number);
            }
        };
        let span = (exchange.server, span, id);
        (self.by_span.entry(span).and_modify(keep)).or_insert((told, number));
        let conn = (exchange.conn, id);
        (self.by_conn.entry(conn).and_modify(keep)).or_insert((told, number));
    }
}

/// Every answer to a WHATSAT that is older than an answer before it to a line that `counts`, of the
/// same server in the same `span`.
fn look<'a>(
    exchanges: &Exchanges<'a>,
    span: fn(&Exchange<'_>) -> u32,
    counts: fn(&Line<'_>) -> bool,
) -> Vec<Accusation> {
    let mut floors = Floors::default();
    // By the number of a WHATSAT: what its server had told when it was sent.
    let mut at_sending: BTreeMap<usize, Floor<'_>> = BTreeMap::new();
    let mut lost: BTreeSet<&[u8]> = BTreeSet::new();
    let mut accusations = Vec::new();
    for &moment in &exchanges.moments {
        match moment {
            Moment::ByHand(_) => {}
            Moment::Lost(id) => {
                lost.insert(id);
            }
            Moment::Sent(number) => {
                let exchange = &exchanges.all[number];
                if let Line::Query(id) = exchange.line
                    && let Some(floor) =
                        (floors.by_span).get(&(exchange.server, span(exchange), id))
                {
                    at_sending.insert(number, *floor);
                }
            }
            Moment::Answered(number) => {
                let exchange = &exchanges.all[number];
                let told = exchange.answer.and_then(|answer| answer.told);
                if let Line::Query(id) = exchange.line
                    && !lost.contains(id)
                {
                    let on_conn = floors.by_conn.get(&(exchange.conn, id)).copied();
                    let floor = at_sending.remove(&number).into_iter().chain(on_conn);
                    let floor = floor.max_by(|(a, _), (b, _)| a.order(b));
                    let wrong = floor.and_then(|floor| behind(exchange, told, floor));
                    accusations.extend(
                        wrong.map(|(_, before)| accuse(exchange, told, &exchanges.all[before])),
                    );
                }
                if let Some(told) = told.filter(|_| counts(&exchange.line)) {
                    floors.raise(exchange, span(exchange), told, number);
                }
            }
        }
    }
    accusations
}

/// The floor, if the answer is below it. A refusal tells nothing, unless the line was too long to
/// be read.
fn behind<'a>(
    exchange: &Exchange<'a>,
    told: Option<Told<'a>>,
    floor: Floor<'a>,
) -> Option<Floor<'a>> {
    let is_behind = match told {
        Some(told) => told.place.id == floor.0.place.id && told.order(&floor.0) == Ordering::Less,
        None => {
            (exchange.answer).is_some_and(|answer| is_whole_refusal(exchange.text, answer.text))
        }
    };
    is_behind.then_some(floor)
}

fn accuse(exchange: &Exchange<'_>, told: Option<Told<'_>>, before: &Exchange<'_>) -> Accusation {
    let Exchange { client, server, .. } = exchange;
    let first = before.answer.and_then(|answer| answer.told);
    let first = first.map_or_else(String::new, |told| shown(told.line));
    let other = before.client;
    let now = match told {
        Some(told) => format!("`{}`", shown(told.line)),
        None => "nothing".to_owned(),
    };
    let what = format!("{server} tells {client} {now} after it told {other} `{first}`");
    let events = [before.answer, exchange.answer].into_iter().flatten();
    let events = events.map(|answer| answer.event);
    Accusation::new(what, events.chain([exchange.sent]))
}
