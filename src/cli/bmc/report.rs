use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use crate::bmc::{Planned, Report};
use crate::cli::output::Output;

/// Prints what was done to each host, and why not to some.
pub fn print(reports: &[Report], dry_run: bool, output: &Output) {
    explain(reports, output);
    if output.is_json() {
        let listed: Vec<Value> = reports.iter().map(json_of).collect();
        return output.json(&listed);
    }
    if dry_run {
        for report in reports.iter().filter(|report| report.result.is_ok()) {
            let mut text = format!("{}: {}\n", report.host, result_text(report));
            for request in &report.planned {
                text.push_str(&format!("  {}\n", line(request)));
            }
            output.result(&text);
        }
        return;
    }
    let mut rows = table(&["HOST", "POWER", "RESULT"]);
    for report in reports {
        let power = report.machine.as_ref().map(|it| it.power.to_string());
        let result = result_text(report);
        rows.add_row([report.host.clone(), power.unwrap_or_default(), result]);
    }
    output.result(&finished(rows));
}

/// Prints what the operator should know besides, and each failure with what to do about it.
pub fn explain(reports: &[Report], output: &Output) {
    for report in reports {
        for note in &report.notes {
            output.note(&format!("{}: {note}", report.host));
        }
    }
    for report in reports {
        if let Err(error) = &report.result {
            let what = format!("{}: {error}", report.host);
            output.error(&what, &error.help(&report.host));
        }
    }
}

/// Says in a few words what came of a host; why it failed stands in full on standard error.
pub fn result_text(report: &Report) -> String {
    match &report.result {
        Ok(done) => done.what.clone(),
        Err(error) => format!("failed: {}", error.word()),
    }
}

/// What programs are told of a host.
pub fn json_of(report: &Report) -> Value {
    let done = report.result.as_ref();
    let mut value = json!({
        "host": report.host,
        "url": report.url,
        "ok": done.is_ok(),
        "changed": done.is_ok_and(|done| done.changed),
        "result": done.ok().map(|done| &done.what),
        "error": done.err().map(|error| json!({
            "message": error.to_string(),
            "help": error.help(&report.host),
        })),
        "machine": report.machine,
        "certificate": report.certificate.as_ref().map(|seen| json!({
            "fingerprint": format!("sha256:{}", seen.note.fingerprint),
            "subject": seen.note.subject,
            "valid_from": seen.note.valid_from,
            "valid_until": seen.note.valid_until,
            "by_authority": seen.by_authority,
        })),
        "notes": report.notes,
    });
    if !report.planned.is_empty() {
        value["requests"] = json!(report.planned);
    }
    value
}

fn line(request: &Planned) -> String {
    match &request.body {
        Some(body) => format!("{} {} {body}", request.method, request.path),
        None => format!("{} {}", request.method, request.path),
    }
}

/// Starts a table in the manner of every list of hosts.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec());
    table
}

/// Writes a table as text.
pub fn finished(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    format!("{}\n", table.trim_fmt())
}
