//! YAML as settings: the values of each, by its name with dots.

use std::collections::BTreeMap;

use yaml_rust2::Yaml;

/// Settings by their names: each has one value, or a list. An empty value is the same as none; in a
/// list it stays, so that a list of one empty item is not taken for no list.
pub(super) type Values = BTreeMap<String, Vec<String>>;

/// Collects all settings, by their names with dots.
pub(super) fn flatten(yaml: &Yaml, name: &str, values: &mut Values) {
    let below = |key: &str| match name {
        "" => key.to_owned(),
        name => format!("{name}.{key}"),
    };
    match yaml {
        Yaml::Hash(hash) => {
            for (key, value) in hash {
                flatten(value, &below(&scalar(key).unwrap_or_default()), values);
            }
        }
        Yaml::Array(items) if items.iter().any(|it| matches!(it, Yaml::Hash(_))) => {
            for (at, item) in items.iter().enumerate() {
                flatten(item, &below(&at.to_string()), values);
            }
        }
        Yaml::Array(items) => {
            let items = items.iter().map(|it| scalar(it).unwrap_or_default());
            values.insert(name.to_owned(), items.collect());
        }
        Yaml::String(_)
        | Yaml::Real(_)
        | Yaml::Integer(_)
        | Yaml::Boolean(_)
        | Yaml::Alias(_)
        | Yaml::Null
        | Yaml::BadValue => {
            let value = scalar(yaml).filter(|it| !it.is_empty());
            values.insert(name.to_owned(), value.into_iter().collect());
        }
    }
}

fn scalar(yaml: &Yaml) -> Option<String> {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => Some(text.clone()),
        Yaml::Integer(number) => Some(number.to_string()),
        Yaml::Boolean(value) => Some(value.to_string()),
        Yaml::Array(_) | Yaml::Hash(_) | Yaml::Alias(_) | Yaml::Null | Yaml::BadValue => None,
    }
}
