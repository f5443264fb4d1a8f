//! The words of the audit list for what somebody did. The file and the log keep them, so they
//! stay as they are once released; the admin page shows them in its own language.

/// Declares the actions, each with its word.
macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What somebody did, or wanted to do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum AuditAction {
            $($(#[$doc])* $name,)*
        }

        impl AuditAction {
            /// Returns its word in the list and in the log.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// Returns the action of a word. Lists of other versions may have others.
            pub fn of_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

actions! {
    /// To log in to the admin page.
    LogIn = "log in",
    /// To log out there.
    LogOut = "log out",
    /// To make a link that logs in there.
    MakePageLink = "make log-in link",
    /// To change the set-up.
    SetUp = "change set-up",
    /// To write a change that was prepared on the admin page.
    Apply = "apply change",
    /// To put relay.toml into force.
    Reload = "reload configuration",
    /// To restart the relay.
    Restart = "restart",
    /// To add a device.
    AddDevice = "add device",
    /// To allow a device what it was refused.
    AllowDevice = "allow device",
    /// To remove a device.
    RemoveDevice = "remove device",
    /// To take a device off the list of devices.
    ForgetDevice = "forget device",
    /// To give a device a new password.
    NewDevicePassword = "new device password",
    /// To send a test message.
    SendTest = "send test message",
    /// To send test alerts.
    TestAlerts = "test alerts",
    /// To let the relay examine itself.
    Examine = "doctor",
    /// To connect a mailbox: its user signs in.
    ConnectMailbox = "connect mailbox",
    /// To make a link by which the user of a mailbox connects it.
    MakeMailboxLink = "make link to connect",
    /// To use such a link.
    UseMailboxLink = "use link to connect",
    /// To forget the sign-in of a mailbox.
    ForgetSignIn = "forget sign-in",
    /// To change messages, before it is clear how.
    ChangeMessages = "change messages",
    /// To try messages again now.
    Retry = "retry",
    /// To hold messages.
    Hold = "hold",
    /// To release messages.
    Release = "release",
    /// To drop messages.
    Drop = "drop",
    /// To send a message again.
    Resend = "resend",
    /// To pause delivery.
    Pause = "pause",
    /// To resume it.
    Resume = "resume",
}

impl From<crate::spool::Action> for AuditAction {
    fn from(action: crate::spool::Action) -> Self {
        use crate::spool::Action;
        match action {
            Action::Retry => Self::Retry,
            Action::Hold => Self::Hold,
            Action::Release => Self::Release,
            Action::Drop => Self::Drop,
        }
    }
}
