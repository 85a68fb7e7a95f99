//! Conformance as a report card: each rule of the clients' protocol as one small case, judged on
//! servers of anybody's herd by what a client can see.

mod at;
mod bench;
mod card;
mod client;
mod junit;
mod page;
mod places;
mod rules;
mod scenario;
mod text;
mod trial;

pub use bench::{BenchError, Subject};
pub use card::{Card, Failure, Group, Result, Rule, Verdict, Weight};
pub use junit::junit;
pub use page::page;
pub use scenario::{play, scenario_rule};

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use trial::{Done, Trial};

use crate::herd::Herd;

/// What to check, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The herd: its servers' names, and which of them are linked.
    pub herd: Herd,
    /// The servers under test.
    pub subject: Subject,
    /// How long anything that a server must do may take.
    pub patience: Duration,
    /// How long a server may take until it listens.
    pub start: Duration,
    /// The program `herd`, which guards the servers.
    pub guard: PathBuf,
}

/// One case: a rule, and what shows whether a server follows it.
struct Case {
    rule: Rule,
    needs: &'static [Need],
    test: Test,
}

/// What a case cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// The stand-in for Places.
    Places,
    /// WHATSAT, by which a server says what it knows.
    Knowledge,
    /// A WHATSAT that is answered, without which it shows nothing that others are refused.
    Contrast,
    /// The servers' processes.
    Processes,
    /// Two servers or more.
    Several,
}

/// The test of a case.
#[derive(Clone, Copy)]
enum Test {
    /// Each line on a connection of its own. `{id}` is a client's id, `{now}` the time.
    Lines(&'static [(&'static [u8], Wanted)]),
    Steps(Steps),
}

/// The answer that a line must get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// An AT line with the line's own fields.
    At,
    /// `? ` and a copy of the line.
    Refusal,
}

type Steps = for<'t> fn(&'t mut Trial) -> Pin<Box<dyn Future<Output = Done> + 't>>;

/// The rules that are judged, in the order of the card.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    rules::all().map(|case| &case.rule)
}

/// Judges servers by the rules that `chosen` accepts. `began` hears of each case before it is
/// tried, with its number from 0.
///
/// The servers are started first, unless they run already, and ended before this returns. A test
/// suite of somebody's server in Rust:
///
/// ```no_run
/// use std::time::Duration;
///
/// use proxy_herd::herd::Herd;
/// use proxy_herd::live::check::{Options, Subject, check};
/// use proxy_herd::live::command::Command;
///
/// # async fn suite() -> Result<(), Box<dyn std::error::Error>> {
/// let options = Options {
///     herd: Herd::from_links("square", &["A-B", "B-C", "C-D", "D-A"])?,
///     subject: Subject::Command(Command::parse("./server {name} {port} {herd}")?, Vec::new()),
///     patience: Duration::from_secs(2),
///     start: Duration::from_secs(20),
///     // The command `herd` on the path.
///     guard: "herd".into(),
/// };
/// let card = check(&options, |rule| rule.id != "crowd", |_, _| {}).await?;
/// assert!(card.passed(), "{}", card.text(false));
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// If the servers cannot be started.
pub async fn check(
    options: &Options,
    chosen: impl Fn(&Rule) -> bool,
    mut began: impl FnMut(usize, &Rule),
) -> std::result::Result<Card, BenchError> {
    let mut trial = Trial::start(options).await?;
    let mut results = Vec::new();
    let cases = rules::all().filter(|case| chosen(&case.rule));
    for (number, case) in cases.enumerate() {
        began(number, &case.rule);
        let verdict = trial.judge(case).await;
        results.push(Result {
            rule: case.rule,
            verdict,
        });
    }
    Ok(Card {
        herd: options.herd.name().to_string(),
        subject: options.subject.to_string(),
        results,
    })
}
