//! What became of an update, in a few plain sentences. The first one says what is most remarkable.

use std::collections::BTreeSet;

use super::faults::{Fault, FaultKind};
use super::lanes::Lanes;
use crate::herd::ServerId;
use crate::report::{fate, show};
use crate::trace::Trace;
use crate::trace::propagation::{Arrival, Fate, Propagation, Use};

/// So many names are listed; more are counted.
const MOST_NAMES: usize = 6;

/// What became of `update`.
pub(super) fn sentences(
    trace: &Trace,
    lanes: &Lanes<'_>,
    faults: &[Fault],
    update: &Propagation,
) -> Vec<String> {
    let Some(origin) = update.arrivals.first() else {
        return vec![format!(
            "{} at {}: {}.",
            update.name,
            update.to,
            fate(update)
        )];
    };
    let told = Told {
        trace,
        lanes,
        faults,
        update,
        origin,
    };
    let mut sentences = Vec::new();
    sentences.extend(told.farthest());
    sentences.push(told.reach());
    sentences.extend(told.missing());
    sentences.extend(told.by_synchronisation());
    sentences.push(told.cost());
    if update.fate != Fate::Accepted {
        sentences.insert(0, format!("The server's answer: {}.", fate(update)));
    }
    sentences
}

struct Told<'a> {
    trace: &'a Trace,
    lanes: &'a Lanes<'a>,
    faults: &'a [Fault],
    update: &'a Propagation,
    origin: &'a Arrival,
}

impl Told<'_> {
    /// The arrival that took the most hops more than an undisturbed herd would have needed, else the most hops.
    fn farthest(&self) -> Option<String> {
        let arrivals = self.update.spread().filter(|arrival| !arrival.sync);
        let key = |arrival: &Arrival| {
            let needed = self.undisturbed(&arrival.server).unwrap_or(arrival.hops);
            (
                arrival.hops.saturating_sub(needed),
                arrival.hops,
                arrival.delay,
            )
        };
        // The first of equals is the one that comes first in a report, too.
        let far = arrivals.reduce(|far, next| if key(next) > key(far) { next } else { far })?;
        let path = self.update.path(&far.server);
        let names: Vec<&str> = path.iter().map(|name| &**name).collect();
        let (server, hops) = (&far.server, show::count(far.hops as usize, "hop"));
        let delay = show::delay(far.delay);
        let reasons = self.in_the_way(far);
        let late = far
            .fastest
            .is_some_and(|fastest| far.delay >= fastest.saturating_mul(2));
        let why = match (key(far).0 > 0, reasons.is_empty()) {
            (true, false) => format!(", because {}", and(&reasons)),
            (true, true) => ", because that way was faster".to_owned(),
            (false, false) if late => format!(", late because {}", and(&reasons)),
            (false, _) => String::new(),
        };
        let way = names.join(" → ");
        Some(format!(
            "{server} has it after {hops} ({delay}): {way}{why}."
        ))
    }

    /// The fewest hops if nothing were wrong.
    fn undisturbed(&self, server: &str) -> Option<u32> {
        let herd = &self.trace.herd;
        let (from, to) = (herd.id(&self.origin.server)?, herd.id(server)?);
        herd.hops_from(from, |_| true)[to.index()]
    }

    /// The lanes on the shortest ways from the origin to a server, both included.
    fn between(&self, server: &str) -> BTreeSet<usize> {
        let herd = &self.trace.herd;
        let (Some(from), Some(to)) = (herd.id(&self.origin.server), herd.id(server)) else {
            return BTreeSet::new();
        };
        let (there, back) = (herd.hops_from(from, |_| true), herd.hops_from(to, |_| true));
        let on_way = |id: &ServerId| match (there[id.index()], back[id.index()]) {
            (Some(there_to), Some(back_to)) => Some(there_to + back_to) == there[to.index()],
            _ => false,
        };
        let ids = herd.ids().filter(on_way);
        ids.filter_map(|id| self.lanes.server(&herd.server(id).name))
            .collect()
    }

    /// What was wrong on the shortest ways while it spread.
    fn in_the_way(&self, far: &Arrival) -> Vec<String> {
        let begin = self.began();
        let end = begin + far.delay;
        let way = self.between(&far.server);
        let in_the_way = |fault: &&Fault| match fault.kind {
            FaultKind::Down => fault.covers(begin, end) && touches(fault, &way),
            FaultKind::Skewed => false,
            _ if fault.pairs.is_empty() => fault.overlaps(begin, end) && touches(fault, &way),
            _ => {
                let mut pairs = fault.pairs.iter();
                fault.overlaps(begin, end)
                    && pairs
                        .any(|(a, b)| self.is_link((*a, *b)) && way.contains(a) && way.contains(b))
            }
        };
        let faults = self.faults.iter().filter(in_the_way);
        let reasons: BTreeSet<String> = faults.map(|fault| self.was(fault)).collect();
        reasons.into_iter().collect()
    }

    /// Links that a fault is of; a partition cuts ways on which there is none, too.
    fn is_link(&self, (a, b): (usize, usize)) -> bool {
        let id = |lane: usize| {
            let lane = self.lanes.list.get(lane)?;
            self.trace.herd.id(&lane.name)
        };
        let ends = (id(a), id(b));
        matches!(ends, (Some(a), Some(b)) if self.trace.herd.link_between(a, b).is_some())
    }

    fn was(&self, fault: &Fault) -> String {
        let whose = fault
            .lanes
            .first()
            .and_then(|lane| self.lanes.list.get(*lane));
        let name = whose.map_or("a server", |lane| &lane.name);
        let pairs = || {
            let links = fault.pairs.iter().filter(|pair| self.is_link(**pair));
            let pairs = links.filter(|(a, b)| a < b || !fault.pairs.contains(&(*b, *a)));
            let names = pairs.map(|(a, b)| {
                let arrow = if fault.kind != FaultKind::Cut || fault.pairs.contains(&(*b, *a)) {
                    "↔"
                } else {
                    "→"
                };
                format!(
                    "{} {arrow} {}",
                    self.lanes.list[*a].name, self.lanes.list[*b].name
                )
            });
            and(&names.collect::<Vec<_>>())
        };
        match fault.kind {
            FaultKind::Down => format!("{name} was down"),
            FaultKind::Frozen => format!("{name} stood still"),
            FaultKind::Refusing => format!("{name} refused connections"),
            FaultKind::Skewed => format!("the clock of {name} was wrong"),
            FaultKind::Cut => format!("the way was cut ({})", pairs()),
            FaultKind::Slow => format!("the way was slow ({})", pairs()),
            FaultKind::Severed => format!("connections were reset ({})", pairs()),
        }
    }

    /// When the origin took it in.
    fn began(&self) -> u64 {
        let event = self.trace.event(self.origin.event);
        event.map_or(0, |event| event.at)
    }

    fn reach(&self) -> String {
        let all = self.trace.herd.servers().len();
        let others: Vec<&Arrival> = self.update.spread().collect();
        let last = others
            .iter()
            .map(|arrival| arrival.delay)
            .max()
            .unwrap_or(0);
        let within = show::delay(last);
        match others.len() + 1 {
            1 if all > 1 => format!(
                "Only {}, where the client said it, has it.",
                self.origin.server
            ),
            have if have >= all => format!("Every server has it within {within}."),
            have => format!("{have} of {all} servers have it, within {within}."),
        }
    }

    fn missing(&self) -> Vec<String> {
        let names = self.trace.herd.server_names();
        let missing: Vec<&str> = names
            .filter(|name| self.update.arrival(name).is_none())
            .collect();
        let more = missing.len().saturating_sub(MOST_NAMES);
        let mut sentences: Vec<String> = (missing.iter().take(MOST_NAMES))
            .map(|name| format!("{name} never has it{}.", self.why_missing(name)))
            .collect();
        if more > 0 {
            sentences.push(format!("{more} more never have it."));
        }
        sentences
    }

    fn why_missing(&self, name: &str) -> String {
        if self.update.overtaken.iter().any(|over| &**over == name) {
            return ": something newer of the same client came first".to_owned();
        }
        let (begin, lane) = (self.began(), self.lanes.server(name));
        let of_it = |fault: &&Fault| {
            fault.overlaps(begin, begin)
                && fault.kind != FaultKind::Skewed
                && lane.is_some_and(|lane| fault.lanes.contains(&lane))
        };
        let mut found: Vec<&Fault> = self.faults.iter().filter(of_it).collect();
        found.sort_by_key(|fault| fault.kind != FaultKind::Down);
        match found.first() {
            Some(fault) => format!(": {}", self.was(fault).replacen(name, "it", 1)),
            None => String::new(),
        }
    }

    fn by_synchronisation(&self) -> Vec<String> {
        let arrivals = self.update.spread().filter(|arrival| arrival.sync);
        let told = arrivals.take(MOST_NAMES).map(|arrival| {
            let (server, delay) = (&arrival.server, show::delay(arrival.delay));
            let via = arrival.via.as_deref().unwrap_or("a neighbour");
            format!("{server} missed it, and has it from {via} by synchronisation after {delay}.")
        });
        told.collect()
    }

    fn cost(&self) -> String {
        let update = self.update;
        let sends = show::count(update.sends.len(), "message");
        let useful = show::grouped(update.count(Use::Useful));
        let lost = match update.count(Use::Lost) {
            0 => String::new(),
            lost => format!(", {} never arrived", show::grouped(lost)),
        };
        let pairs: BTreeSet<(&str, &str)> = (update.sends.iter())
            .filter(|send| send.result == Use::Duplicate)
            .map(|send| (&*send.from, &*send.to))
            .collect();
        let crossed = |(a, b): &(&str, &str)| pairs.contains(&(*b, *a));
        let shown = pairs
            .iter()
            .filter(|pair| pair.0 < pair.1 || !crossed(pair));
        let shown = shown.map(|pair| {
            let arrow = if crossed(pair) { "↔" } else { "→" };
            format!("{} {arrow} {}", pair.0, pair.1)
        });
        let shown: Vec<String> = shown.collect();
        let where_they_were = match shown.len() {
            0 => String::new(),
            1..=MOST_NAMES => format!(" ({})", shown.join(", ")),
            _ => String::new(),
        };
        let duplicates = show::count(update.count(Use::Duplicate), "duplicate");
        format!(
            "{sends} between servers: {useful} told something new, {duplicates}{where_they_were}{lost}."
        )
    }
}

fn touches(fault: &Fault, lanes: &BTreeSet<usize>) -> bool {
    fault.lanes.iter().any(|lane| lanes.contains(lane))
}

/// `a, b and c`, of many only some.
fn and(words: &[String]) -> String {
    let (shown, more) = words.split_at(words.len().min(3));
    match (shown, more.len()) {
        (some, 1..) => format!("{} and {} more", some.join(", "), more.len()),
        ([], _) => String::new(),
        ([one], _) => one.clone(),
        ([some @ .., last], _) => format!("{} and {last}", some.join(", ")),
    }
}
