//! The deeper checks of an inventory: what is rendered from it, and the files that it boots.

pub mod boot_file;
mod expiry;
mod loaders;

use std::sync::LazyLock;

pub use expiry::expiry;
pub use loaders::{LoaderFile, LoaderFiles, loader_names, loaders};

use crate::inventory::{Diagnostic, Host, Inventory, Severity, Span};
use crate::machine::Dialect;
use crate::render::{
    Plan, SessionLinks, TemplateError, TemplatePlace, Templates, Variables, install_script,
    sample_faults, seed, unknown_variables,
};

/// Finds a place of a template among the sources.
pub type Locate<'l> = dyn Fn(&str, Option<TemplatePlace>) -> Option<Span> + Sync + 'l;

/// Compiles the inventory's templates, and renders with them what the hosts that use them would be
/// served.
///
/// Returns the compiled templates.
///
/// # Errors
/// Every fault, each once, as a diagnostic in the template.
pub fn templates(inventory: &Inventory, locate: &Locate<'_>) -> Result<Templates, Vec<Diagnostic>> {
    let templates = Templates::compile(&inventory.templates).map_err(|faults| {
        faults
            .iter()
            .map(|fault| diagnostic(fault, None, locate))
            .collect::<Vec<_>>()
    })?;
    if inventory.templates.is_empty() {
        return Ok(templates);
    }
    let faults = rendering_faults(inventory, &templates);
    if faults.is_empty() {
        return Ok(templates);
    }
    Err(faults
        .iter()
        .map(|(fault, host)| diagnostic(fault, host.as_deref(), locate))
        .collect())
}

/// Renders everything for every host, and returns each fault with the first host that meets it.
fn rendering_faults(
    inventory: &Inventory,
    templates: &Templates,
) -> Vec<(TemplateError, Option<String>)> {
    let hosts: Vec<_> = inventory.hosts.values().collect();
    let lenient = LazyLock::new(|| templates.lenient());
    let lenient = || &*lenient;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut faults: Vec<(TemplateError, Option<String>)> = std::thread::scope(|scope| {
        let parts = hosts.chunks(hosts.len().div_ceil(threads).max(1));
        let workers: Vec<_> = parts
            .map(|part| {
                let (templates, lenient) = (templates, &lenient);
                scope.spawn(move || {
                    part.iter()
                        .flat_map(|host| host_faults(inventory, templates, lenient, host))
                        .collect()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| joined(worker.join()))
            .collect()
    });
    let samples = all_faults(templates, &lenient, &|templates| sample_faults(templates));
    faults.extend(samples.into_iter().map(|fault| (fault, None)));
    // One fault of a template shows at many hosts: the first stands for them.
    faults.sort();
    faults.dedup_by(|later, first| later.0 == first.0);
    faults
}

/// What a worker found; one that panicked has not vouched for its hosts.
fn joined(
    found: std::thread::Result<Vec<(TemplateError, Option<String>)>>,
) -> Vec<(TemplateError, Option<String>)> {
    found.unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason is known");
        let reason = format!("pxectl met a fault of its own while rendering: {what}");
        let fault = TemplateError::new("(unknown)", None, reason);
        vec![(fault, None)]
    })
}

fn host_faults<'t>(
    inventory: &Inventory,
    templates: &'t Templates,
    lenient: &dyn Fn() -> &'t Templates,
    host: &Host,
) -> Vec<(TemplateError, Option<String>)> {
    let Ok(plan) = Plan::new(inventory, host) else {
        return Vec::new();
    };
    let variables = Variables::new(&plan, &SessionLinks::placeholder(&plan.server));
    let faults = all_faults(templates, lenient, &|templates| {
        let script = |dialect| install_script(templates, dialect, &variables).err();
        let seeds = plan
            .profile
            .installer
            .seeds()
            .iter()
            .filter_map(|name| seed(templates, &plan, &variables, name).err());
        Dialect::all().filter_map(script).chain(seeds).collect()
    });
    let named = |fault| (fault, Some(host.name.clone()));
    faults.into_iter().map(named).collect()
}

/// Renders, and where that ends at an unknown variable, renders on to find the others.
fn all_faults<'t>(
    templates: &'t Templates,
    lenient: &dyn Fn() -> &'t Templates,
    render: &dyn Fn(&Templates) -> Vec<TemplateError>,
) -> Vec<TemplateError> {
    let mut faults = render(templates);
    if faults.iter().any(|fault| fault.is_unknown_variable) {
        faults.extend(unknown_variables(|| drop(render(lenient()))));
    }
    faults
}

fn diagnostic(fault: &TemplateError, host: Option<&str>, locate: &Locate<'_>) -> Diagnostic {
    let place = locate(&fault.template, fault.place);
    let (template, reason) = (&fault.template, &fault.reason);
    let message = match host {
        Some(host) => format!("template `{template}` fails for host `{host}`: {reason}"),
        None => format!("template `{template}` cannot be used: {reason}"),
    };
    let help = match (host, fault.is_unknown_variable) {
        (Some(_), _) => {
            "`pxectl render HOST --context` prints every variable that a template may name"
        }
        (None, true) => "pxectl-inventory(5) lists the variables of this template under TEMPLATES",
        (None, false) => {
            "mend the template; braces that are not for pxectl go between `{{{{raw}}}}` and `{{{{/raw}}}}`"
        }
    };
    Diagnostic::new(Severity::Error, "template", place, message).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_panics_is_a_fault_and_not_silence() {
        let found = joined(Err(Box::new("out of luck")));
        assert_eq!(found.len(), 1);
        assert!(found[0].0.reason.ends_with("while rendering: out of luck"));
    }
}
