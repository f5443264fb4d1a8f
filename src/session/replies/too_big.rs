//! The replies to a message that is too big, in one way or another.

use crate::mail::EnhancedStatus;
use crate::session::Reply;

impl Reply {
    pub(in crate::session) fn too_big(limit: u64) -> Self {
        let text = format!("Message too big: at most {limit} bytes");
        Self::new(552, EnhancedStatus::TOO_BIG, text).remedy(
            "raise limits.message_size (and limits.spool_size, where that is hardly more), or let \
                 the device scan with less resolution",
        )
    }

    /// With fewer recipients it may.
    pub(in crate::session) fn never_fits() -> Self {
        let text = "Message too big for the spool with so many recipients (limits.spool_size)";
        Self::new(552, EnhancedStatus::TOO_BIG, text).remedy("raise limits.spool_size")
    }

    pub(in crate::session) fn header_too_big(limit: usize) -> Self {
        let text = format!("Header section too big: at most {limit} bytes");
        Self::new(552, EnhancedStatus::TOO_BIG, text)
            .remedy("no mail has such a header section: look at the program that made it")
    }

    /// `oversize` does not let it travel as an attachment.
    pub(in crate::session) fn cannot_be_split(limit: u64) -> Self {
        let text = format!(
            "Message too big: over {limit} bytes it has to be split, and it is signed, encrypted or \
             all text (oversize of the [[account]])"
        );
        Self::new(552, EnhancedStatus::TOO_BIG, text).remedy(
            "with oversize = \"attach\" in the [[account]] it is sent as message.eml, attached to a \
             short message; else let the program send less, or not sign it",
        )
    }
}
