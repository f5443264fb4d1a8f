//! Harmless deviations of clients from the RFCs.

/// A deviation that the relay tolerates. The log names it, so that an administrator knows
/// what a device does before another server refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quirk {
    /// `MAIL FROM:a@b`.
    NoAngleBrackets,
    /// `MAIL FROM: <a@b>`.
    BlankAfterColon,
    /// `MAIL FROM:<root>`.
    NoDomain,
    /// `RCPT TO:<@relay:a@b>` (RFC 5321 appendix C).
    SourceRoute,
    /// `RCPT TO:<a@b >`, `<a @b>`.
    BlankInPath,
    /// `RCPT TO:<<a@b>>`.
    ExtraBrackets,
    /// `MAIL FROM:<Scanner <a@b>>`, `Scanner <a@b>`, `<a@b> (Scanner)`,
    /// `<mailto:a@b>`.
    NameInPath,
    /// `RCPT TO:<a@b>;`, `<a@b,>`.
    SeparatorInPath,
    /// `RCPT TO:<a@b.>`.
    DotBehindDomain,
    /// `MAIL FROM:<a@b>SIZE=10`.
    GluedParameter,
    /// ` NOOP`.
    BlankBeforeCommand,
    /// HELO or EHLO alone.
    HelloWithoutName,
    /// A command that ends with LF alone.
    BareLfCommand,
    /// A command that ends with CR CR LF.
    CrCrLfCommand,
    /// A line feed without a carriage return in the content.
    BareLf,
    /// CR CR LF in the content.
    CrCrLf,
    /// A carriage return without a line feed in the content.
    BareCr,
    /// A NUL in the content.
    Nul,
    /// AUTH after HELO, which has no extensions.
    AuthAfterHelo,
    /// `AUTH LOGIN` with the user name on the same line.
    AuthLoginInitialResponse,
    /// HELO or EHLO with something that is neither a host name nor an address
    /// literal.
    OddHello,
    /// A RET that RFC 3461 does not allow; it is ignored, or understood all the same. The
    /// next three are similar.
    BadRet,
    /// `ENVID=+0D`.
    BadEnvid,
    /// `NOTIFY=NEVER,FAILURE`.
    BadNotify,
    /// `ORCPT=you@example.org`.
    BadOrcpt,
}

impl Quirk {
    /// Its name in the log and in `tests/dialogs/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoAngleBrackets => "no-angle-brackets",
            Self::BlankAfterColon => "blank-after-colon",
            Self::NoDomain => "no-domain",
            Self::SourceRoute => "source-route",
            Self::BlankInPath => "blank-in-path",
            Self::ExtraBrackets => "extra-brackets",
            Self::NameInPath => "name-in-path",
            Self::SeparatorInPath => "separator-in-path",
            Self::DotBehindDomain => "dot-behind-domain",
            Self::GluedParameter => "no-blank-before-parameter",
            Self::BlankBeforeCommand => "blank-before-command",
            Self::HelloWithoutName => "hello-without-name",
            Self::BareLfCommand => "bare-lf-command",
            Self::CrCrLfCommand => "cr-cr-lf-command",
            Self::BareLf => "bare-lf",
            Self::CrCrLf => "cr-cr-lf",
            Self::BareCr => "bare-cr",
            Self::Nul => "nul",
            Self::AuthAfterHelo => "auth-after-helo",
            Self::AuthLoginInitialResponse => "auth-initial-response-login",
            Self::OddHello => "odd-hello",
            Self::BadRet => "bad-ret",
            Self::BadEnvid => "bad-envid",
            Self::BadNotify => "bad-notify",
            Self::BadOrcpt => "bad-orcpt",
        }
    }
}

/// The quirks of one session, each once.
#[derive(Debug, Default)]
pub(super) struct Quirks {
    seen: Vec<Quirk>,
    /// How many of them were reported.
    reported: usize,
}

impl Quirks {
    pub(super) fn note(&mut self, quirk: Quirk) {
        if !self.seen.contains(&quirk) {
            self.seen.push(quirk);
        }
    }

    /// Those recorded since the last call.
    pub(super) fn take(&mut self) -> &[Quirk] {
        let new = self.seen.get(self.reported..).unwrap_or_default();
        self.reported = self.seen.len();
        new
    }
}
