//! The disk of a real server: a folder of this machine.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, Done};

/// The file by whose lock a server keeps others out of its folder.
const LOCK: &str = "lock";

/// The number of files that are kept open: the segment and the snapshot that are being written.
const OPEN: usize = 2;

/// A folder of this machine.
///
/// Files belong to this user alone (mode 0600, in a folder with 0700), since they hold where
/// clients are.
#[derive(Debug)]
pub struct Folder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// The files that were appended to last, the latest at the end.
    open: Mutex<Vec<(String, Arc<File>)>>,
    /// The system gives it back when the process ends, however that happens.
    _lock: Option<File>,
}

/// Why a server can't have a folder. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has the lock.
    #[error("another server uses the folder of records {}", .0.display())]
    InUse(PathBuf),
    /// An operation failed. The error says which, and on what.
    #[error("can't use the folder of records: {0}")]
    Io(#[from] io::Error),
}

impl FolderError {
    /// Advice for the operator.
    pub fn help(&self) -> &'static str {
        match self {
            Self::InUse(_) => {
                "give each server a folder of its own (`--data-dir`), or end the server that has this one"
            }
            Self::Io(_) => "give a folder that this process may read and write (`--data-dir`)",
        }
    }
}

impl Folder {
    /// Takes a folder for one server, as long as this value lives. The folder is created if it is
    /// missing.
    ///
    /// # Errors
    ///
    /// If another server has it, or it can't be created or locked.
    pub fn take(path: &Path) -> Result<Self, FolderError> {
        create(path)?;
        let at = path.join(LOCK);
        let opened = options().create(true).write(true).open(&at);
        let lock = opened.map_err(|error| failed("open", &at, &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self::new(path, Some(lock))),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed("lock", &at, &error).into()),
        }
    }

    /// A folder to look into, whoever uses it.
    pub fn look(path: &Path) -> Self {
        Self::new(path, None)
    }

    fn new(path: &Path, lock: Option<File>) -> Self {
        let inner = Inner {
            path: path.to_owned(),
            open: Mutex::default(),
            _lock: lock,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Runs an operation on a thread that may wait for the disk.
    fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Inner) -> io::Result<T> + Send + 'static,
    ) -> Done<'_, T> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            #[expect(
                clippy::disallowed_methods,
                reason = "a real disk blocks, and no simulated server has one"
            )]
            let done = tokio::task::spawn_blocking(move || act(&inner)).await;
            done.unwrap_or_else(|panic| Err(io::Error::other(panic)))
        })
    }
}

impl Disk for Folder {
    fn list(&self) -> Done<'_, Vec<String>> {
        self.act(Inner::list)
    }

    fn read<'a>(&'a self, file: &'a str) -> Done<'a, Vec<u8>> {
        let at = self.inner.path.join(file);
        self.act(move |_| fs::read(&at).map_err(|error| failed("read", &at, &error)))
    }

    fn append<'a>(&'a self, file: &'a str, bytes: &'a [u8]) -> Done<'a, ()> {
        let (file, bytes) = (file.to_owned(), bytes.to_owned());
        self.act(move |inner| inner.append(&file, &bytes))
    }

    fn sync<'a>(&'a self, file: &'a str) -> Done<'a, ()> {
        let file = file.to_owned();
        self.act(move |inner| inner.sync(&file))
    }

    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> Done<'a, ()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.act(move |inner| inner.rename(&from, &to))
    }

    fn remove<'a>(&'a self, file: &'a str) -> Done<'a, ()> {
        let file = file.to_owned();
        self.act(move |inner| inner.remove(&file))
    }

    fn sync_names(&self) -> Done<'_, ()> {
        self.act(|inner| sync_folder(&inner.path))
    }
}

impl Inner {
    fn open(&self) -> MutexGuard<'_, Vec<(String, Arc<File>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Other names than text are no server's.
    fn list(&self) -> io::Result<Vec<String>> {
        let path = &self.path;
        let entries = fs::read_dir(path).map_err(|error| failed("list", path, &error))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed("list", path, &error))?;
            names.extend(entry.file_name().into_string().ok());
        }
        names.retain(|name| name != LOCK);
        names.sort();
        Ok(names)
    }

    /// The open file with this name. It is opened if it is not.
    fn file(&self, name: &str, creates: bool) -> io::Result<Arc<File>> {
        let mut open = self.open();
        if let Some(position) = open.iter().position(|(known, _)| known == name) {
            let last = open.len() - 1;
            open[position..=last].rotate_left(1);
            return Ok(Arc::clone(&open[last].1));
        }
        let at = self.path.join(name);
        let opened = options().append(true).create(creates).open(&at);
        let file = Arc::new(opened.map_err(|error| failed("open", &at, &error))?);
        if open.len() == OPEN {
            open.remove(0);
        }
        open.push((name.to_owned(), Arc::clone(&file)));
        Ok(file)
    }

    /// A file that is renamed or removed is not appended to again under its old name.
    fn close(&self, name: &str) {
        self.open().retain(|(known, _)| known != name);
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let file = self.file(name, true)?;
        (&*file)
            .write_all(bytes)
            .map_err(|error| failed("append to", &self.path.join(name), &error))
    }

    /// The system syncs all that any handle wrote to the file, not only this one.
    fn sync(&self, name: &str) -> io::Result<()> {
        let file = self.file(name, false)?;
        file.sync_data()
            .map_err(|error| failed("sync", &self.path.join(name), &error))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.close(from);
        self.close(to);
        let at = self.path.join(from);
        fs::rename(&at, self.path.join(to)).map_err(|error| failed("rename", &at, &error))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.close(name);
        let at = self.path.join(name);
        fs::remove_file(&at).map_err(|error| failed("remove", &at, &error))
    }
}

/// Creates a folder, with those above it, so that it survives a failure of power.
fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let above = path.ancestors().skip(1);
    let mut changed: Vec<&Path> = above
        .clone()
        .take_while(|above| !above.as_os_str().is_empty() && !above.is_dir())
        .collect();
    changed.extend(above.clone().nth(changed.len()));
    builder
        .create(path)
        .map_err(|error| failed("create", path, &error))?;
    for folder in changed {
        let here = folder.as_os_str().is_empty();
        sync_folder(if here { Path::new(".") } else { folder })?;
    }
    Ok(())
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|error| failed("sync", path, &error))
}

/// Elsewhere a folder is no file that could be synced.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// An error that says what could not be done with which file.
fn failed(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("can't {what} {}: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let above = tempfile::tempdir().expect("a folder");
        let path = above.path().join("herd").join("Riley");
        (above, path)
    }

    #[tokio::test]
    async fn files_are_what_was_appended_to_them() {
        let (_above, path) = folder();
        let disk = Folder::take(&path).expect("it is created");
        disk.append("log-00000001", b"one ").await.expect("a file");
        disk.append("snapshot-00000002.tmp", b"all")
            .await
            .expect("another");
        disk.append("log-00000003", b"three")
            .await
            .expect("a third");
        // Its handle was closed meanwhile.
        disk.append("log-00000001", b"two").await.expect("more");
        disk.sync("log-00000001").await.expect("synced");
        disk.sync("snapshot-00000002.tmp").await.expect("synced");
        disk.rename("snapshot-00000002.tmp", "snapshot-00000002")
            .await
            .expect("renamed");
        disk.append("snapshot-00000002.tmp", b"new")
            .await
            .expect("another file");
        disk.remove("log-00000003").await.expect("removed");
        disk.sync_names().await.expect("synced");
        let names = disk.list().await.expect("a list");
        assert_eq!(
            names,
            ["log-00000001", "snapshot-00000002", "snapshot-00000002.tmp"]
        );
        for (name, held) in names.iter().zip(["one two", "all", "new"]) {
            assert_eq!(disk.read(name).await.expect("a file"), held.as_bytes());
        }
    }

    #[tokio::test]
    async fn a_folder_is_one_servers_until_it_ends() {
        let (_above, path) = folder();
        let disk = Folder::take(&path).expect("it is free");
        let refused = Folder::take(&path).expect_err("it is taken");
        assert!(matches!(refused, FolderError::InUse(_)), "{refused}");
        assert!(refused.to_string().contains("Riley"), "{refused}");
        let looks = Folder::look(&path);
        assert_eq!(looks.list().await.expect("a list"), [""; 0]);
        drop(disk);
        Folder::take(&path).expect("it is free again");
    }

    #[tokio::test]
    async fn an_error_says_what_failed_on_which_file() {
        let (_above, path) = folder();
        let disk = Folder::take(&path).expect("it is created");
        for (done, words) in [
            (disk.append("no/file", b"x").await, "can't open "),
            (disk.sync("log-00000007").await, "can't open "),
            (disk.rename("log-00000007", "x").await, "can't rename "),
            (disk.remove("log-00000007").await, "can't remove "),
            (disk.read("log-00000007").await.map(|_| ()), "can't read "),
        ] {
            let error = done.expect_err(words);
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            assert!(error.to_string().starts_with(words), "{error}");
            assert!(error.to_string().contains("Riley/"), "{error}");
        }
        let file = path.join("file");
        fs::write(&file, "").expect("a file");
        let error = Folder::take(&file).expect_err("a file is no folder");
        assert!(error.to_string().contains("Riley/file"), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nobody_else_can_read_what_is_written() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_above, path) = folder();
        let disk = Folder::take(&path).expect("it is created");
        disk.append("log-00000001", b"x").await.expect("a file");
        let mode = |path: &Path| {
            fs::metadata(path)
                .expect("it is there")
                .permissions()
                .mode()
        };
        assert_eq!(mode(&path) & 0o777, 0o700);
        for file in ["log-00000001", LOCK] {
            assert_eq!(mode(&path.join(file)) & 0o777, 0o600, "{file}");
        }
    }
}
