//! A message on its way out: an edited header section and the untouched rest.

use std::path::PathBuf;

use bytes::Bytes;

/// What Graph is to get, byte for byte.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The header section with the empty line that ends it.
    pub header: Bytes,
    /// The body.
    pub body: Body,
}

/// A body where the spool keeps it.
#[derive(Clone, Debug)]
pub enum Body {
    /// In memory.
    Bytes(Bytes),
    /// In a file, from an offset to its end.
    File {
        /// The file.
        path: PathBuf,
        /// Where the body begins.
        offset: u64,
        /// Bytes from there to the end.
        size: u64,
    },
}

impl Outgoing {
    /// Bytes in all.
    pub fn size(&self) -> u64 {
        let body = match &self.body {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::File { size, .. } => *size,
        };
        self.header.len() as u64 + body
    }
}
