//! The table of settings.

use tracing::Level;

use super::kinds::{Kind, Setting};
use crate::disk::Durability;
use crate::log::Format;
use crate::places::Api;
use crate::server::Limits;

/// The settings that take effect when a server starts, but not when it reloads them.
pub(super) const AT_START: &[&str] = &[
    "log-format",
    "log-dir",
    "log-size",
    "log-keep",
    "stop-limit",
    "listen",
    "peer-listen",
    "admin",
    "insecure-admin",
    "insecure-peers",
    "data-dir",
    "durability",
    "strict-data",
    "sync-every",
    "snapshot-after",
];

const fn setting(name: &'static str, kind: Kind, about: &'static str) -> Setting {
    Setting { name, about, kind }
}

use Kind::Duration as Time;
use Kind::{Address as At, Choice, Count, Life, Path as File, Switch, Text, Url};

/// All settings, in the order of documentation and print.
pub static SETTINGS: &[Setting] = &[
    setting("log-level", LEVEL, "How much is logged on standard error"),
    setting(
        "log-format",
        FORMAT,
        "How it is written: for people, or one JSON object a line",
    ),
    setting(
        "log-dir",
        File(|s| &mut s.log.dir),
        "The folder of `log-NAME.txt`, which holds every line in and out; without it there is none",
    ),
    setting(
        "log-size",
        Count(|s| &mut s.log.size, 4096, 1 << 40),
        "The size in bytes at which `log-NAME.txt` is rotated to `log-NAME.txt.1`",
    ),
    setting(
        "log-keep",
        Count(|s| &mut s.log.keep, 0, 1000),
        "How many rotated logs are retained",
    ),
    setting(
        "places-url",
        Url(|s| &mut s.places_url),
        "The URL of Nearby Search, `https://HOST[:PORT][/PATH]`, or `http` on a trusted network; if not given, Google's",
    ),
    setting(
        "places-api",
        API,
        "The version of the Places API that this URL serves",
    ),
    setting(
        "places-key-file",
        File(|s| &mut s.places_key_file),
        "The file that holds the key to Places",
    ),
    setting(
        "places-field-mask",
        Text(|s| &mut s.places.field_mask),
        "For the new API: the fields of each place that are requested",
    ),
    setting(
        "places-deadline",
        Time(|s| &mut s.places.deadline),
        "The deadline for the answer to a WHATSAT",
    ),
    setting(
        "places-attempt-deadline",
        Time(|s| &mut s.places.attempt_deadline),
        "The deadline for one request to Places",
    ),
    setting(
        "places-retries",
        Count(|s| &mut s.places.retries, 0, 100),
        "How often a look-up is retried after a transient failure",
    ),
    setting(
        "places-retry-pause",
        Time(|s| &mut s.places.retry_pause),
        "The pause before the first retry, less up to a half; it doubles each time",
    ),
    setting(
        "places-longest-pause",
        Time(|s| &mut s.places.longest_pause),
        "If Places wants a longer pause than this, there is no retry",
    ),
    setting(
        "places-largest-body",
        Count(|s| &mut s.places.largest_body, 1024, 1 << 30),
        "The largest answer of Places that is accepted, in bytes",
    ),
    setting(
        "places-in-flight",
        Count(|s| &mut s.places.in_flight, 1, 65_536),
        "Requests to Places in flight at a time",
    ),
    setting(
        "places-keep-alive",
        Time(|s| &mut s.places.keep_alive),
        "How long an unused connection to Places is kept open",
    ),
    setting(
        "listen",
        At(|s| &mut s.listen),
        "Where clients are listened for, such as `0.0.0.0:12200`, if not where the herd file has them connect to: behind a NAT, in a container",
    ),
    setting(
        "peer-listen",
        At(|s| &mut s.peer_listen),
        "Where servers are listened for, such as `0.0.0.0:22200`, if not where the herd file has them dial",
    ),
    setting(
        "client-line",
        Count(|s| &mut s.limits.client_line, 64, Limits::MOST_CLIENT_LINE),
        "The longest line of a client, in bytes",
    ),
    setting(
        "client-connections",
        Count(|s| &mut s.limits.client_connections, 1, 1 << 20),
        "Clients connected at a time; further ones wait",
    ),
    setting(
        "clients-per-address",
        Count(|s| &mut s.limits.clients_per_address, 1, 1 << 20),
        "Clients connected at a time from one address (of IPv6, one /64); further ones are closed",
    ),
    setting(
        "look-ups-per-connection",
        Count(|s| &mut s.limits.look_ups_per_connection, 1, 1 << 10),
        "Look-ups of one client connection in flight at a time; beyond that its next line waits",
    ),
    setting(
        "connection-rate",
        Count(|s| &mut s.limits.connection_rate, 0, 1 << 30),
        "Lines a second from one client connection, after a burst of as many; further lines wait. 0 for no limit",
    ),
    setting(
        "address-rate",
        Count(|s| &mut s.limits.address_rate, 0, 1 << 30),
        "Lines a second from all client connections of one address (of IPv6, one /64) together; further lines wait. 0 for no limit",
    ),
    setting(
        "refuse-until-synchronised",
        Switch(|s| &mut s.limits.refuse_until_synchronised),
        "Close clients' connections until this server is synchronised with all neighbours, for up to `ready-grace`",
    ),
    setting(
        "peer-connections",
        Count(|s| &mut s.limits.peer_connections, 1, 1 << 16),
        "Servers connected at a time",
    ),
    setting(
        "peers-per-address",
        Count(|s| &mut s.limits.peers_per_address, 1, 1 << 16),
        "Servers connected at a time from one address; further ones are closed",
    ),
    setting(
        "clients",
        Count(|s| &mut s.limits.keep.most_clients, 1, 1 << 31),
        "Clients that a server stores; beyond that it refuses new clients, but still stores what neighbours send",
    ),
    setting(
        "record-bytes",
        Count(|s| &mut s.limits.keep.most_bytes, 1, 1 << 40),
        "Bytes of all records that a server stores; beyond that it refuses new clients and longer records, but still stores what neighbours send",
    ),
    setting(
        "time-to-live",
        Life(|s| &mut s.limits.keep.time_to_live),
        "A record is forgotten this long after its origin received it, in the whole herd at once; if not given, never",
    ),
    setting(
        "future-limit",
        Life(|s| &mut s.limits.keep.future_limit),
        "An IAMAT whose time is further ahead of the server's clock is refused; records from neighbours are stored all the same",
    ),
    setting(
        "data-dir",
        File(|s| &mut s.data.dir),
        "The folder where this server, and no other, keeps its records; without it they are in memory only",
    ),
    setting(
        "durability",
        DURABILITY,
        "When an IAMAT is answered: `background` at once, `answered` when its record is on this server's disk",
    ),
    setting(
        "sync-every",
        Time(|s| &mut s.data.sync_every),
        "With `durability` `background`: how long a changed record waits at most before it is written and synced",
    ),
    setting(
        "snapshot-after",
        Count(|s| &mut s.data.snapshot_after, 65_536, 1 << 40),
        "A snapshot replaces the log when that has this number of bytes, and half of what the last snapshot has",
    ),
    setting(
        "strict-data",
        Switch(|s| &mut s.data.strict),
        "Does not start with damaged files; without it the server leaves out what is damaged, and says so",
    ),
    setting(
        "idle",
        Time(|s| &mut s.timing.idle),
        "A client's connection that is idle for this long is closed",
    ),
    setting(
        "half-line",
        Time(|s| &mut s.timing.half_line),
        "A client that begins a line must complete it within this time",
    ),
    setting(
        "write-deadline",
        Time(|s| &mut s.timing.write_deadline),
        "A connection whose other end takes nothing for this long is closed",
    ),
    setting(
        "accept-pause",
        Time(|s| &mut s.timing.accept_pause),
        "The pause when a connection can't be accepted",
    ),
    setting(
        "drain",
        Time(|s| &mut s.timing.drain),
        "When stopping, clients have this long to finish, and then links as long again",
    ),
    setting(
        "stop-limit",
        Time(|s| &mut s.stop_limit),
        "A server that is stopping has exited after this time, however slow its clients and neighbours are",
    ),
    setting(
        "ready-grace",
        Time(|s| &mut s.timing.ready_grace),
        "After its start the server waits this long for all neighbours before it is ready",
    ),
    setting(
        "heartbeat",
        Time(|s| &mut s.timing.heartbeat),
        "A quiet link sends a heartbeat this often; a link that is silent for twice as long is closed",
    ),
    setting(
        "anti-entropy",
        Time(|s| &mut s.timing.anti_entropy),
        "The time between two anti-entropy rounds of a link, in which both ends compare digests, less up to a half",
    ),
    setting(
        "connect-deadline",
        Time(|s| &mut s.timing.connect_deadline),
        "The deadline for connecting to a neighbour",
    ),
    setting(
        "hello-deadline",
        Time(|s| &mut s.timing.hello_deadline),
        "The deadline for the greeting of a new link",
    ),
    setting(
        "handshake-deadline",
        Time(|s| &mut s.timing.handshake_deadline),
        "The deadline for a client's TLS handshake; a server's falls under `hello-deadline`",
    ),
    setting(
        "redial-least",
        Time(|s| &mut s.timing.redial_least),
        "The first pause before a neighbour is dialled again, less up to a half; it doubles each time",
    ),
    setting(
        "redial-most",
        Time(|s| &mut s.timing.redial_most),
        "The longest pause before a neighbour is dialled again",
    ),
    setting(
        "admin",
        At(|s| &mut s.admin),
        "The address at which metrics, health and records are served by HTTP, such as `127.0.0.1:9600`; if not given, nowhere",
    ),
    setting(
        "admin-token-file",
        File(|s| &mut s.admin_token_file),
        "The file that holds the admin token (16 characters or more), which `herd forget` needs; if not given, no client can be forgotten",
    ),
    setting(
        "insecure-admin",
        Switch(|s| &mut s.insecure_admin),
        "Allows an `admin` address that other machines reach, although it authenticates nobody",
    ),
    setting(
        "peer-authorities",
        File(|s| &mut s.peers.authorities),
        "The authorities that sign servers' certificates, in PEM. With `peer-certificate` and `peer-key`, servers authenticate each other by TLS",
    ),
    setting(
        "peer-certificate",
        File(|s| &mut s.peers.own.certificate),
        "This server's certificate, for its own name, in PEM",
    ),
    setting(
        "peer-key",
        File(|s| &mut s.peers.own.key),
        "Its private key",
    ),
    setting(
        "peer-secret-file",
        File(|s| &mut s.peers.secret),
        "The file that holds a secret which all servers of the herd share and authenticate each other by, instead of by TLS",
    ),
    setting(
        "client-certificate",
        File(|s| &mut s.client_tls.certificate),
        "The certificate that clients are shown, in PEM. With `client-key`, clients speak TLS",
    ),
    setting(
        "client-key",
        File(|s| &mut s.client_tls.key),
        "Its private key",
    ),
    setting(
        "places-authorities",
        File(|s| &mut s.places_authorities),
        "Authorities in PEM that may sign the certificate of Places, beside those that the machine trusts",
    ),
    setting(
        "certificate-warning-days",
        Count(|s| &mut s.certificate_warning_days, 0, 3650),
        "Warn of certificates that expire within this number of days, at the start and once a day",
    ),
    setting(
        "insecure-peers",
        Switch(|s| &mut s.insecure_peers),
        "Allows a listener for servers that other machines reach, although servers do not authenticate each other",
    ),
];

const LEVEL: Kind = Choice {
    among: &["error", "warn", "info", "debug", "trace"],
    get: |s| s.log.level.as_str().to_ascii_lowercase(),
    set: |s, word| s.log.level = word.parse().unwrap_or(Level::INFO),
};

const FORMAT: Kind = Choice {
    among: &["text", "json"],
    get: |s| match s.log.format {
        Format::Text => "text".to_owned(),
        Format::Json => "json".to_owned(),
    },
    set: |s, word| {
        s.log.format = match word {
            "json" => Format::Json,
            _ => Format::Text,
        }
    },
};

const DURABILITY: Kind = Choice {
    among: &["background", "answered"],
    get: |s| s.data.durability.word().to_owned(),
    set: |s, word| {
        let known = Durability::ALL.into_iter();
        s.data.durability = known
            .filter(|(known, _)| *known == word)
            .map(|(_, durability)| durability)
            .next()
            .unwrap_or_default();
    },
};

const API: Kind = Choice {
    among: &["legacy", "new"],
    get: |s| match s.places.api {
        Api::Legacy => "legacy".to_owned(),
        Api::New => "new".to_owned(),
    },
    set: |s, word| {
        s.places.api = match word {
            "new" => Api::New,
            _ => Api::Legacy,
        }
    },
};
