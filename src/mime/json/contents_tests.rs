//! Which parts are displayed and which are attached.

use super::*;

/// A part with these fields and this body; fields alone have none.
fn part(fields: &str, body: &str) -> String {
    format!("{fields}\r\n\r\n{body}")
}

fn multipart(kind: &str, parts: &[String]) -> String {
    // Each has a different boundary.
    let boundary = format!("b{}", parts.iter().map(String::len).sum::<usize>());
    let open = format!("Content-Type: multipart/{kind}; boundary={boundary}\r\n\r\n");
    let parts = parts
        .iter()
        .map(|part| format!("--{boundary}\r\n{part}\r\n"));
    format!("{open}{}--{boundary}--\r\n", parts.collect::<String>())
}

fn of(message: &str) -> (Text, Vec<Attachment>, bool) {
    let parts = Parts::read(message);
    let contents = Contents::of(&parts).unwrap();
    let chose = contents.chose;
    let (text, files) = contents.finish().unwrap();
    (text, files, chose)
}

fn names(files: &[Attachment]) -> Vec<&str> {
    files.iter().map(|file| file.name.as_str()).collect()
}

fn plain(text: &str) -> String {
    part("Content-Type: text/plain", text)
}

fn html(text: &str) -> String {
    part("Content-Type: text/html", text)
}

fn file(media_type: &str, name: &str) -> String {
    let fields = format!("Content-Type: {media_type}; name=\"{name}\"");
    part(&fields, "x")
}

#[test]
fn html_is_chosen_and_the_alternative_left_out() {
    let related = multipart("related", &[html("<p>H"), file("image/png", "i.png")]);
    let calendar = part(
        "Content-Type: text/calendar; method=REQUEST",
        "BEGIN:VCALENDAR",
    );
    for (parts, chose, files) in [
        (vec![plain("P"), html("<p>H")], true, vec![]),
        (vec![html("<p>H"), plain("P")], true, vec![]),
        (vec![plain(" \r\n"), html("<p>H")], false, vec![]),
        (vec![plain("P"), related], true, vec!["i.png"]),
        (
            vec![plain("P"), html("<p>H"), calendar],
            true,
            vec!["invitation.ics"],
        ),
    ] {
        let message = multipart("alternative", &parts);
        let (text, attached, left_out) = of(&message);

        assert_eq!(text, Text::Html("<p>H".into()), "{message}");
        assert_eq!((left_out, names(&attached)), (chose, files), "{message}");
    }
}

#[test]
fn no_part_of_a_mixed_message_is_left_out() {
    let alternative = multipart("alternative", &[plain("P"), html("<p>H")]);
    let plain_text = |text: &str| Text::Plain(text.to_owned());
    let html_text = Text::Html("<p>H".to_owned());
    let pdf = || file("application/pdf", "a.pdf");
    let attached = part("Content-Disposition: attachment", "log");
    for (parts, text, files) in [
        (vec![plain("1"), plain("2")], plain_text("1\r\n2"), vec![]),
        (
            vec![plain("1"), pdf(), plain("2")],
            plain_text("1\r\n2"),
            vec!["a.pdf"],
        ),
        (
            vec![plain("1"), html("<p>H")],
            html_text.clone(),
            vec!["attachment.txt"],
        ),
        (
            vec![html("<p>H"), html("<p>2"), plain("3")],
            html_text.clone(),
            vec!["attachment.html", "attachment.txt"],
        ),
        (
            vec![alternative, pdf(), plain("footer")],
            html_text,
            vec!["a.pdf", "attachment.txt"],
        ),
        (
            vec![plain("1"), attached],
            plain_text("1"),
            vec!["attachment.txt"],
        ),
        (
            vec![file("text/plain", "a.log")],
            plain_text(""),
            vec!["a.log"],
        ),
        (vec![pdf()], plain_text(""), vec!["a.pdf"]),
        (
            vec!["\r\nno type".to_owned()],
            plain_text("no type"),
            vec![],
        ),
    ] {
        let message = multipart("mixed", &parts);
        let (said, attached, chose) = of(&message);

        assert_eq!((said, names(&attached)), (text, files), "{message}");
        assert_eq!(chose, message.contains("alternative"));
    }
}

#[test]
fn a_message_of_one_part_is_its_text_or_its_file() {
    for (message, said, files) in [
        (plain("P"), Text::Plain("P".into()), vec![]),
        (html("<p>"), Text::Html("<p>".into()), vec![]),
        (file("text/plain", "a.txt"), Text::Plain("x".into()), vec![]),
        (
            file("application/pdf", "a.pdf"),
            Text::Plain("".into()),
            vec!["a.pdf"],
        ),
        (
            part("Content-Type: multipart/mixed", "P"),
            Text::Plain("P".into()),
            vec![],
        ),
        (
            part("Content-Type: multipart/mixed; boundary=b", "P"),
            Text::Plain("P".into()),
            vec![],
        ),
        (
            part("Content-Type: text/plain", ""),
            Text::Plain("".into()),
            vec![],
        ),
    ] {
        let (text, attached, _) = of(&message);
        assert_eq!((text, names(&attached)), (said, files), "{message}");
    }
}

#[test]
fn an_image_is_shown_if_the_html_refers_to_it() {
    let image = |id: &str| {
        let fields =
            format!("Content-Type: image/png\r\nContent-ID: <{id}>\r\nContent-Disposition: inline");
        part(&fields, "png")
    };
    let text = html("<img src=\"cid:a@b\"><img src=CID:c%40d><p style='x:url(cid:e%f)'>cid:");
    let parts = [text, image("a@b"), image("c@d"), image("e%f"), image("g@h")];

    let (_, files, _) = of(&multipart("related", &parts));

    let shown: Vec<_> = files
        .iter()
        .map(|it| (it.content_id.as_deref(), it.shown))
        .collect();
    let expected = [("a@b", true), ("c@d", true), ("e%f", true), ("g@h", false)];
    assert_eq!(shown, expected.map(|(id, shown)| (Some(id), shown)));
    let unseen = multipart("mixed", &[plain("cid:a@b"), image("a@b")]);
    assert!(!of(&unseen).1[0].shown, "plain text shows nothing");
}

#[test]
fn the_root_of_related_parts_may_be_named() {
    let root = part("Content-Type: text/html\r\nContent-ID: <r@x>", "<p>root");
    let message = multipart("related; start=\"<r@x>\"", &[html("<p>frame"), root]);

    let (text, files, _) = of(&message);

    assert_eq!(text, Text::Html("<p>root".into()));
    assert_eq!(names(&files), ["attachment.html"]);
}

#[test]
fn a_part_nested_too_deep_becomes_an_attached_message() {
    let deep = |depth| (0..depth).fold(plain("P"), |inner, _| multipart("mixed", &[inner]));

    let (text, files, _) = of(&deep(60));

    assert_eq!(text, Text::Plain(String::new()));
    assert_eq!(names(&files), ["message.eml"]);
    let whole = String::from_utf8(files[0].content.to_vec()).unwrap();
    assert_eq!(of(&whole).0, Text::Plain("P".into()));
}

#[test]
fn the_alternative_that_says_something_is_chosen() {
    let empty = html("<html><head><title>x</title></head>\r\n<body>&nbsp;<br></body></html>");
    let amp = part("Content-Type: text/x-amp-html", "<html amp4email>");
    let watch = part("Content-Type: text/watch-html", "<b>short</b>");
    let enriched = part("Content-Type: text/enriched", "<bold>P</bold>");
    let plain_text = Text::Plain("P".to_owned());
    let html_text = Text::Html("<p>H".to_owned());
    for (parts, text, chose) in [
        (vec![plain("P"), html("\r\n")], plain_text.clone(), false),
        (vec![plain("P"), empty.clone()], plain_text.clone(), false),
        (
            vec![
                plain("P"),
                multipart("related", std::slice::from_ref(&empty)),
            ],
            plain_text.clone(),
            false,
        ),
        (
            vec![plain("P"), html("<img src=x>")],
            Text::Html("<img src=x>".to_owned()),
            true,
        ),
        (vec![plain("P"), amp, html("<p>H")], html_text.clone(), true),
        (
            vec![plain("P"), watch, html("<p>H")],
            html_text.clone(),
            true,
        ),
        (vec![plain("P"), enriched.clone()], plain_text.clone(), true),
        (vec![html("<p>H"), plain("")], html_text, false),
    ] {
        let message = multipart("alternative", &parts);
        let (said, files, left_out) = of(&message);

        assert_eq!((said, left_out), (text, chose), "{message}");
        assert!(files.is_empty(), "{message}");
    }
    let mixed = multipart("mixed", &[plain("P"), empty.clone()]);
    assert_eq!(of(&mixed).0, plain_text);
    assert!(matches!(of(&empty).0, Text::Html(_)));
    let alone = multipart("alternative", &[plain(""), enriched.clone()]);
    for message in [&alone, &enriched] {
        let parts = Parts::read(message);
        let refused = Contents::of(&parts).and_then(Contents::finish);
        assert_eq!(refused.err(), Some(JsonMessageError::Unshown), "{message}");
    }
}

#[test]
fn parts_of_a_digest_are_messages() {
    let inner = "From: anna@fabrikam.example\r\nSubject: inner\r\n\r\nInner text";
    let parts = [
        format!("\r\n{inner}"),
        format!("\r\n{inner}2"),
        plain("intro"),
    ];
    let message = multipart("digest", &parts);

    let (text, files, _) = of(&message);

    assert_eq!(text, Text::Plain("intro".to_owned()));
    assert_eq!(names(&files), ["message.eml", "message-2.eml"]);
    assert_eq!(files[0].content, inner);
}

#[test]
fn a_part_that_cannot_be_decoded_refuses_the_whole() {
    let damaged = "Content-Type: application/pdf; name=a.pdf\r\n\
        Content-Transfer-Encoding: base64";
    let unknown = "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-yencode";
    for (part, name) in [
        (part(damaged, "JVBERi0xL"), "a.pdf"),
        (part(unknown, "=ybegin"), "attachment.txt"),
    ] {
        let message = multipart("mixed", &[html("<p>H"), part]);
        let parts = Parts::read(&message);
        let refused = Contents::of(&parts).and_then(Contents::finish);
        let name = name.to_owned();
        assert_eq!(refused.err(), Some(JsonMessageError::Undecodable { name }));
    }
}
