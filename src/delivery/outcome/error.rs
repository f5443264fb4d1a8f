//! Why an attempt did not succeed, and in which step. Also what an answer means to a
//! request that sends nothing: one that deletes, creates or uploads. `table.rs` says what
//! it means for the message.

use std::io;
use std::time::Duration;

use crate::delivery::attempt::compose::ComposeError;
use crate::graph::GraphError;
use crate::http::TransportError;
use crate::mime::Unsplittable;
use crate::spool::ContentError;
use crate::spool::SpoolError;

/// Why an attempt did not succeed.
#[derive(Debug, thiserror::Error)]
pub(in crate::delivery) enum AttemptError {
    #[error("{error}")]
    Graph {
        step: Step,
        #[source]
        error: GraphError,
    },
    #[error("the message cannot be sent: {0}")]
    Compose(#[from] ComposeError),
    #[error("relay.toml no longer has an [[account]] named {0:?}")]
    NoAccount(String),
    /// It cannot be made to fit.
    #[error("the message cannot be sent: {0}")]
    Oversize(#[from] Unsplittable),
    /// An upload makes no progress, and no error says why.
    #[error("Graph keeps asking for the same bytes of an attachment")]
    UploadStuck,
    /// Graph reported an upload as finished before its end.
    #[error("Graph ended the upload of an attachment before all its bytes had arrived")]
    UploadShort,
    /// Its content is missing or differs from what was accepted.
    #[error("the message cannot be sent: {0}")]
    Damaged(#[source] ContentError),
    /// A record that must precede a request could not be written.
    #[error("the spool cannot be written: {0}")]
    Spool(#[from] SpoolError),
    /// Its draft, which may have been sent, cannot be found yet.
    #[error("its draft cannot be found yet")]
    DraftNotFound,
    /// Its draft, which may have been sent, can no longer be found.
    #[error("its draft is no longer in the mailbox, and may have been sent")]
    DraftGone,
}

/// The step of an attempt. Only a request that sends can have sent the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Step {
    /// Sending the message in one request.
    SendMail,
    /// Creating and filling a draft.
    Prepare,
    /// Sending bytes of an attachment to the upload URL.
    Upload,
    /// Sending a draft.
    SendDraft,
    /// Looking for a draft that may have been sent.
    Look,
}

impl AttemptError {
    /// The content differs from what was accepted, or cannot be read now.
    pub(in crate::delivery) fn unverified(error: ContentError) -> Self {
        match error {
            ContentError::Unread { error, .. } => Self::unread(error),
            error @ (ContentError::Unreadable { .. } | ContentError::Changed) => {
                Self::Damaged(error)
            }
        }
    }

    /// The message cannot be read from the spool.
    pub(in crate::delivery) fn unread(error: io::Error) -> Self {
        Step::Prepare.failed()(GraphError::Content(error))
    }

    /// Whether Graph found the request with the message too large. What Microsoft means
    /// by 4 MB is not documented.
    pub(in crate::delivery) fn is_too_large(&self) -> bool {
        matches!(
            self,
            Self::Graph {
                step: Step::SendMail | Step::Prepare,
                error: GraphError::Answered { status: 413, .. },
            }
        )
    }

    /// Whether Graph found an attachment too small for an upload session.
    pub(in crate::delivery) fn is_too_small(&self) -> bool {
        matches!(
            self,
            Self::Graph {
                step: Step::Prepare,
                error: GraphError::Answered { code, .. },
            } if code == "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"
        )
    }
}

/// Whether Graph refuses to delete what an earlier attempt left, perhaps because the
/// account has another mailbox now.
pub(in crate::delivery) fn is_not_deletable(error: &GraphError) -> bool {
    matches!(error, GraphError::Answered { status: 400, .. })
}

/// Whether drafts that an earlier attempt may have left can stay. An error that would
/// also stop the creation of a draft is not among these.
pub(in crate::delivery) fn may_leave_strays(error: &GraphError) -> bool {
    matches!(
        error,
        GraphError::Answered {
            status: 400 | 404..=428 | 430..=499,
            ..
        }
    )
}

/// Whether the draft of a message that will not be sent stays, because asking again would
/// not help.
pub(in crate::delivery) fn is_beyond_deletion(error: &GraphError) -> bool {
    matches!(
        error,
        GraphError::Answered {
            status: 400 | 403..=407 | 409..=428 | 430..=499,
            ..
        }
    )
}

/// Whether a draft may have been created despite this error.
pub(in crate::delivery) fn may_have_made_a_draft(error: &GraphError) -> bool {
    match error {
        GraphError::Answered { status, .. } => !(400..500).contains(status),
        GraphError::Transport(error) => matches!(error, TransportError::MaybeSent { .. }),
        GraphError::Token(_) | GraphError::UploadHost(_) | GraphError::Content(_) => false,
    }
}

/// Whether Graph found a piece of an upload too large.
pub(in crate::delivery) fn is_piece_too_large(error: &GraphError) -> bool {
    matches!(error, GraphError::Answered { status: 413, .. })
}

/// Whether an upload can be resumed after this, and how long the answer asks to wait.
/// 416: Graph has received other bytes than was assumed.
pub(in crate::delivery) fn resumes(error: &GraphError) -> Option<Option<Duration>> {
    match error {
        GraphError::Transport(_) => Some(None),
        GraphError::Answered {
            status: 408 | 416 | 429 | 500..,
            retry_after,
            ..
        } => Some(*retry_after),
        GraphError::Answered { .. }
        | GraphError::Token(_)
        | GraphError::UploadHost(_)
        | GraphError::Content(_) => None,
    }
}

impl Step {
    /// The meaning of an error from Graph in this step.
    pub(in crate::delivery) fn failed(self) -> impl Fn(GraphError) -> AttemptError {
        move |error| AttemptError::Graph { step: self, error }
    }
}
