//! A running server of somebody's herd: one process group behind a guard, with its output in a
//! file.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

use super::guard::STARTED;

/// How long a guard may take until it has started its program.
const START: Duration = Duration::from_secs(10);

/// The interval between two looks at something that the system reports to nobody.
const LOOK: Duration = Duration::from_millis(20);

/// The longest line that a guard writes, in bytes.
const LONGEST_LINE: u64 = 4096;

/// How much of the end of a log is shown, in bytes.
const SHOWN: u64 = 4096;

/// How many lines of the end of a log are shown.
const SHOWN_LINES: usize = 12;

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The server's name, for messages.
    pub name: String,
    /// The program and its arguments.
    pub words: Vec<String>,
    /// Variables beside those of this process.
    pub environment: Vec<(String, String)>,
    /// The folder that the program works in; `None` for that of this process.
    pub folder: Option<PathBuf>,
    /// The file to which standard output and standard error are appended.
    pub log: PathBuf,
}

/// Why a server is not up.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The guard could not be started; nothing runs.
    #[error("can't start {name}: {error}\nhelp: `{guard}` must be the command herd")]
    NoGuard {
        /// The server.
        name: String,
        /// The program that should be `herd`.
        guard: String,
        /// What the system says.
        error: io::Error,
    },
    /// The program could not be started; nothing runs.
    #[error("can't start {name}: {why}: {program}\nhelp: look at the first word of the command")]
    NotStarted {
        /// The server.
        name: String,
        /// What the guard says.
        why: String,
        /// The program.
        program: String,
    },
    /// The server ended before it listened.
    #[error("{name} ended ({status}) before it listened at port {port}{output}")]
    Ended {
        /// The server.
        name: String,
        /// The port at which it was to listen.
        port: u16,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its output, indented.
        output: String,
    },
    /// The server runs, and does not listen.
    #[error(
        "{name} runs, and does not listen at port {port} after {patience:?}{output}\n\
         help: tell it its port by {{port}} in the command, or give a herd file with the ports of its code"
    )]
    Silent {
        /// The server.
        name: String,
        /// The port at which it was to listen.
        port: u16,
        /// How long it was waited for.
        patience: Duration,
        /// The last lines of its output, indented.
        output: String,
    },
    /// The server's process cannot be looked at.
    #[error("can't follow {name}: {error}")]
    Lost {
        /// The server.
        name: String,
        /// What the system says.
        error: io::Error,
    },
}

/// A running server. When it is dropped, none of its processes is left, and neither when this
/// process is killed.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    /// Signals go to all processes of the server.
    group: Pid,
    guard: Child,
    /// The guard kills the group when this closes.
    hold: Option<ChildStdin>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts a server behind a guard, which is the program `herd`.
    pub async fn start(herd: &Path, launch: &Launch) -> Result<Self, ProcessError> {
        let no_guard = |error| ProcessError::NoGuard {
            name: launch.name.clone(),
            guard: herd.display().to_string(),
            error,
        };
        let mut command = Command::new(herd);
        command.arg("guard").arg("--log").arg(&launch.log).arg("--");
        command.args(&launch.words);
        command.envs(launch.environment.iter().cloned());
        if let Some(folder) = &launch.folder {
            command.current_dir(folder);
        }
        let mut guard = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal is for the harness; the guard sees that the harness ends.
            .process_group(0)
            .spawn()
            .map_err(no_guard)?;
        let hold = guard.stdin.take();
        let mut said = String::new();
        if let Some(output) = guard.stdout.take() {
            let mut output = BufReader::new(output.take(LONGEST_LINE));
            let read = timeout(START, output.read_line(&mut said)).await;
            read.map_err(|_| no_guard(io::ErrorKind::TimedOut.into()))?
                .map_err(no_guard)?;
        }
        let group = said.strip_prefix(STARTED);
        let group = group.and_then(|pid| Pid::from_raw(pid.trim_end().parse().ok()?));
        let Some(group) = group else {
            return Err(ProcessError::NotStarted {
                name: launch.name.clone(),
                why: said.trim_end().to_owned(),
                program: launch.words.first().cloned().unwrap_or_default(),
            });
        };
        Ok(Self {
            name: launch.name.clone(),
            log: launch.log.clone(),
            group,
            guard,
            hold,
            ended: None,
        })
    }

    /// The server's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the server ended; `None` while it runs. A server that a signal ended has the code of a
    /// shell, 128 and the signal's number.
    pub fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.guard.try_wait()?;
        }
        Ok(self.ended)
    }

    /// The id of the server's process group, which is that of its first process.
    pub fn id(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// Whether the server runs, frozen or not.
    pub fn runs(&mut self) -> bool {
        matches!(self.status(), Ok(None))
    }

    /// Ends the server at once (SIGKILL), and returns when it has ended.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.signal(Signal::KILL)?;
        self.wait(START).await?;
        Ok(())
    }

    /// Tells the server to end (SIGTERM).
    pub fn stop(&mut self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Stops the server's processes where they are (SIGSTOP).
    pub fn freeze(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets the server's processes go on (SIGCONT).
    pub fn thaw(&mut self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Sends a signal to all processes of the server, unless it has ended.
    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.status()?.is_some() {
            return Ok(());
        }
        match kill_process_group(self.group, signal) {
            // It has just ended, and its guard is about to.
            Err(rustix::io::Errno::SRCH) => Ok(()),
            sent => Ok(sent?),
        }
    }

    /// Waits until the server has ended; `None` if it still runs after `patience`.
    pub async fn wait(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none()
            && let Ok(ended) = timeout(patience, self.guard.wait()).await
        {
            self.ended = Some(ended?);
        }
        Ok(self.ended)
    }

    /// Waits until the server listens at a port.
    ///
    /// On Linux the system is asked for it. A connection that only looks whether it is accepted
    /// ends some servers.
    pub async fn listens(&mut self, port: u16, patience: Duration) -> Result<(), ProcessError> {
        let deadline = Instant::now() + patience;
        loop {
            let name = || self.name.clone();
            let lost = |error| ProcessError::Lost {
                name: name(),
                error,
            };
            if listening(port).await.map_err(lost)? {
                return Ok(());
            }
            let (name, output) = (name(), self.output());
            if let Ok(Some(status)) = self.status() {
                return Err(ProcessError::Ended {
                    name,
                    port,
                    status,
                    output,
                });
            }
            if Instant::now() >= deadline {
                return Err(ProcessError::Silent {
                    name,
                    port,
                    patience,
                    output,
                });
            }
            sleep(LOOK).await;
        }
    }

    /// The last lines that the server wrote, indented, each on a line of its own.
    pub fn output(&self) -> String {
        let lines = last_lines(&self.log).unwrap_or_default();
        let mut output = String::new();
        for line in lines {
            output.push_str("\n  ");
            output.push_str(&line);
        }
        output
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The guard would do it, too, but only a moment later.
        let _ = self.signal(Signal::KILL);
        drop(self.hold.take());
    }
}

/// The last lines of a file that may be long, and no text.
fn last_lines(log: &Path) -> io::Result<Vec<String>> {
    let mut file = fs::File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SHOWN)))?;
    let mut bytes = Vec::new();
    file.take(SHOWN).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().map(crate::protocol::visible).collect();
    let first = lines.len().saturating_sub(SHOWN_LINES);
    Ok(lines[first..].to_vec())
}

/// Whether anything on this machine listens at a port.
#[cfg(target_os = "linux")]
pub async fn listening(port: u16) -> io::Result<bool> {
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match fs::read_to_string(table) {
            Ok(table) if lists(&table, port) => return Ok(true),
            Ok(_) => {}
            // A machine without IPv6 has only one table.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether anything on this machine listens at a port.
#[cfg(not(target_os = "linux"))]
pub async fn listening(port: u16) -> io::Result<bool> {
    let connected = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
    Ok(connected.is_ok())
}

/// Whether one of the system's tables of sockets has one that listens at the port.
#[cfg(target_os = "linux")]
fn lists(table: &str, port: u16) -> bool {
    const LISTENS: &str = "0A";
    let port = format!(":{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let at = fields.next().is_some_and(|local| local.ends_with(&port));
        at && fields.nth(1) == Some(LISTENS)
    })
}

/// Ports of this machine that nothing uses now, all different.
///
/// They are let go before they are returned, so another process could take one of them first; a
/// server then ends at once and says so.
pub fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held = (0..count).map(bind).collect::<io::Result<Vec<_>>>()?;
    let ports = held.iter().map(|one| Ok(one.local_addr()?.port()));
    let ports = ports.collect::<io::Result<BTreeSet<u16>>>()?;
    Ok(ports.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_listens_is_seen_without_a_connection() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listening(port).await.unwrap());
        drop(listener);
        assert!(!listening(port).await.unwrap());
        let header = "  sl  local_address rem_address   st\n";
        let row = "   0: 0100007F:2FA8 00000000:0000 0A 0\n";
        let connected = row.replace("0A", "01");
        assert!(lists(&format!("{header}{row}"), 12200));
        assert!(!lists(&format!("{header}{connected}"), 12200));
        assert!(!lists(&format!("{header}{row}"), 12201));
    }

    #[test]
    fn free_ports_differ() {
        assert_eq!(free_ports(20).unwrap().len(), 20);
    }

    #[test]
    fn the_end_of_a_long_log_is_shown_as_text() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines: Vec<_> = (0..2000).map(|n| format!("line {n}")).collect();
        fs::write(file.path(), lines.join("\n") + "\n\u{1b}[31mred\n").unwrap();
        let shown = last_lines(file.path()).unwrap();
        assert_eq!(shown.len(), SHOWN_LINES);
        assert_eq!(shown[SHOWN_LINES - 2], "line 1999");
        assert_eq!(shown[SHOWN_LINES - 1], "\\x1b[31mred");
    }
}
