//! A look ahead at a key of a section that is read later.

use super::Section;

impl Section<'_> {
    /// Whether the section `[name]` has a key with another value than `"off"`, well-formed or
    /// not. Neither counts as read.
    pub(in crate::config) fn will_have(&self, name: &str, key: &str) -> bool {
        let scope = self.scope.section(name);
        let values = scope.values(key);
        if let Some((_, value)) = values.first() {
            return value.text.as_deref().is_ok_and(|text| text != "off");
        }
        let written = self.table.and_then(|table| table.get(name));
        let table = written.and_then(|value| value.get_ref().as_table());
        let value = table.and_then(|table| table.get(key));
        value.is_some_and(|value| value.get_ref().as_str() != Some("off"))
    }
}
