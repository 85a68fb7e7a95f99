use super::*;

fn one_update() -> Scenario {
    Scenario::load("scenarios/one-update.toml").unwrap().0
}

fn from(server: &str) -> (Scenario, Options) {
    let scenario = one_update();
    let origin = scenario.herd.id(server);
    (
        scenario,
        Options {
            origin,
            ..Options::default()
        },
    )
}

#[test]
fn a_bare_flood_has_exactly_as_many_orders_as_calculated() {
    let (scenario, options) = from("Riley");
    let explored = explore(&scenario, &options).unwrap();
    println!("{explored:#?}");
    assert_eq!(explored.counts.orders, 1_248);
    assert!(explored.complete);
}
