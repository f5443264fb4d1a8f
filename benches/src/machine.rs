//! What the figures were measured on: they mean nothing without it.

use std::fmt;
use std::fs;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use serde::Serialize;

use crate::failure::Failure;
use crate::failure::Result;
use crate::failure::Trying;

/// The machine and the disk of the run.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cores: usize,
    cpu: String,
    memory_mb: u64,
    kernel: String,
    file_system: String,
    device: String,
    /// Median of a 4 KB write with fdatasync, in milliseconds.
    sync_ms: f64,
}

impl Machine {
    /// Looks at this machine and at the disk that holds `folder`.
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        let (file_system, device) = mount_of(folder)?;
        if matches!(file_system.as_str(), "tmpfs" | "ramfs") {
            return Err(Failure::new(format!(
                "{} is on {file_system}: a durable queue needs a real disk, name one with --work",
                folder.display()
            )));
        }
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: value_in("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            memory_mb: value_in("/proc/meminfo", "MemTotal")
                .and_then(|value| value.split(' ').next()?.parse::<u64>().ok())
                .unwrap_or(0)
                / 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            file_system,
            device,
            sync_ms: sync_time(folder)?.as_secs_f64() * 1000.0,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "machine: {} cores, {}, {} MB, Linux {}",
            self.cores, self.cpu, self.memory_mb, self.kernel
        )?;
        write!(
            f,
            "disk:    {} on {}, 4 KB write + fdatasync {:.2} ms (median)",
            self.file_system, self.device, self.sync_ms
        )
    }
}

/// File system type and device of the mount that holds a folder.
fn mount_of(folder: &Path) -> Result<(String, String)> {
    let folder = folder
        .canonicalize()
        .trying(|| format!("find {}", folder.display()))?;
    let mounts = fs::read_to_string("/proc/self/mounts").trying(|| "read the mounts".to_owned())?;
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (device, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
            folder
                .starts_with(point)
                .then(|| (point.len(), kind.to_owned(), device.to_owned()))
        })
        .max_by_key(|(length, ..)| *length)
        .map(|(_, kind, device)| (kind, device))
        .ok_or_else(|| Failure::new(format!("no mount holds {}", folder.display())))
}

fn value_in(file: &str, key: &str) -> Option<String> {
    fs::read_to_string(file)
        .ok()?
        .lines()
        .find_map(|line| line.strip_prefix(key)?.split_once(':'))
        .map(|(_, value)| value.trim().to_owned())
}

fn sync_time(folder: &Path) -> Result<Duration> {
    let mut times = timed_writes(&folder.join("sync-probe"))
        .trying(|| format!("write in {}", folder.display()))?;
    times.sort_unstable();
    Ok(times[WRITES / 2])
}

fn timed_writes(path: &Path) -> std::io::Result<Vec<Duration>> {
    let mut file = File::create(path)?;
    let mut times = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let start = Instant::now();
        file.write_all(&[b'x'; 4096])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    fs::remove_file(path)?;
    Ok(times)
}

/// Enough for a median, over in a second on a slow disk.
const WRITES: usize = 200;
