//! The texts about mailboxes.

use crate::admin::Obstacle;
use crate::admin::TokenState;

/// The mailboxes that sign in themselves.
#[derive(Debug)]
pub(in crate::page) struct MailboxesTexts {
    pub(in crate::page) intro: &'static str,
    /// No account signs in itself.
    pub(in crate::page) none: &'static str,
    pub(in crate::page) nobody_yet: &'static str,
    pub(in crate::page) caption: &'static str,
    pub(in crate::page) account: &'static str,
    pub(in crate::page) actions: &'static str,
    pub(in crate::page) state_of: fn(TokenState) -> &'static str,
    pub(in crate::page) since: &'static str,
    pub(in crate::page) sign_in: &'static str,
    pub(in crate::page) sign_in_again: &'static str,
    pub(in crate::page) make_link: &'static str,
    pub(in crate::page) forget: &'static str,
    pub(in crate::page) other_title: &'static str,
    pub(in crate::page) other_label: &'static str,
    /// No account sends from a mailbox.
    pub(in crate::page) unknown: &'static str,
    pub(in crate::page) redirect_title: &'static str,
    pub(in crate::page) redirect_label: &'static str,
    pub(in crate::page) redirect_web: &'static str,
    pub(in crate::page) redirect_public: &'static str,
    pub(in crate::page) not_accepted: &'static str,
    /// Before the name of an account and an address.
    pub(in crate::page) consent: &'static str,
    pub(in crate::page) elsewhere: &'static str,
    pub(in crate::page) forget_question: fn(&str) -> String,
    pub(in crate::page) forget_help: &'static str,
    pub(in crate::page) forgotten: fn(&str) -> String,
    pub(in crate::page) link_title: fn(&str) -> String,
    pub(in crate::page) link_label: &'static str,
    pub(in crate::page) link_help: &'static str,
    pub(in crate::page) link_only_here: &'static str,
    pub(in crate::page) back: &'static str,
    pub(in crate::page) connect: fn(&str) -> String,
    pub(in crate::page) wrong_link_title: &'static str,
    pub(in crate::page) wrong_link: &'static str,
    /// What a guest agrees to: the name of the relay.
    pub(in crate::page) guest: fn(&str) -> String,
    pub(in crate::page) guest_once: &'static str,
    pub(in crate::page) go_on: &'static str,
    pub(in crate::page) go_title: fn(&str) -> String,
    pub(in crate::page) go_help: fn(&str) -> String,
    pub(in crate::page) go: &'static str,
    pub(in crate::page) go_stuck: &'static str,
    pub(in crate::page) came_back: &'static str,
    pub(in crate::page) came_back_help: &'static str,
    pub(in crate::page) checking: &'static str,
    pub(in crate::page) checking_help: &'static str,
    pub(in crate::page) stale_title: &'static str,
    pub(in crate::page) stale: &'static str,
    /// Title and help.
    pub(in crate::page) obstacle: fn(Obstacle) -> (&'static str, &'static str),
    pub(in crate::page) try_again: &'static str,
    pub(in crate::page) connected: fn(&str) -> String,
    pub(in crate::page) waiting: fn(usize) -> String,
    pub(in crate::page) test: &'static str,
    pub(in crate::page) test_arrived: &'static str,
    pub(in crate::page) test_not_sent: &'static str,
    pub(in crate::page) show_test: &'static str,
    pub(in crate::page) close: &'static str,
}
