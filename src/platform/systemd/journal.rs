//! The socket of systemd's journal: one datagram for each entry (systemd page "Native Journal
//! Protocol"). An entry that is too large for a datagram is passed as a sealed file in
//! memory.

use std::fs::File;
use std::io;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use rustix::fs::MemfdFlags;
use rustix::fs::SealFlags;
use rustix::net::SendAncillaryBuffer;
use rustix::net::SendAncillaryMessage;
use rustix::net::SendFlags;
use rustix::net::SocketAddrUnix;

use crate::platform::errors;

/// A journal that receives entries.
#[derive(Debug)]
pub struct JournalSocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl JournalSocket {
    /// Finds the journal that receives at this path.
    ///
    /// # Errors
    ///
    /// Nothing does; says at which path.
    pub fn find(path: PathBuf) -> io::Result<Self> {
        let found = UnixDatagram::unbound().and_then(|socket| {
            UnixDatagram::unbound()?.connect(&path)?;
            Ok(socket)
        });
        match found {
            Ok(socket) => Ok(Self { socket, path }),
            Err(error) => {
                let words = format!("{}: {error}", path.display());
                Err(io::Error::new(error.kind(), words))
            }
        }
    }

    /// Sends an entry; waits until the journal receives it.
    ///
    /// # Errors
    ///
    /// `NotFound` and `ConnectionRefused` while it restarts.
    pub fn send(&self, entry: &[u8]) -> io::Result<()> {
        match self.socket.send_to(entry, &self.path) {
            Ok(_) => Ok(()),
            Err(error) if errors::is_too_large(&error) => self.send_as_file(entry),
            Err(error) => Err(error),
        }
    }

    fn send_as_file(&self, entry: &[u8]) -> io::Result<()> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(rustix::fs::memfd_create("graph-relay", flags)?);
        file.write_all(entry)?;
        // journald maps it, and accepts only what nobody can change any more.
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&file, seals)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let files = [file.as_fd()];
        if !control.push(SendAncillaryMessage::ScmRights(&files)) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let address = SocketAddrUnix::new(&self.path)?;
        let nothing = [IoSlice::new(&[])];
        let flags = SendFlags::NOSIGNAL;
        rustix::net::sendmsg_addr(&self.socket, &address, &nothing, &mut control, flags)?;
        Ok(())
    }
}
