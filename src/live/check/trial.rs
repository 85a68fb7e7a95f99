//! One run through the cases: what a case can do, and what is remembered of it.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep};

pub(super) use super::at::{At, same_update};
use super::bench::{Bench, BenchError};
use super::card::{Failure, Rule, Verdict};
use super::client::{Client, Places};
use super::places::Mode;
use super::{Case, Need, Options, Test, Wanted};
use crate::herd::Name;
use crate::net::Net as _;
use crate::net::tokio::TokioNet;
use crate::protocol::time::Timestamp;
use crate::protocol::{escape, fields};

/// The location that cases use when it does not matter.
pub(super) const HERE: &str = "+34.068930-118.445127";

/// The pause between two questions about what a server knows.
const PAUSE: Duration = Duration::from_millis(20);

/// How many times as long as an answer an update may take through the herd: servers dial each
/// other again only after a while.
const SPREAD: u32 = 5;

/// Why a case ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// What was wanted instead of what came.
    Failed(String),
    NotEvaluated(String),
}

pub(super) type Done = Result<(), Stop>;

/// Ends a case as failed: what was wanted instead of what came.
pub(super) fn fail<T>(wanted: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(wanted.into()))
}

/// What a server says about a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Knowledge {
    Known(Vec<u8>),
    Unknown,
    Silent,
}

/// What was last said, to show it.
#[derive(Debug, Default)]
struct Exchange {
    server: String,
    sent: Vec<u8>,
    came: Vec<u8>,
}

/// A run through cases.
pub(super) struct Trial {
    pub(super) bench: Bench,
    pub(super) patience: Duration,
    clock: TokioNet,
    last: Exchange,
    case: &'static str,
    /// Radius and bound by which the servers say what they know; `None` if they say nothing.
    asks: Option<&'static str>,
    /// Whether servers answer only a client that has ended its direction.
    half_closes: bool,
    /// Servers that ended by themselves, and the cases in which they did.
    pub(super) deaths: Vec<String>,
}

impl Trial {
    pub(super) async fn start(options: &Options) -> Result<Self, BenchError> {
        let now = TokioNet.now().as_nanos();
        let nonce = format!("{:x}{:x}", std::process::id(), now / 1000);
        let mut trial = Self {
            bench: Bench::start(options, nonce).await?,
            patience: options.patience,
            clock: TokioNet,
            last: Exchange::default(),
            case: "start",
            asks: None,
            half_closes: false,
            deaths: Vec::new(),
        };
        trial.find_out_when_lines_are_answered().await;
        // Not all servers look for nothing, and some look for nothing without Places.
        for asks in ["0 0", "10 5", "1 1"] {
            trial.asks = Some(asks);
            let first = trial.first();
            let id = trial.id(asks.split(' ').next().unwrap_or_default());
            let now = trial.now();
            let sent = trial.iamat(&first, &id, HERE, &now).await;
            let known = trial.knowledge(&first, &id).await;
            if sent.is_err() || matches!(known, Knowledge::Known(_)) {
                break;
            }
            trial.asks = None;
        }
        trial.died();
        trial.recover().await;
        Ok(trial)
    }

    /// A server that reads until the end of the stream fails the cases about streams. All others
    /// would say no more than that, so they end their direction behind a line.
    async fn find_out_when_lines_are_answered(&mut self) {
        for half_closes in [false, true] {
            self.half_closes = half_closes;
            let (server, id, now) = (self.first(), self.id("first"), self.now());
            let line = format!("IAMAT {id} {HERE} {now}");
            if !self.exchange(&server, line.as_bytes()).await.is_empty() {
                return;
            }
        }
        self.half_closes = false;
    }

    /// Tries a case. Servers that ended in it are started again, and so are those that answer
    /// nobody after a case that failed.
    pub(super) async fn judge(&mut self, case: &Case) -> Verdict {
        if let Some(reason) = self.lacks(case.needs) {
            return Verdict::NotEvaluated { reason };
        }
        self.begin(&case.rule);
        self.bench.places.take_asked();
        let done = match case.test {
            Test::Lines(lines) => self.lines(lines).await,
            Test::Steps(steps) => steps(self).await,
        };
        self.bench.places.set(Mode::Good);
        let verdict = match self.verdict(done) {
            Verdict::Passed if self.is_vacuous(case.needs) => Verdict::NotEvaluated {
                reason: "no WHATSAT is answered here, so that one is refused shows nothing"
                    .to_owned(),
            },
            verdict => verdict,
        };
        if verdict != Verdict::Passed {
            // The end of a process is seen a moment after that of its connections.
            sleep(PAUSE * 3).await;
        }
        let died = self.died();
        if !died.is_empty() || verdict != Verdict::Passed {
            self.recover().await;
        }
        match (verdict, died.first()) {
            (Verdict::Passed, Some(died)) => Verdict::Failed(Failure {
                server: self.last.server.clone(),
                sent: escape(&self.last.sent),
                came: died.clone(),
                wanted: "a server that goes on".to_owned(),
            }),
            (Verdict::Failed(mut failure), Some(died)) => {
                failure.wanted = format!("{}; {died}", failure.wanted);
                Verdict::Failed(failure)
            }
            (verdict, _) => verdict,
        }
    }

    fn begin(&mut self, rule: &Rule) {
        self.case = rule.id;
        self.last = Exchange::default();
    }

    fn lacks(&self, needs: &[Need]) -> Option<String> {
        let lacked = needs.iter().find_map(|need| match need {
            Need::Places if !self.bench.has_places() => {
                Some("the servers can't be told where Places is: give `{places}` in --command")
            }
            Need::Knowledge if self.asks.is_none() => {
                Some("no WHATSAT is answered here, so nobody can see what a server knows")
            }
            Need::Processes if !self.bench.has_processes() => {
                Some("the servers were not started here: give --command")
            }
            Need::Several if self.bench.names.len() < 2 => Some("there is only one server"),
            _ => None,
        });
        lacked.map(str::to_owned)
    }

    /// Whether refusals show nothing, since everything is refused.
    fn is_vacuous(&self, needs: &[Need]) -> bool {
        needs.contains(&Need::Contrast) && self.asks.is_none()
    }

    fn verdict(&self, done: Done) -> Verdict {
        match done {
            Ok(()) => Verdict::Passed,
            Err(Stop::NotEvaluated(reason)) => Verdict::NotEvaluated { reason },
            Err(Stop::Failed(wanted)) => Verdict::Failed(Failure {
                server: self.last.server.clone(),
                sent: escape(&self.last.sent),
                came: escape(&self.last.came),
                wanted,
            }),
        }
    }

    /// The servers that have ended since this was last asked.
    fn died(&mut self) -> Vec<String> {
        let died: Vec<_> = self.bench.ended().into_iter().map(|(_, how)| how).collect();
        let case = self.case;
        self.deaths
            .extend(died.iter().map(|how| format!("in {case}: {how}")));
        died
    }

    /// Starts the servers again that have ended, or answer nobody.
    async fn recover(&mut self) {
        if !self.bench.has_processes() {
            return;
        }
        for (name, _) in self.bench.ended() {
            // A server that does not come up fails the cases that follow.
            let _ = self.bench.restart(&name).await;
        }
        for name in self.bench.names.clone() {
            let (id, now) = (self.id("well"), self.now());
            let line = format!("IAMAT {id} {HERE} {now}");
            let answered = self.exchange(&name, line.as_bytes()).await;
            if answered.is_empty() {
                let _ = self.bench.restart(&name).await;
            }
        }
    }

    async fn lines(&mut self, lines: &[(&[u8], Wanted)]) -> Done {
        for (number, (template, wanted)) in lines.iter().enumerate() {
            let line = self.filled(template, number);
            let server = self.first();
            let answer = self.ask(&server, &line).await;
            match wanted {
                Wanted::At => drop(is_at(&answer, &server, &line)?),
                Wanted::Refusal => is_refusal(&answer, &line)?,
            }
        }
        Ok(())
    }

    fn filled(&self, template: &[u8], number: usize) -> Vec<u8> {
        let mut line = Vec::new();
        let mut rest = template;
        while let Some((&byte, behind)) = rest.split_first() {
            if let Some(behind) = rest.strip_prefix(b"{id}") {
                line.extend_from_slice(self.id(&number.to_string()).as_bytes());
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix(b"{now}") {
                line.extend_from_slice(self.now().as_bytes());
                rest = behind;
            } else {
                line.push(byte);
                rest = behind;
            }
        }
        line
    }

    /// A client's id that no other case has, and no other run.
    pub(super) fn id(&self, suffix: &str) -> String {
        format!("{}.{suffix}.{}", self.case, self.bench.nonce)
    }

    pub(super) fn first(&self) -> Name {
        self.bench.names.first().cloned().unwrap_or_default()
    }

    /// The server that is farthest down the list.
    pub(super) fn other(&self) -> Name {
        self.bench.names.last().cloned().unwrap_or_default()
    }

    /// The time, as IAMAT has it.
    pub(super) fn now(&self) -> String {
        self.clock.now().to_string()
    }

    /// The time with whole seconds added or subtracted.
    pub(super) fn time(&self, offset: i64) -> String {
        let nanos = self.clock.now().as_nanos() + i128::from(offset) * 1_000_000_000;
        Timestamp::from_nanos(u128::try_from(nanos).unwrap_or_default()).to_string()
    }

    /// How long an update may take through the herd.
    pub(super) fn spread(&self) -> Duration {
        self.patience * SPREAD
    }

    /// Remembers what was said, to show it if the case fails now.
    pub(super) fn remember(&mut self, server: &str, sent: &[u8], came: &[u8]) {
        server.clone_into(&mut self.last.server);
        self.last.sent = sent.to_vec();
        self.last.came = came.to_vec();
    }

    /// Connects to a server.
    pub(super) async fn connect(&mut self, server: &str) -> Result<Client, Stop> {
        let connected = Client::connect(&self.bench.address(server), self.patience).await;
        self.connected(server, connected)
    }

    fn connected<T>(&mut self, server: &str, done: io::Result<T>) -> Result<T, Stop> {
        done.map_err(|error| {
            self.remember(server, b"", error.to_string().as_bytes());
            Stop::Failed("a connection that the server takes".to_owned())
        })
    }

    /// The answer to a line on a connection of its own; empty without one.
    async fn exchange(&self, server: &str, line: &[u8]) -> Vec<u8> {
        let address = self.bench.address(server);
        let Ok(mut client) = Client::connect(&address, self.patience).await else {
            return Vec::new();
        };
        if client.send(&[line, b"\n"].concat()).await.is_err() {
            return Vec::new();
        }
        if self.half_closes {
            // The answer that comes then, or does not, says whether it was taken.
            let _ = client.half_close().await;
        }
        client.answer(line).await
    }

    /// The answer to a line on a connection of its own, remembered.
    pub(super) async fn ask(&mut self, server: &str, line: &[u8]) -> Vec<u8> {
        let answer = self.exchange(server, line).await;
        self.remember(server, line, &answer);
        answer
    }

    /// Sends an IAMAT that must be answered.
    pub(super) async fn iamat(
        &mut self,
        server: &str,
        id: &str,
        location: &str,
        time: &str,
    ) -> Result<At, Stop> {
        let line = format!("IAMAT {id} {location} {time}");
        let answer = self.ask(server, line.as_bytes()).await;
        is_at(&answer, server, line.as_bytes())
    }

    /// Sends a line that must be refused.
    pub(super) async fn refused(&mut self, server: &str, line: &str) -> Done {
        let answer = self.ask(server, line.as_bytes()).await;
        is_refusal(&answer, line.as_bytes())
    }

    /// The answer to a WHATSAT, in its parts.
    pub(super) async fn whatsat(
        &mut self,
        server: &str,
        id: &str,
        asks: &str,
    ) -> Result<Places, Stop> {
        self.whatsat_within(server, [id, asks], self.patience, false)
            .await
    }

    /// The same with another patience, and perhaps with all line feeds counted.
    pub(super) async fn whatsat_within(
        &mut self,
        server: &str,
        [id, asks]: [&str; 2],
        patience: Duration,
        count: bool,
    ) -> Result<Places, Stop> {
        let line = format!("WHATSAT {id} {asks}");
        let mut client = self.connect(server).await?;
        let sent = client.send(format!("{line}\n").as_bytes()).await;
        self.connected(server, sent)?;
        if self.half_closes {
            let _ = client.half_close().await;
        }
        let places = client.places(line.as_bytes(), patience, count).await;
        let came = [&places.at, &b"\n"[..], &places.body].concat();
        self.remember(server, line.as_bytes(), came.trim_ascii_end());
        Ok(places)
    }

    /// What a server says about a client.
    pub(super) async fn knowledge(&mut self, server: &str, id: &str) -> Knowledge {
        let Some(asks) = self.asks else {
            return Knowledge::Silent;
        };
        let Ok(places) = self.whatsat(server, id, asks).await else {
            return Knowledge::Silent;
        };
        if places.at.starts_with(b"AT ") {
            Knowledge::Known(places.at)
        } else if places.at.starts_with(b"?") {
            Knowledge::Unknown
        } else {
            Knowledge::Silent
        }
    }

    /// Waits until Places is asked for something, after this was sent.
    pub(super) async fn places_asked(&mut self, server: &str, sent: &[u8]) -> Done {
        let deadline = Instant::now() + self.patience;
        while self.bench.places.take_asked().is_empty() {
            if Instant::now() > deadline {
                self.remember(server, sent, b"");
                return fail("a request to Places");
            }
            sleep(PAUSE / 4).await;
        }
        Ok(())
    }

    /// Waits until servers know of a client what this line says of it. Whether their own lines are
    /// the same in all else is a rule of its own.
    pub(super) async fn agree(&mut self, servers: &[Name], id: &str, line: &[u8]) -> Done {
        self.agree_by(servers, id, line, same_update).await
    }

    /// Waits until servers say exactly this about a client.
    pub(super) async fn repeat(&mut self, servers: &[Name], id: &str, line: &[u8]) -> Done {
        self.agree_by(servers, id, line, |known, line| known == line)
            .await
    }

    async fn agree_by(
        &mut self,
        servers: &[Name],
        id: &str,
        line: &[u8],
        is_same: fn(&[u8], &[u8]) -> bool,
    ) -> Done {
        let deadline = Instant::now() + self.spread();
        for server in servers {
            loop {
                match self.knowledge(server, id).await {
                    Knowledge::Known(known) if is_same(&known, line) => break,
                    _ if Instant::now() > deadline => {
                        return fail(format!("{} and the places near it", escape(line)));
                    }
                    _ => sleep(PAUSE).await,
                }
            }
        }
        Ok(())
    }
}

/// Whether this is the AT line that answers an IAMAT.
pub(super) fn is_at(answer: &[u8], server: &str, line: &[u8]) -> Result<At, Stop> {
    let own: Vec<&[u8]> = fields(line).skip(1).collect();
    let own = own.join(&b' ');
    match At::parse(answer) {
        Some(at) if at.server == server.as_bytes() && at.own == own => Ok(at),
        _ => fail(format!("AT {server} SKEW {}", escape(&own))),
    }
}

/// Whether this is the line, refused.
fn is_refusal(answer: &[u8], line: &[u8]) -> Done {
    let wanted = [b"? ", line].concat();
    if answer == wanted {
        return Ok(());
    }
    fail(escape(&wanted))
}
