//! All metrics in the text format that Prometheus reads.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use super::counts::{Count, Histogram};
use super::families::{FAMILIES, Family};
use super::limits::LIMITS;
use super::metrics::{Connections, LinkCounts, Metrics};
use super::outcomes::{LINES, OUTCOMES, REASONS};
use super::process;
use super::state::Admin;
use crate::version;

/// The text of a scrape. Writing into a string can't fail.
#[derive(Default)]
struct Text(String);

impl Text {
    /// Begins a metric with its `HELP` and `TYPE` lines.
    fn family(&mut self, name: &'static str) -> Samples<'_> {
        if let Some(Family { kind, help, .. }) = FAMILIES.iter().find(|family| family.name == name)
        {
            let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        }
        Samples { text: self, name }
    }
}

/// The samples of one metric.
struct Samples<'a> {
    text: &'a mut Text,
    name: &'static str,
}

impl Samples<'_> {
    /// Adds one sample. Labels are words of this program or names of servers, so their values need
    /// no escapes.
    fn put(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) -> &mut Self {
        self.named(self.name, labels, &value)
    }

    fn named(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        value: &dyn std::fmt::Display,
    ) -> &mut Self {
        let labels = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{value}\""));
        let labels: Vec<String> = labels.collect();
        let labels = labels.join(",");
        let _ = if labels.is_empty() {
            writeln!(self.text.0, "{name} {value}")
        } else {
            writeln!(self.text.0, "{name}{{{labels}}} {value}")
        };
        self
    }

    /// Adds the samples of a histogram. `unit` prints its bounds and its sum.
    fn histogram<const N: usize>(
        &mut self,
        labels: &[(&str, &str)],
        histogram: &Histogram<N>,
        unit: fn(u64) -> String,
    ) -> &mut Self {
        let [bucket, sum, count] =
            ["bucket", "sum", "count"].map(|end| format!("{}_{end}", self.name));
        let mut so_far = 0;
        let mut up_to = |samples: &mut Self, bound: &str, counted: u64| {
            so_far += counted;
            let labels = [labels, &[("le", bound)]].concat();
            samples.named(&bucket, &labels, &so_far);
            so_far
        };
        for (bound, counted) in histogram.bounds.iter().zip(&histogram.counts) {
            up_to(self, &unit(*bound), counted.get());
        }
        let all = up_to(self, "+Inf", histogram.above.get());
        self.named(&sum, labels, &unit(histogram.sum.get()))
            .named(&count, labels, &all)
    }
}

/// Prints nanoseconds as seconds, exactly.
fn seconds(nanos: u64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    let text = text.trim_end_matches('0');
    text.strip_suffix('.').unwrap_or(text).to_owned()
}

/// The answer to `/metrics`.
pub(super) fn scrape(admin: &Admin) -> String {
    let mut text = Text::default();
    let build = [
        ("version", version::VERSION),
        ("commit", version::COMMIT),
        ("date", version::DATE),
    ];
    text.family("herd_build_info").put(&build, 1);
    let started = &admin.metrics.started;
    text.family("process_start_time_seconds").put(&[], started);
    process(&mut text);
    let is_ready = u8::from(admin.readiness().is_ok());
    text.family("herd_ready").put(&[], is_ready);
    let is_empty = u8::from(admin.metrics.came_up_empty());
    text.family("herd_came_up_empty").put(&[], is_empty);
    text.family("herd_clients").put(&[], admin.server.clients());
    text.family("herd_clients_forgotten")
        .put(&[], admin.server.forgotten());
    records(&mut text, &admin.metrics);
    links(&mut text, admin);
    connections(&mut text, admin);
    disk(&mut text, admin);
    text.0
}

fn process(text: &mut Text) {
    let process = process::ask();
    let mut put = |name, value: Option<String>| {
        let mut samples = text.family(name);
        if let Some(value) = value {
            samples.put(&[], value);
        }
    };
    put("process_cpu_seconds_total", process.cpu.map(seconds));
    for (name, value) in [
        ("process_resident_memory_bytes", process.resident_bytes),
        ("process_virtual_memory_bytes", process.virtual_bytes),
        (
            "process_open_fds",
            process.open_files.map(|files| files as u64),
        ),
        ("process_max_fds", process.most_files),
    ] {
        put(name, value.map(|value| value.to_string()));
    }
}

fn records(text: &mut Text, metrics: &Metrics) {
    text.family("herd_namesakes_total")
        .put(&[], metrics.namesakes.get());
    text.family("herd_records_expired_total")
        .put(&[], metrics.expired.get());
    text.family("herd_lines_total")
        .put(&[("direction", "in")], metrics.lines_in.get())
        .put(&[("direction", "out")], metrics.lines_out.get());
    let mut lines = text.family("herd_client_lines_total");
    for ((kind, outcome), count) in LINES.iter().zip(&metrics.client_lines) {
        lines.put(&[("kind", kind), ("outcome", outcome)], count.get());
    }
    text.family("herd_client_latency_seconds")
        .histogram(&[("answer", "at_once")], &metrics.at_once, seconds)
        .histogram(&[("answer", "looked_up")], &metrics.looked_up, seconds)
        .histogram(&[("answer", "saved")], &metrics.saved, seconds);
    let mut updates = text.family("herd_updates_total");
    for (outcome, count) in OUTCOMES.iter().zip(&metrics.updates) {
        updates.put(&[("outcome", outcome)], count.get());
    }
    text.family("herd_update_delay_seconds")
        .histogram(&[], &metrics.delay, seconds);
    text.family("herd_update_hops")
        .histogram(&[], &metrics.hops, |hops| hops.to_string());
}

fn links(text: &mut Text, admin: &Admin) {
    let now = admin.server.links();
    let status = |peer: &str| {
        let found = now.iter().find(|(name, _)| **name == *peer);
        found.and_then(|(_, status)| *status)
    };
    let links = &admin.metrics.link_counts();
    let mut each = |name, value: &dyn Fn(&str, &LinkCounts) -> Option<String>| {
        let mut samples = text.family(name);
        for (peer, counts) in links {
            if let Some(value) = value(peer, counts) {
                samples.put(&[("peer", peer)], value);
            }
        }
    };
    let switch = |on: bool| Some(u8::from(on).to_string());
    each("herd_link_up", &|peer, _| switch(status(peer).is_some()));
    each("herd_link_synchronised", &|_, link| {
        switch(link.is_synchronised())
    });
    each("herd_link_waiting_records", &|peer, _| {
        Some(status(peer).map_or(0, |status| status.waiting).to_string())
    });
    each("herd_link_unconfirmed_records", &|_, link| {
        Some(link.unconfirmed.load(Ordering::Relaxed).to_string())
    });
    each("herd_link_roots_agree", &|peer, _| {
        status(peer)?.agreed.and_then(switch)
    });
    each("herd_link_round_trip_seconds", &|peer, _| {
        let way = status(peer)?.round_trip?;
        Some(seconds(u64::try_from(way.as_nanos()).unwrap_or(u64::MAX)))
    });
    each("herd_link_clock_offset_seconds", &|peer, _| {
        let offset = status(peer)?.clock_offset?;
        let sign = if offset < 0 { "-" } else { "" };
        Some(sign.to_owned() + &seconds(offset.unsigned_abs()))
    });
    each(
        "herd_link_last_synchronised_timestamp_seconds",
        &|_, link| {
            let last = u64::try_from(link.last.load(Ordering::Relaxed)).ok();
            last.filter(|&last| last > 0).map(seconds)
        },
    );
    each("herd_link_synchronisations_total", &|_, link| {
        Some(link.synchronisations.get().to_string())
    });
    each("herd_link_downs_total", &|_, link| {
        Some(link.downs.get().to_string())
    });
    each("herd_link_connect_failures_total", &|_, link| {
        Some(link.connect_failures.get().to_string())
    });
    let mut directed = |name, value: &dyn Fn(&LinkCounts) -> (u64, u64)| {
        let mut samples = text.family(name);
        for (peer, counts) in links {
            let (sent, received) = value(counts);
            samples.put(&[("peer", peer), ("direction", "sent")], sent);
            samples.put(&[("peer", peer), ("direction", "received")], received);
        }
    };
    directed("herd_link_last_synchronised_records", &|link| {
        let [sent, received] = [&link.last_sent, &link.last_received];
        (
            sent.load(Ordering::Relaxed),
            received.load(Ordering::Relaxed),
        )
    });
    directed("herd_link_synchronised_records_total", &|link| {
        (link.sent.get(), link.received.get())
    });
}

fn connections(text: &mut Text, admin: &Admin) {
    let metrics = &admin.metrics;
    let mut look_ups = text.family("herd_look_ups_total");
    let mut busy = 0;
    for (status, count) in admin.look_ups.all() {
        look_ups.put(&[("status", status)], count);
        if status == "busy" {
            busy = count;
        }
    }
    text.family("herd_places_latency_seconds")
        .histogram(&[], &metrics.places, seconds);
    let both = [
        ("client", &metrics.with_clients),
        ("server", &metrics.with_servers),
    ];
    let mut plain = |name, value: fn(&Connections) -> u64| {
        let mut samples = text.family(name);
        for (with, connections) in both {
            samples.put(&[("with", with)], value(connections));
        }
    };
    plain("herd_connections", Connections::open);
    plain("herd_connections_opened_total", |connections| {
        connections.opened.get()
    });
    let mut by_reason = |name, counts: fn(&Connections) -> &[Count; REASONS.len()]| {
        let mut samples = text.family(name);
        for (with, connections) in both {
            for (reason, count) in REASONS.iter().zip(counts(connections)) {
                // Most reasons never occur, and some are impossible.
                if count.get() > 0 {
                    samples.put(&[("with", with), ("reason", reason)], count.get());
                }
            }
        }
    };
    by_reason("herd_connections_closed_total", |connections| {
        &connections.closed
    });
    by_reason("herd_connections_refused_total", |connections| {
        &connections.not_accepted
    });
    let mut limits = text.family("herd_limits_hit_total");
    for limit in LIMITS {
        limits.put(&[("limit", limit.name)], (limit.hits)(metrics, busy));
    }
    let mut dropped = text.family("herd_log_lines_dropped_total");
    for (log, queue) in &admin.logs {
        dropped.put(&[("log", log)], queue.dropped());
    }
    text.family("herd_log_lines_left_out_total")
        .put(&[], admin.quota.left_out());
    let mut expires = text.family("herd_certificate_expires_timestamp_seconds");
    for (setting, end) in admin.certificates.borrow().first_ends() {
        expires.put(&[("setting", setting)], end);
    }
}

/// Without a disk there are no samples.
fn disk(text: &mut Text, admin: &Admin) {
    let Some(status) = admin.server.disk() else {
        return;
    };
    let counts = &admin.metrics.disk;
    let behind = u64::try_from(status.behind.as_nanos()).unwrap_or(u64::MAX);
    text.family("herd_disk_failing")
        .put(&[], u8::from(status.is_failing));
    text.family("herd_disk_failures_total")
        .put(&[], counts.failures.get());
    text.family("herd_disk_unsaved_records")
        .put(&[], status.unsaved);
    text.family("herd_disk_oldest_unsaved_seconds")
        .put(&[], seconds(behind));
    text.family("herd_disk_bytes").put(&[], status.bytes);
    text.family("herd_disk_saved_records_total")
        .put(&[], counts.records.get());
    text.family("herd_disk_saved_bytes_total")
        .put(&[], counts.bytes.get());
    text.family("herd_disk_save_seconds")
        .histogram(&[], &counts.saves, seconds);
    text.family("herd_disk_snapshots_total")
        .put(&[("outcome", "written")], counts.snapshots.get())
        .put(&[("outcome", "failed")], counts.failed_snapshots.get());
    text.family("herd_disk_damaged_places")
        .put(&[], counts.damaged.load(Ordering::Relaxed));
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn seconds_are_exact_and_short() {
        let printed = [0, 1, 100_000, 2_500_000_000, 60_000_000_000].map(seconds);
        assert_eq!(printed, ["0", "0.000000001", "0.0001", "2.5", "60"]);
    }
}
