//! What goes wrong outside of a server is told in words that help: names that nobody knows, certificates.

use super::herd::{Files, Process, herd_command};

/// No resolver knows it, and none needs a network to say so: a part of a name has at most 63 letters.
fn unknown_host() -> String {
    format!("{}.invalid", "x".repeat(64))
}

/// A herd whose servers are at these hosts, each linked with the first.
fn herd_at(files: &Files, hosts: [&str; 2]) -> String {
    let servers = ["A", "B"].map(|name| {
        let host = hosts[usize::from(name == "B")];
        let port = files.port(if name == "A" { "Riley" } else { "Jaquez" });
        let peer_port = files.port(if name == "A" { "Juzang" } else { "Bernard" });
        format!(
            "{{ name = \"{name}\", host = \"{host}\", port = {port}, peer_port = {peer_port} }}"
        )
    });
    let path = files.path("hosts.toml");
    let text = format!(
        "name = \"test\"\nservers = [{}]\nlinks = [\"A-B\"]\n",
        servers.join(", ")
    );
    std::fs::write(&path, text).expect("written");
    path
}

#[tokio::test]
async fn a_name_that_is_not_resolved_is_told_in_the_resolvers_words() {
    let files = Files::new().await;
    let host = unknown_host();
    let words = format!("the host name `{host}` can't be resolved: ");
    // A neighbour's.
    let herd = herd_at(&files, ["127.0.0.1", &host]);
    let mut a = Process::start(
        &["serve", "A", "--herd", &herd, "--connect-deadline=25s"],
        &[],
    );
    a.logs(&format!("can't connect to B: {words}")).await;
    // The server's own.
    let mut b = Process::start(&["serve", "B", "--herd", &herd], &[]);
    assert_eq!(b.ended().await, Some(1));
    for words in [&*words, "see that this machine can resolve"] {
        assert!(b.said().contains(words), "{}", b.said());
    }
    // A client's, and a load's.
    let (there, asked) = (format!("{host}:12200"), "--timeout=2s");
    for (command, more) in [("send", ["x", asked]), ("load", ["--count=1", asked])] {
        let failed = herd_command(&[&[command, &there], &more[..]].concat()).await;
        assert_eq!(failed.status.code(), Some(1));
        let said = crate::out(&failed) + &crate::err(&failed);
        assert!(said.contains(&words), "{said}");
    }
    let said = a.said() + &b.said();
    assert!(!said.contains("uncategorized"), "{said}");
}
