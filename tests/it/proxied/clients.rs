//! HAProxy, and clients that send a PROXY protocol header themselves; and `tls = "auto"`
//! with clients that use either kind of TLS. All of them were written by others.

use std::fs;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::process::Child;
use std::process::Command;
use std::process::Output;

use super::BEHIND;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::message;
use crate::common::stand_in;
use crate::common::tls::Identity;

/// A load balancer; killed when it is dropped.
struct Balancer {
    child: Child,
    address: SocketAddr,
}

impl Drop for Balancer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Balancer {
    /// Connects to the relay from 127.0.0.5, and looks every tenth of a second whether it
    /// answers.
    fn start(home: &Home, relay: &Relay, send: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let file = home.path("haproxy.cfg");
        let text = format!(
            "defaults\n    mode tcp\n    timeout connect 10s\n    timeout client 1m\n    \
             timeout server 1m\n    timeout check 10s\n\
             frontend smtp\n    bind {address}\n    default_backend relay\n\
             backend relay\n    option smtpchk EHLO balancer.example\n    \
             server relay {} source 127.0.0.5 {send} check inter 100ms fall 1\n",
            relay.address
        );
        fs::write(&file, text).unwrap();
        let child = Command::new("haproxy")
            .arg("-f")
            .arg(&file)
            .spawn()
            .unwrap();
        Self { child, address }
    }
}

/// Sends a message from this address.
fn curl(from: &str, to: SocketAddr, options: &[&str]) -> Output {
    let text = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        text.path(),
        message("through a load balancer", "a@example.org"),
    )
    .unwrap();
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            "--interface",
            from,
        ])
        .args(["--mail-from", MAILBOX, "--mail-rcpt", "a@example.org"])
        .arg("--upload-file")
        .arg(text.path())
        .arg("--url")
        .arg(match options.contains(&"implicit") {
            true => format!("smtps://{to}"),
            false => format!("smtp://{to}"),
        })
        .args(options.iter().filter(|option| **option != "implicit"))
        .output();
    output.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs HAProxy and curl: tests/clients/install, done by .ci/run"]
async fn haproxy_names_the_client_and_its_health_checks_are_quiet() {
    for send in [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options crc32c,unique-id",
    ] {
        let graph = stand_in().await;
        let keys = "proxy_protocol_from = [\"127.0.0.5\"]\nnetworks = [\"127.0.0.9\"]";
        let home = Home::with(&graph).listener(keys).build();
        let relay = Relay::start(&home);
        let balancer = Balancer::start(&home, &relay, send);
        relay.wait_until(|| TcpStream::connect(balancer.address).is_ok());
        let is_check = |line: &serde_json::Value| line["client"] == "127.0.0.5";
        let checks = || {
            relay
                .events("connected")
                .into_iter()
                .filter(is_check)
                .count()
        };
        relay.wait_until(|| checks() > 20);

        // A server that fails a check gets no connections.
        let output = curl("127.0.0.9", balancer.address, &[]);

        assert!(output.status.success(), "{send}: {output:?}");
        let arrivals = arrived(&graph, 1).await;
        let raw = String::from_utf8_lossy(&arrivals[0].raw).into_owned();
        assert!(
            raw.starts_with("Received: ") && raw.contains("[127.0.0.9]"),
            "{send}: {raw}"
        );
        relay.event("accepted", |line| line["client"] == "127.0.0.9");
        let lines = relay.all();
        let loud = lines
            .iter()
            .filter(|line| line["level"] == "WARN" || line["level"] == "ERROR");
        // The test's own look whether HAProxy listens may be refused: it is not in networks.
        let loud: Vec<_> = loud.filter(|line| line["client"] != "127.0.0.1").collect();
        assert!(loud.is_empty(), "{send}: {loud:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs HAProxy and curl: tests/clients/install, done by .ci/run"]
async fn haproxy_passes_both_kinds_of_tls_on() {
    let graph = stand_in().await;
    let identity = Identity::new();
    let keys = "proxy_protocol_from = [\"127.0.0.5\"]\nnetworks = [\"127.0.0.9\"]\n\
                tls = \"auto\"";
    let home = Home::with(&graph).listener(keys).tls(&identity).build();
    let relay = Relay::start(&home);
    let balancer = Balancer::start(&home, &relay, "send-proxy-v2");
    relay.wait_until(|| TcpStream::connect(balancer.address).is_ok());
    for (at, options) in [
        &["--insecure", "implicit"][..],
        &["--insecure", "--ssl-reqd"],
        &[],
    ]
    .iter()
    .enumerate()
    {
        let output = curl("127.0.0.9", balancer.address, options);

        assert!(output.status.success(), "{options:?}: {output:?}");
        let arrivals = arrived(&graph, at + 1).await;
        let raw = String::from_utf8_lossy(&arrivals[at].raw).into_owned();
        let protocol = if options.is_empty() {
            "with ESMTP "
        } else {
            "with ESMTPS "
        };
        assert!(
            raw.contains("[127.0.0.9]") && raw.contains(protocol),
            "{options:?}: {raw}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs swaks and curl: tests/clients/install, done by .ci/run"]
async fn swaks_and_curl_send_headers_that_are_read() {
    let graph = stand_in().await;
    let keys = BEHIND.replace("\"192.0.2.0/24\"", "\"192.0.2.0/24\", \"127.0.0.1\"");
    let relay = Home::with(&graph).listener(&keys).start();
    let port = relay.address.port().to_string();
    for (version, family, source, dest) in [
        ("1", "TCP4", "192.0.2.7", "192.0.2.1"),
        ("1", "TCP6", "2001:db8::7", "2001:db8::1"),
        ("2", "AF_INET", "192.0.2.8", "192.0.2.1"),
        ("2", "AF_INET6", "2001:db8::8", "2001:db8::1"),
    ] {
        let output = Command::new("swaks")
            .args(["--server", "127.0.0.1", "--port", &port])
            .args([
                "--from",
                MAILBOX,
                "--to",
                "a@example.org",
                "--ehlo",
                "client.example",
            ])
            .args(["--proxy-version", version, "--proxy-family", family])
            .args(["--proxy-source", source, "--proxy-source-port", "40000"])
            .args(["--proxy-dest", dest, "--proxy-dest-port", "25"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{version} {family}: {output:?}");
        relay.event("accepted", |line| line["client"] == source);
    }

    // curl's header has the addresses of the connection itself.
    let output = curl("127.0.0.1", relay.address, &["--haproxy-protocol"]);
    assert!(output.status.success(), "{output:?}");
    relay.event("accepted", |line| line["client"] == "127.0.0.1");
    let output = curl("127.0.0.1", relay.address, &[]);
    assert!(!output.status.success(), "{output:?}");
}
