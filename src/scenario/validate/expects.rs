//! What is expected of what, and of the updates.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Context;
use super::kinds::Kind;
use crate::diag::{Problem, Severity, Span, did_you_mean};
use crate::document::{Entries, Located, OneOrMany, Section};
use crate::herd::{Herd, ServerId, split_all};
use crate::protocol::{escape, unescape};
use crate::scenario::expand::each_client;
use crate::scenario::raw::RawExpect;
use crate::scenario::updates::planned;
use crate::scenario::{Action, Check, Expect, Expected, PlannedUpdate, Step, UpdateRef};
use crate::units::format_duration;

/// The number of updates that are listed as candidates before the message only says that there are more.
const MOST_CANDIDATES: usize = 8;

/// What one expectation says so far, and where it names which server.
#[derive(Default)]
struct Draft {
    checks: Vec<Check>,
    /// Where a server is first said to get the update.
    gets: BTreeMap<ServerId, Span>,
    /// The same servers in the order of the file.
    order: Vec<ServerId>,
}

impl Draft {
    fn expects_at(&mut self, id: ServerId, place: &Span) {
        if self.gets.insert(id, place.clone()).is_none() {
            self.order.push(id);
        }
    }
}

/// What expectations can speak of; nothing of the steps if those are wrong.
pub(super) struct Known<'a> {
    /// As written, but for steps of many clients, which are a step for each.
    pub(super) steps: Option<Vec<Step>>,
    /// As written.
    pub(super) written: Option<&'a [Step]>,
    pub(super) updates: Option<Vec<PlannedUpdate>>,
    pub(super) end: Option<Duration>,
}

impl Context<'_> {
    /// The expectations, in the order of the file.
    pub(super) fn expects(
        &mut self,
        raw: Option<&Located<Vec<Section<RawExpect>>>>,
        steps: Option<&[Step]>,
        end: Option<Duration>,
    ) -> Vec<Expect> {
        let plain = steps.map(each_client);
        let known = Known {
            updates: plain.as_deref().map(planned),
            steps: plain,
            written: steps,
            end,
        };
        let expects = raw.iter().flat_map(|list| list.iter());
        let read = expects.filter_map(|raw| {
            let what = self.expect(raw, &known)?;
            let span = raw.span();
            Some(Expect { span, what })
        });
        let expects: Vec<Expect> = read.collect();
        self.warn_of_unexpected(&known, &expects);
        expects
    }

    fn expect(&mut self, raw: &Section<RawExpect>, known: &Known<'_>) -> Option<Expected> {
        let kind = self.kind(raw)?;
        if !self.damage.is_at(&raw.span()) {
            self.check_fields_fit(raw, kind);
        }
        match kind {
            Kind::Update => self.update(raw, raw.update.as_ref()?, known),
            Kind::Server => self.server_expect(raw, raw.server.as_ref()?, known),
            Kind::Link => self.link_expect(raw, raw.link.as_ref()?, known),
            Kind::Workload => self.kept(raw, raw.workload.as_ref()?, known),
            Kind::Client => self.no_lost_updates_of(raw, raw.client.as_ref()?, known),
            Kind::Invariant => {
                let named = self.invariants(raw.invariant.as_ref());
                (!named.is_empty()).then_some(Expected::Invariants(named))
            }
            Kind::Log => self.log_expect(raw, raw.log.as_ref()?, known),
        }
    }

    /// Nothing is expected of what an expectation is about.
    pub(super) fn bare(&mut self, raw: &Section<RawExpect>, help: &str) {
        if !self.damage.is_at(&raw.span()) {
            let problem = Problem::error(self.source, raw.span(), "nothing is expected here");
            self.report(problem.help(help));
        }
    }

    fn update(
        &mut self,
        raw: &Section<RawExpect>,
        text: &Located<String>,
        known: &Known<'_>,
    ) -> Option<Expected> {
        let update = self.update_ref(text, known);
        let checks = self.checks(raw);
        Some(Expected::Update {
            update: update?,
            checks,
        })
    }

    /// Finds the update that is meant. An id may itself end in `#` and a number, so both readings
    /// are tried; if both fit, that is an error.
    pub(super) fn update_ref(
        &mut self,
        text: &Located<String>,
        known: &Known<'_>,
    ) -> Option<UpdateRef> {
        let updates = known.updates.as_deref()?;
        let count = |id: &[u8]| updates.iter().filter(|u| u.client_id == id).count();
        let written = bytes_of(text);
        let numbered = text.rsplit_once('#').and_then(|(id, nth)| {
            let nth: usize = nth.parse().ok()?;
            Some((bytes_of(id), nth))
        });
        let numbered_fits = (numbered.as_ref()).filter(|(id, nth)| (1..=count(id)).contains(nth));
        let reference = |id: &[u8], nth| {
            Some(UpdateRef {
                client_id: id.to_vec(),
                nth,
                text: text.to_string(),
            })
        };
        match (count(&written), numbered_fits, &numbered) {
            (1, None, _) => reference(&written, 1),
            (0, Some((id, nth)), _) => reference(id, *nth),
            (0, None, Some((id, nth))) if count(id) > 0 => {
                let message = format!("`{}` has no update number {nth}", escape(id));
                self.ambiguous(text, &message, id, updates)
            }
            (0, None, numbered) => {
                let id = numbered.as_ref().map_or(&written, |(id, _)| id);
                self.unknown_update(text, &escape(id), known)
            }
            (_, Some((id, nth)), _) => {
                let message = format!(
                    "`{}` is the id of a client, and update {nth} of `{}`",
                    escape(&written),
                    escape(id)
                );
                self.ambiguous(text, &message, &written, updates)
            }
            (many, None, _) => {
                let message = format!("`{}` has {many} updates: say which", escape(&written));
                self.ambiguous(text, &message, &written, updates)
            }
        }
    }

    pub(super) fn unknown_update<T>(
        &mut self,
        text: &Located<String>,
        id: &str,
        known: &Known<'_>,
    ) -> Option<T> {
        let updates = known.updates.as_deref()?;
        let mut ids: Vec<String> = Vec::new();
        for update in updates {
            let id = escape(&update.client_id);
            if !ids.contains(&id) && ids.len() < MOST_CANDIDATES {
                ids.push(id);
            }
        }
        let message = format!("no IAMAT for `{id}` is sent in this scenario");
        let load = (known.written.unwrap_or_default().iter()).find_map(|step| match &step.action {
            Action::Workload(load) => {
                let number = id.strip_prefix(&*load.name)?.strip_prefix('-')?;
                number.parse::<u32>().is_ok().then_some(&load.name)
            }
            _ => None,
        });
        let help = match load {
            Some(name) => format!(
                "a workload's lines are drawn at random; expect of the whole workload `workload = \"{name}\"`, `no_lost_updates = true`"
            ),
            None => did_you_mean(id, "updates sent", ids.iter().map(String::as_str)),
        };
        self.report(Problem::error(self.source, text.span(), message).help(help));
        None
    }

    fn ambiguous<T>(
        &mut self,
        text: &Located<String>,
        message: &str,
        id: &[u8],
        updates: &[PlannedUpdate],
    ) -> Option<T> {
        let herd = self.herd.clone()?;
        let candidates = updates.iter().filter(|u| u.client_id == id);
        let told = candidates.clone().take(MOST_CANDIDATES).map(|update| {
            let (to, at) = (&herd.server(update.to).name, format_duration(update.at));
            format!("`{}#{}` (to {to} at {at})", escape(id), update.nth)
        });
        let mut help = told.collect::<Vec<_>>().join(", ");
        if candidates.count() > MOST_CANDIDATES {
            help += ", and so on";
        }
        self.report(Problem::error(self.source, text.span(), message).help(help));
        None
    }

    fn checks(&mut self, raw: &Section<RawExpect>) -> Vec<Check> {
        let mut draft = Draft::default();
        self.reaches(raw.reaches.as_ref(), &mut draft);
        let misses = self.misses(raw.misses.as_ref(), &mut draft);
        self.hops(raw.hops.as_ref(), &mut draft);
        self.paths(raw.path.as_ref(), &mut draft);
        self.check_not_both(&misses, &draft);
        within(raw, &mut draft);
        let counts = [
            raw.sends.as_ref().map(|count| Check::Sends(**count)),
            raw.useful.as_ref().map(|count| Check::Useful(**count)),
            raw.duplicates.as_ref().map(|n| Check::Duplicates(**n)),
        ];
        draft.checks.extend(counts.into_iter().flatten());
        self.nowhere(raw, &mut draft);
        if is_bare(raw) {
            self.bare(
                raw,
                "give one of `reaches`, `misses`, `hops`, `path`, `within`, `sends`, `useful`, \
                 `duplicates`, `ignored = true`, `refused = true` and `unheard = true`",
            );
        }
        draft.checks
    }

    fn reaches(&mut self, list: Option<&OneOrMany>, draft: &mut Draft) {
        let Some(list) = list else {
            return;
        };
        for (id, place) in self.placed(list) {
            draft.expects_at(id, &place);
            draft.checks.push(Check::Reaches(id));
        }
    }

    fn misses(&mut self, list: Option<&OneOrMany>, draft: &mut Draft) -> Vec<(ServerId, Span)> {
        let missing = list.map(|list| self.placed(list)).unwrap_or_default();
        let checks = missing.iter().map(|(id, _)| Check::Misses(*id));
        draft.checks.extend(checks);
        missing
    }

    /// The servers of a list, each with the place that names it.
    fn placed(&mut self, list: &OneOrMany) -> Vec<(ServerId, Span)> {
        let servers = self.servers(list).unwrap_or_default();
        let place = |at: usize| list.items().get(at).map_or(list.span(), Located::span);
        let placed = servers.into_iter().enumerate();
        placed.map(|(at, id)| (id, place(at))).collect()
    }

    fn hops(&mut self, entries: Option<&Entries<Located<u32>>>, draft: &mut Draft) {
        for (name, hops) in entries.iter().flat_map(|entries| entries.iter()) {
            if let Some(id) = self.server(name) {
                draft.expects_at(id, &name.span());
                draft.checks.push(Check::Hops(id, **hops));
            }
        }
    }

    fn paths(&mut self, entries: Option<&Entries<OneOrMany>>, draft: &mut Draft) {
        for (name, written) in entries.iter().flat_map(|entries| entries.iter()) {
            let end = self.server(name);
            let path = match written.single() {
                Some(text) => self.path_text(text),
                None => self.path_list(written),
            };
            let (Some(end), Some(path)) = (end, path) else {
                continue;
            };
            if path.last() != Some(&end) {
                let message = format!("a path to `{}` must end there", **name);
                self.error(written.span(), message);
            }
            self.check_path(&path, &written.span());
            draft.expects_at(end, &name.span());
            draft.checks.push(Check::Path(end, path));
        }
    }

    /// A path goes over links. One that does not is a failed expectation and no mistake in the file, as the herd may
    /// have lost the link since; but it deserves a warning.
    fn check_path(&mut self, path: &[ServerId], place: &Span) {
        let Some(herd) = self.herd.clone() else {
            return;
        };
        for pair in path.windows(2) {
            let linked = |&[a, b]: &[ServerId; 2]| herd.neighbours(a).any(|id| id == b);
            if let Some(&[a, b]) = pair.as_array().filter(|ends| !linked(ends)) {
                let mut problem = self.no_link(&herd, (a, b), place.clone());
                problem.severity = Severity::Warning;
                self.report(problem);
            }
        }
    }

    /// A path as a list.
    fn path_list(&mut self, list: &OneOrMany) -> Option<Vec<ServerId>> {
        if list.items().is_empty() {
            if !self.damage.is_at(&list.span()) {
                self.error(list.span(), "a path needs at least one server");
            }
            return None;
        }
        let ids: Vec<_> = list.items().iter().map(|name| self.server(name)).collect();
        ids.into_iter().collect()
    }

    /// A path as names joined by `-`.
    fn path_text(&mut self, text: &Located<String>) -> Option<Vec<ServerId>> {
        let herd = self.herd.clone()?;
        let mut ways = split_all(text, &herd);
        if ways.len() > 1 {
            let message = format!("`{}` can be read as servers in two ways", **text);
            let problem = Problem::error(self.source, text.span(), message);
            self.report(problem.help("write the path as a list of names"));
        } else if ways.is_empty() {
            self.unknown_in_path(text, &herd);
        }
        ways.pop().filter(|_| ways.is_empty())
    }

    /// Points at the names in a path that are unknown, taking each `-` for an end of a name.
    fn unknown_in_path(&mut self, text: &Located<String>, herd: &Herd) {
        let mut start = 0;
        for name in text.split('-') {
            let place = text.part(self.source, start..start + name.len());
            if herd.id(name).is_none() {
                let problem =
                    Problem::error(self.source, place, format!("unknown server `{name}`"));
                self.report(problem.help(did_you_mean(name, "servers", herd.server_names())));
            }
            start += name.len() + 1;
        }
    }

    fn check_not_both(&mut self, misses: &[(ServerId, Span)], draft: &Draft) {
        let Some(herd) = self.herd.clone() else {
            return;
        };
        for (id, place) in misses {
            if let Some(other) = draft.gets.get(id) {
                let name = &herd.server(*id).name;
                let message = format!("`{name}` can't both get and miss the update");
                let problem = Problem::error(self.source, place.clone(), message);
                self.report(problem.also(other.clone(), "here it gets it"));
            }
        }
    }

    /// What no server takes in. Only one of these can be true of an update.
    fn nowhere(&mut self, raw: &RawExpect, draft: &mut Draft) {
        let mut before: Option<Span> = None;
        for (flag, word, check) in nowhere(raw) {
            if let Some(before) = &before {
                let message = format!("an update that is {word} is nothing else");
                let problem = Problem::error(self.source, flag.span(), message);
                self.report(problem.also(before.clone(), "here it is something else"));
            }
            if let Some(other) = draft.order.first().and_then(|id| draft.gets.get(id)) {
                let message = format!("an update that is {word} comes to no server");
                let problem = Problem::error(self.source, flag.span(), message);
                self.report(problem.also(other.clone(), "here it comes to one"));
            }
            before = Some(flag.span());
            draft.checks.push(check);
        }
    }
}

/// Which of the ways to come to no server are expected.
fn nowhere(raw: &RawExpect) -> impl Iterator<Item = (&Located<bool>, &'static str, Check)> {
    let flags = [
        (raw.ignored.as_ref(), "ignored", Check::Ignored),
        (raw.refused.as_ref(), "refused", Check::Refused),
        (raw.unheard.as_ref(), "unheard", Check::Unheard),
    ];
    let given = flags.into_iter();
    given.filter_map(|(flag, word, check)| Some((flag.filter(|flag| ***flag)?, word, check)))
}

/// The time limit of every server that is said to get the update, or of whichever gets it.
fn within(raw: &RawExpect, draft: &mut Draft) {
    let Some(limit) = raw.within.as_ref().map(|limit| limit.0) else {
        return;
    };
    let check = |server| Check::Within { server, limit };
    if draft.order.is_empty() {
        draft.checks.push(check(None));
    }
    let named = draft.order.iter().map(|id| check(Some(*id)));
    draft.checks.extend(named);
}

/// Whether nothing is expected: a check may be missing because its servers are wrong, so
/// the file is checked, and not the parsed expectations.
fn is_bare(raw: &RawExpect) -> bool {
    let nowhere = nowhere(raw).next().is_some();
    let lists = raw.reaches.is_some() || raw.misses.is_some();
    let tables = raw.hops.as_ref().is_some_and(|hops| !hops.is_empty())
        || raw.path.as_ref().is_some_and(|path| !path.is_empty());
    let counts = raw.sends.is_some() || raw.useful.is_some() || raw.duplicates.is_some();
    !(nowhere || lists || tables || counts || raw.within.is_some())
}

/// An id's bytes: as written, or with `\xff` for bytes that are no text, as reports show them.
pub(super) fn bytes_of(id: &str) -> Vec<u8> {
    unescape(id).unwrap_or_else(|| id.as_bytes().to_vec())
}
