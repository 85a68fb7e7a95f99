//! A log file that is rotated at a certain size: `log-Riley.txt` becomes `log-Riley.txt.1`, that
//! one becomes `log-Riley.txt.2`, and so on.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::notice::{Notice, Outlet, Tell};

/// The shortest time between two checks whether the file was removed. A write makes the check.
const LOOK: Duration = Duration::from_secs(1);

/// A log file that rotates itself. The bytes of one [`write`](Write::write) are never split between
/// two files.
pub struct Rotating {
    path: PathBuf,
    /// The size in bytes at which it is rotated.
    most: u64,
    keep: usize,
    tell: Tell,
    open: Open,
    /// When the file was last checked for removal.
    seen: Instant,
    /// The operator knows already that the removed file can't be created again.
    is_lost: bool,
}

/// The open file, with its size so far.
struct Open {
    file: File,
    size: u64,
    /// The size at which to rotate. A pipe or a device is never rotated, since a plain file would
    /// take its place.
    rotates_at: Option<u64>,
}

impl Open {
    fn new(path: &Path, most: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let metadata = file.metadata()?;
        Ok(Self {
            file,
            size: metadata.len(),
            rotates_at: metadata.is_file().then_some(most),
        })
    }
}

impl Rotating {
    /// Opens the file for appending, and creates it and its folder if they are missing. Later
    /// failures are reported by `tell`. Opening a pipe waits until somebody reads from it.
    /// # Errors
    ///
    /// When the folder or the file can't be opened. The error names it.
    pub fn open(path: PathBuf, most: u64, keep: usize, tell: Tell) -> io::Result<Self> {
        let open = begin(&path, most)?;
        Ok(Self {
            path,
            most,
            keep,
            tell,
            open,
            seen: Instant::now(),
            is_lost: false,
        })
    }

    /// Rotates the file and begins a new one. After a failure the old file is still written, under
    /// its old name.
    fn rotate(&mut self) -> io::Result<()> {
        self.rotate_by(Open::new)
    }

    /// As `rotate`, with what opens the new file.
    fn rotate_by(&mut self, open: impl FnOnce(&Path, u64) -> io::Result<Open>) -> io::Result<()> {
        // The new file is opened first, under a name of its own: opening fails most often, as when
        // there are no descriptors, and then no file has been moved or removed.
        let new = self.with_suffix("new");
        let open = open(&new, self.most)?;
        if let Err(error) = self.make_room().and_then(|()| fs::rename(&new, &self.path)) {
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        self.open = open;
        Ok(())
    }

    /// Moves each file that is kept to its next number, and drops the oldest one. Without files to
    /// keep, the new file replaces the current one.
    fn make_room(&self) -> io::Result<()> {
        for number in (0..self.keep).rev() {
            let older = self.numbered(number + 1);
            match fs::rename(self.numbered(number), older) {
                // Fewer files than `keep` may exist yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed?,
            }
        }
        Ok(())
    }

    fn rotate_if_large(&mut self) {
        let size = self.open.size;
        if self.open.rotates_at.is_none_or(|most| size < most) {
            return;
        }
        if let Err(error) = self.rotate() {
            // A file that is too large is better than lost lines. The next attempt follows when the
            // file has grown by another such size.
            self.open.rotates_at = Some(size.saturating_add(self.most));
            (self.tell)(&Notice::NotRotated(error));
        }
    }

    /// Creates the file again if it has no name left, since its lines would be lost. A file that
    /// was moved still has a name, and the program that moved it sends SIGHUP.
    fn begin_anew_if_removed(&mut self) {
        if self.seen.elapsed() < LOOK {
            return;
        }
        self.seen = Instant::now();
        let metadata = self.open.file.metadata();
        if !metadata.is_ok_and(|metadata| is_removed(&metadata)) {
            return;
        }
        match begin(&self.path, self.most) {
            Ok(open) => {
                self.open = open;
                self.is_lost = false;
                (self.tell)(&Notice::Removed);
            }
            Err(error) if !self.is_lost => {
                self.is_lost = true;
                (self.tell)(&Notice::Lost(error));
            }
            Err(_) => {}
        }
    }

    /// The path of the file that was rotated `number` times. Zero stands for the current file.
    fn numbered(&self, number: usize) -> PathBuf {
        if number == 0 {
            return self.path.clone();
        }
        self.with_suffix(&number.to_string())
    }

    fn with_suffix(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{suffix}"));
        name.into()
    }
}

fn begin(path: &Path, most: u64) -> io::Result<Open> {
    let at = |path: &Path, error: io::Error| {
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
    }
    Open::new(path, most).map_err(|error| at(path, error))
}

#[cfg(unix)]
fn is_removed(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.is_file() && metadata.nlink() == 0
}

#[cfg(not(unix))]
fn is_removed(_: &Metadata) -> bool {
    // Here, the system does not let an open file be removed.
    false
}

#[cfg(unix)]
fn are_one(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn are_one(_: &Metadata, _: &Metadata) -> bool {
    false
}

impl Write for Rotating {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begin_anew_if_removed();
        self.rotate_if_large();
        let written = self.open.file.write(bytes)?;
        let more = u64::try_from(written).unwrap_or(u64::MAX);
        self.open.size = self.open.size.saturating_add(more);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.file.flush()
    }
}

impl Outlet for Rotating {
    fn reopen(&mut self) {
        let now = self.open.file.metadata();
        let there = fs::metadata(&self.path);
        if let (Ok(now), Ok(there)) = (now, there)
            && are_one(&now, &there)
        {
            return;
        }
        match begin(&self.path, self.most) {
            Ok(open) => {
                self.open = open;
                self.is_lost = false;
                (self.tell)(&Notice::Reopened);
            }
            Err(error) => (self.tell)(&Notice::NotReopened(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, Write as _};
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use super::{Outlet as _, Rotating};

    /// A file that rotates at `most` bytes, and the notices that it reports.
    fn rotating(path: &Path, most: u64, keep: usize) -> (Rotating, Arc<Mutex<Vec<String>>>) {
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let tell = {
            let told = Arc::clone(&told);
            Arc::new(move |notice: &super::Notice| told.lock().unwrap().push(notice.to_string()))
        };
        let file = Rotating::open(path.to_owned(), most, keep, tell).unwrap();
        (file, told)
    }

    #[test]
    fn a_large_file_is_rotated_and_the_oldest_one_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log-A.txt");
        fs::write(&path, "old\n").unwrap();
        let (mut file, _) = rotating(&path, 6, 2);
        for line in ["one\n", "two\n", "three\n", "four\n", "five\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("log-A.txt"), "four\nfive\n");
        assert_eq!(read("log-A.txt.1"), "two\nthree\n");
        assert_eq!(read("log-A.txt.2"), "old\none\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn without_any_to_keep_it_begins_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log-A.txt");
        let (mut file, _) = rotating(&path, 4, 0);
        for line in ["one\n", "two\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn one_that_can_not_be_rotated_grows_on_and_says_so_once_a_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log-A.txt");
        // A folder that is not empty blocks the rotated file's name.
        fs::create_dir_all(folder.path().join("log-A.txt.1/x")).unwrap();
        let (mut file, told) = rotating(&path, 8, 1);
        for _ in 0..5 {
            file.write_all(b"line\n").unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "line\n".repeat(5));
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("can't be rotated"), "{told:?}");
    }

    #[test]
    fn nothing_is_lost_or_moved_if_the_new_file_can_not_be_opened() {
        for keep in [0, 3] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log-A.txt");
            let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
            for number in 1..=keep {
                fs::write(folder.path().join(format!("log-A.txt.{number}")), "old\n").unwrap();
            }
            let (mut file, _) = rotating(&path, 100, keep);
            file.write_all(b"one\n").unwrap();
            for _ in 0..4 {
                let none_left = |_: &Path, _| Err(io::Error::other("too many open files"));
                file.rotate_by(none_left).unwrap_err();
            }
            file.write_all(b"two\n").unwrap();
            assert_eq!(read("log-A.txt"), "one\ntwo\n");
            for number in 1..=keep {
                assert_eq!(read(&format!("log-A.txt.{number}")), "old\n");
            }
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), keep + 1);
        }
    }

    #[test]
    fn one_that_was_moved_away_is_opened_anew_when_that_is_asked_for_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (
            folder.path().join("sub/log-A.txt"),
            folder.path().join("moved"),
        );
        let (mut file, told) = rotating(&path, 1000, 1);
        file.reopen();
        assert!(told.lock().unwrap().is_empty());
        file.write_all(b"one\n").unwrap();
        fs::rename(&path, &moved).unwrap();
        fs::remove_dir(folder.path().join("sub")).unwrap();
        file.write_all(b"two\n").unwrap();
        file.reopen();
        file.write_all(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        // A folder at its path keeps the file from being opened again, so lines go into the old
        // one.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        file.reopen();
        file.write_all(b"four\n").unwrap();
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[1].contains("can't be opened anew"), "{told:?}");
    }

    #[cfg(unix)]
    #[tokio::test(start_paused = true)]
    async fn one_that_was_removed_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log-A.txt");
        let (mut file, told) = rotating(&path, 1000, 1);
        file.write_all(b"one\n").unwrap();
        fs::remove_file(&path).unwrap();
        tokio::time::advance(super::LOOK).await;
        file.write_all(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        // The folder is removed, too, and a plain file blocks its name.
        drop(fs::remove_dir_all(folder.path()));
        fs::write(folder.path(), "").unwrap();
        for _ in 0..3 {
            tokio::time::advance(super::LOOK).await;
            file.write_all(b"lost\n").unwrap();
        }
        fs::remove_file(folder.path()).unwrap();
        tokio::time::advance(super::LOOK).await;
        file.write_all(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 3, "{told:?}");
    }
}
