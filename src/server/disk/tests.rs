//! Files on a disk in memory: what is written is read again, whatever fails meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::*;
use crate::protocol::record::Record;

/// A disk that keeps nothing that was not synced, and fails when it is told to.
#[derive(Debug, Default)]
struct Ram(Mutex<Content>);

#[derive(Debug, Default)]
struct Content {
    files: BTreeMap<String, Vec<u8>>,
    unsynced: BTreeSet<String>,
    /// Which operations fail.
    failing: Option<&'static str>,
    /// All operations so far.
    done: Vec<String>,
}

impl Ram {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().expect("no panic")
    }

    fn act<T>(
        &self,
        what: &'static str,
        file: &str,
        act: impl FnOnce(&mut Content) -> T,
    ) -> io::Result<T> {
        let mut content = self.content();
        content
            .done
            .push(format!("{what} {file}").trim().to_owned());
        match content.failing {
            Some(failing) if failing == what => Err(io::Error::other("it is worn out")),
            _ => Ok(act(&mut content)),
        }
    }

    fn names(&self) -> Vec<String> {
        self.content().files.keys().cloned().collect()
    }
}

fn done<'a, T: Send + 'a>(result: io::Result<T>) -> Done<'a, T> {
    Box::pin(ready(result))
}

impl Disk for Ram {
    fn list(&self) -> Done<'_, Vec<String>> {
        done(self.act("list", "", |content| {
            content.files.keys().cloned().collect()
        }))
    }

    fn read<'a>(&'a self, file: &'a str) -> Done<'a, Vec<u8>> {
        done(self.act("read", file, |content| content.files[file].clone()))
    }

    fn append<'a>(&'a self, file: &'a str, bytes: &'a [u8]) -> Done<'a, ()> {
        done(self.act("append", file, |content| {
            let held = content.files.entry(file.to_owned()).or_default();
            held.extend_from_slice(bytes);
            content.unsynced.insert(file.to_owned());
        }))
    }

    fn sync<'a>(&'a self, file: &'a str) -> Done<'a, ()> {
        done(self.act("sync", file, |content| {
            content.unsynced.remove(file);
        }))
    }

    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> Done<'a, ()> {
        done(self.act("rename", from, |content| {
            let held = content.files.remove(from).expect("it is there");
            content.files.insert(to.to_owned(), held);
        }))
    }

    fn remove<'a>(&'a self, file: &'a str) -> Done<'a, ()> {
        done(self.act("remove", file, |content| {
            content.files.remove(file);
        }))
    }

    fn sync_names(&self) -> Done<'_, ()> {
        done(self.act("sync_names", "", |_| ()))
    }
}

/// The line of a client's record.
fn line(client: &str, time: u32) -> Vec<u8> {
    let text = format!("Riley +0.500000000 {client} +1-1 {time}");
    let mut out = Vec::new();
    let record = Record::parse(text.as_bytes()).expect("a record");
    write_record(&mut out, &record, 0);
    out
}

fn data(disk: &Arc<Ram>) -> Data {
    Data {
        snapshot_after: 150,
        ..Data::new(Arc::clone(disk) as Arc<dyn Disk>)
    }
}

async fn open(disk: &Arc<Ram>) -> Stored {
    let opened = data(disk).open(("riley", "Riley"), Made::NONE).await;
    opened.expect("it opens")
}

/// The clients and times of all records that were read, in order.
fn read(stored: &Stored) -> Vec<String> {
    let updates = stored.loaded.updates.iter();
    let shown = updates.map(|update| {
        let record = &update.update.record;
        let [id, time] = [record.id(), record.time_text()];
        format!("{} {}", id.escape_ascii(), time.escape_ascii())
    });
    shown.collect()
}

#[tokio::test]
async fn what_was_saved_is_read_again() {
    let disk = Arc::<Ram>::default();
    let mut files = open(&disk).await.files;
    files.save(&line("kiwi", 1)).await.expect("saved");
    files
        .save(&[line("plum", 2), line("kiwi", 3)].concat())
        .await
        .expect("saved");
    let stored = open(&disk).await;
    assert_eq!(read(&stored), ["kiwi 1", "plum 2", "kiwi 3"]);
    assert_eq!(
        (stored.loaded.damaged, disk.content().unsynced.len()),
        (0, 0)
    );
    // Another run begins another segment: the end of the first may be torn.
    let mut files = stored.files;
    files.save(&line("fig", 4)).await.expect("saved");
    assert_eq!(disk.names(), ["log-00000001", "log-00000002"]);
}

#[tokio::test]
async fn a_file_and_its_name_are_synced_before_anything_counts_as_saved() {
    let disk = Arc::<Ram>::default();
    let mut files = open(&disk).await.files;
    disk.content().done.clear();
    files.save(&line("kiwi", 1)).await.expect("saved");
    files.save(&line("kiwi", 2)).await.expect("saved");
    let done = &disk.content().done;
    assert_eq!(
        *done,
        [
            "append log-00000001",
            "sync log-00000001",
            "sync_names",
            "append log-00000001",
            "sync log-00000001"
        ]
    );
}

#[tokio::test]
async fn a_snapshot_replaces_what_was_before_it_and_nothing_that_came_meanwhile() {
    let disk = Arc::<Ram>::default();
    let mut files = open(&disk).await.files;
    for time in 0..4 {
        assert!(!files.wants_snapshot(), "{time}");
        files.save(&line("kiwi", time)).await.expect("saved");
    }
    assert!(files.wants_snapshot());
    files.begin_snapshot();
    assert!(files.is_copying() && !files.wants_snapshot());
    files.copy(&line("kiwi", 3)).await.expect("copied");
    files.save(&line("plum", 9)).await.expect("saved");
    disk.content().done.clear();
    files.end_snapshot().await.expect("it has its name");
    assert_eq!(
        disk.content().done[..4],
        [
            "sync snapshot-00000002.tmp",
            "rename snapshot-00000002.tmp",
            "sync_names",
            "remove log-00000001"
        ]
    );
    assert_eq!(disk.names(), ["log-00000003", "snapshot-00000002"]);
    let stored = open(&disk).await;
    assert_eq!(read(&stored), ["kiwi 3", "plum 9"]);
    let synced = stored.loaded.updates.iter().map(|read| read.is_synced);
    assert_eq!(synced.collect::<Vec<bool>>(), [true, false]);
}

#[tokio::test]
async fn after_a_failed_sync_all_is_written_anew() {
    let disk = Arc::<Ram>::default();
    let mut files = open(&disk).await.files;
    files.save(&line("kiwi", 1)).await.expect("saved");
    disk.content().failing = Some("sync");
    files.save(&line("kiwi", 2)).await.expect_err("it fails");
    disk.content().failing = None;
    files.save(&line("kiwi", 2)).await.expect("saved");
    // Nothing is appended to the segment whose sync failed.
    assert_eq!(disk.names(), ["log-00000001", "log-00000002"]);
    assert!(files.wants_snapshot());
    files.begin_snapshot();
    files.copy(&line("kiwi", 2)).await.expect("copied");
    files.end_snapshot().await.expect("it has its name");
    assert_eq!(disk.names(), ["snapshot-00000003"]);
    assert!(!files.wants_snapshot());
}

#[tokio::test]
async fn a_snapshot_that_fails_leaves_what_it_was_to_replace() {
    for failing in ["append", "sync", "rename", "sync_names"] {
        let disk = Arc::<Ram>::default();
        let mut files = open(&disk).await.files;
        for time in 0..4 {
            files.save(&line("kiwi", time)).await.expect("saved");
        }
        files.begin_snapshot();
        disk.content().failing = Some(failing);
        let copied = files.copy(&line("kiwi", 3)).await;
        if copied.is_ok() {
            files.end_snapshot().await.expect_err("it fails");
        }
        disk.content().failing = None;
        assert!(files.wants_snapshot(), "{failing}");
        assert!(
            disk.names().contains(&"log-00000001".to_owned()),
            "{failing}"
        );
        let read = read(&open(&disk).await);
        assert!(read.contains(&"kiwi 3".to_owned()), "{failing}: {read:?}");
        // The next one brings order.
        files.begin_snapshot();
        files.copy(&line("kiwi", 3)).await.expect("copied");
        files.end_snapshot().await.expect("it has its name");
        assert_eq!(disk.names().len(), 1, "{failing}: {:?}", disk.names());
    }
}

/// A server that is killed in each of its snapshots, and started again each time.
#[tokio::test]
async fn snapshots_that_nobody_ended_do_not_fill_the_disk() {
    let disk = Arc::<Ram>::default();
    let mut files = open(&disk).await.files;
    for time in 0..4 {
        files.save(&line("kiwi", time)).await.expect("saved");
    }
    for number in 2..8 {
        let mut files = open(&disk).await.files;
        assert!(files.wants_snapshot());
        files.begin_snapshot();
        files.copy(&line("kiwi", 3)).await.expect("copied");
        let unfinished = format!("snapshot-{number:08}.tmp");
        assert_eq!(disk.names(), ["log-00000001".to_owned(), unfinished]);
    }
}

#[tokio::test]
async fn damage_is_told_and_left_out_and_the_file_is_kept_aside() {
    let disk = Arc::<Ram>::default();
    let mut files = open(&disk).await.files;
    files
        .save(&[line("kiwi", 1), line("plum", 2), line("fig", 3)].concat())
        .await
        .expect("saved");
    {
        let mut content = disk.content();
        let file = content.files.get_mut("log-00000001").expect("it is there");
        let at = file
            .windows(4)
            .position(|bytes| bytes == b"plum")
            .expect("it is there");
        file[at + 5] ^= 4;
        file.extend_from_slice(b"0123abcd AT Riley");
    }
    let stored = open(&disk).await;
    assert_eq!(read(&stored), ["kiwi 1", "fig 3"]);
    let told: Vec<String> = stored
        .loaded
        .damages
        .iter()
        .map(Damage::to_string)
        .collect();
    assert_eq!(
        told,
        [
            "log-00000001, byte 78: 45 bytes damaged, perhaps of a record of plum",
            "log-00000001 ends in the midst of a line: 17 bytes from byte 167 on"
        ]
    );
    let mut strict = data(&disk);
    strict.strict = true;
    let refused = strict
        .open(("riley", "Riley"), Made::NONE)
        .await
        .expect_err("it is damaged");
    assert!(
        refused.to_string().starts_with("2 damaged places"),
        "{refused}"
    );
    let mut files = stored.files;
    assert!(files.wants_snapshot());
    files.begin_snapshot();
    files.copy(&line("kiwi", 1)).await.expect("copied");
    files.end_snapshot().await.expect("it has its name");
    assert_eq!(disk.names(), ["damaged-log-00000001", "snapshot-00000002"]);
}

#[tokio::test]
async fn files_of_another_server_or_version_are_left_alone() {
    let disk = Arc::<Ram>::default();
    let mut files = open(&disk).await.files;
    files.save(&line("kiwi", 1)).await.expect("saved");
    let foreign = data(&disk).open(("riley", "Hill"), Made::NONE).await;
    let foreign = foreign.expect_err("it is Riley's").to_string();
    assert_eq!(
        foreign,
        "log-00000001 holds records of Riley of the herd riley"
    );
    let mut later = Vec::new();
    let text = b"herd-data 2 riley Riley what we do not know";
    later.extend_from_slice(format!("{:08x} ", crc32c::crc32c(text)).as_bytes());
    later.extend_from_slice(text);
    later.push(b'\n');
    disk.content()
        .files
        .insert("log-00000007".to_owned(), later);
    disk.content().done.clear();
    let later = data(&disk).open(("riley", "Riley"), Made::NONE).await;
    let later = later.expect_err("it is of another version").to_string();
    assert_eq!(
        later,
        "log-00000007 has version 2 of the format of records, and this build knows 1"
    );
    let done = &disk.content().done;
    assert!(
        done.iter()
            .all(|it| it == "list" || it.starts_with("read ")),
        "{done:?}"
    );
}

#[tokio::test]
async fn few_damaged_files_are_kept() {
    let disk = Arc::<Ram>::default();
    for number in 0..6 {
        let mut files = open(&disk).await.files;
        files.save(&line("kiwi", number)).await.expect("saved");
        let last = disk
            .names()
            .into_iter()
            .rfind(|name| name.starts_with("log-"));
        let last = last.expect("it was just written");
        disk.content().files.get_mut(&last).expect("it is there")[60] ^= 1;
        let mut files = open(&disk).await.files;
        files.begin_snapshot();
        files.copy(&line("kiwi", number)).await.expect("copied");
        files.end_snapshot().await.expect("it has its name");
    }
    let kept = disk
        .names()
        .into_iter()
        .filter(|name| name.starts_with("damaged-"));
    assert_eq!(kept.count(), 3);
}

/// The disk holds at most three times what is live, whatever goes on: a snapshot, the log since, the
/// next snapshot, and what changes while that is written.
#[tokio::test]
async fn a_steady_load_does_not_fill_the_disk() {
    const CLIENTS: u32 = 1000;
    let disk = Arc::<Ram>::default();
    let mut files = open(&disk).await.files;
    let client = |number: u32| {
        line(
            &format!("client-{:04}", number % CLIENTS),
            1_000_000 + number,
        )
    };
    let all: Vec<u8> = (0..CLIENTS).flat_map(client).collect();
    files.save(&all).await.expect("saved");
    let (mut copied, mut most, mut snapshots) = (0, 0, 0);
    for number in (0..200_000).step_by(20) {
        let batch: Vec<u8> = (number..number + 20).flat_map(client).collect();
        files.save(&batch).await.expect("saved");
        if files.is_copying() {
            let part: Vec<u8> = (copied..copied + 50).flat_map(client).collect();
            files.copy(&part).await.expect("copied");
            copied += 50;
            if copied == CLIENTS {
                files.end_snapshot().await.expect("it has its name");
                snapshots += 1;
            }
        } else if files.wants_snapshot() {
            files.begin_snapshot();
            copied = 0;
        }
        let held: usize = disk.content().files.values().map(Vec::len).sum();
        // Until the first snapshot, all of the log is live.
        if snapshots > 0 {
            most = most.max(held);
        }
    }
    assert!(snapshots > 100, "{snapshots}");
    assert!(most <= 3 * all.len(), "{most} of {}", all.len());
    assert!(
        most > 2 * all.len(),
        "the bound is far from what happens: {most}"
    );
}
