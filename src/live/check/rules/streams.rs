//! Lines on connections.

use tokio::time::{Instant, sleep};

use super::whatsat::SLOW;
use super::{case, steps};
use crate::live::check::Case;
use crate::live::check::Need::{Knowledge, Places, Several};
use crate::live::check::client::Client;
use crate::live::check::places::Mode;
use crate::live::check::trial::{
    Done, HERE, Knowledge as Known, Stop, Trial, fail, is_at, same_update,
};
use crate::protocol::escape;

pub(super) const CASES: &[Case] = &[
    case!(
        "line-in-pieces",
        Streams,
        Must,
        &[],
        "A line that arrives in pieces is one line",
        "a read that is taken for a line, whatever it brings",
        steps!(in_pieces),
    ),
    case!(
        "lines-joined",
        Streams,
        Must,
        &[],
        "Two lines that arrive together are two lines, and both are answered",
        "a read that is taken for a line: the second answer is lost",
        steps!(joined),
    ),
    case!(
        "lines-cut-anywhere",
        Streams,
        Must,
        &[],
        "One and a half lines, and later the other half, are two lines",
        "what is left over behind a line is thrown away",
        steps!(cut_anywhere),
    ),
    case!(
        "many-on-one-connection",
        Streams,
        Must,
        &[],
        "A client may send any number of lines on one connection, each after the answer before",
        "a connection that is closed after one answer",
        steps!(many),
    ),
    case!(
        "pipelining",
        Streams,
        Must,
        &[],
        "A hundred lines at once are answered in their order",
        "tasks for each line that answer in any order, or only the first line of each read",
        steps!(pipelining),
    ),
    case!(
        "half-close",
        Streams,
        Taste,
        &[],
        "After a client has ended its direction, everything is answered, and then the connection closes",
        "the end of the input is taken for the end of the connection",
        steps!(half_close),
    ),
    case!(
        "last-line-unterminated",
        Streams,
        Taste,
        &[],
        "At the end of a client's direction, a rest without a line feed is a line",
        "only what ends with a line feed is looked at",
        steps!(unterminated),
    ),
    case!(
        "answers-in-order",
        Streams,
        Must,
        &[Places],
        "The answer to a line behind a WHATSAT waits for that of the WHATSAT",
        "a task for each line, which answers when it is ready",
        steps!(in_order),
    ),
    case!(
        "iamat-behind-whatsat",
        Streams,
        Must,
        &[Places, Knowledge, Several],
        "An IAMAT behind a slow WHATSAT is known elsewhere before the WHATSAT is answered",
        "a loop that reads the next line only when the last one is answered",
        steps!(behind_whatsat),
    ),
];

/// A connection that sends lines and compares answers.
struct Talk {
    server: String,
    client: Client,
}

impl Talk {
    async fn begin(trial: &mut Trial) -> Result<Self, Stop> {
        let server = trial.first().to_string();
        let client = trial.connect(&server).await?;
        Ok(Self { server, client })
    }

    async fn send(&mut self, trial: &mut Trial, bytes: &[u8]) -> Done {
        if let Err(error) = self.client.send(bytes).await {
            trial.remember(&self.server, bytes, error.to_string().as_bytes());
            return fail("a connection that stays open");
        }
        Ok(())
    }

    /// Takes the answer to an IAMAT.
    async fn answer(&mut self, trial: &mut Trial, sent: &[u8], line: &str) -> Done {
        let answer = self.client.answer(line.as_bytes()).await;
        trial.remember(&self.server, sent, &answer);
        is_at(&answer, &self.server, line.as_bytes()).map(drop)
    }
}

fn iamat(trial: &Trial, suffix: &str) -> String {
    format!("IAMAT {} {HERE} {}", trial.id(suffix), trial.now())
}

async fn in_pieces(trial: &mut Trial) -> Done {
    let mut talk = Talk::begin(trial).await?;
    let line = iamat(trial, "a");
    let sent = format!("{line}\n");
    for piece in sent.as_bytes().chunks(7) {
        talk.send(trial, piece).await?;
        sleep(trial.patience / 200).await;
    }
    talk.answer(trial, sent.as_bytes(), &line).await
}

async fn joined(trial: &mut Trial) -> Done {
    let mut talk = Talk::begin(trial).await?;
    let lines = [iamat(trial, "a"), iamat(trial, "b")];
    let sent = format!("{}\n{}\n", lines[0], lines[1]);
    talk.send(trial, sent.as_bytes()).await?;
    for line in &lines {
        talk.answer(trial, sent.as_bytes(), line).await?;
    }
    Ok(())
}

async fn cut_anywhere(trial: &mut Trial) -> Done {
    let mut talk = Talk::begin(trial).await?;
    let lines = [iamat(trial, "a"), iamat(trial, "b")];
    let sent = format!("{}\n{}\n", lines[0], lines[1]);
    let cut = lines[0].len() + 20;
    talk.send(trial, &sent.as_bytes()[..cut]).await?;
    talk.answer(trial, sent.as_bytes(), &lines[0]).await?;
    talk.send(trial, &sent.as_bytes()[cut..]).await?;
    talk.answer(trial, sent.as_bytes(), &lines[1]).await
}

async fn many(trial: &mut Trial) -> Done {
    let mut talk = Talk::begin(trial).await?;
    for number in 0..10 {
        let line = iamat(trial, &number.to_string());
        let sent = format!("{line}\n");
        talk.send(trial, sent.as_bytes()).await?;
        talk.answer(trial, sent.as_bytes(), &line).await?;
    }
    Ok(())
}

async fn pipelining(trial: &mut Trial) -> Done {
    let mut talk = Talk::begin(trial).await?;
    let lines: Vec<_> = (0..100)
        .map(|number| iamat(trial, &number.to_string()))
        .collect();
    let sent = lines.join("\n") + "\n";
    talk.send(trial, sent.as_bytes()).await?;
    for line in &lines {
        talk.answer(trial, sent.as_bytes(), line).await?;
    }
    Ok(())
}

async fn closing(trial: &mut Trial, sent: &str, line: &str) -> Result<Talk, Stop> {
    let mut talk = Talk::begin(trial).await?;
    talk.send(trial, sent.as_bytes()).await?;
    if talk.client.half_close().await.is_err() {
        return fail("a connection that stays open");
    }
    talk.answer(trial, sent.as_bytes(), line).await?;
    Ok(talk)
}

async fn half_close(trial: &mut Trial) -> Done {
    let line = iamat(trial, "a");
    let mut talk = closing(trial, &format!("{line}\n"), &line).await?;
    let deadline = Instant::now() + trial.patience;
    talk.client.read(deadline, |_| false).await;
    if talk.client.ended {
        return Ok(());
    }
    fail("the end of the connection behind the answer")
}

async fn unterminated(trial: &mut Trial) -> Done {
    let line = iamat(trial, "a");
    closing(trial, &line, &line).await.map(drop)
}

async fn in_order(trial: &mut Trial) -> Done {
    let (server, id, now) = (trial.first(), trial.id("a"), trial.now());
    let at = trial.iamat(&server, &id, HERE, &now).await?;
    trial.bench.places.set(Mode::Slow(SLOW));
    let mut talk = Talk::begin(trial).await?;
    let behind = iamat(trial, "b");
    let sent = format!("WHATSAT {id} 10 5\n{behind}\n");
    talk.send(trial, sent.as_bytes()).await?;
    trial.places_asked(&server, sent.as_bytes()).await?;
    let deadline = Instant::now() + trial.patience + SLOW;
    let (_, own) = behind.split_once(' ').unwrap_or_default();
    let is_there = |came: &[u8]| memchr::memmem::find(came, own.as_bytes()).is_some();
    talk.client.read(deadline, is_there).await;
    let came = talk.client.rest().to_vec();
    trial.remember(&server, sent.as_bytes(), &came);
    let first = came.split(|&byte| byte == b'\n').next();
    if same_update(first.unwrap_or_default(), &at.line) && is_there(&came) {
        return Ok(());
    }
    fail(format!(
        "{}, places, and AT {server} SKEW {own}",
        escape(&at.line)
    ))
}

/// Whether a server gets to know a client, while Places is slow: it answers with an AT line, or
/// asks Places and so must know where.
async fn is_known(
    trial: &mut Trial,
    server: &str,
    id: &str,
    deadline: Instant,
) -> Result<bool, Stop> {
    let line = format!("WHATSAT {id} 10 5\n");
    while Instant::now() < deadline {
        let mut client = trial.connect(server).await?;
        if client.send(line.as_bytes()).await.is_err() {
            return Ok(false);
        }
        while client.rest().is_empty() && Instant::now() < deadline {
            let look = Instant::now() + trial.patience / 100;
            client.read(look, |came| !came.is_empty()).await;
            if !trial.bench.places.take_asked().is_empty() {
                return Ok(true);
            }
        }
        if client.rest().starts_with(b"AT ") {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn behind_whatsat(trial: &mut Trial) -> Done {
    let (server, id, now) = (trial.first(), trial.id("a"), trial.now());
    trial.iamat(&server, &id, HERE, &now).await?;
    let slow = trial.patience;
    trial.bench.places.set(Mode::Slow(slow));
    let mut talk = Talk::begin(trial).await?;
    let (behind, now) = (trial.id("b"), trial.now());
    let sent = format!("WHATSAT {id} 10 5\nIAMAT {behind} {HERE} {now}\n");
    talk.send(trial, sent.as_bytes()).await?;
    trial.places_asked(&server, sent.as_bytes()).await?;
    let other = trial.other();
    let known = is_known(trial, &other, &behind, Instant::now() + slow / 2).await?;
    trial.bench.places.set(Mode::Good);
    let early = talk.client.rest().to_vec();
    // The answers are taken, so that the next case does not meet the look-up.
    talk.client.read(Instant::now() + slow * 2, |_| false).await;
    trial.remember(&server, sent.as_bytes(), &early);
    if !known {
        return fail(format!(
            "an IAMAT that {other} knows before Places has answered"
        ));
    }
    // At the end it is an ordinary update.
    match trial.knowledge(&other, &behind).await {
        Known::Known(_) => Ok(()),
        _ => fail(format!("an IAMAT that {other} knows")),
    }
}
