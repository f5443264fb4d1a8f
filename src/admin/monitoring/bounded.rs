//! A TCP socket whose visitors can use up little: there are few connections at once, and
//! each ends after a few seconds or kilobytes, whatever its client does.

use std::io;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::Sleep;

/// Connections at once; others wait in the kernel. A few Prometheus servers and health
/// checks need one each.
const MOST: usize = 16;
/// The longest time of a connection. Prometheus gives up after 10 seconds by itself.
const LONGEST: Duration = Duration::from_secs(10);
/// The most bytes that are read from a connection. A request of Prometheus has 300.
const LARGEST: usize = 16 * 1024;

/// Accepts connections.
pub(super) struct Bounded {
    socket: TcpListener,
    places: Arc<Semaphore>,
}

impl Bounded {
    pub(super) fn new(socket: TcpListener) -> Self {
        let places = Arc::new(Semaphore::new(MOST));
        Self { socket, places }
    }
}

impl axum::serve::Listener for Bounded {
    type Io = Visit;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visit, SocketAddr) {
        // Fails only for a closed semaphore, and nobody closes this one.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, client) = axum::serve::Listener::accept(&mut self.socket).await;
        let visit = Visit {
            stream,
            left: LARGEST,
            end: Box::pin(tokio::time::sleep(LONGEST)),
            _place: place,
        };
        (visit, client)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A connection.
pub(super) struct Visit {
    stream: TcpStream,
    /// Bytes that may still be read.
    left: usize,
    end: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Visit {
    /// The stream, until its time is over.
    fn in_time(&mut self, context: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        match self.end.as_mut().poll(context) {
            Poll::Ready(()) => Err(ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(Pin::new(&mut self.stream)),
        }
    }
}

impl AsyncRead for Visit {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(ErrorKind::InvalidData.into()));
        }
        let before = buffer.filled().len();
        let stream = self.in_time(context)?;
        ready!(stream.poll_read(context, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        self.left = self.left.saturating_sub(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Visit {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.in_time(context)?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(context)?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(context)?.poll_shutdown(context)
    }
}
