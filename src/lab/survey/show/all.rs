//! A survey as text, JSON and CSV.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{histogram, mean, right, told};
use crate::report::show::{count, delay, table};
use crate::survey::{FailureSet, RouteFigures, Spread, Survey};
use crate::units::format_duration;

/// Sums over failure sets.
#[derive(Default)]
struct Sums {
    sets: usize,
    cut: usize,
    origins: usize,
    /// Routes from an origin to another server: those that the graph has, those that the update
    /// took, and those that it took in the fewest hops.
    in_reach: usize,
    reached: usize,
    shortest: usize,
    hops: u64,
    most_hops: u32,
    longest: u64,
    sends: u64,
    duplicates: usize,
}

impl Sums {
    fn add(&mut self, set: &FailureSet) {
        self.sets += 1;
        self.cut += usize::from(set.cuts_the_herd);
        self.origins += set.spreads.len();
        for spread in &set.spreads {
            self.sends += spread.sends;
            self.duplicates += spread.duplicates;
            for way in spread.ways.iter().filter(|way| way.shortest != Some(0)) {
                self.in_reach += usize::from(way.shortest.is_some());
                self.reached += usize::from(way.hops.is_some());
                self.shortest += usize::from(way.hops.is_some() && way.hops == way.shortest);
                self.hops += u64::from(way.hops.unwrap_or(0));
                self.most_hops = self.most_hops.max(way.hops.unwrap_or(0));
                self.longest = self.longest.max(way.delay.unwrap_or(0));
            }
        }
    }

    fn row(&self, name: String) -> Vec<String> {
        vec![
            name,
            self.sets.to_string(),
            self.cut.to_string(),
            self.origins.to_string(),
            self.in_reach.to_string(),
            self.reached.to_string(),
            self.shortest.to_string(),
            mean(self.hops, self.reached),
            self.most_hops.to_string(),
            delay(self.longest),
            self.sends.to_string(),
            self.duplicates.to_string(),
        ]
    }
}

/// The failure sets of one size that partition the herd.
pub(crate) struct Cutting {
    /// Their number, in words.
    pub(crate) words: String,
    /// Each set in words.
    pub(crate) sets: Vec<String>,
}

impl Survey {
    /// The survey as text for people.
    pub fn to_text(&self) -> String {
        let mut lines = self.head();
        lines.push(String::new());
        lines.extend(self.by_size());
        lines.push(String::new());
        for Cutting { words, sets } in self.cutting() {
            lines.push(words);
            lines.extend(sets.iter().map(|set| format!("  {set}")));
        }
        lines.push(String::new());
        match self.extra_links() {
            Ok(rows) => lines.extend(table(&rows, &right(6))),
            Err(none) => lines.push(none.to_owned()),
        }
        lines.push(String::new());
        let exceptions = self.exceptions.iter();
        lines.extend(told(
            exceptions.map(|one| format!("{}: {}", one.set, one.what)),
        ));
        lines.push(self.verdict());
        lines.join("\n") + "\n"
    }

    fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        self.sets.iter().for_each(|set| sums.add(set));
        sums
    }

    fn head(&self) -> Vec<String> {
        let engine = self.engine.words();
        vec![
            format!(
                "herd {}: {}, {}, {} each",
                self.herd,
                count(self.servers.len(), "server"),
                count(self.links.len(), "link"),
                format_duration(self.latency)
            ),
            format!(
                "every set of up to {} and {}, failed before any link is up, on {engine}",
                count(self.most.0, "dead server"),
                count(self.most.1, "cut link")
            ),
        ]
    }

    fn by_size(&self) -> Vec<String> {
        let mut sizes: BTreeMap<usize, Sums> = BTreeMap::new();
        for set in &self.sets {
            sizes.entry(set.size()).or_default().add(set);
        }
        let head = [
            "failures",
            "sets",
            "partitioned",
            "updates",
            "in reach",
            "reached",
            "shortest",
            "mean hops",
            "most",
            "longest",
            "sends",
            "duplicates",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(sizes.iter().map(|(size, sums)| sums.row(size.to_string())));
        rows.push(self.sums().row("all".to_owned()));
        table(&rows, &right(12))
    }

    /// The single failures, and the pairs of failures, that partition the herd.
    pub(crate) fn cutting(&self) -> Vec<Cutting> {
        let words = [
            (
                1,
                "single failures that partition the herd",
                "single failure",
            ),
            (
                2,
                "pairs of failures that partition the herd",
                "pair of failures",
            ),
        ];
        let of_size = |(size, many, none)| {
            let sets = || self.sets.iter().filter(|set| set.size() == size);
            let cutting = sets().filter(|set| set.cuts_the_herd);
            let cutting: Vec<String> = cutting.map(FailureSet::words).collect();
            let words = match (sets().count(), cutting.len()) {
                (0, _) => format!("no {none} was surveyed"),
                (of, 0) => format!("no {none} of {of} cuts the herd"),
                (of, some) => format!("{many}: {some} of {of}"),
            };
            let sets = cutting;
            Cutting { words, sets }
        };
        words.map(of_size).into()
    }

    /// What each missing link would improve, as rows under a heading; or why there are no rows.
    pub(crate) fn extra_links(&self) -> Result<Vec<Vec<String>>, &'static str> {
        let Some(extra) = &self.extra else {
            return Err("too many links are missing to say what each would help");
        };
        if extra.is_empty() {
            return Err("every two servers are linked");
        }
        let servers = self.servers.len();
        let pairs = servers * (servers - 1);
        let head = [
            "one link more",
            "sets it saves",
            "of",
            "more ways",
            "mean hops intact",
            "before",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(extra.iter().map(|link| {
            vec![
                link.link.clone(),
                link.saves.to_string(),
                self.sums().cut.to_string(),
                link.more_ways.to_string(),
                mean(link.hops_after, pairs),
                mean(link.hops_before, pairs),
            ]
        }));
        Ok(rows)
    }

    /// One line: whether the survey passed, failed or is partial, and its main figures.
    pub fn verdict(&self) -> String {
        let sums = self.sums();
        let Sums {
            in_reach, shortest, ..
        } = sums;
        let (sets, all) = (self.sets.len(), self.all);
        let lifeless = self
            .sets
            .iter()
            .filter(|set| set.live(self.servers.len()) == 0);
        let lifeless = match lifeless.count() {
            0 => String::new(),
            some => format!(" ({some} of which leave no server alive)"),
        };
        let seen = format!("{sets} failure sets{lifeless}");
        if self.is_partial() {
            return format!(
                "PARTIAL: {sets} of {all} failure sets surveyed; in these, {} found",
                count(self.exceptions.len(), "exception")
            );
        }
        if sums.origins == 0 {
            return format!("FAILED: in {seen} no update was sent, so nothing was seen");
        }
        if !self.exceptions.is_empty() {
            let exceptions = count(self.exceptions.len(), "exception");
            return format!(
                "FAILED: {exceptions} in {seen}; hops are the shortest possible in {shortest} of {in_reach}"
            );
        }
        format!(
            "PASSED: in all {seen} and from all live origins, every server in reach is reached and no other; hops are the \
             shortest possible under equal latencies in {shortest} of {in_reach}"
        )
    }

    /// The survey as one JSON object and a line feed.
    pub fn to_json(&self) -> String {
        let sums = self.sums();
        let cutting = |size: usize| -> Vec<Value> {
            let sets = self
                .sets
                .iter()
                .filter(|set| set.size() == size && set.cuts_the_herd);
            sets.map(|set| json!({ "dead": set.dead, "cut": set.cut }))
                .collect()
        };
        let value = json!({
            "herd": self.herd,
            "servers": self.servers,
            "links": self.links,
            "latency_ns": u64::try_from(self.latency.as_nanos()).unwrap_or(u64::MAX),
            "engine": self.engine,
            "most_dead": self.most.0,
            "most_cut": self.most.1,
            "failure_sets": self.all,
            "surveyed": self.sets.len(),
            "partial": self.is_partial(),
            "held": self.held(),
            "cut_the_herd": sums.cut,
            "updates": sums.origins,
            "ways_in_reach": sums.in_reach,
            "ways_reached": sums.reached,
            "ways_shortest": sums.shortest,
            "hops": sums.hops,
            "most_hops": sums.most_hops,
            "longest_ns": sums.longest,
            "sends": sums.sends,
            "duplicates": sums.duplicates,
            "single_failures_that_cut": cutting(1),
            "pairs_of_failures_that_cut": cutting(2),
            "extra_links": self.extra,
            "exceptions": self.exceptions,
            "sets": self.sets.iter().map(set_json).collect::<Vec<_>>(),
        });
        format!("{value}\n")
    }

    /// The survey as CSV: a row for each failure set, origin and server.
    pub fn to_csv(&self) -> String {
        let mut text = "dead,cut,origin,server,hops,shortest,delay_ns,fastest_ns\n".to_owned();
        for set in &self.sets {
            let (dead, cut) = (set.dead.join(" "), set.cut.join(" "));
            for spread in &set.spreads {
                for (server, way) in self.servers.iter().zip(&spread.ways) {
                    let row = [&dead, &cut, &spread.origin, server]
                        .map(String::as_str)
                        .join(",");
                    text.push_str(&row);
                    text.push_str(&way_csv(way));
                }
            }
        }
        text
    }
}

fn set_json(set: &FailureSet) -> Value {
    let spread = |spread: &Spread| {
        json!({
            "origin": spread.origin,
            "sends": spread.sends,
            "most_sends": spread.most_sends,
            "duplicates": spread.duplicates,
            "hops": histogram(spread.ways.iter().filter_map(|way| way.hops)),
            "shortest": histogram(spread.ways.iter().filter_map(|way| way.shortest)),
        })
    };
    json!({
        "dead": set.dead,
        "cut": set.cut,
        "cuts_the_herd": set.cuts_the_herd,
        "updates": set.spreads.iter().map(spread).collect::<Vec<_>>(),
    })
}

/// The figures of a route, each after a comma, and the line feed.
pub(super) fn way_csv(way: &RouteFigures) -> String {
    let cell = |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
    let hops = [way.hops, way.shortest].map(|hops| cell(hops.map(u64::from)));
    let [hops, shortest] = hops;
    format!(
        ",{hops},{shortest},{},{}\n",
        cell(way.delay),
        cell(way.fastest)
    )
}
