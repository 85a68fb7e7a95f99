//! What is wrong when: whether a fault can begin, and whether there is one to end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::draft::{Draft, DraftAction, DraftTargets};
use super::numbered;
use crate::diag::{Problem, Span, did_you_mean};
use crate::herd::{Herd, Name};
use crate::scenario::broken::Broken;
use crate::scenario::validate::Context;
use crate::scenario::{
    Action, ClockOwner, Direction, Fault, FaultKind, Party, Shape, Target, Value, Values,
};

/// The number of cuts that are listed before the message only says that there are more.
const MOST_TOLD: usize = 6;

/// What to do about a step that sets a clock right which is right already.
const NOT_WRONG: &str = "let a `skew` make it wrong first";

/// Who the clients of a scenario are: by what stands in a step as their name, whether there is one
/// of that name, and how many there are of a group that is called so.
pub(super) struct Clients(BTreeMap<Name, (bool, u32)>);

impl Clients {
    /// Those of all steps.
    pub(super) fn of(drafts: &[Draft]) -> Self {
        let mut found: BTreeMap<Name, (bool, u32)> = BTreeMap::new();
        for draft in drafts {
            let (name, many) = match &draft.action {
                DraftAction::Ready(Action::Client(client)) => (&client.client, client.clients),
                DraftAction::Ready(Action::Workload(load)) => (&load.name, Some(load.clients)),
                _ => continue,
            };
            let (one, most) = found.entry(name.clone()).or_default();
            *one |= many.is_none();
            *most = many.unwrap_or_default().max(*most);
        }
        Self(found)
    }

    /// The clocks of the client of that name, and of the members of a group that is called so.
    fn named(&self, name: &str) -> Vec<Target> {
        let &(mut one, many) = self.0.get(name).unwrap_or(&(false, 0));
        if let Some((group, number)) = name.rsplit_once('-') {
            let (_, members) = self.0.get(group).copied().unwrap_or_default();
            let number = number.parse().ok().filter(|n| (1..=members).contains(n));
            one |= number.is_some_and(|number| *numbered(group, number) == *name);
        }
        let own = one.then(|| Name::from(name));
        let members = (1..=many).map(|number| numbered(name, number));
        let all = own.into_iter().chain(members);
        all.map(|name| Target::Clock(ClockOwner::Client(name)))
            .collect()
    }
}

/// What is known at the moment of a step.
pub(super) struct Moment<'a> {
    pub(super) at: Duration,
    pub(super) herd: &'a Herd,
    pub(super) clients: &'a Clients,
    pub(super) broken: &'a mut Broken,
}

impl Context<'_> {
    /// A fault begins; `place` is where its values are written.
    pub(super) fn begins(
        &mut self,
        kind: FaultKind,
        targets: DraftTargets,
        values: &Values,
        place: &Span,
        moment: &mut Moment<'_>,
    ) -> Fault {
        let fault = |targets| Fault {
            kind,
            targets,
            values: values.clone(),
        };
        let named = match kind.targets {
            Shape::Parties => self.fit(kind, targets, moment),
            Shape::Disks => {
                self.check_disks(kind, place);
                self.fit(kind, targets, moment)
            }
            Shape::Links => self.fit_links(kind, targets, moment),
            Shape::Clocks => {
                let (none, usual) = (fault(Vec::new()), self.usual.clone());
                let changes = |target: &Target, broken: &Broken| {
                    !none.clears(target, &usual) || broken.has(kind, target)
                };
                self.clocks(targets, place, moment, &changes)
            }
            Shape::BothWays | Shape::OneWay | Shape::Pairs | Shape::Routes | Shape::Ways => {
                match targets {
                    DraftTargets::Named(named) => named,
                    DraftTargets::All(_) | DraftTargets::Clocks(_) => Vec::new(),
                }
            }
        };
        if matches!(kind.targets, Shape::Routes | Shape::Ways) {
            self.check_changes(kind, &named, values, place, moment);
        }
        for (target, span) in &named {
            let one = fault(vec![target.clone()]);
            moment.broken.begin(&one, moment.at, span, &self.usual);
        }
        fault(named.into_iter().map(|(target, _)| target).collect())
    }

    /// An error where a fault needs disks, and servers have none.
    pub(super) fn check_disks(&mut self, kind: FaultKind, place: &Span) {
        if kind.needs_disks() && self.disks.is_none() {
            let message = format!(
                "`{}` happens to disks, and the servers have none",
                kind.name
            );
            let problem = Problem::error(self.source, place.clone(), message);
            self.report(
                problem.help("give them disks: `durability = \"background\"` under `[server]`"),
            );
        }
    }

    /// The links that are not wrong in this way already.
    fn fit_links(
        &mut self,
        kind: FaultKind,
        targets: DraftTargets,
        moment: &Moment<'_>,
    ) -> Vec<(Target, Span)> {
        let DraftTargets::Named(named) = targets else {
            return Vec::new();
        };
        for (target, span) in &named {
            if moment.broken.has(kind, target) {
                let link = link_name(target, moment.herd);
                self.error(span.clone(), format!("`{link}` {} then", kind.state));
            }
        }
        named
    }

    fn ends_for_links(
        &mut self,
        kind: FaultKind,
        targets: DraftTargets,
        moment: &mut Moment<'_>,
    ) -> Vec<Target> {
        let DraftTargets::Named(named) = targets else {
            return Vec::new();
        };
        let (begin, end) = (kind.name, kind.end_word().unwrap_or_default());
        for (target, span) in &named {
            if !moment.broken.end(kind, target) {
                let link = link_name(target, moment.herd);
                let message = format!("can't `{end}` `{link}`: there was no `{begin}`");
                let problem = Problem::error(self.source, span.clone(), message);
                self.report(problem.help(format!("let it `{begin}` first")));
            }
        }
        named.into_iter().map(|(target, _)| target).collect()
    }

    /// The targets, servers and Places, for which it can happen.
    fn fit(
        &mut self,
        kind: FaultKind,
        targets: DraftTargets,
        moment: &Moment<'_>,
    ) -> Vec<(Target, Span)> {
        let Moment { herd, broken, .. } = moment;
        let named = match targets {
            DraftTargets::All(span) => {
                let servers = herd.ids().map(|id| Target::Party(Party::Server(id)));
                let fit = servers.filter(|target| broken.against(kind, target).is_none());
                let fit: Vec<_> = fit.map(|target| (target, span.clone())).collect();
                if fit.is_empty() {
                    self.error(span, "there is no server left that this can happen to");
                }
                fit
            }
            DraftTargets::Named(named) => named,
            DraftTargets::Clocks(_) => Vec::new(),
        };
        for (target, span) in &named {
            if let (Some((earlier, why)), Some(party)) =
                (broken.against(kind, target), target.party())
            {
                let message = format!("`{}` {why} already", party.name(herd));
                let problem = Problem::error(self.source, span.clone(), message);
                self.report(problem.also(earlier, "since here"));
            }
        }
        named
    }

    /// An error where all routes of a step take that long already.
    fn check_changes(
        &mut self,
        kind: FaultKind,
        named: &[(Target, Span)],
        values: &Values,
        place: &Span,
        moment: &Moment<'_>,
    ) {
        let fault = Fault {
            kind,
            targets: Vec::new(),
            values: values.clone(),
        };
        let has = |target: &Target| match moment.broken.values(kind, target) {
            Some(now) => now == values,
            None => fault.clears(target, &self.usual),
        };
        let said = values.written().next();
        if let (true, Some((field, value))) = (named.iter().all(|(target, _)| has(target)), said) {
            let message = match value {
                Value::Latency(_) => format!("it takes {value} then already"),
                _ => format!("its `{field}` is {value} then already"),
            };
            let problem = Problem::error(self.source, place.clone(), message);
            self.report(problem.help(format!("give another `{field}`, or leave the step out")));
        }
    }

    /// Whose clocks a step sets: all servers' if there are no names. Right again is only what was
    /// wrong.
    fn clocks(
        &mut self,
        targets: DraftTargets,
        place: &Span,
        moment: &Moment<'_>,
        changes: &dyn Fn(&Target, &Broken) -> bool,
    ) -> Vec<(Target, Span)> {
        let Moment {
            herd,
            clients,
            broken,
            ..
        } = moment;
        let mut found: BTreeSet<Target> = BTreeSet::new();
        let mut set = |targets: Vec<Target>| {
            let fit: Vec<_> = targets
                .into_iter()
                .filter(|target| changes(target, broken))
                .collect();
            let any = !fit.is_empty();
            found.extend(fit);
            any
        };
        let server = |id| Target::Clock(ClockOwner::Server(id));
        let mut problems = Vec::new();
        match targets {
            DraftTargets::All(span) => {
                if !set(herd.ids().map(server).collect()) {
                    let message = "no server's clock is wrong then";
                    problems.push(Problem::error(self.source, span, message).help(NOT_WRONG));
                }
            }
            DraftTargets::Clocks(names) => {
                for (name, place) in names {
                    let named = match herd.id(&name) {
                        Some(id) => vec![server(id)],
                        None => clients.named(&name),
                    };
                    if named.is_empty() {
                        let known = herd.server_names();
                        let known = known.chain(clients.0.keys().map(|name| &**name));
                        let help = did_you_mean(&name, "servers and clients", known);
                        let message = format!("unknown server or client `{name}`");
                        problems.push(Problem::error(self.source, place, message).help(help));
                    } else if !set(named) {
                        let message = format!("nothing is wrong with the clock of `{name}` then");
                        problems.push(Problem::error(self.source, place, message).help(NOT_WRONG));
                    }
                }
            }
            DraftTargets::Named(_) => {}
        }
        for problem in problems {
            self.report(problem);
        }
        let all = found.into_iter();
        all.map(|target| (target, place.clone())).collect()
    }

    /// A fault ends; `list` is where its targets are written.
    pub(super) fn ends(
        &mut self,
        kind: FaultKind,
        targets: DraftTargets,
        list: &Span,
        moment: &mut Moment<'_>,
    ) -> Vec<Target> {
        match kind.targets {
            Shape::Parties | Shape::Disks => self.ends_for(kind, targets, moment),
            Shape::Links => self.ends_for_links(kind, targets, moment),
            _ => self.heals(kind, targets, list, moment),
        }
    }

    fn ends_for(
        &mut self,
        kind: FaultKind,
        targets: DraftTargets,
        moment: &mut Moment<'_>,
    ) -> Vec<Target> {
        let Moment { herd, broken, .. } = moment;
        let (begin, end) = (kind.name, kind.end_word().unwrap_or_default());
        let named = match targets {
            DraftTargets::Named(named) => named,
            DraftTargets::Clocks(_) => Vec::new(),
            DraftTargets::All(span) => {
                let all = broken.all(kind);
                let servers = all.filter(|target| {
                    let party = target.party();
                    party.is_some_and(|party| party.server().is_some())
                });
                let all: Vec<_> = servers
                    .map(|target| (target.clone(), span.clone()))
                    .collect();
                if all.is_empty() {
                    self.error(span, format!("there is no server to `{end}` then"));
                }
                all
            }
        };
        for (target, span) in &named {
            if broken.end(kind, target) {
                continue;
            }
            let name = target.party().map(|party| party.name(herd));
            let name = name.unwrap_or_default();
            let problem = if let Some(ended) = broken.ended(kind, target) {
                let message = format!("`{name}` can't `{end}`: the `{begin}` is over");
                let problem = Problem::error(self.source, span.clone(), message);
                let problem = problem.also(ended.clone(), "this ended it");
                problem.help("leave this step out")
            } else if kind.needs_disks() {
                let message = format!("`{name}` can't `{end}`: its disk has no fault then");
                let problem = Problem::error(self.source, span.clone(), message);
                problem.help("leave this step out")
            } else {
                let message = format!("`{name}` can't `{end}`: there was no `{begin}`");
                let problem = Problem::error(self.source, span.clone(), message);
                problem.help(match broken.passing(kind, target) {
                    Some(other) => format!("its `{}` ends by itself", other.name),
                    None => format!("let it `{begin}` first"),
                })
            };
            self.report(problem);
        }
        named.into_iter().map(|(target, _)| target).collect()
    }

    fn heals(
        &mut self,
        kind: FaultKind,
        targets: DraftTargets,
        list: &Span,
        moment: &mut Moment<'_>,
    ) -> Vec<Target> {
        let broken = &mut *moment.broken;
        let healed: Vec<Target> = match targets {
            // Everything that is cut, as often as it is.
            DraftTargets::All(_) => broken.all(kind).cloned().collect(),
            DraftTargets::Named(named) => {
                let all = named.into_iter().map(|(target, _)| target);
                all.filter(|target| broken.has(kind, target)).collect()
            }
            DraftTargets::Clocks(_) => Vec::new(),
        };
        if healed.is_empty() {
            let problem = Problem::error(self.source, list.clone(), "nothing is cut there then");
            self.report(problem.help(cut_then(kind, moment)));
        }
        for target in &healed {
            moment.broken.end(kind, target);
        }
        healed
    }
}

/// What there is to heal.
fn cut_then(kind: FaultKind, moment: &Moment<'_>) -> String {
    let ways: BTreeSet<Direction> = moment.broken.all(kind).filter_map(Target::pair).collect();
    let mut told = Vec::new();
    for &(a, b) in &ways {
        let both = ways.contains(&(b, a));
        let (from, to) = (a.name(moment.herd), b.name(moment.herd));
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

/// What a link is called in a file.
fn link_name(target: &Target, herd: &Herd) -> String {
    let names: Vec<String> = (target.servers(herd).into_iter())
        .map(|id| herd.server(id).name.to_string())
        .collect();
    names.join("-")
}
