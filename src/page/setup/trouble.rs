//! Why a form is not saved: the cause first, and at its field.

use super::Setup;
use super::form::Field;
use super::mistake::Mistake;
use crate::admin::attention::Finding;
use crate::admin::attention::FindingState;
use crate::admin::capital;
use crate::config::Place;
use crate::config::edit::EditError;
use crate::page::texts::Language;

/// Everything that is wrong with a form.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// What nobody had to be asked for.
    typed: Vec<Mistake>,
    /// What the relay says about the file, in English, and about which field.
    pub(super) problems: Vec<(Option<Field>, String)>,
    /// What Microsoft refuses.
    pub(super) refusals: Vec<Finding>,
    /// What does not keep anybody from saving.
    pub(super) hints: Vec<Finding>,
}

impl Trouble {
    /// Errors in fields.
    pub(super) fn of_mistakes(typed: Vec<Mistake>) -> Self {
        Self {
            typed,
            ..Self::default()
        }
    }

    /// The same, with an error in a field in addition, if there is one.
    pub(super) fn with(mut self, mistake: Option<Mistake>) -> Self {
        self.typed.extend(mistake);
        self
    }

    /// The file cannot be read, written, or used.
    pub(super) fn of(error: &EditError) -> Self {
        let problems = match error {
            EditError::Refused(error) => {
                let problems = error.problems.iter().map(|problem| match &problem.place {
                    Some(Place::Key(key)) => (Field::of_key(key), capital(&problem.message)),
                    Some(Place::File(..) | Place::Variable(_)) | None => {
                        (None, problem.in_file(&error.file))
                    }
                });
                problems.collect()
            }
            EditError::Read { .. }
            | EditError::Changed(_)
            | EditError::Busy(_)
            | EditError::Form(_)
            | EditError::Interrupted
            | EditError::Write { .. } => vec![(None, capital(&error.to_string()))],
        };
        Self {
            problems,
            ..Self::default()
        }
    }

    /// Microsoft refuses.
    pub(super) fn of_findings(findings: &[Finding]) -> Self {
        let of = |state: FindingState| -> Vec<Finding> {
            let all = findings.iter().filter(|it| it.state == state);
            all.cloned().collect()
        };
        Self {
            refusals: of(FindingState::Failure),
            hints: of(FindingState::Warning),
            ..Self::default()
        }
    }

    /// The field that a refusal is about.
    pub(super) fn field(&self, finding: &Finding) -> Option<Field> {
        finding.key.and_then(Field::of_key)
    }

    /// The fields concerned, in the order of the notice.
    fn fields(&self) -> impl Iterator<Item = Field> {
        let typed = self.typed.iter().map(|mistake| mistake.field());
        let problems = self.problems.iter().filter_map(|(field, _)| *field);
        let refusals = self.refusals.iter().filter_map(|it| self.field(it));
        typed.chain(problems).chain(refusals)
    }

    /// The field that gets the focus.
    pub(super) fn first(&self) -> Option<Field> {
        self.fields().find(|field| *field != Field::File)
    }

    /// Whether the value of a field is not accepted.
    pub(super) fn is_at(&self, field: Field) -> bool {
        self.fields().any(|it| it == field)
    }

    /// Whether a value has the wrong form.
    pub(super) fn is_typed_wrong(&self, field: Field) -> bool {
        self.typed.iter().any(|mistake| mistake.field() == field)
    }

    /// Everything in one line, for the audit list, which is in English for everybody.
    pub(super) fn reasons(&self) -> String {
        let texts = &Language::English.texts().setup;
        let typed = self.typed.iter().map(|mistake| mistake.words(texts));
        let problems = self.problems.iter().map(|(_, words)| words.as_str());
        let refusals = self.refusals.iter().map(|it| it.words.as_str());
        let all: Vec<&str> = typed.chain(problems).chain(refusals).collect();
        all.join("; ")
    }

    fn is_empty(&self) -> bool {
        self.typed.is_empty() && self.problems.is_empty() && self.refusals.is_empty()
    }
}

impl Setup {
    /// Whether nothing was saved.
    pub(super) fn has_trouble(&self) -> bool {
        !self.trouble.is_empty()
    }

    /// Errors in fields, with the labels of those.
    pub(super) fn typed(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        let texts = &self.layout.texts.setup;
        let typed = self.trouble.typed.iter();
        typed.map(move |mistake| {
            let field = mistake.field();
            (field.name(), self.label(field), mistake.words(texts))
        })
    }

    /// What is wrong: the meaning of Microsoft's code, or else the words.
    pub(super) fn cause(&self, finding: &Finding) -> String {
        let cause = finding.cause.map(str::to_owned);
        cause.unwrap_or_else(|| capital(&finding.words))
    }

    /// What stands at the addresses.
    pub(super) fn networks_error(&self) -> Option<&str> {
        self.error(Field::Networks)
    }

    /// Whether the addresses get the focus.
    pub(super) fn is_networks_first(&self) -> bool {
        self.trouble.first() == Some(Field::Networks)
    }

    /// The name and label of the field that a refusal is about.
    pub(super) fn link(&self, finding: &Finding) -> Option<(&'static str, &'static str)> {
        let field = self.trouble.field(finding)?;
        Some((field.name(), self.label(field)))
    }

    /// What stands at a field.
    pub(super) fn error(&self, field: Field) -> Option<&str> {
        let trouble = &self.trouble;
        let texts = &self.layout.texts.setup;
        let typed = trouble.typed.iter().find(|it| it.field() == field);
        let problem = || trouble.problems.iter().find(|(it, _)| *it == Some(field));
        let refused = || trouble.is_at(field).then_some(texts.refused_here);
        typed
            .map(|mistake| mistake.words(texts))
            .or_else(|| problem().map(|(_, words)| words.as_str()))
            .or_else(refused)
    }

    /// The label of a field.
    pub(super) fn label(&self, field: Field) -> &'static str {
        let texts = &self.layout.texts.setup;
        match field {
            Field::Tenant => texts.tenant,
            Field::ClientId => texts.client_id,
            Field::Secret => texts.secret,
            Field::Expires => texts.expires,
            Field::Mailbox => texts.mailbox,
            Field::LoginUrl => texts.login_url,
            Field::GraphUrl => texts.graph_url,
            Field::Networks => texts.addresses,
            Field::File => "relay.toml",
        }
    }
}
