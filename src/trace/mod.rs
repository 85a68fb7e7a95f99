//! A run, written as one JSON object a line, and readable again.
//!
//! ```text
//! {"trace":"header", …}        what ran: herd, latencies, seed, tick, epoch, versions
//! {"trace":"event", …}         what happened, in order
//! {"trace":"update", …}        how each update that a client sent spread
//! {"trace":"staleness", …}     how many answers to a workload were stale, and by how much, if any was
//! {"trace":"expectation", …}   what was expected, the outcome, and whether it passed
//! {"trace":"verdict", …}
//! ```

pub mod clients;
pub(crate) mod faults;
pub mod fingerprint;
pub mod invariants;
pub(crate) mod names;
pub(crate) mod network;
mod possible;
pub mod propagation;
pub mod state;

use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diag::Source;
use crate::herd::Herd;
use crate::journal::{Event, EventId};
use crate::seed::Recipe;
use clients::staleness::{Staleness, staleness};
use invariants::Invariant;
use propagation::Propagation;

/// The version of the trace format that this build writes and reads.
pub const FORMAT: u32 = 2;

/// A run: what ran, what happened, and whether it passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The scenario, the herd and the seed of the run.
    pub header: Header,
    /// The herd of the run.
    pub herd: Arc<Herd>,
    /// All events, in order.
    pub events: Vec<Event>,
    /// How each update that a client sent spread, in order of sending.
    pub updates: Vec<Propagation>,
    /// The judgement of each expectation and invariant.
    pub judgements: Vec<Judgement>,
}

/// What ran: enough to repeat the run with the same events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of this trace's format.
    pub format: u32,
    /// The scenario file's name without folder and extension.
    pub scenario: String,
    /// The scenario's title.
    pub title: String,
    /// What there is to see in the scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The seed from which all randomness follows, or several in a row.
    pub seed: Recipe,
    /// Whether the faults are the mixture that the seed chose, as in a sweep.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub swarm: bool,
    /// Whether the seed decided which of a server's tasks goes on first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shuffle: bool,
    /// The world in which the scenario ran: `turmoil` if the trace does not say.
    #[serde(default = "turmoil")]
    pub world: String,
    /// The step of simulated time, in nanoseconds. A coarser step stretches latencies.
    pub tick: u64,
    /// What all clocks showed at the beginning: nanoseconds since 1970.
    pub epoch: String,
    /// The herd's name.
    pub herd: String,
    /// The herd's servers.
    pub servers: Vec<String>,
    /// The herd's links.
    pub links: Vec<LinkShape>,
    /// The versions that the events depend on.
    pub versions: Versions,
    /// The workloads, whose clients reports describe as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workloads: Vec<WorkloadShape>,
    /// The invariants that were not evaluated, because the scenario excludes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Invariant>,
    /// The invariants of `without` that passed in this run all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needless: Vec<Invariant>,
    /// What could not be evaluated, since it can't be seen from outside a server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_evaluated: Vec<String>,
    /// What need not be so in each run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sometimes: Vec<Sometimes>,
}

/// What need not be so in each run, but in one run of a sweep at least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sometimes {
    /// What it is about, and its place in the scenario.
    pub about: String,
    /// Whether it was so in this run.
    pub seen: bool,
}

/// The world of traces that do not say theirs.
fn turmoil() -> String {
    "turmoil".to_owned()
}

/// A link, as a trace's header describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkShape {
    /// The server that dials.
    pub a: String,
    /// The server that is dialled.
    pub b: String,
    /// The latency of a message, such as `20ms` or `10ms..30ms`.
    pub latency: String,
}

/// A workload, as a trace's header describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadShape {
    /// The workload's name.
    pub name: String,
    /// How many clients the workload has: `name-1`, `name-2` and so on.
    pub clients: u32,
}

impl WorkloadShape {
    /// Whether a client belongs to the workload.
    pub fn has_client(&self, client: &str) -> bool {
        let number = client.strip_prefix(&self.name);
        let number = number.and_then(|rest| rest.strip_prefix('-'));
        let number = number.and_then(|digits| digits.parse::<u32>().ok());
        number.is_some_and(|number| {
            (1..=self.clients).contains(&number) && client == format!("{}-{number}", self.name)
        })
    }

    /// Whether a client of the workload sent the update.
    pub fn has_update(&self, update: &Propagation) -> bool {
        let name = update.name.rsplit_once('#').map(|(client, _)| client);
        self.has_client(&update.name) || name.is_some_and(|client| self.has_client(client))
    }
}

/// The versions that the events depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The version of this crate.
    #[serde(rename = "proxy-herd")]
    pub proxy_herd: String,
    /// The version of the protocol between servers.
    pub protocol: u32,
}

/// An expectation or an invariant, and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// What was judged, such as `kiwi.cs.ucla.edu: hops to Bernard`.
    pub about: String,
    /// Whether the outcome was as expected.
    pub passed: bool,
    /// What was expected.
    pub expected: String,
    /// The outcome.
    pub actual: String,
    /// The place of the expectation in the scenario: `line:column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What the author of the scenario says of the expectation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The invariant that was judged; `None` for an expectation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invariant: Option<Invariant>,
    /// The events that show the outcome.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventId>,
}

/// How many judgements passed, and how many failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// How many judgements passed.
    pub passed: usize,
    /// How many judgements failed.
    pub failed: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "trace", rename_all = "kebab-case")]
enum Line {
    Header(Header),
    Event(Event),
    Update(Propagation),
    Staleness(Staleness),
    Expectation(Judgement),
    Verdict(Verdict),
}

/// Why a text is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A line is no valid line of a trace.
    #[error("line {line}, column {column}: {words}")]
    Line {
        /// The line's number, from 1.
        line: usize,
        /// The byte in the line, from 1.
        column: usize,
        /// What is wrong with the line.
        words: String,
    },
    /// A trace begins with its header.
    #[error("line {0} is no trace's header, and no header precedes it")]
    NoHeader(usize),
    /// A trace ends with its verdict, which counts the expectations before it. This trace was
    /// truncated.
    #[error("the trace is not whole: it ends before its verdict, or lines of it are missing")]
    Incomplete,
    /// Another build wrote the trace in a format that this one does not read.
    #[error("this is a trace of format {0}; this build reads format {FORMAT}")]
    Format(u32),
    /// The header describes no valid herd.
    #[error("the header describes an impossible herd: {0}")]
    Herd(String),
    /// An event is out of order, so that causes could not be found.
    #[error("event {0} is out of order")]
    Order(u64),
}

impl TraceError {
    /// An error in a line of the trace. JSON gets each line by itself, so that its own line number
    /// is useless.
    fn at(line: usize, error: &serde_json::Error) -> Self {
        let words = error.to_string();
        let words = words.split(" at line ").next().unwrap_or_default();
        Self::Line {
            line,
            column: error.column(),
            words: words.to_owned(),
        }
    }
}

impl Header {
    /// The herd that the header describes, checked as a herd file is.
    fn herd(&self) -> Result<Herd, TraceError> {
        let links: Vec<serde_json::Value> = (self.links.iter())
            .map(|link| serde_json::json!({ "between": format!("{}-{}", link.a, link.b), "latency": link.latency }))
            .collect();
        let file =
            serde_json::json!({ "name": self.herd, "servers": self.servers, "links": links });
        let source = Source::new("header.json", file.to_string());
        let herd =
            Herd::parse(&source).map_err(|problems| TraceError::Herd(problems.to_string()))?;
        Ok(herd.0)
    }
}

impl Trace {
    /// Counts the judgements that passed and those that failed.
    pub fn verdict(&self) -> Verdict {
        let judgements = self.judgements.iter();
        let passed = judgements.filter(|judgement| judgement.passed).count();
        Verdict {
            passed,
            failed: self.judgements.len() - passed,
        }
    }

    /// Panics with all that failed, if anything did.
    ///
    /// # Panics
    ///
    /// When an expectation or an invariant failed.
    #[track_caller]
    pub fn assert_passed(&self) {
        let failed = self.judgements.iter().filter(|judgement| !judgement.passed);
        let failed: Vec<String> = failed
            .map(|it| {
                let Judgement { about, actual, .. } = it;
                format!("  {about}: {actual} (expected: {})", it.expected)
            })
            .collect();
        let Header { title, seed, .. } = &self.header;
        assert!(
            failed.is_empty(),
            "\"{title}\" with seed {seed} failed:\n{}",
            failed.join("\n")
        );
    }

    /// How an update spread, by its name in reports: `kiwi`, or `kiwi#2` if a client sent several.
    ///
    /// # Panics
    ///
    /// When there is no update of that name.
    #[track_caller]
    pub fn update(&self, name: &str) -> &Propagation {
        let mut all = self.updates.iter();
        let found = all.find(|update| update.name == name);
        found.unwrap_or_else(|| {
            let known = self.updates.iter().map(|update| update.name.as_str());
            let known: Vec<&str> = known.collect();
            panic!(
                "no update is called `{name}`: there are {}",
                known.join(", ")
            )
        })
    }

    /// The event of this number.
    pub fn event(&self, id: EventId) -> Option<&Event> {
        self.events.get(usize::try_from(id.0.get()).ok()? - 1)
    }

    /// The whole trace, as one JSON object a line.
    pub fn to_json_lines(&self) -> String {
        let mut text = String::new();
        write_line(&mut text, &Line::Header(self.header.clone()));
        for event in &self.events {
            write_line(&mut text, &Line::Event(event.clone()));
        }
        for update in &self.updates {
            write_line(&mut text, &Line::Update(update.clone()));
        }
        for staleness in staleness(self) {
            write_line(&mut text, &Line::Staleness(staleness));
        }
        for judgement in &self.judgements {
            write_line(&mut text, &Line::Expectation(judgement.clone()));
        }
        write_line(&mut text, &Line::Verdict(self.verdict()));
        text
    }

    /// Reads what [`to_json_lines`](Self::to_json_lines) wrote: one run, or several in a row.
    ///
    /// # Errors
    ///
    /// With the number of the first line that is wrong, or when a trace ends before its verdict.
    pub fn from_json_lines(text: &str) -> Result<Vec<Self>, TraceError> {
        let mut done = Vec::new();
        let mut current: Option<Self> = None;
        // Editors and shells of some systems write a byte-order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, text) in text.lines().enumerate() {
            let read = |error| TraceError::at(index + 1, &error);
            let line: Line = serde_json::from_str(text).map_err(read)?;
            match (line, &mut current) {
                (Line::Header(header), None) => current = Some(Self::begun(header)?),
                (Line::Event(event), Some(trace)) => trace.push(event)?,
                (Line::Update(update), Some(trace)) => trace.updates.push(update),
                // It follows from the events.
                (Line::Staleness(_), Some(_)) => {}
                (Line::Expectation(judgement), Some(trace)) => trace.judgements.push(judgement),
                (Line::Verdict(verdict), Some(trace)) if verdict == trace.verdict() => {
                    done.extend(current.take());
                }
                (Line::Verdict(_) | Line::Header(_), Some(_)) => {
                    return Err(TraceError::Incomplete);
                }
                (_, None) => return Err(TraceError::NoHeader(index + 1)),
            }
        }
        match (current, done.as_slice()) {
            (Some(_), _) => Err(TraceError::Incomplete),
            (None, []) => Err(TraceError::NoHeader(1)),
            (None, _) => Ok(done),
        }
    }

    fn begun(header: Header) -> Result<Self, TraceError> {
        if header.format != FORMAT {
            return Err(TraceError::Format(header.format));
        }
        Ok(Self {
            herd: Arc::new(header.herd()?),
            header,
            events: Vec::new(),
            updates: Vec::new(),
            judgements: Vec::new(),
        })
    }

    fn push(&mut self, event: Event) -> Result<(), TraceError> {
        let number = event.id.0.get();
        if number != self.events.len() as u64 + 1 {
            return Err(TraceError::Order(number));
        }
        self.events.push(event);
        Ok(())
    }
}

fn write_line(text: &mut String, line: &Line) {
    // These types have no map with unusual keys and no `Serialize` that fails, so this can't fail.
    let json = serde_json::to_string(line).unwrap_or_default();
    let _ = writeln!(text, "{json}");
}
