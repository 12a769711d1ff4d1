use std::collections::BTreeMap;
use std::io;

use handlebars::{
    Context, Handlebars, Helper, HelperResult, JsonRender, Output, RenderContext,
    RenderErrorReason, Template, TemplateErrorReason, no_escape,
};
use serde_json::Value;

use super::{builtin, strict};

/// How deeply blocks may be nested; the engine itself would overflow its stack.
const DEPTH_LIMIT: usize = 40;
/// The largest template, in octets.
const SIZE_LIMIT: usize = 1 << 20;
/// How many partials may be included within each other.
const PARTIAL_DEPTH_LIMIT: usize = 16;
/// How many partials a template may include in all, through others too.
const PARTIAL_LIMIT: usize = 4096;
/// The largest text that a template may make, in octets.
const OUTPUT_LIMIT: usize = 8 << 20;

/// A set of compiled templates: the built-in ones, and the inventory's in their place.
pub struct Templates {
    engine: Handlebars<'static>,
}

/// A template that cannot be compiled or rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template `{template}`{}: {reason}", .line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct TemplateError {
    /// The template's name.
    pub template: String,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub reason: String,
}

impl Templates {
    /// Compiles the built-in templates and `overrides`; reports every one that cannot be.
    ///
    /// # Errors
    /// All faults: syntax, nesting beyond a bound, partials that are missing or include each other.
    pub fn compile(overrides: &BTreeMap<String, String>) -> Result<Self, Vec<TemplateError>> {
        let mut texts: BTreeMap<&str, &str> = builtin::TEMPLATES.into_iter().collect();
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
        let mut partials: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, text) in &texts {
            let open_block = match scan(text) {
                Ok(found) => {
                    partials.insert(name, found.partials);
                    found.open_block
                }
                Err((line, reason)) => {
                    faults.push(TemplateError {
                        template: (*name).to_owned(),
                        line: Some(line),
                        reason,
                    });
                    continue;
                }
            };
            match Template::compile_with_name(text, (*name).to_owned()) {
                Ok(mut template) => {
                    strict::guard(&mut template);
                    engine.register_template(name, template);
                }
                Err(error) => {
                    let (line, reason) = syntax_fault(&error, open_block);
                    faults.push(TemplateError {
                        template: (*name).to_owned(),
                        line,
                        reason,
                    });
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
            Ok(()) => String::from_utf8(text.0).map_err(|error| TemplateError {
                template: template.to_owned(),
                line: None,
                reason: error.utf8_error().to_string(),
            }),
            Err(error) => Err(TemplateError {
                template: error
                    .template_name
                    .clone()
                    .unwrap_or_else(|| template.to_owned()),
                line: error.line_no,
                reason: match error.reason() {
                    RenderErrorReason::MissingVariable(path) => match path {
                        Some(path) => format!("there is no variable `{path}`"),
                        None => "a variable does not exist".to_owned(),
                    },
                    RenderErrorReason::IOError(error) => error.to_string(),
                    other => other.to_string(),
                },
            }),
        }
    }
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

/// Quotes text as one word of a POSIX shell.
pub(super) fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Says what the engine does not understand: its own words list every rule of its grammar.
fn syntax_fault(
    error: &handlebars::TemplateError,
    open_block: Option<(&str, usize)>,
) -> (Option<usize>, String) {
    let line = error.pos().map(|(line, _)| line);
    match (error.reason(), open_block) {
        (TemplateErrorReason::InvalidSyntax(_), Some((block, line))) => {
            (Some(line), format!("`{{{{#{block}}}}}` is never closed"))
        }
        (TemplateErrorReason::InvalidSyntax(_), None) => {
            (line, "these braces are no tag of a template".to_owned())
        }
        (other, _) => (line, other.to_string()),
    }
}

/// What a template holds, as far as can be seen before the engine compiles it.
struct Scanned<'t> {
    /// The partials it includes.
    partials: Vec<&'t str>,
    /// The innermost block that is open at its end, and its line.
    open_block: Option<(&'t str, usize)>,
}

/// Looks over a template before the engine sees it: bounds its size and nesting. Fails with the
/// line and the reason.
fn scan(text: &str) -> Result<Scanned<'_>, (usize, String)> {
    if text.len() > SIZE_LIMIT {
        return Err((1, format!("it is larger than {SIZE_LIMIT} octets")));
    }
    let mut partials = Vec::new();
    let line_at = |at: usize| text[..at].bytes().filter(|&byte| byte == b'\n').count() + 1;
    let mut open_blocks = Vec::new();
    let mut chained: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("{{").map(|open| at + open) {
        let tag =
            text[open..].trim_start_matches(|c: char| c == '{' || c == '~' || c.is_whitespace());
        let block = tag.strip_prefix('#').map(|block| block.trim_start());
        let line = || line_at(open);
        if block.unwrap_or(tag).starts_with('*') {
            return Err((
                line(),
                "decorators and inline partials are not allowed".to_owned(),
            ));
        }
        if let Some(block) = block {
            let name = block.split([' ', '}', '~', '\n']).next();
            open_blocks.push((name.unwrap_or_default(), open));
            chained.push(0);
        } else if tag.starts_with('/') {
            open_blocks.pop();
            chained.pop();
        } else if tag.starts_with("else")
            && let Some(links) = chained.last_mut()
        {
            // The engine puts each `else if` into the one before it.
            *links += 1;
        }
        let parentheses = tag
            .split("}}")
            .next()
            .unwrap_or_default()
            .matches('(')
            .count();
        if open_blocks.len() + chained.iter().sum::<usize>() + parentheses > DEPTH_LIMIT {
            return Err((line(), format!("it nests more than {DEPTH_LIMIT} levels")));
        }
        if let Some(partial) = block.unwrap_or(tag).strip_prefix('>') {
            let name = partial
                .trim_start()
                .split([' ', '}', '~', '\n', '\t'])
                .next()
                .unwrap_or_default();
            if name.starts_with('(') {
                return Err((line(), "a partial's name must be written out".to_owned()));
            }
            partials.push(name.trim_matches(['"', '\'']));
        }
        at = open + 2;
    }
    Ok(Scanned {
        partials,
        open_block: open_blocks.pop().map(|(block, at)| (block, line_at(at))),
    })
}

/// Returns the templates that a template includes; none where it cannot be scanned.
pub(super) fn partials(text: &str) -> Vec<&str> {
    scan(text).map_or_else(|_| Vec::new(), |found| found.partials)
}

/// Finds partials that do not exist or that include each other in a circle.
fn partial_faults(partials: &BTreeMap<&str, Vec<&str>>) -> Vec<TemplateError> {
    let mut faults = Vec::new();
    for (template, includes) in partials {
        let fault = |reason| TemplateError {
            template: (*template).to_owned(),
            line: None,
            reason,
        };
        for include in includes
            .iter()
            .filter(|include| !partials.contains_key(*include))
        {
            faults.push(fault(format!(
                "there is no template `{include}` to include"
            )));
        }
        let mut seen = Vec::new();
        let mut open: Vec<&str> = includes.clone();
        while let Some(next) = open.pop() {
            if next == *template {
                faults.push(fault(
                    "it includes itself, directly or through others".to_owned(),
                ));
                break;
            }
            if !seen.contains(&next) {
                seen.push(next);
                open.extend(partials.get(next).into_iter().flatten());
            }
        }
    }
    faults
}

/// Finds partials, without circles, that include others too deeply or too often.
fn partial_excess(partials: &BTreeMap<&str, Vec<&str>>) -> Vec<TemplateError> {
    // For each template how deeply and how often it includes: what it includes comes first.
    let mut known: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    while known.len() < partials.len() {
        for (template, includes) in partials {
            let parts: Option<Vec<_>> = includes.iter().map(|name| known.get(name)).collect();
            if let Some(parts) = parts {
                let depth = parts.iter().map(|part| part.0 + 1).max().unwrap_or(0);
                let count = parts
                    .iter()
                    .fold(0, |sum: usize, part| sum.saturating_add(part.1 + 1));
                let count = count.min(PARTIAL_LIMIT + 1);
                known.insert(template, (depth, count));
            }
        }
    }
    let excess = |(template, (depth, count)): (&str, (usize, usize))| {
        let reason = if depth > PARTIAL_DEPTH_LIMIT {
            format!("it includes partials more than {PARTIAL_DEPTH_LIMIT} levels deep")
        } else if count > PARTIAL_LIMIT {
            format!("it includes more than {PARTIAL_LIMIT} partials, through others too")
        } else {
            return None;
        };
        Some(TemplateError {
            template: template.to_owned(),
            line: None,
            reason,
        })
    };
    known.into_iter().filter_map(excess).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn compiled(text: &str) -> Result<Templates, Vec<TemplateError>> {
        Templates::compile(&BTreeMap::from([("t.hbs".to_owned(), text.to_owned())]))
    }

    fn rendered(text: &str) -> Result<String, TemplateError> {
        let context =
            Context::wraps(json!({"host": {"name": "a'b", "ip": null}, "keys": ["x\"y"]})).unwrap();
        compiled(text)
            .map_err(|mut faults| faults.remove(0))?
            .render("t.hbs", &context)
    }

    #[test]
    fn values_are_quoted_for_their_language() {
        assert_eq!(
            rendered("{{yaml keys}} {{yaml host.name}}").unwrap(),
            r#"["x\"y"] "a'b""#
        );
        assert_eq!(rendered("{{shell host.name}}").unwrap(), r"'a'\''b'");
        assert_eq!(rendered("${net0/mac}").unwrap(), "${net0/mac}");
    }

    #[test]
    fn an_unknown_variable_is_named_with_its_line() {
        let error = rendered("a\nb {{host.nmae}}\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "template `t.hbs`, line 2: there is no variable `host.nmae`"
        );
    }

    #[test]
    fn an_unknown_variable_is_named_wherever_it_stands() {
        for text in [
            "{{host.typo}}",
            "{{yaml host.typo}}",
            "{{shell host.typo}}",
            "{{#if host.typo}}{{/if}}",
            "{{#if host.ip}}{{else if host.typo}}{{/if}}",
            "{{#if (not host.typo)}}{{/if}}",
            "{{#if (eq (len keys) (len host.typo))}}{{/if}}",
            "{{#unless host.typo}}{{/unless}}",
            "{{#each host.typo}}{{else}}none{{/each}}",
            "{{#with host.typo}}{{else}}none{{/with}}",
            "{{#each keys}}{{#if @root.host.typo}}{{/if}}{{/each}}",
            "{{#each keys as |host|}}{{#if host.typo}}{{/if}}{{/each}}",
            "{{lookup host.typo \"x\"}}",
            "{{> part.hbs given=host.typo}}",
            "{{> part.hbs}}",
            "{{> part.hbs other=1}}",
        ] {
            let texts = [
                ("t.hbs", text),
                ("part.hbs", "{{given}}{{#if given}}{{/if}}"),
            ]
            .map(|(name, text)| (name.to_owned(), format!("\n{text}")));
            let templates = Templates::compile(&texts.into()).unwrap();
            let context = Context::wraps(json!({"host": {"ip": null}, "keys": ["x"]})).unwrap();
            let error = templates.render("t.hbs", &context).expect_err(text);
            assert!(
                error.reason.starts_with("there is no variable `"),
                "{text}: {error}"
            );
            assert_eq!(error.line, Some(2), "{text}");
        }
    }

    #[test]
    fn a_null_variable_exists_and_an_untaken_branch_may_name_what_is_missing() {
        for (text, expected) in [
            ("{{#if host.ip}}{{host.typo}}{{else}}none{{/if}}", "none"),
            ("{{yaml host.ip}}{{host.ip}}", "null"),
            (
                "{{#each keys}}{{@index}}{{this}}{{#if @last}}.{{/if}}{{/each}}",
                "0x\"y.",
            ),
            ("{{#each keys as |key|}}{{key}}{{/each}}", "x\"y"),
            ("{{#each host}}{{@key}} {{/each}}", "ip name "),
            (
                "{{#with host}}{{#if ../keys}}{{name}}{{/if}}{{/with}}",
                "a'b",
            ),
            ("{{{{raw}}}}{{typo}}{{{{/raw}}}}", "{{typo}}"),
            ("a\n{{#if keys}}\nb\n{{/if}}\nc", "a\nb\nc"),
            (
                "a\n  {{host.name}}\n  {{#if keys}}\n  b\n  {{/if}}\nc",
                "a\n  a'b\n  b\nc",
            ),
        ] {
            assert_eq!(rendered(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn templates_that_would_overflow_the_stack_are_refused() {
        let deep = "{{#if keys}}".repeat(20_000) + &"{{/if}}".repeat(20_000);
        assert!(
            rendered(&deep).unwrap_err().reason.contains("nests"),
            "blocks"
        );
        let parentheses = format!(
            "{{{{yaml {}x{}}}}}",
            "(yaml ".repeat(20_000),
            ")".repeat(20_000)
        );
        assert!(
            rendered(&parentheses).unwrap_err().reason.contains("nests"),
            "parentheses"
        );
        assert!(
            rendered("{{> t.hbs}}")
                .unwrap_err()
                .reason
                .contains("includes itself")
        );
        assert!(rendered("{{#*inline \"x\"}}{{/inline}}").is_err());
        assert!(
            rendered("{{> absent.hbs}}")
                .unwrap_err()
                .reason
                .contains("absent.hbs")
        );
    }

    /// Compiles `count` templates, of which each includes the next with `text`, and renders the first.
    fn chain(count: usize, text: impl Fn(&str) -> String) -> Result<String, TemplateError> {
        let name = |n: usize| match n {
            0 => "t.hbs".to_owned(),
            n => format!("p{n:04}.hbs"),
        };
        let texts = (0..=count).map(|n| match n == count {
            true => (name(n), "x".to_owned()),
            false => (name(n), text(&name(n + 1))),
        });
        let context = Context::wraps(json!({"keys": vec!["k"; 50]})).unwrap();
        Templates::compile(&texts.collect())
            .map_err(|mut faults| faults.remove(0))?
            .render("t.hbs", &context)
    }

    #[test]
    fn what_a_template_costs_is_bounded_whatever_it_includes_and_repeats() {
        let levels = DEPTH_LIMIT - 1;
        let deep = |inner: &str| {
            let (open, close) = ("{{#if keys}}".repeat(levels), "{{/if}}".repeat(levels));
            format!("{open}{{{{> {inner}}}}}{close}")
        };
        let one = |name: &str| format!("{{{{> {name}}}}}");
        let each = |body: &str, times: usize| {
            let (open, close) = ("{{#each @root.keys}}", "{{/each}}");
            format!("{}{body}{}", open.repeat(times), close.repeat(times))
        };
        assert_eq!(chain(16, deep).as_deref(), Ok("x"));
        for (case, result, expected) in [
            (
                "1,200 levels",
                chain(1200, one),
                "it includes partials more than 16 levels deep",
            ),
            (
                "doubling partials",
                chain(16, |name| one(name).repeat(2)),
                "it includes more than 4096 partials, through others too",
            ),
            (
                "nested loops that write",
                chain(1, |_| each(&"x".repeat(100_000), 2)),
                "it makes more than 8388608 octets",
            ),
            (
                "nested loops that write nothing",
                chain(1, |_| each("", 8)),
                "it looks up variables more than 100000 times",
            ),
            (
                "a chain of `else if`",
                rendered(&format!(
                    "{{{{#if host.ip}}}}{}{{{{/if}}}}",
                    "{{else if host.ip}}".repeat(5000)
                )),
                "it nests more than 40 levels",
            ),
        ] {
            assert_eq!(result.expect_err(case).reason, expected, "{case}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_templates_never_panic(text in "[{}#/>~a-z\" ().\n]{0,80}") {
            let _ = rendered(&text);
        }
    }
}
