//! The texts of the page in German.

use super::AccessTexts;
use super::ContentTexts;
use super::ExportTexts;
use super::LayoutTexts;
use super::MessageTexts;
use super::MessagesTexts;
use super::OrderTexts;
use super::OverviewTexts;
use super::Texts;
use super::TimeTexts;
use super::attention;
use crate::admin::AuditAction;
use crate::admin::AuditResult;
use crate::admin::DeviceState;
use crate::admin::Obstacle;
use crate::admin::PageRole as Role;
use crate::admin::PermissionKind;
use crate::admin::TokenState;
use crate::config::Tls;
use crate::page::audit::AuditTexts;
use crate::page::badge::Badge;
use crate::page::devices::texts::AddTexts;
use crate::page::devices::texts::AllowTexts;
use crate::page::devices::texts::DevicesTexts;
use crate::page::devices::texts::UserTexts;
use crate::page::doctor::DoctorTexts;
use crate::page::mailboxes::texts::MailboxesTexts;
use crate::page::setup::texts::SetupTexts;
use crate::page::test_message::texts::TestTexts;
use crate::spool::Action;

pub(super) static TEXTS: Texts = Texts {
    layout: LayoutTexts {
        skip: "Zum Inhalt",
        pages: "Seiten",
        overview: "Übersicht",
        messages: "Nachrichten",
        devices: "Geräte",
        setup: "Einrichtung",
        mailboxes: "Postfächer",
        attention: "Braucht Aufmerksamkeit",
        what_to_do: "Was zu tun ist:",
        by_operator: "das kann ein Operator des Relays",
        all_well: "Alles in Ordnung: E-Mails werden angenommen und zugestellt.",
        since: "Seit",
        seen: "Gesehen seit",
        show_them: "Nachrichten anzeigen",
        show_it: "Nachricht anzeigen",
        look_again: "Noch einmal nachsehen",
        log_out: "Abmelden",
        inbox: "Sandbox: was ankam",
    },
    attention: attention::GERMAN,
    access: AccessTexts {
        log_in: "Anmelden",
        logged_out: "Sie sind abgemeldet.",
        session_ended: "Ihre Sitzung ist beendet. Melden Sie sich wieder an, um an derselben Stelle weiterzumachen.",
        with_link: "Mit diesem Link melden Sie sich an der Verwaltungsseite an. Er gilt einmal.",
        how: "Zum Anmelden führen Sie auf dem Rechner des Relays diesen Befehl aus und öffnen die \
              Adresse, die er ausgibt:",
        password: "Passwort",
        wrong_link: "Dieser Link gilt nicht: Er wurde schon benutzt, ist älter als zehn Minuten \
                     oder unvollständig. Erzeugen Sie einen neuen.",
        entra: "Mit Microsoft anmelden",
        entra_failed: "Sie sind nicht angemeldet",
        entra_stale: "Diese Anmeldung gilt nicht mehr: Sie hat zu lange gedauert oder wurde in einem \
                      anderen Browser begonnen. Beginnen Sie noch einmal.",
        entra_not_listed: "Microsoft hat Sie angemeldet, aber dieser Benutzer steht in keiner Liste \
                           von [admin.entra] in relay.toml. Wenden Sie sich an den Administrator \
                           des Relays, oder benutzen Sie ein anderes Konto:",
        entra_groups: "Der Benutzer ist in mehr Gruppen, als Microsoft nennt. Nennen Sie den \
                       Benutzer in relay.toml, oder lassen Sie Entra nur Gruppen nennen, die der \
                       App zugewiesen sind.",
        wrong_password: "Das Passwort ist falsch.",
        wait: "Zu viele falsche Versuche von Ihrer Adresse. Warten Sie zehn Minuten, oder melden \
               Sie sich mit einem Link an.",
        foreign_title: "Diese Anfrage kam von einer anderen Website",
        foreign: "Es wurde nichts geändert. Wenn Sie etwas ändern wollten, tun Sie es auf der \
                  Seite selbst.",
        stale_title: "Dieses Formular ist veraltet",
        stale: "Es wurde nichts geändert. Laden Sie die Seite neu, und wiederholen Sie den Schritt.",
        not_allowed_title: "Nicht erlaubt",
        not_allowed: "Sie dürfen dies ansehen, aber nicht ändern. Wenden Sie sich an den \
                      Administrator des Relays.",
        not_shown: "Das sieht nur, wer das Relay verwaltet.",
        not_found_title: "Hier ist nichts",
        not_found: "Vielleicht ist die Adresse falsch geschrieben, oder der Inhalt wird nicht mehr \
                    aufbewahrt.",
        unreadable_title: "Das Relay versteht diese Anfrage nicht",
        unreadable: "Ein Wert fehlt oder ist nicht richtig geschrieben. Es wurde nichts geändert. \
                     Gehen Sie zurück, prüfen Sie Ihre Eingabe, und versuchen Sie es noch einmal.",
        method_title: "Diese Adresse ist keine Seite",
        method: "Sie nimmt Aufträge von Schaltflächen anderer Seiten an. Es wurde nichts geändert.",
        slow_title: "Die Anfrage kam nicht rechtzeitig an",
        slow: "Es wurde nichts geändert. Prüfen Sie Ihre Verbindung, und versuchen Sie es noch einmal.",
        large_title: "Das Formular ist zu groß",
        large: "Es wurde nichts geändert. Wählen Sie weniger Nachrichten aus, oder geben Sie weniger \
                ein.",
        arrival_title: "Die Seite wird geöffnet",
        arrival: "Weiter",
        unnamed_proxy: "Vor der Verwaltungsseite steht ein Proxy, den relay.toml nicht nennt",
        unnamed_proxy_remedy: "Tragen Sie unter [admin] in relay.toml die url ein, unter der Browser \
                               die Seite erreichen, und proxies = [\"127.0.0.1\"]. Starten Sie das \
                               Relay dann neu. Bis dahin ist das Cookie der Anmeldung nicht Secure, \
                               und falsche Passwörter eines Besuchers lassen alle warten.",
        role: |role| match role {
            Role::Viewer => "Betrachter",
            Role::Operator => "Operator",
            Role::Administrator => "Administrator",
        },
    },
    overview: OverviewTexts {
        accepted: "Angenommen",
        delivered: "Zugestellt",
        deferred: "Aufgeschoben",
        deferred_help: "Versuche, nach denen eine Nachricht auf den nächsten wartet.",
        failed: "Fehlgeschlagen",
        refused: "Abgewiesen",
        hour: "Letzte Stunde",
        day: "Letzte 24 Stunden",
        week: "Letzte 7 Tage",
        span: "Zeitraum",
        since_start: |span| format!("Das Relay läuft seit {span} und zählt seitdem."),
        most_in_a_bar: |most| format!("der höchste Balken steht für {most}"),
        waiting: "Wartend",
        oldest: |span| format!("Die älteste wartet seit {span}."),
        nothing_waits: "Nichts wartet.",
        held: "Angehalten",
        show_waiting: "Wartende anzeigen",
        show_failed: "Fehlgeschlagene anzeigen",
        show_refused: "Abgewiesene anzeigen",
        mailboxes: "Postfächer",
        mailbox: "Postfach",
        state: "Zustand",
        next_free: "Mehr ist frei",
        recipients: "Empfänger der letzten 24 Stunden",
        at_once: "Anfragen zugleich",
        most_at_once: |most| format!("bis zu {most}"),
        fewer_at_once: |now, most| format!("{now} statt {most}: Microsoft hat um weniger gebeten"),
        of: |used, limit| format!("{used} von {limit}"),
        sending: "Sendebereit",
        limited: "Wartet auf eine Grenze",
        backing_off: "Wartet nach Fehlern",
        paused: "Pausiert",
        no_mailbox: "Noch hat kein Postfach etwas gesendet.",
        listening: "Empfang",
        version: |version| format!("graph-relay {version}"),
        first_title: "Noch ist keine Nachricht angekommen",
        first: "Senden Sie eine an die Adresse unten, zum Beispiel mit diesem Befehl:",
    },
    messages: MessagesTexts {
        search_help: "Empfänger, Absender, Betreff, ID oder Gerät",
        state: "Zustand",
        all_states: "Alle",
        time: "Zeit",
        any_time: "Beliebig",
        find: "Suchen",
        only: "Nur",
        without: "Ohne diesen Filter",
        caption: "Eine Zeile je Empfänger, die neueste zuerst: angenommene und abgewiesene. \
                  Zeiten in UTC.",
        from: "Von",
        to: "An",
        subject: "Betreff",
        happened: "Was geschah",
        client: "Gerät",
        no_subject: "kein Betreff",
        no_sender: "kein Absender",
        itself: "das Relay",
        nothing: "Keine Nachricht passt dazu.",
        nothing_yet: "Noch gibt es keine Nachricht.",
        nothing_so_far: "Keine neuere Nachricht passt dazu. Die Suche geht bei älteren weiter.",
        older: "Ältere Nachrichten",
        newest: "Zurück zu den neuesten",
        live: "Die Liste erneuert sich selbst, außer während Sie auswählen oder tippen.",
        bad_filter: "Dieser Filter ist nicht verwendbar:",
        select: "Auswählen",
        select_first: "Für die ausgewählten Nachrichten.",
        nothing_selected: "Es ist keine Nachricht ausgewählt, also wurde nichts getan. Wählen Sie zuerst Nachrichten in der Liste aus.",
        status: |badge| match badge {
            Badge::Waiting => "Wartet",
            Badge::Claimed => "Wird gesendet",
            Badge::Held => "Angehalten",
            Badge::Delivered => "Zugestellt",
            Badge::Failed => "Fehlgeschlagen",
            Badge::Dropped => "Verworfen",
            Badge::Quarantined => "In Quarantäne",
            Badge::Refused => "Abgewiesen",
        },
    },
    message: MessageTexts {
        unknown_title: "Diese Nachricht gibt es nicht",
        unknown: "Es hat sie nie gegeben, oder sie ist älter, als [history] keep erlaubt.",
        recipients: "Empfänger",
        instead_of: "statt",
        details: "Einzelheiten",
        envelope_sender: "Absender im Umschlag",
        mailbox: "Postfach",
        size: "Bytes",
        report_about: "Bericht über",
        copy_of: "Kopie von",
        copy: "Erneut gesendet als",
        made: "Vom Relay selbst erzeugt und sicher gespeichert.",
        accepted: |client, hello| {
            format!("Von {client} ({hello}) angenommen und sicher gespeichert.")
        },
        attempt: |number, outcome| format!("Versuch {number}: {outcome}."),
        asked_to_wait: |span| format!("Microsoft bat um eine Wartezeit von {span}."),
        planned: |number| format!("Versuch {number} ist geplant."),
        under_way: "läuft",
        delivered: "an Microsoft 365 übergeben",
        deferred: "erfolglos",
        failed: "endgültig fehlgeschlagen",
        doubtful: "unbekannt, ob Microsoft 365 sie angenommen hat",
        code: "Code",
        took: "Dauer",
        protocol: "Protokoll",
        yes: "ja",
        no: "nein",
        retry: "Erneut versuchen",
        hold: "Anhalten",
        release: "Freigeben",
        drop: "Verwerfen",
        confirm: |action, count| {
            let messages = messages(count);
            match action {
                Action::Retry => format!("{messages} erneut versuchen"),
                Action::Hold => format!("{messages} anhalten"),
                Action::Release => format!("{messages} freigeben"),
                Action::Drop => format!("{messages} verwerfen"),
            }
        },
        drop_help: "Was verworfen ist, wird nie gesendet. Der Inhalt wird gelöscht oder für \
                    history.keep_content aufbewahrt. Niemand erhält einen Bericht.",
        done: |action, count| {
            let messages = messages(count);
            match action {
                Action::Retry => format!("Sofort versucht: {messages}"),
                Action::Hold => format!("Angehalten: {messages}"),
                Action::Release => format!("Freigegeben: {messages}"),
                Action::Drop => format!("Verworfen: {messages}"),
            }
        },
        unchanged: |count| format!("Nicht geändert: {}.", messages(count)),
        back: "Zurück",
        cancel: "Abbrechen",
        resend_title: "Erneut senden",
        resend: "Erneut senden",
        resend_question: "Jemand könnte sie zweimal erhalten",
        resent: |to| format!("Eine Kopie geht an {to}"),
        not_resent: "Sie wurde nicht erneut gesendet",
        not_an_address: "Das ist keine Adresse. Schreiben Sie Adressen wie anna@contoso.com, durch \
                         Kommas getrennt.",
    },
    test: TestTexts {
        title: "Eine Testnachricht senden",
        to: "An",
        from: "Von",
        from_help: "Leer lassen, um vom Postfach des Kontos zu senden.",
        account: "Konto",
        any_account: "Das, welches die Absenderadresse auswählt",
        send: "Senden",
        no_address: "Das ist keine Adresse. Bitte eine wie anna@contoso.com eingeben.",
        not_sent: "Nicht gesendet",
        steps: "Ihr Weg",
        token: |account| format!("Entra hat ein Token für das Konto {account} ausgestellt"),
        accepted: "Das Relay hat die Nachricht angenommen: Sie liegt sicher auf der Platte",
        answered: "Graph hat geantwortet",
        asking: "Das Relay fragt gerade Graph",
        waits: "Diese Seite lädt sich neu, bis die Nachricht erledigt ist.",
        waits_long: "Die Nachricht ist noch nicht erledigt; diese Seite lädt sich nicht mehr von selbst neu.",
        untested: "Nicht getestet",
        untested_list: "Ob sich ein Gerät per SMTP verbinden und anmelden kann, und ob die Nachricht \
                        im Posteingang ankommt: Microsoft kann sie noch herausfiltern. Bitte beim \
                        Empfänger in den Posteingang und in den Junk-Ordner sehen.",
        again: "Noch eine senden",
        whole: "Alles über diese Nachricht",
    },
    setup: SetupTexts {
        needed: "Das Relay ist noch nicht eingerichtet",
        needed_help: "Es nimmt keine E-Mails an, solange es nicht weiß, welche App und welches Postfach senden.",
        not_saved: "Nicht gespeichert",
        nothing_changed: "Es wurde nichts geändert: Das Relay arbeitet mit den alten Einstellungen weiter.",
        at_field: "Das betrifft das Feld:",
        refused_here: "Microsoft nimmt das nicht an. Warum, steht oben auf der Seite.",
        said: "Microsoft sagt:",
        hints: "Außerdem",
        set_by: |variable| {
            format!(
                "Von der Umgebungsvariablen {variable} gesetzt: relay.toml hat hier keine Wirkung."
            )
        },
        no_file: "Dieses Relay hat keine relay.toml, die sich hier ändern ließe.",
        accounts: "Konten",
        app_title: "1. Die App in Entra",
        sign_in: "Wie gesendet wird",
        application: "Die App sendet für alle Postfächer",
        delegated: "Jedes Postfach wird von seinem Besitzer verbunden",
        sign_in_help: "Das Erste braucht die Anwendungsberechtigung Mail.Send. Beim Zweiten hier \
                       speichern und dann jedes Postfach auf der Seite Postfächer verbinden; dort \
                       steht auch die Umleitungsadresse für Entra.",
        tenant: "Verzeichnis-ID (Mandant)",
        tenant_help: "In Entra: App-Registrierungen → die App → Übersicht.",
        no_tenant: "Das ist weder eine ID noch eine Domäne. Bitte die Verzeichnis-ID (Mandant) kopieren.",
        client_id: "Anwendungs-ID (Client)",
        client_id_help: "Auf derselben Seite von Entra.",
        no_client_id: "Das ist keine ID wie 22222222-2222-2222-2222-222222222222. Bitte die \
                       Anwendungs-ID (Client) kopieren.",
        secret: "Geheimer Clientschlüssel, sein Wert",
        secret_saved: "gespeichert, wird nie angezeigt",
        secret_held: "eingegeben, nicht gespeichert",
        secret_held_help: "Auch das eingegebene Geheimnis ist nicht gespeichert. Das Relay merkt es \
                           sich eine Stunde lang, nur für dieses Formular: Das Feld leer lassen, um \
                           es noch einmal zu verwenden.",
        secret_stored: |day| {
            format!("Das verwendete Geheimnis wurde am {day} gespeichert; es wird nie angezeigt.")
        },
        secret_missing: "Bitte den Wert des Geheimnisses eingeben. Das Relay hat noch keines.",
        secret_lost: "Das Relay hat das eingegebene Geheimnis nicht mehr: Bitte noch einmal eingeben.",
        secret_damaged: "Das ist kein Geheimnis von Entra: Es enthält Anführungszeichen, Leerzeichen \
                         oder einen Zeilenumbruch. Bitte nur die Spalte Wert kopieren.",
        secret_help: "In Entra: Zertifikate & Geheimnisse. Der Wert des Geheimnisses, nicht seine \
                      ID: Entra zeigt ihn nur einmal, gleich nach dem Anlegen. Leer lassen, um den \
                      gespeicherten zu behalten.",
        secret_id: "Das ist die Geheimnis-ID. Bitte die Spalte Wert kopieren; sie wird nur einmal \
                    angezeigt, eventuell ist ein neues Geheimnis nötig.",
        other_credential: "Zurzeit weist sich das Konto anders aus:",
        expires: "Läuft ab am",
        expires_help: "Die Spalte Gültig bis in Entra. Das Relay warnt 30 Tage vorher.",
        no_day: "Bitte ein Datum wie 2027-11-30 eingeben.",
        mailbox_title: "2. Das Postfach, das sendet",
        mailbox: "Postfach",
        mailbox_help: "Sein Benutzerprinzipalname, kein Alias; es braucht eine Lizenz für Exchange \
                       Online. Oder das Wort from: Jede Nachricht geht vom Postfach in ihrem From aus.",
        no_mailbox: "Bitte eine Adresse wie noreply@contoso.com eingeben oder das Wort from.",
        clouds: "Eine andere Cloud von Microsoft",
        cloud: "Cloud",
        login_url: "Adresse von Entra",
        graph_url: "Adresse von Graph",
        urls_help: "Beide leer lassen, um die der Cloud zu verwenden.",
        reach_title: "3. Wer sich verbinden darf",
        reach: "Programme und Geräte",
        here: "Nur auf diesem Rechner",
        networks: "Auf diesem Rechner und an diesen Adressen",
        addresses: "Adressen",
        networks_help: "Eine in jeder Zeile: 192.0.2.17 für ein Gerät, 192.0.2.0/24 für ein Netz.",
        no_networks: "Bitte Adressen wie 192.0.2.17 oder Netze wie 192.0.2.0/24 eingeben.",
        several_listeners: "relay.toml hat mehrere Abschnitte [[listener]]: Bitte dort ändern.",
        save: "Speichern und prüfen",
        anyway: "Trotzdem speichern",
        save_help: "Beim Speichern wird Microsoft nach einem Token gefragt und das Postfach \
                    ausprobiert; das dauert ein paar Sekunden.",
        changed_meanwhile: "relay.toml wurde inzwischen von jemand anderem geändert. Bitte die Seite \
                            neu laden und die Änderung noch einmal eingeben.",
        consent_title: "Administratorzustimmung erteilen",
        consent_help: "Wenn die Berechtigung Mail.Send in der Liste der App steht (Entra: \
                       API-Berechtigungen), erteilt ein Administrator des Mandanten sie unter dieser \
                       Adresse:",
        scope_title: "Die App auf ihr Postfach beschränken",
        scope_help: "Die Anwendungsberechtigung Mail.Send gilt für jedes Postfach des Mandanten. Um \
                     nur dieses zu erlauben, die Berechtigung in Entra entfernen und in der \
                     PowerShell ausführen:",
        scope_gaps: "Bitte CLIENT_ID und MAILBOX in den Befehlen durch die Werte ersetzen. Die Befehle \
                     enthalten Ihre Werte, sobald sie im Formular stehen und Microsoft sie annimmt.",
        prepared: "Die Änderung ist vorbereitet, aber noch nicht geschrieben",
        prepared_help: "Das Relay darf relay.toml nicht schreiben, damit niemand, der in es \
                        einbricht, sein Verhalten ändern kann. Bitte auf seinem Rechner ausführen; \
                        der Befehl zeigt die Änderung noch einmal, fragt, schreibt sie und setzt \
                        sie in Kraft. Sie wartet einen Tag lang:",
        written: "Gespeichert, aber noch nicht in Kraft",
        in_force: "Gespeichert und in Kraft",
        previous: "Der Text von vorher steht in relay.toml.previous.",
        not_in_force: "Das Relay arbeitet noch mit der Konfiguration von vorher:",
        needs_restart: "Diese Einstellungen gelten, sobald das Relay neu startet:",
        connect_next: "Sobald die Änderung in Kraft ist: jedes Postfach verbinden",
        restart: "Das Relay jetzt neu starten",
        restart_help: "Das dauert ein paar Sekunden; Clients, die sich gerade verbinden, versuchen \
                       es noch einmal. Keine E-Mail geht verloren.",
        restarts: "Das Relay startet neu",
        restarts_help: "Diese Seite geht von selbst weiter, sobald das Relay wieder da ist. Das dauert ein paar \
                        Sekunden, oder bis zu einer Minute, wenn es gerade Clients bedient oder Nachrichten sendet. \
                        Wenn Sie die Adresse der Seite geändert haben, öffnen Sie sie dort.",
        restarted: "Das Relay wurde neu gestartet",
        restarted_help: "Es arbeitet mit der jetzigen relay.toml.",
        restarted_except: "Es arbeitet noch nicht mit der ganzen relay.toml:",
        not_restarted: "Der Neustart ist fehlgeschlagen",
        not_restarted_help: "Das Relay kann mit der neuen relay.toml nicht starten. Es arbeitet mit der Konfiguration von \
                             vorher weiter, und keine E-Mail geht verloren.",
        not_restarted_remedy: "Beheben Sie dies in der Einrichtung oder in relay.toml (graph-relay check prüft die Datei), \
                               und starten Sie das Relay dann noch einmal neu.",
        applied: "Übernommen und in Kraft",
        applied_by: "Die Änderung wurde in relay.toml geschrieben von:",
        applied_not_in_force: "Übernommen, aber noch nicht in Kraft",
        expired: "Diese Änderung wird nicht mehr aufbewahrt",
        expired_help: "Eine vorbereitete Änderung wartet einen Tag. Speichern Sie sie in der Einrichtung noch einmal.",
        keys: "Was sich ändert",
        no_keys: "Nichts: In relay.toml steht das schon.",
        key: "Einstellung",
        old: "Vorher",
        new: "Nachher",
        lines: "Die Zeilen von relay.toml",
    },
    devices: DevicesTexts {
        nothing: "Noch hat kein Gerät etwas gesendet. Stellen Sie an einem Gerät oder in einem \
                  Programm das Relay ein: Es erscheint hier mit seiner ersten Nachricht.",
        search: "Adresse, Benutzer, Name oder Absender",
        find: "Suchen",
        all: "Alle",
        none_found: "Kein Gerät passt dazu.",
        range: |from, to, of| format!("{from} bis {to} von {of}"),
        previous: "Vorige Seite",
        next: "Nächste Seite",
        caption: "Jede Adresse und, wo sie sich anmeldet, jeder Benutzer: Zuerst steht, wer zuletzt \
                  gesehen wurde. Der Tag beginnt um Mitternacht UTC.",
        live: "Die Liste erneuert sich selbst.",
        device: "Gerät",
        last_seen: "Zuletzt gesehen",
        today: "Heute",
        signs_in_as: "Angemeldet als",
        by_network: "über die Adresse",
        connection: "Verbindung",
        notes: "Hinweise",
        no_tls: "ohne TLS",
        ago: |span| format!("vor {span}"),
        now: "gerade eben",
        accepted: |count| format!("{count} angenommen"),
        delivered: |count| format!("{count} zugestellt"),
        failed: |count| format!("{count} fehlgeschlagen"),
        refused: |count| format!("{count} abgewiesen"),
        nothing_today: "nichts",
        state: |state| match state {
            DeviceState::Sending => "Angenommen",
            DeviceState::Silent => "Still",
            DeviceState::Refused => "Abgewiesen",
            DeviceState::Added => "Hinzugefügt, hat noch nichts gesendet",
            DeviceState::Removed => "Entfernt",
        },
        silent: |days| format!("Seit {} still", counted(days, "Tag", "Tagen")),
        unknown_title: "Dieses Gerät gibt es nicht",
        unknown: "Es hat noch nichts gesendet, oder das Relay hat es vergessen: Es merkt sich die \
                  letzten 1000 Geräte.",
        verdict: |state| match state {
            DeviceState::Sending => "Die letzte Nachricht wurde angenommen.",
            DeviceState::Silent => {
                "Es hat regelmäßig gesendet und sendet nicht mehr. Ist es \
                                    ausgeschaltet, oder sendet es an eine andere Adresse?"
            }
            DeviceState::Refused => "Das Relay hat abgewiesen, was es zuletzt gesendet hat.",
            DeviceState::Added => "Es hat sich noch nicht angemeldet.",
            DeviceState::Removed => {
                "Sein Benutzer steht nicht mehr in relay.toml; es kann sich nicht mehr anmelden."
            }
        },
        forget: "Dieses Gerät vergessen",
        forget_question: "Das Relay nimmt das Gerät mit seinen Zahlen aus der Liste der Geräte. Das \
                          Gerät wird nicht gesperrt: Wenn es wieder sendet, behandelt das Relay es \
                          wie bisher und führt es wieder in der Liste. Seine Nachrichten bleiben in \
                          der Liste der Nachrichten.",
        details: "Einzelheiten",
        address: "Adresse",
        name: "Nennt sich",
        first_seen: "Zuerst gesehen",
        last_accepted: "Letzte angenommene Nachricht",
        never: "nie",
        authentication: "Anmeldung",
        none: "keine",
        senders: "Sendet als",
        quirks: "Geduldete Abweichungen",
        figures: "Nachrichten",
        figures_of: "Seit wann",
        since: |since| format!("seit {since}"),
        heads: ["Angenommen", "Zugestellt", "Fehlgeschlagen", "Abgewiesen"],
        last_messages: "Letzte Nachrichten",
        all_messages: "Alle Nachrichten dieses Geräts",
        all_refusals: "Alles Abgewiesene",
        transcripts: "Sitzungen, in denen etwas schiefging",
        transcripts_help: "Was diese Adresse und das Relay einander gesagt haben, ohne Passwörter \
                           und Inhalte. Das Relay behält die letzten bis zum Neustart.",
        no_transcripts: "Keine seit dem Start des Relays.",
        omitted: |count| format!("… {count} Zeilen sind nicht aufbewahrt …"),
        client: "Gerät",
        relay: "Relay",
        event: "Ereignis",
    },
    mailboxes: MailboxesTexts {
        intro: "Postfächer, die sich selbst anmelden: Das Relay sendet aus jedem mit der \
                Berechtigung, die sein Benutzer erteilt hat.",
        none: "Kein Konto in relay.toml hat sign_in = \"delegated\": Die Apps senden mit ihrer \
               eigenen Berechtigung, und niemand muss sich anmelden.",
        nobody_yet: "Noch hat sich kein Postfach angemeldet.",
        caption: "Zeiten in UTC.",
        account: "Konto",
        actions: "Was Sie tun können",
        state_of: |state| match state {
            TokenState::Good | TokenState::NotAskedFor | TokenState::SignedIn => "Angemeldet",
            TokenState::Refused | TokenState::SignedOut => "Muss sich neu anmelden",
            TokenState::Unavailable => "Microsoft antwortet nicht",
            TokenState::NotSignedIn => "Noch nicht angemeldet",
        },
        since: "seit",
        sign_in: "Anmelden",
        sign_in_again: "Neu anmelden",
        make_link: "Link für den Benutzer",
        forget: "Vergessen",
        other_title: "Ein weiteres Postfach verbinden",
        other_label: "Postfach: der Benutzerprinzipalname, wie anna@contoso.com",
        unknown: "Kein Konto mit sign_in = \"delegated\" sendet aus diesem Postfach. Vergleichen Sie \
                  mailbox und senders in relay.toml.",
        redirect_title: "Die Umleitungsadresse für Entra",
        redirect_label: "Diese Adresse kopieren",
        redirect_web: "In Entra: App-Registrierungen > die App > Authentifizierung > Plattform \
                       hinzufügen > Web. Tragen Sie sie als Umleitungs-URI ein und speichern Sie.",
        redirect_public: "Für ein Konto ohne Geheimnis und Zertifikat wählen Sie statt Web \
                          „Mobilgerät- und Desktopanwendungen“ und tragen sie dort als \
                          benutzerdefinierten Umleitungs-URI ein.",
        not_accepted: "Entra nimmt http nur für localhost an. Setzen Sie url unter [admin] in \
                       relay.toml auf die https-Adresse dieser Seite.",
        consent: "Ein Administrator des Mandanten kann für alle Benutzer zustimmen, dann wird niemand \
                  gefragt. Für das Konto",
        elsewhere: "Microsoft bringt den Browser zu einer anderen Adresse zurück als der, die Sie \
                    gerade benutzen. Öffnen Sie die Seite dort, und melden Sie sich an, bevor Sie \
                    ein Postfach anmelden:",
        forget_question: |mailbox| format!("Die Anmeldung von {mailbox} vergessen?"),
        forget_help: "Seine E-Mails warten, bis es sich neu anmeldet. Die App behält ihre \
                      Berechtigung in Entra; der Benutzer kann sie auf myapps.microsoft.com \
                      zurückziehen.",
        forgotten: |mailbox| {
            format!("Die Anmeldung von {mailbox} ist vergessen. Seine E-Mails warten.")
        },
        link_title: |mailbox| format!("Ein Link, um {mailbox} zu verbinden"),
        link_label: "Senden Sie diesen Link dem Benutzer des Postfachs",
        link_help: "Er wird nur jetzt gezeigt. Er gilt einmal, einen Tag lang, bis zum Neustart des \
                    Relays oder bis Sie einen neuen erzeugen. Der Benutzer kann damit dieses \
                    Postfach verbinden und sonst nichts.",
        link_only_here: "Dieser Link funktioniert nur in einem Browser auf dem Rechner des Relays, \
                         denn diese Seite ist nur dort erreichbar. Für Benutzer an anderen Rechnern \
                         braucht [admin] in relay.toml eine Adresse in Ihrem Netz mit tls, und url \
                         muss ihre https-Adresse sein; erzeugen Sie den Link dann neu. Oder der Benutzer \
                         öffnet zuerst einen SSH-Tunnel zum Relay, mit demselben Port.",
        back: "Zurück zu den Postfächern",
        connect: |mailbox| format!("{mailbox} verbinden"),
        wrong_link_title: "Dieser Link gilt nicht",
        wrong_link: "Er wurde schon benutzt, ist älter als ein Tag oder unvollständig. Bitten Sie \
                     den Administrator, der ihn geschickt hat, um einen neuen.",
        guest: |relay| {
            format!(
                "Das Mail-Relay {relay} sendet E-Mails aus diesem Postfach, zum Beispiel für Drucker \
                 und Anwendungen. Dafür melden Sie sich einmal bei Microsoft an. Das Relay sieht Ihr \
                 Passwort nicht und kann Ihre E-Mails nicht lesen, solange Microsoft diese \
                 Berechtigung nicht nennt."
            )
        },
        guest_once: "Dieser Link gilt einmal. Fahren Sie in dem Browser fort, in dem Sie sich \
                     anmelden wollen.",
        go_on: "Weiter",
        go_title: |mailbox| format!("Bei Microsoft als {mailbox} anmelden"),
        go_help: |mailbox| {
            format!(
                "Wählen Sie dort {mailbox}. Ist im Browser ein anderes Konto angemeldet, melden Sie \
                 sich zuerst überall ab, oder benutzen Sie ein privates Fenster. Danach kommt der \
                 Browser hierher zurück."
            )
        },
        go: "Zu Microsoft",
        go_stuck: "Wenn Microsoft AADSTS50011 zeigt und nicht zurückkommt, fehlt diese \
                   Umleitungsadresse in Entra, bei Authentifizierung der App:",
        came_back: "Zurück von Microsoft",
        came_back_help: "Einen Moment. Wenn nichts geschieht, fahren Sie von Hand fort.",
        checking: "Die Antwort von Microsoft wird geprüft",
        checking_help: "Das dauert ein paar Sekunden.",
        stale_title: "Diese Anmeldung gilt nicht mehr",
        stale: "Sie hat länger als eine Stunde gedauert, wurde in einem anderen Browser begonnen, \
                oder das Relay wurde neu gestartet. Beginnen Sie noch einmal.",
        obstacle: |obstacle| match obstacle {
            Obstacle::OtherUser => (
                "Ein anderes Konto hat sich angemeldet",
                "Melden Sie sich zuerst überall ab, zum Beispiel auf \
                 login.microsoftonline.com/logout.srf, oder benutzen Sie ein privates Fenster. \
                 Versuchen Sie es dann noch einmal, und wählen Sie das Postfach selbst.",
            ),
            Obstacle::NoConsent => (
                "Die Berechtigung fehlt",
                "Jemand muss zustimmen, dass die App E-Mails sendet. Dürfen Benutzer das nicht, \
                 erteilt ein Administrator des Mandanten die Zustimmung einmal: Entra > \
                 App-Registrierungen > die App > API-Berechtigungen > Administratorzustimmung \
                 erteilen. Versuchen Sie es dann noch einmal.",
            ),
            Obstacle::Stale => (
                "Diese Antwort gehört zu keiner Anmeldung, die wartet",
                "Die Seite wurde zweimal geladen, oder es hat zu lange gedauert. Versuchen Sie es \
                 noch einmal.",
            ),
            Obstacle::Entra => (
                "Microsoft hat das Postfach nicht angemeldet",
                "Unten steht, was Microsoft sagt, und was zu tun ist. Versuchen Sie es danach noch \
                 einmal.",
            ),
            Obstacle::Relay => (
                "Das Relay konnte die Anmeldung nicht speichern",
                "Unten steht der Grund. Versuchen Sie es danach noch einmal.",
            ),
        },
        try_again: "Noch einmal versuchen",
        connected: |mailbox| format!("{mailbox} ist verbunden"),
        waiting: |count| match count {
            1 => "1 Nachricht hat darauf gewartet und wird jetzt gesendet.".to_owned(),
            count => {
                format!("{count} Nachrichten haben darauf gewartet und werden jetzt gesendet.")
            }
        },
        test: "Eine Testnachricht an das Postfach selbst:",
        test_arrived: "Microsoft 365 hat sie angenommen. Sie liegt im Posteingang oder bei den \
                       Junk-E-Mails.",
        test_not_sent: "Es wurde keine Testnachricht gesendet:",
        show_test: "Nachricht anzeigen",
        close: "Sie können diese Seite schließen.",
    },
    order: OrderTexts {
        whole: "Es geht um ganze Nachrichten: um alle, die hier stehen, auch um Empfänger, deren \
                Zeilen nicht ausgewählt sind.",
        cut: |count| {
            format!(
                "Es passen noch mehr Nachrichten. Es geht um die neuesten {count}; für die übrigen bitte wiederholen."
            )
        },
        further_recipients: |count| format!("{count} weitere Empfänger"),
        further_messages: |count| format!("Weitere Nachrichten: {count}."),
        further_remarks: |count| format!("Weitere Hinweise im Protokoll: {count}."),
        progress: |done, count| format!("Bisher {done} von {count}."),
        goes_on: "Es geht weiter, auch wenn Sie diese Seite verlassen.",
        broken: "Es wurde abgebrochen:",
        nothing_title: "Nichts zu tun",
        nothing: "Es gibt keine passende Nachricht, mit der sich das machen lässt.",
        gone_title: "Dieser Auftrag ist nicht mehr bekannt",
        gone: "Die Seite merkt sich die letzten Aufträge bis zum Neustart des Relays. Was geschehen ist, \
               steht im Verlauf jeder Nachricht und im Protokoll.",
        show_copy: "Die Kopie ansehen",
        all_that_match: |count, is_all| match is_all {
            true => format!("Alle {count} passenden, nicht nur die ausgewählten"),
            false => format!("Alle passenden (mehr als {count}), nicht nur die ausgewählten"),
        },
        ordered: |order, by| match order {
            "retry" => format!("Sofort wiederholt, im Auftrag von {by}."),
            "hold" => format!("Angehalten, im Auftrag von {by}."),
            "release" => format!("Freigegeben, im Auftrag von {by}."),
            "drop" => format!("Verworfen, im Auftrag von {by}."),
            "drop content" => format!("Inhalt gelöscht, im Auftrag von {by}."),
            "resend" => format!("Als Kopie noch einmal gesendet, im Auftrag von {by}."),
            other => format!("{other}, im Auftrag von {by}."),
        },
        user: |uid| match uid {
            0 => "root".to_owned(),
            uid => format!("Benutzer {uid} des Rechners"),
        },
        resend_whom: "An wen",
        resend_original: |to| format!("An die ursprünglichen Empfänger: {to}"),
        resend_mailbox: |mailbox| format!("Nur an das sendende Postfach: {mailbox}"),
        resend_other: "An andere Adressen:",
        resend_addresses: "Adressen, durch Komma getrennt",
        can_until: |until| {
            format!(
                "Der Inhalt wird bis {until} aufbewahrt; so lange kann sie noch einmal gesendet werden."
            )
        },
        cannot: "Sie kann nicht noch einmal gesendet werden:",
    },
    content: ContentTexts {
        title: "Kopfzeilen und Inhalt",
        show: "Kopfzeilen und Inhalt",
        header: "Kopfzeilen, wie sie kamen",
        text: "Text",
        html: "HTML",
        html_help: "In einer Sandbox: ohne Skripte, ohne Verweise nach außen, ohne Bilder von außen.",
        cut: "Das ist nur der Anfang. Alles steht in der Datei.",
        not_whole: "Die Nachricht ist so groß oder hat so viele Teile, dass nicht alles aufgeführt ist.",
        no_text: "Sie hat keinen Text.",
        files: "Anhänge",
        no_files: "Sie hat keine.",
        name: "Name",
        kind: "Typ",
        raw: "Die ganze Nachricht (.eml)",
        not_for_you: "Nur ein Administrator darf den Inhalt von Nachrichten lesen.",
        gone_title: "Der Inhalt wird nicht mehr aufbewahrt",
        gone: "Das Relay löscht den Inhalt einer Nachricht, sobald sie zugestellt oder verworfen ist, \
               oder bewahrt ihn so lange auf, wie [history] keep_content es sagt.",
        unreadable_title: "Der Inhalt ist nicht lesbar",
        unreadable: "Er ist beschädigt. Mehr dazu im Protokoll und mit graph-relay spool check.",
    },
    export: ExportTexts {
        title: "Exportieren",
    },
    add_device: AddTexts {
        title: "Gerät hinzufügen",
        about: "Das Relay legt für das Gerät einen Benutzer mit Passwort an und zeigt, was am Gerät \
                einzutragen ist.",
        name: "Name",
        name_help: "Nur Buchstaben ohne Umlaute, Ziffern und . _ + @ - ; zum Beispiel drucker-2.",
        senders: "Darf senden als",
        senders_help: "Adressen mit Kommas dazwischen; *@contoso.com steht für alle Adressen einer \
                       Domain. Meist das Postfach, das sendet.",
        add: "Hinzufügen",
        without_password: "Ein Gerät, das sich nicht anmelden kann: Lassen Sie es einmal senden, und \
                           erlauben Sie auf seiner Seite seine Adresse.",
        incomplete: "Geben Sie einen Namen und mindestens eine Adresse an.",
        not_added: "Das Gerät wurde nicht hinzugefügt",
        prepared: "Ein Schritt fehlt noch",
        prepared_help: "Das Relay darf seine Konfiguration nicht schreiben. Führen Sie dies auf seinem \
                        Rechner aus; danach kann sich das Gerät anmelden:",
        not_in_force: "Die Änderung steht in der Datei, gilt aber noch nicht",
        card: "Am Gerät eintragen",
        once: "Das Passwort wird nur jetzt gezeigt. Niemand kann es später sehen; ist es verloren, \
               geben Sie dem Gerät ein neues.",
        server: "Server",
        local: "nur für Programme auf diesem Rechner",
        port: "Port",
        port_of_unit: "siehe die Unit des Sockets",
        encryption_title: "Verschlüsselung",
        encryption: |tls| match tls {
            Tls::Off => "keine",
            Tls::Starttls | Tls::StarttlsRequired => "STARTTLS",
            Tls::Implicit => "SSL/TLS",
            Tls::Auto => "STARTTLS oder SSL/TLS",
        },
        user: "Benutzername",
        password: "Passwort",
        from: "Absenderadresse",
        kinds: "Stehen hier mehrere Server, wählen Sie einen: zuerst STARTTLS. Als Anmeldung gilt \
                SMTP, LOGIN oder PLAIN. Das Handbuch hat unter Connect eine Seite für jede Art von \
                Gerät: Drucker und Scanner (HP, Canon, Brother, Kyocera, Ricoh, Xerox, Konica \
                Minolta), Kameras, NAS, USV und Programme.",
        waits: "Die erste Nachricht dieses Geräts wird erwartet …",
        came: "Die erste Nachricht ist da",
        refused: "Abgewiesen wurden zuletzt, falls es eines davon ist:",
        changed: "Was in relay.toml geändert wurde",
    },
    allow_device: AllowTexts {
        title: "Dieses Gerät erlauben",
        what: |kind, added| match kind {
            PermissionKind::Connect => format!("{added} darf sich verbinden"),
            PermissionKind::SendWithoutPassword => format!("{added} darf ohne Passwort senden"),
            PermissionKind::PasswordWithoutTls => format!(
                "{added} darf ohne TLS senden, mit oder ohne Passwort (besser: am Gerät STARTTLS \
                 einschalten)"
            ),
            PermissionKind::SendAs => format!("Dieser Benutzer darf als {added} senden"),
            PermissionKind::SendToByListener => {
                format!("Alle an diesem Listener dürfen an {added} senden")
            }
            PermissionKind::SendToByUser => format!("Dieser Benutzer darf an {added} senden"),
        },
        change: "Das ändert sich in relay.toml:",
        allow: "Erlauben",
        nothing: "Für das zuletzt Abgewiesene ist in relay.toml nichts zu ändern: Es ist inzwischen \
                  erlaubt, oder es ist am Gerät zu berichtigen.",
        stale: "Die Datei oder das Gerät hat sich inzwischen geändert. So sieht die Änderung jetzt aus.",
        allowed: "Erlaubt",
        allowed_help: "Die Änderung steht in relay.toml und gilt. Lassen Sie das Gerät noch einmal \
                       senden.",
        prepared_help: "Das Relay darf seine Konfiguration nicht schreiben. Führen Sie dies auf seinem \
                        Rechner aus, und lassen Sie das Gerät noch einmal senden:",
        or_paste: "Oder ändern Sie die Datei selbst, und laden Sie sie neu:",
    },
    device_user: UserTexts {
        link: "Neues Passwort oder entfernen",
        added: "Hinzugefügt, hat noch nichts gesendet",
        account: "Konto",
        any_account: "je nach Absenderadresse",
        seen_at: "Gesehen unter",
        remove: "Dieses Gerät entfernen",
        remove_question: "Der Benutzer und sein Passwort werden entfernt: Das Gerät kann sich nicht \
                          mehr anmelden, und seine Sitzungen enden mit ihrem nächsten Befehl. Was \
                          das Relay von ihm angenommen hat, wird noch gesendet.",
        remove_prepared: "Das Relay darf seine Konfiguration nicht schreiben. Führen Sie dies auf \
                          seinem Rechner aus; bis dahin kann sich das Gerät noch anmelden:",
        password: "Neues Passwort",
        password_question: "Das jetzige Passwort des Geräts gilt nicht mehr, sobald die Änderung in \
                            relay.toml steht: sofort, oder nach dem Befehl, den die nächste Seite \
                            zeigt. Von da an wird das Gerät abgewiesen, bis das neue eingetragen ist. \
                            Das neue steht auf der nächsten Seite, und nur dort.",
        old_password: "Bis dahin gilt das alte Passwort noch.",
        not_changed: "Es wurde nichts geändert",
    },
    time: TimeTexts {
        seconds: |count| counted(count, "Sekunde", "Sekunden"),
        minutes: |count| counted(count, "Minute", "Minuten"),
        hours: |count| counted(count, "Stunde", "Stunden"),
        days: |count| counted(count, "Tag", "Tagen"),
    },
    audit: AuditTexts {
        title: "Protokoll der Änderungen",
        explained: "Anmeldungen und Änderungen, über diese Seite und durch Befehle, die neuesten \
                    zuerst. Die Liste ist begrenzt: Die ältesten Einträge fallen weg.",
        search: "Beliebige Wörter: ein Name, eine Adresse, eine Aktion, eine ID",
        find: "Suchen",
        download: "JSON Lines",
        time: "Zeit",
        user: "Wer",
        action: "Was",
        about: "Woran",
        client: "Von",
        result: "Ergebnis",
        by_command: "ein Befehl",
        action_of: |action| match action {
            AuditAction::LogIn => "Anmelden",
            AuditAction::LogOut => "Abmelden",
            AuditAction::MakePageLink => "Link zum Anmelden erstellen",
            AuditAction::SetUp => "Einrichtung ändern",
            AuditAction::Apply => "Vorbereitete Änderung übernehmen",
            AuditAction::Reload => "relay.toml neu laden",
            AuditAction::Restart => "Relay neu starten",
            AuditAction::AddDevice => "Gerät hinzufügen",
            AuditAction::RemoveDevice => "Gerät entfernen",
            AuditAction::ForgetDevice => "Gerät vergessen",
            AuditAction::NewDevicePassword => "Gerät ein neues Passwort geben",
            AuditAction::AllowDevice => "Gerät erlauben",
            AuditAction::SendTest => "Testnachricht senden",
            AuditAction::TestAlerts => "Testalarme senden",
            AuditAction::Examine => "Relay prüfen (doctor)",
            AuditAction::ConnectMailbox => "Postfach verbinden",
            AuditAction::MakeMailboxLink => "Link zum Verbinden eines Postfachs erstellen",
            AuditAction::UseMailboxLink => "Link zum Verbinden eines Postfachs benutzen",
            AuditAction::ForgetSignIn => "Anmeldung eines Postfachs vergessen",
            AuditAction::ChangeMessages => "Nachrichten ändern",
            AuditAction::Retry => "Nachrichten erneut versuchen",
            AuditAction::Hold => "Nachrichten anhalten",
            AuditAction::Release => "Nachrichten freigeben",
            AuditAction::Drop => "Nachrichten verwerfen",
            AuditAction::Resend => "Nachricht erneut senden",
            AuditAction::Pause => "Zustellung pausieren",
            AuditAction::Resume => "Zustellung fortsetzen",
        },
        result_of: |result| match result {
            AuditResult::Done => "erledigt",
            AuditResult::Begun => "begonnen",
            AuditResult::Prepared => "vorbereitet",
            AuditResult::Refused => "abgelehnt",
            AuditResult::Failed => "fehlgeschlagen",
        },
        nothing: "Kein Eintrag passt.",
        older: "Ältere",
        newest: "Neueste",
        unreadable: "Das Relay kann die Liste nicht lesen. Prüfen Sie den Ordner audit in seinem \
                     data_dir, und führen Sie aus: graph-relay doctor",
    },
    doctor: DoctorTexts {
        title: "Diagnose",
        explained: "Das Relay prüft seine Konfiguration, Dateien, Festplatte, Netz, Tokens und \
                    Postfächer. Es sendet und ändert dabei nichts.",
        last: |ago| format!("Die letzte Prüfung endete vor {ago}."),
        took: |span| format!("Sie dauerte {span}."),
        every: |span| format!("Das geschieht alle {}.", span.replace("Tagen", "Tage")),
        only_on_request: "Das geschieht nur auf Wunsch, weil every in [doctor] auf off steht.",
        not_yet: "Seit dem Start des Relays gab es noch keine Prüfung. Die erste folgt einige Minuten \
                  nach dem Start.",
        not_served: "Dieses Relay hat keine Konfigurationsdatei, also gibt es nichts zu prüfen.",
        running: "Eine Prüfung läuft. Sie dauert einige Sekunden, und bis zu fünf Minuten, wenn \
                  Server nicht antworten.",
        reload: "Neu laden",
        check_now: "Jetzt prüfen",
        not_ended: "Die Prüfung hat kein Ergebnis:",
        ok: "in Ordnung",
        warning: "Warnung",
        failure: "Fehler",
        failures: |n| format!("{n} Fehler"),
        warnings: |n| counted_usize(n, "Warnung", "Warnungen"),
        passed: |n| format!("{n} in Ordnung"),
        check: "Prüfung",
        state: "Ergebnis",
        found: "Befund, und was zu tun ist",
        audit: "Protokoll der Änderungen: wer was getan hat",
    },
};

fn messages(count: usize) -> String {
    counted_usize(count, "Nachricht", "Nachrichten")
}

fn counted_usize(count: usize, one: &str, more: &str) -> String {
    counted(u64::try_from(count).unwrap_or(u64::MAX), one, more)
}

fn counted(count: u64, one: &str, more: &str) -> String {
    let unit = if count == 1 { one } else { more };
    format!("{count} {unit}")
}
