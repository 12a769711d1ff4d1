//! Diagnostics as text and as JSON, with secrets redacted.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::diagnostic::{Diagnostic, Severity};
use super::redaction::Sources;
use super::source::{SourceFile, Span};

impl Diagnostic {
    /// Renders the diagnostic like rustc: message, `file:line:column`, caret, help. Ends with a newline.
    ///
    /// Secrets in quoted text are redacted: see [`Sources`].
    pub fn to_text(&self, sources: &Sources<'_>, color: bool) -> String {
        let shown = |text: &str| sources.message(self, text);
        let (message, help) = (shown(&self.message), self.help.as_deref().map(shown));
        let labels: Vec<String> = self.labels.iter().map(|label| shown(&label.text)).collect();
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut group = Group::with_title(level.primary_title(message.as_str()));
        for (index, label) in self.labels.iter().enumerate() {
            // Spans in one file share a snippet.
            let seen = self.labels[..index]
                .iter()
                .any(|earlier| earlier.span.file == label.span.file);
            let number = label.span.file;
            let (Some(file), Some(source), false) =
                (sources.file(number), sources.text(number), seen)
            else {
                continue;
            };
            let mut snippet = Snippet::source(source).path(file.name.as_str());
            let here = self.labels.iter().zip(&labels).enumerate();
            let here = here.filter(|(_, (label, _))| label.span.file == number);
            for (place, (label, text)) in here {
                let kind = if place == 0 {
                    AnnotationKind::Primary
                } else {
                    AnnotationKind::Context
                };
                let end = (label.span.end as usize).min(source.len());
                let start = (label.span.start as usize).min(end);
                let annotation = kind.span(start..end);
                snippet = snippet.annotation(match text.as_str() {
                    "" => annotation,
                    text => annotation.label(text),
                });
            }
            group = group.element(snippet);
        }
        if let Some(help) = &help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut text = renderer
            .decor_style(DecorStyle::Ascii)
            .render(&[group])
            .to_string();
        text.push('\n');
        text
    }

    /// Returns the diagnostic as `--format json` prints it.
    pub fn to_json<'a>(&self, sources: &Sources<'a>) -> DiagnosticJson<'a> {
        let shown = |text: &str| sources.message(self, text);
        let mut places = self.labels.iter().filter_map(|label| {
            let file = sources.file(label.span.file)?;
            Some(SpanJson::new(label.span, shown(&label.text), file))
        });
        DiagnosticJson {
            severity: self.severity,
            code: self.code,
            message: shown(&self.message),
            place: places.next(),
            related: places.collect(),
            help: self.help.as_deref().map(shown),
        }
    }
}

/// A [`Diagnostic`] as JSON.
#[derive(Debug, Serialize)]
pub struct DiagnosticJson<'a> {
    severity: Severity,
    code: &'static str,
    message: String,
    #[serde(flatten)]
    place: Option<SpanJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<SpanJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

#[derive(Debug, Serialize)]
struct SpanJson<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    #[serde(skip_serializing_if = "String::is_empty")]
    label: String,
}

impl<'a> SpanJson<'a> {
    fn new(span: Span, label: String, file: &'a SourceFile) -> Self {
        let (start, end) = (file.position(span.start), file.position(span.end));
        Self {
            file: &file.name,
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            label,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_is_shown_with_file_line_column_caret_and_help() {
        let files = [SourceFile {
            name: "host.yaml".into(),
            text: "kind: Host\nname: a\nnam: b\n".into(),
        }];
        let span = Span {
            file: 0,
            start: 19,
            end: 22,
        };
        let diagnostic = Diagnostic::error("unknown-key", span, "unknown key `nam`")
            .help("did you mean `name`?");
        let sources = Sources::new(&files, std::slice::from_ref(&diagnostic));
        assert_eq!(
            diagnostic.to_text(&sources, false),
            "error: unknown key `nam`\n --> host.yaml:3:1\n  |\n3 | nam: b\n  | ^^^\n  |\n  = help: did you mean `name`?\n"
        );
        let json = serde_json::to_value(diagnostic.to_json(&sources)).unwrap();
        assert_eq!(json["line"], 3);
        assert_eq!(json["file"], "host.yaml");
    }
}
