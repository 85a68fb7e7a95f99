use std::time::Duration;

use super::*;

/// The problems of a herd file, as `line:column message`.
fn problems_of(text: &str) -> Vec<String> {
    let problems = match Herd::parse(&Source::new("herd.toml", text)) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    };
    let told = problems.sorted().into_iter().map(|problem| {
        let (line, column) = problem.line_column().unwrap();
        format!("{line}:{column} {}", problem.message)
    });
    told.collect()
}

fn names(herd: &Herd, ids: impl IntoIterator<Item = ServerId>) -> Vec<&str> {
    let name = |id| &*herd.server(id).name;
    ids.into_iter().map(name).collect()
}

#[test]
fn the_built_in_herds_are_those_of_the_table() {
    for (name, port) in [
        ("riley", 12200),
        ("hill", 12205),
        ("clark", 12210),
        ("bailey", 12215),
        ("goloman", 12220),
    ] {
        let herd = Herd::builtin(name).unwrap();
        assert_eq!(&**herd.name(), name);
        let ports: Vec<_> = herd
            .servers()
            .iter()
            .map(|server| server.client.port)
            .collect();
        assert_eq!(ports, (port..port + 5).collect::<Vec<u16>>());
        assert_eq!(herd.servers()[4].peer.port, port + 10_004);
        assert!(herd.is_connected());
        assert_eq!((herd.links().len(), herd.fault_free_sends()), (6, 8));
    }
    assert_eq!(Herd::builtin("rily"), None);
}

#[test]
fn the_first_of_a_link_dials_and_neighbours_come_in_the_order_of_links() {
    let herd = Herd::builtin("riley").unwrap();
    let bernard = herd.id("Bernard").unwrap();
    let jaquez = herd.id("Jaquez").unwrap();
    let near = names(&herd, herd.neighbours(bernard));
    assert_eq!(near, ["Jaquez", "Juzang", "Campbell"]);
    assert_eq!(herd.link_between(jaquez, bernard).unwrap().a, bernard);
    assert_eq!(herd.link_between(jaquez, jaquez), None);
}

#[test]
fn paths_go_round_the_dead() {
    let herd = Herd::builtin("riley").unwrap();
    let [riley, juzang] = ["Riley", "Juzang"].map(|name| herd.id(name).unwrap());
    let all = herd.hops_from(riley, |_| true);
    assert_eq!(all, [Some(0), Some(1), Some(1), Some(2), Some(2)]);
    let without = herd.hops_from(riley, |id| id != juzang);
    assert_eq!(without, [Some(0), Some(1), None, Some(3), Some(2)]);
    assert_eq!(herd.hops_from(riley, |id| id != riley), [None; 5]);
}

#[test]
fn the_quickest_way_may_be_the_longer_one() {
    let herd = Herd::from_links("triangle", &["A-B", "B-C", "A-C"]).unwrap();
    let origin = herd.id("A").unwrap();
    let direct = herd.link_between(origin, herd.id("C").unwrap()).unwrap();
    let latency = |link: &Link| Duration::from_millis(if link == direct { 50 } else { 20 });
    let delays = herd.least_delay_from(origin, |_| true, latency);
    let wanted = [0, 20, 40].map(|ms| Some(Duration::from_millis(ms)));
    assert_eq!(delays, wanted);
}

#[test]
fn ports_hosts_and_latencies_have_defaults() {
    let text = "name = \"x\"\nhost = \"::1\"\nservers = [\"A\", { name = \"B-C\", port = 7, \
        peer_port = 9, host = \"b.example\" }]\n\
        links = [{ between = \"A-B-C\", latency = \"10ms..30ms\" }]";
    let (herd, warnings) = Herd::parse(&Source::new("x.toml", text)).unwrap();
    assert!(warnings.is_empty());
    assert_eq!(herd.servers()[0].peer.to_string(), "[::1]:22200");
    assert_eq!(herd.servers()[1].client.to_string(), "b.example:7");
    assert_eq!(herd.links()[0].latency.unwrap().to_string(), "10ms..30ms");
}

#[test]
fn every_mistake_in_a_herd_has_its_place() {
    let cases: [(&str, &[&str]); 8] = [
        (
            "servers = []",
            &[
                "1:1 a herd needs a `name`",
                "1:11 a herd needs at least one server",
            ],
        ),
        ("name = \"x\"", &["1:1 a herd needs `servers`"]),
        (
            "name = \"x\"\nservers = [\"A\", \"B\"]\nlinks = [\"A-Bb\", \"A-A\", \"AB\"]",
            &[
                "3:13 unknown server `Bb`",
                "3:18 `A` is linked to itself",
                "3:25 `AB` names no two servers",
            ],
        ),
        (
            "name = \"x\"\nservers = [\"A\", \"B\"]\nlinks = [\"A-B\",\n \"B-A\"]",
            &["4:2 the link between `B` and `A` is listed twice"],
        ),
        (
            "name = \"x\"\nservers = [\"Ab\", \"Ab\", \"aB\"]",
            &[
                "2:18 server `Ab` is listed twice",
                "2:24 servers `Ab` and `aB` differ only in case",
            ],
        ),
        (
            "name = \"x\"\nservers = [\"A\", { name = \"B\", port = 12200 }]",
            &["2:38 address 127.0.0.1:12200 is used twice"],
        ),
        (
            "name = \"x\"\nservers = [{ name = \"B\", port = 0 }, { name = \"C\", port = 65500 }]",
            &[
                "2:33 port 0 is not between 1 and 65535",
                "2:59 the port for servers, 65500 + 10000, is above 65535",
            ],
        ),
        (
            "name = \"x\"\nservers = [\"A\", \"B\"]\nlinks = [{ between = \"A-B\", latency = \"1 ms\" }]",
            &["3:39 bad duration `1 ms`: ` ms` is no unit of time: use ns, us, ms, s, m or h"],
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(problems_of(text), wanted, "{text}");
    }
}

#[test]
fn every_bad_name_has_its_place() {
    let cases: [(&str, &[&str]); 4] = [
        (
            "name = \"x\"\nservers = [\"A-B\", \"C\", \"A\", \"B-C\"]\nlinks = [\"A-B-C\"]",
            &["3:10 `A-B-C` can be split into two servers in two ways"],
        ),
        (
            "name = \"x\"\nservers = [\"all\", \"1a\", \"é\"]",
            &[
                "2:12 a server can't be called `all`, which means every server",
                "2:19 `1a` is no name for a server: 1 to 64 ASCII letters, digits, `_`, `.` and \
                 `-`, beginning with a letter",
                "2:25 `é` is no name for a server: 1 to 64 ASCII letters, digits, `_`, `.` and \
                 `-`, beginning with a letter",
            ],
        ),
        // A mistake in a server is reported once, and not again for each of its links.
        (
            "name = \"x\"\nservers = [{ nam = \"A\" }, \"B\"]\nlinks = [\"A-B\"]",
            &["2:14 unknown field `nam`"],
        ),
        (
            "name = \"x\"\nhost = \"a:80\"\nservers = [\"A\"]",
            &["2:8 `a:80` is neither a host's name nor an IP address"],
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(problems_of(text), wanted, "{text}");
    }
}

#[test]
fn a_herd_in_parts_is_only_a_warning() {
    let text = "name = \"x\"\nservers = [\"A\", \"B\", \"C\"]\nlinks = [\"A-C\"]";
    let (herd, warnings) = Herd::parse(&Source::new("x.toml", text)).unwrap();
    assert!(!herd.is_connected());
    assert!(!warnings.has_errors());
    let wanted = "2:17 the herd is not connected: no update crosses between A, C | B";
    assert_eq!(problems_of(text), [wanted]);
}

#[test]
fn a_close_name_is_suggested() {
    let text = "name = \"x\"\nservers = [\"Riley\", \"B\"]\nlinks = [\"Rily-B\"]";
    let problems = Herd::parse(&Source::new("x.toml", text)).unwrap_err();
    assert!(
        problems.to_string().contains("did you mean `Riley`?"),
        "{problems}"
    );
    let problems = Herd::load("rily", None).unwrap_err().to_string();
    assert!(problems.contains("unknown herd `rily`"), "{problems}");
    assert!(problems.contains("did you mean `riley`?"), "{problems}");
}

#[test]
fn a_path_is_relative_to_the_folder_of_who_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = "name = \"mine\"\nservers = [\"A\"]";
    std::fs::write(folder.path().join("mine.toml"), text).unwrap();
    let (herd, _) = Herd::load("mine.toml", Some(folder.path())).unwrap();
    assert_eq!(&**herd.name(), "mine");
    let missing = Herd::load("./other", Some(folder.path())).unwrap_err();
    assert!(missing.to_string().contains("no such file"), "{missing}");
}

#[cfg(feature = "sim")]
#[test]
fn all_ways_to_split_a_path_are_found() {
    let herd = Herd::builtin("riley").unwrap();
    let ways = split_all("Riley-Jaquez-Bernard", &herd);
    assert_eq!(ways.len(), 1);
    assert_eq!(
        names(&herd, ways[0].iter().copied()),
        ["Riley", "Jaquez", "Bernard"]
    );
    assert_eq!(split_all("Riley-", &herd).len(), 0);
}

#[cfg(feature = "sim")]
#[test]
fn the_schema_describes_the_fields_and_knows_no_null() {
    let schema = schema();
    assert_eq!(schema["required"], serde_json::json!(["name", "servers"]));
    assert!(!schema.to_string().contains("null"), "{schema:#}");
    assert_eq!(schema["additionalProperties"], false);
}
