//! The page of an order: the question before it, how far it is, and what came of it.

use std::sync::Arc;

use askama::Template;
use axum::extract::Path;
use axum::extract::State;
use axum::response::Response;

use super::actions::MOST_NAMED;
use super::actions::gone;
use super::desk::Given;
use super::desk::Outcome;
use super::desk::Stage;
use super::desk::What;
use super::texts::OrderTexts;
use crate::mail::Address;
use crate::mail::SpoolId;
use crate::page::Page;
use crate::page::layout::Layout;
use crate::page::layout::Tab;
use crate::page::visitor::Refused;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;
use crate::spool::Action;
use crate::spool::Concerned;

/// Recipients that a question shows before it is unfolded.
const SHOWN: usize = 10;

/// A recipient that an order is about.
struct Named {
    recipient: String,
    subject: Option<String>,
    id: SpoolId,
}

/// The button that confirms.
struct Confirm {
    path: String,
    title: String,
    class: &'static str,
}

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    layout: Layout,
    title: String,
    words: Vec<String>,
    /// Recipients that are shown, and those behind the fold.
    named: Vec<Named>,
    folded: Vec<Named>,
    /// How many messages are not named.
    unnamed: usize,
    confirm: Option<Confirm>,
    /// What the relay says, in English.
    remarks: Vec<(SpoolId, String)>,
    further_remarks: usize,
    broken: Option<String>,
    /// How many of how many messages were changed so far.
    progress: Option<(usize, usize)>,
    here: String,
    back: String,
    copy: Option<SpoolId>,
}

pub(super) async fn show(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(key): Path<String>,
) -> Result<Response, Refused> {
    visitor.require(Role::Operator)?;
    let Some(order) = page.desk.find(&key) else {
        return Ok(gone(&visitor));
    };
    let layout = page.layout(&visitor, Some(Tab::Messages)).await?;
    Ok(crate::page::shown(&of(layout, &order))?)
}

fn of(layout: Layout, order: &Given) -> OrderPage {
    let (stage, outcome) = order.now();
    let mut shown = OrderPage {
        layout,
        title: String::new(),
        words: Vec::new(),
        named: Vec::new(),
        folded: Vec::new(),
        unnamed: 0,
        confirm: None,
        remarks: Vec::new(),
        further_remarks: outcome.further_remarks,
        broken: outcome.broken.clone(),
        progress: None,
        here: format!("/messages/orders/{}", order.key),
        back: order.back.clone(),
        copy: None,
    };
    match &order.what {
        What::Change {
            action,
            concerned,
            is_cut,
            ..
        } => match stage {
            Stage::Asked => shown.ask(*action, order.count(), concerned, *is_cut),
            Stage::Running | Stage::Finished => {
                shown.tell(*action, stage, order.count(), outcome);
            }
        },
        What::Resend { wanted, question } => {
            shown.resend(wanted.id, question.as_ref(), stage, outcome);
        }
    }
    shown
}

impl OrderPage {
    fn texts(&self) -> &'static OrderTexts {
        &self.layout.texts.order
    }

    /// The question before messages are changed.
    fn ask(&mut self, action: Action, count: usize, concerned: &[Concerned], is_cut: bool) {
        let (texts, texts_of_all) = (self.texts(), &self.layout.texts.message);
        if count == 0 {
            self.title = texts.nothing_title.to_owned();
            self.words.push(texts.nothing.to_owned());
            return;
        }
        self.title = format!("{}?", (texts_of_all.confirm)(action, count));
        if action == Action::Drop {
            self.words.push(texts_of_all.drop_help.to_owned());
        }
        if is_cut {
            self.words.push((texts.cut)(count));
        }
        self.words.push(texts.whole.to_owned());
        let all = concerned.iter().flat_map(|message| {
            message.recipients.iter().map(|recipient| Named {
                recipient: recipient.clone(),
                subject: message.subject.clone(),
                id: message.id,
            })
        });
        self.named = all.take(MOST_NAMED).collect();
        self.folded = self.named.split_off(SHOWN.min(self.named.len()));
        self.unnamed = count.saturating_sub(concerned.len());
        self.confirm = Some(Confirm {
            path: self.here.clone(),
            title: (texts_of_all.confirm)(action, count),
            class: match action {
                Action::Drop => "danger",
                Action::Retry | Action::Hold | Action::Release => "primary",
            },
        });
    }

    /// What came of it.
    fn tell(&mut self, action: Action, stage: Stage, count: usize, outcome: Outcome) {
        let texts = &self.layout.texts.message;
        if stage == Stage::Running {
            self.title = (texts.confirm)(action, count);
            self.progress = Some((outcome.done + outcome.unchanged, count));
            return;
        }
        self.title = (texts.done)(action, outcome.done);
        if outcome.unchanged > 0 {
            self.words.push((texts.unchanged)(outcome.unchanged));
        }
        self.remarks = outcome.remarks;
    }

    /// A message that is sent again.
    fn resend(&mut self, id: SpoolId, question: Option<&String>, stage: Stage, outcome: Outcome) {
        let texts = &self.layout.texts.message;
        match (stage, outcome.resent) {
            (Stage::Asked, _) => {
                self.title = texts.resend_question.to_owned();
                self.remarks = question.map(|it| (id, it.clone())).into_iter().collect();
                self.confirm = Some(Confirm {
                    path: self.here.clone(),
                    title: texts.resend.to_owned(),
                    class: "danger",
                });
            }
            (Stage::Running, _) => {
                self.title = texts.resend.to_owned();
                self.progress = Some((0, 1));
            }
            (Stage::Finished, Some(resent)) => {
                let to: Vec<&str> = resent.recipients.iter().map(Address::as_str).collect();
                self.title = (texts.resent)(&to.join(", "));
                let remarks = resent.remarks.into_iter().map(|remark| (id, remark));
                self.remarks = remarks.collect();
                self.copy = Some(resent.id);
            }
            (Stage::Finished, None) => self.title = texts.not_resent.to_owned(),
        }
    }
}
