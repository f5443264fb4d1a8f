//! The request body of sendMail in MIME form: the message in base64, encoded piece by
//! piece.

use std::io;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;

use crate::mime::Outgoing;
use crate::mime::Piece;
use crate::mime::Reader;

/// Returns the size of `size` bytes in base64: what sendMail uploads for a message of that
/// size.
pub fn encoded_size(size: u64) -> u64 {
    size.div_ceil(3) * 4
}

/// The whole message in base64. Opening fails before anything is sent if a file cannot be
/// read.
pub(super) async fn encoded(message: &Outgoing) -> io::Result<reqwest::Body> {
    if let [Piece::Bytes(body)] = message.body.as_slice() {
        let whole = [message.header.as_ref(), body.as_ref()].concat();
        return Ok(BASE64_STANDARD.encode(whole).into());
    }
    Ok(reqwest::Body::wrap_stream(
        Encoder::stream(message.reader()).await?,
    ))
}

/// Encodes what it reads in multiples of 3 bytes, so that only the end is padded.
struct Encoder {
    reader: Reader,
    /// Bytes that were read and are not encoded yet.
    rest: Vec<u8>,
}

/// Pieces of about this size are encoded at once.
const PIECE: usize = 48 * 1024;

impl Encoder {
    async fn stream(reader: Reader) -> io::Result<impl Stream<Item = io::Result<Bytes>> + use<>> {
        let encoder = Self {
            reader,
            rest: Vec::new(),
        };
        // The header section and the beginning of the content after it.
        let first = encoder.next().await?;
        Ok(stream::try_unfold(first, async |ready| match ready {
            Some((bytes, encoder)) => Ok(Some((bytes, encoder.next().await?))),
            None => Ok(None),
        }))
    }

    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        while self.rest.len() < PIECE {
            let Some(bytes) = self.reader.next().await? else {
                let last = std::mem::take(&mut self.rest);
                let last = (!last.is_empty()).then(|| BASE64_STANDARD.encode(last));
                return Ok(last.map(|last| (last.into(), self)));
            };
            self.rest.extend_from_slice(&bytes);
        }
        let rest = self.rest.split_off(self.rest.len() / 3 * 3);
        let ready = std::mem::replace(&mut self.rest, rest);
        Ok(Some((BASE64_STANDARD.encode(ready).into(), self)))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn pieces_of_any_length_are_encoded_as_one() {
        for cuts in [
            &[][..],
            &[1],
            &[2, 1],
            &[3, 0, 5],
            &[0],
            &[PIECE, 1, PIECE + 1, 3],
        ] {
            let piece = |length: &usize| Piece::Bytes(vec![b'x'; *length].into());
            let message = Outgoing {
                header: Bytes::from_static(b"A: b\r\n\r\n"),
                body: cuts.iter().map(piece).collect(),
            };

            let stream = Encoder::stream(message.reader()).await.unwrap();
            let encoded: Vec<Bytes> = stream.try_collect().await.unwrap();

            let whole = format!("A: b\r\n\r\n{}", "x".repeat(cuts.iter().sum()));
            assert_eq!(
                encoded.concat(),
                BASE64_STANDARD.encode(whole).as_bytes(),
                "{cuts:?}"
            );
            assert_eq!(encoded.concat().len() as u64, encoded_size(message.size()));
        }
    }
}
