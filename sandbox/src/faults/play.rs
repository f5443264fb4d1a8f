//! How a fault is played: the answer delayed, replaced or cut. What an answer looks like, Entra or
//! Graph says.

use axum::body::Bytes;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;

use crate::faults::fault::Cut;
use crate::faults::fault::Fault;
use crate::server::connection::Connection;
use crate::server::connection::half;

impl Fault {
    /// Answers the request, or cuts its connection. `usual` is the answer without the fault;
    /// `answer` makes of it the one with the fault's status.
    pub(crate) async fn play(
        &self,
        usual: Response<Bytes>,
        connection: &Connection,
        answer: impl FnOnce(StatusCode, Response<Bytes>) -> Response<Bytes>,
    ) -> Response<Bytes> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let status = self
            .status
            .and_then(|status| StatusCode::from_u16(status).ok());
        let mut response = match status {
            Some(status) => self.in_place(answer(status, usual)),
            None => usual,
        };
        set(&mut response, header::RETRY_AFTER, &self.retry_after);
        match self.cut {
            None => response,
            Some(Cut::Request | Cut::Before) => connection.cut(None).await,
            Some(Cut::During) => connection.cut(Some(half(&response))).await,
        }
    }

    /// The answer with the fault's own body, if it has one.
    fn in_place(&self, mut response: Response<Bytes>) -> Response<Bytes> {
        if let Some(body) = &self.body {
            *response.body_mut() = Bytes::from(body.clone());
            set(&mut response, header::CONTENT_TYPE, &self.content_type);
        }
        response
    }
}

fn set(response: &mut Response<Bytes>, name: HeaderName, value: &Option<String>) {
    if let Some(value) = value
        && let Ok(value) = HeaderValue::from_str(value)
    {
        response.headers_mut().insert(name, value);
    }
}
