//! Which rules hold for a client, and what it may do by them, also after the
//! configuration has changed.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;

use super::Rules;
use super::Shared;
use super::proxy::Visitor;
use super::slots::party::Arrival;
use super::slots::party::Party;
use crate::config::Authentication;
use crate::config::Listener;
use crate::config::Tls;
use crate::mail::Address;
use crate::mail::Client;
use crate::mail::RecipientPolicy;
use crate::session;
use crate::session::Access;
use crate::session::ClearPasswords;
use crate::session::Identity;
use crate::session::Reply;
use crate::session::Sending;
use crate::session::Session;

/// A message that somebody has ordered on the admin page.
#[derive(Clone, Debug)]
pub struct Order {
    /// The address of whoever gives it.
    pub client: IpAddr,
    /// The account that has to send it; or else the From address selects one.
    pub account: Option<String>,
}

/// A client of a listener, and the rules that hold for it.
#[derive(Debug)]
pub(super) struct Policy {
    visitor: Visitor,
    /// The number of the listener in the rules.
    number: usize,
    listener: Arc<Listener>,
    /// The generation of the rules, see [`Shared::generation`].
    generation: u64,
    rules: Arc<Rules>,
    /// What else bounds the recipients, beside the listener.
    others: Vec<Arc<RecipientPolicy>>,
    /// Who has ordered the message on the admin page.
    order: Option<Order>,
}

impl Policy {
    /// What holds now; `None` if there is no such listener.
    pub(super) fn now(visitor: Visitor, number: usize, shared: &Shared) -> Option<Self> {
        let generation = shared.generation();
        let rules = shared.rules();
        let listener = rules.listeners.get(number).cloned()?;
        Some(Self {
            visitor,
            number,
            listener,
            generation,
            rules,
            others: Vec::new(),
            order: None,
        })
    }

    /// What holds now for a file of a pickup folder: the same as for a client on this machine
    /// that need not authenticate. Its mail may go only where each listener lets it go that
    /// such a client may use.
    ///
    /// # Errors
    ///
    /// Says why no file can be taken.
    pub(super) fn for_files(shared: &Shared) -> Result<Self, String> {
        let generation = shared.generation();
        let rules = shared.rules();
        let mut others = policies_of_this_machine(&rules.listeners);
        let mut redirects = others.iter().filter_map(|it| it.redirect.as_ref());
        if let Some(first) = redirects.next()
            && let Some(other) = redirects.find(|it| it.key() != first.key())
        {
            return Err(format!(
                "one [[listener]] for this machine has redirect_all_to = \"{first}\", another \
                 \"{other}\": give both the same"
            ));
        }
        let first = others.iter().position(|it| it.redirect.is_some());
        let recipients = match others.is_empty() {
            true => Arc::default(),
            false => others.remove(first.unwrap_or_default()),
        };
        let listener = Listener::defaults().into_iter().next();
        let listener = listener.ok_or("the relay has no rules")?;
        Ok(Self {
            visitor: Visitor::here(),
            number: rules.listeners.len(),
            listener: Arc::new(Listener {
                recipients,
                ..listener
            }),
            generation,
            rules,
            others,
            order: None,
        })
    }

    /// The same for a message that somebody on the admin page has ordered.
    pub(super) fn on(self, order: Order) -> Self {
        Self {
            order: Some(order),
            ..self
        }
    }

    /// Who has ordered the message on the admin page, if it comes from there.
    pub(super) fn order(&self) -> Option<&Order> {
        self.order.as_ref()
    }

    /// Whether mail may not go to this address, whatever the session allows.
    pub(super) fn bars(&self, address: &Address) -> bool {
        self.others.iter().any(|policy| !policy.allows(address))
    }

    /// Whom it is about.
    pub(super) fn client(&self) -> IpAddr {
        self.visitor.client()
    }

    /// The proxy that has passed the connection on.
    pub(super) fn proxy(&self) -> Option<IpAddr> {
        self.visitor.proxy()
    }

    /// Where the client has connected.
    pub(super) fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }

    /// The rules for all clients.
    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Who asks for a connection, and where.
    pub(super) fn arrival(&self) -> Arrival {
        Arrival {
            listener: self.number,
            party: Party::Client(Client::at(self.client())),
        }
    }

    /// Whether the client may connect.
    pub(super) fn admits(&self) -> bool {
        self.visitor.is_admitted_by(&self.listener)
    }

    /// A session that begins now.
    pub(super) fn session(&self) -> Session {
        Session::new(self.rules.session.clone(), self.access())
    }

    /// What the client may do in a session.
    fn access(&self) -> Access {
        let (listener, client) = (&self.listener, self.client());
        let sending = match self.visitor.may_send_to(listener) {
            true => Sending::Allowed,
            false => Sending::Refused,
        };
        Access {
            sending,
            tls: match listener.tls {
                Tls::Off => session::Tls::Off,
                Tls::Starttls | Tls::Auto => session::Tls::Offered,
                Tls::StarttlsRequired => session::Tls::Required,
                Tls::Implicit => session::Tls::Active,
            },
            authentication: match listener.authentication {
                Authentication::Off => session::Authentication::Off,
                _ if sending == Sending::Refused => session::Authentication::Off,
                Authentication::Any => session::Authentication::Any,
                Authentication::Required if !listener.admits_anonymous(client) => {
                    session::Authentication::Required
                }
                Authentication::Optional | Authentication::Required => {
                    session::Authentication::Optional
                }
            },
            clear_passwords: if listener.admits_clear_passwords(client) {
                ClearPasswords::Taken
            } else {
                ClearPasswords::Refused
            },
            recipients: Arc::clone(&listener.recipients),
        }
    }

    /// After a reload, at the next command: applies the new rules, or says why the
    /// session must end. A client that is no longer allowed, or whose user, password or
    /// TLS no longer satisfies the listener, must not continue.
    pub(super) fn renew(&mut self, session: &mut Session, shared: &Shared) -> Option<Reply> {
        if shared.generation() == self.generation {
            return None;
        }
        let now = Self::now(self.visitor, self.number, shared)?;
        if !now.admits() {
            return Some(Reply::no_longer_admitted());
        }
        let identity = match session.identity() {
            None => None,
            Some(identity) => match known_still(&identity.name, &self.rules, &now.rules) {
                Some(identity) => Some(identity),
                None => return Some(Reply::user_changed()),
            },
        };
        if !session.renew(now.rules.session.clone(), now.access(), identity) {
            return Some(Reply::rules_changed());
        }
        *self = now;
        None
    }
}

/// The recipient policies of the listeners that a client on this machine may use; of all, if
/// there is none. Open ones are left out.
fn policies_of_this_machine(listeners: &[Arc<Listener>]) -> Vec<Arc<RecipientPolicy>> {
    let here = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let is_for_here = |it: &Listener| here.iter().any(|client| it.admits(*client));
    let none = !listeners.iter().any(|it| is_for_here(it));
    let listeners = listeners.iter().filter(|it| none || is_for_here(it));
    let policies = listeners.map(|it| Arc::clone(&it.recipients));
    policies.filter(|it| !it.is_open()).collect()
}

/// The authenticated user according to the new rules, if the password is the same.
fn known_still(name: &str, before: &Rules, now: &Rules) -> Option<Identity> {
    let of = |rules: &Rules| {
        let mut users = rules.users.iter();
        users.find(|user| user.is_called(name)).cloned()
    };
    let (before, now) = (of(before)?, of(now)?);
    (before.password_hash == now.password_hash).then_some(Identity {
        name: now.name,
        senders: now.senders,
        recipients: now.recipients,
    })
}
