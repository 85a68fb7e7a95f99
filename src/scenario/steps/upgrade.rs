//! Servers that go on as another build.

use super::draft::DraftAction;
use super::write::InlineTable;
use super::{Action, Declaration};
use crate::document::{Located, OneOrMany};
use crate::herd::ServerId;
use crate::scenario::fields::{Holds, field};

/// What a build is called that a step does not name.
const CURRENT: &str = "current";

/// Servers that stop gracefully and start again as another build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// Those that do. One that does not run starts as that build when it starts.
    pub servers: Vec<ServerId>,
    /// The build, by its name.
    pub build: String,
}

pub(super) const DECLARATION: Declaration = Declaration {
    subject: field(
        "upgrade",
        Holds::Names,
        "Servers stop gracefully and start again as another build, as soon as they have ended: a name, a list, or `\"all\"`. At `0s` it says what they are from the beginning.",
    ),
    fields: &[field(
        "build",
        Holds::Text,
        "The build: `current`, which all are at first and which is the default, or `v1`, which speaks only the oldest version of the protocol between servers. A test suite can name others.",
    )
    .written("build = \"v1\"")],
    read: |cx, step| {
        let servers = cx.servers(step.value::<OneOrMany>("upgrade")?)?;
        let build = step.value::<Located<String>>("build");
        let build = build.map_or(CURRENT, |build| build.as_str()).to_owned();
        Some(DraftAction::Ready(Action::Upgrade(Upgrade { servers, build })))
    },
};

impl Upgrade {
    pub(super) fn write(&self, table: &mut InlineTable<'_>) {
        table.servers("upgrade", &self.servers);
        table.text("build", &self.build);
    }
}
