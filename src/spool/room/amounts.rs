//! How much may yield to new mail, by the limit that is in the way. `yields.rs` removes it.

use super::Ledger;
use super::Limit;
use super::Purpose;
use super::Room;
use super::Short;
use super::Yielding;

/// The bytes that may be removed to make room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Yields {
    /// Of kept content.
    pub(super) kept: u64,
    /// Of the history of ended messages.
    pub(super) history: u64,
    /// Of the content of failed messages.
    pub(super) failed: u64,
}

impl Room {
    /// Whether the parts that may yield are large enough for the missing room.
    pub(super) fn can_yield(&self, ledger: &Ledger, short: Short, purpose: Purpose) -> bool {
        let whom = match purpose {
            Purpose::Rows => Yielding::All,
            Purpose::Step(_) => Yielding::Stalled,
        };
        let receptions = ledger.receptions.iter();
        let receptions: u64 = receptions
            .filter(|(number, it)| Purpose::Step(**number) != purpose && it.may_yield(whom))
            .map(|(_, it)| it.reserved)
            .sum();
        let Yields {
            kept,
            history,
            failed,
        } = self.yields(ledger, short.limit, purpose);
        receptions + kept + history + failed >= short.missing
    }

    /// What counts against a limit and may be removed.
    pub(super) fn yields(&self, ledger: &Ledger, limit: Limit, purpose: Purpose) -> Yields {
        let (ended, failed) = (ledger.usage.history(), ledger.usage.failed());
        match (limit, purpose) {
            (Limit::Spool, _) => Yields {
                kept: ended.content(),
                history: ended.rows + failed.rows,
                failed: failed.content(),
            },
            // Deleted rows leave their pages to new rows, not to the disk.
            (Limit::Disk, Purpose::Step(_)) => Yields {
                kept: ended.files,
                history: 0,
                failed: failed.files,
            },
            (Limit::Disk, Purpose::Rows) => {
                let mut most = (self.free_space / 2).saturating_sub(ledger.reusable());
                let mut of_pages = |bytes: u64| {
                    let part = bytes.min(most);
                    most -= part;
                    part
                };
                Yields {
                    kept: of_pages(ended.inline) + ended.files,
                    history: of_pages(ended.rows + failed.rows),
                    failed: of_pages(failed.inline) + failed.files,
                }
            }
        }
    }
}
