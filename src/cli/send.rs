//! `herd send`: sends lines to a server and prints its answers.

use std::ffi::OsString;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use super::{Exit, Failure, flags, is_nobody_reading};
use crate::herd::Address;
use crate::net::Net as _;
use crate::net::secure::{Between, CallerTls, Clock, Pem, in_words};
use crate::net::tokio::TokioNet;
use crate::protocol::answers::{Answer, Answers};
use crate::protocol::escape;
use crate::units::{format_duration, parse_duration};

/// A connection, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// The maximum length of a line from standard input, in bytes; a longer one is split.
const LONGEST_LINE: u64 = 1 << 20;

/// The beginning of a TLS alert, which a TLS server sends to a client that does not speak TLS.
const TLS_ALERT: &[u8] = b"\x15\x03";

/// Send lines to a server and print its answers
///
/// All lines are sent over one connection, each after the answer to the line before it. Without
/// lines on the command line, they are read from standard input. `{now}` in a line stands for the
/// time in the form that IAMAT needs. Where only a part of an answer arrives, the part is printed
/// before the error.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd send Riley 'IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 {now}'
  herd send 127.0.0.1:12203 'WHATSAT kiwi.cs.ucla.edu 10 5'
  herd send --herd hill --json Hill < lines.txt
  herd send --tls-authorities certs/authority.pem Riley 'WHATSAT kiwi.cs.ucla.edu 10 5'

Exit codes:
  0  every line was answered
  1  a line was not, or there was no connection
  2  the command line or the herd file is wrong")]
pub(super) struct Args {
    /// A server's name in the herd, or HOST:PORT
    server: String,
    /// The lines to send; without any, they are read from standard input
    lines: Vec<OsString>,
    /// A built-in herd, or the path of a herd file
    #[arg(long, value_name = "NAME|FILE", default_value = "riley")]
    herd: String,
    /// How long to wait for the connection, and for each answer
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    timeout: Duration,
    /// Speak TLS, and trust the authorities in this PEM file to sign the server's certificate
    #[arg(long, value_name = "FILE")]
    tls_authorities: Option<PathBuf>,
    /// The name that the server's certificate must be for [default: SERVER, or its host]
    #[arg(long, value_name = "NAME", requires = "tls_authorities")]
    tls_name: Option<String>,
    /// Print one JSON object for each line: what was sent (`line`), the answer (`answer`), or the
    /// part of it that arrived before the `error` (`received`), and how long it took
    /// (`nanoseconds`). Bytes that are no UTF-8 are in `line_escaped`, `answer_escaped` or
    /// `received_escaped` instead, with `\xNN` for such bytes and `\\` for a backslash
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let address = address(args)?;
    let authorities = args.tls_authorities.as_deref().map(Pem::load).transpose()?;
    let clock = || Clock::of(&TokioNet);
    let tls = authorities.map(|authorities| CallerTls::new(&authorities, clock()));
    let tls = tls.transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("can't start: {error}")))?;
    runtime.block_on(converse(args, &address, tls.as_ref()))
}

fn address(args: &Args) -> Result<Address, Failure> {
    let Some((host, port)) = args.server.rsplit_once(':') else {
        let herd = flags::herd(&args.herd)?;
        let id = flags::server(&herd, &args.server)?;
        return Ok(herd.server(id).client.clone());
    };
    let host = host.trim_matches(['[', ']']).to_owned();
    match port.parse() {
        Ok(port) if port > 0 && !host.is_empty() => Ok(Address { host, port }),
        _ => Err(Failure::Input(format!(
            "`{}` is no address: write HOST:PORT, or a server's name",
            args.server
        ))),
    }
}

async fn connect(
    args: &Args,
    address: &Address,
    tls: Option<&CallerTls>,
) -> io::Result<Box<dyn Stream>> {
    let stream = TokioNet.connect(address).await?.stream;
    let Some(tls) = tls else {
        return Ok(Box::new(stream));
    };
    let by_name = if args.server.contains(':') {
        &address.host
    } else {
        &args.server
    };
    let name = args.tls_name.as_ref().unwrap_or(by_name);
    Ok(Box::new(tls.connect(name, stream).await?))
}

async fn converse(
    args: &Args,
    address: &Address,
    tls: Option<&CallerTls>,
) -> Result<Exit, Failure> {
    let failed = |why: String| Failure::Failed(format!("can't connect to {address}: {why}"));
    let connection = timeout(args.timeout, connect(args, address, tls)).await;
    let connection = connection.map_err(|_| {
        failed(format!(
            "no answer within {}",
            format_duration(args.timeout)
        ))
    })?;
    let stream = connection.map_err(|error| failed(error.to_string()))?;
    let mut talk = Talk {
        stream,
        is_encrypted: tls.is_some(),
        answers: Answers::default(),
        patience: args.timeout,
    };
    let mut lines = Lines::new(args);
    while let Some(line) = lines.next()? {
        let line = with_clock(&line);
        let since = Instant::now();
        let answer = talk.ask(&line).await;
        let shown = show(&line, &answer, since.elapsed(), args.json);
        if let Err(NoAnswer { why, received }) = answer {
            let line = escape(&line);
            return Err(Failure::Failed(match received.len() {
                0 => format!("no answer to `{line}`: {why}"),
                1 => format!("no whole answer to `{line}`, only the byte above: {why}"),
                bytes => {
                    format!("no whole answer to `{line}`, only the {bytes} bytes above: {why}")
                }
            }));
        }
        match shown {
            // Nobody reads the output any more, so the rest is not sent.
            Err(error) if is_nobody_reading(&error) => break,
            shown => shown?,
        }
    }
    Ok(Exit::Passed)
}

/// The line with each `{now}` replaced by the time.
fn with_clock(line: &[u8]) -> Vec<u8> {
    const NOW: &[u8] = b"{now}";
    let mut rendered = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = memchr::memmem::find(rest, NOW) {
        rendered.extend_from_slice(&rest[..at]);
        rendered.extend_from_slice(TokioNet.now().to_string().as_bytes());
        rest = &rest[at + NOW.len()..];
    }
    rendered.extend_from_slice(rest);
    rendered
}

/// The lines to send, from the command line or standard input.
enum Lines<'a> {
    Given(Box<dyn Iterator<Item = &'a [u8]> + 'a>),
    Input(io::StdinLock<'static>),
}

impl<'a> Lines<'a> {
    fn new(args: &'a Args) -> Self {
        match args.lines.as_slice() {
            [] => Self::Input(io::stdin().lock()),
            // A line feed ends a line in an argument, too.
            lines => Self::Given(Box::new(lines.iter().flat_map(|lines| {
                let lines = lines.as_encoded_bytes();
                let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
                lines.split(|byte| *byte == b'\n')
            }))),
        }
    }

    /// The next line without its line feed. Reading standard input blocks, which is fine since
    /// nothing else runs meanwhile.
    fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Given(lines) => Ok(lines.next().map(<[u8]>::to_vec)),
            Self::Input(input) => {
                let mut line = Vec::new();
                let read = input.take(LONGEST_LINE).read_until(b'\n', &mut line);
                let read = read.map_err(|error| {
                    Failure::Input(format!("can't read standard input: {error}"))
                })?;
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                Ok((read > 0).then_some(line))
            }
        }
    }
}

/// A connection to a server.
struct Talk {
    stream: Box<dyn Stream>,
    is_encrypted: bool,
    answers: Answers,
    patience: Duration,
}

/// Why a line was not answered.
struct NoAnswer {
    why: String,
    /// The part of an answer that arrived.
    received: Vec<u8>,
}

impl Talk {
    /// Sends a line and waits for its answer.
    async fn ask(&mut self, line: &[u8]) -> Result<Answer, NoAnswer> {
        let patience = self.patience;
        let asked = timeout(patience, self.exchange(line)).await;
        let asked = asked.unwrap_or_else(|_| {
            let patience = format_duration(patience);
            Err(match self.answers.rest() {
                [] => format!("silence for {patience}"),
                _ => format!("its end did not come within {patience}"),
            })
        });
        asked.map_err(|why| NoAnswer {
            why,
            received: self.answers.rest().to_vec(),
        })
    }

    async fn exchange(&mut self, line: &[u8]) -> Result<Answer, String> {
        let sent = self.stream.write_all(&[line, b"\n"].concat()).await;
        sent.map_err(|error| error.to_string())?;
        loop {
            if let Some(answer) = self.answers.next(line) {
                return Ok(answer);
            }
            match self.stream.read_buf(self.answers.buffer()).await {
                Ok(0) if self.answers.rest().starts_with(TLS_ALERT) && !self.is_encrypted => {
                    return Err("the server wants TLS: give --tls-authorities".to_owned());
                }
                Ok(0) if !self.answers.rest().is_empty() => {
                    return Err("the server closed the connection in its midst".to_owned());
                }
                Ok(0) if self.is_encrypted => {
                    return Err("the server closed the connection".to_owned());
                }
                Ok(0) => {
                    return Err("the server closed the connection; \
                                if it wants TLS, give --tls-authorities"
                        .to_owned());
                }
                Ok(_) => {}
                Err(error) => {
                    return Err(in_words(error, Between::ClientAndServer).to_string());
                }
            }
        }
    }
}

fn show(
    line: &[u8],
    answer: &Result<Answer, NoAnswer>,
    took: Duration,
    json: bool,
) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if json {
        let mut object = serde_json::Map::new();
        put(&mut object, "line", line);
        match answer {
            Ok(answer) => put(&mut object, "answer", &answer.text),
            Err(NoAnswer { why, received }) => {
                object.insert("answer".to_owned(), Value::Null);
                if !received.is_empty() {
                    put(&mut object, "received", received);
                }
                object.insert("error".to_owned(), why.as_str().into());
            }
        }
        object.entry("error").or_insert(Value::Null);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        object.insert("nanoseconds".to_owned(), nanoseconds.into());
        let object = Value::Object(object);
        writeln!(stdout, "{object}")?;
    } else {
        match answer {
            Ok(answer) => {
                stdout.write_all(&answer.text)?;
                stdout.write_all(answer.end)?;
            }
            Err(NoAnswer { received, .. }) => {
                stdout.write_all(received)?;
                if received.last().is_some_and(|&last| last != b'\n') {
                    stdout.write_all(b"\n")?;
                }
                return stdout.flush();
            }
        }
        let mut stderr = io::stderr().lock();
        if stderr.is_terminal() {
            // Rounded down to microseconds, since finer digits are noise.
            let took = Duration::from_micros(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            let _ = writeln!(stderr, "({})", format_duration(took));
        }
    }
    stdout.flush()
}

/// Adds bytes to an object as text. Bytes that are no UTF-8 are escaped and get another name, so
/// that nothing is lost.
fn put(object: &mut serde_json::Map<String, Value>, name: &str, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(text) => object.insert(name.to_owned(), text.into()),
        Err(_) => object.insert(format!("{name}_escaped"), escape(bytes).into()),
    };
}
