use std::collections::{BTreeMap, BTreeSet};
use std::io;

use handlebars::{
    Context, Handlebars, Helper, HelperResult, JsonRender, Output, RenderContext,
    RenderErrorReason, Template, TemplateErrorReason, no_escape,
};
use serde_json::Value;

pub use super::fault::TemplateError;
use super::fault::TemplatePlace;
use super::scan::{Included, partial_excess, partial_faults, scan};
use super::{builtin, strict};
use crate::installer::shell_word;

/// The largest text that a template may make, in octets.
const OUTPUT_LIMIT: usize = 8 << 20;

/// A set of compiled templates: the built-in ones, and the inventory's in their place.
pub struct Templates {
    engine: Handlebars<'static>,
}

impl Templates {
    /// Compiles the built-in templates and `overrides`; reports every one that cannot be.
    ///
    /// # Errors
    /// All faults: syntax, nesting beyond a bound, partials that are missing or include each other.
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
        let mut faults = Vec::new();
        let mut partials: BTreeMap<&str, Vec<Included<'_>>> = BTreeMap::new();
        for (name, text) in &texts {
            let open_block = match scan(text) {
                Ok(found) => {
                    partials.insert(name, found.partials);
                    found.open_block
                }
                Err((place, reason)) => {
                    faults.push(TemplateError::new(*name, Some(place), reason));
                    continue;
                }
            };
            match Template::compile_with_name(text, (*name).to_owned()) {
                Ok(mut template) => {
                    strict::guard(name, &mut template);
                    engine.register_template(name, template);
                }
                Err(error) => {
                    let (place, reason) = syntax_fault(&error, open_block);
                    faults.push(TemplateError::new(*name, place, reason));
                }
            }
        }
        match partial_faults(&partials) {
            found if found.is_empty() => faults.extend(partial_excess(&partials)),
            found => faults.extend(found),
        }
        if faults.is_empty() {
            Ok(Self { engine })
        } else {
            Err(faults)
        }
    }

    /// Renders one template; an unknown variable is an error.
    ///
    /// # Errors
    /// The template, line and reason.
    pub fn render(&self, template: &str, context: &Context) -> Result<String, TemplateError> {
        strict::start();
        let mut text = Limited(Vec::new());
        let rendered = self
            .engine
            .render_with_context_to_write(template, context, &mut text);
        match rendered {
            Ok(()) => String::from_utf8(text.0).map_err(|error| {
                TemplateError::new(template, None, error.utf8_error().to_string())
            }),
            Err(error) => {
                let name = error.template_name.as_deref().unwrap_or(template);
                let place = error.line_no.map(|line| TemplatePlace {
                    line,
                    column: error.column_no,
                });
                Err(match error.reason() {
                    RenderErrorReason::MissingVariable(path) => {
                        TemplateError::unknown_variable(name, place, path.as_deref())
                    }
                    RenderErrorReason::IOError(error) => {
                        TemplateError::new(name, place, error.to_string())
                    }
                    other => TemplateError::new(name, place, other.to_string()),
                })
            }
        }
    }

    /// Returns templates that render on after an unknown variable, for [`unknown_variables`].
    pub fn lenient(&self) -> Self {
        let mut engine = self.engine.clone();
        engine.set_strict_mode(false);
        Self { engine }
    }
}

/// Finds every unknown variable that `render` meets in templates that are lenient.
///
/// A branch that is not taken is not looked at.
pub fn unknown_variables(render: impl FnOnce()) -> BTreeSet<TemplateError> {
    strict::collect(render)
}

/// A text that is being made, up to [`OUTPUT_LIMIT`].
struct Limited(Vec<u8>);

impl io::Write for Limited {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.0.len() + octets.len() > OUTPUT_LIMIT {
            let what = format!("it makes more than {OUTPUT_LIMIT} octets");
            return Err(io::Error::other(what));
        }
        self.0.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a value as JSON, which is also YAML: text in double quotes, lists in brackets.
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

/// Writes text on one line: whatever would begin another becomes a blank.
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

/// Says what the engine does not understand: its own words list every rule of its grammar.
fn syntax_fault(
    error: &handlebars::TemplateError,
    open_block: Option<(&str, TemplatePlace)>,
) -> (Option<TemplatePlace>, String) {
    // Where the engine gave up is seldom where the fault begins: the line is all that it tells.
    let place = error
        .pos()
        .map(|(line, _)| TemplatePlace { line, column: None });
    match (error.reason(), open_block) {
        (TemplateErrorReason::InvalidSyntax(_), Some((block, place))) => {
            (Some(place), format!("`{{{{#{block}}}}}` is never closed"))
        }
        (TemplateErrorReason::InvalidSyntax(_), None) => {
            (place, "these braces are no tag of a template".to_owned())
        }
        (other, _) => (place, other.to_string()),
    }
}

#[cfg(test)]
mod tests;
