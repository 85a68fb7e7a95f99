//! Tiny servers that are wrong in everything: each rule that a client alone can judge must fail on
//! one of them, or its case could not fail at all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proxy_herd::herd::{Address, Herd};
use proxy_herd::live::check::{Card, Options, Subject, Verdict, check, rules};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How a stub answers lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It takes every line for an IAMAT, always with the same skew and name.
    Agrees,
    /// It refuses every line.
    Refuses,
    /// It refuses every line, and with other words.
    Misquotes,
    /// It reads, and says nothing.
    Mute,
    /// It does everything right that needs no neighbour, and has none.
    Lone,
    /// The same, and it believes the last line that anybody says.
    Credulous,
    /// Like the lone one, but it answers when its client has ended its direction.
    Ends,
    /// Like the lone one, but it refuses each WHATSAT.
    Shut,
}

/// What the servers of a kind know: the last AT line of each client.
type Known = Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>;

fn answer(kind: Kind, name: &str, line: &[u8], known: &Known) -> Vec<u8> {
    let fields: Vec<_> = line
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty())
        .collect();
    let own = fields.get(1..).unwrap_or_default().join(&b' ');
    let at = |name: &str| [b"AT ", name.as_bytes(), b" +0.5 ", &own].concat();
    let client = fields.get(1).copied().unwrap_or_default().to_vec();
    let refusal = [b"? ", line, b"\n"].concat();
    match (kind, fields.first().copied().unwrap_or_default()) {
        (Kind::Mute, _) => Vec::new(),
        (Kind::Refuses, _) | (Kind::Shut, b"WHATSAT") => refusal,
        (Kind::Misquotes, _) => b"? what\n".to_vec(),
        (Kind::Agrees, b"WHATSAT") => [at("Ann"), b"\n{}\n\n".to_vec()].concat(),
        (Kind::Agrees, _) => [at("Ann"), b"\n".to_vec()].concat(),
        (Kind::Credulous, b"AT") if fields.len() == 6 => {
            let id = fields[3].to_vec();
            known.lock().expect("whole").insert(id, line.to_vec());
            b"thanks\n".to_vec()
        }
        (_, b"IAMAT") => {
            let at = at(name);
            known.lock().expect("whole").insert(client, at.clone());
            [at, b"\n".to_vec()].concat()
        }
        (_, b"WHATSAT") => match known.lock().expect("whole").get(&client) {
            // The stubs look for a large radius, and not for a small one.
            Some(at)
                if fields.get(2) != Some(&&b"2.5"[..]) && fields.get(3) != Some(&&b"20"[..]) =>
            {
                [
                    at.as_slice(),
                    b"\n{\"results\": [], \"status\": \"OK\"}\n\n",
                ]
                .concat()
            }
            _ => refusal,
        },
        _ => refusal,
    }
}

async fn serve(kind: Kind, name: &'static str, stream: TcpStream, known: Known) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    if kind == Kind::Ends {
        let mut all = Vec::new();
        let _ = read.read_to_end(&mut all).await;
        let line = all.strip_suffix(b"\n").unwrap_or(&all);
        let _ = write.write_all(&answer(kind, name, line, &known)).await;
        return;
    }
    loop {
        let mut line = Vec::new();
        match read.read_until(b'\n', &mut line).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let answer = answer(kind, name, line, &known);
        if write.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// Two stubs, the same in all but their names.
async fn listen(kind: Kind, serving: &mut JoinSet<()>) -> BTreeMap<Arc<str>, Address> {
    let mut servers = BTreeMap::new();
    for name in ["Ann", "Bob"] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let host = "127.0.0.1".to_owned();
        servers.insert(name.into(), Address { host, port });
        let known = Known::default();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(kind, name, stream, Arc::clone(&known)));
            }
        });
    }
    servers
}

async fn card_of(kind: Kind) -> Card {
    let mut serving = JoinSet::new();
    let options = Options {
        herd: Herd::from_links("pair", &["Ann-Bob"]).expect("a herd"),
        subject: Subject::Attached(listen(kind, &mut serving).await),
        patience: Duration::from_millis(200),
        start: Duration::from_secs(5),
        guard: PathBuf::from(env!("CARGO_BIN_EXE_herd")),
    };
    // The crowd is judged on the peers; here it only takes time.
    let chosen = |rule: &proxy_herd::live::check::Rule| rule.id != "crowd";
    check(&options, chosen, |_, _| {})
        .await
        .expect("they are there")
}

fn failed(card: &Card) -> BTreeSet<&'static str> {
    card.failed().collect()
}

#[tokio::test]
async fn every_rule_can_fail() {
    let kinds = [
        Kind::Agrees,
        Kind::Refuses,
        Kind::Misquotes,
        Kind::Mute,
        Kind::Lone,
        Kind::Credulous,
    ];
    let mut failures = BTreeSet::new();
    let mut judged = BTreeSet::new();
    for kind in kinds {
        let card = card_of(kind).await;
        assert!(!card.passed(), "{kind:?}");
        failures.extend(failed(&card));
        let evaluated = |verdict: &Verdict| !matches!(verdict, Verdict::NotEvaluated { .. });
        let results = card
            .results
            .iter()
            .filter(|result| evaluated(&result.verdict));
        judged.extend(results.map(|result| result.rule.id));
    }
    let never: Vec<_> = judged.difference(&failures).collect();
    assert!(never.is_empty(), "no stub fails {never:?}");
    // The others need processes or Places, and fail on a server in Python.
    let shown = super::peers::shown();
    let unshown = rules().map(|rule| rule.id);
    let unshown: Vec<_> = unshown
        .filter(|id| !judged.contains(id) && !shown.contains(*id))
        .collect();
    assert!(unshown.is_empty(), "no server fails {unshown:?}");
}

#[tokio::test]
async fn a_server_that_agrees_to_everything_breaks_what_is_to_be_refused_and_nothing_else() {
    let failed = failed(&card_of(Kind::Agrees).await);
    for rule in [
        "location-signs-twice",
        "time-not-finite",
        "unknown-word",
        "empty-line",
        "skew-value",
    ] {
        assert!(failed.contains(rule), "{rule}: {failed:?}");
    }
    for rule in [
        "at-fields",
        "location-hemispheres",
        "tabs",
        "carriage-return",
        "pipelining",
    ] {
        assert!(!failed.contains(rule), "{rule}: {failed:?}");
    }
}

#[tokio::test]
async fn a_server_that_waits_for_the_end_of_a_stream_breaks_what_is_about_streams() {
    let failed = failed(&card_of(Kind::Ends).await);
    for rule in ["many-on-one-connection", "lines-joined", "pipelining"] {
        assert!(failed.contains(rule), "{rule}: {failed:?}");
    }
    for rule in ["at-fields", "unknown-word", "unknown-client", "whatsat-at"] {
        assert!(!failed.contains(rule), "{rule}: {failed:?}");
    }
}

#[tokio::test]
async fn that_a_server_refuses_each_whatsat_shows_no_refusal_of_what_is_wrong() {
    let card = card_of(Kind::Shut).await;
    for rule in ["unknown-client", "radius-beyond", "bound-no-number"] {
        let result = card.results.iter().find(|result| result.rule.id == rule);
        let verdict = &result.expect("a rule").verdict;
        assert!(
            matches!(verdict, Verdict::NotEvaluated { reason } if reason.contains("is refused shows nothing")),
            "{rule}: {verdict:?}"
        );
    }
}

#[tokio::test]
async fn a_failure_shows_what_was_said_and_what_was_wanted() {
    let card = card_of(Kind::Misquotes).await;
    let result = card
        .results
        .iter()
        .find(|result| result.rule.id == "unknown-word");
    let Some(Verdict::Failed(failure)) = result.map(|result| &result.verdict) else {
        panic!("{result:?}");
    };
    assert_eq!(failure.server, "Ann");
    assert_eq!(failure.sent, "HELLO there");
    assert_eq!(failure.came, "? what");
    assert_eq!(failure.wanted, "? HELLO there");
    let text = card.text(false);
    let shown = "FAILED  unknown-word: A line that is no command is answered `? ` and a copy of it\n  \
                 sent:   HELLO there (to Ann)\n  came:   ? what\n  wanted: ? HELLO there\n  hint:   no answer";
    assert!(text.contains(shown), "{text}");
    assert!(
        text.contains("not evaluated  whatsat-json, whatsat-two-line-feeds, "),
        "{text}"
    );
    assert!(
        text.contains("\nFAILED: ") && text.contains(" not evaluated\n"),
        "{text}"
    );
    let page = proxy_herd::live::check::page(&card);
    super::card::assert_well_formed(&page);
    let xml = proxy_herd::live::check::junit(&card);
    super::card::assert_well_formed(&xml);
    assert!(
        xml.contains("<failure message=\"wanted ? HELLO there\">"),
        "{xml}"
    );
}
