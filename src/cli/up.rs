//! `herd up`: runs a whole herd on this machine, each server as a process.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::{or, zip};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::flags::{self, SettingFlags};
use super::living::SYNCHRONISED;
use super::serve::NO_KEY;
use super::signals::Signals;
use super::{Exit, Failure, print, stderr};
use crate::herd::{Address, Herd, Name, Server};
use crate::settings::{Origin, Resolved, Settings};

/// How long after its stop limit a server is killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// The maximum length of a line from a server, in bytes; a longer one is split.
const LONGEST_LINE: u64 = 64 * 1024;

/// Run a whole herd on this machine, one process for each server
///
/// Prints where each server listens and where its log is, and runs until SIGTERM or SIGINT
/// (Ctrl-C); then all servers stop gracefully. A second signal kills them if it comes more than a
/// second later. The servers end with this process, whatever ends it.
///
/// `herd up` takes every setting of `herd serve` and passes it to all servers. By default servers
/// write their `log-NAME.txt` to the folder `herd-logs`, and only warnings to standard error. Each
/// server has a certificate of its own, so certificates are given as a folder. With `--data-dir DIR`
/// each has a folder of its own for its records, `DIR/NAME`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd up
  herd up --herd hill --log-dir /tmp/hill
  herd certs --out certs && herd up --certs certs

Exit codes:
  0  it was told to stop, and all servers did in good order
  1  a server could not begin, or ended by itself
  2  a setting, a file or the command line is wrong")]
pub(super) struct Args {
    /// A built-in herd, or the path of a herd file
    #[arg(long, value_name = "NAME|FILE", default_value = "riley")]
    herd: String,
    /// Let servers authenticate each other by TLS, with the authority and certificates in this
    /// folder, which `herd certs` makes
    #[arg(long, value_name = "DIR")]
    certs: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Args {
    /// The flags for a server's certificate, if there is a folder of certificates.
    fn proof(&self, name: &str) -> Vec<OsString> {
        let Some(certs) = &self.certs else {
            return Vec::new();
        };
        let file = |flag: &str, file: String| {
            let mut flag = OsString::from(format!("--{flag}="));
            flag.push(certs.join(file));
            flag
        };
        vec![
            file("peer-authorities", "authority.pem".to_owned()),
            file("peer-certificate", format!("{name}.pem")),
            file("peer-key", format!("{name}.key")),
        ]
    }
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    stderr::speak(args.settings.early_format(), "");
    // Errors in settings are reported here once, and not by every server.
    let resolved = args.settings.resolve()?;
    let herd = flags::herd(&args.herd)?;
    refuse_one_address(&resolved.settings)?;
    if flags::places_key(&resolved.settings)?.is_none() {
        stderr::warning(NO_KEY);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("can't start: {error}")))?;
    // Signals must be handled even if nobody reads the servers' output.
    stderr::never_wait();
    runtime.block_on(up(args, &resolved, &herd))
}

/// Fails if a setting gives an address to listen on, since all servers would get it.
fn refuse_one_address(settings: &Settings) -> Result<(), Failure> {
    let given = [
        ("listen", &settings.listen),
        ("peer-listen", &settings.peer_listen),
    ];
    let given = given.into_iter().find(|(_, address)| address.is_some());
    given.map_or(Ok(()), |(setting, _)| {
        Err(Failure::Input(format!(
            "`{setting}` is where one server listens, and `herd up` starts several\n\
             help: give each server its host and ports in the herd file, or start each by `herd serve --{setting}`"
        )))
    })
}

async fn up(args: &Args, resolved: &Resolved, herd: &Herd) -> Result<Exit, Failure> {
    let signals = Signals::new();
    let signals =
        signals.map_err(|error| Failure::Failed(format!("can't wait for signals: {error}")))?;
    let logs = resolved.settings.log.dir.clone();
    let logs = logs.unwrap_or_else(|| PathBuf::from("herd-logs"));
    let mut flags = args.settings.again(&["admin", "data-dir"]);
    if *resolved.origin("log-dir") == Origin::Default {
        flags.extend(["--log-dir".into(), logs.clone().into_os_string()]);
    }
    if *resolved.origin("log-level") == Origin::Default {
        flags.push("--log-level=warn".into());
    }
    let (tell, told) = mpsc::channel(64);
    let (end, ending) = watch::channel(Ending::NotYet);
    let mut children = JoinSet::new();
    let admins = admins(herd, resolved.settings.admin.as_ref())?;
    say(&heading(herd, &logs, &admins));
    for (server, admin) in herd.servers().iter().zip(&admins) {
        let admin = admin.as_ref().map(|at| format!("--admin={at}").into());
        let proof = args.proof(&server.name);
        let data = resolved.settings.data.dir.as_ref().map(|dir| {
            let mut flag = OsString::from("--data-dir=");
            flag.push(dir.join(&*server.name));
            flag
        });
        let own = admin.into_iter().chain(proof).chain(data);
        let flags: Vec<OsString> = flags.iter().cloned().chain(own).collect();
        let child = start(&args.herd, &server.name, &flags)?;
        let tell = Tell {
            name: server.name.clone(),
            to: tell.clone(),
        };
        children.spawn(supervise(tell, child, ending.clone()));
    }
    drop((tell, ending));
    let mut running = Running {
        servers: herd.servers().len(),
        end,
        synchronised: BTreeSet::new(),
        patience: resolved.settings.stop_limit + PATIENCE,
        late: None,
        failed: false,
        refused: 0,
    };
    running.follow(signals, told).await;
    while let Some(ended) = children.join_next().await {
        ended.map_err(|error| Failure::Internal(error.to_string()))?;
    }
    Ok(match (running.failed, running.refused == running.servers) {
        (false, _) => Exit::Passed,
        (true, false) => Exit::Failed,
        // Every server has reported bad input.
        (true, true) => Exit::BadInput,
    })
}

/// Prints a line for people. The herd keeps running if nobody can read it.
fn say(text: &str) {
    let _ = print(text);
}

/// The admin address of each server: consecutive ports from the given one on; `None` for all
/// without one.
pub(super) fn admins(
    herd: &Herd,
    first: Option<&Address>,
) -> Result<Vec<Option<Address>>, Failure> {
    let nth = |n: usize| {
        let Some(Address { host, port }) = first else {
            return Ok(None);
        };
        let nth = match port {
            // With port 0 the system chooses a free port for each server.
            0 => Some(0),
            port => u16::try_from(n).ok().and_then(|n| port.checked_add(n)),
        };
        let too_high = || {
            Failure::Input(format!(
                "there are not enough ports from {port} on: give a lower one"
            ))
        };
        let (host, port) = (host.clone(), nth.ok_or_else(too_high)?);
        let admin = Address { host, port };
        match taken(herd, &admin) {
            None => Ok(Some(admin)),
            Some(by) => Err(Failure::Input(format!(
                "`--admin` would take {admin} for operators, where {by}\n\
                 help: give the first of {} ports in a row that the herd does not use itself",
                herd.servers().len()
            ))),
        }
    };
    (0..herd.servers().len()).map(nth).collect()
}

/// The server that already listens on this port, and for whom, in words; `None` if the port is
/// free.
fn taken(herd: &Herd, admin: &Address) -> Option<String> {
    let is_taken = |at: &Address| {
        admin.port > 0 && at.port == admin.port && port_is_shared(&at.host, &admin.host)
    };
    herd.servers().iter().find_map(|server| {
        let for_clients = is_taken(&server.client).then_some("clients");
        let for_whom = for_clients.or_else(|| is_taken(&server.peer).then_some("servers"))?;
        Some(format!("{} listens for {for_whom}", server.name))
    })
}

/// Whether both hosts may be the same machine address, and so share ports. Two different IP
/// addresses do not; a name may be any address.
fn port_is_shared(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(str::parse::<IpAddr>);
    match (one, other) {
        (Ok(one), Ok(other)) => one == other || one.is_unspecified() || other.is_unspecified(),
        _ => true,
    }
}

/// The addresses of each server, and its log file.
fn heading(herd: &Herd, logs: &Path, admins: &[Option<Address>]) -> String {
    let name = herd.name();
    let mut lines = vec![format!(
        "herd {name}: {} servers; end them with Ctrl-C",
        herd.servers().len()
    )];
    let width = herd.server_names().map(str::len).max().unwrap_or_default();
    for (Server { name, client, peer }, admin) in herd.servers().iter().zip(admins) {
        let log = logs.join(format!("log-{name}.txt"));
        let log = log.display();
        let admin = admin
            .as_ref()
            .map_or(String::new(), |at| format!("admin at {at}, "));
        lines.push(format!(
            "  {name:<width$}  clients at {client}, servers at {peer}, {admin}log {log}"
        ));
    }
    lines.join("\n") + "\n"
}

/// Whether and how the servers are to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    NotYet,
    Orderly,
    AtOnce,
}

/// Starts a server's process. The child exits when its standard input closes or when it is
/// reparented, so it can't outlive this process.
fn start(herd: &str, name: &str, flags: &[OsString]) -> Result<Child, Failure> {
    let failed = |error| Failure::Failed(format!("can't start {name}: {error}"));
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command
        .args(["serve", name, "--herd", herd])
        .arg(format!("--supervised={}", std::process::id()))
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // A terminal's Ctrl-C reaches the whole process group. Servers get groups of their own, so that
    // only this process tells them to stop.
    #[cfg(unix)]
    command.process_group(0);
    command.spawn().map_err(failed)
}

/// An event of a server's process.
enum Did {
    /// The process wrote this line to standard error.
    Logged(Vec<u8>),
    /// The process wrote this line to standard output, for its supervisor.
    Said(Vec<u8>),
    Ended(io::Result<ExitStatus>),
}

/// Sends the events of a server's process to [`Running`].
struct Tell {
    name: Name,
    to: mpsc::Sender<(Name, Did)>,
}

impl Tell {
    async fn tell(&self, did: Did) {
        // This cannot fail: the receiver lives until all processes have ended.
        let _ = self.to.send((Arc::clone(&self.name), did)).await;
    }

    async fn lines(&self, stream: Option<impl AsyncRead + Unpin>, did: fn(Vec<u8>) -> Did) {
        let Some(stream) = stream else { return };
        let mut stream = BufReader::new(stream);
        loop {
            let mut line = Vec::new();
            let mut bounded = (&mut stream).take(LONGEST_LINE);
            match bounded.read_until(b'\n', &mut line).await {
                Ok(1..) => self.tell(did(line)).await,
                Ok(0) | Err(_) => return,
            }
        }
    }
}

/// Supervises a process until it has ended, and ends it on request.
async fn supervise(tell: Tell, mut child: Child, mut ending: watch::Receiver<Ending>) {
    let mut stdin = child.stdin.take();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let said = tell.lines(stdout, Did::Said);
    let logged = tell.lines(stderr, Did::Logged);
    let ended = async {
        loop {
            let changed = async { ending.changed().await.ok().map(|()| None) };
            match or(async { Some(Some(child.wait().await)) }, changed).await {
                Some(Some(status)) => return status,
                Some(None) if *ending.borrow() == Ending::Orderly => drop(stdin.take()),
                // The request is to end at once, or its sender is gone.
                Some(None) | None => {
                    let _ = child.start_kill();
                    return child.wait().await;
                }
            }
        }
    };
    let (((), ()), status) = zip(zip(said, logged), ended).await;
    tell.tell(Did::Ended(status)).await;
}

/// The herd while its processes run.
struct Running {
    servers: usize,
    end: watch::Sender<Ending>,
    /// The servers whose links are all synchronised.
    synchronised: BTreeSet<Name>,
    /// The maximum time for stopping.
    patience: Duration,
    /// When stopping has taken too long; `None` while not stopping.
    late: Option<Instant>,
    failed: bool,
    /// The number of servers that ended with bad input.
    refused: usize,
}

/// The next event to handle.
enum Next {
    Did(Option<(Name, Did)>),
    Signal(&'static str),
    Late,
}

impl Running {
    /// Prints the servers' events and forwards signals, until all have ended.
    async fn follow(&mut self, mut signals: Signals, mut told: mpsc::Receiver<(Name, Did)>) {
        loop {
            let did = async { Next::Did(told.recv().await) };
            let signal = async { Next::Signal(signals.next().await) };
            let late = async {
                match self.late {
                    Some(late) => sleep_until(late).await,
                    None => pending().await,
                }
                Next::Late
            };
            match or(did, or(signal, late)).await {
                Next::Did(None) => return,
                Next::Did(Some((name, did))) => self.did(name, did),
                Next::Signal(signal) if self.late.is_none() => {
                    say(&format!("{signal}: all servers stop\n"));
                    self.late = Some(Instant::now() + self.patience);
                    self.end.send_replace(Ending::Orderly);
                }
                Next::Signal(_) | Next::Late => {
                    self.late = Some(Instant::now() + self.patience);
                    self.failed = true;
                    self.end.send_replace(Ending::AtOnce);
                }
            }
        }
    }

    fn did(&mut self, name: Name, did: Did) {
        match did {
            Did::Logged(line) => {
                let line = String::from_utf8_lossy(&line);
                stderr::passed_on(&name, line.trim_end());
            }
            Did::Said(word) if word.trim_ascii() == SYNCHRONISED.as_bytes() => {
                self.synchronised.insert(name);
                if self.synchronised.len() == self.servers {
                    say("all links are synchronised\n");
                }
            }
            Did::Said(_) => {}
            // The whole herd stops, so an unconfirmed stop is no failure.
            Did::Ended(Ok(status))
                if self.late.is_some()
                    && (status.success() || status.code() == Some(Exit::Unconfirmed as i32)) => {}
            Did::Ended(status) => {
                self.failed = true;
                let code = status.as_ref().ok().and_then(ExitStatus::code);
                self.refused += usize::from(code == Some(Exit::BadInput as i32));
                let how = match status {
                    Ok(status) => status.to_string(),
                    Err(error) => error.to_string(),
                };
                say(&format!("{name} ended: {how}\n"));
            }
        }
    }
}
