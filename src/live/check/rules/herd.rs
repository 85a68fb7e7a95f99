//! What servers tell each other.

use std::collections::BTreeSet;

use tokio::time::{Instant, sleep};

use super::{case, steps};
use crate::live::check::Case;
use crate::live::check::Need::{Knowledge, Several};
use crate::live::check::trial::{Done, HERE, Knowledge as Known, Trial, fail, same_update};
use crate::protocol::fields;

const NEEDS: &[crate::live::check::Need] = &[Knowledge, Several];

pub(super) const CASES: &[Case] = &[
    case!(
        "flooding",
        Herd,
        Must,
        NEEDS,
        "What any server hears from a client, all servers know",
        "an update that is sent to neighbours and not passed on by them, or a wrong list of neighbours",
        steps!(flooding),
    ),
    case!(
        "newer-moves",
        Herd,
        Must,
        NEEDS,
        "A newer IAMAT at another server moves the client's record everywhere",
        "each server keeps what it heard itself, or an update that is known is taken for old",
        steps!(newer_moves),
    ),
    case!(
        "older-answered",
        Herd,
        Must,
        &[],
        "An IAMAT older than what is known is answered as any other",
        "an old time that is refused",
        steps!(older_answered),
    ),
    case!(
        "older-changes-nothing",
        Herd,
        Must,
        NEEDS,
        "An IAMAT older than what is known changes nothing, at its server and elsewhere",
        "the last line that arrives wins, whatever its time",
        steps!(older_changes_nothing),
    ),
    case!(
        "times-compared-exactly",
        Herd,
        Must,
        NEEDS,
        "A time that is newer by a nanosecond is newer",
        "times as floats, or compared as texts",
        steps!(compared_exactly),
    ),
    case!(
        "equal-times-agree",
        Herd,
        Taste,
        NEEDS,
        "Two IAMATs with the same time at two servers leave all servers with the same one",
        "an equal time is never newer, so each side keeps what it heard first",
        steps!(equal_times),
    ),
];

async fn flooding(trial: &mut Trial) -> Done {
    let servers = trial.bench.names.clone();
    for server in &servers {
        let (id, now) = (trial.id(server), trial.now());
        let at = trial.iamat(server, &id, HERE, &now).await?;
        trial.agree(&servers, &id, &at.line).await?;
    }
    Ok(())
}

async fn newer_moves(trial: &mut Trial) -> Done {
    let (first, other, id) = (trial.first(), trial.other(), trial.id("a"));
    let servers = trial.bench.names.clone();
    let (old, new) = (trial.time(-10), trial.time(-1));
    let at = trial.iamat(&first, &id, HERE, &old).await?;
    trial.agree(&servers, &id, &at.line).await?;
    let at = trial.iamat(&other, &id, "+10.5-20.5", &new).await?;
    trial.agree(&servers, &id, &at.line).await
}

async fn older_answered(trial: &mut Trial) -> Done {
    let (server, id) = (trial.first(), trial.id("a"));
    for offset in [-1, -100, -1] {
        let time = trial.time(offset);
        trial.iamat(&server, &id, HERE, &time).await?;
    }
    Ok(())
}

async fn older_changes_nothing(trial: &mut Trial) -> Done {
    let (first, other, id) = (trial.first(), trial.other(), trial.id("a"));
    let servers = trial.bench.names.clone();
    // `9` is the larger text, `10` the larger number.
    let at = trial.iamat(&first, &id, HERE, "1000000000.5").await?;
    trial.agree(&servers, &id, &at.line).await?;
    for server in [&first, &other] {
        trial
            .iamat(server, &id, "+10.5-20.5", "999999999.5")
            .await?;
    }
    // What goes the same way later has passed where the old one would have.
    let (mark, now) = (trial.id("mark"), trial.now());
    let passed = trial.iamat(&other, &mark, HERE, &now).await?;
    trial.agree(&servers, &mark, &passed.line).await?;
    for server in &servers {
        match trial.knowledge(server, &id).await {
            Known::Known(known) if same_update(&known, &at.line) => {}
            _ => return fail("the AT line of the newer IAMAT"),
        }
    }
    Ok(())
}

async fn compared_exactly(trial: &mut Trial) -> Done {
    let (first, other, id) = (trial.first(), trial.other(), trial.id("a"));
    let servers = trial.bench.names.clone();
    let at = trial
        .iamat(&first, &id, HERE, "1520023934.918963996")
        .await?;
    trial.agree(&servers, &id, &at.line).await?;
    let at = trial
        .iamat(&other, &id, "+10.5-20.5", "1520023934.918963997")
        .await?;
    trial.agree(&servers, &id, &at.line).await
}

async fn equal_times(trial: &mut Trial) -> Done {
    let (first, other, id) = (trial.first(), trial.other(), trial.id("a"));
    let servers = trial.bench.names.clone();
    let now = trial.now();
    // Both are on their way before either is known at the other side.
    let mut clients = Vec::new();
    for (server, location) in [(&first, HERE), (&other, "+10.5-20.5")] {
        let client = trial.connect(server).await?;
        clients.push((client, format!("IAMAT {id} {location} {now}")));
    }
    for (client, line) in &mut clients {
        // A server that takes no line is seen by the answer that does not come.
        let _ = client.send(format!("{line}\n").as_bytes()).await;
    }
    for (client, line) in &mut clients {
        client.answer(line.as_bytes()).await;
    }
    let deadline = Instant::now() + trial.spread();
    loop {
        let mut said = BTreeSet::new();
        let mut shown = Vec::new();
        for server in &servers {
            let known = match trial.knowledge(server, &id).await {
                Known::Known(line) => line,
                Known::Unknown | Known::Silent => Vec::new(),
            };
            shown.extend([server.as_bytes(), b": ", &known, b"\n"].concat());
            // The times are the same, and who is named is a rule of its own.
            said.insert(fields(&known).nth(4).unwrap_or_default().to_vec());
        }
        if said.len() == 1 && !said.contains(&Vec::new()) {
            return Ok(());
        }
        if Instant::now() > deadline {
            let sent = format!(
                "{} (to {first})\n{} (to {other})",
                clients[0].1, clients[1].1
            );
            trial.remember("", sent.as_bytes(), &shown);
            return fail("the same AT line from all servers");
        }
        sleep(trial.patience / 20).await;
    }
}
