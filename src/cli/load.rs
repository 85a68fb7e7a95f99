//! `herd load`: sends requests to a herd and measures its answers.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::or;

use super::signals::Signals;
use super::{Exit, Failure, print, warn};
use crate::herd::{Address, Herd};
use crate::load::{Load, Plan, Target};
use crate::net::secure::{CallerTls, Clock, Pem};
use crate::net::tokio::TokioNet;
use crate::units::DurationText;

/// Put load on any herd that speaks the client protocol, and measure its answers
///
/// The seed determines all requests, and each answer is checked against its request: `wrong`
/// matches no request, `lost` did not arrive by the deadline or before its connection ended,
/// `duplicate` arrived a second time. In a closed loop (the default) a request is sent when the
/// window has room for it, and its latency counts from then. At a fixed --rate the latency counts
/// from when the request was due, whether it was sent or not, so that a frozen server can't hide it
/// (coordinated omission); a request without an answer --timeout after it was due is lost. Sending
/// on time keeps a core busy.
///
/// Any spelling of a skew is accepted, and so are answers that end with line feeds, without one, or
/// with their connection. A server that closes each connection after its first answer gets one
/// connection for each request. The first answer that can't be parsed is shown as it arrived.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd load 127.0.0.1:12200
  herd load --herd riley --rate 5000 --duration 30s
  herd load --herd riley Riley Campbell --connections 8 --window 64 --propagation 5
  herd load 127.0.0.1:12200 --count 1000 --reconnect --json
  herd load 127.0.0.1:12200 --pid 4711
  herd load --herd riley --tls-authorities certs/authority.pem

Exit codes:
  0  every request had its answer
  1  something was wrong, lost, duplicate or never reached a server, or nothing could connect
  2  the command line or the herd file is bad")]
pub(super) struct Args {
    /// HOST:PORT of a server's listener for clients; with --herd, names of servers (none: all of
    /// them)
    #[arg(value_name = "SERVER", required_unless_present = "herd")]
    servers: Vec<String>,
    /// A built-in herd's name, or a herd file, for the servers' names and addresses
    #[arg(long, value_name = "NAME|FILE")]
    herd: Option<String>,
    /// The number of connections, spread over the servers
    #[arg(short, long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// The maximum number of requests in flight on each connection
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    window: u32,
    /// Open a connection for each request, and count the time to connect as part of the latency.
    /// Without this flag it happens where a server closes connections after their first answer
    #[arg(long, conflicts_with = "window")]
    reconnect: bool,
    /// Requests a second over all connections, whatever the servers do [default: a closed loop]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    rate: Option<u64>,
    /// How long to send requests [default: 10s, without --count]
    #[arg(short, long, value_name = "TIME")]
    duration: Option<DurationText>,
    /// The number of requests to send
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
    /// The percentage of requests that are WHATSAT, each of which is one look-up at Places. A
    /// connection that has sent no IAMAT yet sends one before its first WHATSAT, which is not
    /// counted
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    whatsat: u8,
    /// How long an answer, or opening a connection, may take
    #[arg(long, value_name = "TIME", default_value = "5s")]
    timeout: DurationText,
    /// Follow this number of updates a second to all servers, one after the other. Each followed
    /// update causes one look-up at Places at every server but its origin
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    propagation: u32,
    /// Measure the processor time of the server with this process id, on this machine; repeat it
    /// for several servers
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,
    /// The seed of all requests. Loads that run at the same time need different seeds
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The number of threads that send requests
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Speak TLS, and trust the authorities in this PEM file to sign servers' certificates
    #[arg(long, value_name = "FILE")]
    tls_authorities: Option<PathBuf>,
    /// The name that each server's certificate must be for [default: the server's name, or its
    /// host]
    #[arg(long, value_name = "NAME", requires = "tls_authorities")]
    tls_name: Option<String>,
    /// Print the summary as one JSON object, times in nanoseconds
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let plan = plan(args)?;
    let runtime = match args.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    }
    .worker_threads(args.threads.into())
    .enable_all()
    .build()
    .map_err(|error| Failure::Internal(format!("can't begin: {error}")))?;
    let summary = runtime.block_on(async {
        let load = Load::new(plan);
        or(make(&load), or(show(&load), interrupts(&load))).await?;
        Ok::<_, Failure>(load.summary())
    })?;
    if args.json {
        let json = serde_json::to_string(&summary);
        let json = json.map_err(|error| Failure::Internal(error.to_string()))?;
        print(&(json + "\n"))?;
    } else {
        print(&summary.text())?;
    }
    if summary.connected == 0 {
        let _ = writeln!(std::io::stderr(), "error: nothing could connect");
    }
    Ok(if summary.is_good() {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

async fn make(load: &Arc<Load>) -> Result<(), Failure> {
    let made = load.run().await;
    made.map_err(|error| Failure::Internal(format!("the load ended: {error}")))
}

/// Erases the progress line when dropped, however the load ends.
struct Clear;

impl Drop for Clear {
    fn drop(&mut self) {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
}

/// Shows the progress on one line if standard error is a terminal.
async fn show(load: &Load) -> Result<(), Failure> {
    if !std::io::stderr().is_terminal() {
        return std::future::pending().await;
    }
    let _clear = Clear;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let _ = write!(std::io::stderr(), "\r\x1b[K{}", load.progress());
    }
}

/// The first signal stops sending, and requests in flight are still answered. The second signal
/// ends the load at once.
async fn interrupts(load: &Load) -> Result<(), Failure> {
    let Ok(mut signals) = Signals::new() else {
        return std::future::pending().await;
    };
    for _ in 0..2 {
        signals.next().await;
        load.stop();
    }
    Ok(())
}

fn plan(args: &Args) -> Result<Plan, Failure> {
    let targets = targets(args)?;
    if args.propagation > 0 && targets.len() < 2 {
        let text = "--propagation needs two servers or more: name another one";
        return Err(Failure::Input(text.to_owned()));
    }
    let timeout = args.timeout.0;
    if timeout.is_zero() || args.duration.is_some_and(|duration| duration.0.is_zero()) {
        let text = "--timeout and --duration must be longer than nothing";
        return Err(Failure::Input(text.to_owned()));
    }
    if args.count == Some(0) {
        let text = "--count 0 asks nothing: give 1 or more, or a --duration";
        return Err(Failure::Input(text.to_owned()));
    }
    let authorities = args.tls_authorities.as_deref().map(Pem::load).transpose()?;
    let tls = authorities.map(|authorities| CallerTls::new(&authorities, Clock::of(&TokioNet)));
    let ten = Duration::from_secs(10);
    Ok(Plan {
        targets,
        connections: args.connections as usize,
        window: args.window as usize,
        reconnect: args.reconnect,
        tls: tls.transpose()?,
        tls_name: args.tls_name.clone(),
        rate: args.rate,
        duration: match args.duration {
            Some(duration) => Some(duration.0),
            None => args.count.is_none().then_some(ten),
        },
        count: args.count,
        whatsat: args.whatsat,
        timeout,
        probes: args.propagation.into(),
        pids: args.pid.clone(),
        seed: args.seed,
    })
}

fn targets(args: &Args) -> Result<Vec<Target>, Failure> {
    let Some(reference) = &args.herd else {
        let addresses = args.servers.iter().map(|text| {
            let address = address(text).ok_or_else(|| {
                Failure::Input(format!(
                    "`{text}` is no HOST:PORT such as `127.0.0.1:12200`; for a server's name, say --herd, too"
                ))
            })?;
            let name = None;
            Ok(Target { name, address })
        });
        return addresses.collect();
    };
    let (herd, warnings) = Herd::load(reference, Some(Path::new(".")))?;
    warn(&warnings);
    let ids = if args.servers.is_empty() {
        herd.ids().collect()
    } else {
        let ids = args.servers.iter().map(|name| {
            herd.id(name).ok_or_else(|| {
                let close = crate::diag::did_you_mean(name, "servers", herd.server_names());
                Failure::Input(format!(
                    "herd {} has no server `{name}`; {close}",
                    herd.name()
                ))
            })
        });
        ids.collect::<Result<Vec<_>, _>>()?
    };
    let target = |id| {
        let server = herd.server(id);
        Target {
            name: Some(server.name.clone()),
            address: server.client.clone(),
        }
    };
    Ok(ids.into_iter().map(target).collect())
}

/// Parses `HOST:PORT`, with an IPv6 address in brackets.
fn address(text: &str) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port| port > 0)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!host.is_empty()).then(|| Address {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let shown = |text| address(text).map(|address| address.to_string());
        for good in ["localhost:12200", "127.0.0.1:1", "[::1]:65535"] {
            assert_eq!(shown(good).as_deref(), Some(good));
        }
        for bad in [
            "",
            "localhost",
            ":1",
            "localhost:0",
            "localhost:65536",
            "::1:1",
            "[::1:1",
            "a:b",
        ] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }
}
