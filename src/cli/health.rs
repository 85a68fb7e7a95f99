//! `herd health`: queries one server and exits by the answer. For images that have no shell and no
//! other program.

use std::net::IpAddr;
use std::time::Duration;

use super::{Exit, Failure, print};
use crate::admin;
use crate::herd::Address;
use crate::net::tokio::TokioNet;
use crate::units::parse_duration;

/// The address at which a server is queried by default.
pub(super) const USUAL_ADMIN: &str = "127.0.0.1:9600";

/// The environment variable for the address, which also configures the server itself.
const VARIABLE: &str = "HERD_ADMIN";

/// Ask one server whether it is ready, and exit by the answer
///
/// Asks the server's admin address (`herd serve --admin`) and prints the answer, without a shell or
/// another program: for probes in minimal images. A server is ready when clients should be sent to
/// it, and alive when its tasks run.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd health
  herd health --live --admin 127.0.0.1:9601

Exit codes:
  0  it is ready, or with --live alive
  1  it is not, or it did not answer in time
  2  the command line is wrong")]
pub(super) struct Args {
    /// The server's admin address [default: the variable `HERD_ADMIN`, or else 127.0.0.1:9600]
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    admin: Option<Address>,
    /// Ask whether it is alive, not whether it is ready
    #[arg(long)]
    live: bool,
    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = parse_duration)]
    timeout: Duration,
}

/// Parses an address to connect to: a host, and a port that is not 0.
pub(super) fn address(text: &str) -> Result<Address, String> {
    Address::parse(text)
        .filter(|address| address.port > 0)
        .ok_or_else(|| format!("write a host and a port such as `{USUAL_ADMIN}`"))
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let at = match &args.admin {
        Some(at) => at.clone(),
        None => from_environment()?,
    };
    let path = if args.live { "/livez" } else { "/readyz" };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("can't start: {error}")))?;
    let asked = runtime.block_on(admin::get(&TokioNet, &at, path, args.timeout));
    // A name look-up may block for ever, and must not keep the process from ending.
    runtime.shutdown_background();
    let reply = asked.map_err(|error| Failure::Failed(format!("can't ask {at}: {error}")))?;
    print(&String::from_utf8_lossy(&reply.body))?;
    Ok(match reply.status {
        200 => Exit::Passed,
        _ => Exit::Failed,
    })
}

/// The admin address of the server with this environment, as it can be reached from this machine.
fn from_environment() -> Result<Address, Failure> {
    let variable = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let text = variable.as_deref().unwrap_or(USUAL_ADMIN);
    let wrong = |why| Failure::Input(format!("bad `{VARIABLE}` in the environment: {why}"));
    let mut at = address(text).map_err(wrong)?;
    // A server that listens on all addresses is reachable by the loopback address.
    match at.host.parse() {
        Ok(IpAddr::V4(ip)) if ip.is_unspecified() => "127.0.0.1".clone_into(&mut at.host),
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => "::1".clone_into(&mut at.host),
        _ => {}
    }
    Ok(at)
}
