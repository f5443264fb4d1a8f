//! `GET /v1.0/users`, as far as it says which user has a proxy address: with a filter on
//! `proxyAddresses` and the role `User.Read.All`. (Graph pages "List users", "Advanced query
//! capabilities on Microsoft Entra ID objects".)

use std::sync::Arc;

use axum::body::Body;
use axum::body::Bytes;
use axum::http::Response;
use axum::http::StatusCode;
use serde_json::json;

use crate::entra::parameters::Parameters;
use crate::graph::call::authorize;
use crate::graph::errors::Refusal;
use crate::server::call::Call;

/// Answers with the users that have the address of the filter.
pub(crate) async fn list(call: Call) -> Response<Body> {
    let response = match find(&call) {
        Ok(response) => response,
        Err(refusal) => refusal.answer(&call.exchange),
    };
    response.map(Body::from)
}

fn find(call: &Call) -> Result<Response<Bytes>, Refusal> {
    let shared = Arc::clone(&call.shared);
    let grant = authorize(&shared, &call.headers)?;
    if !grant.has_role(ROLE) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        ));
    }
    let query = Parameters::of_query(&call.uri);
    let filter = query.given("$filter").unwrap_or_default();
    let Some(addresses) = addresses(filter) else {
        return Err(Refusal::bad(
            "Request_UnsupportedQuery",
            "Unsupported or invalid query filter clause.",
        ));
    };
    let level = call.headers.get("consistencylevel");
    if query.given("$count").is_some() && level.is_none_or(|level| level != "eventual") {
        return Err(Refusal::bad(
            "Request_BadRequest",
            "$count is not currently supported without ConsistencyLevel: eventual.",
        ));
    }
    let settings = &shared.settings;
    let users = shared.users.all().iter().filter(|user| {
        let primary = format!("SMTP:{}", user.upn);
        let proxies = settings.proxy_addresses.iter();
        let proxies = proxies.filter(|(_, upn)| upn.eq_ignore_ascii_case(&user.upn));
        let mut proxies = proxies.map(|(address, _)| format!("smtp:{address}"));
        let has = |proxy: &str| addresses.iter().any(|it| it.eq_ignore_ascii_case(proxy));
        has(&primary) || proxies.any(|proxy| has(&proxy))
    });
    let users: Vec<_> = users
        .map(|user| json!({ "userPrincipalName": user.upn }))
        .collect();
    let page = json!({
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users(userPrincipalName)",
        "@odata.count": users.len(),
        "value": users,
    });
    Ok(call.resource(StatusCode::OK, &page))
}

const ROLE: &str = "User.Read.All";

/// The addresses of `proxyAddresses/any(p:p eq '...' or p eq '...')`.
fn addresses(filter: &str) -> Option<Vec<String>> {
    let inside = filter
        .strip_prefix("proxyAddresses/any(")?
        .strip_suffix(')')?;
    let (name, condition) = inside.split_once(':')?;
    let terms = condition.split(" or ").map(|term| {
        let value = term.strip_prefix(name)?.strip_prefix(" eq '")?;
        Some(value.strip_suffix('\'')?.replace("''", "'"))
    });
    terms.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_on_proxy_addresses_is_read_and_no_other() {
        assert_eq!(
            addresses("proxyAddresses/any(p:p eq 'smtp:o''brien@b.c' or p eq 'SMTP:a@b.c')")
                .unwrap(),
            ["smtp:o'brien@b.c", "SMTP:a@b.c"]
        );
        for other in [
            "",
            "mail eq 'a@b.c'",
            "proxyAddresses/any(p:q eq 'smtp:a@b.c')",
        ] {
            assert!(addresses(other).is_none(), "{other}");
        }
    }
}
