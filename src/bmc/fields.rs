//! JSON as BMCs send it in practice: with nulls, with names in another case, with numbers as text,
//! and with required properties missing.

use serde_json::{Map, Value};

use crate::machine::cleaned;

/// The longest text to keep, in bytes. Real names and messages are shorter.
pub const MAX_TEXT: usize = 256;

/// One JSON object, read leniently.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a Map<String, Value>);

/// An object without fields.
static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

impl<'a> Fields<'a> {
    /// Wraps a value. A value that is not an object has no fields.
    pub fn of(value: &'a Value) -> Self {
        Self(value.as_object().unwrap_or(&EMPTY))
    }

    /// Reports whether a field exists, even if it is null.
    pub fn has(self, name: &str) -> bool {
        self.0.keys().any(|key| key.eq_ignore_ascii_case(name))
    }

    /// Returns a field by its name in any case, unless it is null.
    pub fn value(self, name: &str) -> Option<&'a Value> {
        let any_case = || {
            let mut all = self.0.iter();
            all.find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        };
        let found = self.0.get(name).or_else(any_case);
        found.filter(|value| !value.is_null())
    }

    /// Returns a text or a number, trimmed and printable, unless it is empty.
    pub fn text(self, name: &str) -> Option<String> {
        let text = match self.value(name)? {
            Value::String(text) => cleaned(text.trim(), MAX_TEXT),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// Returns a text unchanged.
    pub fn raw(self, name: &str) -> Option<&'a str> {
        self.value(name)?.as_str()
    }

    /// Returns a boolean, which may be given as text.
    pub fn boolean(self, name: &str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(value) => Some(*value),
            Value::String(text) => text.to_ascii_lowercase().parse().ok(),
            _ => None,
        }
    }

    /// Returns a number, which may be given as text.
    pub fn number(self, name: &str) -> Option<f64> {
        match self.value(name)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// Returns the fields of an object. A missing object has no fields.
    pub fn object(self, name: &str) -> Fields<'a> {
        self.value(name).map_or(Self(&EMPTY), Fields::of)
    }

    /// Returns the items of a list. A single value counts as a list of one.
    pub fn items(self, name: &str) -> &'a [Value] {
        match self.value(name) {
            Some(Value::Array(items)) => items,
            Some(value) => std::slice::from_ref(value),
            None => &[],
        }
    }

    /// Returns the texts of a list.
    pub fn texts(self, name: &str) -> Vec<String> {
        let texts = self.items(name).iter().filter_map(Value::as_str);
        texts.map(|text| cleaned(text, MAX_TEXT)).collect()
    }

    /// Returns the path of a reference: `{"@odata.id": …}`, or the path itself.
    pub fn link(self, name: &str) -> Option<String> {
        link(self.value(name)?)
    }

    /// Returns the paths of all references in a list.
    pub fn links(self, name: &str) -> Vec<String> {
        self.items(name).iter().filter_map(link).collect()
    }
}

fn link(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.as_str(),
        other => Fields::of(other).raw("@odata.id")?,
    };
    let is_valid = text.len() <= 2048 && !text.contains(|c: char| c.is_control() || c == ' ');
    (is_valid && text.starts_with('/') && !text.starts_with("//")).then(|| text.to_owned())
}

/// Returns the paths of the members of a collection.
pub fn members(value: &Value) -> Vec<String> {
    Fields::of(value).links("Members")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_read_in_every_shape() {
        let value = json!({
            "a": null, "serialnumber": " C7X9K2 ", "Count": "12", "Size": 3, "Flag": "True",
            "Bad": "\u{1b}[2J$(x)", "Empty": " ",
        });
        let fields = Fields::of(&value);
        assert_eq!(fields.text("a"), None);
        assert_eq!(fields.text("SerialNumber").as_deref(), Some("C7X9K2"));
        assert_eq!(fields.number("Count"), Some(12.0));
        assert_eq!(fields.text("Size").as_deref(), Some("3"));
        assert_eq!(fields.boolean("Flag"), Some(true));
        assert_eq!(fields.text("Bad").as_deref(), Some("[2J(x)"));
        assert_eq!(fields.text("Empty"), None);
        assert_eq!(Fields::of(&json!([1])).text("0"), None);
    }

    #[test]
    fn reference_is_a_path_of_the_same_server() {
        for (value, path) in [
            (
                json!({"@odata.id": "/redfish/v1/Systems"}),
                Some("/redfish/v1/Systems"),
            ),
            (json!("/a"), Some("/a")),
            (json!({"@odata.id": "https://elsewhere/a"}), None),
            (json!({"@odata.id": "//elsewhere/a"}), None),
            (json!({"@odata.id": "/a b"}), None),
            (json!({"@odata.id": 3}), None),
            (json!(null), None),
        ] {
            assert_eq!(link(&value).as_deref(), path, "{value}");
        }
    }
}
