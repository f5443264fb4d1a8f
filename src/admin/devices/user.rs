//! The `[[user]]` of a device: removing it, and giving it another password.
//!
//! Both take effect at the next command of its sessions, which end then with `421`
//! (`listener/access.rs`).

use super::add::AddedDevice;
use super::add::NotChanged;
use super::add::made_up;
use crate::admin::AdminState;
use crate::admin::Applied;
use crate::config::Authentication;
use crate::config::User;
use crate::config::edit::Change;
use crate::config::edit::Editor;
use crate::config::edit::Table;

impl AdminState {
    /// Returns the user with this name that is in force.
    pub fn user(&self, name: &str) -> Option<User> {
        let mut users = self.configuration.users().into_iter();
        users.find(|user| user.is_called(name))
    }

    /// Returns the change that removes a user. Without it a listener that lets users log in has
    /// nobody to let in, and no longer does.
    ///
    /// # Errors
    ///
    /// There is no such user, or the file cannot be changed like this.
    pub async fn removal(&self, name: &str) -> Result<Change, NotChanged> {
        let (mut editor, user) = self.of_user(name).await?;
        if editor.count("user") == 1 {
            let listeners = &self.configuration.in_force().listeners;
            let is_guarded = |it: &Authentication| *it == Authentication::Required;
            if listeners.iter().any(|it| is_guarded(&it.authentication)) {
                return Err(NotChanged::Last(name.to_owned()));
            }
            for at in 0..editor.count("listener") {
                let listener = Table::Entry("listener", at);
                if editor.text(&listener, "authentication").as_deref() == Some("optional") {
                    editor.remove(&listener, "authentication")?;
                }
            }
        }
        editor.remove_entry(&user)?;
        Ok(editor.finish()?)
    }

    /// Writes the change that removes a user, if it is this version of it. `by` is who does it,
    /// for the log.
    ///
    /// # Errors
    ///
    /// It is another change by now, or the file cannot be changed like this.
    pub async fn remove_user(
        &self,
        name: &str,
        version: &str,
        by: &str,
    ) -> Result<Applied, NotChanged> {
        let change = self.removal(name).await?;
        match change.version() == version {
            true => Ok(self.configuration.apply(change, by).await?),
            false => Err(NotChanged::Stale),
        }
    }

    /// Gives a user another password. `by` is who does it, for the log.
    ///
    /// # Errors
    ///
    /// There is no such user, or the file cannot be changed like this.
    pub async fn new_password(&self, name: &str, by: &str) -> Result<AddedDevice, NotChanged> {
        let (password, hash) = made_up().await?;
        let (mut editor, user) = self.of_user(name).await?;
        editor.set(&user, "password_hash", hash.to_string())?;
        self.carried_out(editor.finish()?, password, by).await
    }

    /// The file, and the place of a user in it.
    async fn of_user(&self, name: &str) -> Result<(Editor, Table), NotChanged> {
        let opened = self.configuration.editor().await;
        let editor = opened.ok_or(NotChanged::NoFile)??;
        let user = editor.find("user", "name", name);
        let user = user.ok_or_else(|| NotChanged::Unknown(name.to_owned()))?;
        Ok((editor, user))
    }
}
