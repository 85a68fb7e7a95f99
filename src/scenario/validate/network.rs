//! What can be wrong with the network and with clocks.

use super::steps::DraftAction;
use super::{Context, is_all};
use crate::diag::{Problem, did_you_mean};
use crate::document::{Located, OneOrMany, Section};
use crate::herd::{Herd, Name, ServerId, split_all};
use crate::scenario::raw::RawStep;
use crate::scenario::{Action, CLIENTS, Clocked, PLACES, Party, Route, Skewed, Way};
use crate::units::parse_duration;

impl Context<'_> {
    /// What a step does to the network or to clocks.
    pub(super) fn network_action(&mut self, step: &Section<RawStep>) -> Option<DraftAction> {
        let from = step.from.as_ref();
        if let Some(list) = &step.partition {
            let pairs = self.pairs(list, from)?;
            return Some(DraftAction::Cut(both_ways(&pairs)));
        }
        if let Some(list) = &step.partition_oneway {
            let pairs = self.pairs(list, from)?;
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
            let pairs = self.pairs(list, from)?;
            return Some(DraftAction::Ready(Action::Sever(pairs)));
        }
        if let Some(list) = &step.slow {
            return self.slow(step, list);
        }
        self.skew(step, step.skew.as_ref()?)
    }

    /// Everybody on one side with everybody on the other.
    fn pairs(&mut self, list: &OneOrMany, from: Option<&OneOrMany>) -> Option<Vec<(Party, Party)>> {
        let herd = self.herd.clone()?;
        if let (Some(name), None) = (list.single(), from)
            && herd.id(name).is_none()
            && ![CLIENTS, PLACES].contains(&name.as_str())
            && let [ends] = split_all(name, &herd).as_slice()
            && let [a, b] = ends.as_slice()
        {
            return Some(vec![(Party::Server(*a), Party::Server(*b))]);
        }
        let here = self.parties(list, &herd)?;
        let there = if let Some(from) = from {
            self.parties(from, &herd)?
        } else {
            let others = [Party::Clients, Party::Places];
            let everybody = herd.ids().map(Party::Server).chain(others);
            everybody.filter(|party| !here.contains(party)).collect()
        };
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
        let mut found = Vec::new();
        for name in list.items() {
            found.push(match name.as_str() {
                CLIENTS => Party::Clients,
                PLACES => {
                    self.names_places = true;
                    Party::Places
                }
                _ => Party::Server(self.server_or_link(name, herd)?),
            });
        }
        Some(found)
    }

    fn server_or_link(&mut self, name: &Located<String>, herd: &Herd) -> Option<ServerId> {
        let found = herd.id(name);
        if found.is_none() {
            let message = format!("unknown server `{}`", **name);
            let names = herd.server_names().chain([CLIENTS, PLACES]);
            let help = did_you_mean(name, "servers", names);
            let problem = Problem::error(self.source, name.span(), message);
            self.report(problem.help(format!("{help}; one link is written `A-B`, and alone")));
        }
        found
    }

    fn slow(&mut self, step: &Section<RawStep>, list: &OneOrMany) -> Option<DraftAction> {
        let herd = self.herd.clone()?;
        let latency = self.required(
            step.latency.as_ref(),
            &step.span(),
            "`slow` needs a `latency`: what the links take from now on",
        )?;
        self.latency_on_tick(**latency, &latency.span(), "this latency");
        let mut routes = Vec::new();
        for name in list.items() {
            match (name.as_str(), herd.id(name)) {
                (CLIENTS, _) => routes.push(Route::Clients),
                (PLACES, _) => {
                    self.names_places = true;
                    routes.push(Route::Places);
                }
                (_, Some(id)) => {
                    let all = herd.links().iter().enumerate();
                    let own = all.filter(|(_, link)| link.other(id).is_some());
                    routes.extend(own.map(|(at, _)| Route::Link(at)));
                }
                (_, None) => routes.push(Route::Link(self.link_index(name)?)),
            }
        }
        routes.sort_unstable();
        routes.dedup();
        Some(DraftAction::Ready(Action::Slow(routes, **latency)))
    }

    fn skew(&mut self, step: &Section<RawStep>, list: &OneOrMany) -> Option<DraftAction> {
        let herd = self.herd.clone()?;
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
        let whom = list.items().iter().map(|name| match herd.id(name) {
            Some(id) => Clocked::Server(id),
            None => Clocked::Client(Name::from(name.as_str())),
        });
        Some(DraftAction::Ready(Action::Skew(whom.collect(), skewed)))
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
        let read = parse_duration(rest).ok();
        let nanos = read.and_then(|duration| i64::try_from(duration.as_nanos()).ok());
        if nanos.is_none() {
            let message = format!("bad difference `{}`", **text);
            let help = "a duration with a sign, such as `+1.5s` or `-20ms`";
            self.report(Problem::error(self.source, text.span(), message).help(help));
        }
        Some(sign * nanos?)
    }
}

fn both_ways(pairs: &[(Party, Party)]) -> Vec<Way> {
    pairs.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect()
}
