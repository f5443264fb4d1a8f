//! Errors of the system that [`std::io::ErrorKind`] does not tell apart.

use std::io;

use rustix::io::Errno;

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

/// This process or the machine has too many open files.
pub fn is_too_many_files(error: &io::Error) -> bool {
    is(error, Errno::MFILE) || is(error, Errno::NFILE)
}

/// The machine does not have this family of addresses, such as IPv6.
pub fn is_no_such_family(error: &io::Error) -> bool {
    is(error, Errno::AFNOSUPPORT)
}

/// The disk of a file is gone, perhaps for a while: a network file system or a device that
/// does not answer.
pub fn is_disk_absent(error: &io::Error) -> bool {
    [
        Errno::NOTCONN,
        Errno::NODEV,
        Errno::IO,
        Errno::STALE,
        Errno::HOSTDOWN,
    ]
    .into_iter()
    .any(|errno| is(error, errno))
}

/// A datagram is larger than the socket takes.
pub(super) fn is_too_large(error: &io::Error) -> bool {
    is(error, Errno::MSGSIZE) || is(error, Errno::NOBUFS)
}
