//! The logs of a server in production: events on standard error, and every line in and out in
//! `log-NAME.txt`.
//!
//! A thread of its own writes each of them, behind a bounded queue, so a server never waits for its
//! log. Lines that find the queue full are dropped, and their count is logged.

mod file;
mod journal;
mod notice;
mod queue;
mod quota;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Registry, fmt, reload};

use crate::herd::Name;

pub use file::Rotating;
pub use journal::{LogJournal, sum_up};
pub use notice::{Notice, Outlet, Tell};
pub use queue::{Queue, Writing};
pub use quota::{Quota, WINDOW};

/// The level and format of the log, and the files that it is written to.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// The level of the log on standard error.
    pub level: Level,
    /// The format of the log on standard error.
    pub format: Format,
    /// The folder of `log-NAME.txt`. Without a folder that file is not written.
    pub dir: Option<PathBuf>,
    /// The size in bytes at which a `log-NAME.txt` is rotated.
    pub size: usize,
    /// The number of rotated files that are kept.
    pub keep: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: Level::INFO,
            format: Format::Text,
            dir: None,
            size: 64 << 20,
            keep: 4,
        }
    }
}

/// The format of the log on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Text for people, coloured on a terminal.
    #[default]
    Text,
    /// A JSON object per line.
    Json,
}

/// The number of bytes that can wait in each queue: one for standard error, one for the file.
const MOST_WAITING: usize = 8 << 20;

/// The time limit for writing what still waits when [`Logs`] is dropped.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The time that a server waits for the file to open. After it the server goes on and lines wait,
/// since a pipe may have no reader yet, and a disk may be slow.
const OPENING: Duration = Duration::from_secs(1);

/// The logs of this process. Dropping it writes what still waits, for at most two seconds each.
pub struct Logs {
    stderr: Writing,
    level: reload::Handle<Targets, Registry>,
    file: Option<LogFile>,
}

/// `log-NAME.txt` and its thread.
struct LogFile {
    writing: Writing,
    path: PathBuf,
    /// The file was open when the server began.
    is_open: bool,
}

impl LogFile {
    fn start(config: &LogConfig, dir: &Path, server: &Name) -> io::Result<Self> {
        let path = dir.join(format!("log-{server}.txt"));
        let tell: Tell = {
            let (server, path) = (Arc::clone(server), path.display().to_string());
            Arc::new(move |notice| {
                let server = &*server;
                if notice.is_bad() {
                    tracing::error!(server, "log file {path} {notice}");
                } else {
                    tracing::warn!(server, "log file {path} {notice}");
                }
            })
        };
        let size = u64::try_from(config.size).unwrap_or(u64::MAX);
        let keep = config.keep;
        let open = {
            let (path, tell) = (path.clone(), Arc::clone(&tell));
            move || Rotating::open(path, size, keep, tell)
        };
        let writing = Writing::start("log file", MOST_WAITING, open, missing, tell)?;
        let is_open = writing.is_open(OPENING)?;
        Ok(Self {
            writing,
            path,
            is_open,
        })
    }
}

impl Logs {
    /// Begins to log: from here on, what [`tracing`] receives goes to standard error. A process can
    /// call this once.
    ///
    /// # Errors
    ///
    /// When the folder or the file can't be opened, or when the process logs already.
    pub fn start(config: &LogConfig, server: &Name) -> io::Result<Self> {
        let name = Arc::clone(server);
        let file = match &config.dir {
            None => None,
            Some(dir) => Some(LogFile::start(config, dir, server)?),
        };
        let missing_there: fn(u64) -> String = match config.format {
            Format::Text => missing,
            Format::Json => missing_as_json,
        };
        // A failure of standard error can be reported nowhere, so it is only counted.
        let untold = Arc::new(|_: &Notice| {});
        let open = || Ok(io::stderr());
        let stderr = Writing::start("log", MOST_WAITING, open, missing_there, untold)?;
        let queue = stderr.queue();
        let (filter, level) = reload::Layer::new(up_to(config.level));
        let lines = fmt::layer()
            .with_target(false)
            .with_writer(move || queue.line());
        match config.format {
            Format::Text => {
                let colour = anstream::AutoStream::choice(&io::stderr());
                let lines = lines.with_ansi(colour != anstream::ColorChoice::Never);
                tracing::subscriber::set_global_default(
                    Registry::default().with(filter).with(lines),
                )
            }
            Format::Json => tracing::subscriber::set_global_default(
                Registry::default().with(filter).with(lines.json()),
            ),
        }
        .map_err(io::Error::other)?;
        if let Some(LogFile {
            path,
            is_open: false,
            ..
        }) = &file
        {
            let path = path.display();
            tracing::warn!(
                server = &*name,
                "log file {path} is not open yet (nobody may read from a pipe): lines wait until it is, up to {} MiB",
                MOST_WAITING >> 20
            );
        }
        Ok(Self {
            stderr,
            level,
            file,
        })
    }

    /// Reopens `log-NAME.txt` by its name, after a program such as logrotate has moved it away.
    pub fn reopen(&self) {
        if let Some(file) = &self.file {
            file.writing.queue().reopen();
        }
    }

    /// Accepts no more lines, and writes what waits, for at most `patience` for each log.
    pub fn finish(&self, patience: Duration) {
        if let Some(LogFile { writing, path, .. }) = &self.file
            && !writing.finish(patience)
        {
            let path = path.display();
            tracing::warn!("log file {path} does not take what still waits for it: that is lost");
        }
        self.stderr.finish(patience);
    }

    /// Changes the level of the log on standard error.
    pub fn set_level(&self, level: Level) {
        // This fails only when the subscriber is gone.
        let _ = self.level.modify(|filter| *filter = up_to(level));
    }

    /// The queue of the log on standard error.
    pub fn stderr(&self) -> Arc<Queue> {
        self.stderr.queue()
    }

    /// The queue of `log-NAME.txt`, if the configuration asks for that file.
    pub fn file(&self) -> Option<Arc<Queue>> {
        self.file.as_ref().map(|file| file.writing.queue())
    }
}

/// A filter that passes this level of the program's own events, but only warnings and errors of
/// libraries: a library could log a request with the key in it.
fn up_to(level: Level) -> Targets {
    let level = LevelFilter::from_level(level);
    Targets::new()
        .with_target("proxy_herd", level)
        .with_default(level.min(LevelFilter::WARN))
}

/// The line that a log shows in place of `lines` dropped lines.
pub fn missing(lines: u64) -> String {
    format!("({lines} lines are missing about here: they could not be written, or not in time)")
}

/// The line that a JSON log shows in place of `lines` dropped lines.
pub fn missing_as_json(lines: u64) -> String {
    let fields = serde_json::json!({ "message": missing(lines), "missing_lines": lines });
    json_line(Level::WARN, &fields)
}

/// A line of the JSON log for text that does not come through [`tracing`]. `fields` has a
/// `message`.
pub fn json_line(level: Level, fields: &serde_json::Value) -> String {
    let mut timestamp = String::new();
    // Without a clock the line has no time. The rest is still worth logging.
    let _ = SystemTime.format_time(&mut fmt::format::Writer::new(&mut timestamp));
    let line = serde_json::json!({
        "timestamp": timestamp,
        "level": level.to_string(),
        "fields": fields,
    });
    line.to_string()
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.finish(LAST_WORDS);
    }
}
