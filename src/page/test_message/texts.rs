//! The texts of the test message.

/// The form, and the way of the message.
#[derive(Debug)]
pub(in crate::page) struct TestTexts {
    pub(in crate::page) title: &'static str,
    pub(in crate::page) to: &'static str,
    pub(in crate::page) from: &'static str,
    pub(in crate::page) from_help: &'static str,
    pub(in crate::page) account: &'static str,
    pub(in crate::page) any_account: &'static str,
    pub(in crate::page) send: &'static str,
    pub(in crate::page) no_address: &'static str,
    pub(in crate::page) not_sent: &'static str,
    pub(in crate::page) steps: &'static str,
    /// With the account.
    pub(in crate::page) token: fn(&str) -> String,
    pub(in crate::page) accepted: &'static str,
    pub(in crate::page) answered: &'static str,
    pub(in crate::page) asking: &'static str,
    pub(in crate::page) waits: &'static str,
    /// It does not reload itself any more.
    pub(in crate::page) waits_long: &'static str,
    pub(in crate::page) untested: &'static str,
    pub(in crate::page) untested_list: &'static str,
    pub(in crate::page) again: &'static str,
    pub(in crate::page) whole: &'static str,
}
