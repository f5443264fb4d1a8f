//! Files attached to drafts in one request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph_relay_sandbox::RequestKind;
use graph_relay_sandbox::Settings;
use reqwest::Method;
use reqwest::header;
use serde_json::Value;
use serde_json::json;

use crate::tenant::Tenant;
use crate::tenant::code;
use crate::tenant::message;
use crate::tenant::recipient;
use crate::tenant::refused;

#[tokio::test]
async fn attached_file_arrives_with_the_message() {
    let tenant = Tenant::new().await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let path = format!("messages/{id}/attachments");
    let mut picture = file("abc");
    picture["isInline"] = json!(true);
    picture["contentId"] = json!("logo@app");

    let created = tenant.post(&path, picture).await;

    assert_eq!(created.status(), 201);
    let created: Value = created.json().await.unwrap();
    assert_eq!(created["@odata.type"], "#microsoft.graph.fileAttachment");
    assert_eq!(created["contentBytes"], "YWJj");
    assert_eq!(created["size"], 3);
    assert_eq!(has_attachments(&tenant, &id).await, false);
    assert_eq!(tenant.post(&path, file("more")).await.status(), 201);
    assert_eq!(has_attachments(&tenant, &id).await, true);
    let listed: Value = tenant.get(&path).await.json().await.unwrap();
    assert_eq!(listed["value"][0]["id"], created["id"]);
    assert_eq!(listed["value"].as_array().unwrap().len(), 2);

    assert_eq!(tenant.submit(&id).await.status(), 202);
    let arrivals = tenant.sandbox.arrivals();
    let attachment = &arrivals[0].attachments[0];
    assert_eq!(attachment.content, "abc");
    assert!(attachment.inline);
    assert_eq!(attachment.content_id.as_deref(), Some("logo@app"));
    assert_eq!(attachment.content_type.as_deref(), Some("text/plain"));
    // FIPS 180-2 B.1.
    assert_eq!(
        attachment.sha256,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    let kinds = tenant.sandbox.requests().into_iter().map(|it| it.kind);
    assert_eq!(kinds.filter(|it| *it == RequestKind::Attach).count(), 2);
}

#[tokio::test]
async fn files_are_shown_by_the_page_and_the_api() {
    let tenant = Tenant::new().await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let mut named = file("abc");
    named["name"] = json!("<b>.txt");
    let path = format!("messages/{id}/attachments");
    assert_eq!(tenant.post(&path, named).await.status(), 201);
    let drafts: Value = tenant.page("/sandbox/drafts").await.json().await.unwrap();
    assert_eq!(drafts[0]["attachments"][0]["name"], "<b>.txt");
    assert_eq!(tenant.submit(&id).await.status(), 202);

    let listed: Value = tenant.page("/sandbox/messages").await.json().await.unwrap();
    let page = tenant.page("/").await.text().await.unwrap();
    let content = tenant.page("/sandbox/messages/1/attachments/0").await;

    let shown = &listed[0]["attachments"][0];
    assert_eq!(shown["size"], 3);
    assert_eq!(shown["inline"], false);
    assert!(shown["sha256"].as_str().unwrap().starts_with("ba7816bf"));
    assert_eq!(listed[0]["route"], "draft");
    assert!(page.contains("&#60;b&#62;.txt"), "{page}");
    assert_eq!(content.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(content.text().await.unwrap(), "abc");
    let absent = tenant.page("/sandbox/messages/1/attachments/1").await;
    assert_eq!(absent.status(), 404);
}

#[tokio::test]
async fn files_within_the_json_arrive_by_either_route() {
    let tenant = Tenant::new().await;
    let body = json!({"toRecipients": [recipient("a@example.org")],
        "attachments": [file("abc")]});

    let sent = tenant.send_json(json!({"message": body})).await;
    let draft: Value = tenant.post("messages", body).await.json().await.unwrap();

    assert_eq!(sent.status(), 202);
    assert_eq!(draft["hasAttachments"], true);
    let id = draft["id"].as_str().unwrap();
    assert_eq!(tenant.submit(id).await.status(), 202);
    for arrival in tenant.sandbox.arrivals() {
        assert_eq!(arrival.attachments[0].name, "a.txt");
        assert_eq!(arrival.attachments[0].content, "abc");
    }
}

#[tokio::test]
async fn mime_with_an_attachment_says_so() {
    let tenant = Tenant::new().await;
    let mime = "To: a@example.org\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntext\r\n--x\r\n\
        Content-Disposition: attachment; filename=a.txt\r\n\r\nfile\r\n--x--\r\n";

    let draft = tenant.draft(mime).await;

    assert_eq!(draft["hasAttachments"], true);
    assert_eq!(draft["body"]["content"], "text");
}

#[tokio::test]
async fn attachment_that_breaks_a_rule_is_refused() {
    let tenant = Tenant::new().await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let path = format!("messages/{id}/attachments");
    let but = |property: &str, value: Value| {
        let mut file = file("abc");
        file[property] = value;
        file
    };
    let unreadable = "RequestBodyRead";
    let cases = [
        (but("@odata.type", Value::Null), 400, unreadable),
        (but("name", json!("")), 400, unreadable),
        (but("contentBytes", json!("YW Jj")), 400, unreadable),
        (but("contentBytes", json!("YWJ")), 400, unreadable),
        (but("unheardOf", json!(1)), 400, unreadable),
        (json!([file("abc")]), 400, "BadRequest"),
    ];
    for (body, status, expected) in cases {
        let answer = tenant.post(&path, body.clone()).await;

        assert_eq!(code(answer).await, refused(status, expected), "{body}");
    }
    let request = tenant.graph(Method::POST, &path).body("abc");
    let request = request.header(header::CONTENT_TYPE, "text/plain");
    let answer = request.send().await.unwrap();
    assert_eq!(code(answer).await, refused(415, "UnsupportedMediaType"));
    let absent = tenant.post("messages/none/attachments", file("abc")).await;
    assert_eq!(code(absent).await, refused(404, "ErrorItemNotFound"));
    assert!(tenant.sandbox.drafts()[0].attachments.is_empty());
}

#[tokio::test]
async fn file_from_the_limit_on_is_too_large_for_one_request() {
    let tenant = Tenant::with(Settings {
        attach_limit: 1000,
        ..Settings::default()
    })
    .await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let path = format!("messages/{id}/attachments");

    let fits = tenant.post(&path, file(&"x".repeat(999))).await;
    let over = tenant.post(&path, file(&"x".repeat(1000))).await;

    assert_eq!(fits.status(), 201);
    assert_eq!(code(over).await, refused(413, "BadRequest"));
    assert_eq!(tenant.sandbox.drafts()[0].attachments.len(), 1);
}

/// A size that neither way takes would be a trap of the stand-in's own making.
#[tokio::test]
async fn every_size_goes_one_way_or_the_other_by_default() {
    let settings = Settings::default();

    let overhead = file("").to_string().len() as u64;
    let most_posted = (settings.request_limit as u64 - overhead) / 4 * 3;

    assert!(settings.session_minimum <= most_posted.min(settings.attach_limit));
}

#[tokio::test]
async fn message_over_max_send_size_is_refused_where_it_outgrows_it() {
    let mime = message("a@example.org");
    let tenant = Tenant::with(Settings {
        // The message, and ten groups of base64.
        max_send_size: mime.len() as u64 + 40,
        ..Settings::default()
    })
    .await;
    let id = tenant.draft_id(&mime).await;
    let path = format!("messages/{id}/attachments");
    let exceeded = refused(400, "ErrorMessageSizeExceeded");

    let over = tenant.post(&path, file(&"x".repeat(31))).await;
    assert_eq!(code(over).await, exceeded);
    let fits = tenant.post(&path, file(&"x".repeat(30))).await;
    assert_eq!(fits.status(), 201);
    let one_more = tenant.post(&path, file("x")).await;
    assert_eq!(code(one_more).await, exceeded);
    assert_eq!(tenant.submit(&id).await.status(), 202);
    let long = format!("{mime}{}", "x".repeat(41));
    assert_eq!(code(tenant.send(&long).await).await, exceeded);
    let draft = tenant.draft_id(&long).await;
    assert_eq!(code(tenant.submit(&draft).await).await, exceeded);
    assert_eq!(tenant.sandbox.arrivals().len(), 1);
}

async fn has_attachments(tenant: &Tenant, id: &str) -> Value {
    let message = tenant.get(&format!("messages/{id}")).await;
    let message: Value = message.json().await.unwrap();
    message["hasAttachments"].clone()
}

fn file(content: &str) -> Value {
    json!({"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt",
        "contentType": "text/plain", "contentBytes": STANDARD.encode(content)})
}
