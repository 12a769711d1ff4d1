use serde_json::Value;

use super::report::{format_table, json_of, print_messages, table};
use super::rounds::{Rounds, exit_with_findings};
use crate::bmc::{BmcTask, HostReport, MachineStatus};
use crate::cli::error::CommandResult;

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
    let mut rows = table(&["HOST", "POWER", "BOOT", "HEALTH", "MODEL", "SERIAL", "NOTE"]);
    for report in &reports {
        let machine = report.machine.clone().unwrap_or_default();
        let power = report.machine.as_ref().map(|it| it.power.to_string());
        rows.add_row([
            report.host.clone(),
            power.unwrap_or_default(),
            next_boot(&machine),
            machine.health.unwrap_or_default(),
            machine.model.unwrap_or_default(),
            machine.serial.unwrap_or_default(),
            note(report),
        ]);
    }
    rounds.output.result(&format_table(rows));
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
