//! `herd forget`: makes a herd forget a client.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::Deserialize;

use super::health::{USUAL_ADMIN, address};
use super::{Exit, Failure, print};
use crate::admin::{self, Token};
use crate::herd::Address;
use crate::net::tokio::TokioNet;
use crate::protocol::escape;
use crate::units::parse_duration;

/// Have a herd forget what it knows of a client
///
/// The newest time wins, so a client that sent a time far in the future can't update its location
/// until that record is forgotten. The command asks one server, which sends a tombstone to all
/// others; a server that is out of reach receives it when it returns, and its own record no longer
/// counts. The client's next IAMAT is accepted, whatever its time.
///
/// The server must have the same token (`herd serve --admin-token-file`).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd forget kiwi.cs.ucla.edu --token-file token
  herd forget kiwi.cs.ucla.edu --admin 127.0.0.1:9601 --token-file token --json

Exit codes:
  0  the client is forgotten
  1  the server knows nothing of it, refused, or did not answer
  2  the command line or the token's file is wrong")]
pub(super) struct Args {
    /// The client's id, as in its IAMAT
    client: OsString,
    /// The address of the admin listener of any server of the herd
    #[arg(long, value_name = "HOST:PORT", default_value = USUAL_ADMIN, value_parser = address)]
    admin: Address,
    /// The file that holds the server's admin token
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = parse_duration)]
    timeout: Duration,
    /// Print the server's answer, one JSON object
    #[arg(long)]
    json: bool,
}

/// The record that a server forgot: a client's location, or an earlier tombstone.
#[derive(Deserialize)]
struct Was {
    #[serde(rename = "was_forgotten")]
    is_tombstone: bool,
    location: Option<String>,
    time: String,
    origin: String,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let client = args.client.as_encoded_bytes();
    if client.is_empty() || client.iter().any(|&byte| crate::protocol::is_space(byte)) {
        let text = "a client's id is one word, as in its IAMAT";
        return Err(Failure::Input(text.to_owned()));
    }
    let token = Token::load(&args.token_file).map_err(|error| Failure::Input(error.to_string()))?;
    let at = &args.admin;
    let path = format!("/forget?client={}", encoded(client));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("can't start: {error}")))?;
    let asked = runtime.block_on(admin::post(&TokioNet, at, &path, &token, args.timeout));
    // A name look-up may block for ever, and must not keep the process from ending.
    runtime.shutdown_background();
    let reply = asked.map_err(|error| Failure::Failed(format!("can't ask {at}: {error}")))?;
    let text = String::from_utf8_lossy(&reply.body);
    let is_json = reply.body.starts_with(b"{");
    if args.json && is_json {
        print(&text)?;
    }
    if reply.status != 200 {
        return Err(Failure::Failed(refusal(at, reply.status, &text)));
    }
    let was: Was = serde_json::from_slice(&reply.body)
        .map_err(|_| Failure::Failed(admin::AskError::NotHttp.to_string()))?;
    if !args.json {
        print(&told(&escape(client), &was))?;
    }
    Ok(Exit::Passed)
}

/// The result in words.
fn told(client: &str, was: &Was) -> String {
    let safe = |text: &str| escape(text.as_bytes());
    let (time, origin) = (safe(&was.time), safe(&was.origin));
    match &was.location {
        Some(location) if !was.is_tombstone => {
            let location = safe(location);
            format!(
                "{client} is forgotten: it was at {location} at {time} by its clock, received by {origin}\n"
            )
        }
        _ => format!("{client} was forgotten before: at {time}, by {origin}\n"),
    }
}

/// The server's reason for a refusal, and what helps.
fn refusal(at: &Address, status: u16, body: &str) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let error = json.as_ref().and_then(|json| json["error"].as_str());
    let why = escape(error.unwrap_or(body).trim().as_bytes());
    let mut text = format!("{at} says: {why}");
    let help = match status {
        401 => "the token's file must hold what the server's `--admin-token-file` does",
        403 => "start the server with `--admin-token-file FILE`, or give it one and send it SIGHUP",
        404 if error.is_none() => "that server is too old to forget a client",
        404 => "ask a server that has a record of it: `/records?client=ID` shows it",
        _ => return text,
    };
    let _ = write!(text, "\nhelp: {help}");
    text
}

/// The id percent-encoded for a URL; characters that RFC 3986 calls unreserved are not encoded.
fn encoded(id: &[u8]) -> String {
    const RESERVED: AsciiSet = NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    percent_encode(id, &RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn an_id_is_written_as_a_url_can_hold_it() {
        assert_eq!(encoded(b"kiwi.cs-1_~"), "kiwi.cs-1_~");
        assert_eq!(encoded(b"a+b&c=\xff%"), "a%2Bb%26c%3D%FF%25");
    }
}
