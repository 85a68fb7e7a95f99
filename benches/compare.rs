//! The cost of the server compared with a bare program that does the minimum. The unit is requests
//! per second of the *server's* CPU, so a slow load generator does not matter.
//!
//! ```sh
//! cargo bench --bench compare                 # 5 rounds
//! cargo bench --bench compare -- --rounds 9 --seconds 2
//! cargo bench --bench compare -- --quick      # does it work at all?
//! cargo bench --bench compare -- --propagation
//! ```
//!
//! Each server is a process with one thread on one core; the load comes from another core. Each
//! round measures all of them in turn, and ratios are taken within a round, so that other activity
//! of the machine affects both sides. Redis and NATS are measured, too, where they are installed.
//!
//! With `--disk` it compares what records on disk cost: a server in memory beside one that writes in
//! the background, by CPU; and one that answers when a record is on the disk beside a bare program
//! that appends and syncs the same bytes, by requests a second. The folder is one of the system's
//! temporary ones, unless `TMPDIR` says otherwise.
//!
//! With `--start` it measures how long a server with a million records on disk takes from its start to
//! its first answer.
//!
//! With `--propagation` it compares five servers of each kind: see `compare/propagation.rs`.

#[path = "compare/append.rs"]
mod append;
#[path = "compare/flood.rs"]
mod flood;
#[path = "compare/generator.rs"]
mod generator;
mod limit;
#[path = "compare/propagation.rs"]
mod propagation;
#[path = "compare/start.rs"]
mod start;

use std::error::Error;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use proxy_herd::disk::{Data, Durability, Folder};
use proxy_herd::herd::{Address, Herd};
use proxy_herd::journal::NullJournal;
use proxy_herd::load::cpu;
use proxy_herd::net::tokio::TokioNet;
use proxy_herd::places::FixedPlaces;
use proxy_herd::server::{self, Config, Listeners, Start};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::LocalSet;

use generator::{Dialect, Load, Measured};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const LOADS: [Load; 3] = [
    Load {
        title: "64 connections, closed loop",
        connections: 64,
        window: 1,
    },
    Load {
        title: "64 connections, window 64",
        connections: 64,
        window: 64,
    },
    Load {
        title: "1 connection, window 256",
        connections: 1,
        window: 256,
    },
];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let after = |flag| args.iter().skip_while(move |arg| *arg != flag).nth(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = LocalSet::new();
    match after("--serve").map(String::as_str) {
        Some("limit") => local.block_on(&runtime, serve_limit()),
        Some("flood") => {
            let ports: Vec<u16> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
            local.block_on(&runtime, serve_flood(&ports))
        }
        Some("append") => local.block_on(&runtime, serve_append()),
        Some("background") => local.block_on(&runtime, serve_with_disk(Durability::Background)),
        Some("answered") => local.block_on(&runtime, serve_with_disk(Durability::Answered)),
        Some("again") => local.block_on(
            &runtime,
            serve_folder(&folder_path("start"), Durability::Background),
        ),
        Some(_) => local.block_on(&runtime, serve_herd()),
        None => {
            // `cargo test` runs this without `--bench`, so one short round is enough.
            let quick = args.iter().any(|arg| arg == "--quick" || arg == "--test")
                || !args.iter().any(|arg| arg == "--bench");
            let number = |flag, or: f64| match after(flag) {
                Some(text) => text.parse().map_err(|_| format!("{flag} wants a number")),
                None => Ok(or),
            };
            let seconds = number("--seconds", if quick { 0.05 } else { 1.0 })?;
            let rounds = number("--rounds", if quick { 1.0 } else { 5.0 })?;
            let time = Duration::try_from_secs_f64(seconds)?;
            let propagation = args.iter().any(|arg| arg == "--propagation");
            let start = args.iter().any(|arg| arg == "--start");
            if start || quick {
                local.block_on(
                    &runtime,
                    start::measure(if quick { 1000 } else { 1_000_000 }, rounds),
                )?;
            }
            let disk = args.iter().any(|arg| arg == "--disk");
            if disk || quick {
                for (base, with) in [("herd", "background"), ("append", "answered")] {
                    local.block_on(&runtime, compare_disks(base, with, rounds, time))?;
                }
            }
            if !propagation && !disk && !start {
                local.block_on(&runtime, compare(rounds, time))?;
            }
            if propagation || quick {
                propagation::compare(rounds, time)?;
            }
            Ok(())
        }
    }
}

/// Prints the address, and ends this process when its standard input ends, as it does with its
/// parent.
fn announce(address: SocketAddr) {
    println!("{address}");
    #[expect(
        clippy::disallowed_methods,
        reason = "a thread that only waits for the end, in a process of its own"
    )]
    std::thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}

async fn serve_limit() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    announce(listener.local_addr()?);
    Ok(limit::serve(listener).await?)
}

/// Serves one of the five flooding servers: `ports` contains its number, then the port of each for
/// the others.
async fn serve_flood(ports: &[u16]) -> Result<()> {
    let (me, ports) = ports.split_first().ok_or("which of them is it?")?;
    let clients = TcpListener::bind(("127.0.0.1", 0)).await?;
    let me = usize::from(*me);
    let servers = TcpListener::bind(("127.0.0.1", ports[me])).await?;
    announce(clients.local_addr()?);
    Ok(flood::serve(clients, servers, flood::dialled_by(me, ports)).await?)
}

async fn serve_herd() -> Result<()> {
    let herd = Herd::from_links("bench", &["A-B"])?;
    let me = herd.id("A").ok_or("there is A")?;
    let mut config = Config::new(&herd, me, 1);
    // This server is alone, so it has no neighbours to dial or to flood.
    config.node.neighbours.clear();
    config.addresses.clear();
    let any = Address {
        host: "127.0.0.1".to_owned(),
        port: 0,
    };
    let listeners = Listeners::<TokioNet>::bind(&TokioNet, &any, &any).await?;
    announce(listeners.clients.local_addr()?);
    let (_running, stop) = watch::channel(false);
    let (places, journal) = (Arc::new(FixedPlaces::default()), Arc::new(NullJournal));
    server::serve(TokioNet, listeners, config, places, journal, stop).await?;
    Ok(())
}

/// The folder of a server.
fn folder_path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("herd-compare-{name}"))
}

/// The folder of a server that begins anew.
fn folder(name: &str) -> Result<PathBuf> {
    let path = folder_path(name);
    if path.exists() {
        std::fs::remove_dir_all(&path)?;
    }
    std::fs::create_dir_all(&path)?;
    Ok(path)
}

async fn serve_append() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    announce(listener.local_addr()?);
    Ok(append::serve(listener, &folder("append")?).await?)
}

/// Serves with records on disk, and none at first.
async fn serve_with_disk(durability: Durability) -> Result<()> {
    serve_folder(&folder(&format!("{durability:?}"))?, durability).await
}

/// Serves with the records in a folder.
async fn serve_folder(folder: &Path, durability: Durability) -> Result<()> {
    let herd = Herd::from_links("bench", &["A-B"])?;
    let me = herd.id("A").ok_or("there is A")?;
    let (_running, stop) = watch::channel(false);
    let mut start = Start::new(&herd, me, 1, stop);
    start.config.node.neighbours.clear();
    start.config.addresses.clear();
    // The ports are free unless another process takes them first.
    let ports = [
        TcpListener::bind(("127.0.0.1", 0)).await?,
        TcpListener::bind(("127.0.0.1", 0)).await?,
    ];
    for (address, port) in [&mut start.clients, &mut start.peers]
        .into_iter()
        .zip(&ports)
    {
        let local = port.local_addr()?;
        (address.host, address.port) = (local.ip().to_string(), local.port());
    }
    let at = ports[0].local_addr()?;
    drop(ports);
    let mut data = Data::new(Arc::new(Folder::take(folder)?));
    data.durability = durability;
    start.data = Some(data);
    let serving = start.serve(TokioNet);
    let announced = async {
        while tokio::net::TcpStream::connect(at).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        announce(at);
        std::future::pending().await
    };
    Ok(futures_lite::future::or(serving, announced).await?)
}

/// Compares two servers under the pipelined load.
async fn compare_disks(
    base: &'static str,
    with: &'static str,
    rounds: f64,
    time: Duration,
) -> Result<()> {
    let pinned = pin_myself();
    // What waits for the disk is no work, so a server's own thread for it has a core as well.
    let servers = [Running::own(base, pinned)?, Running::own(with, pinned)?];
    let load = LOADS[1];
    println!("\n{}, {with} beside {base}", load.title);
    let measured = measure(&servers, load, rounds, time).await?;
    let ratio = |of: fn(&Measured) -> f64| {
        let pairs = measured[1].iter().zip(&measured[0]);
        spread(pairs.map(|(its, base)| of(its) / of(base)))
    };
    for (what, of) in [
        (
            "requests a second of CPU",
            Measured::per_cpu_second as fn(&Measured) -> f64,
        ),
        ("requests a second", Measured::per_second),
    ] {
        let [base_rate, rate] = [0, 1].map(|at: usize| spread(measured[at].iter().map(of))[1]);
        let [least, median, most] = ratio(of);
        println!(
            "  {what:<26} {base} {base_rate:.0}, {with} {rate:.0}: {least:.2} {median:.2} {most:.2} (least, median, most)"
        );
    }
    Ok(())
}

/// Starts a process of this program, and reads the address that it prints.
fn announced(command: &mut Command) -> Result<(Child, SocketAddr)> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let stdout = child.stdout.take().ok_or("it has an output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    Ok((child, line.trim().parse()?))
}

/// A server in a process of its own, which is killed when this value is dropped.
struct Running {
    name: &'static str,
    dialect: Dialect,
    address: SocketAddr,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts one of this program's own servers.
    fn own(name: &'static str, pinned: bool) -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut command = on_core(0, program.as_os_str().to_str().ok_or("a path")?, pinned);
        command.args(["--serve", name]);
        let (child, address) = announced(&mut command)?;
        Ok(Self {
            name,
            dialect: Dialect::Iamat,
            address,
            child,
        })
    }

    /// Starts another program, if it is installed.
    async fn other(
        name: &'static str,
        dialect: Dialect,
        args: &[&str],
        pinned: bool,
    ) -> Option<Self> {
        let is_there = Command::new(name).arg("--version").output().is_ok();
        if !is_there {
            println!("{name} is not installed: left out");
            return None;
        }
        // The port is free unless another process takes it first.
        let free = TcpListener::bind(("127.0.0.1", 0)).await.ok()?;
        let address = free.local_addr().ok()?;
        drop(free);
        let mut command = on_core(0, name, pinned);
        command.args(args).arg(address.port().to_string());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().ok()?;
        let running = Self {
            name,
            dialect,
            address,
            child,
        };
        for _ in 0..100 {
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return Some(running);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("{name} does not answer: left out");
        None
    }
}

/// Runs `program` on one core, if `pinned`.
fn on_core(core: usize, program: &str, pinned: bool) -> Command {
    if !pinned {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string(), program]);
    command
}

/// Pins this process, which generates the load, to the second core. Returns whether that worked.
fn pin_myself() -> bool {
    let me = std::process::id().to_string();
    let mut command = Command::new("taskset");
    let done = command
        .args(["-cp", "1", &me])
        .stdout(Stdio::null())
        .status();
    done.is_ok_and(|status| status.success())
}

async fn compare(rounds: f64, time: Duration) -> Result<()> {
    if let Err(error) = cpu::used(std::process::id()) {
        println!("this system does not say what a process uses ({error}): nothing to compare");
        return Ok(());
    }
    let pinned = pin_myself();
    if !pinned {
        println!("no taskset or no second core: nothing is pinned, so expect a wider spread");
    }
    let mut servers = vec![
        Running::own("limit", pinned)?,
        Running::own("herd", pinned)?,
    ];
    let redis = [
        "--save",
        "",
        "--appendonly",
        "no",
        "--bind",
        "127.0.0.1",
        "--port",
    ];
    servers.extend(Running::other("redis-server", Dialect::RedisSet, &redis, pinned).await);
    let nats = ["--addr", "127.0.0.1", "--port"];
    servers.extend(Running::other("nats-server", Dialect::NatsPub, &nats, pinned).await);
    for load in LOADS {
        println!("\n{}", load.title);
        let measured = measure(&servers, load, rounds, time).await?;
        tell(&servers, &measured);
    }
    Ok(())
}

/// Measures all servers in turn, in each round. Returns what was measured of each.
async fn measure(
    servers: &[Running],
    load: Load,
    rounds: f64,
    time: Duration,
) -> Result<Vec<Vec<Measured>>> {
    let mut measured: Vec<Vec<Measured>> = servers.iter().map(|_| Vec::new()).collect();
    let mut round = 0.0;
    while round < rounds {
        for (server, measured) in servers.iter().zip(&mut measured) {
            let (address, pid) = (server.address, server.child.id());
            let done = generator::run(address, pid, server.dialect, load, time).await;
            measured.push(done.map_err(|error| format!("{}: {error}", server.name))?);
        }
        round += 1.0;
    }
    Ok(measured)
}

fn tell(servers: &[Running], measured: &[Vec<Measured>]) {
    println!(
        "                requests a second of CPU   a second   of the limit's: least  median  most"
    );
    for (server, rounds) in servers.iter().zip(measured) {
        let [_, of_cpu, _] = spread(rounds.iter().map(Measured::per_cpu_second));
        let [_, of_time, _] = spread(rounds.iter().map(Measured::per_second));
        let pairs = rounds.iter().zip(&measured[0]);
        let ratios = pairs.map(|(its, limit)| its.per_cpu_second() / limit.per_cpu_second());
        let [least, median, most] = spread(ratios);
        let name = server.name;
        println!(
            "  {name:<12} {of_cpu:>25.0} {of_time:>10.0} {least:>23.2} {median:>7.2} {most:>5.2}"
        );
    }
}

/// The minimum, the median and the maximum.
fn spread(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [0, values.len() / 2, values.len() - 1].map(|at| values[at])
}
