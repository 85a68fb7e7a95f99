//! Steps in the language of the file.

use std::time::Duration;

use super::raw::NOTE;
use super::{Action, Drawn, Step};
use crate::herd::{Herd, ServerId};
use crate::scenario::write::quoted;
use crate::units::format_duration;

impl Step {
    /// The step as an inline table of TOML. In place of the step that it was read from it is read
    /// as the same.
    ///
    /// One step is not written exactly: a `heal` that heals what several cuts of different shape left over names
    /// every party concerned.
    pub fn to_toml(&self, herd: &Herd) -> String {
        let mut table = InlineTable::new(herd);
        table.text("at", &format_duration(self.at));
        if let Some(when) = &self.when {
            when.write(&mut table);
        }
        if let Some(note) = &self.note {
            table.text(NOTE.name, note);
        }
        table.action(&self.action);
        format!("{{ {} }}", table.fields.join(", "))
    }
}

/// An inline table under construction.
pub(in crate::scenario) struct InlineTable<'a> {
    pub(in crate::scenario) herd: &'a Herd,
    fields: Vec<String>,
}

impl<'a> InlineTable<'a> {
    fn new(herd: &'a Herd) -> Self {
        let fields = Vec::new();
        Self { herd, fields }
    }

    pub(in crate::scenario) fn field(&mut self, name: &str, value: impl std::fmt::Display) {
        self.fields.push(format!("{name} = {value}"));
    }

    pub(in crate::scenario) fn text(&mut self, name: &str, value: &str) {
        self.field(name, quoted(value));
    }

    pub(super) fn duration(&mut self, name: &str, duration: Duration) {
        self.text(name, &format_duration(duration));
    }

    /// A lone string, or a list. The word for all must not be taken for it.
    pub(in crate::scenario) fn list(&mut self, name: &str, items: &[String]) {
        match items {
            [one] if one != "all" => self.text(name, one),
            _ => {
                let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
                self.field(name, format!("[{}]", items.join(", ")));
            }
        }
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Begin(fault) => self.fault(fault),
            Action::End(kind, targets) => self.end(*kind, targets),
            Action::Client(client) => client.write("client", self),
            Action::Peer(peer) => peer.write("peer", self),
            Action::Workload(workload) | Action::Drawn(Drawn::Workload(workload)) => {
                workload.write(self);
            }
            Action::Reload(reload) => reload.write(self),
            Action::Upgrade(upgrade) => upgrade.write(self),
            Action::Random(random) | Action::Drawn(Drawn::Random(random, _)) => random.write(self),
            // It goes with a random step, which is written.
            Action::Drawn(Drawn::Chosen(_)) => {}
        }
    }

    pub(super) fn servers(&mut self, field: &str, servers: &[ServerId]) {
        let name = |&id: &ServerId| self.herd.server(id).name.to_string();
        let names: Vec<String> = servers.iter().map(name).collect();
        self.list(field, &names);
    }

    /// As [`list`](Self::list), where no word has a meaning of its own.
    pub(super) fn lines(&mut self, field: &str, lines: &[String]) {
        if let [one] = lines {
            self.text(field, one);
        } else {
            self.list(field, lines);
        }
    }
}
