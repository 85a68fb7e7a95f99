//! The settings of servers, as they change while a run goes on.

use std::collections::BTreeMap;
use std::path::Path;

use super::Run;
use crate::journal::{Actor, Event, EventKind};
use crate::server::{Limits, Timing};
use crate::settings::{SETTINGS, Settings};

/// Timers and limits of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Its timers and deadlines.
    pub timing: Timing,
    /// Its limits.
    pub limits: Limits,
}

/// The rules of each server, and since when.
pub(super) struct History<'a> {
    first: Rules,
    later: BTreeMap<&'a str, Vec<(u64, Rules)>>,
}

impl<'a> History<'a> {
    /// The rules in a run, if they are known.
    pub(super) fn of(run: &Run<'a>) -> Option<Self> {
        let mut history = Self {
            first: run.rules?,
            later: BTreeMap::new(),
        };
        let mut frozen = BTreeMap::new();
        for event in run.events {
            history.learn(event, &mut frozen);
        }
        Some(history)
    }

    /// Notes a reload. A frozen server takes it over in the moment in which it is thawed: `frozen` has the number of its
    /// reloads before.
    fn learn(&mut self, event: &'a Event, frozen: &mut BTreeMap<&'a str, usize>) {
        let Actor::Server(server) = &event.who else {
            return;
        };
        let later = self.later.entry(server).or_default();
        match &event.what {
            EventKind::Reloaded { settings } => {
                let before = later.last().map_or(&self.first, |(_, rules)| rules);
                let after = changed(before, settings);
                later.push((event.at, after));
            }
            EventKind::Frozen => {
                frozen.insert(server, later.len());
            }
            EventKind::Thawed => {
                let first = frozen.remove(&**server).unwrap_or(later.len());
                for (at, _) in &mut later[first..] {
                    *at = event.at;
                }
            }
            EventKind::Started { .. } => {
                frozen.remove(&**server);
            }
            _ => {}
        }
    }

    /// The rules that were in force at `server` from one moment to another. Of two at one moment, either may have decided.
    pub(super) fn all(&self, server: &str, from: u64, to: u64) -> impl Iterator<Item = &Rules> {
        let later = self.later.get(server).map_or(&[][..], Vec::as_slice);
        let first = later.partition_point(|(at, _)| *at < from);
        let before = match first.checked_sub(1) {
            Some(before) => &later[before].1,
            None => &self.first,
        };
        let since = later[first..].iter().take_while(move |(at, _)| *at <= to);
        std::iter::once(before).chain(since.map(|(_, rules)| rules))
    }

    /// Whether `ok` says so of some of them.
    pub(super) fn some(
        &self,
        server: &str,
        from: u64,
        to: u64,
        ok: impl Fn(&Rules) -> bool,
    ) -> bool {
        self.all(server, from, to).any(ok)
    }
}

/// The rules after a reload of these settings, written as in a scenario.
fn changed(before: &Rules, settings: &str) -> Rules {
    let mut after = Settings {
        timing: before.timing,
        limits: before.limits,
        ..Settings::default()
    };
    for (key, value) in settings
        .split(", ")
        .filter_map(|said| said.split_once(" = "))
    {
        if let Some(setting) = SETTINGS.iter().find(|setting| setting.key() == key) {
            // What a scenario could not say is in no trace.
            let _ = setting.set(&mut after, value.trim_matches('"'), Path::new(""));
        }
    }
    Rules {
        timing: after.timing,
        limits: after.limits,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Limits, Rules, Timing, changed};

    #[test]
    fn what_a_reload_says_changes_and_nothing_else() {
        let before = Rules {
            timing: Timing::default(),
            limits: Limits::default(),
        };
        let after = changed(&before, "idle = \"1s\", clients = 3, time_to_live = \"2s\"");
        let mut right = before;
        right.timing.idle = Duration::from_secs(1);
        right.limits.keep.most_clients = 3;
        right.limits.keep.time_to_live = Some(Duration::from_secs(2));
        assert_eq!(after, right);
    }
}
