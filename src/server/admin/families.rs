//! The list of all metrics, and their table for the documentation.

/// A metric's name, kind and help.
#[derive(Debug)]
pub struct Family {
    /// The name of the metric.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The meaning of its value, for the `HELP` line and the documentation.
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
        "Whether neither the disk nor a neighbour had any record from before this start when the server became ready or `ready-grace` ended: a first start, or all records are lost",
    ),
    family("gauge", "herd_clients", "Clients whose record is stored"),
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
        "Clients' lines by kind and outcome",
    ),
    family(
        "histogram",
        "herd_client_latency_seconds",
        "The time from the arrival of a client's line until its answer was written: `at_once`, `looked_up` with a look-up at Places, or `saved` when the record was on the disk; lines behind one that is looked up are not counted",
    ),
    family(
        "counter",
        "herd_updates_total",
        "Updates from neighbours by outcome; `known` are duplicates, `tied` lose against a record of the same time",
    ),
    family(
        "histogram",
        "herd_update_delay_seconds",
        "This server's clock when it accepted an update from a neighbour, minus the origin's clock when it received the client's line; includes the difference of the two clocks and the age of synchronised records; up to a day",
    ),
    family(
        "histogram",
        "herd_update_hops",
        "Links that an update from a neighbour crossed before it was accepted",
    ),
    family("gauge", "herd_link_up", "Whether updates flow"),
    family(
        "gauge",
        "herd_link_synchronised",
        "Whether the records missed before the link came up have been exchanged",
    ),
    family(
        "gauge",
        "herd_link_waiting_records",
        "Records that wait to be sent to the neighbour",
    ),
    family(
        "gauge",
        "herd_link_unconfirmed_records",
        "Records that the neighbour had not confirmed when the server stopped",
    ),
    family(
        "gauge",
        "herd_link_roots_agree",
        "Whether both ends held the same records in the last anti-entropy round; updates in flight count as differences",
    ),
    family(
        "gauge",
        "herd_link_round_trip_seconds",
        "The last measured round trip of a line to the neighbour, including the time that it queued there",
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
        "Failed attempts to connect: the neighbour was unreachable, or the handshake was rejected",
    ),
    family(
        "counter",
        "herd_look_ups_total",
        "Look-ups at Places by outcome",
    ),
    family(
        "histogram",
        "herd_places_latency_seconds",
        "How long a look-up took, including the wait for its turn, retries and pauses",
    ),
    family("gauge", "herd_connections", "Open connections"),
    family(
        "counter",
        "herd_connections_opened_total",
        "Connections that were accepted or dialled",
    ),
    family(
        "counter",
        "herd_connections_closed_total",
        "Connections that ended, by reason",
    ),
    family(
        "counter",
        "herd_connections_refused_total",
        "Connections that were refused, by reason; for `full` those that wait count once in all",
    ),
    family(
        "counter",
        "herd_limits_hit_total",
        "How often a limit was reached, by the setting that sets it",
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
        "herd_disk_failing",
        "Whether the disk takes no records; all metrics of the disk are there only with `data-dir`",
    ),
    family(
        "counter",
        "herd_disk_failures_total",
        "How often the disk began to take no records",
    ),
    family(
        "gauge",
        "herd_disk_unsaved_records",
        "Clients whose latest record is in memory only",
    ),
    family(
        "gauge",
        "herd_disk_oldest_unsaved_seconds",
        "How long the oldest of them has been in memory only, at most",
    ),
    family(
        "gauge",
        "herd_disk_bytes",
        "Bytes of records on the disk, about",
    ),
    family(
        "counter",
        "herd_disk_saved_records_total",
        "Records written to the log and synced",
    ),
    family(
        "counter",
        "herd_disk_saved_bytes_total",
        "Bytes written to the log and synced",
    ),
    family(
        "histogram",
        "herd_disk_save_seconds",
        "How long a batch of records took to be written and synced; there is one sync of the log for each",
    ),
    family(
        "counter",
        "herd_disk_snapshots_total",
        "Snapshots by outcome",
    ),
    family(
        "gauge",
        "herd_disk_damaged_places",
        "Damaged places in the files when the server started",
    ),
    family(
        "gauge",
        "herd_certificate_expires_timestamp_seconds",
        "When the first certificate of a file expires, in POSIX seconds; the label is the setting that names the file",
    ),
];

/// The table of all metrics for the documentation, in Markdown.
pub fn markdown() -> String {
    let head = "| metric | kind | meaning |\n|---|---|---|\n".to_owned();
    FAMILIES.iter().fold(head, |text, family| {
        let Family { name, kind, help } = family;
        text + &format!("| `{name}` | {kind} | {help} |\n")
    })
}
