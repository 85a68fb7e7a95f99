//! The end of a run: each server is asked for each client, until they agree or it takes too long.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use crate::herd::Name;
use crate::journal::{Actor, CloseReason, End, EventKind, PeerRole};
use crate::protocol::answers::Answers;
use crate::scenario::SURVEYOR;
use crate::sim::outside::Recorder;

/// How long servers may take to agree.
const PATIENCE: Duration = Duration::from_secs(8);

/// The pause between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a server may take to answer all questions of a round.
const ROUND: Duration = Duration::from_secs(5);

/// The number of clients that are asked for at most.
const MOST: usize = 1000;

/// The number of bytes that an answer has at most.
const LONGEST: usize = 1 << 20;

/// A server that is asked.
pub(super) struct Asked {
    pub(super) name: Name,
    pub(super) at: SocketAddr,
}

/// What a server answered to a question, if it did.
struct Answered {
    question: Vec<u8>,
    local: SocketAddr,
    text: Option<Vec<u8>>,
    ended: CloseReason,
}

/// Radius and bound: nothing is looked for, or something where a server refuses to look for nothing.
const LOOKS: [&str; 2] = ["0 0", "10 5"];

/// Asks until all servers tell the same of all clients, and records the last round.
pub(super) async fn survey(servers: &[Asked], clients: &[Vec<u8>], recorder: &Recorder) {
    let clients = &clients[..clients.len().min(MOST)];
    if clients.is_empty() {
        return;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut all = Vec::new();
        for server in servers {
            all.push(ask(server, clients).await);
        }
        if agree(&all) || Instant::now() >= deadline {
            for (server, answered) in servers.iter().zip(&all) {
                record(server, answered.as_deref(), recorder);
            }
            return;
        }
        sleep(PAUSE).await;
    }
}

/// What a client is told first: the line about where somebody is, or that nobody knows.
fn line(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == b'\n').next().unwrap_or_default()
}

fn agree(all: &[io::Result<Vec<Answered>>]) -> bool {
    let lines = all.iter().map(|answers| {
        let answers = answers.as_ref().map(|answers| answers.iter());
        answers.map(|answers| {
            let texts = answers.filter_map(|answered| answered.text.as_deref());
            texts.map(line).collect::<Vec<_>>()
        })
    });
    let lines: Result<Vec<_>, _> = lines.collect();
    lines.is_ok_and(|lines| lines.windows(2).all(|two| two[0] == two[1]))
}

/// Asks one server for all clients, until it does not answer.
async fn ask(server: &Asked, clients: &[Vec<u8>]) -> io::Result<Vec<Answered>> {
    let deadline = Instant::now() + ROUND;
    let mut all = Vec::new();
    for id in clients {
        for look in LOOKS {
            let answered = ask_one(server, (id, look), deadline).await?;
            let text = answered.text.as_deref();
            let is_refused = text.is_some_and(|text| text.starts_with(b"?"));
            if is_refused && look != LOOKS[LOOKS.len() - 1] {
                continue;
            }
            let is_silent = text.is_none();
            all.push(answered);
            if is_silent {
                return Ok(all);
            }
            break;
        }
    }
    Ok(all)
}

/// Asks one server one question, over a connection of its own: many servers answer no other.
async fn ask_one(
    server: &Asked,
    (id, look): (&[u8], &str),
    deadline: Instant,
) -> io::Result<Answered> {
    let mut stream = timeout_at(deadline, TcpStream::connect(server.at)).await??;
    let local = stream.local_addr()?;
    let question = [b"WHATSAT ", id, b" ", look.as_bytes()].concat();
    let asking = async {
        let mut answers = Answers::default();
        stream.write_all(&question).await?;
        stream.write_all(b"\n").await?;
        loop {
            if let Some(answer) = answers.next(&question) {
                return Ok(answer.text);
            }
            let read = stream.read_buf(answers.buffer()).await?;
            let rest = answers.rest();
            if read == 0 && !rest.is_empty() {
                // It ends its answer by nothing else.
                return Ok(rest.to_vec());
            }
            if read == 0 || rest.len() > LONGEST {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
        }
    };
    let (text, ended) = match timeout_at(deadline, asking).await {
        Ok(Ok(text)) => (Some(text), CloseReason::Ended),
        Ok(Err(error)) => (None, (&error).into()),
        Err(_) => (None, CloseReason::Silent),
    };
    Ok(Answered {
        question,
        local,
        text,
        ended,
    })
}

/// Records what was asked and answered, as that of any client.
fn record(server: &Asked, answers: Result<&[Answered], &io::Error>, recorder: &Recorder) {
    let journal = recorder.journal(Actor::Client(SURVEYOR.into()));
    let answers = match answers {
        Ok(answers) => answers,
        Err(error) => {
            let (to, why) = (server.name.clone(), error.into());
            journal.record(None, EventKind::ConnectFailed { to, why });
            return;
        }
    };
    for answered in answers {
        let end = End::Dialler;
        let conn = journal.open(end, answered.local, server.at);
        let with = PeerRole::Server(server.name.clone());
        journal.record(None, EventKind::Opened { conn, end, with });
        let line = answered.question.as_slice().into();
        journal.record(None, EventKind::LineOut { conn, line });
        if let Some(text) = &answered.text {
            let line = text.as_slice().into();
            journal.record(None, EventKind::LineIn { conn, line });
        }
        let why = answered.ended.clone();
        journal.record(None, EventKind::Closed { conn, why });
    }
}
