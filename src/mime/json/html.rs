//! Whether an HTML text shows anything: programs that write a message in two forms may
//! leave one of them empty, although its markup is not.

/// Whether an HTML text has something to see: letters outside of its markup, or a
/// picture.
pub(in crate::mime) fn shows(html: &str) -> bool {
    const PICTURES: [&str; 9] = [
        "<img", "<svg", "<hr", "<input", "<video", "<object", "<iframe", "<canvas", "url(",
    ];
    let lower = html.to_ascii_lowercase();
    let bare = without(&without(&lower, "<!--", "-->"), "<style", "</style>");
    let bare = without(
        &without(&bare, "<script", "</script>"),
        "<title",
        "</title>",
    );
    if PICTURES.iter().any(|picture| bare.contains(picture)) {
        return true;
    }
    let bare = without(&bare, "<", ">");
    let blanks = [
        "&nbsp;", "&#160;", "&#xa0;", "&zwnj;", "&zwj;", "&#8203;", "&shy;",
    ];
    let bare = blanks
        .iter()
        .fold(bare, |text, blank| text.replace(blank, ""));
    let is_blank =
        |c: char| c.is_whitespace() || "\u{200b}\u{200c}\u{200d}\u{feff}\u{ad}".contains(c);
    !bare.chars().all(is_blank)
}

/// Removes the text between these marks; unclosed text stays.
fn without(text: &str, open: &str, close: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once(open) {
        let Some((_, behind)) = inside.split_once(close) else {
            break;
        };
        kept.push_str(before);
        rest = behind;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::shows;

    #[test]
    fn markup_alone_shows_nothing_and_a_picture_does() {
        for html in [
            "",
            " \r\n",
            "<html><body></body></html>",
            "<HTML><HEAD><TITLE>x</TITLE><STYLE>p { a: b }</STYLE></HEAD><BODY>&nbsp;<br></BODY>",
            "<!-- nothing --><script>alert(1)</script><p>\u{a0}\u{200b}</p>",
        ] {
            assert!(!shows(html), "{html}");
        }
        for html in [
            "x",
            "<p>x",
            "<p>&lt;</p>",
            "<img src=cid:a>",
            "<body style='background: url(x.png)'>",
            "<!-- not closed",
            "5 < 6",
        ] {
            assert!(shows(html), "{html}");
        }
    }
}
