//! The source of the key to Places. It is never a flag, which every user of the machine could read,
//! and never part of a settings file.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Settings;
use crate::places::ApiKey;

/// The settings whose file a service manager can hand over, and the file's name there. The key to
/// Places has its own constant.
pub(super) const HANDED_OVER: &[(&str, &str)] = &[
    ("peer-authorities", "peer-authorities"),
    ("peer-certificate", "peer-certificate"),
    ("peer-key", "peer-key"),
    ("peer-secret-file", "peer-secret"),
    ("client-certificate", "client-certificate"),
    ("client-key", "client-key"),
    ("places-authorities", "places-authorities"),
];

/// The environment variable that contains the key.
pub const VARIABLE: &str = "PLACES_API_KEY";

/// The environment variable with the folder where a service manager puts files for a service.
pub const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The name of the key's file in the folder `CREDENTIALS_DIRECTORY` of systemd.
pub const CREDENTIAL: &str = "places-api-key";

/// The number of bytes that are read of a key's file.
const LONGEST: u64 = 4096;

/// Why a source contains no key. No message shows the source's content.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file can't be read.
    #[error("can't read the key to Places in `{}`: {error}", path.display())]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// The content can't be a key.
    #[error("there is no key in {0}: a key is one or more visible ASCII characters without blanks")]
    NoKey(KeyPlace),
}

/// The source of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// The key is in this file.
    File(PathBuf),
    /// The key is in the environment variable.
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

/// Finds the key: in the file that the settings name, else in the environment variable, else among
/// the service manager's credentials.
///
/// # Errors
///
/// When a source exists but contains no key. No source at all is no error.
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
        // The error for bytes that are not UTF-8 is dropped, since a key is ASCII.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(KeyError::NoKey(place())),
        Err(error) => Err(unreadable(error)),
        Ok(_) => match ApiKey::new(text.trim()) {
            Ok(key) => Ok((key, place())),
            Err(_) => Err(KeyError::NoKey(place())),
        },
    }
}
