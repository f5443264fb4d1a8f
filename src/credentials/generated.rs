//! Passwords that the relay makes up for devices.
//!
//! Somebody types them on a panel: they have letters and digits only, none of which is
//! mistaken for another, and as many as every device takes.

use ring::error::Unspecified;
use ring::rand::SecureRandom;
use ring::rand::SystemRandom;
use secrecy::SecretString;

/// Letters and digits without those that look like others: 0 O o, 1 I l, 2 Z, 5 S, 8 B.
const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzACDEFGHJKLMNPQRTUVWXY34679";
/// Together 101 bits.
const LENGTH: usize = 18;

/// Makes up a password that nobody guesses.
///
/// # Errors
///
/// The machine has no random numbers.
pub fn password() -> Result<SecretString, Unspecified> {
    let random = SystemRandom::new();
    let mut password = String::new();
    while password.len() < LENGTH {
        let mut bytes = [0; 32];
        random.fill(&mut bytes)?;
        // A byte beyond the last multiple would make some letters likelier than others.
        let even = 256 - 256 % LETTERS.len();
        let bytes = bytes.iter().map(|byte| usize::from(*byte));
        let letters = bytes.filter(|byte| *byte < even);
        let letters = letters.filter_map(|byte| LETTERS.get(byte % LETTERS.len()));
        let missing = LENGTH - password.len();
        password.extend(letters.take(missing).map(|letter| char::from(*letter)));
    }
    Ok(password.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn passwords_differ_and_have_no_letter_that_looks_like_another() {
        let passwords: Vec<_> = (0..200).map(|_| password().unwrap()).collect();
        let texts: BTreeSet<&str> = passwords.iter().map(|it| it.expose_secret()).collect();

        assert_eq!(texts.len(), 200);
        let all: String = texts.iter().copied().collect();
        assert_eq!(all.len(), 200 * LENGTH);
        let letters: BTreeSet<char> = all.chars().collect();
        assert_eq!(letters.len(), LETTERS.len());
        assert!(
            letters
                .iter()
                .all(|letter| !"0Oo1Il2Z5S8B".contains(*letter))
        );
    }
}
