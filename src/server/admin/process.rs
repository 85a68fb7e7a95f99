//! Statistics of this process from the system, under the names that Prometheus' own libraries use.
//! Values that come from `/proc` are missing on systems without it.

use std::fs::File;
use std::io::Read as _;

/// The number of bytes to read of `/proc/self/status`, whose 60 lines or so need far less.
const LARGEST: u64 = 16 * 1024;

/// Descriptors are counted up to this number. A process that has more of them has no limit worth a
/// metric.
const MOST_DESCRIPTORS: usize = 1 << 20;

/// The statistics at one moment. A value that the system does not give is `None`.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// CPU time of all threads, in user space and in the system, in nanoseconds.
    pub(super) cpu: Option<u64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) open_files: Option<usize>,
    /// The soft limit on descriptors, or `None` if there is no limit.
    pub(super) most_files: Option<u64>,
}

/// Reads the statistics. The files in `/proc` are not on a disk, so reading them never blocks.
pub(super) fn ask() -> Process {
    let status = status();
    let bytes = |field| kilobytes(&status, field)?.checked_mul(1024);
    Process {
        resident_bytes: bytes("VmRSS:"),
        virtual_bytes: bytes("VmSize:"),
        open_files: open_files(),
        ..of_the_system()
    }
}

#[cfg(unix)]
fn of_the_system() -> Process {
    use rustix::process::{Resource, getrlimit};
    use rustix::time::{ClockId, clock_gettime};
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let nanos = i128::from(cpu.tv_sec) * 1_000_000_000 + i128::from(cpu.tv_nsec);
    Process {
        cpu: u64::try_from(nanos).ok(),
        most_files: getrlimit(Resource::Nofile).current,
        ..Process::default()
    }
}

#[cfg(not(unix))]
fn of_the_system() -> Process {
    Process::default()
}

fn status() -> String {
    let mut text = String::new();
    if let Ok(file) = File::open("/proc/self/status") {
        // A file that can't be read leaves its values out.
        let _ = file.take(LARGEST).read_to_string(&mut text);
    }
    text
}

/// The number after `field`, such as `VmRSS:`, in kilobytes.
fn kilobytes(status: &str, field: &str) -> Option<u64> {
    let mut lines = status.lines();
    let rest = lines.find_map(|line| line.strip_prefix(field))?;
    rest.trim().strip_suffix("kB")?.trim_end().parse().ok()
}

/// The number of open descriptors, without the one that lists them.
fn open_files() -> Option<usize> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    Some(entries.take(MOST_DESCRIPTORS).count().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::{ask, kilobytes};

    #[test]
    fn a_field_is_found_and_what_is_none_is_not() {
        let status = "Name:\tVmRSS:\nVmPeak:\t   99 kB\nVmRSS:\t   1234 kB\nThreads:\t3\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(1234));
        assert_eq!(kilobytes(status, "VmSize:"), None);
        assert_eq!(kilobytes(status, "Threads:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_this_process_uses_is_counted() {
        let before = ask();
        let held: Vec<_> = (0..10)
            .map(|_| std::fs::File::open("/dev/null").expect("it is there"))
            .collect();
        let memory = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = ask();
        // Other tests open and close files at the same time.
        assert!(after.open_files.expect("counted") > held.len());
        assert!(after.resident_bytes.expect("told") > memory.len() as u64);
        assert!(after.virtual_bytes > after.resident_bytes);
        assert!(after.cpu > before.cpu);
        assert!(after.most_files.is_none_or(|most| most > 10));
    }
}
