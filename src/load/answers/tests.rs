use super::*;

const BODY: &str = "{\n \"results\" : [],\n \"status\" : \"ZERO_RESULTS\"\n}\n\n";

fn at(tail: &str) -> String {
    format!("AT Riley +0.000000001 {tail}\n")
}

/// Counts good, wrong, lost, duplicate and still waiting, after the requests `asked` (in capitals:
/// WHATSAT) and these bytes, for several ways of splitting the bytes.
fn counted(asked: &[&str], bytes: &str) -> [u64; 5] {
    let all = [bytes.len().max(1), 1, 7].map(|cut| {
        let mut answers = Answers::new(Some("Riley"));
        let mut totals = Totals::default();
        for tail in asked {
            let kind = if tail.to_lowercase() == **tail {
                RequestKind::Iamat
            } else {
                RequestKind::Whatsat { bound: 1 }
            };
            answers.expect(kind, tail.to_lowercase().as_bytes(), Instant::now());
        }
        for chunk in bytes.as_bytes().chunks(cut) {
            answers.unread().extend_from_slice(chunk);
            assert_eq!(answers.settle(Instant::now(), &mut totals), Ok(()));
        }
        let good = totals.iamat.len() + totals.whatsat.len();
        let waiting = answers.waiting() as u64;
        [good, totals.wrong, totals.lost, totals.duplicate, waiting]
    });
    assert!(all.iter().all(|one| *one == all[0]), "{bytes}: {all:?}");
    all[0]
}

#[test]
fn answers_in_order_are_good() {
    let bytes = at("a 1") + &at("a 1") + BODY + &at("b 2");
    assert_eq!(counted(&["a 1", "A 1", "b 2"], &bytes), [3, 0, 0, 0, 0]);
    assert_eq!(counted(&["a 1", "b 2"], &at("a 1")), [1, 0, 0, 0, 1]);
}

#[test]
fn an_answer_that_does_not_fit_is_wrong() {
    for bytes in [
        "? IAMAT a 1\n",
        "AT Riley +0.000000001 a 2\n",
        "AT Campbell +0.000000001 a 1\n",
        "AT Riley soon a 1\n",
        "nonsense\nand more\n\n",
    ] {
        assert_eq!(counted(&["a 1"], bytes), [0, 1, 0, 0, 0], "{bytes}");
        let then = bytes.to_owned() + &at("b 2");
        assert_eq!(counted(&["a 1", "b 2"], &then), [1, 1, 0, 0, 0], "{then}");
    }
}

#[test]
fn a_skew_is_a_number_however_it_is_spelled() {
    for good in [
        "+0.5",
        "-3",
        "0.263873386",
        "+1.5e-05",
        "-1.5E+05",
        "+-0.5",
        "--2",
        "+.5",
        "5.",
        "1e9",
        "+0.26387338600000000000000000001",
    ] {
        assert!(is_skew(good.as_bytes()), "{good}");
        let bytes = format!("AT Riley {good} a 1\n");
        assert_eq!(counted(&["a 1"], &bytes), [1, 0, 0, 0, 0], "{good}");
    }
    for bad in [
        "", "+", ".", "nan", "inf", "1e", "e5", "1.2.3", "+++1", "0x1", "1e5e5", "1,5",
    ] {
        assert!(!is_skew(bad.as_bytes()), "{bad}");
    }
}

#[test]
fn white_space_and_line_feeds_are_as_a_herd_likes_them() {
    for (one, body, other) in [
        ("AT Riley +1 a 1", "AT Riley +1 a 1\n{}", "AT Riley +1 b 2"),
        ("AT Riley +1 a 1", "AT Riley +1 a 1{}", "AT Riley +1 b 2"),
        (
            "AT  Riley\t+1   a  1 \r\n",
            "AT Riley +1 a 1\r\n{}\r\n\r\n",
            "AT Riley +1 b 2\r\n",
        ),
        (
            "\nAT Riley +1 a 1\n\n",
            "AT Riley +1 a 1\n\n{\n\n}\n",
            "AT Riley +1 b 2\n\n\n",
        ),
    ] {
        let asked = ["a 1", "A 1", "b 2"];
        let bytes = [one, body, other].concat();
        assert_eq!(counted(&asked, &bytes), [3, 0, 0, 0, 0], "{bytes:?}");
    }
}

#[test]
fn what_comes_behind_an_answer_is_wrong_and_no_request_pays_for_it() {
    for behind in [" and more\n", "\t{}\n", " 1\n2\n3\n"] {
        let bytes = at("a 1").replace('\n', behind) + &at("b 2");
        assert_eq!(
            counted(&["a 1", "b 2"], &bytes),
            [2, 1, 0, 0, 0],
            "{bytes:?}"
        );
    }
}

/// The example, the wrong answers and the waiting requests when nothing follows `bytes` before the
/// deadline.
fn ended(asked: RequestKind, bytes: &[u8]) -> (Option<String>, u64, usize) {
    let mut answers = Answers::new(None);
    let mut totals = Totals::default();
    answers.expect(asked, b"a 1", Instant::now());
    answers.unread().extend_from_slice(bytes);
    assert_eq!(answers.settle(Instant::now(), &mut totals), Ok(()));
    answers.end(Instant::now(), &mut totals);
    (totals.example, totals.wrong, answers.waiting())
}

#[test]
fn what_is_there_at_the_end_is_shown_as_it_came() {
    let whatsat = RequestKind::Whatsat { bound: 1 };
    for (asked, bytes, shown) in [
        (
            RequestKind::Iamat,
            &b"\x00\xff?"[..],
            "asked IAMAT a 1; answered \\x00\\xff?",
        ),
        (
            RequestKind::Iamat,
            b"AT Riley +0.",
            "asked IAMAT a 1; answered AT Riley +0.",
        ),
        (
            whatsat,
            b"AT Riley +1 a 1\n{\"resu",
            "that said a 1; answered {\"resu",
        ),
        (
            whatsat,
            b"AT Riley +1 a 1\n",
            "that said a 1; answered an AT line without a body",
        ),
    ] {
        let (example, wrong, waiting) = ended(asked, bytes);
        let example = example.expect("something is shown");
        assert!(example.ends_with(shown), "{example}");
        assert_eq!((wrong, waiting), (1, 0));
    }
    assert_eq!(ended(RequestKind::Iamat, b""), (None, 0, 1));
    assert_eq!(ended(RequestKind::Iamat, b"AT Riley +1 a 1"), (None, 0, 0));
    let (example, ..) = ended(RequestKind::Iamat, &[b'x'; 1000]);
    assert!(example.is_some_and(|shown| shown.len() < 300 && shown.contains("800 bytes more")));
}

#[test]
fn what_waits_can_be_asked_elsewhere() {
    let mut answers = Answers::new(None);
    let mut totals = Totals::default();
    for tail in ["a 1", "b 22", "c 333"] {
        answers.expect(RequestKind::Iamat, tail.as_bytes(), Instant::now());
    }
    answers.unread().extend_from_slice(b"AT Riley +1 a 1\n");
    answers.settle(Instant::now(), &mut totals).unwrap();
    let again = answers.take_waiting();
    let tails: Vec<&[u8]> = again.iter().map(|it| &*it.tail).collect();
    assert_eq!(tails, [&b"b 22"[..], b"c 333"]);
    assert_eq!((answers.good(), answers.waiting()), (1, 0));
}

#[test]
fn what_nobody_asked_for_is_wrong() {
    assert_eq!(counted(&[], &at("a 1")), [0, 1, 0, 0, 0]);
}

#[test]
fn an_answer_that_is_missing_is_lost_and_those_behind_it_are_good() {
    let bytes = at("b 2") + &at("c 3");
    assert_eq!(counted(&["a 1", "b 2", "c 3"], &bytes), [2, 0, 1, 0, 0]);
}

#[test]
fn an_answer_that_comes_twice_is_a_duplicate() {
    let bytes = at("a 1") + &at("a 1") + &at("b 2") + &at("a 1");
    assert_eq!(counted(&["a 1", "b 2"], &bytes), [2, 0, 0, 2, 0]);
    let both = at("a 1") + &at("a 1") + &at("a 1") + BODY + &at("a 1") + BODY;
    assert_eq!(counted(&["a 1", "A 1"], &both), [2, 0, 0, 2, 0]);
}

#[test]
fn a_body_must_be_json_of_no_more_places_than_were_asked_for() {
    let with = |body: &str| at("a 1") + body + "\n\n";
    let of = |body: &str| counted(&["A 1"], &with(body));
    assert_eq!(of("{\"results\":[{}]}"), [1, 0, 0, 0, 0]);
    assert_eq!(of("{\"places\":[{}]}"), [1, 0, 0, 0, 0]);
    assert_eq!(of("{\"results\":[{},{}]}"), [0, 1, 0, 0, 0]);
    assert_eq!(of("{\"results\":[}"), [0, 1, 0, 0, 0]);
}

#[test]
fn what_is_remembered_has_a_bound() {
    let mut answers = Answers::new(None);
    let mut totals = Totals::default();
    for number in 0..1000 {
        let tail = format!("client {number}");
        answers.expect(RequestKind::Iamat, tail.as_bytes(), Instant::now());
        answers.unread().extend_from_slice(at(&tail).as_bytes());
        answers.settle(Instant::now(), &mut totals).unwrap();
    }
    assert_eq!(totals.iamat.len(), 1000);
    assert_eq!(answers.requests.len(), REMEMBERED);
    assert!(answers.tails.len() < REMEMBERED * 20);
    answers.unread().resize(LONGEST + 1, b'x');
    assert_eq!(answers.settle(Instant::now(), &mut totals), Err(Endless));
}
