//! Line feeds without a carriage return: `smtpd_forbid_bare_newline` becomes `bare_lf` of a
//! listener.
//!
//! Postfix never refuses them from the clients in `smtpd_forbid_bare_newline_exclusions`, by default
//! those of `mynetworks`. A listener treats all of its clients alike, so it refuses them only if
//! there are no exclusions: devices that Postfix accepts must not be refused.

use crate::import::Found;
use crate::import::postfix::settings::Settings;

/// The parameter that is carried out here.
pub(super) const NAME: &str = "smtpd_forbid_bare_newline";
const EXCLUSIONS: &str = "smtpd_forbid_bare_newline_exclusions";

/// Whether a listener with these settings has to refuse such messages.
pub(super) fn are_refused(settings: &Settings) -> bool {
    let has_exclusions = !settings.has(EXCLUSIONS) || !settings.written(EXCLUSIONS).is_empty();
    value(settings) == "reject" && !has_exclusions
}

/// Adds the row of the parameter.
pub(super) fn report(found: &mut Found, setting: String, settings: &Settings) {
    match value(settings).as_str() {
        "reject" if are_refused(settings) => found.take(setting, "bare_lf of [[listener]]"),
        "reject" => found.change(
            setting,
            "bare_lf of [[listener]] keeps its default: Postfix accepts bare line feeds from the clients in \
             smtpd_forbid_bare_newline_exclusions, by default mynetworks, and the relay corrects them. \
             With \"refuse\" it refuses them from every client of the listener",
        ),
        "yes" | "normalize" => found.take(setting, "the default of bare_lf of [[listener]]"),
        "no" | "note" => found.change(
            setting,
            "bare_lf of [[listener]] keeps its default: the relay corrects bare line feeds and logs them, \
             and they never end a message",
        ),
        _ => found.ask(
            setting,
            "set bare_lf of [[listener]]: this program does not understand the value",
        ),
    }
}

fn value(settings: &Settings) -> String {
    settings.value(NAME).to_ascii_lowercase()
}
