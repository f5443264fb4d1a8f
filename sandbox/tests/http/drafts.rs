//! Drafts: created, looked at, changed, deleted, refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph_relay_sandbox::BccBy;
use graph_relay_sandbox::Form;
use graph_relay_sandbox::RequestKind;
use graph_relay_sandbox::Route;
use graph_relay_sandbox::Settings;
use reqwest::Method;
use reqwest::header;
use serde_json::Value;
use serde_json::json;

use crate::tenant::MAILBOX;
use crate::tenant::Tenant;
use crate::tenant::code;
use crate::tenant::message;
use crate::tenant::recipient;
use crate::tenant::refused;

#[tokio::test]
async fn mime_draft_is_created_and_nothing_arrives_until_it_is_sent() {
    let tenant = Tenant::new().await;
    let mime = message("a@example.org").replace("Subject", "Bcc: b@example.org\r\nSubject");

    let created = tenant.try_draft(&mime).await.unwrap();

    assert_eq!(created.status(), 201);
    let headers = created.headers().clone();
    assert_eq!(headers["preference-applied"], "IdType=\"ImmutableId\"");
    let media_type = headers[header::CONTENT_TYPE].to_str().unwrap();
    assert!(media_type.starts_with("application/json; odata.metadata=minimal"));
    let draft: Value = created.json().await.unwrap();
    let id = draft["id"].as_str().unwrap();
    let location = headers[header::LOCATION].to_str().unwrap();
    assert!(location.ends_with(&format!("/messages('{id}')")));
    assert_eq!(draft["isDraft"], true);
    assert_eq!(draft["hasAttachments"], false);
    assert_eq!(draft["internetMessageId"], "<1@app>");
    assert_eq!(
        draft["bccRecipients"][0]["emailAddress"]["address"],
        "b@example.org"
    );
    assert_eq!(
        draft["body"],
        json!({"contentType": "text", "content": "Hi\r\n"})
    );
    assert!(tenant.sandbox.arrivals().is_empty());

    assert_eq!(tenant.submit(id).await.status(), 202);
    let arrival = &tenant.sandbox.arrivals()[0];
    assert_eq!((arrival.route, arrival.form), (Route::Draft, Form::Mime));
    assert_eq!(arrival.raw, mime);
    assert_eq!(arrival.bcc_by, Some(BccBy::Field));
    assert_eq!(arrival.from, [MAILBOX]);
    assert!(tenant.sandbox.drafts().is_empty());
    let kinds = tenant.sandbox.requests().into_iter().map(|it| it.kind);
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [RequestKind::Token, RequestKind::Draft, RequestKind::Submit]
    );
    assert_eq!(tenant.sandbox.totals().draft_requests, 2);
}

/// The example of the reference, H8.
#[tokio::test]
async fn json_draft_is_the_bare_message() {
    let tenant = Tenant::new().await;
    let body = json!({"subject": "Big", "body": {"contentType": "html", "content": "<p>x</p>"},
        "toRecipients": [recipient("a@example.org")]});

    let created = tenant.post("messages", body.clone()).await;

    assert_eq!(created.status(), 201);
    assert!(!created.headers().contains_key("preference-applied"));
    let draft: Value = created.json().await.unwrap();
    assert_eq!(draft["body"]["content"], "<p>x</p>");
    let unique = draft["internetMessageId"].as_str().unwrap();
    assert!(unique.starts_with('<') && unique.ends_with("prod.outlook.com>"));
    assert_eq!(
        tenant.submit(draft["id"].as_str().unwrap()).await.status(),
        202
    );
    let arrival = &tenant.sandbox.arrivals()[0];
    assert_eq!(arrival.message_id.as_deref(), Some(unique));
    assert_eq!(arrival.form, Form::Json);
    let wrapped = tenant.post("messages", json!({"message": body})).await;
    assert_eq!(code(wrapped).await, refused(400, "RequestBodyRead"));
}

#[tokio::test]
async fn each_step_needs_its_own_role() {
    let sends = Tenant::with(Settings {
        roles: vec!["Mail.Send".to_owned()],
        ..Settings::default()
    })
    .await;
    let writes = Tenant::with(Settings {
        roles: vec!["Mail.ReadWrite".to_owned()],
        ..Settings::default()
    })
    .await;
    let by_scope = Tenant::with(Settings {
        roles: Vec::new(),
        rbac_mailboxes: vec![MAILBOX.to_owned()],
        ..Settings::default()
    })
    .await;
    let mime = message("a@example.org");

    let denied = sends.try_draft(&mime).await.unwrap();
    assert_eq!(code(denied).await, refused(403, "ErrorAccessDenied"));
    let denied = sends.get("messages").await;
    assert_eq!(code(denied).await, refused(403, "ErrorAccessDenied"));
    let denied = writes.submit(&writes.draft_id(&mime).await).await;
    assert_eq!(code(denied).await, refused(403, "ErrorAccessDenied"));
    assert_eq!(writes.sandbox.drafts().len(), 1);
    let both = by_scope.submit(&by_scope.draft_id(&mime).await).await;
    assert_eq!(both.status(), 202);
}

#[tokio::test]
async fn draft_needs_recipients_and_a_right_to_its_author_only_when_it_is_sent() {
    let tenant = Tenant::new().await;
    let cases = [
        ("Subject: none\r\n\r\n", 400, "ErrorInvalidRecipients"),
        (
            "From: boss@sandbox.example\r\nTo: a@example.org\r\n\r\n",
            403,
            "ErrorSendAsDenied",
        ),
    ];
    for (mime, status, expected) in cases {
        let id = tenant.draft_id(mime).await;

        let answer = tenant.submit(&id).await;

        assert_eq!(code(answer).await, refused(status, expected), "{mime}");
    }
    assert!(tenant.sandbox.arrivals().is_empty());
    assert_eq!(tenant.sandbox.drafts().len(), cases.len());
}

#[tokio::test]
async fn patch_changes_author_recipients_and_subject() {
    let tenant = Tenant::with(Settings {
        send_as: vec!["list@sandbox.example".to_owned()],
        ..Settings::default()
    })
    .await;
    let id = tenant
        .draft_id("From: x@y.z\r\nTo: a@example.org\r\n\r\n")
        .await;
    let path = format!("messages/{id}");
    let patch = json!({"from": recipient("list@sandbox.example"), "subject": "New",
        "toRecipients": [recipient("b@example.org")], "ccRecipients": [],
        "bccRecipients": [recipient("c@example.org")]});

    let changed = tenant.with_json(Method::PATCH, &path, patch).await;

    assert_eq!(changed.status(), 200);
    let changed: Value = changed.json().await.unwrap();
    assert_eq!(changed["subject"], "New");
    assert_eq!(tenant.submit(&id).await.status(), 202);
    let arrival = &tenant.sandbox.arrivals()[0];
    assert_eq!(arrival.from, ["list@sandbox.example"]);
    assert_eq!(arrival.to, ["b@example.org"]);
    assert_eq!(arrival.bcc, ["c@example.org"]);
    assert_eq!(arrival.bcc_by, Some(BccBy::Patch));
    assert_eq!(arrival.subject, "New");
    let kind = tenant.sandbox.requests()[2].kind;
    assert_eq!(kind, RequestKind::Patch);
}

#[tokio::test]
async fn patch_of_anything_else_or_of_what_was_sent_is_refused() {
    let tenant = Tenant::new().await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let path = format!("messages/{id}");
    let patch = async |body: Value| {
        let answer = tenant.with_json(Method::PATCH, &path, body).await;
        code(answer).await
    };
    let unreadable = refused(400, "RequestBodyRead");

    let headers = json!({"internetMessageHeaders": [{"name": "X-A", "value": "1"}]});
    assert_eq!(patch(headers).await, unreadable);
    assert_eq!(patch(json!({"toRecipients": null})).await, unreadable);
    let nobody = json!({"subject": "No", "toRecipients": [{"emailAddress": {}}]});
    assert_eq!(patch(nobody).await, refused(400, "ErrorInvalidRecipients"));
    assert_eq!(tenant.sandbox.drafts()[0].subject, "Hi");
    assert_eq!(tenant.submit(&id).await.status(), 202);
    let late = patch(json!({"subject": "Late"})).await;
    assert_eq!(late, refused(403, "ErrorAccessDenied"));
}

#[tokio::test]
async fn deleted_draft_is_gone_with_its_uploads() {
    let tenant = Tenant::new().await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let path = format!("messages/{id}");
    let url = tenant.session(&id, 4_000_000).await;
    let listed: Value = tenant.page("/sandbox/drafts").await.json().await.unwrap();
    assert_eq!(listed[0]["immutable_id"], id.as_str());
    assert_eq!(listed[0]["open_uploads"], 1);

    let deleted = tenant.graph(Method::DELETE, &path).send().await.unwrap();

    assert_eq!(deleted.status(), 204);
    assert!(tenant.sandbox.drafts().is_empty());
    let absent = refused(404, "ErrorItemNotFound");
    assert_eq!(code(tenant.get(&path).await).await, absent);
    assert_eq!(code(tenant.submit(&id).await).await, absent);
    let again = tenant.graph(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(code(again).await, absent);
    let put = tenant.put(&url, 0, b"x", 4_000_000).await;
    assert_eq!(code(put).await, refused(404, "uploadSessionNotFound"));
}

#[tokio::test]
async fn draft_of_another_mailbox_is_not_found() {
    let tenant = Tenant::new().await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let url = tenant.url(&format!(
        "/v1.0/users/reports@sandbox.example/messages/{id}"
    ));

    let answer = tenant.http.get(url).bearer_auth(&tenant.token).send();

    let answer = answer.await.unwrap();
    assert_eq!(code(answer).await, refused(404, "ErrorItemNotFound"));
}

#[tokio::test]
async fn draft_is_refused_as_sendmail_refuses() {
    let tenant = Tenant::new().await;
    let post = async |media_type: &str, body: String| {
        let request = tenant.graph(Method::POST, "messages");
        let request = request.header(header::CONTENT_TYPE, media_type).body(body);
        code(request.send().await.unwrap()).await
    };

    assert_eq!(
        post("text/plain", "no base64!".to_owned()).await,
        refused(400, "ErrorMimeContentInvalidBase64String")
    );
    assert_eq!(
        post("message/rfc822", "To: a@b.c\r\n\r\n".to_owned()).await,
        refused(415, "UnsupportedMediaType")
    );
    let big = STANDARD.encode(format!("To: a@b.c\r\n\r\n{}", "x".repeat(3_200_000)));
    assert_eq!(post("text/plain", big).await, refused(413, "BadRequest"));
    assert!(tenant.sandbox.drafts().is_empty());
}

#[tokio::test]
async fn mailbox_full_of_drafts_takes_no_more() {
    let mime = message("a@example.org");
    let tenant = Tenant::with(Settings {
        draft_quota: mime.len() as u64 * 2,
        ..Settings::default()
    })
    .await;
    let first = tenant.draft_id(&mime).await;
    tenant.draft_id(&mime).await;

    let full = tenant.try_draft(&mime).await.unwrap();

    assert_eq!(code(full).await, refused(507, "ErrorQuotaExceeded"));
    assert_eq!(tenant.submit(&first).await.status(), 202);
    assert_eq!(tenant.try_draft(&mime).await.unwrap().status(), 201);
}

#[tokio::test]
async fn header_fields_are_given_only_where_they_are_selected() {
    let tenant = Tenant::new().await;
    let mime = format!(
        "Received: from a\r\n by b id 1; now\r\n{}",
        message("a@example.org")
    );
    let draft = tenant.draft(&mime).await;
    let id = draft["id"].as_str().unwrap();
    assert_eq!(draft.get("internetMessageHeaders"), None);

    let path = format!("messages/{id}?$select=id,internetMessageHeaders");
    let selected: Value = tenant.get(&path).await.json().await.unwrap();

    let fields = selected["internetMessageHeaders"].as_array().unwrap();
    assert_eq!(
        fields[0],
        json!({"name": "Received", "value": "from a by b id 1; now"})
    );
    assert!(fields.iter().any(|field| field["name"] == "Message-ID"));
}

#[tokio::test]
async fn an_extended_property_is_given_only_where_it_is_expanded() {
    let tenant = Tenant::new().await;
    let name = "String {5D3A0C52-7a07-4f0e-9f0b-8b6f1e0a6d41} Name X";
    let draft = json!({
        "subject": "x",
        "singleValueExtendedProperties": [{"id": name, "value": "1"}, {"id": "Integer 0x36", "value": "2"}],
    });
    let draft: Value = tenant.post("messages", draft).await.json().await.unwrap();
    let id = draft["id"].as_str().unwrap();
    assert_eq!(draft.get("singleValueExtendedProperties"), None);
    let expanded = async |expand: &str| {
        let path = format!("messages/{id}?$select=id&$expand={expand}");
        tenant.get(&path).await
    };

    let of = |name: &str| format!("singleValueExtendedProperties($filter=id eq '{name}')");
    let found: Value = expanded(&of(name)).await.json().await.unwrap();
    let none: Value = expanded(&of("String {0} Name Y"))
        .await
        .json()
        .await
        .unwrap();

    let properties = &found["singleValueExtendedProperties"];
    assert_eq!(*properties, json!([{"id": name, "value": "1"}]));
    assert_eq!(none.get("singleValueExtendedProperties"), None);
    assert_eq!(expanded("attachments").await.status(), 400);
}
