//! Scenarios in Rust, in the words of their files.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::Scenario;
use super::write::{list, quoted};
use crate::diag::Problems;
use crate::herd::Herd;
use crate::units::format_duration;

/// A scenario under construction: what a file says, in the same order and the same words.
///
/// [`at`](Self::at) and [`after`](Self::after) begin a step, `expect…` an expectation; whatever follows belongs to it.
/// A field that has no method of its own is given by [`with`](Self::with).
///
/// ```
/// use proxy_herd::scenario::Scenario;
///
/// let scenario = Scenario::builder("riley")
///     .title("Juzang goes down")
///     .at("1s").crash("Juzang")
///     .at("2s").client("kiwi").to("Riley").send("IAMAT kiwi +34.068930-118.445127 {now}")
///     .expect_update("kiwi").with("misses", "Juzang").with("hops", [("Jaquez", 1), ("Bernard", 2)])
///     .build()?;
/// assert_eq!(scenario.steps.len(), 2);
/// # Ok::<(), proxy_herd::diag::Problems>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    /// The herd, if it is given as such.
    herd: Option<Arc<Herd>>,
    /// Fields with their values as TOML writes them.
    head: Vec<(String, String)>,
    /// Tables that stand in lists, by the list's name.
    tables: Vec<(&'static str, Vec<(String, String)>)>,
}

impl Scenario {
    /// A scenario that happens to this herd: the name of a built-in one, the path of a herd file, or a herd.
    pub fn builder(herd: impl Into<HerdRef>) -> Builder {
        let builder = Builder {
            herd: None,
            head: Vec::new(),
            tables: Vec::new(),
        };
        match herd.into() {
            HerdRef::Name(name) => builder.with("herd", name),
            HerdRef::Herd(herd) => {
                let name = herd.name().to_string();
                Builder {
                    herd: Some(herd),
                    ..builder
                }
                .with("herd", name)
            }
        }
        .title("a scenario")
    }
}

impl Builder {
    /// What happens, in a few words.
    #[must_use]
    pub fn title(self, title: &str) -> Self {
        self.with("title", title)
    }

    /// Where all that is random comes from; 0 if not given.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.with("seed", seed)
    }

    /// Begins a step at a time of the run: `"1s"`.
    #[must_use]
    pub fn at(self, time: impl Into<FieldValue>) -> Self {
        self.table("steps").with("at", time)
    }

    /// Begins a step this long after the previous one.
    #[must_use]
    pub fn after(self, time: impl Into<FieldValue>) -> Self {
        self.table("steps").with("after", time)
    }

    /// The step is a client's.
    #[must_use]
    pub fn client(self, name: &str) -> Self {
        self.with("client", name)
    }

    /// The step is a peer's: what it says is said to a server's port for other servers.
    #[must_use]
    pub fn peer(self, name: &str) -> Self {
        self.with("peer", name)
    }

    /// The server, or the servers, that the client or the peer talks to.
    #[must_use]
    pub fn to(self, servers: impl Into<FieldValue>) -> Self {
        self.with("to", servers)
    }

    /// The line, or the lines, that the client sends.
    #[must_use]
    pub fn send(self, lines: impl Into<FieldValue>) -> Self {
        self.with("send", lines)
    }

    /// What must be answered, to each line.
    #[must_use]
    pub fn reply(self, patterns: impl Into<FieldValue>) -> Self {
        self.with("reply", patterns)
    }

    /// Begins an expectation of an update, by its client's id.
    #[must_use]
    pub fn expect_update(self, update: &str) -> Self {
        self.table("expect").with("update", update)
    }

    /// Begins an expectation of servers.
    #[must_use]
    pub fn expect_server(self, servers: impl Into<FieldValue>) -> Self {
        self.table("expect").with("server", servers)
    }

    /// Begins an expectation of links.
    #[must_use]
    pub fn expect_link(self, links: impl Into<FieldValue>) -> Self {
        self.table("expect").with("link", links)
    }

    /// Begins an expectation of what happens, in the words of `herd run --all`.
    #[must_use]
    pub fn expect_log(self, pattern: &str) -> Self {
        self.table("expect").with("log", pattern)
    }

    /// Begins an expectation of a workload.
    #[must_use]
    pub fn expect_workload(self, name: &str) -> Self {
        self.table("expect").with("workload", name)
    }

    /// Begins an expectation of clients, by their names in the steps.
    #[must_use]
    pub fn expect_client(self, names: impl Into<FieldValue>) -> Self {
        self.table("expect").with("client", names)
    }

    /// Says which invariants the run is about.
    #[must_use]
    pub fn expect_invariant(self, names: impl Into<FieldValue>) -> Self {
        self.table("expect").with("invariant", names)
    }

    /// Begins a table of what Places answers.
    #[must_use]
    pub fn places(self) -> Self {
        self.table("places")
    }

    /// A field of what was begun last; of the scenario itself where nothing was. One that is there already is replaced.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<FieldValue>) -> Self {
        let fields = self
            .tables
            .last_mut()
            .map_or(&mut self.head, |(_, fields)| fields);
        let value = value.into().0;
        match fields.iter_mut().find(|(name, _)| name == field) {
            Some((_, before)) => *before = value,
            None => fields.push((field.to_owned(), value)),
        }
        self
    }

    fn table(mut self, list: &'static str) -> Self {
        self.tables.push((list, Vec::new()));
        self
    }

    /// The scenario's file.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut lines = |fields: &[(String, String)]| {
            for (name, value) in fields {
                let _ = writeln!(text, "{name} = {value}");
            }
        };
        lines(&self.head);
        let steps = self.tables.iter().filter(|(list, _)| *list == "steps");
        let steps: Vec<String> = steps
            .map(|(_, fields)| {
                let fields = fields
                    .iter()
                    .map(|(name, value)| format!("{name} = {value}"));
                format!("  {{ {} }},\n", fields.collect::<Vec<_>>().join(", "))
            })
            .collect();
        let _ = write!(text, "steps = [\n{}]\n", steps.concat());
        for (list, fields) in self.tables.iter().filter(|(list, _)| *list != "steps") {
            let _ = writeln!(text, "\n[[{list}]]");
            for (name, value) in fields {
                let _ = writeln!(text, "{name} = {value}");
            }
        }
        text
    }

    /// The scenario, checked by the rules of files. What a file would only be warned of is not told.
    ///
    /// # Errors
    ///
    /// With everything that is wrong, each in its place of [`to_toml`](Self::to_toml).
    pub fn build(&self) -> Result<Scenario, Problems> {
        const NAME: &str = "built.toml";
        let text = self.to_toml();
        let read = match &self.herd {
            Some(herd) => Scenario::parse_over(herd, NAME, &text),
            None => Scenario::parse(NAME, &text, Some(".".as_ref())),
        };
        read.map(|(scenario, _)| scenario)
    }
}

/// Which herd a scenario happens to.
#[derive(Clone, Debug)]
pub enum HerdRef {
    /// One that is built in, or in a file.
    Name(String),
    /// This one.
    Herd(Arc<Herd>),
}

impl From<&str> for HerdRef {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<Herd> for HerdRef {
    fn from(herd: Herd) -> Self {
        Self::Herd(Arc::new(herd))
    }
}

impl From<&Arc<Herd>> for HerdRef {
    fn from(herd: &Arc<Herd>) -> Self {
        Self::Herd(Arc::clone(herd))
    }
}

/// What a field says, as TOML writes it.
#[derive(Clone, Debug)]
pub struct FieldValue(String);

impl From<&str> for FieldValue {
    fn from(text: &str) -> Self {
        Self(quoted(text))
    }
}

impl From<String> for FieldValue {
    fn from(text: String) -> Self {
        Self(quoted(&text))
    }
}

impl From<Duration> for FieldValue {
    fn from(duration: Duration) -> Self {
        Self(quoted(&format_duration(duration)))
    }
}

impl From<bool> for FieldValue {
    fn from(is_so: bool) -> Self {
        Self(is_so.to_string())
    }
}

impl From<u64> for FieldValue {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl From<u32> for FieldValue {
    fn from(number: u32) -> Self {
        Self(number.to_string())
    }
}

impl From<i32> for FieldValue {
    fn from(number: i32) -> Self {
        Self(number.to_string())
    }
}

impl<const N: usize> From<[&str; N]> for FieldValue {
    fn from(items: [&str; N]) -> Self {
        Self(list(items))
    }
}

impl From<Vec<String>> for FieldValue {
    fn from(items: Vec<String>) -> Self {
        Self(list(items))
    }
}

impl<V: Into<FieldValue>, const N: usize> From<[(&str, V); N]> for FieldValue {
    fn from(entries: [(&str, V); N]) -> Self {
        Vec::from(entries).into()
    }
}

impl<V: Into<FieldValue>> From<Vec<(&str, V)>> for FieldValue {
    fn from(entries: Vec<(&str, V)>) -> Self {
        let entries = entries.into_iter().map(|(name, value)| {
            let value: FieldValue = value.into();
            format!("{} = {}", quoted(name), value.0)
        });
        Self(format!("{{ {} }}", entries.collect::<Vec<_>>().join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_what_its_file_says() {
        let builder = Scenario::builder("riley")
            .title("Everything \"once\"")
            .seed(7)
            .with("latency", [("Riley-Juzang", "30ms")])
            .at("1s")
            .crash(["Juzang", "Jaquez"])
            .after("1s")
            .restart("all")
            .at("3s")
            .slow("Riley-Juzang")
            .with("latency", "70ms")
            .at("4s")
            .partition("Riley")
            .with("from", ["Juzang", "clients"])
            .at("5s")
            .heal("all")
            .at("6s")
            .client("kiwi")
            .to("all")
            .send("IAMAT kiwi +1+1 {now}")
            .with("times", 2)
            .at("7s")
            .client("kiwi")
            .to("Riley")
            .send("WHATSAT kiwi 10 5")
            .reply("AT *")
            .places()
            .with("places", 3)
            .expect_client("kiwi")
            .with("no_lost_updates", true)
            .expect_invariant(["agreement", "nothing-waits"])
            .expect_server("Riley")
            .with("records", 1)
            .expect_log("link to * is down*")
            .with("by", "Riley");
        let built = builder.build().unwrap();
        assert_eq!(
            (built.steps.len(), built.expects.len(), &built.seed),
            (7, 4, &7.into())
        );
        let (read, _) = Scenario::parse("built.toml", &builder.to_toml(), None).unwrap();
        assert_eq!(read.to_toml(), built.to_toml());
    }

    #[test]
    fn what_is_wrong_is_told_in_its_place() {
        let built = Scenario::builder("riley").at("1s").crash("Jzang").build();
        let told = built.unwrap_err().to_string();
        assert!(
            told.contains("unknown server `Jzang`") && told.contains("built.toml:4:24"),
            "{told}"
        );
    }

    #[test]
    fn a_herd_can_be_given() {
        let herd = Herd::from_links("pair", &["A-B"]).unwrap();
        let built = Scenario::builder(herd)
            .at("1s")
            .freeze("A")
            .build()
            .unwrap();
        assert_eq!(built.herd.servers().len(), 2);
    }
}
