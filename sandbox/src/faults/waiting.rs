//! The faults asked for by API.

use std::sync::Mutex;

use crate::faults::fault::Fault;
use crate::faults::fault::Station;
use crate::lock::locked;

/// The faults asked for by API and not yet played out, in the order they strike.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Mutex<Vec<Fault>>,
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) {
        locked(&self.waiting).push(fault);
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        locked(&self.waiting).clone()
    }

    pub(crate) fn clear(&self) {
        locked(&self.waiting).clear();
    }

    /// The fault that strikes this request whatever its message says, one of its times spent.
    pub(crate) fn take(&self, at: Station, mailbox: Option<&str>) -> Option<Fault> {
        self.spend(|fault| {
            let here = match (&fault.mailbox, mailbox) {
                (None, _) => true,
                (Some(wanted), Some(mailbox)) => wanted.eq_ignore_ascii_case(mailbox),
                (Some(_), None) => false,
            };
            fault.at == at && here && fault.content.is_none()
        })
    }

    /// The fault that strikes this message because of what it says, one of its times spent.
    pub(crate) fn take_by_content(&self, mailbox: &str, raw: &[u8]) -> Option<Fault> {
        let contains = |text: &str| {
            raw.windows(text.len().max(1))
                .any(|it| it == text.as_bytes())
        };
        self.spend(|fault| {
            let wanted = fault.mailbox.as_deref();
            let here = wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(mailbox));
            fault.at == Station::Send && here && fault.content.as_deref().is_some_and(contains)
        })
    }

    fn spend(&self, strikes: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut waiting = locked(&self.waiting);
        let index = waiting.iter().position(strikes)?;
        let fault = waiting.get_mut(index)?;
        fault.times = fault.times.saturating_sub(1);
        Some(if fault.times == 0 {
            waiting.remove(index)
        } else {
            fault.clone()
        })
    }
}
