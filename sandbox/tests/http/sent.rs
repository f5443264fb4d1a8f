//! What becomes of a message once it was sent: its ids, and when it is found.

use graph_relay_sandbox::Settings;
use reqwest::Method;
use reqwest::StatusCode;
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
use crate::tenant::with;

#[tokio::test]
async fn immutable_id_outlives_the_send_and_the_regular_one_does_not() {
    let tenant = Tenant::new().await;
    let draft = tenant.draft_id(&message("a@example.org")).await;
    let path = format!("messages/{draft}?$select=isDraft");
    let before: Value = tenant.get(&path).await.json().await.unwrap();
    let regular = before["id"].as_str().unwrap();
    assert_eq!(before["isDraft"], true);
    assert_ne!(regular, draft);

    assert_eq!(tenant.submit(regular).await.status(), 202);

    let after: Value = tenant.get(&path).await.json().await.unwrap();
    assert_eq!(after["isDraft"], false);
    assert_ne!(after["id"], before["id"]);
    let dead = tenant.get(&format!("messages/{regular}")).await;
    assert_eq!(code(dead).await, refused(404, "ErrorItemNotFound"));
}

#[tokio::test]
async fn tenant_without_immutable_ids_gives_regular_ones() {
    let tenant = Tenant::with(Settings {
        immutable_ids: false,
        ..Settings::default()
    })
    .await;

    let created = tenant.try_draft(&message("a@example.org")).await.unwrap();

    assert!(!created.headers().contains_key("preference-applied"));
    let created: Value = created.json().await.unwrap();
    let id = created["id"].as_str().unwrap();
    assert_eq!(tenant.submit(id).await.status(), 202);
    assert_eq!(tenant.get(&format!("messages/{id}")).await.status(), 404);
}

#[tokio::test]
async fn sent_message_is_visible_only_after_the_given_look_ups() {
    let tenant = Tenant::with(Settings {
        sent_item_lookups: 2,
        ..Settings::default()
    })
    .await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let path = format!("messages/{id}");
    let filter = "messages?$filter=internetMessageId%20eq%20'%3C1%40app%3E'";
    assert_eq!(tenant.get(&path).await.status(), 200);
    assert_eq!(tenant.submit(&id).await.status(), 202);

    let unseen = tenant.get(&path).await;
    let listed: Value = tenant.get(filter).await.json().await.unwrap();

    assert_eq!(code(unseen).await, refused(404, "ErrorItemNotFound"));
    assert_eq!(listed["value"], json!([]));
    assert_eq!(tenant.get(&path).await.status(), 200);
}

/// The look-up of the reference, H8.
#[tokio::test]
async fn message_is_found_by_its_internet_message_id_in_its_folder() {
    let tenant = Tenant::new().await;
    let mime = message("a@example.org").replace("<1@app>", "<o'1+2@app.contoso.com>");
    let id = tenant.draft_id(&mime).await;
    tenant.draft_id(&message("a@example.org")).await;
    let filter = "messages?$filter=internetMessageId%20eq%20'%3Co''1%2B2%40app.contoso.com%3E'\
        &$select=id,isDraft,parentFolderId";
    let find = async |folder: &str| {
        let found = tenant.get(&format!("{folder}{filter}")).await;
        assert_eq!(found.status(), 200);
        let found: Value = found.json().await.unwrap();
        found["value"].as_array().unwrap().clone()
    };

    let draft = find("mailFolders/drafts/").await;
    assert_eq!(draft.len(), 1);
    let names = draft[0].as_object().unwrap().keys();
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["@odata.etag", "id", "isDraft", "parentFolderId"]
    );
    assert_eq!(draft[0]["isDraft"], true);
    assert!(find("mailFolders/sentitems/").await.is_empty());
    assert_eq!(tenant.submit(&id).await.status(), 202);
    assert!(find("mailFolders/Drafts/").await.is_empty());
    let sent = find("mailFolders/SentItems/").await;
    assert_eq!(sent[0]["isDraft"], false);
    assert_ne!(sent[0]["parentFolderId"], draft[0]["parentFolderId"]);
    assert_eq!(find("").await, sent);
}

#[tokio::test]
async fn query_that_is_not_understood_is_refused() {
    let tenant = Tenant::new().await;
    let cases = [
        (
            "messages?$filter=subject%20eq%20'x'",
            "ErrorInvalidUrlQueryFilter",
        ),
        (
            "messages?$filter=internetMessageId%20eq%20'o'x'",
            "ErrorInvalidUrlQueryFilter",
        ),
        ("messages?$search=x", "BadRequest"),
    ];
    for (path, expected) in cases {
        let answer = tenant.get(path).await;

        assert_eq!(code(answer).await, refused(400, expected), "{path}");
    }
    let folder = tenant.get("mailFolders/elsewhere/messages").await;
    assert_eq!(code(folder).await, refused(404, "ErrorItemNotFound"));
}

#[tokio::test]
async fn sendmail_leaves_a_copy_unless_its_json_says_not_to() {
    let tenant = Tenant::new().await;
    let count = async || {
        let page = tenant.get("mailFolders/sentitems/messages").await;
        let page: Value = page.json().await.unwrap();
        page["value"].as_array().unwrap().len()
    };

    assert_eq!(tenant.send(&message("a@example.org")).await.status(), 202);
    assert_eq!(count().await, 1);
    let mut body = with("subject", json!("Hi"));
    assert_eq!(tenant.send_json(body.clone()).await.status(), 202);
    assert_eq!(count().await, 2);
    for no in [json!(false), json!("False")] {
        body["saveToSentItems"] = no;
        assert_eq!(tenant.send_json(body.clone()).await.status(), 202);
        assert_eq!(count().await, 2);
    }
    assert_eq!(tenant.sandbox.arrivals().len(), 4);
}

#[tokio::test]
async fn draft_is_sent_once() {
    for (sent_again, expected) in [
        (404, "ErrorItemNotFound"),
        (403, "ErrorAccessDenied"),
        (400, "ErrorInvalidRequest"),
    ] {
        let tenant = Tenant::with(Settings {
            sent_again,
            ..Settings::default()
        })
        .await;
        let id = tenant.draft_id(&message("a@example.org")).await;
        assert_eq!(tenant.submit(&id).await.status(), 202);

        let again = tenant.submit(&id).await;

        assert_eq!(code(again).await, refused(sent_again, expected));
        assert_eq!(tenant.sandbox.arrivals().len(), 1);
    }
}

#[tokio::test]
async fn send_wants_a_content_length_of_nothing() {
    let tenant = Tenant::new().await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let path = format!("messages/{id}/send");

    let with_body = tenant.graph(Method::POST, &path).body("{}").send().await;
    assert_eq!(code(with_body.unwrap()).await, refused(400, "BadRequest"));
    let mut line = TcpStream::connect(tenant.sandbox.address()).await.unwrap();
    let head = format!(
        "POST /v1.0/users/{MAILBOX}/{path} HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {}\r\n\r\n",
        tenant.token
    );
    line.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 13];
    line.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 411 ");
    assert_eq!(tenant.sandbox.drafts().len(), 1);
    let sent = tenant.submit(&id).await;
    assert_eq!(sent.status(), StatusCode::ACCEPTED);
    assert_eq!(sent.headers()[header::CONTENT_LENGTH], "0");
}

#[tokio::test]
async fn oldest_sent_messages_are_forgotten_and_drafts_are_not() {
    let tenant = Tenant::with(Settings {
        keep_messages: 2,
        ..Settings::default()
    })
    .await;
    let mime = message("a@example.org");
    let draft = tenant.draft_id(&mime).await;
    for _ in 0..3 {
        assert_eq!(tenant.send(&mime).await.status(), 202);
    }

    let sent = tenant.get("mailFolders/sentitems/messages").await;

    let sent: Value = sent.json().await.unwrap();
    assert_eq!(sent["value"].as_array().unwrap().len(), 2);
    assert_eq!(tenant.submit(&draft).await.status(), 202);
}
