//! A workload: a stream of lines of many clients, which the seed draws.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use super::draft::DraftAction;
use super::raw::RawStep;
use super::write::InlineTable;
use super::{Action, ClientStep, Declaration, Drawn, Line, MOST_CONNECTIONS, Step, numbered};
use crate::diag::{Problem, Span};
use crate::document::{Located, OneOrMany, Section};
use crate::herd::{Name, ServerId};
use crate::protocol::{escape, fields};
use crate::scenario::fields::{Holds, field};
use crate::scenario::validate::Context;
use crate::scenario::{
    LineId, MOST_LISTED, Observed, Outcome, Pattern, Scenario, Template, first_and_more,
};
use crate::seed::stream;
use crate::trace::Judgement;
use crate::units::format_duration;

/// Each line is a connection of its own, and a simulated host has a limited number of ports.
const MOST_LINES: u64 = 10_000;

/// The percentage of lines that must be answered where a scenario does not say.
const USUALLY_ANSWERED: usize = 50;

/// A stream of clients' lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// What it is called; its clients are `name-1`, `name-2` and so on. No other workload is called so.
    pub name: Name,
    /// How many clients there are; at least one.
    pub clients: u32,
    /// The servers that they talk to. Never empty.
    pub to: Vec<ServerId>,
    /// How many lines are sent each second.
    pub rate: u32,
    /// How long it goes on. At least one line is sent in that time.
    pub lasts: Duration,
    /// How many lines of a hundred are a WHATSAT.
    pub whatsat: u8,
    /// How many lines of a hundred must be answered; if not given, half of them.
    pub answered: Option<u8>,
}

impl Workload {
    /// How many lines of these must be answered: at least one, since a workload that nobody answers proves nothing.
    pub fn least_answered(&self, lines: usize) -> usize {
        let percent = self.answered.map_or(USUALLY_ANSWERED, usize::from);
        (lines * percent).div_ceil(100).max(1)
    }

    /// How many lines are sent.
    pub fn lines(&self) -> u64 {
        let lines = self.lasts.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        u64::try_from(lines).unwrap_or(u64::MAX)
    }

    /// The name of its `number`-th client, from 1.
    pub fn client(&self, number: u32) -> Name {
        numbered(&self.name, number)
    }
}

pub(super) const DECLARATION: Declaration = Declaration {
    subject: field(
        "workload",
        Holds::Text,
        "The clients of a workload, `load-1`, `load-2` and so on for `\"load\"`, say for a while what the seed draws: an IAMAT at a random place, or a WHATSAT about one of them.",
    ),
    fields: &[
        field(
            "clients",
            Holds::Number,
            "The number of clients of a workload, up to 10,000.",
        )
        .from(1, MOST_CONNECTIONS),
        field(
            "rate",
            Holds::Number,
            "Lines per second, each within its own part of that second; up to 10,000 lines in all.",
        ),
        field("lasts", Holds::Duration, "For how long lines are sent.").written("lasts = \"2s\""),
        field(
            "to",
            Holds::Names,
            "The servers that the clients of a workload talk to, each line to one of them; `\"all\"` by default.",
        ),
        field(
            "whatsat",
            Holds::Percent,
            "How many lines of a hundred are a WHATSAT about a client that has sent an IAMAT before; 0 by default. All others are an IAMAT with `{now}` and a random place.",
        )
        .from(0, 100),
        field(
            "answered",
            Holds::Percent,
            "How many lines of a hundred must be answered, at least one in all; 50 by default.",
        )
        .from(1, 100),
    ],
    read: |cx, step| Some(DraftAction::Ready(Action::Workload(cx.workload(step)?))),
};

impl Context<'_> {
    fn workload(&mut self, step: &Section<RawStep>) -> Option<Workload> {
        let name = self.client_name(step.value("workload")?);
        let message = "a workload needs `clients`: how many there are";
        let clients = self.required(step.value::<Located<u32>>("clients"), &step.span(), message);
        let clients = clients.and_then(|clients| self.count(clients, "clients"));
        let to = self.servers_or_all(step.value::<OneOrMany>("to"));
        let message = "a workload needs `rate`: how many lines a second";
        let rate = self.required(step.value::<Located<u32>>("rate"), &step.span(), message);
        let lasts = self.lasts(step, "a workload needs `lasts`: how long it goes on");
        let whatsat = self.percent(step.value::<Located<u8>>("whatsat"), "whatsat", 0);
        let answered = self.percent(step.value::<Located<u8>>("answered"), "answered", 1);
        let workload = Workload {
            name,
            clients: clients?,
            to: to?,
            rate: **rate?,
            lasts: lasts?,
            whatsat: whatsat.unwrap_or_default(),
            answered,
        };
        let lines = workload.lines();
        if (1..=MOST_LINES).contains(&lines) {
            return Some(workload);
        }
        let (rate, lasts) = (workload.rate, format_duration(workload.lasts));
        let message = format!(
            "{rate} lines a second for {lasts} are {lines} lines, but there must be 1 to {MOST_LINES}"
        );
        let place = step
            .value::<Located<u32>>("rate")
            .map_or(step.span(), Located::span);
        self.error(place, message);
        None
    }

    fn percent(&mut self, value: Option<&Located<u8>>, field: &str, least: u8) -> Option<u8> {
        let value = value?;
        if !(least..=100).contains(&**value) {
            let message = format!("`{field}` is a percentage, {least} to 100");
            self.error(value.span(), message);
        }
        Some(**value)
    }

    /// A workload is known by its name, and so is what the seed draws for it.
    pub(super) fn check_workload_names(&mut self, steps: &[Step]) {
        let mut seen: BTreeMap<&Name, &Span> = BTreeMap::new();
        for step in steps {
            let Action::Workload(workload) = &step.action else {
                continue;
            };
            if let Some(first) = seen.insert(&workload.name, &step.span) {
                let message = format!("there are two workloads `{}`", workload.name);
                let problem = Problem::error(self.source, step.span.clone(), message);
                self.report(problem.also(first.clone(), "the first is here"));
            }
        }
    }
}

impl Workload {
    /// Writes it as a step says it.
    pub(super) fn write(&self, table: &mut InlineTable<'_>) {
        table.text("workload", &self.name);
        table.field("clients", self.clients);
        table.servers("to", &self.to);
        table.field("rate", self.rate);
        table.duration("lasts", self.lasts);
        table.field("whatsat", self.whatsat);
        if let Some(answered) = self.answered {
            table.field("answered", answered);
        }
    }
}

/// The lines of a workload that begins at `at`, each with its time.
pub(super) fn lines(
    scenario: &Scenario,
    at: Duration,
    workload: &Workload,
) -> impl Iterator<Item = (Duration, ClientStep)> {
    // By its name, so that other steps can come and go without a change of what it draws.
    let purpose = format!("workload {}", workload.name);
    let mut rng = stream(scenario.seed, &purpose, 0);
    let ticks = workload.lasts.as_nanos() / scenario.tick.as_nanos();
    let count = u128::from(workload.lines());
    let mut known: Vec<u32> = Vec::new();
    (0..count).map(move |line| {
        // The line's own part of the time. With more lines than ticks, some share one.
        let (from, to) = (line * ticks / count, (line + 1) * ticks / count);
        let tick = rng.random_range(from..to.max(from + 1));
        let at = at + scenario.tick * u32::try_from(tick).unwrap_or(u32::MAX);
        let client = rng.random_range(1..=workload.clients);
        let to = workload.to[rng.random_range(0..workload.to.len())];
        let asks = rng.random_range(0..100) < workload.whatsat && !known.is_empty();
        let (send, reply) = if asks {
            let about = known[rng.random_range(0..known.len())];
            question(&mut rng, &workload.client(about))
        } else {
            if !known.contains(&client) {
                known.push(client);
            }
            let server = &scenario.herd.server(to).name;
            report(&mut rng, server, &workload.client(client))
        };
        let template = Template::parse(&send);
        let lines = template.map(|send| Line { send, reply }).ok();
        let step = ClientStep {
            client: workload.client(client),
            clients: None,
            to: vec![to],
            lines: lines.into_iter().collect(),
            no_reply: false,
            // Who can't be reached can't answer.
            maybe: true,
            times: 1,
            every: Duration::ZERO,
        };
        (at, step)
    })
}

/// An IAMAT at a random place, and its answer.
fn report(rng: &mut ChaCha8Rng, server: &str, client: &str) -> (String, Option<Pattern>) {
    let place = degrees(rng, 90, 2) + &degrees(rng, 180, 3);
    let pattern = Pattern::parse(&format!("AT {server} * {{client}} {place} {{sent}}"));
    let name = client.replace('{', "{{").replace('}', "}}");
    let send = format!("IAMAT {name} {place} {{now}}");
    (send, pattern.ok().map(|pattern| pattern.for_client(client)))
}

/// A WHATSAT. What is answered depends on what the server knows by then.
fn question(rng: &mut ChaCha8Rng, about: &str) -> (String, Option<Pattern>) {
    let (radius, bound) = (rng.random_range(1..=50), rng.random_range(1..=20));
    let name = about.replace('{', "{{").replace('}', "}}");
    (format!("WHATSAT {name} {radius} {bound}"), None)
}

/// A latitude or longitude: a sign, `digits` digits, six decimals.
fn degrees(rng: &mut ChaCha8Rng, most: u32, digits: usize) -> String {
    const MILLIONTHS: u32 = 1_000_000;
    let sign = if rng.random_range(0..2) == 0 {
        '+'
    } else {
        '-'
    };
    let value = rng.random_range(0..=most * MILLIONTHS);
    let (whole, rest) = (value / MILLIONTHS, value % MILLIONTHS);
    format!("{sign}{whole:0digits$}.{rest:06}")
}

pub(crate) fn workloads_in(scenario: &Scenario) -> impl Iterator<Item = (&Step, &Workload)> {
    scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Drawn(Drawn::Workload(workload)) => Some((step, workload)),
        _ => None,
    })
}

/// What is thought of each workload: how many lines were answered, and by what.
pub(crate) fn judge_workloads(run: &Observed<'_>) -> Vec<Judgement> {
    let outcomes: BTreeMap<LineId, &Outcome> = (run.outcomes.iter())
        .map(|outcome| (outcome.line, outcome))
        .collect();
    let mut judgements = Vec::new();
    for (step, workload) in workloads_in(run.scenario) {
        let load = Load::new(run, step, workload, &outcomes);
        judgements.push(load.answered());
        judgements.push(load.right_kind());
    }
    judgements
}

/// A workload and the outcome of each line.
struct Load<'a> {
    workload: &'a Workload,
    place: String,
    lines: Vec<(&'a ClientStep, Option<&'a Outcome>)>,
}

impl<'a> Load<'a> {
    fn new(
        run: &Observed<'a>,
        drawn: &Step,
        workload: &'a Workload,
        outcomes: &BTreeMap<LineId, &'a Outcome>,
    ) -> Self {
        let steps = run.scenario.steps.iter().enumerate();
        let lines = steps.filter_map(|(index, step)| match &step.action {
            Action::Client(client) if step.span == drawn.span => {
                let id = LineId {
                    step: index,
                    to: *client.to.first()?,
                    repetition: 1,
                    line: 0,
                };
                Some((client, outcomes.get(&id).copied()))
            }
            _ => None,
        });
        Self {
            workload,
            place: run.place(drawn.span.start),
            lines: lines.collect(),
        }
    }

    fn answers(&self) -> impl Iterator<Item = (&'a ClientStep, &'a Outcome, &'a [u8])> {
        let lines = self.lines.iter();
        lines.filter_map(|&(client, outcome)| {
            let outcome = outcome?;
            Some((client, outcome, outcome.answer.as_deref()?))
        })
    }

    fn judgement(&self, about: &str, held: bool, expected: String, actual: String) -> Judgement {
        Judgement {
            about: format!("{}: {about}", self.workload.name),
            passed: held,
            expected,
            actual,
            place: Some(self.place.clone()),
            invariant: None,
            events: Vec::new(),
        }
    }

    /// Who can't be reached can't answer; but a workload that hardly anybody answers proves little.
    fn answered(&self) -> Judgement {
        let (all, answered) = (self.lines.len(), self.answers().count());
        let wanted = self.workload.least_answered(all);
        let expected = format!("at least {wanted}");
        let actual = format!("{answered} of {all}");
        self.judgement("lines answered", answered >= wanted, expected, actual)
    }

    fn right_kind(&self) -> Judgement {
        let wrong: Vec<_> = self.answers().filter(|answer| !is_right(answer)).collect();
        let tell = |(client, _, answer): &(&ClientStep, &Outcome, &[u8])| {
            format!("{} hears {}", client.client, escape(answer))
        };
        let told = wrong.iter().map(tell);
        let mut judgement = self.judgement(
            "every answer is one to its line",
            wrong.is_empty(),
            "no other answer".to_owned(),
            first_and_more(told.collect(), "no other answer"),
        );
        let events = wrong.iter().filter_map(|(_, outcome, _)| outcome.sent);
        judgement.events = events.take(MOST_LISTED).collect();
        judgement
    }
}

/// Whether an answer is one to what was said: to a WHATSAT what the server knows, or its line again
/// if it knows nothing.
fn is_right((client, outcome, answer): &(&ClientStep, &Outcome, &[u8])) -> bool {
    let Some(line) = client.lines.first() else {
        return false;
    };
    if let Some(pattern) = &line.reply {
        return pattern.matches(answer, 1, outcome.clock.as_deref());
    }
    let said = line.send.render(1, 0).bytes;
    let about = fields(&said).nth(1);
    let known = answer.starts_with(b"AT ") && fields(answer).nth(3) == about;
    known || answer.strip_prefix(b"? ") == Some(&said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Line, Pattern, Template};

    fn is_answered(send: &str, reply: Option<&str>, answer: &str) -> bool {
        let (scenario, _) = Scenario::parse(
            "t.toml",
            "title = \"t\"\nherd = \"riley\"\nsteps = [{ at = \"1s\", crash = \"all\" }]",
            None,
        )
        .unwrap();
        let to = scenario.herd.id("Riley").unwrap();
        let line = Line {
            send: Template::parse(send).unwrap(),
            reply: reply.map(|reply| Pattern::parse(reply).unwrap()),
        };
        let client = ClientStep {
            client: "load-1".into(),
            clients: None,
            to: vec![to],
            lines: vec![line],
            no_reply: false,
            maybe: false,
            times: 1,
            every: Duration::ZERO,
        };
        let outcome = Outcome {
            line: LineId {
                step: 0,
                to,
                repetition: 1,
                line: 0,
            },
            sent: None,
            clock: Some("5".to_owned()),
            answer: Some(answer.as_bytes().to_vec()),
            waits: false,
        };
        is_right(&(&client, &outcome, answer.as_bytes()))
    }

    #[test]
    fn only_an_answer_to_the_line_is_right() {
        let told = |answer| {
            is_answered(
                "IAMAT load-1 +1+1 {now}",
                Some("AT Riley * load-1 +1+1 {sent}"),
                answer,
            )
        };
        assert!(told("AT Riley -1.000000000 load-1 +1+1 5"));
        assert!(!told("AT Riley -1.000000000 load-1 +1+1 6"));
        assert!(!told("? IAMAT load-1 +1+1 5"));
        let asked = |answer| is_answered("WHATSAT load-2 10 5", None, answer);
        assert!(asked("AT Juzang +0.1 load-2 +1+1 5\n{}"));
        assert!(asked("? WHATSAT load-2 10 5"));
        assert!(!asked("AT Juzang +0.1 load-3 +1+1 5\n{}"));
        assert!(!asked("? WHATSAT load-3 10 5"));
        assert!(!asked("load-2"));
    }
}
