//! A sign-in as text that only the owner of the key can read (ChaCha20-Poly1305, RFC
//! 8439, by `ring`). `store.rs` describes the format.
//!
//! Nonces are random: a mailbox is written about once an hour, and only after 2^32 writes
//! would two equal nonces become likely.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead;
use ring::aead::Aad;
use ring::aead::LessSafeKey;
use ring::aead::Nonce;
use ring::aead::UnboundKey;
use ring::digest;
use ring::rand::SecureRandom;
use ring::rand::SystemRandom;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use serde::Deserialize;
use serde::Serialize;

use super::store::Refused;
use super::store::SignIn;
use super::store::StoreError;
use super::store::file_error;
use crate::clock::Timestamp;
use crate::disk;
use crate::mail::Address;

/// The key that seals and opens; it cannot be printed.
pub(in crate::auth) struct Key(LessSafeKey);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The shortest key that is as hard to guess as the seal is to break.
const LEAST_KEY: usize = 32;
const FORMAT: u32 = 1;

/// The file. Account and mailbox are in it for people, and sealed in as well.
#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    account: String,
    mailbox: Address,
    nonce: String,
    sealed: String,
}

/// The sealed content.
#[derive(Serialize, Deserialize)]
struct Content {
    refresh_token: String,
    #[serde(with = "crate::clock::in_millis")]
    signed_in_at: Timestamp,
    #[serde(with = "crate::clock::in_millis")]
    renewed_at: Timestamp,
    refused: Option<Refused>,
}

impl Key {
    /// Makes a key of any bytes, if there are enough of them.
    pub(in crate::auth) fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < LEAST_KEY {
            return None;
        }
        let hash = digest::digest(&digest::SHA256, bytes);
        let key = UnboundKey::new(&aead::CHACHA20_POLY1305, hash.as_ref()).ok()?;
        Some(Self(LessSafeKey::new(key)))
    }
}

/// Makes a new random key.
pub(in crate::auth) fn random_key() -> Result<[u8; LEAST_KEY], StoreError> {
    random()
}

fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| StoreError::Cryptography)?;
    Ok(bytes)
}

/// Returns the text of the file.
pub(in crate::auth) fn seal(sign_in: &SignIn, key: &Key) -> Result<String, StoreError> {
    let content = Content {
        refresh_token: sign_in.refresh_token.expose_secret().to_owned(),
        signed_in_at: sign_in.signed_in_at,
        renewed_at: sign_in.renewed_at,
        refused: sign_in.refused.clone(),
    };
    let broken = |_| StoreError::Cryptography;
    let mut bytes = serde_json::to_vec(&content).map_err(broken)?;
    let nonce: [u8; aead::NONCE_LEN] = random()?;
    let owner = owner(&sign_in.account, &sign_in.mailbox);
    key.0
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(owner),
            &mut bytes,
        )
        .map_err(|_| StoreError::Cryptography)?;
    let file = File {
        format: FORMAT,
        account: sign_in.account.clone(),
        mailbox: sign_in.mailbox.clone(),
        nonce: STANDARD.encode(nonce),
        sealed: STANDARD.encode(bytes),
    };
    serde_json::to_string(&file).map_err(broken)
}

/// Reads a file and opens it.
pub(in crate::auth) fn open(path: &Path, key: &Key) -> Result<SignIn, StoreError> {
    let text = disk::read_small(path).map_err(|error| file_error(path, error))?;
    let unopened = |mailbox: &str| StoreError::Sealed {
        path: path.to_owned(),
        mailbox: mailbox.to_owned(),
    };
    let file: File = serde_json::from_slice(&text).map_err(|_| unopened("MAILBOX"))?;
    let content = opened(&file, key).ok_or_else(|| unopened(file.mailbox.as_str()))?;
    Ok(SignIn {
        account: file.account,
        mailbox: file.mailbox,
        refresh_token: SecretString::from(content.refresh_token),
        signed_in_at: content.signed_in_at,
        renewed_at: content.renewed_at,
        refused: content.refused,
    })
}

fn opened(file: &File, key: &Key) -> Option<Content> {
    let nonce = STANDARD.decode(&file.nonce).ok()?;
    let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
    let mut bytes = STANDARD.decode(&file.sealed).ok()?;
    let owner = Aad::from(owner(&file.account, &file.mailbox));
    let content = key.0.open_in_place(nonce, owner, &mut bytes).ok()?;
    (file.format == FORMAT).then_some(())?;
    serde_json::from_slice(content).ok()
}

/// The data to which the seal is bound.
fn owner(account: &str, mailbox: &Address) -> Vec<u8> {
    format!("{FORMAT}\0{account}\0{}", mailbox.key()).into_bytes()
}
