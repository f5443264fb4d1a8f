//! The stand-in for Entra and Graph, driven over HTTP as a client would.

mod assertions;
mod attachments;
mod device;
mod discovery;
mod draft_faults;
mod drafts;
mod faults;
mod identity;
mod json_form;
mod layering;
mod limits;
mod looking;
mod other_sites;
mod refresh;
mod send_mail;
mod sent;
mod sign_in;
mod signing;
mod tenant;
mod tokens;
mod upload;
