//! What can be wrong with the network and with clocks.

use std::collections::BTreeSet;

use super::steps::DraftAction;
use super::{Context, is_all};
use crate::diag::{Problem, Span, did_you_mean};
use crate::document::{Located, OneOrMany, Section};
use crate::herd::{Herd, Names, ServerId, split_all, split_link};
use crate::scenario::broken::Broken;
use crate::scenario::raw::RawStep;
use crate::scenario::{Action, CLIENTS, Direction, PLACES, Party, Route, Skewed};
use crate::units::{DurationError, LatencyRange, parse_duration};

/// So many cuts are told before it says that there are more.
const MOST_TOLD: usize = 6;

impl Context<'_> {
    /// What a step does to the network or to clocks.
    pub(super) fn network_action(&mut self, step: &Section<RawStep>) -> Option<DraftAction> {
        let from = step.from.as_ref();
        if let Some(list) = &step.partition {
            let pairs = self.linked_pairs(list, from)?;
            return Some(DraftAction::Cut(both_ways(&pairs)));
        }
        if let Some(list) = &step.partition_oneway {
            let pairs = self.linked_pairs(list, from)?;
            // A link names the sender first; two sets name the receivers first, and whom from second.
            let backwards = from.is_some() || list.single().is_none();
            let turn = |(a, b): (Party, Party)| if backwards { (b, a) } else { (a, b) };
            return Some(DraftAction::Cut(pairs.into_iter().map(turn).collect()));
        }
        if let Some(list) = &step.heal {
            if is_all(list) {
                return Some(DraftAction::Heal(None, list.span()));
            }
            let pairs = self.pairs(list, from)?;
            return Some(DraftAction::Heal(Some(both_ways(&pairs)), list.span()));
        }
        if let Some(list) = &step.sever {
            let pairs = self.linked_pairs(list, from)?;
            return Some(DraftAction::Ready(Action::Sever(pairs)));
        }
        if let Some(list) = &step.slow {
            return self.slow(step, list);
        }
        self.skew(step, step.skew.as_ref()?)
    }

    /// As [`pairs`](Self::pairs), and an error if there is nothing between the two sides: servers
    /// talk over links only, so such a fault could never touch anything.
    fn linked_pairs(
        &mut self,
        list: &OneOrMany,
        from: Option<&OneOrMany>,
    ) -> Option<Vec<(Party, Party)>> {
        let herd = self.herd.clone()?;
        let pairs = self.pairs(list, from)?;
        let carries = |&(a, b): &(Party, Party)| match (a, b) {
            (Party::Server(a), Party::Server(b)) => herd.link_between(a, b).is_some(),
            _ => true,
        };
        if pairs.iter().any(carries) {
            return Some(pairs);
        }
        let problem = match pairs.as_slice() {
            [(Party::Server(a), Party::Server(b))] => self.no_link(&herd, (*a, *b), list.span()),
            _ => Problem::error(
                self.source,
                list.span(),
                "there is no link between the two sides",
            ),
        };
        self.report(problem);
        None
    }

    /// Everybody on one side with everybody on the other.
    fn pairs(&mut self, list: &OneOrMany, from: Option<&OneOrMany>) -> Option<Vec<(Party, Party)>> {
        let herd = self.herd.clone()?;
        if let (Some(name), None) = (list.single(), from)
            && herd.id(name).is_none()
            && ![CLIENTS, PLACES].contains(&name.as_str())
            && let [ends] = split_all(name, &herd).as_slice()
            && let [a, b] = ends.as_slice()
            && a != b
        {
            return Some(vec![(Party::Server(*a), Party::Server(*b))]);
        }
        let here = self.parties(list, &herd);
        let there = from.map(|from| self.parties(from, &herd));
        let here = here?;
        let there = if let Some(named) = there {
            named?
        } else {
            let others = [Party::Clients, Party::Places];
            let everybody = herd.ids().map(Party::Server).chain(others);
            everybody.filter(|party| !here.contains(party)).collect()
        };
        if there.is_empty() {
            let problem = Problem::error(self.source, list.span(), "nobody is on the other side");
            self.report(problem.help("leave somebody out, or say who is there in `from`"));
            return None;
        }
        let mut pairs = Vec::new();
        for &a in &here {
            for &b in &there {
                if a == b {
                    let message = "somebody is on both sides".to_owned();
                    let span = from.unwrap_or(list).span();
                    self.error(span, message);
                    return None;
                }
                pairs.push((a, b));
            }
        }
        Some(pairs)
    }

    fn parties(&mut self, list: &OneOrMany, herd: &Herd) -> Option<Vec<Party>> {
        let named = self.named(list, |cx, name| match name.as_str() {
            CLIENTS => Some(Party::Clients),
            PLACES => {
                cx.names_places = true;
                Some(Party::Places)
            }
            _ => cx.server_or_link(name, herd).map(Party::Server),
        })?;
        Some(named.into_iter().map(|(party, _)| party).collect())
    }

    fn server_or_link(&mut self, name: &Located<String>, herd: &Herd) -> Option<ServerId> {
        let found = herd.id(name);
        if found.is_none() {
            // Where one end of a link is right, the other one is wrong.
            let names = Names::new(herd.server_names());
            if let Err(problems) = split_link(name, &names, self.source)
                && problems.len() == 1
                && name.contains('-')
            {
                self.problems.extend(problems);
                return None;
            }
            let message = format!("unknown server `{}`", **name);
            let names = herd.server_names().chain([CLIENTS, PLACES]);
            let help = did_you_mean(name, "servers", names);
            let problem = Problem::error(self.source, name.span(), message);
            self.report(problem.help(format!("{help}; one link is written `A-B`, and alone")));
        }
        found
    }

    /// An error where all routes of a step take that long already.
    pub(super) fn slows(
        &mut self,
        routes: &[Route],
        latency: LatencyRange,
        span: Span,
        broken: &mut Broken,
    ) {
        let usual = |route: Route, usual: &[(Route, LatencyRange)]| {
            let mut all = usual.iter();
            all.find_map(|&(other, latency)| (other == route).then_some(latency))
        };
        let mut changes = false;
        for &route in routes {
            let usual = usual(route, &self.usual).unwrap_or(latency);
            changes |= broken.latency(route, usual) != latency;
            broken.slow(route, latency, usual);
        }
        if !changes {
            let message = format!("it takes {latency} then already");
            let problem = Problem::error(self.source, span, message);
            self.report(problem.help("give another latency, or leave the step out"));
        }
    }

    /// What there is to heal.
    pub(super) fn cut_then(&self, broken: &Broken) -> String {
        let Some(herd) = &self.herd else {
            return String::new();
        };
        let ways: BTreeSet<Direction> = broken.cut_ways().collect();
        let mut told = Vec::new();
        for &(a, b) in &ways {
            let both = ways.contains(&(b, a));
            let (from, to) = (a.name(herd), b.name(herd));
            if !both {
                told.push(format!("from `{from}` to `{to}`"));
            } else if a < b {
                told.push(format!("between `{from}` and `{to}`"));
            }
        }
        let more = told.len().saturating_sub(MOST_TOLD);
        told.truncate(MOST_TOLD);
        match (told.as_slice(), more) {
            ([], _) => "let there be a `partition` first".to_owned(),
            (told, 0) => format!("what is cut then is {}", told.join(", ")),
            (told, more) => format!("what is cut then is {} and {more} more", told.join(", ")),
        }
    }

    fn slow(&mut self, step: &Section<RawStep>, list: &OneOrMany) -> Option<DraftAction> {
        let herd = self.herd.clone()?;
        let latency = self.required(
            step.latency.as_ref(),
            &step.span(),
            "`slow` needs a `latency`: what the links take from now on",
        )?;
        let slower = self.latency_on_tick(**latency, &latency.span(), "this latency");
        if slower.least.is_zero() {
            self.too_quick(latency.span());
        }
        let named = self.named(list, |cx, name| match (name.as_str(), herd.id(name)) {
            (CLIENTS, _) => Some(vec![Route::Clients]),
            (PLACES, _) => {
                cx.names_places = true;
                Some(vec![Route::Places])
            }
            (_, Some(id)) => {
                let all = herd.links().iter().enumerate();
                let own = all.filter(|(_, link)| link.other(id).is_some());
                Some(own.map(|(at, _)| Route::Link(at)).collect())
            }
            (_, None) => Some(vec![Route::Link(cx.link_index(name)?)]),
        })?;
        let routes: BTreeSet<Route> = named.into_iter().flat_map(|(routes, _)| routes).collect();
        if routes.is_empty() {
            self.error(list.span(), "there is no link here");
            return None;
        }
        let routes = routes.into_iter().collect();
        Some(DraftAction::Slow(routes, slower, latency.span()))
    }

    fn skew(&mut self, step: &Section<RawStep>, list: &OneOrMany) -> Option<DraftAction> {
        if step.by.is_none() && step.drift.is_none() {
            self.error(
                step.span(),
                "`skew` needs `by` or `drift`: how wrong the clocks are",
            );
            return None;
        }
        let skewed = Skewed {
            by: self.signed(step.by.as_ref())?,
            drift: self.signed(step.drift.as_ref())?,
        };
        if is_all(list) {
            return Some(DraftAction::Skew(None, list.span(), skewed));
        }
        // Who is a client is known when all steps are.
        let named = self.named(list, |_, name| Some(name.to_string()))?;
        Some(DraftAction::Skew(Some(named), list.span(), skewed))
    }

    /// A duration with a sign, in nanoseconds; 0 where there is none.
    fn signed(&mut self, text: Option<&Located<String>>) -> Option<i64> {
        let Some(text) = text else {
            return Some(0);
        };
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let nanos = parse_duration(rest).and_then(|duration| {
            i64::try_from(duration.as_nanos()).map_err(|_| DurationError::TooLong)
        });
        if let Err(why) = &nanos {
            let message = format!("bad difference `{}`: {why}", **text);
            let help = "a duration with a sign, such as `+1.5s` or `-20ms`";
            self.report(Problem::error(self.source, text.span(), message).help(help));
        }
        Some(sign * nanos.ok()?)
    }
}

fn both_ways(pairs: &[(Party, Party)]) -> Vec<Direction> {
    pairs.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect()
}
