//! The end of a run: each server is asked for each client, until they agree or it takes too long.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

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

/// What a server answered to the questions, in their order, over which connection.
struct Answered {
    local: SocketAddr,
    texts: Vec<Vec<u8>>,
    ended: CloseReason,
}

/// Asks until all servers tell the same of all clients, and records the last round.
pub(super) async fn survey(servers: &[Asked], clients: &[Vec<u8>], recorder: &Recorder) {
    let questions: Vec<Vec<u8>> = (clients.iter().take(MOST))
        .map(|id| [b"WHATSAT ", id.as_slice(), b" 0 0"].concat())
        .collect();
    if questions.is_empty() {
        return;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut all = Vec::new();
        for server in servers {
            all.push(ask(server, &questions).await);
        }
        if agree(&all) || Instant::now() >= deadline {
            for (server, answered) in servers.iter().zip(&all) {
                record(server, answered.as_ref(), &questions, recorder);
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

fn agree(all: &[io::Result<Answered>]) -> bool {
    let lines = all.iter().map(|answered| {
        let texts = answered.as_ref().map(|answered| &answered.texts);
        texts.map(|texts| texts.iter().map(|text| line(text)).collect::<Vec<_>>())
    });
    let lines: Result<Vec<_>, _> = lines.collect();
    lines.is_ok_and(|lines| lines.windows(2).all(|two| two[0] == two[1]))
}

/// Asks one server everything.
async fn ask(server: &Asked, questions: &[Vec<u8>]) -> io::Result<Answered> {
    let mut stream = timeout(ROUND, TcpStream::connect(server.at)).await??;
    let mut answered = Answered {
        local: stream.local_addr()?,
        texts: Vec::new(),
        ended: CloseReason::Ended,
    };
    let asking = async {
        let mut answers = Answers::default();
        for question in questions {
            stream.write_all(question).await?;
            stream.write_all(b"\n").await?;
            let text = loop {
                if let Some(answer) = answers.next(question) {
                    break answer.text;
                }
                let read = stream.read_buf(answers.buffer()).await?;
                if read == 0 || answers.rest().len() > LONGEST {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
                }
            };
            answered.texts.push(text);
        }
        Ok::<_, io::Error>(())
    };
    match timeout(ROUND, asking).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => answered.ended = (&error).into(),
        Err(_) => answered.ended = CloseReason::Silent,
    }
    Ok(answered)
}

/// Records what was asked and answered, as that of any client.
fn record(
    server: &Asked,
    answered: Result<&Answered, &io::Error>,
    questions: &[Vec<u8>],
    recorder: &Recorder,
) {
    let journal = recorder.journal(Actor::Client(SURVEYOR.into()));
    let answered = match answered {
        Ok(answered) => answered,
        Err(error) => {
            let (to, why) = (server.name.clone(), error.into());
            journal.record(None, EventKind::ConnectFailed { to, why });
            return;
        }
    };
    let end = End::Dialler;
    let conn = journal.open(end, answered.local, server.at);
    let with = PeerRole::Server(server.name.clone());
    journal.record(None, EventKind::Opened { conn, end, with });
    for (index, question) in questions.iter().enumerate() {
        let text = answered.texts.get(index);
        // What was asked behind a question without an answer was never written.
        if index > answered.texts.len() {
            break;
        }
        let line = question.as_slice().into();
        journal.record(None, EventKind::LineOut { conn, line });
        if let Some(text) = text {
            let line = text.as_slice().into();
            journal.record(None, EventKind::LineIn { conn, line });
        }
    }
    let why = answered.ended.clone();
    journal.record(None, EventKind::Closed { conn, why });
}
