//! The texts of the page in English.

use super::AccessTexts;
use super::ContentTexts;
use super::ExportTexts;
use super::LayoutTexts;
use super::MessageTexts;
use super::MessagesTexts;
use super::OrderTexts;
use super::OverviewTexts;
use super::Texts;
use super::TimeTexts;
use super::attention;
use crate::admin::AuditAction;
use crate::admin::AuditResult;
use crate::admin::DeviceState;
use crate::admin::Obstacle;
use crate::admin::PageRole as Role;
use crate::admin::PermissionKind;
use crate::admin::TokenState;
use crate::config::Tls;
use crate::page::audit::AuditTexts;
use crate::page::badge::Badge;
use crate::page::devices::texts::AddTexts;
use crate::page::devices::texts::AllowTexts;
use crate::page::devices::texts::DevicesTexts;
use crate::page::devices::texts::UserTexts;
use crate::page::doctor::DoctorTexts;
use crate::page::mailboxes::texts::MailboxesTexts;
use crate::page::setup::texts::SetupTexts;
use crate::page::test_message::texts::TestTexts;
use crate::spool::Action;

pub(super) static TEXTS: Texts = Texts {
    layout: LayoutTexts {
        skip: "Skip to content",
        pages: "Pages",
        overview: "Overview",
        messages: "Messages",
        devices: "Devices",
        setup: "Set-up",
        mailboxes: "Mailboxes",
        attention: "Needs attention",
        what_to_do: "What to do:",
        by_operator: "an operator of the relay can do this",
        all_well: "All is well: mail is accepted and delivered.",
        since: "Since",
        seen: "Seen since",
        show_them: "Show the messages",
        show_it: "Show the message",
        look_again: "Look again",
        log_out: "Log out",
        inbox: "Sandbox: what arrived",
    },
    attention: attention::ENGLISH,
    access: AccessTexts {
        log_in: "Log in",
        logged_out: "You are logged out.",
        session_ended: "Your session has ended. Log in again to go on where you were.",
        with_link: "This link logs you in to the admin page. It works once.",
        how: "To log in, run this command on the machine of the relay, and open the address that \
              it prints:",
        password: "Password",
        wrong_link: "This link does not work: it was used, it is older than ten minutes, or it is \
                     not complete. Make another one.",
        entra: "Log in with Microsoft",
        entra_failed: "You are not logged in",
        entra_stale: "This log-in is no longer valid: it took too long, or it was begun in another \
                      browser. Begin again.",
        entra_not_listed: "Microsoft has logged you in, but this user is in no list of \
                           [admin.entra] in relay.toml. Ask an administrator of the relay, or use \
                           another account:",
        entra_groups: "The user is in more groups than Microsoft names. Name the user in \
                       relay.toml, or let Entra name only groups that are assigned to the app.",
        wrong_password: "This password is wrong.",
        wait: "Too many wrong attempts from your address. Wait ten minutes, or log in with a link.",
        foreign_title: "This request came from another site",
        foreign: "Nothing was changed. If you meant to change something, go to the page and do it \
                  there.",
        stale_title: "This form is out of date",
        stale: "Nothing was changed. Load the page again and repeat what you did.",
        not_allowed_title: "Not permitted",
        not_allowed: "You may look at this, but not change it. Ask an administrator of the relay.",
        not_shown: "Only an administrator of the relay may see this.",
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
        unnamed_proxy: "there is a proxy in front of the admin page that relay.toml does not name",
        unnamed_proxy_remedy: "add the url by which browsers reach the page and proxies = \
                               [\"127.0.0.1\"] under [admin] in relay.toml, then restart the relay. \
                               Until then the cookie of the log-in is not Secure, and wrong \
                               passwords of one visitor make all wait",
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
        next_free: "More is free",
        recipients: "Recipients of the last 24 hours",
        at_once: "Requests at once",
        most_at_once: |most| format!("up to {most}"),
        fewer_at_once: |now, most| format!("{now} instead of {most}: Microsoft asked for less"),
        of: |used, limit| format!("{used} of {limit}"),
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
        nothing_selected: "No message is selected, so nothing was done. Select messages in the list first.",
        status: |badge| match badge {
            Badge::Waiting => "Waiting",
            Badge::Claimed => "Claimed (being sent)",
            Badge::Held => "Held",
            Badge::Delivered => "Delivered",
            Badge::Failed => "Failed",
            Badge::Dropped => "Dropped",
            Badge::Quarantined => "Quarantined",
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
        asked_to_wait: |span| format!("Microsoft asked to wait {span}."),
        planned: |number| format!("Attempt {number} is planned."),
        under_way: "under way",
        delivered: "delivered to Microsoft 365",
        deferred: "did not succeed",
        failed: "failed for good",
        doubtful: "it is unknown whether Microsoft 365 accepted it",
        code: "code",
        took: "took",
        protocol: "protocol",
        yes: "yes",
        no: "no",
        retry: "Retry",
        hold: "Hold",
        release: "Release",
        drop: "Drop",
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
        resend: "Send again",
        resend_question: "Somebody may receive it twice",
        resent: |to| format!("A copy goes to {to}"),
        not_resent: "It was not sent again",
        not_an_address: "This is not an address. Write addresses like anna@contoso.com, with commas \
                         between them.",
    },
    test: TestTexts {
        title: "Send a test message",
        to: "To",
        from: "From",
        from_help: "Leave it empty to send from the mailbox of the account.",
        account: "Account",
        any_account: "The one that the From address selects",
        send: "Send",
        no_address: "This is not an address. Write one like anna@contoso.com.",
        not_sent: "Not sent",
        steps: "Its way",
        token: |account| format!("Entra has issued a token for the account {account}"),
        accepted: "The relay has accepted the message: it is safe on disk",
        answered: "Graph has answered",
        asking: "The relay is asking Graph",
        waits: "This page reloads itself until the message has ended.",
        waits_long: "The message has not ended yet, and this page no longer reloads itself.",
        untested: "Not tested",
        untested_list: "Whether a device can connect and log in by SMTP, and whether the message \
                        arrives in the inbox: Microsoft may still filter it. Look into the \
                        recipient's inbox and its junk folder.",
        again: "Send another",
        whole: "Everything about this message",
    },
    setup: SetupTexts {
        needed: "The relay is not set up yet",
        needed_help: "It accepts no mail until it knows which app and which mailbox send.",
        not_saved: "Not saved",
        nothing_changed: "Nothing was changed: the relay goes on with its old settings.",
        at_field: "The field concerned:",
        refused_here: "Microsoft does not accept this. The top of the page says why.",
        said: "Microsoft said:",
        hints: "In addition",
        set_by: |variable| {
            format!("Set by the environment variable {variable}: relay.toml has no effect here.")
        },
        no_file: "This relay has no relay.toml that could be changed here.",
        accounts: "Accounts",
        app_title: "1. The app in Entra",
        sign_in: "How it sends",
        application: "The app sends for all mailboxes",
        delegated: "Each mailbox is connected by its owner",
        sign_in_help: "The first needs the application permission Mail.Send. With the second, save \
                       here, then connect each mailbox on the page Mailboxes, which shows the \
                       redirect address to enter in Entra.",
        tenant: "Directory (tenant) ID",
        tenant_help: "In Entra: App registrations → the app → Overview.",
        no_tenant: "This is neither an ID nor a domain. Copy the Directory (tenant) ID.",
        client_id: "Application (client) ID",
        client_id_help: "On the same page of Entra.",
        no_client_id: "This is not an ID like 22222222-2222-2222-2222-222222222222. Copy the \
                       Application (client) ID.",
        secret: "Client secret, its Value",
        secret_saved: "saved, never shown",
        secret_held: "entered, not saved",
        secret_held_help: "The secret that you entered is not saved either. The relay remembers it for \
                           an hour, for this form only: leave its field empty to use it again.",
        secret_stored: |day| format!("The secret in use was stored on {day}; it is never shown."),
        secret_missing: "Enter the secret's Value. The relay has none yet.",
        secret_lost: "The relay no longer has the secret you entered: enter it again.",
        secret_damaged: "This is not a secret of Entra's: it contains quotation marks, blanks or a \
                         line break. Copy only the column Value.",
        secret_help: "In Entra: Certificates & secrets. The secret's Value, not its ID: Entra shows \
                      it only once, right after you have created it. Leave this empty to keep the \
                      one that is saved.",
        secret_id: "That is the Secret ID. Copy the column Value; it is shown only once, so you may \
                    have to create a new secret.",
        other_credential: "At present the account uses another credential:",
        expires: "It expires on",
        expires_help: "The column Expires in Entra. The relay warns you 30 days ahead.",
        no_day: "Enter a date like 2027-11-30.",
        mailbox_title: "2. The mailbox that sends",
        mailbox: "Mailbox",
        mailbox_help: "Its user principal name, not an alias; it needs an Exchange Online licence. \
                       Or the word from: each message is sent from the mailbox in its From.",
        no_mailbox: "Enter an address like noreply@contoso.com, or the word from.",
        clouds: "Another cloud of Microsoft's",
        cloud: "Cloud",
        login_url: "Address of Entra",
        graph_url: "Address of Graph",
        urls_help: "Leave both empty to use those of the cloud.",
        reach_title: "3. Who may connect",
        reach: "Programs and devices",
        here: "On this machine only",
        networks: "On this machine, and at these addresses",
        addresses: "Addresses",
        networks_help: "One on each line: 192.0.2.17 for one device, 192.0.2.0/24 for a network.",
        no_networks: "Enter addresses like 192.0.2.17 or networks like 192.0.2.0/24.",
        several_listeners: "relay.toml has several [[listener]] sections: change them there.",
        save: "Save and check",
        anyway: "Save anyway",
        save_help: "Saving asks Microsoft for a token and tries the mailbox; that takes a few seconds.",
        changed_meanwhile: "relay.toml was changed by somebody else meanwhile. Reload this page to \
                            see it, then enter your change again.",
        consent_title: "Grant admin consent",
        consent_help: "When the permission Mail.Send is in the list of the app (Entra: API \
                       permissions), an administrator of the tenant grants it at this address:",
        scope_title: "Limit the app to its mailbox",
        scope_help: "The application permission Mail.Send covers every mailbox of the tenant. To \
                     allow only this one, remove that permission in Entra and run in PowerShell:",
        scope_gaps: "Fill in CLIENT_ID or MAILBOX where the commands have one of these words. They \
                     have your values as soon as the form does and Microsoft accepts them.",
        prepared: "The change is ready, and not written yet",
        prepared_help: "The relay may not write relay.toml, so that nobody who breaks into it can \
                        change what it does. Run this on its machine; it shows the change again, \
                        asks, writes it and puts it into force. It waits for a day:",
        written: "Saved, but not in force yet",
        in_force: "Saved and in force",
        previous: "The text before is in relay.toml.previous.",
        not_in_force: "The relay still uses the configuration before:",
        needs_restart: "These settings take effect when the relay restarts:",
        connect_next: "When it is in force: connect each mailbox",
        restart: "Restart the relay now",
        restart_help: "It takes a few seconds; clients that connect meanwhile try again. No mail is lost.",
        restarts: "The relay restarts",
        restarts_help: "This page goes on by itself when the relay is there again. That takes a few seconds, and \
                        up to a minute if clients or messages are being served. If you have changed the address \
                        of the page, open it there.",
        restarted: "The relay has restarted",
        restarted_help: "It uses relay.toml as it is now.",
        restarted_except: "It does not use all of relay.toml yet:",
        not_restarted: "The restart has failed",
        not_restarted_help: "The relay cannot start with the new relay.toml. It goes on with the configuration before, and \
                             no mail is lost.",
        not_restarted_remedy: "correct this on the set-up page or in relay.toml (graph-relay check looks at the file), \
                               then restart the relay again.",
        applied: "Applied, and in force",
        applied_by: "The change was written into relay.toml by:",
        applied_not_in_force: "Applied, but not in force yet",
        expired: "This change is no longer kept",
        expired_help: "A prepared change waits for a day. Save it again on the set-up page.",
        keys: "What changes",
        no_keys: "Nothing: relay.toml says this already.",
        key: "Setting",
        old: "Before",
        new: "After",
        lines: "The lines of relay.toml",
    },
    devices: DevicesTexts {
        nothing: "No device has sent anything yet. Point a device or an application at the relay: \
                  it is listed here when its first message comes.",
        search: "Address, user, name or sender",
        find: "Find",
        all: "All",
        none_found: "No device matches.",
        range: |from, to, of| format!("{from} to {to} of {of}"),
        previous: "Previous page",
        next: "Next page",
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
            DeviceState::Sending => "Accepted",
            DeviceState::Silent => "Silent",
            DeviceState::Refused => "Refused",
            DeviceState::Added => "Added, has not sent yet",
            DeviceState::Removed => "Removed",
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
            DeviceState::Added => "It has not logged in yet.",
            DeviceState::Removed => {
                "Its user is no longer in relay.toml, so it cannot log in any more."
            }
        },
        forget: "Forget this device",
        forget_question: "The relay takes the device off the list of devices, with its figures. It \
                          does not block the device: if the device sends again, the relay treats \
                          it as before, and lists it again. Its messages stay in the list of \
                          messages.",
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
    mailboxes: MailboxesTexts {
        intro: "Mailboxes that sign in themselves: the relay sends from each with the permission \
                that its user has given.",
        none: "No account in relay.toml has sign_in = \"delegated\": the apps send by their own \
               permission, and nobody has to sign in.",
        nobody_yet: "No mailbox has signed in yet.",
        caption: "Times are in UTC.",
        account: "Account",
        actions: "What you can do",
        state_of: |state| match state {
            TokenState::Good | TokenState::NotAskedFor | TokenState::SignedIn => "Signed in",
            TokenState::Refused | TokenState::SignedOut => "Must sign in again",
            TokenState::Unavailable => "Microsoft does not answer",
            TokenState::NotSignedIn => "Has not signed in",
        },
        since: "since",
        sign_in: "Sign in",
        sign_in_again: "Sign in again",
        make_link: "Link for its user",
        forget: "Forget",
        other_title: "Connect another mailbox",
        other_label: "Mailbox: its user principal name, like anna@contoso.com",
        unknown: "No account with sign_in = \"delegated\" sends from this mailbox. Compare mailbox \
                  and senders in relay.toml.",
        redirect_title: "The redirect address for Entra",
        redirect_label: "Copy this address",
        redirect_web: "In Entra: App registrations > the app > Authentication > Add a platform > \
                       Web. Enter it as redirect URI and save.",
        redirect_public: "For an account without client secret or certificate, choose Mobile and \
                          desktop applications instead of Web, and enter it under custom redirect \
                          URIs.",
        not_accepted: "Entra accepts http only for localhost. Set url under [admin] in relay.toml \
                       to the https address of this page.",
        consent: "An administrator of the tenant can agree for all users, so that nobody is asked. \
                  For account",
        elsewhere: "Microsoft brings the browser back to another address than the one you use now. \
                    Before you sign in a mailbox, open the page there and log in:",
        forget_question: |mailbox| format!("Forget the sign-in of {mailbox}?"),
        forget_help: "Its mail waits until it signs in again. The app keeps its permission in \
                      Entra; the user can withdraw it at myapps.microsoft.com.",
        forgotten: |mailbox| format!("The sign-in of {mailbox} is forgotten. Its mail waits."),
        link_title: |mailbox| format!("A link to connect {mailbox}"),
        link_label: "Send this link to the user of the mailbox",
        link_help: "It is shown only now. It works once, for a day, until the relay is restarted or \
                    you make another one. With it the user can connect this mailbox and do nothing \
                    else.",
        link_only_here: "This link works only in a browser on the relay's own machine, because this \
                         page can be reached only there. For users elsewhere, give [admin] in \
                         relay.toml an address in your network with tls, and set url to its https \
                         address; then make the link again. Or the user opens an SSH tunnel to the \
                         relay first, with the same port.",
        back: "Back to the mailboxes",
        connect: |mailbox| format!("Connect {mailbox}"),
        wrong_link_title: "This link does not work",
        wrong_link: "It was used, it is older than a day, or it is not complete. Ask the \
                     administrator who sent it for another one.",
        guest: |relay| {
            format!(
                "The mail relay {relay} sends mail from this mailbox, for example for printers and \
                 applications. For this you sign in at Microsoft once. The relay does not see your \
                 password, and cannot read your mail unless Microsoft names that permission."
            )
        },
        guest_once: "This link works once. Go on in the browser in which you want to sign in.",
        go_on: "Go on",
        go_title: |mailbox| format!("Sign in at Microsoft as {mailbox}"),
        go_help: |mailbox| {
            format!(
                "Choose {mailbox} there. If the browser is signed in with another account, sign out \
                 everywhere first, or use a private window. Afterwards the browser comes back here."
            )
        },
        go: "Go to Microsoft",
        go_stuck: "If Microsoft shows AADSTS50011 and does not come back, this redirect address is \
                   missing in Entra, at Authentication of the app:",
        came_back: "Back from Microsoft",
        came_back_help: "One moment. If nothing happens, go on by hand.",
        checking: "Checking the answer of Microsoft",
        checking_help: "This takes a few seconds.",
        stale_title: "This sign-in is no longer valid",
        stale: "It took more than an hour, it was begun in another browser, or the relay was \
                restarted. Begin again.",
        obstacle: |obstacle| match obstacle {
            Obstacle::OtherUser => (
                "Another account has signed in",
                "Sign out everywhere first, for example at login.microsoftonline.com/logout.srf, or \
                 use a private window. Then try again, and choose the mailbox itself.",
            ),
            Obstacle::NoConsent => (
                "The permission is missing",
                "Somebody has to agree that the app sends mail. If users may not do so, an \
                 administrator of the tenant grants it once: Entra > App registrations > the app > \
                 API permissions > Grant admin consent. Then try again.",
            ),
            Obstacle::Stale => (
                "This answer belongs to no sign-in that waits",
                "The page was loaded twice, or it took too long. Try again.",
            ),
            Obstacle::Entra => (
                "Microsoft did not sign in the mailbox",
                "Below is what Microsoft said, and what to do about it. Then try again.",
            ),
            Obstacle::Relay => (
                "The relay could not keep the sign-in",
                "Below is the reason. Then try again.",
            ),
        },
        try_again: "Try again",
        connected: |mailbox| format!("{mailbox} is connected"),
        waiting: |count| {
            format!(
                "{} waited for this and will be sent now.",
                counted_usize(count, "message")
            )
        },
        test: "A test message to the mailbox itself:",
        test_arrived: "Microsoft 365 has accepted it. Look for it in the inbox, and among the junk.",
        test_not_sent: "No test message was sent:",
        show_test: "Show the message",
        close: "You can close this page.",
    },
    order: OrderTexts {
        whole: "This is about whole messages: everybody named here, also recipients whose rows \
                you have not selected.",
        cut: |count| {
            format!(
                "More messages match. This is about the newest {count}; repeat it for the others."
            )
        },
        further_recipients: |count| counted_usize(count, "more recipient"),
        further_messages: |count| format!("And {}.", counted_usize(count, "more message")),
        further_remarks: |count| {
            format!(
                "And {} that the log has.",
                counted_usize(count, "more remark")
            )
        },
        progress: |done, count| format!("{done} of {count} so far."),
        goes_on: "It goes on if you leave this page.",
        broken: "It stopped:",
        nothing_title: "Nothing to do",
        nothing: "There is no message that matches and to which this applies.",
        gone_title: "This order is no longer kept",
        gone: "The page keeps the last orders until the relay is restarted. What it did is in the \
               timeline of each message, and in the log.",
        show_copy: "Show the copy",
        all_that_match: |count, is_all| match is_all {
            true => format!("All {count} that match, not only those selected"),
            false => format!("All that match (more than {count}), not only those selected"),
        },
        ordered: |order, by| match order {
            "retry" => format!("Retried at once, by order of {by}."),
            "hold" => format!("Held, by order of {by}."),
            "release" => format!("Released, by order of {by}."),
            "drop" => format!("Dropped, by order of {by}."),
            "drop content" => format!("Content deleted, by order of {by}."),
            "resend" => format!("Sent again as a copy, by order of {by}."),
            other => format!("{other}, by order of {by}."),
        },
        user: |uid| match uid {
            0 => "root".to_owned(),
            uid => format!("user {uid} of the machine"),
        },
        resend_whom: "To whom",
        resend_original: |to| format!("To the original recipients: {to}"),
        resend_mailbox: |mailbox| format!("Only to the mailbox that sends it: {mailbox}"),
        resend_other: "To other addresses:",
        resend_addresses: "Addresses, with commas between them",
        can_until: |until| {
            format!("Its content is kept until {until}; until then it can be sent again.")
        },
        cannot: "It cannot be sent again:",
    },
    content: ContentTexts {
        title: "Header and content",
        show: "Header and content",
        header: "Header section, as it came in",
        text: "Text",
        html: "HTML",
        html_help: "In a sandbox: without scripts, links to elsewhere, and images from elsewhere.",
        cut: "This is only the beginning. All of it is in the file.",
        not_whole: "The message is so large, or has so many parts, that not everything is listed.",
        no_text: "It has no text.",
        files: "Attachments",
        no_files: "It has none.",
        name: "Name",
        kind: "Type",
        raw: "The whole message (.eml)",
        not_for_you: "Only an administrator may read the content of messages.",
        gone_title: "Its content is not kept any more",
        gone: "The relay deletes the content of a message when it is delivered or dropped, or keeps \
               it for the time of [history] keep_content.",
        unreadable_title: "Its content cannot be read",
        unreadable: "It is damaged. The log and graph-relay spool check say more.",
    },
    export: ExportTexts { title: "Export" },
    add_device: AddTexts {
        title: "Add a device",
        about: "The relay makes a user and a password for the device, and shows what to type into \
                it.",
        name: "Name",
        name_help: "Letters, digits and . _ + @ - only; for example printer-2.",
        senders: "May send as",
        senders_help: "Addresses with commas between them; *@contoso.com is every address of a \
                       domain. Usually the mailbox that sends.",
        add: "Add",
        without_password: "For a device that cannot log in: let it send once, and allow its address \
                           on the page of the device.",
        incomplete: "Fill in a name and at least one address.",
        not_added: "The device was not added",
        prepared: "One step is left",
        prepared_help: "The relay may not write its configuration. Run this on its machine; the \
                        device can log in then:",
        not_in_force: "The change is in the file, but not in force",
        card: "Type this into the device",
        once: "The password is shown only now. Nobody can see it again; if it is lost, give \
               the device a new one.",
        server: "Server",
        local: "only programs on this machine reach it",
        port: "Port",
        port_of_unit: "see the unit of the socket",
        encryption_title: "Encryption",
        encryption: |tls| match tls {
            Tls::Off => "none",
            Tls::Starttls | Tls::StarttlsRequired => "STARTTLS",
            Tls::Implicit => "SSL/TLS",
            Tls::Auto => "STARTTLS or SSL/TLS",
        },
        user: "User name",
        password: "Password",
        from: "From address",
        kinds: "If there are several servers, choose one: STARTTLS first. Set authentication to \
                SMTP, LOGIN or PLAIN. The manual has a page for each kind of device under Connect: \
                printers and scanners (HP, Canon, Brother, Kyocera, Ricoh, Xerox, Konica Minolta), \
                cameras, NAS, UPS and applications.",
        waits: "Waiting for the first message of this device …",
        came: "The first message has come",
        refused: "Clients that were refused, if it is one of them:",
        changed: "What was changed in relay.toml",
    },
    allow_device: AllowTexts {
        title: "Allow this device",
        what: |kind, added| match kind {
            PermissionKind::Connect => format!("Let {added} connect"),
            PermissionKind::SendWithoutPassword => format!("Let {added} send without a password"),
            PermissionKind::PasswordWithoutTls => format!(
                "Let {added} send without TLS, with or without a password (better: turn on STARTTLS \
                 in the device)"
            ),
            PermissionKind::SendAs => format!("Let this user send as {added}"),
            PermissionKind::SendToByListener => {
                format!("Let everybody on this listener send to {added}")
            }
            PermissionKind::SendToByUser => format!("Let this user send to {added}"),
        },
        change: "This is changed in relay.toml:",
        allow: "Allow",
        nothing: "Nothing in relay.toml has to change for what was refused last: it is allowed by \
                  now, or has to be corrected in the device.",
        stale: "The file or the device has changed meanwhile. This is the change as it is now.",
        allowed: "Allowed",
        allowed_help: "The change is in relay.toml and in force. Let the device try again.",
        prepared_help: "The relay may not write its configuration. Run this on its machine, and let \
                        the device try again:",
        or_paste: "Or change the file yourself, and reload the relay:",
    },
    device_user: UserTexts {
        link: "New password, or remove",
        added: "Added, has not sent yet",
        account: "Account",
        any_account: "the one that the From address selects",
        seen_at: "Seen at",
        remove: "Remove this device",
        remove_question: "The user and its password are removed: the device cannot log in any more, \
                          and sessions that it has now end at their next command. Mail that the \
                          relay has accepted from it is still sent.",
        remove_prepared: "The relay may not write its configuration. Run this on its machine; until \
                          then the device can still log in:",
        password: "New password",
        password_question: "The password that the device has now stops working as soon as the \
                            change is in relay.toml: at once, or after the command that the next \
                            page shows. From then on the device is refused until the new one is in \
                            it. The new one is shown on the next page, and only there.",
        old_password: "Until then the old password still works.",
        not_changed: "Nothing was changed",
    },
    time: TimeTexts {
        seconds: |count| counted(count, "second"),
        minutes: |count| counted(count, "minute"),
        hours: |count| counted(count, "hour"),
        days: |count| counted(count, "day"),
    },
    audit: AuditTexts {
        title: "Audit list",
        explained: "Log-ins and changes, through this page and by commands, the newest first. The \
                    list is bounded: the oldest entries go first.",
        search: "Any words: a name, an address, an action, an ID",
        find: "Find",
        download: "JSON Lines",
        time: "Time",
        user: "Who",
        action: "What",
        about: "On what",
        client: "From",
        result: "Result",
        by_command: "a command",
        action_of: |action| match action {
            AuditAction::LogIn => "Log in",
            AuditAction::LogOut => "Log out",
            AuditAction::MakePageLink => "Make a link to log in",
            AuditAction::SetUp => "Change the set-up",
            AuditAction::Apply => "Apply a prepared change",
            AuditAction::Reload => "Reload relay.toml",
            AuditAction::Restart => "Restart the relay",
            AuditAction::AddDevice => "Add a device",
            AuditAction::RemoveDevice => "Remove a device",
            AuditAction::ForgetDevice => "Forget a device",
            AuditAction::NewDevicePassword => "Give a device a new password",
            AuditAction::AllowDevice => "Allow a device",
            AuditAction::SendTest => "Send a test message",
            AuditAction::TestAlerts => "Send test alerts",
            AuditAction::Examine => "Examine the relay (doctor)",
            AuditAction::ConnectMailbox => "Connect a mailbox",
            AuditAction::MakeMailboxLink => "Make a link to connect a mailbox",
            AuditAction::UseMailboxLink => "Use a link to connect a mailbox",
            AuditAction::ForgetSignIn => "Forget a sign-in",
            AuditAction::ChangeMessages => "Change messages",
            AuditAction::Retry => "Retry messages",
            AuditAction::Hold => "Hold messages",
            AuditAction::Release => "Release messages",
            AuditAction::Drop => "Drop messages",
            AuditAction::Resend => "Send a message again",
            AuditAction::Pause => "Pause delivery",
            AuditAction::Resume => "Resume delivery",
        },
        result_of: |result| match result {
            AuditResult::Done => "done",
            AuditResult::Begun => "begun",
            AuditResult::Prepared => "prepared",
            AuditResult::Refused => "refused",
            AuditResult::Failed => "failed",
        },
        nothing: "No entry matches.",
        older: "Older",
        newest: "Newest",
        unreadable: "The relay cannot read the list. Check the folder audit in its data_dir, and run: \
                     graph-relay doctor",
    },
    doctor: DoctorTexts {
        title: "Doctor",
        explained: "The relay checks its configuration, files, disk, network, tokens and mailboxes. \
                    It sends and changes nothing.",
        last: |ago| format!("The last examination ended {ago} ago."),
        took: |span| format!("It took {span}."),
        every: |span| format!("It does so every {span}."),
        only_on_request: "It does so only when asked, because every is off in [doctor].",
        not_yet: "There was no examination since the relay was started. The first one is a few minutes \
                  after the start.",
        not_served: "This relay has no configuration file, so there is nothing to check.",
        running: "An examination is running. It takes a few seconds, and up to five minutes if hosts \
                  do not answer.",
        reload: "Load again",
        check_now: "Check now",
        not_ended: "The examination has no result:",
        ok: "OK",
        warning: "warning",
        failure: "failure",
        failures: |n| counted_usize(n, "failure"),
        warnings: |n| counted_usize(n, "warning"),
        passed: |n| format!("{n} OK"),
        check: "Check",
        state: "Result",
        found: "Finding, and what to do",
        audit: "Audit list: who did what",
    },
};

fn counted_usize(count: usize, unit: &str) -> String {
    counted(u64::try_from(count).unwrap_or(u64::MAX), unit)
}

fn counted(count: u64, unit: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}
