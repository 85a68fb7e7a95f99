use std::future::poll_fn;
use std::io::ErrorKind;
use std::task::Poll;

use futures_lite::future::or;
use tokio::time::{Instant, timeout};

use super::*;

fn disk(seed: u64) -> SimDisk {
    SimDisk::new(seed, "Riley")
}

async fn text(disk: &SimDisk, file: &str) -> Option<String> {
    let content = disk.read(file).await.ok()?;
    Some(String::from_utf8(content).expect("it is text"))
}

/// Creates a file with this content that is there for good.
async fn keep(disk: &SimDisk, file: &str, content: &str) {
    disk.append(file, content.as_bytes()).await.expect("writes");
    disk.sync(file).await.expect("syncs");
    disk.sync_names().await.expect("syncs");
}

#[tokio::test(start_paused = true)]
async fn files_are_appended_to_renamed_and_removed() {
    let disk = disk(1);
    assert_eq!(disk.list().await.unwrap(), Vec::<String>::new());
    disk.append("b", b"1").await.unwrap();
    disk.append("a", b"2").await.unwrap();
    disk.append("b", b"3").await.unwrap();
    assert_eq!(disk.list().await.unwrap(), ["a", "b"]);
    assert_eq!(text(&disk, "b").await.as_deref(), Some("13"));
    disk.rename("b", "a").await.unwrap();
    assert_eq!(text(&disk, "a").await.as_deref(), Some("13"));
    disk.remove("a").await.unwrap();
    for failed in [
        disk.read("a").await.map(|_| ()),
        disk.sync("a").await,
        disk.rename("a", "b").await,
        disk.remove("a").await,
    ] {
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test(start_paused = true)]
async fn each_operation_takes_the_time_that_is_drawn() {
    let times = |seed| async move {
        let (disk, start) = (disk(seed), Instant::now());
        disk.append("a", b"1").await.unwrap();
        let appended = Instant::now();
        disk.sync("a").await.unwrap();
        (appended.duration_since(start), appended.elapsed())
    };
    let mut seen = Vec::new();
    for seed in 0..50 {
        let (append, sync) = times(seed).await;
        assert!(append > Duration::ZERO && append <= Duration::from_millis(1));
        assert!(sync >= Duration::from_millis(1) && sync <= Duration::from_millis(9));
        assert_eq!((append, sync), times(seed).await, "the seed decides");
        seen.push(sync);
    }
    seen.sort();
    seen.dedup();
    assert!(seen.len() > 4, "{seen:?}");
}

/// A killed process leaves what it wrote to its system, synced or not.
#[tokio::test(start_paused = true)]
async fn who_is_killed_within_a_sync_loses_nothing() {
    let disk = disk(1);
    keep(&disk, "log", "1").await;
    disk.append("log", b"2").await.unwrap();
    let half_a_sync = Duration::from_micros(500);
    timeout(half_a_sync, disk.sync("log")).await.unwrap_err();
    assert_eq!(text(&disk, "log").await.as_deref(), Some("12"));
    // It takes effect when it begins.
    let mut append = disk.append("log", b"3");
    let polled = poll_fn(|cx| Poll::Ready(append.as_mut().poll(cx).is_pending()));
    assert!(polled.await);
    drop(append);
    assert_eq!(text(&disk, "log").await.as_deref(), Some("123"));
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_did_not_end_may_have_done_nothing() {
    let mut left = Vec::new();
    for seed in 0..50 {
        let disk = disk(seed);
        keep(&disk, "log", "1").await;
        disk.append("log", b"2").await.unwrap();
        let half_a_sync = Duration::from_micros(500);
        timeout(half_a_sync, disk.sync("log")).await.unwrap_err();
        disk.power_lost(Duration::ZERO);
        left.extend(text(&disk, "log").await);
    }
    assert!(left.contains(&"1".to_owned()) && left.contains(&"12".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_sync_is_about_what_was_pending_when_it_began() {
    let mut left = Vec::new();
    for seed in 0..50 {
        let disk = disk(seed);
        keep(&disk, "log", "1").await;
        disk.append("log", b"2").await.unwrap();
        let meanwhile = async {
            disk.append("log", b"3").await.unwrap();
            std::future::pending().await
        };
        or(disk.sync("log"), meanwhile).await.unwrap();
        disk.power_lost(Duration::ZERO);
        left.extend(text(&disk, "log").await);
    }
    assert!(left.iter().all(|left| left.starts_with("12")), "{left:?}");
    assert!(left.contains(&"12".to_owned()) && left.contains(&"123".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn other_seeds_lose_other_things() {
    let loses = |first, later: Option<u64>| async move {
        let disk = disk(first);
        disk.append("log", &vec![b'x'; 64 * medium::SECTOR])
            .await
            .unwrap();
        disk.sync_names().await.unwrap();
        if let Some(later) = later {
            disk.redraw(later);
        }
        disk.power_lost(Duration::ZERO);
        disk.read("log").await.unwrap()
    };
    let mut seen = Vec::new();
    for seed in 0..10 {
        assert_eq!(loses(1, Some(seed)).await, loses(2, Some(seed)).await);
        seen.push(loses(seed, None).await);
    }
    seen.sort();
    seen.dedup();
    assert!(seen.len() > 4);
}

/// What appends, syncs, reads and renames say: `ok`, or what failed.
async fn said(disk: &SimDisk) -> [String; 4] {
    let told = |result: io::Result<()>| match result {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.to_string(),
    };
    [
        told(disk.append("log", b"0123456789").await),
        told(disk.sync("log").await),
        told(disk.read("log").await.map(|_| ())),
        told(disk.rename("log", "log").await),
    ]
}

#[tokio::test(start_paused = true)]
async fn operations_fail_by_the_fault_of_the_disk_and_are_counted() {
    let (full, error) = ("no storage space", "input/output error");
    for (fault, says, affected) in [
        (DiskFault::Full, [full, "ok", "ok", "ok"], 1),
        (
            DiskFault::Fails(DiskOperation::Write),
            [error, "ok", "ok", error],
            2,
        ),
        (
            DiskFault::Fails(DiskOperation::Sync),
            ["ok", error, "ok", "ok"],
            1,
        ),
        (
            DiskFault::Fails(DiskOperation::Read),
            ["ok", "ok", error, "ok"],
            1,
        ),
        (DiskFault::Lies, ["ok"; 4], 1),
        (DiskFault::Misdirects, ["ok"; 4], 1),
    ] {
        let disk = disk(7);
        keep(&disk, "log", "1").await;
        disk.set(Some(fault));
        assert_eq!(said(&disk).await, says, "{fault}");
        assert_eq!(disk.affected(), affected, "{fault}");
        disk.set(None);
        assert_eq!(said(&disk).await, ["ok"; 4], "{fault}");
        assert_eq!(disk.affected(), affected, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_written_in_part() {
    let mut lengths = Vec::new();
    for seed in 0..100 {
        let disk = disk(seed);
        disk.set(Some(DiskFault::Full));
        disk.append("log", b"01234").await.unwrap_err();
        lengths.push(text(&disk, "log").await.expect("it is there"));
    }
    lengths.sort();
    lengths.dedup();
    assert_eq!(lengths, ["", "0", "01", "012", "0123", "01234"]);
}

/// Nobody is told again of what a failed sync was about.
#[tokio::test(start_paused = true)]
async fn what_a_failed_sync_was_about_is_gone_although_the_next_succeeds() {
    let disk = disk(1);
    keep(&disk, "log", "1").await;
    disk.append("log", b"2").await.unwrap();
    disk.append("other", b"3").await.unwrap();
    disk.set(Some(DiskFault::Fails(DiskOperation::Sync)));
    disk.sync("log").await.unwrap_err();
    disk.sync_names().await.unwrap_err();
    disk.set(None);
    disk.sync("log").await.unwrap();
    disk.sync_names().await.unwrap();
    assert_eq!(text(&disk, "log").await.as_deref(), Some("12"));
    disk.power_lost(Duration::ZERO);
    assert_eq!(text(&disk, "log").await.as_deref(), Some("1"));
    assert_eq!(disk.list().await.unwrap(), ["log"]);
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_lies_does_nothing() {
    let mut left = Vec::new();
    for seed in 0..50 {
        let disk = disk(seed);
        disk.set(Some(DiskFault::Lies));
        keep(&disk, "log", "1").await;
        disk.power_lost(Duration::ZERO);
        left.push(text(&disk, "log").await);
    }
    assert!(left.contains(&None) && left.contains(&Some("1".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn whatever_stalls_goes_on_with_the_end_of_the_fault() {
    let disk = disk(1);
    keep(&disk, "log", "1").await;
    let stalled = async {
        disk.append("log", b"2").await.unwrap();
        disk.sync("log").await.unwrap();
    };
    let ends = async {
        sleep(Duration::from_micros(20)).await;
        disk.set(Some(DiskFault::Stalls));
        sleep(Duration::from_secs(9)).await;
        assert_eq!(disk.affected(), 1, "an operation is counted once");
        disk.set(None);
        std::future::pending::<()>().await;
    };
    let start = Instant::now();
    or(stalled, ends).await;
    assert!(start.elapsed() > Duration::from_secs(9));
    assert_eq!(disk.affected(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_killed_while_the_disk_stalls_wrote_nothing() {
    let disk = disk(1);
    disk.set(Some(DiskFault::Stalls));
    let second = Duration::from_secs(1);
    timeout(second, disk.append("log", b"1")).await.unwrap_err();
    disk.set(None);
    assert_eq!(disk.list().await.unwrap(), Vec::<String>::new());
}
