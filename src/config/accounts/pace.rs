//! The keys of `[account.pace]`: how much one mailbox is asked for.

use crate::config::Pace;
use crate::config::reader::Section;
use crate::config::units::OrOff;
use crate::config::units::SizeOrOff;

pub(in crate::config) fn read(account: &mut Section<'_>) -> Pace {
    let mut section = account.table("pace");
    let concurrency = section.at_least_one("concurrency", CONCURRENCY);
    let pace = Pace {
        concurrency: u32::try_from(concurrency).unwrap_or(u32::MAX),
        messages_per_minute: section.or("messages_per_minute", OrOff::Off).number(),
        requests_per_10_minutes: section.or("requests_per_10_minutes", REQUESTS).number(),
        upload_per_5_minutes: section.or("upload_per_5_minutes", UPLOAD).bytes(),
        recipients_per_day: section.or("recipients_per_day", RECIPIENTS).number(),
    };
    section.finish();
    pace
}

/// Graph takes four requests at once of an app for a mailbox, and the next two
/// in their time (Graph page "Outlook service limits").
const CONCURRENCY: usize = 4;
/// See [`CONCURRENCY`].
const REQUESTS: OrOff = OrOff::Number(10_000);
/// See [`CONCURRENCY`].
const UPLOAD: SizeOrOff = SizeOrOff::Bytes(150_000_000);
/// The recipient rate limit of Exchange Online ("Exchange Online limits").
const RECIPIENTS: OrOff = OrOff::Number(10_000);
