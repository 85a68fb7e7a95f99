//! Which build this is: the commit that it is built from, and that commit's date.
//!
//! Sources without a repository are told by `HERD_COMMIT` and `SOURCE_DATE_EPOCH` (seconds since 1970); a repository is asked
//! by git; a packaged crate has its commit in `.cargo_vcs_info.json`. What nobody knows is `unknown`. Neither the time nor the
//! place of the build goes into it, so that the same sources make the same program.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What nobody knows.
const UNKNOWN: &str = "unknown";

/// What the program is made of. Only a change here makes a build another one, so only it is looked at.
const SOURCES: [&str; 5] = [
    "build.rs",
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "scenarios/herds",
];

fn main() {
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR").unwrap_or_default());
    for name in ["HERD_COMMIT", "SOURCE_DATE_EPOCH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    // A path that is not there would make cargo run this each time.
    for path in SOURCES.iter().filter(|path| root.join(path).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
    // While one develops, a commit alone makes no new program: it has the sources that it had, and compiling them again
    // takes minutes. What is shipped names its commit exactly.
    if variable("PROFILE").as_deref() == Some("release") {
        for path in moved_by_a_commit(&root) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    match Build::find(&root, variable) {
        Ok(build) => {
            let version = variable("CARGO_PKG_VERSION").unwrap_or_default();
            println!("cargo::rustc-env=HERD_BUILD_COMMIT={}", build.commit);
            println!("cargo::rustc-env=HERD_BUILD_DATE={}", build.date);
            println!("cargo::rustc-env=HERD_BUILD={}", build.of(&version));
        }
        Err(wrong) => println!("cargo::error={wrong}"),
    }
}

/// A commit and its date.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Build {
    /// With `-dirty` behind it if the sources are not exactly those of the commit.
    pub(crate) commit: String,
    /// As in `2026-11-28`, in UTC.
    pub(crate) date: String,
}

impl Build {
    /// What is known of the sources in `root`, and by the environment.
    pub(crate) fn find(
        root: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let (mut commit, mut date) = match from_git(root) {
            Some((commit, date)) => (Some(commit), Some(date)),
            None => (from_package(root), None),
        };
        if let Some(text) = variable("HERD_COMMIT") {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
            if !text.chars().all(plain) || text.len() > 64 {
                return Err(format!(
                    "HERD_COMMIT is `{}`: it must be up to 64 letters, digits, `.`, `_`, `+` and `-`",
                    text.escape_default()
                ));
            }
            // Whose date git knew is not this one.
            (commit, date) = (Some(text), None);
        }
        if let Some(text) = variable("SOURCE_DATE_EPOCH") {
            date = Some(text.parse().map_err(|_| {
                format!(
                    "SOURCE_DATE_EPOCH is `{}`: it must be seconds since 1970",
                    text.escape_default()
                )
            })?);
        }
        let unknown = || UNKNOWN.to_owned();
        Ok(Self {
            commit: commit.unwrap_or_else(unknown),
            date: date.map_or_else(unknown, day),
        })
    }

    /// What `--version` says.
    pub(crate) fn of(&self, version: &str) -> String {
        match (&*self.commit, &*self.date) {
            (UNKNOWN, UNKNOWN) => format!("{version} (commit unknown)"),
            (commit, UNKNOWN) => format!("{version} (commit {commit})"),
            (commit, date) => format!("{version} (commit {commit}, {date})"),
        }
    }
}

/// What git says in `root`, if anything.
fn git(root: &Path, args: &[&str]) -> Option<String> {
    let ran = Command::new("git")
        // A build must not wait for, or write to, the index that somebody works with.
        .args(["--no-optional-locks", "-C"])
        .arg(root)
        .args(args)
        .output()
        .ok()?;
    let text = String::from_utf8(ran.stdout).ok()?;
    ran.status.success().then(|| text.trim_end().to_owned())
}

/// The commit, and the seconds from 1970 to it. The repository must be this package's own: one around it knows nothing of it.
fn from_git(root: &Path) -> Option<(String, u64)> {
    root.join(".git").exists().then_some(())?;
    let said = git(root, &["log", "-1", "--format=%H %ct"])?;
    let (commit, seconds) = said.split_once(' ')?;
    let status = ["status", "--porcelain", "--"];
    let is_dirty = !git(root, &[&status[..], &SOURCES].concat())?.is_empty();
    let commit = commit.get(..12)?;
    let dirty = if is_dirty { "-dirty" } else { "" };
    Some((format!("{commit}{dirty}"), seconds.parse().ok()?))
}

/// The commit that cargo notes in what it packages.
fn from_package(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join(".cargo_vcs_info.json")).ok()?;
    let (_, behind) = text.split_once("\"sha1\"")?;
    let commit = behind.split('"').nth(1)?.get(..12)?;
    let is_hex = commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| commit.to_owned())
}

/// Files that change when there is a commit, or another one is looked at.
fn moved_by_a_commit(root: &Path) -> Vec<PathBuf> {
    let path = |name| git(root, &["rev-parse", "--git-path", name]);
    let paths = ["HEAD", "logs/HEAD"].into_iter().filter_map(path);
    let paths = paths.map(|path| root.join(path));
    paths.filter(|path| path.exists()).collect()
}

/// The day, in UTC, of a POSIX time in seconds.
fn day(seconds: u64) -> String {
    let mut days = seconds / 86_400;
    let is_leap = |year: u64| {
        let of = |years| year.is_multiple_of(years);
        of(4) && (!of(100) || of(400))
    };
    // Whole cycles of 400 years have the same number of days each; the rest is counted.
    let mut year = 1970 + days / 146_097 * 400;
    days %= 146_097;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", days + 1)
}
