//! A log file that is put aside when it has grown large: `log-Riley.txt` becomes `log-Riley.txt.1`, that
//! `log-Riley.txt.2`, and so on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file. What is given to [`write`](Write::write) at once stays together.
pub struct Rotating {
    path: PathBuf,
    /// When it has so many bytes it is put aside.
    most: u64,
    keep: usize,
    file: File,
    size: u64,
}

impl Rotating {
    /// Opens the file, or goes on with the one that is there.
    pub fn open(path: PathBuf, most: u64, keep: usize) -> io::Result<Self> {
        let file = appending(&path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            path,
            most,
            keep,
            file,
            size,
        })
    }

    /// Puts the file aside and begins a new one.
    fn rotate(&mut self) -> io::Result<()> {
        if self.keep == 0 {
            fs::remove_file(&self.path)?;
        }
        for number in (0..self.keep).rev() {
            let older = self.numbered(number + 1);
            match fs::rename(self.numbered(number), older) {
                // There need not be so many yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed?,
            }
        }
        self.file = appending(&self.path)?;
        self.size = 0;
        Ok(())
    }

    /// The file that was put aside so many times; 0 is the file itself.
    fn numbered(&self, number: usize) -> PathBuf {
        if number == 0 {
            return self.path.clone();
        }
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn appending(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Write for Rotating {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size >= self.most {
            // A file that can't be put aside is better too large than lost.
            let _ = self.rotate();
        }
        let written = self.file.write(bytes)?;
        self.size += u64::try_from(written).unwrap_or(u64::MAX);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::Rotating;

    #[test]
    fn a_large_file_is_put_aside_and_the_oldest_one_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log-A.txt");
        fs::write(&path, "old\n").unwrap();
        let mut file = Rotating::open(path.clone(), 6, 2).unwrap();
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
        let mut file = Rotating::open(path.clone(), 4, 0).unwrap();
        for line in ["one\n", "two\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
