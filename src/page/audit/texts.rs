//! The texts of the audit list.

use crate::admin::AuditAction;
use crate::admin::AuditResult;

/// The texts of the audit list.
#[derive(Debug)]
pub(in crate::page) struct AuditTexts {
    pub(in crate::page) title: &'static str,
    pub(in crate::page) explained: &'static str,
    pub(in crate::page) search: &'static str,
    pub(in crate::page) find: &'static str,
    pub(in crate::page) download: &'static str,
    pub(in crate::page) time: &'static str,
    pub(in crate::page) user: &'static str,
    pub(in crate::page) action: &'static str,
    pub(in crate::page) about: &'static str,
    pub(in crate::page) client: &'static str,
    pub(in crate::page) result: &'static str,
    pub(in crate::page) by_command: &'static str,
    pub(in crate::page) action_of: fn(AuditAction) -> &'static str,
    pub(in crate::page) result_of: fn(AuditResult) -> &'static str,
    pub(in crate::page) nothing: &'static str,
    pub(in crate::page) older: &'static str,
    pub(in crate::page) newest: &'static str,
    pub(in crate::page) unreadable: &'static str,
}
