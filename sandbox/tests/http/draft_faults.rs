//! What goes wrong on purpose in the draft route.

use std::sync::Mutex;

use graph_relay_sandbox::Cut;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;
use reqwest::Method;
use reqwest::RequestBuilder;
use reqwest::header;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::tenant::MAILBOX;
use crate::tenant::Tenant;
use crate::tenant::code;
use crate::tenant::message;
use crate::tenant::refused;

/// The stations of the draft route.
const STATIONS: [Station; 10] = [
    Station::Draft,
    Station::Look,
    Station::Patch,
    Station::Attach,
    Station::Session,
    Station::Upload,
    Station::Progress,
    Station::Cancel,
    Station::Submit,
    Station::Delete,
];

#[tokio::test]
async fn every_station_fails_with_what_the_fault_says_and_works_again() {
    let scene = Scene::new().await;
    for at in STATIONS {
        scene.sandbox().inject(Fault {
            code: Some("ErrorServerBusy".to_owned()),
            retry_after: Some("7".to_owned()),
            ..Fault::at(at, 503)
        });
        scene.sandbox().inject(Fault {
            body: Some("<html>".to_owned()),
            content_type: Some("text/html".to_owned()),
            ..Fault::at(at, 502)
        });
        let before = scene.seen();

        let busy = scene.ask(at).send().await.unwrap();
        let html = scene.ask(at).send().await.unwrap();

        assert_eq!(busy.headers()[header::RETRY_AFTER], "7", "{at:?}");
        assert_eq!(code(busy).await, refused(503, "ErrorServerBusy"), "{at:?}");
        assert_eq!(html.status(), 502);
        assert_eq!(html.headers()[header::CONTENT_TYPE], "text/html");
        assert_eq!(scene.seen(), before, "{at:?}");
        let usual = scene.ask(at).send().await.unwrap();
        assert!(usual.status().is_success(), "{at:?}");
        scene.again().await;
    }
}

#[tokio::test]
async fn every_station_may_do_its_work_and_say_that_it_failed() {
    let scene = Scene::new().await;
    for at in STATIONS {
        scene.sandbox().inject(Fault {
            stored: Some(true),
            ..Fault::at(at, 504)
        });
        let before = scene.seen();

        let answer = scene.ask(at).send().await.unwrap();

        assert_eq!(code(answer).await, refused(504, "UnknownError"), "{at:?}");
        let looks_only = matches!(at, Station::Look | Station::Progress);
        assert_eq!(scene.seen() == before, looks_only, "{at:?}");
        scene.again().await;
    }
}

#[tokio::test]
async fn every_station_may_be_cut_before_it_answers_or_while_it_does() {
    let scene = Scene::new().await;
    for at in STATIONS {
        for (cut, stored) in [
            (Cut::Request, None),
            (Cut::Before, None),
            (Cut::Before, Some(true)),
            (Cut::During, Some(true)),
        ] {
            scene.sandbox().inject(Fault {
                cut: Some(cut),
                stored,
                ..Fault::usual(at)
            });
            let before = scene.seen();

            let answer = match scene.ask(at).send().await {
                Ok(answer) => answer.bytes().await.map(drop),
                Err(error) => Err(error),
            };

            assert!(answer.is_err(), "{at:?} {cut:?}");
            let unchanged = stored.is_none() || matches!(at, Station::Look | Station::Progress);
            assert_eq!(scene.seen() == before, unchanged, "{at:?} {cut:?}");
            scene.again().await;
        }
    }
}

#[tokio::test]
async fn answer_that_says_success_in_another_way_has_the_usual_body() {
    let scene = Scene::new().await;
    scene.sandbox().inject(Fault {
        retry_after: Some("2".to_owned()),
        ..Fault::at(Station::Draft, 200)
    });

    let answer = scene.ask(Station::Draft).send().await.unwrap();

    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()[header::RETRY_AFTER], "2");
    let draft: Value = answer.json().await.unwrap();
    assert_eq!(draft["isDraft"], true);
}

#[tokio::test]
async fn connection_is_cut_after_the_given_octets_of_the_request() {
    let tenant = Tenant::new().await;
    tenant.sandbox.inject(Fault {
        cut: Some(Cut::Request),
        cut_after: 1000,
        ..Fault::usual(Station::Draft)
    });
    let mut line = TcpStream::connect(tenant.sandbox.address()).await.unwrap();
    let head = format!(
        "POST /v1.0/users/{MAILBOX}/messages HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {}\r\nContent-Type: text/plain\r\n\
         Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n",
        tenant.token
    );
    let mut go_on = [0; 25];

    line.write_all(head.as_bytes()).await.unwrap();
    // Said when the body is first read: a cut before it would leave this out.
    line.read_exact(&mut go_on).await.unwrap();
    line.write_all(&[b'x'; 1000]).await.unwrap();
    let mut answer = Vec::new();
    let end = line.read_to_end(&mut answer).await;

    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(end.is_err_and(|it| it.kind() == std::io::ErrorKind::ConnectionReset));
    assert!(answer.is_empty());
    assert!(tenant.sandbox.drafts().is_empty());
}

#[tokio::test]
async fn recipients_address_chooses_the_fault_of_the_send() {
    // Address, the statuses of two sends, what arrived.
    let cases = [
        ("throttle@a.example", [429, 429], 0),
        ("busy@a.example", [503, 202], 1),
        // Taken with the first, so there is no draft for the second.
        ("timeout@a.example", [504, 404], 1),
        ("quota@a.example", [429, 429], 0),
        ("invalid@a.example", [400, 400], 0),
    ];
    let tenant = Tenant::new().await;
    for (address, statuses, arrived) in cases {
        let id = tenant.draft_id(&message(address)).await;

        for status in statuses {
            assert_eq!(tenant.submit(&id).await.status(), status, "{address}");
        }

        assert_eq!(tenant.sandbox.arrivals().len(), arrived, "{address}");
        tenant.sandbox.clear();
    }
    let id = tenant.draft_id(&message("lost@a.example")).await;
    assert!(tenant.try_submit(&id).await.is_err());
    assert_eq!(tenant.sandbox.arrivals().len(), 1);
}

#[tokio::test]
async fn fault_that_cannot_be_played_is_refused_by_the_api() {
    let tenant = Tenant::new().await;
    let post = async |fault: Value| {
        let request = tenant.http.post(tenant.url("/sandbox/faults"));
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let answer = request.body(fault.to_string()).send().await.unwrap();
        answer.status().as_u16()
    };

    assert_eq!(post(json!({"at": "upload", "expires": true})).await, 204);
    assert_eq!(post(json!({"at": "look", "status": 503})).await, 204);
    let cut = json!({"at": "attach", "cut": "request", "cut_after": 10});
    assert_eq!(post(cut).await, 204);
    for fault in [
        json!({"at": "draft", "expires": true}),
        json!({"at": "upload", "expires": true, "status": 503}),
        json!({"at": "draft", "cut": "request", "stored": true}),
        json!({"at": "token", "cut": "request"}),
    ] {
        assert_eq!(post(fault.clone()).await, 400, "{fault}");
    }
}

/// A draft and an upload, about which each station can be asked.
struct Scene {
    tenant: Tenant,
    draft: Mutex<(String, String)>,
}

impl Scene {
    async fn new() -> Self {
        let tenant = Tenant::with(Settings {
            session_minimum: 10,
            ..Settings::default()
        })
        .await;
        let scene = Self {
            tenant,
            draft: Mutex::default(),
        };
        scene.again().await;
        scene
    }

    fn sandbox(&self) -> &Sandbox {
        &self.tenant.sandbox
    }

    /// Begins again: another draft, another upload.
    async fn again(&self) {
        self.sandbox().clear();
        self.sandbox().clear_faults();
        let id = self.tenant.draft_id(&message("a@example.org")).await;
        let url = self.tenant.session(&id, 10).await;
        *self.draft.lock().unwrap() = (id, url);
    }

    fn ask(&self, at: Station) -> RequestBuilder {
        let tenant = &self.tenant;
        let (id, url) = self.draft.lock().unwrap().clone();
        let json = |method: Method, path: &str, body: Value| {
            let request = tenant.graph(method, path);
            let request = request.header(header::CONTENT_TYPE, "application/json");
            request.body(body.to_string())
        };
        let path = format!("messages/{id}");
        let file = json!({"@odata.type": "#microsoft.graph.fileAttachment", "name": "a",
            "contentBytes": "YWJj"});
        let item = json!({"AttachmentItem": {"attachmentType": "file", "name": "b", "size": 10}});
        match at {
            Station::Draft => json(Method::POST, "messages", json!({"subject": "New"})),
            Station::Look => tenant.graph(Method::GET, &path),
            Station::Patch => json(Method::PATCH, &path, json!({"subject": "Changed"})),
            Station::Delete => tenant.graph(Method::DELETE, &path),
            Station::Attach => json(Method::POST, &format!("{path}/attachments"), file),
            Station::Session => {
                let path = format!("{path}/attachments/createUploadSession");
                json(Method::POST, &path, item)
            }
            Station::Upload => {
                let request = tenant.http.put(url).body("abcdefghij");
                request.header(header::CONTENT_RANGE, "bytes 0-9/10")
            }
            Station::Progress => tenant.http.get(url),
            Station::Cancel => tenant.http.delete(url),
            Station::Submit => {
                let request = tenant.graph(Method::POST, &format!("{path}/send"));
                request.header(header::CONTENT_LENGTH, "0")
            }
            Station::Token
            | Station::Authorize
            | Station::Device
            | Station::Identity
            | Station::Send => unreachable!("not of the draft route"),
        }
    }

    /// All that a request of a station may change.
    fn seen(&self) -> String {
        let drafts = self.sandbox().drafts().into_iter().map(|draft| {
            let files = draft.attachments.len();
            format!("{} {files} {}", draft.subject, draft.open_uploads)
        });
        let drafts = drafts.collect::<Vec<_>>();
        format!("{drafts:?} {}", self.sandbox().arrivals().len())
    }
}
