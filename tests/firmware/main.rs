//! Real firmware, booted by QEMU in a network namespace of its own against `pxectl serve all`.
//!
//! These tests need root, QEMU and boot loaders from Debian; `tests/run` installs what they need.
//! Where that is missing they say so and prove nothing, unless `PXECTL_REQUIRE_FIRMWARE=1` makes
//! the lack a failure. What a machine printed is kept below `target/tmp/firmware/`.

#![expect(clippy::print_stderr, reason = "the tests report what each boot took")]

mod bmc;
mod boot_site;
mod chain;
mod console;
mod controller;
mod debian;
mod disk;
mod firmware;
mod harness;
mod hold;
mod install;
mod machine;
mod network;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/program_log.rs"]
mod program_log;
mod reference;
mod refuse;
mod relay;
mod requirements;
mod rom;
mod server;

use std::time::Duration;

/// How long firmware may take from power-on to what its loader prints: 10 s to GRUB and 26 s to iPXE
/// are usual on UEFI, of which Debian's iPXE solicits IPv6 routers for 16, and 70 s to iPXE on a BIOS.
const TO_LOADER: Duration = Duration::from_secs(300);
/// How long a kernel and its initrd may take to come; by TFTP 30 s are usual.
const TO_LINUX: Duration = Duration::from_secs(120);
/// How long a step may take after that; the installer's network set-up is the longest.
const TO_USER_SPACE: Duration = Duration::from_secs(300);
/// How long a short step may take.
const STEP: Duration = Duration::from_secs(30);
