//! Reads typed values from a YAML tree, and reports all errors of a document at once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

use super::diagnostic::{Diagnostic, nearest};
use super::source::Span;
use super::tree::{MapKey, Node, Value};

/// The longest duration, so that computed times stay in range.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A value and its span.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

/// The expected types of a node, each with its help.
const MAPPING: (&str, &str) = ("a mapping", "write `key: value`, one on each line");
const LIST: (&str, &str) = (
    "a list",
    "write `- item`, one on each line, or `[item, item]`",
);
const TEXT: (&str, &str) = (
    "text",
    "write a value after the colon, in quotes if it has special characters",
);

/// Collects diagnostics while values are read. A reading function returns `None` after it reported an
/// error.
#[derive(Default)]
pub struct Reader {
    pub diagnostics: Vec<Diagnostic>,
}

/// A mapping that is read key by key. [`Fields::finish`] reports the keys that were not read.
pub struct Fields<'n> {
    entries: &'n [(MapKey, Node)],
    /// The span of errors about missing keys.
    span: Span,
    /// The name of the mapping in messages.
    what: &'static str,
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Returns the node of a key, if the key exists.
    pub fn node(&mut self, name: &'static str) -> Option<&'n Node> {
        self.known.push(name);
        self.entries
            .iter()
            .find(|(key, _)| key.text == name)
            .map(|(_, node)| node)
    }

    /// Reports whether a key exists, even if its value is invalid.
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(key, _)| key.text == name)
    }

    /// Reads an optional key.
    pub fn optional<T>(
        &mut self,
        reader: &mut Reader,
        name: &'static str,
        read: impl FnOnce(&mut Reader, &'n Node) -> Option<T>,
    ) -> Option<T> {
        self.node(name).and_then(|node| read(reader, node))
    }

    /// Reads a required key.
    pub fn required<T>(
        &mut self,
        reader: &mut Reader,
        name: &'static str,
        read: impl FnOnce(&mut Reader, &'n Node) -> Option<T>,
    ) -> Option<T> {
        match self.node(name) {
            Some(node) => read(reader, node),
            None => {
                let message = format!("{} has no `{name}`", self.what);
                reader.report(
                    Diagnostic::error("missing-key", self.span, message)
                        .label(format!("`{name}` is missing"))
                        .help(format!("add `{name}: …`")),
                );
                None
            }
        }
    }

    /// Reports every key that was not read, and suggests the nearest known key.
    pub fn finish(self, reader: &mut Reader) {
        for (key, _) in self
            .entries
            .iter()
            .filter(|(key, _)| !self.known.contains(&key.text.as_str()))
        {
            let message = format!("unknown key `{}` in {}", key.text, self.what);
            let help = match nearest(&key.text, self.known.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known keys are {}", list(&self.known)),
            };
            reader.report(Diagnostic::error("unknown-key", key.span, message).help(help));
        }
    }
}

/// Writes names as `a`, `b`, `c`.
pub fn list<T: Display>(names: &[T]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Reports whether a text is a valid name: up to 128 letters, digits, `.`, `_` and `-`, starting with a
/// letter or digit.
pub fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    starts_well && text.len() <= 128 && text.chars().all(good)
}

impl Reader {
    /// Reports a diagnostic.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Reports an error and returns `None`.
    pub fn refuse<T>(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        help: &str,
    ) -> Option<T> {
        self.report(Diagnostic::error(code, span, message).help(help));
        None
    }

    /// Opens a mapping. `what` names it in messages: `this nic`.
    pub fn fields<'n>(&mut self, node: &'n Node, what: &'static str) -> Option<Fields<'n>> {
        match &node.value {
            Value::Mapping(entries) => {
                let span = entries.first().map_or(node.span, |(key, _)| key.span);
                Some(Fields {
                    entries,
                    span,
                    what,
                    known: Vec::new(),
                })
            }
            other => self.wrong_type(node.span, MAPPING, other),
        }
    }

    /// Reads the items of a sequence. Invalid items are reported and left out.
    pub fn items<'n, T>(
        &mut self,
        node: &'n Node,
        mut read: impl FnMut(&mut Self, &'n Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        match &node.value {
            Value::Sequence(items) => {
                Some(items.iter().filter_map(|item| read(self, item)).collect())
            }
            other => self.wrong_type(node.span, LIST, other),
        }
    }

    /// Reads the entries of a mapping with free keys. Invalid entries are reported and left out.
    pub fn entries<'n, T>(
        &mut self,
        node: &'n Node,
        mut read: impl FnMut(&mut Self, &'n MapKey, &'n Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        match &node.value {
            Value::Mapping(entries) => Some(
                entries
                    .iter()
                    .filter_map(|(key, value)| read(self, key, value))
                    .collect(),
            ),
            other => self.wrong_type(node.span, MAPPING, other),
        }
    }

    /// Reads text. Numbers and booleans keep their spelling.
    pub fn text(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Scalar { text, plain: true }
                if text.is_empty() || text == "~" || text == "null" =>
            {
                self.wrong_type(node.span, TEXT, &node.value)
            }
            Value::Scalar { text, .. } => match text.chars().find(|c| c.is_control()) {
                None => Some(text.clone()),
                Some(control) => self.refuse(
                    "wrong-value",
                    node.span,
                    format!("the text contains the control character {control:?}"),
                    "write the text on one line, without tabs",
                ),
            },
            other => self.wrong_type(node.span, TEXT, other),
        }
    }

    /// Reads text with its span.
    pub fn spanned_text(&mut self, node: &Node) -> Option<Spanned<String>> {
        self.text(node).map(|value| Spanned {
            value,
            span: node.span,
        })
    }

    /// Reads text that `T` parses; `expected` describes the form in the help line.
    pub fn parsed<T: FromStr>(&mut self, node: &Node, expected: &str) -> Option<T>
    where
        T::Err: Display,
    {
        let text = self.text(node)?;
        text.parse()
            .map_err(|error: T::Err| {
                let help = format!("write {expected}");
                let mut message = error.to_string();
                // The errors of the standard library do not name the value.
                if !message.contains(&text) {
                    message = format!("`{text}`: {message}");
                }
                self.report(Diagnostic::error("wrong-value", node.span, message).help(help));
            })
            .ok()
    }

    /// Reads a number within bounds.
    pub fn number(&mut self, node: &Node, bounds: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let text = self.text(node)?;
        match text.parse() {
            Ok(number) if bounds.contains(&number) => Some(number),
            _ => self.refuse(
                "wrong-value",
                node.span,
                format!(
                    "`{text}` is not a whole number from {} to {}",
                    bounds.start(),
                    bounds.end()
                ),
                "write digits only",
            ),
        }
    }

    /// Reads `true` or `false`.
    pub fn boolean(&mut self, node: &Node) -> Option<bool> {
        match self.text(node)?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                let message = format!("`{other}` is neither `true` nor `false`");
                self.refuse("wrong-value", node.span, message, "write `true` or `false`")
            }
        }
    }

    /// Reads a duration such as `45m` or `1h 30m`.
    pub fn duration(&mut self, node: &Node) -> Option<Duration> {
        let text = self.text(node)?;
        let duration = text
            .parse::<SignedDuration>()
            .ok()
            .and_then(|value| Duration::try_from(value).ok());
        match duration.filter(|duration| !duration.is_zero() && *duration <= LONGEST) {
            Some(duration) => Some(duration),
            None => {
                let message = format!("`{text}` is not a duration");
                self.refuse(
                    "wrong-value",
                    node.span,
                    message,
                    "write a duration such as `90s`, `45m` or `1h 30m`, up to ten years",
                )
            }
        }
    }

    /// Reads one of several words.
    pub fn choice<T: Copy>(&mut self, node: &Node, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(node)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let help = match nearest(&text, names.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("write one of {}", list(&names)),
        };
        self.refuse(
            "wrong-value",
            node.span,
            format!("unknown value `{text}`"),
            &help,
        )
    }

    /// Reads the address of a machine.
    pub fn address(&mut self, node: &Node) -> Option<Ipv4Addr> {
        let text = self.text(node)?;
        match text.parse::<Ipv4Addr>() {
            Ok(address)
                if !address.is_unspecified()
                    && !address.is_broadcast()
                    && !address.is_multicast() =>
            {
                Some(address)
            }
            _ => self.refuse(
                "wrong-value",
                node.span,
                format!("`{text}` is not a machine's IPv4 address"),
                "write an address such as `10.20.0.10`",
            ),
        }
    }

    /// Reads a name: see [`is_name`].
    pub fn name(&mut self, node: &Node) -> Option<Spanned<String>> {
        let text = self.text(node)?;
        if is_name(&text) {
            return Some(Spanned {
                value: text,
                span: node.span,
            });
        }
        let message = format!("`{text}` is not a valid name");
        self.refuse(
            "wrong-value",
            node.span,
            message,
            "use up to 128 letters, digits, `.`, `_` and `-`, and start with a letter or digit",
        )
    }

    /// Reads a mapping from free keys to text.
    pub fn text_map(&mut self, node: &Node) -> Option<BTreeMap<String, String>> {
        let entries = self.entries(node, |reader, key, value| {
            Some((key.text.clone(), reader.text(value)?))
        })?;
        Some(entries.into_iter().collect())
    }

    fn wrong_type<T>(
        &mut self,
        span: Span,
        (expected, help): (&str, &str),
        found: &Value,
    ) -> Option<T> {
        let found = match found {
            Value::Scalar { text, plain: true } if ["", "~", "null"].contains(&text.as_str()) => {
                "nothing"
            }
            Value::Scalar { .. } => "a plain value",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        };
        let message = format!("expected {expected}, found {found}");
        self.refuse("wrong-type", span, message, help)
    }
}

#[cfg(test)]
mod tests;
