//! A herd with a flood of its own: updates follow a tree instead of every link.
//!
//! The tree costs one message for each server, and the shipped flood two for most links. What the tree pays is told by the
//! second scenario: where one of its inner servers dies, nobody behind that one hears of an update until the next
//! anti-entropy round.
//!
//! `cargo run --example changed_flood`

use std::error::Error;
use std::sync::Arc;

use proxy_herd::prelude::*;

/// Updates go along these links only.
#[derive(Debug)]
struct Tree(&'static [(&'static str, &'static str)]);

impl Flood for Tree {
    fn sends(&self, me: &str, _from: Option<&str>, to: &str) -> bool {
        let Self(edges) = self;
        edges.contains(&(me, to)) || edges.contains(&(to, me))
    }
}

/// The shipped server with that rule.
fn tree() -> Simulator {
    const TREE: &[(&str, &str)] = &[
        ("Riley", "Jaquez"),
        ("Riley", "Juzang"),
        ("Juzang", "Campbell"),
        ("Juzang", "Bernard"),
    ];
    Simulator::default().with_server(|net, mut start| {
        start.config.node.flood = Some(Arc::new(Tree(TREE)));
        start.serve(net)
    })
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let undisturbed = Scenario::builder("riley")
        .title("One update over a tree")
        .at("1s")
        .client("kiwi")
        .to("Riley")
        .send("IAMAT kiwi +34.068930-118.445127 {now}")
        .expect_update("kiwi")
        .with("reaches", "all")
        .with("sends", 4)
        .with("useful", 4)
        .build()?;
    let trace = tree().run(&undisturbed)?;
    trace.assert_passed();
    assert_eq!(trace.update("kiwi").hops("Campbell"), Some(2));
    sweep_with(&tree(), &undisturbed, 0..50).assert_passed();

    let cut_short = Scenario::builder("riley")
        .title("A tree without its trunk")
        .with("end", "5s")
        .with("without", ["nothing-waits", "agreement"])
        .at("1s")
        .crash("Juzang")
        .at("2s")
        .client("kiwi")
        .to("Riley")
        .send("IAMAT kiwi +34.068930-118.445127 {now}")
        .expect_update("kiwi")
        .with("reaches", "Jaquez")
        .with("misses", ["Campbell", "Bernard"])
        .build()?;
    tree().run(&cut_short)?.assert_passed();
    let shipped = run(&cut_short)?;
    let hops = shipped.update("kiwi").hops("Campbell");
    let hops = hops.ok_or("Campbell never heard of it")?;
    println!("4 messages instead of 8; and without Juzang the tree ends at Jaquez,");
    println!("where the shipped flood goes round: Campbell is {hops} links away");
    assert_eq!(hops, 3);
    Ok(())
}
