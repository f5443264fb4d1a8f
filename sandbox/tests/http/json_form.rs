//! sendMail: the JSON form and its rules.

use graph_relay_sandbox::Form;
use serde_json::Value;
use serde_json::json;

use crate::tenant::MAILBOX;
use crate::tenant::Tenant;
use crate::tenant::code;
use crate::tenant::recipient;
use crate::tenant::refused;
use crate::tenant::with;

#[tokio::test]
async fn json_message_arrives_with_its_recipients() {
    let tenant = Tenant::new().await;

    let answer = tenant
        .send_json(json!({"Message": {
            "subject": "Report",
            "body": {"contentType": "Text", "content": "Hello"},
            "from": recipient(MAILBOX),
            "toRecipients": [recipient("a@example.org")],
            "bccRecipients": [recipient("b@example.org")],
            "importance": "normal",
            "internetMessageId": "<123@app>",
            "internetMessageHeaders": [{"name": "X-Relay-Id", "value": "01H"}],
            "singleValueExtendedProperties": [{"id": "String 0x1042", "value": "<p@app>"}],
            "attachments": [{"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt",
                "contentType": "text/plain", "contentBytes": "SGk=", "isInline": false}]},
            "savetosentitems": "false"}))
        .await;

    assert_eq!(answer.status(), 202);
    let arrival = &tenant.sandbox.arrivals()[0];
    assert_eq!(arrival.form, Form::Json);
    assert_eq!(arrival.to, ["a@example.org"]);
    assert_eq!(arrival.bcc, ["b@example.org"]);
    assert_eq!(arrival.subject, "Report");
    assert_eq!(arrival.message_id.as_deref(), Some("<123@app>"));
}

#[tokio::test]
async fn json_request_that_is_no_sendmail_action_is_refused() {
    let cases = [
        (json!([]), "BadRequest"),
        (json!({"saveToSentItems": false}), "RequestBodyRead"),
        (
            json!({"subject": "Hi", "toRecipients": [recipient("a@b.c")]}),
            "RequestBodyRead",
        ),
        (
            json!({"message": {"subject": "Hi"}}),
            "ErrorInvalidRecipients",
        ),
        (
            json!({"message": {}, "saveToSentItems": "no"}),
            "RequestBodyRead",
        ),
    ];
    all_refused(cases).await;
}

#[tokio::test]
async fn json_message_that_breaks_a_rule_is_refused() {
    let file = "#microsoft.graph.fileAttachment";
    let unreadable = "RequestBodyRead";
    let cases = [
        ("toRecipients", Value::Null, unreadable),
        (
            "toRecipients",
            json!([recipient("nobody")]),
            "ErrorInvalidRecipients",
        ),
        ("unheardOf", json!(1), unreadable),
        ("importance", json!("urgent"), unreadable),
        ("body", json!({"contentType": "rtf"}), unreadable),
        (
            "attachments",
            json!([{"name": "a", "contentBytes": "SGk="}]),
            unreadable,
        ),
        (
            "attachments",
            json!([{"@odata.type": file, "name": "a", "contentBytes": "SG k"}]),
            unreadable,
        ),
    ];
    all_refused(cases.map(|(property, value, code)| (with(property, value), code))).await;
}

#[tokio::test]
async fn json_headers_are_one_to_five_and_begin_with_x() {
    let x = json!({"name": "X-A", "value": "1"});
    let collection = "InvalidInternetMessageHeaderCollection";
    let cases = [
        (json!([]), collection),
        (json!([x, x, x, x, x, x]), collection),
        (
            json!([x, {"name": "Received", "value": "1"}]),
            "InvalidInternetMessageHeader",
        ),
    ];
    all_refused(cases.map(|(value, code)| (with("internetMessageHeaders", value), code))).await;
}

#[tokio::test]
async fn json_author_is_judged_as_the_mime_one_is() {
    let tenant = Tenant::new().await;

    let answer = tenant
        .send_json(with("from", recipient("boss@sandbox.example")))
        .await;

    assert_eq!(code(answer).await, refused(403, "ErrorSendAsDenied"));
}

async fn all_refused<const N: usize>(cases: [(Value, &str); N]) {
    let tenant = Tenant::new().await;
    for (body, expected) in cases {
        let answer = tenant.send_json(body.clone()).await;

        assert_eq!(code(answer).await, refused(400, expected), "{body}");
    }
    assert!(tenant.sandbox.arrivals().is_empty());
}
