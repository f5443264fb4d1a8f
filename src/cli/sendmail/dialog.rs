//! `sendmail -bs`: SMTP on standard input and output. The caller speaks to the relay
//! itself; this passes the bytes on.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;

use super::failure::Failure;

/// As for any other message.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Until the relay closes the connection, as it does after QUIT.
pub(super) fn pass_on(places: &[SocketAddr]) -> Result<(), Failure> {
    let connect = |address| TcpStream::connect_timeout(address, CONNECT_PATIENCE);
    let connected = places.iter().find_map(|address| connect(address).ok());
    let Some(mut relay) = connected else {
        let tried: Vec<_> = places.iter().map(SocketAddr::to_string).collect();
        let tried = tried.join(", ");
        // Whoever speaks SMTP reads this, not standard error.
        let reply = "421 4.3.0 The relay does not answer, try again later\r\n";
        let _gone = io::stdout().lock().write_all(reply.as_bytes());
        return Err(Failure::for_now(&format!("no relay answers ({tried})")));
    };
    let to_relay = relay.try_clone();
    let mut to_relay = to_relay.map_err(|error| Failure::for_now(&error.to_string()))?;
    // It ends with this process: nothing else ends a read from a terminal.
    std::thread::spawn(move || {
        let end = copy(&mut io::stdin().lock(), &mut to_relay);
        drop(end.and_then(|()| to_relay.shutdown(Shutdown::Write)));
    });
    let end = copy(&mut relay, &mut io::stdout().lock());
    end.map_err(|error| Failure::for_now(&format!("the connection to the relay failed: {error}")))
}

/// Every piece at once: the other side waits for it.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut piece = [0; 16 * 1024];
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(piece.get(..read).unwrap_or_default())?;
        to.flush()?;
    }
}
