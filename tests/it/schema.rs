//! `relay.schema.json`, with which editors check and complete relay.toml. It is made here: of the
//! keys of `src/config/all_keys.toml`, which a test holds equal to those of the reader, of the
//! comments and defaults of `relay.toml`, and of the words that the reader accepts. After a change,
//! `INSTA_UPDATE=always cargo test --test it schema::` writes it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use graph_relay::config::Config;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use toml::Table;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const FILE: &str = "relay.schema.json";
/// Types that no example shows: `managed_identity` may be a client ID.
const MORE_TYPES: [(&str, &str, &str); 1] = [("account", "managed_identity", "string")];
/// Its keys are names that people choose.
const FREE_KEYS: &str = "aliases";

/// What relay.toml says of a key.
#[derive(Default)]
struct Manual {
    words: String,
    values: Vec<toml::Value>,
    default: Option<toml::Value>,
}

/// Of each key, by its section as `account.rate_limits`.
fn manual() -> BTreeMap<(String, String), Manual> {
    let text = fs::read_to_string(format!("{ROOT}/relay.toml")).unwrap();
    let (mut found, mut section) = (BTreeMap::<_, Manual>::new(), String::new());
    let (mut words, mut is_done) = (String::new(), false);
    for line in text.lines() {
        let is_default = line.starts_with('#') && !line.starts_with("# ");
        let line = line.trim_start_matches(['#', ' ']);
        let table: Option<Table> = toml::from_str(line).ok().filter(|_| !line.is_empty());
        match table {
            Some(_) if line.starts_with('[') => {
                section = line.trim_matches(['[', ']']).to_owned();
                words.clear();
            }
            Some(table) => {
                let (key, value) = table.into_iter().next().unwrap();
                let known = found.entry((section.clone(), key)).or_default();
                if known.words.is_empty() {
                    known.words = words.trim().to_owned();
                }
                if is_default && known.default.is_none() {
                    known.default = Some(value.clone());
                }
                known.values.push(value);
                is_done = true;
            }
            None => {
                if is_done || line.is_empty() || line.starts_with("--- ") {
                    words.clear();
                    is_done = false;
                }
                words.push_str(line);
                words.push(' ');
            }
        }
    }
    found
}

/// The keys of a section with their values, and the sections in it.
fn add(found: &mut BTreeMap<(String, String), Vec<toml::Value>>, section: &str, table: &Table) {
    for (key, value) in table {
        let inner = match section {
            "" => key.clone(),
            section => format!("{section}.{key}"),
        };
        let tables = value
            .as_array()
            .filter(|items| items.iter().all(toml::Value::is_table));
        match (value, tables) {
            (toml::Value::Table(table), _) => add(found, &inner, table),
            (_, Some(tables)) => {
                for item in tables {
                    add(found, &inner, item.as_table().unwrap());
                }
            }
            _ => found
                .entry((section.to_owned(), key.clone()))
                .or_default()
                .push(value.clone()),
        }
    }
}

fn keys() -> BTreeMap<(String, String), Vec<toml::Value>> {
    let text = fs::read_to_string(format!("{ROOT}/src/config/all_keys.toml")).unwrap();
    let mut found = BTreeMap::new();
    add(&mut found, "", &text.parse().unwrap());
    found
}

/// The sections that may repeat.
fn lists() -> BTreeSet<String> {
    let text = fs::read_to_string(format!("{ROOT}/src/config/all_keys.toml")).unwrap();
    let lists = text
        .lines()
        .filter_map(|line| line.strip_prefix("[[")?.strip_suffix("]]"));
    lists.map(str::to_owned).collect()
}

fn kind(value: &toml::Value) -> &'static str {
    match value {
        toml::Value::Integer(_) => "integer",
        toml::Value::Boolean(_) => "boolean",
        toml::Value::Array(_) => "array",
        toml::Value::Float(_) | toml::Value::Table(_) => panic!("{value}"),
        toml::Value::String(_) | toml::Value::Datetime(_) => "string",
    }
}

/// The words that the reader accepts for a key, if it accepts only some.
fn words(section: &str, key: &str, is_list: bool) -> Vec<String> {
    let value = if is_list {
        "[\"no-such-word\"]"
    } else {
        "\"no-such-word\""
    };
    let head = match section {
        "" => String::new(),
        section if lists().contains(section) => format!("[[{section}]]\n"),
        section => format!("[{section}]\n"),
    };
    let error = Config::parse(&format!("{head}{key} = {value}\n"), Path::new("relay.toml"));
    let error = error.unwrap_err().to_string();
    let line = error
        .lines()
        .find(|line| line.contains("no-such-word") && line.contains("expected"));
    let Some((_, expected)) = line.and_then(|line| line.split_once("expected ")) else {
        return Vec::new();
    };
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn json_of(value: &toml::Value) -> Value {
    serde_json::to_value(value).unwrap()
}

fn property((section, key): &(String, String), values: &[toml::Value], manual: &Manual) -> Value {
    let values = values.iter().chain(&manual.values).chain(&manual.default);
    let mut kinds: BTreeSet<&str> = values.map(kind).collect();
    let more = MORE_TYPES
        .iter()
        .filter(|(of, name, _)| of == section && name == key);
    kinds.extend(more.map(|(.., kind)| *kind));
    let words = words(section, key, kinds.contains("array"));
    let mut property = Map::new();
    property.insert("description".to_owned(), json!(manual.words));
    let kinds: Vec<&str> = kinds.into_iter().collect();
    let is_list = kinds == ["array"];
    property.insert(
        "type".to_owned(),
        match kinds.as_slice() {
            [one] => json!(one),
            several => json!(several),
        },
    );
    if is_list {
        let mut items = json!({"type": "string"});
        if !words.is_empty() {
            items["enum"] = json!(words);
        }
        property.insert("items".to_owned(), items);
    } else if !words.is_empty() {
        property.insert("enum".to_owned(), json!(words));
    }
    if let Some(default) = &manual.default {
        property.insert("default".to_owned(), json_of(default));
    }
    Value::Object(property)
}

fn object(properties: Map<String, Value>) -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

/// The sections and keys below a section.
fn section(name: &str, manual: &BTreeMap<(String, String), Manual>) -> Value {
    if name == FREE_KEYS {
        return json!({
            "type": "object",
            "additionalProperties": {"type": ["array", "string"], "items": {"type": "string"}},
        });
    }
    let keys = keys();
    let mut properties = Map::new();
    let of_section = keys.iter().filter(|((section, _), _)| section == name);
    for (key, values) in of_section {
        let said = manual
            .get(key)
            .unwrap_or_else(|| panic!("relay.toml does not explain {key:?}"));
        properties.insert(key.1.clone(), property(key, values, said));
    }
    let below: BTreeSet<&str> = keys
        .keys()
        .filter_map(|(section, _)| {
            let rest = match name {
                "" => section.as_str(),
                name => section.strip_prefix(name)?.strip_prefix('.')?,
            };
            rest.split('.').next().filter(|it| !it.is_empty())
        })
        .collect();
    for inner in below {
        let full = format!("{name}.{inner}").trim_start_matches('.').to_owned();
        let schema = section(&full, manual);
        let schema = match lists().contains(&full) {
            true => json!({"type": "array", "items": schema}),
            false => schema,
        };
        properties.insert(inner.to_owned(), schema);
    }
    object(properties)
}

fn schema() -> Value {
    let mut schema = section("", &manual());
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("relay.toml, the configuration of graph-relay");
    schema
}

/// Whether a value is as the schema says, for the keywords that it uses.
fn fits(value: &Value, schema: &Value) -> Result<(), String> {
    let kind = match value {
        Value::Null | Value::Number(_) => "integer",
        Value::Bool(_) => "boolean",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = schema["type"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![schema["type"].clone()]);
    if !kinds.iter().any(|it| it == kind) {
        return Err(format!("{value} is no {kinds:?}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Err(format!("{value} is none of {words:?}"));
    }
    for item in value.as_array().into_iter().flatten() {
        fits(item, &schema["items"])?;
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        let known = schema["properties"].get(key);
        let other = Some(&schema["additionalProperties"]).filter(|it| it.is_object());
        let known = known.or(other).ok_or_else(|| format!("{key} is unknown"))?;
        fits(value, known).map_err(|error| format!("{key}: {error}"))?;
    }
    Ok(())
}

/// TOML as JSON, in which a date is a text.
fn json_of_toml(text: &str) -> Value {
    fn plain(value: &mut toml::Value) {
        match value {
            toml::Value::Datetime(date) => *value = toml::Value::String(date.to_string()),
            toml::Value::Array(items) => items.iter_mut().for_each(plain),
            toml::Value::Table(table) => table.iter_mut().for_each(|(_, value)| plain(value)),
            toml::Value::String(_)
            | toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_) => {}
        }
    }
    let mut value = toml::Value::Table(text.parse().unwrap());
    plain(&mut value);
    json_of(&value)
}

#[test]
fn the_schema_has_every_key_of_the_reader_with_its_description_and_default() {
    let path = format!("{ROOT}/{FILE}");
    let made = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::env::var("INSTA_UPDATE").is_ok_and(|it| it == "always") {
        fs::write(&path, &made).unwrap();
    }

    let file = fs::read_to_string(&path).unwrap_or_default();

    assert!(
        file == made,
        "{FILE} is out of date: INSTA_UPDATE=always cargo test --test it schema:: writes it"
    );
    assert!(keys().len() > 90, "{}", keys().len());
    let schema = schema();
    let listener = &schema["properties"]["listener"]["items"]["properties"];
    let tls = json!(["off", "starttls", "starttls-required", "implicit", "auto"]);
    assert_eq!(listener["tls"]["enum"], tls);
    assert_eq!(listener["tls"]["default"], "off");
    let limits = &schema["properties"]["limits"]["properties"];
    assert_eq!(
        limits["messages_per_minute_per_client"]["type"],
        json!(["integer", "string"])
    );
    assert!(
        limits["message_size"]["description"]
            .as_str()
            .unwrap()
            .starts_with("The largest message.")
    );
}

#[test]
fn files_that_the_relay_accepts_are_as_the_schema_says_and_wrong_ones_are_not() {
    let schema = schema();
    for file in [
        "relay.toml",
        "packages/relay.toml",
        "src/config/all_keys.toml",
    ] {
        let text = fs::read_to_string(format!("{ROOT}/{file}")).unwrap();
        assert_eq!(fits(&json_of_toml(&text), &schema), Ok(()), "{file}");
    }
    for (wrong, words) in [
        ("hostnam = \"a\"", "hostnam is unknown"),
        (
            "[[listener]]\ntls = \"on\"",
            "listener: tls: \"on\" is none of",
        ),
        (
            "[limits]\nrecipients = \"many\"",
            "limits: recipients: \"many\" is no",
        ),
        ("[account]\nname = \"a\"", "account: "),
        ("[aliases]\nroot = 1", "aliases: root: 1 is no"),
    ] {
        let error = fits(&json_of_toml(wrong), &schema).unwrap_err();
        assert!(error.starts_with(words), "{wrong}: {error}");
    }
}
