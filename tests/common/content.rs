//! Contents for messages: bytes of a file, and how a message carries them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Bytes that no mistake repeats by chance.
pub fn bytes(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}

/// In lines of 76 characters.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(57) {
        BASE64_STANDARD.encode_string(line, &mut text);
        text.push_str("\r\n");
    }
    text
}
