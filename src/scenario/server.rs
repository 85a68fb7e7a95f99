//! The settings of servers that a scenario can say: under `[server]` for all of them, or in a `reload`. They are the
//! settings of a server in production, so they are declared there.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::fields::{Field, Fields as _, Holds, field, fields, reference};
use super::validate::Context;
use crate::document::{Located, Section, Table};
use crate::server::{Limits, Timing};
use crate::settings::{Kind, SETTINGS, Setting, Settings};
use crate::units::{DurationText, format_duration};

/// The settings that there are in a scenario, in the order of its reference. Others say where a process listens, what
/// it logs, or whom it trusts. All simulated clients come from one address, so what holds for an address is left out.
const NAMES: &[&str] = &[
    "heartbeat",
    "anti-entropy",
    "connect-deadline",
    "hello-deadline",
    "redial-least",
    "redial-most",
    "idle",
    "half-line",
    "write-deadline",
    "drain",
    "ready-grace",
    "client-line",
    "client-connections",
    "look-ups-per-connection",
    "connection-rate",
    "refuse-until-synchronised",
    "peer-connections",
    "clients",
    "record-bytes",
    "time-to-live",
    "future-limit",
];

/// The settings on which both ends of a link must agree, so that no server changes them alone.
const OF_LINKS: &[&str] = &["heartbeat", "hello-deadline"];

/// The settings that there are in a scenario.
pub(super) fn settings() -> impl Iterator<Item = &'static Setting> {
    let named = |name: &&str| SETTINGS.iter().find(|setting| setting.name == *name);
    NAMES.iter().filter_map(named)
}

fields! {
    /// The settings of servers.
    SettingFields,
    "Server",
    "Settings of servers.",
    || settings().map(declared).chain(super::disks::fields()).collect()
}

/// Settings, by name.
pub(super) type RawServer = Table<SettingFields>;

/// A table of all of them in Markdown.
pub(super) fn table() -> String {
    reference(SettingFields::fields())
}

fn declared(setting: &Setting) -> Field {
    let holds = match setting.kind {
        Kind::Switch(_) => Holds::Flag,
        Kind::Count(..) => Holds::Count,
        _ => Holds::Duration,
    };
    let default = setting.get(&Settings::default());
    let default = default.map(|default| default.trim_matches('"').to_owned());
    let default = default.map_or(String::new(), |default| format!("; `{default}` by default"));
    let about = format!("{}{default}.", setting.about());
    field(setting.key().leak(), holds, about.leak())
}

/// Settings that a file says, each by its name and with its value as text, in the order of the reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerSettings(Vec<(&'static str, String)>);

impl ServerSettings {
    /// Changes timers and limits as these settings say.
    pub fn apply(&self, timing: &mut Timing, limits: &mut Limits) {
        let mut settings = of(timing, limits);
        for (name, text) in &self.0 {
            if let Some(setting) = SETTINGS.iter().find(|setting| setting.name == *name) {
                // They were read as they are here.
                let _ = setting.set(&mut settings, text, Path::new(""));
            }
        }
        (*timing, *limits) = (settings.timing, settings.limits);
    }
}

/// As an inline table of TOML has them, without its braces.
impl fmt::Display for ServerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut timing, mut limits) = (Timing::default(), Limits::default());
        self.apply(&mut timing, &mut limits);
        let now = of(&timing, &limits);
        let said =
            settings().filter(|setting| self.0.iter().any(|(name, _)| *name == setting.name));
        let said =
            said.filter_map(|setting| Some(format!("{} = {}", setting.key(), setting.get(&now)?)));
        f.write_str(&said.collect::<Vec<_>>().join(", "))
    }
}

/// What differs from the defaults, as lines of a file.
pub(super) fn changed(timing: &Timing, limits: &Limits) -> Vec<String> {
    let (now, usual) = (of(timing, limits), Settings::default());
    let changed = settings().filter(|setting| setting.get(&now) != setting.get(&usual));
    let lines =
        changed.filter_map(|setting| Some(format!("{} = {}", setting.key(), setting.get(&now)?)));
    lines.collect()
}

fn of(timing: &Timing, limits: &Limits) -> Settings {
    Settings {
        timing: *timing,
        limits: *limits,
        ..Settings::default()
    }
}

impl Context<'_> {
    /// The settings of a table. What is wrong is reported, and left out.
    pub(super) fn server_settings(&mut self, raw: &RawServer) -> ServerSettings {
        let all =
            settings().filter_map(|setting| Some((setting.name, self.setting(setting, raw)?)));
        ServerSettings(all.collect())
    }

    /// The settings that servers get while they run.
    pub(super) fn new_settings(&mut self, raw: &Section<RawServer>) -> Option<ServerSettings> {
        for name in OF_LINKS {
            let key = name.replace('-', "_");
            if let Some(place) = raw.get(&key).and_then(super::fields::RawValue::place) {
                let message = format!("`{key}` must be the same at both ends of a link");
                let help = format!("say `{key}` under `[server]`, for the whole run");
                let problem = crate::diag::Problem::error(self.source, place, message);
                self.report(problem.help(help));
                return None;
            }
        }
        if !self.no_disks_in(raw) {
            return None;
        }
        let read = self.server_settings(raw);
        if read.0.is_empty() {
            self.error(raw.span(), "no setting is given");
            return None;
        }
        Some(read)
    }

    fn setting(&mut self, setting: &Setting, raw: &RawServer) -> Option<String> {
        let key = &setting.key();
        let (text, place) = match setting.kind {
            Kind::Switch(_) => {
                let flag = raw.value::<Located<bool>>(key)?;
                (flag.to_string(), flag.span())
            }
            Kind::Count(..) => {
                let count = raw.value::<Located<u64>>(key)?;
                (count.to_string(), count.span())
            }
            _ => {
                let written = raw.value::<Located<DurationText>>(key)?;
                (self.timer(written, setting), written.span())
            }
        };
        let mut tried = Settings::default();
        if let Err(why) = setting.set(&mut tried, &text, Path::new("")) {
            let message = format!("bad `{key}`: {why}");
            self.error(place, message);
            return None;
        }
        Some(text)
    }

    /// A timer is a multiple of the tick, and fits into a run. How long a record lives need not.
    fn timer(&mut self, written: &Located<DurationText>, setting: &Setting) -> String {
        if matches!(setting.kind, Kind::Life(_)) {
            return format_duration(written.0);
        }
        if written.0.is_zero() {
            self.error(written.span(), "a timer can't be zero");
            return format_duration(Duration::from_millis(1));
        }
        let timer = self.on_tick(written, &format!("`{}`", setting.key()));
        // One that is shorter is no multiple of a tick, which was reported.
        format_duration(timer.max(Duration::from_millis(1)))
    }
}
