//! The settings of a server. Each is declared once, in [`SETTINGS`]. Its flag, its environment
//! variable, its key in a file, its line in the print of all settings and its row in the
//! documentation are derived from that.
//!
//! A flag overrides the environment, which overrides a file, which overrides the default.
//! [`resolve`] also returns the source of each value. The key to Places is not a setting, so it
//! can't be printed: see [`key`].

mod file;
pub mod key;
mod kinds;
mod show;
mod table;
mod url;
mod values;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::diag::{Problem, Problems, Source, did_you_mean};
use crate::disk::{Data, Durability};
use crate::herd::Address;
use crate::log::LogConfig;
use crate::places::{Api, PlacesConfig};
use crate::server::{Limits, Timing};

pub use kinds::{Kind, Setting};
pub use show::{markdown, print};
pub use table::SETTINGS;
pub use url::PlacesUrl;

/// The prefix of all settings' environment variables.
pub const PREFIX: &str = "HERD_";

/// The values of all settings, checked one by one and against each other.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The timers and deadlines of a server.
    pub timing: Timing,
    /// The limits on what a server accepts.
    pub limits: Limits,
    /// The time limit of a graceful stop, however slow clients and neighbours are.
    pub stop_limit: Duration,
    /// The settings of requests to Places. Their address and path are those of
    /// [`places_url`](Self::places_url) only in [`places_config`](Self::places_config).
    pub places: PlacesConfig,
    /// The URL of Places, or `None` for Google's.
    pub places_url: Option<PlacesUrl>,
    /// The file with the key to Places.
    pub places_key_file: Option<PathBuf>,
    /// The settings of the logs.
    pub log: LogConfig,
    /// The address to listen at for clients, or `None` for the one in the herd file.
    pub listen: Option<Address>,
    /// The address to listen at for servers, or `None` for the one in the herd file.
    pub peer_listen: Option<Address>,
    /// The address of the admin listener, or `None` for no listener.
    pub admin: Option<Address>,
    /// The file with the token that authorises changes. Without it all changes are rejected.
    pub admin_token_file: Option<PathBuf>,
    /// The admin listener may be reachable from other machines.
    pub insecure_admin: bool,
    /// The listener for servers may be reachable from other machines, even without authentication.
    pub insecure_peers: bool,
    /// The files by which servers authenticate each other.
    pub peers: PeerFiles,
    /// The certificate and the key for TLS with clients. Without them clients' connections are
    /// plain.
    pub client_tls: KeyFiles,
    /// Authorities that are trusted for Places, in addition to those of this machine.
    pub places_authorities: Option<PathBuf>,
    /// The number of days before a certificate expires at which warnings begin.
    pub certificate_warning_days: usize,
    /// Where records are on disk, and how they are written.
    pub data: DataSettings,
}

/// Where a server's records are on disk, and how they are written.
#[derive(Clone, Debug)]
pub struct DataSettings {
    /// The folder, or `None` for records in memory only.
    pub dir: Option<PathBuf>,
    /// When a client's update is answered.
    pub durability: Durability,
    /// How long a change waits in the background.
    pub sync_every: Duration,
    /// The size of the log, in bytes, at which a snapshot replaces it.
    pub snapshot_after: usize,
    /// Whether damaged files stop the start.
    pub strict: bool,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self {
            dir: None,
            durability: Durability::default(),
            sync_every: Data::SYNC_EVERY,
            snapshot_after: Data::SNAPSHOT_AFTER,
            strict: false,
        }
    }
}

/// The files of a certificate and its key. Both are set, or neither.
#[derive(Clone, Debug, Default)]
pub struct KeyFiles {
    /// The file with the certificate, followed by intermediate ones.
    pub certificate: Option<PathBuf>,
    /// The file with the private key.
    pub key: Option<PathBuf>,
}

/// The files by which servers authenticate each other: a secret, or all the others, or none.
#[derive(Clone, Debug, Default)]
pub struct PeerFiles {
    /// The secret that the whole herd shares.
    pub secret: Option<PathBuf>,
    /// The authorities that issue servers' certificates.
    pub authorities: Option<PathBuf>,
    /// The certificate and the key of this server.
    pub own: KeyFiles,
}

impl PeerFiles {
    /// Whether servers must authenticate.
    pub fn is_given(&self) -> bool {
        self.secret.is_some() || self.authorities.is_some()
    }
}

impl Default for Settings {
    fn default() -> Self {
        let nowhere = Address {
            host: "localhost".to_owned(),
            port: 80,
        };
        Self {
            timing: Timing::default(),
            limits: Limits::default(),
            // Service managers wait longer than this, mostly 30 s.
            stop_limit: Duration::from_secs(25),
            places: PlacesConfig::new(Api::default(), nowhere, None),
            places_url: None,
            places_key_file: None,
            log: LogConfig::default(),
            listen: None,
            peer_listen: None,
            admin: None,
            admin_token_file: None,
            insecure_admin: false,
            insecure_peers: false,
            peers: PeerFiles::default(),
            client_tls: KeyFiles::default(),
            places_authorities: None,
            certificate_warning_days: 14,
            data: DataSettings::default(),
        }
    }
}

impl Settings {
    /// The settings of requests to Places, with the address and path of its URL, but without the
    /// key.
    pub fn places_config(&self) -> PlacesConfig {
        let url = self.places_url();
        PlacesConfig {
            address: url.address,
            path: url.path,
            ..self.places.clone()
        }
    }

    /// The URL of Places.
    pub fn places_url(&self) -> PlacesUrl {
        let google = || PlacesUrl::google(self.places.api);
        self.places_url.clone().unwrap_or_else(google)
    }

    /// The first contradiction between settings that are valid one by one.
    fn check(&self) -> Option<Problem> {
        let ordered = [
            (
                "redial-least",
                self.timing.redial_least,
                "redial-most",
                self.timing.redial_most,
            ),
            (
                "places-attempt-deadline",
                self.places.attempt_deadline,
                "places-deadline",
                self.places.deadline,
            ),
        ];
        for (less, least, more, most) in ordered {
            if least > most {
                let text = format!("`{less}` is longer than `{more}`");
                return Some(Problem::without_place(text).help("make one of them fit the other"));
            }
        }
        self.check_files().or_else(|| self.check_data())
    }

    /// The first setting of records on disk that changes nothing, because there are none. With its
    /// default it is no mistake: the print of all settings has it, too.
    fn check_data(&self) -> Option<Problem> {
        if self.data.dir.is_some() {
            return None;
        }
        let unused = ["durability", "sync-every", "snapshot-after", "strict-data"];
        let usual = Self::default();
        let changed = SETTINGS.iter().find(|setting| {
            unused.contains(&setting.name) && setting.get(self) != setting.get(&usual)
        });
        let text = format!(
            "`{}` is about records on disk, and there is no `data-dir`",
            changed?.name
        );
        let help = "give the folder for them, or leave this out";
        Some(Problem::without_place(text).help(help))
    }

    /// The first file that lacks its counterpart, or excludes another.
    fn check_files(&self) -> Option<Problem> {
        let PeerFiles {
            secret,
            authorities,
            own,
        } = &self.peers;
        let tls = [
            ("peer-authorities", authorities),
            ("peer-certificate", &own.certificate),
            ("peer-key", &own.key),
        ];
        let client = [
            ("client-certificate", &self.client_tls.certificate),
            ("client-key", &self.client_tls.key),
        ];
        for group in [&tls[..], &client] {
            let given = group.iter().find(|(_, path)| path.is_some());
            let missing = group.iter().find(|(_, path)| path.is_none());
            if let (Some((given, _)), Some((missing, _))) = (given, missing) {
                let text = format!("there is `{given}`, but no `{missing}`");
                let help = "`herd certs` makes all that are needed, to try it";
                return Some(Problem::without_place(text).help(help));
            }
        }
        if secret.is_some() && authorities.is_some() {
            let text = "servers prove who they are by `peer-secret-file` or by certificates";
            return Some(Problem::without_place(text).help("leave one of the two out"));
        }
        None
    }
}

/// The names of changed settings that take effect only at a server's start.
pub fn need_a_restart(before: &Settings, after: &Settings) -> Vec<&'static str> {
    let fixed = SETTINGS
        .iter()
        .filter(|setting| table::AT_START.contains(&setting.name));
    let changed = fixed.filter(|setting| setting.get(before) != setting.get(after));
    changed.map(|setting| setting.name).collect()
}

/// The source of a setting's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The setting has its default.
    #[default]
    Default,
    /// A file set it, in this line.
    File(String, usize),
    /// The service manager handed over a file in `$CREDENTIALS_DIRECTORY`.
    Credential,
    /// The setting's environment variable set it.
    Environment,
    /// The setting's flag set it.
    Flag,
}

/// All settings, and the source of each value.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The values of all settings.
    pub settings: Settings,
    /// The source of each value, by position in [`SETTINGS`].
    origins: Vec<Origin>,
}

impl Resolved {
    /// The source of the setting called `name`. An unknown name has the source `Default`.
    pub fn origin(&self, name: &str) -> &Origin {
        let position = SETTINGS.iter().position(|setting| setting.name == name);
        position.map_or(&Origin::Default, |position| &self.origins[position])
    }

    /// Uses the files that a service manager handed to this process, for settings that nothing else
    /// set.
    fn take_credentials(&mut self, folder: &Path) {
        for (position, setting) in SETTINGS.iter().enumerate() {
            let credential = key::HANDED_OVER
                .iter()
                .find(|(name, _)| *name == setting.name);
            let Some((_, credential)) = credential else {
                continue;
            };
            if self.origins[position] == Origin::Default && folder.join(credential).exists() {
                let set = self.set(position, credential, folder, Origin::Credential);
                debug_assert!(set.is_ok(), "any path is one");
            }
        }
    }

    fn set(
        &mut self,
        position: usize,
        text: &str,
        base: &Path,
        origin: Origin,
    ) -> Result<(), BadValue> {
        SETTINGS[position].set(&mut self.settings, text, base)?;
        self.origins[position] = origin;
        Ok(())
    }
}

/// Why a text is not a valid value of a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(String);

impl BadValue {
    fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

/// Combines all sources. `environment` contains the variables with the prefix, and
/// [`key::CREDENTIALS`]. Warnings are returned next to the settings.
///
/// # Errors
///
/// All problems at once.
pub fn resolve(
    file: Option<&Path>,
    environment: &[(String, String)],
    flags: &[(&'static str, String)],
) -> Result<(Resolved, Problems), Problems> {
    let mut problems = Problems::new();
    let mut resolved = Resolved {
        settings: Settings::default(),
        origins: vec![Origin::Default; SETTINGS.len()],
    };
    if let Some(path) = file {
        match Source::read(path) {
            Ok(source) => {
                let base = path.parent().unwrap_or(Path::new(""));
                file::apply(&source, base, &mut resolved, &mut problems);
            }
            Err(problem) => problems.push(*problem),
        }
    }
    let here = Path::new("");
    let mut credentials = None;
    for (variable, text) in environment {
        if variable == key::CREDENTIALS {
            credentials = Some(Path::new(text));
            continue;
        }
        let Some(position) = SETTINGS
            .iter()
            .position(|setting| setting.variable() == *variable)
        else {
            problems.push(unknown_variable(variable));
            continue;
        };
        if let Err(error) = resolved.set(position, text, here, Origin::Environment) {
            let problem =
                Problem::without_place(format!("bad `{variable}` in the environment: {error}"));
            problems.push(problem.help(format!("it {}", SETTINGS[position].kind.wanted())));
        }
    }
    for (name, text) in flags {
        let position = SETTINGS.iter().position(|setting| setting.name == *name);
        let set = position.map(|position| resolved.set(position, text, here, Origin::Flag));
        if let Some(Err(error)) = set {
            problems.push(Problem::without_place(format!("bad `--{name}`: {error}")));
        }
    }
    if let Some(folder) = credentials {
        resolved.take_credentials(folder);
    }
    if !problems.has_errors() {
        problems.extend(resolved.settings.check());
    }
    problems.accept(Some(resolved))
}

/// A variable with the prefix and an unknown name. It is only a warning, since others use the
/// prefix, too, such as Kubernetes for a service called `herd`.
fn unknown_variable(variable: &str) -> Problem {
    let known: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
    let mut problem =
        Problem::without_place(format!("`{variable}` in the environment is no setting"));
    problem.severity = crate::diag::Severity::Warning;
    let names = known.iter().map(String::as_str);
    let help = did_you_mean(variable, "variables", names);
    if help.ends_with('?') {
        return problem.help(help);
    }
    problem.help("`herd serve --help` names all settings")
}

#[cfg(test)]
mod tests;
