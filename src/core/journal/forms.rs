//! The forms of events' words, rendered by the code that writes the words. A search for events by
//! their words can so tell a misspelt word from an event that did not happen.

use std::borrow::Cow;
use std::collections::BTreeSet;
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
        .replace(TEXT_SAMPLE, &TEXT.to_string())
        .replace(&NUMBER_SAMPLE.to_string(), &NUMBER.to_string())
}

/// A sample of every kind of event, and several if the words of a kind differ.
#[expect(
    clippy::too_many_lines,
    reason = "a sample of each event, and nothing else"
)]
fn samples() -> Vec<EventKind<'static>> {
    let (count, hops) = (u64::from(NUMBER_SAMPLE), u32::from(NUMBER_SAMPLE));
    let (conn, name) = (ConnId(count), || Arc::<str>::from(WORD_SAMPLE));
    let word = || Cow::Borrowed(WORD_SAMPLE);
    let text = || Text::from(TEXT_SAMPLE.as_bytes());
    let client = || Text::from(WORD_SAMPLE.as_bytes());
    let record = || RecordText {
        client: client(),
        location: client(),
        time: client(),
        origin: client(),
        skew: client(),
    };
    let others = || [PeerRole::Client, PeerRole::Peer, PeerRole::Server(name())];
    let sources = || [Source::Client, Source::Server(name())];
    let mut samples = vec![
        EventKind::Started { boot: word() },
        EventKind::Stopped,
        EventKind::HeldBack {
            conn,
            limit: word(),
        },
        EventKind::Forgotten {
            record: record(),
            from: None,
        },
        EventKind::Forgotten {
            record: record(),
            from: Some(name()),
        },
        EventKind::Expired { record: record() },
        EventKind::LookUp { client: client() },
        EventKind::Linked { peer: name() },
        EventKind::Unlinked { peer: name() },
        EventKind::LinkUp { peer: name(), conn },
        EventKind::Namesakes {
            name: name(),
            mine: false,
            linked: word(),
            linked_by: None,
            refused: word(),
            conn,
        },
        EventKind::Synchronised {
            peer: name(),
            sent: count,
            received: count,
        },
        EventKind::PlacesAsked { request: text() },
        EventKind::PlacesTold {
            status: NUMBER_SAMPLE,
            fault: None,
        },
        EventKind::PlacesTold {
            status: NUMBER_SAMPLE,
            fault: Some(Cow::Borrowed(TEXT_SAMPLE)),
        },
        EventKind::Unanswered {
            to: name(),
            line: text(),
        },
        EventKind::Composed {
            fault: Cow::Borrowed(TEXT_SAMPLE),
        },
        EventKind::Crashed,
        EventKind::Restarted,
        EventKind::PoweredOff,
        EventKind::PoweredOn,
        EventKind::Frozen,
        EventKind::Thawed,
        EventKind::Refusing,
        EventKind::Accepting,
        EventKind::Skewed { by: 0, drift: 0 },
        EventKind::Skewed {
            by: i64::from(NUMBER_SAMPLE),
            drift: 0,
        },
        EventKind::Skewed {
            by: i64::from(NUMBER_SAMPLE),
            drift: i64::from(NUMBER_SAMPLE),
        },
        EventKind::Chose {
            step: Cow::Borrowed(TEXT_SAMPLE),
        },
    ];
    for number in [1, count] {
        samples.push(EventKind::Unconfirmed {
            peer: name(),
            records: number,
        });
        samples.push(EventKind::Affected {
            count: number,
            of: word(),
            lasts: false,
        });
    }
    for with in others() {
        samples.push(EventKind::Opened {
            conn,
            end: End::Acceptor,
            with,
        });
    }
    for why in whys() {
        samples.push(EventKind::Closed {
            conn,
            why: why.clone(),
        });
        samples.push(EventKind::ConnectFailed {
            to: name(),
            why: why.clone(),
        });
        samples.push(EventKind::LinkDown {
            peer: name(),
            why: why.clone(),
        });
        samples.extend(others().map(|with| EventKind::NotAccepted {
            with,
            why: why.clone(),
            from: None,
        }));
    }
    samples.extend(REFUSALS.map(|why| EventKind::Refused { why }));
    for from in sources() {
        for hops in [1, hops] {
            samples.push(EventKind::Accepted {
                record: record(),
                hops,
                from: from.clone(),
            });
        }
        samples.extend(
            [Ignored::Known, Ignored::Older, Ignored::Expired].map(|why| EventKind::Ignored {
                record: record(),
                why,
                from: from.clone(),
            }),
        );
    }
    let (there, elsewhere): (Arc<str>, Arc<str>) = (name(), TEXT_SAMPLE.into());
    let way = || vec![(Arc::clone(&there), Arc::clone(&elsewhere))];
    let ways = || {
        [
            way(),
            vec![
                way()[0].clone(),
                (Arc::clone(&elsewhere), Arc::clone(&there)),
            ],
        ]
    };
    samples.extend(ways().map(|ways| EventKind::Cut { ways }));
    samples.extend(ways().map(|ways| EventKind::Healed { ways }));
    samples.push(EventKind::Severed { pairs: way() });
    samples.push(EventKind::Slowed {
        links: way(),
        latency: word(),
    });
    for line in lines() {
        let line = || Text(Cow::Owned(line.clone().into_bytes()));
        samples.push(EventKind::LineIn { conn, line: line() });
        samples.push(EventKind::LineOut { conn, line: line() });
    }
    samples
}

const REFUSALS: [Refusal; 11] = [
    Refusal::Empty,
    Refusal::UnknownCommand,
    Refusal::FieldCount,
    Refusal::BadLocation,
    Refusal::BadTime,
    Refusal::BadRadius,
    Refusal::BadBound,
    Refusal::UnknownClient,
    Refusal::TooLong,
    Refusal::Full,
    Refusal::FutureTime,
];

fn whys() -> Vec<CloseReason> {
    let errors = [
        PeerError::UnknownVerb,
        PeerError::Malformed,
        PeerError::Unexpected,
        PeerError::TooLong,
        PeerError::TooManyQuestions,
    ];
    let mut whys = vec![
        CloseReason::Ended,
        // The system's errors have words of their own, which differ from one system to the next.
        CloseReason::Failed(Cow::Borrowed(TEXT_SAMPLE)),
        CloseReason::Silent,
        CloseReason::HalfLine,
        CloseReason::LineTooLong,
        CloseReason::Slow,
        CloseReason::Refused(Cow::Borrowed(TEXT_SAMPLE)),
        CloseReason::NoHello,
        CloseReason::NoHandshake,
        CloseReason::Superseded,
        CloseReason::Stopping,
        CloseReason::Left,
        CloseReason::Early,
        CloseReason::Crowded,
        CloseReason::Full,
    ];
    whys.extend(errors.map(CloseReason::Protocol));
    whys
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
    let name = WORD_SAMPLE.as_bytes();
    let hello = |records| Hello {
        version: 2,
        // With two names in a row, any two words would match a part of the form.
        herd: TEXT_SAMPLE.as_bytes(),
        server: name,
        boot: BootId(1),
        records,
    };
    let (under, summary) = (Prefix::ROOT, Summary::default());
    let mut lines = vec![
        PeerLine::Hello(hello(None)),
        PeerLine::Hello(hello(Some(1))),
        PeerLine::Dial(hello(None)),
        PeerLine::Dial(hello(Some(1))),
        PeerLine::Bye { reason: b"" },
        PeerLine::Bye {
            reason: TEXT_SAMPLE.as_bytes(),
        },
        PeerLine::Ping { clock: None },
        PeerLine::Root(summary),
        PeerLine::Digest { under, summary },
        PeerLine::Done { under },
        PeerLine::List {
            under,
            hashes: Vec::new(),
        },
        PeerLine::Want {
            under,
            hashes: Vec::new(),
        },
        PeerLine::Synced { sent: 1 },
    ];
    if let Some(clock) = Timestamp::parse(b"1.000000000") {
        lines.push(PeerLine::Ping { clock: Some(clock) });
        lines.push(PeerLine::Pong { ping: clock, clock });
    }
    let text = format!("{WORD_SAMPLE} +1.000000000 {WORD_SAMPLE} +1+1 1");
    if let Some(record) = Record::parse(text.as_bytes()) {
        lines.extend([Pace::Live, Pace::Bulk].map(|pace| {
            PeerLine::At(Update {
                record: record.clone(),
                hops: 1,
                pace,
            })
        }));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_event_has_a_form() {
        let kinds: BTreeSet<&str> = samples().iter().map(EventKind::kind).collect();
        let source = include_str!("kinds.rs");
        let (names, _) = source.split_once("mod tests").expect("tests at its end");
        let names: BTreeSet<&str> = (names.split(" => \"").skip(1))
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert_eq!(kinds, names);
    }

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
