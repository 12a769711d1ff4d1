use std::collections::{BTreeMap, BTreeSet};
use std::io;

use handlebars::{
    Context, Handlebars, Helper, HelperResult, JsonRender, Output, RenderContext,
    RenderErrorReason, Template, TemplateErrorReason, no_escape,
};
use serde_json::Value;

pub use super::error::TemplateError;
use super::error::TemplatePosition;
use super::scan::{PartialTag, partial_errors, partial_excess, scan};
use super::{builtin, strict};
use crate::installer::shell_word;

/// The maximum size of a rendered text, in bytes.
const OUTPUT_LIMIT: usize = 8 << 20;

/// The compiled templates: the built-in ones, and those of the inventory that replace them.
pub struct Templates {
    engine: Handlebars<'static>,
}

impl Templates {
    /// Compiles the built-in templates and `overrides`.
    ///
    /// # Errors
    /// All errors: syntax, excessive nesting, and partials that are missing or include each other.
    pub fn compile(overrides: &BTreeMap<String, String>) -> Result<Self, Vec<TemplateError>> {
        let mut texts: BTreeMap<&str, &str> = builtin::templates().collect();
        texts.extend(
            overrides
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_str())),
        );
        let mut engine = Handlebars::new();
        engine.set_strict_mode(true);
        engine.register_escape_fn(no_escape);
        strict::register(&mut engine);
        engine.register_helper("yaml", Box::new(yaml));
        engine.register_helper("shell", Box::new(shell));
        engine.register_helper("line", Box::new(line));
        let mut errors = Vec::new();
        let mut partials: BTreeMap<&str, Vec<PartialTag<'_>>> = BTreeMap::new();
        for (name, text) in &texts {
            let open_block = match scan(text) {
                Ok(found) => {
                    partials.insert(name, found.partials);
                    found.open_block
                }
                Err((position, reason)) => {
                    errors.push(TemplateError::new(*name, Some(position), reason));
                    continue;
                }
            };
            match Template::compile_with_name(text, (*name).to_owned()) {
                Ok(mut template) => {
                    strict::guard(name, &mut template);
                    engine.register_template(name, template);
                }
                Err(error) => {
                    let (position, reason) = syntax_error(&error, open_block);
                    errors.push(TemplateError::new(*name, position, reason));
                }
            }
        }
        match partial_errors(&partials) {
            found if found.is_empty() => errors.extend(partial_excess(&partials)),
            found => errors.extend(found),
        }
        if errors.is_empty() {
            Ok(Self { engine })
        } else {
            Err(errors)
        }
    }

    /// Renders a template. An unknown variable is an error.
    ///
    /// # Errors
    /// The template, line and reason.
    pub fn render(&self, template: &str, context: &Context) -> Result<String, TemplateError> {
        strict::start();
        let mut text = LimitedText(Vec::new());
        let rendered = self
            .engine
            .render_with_context_to_write(template, context, &mut text);
        match rendered {
            Ok(()) => String::from_utf8(text.0).map_err(|error| {
                TemplateError::new(template, None, error.utf8_error().to_string())
            }),
            Err(error) => {
                let name = error.template_name.as_deref().unwrap_or(template);
                let position = error.line_no.map(|line| TemplatePosition {
                    line,
                    column: error.column_no,
                });
                Err(match error.reason() {
                    RenderErrorReason::MissingVariable(path) => {
                        TemplateError::unknown_variable(name, position, path.as_deref())
                    }
                    RenderErrorReason::IOError(error) => {
                        TemplateError::new(name, position, error.to_string())
                    }
                    other => TemplateError::new(name, position, other.to_string()),
                })
            }
        }
    }

    /// Returns templates that continue after an unknown variable, for [`unknown_variables`].
    pub fn lenient(&self) -> Self {
        let mut engine = self.engine.clone();
        engine.set_strict_mode(false);
        Self { engine }
    }
}

/// Finds all unknown variables while `render` renders lenient templates, except in branches that are not
/// taken.
pub fn unknown_variables(render: impl FnOnce()) -> BTreeSet<TemplateError> {
    strict::collect(render)
}

/// A rendered text of at most [`OUTPUT_LIMIT`] bytes.
struct LimitedText(Vec<u8>);

impl io::Write for LimitedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_LIMIT {
            return Err(io::Error::other("the rendered text exceeds 8 MiB"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a value as JSON, which is also YAML.
fn yaml(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let value = helper
        .param(0)
        .map_or(&Value::Null, |parameter| parameter.value());
    out.write(&value.to_string())?;
    Ok(())
}

/// Writes text as one word of a POSIX shell, in single quotes.
fn shell(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let text = helper
        .param(0)
        .map(|parameter| parameter.value().render())
        .unwrap_or_default();
    out.write(&shell_word(&text))?;
    Ok(())
}

/// Writes text on one line: control characters become blanks.
fn line(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let text = helper
        .param(0)
        .map(|parameter| parameter.value().render())
        .unwrap_or_default();
    out.write(&text.replace(|c: char| c.is_control(), " "))?;
    Ok(())
}

/// Describes a syntax error. The message of the engine lists its whole grammar.
fn syntax_error(
    error: &handlebars::TemplateError,
    open_block: Option<(&str, TemplatePosition)>,
) -> (Option<TemplatePosition>, String) {
    // The engine stops after the actual error, so only its line is useful.
    let position = error
        .pos()
        .map(|(line, _)| TemplatePosition { line, column: None });
    match (error.reason(), open_block) {
        (TemplateErrorReason::InvalidSyntax(_), Some((block, position))) => (
            Some(position),
            format!("`{{{{#{block}}}}}` is never closed"),
        ),
        (TemplateErrorReason::InvalidSyntax(_), None) => {
            (position, "these braces are not a valid tag".to_owned())
        }
        (other, _) => (position, other.to_string()),
    }
}

#[cfg(test)]
mod tests;
