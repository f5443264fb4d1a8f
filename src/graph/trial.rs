//! Calls that test whether the relay can send, and a message for people to see.

use bytes::Bytes;
use reqwest::Method;
use serde_json::json;

use super::Call;
use super::Caller;
use super::Graph;
use super::GraphError;
use super::Payload;
use super::Submitted;
use super::expect;
use super::submitted;
use crate::mail::Address;
use crate::metrics::Operation;

impl Graph {
    /// Tests whether Graph lets this mailbox send, without sending: a message without
    /// recipients, which Graph refuses (400 `ErrorInvalidRecipients` has been seen) only after
    /// it has checked token, mailbox and permission. No other call that Mail.Send allows shows
    /// as much.
    ///
    /// # Errors
    ///
    /// The error that a message would get.
    pub async fn try_mailbox(&self, caller: Caller<'_>) -> Result<(), GraphError> {
        let message = json!({
            "message": {
                "subject": "graph-relay doctor: a message for nobody",
                "body": {"contentType": "text", "content": ""},
                "toRecipients": [],
            },
            "saveToSentItems": false,
        });
        let answer = self.call(caller, &send(&message)).await?;
        match expect(202, &answer) {
            Err(GraphError::Answered {
                status: 400, code, ..
            }) if !code.is_empty() => Ok(()),
            judged => judged,
        }
    }

    /// Sends a message that says who sent it, and which way it took.
    ///
    /// # Errors
    ///
    /// Anything other than `202`.
    pub async fn send_test(
        &self,
        caller: Caller<'_>,
        from: &Address,
        to: &Address,
    ) -> Result<Submitted, GraphError> {
        let address = |address: &Address| json!({"emailAddress": {"address": address.as_str()}});
        let text = format!(
            "This message was sent by graph-relay to see whether it can.\r\n\r\n\
             It went through Microsoft Graph, from the mailbox {}.\r\n",
            caller.mailbox
        );
        let mut message = json!({
            "subject": "A test message from graph-relay",
            "body": {"contentType": "text", "content": text},
            "toRecipients": [address(to)],
            "importance": "normal",
        });
        if from.key() != caller.mailbox.key()
            && let Some(members) = message.as_object_mut()
        {
            members.insert("from".to_owned(), address(from));
        }
        let answer = self
            .call(caller, &send(&json!({ "message": message })))
            .await?;
        submitted(&answer)
    }
}

fn send(parameters: &serde_json::Value) -> Call<'static> {
    Call {
        operation: Operation::SendMail,
        method: Method::POST,
        path: "sendMail".to_owned(),
        payload: Payload::Json(Bytes::from(parameters.to_string())),
        immutable_ids: false,
        is_repeated: false,
    }
}
