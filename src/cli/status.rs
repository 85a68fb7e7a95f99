//! `herd status`: the state of a herd's servers in one table.

use std::time::Duration;

use tokio::task::JoinSet;

use super::health::{USUAL_ADMIN, address};
use super::up::admins;
use super::{Exit, Failure, flags, print};
use crate::admin::{self, LinkReport, Status};
use crate::herd::{Address, Herd, Name};
use crate::net::tokio::TokioNet;
use crate::protocol::escape;
use crate::units::{format_duration, parse_duration};

/// The maximum number of servers that are queried at a time, since each takes a file descriptor.
const AT_ONCE: usize = 64;

/// Query the servers of a herd for their state: links, records, lag, versions
///
/// Each server is queried at its admin address (`herd serve --admin`). The column `waiting` counts
/// the records that a server has still to send to its neighbours, which is how far they lag behind.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd up --admin 127.0.0.1:9600 &  herd status
  herd status --herd hill --admin 127.0.0.1:9700      counted up from there, as `herd up` does
  herd status --herd herds/mine.toml --admin :9600    at each server's own host
  herd status --admin 10.0.0.1:9600 --admin 10.0.0.2:9600
  herd status --json

Exit codes:
  0  all servers answered, and are ready
  1  a server did not answer, or is not ready
  2  the command line or the herd file is wrong")]
pub(super) struct Args {
    /// The herd whose servers are queried: a built-in herd, or the path of a herd file [default:
    /// riley, if no --admin is given]
    #[arg(long, value_name = "NAME|FILE")]
    herd: Option<String>,
    /// The admin address of a server; repeat it for several servers. With --herd, a single address
    /// is the first server's, and the next servers have the next ports; `:PORT` is that port at
    /// each server's host [default: 127.0.0.1:9600 and the next ports]
    #[arg(long, value_name = "HOST:PORT", value_parser = maybe_port)]
    admin: Vec<Address>,
    /// How long to wait for each server's answer
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = parse_duration)]
    timeout: Duration,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Parses an address whose host may be omitted.
fn maybe_port(text: &str) -> Result<Address, String> {
    match text.strip_prefix(':').map(str::parse) {
        Some(Ok(port @ 1..)) => Ok(Address {
            host: String::new(),
            port,
        }),
        Some(_) => Err("behind the colon must be a port, from 1 to 65535".to_owned()),
        None => address(text),
    }
}

/// A server's admin address, and its name if that is known.
#[derive(Clone)]
struct Target {
    name: Option<Name>,
    at: Address,
}

/// A server and its answer, or why there is none.
struct ServerAnswer {
    target: Target,
    answer: Result<Status, String>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let targets = targets(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("can't start: {error}")))?;
    let asked = runtime.block_on(ask_all(targets, args.timeout));
    // A name look-up may block for ever, and must not keep the process from ending.
    runtime.shutdown_background();
    let asked = asked?;
    let text = if args.json {
        json(&asked)
    } else {
        table(&asked)
    };
    print(&text)?;
    let all_are_ready = asked.iter().all(ServerAnswer::is_ready);
    Ok(if all_are_ready {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

fn targets(args: &Args) -> Result<Vec<Target>, Failure> {
    let herd = match (&args.herd, &*args.admin) {
        (Some(reference), _) => Some(flags::herd(reference)?),
        (None, []) => Some(flags::herd("riley")?),
        (None, _) => None,
    };
    let Some(herd) = herd else {
        let targets = args.admin.iter().map(|at| match &*at.host {
            "" => Err(Failure::Input(format!(
                "`--admin :{}` is a port at each server's host, and no herd file says which those are\n\
                 help: give `--herd FILE`, or `--admin HOST:{}`",
                at.port, at.port
            ))),
            _ => Ok(Target {
                name: None,
                at: at.clone(),
            }),
        });
        return targets.collect();
    };
    let addresses = addresses(&herd, &args.admin)?;
    let names = herd.servers().iter().map(|server| server.name.clone());
    let targets = names.zip(addresses).map(|(name, at)| Target {
        name: Some(name),
        at,
    });
    Ok(targets.collect())
}

/// The admin address of each server of `herd`.
fn addresses(herd: &Herd, given: &[Address]) -> Result<Vec<Address>, Failure> {
    let at_its_host = |server: &crate::herd::Server, at: &Address| match &*at.host {
        "" => Address {
            host: server.client.host.clone(),
            port: at.port,
        },
        _ => at.clone(),
    };
    let servers = herd.servers();
    let usual = address(USUAL_ADMIN).map_err(Failure::Internal)?;
    match given {
        [at] if at.host.is_empty() => Ok(servers.iter().map(|s| at_its_host(s, at)).collect()),
        [] | [_] => {
            let first = given.first().unwrap_or(&usual);
            Ok(admins(herd, Some(first))?.into_iter().flatten().collect())
        }
        all if all.len() == servers.len() => {
            let both = servers.iter().zip(all);
            Ok(both.map(|(server, at)| at_its_host(server, at)).collect())
        }
        all => Err(Failure::Input(format!(
            "there are {} times `--admin`, and {} servers in the herd `{}`\n\
             help: give one to count up from, or one for each server in the order of the herd file",
            all.len(),
            servers.len(),
            herd.name()
        ))),
    }
}

/// Queries all targets, up to [`AT_ONCE`] at a time. The answers are in the order of the targets.
async fn ask_all(targets: Vec<Target>, patience: Duration) -> Result<Vec<ServerAnswer>, Failure> {
    let mut waiting = targets.into_iter().enumerate();
    let mut asking = JoinSet::new();
    let mut asked = Vec::new();
    loop {
        while asking.len() < AT_ONCE
            && let Some((position, target)) = waiting.next()
        {
            asking.spawn(async move { (position, ask(target, patience).await) });
        }
        match asking.join_next().await {
            Some(done) => asked.push(done.map_err(|error| Failure::Internal(error.to_string()))?),
            None => break,
        }
    }
    asked.sort_by_key(|(position, _)| *position);
    Ok(asked.into_iter().map(|(_, asked)| asked).collect())
}

async fn ask(target: Target, patience: Duration) -> ServerAnswer {
    let answer = match admin::get(&TokioNet, &target.at, "/status", patience).await {
        Err(admin::AskError::Late) => {
            Err(format!("no answer within {}", format_duration(patience)))
        }
        Err(error) => Err(error.to_string()),
        Ok(reply) if reply.status == 404 => Err("alive, but too old to say how it is".to_owned()),
        Ok(reply) => {
            serde_json::from_slice(&reply.body).map_err(|_| admin::AskError::NotHttp.to_string())
        }
    };
    let answer = answer.and_then(|status: Status| match &target.name {
        Some(name) if **name != *status.server => Err(format!(
            "{} of the herd {} answers there",
            escape(status.server.as_bytes()),
            escape(status.herd.as_bytes())
        )),
        _ => Ok(status),
    });
    ServerAnswer { target, answer }
}

impl ServerAnswer {
    fn is_ready(&self) -> bool {
        self.answer.as_ref().is_ok_and(|status| status.ready)
    }

    /// The server's name: its own answer's, else the herd file's, else its address.
    fn name(&self) -> String {
        match (&self.answer, &self.target.name) {
            (Ok(status), _) => status.server.clone(),
            (Err(_), Some(name)) => name.to_string(),
            (Err(_), None) => self.target.at.to_string(),
        }
    }
}

fn json(asked: &[ServerAnswer]) -> String {
    let servers = asked.iter().map(|asked| {
        let admin = asked.target.at.to_string();
        match &asked.answer {
            Ok(status) => serde_json::json!({ "admin": admin, "status": status }),
            Err(error) => serde_json::json!({
                "admin": admin,
                "server": asked.target.name.as_deref(),
                "error": error,
            }),
        }
    });
    let servers: Vec<serde_json::Value> = servers.collect();
    let ready = asked.iter().all(ServerAnswer::is_ready);
    serde_json::json!({ "ready": ready, "servers": servers }).to_string() + "\n"
}

fn table(asked: &[ServerAnswer]) -> String {
    let mut parts = vec![servers(asked)];
    let links = links(asked);
    if links.len() > 1 {
        parts.push(columns(&links));
    }
    let notes = notes(asked);
    if !notes.is_empty() {
        parts.push(notes.join("\n") + "\n");
    }
    let ready = asked.iter().filter(|asked| asked.is_ready()).count();
    parts.push(format!("{ready} of {} servers are ready\n", asked.len()));
    parts.join("\n")
}

/// The lines below the tables: why servers are not ready, and which did not answer.
fn notes(asked: &[ServerAnswer]) -> Vec<String> {
    let mut notes = Vec::new();
    for (asked, status) in answered(asked) {
        let (name, why) = (asked.name(), status.not_ready_because.iter());
        notes.extend(why.map(|why| format!("{name} is not ready: {}", escape(why.as_bytes()))));
        if status.came_up_empty {
            notes.push(format!(
                "{name} came up empty: a first start, or all servers were down at once"
            ));
        }
        if let Some(disk) = status.disk.as_ref().filter(|disk| disk.failing) {
            notes.push(format!("{name}: {disk}"));
        }
    }
    for asked in asked {
        if let Err(error) = &asked.answer {
            let (name, at) = (asked.name(), &asked.target.at);
            notes.push(format!("{name}: {error} ({at})"));
        }
    }
    notes
}

fn answered(asked: &[ServerAnswer]) -> impl Iterator<Item = (&ServerAnswer, &Status)> {
    asked
        .iter()
        .filter_map(|asked| Some((asked, asked.answer.as_ref().ok()?)))
}

fn servers(asked: &[ServerAnswer]) -> String {
    let head = [
        "server", "state", "links", "records", "waiting", "up", "version",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for asked in asked {
        let name = escape(asked.name().as_bytes());
        rows.push(match &asked.answer {
            Err(_) => vec![name, "no answer".to_owned()],
            Ok(status) => vec![
                name,
                if status.ready { "ready" } else { "not ready" }.to_owned(),
                format!("{} of {}", status.links_up(), status.links.len()),
                status.records.to_string(),
                status.waiting().to_string(),
                long(status.up_seconds),
                escape(format!("{} {} {}", status.version, status.commit, status.date).as_bytes()),
            ],
        });
    }
    columns(&rows)
}

/// The table of links: a row for each end of each link.
fn links(asked: &[ServerAnswer]) -> Vec<Vec<String>> {
    let head = [
        "server",
        "neighbour",
        "link",
        "waiting",
        "round trip",
        "clock",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (asked, status) in answered(asked) {
        rows.extend(status.links.iter().map(|link| {
            vec![
                escape(asked.name().as_bytes()),
                escape(link.peer.as_bytes()),
                state(link).to_owned(),
                link.waiting.to_string(),
                link.round_trip_nanos.map_or("-".to_owned(), millis),
                link.clock_offset_nanos.map_or("-".to_owned(), |offset| {
                    let sign = if offset < 0 { '-' } else { '+' };
                    format!("{sign}{}", millis(offset.unsigned_abs()))
                }),
            ]
        }));
    }
    rows
}

fn state(link: &LinkReport) -> &'static str {
    match link {
        LinkReport { up: false, .. } => "down",
        LinkReport {
            synchronised: false,
            ..
        } => "synchronising",
        _ => "synchronised",
    }
}

/// Aligns rows in columns, two spaces apart.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        text += cells.join("  ").trim_end();
        text += "\n";
    }
    text
}

/// Nanoseconds as milliseconds with three decimals.
fn millis(nanos: u64) -> String {
    let micros = nanos / 1000;
    format!("{}.{:03}ms", micros / 1000, micros % 1000)
}

/// A duration in its two largest units: `1h 0m`.
fn long(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => format!("{minutes}m {rest}s"),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::{addresses, columns, long, maybe_port};
    use crate::herd::Herd;

    #[test]
    fn a_time_has_its_two_largest_units() {
        let shown = [0, 59, 60, 3599, 3600, 90_000].map(long);
        assert_eq!(shown, ["0s", "59s", "1m 0s", "59m 59s", "1h 0m", "1d 1h"]);
    }

    #[test]
    fn columns_are_as_wide_as_they_must_and_lines_end_with_a_word() {
        let rows = [vec!["a", "bcd", "e"], vec!["fgh", "i"]];
        let rows = rows.map(|row| row.into_iter().map(str::to_owned).collect());
        assert_eq!(columns(&rows), "a    bcd  e\nfgh  i\n");
    }

    #[test]
    fn where_a_herd_is_asked_follows_from_one_address_or_is_said_for_each() {
        let herd = Herd::from_links("line", &["A-B", "B-C"]).expect("a herd");
        let asked = |given: &[&str]| {
            let given: Vec<_> = given.iter().map(|text| maybe_port(text)).collect();
            let given: Result<Vec<_>, _> = given.into_iter().collect();
            let addresses = addresses(&herd, &given.expect("addresses"));
            addresses.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let counted = asked(&["10.0.0.1:80"]).expect("three");
        assert_eq!(counted, ["10.0.0.1:80", "10.0.0.1:81", "10.0.0.1:82"]);
        assert_eq!(asked(&[]).expect("three")[2], "127.0.0.1:9602");
        let at_hosts = asked(&[":7"]).expect("three");
        assert_eq!(at_hosts, ["127.0.0.1:7"; 3]);
        let each = asked(&["a:1", "b:2", ":3"]).expect("three");
        assert_eq!(each, ["a:1", "b:2", "127.0.0.1:3"]);
        let two = asked(&["a:1", "b:2"]).expect_err("one is missing");
        assert!(two.to_string().contains("3 servers in the herd `line`"));
        for bad in [":", ":0", ":x", "a", "a:0"] {
            assert!(maybe_port(bad).is_err(), "{bad}");
        }
    }
}
