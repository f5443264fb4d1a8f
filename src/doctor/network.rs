//! Checks the connection to Microsoft: proxy, DNS, TLS, who answers, and whether its clock
//! and ours agree.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use reqwest::Url;

use super::Finding;
use crate::auth::Means;
use crate::clock::Timestamp;
use crate::config::Account;
use crate::config::Config;
use crate::config::Credential;
use crate::http;
use crate::http::Answer;
use crate::http::TransportError;

/// Entra accepts an assertion whose times differ by this much (its error AADSTS700024 names
/// the times).
const WORST_SKEW: Duration = Duration::from_secs(5 * 60);
/// A clock that NTP keeps does not differ by this much.
const ODD_SKEW: Duration = Duration::from_secs(30);

pub(super) async fn examine(config: &Config, means: &Means) -> Vec<Finding> {
    let mut findings = Vec::new();
    let proxy = proxy(config);
    if let Some(proxy) = &proxy {
        let words = format!("requests go through the proxy {proxy}");
        findings.push(Finding::ok("proxy", words));
    }
    let mut seen = BTreeSet::new();
    let mut clocks = Vec::new();
    for account in &config.accounts {
        for (role, base, path) in hosts(account) {
            if seen.insert((base.clone(), path.clone())) {
                let place = Place {
                    role,
                    base: &base,
                    path: &path,
                };
                let (found, clock) = host(place, account, proxy.as_deref(), means).await;
                findings.extend(found);
                clocks.extend(clock);
            }
        }
    }
    // All clocks of Microsoft agree: one is enough.
    findings.extend(clocks.into_iter().next());
    findings
}

/// A host, and a request for it that needs no token.
struct Place<'a> {
    role: &'static str,
    base: &'a str,
    path: &'a str,
}

fn hosts(account: &Account) -> Vec<(&'static str, String, String)> {
    let graph = (
        "Graph",
        account.graph_url.clone(),
        "/v1.0/$metadata".to_owned(),
    );
    if matches!(account.credential, Credential::ManagedIdentity(_)) {
        return vec![graph];
    }
    let tenant = &account.tenant;
    let discovery = format!("/{tenant}/v2.0/.well-known/openid-configuration");
    vec![("Entra", account.login_url.clone(), discovery), graph]
}

/// Returns the proxy in use, without its password.
fn proxy(config: &Config) -> Option<String> {
    let here = |url: &str| url.starts_with("http://");
    let mut accounts = config.accounts.iter();
    if accounts.all(|account| here(&account.login_url) && here(&account.graph_url)) {
        return None;
    }
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let set = config.http.proxy.as_ref().map(|proxy| proxy.0.clone());
    let url = set.or_else(|| names.iter().find_map(|name| std::env::var(name).ok()))?;
    let shown = Url::parse(&url).ok().map(|url| {
        let port = url.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", url.host_str().unwrap_or_default())
    });
    Some(shown.unwrap_or_else(|| "set in the environment".to_owned()))
}

/// Reports what answers at a host, and its clock.
async fn host(
    place: Place<'_>,
    account: &Account,
    proxy: Option<&str>,
    means: &Means,
) -> (Option<Finding>, Option<Finding>) {
    let Place { role, base, path } = place;
    let Ok(url) = Url::parse(&format!("{base}{path}")) else {
        return (None, None);
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    // With a proxy, the proxy resolves names.
    if proxy.is_none()
        && let Err(error) = tokio::net::lookup_host((host.as_str(), port)).await
    {
        let said = error.to_string();
        let why = http::unresolved(&said).unwrap_or(&said);
        let words = format!("cannot resolve the name {host}: {why}");
        let remedy = format!(
            "fix the DNS of this machine so that it resolves {host}, or use a proxy that does \
             (http.proxy)"
        );
        return (Some(Finding::failure("dns", words, remedy)), None);
    }
    let begun = means.clock.now();
    let request = means.http.request(Method::GET, url);
    match means.http.send(request, 0).await {
        Err(error) => (Some(unreachable(&host, port, proxy, &error)), None),
        Ok(answer) => {
            let ended = means.clock.now();
            let took = ended.since(begun).as_millis();
            let found = answered((role, account), &host, &answer, took);
            (Some(found), clock(&host, &answer, begun, ended))
        }
    }
}

fn unreachable(host: &str, port: u16, proxy: Option<&str>, error: &TransportError) -> Finding {
    let words = error.to_string();
    let is_tls = ["certificate", "UnknownIssuer", "tls", "TLS"];
    let remedy = if is_tls.iter().any(|sign| words.contains(sign)) {
        format!(
            "a proxy or firewall between this machine and {host} presents its own certificate: put \
             its CA certificate into http.ca_file, or exclude {host} from TLS inspection"
        )
    } else if let Some(proxy) = proxy {
        format!(
            "check that the proxy {proxy} ([http] proxy in relay.toml, or else HTTPS_PROXY) is \
             correct, is running, and allows {host}"
        )
    } else {
        format!(
            "allow this machine in the firewall to connect to {host}, port {port}, or use a proxy \
             that can reach it (http.proxy)"
        )
    };
    Finding::failure("network", words, remedy)
}

/// Checks whether Microsoft answers.
fn answered(
    (role, account): (&'static str, &Account),
    host: &str,
    answer: &Answer,
    took: u128,
) -> Finding {
    let check = "network";
    let status = answer.status;
    let body = String::from_utf8_lossy(&answer.body);
    let is_microsofts = match role {
        "Entra" => body.contains("token_endpoint") || body.contains("AADSTS"),
        _ => answer.header("request-id").is_some(),
    };
    if status == 407 {
        return Finding::failure(
            check,
            format!("the proxy between this machine and {host} requires a password"),
            "put the user name and password into http.proxy",
        );
    }
    if body.contains("AADSTS90002") || body.contains("AADSTS900023") {
        let code = if body.contains("AADSTS900023") {
            "AADSTS900023"
        } else {
            "AADSTS90002"
        };
        let words = format!("{role} ({host}) does not know this tenant ({code})");
        let otherwise = "compare tenant with the overview page in Entra";
        return Finding::coded("tenant", &words, Some(code), otherwise, (account, ""));
    }
    if !is_microsofts {
        return Finding::failure(
            check,
            format!("{host} answers {status}, but the answer is not from {role}"),
            format!(
                "check the proxy or firewall between this machine and {host}: it must pass requests \
                 and answers unchanged"
            ),
        );
    }
    Finding::ok(check, format!("{role} answers at {host} after {took} ms"))
}

/// Compares the clocks by RFC 9110 6.6.1: the Date of an answer.
fn clock(host: &str, answer: &Answer, begun: Timestamp, ended: Timestamp) -> Option<Finding> {
    let check = "clock";
    let theirs = Timestamp::from_http_date(answer.header("date")?)?;
    // It has whole seconds, and was written between the two times.
    let early = begun.since(theirs + Duration::from_secs(1));
    let late = theirs.since(ended);
    let (skew, direction) = if early > late {
        (early, "ahead of")
    } else {
        (late, "behind")
    };
    let words = format!(
        "this machine's clock is {} s {direction} the clock of {host}",
        skew.as_secs()
    );
    let remedy = "synchronise the clock with NTP (timedatectl set-ntp true)";
    Some(if skew > WORST_SKEW {
        Finding::failure(check, words, remedy)
    } else if skew > ODD_SKEW {
        Finding::warning(check, words, remedy)
    } else {
        Finding::ok(
            check,
            format!("this machine's clock agrees with the clock of {host}"),
        )
    })
}
