//! The parameters of a request to Entra: of a form or of a query, each at most once.

use std::collections::HashSet;

use axum::extract::Form;
use axum::extract::Query;
use axum::extract::rejection::FormRejection;
use axum::http::Uri;

use crate::entra::oauth_error::OAuthError;

pub(crate) type Pairs = Vec<(String, String)>;

#[derive(Debug)]
pub(crate) struct Parameters(Pairs);

impl Parameters {
    /// A body of another media type is not read: Entra then misses its first parameter.
    pub(crate) fn of_form(form: Result<Form<Pairs>, FormRejection>) -> Self {
        Self(form.map_or_else(|_| Vec::new(), |Form(pairs)| pairs))
    }

    pub(crate) fn of_query(uri: &Uri) -> Self {
        let query = Query::<Pairs>::try_from_uri(uri);
        Self(query.map_or_else(|_| Vec::new(), |Query(pairs)| pairs))
    }

    /// RFC 6749 3.2: no parameter more than once.
    pub(crate) fn check_repeats(&self) -> Result<(), OAuthError> {
        let mut seen = HashSet::new();
        for (name, _) in &self.0 {
            if !seen.insert(name) {
                let text = format!(
                    "The request is not properly formatted. The parameter '{name}' is duplicated."
                );
                return Err(OAuthError::invalid_request(9_000_411, text));
            }
        }
        Ok(())
    }

    pub(crate) fn needed(&self, name: &str) -> Result<&str, OAuthError> {
        self.given(name).ok_or_else(|| OAuthError::missing(name))
    }

    /// RFC 6749 3.2: one without a value counts as left out.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        let found = pairs.find(|(given, value)| given == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }
}
