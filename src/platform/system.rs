//! The machine: its name, its clock since boot, and which boot it is.

use std::time::Duration;

use rustix::time::ClockId;

/// The name of the machine, as `uname -n` prints it.
pub fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Time since the machine has started, with the time while it was suspended.
pub fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
}

/// A text that is different for each time namespace, whose clock since boot may have an offset;
/// none if the system has no such namespaces.
pub fn time_namespace() -> Option<String> {
    let namespace = std::fs::read_link("/proc/self/ns/time").ok()?;
    Some(namespace.to_string_lossy().into_owned())
}

/// A text that is different for each boot; none if the system does not say. Where the unit of the
/// service hides the kernel's file (`ProcSubset=pid`), it sets this variable instead.
pub fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .ok()
        .or_else(|| std::env::var("GRAPH_RELAY_BOOT_ID").ok())?;
    Some(text.trim().to_owned())
}
