//! A test suite for a herd of one's own: run it with `cargo test --example own_suite`.
//!
//! A herd of six in a ring with one link across. The suite holds that an update reaches everybody over the fewest links,
//! that the ring survives each single server's death, and that no order of latencies changes that.

use std::sync::Arc;

use proxy_herd::prelude::*;

/// Six servers, A to F.
fn herd() -> Arc<Herd> {
    let links = ["A-B", "B-C", "C-D", "D-E", "E-F", "F-A", "A-D"];
    Arc::new(Herd::from_links("six", &links).expect("a herd"))
}

fn main() {
    let names: Vec<String> = herd().server_names().map(str::to_owned).collect();
    println!("{}: cargo test --example own_suite", names.join(", "));
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATE: &str = "IAMAT kiwi +34.068930-118.445127 {now}";

    #[test]
    fn an_update_takes_the_link_across() {
        let scenario = Scenario::builder(&herd())
            .at("1s")
            .client("kiwi")
            .to("A")
            .send(UPDATE)
            .build()
            .expect("a scenario");
        let trace = run(&scenario).expect("it runs");
        trace.assert_passed();
        let update = trace.update("kiwi");
        assert_eq!(update.hops("D"), Some(1));
        assert_eq!(update.hops("C"), Some(2));
    }

    #[test]
    fn the_ring_survives_each_single_server() {
        for dead in ["B", "C", "D", "E", "F"] {
            let scenario = Scenario::builder(&herd())
                .title("One of six is dead")
                .with("link_latency", "10ms..60ms")
                .at("1s")
                .crash(dead)
                .at("2s")
                .client("kiwi")
                .to("A")
                .send(UPDATE)
                .expect_update("kiwi")
                .with("misses", dead)
                .build()
                .expect("a scenario");
            sweep(&scenario, 0..10).assert_passed();
            let trace = run(&scenario).expect("it runs");
            let reached = trace.update("kiwi").spread().count();
            assert_eq!(reached, 4, "without {dead}");
        }
    }
}
