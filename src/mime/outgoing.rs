//! An outgoing message: an edited header section and a body in pieces. A large body stays in its
//! file and is read piece by piece.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use bytes::BytesMut;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncSeekExt;

/// The message for Graph, byte for byte.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The header section with the empty line that ends it.
    pub header: Bytes,
    /// The body, in order.
    pub body: Vec<Piece>,
}

/// A piece of a body, in memory or in a file.
#[derive(Clone, Debug)]
pub enum Piece {
    /// In memory.
    Bytes(Bytes),
    /// In a file.
    File {
        /// The file.
        path: PathBuf,
        /// The position where the piece begins.
        offset: u64,
        /// Its length in bytes.
        size: u64,
    },
}

impl Piece {
    /// Returns the length of the message in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// Returns the part of the piece that is in a range; nothing after its end.
    pub(super) fn slice(&self, range: &Range<u64>) -> Self {
        let start = range.start.min(self.size());
        let end = range.end.clamp(start, self.size());
        match self {
            Self::Bytes(bytes) => {
                let within = |at: u64| usize::try_from(at).unwrap_or(bytes.len());
                Self::Bytes(bytes.slice(within(start)..within(end)))
            }
            Self::File { path, offset, .. } => Self::File {
                path: path.clone(),
                offset: offset + start,
                size: end - start,
            },
        }
    }
}

impl Outgoing {
    /// Returns the length of the piece in bytes.
    pub fn size(&self) -> u64 {
        self.header.len() as u64 + self.body_size()
    }

    /// Returns the length of the body in bytes.
    pub fn body_size(&self) -> u64 {
        self.body.iter().map(Piece::size).sum()
    }

    /// Returns the pieces of a range of the body; nothing after its end.
    pub fn body_range(&self, range: Range<u64>) -> Vec<Piece> {
        let mut at = 0;
        let mut pieces = Vec::new();
        for piece in &self.body {
            let from = range.start.saturating_sub(at);
            let part = piece.slice(&(from..range.end.saturating_sub(at)));
            at += piece.size();
            if part.size() > 0 {
                pieces.push(part);
            }
        }
        pieces
    }

    /// Returns the whole message in memory: for messages that fit into one request.
    ///
    /// # Errors
    ///
    /// The errors of reading a file.
    pub async fn read(&self) -> io::Result<Bytes> {
        let mut all = BytesMut::with_capacity(usize::try_from(self.size()).unwrap_or_default());
        let mut reader = self.reader();
        while let Some(bytes) = reader.next().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all.freeze())
    }

    /// Returns a reader of the whole message, from the header section on.
    pub fn reader(&self) -> Reader {
        let mut pieces = vec![Piece::Bytes(self.header.clone())];
        pieces.extend_from_slice(&self.body);
        Reader::new(pieces)
    }
}

/// Reads pieces one after the other, at most 64 KiB of a file at once.
#[derive(Debug)]
pub struct Reader {
    pieces: VecDeque<Piece>,
    /// The file of the first piece, at the beginning of that piece.
    open: Option<(PathBuf, u64, File)>,
}

/// How much of a file is in memory: enough to make a read worthwhile.
const READ: usize = 64 * 1024;

impl Reader {
    /// Makes a reader of these pieces.
    pub fn new(pieces: impl IntoIterator<Item = Piece>) -> Self {
        Self {
            pieces: pieces.into_iter().collect(),
            open: None,
        }
    }

    /// Returns the next bytes, never empty; `None` at the end.
    ///
    /// # Errors
    ///
    /// The errors of reading a file, which may have become shorter.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            match self.pieces.pop_front() {
                None => return Ok(None),
                Some(piece) if piece.size() == 0 => {}
                Some(Piece::Bytes(bytes)) => return Ok(Some(bytes)),
                Some(Piece::File { path, offset, size }) => {
                    let bytes = self.read(path, offset, size).await?;
                    return Ok(Some(bytes));
                }
            }
        }
    }

    /// Reads the beginning of a piece, and puts the rest back.
    async fn read(&mut self, path: PathBuf, offset: u64, size: u64) -> io::Result<Bytes> {
        let mut file = match self.open.take() {
            Some((open, at, file)) if open == path && at == offset => file,
            Some((open, _, mut file)) if open == path => {
                file.seek(io::SeekFrom::Start(offset)).await?;
                file
            }
            Some(_) | None => {
                let mut file = File::open(&path).await?;
                file.seek(io::SeekFrom::Start(offset)).await?;
                file
            }
        };
        let length = usize::try_from(size).map_or(READ, |size| size.min(READ));
        let mut bytes = BytesMut::zeroed(length);
        file.read_exact(&mut bytes).await?;
        let read = bytes.len() as u64;
        let offset = offset + read;
        self.open = Some((path.clone(), offset, file));
        self.pieces.push_front(Piece::File {
            path,
            offset,
            size: size - read,
        });
        Ok(bytes.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(mut reader: Reader) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(bytes) = reader.next().await.unwrap() {
            assert!(!bytes.is_empty() && bytes.len() <= READ);
            all.extend_from_slice(&bytes);
        }
        all
    }

    /// `header`, `abc`, a file of 200,010 bytes from byte 10 on, and `xyz`.
    fn message() -> (tempfile::NamedTempFile, Outgoing, Vec<u8>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let content: Vec<u8> = (0..200_010_u32).map(|at| at.to_le_bytes()[0]).collect();
        std::fs::write(file.path(), &content).unwrap();
        let body = vec![
            Piece::Bytes(Bytes::from_static(b"abc")),
            Piece::File {
                path: file.path().to_owned(),
                offset: 10,
                size: 200_000,
            },
            Piece::Bytes(Bytes::from_static(b"xyz")),
        ];
        let whole = [b"abc", &content[10..], b"xyz"].concat();
        let header = Bytes::from_static(b"header");
        (file, Outgoing { header, body }, whole)
    }

    #[tokio::test]
    async fn pieces_are_read_as_one_message() {
        let (_file, message, body) = message();

        let read = all(message.reader()).await;

        assert_eq!(read, [b"header", &body[..]].concat());
        assert_eq!(message.size(), read.len() as u64);
    }

    #[tokio::test]
    async fn a_range_of_a_body_goes_across_its_pieces() {
        let (_file, message, body) = message();
        for range in [
            0..0,
            0..3,
            1..5,
            2..200_004,
            100..70_000,
            200_002..200_006,
            5..900_000,
        ] {
            let read = all(Reader::new(message.body_range(range.clone()))).await;

            let within = (0_u64..).zip(&body).filter(|(at, _)| range.contains(at));
            let expected = within.map(|(_, byte)| *byte);
            assert!(read.iter().copied().eq(expected), "{range:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_is_an_error() {
        let (file, message, _) = message();
        file.as_file().set_len(100_000).unwrap();
        let mut reader = message.reader();

        let error = loop {
            match reader.next().await {
                Ok(bytes) => assert!(bytes.is_some(), "the end"),
                Err(error) => break error,
            }
        };

        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
