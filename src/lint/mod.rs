//! The deeper checks of an inventory: what is rendered from it, and the files that it boots.

pub mod boot_file;
mod loaders;

use std::collections::BTreeSet;

pub use loaders::{LoaderFile, LoaderFiles, loader_names, loaders};

use crate::inventory::{Diagnostic, Inventory, Severity, Span};
use crate::machine::Dialect;
use crate::render::{
    Plan, SessionLinks, TemplateError, Templates, Variables, install_script, sample_faults, seed,
};

/// Compiles the inventory's templates, and renders with them what the hosts that use them would be
/// served. `locate` finds a line of a template among the sources.
///
/// Returns the compiled templates.
///
/// # Errors
/// Every fault, each once, as a diagnostic in the template.
pub fn templates(
    inventory: &Inventory,
    locate: &(dyn Fn(&str, Option<usize>) -> Option<Span> + Sync),
) -> Result<Templates, Vec<Diagnostic>> {
    let templates = Templates::compile(&inventory.templates).map_err(|faults| {
        faults
            .iter()
            .map(|fault| diagnostic(fault, None, locate))
            .collect::<Vec<_>>()
    })?;
    if inventory.templates.is_empty() {
        return Ok(templates);
    }
    let hosts: Vec<_> = inventory.hosts.values().collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut faults: Vec<(TemplateError, Option<String>)> = std::thread::scope(|scope| {
        let parts = hosts.chunks(hosts.len().div_ceil(threads).max(1));
        let workers: Vec<_> = parts
            .map(|part| {
                let templates = &templates;
                scope.spawn(move || {
                    part.iter()
                        .flat_map(|host| host_faults(inventory, templates, &host.name))
                        .collect()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| joined(worker.join()))
            .collect()
    });
    let samples = sample_faults(&templates);
    faults.extend(samples.into_iter().map(|fault| (fault, None)));
    // One fault of a template shows at many hosts: the first stands for them.
    faults.sort_by(|a, b| (&a.0.template, a.0.line, &a.1).cmp(&(&b.0.template, b.0.line, &b.1)));
    let mut seen = BTreeSet::new();
    faults.retain(|(fault, _)| {
        seen.insert((fault.template.clone(), fault.line, fault.reason.clone()))
    });
    if faults.is_empty() {
        return Ok(templates);
    }
    Err(faults
        .iter()
        .map(|(fault, host)| diagnostic(fault, host.as_deref(), locate))
        .collect())
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
        let fault = TemplateError {
            template: "(unknown)".to_owned(),
            line: None,
            reason: format!("pxectl met a fault of its own while rendering: {what}"),
        };
        vec![(fault, None)]
    })
}

fn host_faults(
    inventory: &Inventory,
    templates: &Templates,
    host: &str,
) -> Vec<(TemplateError, Option<String>)> {
    let Some(host) = inventory.hosts.get(host) else {
        return Vec::new();
    };
    let Ok(plan) = Plan::new(inventory, host) else {
        return Vec::new();
    };
    let variables = Variables::new(&plan, &SessionLinks::placeholder(&plan.server));
    let script = |dialect| install_script(templates, dialect, &variables).err();
    let seeds = plan
        .profile
        .installer
        .seeds()
        .iter()
        .filter_map(|name| seed(templates, &plan, &variables, name).err());
    Dialect::all()
        .filter_map(script)
        .chain(seeds)
        .map(|fault| (fault, Some(host.name.clone())))
        .collect()
}

fn diagnostic(
    fault: &TemplateError,
    host: Option<&str>,
    locate: &(dyn Fn(&str, Option<usize>) -> Option<Span> + Sync),
) -> Diagnostic {
    let place = locate(&fault.template, fault.line);
    let (template, reason) = (&fault.template, &fault.reason);
    let (message, help) = match host {
        Some(host) => (
            format!("template `{template}` fails for host `{host}`: {reason}"),
            "`pxectl render HOST --context` prints every variable that a template may name",
        ),
        None => (
            format!("template `{template}` cannot be used: {reason}"),
            "mend the template; braces that are not for pxectl go between `{{{{raw}}}}` and `{{{{/raw}}}}`",
        ),
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
