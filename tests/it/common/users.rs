//! SMTP users of the tests' relays.

/// Two users with the password `Printer123Scan456`, one with a name that fits a BMC and
/// one whose name is an address. The hash is a canary and as cheap as Argon2 allows; it
/// is valid only in these tests.
pub(crate) const USERS: &str = r#"
[[user]]
name = "scanner"
password_hash = "$argon2id$v=19$m=64,t=1,p=1$Y2FuYXJ5LW9mLXRlc3RzIQ$V/92VkIC5wRQnE7B7skPtj0/7FXaDLQPYeTL4opKYlg"
senders = ["relay@sandbox.example"]

[[user]]
name = "scanner@sandbox.example"
password_hash = "$argon2id$v=19$m=64,t=1,p=1$Y2FuYXJ5LW9mLXRlc3RzIQ$V/92VkIC5wRQnE7B7skPtj0/7FXaDLQPYeTL4opKYlg"
senders = ["*@sandbox.example"]
"#;

/// What `scanner` sends after `AUTH PLAIN`.
pub(crate) const PLAIN: &str = "AHNjYW5uZXIAUHJpbnRlcjEyM1NjYW40NTY=";
