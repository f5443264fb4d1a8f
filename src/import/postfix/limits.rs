//! Sizes, rates and times: `[limits]`, `[delivery]`, and the name of the relay.

use super::Reading;
use super::parameters::PART_OF_OTHERS;
use crate::import::MESSAGE_SIZES;

/// The most that a limit of a number may be.
const MOST: u64 = 1_000_000;

pub(super) fn add(reading: &mut Reading) {
    hostname(reading);
    message_size(reading);
    number(reading, "smtpd_recipient_limit", "recipients");
    number(
        reading,
        "smtpd_client_connection_count_limit",
        "connections_per_client",
    );
    number(reading, "smtpd_hard_error_limit", "errors_per_session");
    number(reading, "hopcount_limit", "received_headers");
    rates(reading);
    free_space(reading);
    timeout(reading);
    lifetimes(reading);
}

fn hostname(reading: &mut Reading) {
    if reading.settings.has("myhostname") {
        let host = reading.settings.value("myhostname");
        reading.found.draft.top("hostname", &host);
        reading.take("myhostname", "hostname");
    }
    if reading.settings.is_used("mydomain") {
        reading.take("mydomain", PART_OF_OTHERS);
    }
}

fn message_size(reading: &mut Reading) {
    let name = "message_size_limit";
    let Some(size) = reading.settings.set(name) else {
        return;
    };
    let written = |size: u64| format!("\"{size} B\"");
    match size.parse::<u64>() {
        Ok(size) if MESSAGE_SIZES.contains(&size) => {
            reading.found.draft.limit("message_size", &written(size));
            reading.take(name, "message_size of [limits]");
        }
        Ok(_) => {
            reading.change(
                name,
                "message_size of [limits] keeps its default of 35 MB, which Exchange accepts from a mailbox; \
                 it accepts 150 MB at most",
            );
        }
        Err(_) => reading.ask(name, "set message_size of [limits]"),
    }
}

fn number(reading: &mut Reading, name: &'static str, key: &'static str) {
    let Some(value) = reading.settings.set(name) else {
        return;
    };
    match value.parse::<u64>() {
        Ok(number) if (1..=MOST).contains(&number) => {
            reading.found.draft.limit(key, &number.to_string());
            reading.take(name, format!("{key} of [limits]"));
        }
        Ok(_) => reading.change(
            name,
            format!("{key} of [limits] keeps its default: the relay always has a limit"),
        ),
        Err(_) => reading.ask(
            name,
            format!("set {key} of [limits]: this program does not understand the value"),
        ),
    }
}

/// Postfix counts in a time unit of its own.
fn rates(reading: &mut Reading) {
    let unit = seconds(&reading.settings.value("anvil_rate_time_unit"), 1).filter(|it| *it > 0);
    let unit = unit.unwrap_or(60);
    for (name, key, per) in [
        (
            "smtpd_client_message_rate_limit",
            "messages_per_minute_per_client",
            60,
        ),
        (
            "smtpd_client_recipient_rate_limit",
            "recipients_per_hour_per_client",
            3600,
        ),
    ] {
        let Some(value) = reading.settings.set(name) else {
            continue;
        };
        match value.parse::<u64>() {
            Ok(0) => reading.take(name, format!("{key} of [limits] is off")),
            Ok(number) => {
                let converted = number
                    .saturating_mul(per)
                    .div_ceil(unit)
                    .min(u64::from(u32::MAX));
                reading.found.draft.limit(key, &converted.to_string());
                let words = format!("{key} = {converted} of [limits]");
                match per == unit {
                    true => reading.take(name, words),
                    false => reading.change(
                        name,
                        format!("{words}: the same rate, counted over another time"),
                    ),
                }
            }
            Err(_) => reading.ask(name, format!("set {key} of [limits]")),
        }
    }
    reading.take(
        "anvil_rate_time_unit",
        "the limits of [limits] are converted",
    );
}

fn free_space(reading: &mut Reading) {
    let name = "queue_minfree";
    let value = reading
        .settings
        .set(name)
        .and_then(|value| value.parse::<u64>().ok());
    match value {
        Some(size) if size >= 8_000_000 => {
            let draft = &mut reading.found.draft;
            draft.limit("free_space", &format!("\"{size} B\""));
            reading.take(name, "free_space of [limits]");
        }
        _ => reading.change(name, "free_space of [limits] keeps its default of 500 MB"),
    }
}

fn timeout(reading: &mut Reading) {
    let name = "smtpd_timeout";
    let value = reading.settings.set(name);
    match value.and_then(|value| seconds(&value, 1)).filter(|it| *it > 0) {
        Some(seconds) => {
            let draft = &mut reading.found.draft;
            draft.limit("command_timeout", &format!("\"{seconds}s\""));
            reading.take(name, "command_timeout of [limits]");
        }
        None => reading.change(name, "command_timeout of [limits] keeps its default: the relay closes idle sessions earlier when connections are scarce"),
    }
}

fn lifetimes(reading: &mut Reading) {
    let expire = "maximal_queue_lifetime";
    let value = reading.settings.set(expire);
    match value.and_then(|value| seconds(&value, 24 * 3600)) {
        Some(0) => reading.ask(expire, "Postfix tries only once. The relay tries for at least some time: set expire_after of [delivery]"),
        Some(seconds) => {
            delivery(reading, "expire_after", seconds);
            reading.take(expire, "expire_after of [delivery]");
        }
        None => reading.ask(expire, "set expire_after of [delivery]"),
    }
    let warn = "delay_warning_time";
    let value = reading.settings.set(warn);
    match value.and_then(|value| seconds(&value, 3600)) {
        Some(0) => {
            reading.found.draft.within("[delivery]", |section| {
                section.set("warn_after", "off");
            });
            reading.take(warn, "warn_after = \"off\" of [delivery]");
        }
        Some(seconds) => {
            delivery(reading, "warn_after", seconds);
            reading.take(warn, "warn_after of [delivery]");
        }
        None => reading.ask(warn, "set warn_after of [delivery]"),
    }
    reading.change(
        "bounce_queue_lifetime",
        "the relay tries reports for as long as messages: expire_after of [delivery]",
    );
    for name in [
        "minimal_backoff_time",
        "maximal_backoff_time",
        "queue_run_delay",
    ] {
        reading.change(name, "retry of [delivery] has the waits between attempts. Its default begins at 10s and ends at 1h");
    }
}

fn delivery(reading: &mut Reading, key: &'static str, seconds: u64) {
    let units = [(24 * 3600, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let whole = units.iter().find(|(unit, _)| seconds.is_multiple_of(*unit));
    let text = whole.map_or_else(String::new, |(unit, letter)| {
        format!("{}{letter}", seconds / unit)
    });
    reading.found.draft.within("[delivery]", |section| {
        section.set(key, &text);
    });
}

/// A time as Postfix writes it: a number and a unit, or the default unit, in seconds.
fn seconds(text: &str, default: u64) -> Option<u64> {
    let text = text.trim();
    let at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit = match unit.trim() {
        "" => default,
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "w" => 7 * 24 * 3600,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}
