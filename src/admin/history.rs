//! The history: what became of messages, found again by whatever is known of them.

use axum::Json;
use axum::Router;
use axum::extract;
use axum::extract::State;
use axum::routing::get;
use serde::Deserialize;
use serde::Serialize;

use super::AdminState;
use super::Failure;
use super::PAGE;
use super::queue;
use super::verdict;
use super::verdict::Verdict;
use crate::clock::Timestamp;
use crate::delivery::Waits;
use crate::spool::Became;
use crate::spool::Filter;
use crate::spool::LastAttempt;
use crate::spool::Place;
use crate::spool::Record;
use crate::spool::Refused;
use crate::spool::RefusedMail;
use crate::spool::Search;
use crate::spool::Sought;
use crate::spool::SpoolError;
use crate::spool::State as EntryState;

/// A page of the history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HistoryPage {
    /// The rows, newest first.
    pub rows: Vec<HistoryRow>,
    /// Where the next page begins, if there may be one. A page may have fewer rows than
    /// were asked for, or none, where the search took too long.
    pub next: Option<Place>,
}

/// What became of a message for one recipient. Times are as RFC 3339 has them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HistoryRow {
    /// Where it is in the history.
    pub place: Place,
    /// The ID of the message; missing where it was refused.
    pub id: Option<String>,
    /// What became of it: the state of the message, or `refused`.
    pub state: String,
    /// Whether an attempt got no answer that says if Microsoft 365 accepted it.
    pub doubtful: bool,
    /// When the message came.
    pub received_at: String,
    /// When the state last changed.
    pub changed_at: String,
    /// The recipient.
    pub recipient: Option<String>,
    /// What the client named in its place.
    pub asked_for: Option<String>,
    /// Argument of MAIL, empty for `<>`.
    pub sender: Option<String>,
    /// The address in the From header.
    pub author: Option<String>,
    /// The Subject.
    pub subject: Option<String>,
    /// The Message-ID.
    pub message_id: Option<String>,
    /// The client's address; missing where the message is the relay's own.
    pub client: Option<String>,
    /// What the client called itself.
    pub hello: Option<String>,
    /// The user who authenticated.
    pub user: Option<String>,
    /// The account that sends it.
    pub account: Option<String>,
    /// The mailbox that sends it.
    pub mailbox: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// When the next attempt may start.
    pub next_attempt_at: Option<String>,
    /// The enhanced status of what happened last.
    pub status: Option<String>,
    /// HTTP status of the last answer.
    pub http_status: Option<u16>,
    /// Graph's or Entra's code in it.
    pub code: Option<String>,
    /// Graph's `request-id`.
    pub request_id: Option<String>,
    /// The seconds that the last answer asked to wait (Retry-After).
    pub retry_after_seconds: Option<u64>,
    /// What happened last, as the log has it; of refused mail, what the client need not
    /// know.
    pub reason: Option<String>,
    /// What the client of refused mail was told.
    pub reply: Option<String>,
    /// How often it was refused within some minutes.
    pub times: u32,
    /// Further recipients that were refused with this one.
    pub others: u32,
    /// The message that this one is a report about.
    pub about: Option<String>,
    /// The message that this one is a copy of, by an operator's order.
    pub resend_of: Option<String>,
    /// Until when it can be sent again, if it has ended and its content is kept.
    pub kept_until_at: Option<String>,
    /// The last report about it.
    pub report: Option<String>,
    /// In sentences.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What is asked.
#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    text: String,
    filter: Option<Filter>,
    after: Option<Place>,
    limit: Option<u32>,
}

pub(super) fn router(admin_state: AdminState) -> Router {
    Router::new()
        .route("/history", get(search))
        .with_state(admin_state)
}

async fn search(
    State(admin_state): State<AdminState>,
    extract::Query(asked): extract::Query<Asked>,
) -> Result<Json<HistoryPage>, Failure> {
    let limit = asked.limit.unwrap_or(PAGE);
    let page = admin_state.history(&asked.text, asked.filter, asked.after, limit);
    Ok(Json(page.await?))
}

impl AdminState {
    /// Looks for messages by anything that is known of them, the newest first: at most
    /// `limit` rows, and never more than [`PAGE`].
    ///
    /// # Errors
    ///
    /// Those of the spool.
    pub async fn history(
        &self,
        text: &str,
        filter: Option<Filter>,
        after: Option<Place>,
        limit: u32,
    ) -> Result<HistoryPage, SpoolError> {
        let search = Search {
            sought: Sought::of(text),
            filter,
            after,
            limit: limit.min(PAGE),
        };
        let found = self.spool.history(search).await?;
        let now = self.means.clock.now();
        let rows = found.rows.into_iter().map(|row| match row {
            Record::Accepted(row) => {
                let waits = self.waits(&row, now);
                HistoryRow::accepted(*row, waits, now)
            }
            Record::Refused(row) => HistoryRow::refused(*row),
        });
        Ok(HistoryPage {
            rows: rows.collect(),
            next: found.next,
        })
    }

    fn waits(&self, row: &Became, now: Timestamp) -> Option<Waits> {
        if row.state != EntryState::Waiting {
            return None;
        }
        let destination = queue::destination(row.account.as_ref(), row.mailbox.as_ref())?;
        queue::waits(&self.spool, &self.standing, &destination, row.due_in, now)
    }
}

impl HistoryRow {
    /// What became of it; nothing where it was refused.
    pub fn state(&self) -> Option<EntryState> {
        EntryState::named(&self.state)
    }

    /// The sender as people know it: the address in From, or the argument of MAIL.
    pub fn shown_sender(&self) -> Option<&str> {
        let sender = self.author.as_deref().or(self.sender.as_deref());
        sender.filter(|sender| !sender.is_empty())
    }

    fn accepted(row: Became, waits: Option<Waits>, now: Timestamp) -> Self {
        let verdict = verdict::accepted(&row, waits.as_ref(), now);
        let next_attempt_at = (row.state == EntryState::Waiting && row.mailbox.is_some())
            .then(|| waits.as_ref().map_or(Some(row.due_at), Waits::until))
            .flatten();
        let LastAttempt {
            outcome: _,
            http_status,
            code,
            request_id,
            retry_after_seconds,
        } = row.last.clone().unwrap_or_default();
        let place = row.place();
        let is_own = row.about.is_some();
        let named = |text: String| Some(text).filter(|text| !is_own && !text.is_empty());
        Self {
            place,
            id: Some(row.id.to_string()),
            state: row.state.name().to_owned(),
            doubtful: row.is_doubted,
            received_at: row.accepted_at.rfc3339(),
            changed_at: row.at.rfc3339(),
            recipient: Some(row.recipient),
            asked_for: row.asked_for,
            sender: Some(row.reverse_path),
            author: row.author,
            subject: row.subject,
            message_id: row.message_id,
            client: named(row.client),
            hello: named(row.hello),
            user: row.user,
            account: row.account,
            mailbox: row.mailbox,
            attempts: row.attempts,
            next_attempt_at: next_attempt_at.map(Timestamp::rfc3339),
            status: row.status,
            http_status,
            code,
            request_id,
            retry_after_seconds,
            reason: row.text,
            reply: None,
            times: 1,
            others: 0,
            about: row.about.map(String::from),
            resend_of: row.resend_of.map(String::from),
            kept_until_at: row.resend_until.map(Timestamp::rfc3339),
            report: row.report.map(String::from),
            verdict,
        }
    }
    fn refused(row: Refused) -> Self {
        let verdict = verdict::refused(&row);
        let place = Record::Refused(Box::new(row.clone())).place();
        let RefusedMail {
            client,
            hello,
            user,
            sender,
            recipient,
            others,
            subject,
            message_id,
            reply,
            cause,
            remedy: _,
        } = row.refusal;
        let named = |text: String| Some(text).filter(|text| !text.is_empty());
        let status = reply.split(' ').nth(1).filter(|it| it.contains('.'));
        Self {
            place,
            id: None,
            state: "refused".to_owned(),
            doubtful: false,
            received_at: row.id.time().rfc3339(),
            changed_at: row.last_at.rfc3339(),
            recipient,
            asked_for: None,
            sender,
            author: None,
            subject,
            message_id,
            client: client.map(|client| client.to_string()),
            hello,
            user,
            account: None,
            mailbox: None,
            attempts: 0,
            next_attempt_at: None,
            status: status.map(str::to_owned),
            http_status: None,
            code: None,
            request_id: None,
            retry_after_seconds: None,
            reason: named(cause),
            reply: named(reply),
            times: row.times,
            others,
            about: None,
            resend_of: None,
            kept_until_at: None,
            report: None,
            verdict,
        }
    }
}
