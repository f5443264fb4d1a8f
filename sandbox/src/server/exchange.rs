//! One request and its answer: the IDs in both.

use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::header;

/// What is known of a request before it is checked.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// The number of its record.
    pub(crate) number: u64,
    pub(crate) request_id: String,
    pub(crate) client_request_id: Option<String>,
}

impl Exchange {
    /// The client's own ID, or ours if it gave none.
    pub(crate) fn client_request_id(&self) -> &str {
        self.client_request_id.as_ref().unwrap_or(&self.request_id)
    }

    /// The ID that the client gave.
    pub(crate) fn given_id(&self) -> Option<&str> {
        self.client_request_id.as_deref()
    }

    /// Adds the headers of every answer of Graph.
    pub(crate) fn sign(&self, headers: &mut HeaderMap) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
        let ids = [
            (REQUEST_ID, self.request_id.as_str()),
            (CLIENT_REQUEST_ID, self.client_request_id()),
        ];
        for (name, id) in ids {
            if let Ok(id) = HeaderValue::from_str(id) {
                headers.insert(name, id);
            }
        }
        headers.insert(DIAGNOSTIC, SERVER);
    }
}

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
pub(crate) const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const DIAGNOSTIC: HeaderName = HeaderName::from_static("x-ms-ags-diagnostic");
const SERVER: HeaderValue = HeaderValue::from_static(
    "{\"ServerInfo\":{\"DataCenter\":\"Sandbox\",\"Slice\":\"E\",\"Ring\":\"5\",\
     \"ScaleUnit\":\"000\",\"RoleInstance\":\"SANDBOX\"}}",
);
