use std::collections::BTreeSet;

use proptest::prelude::*;
use rand::SeedableRng as _;

use super::*;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

impl Medium {
    /// Syncs a file, and its name.
    fn sync_all(&mut self, name: &str) {
        let inode = self.find(name).expect("it is there");
        self.sync(inode, self.last());
        self.sync_names(self.last());
    }
}

/// Sectors of the same byte each.
fn sectors(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [*byte; SECTOR]).collect()
}

/// What a file is after failures of power that are drawn from many seeds: its sectors by their first bytes, a dot for
/// one of zeros, and `none` if there is no such file.
fn outcomes(name: &str, make: impl Fn(&mut Medium)) -> BTreeSet<String> {
    let after = (0..500).map(|seed| {
        let mut medium = Medium::default();
        make(&mut medium);
        medium.power_lost(&mut rng(seed));
        medium
            .read(name)
            .map_or("none".to_owned(), |content| letters(&content))
    });
    after.collect()
}

fn letters(content: &[u8]) -> String {
    let firsts = content.chunks(SECTOR).map(|sector| match sector[0] {
        0 => '.',
        letter => char::from(letter),
    });
    firsts.collect()
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn any_part_of_what_was_not_synced_may_be_lost() {
    let seen = outcomes("log", |medium| {
        medium.append("log", &sectors(b"a"));
        medium.sync_all("log");
        medium.append("log", &sectors(b"bc"));
    });
    // What was synced is there always. A file that got longer reads as zeros where it has nothing.
    assert_eq!(seen, set(&["a", "ab", "abc", "a.c", "ab.", "a.."]));
}

#[test]
fn a_sector_is_written_as_a_whole_as_it_was_at_some_moment() {
    let seen = outcomes("log", |medium| {
        medium.append("log", b"");
        medium.sync_all("log");
        for byte in b"xyz" {
            medium.append("log", &[*byte]);
        }
    });
    assert_eq!(seen, set(&["", ".", "x"]));
    let mut contents = BTreeSet::new();
    for seed in 0..500 {
        let mut medium = Medium::default();
        medium.append("log", b"");
        medium.sync_all("log");
        for byte in b"xyz" {
            medium.append("log", &[*byte]);
        }
        medium.power_lost(&mut rng(seed));
        contents.insert(medium.read("log").expect("it is there"));
    }
    let any = [&b""[..], b"x", b"xy", b"xyz", b"\0\0\0", b"x\0\0", b"xy\0"];
    assert_eq!(contents, any.map(<[u8]>::to_vec).into());
}

#[test]
fn a_file_without_a_synced_name_may_be_gone() {
    let make = |medium: &mut Medium| {
        medium.append("log", &sectors(b"a"));
        let inode = medium.find("log").expect("it is there");
        medium.sync(inode, medium.last());
    };
    assert_eq!(outcomes("log", make), set(&["none", "a"]));
}

#[test]
fn a_rename_takes_place_or_does_not() {
    let make = |medium: &mut Medium| {
        medium.append("old", &sectors(b"o"));
        medium.append("new.tmp", &sectors(b"n"));
        medium.sync_all("old");
        medium.sync_all("new.tmp");
        assert!(medium.rename("new.tmp", "old"));
        assert_eq!(medium.list(), ["old"]);
    };
    assert_eq!(outcomes("old", make), set(&["o", "n"]));
    assert_eq!(outcomes("new.tmp", make), set(&["none", "n"]));
}

#[test]
fn what_was_removed_may_be_back() {
    let make = |medium: &mut Medium| {
        medium.append("log", &sectors(b"a"));
        medium.sync_all("log");
        assert!(medium.remove("log"));
        assert!(!medium.remove("log"));
    };
    assert_eq!(outcomes("log", make), set(&["none", "a"]));
}

#[test]
fn changes_of_names_are_lost_in_any_combination() {
    let all = (0..500).map(|seed| {
        let mut medium = Medium::default();
        medium.append("a", b"1");
        medium.append("b", b"1");
        let lost = medium.power_lost(&mut rng(seed));
        let list = medium.list();
        assert_eq!(lost.names, 2 - list.len() as u64);
        list.concat()
    });
    assert_eq!(all.collect::<BTreeSet<_>>(), set(&["", "a", "b", "ab"]));
}

#[test]
fn a_sync_is_about_what_was_written_before_it() {
    let seen = outcomes("log", |medium| {
        medium.append("log", &sectors(b"a"));
        let (inode, until) = (medium.find("log").expect("it is there"), medium.last());
        medium.sync_names(until);
        medium.append("log", &sectors(b"b"));
        medium.sync(inode, until);
    });
    assert_eq!(seen, set(&["a", "ab", "a."]));
}

#[test]
fn what_is_dropped_is_read_until_the_power_is_lost() {
    let mut medium = Medium::default();
    medium.append("log", &sectors(b"a"));
    medium.sync_all("log");
    medium.append("log", &sectors(b"b"));
    let inode = medium.find("log").expect("it is there");
    medium.drop_pending(inode);
    medium.append("log", &sectors(b"c"));
    medium.sync_all("log");
    assert_eq!(letters(&medium.read("log").expect("it is there")), "abc");
    let lost = medium.power_lost(&mut rng(1));
    assert_eq!(letters(&medium.read("log").expect("it is there")), "a.c");
    assert_eq!(
        lost,
        Lost {
            bytes: 512,
            names: 0
        }
    );
    medium.append("other", b"");
    medium.drop_changes();
    medium.sync_all("other");
    medium.power_lost(&mut rng(1));
    assert_eq!(medium.list(), ["log"]);
}

#[test]
fn a_misdirected_write_is_found_elsewhere() {
    let mut overwritten = BTreeSet::new();
    for seed in 0..100 {
        let mut medium = Medium::default();
        assert!(
            !medium.misdirect("a", b"first", &mut rng(seed)),
            "there is no other place"
        );
        assert_eq!(medium.read("a").as_deref(), Some(&b"first"[..]));
        assert!(medium.misdirect("b", b"XYZ", &mut rng(seed)));
        assert_eq!(medium.read("b").as_deref(), Some(&[0; 3][..]));
        let first = medium.read("a").expect("it is there");
        assert_eq!(first.len(), 5);
        overwritten.insert(String::from_utf8(first).expect("it is text"));
    }
    assert_eq!(
        overwritten,
        set(&["XYZst", "fXYZt", "fiXYZ", "firXY", "firsX"])
    );
}

#[test]
fn bits_flip_where_something_is() {
    let mut medium = Medium::default();
    assert_eq!(medium.rot(3, &mut rng(1)), 0);
    medium.append("log", &[0; 600]);
    assert_eq!(medium.rot(1, &mut rng(1)), 0, "nothing is on the disk yet");
    medium.sync_all("log");
    let flipped = |medium: &Medium| {
        let content = medium.read("log").expect("it is there");
        content.iter().map(|byte| byte.count_ones()).sum::<u32>()
    };
    assert_eq!(medium.rot(1, &mut rng(1)), 1);
    assert_eq!(flipped(&medium), 1);
    medium.power_lost(&mut rng(1));
    assert_eq!(flipped(&medium), 1, "it is on the disk");
}

/// Something that a program does to its files.
#[derive(Clone, Copy, Debug)]
enum Step {
    Append(u8, usize),
    Sync(u8),
    SyncNames,
    Rename(u8, u8),
    Remove(u8),
    PowerLost(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let file = 0u8..4;
    let step = prop_oneof![
        4 => (file.clone(), 0usize..1500).prop_map(|(file, length)| Step::Append(file, length)),
        2 => file.clone().prop_map(Step::Sync),
        2 => Just(Step::SyncNames),
        1 => (file.clone(), file.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => file.prop_map(Step::Remove),
        1 => any::<u64>().prop_map(Step::PowerLost),
    ];
    proptest::collection::vec(step, 0..30)
}

fn perform(medium: &mut Medium, step: Step, spared: Option<u8>) {
    let is_spared = |file: u8| Some(file) == spared;
    match step {
        Step::Append(file, length) => medium.append(&file.to_string(), &vec![b'x'; length]),
        Step::Sync(file) => {
            if let Some(inode) = medium.find(&file.to_string()) {
                medium.sync(inode, medium.last());
            }
        }
        Step::SyncNames => medium.sync_names(medium.last()),
        Step::Rename(from, to) if !is_spared(from) && !is_spared(to) => {
            medium.rename(&from.to_string(), &to.to_string());
        }
        Step::Remove(file) if !is_spared(file) => {
            medium.remove(&file.to_string());
        }
        Step::PowerLost(seed) => {
            medium.power_lost(&mut rng(seed));
        }
        Step::Rename(..) | Step::Remove(_) => {}
    }
}

proptest! {
    #[test]
    fn what_is_synced_with_its_name_is_there_whatever_follows(
        before in steps(), after in steps(), seed in any::<u64>(),
    ) {
        let mut medium = Medium::default();
        for step in before {
            perform(&mut medium, step, None);
        }
        medium.append("2", b"the last bytes");
        medium.sync_all("2");
        let synced = medium.read("2").expect("it is there");
        for step in after {
            perform(&mut medium, step, Some(2));
        }
        medium.power_lost(&mut rng(seed));
        let left = medium.read("2").expect("its name is synced");
        prop_assert!(left.starts_with(&synced));
    }
}
