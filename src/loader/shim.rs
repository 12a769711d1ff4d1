//! shim: a signed first stage, which may start a loader of any family.

use crate::machine::CpuArchitecture;

/// Returns the name under which shim requests its second stage, also if that is not GRUB.
///
/// Source: shim, `netboot.c` and `include/fallback.h` (`DEFAULT_LOADER`).
pub(super) fn second_stage_name(cpu: CpuArchitecture) -> String {
    format!("grub{}.efi", cpu.efi_letters())
}
