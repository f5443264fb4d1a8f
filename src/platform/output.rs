//! Standard error, past the lock and the buffer of the standard library.

use std::io;
use std::os::fd::AsFd;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

/// Writes to standard error. Blocks as long as nobody reads, also if another process with
/// the same terminal or pipe made it non-blocking. Returns how many bytes were written.
///
/// # Errors
///
/// Nobody will ever read it.
pub fn write_to_stderr(bytes: &[u8]) -> io::Result<usize> {
    let stderr: BorrowedFd<'_> = rustix::stdio::stderr();
    loop {
        match rustix::io::write(stderr, bytes) {
            Ok(written) => return Ok(written),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut one = [PollFd::from_borrowed_fd(stderr, PollFlags::OUT)];
                rustix::event::poll(&mut one, None)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Device and inode of standard error, as `$JOURNAL_STREAM` has them (systemd.exec(5)).
pub fn identity_of_stderr() -> Option<String> {
    let file = rustix::fs::fstat(rustix::stdio::stderr().as_fd()).ok()?;
    Some(format!("{}:{}", file.st_dev, file.st_ino))
}
