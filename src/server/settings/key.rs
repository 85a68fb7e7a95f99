//! Where the key to Places comes from. It is never a flag, which every user of the machine could read, and never part
//! of a settings file.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Settings;
use crate::places::ApiKey;

/// Settings that name a file which a service manager may hand over instead, and what it is called there. The key to Places
/// is another.
pub(super) const HANDED_OVER: &[(&str, &str)] = &[
    ("peer-authorities", "peer-authorities"),
    ("peer-certificate", "peer-certificate"),
    ("peer-key", "peer-key"),
    ("peer-secret-file", "peer-secret"),
    ("client-certificate", "client-certificate"),
    ("client-key", "client-key"),
    ("places-authorities", "places-authorities"),
];

/// The environment variable that holds the key itself.
pub const VARIABLE: &str = "PLACES_API_KEY";

/// The environment variable that holds the folder in which a service manager hands files to a service.
pub const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The name of the key among the credentials that systemd hands to a service, whose folder is in `CREDENTIALS_DIRECTORY`.
pub const CREDENTIAL: &str = "places-api-key";

/// A file with more in it is no key.
const LONGEST: u64 = 4096;

/// Why there is no key where one was said to be. No message shows what was found there.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file can't be read.
    #[error("can't read the key to Places in `{}`: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Something else than a key is there.
    #[error("there is no key in {0}: a key is one or more visible ASCII characters without blanks")]
    NoKey(KeyPlace),
}

/// Where a key was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In this file.
    File(PathBuf),
    /// In the environment.
    Variable,
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file `{}`", path.display()),
            Self::Variable => write!(f, "the environment variable `{VARIABLE}`"),
        }
    }
}

/// The key, from the file that the settings name, else from the environment, else from the service manager's credentials.
///
/// # Errors
///
/// When there is something, but no key. Nothing at all is no error.
pub fn find(
    settings: &Settings,
    variable: Option<&str>,
    credentials: Option<&Path>,
) -> Result<Option<(ApiKey, KeyPlace)>, KeyError> {
    if let Some(path) = &settings.places_key_file {
        return read(path).map(Some);
    }
    if let Some(text) = variable {
        let key = ApiKey::new(text.trim()).map_err(|_| KeyError::NoKey(KeyPlace::Variable))?;
        return Ok(Some((key, KeyPlace::Variable)));
    }
    let credential = credentials.map(|folder| folder.join(CREDENTIAL));
    match credential {
        Some(path) if path.exists() => read(&path).map(Some),
        _ => Ok(None),
    }
}

fn read(path: &Path) -> Result<(ApiKey, KeyPlace), KeyError> {
    let place = || KeyPlace::File(path.to_owned());
    let unreadable = |error| KeyError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    let read = io::Read::read_to_string(&mut io::Read::take(file, LONGEST), &mut text);
    match read {
        // An error about bytes that are no text is dropped: a key is none of them.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(KeyError::NoKey(place())),
        Err(error) => Err(unreadable(error)),
        Ok(_) => match ApiKey::new(text.trim()) {
            Ok(key) => Ok((key, place())),
            Err(_) => Err(KeyError::NoKey(place())),
        },
    }
}
