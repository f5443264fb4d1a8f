//! Contents for messages: bytes of a file, and how a message carries them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Bytes that no mistake repeats by chance.
pub(crate) fn bytes(size: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; size];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// In lines of 76 characters.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(57) {
        BASE64_STANDARD.encode_string(line, &mut text);
        text.push_str("\r\n");
    }
    text
}
