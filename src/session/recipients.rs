//! RCPT: finds who receives the message for the recipient that the client names.
//!
//! `redirect_all_to` of the user or the listener comes first; otherwise aliases and the
//! default domain decide (`mail/aliases/`). The result must be allowed by the listener
//! and by the user. The limits count the people who receive the message and also the
//! addresses that the client names, so that many names for one mailbox cannot fill the
//! memory.

use std::collections::HashSet;

use super::Outcome;
use super::Reply;
use super::Session;
use super::State;
use super::Step;
use super::Transaction;
use super::syntax::Rcpt;
use crate::mail::Address;
use crate::mail::Asked;
use crate::mail::Envelope;
use crate::mail::ForwardPath;
use crate::mail::RecipientPolicy;
use crate::mail::RecipientRequest;

/// The most records of what a client named that one transaction holds, because one alias
/// may stand for many addresses.
const MOST_ASKED: usize = 10_000;

impl Session {
    pub(super) fn rcpt(
        &mut self,
        mut transaction: Box<Transaction>,
        rcpt: Rcpt,
    ) -> (State, Outcome) {
        let answer = self.add_recipient(&mut transaction, rcpt);
        if let Err(reply) = &answer
            && reply.is_for_now()
        {
            transaction.put_off = Some(reply.clone());
        }
        (State::Transaction(transaction), answer)
    }

    fn add_recipient(&mut self, transaction: &mut Transaction, rcpt: Rcpt) -> Outcome {
        let Rcpt { path, reports } = rcpt;
        let path = match transaction.envelope.utf8 || path.is_ascii() {
            true => path,
            false => path.in_ascii().ok_or_else(Reply::needs_utf8)?,
        };
        let recipients = self.recipients_of(&path)?;
        let policies = self.policies();
        let is_allowed = |recipient: &&Address| {
            let mut policies = policies.iter();
            policies.all(|policy| policy.allows(recipient))
        };
        if let Some(refused) = recipients.iter().find(|it| !is_allowed(it)) {
            return Err(Reply::not_this_recipient(&path, refused));
        }
        let is_bound = !policies.iter().all(|policy| policy.is_open());
        if transaction.paths.contains(&path.key()) {
            self.idle += 1;
            transaction.ask(&recipients, &reports);
            return Ok(Step::Say(Reply::recipient_ok()));
        }
        let is_new = |it: &&Address| !transaction.keys.contains(&it.key());
        let new: Vec<Address> = recipients.iter().filter(is_new).cloned().collect();
        if let Some(reply) = self.too_many(transaction, recipients.len(), new.len()) {
            self.idle += 1;
            return Err(reply);
        }
        transaction.ask(&recipients, &reports);
        transaction.paths.insert(path.key());
        transaction.keys.extend(new.iter().map(Address::key));
        let envelope = &mut transaction.envelope;
        envelope.recipients.extend(new);
        let other = |it: &Address| is_bound || it.key() != path.key();
        let replaced = recipients.into_iter().filter(other);
        envelope.asked.extend(replaced.map(|recipient| Asked {
            original: path.to_string(),
            recipient,
        }));
        Ok(Step::Say(Reply::recipient_ok()))
    }

    /// The addresses that receive the message for this recipient.
    fn recipients_of(&self, path: &ForwardPath) -> Result<Vec<Address>, Reply> {
        if let Some(to) = self.redirection() {
            return Ok(vec![to.clone()]);
        }
        let recipients = self.settings.aliases.resolve(path);
        recipients.map_err(|why| Reply::unreachable_recipient(path, why))
    }

    /// The policies of the user, which comes first, and of the listener.
    fn policies(&self) -> Vec<&RecipientPolicy> {
        let user = self.identity.as_ref().map(|user| &user.recipients);
        user.into_iter().chain([&*self.access.recipients]).collect()
    }

    /// The address that receives everything: the user's rule comes before the listener's.
    fn redirection(&self) -> Option<&Address> {
        let mut policies = self.policies().into_iter();
        policies.find_map(|policy| policy.redirect.as_ref())
    }

    /// Whether mail may go to this address: a recipient accepted under earlier rules, or
    /// a report to the sender.
    pub fn may_send_to(&self, address: &Address) -> bool {
        let redirection = self.redirection();
        let mut policies = self.policies().into_iter();
        redirection.is_none_or(|to| to.key() == address.key())
            && policies.all(|policy| policy.allows(address))
    }

    /// The envelope of a received message under the rules in force now, which may be
    /// newer than RCPT.
    pub fn bounded(&self, envelope: &Envelope) -> Envelope {
        let mut envelope = envelope.clone();
        let sender = envelope.reverse_path.address();
        envelope.reports.sender_is_barred = sender.is_some_and(|it| !self.may_send_to(it));
        if self.policies().iter().all(|policy| policy.is_open()) || envelope.is_all_asked() {
            return envelope;
        }
        let noted: HashSet<String> = envelope.asked.iter().map(|it| it.recipient.key()).collect();
        let recipients = envelope.recipients.iter();
        let others = recipients.filter(|recipient| !noted.contains(&recipient.key()));
        envelope.asked.extend(others.map(|recipient| Asked {
            original: recipient.to_string(),
            recipient: recipient.clone(),
        }));
        envelope
    }

    /// Why this many more recipients cannot be named.
    fn too_many(&self, transaction: &Transaction, of_this: usize, new: usize) -> Option<Reply> {
        let envelope = &transaction.envelope;
        let count = envelope.recipients.len() + new;
        let most = self.settings.recipients;
        let asked = envelope.asked.len();
        let is_noted = asked == 0 || asked + of_this <= MOST_ASKED;
        if transaction.paths.len() >= most || count > most || !is_noted {
            return Some(Reply::too_many_recipients(most));
        }
        let is_over = self.allowance.is_some_and(|most| new > 0 && count > most);
        is_over.then(Reply::too_many_recipients_for_now)
    }
}

impl Transaction {
    /// Records the requests for reports on these recipients, new or repeated.
    fn ask(&mut self, recipients: &[Address], asked: &RecipientRequest) {
        let reports = &mut self.envelope.reports;
        for recipient in recipients {
            if self.keys.contains(&recipient.key()) {
                reports.add_again(recipient, asked.clone());
            } else {
                reports.add(recipient, asked.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::mail::Address;
    use crate::mail::AliasKey;
    use crate::mail::Aliases;
    use crate::mail::Envelope;
    use crate::mail::RecipientPolicy;
    use crate::mail::Surroundings;
    use crate::session::Access;
    use crate::session::Authentication;
    use crate::session::ClearPasswords;
    use crate::session::Identity;
    use crate::session::Sending;
    use crate::session::Session;
    use crate::session::Settings;
    use crate::session::Step;
    use crate::session::Tls;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn policy(allowed: &[&str], redirect: &str) -> RecipientPolicy {
        let patterns = || allowed.iter().map(|text| (*text).to_owned().into());
        RecipientPolicy {
            allowed: (!allowed.is_empty()).then(|| patterns().collect()),
            redirect: redirect.parse().ok(),
        }
    }

    /// A session in which MAIL was accepted.
    fn session(listener: &RecipientPolicy, user: Option<RecipientPolicy>) -> Session {
        let aliases = [
            (
                AliasKey::Name("root".to_owned()),
                vec![address("it@contoso.com").into()],
            ),
            (
                AliasKey::Name("team".to_owned()),
                vec![
                    address("anna@contoso.com").into(),
                    address("it@contoso.com").into(),
                    address("ben@contoso.com").into(),
                ],
            ),
        ];
        let settings = Settings {
            hostname: "relay.example".into(),
            message_size: 10_000,
            size_in_config: 10_000,
            recipients: 4,
            errors: 99,
            aliases: Arc::new(Aliases::new(&aliases, Surroundings::default()).unwrap()),
        };
        let access = access(listener);
        let mut session = Session::new(settings, access);
        session.identity = user.map(identity);
        for line in ["EHLO client", "MAIL FROM:<a@b.example>"] {
            said(&mut session, line, "250");
        }
        session
    }

    fn access(listener: &RecipientPolicy) -> Access {
        Access {
            tls: Tls::Off,
            authentication: Authentication::Optional,
            clear_passwords: ClearPasswords::Taken,
            recipients: Arc::new(listener.clone()),
            sending: Sending::Allowed,
        }
    }

    fn identity(recipients: RecipientPolicy) -> Identity {
        Identity {
            name: "scanner".to_owned(),
            senders: vec!["*".to_owned().into()],
            recipients,
        }
    }

    fn said(session: &mut Session, line: &str, expected: &str) {
        let (Step::Say(reply) | Step::Close(reply)) = session.line(line.as_bytes()) else {
            panic!("{line}");
        };
        let reply = reply.to_string();
        assert!(reply.starts_with(expected), "{line}: {reply}");
    }

    fn rcpt(session: &mut Session, to: &str, expected: &str) {
        said(session, &format!("RCPT TO:<{to}>"), expected);
    }

    /// The envelope at DATA, and the recipients that replace others.
    fn envelope(session: &mut Session) -> (Vec<String>, Vec<String>) {
        let Step::Receive(_, envelope) = session.line(b"DATA") else {
            panic!("no DATA");
        };
        let Envelope {
            recipients, asked, ..
        } = *envelope;
        let asked = asked
            .iter()
            .map(|it| format!("{} to {}", it.original, it.recipient));
        (
            recipients.into_iter().map(String::from).collect(),
            asked.collect(),
        )
    }

    #[test]
    fn aliases_change_the_envelope_and_each_mailbox_is_in_it_once() {
        let mut session = session(&RecipientPolicy::default(), None);

        rcpt(&mut session, "it@contoso.com", "250 2.1.5");
        rcpt(&mut session, "Root@NAS.local", "250 2.1.5");
        rcpt(&mut session, "root@nas.LOCAL", "250 2.1.5");
        rcpt(&mut session, "team", "250 2.1.5");

        let (recipients, asked) = envelope(&mut session);
        assert_eq!(
            recipients,
            ["it@contoso.com", "anna@contoso.com", "ben@contoso.com"]
        );
        assert_eq!(
            asked,
            [
                "Root@NAS.local to it@contoso.com",
                "team to anna@contoso.com",
                "team to it@contoso.com",
                "team to ben@contoso.com",
            ]
        );
    }

    #[test]
    fn quotes_and_letters_that_an_address_can_do_without_are_accepted() {
        let mut session = session(
            &policy(&["*@contoso.com", "*@m\u{fc}ller.example"], ""),
            None,
        );

        rcpt(&mut session, "\"anna.smith\"@contoso.com", "250");
        rcpt(&mut session, "anna.smith@Contoso.com", "250");
        rcpt(&mut session, "\"anna smith\"@contoso.com", "553 5.1.3");
        rcpt(&mut session, "Info@M\u{dc}ller.example", "250");
        rcpt(&mut session, "j\u{fc}rgen@m\u{fc}ller.example", "553 5.6.7");

        assert_eq!(
            envelope(&mut session).0,
            ["anna.smith@contoso.com", "Info@xn--mller-kva.example"]
        );
    }

    #[test]
    fn the_recipient_limit_counts_those_who_receive_the_message() {
        let mut session = session(&RecipientPolicy::default(), None);

        rcpt(&mut session, "x@example.org", "250");
        rcpt(&mut session, "y@example.org", "250");
        rcpt(&mut session, "team", "452 4.5.3");
        rcpt(&mut session, "root", "250");
        rcpt(&mut session, "root@nas", "250");
        // Five names are more than four, even for one mailbox.
        rcpt(&mut session, "root@nas.lan", "452 4.5.3");

        assert_eq!(envelope(&mut session).0.len(), 3);
    }

    #[test]
    fn the_hourly_limit_counts_those_who_receive_the_message() {
        let mut session = session(&RecipientPolicy::default(), None);
        session.allow_recipients(Some(2));

        rcpt(&mut session, "team", "451 4.7.1");
        rcpt(&mut session, "root", "250");
        rcpt(&mut session, "it@contoso.com", "250");
        rcpt(&mut session, "x@example.org", "250");
        rcpt(&mut session, "y@example.org", "451 4.7.1");
    }

    #[test]
    fn an_unreachable_recipient_is_refused_with_the_remedy() {
        for (to, expected) in [
            (
                "backup@nas.local",
                "550 5.1.2 backup@nas.local cannot be reached: its domain is not public. An alias \
                 can map it to a mailbox: [aliases] \"backup@nas.local\" = \"you@your-domain\"",
            ),
            (
                "backup",
                "550 5.1.2 backup has no domain and no alias. An alias can map it to a mailbox: \
                 [aliases] backup = \"you@your-domain\"",
            ),
            ("backup@localhost", "550 5.1.2 "),
            (
                "backup@[192.0.2.1]",
                "553 5.1.3 backup@[192.0.2.1] cannot be reached: ",
            ),
            ("\"a b\"@contoso.com", "553 5.1.3 "),
        ] {
            let mut session = session(&RecipientPolicy::default(), None);
            rcpt(&mut session, to, expected);
            said(&mut session, "DATA", "554");
        }
    }

    #[test]
    fn only_recipients_that_listener_and_user_allow_are_accepted() {
        let internal = policy(&["*@contoso.com"], "");
        let it = policy(&["it@*"], "");
        for (listener, user, to, expected) in [
            (&internal, None, "anna@contoso.com", "250"),
            (&internal, None, "root@nas.local", "250"),
            (
                &internal,
                None,
                "a@example.org",
                "550 5.7.1 Mail to a@example.org is not allowed here",
            ),
            (&internal, Some(&it), "it@contoso.com", "250"),
            (&internal, Some(&it), "anna@contoso.com", "550 5.7.1 "),
            (&internal, Some(&it), "it@example.org", "550 5.7.1 "),
            (
                &it,
                None,
                "team",
                "550 5.7.1 Mail to anna@contoso.com, which team stands for, is not allowed here",
            ),
        ] {
            let mut session = session(listener, user.cloned());
            rcpt(&mut session, to, expected);
        }
    }

    #[test]
    fn a_redirection_replaces_all_recipients_and_the_users_comes_first() {
        let tests = policy(&[], "tests@contoso.com");
        let other = policy(&[], "other@contoso.com");
        for (user, expected) in [
            (None, "tests@contoso.com"),
            (Some(other), "other@contoso.com"),
        ] {
            let mut session = session(&tests, user);
            for to in [
                "anna@example.org",
                "root@nas.local",
                "backup",
                "a@[192.0.2.1]",
            ] {
                rcpt(&mut session, to, "250");
            }

            let (recipients, asked) = envelope(&mut session);
            assert_eq!(recipients, [expected]);
            assert_eq!(asked.len(), 4);
            assert_eq!(asked[0], format!("anna@example.org to {expected}"));
        }
    }

    #[test]
    fn a_transaction_begun_under_old_rules_is_refused() {
        let none = RecipientPolicy::default();
        for changed in [
            policy(&["*@contoso.com"], ""),
            policy(&[], "tests@contoso.com"),
        ] {
            for (is_listeners, data) in [(true, false), (false, false), (true, true)] {
                let mut session = session(&none, Some(none.clone()));
                rcpt(&mut session, "a@example.org", "250");
                if data {
                    envelope(&mut session);
                }
                let listener = if is_listeners { &changed } else { &none };
                let user = if is_listeners { &none } else { &changed };
                let settings = session.settings.clone();

                let goes_on =
                    session.renew(settings, access(listener), Some(identity(user.clone())));

                assert!(!goes_on, "{changed:?}");
            }
        }
    }
}
