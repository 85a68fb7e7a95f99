//! What holds for the whole run: its clock, its latencies and the servers' timers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Context;
use crate::diag::{Problem, Span, did_you_mean};
use crate::document::{Located, OneOrMany, ROOT, Section};
use crate::herd::{Herd, Names, ServerId, split_link};
use crate::scenario::raw::RawScenario;
use crate::scenario::server::RawServer;
use crate::scenario::{CLIENT_PATIENCE, EpochNs, Expect};
use crate::server::{Limits, Timing};
use crate::trace::invariants::Invariant;
use crate::units::{DurationText, LatencyRange, format_duration};

pub(in crate::scenario) const DEFAULT_TICK: Duration = Duration::from_millis(1);
const FINEST_TICK: Duration = Duration::from_millis(1);
const COARSEST_TICK: Duration = Duration::from_secs(1);

/// A moment in May 2021, so that times are as long as usual without a setting.
const DEFAULT_EPOCH: EpochNs = 1_621_464_827_000_000_000;

/// Clocks show seconds of ten digits at most.
const EPOCH_END: EpochNs = 10_000_000_000 * 1_000_000_000;

const DEFAULT_LINK_LATENCY: LatencyRange = LatencyRange::constant(Duration::from_millis(20));
const DEFAULT_CLIENT_LATENCY: LatencyRange = LatencyRange::constant(Duration::from_millis(5));

impl Context<'_> {
    pub(super) fn read_tick(&mut self, tick: Option<&Located<DurationText>>) -> Option<Duration> {
        let Some(tick) = tick else {
            return Some(DEFAULT_TICK);
        };
        let whole = tick.0.as_nanos().is_multiple_of(FINEST_TICK.as_nanos());
        if whole && (FINEST_TICK..=COARSEST_TICK).contains(&tick.0) {
            return Some(tick.0);
        }
        let written = format_duration(tick.0);
        let message = format!("the tick is {written}, but must be whole milliseconds, 1ms to 1s");
        self.error(tick.span(), message);
        None
    }

    pub(super) fn epoch(&mut self, epoch: Option<&Located<String>>) -> Option<EpochNs> {
        let Some(epoch) = epoch else {
            return Some(DEFAULT_EPOCH);
        };
        let read = posix_nanoseconds(epoch);
        if read.is_some_and(|read| read >= EPOCH_END) {
            let message = "the run can't begin so late, but before 10000000000, in the year 2286";
            self.error(epoch.span(), message);
            return None;
        }
        if read.is_none() {
            let message = format!("`{}` is no time in POSIX seconds", **epoch);
            let help = "digits, and up to 9 decimals, such as \"1621464827.959498503\"";
            self.report(Problem::error(self.source, epoch.span(), message).help(help));
        }
        read
    }

    /// The invariants that are switched off. None of them is what the run is about.
    pub(super) fn without(
        &mut self,
        names: Option<&OneOrMany>,
        expects: &[Expect],
    ) -> Vec<Invariant> {
        let without = self.invariants(names);
        if let Some(names) = names.filter(|_| without.len() == Invariant::ALL.len()) {
            let message = "no invariant is left that must hold of this run";
            let problem = Problem::error(self.source, names.span(), message);
            self.report(problem.help("switch off those that can't hold, and no others"));
        }
        for expect in expects {
            if let Some(off) = without.iter().find(|off| expect.what.names(**off)) {
                let message = format!("`{off}` is expected here, and switched off by `without`");
                self.error(expect.span.clone(), message);
            }
        }
        without
    }

    /// Invariants by name, each once.
    pub(in crate::scenario) fn invariants(&mut self, names: Option<&OneOrMany>) -> Vec<Invariant> {
        let mut found: Vec<Invariant> = Vec::new();
        for name in names.map(OneOrMany::items).unwrap_or_default() {
            match name.parse::<Invariant>() {
                Err(unknown) => {
                    let known = Invariant::ALL.map(Invariant::name);
                    let help = did_you_mean(name, "invariants", known);
                    let problem = Problem::error(self.source, name.span(), unknown.to_string());
                    self.report(problem.help(help));
                }
                Ok(twice) if found.contains(&twice) => {
                    self.error(name.span(), format!("invariant `{twice}` is named twice"));
                }
                Ok(invariant) => found.push(invariant),
            }
        }
        found
    }

    pub(super) fn client_latency(
        &mut self,
        latency: Option<&Located<LatencyRange>>,
    ) -> LatencyRange {
        let Some(latency) = latency else {
            self.check_default(DEFAULT_CLIENT_LATENCY, "`client_latency`");
            return DEFAULT_CLIENT_LATENCY;
        };
        self.latency_in_a_run(**latency, &latency.span(), "this latency")
    }

    pub(super) fn places_latency(
        &mut self,
        latency: Option<&Located<LatencyRange>>,
        clients: LatencyRange,
    ) -> LatencyRange {
        let Some(latency) = latency else {
            return clients;
        };
        self.latency_in_a_run(**latency, &latency.span(), "this latency")
    }

    /// The latency of each link of the herd: that of `latency`, else the herd file's, else
    /// `link_latency`.
    pub(super) fn link_latency(&mut self, raw: &RawScenario) -> Vec<LatencyRange> {
        let general = match &raw.link_latency {
            Some(latency) => self.latency_in_a_run(**latency, &latency.span(), "this latency"),
            None => DEFAULT_LINK_LATENCY,
        };
        let special = self.latency_by_link(raw);
        let Some(herd) = self.herd.clone() else {
            return Vec::new();
        };
        let mut uses_default = false;
        let mut latencies = Vec::new();
        for (index, link) in herd.links().iter().enumerate() {
            let mut chosen = special.get(&index).copied();
            if let (None, Some(own)) = (chosen, link.latency) {
                let [a, b] = [link.a, link.b].map(|id| &herd.server(id).name);
                let what = format!("the latency of link {a}-{b} in the herd's file");
                let place = raw.herd.as_ref().map_or(ROOT, Located::span);
                chosen = Some(self.latency_in_a_run(own, &place, &what));
            }
            uses_default |= chosen.is_none() && raw.link_latency.is_none();
            latencies.push(chosen.unwrap_or(general));
        }
        if uses_default {
            self.check_default(DEFAULT_LINK_LATENCY, "`link_latency`");
        }
        latencies
    }

    /// The entries of `latency` by the index of their link.
    fn latency_by_link(&mut self, raw: &RawScenario) -> BTreeMap<usize, LatencyRange> {
        let mut found = BTreeMap::new();
        for (key, latency) in raw.latency.iter().flat_map(|entries| entries.iter()) {
            let read = self.latency_in_a_run(**latency, &latency.span(), "this latency");
            let Some(index) = self.link_index(key) else {
                continue;
            };
            if found.insert(index, read).is_some() {
                self.error(key.span(), format!("link `{}` is listed twice", **key));
            }
        }
        found
    }

    pub(in crate::scenario) fn link_index(&mut self, key: &Located<String>) -> Option<usize> {
        let herd = self.herd.clone()?;
        let names = Names::new(herd.server_names());
        let (a, b) = match split_link(key, &names, self.source) {
            Ok(ends) => ends,
            Err(problems) => {
                self.problems.extend(problems);
                return None;
            }
        };
        let index = herd.links().iter().position(|l| l.other(a) == Some(b));
        if index.is_none() {
            let problem = self.no_link(&herd, (a, b), key.span());
            self.report(problem);
        }
        index
    }

    /// The links of a list, or all of the herd's, as indices.
    pub(in crate::scenario) fn links(&mut self, list: &OneOrMany) -> Option<Vec<usize>> {
        let herd = self.herd.clone()?;
        if super::is_all(list) {
            return Some((0..herd.links().len()).collect());
        }
        let named: Vec<_> = list
            .items()
            .iter()
            .map(|name| self.link_index(name))
            .collect();
        named.into_iter().collect()
    }

    pub(in crate::scenario) fn no_link(
        &self,
        herd: &Herd,
        (a, b): (ServerId, ServerId),
        place: Span,
    ) -> Problem {
        let near: Vec<_> = herd
            .neighbours(a)
            .map(|id| format!("`{}`", herd.server(id).name))
            .collect();
        let (a, b) = (&herd.server(a).name, &herd.server(b).name);
        let message = format!("there is no link between `{a}` and `{b}`");
        let help = format!("`{a}` is linked to {}", near.join(", "));
        Problem::error(self.source, place, message).help(help)
    }

    /// Both ends of a latency as durations of the file's.
    pub(in crate::scenario) fn latency_in_a_run(
        &mut self,
        latency: LatencyRange,
        span: &Span,
        what: &str,
    ) -> LatencyRange {
        for end in [latency.least, latency.most] {
            self.check_grain(end, span, what);
            if !end.subsec_nanos().is_multiple_of(1000) {
                let message = format!("{what} is {latency}, which is finer than a microsecond");
                self.error(span.clone(), message);
            }
            if latency.most == latency.least {
                break;
            }
        }
        let most = self.in_a_run(latency.most, span, what);
        if latency.most == latency.least {
            return LatencyRange::constant(most);
        }
        let least = self.in_a_run(latency.least, span, what);
        LatencyRange { least, most }
    }

    /// With no time between, who hears first would be the simulator's own order of hosts.
    pub(in crate::scenario) fn too_quick(&mut self, span: Span) {
        self.error(span, "a message takes some time: a latency can't be 0s");
    }

    /// A default that does not fit the tick is reported at the tick, which is what was written.
    fn check_default(&mut self, default: LatencyRange, what: &str) {
        let fits = |tick: Duration| default.least.as_nanos().is_multiple_of(tick.as_nanos());
        let Some(tick) = self.tick.filter(|tick| !fits(*tick)) else {
            return;
        };
        let (default, tick) = (default.to_string(), format_duration(tick));
        let message = format!("{what} is {default} by default, no multiple of the tick of {tick}");
        let place = self.tick_place.clone();
        let help = format!("give {what} as a multiple of {tick}");
        self.report(Problem::error(self.source, place, message).help(help));
    }

    /// What the file says of all servers, and what they have by default.
    pub(super) fn settings(&mut self, raw: Option<&Section<RawServer>>) -> (Timing, Limits) {
        let (mut timing, mut limits) = (Timing::default(), Limits::default());
        if let Some(raw) = raw {
            self.server_settings(raw).apply(&mut timing, &mut limits);
            self.check_redial(raw, &timing);
        }
        (timing, limits)
    }

    /// A message takes some time. And links too slow ever to come up are warned of: the dialler waits for
    /// a greeting there and back, and so does the other end for the first word after it.
    pub(super) fn check_latencies(
        &mut self,
        raw: &RawScenario,
        links: &[LatencyRange],
        (clients, places): (LatencyRange, LatencyRange),
        timing: &Timing,
    ) {
        let at = raw.link_latency.as_ref().map(Located::span);
        let at_herd = raw.herd.as_ref().map_or(ROOT, Located::span);
        let at_links = at.unwrap_or(at_herd.clone());
        let at_clients = raw.client_latency.as_ref().map_or(at_herd, Located::span);
        let at_places = (raw.places_latency.as_ref()).map_or(at_clients.clone(), Located::span);
        let shortest = |ranges: &[LatencyRange]| ranges.iter().map(|range| range.least).min();
        let longest = |ranges: &[LatencyRange]| ranges.iter().map(|range| range.most).max();
        // Where Places has no latency of its own, that of the clients is reported once.
        let own = raw.places_latency.is_some().then_some(places);
        for (ranges, at) in [
            (links, &at_links),
            (&[clients], &at_clients),
            (own.as_slice(), &at_places),
        ] {
            if shortest(ranges).is_some_and(|shortest| shortest.is_zero()) {
                self.too_quick(at.clone());
            }
        }
        // Beside a duration that is wrong, this would tell of it twice.
        if self.problems.has_errors() {
            return;
        }
        let slowest = longest(links).unwrap_or_default();
        let patience = timing.hello_deadline.min(timing.heartbeat * 2);
        if slowest * 2 >= patience || slowest >= timing.connect_deadline {
            let message = format!(
                "a link with a latency of {} is too slow to come up",
                format_duration(slowest)
            );
            let help = "raise `hello_deadline`, `connect_deadline` and `heartbeat` under `[server]` \
                        well above twice the latency";
            self.report(Problem::warning(self.source, at_links, message).help(help));
        }
        if clients.most * 2 >= CLIENT_PATIENCE {
            let message = format!(
                "a client waits {} for its answers, and this is too slow for that",
                format_duration(CLIENT_PATIENCE)
            );
            self.report(Problem::warning(self.source, at_clients, message));
        }
    }

    fn check_redial(&mut self, raw: &RawServer, timing: &Timing) {
        let Timing {
            redial_least: least,
            redial_most: most,
            ..
        } = *timing;
        let timer = |name| raw.value::<Located<DurationText>>(name);
        let place = timer("redial_least").or_else(|| timer("redial_most"));
        if let Some(place) = place.filter(|_| least > most) {
            let (least, most) = (format_duration(least), format_duration(most));
            let message = format!("`redial_least` is {least}, longer than `redial_most`, {most}");
            self.error(place.span(), message);
        }
    }
}

/// Digits with up to nine decimals, exactly.
fn posix_nanoseconds(text: &str) -> Option<EpochNs> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let seconds: u64 = whole.parse().ok()?;
    let nanoseconds: EpochNs = format!("{fraction:0<9}").parse().ok()?;
    Some(EpochNs::from(seconds) * 1_000_000_000 + nanoseconds)
}
