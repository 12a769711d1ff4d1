//! The deeper checks of an inventory: rendered templates, and the files that machines boot.

pub mod boot_file;
mod expiry;
mod loaders;

use std::sync::LazyLock;

pub use expiry::expiry;
pub use loaders::{LoaderFile, LoaderFiles, loader_names, loaders};

use crate::inventory::{Diagnostic, Host, Inventory, Severity, Span};
use crate::machine::Dialect;
use crate::render::{
    Plan, SessionLinks, TemplateError, TemplatePosition, Templates, Variables, install_script,
    sample_errors, seed, unknown_variables,
};

/// Finds the span of a position in a template.
pub type Locate<'l> = dyn Fn(&str, Option<TemplatePosition>) -> Option<Span> + Sync + 'l;

/// Compiles the inventory's templates, and renders the scripts and seeds of every host.
///
/// Returns the compiled templates.
///
/// # Errors
/// All errors, each once, as diagnostics in the template.
pub fn templates(inventory: &Inventory, locate: &Locate<'_>) -> Result<Templates, Vec<Diagnostic>> {
    let templates = Templates::compile(&inventory.templates).map_err(|errors| {
        errors
            .iter()
            .map(|error| diagnostic(error, None, locate))
            .collect::<Vec<_>>()
    })?;
    if inventory.templates.is_empty() {
        return Ok(templates);
    }
    let errors = rendering_errors(inventory, &templates);
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
) -> Vec<(TemplateError, Option<String>)> {
    let hosts: Vec<_> = inventory.hosts.values().collect();
    let lenient = LazyLock::new(|| templates.lenient());
    let lenient = || &*lenient;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut errors: Vec<(TemplateError, Option<String>)> = std::thread::scope(|scope| {
        let parts = hosts.chunks(hosts.len().div_ceil(threads).max(1));
        let workers: Vec<_> = parts
            .map(|part| {
                let (templates, lenient) = (templates, &lenient);
                scope.spawn(move || {
                    part.iter()
                        .flat_map(|host| host_errors(inventory, templates, lenient, host))
                        .collect()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| joined(worker.join()))
            .collect()
    });
    let samples = all_errors(templates, &lenient, &|templates| sample_errors(templates));
    errors.extend(samples.into_iter().map(|error| (error, None)));
    // Many hosts may have the same error of a template: keep the first.
    errors.sort();
    errors.dedup_by(|later, first| later.0 == first.0);
    errors
}

/// Returns the errors that a worker found. A panic is an error, because its hosts are not checked.
fn joined(
    found: std::thread::Result<Vec<(TemplateError, Option<String>)>>,
) -> Vec<(TemplateError, Option<String>)> {
    found.unwrap_or_else(|panic| {
        let reason = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("unknown reason");
        let reason = format!("internal error while rendering: {reason}");
        let error = TemplateError::new("(unknown)", None, reason);
        vec![(error, None)]
    })
}

fn host_errors<'t>(
    inventory: &Inventory,
    templates: &'t Templates,
    lenient: &dyn Fn() -> &'t Templates,
    host: &Host,
) -> Vec<(TemplateError, Option<String>)> {
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
            .filter_map(|name| seed(templates, &plan, &variables, name).err());
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
    fn a_worker_that_panics_is_an_error() {
        let found = joined(Err(Box::new("out of luck")));
        assert_eq!(found.len(), 1);
        assert!(found[0].0.reason.ends_with("while rendering: out of luck"));
    }
}
