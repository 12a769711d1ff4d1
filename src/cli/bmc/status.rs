use serde_json::Value;

use super::Stop;
use super::report::{explain, finished, json_of, table};
use super::rounds::Rounds;
use crate::bmc::{Machine, Report, Task, is_another};
use crate::cli::Exit;

/// Shows what machines are, whether they run, and what they boot next.
pub fn run(rounds: &Rounds<'_>) -> Result<Exit, Stop> {
    let reports = rounds.visit(|_| Ok(Task::Status))?;
    explain(&reports, rounds.output);
    let exit = rounds.exit_unless(&reports, is_another);
    if rounds.output.is_json() {
        let listed: Vec<Value> = reports.iter().map(json_of).collect();
        rounds.output.json(&listed);
        return Ok(exit);
    }
    let mut rows = table(&["HOST", "POWER", "BOOT", "HEALTH", "MODEL", "SERIAL", "NOTE"]);
    for report in &reports {
        let machine = report.machine.as_ref();
        let text = |value: Option<&String>| value.cloned().unwrap_or_default();
        rows.add_row([
            report.host.clone(),
            machine.map(|it| it.power.to_string()).unwrap_or_default(),
            machine.map(boot).unwrap_or_default(),
            text(machine.and_then(|it| it.health.as_ref())),
            text(machine.and_then(|it| it.model.as_ref())),
            text(machine.and_then(|it| it.serial.as_ref())),
            note(report),
        ]);
    }
    rounds.output.result(&finished(rows));
    Ok(exit)
}

/// Says what a machine was told to boot next; nothing where it was told nothing.
fn boot(machine: &Machine) -> String {
    let boot = &machine.boot;
    let enabled = boot.enabled.as_deref().unwrap_or("Disabled");
    let target = boot.target.as_deref().unwrap_or("None");
    if enabled == "Disabled" || target == "None" {
        return String::new();
    }
    format!("{target} {}", enabled.to_lowercase())
}

fn note(report: &Report) -> String {
    let in_post = report.machine.as_ref().is_some_and(|it| it.in_post);
    match &report.result {
        Err(error) => error.word().to_owned(),
        Ok(_) if in_post => "in its self-test".to_owned(),
        // The rest of it stands above the table.
        Ok(_) => report.notes.last().map_or_else(String::new, |note| {
            note.split(':').next().unwrap_or_default().to_owned()
        }),
    }
}
