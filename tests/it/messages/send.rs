//! Sends the messages of one relay, and views what the stand-in for Graph has received of
//! each.

use std::collections::BTreeSet;

use graph_relay_sandbox::Sandbox;

use super::MAILBOXES;
use super::read::Form;
use super::read::Sample;
use super::view::view;
use crate::common::Home;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::recipients;
use crate::common::stuffed;

/// Sends all of them; returns the name of each with its view.
pub(crate) fn send_all<'s>(
    graph: &Sandbox,
    form: Form,
    keys: &str,
    samples: &[&'s Sample],
) -> Vec<(&'s str, String)> {
    let mut more = format!("default_from = \"{}\"\n{keys}", MAILBOXES[1]);
    if form == Form::Json {
        more.push_str("format = \"json\"\n");
    }
    let home = Home::with(graph).account(MAILBOXES[0], &more).build();
    let relay = Relay::start(&home);
    let sent: Vec<_> = samples
        .iter()
        .map(|sample| (*sample, transaction(&mut relay.connect(), sample)))
        .collect();
    let views = sent.into_iter().map(|(sample, reply)| {
        let queued = reply.trim_end().strip_prefix("250 2.0.0 Ok: queued as ");
        let view = match queued {
            Some(id) => outcome(&relay, graph, form, sample, id),
            None => format!("Refused: {reply}").replace("\r\n", "\n"),
        };
        (&*sample.name, view)
    });
    views.collect()
}

/// The reply to the message, or to the command that was refused before it.
fn transaction(smtp: &mut Smtp, sample: &Sample) -> String {
    smtp.expect("EHLO client.example", "250");
    let all = sample.recipients.concat();
    let utf8 = if all.is_ascii() && sample.mail_from.is_ascii() {
        ""
    } else {
        " SMTPUTF8"
    };
    let mut dialog = vec![format!("MAIL FROM:<{}>{utf8}", sample.mail_from)];
    let recipients = sample.recipients.iter();
    dialog.extend(recipients.map(|to| format!("RCPT TO:<{to}>")));
    dialog.push("DATA".to_owned());
    for line in dialog {
        let reply = smtp.say(&line);
        if !reply.starts_with(['2', '3']) {
            return reply;
        }
    }
    smtp.write(&stuffed(&sample.content));
    smtp.say(".")
}

/// Waits until a message is finished, and returns its outcome.
fn outcome(relay: &Relay, graph: &Sandbox, form: Form, sample: &Sample, id: &str) -> String {
    let end = relay.event_of(&["delivered", "failed", "deferred"], |line| {
        line["id"] == *id
    });
    if end["event"] != "delivered" {
        let [event, reason] = ["event", "reason"].map(|key| end[key].as_str().unwrap());
        return format!("{event}: {reason}\n");
    }
    let arrivals = graph.arrivals();
    let mut arrivals = arrivals
        .iter()
        .filter(|arrival| end["request_id"] == *arrival.request_id);
    let arrival = arrivals.next().unwrap();
    let wanted: BTreeSet<String> = sample.reached.iter().map(|to| to.to_lowercase()).collect();
    assert_eq!(recipients(arrival), wanted, "{}", sample.name);
    let named = arrival.to.len() + arrival.cc.len() + arrival.bcc.len();
    assert_eq!(named, wanted.len(), "{}: named twice", sample.name);
    view(arrival, form, &sample.content)
}
