//! How expectations of an update are read.

use std::collections::BTreeMap;

use super::super::Expected;
use super::super::read::Reading;
use super::super::window::{AFTER, FROM, Window};
use super::{Check, DECLARATIONS, UpdateExpectation};
use crate::diag::{Problem, Severity, Span, did_you_mean};
use crate::document::{Entries, Located, OneOrMany};
use crate::herd::{Herd, ServerId, split_all};
use crate::scenario::CountRange;
use crate::units::DurationText;

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

    /// A check of every server that is said to get the update, or of whichever gets it.
    fn at_each(&mut self, check: impl Fn(Option<ServerId>) -> Check) {
        if self.order.is_empty() {
            self.checks.push(check(None));
        }
        let named = self.order.iter().map(|id| check(Some(*id)));
        self.checks.extend(named);
    }
}

pub(super) fn read(reading: &mut Reading<'_, '_, '_>) -> Option<Expected> {
    let update = reading.update_ref(reading.get("update")?);
    // Without a beginning, `within` counts from the sending and belongs to the checks.
    let begins = reading.has(FROM.name) || reading.has(AFTER.name);
    let window = if begins {
        reading.window()
    } else {
        reading.bounds()
    };
    let checks = reading.checks(&window);
    let update = update?;
    let expected = UpdateExpectation {
        update,
        checks,
        window,
    };
    Some(expected.into())
}

impl Reading<'_, '_, '_> {
    fn checks(&mut self, window: &Window) -> Vec<Check> {
        let mut draft = Draft::default();
        for (id, place) in self.placed("reaches") {
            draft.expects_at(id, &place);
            draft.checks.push(Check::Reaches(id));
        }
        let misses = self.placed("misses");
        let missing = misses.iter().map(|(id, _)| Check::Misses(*id));
        draft.checks.extend(missing);
        self.hops(&mut draft);
        self.paths(&mut draft);
        self.check_not_both(&misses, &draft);
        if window.within.is_none() {
            self.within(&mut draft);
        }
        if *window != Window::default() {
            draft.at_each(Check::Arrives);
        }
        let counts = [
            self.amount("sends").map(Check::Sends),
            self.amount("useful").map(Check::Useful),
            self.amount("duplicates").map(Check::Duplicates),
        ];
        draft.checks.extend(counts.into_iter().flatten());
        self.nowhere(&mut draft);
        let fields = DECLARATIONS.iter().flat_map(|kind| kind.fields);
        let fields: Vec<&str> = fields.map(|field| field.name).collect();
        self.needs_one_of(&fields);
        draft.checks
    }

    /// The servers of a list, each with the place that names it.
    fn placed(&mut self, field: &str) -> Vec<(ServerId, Span)> {
        let Some(list) = self.get::<OneOrMany>(field) else {
            return Vec::new();
        };
        let servers = self.cx.servers(list).unwrap_or_default();
        let place = |at: usize| list.items().get(at).map_or(list.span(), Located::span);
        let placed = servers.into_iter().enumerate();
        placed.map(|(at, id)| (id, place(at))).collect()
    }

    /// A path goes over links. One that does not is a failed expectation and no mistake in the file, as the herd may
    /// have lost the link since; but it deserves a warning.
    fn check_path(&mut self, path: &[ServerId], place: &Span) {
        let Some(herd) = self.cx.herd.clone() else {
            return;
        };
        for pair in path.windows(2) {
            let linked = |&[a, b]: &[ServerId; 2]| herd.neighbours(a).any(|id| id == b);
            if let Some(&[a, b]) = pair.as_array().filter(|ends| !linked(ends)) {
                let mut problem = self.cx.no_link(&herd, (a, b), place.clone());
                problem.severity = Severity::Warning;
                self.cx.report(problem);
            }
        }
    }

    /// A path as a list.
    fn path_list(&mut self, list: &OneOrMany) -> Option<Vec<ServerId>> {
        if list.items().is_empty() {
            self.not_empty(list, "a path needs at least one server");
            return None;
        }
        let ids: Vec<_> = list.items().iter().map(|name| self.cx.server(name)).collect();
        ids.into_iter().collect()
    }

    /// A path as names joined by `-`.
    fn path_text(&mut self, text: &Located<String>) -> Option<Vec<ServerId>> {
        let herd = self.cx.herd.clone()?;
        let mut ways = split_all(text, &herd);
        if ways.len() > 1 {
            let message = format!("`{}` can be read as servers in two ways", **text);
            let problem = Problem::error(self.cx.source, text.span(), message);
            self.cx.report(problem.help("write the path as a list of names"));
        } else if ways.is_empty() {
            self.unknown_in_path(text, &herd);
        }
        ways.pop().filter(|_| ways.is_empty())
    }

    /// Points at the names in a path that are unknown, taking each `-` for an end of a name.
    fn unknown_in_path(&mut self, text: &Located<String>, herd: &Herd) {
        let mut start = 0;
        for name in text.split('-') {
            let place = text.part(self.cx.source, start..start + name.len());
            if herd.id(name).is_none() {
                let problem =
                    Problem::error(self.cx.source, place, format!("unknown server `{name}`"));
                self.cx.report(problem.help(did_you_mean(name, "servers", herd.server_names())));
            }
            start += name.len() + 1;
        }
    }

    fn hops(&mut self, draft: &mut Draft) {
        let entries = self.get::<Entries<Located<CountRange>>>("hops");
        for (name, hops) in entries.iter().flat_map(|entries| entries.iter()) {
            if let Some(id) = self.cx.server(name) {
                draft.expects_at(id, &name.span());
                draft.checks.push(Check::Hops(id, **hops));
            }
        }
    }

    fn paths(&mut self, draft: &mut Draft) {
        let entries = self.get::<Entries<OneOrMany>>("path");
        for (name, written) in entries.iter().flat_map(|entries| entries.iter()) {
            let end = self.cx.server(name);
            let path = match written.single() {
                Some(text) => self.path_text(text),
                None => self.path_list(written),
            };
            let (Some(end), Some(path)) = (end, path) else {
                continue;
            };
            if path.last() != Some(&end) {
                let message = format!("a path to `{}` must end there", **name);
                self.cx.error(written.span(), message);
            }
            self.check_path(&path, &written.span());
            draft.expects_at(end, &name.span());
            draft.checks.push(Check::Path(end, path));
        }
    }

    fn check_not_both(&mut self, misses: &[(ServerId, Span)], draft: &Draft) {
        let Some(herd) = self.cx.herd.clone() else {
            return;
        };
        for (id, place) in misses {
            if let Some(other) = draft.gets.get(id) {
                let name = &herd.server(*id).name;
                let message = format!("`{name}` can't both get and miss the update");
                let problem = Problem::error(self.cx.source, place.clone(), message);
                self.cx.report(problem.also(other.clone(), "here it gets it"));
            }
        }
    }

    /// The time limit of every server that is said to get the update, or of whichever gets it.
    fn within(&mut self, draft: &mut Draft) {
        let Some(limit) = self.get::<Located<DurationText>>("within") else {
            return;
        };
        let limit = limit.0;
        draft.at_each(|server| Check::Within { server, limit });
    }

    /// The updates that no server takes in. Only one of these can be true of an update.
    fn nowhere(&mut self, draft: &mut Draft) {
        let mut before: Option<Span> = None;
        let ways = [
            ("ignored", Check::Ignored),
            ("refused", Check::Refused),
            ("unheard", Check::Unheard),
        ];
        for (word, check) in ways {
            let flag = self.get::<Located<bool>>(word).filter(|flag| ***flag);
            let Some(flag) = flag else {
                continue;
            };
            if let Some(before) = &before {
                let message = format!("an update that is {word} is nothing else");
                let problem = Problem::error(self.cx.source, flag.span(), message);
                let also = problem.also(before.clone(), "here it is something else");
                self.cx.report(also);
            }
            if let Some(other) = draft.order.first().and_then(|id| draft.gets.get(id)) {
                let message = format!("an update that is {word} comes to no server");
                let problem = Problem::error(self.cx.source, flag.span(), message);
                self.cx.report(problem.also(other.clone(), "here it comes to one"));
            }
            before = Some(flag.span());
            draft.checks.push(check);
        }
    }
}
