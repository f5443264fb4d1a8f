//! Password hashes of SMTP users: argon2id (RFC 9106) in the PHC string format.
//!
//! A hash is checked when the configuration is read, so that verifying a password needs
//! limited time and memory. It takes about 30 ms of a core on purpose and must not run on a
//! thread that serves others; the listener sees to that.

use std::fmt;

use argon2::Algorithm;
use argon2::Argon2;
use argon2::Block;
use argon2::Params;
use argon2::PasswordHasher;
use argon2::Version;
use argon2::password_hash::phc;
use serde::Deserialize;

/// An argon2id hash that this machine can verify with reasonable effort.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PasswordHash(phc::PasswordHash);

/// Why a text is not a usable hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashError {
    /// Something else, perhaps a plain password.
    #[error("not an argon2id hash: create one with graph-relay hash-password")]
    Format,
    /// Each verification would need too much time or memory.
    #[error(
        "this hash needs more than 256 MiB or 16 rounds: create one with graph-relay hash-password"
    )]
    Cost,
}

/// The effort of a verification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// In KiB.
    memory: u32,
    rounds: u32,
    destinations: u32,
}

impl Cost {
    /// Whether it is below OWASP's minimum for argon2id: whoever steals the hash can guess its
    /// password faster.
    pub fn is_weak(self) -> bool {
        let reaches =
            |(memory, rounds): &(u32, u32)| self.memory >= *memory && self.rounds >= *rounds;
        !MINIMA.iter().any(reaches)
    }
}

/// Memory in KiB and rounds, all equally strong (OWASP Password Storage Cheat Sheet,
/// "Argon2id").
const MINIMA: [(u32, u32); 5] = [
    (47_104, 1),
    (19_456, 2),
    (12_288, 3),
    (9_216, 4),
    (7_168, 5),
];

/// The most memory of one verification, in KiB.
const MOST_MEMORY: u32 = 256 * 1024;
const MOST_ROUNDS: u32 = 16;
/// In blocks of 1 KiB: a little more than glibc ever keeps for later.
const HANDED_BACK: usize = 33 * 1024;

impl PasswordHash {
    /// Hashes a password with a new salt (OWASP's first choice of parameters: 19 MiB, 2 rounds,
    /// one destination).
    ///
    /// # Errors
    ///
    /// The machine has no random numbers.
    pub fn of(password: &str) -> Result<Self, argon2::password_hash::Error> {
        Argon2::default()
            .hash_password(password.as_bytes())
            .map(Self)
    }

    /// Whether it is the hash of this password.
    pub fn verify(&self, password: &str) -> bool {
        let hash = &self.0;
        let version = hash
            .version
            .map_or_else(|| Ok(Version::default()), Version::try_from);
        let (Ok(params), Ok(version), Some(salt), Some(expected)) =
            (Params::try_from(hash), version, hash.salt, hash.hash)
        else {
            return false;
        };
        // This size goes back to the system at once (mallopt(3), M_MMAP_THRESHOLD): less would
        // stay with each thread that ever verified a password.
        let blocks = params.block_count();
        let mut memory = Vec::with_capacity(blocks.max(HANDED_BACK));
        memory.resize(blocks, Block::default());
        let mut found = vec![0; expected.len()];
        let argon2 = Argon2::new(Algorithm::Argon2id, version, params);
        let hashed = argon2.hash_password_into_with_memory(
            password.as_bytes(),
            &salt,
            &mut found,
            &mut memory,
        );
        // Compared in constant time.
        hashed.is_ok() && phc::Output::new(&found).is_ok_and(|found| found == expected)
    }

    /// The effort of a verification: hashes with the same effort take the same time.
    pub fn cost(&self) -> Cost {
        let params = Params::try_from(&self.0);
        params.map_or_else(
            |_| Cost::default(),
            |params| Cost {
                memory: params.m_cost(),
                rounds: params.t_cost(),
                destinations: params.p_cost(),
            },
        )
    }
}

impl TryFrom<String> for PasswordHash {
    type Error = PasswordHashError;

    fn try_from(text: String) -> Result<Self, PasswordHashError> {
        let hash = phc::PasswordHash::new(text.trim()).map_err(|_| PasswordHashError::Format)?;
        if hash.algorithm.as_str() != "argon2id" || hash.hash.is_none() || hash.salt.is_none() {
            return Err(PasswordHashError::Format);
        }
        let params = Params::try_from(&hash).map_err(|_| PasswordHashError::Format)?;
        if params.m_cost() > MOST_MEMORY || params.t_cost() > MOST_ROUNDS {
            return Err(PasswordHashError::Cost);
        }
        Ok(Self(hash))
    }
}

/// The hash as it is written in relay.toml.
impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password_and_no_other() {
        let hash = PasswordHash::of("Canary123").unwrap();
        let read: PasswordHash = hash.to_string().try_into().unwrap();

        assert!(read.verify("Canary123"));
        assert!(!read.verify("canary123") && !read.verify(""));
        assert_eq!(format!("{read:?}"), "PasswordHash(..)");
        assert_eq!(read.cost(), hash.cost());
        assert!(!read.cost().is_weak());
    }

    #[test]
    fn parameters_below_the_minimum_are_weak() {
        let salt_and_hash = "c29tZXNhbHRzb21lc2FsdA$mFzbGLkJHdHqXL3Ivbs8WGVhBVvMQc8wtQhfLmxIlh8";
        for (memory, rounds, is_weak) in [
            (64, 1, true),
            (64, 16, true),
            (19_456, 1, true),
            (19_455, 2, true),
            (19_456, 2, false),
            (65_536, 1, false),
            (8_192, 5, false),
        ] {
            let text = format!("$argon2id$v=19$m={memory},t={rounds},p=1${salt_and_hash}");
            let hash = PasswordHash::try_from(text).unwrap();
            assert_eq!(hash.cost().is_weak(), is_weak, "m={memory},t={rounds}");
        }
    }

    #[test]
    fn only_argon2id_hashes_of_bounded_cost_are_accepted() {
        let salt_and_hash = "c29tZXNhbHRzb21lc2FsdA$mFzbGLkJHdHqXL3Ivbs8WGVhBVvMQc8wtQhfLmxIlh8";
        for (text, error) in [
            ("secret".to_owned(), PasswordHashError::Format),
            (String::new(), PasswordHashError::Format),
            (
                format!("$argon2i$v=19$m=64,t=1,p=1${salt_and_hash}"),
                PasswordHashError::Format,
            ),
            (
                "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA".to_owned(),
                PasswordHashError::Format,
            ),
            (
                format!("$argon2id$v=19$m=4000000,t=1,p=1${salt_and_hash}"),
                PasswordHashError::Cost,
            ),
            (
                format!("$argon2id$v=19$m=64,t=1000,p=1${salt_and_hash}"),
                PasswordHashError::Cost,
            ),
        ] {
            assert_eq!(PasswordHash::try_from(text.clone()), Err(error), "{text}");
        }
    }
}
