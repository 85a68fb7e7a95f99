//! What is no command.

use tokio::time::{Instant, sleep};

use super::{case, steps};
use crate::live::check::Need::Knowledge;
use crate::live::check::Wanted::Refusal;
use crate::live::check::trial::{Done, HERE, Knowledge as Known, Trial, fail};
use crate::live::check::{Case, Test};

pub(super) const CASES: &[Case] = &[
    case!(
        "unknown-word",
        UnknownLines,
        Must,
        &[],
        "A line that is no command is answered `? ` and a copy of it",
        "no answer, an answer without the line, or a closed connection",
        Test::Lines(&[
            (b"HELLO there", Refusal),
            (b"IAMATX {id} +34.068930-118.445127 {now}", Refusal),
            (b"? what", Refusal),
        ]),
    ),
    case!(
        "lower-case",
        UnknownLines,
        Must,
        &[],
        "A command in lower case is no command",
        "a comparison that ignores case",
        Test::Lines(&[
            (b"iamat {id} +34.068930-118.445127 {now}", Refusal),
            (b"Whatsat {id} 10 5", Refusal),
        ]),
    ),
    case!(
        "fields-missing",
        UnknownLines,
        Must,
        &[],
        "A command with too few fields is no command",
        "an index beyond the end of the list of fields, which ends the connection or the server",
        Test::Lines(&[
            (b"IAMAT", Refusal),
            (b"IAMAT {id}", Refusal),
            (b"IAMAT {id} +34.068930-118.445127", Refusal),
            (b"WHATSAT", Refusal),
            (b"WHATSAT {id} 10", Refusal),
        ]),
    ),
    case!(
        "fields-too-many",
        UnknownLines,
        Must,
        &[],
        "A command with too many fields is no command",
        "fields that are taken from the front, and the rest ignored",
        Test::Lines(&[
            (b"IAMAT {id} +34.068930-118.445127 {now} more", Refusal),
            (b"WHATSAT {id} 10 5 more", Refusal),
        ]),
    ),
    case!(
        "empty-line",
        UnknownLines,
        Must,
        &[],
        "An empty line is no command: its answer is `? `",
        "an index into an empty list, a line that is skipped, or one that is taken for the end",
        Test::Lines(&[(b"", Refusal)]),
    ),
    case!(
        "blank-line",
        UnknownLines,
        Must,
        &[],
        "A line of white space is no command, and is copied like any other",
        "an index into an empty list, or white space that is removed before the line is copied",
        Test::Lines(&[(b"   ", Refusal), (b" \t ", Refusal)]),
    ),
    case!(
        "bytes-copied",
        UnknownLines,
        Must,
        &[],
        "A refused line is copied as it came, with all its white space",
        "a line that is split and joined again",
        Test::Lines(&[
            (b"HELLO   there,  you", Refusal),
            (b"  HELLO", Refusal),
            (b"HELLO\tthere  ", Refusal),
            (b"IAMAT  {id}   +34.068930", Refusal),
        ]),
    ),
    case!(
        "no-text",
        UnknownLines,
        Taste,
        &[],
        "A line may be any bytes: what is no UTF-8 is copied, too",
        "a conversion to text, which fails or replaces bytes",
        Test::Lines(&[
            (b"HELLO \xff\xfe\x80", Refusal),
            (b"\xc3\x28", Refusal),
            (b"HELLO \x00 there", Refusal),
        ]),
    ),
    case!(
        "at-from-client",
        UnknownLines,
        Must,
        &[],
        "An AT line from a client is no command",
        "one port for clients and servers, and nothing that tells them apart",
        Test::Lines(&[(
            b"AT Riley +0.263873386 {id} +34.068930-118.445127 {now}",
            Refusal
        )]),
    ),
    case!(
        "at-changes-nothing",
        UnknownLines,
        Must,
        &[Knowledge],
        "An AT line from a client changes nothing that a server knows",
        "one port for clients and servers, and nothing that tells them apart",
        steps!(at_changes_nothing),
    ),
];

async fn at_changes_nothing(trial: &mut Trial) -> Done {
    let (server, id, now) = (trial.first(), trial.id("known"), trial.time(-10));
    let known = trial.iamat(&server, &id, HERE, &now).await?;
    let (later, other) = (trial.time(-1), trial.id("new"));
    for id in [&id, &other] {
        let line = format!("AT {server} +0.263873386 {id} +10.5-20.5 {later}");
        trial.ask(&server, line.as_bytes()).await;
    }
    // A change would be there as soon as the line is answered, or a moment later.
    let deadline = Instant::now() + trial.patience / 4;
    while Instant::now() < deadline {
        match trial.knowledge(&server, &id).await {
            Known::Known(line) if line != known.line => {
                return fail("the AT line of the client's own IAMAT");
            }
            _ => {}
        }
        if let Known::Known(_) = trial.knowledge(&server, &other).await {
            return fail("`?`, since no IAMAT came from this client");
        }
        sleep(trial.patience / 40).await;
    }
    Ok(())
}
