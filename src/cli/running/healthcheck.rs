//! `healthcheck`: whether clients can send mail to the running relay now. Exit code 0 if
//! so, 1 if not, 69 if the relay does not answer.
//!
//! A container has no curl: its health check runs this. It asks at the address of
//! `[admin] metrics`, or over the admin socket if there is none. Of relay.toml it reads
//! only where that is, and it asks neither Entra nor Graph.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::Url;

use super::Failure;
use super::Relay;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::say;
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// Ask this relay, for example http://127.0.0.1:9092, instead of the one of the configuration
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    #[command(flatten)]
    file: ConfigFile,
}

/// Longer than the relay takes to test its spool, and less than the 30 seconds that
/// Docker gives a health check.
const PATIENCE: Duration = Duration::from_secs(8);

pub(in crate::cli) async fn run(options: &Options) -> Exit {
    match ask(options).await {
        Ok((StatusCode::OK, text)) => {
            say(text.trim_end());
            Exit::Done
        }
        Ok((StatusCode::SERVICE_UNAVAILABLE, text)) => {
            say(text.trim_end());
            Exit::CheckFailed
        }
        Ok((status, _)) => Failure {
            exit: Exit::Unreachable,
            words: format!(
                "the answer is {status}: this is not a relay, or an older one. Compare the address \
                 with [admin] metrics in relay.toml"
            ),
        }
        .tell(),
        Err(failure) => failure.tell(),
    }
}

async fn ask(options: &Options) -> Result<(StatusCode, String), Failure> {
    if let Some(url) = &options.url {
        return ask_at(url.clone()).await;
    }
    let metrics = Config::metrics_of(&options.file.config);
    match metrics.map_err(|error| Failure::of_configuration(&error))? {
        // A free port was asked for: only the log says which it is.
        Some(address) if address.port() != 0 => {
            let url = format!("http://{}", reachable(address));
            ask_at(url.parse().map_err(|error| unusable(&url, &error))?).await
        }
        Some(_) | None => Relay::of(&options.file)?.get(READY).await,
    }
}

const READY: &str = "/readyz";

async fn ask_at(mut url: Url) -> Result<(StatusCode, String), Failure> {
    if url.path() == "/" {
        url.set_path(READY);
    }
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
    let failed = |error: reqwest::Error| unusable(&url, &error.without_url());
    let response = client.build().map_err(failed)?.get(url.clone()).send();
    let response = response.await.map_err(failed)?;
    let status = response.status();
    Ok((status, response.text().await.map_err(failed)?))
}

fn unusable(url: &dyn std::fmt::Display, error: &dyn std::error::Error) -> Failure {
    let cause = std::iter::successors(Some(error), |error| error.source()).last();
    Failure {
        exit: Exit::Unreachable,
        words: format!(
            "no answer from {url}: {}. Run graph-relay status, or systemctl status graph-relay",
            cause.unwrap_or(error)
        ),
    }
}

/// Where a socket that listens on all addresses is reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_that_serves_on_all_addresses_is_asked_over_loopback() {
        for (given, asked) in [
            ("0.0.0.0:9092", "127.0.0.1:9092"),
            ("[::]:9092", "[::1]:9092"),
            ("192.0.2.1:9092", "192.0.2.1:9092"),
        ] {
            let address = reachable(given.parse().unwrap());
            assert_eq!(address.to_string(), asked);
        }
    }
}
