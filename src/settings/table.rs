//! The table of settings, and what their kinds have in common.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::Level;

use super::url::PlacesUrl;
use super::values::{address, count, duration, life, path, quoted, visible};
use super::{BadValue, PREFIX, Settings};
use crate::herd::Address;
use crate::log::Format;
use crate::places::Api;
use crate::server::Limits;
use crate::units::format_duration;

/// Settings that take effect when a server starts, and not again when it reloads them.
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
];

/// One thing that can be set.
#[derive(Debug)]
pub struct Setting {
    /// Its name, as its flag has it; in a file it is written with `_`.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// What its values look like, and where they go.
    pub kind: Kind,
}

/// What a setting's values look like, and which part of [`Settings`] they are.
#[derive(Debug)]
pub enum Kind {
    /// A duration, such as `20ms`.
    Duration(fn(&mut Settings) -> &mut Duration),
    /// A long duration, or none.
    Life(fn(&mut Settings) -> &mut Option<Duration>),
    /// A host and a port of this machine, or none; port 0 lets the system choose.
    Address(fn(&mut Settings) -> &mut Option<Address>),
    /// A whole number within these bounds.
    Count(fn(&mut Settings) -> &mut usize, usize, usize),
    /// Yes or no.
    Switch(fn(&mut Settings) -> &mut bool),
    /// Any text without blanks.
    Text(fn(&mut Settings) -> &mut String),
    /// The path of a file or a folder; in a file it is relative to that.
    Path(fn(&mut Settings) -> &mut Option<PathBuf>),
    /// Where Places is.
    Url(fn(&mut Settings) -> &mut Option<PlacesUrl>),
    /// One of these words.
    Choice {
        /// The words.
        among: &'static [&'static str],
        /// Which of them it is.
        get: fn(&Settings) -> String,
        /// Makes it one of them.
        set: fn(&mut Settings, &str),
    },
}

const fn setting(name: &'static str, kind: Kind, about: &'static str) -> Setting {
    Setting { name, about, kind }
}

use Kind::Duration as Time;
use Kind::{Address as At, Choice, Count, Life, Path as File, Switch, Text, Url};

/// All of them.
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
        "A `log-NAME.txt` of so many bytes is put aside as `log-NAME.txt.1`",
    ),
    setting(
        "log-keep",
        Count(|s| &mut s.log.keep, 0, 1000),
        "So many that were put aside are kept",
    ),
    setting(
        "places-url",
        Url(|s| &mut s.places_url),
        "Where Nearby Search is asked, `https://HOST[:PORT][/PATH]`, or `http` where the way is safe; if not given, at Google",
    ),
    setting(
        "places-api",
        API,
        "Which version of the Places API is spoken there",
    ),
    setting(
        "places-key-file",
        File(|s| &mut s.places_key_file),
        "The file that holds the key to Places",
    ),
    setting(
        "places-field-mask",
        Text(|s| &mut s.places.field_mask),
        "For the new API: which fields of each place are wanted",
    ),
    setting(
        "places-deadline",
        Time(|s| &mut s.places.deadline),
        "A WHATSAT is answered by then, whatever happens",
    ),
    setting(
        "places-attempt-deadline",
        Time(|s| &mut s.places.attempt_deadline),
        "One request to Places is given up after this time",
    ),
    setting(
        "places-retries",
        Count(|s| &mut s.places.retries, 0, 100),
        "How often a look-up is tried again after a failure that may pass",
    ),
    setting(
        "places-retry-pause",
        Time(|s| &mut s.places.retry_pause),
        "The pause before the first retry, less up to a half; doubled each time",
    ),
    setting(
        "places-longest-pause",
        Time(|s| &mut s.places.longest_pause),
        "If Places wants a longer pause than this, there is no retry",
    ),
    setting(
        "places-largest-body",
        Count(|s| &mut s.places.largest_body, 1024, 1 << 30),
        "The largest answer of Places that is taken, in bytes",
    ),
    setting(
        "places-in-flight",
        Count(|s| &mut s.places.in_flight, 1, 65_536),
        "So many requests to Places are under way at a time",
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
        "Of these, so many from one address (of IPv6, one /64); further ones are closed",
    ),
    setting(
        "look-ups-per-connection",
        Count(|s| &mut s.limits.look_ups_per_connection, 1, 1 << 10),
        "Look-ups of one client connection that are under way at a time; beyond that its next line waits",
    ),
    setting(
        "connection-rate",
        Count(|s| &mut s.limits.connection_rate, 0, 1 << 30),
        "Lines a second of one client connection, after a burst of as many; beyond that they wait. 0 for no limit",
    ),
    setting(
        "address-rate",
        Count(|s| &mut s.limits.address_rate, 0, 1 << 30),
        "The same for all client connections of one address (of IPv6, one /64) together",
    ),
    setting(
        "refuse-until-synchronised",
        Switch(|s| &mut s.limits.refuse_until_synchronised),
        "Close clients' connections until all neighbours have told what they know, at most for `ready-grace`",
    ),
    setting(
        "peer-connections",
        Count(|s| &mut s.limits.peer_connections, 1, 1 << 16),
        "Servers connected at a time",
    ),
    setting(
        "peers-per-address",
        Count(|s| &mut s.limits.peers_per_address, 1, 1 << 16),
        "Of these, so many from one address; further ones are closed",
    ),
    setting(
        "clients",
        Count(|s| &mut s.limits.keep.most_clients, 1, 1 << 31),
        "Once so many clients are known, new ones are refused; what neighbours tell is taken",
    ),
    setting(
        "record-bytes",
        Count(|s| &mut s.limits.keep.most_bytes, 1, 1 << 40),
        "The same once their records have so many bytes together, and for longer records of clients that are known",
    ),
    setting(
        "time-to-live",
        Life(|s| &mut s.limits.keep.time_to_live),
        "So long after its server heard it a record is forgotten, the same in the whole herd; if not given, never",
    ),
    setting(
        "future-limit",
        Life(|s| &mut s.limits.keep.future_limit),
        "An IAMAT whose time is further ahead of the server's clock is refused; what neighbours tell is taken",
    ),
    setting(
        "idle",
        Time(|s| &mut s.timing.idle),
        "A client's connection on which nothing happens for so long is closed",
    ),
    setting(
        "half-line",
        Time(|s| &mut s.timing.half_line),
        "A client that begins a line must end it within this time",
    ),
    setting(
        "write-deadline",
        Time(|s| &mut s.timing.write_deadline),
        "Who does not take what is written to it for so long is cut off",
    ),
    setting(
        "accept-pause",
        Time(|s| &mut s.timing.accept_pause),
        "The pause when a connection can't be accepted",
    ),
    setting(
        "drain",
        Time(|s| &mut s.timing.drain),
        "When stopping, clients have so long to finish, and then links as long again",
    ),
    setting(
        "stop-limit",
        Time(|s| &mut s.stop_limit),
        "A server that is told to stop has ended by then, however long others take",
    ),
    setting(
        "ready-grace",
        Time(|s| &mut s.timing.ready_grace),
        "From the start, all neighbours are waited for so long before the server is ready",
    ),
    setting(
        "heartbeat",
        Time(|s| &mut s.timing.heartbeat),
        "A link that has nothing to say says so this often; silence of twice that closes it",
    ),
    setting(
        "audit",
        Time(|s| &mut s.timing.audit),
        "Neighbours compare digests this often, less up to a half",
    ),
    setting(
        "connect-deadline",
        Time(|s| &mut s.timing.connect_deadline),
        "A connection to a neighbour that is not made by then is given up",
    ),
    setting(
        "hello-deadline",
        Time(|s| &mut s.timing.hello_deadline),
        "A greeting that did not come by then ends the connection",
    ),
    setting(
        "handshake-deadline",
        Time(|s| &mut s.timing.handshake_deadline),
        "A client's TLS handshake that is not over by then ends the connection; a server's falls under its greeting",
    ),
    setting(
        "redial-least",
        Time(|s| &mut s.timing.redial_least),
        "The pause before a neighbour is dialled again, less up to a half; doubled each time,",
    ),
    setting(
        "redial-most",
        Time(|s| &mut s.timing.redial_most),
        "but never longer than this",
    ),
    setting(
        "admin",
        At(|s| &mut s.admin),
        "Where metrics, health and records are served by HTTP, `127.0.0.1:9600`; if not given, nowhere",
    ),
    setting(
        "admin-token-file",
        File(|s| &mut s.admin_token_file),
        "The file that holds the token (16 characters or more) by which operators there may have a client forgotten; if not given, nobody may",
    ),
    setting(
        "insecure-admin",
        Switch(|s| &mut s.insecure_admin),
        "Serves them where other machines reach it, though nobody is asked who they are",
    ),
    setting(
        "peer-authorities",
        File(|s| &mut s.peers.authorities),
        "Who may name servers: certificates in PEM. With the next two, servers prove who they are by TLS",
    ),
    setting(
        "peer-certificate",
        File(|s| &mut s.peers.own.certificate),
        "This server's certificate, for its own name",
    ),
    setting(
        "peer-key",
        File(|s| &mut s.peers.own.key),
        "Its private key",
    ),
    setting(
        "peer-secret-file",
        File(|s| &mut s.peers.secret),
        "A secret of the whole herd, by which servers prove that they belong to it; in place of TLS",
    ),
    setting(
        "client-certificate",
        File(|s| &mut s.client_tls.certificate),
        "With the next one, clients are spoken to by TLS: the certificate that they are shown",
    ),
    setting(
        "client-key",
        File(|s| &mut s.client_tls.key),
        "Its private key",
    ),
    setting(
        "places-authorities",
        File(|s| &mut s.places_authorities),
        "Authorities that are trusted to name Places, beside those that the machine trusts",
    ),
    setting(
        "certificate-warning-days",
        Count(|s| &mut s.certificate_warning_days, 0, 3650),
        "Certificates that expire within this number of days are warned of, at the start and each day",
    ),
    setting(
        "insecure-peers",
        Switch(|s| &mut s.insecure_peers),
        "Listens for servers where other machines reach it, though nothing proves who they are",
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

impl Setting {
    /// Its key in a file.
    pub fn key(&self) -> String {
        self.name.replace('-', "_")
    }

    /// What it is, and for a number between which bounds it is.
    pub fn about(&self) -> String {
        match self.kind {
            Count(_, least, most) => format!("{} ({least} to {most})", self.about),
            _ => self.about.to_owned(),
        }
    }

    /// Its environment variable.
    pub fn variable(&self) -> String {
        PREFIX.to_owned() + &self.key().to_ascii_uppercase()
    }

    /// Checks a value and puts it into `settings`. A path is relative to `base`.
    pub fn set(&self, settings: &mut Settings, text: &str, base: &Path) -> Result<(), BadValue> {
        match &self.kind {
            Kind::Duration(of) => *of(settings) = duration(text)?,
            Life(of) => *of(settings) = Some(life(text)?),
            At(of) => *of(settings) = Some(address(text)?),
            Count(of, least, most) => *of(settings) = count(text, *least, *most)?,
            Switch(of) => {
                let bad = |_| BadValue::new("it is `true` or `false`");
                *of(settings) = text.parse().map_err(bad)?;
            }
            Text(of) => *of(settings) = visible(text)?,
            File(of) => *of(settings) = Some(path(text, base)?),
            Url(of) => *of(settings) = Some(PlacesUrl::parse(text)?),
            Choice { among, set, .. } => {
                if !among.contains(&text) {
                    return Err(BadValue::new(format!("it is one of {}", among.join(", "))));
                }
                set(settings, text);
            }
        }
        Ok(())
    }

    /// The value as a file has it, or `None` if it has none.
    pub fn get(&self, settings: &Settings) -> Option<String> {
        // One accessor serves for both ways; it wants a value that it could change.
        let mut settings = settings.clone();
        Some(match &self.kind {
            Kind::Duration(of) => quoted(&format_duration(*of(&mut settings))),
            Life(of) => quoted(&format_duration((*of(&mut settings))?)),
            At(of) => quoted(&of(&mut settings).as_ref()?.to_string()),
            Count(of, ..) => of(&mut settings).to_string(),
            Switch(of) => of(&mut settings).to_string(),
            Text(of) => quoted(of(&mut settings)),
            File(of) => quoted(&of(&mut settings).as_ref()?.display().to_string()),
            Url(of) => quoted(&of(&mut settings).as_ref()?.to_string()),
            Choice { get, .. } => quoted(&get(&settings)),
        })
    }
}

impl Kind {
    /// What stands for a value in help.
    pub const fn placeholder(&self) -> &'static str {
        match self {
            Kind::Duration(_) | Life(_) => "DURATION",
            At(_) => "HOST:PORT",
            Count(..) => "N",
            Switch(_) => "true|false",
            Text(_) => "TEXT",
            File(_) => "PATH",
            Url(_) => "URL",
            Choice { .. } => "WORD",
        }
    }

    /// What a value is, to be put behind `it`.
    pub(super) fn wanted(&self) -> String {
        match self {
            Kind::Duration(_) => "is a duration such as `1.5s`, from 1ms to 24h".to_owned(),
            Life(_) => "is a duration such as `24h`, from 1s to 8760h".to_owned(),
            At(_) => "is a host and a port such as `127.0.0.1:9600`".to_owned(),
            Count(_, least, most) => format!("is a whole number from {least} to {most}"),
            Switch(_) => "is `true` or `false`".to_owned(),
            Text(_) => "is a text without blanks".to_owned(),
            File(_) => "is a path".to_owned(),
            Url(_) => "is such as `http://127.0.0.1:8080/path`".to_owned(),
            Choice { among, .. } => format!("is one of {}", among.join(", ")),
        }
    }
}
