//! A scenario file as written. The documentation of these types is that of the JSON Schema, which
//! `herd schema` prints.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::document::{Entries, Located, OneOrMany, Section, TextOr};
use crate::herd::RawHerd;
use crate::scenario::expects::RawExpect;
use crate::scenario::order::Held;
use crate::scenario::places::PlacesFault;
use crate::scenario::server::RawServer;
use crate::scenario::steps::RawStep;
use crate::seed::Recipe;
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
    /// Why it does not end alike in the simulator and on real processes, if it does not. `herd run --world live --compare`
    /// then takes a difference as explained.
    #[schemars(length(min = 1))]
    pub(super) live: Option<Located<String>>,
    /// The herd: the name of a built-in one (`riley`, `hill`, `clark`, `bailey`, `goloman`), or
    /// the path of a herd file relative to this file (`"ring.toml"`, `"../herds/line"`). Or the
    /// herd itself, as in such a file: `{ name = "pair", servers = ["A", "B"], links = ["A-B"] }`.
    #[schemars(required)]
    pub(super) herd: Option<Located<TextOr<RawHerd>>>,
    /// Where all that is random comes from; 0 by default. The same seed gives the same run. Text such as
    /// `"7,1250ms:99"` draws from another seed from a moment on.
    pub(super) seed: Option<Recipe>,
    /// Whether the seed also decides which of a server's tasks that could go on goes on first; false by default. Without
    /// it they go on in the order in which they were woken.
    pub(super) shuffle: Option<bool>,
    /// The step of simulated time in the world `turmoil`, `"1ms"` by default: whole milliseconds,
    /// from 1ms to 1s. All times and latencies of a file that says it must be multiples of it. A
    /// coarse tick makes long runs in that world quicker.
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
    /// Which messages between servers wait in a run with `deliver`: `"updates"`, which is the default, or
    /// `"synchronisation"`, those by which links synchronise, too.
    pub(super) held: Option<Located<Held>>,
    /// The settings of all servers.
    pub(super) server: Option<Section<RawServer>>,
    /// What happens, step by step. Steps of the same time happen in the order of the file.
    #[schemars(required, length(min = 1))]
    pub(super) steps: Option<Located<Vec<Section<RawStep>>>>,
    /// What is expected of updates, servers, links and of what happens.
    pub(super) expect: Option<Located<Vec<Section<RawExpect>>>>,
    /// Invariants that need not hold in this run, which all others must: a name or a list of
    /// `answered-once-in-order`, `answers-as-of-their-line`, `skew-is-right`, `never-back-in-time`,
    /// `nothing-invented`, `sends-bounded`, `links-fail-for-a-reason`,
    /// `graceful-stop-loses-nothing`, `agreement`, `nothing-waits`, `reconciliation-bounded`,
    /// `limits-hold`, `deadlines-hold`, `nothing-is-left`, `answers-of-their-kind`, `told-as-sent`,
    /// `read-your-writes`, `monotonic-reads` and `convergent-reads`.
    pub(super) without: Option<OneOrMany>,
    /// What the Places API answers. Without it every look-up finds nothing, and no request is sent.
    pub(super) places: Option<Located<Vec<Section<RawPlaces>>>>,
    /// What a case is called. Only a case has it.
    #[schemars(skip)]
    pub(super) name: Option<Located<String>>,
    /// Cases: scenarios that share what this file says. Each has a `name`, whatever it says in place of that, and its own
    /// steps, expectations and tables of Places besides.
    #[serde(default)]
    #[schemars(schema_with = "cases")]
    pub(super) case: Option<Located<Vec<Section<Self>>>>,
}

/// A case has the fields of a scenario and a name.
fn cases(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": { "name": { "type": "string", "pattern": "^[A-Za-z0-9_-]+$" } },
        },
    })
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
