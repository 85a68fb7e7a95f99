//! The servers under test: started by a command, or running already.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::Options;
use super::places::FakePlaces;
use crate::herd::{Address, Herd, Name};
use crate::live::command::{Command, Ports, Values, herd_file};
use crate::live::process::{Launch, Process, ProcessError, free_ports, listening};

/// How often servers are started with chosen ports, of which another process can take one first.
const TRIES: u32 = 3;

/// The servers that are checked.
#[derive(Clone, Debug)]
pub enum Subject {
    /// Servers that a command starts, and variables for them.
    Command(Command, Vec<(String, String)>),
    /// Servers that run already: the address for clients of each.
    Attached(BTreeMap<Name, Address>),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(command, _) => write!(f, "`{command}`"),
            Self::Attached(servers) => {
                let servers = servers.iter().map(|(name, at)| format!("{name}={at}"));
                write!(
                    f,
                    "running servers {}",
                    servers.collect::<Vec<_>>().join(",")
                )
            }
        }
    }
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A server did not come up.
    #[error("{0}")]
    Process(#[from] ProcessError),
    /// The machine gives no port, or no folder.
    #[error("can't prepare: {0}")]
    System(#[from] io::Error),
    /// A port that servers have in their code is in use.
    #[error(
        "something listens at port {port} already, which is that of {name}\n\
         help: end it, or check what runs there by `--attach {name}=127.0.0.1:{port},…`"
    )]
    Taken {
        /// The server.
        name: Name,
        /// Its port.
        port: u16,
    },
    /// No server runs where one should.
    #[error(
        "nothing listens at port {port}, where {name} should run\nhelp: start the servers first, or give `--command`"
    )]
    Absent {
        /// The server.
        name: Name,
        /// Its port.
        port: u16,
    },
}

/// A folder for logs and the herd file, removed at the end.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new(nonce: &str) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("herd-check-{nonce}"));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A server that is about to end can still write there, and nobody waits for it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The servers under test, with the stand-in for Places.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) herd: Herd,
    pub(super) names: Vec<Name>,
    ports: BTreeMap<Name, Ports>,
    subject: Subject,
    guard: PathBuf,
    start: Duration,
    processes: BTreeMap<Name, Process>,
    pub(super) places: FakePlaces,
    /// The name of this run, which no other run has.
    pub(super) nonce: String,
    // Dropped last: servers write there.
    folder: Folder,
}

impl Bench {
    pub(super) async fn start(options: &Options, nonce: String) -> Result<Self, BenchError> {
        let herd = options.herd.clone();
        let names = herd.servers().iter().map(|server| server.name.clone());
        let names: Vec<Name> = names.collect();
        let mut bench = Self {
            ports: ports(&herd, &options.subject).await?,
            names: known(&names, &options.subject),
            herd,
            subject: options.subject.clone(),
            guard: options.guard.clone(),
            start: options.start,
            processes: BTreeMap::new(),
            places: FakePlaces::start().await?,
            folder: Folder::new(&nonce)?,
            nonce,
        };
        for _ in 1..TRIES {
            match bench.begin_all().await {
                Err(error) if bench.chose_ports() && is_taken(&error) => {
                    bench.processes.clear();
                    bench.ports = ports(&bench.herd, &bench.subject).await?;
                }
                begun => return begun.map(|()| bench),
            }
        }
        bench.begin_all().await?;
        Ok(bench)
    }

    async fn begin_all(&mut self) -> Result<(), BenchError> {
        fs::write(self.file(), herd_file(&self.herd, &self.ports))?;
        for name in self.names.clone() {
            self.begin(&name).await?;
        }
        for name in self.names.clone() {
            self.listens(&name).await?;
        }
        Ok(())
    }

    fn chose_ports(&self) -> bool {
        matches!(&self.subject, Subject::Command(command, _) if command.takes_ports())
    }

    fn file(&self) -> PathBuf {
        self.folder.0.join("herd.toml")
    }

    /// Whether the servers' processes are in our hands.
    pub(super) fn has_processes(&self) -> bool {
        matches!(self.subject, Subject::Command(..))
    }

    /// Whether the servers ask the stand-in for Places.
    pub(super) fn has_places(&self) -> bool {
        matches!(&self.subject, Subject::Command(command, _) if command.takes_places())
    }

    /// The address for clients. A server that is not there has port 0, which nothing takes.
    pub(super) fn address(&self, name: &str) -> Address {
        let attached = match &self.subject {
            Subject::Attached(servers) => servers.get(name).cloned(),
            Subject::Command(..) => None,
        };
        attached.unwrap_or_else(|| Address {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: self.ports.get(name).map_or(0, |ports| ports.client),
        })
    }

    async fn begin(&mut self, name: &Name) -> Result<(), BenchError> {
        let Subject::Command(command, environment) = &self.subject else {
            return Ok(());
        };
        let url = self.places.url();
        let values = Values {
            name,
            ports: &self.ports,
            herd: &self.file(),
            places: Some(&url),
            logs: &self.folder.0,
        };
        let mut variables = environment.clone();
        // Our own servers warn of variables that are no settings.
        if variables.is_empty() {
            variables = values.environment();
        }
        let launch = Launch {
            name: name.to_string(),
            words: command.words(&values),
            environment: variables,
            folder: None,
            log: self.folder.0.join(format!("out-{name}.txt")),
        };
        let process = Process::start(&self.guard, &launch).await?;
        self.processes.insert(name.clone(), process);
        Ok(())
    }

    async fn listens(&mut self, name: &Name) -> Result<(), BenchError> {
        let Address { host, port } = self.address(name);
        match self.processes.get_mut(name) {
            Some(process) => Ok(process.listens(port, self.start).await?),
            // Of another machine only a connection could tell.
            None if !is_here(&host) || listening(port).await? => Ok(()),
            None => Err(BenchError::Absent {
                name: name.clone(),
                port,
            }),
        }
    }

    /// Starts a server, again.
    pub(super) async fn restart(&mut self, name: &Name) -> Result<(), BenchError> {
        self.kill(name).await?;
        self.begin(name).await?;
        self.listens(name).await
    }

    pub(super) async fn kill(&mut self, name: &Name) -> io::Result<()> {
        match self.processes.get_mut(name) {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    pub(super) fn freeze(&mut self, name: &Name) -> io::Result<()> {
        self.processes.get_mut(name).map_or(Ok(()), Process::freeze)
    }

    pub(super) fn thaw(&mut self, name: &Name) -> io::Result<()> {
        self.processes.get_mut(name).map_or(Ok(()), Process::thaw)
    }

    /// The servers that have ended, each with how, and its last lines.
    pub(super) fn ended(&mut self) -> Vec<(Name, String)> {
        let ended = self.processes.iter_mut().filter_map(|(name, process)| {
            let status = process.status().ok().flatten()?;
            Some((
                name.clone(),
                format!("{name} ended ({status}){}", process.output()),
            ))
        });
        ended.collect()
    }

    /// A server without which the others are still linked, and whose neighbours are as many as
    /// possible: what goes around it goes a long way.
    pub(super) fn expendable(&self) -> Option<Name> {
        let spared = self.names.iter().filter(|name| self.is_whole_without(name));
        spared
            .max_by_key(|name| self.neighbours(name).len())
            .cloned()
    }

    /// The neighbours of a server, in the order of the herd.
    pub(super) fn neighbours(&self, name: &str) -> Vec<Name> {
        let Some(id) = self.herd.id(name) else {
            return Vec::new();
        };
        let others = self.herd.links().iter().filter_map(|link| link.other(id));
        others
            .map(|other| self.herd.server(other).name.clone())
            .collect()
    }

    fn is_whole_without(&self, without: &Name) -> bool {
        let others: Vec<_> = self.names.iter().filter(|name| *name != without).collect();
        let Some(&first) = others.first() else {
            return false;
        };
        let mut reached = vec![first.clone()];
        let mut next = 0;
        while let Some(from) = reached.get(next).cloned() {
            for to in self.neighbours(&from) {
                if to != *without && !reached.contains(&to) {
                    reached.push(to);
                }
            }
            next += 1;
        }
        reached.len() == others.len() && others.len() > 1
    }
}

/// Whether a server ended since somebody else took its port, by the words of most languages.
fn is_taken(error: &BenchError) -> bool {
    let BenchError::Process(ProcessError::Ended { output, .. }) = error else {
        return false;
    };
    let output = output.to_lowercase();
    output.contains("in use") || output.contains("eaddrinuse")
}

/// Whether a host is this machine by the name of its loopback.
fn is_here(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The names of the servers that are checked, in the order of the herd.
fn known(names: &[Name], subject: &Subject) -> Vec<Name> {
    let is_known = |name: &&Name| match subject {
        Subject::Command(..) => true,
        Subject::Attached(ports) => ports.contains_key(&**name),
    };
    names.iter().filter(is_known).cloned().collect()
}

/// The ports of the servers: chosen by the system where the command takes them, else those of the
/// herd, which must be free.
async fn ports(herd: &Herd, subject: &Subject) -> Result<BTreeMap<Name, Ports>, BenchError> {
    let servers = herd.servers();
    let command = match subject {
        Subject::Attached(_) => return Ok(BTreeMap::new()),
        Subject::Command(command, _) => command,
    };
    if command.takes_ports() {
        let free = free_ports(2 * servers.len())?;
        let ports = servers
            .iter()
            .zip(free.chunks_exact(2))
            .map(|(server, free)| {
                let peer = if command.has_peer_ports() {
                    free[1]
                } else {
                    free[0]
                };
                (
                    server.name.clone(),
                    Ports {
                        client: free[0],
                        peer,
                    },
                )
            });
        return Ok(ports.collect());
    }
    let mut ports = BTreeMap::new();
    for server in servers {
        let (name, client) = (server.name.clone(), server.client.port);
        if listening(client).await? {
            return Err(BenchError::Taken { name, port: client });
        }
        ports.insert(
            name,
            Ports {
                client,
                peer: server.peer.port,
            },
        );
    }
    Ok(ports)
}
