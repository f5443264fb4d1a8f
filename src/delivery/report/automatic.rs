//! Messages whose senders expect no report.
//!
//! Automatic messages are those of RFC 3834, those for which Exchange's
//! X-Auto-Response-Suppress asks for no answer, and reports of others. The fields of a
//! mailing list (List-Id) alone do not count: its reverse-path exists to receive reports.
//!
//! A ticket system may answer a report without marking its answer as automatic, and
//! request a report about it. So an answer to one of the relay's own reports is not
//! reported as relayed.

use crate::mail::SpoolId;
use crate::mime::Header;

/// Whether the sender of this message expects no answer.
pub(in crate::delivery) fn is_automatic(header: &Header<'_>) -> bool {
    let first_word = |text: &str| {
        let word = text.split([';', '(', ' ', '\t']).next();
        word.unwrap_or_default().to_ascii_lowercase()
    };
    header.fields.iter().any(|field| {
        let text = field.text();
        let word = first_word(&text);
        if field.is("Auto-Submitted") {
            // RFC 3834 5.
            word != "no"
        } else if field.is("Precedence") {
            ["bulk", "list", "junk"].contains(&word.as_str())
        } else if field.is("X-Auto-Response-Suppress") {
            // [MS-OXCMAIL]; set by Exchange's own programs and by many others.
            let mut asked = text.split(',').map(str::trim);
            asked.any(|it| ["all", "dr", "ndr"].contains(&it.to_ascii_lowercase().as_str()))
        } else {
            field.is("Content-Type") && word == "multipart/report"
        }
    })
}

/// Whether a message answers one of this relay's messages. Reports have Message-IDs of
/// this form, and so do messages that came without one.
pub(in crate::delivery) fn answers_a_report(header: &Header<'_>, hostname: &str) -> bool {
    header.fields.iter().any(|field| {
        let refers = field.is("In-Reply-To") || field.is("References");
        refers
            && field.text().split(['<', '>', ' ', '\t']).any(|id| {
                let (id, host) = id.split_once('@').unwrap_or_default();
                host.eq_ignore_ascii_case(hostname) && id.parse::<SpoolId>().is_ok()
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_messages_are_known_by_their_fields() {
        let automatic = |field: &str| {
            let head = format!("{field}\r\n\r\n");
            is_automatic(&Header::split(head.as_bytes(), true).unwrap())
        };

        for field in [
            "Auto-Submitted: auto-generated",
            "auto-submitted: Auto-Replied (vacation); x=y",
            "Auto-Submitted:",
            "Precedence: bulk",
            "Precedence: Junk",
            "X-Auto-Response-Suppress: OOF, DR, AutoReply",
            "X-Auto-Response-Suppress: All",
            "Content-Type: multipart/report; report-type=delivery-status",
        ] {
            assert!(automatic(field), "{field}");
        }
        for field in [
            "Auto-Submitted: no",
            "Auto-Submitted: No (a person)",
            "Precedence: first-class",
            "X-Auto-Response-Suppress: OOF, AutoReply",
            "Content-Type: multipart/mixed",
            "List-Id: <list.contoso.com>",
            "Subject: Auto-Submitted: auto-replied",
        ] {
            assert!(!automatic(field), "{field}");
        }
    }

    #[test]
    fn an_answer_to_a_report_is_known_by_the_message_that_it_refers_to() {
        let answers = |field: &str| {
            let head = format!("Subject: Re: x\r\n{field}\r\n\r\n");
            let header = Header::split(head.as_bytes(), true).unwrap();
            answers_a_report(&header, "relay.test")
        };

        for field in [
            "In-Reply-To: <01M7ZZDH4TKT6XKYKEMYK3N3EK@relay.test>",
            "in-reply-to: 01M7ZZDH4TKT6XKYKEMYK3N3EK@Relay.TEST",
            "References: <1@app>\r\n <01M7ZZDH4TKT6XKYKEMYK3N3EK@relay.test>",
            "References: <1@app><01M7ZZDH4TKT6XKYKEMYK3N3EK@relay.test>",
        ] {
            assert!(answers(field), "{field}");
        }
        for field in [
            "In-Reply-To: <1@app>",
            "In-Reply-To: <ticket-1@relay.test>",
            "In-Reply-To: <01M7ZZDH4TKT6XKYKEMYK3N3EK@relay.example>",
            "Message-ID: <01M7ZZDH4TKT6XKYKEMYK3N3EK@relay.test>",
            "X: y",
        ] {
            assert!(!answers(field), "{field}");
        }
    }
}
