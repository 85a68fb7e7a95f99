//! Measured hops as text, JSON and CSV.

use serde_json::{Value, json};

use super::all::way_csv;
use super::{histogram, mean, right, told};
use crate::report::show::{count, delay, table};
use crate::survey::{Hops, RouteFigures, Spread};

/// The maximum number of servers for which each pair is shown.
const SMALL: usize = 20;

impl Hops {
    /// Whether each pair of servers is shown.
    fn is_small(&self) -> bool {
        self.servers.len() <= SMALL
    }

    /// The measured hops as text for people.
    pub fn to_text(&self) -> String {
        let mut lines = self.head();
        lines.push(String::new());
        if self.is_small() {
            lines.extend(self.matrix());
        } else {
            lines.extend(self.distribution());
        }
        lines.push(String::new());
        lines.extend(self.costs());
        lines.push(String::new());
        lines.extend(self.memory());
        lines.extend(self.told_exceptions());
        lines.push(self.verdict());
        lines.join("\n") + "\n"
    }

    fn head(&self) -> Vec<String> {
        let servers = count(self.servers.len(), "server");
        let links = count(self.links, "link");
        let mut lines = vec![format!(
            "herd {}: {servers}, {links}, {}",
            self.herd, self.latency
        )];
        lines.push(format!("measured on {}", self.engine.words()));
        if !self.dead.is_empty() || !self.cut.is_empty() {
            let missing: Vec<&str> = self
                .dead
                .iter()
                .chain(&self.cut)
                .map(String::as_str)
                .collect();
            lines.push(format!("without {}", missing.join(", ")));
        }
        if let Some(diameter) = self.diameter {
            lines.push(format!(
                "no two servers that can reach each other are more than {} apart",
                count(diameter as usize, "hop")
            ));
        }
        lines
    }

    fn matrix(&self) -> Vec<String> {
        let mut rows = vec![vec!["hops from".to_owned()]];
        rows[0].extend(self.servers.iter().cloned());
        for flood in &self.floods {
            let mut row = vec![flood.origin.clone()];
            row.extend(flood.ways.iter().map(cell));
            rows.push(row);
        }
        let mut lines = table(&rows, &right(self.servers.len() + 1));
        lines.push(
            "2= is two hops where two is the shortest way; 3>2 is three, which is right only where links differ and that way is faster; - is not reached and out of reach"
                .to_owned(),
        );
        lines
    }

    /// The number of routes by their number of hops, over all origins.
    fn distribution(&self) -> Vec<String> {
        let cells = || self.floods.iter().flat_map(|flood| &flood.ways);
        let measured = histogram(cells().filter_map(|to| to.hops));
        let shortest = histogram(cells().filter_map(|to| to.shortest));
        let most = measured.len().max(shortest.len());
        let row = |name: &str, counts: &[usize]| {
            let mut row = vec![name.to_owned()];
            row.extend((0..most).map(|hops| counts.get(hops).copied().unwrap_or(0).to_string()));
            row
        };
        let mut head = vec!["hops".to_owned()];
        head.extend((0..most).map(|hops| hops.to_string()));
        let rows = [head, row("measured", &measured), row("shortest", &shortest)];
        table(&rows, &right(most + 1))
    }

    fn costs(&self) -> Vec<String> {
        let head = [
            "origin",
            "reached",
            "of",
            "mean hops",
            "shortest",
            "most",
            "sends",
            "at most",
            "duplicates",
            "mean delay",
            "longest",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.floods.iter().map(cost));
        table(&rows, &right(11))
    }

    fn memory(&self) -> Vec<String> {
        let running = self.servers.len() - self.dead.len();
        let each = |bytes: usize| bytes.checked_div(running).unwrap_or(0);
        let clients = count(self.floods.len(), "client");
        let told = self.memory.map(|memory| {
            format!(
                "memory of a server, on average: {} bytes for {clients}, {} bytes for its links, counted from capacities\n",
                each(memory.records),
                each(memory.links)
            )
        });
        told.into_iter().collect()
    }

    fn told_exceptions(&self) -> Vec<String> {
        told(self.exceptions())
    }

    fn verdict(&self) -> String {
        let (ways, best) = (self.ways(), self.best());
        let origins = count(self.floods.len(), "origin");
        if self.floods.is_empty() {
            return "FAILED: no server runs, so nothing was measured".to_owned();
        }
        let what = if self.equal {
            "hops are the shortest possible"
        } else {
            "the way is the fastest possible"
        };
        let word = if self.held() { "PASSED" } else { "FAILED" };
        format!(
            "{word}: from {origins}, every server in reach is reached and {what} in {best} of {ways}"
        )
    }

    /// The measured hops as indented JSON and a line feed.
    pub fn to_json(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        let floods = value.get_mut("floods").and_then(Value::as_array_mut);
        for (flood, shown) in self.floods.iter().zip(floods.into_iter().flatten()) {
            shown["reached"] = json!(flood.reached());
            shown["reachable"] = json!(flood.reachable());
            shown["hops"] = json!(histogram(flood.ways.iter().filter_map(|to| to.hops)));
            shown["shortest"] = json!(histogram(flood.ways.iter().filter_map(|to| to.shortest)));
            if self.is_small() {
                shown["to"] = json!(flood.ways);
            }
        }
        value["ways"] = json!(self.ways());
        value["exceptions"] = json!(self.exceptions().count());
        value["held"] = json!(self.held());
        format!("{value:#}\n")
    }

    /// The measured hops as CSV: a row for each origin and server.
    pub fn to_csv(&self) -> String {
        let mut text = "origin,server,hops,shortest,delay_ns,fastest_ns\n".to_owned();
        for flood in &self.floods {
            for (server, way) in self.servers.iter().zip(&flood.ways) {
                text.push_str(&[&*flood.origin, &**server].join(","));
                text.push_str(&way_csv(way));
            }
        }
        text
    }
}

fn cell(to: &RouteFigures) -> String {
    match (to.hops, to.shortest) {
        (None, None) => "-".to_owned(),
        (Some(hops), Some(shortest)) if hops == shortest => format!("{hops}="),
        (Some(hops), Some(shortest)) => format!("{hops}>{shortest}"),
        (None, Some(shortest)) => format!("never>{shortest}"),
        (Some(hops), None) => format!("{hops}>never"),
    }
}

fn cost(flood: &Spread) -> Vec<String> {
    let others = || flood.ways.iter().filter(|to| to.hops != Some(0));
    let hops: Vec<u32> = others().filter_map(|to| to.hops).collect();
    let shortest: Vec<u32> = others().filter_map(|to| to.shortest).collect();
    let delays: Vec<u64> = others().filter_map(|to| to.delay).collect();
    let sum = |numbers: &[u32]| numbers.iter().map(|&number| u64::from(number)).sum();
    let of = u64::try_from(delays.len()).unwrap_or(u64::MAX);
    let mean_delay = delays.iter().sum::<u64>().checked_div(of).unwrap_or(0);
    // A mean is shown to the microsecond.
    let mean_delay = mean_delay - mean_delay % 1000;
    vec![
        flood.origin.clone(),
        flood.reached().to_string(),
        flood.reachable().to_string(),
        mean(sum(&hops), hops.len()),
        mean(sum(&shortest), shortest.len()),
        hops.iter().max().copied().unwrap_or(0).to_string(),
        flood.sends.to_string(),
        flood.most_sends.to_string(),
        flood.duplicates.to_string(),
        delay(mean_delay),
        delay(delays.iter().max().copied().unwrap_or(0)),
    ]
}
