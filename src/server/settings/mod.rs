//! What a server can be told: each setting is declared once, in [`SETTINGS`], and its flag, its environment variable,
//! its key in a file, the print of all settings and their table in the documentation follow from that.
//!
//! A flag overrides the environment, that a file, that the default. [`resolve`] says for each setting where its value
//! comes from. The key to Places is no setting, so that it can't be printed: see [`key`].

mod file;
pub mod key;
mod show;
mod table;
mod url;
mod values;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::diag::{Problem, Problems, Source, did_you_mean};
use crate::herd::Address;
use crate::log::LogConfig;
use crate::places::{Api, PlacesConfig};
use crate::server::{Limits, Timing};

pub use show::{markdown, print};
pub use table::{Kind, SETTINGS, Setting};
pub use url::PlacesUrl;

/// What the environment variables of all settings begin with.
pub const PREFIX: &str = "HERD_";

/// Everything that can be set, checked one by one and against each other.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a server waits for what.
    pub timing: Timing,
    /// How much it takes from anybody.
    pub limits: Limits,
    /// However long clients and neighbours take, a server that is told to stop has ended by then.
    pub stop_limit: Duration,
    /// How requests to Places are sent. Where it is says [`places_url`](Self::places_url), until
    /// [`places_config`](Self::places_config) puts both together.
    pub places: PlacesConfig,
    /// Where Places is; if not set, at Google.
    pub places_url: Option<PlacesUrl>,
    /// The file that holds the key.
    pub places_key_file: Option<PathBuf>,
    /// What is logged and where.
    pub log: LogConfig,
    /// Where clients are listened for; if not set, where the herd file has them connect to.
    pub listen: Option<Address>,
    /// Where servers are listened for; if not set, where the herd file has them dial.
    pub peer_listen: Option<Address>,
    /// Where operators ask how the server is; if not set, nowhere.
    pub admin: Option<Address>,
    /// The file that holds the token by which they may change something; without it nobody may.
    pub admin_token_file: Option<PathBuf>,
    /// They may be listened for where others than this machine reach it.
    pub insecure_admin: bool,
    /// Servers may be listened for where others than this machine reach it.
    pub insecure_peers: bool,
    /// Where the files are by which servers prove who they are.
    pub peers: PeerFiles,
    /// Where the certificate and the key are that clients are shown; without them they are spoken to in the clear.
    pub client_tls: KeyFiles,
    /// Authorities that are trusted to name Places, beside those that the machine trusts.
    pub places_authorities: Option<PathBuf>,
    /// Certificates that expire within this number of days are warned of.
    pub certificate_warning_days: usize,
}

/// The files of a certificate and its key. Either both are given, or none.
#[derive(Clone, Debug, Default)]
pub struct KeyFiles {
    /// The chain of certificates.
    pub certificate: Option<PathBuf>,
    /// The private key.
    pub key: Option<PathBuf>,
}

/// The files by which servers prove who they are: a secret, or everything else, or nothing.
#[derive(Clone, Debug, Default)]
pub struct PeerFiles {
    /// A secret that the whole herd shares.
    pub secret: Option<PathBuf>,
    /// Who may name servers.
    pub authorities: Option<PathBuf>,
    /// What this server shows.
    pub own: KeyFiles,
}

impl PeerFiles {
    /// Whether servers have to prove anything.
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
            // Less than service managers wait for, mostly 30 s.
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
        }
    }
}

impl Settings {
    /// How requests to Places are sent, the place included, but without a key.
    pub fn places_config(&self) -> PlacesConfig {
        let url = self.places_url();
        PlacesConfig {
            address: url.address,
            path: url.path,
            ..self.places.clone()
        }
    }

    /// Where Places is.
    pub fn places_url(&self) -> PlacesUrl {
        let google = || PlacesUrl::google(self.places.api);
        self.places_url.clone().unwrap_or_else(google)
    }

    /// What is wrong with settings that are right one by one.
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
        self.check_files()
    }

    /// Files that are nothing without each other, or too much with each other.
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

/// The settings that differ between two that take effect only when a server starts.
pub fn need_a_restart(before: &Settings, after: &Settings) -> Vec<&'static str> {
    let fixed = SETTINGS
        .iter()
        .filter(|setting| table::AT_START.contains(&setting.name));
    let changed = fixed.filter(|setting| setting.get(before) != setting.get(after));
    changed.map(|setting| setting.name).collect()
}

/// Where a setting's value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    #[default]
    Default,
    /// A file, at this line.
    File(String, usize),
    /// A file of the service manager's, in `$CREDENTIALS_DIRECTORY`.
    Credential,
    /// The environment variable of the setting.
    Environment,
    /// The setting's flag.
    Flag,
}

/// All settings, and where each comes from.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// By position in [`SETTINGS`].
    origins: Vec<Origin>,
}

impl Resolved {
    /// Where the setting of this name comes from; unknown ones are nobody's.
    pub fn origin(&self, name: &str) -> &Origin {
        let position = SETTINGS.iter().position(|setting| setting.name == name);
        position.map_or(&Origin::Default, |position| &self.origins[position])
    }

    /// Names the files that a service manager has handed to this process, where nobody else named any.
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

/// Why a text is no value of a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(String);

impl BadValue {
    fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

/// Puts all sources together; `environment` is what of it is about settings, and [`key::CREDENTIALS`]. Next to the settings come the warnings.
///
/// # Errors
///
/// All that is wrong, at once.
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

/// A warning only: others may use the prefix, too, as Kubernetes does for a service called `herd`.
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
