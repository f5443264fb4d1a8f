//! The content of a message, as somebody reads it on the admin page.

use std::io;

use bytes::Bytes;

use crate::admin::AdminState;
use crate::mail::SpoolId;
use crate::mime::Piece;
use crate::mime::Reader;
pub use crate::mime::View;
use crate::spool::Content;
use crate::spool::SpoolError;
use crate::spool::ToRead;

/// The content of a message.
#[derive(Clone, Debug)]
pub struct MessageContent(Content);

/// Why a message has no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoContent {
    /// There is no such message.
    Unknown,
    /// It is not kept any more.
    Gone,
    /// It is damaged, in English.
    Unreadable(String),
}

impl AdminState {
    /// Returns the content of a message, or why there is none.
    ///
    /// # Errors
    ///
    /// Those of the spool.
    pub async fn content(
        &self,
        id: SpoolId,
    ) -> Result<Result<MessageContent, NoContent>, SpoolError> {
        Ok(match self.spool.to_read(id).await? {
            ToRead::There(content) => Ok(MessageContent(content)),
            ToRead::Unknown => Err(NoContent::Unknown),
            ToRead::Gone => Err(NoContent::Gone),
            ToRead::Unreadable(why) => Err(NoContent::Unreadable(why)),
        })
    }
}

impl MessageContent {
    /// Bytes in all.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// What of it is shown.
    ///
    /// # Errors
    ///
    /// Those of reading a file.
    pub async fn view(&self) -> io::Result<View> {
        View::of(&self.0.head().await?, &self.piece()).await
    }

    /// Reads all of it, at most 64 KiB of a file at once.
    pub fn pieces(&self) -> Pieces {
        Pieces(Reader::new([self.piece()]))
    }

    fn piece(&self) -> Piece {
        match &self.0 {
            Content::Inline(bytes) => Piece::Bytes(bytes.clone()),
            Content::File { path, size } => Piece::File {
                path: path.clone(),
                offset: 0,
                size: *size,
            },
        }
    }
}

/// The bytes of a message, one piece after the other.
#[derive(Debug)]
pub struct Pieces(Reader);

impl Pieces {
    /// Returns the next bytes; none at the end.
    ///
    /// # Errors
    ///
    /// Those of reading a file.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        self.0.next().await
    }
}
