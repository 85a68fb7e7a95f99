//! The flags of all settings, derived from their table.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command, FromArgMatches};

use super::{Failure, stderr, warn};
use crate::diag::{Problem, Problems};
use crate::herd::{Herd, ServerId};
use crate::log::Format;
use crate::settings::key::{self, KeyPlace};
use crate::settings::{self, Kind, Resolved, SETTINGS, Setting, Settings};
use crate::{diag, places};

/// The settings file and the flags of a command line.
#[derive(Clone, Debug, Default)]
pub(super) struct SettingFlags {
    config: Option<PathBuf>,
    given: Vec<(&'static str, String)>,
}

impl clap::Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("A file of settings (TOML); flags and the environment go before it");
        let command = command.arg(config).next_help_heading("Settings");
        SETTINGS.iter().map(flag).fold(command, Command::arg)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(setting: &'static Setting) -> Arg {
    let default = setting.get(&Settings::default());
    let help = match &default {
        Some(default) if !matches!(setting.kind, Kind::Switch(_)) => {
            format!(
                "{} [default: {}]",
                setting.about(),
                default.trim_matches('"')
            )
        }
        _ => setting.about(),
    };
    let check = |text: &str| {
        let checked = setting.set(&mut Settings::default(), text, Path::new(""));
        checked.map(|()| text.to_owned())
    };
    let arg = Arg::new(setting.name)
        .long(setting.name)
        .value_name(setting.kind.placeholder())
        .hide_short_help(true)
        .help(help);
    match &setting.kind {
        Kind::Switch(_) => arg
            .value_parser(check)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Kind::Choice { among, .. } => arg.value_parser(PossibleValuesParser::new(*among)),
        _ => arg.value_parser(check),
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = SETTINGS.iter().filter_map(|setting| {
            let text = matches.get_one::<String>(setting.name)?;
            Some((setting.name, text.clone()))
        });
        Ok(Self {
            config: matches.get_one("config").cloned(),
            given: given.collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl SettingFlags {
    /// All settings, from the flags, this process's environment and the settings file. Prints
    /// warnings.
    pub(super) fn resolve(&self) -> Result<Resolved, Failure> {
        let (resolved, warnings) = self.resolved()?;
        warn(&warnings);
        Ok(resolved)
    }

    /// All settings, as from [`Self::resolve`], without printing warnings.
    pub(super) fn resolve_silently(&self) -> Result<Resolved, Failure> {
        Ok(self.resolved()?.0)
    }

    /// The log's format, for errors that occur before all settings are resolved.
    pub(super) fn early_format(&self) -> Format {
        let mut given = self.given.iter();
        let flag = given.find(|(name, _)| *name == "log-format");
        let flag = flag.map(|(_, text)| text.as_str());
        stderr::early_format(flag, self.config.as_deref())
    }

    /// All settings, and the warnings for callers that report them in another way.
    pub(super) fn resolved(&self) -> Result<(Resolved, Problems), Failure> {
        let variables = std::env::vars_os().filter_map(|(name, text)| {
            let name = name.into_string().ok()?;
            // No setting accepts a value that is not UTF-8. The lossy text makes the error message
            // readable.
            let text = text.to_string_lossy().into_owned();
            let is_ours = name.starts_with(settings::PREFIX) || name == key::CREDENTIALS;
            is_ours.then_some((name, text))
        });
        let mut variables: Vec<_> = variables.collect();
        variables.sort();
        Ok(settings::resolve(
            self.config.as_deref(),
            &variables,
            &self.given,
        )?)
    }

    /// The same flags for another process, except `but`, of which each process gets its own.
    pub(super) fn again(&self, but: &[&str]) -> Vec<OsString> {
        let config = self
            .config
            .as_ref()
            .map(|config| ["--config".into(), config.into()]);
        let given = self
            .given
            .iter()
            .filter(|(name, _)| !but.contains(name))
            .map(|(name, text)| format!("--{name}={text}").into());
        config.into_iter().flatten().chain(given).collect()
    }
}

/// The key to Places, from whichever place has it.
pub(super) fn places_key(
    settings: &Settings,
) -> Result<Option<(places::ApiKey, KeyPlace)>, Failure> {
    let variable = std::env::var_os(key::VARIABLE);
    let variable = variable.map(|text| text.to_string_lossy().into_owned());
    let credentials = std::env::var_os(key::CREDENTIALS).map(PathBuf::from);
    let found = key::find(settings, variable.as_deref(), credentials.as_deref());
    found.map_err(|error| Failure::Problems(Problem::without_place(error.to_string()).into()))
}

/// The herd with this name or file. Prints warnings.
pub(super) fn herd(reference: &str) -> Result<Herd, Failure> {
    let (herd, warnings) = Herd::load(reference, Some(Path::new(".")))?;
    warn(&warnings);
    Ok(herd)
}

/// The server with this name in `herd`.
pub(super) fn server(herd: &Herd, name: &str) -> Result<ServerId, Failure> {
    herd.id(name).ok_or_else(|| {
        let text = format!("there is no server `{name}` in the herd `{}`", herd.name());
        let help = diag::did_you_mean(name, "servers", herd.server_names());
        Failure::Problems(Problems::from(Problem::without_place(text).help(help)))
    })
}
