//! The two line languages are exact, and no bytes make a parser panic.

use proptest::prelude::*;

use super::client::{ClientLine, Refusal, Time};
use super::location::{Location, Radius};
use super::peer::{BootId, Hello, Pace, PeerError, PeerLine, Prefix, Summary, Update};
use super::record::Record;
use super::time::{Skew, Timestamp};
use super::{escape, fields, unescape};

fn refusal(line: &[u8]) -> Refusal {
    ClientLine::parse(line).expect_err("the line is no command")
}

#[test]
fn the_longest_skew_has_a_text() {
    let (least, most) = (Timestamp::default(), Timestamp::new(u64::MAX, 999_999_999));
    let text = |clock, time| Skew::between(clock, time).to_string();
    assert_eq!(text(least, most), "-18446744073709551615.999999999");
    assert_eq!(text(most, least), "+18446744073709551615.999999999");
    assert_eq!(text(least, least), "+0.000000000");
}

#[test]
fn fields_are_separated_by_any_run_of_the_six_spaces() {
    let line = b" \tIAMAT\x0b\x0c kiwi\r \t+34-118  1 \r";
    let split: Vec<&[u8]> = fields(line).collect();
    assert_eq!(split, [&b"IAMAT"[..], b"kiwi", b"+34-118", b"1"]);
}

#[test]
fn a_location_needs_both_signs_and_both_ranges() {
    for good in [
        "+34-118",
        "+34.068930-118.445127",
        "-90+180",
        "+90.000-180.0",
        "+0-0",
        "+007.5+0009.25",
    ] {
        let location = Location::parse(good.as_bytes()).expect(good);
        assert_eq!(location.text(), good.as_bytes());
    }
    for bad in [
        "",
        "+",
        "+34",
        "34-118",
        "+34118",
        "+34-",
        "+-118",
        "--999.9",
        "+90.0000001+0",
        "+0-180.000000000000000000001",
        "+91+0",
        "+0+181",
        "+3e1-118",
        "+34.-118",
        "+.5-118",
        "+34-118-5",
        "+34-118/",
        "+99999999999999999999999999-1",
        "+nan-inf",
    ] {
        assert_eq!(Location::parse(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn latitude_and_longitude_keep_their_own_spelling() {
    let location = Location::parse(b"+34.068930-118.445127").expect("valid");
    assert_eq!(location.latitude(), b"+34.068930");
    assert_eq!(location.longitude(), b"-118.445127");
}

#[test]
fn a_time_is_digits_and_at_most_nine_decimals() {
    for (text, nanos) in [
        ("0", 0),
        ("1621464827.959498503", 1_621_464_827_959_498_503),
        ("1.5", 1_500_000_000),
        ("007.000000001", 7_000_000_001),
    ] {
        assert_eq!(
            Timestamp::parse(text.as_bytes()).expect(text).as_nanos(),
            nanos
        );
    }
    for bad in [
        "",
        ".",
        "1.",
        ".5",
        "-1",
        "+1",
        "1e3",
        "inf",
        "nan",
        "NaN",
        "1.0000000001",
        "0x10",
        "1 ",
        "99999999999999999999999",
    ] {
        assert_eq!(Timestamp::parse(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn a_skew_prints_as_the_protocol_shows_it_and_has_one_spelling() {
    let at = |seconds, nanos| Timestamp::new(seconds, nanos);
    let skew = |clock, time| Skew::between(clock, time).to_string();
    assert_eq!(skew(at(10, 263_873_386), at(10, 0)), "+0.263873386");
    assert_eq!(skew(at(10, 0), at(3610, 1)), "-3600.000000001");
    assert_eq!(skew(at(10, 5), at(10, 5)), "+0.000000000");
    for bad in [
        "0.263873386",
        "+00.263873386",
        "+0.26",
        "-0.000000000",
        "+1",
        "+.5",
        "+0.2638733860",
    ] {
        assert_eq!(Skew::parse(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn radius_and_bound_have_their_ranges() {
    for (line, refusal_wanted) in [
        (&b"WHATSAT kiwi 50.1 5"[..], Refusal::BadRadius),
        (b"WHATSAT kiwi -1 5", Refusal::BadRadius),
        (b"WHATSAT kiwi nan 5", Refusal::BadRadius),
        (b"WHATSAT kiwi 10 21", Refusal::BadBound),
        (b"WHATSAT kiwi 10 5.0", Refusal::BadBound),
        (b"WHATSAT kiwi 10 +5", Refusal::BadBound),
        (b"WHATSAT kiwi 10", Refusal::FieldCount),
    ] {
        assert_eq!(refusal(line), refusal_wanted, "{}", escape(line));
    }
    assert!(ClientLine::parse(b"WHATSAT kiwi 50.000 20").is_ok());
    assert!(ClientLine::parse(b"WHATSAT kiwi 0 0").is_ok());
}

#[test]
fn a_radius_in_metres_is_exact() {
    for (kilometres, metres) in [
        ("10", "10000"),
        ("0.5", "500"),
        ("0", "0"),
        ("50", "50000"),
        ("1.2345", "1234.5"),
        ("0.0001", "0.1"),
        ("00010.50", "10500"),
        ("0.00000000000000000001", "0.00000000000000001"),
    ] {
        assert_eq!(
            Radius::parse(kilometres.as_bytes())
                .expect(kilometres)
                .metres(),
            metres
        );
    }
}

#[test]
fn every_other_line_is_refused_with_its_reason() {
    for (line, wanted) in [
        (&b""[..], Refusal::Empty),
        (b" \t\r", Refusal::Empty),
        (b"iamat kiwi +34-118 1", Refusal::UnknownCommand),
        (
            b"AT Riley +0.000000000 kiwi +34-118 1 1",
            Refusal::UnknownCommand,
        ),
        (b"IAMAT kiwi +34-118", Refusal::FieldCount),
        (b"IAMAT kiwi +34-118 1 2", Refusal::FieldCount),
        (b"IAMAT kiwi 34-118 1", Refusal::BadLocation),
        (b"IAMAT kiwi +34-118 one", Refusal::BadTime),
    ] {
        assert_eq!(refusal(line), wanted, "{}", escape(line));
    }
}

#[test]
fn an_id_is_any_bytes() {
    let line = b"IAMAT \xff\x00\xfe +34-118 1";
    let Ok(ClientLine::Iamat { id, .. }) = ClientLine::parse(line) else {
        panic!("valid");
    };
    assert_eq!(id, b"\xff\x00\xfe");
}

#[test]
fn peer_lines_that_are_no_lines_say_why() {
    for (line, wanted) in [
        (&b""[..], PeerError::UnknownVerb),
        (b"IAMAT kiwi +34-118 1", PeerError::UnknownVerb),
        (
            b"AT Riley +0.000000000 kiwi +34-118 NaN 1",
            PeerError::Malformed,
        ),
        (
            b"AT Riley +0.000000000 kiwi +34-118 1 0",
            PeerError::Malformed,
        ),
        (
            b"AT Riley +0.000000000 kiwi +34-118 1",
            PeerError::Malformed,
        ),
        (
            b"AT 7Riley +0.000000000 kiwi +34-118 1 1",
            PeerError::Malformed,
        ),
        (b"HELLO 1 riley Riley 1", PeerError::Malformed),
        (b"DIGEST 0g 1 0000000000000000", PeerError::Malformed),
        (
            b"DIGEST 00000000000000000 1 0000000000000000",
            PeerError::Malformed,
        ),
        (b"PING PING", PeerError::Malformed),
        (b"SYNCED -1", PeerError::Malformed),
    ] {
        assert_eq!(PeerLine::parse(line), Err(wanted), "{}", escape(line));
    }
}

#[test]
fn a_generation_is_written_where_there_is_one_and_only_then_may_there_be_no_place() {
    for line in [
        &b"AT Riley +0.000000000 kiwi +34-118 1 1"[..],
        b"AT Riley +0.000000000 kiwi +34-118 1 1 7",
        b"AT Riley +0.000000000 kiwi - 1.000000000 3 4294967295",
    ] {
        let parsed = PeerLine::parse(line).expect("a good line");
        assert_eq!(escape(&parsed.to_bytes()), escape(line));
    }
    for line in [
        &b"AT Riley +0.000000000 kiwi +34-118 1 1 0"[..],
        b"AT Riley +0.000000000 kiwi +34-118 1 1 -1",
        b"AT Riley +0.000000000 kiwi +34-118 1 1 4294967296",
        b"AT Riley +0.000000000 kiwi +34-118 1 1 1 1",
        b"AT Riley +0.000000000 kiwi - 1 1",
        b"AT Riley +0.000000001 kiwi - 1 1 1",
    ] {
        assert_eq!(
            PeerLine::parse(line),
            Err(PeerError::Malformed),
            "{}",
            escape(line)
        );
    }
}

#[test]
fn a_generation_wins_over_all_before_it_and_what_is_said_in_it_over_its_tombstone() {
    let at = |line: &str| match PeerLine::parse(line.as_bytes()) {
        Ok(PeerLine::At(update)) => update.record,
        other => panic!("{other:?}"),
    };
    let mut sorted = vec![
        at("AT Riley +0.000000000 kiwi +34-118 1 1"),
        at("AT Riley +0.000000000 kiwi +34-118 18446744073709551615.999999999 1"),
        at("AT Riley +0.000000000 kiwi - 1 1 1"),
        at("AT Riley +0.000000000 kiwi - 18446744073709551615 1 1"),
        at("AT Riley +0.000000000 kiwi +34-118 1 1 1"),
        at("AT Riley +0.000000000 kiwi +34-118 2 1 1"),
        at("AT Riley +0.000000000 kiwi - 1 1 2"),
    ];
    let expected = sorted.clone();
    sorted.reverse();
    sorted.sort_by(Record::order);
    assert_eq!(sorted, expected);
}

#[test]
fn a_list_of_too_many_hashes_is_refused() {
    let mut line = b"LIST -".to_vec();
    for _ in 0..=super::peer::MOST_HASHES {
        line.extend_from_slice(b" 0000000000000000");
    }
    assert_eq!(PeerLine::parse(&line), Err(PeerError::Malformed));
}

#[test]
fn a_bye_keeps_its_reason_whole() {
    let line = PeerLine::parse(b" BYE  another herd: hill ").expect("valid");
    assert_eq!(
        line,
        PeerLine::Bye {
            reason: b"another herd: hill"
        }
    );
}

#[test]
fn the_children_of_a_prefix_share_it_out_without_rest() {
    let hash = 0xdead_beef_0123_4567;
    let mut prefix = Prefix::ROOT;
    for _ in 0..Prefix::MOST_DIGITS {
        assert!(prefix.contains(hash));
        let holding: Vec<Prefix> = prefix
            .children()
            .filter(|child| child.contains(hash))
            .collect();
        assert_eq!(prefix.children().count(), 16);
        assert!(
            (0..16)
                .map(|digit| prefix.child(digit))
                .eq(prefix.children().map(Some))
        );
        assert_eq!(prefix.child(16), None);
        assert_eq!(holding.len(), 1);
        prefix = holding[0];
    }
    assert_eq!(prefix.to_string(), "deadbeef01234567");
    assert_eq!(prefix.children().count(), 0);
}

#[test]
fn a_record_is_the_answer_of_a_server_word_for_word() {
    let record = Record::new(
        "Riley",
        Timestamp::new(1_621_464_828, 223_371_889),
        b"kiwi.cs.ucla.edu",
        Location::parse(b"+34.068930-118.445127").expect("valid"),
        Time::parse(b"1621464827.959498503").expect("valid"),
    );
    assert_eq!(
        escape(record.text()),
        "Riley +0.263873386 kiwi.cs.ucla.edu +34.068930-118.445127 1621464827.959498503"
    );
    assert_eq!(record.id(), b"kiwi.cs.ucla.edu");
    assert_eq!(record.origin(), b"Riley");
    assert_eq!(record.location(), b"+34.068930-118.445127");
}

fn id() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(
        any::<u8>().prop_filter("no white space", |b| !super::is_space(*b)),
        1..20,
    )
}

fn location_text() -> impl Strategy<Value = String> {
    "[+-]([0-9]|[1-8][0-9])(\\.[0-9]{1,12})?[+-](1[0-7][0-9]|[0-9]{1,2})(\\.[0-9]{1,12})?"
}

fn time_text() -> impl Strategy<Value = String> {
    "[0-9]{1,18}(\\.[0-9]{1,9})?"
}

/// Records as clients make them, records of later generations, and tombstones.
fn record() -> impl Strategy<Value = Record> {
    let any_generation = prop_oneof![Just(1), Just(u32::MAX), any::<u32>()];
    prop_oneof![
        4 => first_record(),
        1 => (first_record(), any_generation.clone())
            .prop_map(|(record, generation)| record.in_generation(generation)),
        1 => ("[A-Z][a-z]{0,8}", any::<(u64, u32)>(), id(), any_generation).prop_map(
            |(server, clock, id, generation)| {
                let clock = Timestamp::new(clock.0, clock.1 % 1_000_000_000);
                Record::tombstone(&server, clock, &id, generation.max(1))
            }
        ),
    ]
}

fn first_record() -> impl Strategy<Value = Record> {
    (
        "[A-Z][a-z]{0,8}",
        any::<(u64, u32)>(),
        id(),
        location_text(),
        time_text(),
    )
        .prop_map(|(server, clock, id, location, time)| {
            Record::new(
                &server,
                Timestamp::new(clock.0, clock.1 % 1_000_000_000),
                &id,
                Location::parse(location.as_bytes()).expect("generated to be valid"),
                Time::parse(time.as_bytes()).expect("generated to be valid"),
            )
        })
}

fn prefix() -> impl Strategy<Value = Prefix> {
    (any::<u64>(), 0..=Prefix::MOST_DIGITS).prop_map(|(hash, length)| {
        (0..length).fold(Prefix::ROOT, |prefix, _| {
            prefix
                .children()
                .find(|child| child.contains(hash))
                .expect("one child holds it")
        })
    })
}

fn summary() -> impl Strategy<Value = Summary> {
    any::<(u64, u64)>().prop_map(|(count, hash)| Summary { count, hash })
}

fn hashes() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(any::<u64>(), 0..super::peer::MOST_HASHES)
}

fn clock() -> impl Strategy<Value = Timestamp> {
    (any::<u64>(), 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Timestamp::new(seconds, nanos))
}

/// A greeting of either version, or of one that is still to come.
fn hello() -> impl Strategy<Value = Hello<'static>> {
    (1..=3u32, any::<u64>(), any::<u64>()).prop_map(|(version, boot, records)| Hello {
        version,
        herd: b"riley",
        server: b"Jaquez",
        boot: BootId(boot),
        records: (version > 1).then_some(records),
    })
}

fn peer_line() -> impl Strategy<Value = PeerLine<'static>> {
    prop_oneof![
        hello().prop_map(PeerLine::Hello),
        hello().prop_map(PeerLine::Dial),
        Just(PeerLine::Bye {
            reason: b"another herd"
        }),
        Just(PeerLine::Bye { reason: b"" }),
        (
            record(),
            1..u32::MAX,
            prop_oneof![Just(Pace::Live), Just(Pace::Bulk)]
        )
            .prop_map(|(record, hops, pace)| PeerLine::At(Update { record, hops, pace })),
        prop::option::of(clock()).prop_map(|clock| PeerLine::Ping { clock }),
        (clock(), clock()).prop_map(|(ping, clock)| PeerLine::Pong { ping, clock }),
        summary().prop_map(PeerLine::Root),
        (prefix(), summary()).prop_map(|(under, summary)| PeerLine::Digest { under, summary }),
        prefix().prop_map(|under| PeerLine::Done { under }),
        (prefix(), hashes()).prop_map(|(under, hashes)| PeerLine::List { under, hashes }),
        (prefix(), hashes()).prop_map(|(under, hashes)| PeerLine::Want { under, hashes }),
        any::<u64>().prop_map(|sent| PeerLine::Synced { sent }),
    ]
}

proptest! {
    #[test]
    fn fields_are_the_same_byte_by_byte(
        line in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..0x24, Just(b' '), Just(b'x')], 0..64),
    ) {
        let naive = line.split(|&byte| super::is_space(byte)).filter(|field| !field.is_empty());
        prop_assert_eq!(fields(&line).collect::<Vec<_>>(), naive.collect::<Vec<_>>());
    }

    #[test]
    fn no_bytes_panic_a_parser(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = ClientLine::parse(&bytes);
        let _ = PeerLine::parse(&bytes);
        let _ = Record::parse(&bytes);
        let _ = Skew::parse(&bytes);
    }

    #[test]
    fn no_line_that_looks_right_panics_a_parser(
        verb in "(IAMAT|WHATSAT|AT|HAVE|HELLO|DIAL|BYE|PING|PONG|ROOT|DIGEST|DONE|LIST|WANT|SYNCED)",
        rest in "[ +.0-9a-f-]{0,60}",
    ) {
        let line = format!("{verb} {rest}");
        let _ = ClientLine::parse(line.as_bytes());
        let _ = PeerLine::parse(line.as_bytes());
    }

    #[test]
    fn parse_of_print_is_identity_for_clients(
        id in id(), location in location_text(), time in time_text(),
        radius in "([0-9]|[1-4][0-9])(\\.[0-9]{1,12})?", bound in 0u8..=20,
    ) {
        let iamat = ClientLine::Iamat {
            id: &id,
            location: Location::parse(location.as_bytes()).expect("valid"),
            time: Time::parse(time.as_bytes()).expect("valid"),
        };
        let whatsat = ClientLine::Whatsat {
            id: &id,
            radius: Radius::parse(radius.as_bytes()).expect("valid"),
            bound,
        };
        for line in [iamat, whatsat] {
            let mut printed = Vec::new();
            line.write_to(&mut printed);
            prop_assert_eq!(ClientLine::parse(&printed), Ok(line));
        }
    }

    #[test]
    fn parse_of_print_is_identity_for_peers(line in peer_line()) {
        let printed = line.to_bytes();
        prop_assert!(printed.len() <= super::peer::LINE_LIMIT);
        prop_assert_eq!(PeerLine::parse(&printed), Ok(line));
    }

    #[test]
    fn parse_of_print_is_identity_for_records(record in first_record()) {
        prop_assert_eq!(Record::parse(record.text()), Some(record));
    }

    #[test]
    fn the_difference_of_two_times_is_exact(a in any::<(u64, u32)>(), b in any::<(u64, u32)>()) {
        let (a, b) = (
            Timestamp::new(a.0, a.1 % 1_000_000_000),
            Timestamp::new(b.0, b.1 % 1_000_000_000),
        );
        let skew = Skew::between(a, b);
        // b + skew = a, in whole nanoseconds, and the text says the same number.
        prop_assert_eq!(b.as_nanos() + skew.as_nanos(), a.as_nanos());
        prop_assert_eq!(Skew::parse(skew.to_string().as_bytes()), Some(skew));
        prop_assert_eq!(Timestamp::parse(a.to_string().as_bytes()), Some(a));
    }

    #[test]
    fn escaping_loses_nothing_and_prints_one_line(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let text = escape(&bytes);
        prop_assert!(!text.chars().any(char::is_control));
        prop_assert_eq!(unescape(&text), Some(bytes));
    }

    #[test]
    fn the_merge_order_is_total(a in record(), b in record(), c in record()) {
        prop_assert_eq!(a.order(&b), b.order(&a).reverse());
        prop_assert_eq!(a.supersedes(&b) && b.supersedes(&a), false);
        if a.supersedes(&b) && b.supersedes(&c) {
            prop_assert!(a.supersedes(&c));
        }
        prop_assert!(!a.supersedes(&a));
        if !a.supersedes(&b) && !b.supersedes(&a) {
            prop_assert_eq!(&a, &b);
        }
        if a.generation() > b.generation() {
            prop_assert!(a.supersedes(&b));
        }
    }
}
