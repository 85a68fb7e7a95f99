//! All metrics by name, and their table for the documentation.

/// A metric, and what it says.
#[derive(Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// What it says, in a few words.
    pub help: &'static str,
}

const fn family(kind: &'static str, name: &'static str, help: &'static str) -> Family {
    Family { name, kind, help }
}

/// All metrics.
pub static FAMILIES: &[Family] = &[
    family(
        "gauge",
        "herd_build_info",
        "Always 1; the labels say which version runs, and from which commit of which day it was built",
    ),
    family(
        "gauge",
        "process_start_time_seconds",
        "When the server started, in POSIX seconds",
    ),
    family(
        "counter",
        "process_cpu_seconds_total",
        "How long the process has computed, on all cores together",
    ),
    family(
        "gauge",
        "process_resident_memory_bytes",
        "How much memory the process has",
    ),
    family(
        "gauge",
        "process_virtual_memory_bytes",
        "How many addresses the process has taken; most have no memory",
    ),
    family(
        "gauge",
        "process_open_fds",
        "Open file descriptors: connections, listeners, logs",
    ),
    family(
        "gauge",
        "process_max_fds",
        "How many file descriptors may be open",
    ),
    family("gauge", "herd_ready", "Whether `/readyz` says yes"),
    family(
        "gauge",
        "herd_came_up_empty",
        "Whether nobody has told the server anything from before its start, though it was ready or `ready-grace` was over: a first start, or all is lost",
    ),
    family("gauge", "herd_clients", "Clients whose record is held"),
    family(
        "gauge",
        "herd_clients_forgotten",
        "Clients that an operator had forgotten and that were not heard of since",
    ),
    family(
        "counter",
        "herd_namesakes_total",
        "How often a second server of one name was refused, here or by a neighbour",
    ),
    family(
        "counter",
        "herd_records_expired_total",
        "Records forgotten because their time to live was over",
    ),
    family(
        "counter",
        "herd_lines_total",
        "Lines in and out, of clients and servers; an answer is one",
    ),
    family(
        "counter",
        "herd_client_lines_total",
        "Clients' lines by kind and by what became of them",
    ),
    family(
        "histogram",
        "herd_client_latency_seconds",
        "From when a client's line had come until its answer was written: `at_once`, or `looked_up` where Places was asked; lines behind one that is looked up are not counted",
    ),
    family(
        "counter",
        "herd_updates_total",
        "Updates from neighbours by what became of them; `known` are duplicates, `tied` lose against a record of the same time",
    ),
    family(
        "histogram",
        "herd_update_delay_seconds",
        "This server's clock, when an update from a neighbour was news, less its origin's when it heard the client; includes what the two clocks differ by, and the age of what synchronisation brings; a day at most",
    ),
    family(
        "histogram",
        "herd_update_hops",
        "Links that an update from a neighbour crossed when it was news",
    ),
    family("gauge", "herd_link_up", "Whether updates flow"),
    family(
        "gauge",
        "herd_link_synchronised",
        "Whether what was missed before the link came up was made good",
    ),
    family(
        "gauge",
        "herd_link_waiting_records",
        "Records that wait to be sent to the neighbour",
    ),
    family(
        "gauge",
        "herd_link_unconfirmed_records",
        "Once the server has stopped: records that the neighbour did not confirm to have",
    ),
    family(
        "gauge",
        "herd_link_roots_agree",
        "Whether both knew the same when they last compared digests; updates under way make a difference, too",
    ),
    family(
        "gauge",
        "herd_link_round_trip_seconds",
        "How long a line took to the neighbour and its answer back, when last measured; what waited there before is in it",
    ),
    family(
        "gauge",
        "herd_link_clock_offset_seconds",
        "How far the neighbour's clock was ahead of this server's when last measured, give or take half the round trip",
    ),
    family(
        "gauge",
        "herd_link_last_synchronised_timestamp_seconds",
        "When the link was last synchronised",
    ),
    family(
        "gauge",
        "herd_link_last_synchronised_records",
        "How many records the last synchronisation sent and received",
    ),
    family(
        "counter",
        "herd_link_synchronisations_total",
        "Synchronisations",
    ),
    family(
        "counter",
        "herd_link_synchronised_records_total",
        "Records that synchronisations sent and received",
    ),
    family(
        "counter",
        "herd_link_downs_total",
        "How often the link went down",
    ),
    family(
        "counter",
        "herd_link_connect_failures_total",
        "How often the neighbour was dialled in vain: it was not there, or made no link",
    ),
    family(
        "counter",
        "herd_look_ups_total",
        "Look-ups at Places by what became of them",
    ),
    family(
        "histogram",
        "herd_places_latency_seconds",
        "How long a look-up took, with waiting for its turn, retries and pauses",
    ),
    family("gauge", "herd_connections", "Open connections"),
    family(
        "counter",
        "herd_connections_opened_total",
        "Connections that were accepted or made",
    ),
    family(
        "counter",
        "herd_connections_closed_total",
        "Connections that ended, by reason",
    ),
    family(
        "counter",
        "herd_connections_refused_total",
        "Connections that were not taken, by reason; for `full` those that wait count once in all",
    ),
    family(
        "counter",
        "herd_limits_hit_total",
        "How often somebody met a limit, by the setting that sets it",
    ),
    family(
        "counter",
        "herd_log_lines_dropped_total",
        "Lines of a log that could not be written, or not in time",
    ),
    family(
        "counter",
        "herd_log_lines_left_out_total",
        "Lines that were not logged because there were too many of their kind",
    ),
    family(
        "gauge",
        "herd_certificate_expires_timestamp_seconds",
        "When the first certificate of a file expires, in POSIX seconds; the label is the setting that names the file",
    ),
];

/// The table of metrics that the documentation holds.
pub fn markdown() -> String {
    let head = "| metric | kind | what it says |\n|---|---|---|\n".to_owned();
    FAMILIES.iter().fold(head, |text, family| {
        let Family { name, kind, help } = family;
        text + &format!("| `{name}` | {kind} | {help} |\n")
    })
}
