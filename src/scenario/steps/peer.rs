//! A peer's step: what somebody says to a server in the protocol between servers, by hand. All else is as in a client's
//! step.

use std::collections::BTreeMap;

use super::draft::DraftAction;
use super::failure;
use super::raw::RawStep;
use super::replies::{NOT, RESULTS, Replies};
use super::{Action, Declaration, MOST_CONNECTIONS, Step, connection};
use crate::diag::{Problem, Span};
use crate::document::{Located, TextOr};
use crate::herd::Name;
use crate::scenario::fields::{Holds, RawValue, field};
use crate::scenario::validate::Context;

pub(super) const DECLARATION: Declaration = Declaration {
    subject: field(
        "peer",
        Holds::Text,
        "This neighbour connects to a server's port for other servers and says there what the file says: any name, used to tell the story. The name that the server knows it by is in the `HELLO` that it sends.",
    ),
    fields: &[
        field(
            "to",
            Holds::Names,
            "The server that the peer talks to. A list, or `\"all\"`: each server on a connection of its own.",
        ),
        field(
            "send",
            Holds::Names,
            "The line that the peer sends. A list: all lines in one write, on one connection. Placeholders are those of a client's lines.",
        ),
        field(
            "reply",
            Holds::Replies,
            "A line that must come within 5 s, or a list with one for each line, of which `{}` awaits nothing. What comes before it is skipped, since servers also send lines unasked. Without it, no line is awaited.",
        ),
        field(
            "no_reply",
            Holds::Flag,
            "No line at all may come within 5 s.",
        )
        .written("no_reply = true"),
        field(
            "maybe",
            Holds::Flag,
            "The lines may stay unsent, or without the `reply`, because the server has closed the connection.",
        )
        .written("maybe = true"),
        failure::REFUSED,
        connection::CONNECTION,
        connection::RECONNECTS,
        connection::CLOSE,
        connection::UNFINISHED,
        connection::READS_AFTER,
        connection::RECEIVE_BUFFER,
        field(
            "times",
            Holds::Number,
            "The number of repetitions, each on a connection of its own unless it has a name; 1 by default.",
        )
        .from(1, MOST_CONNECTIONS),
        field(
            "every",
            Holds::Duration,
            "The time between two repetitions; by default all happen at once.",
        )
        .written("every = \"20ms\""),
    ],
    read: |cx, step| {
        let who = step.value::<Located<String>>("peer")?;
        let peer = cx.talk(step, who, "peer")?;
        cx.check_awaited(step);
        Some(DraftAction::Ready(Action::Peer(peer)))
    },
};

impl Context<'_> {
    /// What is skipped until the awaited line comes is anything but that, and no answer to a WHATSAT.
    fn check_awaited(&mut self, step: &RawStep) {
        let replies = step.value::<Replies>("reply");
        for reply in replies.map_or(&[][..], Replies::items) {
            let TextOr::Table(table) = &**reply else {
                continue;
            };
            for name in [NOT, RESULTS] {
                if let Some(place) = table.get(name).and_then(RawValue::place) {
                    let message = format!("`{name}` says nothing of a line that a peer awaits");
                    let problem = Problem::error(self.source, place, message);
                    self.report(problem.help(
                        "give a pattern, or `any` with several; lines that look otherwise are skipped",
                    ));
                }
            }
        }
    }

    /// Clients and peers are told apart by their names alone.
    pub(super) fn check_speakers(&mut self, steps: &[Step]) {
        let mut clients: BTreeMap<&Name, &Span> = BTreeMap::new();
        for step in steps {
            if let Action::Client(client) = &step.action {
                clients.entry(&client.client).or_insert(&step.span);
            }
        }
        let mut problems = Vec::new();
        for step in steps {
            if let Action::Peer(peer) = &step.action
                && let Some(client) = clients.get(&peer.client)
            {
                let message = format!("a peer can't be called `{}`, as a client is", peer.client);
                let problem = Problem::error(self.source, step.span.clone(), message);
                let problem = problem.also((*client).clone(), "the client is here");
                problems.push(problem.help("give the peer another name"));
            }
        }
        for problem in problems {
            self.report(problem);
        }
    }
}
