//! Something that happens, by its words: what a `log` is about, and what begins or ends a window.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::diag::{Problem, did_you_mean};
use crate::document::{Located, TextOr};
use crate::herd::Name;
use crate::journal::Event;
use crate::report::Printed;
use crate::scenario::validate::Context;
use crate::scenario::write::quoted;
use crate::scenario::{Pattern, Step, clients_of, forms};

/// An event as a file names it.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Event")]
#[serde(deny_unknown_fields)]
pub(crate) struct RawEvent {
    /// What happens, in the words of `herd run --all`: `"link to Juzang is down*"`.
    log: Located<String>,
    /// Only what this server, this client, `network` or `places` does; by default what anybody does.
    by: Option<Located<String>>,
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
    pub(crate) fn matches(&self, printed: &Printed<'_>, event: &Event) -> bool {
        if self.by.as_deref().is_some_and(|by| event.who.name() != by) {
            return false;
        }
        // Columns are blanks and names, which a star at the beginning would take for words.
        let is_whole = self.pattern.text().contains('[');
        let printed = printed.from_each_column(event);
        let [what, columns @ ..] = &printed;
        let matches = |text: &str| self.pattern.matches(text.as_bytes(), 1, None);
        matches(&event.what.to_string())
            || matches(what)
            || is_whole && columns.iter().any(|text| matches(text))
    }

    /// As a file writes it.
    pub(super) fn written(&self) -> String {
        let text = quoted(self.pattern.text());
        match &self.by {
            Some(by) => format!("{{ log = {text}, by = {} }}", quoted(by)),
            None => text,
        }
    }

    /// The words, with whose they are.
    pub(crate) fn show(&self) -> String {
        let words = self.pattern.show(1, None);
        match &self.by {
            Some(by) => format!("`{words}` by {by}"),
            None => format!("`{words}`"),
        }
    }
}

/// The steps of a scenario, by which events are known that cannot be.
#[derive(Clone, Copy)]
pub(super) struct AllSteps<'a> {
    /// As written.
    pub(super) written: &'a [Step],
    /// With a step for each of many clients.
    pub(super) plain: &'a [Step],
}

/// Its words, and whose they are.
fn parts(event: &Located<TextOr<RawEvent>>) -> (Located<String>, Option<&Located<String>>) {
    match &**event {
        TextOr::Text(text) => (Located::new(event.span(), text.clone()), None),
        TextOr::Table(raw) => (raw.log.clone(), raw.by.as_ref()),
    }
}

impl Context<'_> {
    /// The event that is named here. Nothing is known to be impossible while the steps are wrong.
    pub(super) fn event(
        &mut self,
        event: &Located<TextOr<RawEvent>>,
        steps: Option<AllSteps<'_>>,
    ) -> Option<EventText> {
        let (text, by) = parts(event);
        self.event_text(&text, by, steps)
    }

    /// The events that look like this text, of one or of everybody.
    pub(super) fn event_text(
        &mut self,
        text: &Located<String>,
        by: Option<&Located<String>>,
        steps: Option<AllSteps<'_>>,
    ) -> Option<EventText> {
        let read = Pattern::plain(text).map_err(|error| self.error(text.span(), error.to_string()));
        let event = EventText {
            pattern: read.ok()?,
            by: by.map(|by| by.to_string()),
        };
        if let Some(steps) = steps {
            self.check_can_match(text, &event.pattern, steps);
            if let Some(by) = by {
                self.check_acts(by, steps);
            }
        }
        Some(event)
    }

    /// Reports an event that cannot be, once the steps are known.
    pub(super) fn check_event(&mut self, event: &Located<TextOr<RawEvent>>, steps: AllSteps<'_>) {
        let (text, by) = parts(event);
        if let Ok(pattern) = Pattern::plain(&text) {
            self.check_can_match(&text, &pattern, steps);
            if let Some(by) = by {
                self.check_acts(by, steps);
            }
        }
    }

    /// A pattern that no event ever looks like would make `times = 0` pass for nothing.
    fn check_can_match(&mut self, text: &Located<String>, pattern: &Pattern, steps: AllSteps<'_>) {
        if forms::can_match(pattern, steps.written, self.has_bodies) {
            return;
        }
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

    /// Nothing that somebody does who isn't there could ever be in the log.
    fn check_acts(&mut self, by: &Located<String>, steps: AllSteps<'_>) {
        let Some(herd) = self.herd.clone() else {
            return;
        };
        let mut names: BTreeSet<Name> = (herd.servers().iter())
            .map(|server| server.name.clone())
            .collect();
        names.extend(clients_of(steps.plain));
        names.extend(["network", "places"].map(Name::from));
        if !names.contains(by.as_str()) {
            let names = names.iter().map(|name| &**name);
            let message = format!("no server or client is called `{}` here", **by);
            let help = did_you_mean(by, "servers and clients", names);
            let problem = Problem::error(self.source, by.span(), message);
            self.report(problem.help(help));
        }
    }
}
