use super::*;

/// The built-in herd `riley`: five servers and six links.
fn riley() -> Herd {
    Herd::builtin("riley").unwrap()
}

/// A latency of 20 ms for each of the six links.
const EQUAL: [Duration; 6] = [Duration::from_millis(20); 6];

#[test]
fn a_flood_costs_what_the_formula_says_and_takes_the_shortest_ways() {
    let herd = riley();
    let mut model = Model::new(&herd, &EQUAL, &Without::default()).unwrap();
    for origin in herd.ids() {
        let flood = model.flood(origin).unwrap();
        let hops: Vec<Option<u32>> = (flood.arrivals.iter())
            .map(|arrival| arrival.map(|arrival| arrival.hops))
            .collect();
        assert_eq!(hops, herd.hops_from(origin, |_| true));
        assert_eq!(flood.sends, 8);
        assert_eq!(flood.duplicates(), 4);
        for arrival in flood.arrivals.into_iter().flatten() {
            assert_eq!(arrival.delay, u64::from(arrival.hops) * 20_000_000);
        }
    }
}

#[test]
fn what_is_not_there_is_gone_round_and_who_is_cut_off_is_not_reached() {
    let herd = riley();
    let id = |name: &str| herd.id(name).unwrap();
    let link = |a: &str, b: &str| {
        let links = herd.links().iter();
        let mut found = links
            .enumerate()
            .filter(|(_, link)| link.a == id(a) && link.b == id(b));
        found.next().unwrap().0
    };
    let without = Without {
        dead: vec![id("Juzang")],
        cut: vec![link("Riley", "Jaquez")],
    };
    let mut model = Model::new(&herd, &EQUAL, &without).unwrap();
    let alone = model.flood(id("Riley")).unwrap();
    assert_eq!(alone.arrivals.iter().flatten().count(), 1);
    assert_eq!(alone.sends, 0);
    let others = model.flood(id("Campbell")).unwrap();
    let hops = |name: &str| others.arrivals[id(name).index()].map(|arrival| arrival.hops);
    assert_eq!(
        ["Campbell", "Bernard", "Jaquez", "Riley", "Juzang"].map(hops),
        [Some(0), Some(1), Some(2), None, None]
    );
}

#[test]
fn with_latencies_of_their_own_updates_take_the_fastest_ways() {
    let herd = "random:4,40"
        .parse::<crate::herd::Shape>()
        .unwrap()
        .herd(3)
        .unwrap();
    let latency = Latency {
        range: "1ms..90ms".parse().unwrap(),
        seed: 5,
    };
    let drawn = latency.draw(herd.links().len());
    assert!(
        drawn
            .iter()
            .all(|one| (latency.range.least..=latency.range.most).contains(one))
    );
    let mut model = Model::new(&herd, &drawn, &Without::default()).unwrap();
    for origin in herd.ids() {
        let fastest = herd.least_delay_over(origin, |_| true, |link, _| Some(drawn[link]));
        let flood = model.flood(origin).unwrap();
        let delays = flood
            .arrivals
            .iter()
            .map(|arrival| arrival.map(|arrival| Duration::from_nanos(arrival.delay)));
        assert_eq!(delays.collect::<Vec<_>>(), fastest);
        assert!(flood.sends <= herd.fault_free_sends() as u64);
    }
}

#[test]
fn memory_grows_with_what_servers_know() {
    let herd = riley();
    let mut model = Model::new(&herd, &EQUAL, &Without::default()).unwrap();
    let records = |model: &Model| model.memory().map(|memory| memory.records).sum::<usize>();
    let before = records(&model);
    for _ in 0..100 {
        model.flood(herd.ids().next().unwrap()).unwrap();
    }
    let each = (records(&model) - before) / 500;
    // A record's text is about 60 bytes, and in a large store a record costs about 117 bytes. This
    // small store has more overhead for each.
    assert!((100..400).contains(&each), "{each} bytes for a record");
}

mod mistaken {
    use super::*;
    use crate::node::mistakes::Mistake;

    #[test]
    fn a_server_that_ignores_its_neighbours_is_seen_not_to_be_reached() {
        let herd = riley();
        let mistake = Mistake::IgnoresNeighbours.made_by("Jaquez");
        let model = Model::with_mistake(&herd, &EQUAL, &Without::default(), &mistake);
        let flood = model.unwrap().flood(herd.id("Riley").unwrap()).unwrap();
        assert_eq!(flood.arrivals[herd.id("Jaquez").unwrap().index()], None);
    }
}
