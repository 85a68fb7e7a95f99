//! Files that a user names: each is read through here, so that no output overwrites what was read,
//! and named in commands to copy as a shell reads them.

use std::collections::{BTreeMap, BTreeSet};
#[cfg(feature = "sim")]
use std::fmt::Write as _;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Standard input, wherever a file is read.
pub(crate) const STANDARD_INPUT: &str = "-";

/// What is no file on a disk may have no end. Traces of long runs are tens of megabytes.
const LONGEST: u64 = 256 << 20;

/// What was read, in this process.
struct Read {
    /// The files, by what they are and not by their names: links lead to them, too.
    files: BTreeSet<Identity>,
    /// What can be read only once, such as a pipe, by its name.
    once: BTreeMap<PathBuf, Vec<u8>>,
}

static READ: Mutex<Read> = Mutex::new(Read {
    files: BTreeSet::new(),
    once: BTreeMap::new(),
});

#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = PathBuf;

#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "elsewhere a file may have no identity"
)]
fn identity(_: &Path, found: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    Some((found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path, _: &Metadata) -> Option<Identity> {
    path.canonicalize().ok()
}

/// Only a panic poisons the lock, and leaves nothing half done behind it.
fn known() -> MutexGuard<'static, Read> {
    READ.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All of a file, of standard input (`-`), or of a pipe, however often it is read.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let is_input = path == Path::new(STANDARD_INPUT);
    if !is_input {
        let found = fs::metadata(path)?;
        if found.is_file() {
            let mut file = File::open(path)?;
            let opened = file.metadata()?;
            known().files.extend(identity(path, &opened));
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
        if found.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
    }
    if let Some(bytes) = known().once.get(path) {
        return Ok(bytes.clone());
    }
    let mut bytes = Vec::new();
    if is_input {
        bounded(io::stdin().lock(), &mut bytes)?;
    } else {
        bounded(File::open(path)?, &mut bytes)?;
    }
    known().once.insert(path.to_owned(), bytes.clone());
    Ok(bytes)
}

fn bounded(from: impl io::Read, bytes: &mut Vec<u8>) -> io::Result<()> {
    let read = from.take(LONGEST + 1).read_to_end(bytes)?;
    if read as u64 > LONGEST {
        let text = format!("it does not end within {} MiB", LONGEST >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(())
}

/// The same as text.
#[cfg(feature = "sim")]
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let text = String::from_utf8(read(path)?);
    text.map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is no UTF-8 text (at byte {at})"),
        )
    })
}

/// Whether this is a file that was read, by whatever name.
#[cfg(feature = "sim")]
pub(crate) fn was_read(path: &Path) -> bool {
    let found = fs::metadata(path).ok().filter(Metadata::is_file);
    let identity = found.and_then(|found| identity(path, &found));
    identity.is_some_and(|identity| known().files.contains(&identity))
}

/// Whether two names lead to one file or folder that is there.
#[cfg(feature = "sim")]
pub(crate) fn is_one(one: &Path, other: &Path) -> bool {
    let of = |path: &Path| identity(path, &fs::metadata(path).ok()?);
    of(one).is_some_and(|identity| Some(identity) == of(other))
}

/// Folders that were looked into, so that a link back to one is not followed for ever.
#[cfg(feature = "sim")]
#[derive(Default)]
pub(crate) struct Folders(BTreeSet<Identity>);

#[cfg(feature = "sim")]
impl Folders {
    /// Whether the folder is a new one.
    pub(crate) fn enter(&mut self, folder: &Path) -> bool {
        let found = fs::metadata(folder).ok();
        let identity = found.and_then(|found| identity(folder, &found));
        identity.is_none_or(|identity| self.0.insert(identity))
    }
}

/// Whether a file's name ends so, in capitals or not.
pub(crate) fn ends_in(path: &Path, extension: &str) -> bool {
    let found = path.extension().and_then(|found| found.to_str());
    found.is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// A file's name as a shell reads it, on one line, and as no command takes it for a flag.
#[cfg(feature = "sim")]
pub(crate) fn quoted(name: &str) -> String {
    let is_flag = name.starts_with('-') && name != STANDARD_INPUT;
    let name = if is_flag {
        format!("./{name}")
    } else {
        name.to_owned()
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_plain) {
        return name;
    }
    if !name.chars().any(char::is_control) {
        return format!("'{}'", name.replace('\'', r"'\''"));
    }
    let mut text = "$'".to_owned();
    for character in name.chars() {
        match character {
            '\n' => text.push_str("\\n"),
            '\'' | '\\' => text.extend(['\\', character]),
            control if control.is_control() => {
                let mut utf8 = [0; 4];
                for byte in control.encode_utf8(&mut utf8).bytes() {
                    // Three digits, so that no digit behind it can belong to it.
                    let _ = write!(text, "\\{byte:03o}");
                }
            }
            plain => text.push(plain),
        }
    }
    text + "'"
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::{ends_in, quoted};
    use std::path::Path;

    #[test]
    fn a_shell_reads_a_quoted_name_as_it_is() {
        for (name, text) in [
            ("a/b-c.toml", "a/b-c.toml"),
            ("-", "-"),
            ("-x.toml", "./-x.toml"),
            ("--html", "./--html"),
            ("-x y", "'./-x y'"),
            ("", "''"),
            ("it's $HOME", r"'it'\''s $HOME'"),
            ("a\nb'\\\t1", r"$'a\nb\'\\\0111'"),
        ] {
            assert_eq!(quoted(name), text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn bash_agrees() {
        for name in ["-x y", "it's", "a\nb'\\\t1", "\u{9b}1", "*?[$`!\"", "é"] {
            let script = format!("printf %s {}", quoted(name));
            let Ok(ran) = std::process::Command::new("bash")
                .args(["-c", &script])
                .output()
            else {
                // Not every system has one, and the cases above hold there, too.
                return;
            };
            let said = String::from_utf8(ran.stdout).unwrap();
            assert_eq!(said.strip_prefix("./").unwrap_or(&said), name);
        }
    }

    #[test]
    fn capitals_end_a_name_as_small_letters_do() {
        for name in ["a.toml", "B.TOML", "a.b.Toml"] {
            assert!(ends_in(Path::new(name), "toml"));
        }
        assert!(!ends_in(Path::new("toml"), "toml") && !ends_in(Path::new("a.json"), "toml"));
    }
}
