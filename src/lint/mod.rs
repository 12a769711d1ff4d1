//! The deeper checks of an inventory: rendered templates, and the files that machines boot.

pub mod boot_file;
mod expiry;
mod loaders;

use std::sync::LazyLock;

pub use expiry::expiry;
pub use loaders::{LoaderFile, LoaderFiles, loader_names, loaders};

use crate::inventory::{Diagnostic, Host, Inventory, Severity, Span};
use crate::loader::Dialect;
use crate::render::{
    Plan, SessionLinks, TemplateError, TemplatePosition, Templates, Variables, install_script,
    sample_errors, seed_errors, unknown_variables,
};

/// Finds the span of a position in a template.
pub type Locate<'l> = dyn Fn(&str, Option<TemplatePosition>) -> Option<Span> + Sync + 'l;

/// An error of a template, and the host for which it was rendered.
pub type RenderingError = (TemplateError, Option<String>);

/// Finds the errors of some hosts.
pub type FindErrors<'f> = dyn Fn(&[&Host]) -> Vec<RenderingError> + Sync + 'f;

/// Checks all hosts in parts, which may run at the same time. Returns the errors of each part in the
/// order of the hosts, or the message of a panic.
pub type CheckInParts<'c> =
    dyn Fn(&[&Host], &FindErrors<'_>) -> Vec<Result<Vec<RenderingError>, String>> + 'c;

/// Compiles the inventory's templates, and renders the scripts and seeds of every host.
///
/// Returns the compiled templates.
///
/// # Errors
/// All errors, each once, as diagnostics in the template.
pub fn templates(
    inventory: &Inventory,
    locate: &Locate<'_>,
    check_in_parts: &CheckInParts<'_>,
) -> Result<Templates, Vec<Diagnostic>> {
    let templates = Templates::compile(&inventory.templates).map_err(|errors| {
        errors
            .iter()
            .map(|error| diagnostic(error, None, locate))
            .collect::<Vec<_>>()
    })?;
    if inventory.templates.is_empty() {
        return Ok(templates);
    }
    let errors = rendering_errors(inventory, &templates, check_in_parts);
    if errors.is_empty() {
        return Ok(templates);
    }
    Err(errors
        .iter()
        .map(|(error, host)| diagnostic(error, host.as_deref(), locate))
        .collect())
}

/// Renders the scripts and seeds of every host, and returns each error with the first host that has it.
fn rendering_errors(
    inventory: &Inventory,
    templates: &Templates,
    check_in_parts: &CheckInParts<'_>,
) -> Vec<RenderingError> {
    let hosts: Vec<_> = inventory.hosts.values().collect();
    let lenient = LazyLock::new(|| templates.lenient());
    let lenient = || &*lenient;
    let find_errors = |hosts: &[&Host]| -> Vec<RenderingError> {
        hosts
            .iter()
            .flat_map(|host| host_errors(inventory, templates, &lenient, host))
            .collect()
    };
    let parts = check_in_parts(&hosts, &find_errors).into_iter();
    let mut errors: Vec<RenderingError> = parts.flat_map(errors_of_part).collect();
    let samples = all_errors(templates, &lenient, &|templates| sample_errors(templates));
    errors.extend(samples.into_iter().map(|error| (error, None)));
    // Many hosts may have the same error of a template: keep the first.
    errors.sort();
    errors.dedup_by(|later, first| later.0 == first.0);
    errors
}

/// Returns the errors of some hosts. A panic is an error, because these hosts are not checked.
fn errors_of_part(part: Result<Vec<RenderingError>, String>) -> Vec<RenderingError> {
    part.unwrap_or_else(|panic| {
        let reason = format!("internal error while rendering: {panic}");
        vec![(TemplateError::new("(unknown)", None, reason), None)]
    })
}

fn host_errors<'t>(
    inventory: &Inventory,
    templates: &'t Templates,
    lenient: &dyn Fn() -> &'t Templates,
    host: &Host,
) -> Vec<RenderingError> {
    let Ok(plan) = Plan::new(inventory, host) else {
        return Vec::new();
    };
    let variables = Variables::new(&plan, &SessionLinks::placeholder(&plan.server));
    let errors = all_errors(templates, lenient, &|templates| {
        let script = |dialect| install_script(templates, dialect, &variables).err();
        let seeds = plan
            .profile
            .installer
            .seeds()
            .iter()
            .flat_map(|name| seed_errors(templates, &plan, &variables, name));
        Dialect::all().filter_map(script).chain(seeds).collect()
    });
    let named = |error| (error, Some(host.name.clone()));
    errors.into_iter().map(named).collect()
}

/// Renders, and if it stops at an unknown variable, renders again to find the other unknown variables.
fn all_errors<'t>(
    templates: &'t Templates,
    lenient: &dyn Fn() -> &'t Templates,
    render: &dyn Fn(&Templates) -> Vec<TemplateError>,
) -> Vec<TemplateError> {
    let mut errors = render(templates);
    if errors.iter().any(|error| error.is_unknown_variable) {
        errors.extend(unknown_variables(|| drop(render(lenient()))));
    }
    errors
}

fn diagnostic(error: &TemplateError, host: Option<&str>, locate: &Locate<'_>) -> Diagnostic {
    let span = locate(&error.template, error.position);
    let (template, reason) = (&error.template, &error.reason);
    let message = match host {
        Some(host) => format!("template `{template}` fails for host `{host}`: {reason}"),
        None => format!("template `{template}` is invalid: {reason}"),
    };
    let help = match (host, error.is_unknown_variable) {
        (Some(_), _) => {
            "run `pxectl render HOST --context` to print the variables that templates can use"
        }
        (None, true) => "see TEMPLATES in pxectl-inventory(5) for the variables of this template",
        (None, false) => {
            "fix the template; put braces that are not for pxectl between `{{{{raw}}}}` and `{{{{/raw}}}}`"
        }
    };
    Diagnostic::new(Severity::Error, "template", span, message).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_panics_is_an_error() {
        let found = errors_of_part(Err("out of luck".to_owned()));
        assert_eq!(found.len(), 1);
        assert!(found[0].0.reason.ends_with("while rendering: out of luck"));
    }
}
