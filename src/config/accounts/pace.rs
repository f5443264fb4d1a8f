//! The keys of `[account.rate_limits]`: the rate limits of one mailbox.

use crate::config::Pace;
use crate::config::reader::Section;
use crate::config::units::OrOff;
use crate::config::units::SizeOrOff;

pub(in crate::config) fn read(account: &mut Section<'_>) -> Pace {
    let mut section = section(account);
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

/// Finds the section by its name, or by its old name.
fn section<'a>(account: &mut Section<'a>) -> Section<'a> {
    if !account.has(OLD_NAME) {
        return account.table(NAME);
    }
    let old = account.table(OLD_NAME);
    if account.has(NAME) {
        old.problem(
            "[account.pace] is the old name of [account.rate_limits], and this [[account]] has \
             both: keep [account.rate_limits] only",
        );
        return account.table(NAME);
    }
    if old.is_written() {
        old.warning_at(
            &old.span(),
            "[account.pace] is now called [account.rate_limits]: rename the section; the next \
             release does not accept the old name",
        );
    }
    old
}

const NAME: &str = "rate_limits";
/// Accepted for one release.
const OLD_NAME: &str = "pace";
/// Graph accepts four simultaneous requests of an app for a mailbox, and the next two limits
/// within their times (Graph page "Outlook service limits").
const CONCURRENCY: usize = 4;
/// See [`CONCURRENCY`].
const REQUESTS: OrOff = OrOff::Number(10_000);
/// See [`CONCURRENCY`].
const UPLOAD: SizeOrOff = SizeOrOff::Bytes(150_000_000);
/// The recipient rate limit of Exchange Online ("Exchange Online limits").
const RECIPIENTS: OrOff = OrOff::Number(10_000);
