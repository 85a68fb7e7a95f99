//! The lines between servers, which a person can read.
//!
//! | line | means |
//! |---|---|
//! | `HELLO version herd server boot records` | the first line of each end: which run of which server it is, and how many records it holds |
//! | `DIAL version herd server boot records` | instead of `HELLO`, from a server that has just started and never dials the other: dial me now; answered by `BYE` |
//! | `BYE reason` | why the link is about to close; without a reason, a graceful stop: everything due to you is sent. Answered by `BYE` once everything that was received is stored |
//! | `AT server skew id location time hops [generation]` | an update; `hops` is 1 when the line comes from its origin; for generations see below |
//! | `HAVE server skew id location time hops [generation]` | a record that is not new to the herd: it answers a query, or was itself received as `HAVE` |
//! | `PING clock` | a heartbeat, with my clock; answered by `PONG` once everything before it is handled |
//! | `PONG ping clock` | the answer to the `PING` that had the clock `ping`, and my clock when I received it |
//! | `ROOT count hash` | the digest of all my records, for anti-entropy |
//! | `DIGEST prefix count hash` | the digest of my records under `prefix`: is yours the same? |
//! | `DONE prefix` | answer to `DIGEST`: I need nothing more of you under `prefix` |
//! | `LIST prefix hash…` | answer to `DIGEST`: these are all my records under `prefix` |
//! | `WANT prefix hash…` | answer to `LIST`: of these, send me those |
//! | `SYNCED count` | I have no open queries, and sent `count` records to answer yours |
//!
//! A generation counts how often an operator had the client forgotten; only one that is not 0 is
//! written. An `AT` with `-` for a location is a tombstone, which begins its generation. Both are
//! new in version 2, and are not sent to a neighbour of version 1.
//!
//! A prefix is up to 16 hexadecimal digits of a client's hash, `-` for none; hashes are 16 digits.
//! Clocks are POSIX seconds with nine digits of fraction.
//!
//! Version 1 had no `DIAL`, `HAVE` and `PONG`, no number of records in `HELLO`, no clock in `PING`,
//! and every `BYE` was a refusal. Servers that know no later version are still spoken to in it: the
//! end that was dialled answers with the lower of both versions.

use std::fmt;

use super::client::join;
use super::prefix::hex;
use super::record::{Record, is_name};
use super::time::Timestamp;
use super::{digits, exactly, fields, is_space};

pub use super::prefix::Prefix;

/// The version of the protocol between servers that this build speaks, and the highest that it
/// understands.
pub const VERSION: u32 = 2;

/// The lowest version of the protocol that this build still speaks.
pub const OLDEST_VERSION: u32 = 1;

/// The maximum length in bytes of a line between servers, without its terminator.
///
/// This limit is larger than that of a client's line can be, so that an update that one server
/// accepts can always be sent to the others.
pub const LINE_LIMIT: usize = 64 * 1024;

/// The maximum length in bytes of a record's text that fits into a line whatever its hops are.
const MOST_RECORD: usize = LINE_LIMIT - "HAVE  4294967295".len();

/// The number of bytes that a generation takes in a line, with the space before it.
const MOST_GENERATION: usize = " 4294967295".len();

/// The reason of a `BYE` to a first line that is no greeting. Version 1 says so to a `DIAL`, which it
/// does not know.
pub const HELLO_FIRST: &str = "HELLO must come first";

/// The maximum number of hashes in one `LIST` or `WANT`.
pub const MOST_HASHES: usize = 64;

/// Identifies one run of one server: it distinguishes a restarted server from one that was
/// unreachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootId(pub u64);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The number of records in a set and the XOR of their hashes: equal for equal sets, different for
/// nearly all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Summary {
    /// The number of records.
    pub count: u64,
    /// XOR of the records' keyed hashes; 0 for none.
    pub hash: u64,
}

/// A line between servers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the table above this module says what each line and field means"
)]
pub enum PeerLine<'a> {
    Hello(Hello<'a>),
    Dial(Hello<'a>),
    Bye {
        reason: &'a [u8],
    },
    /// `AT` or `HAVE`, as [`Update::pace`] says.
    At(Update),
    Ping {
        clock: Option<Timestamp>,
    },
    Pong {
        ping: Timestamp,
        clock: Timestamp,
    },
    Root(Summary),
    Digest {
        under: Prefix,
        summary: Summary,
    },
    Done {
        under: Prefix,
    },
    List {
        under: Prefix,
        hashes: Vec<u64>,
    },
    Want {
        under: Prefix,
        hashes: Vec<u64>,
    },
    Synced {
        sent: u64,
    },
}

/// The version of a `HELLO` or `DIAL`, whatever fields follow: another version may have more or
/// fewer.
pub fn hello_version(line: &[u8]) -> Option<u32> {
    let mut words = fields(line);
    match words.next() {
        Some(b"HELLO" | b"DIAL") => digits(words.next()?),
        _ => None,
    }
}

/// Whether servers send this line at intervals on every link, even if nothing happens.
pub fn is_heartbeat(line: &[u8]) -> bool {
    let verbs: [&[u8]; 3] = [b"PING", b"PONG ", b"ROOT "];
    verbs.iter().any(|verb| line.starts_with(verb))
}

/// The reason of a `BYE` to a `HELLO` of version `theirs`, which is not spoken here. Version 1 used
/// the same words, by which the receiver [knows](is_unspoken) to greet with another version.
pub fn unspoken(theirs: u32, ours: u32) -> String {
    format!("version {theirs} is not spoken here, {ours} is")
}

/// Whether the reason of a `BYE` says that version `ours` is not spoken there, but the oldest one
/// is.
pub fn is_unspoken(reason: &str, ours: u32) -> bool {
    ours != OLDEST_VERSION && reason == unspoken(ours, OLDEST_VERSION)
}

/// The reason of a `BYE` to a server whose link another server of the same name took over.
pub fn namesakes(name: &str, linked: BootId, refused: BootId) -> String {
    format!("{NAMESAKES}{name}: boot {linked} has the link, this is boot {refused}")
}

/// The boot id that has the link, if the reason of a `BYE` is that two servers have one name.
pub fn namesake(reason: &str) -> Option<&str> {
    let (_, rest) = reason.strip_prefix(NAMESAKES)?.split_once(": boot ")?;
    rest.split(' ').next()
}

const NAMESAKES: &str = "two servers are called ";

/// The content of a `HELLO` or `DIAL`: which server is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The version of the protocol; a server refuses one that it can't speak.
    pub version: u32,
    /// The herd's name.
    pub herd: &'a [u8],
    /// The server's name.
    pub server: &'a [u8],
    /// The run of the server.
    pub boot: BootId,
    /// The number of records that the server holds; `None` in version 1.
    pub records: Option<u64>,
}

/// A record in flight, and how many links it has crossed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The newest record of the client.
    pub record: Record,
    /// 1 when the record comes straight from its origin, one more for each further link.
    pub hops: u32,
    /// The priority of the record on a link.
    pub pace: Pace,
}

/// The priority of a record on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pace {
    /// A new update, as far as the sender knows: `AT`. It goes before all else.
    Live,
    /// A record that some server has held for a while: `HAVE`. It is sent if nothing else waits.
    /// Version 1 calls it `AT`, too.
    Bulk,
}

impl Pace {
    /// The verb of a record's line in a version of the protocol.
    fn verb(self, version: u32) -> &'static [u8] {
        match self {
            Self::Bulk if version > 1 => b"HAVE",
            Self::Live | Self::Bulk => b"AT",
        }
    }
}

/// Why a line violates the protocol between servers.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum PeerError {
    /// The first word is no verb of this protocol.
    #[error("unknown verb")]
    UnknownVerb,
    /// The verb is known, but its fields don't parse.
    #[error("malformed line")]
    Malformed,
    /// The line is well-formed, but has no place here: a second `HELLO`, or an answer to no query.
    #[error("unexpected line")]
    Unexpected,
    /// The line is longer than [`LINE_LIMIT`].
    #[error("line too long")]
    TooLong,
    /// More queries wait than an honest neighbour can have open.
    #[error("too many questions")]
    TooManyQuestions,
}

impl<'a> PeerLine<'a> {
    /// Parses one line without its terminator.
    pub fn parse(line: &'a [u8]) -> Result<Self, PeerError> {
        let mut words = fields(line);
        let verb = words.next().unwrap_or_default();
        let parsed = match verb {
            b"HELLO" => parse_hello(words).map(Self::Hello),
            b"DIAL" => parse_hello(words).map(Self::Dial),
            b"BYE" => Some(Self::Bye {
                reason: trim(&trim(line)[verb.len()..]),
            }),
            b"AT" => parse_at(words, Pace::Live).map(Self::At),
            b"HAVE" => parse_at(words, Pace::Bulk).map(Self::At),
            b"PING" => parse_ping(words),
            b"PONG" => exactly(words).and_then(|[ping, clock]| {
                Some(Self::Pong {
                    ping: Timestamp::parse(ping)?,
                    clock: Timestamp::parse(clock)?,
                })
            }),
            b"ROOT" => {
                exactly(words).and_then(|[count, hash]| parse_summary(count, hash).map(Self::Root))
            }
            b"DIGEST" => exactly(words).and_then(|[under, count, hash]| {
                Some(Self::Digest {
                    under: Prefix::parse(under)?,
                    summary: parse_summary(count, hash)?,
                })
            }),
            b"DONE" => exactly(words)
                .and_then(|[under]| Prefix::parse(under).map(|under| Self::Done { under })),
            b"LIST" => parse_hashes(words).map(|(under, hashes)| Self::List { under, hashes }),
            b"WANT" => parse_hashes(words).map(|(under, hashes)| Self::Want { under, hashes }),
            b"SYNCED" => {
                exactly(words).and_then(|[sent]| digits(sent).map(|sent| Self::Synced { sent }))
            }
            _ => return Err(PeerError::UnknownVerb),
        };
        parsed.ok_or(PeerError::Malformed)
    }

    /// Appends the line without its terminator.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        use std::io::Write as _;
        // Writing to a Vec can't fail.
        let _ = match self {
            Self::Hello(hello) => write_hello(out, b"HELLO", hello),
            Self::Dial(hello) => write_hello(out, b"DIAL", hello),
            Self::Bye { reason: b"" } => out.write_all(b"BYE"),
            Self::Bye { reason } => {
                join(out, &[b"BYE", reason]);
                Ok(())
            }
            Self::At(update) => {
                write_at(out, &update.record, update.hops, update.pace, VERSION);
                Ok(())
            }
            Self::Ping { clock: None } => out.write_all(b"PING"),
            Self::Ping { clock: Some(clock) } => write!(out, "PING {clock}"),
            Self::Pong { ping, clock } => write!(out, "PONG {ping} {clock}"),
            Self::Root(summary) => write!(out, "ROOT {} {:016x}", summary.count, summary.hash),
            Self::Digest { under, summary } => {
                write!(
                    out,
                    "DIGEST {under} {} {:016x}",
                    summary.count, summary.hash
                )
            }
            Self::Done { under } => write!(out, "DONE {under}"),
            Self::List { under, hashes } => write_hashes(out, "LIST", *under, hashes),
            Self::Want { under, hashes } => write_hashes(out, "WANT", *under, hashes),
            Self::Synced { sent } => write!(out, "SYNCED {sent}"),
        };
    }

    /// The line without its terminator.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_to(&mut out);
        out
    }
}

/// Removes the white space at both ends.
fn trim(mut line: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = line
        && is_space(*first)
    {
        line = rest;
    }
    while let [rest @ .., last] = line
        && is_space(*last)
    {
        line = rest;
    }
    line
}

/// Appends the verb, the record's own text, the hops and a generation in a version of the protocol,
/// without copying the record.
pub fn write_at(out: &mut Vec<u8>, record: &Record, hops: u32, pace: Pace, version: u32) {
    let verb = pace.verb(version);
    join(out, &[verb, record.text(), hops.to_string().as_bytes()]);
    if record.generation() > 0 {
        out.push(b' ');
        out.extend_from_slice(record.generation().to_string().as_bytes());
    }
}

fn write_hello(out: &mut Vec<u8>, verb: &[u8], hello: &Hello<'_>) -> std::io::Result<()> {
    use std::io::Write as _;
    let version = hello.version.to_string();
    join(out, &[verb, version.as_bytes(), hello.herd, hello.server]);
    write!(out, " {}", hello.boot)?;
    match hello.records {
        Some(records) => write!(out, " {records}"),
        None => Ok(()),
    }
}

fn write_hashes(
    out: &mut Vec<u8>,
    verb: &str,
    under: Prefix,
    hashes: &[u64],
) -> std::io::Result<()> {
    use std::io::Write as _;
    write!(out, "{verb} {under}")?;
    for hash in hashes {
        write!(out, " {hash:016x}")?;
    }
    Ok(())
}

fn parse_hello<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Option<Hello<'a>> {
    let version = digits(words.next()?)?;
    let [herd, server, boot] = [words.next()?, words.next()?, words.next()?];
    (is_name(herd) && is_name(server)).then_some(())?;
    let records = words.next().map(digits);
    let is_whole = match version {
        ..=1 => records.is_none(),
        2 => records.is_some() && words.next().is_none(),
        // A later version adds its fields behind those of this version.
        3.. => records.is_some(),
    };
    is_whole.then_some(())?;
    Some(Hello {
        version,
        herd,
        server,
        boot: BootId(hash(boot)?),
        records: match records {
            None => None,
            Some(records) => Some(records?),
        },
    })
}

fn parse_ping<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Option<PeerLine<'static>> {
    let Some(clock) = words.next() else {
        return Some(PeerLine::Ping { clock: None });
    };
    exactly(words).and_then(|[]| {
        let clock = Some(Timestamp::parse(clock)?);
        Some(PeerLine::Ping { clock })
    })
}

fn parse_at<'a>(mut words: impl Iterator<Item = &'a [u8]>, pace: Pace) -> Option<Update> {
    let [server, skew, id, location, time, hops] = exactly(words.by_ref().take(6))?;
    let (generation, most) = match words.next() {
        None => (0, MOST_RECORD),
        Some(generation) => (
            digits(generation).filter(|&generation| generation > 0)?,
            MOST_RECORD - MOST_GENERATION,
        ),
    };
    words.next().is_none().then_some(())?;
    // A record that could not be forwarded must not be accepted: the next server would refuse this
    // one's line, and again after each synchronisation.
    let record = Record::from_fields([server, skew, id, location, time], generation)
        .filter(|record| record.text().len() <= most)?;
    Some(Update {
        record,
        hops: digits(hops).filter(|&hops| hops > 0)?,
        pace,
    })
}

fn parse_summary(count: &[u8], text: &[u8]) -> Option<Summary> {
    Some(Summary {
        count: digits(count)?,
        hash: hash(text)?,
    })
}

fn parse_hashes<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Option<(Prefix, Vec<u64>)> {
    let under = Prefix::parse(words.next()?)?;
    let hashes: Vec<u64> = words.map(hash).collect::<Option<_>>()?;
    (hashes.len() <= MOST_HASHES).then_some((under, hashes))
}

/// Exactly 16 lower-case hexadecimal digits.
fn hash(text: &[u8]) -> Option<u64> {
    if text.len() == 16 { hex(text) } else { None }
}
