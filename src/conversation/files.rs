//! What a machine fetches: which program asks for it, and what it means where it is missing.

use super::display::{display_file, display_rate, display_size, display_time};
use super::finding::FindingKind;
use super::loader;
use super::machine::{MissingFile, ObservedMachine, Transfer};
use super::recorder::{Recorder, StartPoint};
use crate::machine::Firmware;

/// A transfer is slow when it takes this long, at less than this many bytes a second.
const SLOW_MILLISECONDS: i64 = 5000;
const SLOW_RATE: u64 = 256 * 1024;
/// How much of a file's beginning is needed to tell what it is.
pub(super) const HEAD: usize = 512;

/// Begins the stage of a program when it asks for its first file.
pub(super) fn begins(machine: &mut ObservedMachine, name: &str) {
    let program = machine.fetched_program.take_if(|program| {
        let same = program.trim_start_matches('/') == name.trim_start_matches('/');
        !same
    });
    if let Some(program) = program {
        let program = display_file(&program);
        machine.begin_stage(&format!("`{}`", loader::base_name(&program)));
    }
}

/// Tells of a file that has come whole.
pub(super) fn came(
    recorder: &mut Recorder,
    machine: &mut ObservedMachine,
    name: &str,
    transfer: &Transfer,
    began: StartPoint,
) {
    if loader::is_program(name) {
        machine.fetched_program = Some(name.to_owned());
    }
    if !loader::is_optional(name) {
        machine.missing = None;
    }
    let Transfer {
        bytes,
        milliseconds,
        ..
    } = *transfer;
    let is_slow = milliseconds >= SLOW_MILLISECONDS
        && bytes * 1000 / milliseconds.unsigned_abs().max(1) < SLOW_RATE;
    if is_slow {
        let text = format!(
            "`{}`: {} in {} ({})",
            transfer.file,
            display_size(bytes),
            display_time(milliseconds),
            display_rate(bytes, milliseconds).unwrap_or_default()
        );
        recorder.report_finding_at(machine, FindingKind::SlowTransfer, text, began);
    }
}

/// Remembers a file that is not there: it is a fault when the machine gets nothing after it.
pub(super) fn is_missing(recorder: &Recorder, machine: &mut ObservedMachine, name: &str, by: &str) {
    if loader::is_optional(name) {
        return;
    }
    let expected = machine.expected.as_ref();
    let is_boot_file = expected.is_some_and(|it| same_file(&it.name, name));
    let what = if is_boot_file { "the boot file " } else { "" };
    let text = format!("{what}`{}` is not there ({by})", display_file(name));
    let began = recorder.start_point(machine);
    // The first of what is looked for in vain is the one that was meant.
    machine.missing.get_or_insert(MissingFile { text, began });
}

/// Tells of the file for want of which the boot went no further.
pub(super) fn settle(recorder: &mut Recorder, machine: &mut ObservedMachine) {
    if let Some(lack) = machine.missing.take() {
        let kind = FindingKind::MissingFile;
        recorder.report_finding_at(machine, kind, lack.text, lack.began);
    }
}

/// Tells whether firmware can run what it fetches, by its first bytes.
pub(super) fn check_head(
    recorder: &mut Recorder,
    machine: &mut ObservedMachine,
    name: &str,
    head: &[u8],
) {
    let Some(expected) = machine.expected.as_ref() else {
        return;
    };
    if !expected.is_firmware || !same_file(&expected.name, name) {
        return;
    }
    let architecture = expected.architecture;
    let Some(made) = loader::by_contents(head) else {
        return;
    };
    let against = made.against(architecture).or_else(|| {
        // UEFI boots volumes over HTTP too; by TFTP it starts programs only.
        let is_program = made.firmware.is_some();
        let starts_programs_only =
            architecture.firmware() == Firmware::Uefi && !architecture.is_http();
        (!is_program && starts_programs_only).then(|| "which is no program for UEFI".to_owned())
    });
    if let Some(against) = against {
        let text = format!("{architecture} fetches `{}`, {against}", display_file(name));
        recorder.report_finding(machine, FindingKind::WrongLoader, text);
    }
}

/// Tells of a shim that asks for its second stage without the directory that it came from.
pub(super) fn check_bare_name(recorder: &mut Recorder, machine: &mut ObservedMachine, name: &str) {
    let bare = name.trim_start_matches('/').to_ascii_lowercase();
    let is_second_stage = bare.starts_with("grub") && bare.contains(".efi") && !bare.contains('/');
    let Some(expected) = machine.expected.as_ref().filter(|_| is_second_stage) else {
        return;
    };
    if expected.is_option_only && expected.name.trim_start_matches('/').contains('/') {
        let text = format!(
            "`{}` is asked for without the directory of `{}`, which stood in option 67 alone",
            display_file(name),
            display_file(&expected.name)
        );
        recorder.report_finding(machine, FindingKind::ShimBareName, text);
    }
}

/// Compares what DHCP named with what is asked for: a name, or the path of a URL.
pub(super) fn same_file(expected: &str, name: &str) -> bool {
    let path = |text: &str| {
        let after = text.split_once("://").map(|(_, rest)| rest);
        let path = match after {
            Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
            None => text,
        };
        let path = path.split(['?', '#']).next().unwrap_or_default();
        path.replace('\\', "/").trim_start_matches('/').to_owned()
    };
    path(expected) == path(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_and_a_name_are_compared_by_their_path() {
        for (expected, name, same) in [
            ("boot/x.efi", "/boot/x.efi", true),
            ("boot\\x.efi", "boot/x.efi", true),
            (
                "http://10.0.0.1:8080/m/x.efi?token=T",
                "/m/x.efi?token=U",
                true,
            ),
            ("http://10.0.0.1", "/", true),
            ("x.efi", "y.efi", false),
        ] {
            assert_eq!(same_file(expected, name), same, "{expected} {name}");
        }
    }
}
