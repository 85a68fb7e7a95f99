//! A command's own messages on standard error: as text or, if the log is in JSON, as one object per
//! line in the log's format.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::Level;

use crate::diag::{Problem, Problems, Severity};
use crate::log::{Format, Writing, json_line, missing, missing_as_json};

/// The server that the messages belong to, set only if they are in JSON. Empty for a command that
/// is no server.
static JSON: OnceLock<String> = OnceLock::new();

/// Whether writing must not block on the reader.
static NEVER_WAITS: AtomicBool = AtomicBool::new(false);

/// The writer used when writing must not block; `None` in it if its thread cannot be started.
static WRITING: OnceLock<Option<Writing>> = OnceLock::new();

/// The maximum number of bytes that wait to be read.
const MOST_WAITING: usize = 8 << 20;

/// How long to wait at the end for the reader.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Sets the format of this process's messages on standard error. `server` is the server that they
/// belong to.
pub(super) fn speak(format: Format, server: &str) {
    if format == Format::Json && JSON.set(server.to_owned()).is_ok() {
        // Otherwise a panic, which only a bug can cause, would write the one line that is no JSON.
        std::panic::set_hook(Box::new(|panic| {
            say(Level::ERROR, &panic.to_string(), &[]);
        }));
    }
}

/// From here on messages on standard error do not block on the reader, so that the process can be
/// stopped while its reader is stuck.
pub(super) fn never_wait() {
    NEVER_WAITS.store(true, Ordering::Relaxed);
}

/// Waits at the end until the messages are read, with a time limit.
pub(super) fn finish() {
    if let Some(Some(writing)) = WRITING.get() {
        writing.finish(LAST_WORDS);
    }
}

/// Whether messages are in JSON.
pub(super) fn is_json() -> bool {
    JSON.get().is_some()
}

/// Writes an error message.
pub(super) fn error(text: &str) {
    if is_json() {
        let (text, help) = text.split_once("\nhelp: ").unwrap_or((text, ""));
        let help = (!help.is_empty()).then_some(("help", help));
        say(Level::ERROR, text, help.as_slice());
    } else {
        put(&format!("error: {text}\n"));
    }
}

/// Writes a warning.
pub(super) fn warning(text: &str) {
    if is_json() {
        say(Level::WARN, text, &[]);
    } else {
        put(&format!("{text}\n"));
    }
}

/// Forwards a line of a server's process. A JSON line names the server itself. A line that is no
/// JSON can come from the system when the process dies, and becomes an error.
pub(super) fn passed_on(server: &str, line: &str) {
    if !is_json() {
        put(&format!("{server}: {line}\n"));
    } else if serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok() {
        put(&format!("{line}\n"));
    } else {
        say(Level::ERROR, line, &[("server", server)]);
    }
}

/// Writes problems of files with their places, in colour on a terminal.
pub(super) fn problems(problems: &Problems) {
    if problems.is_empty() {
        return;
    }
    if !is_json() {
        put(&problems.render(true));
        return;
    }
    for problem in problems.sorted() {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARN,
        };
        let place = place(problem);
        let place = place.as_deref().map(|place| ("place", place));
        let help = problem.help.as_deref().map(|help| ("help", help));
        let more: Vec<_> = place.into_iter().chain(help).collect();
        say(level, &problem.message, &more);
    }
}

/// A problem as one line, with its place and help.
pub(super) fn in_one_line(problem: &Problem) -> String {
    let place = place(problem).map_or(String::new(), |place| format!("{place}: "));
    let help = problem.help.as_deref();
    let help = help.map_or(String::new(), |help| format!("; help: {help}"));
    format!("{place}{}{help}", problem.message)
}

/// A problem's place: `FILE:LINE:COLUMN`, or only the file.
fn place(problem: &Problem) -> Option<String> {
    let source = problem.source.as_ref()?;
    let at = problem.line_column();
    Some(match at {
        Some((line, column)) => format!("{}:{line}:{column}", source.name),
        None => source.name.clone(),
    })
}

fn say(level: Level, text: &str, more: &[(&str, &str)]) {
    let mut fields = serde_json::json!({ "message": text });
    let server = JSON.get().map_or("", String::as_str);
    let server = (!server.is_empty()).then_some(("server", server));
    for (name, value) in more.iter().copied().chain(server) {
        fields[name] = value.into();
    }
    put(&(json_line(level, &fields) + "\n"));
}

fn put(text: &str) {
    let waits = !NEVER_WAITS.load(Ordering::Relaxed);
    let writing = if waits {
        None
    } else {
        WRITING.get_or_init(begin_to_write).as_ref()
    };
    if let Some(writing) = writing {
        let text = anstream::adapter::strip_str(text).to_string();
        writing.queue().put(text.into_bytes());
        return;
    }
    // anstream removes colours where they are not supported or NO_COLOR is set.
    let mut stderr = anstream::stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
}

fn begin_to_write() -> Option<Writing> {
    let missing = if is_json() { missing_as_json } else { missing };
    // A failure of standard error cannot be reported anywhere.
    let untold = Arc::new(|_: &_| {});
    Writing::start("stderr", MOST_WAITING, || Ok(io::stderr()), missing, untold).ok()
}

/// The log's format before settings are resolved, so that errors about settings already have it:
/// from the flag, else the environment, else the settings file.
pub(super) fn early_format(flag: Option<&str>, config: Option<&Path>) -> Format {
    let is_json = match flag {
        Some(flag) => flag == "json",
        None => match std::env::var_os("HERD_LOG_FORMAT") {
            Some(format) => format == "json",
            None => config.is_some_and(|config| {
                let text = std::fs::read_to_string(config).unwrap_or_default();
                wants_json(&text)
            }),
        },
    };
    if is_json { Format::Json } else { Format::Text }
}

/// Whether a settings file sets the log to JSON. The file may be invalid otherwise.
fn wants_json(file: &str) -> bool {
    file.lines().any(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let parts = line.split_once('=');
        let bare = |part: &str| part.trim().trim_matches(['"', '\'']).to_owned();
        parts.is_some_and(|(key, value)| bare(key) == "log_format" && bare(value) == "json")
    })
}

/// The log's format by a command line that could not be parsed.
pub(super) fn format_of_command_line(mut args: impl Iterator<Item = String>) -> Format {
    let is_server = args
        .nth(1)
        .is_some_and(|command| matches!(&*command, "serve" | "up"));
    if !is_server {
        return Format::Text;
    }
    let (mut flag, mut config) = (None, None);
    while let Some(arg) = args.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg, None),
        };
        let found = match &*name {
            "--log-format" => &mut flag,
            "--config" => &mut config,
            _ => continue,
        };
        *found = value.or_else(|| args.next());
    }
    early_format(flag.as_deref(), config.as_deref().map(Path::new))
}

#[cfg(test)]
mod tests {
    use super::{Format, format_of_command_line, wants_json};

    #[test]
    fn a_file_that_is_wrong_elsewhere_still_says_how_to_log() {
        for file in [
            "log_format = \"json\"",
            "x = \nlog_format='json' # for the collector\n",
            "]\n  \"log_format\" = \"json\"",
        ] {
            assert!(wants_json(file), "{file}");
        }
        for file in [
            "",
            "# log_format = \"json\"",
            "log_format = \"text\" # json",
        ] {
            assert!(!wants_json(file), "{file}");
        }
    }

    #[test]
    fn a_command_line_that_is_wrong_elsewhere_still_says_how_to_log() {
        let format = |line: &str| format_of_command_line(line.split(' ').map(str::to_owned));
        for line in [
            "herd serve --bad --log-format json A",
            "herd up --log-format=json --bad",
        ] {
            assert_eq!(format(line), Format::Json, "{line}");
        }
        for line in ["herd send --log-format json", "herd serve --log-format"] {
            assert_eq!(format(line), Format::Text, "{line}");
        }
    }
}
