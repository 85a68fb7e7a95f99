//! How the servers of a run are started.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::files::Folder;
use super::journals::KEPT;
use super::ports::lasting_ports;
use super::{LiveError, Options, plan};
use crate::admin::get;
use crate::herd::{Address, Herd, Name, ServerId};
use crate::live::command::{Command, Ports, Values, herd_file};
use crate::live::process::Launch;
use crate::net::tokio::TokioNet;
use crate::scenario::Scenario;

/// Nothing proves more than that somebody asks.
const KEY: &str = "LIVE\n";

/// The pause between two questions whether a server is ready.
const LOOK: Duration = Duration::from_millis(10);

/// The ports of the servers of a herd.
pub(super) struct Own {
    /// For clients and other servers: those that nobody else has, or those of the herd if nobody can tell servers others.
    pub(super) ports: Vec<Ports>,
    /// For the harness.
    pub(super) admin: Vec<u16>,
    /// Nobody else has them before this is dropped.
    pub(super) held: Vec<TcpListener>,
}

impl Own {
    pub(super) fn new(herd: &Herd, command: Option<&Command>) -> Result<Self, LiveError> {
        let count = herd.servers().len();
        let held = lasting_ports(3 * count).map_err(LiveError::system("find free ports"))?;
        let free = held.iter().map(|held| Ok(held.local_addr()?.port()));
        let free: io::Result<Vec<u16>> = free.collect();
        let free = free.map_err(LiveError::system("find free ports"))?;
        let fixed = herd.servers().iter().map(|server| Ports {
            client: server.client.port,
            peer: server.client.port,
        });
        let (clients, others) = free.split_at(count);
        let (peers, admin) = others.split_at(count);
        let has_two = command.is_none_or(Command::has_peer_ports);
        let peers = if has_two { peers } else { clients };
        let chosen = clients.iter().zip(peers);
        let chosen = chosen.map(|(&client, &peer)| Ports { client, peer });
        let takes_any = command.is_none_or(Command::takes_ports);
        Ok(Self {
            ports: if takes_any {
                chosen.collect()
            } else {
                fixed.collect()
            },
            admin: admin.to_vec(),
            held,
        })
    }
}

/// What one server is told of the others.
pub(super) struct Seen<'a> {
    pub(super) ports: &'a BTreeMap<Name, Ports>,
    pub(super) places: SocketAddr,
    pub(super) admin: Option<&'a Address>,
}

pub(super) fn address(at: SocketAddr) -> Address {
    Address {
        host: at.ip().to_string(),
        port: at.port(),
    }
}

/// Waits until a server is synchronised with its neighbours, or for as long as a start may take.
pub(super) async fn until_ready(admin: &Address, patience: Duration) {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        match get(&TokioNet, admin, "/readyz", patience).await {
            Ok(reply) if reply.status == 200 => return,
            _ => sleep(LOOK).await,
        }
    }
}

/// What starts a server.
pub(super) fn launch(
    scenario: &Scenario,
    options: &Options,
    folder: &Folder,
    id: ServerId,
    seen: &Seen<'_>,
) -> Result<Launch, LiveError> {
    let name = &*scenario.herd.server(id).name;
    let Seen { ports, places, .. } = *seen;
    let herd = herd_file(&scenario.herd, ports);
    let herd = folder.write(&format!("herd-of-{name}.toml"), &herd)?;
    let places_url = format!("http://{places}");
    let values = Values {
        name,
        ports,
        herd: &herd,
        places: Some(&places_url),
        logs: folder.path(),
    };
    let words = if let Some(command) = &options.command {
        command.words(&values)
    } else {
        let key = folder.write("places-key", KEY)?;
        let data = folder.file(&format!("data-of-{name}"));
        let settings = plan::settings(scenario, options.speed, address(places), (&key, &data));
        let settings = folder.write(&format!("settings-of-{name}.toml"), &settings)?;
        let text = |path: &Path| path.display().to_string();
        let words = [
            text(&options.herd),
            "serve".to_owned(),
            name.to_owned(),
            "--herd".to_owned(),
            text(&herd),
            "--config".to_owned(),
            text(&settings),
        ];
        let admin = seen.admin.iter().flat_map(|admin| {
            let kept = KEPT.to_string();
            [
                "--admin".to_owned(),
                admin.to_string(),
                "--journal".to_owned(),
                kept,
            ]
        });
        words.into_iter().chain(admin).collect()
    };
    Ok(Launch {
        name: name.to_owned(),
        words,
        // Variables of ours are settings of `herd serve`.
        environment: match &options.command {
            Some(_) => values.environment(),
            None => Vec::new(),
        },
        folder: None,
        log: folder.file(&format!("output-of-{name}.txt")),
    })
}

/// The clients of a scenario, each once, by the ids in their updates.
pub(super) fn clients(scenario: &Scenario) -> Vec<Vec<u8>> {
    let mut ids: Vec<Vec<u8>> = crate::scenario::planned(&scenario.steps)
        .into_iter()
        .map(|update| update.client_id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
