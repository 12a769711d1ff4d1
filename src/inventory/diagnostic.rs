use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;

use super::source::{SourceFile, Span};

/// The code of a diagnostic whose span contains a secret. The span is marked, and its text is not shown.
pub const PLAIN_SECRET: &str = "plain-secret";

/// A problem in the input: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The severity.
    pub severity: Severity,
    /// The stable name of the rule, such as `duplicate-mac`.
    pub code: &'static str,
    /// What is wrong, with the value that was found.
    pub message: String,
    /// The spans: the first is the problem itself, the others explain it.
    pub labels: Vec<Label>,
    /// The edit to make, or the next command.
    pub help: Option<String>,
}

/// A span in a source, with a short text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The span.
    pub span: Span,
    /// The text; may be empty.
    pub text: String,
}

/// The severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Information; nothing to fix.
    Note,
    /// The input works, but may not be intended.
    Warning,
    /// The input is invalid.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl Diagnostic {
    /// Makes an error at `span`.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, Some(span), message)
    }

    /// Makes a warning at `span`.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, Some(span), message)
    }

    /// Makes a diagnostic that may have no span, such as a missing `Site`.
    pub fn new(
        severity: Severity,
        code: &'static str,
        span: Option<Span>,
        message: impl Into<String>,
    ) -> Self {
        let labels = span
            .map(|span| Label {
                span,
                text: String::new(),
            })
            .into_iter()
            .collect();
        Self {
            severity,
            code,
            message: message.into(),
            labels,
            help: None,
        }
    }

    /// Sets the text of the first span.
    pub fn label(mut self, text: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.text = text.into();
        }
        self
    }

    /// Adds a span that explains the problem.
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Sets what to do.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Returns the span of the problem itself.
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }

    fn order(&self, other: &Self, files: &[SourceFile]) -> Ordering {
        let name = |diagnostic: &Self| {
            diagnostic
                .span()
                .and_then(|span| files.get(span.file as usize))
                .map(|file| file.name.as_str())
        };
        let start = |diagnostic: &Self| diagnostic.span().map(|span| span.start);
        name(self)
            .cmp(&name(other))
            .then_with(|| start(self).cmp(&start(other)))
            .then_with(|| other.severity.cmp(&self.severity))
            .then_with(|| self.message.cmp(&other.message))
    }
}

/// Sorts diagnostics by file and position, and removes duplicates.
pub fn sort(diagnostics: &mut Vec<Diagnostic>, files: &[SourceFile]) {
    diagnostics.sort_by(|a, b| a.order(b, files));
    diagnostics.dedup();
}

/// Writes a count with its noun: `1 error`, `2 errors`.
pub fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Finds the name nearest to `unknown`, if it is near enough to be a typing error.
pub fn nearest<'a>(unknown: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (unknown.chars().count() / 3).max(1);
    names
        .into_iter()
        .map(|name| (strsim::osa_distance(unknown, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_a_plural() {
        let said = [0, 1, 2].map(|count| plural(count, "error"));
        assert_eq!(said, ["0 errors", "1 error", "2 errors"]);
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let names = ["ubuntu-worker", "debian-worker"];
        assert_eq!(nearest("ubuntu-wroker", names), Some("ubuntu-worker"));
        assert_eq!(nearest("rescue", names), None);
    }
}
