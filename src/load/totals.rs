//! The result of a load, counted, and written as text or JSON.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::Instant;

use super::answers::RequestKind;
use crate::units::format_duration;

/// The longest time that a histogram can hold, in nanoseconds. Longer ones count as this.
const LONGEST: u64 = 3_600_000_000_000;

/// Everything that was counted so far.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) sent: u64,
    /// Requests that wait for their answers at this moment.
    pub(super) waiting: u64,
    pub(super) wrong: u64,
    pub(super) lost: u64,
    pub(super) duplicate: u64,
    /// Connections that were made.
    pub(super) connected: u64,
    /// Connections that were not.
    pub(super) refused: u64,
    /// Connections that ended before all was answered.
    pub(super) broken: u64,
    /// Connections that the server ended behind their first answer.
    pub(super) closing: u64,
    /// Requests that were made once more because of that.
    pub(super) again: u64,
    /// IAMATs that only made a WHATSAT possible, and were answered.
    pub(super) introduced: u64,
    /// Why a connection was not made or ended, the last time.
    pub(super) trouble: Option<String>,
    /// The first wrong answer.
    pub(super) example: Option<String>,
    pub(super) iamat: Times,
    pub(super) whatsat: Times,
    pub(super) last_answer: Option<Instant>,
    /// From a probe's IAMAT until another server knew it.
    pub(super) reached: Times,
    /// From a probe's IAMAT until all of them did.
    pub(super) reached_all: Times,
    /// Between two looks at a server: no time of the two above is finer.
    pub(super) looks: Times,
    /// Probes times servers that never knew.
    pub(super) unreached: u64,
}

/// Times, as a histogram of three digits.
pub(super) struct Times(Histogram<u64>);

impl Times {
    pub(super) fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(LONGEST);
        self.0.saturating_record(nanos);
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len()
    }

    /// The time within which this percentage of answers came.
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
    /// A good answer came `after` its request was sent or due.
    pub(super) fn answered(&mut self, asked: RequestKind, after: Duration, now: Instant) {
        self.last_answer = Some(now);
        match asked {
            RequestKind::Iamat => self.iamat.record(after),
            RequestKind::Introduction => self.introduced += 1,
            RequestKind::Whatsat { .. } => self.whatsat.record(after),
        }
    }

    /// Something was not understood. The first such thing is shown.
    pub(super) fn show(&mut self, what: impl FnOnce() -> String) {
        if self.example.is_none() {
            self.example = Some(what());
        }
    }

    pub(super) fn good(&self) -> u64 {
        self.iamat.len() + self.whatsat.len()
    }
}

/// Times in nanoseconds within which a share of the answers came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// How many times there are.
    pub count: u64,
    /// Half of them.
    pub p50: u64,
    /// 90 of 100.
    pub p90: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1000.
    pub p999: u64,
    /// All.
    pub max: u64,
}

/// What a process did, as far as its system says so.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cpu {
    /// Nanoseconds of processor time during the load.
    Used(u64),
    /// Why it is not known.
    Unknown(String),
}

/// The result of a load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How long it took until the last answer, in nanoseconds.
    pub elapsed: u64,
    /// Requests written.
    pub sent: u64,
    /// Answers that fit their requests.
    pub answered: u64,
    /// Answers that fit no request.
    pub wrong: u64,
    /// Requests without an answer by the deadline, or whose connection ended before.
    pub lost: u64,
    /// Answers that came once more.
    pub duplicate: u64,
    /// Requests that still waited when the load was interrupted.
    pub unfinished: u64,
    /// Connections made.
    pub connected: u64,
    /// Connections that could not be made.
    pub refused: u64,
    /// Connections that ended too early.
    pub broken: u64,
    /// Connections that the server ended behind their first answer. Each further request then had a connection of
    /// its own.
    pub closing: u64,
    /// Requests that were made once more, because the connection that they were made on ended so.
    pub again: u64,
    /// IAMATs that were answered and are not counted above: they told where a client is that the next WHATSAT asks
    /// about.
    pub introduced: u64,
    /// Why a connection could not be made or ended too early, the last time.
    pub trouble: Option<String>,
    /// The first wrong answer, and what it was to answer.
    pub example: Option<String>,
    /// From when an IAMAT was sent, or due at a fixed rate, until its answer was here.
    pub iamat: Option<Percentiles>,
    /// The same for WHATSAT, Places included.
    pub whatsat: Option<Percentiles>,
    /// How updates reached other servers, where that was measured.
    pub propagation: Option<Propagation>,
    /// Processor time of each process that the plan lists.
    pub cpu: Vec<(u32, Cpu)>,
}

/// How updates reached other servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Propagation {
    /// From when an IAMAT was sent until another server knew it, at the latest.
    pub each: Option<Percentiles>,
    /// From when an IAMAT was sent until all servers knew it, at the latest.
    pub all: Option<Percentiles>,
    /// Between two looks at a server. Nothing above is finer.
    pub looks: Option<Percentiles>,
    /// How often a server did not know of an update by the deadline.
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

    /// Whether everything was answered as it should be.
    pub fn is_good(&self) -> bool {
        let unreached = self.propagation.as_ref().map_or(0, |them| them.unreached);
        self.connected > 0 && self.wrong + self.lost + self.duplicate + unreached == 0
    }

    /// Good answers a second.
    pub fn rate(&self) -> f64 {
        per_second(self.answered, self.elapsed)
    }

    /// For people.
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

    /// How connections were, and what was the matter with them and with answers.
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

/// A time with three digits that count.
pub(super) fn rounded(nanos: u64) -> String {
    let unit = 10_u64.pow(nanos.checked_ilog10().unwrap_or(0).saturating_sub(2));
    format_duration(Duration::from_nanos(nanos / unit * unit))
}
