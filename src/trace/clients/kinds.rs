//! Whether every answer is of the kind that its line asks for.

use super::exchanges::{Answer, Exchange, Exchanges};
use super::lines::{Line, Told, is_refusal};
use super::{Accusation, shown};
use crate::journal::Event;

/// An IAMAT gets an AT line with its own id, location and time, from the server that was asked; a
/// WHATSAT an AT line about its client and JSON behind it; either may be refused. Anything else is
/// refused.
pub(in crate::trace) fn answers_of_their_kind(events: &[Event]) -> Vec<Accusation> {
    let exchanges = Exchanges::of(events);
    let wrong = exchanges.answered().filter(|(exchange, answer)| {
        !is_refusal(exchange.text, answer.text) && !is_of_its_kind(exchange, answer)
    });
    let accusations = wrong.map(|(exchange, answer)| {
        let Exchange { client, server, .. } = exchange;
        let (line, told) = (shown(exchange.text), shown(answer.text));
        let what = format!("{client} asks {server} `{line}` and is answered `{told}`");
        Accusation::new(what, [exchange.sent, answer.event])
    });
    accusations.collect()
}

fn is_of_its_kind(exchange: &Exchange<'_>, answer: &Answer<'_>) -> bool {
    let Some(Told {
        server,
        place,
        body,
        ..
    }) = answer.told
    else {
        return false;
    };
    match exchange.line {
        Line::Report(sent) => {
            *server == *exchange.server.as_bytes() && place == sent && body.is_empty()
        }
        Line::Query(id) => {
            let body = body.trim_ascii();
            place.id == id && body.starts_with(b"{") && body.ends_with(b"}")
        }
        Line::Invalid => false,
    }
}
