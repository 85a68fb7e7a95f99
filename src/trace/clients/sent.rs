//! Whether all that clients are told was sent by some client.

use std::collections::{BTreeMap, BTreeSet};

use super::exchanges::{Exchange, Exchanges, Moment};
use super::lines::{Line, Place, Told};
use super::{Accusation, shown};
use crate::journal::Event;

/// What is known of a place that clients sent to one server.
#[derive(Default)]
struct Sent<'a> {
    /// How many IAMATs were sent that say it, but for those that were refused.
    lines: u32,
    /// How many of them were answered.
    answered: u32,
    /// The skews of these answers.
    skews: BTreeSet<&'a [u8]>,
    /// The skews with which a neighbour said it that a scenario spoke for by hand.
    by_hand: BTreeSet<&'a [u8]>,
    /// Exchanges that were told it with another skew, while an answer was outstanding.
    unsettled: Vec<usize>,
}

/// Every AT line that answers a WHATSAT says a place and a time that a client sent before, word for
/// word, to the server that the line names, and with the skew that this server answered. While one
/// of these IAMATs has no answer, its skew is known to no client, and any will do.
pub(in crate::trace) fn told_as_sent(events: &[Event]) -> Vec<Accusation> {
    let exchanges = Exchanges::of(events);
    let mut sent: BTreeMap<(&[u8], Place<'_>), Sent<'_>> = BTreeMap::new();
    let mut accusations = Vec::new();
    for &moment in &exchanges.moments {
        match moment {
            Moment::Sent(number) => {
                let exchange = &exchanges.all[number];
                if let Line::Report(place) = exchange.line {
                    let sent = sent.entry((exchange.server.as_bytes(), place));
                    sent.or_default().lines += 1;
                }
            }
            Moment::Answered(number) => {
                let exchange = &exchanges.all[number];
                let told = exchange.answer.and_then(|answer| answer.told);
                match (exchange.line, told) {
                    (Line::Report(place), told) => {
                        let sent = sent.entry((exchange.server.as_bytes(), place));
                        let sent = sent.or_default();
                        match told {
                            Some(told) => {
                                sent.answered += 1;
                                sent.skews.insert(told.skew);
                            }
                            None if exchange.waits_for_disk => {}
                            // A line that was refused made no record.
                            None => sent.lines = sent.lines.saturating_sub(1),
                        }
                    }
                    (Line::Query(_), Some(told)) => {
                        let known = sent.get_mut(&(told.server, told.place));
                        match known {
                            Some(sent) if sent.by_hand.contains(told.skew) => {}
                            Some(sent) if sent.lines > 0 => {
                                if !sent.skews.contains(told.skew) {
                                    sent.unsettled.push(number);
                                }
                            }
                            _ => accusations.push(invented(exchange, &told)),
                        }
                    }
                    _ => {}
                }
            }
            Moment::ByHand(told) => {
                let sent = sent.entry((told.server, told.place)).or_default();
                sent.by_hand.insert(told.skew);
            }
            Moment::Lost(_) => {}
        }
    }
    let settled = sent.values().filter(|sent| sent.answered >= sent.lines);
    for (sent, number) in settled.flat_map(|sent| sent.unsettled.iter().map(move |it| (sent, *it)))
    {
        let exchange = &exchanges.all[number];
        let told = exchange.answer.and_then(|answer| answer.told);
        accusations.extend(
            (told.filter(|told| !sent.skews.contains(told.skew)))
                .map(|told| skewed(exchange, &told)),
        );
    }
    accusations.sort_by(|a, b| a.events.cmp(&b.events));
    accusations
}

fn invented(exchange: &Exchange<'_>, told: &Told<'_>) -> Accusation {
    accuse(exchange, told, "which no client sent to that server")
}

fn skewed(exchange: &Exchange<'_>, told: &Told<'_>) -> Accusation {
    accuse(exchange, told, "with a skew that no client was answered")
}

fn accuse(exchange: &Exchange<'_>, told: &Told<'_>, how: &str) -> Accusation {
    let Exchange { client, server, .. } = exchange;
    let what = format!("{server} tells {client} `{}`, {how}", shown(told.line));
    let answer = exchange.answer.map(|answer| answer.event);
    Accusation::new(what, [exchange.sent].into_iter().chain(answer))
}
