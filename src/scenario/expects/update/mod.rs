//! Expectations of an update: which servers it comes to, how, and at what cost.

mod judge;
mod read;

use std::time::Duration;

use super::read::Declaration;
use super::window::{AFTER, BEFORE, FROM, UNTIL};
use super::{Expectation, Expected, Fields, Observed, UpdateRef, Window, failed};
use crate::herd::ServerId;
use crate::scenario::fields::{Holds, field};
use crate::trace::Judgement;
use crate::scenario::CountRange;

/// What is expected of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateExpectation {
    /// Which.
    pub update: UpdateRef,
    /// What must be true of it, in the order of the fields. Never empty.
    pub checks: Vec<Check>,
    /// When it must come to the servers that are named, or else to every one that it comes to.
    pub window: Window,
}

/// Something that must be true of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The server accepts it.
    Reaches(ServerId),
    /// The server does not accept it.
    Misses(ServerId),
    /// The number of links over which it first reaches the server.
    Hops(ServerId, CountRange),
    /// It first comes to the server by this path, which begins at the origin and ends at the server.
    Path(ServerId, Vec<ServerId>),
    /// It comes within that time to the server, or to every server that it comes to.
    Within {
        /// The server; none for every one that the update comes to.
        server: Option<ServerId>,
        /// The longest that it may take.
        limit: Duration,
    },
    /// It first comes in the expectation's window to the server, or to every server that it comes to.
    Arrives(Option<ServerId>),
    /// The number of messages between servers that carried it.
    Sends(CountRange),
    /// The number of those messages that were new to their receiver.
    Useful(CountRange),
    /// The number of those messages that were duplicates.
    Duplicates(CountRange),
    /// It is answered and no server accepts it.
    Ignored,
    /// Its server does not understand it, so no server accepts it.
    Refused,
    /// No server ever hears it: the one that it was sent to is dead or out of reach.
    Unheard,
}

pub(super) const DECLARATIONS: &[Declaration] = &[Declaration {
    subject: field("update", Holds::Text, "The update: the client's id in the IAMAT, `\"kiwi.cs.ucla.edu\"`. If several are sent for that id, `\"kiwi.cs.ucla.edu#2\"` is the second in order of sending. Bytes that are no text are written as reports show them: `'\\xff\\xfe'`. At least one of `reaches`, `misses`, `hops`, `path`, `within`, `sends`, `useful`, `duplicates`, `ignored`, `refused` and `unheard` says what must be true of it."),
    fields: &[
        field("reaches", Holds::Names, "These servers accept it: a name, a list, or `\"all\"`."),
        field("misses", Holds::Names, "These servers do not accept it: a name, a list, or `\"all\"`. Also true of an update that is refused, or that no server hears."),
        field("hops", Holds::Amounts, "It first reaches the server over this number of links.").written("hops = { Campbell = 3 }"),
        field("path", Holds::Paths, "It first reaches the server by this path, or by one that a list of names gives.").written("path = { Campbell = \"Riley-Jaquez-Bernard-Campbell\" }"),
        field("within", Holds::Duration, "It takes up to this long to reach the servers that `reaches`, `hops` and `path` name; if they name none, every server that it reaches. It counts from its sending, or from the beginning that `after` or `from` gives.").written("within = \"100ms\""),
        FROM,
        AFTER,
        UNTIL,
        BEFORE,
        field("sends", Holds::Amount, "This number of messages between servers carried it."),
        field("useful", Holds::Amount, "This number of those messages were new to their receiver."),
        field("duplicates", Holds::Amount, "This number of those messages brought what their receiver already knew."),
        field("ignored", Holds::Flag, "It is answered and changes nothing, so no server accepts it.").written("ignored = true"),
        field("refused", Holds::Flag, "Its server does not understand the line, so no server accepts it.").written("refused = true"),
        field("unheard", Holds::Flag, "No server hears it: the one that it is sent to is dead or out of reach.").written("unheard = true"),
    ],
    read: read::read,
}];

impl Expectation for UpdateExpectation {
    fn write(&self, fields: &mut Fields<'_>) {
        fields.text("update", &self.update.text);
        let checks = || self.checks.iter();
        let reaches = checks().filter_map(|check| match check {
            Check::Reaches(id) => Some(*id),
            _ => None,
        });
        fields.servers("reaches", &reaches.collect::<Vec<_>>());
        let misses = checks().filter_map(|check| match check {
            Check::Misses(id) => Some(*id),
            _ => None,
        });
        fields.servers("misses", &misses.collect::<Vec<_>>());
        let hops = checks().filter_map(|check| match check {
            Check::Hops(id, count) => Some((*id, *count)),
            _ => None,
        });
        fields.amounts("hops", &hops.collect::<Vec<_>>());
        let paths = checks().filter_map(|check| match check {
            Check::Path(id, path) => Some((*id, path.as_slice())),
            _ => None,
        });
        fields.paths("path", &paths.collect::<Vec<_>>());
        // One time limit is for all servers that are named.
        let limit = checks().find_map(|check| match check {
            Check::Within { limit, .. } => Some(*limit),
            _ => None,
        });
        if let Some(limit) = limit {
            fields.duration("within", limit);
        }
        self.window.write(fields);
        for check in checks() {
            match check {
                Check::Sends(count) => fields.amount("sends", *count),
                Check::Useful(count) => fields.amount("useful", *count),
                Check::Duplicates(count) => fields.amount("duplicates", *count),
                Check::Ignored => fields.flag("ignored"),
                Check::Refused => fields.flag("refused"),
                Check::Unheard => fields.flag("unheard"),
                _ => {}
            }
        }
    }

    fn judge(&self, run: &Observed<'_>) -> Vec<Judgement> {
        let judge = |check| match run.propagation(&self.update) {
            Some(propagation) => judge::check(run, propagation, check, &self.window),
            None => failed(self.update.text.clone(), "an update", "never sent"),
        };
        self.checks.iter().map(judge).collect()
    }

    fn in_any_order(&self) -> (Option<Expected>, Vec<&'static str>) {
        let mut left_out = Vec::new();
        let keep = |check: &&Check| {
            let word = match check {
                Check::Misses(_) => "misses",
                Check::Hops(..) => "hops",
                Check::Path(..) => "path",
                Check::Within { .. } => "within",
                Check::Arrives(_) => "after",
                // Whether its server is dead then is a matter of what came first.
                Check::Unheard => "unheard",
                _ => return true,
            };
            left_out.push(word);
            false
        };
        let checks: Vec<Check> = self.checks.iter().filter(keep).cloned().collect();
        let kept = (!checks.is_empty()).then(|| Self {
            update: self.update.clone(),
            checks,
            window: Window::default(),
        });
        (kept.map(Expected::from), left_out)
    }

    fn updates(&self) -> Vec<&UpdateRef> {
        vec![&self.update]
    }
}
