//! `${NAME}` in a string of relay.toml stands for the value of an environment variable.

use toml::de::DeValue;

use crate::credentials::handed;

/// Replaces `${NAME}` in strings by the environment variable.
pub(super) fn expand<'a>(value: &DeValue<'a>) -> Result<DeValue<'a>, String> {
    let mut expanded = value.clone();
    expand_in_place(&mut expanded)?;
    Ok(expanded)
}

fn expand_in_place(value: &mut DeValue<'_>) -> Result<(), String> {
    if let DeValue::String(text) = value {
        *text = expand_text(text)?.into();
    } else if let DeValue::Array(items) = value {
        for item in items.iter_mut() {
            expand_in_place(item.get_mut())?;
        }
    }
    Ok(())
}

fn expand_text(text: &str) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        let (name, after) = behind
            .split_once('}')
            .ok_or_else(|| "there is a \"${\" without \"}\"".to_owned())?;
        let value = match std::env::var(name) {
            Ok(value) => value,
            Err(_) if name == handed::VARIABLE => handed::OF_THE_UNIT.to_owned(),
            Err(_) => return Err(format!("the environment variable {name} is not set")),
        };
        expanded.push_str(before);
        expanded.push_str(&value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}
