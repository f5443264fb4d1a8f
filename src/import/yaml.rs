//! YAML as settings: the values of each, by its name with dots.

use std::collections::BTreeMap;

use yaml_rust2::Yaml;
use yaml_rust2::YamlLoader;
use yaml_rust2::parser::Event;
use yaml_rust2::parser::EventReceiver;
use yaml_rust2::parser::Parser;

/// Settings by their names: each has one value, or a list. An empty value is the same as none; in a
/// list it stays, so that a list of one empty item is not taken for no list.
pub(super) type Values = BTreeMap<String, Vec<String>>;

/// Whether there is an alias, such as `*name`.
struct Aliases(bool);

impl EventReceiver for Aliases {
    fn on_event(&mut self, event: Event) {
        self.0 |= matches!(event, Event::Alias(_));
    }
}

/// Reads a file. One with aliases is refused: a few of them within each other fill the memory.
pub(super) fn load(text: &str) -> Result<Vec<Yaml>, String> {
    let not_yaml = |error| format!("this is not YAML: {error}");
    let mut aliases = Aliases(false);
    let mut parser = Parser::new_from_str(text);
    parser.load(&mut aliases, true).map_err(not_yaml)?;
    match aliases.0 {
        true => Err("it has aliases (*name): write out what they stand for".to_owned()),
        false => YamlLoader::load_from_str(text).map_err(not_yaml),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_that_would_fill_the_memory_are_refused() {
        let mut text = "a0: &a0 [x, x]\n".to_owned();
        for level in 1..40 {
            let below = level - 1;
            text += &format!("a{level}: &a{level} [*a{below}, *a{below}]\n");
        }

        assert!(load(&text).unwrap_err().contains("aliases"));
        assert!(load("a: '*a0'").is_ok());
    }
}
