//! The dialog with one client: what it says goes from its connection to the session,
//! and what the session answers is done. What a command means is decided in
//! `session/dialog.rs`; a message between DATA and its verdict is the matter of
//! `receive/`.
//!
//! Every wait ends: with the client's silence, with the time that a session has
//! for AUTH or MAIL and as a whole, and when `slots/mod.rs` needs its slot.

use std::time::Duration;

use tokio::net::TcpStream;
use tracing::debug;

use super::Shared;
use super::access::Policy;
use super::connection::Connection;
use super::connection::End;
use super::connection::Read;
use super::connection::input::Line;
use super::ending::Deadlines;
use super::ending::farewell;
use super::passwords::authenticate::authenticate;
use super::passwords::hint::hint;
use super::receive::Received;
use super::receive::Reception;
use super::receive::intake::Intake;
use super::receive::intake::Refused;
use super::receive::intake::Taken;
use super::receive::reason;
use super::slots::Slot;
use super::slots::stage::Event;
use crate::config::Tls;
use crate::mail::Address;
use crate::mail::Envelope;
use crate::mail::ReversePath;
use crate::metrics::Refusal;
use crate::session::Credentials;
use crate::session::Reply;
use crate::session::Session;
use crate::session::Step;
use crate::session::Verdict;
use crate::session::Verification;
use crate::telemetry::complaints;
use crate::telemetry::devices::Sighting;
use crate::telemetry::refusals::Caption;
use crate::telemetry::refusals::Whose;
use crate::telemetry::transcripts::Secrecy;

/// The longest time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(60);
/// How long a listener with `tls = "auto"` waits for the first byte before it greets the
/// client. A client that begins with TLS sends it at once; a slow device needs some hundred
/// milliseconds for its keys. Every client that waits for the greeting waits this long, each
/// time it connects.
const FIRST_BYTE: Duration = Duration::from_secs(1);
/// Why a client is disconnected in the middle.
const GONE_REMEDY: &str = "see the client's own log: it may have timed out, or got a reply that \
    it did not expect";

pub(super) struct Dialog<'a> {
    connection: Connection<'a>,
    policy: Policy,
    session: Session,
    deadlines: Deadlines,
    /// What the client has shown of itself.
    sighting: Sighting,
    shared: &'a Shared,
}

impl<'a> Dialog<'a> {
    pub(super) fn new(stream: TcpStream, policy: Policy, slot: Slot, shared: &'a Shared) -> Self {
        Self {
            connection: Connection::new(stream, policy.client(), slot, shared),
            session: policy.session(),
            deadlines: Deadlines::new(&policy.rules().limits),
            sighting: Sighting::at(policy.client(), policy.listener().address.to_string()),
            policy,
            shared,
        }
    }

    /// All of it, to the end of the connection.
    pub(super) async fn run(mut self) {
        let client = self.policy.client();
        let proxy = self.policy.proxy();
        debug!(event = "connected", %client, proxy = proxy.map(tracing::field::display), "a client has connected");
        if let Some(proxy) = proxy {
            let what = format!("the connection came through the proxy {proxy}");
            self.connection.recording.happened(&what);
        }
        self.shared.metrics.sessions.inc();
        let end = self.talk().await;
        let how = format!("{end:?}");
        if matches!(end, End::Gone | End::NoTls) {
            self.connection.slot.release();
        }
        match end {
            End::Closed => {
                let size = self.policy.rules().limits.message_size;
                self.connection.close(size).await;
            }
            End::Gone if self.session.is_under_way() => {
                let what = "the client disconnected before it had finished";
                let remedy = match self.connection.input.misread() {
                    Some(line_end) => line_end.remedy(),
                    None => GONE_REMEDY,
                };
                self.connection.recording.happened(what);
                self.connection.recording.trouble(what, remedy);
                self.connection.refusals.cut_off(what, remedy);
            }
            End::Gone | End::NoTls => {}
        }
        self.keep();
        debug!(event = "disconnected", %client, end = how, "a client has disconnected");
    }

    async fn talk(&mut self) -> End {
        if let Err(end) = self.begin_tls().await {
            return end;
        }
        self.connection.say(&self.session.greeting());
        loop {
            let turned = match self.must_end() {
                Some(reply) => Err(self.connection.say_last(&reply).await),
                None => self.turn().await,
            };
            if let Err(end) = turned {
                return end;
            }
            self.note_quirks();
            if !self.session.is_under_way() {
                self.note_refusals(false);
            }
        }
    }

    /// Before the greeting: TLS, if it begins with the connection.
    async fn begin_tls(&mut self) -> Result<(), End> {
        match self.policy.listener().tls {
            Tls::Off | Tls::Starttls | Tls::StarttlsRequired => Ok(()),
            Tls::Implicit => self.handshake().await,
            Tls::Auto => {
                let until = self.deadlines.to_hear(FIRST_BYTE);
                if self.connection.begins_with_tls(until).await? {
                    self.handshake().await?;
                    self.session.tls_started();
                }
                Ok(())
            }
        }
    }

    /// Why the session must end before its next command, if it must.
    fn must_end(&mut self) -> Option<Reply> {
        if let Some(reply) = self.policy.renew(&mut self.session, self.shared) {
            return Some(reply);
        }
        if self.connection.slot.leave().is_cancelled() {
            return Some(farewell(&self.shared.stop));
        }
        self.deadlines.are_over().then(|| self.out_of_time())
    }

    fn out_of_time(&self) -> Reply {
        let misread = self.connection.input.misread();
        self.deadlines
            .out_of_time(self.session.is_under_way(), misread)
    }

    /// Takes one line, or waits for more of it.
    async fn turn(&mut self) -> Result<(), End> {
        let step = match self.connection.input.next_line() {
            Line::Whole(line) => self.command(&line),
            Line::TooLong => self.session.line_too_long(),
            Line::Endless => Step::Close(Reply::line_too_long()),
            Line::ClientHello => {
                let reply = match self.policy.listener().tls {
                    Tls::Auto => Reply::tls_too_late(),
                    Tls::Off | Tls::Starttls | Tls::StarttlsRequired | Tls::Implicit => {
                        Reply::tls_unexpected()
                    }
                };
                self.no_dialog("the client began with a TLS handshake", reply)
            }
            Line::Proxy => {
                let reply = match self.policy.proxy() {
                    Some(_) => Reply::proxy_twice(),
                    None => Reply::proxy_unexpected(),
                };
                self.no_dialog("the connection began with a PROXY protocol preamble", reply)
            }
            Line::Unfinished => {
                self.flush().await?;
                return self.wait_for_input().await;
            }
        };
        self.take(step).await
    }

    /// What a line asks for.
    fn command(&mut self, line: &[u8]) -> Step {
        if let Some(quirk) = self.connection.input.quirk() {
            self.session.note(quirk);
        }
        let secrecy = if self.session.expects_secret() {
            Secrecy::Secret
        } else {
            Secrecy::Open
        };
        self.connection.recording.heard(line, secrecy);
        if secrecy == Secrecy::Open {
            self.connection.refusals.heard(line);
        }
        let was_open = self.session.is_in_transaction();
        let step = self.session.line(line);
        self.count_step(line, &step);
        if self.session.is_in_transaction() && !was_open {
            self.reached(Event::Mail);
            let left = self.intake().allowance().recipients_left();
            self.session.allow_recipients(left);
        }
        step
    }

    /// Counts what MAIL and RCPT were refused.
    fn count_step(&self, line: &[u8], step: &Step) {
        let (Step::Say(reply) | Step::Close(reply)) = step else {
            return;
        };
        if !reply.is_refusal() {
            return;
        }
        let metrics = &self.shared.metrics;
        match line.get(..4) {
            Some(verb) if verb.eq_ignore_ascii_case(b"MAIL") => {
                metrics.refused(Refusal::MailCommand);
            }
            Some(verb) if verb.eq_ignore_ascii_case(b"RCPT") => {
                metrics.recipients_refused.inc();
            }
            Some(_) | None => {}
        }
    }

    fn count_refused(&self, verdict: &Verdict) {
        if let Some(refusal) = reason::of(verdict) {
            self.shared.metrics.refused(refusal);
        }
    }

    /// The client speaks something else than SMTP, and is told so.
    fn no_dialog(&mut self, what: &str, reply: Reply) -> Step {
        let connection = &mut self.connection;
        connection.recording.happened(what);
        let text = reply.to_string();
        connection.refusals.hopeless(what, &text, reply.remedy);
        Step::Close(reply)
    }

    /// The session has now done more than connect.
    fn reached(&mut self, event: Event) {
        self.deadlines.mail_came();
        self.connection.slot.mark(event);
    }

    async fn take(&mut self, step: Step) -> Result<(), End> {
        match step {
            Step::Say(reply) => self.connection.say(&reply),
            Step::Close(reply) => return Err(self.connection.say_last(&reply).await),
            Step::Receive(reply, envelope) => {
                let reply = self.message(&reply, &envelope).await?;
                self.connection.say(&reply);
            }
            Step::Verify(credentials) => {
                let step = self.verify(credentials).await?;
                return Box::pin(self.take(step)).await;
            }
            Step::StartTls(reply) => {
                self.connection.say(&reply);
                self.flush().await?;
                self.handshake().await?;
                self.session.tls_started();
            }
        }
        Ok(())
    }

    async fn verify(&mut self, credentials: Credentials) -> Result<Step, End> {
        self.flush().await?;
        self.sighting.authentication = Some(credentials.mechanism.name());
        let hint = hint(&credentials.name, &self.policy.rules().users);
        let connection = &mut self.connection;
        connection.slot.mark(Event::Verifying);
        let verification = authenticate(credentials, connection, &self.policy, self.shared).await?;
        if matches!(
            verification,
            Verification::Refused | Verification::RefusedTooOften
        ) {
            connection.refusals.because(&hint);
        }
        let step = self.session.verified(verification);
        if self.session.identity().is_some() {
            self.reached(Event::Authenticated);
        } else {
            self.connection.slot.mark(Event::NotVerified);
        }
        Ok(step)
    }

    /// From DATA to the reply to its content, or to DATA if it cannot be accepted now.
    async fn message(&mut self, go_on: &Reply, envelope: &Envelope) -> Result<Reply, End> {
        let client = self.policy.client();
        if let Err(refused) = self.intake().begin(envelope) {
            let Refused { verdict, cause, .. } = refused;
            self.count_refused(&verdict);
            let reply = self.session.not_now(verdict);
            complaints::refused(client, envelope, None, &reply, &cause);
            self.connection.refusals.content(Caption::default(), &cause);
            return Ok(reply);
        }
        if !self.connection.slot.mark(Event::Data) {
            self.intake().allowance().give_recipients_back(envelope);
            let reply = farewell(&self.shared.stop);
            return Err(self.connection.say_last(&reply).await);
        }
        self.connection.say(go_on);
        let received = match self.flush().await {
            Ok(()) => self.receive(envelope).await,
            Err(end) => Err(end),
        };
        if !received.as_ref().is_ok_and(|it| it.outcome.is_ok()) {
            self.intake().allowance().give_recipients_back(envelope);
        }
        let Received { outcome, size } = received?;
        match outcome {
            Ok(taken) => {
                self.connection.slot.mark(Event::Accepted);
                self.connection.recording.succeeded();
                self.note_accepted(envelope, &taken);
                Ok(self.session.verdict(Verdict::Queued(taken.id)))
            }
            Err(refused) => {
                let Refused {
                    verdict,
                    cause,
                    caption,
                } = refused;
                self.count_refused(&verdict);
                self.sighting.about = reason::address(&verdict).map(ToString::to_string);
                let reply = self.session.verdict(verdict);
                self.connection.slot.mark(Event::NotAccepted);
                complaints::refused(client, envelope, size, &reply, &cause);
                self.connection.refusals.content(*caption, &cause);
                Ok(reply)
            }
        }
    }

    fn intake(&self) -> Intake<'_> {
        Intake {
            policy: &self.policy,
            session: &self.session,
            shared: self.shared,
        }
    }

    async fn receive(&mut self, envelope: &Envelope) -> Result<Received, End> {
        let reception = Reception {
            connection: &mut self.connection,
            policy: &mut self.policy,
            session: &mut self.session,
            deadlines: &self.deadlines,
            shared: self.shared,
        };
        // In memory of its own: a connection that waits for a command takes up less.
        Box::pin(reception.receive(envelope)).await
    }

    /// Begins TLS; a client that cannot is gone.
    async fn handshake(&mut self) -> Result<(), End> {
        let rules = self.policy.rules();
        let Some(config) = rules.tls.clone() else {
            return Err(End::Gone);
        };
        let time = HANDSHAKE.min(rules.limits.command_timeout);
        let until = self.deadlines.to_hear(time);
        self.connection.start_tls(config, until).await
    }

    /// Waits for a command, as long as the configuration and a stop allow.
    async fn wait_for_input(&mut self) -> Result<(), End> {
        let silence = self.policy.rules().limits.command_timeout;
        let until = self.deadlines.to_hear(silence);
        let leave = self.connection.slot.leave().clone();
        let reply = tokio::select! {
            read = self.connection.read(until) => match read? {
                Read::Some => return Ok(()),
                Read::TimedOut => self.out_of_time(),
            },
            () = leave.cancelled() => self.idle_farewell(),
        };
        Err(self.connection.say_last(&reply).await)
    }

    /// What is said to a client that has to leave while the relay waits for a command.
    fn idle_farewell(&self) -> Reply {
        let stop = &self.shared.stop;
        let has_begun = self.session.is_in_transaction() || !self.connection.input.is_empty();
        if stop.is_cancelled() || has_begun {
            farewell(stop)
        } else {
            Reply::idle_makes_room()
        }
    }

    /// Sends what was said.
    async fn flush(&mut self) -> Result<(), End> {
        let silence = self.policy.rules().limits.command_timeout;
        let until = self.deadlines.to_say(silence);
        self.connection.flush(until).await
    }

    /// Hands over what the session was refused.
    fn note_refusals(&mut self, is_over: bool) {
        let (session, client) = (&self.session, self.policy.client());
        let whose = || Whose {
            client,
            hello: session.hello().map(|hello| hello.name.clone()),
            user: session.identity().map(|user| user.name.clone()),
        };
        let refusals = self.connection.refusals.take(is_over, whose);
        if refusals.is_empty() {
            return;
        }
        self.look();
        let now = self.shared.clock.now();
        for refusal in refusals {
            self.shared.devices.refused(&self.sighting, &refusal, now);
            self.shared.spool.note_refusal(refusal);
        }
        self.sighting.about = None;
    }

    /// Names deviations from the standards in the log.
    fn note_quirks(&mut self) {
        for quirk in self.session.new_quirks() {
            complaints::protocol_deviation(self.policy.client(), quirk.name());
            self.sighting.quirks.insert(quirk.name());
        }
    }

    /// Counts a message for the device that sent it.
    fn note_accepted(&mut self, envelope: &Envelope, taken: &Taken) {
        self.note_quirks();
        self.look();
        self.sighting.quirks.extend(&taken.quirks);
        let author = taken.author.as_ref().map_or("", Address::as_str);
        let sender = match &envelope.reverse_path {
            ReversePath::Address(address) => address.as_str(),
            ReversePath::Null => "",
        };
        let (senders, now) = ([sender, author], self.shared.clock.now());
        self.shared.devices.accepted(&self.sighting, &senders, now);
    }

    /// What the client has shown until now.
    fn look(&mut self) {
        self.sighting.hello = self.session.hello().map(|hello| hello.name.clone());
        self.sighting.user = self.session.identity().map(|user| user.name.clone());
        self.sighting.tls = self.connection.tls_version();
    }

    /// Keeps the transcript, if something went wrong.
    fn keep(mut self) {
        self.note_refusals(true);
        self.look();
        let now = self.shared.clock.now();
        self.shared.devices.ended(&self.sighting, now);
        let hello = self.session.hello().map(|hello| hello.name.clone());
        let user = self.session.identity().map(|user| user.name.clone());
        let client = self.policy.client();
        let listener = self.policy.listener().address.to_string();
        let transcripts = &self.shared.transcripts;
        transcripts.keep(self.connection.recording, client, listener, hello, user);
    }
}
