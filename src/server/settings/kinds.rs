//! How a setting is declared, and the kinds of values that settings have.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::url::PlacesUrl;
use super::values::{address, count, duration, life, path, quoted, visible};
use super::{BadValue, PREFIX, Settings};
use crate::herd::Address;
use crate::units::format_duration;

use Kind::{Address as At, Choice, Count, Life, Path as File, Switch, Text, Url};

/// The declaration of a setting.
#[derive(Debug)]
pub struct Setting {
    /// The name of its flag. In a file `_` replaces `-`.
    pub name: &'static str,
    /// Its meaning in a few words.
    pub about: &'static str,
    /// The kind of its values.
    pub kind: Kind,
}

/// The kind of a setting's values, with an accessor to its field in [`Settings`].
#[derive(Debug)]
pub enum Kind {
    /// A duration, such as `20ms`.
    Duration(fn(&mut Settings) -> &mut Duration),
    /// A long duration, such as a time to live, or nothing.
    Life(fn(&mut Settings) -> &mut Option<Duration>),
    /// A host and a port of this machine, or nothing. With port 0 the system chooses.
    Address(fn(&mut Settings) -> &mut Option<Address>),
    /// A whole number from the first bound to the second.
    Count(fn(&mut Settings) -> &mut usize, usize, usize),
    /// A value of `true` or `false`.
    Switch(fn(&mut Settings) -> &mut bool),
    /// A text of visible ASCII characters.
    Text(fn(&mut Settings) -> &mut String),
    /// The path of a file or a folder, or nothing. In a settings file it is relative to that file.
    Path(fn(&mut Settings) -> &mut Option<PathBuf>),
    /// The URL of Places, or nothing.
    Url(fn(&mut Settings) -> &mut Option<PlacesUrl>),
    /// A word from a fixed list.
    Choice {
        /// The allowed words.
        among: &'static [&'static str],
        /// Returns the word in use.
        get: fn(&Settings) -> String,
        /// Sets one of the words.
        set: fn(&mut Settings, &str),
    },
}

impl Setting {
    /// The setting's key in a file.
    pub fn key(&self) -> String {
        self.name.replace('-', "_")
    }

    /// The meaning of the setting, with the bounds of a number.
    pub fn about(&self) -> String {
        match self.kind {
            Count(_, least, most) => format!("{} ({least} to {most})", self.about),
            _ => self.about.to_owned(),
        }
    }

    /// The setting's environment variable.
    pub fn variable(&self) -> String {
        PREFIX.to_owned() + &self.key().to_ascii_uppercase()
    }

    /// Parses a value and stores it in `settings`. A path is relative to `base`.
    pub fn set(&self, settings: &mut Settings, text: &str, base: &Path) -> Result<(), BadValue> {
        match &self.kind {
            Kind::Duration(of) => *of(settings) = duration(text)?,
            Life(of) => *of(settings) = Some(life(text)?),
            At(of) => *of(settings) = Some(address(text)?),
            Count(of, least, most) => *of(settings) = count(text, *least, *most)?,
            Switch(of) => {
                let bad = |_| BadValue::new("it is `true` or `false`");
                *of(settings) = text.parse().map_err(bad)?;
            }
            Text(of) => *of(settings) = visible(text)?,
            File(of) => *of(settings) = Some(path(text, base)?),
            Url(of) => *of(settings) = Some(PlacesUrl::parse(text)?),
            Choice { among, set, .. } => {
                if !among.contains(&text) {
                    return Err(BadValue::new(format!("it is one of {}", among.join(", "))));
                }
                set(settings, text);
            }
        }
        Ok(())
    }

    /// The value in the form of a file, or `None` if nothing is set.
    pub fn get(&self, settings: &Settings) -> Option<String> {
        // The same accessor reads and writes, so it needs a mutable value.
        let mut settings = settings.clone();
        Some(match &self.kind {
            Kind::Duration(of) => quoted(&format_duration(*of(&mut settings))),
            Life(of) => quoted(&format_duration((*of(&mut settings))?)),
            At(of) => quoted(&of(&mut settings).as_ref()?.to_string()),
            Count(of, ..) => of(&mut settings).to_string(),
            Switch(of) => of(&mut settings).to_string(),
            Text(of) => quoted(of(&mut settings)),
            File(of) => quoted(&of(&mut settings).as_ref()?.display().to_string()),
            Url(of) => quoted(&of(&mut settings).as_ref()?.to_string()),
            Choice { get, .. } => quoted(&get(&settings)),
        })
    }
}

impl Kind {
    /// The placeholder for a value in help texts.
    pub const fn placeholder(&self) -> &'static str {
        match self {
            Kind::Duration(_) | Life(_) => "DURATION",
            At(_) => "HOST:PORT",
            Count(..) => "N",
            Switch(_) => "true|false",
            Text(_) => "TEXT",
            File(_) => "PATH",
            Url(_) => "URL",
            Choice { .. } => "WORD",
        }
    }

    /// A description of valid values, to follow the word `it`.
    pub(super) fn wanted(&self) -> String {
        match self {
            Kind::Duration(_) => "is a duration such as `1.5s`, from 1ms to 24h".to_owned(),
            Life(_) => "is a duration such as `24h`, from 1s to 8760h".to_owned(),
            At(_) => "is a host and a port such as `127.0.0.1:9600`".to_owned(),
            Count(_, least, most) => format!("is a whole number from {least} to {most}"),
            Switch(_) => "is `true` or `false`".to_owned(),
            Text(_) => "is a text without blanks".to_owned(),
            File(_) => "is a path".to_owned(),
            Url(_) => "is such as `http://127.0.0.1:8080/path`".to_owned(),
            Choice { among, .. } => format!("is one of {}", among.join(", ")),
        }
    }
}
