//! Makes an unknown variable an error wherever a template names one.
//!
//! The engine's strict mode sees `{{typo}}` only: `{{#if typo}}` is false, `{{#each typo}}` goes to
//! its `{{else}}`, a helper is given null, and in a partial with parameters nothing is checked. So
//! each tag gets a guard before it, which looks its variables up while the template is rendered: a
//! branch that is not taken may name what its host does not have.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use handlebars::template::{
    HelperTemplate, Parameter, Subexpression, Template, TemplateElement as Element,
};
use handlebars::{
    Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderErrorReason,
};

/// The name of the guard; no template can call it, since a tag cannot begin with a blank.
const GUARD: &str = " known";
/// How many guards one rendering may pass: loops within loops end here.
const STEP_LIMIT: u32 = 100_000;

thread_local! {
    /// How many guards this thread's rendering has passed.
    static STEPS: Cell<u32> = const { Cell::new(0) };
}

/// Begins a rendering on this thread.
pub fn start() {
    STEPS.set(0);
}

/// Puts a guard before every tag of a template that names variables.
pub fn guard(template: &mut Template) {
    let elements = std::mem::take(&mut template.elements);
    let mapping = std::mem::take(&mut template.mapping);
    // The inverse of an `{{else if}}` is built without a mapping.
    let mut places = mapping.into_iter();
    for mut element in elements {
        let mut paths = Vec::new();
        match &mut element {
            Element::Expression(tag) | Element::HtmlExpression(tag) => {
                helper_paths(tag, &mut paths)
            }
            Element::HelperBlock(tag) => {
                helper_paths(tag, &mut paths);
                for part in [&mut tag.template, &mut tag.inverse].into_iter().flatten() {
                    guard(part);
                }
            }
            Element::PartialExpression(tag) | Element::PartialBlock(tag) => {
                collect(&tag.params, &tag.hash, &mut paths);
                if let Some(part) = &mut tag.template {
                    guard(part);
                }
            }
            _ => {}
        }
        let place = places.next();
        if !paths.is_empty() {
            let name = Parameter::Name(GUARD.to_owned());
            let guard = Subexpression::new(name, paths, HashMap::new());
            template.elements.push(*guard.element);
            template.mapping.extend(place.clone());
        }
        template.elements.push(element);
        template.mapping.extend(place);
    }
}

/// Registers what the guards call.
pub fn register(engine: &mut Handlebars<'_>) {
    engine.register_helper(GUARD, Box::new(known));
}

fn helper_paths(tag: &HelperTemplate, paths: &mut Vec<Parameter>) {
    if !tag.block && tag.params.is_empty() && tag.hash.is_empty() {
        add(&tag.name, paths);
    }
    collect(&tag.params, &tag.hash, paths);
}

fn collect(params: &[Parameter], hash: &HashMap<String, Parameter>, paths: &mut Vec<Parameter>) {
    // In the order of their names: the same template fails with the same words.
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
                collect(params, hash, paths);
            }
        }
        _ => {}
    }
}

/// Fails when one of its parameters is a variable that does not exist; writes nothing.
fn known(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    render: &mut RenderContext<'_, '_>,
    _: &mut dyn Output,
) -> HelperResult {
    STEPS.set(STEPS.get() + 1);
    if STEPS.get() > STEP_LIMIT {
        let what = format!("it looks up variables more than {STEP_LIMIT} times");
        return Err(RenderErrorReason::Other(what).into());
    }
    for parameter in helper.params() {
        let mut missing = parameter.is_value_missing();
        // In a partial with parameters, what is missing comes as null.
        if let (Some(context), Some(path)) = (render.context(), parameter.relative_path())
            && parameter.value().is_null()
        {
            missing = render.evaluate(&context, path)?.is_missing();
        }
        if missing {
            let path = parameter.relative_path().cloned();
            return Err(RenderErrorReason::MissingVariable(path).into());
        }
    }
    Ok(())
}
