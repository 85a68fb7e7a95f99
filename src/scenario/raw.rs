//! A scenario file as written. The documentation of these types is that of the JSON Schema, which
//! `herd schema` prints.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::document::{Entries, Extended, Located, OneOrMany, Section, TextOr};
use crate::herd::RawHerd;
use crate::scenario::expects::RawExpect;
use crate::scenario::faults::read::{RawFault, RawMean};
use crate::scenario::places::PlacesFault;
use crate::scenario::timers::RawTimer;
use crate::units::{DurationText, LatencyRange};

/// A scenario: a herd, what happens to it, and what is expected to come of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Scenario")]
#[serde(deny_unknown_fields)]
pub(super) struct RawScenario {
    /// What happens, in a few words: `"Juzang goes down"`.
    #[schemars(required)]
    pub(super) title: Option<Located<String>>,
    /// What there is to see in it, in a sentence or two.
    pub(super) about: Option<String>,
    /// The herd: the name of a built-in one (`riley`, `hill`, `clark`, `bailey`, `goloman`), or
    /// the path of a herd file relative to this file (`"ring.toml"`, `"../herds/line"`). Or the
    /// herd itself, as in such a file: `{ name = "pair", servers = ["A", "B"], links = ["A-B"] }`.
    #[schemars(required)]
    pub(super) herd: Option<Located<TextOr<RawHerd>>>,
    /// Where all that is random comes from; 0 by default. The same seed gives the same run.
    pub(super) seed: Option<u64>,
    /// The step of simulated time, `"1ms"` by default: whole milliseconds, from 1ms to 1s. All
    /// times and latencies must be multiples of it. A coarse tick makes long runs quicker.
    pub(super) tick: Option<Located<DurationText>>,
    /// What all clocks show when the run begins: POSIX seconds as text with up to 9 decimals,
    /// `"1621464827"` by default.
    #[schemars(regex(pattern = r"^\d+(\.\d{1,9})?$"))]
    pub(super) epoch: Option<Located<String>>,
    /// How long a message takes between two linked servers, `"20ms"` by default. A range such as
    /// `"10ms..30ms"` is drawn from by the seed.
    pub(super) link_latency: Option<Located<LatencyRange>>,
    /// How long a message takes between a client and a server, `"5ms"` by default, or a range.
    pub(super) client_latency: Option<Located<LatencyRange>>,
    /// How long a message takes between a server and Places, by default as long as between a client
    /// and a server.
    pub(super) places_latency: Option<Located<LatencyRange>>,
    /// The latency of single links, `{ "Riley-Juzang" = "200ms" }`. It takes precedence over `link_latency` and over
    /// the latency in the herd's own file.
    pub(super) latency: Option<Entries<Located<LatencyRange>>>,
    /// When the run ends, such as `"8s"`. By default it ends when everything is quiet.
    pub(super) end: Option<Located<DurationText>>,
    /// In which order everything happens, once all links are up: `"Riley>Jaquez"` lets arrive what
    /// has waited longest from Riley to Jaquez (a segment with updates in it), `"step"` does the next
    /// step. Nothing else depends on latencies then, nor on the times of steps but for one thing: a
    /// step whose time is later than that of the one before waits until nothing is under way. What
    /// the list does not name happens in the order in which it came up.
    pub(super) deliver: Option<OneOrMany>,
    /// The servers' own timers.
    pub(super) server: Option<Section<RawTiming>>,
    /// What happens, step by step. Steps of the same time happen in the order of the file.
    #[schemars(required, length(min = 1))]
    pub(super) steps: Option<Located<Vec<Section<RawStep>>>>,
    /// What is expected of updates, servers, links and of what happens.
    pub(super) expect: Option<Located<Vec<Section<RawExpect>>>>,
    /// Invariants that need not hold in this run, which all others must: a name or a list of
    /// `answered-once-in-order`, `answers-as-of-their-line`, `skew-is-right`, `never-back-in-time`,
    /// `nothing-invented`, `sends-bounded`, `links-fail-for-a-reason`,
    /// `graceful-stop-loses-nothing`, `agreement` and `nothing-waits`.
    pub(super) without: Option<OneOrMany>,
    /// What the Places API answers. Without it every look-up finds nothing, and no request is sent.
    pub(super) places: Option<Located<Vec<Section<RawPlaces>>>>,
}

/// What Places answers. Of all tables that match a request, the first that is not used up answers.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Places")]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlaces {
    /// Only look-ups around this place, as the client wrote it: `"+34.068930-118.445127"`.
    pub(super) near: Option<Located<String>>,
    /// Only look-ups with this radius, in metres.
    pub(super) radius: Option<Located<u32>>,
    /// The HTTP status, 200 by default.
    #[schemars(range(min = 200, max = 599))]
    pub(super) status: Option<Located<u16>>,
    /// The body, as it is.
    pub(super) body: Option<String>,
    /// The body, in pairs of hexadecimal digits: `"7b7d"`.
    pub(super) hex: Option<Located<String>>,
    /// The body: a file, relative to this one.
    pub(super) file: Option<Located<String>>,
    /// The body: the number of invented places in the API's own shape, 0 by default.
    #[schemars(range(max = 20))]
    pub(super) places: Option<Located<u8>>,
    /// How long the answer takes, beside the network's latency.
    pub(super) delay: Option<Located<DurationText>>,
    /// The number of requests after which the table is used up. By default it never is.
    #[schemars(range(min = 1))]
    pub(super) times: Option<Located<u64>>,
    /// How many requests must come to this table. By default at least one must.
    pub(super) expect: Option<Located<u64>>,
    /// `true`: no request need come.
    pub(super) maybe: Option<Located<bool>>,
    /// `"hang"`: no answer ever comes. `"close"`: the connection ends without one. `"cut"`: it
    /// ends in the middle of the body.
    pub(super) fault: Option<Located<PlacesFault>>,
}

/// The servers' own timers.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Timing")]
#[serde(deny_unknown_fields)]
pub(super) struct NoTimers {}

/// Timers, by name.
pub(super) type RawTiming = Extended<NoTimers, RawTimer>;

/// One thing that happens: its time (`at` or `after`), and one of `client`, `workload`, `random` and the words by
/// which faults begin and end.
///
/// `{ at = "1s", crash = "Juzang" }`
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Step")]
#[serde(deny_unknown_fields)]
pub(super) struct PlainStep {
    /// When it happens, counted from the beginning of the run: `"1s"`.
    pub(super) at: Option<Located<DurationText>>,
    /// When it happens, counted from the step before: `"500ms"`.
    pub(super) after: Option<Located<DurationText>>,
    /// The other side of a fault that is said of two sides, or of what ends it.
    pub(super) from: Option<OneOrMany>,
    /// This client connects and sends something: any name, used to tell the story.
    pub(super) client: Option<Located<String>>,
    /// The number of clients that do it, `kiwi-1`, `kiwi-2` and so on for `client = "kiwi"`; or the number of clients
    /// in a `workload`.
    #[schemars(range(min = 1, max = 10000))]
    pub(super) clients: Option<Located<u32>>,
    /// The server that the client talks to; with a list or `"all"`, each of them on its own
    /// connection. Of a `workload`, each line goes to one of them; to one of all by default.
    pub(super) to: Option<OneOrMany>,
    /// The line that the client sends, or a list of lines, sent at once on one connection.
    ///
    /// `{now}` is the client's clock in POSIX seconds with nine decimals, `{now+1.5s}` and
    /// `{now-10s}` a clock that is wrong, `{i}` the number of the repetition from 1 (also in
    /// `{now+{i}ms}`), `{client}` the client's name, `{hex:00ff}` raw bytes, `{{` and `}}` braces.
    pub(super) send: Option<OneOrMany>,
    /// What is answered, or a list with one answer for each line. Without it any answer will do,
    /// but one must come.
    ///
    /// `*` stands for any bytes, `\*` for a star, `\\` for a backslash, `{sent}` for the time that
    /// the line's first `{now…}` gave; `{i}`, `{client}`, `{hex:…}`, `{{` and `}}` as in `send`.
    pub(super) reply: Option<OneOrMany>,
    /// `true`: no answer may come.
    pub(super) no_reply: Option<Located<bool>>,
    /// `true`: no answer need come, but if one does it must be as `reply` says. Of a random step: no fault need be
    /// chosen, nor have an effect.
    pub(super) maybe: Option<Located<bool>>,
    /// How often the client does it, each time on a connection of its own; once by default.
    #[schemars(range(min = 1, max = 10000))]
    pub(super) times: Option<Located<u32>>,
    /// The time between two repetitions, or between two of the `clients`, who take turns. By default
    /// all happen at once.
    pub(super) every: Option<Located<DurationText>>,
    /// The clients of a workload, `load-1`, `load-2` and so on for `"load"`, say for a while what
    /// the seed draws: an IAMAT at a random place, or a WHATSAT about one of them.
    pub(super) workload: Option<Located<String>>,
    /// How many lines a workload says each second, each of them within its own part of that second.
    #[schemars(range(min = 1))]
    pub(super) rate: Option<Located<u32>>,
    /// How long a workload or a random step goes on.
    pub(super) lasts: Option<Located<DurationText>>,
    /// How many lines of a hundred of a workload are a WHATSAT; none by default.
    #[schemars(range(max = 100))]
    pub(super) whatsat: Option<Located<u8>>,
    /// How many lines of a hundred of a workload must be answered: half of them by default.
    #[schemars(range(min = 1, max = 100))]
    pub(super) answered: Option<Located<u8>>,
    /// Faults begin at random, each kind on average once in the time given:
    /// `{ crash = "2s", slow = "1s" }`.
    pub(super) random: Option<Section<RawRandom>>,
    /// How long each fault of a random step holds: `"100ms..800ms"`.
    pub(super) holds: Option<Located<LatencyRange>>,
    /// The servers that a random step may concern: a name, a list, or `"all"`, the default.
    pub(super) of: Option<OneOrMany>,
}

/// A step: what all steps have, and what faults say.
pub(super) type RawStep = Extended<PlainStep, RawFault>;

/// Kinds of faults, each with the mean time from one to the next.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Random")]
#[serde(deny_unknown_fields)]
pub(super) struct NoMeans {}

/// Means, by the word of the fault.
pub(super) type RawRandom = Extended<NoMeans, RawMean>;
