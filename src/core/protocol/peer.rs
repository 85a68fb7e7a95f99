//! What servers say to each other: lines again, so that a person can read them.
//!
//! | line | means |
//! |---|---|
//! | `HELLO version herd server boot records` | who is there, both ways, before anything else, and how many records it holds |
//! | `DIAL version herd server boot records` | instead of `HELLO`, from a server that has just started and is only dialled: dial me now; answered by `BYE` |
//! | `BYE reason` | why the link is about to close; without a reason, a graceful end: all that I owed you is sent. Answered by `BYE` once what was received is stored |
//! | `AT server skew id location time hops [generation]` | an update; `hops` is 1 when it comes from its origin; see below |
//! | `HAVE server skew id location time hops [generation]` | a record that is not new to the herd: it answers a question, or was heard as such an answer |
//! | `PING clock` | I am alive, and my clock shows this; answered by `PONG` once all that came before it is handled |
//! | `PONG ping clock` | the answer to the `PING` that said `ping`, and my clock when I heard it |
//! | `ROOT count hash` | the digest of all my records, for comparing notes now and then |
//! | `DIGEST prefix count hash` | the digest of my records under `prefix`: is yours the same? |
//! | `DONE prefix` | answer to `DIGEST`: nothing more is needed of you there |
//! | `LIST prefix hash…` | answer to `DIGEST`: these are all my records there |
//! | `WANT prefix hash…` | answer to `LIST`: of these, send me those |
//! | `SYNCED count` | I have no more questions, and sent `count` records to answer yours |
//!
//! A generation says how often an operator had the client forgotten; only one that is not 0 is written. An `AT` with `-` for
//! a location is a tombstone, which begins its generation. Both are new in version 2 and not sent to who speaks 1.
//!
//! A prefix is up to 16 hexadecimal digits of a client's hash, `-` for none; hashes are 16 digits.
//! Clocks are POSIX seconds with nine digits of fraction.
//!
//! Version 1 had no `DIAL`, `HAVE` and `PONG`, no number of records in `HELLO`, no clock in `PING`, and every `BYE` was a
//! refusal. It is still spoken with who speaks no more: the end that was dialled answers with the lower of both versions.

use std::fmt;

use super::client::join;
use super::prefix::hex;
use super::record::{Record, is_name};
use super::time::Timestamp;
use super::{digits, exactly, fields, is_space};

pub use super::prefix::Prefix;

/// The version of this language that this build speaks, and the highest that it understands.
pub const VERSION: u32 = 2;

/// The lowest version that this build still speaks.
pub const OLDEST_VERSION: u32 = 1;

/// The most bytes that a line of this language may have, its terminator not counted.
///
/// Larger than any client's line may be configured, so that an update that one server accepts can always be sent to
/// the others.
pub const LINE_LIMIT: usize = 64 * 1024;

/// The longest text of a record that fits into a line of this language whatever its hops are.
const MOST_RECORD: usize = LINE_LIMIT - "HAVE  4294967295".len();

/// How much less that is where there is a generation.
const MOST_GENERATION: usize = " 4294967295".len();

/// The most hashes in one `LIST` or `WANT`.
pub const MOST_HASHES: usize = 64;

/// One run of one server: it tells a restarted server from one that was only out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootId(pub u64);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// How many records, and the XOR of their hashes: equal for equal sets, different for nearly all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Summary {
    /// How many.
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

/// The version of a `HELLO` or `DIAL`, whatever else it says: another version may say more or less.
pub fn hello_version(line: &[u8]) -> Option<u32> {
    let mut words = fields(line);
    match words.next() {
        Some(b"HELLO" | b"DIAL") => digits(words.next()?),
        _ => None,
    }
}

/// Whether a line is said now and then on every link, whether anything happens or not.
pub fn is_heartbeat(line: &[u8]) -> bool {
    let verbs: [&[u8]; 3] = [b"PING", b"PONG ", b"ROOT "];
    verbs.iter().any(|verb| line.starts_with(verb))
}

/// The reason of a `BYE` to a `HELLO` of version `theirs`, which is not spoken here. Version 1 said the same words,
/// and who receives them [knows](is_unspoken) to greet with another version.
pub fn unspoken(theirs: u32, ours: u32) -> String {
    format!("version {theirs} is not spoken here, {ours} is")
}

/// Whether the reason of a `BYE` says that version `ours` is not spoken there, but the oldest one is.
pub fn is_unspoken(reason: &str, ours: u32) -> bool {
    ours != OLDEST_VERSION && reason == unspoken(ours, OLDEST_VERSION)
}

/// The reason of a `BYE` to a server whose name another one has, too, which took the link from it.
pub fn namesakes(name: &str, linked: BootId, refused: BootId) -> String {
    format!("{NAMESAKES}{name}: boot {linked} has the link, this is boot {refused}")
}

/// Which run has the link, if the reason of a `BYE` is that two servers have one name.
pub fn namesake(reason: &str) -> Option<&str> {
    let (_, rest) = reason.strip_prefix(NAMESAKES)?.split_once(": boot ")?;
    rest.split(' ').next()
}

const NAMESAKES: &str = "two servers are called ";

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The language's version; a server refuses one that it can't speak.
    pub version: u32,
    /// The herd's name.
    pub herd: &'a [u8],
    /// The server's name.
    pub server: &'a [u8],
    /// Which run of it.
    pub boot: BootId,
    /// How many records it holds, which version 1 does not say.
    pub records: Option<u64>,
}

/// A record on its way, and how many links it has crossed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// What is known of the client.
    pub record: Record,
    /// 1 when it comes straight from the server that the client spoke to.
    pub hops: u32,
    /// Whether it is in a hurry.
    pub pace: Pace,
}

/// Whether a record takes precedence over others on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pace {
    /// A new update, as far as the sender knows: `AT`. It takes precedence over all else.
    Live,
    /// Known to somebody for a while: `HAVE`. It is sent where nothing else waits. Version 1 calls it `AT`, too.
    Bulk,
}

impl Pace {
    /// The verb of a record's line in a version of the language.
    fn verb(self, version: u32) -> &'static [u8] {
        match self {
            Self::Bulk if version > 1 => b"HAVE",
            Self::Live | Self::Bulk => b"AT",
        }
    }
}

/// Why a line is none of this language.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum PeerError {
    /// The first word is none that servers use.
    #[error("unknown verb")]
    UnknownVerb,
    /// A known verb, but its fields don't parse.
    #[error("malformed line")]
    Malformed,
    /// A well-formed line that has no place here: a second `HELLO`, an answer to no question.
    #[error("unexpected line")]
    Unexpected,
    /// Longer than [`LINE_LIMIT`].
    #[error("line too long")]
    TooLong,
    /// More questions than an honest neighbour can have open.
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

/// Without the white space at both ends.
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

/// Appends the verb, the record's own text, the hops and a generation, without a copy of the record, as `version` says it.
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
        // What a later version adds is behind what this one knows.
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
    // What could not be passed on must not be taken in: the next server would refuse this one's
    // line, and again after each synchronisation.
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
