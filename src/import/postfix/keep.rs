//! The other way: the lines of `main.cf` with which Postfix stays and sends through the relay.

use super::Reading;

/// The relay's own address, if nothing else is set.
const RELAY: &str = "[127.0.0.1]:2525";

pub(super) fn add(reading: &mut Reading) {
    let settings = &reading.settings;
    let mut lines = vec![format!("relayhost = {RELAY}")];
    let mut set = |name: &str, value: &str, is_needed: bool| {
        if is_needed {
            lines.push(format!("{name} = {value}").trim_end().to_owned());
        }
    };
    set(
        "smtp_sasl_auth_enable",
        "no",
        settings.is_on("smtp_sasl_auth_enable"),
    );
    // The relay offers no TLS on 127.0.0.1, and needs none there.
    let level = settings.value("smtp_tls_security_level");
    set(
        "smtp_tls_security_level",
        "may",
        !["", "none", "may"].contains(&level.as_str()),
    );
    set("smtp_enforce_tls", "no", settings.is_on("smtp_enforce_tls"));
    set(
        "smtp_tls_wrappermode",
        "no",
        settings.is_on("smtp_tls_wrappermode"),
    );
    for name in [
        "sender_dependent_relayhost_maps",
        "sender_dependent_default_transport_maps",
        "smtp_tls_policy_maps",
    ] {
        set(name, "", !settings.value(name).is_empty());
    }
    let transport = settings.value("default_transport");
    set(
        "default_transport",
        "smtp",
        !["", "smtp"].contains(&transport.as_str()),
    );
    let advice = &mut reading.found.advice;
    advice.push(
        "Or keep Postfix, and let it send through the relay. Leave the relay's listeners as they are \
         by default, set up only [[account]] (graph-relay setup), and run these commands:"
            .to_owned(),
    );
    advice.extend(lines.iter().map(|line| format!("  postconf -e '{line}'")));
    advice.push("  postfix reload".to_owned());
    if reading.settings.has("transport_maps") {
        advice.push("transport_maps takes precedence over relayhost: remove the entries for mail that the relay is to send".to_owned());
    }
}
