//! Connections from an address of the test's choice: all of 127.0.0.0/8 is
//! this machine.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::TcpStream;

use tokio::net::TcpSocket;
use tokio::runtime::Handle;

use super::PATIENCE;

/// Connects from that address; reading waits for [`PATIENCE`] at most. Not to
/// be called within a task.
pub fn connect_from(runtime: &Handle, from: IpAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        socket.connect(to).await
    })?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
