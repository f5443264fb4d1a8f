//! Recipients whom no mail can reach, and the alias that would change that.

use crate::mail::ForwardPath;

/// Why nobody receives mail for a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// It has no domain.
    NoDomain,
    /// Its domain is not public.
    Domain,
    /// It needs quotes, or has an address literal.
    Odd,
}

impl Unreachable {
    /// Returns the sentence for whoever has named this recipient.
    pub fn of(self, path: &ForwardPath) -> String {
        let why = match self {
            Self::NoDomain => "has no domain and no alias",
            Self::Domain => "cannot be reached: its domain is not public",
            Self::Odd => {
                "cannot be reached: Exchange Online supports neither quoted names nor address \
                 literals"
            }
        };
        if !path.is_ascii() {
            return format!("This recipient {why}. An alias can map it to a mailbox: [aliases]");
        }
        let alias = path.to_string().replace(['\\', '"'], "");
        let alias = match path {
            ForwardPath::Name(_) => alias,
            ForwardPath::Address(_) => format!("\"{alias}\""),
        };
        format!(
            "{path} {why}. An alias can map it to a mailbox: [aliases] {alias} = \
             \"you@your-domain\""
        )
    }
}
