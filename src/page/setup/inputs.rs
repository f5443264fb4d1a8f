//! The input fields of the form: each says what belongs there, what is wrong with it, and
//! whether an environment variable decides instead.

use askama::Template;
use askama::filters::HtmlSafe;

use super::Setup;
use super::form::Field;

/// An input field with its label, error and help.
#[derive(Debug, Template)]
#[template(path = "setup_input.html")]
pub(super) struct Input<'a> {
    name: &'static str,
    label: &'static str,
    value: &'a str,
    /// The type of the element.
    kind: &'static str,
    is_required: bool,
    placeholder: &'static str,
    error: Option<&'a str>,
    /// Whether it is the first with an error.
    is_first: bool,
    /// That an environment variable sets it.
    set_by: Option<String>,
    help: Vec<String>,
}

impl HtmlSafe for Input<'_> {}

impl Setup {
    fn input<'a>(&'a self, field: Field, value: &'a str, help: &str) -> Input<'a> {
        Input {
            name: field.name(),
            label: self.label(field),
            value,
            kind: "text",
            is_required: false,
            placeholder: "",
            error: self.error(field),
            is_first: self.trouble.first() == Some(field),
            set_by: self.set_by(field.name()),
            help: vec![help.to_owned()],
        }
    }

    fn required<'a>(&'a self, field: Field, value: &'a str, help: &str) -> Input<'a> {
        Input {
            is_required: true,
            ..self.input(field, value, help)
        }
    }

    pub(super) fn tenant(&self) -> Input<'_> {
        let help = self.layout.texts.setup.tenant_help;
        self.of_app(Field::Tenant, &self.fields.tenant, help)
    }

    pub(super) fn client_id(&self) -> Input<'_> {
        let help = self.layout.texts.setup.client_id_help;
        self.of_app(Field::ClientId, &self.fields.client_id, help)
    }

    /// What an app has. A managed identity leaves it empty.
    fn of_app<'a>(&'a self, field: Field, value: &'a str, help: &str) -> Input<'a> {
        Input {
            is_required: !self.fields.has_managed_identity,
            ..self.input(field, value, help)
        }
    }

    /// The secret, which is never shown.
    pub(super) fn secret(&self) -> Input<'_> {
        let (texts, fields) = (&self.layout.texts.setup, &self.fields);
        let other = fields.other_credential;
        let other = other.map(|other| format!("{} {other}.", texts.other_credential));
        let stored = fields.stored.as_deref().map(texts.secret_stored);
        let help = other.into_iter().chain(stored);
        Input {
            kind: "password",
            placeholder: match (fields.kept.is_empty(), fields.has_credential) {
                (false, _) => texts.secret_held,
                (true, true) => texts.secret_saved,
                (true, false) => "",
            },
            help: help.chain([texts.secret_help.to_owned()]).collect(),
            ..self.input(Field::Secret, "", "")
        }
    }

    pub(super) fn expires(&self) -> Input<'_> {
        let help = self.layout.texts.setup.expires_help;
        Input {
            kind: "date",
            ..self.input(Field::Expires, &self.fields.expires, help)
        }
    }

    pub(super) fn mailbox(&self) -> Input<'_> {
        let help = self.layout.texts.setup.mailbox_help;
        self.required(Field::Mailbox, &self.fields.mailbox, help)
    }

    pub(super) fn login_url(&self) -> Input<'_> {
        let help = self.layout.texts.setup.urls_help;
        self.input(Field::LoginUrl, &self.fields.login_url, help)
    }

    pub(super) fn graph_url(&self) -> Input<'_> {
        let help = self.layout.texts.setup.urls_help;
        self.input(Field::GraphUrl, &self.fields.graph_url, help)
    }

    /// What stands at a field that an environment variable sets.
    pub(super) fn set_by(&self, key: &str) -> Option<String> {
        let variable = self.fields.variable(key)?;
        Some((self.layout.texts.setup.set_by)(variable))
    }
}
