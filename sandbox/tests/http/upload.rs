//! Uploads of large files: the session, its parts on the upload host, its end.

use std::time::Duration;

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::NextRange;
use graph_relay_sandbox::RequestKind;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;
use reqwest::header;
use serde_json::Value;
use serde_json::json;

use crate::tenant::MAILBOX;
use crate::tenant::Tenant;
use crate::tenant::code;
use crate::tenant::message;
use crate::tenant::refused;

/// The example of the reference, H8.
#[tokio::test]
async fn file_is_uploaded_part_by_part_to_another_host() {
    const SIZE: usize = 3_483_322;
    let tenant = Tenant::new().await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let content = (0..=255_u8).cycle().take(SIZE).collect::<Vec<_>>();

    let url = tenant.session(&id, SIZE).await;
    let first = tenant.put(&url, 0, &content[..2_097_152], SIZE).await;
    let last = tenant
        .put(&url, 2_097_152, &content[2_097_152..], SIZE)
        .await;

    let host = format!("http://{}/", tenant.sandbox.upload_address());
    assert!(url.starts_with(&host) && !url.starts_with(&tenant.url("/")));
    assert_eq!(first.status(), 200);
    let first: Value = first.json().await.unwrap();
    assert_eq!(first["nextExpectedRanges"], json!(["2097152"]));
    assert!(first["ExpirationDateTime"].is_string());
    assert_eq!(last.status(), 201);
    assert_eq!(last.headers()[header::CONTENT_LENGTH], "0");
    let location = last.headers()[header::LOCATION]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(location.starts_with(&host) && location.contains("/Attachments('"));

    assert_eq!(tenant.submit(&id).await.status(), 202);
    let arrivals = tenant.sandbox.arrivals();
    let attachment = &arrivals[0].attachments[0];
    assert!(attachment.content == content);
    assert!(location.contains(&attachment.id));
    assert_eq!(attachment.name, "big.bin");
    assert_eq!(attachment.content_type.as_deref(), Some("application/pdf"));
    assert_eq!(attachment.content_id.as_deref(), Some("big@app"));
    let requests = tenant.sandbox.requests();
    let kinds = requests.iter().skip(1).map(|it| it.kind);
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [
            RequestKind::Draft,
            RequestKind::Session,
            RequestKind::Upload,
            RequestKind::Upload,
            RequestKind::Submit,
        ]
    );
    assert_eq!(requests[3].mailbox.as_deref(), Some(MAILBOX));
}

#[tokio::test]
async fn upload_url_takes_no_authorization_and_no_other_key() {
    let tenant = Tenant::with(small_settings()).await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let url = small(&tenant, &id).await;
    let put = |url: &str| {
        let request = tenant.http.put(url).body("abc");
        request.header(header::CONTENT_RANGE, "bytes 0-2/10")
    };

    let known = put(&url).bearer_auth(&tenant.token).send().await.unwrap();
    let other_key = put(&format!("{url}0")).send().await.unwrap();
    let no_key = put(url.split_once('?').unwrap().0).send().await.unwrap();

    assert_eq!(code(known).await, refused(401, "InvalidAudience"));
    let unknown = refused(404, "uploadSessionNotFound");
    assert_eq!(code(other_key).await, unknown);
    assert_eq!(code(no_key).await, unknown);
    assert_eq!(put(&url).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn part_that_does_not_fit_is_refused_and_changes_nothing() {
    let tenant = Tenant::with(small_settings()).await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let url = small(&tenant, &id).await;
    assert_eq!(tenant.put(&url, 0, b"abc", 10).await.status(), 200);
    let put = async |range: &str, body: &'static str| {
        let request = tenant.http.put(&url).header(header::CONTENT_RANGE, range);
        code(request.body(body).send().await.unwrap()).await
    };
    let invalid = refused(416, "invalidRange");

    assert_eq!(put("bytes 5-6/10", "fg").await, invalid);
    assert_eq!(put("bytes 0-2/10", "abc").await, invalid);
    assert_eq!(put("bytes 3-4/11", "de").await, invalid);
    assert_eq!(put("bytes 3-5/10", "de").await, invalid);
    for range in ["bytes 3-2/10", "bytes 3-10/10", "bytes */10", "3-4/10"] {
        assert_eq!(
            put(range, "de").await,
            refused(400, "BadRequest"),
            "{range}"
        );
    }
    let without = tenant.http.put(&url).body("de").send().await.unwrap();
    assert_eq!(code(without).await, refused(400, "BadRequest"));
    assert_eq!(progress(&tenant, &url).await, json!(["3"]));
    assert_eq!(tenant.put(&url, 3, b"defghij", 10).await.status(), 201);
    assert_eq!(
        tenant.sandbox.drafts()[0].attachments[0].content,
        "abcdefghij"
    );
}

#[tokio::test]
async fn part_needs_a_length_and_is_no_more_than_the_limit() {
    let tenant = Tenant::with(Settings {
        request_limit: 1000,
        ..small_settings()
    })
    .await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let url = tenant.session(&id, 5000).await;
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>("abc")]);
    let chunked = tenant
        .http
        .put(&url)
        .header(header::CONTENT_RANGE, "bytes 0-2/5000")
        .body(reqwest::Body::wrap_stream(chunks));

    let chunked = chunked.send().await.unwrap();
    let over = tenant.put(&url, 0, &[b'x'; 1001], 5000).await;
    let most = tenant.put(&url, 0, &[b'x'; 1000], 5000).await;

    assert_eq!(code(chunked).await, refused(411, "BadRequest"));
    assert_eq!(code(over).await, refused(413, "BadRequest"));
    assert_eq!(most.status(), 200);
}

#[tokio::test]
async fn session_is_for_files_of_a_size_that_needs_one() {
    let tenant = Tenant::new().await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let path = format!("messages/{id}/attachments/createUploadSession");
    let good = json!({"attachmentType": "file", "name": "big.bin", "size": 3_000_000});
    let ask = async |property: &str, value: Value| {
        let mut item = good.clone();
        item[property] = value;
        let answer = tenant.post(&path, json!({"attachmentItem": item})).await;
        code(answer).await
    };
    let unreadable = refused(400, "RequestBodyRead");
    let small = "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize";

    assert_eq!(ask("size", json!(2_999_999)).await, refused(400, small));
    assert_eq!(
        ask("size", json!(150 * 1024 * 1024 + 1)).await,
        refused(400, "ErrorMessageSizeExceeded")
    );
    assert_eq!(ask("size", json!("3000000")).await, unreadable);
    assert_eq!(ask("attachmentType", json!("item")).await, unreadable);
    assert_eq!(ask("contentBytes", json!("")).await, unreadable);
    assert_eq!(
        code(tenant.post(&path, good.clone()).await).await,
        unreadable
    );
    let elsewhere = "messages/none/attachments/createUploadSession";
    let absent = tenant
        .post(elsewhere, json!({"AttachmentItem": good}))
        .await;
    assert_eq!(code(absent).await, refused(404, "ErrorItemNotFound"));
    let least = tenant.post(&path, json!({"AttachmentItem": good})).await;
    assert_eq!(least.status(), 201);
    assert_eq!(tenant.sandbox.drafts()[0].open_uploads, 1);
}

#[tokio::test]
async fn upload_tells_how_far_it_is_in_either_spelling() {
    for (next_range, next) in [(NextRange::Bare, "3"), (NextRange::Open, "3-")] {
        let tenant = Tenant::with(Settings {
            next_range,
            ..small_settings()
        })
        .await;
        let id = tenant.draft_id(&message("a@example.org")).await;
        let url = small(&tenant, &id).await;

        let answer = tenant.put(&url, 0, b"abc", 10).await;

        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["nextExpectedRanges"], json!([next]));
        assert_eq!(progress(&tenant, &url).await, json!([next]));
        let kind = tenant.sandbox.requests().last().unwrap().kind;
        assert_eq!(kind, RequestKind::Progress);
    }
}

#[tokio::test]
async fn cancelled_upload_is_gone() {
    let tenant = Tenant::with(small_settings()).await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let url = small(&tenant, &id).await;

    let cancelled = tenant.http.delete(&url).send().await.unwrap();

    assert_eq!(cancelled.status(), 204);
    let unknown = refused(404, "uploadSessionNotFound");
    assert_eq!(code(tenant.put(&url, 0, b"abc", 10).await).await, unknown);
    let again = tenant.http.delete(&url).send().await.unwrap();
    assert_eq!(code(again).await, unknown);
    let kinds = tenant.sandbox.requests().into_iter().map(|it| it.kind);
    assert_eq!(kinds.filter(|it| *it == RequestKind::Cancel).count(), 2);
}

#[tokio::test]
async fn upload_session_ends_by_its_clock_and_by_a_fault() {
    let short = Tenant::with(Settings {
        session_life: Duration::ZERO,
        ..small_settings()
    })
    .await;
    let tenant = Tenant::with(small_settings()).await;
    let unknown = refused(404, "uploadSessionNotFound");

    let id = short.draft_id(&message("a@example.org")).await;
    let url = small(&short, &id).await;
    assert_eq!(code(short.put(&url, 0, b"abc", 10).await).await, unknown);

    let id = tenant.draft_id(&message("a@example.org")).await;
    let url = small(&tenant, &id).await;
    assert_eq!(tenant.put(&url, 0, b"abc", 10).await.status(), 200);
    tenant.sandbox.inject(Fault::expired_session());
    assert_eq!(code(tenant.put(&url, 3, b"def", 10).await).await, unknown);
    assert_eq!(code(tenant.put(&url, 0, b"abc", 10).await).await, unknown);
    assert_eq!(tenant.sandbox.drafts()[0].open_uploads, 0);
}

#[tokio::test]
async fn part_stored_though_answered_with_an_error_is_not_taken_twice() {
    let tenant = Tenant::with(small_settings()).await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let url = small(&tenant, &id).await;
    tenant.sandbox.inject(Fault {
        stored: Some(true),
        ..Fault::at(Station::Upload, 503)
    });
    tenant.sandbox.inject(Fault::at(Station::Upload, 503));

    assert_eq!(tenant.put(&url, 0, b"abc", 10).await.status(), 503);
    assert_eq!(progress(&tenant, &url).await, json!(["3"]));
    assert_eq!(tenant.put(&url, 3, b"def", 10).await.status(), 503);
    assert_eq!(progress(&tenant, &url).await, json!(["3"]));
    assert_eq!(tenant.put(&url, 3, b"defghij", 10).await.status(), 201);
    assert_eq!(
        tenant.sandbox.drafts()[0].attachments[0].content,
        "abcdefghij"
    );
}

#[tokio::test]
async fn file_that_outgrows_the_message_is_refused_with_its_last_part() {
    let mime = message("a@example.org");
    let tenant = Tenant::with(Settings {
        max_send_size: mime.len() as u64 + 12,
        ..small_settings()
    })
    .await;
    let id = tenant.draft_id(&mime).await;
    let url = small(&tenant, &id).await;

    let last = tenant.put(&url, 0, b"abcdefghij", 10).await;

    assert_eq!(code(last).await, refused(400, "ErrorMessageSizeExceeded"));
    assert!(tenant.sandbox.drafts()[0].attachments.is_empty());
}

/// A mailbox whose MaxSendSize was raised takes 100 MB, and the stand-in keeps them.
#[tokio::test]
async fn hundred_megabytes_are_uploaded_kept_and_digested() {
    const SIZE: usize = 100 * 1024 * 1024;
    const PART: usize = 4 * 1024 * 1024;
    let tenant = Tenant::with(Settings {
        max_send_size: 150 * 1024 * 1024,
        keep_bytes: 1024,
        ..Settings::default()
    })
    .await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let url = tenant.session(&id, SIZE).await;
    let part = vec![0; PART];

    for first in (0..SIZE).step_by(PART) {
        let answer = tenant.put(&url, first, &part, SIZE).await;
        let last = first + PART == SIZE;
        assert_eq!(answer.status(), if last { 201 } else { 200 });
    }

    assert_eq!(tenant.submit(&id).await.status(), 202);
    let arrivals = tenant.sandbox.arrivals();
    assert_eq!(arrivals[0].attachments[0].content.len(), SIZE);
    // `head -c 104857600 /dev/zero | sha256sum`
    assert_eq!(
        arrivals[0].attachments[0].sha256,
        "20492a4d0d84f8beb1767f6616229f85d44c2827b64bdbfb260ee12fa1109e0e"
    );
    let listed: Value = tenant.page("/sandbox/messages").await.json().await.unwrap();
    assert_eq!(listed[0]["attachments"][0]["size"], SIZE);
    // The next one takes its place.
    assert_eq!(tenant.send(&message("a@example.org")).await.status(), 202);
    assert_eq!(tenant.sandbox.arrivals().len(), 1);
}

#[tokio::test]
async fn unknown_paths_of_the_upload_host_are_not_found() {
    let tenant = Tenant::new().await;
    let url = format!("http://{}/v1.0/users", tenant.sandbox.upload_address());

    let answer = tenant.http.get(url).send().await.unwrap();

    assert_eq!(
        code(answer).await,
        refused(401, "InvalidAuthenticationToken")
    );
}

/// A session for ten octets, where the settings are small.
async fn small(tenant: &Tenant, id: &str) -> String {
    tenant.session(id, 10).await
}

fn small_settings() -> Settings {
    Settings {
        session_minimum: 10,
        ..Settings::default()
    }
}

async fn progress(tenant: &Tenant, url: &str) -> Value {
    let answer = tenant.http.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    answer["nextExpectedRanges"].clone()
}
