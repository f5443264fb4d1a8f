//! The devices on disk: `devices.json` in `data_dir`, replaced as a whole.
//!
//! The relay does without the file: one that cannot be read is set aside, and one that
//! cannot be written is written later.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::record::Device;
use crate::clock::Timestamp;
use crate::disk;

/// Its name.
const NAME: &str = "devices.json";
/// The name of one that could not be read.
const ASIDE: &str = "devices.json.damaged";
/// What this version writes.
const FORMAT: u32 = 1;
/// How often it is written at least: its time says until when the relay ran.
pub(super) const WRITTEN_EVERY: Duration = Duration::from_secs(60 * 60);
/// No file that the relay writes is larger.
const LARGEST: u64 = 32 * 1024 * 1024;

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    /// When it was written.
    at: Timestamp,
    devices: Vec<&'a Device>,
}

#[derive(Deserialize)]
struct Read {
    format: u32,
    /// Lists of 0.2.0 do not say it.
    at: Option<Timestamp>,
    devices: Vec<Device>,
}

/// Why there are no devices from the last run.
#[derive(Debug)]
pub(super) struct SetAside {
    pub(super) reason: String,
    /// Where the file is now.
    pub(super) path: PathBuf,
}

/// The devices of the last run, at this time.
pub(super) fn read(folder: &Path, now: Timestamp) -> Result<Vec<Device>, SetAside> {
    let path = folder.join(NAME);
    let aside = |reason: &dyn Display| {
        let aside = folder.join(ASIDE);
        let moved = disk::move_if_there(&path, &aside);
        SetAside {
            reason: reason.to_string(),
            path: if moved.is_ok() { aside } else { path.clone() },
        }
    };
    let size = match std::fs::metadata(&path) {
        Ok(file) => file.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(aside(&error)),
    };
    if size > LARGEST {
        return Err(aside(&format!("it has {size} bytes")));
    }
    let bytes = std::fs::read(&path).map_err(|error| aside(&error))?;
    match serde_json::from_slice::<Read>(&bytes) {
        Ok(read) if read.format == FORMAT => Ok(read.devices_at(now)),
        Ok(read) => Err(aside(&format!("it has format {}", read.format))),
        Err(error) => Err(aside(&error)),
    }
}

impl Read {
    /// The devices, which could send nothing while the relay did not run.
    fn devices_at(self, now: Timestamp) -> Vec<Device> {
        let off = self.at.map_or(Duration::ZERO, |at| now.since(at));
        let mut devices = self.devices;
        if off > WRITTEN_EVERY {
            for device in &mut devices {
                device.relay_was_off(off);
            }
        }
        devices
    }
}

/// Replaces the file.
pub(super) fn write(folder: &Path, devices: &[Arc<Device>], at: Timestamp) -> io::Result<()> {
    let written = Written {
        format: FORMAT,
        at,
        devices: devices.iter().map(AsRef::as_ref).collect(),
    };
    let bytes = serde_json::to_vec(&written)?;
    disk::replace(&folder.join(NAME), &bytes)
}
