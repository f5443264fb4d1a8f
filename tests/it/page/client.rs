//! A client of HTTP/1.1 that sends what it is told, byte for byte, and one that keeps
//! cookies as a browser does.

use std::collections::BTreeMap;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;

use super::address;
use super::link_for;
use crate::common::Home;
use crate::common::PATIENCE;
use crate::common::Relay;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in small letters.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap();
        let status = status.split(' ').nth(1).unwrap_or_default();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Self {
            status: status.parse().unwrap_or(0),
            headers: headers.collect(),
            body: body.to_owned(),
        }
    }

    /// The value of a field, which is there once.
    pub(super) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(key, _)| key == name);
        let value = values.next().map_or("", |(_, value)| value);
        assert!(values.next().is_none(), "{name}");
        value
    }

    /// The value of a hidden field of a form.
    pub(super) fn field(&self, name: &str) -> String {
        let before = format!("name=\"{name}\" value=\"");
        let (_, rest) = self
            .body
            .split_once(&before)
            .unwrap_or_else(|| panic!("{name}: {}", self.body));
        rest.split('"').next().unwrap().to_owned()
    }
}

/// Sends these bytes, and reads until the relay closes the connection.
pub(super) fn raw(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // It may be reset after the answer, where the relay has not read everything.
    drop(stream.read_to_end(&mut answer));
    Answer::of(&answer)
}

/// A browser, as far as these tests need one.
pub(super) struct Browser {
    pub(super) address: SocketAddr,
    pub(super) host: String,
    pub(super) cookies: BTreeMap<String, String>,
    pub(super) language: &'static str,
}

impl Browser {
    pub(super) fn at(relay: &Relay) -> Self {
        let address = address(relay);
        Self {
            address,
            host: address.to_string(),
            cookies: BTreeMap::new(),
            language: "en",
        }
    }

    /// At an address that a program printed.
    pub(super) fn to(url: &str) -> Self {
        let url = reqwest::Url::parse(url).unwrap();
        let port = url.port().unwrap();
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            host: format!("{}:{port}", url.host_str().unwrap()),
            cookies: BTreeMap::new(),
            language: "en",
        }
    }

    /// Logs in with a link.
    pub(super) fn logged_in(relay: &Relay, home: &Home) -> Self {
        Self::logged_in_as(relay, home, "administrator")
    }

    /// The same in a role.
    pub(super) fn logged_in_as(relay: &Relay, home: &Home, role: &str) -> Self {
        let mut browser = Self::at(relay);
        let answer = browser.get(&link_for(home, role));
        let link = answer.field("link");
        let answer = browser.post("/log-in", &[("link", &link)]);
        assert_eq!((answer.status, answer.header("location")), (303, "/"));
        browser
    }

    /// The name of the cookie of its session.
    pub(super) fn session_cookie(&self) -> String {
        format!("graph-relay-{}", self.address.port())
    }

    pub(super) fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    /// Sends a form as a page of the relay would.
    pub(super) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let origin = format!("http://{}", self.host);
        let form = [
            ("Origin", origin.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        self.send("POST", path, &form, &encoded(fields))
    }

    /// Sends a form with the token of the session.
    pub(super) fn change(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.get("/").field("csrf");
        let fields: Vec<_> = fields.iter().copied().chain([("csrf", &*token)]).collect();
        self.post(path, &fields)
    }

    /// Sends a form with the token of the session, and goes where its answer leads.
    pub(super) fn order(&mut self, path: &str, fields: &[(&str, &str)]) -> (String, Answer) {
        let answer = self.change(path, fields);
        assert_eq!(answer.status, 303, "{path}: {}", answer.body);
        let place = answer.header("location").to_owned();
        let shown = self.get(&place);
        (place, shown)
    }

    pub(super) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept-Language: {}\r\n",
            self.host, self.language
        );
        if !self.cookies.is_empty() {
            let cookies = self.cookies.iter();
            let cookies: Vec<_> = cookies.map(|(k, v)| format!("{k}={v}")).collect();
            request += &format!("Cookie: {}\r\n", cookies.join("; "));
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if method == "POST" {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        let answer = raw(self.address, &format!("{request}\r\n{body}"));
        for (_, cookie) in answer
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie")
        {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }
}

/// The body of a form.
pub(super) fn encoded(fields: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://form").unwrap();
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}
