//! Something that happens, by its words: what a `log` is about, and what begins or ends a window.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::read::Reading;
use super::{Fields, Observed};
use crate::diag::{Problem, did_you_mean};
use crate::document::{Located, TextOr};
use crate::herd::Name;
use crate::journal::Event;
use crate::scenario::{Pattern, clients_of, forms};

/// An event as a file names it.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Event")]
#[serde(deny_unknown_fields)]
pub(crate) struct RawEvent {
    /// What happens, in the words of `herd run --all`: `"link to Juzang is down*"`.
    pub(super) log: Located<String>,
    /// Only what this server, this client, `network` or `places` does; by default what anybody does.
    pub(super) by: Option<Located<String>>,
}

/// Which events are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventText {
    /// What an event's words look like.
    pub pattern: Pattern,
    /// Whose events are meant; everybody's, if not given.
    pub by: Option<String>,
}

impl EventText {
    /// Whether an event of this run is meant.
    pub(super) fn matches(&self, run: &Observed<'_>, event: &Event) -> bool {
        if self.by.as_deref().is_some_and(|by| event.who.name() != by) {
            return false;
        }
        // Columns are blanks and names, which a star at the beginning would take for words.
        let is_whole = self.pattern.text().contains('[');
        let printed = run.printed().from_each_column(event);
        let [what, columns @ ..] = &printed;
        let matches = |text: &str| self.pattern.matches(text.as_bytes(), 1, None);
        matches(&event.what.to_string())
            || matches(what)
            || is_whole && columns.iter().any(|text| matches(text))
    }

    /// The words, with whose they are.
    pub(super) fn show(&self) -> String {
        let words = self.pattern.show(1, None);
        match &self.by {
            Some(by) => format!("`{words}` by {by}"),
            None => format!("`{words}`"),
        }
    }
}

impl Reading<'_, '_, '_> {
    /// The event that a field names, if it is given.
    pub(super) fn event(&mut self, field: &str) -> Option<EventText> {
        let event = self.get::<Located<TextOr<RawEvent>>>(field)?;
        match &**event {
            TextOr::Text(text) => {
                let text = Located::new(event.span(), text.clone());
                self.event_text(&text, None)
            }
            TextOr::Table(raw) => self.event_text(&raw.log, raw.by.as_ref()),
        }
    }

    /// The events that look like this text, of one or of everybody.
    pub(super) fn event_text(
        &mut self,
        text: &Located<String>,
        by: Option<&Located<String>>,
    ) -> Option<EventText> {
        let pattern = Pattern::plain(text)
            .map_err(|error| self.cx.error(text.span(), error.to_string()))
            .ok();
        if let Some(pattern) = &pattern {
            self.check_can_match(text, pattern);
        }
        if let Some(by) = by {
            self.check_acts(by);
        }
        Some(EventText {
            pattern: pattern?,
            by: by.map(|by| by.to_string()),
        })
    }

    /// A pattern that no event ever looks like would make `times = 0` pass for nothing.
    fn check_can_match(&mut self, text: &Located<String>, pattern: &Pattern) {
        let Some(steps) = self.known.written else {
            return;
        };
        if forms::can_match(pattern, steps, self.cx.has_bodies) {
            return;
        }
        let problem = Problem::error(self.cx.source, text.span(), "no event ever looks like this");
        let help = forms::nearest(pattern).map_or_else(
            || "`herd run --all` shows what events look like".to_owned(),
            |nearest| format!("the nearest is `{nearest}`"),
        );
        let help = format!(
            "{help}; the text of a client's line or of Places follows the event's own words, as in `→  *`"
        );
        self.cx.report(problem.help(help));
    }

    /// Nothing that somebody does who isn't there could ever be in the log.
    fn check_acts(&mut self, by: &Located<String>) {
        let (Some(herd), Some(steps)) = (self.cx.herd.clone(), &self.known.steps) else {
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
            let problem = Problem::error(self.cx.source, by.span(), message);
            self.cx.report(problem.help(help));
        }
    }
}

impl Fields<'_> {
    /// An event, unless there is none.
    pub(super) fn event(&mut self, name: &str, event: Option<&EventText>) {
        match event {
            None => {}
            Some(EventText { pattern, by: None }) => self.text(name, pattern.text()),
            Some(EventText {
                pattern,
                by: Some(by),
            }) => self.both(name, [("log", pattern.text()), ("by", by)]),
        }
    }
}
