//! The stand-in for Entra and Graph, driven over HTTP as a client would.

mod attachments;
mod draft_faults;
mod drafts;
mod faults;
mod json_form;
mod limits;
mod looking;
mod send_mail;
mod sent;
mod tenant;
mod tokens;
mod upload;
