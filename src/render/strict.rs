//! Makes every unknown variable of a template an error.
//!
//! The engine's strict mode only checks `{{typo}}`: `{{#if typo}}` is false, `{{#each typo}}` renders
//! its `{{else}}`, a helper gets null, and a partial with parameters is not checked. So a guard is put
//! before each tag. It looks up the tag's variables during rendering; variables in a branch that is not
//! taken may be unknown.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use handlebars::template::{
    HelperTemplate, Parameter, Subexpression, Template, TemplateElement as Element, TemplateMapping,
};
use handlebars::{
    Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderErrorReason,
};
use serde_json::{Value, json};

use super::error::{TemplateError, TemplatePosition};

/// The name of the guard. Templates cannot call it, because a tag cannot start with a blank.
const GUARD: &str = " known";
/// The maximum number of guards in one rendering, which limits nested loops.
const STEP_LIMIT: u32 = 100_000;

thread_local! {
    /// The number of guards that the rendering on this thread has passed.
    static STEPS: Cell<u32> = const { Cell::new(0) };
    /// The errors that the guards of this thread found, while [`collect`] runs.
    static FOUND: RefCell<Option<BTreeSet<TemplateError>>> = const { RefCell::new(None) };
}

/// Starts a rendering on this thread.
pub fn start() {
    STEPS.set(0);
}

/// Makes the guards of this thread continue after an unknown variable, and returns all errors that they
/// find in `render`.
pub fn collect(render: impl FnOnce()) -> BTreeSet<TemplateError> {
    FOUND.set(Some(BTreeSet::new()));
    render();
    FOUND.take().unwrap_or_default()
}

/// Puts a guard before every tag that uses variables.
pub fn guard(name: &str, template: &mut Template) {
    guard_part(name, template, None);
}

/// `outer` is the position of the tag that contains the part.
fn guard_part(name: &str, template: &mut Template, outer: Option<&TemplateMapping>) {
    let elements = std::mem::take(&mut template.elements);
    let mapping = std::mem::take(&mut template.mapping);
    // The inverse of an `{{else if}}` has no mapping.
    let mut positions = mapping.into_iter();
    for mut element in elements {
        let position = positions.next();
        let shown = position.as_ref().or(outer);
        let mut paths = Vec::new();
        match &mut element {
            Element::Expression(tag) | Element::HtmlExpression(tag) => {
                helper_paths(tag, &mut paths)
            }
            Element::HelperBlock(tag) => {
                helper_paths(tag, &mut paths);
                for part in [&mut tag.template, &mut tag.inverse].into_iter().flatten() {
                    guard_part(name, part, shown);
                }
            }
            Element::PartialExpression(tag) | Element::PartialBlock(tag) => {
                collect_paths(&tag.params, &tag.hash, &mut paths);
                if let Some(part) = &mut tag.template {
                    guard_part(name, part, shown);
                }
            }
            _ => {}
        }
        if !paths.is_empty() {
            let at = shown.map(|position| [position.0, position.1]);
            paths.push(Parameter::Literal(json!([name, at])));
            let called = Parameter::Name(GUARD.to_owned());
            let guard = Subexpression::new(called, paths, HashMap::new());
            template.elements.push(*guard.element);
            template.mapping.extend(position.clone());
        }
        template.elements.push(element);
        template.mapping.extend(position);
    }
}

/// Registers the helper of the guards.
pub fn register(engine: &mut Handlebars<'_>) {
    engine.register_helper(GUARD, Box::new(known));
}

fn helper_paths(tag: &HelperTemplate, paths: &mut Vec<Parameter>) {
    if !tag.block && tag.params.is_empty() && tag.hash.is_empty() {
        add(&tag.name, paths);
    }
    collect_paths(&tag.params, &tag.hash, paths);
}

fn collect_paths(
    params: &[Parameter],
    hash: &HashMap<String, Parameter>,
    paths: &mut Vec<Parameter>,
) {
    // Sorted by name, so that the same template always has the same error.
    let named: BTreeMap<&String, &Parameter> = hash.iter().collect();
    for parameter in params.iter().chain(named.into_values()) {
        add(parameter, paths);
    }
}

fn add(parameter: &Parameter, paths: &mut Vec<Parameter>) {
    match parameter {
        Parameter::Path(_) => paths.push(parameter.clone()),
        Parameter::Subexpression(inner) => {
            if let (Some(params), Some(hash)) = (inner.params(), inner.hash()) {
                collect_paths(params, hash, paths);
            }
        }
        _ => {}
    }
}

/// Fails if one of its parameters is an unknown variable. Writes nothing. The last parameter is the
/// template and the position of the tag.
fn known(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    render: &mut RenderContext<'_, '_>,
    _: &mut dyn Output,
) -> HelperResult {
    STEPS.set(STEPS.get() + 1);
    if STEPS.get() > STEP_LIMIT {
        let what = format!("more than {STEP_LIMIT} variable lookups");
        return Err(RenderErrorReason::Other(what).into());
    }
    let [parameters @ .., tag] = helper.params().as_slice() else {
        return Ok(());
    };
    for parameter in parameters {
        let mut missing = parameter.is_value_missing();
        // In a partial with parameters, a missing variable is null.
        if let (Some(context), Some(path)) = (render.context(), parameter.relative_path())
            && parameter.value().is_null()
        {
            missing = render.evaluate(&context, path)?.is_missing();
        }
        if missing {
            let path = parameter.relative_path().cloned();
            if !note(tag.value(), path.as_deref()) {
                return Err(RenderErrorReason::MissingVariable(path).into());
            }
        }
    }
    Ok(())
}

/// Records an unknown variable if [`collect`] runs, and reports whether it does. `tag` is the template
/// and the position of the tag.
fn note(tag: &Value, path: Option<&str>) -> bool {
    FOUND.with_borrow_mut(|found| {
        let Some(found) = found else { return false };
        let number = |index| tag.get(1)?.get(index)?.as_u64();
        let position = number(0).map(|line| TemplatePosition {
            line: line as usize,
            column: number(1).map(|column| column as usize),
        });
        let template = tag.get(0).and_then(Value::as_str);
        let template = template.unwrap_or_default();
        found.insert(TemplateError::unknown_variable(template, position, path));
        true
    })
}
