//! Counts of look-ups by outcome, and reports of failures to operators at a bounded rate.

use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use futures_lite::future::or;
use tokio::time::{Instant, sleep_until};

use super::answer::{Answer, Denial, Failure, Outcome};
use crate::protocol::escape;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, Notify};

/// Counts of look-ups by status, and the failures that are still to be reported.
#[derive(Debug, Default)]
pub struct Counts {
    by_status: [AtomicU64; STATUSES.len()],
    troubles: Mutex<[Trouble; STATUSES.len()]>,
    /// Wakes the caller of [`reports`](Counts::reports) at each failure.
    came: Notify,
}

/// The unreported failures of one status.
#[derive(Debug, Default)]
struct Trouble {
    /// The number of look-ups that no report has included yet.
    untold: u64,
    /// The message of the last one.
    detail: String,
    /// The next report is due no earlier than this.
    quiet_until: Option<Instant>,
}

/// The name of each status, and advice for an operator. A status without advice is counted and
/// never reported.
const STATUSES: [(&str, &str); 14] = [
    ("answered", ""),
    (
        "request_denied",
        "check the key, its restrictions, and that its project has this API and billing",
    ),
    (
        "over_query_limit",
        "the quota of the key's project is used up: ask less, or raise it",
    ),
    (
        "over_daily_limit",
        "the budget of the key's project is used up, or it has no billing",
    ),
    (
        "invalid_request",
        "does `places-api` name what is spoken at `places-url`?",
    ),
    (
        "unknown_error",
        "it is an error at Google's end, and trying again did not help",
    ),
    // A server reports this when it starts.
    ("no_key", ""),
    (
        "unreachable",
        "check `places-url`, the network, and the proxy if there is one",
    ),
    ("late", "it took longer than `places-deadline`"),
    ("busy", "`places-in-flight` were under way"),
    ("too_large", "it was more than `places-largest-body`"),
    (
        "unaskable",
        "a client's location is longer than a request can be",
    ),
    ("http_status", "is it Places that answers at `places-url`?"),
    (
        "malformed",
        "is it Places that answers at `places-url`, and in the version of `places-api`?",
    ),
];

const fn position(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Answered => 0,
        Outcome::Denied(Denial::RequestDenied) => 1,
        Outcome::Denied(Denial::OverQueryLimit) => 2,
        Outcome::Denied(Denial::OverDailyLimit) => 3,
        Outcome::Denied(Denial::InvalidRequest) => 4,
        Outcome::Denied(Denial::UnknownError) => 5,
        Outcome::Failed(Failure::NoKey) => 6,
        Outcome::Failed(Failure::Unreachable) => 7,
        Outcome::Failed(Failure::Late) => 8,
        Outcome::Failed(Failure::Busy) => 9,
        Outcome::Failed(Failure::TooLarge) => 10,
        Outcome::Failed(Failure::Unaskable) => 11,
        Outcome::Failed(Failure::Status(_)) => 12,
        Outcome::Failed(Failure::Malformed) => 13,
    }
}

/// The shortest time between two reports of one status.
const REPORT_EVERY: Duration = Duration::from_mins(1);

/// The number of characters of a denial's message that are reported, before escaping.
const MOST_SAID: usize = 300;

/// The look-ups with one status since the last report of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The name of the status, as in the metrics.
    pub status: &'static str,
    /// The number of look-ups with this status.
    pub count: u64,
    /// The message of the last one, escaped for printing.
    pub detail: String,
    /// Advice for the operator.
    pub advice: &'static str,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            status,
            count,
            detail,
            advice,
        } = self;
        let plural = if *count == 1 { "" } else { "s" };
        write!(
            f,
            "{count} look-up{plural} at Places ended with {status} ({detail}): {advice}"
        )
    }
}

impl Counts {
    /// Counts the outcome of a look-up. The message in `answer` must not contain the key.
    pub(super) fn count(&self, answer: &Answer) {
        let position = position(answer.outcome);
        self.by_status[position].fetch_add(1, Ordering::Relaxed);
        let (_, advice) = STATUSES[position];
        if advice.is_empty() {
            return;
        }
        let own = match answer.outcome {
            Outcome::Failed(failure) => failure.message(),
            Outcome::Denied(denial) => denial.message().to_owned(),
            Outcome::Answered => String::new(),
        };
        let said = answer.said.as_deref().filter(|said| !said.is_empty());
        let detail = said.unwrap_or(&own).chars().take(MOST_SAID);
        let trouble = &mut self.troubles()[position];
        trouble.untold += 1;
        trouble.detail = detail.collect();
        self.came.notify_one();
    }

    fn troubles(&self) -> MutexGuard<'_, [Trouble; STATUSES.len()]> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of each status, with its number of look-ups.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.by_status.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        STATUSES.into_iter().map(|(status, _)| status).zip(counts)
    }

    /// Waits until reports of failed look-ups are due. A status is reported when it first occurs,
    /// and then at most once a minute. Only one task may wait here.
    pub async fn reports(&self) -> Vec<Report> {
        loop {
            let reports = self.due(Instant::now());
            if !reports.is_empty() {
                return reports;
            }
            let next = self.next_due();
            let due = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            or(self.came.notified(), due).await;
        }
    }

    /// All outstanding reports, whether due or not, for the end of the server.
    pub fn last_reports(&self) -> Vec<Report> {
        self.troubles_told(|_| true, Instant::now())
    }

    fn due(&self, now: Instant) -> Vec<Report> {
        self.troubles_told(
            |quiet_until| quiet_until.is_none_or(|until| until <= now),
            now,
        )
    }

    fn troubles_told(&self, is_due: impl Fn(Option<Instant>) -> bool, now: Instant) -> Vec<Report> {
        let mut troubles = self.troubles();
        let all = troubles.iter_mut().zip(STATUSES);
        let due = all.filter(|(trouble, _)| trouble.untold > 0 && is_due(trouble.quiet_until));
        let told = due.map(|(trouble, (status, advice))| {
            trouble.quiet_until = Some(now + REPORT_EVERY);
            Report {
                status,
                count: std::mem::take(&mut trouble.untold),
                detail: escape(std::mem::take(&mut trouble.detail).as_bytes()),
                advice,
            }
        });
        told.collect()
    }

    fn next_due(&self) -> Option<Instant> {
        let troubles = self.troubles();
        let untold = troubles.iter().filter(|trouble| trouble.untold > 0);
        untold.filter_map(|trouble| trouble.quiet_until).min()
    }
}

#[cfg(all(test, feature = "threads"))]
mod threads;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_lite::future::poll_once;
    use tokio::time::advance;

    use super::{Answer, Counts, Denial, Failure, Outcome};

    fn denied(denial: Denial, said: &str) -> Answer {
        Answer {
            body: Vec::new(),
            outcome: Outcome::Denied(denial),
            said: Some(said.to_owned()),
        }
    }

    /// The reports that are due now.
    async fn told(counts: &Counts) -> Option<Vec<(&'static str, u64, String)>> {
        let reports = poll_once(counts.reports()).await?;
        let reports = reports.into_iter();
        let told = reports.map(|report| (report.status, report.count, report.detail));
        Some(told.collect())
    }

    #[tokio::test(start_paused = true)]
    async fn a_trouble_is_told_at_once_and_then_once_a_minute_with_how_many() {
        let counts = Counts::default();
        let told = async || told(&counts).await;
        assert_eq!(told().await, None);
        counts.count(&denied(Denial::RequestDenied, "bad\nkey"));
        assert_eq!(
            told().await,
            Some(vec![("request_denied", 1, "bad\\nkey".to_owned())])
        );
        for _ in 0..1000 {
            counts.count(&denied(Denial::RequestDenied, "worse"));
        }
        // Failures of another status are reported without a wait.
        counts.count(&Failure::Late.into());
        let late = "Places did not answer in time.".to_owned();
        assert_eq!(told().await, Some(vec![("late", 1, late)]));
        advance(Duration::from_secs(59)).await;
        assert_eq!(told().await, None);
        // The rest is reported when it is due, without a further failure.
        advance(Duration::from_secs(2)).await;
        assert_eq!(
            told().await,
            Some(vec![("request_denied", 1000, "worse".to_owned())])
        );
        advance(Duration::from_hours(1)).await;
        assert_eq!(told().await, None);
        counts.count(&denied(Denial::RequestDenied, "again"));
        counts.count(&denied(Denial::RequestDenied, "again"));
        assert_eq!(told().await.unwrap()[0].1, 2);
        counts.count(&denied(Denial::RequestDenied, "the last"));
        assert_eq!(counts.last_reports()[0].count, 1);
        assert_eq!(counts.last_reports(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_trouble_is_only_counted() {
        let counts = Counts::default();
        let answered = Answer {
            body: Vec::new(),
            outcome: Outcome::Answered,
            said: None,
        };
        counts.count(&answered);
        counts.count(&Failure::NoKey.into());
        assert_eq!(told(&counts).await, None);
        let counted = counts.all().filter(|(_, count)| *count > 0);
        assert_eq!(
            counted.collect::<Vec<_>>(),
            [("answered", 1), ("no_key", 1)]
        );
    }

    #[test]
    fn a_report_says_how_many_what_and_what_to_do() {
        let counts = Counts::default();
        counts.count(&denied(Denial::OverQueryLimit, &"x".repeat(10_000)));
        let report = counts.last_reports().remove(0).to_string();
        assert!(
            report.starts_with("1 look-up at Places ended with over_query_limit (xxx"),
            "{report}"
        );
        assert!(
            report.ends_with("ask less, or raise it") && report.len() < 500,
            "{report}"
        );
    }
}
