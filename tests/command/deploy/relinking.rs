//! A herd file that changes while servers run.

use crate::deploy::herd::{Admin, Files, Process, eventually};

const ADMIN: [&str; 3] = [
    "--admin=127.0.0.1:0",
    "--redial-most=200ms",
    "--ready-grace=1m",
];

/// Starts a server, and returns the address of its admin listener.
async fn serve(files: &Files, name: &str) -> (Process, Admin) {
    let mut server = files.serve(name, &ADMIN);
    let admin = server.admin().await;
    (server, admin)
}

async fn told(files: &Files, server: &str, client: &str) {
    let line = format!("IAMAT {client} +1-1 5");
    files.ask(server, &line).await.expect("an answer");
}

async fn knows(files: &Files, server: &str, client: &str) {
    let line = format!("WHATSAT {client} 1 0");
    let known = async || {
        let answer = files.ask(server, &line).await?;
        answer.starts_with("AT ").then_some(())
    };
    eventually(&format!("{server} knows {client}"), known).await;
}

#[tokio::test]
async fn links_come_and_go_with_the_herd_file_and_the_others_notice_nothing() {
    let files = Files::new().await;
    files.link(&["Riley-Jaquez", "Juzang-Jaquez"]);
    let (mut riley, at_riley) = serve(&files, "Riley").await;
    let (mut jaquez, at_jaquez) = serve(&files, "Jaquez").await;
    let (mut juzang, at_juzang) = serve(&files, "Juzang").await;
    at_jaquez.is_ready().await;

    // Riley replaces its link with Jaquez by one with Juzang. Juzang refuses until it has reloaded
    // the file, and is dialled again.
    files.link(&["Riley-Juzang", "Juzang-Jaquez"]);
    riley.signal("HUP").await;
    riley.logs("has no link with Jaquez any more").await;
    riley
        .logs("link to Jaquez is down: refused: no link with Jaquez any more")
        .await;
    riley.logs("has a link with Juzang from now on").await;
    jaquez.logs("link to Riley is down").await;
    juzang.logs("Riley is no neighbour of Juzang").await;
    for server in [&juzang, &jaquez] {
        server.signal("HUP").await;
    }
    juzang.logs("has a link with Riley from now on").await;
    jaquez.logs("has no link with Riley any more").await;
    at_riley
        .reaches("herd_link_synchronised{peer=\"Juzang\"}", 1.0)
        .await;
    told(&files, "Riley", "kiwi").await;
    knows(&files, "Jaquez", "kiwi").await;

    // Metrics and readiness follow the neighbours, and the link that stayed never went down.
    for (admin, sample, value) in [
        (&at_riley, "herd_link_up{peer=\"Jaquez\"}", None),
        (&at_riley, "herd_link_up{peer=\"Juzang\"}", Some(1.0)),
        (&at_jaquez, "herd_link_up{peer=\"Riley\"}", None),
        (
            &at_jaquez,
            "herd_link_downs_total{peer=\"Juzang\"}",
            Some(0.0),
        ),
        (
            &at_juzang,
            "herd_link_downs_total{peer=\"Jaquez\"}",
            Some(0.0),
        ),
        (&at_riley, "herd_ready", Some(1.0)),
        (&at_juzang, "herd_ready", Some(1.0)),
    ] {
        assert_eq!(admin.metric(sample).await, value, "{sample}");
    }
    for server in [&mut riley, &mut jaquez, &mut juzang] {
        assert_eq!(
            server.stopped_by("TERM").await,
            Some(0),
            "{}",
            server.said()
        );
    }
}

#[tokio::test]
async fn a_neighbour_that_moves_is_dialled_where_it_is_now() {
    let mut files = Files::new().await;
    files.link(&["Riley-Jaquez"]);
    let (mut riley, at_riley) = serve(&files, "Riley").await;
    let (mut jaquez, _) = serve(&files, "Jaquez").await;
    at_riley.is_ready().await;
    files.move_away("Jaquez").await;
    files.link(&["Riley-Jaquez"]);
    // Jaquez itself can't change its ports while it runs, and logs that.
    jaquez.signal("HUP").await;
    jaquez
        .logs("takes effect when the server is started again: where the herd file has it listen for clients")
        .await;
    riley.signal("HUP").await;
    riley
        .logs("link to Jaquez is down: refused: the herd file describes Jaquez differently now")
        .await;
    assert_eq!(jaquez.stopped_by("TERM").await, Some(0));
    let (_jaquez, at_jaquez) = serve(&files, "Jaquez").await;
    at_jaquez.is_ready().await;
    told(&files, "Jaquez", "kiwi").await;
    knows(&files, "Riley", "kiwi").await;
}

#[tokio::test]
async fn a_herd_file_that_is_wrong_or_of_others_changes_nothing() {
    let files = Files::new().await;
    files.link(&["Riley-Jaquez"]);
    let (mut riley, at_riley) = serve(&files, "Riley").await;
    let (_jaquez, _) = serve(&files, "Jaquez").await;
    at_riley.is_ready().await;
    let good = std::fs::read_to_string(files.herd()).unwrap();
    for (text, words) in [
        (
            good.replace("-Jaquez\"", "-Jaqez\""),
            "did you mean `Jaquez`?",
        ),
        (
            good.replace("name = \"test\"", "name = \"rest\""),
            "is about the herd `rest` now, and this server is one of `test`",
        ),
        (
            good.replace("Riley", "Rolf"),
            "has no server `Riley` any more",
        ),
    ] {
        assert_ne!(text, good);
        std::fs::write(files.herd(), text).unwrap();
        riley.signal("HUP").await;
        riley.logs(words).await;
    }
    let said = riley.said();
    assert_eq!(said.matches("reloads nothing").count(), 3, "{said}");
    assert!(!said.contains("is down"), "{said}");
    // A file with the same content in other words is accepted, and disturbs no link.
    std::fs::write(files.herd(), format!("# the same\n{good}")).unwrap();
    riley.signal("HUP").await;
    riley.logs("settings are reloaded").await;
    let downs = at_riley
        .metric("herd_link_downs_total{peer=\"Jaquez\"}")
        .await;
    assert_eq!(downs, Some(0.0));
}
