//! What needs attention, in the language of the page. The relay says it in English; a table
//! here says it again by its kind. Where that says less, the English sentence stands below.

use crate::admin::attention::Condition;
use crate::admin::attention::Kind;

/// What a condition is called, and what to do about it.
#[derive(Debug)]
pub(in crate::page) struct AttentionTexts {
    /// Nothing where the relay's own sentence is in this language.
    pub(in crate::page) title: fn(&Condition) -> Option<Title>,
    /// Nothing where the relay's own words are the only ones.
    pub(in crate::page) remedy: fn(Kind) -> Option<&'static str>,
}

/// A title that was translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::page) struct Title {
    pub(in crate::page) words: String,
    /// Whether it says everything that the sentence of the relay says.
    pub(in crate::page) is_whole: bool,
}

pub(super) const ENGLISH: AttentionTexts = AttentionTexts {
    title: |_| None,
    remedy: |_| None,
};

pub(super) const GERMAN: AttentionTexts = AttentionTexts {
    title: |condition| Some(german_title(condition)),
    remedy: german_remedy,
};

#[expect(clippy::too_many_lines, reason = "one table of all kinds")]
fn german_title(condition: &Condition) -> Title {
    let whole = |words: String| Title {
        words,
        is_whole: true,
    };
    let part = |words: &str| Title {
        words: words.to_owned(),
        is_whole: false,
    };
    let subject = condition.subject.as_deref();
    match (condition.kind, subject) {
        (Kind::MessageFailed, _) => {
            whole("In den letzten 24 Stunden sind Nachrichten fehlgeschlagen".to_owned())
        }
        (Kind::MessageHeld, Some("quarantined")) => part("Nachrichten sind in Quarantäne"),
        (Kind::MessageHeld, _) => part("Nachrichten sind angehalten"),
        (Kind::MailWaits, _) => part("Eine Nachricht wartet schon lange"),
        (Kind::CredentialExpires, Some("[tls]")) => {
            whole("Das Zertifikat der Listener läuft bald ab oder ist abgelaufen".to_owned())
        }
        (Kind::CredentialExpires, Some(account)) => whole(format!(
            "Das Geheimnis oder Zertifikat von {account} läuft bald ab oder ist abgelaufen"
        )),
        (Kind::SignInNeeded, Some(mailbox)) => whole(format!("{mailbox} muss sich anmelden")),
        (Kind::NoToken, Some(account)) => Title {
            words: format!("{account} erhält kein Token von Microsoft"),
            // Without a detail, the sentence has the reason.
            is_whole: condition.detail.is_some(),
        },
        (Kind::DeliveryRefused, Some(mailbox)) => part(&format!(
            "Microsoft nimmt Mail von {mailbox} wegen eines Konfigurationsfehlers nicht an"
        )),
        (Kind::BackingOff, Some(mailbox)) => part(&format!(
            "Mail von {mailbox} wartet, weil Microsoft gerade nichts annimmt oder nicht antwortet"
        )),
        (Kind::DailyLimit, Some(mailbox)) => {
            part(&format!("{mailbox} hat sein Tageslimit erreicht"))
        }
        (
            Kind::CredentialExpires
            | Kind::SignInNeeded
            | Kind::NoToken
            | Kind::DeliveryRefused
            | Kind::BackingOff
            | Kind::DailyLimit,
            None,
        ) => part("Weitere Postfächer oder Konten sind betroffen"),
        (Kind::Stalled, _) => part("Seit einiger Zeit wurde nichts gesendet, obwohl Mail wartet"),
        (Kind::MessageStuck, _) => part("Nachrichten scheitern immer wieder"),
        (Kind::NoAccount, _) => {
            part("Für wartende Nachrichten gibt es keinen passenden [[account]]")
        }
        (Kind::DiskFull, _) => {
            part("Das Relay kann gerade keine Mail speichern, oder bald nicht mehr")
        }
        (Kind::SpoolError, _) => part("Das Relay kann den Spool nicht lesen oder nicht schreiben"),
        (Kind::DeliveryPaused, Some(mailbox)) => {
            part(&format!("Die Zustellung aus {mailbox} ist pausiert"))
        }
        (Kind::DeliveryPaused, None) => part("Die gesamte Zustellung ist pausiert"),
        (Kind::Doctor, _) => {
            part("Die Prüfung des Relays (doctor) hat Fehler gefunden oder endete nicht")
        }
        (Kind::AlertFailed, _) => part("Ein Alarm konnte nicht zugestellt werden"),
        (Kind::Configuration, _) => {
            part("Das Relay benutzt relay.toml nicht so, wie sie jetzt ist")
        }
        (Kind::ConnectionsFull, _) => part("Alle Verbindungen waren belegt"),
        (Kind::LogUnread, _) => part("Niemand liest das Protokoll des Relays"),
        (Kind::PickupWaits, Some(folder)) => {
            part(&format!("Aus dem Ordner {folder} holt das Relay nichts ab"))
        }
        (Kind::PickupWaits, None) => part("Aus einem Ordner holt das Relay nichts ab"),
    }
}

/// Only of kinds whose remedy is always the same.
fn german_remedy(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::MessageFailed => {
            Some("Die Liste zeigt sie. Bei jeder Nachricht steht, warum, und was zu tun ist.")
        }
        Kind::SignInNeeded => Some("Melden Sie sich als dieses Postfach an."),
        Kind::SpoolError => Some(
            "Prüfen Sie die Platte (journalctl -k, df, mount). Wenn sie wieder arbeitet, rufen \
             Sie graph-relay spool check auf.",
        ),
        Kind::DeliveryPaused => Some("Setzen Sie sie fort, wenn der Grund nicht mehr besteht."),
        Kind::MessageHeld
        | Kind::MailWaits
        | Kind::CredentialExpires
        | Kind::NoToken
        | Kind::DeliveryRefused
        | Kind::BackingOff
        | Kind::Stalled
        | Kind::MessageStuck
        | Kind::NoAccount
        | Kind::DailyLimit
        | Kind::DiskFull
        | Kind::Doctor
        | Kind::AlertFailed
        | Kind::Configuration
        | Kind::ConnectionsFull
        | Kind::LogUnread
        | Kind::PickupWaits => None,
    }
}
