//! What happens in one step.

use std::time::Duration;

use super::Context;
use super::steps::DraftAction;
use crate::diag::{Problem, Span};
use crate::document::{Located, OneOrMany, Section};
use crate::herd::{Name, ServerId, reserved};
use crate::protocol::visible;
use crate::scenario::raw::{PlainStep, RawStep};
use crate::scenario::template::TextError;
use crate::scenario::{Action, ClientStep, FaultKind, Line, Pattern, Template};

/// Each repetition is a connection of its own, and a simulated host has a limited number of ports.
const MOST_TIMES: u32 = 10_000;

impl Context<'_> {
    /// The one thing that a step does; none if it is wrong in any way.
    pub(super) fn action(&mut self, step: &Section<RawStep>) -> Option<DraftAction> {
        let mut actions = step.actions();
        let first = actions.next();
        for (name, span) in actions {
            self.second_action(name, span, first.as_ref());
        }
        let Some((name, _)) = first else {
            self.no_action(step);
            return None;
        };
        self.check_fields(step, name);
        if step.client.is_some() {
            return self.client(step).map(DraftAction::Client);
        }
        if let Some(name) = &step.workload {
            let workload = self.workload(step, name)?;
            return Some(DraftAction::Ready(Action::Workload(workload)));
        }
        if let Some(faults) = &step.random {
            let random = self.random(step, faults)?;
            return Some(DraftAction::Ready(Action::Random(random)));
        }
        let (word, list) = step.faults().next()?;
        self.fault(step, word, list)
    }

    /// Fields that belong to another kind of step than this one.
    fn check_fields(&mut self, step: &Section<RawStep>, action: &str) {
        if action != "client" {
            self.check_no_client_fields(step, action);
        }
        self.check_drawn_fields(step, action);
        let has_sides = |kind: &FaultKind| kind.targets.has_sides();
        let with_sides: Vec<&str> = FaultKind::all()
            .filter(has_sides)
            .flat_map(FaultKind::words)
            .collect();
        let from = step.from.as_ref().map(OneOrMany::span);
        self.check_owners("from", &with_sides, from, action);
        let maybe = step.maybe.as_ref().map(Located::span);
        self.check_owners("maybe", &["client", "random"], maybe, action);
        for (field, value) in step.declared() {
            let owns = |kind: &FaultKind| kind.fields.iter().any(|own| own.name == field);
            let owners: Vec<&str> = (FaultKind::all().filter(owns))
                .map(|kind| kind.name)
                .collect();
            if !owners.is_empty() {
                self.check_owners(field, &owners, Some(value.span()), action);
            }
        }
    }

    fn check_owners(&mut self, field: &str, owners: &[&str], span: Option<Span>, action: &str) {
        if let Some(span) = span.filter(|_| !owners.contains(&action)) {
            let owners = owners.join("`, `");
            let message = format!("`{field}` goes with `{owners}`, and this step has `{action}`");
            self.error(span, message);
        }
    }

    fn second_action(&mut self, name: &str, span: Span, first: Option<&(&str, Span)>) {
        let message = format!("a step does one thing, and `{name}` is a second one");
        let mut problem = Problem::error(self.source, span, message);
        if let Some((first, place)) = first {
            problem = problem.also(place.clone(), format!("the first is `{first}`"));
        }
        self.report(problem.help("make two steps of it; they may have the same time"));
    }

    fn no_action(&mut self, step: &Section<RawStep>) {
        if self.damage.is_at(&step.span()) {
            return;
        }
        let message = match client_fields(step).first() {
            Some((name, _)) => format!("a step with `{name}` needs a `client` who does it"),
            None => "a step needs something that happens: `client`, `crash`, `partition` and so on"
                .to_owned(),
        };
        self.error(step.span(), message);
    }

    fn check_no_client_fields(&mut self, step: &Section<RawStep>, action: &str) {
        // The client may be what was cut, and then its fields are where they belong.
        if self.damage.is_at(&step.span()) {
            return;
        }
        for (name, span) in client_fields(step) {
            if action == "workload" && ["to", "clients"].contains(&name) {
                continue;
            }
            let message = format!("`{name}` goes with `client`, and this step has `{action}`");
            self.error(span, message);
        }
    }

    fn client(&mut self, step: &Section<RawStep>) -> Option<ClientStep> {
        let client = self.client_name(step.client.as_ref()?);
        let message = "a client's step needs `to`: the server that it talks to";
        let to = self.required(step.to.as_ref(), &step.span(), message);
        let to: Option<Vec<ServerId>> = to.and_then(|to| self.servers(to));
        let message = "a client's step needs `send`: the lines that it sends";
        let send = self.required(step.send.as_ref(), &step.span(), message);
        let no_reply = self.no_reply(step);
        let maybe = self.maybe(step, no_reply);
        let lines = send.and_then(|send| self.lines(send, step.reply.as_ref()));
        let clients = step.clients.as_ref();
        let many = clients.map(|clients| self.count(clients, "clients"));
        let times = self.repetitions(step.times.as_ref());
        if let (Some(Some(many)), Some(times), Some(place)) = (many, times, clients) {
            self.check_product(many, times, place.span());
        }
        let every = self.every(step);
        Some(ClientStep {
            client,
            clients: match many {
                Some(many) => Some(many?),
                None => None,
            },
            to: to?,
            lines: lines?,
            no_reply,
            maybe,
            times: times?,
            every,
        })
    }

    pub(super) fn client_name(&mut self, name: &Located<String>) -> Name {
        if name.is_empty() || name.contains(char::is_whitespace) || visible(name) != **name {
            let message = format!("`{}` is no name for a client", name.escape_debug());
            let problem = Problem::error(self.source, name.span(), message);
            self.report(
                problem.help("any text without white space and invisible characters will do"),
            );
        }
        self.check_namesakes(name);
        Name::from(name.as_str())
    }

    /// Servers, clients and what else does something are told apart by their names alone: in the story, in the log, and
    /// where something is expected of one of them.
    fn check_namesakes(&mut self, name: &Located<String>) {
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
                    "a client can't be called `{}`, which means {meaning}",
                    **name
                )
            }
            (None, Some(server)) if server == name.as_str() => {
                format!("a client can't be called `{server}`, as a server is")
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
        self.report(problem.help("give the client another name"));
    }

    fn no_reply(&mut self, step: &PlainStep) -> bool {
        let Some(no_reply) = step.no_reply.as_ref().filter(|no_reply| ***no_reply) else {
            return false;
        };
        if let Some(reply) = &step.reply {
            let message = "`no_reply` excludes `reply`";
            let problem = Problem::error(self.source, no_reply.span(), message);
            self.report(problem.also(reply.span(), "a reply is expected here"));
        }
        true
    }

    fn maybe(&mut self, step: &PlainStep, no_reply: bool) -> bool {
        let Some(maybe) = step.maybe.as_ref().filter(|maybe| ***maybe) else {
            return false;
        };
        if no_reply {
            let message = "`no_reply` allows no answer, so `maybe` has no meaning";
            self.error(maybe.span(), message);
        }
        true
    }

    fn lines(&mut self, send: &OneOrMany, reply: Option<&OneOrMany>) -> Option<Vec<Line>> {
        let intact = !self.damage.is_at(&send.span());
        if send.items().is_empty() && intact {
            self.error(send.span(), "there is nothing to send");
        }
        let templates: Vec<_> = send
            .items()
            .iter()
            .map(|line| self.text(line, Template::parse))
            .collect();
        let patterns = match reply {
            Some(reply) if intact => self.patterns(reply, &templates)?,
            _ => vec![None; templates.len()],
        };
        let complete = templates.into_iter().collect::<Option<Vec<_>>>()?;
        let lines = complete.into_iter().zip(patterns);
        let lines: Vec<_> = lines.map(|(send, reply)| Line { send, reply }).collect();
        (!lines.is_empty()).then_some(lines)
    }

    /// A pattern for each line; none if there is another number of them, or one of them is wrong.
    fn patterns(
        &mut self,
        reply: &OneOrMany,
        lines: &[Option<Template>],
    ) -> Option<Vec<Option<Pattern>>> {
        let (wanted, given) = (lines.len(), reply.items().len());
        let intact = !self.damage.is_at(&reply.span());
        if wanted != given && intact {
            let message =
                format!("{wanted} sent, but {given} answered: give a reply for each line");
            self.error(reply.span(), message);
        }
        let mut patterns = Vec::new();
        for (written, line) in reply.items().iter().zip(lines) {
            let pattern = self.text(written, Pattern::parse);
            let clockless = line.as_ref().is_some_and(|line| !line.has_clock());
            if clockless && pattern.as_ref().is_some_and(Pattern::uses_sent) {
                let message =
                    "`{sent}` is the time in the line that was sent, but the line has none";
                let problem = Problem::error(self.source, written.span(), message);
                self.report(problem.help("put `{now}` into the line"));
            }
            patterns.push(Some(pattern?));
        }
        (wanted == given).then_some(patterns)
    }

    fn text<T>(
        &mut self,
        text: &Located<String>,
        parse: impl Fn(&str) -> Result<T, TextError>,
    ) -> Option<T> {
        let parsed = parse(text);
        parsed
            .map_err(|error| self.error(text.span(), error.to_string()))
            .ok()
    }

    fn repetitions(&mut self, times: Option<&Located<u32>>) -> Option<u32> {
        times.map_or(Some(1), |times| self.count(times, "times"))
    }

    /// A number of connections, or of those who have them.
    pub(super) fn count(&mut self, number: &Located<u32>, field: &str) -> Option<u32> {
        if (1..=MOST_TIMES).contains(&**number) {
            return Some(**number);
        }
        let message = format!("`{field}` is {}, but must be 1 to {MOST_TIMES}", **number);
        self.error(number.span(), message);
        None
    }

    fn check_product(&mut self, clients: u32, times: u32, place: Span) {
        if u64::from(clients) * u64::from(times) > u64::from(MOST_TIMES) {
            let message = format!(
                "{clients} `clients` {times} `times` each is more than {MOST_TIMES} connections"
            );
            self.error(place, message);
        }
    }

    fn every(&mut self, step: &Section<RawStep>) -> Duration {
        let Some(every) = &step.every else {
            return Duration::ZERO;
        };
        if step.times.is_none() && step.clients.is_none() && !self.damage.is_at(&step.span()) {
            self.error(
                every.span(),
                "`every` needs `times`: how often it is repeated, or `clients`: how many take turns",
            );
        }
        self.on_tick(every, "`every`")
    }
}

/// The fields of a step that only a client has, as far as they are given.
fn client_fields(step: &PlainStep) -> Vec<(&'static str, Span)> {
    let fields = [
        ("to", step.to.as_ref().map(OneOrMany::span)),
        ("send", step.send.as_ref().map(OneOrMany::span)),
        ("reply", step.reply.as_ref().map(OneOrMany::span)),
        ("no_reply", step.no_reply.as_ref().map(Located::span)),
        ("clients", step.clients.as_ref().map(Located::span)),
        ("times", step.times.as_ref().map(Located::span)),
        ("every", step.every.as_ref().map(Located::span)),
    ];
    let given = fields.into_iter();
    given
        .filter_map(|(name, span)| Some((name, span?)))
        .collect()
}

impl RawStep {
    /// What the step says that happens, each with its place: there must be exactly one.
    fn actions(&self) -> impl Iterator<Item = (&'static str, Span)> {
        let faults = self.faults().map(|(word, list)| (word, list.span()));
        let others = [
            self.client.as_ref().map(|name| ("client", name.span())),
            self.workload.as_ref().map(|name| ("workload", name.span())),
            self.random.as_ref().map(|faults| ("random", faults.span())),
        ];
        faults.chain(others.into_iter().flatten())
    }
}
