//! Messages: their two forms, the rules for both, and the contents of the mailboxes.

pub(crate) mod files;
pub(crate) mod json;
pub(crate) mod messages;
pub(crate) mod mime;
pub(crate) mod resource;
pub(crate) mod submission;
