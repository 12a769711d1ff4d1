use serde_json::Value;

use super::report::{format_table, json_of, print_messages, table};
use super::rounds::{Rounds, exit_with_findings};
use crate::bmc::{BmcTask, BootOption, HostReport, MachineStatus, SecureBoot};
use crate::cli::error::CommandResult;

/// The most boot options to show. `--format json` has all of them.
const MAX_BOOT_OPTIONS: usize = 6;

/// Shows the power, next boot, health and identity of machines.
pub fn run(rounds: &Rounds<'_>) -> CommandResult {
    let reports = rounds.visit(|_| Ok(BmcTask::Status))?;
    print_messages(&reports, rounds.output);
    let mut pairs = rounds.targets.iter().zip(&reports);
    let has_other_machine = pairs.any(|(target, report)| report.is_other_machine(target));
    let exit = exit_with_findings(&reports, has_other_machine);
    if rounds.output.is_json() {
        let listed: Vec<Value> = reports.iter().map(json_of).collect();
        rounds.output.json(&listed);
        return Ok(exit);
    }
    let mut rows = table(&[
        "HOST",
        "POWER",
        "BOOT",
        "SECURE BOOT",
        "HEALTH",
        "MODEL",
        "SERIAL",
        "NOTE",
    ]);
    let mut orders = table(&["HOST", "BOOT ORDER"]);
    for report in &reports {
        let machine = report.machine.clone().unwrap_or_default();
        let power = report.machine.as_ref().map(|it| it.power.to_string());
        rows.add_row([
            report.host.clone(),
            power.unwrap_or_default(),
            next_boot(&machine),
            machine
                .secure_boot
                .as_ref()
                .map_or("", SecureBoot::summary)
                .to_owned(),
            machine.health.unwrap_or_default(),
            machine.model.unwrap_or_default(),
            machine.serial.unwrap_or_default(),
            note(report),
        ]);
        if let Some(order) = boot_order(&machine.boot_order) {
            orders.add_row([report.host.clone(), order]);
        }
    }
    rounds.output.result(&format_table(rows));
    if !orders.is_empty() {
        let orders = format_table(orders);
        rounds.output.result(&format!("\n{orders}"));
    }
    Ok(exit)
}

/// Returns the boot override of a machine, or an empty text without one.
fn next_boot(machine: &MachineStatus) -> String {
    let boot = &machine.boot;
    let enabled = boot.enabled.as_deref().unwrap_or("Disabled");
    let target = boot.target.as_deref().unwrap_or("None");
    if enabled == "Disabled" || target == "None" {
        return String::new();
    }
    format!("{target} {}", enabled.to_lowercase())
}

/// Formats a boot order, or its first entries if it is long.
fn boot_order(order: &[BootOption]) -> Option<String> {
    let described = |option: &BootOption| match &option.name {
        Some(name) => format!("{name} ({})", option.reference),
        None => option.reference.clone(),
    };
    let first = order.iter().take(MAX_BOOT_OPTIONS).map(described);
    let mut text = first.collect::<Vec<_>>().join(", ");
    let hidden = order.len().saturating_sub(MAX_BOOT_OPTIONS);
    if hidden > 0 {
        text.push_str(&format!(", {hidden} more"));
    }
    (!text.is_empty()).then_some(text)
}

fn note(report: &HostReport) -> String {
    let in_post = report.machine.as_ref().is_some_and(|it| it.in_post);
    match &report.result {
        Err(error) => error.label().to_owned(),
        Ok(_) if in_post => "in its self-test".to_owned(),
        // The full note is printed above the table.
        Ok(_) => report.notes.last().map_or_else(String::new, |note| {
            note.split(':').next().unwrap_or_default().to_owned()
        }),
    }
}
