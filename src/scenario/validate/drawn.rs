//! Steps that stand for many, and what is expected of them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Context;
use crate::diag::{Problem, Span};
use crate::document::{Located, OneOrMany, Section};
use crate::herd::{Herd, Name, ServerId};
use crate::scenario::faults::read::RawMean;
use crate::scenario::raw::{RawRandom, RawStep};
use crate::scenario::{Action, FaultKind, Random, Step, Workload};
use crate::units::format_duration;

/// Each line is a connection of its own, and a simulated host has a limited number of ports.
const MOST_LINES: u64 = 10_000;

/// What each fault does fills a page of the report, and a run that comes to more tells nobody anything.
const MOST_FAULTS: u64 = 1_000;

impl Context<'_> {
    /// Fields that only a workload or a random step has.
    pub(super) fn check_drawn_fields(&mut self, step: &Section<RawStep>, action: &str) {
        let (load, random) = (&["workload"][..], &["random"][..]);
        let fields = [
            ("rate", load, step.rate.as_ref().map(Located::span)),
            ("whatsat", load, step.whatsat.as_ref().map(Located::span)),
            ("answered", load, step.answered.as_ref().map(Located::span)),
            ("holds", random, step.holds.as_ref().map(Located::span)),
            ("of", random, step.of.as_ref().map(OneOrMany::span)),
            (
                "lasts",
                &["workload", "random"],
                step.lasts.as_ref().map(Located::span),
            ),
        ];
        if self.damage.is_at(&step.span()) {
            return;
        }
        for (field, owners, span) in fields {
            if let Some(span) = span.filter(|_| !owners.contains(&action)) {
                let owners = owners.join("` and `");
                let message =
                    format!("`{field}` goes with `{owners}`, and this step has `{action}`");
                self.error(span, message);
            }
        }
    }

    pub(super) fn workload(
        &mut self,
        step: &Section<RawStep>,
        name: &Located<String>,
    ) -> Option<Workload> {
        let name = self.client_name(name);
        let message = "a workload needs `clients`: how many there are";
        let clients = self.required(step.clients.as_ref(), &step.span(), message);
        let clients = clients.and_then(|clients| self.count(clients, "clients"));
        let to = self.servers_or_all(step.to.as_ref());
        let message = "a workload needs `rate`: how many lines a second";
        let rate = self.required(step.rate.as_ref(), &step.span(), message);
        let lasts = self.lasts(step, "a workload needs `lasts`: how long it goes on");
        let whatsat = self.percent(step.whatsat.as_ref(), "whatsat", 0);
        let answered = self.percent(step.answered.as_ref(), "answered", 1);
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
        let place = step.rate.as_ref().map_or(step.span(), Located::span);
        self.error(place, message);
        None
    }

    pub(super) fn random(
        &mut self,
        step: &Section<RawStep>,
        raw: &Section<RawRandom>,
    ) -> Option<Random> {
        let faults = self.random_faults(raw);
        let of = self.servers_or_all(step.of.as_ref());
        let lasts = self.lasts(step, "a random step needs `lasts`: how long it goes on");
        let message = "a random step needs `holds`: how long each fault holds";
        let holds = self.required(step.holds.as_ref(), &step.span(), message);
        let holds = holds.map(|holds| {
            if holds.least.is_zero() {
                self.error(holds.span(), "a fault holds for at least a tick");
            }
            self.latency_on_tick(**holds, &holds.span(), "`holds`")
        });
        let random = Random {
            faults: faults?,
            lasts: lasts?,
            holds: holds?,
            of: of?,
            maybe: step.maybe.as_ref().is_some_and(|maybe| **maybe),
        };
        let expected = random.faults.iter().map(|(_, mean)| {
            u64::try_from(random.lasts.as_nanos() / mean.as_nanos()).unwrap_or(u64::MAX)
        });
        let expected: u64 = expected.sum();
        if expected > MOST_FAULTS {
            let message =
                format!("these are about {expected} faults, and {MOST_FAULTS} are the most");
            let problem = Problem::error(self.source, raw.span(), message);
            self.report(problem.help("give longer times between them, or a shorter `lasts`"));
            return None;
        }
        self.check_links(step, raw, &random)?;
        Some(random)
    }

    fn random_faults(&mut self, raw: &Section<RawRandom>) -> Option<Vec<(FaultKind, Duration)>> {
        let mut faults = Vec::new();
        for fault in FaultKind::drawn() {
            let Some(RawMean(mean)) = raw.get(fault.name) else {
                continue;
            };
            let what = format!("`{}`", fault.name);
            let duration = self.on_tick(mean, &what);
            if duration.is_zero() {
                self.error(mean.span(), "there can be no fault every 0s");
                return None;
            }
            faults.push((fault, duration));
        }
        if faults.is_empty() {
            if !self.damage.is_at(&raw.span()) {
                let problem = Problem::error(self.source, raw.span(), "no fault is named here");
                self.report(problem.help("name at least one, as in `{ crash = \"2s\" }`"));
            }
            return None;
        }
        Some(faults)
    }

    /// What happens to links needs one between the servers.
    fn check_links(
        &mut self,
        step: &Section<RawStep>,
        raw: &Section<RawRandom>,
        random: &Random,
    ) -> Option<()> {
        let herd = self.herd.clone()?;
        let inside = |id: ServerId| random.of.contains(&id);
        let mut links = herd.links().iter();
        let mut faults = random.faults.iter();
        let Some((fault, _)) = faults.find(|(fault, _)| fault.needs_link()) else {
            return Some(());
        };
        if links.any(|link| inside(link.a) && inside(link.b)) {
            return Some(());
        }
        let message = format!(
            "`{}` happens to links, and there is none between these servers",
            fault.name
        );
        let place = step.of.as_ref().map_or(raw.span(), OneOrMany::span);
        self.error(place, message);
        None
    }

    fn servers_or_all(&mut self, list: Option<&OneOrMany>) -> Option<Vec<ServerId>> {
        match list {
            Some(list) => self.servers(list),
            None => self.herd.as_ref().map(|herd| herd.ids().collect()),
        }
    }

    fn lasts(&mut self, step: &Section<RawStep>, message: &str) -> Option<Duration> {
        let lasts = self.required(step.lasts.as_ref(), &step.span(), message)?;
        let duration = self.moment(lasts, "`lasts`");
        if duration.is_zero() {
            self.error(lasts.span(), "nothing can happen in no time");
            return None;
        }
        Some(duration)
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

    /// While faults come and go at random, nothing else begins or clears a fault on the same servers: what is written
    /// could not know what is drawn.
    pub(super) fn check_undisturbed(&mut self, steps: &[Step], herd: &Herd) {
        for (index, step) in steps.iter().enumerate() {
            let Action::Random(random) = &step.action else {
                continue;
            };
            let end = step.at.saturating_add(random.lasts);
            let at_once = |other: &Step| match &other.action {
                Action::Random(other_random) => {
                    step.at <= other.at.saturating_add(other_random.lasts) && other.at <= end
                }
                _ => (step.at..=end).contains(&other.at),
            };
            for (other_index, other) in steps.iter().enumerate() {
                // Of two random steps, the later one is reported.
                let is_random = matches!(other.action, Action::Random(_));
                if other_index == index || (is_random && other_index < index) || !at_once(other) {
                    continue;
                }
                let concerned = concerned(&other.action, herd);
                if let Some(id) = concerned.into_iter().find(|id| random.of.contains(id)) {
                    let message = format!(
                        "`{}` has faults at random until {}",
                        herd.server(id).name,
                        format_duration(end)
                    );
                    let problem = Problem::error(self.source, other.span.clone(), message);
                    let problem = problem.also(step.span.clone(), "here");
                    self.report(
                        problem.help("choose another time, or leave the server out of `of`"),
                    );
                }
            }
        }
    }
}

/// The servers with which a step begins or ends something in any way.
fn concerned(action: &Action, herd: &Herd) -> Vec<ServerId> {
    if let Action::Random(random) = action {
        return random.of.clone();
    }
    let targets = action.targets().iter();
    targets.flat_map(|target| target.servers(herd)).collect()
}
