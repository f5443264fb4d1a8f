//! Header fields that only Exchange's transport may write.
//!
//! With these fields Exchange tells itself where a message came from, whether its sender
//! has authenticated, and what its filters found. A client that writes them could have
//! its message treated as internal, or skip a filter, so they are renamed in every
//! message. Exchange removes such fields from mail of the internet (its "header
//! firewall"), but a message submitted through Graph comes from inside the tenant.
//!
//! All of `X-MS-Exchange-` counts, not only the families known to carry trust
//! (`Organization`, `Forest`, `CrossTenant`, `CrossPremises`, `Transport`, `AntiSpam`),
//! because Microsoft documents no complete list and adds to it. Fields that mail clients
//! rightly write stay: `X-Auto-Response-Suppress`, `X-MS-Has-Attach`,
//! `X-MS-TNEF-Correlator`, `X-MSMail-Priority`. So do Authentication-Results and ARC
//! fields: receivers must check who signed or wrote them (RFC 8601 5, RFC 8617), and a
//! redirected message needs them.

/// Beginnings of their names.
const PREFIXES: [&str; 10] = [
    "X-MS-Exchange-",
    "X-MS-Forest-",
    "X-MS-Office365-Filtering-",
    "X-MS-Oob-",
    "X-Microsoft-Antispam",
    "X-Exchange-Antispam",
    "X-Forefront-",
    "X-EOP",
    // Hybrid transport: fields promoted from, or hidden for, the other side.
    "X-CrossPremises",
    "X-OrganizationHeaders",
];

/// Complete names.
const NAMES: [&str; 3] = [
    // It would turn a message into a journal report.
    "X-MS-Journal-Report",
    "X-MS-PublicTrafficType",
    "X-MS-TrafficTypeDiagnostic",
];

/// Whether only Exchange's transport may write a field with this name.
pub(in crate::mime) fn is_reserved(name: &str) -> bool {
    let begins = |prefix: &&str| {
        let begin = name.get(..prefix.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
    };
    PREFIXES.iter().any(begins) || NAMES.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transport_fields_are_reserved_in_every_case_and_client_fields_are_not() {
        for name in [
            "X-MS-Exchange-Organization-SCL",
            "x-ms-exchange-organization-authas",
            "X-MS-EXCHANGE-CrossTenant-Id",
            "X-MS-Exchange-Forest-RulesExecuted",
            "X-MS-Exchange-Whatever-Comes-Next",
            "X-Forefront-Antispam-Report",
            "X-Microsoft-Antispam",
            "X-Microsoft-Antispam-Mailbox-Delivery",
            "X-EOPAttributedMessage",
            "X-CrossPremisesHeadersPromoted",
            "x-organizationheaderspreserved",
            "X-MS-Journal-Report",
            "X-MS-PublicTrafficType",
        ] {
            assert!(is_reserved(name), "{name}");
        }
        for name in [
            "X-Mailer",
            "X-MS-Has-Attach",
            "X-MS-TNEF-Correlator",
            "X-MSMail-Priority",
            "X-Auto-Response-Suppress",
            "X-Original-X-MS-Exchange-Organization-SCL",
            "X-MS-Exchange",
            "Authentication-Results",
            "\u{fc}",
        ] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
