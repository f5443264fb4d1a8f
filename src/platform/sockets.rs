//! Sockets that are files: for processes of this machine, whose user the system knows.

use std::io;
use std::path::Path;

use tokio::net::UnixListener;
use tokio::net::UnixStream;

use super::files;

/// A socket that takes connections.
pub type LocalListener = UnixListener;
/// A connection.
pub type LocalStream = UnixStream;

/// Makes a socket at a path where nothing is, for this user and root only.
///
/// # Errors
///
/// Those of binding it.
pub fn bind(path: &Path) -> io::Result<LocalListener> {
    let socket = UnixListener::bind(path)?;
    std::fs::set_permissions(path, files::permissions(files::PRIVATE))?;
    Ok(socket)
}

/// Whether somebody takes connections there.
///
/// # Errors
///
/// Says why not.
pub fn probe(path: &Path) -> io::Result<()> {
    std::os::unix::net::UnixStream::connect(path).map(drop)
}

/// A client whose requests all go to the socket at this path, whatever host they name.
pub fn http_client(path: &Path) -> reqwest::ClientBuilder {
    reqwest::Client::builder().unix_socket(path)
}

/// The user at the other end.
///
/// # Errors
///
/// The system does not say.
pub fn uid_of_peer(stream: &LocalStream) -> io::Result<u32> {
    Ok(stream.peer_cred()?.uid())
}
