//! Links that let their holder log in to the admin page: `graph-relay page` asks for one
//! at the admin socket, which only root and the relay's own user can use.
//!
//! Promises: a link works once, and for [`LIFE`]; at most [`MOST`] are valid at a time; of
//! its secret only a digest is kept. What a log-in leads to is decided by the page.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::State;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::SecureRandom;
use ring::rand::SystemRandom;
use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;

use super::Failure;
use super::Peer;
use crate::config::PageUrl;
use crate::telemetry::operatorlog;

/// For how long a link is valid.
const LIFE: Duration = Duration::from_secs(10 * 60);
/// Links that are valid at a time; another one replaces the oldest.
const MOST: usize = 16;

/// What somebody may do on the page. Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PageRole {
    /// Look at everything except for the content of messages.
    Viewer,
    /// Retry, hold, release, drop and resend messages.
    Operator,
    /// Change the configuration.
    Administrator,
}

impl PageRole {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        }
    }
}

/// A link that somebody wants.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ToLink {
    /// What its holder may do.
    pub role: PageRole,
}

/// A link, as the command `page` prints it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PageLink {
    /// The address for the browser.
    pub url: String,
    /// For how many seconds it is valid.
    pub valid_seconds: u64,
}

/// The links of a relay; clones share them.
#[derive(Clone, Debug, Default)]
pub struct PageLinks(Arc<Mutex<Issued>>);

#[derive(Debug, Default)]
struct Issued {
    /// Where every link leads, if the page is served.
    base: Option<PageUrl>,
    /// The oldest first.
    valid: VecDeque<Link>,
}

#[derive(Debug)]
struct Link {
    secret: Secret,
    until: Instant,
    role: PageRole,
}

/// The SHA-256 digest of a secret: whoever reads the memory of the relay cannot log in
/// with it, and a comparison tells nothing about the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The digest of a secret that somebody shows.
    pub fn of(text: &str) -> Self {
        let mut bytes = [0; 32];
        let digest = digest::digest(&digest::SHA256, text.as_bytes());
        for (byte, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *byte = *from;
        }
        Self(bytes)
    }
}

/// Returns a new secret of 256 random bits, in letters that a URL can have.
///
/// # Errors
///
/// The system has no random numbers.
pub fn secret() -> Result<String, ring::error::Unspecified> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

impl PageLinks {
    /// From now on links lead to the page at this address.
    pub fn serve(&self, url: PageUrl) {
        self.lock().base = Some(url);
    }

    /// Makes a link that is valid from `now` on; `None` if no page is served.
    fn issue(
        &self,
        role: PageRole,
        now: Instant,
    ) -> Result<Option<PageLink>, ring::error::Unspecified> {
        let secret = secret()?;
        let mut issued = self.lock();
        let Some(base) = issued.base.clone() else {
            return Ok(None);
        };
        if issued.valid.len() >= MOST {
            issued.valid.pop_front();
        }
        issued.valid.push_back(Link {
            secret: Secret::of(&secret),
            until: now + LIFE,
            role,
        });
        Ok(Some(PageLink {
            url: base.to(&format!("/log-in?link={secret}")),
            valid_seconds: LIFE.as_secs(),
        }))
    }

    /// What the holder of a link with this secret may do, if it is valid; afterwards it
    /// is not.
    pub fn redeem(&self, secret: &str, now: Instant) -> Option<PageRole> {
        let digest = Secret::of(secret);
        let mut issued = self.lock();
        issued.valid.retain(|link| link.until > now);
        let found = issued.valid.iter().position(|link| link.secret == digest)?;
        issued.valid.remove(found).map(|link| link.role)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Issued> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn router(links: PageLinks) -> Router {
    Router::new()
        .route("/page-links", post(link))
        .with_state(links)
}

async fn link(
    State(links): State<PageLinks>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(wanted): Json<ToLink>,
) -> Result<Json<PageLink>, Failure> {
    match links.issue(wanted.role, Instant::now()) {
        Ok(Some(link)) => {
            operatorlog::page_link(peer.uid, wanted.role.name());
            Ok(Json(link))
        }
        Ok(None) => Err(Failure::Refused(
            "the admin page is off: set address = \"127.0.0.1:8025\" under [admin] in relay.toml, \
             then restart the relay: systemctl restart graph-relay"
                .to_owned(),
        )),
        Err(ring::error::Unspecified) => Err(Failure::Refused(
            "this machine has no random numbers".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AdminPage;

    fn links() -> PageLinks {
        let links = PageLinks::default();
        let address: std::net::SocketAddr = "127.0.0.1:8025".parse().unwrap();
        let page = AdminPage {
            address,
            hosts: Vec::new(),
            url: None,
            proxies: Vec::new(),
            password_hash: None,
            entra: None,
        };
        links.serve(page.url(address, "relay.example"));
        links
    }

    fn secret_of(link: &PageLink) -> String {
        let secret = link.url.strip_prefix("http://localhost:8025/log-in?link=");
        secret.unwrap().to_owned()
    }

    #[test]
    fn a_link_works_once_and_for_ten_minutes() {
        let (links, now) = (links(), Instant::now());
        let link = || secret_of(&links.issue(PageRole::Viewer, now).unwrap().unwrap());
        let (first, late) = (link(), link());

        assert_eq!(links.redeem("", now), None);
        let role = links.redeem(&first, now + LIFE - Duration::from_secs(1));
        assert_eq!(role, Some(PageRole::Viewer));
        assert_eq!(links.redeem(&first, now), None);
        assert_eq!(links.redeem(&late, now + LIFE), None);
    }

    #[test]
    fn each_role_may_do_what_the_ones_before_it_may() {
        assert!(PageRole::Viewer < PageRole::Operator);
        assert!(PageRole::Operator < PageRole::Administrator);
    }

    #[test]
    fn only_the_last_links_are_valid() {
        let (links, now) = (links(), Instant::now());
        let made: Vec<_> = (0..=MOST)
            .map(|_| secret_of(&links.issue(PageRole::Viewer, now).unwrap().unwrap()))
            .collect();

        assert_eq!(links.redeem(&made[0], now), None);
        assert!(
            made[1..]
                .iter()
                .all(|secret| links.redeem(secret, now).is_some())
        );
    }

    #[test]
    fn without_a_page_there_is_no_link() {
        let made = PageLinks::default().issue(PageRole::Viewer, Instant::now());
        assert!(made.unwrap().is_none());
    }
}
