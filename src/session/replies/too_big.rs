//! Replies to a message that is too big.

use crate::mail::EnhancedStatus;
use crate::session::Reply;
use crate::session::Settings;

impl Reply {
    pub(in crate::session) fn too_big(settings: &Settings) -> Self {
        let limit = settings.message_size;
        let text = format!("Message too big: at most {limit} bytes");
        let remedy = match limit < settings.size_in_config {
            true => {
                "raise limits.spool_size, which cannot hold a larger message, and restart the \
                 relay; or set the device to scan at a lower resolution"
            }
            false => {
                "raise limits.message_size (and limits.spool_size if it is not much larger), or \
                 set the device to scan at a lower resolution"
            }
        };
        Self::new(552, EnhancedStatus::TOO_BIG, text).remedy(remedy)
    }

    /// With fewer recipients it may fit.
    pub(in crate::session) fn never_fits() -> Self {
        let text = "Message too big for the spool with this many recipients (limits.spool_size)";
        Self::new(552, EnhancedStatus::TOO_BIG, text).remedy("raise limits.spool_size")
    }

    pub(in crate::session) fn header_too_big(limit: usize) -> Self {
        let text = format!("Header section too big: at most {limit} bytes");
        Self::new(552, EnhancedStatus::TOO_BIG, text).remedy(
            "no ordinary message has such a large header section: check the program that \
                created it",
        )
    }

    /// `oversize` does not allow sending it as an attachment.
    pub(in crate::session) fn cannot_be_split(limit: u64) -> Self {
        let text = format!(
            "Message too big: above {limit} bytes it has to be split, and signed, encrypted or \
             text-only messages cannot be (oversize of the [[account]])"
        );
        Self::new(552, EnhancedStatus::TOO_BIG, text).remedy(
            "set oversize = \"attach\" in the [[account]] to send it as message.eml, attached to \
             a short message; otherwise make the program send less, or not sign it",
        )
    }
}
