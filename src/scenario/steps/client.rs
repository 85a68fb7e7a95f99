//! A client's step: what it sends to which servers, and what must be answered. How it uses its connection is in
//! `connection`.

use std::time::Duration;

use super::connection::{self, Close, ConnectionUse};
use super::draft::DraftAction;
use super::failure::{self, Failure};
use super::raw::RawStep;
use super::replies::{Replies, written};
use super::write::InlineTable;
use super::{Action, Declaration, MOST_CONNECTIONS, Step, numbered};
use crate::diag::{Problem, Span};
use crate::document::{Located, OneOrMany, Section};
use crate::herd::{Name, ServerId, reserved};
use crate::protocol::visible;
use crate::scenario::fields::{Holds, RawValue, field};
use crate::scenario::validate::Context;
use crate::scenario::{Reply, Template};
use crate::units::DurationText;

/// What a client does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientStep {
    /// Who it is; where there are many, what stands before their numbers.
    pub client: Name,
    /// How many of them do it, if many do.
    pub clients: Option<u32>,
    /// Whom it talks to, each on a connection of its own. Never empty.
    pub to: Vec<ServerId>,
    /// What it sends on each connection, all at once. Empty only in a step that opens or closes a connection with a
    /// name.
    pub lines: Vec<Line>,
    /// How it uses the connection.
    pub connection: ConnectionUse,
    /// Whether it is wrong if any answer comes. If not, each line must be answered.
    pub no_reply: bool,
    /// Whether it is all right if no answer comes.
    pub maybe: bool,
    /// How it must fail, if it must: then no line is answered.
    pub fails: Option<Failure>,
    /// How often it does all that, each time on connections of its own unless they have a name; at least once.
    pub times: u32,
    /// The time between two repetitions. Many clients take turns, this far apart, and then begin again.
    pub every: Duration,
}

/// A line that a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line.
    pub send: Template,
    /// What must be answered; if not given, anything.
    pub reply: Option<Reply>,
}

pub(super) const DECLARATION: Declaration = Declaration {
    subject: field(
        "client",
        Holds::Text,
        "This client connects and sends something: any name, used to tell the story.",
    ),
    fields: &[
        field(
            "to",
            Holds::Names,
            "The server that the client talks to. A list, or `\"all\"`: each server on a connection of its own.",
        ),
        field(
            "send",
            Holds::Names,
            "The line that the client sends. A list: all lines in one write, on one connection.",
        )
        .details(
            "`{now}` is the client's clock in POSIX seconds with nine decimals, `{now+1.5s}` and `{now-10s}` a clock \
             that is wrong, `{i}` the number of the repetition from 1 (also in `{now+{i}ms}`), `{client}` the \
             client's name, `{hex:00ff}` raw bytes, `{fill:5000}` that many letters `x`, `{wait:30ms}` the end of a write, 30 ms before the next one, \
             `{{` and `}}` braces.",
        ),
        field(
            "reply",
            Holds::Replies,
            "The expected answer, or a list with one for each line. Without it, any answer passes, except one to a WHATSAT which says that Places could not be asked.",
        )
        .details(
            "`*` stands for any bytes, `\\*` for a star, `\\\\` for a backslash, `{sent}` for the time that the \
             line's first `{now…}` gave; `{i}`, `{client}`, `{hex:…}`, `{{` and `}}` as in `send`.",
        ),
        field("no_reply", Holds::Flag, "No answer may come.").written("no_reply = true"),
        field(
            "maybe",
            Holds::Flag,
            "An answer is optional; one that comes must match `reply`.",
        )
        .written("maybe = true"),
        failure::REFUSED,
        failure::UNHEARD,
        connection::CONNECTION,
        connection::RECONNECTS,
        connection::CLOSE,
        connection::UNFINISHED,
        connection::READS_AFTER,
        connection::RECEIVE_BUFFER,
        field(
            "times",
            Holds::Number,
            "The number of repetitions, each on a connection of its own; 1 by default.",
        )
        .from(1, MOST_CONNECTIONS),
        field(
            "every",
            Holds::Duration,
            "The time between two repetitions, or between two of the `clients`, who take turns; by default all happen at once.",
        )
        .written("every = \"20ms\""),
        field(
            "clients",
            Holds::Number,
            "The number of clients that do it: `client = \"kiwi\"` then means `kiwi-1` to `kiwi-50`, also in `skew`. With `every` they take turns at that interval; with `times` they begin again after the last.",
        )
        .written("clients = 50")
        .from(1, MOST_CONNECTIONS),
    ],
    read: |cx, step| {
        let who = step.value::<Located<String>>("client")?;
        let client = cx.talk(step, who, "client")?;
        Some(DraftAction::Ready(Action::Client(client)))
    },
};

impl Context<'_> {
    /// What a client does, or a `speaker` of another kind.
    pub(super) fn talk(
        &mut self,
        step: &Section<RawStep>,
        who: &Located<String>,
        speaker: &str,
    ) -> Option<ClientStep> {
        let client = self.speaker_name(who, speaker);
        let message = format!("a {speaker}'s step needs `to`: the server that it talks to");
        let to = self.required(step.value::<OneOrMany>("to"), &step.span(), &message);
        let to: Option<Vec<ServerId>> = to.and_then(|to| self.servers(to));
        let connection = self.connection_use(step);
        let no_reply = self.no_reply(step);
        let maybe = self.maybe(step, no_reply);
        let fails = self.fails(step);
        let send = step.value::<OneOrMany>("send");
        let lines = match send {
            None if connection.name.is_some() && !self.damage.is_at(&step.span()) => {
                self.check_nothing_said(step);
                Some(Vec::new())
            }
            send => {
                let message = format!("a {speaker}'s step needs `send`: the lines that it sends");
                let send = self.required(send, &step.span(), &message);
                send.and_then(|send| self.lines(send, step.value::<Replies>("reply")))
            }
        };
        let clients = step.value::<Located<u32>>("clients");
        let many = clients.map(|clients| self.count(clients, "clients"));
        let times = self.repetitions(step.value::<Located<u32>>("times"));
        if let (Some(Some(many)), Some(times), Some(place)) = (many, times, clients) {
            self.check_product(many, times, place.span());
        }
        let every = self.every(step);
        let is_open = no_reply || maybe || fails.is_some();
        // After a peer's line nothing is awaited unless the file says so.
        let is_open = is_open || speaker == "peer" && step.get("reply").is_none();
        self.check_close(step, &connection, is_open);
        Some(ClientStep {
            client,
            clients: match many {
                Some(many) => Some(many?),
                None => None,
            },
            to: to?,
            lines: lines?,
            connection,
            no_reply,
            maybe,
            fails,
            times: times?,
            every,
        })
    }

    pub(super) fn client_name(&mut self, name: &Located<String>) -> Name {
        self.speaker_name(name, "client")
    }

    fn speaker_name(&mut self, name: &Located<String>, speaker: &str) -> Name {
        if name.is_empty() || name.contains(char::is_whitespace) || visible(name) != **name {
            let message = format!("`{}` is no name for a {speaker}", name.escape_debug());
            let problem = Problem::error(self.source, name.span(), message);
            self.report(
                problem.help("any text without white space and invisible characters will do"),
            );
        }
        self.check_namesakes(name, speaker);
        Name::from(name.as_str())
    }

    /// Servers, clients and what else does something are told apart by their names alone: in the story, in the log, and
    /// where something is expected of one of them.
    fn check_namesakes(&mut self, name: &Located<String>, speaker: &str) {
        let is_one_of = |server: &str| {
            let number = server.strip_prefix(name.as_str())?.strip_prefix('-')?;
            number.parse::<u32>().ok()
        };
        let servers = self.herd.iter().flat_map(|herd| herd.servers());
        let namesake = servers
            .map(|server| &*server.name)
            .find(|server| *server == name.as_str() || is_one_of(server).is_some());
        let message = match (reserved(name), namesake) {
            (Some(meaning), _) => {
                format!(
                    "a {speaker} can't be called `{}`, which means {meaning}",
                    **name
                )
            }
            (None, Some(server)) if server == name.as_str() => {
                format!("a {speaker} can't be called `{server}`, as a server is")
            }
            (None, Some(server)) => {
                format!(
                    "one of the clients `{}` would be called `{server}`, as a server is",
                    **name
                )
            }
            (None, None) => return,
        };
        let problem = Problem::error(self.source, name.span(), message);
        self.report(problem.help(format!("give the {speaker} another name")));
    }

    fn no_reply(&mut self, step: &RawStep) -> bool {
        let Some(no_reply) = step
            .value::<Located<bool>>("no_reply")
            .filter(|no_reply| ***no_reply)
        else {
            return false;
        };
        if let Some(reply) = step.value::<Replies>("reply") {
            let message = "`no_reply` excludes `reply`";
            let problem = Problem::error(self.source, no_reply.span(), message);
            self.report(problem.also(reply.span(), "a reply is expected here"));
        }
        true
    }

    fn maybe(&mut self, step: &RawStep, no_reply: bool) -> bool {
        let Some(maybe) = step
            .value::<Located<bool>>("maybe")
            .filter(|maybe| ***maybe)
        else {
            return false;
        };
        if no_reply {
            let message = "`no_reply` allows no answer, so `maybe` has no meaning";
            self.error(maybe.span(), message);
        }
        true
    }

    /// A step without lines says nothing of answers.
    fn check_nothing_said(&mut self, step: &RawStep) {
        for name in [
            "reply",
            "no_reply",
            "maybe",
            "refused",
            "unheard",
            "unfinished",
        ] {
            if let Some(place) = step.get(name).and_then(RawValue::place) {
                self.error(place, format!("`{name}` needs `send`: there is no line"));
            }
        }
    }

    /// Who resets a connection reads no answer, and half a line has none before the connection is closed.
    fn check_close(&mut self, step: &RawStep, connection: &ConnectionUse, is_open: bool) {
        let said = |name| step.get(name).and_then(RawValue::place);
        if connection.close == Some(Close::Reset)
            && !is_open
            && let (Some(place), Some(_)) = (said("close"), said("send"))
        {
            let problem = Problem::error(
                self.source,
                place,
                "who resets a connection reads no answer to these lines",
            );
            self.report(problem.help("add `no_reply = true`"));
        }
        if connection.unfinished
            && connection.name.is_some()
            && let (Some(place), Some(_)) = (said("unfinished"), said("times"))
        {
            self.error(
                place,
                "a line without its end is the last on its connection",
            );
        }
    }

    fn repetitions(&mut self, times: Option<&Located<u32>>) -> Option<u32> {
        times.map_or(Some(1), |times| self.count(times, "times"))
    }

    fn check_product(&mut self, clients: u32, times: u32, place: Span) {
        if u64::from(clients) * u64::from(times) > u64::from(MOST_CONNECTIONS) {
            let message = format!(
                "{clients} `clients` {times} `times` each is more than {MOST_CONNECTIONS} connections"
            );
            self.error(place, message);
        }
    }

    fn every(&mut self, step: &Section<RawStep>) -> Duration {
        let Some(every) = step.value::<Located<DurationText>>("every") else {
            return Duration::ZERO;
        };
        if step.get("times").is_none()
            && step.get("clients").is_none()
            && !self.damage.is_at(&step.span())
        {
            self.error(
                every.span(),
                "`every` needs `times`: how often it is repeated, or `clients`: how many take turns",
            );
        }
        self.duration(every, "`every`")
    }
}

impl ClientStep {
    /// Writes it as a step says it.
    pub(super) fn write(&self, speaker: &str, table: &mut InlineTable<'_>) {
        table.text(speaker, &self.client);
        if let Some(clients) = self.clients {
            table.field("clients", clients);
        }
        table.servers("to", &self.to);
        let sent: Vec<String> = (self.lines.iter())
            .map(|line| line.send.text().to_owned())
            .collect();
        if !sent.is_empty() {
            table.lines("send", &sent);
        }
        let is_said = self.lines.iter().any(|line| line.reply.is_some());
        let lines = self.lines.iter().filter(|_| is_said);
        let replies: Vec<String> = lines.map(|line| written(line.reply.as_ref())).collect();
        match replies.as_slice() {
            [] => {}
            [one] => table.field("reply", one),
            many => table.field("reply", format!("[{}]", many.join(", "))),
        }
        if self.no_reply {
            table.field("no_reply", true);
        }
        if self.maybe {
            table.field("maybe", true);
        }
        if let Some(failure) = self.fails {
            table.field(failure.name(), true);
        }
        self.connection.write(table);
        if self.times != 1 || (!self.every.is_zero() && self.clients.is_none()) {
            table.field("times", self.times);
        }
        if !self.every.is_zero() {
            table.duration("every", self.every);
        }
    }

    /// Whether a report says why a line of it has no answer: where that is what is expected, or where what earlier steps
    /// met on the connection can be the reason.
    pub(crate) fn says_why(&self) -> bool {
        self.fails.is_some() || self.connection.name.is_some()
    }

    /// How many connections a client opens to each server, at most.
    pub(in crate::scenario) fn opens(&self) -> u32 {
        let is_kept = self.connection.name.is_some() && !self.connection.reconnects;
        if is_kept { 1 } else { self.times }
    }

    /// Whether the client waits while it writes, or before it reads.
    pub(in crate::scenario) fn takes_time(&self) -> bool {
        let mut waits = self.lines.iter().flat_map(|line| line.send.waits());
        !self.connection.reads_after.is_zero() || waits.next().is_some()
    }

    /// From its first line to its last.
    pub(crate) fn lasts(&self) -> Duration {
        let connections = self.times.saturating_mul(self.clients.unwrap_or(1));
        let waits = self.lines.iter().flat_map(|line| line.send.waits());
        self.every.saturating_mul(connections - 1) + waits.sum::<Duration>()
    }
}

/// The same for each of its clients, where there are many.
pub(super) fn each_client(step: &Step, what: &ClientStep) -> Vec<Step> {
    let Some(count) = what.clients else {
        return vec![Step {
            action: Action::Client(with_name(what)),
            ..step.clone()
        }];
    };
    let each = (1..=count).map(|number| {
        let client = with_name(&ClientStep {
            client: numbered(&what.client, number),
            clients: None,
            every: what.every * count,
            ..what.clone()
        });
        Step {
            note: step.note.clone().filter(|_| number == 1),
            ..step.later(what.every * (number - 1), Action::Client(client))
        }
    });
    each.collect()
}

/// The same with the client's name in its lines.
pub(super) fn with_name(step: &ClientStep) -> ClientStep {
    let name = &step.client;
    let names = |line: &Line| {
        let reply = line.reply.as_ref();
        line.send.names_client() || reply.is_some_and(Reply::names_client)
    };
    // To read lines again is most of what it takes to expand what is plain.
    if !step.lines.iter().any(names) {
        return step.clone();
    }
    let lines = step.lines.iter().map(|line| Line {
        send: line.send.for_client(name),
        reply: line.reply.as_ref().map(|reply| reply.for_client(name)),
    });
    ClientStep {
        lines: lines.collect(),
        ..step.clone()
    }
}
