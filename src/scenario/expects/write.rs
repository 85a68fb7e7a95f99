//! Expectations as a file says them.

use std::fmt::Write as _;
use std::time::Duration;

use super::Expected;
use crate::herd::ServerId;
use crate::scenario::Scenario;
use crate::scenario::write::{duration, key, list, named, quoted};
use crate::scenario::{CountRange, EventText};

/// The lines of an expectation.
pub(in crate::scenario) fn fields(scenario: &Scenario, what: &Expected) -> String {
    let mut fields = Fields {
        scenario,
        text: String::new(),
    };
    what.kind().write(&mut fields);
    fields.text
}

/// The lines so far.
pub(super) struct Fields<'a> {
    scenario: &'a Scenario,
    text: String,
}

impl Fields<'_> {
    fn line(&mut self, name: &str, value: &str) {
        let _ = writeln!(self.text, "{name} = {value}");
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.line(name, &quoted(text));
    }

    pub(super) fn flag(&mut self, name: &str) {
        self.line(name, "true");
    }

    /// An event, unless there is none.
    pub(super) fn event(&mut self, name: &str, event: Option<&EventText>) {
        if let Some(event) = event {
            self.line(name, &event.written());
        }
    }

    /// A number, or a range in quotes.
    pub(super) fn amount(&mut self, name: &str, amount: CountRange) {
        self.line(name, &number(amount));
    }

    pub(super) fn duration(&mut self, name: &str, length: Duration) {
        self.line(name, &duration(length));
    }

    /// A moment, unless it is the beginning, which is where everything counts from.
    pub(super) fn since(&mut self, name: &str, moment: Duration) {
        if !moment.is_zero() {
            self.duration(name, moment);
        }
    }

    /// A list, unless there is nothing in it.
    pub(super) fn list<T: AsRef<str>>(&mut self, name: &str, items: &[T]) {
        if !items.is_empty() {
            self.line(name, &list(items));
        }
    }

    /// Servers, unless there are none.
    pub(super) fn servers(&mut self, name: &str, ids: &[ServerId]) {
        self.list(name, &self.names(ids));
    }

    /// Links, unless there are none.
    pub(super) fn links(&mut self, name: &str, links: &[usize]) {
        let herd = &self.scenario.herd;
        let names = links.iter().map(|&at| named(herd, &herd.links()[at]));
        let names: Vec<String> = names.collect();
        self.list(name, &names);
    }

    /// A number for each server, unless there are none.
    pub(super) fn amounts(&mut self, name: &str, amounts: &[(ServerId, CountRange)]) {
        let entries = amounts.iter().map(|(id, amount)| (*id, number(*amount)));
        self.table(name, entries.collect());
    }

    /// A path for each server, unless there are none.
    pub(super) fn paths(&mut self, name: &str, paths: &[(ServerId, &[ServerId])]) {
        let entries = paths.iter().map(|(id, path)| (*id, list(self.names(path))));
        self.table(name, entries.collect());
    }

    fn table(&mut self, name: &str, entries: Vec<(ServerId, String)>) {
        let entries: Vec<String> = (entries.into_iter())
            .map(|(id, value)| format!("{} = {value}", key(&self.scenario.herd.server(id).name)))
            .collect();
        if !entries.is_empty() {
            self.line(name, &format!("{{ {} }}", entries.join(", ")));
        }
    }

    fn names(&self, ids: &[ServerId]) -> Vec<String> {
        let name = |&id| self.scenario.herd.server(id).name.to_string();
        ids.iter().map(name).collect()
    }
}

fn number(amount: CountRange) -> String {
    if amount.least == amount.most {
        amount.least.to_string()
    } else {
        quoted(&amount.to_string())
    }
}
