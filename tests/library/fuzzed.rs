//! The fuzz targets without a fuzzer, on their seeds, on mutations of seeds, and on random bytes.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use crate::fuzz_targets;

type Target = fn(&[u8]);

/// Tokens of lines and answers, which mutations insert.
const WORDS: &[&str] = &[
    "\n",
    "\n\n",
    " ",
    "\t",
    "\r\n",
    "-",
    "+",
    ".",
    "0",
    "1",
    "20",
    "51",
    "18446744073709551616",
    "f",
    "0123456789abcdef",
    "0000000000000000",
    "IAMAT ",
    "WHATSAT ",
    "kiwi",
    "c7",
    "+34.068930-118.445127",
    "-90+180",
    "1400000000.000000001",
    "AT ",
    "HELLO ",
    "BYE ",
    "PING",
    "ROOT ",
    "DIGEST ",
    "DONE ",
    "LIST ",
    "WANT ",
    "SYNCED ",
    "Riley",
    "Jaquez",
    "Juzang",
    "riley",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\\"",
    "\\ud800",
    "\"results\"",
    "\"places\"",
    "1e999",
    "null",
    "\u{e9}",
];

/// A mutation of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    /// Continues with the bytes of another seed.
    Splice(Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 1..=u8::MAX).prop_map(|(at, bits)| Change::Flip(at, bits)),
        (at(), words(1..4)).prop_map(|(at, words)| Change::Insert(at, words)),
        (at(), 1..40_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (at(), 1..80_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        (at(), at(), at()).prop_map(|(at, seed, from)| Change::Splice(at, seed, from)),
    ]
}

fn words(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    vec(select(WORDS), count).prop_map(|words| words.concat().into_bytes())
}

fn changed(mut bytes: Vec<u8>, changes: &[Change], seeds: &[Vec<u8>]) -> Vec<u8> {
    for change in changes {
        let place = |at: &Index| at.index(bytes.len() + 1);
        match change {
            Change::Flip(at, bits) => {
                let at = place(at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Change::Insert(at, words) => {
                let at = place(at);
                bytes.splice(at..at, words.iter().copied());
            }
            Change::Remove(at, length) => {
                let at = place(at);
                bytes.drain(at..bytes.len().min(at + length));
            }
            Change::Repeat(at, length) => {
                let at = place(at);
                bytes.extend_from_within(at..bytes.len().min(at + length));
            }
            Change::Splice(at, seed, from) => {
                let other = &seeds[seed.index(seeds.len())];
                bytes.truncate(place(at));
                bytes.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
        }
    }
    bytes
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new("fuzz/corpus").join(name);
    let files = fs::read_dir(&folder).expect("a target has a folder of seeds");
    let mut files: Vec<_> = files.map(|file| file.expect("readable").path()).collect();
    files.sort();
    files
        .iter()
        .map(|file| fs::read(file).expect("readable"))
        .collect()
}

fn run(name: &str, target: Target) {
    let seeds = seeds(name);
    assert!(seeds.len() >= 3, "{name} has {} seeds", seeds.len());
    for seed in &seeds {
        target(seed);
    }
    let from_a_seed = (any::<Index>(), vec(change(), 1..8)).prop_map(|(seed, changes)| {
        changed(seeds[seed.index(seeds.len())].clone(), &changes, &seeds)
    });
    let inputs = prop_oneof![
        6 => from_a_seed,
        2 => words(0..60),
        1 => vec(any::<u8>(), 0..300),
    ];
    // A failing input is reported after shrinking. Whoever fixes the bug adds it to the seeds.
    let config = Config {
        cases: 1000,
        failure_persistence: None,
        ..Config::default()
    };
    let ran = TestRunner::new(config).run(&inputs, |bytes| {
        target(&bytes);
        Ok(())
    });
    if let Err(error) = ran {
        panic!("{name}: {error}");
    }
}

#[test]
fn no_client_breaks_it() {
    run("client_line", fuzz_targets::client_line);
}

#[test]
fn no_line_between_servers_breaks_its_parser() {
    run("peer_line", fuzz_targets::peer_line);
}

#[test]
fn no_greeting_breaks_it() {
    run("handshake", fuzz_targets::handshake);
}

#[test]
fn no_neighbour_that_compares_breaks_it() {
    run("digests", fuzz_targets::digests);
}

#[test]
fn no_answer_of_places_breaks_it() {
    run("places_answer", fuzz_targets::places_answer);
}

/// The targets are the same here, in the fuzzer's manifest, in its folder, and among the seeds.
#[test]
fn no_target_is_left_out() {
    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(folder).expect("there");
        let names = entries.map(|entry| entry.expect("readable").path());
        let mut names: Vec<String> = names
            .map(|path| {
                path.file_stem()
                    .expect("named")
                    .to_string_lossy()
                    .into_owned()
            })
            .filter(|name| name != "mod")
            .collect();
        names.sort();
        names
    };
    let targets = names("tests/fuzz_targets");
    assert_eq!(names("fuzz/fuzz_targets"), targets);
    assert_eq!(names("fuzz/corpus"), targets);
    let manifest = fs::read_to_string("fuzz/Cargo.toml").expect("there");
    let here = include_str!("fuzzed.rs");
    for name in &targets {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        assert!(
            here.contains(&format!("run(\"{name}\", fuzz_targets::{name})")),
            "{name}"
        );
    }
}
