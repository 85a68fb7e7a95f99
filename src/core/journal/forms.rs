//! The forms of events' words, rendered by the code that writes the words. A search for events by
//! their words can so tell a misspelt word from an event that did not happen.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::{CloseReason, ConnId, End, EventKind, Ignored, PeerRole, RecordText, Source, Text};
use crate::protocol::client::Refusal;
use crate::protocol::peer::{BootId, Hello, Pace, PeerError, PeerLine, Prefix, Summary, Update};
use crate::protocol::record::Record;
use crate::protocol::time::Timestamp;
use crate::units::format_duration;

/// Stands in a form for a word without blanks: a name, an id, a latency.
pub const WORD: char = '\u{e000}';

/// Stands in a form for a number, decimal or hexadecimal, a time or a location.
pub const NUMBER: char = '\u{e001}';

/// Stands in a form for any text that is chosen elsewhere, such as an error of the system.
pub const TEXT: char = '\u{e002}';

// What samples have in place of the marks: bytes that every writer copies unchanged.
const WORD_SAMPLE: &str = "WORDQ";
const TEXT_SAMPLE: &str = "TEXTQ";
const NUMBER_SAMPLE: u16 = 4242;
const ADDRESS_SAMPLE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// The forms of all events' words, each once, with [`WORD`], [`NUMBER`] and [`TEXT`] where words
/// vary.
pub fn forms() -> Vec<String> {
    let with_time = |_: &RecordText<'_>| format!("{WORD_SAMPLE} of {NUMBER_SAMPLE}");
    let named = |_: &RecordText<'_>| WORD_SAMPLE.to_owned();
    let mut seen = BTreeSet::new();
    let forms = samples().into_iter().flat_map(|what| {
        let words: [String; 2] = [what.words(&with_time), what.words(&named)];
        words.map(|words| marked(&words))
    });
    forms.filter(|form| seen.insert(form.clone())).collect()
}

fn marked(words: &str) -> String {
    let duration = format_duration(std::time::Duration::from_nanos(u64::from(NUMBER_SAMPLE)));
    words
        .replace(&format!("+{duration}"), &WORD.to_string())
        .replace(WORD_SAMPLE, &WORD.to_string())
        .replace(&ADDRESS_SAMPLE.to_string(), &WORD.to_string())
        .replace(TEXT_SAMPLE, &TEXT.to_string())
        .replace(&NUMBER_SAMPLE.to_string(), &NUMBER.to_string())
}

/// Values of each variant of an enum. No arm stands for the rest, so a variant that is missing does
/// not compile. What a variant holds follows with its samples; a field without them gets those of
/// its type, in all combinations.
macro_rules! every {
    ($of:ident: $($name:ident $(($held:expr))? $({ $($fields:tt)* })?;)+) => {{
        let _ = |value: &$of| match value { $($of::$name { .. } => {})+ };
        let mut all = Vec::new();
        $(every!(@one all, $of, $name $(($held))? $({ $($fields)* })?);)+
        all
    }};
    (@one $all:ident, $of:ident, $name:ident) => {
        $all.extend([$of::$name]);
    };
    (@one $all:ident, $of:ident, $name:ident ($held:expr)) => {
        $all.extend($held.into_iter().map($of::$name));
    };
    (@one $all:ident, $of:ident, $name:ident { $($fields:tt)* }) => {
        every!(@fields $all, $of, $name, [], $($fields)*,);
    };
    (@fields $all:ident, $of:ident, $name:ident, [$($done:ident)*], $(,)?) => {
        $all.push($of::$name { $($done: Clone::clone(&$done)),* });
    };
    (@fields $all:ident, $of:ident, $name:ident, [$($done:ident)*], $field:ident: $samples:expr, $($rest:tt)*) => {
        for $field in $samples {
            every!(@fields $all, $of, $name, [$($done)* $field], $($rest)*);
        }
    };
    (@fields $all:ident, $of:ident, $name:ident, [$($done:ident)*], $field:ident, $($rest:tt)*) => {
        for $field in Sampled::samples() {
            every!(@fields $all, $of, $name, [$($done)* $field], $($rest)*);
        }
    };
}

/// Samples of a type, for events' words: each variant, and what is optional both there and not.
trait Sampled: Sized {
    fn samples() -> Vec<Self>;
}

/// Implements [`Sampled`] by a list of samples.
macro_rules! sampled {
    ($($of:ty: $samples:expr;)+) => {
        $(impl Sampled for $of {
            fn samples() -> Vec<Self> {
                $samples.into()
            }
        })+
    };
}

impl<T: Sampled> Sampled for Option<T> {
    fn samples() -> Vec<Self> {
        let some = T::samples().into_iter().map(Some);
        std::iter::once(None).chain(some).collect()
    }
}

sampled! {
    bool: [false, true];
    u16: [NUMBER_SAMPLE];
    u32: [u32::from(NUMBER_SAMPLE)];
    u64: [u64::from(NUMBER_SAMPLE)];
    ConnId: [ConnId(u64::from(NUMBER_SAMPLE))];
    IpAddr: [IpAddr::V4(ADDRESS_SAMPLE)];
    Arc<str>: [Arc::from(WORD_SAMPLE)];
    Cow<'static, str>: [Cow::Borrowed(WORD_SAMPLE)];
    Text<'static>: [Text::from(WORD_SAMPLE.as_bytes())];
    RecordText<'static>: [record_text()];
    End: every! { End: Dialler; Acceptor; };
    PeerRole: every! { PeerRole: Client; Peer; Server(Arc::<str>::samples()); };
    Source: every! { Source: Client; Server(Arc::<str>::samples()); };
    Ignored: every! { Ignored: Known; Older; Tied; Expired; };
    Refusal: every! { Refusal:
        Empty; UnknownCommand; FieldCount; BadLocation; BadTime; BadRadius; BadBound; UnknownClient;
        TooLong; Full; FutureTime; NotSaved;
    };
    PeerError: every! { PeerError: UnknownVerb; Malformed; Unexpected; TooLong; TooManyQuestions; };
    CloseReason: every! { CloseReason:
        Ended;
        // The system's errors have words of their own, which differ from one system to the next.
        Failed(any_text());
        Silent; HalfLine; LineTooLong; Slow;
        Protocol(PeerError::samples());
        Refused(any_text());
        NoHello; NoHandshake; Superseded; Stopping; Left; Early; Crowded; Full;
    };
    Pace: every! { Pace: Live; Bulk; };
    Prefix: [Prefix::ROOT];
    Summary: [Summary::default()];
    Timestamp: [Timestamp::from_nanos(1_000_000_000)];
}

fn any_text() -> [Cow<'static, str>; 1] {
    [Cow::Borrowed(TEXT_SAMPLE)]
}

fn record_text() -> RecordText<'static> {
    let word = || Text::from(WORD_SAMPLE.as_bytes());
    RecordText {
        client: word(),
        location: word(),
        time: word(),
        origin: word(),
        skew: word(),
    }
}

/// Samples of every kind of event.
fn samples() -> Vec<EventKind<'static>> {
    let text = || [Text::from(TEXT_SAMPLE.as_bytes())];
    let nanos = || [0, i64::from(NUMBER_SAMPLE)];
    let (there, elsewhere): (Arc<str>, Arc<str>) = (WORD_SAMPLE.into(), TEXT_SAMPLE.into());
    let way = || vec![(Arc::clone(&there), Arc::clone(&elsewhere))];
    let back = || (Arc::clone(&elsewhere), Arc::clone(&there));
    let ways = || [way(), vec![way()[0].clone(), back()]];
    // A fault whose parts affect different things counts each, as in `connections and 3 messages`.
    let units = || {
        [
            word(),
            format!("{WORD_SAMPLE} and {NUMBER_SAMPLE} {TEXT_SAMPLE}").into(),
        ]
    };
    // Words are in the singular for one, but else they have the number.
    let (u32s, u64s) = ([1, u32::from(NUMBER_SAMPLE)], [1, u64::from(NUMBER_SAMPLE)]);
    every! { EventKind:
        Started { boot };
        Stopped;
        Opened { conn, end, with };
        Closed { conn, why };
        NotAccepted { with, why, from };
        ConnectFailed { to, why };
        HeldBack { conn, limit };
        LineIn { conn, line: texts(lines()) };
        LineOut { conn, line: texts(lines()) };
        Refused { why };
        Accepted { record, hops: u32s, from };
        Ignored { record, why, from };
        Forgotten { record, from };
        Expired { record };
        Restored { record, hops, generation };
        Loaded { records: u64s, bytes, damaged: [0, 1, u64::from(NUMBER_SAMPLE)], answers_wait };
        Damaged { place: any_text() };
        Saved { records: u64s, bytes };
        Compacted { records: u64s, bytes };
        NotStarted { why: any_text() };
        NotCompacted { why: any_text() };
        SaveFailed { why: any_text(), unsaved: u64s };
        SavesAgain;
        LookUp { client };
        Linked { peer };
        Unlinked { peer };
        LinkUp { peer, conn };
        LinkDown { peer, why };
        Namesakes { name, mine, linked, linked_by, refused, conn };
        Unconfirmed { peer, records: u64s };
        Synchronised { peer, sent, received };
        PlacesAsked { request: text() };
        PlacesTold { status, fault: [None].into_iter().chain(any_text().map(Some)) };
        Composed { fault: any_text() };
        Stopping;
        Reloaded { settings: any_text() };
        Upgraded { build: any_text() };
        LinkRemoved { ways: ways() };
        LinkRestored { ways: ways() };
        Crashed;
        Restarted;
        PoweredOff;
        PoweredOn;
        Frozen;
        Thawed;
        Refusing;
        Accepting;
        Cut { ways: ways() };
        Healed { ways: ways() };
        Severed { pairs: [way()] };
        Slowed { links: [way()], latency };
        Impaired { ways: ways(), fault, how, adds: u64s, loses };
        Repaired { ways: ways(), fault };
        DiskFaulty { fault, how: any_text(), forgets: [false, true] };
        DiskWorks;
        Skewed { by: nanos(), drift: nanos() };
        Chose { step: any_text() };
        Noted { text: any_text() };
        Affected { count: u64s, of: units(), lasts };
        Unanswered { to, line: text() };
    }
}

fn word() -> Cow<'static, str> {
    Cow::Borrowed(WORD_SAMPLE)
}

fn texts(lines: Vec<String>) -> impl Iterator<Item = Text<'static>> {
    lines
        .into_iter()
        .map(|line| Text(Cow::Owned(line.into_bytes())))
}

/// Clients' lines and the answers to them, which may have any text, and lines between servers.
fn lines() -> Vec<String> {
    let (word, number) = (WORD_SAMPLE, NUMBER_SAMPLE);
    let mut lines = vec![
        TEXT_SAMPLE.to_owned(),
        format!("? {TEXT_SAMPLE}"),
        format!("IAMAT {word} {number} {number}"),
        format!("WHATSAT {word} {number} {number}"),
        format!("AT {word} {number} {word} {number} {number}"),
        format!("AT {word} {number} {word} {number} {number}\n{TEXT_SAMPLE}"),
    ];
    lines.extend(between_servers().iter().map(|line| {
        // A word that is neither a verb nor a name is a number, or the dash of an empty prefix.
        let line = String::from_utf8_lossy(&line.to_bytes()).into_owned();
        let words = line.split(' ').map(|word| {
            let is_number = word == "-" || word.contains(|c: char| c.is_ascii_digit());
            if is_number {
                number.to_string()
            } else {
                word.to_owned()
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }));
    // A list may have any number of hashes.
    lines.extend(["LIST", "WANT"].map(|verb| format!("{verb} {number} {TEXT_SAMPLE}")));
    lines
}

fn between_servers() -> Vec<PeerLine<'static>> {
    let greetings = || {
        Option::<u64>::samples().into_iter().map(|records| Hello {
            version: 2,
            // With two names in a row, any two words would match a part of the form.
            herd: TEXT_SAMPLE.as_bytes(),
            server: WORD_SAMPLE.as_bytes(),
            boot: BootId(1),
            records,
        })
    };
    every! { PeerLine:
        Hello(greetings());
        Dial(greetings());
        Bye { reason: [b"".as_slice(), TEXT_SAMPLE.as_bytes()] };
        At(updates());
        Ping { clock };
        Pong { ping, clock };
        Root(Summary::samples());
        Digest { under, summary };
        Done { under };
        List { under, hashes: [Vec::new()] };
        Want { under, hashes: [Vec::new()] };
        Synced { sent };
    }
}

fn updates() -> Vec<Update> {
    let record = format!("{WORD_SAMPLE} +1.000000000 {WORD_SAMPLE} +1+1 1");
    let first = Record::parse(record.as_bytes());
    let later = first.clone().map(|record| record.in_generation(1));
    let time = Timestamp::from_nanos(1_000_000_000);
    let tombstone = Record::tombstone(WORD_SAMPLE, time, WORD_SAMPLE.as_bytes(), 1);
    let records = first.into_iter().chain(later).chain([tombstone]);
    let updates = records.flat_map(|record| {
        Pace::samples().into_iter().map(move |pace| Update {
            record: record.clone(),
            hops: 1,
            pace,
        })
    });
    updates.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_marks_where_words_differ() {
        let forms = forms();
        for wanted in [
            format!("accepts {WORD} of {NUMBER} from its client, {NUMBER} hops"),
            format!("accepts {WORD} from {WORD}, 1 hop"),
            format!("link to {WORD} is down: silent for too long"),
            format!("its clock is wrong by {WORD} and {WORD} a second"),
            format!("→  HAVE {WORD} {NUMBER} {WORD} {NUMBER} {NUMBER} {NUMBER}"),
            format!("←  PONG {NUMBER} {NUMBER}"),
            format!("CUT: {WORD} ↔ {TEXT}"),
            format!("ignores {WORD} from {WORD}: equal time, the tie goes to what is known"),
            format!("does not take a connection of a client from {WORD}: too many are connected"),
            format!("affected {NUMBER} {WORD} and {NUMBER} {TEXT}"),
            format!("←  HAVE {WORD} {NUMBER} {WORD} {NUMBER} {NUMBER} {NUMBER} {NUMBER}"),
        ] {
            assert!(forms.contains(&wanted), "{wanted:?}: {forms:#?}");
        }
        for form in forms {
            for sample in [WORD_SAMPLE, TEXT_SAMPLE, "4242"] {
                assert!(!form.contains(sample), "{form:?}");
            }
        }
    }
}
