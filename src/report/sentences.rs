//! How an update spread, in a few plain sentences. The most remarkable fact comes first.

use std::collections::BTreeSet;

use super::reasons::Reasons;
use super::show;
use crate::journal::Ignored;
use crate::trace::propagation::{Arrival, Fate, Propagation, Use};

/// The maximum number of names in a list; the others are counted.
const MOST_NAMES: usize = 6;

/// How `update` spread, one sentence each.
pub(crate) fn sentences(reasons: &Reasons<'_>, update: &Propagation) -> Vec<String> {
    let Some(origin) = update.arrivals.first() else {
        return vec![format!(
            "{} at {}: {}.",
            update.name,
            update.to,
            fate(update)
        )];
    };
    let told = Narration {
        reasons,
        update,
        origin,
    };
    let mut sentences = Vec::new();
    sentences.extend(told.farthest().map(|(sentence, _)| sentence));
    sentences.push(told.reach());
    sentences.extend(told.missing());
    sentences.extend(told.by_synchronisation());
    sentences.push(told.cost());
    if update.fate != Fate::Accepted {
        sentences.insert(0, format!("The server's answer: {}.", fate(update)));
    }
    sentences
}

/// Whether the server that a client sent an update to accepted it, in a few words.
pub fn fate(update: &Propagation) -> String {
    match update.fate {
        Fate::Accepted => "accepted".to_owned(),
        Fate::Ignored(Ignored::Known) => "known already, changes nothing".to_owned(),
        Fate::Ignored(Ignored::Older) => "older than what is known, changes nothing".to_owned(),
        Fate::Ignored(Ignored::Tied) => {
            "equal time, the tie goes to what is known, changes nothing".to_owned()
        }
        Fate::Ignored(Ignored::Expired) => "too old by now, changes nothing".to_owned(),
        Fate::Refused(why) => format!("refused, {why}"),
        Fate::Unheard => "never heard".to_owned(),
    }
}

/// The sentence about the server with the longest route, if a fault or latency explains the route.
pub(super) fn remarkable(reasons: &Reasons<'_>, update: &Propagation) -> Option<String> {
    let told = Narration {
        reasons,
        update,
        origin: update.arrivals.first()?,
    };
    let (sentence, has_reason) = told.farthest()?;
    has_reason.then_some(sentence)
}

struct Narration<'a> {
    reasons: &'a Reasons<'a>,
    update: &'a Propagation,
    origin: &'a Arrival,
}

impl Narration<'_> {
    /// A sentence about the arrival with the most hops beyond the shortest route (among equals with
    /// the most hops, then the longest delay), and whether the sentence gives a reason.
    fn farthest(&self) -> Option<(String, bool)> {
        let arrivals = self.update.spread().filter(|arrival| !arrival.sync);
        let key = |arrival: &Arrival| {
            let more = self.reasons.hops_more(self.update, arrival);
            (more, arrival.hops, arrival.delay)
        };
        // Among equals the first wins, which is also the first in a report.
        let far = arrivals.reduce(|far, next| if key(next) > key(far) { next } else { far })?;
        let path = self.update.path(&far.server);
        let names: Vec<&str> = path.iter().map(|name| &**name).collect();
        let (server, hops) = (&far.server, show::count(far.hops as usize, "hop"));
        let delay = show::delay(far.delay);
        let why = self.reasons.of_arrival(self.update, far);
        let way = names.join(" → ");
        let sentence = format!("{server} has it after {hops} ({delay}): {way}{why}.");
        Some((sentence, !why.is_empty()))
    }

    fn reach(&self) -> String {
        let all = self.reasons.trace.herd.servers().len();
        let others: Vec<&Arrival> = self.update.spread().collect();
        let last = others
            .iter()
            .map(|arrival| arrival.delay)
            .max()
            .unwrap_or(0);
        let within = show::delay(last);
        match others.len() + 1 {
            1 if all > 1 => format!("Only its origin {} has it.", self.origin.server),
            have if have >= all => format!("Every server has it within {within}."),
            have => format!("{have} of {all} servers have it, within {within}."),
        }
    }

    fn missing(&self) -> Vec<String> {
        let names = self.reasons.trace.herd.server_names();
        let missing: Vec<&str> = names
            .filter(|name| self.update.arrival(name).is_none())
            .collect();
        let more = missing.len().saturating_sub(MOST_NAMES);
        let mut sentences: Vec<String> = (missing.iter().take(MOST_NAMES))
            .map(|name| match self.reasons.of_absence(self.update, name) {
                Some(why) => format!("{name} never has it: {why}."),
                None => format!("{name} never has it."),
            })
            .collect();
        if more > 0 {
            sentences.push(format!("{more} more never have it."));
        }
        sentences
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
        format!("{sends} between servers: {useful} useful, {duplicates}{where_they_were}{lost}.")
    }
}
