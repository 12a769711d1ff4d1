//! Makes an unknown variable an error wherever a template names one.
//!
//! The engine's strict mode sees `{{typo}}` only: `{{#if typo}}` is false, `{{#each typo}}` goes to
//! its `{{else}}`, a helper is given null, and in a partial with parameters nothing is checked. So
//! each tag gets a guard before it, which looks its variables up while the template is rendered: a
//! branch that is not taken may name what its host does not have.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use handlebars::template::{
    HelperTemplate, Parameter, Subexpression, Template, TemplateElement as Element, TemplateMapping,
};
use handlebars::{
    Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderErrorReason,
};
use serde_json::{Value, json};

use super::fault::{TemplateError, TemplatePlace};

/// The name of the guard; no template can call it, since a tag cannot begin with a blank.
const GUARD: &str = " known";
/// How many guards one rendering may pass: loops within loops end here.
const STEP_LIMIT: u32 = 100_000;

thread_local! {
    /// How many guards this thread's rendering has passed.
    static STEPS: Cell<u32> = const { Cell::new(0) };
    /// What the guards of this thread have found, while they are to go on.
    static FOUND: RefCell<Option<BTreeSet<TemplateError>>> = const { RefCell::new(None) };
}

/// Begins a rendering on this thread.
pub fn start() {
    STEPS.set(0);
}

/// Lets the guards of this thread go on after an unknown variable, and returns all that they find
/// while `render` renders.
pub fn collect(render: impl FnOnce()) -> BTreeSet<TemplateError> {
    FOUND.set(Some(BTreeSet::new()));
    render();
    FOUND.take().unwrap_or_default()
}

/// Puts a guard before every tag of a template that names variables.
pub fn guard(name: &str, template: &mut Template) {
    guard_part(name, template, None);
}

/// `outer` is where the tag stands that the part belongs to.
fn guard_part(name: &str, template: &mut Template, outer: Option<&TemplateMapping>) {
    let elements = std::mem::take(&mut template.elements);
    let mapping = std::mem::take(&mut template.mapping);
    // The inverse of an `{{else if}}` is built without a mapping.
    let mut places = mapping.into_iter();
    for mut element in elements {
        let place = places.next();
        let shown = place.as_ref().or(outer);
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
            let at = shown.map(|place| [place.0, place.1]);
            paths.push(Parameter::Literal(json!([name, at])));
            let called = Parameter::Name(GUARD.to_owned());
            let guard = Subexpression::new(called, paths, HashMap::new());
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
    collect_paths(&tag.params, &tag.hash, paths);
}

fn collect_paths(
    params: &[Parameter],
    hash: &HashMap<String, Parameter>,
    paths: &mut Vec<Parameter>,
) {
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
                collect_paths(params, hash, paths);
            }
        }
        _ => {}
    }
}

/// Fails when one of its parameters is a variable that does not exist; writes nothing. The last one
/// tells it where it stands.
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
    let [parameters @ .., told] = helper.params().as_slice() else {
        return Ok(());
    };
    for parameter in parameters {
        let mut missing = parameter.is_value_missing();
        // In a partial with parameters, what is missing comes as null.
        if let (Some(context), Some(path)) = (render.context(), parameter.relative_path())
            && parameter.value().is_null()
        {
            missing = render.evaluate(&context, path)?.is_missing();
        }
        if missing {
            let path = parameter.relative_path().cloned();
            if !note(told.value(), path.as_deref()) {
                return Err(RenderErrorReason::MissingVariable(path).into());
            }
        }
    }
    Ok(())
}

/// Keeps an unknown variable for [`collect`]; reports whether it wants it. `told` names the template
/// and the place of the tag.
fn note(told: &Value, path: Option<&str>) -> bool {
    FOUND.with_borrow_mut(|found| {
        let Some(found) = found else { return false };
        let number = |index| told.get(1)?.get(index)?.as_u64();
        let place = number(0).map(|line| TemplatePlace {
            line: line as usize,
            column: number(1).map(|column| column as usize),
        });
        let template = told.get(0).and_then(Value::as_str);
        let template = template.unwrap_or_default();
        found.insert(TemplateError::unknown_variable(template, place, path));
        true
    })
}
