//! `[admin]`: the admin page, and what the relay serves about itself over TCP.

mod entra;

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::str::FromStr;

use ipnet::IpNet;
use reqwest::Url;
use serde::Deserialize;

pub use self::entra::EntraLogIn;
pub use self::entra::Person;
use super::Account;
use super::ListenAddress;
use super::Listener;
use super::accounts::check_base_url;
use super::listeners::is_everybody;
use super::listeners::networks_of;
use super::reader::Marked;
use super::reader::Section;
use crate::credentials::PasswordHash;

/// Where the admin page is served, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminPage {
    /// Its address.
    pub address: SocketAddr,
    /// Names, in small letters, by which browsers may reach it, besides those of this
    /// machine.
    pub hosts: Vec<String>,
    /// The beginning of its addresses, as browsers write them, if it is stated.
    pub url: Option<PageUrl>,
    /// Proxies in front of it, which say who the client is.
    pub proxies: Vec<IpNet>,
    /// The password of an administrator, if there is one.
    pub password_hash: Option<PasswordHash>,
    /// Who may log in with Entra, if anybody.
    pub entra: Option<EntraLogIn>,
}

impl AdminPage {
    /// Whether it is served with TLS: everywhere except on loopback.
    pub fn has_tls(&self) -> bool {
        !self.address.ip().to_canonical().is_loopback()
    }

    /// Returns the beginning of its addresses: `url`, or what follows from the address that
    /// it was bound to and from the name of the relay.
    pub fn url(&self, bound: SocketAddr, hostname: &str) -> PageUrl {
        let (address, port) = (bound.ip().to_canonical(), bound.port());
        let default = || match self.hosts.first() {
            Some(host) if self.has_tls() => format!("https://{host}:{port}"),
            None if self.has_tls() => format!("https://{hostname}:{port}"),
            // Entra allows http in redirect addresses for this name only.
            _ if address == IpAddr::V4(Ipv4Addr::LOCALHOST)
                || address == IpAddr::V6(Ipv6Addr::LOCALHOST) =>
            {
                format!("http://localhost:{port}")
            }
            _ => format!("http://{bound}"),
        };
        self.url.clone().unwrap_or_else(|| {
            let text = default();
            // Without the port that the scheme implies, as a browser does.
            text.parse().unwrap_or(PageUrl(text))
        })
    }
}

/// Scheme, host and port of the page, such as `https://relay.contoso.com`, without a slash
/// at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageUrl(String);

impl FromStr for PageUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        check_base_url(text)?;
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        Ok(Self(url.origin().ascii_serialization()))
    }
}

impl PageUrl {
    /// Returns the address of a path such as `/log-in`.
    pub fn to(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Returns it as text: what a browser sends as `Origin`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns host and port: what a browser sends as `Host`.
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, rest)| rest)
    }

    /// Returns the host without port and brackets.
    pub fn host(&self) -> &str {
        let authority = self.authority();
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether only browsers on this machine get there.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        let address = host.parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// Whether browsers reach it by TLS, of the relay or of a proxy.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

/// `[admin]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admin {
    /// Where metrics and health checks are served, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// The admin page, if it is served.
    pub page: Option<AdminPage>,
    /// In the sandbox, the address of the page with the mail that arrived. No key of
    /// relay.toml sets it.
    pub inbox: Option<String>,
}

/// Reads the section. `has_certificate`: whether the file has `[tls]`. `accounts`: those of
/// the file, if they were read. `listeners`: what else the relay listens on.
pub(super) fn read(
    top: &mut Section<'_>,
    has_certificate: bool,
    accounts: Option<&[Account]>,
    listeners: &[Listener],
) -> Admin {
    let mut section = top.table("admin");
    let metrics = section.marked::<AddressOrOff>("metrics");
    let address = section.marked::<AddressOrOff>("address");
    refuse_taken(&section, listeners, metrics.as_ref(), address.as_ref());
    let hosts = section.marked::<Vec<String>>("hosts");
    let url = section.marked::<String>("url");
    let proxies = networks_of(&mut section, "proxies");
    let password_hash = section.optional::<PasswordHash>("password_hash");
    let entra = entra::read(&mut section, accounts);
    let page = address.and_then(|marked| {
        let Marked { value, span } = marked;
        let page = AdminPage {
            address: value.0?,
            hosts: hosts_of(&section, hosts.as_ref()),
            url: url.as_ref().and_then(|url| url_of(&section, url)),
            proxies: proxies_of(&section, proxies.as_ref()),
            password_hash,
            entra,
        };
        if let (Some(url), Some(marked)) = (&page.url, &url)
            && page.has_tls()
            && !url.is_https()
        {
            let message = "url: other machines reach this address by TLS only: write https://";
            section.problem_at(&marked.span, message);
        }
        if page.has_tls() && !has_certificate {
            section.problem_at(
                &span,
                format!(
                    "address: other machines can reach {}, so the admin page needs TLS: add [tls] \
                     with a certificate, or use an address of this machine only, like \
                     \"127.0.0.1:8025\"",
                    page.address
                ),
            );
        }
        Some(page)
    });
    section.finish();
    Admin {
        metrics: metrics.and_then(|marked| marked.value.0),
        page,
        inbox: None,
    }
}

/// Checks that the relay can listen on both addresses, and on those for mail.
fn refuse_taken(
    section: &Section<'_>,
    listeners: &[Listener],
    metrics: Option<&Marked<AddressOrOff>>,
    page: Option<&Marked<AddressOrOff>>,
) {
    let for_mail = listeners.iter().map(|it| (it.address.clone(), "mail"));
    let mut taken: Vec<(ListenAddress, &str)> = for_mail.collect();
    for (key, what, marked) in [
        ("metrics", "metrics", metrics),
        ("address", "the admin page", page),
    ] {
        let Some(marked) = marked else { continue };
        let Some(address) = marked.value.0.map(ListenAddress::Socket) else {
            continue;
        };
        if let Some((other, purpose)) = taken.iter().find(|(it, _)| address.excludes(it)) {
            let message = format!(
                "{key}: {address} is taken: the relay listens on {other} for {purpose}. Choose \
                 another port"
            );
            section.problem_at(&marked.span, message);
        }
        taken.push((address, what));
    }
}

fn hosts_of(section: &Section<'_>, hosts: Option<&Marked<Vec<String>>>) -> Vec<String> {
    let Some(Marked { value, span }) = hosts else {
        return Vec::new();
    };
    let usable = |host: &&String| {
        !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    for host in value.iter().filter(|host| !usable(host)) {
        section.problem_at(
            span,
            format!(
                "hosts: {host:?} is not a host name: write names without a port, like \
                 \"relay.contoso.com\""
            ),
        );
    }
    value.iter().map(|host| host.to_ascii_lowercase()).collect()
}

fn url_of(section: &Section<'_>, url: &Marked<String>) -> Option<PageUrl> {
    match url.value.parse() {
        Ok(url) => Some(url),
        Err(wrong) => {
            section.problem_at(&url.span, format!("url: {wrong}"));
            None
        }
    }
}

fn proxies_of(section: &Section<'_>, proxies: Option<&Marked<Vec<IpNet>>>) -> Vec<IpNet> {
    let Some(Marked { value, span }) = proxies else {
        return Vec::new();
    };
    if is_everybody(value) {
        let message = "proxies: everybody could pass for any client: name only the proxies, like \
                       proxies = [\"127.0.0.1\"]";
        section.problem_at(span, message);
    }
    value.clone()
}

/// An address with its port, or `"off"`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct AddressOrOff(Option<SocketAddr>);

impl TryFrom<String> for AddressOrOff {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text == "off" {
            return Ok(Self(None));
        }
        let address = text.parse().map(|address| Self(Some(address)));
        address.map_err(|_| "write an address with a port, like \"127.0.0.1:9092\", or \"off\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_url_the_page_has_the_one_that_its_address_suggests() {
        for (bound, hosts, expected) in [
            ("127.0.0.1:8025", &[][..], "http://localhost:8025"),
            (
                "127.0.0.1:8025",
                &["relay.contoso.com"],
                "http://localhost:8025",
            ),
            ("[::1]:8025", &[], "http://localhost:8025"),
            ("127.0.0.2:8025", &[], "http://127.0.0.2:8025"),
            ("192.0.2.1:8025", &[], "https://mx.contoso.com:8025"),
            (
                "[::]:443",
                &["relay.contoso.com"],
                "https://relay.contoso.com",
            ),
        ] {
            let address = bound.parse().unwrap();
            let page = AdminPage {
                address,
                hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
                url: None,
                proxies: Vec::new(),
                password_hash: None,
                entra: None,
            };

            assert_eq!(page.url(address, "mx.contoso.com").as_str(), expected);
        }
    }

    #[test]
    fn a_url_is_kept_as_browsers_write_it() {
        for (text, origin, host) in [
            (
                "https://Relay.Contoso.com:443/",
                "https://relay.contoso.com",
                "relay.contoso.com",
            ),
            (
                "http://localhost:8025",
                "http://localhost:8025",
                "localhost",
            ),
            (
                "https://[2001:DB8::1]:8443",
                "https://[2001:db8::1]:8443",
                "2001:db8::1",
            ),
            (
                "https://[2001:db8::1]",
                "https://[2001:db8::1]",
                "2001:db8::1",
            ),
        ] {
            let url = PageUrl::from_str(text).unwrap();

            assert_eq!((url.as_str(), url.host()), (origin, host));
        }
        for refused in [
            "relay.contoso.com",
            "http://relay.contoso.com",
            "https://a/b",
            "ftp://a",
        ] {
            assert!(PageUrl::from_str(refused).is_err(), "{refused}");
        }
    }
}
