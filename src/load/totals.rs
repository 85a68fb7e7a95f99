//! The results of a load, as text or JSON.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::Instant;

use super::script::RequestKind;
use crate::units::format_duration;

/// The longest time that a histogram can hold, in nanoseconds. Longer times count as this.
const LONGEST: u64 = 3_600_000_000_000;

/// All counts so far.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) sent: u64,
    /// The number of requests that wait for their answers now.
    pub(super) waiting: u64,
    pub(super) wrong: u64,
    pub(super) lost: u64,
    pub(super) duplicate: u64,
    /// The number of connections that were opened.
    pub(super) connected: u64,
    /// The number of connects that failed.
    pub(super) refused: u64,
    /// The number of connections that ended before all requests were answered.
    pub(super) broken: u64,
    /// The number of connections that the server closed after their first answer.
    pub(super) closing: u64,
    /// The number of requests that were repeated because of that.
    pub(super) again: u64,
    /// The number of answered IAMATs that only prepared a WHATSAT.
    pub(super) introduced: u64,
    /// The error of the last connection that failed.
    pub(super) trouble: Option<String>,
    /// The first wrong answer.
    pub(super) example: Option<String>,
    pub(super) iamat: Times,
    pub(super) whatsat: Times,
    pub(super) last_answer: Option<Instant>,
    /// The time from a probe's IAMAT until another server knew it.
    pub(super) reached: Times,
    /// The time from a probe's IAMAT until all servers knew it.
    pub(super) reached_all: Times,
    /// The time between two queries to a server. The two times above are no finer.
    pub(super) looks: Times,
    /// The number of times that a server did not learn of a probe.
    pub(super) unreached: u64,
}

/// A histogram of times, with three significant digits.
pub(super) struct Times(Histogram<u64>);

impl Times {
    pub(super) fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(LONGEST);
        self.0.saturating_record(nanos);
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len()
    }

    /// The time within which this percentage of answers arrived.
    pub(super) fn percentile(&self, of_hundred: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(of_hundred))
    }

    fn told(&self) -> Option<Percentiles> {
        let at = |of_hundred| self.0.value_at_percentile(of_hundred);
        (!self.0.is_empty()).then(|| Percentiles {
            count: self.0.len(),
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p999: at(99.9),
            max: self.0.max(),
        })
    }
}

impl Default for Times {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST, 3);
        Self(histogram.expect("these bounds are valid"))
    }
}

impl Totals {
    /// Counts a right answer that arrived `after` its request was sent or due.
    pub(super) fn answered(&mut self, asked: RequestKind, after: Duration, now: Instant) {
        self.last_answer = Some(now);
        match asked {
            RequestKind::Iamat => self.iamat.record(after),
            RequestKind::Introduction => self.introduced += 1,
            RequestKind::Whatsat { .. } => self.whatsat.record(after),
        }
    }

    /// Stores a wrong answer as the example, if it is the first.
    pub(super) fn show(&mut self, what: impl FnOnce() -> String) {
        if self.example.is_none() {
            self.example = Some(what());
        }
    }

    pub(super) fn good(&self) -> u64 {
        self.iamat.len() + self.whatsat.len()
    }
}

/// Percentiles of times, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// The number of times.
    pub count: u64,
    /// The median.
    pub p50: u64,
    /// The 90th percentile.
    pub p90: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The 99.9th percentile.
    pub p999: u64,
    /// The maximum.
    pub max: u64,
}

/// The CPU time of a process, if the system reports it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cpu {
    /// CPU time during the load, in nanoseconds.
    Used(u64),
    /// Why it is unknown.
    Unknown(String),
}

/// The results of a load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The time until the last answer, in nanoseconds.
    pub elapsed: u64,
    /// The number of requests that were sent.
    pub sent: u64,
    /// The number of right answers.
    pub answered: u64,
    /// The number of answers that match no request.
    pub wrong: u64,
    /// The number of requests without an answer before their deadline or the end of their
    /// connection.
    pub lost: u64,
    /// The number of repeated answers.
    pub duplicate: u64,
    /// The number of requests that still waited when the load was interrupted.
    pub unfinished: u64,
    /// The number of connections that were opened.
    pub connected: u64,
    /// The number of connects that failed.
    pub refused: u64,
    /// The number of connections that ended too early.
    pub broken: u64,
    /// The number of connections that the server closed after their first answer. Each further
    /// request then had its own connection.
    pub closing: u64,
    /// The number of requests that were repeated because their connection was closed in that way.
    pub again: u64,
    /// The number of answered IAMATs that are not counted above, because they only made a client
    /// known for a WHATSAT.
    pub introduced: u64,
    /// The error of the last connection that failed or ended too early.
    pub trouble: Option<String>,
    /// The first wrong answer, with its request.
    pub example: Option<String>,
    /// The latency of IAMAT, from when it was sent, or due at a fixed rate, to its answer.
    pub iamat: Option<Percentiles>,
    /// The latency of WHATSAT, which includes Places.
    pub whatsat: Option<Percentiles>,
    /// How updates reached other servers, if the load had probes.
    pub propagation: Option<Propagation>,
    /// The CPU time of each process that the plan lists.
    pub cpu: Vec<(u32, Cpu)>,
}

/// How updates reached other servers. All times are upper bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Propagation {
    /// The time from when an IAMAT was sent until another server knew it.
    pub each: Option<Percentiles>,
    /// The time from when an IAMAT was sent until all servers knew it.
    pub all: Option<Percentiles>,
    /// The time between two queries to a server, which is the resolution of the times above.
    pub looks: Option<Percentiles>,
    /// The number of times that a server did not know an update by the deadline.
    pub unreached: u64,
}

impl Summary {
    pub(super) fn new(totals: &Totals, began: Instant, cpu: Vec<(u32, Cpu)>) -> Self {
        let end = totals.last_answer.unwrap_or_else(Instant::now);
        let elapsed = end.saturating_duration_since(began).as_nanos();
        let is_probed = totals.unreached > 0 || totals.reached.len() > 0;
        Self {
            elapsed: u64::try_from(elapsed).unwrap_or(u64::MAX),
            sent: totals.sent,
            answered: totals.good(),
            wrong: totals.wrong,
            lost: totals.lost,
            duplicate: totals.duplicate,
            unfinished: totals.waiting,
            connected: totals.connected,
            refused: totals.refused,
            broken: totals.broken,
            closing: totals.closing,
            again: totals.again,
            introduced: totals.introduced,
            trouble: totals.trouble.clone(),
            example: totals.example.clone(),
            iamat: totals.iamat.told(),
            whatsat: totals.whatsat.told(),
            propagation: is_probed.then(|| Propagation {
                each: totals.reached.told(),
                all: totals.reached_all.told(),
                looks: totals.looks.told(),
                unreached: totals.unreached,
            }),
            cpu,
        }
    }

    /// Whether every request was answered correctly.
    pub fn is_good(&self) -> bool {
        let unreached = self.propagation.as_ref().map_or(0, |them| them.unreached);
        self.connected > 0 && self.wrong + self.lost + self.duplicate + unreached == 0
    }

    /// Right answers per second.
    pub fn rate(&self) -> f64 {
        per_second(self.answered, self.elapsed)
    }

    /// The results as text for people.
    pub fn text(&self) -> String {
        let Self {
            sent,
            answered,
            wrong,
            lost,
            duplicate,
            ..
        } = self;
        let elapsed = rounded(self.elapsed);
        let mut lines = vec![format!(
            "{answered} answers in {elapsed}: {:.0} a second",
            self.rate()
        )];
        lines.push(format!(
            "sent {sent}, wrong {wrong}, lost {lost}, duplicate {duplicate}"
        ));
        if self.unfinished > 0 {
            lines.push(format!(
                "{} not answered yet when it ended",
                self.unfinished
            ));
        }
        lines.extend(self.connections());
        let spread = self.propagation.as_ref();
        let mut rows = vec![
            ("IAMAT", self.iamat.as_ref()),
            ("WHATSAT", self.whatsat.as_ref()),
        ];
        rows.extend(spread.map(|spread| ("reaches one", spread.each.as_ref())));
        rows.extend(spread.map(|spread| ("reaches all", spread.all.as_ref())));
        rows.extend(spread.map(|spread| ("  looks", spread.looks.as_ref())));
        if rows.iter().any(|(_, times)| times.is_some()) {
            let head = ["", "p50", "p90", "p99", "p99.9", "most", "count"];
            lines.push(row(head.map(str::to_owned)));
        }
        for (name, times) in rows {
            lines.extend(times.map(|times| {
                let [p50, p90, p99, p999, max] =
                    [times.p50, times.p90, times.p99, times.p999, times.max].map(rounded);
                let count = times.count.to_string();
                row([name.to_owned(), p50, p90, p99, p999, max, count])
            }));
        }
        if let Some(spread) = spread {
            lines.push(
                "  (each figure is an upper bound: servers are polled, as often as given)"
                    .to_owned(),
            );
            if spread.unreached > 0 {
                lines.push(format!("never known at a server: {}", spread.unreached));
            }
        }
        lines.extend(self.cpu.iter().map(|(pid, cpu)| match cpu {
            Cpu::Unknown(why) => format!("process {pid}: processor time unknown: {why}"),
            Cpu::Used(nanos) => format!(
                "process {pid}: {} of processor time, {} for each answer",
                rounded(*nanos),
                rounded(nanos / (*answered).max(1)),
            ),
        }));
        lines.join("\n") + "\n"
    }

    /// The lines about connections, with the last error and the first wrong answer.
    fn connections(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "connections: {} made, {} refused, {} ended too early",
            self.connected, self.refused, self.broken
        )];
        if self.closing > 0 {
            lines.push(format!(
                "  ended by the server behind their first answer: {}; from then on each request had its own ({} asked again)",
                self.closing, self.again
            ));
        }
        if self.introduced > 0 {
            lines.push(format!(
                "  IAMATs that only made a WHATSAT possible, not counted: {}",
                self.introduced
            ));
        }
        lines.extend(
            self.trouble
                .iter()
                .map(|why| format!("  last trouble: {why}")),
        );
        lines.extend(
            self.example
                .iter()
                .map(|it| format!("  first wrong answer: {it}")),
        );
        lines
    }
}

fn row(cells: [String; 7]) -> String {
    let [name, rest @ ..] = cells;
    let rest = rest.map(|cell| format!(" {cell:>9}")).concat();
    format!("{name:<11}{rest}")
}

#[expect(
    clippy::cast_precision_loss,
    reason = "for people, who read three digits"
)]
fn per_second(count: u64, nanos: u64) -> f64 {
    count as f64 * 1e9 / nanos.max(1) as f64
}

/// A time with three significant digits.
pub(super) fn rounded(nanos: u64) -> String {
    let unit = 10_u64.pow(nanos.checked_ilog10().unwrap_or(0).saturating_sub(2));
    format_duration(Duration::from_nanos(nanos / unit * unit))
}
