//! The files that a machine fetches: which program requests each, and what a missing file means.

use super::display::{display_file, display_rate, display_size, display_time};
use super::finding::FindingKind;
use super::loader;
use super::machine::{MissingFile, ObservedMachine, Transfer};
use super::recorder::Recorder;
use super::start_point::StartPoint;
use crate::machine::Firmware;

/// A transfer is slow if it takes this long, at less than this many bytes per second.
const SLOW_MILLISECONDS: i64 = 5000;
const SLOW_RATE: u64 = 256 * 1024;
/// How many bytes of a file identify its format.
pub(super) const HEAD: usize = 512;

/// Begins the stage of a program when it requests its first file.
pub(super) fn request_begins(machine: &mut ObservedMachine, name: &str) {
    let program = machine.fetched_program.take_if(|program| {
        let same = program.trim_start_matches('/') == name.trim_start_matches('/');
        !same
    });
    if let Some(program) = program {
        let program = display_file(&program);
        machine.begin_stage(&format!("`{}`", loader::base_name(&program)));
    }
}

/// Records a file that arrived completely.
pub(super) fn arrived(
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

/// Remembers a missing file. It becomes a finding if the machine receives no file after it.
pub(super) fn is_missing(recorder: &Recorder, machine: &mut ObservedMachine, name: &str, by: &str) {
    if loader::is_optional(name) {
        return;
    }
    let expected = machine.expected.as_ref();
    let is_boot_file = expected.is_some_and(|it| same_file(&it.name, name));
    let what = if is_boot_file { "the boot file " } else { "" };
    let text = format!("{what}`{}` is missing ({by})", display_file(name));
    let began = recorder.start_point(machine);
    // Of several missing names, the first is the one that the machine needs.
    machine.missing.get_or_insert(MissingFile { text, began });
}

/// Records the missing file that stopped the boot.
pub(super) fn settle(recorder: &mut Recorder, machine: &mut ObservedMachine) {
    if let Some(lack) = machine.missing.take() {
        let kind = FindingKind::MissingFile;
        recorder.report_finding_at(machine, kind, lack.text, lack.began);
    }
}

/// Checks by its first bytes whether firmware can run a file.
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
    let Some(target) = loader::by_contents(head) else {
        return;
    };
    let mismatch = target.mismatch(architecture).or_else(|| {
        // UEFI boots volumes over HTTP, too; by TFTP it starts only programs.
        let is_program = target.firmware.is_some();
        let starts_programs_only =
            architecture.firmware() == Firmware::Uefi && !architecture.is_http();
        (!is_program && starts_programs_only).then(|| "which is not a UEFI program".to_owned())
    });
    if let Some(mismatch) = mismatch {
        let text = format!(
            "{architecture} fetches `{}`, {mismatch}",
            display_file(name)
        );
        recorder.report_finding(machine, FindingKind::WrongLoader, text);
    }
}

/// Finds a shim that requests its second stage without the directory of its own file.
pub(super) fn check_bare_name(recorder: &mut Recorder, machine: &mut ObservedMachine, name: &str) {
    let bare = name.trim_start_matches('/').to_ascii_lowercase();
    let is_second_stage = bare.starts_with("grub") && bare.contains(".efi") && !bare.contains('/');
    let Some(expected) = machine.expected.as_ref().filter(|_| is_second_stage) else {
        return;
    };
    if expected.is_option_only && expected.name.trim_start_matches('/').contains('/') {
        let text = format!(
            "shim requests `{}` without the directory of `{}`, which only option 67 named",
            display_file(name),
            display_file(&expected.name)
        );
        recorder.report_finding(machine, FindingKind::ShimBareName, text);
    }
}

/// Compares the name or URL that DHCP sent with the requested name or URL, by their paths.
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
