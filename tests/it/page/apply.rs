//! `graph-relay apply` with a relay that has forgotten the change meanwhile.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;

use super::with_page;
use crate::common::run;
use crate::common::said;
use crate::common::stand_in;

/// Answers one request. Returns its method and path.
fn answer(stream: &UnixStream, answers: &[(&str, &str)]) -> String {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head += &line;
        line.clear();
    }
    let mut body = vec![0_u8; length];
    reader.read_exact(&mut body).unwrap();
    let asked = head.split(" HTTP/").next().unwrap();
    let asked = asked.trim_end_matches('?').to_owned();
    let known = answers.iter().find(|(request, _)| *request == asked);
    let (status, body) = known.map_or(("404 Not Found", ""), |(_, body)| ("200 OK", *body));
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_written_change_comes_into_force_although_the_relay_has_forgotten_it() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let before = fs::read_to_string(&home.config).unwrap();
    let after = format!("{before}# The same, with a comment.\n");
    let prepared = serde_json::json!({
        "id": "abcd1234",
        "file": home.config,
        "before": before,
        "after": after,
        "by": "link",
    });
    fs::create_dir_all(home.path("data")).unwrap();
    let socket = UnixListener::bind(home.path("data").join("admin.sock")).unwrap();
    let relay = std::thread::spawn(move || {
        let prepared = prepared.to_string();
        let answers = [
            ("GET /changes/abcd1234", prepared.as_str()),
            (
                "POST /configuration/reload",
                "{\"needs_restart\":[],\"error\":null}",
            ),
        ];
        let mut asked = Vec::new();
        while asked.len() < 3 {
            let (stream, _) = socket.accept().unwrap();
            asked.push(answer(&stream, &answers));
        }
        asked
    });

    let output = run(&home, &["apply", "abcd1234", "--yes"]);

    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("The relay uses it now."));
    assert_eq!(fs::read_to_string(&home.config).unwrap(), after);
    let asked = relay.join().unwrap();
    assert_eq!(
        asked,
        [
            "GET /changes/abcd1234",
            "POST /changes/abcd1234",
            "POST /configuration/reload"
        ]
    );
}
