use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::herd::ServerId;

fn herd(text: &str) -> Herd {
    text.parse::<Shape>().unwrap().herd(0).unwrap()
}

fn degrees(herd: &Herd) -> Vec<usize> {
    herd.ids().map(|id| herd.neighbours(id).count()).collect()
}

fn error(text: &str) -> String {
    let made = text.parse::<Shape>().and_then(|shape| shape.herd(0));
    made.unwrap_err().to_string()
}

/// The most hops between any two servers.
fn diameter(herd: &Herd) -> u32 {
    let far = |id: ServerId| herd.hops_from(id, |_| true).into_iter().max().flatten();
    herd.ids().filter_map(far).max().unwrap()
}

#[test]
fn the_plain_shapes_are_what_their_names_say() {
    for (text, links, far) in [
        ("line:6", 5, 5),
        ("ring:8", 8, 4),
        ("star:5", 4, 2),
        ("mesh:5", 10, 1),
        ("grid:3x4", 17, 5),
        ("line:1", 0, 0),
        ("random:0,1", 0, 0),
        ("random:2,9", 9, 4),
        ("small-world:2,0,8", 8, 4),
        ("small-world:4,0,8", 16, 2),
    ] {
        let herd = herd(text);
        assert_eq!(herd.links().len(), links, "{text}");
        assert_eq!(diameter(&herd), far, "{text}");
        assert_eq!(text.parse::<Shape>().unwrap().to_string(), text);
    }
    assert_eq!(degrees(&herd("star:4")), [3, 1, 1, 1]);
    assert_eq!(degrees(&herd("grid:2x3")), [2, 3, 2, 2, 3, 2]);
}

#[test]
fn a_shape_without_a_size_takes_the_one_that_is_asked_for_and_no_other() {
    let sized = |text: &str, servers| text.parse::<Shape>().unwrap().of(servers);
    assert_eq!(sized("random:4", 10).unwrap().to_string(), "random:4,10");
    assert_eq!(sized("ring", 10).unwrap().to_string(), "ring:10");
    assert_eq!(
        sized("small-world:4,0.1", 10).unwrap().to_string(),
        "small-world:4,0.1,10"
    );
    assert_eq!(sized("grid:2x3", 6).unwrap().to_string(), "grid:2x3");
    assert_eq!(
        sized("grid:2x3", 7).unwrap_err().to_string(),
        "the shape has 6 servers, but 7 are asked for"
    );
}

#[test]
fn what_is_no_shape_says_what_is_wrong() {
    for (text, wanted) in [
        ("rung:8", "there is no shape `rung`"),
        ("ring:x", "it is written `ring:N`"),
        ("ring:8,9", "it is written `ring:N`"),
        ("grid:3", "it is written `grid:RxC`, as in `grid:3x4`"),
        ("ring", "it does not say how many servers: `ring:N`"),
        ("ring:2", "a ring takes three servers at least"),
        ("line:0", "a herd has 1 to 1000000 servers, not 0"),
        ("grid:0x7", "a herd has 1 to 1000000 servers, not 0"),
        (
            "random:5,5",
            "5 servers can't have 5 links each, but at most 4",
        ),
        (
            "random:3,5",
            "5 servers with 3 links each would have half a link: one of both numbers must be even",
        ),
        (
            "random:1,4",
            "4 servers with so few links each can't be connected: 1",
        ),
        (
            "small-world:3,0.1,9",
            "each server is linked with half of K on either side, so K is even and not 3",
        ),
        (
            "mesh:100000",
            "that would be 4999950000 links, and 5000000 is the most",
        ),
    ] {
        assert_eq!(error(text), wanted, "{text}");
    }
    assert!(error("small-world:4,1.1,9").starts_with("it is written `small-world:K,P`"));
    assert!(error("small-world:4").starts_with("it is written `small-world:K,P`"));
}

#[test]
fn every_server_of_a_herd_larger_than_the_ports_of_a_host_has_an_address_of_its_own() {
    let herd = herd("line:20001");
    let client = herd.servers().iter().map(|server| &server.client);
    let addresses: BTreeSet<_> = client
        .chain(herd.servers().iter().map(|s| &s.peer))
        .collect();
    assert_eq!(addresses.len(), 40_002);
}

#[test]
fn a_scenario_and_the_command_line_name_a_herd_by_its_shape() {
    let (ring, warnings) = Herd::load("ring:8", None).unwrap();
    assert!(warnings.is_empty());
    assert_eq!(&**ring.name(), "ring-8");
    let problems = Herd::load("ring:two", None).unwrap_err();
    let told = problems.render(false);
    assert!(
        told.contains("`ring:two` is no shape of a herd: it is written `ring:N`"),
        "{told}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_random_herd_is_regular_connected_and_follows_from_its_seed(
        half in 1..4_usize, more in 1..40_usize, seed in any::<u64>(),
    ) {
        let (degree, servers) = (2 * half, 2 * half + more);
        let shape = Shape { kind: Kind::Random { degree }, servers: Some(servers) };
        let herd = shape.herd(seed).unwrap();
        prop_assert!(herd.is_connected());
        prop_assert_eq!(degrees(&herd), vec![degree; servers]);
        prop_assert_eq!(herd.links().len(), degree * servers / 2);
        prop_assert_eq!(&shape.herd(seed).unwrap(), &herd);
    }

    #[test]
    fn a_random_herd_of_odd_degree_is_regular_too(more in 0..20_usize, seed in any::<u64>()) {
        let shape = Shape { kind: Kind::Random { degree: 3 }, servers: Some(4 + 2 * more) };
        let herd = shape.herd(seed).unwrap();
        prop_assert!(herd.is_connected());
        prop_assert_eq!(degrees(&herd), vec![3; 4 + 2 * more]);
    }

    #[test]
    fn a_small_world_keeps_its_number_of_links_and_is_connected(
        half in 1..3_usize, more in 1..40_usize, share in 0..=1_000_000_u32, seed in any::<u64>(),
    ) {
        let near = 2 * half + 2;
        let kind = Kind::SmallWorld { near, rewired: Share(share) };
        let herd = Shape { kind, servers: Some(near + more) }.herd(seed).unwrap();
        prop_assert!(herd.is_connected());
        prop_assert_eq!(herd.links().len(), near * (near + more) / 2);
    }
}

#[test]
fn another_seed_draws_another_herd() {
    let draw = |text: &str, seed| text.parse::<Shape>().unwrap().to_toml(seed).unwrap();
    for text in ["random:4,30", "small-world:4,0.3,30"] {
        assert_ne!(draw(text, 1), draw(text, 2), "{text}");
    }
}
