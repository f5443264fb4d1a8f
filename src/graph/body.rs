//! The request body of sendMail in MIME form: the message in base64, encoded
//! piece by piece.

use std::io;
use std::io::Cursor;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::stream;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncSeekExt;

use crate::mime::Body;
use crate::mime::Outgoing;

/// A multiple of 3, so that only the last piece is padded.
const PIECE: usize = 48 * 1024;

/// The length of `size` bytes in base64.
pub(super) fn encoded_size(size: u64) -> u64 {
    size.div_ceil(3) * 4
}

/// The whole message in base64.
pub(super) async fn encoded(message: &Outgoing) -> io::Result<reqwest::Body> {
    match &message.body {
        Body::Bytes(body) => {
            let whole = [message.header.as_ref(), body.as_ref()].concat();
            Ok(BASE64_STANDARD.encode(whole).into())
        }
        Body::File { path, offset, size } => {
            let mut file = tokio::fs::File::open(path).await?;
            file.seek(io::SeekFrom::Start(*offset)).await?;
            let whole = Cursor::new(message.header.clone()).chain(file.take(*size));
            Ok(reqwest::Body::wrap_stream(stream::try_unfold(whole, piece)))
        }
    }
}

async fn piece<R: AsyncRead + Unpin>(mut whole: R) -> io::Result<Option<(Bytes, R)>> {
    let mut piece = Vec::with_capacity(PIECE);
    (&mut whole)
        .take(PIECE as u64)
        .read_to_end(&mut piece)
        .await?;
    if piece.is_empty() {
        return Ok(None);
    }
    Ok(Some((BASE64_STANDARD.encode(&piece).into(), whole)))
}
