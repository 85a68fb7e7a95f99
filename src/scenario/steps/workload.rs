//! A workload: a stream of lines of many clients, which the seed draws.

use std::collections::BTreeMap;
use std::time::Duration;

use super::draft::DraftAction;
use super::raw::RawStep;
use super::write::InlineTable;
use super::{Action, Declaration, Step, numbered};
use crate::diag::{Problem, Span};
use crate::document::{Located, OneOrMany, Section};
use crate::herd::{Name, ServerId};
use crate::scenario::fields::{Holds, field};
use crate::scenario::validate::Context;
use crate::units::format_duration;

mod draw;
mod judge;

pub(super) use draw::writes;
pub(crate) use judge::{judge_workloads, workloads_in};

/// Each line is a connection of its own, and a simulated host has a limited number of ports.
const MOST_LINES: u64 = 10_000;

/// Only those that send anything cost anything.
const MOST_CLIENTS: u32 = 100_000;

/// The word for connections that clients keep, and the name of each of them in a client's step.
const KEPT: &str = "kept";

/// The most lines of one write. A server has a turn for others after fewer.
const MOST_PIPELINED: u32 = 1_000;

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
    /// How its clients send their lines.
    pub shape: LoadShape,
}

/// How the clients of a workload send their lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadShape {
    /// Whether each client keeps one connection to one server, and writes on it whatever is still unanswered.
    pub is_kept: bool,
    /// How many lines a client sends in one write; at least one.
    pub pipelined: u32,
    /// Whether few clients send most lines: the `n`-th one the `n`-th part of what the first one sends.
    pub is_skewed: bool,
}

impl Default for LoadShape {
    /// Each line has a connection of its own, and no client sends more than others.
    fn default() -> Self {
        Self {
            is_kept: false,
            pipelined: 1,
            is_skewed: false,
        }
    }
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
            "The number of clients of a workload, up to 100,000.",
        )
        .from(1, MOST_CLIENTS),
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
        field(
            "connections",
            Holds::Text,
            "`\"kept\"`: each client keeps one connection to one server of `to`, which has its turn by the client's number. It writes on it without waiting for answers, and connects anew if it is over. By default each write has a connection of its own.",
        )
        .written("connections = \"kept\""),
        field(
            "pipelined",
            Holds::Number,
            "The number of lines that a client sends in one write; 1 by default.",
        )
        .from(1, MOST_PIPELINED),
        field(
            "skewed",
            Holds::Flag,
            "Few clients send most lines: the n-th one the n-th part of what the first one sends (Zipf's law). By default all send alike.",
        )
        .written("skewed = true"),
    ],
    read: |cx, step| Some(DraftAction::Ready(Action::Workload(cx.workload(step)?))),
};

impl Context<'_> {
    fn workload(&mut self, step: &Section<RawStep>) -> Option<Workload> {
        let name = self.client_name(step.value("workload")?);
        let message = "a workload needs `clients`: how many there are";
        let clients = self.required(step.value::<Located<u32>>("clients"), &step.span(), message);
        let clients = clients.and_then(|clients| self.one_up_to(MOST_CLIENTS, clients, "clients"));
        let to = self.servers_or_all(step.value::<OneOrMany>("to"));
        let message = "a workload needs `rate`: how many lines a second";
        let rate = self.required(step.value::<Located<u32>>("rate"), &step.span(), message);
        let lasts = self.lasts(step, "a workload needs `lasts`: how long it goes on");
        let whatsat = self.percent(step.value::<Located<u8>>("whatsat"), "whatsat", 0);
        let answered = self.percent(step.value::<Located<u8>>("answered"), "answered", 1);
        let shape = self.load_shape(step);
        let workload = Workload {
            name,
            clients: clients?,
            to: to?,
            rate: **rate?,
            lasts: lasts?,
            whatsat: whatsat.unwrap_or_default(),
            answered,
            shape: shape?,
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

    fn load_shape(&mut self, step: &RawStep) -> Option<LoadShape> {
        let connections = step.value::<Located<String>>("connections");
        if let Some(other) = connections.filter(|text| text.as_str() != KEPT) {
            let message = format!("`{}` is no way to use connections", **other);
            let problem = Problem::error(self.source, other.span(), message);
            self.report(problem.help("write `\"kept\"`, or leave the field out"));
        }
        let pipelined = step.value::<Located<u32>>("pipelined");
        let pipelined = match pipelined {
            Some(lines) => self.one_up_to(MOST_PIPELINED, lines, "pipelined")?,
            None => 1,
        };
        let skewed = step.value::<Located<bool>>("skewed");
        Some(LoadShape {
            is_kept: connections.is_some(),
            pipelined,
            is_skewed: skewed.is_some_and(|skewed| **skewed),
        })
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
        if self.shape.is_kept {
            table.text("connections", KEPT);
        }
        if self.shape.pipelined != 1 {
            table.field("pipelined", self.shape.pipelined);
        }
        if self.shape.is_skewed {
            table.field("skewed", true);
        }
    }
}
