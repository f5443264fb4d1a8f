//! Why an attempt did not succeed, and in which step of it. What that means for the
//! message is decided in `outcome.rs`.

use std::io;

use super::compose::ComposeError;
use crate::graph::GraphError;
use crate::mime::Unsplittable;
use crate::spool::ContentError;
use crate::spool::SpoolError;

/// Why an attempt did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error("{error}")]
    Graph {
        step: Step,
        #[source]
        error: GraphError,
    },
    #[error("the message cannot be sent: {0}")]
    Compose(#[from] ComposeError),
    #[error("there is no [[account]] named {0:?} any more")]
    NoAccount(String),
    /// It cannot be made to fit.
    #[error("the message cannot be sent: {0}")]
    Oversize(#[from] Unsplittable),
    /// An upload comes no further, and nothing says why.
    #[error("Graph asks for the same bytes of an attachment again and again")]
    UploadStuck,
    /// An upload was taken for finished before its end.
    #[error("Graph ends an attachment before all its bytes are there")]
    UploadShort,
    /// Its content is gone or is not what was accepted.
    #[error("the message cannot be sent: {0}")]
    Damaged(#[source] ContentError),
    /// What must be on record before a request could not be recorded.
    #[error("the spool cannot be written: {0}")]
    Spool(#[from] SpoolError),
    /// Its draft, which may have been sent, cannot be found yet.
    #[error("its draft cannot be found now")]
    DraftNotFound,
    /// Its draft, which may have been sent, is not to be found any more.
    #[error("its draft is gone from the mailbox, and may have been sent")]
    DraftGone,
}

/// What an attempt was about when it failed. Only a request that sends can have
/// sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The message in one request.
    SendMail,
    /// Making and filling a draft.
    Prepare,
    /// Bytes of an attachment, on their way to the upload URL.
    Upload,
    /// Sending a draft.
    SendDraft,
    /// Looking what has become of a draft that may have been sent.
    Look,
}

impl AttemptError {
    /// The content is not as it was accepted, or cannot be read now.
    pub(super) fn unverified(error: ContentError) -> Self {
        match error {
            ContentError::Unread { error, .. } => Self::unread(error),
            error @ (ContentError::Unreadable { .. } | ContentError::Changed) => {
                Self::Damaged(error)
            }
        }
    }

    /// The message cannot be read from the spool.
    pub(super) fn unread(error: io::Error) -> Self {
        Step::Prepare.failed()(GraphError::Content(error))
    }

    /// Whether Graph found the request that was to carry the message too large. What
    /// Microsoft means by 4 MB is not documented.
    pub(super) fn is_too_large(&self) -> bool {
        matches!(
            self,
            Self::Graph {
                step: Step::SendMail | Step::Prepare,
                error: GraphError::Answered { status: 413, .. },
            }
        )
    }

    /// Whether Graph found an attachment too small for an upload session.
    pub(super) fn is_too_small(&self) -> bool {
        matches!(
            self,
            Self::Graph {
                step: Step::Prepare,
                error: GraphError::Answered { code, .. },
            } if code == "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"
        )
    }
}

impl Step {
    /// What an error of Graph's is in this step.
    pub(super) fn failed(self) -> impl Fn(GraphError) -> AttemptError {
        move |error| AttemptError::Graph { step: self, error }
    }
}
