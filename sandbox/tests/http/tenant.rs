//! A stand-in and a client of it, with the few requests that every test makes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use reqwest::Method;
use reqwest::RequestBuilder;
use reqwest::Response;
use reqwest::header;
use serde_json::Value;
use serde_json::json;

pub(crate) const MAILBOX: &str = "relay@sandbox.example";
pub(crate) const SCOPE: &str = "https://graph.microsoft.com/.default";

/// A stand-in and a client with a token for it.
pub(crate) struct Tenant {
    pub(crate) sandbox: Sandbox,
    pub(crate) http: reqwest::Client,
    pub(crate) token: String,
}

impl Tenant {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        // Another test of this process may have installed it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let resource = settings.resource.clone();
        let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), settings)
            .await
            .unwrap();
        let scope = format!("{resource}/.default");
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let mut tenant = Self {
            sandbox,
            http,
            token: String::new(),
        };
        tenant.renew_for(&scope).await;
        tenant
    }

    pub(crate) async fn renew(&mut self) {
        self.renew_for(SCOPE).await;
    }

    async fn renew_for(&mut self, scope: &str) {
        let answer = self.ask(&good_but("scope", Some(scope))).await;
        assert_eq!(answer.status(), 200);
        let body: Value = answer.json().await.unwrap();
        self.token = body["access_token"].as_str().unwrap().to_owned();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.url())
    }

    pub(crate) async fn ask(&self, parameters: &[(&str, &str)]) -> Response {
        let path = format!("/{}/oauth2/v2.0/token", Settings::default().tenant);
        self.ask_at(&path, parameters).await
    }

    pub(crate) async fn ask_at(&self, path: &str, parameters: &[(&str, &str)]) -> Response {
        self.http
            .post(self.url(path))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form(parameters))
            .send()
            .await
            .unwrap()
    }

    pub(crate) fn request(&self, user: &str, media_type: &str) -> RequestBuilder {
        self.http
            .post(self.url(&format!("/v1.0/users/{user}/sendMail")))
            .bearer_auth(&self.token)
            .header(header::CONTENT_TYPE, media_type)
    }

    pub(crate) async fn send(&self, mime: &str) -> Response {
        self.try_send(mime).await.unwrap()
    }

    pub(crate) async fn try_send(&self, mime: &str) -> reqwest::Result<Response> {
        self.request(MAILBOX, "text/plain")
            .body(STANDARD.encode(mime))
            .send()
            .await
    }

    pub(crate) async fn send_json(&self, body: Value) -> Response {
        self.request(MAILBOX, "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap()
    }

    /// A call of the mailbox's messages, or of whatever else is below it.
    pub(crate) fn graph(&self, method: Method, path: &str) -> RequestBuilder {
        let url = self.url(&format!("/v1.0/users/{MAILBOX}/{path}"));
        self.http.request(method, url).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.graph(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Response {
        self.with_json(Method::POST, path, body).await
    }

    pub(crate) async fn with_json(&self, method: Method, path: &str, body: Value) -> Response {
        let request = self.graph(method, path);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        request.body(body.to_string()).send().await.unwrap()
    }

    /// A draft of this MIME, with an immutable id.
    pub(crate) async fn draft(&self, mime: &str) -> Value {
        let answer = self.try_draft(mime).await.unwrap();
        assert_eq!(answer.status(), 201);
        answer.json().await.unwrap()
    }

    pub(crate) async fn draft_id(&self, mime: &str) -> String {
        self.draft(mime).await["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn try_draft(&self, mime: &str) -> reqwest::Result<Response> {
        self.graph(Method::POST, "messages")
            .header(header::CONTENT_TYPE, "text/plain")
            .header("Prefer", "IdType=\"ImmutableId\"")
            .body(STANDARD.encode(mime))
            .send()
            .await
    }

    pub(crate) async fn submit(&self, id: &str) -> Response {
        self.try_submit(id).await.unwrap()
    }

    pub(crate) async fn try_submit(&self, id: &str) -> reqwest::Result<Response> {
        let request = self.graph(Method::POST, &format!("messages/{id}/send"));
        request.header(header::CONTENT_LENGTH, "0").send().await
    }

    /// The URL of an upload of so many octets to a draft.
    pub(crate) async fn session(&self, id: &str, size: usize) -> String {
        let item = json!({"AttachmentItem": {"attachmentType": "file", "name": "big.bin",
            "size": size, "contentType": "application/pdf", "contentId": "big@app",
            "isInline": false}});
        let path = format!("messages/{id}/attachments/createUploadSession");
        let answer = self.post(&path, item).await;
        assert_eq!(answer.status(), 201);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["nextExpectedRanges"], json!(["0-"]));
        body["uploadUrl"].as_str().unwrap().to_owned()
    }

    /// Puts a part that begins at an offset of a file of that size.
    pub(crate) async fn put(&self, url: &str, first: usize, part: &[u8], size: usize) -> Response {
        let last = first + part.len() - 1;
        let range = format!("bytes {first}-{last}/{size}");
        let request = self.http.put(url).header(header::CONTENT_RANGE, range);
        request.body(part.to_vec()).send().await.unwrap()
    }

    /// The body of an answer of the token endpoint that is to be good.
    pub(crate) async fn granted(&self, parameters: &[(&str, &str)]) -> Value {
        let answer = self.ask(parameters).await;
        let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Status, `error` and number of an answer of the token endpoint.
    pub(crate) async fn complaint(&self, parameters: &[(&str, &str)]) -> (u16, String, u64) {
        complaint(self.ask(parameters).await).await
    }

    pub(crate) async fn page(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }
}

pub(crate) fn good() -> [(&'static str, &'static str); 4] {
    [
        ("grant_type", "client_credentials"),
        ("client_id", "5a4db0c5-0000-4000-8000-000000000002"),
        ("client_secret", "sandbox~Canary.not_a-secret+0000000000"),
        ("scope", SCOPE),
    ]
}

pub(crate) fn good_but<'a>(name: &str, value: Option<&'a str>) -> Vec<(&'static str, &'a str)> {
    good()
        .into_iter()
        .filter_map(|(given, old)| {
            if given == name {
                value.map(|value| (given, value))
            } else {
                Some((given, old))
            }
        })
        .collect()
}

pub(crate) fn form(parameters: &[(&str, &str)]) -> String {
    let encode = |text: &str| {
        text.bytes()
            .map(|octet| format!("%{octet:02X}"))
            .collect::<String>()
    };
    parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect::<Vec<_>>()
        .join("&")
}

pub(crate) fn message(to: &str) -> String {
    format!(
        "From: Relay <{MAILBOX}>\r\nTo: {to}\r\nSubject: Hi\r\nMessage-ID: <1@app>\r\n\r\nHi\r\n"
    )
}

/// A message in JSON with this and a recipient.
pub(crate) fn with(property: &str, value: Value) -> Value {
    let mut message = json!({"subject": "Hi", "toRecipients": [recipient("a@example.org")]});
    message[property] = value;
    json!({"message": message})
}

pub(crate) fn recipient(address: &str) -> Value {
    json!({"emailAddress": {"address": address}})
}

pub(crate) async fn code(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
    let request_id = answer.headers()["request-id"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["innerError"]["request-id"], request_id);
    (status, body["error"]["code"].as_str().unwrap().to_owned())
}

pub(crate) fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Status, `error` and number of a refusal of Entra; 0 where it has no number.
pub(crate) async fn complaint(answer: Response) -> (u16, String, u64) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let error = body["error"].as_str().unwrap_or_default().to_owned();
    (status, error, body["error_codes"][0].as_u64().unwrap_or(0))
}

pub(crate) fn complains(status: u16, error: &str, number: u64) -> (u16, String, u64) {
    (status, error.to_owned(), number)
}

/// The claims of what looks like a JWT.
pub(crate) fn claims(token: &Value) -> Value {
    let claims = token.as_str().unwrap().split('.').nth(1).unwrap();
    let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims);
    serde_json::from_slice(&decoded.unwrap()).unwrap()
}
