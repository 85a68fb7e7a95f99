//! Running servers that get new settings.

use super::draft::DraftAction;
use super::write::InlineTable;
use super::{Action, Declaration};
use crate::document::{OneOrMany, Section};
use crate::herd::ServerId;
use crate::scenario::fields::{Holds, field};
use crate::scenario::server::{RawServer, ServerSettings};

/// Servers that get new settings while they run, as by SIGHUP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// Those that get them. One that does not run has them when it starts.
    pub servers: Vec<ServerId>,
    /// What is said of them; all else stays.
    pub settings: ServerSettings,
}

pub(super) const DECLARATION: Declaration = Declaration {
    subject: field(
        "reload",
        Holds::Names,
        "Running servers read new settings, as by SIGHUP: a name, a list, or `\"all\"`. Connections and records stay.",
    ),
    fields: &[field(
        "settings",
        Holds::Settings,
        "The settings that change, as under `[server]`; `heartbeat` and `hello_deadline` can't, since both ends of a link must have the same.",
    )
    .written("settings = { time_to_live = \"5s\" }")],
    read: |cx, step| {
        let servers = cx.servers(step.value::<OneOrMany>("reload")?);
        let message = "`reload` needs `settings`: what changes";
        let raw = step.value::<Section<RawServer>>("settings");
        let raw = cx.required(raw, &step.span(), message)?;
        let settings = cx.new_settings(raw)?;
        let servers = servers?;
        Some(DraftAction::Ready(Action::Reload(Reload { servers, settings })))
    },
};

impl Reload {
    pub(super) fn write(&self, table: &mut InlineTable<'_>) {
        table.servers("reload", &self.servers);
        table.field("settings", format!("{{ {} }}", self.settings));
    }
}
