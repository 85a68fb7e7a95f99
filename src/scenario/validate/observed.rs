//! What is expected of servers, of links, and of what happens.

use std::collections::BTreeSet;
use std::time::Duration;

use super::drawn::clients_of;
use super::expects::{Known, bytes_of};
use super::{Context, is_all};
use crate::diag::{Problem, did_you_mean};
use crate::document::{Located, OneOrMany, Section};
use crate::herd::Name;
use crate::protocol::escape;
use crate::scenario::forms;
use crate::scenario::raw::RawExpect;
use crate::scenario::{Expected, LinkCheck, LogCheck, Pattern, ServerCheck, StateCheck};
use crate::units::{DurationText, format_duration};

impl Context<'_> {
    pub(super) fn server_expect(
        &mut self,
        raw: &Section<RawExpect>,
        list: &OneOrMany,
        known: &Known<'_>,
    ) -> Option<Expected> {
        let servers = self.servers(list);
        let at = self.looked_at(raw.at.as_ref(), "`at`", known);
        let mut checks = Vec::new();
        for text in raw.holds.iter().flat_map(OneOrMany::items) {
            let held = self.update_ref(text, known);
            checks.extend(held.map(StateCheck::Holds));
        }
        for id in raw.lacks.iter().flat_map(OneOrMany::items) {
            let lacked = self.client_id(id, known);
            checks.extend(lacked.map(StateCheck::Lacks));
        }
        for list in [&raw.holds, &raw.lacks].into_iter().flatten() {
            if list.items().is_empty() && !self.damage.is_at(&list.span()) {
                self.error(list.span(), "no client is named here");
            }
        }
        let records = raw.records.as_ref();
        checks.extend(records.map(|count| StateCheck::Records(**count)));
        let lookups = raw.lookups.as_ref().map(|n| ServerCheck::LookUps(**n));
        let asks = raw.requests.as_ref().map(|n| ServerCheck::Requests(**n));
        let counts: Vec<_> = [lookups, asks].into_iter().flatten().collect();
        let at_a_moment = raw.holds.is_some() || raw.lacks.is_some() || records.is_some();
        if let (Some(at), false, false) = (&raw.at, at_a_moment, counts.is_empty()) {
            let message =
                "`lookups` and `requests` count over the whole run, so `at` has no meaning";
            self.error(at.span(), message);
        }
        if !at_a_moment && counts.is_empty() {
            let help = "give one of `holds`, `lacks`, `records`, `lookups` and `requests`";
            self.bare(raw, help);
        }
        let checks = checks.into_iter().map(ServerCheck::State);
        let checks = checks.chain(counts).collect();
        Some(Expected::Servers {
            servers: servers?,
            at,
            checks,
        })
    }

    /// The id of a client that some update is sent of: that a server lacks any other client says nothing.
    fn client_id(&mut self, text: &Located<String>, known: &Known<'_>) -> Option<Vec<u8>> {
        let updates = known.updates.as_deref()?;
        let id = bytes_of(text);
        if updates.iter().any(|update| update.client_id == id) {
            return Some(id);
        }
        self.unknown_update(text, &escape(&id), known)
    }

    pub(super) fn link_expect(
        &mut self,
        raw: &Section<RawExpect>,
        list: &OneOrMany,
        known: &Known<'_>,
    ) -> Option<Expected> {
        let links = self.links(list);
        let at = self.looked_at(raw.at.as_ref(), "`at`", known);
        let since = self.looked_at(raw.since.as_ref(), "`since`", known);
        let since = since.unwrap_or_default();
        let is = raw
            .is
            .as_ref()
            .map(|state| LinkCheck::Is { at, state: **state });
        let within = raw.synchronises_within.as_ref();
        let within = within.map(|limit| LinkCheck::SynchronisesWithin {
            since,
            limit: limit.0,
        });
        let brings = raw.brings.as_ref();
        let brings = brings.map(|records| LinkCheck::Brings {
            since,
            records: **records,
        });
        if let (Some(at), None) = (&raw.at, &raw.is) {
            self.error(at.span(), "`at` needs `is`: how the link is then");
        }
        if let (Some(since), None, None) = (&raw.since, &within, &brings) {
            let message = "`since` needs `synchronises_within` or `brings`";
            self.error(since.span(), message);
        }
        let checks: Vec<_> = [is, within, brings].into_iter().flatten().collect();
        if checks.is_empty() {
            self.bare(raw, "give one of `is`, `synchronises_within` and `brings`");
        }
        Some(Expected::Links {
            links: links?,
            checks,
        })
    }

    fn links(&mut self, list: &OneOrMany) -> Option<Vec<usize>> {
        let herd = self.herd.clone()?;
        if is_all(list) {
            return Some((0..herd.links().len()).collect());
        }
        if list.items().is_empty() && !self.damage.is_at(&list.span()) {
            self.error(list.span(), "no link is named here");
        }
        let named: Vec<_> = list
            .items()
            .iter()
            .map(|name| self.link_index(name))
            .collect();
        named.into_iter().collect()
    }

    pub(super) fn log_expect(
        &mut self,
        raw: &Section<RawExpect>,
        text: &Located<String>,
        known: &Known<'_>,
    ) -> Option<Expected> {
        let pattern = Pattern::plain(text)
            .map_err(|error| self.error(text.span(), error.to_string()))
            .ok();
        if let (Some(pattern), Some(steps)) = (&pattern, known.written)
            && !forms::can_match(pattern, steps, self.has_bodies)
        {
            let problem = Problem::error(self.source, text.span(), "no event ever looks like this");
            let help = forms::nearest(pattern).map_or_else(
                || "`herd run --all` shows what events look like".to_owned(),
                |nearest| format!("the nearest is `{nearest}`"),
            );
            let help = format!(
                "{help}; the text of a client's line or of Places follows the event's own words, as in `→  *`"
            );
            self.report(problem.help(help));
        }
        let by = raw.by.as_ref();
        if let Some(by) = by {
            self.check_acts(by, known);
        }
        let from = self.looked_at(raw.from.as_ref(), "`from`", known);
        let from = from.unwrap_or_default();
        let until = self.looked_at(raw.until.as_ref(), "`until`", known);
        if let (Some(written), true) = (&raw.until, until.is_some_and(|until| until < from)) {
            let message = format!(
                "`until` is {}, before `from`, {}",
                format_duration(written.0),
                format_duration(from)
            );
            self.error(written.span(), message);
        }
        Some(Expected::Log(LogCheck {
            pattern: pattern?,
            by: by.map(|by| by.to_string()),
            from,
            until,
            times: raw.times.as_ref().map(|times| **times),
        }))
    }

    /// Nothing that somebody does who isn't there could ever be in the log.
    fn check_acts(&mut self, by: &Located<String>, known: &Known<'_>) {
        let (Some(herd), Some(steps)) = (self.herd.clone(), &known.steps) else {
            return;
        };
        let mut names: BTreeSet<Name> = (herd.servers().iter())
            .map(|server| server.name.clone())
            .collect();
        names.extend(clients_of(steps));
        names.extend(["network", "places"].map(Name::from));
        if !names.contains(by.as_str()) {
            let names = names.iter().map(|name| &**name);
            let message = format!("no server or client is called `{}` here", **by);
            let help = did_you_mean(by, "servers and clients", names);
            self.report(Problem::error(self.source, by.span(), message).help(help));
        }
    }

    /// A moment of the run at which something is looked at.
    fn looked_at(
        &mut self,
        moment: Option<&Located<DurationText>>,
        what: &str,
        known: &Known<'_>,
    ) -> Option<Duration> {
        let written = moment?;
        let moment = self.moment(written, what);
        if let Some(end) = known.end.filter(|end| moment > *end) {
            let (moment, end) = (format_duration(moment), format_duration(end));
            let message = format!("{what} is {moment}, but the run ends at {end}");
            self.error(written.span(), message);
        }
        Some(moment)
    }
}
