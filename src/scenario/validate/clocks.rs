//! Whose clocks are wrong, and whether that changes anything.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use super::steps::{Draft, DraftAction};
use crate::diag::{Problem, Span, did_you_mean};
use crate::herd::Name;
use crate::scenario::broken::Broken;
use crate::scenario::drawn::numbered;
use crate::scenario::{Action, Clocked, Skewed};

/// Who the clients of a scenario are: by what stands in a step as their name, whether there is one
/// of that name, and how many there are of a group that is called so.
pub(super) struct Clients(BTreeMap<Name, (bool, u32)>);

impl Clients {
    /// Those of all steps.
    pub(super) fn of(drafts: &[Draft]) -> Self {
        let mut found: BTreeMap<Name, (bool, u32)> = BTreeMap::new();
        for draft in drafts {
            let (name, many) = match &draft.action {
                DraftAction::Client(client) => (&client.client, client.clients),
                DraftAction::Ready(Action::Workload(load)) => (&load.name, Some(load.clients)),
                _ => continue,
            };
            let (one, most) = found.entry(name.clone()).or_default();
            *one |= many.is_none();
            *most = many.unwrap_or_default().max(*most);
        }
        Self(found)
    }

    /// The client of that name, and the members of a group that is called so.
    fn named(&self, name: &str) -> Vec<Clocked> {
        let &(mut one, many) = self.0.get(name).unwrap_or(&(false, 0));
        if let Some((group, number)) = name.rsplit_once('-') {
            let (_, members) = self.0.get(group).copied().unwrap_or_default();
            let number = number.parse().ok().filter(|n| (1..=members).contains(n));
            one |= number.is_some_and(|number| *numbered(group, number) == *name);
        }
        let own = one.then(|| Name::from(name));
        let members = (1..=many).map(|number| numbered(name, number));
        own.into_iter()
            .chain(members)
            .map(Clocked::Client)
            .collect()
    }
}

impl Context<'_> {
    /// Whose clocks a step sets: all servers' if there are no names. Right again is only what was
    /// wrong.
    pub(super) fn skews(
        &mut self,
        names: Option<Vec<(String, Span)>>,
        span: &Span,
        skewed: Skewed,
        clients: &Clients,
        broken: &mut Broken,
    ) -> Vec<Clocked> {
        let Some(herd) = self.herd.clone() else {
            return Vec::new();
        };
        let rights = skewed == Skewed::default();
        let mut whom = BTreeSet::new();
        let mut set = |found: Vec<Clocked>| {
            let wrong = |whose: &Clocked| !rights || broken.is_skewed(whose);
            let fit: Vec<_> = found.into_iter().filter(wrong).collect();
            let any = !fit.is_empty();
            whom.extend(fit);
            any
        };
        let Some(names) = names else {
            if !set(herd.ids().map(Clocked::Server).collect()) {
                let message = "no server's clock is wrong then";
                self.report(Problem::error(self.source, span.clone(), message).help(NOT_WRONG));
            }
            for whose in &whom {
                broken.skew(whose, skewed);
            }
            return whom.into_iter().collect();
        };
        for (name, place) in names {
            let found = match herd.id(&name) {
                Some(id) => vec![Clocked::Server(id)],
                None => clients.named(&name),
            };
            let problem = if found.is_empty() {
                let known = herd
                    .server_names()
                    .chain(clients.0.keys().map(|name| &**name));
                let help = did_you_mean(&name, "servers and clients", known);
                let message = format!("unknown server or client `{name}`");
                Problem::error(self.source, place, message).help(help)
            } else if set(found) {
                continue;
            } else {
                let message = format!("nothing is wrong with the clock of `{name}` then");
                Problem::error(self.source, place, message).help(NOT_WRONG)
            };
            self.report(problem);
        }
        for whose in &whom {
            broken.skew(whose, skewed);
        }
        whom.into_iter().collect()
    }
}

/// What to do about a clock that is to be set right and is.
const NOT_WRONG: &str = "let a `skew` make it wrong first";
