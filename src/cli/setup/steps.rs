//! The steps outside of setup: in Entra before it, in Exchange and on this machine after it.

use super::answers::Answers;
use super::answers::Proof;
use crate::admin::scope_commands;

/// What must exist before the questions can be answered.
pub(super) const IN_ENTRA: &str = "\
First, in the Entra admin center (entra.microsoft.com):

  1. App registrations > New registration. Name: graph-relay. Single tenant.
     Redirect URI: none. If each mailbox signs in itself: http://localhost, of the
     kind \"Mobile and desktop applications\" (then allow public client flows
     under Authentication), or \"Web\" (then with a client secret).
  2. From the app's overview page, copy the Directory (tenant) ID and the
     Application (client) ID.
  3. Certificates & secrets > New client secret. Copy its Value (not the Secret
     ID) now: Entra shows it only once. Or upload a certificate.
  4. API permissions > Add > Microsoft Graph > Application permissions >
     Mail.Send, then \"Grant admin consent\". To limit the app to some mailboxes,
     skip this step and use the PowerShell commands shown at the end. If each
     mailbox signs in itself: Delegated permissions > Mail.Send, offline_access,
     openid, profile, and Mail.ReadWrite for messages over about 3 MB.
";

/// The remaining steps; `runs` says whether a relay already runs here.
pub(super) fn afterwards(answers: &Answers, runs: bool) -> Vec<String> {
    let mut lines = vec![String::new()];
    if !answers.delegated {
        lines.extend(narrowing(answers));
    } else {
        lines.push("Sign in each mailbox once, while the relay is running:".to_owned());
        let mailbox = match answers.mailbox.as_str() {
            "from" => "MAILBOX",
            mailbox => mailbox,
        };
        lines.push(format!("  graph-relay login {mailbox}"));
    }
    lines.extend([
        String::new(),
        match runs {
            true => {
                "The relay still uses its old configuration. To apply the new one: systemctl \
                 restart graph-relay"
            }
            false => "To start the relay: systemctl enable --now graph-relay",
        }
        .to_owned(),
    ]);
    lines
}

/// RBAC for Applications in Exchange Online limits the app to these mailboxes. A grant in
/// Entra would be added to that and make it ineffective.
fn narrowing(answers: &Answers) -> Vec<String> {
    let app = match answers.proof {
        Proof::ManagedIdentity => "APP_ID",
        Proof::SecretFile(..) | Proof::Certificate(..) | Proof::Nothing => &answers.client_id,
    };
    let mut lines = vec![
        "To let the app send only from that mailbox, remove the application permission Mail.Send in \
         Entra (otherwise the app keeps access to all mailboxes), and run in PowerShell:"
            .to_owned(),
        String::new(),
    ];
    let commands = scope_commands(app, &answers.mailbox).into_iter();
    lines.extend(commands.map(|command| format!("  {command}")));
    lines.extend([
        String::new(),
        "It can take up to two hours until this is in effect. For messages over about 3 MB, run the \
         last New- command again with \"Application Mail.ReadWrite\"."
            .to_owned(),
    ]);
    lines
}
