//! The commands that limit an app to its mailbox, for `setup` and for the set-up page.

/// Returns PowerShell for RBAC for Applications in Exchange Online. `app` is the client ID;
/// `mailbox` is an address, or `from`.
pub fn scope_commands(app: &str, mailbox: &str) -> Vec<String> {
    let filter = match mailbox {
        "from" => "CustomAttribute1 -eq 'graph-relay'".to_owned(),
        mailbox => format!("PrimarySmtpAddress -eq '{}'", mailbox.replace('\'', "''")),
    };
    let mailbox = match mailbox {
        "from" => "MAILBOX",
        mailbox => mailbox,
    };
    vec![
        "Connect-ExchangeOnline".to_owned(),
        "# OBJECT_ID: Entra > Enterprise applications > the app > Object ID".to_owned(),
        format!(
            "New-ServicePrincipal -AppId {app} -ObjectId OBJECT_ID -DisplayName \"graph-relay\""
        ),
        format!(
            "New-ManagementScope -Name \"graph-relay\" -RecipientRestrictionFilter \"{filter}\""
        ),
        format!(
            "New-ManagementRoleAssignment -App {app} -Role \"Application Mail.Send\" \
             -CustomResourceScope \"graph-relay\""
        ),
        format!("Test-ServicePrincipalAuthorization -Identity {app} -Resource {mailbox}"),
    ]
}
