//! Deeply nested MIME: the relay sends it unchanged and need not read it.

use crate::resource_limits::messages::Bomb;
use crate::resource_limits::messages::TAKEN;
use crate::resource_limits::messages::TOO_BIG;
use crate::resource_limits::messages::explode;

/// Multiparts nested to this depth, to follow a header section.
fn multipart(depth: usize) -> String {
    let open: String = (0..depth)
        .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
        .collect();
    let close: String = (0..depth).rev().map(|n| format!("--b{n}--\r\n")).collect();
    format!("MIME-Version: 1.0\r\n{open}Content-Type: text/plain\r\n\r\nHello\r\n{close}")
}

fn rfc822(depth: usize) -> String {
    "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n".repeat(depth) + "\r\nHello\r\n"
}

/// A multipart with one empty part after another.
fn empty_parts(boundary: &str, count: usize) -> String {
    let parts = format!("--{boundary}\r\n\r\n").repeat(count);
    format!(
        "Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n{parts}--{boundary}--\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn deeply_nested_parts_arrive_unchanged() {
    explode(&[
        Bomb::body("multipart-10-deep", &multipart(10), TAKEN),
        Bomb::body("multipart-100-deep", &multipart(100), TAKEN),
        Bomb::body("multipart-10-000-deep", &multipart(10_000), TAKEN),
        Bomb::body("message-1000-deep", &rfc822(1000), TAKEN),
        Bomb::body("message-30-000-deep", &rfc822(30_000), TAKEN),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_boundaries_arrive_unchanged() {
    let prefix = "Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\
        Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n--ab\r\n--a--\r\n--ab--\r\n";
    let again = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\
        Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n--a--\r\n";
    explode(&[
        Bomb::body(
            "a-hundred-thousand-empty-parts",
            &empty_parts("b", 100_000),
            TAKEN,
        ),
        Bomb::body(
            "boundary-of-1-kb",
            &empty_parts(&"b".repeat(1000), 10),
            TAKEN,
        ),
        Bomb::body(
            "boundary-of-100-kb",
            &empty_parts(&"b".repeat(100_000), 3),
            TAKEN,
        ),
        Bomb::body(
            "boundary-of-1-mb",
            &empty_parts(&"b".repeat(1_000_000), 1),
            TOO_BIG,
        ),
        Bomb::body("boundary-that-begins-another", prefix, TAKEN),
        Bomb::body("boundary-used-again-within", again, TAKEN),
        Bomb::body(
            "boundary-missing",
            "Content-Type: multipart/mixed\r\n\r\n--\r\n",
            TAKEN,
        ),
    ])
    .await;
}
