//! The socket of the admin page, opened at the start: an address that is taken or missing
//! is an error then.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Carried;
use super::error::StartError;
use super::sockets::ListenError;
use crate::admin::AdminState;
use crate::config::Config;
use crate::config::PageUrl;
use crate::listener;
use crate::page;
use crate::page::Settings;

/// A page that is not served yet.
pub(super) struct Opened {
    socket: TcpListener,
    settings: Settings,
}

/// Opens the socket, if the page is on.
pub(super) fn open(config: &Config, carried: &Carried) -> Result<Option<Opened>, StartError> {
    let page = config.admin.page.clone();
    let opened = carried.page.open(page.as_ref().map(|page| page.address));
    let Some(page) = page else {
        return Ok(None);
    };
    let failed = |error| {
        StartError::Page(ListenError::Open {
            address: page.address,
            place: None,
            error,
        })
    };
    let Some(socket) = opened.map_err(failed)? else {
        return Ok(None);
    };
    let bound = socket.local_addr().map_err(failed)?;
    let tls = config.tls.clone().filter(|_| page.has_tls());
    let settings = Settings {
        url: page.url(bound, &config.hostname),
        page,
        hostname: config.hostname.clone(),
        inbox: config.admin.inbox.as_deref().map(Arc::from),
        sessions: carried.sessions.clone(),
        outcomes: carried.outcomes.clone(),
        tls: tls.map(listener::tls_server).transpose()?,
    };
    Ok(Some(Opened { socket, settings }))
}

impl Opened {
    /// The beginning of its addresses, as browsers write them.
    pub(super) fn url(&self) -> PageUrl {
        self.settings.url.clone()
    }

    /// Serves the page until `stop`.
    pub(super) fn serve(
        self,
        admin_state: AdminState,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send {
        let Self { socket, settings } = self;
        if let Ok(address) = socket.local_addr() {
            admin_state.page_links.serve(settings.url.clone());
            let url = settings.url.as_str();
            info!(event = "page", %address, url, "serving the admin page");
        }
        page::run(socket, settings, admin_state, stop)
    }
}
