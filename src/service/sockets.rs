//! The sockets of the listeners: those that the relay opens itself, and those that systemd
//! has opened and passes to it.
//!
//! systemd keeps its sockets open while the relay is stopped, and clients wait in them
//! until it is back: a restart refuses no connection, and the relay needs no privilege for
//! port 25. All sockets with one name belong to one `[[listener]]`.

use std::io;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::sync::Arc;

use ipnet::IpNet;

use crate::config::Config;
use crate::config::ListenAddress;
use crate::config::Listener;
use crate::config::PRIVILEGED_PORTS;
use crate::config::Place;
use crate::config::Presence;
use crate::listener;
use crate::platform::errors;
use crate::platform::systemd;
use crate::platform::systemd::Named;

/// Why a listener cannot accept connections.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The relay cannot open its socket.
    #[error("cannot listen on {address}: {error}{}", remedy(.error, .address))]
    Open {
        /// The address.
        address: SocketAddr,
        /// The position of the address in the configuration.
        place: Option<Place>,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// systemd did not pass its socket.
    #[error(
        "systemd passed no socket named {name:?} to the relay (it passed: {passed}). Start the \
         socket unit before the relay: systemctl stop graph-relay; systemctl enable --now \
         graph-relay-{name}.socket; systemctl start graph-relay"
    )]
    NotPassed {
        /// The name.
        name: String,
        /// The position of the address in the configuration.
        place: Option<Place>,
        /// The names that it did pass.
        passed: String,
    },
    /// systemd passed something that cannot be used.
    #[error(
        "cannot use the socket that systemd passed as {name:?}: {error}. Its unit needs \
         ListenStream with an IP address and a port, and Accept=no"
    )]
    Unusable {
        /// The name.
        name: String,
        /// The position of the address in the configuration.
        place: Option<Place>,
        /// Why.
        #[source]
        error: io::Error,
    },
}

impl ListenError {
    /// Returns the position of the address in the configuration.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Open { place, .. }
            | Self::NotPassed { place, .. }
            | Self::Unusable { place, .. } => place.as_ref(),
        }
    }
}

/// The sockets that systemd passed to this process, with their names. They stay open as
/// long as this exists.
#[derive(Debug, Default)]
pub struct Passed(Vec<Named>);

impl Passed {
    /// Takes the sockets over, and removes the variables that describe them from the
    /// environment: to be called once, before any thread is started.
    ///
    /// # Errors
    ///
    /// The variables contradict each other.
    pub fn take() -> io::Result<Self> {
        systemd::passed().map(Self)
    }

    /// Returns all sockets with the name of this listener, as copies: a start that fails can
    /// be tried again.
    fn named(&self, name: &str, listener: &Listener) -> Result<Vec<TcpListener>, ListenError> {
        let named = self.0.iter().filter(|(passed, _)| passed == name);
        let sockets = named.map(|(_, socket)| match socket {
            Ok(socket) => socket.try_clone(),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        });
        let sockets: io::Result<Vec<_>> = sockets.collect();
        let place = listener.place.clone();
        let sockets = sockets.map_err(|error| ListenError::Unusable {
            name: name.to_owned(),
            place: place.clone(),
            error,
        })?;
        if sockets.is_empty() {
            let names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
            let passed = match names.is_empty() {
                true => "none".to_owned(),
                false => names.join(", "),
            };
            let name = name.to_owned();
            return Err(ListenError::NotPassed {
                name,
                place,
                passed,
            });
        }
        Ok(sockets)
    }

    /// Returns what is probably wrong with what systemd passed.
    pub fn warnings(&self, config: &Config) -> Vec<String> {
        let listener_of = |name: &str| {
            let mut listeners = config.listeners.iter();
            listeners
                .find(|it| matches!(&it.address, ListenAddress::Systemd(named) if named == name))
        };
        let warnings = self.0.iter().filter_map(|(name, socket)| {
            let Some(listener) = listener_of(name) else {
                return Some(format!(
                    "systemd passed a socket named {name:?}, but no [[listener]] has address = \
                     \"systemd:{name}\": clients that connect to it get no answer. Add the \
                     [[listener]], or stop the socket: systemctl disable --now \
                     graph-relay-{name}.socket"
                ));
            };
            let address = socket.as_ref().ok()?.local_addr().ok()?;
            let is_reached = !address.ip().to_canonical().is_loopback();
            (is_reached && listener.networks.iter().all(is_here)).then(|| {
                format!(
                    "[[listener]] systemd:{name}: other machines can reach its socket {address}, \
                     but only this machine may send: name those that may send in networks"
                )
            })
        });
        warnings.collect()
    }
}

fn is_here(network: &IpNet) -> bool {
    network.network().is_loopback() && network.broadcast().is_loopback()
}

/// The sockets of all listeners, and for each socket its listener.
type Open = (Vec<tokio::net::TcpListener>, Vec<Arc<Listener>>);

/// Opens the sockets of all listeners, or takes them from `passed`.
pub(super) fn open(config: &Config, passed: &Passed) -> Result<Open, ListenError> {
    let (mut sockets, mut listeners) = (Vec::new(), Vec::new());
    // Without an account nothing could be delivered, so nothing is accepted.
    let used = config
        .listeners
        .iter()
        .filter(|_| !config.accounts.is_empty());
    for settings in used {
        let opened = match &settings.address {
            ListenAddress::Socket(address) => opened(*address, settings)?,
            ListenAddress::Systemd(name) => taken(name, settings, passed)?,
        };
        let listener = Arc::new(settings.clone());
        listeners.extend(opened.iter().map(|_| Arc::clone(&listener)));
        sockets.extend(opened);
    }
    Ok((sockets, listeners))
}

/// Returns no socket where a default listener is left out.
fn opened(
    address: SocketAddr,
    listener: &Listener,
) -> Result<Vec<tokio::net::TcpListener>, ListenError> {
    match listener::bind(address) {
        Ok(socket) => Ok(vec![socket]),
        Err(error) if is_left_out(listener.presence, &error) => Ok(Vec::new()),
        Err(error) => Err(ListenError::Open {
            address,
            place: listener.place.clone(),
            error,
        }),
    }
}

fn taken(
    name: &str,
    listener: &Listener,
    passed: &Passed,
) -> Result<Vec<tokio::net::TcpListener>, ListenError> {
    let sockets = passed.named(name, listener)?.into_iter();
    let sockets = sockets.map(|socket| {
        socket.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(socket)
    });
    let sockets: io::Result<Vec<_>> = sockets.collect();
    sockets.map_err(|error| ListenError::Unusable {
        name: name.to_owned(),
        place: listener.place.clone(),
        error,
    })
}

/// `[::1]` of the default listeners, on a machine without IPv6.
fn is_left_out(presence: Presence, error: &io::Error) -> bool {
    let no_such_family = matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || errors::is_no_such_family(error);
    presence == Presence::WhereAvailable && no_such_family
}

fn remedy(error: &io::Error, address: &SocketAddr) -> String {
    let port = address.port();
    if error.kind() == io::ErrorKind::AddrInUse {
        return format!(
            ": another program uses this port (ss -ltnp 'sport = :{port}' shows it): stop it, or \
                 choose another port"
        );
    }
    if error.kind() == io::ErrorKind::PermissionDenied {
        return format!(
            ": ports below 1024 need a privilege: choose a port such as 2525; or, for port {port}, \
             run systemctl edit graph-relay, add these four lines, and restart it:\n  {}",
            PRIVILEGED_PORTS.join("\n  ")
        );
    }
    if error.kind() == io::ErrorKind::AddrNotAvailable {
        return format!(
            ": this machine does not have the address {} now: correct it in relay.toml, or wait: \
                 systemd restarts the relay until the address exists (ip address shows the \
                 addresses of this machine)",
            address.ip()
        );
    }
    String::new()
}
