//! The description of the admin socket for programs (`docs/src/reference/openapi.json`) is
//! true: it has every route and no other, and answers of the running relay have the fields
//! and types that it names, and no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::Value;
use serde_json::json;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::message;
use crate::common::recorded;
use crate::common::send_one;
use crate::common::stand_in;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn description() -> Value {
    let path = format!("{ROOT}/docs/src/reference/openapi.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The routes of the admin socket, from its source.
fn routes(folder: &Path) -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            routes.extend(self::routes(&path));
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        for route in text.split(".route(\"").skip(1) {
            let (path, rest) = route.split_once("\", ").unwrap();
            let method = rest.split('(').next().unwrap();
            routes.insert(format!("{method} {path}"));
        }
    }
    routes
}

#[test]
fn every_route_of_the_admin_socket_is_described_and_no_other() {
    let description = description();
    assert_eq!(description["openapi"], "3.1.0");
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    let paths = description["paths"].as_object().unwrap().iter();
    let described: BTreeSet<String> = paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| format!("{method} {path}"))
        })
        .collect();

    let routes = routes(&Path::new(ROOT).join("src/admin"));

    assert!(routes.len() > 20, "{routes:?}");
    assert_eq!(described, routes);
}

/// What of a value a schema does not allow. It knows the words of JSON Schema that the
/// description uses, and no others.
fn wrong(schema: &Value, value: &Value, all: &Value, place: &str) -> Vec<String> {
    const KNOWN: [&str; 9] = [
        "description",
        "type",
        "format",
        "enum",
        "items",
        "properties",
        "required",
        "additionalProperties",
        "oneOf",
    ];
    if let Some(name) = schema["$ref"].as_str() {
        let schema = all.pointer(name.trim_start_matches('#')).unwrap();
        return wrong(schema, value, all, place);
    }
    for word in schema.as_object().unwrap().keys() {
        assert!(KNOWN.contains(&word.as_str()), "{place}: {word}");
    }
    let mut found = Vec::new();
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = |it: &&Value| wrong(it, value, all, place).is_empty();
        if choices.iter().filter(fits).count() != 1 {
            found.push(format!("{place}: not one of the choices: {value}"));
        }
        return found;
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().map(|it| it.as_str().unwrap()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            panic!("{place} has no type")
        }
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.contains(&kind) {
        found.push(format!("{place}: {kind} instead of {types:?}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        found.push(format!("{place}: {value} is not one of {words:?}"));
    }
    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(wrong(&schema["items"], item, all, &format!("{place}/{at}")));
    }
    if let Some(fields) = value.as_object() {
        found.extend(wrong_fields(schema, fields, all, place));
    }
    found
}

fn wrong_fields(
    schema: &Value,
    fields: &serde_json::Map<String, Value>,
    all: &Value,
    place: &str,
) -> Vec<String> {
    let mut found = Vec::new();
    for name in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(name.as_str().unwrap()) {
            found.push(format!("{place}: {name} is missing"));
        }
    }
    for (name, value) in fields {
        let place = format!("{place}/{name}");
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, schema @ Value::Object(_)) | (schema @ Value::Object(_), _) => {
                found.extend(wrong(schema, value, all, &place));
            }
            _ => found.push(format!("{place} is not described")),
        }
    }
    found
}

#[expect(clippy::too_many_lines, reason = "one line for each request")]
#[tokio::test(flavor = "multi_thread")]
async fn requests_and_answers_of_the_admin_socket_are_as_described() {
    let description = description();
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .sections("[admin]\naddress = \"127.0.0.1:0\"")
        .build();
    let relay = Relay::start(&home);
    let id = send_one(&relay, &["a@example.org"], &message("a", "a@example.org"));
    recorded(&relay, &home, "delivered", |line| line["id"] == *id);
    relay.connect().say("GET / HTTP/1.1");
    relay.event("session", |_| true);
    let client = reqwest::Client::builder().unix_socket(home.path("data/admin.sock"));
    let client = client.build().unwrap();

    let order = json!({"action": "hold", "which": {"ids": [id.to_string()]}});
    let matching = json!({"filter": "state=failed", "accepted_by": 1, "after": null});
    let matching = json!({"action": "retry", "which": {"matching": matching}});
    let paused = json!({"mailbox": MAILBOX, "reason": "a test"});
    let resent = json!({"id": id.to_string(), "to": [MAILBOX], "confirmed": true});
    let to = json!({"to": MAILBOX, "from": null});
    let link = json!({"role": "viewer"});
    let mut compared = BTreeSet::new();
    for (method, route, path, body) in [
        ("post", "/pauses", "/pauses", Some(paused.clone())),
        ("post", "/pauses", "/pauses", Some(paused)),
        ("get", "/pauses", "/pauses", None),
        ("get", "/status", "/status", None),
        ("get", "/accounts", "/accounts", None),
        ("get", "/devices", "/devices", None),
        ("get", "/queue", "/queue?filter=state%3Ddelivered", None),
        ("get", "/queue/{id}", &format!("/queue/{id}"), None),
        (
            "get",
            "/queue/{id}",
            "/queue/01M8QX9M718C8Z8HZQF1FYFFTF",
            None,
        ),
        ("get", "/queue/totals", "/queue/totals", None),
        ("get", "/queue/count", "/queue/count?action=hold", None),
        ("post", "/queue/actions", "/queue/actions", Some(order)),
        ("post", "/queue/actions", "/queue/actions", Some(matching)),
        ("post", "/queue/resends", "/queue/resends", Some(resent)),
        ("get", "/history", "/history", None),
        ("get", "/sessions", "/sessions", None),
        ("get", "/sessions/{number}", "/sessions/1", None),
        ("post", "/spool/check", "/spool/check", None),
        ("post", "/alerts/test", "/alerts/test", None),
        ("post", "/test-messages", "/test-messages", Some(to)),
        ("post", "/page-links", "/page-links", Some(link)),
        ("get", "/changes/{id}", "/changes/unknown", None),
        ("post", "/changes/{id}", "/changes/unknown", None),
        (
            "post",
            "/configuration/reload",
            "/configuration/reload",
            None,
        ),
        (
            "post",
            "/pauses/end",
            "/pauses/end",
            Some(json!({"mailbox": null})),
        ),
    ] {
        let operation = &description["paths"][route][method];
        let by = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let mut request = client.request(by, format!("http://relay{path}"));
        if let Some(body) = body {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let wrong = wrong(schema, &body, &description, route);
            assert!(wrong.is_empty(), "the request: {wrong:#?}");
            let body = body.to_string();
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let json = "content/application~1json/schema";
        let place = match status.is_success() {
            true => format!("/responses/200/{json}"),
            false => "/responses/default".to_owned(),
        };
        let schema = operation.pointer(&place).unwrap();
        let schema = match status.is_success() {
            true => schema,
            false => {
                let error = schema["$ref"].as_str().unwrap().trim_start_matches('#');
                description.pointer(&format!("{error}/{json}")).unwrap()
            }
        };
        let wrong = wrong(schema, &answer, &description, route);
        assert!(wrong.is_empty(), "{method} {path}: {wrong:#?}\n{answer:#}");
        compared.insert((method, route, status.is_success()));
    }
    let answered = compared.iter().filter(|(_, _, is_success)| *is_success);
    assert!(answered.count() >= 19, "{compared:?}");
}
