//! The TLS of a listener: which one a service offers, and with which certificate.

use crate::import::postfix::Reading;
use crate::import::postfix::services::Service;
use crate::import::postfix::settings::Settings;

/// The parameters with a certificate and its key.
pub(super) const CERTIFICATES: [&str; 3] = [
    "smtpd_tls_cert_file",
    "smtpd_tls_key_file",
    "smtpd_tls_chain_files",
];
/// A certificate and its private key.
pub(super) type Files = (String, String);

/// Of a certificate that is used.
pub(super) const OF_TLS: &str = "[tls]. The relay's user must be able to read the file";
/// Of TLS that is not used.
pub(super) const NO_TLS: &str =
    "TLS is not used: only this machine connects, or there is no certificate";

/// The certificate of a service, and its private key.
pub(super) fn certificate(settings: &Settings) -> Option<Files> {
    let first = |name: &str| settings.list(name).into_iter().next();
    if let Some(chain) = first("smtpd_tls_chain_files") {
        return Some((chain.clone(), chain));
    }
    let certificate = first("smtpd_tls_cert_file").filter(|it| it != "none")?;
    let key = first("smtpd_tls_key_file").unwrap_or_else(|| certificate.clone());
    Some((certificate, key))
}

/// The TLS of a listener, if there is a certificate for it.
pub(super) fn offered(
    reading: &mut Reading,
    service: &Service,
    settings: &Settings,
    files: Option<&Files>,
) -> &'static str {
    let tls = tls_of(settings);
    if needs_tls(settings) && (tls == "off" || files.is_none()) {
        let words = "smtpd_tls_auth_only lets nobody authenticate without TLS, and Postfix has none here: set \
                     [tls], or set tls and authentication of [[listener]] to \"off\"";
        reading.found.ask(service.shown(), words);
        return match tls {
            "off" => "starttls",
            tls => tls,
        };
    }
    if tls != "off" && files.is_none() {
        let words = "its TLS has no certificate: set [tls] and tls";
        reading.found.ask(service.shown(), words);
        return "off";
    }
    tls
}

/// Whether Postfix accepts passwords only over TLS.
pub(super) fn needs_tls(settings: &Settings) -> bool {
    settings.is_on("smtpd_tls_auth_only") && settings.is_on("smtpd_sasl_auth_enable")
}

/// The TLS that the parameters ask for.
pub(super) fn tls_of(settings: &Settings) -> &'static str {
    if settings.is_on("smtpd_tls_wrappermode") {
        return "implicit";
    }
    let level = settings.value("smtpd_tls_security_level");
    match level.to_ascii_lowercase().as_str() {
        "none" => "off",
        "may" => "starttls",
        "" if settings.is_on("smtpd_enforce_tls") => "starttls-required",
        "" if settings.is_on("smtpd_use_tls") => "starttls",
        "" => "off",
        // Postfix treats the levels that are for servers as encrypt (postconf(5)).
        _ => "starttls-required",
    }
}

/// Whether a parameter says which TLS a listener offers.
pub(super) fn is_about_tls(name: &str) -> bool {
    name.contains("_tls") && name != "smtpd_tls_auth_only"
}
