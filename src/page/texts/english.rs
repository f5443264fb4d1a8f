//! The texts of the page in English.

use super::AccessTexts;
use super::LayoutTexts;
use super::MessageTexts;
use super::MessagesTexts;
use super::OverviewTexts;
use super::Texts;
use super::TimeTexts;
use crate::admin::DeviceState;
use crate::admin::PageRole as Role;
use crate::page::badge::Badge;
use crate::page::devices::texts::DevicesTexts;
use crate::spool::Action;

pub(super) static TEXTS: Texts = Texts {
    layout: LayoutTexts {
        skip: "Skip to content",
        pages: "Pages",
        overview: "Overview",
        messages: "Messages",
        devices: "Devices",
        attention: "Needs attention",
        what_to_do: "What to do:",
        all_well: "All is well: mail is accepted and delivered.",
        since: "Since",
        show_them: "Show the messages",
        log_out: "Log out",
        inbox: "Sandbox: what arrived",
    },
    access: AccessTexts {
        log_in: "Log in",
        with_link: "This link logs you in to the admin page. It works once.",
        how: "To log in, run this command on the machine of the relay, and open the address that \
              it prints:",
        password: "Password",
        wrong_link: "This link does not work: it was used, it is older than ten minutes, or it is \
                     not complete. Make another one.",
        wrong_password: "This password is wrong.",
        wait: "Too many wrong attempts from your address. Wait ten minutes, or log in with a link.",
        foreign_title: "This request came from another site",
        foreign: "Nothing was changed. If you meant to change something, go to the page and do it \
                  there.",
        stale_title: "This form is out of date",
        stale: "Nothing was changed. Load the page again and repeat what you did.",
        not_allowed_title: "Not permitted",
        not_allowed: "You may look at this, but not change it. Ask an administrator of the relay.",
        not_found_title: "There is nothing here",
        not_found: "The address may be mistyped, or what it showed is no longer kept.",
        unreadable_title: "The relay does not understand this request",
        unreadable: "A value is missing or not well-formed. Nothing was changed. Go back, check what \
                     you typed, and try again.",
        method_title: "This address is not a page",
        method: "It takes orders from buttons of other pages. Nothing was changed.",
        slow_title: "The request did not arrive in time",
        slow: "Nothing was changed. Check your connection and try again.",
        large_title: "The form is too large",
        large: "Nothing was changed. Select fewer messages, or type less.",
        arrival_title: "Opening the page",
        arrival: "Continue",
        role: |role| match role {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Administrator => "administrator",
        },
    },
    overview: OverviewTexts {
        accepted: "Accepted",
        delivered: "Delivered",
        deferred: "Deferred",
        deferred_help: "Attempts after which a message waits for another.",
        failed: "Failed",
        refused: "Refused at the door",
        hour: "Last hour",
        day: "Last 24 hours",
        week: "Last 7 days",
        span: "Time",
        since_start: |span| format!("The relay was started {span} ago and counts from then on."),
        most_in_a_bar: |most| format!("the highest bar is {most}"),
        waiting: "Waiting",
        oldest: |span| format!("The oldest has waited for {span}."),
        nothing_waits: "Nothing waits.",
        held: "Held",
        show_waiting: "Show what waits",
        show_failed: "Show what failed",
        show_refused: "Show what was refused",
        mailboxes: "Mailboxes",
        mailbox: "Mailbox",
        state: "State",
        next_free: "Sends again",
        sending: "Ready to send",
        limited: "Waits for a limit",
        backing_off: "Waits after failures",
        paused: "Paused",
        no_mailbox: "No mailbox has sent anything yet.",
        listening: "Listening",
        version: |version| format!("graph-relay {version}"),
        first_title: "No message has come in yet",
        first: "Send one to the address below, for example with this command:",
    },
    messages: MessagesTexts {
        search_help: "Recipient, sender, subject, ID or device",
        state: "State",
        all_states: "All",
        time: "Time",
        any_time: "Any time",
        last_hour: "Last hour",
        last_day: "Last 24 hours",
        last_week: "Last 7 days",
        find: "Search",
        only: "Only",
        without: "Without this filter",
        caption: "One row for each recipient, the newest first: accepted and refused. Times are in UTC.",
        from: "From",
        to: "To",
        subject: "Subject",
        happened: "What happened",
        client: "Device",
        no_subject: "no subject",
        no_sender: "no sender",
        itself: "the relay",
        nothing: "No message matches.",
        nothing_yet: "There is no message yet.",
        nothing_so_far: "No newer message matches. The search goes on with older messages.",
        older: "Older messages",
        newest: "Back to the newest",
        live: "The list updates itself, except while you select or type.",
        bad_filter: "This filter cannot be used:",
        select: "Select",
        select_first: "For the selected messages.",
        status: |badge| match badge {
            Badge::Waiting => "Waiting",
            Badge::Claimed => "Being sent",
            Badge::Held => "Held",
            Badge::Delivered => "Delivered",
            Badge::Failed => "Failed",
            Badge::Dropped => "Dropped",
            Badge::Quarantined => "In quarantine",
            Badge::Refused => "Refused",
        },
    },
    message: MessageTexts {
        unknown_title: "No such message",
        unknown: "It never existed, or it is older than [history] keep allows.",
        recipients: "Recipients",
        instead_of: "instead of",
        details: "Details",
        envelope_sender: "Envelope sender",
        mailbox: "Mailbox",
        size: "Bytes",
        report_about: "Report about",
        copy_of: "Copy of",
        copy: "Sent again as",
        made: "Made by the relay, and safe on disk.",
        accepted: |client, hello| format!("Accepted from {client} ({hello}), and safe on disk."),
        attempt: |number, outcome| format!("Attempt {number}: {outcome}."),
        planned: |number| format!("Attempt {number} is planned."),
        under_way: "under way",
        delivered: "delivered to Microsoft 365",
        deferred: "did not succeed",
        failed: "failed for good",
        doubtful: "it is unknown whether Microsoft 365 accepted it",
        code: "code",
        took: "took",
        retry: "Retry",
        hold: "Hold",
        release: "Release",
        drop: "Drop",
        question: |action, count| {
            let messages = counted_usize(count, "message");
            match action {
                Action::Retry => format!("Retry {messages} now?"),
                Action::Hold => format!("Hold {messages}?"),
                Action::Release => format!("Release {messages}?"),
                Action::Drop => format!("Drop {messages}?"),
            }
        },
        confirm: |action, count| {
            let messages = counted_usize(count, "message");
            match action {
                Action::Retry => format!("Retry {messages}"),
                Action::Hold => format!("Hold {messages}"),
                Action::Release => format!("Release {messages}"),
                Action::Drop => format!("Drop {messages}"),
            }
        },
        drop_help: "What is dropped is never sent. Its content is deleted, or kept for \
                    history.keep_content. No report is sent.",
        done: |action, count| {
            let messages = counted_usize(count, "message");
            match action {
                Action::Retry => format!("{messages} will be tried at once"),
                Action::Hold => format!("{messages} held"),
                Action::Release => format!("{messages} released"),
                Action::Drop => format!("{messages} dropped"),
            }
        },
        unchanged: |count| format!("{} not changed.", counted_usize(count, "message")),
        back: "Back",
        cancel: "Cancel",
        resend_title: "Send it again",
        resend_to: "To these addresses; leave it empty for the original recipients",
        resend: "Send again",
        resend_question: "Somebody may receive it twice",
        resent: |to| format!("A copy goes to {to}"),
        not_resent: "It was not sent again",
        not_an_address: "This is not an address. Write addresses like anna@contoso.com, with commas \
                         between them.",
    },
    devices: DevicesTexts {
        nothing: "No device has sent anything yet. Point a device or an application at the relay: \
                  it is listed here when its first message comes.",
        caption: "Each client address and, where it logs in, each user: the one that was seen last \
                  comes first. Today begins at midnight UTC.",
        live: "The list updates itself.",
        device: "Device",
        last_seen: "Last seen",
        today: "Today",
        signs_in_as: "Signs in as",
        by_network: "by its address",
        connection: "Connection",
        notes: "Notes",
        no_tls: "no TLS",
        ago: |span| format!("{span} ago"),
        now: "just now",
        accepted: |count| format!("{count} accepted"),
        delivered: |count| format!("{count} delivered"),
        failed: |count| format!("{count} failed"),
        refused: |count| format!("{count} refused"),
        nothing_today: "nothing",
        state: |state| match state {
            DeviceState::Sending => "Sends mail",
            DeviceState::Silent => "Silent",
            DeviceState::Refused => "Refused",
        },
        silent: |days| format!("Silent for {}", counted(days, "day")),
        unknown_title: "No such device",
        unknown: "It has not sent anything, or the relay has forgotten it: it remembers the last \
                  1,000 devices.",
        verdict: |state| match state {
            DeviceState::Sending => "Its last message was accepted.",
            DeviceState::Silent => {
                "It has sent regularly, and sends nothing any more. Is it \
                                    turned off, or does it send to another address?"
            }
            DeviceState::Refused => "The relay refused what it sent last.",
        },
        details: "Details",
        address: "Address",
        name: "Calls itself",
        first_seen: "First seen",
        last_accepted: "Last message accepted",
        never: "never",
        authentication: "Authentication",
        none: "none",
        senders: "Sends as",
        quirks: "Tolerated deviations",
        figures: "Messages",
        figures_of: "Since when",
        since: |since| format!("since {since}"),
        heads: ["Accepted", "Delivered", "Failed", "Refused"],
        last_messages: "Last messages",
        all_messages: "All messages of this device",
        all_refusals: "All that was refused",
        transcripts: "Sessions that went wrong",
        transcripts_help: "What this address and the relay said to each other, without passwords \
                           and content. The relay keeps the last ones until it is restarted.",
        no_transcripts: "None since the relay was started.",
        omitted: |count| format!("… {count} lines are not kept …"),
        client: "Device",
        relay: "Relay",
        event: "Event",
    },
    time: TimeTexts {
        seconds: |count| counted(count, "second"),
        minutes: |count| counted(count, "minute"),
        hours: |count| counted(count, "hour"),
        days: |count| counted(count, "day"),
    },
};

fn counted_usize(count: usize, unit: &str) -> String {
    counted(u64::try_from(count).unwrap_or(u64::MAX), unit)
}

fn counted(count: u64, unit: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}
