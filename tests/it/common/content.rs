//! Contents for messages: bytes of a file, and their encoding in a message.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Bytes without repetitions, so that an error cannot go unnoticed.
pub(crate) fn bytes(size: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; size];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// Base64 in lines of 76 characters.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(57) {
        BASE64_STANDARD.encode_string(line, &mut text);
        text.push_str("\r\n");
    }
    text
}
