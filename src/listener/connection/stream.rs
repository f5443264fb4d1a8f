//! A client's connection, with TLS or without.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use rustls::AlertDescription;
use rustls::ProtocolVersion;
use rustls::ServerConfig;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::listener::proxy::unexpected::is_preamble;
use crate::session::PROXY_REMEDY;

/// The transport of the connection.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// The handshake failed, or has not happened.
    Gone(Handshake),
}

/// How far a failed handshake came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    /// The client sent nothing.
    Silent,
    /// It had begun.
    Begun,
}

impl Stream {
    /// Begins TLS; on failure the connection is lost.
    pub(super) async fn start_tls(&mut self, config: Arc<ServerConfig>) -> io::Result<()> {
        let Self::Plain(tcp) = std::mem::replace(self, Self::Gone(Handshake::Silent)) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let mut first = [0; 16];
        let length = tcp.peek(&mut first).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *self = Self::Gone(Handshake::Begun);
        if is_preamble(first.get(..length).unwrap_or_default()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, ProxyPreamble));
        }
        let accepted = TlsAcceptor::from(config).accept(tcp).await?;
        *self = Self::Tls(Box::new(accepted));
        Ok(())
    }

    /// The first byte of the client, which stays unread; none if it has closed the connection.
    pub(super) async fn first_byte(&self) -> io::Result<Option<u8>> {
        let Self::Plain(tcp) = self else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let mut first = [0];
        let length = tcp.peek(&mut first).await?;
        Ok(first.first().copied().filter(|_| length > 0))
    }

    /// Whether it failed without a byte from the client.
    pub(super) fn was_silent(&self) -> bool {
        matches!(self, Self::Gone(Handshake::Silent))
    }

    /// `TLS 1.3`, if it has TLS.
    pub(super) fn tls_version(&self) -> Option<&'static str> {
        let Self::Tls(tls) = self else { return None };
        match tls.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => Some("TLS 1.3"),
            _ => Some("TLS 1.2"),
        }
    }
}

/// The input did not begin with TLS.
#[derive(Debug, thiserror::Error)]
#[error("the connection began with a PROXY protocol preamble")]
struct ProxyPreamble;

/// The fix for a failed handshake.
pub(super) fn remedy(error: &io::Error) -> &'static str {
    let cause = error.get_ref();
    if cause.is_some_and(|cause| cause.is::<ProxyPreamble>()) {
        return PROXY_REMEDY;
    }
    match cause.and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::PeerIncompatible(_)) => {
            "the client supports neither TLS 1.2 nor 1.3, or no current cipher: update its \
             software, or add a [[listener]] with tls = \"off\" and put its address into networks"
        }
        Some(rustls::Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::UnsupportedCertificate,
        )) => {
            "the client does not trust the certificate: check its issuer, its dates, and that it \
             has the name that the client connects to"
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            "the client did not start with TLS: set it to SSL/TLS, or point it at the port of a \
             [[listener]] with tls = \"starttls\""
        }
        _ if error.kind() == io::ErrorKind::TimedOut => {
            "the client stopped during the handshake: check whether a firewall or proxy is \
             between it and this machine"
        }
        _ => {
            "the client disconnected during the handshake; often it does not trust the \
            certificate"
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
            Self::Gone(_) => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
            Self::Gone(_) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls).poll_flush(context),
            Self::Gone(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(context),
            Self::Gone(_) => Poll::Ready(Ok(())),
        }
    }
}
