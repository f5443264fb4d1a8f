//! The texts of the doctor page.

/// The texts of the doctor page.
#[derive(Debug)]
pub(in crate::page) struct DoctorTexts {
    pub(in crate::page) title: &'static str,
    pub(in crate::page) explained: &'static str,
    /// How long ago it ended.
    pub(in crate::page) last: fn(&str) -> String,
    pub(in crate::page) took: fn(&str) -> String,
    /// The time between two examinations.
    pub(in crate::page) every: fn(&str) -> String,
    pub(in crate::page) only_on_request: &'static str,
    pub(in crate::page) not_yet: &'static str,
    pub(in crate::page) not_served: &'static str,
    pub(in crate::page) running: &'static str,
    pub(in crate::page) reload: &'static str,
    pub(in crate::page) check_now: &'static str,
    pub(in crate::page) not_ended: &'static str,
    pub(in crate::page) ok: &'static str,
    pub(in crate::page) warning: &'static str,
    pub(in crate::page) failure: &'static str,
    pub(in crate::page) failures: fn(usize) -> String,
    pub(in crate::page) warnings: fn(usize) -> String,
    pub(in crate::page) passed: fn(usize) -> String,
    pub(in crate::page) check: &'static str,
    pub(in crate::page) state: &'static str,
    pub(in crate::page) found: &'static str,
    pub(in crate::page) audit: &'static str,
}
