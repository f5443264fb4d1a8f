//! The users of SMTP2Graph (`receive.users`), who become `[[user]]`: only the hashes of their
//! passwords are kept.

use std::collections::BTreeSet;

use super::Reading;
use crate::credentials::PasswordHash;
use crate::import::draft::Section;

impl Reading<'_> {
    pub(super) fn users(&mut self) {
        for at in self.users_at() {
            let of = |key: &str| format!("receive.users.{at}.{key}");
            let Some(name) = self.one(&of("username")) else {
                let words = "the user has no name: add a [[user]] with a name if somebody needs it";
                self.ask(&of("username"), words);
                for key in ["password", "allowedFrom"] {
                    self.change(&of(key), "it is not taken over: the user has no name");
                }
                continue;
            };
            let password = self.one(&of("password"));
            let mut user = Section::new("[[user]]");
            user.set("name", &name);
            match password.map(|it| PasswordHash::of(&it)) {
                Some(Ok(hash)) => _ = user.set("password_hash", &hash.to_string()),
                Some(Err(_)) | None => {
                    user.missing("password_hash = \"...\"");
                    let words = "the user has no password: graph-relay hash-password makes a hash";
                    self.ask(&of("password"), words);
                }
            }
            let allowed = of("allowedFrom");
            if self.many(&allowed).is_empty() && !self.is_map(&allowed) {
                user.list("senders", &["*"]);
            }
            self.allowed(&allowed, "senders", &mut user, "senders of [[user]]");
            self.found.draft.add(user);
            self.take(&of("username"), "name of [[user]]");
            self.change(
                &of("password"),
                "password_hash of [[user]]: only its hash is kept",
            );
        }
    }

    /// The places of the users in their list.
    pub(super) fn users_at(&self) -> BTreeSet<usize> {
        let names = self.values.keys();
        let places = names.filter_map(|it| it.strip_prefix("receive.users."));
        let places = places.filter_map(|it| it.split('.').next()?.parse().ok());
        places.collect()
    }
}
